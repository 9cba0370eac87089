//! RADIUS over TLS: who is let in, what closes a connection, and what the worst peers cost the others.

#[expect(clippy::disallowed_methods, reason = "measures how long others take")]
mod bounds;
mod connecting;
#[expect(clippy::disallowed_methods, reason = "measures how long others take")]
mod daemon;
mod held;
mod packets;
mod proxies;

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sekisho::secret::Secret;
use sekisho::server::{Client, Identity, PeerName, Pem, Settings, TlsSettings, Transport};
use sekisho::wire::{Answer, Asked, Query};
use socket2::{Domain, Socket, Type};

use crate::server::{House, client};
use crate::support::authority::{Authority, Shown};

/// The secret of all (RFC 6614 §2.3).
const SECRET: &str = "radsec";
/// The name in the server's certificate.
const SERVER: &str = "radius.example.ac.jp";
/// The name in the usual client's.
const NAME: &str = "ap1.example.ac.jp";
/// How long an answer that must come is waited for, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must come.
const SILENCE: Duration = Duration::from_millis(300);

/// A listener, the authority of its clients, and the usual client's certificate.
struct Radsec {
    house: House,
    authority: Authority,
    shown: Shown,
}

impl Radsec {
    /// With the client `wifi`, of the name [`NAME`].
    fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// The same, with changed settings.
    fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let authority = Authority::new();
        let shown = authority.issue(&[NAME]);
        let tls = tls(&authority, None);
        let house = House::start(|settings| {
            settings.tls = Some(tls);
            settings.clients.push(by_tls("wifi", &[NAME]));
            change(settings);
        });
        Self {
            house,
            authority,
            shown,
        }
    }

    fn address(&self) -> SocketAddr {
        self.house.server.tls_addresses()[0]
    }

    /// Connects as the usual client.
    fn connect(&self) -> Peer {
        self.connect_as(&self.shown)
    }

    fn connect_as(&self, shown: &Shown) -> Peer {
        let config = config(&self.authority, Some(shown));
        Peer::connect(self.address(), config).unwrap()
    }

    /// Reads the configuration anew.
    fn reload(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.house.settings.clone();
        change(&mut settings);
        self.house.server.reload(settings);
    }
}

/// What is listened with, believing an authority less what is on a revocation list.
fn tls(authority: &Authority, crl: Option<&str>) -> TlsSettings {
    let shown = authority.issue(&[SERVER]);
    let client_ca = authority.pem();
    let pem = Pem {
        certificate: shown.certificate.as_bytes(),
        key: &Secret::from(shown.key.as_str()),
        client_ca: client_ca.as_bytes(),
        crl: crl.map(str::as_bytes),
    };
    TlsSettings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        identity: Identity::new(pem).unwrap(),
    }
}

/// A client of these names, from anywhere.
fn by_tls(name: &str, names: &[&str]) -> Client {
    let names = names.iter().map(|name| PeerName::read(name).unwrap());
    Client {
        addresses: Vec::new(),
        transport: Transport::Tls(names.collect()),
        ..client(name, "192.0.2.1/32", "unused: there are no datagrams")
    }
}

/// What a peer connects with.
fn config(authority: &Authority, shown: Option<&Shown>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let pem = authority.pem();
    for certificate in rustls_pem(&pem) {
        roots.add(certificate).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match shown {
        Some(shown) => builder
            .with_client_auth_cert(shown.chain(), shown.private())
            .unwrap(),
        None => builder.with_no_client_auth(),
    }
}

fn rustls_pem(pem: &str) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    rustls::pki_types::CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

/// The other end of a connection.
struct Peer {
    stream: StreamOwned<ClientConnection, TcpStream>,
    secret: Secret,
}

impl Peer {
    fn connect(server: SocketAddr, config: ClientConfig) -> io::Result<Self> {
        Self::over(TcpStream::connect(server)?, config)
    }

    fn over(mut stream: TcpStream, config: ClientConfig) -> io::Result<Self> {
        let name = ServerName::try_from(SERVER).unwrap();
        let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        Ok(Self {
            stream: StreamOwned::new(tls, stream),
            secret: Secret::from(SECRET),
        })
    }

    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)?;
        self.stream.flush()
    }

    /// The next packet, whole; an error when none comes in time or the connection is closed.
    fn receive(&mut self, patience: Duration) -> io::Result<Vec<u8>> {
        self.stream.sock.set_read_timeout(Some(patience))?;
        let mut packet = vec![0; 4];
        self.stream.read_exact(&mut packet)?;
        let length = u16::from_be_bytes([packet[2], packet[3]]);
        packet.resize(length.into(), 0);
        self.stream.read_exact(&mut packet[4..])?;
        Ok(packet)
    }

    fn ask(&mut self, query: Query) -> Answer {
        let asked = query.sign(&self.secret);
        self.send(asked.octets()).unwrap();
        self.answer(&asked)
    }

    fn answer(&mut self, asked: &Asked) -> Answer {
        let octets = self.receive(PATIENCE).expect("an answer");
        asked
            .answer(&octets, &self.secret)
            .expect("a believable answer")
    }

    /// A login of somebody whom nobody knows.
    fn login(&self, identifier: u8) -> Query {
        Query::access(identifier)
            .with(1, b"taro")
            .with_password(&self.secret, b"a password")
    }

    /// Whether nothing comes, and the connection stays.
    fn hears_nothing(&mut self) -> bool {
        let waited = self.receive(SILENCE).map_err(|error| error.kind());
        waited == Err(io::ErrorKind::WouldBlock)
    }

    /// Whether the other end closes the connection within the patience of tests.
    fn is_closed(&mut self) -> bool {
        match self.receive(PATIENCE) {
            Ok(packet) => panic!("a packet of {} octets came", packet.len()),
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

/// A TCP connection from a loopback address.
fn tcp_from(source: IpAddr, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect(&server.into())?;
    Ok(socket.into())
}
