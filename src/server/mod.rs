//! Listens for RADIUS: which client, is it a duplicate, is there room, which conversation, send the reply.
//!
//! Not here: octets (`wire`), EAP (`eap`) and verdicts (`access`). RFC 2865, 2866, 3579, 3580, 4372, 5080 §2.2.2, 5176 (as a
//! sender), 5997, 6613, 6614.

mod accounting;
mod admission;
mod class;
mod clients;
mod conversation;
mod disconnect;
mod duplicates;
mod listener;
mod login;
mod path;
mod probe;
mod profile;
mod pulse;
mod rejects;
mod reply;
mod socket;
mod station;
mod tls;
mod trails;
mod waiting;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Access, ClientPolicy};
use crate::account::ClientName;
use crate::clock::Clock;
use crate::secret::{Key, Secret};
use crate::telemetry::Telemetry;
use crate::wire::Signing;

use admission::Gate;
use class::Expected;
use clients::Clients;
use duplicates::Duplicates;
use listener::Listener;
use login::Outgoing;
use rejects::Rejects;
use socket::{Families, Port, Socket};
use tls::{Acceptor, Doors};
use waiting::Waiting;

pub use conversation::Eap;
pub use disconnect::Disconnect;
pub use probe::Probe;
pub use profile::{Again, Dialogue, GENERIC, Method, PROFILES, Profile, Signs};
pub use tls::{BadIdentity, Identity, PeerName, Pem, Settings as TlsSettings};

/// `[radius]`, `[client.NAME]` and `[reply.NAME]` after checking.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses for Access-Request and Status-Server.
    pub listen: Vec<SocketAddr>,
    /// Addresses for Accounting-Request and Status-Server.
    pub accounting: Vec<SocketAddr>,
    /// RADIUS over TLS, if it is listened for.
    pub tls: Option<TlsSettings>,
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
                .chain(self.tls_listen())
                .any(|a| *a == four)
        {
            Families::Six
        } else {
            Families::Both
        }
    }

    fn tls_listen(&self) -> &[SocketAddr] {
        self.tls.as_ref().map_or(&[], |tls| &tls.listen)
    }
}

/// A configured client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name.
    pub name: ClientName,
    /// Where its requests come from. By datagrams the longest prefix over all clients wins; by TLS none is everywhere.
    pub addresses: Vec<IpNet>,
    /// The shared secret of its datagrams.
    pub secret: Secret,
    /// How its requests come.
    pub transport: Transport,
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
    /// Whether its Accepts carry a Class of ours, which its accounting brings back.
    pub class: bool,
    /// How its sessions are ended; none is not at all.
    pub disconnect: Option<Disconnect>,
    /// Seconds after which an Accept of EAP has the station prove itself anew.
    pub session_timeout: Option<u32>,
    /// What `access` needs to know.
    pub policy: Arc<ClientPolicy>,
}

/// How a client's requests come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// By UDP, known by their address.
    Datagrams,
    /// By TLS, known by these names.
    Tls(Vec<PeerName>),
    /// By either.
    Both(Vec<PeerName>),
}

impl Transport {
    /// Whether its datagrams are heard.
    #[must_use]
    pub const fn has_datagrams(&self) -> bool {
        matches!(self, Self::Datagrams | Self::Both(_))
    }

    /// The names of its certificates.
    #[must_use]
    pub fn names(&self) -> &[PeerName] {
        match self {
            Self::Datagrams => &[],
            Self::Tls(names) | Self::Both(names) => names,
        }
    }
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
    connections: Arc<[Arc<TcpListener>]>,
}

/// The first number of connections: sockets have smaller ones.
const FIRST_LINE: usize = 1 << 16;

/// What the configuration says about sockets.
#[derive(PartialEq, Eq)]
struct Sockets {
    listen: Vec<SocketAddr>,
    accounting: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
    receive_buffer: usize,
}

