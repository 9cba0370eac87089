//! Sessions that a NAS accounts for, each joined to the login that began it.
//!
//! They tell operators who is on the network and what could be ended; no login is decided by them, for accounting comes late, or
//! not at all. What names a session to its NAS is kept as `server` wrote it.

mod words;

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::audit::decisions_of_attempt;
use super::database::statement;
use super::people::number;
use super::writer::Writing;
use super::{AccountingRecord, Error, Store};
use crate::account::{AccountId, AttemptId, ClientName, Decision, Outcome, Station};
use crate::clock::Timestamp;
pub use words::{
    Accounted, AccountedSession, EndAsked, EndOutcome, EndWhy, Joining, SessionEnd, SessionFacts,
};

/// Sessions kept of one account, ended ones too: more than anybody has equipment, and a page of `user show`. Open ones are
/// kept before ended ones, and new before old.
const SESSIONS_OF_ACCOUNT: u32 = 32;
/// Sessions kept in all: everybody of a large university with two, some 100 MiB. The oldest go first.
const SESSIONS: i64 = 1 << 18;
/// A session counts as over when nothing was heard for so long after its Start: gear that sends no interim records says
/// nothing before the Stop, which may be days later, and is lost when the gear loses its power.
const AFTER_START: Duration = Duration::from_secs(7 * 24 * 3600);
/// And for so long after an interim record: gear that sends them does so each hour at the least.
const AFTER_INTERIM: Duration = Duration::from_secs(24 * 3600);
/// The longest delay that is believed of a NAS: what it holds back for longer, it has probably misdated.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 3600);
/// Rows that one transaction of a sweep ends or throws away.
const SWEPT: u32 = 2000;
/// Octets of a keyed digest that finds a session or a NAS.
const SHORT: usize = 16;

/// Acct-Status-Type (RFC 2866 §5.1).
const START: u32 = 1;
const STOP: u32 = 2;
const INTERIM: u32 = 3;
const ON: u32 = 7;
const OFF: u32 = 8;

const SQL: &str = include_str!("sql/sessions.sql");
const FIND: &str = statement(SQL, "find-session");
const SESSION: &str = statement(SQL, "session");
const OF_ACCOUNT: &str = statement(SQL, "sessions-of-account");
const ADD: &str = statement(SQL, "add-session");
const SAVE: &str = statement(SQL, "save-session");
const MAKE_ROOM: &str = statement(SQL, "make-room-for-session");
const END_SCOPE: &str = statement(SQL, "end-scope");
const END_SILENT: &str = statement(SQL, "end-silent");
const PRUNE: &str = statement(SQL, "prune-sessions");

impl Store {
    /// Keeps an accounting record and follows its session; returns when it is on the disk.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then it may not be acknowledged.
    pub async fn record_accounting(
        &self,
        record: AccountingRecord,
        joining: Joining,
    ) -> Result<Accounted, Error> {
        self.write(move |writing| writing.account_for(&record, &joining))
            .await
    }

    /// The sessions of an account, newest first, ended ones too.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub async fn sessions(&self, account: &AccountId) -> Result<Vec<AccountedSession>, Error> {
        let account = number(account);
        self.read(move |(reader, _)| sessions_of(reader, account))
            .await
    }

    /// Notes what came of asking the NAS to end a session.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn record_end(&self, session: i64, asked: EndAsked) -> Result<(), Error> {
        self.write(move |writing| writing.record_end(session, &asked))
            .await
    }
}

impl Writing {
    fn account_for(
        &self,
        record: &AccountingRecord,
        joining: &Joining,
    ) -> Result<Accounted, Error> {
        let recorded = self.record_accounting(record)?;
        let scope = self.scope(record, joining);
        let reported = match record.status {
            START | STOP | INTERIM => self.follow(record, joining, &scope)?,
            ON | OFF => {
                let how = serde_json::to_string(&SessionEnd::Restarted)?;
                self.execute(END_SCOPE, params![scope, happened(record).millis(), how])?;
                None
            }
            _ => None,
        };
        Ok(Accounted { recorded, reported })
    }

    /// By which the sessions of one NAS are known: the names that it gives itself, since a proxy may stand before it, or else its
    /// address.
    fn scope(&self, record: &AccountingRecord, joining: &Joining) -> Vec<u8> {
        let address = record.nas.to_string();
        let nas = match joining.nas.as_slice() {
            [] => address.as_bytes(),
            names => names,
        };
        let client = record.client.as_str().as_bytes();
        short(self.digest.digest(&[b"accounted nas", client, nas]))
    }

