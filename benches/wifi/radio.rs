//! The controller: carries EAP in RADIUS (RFC 3579), one conversation at a time on a socket of its own.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use sekisho::secret::Secret;
use sekisho::wire::{Answer, Asked, Code, Query};

use crate::people::SECRET;

const USER_NAME: u8 = 1;
const STATE: u8 = 24;
const STATION: u8 = 31;
const EAP_MESSAGE: u8 = 79;
/// As hostapd: after 3 s, and then some times more.
const PATIENCE: Duration = Duration::from_secs(3);
const TRIES: usize = 4;

/// What came back.
pub enum Heard {
    Challenge(Vec<u8>),
    Accept,
    Reject,
    Nothing,
}

/// A controller.
pub struct Radio {
    socket: UdpSocket,
    secret: Secret,
    station: String,
    state: Option<Vec<u8>>,
    identifier: u8,
}

impl Radio {
    pub fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            secret: Secret::from(SECRET),
            station: String::new(),
            state: None,
            identifier: 0,
        }
    }

    /// Another device comes.
    pub fn tune(&mut self, device: usize) {
        self.station = station(device);
        self.state = None;
    }

    /// Sends what the device says, and waits for the answer.
    pub fn exchange(&mut self, eap: &[u8]) -> Heard {
        self.identifier = self.identifier.wrapping_add(1);
        let asked = asked(
            (self.identifier, &self.secret),
            &self.station,
            self.state.as_deref(),
            eap,
        );
        let mut octets = [0; 4096];
        for _ in 0..TRIES {
            self.socket.send(asked.octets()).unwrap();
            while let Ok(count) = self.socket.recv(&mut octets) {
                if let Ok(answer) = asked.answer(&octets[..count], &self.secret) {
                    return self.hear(&answer);
                }
            }
        }
        Heard::Nothing
    }

    fn hear(&mut self, answer: &Answer) -> Heard {
        self.state = answer.attributes(STATE).next().map(<[u8]>::to_vec);
        match answer.code() {
            Code::AccessAccept => Heard::Accept,
            Code::AccessChallenge => {
                let parts: Vec<&[u8]> = answer.attributes(EAP_MESSAGE).collect();
                Heard::Challenge(parts.concat())
            }
            _ => Heard::Reject,
        }
    }
}

/// The address of a device, as controllers write it.
pub fn station(device: usize) -> String {
    let [.., a, b, c] = device.to_be_bytes();
    format!("02-00-00-{a:02X}-{b:02X}-{c:02X}")
}

/// A request that carries EAP.
pub fn asked(
    (identifier, secret): (u8, &Secret),
    station: &str,
    state: Option<&[u8]>,
    eap: &[u8],
) -> Asked {
    let mut query = Query::access(identifier)
        .with(USER_NAME, b"anonymous@bench")
        .with(STATION, station.as_bytes());
    for part in eap.chunks(253) {
        query = query.with(EAP_MESSAGE, part);
    }
    if let Some(state) = state {
        query = query.with(STATE, state);
    }
    query.sign(secret)
}
