//! Wrong passwords counted before they are made (D10): what the store knows of an account, and what is being tried at this moment.
//!
//! A station that logged in as the account before has a budget of its own, so that nobody else's wrong passwords can keep its
//! owner out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::PasswordLimits;
use crate::account::{AccountId, Station};
use crate::clock::Timestamp;
use crate::store::PasswordStanding;

/// Wrong passwords after which the delay begins.
const UNDELAYED: u32 = 2;
/// Accounts with a bind under way; more than the requests in work that `server` can be given permits for.
const MAX_ACCOUNTS: usize = 65_536;

/// What a further try may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Budget {
    /// It may ask the directory.
    Free,
    /// It may not.
    Spent,
    /// Others are asking at this moment, and might spend the rest: it has to wait for them.
    Crowded,
}

/// Decides from what the store knows and how many are asking, this one included: from the same station, and from everywhere.
pub(super) fn budget(
    limits: &PasswordLimits,
    standing: &PasswordStanding,
    rank: Rank,
    now: Timestamp,
) -> Budget {
    let (wrong, limit, asking) = match standing.known_station {
        true => (standing.wrong_here, limits.own_station, rank.here),
        false => (standing.wrong_strangers, limits.strangers, rank.everywhere),
    };
    let left = limit.saturating_sub(wrong);
    if left == 0 || now < too_soon_until(limits, standing.last_wrong, wrong) {
        return Budget::Spent;
    }
    // Once there is a delay, tries go one by one: each must see how long the one before made it.
    let abreast = if wrong < UNDELAYED { left } else { 1 };
    if asking > abreast {
        Budget::Crowded
    } else {
        Budget::Free
    }
}

fn too_soon_until(limits: &PasswordLimits, last: Option<Timestamp>, wrong: u32) -> Timestamp {
    let (Some(last), Some(further)) = (last, wrong.checked_sub(UNDELAYED)) else {
        return Timestamp::default();
    };
    let factor = 2_u32.checked_pow(further).unwrap_or(u32::MAX);
    let delay = limits
        .first_delay
        .checked_mul(factor)
        .unwrap_or(Duration::MAX);
    last.after(delay.min(limits.longest_delay))
}

/// How many are asking about an account at this moment, this one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank {
    pub(super) here: u32,
    pub(super) everywhere: u32,
}

/// Who is asking at this moment.
#[derive(Default)]
pub(super) struct Throttle {
    asking: Mutex<HashMap<AccountId, Vec<Station>>>,
    left: Notify,
}

impl Throttle {
    /// Told when somebody's asking ends. To be made before [`Throttle::enter`], so that no end is missed.
    pub(super) fn next_end(&self) -> Notified<'_> {
        self.left.notified()
    }

    /// Takes a place, and only then may the store be asked: whoever leaves afterwards has written what came of it. `None` when
    /// there is no room.
    pub(super) fn enter<'a>(
        &'a self,
        account: &AccountId,
        station: &'a Station,
    ) -> Option<(Place<'a>, Rank)> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if asking.len() >= MAX_ACCOUNTS && !asking.contains_key(account) {
            return None;
        }
        let stations = asking.entry(account.clone()).or_default();
        stations.push(station.clone());
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let rank = Rank {
            here: count(stations.iter().filter(|other| *other == station).count()),
            everywhere: count(stations.len()),
        };
        let place = Place {
            throttle: self,
            account: account.clone(),
            station,
            silent: false,
        };
        Some((place, rank))
    }
}

/// A place among those who are asking; given back when dropped.
#[must_use]
pub(super) struct Place<'a> {
    throttle: &'a Throttle,
    account: AccountId,
    station: &'a Station,
    silent: bool,
}

