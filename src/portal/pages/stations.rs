//! Stations at which the person is not asked for a second factor: listed with their methods, and forgotten.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use crate::account::{Language, Reason, Station};
use crate::portal::House;
use crate::portal::page::{Failure, go};
use crate::portal::session::{Guarded, Sent};
use crate::portal::texts;
use crate::portal::trail::Act;
use crate::portal::visit::Visit;
use crate::store::KnownAccount;

/// A station, as it is shown.
pub(super) struct Remembered {
    pub(super) station: String,
    pub(super) client: String,
    pub(super) since: String,
    pub(super) until: String,
}

/// Those of an account, the one proven first in front.
pub(super) fn of(
    house: &House,
    known: Option<&KnownAccount>,
    language: Language,
) -> Vec<Remembered> {
    let settings = house.rooms.access.settings();
    let kept = known.map(|known| known.remembered.as_slice());
    let kept = kept.unwrap_or_default().iter();
    kept.map(|kept| {
        let mut clients = settings.clients.iter();
        let client = clients.find(|client| client.name == kept.client);
        let label = client.map(|client| client.label.text(language).to_owned());
        Remembered {
            station: kept.station.to_string(),
            client: label.unwrap_or_else(|| kept.client.to_string()),
            since: texts::date(kept.at, language),
            until: texts::date(kept.until, language),
        }
    })
    .collect()
}

#[derive(Deserialize)]
pub(super) struct Named {
    csrf: String,
    station: String,
}

impl Guarded for Named {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// Forgets one: it needs no fresh proof, for nobody gains by it but the owner.
pub(super) async fn forget(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Sent(signed, named): Sent<Named>,
) -> Result<Response, Failure> {
    let station = match Station::read(&named.station) {
        Station::Unknown => return Err(Failure::Malformed),
        known => known,
    };
    let known = house.rooms.store.known(signed.account()).await?;
    let kept = known.map(|known| known.remembered).unwrap_or_default();
    if !kept.iter().any(|kept| kept.station == station) {
        return Err(Failure::Nowhere);
    }
    let label = station.to_string();
    let act = Act {
        reason: Reason::StationForgotten,
        kind: None,
        label: &label,
    };
    signed.record(&house, &visit, act).await?;
    let access = &house.rooms.access;
    access
        .forget_stations(signed.account(), Some(station))
        .await?;
    Ok(go("/methods?done=forgotten"))
}
