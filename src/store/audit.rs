//! The audit trail: written with what it is about, told newest first, thrown away when it is old.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Row, ToSql, params, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::database::{snapshot, statement};
use super::people::{AccountRow, Waiting, number};
use super::sessions::sessions_of;
use super::writer::Writing;
use super::{
    AccountedSession, AccountingRecord, Admission, Challenge, Error, Failure, Recorded, Told,
    Wanted,
};
use crate::account::{
    AccountId, AttemptId, ClientName, Decision, Durations, FactorKind, Outcome, Reason, Station,
};
use crate::clock::Timestamp;

/// Names and stations kept as samples of one minute's failures.
const SAMPLES: usize = 16;
/// Characters of a sample.
const SAMPLE: usize = 64;
/// Characters of an operator's act.
const ACT: usize = 1024;
/// Rows that one transaction of a sweep throws away from each table: some milliseconds of the writer's time.
const SWEPT: u32 = 2000;
/// Decisions on one attempt: more than its rounds, retries and the acts of its owner's devices.
const DECISIONS_OF_ATTEMPT: u32 = 64;
/// The longest story.
const STORY: u32 = 10_000;
/// Acct-Status-Type Interim-Update (RFC 2866 §5.1): the same session sends many.
const INTERIM: u32 = 3;
const MINUTE: i64 = 60_000;
/// Half of the octets that are written to see whether the disk has room: eight pages.
const TOUCHED: u32 = 16 << 10;
/// Stations end after days, so that looking through them once an hour is enough.
const STATIONS_SWEPT: Duration = Duration::from_secs(3600);

const SQL: &str = include_str!("sql/audit.sql");
const ADD_DECISION: &str = statement(SQL, "add-decision");
const COUNT_FAILURE: &str = statement(SQL, "count-failure");
const SAMPLE_FAILURE: &str = statement(SQL, "sample-failure");
const ADD_OPERATOR: &str = statement(SQL, "add-operator");
const ADD_ACCOUNTING: &str = statement(SQL, "add-accounting");
pub(super) const ROWS: &str = statement(SQL, "rows");
const PRUNE: [&str; 4] = [
    statement(SQL, "prune-decision"),
    statement(SQL, "prune-failure"),
    statement(SQL, "prune-operator"),
    statement(SQL, "prune-accounting"),
];

/// A decision as kept: what the row's columns do not say, under short names, for there are millions.
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    #[serde(rename = "c", borrow)]
    client: Cow<'a, str>,
    #[serde(rename = "n")]
    nas: IpAddr,
    #[serde(rename = "s", default, skip_serializing_if = "is_unknown")]
    station: Station,
    #[serde(rename = "sf", default, skip_serializing_if = "Option::is_none")]
    station_from: Option<Arc<str>>,
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    zone: Option<Arc<str>>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    rule: Option<Arc<str>>,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    factor: Option<FactorKind>,
    #[serde(rename = "o")]
    outcome: Outcome,
    #[serde(rename = "y")]
    reason: Reason,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    directory: Option<Arc<str>>,
    #[serde(rename = "t")]
    durations: [u64; 4],
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    note: Option<Arc<str>>,
}

fn is_unknown(station: &Station) -> bool {
    *station == Station::Unknown
}

impl<'a> Body<'a> {
    fn of(decision: &'a Decision, factor: Option<FactorKind>) -> Self {
        let Durations {
            directory,
            store,
            channel,
            total,
        } = decision.durations;
        Self {
            client: decision.client.as_str().into(),
            nas: decision.nas,
            station: decision.station.clone(),
            station_from: decision.station_from.clone(),
            zone: decision.zone.clone(),
            rule: decision.rule.clone(),
            factor: factor.or(decision.factor),
            outcome: decision.outcome,
            reason: decision.reason,
            directory: decision.directory.clone(),
            durations: [directory, store, channel, total],
            note: decision.note.clone(),
        }
    }
}

