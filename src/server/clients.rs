//! The clients by source address or by the name in a certificate, and each one's share of the house.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use tokio::time::Instant;

use super::{Client, Transport, tls};
use crate::account::ClientName;
use crate::secret::Secret;
use crate::wire::Signing;

/// Clients lent at once: a few operators, each with a try or two.
const LENT: usize = 16;
/// The part of all permits that only answers to challenges may use: a login half done is finished before a
/// new one is begun (RFC 5080 §2.2.3).
const RESERVE: usize = 16;

/// A client as found for a datagram or a connection.
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
    /// Its connections by TLS.
    connections: Arc<AtomicUsize>,
    /// The Status-Server of its datagrams.
    pub(super) status: Allowance,
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

/// One of a client's connections; dropping it gives it back.
#[derive(Debug)]
#[must_use]
pub(super) struct Connected(Arc<AtomicUsize>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Share {
    /// Takes one more connection, or none if the client has so many.
    pub(super) fn connect(&self, most: usize) -> Option<Connected> {
        raise(&self.connections, most).then(|| Connected(Arc::clone(&self.connections)))
    }
}

/// How many Status-Server are answered to one who asks.
#[derive(Debug, Default)]
pub(super) struct Allowance(Mutex<Option<Bucket>>);

/// The tokens of Status-Server, in nanoseconds of credit: each answer costs `1 s / rate`, a second is the most saved.
#[derive(Debug)]
struct Bucket {
    credit: u64,
    filled: Instant,
}

const SECOND: u64 = 1_000_000_000;

impl Allowance {
    /// Whether one more Status-Server may be answered.
    pub(super) fn may_answer(&self, per_second: u32, now: Instant) -> bool {
        if per_second == 0 {
            return false;
        }
        let cost = SECOND / u64::from(per_second);
        let mut status = hold(&self.0);
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
    /// Who asks by datagrams.
    by_address: Networks<Arc<Known>>,
    /// Who asks by TLS, under each name.
    by_name: HashMap<Arc<str>, Arc<Known>>,
    /// Where connections are taken from; none is everywhere.
    connecting: Option<Networks<()>>,
}

/// Networks of both families.
struct Networks<T> {
    v4: Prefixes<T>,
    v6: Prefixes<T>,
}

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Self {
            v4: Prefixes(Vec::new()),
            v6: Prefixes(Vec::new()),
        }
    }
}

impl<T: Clone> Networks<T> {
    fn add(&mut self, network: IpNet, value: &T) {
        match network {
            IpNet::V4(_) => self.v4.add(network, value),
            IpNet::V6(_) => self.v6.add(network, value),
        }
    }

    fn find(&self, address: IpAddr) -> Option<&T> {
        match address {
            IpAddr::V4(_) => self.v4.find(address),
            IpAddr::V6(_) => self.v6.find(address),
        }
    }
}

/// What belongs to a network, one map for each prefix length in use, longest first.
struct Prefixes<T>(Vec<(u8, HashMap<IpAddr, T>)>);

impl<T: Clone> Prefixes<T> {
    /// The first client of a network keeps it; two are a fault that `config` reports.
    fn add(&mut self, network: IpNet, value: &T) {
        let length = network.prefix_len();
        let at = self.0.partition_point(|(other, _)| *other > length);
        if self.0.get(at).is_none_or(|(other, _)| *other != length) {
            self.0.insert(at, (length, HashMap::new()));
        }
        if let Some((_, networks)) = self.0.get_mut(at) {
            networks
                .entry(network.network())
                .or_insert_with(|| value.clone());
        }
    }

    fn find(&self, address: IpAddr) -> Option<&T> {
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
            by_address: Networks::default(),
            by_name: HashMap::new(),
            connecting: Some(Networks::default()),
        };
        for client in clients {
            let share = before
                .and_then(|before| before.shares.get(&client.name))
                .map_or_else(Arc::default, Arc::clone);
            table.shares.insert(client.name.clone(), Arc::clone(&share));
            if client.transport.has_datagrams() {
                table.add_addresses(client, &share);
            }
            if !client.transport.names().is_empty() {
                table.add_names(client, &share);
            }
        }
        table
    }

    fn add_addresses(&mut self, client: &Client, share: &Arc<Share>) {
        let known = Arc::new(Known {
            client: client.clone(),
            share: Arc::clone(share),
            lent: false,
        });
        for network in &client.addresses {
            self.by_address.add(*network, &known);
        }
    }

    /// By TLS the secret is one that all know, and Message-Authenticator is checked where it is there: the connection
    /// protects the packets (RFC 6614 §2.3; draft-ietf-radext-deprecating-radius).
    fn add_names(&mut self, client: &Client, share: &Arc<Share>) {
        let known = Arc::new(Known {
            client: Client {
                secret: Secret::from(tls::SECRET),
                signing: Signing::Optional,
                ..client.clone()
            },
            share: Arc::clone(share),
            lent: false,
        });
        for name in client.transport.names() {
            let place = self.by_name.entry(Arc::clone(&name.0));
            place.or_insert_with(|| Arc::clone(&known));
        }
        if client.addresses.is_empty() {
            self.connecting = None;
        } else if let Some(connecting) = &mut self.connecting {
            for network in &client.addresses {
                connecting.add(*network, &());
            }
        }
    }

    fn find_named(&self, name: &str) -> Option<&Arc<Known>> {
        // The star is of the configuration: in a certificate it is no name.
        if name.contains('*') {
            return None;
        }
        let beneath = || {
            let (_, rest) = name.split_once('.')?;
            self.by_name.get(format!("*.{rest}").as_str())
        };
        self.by_name.get(name).or_else(beneath)
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
        self.table.load().by_address.find(address).cloned()
    }

    /// Whether any client connects from there.
    pub(super) fn may_connect(&self, address: IpAddr) -> bool {
        let table = self.table.load();
        let connecting = table.connecting.as_ref();
        connecting.is_none_or(|from| from.find(address).is_some())
    }

    /// The client whose certificate has these names, in small letters, if it may come from that address, too.
    ///
    /// # Errors
    ///
    /// Why there is none, in words.
    pub(super) fn find_named(
        &self,
        names: &[String],
        address: IpAddr,
    ) -> Result<Arc<Known>, &'static str> {
        let table = self.table.load();
        let mut found = names.iter().filter_map(|name| table.find_named(name));
        let known = found
            .next()
            .ok_or("no client has a name of its certificate (tls-name)")?;
        if found.any(|other| other.client.name != known.client.name) {
            return Err("its certificate has names of two clients");
        }
        let networks = &known.client.addresses;
        if !networks.is_empty() && !networks.iter().any(|network| network.contains(&address)) {
            return Err("its client has other addresses (address)");
        }
        Ok(Arc::clone(known))
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
            transport: Transport::Datagrams,
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
