//! The rooms of one daemon: made in the order in which they need each other, remade at a reload.

use std::fs::DirBuilder;
use std::net::UdpSocket;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Error;
use super::certificates::{self, Certificates};
use super::handed::Handed;
use super::replies::{self, Replies};
use crate::access::{self, Access, Setup};
use crate::channel::{Channels, VapidKey};
use crate::clock::{Clock, Steps};
use crate::config;
use crate::control::{self, CertificateShown, ClientShown, Doors};
use crate::directory::{self, Directory};
use crate::eap;
use crate::portal::{self, Portal};
use crate::secret::Key;
use crate::server::{self, Eap, Server};
use crate::store::{self, Store};
use crate::telemetry::Telemetry;
use crate::wire::Signing;

/// How long connections to a directory outlive the configuration that they were made by: the
/// longest request.
const OLD_DIRECTORIES: Duration = Duration::from_secs(30);

/// How long an alert may take: nobody waits for it.
const ALERT: Duration = Duration::from_secs(60);
/// How long the loops that work may take to come round. Less than systemd's patience (WatchdogSec) less a look at health.
const ROUND: Duration = Duration::from_secs(20);
/// The pause before a queue that was full is tried again: time for some commits.
const FULL: Duration = Duration::from_millis(50);

/// Every room, and what a reload needs.
pub(super) struct Rooms {
    file: Option<PathBuf>,
    clock: Clock,
    pub(super) server: Server,
    pub(super) telemetry: Telemetry,
    pub(super) portal: Option<Portal>,
    access: Access,
    store: Store,
    directories: ArcSwap<Directories>,
    replies: ArcSwap<Replies>,
    certificates: Certificates,
    /// Doorbells and alerts on their way.
    access_tasks: TaskTracker,
    directory_tasks: TaskTracker,
    all_directories: CancellationToken,
    reloading: Mutex<()>,
}

/// Directories of one configuration, and the token that ends their connections.
struct Directories {
    list: Vec<(Arc<str>, Directory)>,
    stop: CancellationToken,
}

impl Directories {
    fn setup(&self, settings: access::Settings, channels: Channels) -> Setup {
        Setup {
            settings,
            directories: self.list.clone(),
            channels,
        }
    }

    fn each(&self) -> impl Iterator<Item = &Directory> {
        self.list.iter().map(|(_, directory)| directory)
    }
}

impl Rooms {
    pub(super) async fn start(
        settings: config::Settings,
        file: Option<PathBuf>,
        clock: Clock,
        handed: &mut Handed,
    ) -> Result<Self, Error> {
        let telemetry = Telemetry::start(&settings.telemetry, clock.clone());
        tell(&settings.warnings);
        let certificates = Certificates::new(certificates::watched(&settings));
        let (store, master) = open_store(settings.store, clock.clone()).await?;
        let (directory_tasks, access_tasks) = (TaskTracker::new(), TaskTracker::new());
        let all_directories = CancellationToken::new();
        let directories = connect(
            &settings.directories,
            &clock,
            &directory_tasks,
            &all_directories,
        )?;
        let channels = Channels::new(settings.channel).map_err(Error::of("gateways"))?;
        let channels = known(channels, &store, &clock);
        let setup = directories.setup(settings.access, channels);
        let access = Access::new(
            setup,
            store.clone(),
            clock.clone(),
            &master,
            access_tasks.clone(),
        );
        let replies = replies::in_words(&settings.server.replies);
        let rooms = server::Rooms {
            access: access.clone(),
            telemetry: telemetry.clone(),
            clock: clock.clone(),
            chargeable: master.derive("chargeable user identity"),
        };
        let server = open_server(
            settings.server,
            settings.eap.as_ref(),
            rooms,
            &mut handed.udp,
        )?;
        let for_portal = portal::Rooms {
            access: access.clone(),
            store: store.clone(),
            telemetry: telemetry.clone(),
            clock: clock.clone(),
        };
        let portal = open_portal(settings.portal, for_portal, &master, handed).await?;
        Ok(Self {
            file,
            clock,
            server,
            telemetry,
            portal,
            access,
            store,
            directories: ArcSwap::from_pointee(directories),
            replies: ArcSwap::from_pointee(replies),
            certificates,
            access_tasks,
            directory_tasks,
            all_directories,
            reloading: Mutex::new(()),
        })
    }