fn decision(row: &Row<'_>) -> Result<Decision, Error> {
    let (attempt, body): (String, String) = (row.get(1)?, row.get(4)?);
    let (stable, name): (Option<String>, String) = (row.get(2)?, row.get(3)?);
    let body: Body<'_> = serde_json::from_str(&body)?;
    let [directory, store, channel, total] = body.durations;
    Ok(Decision {
        attempt: attempt_id(attempt)?,
        at: Timestamp::from_millis(row.get(0)?),
        account: stable.as_deref().map(AccountId::from_stored),
        name: name.into(),
        client: ClientName::new(&body.client),
        nas: body.nas,
        station: body.station,
        station_from: body.station_from,
        zone: body.zone,
        rule: body.rule,
        factor: body.factor,
        outcome: body.outcome,
        reason: body.reason,
        directory: body.directory,
        durations: Durations {
            directory,
            store,
            channel,
            total,
        },
        note: body.note,
    })
}

fn attempt_id(text: String) -> Result<AttemptId, Error> {
    Ok(serde_json::from_value(Value::String(text))?)
}

impl Writing {
    /// Writes a decision down, as the newest of its account, whose row is saved by the caller; `factor` is the one that it is
    /// about, unless it says so itself.
    pub(super) fn add_decision(
        &self,
        account: Option<&mut AccountRow>,
        decision: &Decision,
        factor: Option<FactorKind>,
    ) -> Result<(), Error> {
        let body = serde_json::to_string(&Body::of(decision, factor))?;
        self.execute(
            ADD_DECISION,
            params![
                decision.at.millis(),
                decision.attempt.as_str(),
                account.as_ref().map(|row| row.id),
                account.as_ref().and_then(|row| row.newest),
                &*decision.name,
                body
            ],
        )?;
        if let Some(row) = account {
            row.newest = Some(self.connection.last_insert_rowid());
        }
        Ok(())
    }

    /// See [`super::Store::record`].
    pub(super) fn record(&self, admission: &Admission) -> Result<(), Error> {
        let decision = &*admission.decision;
        let Some(account) = &decision.account else {
            return self.add_decision(None, decision, None);
        };
        let mut row = self.account_or_new(account, &decision.name)?;
        self.add_decision(Some(&mut row), decision, None)?;
        match decision.outcome {
            Outcome::Accept => self.welcome(&mut row, admission)?,
            Outcome::Reject | Outcome::Challenge | Outcome::Waiting | Outcome::Undecided => {}
        }
        self.save(row)
    }

    pub(super) fn open_and_record(
        &self,
        state: &[u8; 32],
        challenge: &Challenge,
        admission: &Admission,
    ) -> Result<(), Error> {
        self.open_challenge(state, challenge, &admission.decision.name)?;
        self.record(admission)
    }

