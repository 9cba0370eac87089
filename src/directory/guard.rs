//! Stands between a server and `ldap3`: owns the connection, does TLS, and hands on only messages
//! that were looked at.
//!
//! `ldap3` sees one end of a socket pair. Its driver and the guard are one future, so that an
//! answer costs no task switch between them and a panic of the driver takes this connection only.

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, StdStream};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::ber::{self, Message, Operation, Violation};
use super::settings::{Protection, Server, Settings};

/// Idle time before the first keep-alive probe: below the idle limits of usual firewalls.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Between keep-alive probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long sent octets may stay unacknowledged before the kernel gives the connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(10);
/// Octets read at once; an answer to a login fits several times.
const CHUNK: usize = 16 * 1024;
/// Octets of the answer to StartTLS.
const MAX_STARTTLS_ANSWER: usize = 4096;
/// Entries and references of one search; every search asks for fewer.
const MAX_ENTRIES: u32 = 2048;
/// Octets of one search's entries, since `ldap3` queues them without a bound.
const MAX_SEARCH_OCTETS: usize = 4 * ber::MAX_MESSAGE;
/// Searches with entries but no end; more than may be in flight at once.
const MAX_SEARCHES: usize = 256;

/// The StartTLS request (RFC 4511 §4.14.1) with message id 1.
const STARTTLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// What a connection is for; it decides which answers may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Binds only.
    Binds,
    /// One bind of the service account if there is one, then searches only.
    Searches { bound: bool },
}

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("connect: {0}")]
    Connect(#[source] io::Error),
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    #[error("StartTLS refused: result {0}")]
    StartTlsRefused(u32),
    #[error("StartTLS answered with {0}")]
    StartTlsAnswer(#[from] Violation),
    #[error("LDAP: {0}")]
    Ldap(#[from] ldap3::LdapError),
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

/// Connects, protects, and returns `ldap3`'s handle with the future that must run for it.
pub(super) async fn connect(
    server: &Server,
    tls: Option<&Arc<rustls::ClientConfig>>,
    purpose: Purpose,
) -> Result<(Ldap, Arc<Line>, Bridge), ConnectError> {
    let mut tcp = TcpStream::connect((server.host.as_str(), server.port))
        .await
        .map_err(ConnectError::Connect)?;
    tune(&tcp).map_err(ConnectError::Connect)?;
    if server.protection == Protection::StartTls {
        start_tls(&mut tcp).await?;
    }
    let stream = match (server.protection, tls) {
        (Protection::Clear, _) => Either::Left(tcp),
        (Protection::Tls | Protection::StartTls, Some(config)) => {
            let name = ServerName::try_from(server.host.clone())
                .map_err(|error| ConnectError::Tls(io::Error::other(error)))?;
            let connector = TlsConnector::from(config.clone());
            let tls = connector.connect(name, tcp).await;
            Either::Right(Box::new(tls.map_err(ConnectError::Tls)?))
        }
        (Protection::Tls | Protection::StartTls, None) => {
            return Err(ConnectError::Tls(io::Error::other("no certificates")));
        }
    };
    let (near, far) = UnixStream::pair().map_err(ConnectError::Connect)?;
    near.set_nonblocking(true).map_err(ConnectError::Connect)?;
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(far));
    let (driver, ldap) = LdapConnAsync::with_settings(settings, "ldapi:///").await?;
    let line = Arc::new(Line::default());
    let bridge = Bridge {
        stream,
        near,
        driver: Box::pin(driver.drive()),
        incoming: Buffer::default(),
        checked: 0,
        outgoing: Buffer::default(),
        inspector: Inspector::new(purpose),
        ending: None,
        line: line.clone(),
        server: format!("{}:{}", server.host, server.port),
    };
    Ok((ldap, line, bridge))
}

/// The settings of TLS to every server of a directory, or `None` where all are in the clear.
pub(super) fn tls(settings: &Settings) -> io::Result<Option<Arc<rustls::ClientConfig>>> {
    let is_clear = |server: &Server| server.protection == Protection::Clear;
    if settings.servers.iter().all(is_clear) {
        return Ok(None);
    }
    let mut roots = rustls::RootCertStore::empty();
    match &settings.ca_file {
        Some(path) => {
            for certificate in CertificateDer::pem_file_iter(path).map_err(io::Error::other)? {
                let certificate = certificate.map_err(io::Error::other)?;
                roots.add(certificate).map_err(io::Error::other)?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "no CA certificates found",
        ));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Some(Arc::new(config)))
}

fn tune(tcp: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(tcp);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &socket2::TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL),
    )?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// Asks for TLS in the clear. Octets behind the answer end the connection: whatever comes before
/// the handshake may come from anybody on the path.
async fn start_tls(tcp: &mut TcpStream) -> Result<(), ConnectError> {
    let failed = ConnectError::Connect;
    tcp.write_all(STARTTLS).await.map_err(failed)?;
    let mut answer = Vec::with_capacity(256);
    loop {
        let room = MAX_STARTTLS_ANSWER.saturating_sub(answer.len());
        let read = tcp.take(room as u64).read_buf(&mut answer).await;
        if read.map_err(failed)? == 0 {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let Some(message) = ber::message(&answer)? else {
            continue;
        };
        if message.operation != Operation::Extended || message.id != 1 {
            return Err(Violation::Tag.into());
        }
        if message.len != answer.len() {
            return Err(Violation::Length.into());
        }
        return match ber::extended_code(&answer)? {
            0 => Ok(()),
            code => Err(ConnectError::StartTlsRefused(code)),
        };
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

/// Runs a connection until either side ends it.
pub(super) struct Bridge {
    stream: Stream,
    near: UnixStream,
    driver: Pin<Box<dyn Future<Output = ldap3::result::Result<()>> + Send>>,
    incoming: Buffer,
    /// How much of what waits in `incoming` is whole messages that may pass.
    checked: usize,
    outgoing: Buffer,
    inspector: Inspector,
    /// Set once the server's side is over; `ldap3` may still read what came before.
    ending: Option<Ended>,
    line: Arc<Line>,
    server: String,
}

impl Bridge {
    /// Reads what the server sent, as far as there is room, and looks at it.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let mut chunk = [std::mem::MaybeUninit::uninit(); CHUNK];
        // An incomplete message may fill the buffer to its bound; whole ones wait for the driver.
        while self.checked < CHUNK {
            let mut read = ReadBuf::uninit(&mut chunk);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read)) {
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
            match (&self.near).write(whole.unwrap_or_default()) {
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
            let mut more = false;
            if self.outgoing.waiting().is_empty() {
                match self.collect() {
                    Ok(drained) => more = !drained,
                    Err(error) => return Poll::Ready(error.into()),
                }
            }
            while !self.outgoing.waiting().is_empty() {
                let stream = Pin::new(&mut self.stream);
                match ready!(stream.poll_write(cx, self.outgoing.waiting())) {
                    Ok(count) => {
                        self.line.sent.fetch_add(count as u64, Ordering::Release);
                        self.outgoing.consume(count);
                    }
                    Err(error) => return Poll::Ready(error.into()),
                }
            }
            if let Err(error) = ready!(Pin::new(&mut self.stream).poll_flush(cx)) {
                return Poll::Ready(error.into());
            }
            if !more {
                return Poll::Pending;
            }
        }
    }

    /// Reads from `ldap3`; whether nothing is left there.
    fn collect(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        match (&self.near).read(&mut chunk) {
            Ok(count) => {
                let read = chunk.get(..count).unwrap_or_default();
                self.outgoing.octets.extend_from_slice(read);
                Ok(count < chunk.len())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let waiting = self.checked;
            // The server first: a connection that it has closed must not take another request.
            if self.ending.is_none()
                && let Poll::Ready(ended) = self.receive(cx)
            {
                self.end(ended);
            }
            if let Err(ended) = self.deliver() {
                self.end(ended);
                return Poll::Ready(());
            }
            if self.ending.is_some() && self.checked == 0 {
                // `ldap3` reads what is there, then the end, and stops.
                drop(self.near.shutdown(Shutdown::Write));
            }
            if self.driver.as_mut().poll(cx).is_ready() {
                self.end(Ended::Here);
                return Poll::Ready(());
            }
            if self.ending.is_none()
                && let Poll::Ready(ended) = self.send(cx)
            {
                self.end(ended);
                continue;
            }
            // Reading stopped for want of room, so nothing else would wake this.
            if waiting < CHUNK || self.checked >= CHUNK {
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
