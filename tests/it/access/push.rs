//! Prompts (D6, D8): one for an attempt, decided once, for nobody else.

use std::sync::Arc;
use std::time::Duration;

use sekisho::access::{
    Answer, Attempt, ClientPolicy, CodeEntry, Ending, Held, PushMode, Verdict, Wait,
};
use sekisho::account::{Outcome, Reason, Station};
use sekisho::factor::Response;
use sekisho::store::{PromptDecided, PromptState};
use tokio::time::Instant;

use super::house::{CAMPUS, House, accepted, attempt, challenged, client, rejected};
use crate::support::phone::{Phone, approve};

/// A client that shows nothing, and waits.
fn holding(push: &[PushMode]) -> Arc<ClientPolicy> {
    with(&client("vpn", &[CodeEntry::Delimited]), push)
}

/// A client whose gear can be asked.
fn showing() -> Arc<ClientPolicy> {
    with(&client("vpn", &[CodeEntry::Challenge]), &[PushMode::Shown])
}

fn with(policy: &ClientPolicy, push: &[PushMode]) -> Arc<ClientPolicy> {
    Arc::new(ClientPolicy {
        push: push.to_vec(),
        ..policy.clone()
    })
}

pub(super) async fn phone_of(house: &House, user: &str) -> Phone {
    let account = house.access.account(user).await.unwrap().id.clone();
    let name = format!("campus/{user}");
    Phone::proven((&house.access, &house.store), &account, &name).await
}

pub(super) fn waits(answer: &Answer) -> Wait {
    match &answer.verdict {
        Verdict::Wait(wait) => wait.clone(),
        other => panic!("{other:?} because {:?}", answer.decision),
    }
}

pub(super) async fn conclude(
    house: &House,
    client: &Arc<ClientPolicy>,
    wait: &Wait,
    ending: Ending,
) -> Answer {
    let held = Held {
        client: client.clone(),
        nas: "192.0.2.10".parse().unwrap(),
        received: Instant::now(),
        wait: wait.clone(),
    };
    let concluded = house.access.conclude(&[held], ending).await.unwrap();
    Answer {
        verdict: concluded.verdicts.into_iter().next().unwrap(),
        decision: concluded.decision,
        resumable: concluded.resumable,
        proof: None,
    }
}

fn from(station: &str, client: &Arc<ClientPolicy>, typed: &str) -> Attempt {
    Attempt {
        station: Station::read(station),
        ..attempt(client, "hanako", typed)
    }
}

/// The number that a challenge shows.
pub(super) fn number(text: &str) -> String {
    let digits = text.split(|c: char| !c.is_ascii_digit());
    digits.max_by_key(|run| run.len()).unwrap().to_owned()
}

#[tokio::test]
async fn approval_alone_lets_in_once() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = holding(&[PushMode::Approve]);
    let wait = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let seen = phone.sees(&house.store);
    assert_eq!(seen.len(), 1);
    let said = phone.say(&house.access, &seen[0], approve("")).await;
    assert_eq!(said.decided, PromptDecided::Approved);
    let answer = conclude(&house, &client, &wait, Ending::Decided).await;
    assert!(accepted(&answer), "{answer:?}");
    assert_eq!(answer.decision.reason, Reason::Proven);
    // Nobody else is let in by it.
    let answer = conclude(&house, &client, &wait, Ending::Decided).await;
    rejected(&answer, Reason::PushUnanswered);
    house.has_bound("hanako", 1).await;
}

