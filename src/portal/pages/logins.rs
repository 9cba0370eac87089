//! What happened to the person's logins, in their words; and "it was not me".

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::Pressed;
use crate::account::{AccountKey, ClientName, Decision, Language, Outcome};
use crate::clock::Timestamp;
use crate::portal::page::{Failure, Frame, Next, go, show};
use crate::portal::session::{Sent, SignedIn};
use crate::portal::texts::{self, Words};
use crate::portal::visit::Visit;
use crate::portal::{CLIENT, House, Settings};
use crate::store::{Told, Wanted};

/// How far back the page goes.
const AGE: Duration = Duration::from_secs(90 * 24 * 3600);
/// Rows of the trail that are looked through; an exchange has two to four.
const ROWS: u32 = 400;

/// A login, as it ended.
struct Row {
    at: String,
    good: bool,
    result: String,
    client: String,
    from: String,
    method: Option<&'static str>,
    reference: String,
}

#[derive(Template)]
#[template(path = "logins.html", config = "src/portal/askama.toml")]
struct List<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    rows: Vec<Row>,
    reported: bool,
    password_url: Option<&'a str>,
}

#[derive(Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
}

pub(super) async fn list(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    signed: SignedIn,
    Query(done): Query<Done>,
) -> Result<Response, Failure> {
    let store = &house.rooms.store;
    let story = store.story(Wanted::Account(signed.account().clone()), ROWS);
    let oldest = house.rooms.clock.now().before(AGE);
    let setup = house.setup.load();
    Ok(show(&List {
        frame: Frame::new(&setup.settings, &visit, Some(&signed)),
        t: texts::words(visit.language),
        rows: rows(story.await?, &setup.settings, visit.language, oldest),
        reported: done.done == "reported",
        password_url: setup.settings.password_url.as_deref(),
    }))
}

/// One row for each attempt, as it ended.
fn rows(story: Vec<Told>, settings: &Settings, language: Language, oldest: Timestamp) -> Vec<Row> {
    let t = texts::words(language);
    let mut known = HashSet::new();
    let mut rows = Vec::new();
    for told in story {
        match told {
            Told::Decision(decision) if decision.at >= oldest => {
                if known.insert(decision.attempt.clone()) {
                    rows.push(row(&decision, settings, language));
                }
            }
            Told::Failures {
                last,
                count,
                stations,
                client,
                reason,
                ..
            } if last >= oldest => {
                let count = t.failures.replace("{}", &count.to_string());
                let result = texts::reason(reason, language);
                rows.push(Row {
                    at: texts::date(last, language),
                    good: false,
                    result: format!("{result} ({count})"),
                    client: client_name(&client, settings, language),
                    from: stations.join(", "),
                    method: None,
                    reference: String::new(),
                });
            }
            Told::Decision(_)
            | Told::Failures { .. }
            | Told::Session(_)
            | Told::Operator { .. } => {}
        }
    }
    rows
}

fn row(decision: &Decision, settings: &Settings, language: Language) -> Row {
    let t = texts::words(language);
    let zone = decision.zone.as_deref().unwrap_or(t.outside);
    let station = decision.station.to_string();
    let station = match decision.station {
        crate::account::Station::Unknown => t.unknown_station,
        _ => &station,
    };
    Row {
        at: texts::date(decision.at, language),
        good: decision.outcome == Outcome::Accept,
        result: texts::reason(decision.reason, language).to_owned(),
        client: client_name(&decision.client, settings, language),
        from: format!("{zone} · {station}"),
        method: decision.factor.map(|kind| t.kind(kind)),
        reference: decision.attempt.to_string(),
    }
}

fn client_name(client: &ClientName, settings: &Settings, language: Language) -> String {
    if client.as_str() == CLIENT {
        return texts::words(language).this_site.to_owned();
    }
    let mut clients = settings.clients.iter();
    clients.find(|(known, _)| known == client).map_or_else(
        || client.to_string(),
        |(_, label)| label.text(language).to_owned(),
    )
}

/// Hears that a login was not theirs: what waits is denied, and the password counts as known to others.
pub(super) async fn report(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Sent(signed, _): Sent<Pressed>,
) -> Result<Response, Failure> {
    let _known = signed.fresh(&house, Next::Logins).await?;
    let name = AccountKey::from_stored(&signed.session.name);
    let access = &house.rooms.access;
    let decision = access
        .report((signed.account(), &name), (visit.address, visit.language))
        .await?;
    house.rooms.telemetry.decision(&decision);
    let mut page = go("/logins?done=reported");
    signed.alone(&house, page.headers_mut()).await?;
    Ok(page)
}
