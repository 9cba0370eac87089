//! `status --nagios`: one line, an exit status and figures, as monitoring plugins give them.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::terminal::{Page, plain};
use super::upkeep::size;
use super::{DaemonAt, Ended, Exit};
use crate::control::{Answer, Ask, Caller, NoAnswer, Status};

/// How long the daemon may take: monitoring gives up after ten seconds, as a rule.
const PATIENCE: Duration = Duration::from_secs(8);
const MIB: u64 = 1 << 20;

/// From when on something is worth a warning, or is critical; nothing is, where nothing is said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Thresholds {
    /// Size of the store in MiB.
    pub(super) size: [Option<u64>; 2],
    /// The daemon's answer in milliseconds.
    pub(super) time: [Option<u64>; 2],
}

/// How it is, the worse the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Fine,
    Warning,
    Critical,
    Unknown,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Fine => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    const fn exit(self) -> Exit {
        match self {
            Self::Fine => Exit::Done,
            Self::Warning => Exit::Failed,
            Self::Critical => Exit::Critical,
            Self::Unknown => Exit::Unknown,
        }
    }
}

pub(super) async fn status(
    thresholds: Thresholds,
    daemon: &DaemonAt,
    page: &mut Page<'_>,
) -> Ended {
    let begun = Instant::now();
    let asked = timeout(PATIENCE, ask(daemon)).await;
    let took = begun.elapsed();
    let (state, text) = match asked {
        Ok(Ok(status)) => judge(&status, took, thresholds),
        Ok(Err((state, why))) => (state, why),
        Err(_) => (
            State::Critical,
            format!("no answer within {} s", PATIENCE.as_secs()),
        ),
    };
    page.line(format!("SEKISHO {} - {text}", state.word()))?;
    Ok(state.exit())
}

async fn ask(daemon: &DaemonAt) -> Result<Status, (State, String)> {
    let place = daemon
        .place()
        .map_err(|failure| (State::Unknown, one_line(&failure.why)))?;
    let unanswered = |error: NoAnswer| match error {
        NoAnswer::NobodyThere { path, source } => (
            State::Critical,
            format!("no daemon listens at {}: {source}", path.display()),
        ),
        NoAnswer::NotAllowed { path } => (
            State::Unknown,
            format!("{} may not be asked by this user", path.display()),
        ),
        NoAnswer::Broken(why) => (State::Critical, format!("no answer: {why}")),
        NoAnswer::Unreadable(_) => (
            State::Unknown,
            "the answer cannot be read: another version?".to_owned(),
        ),
    };
    let mut caller = Caller::connect(&place).await.map_err(unanswered)?;
    match caller.ask(&Ask::Status).await.map_err(unanswered)? {
        Answer::Status(status) => Ok(*status),
        _ => Err((State::Unknown, "the answer is to something else".to_owned())),
    }
}

fn judge(status: &Status, took: Duration, thresholds: Thresholds) -> (State, String) {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let store = &status.store;
    let up = status.directories.iter().filter(|server| server.up).count();
    let servers = status.directories.len();
    let mut state = State::Fine;
    let mut wrong = Vec::new();
    let mut found = |is: State, what: String| {
        state = state.max(is);
        wrong.push(what);
    };
    if !status.ready {
        found(State::Critical, "logins cannot be decided".to_owned());
    }
    if !store.writable {
        let why = store.last_error.as_deref().unwrap_or("no reason is known");
        found(
            State::Critical,
            format!("the store cannot be written: {why}"),
        );
    }
    for server in status.directories.iter().filter(|server| !server.up) {
        let is = if up == 0 {
            State::Critical
        } else {
            State::Warning
        };
        found(is, format!("{} is down", server.server));
    }
    let over = |value: u64, [warning, critical]: [Option<u64>; 2]| match value {
        value if critical.is_some_and(|critical| value >= critical) => Some(State::Critical),
        value if warning.is_some_and(|warning| value >= warning) => Some(State::Warning),
        _ => None,
    };
    if let Some(is) = over(store.octets / MIB, thresholds.size) {
        found(is, format!("the store has {}", size(store.octets)));
    }
    if let Some(is) = over(millis, thresholds.time) {
        found(is, format!("the answer took {millis} ms"));
    }
    let told = match wrong.is_empty() {
        true => format!(
            "{} ready, {up} of {servers} directory servers up, store {}",
            status.version,
            size(store.octets)
        ),
        false => wrong.join("; "),
    };
    let figures = figures(status, millis, up, thresholds);
    (state, format!("{} | {figures}", one_line(&told)))
}

