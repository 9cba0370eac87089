//! The way that a reply takes: a datagram from the address that was asked, or the connection that its request came by.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::duplicates::Key;
use super::socket::{Local, Port, Socket};
use super::tls::Line;

/// The way that a reply takes.
#[derive(Debug)]
pub(super) struct Path {
    /// Who asked.
    pub(super) peer: SocketAddr,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Datagram(Arc<Socket>, Local),
    Connection(Arc<Line>),
}

impl Path {
    /// Back to the sender of a datagram.
    pub(super) const fn datagram(socket: Arc<Socket>, peer: SocketAddr, local: Local) -> Self {
        let way = Way::Datagram(socket, local);
        Self { peer, way }
    }

    /// Back by a connection.
    pub(super) const fn connection(line: Arc<Line>, peer: SocketAddr) -> Self {
        let way = Way::Connection(line);
        Self { peer, way }
    }

    /// What is served where the request came in.
    pub(super) fn port(&self) -> Port {
        match &self.way {
            Way::Datagram(socket, _) => socket.port(),
            Way::Connection(_) => Port::All,
        }
    }

    /// The address of ours that the NAS asked, where it is that of one socket.
    pub(super) fn local(&self) -> Option<IpAddr> {
        let Way::Datagram(socket, local) = &self.way else {
            return None;
        };
        let address = match local {
            Local::Bound => socket.address().ip(),
            Local::V4(octets) => (*octets).into(),
            Local::V6(octets, _) => IpAddr::from(*octets).to_canonical(),
        };
        (!address.is_unspecified()).then_some(address)
    }

    /// The connection, if it is one.
    pub(super) const fn line(&self) -> Option<&Arc<Line>> {
        match &self.way {
            Way::Datagram(..) => None,
            Way::Connection(line) => Some(line),
        }
    }

    /// Whether a reply still has somewhere to go: a connection may be closed by now.
    pub(super) fn is_open(&self) -> bool {
        self.line().is_none_or(|line| line.is_open())
    }

    /// What a duplicate of a request of this way has.
    pub(super) fn key(&self, identifier: u8) -> Key {
        match &self.way {
            Way::Datagram(socket, local) => Key {
                socket: socket.number(),
                local: *local,
                peer: self.peer,
                identifier,
            },
            Way::Connection(line) => Key::of_connection(line.number(), self.peer, identifier),
        }
    }

    /// Sends; what cannot be sent is said, and asked for again by a retransmission, or lost with its connection.
    pub(super) fn send(&self, octets: &[u8]) {
        match &self.way {
            Way::Datagram(socket, local) => {
                if let Err(error) = socket.reply(octets, self.peer, *local) {
                    log::warn!("a reply to {} was not sent: {error}", self.peer);
                }
            }
            Way::Connection(line) => line.send(octets),
        }
    }
}
