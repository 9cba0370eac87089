//! What was seen of each NAS, and what was already warned of.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Discard, Seen};
use crate::account::ClientName;
use crate::clock::Timestamp;

/// NASes kept: more than any campus has; those of a client that is a whole network and more are not shown.
const NASES: usize = 1024;
/// Warnings remembered: each client with a few reasons, and some strangers.
const WARNINGS: usize = 512;
/// How long a warning holds.
const HOUR: Duration = Duration::from_secs(3600);

/// What was seen of each NAS.
#[derive(Debug, Default)]
pub(super) struct Sightings(Mutex<HashMap<(ClientName, IpAddr), Seen>>);

impl Sightings {
    /// Notes something about a NAS.
    pub(super) fn note(&self, client: &ClientName, nas: IpAddr, note: impl FnOnce(&mut Seen)) {
        let mut seen = hold(&self.0);
        let key = (client.clone(), nas);
        if let Some(seen) = seen.get_mut(&key) {
            note(seen);
        } else if seen.len() < NASES {
            let new = Seen {
                client: client.to_string(),
                nas: Some(nas),
                ..Seen::default()
            };
            note(seen.entry(key).or_insert(new));
        }
    }

    /// All, by client and address.
    pub(super) fn all(&self) -> Vec<Seen> {
        let mut all: Vec<_> = hold(&self.0).values().cloned().collect();
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
pub(super) struct Warnings(Mutex<HashMap<(About, Discard), Instant>>);

impl Warnings {
    /// Whether a warning is due: none of its kind was given for an hour. When too many are remembered, none is.
    pub(super) fn is_due(&self, about: About, discard: Discard, now: Instant) -> bool {
        let mut given = hold(&self.0);
        let key = (about, discard);
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
        let all = sightings.all();
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
        assert_eq!(sightings.all().len(), NASES);
    }

    #[test]
    fn a_warning_is_given_once_an_hour() {
        let warnings = Warnings::default();
        let now = Clock::system().instant();
        let vpn = || About::Client(ClientName::new("vpn"));
        assert!(warnings.is_due(vpn(), Discard::Full, now));
        assert!(!warnings.is_due(vpn(), Discard::Full, now + HOUR / 2));
        assert!(warnings.is_due(vpn(), Discard::Unsigned, now));
        assert!(warnings.is_due(vpn(), Discard::Full, now + HOUR));
    }

    #[test]
    fn strangers_cannot_fill_the_log() {
        let warnings = Warnings::default();
        let now = Clock::system().instant();
        let due = (0..10_000_u32)
            .filter(|number| {
                let stranger = IpAddr::from(std::net::Ipv4Addr::from(*number));
                warnings.is_due(About::Stranger(stranger), Discard::UnknownClient, now)
            })
            .count();
        assert_eq!(due, WARNINGS);
    }
}
