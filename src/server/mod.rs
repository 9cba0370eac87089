//! Listens for RADIUS: which client, is it a duplicate, is there room, send the reply.
//!
//! Not here: octets (`wire`) and verdicts (`access`). RFC 2865, 2866, 5080 §2.2.2, 5997.

mod accounting;
mod clients;
mod duplicates;
mod listener;
mod login;
mod probe;
mod profile;
mod pulse;
mod rejects;
mod reply;
mod socket;
mod station;
mod trails;
mod waiting;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Access, ClientPolicy};
use crate::account::ClientName;
use crate::clock::Clock;
use crate::secret::Secret;
use crate::telemetry::Telemetry;
use crate::wire::Signing;

use clients::Clients;
use duplicates::Duplicates;
use listener::Listener;
use login::Outgoing;
use rejects::Rejects;
use socket::{Families, Port, Socket};
use waiting::Waiting;

pub use probe::Probe;
pub use profile::{Again, Dialogue, GENERIC, Method, PROFILES, Profile, Signs};

/// `[radius]`, `[client.NAME]` and `[reply.NAME]` after checking.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses for Access-Request and Status-Server.
    pub listen: Vec<SocketAddr>,
    /// Addresses for Accounting-Request and Status-Server.
    pub accounting: Vec<SocketAddr>,
    /// The clients.
    pub clients: Vec<Client>,
    /// What reply sets hold.
    pub replies: BTreeMap<Arc<str>, Vec<ReplyAttribute>>,
    /// The least time from a request to its Reject; up to a tenth more at random.
    pub reject_floor: Duration,
    /// How long an answered request is known.
    pub reply_keep: Duration,
    /// Requests in work at once.
    pub in_work: usize,
    /// Requests in work at once for one client.
    pub in_work_per_client: usize,
    /// Octets of each socket's receive buffer.
    pub receive_buffer: usize,
    /// Status-Server answered per second and client.
    pub status_per_second: u32,
    /// Silence Status-Server while no directory can be asked or the store cannot be written.
    pub status_silent_when_down: bool,
}

impl Settings {
    /// Whether a bound socket is one of those that these settings bind.
    #[must_use]
    pub fn fits(&self, socket: &UdpSocket) -> bool {
        let mut all = self.listen.iter().chain(&self.accounting);
        all.any(|&address| Socket::fits(socket, address, self.families_of(address)))
    }

    /// A socket on `[::]` serves IPv4 too, unless `0.0.0.0` is listed with the same port.
    fn families_of(&self, address: SocketAddr) -> Families {
        let four = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
        if address.port() != 0
            && self
                .listen
                .iter()
                .chain(&self.accounting)
                .any(|a| *a == four)
        {
            Families::Six
        } else {
            Families::Both
        }
    }
}

/// A configured client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name.
    pub name: ClientName,
    /// Where its requests come from; the longest prefix over all clients wins.
    pub addresses: Vec<IpNet>,
    /// The shared secret.
    pub secret: Secret,
    /// What make of gear it is.
    pub profile: &'static Profile,
    /// Whether requests must be signed.
    pub signing: Signing,
    /// By what its health checks are known.
    pub probes: Vec<Probe>,
    /// The attributes that tell the station, in order of trust.
    pub station: Vec<StationSource>,
    /// What is done when it could not be decided.
    pub when_undecided: WhenUndecided,
    /// How long the NAS waits for an answer, all retransmissions together.
    pub patience: Duration,
    /// What `access` needs to know.
    pub policy: Arc<ClientPolicy>,
}

/// An attribute that may tell the station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationSource {
    /// The name as configured: `Calling-Station-Id`.
    pub name: Arc<str>,
    /// Its vendor; none for the standard space.
    pub vendor: Option<u32>,
    /// Its type.
    pub kind: u8,
    /// What its value starts with, cut off before reading: `ip:source-ip=`.
    pub prefix: Option<String>,
    /// A tag octet in front (Tunnel-Client-Endpoint, RFC 2868 §3.3), or octets of an address instead of text.
    pub form: StationForm,
}

/// How a station attribute is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StationForm {
    /// As text.
    Text,
    /// As text after an optional tag octet.
    TaggedText,
    /// As 4 or 16 octets of an address.
    Address,
}

/// What is done when it could not be decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUndecided {
    /// No answer: the NAS turns to its next server.
    #[default]
    Discard,
    /// A Reject.
    Reject,
}

/// An attribute of a reply set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyAttribute {
    /// Its vendor; none for the standard space.
    pub vendor: Option<u32>,
    /// Its type.
    pub kind: u8,
    /// Its octets, ready for the wire.
    pub value: Vec<u8>,
}

/// The room, once its sockets are bound. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    house: Arc<House>,
    sockets: Arc<[Arc<Socket>]>,
}

/// What the configuration says about sockets.
#[derive(PartialEq, Eq)]
struct Sockets {
    listen: Vec<SocketAddr>,
    accounting: Vec<SocketAddr>,
    receive_buffer: usize,
}

impl Sockets {
    fn of(settings: &Settings) -> Self {
        Self {
            listen: settings.listen.clone(),
            accounting: settings.accounting.clone(),
            receive_buffer: settings.receive_buffer,
        }
    }
}

/// What all listeners and requests share.
struct House {
    settings: ArcSwap<Settings>,
    /// How the sockets were bound: what a reload does not change.
    bound: Sockets,
    clients: Clients,
    duplicates: Duplicates,
    in_work: Arc<AtomicUsize>,
    rejects: Rejects<Outgoing>,
    waiting: Waiting,
    rooms: Rooms,
}

