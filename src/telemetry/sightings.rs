//! What was seen of each NAS, and what was already warned of.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Seen, Waited};
use crate::account::ClientName;
use crate::clock::Timestamp;

/// NASes kept: more than any campus has; those of a client that is a whole network and more are not shown.
const NASES: usize = 1024;
/// Warnings remembered: each client with a few reasons, and some strangers.
const WARNINGS: usize = 512;
/// How long a warning holds.
const HOUR: Duration = Duration::from_secs(3600);
/// Times that a NAS gave up, remembered of each.
const WAITS: usize = 8;
/// So many are enough to say how long it waits.
const ENOUGH: usize = 3;
/// How long each counts: gear is changed at times, and a push that is answered in time shows nothing of it.
const DAY: Duration = Duration::from_secs(86_400);

/// What was seen of each NAS.
#[derive(Debug, Default)]
pub(super) struct Sightings(Mutex<HashMap<(ClientName, IpAddr), Sighting>>);

/// What was seen of a NAS, and how long it waited the last times.
#[derive(Debug, Default)]
struct Sighting {
    seen: Seen,
    waits: VecDeque<(Duration, Instant)>,
}

impl Sighting {
    /// How long it can be trusted to wait, as [`super::Telemetry::patience`] says.
    fn patience(&self, now: Instant) -> Option<Duration> {
        let fresh = |(_, at): &&(Duration, Instant)| now.saturating_duration_since(*at) < DAY;
        let mut waits: Vec<_> = self.waits.iter().filter(fresh).collect();
        if waits.len() < ENOUGH {
            return None;
        }
        waits.sort();
        waits.get(1).map(|(waited, _)| *waited)
    }
}

impl Sightings {
    /// Notes something about a NAS.
    pub(super) fn note(&self, client: &ClientName, nas: IpAddr, note: impl FnOnce(&mut Seen)) {
        self.change(client, nas, |sighting| note(&mut sighting.seen));
    }

    fn change(&self, client: &ClientName, nas: IpAddr, change: impl FnOnce(&mut Sighting)) {
        let mut sightings = hold(&self.0);
        let key = (client.clone(), nas);
        if let Some(sighting) = sightings.get_mut(&key) {
            change(sighting);
        } else if sightings.len() < NASES {
            let seen = Seen {
                client: client.to_string(),
                nas: Some(nas),
                ..Seen::default()
            };
            let new = Sighting {
                seen,
                waits: VecDeque::new(),
            };
            change(sightings.entry(key).or_insert(new));
        }
    }

    /// Notes how long a NAS waited until it gave up.
    pub(super) fn gave_up(
        &self,
        client: &ClientName,
        nas: IpAddr,
        (waited, now): (Waited, Instant),
    ) {
        self.change(client, nas, |sighting| {
            sighting.seen.gave_up = Some(waited);
            sighting.waits.truncate(WAITS - 1);
            let in_all = Duration::from_millis(waited.in_all);
            sighting.waits.push_front((in_all, now));
        });
    }

    /// How long the least patient NAS of a client can be trusted to wait.
    pub(super) fn patience(&self, client: &ClientName, now: Instant) -> Option<Duration> {
        hold(&self.0)
            .iter()
            .filter(|((of, _), _)| of == client)
            .filter_map(|(_, sighting)| sighting.patience(now))
            .min()
    }

    /// Forgets how long NASes wait.
    pub(super) fn forget_patience(&self) {
        for sighting in hold(&self.0).values_mut() {
            sighting.waits.clear();
            sighting.seen.gave_up = None;
        }
    }

    /// All, by client and address.
    pub(super) fn all(&self, now: Instant) -> Vec<Seen> {
        let shown = |sighting: &Sighting| Seen {
            patience: sighting
                .patience(now)
                .map(|patience| u64::try_from(patience.as_millis()).unwrap_or(u64::MAX)),
            ..sighting.seen.clone()
        };
        let mut all: Vec<_> = hold(&self.0).values().map(shown).collect();
        all.sort_by(|left, right| (&left.client, left.nas).cmp(&(&right.client, right.nas)));
        all
    }
}

impl Seen {
    /// A request, signed or not.
    pub(super) fn request(&mut self, signed: bool, at: Timestamp) {
        let count = if signed {
            &mut self.signed
        } else {
            &mut self.unsigned
        };
        *count += 1;
        self.last = Some(at);
    }

    /// A request by TLS.
    pub(super) const fn request_by_tls(&mut self, at: Timestamp) {
        self.by_tls += 1;
        self.last = Some(at);
    }
}

/// Whom a warning is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum About {
    /// A client.
    Client(ClientName),
    /// An address that is no client's.
    Stranger(IpAddr),
    /// The house.
    House,
}

