//! RADIUS over TLS (RFC 6614): connections of clients that are known by the names in their certificates.
//!
//! A connection passes three doors: its address has room, its certificate is of a configured authority, a name in it is a
//! client's. Behind them its packets go the way of all others. RFC 6613 (framing, what closes a connection), RFC 9765 §3.1
//! (ALPN: the historic form alone is spoken), draft-ietf-radext-radiusdtls-bis.

mod doors;
mod greeting;
mod identity;
mod line;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::admission::Gate;
use super::socket::{Families, canonical};
use crate::telemetry::Closed;

pub(super) use doors::Doors;
pub use identity::{BadIdentity, Identity, PeerName, Pem};
pub(super) use line::Line;

/// The secret of every client by TLS (RFC 6614 §2.3): it protects nothing, the connection does.
pub(super) const SECRET: &str = "radsec";
/// Connections that wait to be accepted: the kernel's usual bound.
const BACKLOG: i32 = 4096;
/// Rest after accepting failed, which is a fault of this machine (no descriptors left).
const REST: Duration = Duration::from_millis(100);
/// When a silent connection is asked by TCP whether the other end is still there, how often, and how many times: one that lost
/// its power frees its place after two minutes.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);

/// `[radius.tls]` after checking.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses for connections.
    pub listen: Vec<SocketAddr>,
    /// Our certificate, and whom we believe.
    pub identity: Identity,
}

/// Takes the connections of one address.
#[derive(Clone)]
pub(super) struct Acceptor {
    pub(super) gate: Gate,
    pub(super) listener: Arc<TcpListener>,
    pub(super) stop: CancellationToken,
}

impl Acceptor {
    /// Binds an address. Needs a tokio runtime.
    pub(super) fn bind(address: SocketAddr, families: Families) -> io::Result<TcpListener> {
        let at = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        allow_descriptors();
        let socket = open(address, families).map_err(at)?;
        TcpListener::from_std(socket.into()).map_err(at)
    }

    /// Takes connections until stopped.
    pub(super) async fn run(self) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.take(stream, peer),
                Err(error) => {
                    log::error!("a TLS connection could not be taken: {error}");
                    sleep(REST).await;
                }
            }
        }
    }

    fn take(&self, stream: TcpStream, peer: SocketAddr) {
        let house = &self.gate.house;
        let address = canonical(peer);
        let refuse = |why| {
            let telemetry = &house.rooms.telemetry;
            telemetry.closed_connection(Closed::Refused, peer, None, why);
        };
        if !house.clients.may_connect(address) {
            return refuse("no client that connects by TLS has this address");
        }
        let Some(place) = house.doors.enter(address) else {
            return refuse("its address has too many connections");
        };
        // Without the first a reply may wait for an acknowledgement; without the second a dead peer keeps its place.
        let (time, interval, retries) = KEEPALIVE;
        let keepalive = TcpKeepalive::new()
            .with_time(time)
            .with_interval(interval)
            .with_retries(retries);
        let set = stream
            .set_nodelay(true)
            .and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&keepalive));
        if let Err(error) = set {
            log::debug!("a connection of {peer} is as the kernel made it: {error}");
        }
        let (gate, stop) = (self.gate.clone(), self.stop.clone());
        let greeting = greeting::run(gate, (stream, peer), place, stop);
        // Boxed at once, and small until the peer has shown its certificate.
        self.gate.tracker.spawn(Box::pin(greeting));
    }
}

/// Lets the process have as many descriptors as its connections need, as far as it may: it is usually started with fewer.
fn allow_descriptors() {
    let wanted = doors::DESCRIPTORS;
    let allowed = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < wanted {
            setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard)?;
        }
        Ok(wanted.min(hard))
    });
    if !allowed.is_ok_and(|allowed| allowed >= wanted) {
        log::warn!(
            "fewer descriptors are allowed than {wanted}, which many TLS connections may need: set LimitNOFILE={wanted}"
        );
    }
}

fn open(address: SocketAddr, families: Families) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(families == Families::Six || !address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}
