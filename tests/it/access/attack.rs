//! What somebody with the password, and gear with habits of its own, must not get out of prompts (D6, D8).

use std::sync::Arc;
use std::time::Duration;

use sekisho::access::{Attempt, ClientPolicy, CodeEntry, Ending, Held, PushMode, Verdict};
use sekisho::account::{AttemptId, FactorKind, Language, Reason, Station};
use sekisho::factor::Response;
use sekisho::store::{DecidedBy, NewPrompt, PromptDecided, PromptOpened, Session};
use tokio::time::Instant;

use super::house::{House, accepted, attempt, challenged, client, rejected};
use super::push::{conclude, number, phone_of, waits};
use crate::support::phone::approve;

fn asking(code: &[CodeEntry], push: PushMode) -> Arc<ClientPolicy> {
    Arc::new(ClientPolicy {
        push: vec![push],
        ..ClientPolicy::clone(&client("vpn", code))
    })
}

fn showing() -> Arc<ClientPolicy> {
    asking(&[CodeEntry::Challenge], PushMode::Shown)
}

#[tokio::test]
async fn answer_that_is_held_and_comes_again_waits_with_the_first() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = showing();
    let (state, text) = challenged(&house.try_in(&client, "hanako", "himitsu").await);
    let first = waits(&house.answer(&client, "hanako", state, "OK").await);
    // The gear sends its answer again, with another identifier.
    let second = waits(&house.answer(&client, "hanako", state, "OK").await);
    assert_eq!(second.prompt, first.prompt);
    let seen = phone.sees(&house.store);
    assert_eq!(seen.len(), 1);
    let said = phone
        .say(&house.access, &seen[0], approve(&number(&text)))
        .await;
    assert_eq!(said.decided, PromptDecided::Approved);
    let held = [first, second].map(|wait| Held {
        client: client.clone(),
        nas: "192.0.2.10".parse().unwrap(),
        received: Instant::now(),
        wait,
    });
    let verdicts = house
        .access
        .conclude(&held, Ending::Decided)
        .await
        .unwrap()
        .verdicts;
    assert!(
        verdicts
            .iter()
            .all(|verdict| matches!(verdict, Verdict::Accept { .. }))
    );
    // The Accept was lost: it is given again.
    let lost = house.answer(&client, "hanako", state, "OK").await;
    assert!(accepted(&lost), "{lost:?}");
    assert_eq!(lost.decision.reason, Reason::Repeated);
    // Somebody else's State, another client or another answer gets nothing by it.
    let other = Arc::new(ClientPolicy {
        name: sekisho::account::ClientName::new("wifi"),
        ..ClientPolicy::clone(&client)
    });
    for (client, user, typed) in [
        (&other, "hanako", "OK"),
        (&client, "yuki", "OK"),
        (&client, "hanako", "ok"),
    ] {
        let answer = house.answer(client, user, state, typed).await;
        rejected(&answer, Reason::UnknownChallenge);
    }
}

#[tokio::test]
async fn answer_that_outlasts_the_patience_and_comes_again_has_a_state_of_its_own() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = showing();
    let (state, text) = challenged(&house.try_in(&client, "hanako", "himitsu").await);
    let wait = waits(&house.answer(&client, "hanako", state, "OK").await);
    let (first, _) = challenged(&conclude(&house, &client, &wait, Ending::Patience).await);
    let (second, _) = challenged(&house.answer(&client, "hanako", state, "OK").await);
    assert_ne!(first, second);
    let seen = phone.sees(&house.store);
    phone
        .say(&house.access, &seen[0], approve(&number(&text)))
        .await;
    let answer = house.answer(&client, "hanako", second, "OK").await;
    assert!(accepted(&answer), "{answer:?}");
    // One login, one Accept.
    let answer = house.answer(&client, "hanako", first, "OK").await;
    rejected(&answer, Reason::PushUnanswered);
}

