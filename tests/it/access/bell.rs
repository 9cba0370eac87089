//! Doorbells at a login: rung once it waits, and passed over at once when nobody hears them.

use std::sync::Arc;
use std::time::Duration;

use sekisho::access::{ClientPolicy, CodeEntry, Ending, News, PushMode, Verdict};
use sekisho::account::{AttemptId, Reason};
use sekisho::channel::{Doorbell, Push};
use sekisho::secret::Secret;
use tokio::sync::mpsc::Receiver;

use super::house::{House, accepted, challenged, client, rejected};
use super::push::{conclude, number, phone_of, waits};
use crate::channel::gateway::{Answer as Said, Gateway};
use crate::channel::push::{Browser, endpoint, web};
use crate::support::phone::{Phone, approve};

/// As long as any machine needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client whose gear can be asked, with these ways of push.
fn asking(push: &[PushMode]) -> Arc<ClientPolicy> {
    let policy = client("vpn", &[CodeEntry::Delimited, CodeEntry::Challenge]);
    Arc::new(ClientPolicy {
        push: push.to_vec(),
        ..ClientPolicy::clone(&policy)
    })
}

/// Hanako's phone with a doorbell at a push service that says this.
async fn with_bell(house: &House, url: &str) -> Phone {
    house.reach_by(web(vec![endpoint(url)]));
    let mut phone = phone_of(house, "hanako").await;
    let json = Browser::new().json(&format!("{url}push/a-capability"));
    let channels = house.access.channels();
    let bell = Doorbell::WebPush(channels.subscription(json.as_bytes()).unwrap());
    let bell = Secret::from(serde_json::to_string(&bell).unwrap().as_str());
    let device = house.store.device(phone.id).unwrap().unwrap();
    phone.counter += 1;
    let set = house.store.set_bell(&device, phone.counter, Some(bell));
    assert!(set.await.unwrap());
    phone
}

/// What is told of a prompt.
async fn news(news: &mut Receiver<News>, prompt: &AttemptId) -> Ending {
    let of_prompt = async {
        loop {
            let (about, ending) = news.recv().await.unwrap();
            if about == *prompt {
                return ending;
            }
        }
    };
    tokio::time::timeout(PATIENCE, of_prompt).await.unwrap()
}

/// Nobody can be rung: whoever waits is asked for a code at once, and the device is known as silent.
async fn falls_back(url: &str, gone: bool) {
    let house = House::start();
    let totp = house.enrol("hanako").await;
    let phone = with_bell(&house, url).await;
    let mut hear = house.access.news().unwrap();
    let client = asking(&[PushMode::Approve]);
    let wait = waits(&house.try_in(&client, "hanako", "himitsu,push").await);
    assert_eq!(news(&mut hear, &wait.prompt).await, Ending::Unreachable);
    let answer = conclude(&house, &client, &wait, Ending::Unreachable).await;
    let (state, text) = challenged(&answer);
    assert!(text.contains("did not answer"), "{text}");
    let answer = house
        .answer(&client, "hanako", state, &house.code(&totp))
        .await;
    assert!(accepted(&answer), "{answer:?}");
    house.store.flush().await.unwrap();
    let device = house.store.device(phone.id).unwrap().unwrap();
    assert!(device.failed.is_some());
    assert_eq!(device.bell.is_none(), gone);
    let known = house.store.known(&phone.account).await.unwrap().unwrap();
    assert!(known.factors.iter().any(|factor| factor.silent.is_some()));
    // A bell that is gone is not rung again: the next way at once.
    let shown = house
        .try_in(&asking(&[PushMode::Shown]), "hanako", "himitsu")
        .await;
    let reason = match gone {
        true => Reason::CodeAsked,
        false => Reason::PushAsked,
    };
    assert_eq!(shown.decision.reason, reason);
}

