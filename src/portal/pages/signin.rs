//! Signing in: to `access` an attempt like any other, at the client `portal`.
//!
//! What must be known between password and code is kept in the browser, sealed; it stands in no address.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use super::Pressed;
use crate::access::{Answer, Attempt, Credential, Ending, Held, Verdict, Wait};
use crate::account::{AttemptId, FactorKind, Reason};
use crate::portal::page::{Failure, Frame, Next, go, show};
use crate::portal::session::{self, Fields, Head, Maybe, Sent, SignedIn};
use crate::portal::texts::{self, Words};
use crate::portal::visit::Visit;
use crate::portal::{House, PATIENCE, cookies};
use crate::secret::{Secret, random_array};
use crate::store::{PromptState, Session};

const COOKIE: &str = "dialogue";
/// Longer than any challenge and prompt.
const LIFE: Duration = Duration::from_secs(900);
/// The least time to a refusal, as for RADIUS: what was wrong does not show by it.
const REFUSAL: Duration = Duration::from_secs(1);
/// What is typed to ask what became of a prompt, and to give it up.
const ASK: &str = "OK";
const GIVE_UP: &str = "0";

/// Between the password and the code.
#[derive(Serialize, Deserialize)]
struct Dialogue {
    user: String,
    next: Next,
    state: [u8; 16],
    attempt: AttemptId,
    factor: Option<FactorKind>,
    /// To be typed on the device.
    number: Option<String>,
    said: Option<String>,
}

impl Dialogue {
    fn of(house: &House, head: &Head) -> Result<Self, Failure> {
        cookies::kept(house, &head.0, COOKIE).ok_or(Failure::SignIn(Next::Home))
    }

    /// Whether it waits for an approval that has not come.
    fn waits(&self, house: &House) -> Result<bool, Failure> {
        if self.factor != Some(FactorKind::Push) {
            return Ok(false);
        }
        let prompt = house.rooms.store.prompt(&self.attempt)?;
        Ok(prompt.is_some_and(|known| known.state == PromptState::Open))
    }
}

#[derive(Template)]
#[template(path = "signin.html", config = "src/portal/askama.toml")]
struct Ask<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    next: Next,
    user: &'a str,
    said: Option<&'a str>,
    again: bool,
    password_url: Option<&'a str>,
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    next: String,
}

pub(super) async fn ask(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Query(wanted): Query<Wanted>,
    Maybe(signed): Maybe,
) -> Response {
    let setup = house.setup.load();
    let next = Next::read(&wanted.next);
    show(&Ask {
        frame: Frame::new(&setup.settings, &visit, signed.as_ref()),
        t: texts::words(visit.language),
        next,
        user: signed.as_ref().map_or("", SignedIn::shown),
        said: None,
        again: signed.is_some() && next != Next::Home,
        password_url: None,
    })
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    user: String,
    password: String,
    #[serde(default)]
    next: String,
}

pub(super) async fn password(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Maybe(before): Maybe,
    Fields(typed): Fields<Credentials>,
) -> Result<Response, Failure> {
    let user = typed.user.trim().to_owned();
    let attempt = attempt(
        &house,
        &visit,
        (&user, Secret::from(typed.password.as_str())),
        None,
    )?;
    let next = Next::read(&typed.next);
    let answer = decide(&house, attempt).await;
    settle(&house, &visit, (user, next, None), answer, before).await
}

/// An attempt to sign in, if there were not too many.
fn attempt(
    house: &House,
    visit: &Visit,
    (user, password): (&str, Secret),
    state: Option<[u8; 16]>,
) -> Result<Attempt, Failure> {
    if !house.limits.sign_in.spend(visit.block()) {
        return Err(Failure::TooMany);
    }
    let received = Instant::now();
    let deadline = received + PATIENCE;
    Ok(Attempt {
        client: house.setup.load().policy(visit.language),
        nas: visit.address,
        nas_port: None,
        name: user.as_bytes().into(),
        credential: Credential::Password(password),
        state: state.map(|state| state.as_slice().into()),
        can_ask: true,
        station: visit.station(),
        station_from: None,
        received,
        deadline,
        hold_until: deadline,
    })
}

