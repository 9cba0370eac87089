//! When changes of accounts are folded into the rows: in rounds, so that one page takes the changes of several accounts,
//! and each round in slices between the batches, so that nobody waits long.
//!
//! A row that cannot be folded, since it is damaged, holds up the others: that is an alarm, and what waits is right all the
//! while, at hand once for each account and on the disk once for each login.

use std::time::Duration;

use super::Writing;
use crate::clock::Timestamp;
use crate::store::Error;

/// Changes that begin a round. At hand they take some 10 MiB, reading them at the start a tenth of a second; of 100,000
/// accounts five share a page then, which is written once for all of them.
const MANY: usize = 32 << 10;
/// Changes that are older begin one, too; and such a round does not wait for logins.
const OLD: Duration = Duration::from_secs(3600);
/// Accounts of a slice, unless a batch had more jobs than it is for: well under a millisecond of the writer's time, and one flush.
pub(super) const SLICE: u32 = 64;
/// The same when the store closes: nobody waits, and flushes may be slow.
pub(super) const LAST_SLICE: u32 = 4096;
/// Accounts that are folded for each job: more than a job can change, so that a round ends before the next is due.
const PACE: usize = 2;
/// Changes removed at once for each account of a slice: they lie side by side.
const REMOVED: u32 = 8;

/// How far folding has come.
pub(super) struct Folds {
    /// Changes that belong to no round yet, and when the first of them came.
    changes: usize,
    since: Timestamp,
    round: Option<Round>,
    /// Accounts that may be folded for the jobs that were done.
    due: usize,
}

/// One round: first every account that had changes when it began is folded, then those changes are removed. What is
/// changed meanwhile is folded with the others, and its change stays for the next round.
struct Round {
    since: Timestamp,
    /// The last change when it began.
    last: i64,
    next: Next,
}

enum Next {
    /// The accounts after one.
    Accounts(i64),
    Changes,
}

/// What one transaction did of a round.
pub(super) enum Slice {
    Accounts(Vec<i64>),
    /// Some were removed, and there may be more.
    Changes,
    End,
}

impl Folds {
    /// Those that were there when the store was opened.
    pub(super) fn new(changes: usize, now: Timestamp) -> Self {
        Self {
            changes,
            since: now,
            round: None,
            due: 0,
        }
    }

    /// A commit of so many jobs added so many changes.
    pub(super) fn add(&mut self, jobs: usize, changes: usize, now: Timestamp) {
        if self.changes == 0 {
            self.since = now;
        }
        self.changes += changes;
        let wanted = self.round.is_some() || self.changes >= MANY;
        self.due = if wanted { self.due + PACE * jobs } else { 0 };
    }

    /// The slice that is due between two batches, if it is worth a flush. Not due again sooner, though it may fail.
    pub(super) fn take_due(&mut self) -> Option<u32> {
        let due = u32::try_from(self.due).unwrap_or(LAST_SLICE);
        if due < SLICE {
            return None;
        }
        self.due = 0;
        Some(due)
    }

    /// Whether changes have waited so long that they are folded as soon as there is nothing else to do.
    pub(super) fn overdue(&self, now: Timestamp) -> bool {
        let since = self.round.as_ref().map(|round| round.since);
        let since = since.or_else(|| (self.changes > 0).then_some(self.since));
        since.is_some_and(|since| now.since(since) > OLD)
    }

    /// Whether anything is not folded.
    pub(super) fn wanted(&self) -> bool {
        self.round.is_some() || self.changes > 0
    }

    /// Does the next slice of so many accounts, within a transaction; it counts when [`Folds::done`] hears that that is on
    /// the disk.
    pub(super) fn slice(&mut self, writing: &Writing, accounts: u32) -> Result<Slice, Error> {
        if self.round.is_none() {
            self.round = writing.last_change()?.map(|last| Round {
                since: self.since,
                last,
                next: Next::Accounts(0),
            });
            self.changes = 0;
        }
        let Some(round) = &self.round else {
            return Ok(Slice::End);
        };
        match round.next {
            Next::Accounts(after) => {
                let accounts = writing.behind.after(after, accounts);
                accounts.iter().try_for_each(|id| writing.fold(*id))?;
                Ok(Slice::Accounts(accounts))
            }
            Next::Changes => {
                let some = accounts * REMOVED;
                let more = writing.remove_changes(round.last, some)? == some;
                Ok(if more { Slice::Changes } else { Slice::End })
            }
        }
    }

    /// The slice is on the disk.
    pub(super) fn done(&mut self, writing: &Writing, slice: &Slice) {
        match slice {
            Slice::Accounts(accounts) => {
                writing.behind.folded(accounts);
                let next = accounts
                    .last()
                    .map_or(Next::Changes, |last| Next::Accounts(*last));
                if let Some(round) = &mut self.round {
                    round.next = next;
                }
            }
            Slice::Changes => {}
            Slice::End => self.round = None,
        }
    }
}
