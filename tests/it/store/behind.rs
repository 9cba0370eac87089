//! What logins change is folded into the accounts' rows later: nobody ever sees the difference.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use proptest::prelude::*;
use rusqlite::Connection;
use sekisho::account::{AccountId, AccountKey, AttemptId, FactorKind, Station};
use sekisho::clock::Timestamp;
use sekisho::factor::{Algorithm, Totp};
use sekisho::secret::Secret;
use sekisho::store::{CodeJudged, Proof, Store, Told, Wanted, restore};

use super::{ALL, HOUR, Shop, accept, account, open, shop};
use crate::support::daemon::wait;

const USED: CodeJudged = CodeJudged::Used(FactorKind::Totp);
/// More changes than begin a round of folding.
const MANY: u32 = 33_000;

impl Shop {
    fn look(&self) -> Connection {
        Connection::open(self.folder.path().join("sekisho.db")).unwrap()
    }

    /// Changes that are not folded, and rows that know of a decision.
    fn changes_and_rows(&self) -> (i64, i64) {
        let sql = "SELECT (SELECT count(*) FROM account_change),
            (SELECT count(*) FROM account WHERE newest IS NOT NULL)";
        let read = self.look().query_row(sql, [], |row| {
            Ok::<(i64, i64), _>((row.get(0)?, row.get(1)?))
        });
        read.unwrap()
    }

    /// Lets what waits grow old, and waits until it is folded.
    async fn fold(&self) {
        self.clock.shift_by(HOUR + 1000);
        self.store.flush().await.unwrap();
        wait(
            || self.changes_and_rows().0 == 0,
            || format!("{:?}", self.store.health()),
        );
        self.clock.shift_by(-HOUR - 1000);
    }

    /// Goes on with the files as they are on the disk at this moment, as after a kill.
    fn killed(self) -> Self {
        let (folder, store) = self.cut_back();
        Self {
            settings: super::settings(folder.path()),
            store,
            folder,
            clock: self.clock,
            master: self.master,
        }
    }
}

async fn attempts(store: &Store, wanted: Wanted) -> Vec<AttemptId> {
    let told = store.story(wanted, 10_000).await.unwrap();
    let decisions = told.into_iter().map(|told| match told {
        Told::Decision(decision) => decision.attempt,
        other => panic!("{other:?}"),
    });
    decisions.collect()
}

pub(super) fn is_accepted(judged: &CodeJudged) -> bool {
    matches!(judged, CodeJudged::Accepted { .. })
}

#[tokio::test]
async fn used_code_is_refused_before_and_after_its_change_is_folded() {
    let shop = shop();
    let hanako = account("hanako");
    let (_, totp) = shop.enrolled(&hanako).await;
    let code = totp.code_at(shop.clock.now());
    assert!(is_accepted(&shop.try_code(&hanako, &code).await));
    assert_eq!(shop.changes_and_rows(), (1, 0), "it is not folded");
    assert_eq!(shop.try_code(&hanako, &code).await, USED);
    let shop = shop.killed();
    assert_eq!(shop.changes_and_rows(), (1, 0), "nor by the start");
    assert_eq!(shop.try_code(&hanako, &code).await, USED);
    shop.fold().await;
    assert_eq!(shop.changes_and_rows(), (0, 1));
    assert_eq!(shop.try_code(&hanako, &code).await, USED);
    let shop = shop.killed();
    assert_eq!(shop.try_code(&hanako, &code).await, USED);

    shop.clock.shift_by(60_000);
    let next = totp.code_at(shop.clock.now());
    assert!(is_accepted(&shop.try_code(&hanako, &next).await));
    let shop = shop.reopen();
    assert_eq!(shop.changes_and_rows(), (0, 1), "closing folds");
    assert_eq!(shop.try_code(&hanako, &next).await, USED);
    let known = shop.store.known(&hanako).await.unwrap().unwrap();
    assert!(known.factors[0].used.is_some());
    let told = attempts(&shop.store, Wanted::Account(hanako)).await;
    assert_eq!(told.len(), 2);
}