/// Has it decided. A reply is never held: the browser asks again.
async fn decide(house: &House, attempt: Attempt) -> Answer {
    let (client, nas, received) = (Arc::clone(&attempt.client), attempt.nas, attempt.received);
    let mut answer = Box::pin(house.rooms.access.decide(attempt)).await;
    house.rooms.telemetry.decision(&answer.decision);
    if let Verdict::Wait(wait) = &answer.verdict {
        let held = held(client, nas, received, wait.clone());
        let access = &house.rooms.access;
        let concluded = Box::pin(access.conclude(&[held], Ending::Patience)).await;
        if let Some(concluded) = concluded {
            house.rooms.telemetry.decision(&concluded.decision);
            let verdict = concluded.verdicts.into_iter().next();
            answer.verdict = verdict.unwrap_or(Verdict::Undecided);
            answer.decision = concluded.decision;
        }
    }
    if matches!(answer.verdict, Verdict::Reject { .. }) {
        // A tenth more at random, so that what it took before does not show either.
        let [chance] = random_array::<1>();
        let more = Duration::from_millis(u64::from(chance) * 100 / 256);
        sleep_until(received + REFUSAL + more).await;
    }
    answer
}

fn held(
    client: Arc<crate::access::ClientPolicy>,
    nas: IpAddr,
    received: Instant,
    wait: Wait,
) -> Held {
    Held {
        client,
        nas,
        received,
        wait,
    }
}

/// Obeys the verdict.
async fn settle(
    house: &House,
    visit: &Visit,
    (user, next, number): (String, Next, Option<String>),
    answer: Answer,
    before: Option<SignedIn>,
) -> Result<Response, Failure> {
    let Answer {
        verdict, decision, ..
    } = answer;
    match verdict {
        Verdict::Accept { .. } => {
            let account = decision.account.clone().ok_or(Failure::Trouble)?;
            let now = house.rooms.clock.now();
            let session = Session {
                account,
                name: decision.name.clone(),
                proven: now,
                expires: now.after(house.setup.load().settings.session_life),
            };
            let mut page = go(next.path());
            if let Some(before) = before {
                before.end(house, page.headers_mut()).await?;
            }
            cookies::end(house, page.headers_mut(), COOKIE);
            session::open(house, page.headers_mut(), session).await?;
            Ok(page)
        }
        Verdict::Challenge { state, text } => {
            let shows_number =
                decision.reason == Reason::PushAsked && decision.factor == Some(FactorKind::Push);
            let (number, said) = match shows_number {
                true => (Some(text.to_string()), None),
                false => (number, Some(text.to_string())),
            };
            let dialogue = Dialogue {
                user,
                next,
                state,
                attempt: decision.attempt.clone(),
                factor: decision.factor,
                number,
                said,
            };
            let mut page = go("/signin/code");
            cookies::keep(house, page.headers_mut(), (COOKIE, &dialogue), LIFE);
            Ok(page)
        }
        Verdict::Reject { text } => {
            let text = text.unwrap_or_default();
            Ok(refuse(
                house,
                visit,
                (&user, next),
                (decision.reason, &text),
            ))
        }
        Verdict::Wait(_) | Verdict::Undecided => Err(Failure::Trouble),
    }
}

fn refuse(
    house: &House,
    visit: &Visit,
    (user, next): (&str, Next),
    (reason, text): (Reason, &str),
) -> Response {
    let t = texts::words(visit.language);
    let said = match reason {
        Reason::NoFactor | Reason::NumberRefused => t.no_factor,
        Reason::PushUnanswered | Reason::UnknownChallenge => t.login_over,
        _ => text,
    };
    let setup = house.setup.load();
    let password_url = setup.settings.password_url.as_deref();
    let mut page = show(&Ask {
        frame: Frame::new(&setup.settings, visit, None).at("/signin"),
        t,
        next,
        user,
        said: Some(said),
        again: false,
        password_url: password_url.filter(|_| reason == Reason::Exposed),
    });
    *page.status_mut() = StatusCode::FORBIDDEN;
    cookies::end(house, page.headers_mut(), COOKIE);
    page
}

