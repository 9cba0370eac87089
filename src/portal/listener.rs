//! Takes connections: as many as there is room for, each within its times, by TLS or not.
//!
//! Hyper is used directly, not through `axum::serve`: that neither bounds headers nor lets its tasks be waited for.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::House;
use super::visit::block;

/// Connections at once: an open approval page holds one. With their buffers some 100 MiB.
const CONNECTIONS: usize = 4096;
/// Connections of one address at once: a lecture hall behind one address, but not the whole room.
const CONNECTIONS_OF_ONE: u32 = 512;
/// A handshake of a phone on a bad network.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Until a request's head is there, counted from the answer before it: so long may a connection idle, too.
const HEAD: Duration = Duration::from_secs(30);
/// Octets of a head. Ours need less than two thousand.
const HEAD_OCTETS: usize = 16 << 10;
/// Fields of a head.
const HEAD_FIELDS: usize = 64;
/// A connection is closed after this time, so that one that reads its answers slowly does not stay.
const LIFE: Duration = Duration::from_secs(300);
/// What an answer may still take when a connection is to be closed.
const GRACE: Duration = Duration::from_secs(5);
/// After an error of accepting, which is one of this machine (no descriptors left).
const PAUSE: Duration = Duration::from_millis(100);

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// Connections by address.
#[derive(Debug, Default)]
struct Doors {
    open: Mutex<HashMap<IpAddr, u32>>,
}

/// One of an address's connections.
struct Place {
    doors: Arc<Doors>,
    address: IpAddr,
}

impl Doors {
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= CONNECTIONS_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Place {
            doors: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .doors
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// Takes connections until `stop`.
pub(super) async fn run(
    house: Arc<House>,
    listener: TcpListener,
    pages: Router,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let doors = Arc::new(Doors::default());
    loop {
        let taken = tokio::select! {
            () = stop.cancelled() => return,
            taken = take(&room, &listener) => taken,
        };
        let Some((permit, stream, peer)) = taken else {
            sleep(PAUSE).await;
            continue;
        };
        let address = peer.ip().to_canonical();
        let setup = house.setup.load();
        let is_proxy = setup.is_proxy(address);
        let place = doors.enter(block(address));
        if place.is_none() && !is_proxy {
            log::debug!("a connection of {address} was closed: it has too many");
            continue;
        }
        let tls = setup
            .settings
            .tls
            .as_ref()
            .map(|tls| TlsAcceptor::from(Arc::clone(&tls.config)));
        let (pages, stop) = (pages.clone(), stop.clone());
        tracker.spawn(async move {
            let _held = (permit, place);
            connection(stream, Peer(address), tls, pages, stop).await;
        });
    }
}

async fn take(
    room: &Arc<Semaphore>,
    listener: &TcpListener,
) -> Option<(tokio::sync::OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((permit, stream, peer)),
        Err(error) => {
            log::warn!("the portal could not take a connection: {error}");
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
    tls: Option<TlsAcceptor>,
    pages: Router,
    stop: CancellationToken,
) {
    // Without it an answer may wait for its acknowledgement.
    let _unset = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return serve(stream, peer, pages, stop).await;
    };
    match timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => Box::pin(serve(stream, peer, pages, stop)).await,
        Ok(Err(error)) => log::debug!("no TLS with {}: {error}", peer.0),
        Err(_) => log::debug!("no TLS with {}: it took too long", peer.0),
    }
}

async fn serve<S>(stream: S, peer: Peer, pages: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pages = TowerToHyperService::new(pages);
    let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        pages.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_OCTETS)
        .max_headers(HEAD_FIELDS)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return tell(peer, ended),
        () = stop.cancelled() => {}
        () = sleep(LIFE) => {}
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = timeout(GRACE, connection).await {
        tell(peer, ended);
    }
}

fn tell(peer: Peer, ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        log::debug!("a connection of {} has ended: {error}", peer.0);
    }
}
