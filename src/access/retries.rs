//! The attempt, not the packet (D6): a retry of an attempt that is in work waits for its verdict, and one that comes just after
//! the verdict is given it again. Neither costs a bind or a code.
//!
//! Two packets are of one attempt if account, client, station and what was typed are equal. One in work is joined only if
//! something tells that they are from one place: the same State, the same station where stations are not shared, or else the
//! same NAS and the same port or session there; somebody behind the same address must never ride another's login. Without any
//! of these an attempt in work is let alone, and only a verdict on a typed code is given again, to the same NAS: whoever
//! brings that code within ten seconds typed it.
//!
//! Gear that logs in twice for one login of a person has a longer time (`pair`), and the Accept that a challenge ended in is one on
//! the attempt that it was put to.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Attempt;
use super::exchange::Settled;
use crate::account::{AccountKey, Station};
use crate::secret::{Key, Secret};

/// How long a verdict is given again, at least.
pub(super) const REPEATED_FOR: Duration = Duration::from_secs(10);
/// Attempts remembered: ten seconds of 6,000 logins a second. Beyond that, attempts are each of its own.
const MAX_ATTEMPTS: usize = 65_536;
/// Challenges remembered for gear that logs in twice: those open of as many logins.
const MAX_CHALLENGES: usize = 16_384;

/// The digest of an attempt; equal for packets of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AttemptKey {
    digest: [u8; 32],
    /// Something tells that packets of it are from one place.
    joins: bool,
}

impl AttemptKey {
    /// The digest alone.
    pub(super) const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Whether something tells that its packets are from one place.
    pub(super) const fn joins(&self) -> bool {
        self.joins
    }

    /// The key of an attempt at which something was typed.
    pub(super) fn of(key: &Key, attempt: &Attempt, account: &AccountKey) -> Self {
        let typed = attempt.credential.typed().map(Secret::expose);
        Self::made(key, attempt, account, &[typed.unwrap_or_default()])
    }

    /// The key of an attempt whose password was proven by its hash: responses differ each time.
    pub(super) fn of_hash(
        key: &Key,
        attempt: &Attempt,
        account: &AccountKey,
        hash: &Secret,
    ) -> Self {
        // Two parts: no password that is typed digests to the same.
        Self::made(key, attempt, account, &[b"nt hash", hash.expose()])
    }

    fn made(key: &Key, attempt: &Attempt, account: &AccountKey, shown: &[&[u8]]) -> Self {
        let (nas, address);
        let door: [&[u8]; 3] = match (&attempt.state, &attempt.station, &attempt.nas_port) {
            (Some(state), _, _) => [b"state", state, b""],
            (None, Station::Mac(_) | Station::Address(_), _) if !attempt.client.shared_stations => {
                [b"station", b"", b""]
            }
            (None, _, Some(port)) => {
                nas = octets(attempt.nas);
                [b"port", &nas, port]
            }
            (None, _, None) => {
                nas = octets(attempt.nas);
                [b"nas", &nas, b""]
            }
        };
        let [kind, place, port] = door;
        // The station is part of the attempt even where it does not open the door: two stations are never joined.
        let station: &[u8] = match &attempt.station {
            Station::Unknown => b"",
            Station::Mac(mac) => mac,
            Station::Address(known) => {
                address = octets(*known);
                &address
            }
        };
        let mut parts = vec![
            account.as_str().as_bytes(),
            attempt.client.name.as_str().as_bytes(),
            station,
            kind,
            place,
            port,
        ];
        parts.extend(shown);
        let digest = key.digest(&parts);
        Self {
            digest,
            joins: kind != b"nas",
        }
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
        IpAddr::V6(six) => six.octets(),
    }
}

/// What is known of an attempt that a packet belongs to.
pub(super) enum Entered<'a> {
    /// It is the first, or cannot be told from others: it is to be decided.
    First(Lead<'a>),
    /// It is in work.
    InWork(Wait),
    /// It was decided a moment ago.
    Decided(Arc<Settled>),
}

/// Waits for the verdict of an attempt in work.
pub(super) struct Wait(watch::Receiver<Option<Arc<Settled>>>);

