//! A doorbell by the site's ntfy server, for phones whose browser cannot be rung: a topic of its own for each device, which
//! its owner subscribes to in the app of ntfy.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::Chosen;
use super::pairing::picture;
use crate::channel::{Doorbell, Topic};
use crate::portal::House;
use crate::portal::page::{Failure, Frame, Next, go, show};
use crate::portal::session::{Sent, SignedIn};
use crate::portal::texts::{self, Words};
use crate::portal::visit::Visit;
use crate::secret::Secret;
use crate::store::Device;

/// Which device.
#[derive(Deserialize)]
pub(super) struct Which {
    id: i64,
}

#[derive(Template)]
#[template(path = "ntfy.html", config = "src/portal/askama.toml")]
struct Shown<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    label: &'a str,
    address: &'a str,
    qr: String,
}

/// A device of whoever is signed in.
fn own(house: &House, signed: &SignedIn, id: i64) -> Result<Device, Failure> {
    let device = house.rooms.store.device(id)?;
    device
        .filter(|device| device.account == *signed.account())
        .ok_or(Failure::Nowhere)
}

/// Gives a device a topic in place of the bell that it has.
pub(super) async fn begin(
    State(house): State<Arc<House>>,
    Sent(signed, chosen): Sent<Chosen>,
) -> Result<Response, Failure> {
    let _known = signed.fresh(&house, Next::Methods).await?;
    let device = own(&house, &signed, chosen.id)?;
    if !house.rooms.access.channels().has_ntfy() {
        return Err(Failure::Nowhere);
    }
    let topic = Topic::random();
    let bell = serde_json::to_string(&Doorbell::Ntfy { topic }).map_err(|_| Failure::Trouble)?;
    let bell = Secret::from(bell.as_str());
    house.rooms.store.give_bell(device.id, bell).await?;
    Ok(go(&format!("/methods/ntfy?id={}", device.id)))
}

/// Where its owner subscribes.
pub(super) async fn address(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    signed: SignedIn,
    Query(which): Query<Which>,
) -> Result<Response, Failure> {
    let _known = signed.fresh(&house, Next::Methods).await?;
    let device = own(&house, &signed, which.id)?;
    let bell = device.bell.as_ref().map(Secret::expose);
    let bell = bell.and_then(|bell| serde_json::from_slice(bell).ok());
    let Some(Doorbell::Ntfy { topic }) = bell else {
        return Err(Failure::Nowhere);
    };
    let address = house.rooms.access.channels().ntfy_address(&topic);
    let address = address.ok_or(Failure::Nowhere)?;
    let setup = house.setup.load();
    Ok(show(&Shown {
        frame: Frame::new(&setup.settings, &visit, Some(&signed)),
        t: texts::words(visit.language),
        label: &device.label,
        qr: picture(&address)?,
        address: &address,
    }))
}
