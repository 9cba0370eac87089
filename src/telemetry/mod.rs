//! One journal record per decision, counters, health, and what was seen of each client.
//!
//! Not here: what is kept for years (`store`'s audit). Nothing here blocks a login: a full queue loses the record and
//! counts it.

mod logger;
mod message;
mod metrics;
mod page;
mod sightings;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::account::{AccountId, AttemptId, ClientName, Decision, Station};
use crate::clock::{Clock, Timestamp};

use logger::Logger;
use message::Message;
use metrics::Metrics;
use sightings::{About, Sightings, Warnings};

/// `[metrics]` and `[log]` after checking.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where metrics are shown: loopback only.
    pub metrics: Option<SocketAddr>,
    /// Where records go.
    pub log: LogTo,
    /// The least severe level that is kept.
    pub level: Level,
}

/// Where records go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogTo {
    /// The journal when standard error is connected to it, else standard error.
    #[default]
    Auto,
    /// The journal.
    Journal,
    /// Standard error, one line each.
    Stderr,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Faults alone.
    Error,
    /// And what may become one.
    Warn,
    /// And each decision.
    #[default]
    Info,
    /// And each packet discarded.
    Debug,
}

/// Why a packet was discarded, for counters. The words are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discard {
    /// Malformed (`wire::Malformed`).
    Malformed,
    /// From an address that is no client's.
    UnknownClient,
    /// Message-Authenticator required and absent.
    Unsigned,
    /// An authenticator is wrong.
    WrongSignature,
    /// A retransmission of what is in work.
    InWork,
    /// No permit: the house, or the client's share of it, is full.
    Full,
    /// Could not be decided.
    Undecided,
    /// Lost in the kernel's receive buffer.
    ReceiveBuffer,
    /// An accounting record that could not be stored.
    NotStored,
    /// Too many Status-Server.
    StatusFlood,
    /// The work on it panicked.
    Panicked,
}

/// Why a TLS connection was closed, for counters. The words are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closed {
    /// There was no room for it, or nobody connects from there.
    Refused,
    /// The handshake failed, or took too long.
    Greeting,
    /// Its certificate is no client's.
    Stranger,
    /// It did not speak RADIUS as it should.
    Broken,
    /// It did not read its replies.
    Unread,
}

impl Closed {
    /// The word in metrics and log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Greeting => "no-handshake",
            Self::Stranger => "stranger",
            Self::Broken => "broken",
            Self::Unread => "unread",
        }
    }
}

/// A session that is to end, as the journal tells it.
#[derive(Clone, Copy, Debug)]
pub struct SessionOf<'a> {
    /// Whose it is.
    pub account: &'a AccountId,
    /// The attempt that began it.
    pub attempt: &'a AttemptId,
    /// The name that the NAS gives.
    pub name: &'a str,
    /// Acct-Session-Id.
    pub session: &'a str,
    /// The client.
    pub client: &'a ClientName,
    /// The NAS.
    pub nas: IpAddr,
    /// The station.
    pub station: &'a Station,
}

/// What was seen of a NAS.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Seen {
    /// Its client.
    pub client: String,
    /// Its address.
    pub nas: Option<IpAddr>,
    /// Requests with Message-Authenticator.
    pub signed: u64,
    /// Requests without.
    pub unsigned: u64,
    /// Requests by TLS, which need no Message-Authenticator.
    #[serde(default)]
    pub by_tls: u64,
    /// Retransmissions.
    pub retransmissions: u64,
    /// Milliseconds between two copies of a request, the last time.
    pub retransmitted_after: Option<u64>,
    /// How it asked, the last time that it gave up without an answer.
    #[serde(default)]
    pub gave_up: Option<Waited>,
    /// Milliseconds for which it can be trusted to wait: measured, once it gave up often enough.
    #[serde(default)]
    pub patience: Option<u64>,
    /// Challenges that were answered.
    pub challenges_answered: u64,
    /// The last request.
    pub last: Option<Timestamp>,
}

/// How a NAS asked until it gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Waited {
    /// Milliseconds between two copies, the shortest.
    pub interval: u64,
    /// Copies of the request, the first included.
    pub tries: u32,
    /// Milliseconds in all, the last interval included.
    pub in_all: u64,
}

impl Discard {
    /// The word in metrics and log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownClient => "unknown-client",
            Self::Unsigned => "unsigned",
            Self::WrongSignature => "wrong-signature",
            Self::InWork => "in-work",
            Self::Full => "full",
            Self::Undecided => "undecided",
            Self::ReceiveBuffer => "receive-buffer",
            Self::NotStored => "not-stored",
            Self::StatusFlood => "status-flood",
            Self::Panicked => "panicked",
        }
    }

    /// Whether it means that something is amiss. A retransmission of what is in work is a NAS's good right.
    const fn is_fault(self) -> bool {
        !matches!(self, Self::InWork)
    }
}

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    house: Arc<House>,
}

