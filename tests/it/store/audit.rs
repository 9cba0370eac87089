//! The trail: told as it was written, bounded whatever comes.

use std::sync::Arc;
use std::time::Duration;

use sekisho::account::{AccountKey, AttemptId, ClientName, Outcome, Reason, Station};
use sekisho::store::{AccountingRecord, Joining, Recorded, Store, Told, Wanted};

use super::{Shop, accept, account, decision, failure, open, settings, shop};

async fn story(shop: &Shop, wanted: Wanted) -> Vec<Told> {
    shop.store.story(wanted, 100).await.unwrap()
}

#[tokio::test]
async fn decision_is_told_as_it_was_written() {
    let shop = shop();
    let hanako = account("hanako");
    let mut first = accept(&hanako);
    first.note = Some("注".into());
    let mut bare = decision(None, Outcome::Undecided, Reason::DirectoryUnavailable);
    (bare.station, bare.zone, bare.rule) = (Station::Unknown, None, None);
    bare.at = first.at.after(Duration::from_secs(1));
    for decision in [&first, &bare] {
        shop.store.record(Arc::new(decision.clone())).await.unwrap();
    }
    let shop = shop.reopen();
    let told = story(&shop, Wanted::Newest).await;
    let told: Vec<_> = told
        .iter()
        .map(|told| match told {
            Told::Decision(decision) => serde_json::to_value(decision).unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [&bare, &first].map(|decision| serde_json::to_value(decision).unwrap())
    );

    for wanted in [
        Wanted::Account(hanako.clone()),
        Wanted::Attempt(first.attempt.clone()),
    ] {
        let told = story(&shop, wanted).await;
        assert!(matches!(&told[..], [Told::Decision(one)] if one.attempt == first.attempt));
    }
    let of_name = story(
        &shop,
        Wanted::Name(AccountKey::from_stored("campus/hanako")),
    )
    .await;
    assert_eq!(of_name.len(), 2, "with account and without");
    assert!(
        story(&shop, Wanted::Attempt(AttemptId::new(first.at)))
            .await
            .is_empty()
    );
    assert!(
        story(&shop, Wanted::Account(account("nobody")))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn failures_are_counted_by_minute_with_samples() {
    let shop = shop();
    let minute =
        sekisho::clock::Timestamp::from_millis(shop.clock.now().millis() / 60_000 * 60_000);
    for index in 0..1000 {
        shop.store
            .count_failure(failure(None, &format!("campus/guess{index}"), minute));
    }
    shop.store
        .count_failure(failure(Some(&account("hanako")), "campus/hanako", minute));
    shop.store
        .record_operator(1000, Some(&account("hanako")), "unlocked")
        .await
        .unwrap();
    let all = story(&shop, Wanted::Newest).await;
    assert_eq!(all.len(), 3);
    let of_name = story(
        &shop,
        Wanted::Name(AccountKey::from_stored("campus/guess3")),
    )
    .await;
    let [
        Told::Failures {
            count,
            account: None,
            names,
            stations,
            reason,
            ..
        },
    ] = &of_name[..]
    else {
        panic!("{of_name:?}");
    };
    assert_eq!((*count, names.len(), stations.len()), (1000, 16, 1));
    assert_eq!(*reason, Reason::WrongCode);
    let hers = story(&shop, Wanted::Account(account("hanako"))).await;
    assert!(matches!(
        &hers[..],
        [
            Told::Operator { uid: 1000, .. },
            Told::Failures { count: 1, .. }
        ]
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_thousand_junk_logins_hardly_grow_the_store() {
    let shop = shop().reopen();
    let before = size(&shop);
    let hanako = account("hanako");
    for index in 0..100_000_u32 {
        let name = format!("campus/{index:0200}");
        let mut junk = failure(None, &name, shop.clock.now());
        let mut decision = (*junk.decision).clone();
        decision.station = Station::Address(std::net::Ipv4Addr::from(index).into());
        junk.decision = Arc::new(decision);
        if index % 4 == 0 {
            let station = junk.decision.station.clone();
            let junk = failure(Some(&hanako), &name, shop.clock.now());
            if index % 400 == 0 {
                shop.store
                    .wrong_password(&hanako, &station, junk)
                    .await
                    .unwrap();
            } else {
                shop.store.count_failure(junk);
            }
        } else {
            shop.store.count_failure(junk);
        }
        if index % 1000 == 0 {
            shop.store.flush().await.unwrap();
        }
    }
    shop.store.flush().await.unwrap();
    assert_eq!(shop.store.health().failures_lost, 0);
    let told = story(&shop, Wanted::Newest).await;
    let counted: u64 = told
        .iter()
        .map(|told| match told {
            Told::Failures { count, .. } => *count,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(counted, 100_000);
    let with_log = size(&shop);
    assert!(
        with_log < before + (10 << 20),
        "the log is bounded: {with_log} octets"
    );
    let grown = size(&shop.reopen()).saturating_sub(before);
    assert!(grown < 2 << 20, "grew by {grown} octets");
}

fn size(shop: &Shop) -> u64 {
    shop.store.health().octets
}

#[tokio::test]
async fn sweep_keeps_the_newest_rows_and_the_newest_days() {
    let folder = tempfile::tempdir().unwrap();
    let clock = sekisho::clock::Clock::shifted(0);
    let mut few = settings(folder.path());
    few.audit_rows = 10;
    let (store, _): (Store, _) = open(&few, &clock).unwrap();
    let mut attempts = Vec::new();
    for _ in 0..2500 {
        let accepted = accept(&account("hanako"));
        attempts.push(accepted.attempt.clone());
        store.record(Arc::new(accepted)).await.unwrap();
    }
    store.sweep().await.unwrap();
    let told = store.story(Wanted::Newest, 100).await.unwrap();
    assert_eq!(told.len(), 10);
    assert!(matches!(&told[0], Told::Decision(newest) if Some(&newest.attempt) == attempts.last()));
    clock.shift_by(91 * 24 * super::HOUR);
    store.sweep().await.unwrap();
    assert!(store.story(Wanted::Newest, 100).await.unwrap().is_empty());
    assert_eq!(store.health().audit_rows, 0);
}

async fn record_accounting(shop: &Shop, record: &AccountingRecord) -> Recorded {
    let (record, joining) = (record.clone(), Joining::default());
    let accounted = shop.store.record_accounting(record, joining).await;
    accounted.unwrap().recorded
}

#[tokio::test]
async fn accounting_is_kept_once() {
    let shop = shop();
    let record = |session: &str, status, octets: u32| AccountingRecord {
        at: shop.clock.now(),
        client: ClientName::new("vpn"),
        nas: "192.0.2.10".parse().unwrap(),
        session: session.into(),
        status,
        name: "hanako".into(),
        station: super::station(),
        details: serde_json::json!({ "octets-in": octets }),
    };
    for (record, expected) in [
        (record("1", 1, 0), Recorded::New),
        (record("1", 1, 0), Recorded::Known),
        (record("1", 3, 10), Recorded::New),
        (record("1", 3, 10), Recorded::Known),
        (record("1", 3, 20), Recorded::New),
        (record("1", 2, 30), Recorded::New),
        (record("1", 2, 31), Recorded::Known),
        (record("2", 1, 0), Recorded::New),
    ] {
        assert_eq!(
            record_accounting(&shop, &record).await,
            expected,
            "{record:?}"
        );
    }
}

/// The decisions of an account, as their notes.
async fn notes(shop: &Shop, wanted: Wanted, limit: u32) -> Vec<String> {
    let told = shop.store.story(wanted, limit).await.unwrap();
    told.into_iter()
        .map(|told| match told {
            Told::Decision(decision) => decision.note.unwrap().to_string(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn each_account_has_its_own_decisions_newest_first() {
    let shop = shop();
    let people: Vec<_> = (0..50).map(|who| account(&format!("p{who}"))).collect();
    for round in 0..12 {
        for (who, account) in people.iter().enumerate() {
            let outcome = match (round + who) % 3 {
                0 => Outcome::Accept,
                1 => Outcome::Challenge,
                _ => Outcome::Reject,
            };
            let mut decided = decision(Some(account), outcome, Reason::Proven);
            // The first five are of one name.
            decided.name = format!("campus/n{}", who / 5).into();
            decided.at = shop.clock.now().after(Duration::from_secs(round as u64));
            decided.note = Some(format!("{who}/{round}").into());
            shop.store.record(Arc::new(decided)).await.unwrap();
        }
    }
    let shop = shop.reopen();
    for (who, account) in people.iter().enumerate() {
        let expected: Vec<String> = (0..12)
            .rev()
            .map(|round| format!("{who}/{round}"))
            .collect();
        let wanted = Wanted::Account(account.clone());
        assert_eq!(notes(&shop, wanted.clone(), 100).await, expected);
        assert_eq!(notes(&shop, wanted, 5).await, expected[..5]);
    }
    let of_name = notes(&shop, Wanted::Name(AccountKey::from_stored("campus/n0")), 7).await;
    let newest: Vec<&str> = of_name.iter().map(String::as_str).collect();
    assert_eq!(newest[5..], ["4/10", "3/10"], "{newest:?}");
    for who in 0..5 {
        assert!(newest.contains(&format!("{who}/11").as_str()), "{newest:?}");
    }
}

/// What was thrown away ends the chain; what comes after it is told, also when the numbers of rows begin anew.
#[tokio::test]
async fn pruned_decisions_end_the_chain_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let clock = sekisho::clock::Clock::shifted(0);
    let mut few = settings(folder.path());
    few.audit_rows = 10;
    let (store, master) = open(&few, &clock).unwrap();
    let shop = Shop {
        store,
        clock,
        master,
        settings: few,
        folder,
    };
    let record = async |who: &str, note: &str| {
        let mut decided = accept(&account(who));
        decided.at = shop.clock.now();
        decided.note = Some(note.into());
        shop.store.record(Arc::new(decided)).await.unwrap();
    };
    let story = async |who: &str| notes(&shop, Wanted::Account(account(who)), 100).await;
    for round in 0..10 {
        record("hanako", &format!("h{round}")).await;
        record("taro", &format!("t{round}")).await;
    }
    record("jiro", "j").await;
    shop.store.sweep().await.unwrap();
    assert_eq!(story("hanako").await, ["h9", "h8", "h7", "h6"]);
    assert_eq!(story("taro").await, ["t9", "t8", "t7", "t6", "t5"]);
    assert_eq!(story("jiro").await, ["j"]);

    shop.clock.shift_by(91 * 24 * super::HOUR);
    shop.store.sweep().await.unwrap();
    assert!(story("hanako").await.is_empty());
    // Their rows have the numbers that those thrown away had.
    for round in 0..30 {
        let who = ["taro", "hanako"][usize::from(round > 20)];
        record(who, &format!("n{round}")).await;
    }
    let expected = |rounds: std::ops::Range<i32>| -> Vec<String> {
        rounds.rev().map(|round| format!("n{round}")).collect()
    };
    assert_eq!(story("hanako").await, expected(21..30));
    assert_eq!(story("taro").await, expected(0..21));
    assert!(story("jiro").await.is_empty());
}