#[tokio::test]
async fn retries_join_the_prompt_without_a_bind() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = holding(&[PushMode::Approve]);
    let first = waits(&house.try_in(&client, "hanako", "himitsu").await);
    for _ in 0..5 {
        let retry = waits(&house.try_in(&client, "hanako", "himitsu").await);
        assert_eq!(retry.prompt, first.prompt);
    }
    assert_eq!(phone.sees(&house.store).len(), 1);
    house.has_bound("hanako", 1).await;
    let held = |wait: &Wait| Held {
        client: client.clone(),
        nas: "192.0.2.10".parse().unwrap(),
        received: Instant::now(),
        wait: wait.clone(),
    };
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], approve("")).await;
    let all = [held(&first), held(&first), held(&first)];
    let verdicts = house
        .access
        .conclude(&all, Ending::Decided)
        .await
        .unwrap()
        .verdicts;
    assert_eq!(verdicts.len(), 3);
    assert!(
        verdicts
            .iter()
            .all(|verdict| matches!(verdict, Verdict::Accept { .. }))
    );
}

#[tokio::test]
async fn a_second_address_of_the_same_attempt_is_no_second_prompt() {
    let house = House::start();
    let phone = phone_of(&house, "hanako").await;
    let client = holding(&[PushMode::Approve]);
    let first = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let other = Attempt {
        nas: "192.0.2.11".parse().unwrap(),
        nas_port: Some((*b"\x05\x047").into()),
        ..attempt(&client, "hanako", "himitsu")
    };
    let second = waits(&house.access.decide(other).await);
    assert_eq!(
        (second.prompt, phone.sees(&house.store).len()),
        (first.prompt, 1)
    );
}

#[tokio::test]
async fn other_stations_have_prompts_of_their_own() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = holding(&[PushMode::Approve]);
    let own = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let thief = waits(
        &house
            .access
            .decide(from("192.0.2.66", &client, "himitsu"))
            .await,
    );
    let nowhere = waits(&house.access.decide(from("", &client, "himitsu")).await);
    assert!(
        own.prompt != thief.prompt
            && own.prompt != nowhere.prompt
            && thief.prompt != nowhere.prompt
    );
    let seen = phone.sees(&house.store);
    assert_eq!(seen.len(), 3, "all are shown");
    let said = phone.say(&house.access, &seen[0], approve("")).await;
    assert_eq!(said.decided, PromptDecided::Approved);
    assert!(accepted(
        &conclude(&house, &client, &own, Ending::Decided).await
    ));
    for wait in [thief, nowhere] {
        let answer = conclude(&house, &client, &wait, Ending::Patience).await;
        rejected(&answer, Reason::PushUnanswered);
        // Nor does it ride a late approval of the owner's.
    }
    let late = house
        .access
        .decide(from("192.0.2.66", &client, "himitsu"))
        .await;
    assert!(matches!(late.verdict, Verdict::Wait(_)), "{late:?}");
}

#[tokio::test]
async fn behind_one_address_only_the_port_tells_who_may_join() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = Arc::new(ClientPolicy {
        shared_stations: true,
        ..ClientPolicy::clone(&holding(&[PushMode::Approve]))
    });
    let at = |port: &[u8]| Attempt {
        nas_port: Some(port.into()),
        ..attempt(&client, "hanako", "himitsu")
    };
    let own = waits(&house.access.decide(at(b"1")).await);
    let again = waits(&house.access.decide(at(b"1")).await);
    let thief = waits(&house.access.decide(at(b"2")).await);
    let unknown = waits(&house.try_in(&client, "hanako", "himitsu").await);
    assert_eq!(own.prompt, again.prompt);
    assert!(own.prompt != thief.prompt && own.prompt != unknown.prompt);
    // Without station or port nothing approved late is used.
    let seen = phone.sees(&house.store);
    let last = seen
        .iter()
        .find(|known| *known.prompt.id() == unknown.prompt)
        .unwrap();
    phone.say(&house.access, last, approve("")).await;
    let later = waits(&house.try_in(&client, "hanako", "himitsu").await);
    assert_ne!(later.prompt, unknown.prompt);
}

