//! An access point in a test's hand: it passes on EAP packets, right ones and others.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use sekisho::secret::Secret;
use sekisho::wire::{Answer, Asked, Code, Query, attribute};

use crate::support::daemon::SECRET;

/// How long an answer that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must come.
const SILENCE: Duration = Duration::from_millis(300);
/// EAP's codes and types (RFC 3748).
pub const REQUEST: u8 = 1;
pub const RESPONSE: u8 = 2;
pub const FAILURE: u8 = 4;
pub const IDENTITY: u8 = 1;
pub const NAK: u8 = 3;
pub const TTLS: u8 = 21;

pub struct Ap {
    socket: UdpSocket,
    server: SocketAddr,
    secret: Secret,
    next: Cell<u8>,
    pub station: String,
}

/// An EAP packet.
pub fn eap(code: u8, identifier: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + data.len()).unwrap();
    [&[code, identifier][..], &length.to_be_bytes(), data].concat()
}

/// An EAP-Response/Identity.
pub fn identity(identifier: u8, name: &str) -> Vec<u8> {
    eap(
        RESPONSE,
        identifier,
        &[&[IDENTITY], name.as_bytes()].concat(),
    )
}

impl Ap {
    pub fn new(server: SocketAddr) -> Self {
        Self::at(Ipv4Addr::LOCALHOST, server)
    }

    pub fn at(address: Ipv4Addr, server: SocketAddr) -> Self {
        Self {
            socket: UdpSocket::bind((address, 0)).unwrap(),
            server,
            secret: Secret::from(SECRET),
            next: 0.into(),
            station: "02-00-00-00-00-01".to_owned(),
        }
    }

    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// A request with an EAP packet.
    pub fn query(&self, name: &str, state: Option<&[u8]>, packet: &[u8]) -> Query {
        let identifier = self.next.get();
        self.next.set(identifier.wrapping_add(1));
        let query = Query::access(identifier)
            .with(attribute::USER_NAME, name.as_bytes())
            .with(attribute::NAS_IDENTIFIER, b"test-ap")
            .with(attribute::CALLING_STATION_ID, self.station.as_bytes())
            .with_eap(packet);
        match state {
            Some(state) => query.with(attribute::STATE, state),
            None => query,
        }
    }

    pub fn send(&self, query: Query) -> Asked {
        let asked = query.sign(&self.secret);
        self.socket.send_to(asked.octets(), self.server).unwrap();
        asked
    }

    pub fn send_again(&self, asked: &Asked) {
        self.socket.send_to(asked.octets(), self.server).unwrap();
    }

    pub fn answer(&self, asked: &Asked) -> Answer {
        let octets = self.receive(PATIENCE).expect("an answer");
        let answer = asked.answer(&octets, &self.secret);
        let answer = answer.expect("a believable answer");
        obeys(&answer);
        answer
    }

    pub fn receive(&self, patience: Duration) -> Option<Vec<u8>> {
        let mut octets = [0; 4096];
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let length = self.socket.recv(&mut octets).ok()?;
        Some(octets[..length].to_vec())
    }

    pub fn hears_nothing(&self) -> bool {
        self.receive(SILENCE).is_none()
    }

    pub fn ask(&self, query: Query) -> Answer {
        let asked = self.send(query);
        self.answer(&asked)
    }

    /// Begins a conversation; gives its State and the EAP-Request.
    pub fn begin(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
        let answer = self.ask(self.query(name, None, &identity(1, name)));
        assert_eq!(answer.code(), Code::AccessChallenge);
        (state_of(&answer), answer.eap().unwrap())
    }
}

pub fn state_of(answer: &Answer) -> Vec<u8> {
    answer.attributes(attribute::STATE).next().unwrap().to_vec()
}

/// No reply may mix what RFC 3579 §2.6.3 and §2.6.5 forbid to be mixed, and each is signed in front.
fn obeys(answer: &Answer) {
    let packet = answer.eap().expect("EAP is answered by EAP");
    let kind = packet[0];
    let expected: &[u8] = match answer.code() {
        Code::AccessAccept => &[3],
        // A Nak to who wants to change sides (§2.6.2).
        Code::AccessReject => &[FAILURE, RESPONSE],
        Code::AccessChallenge => &[REQUEST],
        code => panic!("{code:?}"),
    };
    assert!(
        expected.contains(&kind),
        "{:?} with EAP {kind}",
        answer.code()
    );
    let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    assert_eq!(packet.len(), length, "one EAP packet and nothing behind it");
    let kinds: Vec<u8> = answer.all().map(|(kind, _)| kind).collect();
    assert_eq!(kinds[..2], [80, 79], "{kinds:?}");
    assert!(!kinds.contains(&attribute::REPLY_MESSAGE), "{kinds:?}");
    let states = answer.attributes(attribute::STATE).count();
    assert_eq!(states, usize::from(answer.code() == Code::AccessChallenge));
    let keys = answer.vendor_attributes(attribute::MICROSOFT, attribute::MS_MPPE_SEND_KEY);
    assert_eq!(
        keys.count(),
        usize::from(answer.code() == Code::AccessAccept)
    );
}