/// Which warnings were given in the last hour.
#[derive(Debug, Default)]
pub(super) struct Warnings(Mutex<HashMap<(About, &'static str), Instant>>);

impl Warnings {
    /// Whether a warning is due: none of its kind was given for an hour. When too many are remembered, none is.
    pub(super) fn is_due(&self, about: About, what: &'static str, now: Instant) -> bool {
        let mut given = hold(&self.0);
        let key = (about, what);
        let is_old = |given: &Instant| now.saturating_duration_since(*given) >= HOUR;
        if given.get(&key).is_some_and(|given| !is_old(given)) {
            return false;
        }
        if given.len() >= WARNINGS {
            given.retain(|_, given| !is_old(given));
        }
        let has_room = given.len() < WARNINGS;
        if has_room {
            given.insert(key, now);
        }
        has_room
    }
}

/// Each critical section leaves its map whole.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn each_nas_of_a_client_is_seen_apart() {
        let sightings = Sightings::default();
        let vpn = ClientName::new("vpn");
        let at = Timestamp::from_secs(5);
        let (one, two) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        sightings.note(&vpn, two, |seen| seen.request(false, at));
        sightings.note(&vpn, one, |seen| seen.request(true, at));
        sightings.note(&vpn, one, |seen| seen.request(true, at));
        let all = sightings.all(Clock::system().instant());
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[0].nas, all[0].signed, all[0].unsigned),
            (Some(one), 2, 0)
        );
        assert_eq!(
            (all[1].nas, all[1].signed, all[1].unsigned),
            (Some(two), 0, 1)
        );
        assert_eq!(all[0].last, Some(at));
    }

    #[test]
    fn sightings_are_bounded() {
        let sightings = Sightings::default();
        let wide = ClientName::new("wide");
        for number in 0..2 * u32::try_from(NASES).unwrap() {
            let nas = IpAddr::from(std::net::Ipv4Addr::from(number));
            sightings.note(&wide, nas, |seen| seen.retransmissions += 1);
        }
        assert_eq!(sightings.all(Clock::system().instant()).len(), NASES);
    }

    fn waited(seconds: u64) -> Waited {
        Waited {
            interval: 5000,
            tries: 3,
            in_all: seconds * 1000,
        }
    }

    /// What is known of a NAS that gave up after these seconds, one time after the other.
    fn patience(seconds: &[u64]) -> Option<u64> {
        let (sightings, vpn) = (Sightings::default(), ClientName::new("vpn"));
        let now = Clock::system().instant();
        let nas = IpAddr::from([192, 0, 2, 1]);
        for seconds in seconds {
            sightings.gave_up(&vpn, nas, (waited(*seconds), now));
        }
        let patience = sightings.patience(&vpn, now)?;
        let shown = sightings.all(now)[0].patience;
        assert_eq!(shown.map(Duration::from_millis), Some(patience));
        Some(patience.as_secs())
    }

    #[test]
    fn no_single_odd_time_moves_the_patience() {
        for (seconds, expected) in [
            (&[15][..], None),
            (&[15, 15], None),
            (&[15, 15, 15], Some(15)),
            (&[15, 1, 15], Some(15)),
            (&[15, 15, 15, 15, 1], Some(15)),
            (&[15, 15, 15, 600], Some(15)),
            // The time-out was shortened, then made longer than before.
            (&[15, 15, 15, 15, 6, 6], Some(6)),
            (&[6, 6, 6, 60, 60, 60, 60, 60, 60], Some(6)),
            (&[6, 6, 6, 60, 60, 60, 60, 60, 60, 60], Some(60)),
        ] {
            assert_eq!(patience(seconds), expected, "{seconds:?}");
        }
    }

    #[test]
    fn patience_is_that_of_the_least_patient_and_is_forgotten() {
        let (sightings, vpn) = (Sightings::default(), ClientName::new("vpn"));
        let now = Clock::system().instant();
        for (nas, seconds) in [(1, 15), (2, 9), (3, 30)] {
            for _ in 0..ENOUGH {
                let nas = IpAddr::from([192, 0, 2, nas]);
                sightings.gave_up(&vpn, nas, (waited(seconds), now));
            }
        }
        let patience = |at| sightings.patience(&vpn, at);
        assert_eq!(patience(now), Some(Duration::from_secs(9)));
        assert_eq!(sightings.patience(&ClientName::new("wifi"), now), None);
        assert_eq!(patience(now + DAY), None);
        sightings.forget_patience();
        assert_eq!(patience(now), None);
        assert_eq!(sightings.all(now)[0].gave_up, None);
    }

    #[test]
    fn a_warning_is_given_once_an_hour() {
        let warnings = Warnings::default();
        let now = Clock::system().instant();
        let vpn = || About::Client(ClientName::new("vpn"));
        assert!(warnings.is_due(vpn(), "full", now));
        assert!(!warnings.is_due(vpn(), "full", now + HOUR / 2));
        assert!(warnings.is_due(vpn(), "unsigned", now));
        assert!(warnings.is_due(vpn(), "full", now + HOUR));
    }

    #[test]
    fn strangers_cannot_fill_the_log() {
        let warnings = Warnings::default();
        let now = Clock::system().instant();
        let due = (0..10_000_u32)
            .filter(|number| {
                let stranger = IpAddr::from(std::net::Ipv4Addr::from(*number));
                warnings.is_due(About::Stranger(stranger), "unknown-client", now)
            })
            .count();
        assert_eq!(due, WARNINGS);
    }
}