struct House {
    clock: Clock,
    logger: Arc<Logger>,
    metrics: Metrics,
    sightings: Sightings,
    warnings: Warnings,
}

impl Telemetry {
    /// Makes counters and starts the logger's thread; installs it as the process's `log` logger unless there is one.
    /// The first call in a process says where its records go; each says the level.
    #[must_use]
    pub fn start(settings: &Settings, clock: Clock) -> Self {
        let logger = Logger::of_process(settings.log);
        logger.set_level(settings.level);
        Self {
            house: Arc::new(House {
                clock,
                metrics: Metrics::new(logger.lost()),
                logger,
                sightings: Sightings::default(),
                warnings: Warnings::default(),
            }),
        }
    }

    /// Changes the level after a reload.
    pub fn set_level(&self, level: Level) {
        self.house.logger.set_level(level);
    }

    /// Records a decision: journal and counters. It is put in words later, by the logger's thread.
    pub fn decision(&self, decision: &Arc<Decision>) {
        self.house.metrics.decision(decision);
        if self.house.logger.keeps(message::level_of(decision.outcome)) {
            self.house.logger.tell(Message::decided(decision));
        }
    }

    /// Counts a discarded packet; logs it at debug level, and at warning level once per client, reason and hour.
    pub fn discard(
        &self,
        discard: Discard,
        from: SocketAddr,
        client: Option<&ClientName>,
        why: &str,
    ) {
        self.house.metrics.discard(discard, client);
        let is_due = discard.is_fault() && self.is_due(about(client, from), discard.as_str());
        let level = warn_or_debug(is_due);
        let client = client.map_or("unknown", ClientName::as_str);
        log::log!(
            level,
            DISCARD = discard.as_str(), CLIENT = client, FROM:% = from;
            "discarded a packet ({}) of {from} (client {client}): {why}", discard.as_str()
        );
    }

    fn is_due(&self, about: About, what: &'static str) -> bool {
        let now = self.house.clock.instant();
        self.house.warnings.is_due(about, what, now)
    }

    /// Notes that a client has connected by TLS.
    pub fn connected(&self) {
        self.house.metrics.connections(1);
    }

    /// Notes that such a connection is over.
    pub fn disconnected(&self) {
        self.house.metrics.connections(-1);
    }

    /// Counts a TLS connection that was closed from here; logs it at debug level, and at warning level once per client (or
    /// address), reason and hour.
    pub fn closed_connection(
        &self,
        closed: Closed,
        from: SocketAddr,
        client: Option<&ClientName>,
        why: &str,
    ) {
        self.house.metrics.closed_connection(closed);
        let level = warn_or_debug(self.is_due(about(client, from), closed.as_str()));
        let client = client.map_or("unknown", ClientName::as_str);
        log::log!(
            level,
            CLOSED = closed.as_str(), CLIENT = client, FROM:% = from;
            "closed a TLS connection ({}) of {from} (client {client}): {why}", closed.as_str()
        );
    }

    /// Counts packets lost in the kernel; warns of it once an hour.
    pub fn lost(&self, packets: u64) {
        self.house.metrics.lost(packets);
        if self.is_due(About::House, Discard::ReceiveBuffer.as_str()) {
            log::warn!(
                "{packets} packets were lost in the receive buffer: raise receive-buffer and net.core.rmem_max"
            );
        }
    }

    /// Counts that the system's clock was set by so many milliseconds, and says so: codes of apps fail while it is wrong.
    pub fn clock_step(&self, millis: i64) {
        self.house.metrics.clock_step();
        log::error!(
            "the system's clock was set {} by {} s: codes of apps are wrong while it is",
            if millis < 0 { "back" } else { "ahead" },
            millis.unsigned_abs() / 1000
        );
    }

