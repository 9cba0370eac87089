//! Wrong passwords counted before they are made (D10): what the store knows of an account, and what is being tried at this moment.
//!
//! An account has two pools of wrong passwords. The stations that logged in as it before share one, all others share the
//! other, and neither can spend what is the other's: nobody else's guesses keep its owner out, and the two together are the
//! most that reaches the directory within the window, so that the directory does not lock the account.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::PasswordLimits;
use crate::account::AccountId;
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
    /// Others of its pool are asking at this moment, and might spend the rest: it has to wait for them.
    Crowded,
}

/// Whose wrong passwords are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pool {
    /// Those of all stations that logged in as the account before.
    Own,
    /// Those of all others.
    Strangers,
}

impl Pool {
    /// The pool of the station that a standing was asked for.
    pub(super) fn of(standing: &PasswordStanding) -> Self {
        match standing.known_station {
            true => Self::Own,
            false => Self::Strangers,
        }
    }
}

/// Decides from what the store knows and how many of the pool are asking, this one included.
pub(super) fn budget(
    limits: &PasswordLimits,
    standing: &PasswordStanding,
    asking: u32,
    now: Timestamp,
) -> Budget {
    let (wrong, limit) = match Pool::of(standing) {
        Pool::Own => (standing.wrong_own, limits.own_stations),
        Pool::Strangers => (standing.wrong_strangers, limits.strangers),
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

/// Who is asking about one account at this moment.
#[derive(Default)]
struct Asking {
    /// Places taken, those included that are in no pool yet.
    places: usize,
    own: u32,
    strangers: u32,
    /// How many have asked the directory and left, since the first of these came.
    ended: u64,
}

impl Asking {
    fn of(&mut self, pool: Pool) -> &mut u32 {
        match pool {
            Pool::Own => &mut self.own,
            Pool::Strangers => &mut self.strangers,
        }
    }
}

/// Who is asking at this moment.
#[derive(Default)]
pub(super) struct Throttle {
    asking: Mutex<HashMap<AccountId, Asking>>,
    left: Notify,
}

impl Throttle {
    /// Told when somebody's asking ends. To be made before [`Throttle::enter`], so that no end is missed.
    pub(super) fn next_end(&self) -> Notified<'_> {
        self.left.notified()
    }

    /// Takes a place, and only then may the store be asked, which tells the pool. `None` when there is no room.
    pub(super) fn enter(&self, account: &AccountId) -> Option<Place<'_>> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if asking.len() >= MAX_ACCOUNTS && !asking.contains_key(account) {
            return None;
        }
        let of_account = asking.entry(account.clone()).or_default();
        of_account.places += 1;
        Some(Place {
            throttle: self,
            account: account.clone(),
            ended: of_account.ended,
            pool: None,
            stage: Stage::Waits,
        })
    }
}

/// How far somebody came who holds a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waits,
    Asks,
    StepsBack,
}

/// A place among those who are asking; given back when dropped.
#[must_use]
pub(super) struct Place<'a> {
    throttle: &'a Throttle,
    account: AccountId,
    /// How many had ended when the store was about to be asked.
    ended: u64,
    pool: Option<Pool>,
    stage: Stage,
}