#[tokio::test]
async fn backup_has_what_is_not_folded() {
    let shop = shop();
    let hanako = account("hanako");
    let (_, totp) = shop.enrolled(&hanako).await;
    let code = totp.code_at(shop.clock.now());
    assert!(is_accepted(&shop.try_code(&hanako, &code).await));
    let to = shop.folder.path().join("copy.db");
    shop.store.backup(&to).await.unwrap();
    assert_eq!(shop.changes_and_rows(), (1, 0));
    shop.store.reset(&hanako).await.unwrap();
    let Shop {
        store,
        clock,
        master,
        settings,
        folder: _folder,
    } = shop;
    drop(store);
    restore(&settings, &master, &to).unwrap();
    let (store, _) = open(&settings, &clock).unwrap();
    let judged = store.use_code(&hanako, &code, ALL, accept(&hanako)).await;
    assert_eq!(judged.unwrap(), USED);
    assert_eq!(attempts(&store, Wanted::Account(hanako)).await.len(), 1);
}

/// Before there were changes, a login wrote the row.
#[tokio::test]
async fn store_without_changes_is_migrated() {
    let shop = shop();
    let hanako = account("hanako");
    let (_, totp) = shop.enrolled(&hanako).await;
    let code = totp.code_at(shop.clock.now());
    assert!(is_accepted(&shop.try_code(&hanako, &code).await));
    let Shop {
        store,
        clock,
        settings,
        folder,
        ..
    } = shop;
    drop(store);
    let old = Connection::open(folder.path().join("sekisho.db")).unwrap();
    old.execute_batch(
        "DROP TABLE account_change; DROP TABLE prompt; DROP TABLE device; DROP TABLE pairing; DROP TABLE session;
         ALTER TABLE account DROP COLUMN push; ALTER TABLE account DROP COLUMN remembered;
         DELETE FROM migration WHERE version > 1; PRAGMA user_version = 1",
    )
    .unwrap();
    drop(old);
    let (store, master) = open(&settings, &clock).unwrap();
    assert_eq!(store.health().schema, 4);
    let shop = Shop {
        store,
        clock,
        master,
        settings,
        folder,
    };
    assert_eq!(shop.try_code(&hanako, &code).await, USED);
    shop.clock.shift_by(60_000);
    let next = totp.code_at(shop.clock.now());
    assert!(is_accepted(&shop.try_code(&hanako, &next).await));
    let told = attempts(&shop.store, Wanted::Account(hanako)).await;
    assert_eq!(told.len(), 2);
}

