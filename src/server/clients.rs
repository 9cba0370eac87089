//! The clients by source address, and each one's share of the house.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use tokio::time::Instant;

use super::Client;
use crate::account::ClientName;
use crate::secret::Secret;

/// Clients lent at once: a few operators, each with a try or two.
const LENT: usize = 16;
/// The part of all permits that only answers to challenges may use: a login half done is finished before a
/// new one is begun (RFC 5080 §2.2.3).
const RESERVE: usize = 16;

/// A client as found for a datagram.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// As configured.
    pub(super) client: Client,
    /// Its share of the house.
    pub(super) share: Arc<Share>,
    /// It is lent to a trial: no NAS asks.
    pub(super) lent: bool,
}

/// What a client uses of the house. Outlives a reload.
#[derive(Debug, Default)]
pub(super) struct Share {
    in_work: Arc<AtomicUsize>,
    status: Mutex<Option<Bucket>>,
}

/// Whether a request begins a login or answers a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It begins one.
    First,
    /// It carries State.
    Answer,
}

/// How many requests may be in work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// In the house.
    pub(super) house: usize,
    /// For one client.
    pub(super) client: usize,
}

/// The right to work on one request; dropping it gives it back.
#[derive(Debug)]
#[must_use]
pub(super) struct Permit {
    counts: [Arc<AtomicUsize>; 2],
}