#[tokio::test]
async fn late_approval_counts_once_with_a_fresh_bind() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = holding(&[PushMode::Approve]);
    let wait = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let answer = conclude(&house, &client, &wait, Ending::Patience).await;
    let text = rejected(&answer, Reason::PushUnanswered);
    assert!(text.contains("connect again"), "{text}");
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], approve("")).await;
    let answer = house.try_in(&client, "hanako", "himitsu").await;
    assert!(accepted(&answer), "{answer:?}");
    assert_eq!(answer.decision.reason, Reason::ProvenLate);
    house.has_bound("hanako", 2).await;
    let next = waits(&house.try_in(&client, "hanako", "himitsu").await);
    assert_ne!(next.prompt, wait.prompt, "a second one asks again");
}

#[tokio::test]
async fn late_approval_ends_with_its_time_a_denial_or_another_password() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = holding(&[PushMode::Approve]);
    let approved = async |phone: &mut Phone| {
        let wait = waits(&house.try_in(&client, "hanako", "himitsu").await);
        conclude(&house, &client, &wait, Ending::Patience).await;
        let seen = phone.sees(&house.store);
        let known = seen
            .into_iter()
            .find(|known| *known.prompt.id() == wait.prompt);
        let known = known.unwrap();
        phone.say(&house.access, &known, approve("")).await;
        known
    };
    let known = approved(&mut phone).await;
    assert_eq!(
        phone
            .say(&house.access, &known, Response::Deny)
            .await
            .decided,
        PromptDecided::Denied,
        "a denial beats an approval that nobody used"
    );
    let wait = waits(&house.try_in(&client, "hanako", "himitsu").await);
    house.access.conclude(&[], Ending::Patience).await;
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], approve("")).await;
    assert!(accepted(
        &conclude(&house, &client, &wait, Ending::Decided).await
    ));
    approved(&mut phone).await;
    house.clock.shift_by(61_000);
    let later = house.try_in(&client, "hanako", "himitsu").await;
    assert!(matches!(later.verdict, Verdict::Wait(_)), "{later:?}");
}

#[tokio::test]
async fn number_that_is_shown_must_be_typed() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = showing();
    let (state, text) = challenged(&house.try_in(&client, "hanako", "himitsu").await);
    let right = number(&text);
    assert_eq!(right.len(), 2, "{text}");
    let seen = phone.sees(&house.store);
    let wrong = if right == "11" { "12" } else { "11" };
    let said = phone.say(&house.access, &seen[0], approve(wrong)).await;
    assert_eq!(said.decided, PromptDecided::WrongNumber);
    let said = phone.say(&house.access, &seen[0], approve(&right)).await;
    assert_eq!(said.decided, PromptDecided::Approved);
    let answer = house.answer(&client, "hanako", state, "OK").await;
    assert!(accepted(&answer), "{answer:?}");
    house.has_bound("hanako", 1).await;
}

#[tokio::test]
async fn wrong_number_twice_denies() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = showing();
    let (state, text) = challenged(&house.try_in(&client, "hanako", "himitsu").await);
    let right = number(&text);
    let seen = phone.sees(&house.store);
    let wrong = if right == "11" { "12" } else { "11" };
    phone.say(&house.access, &seen[0], approve(wrong)).await;
    let said = phone.say(&house.access, &seen[0], approve(wrong)).await;
    assert_eq!(said.decided, PromptDecided::WrongNumberAgain);
    let said = phone.say(&house.access, &seen[0], approve(&right)).await;
    assert_eq!(said.decided, PromptDecided::TooLate(PromptState::Denied));
    let answer = house.answer(&client, "hanako", state, "OK").await;
    rejected(&answer, Reason::PushDenied);
}

#[tokio::test]
async fn answer_before_the_approval_waits_and_a_code_still_works() {
    let house = House::start();
    let totp = house.enrol("hanako").await;
    let mut phone = phone_of(&house, "hanako").await;
    let client = showing();
    let (state, _) = challenged(&house.try_in(&client, "hanako", "himitsu").await);
    let wait = waits(&house.answer(&client, "hanako", state, "OK").await);
    let answer = conclude(&house, &client, &wait, Ending::Patience).await;
    assert_eq!(answer.decision.reason, Reason::PushStillOpen);
    let (state, text) = challenged(&answer);
    assert!(text.contains("Not approved yet"), "{text}");
    let answer = house
        .answer(&client, "hanako", state, &house.code(&totp))
        .await;
    assert!(accepted(&answer), "{answer:?}");
    assert!(
        phone.sees(&house.store).is_empty(),
        "the prompt is withdrawn"
    );
    let known = house.store.prompt(&wait.prompt).unwrap().unwrap();
    let said = phone.say(&house.access, &known, approve("11")).await;
    assert_eq!(said.decided, PromptDecided::TooLate(PromptState::Withdrawn));
}

