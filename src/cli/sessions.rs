//! Sessions on the network: shown as NASes account for them, and ended.

use std::io;

use serde_json::{Value, json};

use super::people::row;
use super::terminal::{Page, plain};
use super::upkeep::size;
use super::words::{self, Label, Words};
use super::{DaemonAt, Ended, Exit, astray};
use crate::control::{AccountedSession, Answer, Ask, EndOutcome, SessionAsked, Station};

/// Sessions shown of an account: all that are open, and as many of the others.
const SHOWN: usize = 5;

/// Has the open sessions of a user ended.
pub(super) async fn disconnect(user: String, daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    let name = plain(&user);
    let Answer::Disconnected { sessions } = daemon.ask(Ask::Disconnect { user }).await? else {
        return Err(astray());
    };
    let words = words::of(page.language());
    if page.is_json() {
        page.object(&json!({ "sessions": sessions }))?;
    } else if sessions.is_empty() {
        page.line(words.nothing_open(&name))?;
    } else {
        for SessionAsked { session, outcome } in &sessions {
            page.line(place(session, words))?;
            page.line(format!("    {}", told(*outcome, words, page)))?;
        }
    }
    let ended = |asked: &SessionAsked| asked.outcome == EndOutcome::Ended;
    Ok(match sessions.iter().all(ended) {
        true => Exit::Done,
        false => Exit::Failed,
    })
}

/// The rows of `user show`.
pub(super) fn rows(sessions: &[AccountedSession], page: &mut Page<'_>) -> io::Result<()> {
    let words = words::of(page.language());
    let (open, over): (Vec<_>, Vec<_>) = sessions.iter().partition(|one| one.ended.is_none());
    let shown = open.into_iter().chain(over.into_iter().take(SHOWN));
    for (at, session) in shown.enumerate() {
        let name = match at {
            0 => words.label(Label::Sessions),
            _ => "",
        };
        let times = times(session, words, page);
        row(page, name, &times)?;
        for line in details(session, words, page) {
            let line = page.faint(&format!("  {line}"));
            row(page, "", &line)?;
        }
    }
    Ok(())
}

/// A session in the story of a login.
pub(super) fn told_in_story(session: &AccountedSession, page: &mut Page<'_>) -> io::Result<()> {
    let words = words::of(page.language());
    let when = session.ended.map_or(session.begun, |(at, _)| at);
    let name = page.strong(&plain(&session.facts.name));
    let times = times(session, words, page);
    page.line(format!(
        "{}  {}  {name}  {times}",
        page.moment(when.millis()),
        session.attempt
    ))?;
    for line in details(session, words, page) {
        page.line(page.faint(&format!("    {line}")))?;
    }
    Ok(())
}

fn times(session: &AccountedSession, words: &dyn Words, page: &Page<'_>) -> String {
    let since = page.moment(session.begun.millis());
    match session.ended {
        None => page.good(&words.session(&since, None)),
        Some((at, how)) => {
            let until = page.moment(at.millis());
            let how = words.session_end(how);
            format!("{}, {how}", words.session(&since, Some(&until)))
        }
    }
}

fn details(session: &AccountedSession, words: &dyn Words, page: &Page<'_>) -> Vec<String> {
    let mut lines = vec![place(session, words)];
    lines.extend(counted(session, words));
    if let Some(asked) = &session.facts.asked {
        let when = page.moment(asked.at.millis());
        let outcome = words.end_outcome(asked.outcome);
        lines.push(format!("{}: {outcome}", words.end_asked(&when, asked.why)));
    }
    lines
}

fn place(session: &AccountedSession, words: &dyn Words) -> String {
    let facts = &session.facts;
    let station = match &facts.station {
        Station::Unknown => words.unknown_station().to_owned(),
        station => station.to_string(),
    };
    words.session_at(facts.client.as_str(), &facts.nas.to_string(), &station)
}

fn counted(session: &AccountedSession, words: &dyn Words) -> Option<String> {
    let number = |name: &str| session.facts.details.get(name).and_then(Value::as_u64);
    let (octets_in, octets_out) = (number("octets-in")?, number("octets-out")?);
    let lasted = lasted(number("seconds").unwrap_or_default());
    Some(words.session_counted(&lasted, &size(octets_in), &size(octets_out)))
}

/// Hours, minutes and seconds, as a clock shows them.
fn lasted(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60 % 60, seconds / 3600);
    format!("{hours}:{minutes:02}:{:02}", seconds % 60)
}

fn told(outcome: EndOutcome, words: &dyn Words, page: &Page<'_>) -> String {
    let text = words.end_outcome(outcome);
    match outcome {
        EndOutcome::Ended => page.good(&text),
        EndOutcome::Refused(_) | EndOutcome::Off => page.fair(&text),
        EndOutcome::Unanswered | EndOutcome::Unsent => page.bad(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_as_by_a_clock() {
        assert_eq!(lasted(0), "0:00:00");
        assert_eq!(lasted(3_600 * 26 + 65), "26:01:05");
    }
}