impl Permit {
    /// Takes a permit of the house and of the client, or none.
    pub(super) fn take(
        house: &Arc<AtomicUsize>,
        share: &Share,
        turn: Turn,
        bounds: Bounds,
    ) -> Option<Self> {
        if !raise(&share.in_work, open_to(turn, bounds.client)) {
            return None;
        }
        if !raise(house, open_to(turn, bounds.house)) {
            share.in_work.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(Self {
            counts: [Arc::clone(house), Arc::clone(&share.in_work)],
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        for count in &self.counts {
            count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

fn open_to(turn: Turn, bound: usize) -> usize {
    match turn {
        Turn::First => bound - bound / RESERVE,
        Turn::Answer => bound,
    }
}

fn raise(count: &AtomicUsize, bound: usize) -> bool {
    count
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
            (count < bound).then(|| count + 1)
        })
        .is_ok()
}

/// The tokens of Status-Server, in nanoseconds of credit: each answer costs `1 s / rate`, a second is the most saved.
#[derive(Debug)]
struct Bucket {
    credit: u64,
    filled: Instant,
}

const SECOND: u64 = 1_000_000_000;

impl Share {
    /// Whether one more Status-Server may be answered.
    pub(super) fn may_answer_status(&self, per_second: u32, now: Instant) -> bool {
        if per_second == 0 {
            return false;
        }
        let cost = SECOND / u64::from(per_second);
        let mut status = hold(&self.status);
        let bucket = status.get_or_insert(Bucket {
            credit: SECOND,
            filled: now,
        });
        let idle = now.saturating_duration_since(bucket.filled).as_nanos();
        bucket.credit = bucket
            .credit
            .saturating_add(u64::try_from(idle).unwrap_or(SECOND))
            .min(SECOND);
        bucket.filled = now;
        let may = bucket.credit >= cost;
        if may {
            bucket.credit -= cost;
        }
        may
    }
}

/// Every client, configured and lent.
pub(super) struct Clients {
    table: ArcSwap<Table>,
    lent: Mutex<Vec<Lent>>,
}

struct Lent {
    address: IpAddr,
    until: Instant,
    known: Arc<Known>,
}

struct Table {
    configured: Arc<Vec<Client>>,
    shares: HashMap<ClientName, Arc<Share>>,
    v4: Prefixes,
    v6: Prefixes,
}

/// Clients by network, one map for each prefix length in use, longest first.
#[derive(Default)]
struct Prefixes(Vec<(u8, HashMap<IpAddr, Arc<Known>>)>);

impl Prefixes {
    /// The first client of a network keeps it; two are a fault that `config` reports.
    fn add(&mut self, network: IpNet, known: &Arc<Known>) {
        let length = network.prefix_len();
        let at = self.0.partition_point(|(other, _)| *other > length);
        if self.0.get(at).is_none_or(|(other, _)| *other != length) {
            self.0.insert(at, (length, HashMap::new()));
        }
        if let Some((_, networks)) = self.0.get_mut(at) {
            networks
                .entry(network.network())
                .or_insert_with(|| Arc::clone(known));
        }
    }

    fn find(&self, address: IpAddr) -> Option<&Arc<Known>> {
        self.0.iter().find_map(|(length, networks)| {
            let network = IpNet::new(address, *length).ok()?;
            networks.get(&network.network())
        })
    }
}

impl Table {
    fn new(clients: &[Client], before: Option<&Self>) -> Self {
        let mut table = Self {
            configured: Arc::new(clients.to_vec()),
            shares: HashMap::new(),
            v4: Prefixes::default(),
            v6: Prefixes::default(),
        };
        for client in clients {
            let share = before
                .and_then(|before| before.shares.get(&client.name))
                .map_or_else(Arc::default, Arc::clone);
            table.shares.insert(client.name.clone(), Arc::clone(&share));
            let known = Arc::new(Known {
                client: client.clone(),
                share,
                lent: false,
            });
            for network in &client.addresses {
                match network {
                    IpNet::V4(_) => table.v4.add(*network, &known),
                    IpNet::V6(_) => table.v6.add(*network, &known),
                }
            }
        }
        table
    }

    fn find(&self, address: IpAddr) -> Option<Arc<Known>> {
        let prefixes = match address {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        prefixes.find(address).cloned()
    }
}

impl Clients {
    /// From the configuration.
    pub(super) fn new(clients: &[Client]) -> Self {
        Self {
            table: ArcSwap::from_pointee(Table::new(clients, None)),
            lent: Mutex::default(),
        }
    }

    /// Takes the clients of a new configuration; shares stay with their names.
    pub(super) fn replace(&self, clients: &[Client]) {
        let before = self.table.load();
        self.table
            .store(Arc::new(Table::new(clients, Some(&before))));
    }

    /// As configured.
    pub(super) fn configured(&self) -> Arc<Vec<Client>> {
        Arc::clone(&self.table.load().configured)
    }

    /// The client of a source address, which is canonical: no v4-mapped one.
    pub(super) fn find(&self, address: IpAddr, now: Instant) -> Option<Arc<Known>> {
        if address.is_loopback()
            && let Some(known) = self.find_lent(address, now)
        {
            return Some(known);
        }
        self.table.load().find(address)
    }

    fn find_lent(&self, address: IpAddr, now: Instant) -> Option<Arc<Known>> {
        hold(&self.lent)
            .iter()
            .find(|lent| lent.address == address && lent.until > now)
            .map(|lent| Arc::clone(&lent.known))
    }

    /// Lends a loopback address until a time, to a client like another but for its secret.
    pub(super) fn lend(
        &self,
        like: &ClientName,
        address: IpAddr,
        secret: Secret,
        times: (Instant, Instant),
    ) -> bool {
        let (now, until) = times;
        let table = self.table.load();
        let like = table.configured.iter().find(|client| client.name == *like);
        let (Some(like), true) = (like, address.is_loopback()) else {
            return false;
        };
        let share = table
            .shares
            .get(&like.name)
            .map_or_else(Arc::default, Arc::clone);
        let mut lent = hold(&self.lent);
        lent.retain(|lent| lent.until > now);
        if lent.len() >= LENT || lent.iter().any(|lent| lent.address == address) {
            return false;
        }
        let client = Client {
            addresses: vec![IpNet::from(address)],
            secret,
            ..like.clone()
        };
        lent.push(Lent {
            address,
            until,
            known: Arc::new(Known {
                client,
                share,
                lent: true,
            }),
        });
        true
    }
}

/// How long after now, as a moment; far away when it would overflow.
pub(super) fn after(now: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(86_400 * 365);
    now + duration.min(FAR)
}

/// Every critical section here leaves the value whole, so a panic elsewhere must not shut the house.
pub(super) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "clients/tests.rs"]
pub(super) mod tests;
