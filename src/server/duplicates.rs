//! Duplicates (RFC 5080 §2.2.2): a retransmission gets silence while its request is in work, and the same octets
//! again once it was answered.
//!
//! One map, and for each client two rings of what was answered, oldest first: entries leave it when their time is
//! over or when room is needed, without a task or a timer of their own.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::clients::{after, hold};
use super::socket::Local;
use super::trails::{self, GaveUp, Trails};
use crate::account::ClientName;
use crate::wire::{RequestAuthenticator, Signed};

/// Most entries: 30 s of about 8,000 logins a second, some 60 MiB.
pub(super) const ENTRIES: usize = 1 << 18;
/// Most entries of one client: a flood of one leaves room for the rest.
pub(super) const ENTRIES_OF_CLIENT: usize = ENTRIES / 4;
/// Expired entries let go at each admission: more than come in, and never a long pause.
const SWEEP: usize = 8;

/// What a duplicate has in common with its original (and the authenticator, which is compared).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The socket or connection that received it.
    pub(super) socket: usize,
    /// The address that was asked.
    pub(super) local: Local,
    /// Source address and port.
    pub(super) peer: SocketAddr,
    /// The packet's Identifier.
    pub(super) identifier: u8,
}

impl Key {
    /// Of a request that came by a connection.
    pub(super) const fn of_connection(number: usize, peer: SocketAddr, identifier: u8) -> Self {
        Self {
            socket: number,
            local: Local::Bound,
            peer,
            identifier,
        }
    }
}

/// A believed request that asks to be let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) key: Key,
    pub(super) authenticator: &'a RequestAuthenticator,
    pub(super) client: &'a ClientName,
    pub(super) signed: Signed,
    /// Whether it tells how long a NAS waits for a login: neither accounting nor a trial does.
    pub(super) measured: bool,
    pub(super) now: Instant,
}

/// What to do with a request.
#[derive(Debug)]
#[must_use]
pub(super) enum Admission {
    /// Work on it.
    New(Ticket),
    /// Silence: its original is in work. So long ago the last copy came.
    InWork(Duration),
    /// The same octets again. So long ago the last copy came.
    Answered(Arc<[u8]>, Duration),
    /// There is no room that may be taken.
    Full,
}

/// The table. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Duplicates {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug)]
struct Table {
    entries: HashMap<Key, Entry>,
    clients: HashMap<ClientName, Kept>,
    serial: u64,
    bounds: (usize, usize),
    trails: Trails,
}

#[derive(Debug)]
struct Entry {
    authenticator: RequestAuthenticator,
    serial: u64,
    client: ClientName,
    signed: Signed,
    last_copy: Instant,
    /// It was sent again.
    again: bool,
    reply: Option<(Arc<[u8]>, Instant)>,
}

/// What is known of one client's entries.
#[derive(Debug, Default)]
struct Kept {
    entries: usize,
    signed: VecDeque<Answered>,
    unsigned: VecDeque<Answered>,
}

impl Kept {
    const fn ring(&mut self, signed: Signed) -> &mut VecDeque<Answered> {
        match signed {
            Signed::Yes => &mut self.signed,
            Signed::No => &mut self.unsigned,
        }
    }
}

/// A place in a ring. Its entry may have been replaced: then the serial is another.
#[derive(Clone, Copy, Debug)]
struct Answered {
    key: Key,
    serial: u64,
    until: Instant,
}

impl Duplicates {
    /// An empty table with room for so many entries, in all and of one client.
    pub(super) fn new(bounds: (usize, usize)) -> Self {
        Self {
            table: Arc::new(Mutex::new(Table {
                entries: HashMap::new(),
                clients: HashMap::new(),
                serial: 0,
                bounds,
                trails: Trails::default(),
            })),
        }
    }

    /// The NASes that gave up since this was last asked.
    pub(super) fn gave_up(&self, now: Instant) -> Vec<GaveUp> {
        hold(&self.table).trails.gave_up(now)
    }

    /// Forgets requests whose connection is closed: nobody waits for their replies (RFC 6613 §2.6.1).
    pub(super) fn forget(&self, keys: impl Iterator<Item = Key>) {
        let mut table = hold(&self.table);
        for key in keys {
            table.remove(&key, None);
        }
    }

    /// Looks a request up and, if it is new, enters it.
    pub(super) fn admit(&self, arrival: Arrival<'_>) -> Admission {
        let mut table = hold(&self.table);
        table.sweep(arrival.client, arrival.now);
        if let Some(admission) = table.known(&arrival) {
            return admission;
        }
        // Another authenticator, or its time is over: the older request is forgotten and its reply will be suppressed.
        table.remove(&arrival.key, None);
        if !table.make_room(&arrival) {
            return Admission::Full;
        }
        let serial = table.enter(&arrival);
        Admission::New(Ticket {
            table: Arc::clone(&self.table),
            key: arrival.key,
            serial,
            open: true,
        })
    }
}

impl Table {
    fn known(&mut self, arrival: &Arrival<'_>) -> Option<Admission> {
        let entry = self.entries.get_mut(&arrival.key)?;
        if entry.authenticator != *arrival.authenticator {
            return None;
        }
        let apart = arrival.now.saturating_duration_since(entry.last_copy);
        let admission = match &entry.reply {
            None => {
                let is_second = !entry.again && trails::is_sent_again(apart);
                entry.again |= is_second;
                if is_second && arrival.measured {
                    self.trails.begin(arrival, apart);
                } else {
                    self.trails.lengthen(arrival);
                }
                Admission::InWork(apart)
            }
            Some((reply, until)) if *until > arrival.now => {
                Admission::Answered(Arc::clone(reply), apart)
            }
            Some(_) => return None,
        };
        entry.last_copy = arrival.now;
        Some(admission)
    }

