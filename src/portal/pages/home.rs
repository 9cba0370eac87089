//! The first page, the page for whoever cannot log in, and the page of a device.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use data_encoding::BASE64URL_NOPAD;

use crate::account::FactorKind;
use crate::portal::House;
use crate::portal::page::{Failure, Frame, go, show};
use crate::portal::session::Maybe;
use crate::portal::texts::{self, Words};
use crate::portal::visit::Visit;

struct Status {
    ready: bool,
    single: bool,
}

#[derive(Template)]
#[template(path = "home.html", config = "src/portal/askama.toml")]
struct Home<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    status: Option<Status>,
    has_wifi: bool,
}

pub(super) async fn home(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Maybe(signed): Maybe,
) -> Result<Response, Failure> {
    let status = match &signed {
        None => None,
        Some(signed) => {
            let known = house.rooms.store.known(signed.account()).await?;
            let factors = known.map_or_else(Vec::new, |known| known.factors);
            let own = factors.iter().filter(|factor| factor.proven);
            let own = own.filter(|factor| factor.kind < FactorKind::Sms).count();
            Some(Status {
                ready: own > 0,
                single: own == 1,
            })
        }
    };
    let setup = house.setup.load();
    Ok(show(&Home {
        frame: Frame::new(&setup.settings, &visit, signed.as_ref()),
        t: texts::words(visit.language),
        status,
        has_wifi: setup.settings.wifi.is_some(),
    }))
}

#[derive(Template)]
#[template(path = "desk.html", config = "src/portal/askama.toml")]
struct Desk<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    desk: &'a str,
    password_url: Option<&'a str>,
}

/// Says the same to everybody, and nothing of any account.
pub(super) async fn desk(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
) -> Response {
    let setup = house.setup.load();
    show(&Desk {
        frame: Frame::new(&setup.settings, &visit, None),
        t: texts::words(visit.language),
        desk: setup.settings.desk.text(visit.language),
        password_url: setup.settings.password_url.as_deref(),
    })
}

#[derive(Template)]
#[template(path = "app.html", config = "src/portal/askama.toml")]
struct App<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    vapid: String,
    origin: &'a str,
    password_url: Option<&'a str>,
    texts: Vec<(&'static str, &'static str)>,
}

/// The page of a device: who is signed in plays no part, the device itself says whose it is.
pub(super) async fn app(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
) -> Response {
    let setup = house.setup.load();
    let t = texts::words(visit.language);
    let channels = house.rooms.access.channels();
    // No key, no bell: nobody is asked for notifications that nothing would send.
    let vapid = channels.vapid_public().filter(|_| channels.has_web_push());
    show(&App {
        frame: Frame::new(&setup.settings, &visit, None),
        t,
        vapid: vapid.map_or_else(String::new, |key| BASE64URL_NOPAD.encode(&key)),
        origin: setup.settings.url.origin(),
        password_url: setup.settings.password_url.as_deref(),
        texts: t.for_script().to_vec(),
    })
}

/// Where a ring leads: the page of the device, which lists all that waits.
pub(super) async fn approve() -> Response {
    go("/app")
}
