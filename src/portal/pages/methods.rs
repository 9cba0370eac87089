//! The person's methods: listed, named, removed; and the page for a lost phone.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::Chosen;
use super::stations::{self, Remembered};
use crate::account::{FactorKind, Language, Reason};
use crate::portal::House;
use crate::portal::page::{Failure, Frame, Next, go, show};
use crate::portal::session::{Guarded, Sent, SignedIn};
use crate::portal::texts::{self, Words};
use crate::portal::trail::Act;
use crate::portal::visit::Visit;
use crate::store::{Enrolled, KnownAccount};

/// Factors of one account, as the store bounds them.
pub(super) const MOST: usize = 16;
/// Characters of a name that somebody gives a method.
const LABEL: usize = 64;

/// A method, as it is shown.
struct Method {
    id: i64,
    label: String,
    kind: &'static str,
    added: String,
    used: String,
    state: Option<String>,
    device: bool,
    named: bool,
}

impl Method {
    fn of(house: &House, factor: &Enrolled, language: Language) -> Result<Self, Failure> {
        let t = texts::words(language);
        let kind = t.kind(factor.kind);
        let state = match factor.kind {
            FactorKind::Push => Some(device_state(house, factor, t)?.to_owned()),
            FactorKind::Recovery => Some(t.codes_left.replace("{}", &factor.digits.to_string())),
            FactorKind::Totp | FactorKind::Sms | FactorKind::Voice => None,
        };
        let used = factor.used;
        Ok(Self {
            id: factor.id,
            label: match factor.label.is_empty() {
                true => kind.to_owned(),
                false => factor.label.clone(),
            },
            kind,
            added: texts::date(factor.enrolled, language),
            used: used.map_or_else(|| t.never.to_owned(), |at| texts::date(at, language)),
            state,
            device: factor.kind == FactorKind::Push,
            named: factor.kind != FactorKind::Recovery,
        })
    }
}

fn device_state(
    house: &House,
    factor: &Enrolled,
    t: &'static Words,
) -> Result<&'static str, Failure> {
    if !factor.proven {
        return Ok(t.state_unproven);
    }
    let device = house.rooms.store.device(factor.id)?;
    Ok(match device {
        Some(device) if device.failed.is_some() => t.state_silent,
        Some(device) if device.bell.is_some() => t.state_rings,
        Some(_) | None => t.state_polls,
    })
}

fn methods(
    house: &House,
    known: Option<&KnownAccount>,
    language: Language,
) -> Result<Vec<Method>, Failure> {
    let factors = known.map(|known| known.factors.as_slice());
    let factors = factors.unwrap_or_default().iter();
    factors
        .map(|factor| Method::of(house, factor, language))
        .collect()
}

/// Those that are used to log in each day.
fn own(known: Option<&KnownAccount>) -> impl Iterator<Item = &Enrolled> {
    let factors = known.map(|known| known.factors.as_slice());
    let factors = factors.unwrap_or_default().iter();
    factors.filter(|factor| factor.proven && factor.kind < FactorKind::Sms)
}

/// What has just been done.
#[derive(Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
}

#[derive(Template)]
#[template(path = "methods.html", config = "src/portal/askama.toml")]
struct List<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    said: Option<&'a str>,
    methods: Vec<Method>,
    stations: Vec<Remembered>,
    has_own: bool,
    has_ntfy: bool,
}

pub(super) async fn list(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    signed: SignedIn,
    Query(done): Query<Done>,
) -> Result<Response, Failure> {
    let known = house.rooms.store.known(signed.account()).await?;
    let t = texts::words(visit.language);
    let said = match done.done.as_str() {
        "renamed" => Some(t.renamed),
        "removed" => Some(t.removed),
        "forgotten" => Some(t.forgotten),
        "last" => Some(t.is_last),
        "totp" => Some(t.totp_done),
        "many" => Some(t.too_many_methods),
        _ => None,
    };
    let setup = house.setup.load();
    Ok(show(&List {
        frame: Frame::new(&setup.settings, &visit, Some(&signed)),
        t,
        said,
        methods: methods(&house, known.as_ref(), visit.language)?,
        stations: stations::of(&house, known.as_ref(), visit.language),
        has_own: own(known.as_ref()).next().is_some(),
        has_ntfy: house.rooms.access.channels().has_ntfy(),
    }))
}

#[derive(Deserialize)]
pub(super) struct Named {
    csrf: String,
    id: i64,
    label: String,
}