impl Sockets {
    fn of(settings: &Settings) -> Self {
        Self {
            listen: settings.listen.clone(),
            accounting: settings.accounting.clone(),
            tls: settings.tls_listen().to_vec(),
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
    expected: Expected,
    eap: ArcSwapOption<Eap>,
    conversations: Conversations,
    /// Connections by TLS.
    doors: Arc<Doors>,
    /// The number of the next one.
    lines: AtomicUsize,
    /// How often the configuration was read anew.
    reloads: AtomicUsize,
    rooms: Rooms,
}

/// EAP conversations between two of their packets.
type Conversations = conversation::Table<Box<conversation::Kept>>;

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
        let connections = settings
            .tls_listen()
            .iter()
            .map(|address| Acceptor::bind(*address, settings.families_of(*address)).map(Arc::new))
            .collect::<std::io::Result<_>>()?;
        let house = House {
            clients: Clients::new(&settings.clients),
            duplicates: Duplicates::new((duplicates::ENTRIES, duplicates::ENTRIES_OF_CLIENT)),
            in_work: Arc::default(),
            rejects: Rejects::new(rejects::WAITING),
            waiting: Waiting::default(),
            expected: Expected::default(),
            eap: ArcSwapOption::default(),
            conversations: Conversations::default(),
            doors: Arc::default(),
            lines: AtomicUsize::new(FIRST_LINE),
            reloads: AtomicUsize::default(),
            bound: Sockets::of(&settings),
            settings: ArcSwap::from_pointee(settings),
            rooms,
        };
        Ok(Self {
            house: Arc::new(house),
            sockets: sockets.into(),
            connections,
        })
    }

    /// Starts the listening tasks on the tracker. After `stop` nothing more is read; what is in work is still answered,
    /// and Rejects no longer wait for their time.
    pub fn start(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        let gate = Gate {
            house: Arc::clone(&self.house),
            tracker: tracker.clone(),
        };
        for socket in self.sockets.iter() {
            let listener = Listener {
                gate: gate.clone(),
                socket: Arc::clone(socket),
                stop: stop.clone(),
            };
            keep_running(tracker, "a listener", move || listener.clone().run());
        }
        for listener in self.connections.iter() {
            let acceptor = Acceptor {
                gate: gate.clone(),
                listener: Arc::clone(listener),
                stop: stop.clone(),
            };
            keep_running(tracker, "a listener for TLS", move || {
                acceptor.clone().run()
            });
        }
        if let Some(news) = self.house.rooms.access.news() {
            let (house, tasks) = (Arc::clone(&self.house), tracker.clone());
            tracker.spawn(waiting::run(house, news, tasks, stop.clone()));
        }
        if let Some(orders) = self.house.rooms.access.sessions_to_end() {
            let (house, tasks) = (Arc::clone(&self.house), tracker.clone());
            tracker.spawn(disconnect::run(house, orders, tasks, stop.clone()));
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

    /// The addresses bound for TLS.
    #[must_use]
    pub fn tls_addresses(&self) -> Vec<SocketAddr> {
        let address = |listener: &Arc<TcpListener>| listener.local_addr().ok();
        self.connections.iter().filter_map(address).collect()
    }

    /// Connections by TLS whose client is known.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.house.doors.connections()
    }

    /// Takes new clients, replies, certificates and bounds after a reload; addresses stay (a change of them is said to need a restart).
    pub fn reload(&self, settings: Settings) {
        if Sockets::of(&settings) != self.house.bound {
            log::warn!(
                "[radius] listen, accounting and receive-buffer, and [radius.tls] listen, change at a restart only"
            );
        }
        self.house.clients.replace(&settings.clients);
        self.house.settings.store(Arc::new(settings));
        self.house.reloads.fetch_add(1, Ordering::AcqRel);
    }

    /// How EAP conversations are held now; none where they are not.
    #[must_use]
    pub fn eap(&self) -> Option<Eap> {
        self.house.eap.load().as_deref().cloned()
    }

    /// Begins conversations as told from now on, or none; those that are open go on.
    pub fn hold_eap(&self, eap: Option<Eap>) {
        self.house.eap.store(eap.map(Arc::new));
    }

    /// EAP conversations that wait for their next packet.
    #[must_use]
    pub fn conversations(&self) -> usize {
        self.house.conversations.len()
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
    /// Under which Chargeable-User-Identity is made (RFC 4372): the same after a restart.
    pub chargeable: Key,
}
