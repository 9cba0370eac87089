//! Web Push and ntfy, against services on loopback; what arrives is opened by code of its own.

use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey as Verifier};
use data_encoding::BASE64URL_NOPAD;
use sekisho::account::Language;
use sekisho::channel::{
    Channels, Doorbell, Endpoint, Ntfy, Push, Reach, Ring, Rung, Service, Settings, Subject,
    Subscription, Topic, VapidKey, WebPush,
};
use sekisho::secret::{Secret, hmac_sha256, random_array};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::deadline;
use super::gateway::{Answer, Asked, Gateway};

/// The browser's side of a subscription.
pub(super) struct Browser {
    key: PrivateKey,
    auth: [u8; 16],
}

impl Browser {
    pub(super) fn new() -> Self {
        Self {
            key: PrivateKey::generate(&ECDH_P256).unwrap(),
            auth: random_array(),
        }
    }

    /// What `PushSubscription.toJSON()` gives.
    pub(super) fn json(&self, endpoint: &str) -> String {
        let point = self.key.compute_public_key().unwrap();
        json!({
            "endpoint": endpoint,
            "expirationTime": null,
            "keys": {
                "p256dh": BASE64URL_NOPAD.encode(point.as_ref()),
                "auth": BASE64URL_NOPAD.encode(&self.auth),
            },
        })
        .to_string()
    }

    /// Opens a body by the text of RFC 8291 §3.4 and RFC 8188 §2: HKDF written out in HMACs.
    fn open(&self, body: &[u8]) -> Option<Vec<u8>> {
        let hmac = |key: &[u8], text: &[u8]| hmac_sha256(&Secret::new(key.to_vec()), text);
        let (salt, rest) = body.split_at(16);
        let (size, rest) = rest.split_at(4);
        let (point, sealed) = rest[1..].split_at(usize::from(rest[0]));
        assert_eq!((size, rest[0]), ([0, 0, 16, 0].as_slice(), 65));
        let own = self.key.compute_public_key().unwrap();
        let sender = UnparsedPublicKey::new(&ECDH_P256, point);
        let shared = agree(&self.key, sender, (), |secret| Ok(secret.to_vec())).ok()?;
        let info = [b"WebPush: info\0", own.as_ref(), point, &[1]].concat();
        let input = hmac(&hmac(&self.auth, &shared), &info);
        let secret = hmac(salt, &input);
        let key = hmac(&secret, b"Content-Encoding: aes128gcm\0\x01");
        let nonce = hmac(&secret, b"Content-Encoding: nonce\0\x01");
        let mut text = sealed.to_vec();
        let text = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key[..16]).unwrap())
            .open_in_place(
                Nonce::try_assume_unique_for_key(&nonce[..12]).unwrap(),
                Aad::empty(),
                &mut text,
            )
            .ok()?;
        let end = text.iter().rposition(|octet| *octet != 0)?;
        assert_eq!(text[end], 2, "the delimiter of the last record");
        Some(text[..end].to_vec())
    }
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint::read(url, Reach::Anywhere, None).unwrap()
}

pub(super) fn channels(push: Push) -> Channels {
    let settings = Settings {
        push: Some(push),
        ..Settings::default()
    };
    let key = VapidKey::from_pkcs8(&VapidKey::generate()).unwrap();
    Channels::new(settings).unwrap().with_vapid(key)
}

pub(super) fn web(services: Vec<Endpoint>) -> Push {
    let services = services.into_iter();
    Push {
        web: Some(WebPush {
            subject: Subject::read("https://mfa.example.ac.jp").unwrap(),
            services: services.map(|url| Service::new(url).unwrap()).collect(),
            ttl: Duration::from_secs(60),
        }),
        ..Push::default()
    }
}

pub(super) fn ring(language: Language) -> Ring {
    Ring {
        prompt: "k3v-Q_1".to_owned(),
        ttl: Duration::from_secs(75),
        language,
        sender: "桜大学".to_owned(),
        portal: "https://mfa.example.ac.jp/".to_owned(),
    }
}

