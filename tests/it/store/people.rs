//! Accounts, their factors, and wrong passwords.

use std::sync::Arc;

use sekisho::account::{Decision, Outcome, Reason, Station};
use sekisho::factor::Totp;
use sekisho::store::{Error, PasswordStanding, Proof};

use super::{HOUR, Shop, accept, account, decision, failure, shop, station};

async fn wrong_password(shop: &Shop, station: &str) {
    let hanako = account("hanako");
    let failure = failure(Some(&hanako), "campus/hanako", shop.clock.now());
    shop.store
        .wrong_password(&hanako, &Station::read(station), failure)
        .await
        .unwrap();
}

fn passwords(shop: &Shop, station: &str) -> PasswordStanding {
    shop.store
        .standing(&account("hanako"), &Station::read(station))
        .unwrap()
        .passwords
}

#[tokio::test]
async fn wrong_passwords_of_strangers_do_not_touch_the_own_station() {
    let shop = shop();
    let hanako = account("hanako");
    shop.store.record(Arc::new(accept(&hanako))).await.unwrap();
    for last in 1..=4 {
        wrong_password(&shop, &format!("198.51.100.{last}")).await;
    }
    wrong_password(&shop, "203.0.113.7").await;
    let own = passwords(&shop, "203.0.113.7");
    assert!(own.known_station);
    assert_eq!((own.wrong_here, own.wrong_strangers), (1, 4));
    assert_eq!(own.wrong_own, 1);
    let stranger = passwords(&shop, "198.51.100.1");
    assert!(!stranger.known_station);
    assert_eq!((stranger.wrong_here, stranger.wrong_strangers), (1, 4));
    assert!(stranger.last_wrong.is_some() && stranger.last_wrong <= own.last_wrong);

    let office = Decision {
        station: Station::read("203.0.113.8"),
        ..accept(&hanako)
    };
    shop.store.record(Arc::new(office)).await.unwrap();
    assert_eq!(passwords(&shop, "203.0.113.7").wrong_here, 0);
    assert_eq!(passwords(&shop, "203.0.113.7").wrong_own, 0);
    assert_eq!(passwords(&shop, "203.0.113.7").wrong_strangers, 4);
    let shop = shop.reopen();
    assert_eq!(passwords(&shop, "unknown").wrong_strangers, 4);
    shop.clock.shift_by(901_000);
    assert_eq!(
        passwords(&shop, "198.51.100.1"),
        PasswordStanding::default()
    );
}

#[tokio::test]
async fn unknown_station_is_never_known_and_stations_end() {
    let shop = shop();
    let hanako = account("hanako");
    let mut unknown = accept(&hanako);
    unknown.station = Station::Unknown;
    shop.store.record(Arc::new(unknown)).await.unwrap();
    assert!(!passwords(&shop, "unknown").known_station);
    let rejected = decision(Some(&hanako), Outcome::Reject, Reason::WrongCode);
    shop.store.record(Arc::new(rejected)).await.unwrap();
    assert!(
        !passwords(&shop, "203.0.113.7").known_station,
        "a reject makes nothing known"
    );
    shop.store.record(Arc::new(accept(&hanako))).await.unwrap();
    assert!(passwords(&shop, "203.0.113.7").known_station);
    shop.clock.shift_by(14 * 24 * HOUR + 1000);
    assert!(!passwords(&shop, "203.0.113.7").known_station);
    shop.store.sweep().await.unwrap();
    assert!(!passwords(&shop, "203.0.113.7").known_station);
}

