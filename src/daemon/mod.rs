//! Wires the rooms, starts, reloads, drains, stops.
//!
//! Not here: what any room does. The order of starting is the order in which rooms need each other;
//! stopping goes the other way: first nothing more is read, then what is in work is answered, then
//! directories and store are closed.

mod certificate;
mod certificates;
mod handed;
mod notify;
mod replies;
mod rooms;

mod offline;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config;
use crate::control::Control;
use crate::portal::Portal;

use rooms::Rooms;

/// How long what is in work may still take when the daemon stops.
const DRAIN: Duration = Duration::from_secs(10);
/// How often expired rows are thrown away, and it is looked whether a certificate ends soon.
const UPKEEP: Duration = Duration::from_secs(60);
/// How often health is looked at: a failing part shows in metrics within this time.
const HEALTH: Duration = Duration::from_secs(5);

pub use crate::store::Error as StoreError;
pub use certificate::{Certificate, Lack, Role, SERVER_DAYS, Unreadable};
pub use certificates::{Watched, chains, watched};
pub use handed::Handed;
pub use offline::{Probed, probe, probe_directories, restore};

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A room could not start; says which and why.
    #[error("{room}: {why}")]
    Room {
        /// The room.
        room: &'static str,
        /// Why, in words.
        why: String,
    },
    /// A task that the daemon cannot live without ended.
    #[error("a task that must run has ended: {0}")]
    TaskEnded(&'static str),
}

impl Error {
    fn of(room: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |why| Self::Room {
            room,
            why: why.to_string(),
        }
    }
}

/// A running daemon.
pub struct Daemon {
    rooms: Arc<Rooms>,
    tasks: TaskTracker,
    stop: CancellationToken,
    metrics: Option<SocketAddr>,
    must_run: Vec<(&'static str, tokio::task::JoinHandle<()>)>,
}

impl Daemon {
    /// Starts every room: opens the store, binds the sockets. `file` is read anew at a reload;
    /// without it there is none.
    ///
    /// # Errors
    ///
    /// When a room cannot start.
    pub async fn start(
        settings: config::Settings,
        file: Option<PathBuf>,
        clock: Clock,
    ) -> Result<Self, Error> {
        Self::start_with(settings, file, clock, Handed::default()).await
    }

    /// The same, with sockets that were handed over: those whose address is configured are used instead of new ones.
    ///
    /// # Errors
    ///
    /// When a room cannot start.
    pub async fn start_with(
        settings: config::Settings,
        file: Option<PathBuf>,
        clock: Clock,
        mut handed: Handed,
    ) -> Result<Self, Error> {
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let control_settings = settings.control.clone();
        let metrics_at = settings.telemetry.metrics;
        let rooms = Arc::new(Rooms::start(settings, file, clock, &mut handed).await?);
        handed.close();
        let control = Control::bind(&control_settings, rooms.for_control(), rooms.doors())
            .map_err(Error::of("control"))?;
        let mut must_run = Vec::new();
        let metrics = match metrics_at {
            Some(address) => {
                let listener = TcpListener::bind(address)
                    .await
                    .map_err(Error::of("metrics"))?;
                let bound = listener.local_addr().map_err(Error::of("metrics"))?;
                let (telemetry, stop) = (rooms.telemetry.clone(), stop.clone());
                let serving = async move {
                    if let Err(why) = telemetry.serve(listener, stop).await {
                        log::error!("metrics are no longer shown: {why}");
                    }
                };
                must_run.push(("metrics", tasks.spawn(serving)));
                Some(bound)
            }
            None => None,
        };
        rooms.server.start(&tasks, &stop);
        if let Some(portal) = &rooms.portal {
            portal.start(&tasks, &stop);
        }
        control.start(&tasks, &stop);
        must_run.push(("upkeep", tasks.spawn(upkeep(rooms.clone(), stop.clone()))));
        Ok(Self {
            rooms,
            tasks,
            stop,
            metrics,
            must_run,
        })
    }

