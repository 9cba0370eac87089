//! The listener over real sockets, with the rooms behind it but no directory: it knows nobody, so every login that
//! reaches a decision is a Reject.

mod accounting;
mod duplicates;
mod listening;
mod metrics;
pub(crate) mod push;
mod refusals;
mod sessions;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use sekisho::access::{self, Access, Asks, ClientPolicy, CodeEntry, Label, Texts};
use sekisho::account::{ClientName, Language};
use sekisho::channel::{self, Channels};
use sekisho::clock::Clock;
use sekisho::secret::{Key, Secret};
use sekisho::server::{Client, GENERIC, Rooms, Server, Settings, Transport, WhenUndecided};
use sekisho::store::{self, Store};
use sekisho::telemetry::{self, Telemetry};
use sekisho::wire::{Answer, Asked, Query, Signing};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const SECRET: &str = "a shared secret for tests only";
/// The floor of these tests: long enough to send something before it is over.
const FLOOR: Duration = Duration::from_millis(400);
/// How long an answer that must come is waited for, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must come; an answer takes a millisecond.
const SILENCE: Duration = Duration::from_millis(200);

/// A running listener.
pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) telemetry: Telemetry,
    store: Store,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) settings: Settings,
    _folder: tempfile::TempDir,
}

impl House {
    /// Listens on 127.0.0.1 unless changed.
    pub(crate) fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let telemetry = Telemetry::start(&quiet(), clock.clone());
        let key = Key::random();
        let store = Store::open(&store_settings(&folder), &key, clock.clone()).unwrap();
        let channels = Channels::new(channel::Settings::default()).unwrap();
        let setup = access::Setup {
            settings: access::Settings::default(),
            directories: Vec::new(),
            channels,
        };
        let access = Access::new(
            setup,
            store.clone(),
            clock.clone(),
            &key,
            TaskTracker::new(),
        );
        let rooms = Rooms {
            access,
            telemetry: telemetry.clone(),
            clock,
            chargeable: key.derive("chargeable user identity"),
        };
        let server = Server::bind(settings.clone(), rooms).unwrap();
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        server.start(&tracker, &stop);
        Self {
            server,
            telemetry,
            store,
            tracker,
            stop,
            settings,
            _folder: folder,
        }
    }

    pub(crate) fn radius(&self) -> SocketAddr {
        self.server.addresses().0[0]
    }

    fn accounting(&self) -> SocketAddr {
        self.server.addresses().1[0]
    }

    /// The value of a metric's line.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let page = self.telemetry.render();
        page.lines()
            .find_map(|have| have.strip_prefix(line)?.trim().parse().ok())
            .unwrap_or_default()
    }
}

impl House {
    /// Rows of the audit trail, once everything is written.
    async fn audited(&self) -> u64 {
        self.store.flush().await.unwrap();
        self.store.health().audit_rows
    }

    /// Waits until a metric has a value.
    pub(crate) async fn comes_to(&self, line: &str, value: u64) {
        let equal = async {
            while self.metric(line) != value {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, equal).await.is_ok(),
            "{line} is not {value}:\n{}",
            self.telemetry.render()
        );
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn quiet() -> telemetry::Settings {
    telemetry::Settings {
        metrics: None,
        log: telemetry::LogTo::Stderr,
        level: telemetry::Level::Error,
    }
}

fn store_settings(folder: &tempfile::TempDir) -> store::Settings {
    store::Settings {
        folder: folder.path().to_owned(),
        key_file: folder.path().join("master.key"),
        audit_keep: Duration::from_secs(86_400),
        audit_rows: 1000,
        limits: limits(),
    }
}

fn limits() -> store::Limits {
    let hour = Duration::from_secs(3600);
    store::Limits {
        wrong_codes: 5,
        code_lock: hour,
        messages_per_number: 5,
        messages_per_account: 5,
        messages_per_account_day: 10,
        messages_total_day: 100,
        code_life: hour,
        code_tries: 3,
        number_age: hour,
        password_window: hour,
        station_known: hour,
        prompts: 5,
        prompt_window: Duration::from_secs(900),
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        accounting: vec!["127.0.0.1:0".parse().unwrap()],
        tls: None,
        clients: vec![client("vpn", "127.0.0.0/8", SECRET)],
        replies: [].into(),
        reject_floor: FLOOR,
        reply_keep: Duration::from_secs(30),
        in_work: 1024,
        in_work_per_client: 512,
        receive_buffer: 1 << 18,
        status_per_second: 1000,
        status_silent_when_down: false,
    }
}

pub(crate) fn client(name: &str, network: &str, secret: &str) -> Client {
    Client {
        name: ClientName::new(name),
        addresses: vec![network.parse().unwrap()],
        secret: Secret::from(secret),
        transport: Transport::Datagrams,
        profile: &GENERIC,
        signing: Signing::Required,
        probes: Vec::new(),
        station: Vec::new(),
        when_undecided: WhenUndecided::Reject,
        patience: Duration::from_secs(10),
        class: true,
        disconnect: None,
        session_timeout: None,
        policy: Arc::new(ClientPolicy {
            name: ClientName::new(name),
            label: Label::default(),
            code: vec![CodeEntry::Challenge],
            delimiter: ',',
            ways: Vec::new(),
            texts: Texts::Full,
            language: Language::Both,
            pool: Vec::new(),
            shared_stations: false,
            push: Vec::new(),
            patience: Duration::from_secs(30),
            pair: Duration::from_secs(10),
            asks: Asks::ByRules,
            remember: Duration::ZERO,
            remember_always: false,
            late_approval: Duration::from_secs(60),
        }),
    }
}

/// A NAS with a socket and a secret.
struct Nas {
    socket: UdpSocket,
    server: SocketAddr,
    secret: Secret,
}

impl Nas {
    fn new(server: SocketAddr) -> Self {
        Self::at("127.0.0.1", server, SECRET)
    }

    fn at(address: &str, server: SocketAddr, secret: &str) -> Self {
        let address = SocketAddr::new(address.parse().unwrap(), 0);
        Self {
            socket: UdpSocket::bind(address).unwrap(),
            server,
            secret: Secret::from(secret),
        }
    }

    fn send(&self, octets: &[u8]) {
        self.socket.send_to(octets, self.server).unwrap();
    }

    fn receive(&self, patience: Duration) -> Option<Vec<u8>> {
        let mut octets = [0; 4096];
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let (len, from) = self.socket.recv_from(&mut octets).ok()?;
        assert_eq!(from, self.server, "a reply leaves from what was asked");
        Some(octets[..len].to_vec())
    }

    fn hears_nothing(&self) -> bool {
        self.receive(SILENCE).is_none()
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let octets = self.receive(PATIENCE).expect("an answer");
        asked
            .answer(&octets, &self.secret)
            .expect("a believable answer")
    }

    fn ask(&self, query: Query) -> Answer {
        let asked = query.sign(&self.secret);
        self.send(asked.octets());
        self.answer(&asked)
    }

    fn login(&self, identifier: u8) -> Asked {
        Query::access(identifier)
            .with(1, b"taro")
            .with_password(&self.secret, b"a password")
            .sign(&self.secret)
    }
}