#[tokio::test]
async fn new_request_from_the_station_has_a_number_of_its_own() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = showing();
    let (first, _) = challenged(&house.try_in(&client, "hanako", "himitsu").await);
    let old = phone.sees(&house.store).remove(0);
    let (_, text) = challenged(&house.try_in(&client, "hanako", "himitsu").await);
    assert_eq!(
        phone.sees(&house.store).len(),
        1,
        "the old one is withdrawn"
    );
    let said = phone
        .say(&house.access, &old, approve(&number(&text)))
        .await;
    assert_eq!(said.decided, PromptDecided::TooLate(PromptState::Withdrawn));
    let answer = house.answer(&client, "hanako", first, "OK").await;
    rejected(&answer, Reason::PushUnanswered);
    // One from elsewhere leaves it alone.
    challenged(
        &house
            .access
            .decide(from("192.0.2.66", &client, "himitsu"))
            .await,
    );
    assert_eq!(phone.sees(&house.store).len(), 2);
}

#[tokio::test]
async fn number_behind_the_password_is_typed_on_the_phone() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = holding(&[PushMode::Typed]);
    let answer = house.try_in(&client, "hanako", "himitsu").await;
    let text = rejected(&answer, Reason::NumberMissing);
    assert!(text.contains("2 digits"), "{text}");
    let wait = waits(&house.try_in(&client, "hanako", "himitsu,37").await);
    let seen = phone.sees(&house.store);
    let said = phone.say(&house.access, &seen[0], approve("73")).await;
    assert_eq!(said.decided, PromptDecided::WrongNumber);
    let said = phone.say(&house.access, &seen[0], approve("37")).await;
    assert_eq!(said.decided, PromptDecided::Approved);
    assert!(accepted(
        &conclude(&house, &client, &wait, Ending::Decided).await
    ));
}

#[tokio::test]
async fn prompts_stop_at_the_limit_and_the_code_still_works() {
    let house = House::start();
    let totp = house.enrol("hanako").await;
    let phone = phone_of(&house, "hanako").await;
    let client = showing();
    let mut asked = 0;
    let mut last = None;
    for _ in 0..50 {
        let answer = house.try_in(&client, "hanako", "himitsu").await;
        asked += u32::from(answer.decision.reason == Reason::PushAsked);
        last = Some(challenged(&answer).0);
    }
    assert_eq!(asked, 5);
    assert!(phone.sees(&house.store).len() <= 1);
    let answer = house
        .answer(&client, "hanako", last.unwrap(), &house.code(&totp))
        .await;
    assert!(accepted(&answer), "{answer:?}");
    // A login forgets the count.
    let answer = house.try_in(&client, "hanako", "himitsu").await;
    assert_eq!(answer.decision.reason, Reason::PushAsked);
}

