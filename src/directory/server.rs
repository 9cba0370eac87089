//! One server: its connections, and whether it is worth asking.
//!
//! Searches share a few connections bound as the service account, several in flight on each;
//! binds have connections of their own, one bind at a time on each, never searched on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use ldap3::controls::RawControl;
use ldap3::{Ldap, LdapResult, Scope, SearchOptions};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::entry::Attributes;
use super::guard::{self, ConnectError, Line, Purpose};
use super::refusal::{self, PPOLICY};
use super::settings::{Server, Settings};
use super::text::Filter;
use super::{Error, ServerHealth};
use crate::secret::Secret;

/// Searches in flight on one connection: servers work on some dozens at once, the rest would wait there.
const SEARCHES_IN_FLIGHT: usize = 64;
/// Failures in a row after which a server is not asked.
const FAILURES_TO_OPEN: u32 = 3;
/// First pause before a server that failed is probed.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between probes, so that a server that came back is used within seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

const NO_SUCH_OBJECT: u32 = 32;
const SIZE_LIMIT_EXCEEDED: u32 = 4;

/// A search.
pub(super) struct Query<'a> {
    pub(super) base: &'a str,
    pub(super) scope: Scope,
    pub(super) filter: &'a Filter,
    pub(super) attributes: &'a [String],
    /// Entries asked for at most.
    pub(super) limit: usize,
}

/// What a search found.
pub(super) struct Answer {
    pub(super) entries: Vec<Attributes>,
    /// Whether there were no more than the limit.
    pub(super) complete: bool,
}

/// Why one server gave no decision.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{0}")]
    Lost(String),
    #[error("no answer in time")]
    TimedOut,
    #[error("no free connection in time")]
    Crowded,
    #[error("the answer to a bind did not come: {0}")]
    Unsettled(String),
    #[error("result {code}: {text}")]
    Undecided { code: u32, text: String },
    #[error("service account refused: result {code}")]
    ServiceAccount { code: u32 },
    #[error("entry of an unexpected form")]
    Malformed,
}

impl Failure {
    /// An answer that decides nothing.
    pub(super) fn undecided(answer: LdapResult) -> Self {
        Self::Undecided {
            code: answer.rc,
            text: answer.text,
        }
    }

    /// Whether another server may be asked.
    pub(super) const fn may_ask_next(&self) -> bool {
        match self {
            // The bind may have been counted there: never a second one (D5).
            Self::Unsettled(_) => false,
            Self::Connect(_)
            | Self::Lost(_)
            | Self::TimedOut
            | Self::Crowded
            | Self::Undecided { .. }
            | Self::ServiceAccount { .. }
            | Self::Malformed => true,
        }
    }

    pub(super) const fn error(&self) -> Error {
        match self {
            Self::Undecided { code, .. } => Error::Undecided { code: *code },
            Self::ServiceAccount { code } => Error::ServiceAccount { code: *code },
            Self::Connect(_)
            | Self::Lost(_)
            | Self::TimedOut
            | Self::Crowded
            | Self::Unsettled(_)
            | Self::Malformed => Error::Unreachable,
        }
    }
}

/// A connection that can be asked; dropping the last one closes it.
struct Connection {
    ldap: Ldap,
    line: Arc<Line>,
    /// Set when an answer did not come in time.
    retired: AtomicBool,
}

impl Connection {
    fn is_usable(&self) -> bool {
        self.line.is_open() && !self.retired.load(Ordering::Relaxed)
    }

    fn lost(&self) -> Failure {
        Failure::Lost(self.line.why().unwrap_or_else(|| "connection lost".into()))
    }
}

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

/// The circuit breaker and what is told of it.
#[derive(Debug)]
struct Breaker {
    failures: u32,
    open: bool,
    pause: Duration,
    last_error: Option<String>,
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
            breaker: Mutex::new(Breaker {
                failures: 0,
                open: false,
                pause: FIRST_PAUSE,
                last_error: None,
            }),
            around,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        !self.breaker().open
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
        self.judge(result.as_ref().err());
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
            Ok(answer) if refusal::decides(answer) => self.judge(None),
            Ok(answer) => self.judge(Some(&Failure::undecided(answer.clone()))),
            Err(failure) => self.judge(Some(failure)),
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
                breaker.open = false;
                breaker.failures = 0;
                breaker.last_error = None;
            }
            Err(failure) => breaker.last_error = Some(failure.to_string()),
        }
        result
    }

    /// Counts a failure or forgets the ones before.
    fn judge(self: &Arc<Self>, failure: Option<&Failure>) {
        let mut breaker = self.breaker();
        let Some(failure) = failure else {
            breaker.failures = 0;
            breaker.pause = FIRST_PAUSE;
            return;
        };
        breaker.last_error = Some(failure.to_string());
        // Too many callers at once say nothing about the server.
        if matches!(failure, Failure::Crowded) {
            return;
        }
        breaker.failures = breaker.failures.saturating_add(1);
        if breaker.failures >= FAILURES_TO_OPEN && !breaker.open {
            breaker.open = true;
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

    /// The next pause, longer each time until a login succeeds there.
    fn pause(&self) -> Duration {
        let mut breaker = self.breaker();
        let pause = breaker.pause;
        breaker.pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        pause
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
        let Some(pause) = host.upgrade().map(|host| host.pause()) else {
            return;
        };
        tokio::time::sleep(pause).await;
        let Some(host) = host.upgrade() else { return };
        if host.probe().await.is_ok() {
            return;
        }
    }
}

/// Runs a search to its end.
async fn run(connection: &Connection, query: &Query<'_>, seconds: u64) -> Result<Answer, Failure> {
    let mut ldap = connection.ldap.clone();
    let options = SearchOptions::new()
        .sizelimit(i32::try_from(query.limit).unwrap_or(i32::MAX))
        .timelimit(i32::try_from(seconds.max(1)).unwrap_or(i32::MAX));
    let mut stream = ldap
        .with_search_options(options)
        .streaming_search(
            query.base,
            query.scope,
            query.filter.as_str(),
            query.attributes,
        )
        .await
        .map_err(|_| connection.lost())?;
    let mut entries = Vec::new();
    while let Some(item) = stream.next().await.map_err(|_| connection.lost())? {
        // References to other servers are never followed.
        if item.is_ref() {
            continue;
        }
        if entries.len() >= query.limit {
            return Err(Failure::Malformed);
        }
        entries.push(Attributes::read(item.0).ok_or(Failure::Malformed)?);
    }
    let end = stream.finish().await;
    match end.rc {
        0 => Ok(Answer {
            entries,
            complete: true,
        }),
        SIZE_LIMIT_EXCEEDED => Ok(Answer {
            entries,
            complete: false,
        }),
        NO_SUCH_OBJECT if query.scope == Scope::Base => Ok(Answer {
            entries,
            complete: true,
        }),
        _ => Err(Failure::undecided(end)),
    }
}
