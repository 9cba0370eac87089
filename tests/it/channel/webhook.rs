//! A site's own push service, on loopback: what it is asked, and which answers are believed.

use std::time::Duration;

use data_encoding::HEXLOWER;
use sekisho::account::{AccountId, ClientName, Station};
use sekisho::channel::{
    Alert, Alerts, Asked, BadAnswer, Channels, Choice, Endpoint, Matching, Notice, Polled, Push,
    Question, Reach, Settings, Webhook,
};
use sekisho::clock::{Clock, Timestamp};
use sekisho::secret::{Secret, hmac_sha256};
use serde_json::{Value, json};

use super::deadline;
use super::gateway::{self, Answer, Gateway};

const KEY: &str = "sixteen octets at least";
const APPROVAL: &str = r#"{"prompt":"k3v-Q_1","decision":"approve","number":"42"}"#;

fn webhook(service: &Gateway, path: &str) -> Webhook {
    Webhook {
        endpoint: Endpoint::read(&service.url(path), Reach::Anywhere, None).unwrap(),
        key: Secret::from(KEY),
        timeout: Duration::from_secs(20),
        poll: Some(Duration::from_secs(2)),
    }
}

async fn service(answers: &[Answer]) -> (Gateway, Channels) {
    let service = Gateway::start(answers).await;
    let push = Push {
        webhook: Some(webhook(&service, "/prompts?site=1")),
        ..Push::default()
    };
    let settings = Settings {
        push: Some(push),
        ..Settings::default()
    };
    (service, Channels::new(settings).unwrap())
}

fn question() -> Question {
    Question {
        prompt: "k3v-Q_1".to_owned(),
        account: AccountId::new("campus", "5f0c"),
        name: "taro".to_owned(),
        client: ClientName::new("vpn"),
        label: ("VPN(学外接続)".to_owned(), "VPN".to_owned()),
        station: Station::read("203.0.113.24"),
        zone: "outside".to_owned(),
        at: Timestamp::from_secs(1_711_929_912),
        expires: Timestamp::from_secs(1_711_930_002),
        number: Matching::Needed,
        answer_url: "https://mfa.example.ac.jp/answer".to_owned(),
    }
}

/// The signature, written out by the text of the manual.
fn signature(key: &str, timestamp: &str, said: &[u8]) -> String {
    let text = [timestamp.as_bytes(), b".", said].concat();
    let digest = hmac_sha256(&Secret::from(key), &text);
    format!("v1={}", HEXLOWER.encode(&digest))
}

fn is_signed(asked: &gateway::Asked, said: &[u8]) {
    let timestamp = asked.header("sekisho-timestamp");
    let at = Timestamp::from_secs(timestamp.parse().unwrap());
    let now = Clock::system().now();
    assert!(now.since(at).max(at.since(now)) < Duration::from_secs(30));
    assert_eq!(
        asked.header("sekisho-signature"),
        signature(KEY, timestamp, said)
    );
}

/// An answer that was signed some seconds ago.
fn signed(key: &str, ago: u64, body: &str) -> Answer {
    let now = Clock::system().now().before(Duration::from_secs(ago));
    let timestamp = now.secs().to_string();
    let signature = signature(key, &timestamp, body.as_bytes());
    let headers = vec![
        ("sekisho-timestamp", timestamp),
        ("sekisho-signature", signature),
    ];
    Answer::Tells(200, headers, body.to_owned())
}

#[tokio::test]
async fn a_question_arrives_signed() {
    let (service, channels) = service(&[Answer::Says(202, "")]).await;
    assert!(channels.has_webhook());
    assert_eq!(channels.poll_interval(), Some(Duration::from_secs(2)));
    let asked = channels.ask(&question(), deadline()).await;
    assert_eq!(asked, Asked::Taken);
    let asked = service.asked_once();
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.uri.to_string(), "/prompts?site=1");
    assert_eq!(asked.header("content-type"), "application/json");
    is_signed(&asked, &asked.body);
    assert_eq!(
        serde_json::from_slice::<Value>(&asked.body).unwrap(),
        json!({
            "version": 1,
            "prompt": "k3v-Q_1",
            "account": "campus:5f0c",
            "name": "taro",
            "client": {"name": "vpn", "ja": "VPN(学外接続)", "en": "VPN"},
            "station": "203.0.113.24",
            "zone": "outside",
            "at": "2024-04-01T00:05:12Z",
            "expires": "2024-04-01T00:06:42Z",
            "number-needed": true,
            "answer-url": "https://mfa.example.ac.jp/answer",
        })
    );
}

#[tokio::test]
async fn a_person_without_a_device_is_told_from_a_failure() {
    for (answer, expected) in [
        (Answer::Says(200, ""), Asked::Taken),
        (Answer::Says(404, ""), Asked::NoDevice),
        (
            Answer::Says(500, KEY),
            Asked::Failed("answered 500".to_owned()),
        ),
        (
            Answer::Redirects("http://localhost/".to_owned()),
            Asked::Failed("answered 307".to_owned()),
        ),
    ] {
        let (_service, channels) = service(&[answer]).await;
        assert_eq!(channels.ask(&question(), deadline()).await, expected);
    }
}

