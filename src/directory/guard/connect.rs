//! Makes a connection: TCP, TLS, and the socket pair to `ldap3`.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, StdStream};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;

use super::ber::{self, Operation, Violation};
use super::{Bridge, Ends, Line, Purpose};
use crate::directory::settings::{Protection, Server, Settings};

/// Idle time before the first keep-alive probe: below the idle limits of usual firewalls.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Between keep-alive probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long sent octets may stay unacknowledged before the kernel gives the connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(10);
/// Octets of the answer to StartTLS.
const MAX_STARTTLS_ANSWER: usize = 4096;
/// The StartTLS request (RFC 4511 §4.14.1) with message id 1.
const STARTTLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

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
    #[error("LDAP: {0}")]
    Ldap(#[from] ldap3::LdapError),
}

/// Connects, protects, and returns `ldap3`'s handle with the future that must run for it.
pub(in crate::directory) async fn connect(
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
    let ends = Ends {
        stream,
        near,
        driver: Box::pin(driver.drive()),
    };
    let bridge = Bridge::new(ends, purpose, line.clone(), server.to_string());
    Ok((ldap, line, bridge))
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
