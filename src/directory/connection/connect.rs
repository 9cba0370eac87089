//! Makes a connection: TCP, then TLS.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;

use super::{Ended, Line, poll_receive};
use crate::directory::protocol::{Inbox, Message, Operation, STARTTLS, Violation};
use crate::directory::settings::{Protection, Server, Settings};

/// Idle time before the first keep-alive probe: below the idle limits of usual firewalls.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Between keep-alive probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long sent octets may stay unacknowledged before the kernel gives the connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub(in crate::directory) enum ConnectError {
    #[error("connect: {0}")]
    Connect(#[source] io::Error),
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    #[error("StartTLS refused: result {0}")]
    StartTlsRefused(u32),
    #[error("StartTLS answered with {0}")]
    StartTlsAnswer(#[from] Violation),
    #[error("StartTLS: {0}")]
    StartTls(#[from] Ended),
}

/// Connects and protects.
pub(in crate::directory) async fn connect(
    server: &Server,
    tls: Option<&Arc<rustls::ClientConfig>>,
) -> Result<Line, ConnectError> {
    let mut tcp = TcpStream::connect((server.host.as_str(), server.port))
        .await
        .map_err(ConnectError::Connect)?;
    tune(&tcp).map_err(ConnectError::Connect)?;
    if server.protection == Protection::StartTls {
        start_tls(&mut tcp).await?;
    }
    if server.protection == Protection::Clear {
        return Ok(Line::new(Either::Left(tcp)));
    }
    let failed = |error: io::Error| ConnectError::Tls(error);
    let config = tls.ok_or_else(|| failed(io::Error::other("no certificates")))?;
    let name = ServerName::try_from(server.host.clone());
    let name = name.map_err(|error| failed(io::Error::other(error)))?;
    let connector = TlsConnector::from(config.clone());
    let stream = connector.connect(name, tcp).await.map_err(failed)?;
    Ok(Line::new(Either::Right(Box::new(stream))))
}

/// The settings of TLS to every server of a directory, or `None` where all are in the clear.
pub(in crate::directory) fn tls(
    settings: &Settings,
) -> io::Result<Option<Arc<rustls::ClientConfig>>> {
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
    let written = tcp.write_all(STARTTLS).await;
    written.map_err(ConnectError::Connect)?;
    let mut inbox = Inbox::default();
    while !inbox.has_message()? {
        poll_fn(|cx| poll_receive(&mut inbox, tcp, cx)).await?;
    }
    let code = match inbox.next()? {
        Some(Message {
            id: 1,
            operation: Operation::Extended(outcome),
        }) => outcome.code,
        _ => return Err(Violation::Tag.into()),
    };
    if !inbox.is_empty() {
        return Err(Violation::Length.into());
    }
    match code {
        0 => Ok(()),
        code => Err(ConnectError::StartTlsRefused(code)),
    }
}
