//! The first moments of a connection: the handshake, within its time, and whose certificate it is.
//!
//! Its octets are bounded by rustls: 64 KiB for each of the peer's messages, of which there are four, and few others between.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::doors::Place;
use super::identity;
use super::line::{self, Peer};
use crate::server::admission::Gate;
use crate::server::clients::{Connected, Known};
use crate::server::socket::canonical;
use crate::telemetry::Closed;

/// The whole handshake: gear far away, over a bad line, after a lost packet or two.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections of one client: access points that share a name, one each.
const CONNECTIONS_OF_CLIENT: usize = 8192;

/// Why a connection comes to nothing.
struct Refusal(Closed, String);

/// Greets a connection, and then serves it until its end.
pub(super) async fn run(
    gate: Gate,
    (stream, peer): (TcpStream, SocketAddr),
    mut place: Place,
    stop: CancellationToken,
) {
    let greeted = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        () = place.must_go() => Err(Refusal(Closed::Refused, "newer connections needed its room".to_owned())),
        greeted = timeout(HANDSHAKE, greet(&gate, stream)) => greeted.unwrap_or_else(|_| {
            Err(Refusal(Closed::Greeting, "its handshake took too long".to_owned()))
        }),
    };
    let settled = greeted.and_then(|stream| {
        let (known, connected, peer) = settle(&gate, &stream, peer, &mut place)?;
        Ok((stream, known, connected, peer))
    });
    match settled {
        Ok((stream, known, connected, peer)) => {
            let held = (place, connected);
            Box::pin(line::serve(gate, stream, (peer, known), stop)).await;
            drop(held);
        }
        Err(Refusal(closed, why)) => {
            let telemetry = &gate.house.rooms.telemetry;
            telemetry.closed_connection(closed, peer, None, &why);
        }
    }
}

async fn greet(gate: &Gate, stream: TcpStream) -> Result<TlsStream<TcpStream>, Refusal> {
    let settings = gate.house.settings.load_full();
    let Some(tls) = &settings.tls else {
        let why = "[radius.tls] is gone since a reload".to_owned();
        return Err(Refusal(Closed::Refused, why));
    };
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.identity.config));
    drop(settings);
    acceptor
        .accept(stream)
        .await
        .map_err(|error| Refusal(Closed::Greeting, format!("no handshake: {error}")))
}

/// Finds the client of a certificate that was believed, and makes room for the connection.
fn settle(
    gate: &Gate,
    stream: &TlsStream<TcpStream>,
    from: SocketAddr,
    place: &mut Place,
) -> Result<(Arc<Known>, Connected, Peer), Refusal> {
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let names = chain.first().map(identity::names).unwrap_or_default();
    let clients = &gate.house.clients;
    let known = clients
        .find_named(&names, canonical(from))
        .map_err(|why| Refusal(Closed::Stranger, format!("{why}: {names:?}")))?;
    let full = |why: &str| Refusal(Closed::Refused, why.to_owned());
    let connected = known.share.connect(CONNECTIONS_OF_CLIENT);
    let connected = connected.ok_or_else(|| full("its client has too many connections"))?;
    if !place.settle() {
        return Err(full("there are too many connections"));
    }
    let peer = Peer {
        chain: chain.iter().map(|one| one.clone().into_owned()).collect(),
        names,
        from,
    };
    Ok((known, connected, peer))
}
