//! The peer of a conversation, as a phone on the campus network: EAP-TTLS with PAP inside (RFC 5281), octet by octet.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, Resumption};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, HandshakeKind, SignatureScheme};

use crate::people::Person;
use crate::radio::{Heard, Radio};

/// EAP-TTLS (RFC 5281 §9.1).
const TTLS: u8 = 21;
const RESPONSE: u8 = 2;
const IDENTITY: u8 = 1;
const NAK: u8 = 3;
/// Flags of a TLS fragment (RFC 5216 §3.1).
const LENGTH: u8 = 0x80;
const MORE: u8 = 0x40;
const START: u8 = 0x20;
/// A conversation that takes more rounds than this goes nowhere.
const ROUNDS: usize = 40;

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Full,
    Resumed,
    Refused,
    Lost,
}

/// Many people's devices: each remembers its own session.
#[derive(Clone)]
pub struct Supplicants(Arc<ClientConfig>);

impl Supplicants {
    pub fn new(version: &'static rustls::SupportedProtocolVersion, people: usize) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(4 * people);
        Self(Arc::new(config))
    }

    /// Logs one person in.
    pub fn login(&self, radio: &mut Radio, person: &Person) -> Ended {
        let mut device = Device::new(self, person);
        let mut answer = identity();
        for _ in 0..ROUNDS {
            match radio.exchange(&answer) {
                Heard::Nothing => return Ended::Lost,
                Heard::Reject => return Ended::Refused,
                Heard::Accept if device.is_resumed() => return Ended::Resumed,
                Heard::Accept => return Ended::Full,
                Heard::Challenge(request) => answer = device.answer(&request),
            }
        }
        Ended::Lost
    }

    /// The first two messages of a conversation that goes no further: the octets do not depend on what is answered, but for the
    /// identifier in the second one's second octet.
    pub fn hello(&self, person: &Person) -> Vec<u8> {
        let mut device = Device::new(self, person);
        device.fragment(0)
    }
}

/// The answer to Identity: nobody in particular.
pub fn identity() -> Vec<u8> {
    packet(0, IDENTITY, b"anonymous@bench")
}

struct Device<'a> {
    tls: ClientConnection,
    person: &'a Person,
    received: Vec<u8>,
    said: bool,
}

impl<'a> Device<'a> {
    fn new(supplicants: &Supplicants, person: &'a Person) -> Self {
        // A name of their own, so that each has a session of their own.
        let name = ServerName::try_from(format!("{}.bench", person.uid)).unwrap();
        Self {
            tls: ClientConnection::new(Arc::clone(&supplicants.0), name).unwrap(),
            person,
            received: Vec::new(),
            said: false,
        }
    }

    fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let identifier = request[1];
        if request[4] == IDENTITY {
            return packet(identifier, IDENTITY, b"anonymous@bench");
        }
        if request[4] != TTLS {
            return packet(identifier, NAK, &[TTLS]);
        }
        let flags = request[5];
        if flags & START == 0 {
            let at = if flags & LENGTH == 0 { 6 } else { 10 };
            self.received.extend_from_slice(&request[at..]);
            if flags & MORE != 0 {
                return packet(identifier, TTLS, &[0]);
            }
            self.take();
        }
        self.fragment(identifier)
    }

    /// Gives TLS what has come.
    fn take(&mut self) {
        let mut octets = self.received.as_slice();
        while !octets.is_empty() {
            self.tls.read_tls(&mut octets).unwrap();
            let state = self.tls.process_new_packets().expect("TLS goes on");
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            self.tls.reader().read_exact(&mut plain).unwrap();
        }
        self.received.clear();
        // As wpa_supplicant: what is said inside does not go with the Finished, so that a ticket comes in between.
        let silent = self.tls.is_handshaking() || self.tls.wants_write() || self.is_resumed();
        if !self.said && !silent {
            self.said = true;
            let inner = [
                pair(1, self.person.uid.as_bytes()),
                pair(2, self.person.password.as_bytes()),
            ];
            self.tls.writer().write_all(&inner.concat()).unwrap();
        }
    }

    /// What TLS has to say: never more than fits one packet.
    fn fragment(&mut self, identifier: u8) -> Vec<u8> {
        let mut octets = vec![0];
        while self.tls.wants_write() {
            self.tls.write_tls(&mut octets).unwrap();
        }
        packet(identifier, TTLS, &octets)
    }
}

fn packet(identifier: u8, kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 5).unwrap().to_be_bytes();
    let head = [RESPONSE, identifier, length[0], length[1], kind];
    [head.as_slice(), data].concat()
}

/// An attribute inside the tunnel (RFC 5281 §10.1), which must be understood.
fn pair(code: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 8).unwrap().to_be_bytes();
    let mut octets = vec![0, 0, 0, code, 0x40, 0, length[0], length[1]];
    octets.extend_from_slice(value);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

/// Whoever answers is believed: what is measured is the other side.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::RSA_PSS_SHA256,
        ]
    }
}
