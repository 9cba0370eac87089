//! Retries: the attempt, not the packet.

use sekisho::access::Attempt;
use sekisho::account::{Reason, Station};

use super::house::{House, accepted, appending, asking, attempt, challenged, client};

#[tokio::test]
async fn a_retry_after_a_lost_accept_is_accepted_without_a_second_bind() {
    let house = House::start();
    let totp = house.enrol("taro").await;
    let typed = format!("himitsu{}", house.code(&totp));
    let first = house.try_in(&appending(), "taro", &typed).await;
    assert!(accepted(&first), "{:?}", first.decision);
    let at_the_other_box = Attempt {
        nas: "192.0.2.11".parse().unwrap(),
        ..attempt(&appending(), "taro", &typed)
    };
    let retry = house.access.decide(at_the_other_box).await;
    assert_eq!(retry.verdict, first.verdict);
    assert_eq!(retry.decision.reason, Reason::Repeated);
    assert_eq!(retry.decision.attempt, first.decision.attempt);
    house.has_bound("taro", 1).await;
}

#[tokio::test]
async fn a_code_is_accepted_once_whatever_comes_at_the_same_moment() {
    let house = House::start();
    let totp = house.enrol("taro").await;
    let typed = format!("himitsu{}", house.code(&totp));
    let other = client("other", &appending().code);
    let there = Attempt {
        station: Station::read("198.51.100.8"),
        ..attempt(&appending(), "taro", &typed)
    };
    let mine = appending();
    let (here, group, there) = tokio::join!(
        house.try_in(&mine, "taro", &typed),
        house.try_in(&other, "taro", &typed),
        house.access.decide(there),
    );
    let accepts = [&here, &group, &there].into_iter().filter(|a| accepted(a));
    assert_eq!(accepts.count(), 1, "{here:?} {group:?} {there:?}");
}

#[tokio::test]
async fn retries_in_work_are_joined_and_each_gets_its_own_state() {
    let house = House::start();
    let totp = house.enrol("taro").await;
    let vpn = asking();
    let (one, two) = tokio::join!(
        house.try_in(&vpn, "taro", "himitsu"),
        house.try_in(&vpn, "taro", "himitsu"),
    );
    house.has_bound("taro", 1).await;
    let (first, second) = (challenged(&one).0, challenged(&two).0);
    assert_ne!(first, second);
    assert_eq!(one.decision.attempt, two.decision.attempt);
    let code = house.code(&totp);
    assert!(accepted(&house.answer(&vpn, "taro", second, &code).await));
}

#[tokio::test]
async fn one_message_is_sent_for_an_attempt_however_many_packets_ask() {
    let house = House::start();
    let vpn = asking();
    let (one, two) = tokio::join!(
        house.try_in(&vpn, "hanako", "himitsu"),
        house.try_in(&vpn, "hanako", "himitsu"),
    );
    assert_ne!(challenged(&one).0, challenged(&two).0);
    assert_eq!(house.messages("sms").len(), 1);
}

#[tokio::test]
async fn a_station_that_cannot_be_told_from_others_rides_no_login_in_work() {
    let house = House::start();
    let totp = house.enrol("taro").await;
    let typed = format!("himitsu{}", house.code(&totp));
    let unknown = || Attempt {
        station: Station::Unknown,
        ..attempt(&appending(), "taro", &typed)
    };
    let (one, other) = tokio::join!(
        house.access.decide(unknown()),
        house.access.decide(unknown())
    );
    let reasons = [one.decision.reason, other.decision.reason];
    assert!(
        reasons.contains(&Reason::Proven) && reasons.contains(&Reason::CodeUsed),
        "{reasons:?}"
    );
    let retry = house.access.decide(unknown()).await;
    assert_eq!(
        retry.decision.reason,
        Reason::Repeated,
        "the lost verdict on a typed code"
    );
}

#[tokio::test]
async fn the_answer_to_a_challenge_is_given_again_too() {
    let house = House::start();
    let totp = house.enrol("taro").await;
    let (state, _) = challenged(&house.try_in(&asking(), "taro", "himitsu").await);
    let code = house.code(&totp);
    for reason in [Reason::Proven, Reason::Repeated] {
        let answer = house.answer(&asking(), "taro", state, &code).await;
        assert!(accepted(&answer), "{:?}", answer.decision);
        assert_eq!(answer.decision.reason, reason);
    }
}
