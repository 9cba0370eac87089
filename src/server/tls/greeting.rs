//! The first moments of a connection: the handshake, within its time and octets, and whose certificate it is.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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
/// Octets of a peer's part of the handshake: a chain of several large certificates is 16 KiB.
const HANDSHAKE_OCTETS: usize = 64 << 10;
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

async fn greet(gate: &Gate, stream: TcpStream) -> Result<TlsStream<Bounded>, Refusal> {
    let settings = gate.house.settings.load_full();
    let Some(tls) = &settings.tls else {
        let why = "[radius.tls] is gone since a reload".to_owned();
        return Err(Refusal(Closed::Refused, why));
    };
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.identity.config));
    drop(settings);
    match acceptor.accept(Bounded::new(stream)).await {
        Ok(mut stream) => {
            stream.get_mut().0.lift();
            Ok(stream)
        }
        Err(error) => Err(Refusal(Closed::Greeting, format!("no handshake: {error}"))),
    }
}

/// Finds the client of a certificate that was believed, and makes room for the connection.
fn settle(
    gate: &Gate,
    stream: &TlsStream<Bounded>,
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

/// A stream from which only so much is read until the bound is lifted.
#[derive(Debug)]
pub(super) struct Bounded {
    stream: TcpStream,
    left: Option<usize>,
}

impl Bounded {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            left: Some(HANDSHAKE_OCTETS),
        }
    }

    fn lift(&mut self) {
        self.left = None;
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == Some(0) {
            let why = "more octets than a handshake has";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let count = buffer.filled().len().saturating_sub(before);
        self.left = self.left.map(|left| left.saturating_sub(count));
        read
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