    /// Reads the file anew. All of it is checked and made before any of it is used.
    ///
    /// # Errors
    ///
    /// Every fault, in words; then nothing has changed.
    pub(super) fn reload(&self) -> Result<(), Vec<String>> {
        let _one_at_a_time = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let file = self
            .file
            .as_deref()
            .ok_or_else(|| vec!["there is no file to read".to_owned()])?;
        let settings = config::read(file)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let watched = certificates::watched(&settings);
        let channels = Channels::new(settings.channel).map_err(|why| vec![why.to_string()])?;
        let channels = known(channels, &self.store, &self.clock);
        let directories = connect(
            &settings.directories,
            &self.clock,
            &self.directory_tasks,
            &self.all_directories,
        )
        .map_err(|why| vec![why.to_string()])?;
        let eap = renewed(self.server.eap(), settings.eap.as_ref(), &self.clock)
            .map_err(|why| vec![why.to_string()])?;
        tell(&settings.warnings);
        self.telemetry.set_level(settings.telemetry.level);
        self.telemetry.forget_patience();
        self.store.set_limits(settings.store.limits);
        self.access
            .reload(directories.setup(settings.access, channels));
        let replies = replies::in_words(&settings.server.replies);
        self.replies.store(Arc::new(replies));
        self.server.reload(settings.server);
        self.server.hold_eap(eap);
        match (&self.portal, settings.portal) {
            (Some(portal), Some(settings)) => portal.reload(settings),
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => {
                log::warn!("the portal is opened and closed at a restart only");
            }
        }
        self.retire(self.directories.swap(Arc::new(directories)));
        self.certificates.replace(watched);
        self.look_at_certificates();
        log::info!("configuration reloaded");
        Ok(())
    }