#[tokio::test]
async fn stations_that_ended_are_forgotten_wherever_they_stand() {
    let shop = shop();
    let (hanako, taro) = (account("hanako"), account("taro"));
    shop.store.record(Arc::new(accept(&hanako))).await.unwrap();
    shop.fold().await;
    shop.store.record(Arc::new(accept(&taro))).await.unwrap();
    shop.clock.shift_by(14 * 24 * HOUR + 1000);
    shop.store.sweep().await.unwrap();
    drop(shop.store);
    let found: i64 = Connection::open(shop.folder.path().join("sekisho.db"))
        .unwrap()
        .query_row(
            "SELECT (SELECT count(*) FROM account WHERE stations <> '[]')
                + (SELECT count(*) FROM account_change WHERE stations <> '[]')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(found, 0);
}

/// Somebody's row is lost: the others' logins go on, and somebody is told.
#[tokio::test]
async fn change_that_cannot_be_folded_is_kept_and_an_alarm() {
    let shop = shop();
    let (hanako, taro) = (account("hanako"), account("taro"));
    for account in [&hanako, &taro] {
        shop.store.record(Arc::new(accept(account))).await.unwrap();
    }
    let lost = shop.look();
    lost.execute("DELETE FROM account WHERE stable LIKE '%taro%'", [])
        .unwrap();
    shop.clock.shift_by(HOUR + 1000);
    shop.store.record(Arc::new(accept(&hanako))).await.unwrap();
    let told = || shop.store.health().last_error.unwrap_or_default();
    wait(|| told().contains("cannot be folded"), told);
    shop.store.record(Arc::new(accept(&hanako))).await.unwrap();
    assert!(shop.store.health().writable);
    assert_eq!(shop.changes_and_rows().0, 4);
    let told = attempts(&shop.store, Wanted::Account(hanako)).await;
    assert_eq!(told.len(), 3);
}

/// People, and how many of their decisions were answered.
struct Crowd {
    ids: Vec<AccountId>,
    answered: Vec<AtomicUsize>,
    over: AtomicBool,
}

impl Crowd {
    async fn reads(&self, store: &Store, offset: usize) {
        for turn in 0.. {
            let one = (turn * 7 + offset * 61) % self.ids.len();
            let answered = self.answered[one].load(Ordering::Acquire);
            let told = attempts(store, Wanted::Account(self.ids[one].clone())).await;
            assert!(told.len() >= answered, "{} of {answered}", told.len());
            let standing = store.standing(&self.ids[one], &super::station()).unwrap();
            assert!(standing.passwords.known_station);
            if self.over.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    async fn logs_in(&self, store: &Store, times: usize) {
        for turn in 0..times {
            let one = turn * 31 % self.ids.len();
            let decision = Arc::new(accept(&self.ids[one]));
            store.record(decision).await.unwrap();
            self.answered[one].fetch_add(1, Ordering::Release);
        }
    }
}

/// Runs on a thread of its own.
fn alone(work: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().unwrap().block_on(work);
}

/// Opened with so many changes that folding begins with the first login, and goes on with each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_what_was_answered_while_it_is_folded() {
    const PEOPLE: u32 = 200;
    const LOGINS: usize = 1500;
    let shop = shop();
    let ids: Vec<AccountId> = (0..PEOPLE).map(|id| account(&id.to_string())).collect();
    for id in &ids {
        shop.store.record(Arc::new(accept(id))).await.unwrap();
    }
    let shop = shop.reopen();
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i * ?1 < ?2)
        INSERT INTO account_change (account, newest, factors, stations)
        SELECT id, newest, factors, stations FROM n, account";
    shop.look().execute(sql, (PEOPLE, MANY)).unwrap();
    let shop = shop.killed();
    let before = shop.changes_and_rows().0;
    let crowd = Crowd {
        answered: ids.iter().map(|_| AtomicUsize::new(1)).collect(),
        ids,
        over: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        let (crowd, store) = (&crowd, &shop.store);
        for offset in 0..3 {
            scope.spawn(move || alone(crowd.reads(store, offset)));
        }
        let writer = scope.spawn(move || {
            alone(async {
                tokio::join!(crowd.logs_in(store, LOGINS), crowd.logs_in(store, LOGINS));
            });
        });
        let written = writer.join();
        crowd.over.store(true, Ordering::Relaxed);
        written.unwrap();
    });
    let left = shop.changes_and_rows().0;
    assert!(left < before, "nothing was removed: {left} of {before}");
    for (id, answered) in crowd.ids.iter().zip(&crowd.answered) {
        let told = attempts(&shop.store, Wanted::Account(id.clone())).await;
        assert_eq!(told.len(), answered.load(Ordering::Relaxed));
    }
    let of_name = Wanted::Name(AccountKey::from_stored("campus/hanako"));
    let told = attempts(&shop.store, of_name).await;
    assert_eq!(told.len(), PEOPLE as usize + 2 * LOGINS);
}

/// What happens to the store and its people.
#[derive(Clone, Debug)]
enum Act {
    Login { who: usize, factor: usize, from: u8 },
    Later,
    Enrol { who: usize },
    Remove { who: usize, factor: usize },
    Reset { who: usize },
    Sweep,
    Fold,
    Reopen,
    Kill,
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0..3_usize;
    prop_oneof![
        12 => (who.clone(), 0..2_usize, 0..3_u8)
            .prop_map(|(who, factor, from)| Act::Login { who, factor, from }),
        4 => Just(Act::Later),
        4 => who.clone().prop_map(|who| Act::Enrol { who }),
        1 => (who.clone(), 0..2_usize).prop_map(|(who, factor)| Act::Remove { who, factor }),
        1 => who.prop_map(|who| Act::Reset { who }),
        1 => Just(Act::Sweep),
        2 => Just(Act::Fold),
        1 => Just(Act::Reopen),
        2 => Just(Act::Kill),
    ]
}

/// Somebody as a model that keeps everything at hand.
#[derive(Default)]
struct Person {
    factors: Vec<(i64, Totp, Option<i64>)>,
    stations: std::collections::BTreeSet<u8>,
    attempts: Vec<AttemptId>,
}

/// A store and the model of it.
struct Twin {
    shop: Shop,
    people: [Person; 3],
    seeds: u8,
}