#[tokio::test]
async fn bell_is_rung_once_for_a_prompt() {
    let house = House::start();
    let service = Gateway::start(&[Said::Says(201, "")]).await;
    let mut phone = with_bell(&house, &service.url("/")).await;
    let client = asking(&[PushMode::Approve]);
    let wait = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let again = waits(&house.try_in(&client, "hanako", "himitsu").await);
    assert_eq!(wait.prompt, again.prompt);
    let mut rings = Vec::new();
    let until = tokio::time::Instant::now() + PATIENCE;
    while rings.is_empty() && tokio::time::Instant::now() < until {
        tokio::task::yield_now().await;
        rings.extend(service.asked());
    }
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], approve("")).await;
    assert!(accepted(
        &conclude(&house, &client, &wait, Ending::Decided).await
    ));
    rings.extend(service.asked());
    assert_eq!(rings.len(), 1);
    assert!(
        house
            .store
            .device(phone.id)
            .unwrap()
            .unwrap()
            .is_reachable()
    );
}

#[tokio::test]
async fn subscription_that_has_ended_is_passed_over_at_once() {
    let service = Gateway::start(&[Said::Says(410, "")]).await;
    falls_back(&service.url("/"), true).await;
}

#[tokio::test]
async fn push_service_that_is_down_is_passed_over_at_once() {
    let port = crate::support::ports::free();
    falls_back(&format!("http://127.0.0.1:{port}/"), false).await;
}

#[tokio::test]
async fn push_service_that_is_slow_is_passed_over_in_time() {
    let service = Gateway::start(&[Said::Never]).await;
    falls_back(&service.url("/"), false).await;
}

#[tokio::test]
async fn number_goes_on_working_when_the_bell_does_not() {
    let house = House::start();
    let service = Gateway::start(&[Said::Says(500, "")]).await;
    let mut phone = with_bell(&house, &service.url("/")).await;
    let client = asking(&[PushMode::Shown]);
    let (state, text) = challenged(&house.try_in(&client, "hanako", "himitsu").await);
    let seen = phone.sees(&house.store);
    phone
        .say(&house.access, &seen[0], approve(&number(&text)))
        .await;
    assert!(accepted(
        &house.answer(&client, "hanako", state, "OK").await
    ));
}

/// The site's own push service, for those who have no device here.
#[tokio::test]
async fn the_sites_own_service_asks_and_answers() {
    let house = House::start();
    let (service, push) = crate::channel::webhook::asks(&[Said::Says(202, "")]).await;
    house.reach_by(push);
    let client = asking(&[PushMode::Approve]);
    let wait = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let asked: serde_json::Value = serde_json::from_slice(&service.asked()[0].body).unwrap();
    assert_eq!(asked["prompt"], wait.prompt.as_str());
    assert_eq!(asked["name"], "campus/hanako");
    let body = format!(r#"{{"prompt":"{}","decision":"approve"}}"#, wait.prompt);
    let (timestamp, signature) = crate::channel::webhook::posted(body.as_bytes());
    let forged = house
        .access
        .take_posted_answer((&timestamp, "v1=00"), body.as_bytes())
        .await;
    assert!(forged.is_err());
    let heard = house
        .access
        .take_posted_answer((&timestamp, &signature), body.as_bytes())
        .await;
    assert!(heard.unwrap().is_some());
    assert!(accepted(
        &conclude(&house, &client, &wait, Ending::Decided).await
    ));
}

#[tokio::test]
async fn who_has_no_phone_at_the_service_is_sent_a_code() {
    let house = House::start();
    let (_service, push) = crate::channel::webhook::asks(&[Said::Says(404, "")]).await;
    house.reach_by(push);
    let client = asking(&[PushMode::Approve]);
    for _ in 0..7 {
        let answer = house.try_in(&client, "hanako", "himitsu").await;
        assert!(matches!(answer.verdict, Verdict::Challenge { .. }));
        assert_eq!(answer.decision.reason, Reason::CodeSent);
    }
    // Nor does it count as prompts.
    let taro = house.try_in(&client, "taro", "himitsu").await;
    rejected(&taro, Reason::NoFactor);
}

/// A table without anything.
#[tokio::test]
async fn without_a_push_service_the_page_is_enough() {
    let house = House::start();
    house.reach_by(Push::default());
    let mut phone = phone_of(&house, "hanako").await;
    let client = asking(&[PushMode::Approve]);
    let wait = waits(&house.try_in(&client, "hanako", "himitsu").await);
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], approve("")).await;
    assert!(accepted(
        &conclude(&house, &client, &wait, Ending::Decided).await
    ));
}
