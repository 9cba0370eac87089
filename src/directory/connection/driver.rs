//! The task of a connection for searches: writes what was asked together, reads many answers at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite as _;

use super::searches::{MAX_UNFINISHED, Shared, State, Unfinished};
use super::{Ended, Line};
use crate::directory::protocol::{Message, Operation};

/// Octets of memory that stay with the connection after a burst.
const KEPT: usize = 64 * 1024;

/// Runs the connection of [`Searches`](super::Searches) until it ends.
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

impl Driver {
    pub(super) fn new(line: Line, shared: Arc<Shared>, server: String) -> Self {
        Self {
            line,
            shared,
            unfinished: HashMap::new(),
            outgoing: Vec::new(),
            sent: 0,
            server,
        }
    }

    /// Writes and reads until the connection is over.
    pub(in crate::directory) async fn run(mut self) {
        loop {
            if let Err(ended) = poll_fn(|cx| self.poll(cx)).await {
                self.end(&ended);
                return;
            }
            // Logins come in bursts: whoever is about to ask joins the same write.
            after_all_ready().await;
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

/// Goes to the end of the runtime's queue. Unlike `yield_now`, it does not ask the kernel for events before.
async fn after_all_ready() {
    let mut queued = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut queued, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
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