impl Twin {
    async fn act(mut self, act: Act) -> Self {
        match act {
            Act::Login { who, factor, from } => self.login(who, factor, from).await,
            Act::Later => self.shop.clock.shift_by(30_000),
            Act::Enrol { who } => self.enrol(who).await,
            Act::Remove { who, factor } => {
                let factors = &mut self.people[who].factors;
                if factor < factors.len() {
                    let (id, ..) = factors.remove(factor);
                    let removed = self.shop.store.remove_factor(&name(who), id).await;
                    assert!(removed.unwrap());
                }
            }
            Act::Reset { who } => {
                let had = self.people[who].factors.drain(..).count() as u64;
                assert_eq!(self.shop.store.reset(&name(who)).await.unwrap(), had);
            }
            Act::Sweep => self.shop.store.sweep().await.unwrap(),
            Act::Fold => self.shop.fold().await,
            Act::Reopen => self.shop = self.shop.reopen(),
            Act::Kill => self.shop = self.shop.killed(),
        }
        self
    }

    async fn enrol(&mut self, who: usize) {
        if self.people[who].factors.len() >= 2 {
            return;
        }
        self.seeds += 1;
        let seed = Secret::new(vec![self.seeds; 20]);
        let totp = Totp::new(seed, Algorithm::Sha1, 6).unwrap();
        let (name, store) = (name(who), &self.shop.store);
        let id = store.enrol_totp(&name, "", "", totp.clone(), Proof::Waived);
        let id = id.await.unwrap();
        self.people[who].factors.push((id, totp, None));
    }

    async fn login(&mut self, who: usize, factor: usize, from: u8) {
        let at = self.shop.clock.now();
        let person = &mut self.people[who];
        let Some((_, totp, _)) = person.factors.get(factor) else {
            return;
        };
        let (code, step) = (totp.code_at(at), at.millis().div_euclid(30_000));
        let others = person.factors.iter().enumerate();
        let mut others = others.filter(|(other, _)| *other != factor);
        let near = |totp: &Totp, by| totp.code_at(Timestamp::from_millis(at.millis() + by));
        let steps = [-60_000, -30_000, 0, 30_000, 60_000];
        if others.any(|(_, (_, other, _))| steps.iter().any(|by| near(other, *by) == code)) {
            return;
        }
        let mut decision = accept(&name(who));
        decision.station = place(from);
        let attempt = decision.attempt.clone();
        let (_, _, used) = &mut person.factors[factor];
        let name = name(who);
        let judged = self.shop.store.use_code(&name, &code, ALL, decision).await;
        let judged = judged.unwrap();
        if used.is_none_or(|used| used < step) {
            assert!(is_accepted(&judged), "{judged:?}");
            *used = Some(step);
            person.stations.insert(from);
            person.attempts.insert(0, attempt);
        } else {
            assert_eq!(judged, USED);
        }
    }

    async fn compare(&self) {
        for (who, person) in self.people.iter().enumerate() {
            let (name, store) = (name(who), &self.shop.store);
            let known = store.known(&name).await.unwrap();
            let factors = known.map(|known| known.factors).unwrap_or_default();
            let found: Vec<_> = factors.iter().map(|f| (f.id, f.used.is_some())).collect();
            let expected = person.factors.iter();
            let expected: Vec<_> = expected
                .map(|(id, _, used)| (*id, used.is_some()))
                .collect();
            assert_eq!(found, expected);
            let told = attempts(store, Wanted::Account(name.clone())).await;
            assert_eq!(told, person.attempts);
            for from in 0..3 {
                let standing = store.standing(&name, &place(from)).unwrap();
                let known = person.stations.contains(&from);
                assert_eq!(standing.passwords.known_station, known);
                assert_eq!(standing.factors.len(), expected.len());
            }
        }
    }
}

fn name(who: usize) -> AccountId {
    account(&format!("person{who}"))
}

fn place(from: u8) -> Station {
    Station::read(&format!("203.0.113.{from}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_store_is_what_a_plain_model_is(
        acts in proptest::collection::vec(act(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            let mut twin = Twin { shop: shop(), people: Default::default(), seeds: 0 };
            for act in acts {
                let looked = matches!(act, Act::Fold | Act::Reopen | Act::Kill | Act::Remove { .. });
                twin = twin.act(act).await;
                if looked {
                    twin.compare().await;
                }
            }
            twin.compare().await;
        });
    }
}