/// A browser that is subscribed at a push service on loopback.
async fn subscribed(answers: &[Answer]) -> (Gateway, Channels, Browser, Subscription) {
    let service = Gateway::start(answers).await;
    let channels = channels(web(vec![endpoint(&service.url("/"))]));
    let browser = Browser::new();
    let json = browser.json(&service.url("/push/a-capability?x=1"));
    let subscription = channels.subscription(json.as_bytes()).unwrap();
    (service, channels, browser, subscription)
}

async fn rung(answer: Answer) -> Rung {
    let (service, channels, _, subscription) = subscribed(&[answer]).await;
    let bell = Doorbell::WebPush(subscription);
    let rung = channels.ring(&bell, &ring(Language::Ja), deadline()).await;
    assert_eq!(service.asked().len(), 1);
    let shown = format!("{rung:?} {bell:?}");
    assert!(!shown.contains("capability"), "{shown}");
    rung
}

fn token_is_ours(asked: &Asked, channels: &Channels, service: &Gateway) {
    let (token, key) = asked
        .header("authorization")
        .strip_prefix("vapid t=")
        .unwrap()
        .split_once(", k=")
        .unwrap();
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
    assert_eq!(decode(key), channels.vapid_public().unwrap());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    Verifier::new(&ECDSA_P256_SHA256_FIXED, decode(key))
        .verify(signed.as_bytes(), &decode(signature))
        .unwrap();
    let claims: Value = serde_json::from_slice(&decode(signed.split_once('.').unwrap().1)).unwrap();
    assert_eq!(claims["sub"], "https://mfa.example.ac.jp");
    assert_eq!(claims["aud"], service.url(""));
}

#[tokio::test]
async fn a_browser_reads_what_was_sent_to_it_alone() {
    let (service, channels, browser, subscription) = subscribed(&[Answer::Says(201, "")]).await;
    let bell = Doorbell::WebPush(subscription);
    let rung = channels
        .ring(&bell, &ring(Language::Both), deadline())
        .await;
    assert_eq!(rung, Rung::Taken);
    let asked = service.asked_once();
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.uri.to_string(), "/push/a-capability?x=1");
    for (name, value) in [
        ("ttl", "75"),
        ("urgency", "high"),
        ("topic", "login"),
        ("content-encoding", "aes128gcm"),
        ("content-type", "application/octet-stream"),
    ] {
        assert_eq!(asked.header(name), value);
    }
    token_is_ours(&asked, &channels, &service);

    let text = browser.open(&asked.body).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&text).unwrap(),
        json!({
            "web_push": 8030,
            "notification": {
                "title": "桜大学 ログイン確認 / Login check",
                "body": "アプリを開いて確認してください / Open to check",
                "navigate": "https://mfa.example.ac.jp/app",
                "lang": "ja",
                "tag": "login",
                "requireInteraction": true,
                "data": {"prompt": "k3v-Q_1"},
            },
        })
    );
    assert!(Browser::new().open(&asked.body).is_none());
    let mut altered = asked.body;
    *altered.last_mut().unwrap() ^= 1;
    assert!(browser.open(&altered).is_none());
}

#[tokio::test]
async fn all_rings_have_one_length() {
    let (service, channels, _, subscription) = subscribed(&[Answer::Says(201, "")]).await;
    let bell = Doorbell::WebPush(subscription);
    let mut longest = ring(Language::Both);
    longest.sender = "大".repeat(1000);
    longest.portal = format!("https://{}.example.ac.jp", "m".repeat(400));
    let mut shortest = ring(Language::En);
    shortest.sender = String::new();
    for ring in [&longest, &shortest] {
        assert_eq!(channels.ring(&bell, ring, deadline()).await, Rung::Taken);
    }
    let asked = service.asked();
    assert_eq!(asked[0].body.len(), asked[1].body.len());
    assert!(asked[0].body.len() <= 4096);
    assert_eq!(
        asked[0].header("authorization"),
        asked[1].header("authorization")
    );
}