    /// The addresses bound: authentication, then accounting.
    #[must_use]
    pub fn addresses(&self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        self.rooms.server.addresses()
    }

    /// Where metrics are shown, if they are.
    #[must_use]
    pub const fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Runs until `shutdown` is ready, then drains. SIGHUP reloads.
    ///
    /// # Errors
    ///
    /// When a task that must run has ended: then the daemon drains, too, and systemd starts it
    /// again.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let mut hangups = signal(SignalKind::hangup()).map_err(Error::of("signals"))?;
        tokio::pin!(shutdown);
        self.tell_start();
        for (address, socket) in self.rooms.server.bound() {
            notify::keep(&handed::name(address), socket);
        }
        notify::ready();
        let ended = loop {
            tokio::select! {
                () = &mut shutdown => break None,
                Some(()) = hangups.recv() => self.reload().await,
                name = first_ended(&mut self.must_run) => break Some(name),
            }
        };
        notify::stopping();
        match ended {
            None => log::info!("Sekisho stops: a signal ended it"),
            Some(name) => log::error!("Sekisho stops: the task {name} has ended"),
        }
        self.drain().await;
        ended.map_or(Ok(()), |name| Err(Error::TaskEnded(name)))
    }

    /// Says what has started, and where: the sockets are bound.
    fn tell_start(&self) {
        let version = env!("CARGO_PKG_VERSION");
        let (logins, accounting) = self.addresses();
        let portal = self.rooms.portal.as_ref();
        let portal = portal.map_or_else(Vec::new, Portal::addresses);
        log::info!("Sekisho {version} has started");
        for (address, what) in logins
            .iter()
            .map(|address| (address, "logins"))
            .chain(accounting.iter().map(|address| (address, "accounting")))
            .chain(self.metrics.iter().map(|address| (address, "metrics")))
            .chain(portal.iter().map(|address| (address, "the portal")))
        {
            log::info!("listening for {what} at {address}");
        }
    }

    /// Reloads; a fault leaves everything as it was and is logged.
    async fn reload(&self) {
        let rooms = self.rooms.clone();
        notify::reloading();
        if let Ok(Err(faults)) = tokio::task::spawn_blocking(move || rooms.reload()).await {
            for fault in faults {
                log::error!("not reloaded, the old configuration holds: {fault}");
            }
        }
        notify::ready();
    }

    async fn drain(self) {
        self.stop.cancel();
        self.tasks.close();
        let open = self.rooms.server.in_work();
        if timeout(DRAIN, self.tasks.wait()).await.is_err() {
            log::warn!(
                "stopped with {} of {open} requests still in work",
                self.rooms.server.in_work()
            );
        }
        log::info!("Sekisho has stopped");
        self.rooms.close().await;
    }
}

/// The name of the first of the tasks that ends.
async fn first_ended(tasks: &mut Vec<(&'static str, tokio::task::JoinHandle<()>)>) -> &'static str {
    std::future::poll_fn(|context| {
        for (name, task) in tasks.iter_mut() {
            if std::pin::Pin::new(task).poll(context).is_ready() {
                return std::task::Poll::Ready(*name);
            }
        }
        std::task::Poll::Pending
    })
    .await
}

/// Throws away what has expired, looks at certificates, tells health, and feeds the watchdog as long as what works comes round.
async fn upkeep(rooms: Arc<Rooms>, stop: CancellationToken) {
    let mut sweeps = interval(UPKEEP);
    let mut looks = interval(HEALTH);
    let mut steps = rooms.clock_steps();
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = sweeps.tick() => {
                rooms.look_at_certificates();
                rooms.sweep().await;
            }
            _ = looks.tick() => {
                if let Some(millis) = steps.look() {
                    rooms.telemetry.clock_step(millis);
                }
                if !rooms.tell_health() {
                    log::error!("the store's writer has ended: the daemon cannot go on");
                    return;
                }
                if rooms.come_round().await {
                    notify::alive();
                }
            }
        }
    }
}
