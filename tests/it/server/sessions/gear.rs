//! Gear that is asked to end a session: it reads each octet by itself, as strictly as any gear may.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime};

use crate::wire::radclient::{hmac_md5, md5};

const DISCONNECT_REQUEST: u8 = 40;
const EVENT_TIMESTAMP: u8 = 55;
const MESSAGE_AUTHENTICATOR: u8 = 80;

/// A socket that takes Disconnect-Requests.
pub(super) struct Gear {
    socket: UdpSocket,
    secret: Vec<u8>,
}

/// A Disconnect-Request that was right in every octet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    octets: Vec<u8>,
    pub(super) from: SocketAddr,
    /// All but Message-Authenticator and Event-Timestamp.
    pub(super) attributes: Vec<(u8, Vec<u8>)>,
}

impl Gear {
    pub(super) fn new(secret: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self {
            socket,
            secret: secret.into(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Takes a request within so long.
    pub(super) fn take(&self, patience: Duration) -> Option<Asked> {
        let mut octets = vec![0; 65_535];
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let (length, from) = self.socket.recv_from(&mut octets).ok()?;
        octets.truncate(length);
        Some(Asked {
            attributes: self.read(&octets),
            octets,
            from,
        })
    }

    fn read(&self, octets: &[u8]) -> Vec<(u8, Vec<u8>)> {
        assert_eq!(octets[0], DISCONNECT_REQUEST);
        let length = usize::from(u16::from_be_bytes([octets[2], octets[3]]));
        assert_eq!(length, octets.len(), "no padding");
        let digested = [&octets[..4], &[0; 16], &octets[20..], &self.secret].concat();
        assert_eq!(octets[4..20], md5(&digested), "Request Authenticator");
        let mut attributes = Vec::new();
        let mut rest = &octets[20..];
        while let [kind, length, ..] = *rest {
            let (attribute, others) = rest.split_at(usize::from(length));
            attributes.push((kind, attribute[2..].to_vec()));
            rest = others;
        }
        assert!(rest.is_empty(), "attributes fill the packet");
        let mut kinds: Vec<u8> = attributes.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds[0], MESSAGE_AUTHENTICATOR);
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), attributes.len(), "each at most once");
        let mut zeroed = octets.to_vec();
        zeroed[4..20].fill(0);
        zeroed[22..38].fill(0);
        assert_eq!(attributes[0].1, hmac_md5(&self.secret, &zeroed));
        let at = attributes
            .iter()
            .position(|(kind, _)| *kind == EVENT_TIMESTAMP);
        let (_, at) = attributes.remove(at.expect("Event-Timestamp"));
        let at = u32::from_be_bytes(at.try_into().unwrap());
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        assert!(
            now.abs_diff(u64::from(at)) < 30,
            "Event-Timestamp {at}, now {now}"
        );
        attributes.remove(0);
        attributes
    }

    /// An answer with these attributes.
    pub(super) fn answer(&self, asked: &Asked, code: u8, attributes: &[u8]) -> Vec<u8> {
        let [.., high, low] = (20 + attributes.len()).to_be_bytes();
        let header = [code, asked.octets[1], high, low];
        let authenticator = &asked.octets[4..20];
        let digested = [&header[..], authenticator, attributes, &self.secret].concat();
        [&header[..], &md5(&digested), attributes].concat()
    }

    /// Sends octets back to who asked.
    pub(super) fn send(&self, octets: &[u8], to: &Asked) {
        self.socket.send_to(octets, to.from).unwrap();
    }

    /// Takes a request, and says that its session is ended.
    pub(super) fn end_one(&self) -> Asked {
        let asked = self.take(super::PATIENCE).expect("a Disconnect-Request");
        self.send(&self.answer(&asked, 41, &[]), &asked);
        asked
    }
}