#[tokio::test]
async fn an_answer_is_fetched() {
    let answers = [Answer::Says(202, ""), signed(KEY, 0, APPROVAL)];
    let (service, channels) = service(&answers).await;
    let polled = channels.poll("k3v-Q_1", deadline()).await;
    assert!(matches!(polled, Polled::Waiting), "{polled:?}");
    let answered = channels.poll("k3v-Q_1", deadline()).await;
    let asked = service.asked();
    let asked = &asked[0];
    assert_eq!(asked.method, "GET");
    assert_eq!(asked.uri.to_string(), "/prompts/k3v-Q_1?site=1");
    is_signed(asked, b"k3v-Q_1");
    match answered {
        Polled::Answered(answer) => {
            assert_eq!(answer.choice, Choice::Approve);
            assert_eq!(answer.number, Some(Secret::from("42")));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_not_signed_for_this_prompt_now_is_not_believed() {
    let other = APPROVAL.replace("k3v", "abc");
    let failed = |answer: &str| format!("Failed({answer:?})");
    let unsigned = "answered what is not signed with the webhook's key";
    for (answer, expected) in [
        (Answer::Says(200, APPROVAL), failed(unsigned)),
        (
            signed("another key of theirs", 0, APPROVAL),
            failed(unsigned),
        ),
        (
            signed(KEY, 100, APPROVAL),
            failed("answered what was signed more than a minute ago or ahead"),
        ),
        (
            signed(KEY, 0, "approve"),
            failed("answered what is no answer to a prompt"),
        ),
        (
            signed(KEY, 0, &other),
            failed("answered for another prompt"),
        ),
        (Answer::Says(404, ""), "Gone".to_owned()),
        (Answer::Says(410, ""), "Gone".to_owned()),
        (Answer::Says(500, ""), failed("answered 500")),
        (
            Answer::Giant,
            failed("answered with more than 65536 octets (the message may have gone out)"),
        ),
    ] {
        let (_service, channels) = service(&[answer]).await;
        let polled = channels.poll("k3v-Q_1", deadline()).await;
        assert_eq!(format!("{polled:?}"), expected);
    }
    let (service, channels) = service(&[signed(KEY, 0, APPROVAL)]).await;
    for prompt in ["", "..", "a/b", "a?b", "ä"] {
        let polled = channels.poll(prompt, deadline()).await;
        assert!(matches!(polled, Polled::Failed(_)), "{prompt}");
    }
    assert!(service.asked().is_empty());
}

#[tokio::test]
async fn a_posted_answer_is_believed_under_the_key_alone() {
    let (_service, channels) = service(&[Answer::Says(200, "")]).await;
    let now = Timestamp::from_secs(1_800_000_000);
    let posted = |key: &str| {
        let signature = signature(key, "1800000000", APPROVAL.as_bytes());
        channels.posted_answer(("1800000000", &signature), APPROVAL.as_bytes(), now)
    };
    assert_eq!(posted(KEY).unwrap().choice, Choice::Approve);
    assert_eq!(posted("another key"), Err(BadAnswer::Signature));
    // Nothing is believed where nothing is configured.
    let none = Channels::new(Settings::default()).unwrap();
    assert_eq!(
        none.posted_answer(("1800000000", ""), APPROVAL.as_bytes(), now),
        Err(BadAnswer::Signature)
    );
    // What we say ourselves is no answer, although it is signed.
    let own = question();
    let body = json!({"prompt": own.prompt, "version": 1}).to_string();
    let signature = signature(KEY, "1800000000", body.as_bytes());
    assert_eq!(
        channels.posted_answer(("1800000000", &signature), body.as_bytes(), now),
        Err(BadAnswer::Form)
    );
}

pub(super) fn alert() -> Alert {
    Alert {
        event: "reported",
        at: Timestamp::from_secs(1_711_929_912),
        account: Some(AccountId::new("campus", "5f0c")),
        name: "taro".to_owned(),
        reference: "0H4ZT7Q2AB".to_owned(),
        ja: Notice {
            subject: "本人ではないログインの報告".to_owned(),
            text: "taro さんが「自分ではない」と報告しました。".to_owned(),
        },
        en: Notice {
            subject: "A login was reported".to_owned(),
            text: "taro says that it was not them.".to_owned(),
        },
    }
}

#[tokio::test]
async fn an_alert_arrives_signed() {
    for (answer, expected) in [
        (Answer::Says(204, ""), Ok(())),
        (Answer::Says(500, ""), Err("answered 500".to_owned())),
    ] {
        let service = Gateway::start(&[answer]).await;
        let settings = Settings {
            alerts: Alerts {
                webhook: Some(webhook(&service, "/alerts")),
                mail: None,
            },
            ..Settings::default()
        };
        let channels = Channels::new(settings).unwrap();
        assert!(channels.has_alerts() && !channels.has_webhook());
        let alerted = channels.alert(&alert(), deadline()).await;
        assert_eq!(alerted, [("alert.webhook", expected)]);
        let asked = service.asked_once();
        is_signed(&asked, &asked.body);
        let said: Value = serde_json::from_slice(&asked.body).unwrap();
        assert_eq!(said["event"], "reported");
        assert_eq!(said["subject"]["ja"], "本人ではないログインの報告");
        assert_eq!(said["at"], "2024-04-01T00:05:12Z");
    }
    let none = Channels::new(Settings::default()).unwrap();
    assert!(none.alert(&alert(), deadline()).await.is_empty());
}

#[tokio::test]
async fn a_probe_tells_of_webhooks() {
    let (service, channels) = service(&[Answer::Says(405, "")]).await;
    assert_eq!(channels.probe().await, [("push.webhook".into(), Ok(()))]);
    assert_eq!(service.asked_once().method, "HEAD");
}
