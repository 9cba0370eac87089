//! Pairing a phone, and testing it: this page shows a code, then a number; the phone does the rest.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::{Extension, Json};
use qrcode::QrCode;
use serde::{Deserialize, Serialize};

use super::{Chosen, Pressed, methods};
use crate::account::{AccountKey, AttemptId, FactorKind};
use crate::portal::page::{Failure, Frame, Next, go, show as show_page};
use crate::portal::session::{Head, Sent, SignedIn};
use crate::portal::texts::{self, Words};
use crate::portal::visit::Visit;
use crate::portal::{House, cookies};
use crate::secret::random_array;
use crate::store::{Enrolled, PromptState};

/// How long a code can be used.
const CODE_LIFE: Duration = Duration::from_secs(300);
/// How long the browser remembers what it shows.
const LIFE: Duration = Duration::from_secs(900);
/// Characters of a code, of five bits each.
const CHARACTERS: usize = 8;
/// Crockford's: without the letters that are taken for digits or make words.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const CODE: &str = "pairing";
const TEST: &str = "test";

/// A test that was opened here.
#[derive(Serialize, Deserialize)]
struct Testing {
    device: i64,
    prompt: AttemptId,
    number: String,
}

/// What the page shows.
enum Step {
    Code { code: String, qr: String },
    Test { number: String },
    Again,
    Over,
    Done,
}

impl Step {
    const fn word(&self) -> &'static str {
        match self {
            Self::Code { .. } => "code",
            Self::Test { .. } => "test",
            Self::Again => "again",
            Self::Over => "over",
            Self::Done => "done",
        }
    }
}

#[derive(Template)]
#[template(path = "pair.html", config = "src/portal/askama.toml")]
struct Pair<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    title: &'a str,
    path: &'a str,
    done: &'a str,
    address: String,
    state: &'static str,
    id: i64,
    step: Step,
}

/// A new code.
fn new_code() -> String {
    let digit = |octet: u8| DIGITS.get(usize::from(octet & 31)).copied().map(char::from);
    let octets = random_array::<CHARACTERS>();
    octets.into_iter().filter_map(digit).collect()
}

/// The code in two groups, to be read.
fn grouped(code: &str) -> String {
    match code.split_at_checked(CHARACTERS / 2) {
        Some((first, second)) => format!("{first}-{second}"),
        None => code.to_owned(),
    }
}

/// A picture of an address, to stand in a page.
pub(super) fn picture(text: &str) -> Result<String, Failure> {
    let code = QrCode::new(text).map_err(|_| Failure::Trouble)?;
    let mut picture = code.render::<qrcode::render::svg::Color<'_>>();
    let drawn = picture.min_dimensions(200, 200).build();
    // Its declaration has no place inside a page.
    let begin = drawn.find("<svg").unwrap_or_default();
    Ok(drawn.get(begin..).unwrap_or_default().to_owned())
}

/// Opens a pairing, in place of one that is open.
pub(super) async fn begin(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Sent(signed, _): Sent<Pressed>,
) -> Result<Response, Failure> {
    let known = signed.fresh(&house, Next::Add).await?;
    let factors = known.as_ref().map(|known| known.factors.as_slice());
    let factors = factors.unwrap_or_default();
    // A phone that was never proven is one whose pairing was given up.
    let given_up = |factor: &&Enrolled| factor.kind == FactorKind::Push && !factor.proven;
    let mut left = factors.len();
    for phone in factors.iter().filter(given_up) {
        methods::end(&house, (&visit, &signed), known.as_ref(), phone.id).await?;
        left = left.saturating_sub(1);
    }
    if left >= methods::MOST {
        return Ok(go("/methods?done=many"));
    }
    let code = new_code();
    let expires = house.rooms.clock.now().after(CODE_LIFE);
    let store = &house.rooms.store;
    store
        .open_pairing(signed.account(), &signed.session.name, &code, expires)
        .await?;
    let mut page = go("/methods/add/device");
    cookies::keep(&house, page.headers_mut(), (CODE, &code), LIFE);
    cookies::end(&house, page.headers_mut(), TEST);
    Ok(page)
}

/// What became of the test that this browser shows; none if it shows none of this device.
fn tested(house: &House, head: &Head, device: Option<i64>) -> Result<Option<(Step, i64)>, Failure> {
    let Some(testing) = cookies::kept::<Testing>(house, &head.0, TEST) else {
        return Ok(None);
    };
    if device.is_some_and(|device| device != testing.device) {
        return Ok(None);
    }
    let known = house.rooms.store.prompt(&testing.prompt)?;
    let state = known.map_or(PromptState::Over, |known| known.state);
    let step = match state {
        PromptState::Open => Step::Test {
            number: testing.number,
        },
        PromptState::Used | PromptState::Approved => Step::Done,
        PromptState::Denied | PromptState::Withdrawn | PromptState::Over => Step::Again,
    };
    Ok(Some((step, testing.device)))
}

