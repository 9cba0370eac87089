//! Takes connections: as many as there is room for, each within its times, by TLS or not.
//!
//! Hyper is used directly, not through `axum::serve`: that neither bounds headers nor lets its tasks be waited for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
use super::limits::{Network, networks};

/// Connections at once: an open approval page holds one. With their buffers some 100 MiB.
const CONNECTIONS: usize = 4096;
/// Connections of one address at once: a lecture hall behind one address, but not the whole room. A site of IPv6 has some
/// times that.
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

/// Connections by network.
#[derive(Debug, Default)]
struct Doors {
    open: Mutex<HashMap<Network, u32>>,
}

/// One of the connections of an address.
struct Place {
    doors: Arc<Doors>,
    address: IpAddr,
}

impl Doors {
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |network: Network| {
            let most = CONNECTIONS_OF_ONE * u32::from(network.times);
            open.get(&network).is_some_and(|count| *count >= most)
        };
        if networks(address).any(is_full) {
            return None;
        }
        for network in networks(address) {
            *open.entry(network).or_default() += 1;
        }
        Some(Place {
            doors: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let doors = &self.doors.open;
        let mut open = doors.lock().unwrap_or_else(PoisonError::into_inner);
        for network in networks(self.address) {
            if let Entry::Occupied(mut count) = open.entry(network) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
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
        let place = doors.enter(address);
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