/// `name=value;warning;critical;least;most`, as plugins give them.
fn figures(status: &Status, millis: u64, up: usize, thresholds: Thresholds) -> String {
    let store = &status.store;
    let limits = |[warning, critical]: [Option<u64>; 2], unit: u64| {
        let shown = |limit: Option<u64>| {
            limit.map_or_else(String::new, |limit| limit.saturating_mul(unit).to_string())
        };
        format!("{};{}", shown(warning), shown(critical))
    };
    format!(
        "directories={up};;;0;{} store={}B;{};0 time={millis}ms;{};0 accounts={};;;0 audit_rows={};;;0 clients={};;;0",
        status.directories.len(),
        store.octets,
        limits(thresholds.size, MIB),
        limits(thresholds.time, 1),
        store.accounts,
        store.audit_rows,
        status.clients
    )
}

/// Without what would end the line or begin the figures.
fn one_line(text: &str) -> String {
    plain(text).replace('|', "/")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(up: &[bool], writable: bool, octets: u64) -> Status {
        let servers = up.iter().enumerate().map(
            |(at, up)| json!({ "server": format!("ldap{at}:636"), "up": up, "last_error": null }),
        );
        let servers: Vec<_> = servers.collect();
        serde_json::from_value(json!({
            "version": "0.1.0", "ready": writable && up.contains(&true), "addresses": [], "clients": 3,
            "directories": servers,
            "store": {
                "writable": writable, "last_error": if writable { None } else { Some("disk|full\n") }, "accounts": 7,
                "audit_rows": 40, "octets": octets, "schema": 3, "failures_lost": 0,
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_worst_counts_and_all_is_told() {
        let limits = Thresholds {
            size: [Some(10), Some(20)],
            time: [Some(500), Some(5000)],
        };
        for (status, millis, state, told) in [
            (
                status(&[true, true], true, MIB),
                3,
                State::Fine,
                "2 of 2 directory servers up",
            ),
            (
                status(&[true, false], true, MIB),
                3,
                State::Warning,
                "ldap1:636 is down",
            ),
            (
                status(&[false, false], true, MIB),
                3,
                State::Critical,
                "ldap0:636 is down; ldap1:636 is down",
            ),
            (
                status(&[true], false, MIB),
                3,
                State::Critical,
                "the store cannot be written: disk/full",
            ),
            (
                status(&[true], true, 10 * MIB),
                3,
                State::Warning,
                "the store has 10.0 MiB",
            ),
            (
                status(&[true], true, 20 * MIB),
                3,
                State::Critical,
                "the store has 20.0 MiB",
            ),
            (
                status(&[true], true, MIB),
                500,
                State::Warning,
                "took 500 ms",
            ),
            (
                status(&[true, false], true, MIB),
                5000,
                State::Critical,
                "took 5000 ms",
            ),
        ] {
            let (is, text) = judge(&status, Duration::from_millis(millis), limits);
            assert_eq!(is, state, "{text}");
            assert!(text.contains(told), "{text}");
            assert_eq!(text.matches('|').count(), 1, "{text}");
            assert!(!text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn figures_have_their_limits_and_bounds() {
        let limits = Thresholds {
            size: [Some(10), None],
            time: [None, Some(5000)],
        };
        let (_, text) = judge(
            &status(&[true, false], true, 4096),
            Duration::from_millis(7),
            limits,
        );
        let (_, figures) = text.split_once(" | ").unwrap();
        assert_eq!(
            figures,
            "directories=1;;;0;2 store=4096B;10485760;;0 time=7ms;;5000;0 accounts=7;;;0 audit_rows=40;;;0 clients=3;;;0"
        );
    }
}