    /// Ends the old directories' connections once no request can be using them.
    fn retire(&self, old: Arc<Directories>) {
        let all = self.all_directories.clone();
        self.directory_tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(OLD_DIRECTORIES) => {}
                () = all.cancelled() => {}
            }
            old.stop.cancel();
        });
    }

    pub(super) fn for_control(&self) -> control::Rooms {
        control::Rooms {
            access: self.access.clone(),
            store: self.store.clone(),
            telemetry: self.telemetry.clone(),
            clock: self.clock.clone(),
        }
    }

    /// What `control` may do here. Holds the rooms weakly: the socket's tasks end before they do.
    pub(super) fn doors(self: &Arc<Self>) -> Doors {
        let (lender, clients, addresses) = (
            self.server.clone(),
            self.server.clone(),
            self.server.clone(),
        );
        let (reloader, keeper) = (Arc::downgrade(self), Arc::downgrade(self));
        let (holder, watcher) = (Arc::downgrade(self), Arc::downgrade(self));
        Doors {
            lend: Arc::new(move |like, address, secret, life| {
                lender.lend(like, address, secret, life)
            }),
            clients: Arc::new(move || clients.clients().iter().map(show).collect()),
            addresses: Arc::new(move || addresses.addresses().0),
            reload: Arc::new(move || {
                let rooms = reloader
                    .upgrade()
                    .ok_or_else(|| vec!["stopping".to_owned()])?;
                rooms.reload()
            }),
            replies: Arc::new(move |set| {
                let rooms = holder.upgrade()?;
                rooms.replies.load().get(set).cloned()
            }),
            directories: Arc::new(move || {
                let rooms = keeper.upgrade();
                rooms.map_or_else(Vec::new, |rooms| rooms.directories.load().list.clone())
            }),
            certificates: Arc::new(move || {
                let rooms = watcher.upgrade();
                rooms.map_or_else(Vec::new, |rooms| rooms.certificates_shown())
            }),
        }
    }

    /// Tells of certificates that end soon: the log, metrics, and once at each threshold whoever gets alerts.
    pub(super) fn look_at_certificates(&self) {
        let all = self.certificates.all();
        let ends: Vec<_> = all.iter().map(|one| (one.used, one.not_after)).collect();
        self.telemetry.certificates(&ends);
        let looked = self.certificates.look(self.clock.now());
        for said in looked.said {
            log::warn!("{said} Put a new one in its place, and run sekisho reload.");
        }
        let channels = self.access.channels();
        if looked.alerts.is_empty() || !channels.has_alerts() {
            return;
        }
        self.access_tasks.spawn(async move {
            for alert in looked.alerts {
                let deadline = tokio::time::Instant::now() + ALERT;
                for (way, alerted) in channels.alert(&alert, deadline).await {
                    if let Err(why) = alerted {
                        log::error!("alert of a certificate by {way}: {why}");
                    }
                }
            }
        });
    }

    fn certificates_shown(&self) -> Vec<CertificateShown> {
        let now = self.clock.now();
        let all = self.certificates.all();
        let shown = all.into_iter().map(|one| CertificateShown {
            used: one.used.to_owned(),
            days_left: one.days_left(now),
            not_after: one.not_after,
            subject: one.subject,
        });
        shown.collect()
    }

    pub(super) async fn sweep(&self) {
        if let Err(why) = self.store.sweep().await {
            log::error!("store: expired rows stay: {why}");
        }
    }

    /// Sets the gauges of health; says whether the daemon can go on: without the store's writer it cannot.
    pub(super) fn tell_health(&self) -> bool {
        self.telemetry
            .health("store", "store", self.store.writable());
        for directory in self.directories.load().each() {
            for server in directory.health() {
                self.telemetry
                    .health("directory", &server.server, server.up);
            }
        }
        self.store.running()
    }

    /// Where the clock is looked at for steps.
    pub(super) fn clock_steps(&self) -> Steps {
        Steps::new(self.clock.clone())
    }

    /// Whether the loops that work still come round: each socket's listener, and the store's writer. A disk that takes
    /// nothing is no reason: starting anew would not mend it.
    pub(super) async fn come_round(&self) -> bool {
        let round = async {
            self.server.come_round().await;
            while matches!(self.store.flush().await, Err(store::Error::Busy)) {
                tokio::time::sleep(FULL).await;
            }
        };
        let came = tokio::time::timeout(ROUND, round).await.is_ok();
        if !came {
            log::error!("a listener or the store's writer hangs");
        }
        came
    }

    /// Closes directories and store, when nothing is in work any more.
    pub(super) async fn close(&self) {
        if let Err(why) = self.store.flush().await {
            log::error!("store: {why}");
        }
        self.access_tasks.close();
        if tokio::time::timeout(Duration::from_secs(1), self.access_tasks.wait())
            .await
            .is_err()
        {
            log::debug!("some doorbells were still ringing");
        }
        self.all_directories.cancel();
        self.directory_tasks.close();
        if tokio::time::timeout(Duration::from_secs(1), self.directory_tasks.wait())
            .await
            .is_err()
        {
            log::debug!("some connections to directories were left open");
        }
        self.telemetry.flush();
    }
}

fn tell(warnings: &[config::Fault]) {
    for warning in warnings {
        log::warn!("{warning}");
    }
}

/// How EAP is held from now on: what it was under new settings, so that sessions stay resumable.
fn renewed(
    before: Option<Eap>,
    settings: Option<&eap::Settings>,
    clock: &Clock,
) -> Result<Option<Eap>, eap::Error> {
    match (before, settings) {
        (_, None) => Ok(None),
        (None, Some(settings)) => Eap::new(settings, clock.clone()).map(Some),
        (Some(mut eap), Some(settings)) => {
            eap.reload(settings)?;
            Ok(Some(eap))
        }
    }
}

