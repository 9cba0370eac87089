//! Who has how many connections, and who must go when there is no room.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use crate::server::clients::hold;

/// Connections at once: an access point each on the largest campus; 16 KiB each, some 250 MiB.
const CONNECTIONS: usize = 16_000;
/// Connections of one address: a building behind one address, or a proxy that opens more as identifiers run out.
const OF_ADDRESS: usize = 1024;
/// Connections that have not shown a certificate yet; 9 KiB each. For one more the oldest is closed, which by then took longer than a sound
/// one does.
const GREETINGS: usize = 2000;
/// Such connections of one address: all of a proxy that opens its connections at once.
const GREETINGS_OF_ADDRESS: usize = 64;
/// What one site is given of IPv6: it counts as one address.
const SITE_BITS: u32 = 64;

/// Descriptors that the process may need: each connection has one, and directories, the portal and the store have some.
pub(super) const DESCRIPTORS: u64 = (CONNECTIONS + GREETINGS) as u64 + 1500;

/// The bounds, which tests make smaller.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    connections: usize,
    of_address: usize,
    greetings: usize,
    greetings_of_address: usize,
}

/// Connections, counted.
#[derive(Debug)]
pub(in crate::server) struct Doors {
    counts: Mutex<Counts>,
    bounds: Bounds,
}

#[derive(Debug, Default)]
struct Counts {
    addresses: HashMap<IpAddr, Count>,
    /// Those that are being greeted, oldest first.
    greeted: BTreeMap<u64, CancellationToken>,
    serial: u64,
    connections: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: usize,
    greeted: usize,
}

/// A connection's place; dropping it gives it back.
#[derive(Debug)]
#[must_use]
pub(super) struct Place {
    doors: Arc<Doors>,
    address: IpAddr,
    serial: u64,
    /// It must go.
    out: CancellationToken,
    is_greeted: bool,
}

impl Default for Doors {
    fn default() -> Self {
        Self::new(Bounds {
            connections: CONNECTIONS,
            of_address: OF_ADDRESS,
            greetings: GREETINGS,
            greetings_of_address: GREETINGS_OF_ADDRESS,
        })
    }
}

impl Doors {
    fn new(bounds: Bounds) -> Self {
        Self {
            counts: Mutex::default(),
            bounds,
        }
    }

    /// Takes a connection in to be greeted; `None` when its address has too many.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = site(address);
        let mut counts = hold(&self.counts);
        let count = counts.addresses.get(&address).copied().unwrap_or_default();
        if count.all >= self.bounds.of_address || count.greeted >= self.bounds.greetings_of_address
        {
            return None;
        }
        if counts.greeted.len() >= self.bounds.greetings
            && let Some((_, oldest)) = counts.greeted.pop_first()
        {
            oldest.cancel();
        }
        counts.serial += 1;
        let (serial, out) = (counts.serial, CancellationToken::new());
        counts.greeted.insert(serial, out.clone());
        let count = counts.addresses.entry(address).or_default();
        count.all += 1;
        count.greeted += 1;
        Some(Place {
            doors: Arc::clone(self),
            address,
            serial,
            out,
            is_greeted: true,
        })
    }

    /// Connections whose certificate was believed.
    pub(in crate::server) fn connections(&self) -> usize {
        hold(&self.counts).connections
    }
}

impl Place {
    /// Waits until it must go, to make room for another.
    pub(super) async fn must_go(&self) {
        self.out.cancelled().await;
    }

    /// The greeting is over. `false` when there is no room for one more connection.
    #[must_use]
    pub(super) fn settle(&mut self) -> bool {
        let mut counts = hold(&self.doors.counts);
        if !self.is_greeted || counts.connections >= self.doors.bounds.connections {
            return false;
        }
        self.is_greeted = false;
        counts.connections += 1;
        counts.greeted.remove(&self.serial);
        if let Some(count) = counts.addresses.get_mut(&self.address) {
            count.greeted = count.greeted.saturating_sub(1);
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = hold(&self.doors.counts);
        if self.is_greeted {
            counts.greeted.remove(&self.serial);
        } else {
            counts.connections = counts.connections.saturating_sub(1);
        }
        let Some(count) = counts.addresses.get_mut(&self.address) else {
            return;
        };
        count.all = count.all.saturating_sub(1);
        if self.is_greeted {
            count.greeted = count.greeted.saturating_sub(1);
        }
        if count.all == 0 {
            counts.addresses.remove(&self.address);
        }
    }
}

fn site(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let bits = v6.to_bits() & !(u128::MAX >> SITE_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        connections: 3,
        of_address: 3,
        greetings: 4,
        greetings_of_address: 2,
    };

    #[test]
    fn the_unit_allows_the_descriptors_that_may_be_needed() {
        /// Connections that the portal takes besides.
        const PORTAL: u64 = 4096;
        let unit = include_str!("../../../systemd/sekisho.service");
        let allowed = unit
            .lines()
            .find_map(|line| line.strip_prefix("LimitNOFILE="));
        let allowed: u64 = allowed.unwrap().parse().unwrap();
        assert!(allowed >= DESCRIPTORS + PORTAL, "{allowed}");
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn one_address_has_so_many() {
        let doors = Arc::new(Doors::new(BOUNDS));
        let enter = || doors.enter(address(1));
        let (mut one, mut two) = (enter().unwrap(), enter().unwrap());
        assert!(enter().is_none(), "two are being greeted");
        assert!(one.settle() && two.settle());
        let third = enter().unwrap();
        assert!(enter().is_none(), "three in all");
        assert!(doors.enter(address(2)).is_some());
        drop((one, third));
        assert!(enter().is_some());
    }

    #[test]
    fn the_oldest_greeting_makes_room_for_the_newest() {
        let doors = Arc::new(Doors::new(BOUNDS));
        let places: Vec<_> = (0..6)
            .map(|last| doors.enter(address(last)).unwrap())
            .collect();
        let out: Vec<_> = places
            .iter()
            .map(|place| place.out.is_cancelled())
            .collect();
        assert_eq!(out, [true, true, false, false, false, false]);
        drop(places);
        let counts = hold(&doors.counts);
        assert!(counts.addresses.is_empty() && counts.greeted.is_empty());
    }

    #[test]
    fn a_connection_without_room_does_not_settle() {
        let doors = Arc::new(Doors::new(BOUNDS));
        let mut places: Vec<_> = (0..4)
            .map(|last| doors.enter(address(last)).unwrap())
            .collect();
        let settled: Vec<_> = places.iter_mut().map(Place::settle).collect();
        assert_eq!(settled, [true, true, true, false]);
        assert_eq!(doors.connections(), 3);
        drop(places);
        assert_eq!(doors.connections(), 0);
    }

    #[test]
    fn a_site_of_ipv6_is_one_address() {
        let doors = Arc::new(Doors::new(BOUNDS));
        let enter = |text: &str| doors.enter(text.parse().unwrap());
        let _two = (enter("2001:db8::1").unwrap(), enter("2001:db8::2").unwrap());
        assert!(enter("2001:db8::3").is_none());
        assert!(enter("2001:db8:0:1::1").is_some());
    }
}