    fn enter(&mut self, arrival: &Arrival<'_>) -> u64 {
        self.serial += 1;
        self.trails.lengthen(arrival);
        let entry = Entry {
            authenticator: *arrival.authenticator,
            serial: self.serial,
            client: arrival.client.clone(),
            signed: arrival.signed,
            last_copy: arrival.now,
            again: false,
            reply: None,
        };
        self.entries.insert(arrival.key, entry);
        if let Some(kept) = self.clients.get_mut(arrival.client) {
            kept.entries += 1;
        } else {
            let kept = Kept {
                entries: 1,
                ..Kept::default()
            };
            self.clients.insert(arrival.client.clone(), kept);
        }
        self.serial
    }

    /// Removes an entry; with a serial, only if it is still that one. Says whether it was there.
    fn remove(&mut self, key: &Key, serial: Option<u64>) -> bool {
        let is_meant = |entry: &Entry| serial.is_none_or(|serial| serial == entry.serial);
        if !self.entries.get(key).is_some_and(is_meant) {
            return false;
        }
        if let Some(entry) = self.entries.remove(key)
            && let Some(kept) = self.clients.get_mut(&entry.client)
        {
            kept.entries = kept.entries.saturating_sub(1);
        }
        true
    }

    /// Makes room by forgetting what was answered longest ago: of the same client when its share is used up, of the
    /// client that has the most when the house's is. Unsigned requests go first, and make room among themselves alone.
    fn make_room(&mut self, arrival: &Arrival<'_>) -> bool {
        let (in_all, of_client) = self.bounds;
        let rings: &[Signed] = match arrival.signed {
            Signed::Yes => &[Signed::No, Signed::Yes],
            Signed::No => &[Signed::No],
        };
        let own = self.clients.get(arrival.client);
        if own.is_some_and(|kept| kept.entries >= of_client)
            && !rings.iter().any(|ring| self.evict(arrival.client, *ring))
        {
            return false;
        }
        self.entries.len() < in_all
            || rings.iter().any(|ring| {
                self.fullest(*ring)
                    .is_some_and(|client| self.evict(&client, *ring))
            })
    }

    fn fullest(&mut self, ring: Signed) -> Option<ClientName> {
        self.clients
            .iter_mut()
            .map(|(name, kept)| (kept.ring(ring).len(), name))
            .max_by_key(|(answered, _)| *answered)
            .map(|(_, name)| name.clone())
    }

    fn evict(&mut self, client: &ClientName, ring: Signed) -> bool {
        while let Some(kept) = self.clients.get_mut(client) {
            let Some(oldest) = kept.ring(ring).pop_front() else {
                return false;
            };
            if self.remove(&oldest.key, Some(oldest.serial)) {
                return true;
            }
        }
        false
    }

    /// Lets go a few of a client's expired entries.
    fn sweep(&mut self, client: &ClientName, now: Instant) {
        for _ in 0..SWEEP {
            let Some(kept) = self.clients.get_mut(client) else {
                return;
            };
            let over = |place: &mut Answered| place.until <= now;
            let expired = kept
                .signed
                .pop_front_if(over)
                .or_else(|| kept.unsigned.pop_front_if(over));
            let Some(expired) = expired else { return };
            self.remove(&expired.key, Some(expired.serial));
        }
    }

    fn answer(
        &mut self,
        (key, serial): (&Key, u64),
        reply: &Arc<[u8]>,
        (now, until): (Instant, Instant),
    ) -> bool {
        let Some(entry) = self.entries.get_mut(key) else {
            return false;
        };
        if entry.serial != serial {
            return false;
        }
        entry.reply = Some((Arc::clone(reply), until));
        self.trails.answer(key, now);
        let place = Answered {
            key: *key,
            serial,
            until,
        };
        let Some(kept) = self.clients.get_mut(&entry.client) else {
            return true;
        };
        let ring = kept.ring(entry.signed);
        ring.push_back(place);
        // Places of replaced requests count too: a NAS that reuses its identifiers fast would else fill the ring.
        if ring.len() > self.bounds.1
            && let Some(oldest) = ring.pop_front()
        {
            self.remove(&oldest.key, Some(oldest.serial));
        }
        true
    }
}

/// The entry of a request in work. Dropped without an answer (a panic, or nothing could be decided) it frees the
/// entry, so that a retransmission is tried anew.
#[derive(Debug)]
#[must_use]
pub(super) struct Ticket {
    table: Arc<Mutex<Table>>,
    key: Key,
    serial: u64,
    open: bool,
}

impl Ticket {
    /// Keeps the reply for retransmissions. `false` when another request took the place: then the reply is not sent.
    #[must_use]
    pub(super) fn answer(mut self, reply: &Arc<[u8]>, keep: Duration, now: Instant) -> bool {
        self.open = false;
        let times = (now, after(now, keep));
        hold(&self.table).answer((&self.key, self.serial), reply, times)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.open {
            hold(&self.table).remove(&self.key, Some(self.serial));
        }
    }
}

#[cfg(test)]
#[path = "duplicates/tests.rs"]
pub(in crate::server) mod tests;
