//! Counters, gauges and histograms.

use std::fmt;

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::message::word;
use super::{Closed, Discard};
use crate::account::{ClientName, Decision, FactorKind, Outcome, Reason};
use crate::clock::Timestamp;

/// First bound of a duration, in seconds: a login without waiting takes about a millisecond.
const SHORTEST: f64 = 0.000_5;
/// Bounds of durations, each the double of the one before: up to 16 s, past every deadline but a prompt's.
const BUCKETS: u16 = 16;

/// Decisions by these; bounded, because clients are those of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Decided {
    client: ClientName,
    outcome: Outcome,
    reason: Reason,
    factor: Option<FactorKind>,
}

impl EncodeLabelSet for Decided {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        put(encoder, "client", self.client.as_str())?;
        put(encoder, "outcome", word(self.outcome))?;
        put(encoder, "reason", self.reason.as_str())?;
        put(
            encoder,
            "factor",
            self.factor.map_or("none", FactorKind::as_str),
        )
    }
}

/// Discards by these.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Discarded {
    client: Option<ClientName>,
    discard: Discard,
}

impl EncodeLabelSet for Discarded {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let client = self.client.as_ref().map_or("", ClientName::as_str);
        put(encoder, "client", client)?;
        put(encoder, "reason", self.discard.as_str())
    }
}

/// Closed connections by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ClosedFor(Closed);

impl EncodeLabelSet for ClosedFor {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        put(encoder, "reason", self.0.as_str())
    }
}

/// Sessions that were to end, by these.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ToEnd {
    client: ClientName,
    outcome: &'static str,
}

impl EncodeLabelSet for ToEnd {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        put(encoder, "client", self.client.as_str())?;
        put(encoder, "outcome", self.outcome)
    }
}

/// What is counted for each client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct OfClient(ClientName);

impl EncodeLabelSet for OfClient {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        put(encoder, "client", self.0.as_str())
    }
}

/// A part of the house whose health is shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Part {
    part: &'static str,
    name: String,
}

impl EncodeLabelSet for Part {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        put(encoder, "part", self.part)?;
        put(encoder, "name", &self.name)
    }
}

/// A certificate by what it is used for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Used(&'static str);

impl EncodeLabelSet for Used {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        put(encoder, "use", self.0)
    }
}

fn put(encoder: &mut LabelSetEncoder<'_>, name: &str, value: &str) -> fmt::Result {
    (name, value).encode(encoder.encode_label())
}

/// Every metric of a daemon.
pub(super) struct Metrics {
    registry: Registry,
    decisions: Family<Decided, Counter>,
    total: Histogram,
    directory: Histogram,
    store: Histogram,
    channel: Histogram,
    discards: Family<Discarded, Counter>,
    lost: Counter,
    retransmissions: Family<OfClient, Counter>,
    accounting: Counter,
    connections: Gauge,
    closed: Family<ClosedFor, Counter>,
    session_ends: Family<ToEnd, Counter>,
    clock_steps: Counter,
    health: Family<Part, Gauge>,
    certificates: Family<Used, Gauge>,
}