    fn follow(
        &self,
        record: &AccountingRecord,
        joining: &Joining,
        scope: &[u8],
    ) -> Result<Option<Box<AccountedSession>>, Error> {
        let session = record.session.as_bytes();
        let key = short(self.digest.digest(&[b"accounted session", scope, session]));
        // A late record is of its own login's session, though the NAS has given the number to another since.
        let attempt = joining.attempt.as_ref().map(AttemptId::as_str);
        let known = one(self.connection.prepare_cached(FIND)?, (&key, attempt))?;
        match (known, &joining.attempt) {
            (Some(known), attempt) if attempt.as_ref().is_none_or(|of| *of == known.attempt) => {
                self.go_on(known, record, joining)?;
                Ok(None)
            }
            (known, Some(attempt)) => match self.accepted(attempt, &record.client)? {
                Some(login) => self.enter(known, record, joining, (scope, &key, &login)),
                None => Ok(None),
            },
            (_, None) => Ok(None),
        }
    }

    /// A login's first record of a session. One that goes on may have been proven anew by another login of the same account.
    fn enter(
        &self,
        known: Option<AccountedSession>,
        record: &AccountingRecord,
        joining: &Joining,
        place: (&[u8], &[u8], &Decision),
    ) -> Result<Option<Box<AccountedSession>>, Error> {
        let (_, _, login) = place;
        if let Some(mut known) = known.filter(|known| known.ended.is_none()) {
            if login.account.as_ref() == Some(&known.account) {
                known.attempt = login.attempt.clone();
                self.go_on(known, record, joining)?;
                return Ok(None);
            }
            known.ended = Some((happened(record), SessionEnd::Replaced));
            self.save_session(&known, None)?;
        }
        self.begin(record, joining, place)
    }

    /// The login that let somebody in.
    fn accepted(
        &self,
        attempt: &AttemptId,
        client: &ClientName,
    ) -> Result<Option<Decision>, Error> {
        let decisions = decisions_of_attempt(&self.connection, attempt)?;
        Ok(decisions.into_iter().find(|decision| {
            decision.outcome == Outcome::Accept
                && decision.client == *client
                && decision.account.is_some()
        }))
    }

    fn begin(
        &self,
        record: &AccountingRecord,
        joining: &Joining,
        (scope, key, login): (&[u8], &[u8], &Decision),
    ) -> Result<Option<Box<AccountedSession>>, Error> {
        let Some(account) = &login.account else {
            return Ok(None);
        };
        let row = self.account_or_new(account, &login.name)?;
        self.execute(MAKE_ROOM, (row.id, SESSIONS_OF_ACCOUNT - 1))?;
        let mut session = AccountedSession {
            id: 0,
            account: account.clone(),
            attempt: login.attempt.clone(),
            begun: begun(record),
            ended: stopped(record),
            facts: facts(record, joining),
        };
        self.execute(
            ADD,
            params![
                key,
                scope,
                row.id,
                session.attempt.as_str(),
                session.begun.millis(),
                heard_until(record).millis(),
                session.ended.map(|(at, _)| at.millis()),
                how(&session)?,
                serde_json::to_string(&session.facts)?
            ],
        )?;
        session.id = self.connection.last_insert_rowid();
        let exposed = row.pushes.exposed.map(Timestamp::from_millis);
        let reported = exposed.is_some_and(|exposed| login.at <= exposed);
        Ok((reported && session.ended.is_none()).then(|| Box::new(session)))
    }

    /// One more record of a session that is known. What has ended goes on only if that was our own guess.
    fn go_on(
        &self,
        mut session: AccountedSession,
        record: &AccountingRecord,
        joining: &Joining,
    ) -> Result<(), Error> {
        session.ended = match (session.ended, record.status) {
            (None, _) => stopped(record),
            (Some((_, SessionEnd::Silent | SessionEnd::Disconnected)), INTERIM) => None,
            (Some((_, SessionEnd::Silent)), STOP) => stopped(record),
            // The NAS tells the last counts of what it ended for us.
            (ended @ Some((_, SessionEnd::Disconnected)), STOP) => ended,
            (Some(_), _) => return Ok(()),
        };
        let before = std::mem::replace(&mut session.facts, facts(record, joining));
        session.facts.asked = before.asked;
        if record.status == START {
            session.facts.details = before.details;
        }
        if record.station == Station::Unknown {
            session.facts.station = before.station;
        }
        self.save_session(&session, Some(heard_until(record)))
    }

    fn save_session(
        &self,
        session: &AccountedSession,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.execute(
            SAVE,
            params![
                session.id,
                session.attempt.as_str(),
                until.map(Timestamp::millis),
                session.ended.map(|(at, _)| at.millis()),
                how(session)?,
                serde_json::to_string(&session.facts)?
            ],
        )?;
        Ok(())
    }

