//! One server: its connections, and whether it is worth asking.
//!
//! Searches share a few connections bound as the service account, several in flight on each;
//! binds have connections of their own, one bind at a time on each, never searched on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ldap3::controls::RawControl;
use ldap3::{LdapResult, Scope};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ServerHealth;
use super::breaker::{Breaker, Kind};
use super::guard::{self, Purpose};
use super::operation::{Answer, Connection, Failure, Query, run};
use super::refusal::{self, PPOLICY};
use super::settings::{Server, Settings};
use super::text::Filter;
use crate::secret::Secret;

/// Searches in flight on one connection: servers work on some dozens at once, the rest would wait there.
const SEARCHES_IN_FLIGHT: usize = 64;

/// One shared connection for searches, replaced when it is over.
#[derive(Default)]
struct Slot {
    current: Mutex<Option<Arc<Connection>>>,
    /// Held while a new one is made, so that a burst makes one.
    making: tokio::sync::Mutex<()>,
}

impl Slot {
    fn usable(&self) -> Option<Arc<Connection>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|it| it.is_usable()).cloned()
    }

    fn put(&self, connection: Arc<Connection>) {
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
    next_slot: AtomicUsize,
    searches: Semaphore,
    /// Idle bind connections, the last used on top, so that few stay warm.
    idle: Mutex<Vec<Connection>>,
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
            next_slot: AtomicUsize::new(0),
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
        let _permit = timeout_at(self.until(deadline), self.searches.acquire())
            .await
            .map_err(|_| Failure::Crowded)?;
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
        connection: &Connection,
        query: &Query<'_>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let settled = timeout_at(
            self.until(deadline),
            run(
                connection,
                query,
                self.around.settings.operation_timeout.as_secs(),
            ),
        );
        let result = settled.await.unwrap_or(Err(Failure::TimedOut));
        if matches!(
            result,
            Err(Failure::TimedOut | Failure::Malformed | Failure::Lost(_))
        ) {
            connection.retired.store(true, Ordering::Relaxed);
        }
        result
    }

    async fn search_connection(&self, deadline: Instant) -> Result<Arc<Connection>, Failure> {
        let at = self.next_slot.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        let slot = self.slots.get(at).ok_or(Failure::Crowded)?;
        if let Some(connection) = slot.usable() {
            return Ok(connection);
        }
        let until = self.until(deadline);
        let _making = timeout_at(until, slot.making.lock())
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
        password: &str,
        deadline: Instant,
    ) -> Result<LdapResult, Failure> {
        let result = self.bind_or_retry(dn, password, deadline).await;
        match &result {
            Ok(answer) if refusal::decides(answer) => self.judge(Kind::Bind, None),
            Ok(answer) => self.judge(Kind::Bind, Some(&Failure::undecided(answer.clone()))),
            Err(failure) => self.judge(Kind::Bind, Some(failure)),
        }
        result
    }

    async fn bind_or_retry(
        &self,
        dn: &str,
        password: &str,
        deadline: Instant,
    ) -> Result<LdapResult, Failure> {
        let _permit = timeout_at(self.until(deadline), self.binds.acquire())
            .await
            .map_err(|_| Failure::Crowded)?;
        if let Some(connection) = self.idle_connection() {
            match self.bind_on(connection, dn, password, deadline).await {
                Err(Failure::Lost(_)) => {}
                settled => return settled,
            }
        }
        let connection = self.open(Purpose::Binds, deadline).await?;
        self.bind_on(connection, dn, password, deadline).await
    }

    /// The connection returns to the pool only when the bind's answer has come; in every other case,
    /// that of a caller who went away included, it is closed.
    async fn bind_on(
        &self,
        mut connection: Connection,
        dn: &str,
        password: &str,
        deadline: Instant,
    ) -> Result<LdapResult, Failure> {
        let sent = connection.line.sent();
        let control = RawControl {
            ctype: PPOLICY.to_owned(),
            crit: false,
            val: None,
        };
        let bind = connection
            .ldap
            .with_controls(control)
            .simple_bind(dn, password);
        match timeout_at(self.until(deadline), bind).await {
            Ok(Ok(answer)) => {
                self.idle().push(connection);
                Ok(answer)
            }
            Ok(Err(_)) if connection.line.sent() == sent => Err(connection.lost()),
            Ok(Err(_)) => Err(Failure::Unsettled(connection.lost().to_string())),
            Err(_) => Err(Failure::Unsettled(Failure::TimedOut.to_string())),
        }
    }

    fn idle_connection(&self) -> Option<Connection> {
        let mut idle = self.idle();
        loop {
            let connection = idle.pop()?;
            if connection.is_usable() {
                return Some(connection);
            }
        }
    }

    async fn open_for_searches(&self, deadline: Instant) -> Result<Connection, Failure> {
        let account = self.around.settings.bind.as_ref();
        let purpose = Purpose::Searches {
            bound: account.is_some(),
        };
        let mut connection = self.open(purpose, deadline).await?;
        if let Some((dn, password)) = account {
            self.bind_service(&mut connection, dn, password, deadline)
                .await?;
        }
        Ok(connection)
    }

    async fn bind_service(
        &self,
        connection: &mut Connection,
        dn: &str,
        password: &Secret,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let password = password
            .expose_str()
            .filter(|password| !password.is_empty() && !dn.is_empty())
            .ok_or(Failure::ServiceAccount { code: 49 })?;
        let bind = connection.ldap.simple_bind(dn, password);
        let answer = timeout_at(self.until(deadline), bind).await;
        let answer = answer
            .map_err(|_| Failure::TimedOut)?
            .map_err(|_| connection.lost())?;
        match answer.rc {
            0 => Ok(()),
            code if refusal::decides(&answer) => Err(Failure::ServiceAccount { code }),
            _ => Err(Failure::undecided(answer)),
        }
    }

    async fn open(&self, purpose: Purpose, deadline: Instant) -> Result<Connection, Failure> {
        let until = deadline.min(Instant::now() + self.around.settings.connect_timeout);
        let connected = guard::connect(&self.server, self.around.tls.as_ref(), purpose);
        let (ldap, line, bridge) = timeout_at(until, connected)
            .await
            .map_err(|_| Failure::TimedOut)??;
        let stop = self.around.stop.clone();
        // Its end shows on the line, a panic included.
        drop(
            self.around
                .tracker
                .spawn(async move { stop.run_until_cancelled(bridge).await }),
        );
        Ok(Connection {
            ldap,
            line,
            retired: AtomicBool::new(false),
        })
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
            filter: &Filter::everything(),
            attributes: &["1.1".to_owned()],
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

    fn until(&self, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.around.settings.operation_timeout)
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
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