impl Wait {
    /// The verdict; none if the packet that the attempt was decided for was cut off.
    pub(super) async fn verdict(mut self) -> Option<Arc<Settled>> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

enum Known {
    InWork(watch::Receiver<Option<Arc<Settled>>>),
    Decided(Arc<Settled>, Instant),
}

#[derive(Default)]
struct Table {
    attempts: HashMap<AttemptKey, Known>,
    /// Decided ones, the first to end on top.
    ends: BinaryHeap<Reverse<(Instant, AttemptKey)>>,
    /// To which attempt a challenge was put, by its State, and until when it is open.
    challenges: HashMap<Box<[u8]>, (AttemptKey, Instant)>,
}

/// The attempts of the last seconds.
#[derive(Default)]
pub(super) struct Retries {
    table: Mutex<Table>,
}

impl Retries {
    /// Enters a packet's attempt.
    pub(super) fn enter(&self, key: AttemptKey, now: Instant) -> Entered<'_> {
        let mut table = self.hold();
        table.forget_ended(now);
        match table.attempts.get(&key) {
            Some(Known::InWork(_)) if !key.joins => return Entered::First(Lead { held: None }),
            Some(Known::InWork(verdict)) => return Entered::InWork(Wait(verdict.clone())),
            Some(Known::Decided(settled, _)) if key.joins || settled.held_code => {
                return Entered::Decided(settled.clone());
            }
            Some(Known::Decided(..)) => return Entered::First(Lead { held: None }),
            None => {}
        }
        if table.attempts.len() >= MAX_ATTEMPTS {
            return Entered::First(Lead { held: None });
        }
        let (verdict, watched) = watch::channel(None);
        table.attempts.insert(key, Known::InWork(watched));
        Entered::First(Lead {
            held: Some(Held {
                retries: self,
                key,
                verdict,
            }),
        })
    }
}

impl Retries {
    /// A challenge was put to an attempt. It is remembered if something tells from which place that comes.
    pub(super) fn asked(
        &self,
        state: &[u8],
        attempt: AttemptKey,
        (now, until): (Instant, Instant),
    ) {
        if !attempt.joins {
            return;
        }
        let mut table = self.hold();
        if table.challenges.len() >= MAX_CHALLENGES {
            table.challenges.retain(|_, (_, until)| *until > now);
        }
        if table.challenges.len() < MAX_CHALLENGES {
            table.challenges.insert(state.into(), (attempt, until));
        }
    }

    /// The attempt that a challenge was put to. It is answered once.
    pub(super) fn answered(&self, state: &[u8]) -> Option<AttemptKey> {
        let (attempt, _) = self.hold().challenges.remove(state)?;
        Some(attempt)
    }

    /// Keeps a verdict for those who come with the same attempt.
    pub(super) fn keep(&self, key: AttemptKey, settled: &Arc<Settled>, until: Instant) {
        self.hold().keep(key, settled, until);
    }

    fn hold(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn keep(&mut self, key: AttemptKey, settled: &Arc<Settled>, until: Instant) {
        let decided = Known::Decided(settled.clone(), until);
        self.attempts.insert(key, decided);
        self.ends.push(Reverse((until, key)));
    }

    fn forget_ended(&mut self, now: Instant) {
        while let Some(Reverse((end, key))) = self.ends.peek().copied() {
            if end > now {
                return;
            }
            self.ends.pop();
            let ended =
                matches!(self.attempts.get(&key), Some(Known::Decided(_, until)) if *until <= now);
            if ended {
                self.attempts.remove(&key);
            }
        }
    }
}

/// The packet that an attempt is decided for. If it is dropped without a verdict, those who wait decide for themselves.
pub(super) struct Lead<'a> {
    held: Option<Held<'a>>,
}

struct Held<'a> {
    retries: &'a Retries,
    key: AttemptKey,
    verdict: watch::Sender<Option<Arc<Settled>>>,
}

impl Lead<'_> {
    /// Gives the verdict to those who wait, and keeps it for those who come in the next seconds if it may be repeated: for `pair`
    /// where something tells that they come from the same place.
    pub(super) fn settle(mut self, settled: &Arc<Settled>, pair: Duration, now: Instant) {
        let Some(held) = self.held.take() else {
            return;
        };
        let mut table = held.retries.hold();
        let long = match held.key.joins {
            true => pair.max(REPEATED_FOR),
            false => REPEATED_FOR,
        };
        match settled.repeated_until(now, long) {
            Some(until) => table.keep(held.key, settled, until),
            None => {
                table.attempts.remove(&held.key);
            }
        }
        drop(table);
        held.verdict.send_replace(Some(settled.clone()));
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            held.retries.hold().attempts.remove(&held.key);
        }
    }
}

#[cfg(test)]
mod tests;
