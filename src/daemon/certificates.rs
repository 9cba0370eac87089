//! Certificates of the configuration, watched: whoever must renew one hears of it in time.
//!
//! Not here: what one certificate says (`certificate`). A certificate in use goes on being served when it has ended: those who
//! connect decide, and a daemon that stopped would let nobody in.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::certificate::{Certificate, Lack, days_left};
use crate::channel::{Alert, Notice};
use crate::clock::Timestamp;
use crate::config;
use crate::portal::Tls;

/// How often it is written into the log again.
const AGAIN: Duration = Duration::from_secs(24 * 3600);

/// How near the end is. Each is told once, the nearest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Far,
    Month,
    Week,
    Day,
    Ended,
}

impl Stage {
    const fn of(days: i64) -> Self {
        match days {
            ..0 => Self::Ended,
            0..1 => Self::Day,
            1..7 => Self::Week,
            7..30 => Self::Month,
            30.. => Self::Far,
        }
    }
}

/// A chain that the configuration names: of its certificates the one that ends first.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Watched {
    /// What it is used for, as in metrics.
    pub used: &'static str,
    /// Whose it is.
    pub subject: String,
    /// When it ends.
    pub not_after: Timestamp,
    /// What those who connect would miss in the first certificate of the chain.
    pub lacks: Vec<Lack>,
}

impl Watched {
    /// Takes a chain as PEM, or nothing where it cannot be read: that is a fault which `config` tells.
    fn of(used: &'static str, pem: &[u8]) -> Option<Self> {
        let chain = Certificate::read_all(pem).ok()?;
        let first = chain.iter().min_by_key(|one| one.not_after)?;
        Some(Self {
            used,
            subject: first.subject.clone(),
            not_after: first.not_after,
            lacks: chain.first().map_or_else(Vec::new, |own| own.lacks.clone()),
        })
    }

    /// Whole days until it ends; below zero when it has ended.
    #[must_use]
    pub const fn days_left(&self, now: Timestamp) -> i64 {
        days_left(self.not_after, now)
    }

    /// That it ends soon, or has ended, as a sentence; nothing while that is more than 30 days ahead.
    #[must_use]
    pub fn ending(&self, now: Timestamp) -> Option<String> {
        let days = self.days_left(now);
        let (used, subject) = (self.used, &self.subject);
        match Stage::of(days) {
            Stage::Far => None,
            Stage::Ended => Some(format!("The certificate of {used} ({subject}) has ended.")),
            Stage::Day => Some(format!(
                "The certificate of {used} ({subject}) ends within a day."
            )),
            Stage::Month | Stage::Week => Some(format!(
                "The certificate of {used} ({subject}) ends in {days} days."
            )),
        }
    }

    fn alert(&self, now: Timestamp) -> Alert {
        let days = self.days_left(now);
        let (used, subject) = (self.used, &self.subject);
        let (ja, en) = match days {
            ..0 => ("期限が切れました".to_owned(), "has ended".to_owned()),
            0 => (
                "1日以内に期限が切れます".to_owned(),
                "ends within a day".to_owned(),
            ),
            _ => (
                format!("あと{days}日で期限が切れます"),
                format!("ends in {days} days"),
            ),
        };
        Alert {
            event: "certificate",
            at: now,
            account: None,
            name: String::new(),
            reference: String::new(),
            ja: Notice {
                subject: format!("{used} の証明書: {ja}"),
                text: format!(
                    "{used} の証明書({subject})は、{ja}。\n新しい証明書に置き換え、sekisho reload を実行してください。\n"
                ),
            },
            en: Notice {
                subject: format!("The certificate of {used} {en}"),
                text: format!(
                    "The certificate of {used} ({subject}) {en}.\nPut a new one in its place, and run sekisho reload.\n"
                ),
            },
        }
    }
}

/// Every chain that the configuration names, as PEM, each under the word that it has in metrics and messages.
#[must_use]
pub fn chains(settings: &config::Settings) -> Vec<(&'static str, &[u8])> {
    let portal = settings.portal.as_ref();
    let portal_tls = portal.and_then(|portal| portal.tls.as_ref());
    let wifi = portal.and_then(|portal| portal.wifi.as_ref());
    let eap = settings.eap.as_ref();
    let radius_tls = settings.server.tls.as_ref();
    let chains = [
        ("portal", portal_tls.map(Tls::chain)),
        ("wifi-ca", wifi.map(|wifi| wifi.authorities.pem())),
        ("eap", eap.map(|eap| eap.certificate.as_slice())),
        ("radius-tls", radius_tls.map(|tls| tls.identity.chain())),
        ("eap-client-ca", eap.map(|eap| eap.client_ca.as_slice())),
    ];
    let named = |(used, pem): (_, Option<_>)| Some((used, pem?));
    chains.into_iter().filter_map(named).collect()
}

/// The same, of each the certificate that ends first.
#[must_use]
pub fn watched(settings: &config::Settings) -> Vec<Watched> {
    let chains = chains(settings).into_iter();
    chains
        .filter_map(|(used, pem)| Watched::of(used, pem))
        .collect()
}

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// What is to be logged.
    pub(super) said: Vec<String>,
    /// What is to be told by every way, once.
    pub(super) alerts: Vec<Alert>,
}

