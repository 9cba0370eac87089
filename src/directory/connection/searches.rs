//! Searches of many callers on one connection: their requests are written together, and one read
//! brings many answers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::AsyncWrite as _;
use tokio::sync::oneshot;

use super::{Ended, Line, next_id};
use crate::directory::failure::Failure;
use crate::directory::protocol::{self, Attributes, Message, Operation, Outcome, Query, Scope};

/// Searches without an end on one connection, those whose callers went away included; more than
/// callers may have in flight at once.
const MAX_UNFINISHED: usize = 256;
/// References of one search; they are counted and not kept.
const MAX_REFERENCES: usize = 2048;
/// Octets of the entries of one search, which are kept until its end.
const MAX_OCTETS: usize = 4 * 1024 * 1024;

/// Octets of memory that stay with the connection after a burst.
const KEPT: usize = 64 * 1024;

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

/// Runs the connection of [`Searches`] until it ends.
pub(in crate::directory) struct Driver {
    line: Line,
    shared: Arc<Shared>,
    /// Asked and not yet ended.
    unfinished: HashMap<u32, Unfinished>,
    /// Requests on their way to the kernel, from `sent`.
    outgoing: Vec<u8>,
    sent: usize,
    server: String,
}

/// What callers and driver have in common.
struct Shared(Mutex<Queue>);

/// Requests that the driver has not taken yet.
struct Queue {
    octets: Vec<u8>,
    asked: Vec<(u32, Unfinished)>,
    last_id: u32,
    driver: Waker,
    state: State,
}

/// Whether searches can be asked.
enum State {
    Open,
    /// An answer did not come in time: nobody new should wait for one.
    Retired,
    /// No caller is left.
    Abandoned,
    /// Over, and why, in words.
    Ended(String),
}

/// A search that waits for its end.
struct Unfinished {
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
        let driver = Driver {
            line,
            shared: shared.clone(),
            unfinished: HashMap::new(),
            outgoing: Vec::new(),
            sent: 0,
            server,
        };
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
        matches!(queue.state, State::Open) && !queue.asked.is_empty()
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
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver {
    /// Writes and reads until the connection is over.
    pub(in crate::directory) async fn run(mut self) {
        loop {
            if let Err(ended) = poll_fn(|cx| self.poll(cx)).await {
                self.end(&ended);
                return;
            }
            // Logins come in bursts: whoever is about to ask joins the same write.
            tokio::task::yield_now().await;
            if let Err(ended) = self.take_asked() {
                self.end(&ended);
                return;
            }
        }
    }

    /// Reads and writes what there is; ready once callers have asked for more.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        while let Poll::Ready(received) = self.line.poll_receive(cx) {
            received?;
            self.read()?;
        }
        ready!(self.poll_send(cx))?;
        let mut queue = self.shared.queue();
        if matches!(queue.state, State::Abandoned) {
            return Poll::Ready(Err(Ended::Here));
        }
        if !queue.asked.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if !queue.driver.will_wake(cx.waker()) {
            queue.driver = cx.waker().clone();
        }
        Poll::Pending
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        if self.outgoing.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while let Some(rest @ [_, ..]) = self.outgoing.get(self.sent..) {
            match ready!(Pin::new(&mut self.line.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(Ended::Closed)),
                count => self.sent += count,
            }
        }
        ready!(Pin::new(&mut self.line.stream).poll_flush(cx))?;
        self.outgoing.clear();
        self.outgoing.shrink_to(KEPT);
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Takes what callers have asked; everything before is written.
    fn take_asked(&mut self) -> Result<(), Ended> {
        let mut queue = self.shared.queue();
        std::mem::swap(&mut queue.octets, &mut self.outgoing);
        self.unfinished.extend(queue.asked.drain(..));
        if self.unfinished.len() > MAX_UNFINISHED {
            return Err(Ended::Unfinished);
        }
        Ok(())
    }

    /// Reads every whole message.
    fn read(&mut self) -> Result<(), Ended> {
        while let Some(Message { id, operation }) = self.line.inbox.next()? {
            // What a server says unasked is that it is leaving (RFC 4511 §4.4.1).
            if id == 0 {
                return Err(Ended::Notice);
            }
            let Entry::Occupied(mut search) = self.unfinished.entry(id) else {
                return Err(Ended::Unasked);
            };
            match operation {
                Operation::Entry(octets) => search.get_mut().keep(octets)?,
                Operation::Reference => search.get_mut().count_reference()?,
                Operation::Done(outcome) => search.remove().finish(&outcome),
                Operation::Bind(_) | Operation::Extended(_) => return Err(Ended::Unasked),
            }
        }
        Ok(())
    }

    /// Notes why the connection is over.
    fn end(&self, ended: &Ended) {
        match ended {
            Ended::Hostile(_) | Ended::Unasked | Ended::TooMuch | Ended::Unfinished => {
                log::warn!("directory server {}: {ended}", self.server);
            }
            Ended::Closed | Ended::Lost(_) | Ended::Notice | Ended::Here => {
                log::debug!("directory server {}: {ended}", self.server);
            }
        }
        self.close(ended.to_string());
    }

    /// Callers who wait find out as soon as their senders are dropped.
    fn close(&self, why: String) {
        let mut queue = self.shared.queue();
        if !matches!(queue.state, State::Ended(_)) {
            queue.state = State::Ended(why);
        }
        queue.asked.clear();
    }
}

/// However it ends, a panic included.
impl Drop for Driver {
    fn drop(&mut self) {
        if std::thread::panicking() {
            log::error!(
                "directory server {}: the task of a connection panicked; the connection is lost",
                self.server
            );
        }
        self.close("connection lost".to_owned());
    }
}

impl Unfinished {
    fn keep(&mut self, entry: &[u8]) -> Result<(), Ended> {
        self.octets += entry.len();
        if self.entries.len() >= self.limit || self.octets > MAX_OCTETS {
            return Err(Ended::TooMuch);
        }
        self.entries.push(Attributes::new(entry));
        Ok(())
    }

    const fn count_reference(&mut self) -> Result<(), Ended> {
        self.references += 1;
        if self.references > MAX_REFERENCES {
            return Err(Ended::TooMuch);
        }
        Ok(())
    }

    fn finish(self, outcome: &Outcome<'_>) {
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
