//! Searches of many callers on one connection: their requests are written together, and one read
//! brings many answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::sync::oneshot;

use super::driver::Driver;
use super::{Ended, Line, next_id};
use crate::directory::failure::Failure;
use crate::directory::protocol::{self, Attributes, Outcome, Query, Scope};

/// Searches without an end on one connection, those whose callers went away included: many times
/// what callers have in flight on it.
pub(super) const MAX_UNFINISHED: usize = 1024;
/// Requests that are written together; more go to another connection.
const MOST_GATHERED: usize = 32;
/// References of one search; they are counted and not kept.
const MAX_REFERENCES: usize = 2048;
/// Octets of the entries of one search, which are kept until its end.
const MAX_OCTETS: usize = 4 * 1024 * 1024;

const SUCCESS: u32 = 0;
const SIZE_LIMIT_EXCEEDED: u32 = 4;
const NO_SUCH_OBJECT: u32 = 32;

/// What a search found.
#[derive(Debug)]
pub(in crate::directory) struct Answer {
    pub(in crate::directory) entries: Vec<Attributes>,
    /// Whether there were no more than the limit.
    pub(in crate::directory) complete: bool,
}

/// A connection that many search on; dropping it ends its driver.
pub(in crate::directory) struct Searches {
    shared: Arc<Shared>,
}

/// What callers and driver have in common.
pub(super) struct Shared(Mutex<Queue>);

/// Requests that the driver has not taken yet.
pub(super) struct Queue {
    pub(super) octets: Vec<u8>,
    pub(super) asked: Vec<(u32, Unfinished)>,
    last_id: u32,
    pub(super) driver: Waker,
    pub(super) state: State,
}

/// Whether searches can be asked.
pub(super) enum State {
    Open,
    /// An answer did not come in time: nobody new should wait for one.
    Retired,
    /// No caller is left.
    Abandoned,
    /// Over, and why, in words.
    Ended(String),
}

/// A search that waits for its end.
pub(super) struct Unfinished {
    scope: Scope,
    limit: usize,
    entries: Vec<Attributes>,
    references: usize,
    octets: usize,
    caller: oneshot::Sender<Result<Answer, Failure>>,
}

impl Searches {
    /// Takes over a line that is ready for searches; the driver must be run.
    pub(in crate::directory) fn on(line: Line, server: String) -> (Self, Driver) {
        let shared = Arc::new(Shared(Mutex::new(Queue {
            octets: Vec::new(),
            asked: Vec::new(),
            last_id: line.last_id,
            driver: Waker::noop().clone(),
            state: State::Open,
        })));
        let driver = Driver::new(line, shared.clone(), server);
        (Self { shared }, driver)
    }

    /// Searches. A caller who goes away leaves an answer that nobody reads.
    pub(in crate::directory) async fn search(
        &self,
        query: &Query<'_>,
        seconds: u32,
    ) -> Result<Answer, Failure> {
        let answer = self.ask(query, seconds)?;
        answer.await.unwrap_or_else(|_| Err(self.lost()))
    }

    fn ask(
        &self,
        query: &Query<'_>,
        seconds: u32,
    ) -> Result<oneshot::Receiver<Result<Answer, Failure>>, Failure> {
        let mut queue = self.shared.queue();
        if let State::Ended(why) = &queue.state {
            return Err(Failure::Lost(why.clone()));
        }
        if queue.asked.len() >= MAX_UNFINISHED {
            queue.state = State::Retired;
            return Err(Failure::lost(&Ended::Unfinished));
        }
        let (caller, answer) = oneshot::channel();
        let id = next_id(&mut queue.last_id);
        protocol::search(&mut queue.octets, id, query, seconds);
        let unfinished = Unfinished {
            scope: query.scope,
            limit: query.limit,
            entries: Vec::new(),
            references: 0,
            octets: 0,
            caller,
        };
        queue.asked.push((id, unfinished));
        // Once is enough until it has taken them.
        if queue.asked.len() == 1 {
            queue.driver.wake_by_ref();
        }
        Ok(answer)
    }

    pub(in crate::directory) fn is_usable(&self) -> bool {
        matches!(self.shared.queue().state, State::Open)
    }

    /// Whether requests wait to be written, so that another costs no write of its own.
    pub(in crate::directory) fn is_gathering(&self) -> bool {
        let queue = self.shared.queue();
        let has_room = (1..MOST_GATHERED).contains(&queue.asked.len());
        matches!(queue.state, State::Open) && has_room
    }

    /// Gives nobody new to it.
    pub(in crate::directory) fn retire(&self) {
        let mut queue = self.shared.queue();
        if matches!(queue.state, State::Open) {
            queue.state = State::Retired;
        }
    }

    fn lost(&self) -> Failure {
        match &self.shared.queue().state {
            State::Ended(why) => Failure::Lost(why.clone()),
            State::Open | State::Retired | State::Abandoned => {
                Failure::Lost("connection lost".to_owned())
            }
        }
    }
}

impl Drop for Searches {
    fn drop(&mut self) {
        let mut queue = self.shared.queue();
        if matches!(queue.state, State::Open | State::Retired) {
            queue.state = State::Abandoned;
        }
        queue.driver.wake_by_ref();
    }
}

impl Shared {
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unfinished {
    pub(super) fn keep(&mut self, entry: &[u8]) -> Result<(), Ended> {
        self.octets += entry.len();
        if self.entries.len() >= self.limit || self.octets > MAX_OCTETS {
            return Err(Ended::TooMuch);
        }
        self.entries.push(Attributes::new(entry));
        Ok(())
    }

    pub(super) const fn count_reference(&mut self) -> Result<(), Ended> {
        self.references += 1;
        if self.references > MAX_REFERENCES {
            return Err(Ended::TooMuch);
        }
        Ok(())
    }

    pub(super) fn finish(self, outcome: &Outcome<'_>) {
        let entries = self.entries;
        let answer = match outcome.code {
            SUCCESS => Ok(true),
            SIZE_LIMIT_EXCEEDED => Ok(false),
            NO_SUCH_OBJECT if self.scope == Scope::Base => Ok(true),
            _ => Err(Failure::undecided(outcome)),
        };
        // A caller who went away needs no answer.
        drop(
            self.caller
                .send(answer.map(|complete| Answer { entries, complete })),
        );
    }
}

#[cfg(test)]
mod tests;