/// The certificates of the configuration that holds, and what was told of them. What was told is forgotten at a restart.
#[derive(Debug, Default)]
pub(super) struct Certificates(Mutex<Vec<Told>>);

#[derive(Clone, Debug)]
struct Told {
    watched: Watched,
    /// The nearest that an alert told.
    alerted: Stage,
    logged: Option<Timestamp>,
}

impl Certificates {
    /// Those of the first configuration.
    pub(super) fn new(certificates: Vec<Watched>) -> Self {
        let all = Self::default();
        all.replace(certificates);
        all
    }

    /// Takes the certificates of a new configuration. What was told of one that stays is not alerted again.
    pub(super) fn replace(&self, certificates: Vec<Watched>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |watched: Watched| {
            let before = all.iter().find(|told| {
                told.watched.used == watched.used && told.watched.not_after == watched.not_after
            });
            Told {
                alerted: before.map_or(Stage::Far, |told| told.alerted),
                logged: None,
                watched,
            }
        };
        *all = certificates.into_iter().map(told).collect();
    }

    /// Those of the configuration that holds.
    pub(super) fn all(&self) -> Vec<Watched> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|told| told.watched.clone()).collect()
    }

    /// Looks at each, and notes what is told by that.
    pub(super) fn look(&self, now: Timestamp) -> Looked {
        let mut looked = Looked::default();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for told in all.iter_mut() {
            let Some(said) = told.watched.ending(now) else {
                continue;
            };
            let stage = Stage::of(told.watched.days_left(now));
            let is_nearer = stage > told.alerted;
            let is_due = told.logged.is_none_or(|last| now.since(last) >= AGAIN);
            if is_nearer {
                told.alerted = stage;
                looked.alerts.push(told.watched.alert(now));
            }
            if is_nearer || is_due {
                told.logged = Some(now);
                looked.said.push(said);
            }
        }
        looked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    fn ends(not_after: Timestamp) -> Watched {
        Watched {
            used: "portal",
            subject: "CN=mfa.example.ac.jp".to_owned(),
            not_after,
            lacks: Vec::new(),
        }
    }

    /// How many lines and alerts a look gives, so many days before the end.
    fn look(certificates: &Certificates, end: Timestamp, days: u64) -> (usize, usize) {
        let now = end.before(Duration::from_secs(days * DAY - 60));
        let looked = certificates.look(now);
        (looked.said.len(), looked.alerts.len())
    }

    #[test]
    fn each_threshold_is_alerted_once_and_logged_daily() {
        let end = Timestamp::from_secs(2_000_000_000);
        let certificates = Certificates::new(vec![ends(end)]);
        for (days, told) in [
            (40, (0, 0)),
            (31, (0, 0)),
            (30, (1, 1)),
            (30, (0, 0)),
            (29, (1, 0)),
            (8, (1, 0)),
            (7, (1, 1)),
            (7, (0, 0)),
            (1, (1, 1)),
            (1, (0, 0)),
        ] {
            assert_eq!(look(&certificates, end, days), told, "{days} days");
        }
        let ended = certificates.look(end.after(Duration::from_secs(1)));
        assert_eq!(ended.alerts.len(), 1);
        assert!(ended.said[0].contains("has ended"), "{:?}", ended.said);
        let later = certificates.look(end.after(Duration::from_secs(30 * DAY)));
        assert_eq!((later.said.len(), later.alerts.len()), (1, 0));
    }

    #[test]
    fn a_threshold_that_was_slept_through_is_told_at_the_nearest_alone() {
        let end = Timestamp::from_secs(2_000_000_000);
        let certificates = Certificates::new(vec![ends(end)]);
        assert_eq!(look(&certificates, end, 3), (1, 1));
        assert_eq!(look(&certificates, end, 2), (1, 0));
    }

    #[test]
    fn a_reload_tells_the_log_again_and_alerts_of_a_new_certificate_alone() {
        let end = Timestamp::from_secs(2_000_000_000);
        let certificates = Certificates::new(vec![ends(end)]);
        assert_eq!(look(&certificates, end, 5), (1, 1));
        certificates.replace(vec![ends(end)]);
        assert_eq!(look(&certificates, end, 5), (1, 0));
        let longer = end.after(Duration::from_secs(DAY));
        certificates.replace(vec![ends(longer)]);
        assert_eq!(look(&certificates, end, 5), (1, 1));
        certificates.replace(vec![ends(end.after(Duration::from_secs(800 * DAY)))]);
        assert_eq!(look(&certificates, end, 5), (0, 0));
    }

    #[test]
    fn alerts_say_it_in_both_languages() {
        let end = Timestamp::from_secs(2_000_000_000);
        let alert = ends(end).alert(end.before(Duration::from_secs(7 * DAY)));
        assert_eq!(alert.event, "certificate");
        assert_eq!(alert.ja.subject, "portal の証明書: あと7日で期限が切れます");
        assert_eq!(alert.en.subject, "The certificate of portal ends in 7 days");
        assert!(alert.en.text.contains("CN=mfa.example.ac.jp"));
    }
}