#[tokio::test]
async fn report_stops_logins_from_outside_until_the_password_changes() {
    let house = House::start();
    house.slapd.set_policy(&["pwdAllowUserChange: TRUE"]);
    let mut phone = phone_of(&house, "hanako").await;
    let client = holding(&[PushMode::Approve]);
    let thief = waits(
        &house
            .access
            .decide(from("192.0.2.66", &client, "himitsu"))
            .await,
    );
    let own = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let seen = phone.sees(&house.store);
    let said = phone.say(&house.access, &seen[0], Response::Report).await;
    assert_eq!(said.decided, PromptDecided::Reported);
    for wait in [thief, own] {
        let answer = conclude(&house, &client, &wait, Ending::Decided).await;
        rejected(&answer, Reason::PushDenied);
    }
    let answer = house.try_in(&client, "hanako", "himitsu").await;
    let text = rejected(&answer, Reason::Exposed);
    assert!(text.contains("Change your password"), "{text}");
    let campus = house.access.decide(from(CAMPUS, &client, "himitsu")).await;
    assert!(accepted(&campus), "on campus the rules hold: {campus:?}");
    house.slapd.change_password("hanako", "atarashii");
    let wait = waits(&house.try_in(&client, "hanako", "atarashii").await);
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], approve("")).await;
    assert!(accepted(
        &conclude(&house, &client, &wait, Ending::Decided).await
    ));
}

#[tokio::test]
async fn report_is_cleared_by_the_desk() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = holding(&[PushMode::Approve]);
    waits(&house.try_in(&client, "hanako", "himitsu").await);
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], Response::Report).await;
    rejected(
        &house.try_in(&client, "hanako", "himitsu").await,
        Reason::Exposed,
    );
    assert!(house.store.clear_report(&phone.account).await.unwrap());
    assert!(!house.store.clear_report(&phone.account).await.unwrap());
    waits(&house.try_in(&client, "hanako", "himitsu").await);
}

#[tokio::test]
async fn what_is_not_a_fresh_word_of_the_owners_device_is_refused() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let mut other = phone_of(&house, "yuki").await;
    let client = holding(&[PushMode::Approve]);
    let first = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let known = phone.sees(&house.store).remove(0);
    // Somebody else's device, a signature for another prompt, an altered one, a replayed one, an older counter.
    let foreign = other.signed(&known, approve(""));
    let mut elsewhere = phone.signed(&known, approve(""));
    elsewhere.prompt = sekisho::account::AttemptId::from_number(first.prompt.number() + 1);
    let mut altered = phone.signed(&known, Response::Deny);
    altered.response = approve("");
    let older = phone.signed(&known, approve(""));
    let wrong_number = phone.signed(&known, Response::Deny);
    for said in [foreign, elsewhere, altered] {
        let responded = house.access.respond(said).await.unwrap();
        assert_eq!(responded.decided, PromptDecided::Unknown);
        assert_eq!(responded.decision.reason, Reason::PushRefused);
        assert_eq!(responded.decision.outcome, Outcome::Waiting);
    }
    assert_eq!(phone.sees(&house.store).len(), 1, "it is still open");
    let denied = house.access.respond(wrong_number.clone()).await.unwrap();
    assert_eq!(denied.decided, PromptDecided::Denied);
    for said in [wrong_number, older] {
        let responded = house.access.respond(said).await.unwrap();
        assert_eq!(responded.decided, PromptDecided::Replayed);
        assert_eq!(responded.decision.reason, Reason::PushRefused);
    }
    rejected(
        &conclude(&house, &client, &first, Ending::Decided).await,
        Reason::PushDenied,
    );
}

#[tokio::test]
async fn removed_device_decides_nothing() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = holding(&[PushMode::Approve]);
    let wait = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let known = phone.sees(&house.store).remove(0);
    assert!(
        house
            .store
            .remove_factor(&phone.account, phone.id)
            .await
            .unwrap()
    );
    let said = phone.say(&house.access, &known, approve("")).await;
    assert_eq!(said.decided, PromptDecided::Unknown);
    rejected(
        &conclude(&house, &client, &wait, Ending::Decided).await,
        Reason::PushUnanswered,
    );
}

