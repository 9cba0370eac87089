//! A connection to a server: one caller's for binds, shared for searches.
//!
//! A bind is written and read by its caller; nobody else has the connection until the answer has
//! come. Searches of many callers are written together and read by one task.

mod connect;
mod driver;
mod searches;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::failure::Failure;
use super::protocol::{self, Inbox, Message, Operation, Outcome, Violation};
pub(super) use connect::{ConnectError, connect, tls};
pub(super) use searches::{Answer, Searches};

/// Octets read at once; an answer to a login fits several times.
const CHUNK: usize = 16 * 1024;

type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

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
    #[error("server left too many searches without an end")]
    Unfinished,
    #[error("server gave notice of disconnection")]
    Notice,
    #[error("closed here")]
    Here,
}

/// A stream to a server, and what was received of it but not read. Dropping closes it.
pub(super) struct Line {
    stream: Stream,
    inbox: Inbox,
    /// The number of the last request; they start at 1.
    last_id: u32,
}

impl Line {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            inbox: Inbox::default(),
            last_id: 0,
        }
    }

    /// Whether it can take a bind: asks the kernel, before the runtime has noticed, since a bind that was sent cannot
    /// be sent again. A server has nothing to say unasked; only before the first request may TLS have something to
    /// read.
    pub(super) fn is_open(&self) -> bool {
        if self.last_id == 0 {
            return true;
        }
        let tcp = match &self.stream {
            Either::Left(tcp) => tcp,
            Either::Right(tls) => tls.get_ref().0,
        };
        let peeked = socket2::SockRef::from(tcp).peek(&mut [MaybeUninit::uninit()]);
        let is_silent = matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        is_silent && self.inbox.is_empty()
    }

    /// Binds: one request, one answer. A caller who goes away, or gets anything but the answer, must not use the
    /// line again.
    pub(super) async fn bind(&mut self, dn: &str, password: &[u8]) -> Result<Outcome<'_>, Failure> {
        let id = next_id(&mut self.last_id);
        let request = protocol::bind(id, dn, password);
        let mut sent = 0;
        if let Err(error) = self.send(&request, &mut sent).await {
            let ended = error.into();
            return Err(match sent {
                0 => Failure::lost(&ended),
                _ => Failure::unsettled(&ended),
            });
        }
        drop(request);
        let outcome = self.bind_answer(id).await;
        outcome.map_err(|ended| Failure::unsettled(&ended))
    }

    async fn bind_answer(&mut self, id: u32) -> Result<Outcome<'_>, Ended> {
        while !self.inbox.has_message()? {
            std::future::poll_fn(|cx| self.poll_receive(cx)).await?;
        }
        match self.inbox.next()? {
            Some(Message { id: 0, .. }) => Err(Ended::Notice),
            Some(Message {
                id: answered,
                operation: Operation::Bind(outcome),
            }) if answered == id => Ok(outcome),
            _ => Err(Ended::Unasked),
        }
    }

    async fn send(&mut self, mut octets: &[u8], sent: &mut usize) -> io::Result<()> {
        while !octets.is_empty() {
            let count = self.stream.write(octets).await?;
            *sent += count;
            octets = octets.get(count..).unwrap_or_default();
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        self.stream.flush().await
    }

    /// Receives once into the inbox.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        ready!(poll_receive(&mut self.inbox, &mut self.stream, cx))?;
        Poll::Ready(Ok(()))
    }
}

fn poll_receive(
    inbox: &mut Inbox,
    stream: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
) -> Poll<Result<(), Ended>> {
    let mut chunk = [MaybeUninit::uninit(); CHUNK];
    let mut read = ReadBuf::uninit(&mut chunk);
    ready!(Pin::new(stream).poll_read(cx, &mut read))?;
    if read.filled().is_empty() {
        return Poll::Ready(Err(Ended::Closed));
    }
    inbox.push(read.filled());
    Poll::Ready(Ok(()))
}

/// Numbers from 1 to 2³¹−1, and round again (RFC 4511 §4.1.1.1).
fn next_id(last: &mut u32) -> u32 {
    *last = if *last < i32::MAX.unsigned_abs() {
        *last + 1
    } else {
        1
    };
    *last
}
