//! Stands between a server and `ldap3`: owns the connection, does TLS, and hands on only messages
//! that were looked at.
//!
//! `ldap3` sees one end of a socket pair. Its driver and the guard are one future, so that an
//! answer costs no task switch between them and a panic of the driver takes this connection only.

pub(super) mod ber;
mod connect;

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use zeroize::Zeroize as _;

use ber::{Message, Operation, Violation};
pub(super) use connect::{ConnectError, connect, tls};

/// Octets read at once; an answer to a login fits several times.
const CHUNK: usize = 16 * 1024;
/// Entries and references of one search; every search asks for fewer.
const MAX_ENTRIES: u32 = 2048;
/// Octets of one search's entries, since `ldap3` queues them without a bound.
const MAX_SEARCH_OCTETS: usize = 4 * ber::MAX_MESSAGE;
/// Searches with entries but no end; more than may be in flight at once.
const MAX_SEARCHES: usize = 256;

type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// What a connection is for; it decides which answers may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Binds only.
    Binds,
    /// One bind of the service account if there is one, then searches only.
    Searches { bound: bool },
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("connection closed by the server")]
    Closed,
    #[error("connection lost: {0}")]
    Lost(#[from] io::Error),
    #[error("server sent {0}")]
    Hostile(#[from] Violation),
    #[error("server sent an answer to nothing that was asked")]
    Unasked,
    #[error("server sent more entries than were asked for")]
    TooMuch,
    #[error("server gave notice of disconnection")]
    Notice,
    #[error("closed here")]
    Here,
}

/// What is known of a connection from outside of its task.
#[derive(Debug, Default)]
pub(super) struct Line {
    ended: AtomicBool,
    /// Octets handed to the kernel.
    sent: AtomicU64,
    why: Mutex<Option<String>>,
}

impl Line {
    pub(super) fn is_open(&self) -> bool {
        !self.ended.load(Ordering::Acquire)
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// Why it ended, in words.
    pub(super) fn why(&self) -> Option<String> {
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        why.clone()
    }

    fn close(&self, why: Option<String>) {
        if why.is_some() {
            *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
        }
        self.ended.store(true, Ordering::Release);
    }
}

/// Octets that wait to be passed on, from `start`.
#[derive(Default)]
struct Buffer {
    octets: Vec<u8>,
    start: usize,
}

impl Buffer {
    fn waiting(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start >= self.octets.len() {
            self.octets.clear();
            self.start = 0;
            // One large answer must not keep its memory on every connection.
            if self.octets.capacity() > 4 * CHUNK {
                self.octets = Vec::new();
            }
        } else if self.start >= CHUNK {
            self.octets.drain(..self.start);
            self.start = 0;
        }
    }
}

/// Decides which messages may pass.
struct Inspector {
    purpose: Purpose,
    /// Entries and octets of searches that have not ended.
    searches: HashMap<u32, (u32, usize)>,
}

impl Inspector {
    fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            searches: HashMap::new(),
        }
    }

    fn admit(&mut self, message: Message) -> Result<(), Ended> {
        // What a server says unasked is that it is leaving (RFC 4511 §4.4.1).
        if message.id == 0 {
            return Err(Ended::Notice);
        }
        // `ldap3` numbers its requests from 1, and the service account's bind is the first.
        let is_bind = match self.purpose {
            Purpose::Binds => true,
            Purpose::Searches { bound } => bound && message.id == 1,
        };
        match message.operation {
            Operation::Bind if is_bind => Ok(()),
            Operation::Done if !is_bind => {
                self.searches.remove(&message.id);
                Ok(())
            }
            Operation::Entry | Operation::Reference if !is_bind => self.count(message),
            Operation::Bind
            | Operation::Done
            | Operation::Entry
            | Operation::Reference
            | Operation::Extended => Err(Ended::Unasked),
        }
    }

    fn count(&mut self, message: Message) -> Result<(), Ended> {
        let (entries, octets) = self.searches.entry(message.id).or_default();
        *entries += 1;
        *octets += message.len;
        let within = *entries <= MAX_ENTRIES && *octets <= MAX_SEARCH_OCTETS;
        if within && self.searches.len() <= MAX_SEARCHES {
            Ok(())
        } else {
            Err(Ended::TooMuch)
        }
    }
}

/// What the guard stands between.
struct Ends {
    /// The server.
    stream: Stream,
    /// Our end of the socket pair.
    near: UnixStream,
    /// `ldap3` at the other end.
    driver: Pin<Box<dyn Future<Output = ldap3::result::Result<()>> + Send>>,
}

/// Runs a connection until either side ends it.
pub(super) struct Bridge {
    ends: Ends,
    incoming: Buffer,
    /// How much of what waits in `incoming` is whole messages that may pass.
    checked: usize,
    outgoing: Buffer,
    /// Whether TLS may hold octets that were written.
    unflushed: bool,
    /// Whether the last read from `ldap3` took all there was.
    drained: bool,
    inspector: Inspector,
    /// Set once the server's side is over; `ldap3` may still read what came before.
    ending: Option<Ended>,
    line: Arc<Line>,
    server: String,
}

impl Bridge {
    fn new(ends: Ends, purpose: Purpose, line: Arc<Line>, server: String) -> Self {
        Self {
            ends,
            incoming: Buffer::default(),
            checked: 0,
            outgoing: Buffer::default(),
            unflushed: false,
            drained: true,
            inspector: Inspector::new(purpose),
            ending: None,
            line,
            server,
        }
    }

