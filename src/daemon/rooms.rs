//! The rooms of one daemon: made in the order in which they need each other, remade at a reload.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Error;
use super::handed::Handed;
use super::replies::{self, Replies};
use crate::access::{self, Access, Setup};
use crate::channel::{Channels, VapidKey};
use crate::clock::Clock;
use crate::config;
use crate::control::{self, ClientShown, Doors};
use crate::directory::{self, Directory};
use crate::portal::{self, Portal};
use crate::secret::Key;
use crate::server::{self, Server};
use crate::store::{self, Store};
use crate::telemetry::Telemetry;
use crate::wire::Signing;

/// How long connections to a directory outlive the configuration that they were made by: the
/// longest request.
const OLD_DIRECTORIES: Duration = Duration::from_secs(30);

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
        for warning in &settings.warnings {
            log::warn!("{warning}");
        }
        let (store, master) = open_store(settings.store, clock.clone()).await?;
        let directory_tasks = TaskTracker::new();
        let all_directories = CancellationToken::new();
        let directories = connect(
            &settings.directories,
            &clock,
            &directory_tasks,
            &all_directories,
        )?;
        let channels = Channels::new(settings.channel).map_err(Error::of("gateways"))?;
        let channels = known(channels, &store, &clock);
        let access_tasks = TaskTracker::new();
        let setup = directories.setup(settings.access, channels);
        let access = Access::new(
            setup,
            store.clone(),
            clock.clone(),
            &master,
            access_tasks.clone(),
        );
        let rooms = server::Rooms {
            access: access.clone(),
            telemetry: telemetry.clone(),
            clock: clock.clone(),
        };
        let replies = replies::in_words(&settings.server.replies);
        let server = Server::take_over(settings.server, rooms, &mut handed.udp)
            .map_err(Error::of("radius"))?;
        let rooms = portal::Rooms {
            access: access.clone(),
            store: store.clone(),
            telemetry: telemetry.clone(),
            clock: clock.clone(),
        };
        let portal = open_portal(settings.portal, rooms, &master, handed).await?;
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
        let channels = Channels::new(settings.channel).map_err(|why| vec![why.to_string()])?;
        let channels = known(channels, &self.store, &self.clock);
        let directories = connect(
            &settings.directories,
            &self.clock,
            &self.directory_tasks,
            &self.all_directories,
        )
        .map_err(|why| vec![why.to_string()])?;
        for warning in &settings.warnings {
            log::warn!("{warning}");
        }
        self.telemetry.set_level(settings.telemetry.level);
        self.telemetry.forget_patience();
        self.store.set_limits(settings.store.limits);
        self.access
            .reload(directories.setup(settings.access, channels));
        let replies = replies::in_words(&settings.server.replies);
        self.replies.store(Arc::new(replies));
        self.server.reload(settings.server);
        match (&self.portal, settings.portal) {
            (Some(portal), Some(settings)) => portal.reload(settings),
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => {
                log::warn!("the portal is opened and closed at a restart only");
            }
        }
        self.retire(self.directories.swap(Arc::new(directories)));
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
        let holder = Arc::downgrade(self);
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
        }
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
        message_authenticator: match client.signing {
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
