//! Responses by the NT hash: proven without a bind, limited as passwords are, and never asked for what cannot be typed.

use std::sync::Arc;

use sekisho::access::{
    Attempt, ClientPolicy, CodeEntry, Credential, Ending, NtResponse, PushMode, Verdict,
};
use sekisho::account::{Reason, Station};
use sekisho::factor::Response;

use super::house::{CAMPUS, House, WINDOW_MILLIS, accepted, attempt, client, rejected};
use super::push::{conclude, phone_of, waits};
use crate::support::mschap::{expected, respond};
use crate::support::phone::approve;
use crate::support::slapd::person_dn;

const LAPTOP: &str = "02:00:5e:10:00:01";

fn wifi() -> Arc<ClientPolicy> {
    Arc::new(ClientPolicy {
        push: vec![PushMode::Shown, PushMode::Approve],
        ..ClientPolicy::clone(&client(
            "wifi",
            &[CodeEntry::Appended, CodeEntry::Challenge],
        ))
    })
}

fn at(station: &str, user: &str, shown: NtResponse) -> Attempt {
    Attempt {
        credential: Credential::NtResponse(shown),
        station: Station::read(station),
        ..attempt(&wifi(), user, "")
    }
}

fn from_campus(user: &str, password: &str) -> Attempt {
    at(CAMPUS, user, respond(user, password))
}

#[tokio::test]
async fn a_right_response_is_let_in_and_answered_without_a_bind() {
    let house = House::start();
    for name in ["hanako", "HANAKO", "EXAMPLE\\hanako"] {
        let shown = respond(name, "himitsu");
        let answer = house.access.decide(at(CAMPUS, name, shown.clone())).await;
        assert!(accepted(&answer), "{name}: {answer:?}");
        assert_eq!(answer.decision.reason, Reason::PasswordEnough);
        assert_eq!(answer.proof, Some(expected(&shown, "himitsu")));
    }
    house.has_bound("hanako", 0).await;
}

#[tokio::test]
async fn a_wrong_response_is_refused_and_nothing_is_answered_to_it() {
    let house = House::start();
    let answer = house.access.decide(from_campus("hanako", "himitsa")).await;
    rejected(&answer, Reason::WrongPassword);
    assert_eq!(answer.proof, None);
    // What was answered to one challenge is no answer to another.
    let stolen = NtResponse {
        challenge: [7; 16],
        ..respond("hanako", "himitsu")
    };
    let answer = house.access.decide(at(CAMPUS, "hanako", stolen)).await;
    rejected(&answer, Reason::WrongPassword);
    house.clock.shift_by(10_000);
    // Another's response is not hers, though they have the same password.
    let answer = house
        .access
        .decide(at(CAMPUS, "hanako", respond("taro", "himitsu")))
        .await;
    rejected(&answer, Reason::BadName);
    let realm = respond("hanako@example.ac.jp", "himitsu");
    let answer = house.access.decide(at(CAMPUS, "hanako", realm)).await;
    assert!(accepted(&answer), "{answer:?}");
}

#[tokio::test]
async fn wrong_responses_are_limited_with_wrong_passwords() {
    let house = House::start();
    for _ in 0..2 {
        let answer = house.access.decide(from_campus("hanako", "himitsa")).await;
        rejected(&answer, Reason::WrongPassword);
    }
    // From now on there is a delay, whatever the method.
    let answer = house.access.decide(from_campus("hanako", "himitsu")).await;
    rejected(&answer, Reason::Throttled);
    let typed = house.try_in(&wifi(), "hanako", "himitsu").await;
    rejected(&typed, Reason::Throttled);
    let mut wrong = 2;
    for _ in 0..10 {
        house.clock.shift_by(60_000);
        let answer = house.access.decide(from_campus("hanako", "himitsa")).await;
        wrong += u32::from(answer.decision.reason == Reason::WrongPassword);
    }
    assert_eq!(wrong, 4, "as for strangers who type");
    house.clock.shift_by(WINDOW_MILLIS);
    let answer = house.access.decide(from_campus("hanako", "himitsu")).await;
    assert!(accepted(&answer), "{answer:?}");
}

#[tokio::test]
async fn a_right_response_forgives_nothing_that_the_directory_counts() {
    let house = House::start();
    let here = |typed: &str| Attempt {
        station: Station::read(LAPTOP),
        ..attempt(&wifi(), "yuki", typed)
    };
    let hanako = |typed: &str| Attempt {
        station: Station::read(CAMPUS),
        ..attempt(&wifi(), "hanako", typed)
    };
    rejected(
        &house.access.decide(here("falsch")).await,
        Reason::WrongPassword,
    );
    for _ in 0..3 {
        house.clock.shift_by(10_000);
        let wrong = house.access.decide(hanako("falsch")).await;
        rejected(&wrong, Reason::WrongPassword);
        house.clock.shift_by(10_000);
        let right = house.access.decide(from_campus("hanako", "himitsu")).await;
        assert!(accepted(&right), "{right:?}");
    }
    house.clock.shift_by(60_000);
    let account = house.access.account("hanako").await.unwrap().id.clone();
    let standing = house
        .store
        .standing(&account, &Station::read(CAMPUS))
        .unwrap();
    assert_eq!(standing.passwords.wrong_here, 3, "slapd counts three, too");
}