    /// Reads what the server sent, as far as there is room, and looks at it.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let mut chunk = [std::mem::MaybeUninit::uninit(); CHUNK];
        // An incomplete message may fill the buffer to its bound; whole ones wait for the driver.
        while self.checked < CHUNK {
            let mut read = ReadBuf::uninit(&mut chunk);
            match ready!(Pin::new(&mut self.ends.stream).poll_read(cx, &mut read)) {
                Ok(()) if read.filled().is_empty() => return Poll::Ready(Ended::Closed),
                Ok(()) => self.incoming.octets.extend_from_slice(read.filled()),
                Err(error) => return Poll::Ready(error.into()),
            }
            if let Err(ended) = self.inspect() {
                return Poll::Ready(ended);
            }
        }
        Poll::Pending
    }

    fn inspect(&mut self) -> Result<(), Ended> {
        loop {
            let unchecked = self.incoming.waiting().get(self.checked..);
            let Some(message) = ber::message(unchecked.unwrap_or_default())? else {
                return Ok(());
            };
            self.inspector.admit(message)?;
            self.checked += message.len;
        }
    }

    /// Hands whole messages to `ldap3`. When its socket is full, it is about to read: it will be
    /// polled, and so will this.
    fn deliver(&mut self) -> Result<(), Ended> {
        while self.checked > 0 {
            let whole = self.incoming.waiting().get(..self.checked);
            match (&self.ends.near).write(whole.unwrap_or_default()) {
                Ok(count) => {
                    self.checked = self.checked.saturating_sub(count);
                    self.incoming.consume(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Takes what `ldap3` wrote and sends it.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            if self.outgoing.waiting().is_empty() && !self.unflushed {
                if let Err(error) = self.collect() {
                    return Poll::Ready(error.into());
                }
                if self.outgoing.waiting().is_empty() {
                    return Poll::Pending;
                }
                if self.was_closed_idle() {
                    return Poll::Ready(Ended::Closed);
                }
            } else {
                // Sending had to wait, and `ldap3` may have written since.
                self.drained = false;
            }
            if let Err(error) = ready!(self.poll_send(cx)) {
                return Poll::Ready(error.into());
            }
            if self.drained {
                return Poll::Pending;
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.waiting().is_empty() {
            let stream = Pin::new(&mut self.ends.stream);
            let count = ready!(stream.poll_write(cx, self.outgoing.waiting()))?;
            self.line.sent.fetch_add(count as u64, Ordering::Release);
            self.outgoing.consume(count);
            self.unflushed = true;
        }
        // Passwords went through here.
        self.outgoing.octets.zeroize();
        ready!(Pin::new(&mut self.ends.stream).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Asks the kernel whether an idle bind connection is over, before the runtime has noticed: a
    /// bind that was sent cannot be sent again. A server has nothing to say there unasked; only
    /// before the first request may TLS have something to read.
    fn was_closed_idle(&self) -> bool {
        if self.inspector.purpose != Purpose::Binds || self.line.sent() == 0 {
            return false;
        }
        let tcp = match &self.ends.stream {
            Either::Left(tcp) => tcp,
            Either::Right(tls) => tls.get_ref().0,
        };
        let peeked = socket2::SockRef::from(tcp).peek(&mut [std::mem::MaybeUninit::uninit()]);
        !matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads from `ldap3`, and notes whether more may be there.
    fn collect(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4096];
        match (&self.ends.near).read(&mut chunk) {
            Ok(count) => {
                self.drained = count < chunk.len();
                let read = chunk.get_mut(..count).unwrap_or_default();
                self.outgoing.octets.extend_from_slice(read);
                read.zeroize();
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.drained = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // The server first: a connection that it has closed must not take another request.
            if self.ending.is_none()
                && let Poll::Ready(ended) = self.receive(cx)
            {
                self.end(ended);
            }
            let stopped_reading = self.checked >= CHUNK;
            if let Err(ended) = self.deliver() {
                self.end(ended);
                return Poll::Ready(());
            }
            if self.ending.is_some() && self.checked == 0 {
                // `ldap3` reads what is there, then the end, and stops.
                drop(self.ends.near.shutdown(Shutdown::Write));
            }
            if self.ends.driver.as_mut().poll(cx).is_ready() {
                self.end(Ended::Here);
                return Poll::Ready(());
            }
            if self.ending.is_none()
                && let Poll::Ready(ended) = self.send(cx)
            {
                self.end(ended);
                continue;
            }
            // The driver may have made room, and nothing but this would notice.
            let waiting = self.checked;
            if let Err(ended) = self.deliver() {
                self.end(ended);
                return Poll::Ready(());
            }
            let may_read = stopped_reading && self.checked < CHUNK;
            if self.checked == waiting && !may_read {
                return Poll::Pending;
            }
        }
    }

    /// Notes why the connection is over; the first reason is the true one.
    fn end(&mut self, ended: Ended) {
        if self.ending.is_some() {
            return;
        }
        match &ended {
            Ended::Hostile(_) | Ended::Unasked | Ended::TooMuch => {
                log::warn!("directory server {}: {ended}", self.server);
            }
            Ended::Closed | Ended::Lost(_) | Ended::Notice | Ended::Here => {
                log::debug!("directory server {}: {ended}", self.server);
            }
        }
        self.line.close(Some(ended.to_string()));
        self.ending = Some(ended);
    }
}

impl Future for Bridge {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().step(cx)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if std::thread::panicking() {
            log::error!(
                "directory server {}: the LDAP driver panicked; its connection is lost",
                self.server
            );
        }
        self.line.close(None);
    }
}