    /// See [`super::Store::count_failure`].
    pub(super) fn count_failure(&self, failure: &Failure) -> Result<(), Error> {
        let decision = &failure.decision;
        let account = match &failure.account {
            Some(account) => self.account_or_new(account, &decision.name)?.id,
            None => 0,
        };
        let at = decision.at.millis();
        let (id, names, stations): (i64, String, String) =
            self.connection.prepare_cached(COUNT_FAILURE)?.query_row(
                params![
                    at.saturating_sub(at.rem_euclid(MINUTE)),
                    account,
                    decision.client.as_str(),
                    decision.reason.as_str(),
                    at
                ],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?;
        let more_names = sampled(&names, &decision.name)?;
        let more_stations = match decision.station {
            Station::Unknown => None,
            Station::Address(_) | Station::Mac(_) => {
                sampled(&stations, &decision.station.to_string())?
            }
        };
        if more_names.is_some() || more_stations.is_some() {
            let (names, stations) = (
                more_names.unwrap_or(names),
                more_stations.unwrap_or(stations),
            );
            self.execute(SAMPLE_FAILURE, (id, names, stations))?;
        }
        Ok(())
    }

    pub(super) fn record_operator(
        &self,
        uid: u32,
        account: Option<&AccountId>,
        what: &str,
    ) -> Result<(), Error> {
        let account = account
            .map(|account| self.account_or_new(account, "").map(|row| row.id))
            .transpose()?;
        let what: String = what.chars().take(ACT).collect();
        let now = self.clock.now().millis();
        self.execute(ADD_OPERATOR, params![now, account, uid, what])?;
        Ok(())
    }

    /// Keeps an accounting record, unless it is kept already.
    pub(super) fn record_accounting(&self, record: &AccountingRecord) -> Result<Recorded, Error> {
        let body = serde_json::to_string(record)?;
        let counters = match record.status {
            INTERIM => record.details.to_string(),
            _ => String::new(),
        };
        // A session's number is unique to its NAS, and only until that is started anew: hence NAS and name.
        let digest = self.digest.digest(&[
            b"accounting",
            record.client.as_str().as_bytes(),
            record.nas.to_string().as_bytes(),
            record.session.as_bytes(),
            record.name.as_bytes(),
            &record.status.to_be_bytes(),
            counters.as_bytes(),
        ]);
        let (short, _) = digest.split_at(16);
        let rows = self.execute(ADD_ACCOUNTING, params![record.at.millis(), short, body])?;
        Ok(if rows == 1 {
            Recorded::New
        } else {
            Recorded::Known
        })
    }

    /// Leaves everything as it was, but not without writing more than a login does.
    pub(super) fn touch(&self) -> Result<(), Error> {
        self.execute(statement(SQL, "touch"), [TOUCHED])?;
        self.execute(
            statement(SQL, "untouch"),
            [self.connection.last_insert_rowid()],
        )?;
        Ok(())
    }

    /// Throws away some of what has expired. Says whether there may be more.
    pub(super) fn sweep(&self) -> Result<bool, Error> {
        let (now, limits) = (self.clock.now(), &self.limits);
        for (sql, until) in [
            (statement(SQL, "sweep-challenges"), now),
            (statement(SQL, "sweep-sent-codes"), now),
            (
                statement(SQL, "sweep-messages"),
                now.before(super::codes::DAY),
            ),
            (
                statement(SQL, "sweep-wrong-codes"),
                now.before(limits.code_lock),
            ),
            (
                statement(SQL, "sweep-wrong-passwords"),
                now.before(limits.password_window),
            ),
        ] {
            self.execute(sql, [until.millis()])?;
        }
        self.sweep_prompts()?;
        self.sweep_sessions(now)?;
        let oldest = now.before(self.audit_keep).millis();
        let rows = i64::try_from(self.audit_rows).unwrap_or(i64::MAX);
        let mut more = self.sweep_stations_in_turn(now)? | self.sweep_accounted(now)?;
        for sql in PRUNE {
            more |= self.execute(sql, params![oldest, rows, SWEPT])? == SWEPT as usize;
        }
        Ok(more)
    }

    /// Once an hour goes through all accounts, some at a time. Says whether there are more.
    fn sweep_stations_in_turn(&self, now: Timestamp) -> Result<bool, Error> {
        let (begun, after) = self.stations_swept.get();
        let (begun, after) = match after {
            None if now.since(begun) <= STATIONS_SWEPT => return Ok(false),
            None => (now, 0),
            Some(after) => (begun, after),
        };
        let until = now.before(self.limits.station_known);
        let last = self.sweep_stations(after, until, SWEPT)?;
        self.stations_swept.set((begun, last));
        Ok(last.is_some())
    }
}

/// The samples with one more, if there is room for it and it is new.
fn sampled(samples: &str, new: &str) -> Result<Option<String>, Error> {
    let mut samples: Vec<String> = serde_json::from_str(samples)?;
    let new: String = new.chars().take(SAMPLE).collect();
    if samples.len() >= SAMPLES || samples.contains(&new) {
        return Ok(None);
    }
    samples.push(new);
    Ok(Some(serde_json::to_string(&samples)?))
}

/// The statements that tell about somebody: decisions, failures, operators.
struct Tellers(&'static str, Option<&'static str>, Option<&'static str>);

const NEWEST: Tellers = Tellers(
    statement(SQL, "decisions-newest"),
    Some(statement(SQL, "failures-newest")),
    Some(statement(SQL, "operators-newest")),
);
const OF_ACCOUNT: Tellers = Tellers(
    statement(SQL, "decisions-of-account"),
    Some(statement(SQL, "failures-of-account")),
    Some(statement(SQL, "operators-of-account")),
);
const OF_NAME: Tellers = Tellers(
    statement(SQL, "decisions-of-name"),
    Some(statement(SQL, "failures-of-name")),
    Some(statement(SQL, "operators-of-name")),
);
const ACCOUNTS_OF_NAME: &str = statement(SQL, "accounts-of-name");
const FAILURES_BETWEEN: &str = statement(SQL, "failures-between");
const OF_ATTEMPT: Tellers = Tellers(statement(SQL, "decisions-of-attempt"), None, None);

/// See [`super::Store::story`].
pub(super) fn story(
    (reader, waiting): (&Connection, &Waiting),
    wanted: &Wanted,
    limit: u32,
) -> Result<Vec<Told>, Error> {
    let tell = |tellers: &Tellers, whose: &[&dyn ToSql]| {
        snapshot(reader, |reader| tell(reader, tellers, whose, limit))
    };
    match wanted {
        Wanted::Newest => tell(&NEWEST, &[]),
        Wanted::Account(account) => {
            let id = number(account);
            let story = tell(&OF_ACCOUNT, &[&id, &starts([id], waiting)?])?;
            let sessions = sessions_of(reader, id)?;
            Ok(with_sessions(story, sessions, limit))
        }
        Wanted::Name(name) => {
            let mut statement = reader.prepare_cached(ACCOUNTS_OF_NAME)?;
            let ids = statement.query_map([name.as_str()], |row| row.get(0))?;
            let ids = ids.collect::<Result<Vec<i64>, _>>()?;
            tell(&OF_NAME, &[&name.as_str(), &starts(ids, waiting)?])
        }
        Wanted::Attempt(attempt) => {
            let story = tell(&OF_ATTEMPT, &[&attempt.as_str()])?;
            let account = story.iter().find_map(|told| match told {
                Told::Decision(decision) => decision.account.as_ref().map(number),
                Told::Failures { .. } | Told::Session(_) | Told::Operator { .. } => None,
            });
            let mut sessions = match account {
                Some(account) => sessions_of(reader, account)?,
                None => Vec::new(),
            };
            sessions.retain(|session| session.attempt == *attempt);
            Ok(with_sessions(story, sessions, limit))
        }
        Wanted::Failures { from, until } => failures_between(reader, (*from, *until), limit),
    }
}

/// Sessions stand in the story at their end, or, while they are open, at their beginning.
fn with_sessions(mut story: Vec<Told>, sessions: Vec<AccountedSession>, limit: u32) -> Vec<Told> {
    let sessions = sessions.into_iter().map(Box::new).map(Told::Session);
    story.extend(sessions);
    story.sort_by_key(|told| std::cmp::Reverse(moment(told)));
    story.truncate(limit.min(STORY) as usize);
    story
}

/// The decisions on an attempt, newest first.
pub(super) fn decisions_of_attempt(
    connection: &Connection,
    attempt: &AttemptId,
) -> Result<Vec<Decision>, Error> {
    let mut statement = connection.prepare_cached(OF_ATTEMPT.0)?;
    let mut rows = statement.query(params![DECISIONS_OF_ATTEMPT, attempt.as_str()])?;
    let mut decisions = Vec::new();
    while let Some(row) = rows.next()? {
        decisions.push(decision(row)?);
    }
    Ok(decisions)
}

/// Where the chains of accounts begin, unless their rows say it, for SQL. Looked up before the snapshot begins, as
/// [`Waiting`] asks of whoever reads.
fn starts(accounts: impl IntoIterator<Item = i64>, waiting: &Waiting) -> Result<String, Error> {
    let starts = accounts.into_iter().map(|id| (id, waiting.newest(id)));
    Ok(serde_json::to_string(&starts.collect::<Vec<_>>())?)
}

fn failures_between(
    reader: &Connection,
    (from, until): (Timestamp, Timestamp),
    limit: u32,
) -> Result<Vec<Told>, Error> {
    let mut statement = reader.prepare_cached(FAILURES_BETWEEN)?;
    let mut rows = statement.query(params![limit.min(STORY), from.millis(), until.millis()])?;
    let mut story = Vec::new();
    while let Some(row) = rows.next()? {
        story.push(failures_told(row)?);
    }
    story.sort_by_key(|told| std::cmp::Reverse(moment(told)));
    Ok(story)
}

fn tell(
    reader: &Connection,
    tellers: &Tellers,
    whose: &[&dyn ToSql],
    limit: u32,
) -> Result<Vec<Told>, Error> {
    let limit = limit.min(STORY);
    let parameters: Vec<&dyn ToSql> = [&limit as &dyn ToSql]
        .into_iter()
        .chain(whose.iter().copied())
        .collect();
    let mut story = Vec::new();
    let mut add = |sql: &str, told: fn(&Row<'_>) -> Result<Told, Error>| {
        let mut statement = reader.prepare_cached(sql)?;
        // Only the chain of decisions needs to know where it starts.
        let known = parameters.iter().take(statement.parameter_count());
        let mut rows = statement.query(params_from_iter(known))?;
        while let Some(row) = rows.next()? {
            story.push(told(row)?);
        }
        Ok::<_, Error>(())
    };
    let Tellers(decisions, failures, operators) = tellers;
    add(decisions, |row| {
        decision(row).map(|decision| Told::Decision(Box::new(decision)))
    })?;
    failures.map_or(Ok(()), |sql| add(sql, failures_told))?;
    operators.map_or(Ok(()), |sql| add(sql, operator_told))?;
    story.sort_by_key(|told| std::cmp::Reverse(moment(told)));
    story.truncate(limit as usize);
    Ok(story)
}

fn moment(told: &Told) -> Timestamp {
    match told {
        Told::Decision(decision) => decision.at,
        Told::Failures { last, .. } => *last,
        Told::Operator { at, .. } => *at,
        Told::Session(session) => session.ended.map_or(session.begun, |(at, _)| at),
    }
}

fn failures_told(row: &Row<'_>) -> Result<Told, Error> {
    let account: Option<String> = row.get(3)?;
    let (names, stations): (String, String) = (row.get(4)?, row.get(5)?);
    let client: String = row.get(6)?;
    Ok(Told::Failures {
        minute: Timestamp::from_millis(row.get(0)?),
        last: Timestamp::from_millis(row.get(1)?),
        count: u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default(),
        account: account.as_deref().map(AccountId::from_stored),
        names: serde_json::from_str(&names)?,
        stations: serde_json::from_str(&stations)?,
        client: ClientName::new(&client),
        reason: serde_json::from_value(Value::String(row.get(7)?))?,
    })
}

fn operator_told(row: &Row<'_>) -> Result<Told, Error> {
    let account: Option<String> = row.get(1)?;
    Ok(Told::Operator {
        at: Timestamp::from_millis(row.get(0)?),
        account: account.as_deref().map(AccountId::from_stored),
        uid: row.get(2)?,
        what: row.get(3)?,
    })
}
