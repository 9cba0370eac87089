//! What logins leave behind: written down one after the other, and into the accounts' rows later, many at once.
//!
//! People log in in no order, so that each row is on a page of its own, far from the last. A login therefore appends to
//! `account_change`, in the same commit as its decision, and what it left is kept at hand until it is folded into the row:
//! whoever reads an account reads the row, and takes from here what is later. Only logins leave something here, and only
//! what they change; what an operator changes is in the row at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, params};

use super::SQL;
use super::account::{AccountRow, Seen, Use, number};
use super::pushes::Pushes;
use super::remembered::Remembered;
use crate::account::AccountId;
use crate::store::Error;
use crate::store::database::{snapshot, statement};
use crate::store::writer::Writing;

const ADD_CHANGE: &str = statement(SQL, "add-change");
const CHANGES: &str = statement(SQL, "changes");
const LAST_CHANGE: &str = statement(SQL, "last-change");
const REMOVE_CHANGES: &str = statement(SQL, "remove-changes");

/// What logins left on an account, all of it as of the last one.
pub(in crate::store) struct Traces {
    /// The newest decision.
    pub(super) newest: Option<i64>,
    /// Uses of factors. Which factors there are is told by the row alone.
    pub(super) factors: Vec<Use>,
    pub(super) stations: Vec<Seen>,
    pub(super) pushes: Pushes,
    pub(super) remembered: Remembered,
}

impl Traces {
    /// The same, but for the stations.
    pub(super) fn seen_from(&self, stations: Vec<Seen>) -> Self {
        Self {
            newest: self.newest,
            factors: self.factors.clone(),
            stations,
            pushes: self.pushes.clone(),
            remembered: self.remembered.clone(),
        }
    }
}

/// Traces that are on the disk, and not yet in their accounts' rows.
///
/// Who reads looks here first, and begins a snapshot afterwards. Traces appear when their commit is done and go when the
/// fold's is, so that whatever was answered before is either found here or in the row of any later snapshot; the
/// other way round, a fold between the two would hide it from both. What such a snapshot knows and the traces do not was
/// answered to nobody when the reading began.
#[derive(Default)]
pub(in crate::store) struct Waiting(Mutex<BTreeMap<i64, Arc<Traces>>>);

impl Waiting {
    pub(in crate::store) fn of(&self, account: i64) -> Option<Arc<Traces>> {
        self.lock().get(&account).cloned()
    }

