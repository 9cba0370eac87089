//! Codes of an app: appended, asked for, wrong, used before.

use std::sync::Arc;

use sekisho::access::{Attempt, ClientPolicy, CodeEntry, Ending, PushMode, Verdict};
use sekisho::account::{FactorKind, Outcome, Reason, Station};
use sekisho::store::{Told, Wanted};

use super::house::{CAMPUS, House, accepted, appending, asking, attempt, challenged, rejected};
use super::push::{conclude, phone_of, waits};
use crate::support::phone::approve;

#[tokio::test]
async fn password_and_code_in_one_cost_one_bind() {
    let house = House::start();
    let totp = house.enrol("taro").await;
    let typed = format!("himitsu{}", house.code(&totp));
    let answer = house
        .try_in(&appending(), "TARO@example.ac.jp", &typed)
        .await;
    let reply = vec!["watched".into(), "all".into()];
    assert_eq!(
        answer.verdict,
        Verdict::Accept { reply },
        "{:?}",
        answer.decision
    );
    house.has_bound("taro", 1).await;
    let decision = &answer.decision;
    assert_eq!(decision.reason, Reason::Proven);
    assert_eq!(decision.factor, Some(FactorKind::Totp));
    assert_eq!(&*decision.name, "campus/taro");
    assert_eq!(decision.rule.as_deref(), Some("always-ask group"));
    house.store.flush().await.unwrap();
    let account = decision.account.clone().unwrap();
    let story = house
        .store
        .story(Wanted::Account(account), 10)
        .await
        .unwrap();
    let kept = story.iter().find_map(|told| match told {
        Told::Decision(kept) => Some(kept),
        Told::Failures { .. } | Told::Operator { .. } => None,
    });
    let kept = kept.expect("the Accept is in the audit trail");
    assert_eq!(
        (kept.outcome, &kept.attempt),
        (Outcome::Accept, &decision.attempt)
    );
}

#[tokio::test]
async fn a_challenge_is_answered_with_the_facts_of_the_first_packet() {
    let house = House::start();
    let totp = house.enrol("taro").await;
    let client = asking();
    let first = house.try_in(&client, "taro", "himitsu").await;
    let (state, text) = challenged(&first);
    assert_eq!(text, "確認コードを入力 / Enter one-time password: ");
    let answer = house
        .answer(&client, "taro", state, &house.code(&totp))
        .await;
    assert!(accepted(&answer), "{:?}", answer.decision);
    assert_eq!(answer.decision.attempt, first.decision.attempt);
    assert_eq!(answer.decision.station, first.decision.station);
    house.has_bound("taro", 1).await;
    house.clock.shift_by(30_000);
    let again = house
        .answer(&client, "taro", state, &house.code(&totp))
        .await;
    rejected(&again, Reason::UnknownChallenge);
}

#[tokio::test]
async fn a_state_is_of_no_use_to_another_name_or_client() {
    let house = House::start();
    let totp = house.enrol("taro").await;
    house.enrol("hanako").await;
    let (state, _) = challenged(&house.try_in(&asking(), "taro", "himitsu").await);
    let code = house.code(&totp);
    let hers = house.answer(&asking(), "hanako", state, &code).await;
    rejected(&hers, Reason::UnknownChallenge);
    let elsewhere = house.answer(&appending(), "taro", state, &code).await;
    rejected(&elsewhere, Reason::UnknownChallenge);
    assert!(accepted(
        &house.answer(&asking(), "Taro", state, &code).await
    ));
}

#[tokio::test]
async fn wrong_codes_are_asked_for_again_until_the_rounds_end() {
    let house = House::start();
    let totp = house.enrol("taro").await;
    let client = asking();
    let (mut state, _) = challenged(&house.try_in(&client, "taro", "himitsu").await);
    let mut wrong = house.wrong_codes(&totp);
    for tries in [2, 1] {
        let again = house
            .answer(&client, "taro", state, &wrong.next().unwrap())
            .await;
        assert_eq!(again.decision.reason, Reason::CodeAskedAgain);
        let (next, text) = challenged(&again);
        assert!(
            text.contains(&format!("Wrong code, {tries} tries left")),
            "{text}"
        );
        assert_ne!(next, state);
        state = next;
    }
    let last = house
        .answer(&client, "taro", state, &wrong.next().unwrap())
        .await;
    assert_eq!(
        rejected(&last, Reason::WrongCode),
        "コードが違います / Wrong code."
    );
    house.has_bound("taro", 1).await;
}

#[tokio::test]
async fn an_empty_answer_is_asked_again() {
    let house = House::start();
    let totp = house.enrol("taro").await;
    let (state, _) = challenged(&house.try_in(&asking(), "taro", "himitsu").await);
    let (state, _) = challenged(&house.answer(&asking(), "taro", state, "").await);
    let code = house.code(&totp);
    assert!(accepted(
        &house.answer(&asking(), "taro", state, &code).await
    ));
}