#[tokio::test]
async fn accounts_are_listed_by_name_with_factors_or_lock() {
    let shop = shop();
    for name in ["c", "a", "b"] {
        shop.store
            .enrol_totp(&account(name), name, "phone", Totp::random(), Proof::Waived)
            .await
            .unwrap();
    }
    shop.store
        .record(Arc::new(accept(&account("nothing"))))
        .await
        .unwrap();
    let names = |list: Vec<sekisho::store::KnownAccount>| -> Vec<String> {
        list.into_iter().map(|known| known.name).collect()
    };
    assert_eq!(
        names(shop.store.accounts(None, 2).await.unwrap()),
        ["a", "b"]
    );
    assert_eq!(
        names(shop.store.accounts(Some("b".into()), 2).await.unwrap()),
        ["c"]
    );
    let health = shop.store.health();
    assert!(health.writable);
    assert_eq!(
        (health.accounts, health.audit_rows, health.schema),
        (3, 1, 5)
    );
    assert!(health.octets > 4096);
    assert!(
        shop.store
            .known(&account("nobody"))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn factor_is_removed_once_and_their_number_is_bounded() {
    let shop = shop();
    let hanako = account("hanako");
    let (id, _) = shop.enrolled(&hanako).await;
    assert!(
        !shop
            .store
            .remove_factor(&account("taro"), id)
            .await
            .unwrap()
    );
    assert!(shop.store.remove_factor(&hanako, id).await.unwrap());
    assert!(!shop.store.remove_factor(&hanako, id).await.unwrap());
    for _ in 0..16 {
        let (new, _) = shop.enrolled(&hanako).await;
        assert_ne!(new, id);
    }
    let refused = shop
        .store
        .enrol_totp(
            &hanako,
            "campus/hanako",
            "phone",
            Totp::random(),
            Proof::Waived,
        )
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Unwritable(_)));
    assert!(
        refused.to_string().contains("at most 16 factors"),
        "{refused}"
    );
    assert!(shop.store.health().writable, "that is no fault of the disk");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_failing_job_does_not_hurt_the_others_of_its_commit() {
    let shop = shop();
    let hanako = account("hanako");
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..40 {
        let (store, hanako) = (shop.store.clone(), hanako.clone());
        tasks.spawn(async move {
            if index % 2 == 0 {
                let totp = Totp::random();
                store
                    .enrol_totp(&hanako, "campus/hanako", "", totp, Proof::Waived)
                    .await
                    .is_ok()
            } else {
                store.record(Arc::new(accept(&hanako))).await.is_ok()
            }
        });
    }
    let done = tasks.join_all().await;
    assert_eq!(done.iter().filter(|done| **done).count(), 16 + 20);
    assert_eq!(shop.store.health().audit_rows, 20);
}

#[tokio::test]
async fn name_is_the_one_used_last() {
    let shop = shop();
    let hanako = account("hanako");
    shop.enrolled(&hanako).await;
    let mut married = accept(&hanako);
    married.name = "campus/花子".into();
    shop.store.record(Arc::new(married)).await.unwrap();
    let known = shop.store.known(&hanako).await.unwrap().unwrap();
    assert_eq!(known.name, "campus/花子");
    assert_eq!(passwords(&shop, &station().to_string()).wrong_here, 0);
}

#[tokio::test]
async fn stations_are_at_most_32_and_the_one_not_seen_for_longest_goes() {
    let shop = shop();
    let hanako = account("hanako");
    let log_in = async |last: u8| {
        let mut accepted = accept(&hanako);
        accepted.station = Station::read(&format!("203.0.113.{last}"));
        shop.store.record(Arc::new(accepted)).await.unwrap();
        shop.clock.shift_by(1000);
    };
    let knows = |last: u8| passwords(&shop, &format!("203.0.113.{last}")).known_station;
    for last in 1..=32 {
        log_in(last).await;
    }
    assert!((1..=32).all(knows));
    shop.clock.shift_by(25 * HOUR);
    log_in(1).await;
    log_in(33).await;
    assert!(knows(33) && knows(1), "the first was seen again");
    assert!(!knows(2), "now the second was not seen for longest");
    assert!((3..=32).all(knows));
    shop.clock.shift_by(14 * 24 * HOUR - 60_000);
    assert!(knows(33) && !knows(3));
    shop.store.sweep().await.unwrap();
    assert!(knows(33) && knows(1) && !knows(3));
    drop(shop.store);
    let text: String = rusqlite::Connection::open(shop.folder.path().join("sekisho.db"))
        .unwrap()
        .query_row("SELECT stations FROM account", [], |row| row.get(0))
        .unwrap();
    assert_eq!(
        text.matches("203.0.113.").count(),
        2,
        "those that ended are forgotten: {text}"
    );
}