impl Metrics {
    /// Every metric at zero; `log_lost` counts what the logger lost.
    pub(super) fn new(log_lost: Counter) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("sekisho"),
            decisions: Family::default(),
            total: durations(),
            directory: durations(),
            store: durations(),
            channel: durations(),
            discards: Family::default(),
            lost: Counter::default(),
            retransmissions: Family::default(),
            accounting: Counter::default(),
            connections: Gauge::default(),
            closed: Family::default(),
            session_ends: Family::default(),
            clock_steps: Counter::default(),
            health: Family::default(),
            certificates: Family::default(),
        };
        metrics.register_counters(log_lost);
        metrics.register_connections();
        metrics.register_durations();
        metrics
    }

    fn register_counters(&mut self, log_lost: Counter) {
        let registry = &mut self.registry;
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "What is running", Info::new(version));
        registry.register(
            "decisions",
            "Decisions on login attempts",
            self.decisions.clone(),
        );
        registry.register(
            "discarded_packets",
            "Packets that got no answer",
            self.discards.clone(),
        );
        registry.register(
            "lost_packets",
            "Packets lost in the kernel's receive buffer",
            self.lost.clone(),
        );
        registry.register(
            "retransmissions",
            "Requests that came again",
            self.retransmissions.clone(),
        );
        registry.register(
            "accounting_records",
            "Accounting records kept",
            self.accounting.clone(),
        );
        registry.register(
            "session_ends",
            "Sessions that a NAS was to end",
            self.session_ends.clone(),
        );
        registry.register(
            "clock_steps",
            "Times that the system's clock was set by more than 2 s",
            self.clock_steps.clone(),
        );
        registry.register(
            "log_lost_records",
            "Log records lost because the journal was too slow",
            log_lost,
        );
        registry.register(
            "health",
            "1 if the part of the house can do its work",
            self.health.clone(),
        );
        registry.register_with_unit(
            "certificate_not_after",
            "When the certificate ends, in seconds since 1970",
            Unit::Seconds,
            self.certificates.clone(),
        );
    }

    fn register_connections(&mut self) {
        self.registry.register(
            "tls_connections",
            "Connections by TLS whose client is known",
            self.connections.clone(),
        );
        self.registry.register(
            "tls_closed_connections",
            "Connections by TLS that were closed from here",
            self.closed.clone(),
        );
    }

    fn register_durations(&mut self) {
        for (name, help, histogram) in [
            (
                "decision_duration",
                "From the request to the decision",
                &self.total,
            ),
            (
                "directory_duration",
                "Finding the entry and binding",
                &self.directory,
            ),
            ("store_duration", "Waiting for the store", &self.store),
            ("channel_duration", "Sending a message", &self.channel),
        ] {
            self.registry
                .register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
    }

    /// Counts a decision; steps that did not happen are not observed.
    pub(super) fn decision(&self, decision: &Decision) {
        let labels = Decided {
            client: decision.client.clone(),
            outcome: decision.outcome,
            reason: decision.reason,
            factor: decision.factor,
        };
        self.decisions.get_or_create(&labels).inc();
        let durations = &decision.durations;
        self.total.observe(seconds(durations.total));
        for (histogram, micros) in [
            (&self.directory, durations.directory),
            (&self.store, durations.store),
            (&self.channel, durations.channel),
        ] {
            if micros > 0 {
                histogram.observe(seconds(micros));
            }
        }
    }

    /// Counts a discarded packet.
    pub(super) fn discard(&self, discard: Discard, client: Option<&ClientName>) {
        let labels = Discarded {
            client: client.cloned(),
            discard,
        };
        self.discards.get_or_create(&labels).inc();
    }

    /// Counts a connection that has come, or gone.
    pub(super) fn connections(&self, more: i64) {
        self.connections.inc_by(more);
    }

    /// Counts a connection that was closed from here.
    pub(super) fn closed_connection(&self, closed: Closed) {
        self.closed.get_or_create(&ClosedFor(closed)).inc();
    }

    /// Counts packets lost in the kernel.
    pub(super) fn lost(&self, packets: u64) {
        self.lost.inc_by(packets);
    }

    /// Counts a retransmission.
    pub(super) fn retransmission(&self, client: &ClientName) {
        let labels = OfClient(client.clone());
        self.retransmissions.get_or_create(&labels).inc();
    }

    /// Counts an accounting record.
    pub(super) fn accounting(&self) {
        self.accounting.inc();
    }

    /// Counts a session that was to end.
    pub(super) fn session_end(&self, client: &ClientName, outcome: &'static str) {
        let labels = ToEnd {
            client: client.clone(),
            outcome,
        };
        self.session_ends.get_or_create(&labels).inc();
    }

    /// Counts a step of the clock.
    pub(super) fn clock_step(&self) {
        self.clock_steps.inc();
    }

    /// Shows a part of the house as up or down.
    pub(super) fn health(&self, part: &'static str, name: &str, up: bool) {
        let labels = Part {
            part,
            name: name.to_owned(),
        };
        self.health.get_or_create(&labels).set(i64::from(up));
    }

    /// Shows when each certificate ends, and no others.
    pub(super) fn certificates(&self, ends: &[(&'static str, Timestamp)]) {
        self.certificates.clear();
        for (used, end) in ends {
            let end = end.millis().div_euclid(1000);
            self.certificates.get_or_create(&Used(used)).set(end);
        }
    }

    /// Everything as OpenMetrics text.
    pub(super) fn render(&self) -> String {
        let mut page = String::new();
        // Writing to a String does not fail.
        let _encoded = text::encode(&mut page, &self.registry);
        page
    }
}

fn durations() -> Histogram {
    Histogram::new(exponential_buckets(SHORTEST, 2.0, BUCKETS))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds stay exact for 285 years"
)]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::decision;
    use super::*;

    #[test]
    fn names_and_labels_are_those_of_the_manual() {
        let metrics = Metrics::new(Counter::default());
        let mut decided = decision(Outcome::Accept, Reason::Proven);
        decided.durations.directory = 2_000;
        metrics.decision(&decided);
        metrics.decision(&decided);
        metrics.discard(Discard::UnknownClient, None);
        metrics.discard(Discard::Full, Some(&ClientName::new("vpn")));
        metrics.lost(7);
        metrics.retransmission(&ClientName::new("vpn"));
        metrics.session_end(&ClientName::new("vpn"), "ended");
        metrics.health("directory", "campus", true);
        let end = Timestamp::from_secs(1_900_000_000);
        metrics.certificates(&[("gone", end)]);
        metrics.certificates(&[("portal", end)]);
        let page = metrics.render();
        for line in [
            "sekisho_decisions_total{client=\"vpn\",outcome=\"accept\",reason=\"proven\",factor=\"totp\"} 2",
            "sekisho_discarded_packets_total{client=\"\",reason=\"unknown-client\"} 1",
            "sekisho_discarded_packets_total{client=\"vpn\",reason=\"full\"} 1",
            "sekisho_lost_packets_total 7",
            "sekisho_retransmissions_total{client=\"vpn\"} 1",
            "sekisho_accounting_records_total 0",
            "sekisho_session_ends_total{client=\"vpn\",outcome=\"ended\"} 1",
            "sekisho_log_lost_records_total 0",
            "sekisho_health{part=\"directory\",name=\"campus\"} 1",
            "sekisho_certificate_not_after_seconds{use=\"portal\"} 1900000000",
            "sekisho_decision_duration_seconds_count 2",
            "sekisho_directory_duration_seconds_count 2",
            "sekisho_channel_duration_seconds_count 0",
            "# EOF",
        ] {
            assert!(page.lines().any(|have| have == line), "{line}\n{page}");
        }
        assert!(page.contains("sekisho_build_info{version="));
        assert!(!page.contains("use=\"gone\""));
    }
}