#[tokio::test]
async fn a_missing_code_is_said_to_gear_that_cannot_be_asked() {
    let house = House::start();
    house.enrol("taro").await;
    let text = rejected(
        &house.try_in(&appending(), "taro", "himitsu").await,
        Reason::CodeMissing,
    );
    assert!(text.contains("password, then one-time password"), "{text}");
}

#[tokio::test]
async fn on_campus_the_whole_text_is_the_password_of_who_is_not_always_asked() {
    let house = House::start();
    house.enrol("hanako").await;
    house.enrol("taro").await;
    let from_campus = |name, typed| Attempt {
        station: Station::read(CAMPUS),
        ..attempt(&appending(), name, typed)
    };
    let hanako = house.access.decide(from_campus("hanako", "himitsu")).await;
    assert!(accepted(&hanako), "{:?}", hanako.decision);
    assert_eq!(hanako.decision.reason, Reason::PasswordEnough);
    assert_eq!(
        hanako.decision.rule.as_deref(),
        Some("rule 1 (zone campus): password-only")
    );
    let taro = house.access.decide(from_campus("taro", "himitsu")).await;
    rejected(&taro, Reason::CodeMissing);
}

#[tokio::test]
async fn what_would_happen_is_explained_without_doing_it() {
    let house = House::start();
    house.enrol("hanako").await;
    let at = house.clock.now();
    let station = Station::read(CAMPUS);
    let explain = async |user, station| {
        let client = asking();
        house.access.explain(user, &client, station, at).await
    };
    let campus = explain("hanako", &station).await.unwrap();
    assert_eq!(campus.rule, "rule 1 (zone campus): password-only");
    assert_eq!(campus.asked, "the password alone");
    let outside = explain("hanako", &Station::Unknown).await.unwrap();
    assert_eq!(outside.rule, "no rule matched: ask");
    assert_eq!(outside.asked, "password and a totp code");
    assert_eq!(
        (outside.ways, outside.reply),
        (vec!["totp".to_owned()], vec!["all".to_owned()])
    );
    let yuki = explain("yuki", &Station::Unknown).await.unwrap();
    assert_eq!(yuki.asked, "password, then a code sent by sms");
    assert_eq!(yuki.ways, ["sms", "voice"]);
    assert!(explain("nobody", &station).await.is_err());
    assert!(house.messages("sms").is_empty());
    house.has_bound("hanako", 0).await;
}

/// TTLS with PAP: equipment sends what it keeps, and shows nothing.
#[tokio::test]
async fn where_nothing_can_be_asked_nothing_is() {
    let house = House::start();
    let totp = house.enrol("taro").await;
    let both = Arc::new(ClientPolicy {
        code: vec![CodeEntry::Appended, CodeEntry::Challenge],
        push: vec![PushMode::Shown],
        ..ClientPolicy::clone(&asking())
    });
    let unasked = |typed: &str| Attempt {
        can_ask: false,
        ..attempt(&both, "taro", typed)
    };
    let bare = house.access.decide(unasked("himitsu")).await;
    rejected(&bare, Reason::CodeMissing);
    let wrong = house.wrong_codes(&totp).next().unwrap();
    let wrong = unasked(&format!("himitsu{wrong}"));
    rejected(&house.access.decide(wrong).await, Reason::WrongCode);
    let right = unasked(&format!("himitsu{}", house.code(&totp)));
    let right = house.access.decide(right).await;
    assert!(accepted(&right), "{right:?}");
    // Who has a device alone cannot be shown a number, and one who holds the reply is not asked when its time is over.
    let mut phone = phone_of(&house, "hanako").await;
    let hanako = |client: &Arc<ClientPolicy>| Attempt {
        can_ask: false,
        ..attempt(client, "hanako", "himitsu")
    };
    let answer = house.access.decide(hanako(&both)).await;
    assert!(
        matches!(answer.verdict, Verdict::Reject { .. }),
        "{answer:?}"
    );
    let holding = Arc::new(ClientPolicy {
        push: vec![PushMode::Shown, PushMode::Approve],
        ..ClientPolicy::clone(&both)
    });
    house.forget_verdicts().await;
    let wait = waits(&house.access.decide(hanako(&holding)).await);
    let over = conclude(&house, &holding, &wait, Ending::Patience).await;
    rejected(&over, Reason::PushUnanswered);
    let seen = phone.sees(&house.store);
    assert_eq!(seen.len(), 1);
    phone.say(&house.access, &seen[0], approve("")).await;
    let late = house.access.decide(hanako(&holding)).await;
    assert_eq!(late.decision.reason, Reason::ProvenLate, "{late:?}");
}
