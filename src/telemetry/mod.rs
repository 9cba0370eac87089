//! One journal record per decision, counters, health, and what was seen of each client.
//!
//! Not here: what is kept for years (`store`'s audit). Nothing here blocks a login: a full queue loses the record and
//! counts it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::account::{ClientName, Decision};
use crate::clock::{Clock, Timestamp};

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
    /// Retransmissions.
    pub retransmissions: u64,
    /// Milliseconds between a request and its first retransmission, the last time.
    pub retransmitted_after: Option<u64>,
    /// Challenges that were answered.
    pub challenges_answered: u64,
    /// The last request.
    pub last: Option<Timestamp>,
}

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    clock: Clock,
}

impl Telemetry {
    /// Makes counters and starts the logger's thread; installs it as the process's `log` logger unless there is one.
    #[must_use]
    pub fn start(settings: &Settings, clock: Clock) -> Self {
        todo!()
    }
    /// Changes the level after a reload.
    pub fn set_level(&self, level: Level) {
        todo!()
    }
    /// Records a decision: journal and counters.
    pub fn decision(&self, decision: &Decision) {
        todo!()
    }
    /// Counts a discarded packet; logs it at debug level, and at warning level once per client, reason and hour.
    pub fn discard(
        &self,
        discard: Discard,
        from: SocketAddr,
        client: Option<&ClientName>,
        why: &str,
    ) {
        todo!()
    }
    /// Counts packets lost in the kernel.
    pub fn lost(&self, packets: u64) {
        todo!()
    }
    /// Records an accounting record: start, interim or stop.
    pub fn accounting(&self, fields: &[(&'static str, String)]) {
        todo!()
    }
    /// Notes a request of a NAS.
    pub fn seen(&self, client: &ClientName, nas: IpAddr, signed: bool) {
        todo!()
    }
    /// Notes a retransmission, so many milliseconds after the request.
    pub fn retransmission(&self, client: &ClientName, nas: IpAddr, after_ms: u64) {
        todo!()
    }
    /// Notes that a challenge was answered.
    pub fn challenge_answered(&self, client: &ClientName, nas: IpAddr) {
        todo!()
    }
    /// What was seen of each NAS; bounded.
    pub fn sightings(&self) -> Vec<Seen> {
        todo!()
    }
    /// Sets a gauge of health: `directory`, `store`, `gateway`.
    pub fn health(&self, part: &'static str, name: &str, up: bool) {
        todo!()
    }
    /// The metrics as OpenMetrics text.
    pub fn render(&self) -> String {
        todo!()
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
        todo!()
    }
    /// Waits until what is queued is written, a second at most.
    pub fn flush(&self) {
        todo!()
    }
}