#[tokio::test]
async fn two_from_no_known_station_are_both_shown() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = showing();
    let nowhere = |port: Option<&[u8]>| Attempt {
        station: Station::Unknown,
        nas_port: port.map(Into::into),
        ..attempt(&client, "hanako", "himitsu")
    };
    let (own, text) = challenged(&house.access.decide(nowhere(None)).await);
    challenged(&house.access.decide(nowhere(None)).await);
    let seen = phone.sees(&house.store);
    assert_eq!(seen.len(), 2, "the thief withdraws nothing");
    let said = phone
        .say(&house.access, &seen[0], approve(&number(&text)))
        .await;
    assert_eq!(said.decided, PromptDecided::Approved);
    assert!(accepted(&house.answer(&client, "hanako", own, "OK").await));
    // The same port is the same place.
    challenged(&house.access.decide(nowhere(Some(b"7"))).await);
    let before = phone.sees(&house.store).len();
    challenged(&house.access.decide(nowhere(Some(b"7"))).await);
    assert_eq!(phone.sees(&house.store).len(), before);
    challenged(&house.access.decide(nowhere(Some(b"8"))).await);
    assert_eq!(phone.sees(&house.store).len(), before + 1);
}

#[tokio::test]
async fn report_ends_what_was_begun_with_the_password() {
    let house = House::start();
    let totp = house.enrol("hanako").await;
    let mut phone = phone_of(&house, "hanako").await;
    let (client, thief) = (showing(), showing());
    let from = |last: u8| Attempt {
        station: Station::Address([198, 51, 100, last].into()),
        ..attempt(&thief, "hanako", "himitsu")
    };
    let (state, _) = challenged(&house.access.decide(from(1)).await);
    let (other, _) = challenged(&house.access.decide(from(2)).await);
    let (third, _) = challenged(&house.access.decide(from(3)).await);
    let now = house.clock.now();
    let session = Session {
        account: phone.account.clone(),
        name: "campus/hanako".into(),
        proven: now,
        expires: now.after(Duration::from_secs(3600)),
    };
    house.store.open_session(&[7; 32], session).await.unwrap();
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], Response::Report).await;
    // A code that was seen over a shoulder, or typed into a false page.
    let code = house.code(&totp);
    let answer = house.answer(&client, "hanako", state, &code).await;
    let text = rejected(&answer, Reason::Exposed);
    assert!(text.contains("Change your password"), "{text}");
    let answer = house.answer(&client, "hanako", other, "OK").await;
    rejected(&answer, Reason::PushDenied);
    // What is still open ends with the report, however that ends.
    assert!(house.store.clear_report(&phone.account).await.unwrap());
    let answer = house.answer(&client, "hanako", third, &code).await;
    rejected(&answer, Reason::UnknownChallenge);
    assert_eq!(house.store.session(&[7; 32]).unwrap(), None);
}

