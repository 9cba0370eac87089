//! The row of an account: who it is, what is counted about it, and all that a login changes.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::behind::Traces;
use super::pushes::Pushes;
use super::remembered::Remembered;
use super::{LABEL, SQL, moment};
use crate::account::{AccountId, Station};
use crate::clock::Timestamp;
use crate::store::Error;
use crate::store::database::statement;
use crate::store::writer::Writing;

/// Stations remembered for one account; the one not seen for longest goes.
const STATIONS: usize = 32;
/// No step was used yet.
const NO_STEP: i64 = -1;

const FIND_ACCOUNT: &str = statement(SQL, "find-account");
const ADD_ACCOUNT: &str = statement(SQL, "add-account");
const SAVE_ACCOUNT: &str = statement(SQL, "save-account");
const NAME_ACCOUNT: &str = statement(SQL, "name-account");
const STATIONS_AFTER: &str = statement(SQL, "stations-after");
const KEEP_STATIONS: &str = statement(SQL, "keep-stations");

/// A factor's number, the last step used, and when it was used: what a login changes of it.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(in crate::store) struct Use(pub(in crate::store) i64, i64, Option<i64>);

impl Use {
    /// When it was last used.
    pub(super) fn when(&self) -> Option<Timestamp> {
        moment(self.2)
    }
}

/// A station that logged in, and when it was seen.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Seen(String, i64);

/// The row of an account.
pub(in crate::store) struct AccountRow {
    pub(in crate::store) id: i64,
    pub(in crate::store) name: String,
    pub(in crate::store) wrong: u32,
    pub(in crate::store) locks: u32,
    pub(in crate::store) locked_until: Option<Timestamp>,
    /// When its last wrong password came: there are none after it.
    pub(super) wrong_password: Option<Timestamp>,
    /// When its last sent code ends: there is none open after it.
    pub(in crate::store) sent_until: Option<Timestamp>,
    /// Its newest decision.
    pub(in crate::store) newest: Option<i64>,
    /// Its factors, in the order of their numbers.
    pub(in crate::store) factors: Vec<Use>,
    stations: Vec<Seen>,
    /// Prompts, their count, and a report.
    pub(in crate::store) pushes: Pushes,
    /// Stations at which a factor was proven.
    pub(in crate::store) remembered: Remembered,
}

impl AccountRow {
    /// The account's row as it stands, if anything is kept about it.
    pub(super) fn find(
        connection: &Connection,
        account: &AccountId,
    ) -> Result<Option<Self>, Error> {
        let id = number(account);
        let mut statement = connection.prepare_cached(FIND_ACCOUNT)?;
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        if row.get_ref(0)?.as_str().unwrap_or_default() != account.as_str() {
            return Err(Error::damaged("two accounts of one number"));
        }
        Self::read(id, row).map(Some)
    }

    /// The row of this number as it stands.
    pub(super) fn numbered(connection: &Connection, id: i64) -> Result<Option<Self>, Error> {
        let mut statement = connection.prepare_cached(FIND_ACCOUNT)?;
        let mut rows = statement.query([id])?;
        rows.next()?.map(|row| Self::read(id, row)).transpose()
    }

    fn read(id: i64, row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            id,
            name: row.get(1)?,
            wrong: row.get(2)?,
            locks: row.get(3)?,
            locked_until: moment(row.get(4)?),
            wrong_password: moment(row.get(5)?),
            sent_until: moment(row.get(6)?),
            newest: row.get(7)?,
            factors: serde_json::from_str(row.get_ref(8)?.as_str().unwrap_or_default())?,
            stations: serde_json::from_str(row.get_ref(9)?.as_str().unwrap_or_default())?,
            pushes: Pushes::read(row.get_ref(10)?.as_str().unwrap_or_default())?,
            remembered: Remembered::read(row.get_ref(11)?.as_str().unwrap_or_default())?,
        })
    }

    /// The row with what logins left since it was written. A factor that was enrolled after them is in the row alone, one that was
    /// removed in the traces alone; numbers are never given twice.
    pub(super) fn with(mut self, traces: Option<&Traces>) -> Self {
        let Some(traces) = traces else {
            return self;
        };
        self.newest = traces.newest;
        self.stations.clone_from(&traces.stations);
        self.pushes.clone_from(&traces.pushes);
        self.remembered.clone_from(&traces.remembered);
        for used in &mut self.factors {
            if let Some(last) = traces.factors.iter().find(|last| last.0 == used.0) {
                (used.1, used.2) = (used.1.max(last.1), last.2);
            }
        }
        self
    }

    /// Its number, and all that a login changes of it.
    pub(super) fn traces(self) -> (i64, Traces) {
        let traces = Traces {
            newest: self.newest,
            factors: self.factors,
            stations: self.stations,
            pushes: self.pushes,
            remembered: self.remembered,
        };
        (self.id, traces)
    }

    /// Whether the station was seen after a moment. Never for an unknown one.
    pub(super) fn knows(&self, station: &str, since: Timestamp) -> bool {
        self.stations
            .iter()
            .any(|seen| seen.0 == station && seen.1 > since.millis())
    }

    /// Remembers that the station was seen, unless its mark is younger than `fresh`.
    pub(super) fn see(&mut self, station: &Station, now: Timestamp, fresh: Timestamp) {
        let station = station.to_string();
        if let Some(seen) = self.stations.iter_mut().find(|seen| seen.0 == station) {
            if seen.1 <= fresh.millis() {
                seen.1 = now.millis();
            }
            return;
        }
        self.stations.push(Seen(station, now.millis()));
        if self.stations.len() > STATIONS {
            self.stations
                .sort_unstable_by_key(|seen| std::cmp::Reverse(seen.1));
            self.stations.truncate(STATIONS);
        }
    }

    /// The stations that logged in, as SQL reads them.
    pub(super) fn stations(&self) -> Result<String, Error> {
        Ok(serde_json::to_string(&self.stations)?)
    }

    /// Adds a factor; `step` is the step of the code that proved it.
    pub(in crate::store) fn add_factor(&mut self, factor: i64, step: Option<i64>) {
        self.factors
            .push(Use(factor, step.unwrap_or(NO_STEP), None));
    }

    /// Takes a factor away.
    pub(super) fn remove_factor(&mut self, factor: i64) {
        self.factors.retain(|used| used.0 != factor);
    }

    /// Whether no step from this one on was used of the factor.
    pub(in crate::store) fn is_new(&self, factor: i64, step: i64) -> bool {
        self.factors
            .iter()
            .any(|used| used.0 == factor && used.1 < step)
    }

    /// Whether a device was used, which is what proves it.
    pub(in crate::store) fn is_proven(&self, factor: i64) -> bool {
        self.factors
            .iter()
            .any(|used| used.0 == factor && used.2.is_some())
    }

    /// Moves a device's counter forward, without calling the device used.
    pub(in crate::store) fn count(&mut self, factor: i64, counter: i64) {
        if let Some(used) = self.factors.iter_mut().find(|used| used.0 == factor) {
            used.1 = used.1.max(counter);
        }
    }

    /// Marks a factor as used; a step, if it has any, only goes forward.
    pub(in crate::store) fn mark(&mut self, factor: i64, step: Option<i64>, now: Timestamp) {
        if let Some(used) = self.factors.iter_mut().find(|used| used.0 == factor) {
            used.1 = used.1.max(step.unwrap_or(NO_STEP));
            used.2 = Some(now.millis());
        }
    }
}