/// Where the pairing is; the device, if there is one.
fn standing(
    house: &House,
    signed: &SignedIn,
    head: &Head,
) -> Result<(Option<Step>, Option<i64>), Failure> {
    let pairing = house.rooms.store.pairing(signed.account())?;
    let device = pairing.and_then(|pairing| pairing.device);
    if let Some((step, device)) = tested(house, head, device)? {
        return Ok((Some(step), Some(device)));
    }
    if device.is_some() {
        return Ok((None, device));
    }
    let code: Option<String> = cookies::kept(house, &head.0, CODE);
    Ok(match (pairing, code) {
        (Some(_), Some(code)) => {
            let address = format!("{}/app", house.setup.load().settings.url.origin());
            let step = Step::Code {
                code: grouped(&code),
                qr: picture(&address)?,
            };
            (Some(step), None)
        }
        _ => (Some(Step::Over), None),
    })
}

/// Opens a test of a device, and keeps its number for the page.
async fn open_test(
    house: &House,
    visit: &Visit,
    signed: &SignedIn,
    (device, headers): (i64, &mut HeaderMap),
) -> Result<String, Failure> {
    let name = AccountKey::from_stored(&signed.session.name);
    let whose = (signed.account(), &name);
    let here = (visit.address, visit.language);
    let test = house.rooms.access.test_device(whose, device, here).await?;
    let testing = Testing {
        device,
        prompt: test.prompt,
        number: test.number.clone(),
    };
    cookies::keep(house, headers, (TEST, &testing), LIFE);
    Ok(test.number)
}

pub(super) async fn show(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    signed: SignedIn,
    head: Head,
) -> Result<Response, Failure> {
    let began: Option<String> = cookies::kept(&house, &head.0, CODE);
    if began.is_none() {
        return Ok(go("/methods/add"));
    }
    let mut headers = HeaderMap::new();
    let (step, device) = standing(&house, &signed, &head)?;
    let step = match (step, device) {
        (Some(step), _) => step,
        // A phone has used the code, and nobody has seen its number yet. Seeing it proves the phone.
        (None, Some(device)) => {
            let _known = signed.fresh(&house, Next::Device).await?;
            let opened = open_test(&house, &visit, &signed, (device, &mut headers));
            let number = opened.await?;
            Step::Test { number }
        }
        (None, None) => Step::Over,
    };
    let t = texts::words(visit.language);
    let pages = ("/methods/add/device", t.add_device, t.pair_done);
    let mut page = pair_page(&house, (&visit, &signed), pages, (step, device));
    page.headers_mut().extend(headers);
    Ok(page)
}

fn pair_page(
    house: &House,
    (visit, signed): (&Visit, &SignedIn),
    (path, title, done): (&str, &str, &str),
    (step, device): (Step, Option<i64>),
) -> Response {
    let setup = house.setup.load();
    let frame = Frame::new(&setup.settings, visit, Some(signed)).at(path);
    show_page(&Pair {
        frame,
        t: texts::words(visit.language),
        title,
        path,
        done,
        address: format!("{}/app", setup.settings.url.origin()),
        state: step.word(),
        id: device.unwrap_or_default(),
        step,
    })
}

/// Says where the pairing is, for the page that waits.
pub(super) async fn state(
    State(house): State<Arc<House>>,
    signed: SignedIn,
    head: Head,
) -> Result<Json<serde_json::Value>, Failure> {
    let (step, _) = standing(&house, &signed, &head)?;
    let word = step.map_or("paired", |step| step.word());
    Ok(Json(serde_json::json!({ "state": word })))
}

/// Tests a device that is paired.
pub(super) async fn begin_test(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Sent(signed, chosen): Sent<Chosen>,
) -> Result<Response, Failure> {
    let known = house.rooms.store.known(signed.account()).await?;
    let factors = known.map_or_else(Vec::new, |known| known.factors);
    let is_hers = |factor: &&Enrolled| factor.id == chosen.id && factor.kind == FactorKind::Push;
    let device = factors.iter().find(is_hers).ok_or(Failure::Nowhere)?;
    if !device.proven {
        // The test adds a method.
        let _known = signed.fresh(&house, Next::Methods).await?;
    }
    let mut page = go("/methods/test");
    let _number = open_test(&house, &visit, &signed, (chosen.id, page.headers_mut())).await?;
    Ok(page)
}

pub(super) async fn test(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    signed: SignedIn,
    head: Head,
) -> Result<Response, Failure> {
    let Some((step, device)) = tested(&house, &head, None)? else {
        return Ok(go("/methods"));
    };
    let t = texts::words(visit.language);
    let pages = ("/methods/test", t.test_title, t.test_done);
    Ok(pair_page(
        &house,
        (&visit, &signed),
        pages,
        (step, Some(device)),
    ))
}

pub(super) async fn test_state(
    State(house): State<Arc<House>>,
    _signed: SignedIn,
    head: Head,
) -> Result<Json<serde_json::Value>, Failure> {
    let tested = tested(&house, &head, None)?;
    let word = tested.map_or("over", |(step, _)| step.word());
    Ok(Json(serde_json::json!({ "state": word })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_forty_bits_in_two_groups() {
        let code = new_code();
        assert_eq!(code.len(), CHARACTERS);
        assert!(code.bytes().all(|digit| DIGITS.contains(&digit)));
        assert_ne!(code, new_code());
        assert_eq!(grouped("K7QM2RXD"), "K7QM-2RXD");
    }

    #[test]
    fn pictures_are_parts_of_a_page() {
        let drawn = picture("https://mfa.example.ac.jp/app").unwrap();
        assert!(drawn.starts_with("<svg") && !drawn.contains("style="));
    }
}
