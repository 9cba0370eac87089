//! Codes: an authenticator app, proven before it is kept; recovery codes, shown once.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

use super::pairing::picture;
use super::{Pressed, methods};
use crate::account::{AccountId, FactorKind, Reason};
use crate::factor::{Algorithm, RecoveryCode, Totp, typed_code};
use crate::portal::page::{Failure, Frame, Next, go, show as show_page};
use crate::portal::session::{Guarded, Head, Sent, SignedIn};
use crate::portal::texts::{self, Words};
use crate::portal::trail::Act;
use crate::portal::visit::Visit;
use crate::portal::{House, cookies};
use crate::store::Proof;

const COOKIE: &str = "totp";
const LIFE: Duration = Duration::from_secs(900);
/// Recovery codes of a list.
const RECOVERY_CODES: usize = 10;

/// A seed that waits for its proof, nowhere but in its owner's browser.
#[derive(Serialize, Deserialize)]
struct Pending {
    account: AccountId,
    seed: String,
}

impl Pending {
    fn of(house: &House, signed: &SignedIn, head: &Head) -> Option<(Totp, String)> {
        let pending: Self = cookies::kept(house, &head.0, COOKIE)?;
        let seed = Totp::read_seed(&pending.seed).ok()?;
        let totp = Totp::new(seed, Algorithm::Sha1, 6).ok()?;
        (pending.account == *signed.account()).then_some((totp, pending.seed))
    }
}

pub(super) async fn begin(
    State(house): State<Arc<House>>,
    Sent(signed, _): Sent<Pressed>,
) -> Result<Response, Failure> {
    let known = signed.fresh(&house, Next::Add).await?;
    if known.is_some_and(|known| known.factors.len() >= methods::MOST) {
        return Ok(go("/methods?done=many"));
    }
    let pending = Pending {
        account: signed.account().clone(),
        seed: BASE32_NOPAD.encode(Totp::random().seed().expose()),
    };
    let mut page = go("/methods/add/totp");
    cookies::keep(&house, page.headers_mut(), (COOKIE, &pending), LIFE);
    Ok(page)
}

#[derive(Template)]
#[template(path = "totp.html", config = "src/portal/askama.toml")]
struct Scan<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    said: Option<&'a str>,
    qr: String,
    seed: String,
    label: &'a str,
}

pub(super) async fn show(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    signed: SignedIn,
    head: Head,
) -> Result<Response, Failure> {
    let Some(pending) = Pending::of(&house, &signed, &head) else {
        return Ok(go("/methods/add"));
    };
    let label = texts::words(visit.language).totp_label;
    scan_page(&house, (&visit, &signed), pending, (label, None))
}

fn scan_page(
    house: &House,
    (visit, signed): (&Visit, &SignedIn),
    (totp, seed): (Totp, String),
    (label, said): (&str, Option<&str>),
) -> Result<Response, Failure> {
    let setup = house.setup.load();
    let issuer = setup.settings.issuer.text(visit.language);
    let uri = totp.uri(issuer, signed.shown());
    // Fours are read and typed more easily.
    let letters: Vec<char> = seed.chars().collect();
    let fours = letters
        .chunks(4)
        .map(|four| four.iter().collect::<String>());
    Ok(show_page(&Scan {
        frame: Frame::new(&setup.settings, visit, Some(signed)).at("/methods/add/totp"),
        t: texts::words(visit.language),
        said,
        qr: picture(uri.expose_str().unwrap_or_default())?,
        seed: fours.collect::<Vec<_>>().join(" "),
        label,
    }))
}

#[derive(Deserialize)]
pub(super) struct Proving {
    csrf: String,
    label: String,
    code: String,
}

impl Guarded for Proving {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

pub(super) async fn prove(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    head: Head,
    Sent(signed, proving): Sent<Proving>,
) -> Result<Response, Failure> {
    let _known = signed.fresh(&house, Next::Add).await?;
    let Some((totp, seed)) = Pending::of(&house, &signed, &head) else {
        return Ok(go("/methods/add"));
    };
    let t = texts::words(visit.language);
    let label = methods::label(&proving.label);
    let label = if label.is_empty() {
        t.totp_label
    } else {
        &label
    };
    let Some(step) = totp.verify(&typed_code(&proving.code), house.rooms.clock.now()) else {
        let said = Some(t.totp_wrong);
        return scan_page(&house, (&visit, &signed), (totp, seed), (label, said));
    };
    let act = Act {
        reason: Reason::MethodAdded,
        kind: Some(FactorKind::Totp),
        label,
    };
    signed.record(&house, &visit, act).await?;
    let (store, name) = (&house.rooms.store, &signed.session.name);
    let _factor = store
        .enrol_totp(signed.account(), name, label, totp, Proof::Step(step))
        .await?;
    let mut page = go("/methods?done=totp");
    cookies::end(&house, page.headers_mut(), COOKIE);
    Ok(page)
}

#[derive(Template)]
#[template(path = "recovery.html", config = "src/portal/askama.toml")]
struct Recovery<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    codes: Vec<String>,
}

/// Makes new recovery codes in place of the old, and shows them, once.
pub(super) async fn recovery(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Sent(signed, _): Sent<Pressed>,
) -> Result<Response, Failure> {
    let _known = signed.fresh(&house, Next::Methods).await?;
    let act = Act {
        reason: Reason::RecoveryCodesMade,
        kind: Some(FactorKind::Recovery),
        label: "",
    };
    signed.record(&house, &visit, act).await?;
    let store = &house.rooms.store;
    let (key, account) = (store.code_key(), signed.account());
    let codes: Vec<String> = (0..RECOVERY_CODES)
        .map(|_| RecoveryCode::random().shown())
        .collect();
    let digest = |code: &String| RecoveryCode::digest(&key, account.as_str(), &typed_code(code));
    let digests = codes.iter().map(digest).collect();
    let name = &signed.session.name;
    store.replace_recovery_codes(account, name, digests).await?;
    let setup = house.setup.load();
    Ok(show_page(&Recovery {
        frame: Frame::new(&setup.settings, &visit, Some(&signed)).at("/methods"),
        t: texts::words(visit.language),
        codes,
    }))
}