impl Guarded for Named {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// A name that can be shown anywhere: without what turns text around or hides in it.
pub(in crate::portal) fn label(typed: &str) -> String {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let shown = typed.trim().chars().filter(|c| !hides(*c));
    shown.take(LABEL).collect()
}

pub(super) async fn rename(
    State(house): State<Arc<House>>,
    Sent(signed, named): Sent<Named>,
) -> Result<Response, Failure> {
    let label = label(&named.label);
    if label.is_empty() {
        return Err(Failure::Malformed);
    }
    let store = &house.rooms.store;
    match store
        .rename_factor(signed.account(), named.id, &label)
        .await?
    {
        true => Ok(go("/methods?done=renamed")),
        false => Err(Failure::Nowhere),
    }
}

/// Removes a method, unless it is the last by which its owner can log in.
pub(super) async fn remove(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Sent(signed, chosen): Sent<Chosen>,
) -> Result<Response, Failure> {
    let known = signed.fresh(&house, Next::Methods).await?;
    let mut left = own(known.as_ref()).map(|factor| factor.id);
    if left.all(|id| id == chosen.id) && own(known.as_ref()).any(|own| own.id == chosen.id) {
        return Ok(go("/methods?done=last"));
    }
    end(&house, (&visit, &signed), known.as_ref(), chosen.id).await?;
    Ok(go("/methods?done=removed"))
}

/// Takes a method away.
pub(super) async fn end(
    house: &House,
    (visit, signed): (&Visit, &SignedIn),
    known: Option<&KnownAccount>,
    id: i64,
) -> Result<(), Failure> {
    let factors = known.map(|known| known.factors.as_slice());
    let mut factors = factors.unwrap_or_default().iter();
    let factor = factors
        .find(|factor| factor.id == id)
        .ok_or(Failure::Nowhere)?;
    let act = Act {
        reason: Reason::MethodRemoved,
        kind: Some(factor.kind),
        label: &factor.label,
    };
    signed.record(house, visit, act).await?;
    let store = &house.rooms.store;
    let _was_there = store.remove_factor(signed.account(), id).await?;
    Ok(())
}

#[derive(Template)]
#[template(path = "add.html", config = "src/portal/askama.toml")]
struct Add<'a> {
    frame: Frame<'a>,
    t: &'static Words,
}

pub(super) async fn add(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    signed: SignedIn,
) -> Result<Response, Failure> {
    let _known = signed.fresh(&house, Next::Add).await?;
    let setup = house.setup.load();
    Ok(show(&Add {
        frame: Frame::new(&setup.settings, &visit, Some(&signed)),
        t: texts::words(visit.language),
    }))
}

#[derive(Template)]
#[template(path = "lost.html", config = "src/portal/askama.toml")]
struct Lost<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    removed: bool,
    methods: Vec<Method>,
    password_url: Option<&'a str>,
}

/// Lets somebody end a method that is in other hands, even their last.
pub(super) async fn lost(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    signed: SignedIn,
    Query(done): Query<Done>,
) -> Result<Response, Failure> {
    let removed = done.done == "removed";
    let store = &house.rooms.store;
    let known = match removed {
        true => store.known(signed.account()).await?,
        false => signed.fresh(&house, Next::Lost).await?,
    };
    let mut methods = methods(&house, known.as_ref(), visit.language)?;
    methods.retain(|method| method.named);
    let setup = house.setup.load();
    Ok(show(&Lost {
        frame: Frame::new(&setup.settings, &visit, Some(&signed)),
        t: texts::words(visit.language),
        removed,
        methods,
        password_url: setup.settings.password_url.as_deref(),
    }))
}

pub(super) async fn end_lost(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Sent(signed, chosen): Sent<Chosen>,
) -> Result<Response, Failure> {
    let known = signed.fresh(&house, Next::Lost).await?;
    end(&house, (&visit, &signed), known.as_ref(), chosen.id).await?;
    let mut page = go("/lost?done=removed");
    // Whoever has the phone may be signed in on it.
    signed.alone(&house, page.headers_mut()).await?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_nothing_that_hides() {
        assert_eq!(label("  私の iPhone  "), "私の iPhone");
        assert_eq!(label("a\u{202e}b\nc\u{200b}"), "abc");
        assert_eq!(label(&"x".repeat(200)).len(), LABEL);
        assert_eq!(label("\u{feff}"), "");
    }
}