    fn record_end(&self, session: i64, asked: &EndAsked) -> Result<(), Error> {
        let known = self.connection.prepare_cached(SESSION)?;
        let Some(mut session) = one(known, [session])? else {
            return Ok(());
        };
        session.facts.asked = Some(asked.clone());
        if asked.outcome == EndOutcome::Ended && session.ended.is_none() {
            session.ended = Some((asked.at, SessionEnd::Disconnected));
        }
        self.save_session(&session, None)
    }

    /// Ends what was not heard of for long, and throws away some of what ended long ago. Says whether there may be more.
    pub(super) fn sweep_accounted(&self, now: Timestamp) -> Result<bool, Error> {
        let how = serde_json::to_string(&SessionEnd::Silent)?;
        let ended = self.execute(END_SILENT, params![now.millis(), how, SWEPT])?;
        let oldest = now.before(self.audit_keep).millis();
        let pruned = self.execute(PRUNE, params![oldest, SESSIONS, SWEPT])?;
        Ok([ended, pruned].contains(&(SWEPT as usize)))
    }
}

/// The sessions of the account of a number, newest first.
pub(super) fn sessions_of(
    reader: &Connection,
    account: i64,
) -> Result<Vec<AccountedSession>, Error> {
    let mut statement = reader.prepare_cached(OF_ACCOUNT)?;
    let mut rows = statement.query([account])?;
    let mut sessions = Vec::new();
    while let Some(row) = rows.next()? {
        sessions.push(read(row)?);
    }
    Ok(sessions)
}

fn one(
    mut statement: rusqlite::CachedStatement<'_>,
    by: impl Params,
) -> Result<Option<AccountedSession>, Error> {
    let found = statement.query_row(by, |row| Ok(read(row))).optional()?;
    found.transpose()
}

fn read(row: &Row<'_>) -> Result<AccountedSession, Error> {
    let (account, attempt): (String, String) = (row.get(1)?, row.get(2)?);
    let (ended, how): (Option<i64>, Option<String>) = (row.get(4)?, row.get(5)?);
    let how = how.map(|how| serde_json::from_str(&how)).transpose()?;
    Ok(AccountedSession {
        id: row.get(0)?,
        account: AccountId::from_stored(&account),
        attempt: serde_json::from_value(attempt.into())?,
        begun: Timestamp::from_millis(row.get(3)?),
        ended: ended.map(Timestamp::from_millis).zip(how),
        facts: serde_json::from_str(row.get_ref(6)?.as_str().unwrap_or_default())?,
    })
}

fn how(session: &AccountedSession) -> Result<Option<String>, Error> {
    let how = session.ended.map(|(_, how)| serde_json::to_string(&how));
    Ok(how.transpose()?)
}

fn facts(record: &AccountingRecord, joining: &Joining) -> SessionFacts {
    SessionFacts {
        client: record.client.clone(),
        nas: record.nas,
        session: record.session.clone(),
        name: record.name.clone(),
        station: record.station.clone(),
        seen: record.at,
        details: record.details.clone(),
        named: joining.named.clone(),
        local: joining.local,
        asked: None,
    }
}

/// When it happened: records may come late (Acct-Delay-Time, RFC 2866 §5.2).
fn happened(record: &AccountingRecord) -> Timestamp {
    record.at.before(seconds(record, "delay"))
}

/// When the session began, as far as a record tells it.
fn begun(record: &AccountingRecord) -> Timestamp {
    let lasts = match record.status {
        START => Duration::ZERO,
        _ => seconds(record, "seconds"),
    };
    happened(record).before(lasts)
}

fn seconds(record: &AccountingRecord, name: &str) -> Duration {
    let seconds = record.details.get(name).and_then(serde_json::Value::as_u64);
    let seconds = Duration::from_secs(seconds.unwrap_or_default());
    match name {
        "delay" => seconds.min(LONGEST_DELAY),
        _ => seconds,
    }
}

fn stopped(record: &AccountingRecord) -> Option<(Timestamp, SessionEnd)> {
    let cause = record.details.get("terminate-cause");
    let cause = cause
        .and_then(serde_json::Value::as_u64)
        .and_then(|cause| cause.try_into().ok());
    (record.status == STOP).then(|| (happened(record), SessionEnd::Stopped(cause)))
}

fn heard_until(record: &AccountingRecord) -> Timestamp {
    record.at.after(match record.status {
        INTERIM => AFTER_INTERIM,
        _ => AFTER_START,
    })
}

fn short(digest: [u8; 32]) -> Vec<u8> {
    digest.into_iter().take(SHORT).collect()
}