/// Gives channels the clock, and the key that push services know this installation by.
fn known(channels: Channels, store: &Store, clock: &Clock) -> Channels {
    let channels = channels.with_clock(clock.clone());
    match VapidKey::from_pkcs8(store.vapid_pair()) {
        Ok(key) => channels.with_vapid(key),
        Err(why) => {
            log::error!("browsers cannot be rung: the key for push services {why}");
            channels
        }
    }
}

/// Makes the store's folder, which the key may lie in, too; says what is missing around them, and what mends it.
fn make_room(settings: &store::Settings) -> Result<(), String> {
    let folder = &settings.folder;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|why| {
        let folder = folder.display();
        format!("{folder}: {why}: make the folder for the daemon's user, or set [store] folder")
    })?;
    match settings.key_file.parent() {
        Some(around) if !around.exists() => Err(format!(
            "{}: the folder {} does not exist: make it, or set [store] key-file",
            settings.key_file.display(),
            around.display()
        )),
        _ => Ok(()),
    }
}

async fn open_store(settings: store::Settings, clock: Clock) -> Result<(Store, Key), Error> {
    let failed = |why: String| Error::Room { room: "store", why };
    make_room(&settings).map_err(failed)?;
    let opening = tokio::task::spawn_blocking(move || {
        let (master, made) = store::master_key(&settings)?;
        if made {
            log::warn!(
                "made a new master key in {}: keep a copy apart from the backups",
                settings.key_file.display()
            );
        }
        Store::open(&settings, &master, clock).map(|store| (store, master))
    });
    opening
        .await
        .map_err(|why| failed(why.to_string()))?
        .map_err(|why| failed(why.to_string()))
}

fn open_server(
    settings: server::Settings,
    eap: Option<&eap::Settings>,
    rooms: server::Rooms,
    handed: &mut Vec<UdpSocket>,
) -> Result<Server, Error> {
    let eap = renewed(None, eap, &rooms.clock).map_err(|why| Error::Room {
        room: "eap",
        why: why.to_string(),
    })?;
    let server = Server::take_over(settings, rooms, handed).map_err(Error::of("radius"))?;
    server.hold_eap(eap);
    Ok(server)
}

async fn open_portal(
    settings: Option<portal::Settings>,
    rooms: portal::Rooms,
    master: &Key,
    handed: &mut Handed,
) -> Result<Option<Portal>, Error> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    let portal = Portal::bind(settings, rooms, master, &mut handed.tcp).await;
    portal.map(Some).map_err(|why| Error::Room {
        room: "portal",
        why: why.to_string(),
    })
}

fn connect(
    settings: &[directory::Settings],
    clock: &Clock,
    tasks: &TaskTracker,
    all: &CancellationToken,
) -> Result<Directories, Error> {
    let stop = all.child_token();
    let list = settings
        .iter()
        .map(|one| {
            let directory =
                Directory::new(one.clone(), clock.clone(), tasks.clone(), stop.clone())?;
            Ok((one.name.clone(), directory))
        })
        .collect::<Result<_, _>>()
        .map_err(Error::of("directory"))?;
    Ok(Directories { list, stop })
}

fn show(client: &server::Client) -> ClientShown {
    ClientShown {
        name: client.name.to_string(),
        label: client.policy.label.clone(),
        addresses: client.addresses.iter().map(ToString::to_string).collect(),
        tls_names: client
            .transport
            .names()
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect(),
        message_authenticator: match client.signing {
            _ if !client.transport.has_datagrams() => "not needed by TLS",
            Signing::Required => "required",
            Signing::OptionalWithoutProxyState => "optional without Proxy-State",
            Signing::Optional => "optional",
        }
        .to_owned(),
        code: client
            .policy
            .code
            .iter()
            .map(|entry| entry.as_str().to_owned())
            .collect(),
        station: client
            .station
            .iter()
            .map(|source| source.name.to_string())
            .collect(),
        profile: client.profile.name.to_owned(),
        push: client
            .policy
            .push
            .iter()
            .map(|mode| mode.as_str().to_owned())
            .collect(),
        patience: client.patience.as_secs(),
    }
}