#[tokio::test]
async fn what_is_no_id_or_address_is_not_sent() {
    let (service, channels, _, subscription) = subscribed(&[Answer::Says(201, "")]).await;
    let bell = Doorbell::WebPush(subscription);
    for (prompt, portal) in [
        ("", "https://mfa.example.ac.jp"),
        ("a b", "https://mfa.example.ac.jp"),
        ("taro <taro@example.ac.jp>", "https://mfa.example.ac.jp"),
        ("p", "javascript:alert(1)"),
        ("p", "https://mfa.example.ac.jp/\n"),
        ("p", ""),
    ] {
        let ring = Ring {
            prompt: prompt.to_owned(),
            portal: portal.to_owned(),
            ..ring(Language::Ja)
        };
        let rung = channels.ring(&bell, &ring, deadline()).await;
        assert!(matches!(rung, Rung::Refused(_)), "{prompt} {portal}");
    }
    assert!(service.asked().is_empty());
}

#[tokio::test]
async fn each_answer_means_one_thing() {
    let busy = |status, seconds: &str| {
        let header = vec![("retry-after", seconds.to_owned())];
        Answer::Tells(status, header, String::new())
    };
    let refused = |text: &str| Rung::Refused(text.to_owned());
    let failed = |text: &str| Rung::Failed(text.to_owned());
    for (answer, expected) in [
        (Answer::Says(200, ""), Rung::Taken),
        (Answer::Says(202, ""), Rung::Taken),
        (Answer::Says(404, ""), Rung::Gone),
        (Answer::Says(410, "gone"), Rung::Gone),
        (busy(429, "30"), Rung::Busy(Duration::from_secs(30))),
        (busy(503, "5"), Rung::Busy(Duration::from_secs(5))),
        (busy(429, "9999999"), Rung::Busy(Duration::from_secs(3600))),
        (busy(429, "never"), Rung::Busy(Duration::from_secs(60))),
        (Answer::Says(503, ""), failed("answered 503")),
        (Answer::Says(500, "a-capability"), failed("answered 500")),
        (Answer::Says(400, "a-capability"), refused("answered 400")),
        (Answer::Says(413, ""), refused("answered 413")),
        (
            Answer::Says(403, r#"{"reason":"BadJwtToken"}"#),
            refused("answered 403: BadJwtToken"),
        ),
        (
            Answer::Says(403, r#"{"reason":"a-capability"}"#),
            refused("answered 403"),
        ),
        (
            Answer::Says(401, r#"{"errno":109,"message":"a-capability"}"#),
            refused("answered 401: errno 109"),
        ),
    ] {
        assert_eq!(rung(answer).await, expected);
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_an_endless_answer_has_an_end() {
    let elsewhere = Gateway::start(&[Answer::Says(201, "")]).await;
    let redirected = rung(Answer::Redirects(elsewhere.url("/"))).await;
    assert_eq!(redirected, Rung::Failed("answered 307".to_owned()));
    assert!(elsewhere.asked().is_empty());
    assert_eq!(rung(Answer::Giant).await, Rung::Taken);
}

#[tokio::test]
async fn the_deadline_ends_a_ring() {
    let (_service, channels, _, subscription) = subscribed(&[Answer::Never]).await;
    let begun = Instant::now();
    let bell = Doorbell::WebPush(subscription);
    let soon = begun + Duration::from_millis(200);
    let rung = channels.ring(&bell, &ring(Language::Ja), soon).await;
    assert_eq!(rung, Rung::Failed("did not answer in time".to_owned()));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn bells_are_kept_and_rung_again() {
    let (service, channels, browser, subscription) = subscribed(&[Answer::Says(201, "")]).await;
    let bell = Doorbell::WebPush(subscription);
    let kept = serde_json::to_string(&bell).unwrap();
    let again: Doorbell = serde_json::from_str(&kept).unwrap();
    assert_eq!(again, bell);
    let rung = channels.ring(&again, &ring(Language::Ja), deadline()).await;
    assert_eq!(rung, Rung::Taken);
    assert!(browser.open(&service.asked_once().body).is_some());

    let topic = Topic::random();
    let bell = Doorbell::Ntfy { topic };
    let kept = serde_json::to_string(&bell).unwrap();
    assert_eq!(serde_json::from_str::<Doorbell>(&kept).unwrap(), bell);
    assert!(serde_json::from_str::<Doorbell>(r#"{"ntfy":{"topic":"../x"}}"#).is_err());
}

#[tokio::test]
async fn without_key_or_table_nothing_is_rung() {
    let channels = Channels::new(Settings::default()).unwrap();
    assert!(!channels.has_push() && channels.vapid_public().is_none());
    let topic = Topic::random();
    assert_eq!(channels.ntfy_address(&topic), None);
    let bell = Doorbell::Ntfy { topic };
    let rung = channels.ring(&bell, &ring(Language::Ja), deadline()).await;
    assert!(matches!(rung, Rung::Refused(_)), "{rung:?}");
    let json = Browser::new().json("https://fcm.googleapis.com/fcm/send/x");
    assert!(channels.subscription(json.as_bytes()).is_err());
}

async fn ntfy(answer: Answer) -> (Gateway, Channels) {
    let server = Gateway::start(&[answer]).await;
    let push = Push {
        ntfy: Some(Ntfy {
            server: endpoint(&server.url("/")),
            token: Some(Secret::from("tk_0123")),
            timeout: Duration::from_secs(20),
        }),
        ..Push::default()
    };
    (server, channels(push))
}

#[tokio::test]
async fn ntfy_gets_fixed_words_for_a_topic() {
    let (server, channels) = ntfy(Answer::Says(200, "{}")).await;
    assert!(channels.has_push() && channels.has_ntfy() && !channels.has_web_push());
    let topic = Topic::random();
    assert_ne!(topic, Topic::random());
    assert_eq!(
        channels.ntfy_address(&topic).unwrap(),
        server.url(&format!("/{}", topic.as_str()))
    );
    let bell = Doorbell::Ntfy {
        topic: topic.clone(),
    };
    let rung = channels
        .ring(&bell, &ring(Language::Both), deadline())
        .await;
    assert_eq!(rung, Rung::Taken);
    let asked = server.asked_once();
    assert_eq!((asked.method.as_str(), asked.uri.path()), ("POST", "/"));
    assert_eq!(asked.header("authorization"), "Bearer tk_0123");
    assert_eq!(
        serde_json::from_slice::<Value>(&asked.body).unwrap(),
        json!({
            "topic": topic.as_str(),
            "title": "桜大学 ログイン確認 / Login check",
            "message": "アプリを開いて確認してください / Open to check",
            "click": "https://mfa.example.ac.jp/app",
            "priority": 4,
        })
    );
}

#[tokio::test]
async fn a_topic_is_never_gone() {
    let (_server, channels) = ntfy(Answer::Says(404, "")).await;
    let bell = Doorbell::Ntfy {
        topic: Topic::random(),
    };
    let rung = channels.ring(&bell, &ring(Language::Ja), deadline()).await;
    assert_eq!(
        rung,
        Rung::Failed("answered that there is no ntfy".to_owned())
    );
}

#[tokio::test]
async fn a_probe_tells_of_ntfy() {
    let (server, channels) = ntfy(Answer::Says(200, "")).await;
    let seen = channels.probe().await;
    assert_eq!(seen, [("push.ntfy".into(), Ok(()))]);
    assert_eq!(server.asked_once().method, "HEAD");
}
