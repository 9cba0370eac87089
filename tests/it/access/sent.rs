//! Codes that are sent to the directory's number.

use std::time::Duration;

use sekisho::access::CodeEntry;
use sekisho::account::{FactorKind, Reason};

use super::house::{House, accepted, appending, asking, challenged, client, rejected};

#[tokio::test]
async fn a_code_is_sent_and_asked_for_in_her_language() {
    let house = House::start();
    let first = house.try_in(&asking(), "yuki", "himitsu").await;
    assert_eq!(first.decision.reason, Reason::CodeSent);
    let (state, text) = challenged(&first);
    assert_eq!(
        text,
        "SMSを末尾4321の番号へ送信。確認コードを入力 (one-time password): "
    );
    let answer = house
        .answer(&asking(), "yuki", state, &house.sms_code())
        .await;
    assert!(accepted(&answer), "{:?}", answer.decision);
    assert_eq!(answer.decision.factor, Some(FactorKind::Sms));
}

#[tokio::test]
async fn gear_that_cannot_be_asked_has_her_log_in_again_with_the_code() {
    let house = House::start();
    for _ in 0..2 {
        let first = house.try_in(&appending(), "hanako", "himitsu").await;
        let text = rejected(&first, Reason::CodeSent);
        assert!(text.contains("ending 5678. Log in again"), "{text}");
        assert!(text.len() <= 253);
    }
    let typed = format!("himitsu{}", house.sms_code());
    let answer = house.try_in(&appending(), "hanako", &typed).await;
    assert!(accepted(&answer), "{:?}", answer.decision);
    house.has_bound("hanako", 3).await;
}

#[tokio::test]
async fn nothing_is_sent_before_the_password_is_proven() {
    let house = House::start();
    let both = client("both", &[CodeEntry::Delimited, CodeEntry::Challenge]);
    for typed in ["wrong,sms", "wrong,voice"] {
        let answer = house.try_in(&both, "hanako", typed).await;
        rejected(&answer, Reason::WrongPassword);
    }
    assert!(house.messages("sms").is_empty() && house.messages("voice").is_empty());
}

#[tokio::test]
async fn nothing_is_sent_to_who_has_a_factor_of_their_own() {
    let house = House::start();
    let totp = house.enrol("hanako").await;
    let both = client("both", &[CodeEntry::Delimited, CodeEntry::Challenge]);
    let (state, text) = challenged(&house.try_in(&both, "hanako", "himitsu,sms").await);
    assert!(text.starts_with("確認コードを入力"), "{text}");
    let (state, _) = challenged(&house.answer(&both, "hanako", state, "voice").await);
    assert!(house.messages("sms").is_empty() && house.messages("voice").is_empty());
    let code = house.code(&totp);
    assert!(accepted(&house.answer(&both, "hanako", state, &code).await));
}

#[tokio::test]
async fn a_call_is_made_when_it_is_asked_for_or_no_sms_can_be_sent() {
    let house = House::start();
    let (state, _) = challenged(&house.try_in(&asking(), "hanako", "himitsu").await);
    let called = house.answer(&asking(), "hanako", state, "voice").await;
    let (_, text) = challenged(&called);
    assert!(text.contains("Calling number ending 5678"), "{text}");
    assert_eq!(
        (house.messages("sms").len(), house.messages("voice").len()),
        (1, 1)
    );
    house.break_gateway("sms");
    let (_, text) = challenged(&house.try_in(&asking(), "yuki", "himitsu").await);
    assert!(text.contains("末尾4321の番号へ電話"), "{text}");
    assert_eq!(house.messages("voice").len(), 2);
}

#[tokio::test]
async fn when_no_gateway_takes_it_the_reference_is_told() {
    let house = House::start();
    house.break_gateway("sms");
    house.break_gateway("voice");
    let answer = house.try_in(&asking(), "hanako", "himitsu").await;
    let text = rejected(&answer, Reason::GatewayFailed);
    assert!(text.contains(answer.decision.attempt.as_str()), "{text}");
    let account = house.access.account("hanako").await.unwrap();
    let standing = house.store.standing(&account.id, &answer.decision.station);
    assert!(!standing.unwrap().sent_code_open);
}

#[tokio::test]
async fn who_has_neither_factor_nor_number_is_told_so() {
    let house = House::start();
    let answer = house.try_in(&asking(), "taro", "himitsu").await;
    let text = rejected(&answer, Reason::NoFactor);
    assert!(text.contains("MFA not set up"), "{text}");
}

#[tokio::test]
async fn another_message_is_sent_after_half_a_minute_at_most() {
    // The store's limit shows that a second message was counted, without half a minute's wait: a code that was used up
    // is no longer open, so that the next login has another sent.
    let house = House::start();
    let (state, _) = challenged(&house.try_in(&asking(), "hanako", "himitsu").await);
    assert!(accepted(
        &house
            .answer(&asking(), "hanako", state, &house.sms_code())
            .await
    ));
    house
        .clock
        .shift_by(i64::try_from(Duration::from_secs(60).as_millis()).unwrap());
    challenged(&house.try_in(&asking(), "hanako", "himitsu").await);
    assert_eq!(house.messages("sms").len(), 2);
}

#[tokio::test]
async fn another_message_is_sent_when_it_is_asked_for_after_the_code_was_tried_too_often() {
    let house = House::start();
    let (first, _) = challenged(&house.try_in(&asking(), "hanako", "himitsu").await);
    let (second, _) = challenged(&house.try_in(&asking(), "hanako", "himitsu").await);
    let right = house.sms_code();
    let guess = |n: u32| format!("{n:06}").replace(&right, "999999");
    let (first, _) = challenged(&house.answer(&asking(), "hanako", first, &guess(1)).await);
    challenged(&house.answer(&asking(), "hanako", first, &guess(2)).await);
    let (second, _) = challenged(&house.answer(&asking(), "hanako", second, &guess(3)).await);
    challenged(&house.answer(&asking(), "hanako", second, "sms").await);
    assert_eq!(house.messages("sms").len(), 2);
}

#[tokio::test]
async fn a_number_gets_five_messages_within_an_hour_and_no_more() {
    const LIFE_MILLIS: i64 = 301_000;
    let house = House::start();
    let mut reasons = Vec::new();
    for _ in 0..11 {
        let answer = house.try_in(&asking(), "hanako", "himitsu").await;
        reasons.push(answer.decision.reason);
        // So that the code is no longer open, and another would be sent.
        house.clock.shift_by(LIFE_MILLIS);
    }
    let (sent, stopped) = reasons.split_at(5);
    assert!(
        sent.iter().all(|why| *why == Reason::CodeSent),
        "{reasons:?}"
    );
    let limited = |why: &Reason| *why == Reason::MessageLimit;
    assert!(stopped.iter().all(limited), "{reasons:?}");
    assert_eq!(house.messages("sms").len(), 5);
    assert_eq!(house.messages("voice").len(), 0, "no way around it");
    house.clock.shift_by(3_600_000 - 11 * LIFE_MILLIS);
    let answer = house.try_in(&asking(), "hanako", "himitsu").await;
    assert_eq!(answer.decision.reason, Reason::CodeSent);
    assert_eq!(house.messages("sms").len(), 6);
}
