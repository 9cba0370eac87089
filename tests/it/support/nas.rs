//! A NAS: sends requests, waits for answers, believes only signed ones.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use sekisho::secret::Secret;
use sekisho::wire::{Answer, Asked, Code, Query};

const USER_NAME: u8 = 1;
const STATE: u8 = 24;
const REPLY_MESSAGE: u8 = 18;
const CALLING_STATION_ID: u8 = 31;
const NAS_IDENTIFIER: u8 = 32;

/// How long a test waits for an answer that must come; long, as machines are slow at times.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a test waits to be sure that no answer comes.
const SILENCE: Duration = Duration::from_millis(600);

/// A NAS with one socket.
pub struct Nas {
    socket: UdpSocket,
    server: SocketAddr,
    secret: Secret,
    station: Option<String>,
    next: std::cell::Cell<u8>,
}

/// An answer in a test's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u8,
    pub text: Option<String>,
    pub state: Option<Vec<u8>>,
    pub attributes: Vec<(u8, Vec<u8>)>,
}

impl Reply {
    pub fn accepted(&self) -> bool {
        self.code == Code::AccessAccept as u8
    }

    /// Not let in: refused, or asked for another code.
    pub fn kept_out(&self) -> bool {
        self.rejected() || self.challenged()
    }

    pub fn rejected(&self) -> bool {
        self.code == Code::AccessReject as u8
    }

    pub fn challenged(&self) -> bool {
        self.code == Code::AccessChallenge as u8
    }

    pub fn attribute(&self, kind: u8) -> Option<&[u8]> {
        self.attributes
            .iter()
            .find(|(k, _)| *k == kind)
            .map(|(_, value)| value.as_slice())
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        let attributes: Vec<(u8, Vec<u8>)> = answer
            .all()
            .map(|(kind, value)| (kind, value.to_vec()))
            .collect();
        let first = |wanted| {
            attributes
                .iter()
                .find(|(kind, _)| *kind == wanted)
                .map(|(_, v)| v.clone())
        };
        Self {
            code: answer.code() as u8,
            text: first(REPLY_MESSAGE)
                .map(|octets| String::from_utf8(octets).expect("texts are UTF-8")),
            state: first(STATE),
            attributes,
        }
    }
}

impl Nas {
    /// A NAS at 127.0.0.1.
    pub fn new(server: SocketAddr, secret: &str) -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into(), server, secret)
    }

    /// A NAS at another loopback address.
    pub fn at(address: IpAddr, server: SocketAddr, secret: &str) -> Self {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        Self {
            socket,
            server,
            secret: Secret::from(secret),
            station: None,
            next: 0.into(),
        }
    }

    /// The same, telling this Calling-Station-Id.
    #[expect(clippy::wrong_self_convention, reason = "where the login comes from")]
    pub fn from_station(mut self, station: &str) -> Self {
        self.station = Some(station.to_owned());
        self
    }

    /// A fresh Access-Request of this NAS.
    pub fn query(&self, name: &[u8], password: &[u8]) -> Query {
        let identifier = self.next.get();
        self.next.set(identifier.wrapping_add(1));
        let mut query = Query::access(identifier)
            .with(NAS_IDENTIFIER, b"test-nas")
            .with(USER_NAME, name)
            .with_password(&self.secret, password);
        if let Some(station) = &self.station {
            query = query.with(CALLING_STATION_ID, station.as_bytes());
        }
        query
    }

    /// Signs with this NAS's secret.
    pub fn sign(&self, query: Query) -> Asked {
        query.sign(&self.secret)
    }

    /// Sends octets.
    pub fn send(&self, octets: &[u8]) {
        self.socket.send_to(octets, self.server).unwrap();
    }

    /// Waits for the octets of an answer.
    pub fn receive(&self, patience: Duration) -> Option<Vec<u8>> {
        let mut octets = [0; 4096];
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let (count, from) = self.socket.recv_from(&mut octets).ok()?;
        assert_eq!(
            from, self.server,
            "the answer must come from the address that was asked"
        );
        Some(octets[..count].to_vec())
    }

    /// Sends and waits for the answer, which must come and be believable.
    pub fn ask(&self, asked: &Asked) -> Reply {
        self.send(asked.octets());
        self.answer(asked)
    }

    /// Waits for the answer to what was sent.
    pub fn answer(&self, asked: &Asked) -> Reply {
        let octets = self.receive(PATIENCE).expect("an answer");
        asked
            .answer(&octets, &self.secret)
            .expect("a believable answer")
            .into()
    }

    /// Makes sure that nothing comes.
    pub fn hears_nothing(&self) -> bool {
        self.receive(SILENCE).is_none()
    }

    /// One login.
    pub fn login(&self, name: &str, password: &str) -> Reply {
        self.ask(&self.sign(self.query(name.as_bytes(), password.as_bytes())))
    }

    /// The answer to a challenge.
    pub fn respond(&self, name: &str, challenge: &Reply, response: &str) -> Reply {
        let state = challenge.state.as_deref().expect("a challenge has a State");
        let query = self
            .query(name.as_bytes(), response.as_bytes())
            .with(STATE, state);
        self.ask(&self.sign(query))
    }

    /// Asks for a sign of life.
    pub fn status(&self) -> Reply {
        self.ask(&Query::status(201).sign(&self.secret))
    }
}
