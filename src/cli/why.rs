//! `why`: the story of a login, in sentences, newest last.

use std::io;

use nix::unistd::{Uid, User};
use serde_json::json;

use super::login::duration;
use super::terminal::{Page, padded, plain};
use super::words::{self, Words};
use super::{DaemonAt, Ended, Exit, astray, sessions};
use crate::control::{Answer, Ask, Decision, Outcome, Reason, Station, Told};

/// Columns of a name.
const NAME_COLUMNS: usize = 16;

pub(super) async fn tell(
    about: Option<String>,
    limit: u32,
    daemon: &DaemonAt,
    page: &mut Page<'_>,
) -> Ended {
    let ask = Ask::Why {
        about: about.clone(),
        limit,
    };
    let Answer::Story { rows, began } = daemon.ask(ask).await? else {
        return Err(astray());
    };
    if page.is_json() {
        page.object(&match began {
            Some(began) => json!({ "rows": rows, "began": began }),
            None => json!({ "rows": rows }),
        })?;
        return Ok(Exit::Done);
    }
    let words = words::of(page.language());
    let about = about.as_deref().map(plain);
    if let (Some(began), Some(attempt)) = (began, &about) {
        let attempt = attempt.trim().to_uppercase();
        let when = page.moment(began.millis());
        page.line(words.counted_in(&attempt, &when, !rows.is_empty()))?;
        if !rows.is_empty() {
            page.gap()?;
        }
    } else if rows.is_empty() {
        page.line(words.no_story(about.as_deref()))?;
    }
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            page.gap()?;
        }
        row_told(row, words, page)?;
    }
    Ok(Exit::Done)
}

fn row_told(row: &Told, words: &dyn Words, page: &mut Page<'_>) -> io::Result<()> {
    match row {
        Told::Decision(decision) => decided(decision, words, page),
        Told::Failures {
            last,
            count,
            names,
            stations,
            client,
            reason,
            ..
        } => {
            let when = page.moment(last.millis());
            let outcome = match reason.is_undecided() {
                true => Outcome::Undecided,
                false => Outcome::Reject,
            };
            let outcome = page.bad(words.outcome(outcome));
            let times = words.failures(*count);
            page.line(format!("{when}  {outcome}  {client}, {times}"))?;
            explained(*reason, words, page)?;
            let mut names: Vec<String> = names.iter().map(|name| plain(name)).collect();
            names.retain(|name| !name.is_empty());
            let stations: Vec<String> = stations.iter().map(|station| plain(station)).collect();
            if !names.is_empty() {
                page.line(page.faint(&format!("    {}", words.typed(&names.join(", ")))))?;
            }
            if !stations.is_empty() {
                page.line(page.faint(&format!("    {}", words.stations(&stations.join(", ")))))?;
            }
            Ok(())
        }
        Told::Session(session) => sessions::told_in_story(session, page),
        Told::Operator { at, uid, what, .. } => {
            let when = page.moment(at.millis());
            page.line(format!(
                "{when}  {}",
                words.operator(&operator(*uid), &plain(&words::act(words, what)))
            ))
        }
    }
}

fn decided(decision: &Decision, words: &dyn Words, page: &mut Page<'_>) -> io::Result<()> {
    // What an owner or a device does is no login that waits.
    let waits = matches!(decision.reason, Reason::PushAsked | Reason::Repeated);
    let outcome = match decision.outcome {
        Outcome::Waiting if !waits => words.noted(),
        outcome => words.outcome(outcome),
    };
    let outcome = match decision.outcome {
        Outcome::Accept => page.good(outcome),
        Outcome::Challenge | Outcome::Waiting => page.fair(outcome),
        Outcome::Reject | Outcome::Undecided => page.bad(outcome),
    };
    let name = padded(&plain(&decision.name), NAME_COLUMNS);
    page.line(format!(
        "{}  {}  {}  {outcome}",
        page.moment(decision.at.millis()),
        decision.attempt,
        page.strong(&name),
    ))?;
    let factor = decision
        .factor
        .map_or_else(String::new, |kind| format!(" ({})", words.factor(kind)));
    explained_with(decision.reason, &factor, words, page)?;
    if let Some(note) = &decision.note {
        page.line(format!("    {}", plain(&words.note(note))))?;
    }
    let mut facts = vec![words.way(
        decision.client.as_str(),
        &decision.nas.to_string(),
        &station(decision, words),
        decision.zone.as_deref(),
    )];
    facts.extend(decision.rule.as_ref().map(|rule| words.rule(&plain(rule))));
    page.line(page.faint(&format!("    {}", facts.join(" "))))?;
    if decision.durations.total == 0 {
        return Ok(());
    }
    let directory = match decision.durations.directory {
        0 => None,
        micros => Some(duration(micros)),
    };
    let took = words.took(&duration(decision.durations.total), directory.as_deref());
    page.line(page.faint(&format!("    {took}")))
}

fn explained(reason: Reason, words: &dyn Words, page: &mut Page<'_>) -> io::Result<()> {
    explained_with(reason, "", words, page)
}

fn explained_with(
    reason: Reason,
    aside: &str,
    words: &dyn Words,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let explained = words.reason(reason);
    page.line(format!(
        "    {}{}",
        explained.what,
        page.faint(&format!("{aside} [{reason}]"))
    ))?;
    if !explained.mend.is_empty() {
        page.line(format!("    → {}", explained.mend))?;
    }
    Ok(())
}

fn station(decision: &Decision, words: &dyn Words) -> String {
    match (&decision.station, &decision.station_from) {
        (Station::Unknown, _) => words.unknown_station().to_owned(),
        (station, None) => station.to_string(),
        (station, Some(from)) => format!("{station} ({from})"),
    }
}

/// The name that this machine has for a uid.
fn operator(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("{} (uid {uid})", plain(&user.name)),
        Ok(None) | Err(_) => format!("uid {uid}"),
    }
}