impl Writing {
    /// The account's row, if anything is kept about it.
    pub(in crate::store) fn account(
        &self,
        account: &AccountId,
    ) -> Result<Option<AccountRow>, Error> {
        let row = AccountRow::find(&self.connection, account)?;
        Ok(row.map(|row| {
            let traces = self.behind.of(row.id);
            row.with(traces.as_deref())
        }))
    }

    /// The account's row, made if there is none.
    pub(in crate::store) fn account_or_new(
        &self,
        account: &AccountId,
        name: &str,
    ) -> Result<AccountRow, Error> {
        if let Some(mut row) = self.account(account)? {
            if row.name.is_empty() {
                self.name_account(&mut row, name)?;
            }
            return Ok(row);
        }
        let (id, name) = (number(account), cut(name));
        self.execute(ADD_ACCOUNT, params![id, account.as_str(), name])?;
        Ok(AccountRow {
            id,
            name,
            wrong: 0,
            locks: 0,
            locked_until: None,
            wrong_password: None,
            sent_until: None,
            newest: None,
            factors: Vec::new(),
            stations: Vec::new(),
            pushes: Pushes::default(),
            remembered: Remembered::default(),
        })
    }

    pub(super) fn name_account(&self, row: &mut AccountRow, name: &str) -> Result<(), Error> {
        if row.name != name {
            row.name = cut(name);
            self.execute(NAME_ACCOUNT, params![row.id, row.name])?;
        }
        Ok(())
    }

    /// Writes factors, stations and the newest decision into the row itself.
    pub(in crate::store) fn write(&self, row: &AccountRow) -> Result<(), Error> {
        let factors = serde_json::to_string(&row.factors)?;
        self.execute(
            SAVE_ACCOUNT,
            params![
                row.id,
                row.newest,
                factors,
                row.stations()?,
                row.pushes.text()?,
                row.remembered.text()?
            ],
        )?;
        Ok(())
    }

    /// Forgets stations last seen before a moment, of some accounts after the one of this number; says where to go on.
    pub(in crate::store) fn sweep_stations(
        &self,
        after: i64,
        until: Timestamp,
        accounts: u32,
    ) -> Result<Option<i64>, Error> {
        let mut statement = self.connection.prepare_cached(STATIONS_AFTER)?;
        let mut rows = statement.query(params![after, accounts])?;
        let (mut last, mut ended) = (None, Vec::new());
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let traces = self.behind.of(id);
            let mut stations: Vec<Seen> = match &traces {
                Some(traces) => traces.stations.clone(),
                None => serde_json::from_str(row.get_ref(1)?.as_str().unwrap_or_default())?,
            };
            let all = stations.len();
            stations.retain(|seen| seen.1 > until.millis());
            if stations.len() < all {
                ended.push((id, traces, stations));
            }
            last = Some(id);
        }
        for (id, traces, stations) in ended {
            match traces {
                Some(traces) => self.leave(id, Arc::new(traces.seen_from(stations)))?,
                None => {
                    let stations = serde_json::to_string(&stations)?;
                    self.execute(KEEP_STATIONS, (id, stations))?;
                }
            }
        }
        Ok(last)
    }
}

/// The number of an account's row: 63 bits of the digest of its stable id, so that one descent of the tree finds it. Among
/// a million accounts the chance that two meet is one in ten million; they are not taken for each other.
pub(in crate::store) fn number(account: &AccountId) -> i64 {
    let digest = digest(&SHA256, account.as_str().as_bytes());
    let octets = digest.as_ref().first_chunk().copied().unwrap_or_default();
    // 0 stands for nobody.
    (i64::from_be_bytes(octets) & i64::MAX).max(1)
}

/// As much of a text as is kept.
pub(in crate::store) fn cut(text: &str) -> String {
    text.chars().take(LABEL).collect()
}