impl Server {
    /// Binds every socket. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// When an address cannot be bound; the error names it.
    pub fn bind(settings: Settings, rooms: Rooms) -> std::io::Result<Self> {
        Self::take_over(settings, rooms, &mut Vec::new())
    }

    /// The same, but a socket that was handed over for an address is taken instead of a new one.
    ///
    /// # Errors
    ///
    /// When an address cannot be bound; the error names it.
    pub fn take_over(
        settings: Settings,
        rooms: Rooms,
        handed: &mut Vec<UdpSocket>,
    ) -> std::io::Result<Self> {
        let authentication = settings
            .listen
            .iter()
            .map(|address| (*address, Port::Authentication));
        let accounting = settings
            .accounting
            .iter()
            .map(|address| (*address, Port::Accounting));
        let sockets = authentication
            .chain(accounting)
            .enumerate()
            .map(|(number, (address, port))| {
                let options = (settings.families_of(address), settings.receive_buffer);
                let is_it = |socket: &mut UdpSocket| Socket::fits(socket, address, options.0);
                let socket = match handed.extract_if(.., is_it).next() {
                    Some(socket) => Socket::take_over(socket, port, number, options.1),
                    None => Socket::bind(address, port, number, options),
                };
                socket.map(Arc::new)
            })
            .collect::<std::io::Result<Vec<_>>>()?;
        let house = House {
            clients: Clients::new(&settings.clients),
            duplicates: Duplicates::new((duplicates::ENTRIES, duplicates::ENTRIES_OF_CLIENT)),
            in_work: Arc::default(),
            rejects: Rejects::new(rejects::WAITING),
            waiting: Waiting::default(),
            bound: Sockets::of(&settings),
            settings: ArcSwap::from_pointee(settings),
            rooms,
        };
        Ok(Self {
            house: Arc::new(house),
            sockets: sockets.into(),
        })
    }

    /// Starts the listening tasks on the tracker. After `stop` nothing more is read; what is in work is still answered,
    /// and Rejects no longer wait for their time.
    pub fn start(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        for socket in self.sockets.iter() {
            let listener = Listener {
                house: Arc::clone(&self.house),
                socket: Arc::clone(socket),
                tracker: tracker.clone(),
                stop: stop.clone(),
            };
            keep_running(tracker, "a listener", move || listener.clone().run());
        }
        if let Some(news) = self.house.rooms.access.news() {
            let (house, tasks) = (Arc::clone(&self.house), tracker.clone());
            tracker.spawn(waiting::run(house, news, tasks, stop.clone()));
        }
        let house = Arc::clone(&self.house);
        let stop = stop.clone();
        keep_running(tracker, "the queue of Rejects", move || {
            let house = Arc::clone(&house);
            let stop = stop.clone();
            async move {
                let send = |outgoing: Outgoing| outgoing.leave(house.settings.load().reply_keep);
                house.rejects.run(&stop, send).await;
            }
        });
    }

    /// The sockets that were bound, not taken over, each with its address.
    pub fn bound(&self) -> impl Iterator<Item = (SocketAddr, BorrowedFd<'_>)> {
        let bound = self.sockets.iter().filter(|socket| !socket.is_taken_over());
        bound.map(|socket| (socket.address(), socket.descriptor()))
    }

    /// Waits until each listener has come round its loop.
    pub async fn come_round(&self) {
        for socket in self.sockets.iter() {
            socket.pulse().come_round().await;
        }
    }

    /// The addresses bound: authentication, then accounting.
    #[must_use]
    pub fn addresses(&self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let of = |port| {
            self.sockets
                .iter()
                .filter(|socket| socket.port() == port)
                .map(|socket| socket.address())
                .collect()
        };
        (of(Port::Authentication), of(Port::Accounting))
    }

    /// Takes new clients, replies and bounds after a reload; addresses stay (a change of them is said to need a restart).
    pub fn reload(&self, settings: Settings) {
        if Sockets::of(&settings) != self.house.bound {
            log::warn!("[radius] listen, accounting and receive-buffer change at a restart only");
        }
        self.house.clients.replace(&settings.clients);
        self.house.settings.store(Arc::new(settings));
    }

    /// Adds, for a time, a client at a loopback address with the policy of another: what `sekisho try` borrows.
    /// At most 16 at once. Returns `false` when there is no such client, no room, or the address is lent already.
    #[must_use]
    pub fn lend(
        &self,
        like: &ClientName,
        address: std::net::IpAddr,
        secret: Secret,
        life: Duration,
    ) -> bool {
        let now = Instant::now();
        let until = clients::after(now, life);
        self.house.clients.lend(like, address, secret, (now, until))
    }

    /// The clients as configured.
    #[must_use]
    pub fn clients(&self) -> Arc<Vec<Client>> {
        self.house.clients.configured()
    }

    /// Replies that are held for a prompt.
    #[must_use]
    pub fn held(&self) -> usize {
        self.house.waiting.held()
    }

    /// Requests in work.
    #[must_use]
    pub fn in_work(&self) -> usize {
        self.house.in_work.load(Ordering::Acquire)
    }
}

/// Runs a task that the room cannot live without, and runs it again if it panics: that costs what it was working on.
fn keep_running<F>(tracker: &TaskTracker, what: &'static str, task: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let tasks = tracker.clone();
    tracker.spawn(async move {
        while let Err(error) = tasks.spawn(task()).await {
            log::error!("{what} has ended and is started again: {error}");
        }
    });
}

/// What the server works with.
#[derive(Clone)]
pub struct Rooms {
    /// Decides.
    pub access: Access,
    /// Is told.
    pub telemetry: Telemetry,
    /// The time.
    pub clock: Clock,
}
