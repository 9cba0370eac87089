//! One server: its connections, and whether it is worth asking.
//!
//! Searches share a few connections bound as the service account, several in flight on each;
//! binds have connections of their own, one bind at a time on each, never searched on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::breaker::{Breaker, Kind};
use super::connection::{self, Answer, Line, Searches};
use super::failure::Failure;
use super::protocol::{Filter, Query, Scope, Selection};
use super::settings::{Server, Settings};
use super::{Bind, ServerHealth, refusal};
use crate::secret::Secret;

/// Searches in flight on one connection: servers work on some dozens at once, the rest would wait there.
const SEARCHES_IN_FLIGHT: usize = 64;

/// One shared connection for searches, replaced when it is over.
#[derive(Default)]
struct Slot {
    current: Mutex<Option<Arc<Searches>>>,
    /// Held while a new one is made, so that a burst makes one.
    making: tokio::sync::Mutex<()>,
}

impl Slot {
    fn usable(&self) -> Option<Arc<Searches>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|it| it.is_usable()).cloned()
    }

    fn put(&self, connection: Arc<Searches>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }
}

/// What every connection is made with.
pub(super) struct Surroundings {
    pub(super) settings: Arc<Settings>,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// One server of a directory.
pub(super) struct Host {
    server: Server,
    around: Arc<Surroundings>,
    slots: Vec<Slot>,
    latest_slot: AtomicUsize,
    searches: Semaphore,
    /// Idle bind connections, the last used on top, so that few stay warm.
    idle: Mutex<Vec<Line>>,
    binds: Semaphore,
    breaker: Mutex<Breaker>,
}

impl Host {
    pub(super) fn new(server: Server, around: Arc<Surroundings>) -> Self {
        let slots = around.settings.search_connections.max(1);
        let binds = around.settings.bind_connections.max(1);
        Self {
            server,
            slots: (0..slots).map(|_| Slot::default()).collect(),
            latest_slot: AtomicUsize::new(0),
            searches: Semaphore::new(slots.saturating_mul(SEARCHES_IN_FLIGHT)),
            idle: Mutex::default(),
            binds: Semaphore::new(binds),
            breaker: Mutex::new(Breaker::CLOSED),
            around,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        !self.breaker().open
    }

    pub(super) fn is_doubted(&self) -> bool {
        self.breaker().is_doubted()
    }

    pub(super) fn health(&self) -> ServerHealth {
        let breaker = self.breaker();
        ServerHealth {
            server: self.server.to_string(),
            up: !breaker.open,
            last_error: breaker.last_error.clone(),
        }
    }

    /// Searches, again on a fresh connection if a kept one turned out to be over.
    pub(super) async fn search(
        self: &Arc<Self>,
        query: &Query<'_>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let result = self.search_or_retry(query, deadline).await;
        self.judge(Kind::Search, result.as_ref().err());
        result
    }

    async fn search_or_retry(
        &self,
        query: &Query<'_>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let _permit = self.permit(&self.searches, deadline).await?;
        let connection = self.search_connection(deadline).await?;
        match self.search_on(&connection, query, deadline).await {
            Err(Failure::Lost(_)) => {
                let connection = self.search_connection(deadline).await?;
                self.search_on(&connection, query, deadline).await
            }
            settled => settled,
        }
    }

    async fn search_on(
        &self,
        connection: &Searches,
        query: &Query<'_>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let seconds = self.around.settings.operation_timeout.as_secs();
        let search = connection.search(query, u32::try_from(seconds).unwrap_or(0).max(1));
        let result = timeout_at(self.until(deadline), search).await;
        result.unwrap_or_else(|_| {
            connection.retire();
            Err(Failure::TimedOut)
        })
    }

    /// The connection whose requests wait to be written together, or the next in turn.
    async fn search_connection(&self, deadline: Instant) -> Result<Arc<Searches>, Failure> {
        let slot = |at: usize| self.slots.get(at % self.slots.len());
        let latest = slot(self.latest_slot.load(Ordering::Relaxed)).and_then(Slot::usable);
        if let Some(connection) = latest.filter(|it| it.is_gathering()) {
            return Ok(connection);
        }
        let next = self.latest_slot.fetch_add(1, Ordering::Relaxed);
        let slot = slot(next.wrapping_add(1)).ok_or(Failure::Crowded)?;
        if let Some(connection) = slot.usable() {
            return Ok(connection);
        }
        let _making = timeout_at(self.until(deadline), slot.making.lock())
            .await
            .map_err(|_| Failure::TimedOut)?;
        if let Some(connection) = slot.usable() {
            return Ok(connection);
        }
        let connection = Arc::new(self.open_for_searches(deadline).await?);
        slot.put(connection.clone());
        Ok(connection)
    }

    /// Binds once. Only a bind of which nothing was sent is tried again, on a fresh connection.
    pub(super) async fn bind(
        self: &Arc<Self>,
        dn: &str,
        password: &Secret,
        deadline: Instant,
    ) -> Result<Bind, Failure> {
        let result = self.bind_or_retry(dn, password, deadline).await;
        self.judge(Kind::Bind, result.as_ref().err());
        result
    }

    async fn bind_or_retry(
        &self,
        dn: &str,
        password: &Secret,
        deadline: Instant,
    ) -> Result<Bind, Failure> {
        let _permit = self.permit(&self.binds, deadline).await?;
        if let Some(line) = self.idle_line() {
            match self.bind_on(line, dn, password, deadline).await {
                Err(Failure::Lost(_)) => {}
                settled => return settled,
            }
        }
        let line = self.open(deadline).await?;
        self.bind_on(line, dn, password, deadline).await
    }

    /// The connection returns to the pool only when the bind's answer has come; in every other case,
    /// that of a caller who went away included, it is closed.
    async fn bind_on(
        &self,
        mut line: Line,
        dn: &str,
        password: &Secret,
        deadline: Instant,
    ) -> Result<Bind, Failure> {
        let bind = line.bind(dn, password.expose());
        let outcome = timeout_at(self.until(deadline), bind)
            .await
            .unwrap_or_else(|_| Err(Failure::Unsettled(Failure::TimedOut.to_string())))?;
        let bind = refusal::judge(&outcome).ok_or_else(|| Failure::undecided(&outcome));
        self.idle().push(line);
        bind
    }

    fn idle_line(&self) -> Option<Line> {
        loop {
            let line = self.idle().pop()?;
            if line.is_open() {
                return Some(line);
            }
        }
    }

    async fn open_for_searches(&self, deadline: Instant) -> Result<Searches, Failure> {
        let mut line = self.open(deadline).await?;
        if let Some((dn, password)) = &self.around.settings.bind {
            self.bind_service(&mut line, dn, password, deadline).await?;
        }
        let (searches, driver) = Searches::on(line, self.server.to_string());
        let stop = self.around.stop.clone();
        // Those who search learn of its end, a panic included.
        drop(
            self.around
                .tracker
                .spawn(async move { stop.run_until_cancelled(driver.run()).await }),
        );
        Ok(searches)
    }

    async fn bind_service(
        &self,
        line: &mut Line,
        dn: &str,
        password: &Secret,
        deadline: Instant,
    ) -> Result<(), Failure> {
        if password.is_empty() || password.expose_str().is_none() || dn.is_empty() {
            return Err(Failure::ServiceAccount { code: 49 });
        }
        let bind = line.bind(dn, password.expose());
        let outcome = timeout_at(self.until(deadline), bind)
            .await
            .unwrap_or(Err(Failure::TimedOut))?;
        match outcome.code {
            0 => Ok(()),
            code if refusal::judge(&outcome).is_some() => Err(Failure::ServiceAccount { code }),
            _ => Err(Failure::undecided(&outcome)),
        }
    }

    async fn open(&self, deadline: Instant) -> Result<Line, Failure> {
        let until = deadline.min(Instant::now() + self.around.settings.connect_timeout);
        let connected = connection::connect(&self.server, self.around.tls.as_ref());
        timeout_at(until, connected)
            .await
            .map_err(|_| Failure::TimedOut)?
            .map_err(Failure::from)
    }

    /// Connects, binds the service account and asks for the root entry, whatever the breaker says.
    pub(super) async fn probe(&self) -> Result<(), Failure> {
        let settings = &self.around.settings;
        let deadline = Instant::now()
            + settings.connect_timeout
            + settings.operation_timeout.saturating_mul(2);
        let query = Query {
            base: "",
            scope: Scope::Base,
            filter: Filter::Everything,
            attributes: &Selection::none(),
            limit: 1,
        };
        let result = async {
            let connection = self.open_for_searches(deadline).await?;
            self.search_on(&connection, &query, deadline).await
        };
        let result = result.await.map(|_| ());
        let mut breaker = self.breaker();
        match &result {
            Ok(()) => {
                if breaker.open {
                    log::info!("directory server {}: asked again", self.server);
                }
                breaker.half_open();
            }
            Err(failure) => breaker.last_error = Some(failure.to_string()),
        }
        result
    }

    /// Counts a failure or forgets the ones before.
    fn judge(self: &Arc<Self>, kind: Kind, failure: Option<&Failure>) {
        let mut breaker = self.breaker();
        let Some(failure) = failure else {
            breaker.succeeded(kind);
            return;
        };
        breaker.last_error = Some(failure.to_string());
        // Too many callers at once say nothing about the server.
        if !matches!(failure, Failure::Crowded) && breaker.failed(kind) {
            log::warn!(
                "directory server {}: not asked for now: {failure}",
                self.server
            );
            self.probe_later();
        }
    }

    /// Starts the one task that probes until the server answers again.
    fn probe_later(self: &Arc<Self>) {
        let host = Arc::downgrade(self);
        let stop = self.around.stop.clone();
        let probes = async move { stop.run_until_cancelled(probe_until_up(host)).await };
        drop(self.around.tracker.spawn(probes));
    }

    /// Room for one more, waited for if there is none.
    async fn permit<'a>(
        &self,
        room: &'a Semaphore,
        deadline: Instant,
    ) -> Result<SemaphorePermit<'a>, Failure> {
        if let Ok(permit) = room.try_acquire() {
            return Ok(permit);
        }
        match timeout_at(self.until(deadline), room.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Failure::Crowded),
        }
    }

    fn until(&self, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.around.settings.operation_timeout)
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn probe_until_up(host: Weak<Host>) {
    loop {
        let Some(pause) = host.upgrade().map(|host| host.breaker().next_pause()) else {
            return;
        };
        tokio::time::sleep(pause).await;
        let Some(host) = host.upgrade() else { return };
        if host.probe().await.is_ok() {
            return;
        }
    }
}
