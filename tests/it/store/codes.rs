//! Codes: each works once, wrong ones are counted before anybody learns anything.

use std::collections::HashSet;

use proptest::prelude::*;
use sekisho::account::FactorKind;
use sekisho::clock::Timestamp;
use sekisho::factor::{Algorithm, OneTimeCode, RecoveryCode, Totp, TotpStep, typed_code};
use sekisho::secret::Secret;
use sekisho::store::{CodeIssued, CodeJudged, Proof, SentCode, Wanted};
use tokio::task::JoinSet;

use super::{ALL, HOUR, accept, account, limits, shop, wrong_code};

#[tokio::test]
async fn right_code_is_accepted_once_and_then_used() {
    let shop = shop();
    let hanako = account("hanako");
    let (id, totp) = shop.enrolled(&hanako).await;
    let code = totp.code_at(shop.clock.now());
    let accepted = CodeJudged::Accepted {
        kind: FactorKind::Totp,
        factor: Some(id),
    };
    assert_eq!(shop.try_code(&hanako, &code).await, accepted);
    let used = CodeJudged::Used(FactorKind::Totp);
    assert_eq!(shop.try_code(&hanako, &code).await, used);
    let shop = shop.reopen();
    assert_eq!(shop.try_code(&hanako, &code).await, used);
    let story = shop
        .store
        .story(Wanted::Account(hanako.clone()), 10)
        .await
        .unwrap();
    assert_eq!(story.len(), 1, "the accepted one alone was recorded");
    assert_eq!(
        shop.try_code(&hanako, "nonsense").await,
        CodeJudged::Wrong { left: 4 }
    );
}