impl Place<'_> {
    /// Joins a pool: how many of it are asking now, this one included. `None` when somebody has ended since the place was
    /// taken: what came of that is in the store, and may not have been when the store was asked, which has to be asked again.
    pub(super) fn join(&mut self, pool: Pool) -> Option<u32> {
        let mut asking = self
            .throttle
            .asking
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let of_account = asking.get_mut(&self.account)?;
        if of_account.ended != self.ended {
            self.ended = of_account.ended;
            return None;
        }
        self.pool = Some(pool);
        let count = of_account.of(pool);
        *count = count.saturating_add(1);
        Some(*count)
    }

    /// It asks the directory now: its end may have changed what the store knows.
    pub(super) fn ask(mut self) -> Self {
        self.stage = Stage::Asks;
        self
    }

    /// Gives the place back without having asked: nobody is woken, or those who wait would keep waking each other.
    pub(super) fn step_back(mut self) {
        self.stage = Stage::StepsBack;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut asking = self
            .throttle
            .asking
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(of_account) = asking.get_mut(&self.account) {
            if let Some(pool) = self.pool {
                let count = of_account.of(pool);
                *count = count.saturating_sub(1);
            }
            of_account.ended += u64::from(self.stage == Stage::Asks);
            of_account.places = of_account.places.saturating_sub(1);
            if of_account.places == 0 {
                asking.remove(&self.account);
            }
        }
        drop(asking);
        if self.stage != Stage::StepsBack {
            self.throttle.left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> PasswordLimits {
        PasswordLimits {
            strangers: 4,
            own_stations: 4,
            ..PasswordLimits::default()
        }
    }

    #[test]
    fn by_default_both_pools_together_stay_below_a_lock_at_ten() {
        let limits = PasswordLimits::default();
        assert!(limits.strangers + limits.own_stations < 10);
        // Room for typing errors, and strangers alone below a lock at five.
        assert!(limits.strangers < 5 && limits.own_stations > 3);
    }

    fn strangers(wrong: u32, last_secs: i64) -> PasswordStanding {
        PasswordStanding {
            known_station: false,
            wrong_strangers: wrong,
            last_wrong: Some(Timestamp::from_secs(last_secs)),
            ..PasswordStanding::default()
        }
    }

    fn own(wrong: u32, last_secs: i64) -> PasswordStanding {
        PasswordStanding {
            known_station: true,
            wrong_own: wrong,
            wrong_strangers: 400,
            last_wrong: Some(Timestamp::from_secs(last_secs)),
            ..PasswordStanding::default()
        }
    }

    const ALONE: u32 = 1;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn the_budget_ends_at_the_limit() {
        for standing in [strangers, own] {
            for wrong in 0..4 {
                assert_eq!(
                    budget(&limits(), &standing(wrong, 0), ALONE, at(10_000)),
                    Budget::Free
                );
            }
            for wrong in [4, 5, u32::MAX] {
                assert_eq!(
                    budget(&limits(), &standing(wrong, 0), ALONE, at(10_000)),
                    Budget::Spent
                );
            }
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
        for standing in [strangers, own] {
            for (wrong, asking, says) in [
                (0, 4, Budget::Free),
                (0, 5, Budget::Crowded),
                (1, 4, Budget::Crowded),
                (2, 2, Budget::Crowded),
                (4, 1, Budget::Spent),
            ] {
                let budget = budget(&limits(), &standing(wrong, 0), asking, at(9_999));
                assert_eq!(budget, says, "{wrong} wrong, {asking} asking");
            }
        }
    }

    #[test]
    fn places_are_counted_by_account_and_pool_and_given_back() {
        let throttle = Throttle::default();
        let (hanako, taro) = (AccountId::new("c", "1"), AccountId::new("c", "2"));
        let enter = |account| throttle.enter(account).unwrap();
        let (mut first, mut second) = (enter(&hanako), enter(&hanako));
        let (mut third, fourth) = (enter(&hanako), enter(&hanako));
        assert_eq!(first.join(Pool::Strangers), Some(1));
        assert_eq!(second.join(Pool::Own), Some(1));
        assert_eq!(third.join(Pool::Strangers), Some(2));
        fourth.step_back();
        let mut fourth = enter(&hanako);
        assert_eq!(fourth.join(Pool::Strangers), Some(3));
        assert_eq!(enter(&taro).join(Pool::Strangers), Some(1));
        drop((first, second, third, fourth));
        assert!(throttle.asking.lock().unwrap().is_empty());
    }

    #[test]
    fn who_asked_the_store_before_somebodys_end_asks_it_again() {
        let throttle = Throttle::default();
        let hanako = AccountId::new("c", "1");
        let enter = || throttle.enter(&hanako).unwrap();
        let (mut first, mut second) = (enter(), enter());
        assert_eq!(first.join(Pool::Own), Some(1));
        drop(first.ask());
        assert_eq!(second.join(Pool::Own), None);
        assert_eq!(second.join(Pool::Own), Some(1));
        // Whoever did not ask the directory changed nothing.
        let (mut third, mut fourth) = (enter(), enter());
        assert_eq!(third.join(Pool::Own), Some(2));
        drop(third);
        assert_eq!(fourth.join(Pool::Own), Some(2));
    }

    /// A store of two numbers: how many wrong passwords were made of each pool.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_at_once_never_pass_either_limit_by_one() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicU32, Ordering};
        let throttle = Arc::new(Throttle::default());
        let wrong = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let limits = PasswordLimits {
            first_delay: Duration::ZERO,
            own_stations: 3,
            ..limits()
        };
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..128 {
            let (throttle, wrong, limits) = (throttle.clone(), wrong.clone(), limits.clone());
            tasks.spawn(async move {
                let account = AccountId::new("c", "1");
                let (standing, wrong) = match number % 2 {
                    0 => (strangers as fn(u32, i64) -> PasswordStanding, &wrong[0]),
                    _ => (own as fn(u32, i64) -> PasswordStanding, &wrong[1]),
                };
                loop {
                    let mut end = std::pin::pin!(throttle.next_end());
                    end.as_mut().enable();
                    let mut place = throttle.enter(&account).unwrap();
                    let (standing, asking) = loop {
                        let standing = standing(wrong.load(Ordering::SeqCst), 0);
                        tokio::task::yield_now().await;
                        if let Some(asking) = place.join(Pool::of(&standing)) {
                            break (standing, asking);
                        }
                    };
                    match budget(&limits, &standing, asking, at(9_999)) {
                        Budget::Free => {
                            let place = place.ask();
                            tokio::task::yield_now().await;
                            wrong.fetch_add(1, Ordering::SeqCst);
                            drop(place);
                            return;
                        }
                        Budget::Spent => return,
                        Budget::Crowded => {
                            place.step_back();
                            end.await;
                        }
                    }
                }
            });
        }
        let all = tokio::time::timeout(Duration::from_secs(20), tasks.join_all());
        all.await.unwrap();
        assert_eq!(wrong[0].load(Ordering::SeqCst), 4);
        assert_eq!(wrong[1].load(Ordering::SeqCst), 3);
    }
}
