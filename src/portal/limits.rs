//! Rates: how often an address, and everybody together, may do a thing. Tables are bounded; whoever finds no place in one shares
//! a rate with all others who find none.
//!
//! An IPv6 subscriber has a network of 64 bits, and one who asks for more has up to 48: both are counted, so that nobody is 65,536
//! subscribers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Networks remembered for one thing: some MiB.
const NETWORKS: usize = 32_768;
/// What a network of 48 bits may do beside one subscriber: a site with some subscribers, and a small part of what all may.
pub(super) const SITE: u16 = 4;
/// How often a full table may be looked through for the idle.
const SWEEP: Duration = Duration::from_secs(1);

/// A network that is counted, and how many times the rate of one subscriber it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Network {
    address: IpAddr,
    pub(super) times: u16,
}

/// The networks of an address, the narrowest first.
pub(super) fn networks(address: IpAddr) -> impl Iterator<Item = Network> {
    let (own, site) = match address {
        IpAddr::V4(_) => (address, None),
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            let network = |d| IpAddr::from([a, b, c, d, 0, 0, 0, 0]);
            (network(d), Some(network(0)))
        }
    };
    let network = |times| move |address| Network { address, times };
    std::iter::once(network(1)(own)).chain(site.map(network(SITE)))
}

/// So many at once, and one more each so many seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) at_once: f64,
    pub(super) a_second: f64,
}

impl Rate {
    fn times(self, times: u16) -> Self {
        let times = f64::from(times);
        Self {
            at_once: self.at_once * times,
            a_second: self.a_second * times,
        }
    }
}

/// What is left of a rate.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self {
            left: rate.at_once,
            at: now,
        }
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * rate.a_second).min(rate.at_once);
        self.at = now;
    }

    fn is_full(&self, rate: Rate, now: Instant) -> bool {
        let mut copy = *self;
        copy.refill(rate, now);
        copy.left >= rate.at_once
    }

    fn has_one(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.left >= 1.0
    }
}

#[derive(Debug)]
struct Table {
    networks: HashMap<Network, Bucket>,
    others: Bucket,
    total: Bucket,
    /// Not looked through more often than once a second, however many new addresses come.
    swept: Instant,
}

/// One thing that is limited.
#[derive(Debug)]
pub(super) struct Limit {
    of_one: Rate,
    of_all: Rate,
    table: Mutex<Table>,
}

impl Limit {
    pub(super) fn new(of_one: Rate, of_all: Rate) -> Self {
        let now = Instant::now();
        Self {
            of_one,
            of_all,
            table: Mutex::new(Table {
                networks: HashMap::new(),
                others: Bucket::full(of_one, now),
                total: Bucket::full(of_all, now),
                swept: now,
            }),
        }
    }

    /// Counts one, if the rates allow it.
    pub(super) fn spend(&self, address: IpAddr) -> bool {
        self.weigh(address, 1.0)
    }

    /// Whether one more would be allowed: for what is only counted when it goes wrong.
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        self.weigh(address, 0.0)
    }

    fn weigh(&self, address: IpAddr, cost: f64) -> bool {
        let now = Instant::now();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table {
            networks: known,
            others,
            total,
            swept,
        } = &mut *table;
        if known.len() >= NETWORKS && now > *swept + SWEEP {
            *swept = now;
            known.retain(|of, bucket| !bucket.is_full(self.of_one.times(of.times), now));
        }
        // All are looked at before one is charged: one network alone cannot spend what all have together.
        let mut allowed = total.has_one(self.of_all, now);
        for network in networks(address) {
            let rate = self.of_one.times(network.times);
            allowed &= place(known, others, network, rate, now).has_one(rate, now);
        }
        if allowed {
            total.left -= cost;
            for network in networks(address) {
                let rate = self.of_one.times(network.times);
                place(known, others, network, rate, now).left -= cost;
            }
        }
        allowed
    }
}

fn place<'a>(
    known: &'a mut HashMap<Network, Bucket>,
    others: &'a mut Bucket,
    network: Network,
    rate: Rate,
    now: Instant,
) -> &'a mut Bucket {
    if known.len() >= NETWORKS && !known.contains_key(&network) {
        return others;
    }
    known
        .entry(network)
        .or_insert_with(|| Bucket::full(rate, now))
}

/// All of them.
#[derive(Debug)]
pub(super) struct Limits {
    /// Requests of pages.
    pub(super) pages: Limit,
    /// Requests of devices: beside those of pages, so that nobody who floods these keeps others from approving.
    pub(super) devices: Limit,
    /// Passwords and codes.
    pub(super) sign_in: Limit,
    /// Pairing codes that are none.
    pub(super) wrong_pairing: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        let rate = |at_once, a_second| Rate { at_once, a_second };
        Self {
            // A page is five requests; a lecture hall behind one address opens them together.
            pages: Limit::new(rate(600.0, 60.0), rate(20_000.0, 2000.0)),
            // An open page asks every half minute, and at each prompt.
            devices: Limit::new(rate(600.0, 60.0), rate(20_000.0, 2000.0)),
            // Each may cost a bind; wrong ones are limited by account besides.
            sign_in: Limit::new(rate(60.0, 1.0), rate(1000.0, 50.0)),
            // Of 2^40 codes some thousand may be open.
            wrong_pairing: Limit::new(rate(30.0, 0.2), rate(300.0, 5.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    fn limit(of_one: f64, of_all: f64) -> Limit {
        let rate = |at_once| Rate {
            at_once,
            a_second: 1.0,
        };
        Limit::new(rate(of_one), rate(of_all))
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_its_rate_and_all_have_theirs() {
        let limit = limit(3.0, 5.0);
        let spent = |last| (0..10).filter(|_| limit.spend(address(last))).count();
        assert_eq!(spent(1), 3);
        assert_eq!(spent(2), 2, "all together");
        assert_eq!(spent(3), 0);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(spent(1), 2);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(spent(1), 3, "never more at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_48_bits_is_no_crowd() {
        let limit = limit(3.0, 1e9);
        let six = |site: u16, subscriber: u16, host: u16| {
            IpAddr::from([0x2001, 0xdb8, site, subscriber, 0, 0, 0, host])
        };
        let spent =
            |address: &dyn Fn(u16) -> IpAddr| (0..100).filter(|n| limit.spend(address(*n))).count();
        assert_eq!(spent(&|n| six(1, 1, n)), 3, "one subscriber");
        assert_eq!(spent(&|n| six(1, n + 2, 1)), 9, "the rest of the site");
        assert_eq!(spent(&|n| six(2, 1, n)), 3, "another site");
    }

    #[tokio::test(start_paused = true)]
    async fn asking_costs_nothing() {
        let limit = limit(1.0, 9.0);
        assert!(limit.allows(address(1)) && limit.allows(address(1)));
        assert!(limit.spend(address(1)));
        assert!(!limit.allows(address(1)) && limit.allows(address(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_table_keeps_its_size_and_lets_go_of_the_idle() {
        let limit = limit(2.0, 1e9);
        let many = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..40_000 {
            limit.spend(many(n));
        }
        let held = || limit.table.lock().unwrap().networks.len();
        assert_eq!(held(), NETWORKS);
        assert!(!limit.spend(many(50_000)), "shares what the others left");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(limit.spend(many(50_001)));
        assert!(held() < 10);
    }
}