impl Place<'_> {
    /// Gives the place back without having asked: nobody is woken, or those who wait would keep waking each other.
    pub(super) fn step_back(mut self) {
        self.silent = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut asking = self
            .throttle
            .asking
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(stations) = asking.get_mut(&self.account) {
            if let Some(mine) = stations.iter().position(|other| other == self.station) {
                stations.swap_remove(mine);
            }
            if stations.is_empty() {
                asking.remove(&self.account);
            }
        }
        drop(asking);
        if !self.silent {
            self.throttle.left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> PasswordLimits {
        PasswordLimits::default()
    }

    fn strangers(wrong: u32, last_secs: i64) -> PasswordStanding {
        PasswordStanding {
            known_station: false,
            wrong_here: 0,
            wrong_strangers: wrong,
            last_wrong: Some(Timestamp::from_secs(last_secs)),
        }
    }

    const ALONE: Rank = Rank {
        here: 1,
        everywhere: 1,
    };

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn the_budget_ends_at_the_limit() {
        for wrong in 0..4 {
            assert_eq!(
                budget(&limits(), &strangers(wrong, 0), ALONE, at(10_000)),
                Budget::Free
            );
        }
        for wrong in [4, 5, u32::MAX] {
            assert_eq!(
                budget(&limits(), &strangers(wrong, 0), ALONE, at(10_000)),
                Budget::Spent
            );
        }
    }

    #[test]
    fn the_delay_begins_after_the_second_and_doubles_to_its_bound() {
        let limits = PasswordLimits {
            strangers: 40,
            ..limits()
        };
        for (wrong, delay) in [
            (0, 0),
            (1, 0),
            (2, 2),
            (3, 4),
            (4, 8),
            (9, 256),
            (10, 300),
            (39, 300),
        ] {
            let standing = strangers(wrong, 1000);
            if delay > 0 {
                let early = at(1000 + delay).before(Duration::from_millis(1));
                assert_eq!(
                    budget(&limits, &standing, ALONE, early),
                    Budget::Spent,
                    "{wrong}"
                );
            }
            assert_eq!(
                budget(&limits, &standing, ALONE, at(1000 + delay)),
                Budget::Free,
                "{wrong}"
            );
        }
    }

    #[test]
    fn those_who_are_asking_count_as_wrong_until_they_are_known() {
        let rank = |everywhere| Rank {
            here: 1,
            everywhere,
        };
        assert_eq!(
            budget(&limits(), &strangers(0, 0), rank(4), at(9_999)),
            Budget::Free
        );
        assert_eq!(
            budget(&limits(), &strangers(0, 0), rank(5), at(9_999)),
            Budget::Crowded
        );
        assert_eq!(
            budget(&limits(), &strangers(1, 0), rank(4), at(9_999)),
            Budget::Crowded
        );
        assert_eq!(
            budget(&limits(), &strangers(2, 0), rank(2), at(9_999)),
            Budget::Crowded
        );
        assert_eq!(
            budget(&limits(), &strangers(4, 0), rank(1), at(9_999)),
            Budget::Spent
        );
    }

    #[test]
    fn a_known_station_has_a_budget_of_its_own() {
        let standing = PasswordStanding {
            known_station: true,
            wrong_here: 1,
            wrong_strangers: 400,
            last_wrong: Some(at(0)),
        };
        let rank = Rank {
            here: 1,
            everywhere: 300,
        };
        assert_eq!(budget(&limits(), &standing, rank, at(1)), Budget::Free);
        let spent = PasswordStanding {
            wrong_here: 4,
            ..standing
        };
        assert_eq!(budget(&limits(), &spent, ALONE, at(9_999)), Budget::Spent);
    }

    #[test]
    fn places_are_counted_by_account_and_station_and_given_back() {
        let throttle = Throttle::default();
        let (hanako, taro) = (AccountId::new("c", "1"), AccountId::new("c", "2"));
        let home = Station::read("203.0.113.5");
        let (first, rank) = throttle.enter(&hanako, &home).unwrap();
        assert_eq!(rank, ALONE);
        let (second, rank) = throttle.enter(&hanako, &Station::Unknown).unwrap();
        assert_eq!((rank.here, rank.everywhere), (1, 2));
        let (third, rank) = throttle.enter(&hanako, &home).unwrap();
        assert_eq!((rank.here, rank.everywhere), (2, 3));
        assert_eq!(throttle.enter(&taro, &home).unwrap().1, ALONE);
        drop(first);
        second.step_back();
        drop(third);
        assert!(throttle.asking.lock().unwrap().is_empty());
    }

    /// A store of one number: how many wrong passwords were made.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_at_once_never_pass_the_limit_by_one() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicU32, Ordering};
        let throttle = Arc::new(Throttle::default());
        let wrong = Arc::new(AtomicU32::new(0));
        let limits = PasswordLimits {
            first_delay: Duration::ZERO,
            ..limits()
        };
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let (throttle, wrong, limits) = (throttle.clone(), wrong.clone(), limits.clone());
            tasks.spawn(async move {
                let account = AccountId::new("c", "1");
                loop {
                    let mut end = std::pin::pin!(throttle.next_end());
                    end.as_mut().enable();
                    let (place, rank) = throttle.enter(&account, &Station::Unknown).unwrap();
                    let standing = strangers(wrong.load(Ordering::SeqCst), 0);
                    match budget(&limits, &standing, rank, at(9_999)) {
                        Budget::Free => {
                            tokio::task::yield_now().await;
                            wrong.fetch_add(1, Ordering::SeqCst);
                            drop(place);
                            return true;
                        }
                        Budget::Spent => return false,
                        Budget::Crowded => {
                            place.step_back();
                            end.await;
                        }
                    }
                }
            });
        }
        let asked = tasks.join_all().await.into_iter().filter(|asked| *asked);
        assert_eq!(asked.count(), 4);
        assert_eq!(wrong.load(Ordering::SeqCst), 4);
    }
}