#[tokio::test]
async fn without_a_hash_it_is_refused_with_a_reason() {
    let house = House::start();
    let answer = house.access.decide(from_campus("yuki", "himitsu")).await;
    rejected(&answer, Reason::NoNtHash);
    let dn = person_dn("hanako");
    house.slapd.modify(&format!(
        "dn: {dn}\nchangetype: modify\nreplace: sambaNTPassword\nsambaNTPassword: 31D6CFE0D16AE931B73C59D7E0C089C0\n\n"
    ));
    let answer = house.access.decide(from_campus("hanako", "")).await;
    rejected(&answer, Reason::NoNtHash);
    let answer = house.access.decide(from_campus("nobody", "himitsu")).await;
    rejected(&answer, Reason::UnknownUser);
}

#[tokio::test]
async fn an_account_that_is_closed_is_refused() {
    let house = House::start();
    for (line, reason) in [
        ("sambaAcctFlags: [DU         ]", Reason::Disabled),
        ("sambaAcctFlags: [LU         ]", Reason::Locked),
        ("shadowExpire: 1", Reason::AccountExpired),
    ] {
        let (dn, attribute) = (person_dn("hanako"), line.split(':').next().unwrap());
        house.slapd.modify(&format!(
            "dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{line}\n\n"
        ));
        let answer = house.access.decide(from_campus("hanako", "himitsu")).await;
        rejected(&answer, reason);
        assert_eq!(answer.proof, None);
        house.slapd.modify(&format!(
            "dn: {dn}\nchangetype: modify\ndelete: {attribute}\n\n"
        ));
    }
    let answer = house.access.decide(from_campus("hanako", "himitsu")).await;
    assert!(accepted(&answer), "{answer:?}");
}

#[tokio::test]
async fn tries_of_one_laptop_are_one_prompt() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let shown = respond("hanako", "himitsu");
    let first = house
        .access
        .decide(at(LAPTOP, "hanako", shown.clone()))
        .await;
    assert_eq!(first.proof, Some(expected(&shown, "himitsu")));
    let first = waits(&first);
    for _ in 0..3 {
        let again = at(LAPTOP, "hanako", respond("hanako", "himitsu"));
        let again = waits(&house.access.decide(again).await);
        assert_eq!(again.prompt, first.prompt);
    }
    // Another station, and who knows the password, too, are asked for themselves.
    let other = at("02:00:5e:10:00:02", "hanako", respond("hanako", "himitsu"));
    let other = waits(&house.access.decide(other).await);
    assert_ne!(other.prompt, first.prompt);
    let wrong = at(LAPTOP, "hanako", respond("hanako", "himitsa"));
    rejected(&house.access.decide(wrong).await, Reason::WrongPassword);

    let seen = phone.sees(&house.store);
    assert_eq!(seen.len(), 2);
    phone.say(&house.access, &seen[0], approve("")).await;
    let answer = conclude(&house, &wifi(), &first, Ending::Decided).await;
    assert!(accepted(&answer), "{answer:?}");
    // Its Accept was lost: no second prompt.
    let shown = respond("hanako", "himitsu");
    let lost = house
        .access
        .decide(at(LAPTOP, "hanako", shown.clone()))
        .await;
    assert!(accepted(&lost), "{lost:?}");
    assert_eq!(lost.decision.reason, Reason::Repeated);
    assert_eq!(lost.proof, Some(expected(&shown, "himitsu")));
    house.has_bound("hanako", 0).await;
}

#[tokio::test]
async fn an_approval_that_came_late_lets_the_next_try_in() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let first = at(LAPTOP, "hanako", respond("hanako", "himitsu"));
    let first = waits(&house.access.decide(first).await);
    let answer = conclude(&house, &wifi(), &first, Ending::Patience).await;
    rejected(&answer, Reason::PushUnanswered);
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], approve("")).await;
    // The room keeps a verdict for ten seconds for who might have missed it.
    let answer = eventually_not_repeated(&house).await;
    assert_eq!(answer.decision.reason, Reason::ProvenLate);
    assert!(accepted(&answer) && answer.proof.is_some());
}

async fn eventually_not_repeated(house: &House) -> sekisho::access::Answer {
    house.forget_verdicts().await;
    let again = at(LAPTOP, "hanako", respond("hanako", "himitsu"));
    house.access.decide(again).await
}

#[tokio::test]
async fn what_cannot_be_typed_is_not_asked_for() {
    let house = House::start();
    let try_in = async |user: &str| {
        let answer = at(LAPTOP, user, respond(user, "himitsu"));
        house.access.decide(answer).await
    };
    // Hanako has a number, but no code could be typed.
    rejected(&try_in("hanako").await, Reason::CannotAsk);
    assert!(house.messages("sms").is_empty(), "nothing is sent for it");
    rejected(&try_in("taro").await, Reason::NoFactor);
    house.enrol("taro").await;
    house.forget_verdicts().await;
    let answer = try_in("taro").await;
    rejected(&answer, Reason::CannotAsk);
    assert_eq!(answer.proof, None);
}

#[tokio::test]
async fn a_denial_holds_for_the_laptop_that_tries_again() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let first = at(LAPTOP, "hanako", respond("hanako", "himitsu"));
    let first = waits(&house.access.decide(first).await);
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], Response::Report).await;
    let answer = conclude(&house, &wifi(), &first, Ending::Decided).await;
    rejected(&answer, Reason::PushDenied);
    let again = at(LAPTOP, "hanako", respond("hanako", "himitsu"));
    let answer = house.access.decide(again).await;
    assert!(
        matches!(answer.verdict, Verdict::Reject { .. }),
        "{answer:?}"
    );
    assert!(phone.sees(&house.store).is_empty());
}
