//! How long each NAS goes on asking: the trails of requests that are sent again while nothing is answered.
//!
//! A trail ends when no copy comes for so long that another would have come. If nothing had been answered until then, the NAS has
//! given up, and how long it asked is told. It asked at least until its last copy, and waited for that one as for the
//! others; of intervals that differ the shortest is taken, since a copy may have been lost. Only the same octets from the
//! same port make a trail: a new request could be the person's own second try.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::duplicates::{Arrival, Key};
use super::socket::canonical;
use crate::account::ClientName;
use crate::telemetry::Waited;
use crate::wire::RequestAuthenticator;

/// Most trails at once: more would be an outage, of which some tell as much as all.
const TRAILS: usize = 4096;
/// Copies that come sooner are doubled on their way.
const SHORTEST: Duration = Duration::from_millis(250);
/// Trails are looked through for ended ones this seldom.
const LOOK: Duration = Duration::from_secs(1);

/// A NAS has given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GaveUp {
    pub(super) client: ClientName,
    pub(super) nas: IpAddr,
    pub(super) waited: Waited,
}

/// The trails.
#[derive(Debug, Default)]
pub(super) struct Trails {
    trails: HashMap<Key, Trail>,
    ended: Vec<GaveUp>,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Trail {
    authenticator: RequestAuthenticator,
    client: ClientName,
    first: Instant,
    last: Instant,
    shortest: Duration,
    latest: Duration,
    tries: u32,
}

impl Trail {
    fn lengthen(&mut self, now: Instant) {
        let apart = now.saturating_duration_since(self.last);
        if apart < SHORTEST {
            return;
        }
        self.last = now;
        self.shortest = self.shortest.min(apart);
        self.latest = apart;
        self.tries = self.tries.saturating_add(1);
    }

    /// Whether another copy would have come. Some gear doubles its intervals.
    fn is_silent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) > self.latest * 5 / 2
    }

    fn end(self, nas: IpAddr, now: Instant) -> GaveUp {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let in_all = self.last.saturating_duration_since(self.first) + self.shortest;
        GaveUp {
            client: self.client,
            nas,
            waited: Waited {
                interval: millis(self.shortest),
                tries: self.tries,
                in_all: millis(in_all.min(now.saturating_duration_since(self.first))),
            },
        }
    }
}

/// Whether a copy came so long after the one before that the NAS sent it.
pub(super) fn is_sent_again(apart: Duration) -> bool {
    apart >= SHORTEST
}

impl Trails {
    /// The first copy of a request in work came so long after it: its trail begins, unless the request was let go and is
    /// worked on anew.
    pub(super) fn begin(&mut self, arrival: &Arrival<'_>, apart: Duration) {
        if self.trails.contains_key(&arrival.key) {
            self.lengthen(arrival);
            return;
        }
        if self.trails.len() >= TRAILS {
            return;
        }
        let trail = Trail {
            authenticator: *arrival.authenticator,
            client: arrival.client.clone(),
            first: arrival.now.checked_sub(apart).unwrap_or(arrival.now),
            last: arrival.now,
            shortest: apart,
            latest: apart,
            tries: 2,
        };
        self.trails.insert(arrival.key, trail);
    }

    /// A request came that is not the first of its identifier: one more copy, though its original may have been let go without an
    /// answer; or another request in its place, for which the NAS has ended it.
    pub(super) fn lengthen(&mut self, arrival: &Arrival<'_>) {
        let Some(trail) = self.trails.get_mut(&arrival.key) else {
            return;
        };
        if trail.authenticator == *arrival.authenticator {
            trail.lengthen(arrival.now);
        } else {
            self.end(&arrival.key, arrival.now);
        }
    }

    /// Its reply leaves. The NAS had given up before if it was silent for long enough.
    pub(super) fn answer(&mut self, key: &Key, now: Instant) {
        let silent = |trail: &Trail| trail.is_silent(now);
        if self.trails.get(key).is_some_and(silent) {
            self.end(key, now);
        } else {
            self.trails.remove(key);
        }
    }

    /// Those who have given up since this was last asked.
    pub(super) fn gave_up(&mut self, now: Instant) -> Vec<GaveUp> {
        let due = |looked: Instant| now.saturating_duration_since(looked) >= LOOK;
        if !self.trails.is_empty() && self.looked.is_none_or(due) {
            self.looked = Some(now);
            let silent = self.trails.extract_if(|_, trail| trail.is_silent(now));
            let ended = silent.map(|(key, trail)| trail.end(canonical(key.peer), now));
            self.ended.extend(ended);
        }
        std::mem::take(&mut self.ended)
    }

    fn end(&mut self, key: &Key, now: Instant) {
        let ended = self.trails.remove(key);
        self.ended
            .extend(ended.map(|trail| trail.end(canonical(key.peer), now)));
    }
}

#[cfg(test)]
mod tests;