#[tokio::test]
async fn code_that_proved_the_enrolment_is_used() {
    let shop = shop();
    let hanako = account("hanako");
    let (totp, now) = (Totp::random(), shop.clock.now());
    let code = totp.code_at(now);
    let step = totp.verify(&code, now).unwrap();
    shop.store
        .enrol_totp(
            &hanako,
            "campus/hanako",
            "phone",
            totp.clone(),
            Proof::Step(step),
        )
        .await
        .unwrap();
    assert_eq!(
        shop.try_code(&hanako, &code).await,
        CodeJudged::Used(FactorKind::Totp)
    );
    let before = totp.code_at(Timestamp::from_millis(now.millis() - 30_000));
    assert_eq!(
        shop.try_code(&hanako, &before).await,
        CodeJudged::Used(FactorKind::Totp),
        "an older step is over"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn same_code_from_64_at_once_is_accepted_once() {
    let shop = shop();
    let hanako = account("hanako");
    let (_, totp) = shop.enrolled(&hanako).await;
    let code = totp.code_at(shop.clock.now());
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let (store, hanako, code) = (shop.store.clone(), hanako.clone(), code.clone());
        tasks.spawn(async move {
            store
                .use_code(&hanako, &code, ALL, accept(&hanako))
                .await
                .unwrap()
        });
    }
    let judged = tasks.join_all().await;
    let accepted = |judged: &&CodeJudged| matches!(judged, CodeJudged::Accepted { .. });
    let used = |judged: &&CodeJudged| **judged == CodeJudged::Used(FactorKind::Totp);
    assert_eq!(judged.iter().filter(accepted).count(), 1);
    assert_eq!(judged.iter().filter(used).count(), 63);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wrong_codes_from_many_at_once_never_pass_the_limit() {
    let shop = shop();
    let hanako = account("hanako");
    let (_, totp) = shop.enrolled(&hanako).await;
    let mut tasks = JoinSet::new();
    for index in 0..200 {
        let (store, hanako) = (shop.store.clone(), hanako.clone());
        let code = wrong_code(&totp, &shop.clock, index);
        tasks.spawn(async move {
            store
                .use_code(&hanako, &code, ALL, accept(&hanako))
                .await
                .unwrap()
        });
    }
    let judged = tasks.join_all().await;
    let wrong = |judged: &&CodeJudged| matches!(judged, CodeJudged::Wrong { .. });
    assert_eq!(judged.iter().filter(wrong).count(), 5);
    let right = totp.code_at(shop.clock.now());
    let CodeJudged::Locked { until } = shop.try_code(&hanako, &right).await else {
        panic!("a right code after the limit must not be found");
    };
    let standing = shop.store.standing(&hanako, &super::station()).unwrap();
    assert_eq!(standing.locked_until, Some(until));
}

#[tokio::test]
async fn locks_double_up_to_a_day_until_a_right_code() {
    let shop = shop();
    let hanako = account("hanako");
    let (_, totp) = shop.enrolled(&hanako).await;
    let mut lengths = Vec::new();
    for round in 0..10 {
        for index in 0..5 {
            let code = wrong_code(&totp, &shop.clock, round * 5 + index);
            let left = 4 - index;
            assert_eq!(
                shop.try_code(&hanako, &code).await,
                CodeJudged::Wrong { left }
            );
        }
        let CodeJudged::Locked { until } = shop.try_code(&hanako, "000000").await else {
            panic!("five wrong codes lock");
        };
        let length = until.since(shop.clock.now());
        lengths.push((length.as_secs() + 30) / 60);
        shop.clock
            .shift_by(i64::try_from(length.as_millis()).unwrap() + 1000);
    }
    assert_eq!(lengths, [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
    let right = totp.code_at(shop.clock.now());
    assert!(matches!(
        shop.try_code(&hanako, &right).await,
        CodeJudged::Accepted { .. }
    ));
    for index in 90..95 {
        let code = wrong_code(&totp, &shop.clock, index);
        let _counted = shop.try_code(&hanako, &code).await;
    }
    let locked = shop.store.standing(&hanako, &super::station()).unwrap();
    let length = locked.locked_until.unwrap().since(shop.clock.now());
    assert!(
        length.as_secs() <= 600,
        "a right code began anew: {length:?}"
    );
    shop.store.unlock(&hanako).await.unwrap();
    let unlocked = shop.store.standing(&hanako, &super::station()).unwrap();
    assert_eq!(unlocked.locked_until, None);
}

#[tokio::test]
async fn same_wrong_code_counts_once() {
    let shop = shop();
    let hanako = account("hanako");
    let (_, totp) = shop.enrolled(&hanako).await;
    let wrong = wrong_code(&totp, &shop.clock, 1);
    for _ in 0..20 {
        assert_eq!(
            shop.try_code(&hanako, &wrong).await,
            CodeJudged::Wrong { left: 4 }
        );
    }
    let other = wrong_code(&totp, &shop.clock, 2);
    assert_eq!(
        shop.try_code(&hanako, &other).await,
        CodeJudged::Wrong { left: 3 }
    );
    shop.clock.shift_by(601_000);
    let again = wrong_code(&totp, &shop.clock, 1);
    assert_eq!(
        shop.try_code(&hanako, &again).await,
        CodeJudged::Wrong { left: 2 },
        "after the window it is a new guess"
    );
}

/// A code that is not judged again is no free guess at the codes of later steps.
#[tokio::test]
async fn wrong_code_repeated_is_not_tried_against_the_next_step() {
    let shop = shop();
    let hanako = account("hanako");
    let (_, totp) = shop.enrolled(&hanako).await;
    let later = totp.code_at(Timestamp::from_millis(shop.clock.now().millis() + 120_000));
    assert_eq!(
        shop.try_code(&hanako, &later).await,
        CodeJudged::Wrong { left: 4 }
    );
    shop.clock.shift_by(120_000);
    assert_eq!(
        shop.try_code(&hanako, &later).await,
        CodeJudged::Wrong { left: 4 }
    );
}

#[tokio::test]
async fn kinds_that_may_not_be_used_are_not_judged() {
    let shop = shop();
    let hanako = account("hanako");
    let (_, totp) = shop.enrolled(&hanako).await;
    let code = totp.code_at(shop.clock.now());
    let judged = shop
        .store
        .use_code(&hanako, &code, &[FactorKind::Recovery], accept(&hanako))
        .await
        .unwrap();
    assert_eq!(judged, CodeJudged::Wrong { left: 4 });
    assert!(matches!(
        shop.try_code(&hanako, &code).await,
        CodeJudged::Accepted { .. }
    ));
}

#[tokio::test]
async fn several_apps_each_work_with_their_own_codes() {
    let shop = shop();
    let hanako = account("hanako");
    let (first, phone) = shop.enrolled(&hanako).await;
    let token = Totp::new(
        Secret::from("12345678901234567890123456789012"),
        Algorithm::Sha256,
        8,
    )
    .unwrap();
    let second = shop
        .store
        .enrol_totp(
            &hanako,
            "campus/hanako",
            "携帯",
            token.clone(),
            Proof::Waived,
        )
        .await
        .unwrap();
    let standing = shop.store.standing(&hanako, &super::station()).unwrap();
    let proven: Vec<_> = standing
        .factors
        .iter()
        .map(|factor| (factor.digits, factor.proven))
        .collect();
    assert_eq!(proven, [(6, true), (8, false)]);
    for (id, totp) in [(second, token), (first, phone)] {
        assert_eq!(
            shop.try_code(&hanako, &totp.code_at(shop.clock.now()))
                .await,
            CodeJudged::Accepted {
                kind: FactorKind::Totp,
                factor: Some(id)
            }
        );
    }
    let known = shop.store.known(&hanako).await.unwrap().unwrap();
    assert!(
        known
            .factors
            .iter()
            .all(|factor| factor.proven && factor.used.is_some())
    );
}

#[tokio::test]
async fn each_recovery_code_works_once_for_its_account() {
    let shop = shop();
    let (hanako, taro) = (account("hanako"), account("taro"));
    let codes: Vec<String> = (0..10)
        .map(|_| typed_code(&RecoveryCode::random().shown()))
        .collect();
    let digests = codes
        .iter()
        .map(|code| RecoveryCode::digest(&shop.store.code_key(), hanako.as_str(), code))
        .collect();
    shop.store
        .replace_recovery_codes(&hanako, "campus/hanako", digests)
        .await
        .unwrap();
    let left = |shop: &super::Shop| {
        shop.store
            .standing(&hanako, &super::station())
            .unwrap()
            .factors
            .first()
            .map(|factor| factor.digits)
    };
    assert_eq!(left(&shop), Some(10));
    assert_eq!(
        shop.try_code(&taro, &codes[0]).await,
        CodeJudged::Wrong { left: 4 }
    );
    assert!(matches!(
        shop.try_code(&hanako, &codes[0]).await,
        CodeJudged::Accepted {
            kind: FactorKind::Recovery,
            factor: Some(_)
        }
    ));
    assert_eq!(
        shop.try_code(&hanako, &codes[0]).await,
        CodeJudged::Used(FactorKind::Recovery)
    );
    assert_eq!(left(&shop), Some(9));
    for code in &codes[1..] {
        assert!(matches!(
            shop.try_code(&hanako, code).await,
            CodeJudged::Accepted { .. }
        ));
    }
    assert_eq!(left(&shop), None, "an empty list is no factor");
    shop.store
        .replace_recovery_codes(&hanako, "campus/hanako", Vec::new())
        .await
        .unwrap();
    assert_eq!(
        shop.try_code(&hanako, &codes[0]).await,
        CodeJudged::Wrong { left: 4 }
    );
}

async fn send(shop: &super::Shop, code: &str) -> CodeIssued {
    let hanako = account("hanako");
    shop.store
        .issue_code(SentCode {
            digest: OneTimeCode::digest(&shop.store.code_key(), hanako.as_str(), code),
            account: hanako,
            kind: FactorKind::Sms,
            digits: 6,
            number: "+819012345678".into(),
            entry_changed: None,
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn sent_code_works_once_for_its_life_and_tries() {
    let shop = shop();
    let hanako = account("hanako");
    let standing = || shop.store.standing(&hanako, &super::station()).unwrap();
    assert_eq!(send(&shop, "111111").await, CodeIssued::Send);
    assert!(standing().sent_code_open);
    assert_eq!(standing().sent_code_digits, 6);
    assert_eq!(
        shop.try_code(&hanako, "111111").await,
        CodeJudged::Accepted {
            kind: FactorKind::Sms,
            factor: None
        }
    );
    assert!(!standing().sent_code_open);
    assert_eq!(
        shop.try_code(&hanako, "111111").await,
        CodeJudged::Used(FactorKind::Sms)
    );

    assert_eq!(send(&shop, "222222").await, CodeIssued::Send);
    for (code, left) in [("333331", 4), ("333332", 3), ("333333", 2)] {
        assert_eq!(
            shop.try_code(&hanako, code).await,
            CodeJudged::Wrong { left }
        );
    }
    assert!(!standing().sent_code_open, "its three tries are over");
    assert_eq!(
        shop.try_code(&hanako, "222222").await,
        CodeJudged::Wrong { left: 1 }
    );
    assert_eq!(send(&shop, "444444").await, CodeIssued::Send);
    assert_eq!(
        shop.try_code(&hanako, "555555").await,
        CodeJudged::Wrong { left: 0 },
        "a new code does not begin the count anew"
    );

    shop.store.unlock(&hanako).await.unwrap();
    assert_eq!(send(&shop, "666666").await, CodeIssued::Send);
    shop.store.withdraw_code(&hanako).await.unwrap();
    assert_eq!(
        shop.try_code(&hanako, "666666").await,
        CodeJudged::Wrong { left: 4 }
    );
    assert_eq!(send(&shop, "777777").await, CodeIssued::Send);
    shop.clock.shift_by(301_000);
    assert!(!standing().sent_code_open);
    assert_eq!(
        shop.try_code(&hanako, "777777").await,
        CodeJudged::Wrong { left: 3 }
    );
}

#[tokio::test]
async fn new_limits_hold_at_once() {
    let shop = shop();
    let hanako = account("hanako");
    let mut strict = limits();
    strict.wrong_codes = 1;
    shop.store.set_limits(strict);
    assert_eq!(
        shop.try_code(&hanako, "123456").await,
        CodeJudged::Wrong { left: 0 }
    );
    assert!(matches!(
        shop.try_code(&hanako, "123456").await,
        CodeJudged::Locked { .. }
    ));
    shop.clock.shift_by(HOUR);
    assert_eq!(
        shop.try_code(&hanako, "123456").await,
        CodeJudged::Wrong { left: 0 }
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is typed when, forwards or backwards in time: no step is accepted twice, and none before
    /// one that was accepted.
    #[test]
    fn steps_only_go_forward(moves in proptest::collection::vec((-3_i64..6, -2_i64..3), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let shop = shop();
            let hanako = account("hanako");
            let totp = Totp::random();
            shop.store.enrol_totp(&hanako, "campus/hanako", "phone", totp.clone(), Proof::Step(TotpStep(0))).await.unwrap();
            let (mut accepted, mut last) = (HashSet::new(), 0);
            for (steps, offset) in moves {
                shop.clock.shift_by(steps * 30_000);
                let typed = Timestamp::from_millis(shop.clock.now().millis() + offset * 30_000);
                if let CodeJudged::Accepted { .. } = shop.try_code(&hanako, &totp.code_at(typed)).await {
                    let step = typed.secs() / 30;
                    assert!(accepted.insert(step), "step {step} was accepted twice");
                    assert!(step > last, "step {step} was accepted after {last}");
                    last = step;
                }
                shop.store.unlock(&hanako).await.unwrap();
            }
        });
    }
}