#[tokio::test]
async fn unproven_device_answers_nothing_but_its_test() {
    let house = House::start();
    let account = house.access.account("hanako").await.unwrap().id.clone();
    let mut new = Phone::paired(&house.store, &account, "campus/hanako").await;
    let client = holding(&[PushMode::Approve]);
    let answer = house.try_in(&client, "hanako", "himitsu").await;
    assert!(!matches!(answer.verdict, Verdict::Wait(_)), "{answer:?}");
    let mut phone = phone_of(&house, "hanako").await;
    let wait = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let known = phone.sees(&house.store).remove(0);
    let said = new.say(&house.access, &known, approve("")).await;
    assert_eq!(said.decided, PromptDecided::Unknown);
    phone.say(&house.access, &known, Response::Deny).await;
    rejected(
        &conclude(&house, &client, &wait, Ending::Decided).await,
        Reason::PushDenied,
    );
}

#[tokio::test]
async fn given_up_login_withdraws_its_prompt() {
    let house = House::start();
    let phone = phone_of(&house, "hanako").await;
    let client = showing();
    let (state, _) = challenged(&house.try_in(&client, "hanako", "himitsu").await);
    let answer = house.answer(&client, "hanako", state, "0").await;
    rejected(&answer, Reason::PushUnanswered);
    assert!(phone.sees(&house.store).is_empty());
}

#[tokio::test]
async fn prompt_ends_with_its_time() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = holding(&[PushMode::Approve]);
    let wait = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let known = phone.sees(&house.store).remove(0);
    house
        .clock
        .shift_by(i64::try_from(Duration::from_secs(121).as_millis()).unwrap());
    let said = phone.say(&house.access, &known, approve("")).await;
    assert_eq!(said.decided, PromptDecided::TooLate(PromptState::Over));
    rejected(
        &conclude(&house, &client, &wait, Ending::Patience).await,
        Reason::PushUnanswered,
    );
}

#[tokio::test]
async fn lost_accept_is_given_again_to_a_device_that_asks_by_itself() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = holding(&[PushMode::Approve]);
    let at = |station: &str| from(station, &client, "himitsu");
    let (mac, address) = ("00-11-22-33-44-55", "198.51.100.7");
    for (station, repeated) in [(mac, true), (address, false)] {
        let wait = waits(&house.access.decide(at(station)).await);
        let seen = phone.sees(&house.store);
        phone.say(&house.access, &seen[0], approve("")).await;
        assert!(accepted(
            &conclude(&house, &client, &wait, Ending::Decided).await
        ));
        let again = house.access.decide(at(station)).await;
        assert_eq!(accepted(&again), repeated, "{station}: {again:?}");
        assert_eq!(phone.sees(&house.store).is_empty(), repeated);
    }
}

fn twice(client: &ClientPolicy) -> Arc<ClientPolicy> {
    Arc::new(ClientPolicy {
        pair: Duration::from_secs(60),
        ..client.clone()
    })
}

#[tokio::test]
async fn gear_that_logs_in_twice_prompts_once() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = twice(&holding(&[PushMode::Approve]));
    let portal = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], approve("")).await;
    assert!(accepted(
        &conclude(&house, &client, &portal, Ending::Decided).await
    ));
    assert!(
        accepted(&house.try_in(&client, "hanako", "himitsu").await),
        "the gateway"
    );
}

#[tokio::test]
async fn gear_that_logs_in_twice_shows_one_number() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let client = twice(&showing());
    let (state, text) = challenged(&house.try_in(&client, "hanako", "himitsu").await);
    let wait = waits(&house.answer(&client, "hanako", state, "OK").await);
    let (state, _) = challenged(&conclude(&house, &client, &wait, Ending::Patience).await);
    let wait = waits(&house.answer(&client, "hanako", state, "OK").await);
    let seen = phone.sees(&house.store);
    phone
        .say(&house.access, &seen[0], approve(&number(&text)))
        .await;
    assert!(accepted(
        &conclude(&house, &client, &wait, Ending::Decided).await
    ));
    assert!(
        accepted(&house.try_in(&client, "hanako", "himitsu").await),
        "the gateway"
    );
    assert!(phone.sees(&house.store).is_empty());
    // From elsewhere it is another login.
    let thief = house
        .access
        .decide(from("192.0.2.66", &client, "himitsu"))
        .await;
    assert_eq!(thief.decision.reason, Reason::PushAsked);
}