#[tokio::test]
async fn sites_push_service_has_no_say_where_a_device_is() {
    let house = House::start();
    let phone = phone_of(&house, "hanako").await;
    let client = asking(&[CodeEntry::Delimited], PushMode::Approve);
    let answer = house.try_in(&client, "hanako", "himitsu").await;
    let wait = waits(&answer);
    for response in [approve(""), Response::Deny, Response::Report] {
        let mut decision = sekisho::account::Decision::clone(&answer.decision);
        decision.attempt = wait.prompt.clone();
        decision.factor = Some(FactorKind::Push);
        let decided = house
            .store
            .decide_prompt(&phone.account, DecidedBy::Service, response, decision)
            .await
            .unwrap();
        assert_eq!(decided, PromptDecided::Unknown);
    }
    let answer = conclude(&house, &client, &wait, Ending::Patience).await;
    rejected(&answer, Reason::PushUnanswered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denial_on_one_device_beats_an_approval_on_another() {
    let house = House::start();
    let mut one = phone_of(&house, "hanako").await;
    let mut other = phone_of(&house, "hanako").await;
    let client = asking(&[CodeEntry::Delimited], PushMode::Approve);
    for _ in 0..4 {
        let wait = waits(&house.try_in(&client, "hanako", "himitsu").await);
        let known = one.sees(&house.store).remove(0);
        let (_, denied) = tokio::join!(
            one.say(&house.access, &known, approve("")),
            other.say(&house.access, &known, Response::Deny),
        );
        assert_eq!(denied.decided, PromptDecided::Denied);
        let answer = conclude(&house, &client, &wait, Ending::Decided).await;
        rejected(&answer, Reason::PushDenied);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_numbers_of_two_devices_at_once_deny() {
    let house = House::start();
    let mut one = phone_of(&house, "hanako").await;
    let mut other = phone_of(&house, "hanako").await;
    let client = showing();
    let (state, text) = challenged(&house.try_in(&client, "hanako", "himitsu").await);
    let right = number(&text);
    let wrong = if right == "11" { "12" } else { "11" };
    let known = one.sees(&house.store).remove(0);
    let (first, second) = tokio::join!(
        one.say(&house.access, &known, approve(wrong)),
        other.say(&house.access, &known, approve(wrong)),
    );
    let mut decided = [first.decided, second.decided];
    decided.sort_by_key(|decided| *decided == PromptDecided::WrongNumberAgain);
    let expected = [PromptDecided::WrongNumber, PromptDecided::WrongNumberAgain];
    assert_eq!(decided, expected);
    let answer = house.answer(&client, "hanako", state, "OK").await;
    rejected(&answer, Reason::PushDenied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approval_lets_in_a_held_packet_or_a_late_one_but_not_both() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = asking(&[CodeEntry::Delimited], PushMode::Approve);
    for _ in 0..4 {
        let wait = waits(&house.try_in(&client, "hanako", "himitsu").await);
        let known = phone.sees(&house.store);
        let known = known.iter().find(|known| *known.prompt.id() == wait.prompt);
        let said = phone.say(&house.access, known.unwrap(), approve("")).await;
        assert_eq!(said.decided, PromptDecided::Approved);
        let (held, late) = tokio::join!(
            conclude(&house, &client, &wait, Ending::Decided),
            house.try_in(&client, "hanako", "himitsu"),
        );
        let let_in = [&held, &late].into_iter().filter(|answer| accepted(answer));
        assert_eq!(let_in.count(), 1, "{held:?} {late:?}");
    }
}

fn reported_from() -> (std::net::IpAddr, Language) {
    ("198.51.100.9".parse().unwrap(), Language::En)
}

#[tokio::test]
async fn report_ends_what_would_be_repeated() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = Arc::new(ClientPolicy {
        pair: Duration::from_secs(60),
        ..ClientPolicy::clone(&asking(&[CodeEntry::Delimited], PushMode::Approve))
    });
    let wait = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], approve("")).await;
    assert!(accepted(
        &conclude(&house, &client, &wait, Ending::Decided).await
    ));
    let again = house.try_in(&client, "hanako", "himitsu").await;
    assert_eq!(again.decision.reason, Reason::Repeated, "{again:?}");
    let whose = (&seen[0].prompt.account, &seen[0].prompt.name);
    house.access.report(whose, reported_from()).await.unwrap();
    let after = house.try_in(&client, "hanako", "himitsu").await;
    let text = rejected(&after, Reason::Exposed);
    assert!(text.contains("Change your password"), "{text}");
}

#[tokio::test]
async fn prompt_that_a_report_overtook_is_not_opened() {
    let house = House::start();
    let phone = phone_of(&house, "hanako").await;
    let client = asking(&[CodeEntry::Delimited], PushMode::Approve);
    waits(&house.try_in(&client, "hanako", "himitsu").await);
    let mut prompt = phone.sees(&house.store).remove(0).prompt;
    let whose = (&prompt.account.clone(), &prompt.name.clone());
    house.access.report(whose, reported_from()).await.unwrap();
    prompt.facts.attempt = AttemptId::new(sekisho::clock::Clock::system().now());
    let decision = house.try_in(&client, "hanako", "himitsu").await.decision;
    let new = NewPrompt {
        prompt,
        attempt: [7; 32],
        number: None,
        late: Duration::ZERO,
        challenge: None,
    };
    let decision = sekisho::account::Decision::clone(&decision);
    let opened = house.store.join_or_open_prompt(new, decision).await;
    assert_eq!(opened.unwrap(), PromptOpened::Reported);
    assert!(phone.sees(&house.store).is_empty());
}