#[derive(Template)]
#[template(path = "code.html", config = "src/portal/askama.toml")]
struct Code<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    waits: bool,
    letters: bool,
    number: Option<&'a str>,
    said: Option<&'a str>,
}

fn code_page(house: &House, visit: &Visit, dialogue: &Dialogue, said: Option<&str>) -> Response {
    let setup = house.setup.load();
    show(&Code {
        frame: Frame::new(&setup.settings, visit, None).at("/signin/code"),
        t: texts::words(visit.language),
        waits: dialogue.factor == Some(FactorKind::Push),
        letters: dialogue.factor == Some(FactorKind::Recovery),
        number: dialogue.number.as_deref(),
        said: said.or(dialogue.said.as_deref()),
    })
}

/// Asks for the code, or shows the number.
pub(super) async fn dialogue(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    head: Head,
) -> Result<Response, Failure> {
    let dialogue = Dialogue::of(&house, &head)?;
    Ok(code_page(&house, &visit, &dialogue, None))
}

#[derive(Deserialize)]
pub(super) struct Typed {
    #[serde(default)]
    code: String,
}

pub(super) async fn code(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Maybe(before): Maybe,
    head: Head,
    Fields(typed): Fields<Typed>,
) -> Result<Response, Failure> {
    let dialogue = Dialogue::of(&house, &head)?;
    let typed = typed.code.trim();
    let t = texts::words(visit.language);
    if typed.is_empty() && dialogue.waits(&house)? {
        return Ok(code_page(&house, &visit, &dialogue, Some(t.still_waiting)));
    }
    if typed.is_empty() && dialogue.factor != Some(FactorKind::Push) {
        return Ok(code_page(&house, &visit, &dialogue, None));
    }
    // What is typed is asked about a prompt that is decided.
    let typed = if typed.is_empty() { ASK } else { typed };
    let typed = (dialogue.user.as_str(), Secret::from(typed));
    let attempt = attempt(&house, &visit, typed, Some(dialogue.state))?;
    let answer = decide(&house, attempt).await;
    let before_it = (dialogue.user, dialogue.next, dialogue.number);
    settle(&house, &visit, before_it, answer, before).await
}

/// Says whether the approval is still awaited, for the page that waits.
pub(super) async fn wait(
    State(house): State<Arc<House>>,
    head: Head,
) -> Result<Json<serde_json::Value>, Failure> {
    let waits = match Dialogue::of(&house, &head) {
        Ok(dialogue) => dialogue.waits(&house)?,
        Err(_) => false,
    };
    let state = if waits { "open" } else { "done" };
    Ok(Json(serde_json::json!({ "state": state })))
}

/// Gives it up: nobody is to be asked any more.
pub(super) async fn cancel(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    head: Head,
) -> Result<Response, Failure> {
    let mut page = go("/");
    cookies::end(&house, page.headers_mut(), COOKIE);
    if let Ok(dialogue) = Dialogue::of(&house, &head)
        && dialogue.waits(&house)?
    {
        let typed = (dialogue.user.as_str(), Secret::from(GIVE_UP));
        let attempt = attempt(&house, &visit, typed, Some(dialogue.state))?;
        let answer = Box::pin(house.rooms.access.decide(attempt)).await;
        house.rooms.telemetry.decision(&answer.decision);
    }
    Ok(page)
}

pub(super) async fn sign_out(
    State(house): State<Arc<House>>,
    Sent(signed, _): Sent<Pressed>,
) -> Result<Response, Failure> {
    let mut page = go("/");
    signed.end(&house, page.headers_mut()).await?;
    Ok(page)
}