    /// The newest decision of an account, unless its row says it.
    pub(in crate::store) fn newest(&self, account: i64) -> Option<i64> {
        self.of(account).and_then(|traces| traces.newest)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i64, Arc<Traces>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads about one account in one snapshot.
pub(in crate::store) fn read_account<T>(
    (reader, waiting): (&Connection, &Waiting),
    account: &AccountId,
    read: impl FnOnce(&Connection, Option<AccountRow>) -> Result<T, Error>,
) -> Result<T, Error> {
    let traces = waiting.of(number(account));
    snapshot(reader, |reader| {
        let row = AccountRow::find(reader, account)?;
        read(reader, row.map(|row| row.with(traces.as_deref())))
    })
}

/// The writer's side.
pub(in crate::store) struct Behind {
    waiting: Arc<Waiting>,
    /// What the transaction that is being written leaves; nobody else sees it before it is on the disk.
    batch: RefCell<Vec<(i64, Arc<Traces>)>>,
}

impl Behind {
    /// Takes up what was not folded when the store was closed, or the machine fell. Says how many changes that is.
    pub(in crate::store) fn load(connection: &Connection) -> Result<(Self, usize), Error> {
        let (mut waiting, mut changes) = (BTreeMap::new(), 0);
        let mut statement = connection.prepare(CHANGES)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let traces = Traces {
                newest: row.get(1)?,
                factors: serde_json::from_str(row.get_ref(2)?.as_str().unwrap_or_default())?,
                stations: serde_json::from_str(row.get_ref(3)?.as_str().unwrap_or_default())?,
                pushes: Pushes::read(row.get_ref(4)?.as_str().unwrap_or_default())?,
                remembered: Remembered::read(row.get_ref(5)?.as_str().unwrap_or_default())?,
            };
            // The later one tells everything that the one before it did.
            waiting.insert(row.get(0)?, Arc::new(traces));
            changes += 1;
        }
        let behind = Self {
            waiting: Arc::new(Waiting(Mutex::new(waiting))),
            batch: RefCell::default(),
        };
        Ok((behind, changes))
    }

    pub(in crate::store) fn waiting(&self) -> Arc<Waiting> {
        self.waiting.clone()
    }

    /// What the writer itself sees of an account.
    pub(super) fn of(&self, account: i64) -> Option<Arc<Traces>> {
        let batch = self.batch.borrow();
        let pending = batch.iter().rev().find(|(of, _)| *of == account);
        pending.map_or_else(
            || self.waiting.of(account),
            |(_, traces)| Some(traces.clone()),
        )
    }

    /// How much the transaction has left so far.
    pub(in crate::store) fn left(&self) -> usize {
        self.batch.borrow().len()
    }

    /// Undoes what was left after a moment in the transaction; all of it after 0.
    pub(in crate::store) fn undo(&self, left: usize) {
        self.batch.borrow_mut().truncate(left);
    }

    /// The transaction is on the disk. Says how many changes it had.
    pub(in crate::store) fn publish(&self) -> usize {
        let mut batch = self.batch.borrow_mut();
        let changes = batch.len();
        if changes > 0 {
            self.waiting.lock().extend(batch.drain(..));
        }
        changes
    }

    /// So many accounts after one, in the order of their rows.
    pub(in crate::store) fn after(&self, account: i64, accounts: u32) -> Vec<i64> {
        let after = (Bound::Excluded(account), Bound::Unbounded);
        let waiting = self.waiting.lock();
        waiting
            .range(after)
            .take(accounts as usize)
            .map(|(id, _)| *id)
            .collect()
    }

    /// Their rows tell it, and that is on the disk.
    pub(in crate::store) fn folded(&self, accounts: &[i64]) {
        let mut waiting = self.waiting.lock();
        for account in accounts {
            waiting.remove(account);
        }
    }
}

impl Writing {
    /// Writes down what a login left: factors used, stations seen, the newest decision.
    pub(in crate::store) fn save(&self, row: AccountRow) -> Result<(), Error> {
        let (id, traces) = row.traces();
        self.leave(id, Arc::new(traces))
    }

    pub(super) fn leave(&self, account: i64, traces: Arc<Traces>) -> Result<(), Error> {
        let factors = serde_json::to_string(&traces.factors)?;
        let stations = serde_json::to_string(&traces.stations)?;
        self.execute(
            ADD_CHANGE,
            params![
                account,
                traces.newest,
                factors,
                stations,
                traces.pushes.text()?,
                traces.remembered.text()?
            ],
        )?;
        self.behind.batch.borrow_mut().push((account, traces));
        Ok(())
    }

    /// The last change there is; none when all are folded.
    pub(in crate::store) fn last_change(&self) -> Result<Option<i64>, Error> {
        let mut statement = self.connection.prepare_cached(LAST_CHANGE)?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// Writes an account's traces into its row.
    pub(in crate::store) fn fold(&self, account: i64) -> Result<(), Error> {
        let Some(traces) = self.behind.of(account) else {
            return Ok(());
        };
        let row = AccountRow::numbered(&self.connection, account)?
            .ok_or_else(|| Error::damaged("a change of an account that is not there"))?;
        self.write(&row.with(Some(&traces)))
    }

    /// Removes some of the changes up to one, the oldest first. Says how many.
    pub(in crate::store) fn remove_changes(&self, last: i64, some: u32) -> Result<u32, Error> {
        let removed = self.execute(REMOVE_CHANGES, params![last, some])?;
        Ok(u32::try_from(removed).unwrap_or(some))
    }
}