    /// Records an accounting record: start, interim or stop.
    pub fn accounting(&self, fields: &[(&'static str, String)]) {
        self.house.metrics.accounting();
        if !self.house.logger.keeps(log::Level::Info) {
            return;
        }
        let field = |name: &str| {
            fields
                .iter()
                .find(|(field, _)| *field == name)
                .map_or("", |(_, value)| value)
        };
        let text = format!(
            "Accounting {}: [{}] (client {}, station {})",
            field("STATUS"),
            field("NAME"),
            field("CLIENT"),
            field("STATION")
        );
        let at = self.house.clock.now();
        let message = Message::with_fields(at, "sekisho::accounting", text, fields);
        self.house.logger.tell(message);
    }

    /// Records what came of asking a NAS to end a session.
    pub fn session_end(&self, whose: &SessionOf<'_>, why: &'static str, outcome: &'static str) {
        self.house.metrics.session_end(whose.client, outcome);
        if !self.house.logger.keeps(log::Level::Info) {
            return;
        }
        let text = format!(
            "Session of [{}] is to end, {why}: {outcome} (client {}, NAS {}, station {})",
            whose.name, whose.client, whose.nas, whose.station
        );
        let fields = [
            ("NAME", whose.name.to_owned()),
            ("ACCOUNT", whose.account.to_string()),
            ("ATTEMPT", whose.attempt.to_string()),
            ("SESSION", whose.session.to_owned()),
            ("CLIENT", whose.client.to_string()),
            ("NAS", whose.nas.to_string()),
            ("STATION", whose.station.to_string()),
            ("WHY", why.to_owned()),
            ("OUTCOME", outcome.to_owned()),
        ];
        let at = self.house.clock.now();
        let message = Message::with_fields(at, "sekisho::disconnect", text, &fields);
        self.house.logger.tell(message);
    }

    /// Notes a request of a NAS.
    pub fn seen(&self, client: &ClientName, nas: IpAddr, signed: bool) {
        let at = self.house.clock.now();
        self.house
            .sightings
            .note(client, nas, |seen| seen.request(signed, at));
    }

    /// Notes a request by TLS.
    pub fn seen_by_tls(&self, client: &ClientName, nas: IpAddr) {
        let at = self.house.clock.now();
        self.house
            .sightings
            .note(client, nas, |seen| seen.request_by_tls(at));
    }

    /// Notes a retransmission, so many milliseconds after the copy before it.
    pub fn retransmission(&self, client: &ClientName, nas: IpAddr, after_ms: u64) {
        self.house.metrics.retransmission(client);
        self.house.sightings.note(client, nas, |seen| {
            seen.retransmissions += 1;
            seen.retransmitted_after = Some(after_ms);
        });
    }

    /// Notes that a NAS asked for so long and then gave up, while nothing was answered.
    pub fn gave_up(&self, client: &ClientName, nas: IpAddr, waited: Waited) {
        let now = self.house.clock.instant();
        self.house.sightings.gave_up(client, nas, (waited, now));
    }

    /// How long every NAS of a client can be trusted to wait for an answer, retransmissions together; none until one of them has
    /// given up three times within a day.
    ///
    /// Of what was measured of a NAS in the last eight times, and not more than a day ago, it is the second shortest: a single
    /// odd measurement moves it nowhere, and a NAS whose time-out was shortened is known after two. Of several NASes it
    /// is that of the least patient. All is forgotten at a restart and at a reload, when somebody may have changed the gear.
    #[must_use]
    pub fn patience(&self, client: &ClientName) -> Option<Duration> {
        let now = self.house.clock.instant();
        self.house.sightings.patience(client, now)
    }

    /// Forgets how long NASes wait: what is measured from now on is of the gear as it is now.
    pub fn forget_patience(&self) {
        self.house.sightings.forget_patience();
    }

    /// Notes that a challenge was answered.
    pub fn challenge_answered(&self, client: &ClientName, nas: IpAddr) {
        self.house
            .sightings
            .note(client, nas, |seen| seen.challenges_answered += 1);
    }

    /// What was seen of each NAS; bounded.
    #[must_use]
    pub fn sightings(&self) -> Vec<Seen> {
        self.house.sightings.all(self.house.clock.instant())
    }

    /// Sets a gauge of health: `directory`, `store`, `gateway`.
    pub fn health(&self, part: &'static str, name: &str, up: bool) {
        self.house.metrics.health(part, name, up);
    }

    /// Shows when certificates end, each by what it is used for; those shown before are forgotten.
    pub fn certificates(&self, ends: &[(&'static str, Timestamp)]) {
        self.house.metrics.certificates(ends);
    }

    /// The metrics as OpenMetrics text.
    #[must_use]
    pub fn render(&self) -> String {
        self.house.metrics.render()
    }

    /// Serves `/metrics` until stopped.
    ///
    /// # Errors
    ///
    /// When the listener fails.
    pub async fn serve(
        &self,
        listener: tokio::net::TcpListener,
        stop: tokio_util::sync::CancellationToken,
    ) -> std::io::Result<()> {
        page::serve(self.clone(), listener, stop).await
    }

    /// Waits until what is queued is written, a second at most. Blocks its thread: for the very end.
    pub fn flush(&self) {
        self.house.logger.flush();
    }
}

fn about(client: Option<&ClientName>, from: SocketAddr) -> About {
    client.map_or_else(
        || About::Stranger(from.ip()),
        |client| About::Client(client.clone()),
    )
}

const fn warn_or_debug(is_due: bool) -> log::Level {
    if is_due {
        log::Level::Warn
    } else {
        log::Level::Debug
    }
}
