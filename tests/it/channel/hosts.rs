//! Whom a subscription may make us ask: nobody but the push services that are allowed, and those only where they are.

use proptest::prelude::*;
use sekisho::account::Language;
use sekisho::channel::{BadSubscription, Channels, Doorbell, Endpoint, Reach, Rung, Subscription};

use super::deadline;
use super::gateway::{Answer, Gateway};
use super::push::{Browser, channels, ring, web};

fn own_service() -> Channels {
    let url = "https://push.example.ac.jp:8443";
    channels(web(vec![Endpoint::read(url, Reach::Public, None).unwrap()]))
}

fn judged(channels: &Channels, endpoint: &str) -> Result<Subscription, BadSubscription> {
    channels.subscription(Browser::new().json(endpoint).as_bytes())
}

#[test]
fn push_services_of_browsers_and_of_the_file_are_allowed() {
    let channels = own_service();
    for endpoint in [
        "https://fcm.googleapis.com/fcm/send/abc:APA91b-x_y",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAAA",
        "https://eu.push.services.mozilla.com/wpush/v2/gAAAAA",
        "https://web.push.apple.com/QGx",
        "https://wns2-par02p.notify.windows.com/w/?token=BQYAAAD%2fx%3d",
        "https://push.example.ac.jp:8443/up?id=1",
    ] {
        let subscription = judged(&channels, endpoint).expect(endpoint);
        assert!(endpoint.contains(subscription.host()));
    }
}

/// Endpoints that are not asked, and why.
const REFUSED: &[(&str, BadSubscription)] = &[
    // Other hosts, and those that look like an allowed one.
    ("https://example.com/", BadSubscription::Host),
    (
        "https://fcm.googleapis.com.evil.example/",
        BadSubscription::Host,
    ),
    ("https://evilfcm.googleapis.com/", BadSubscription::Host),
    ("https://x.fcm.googleapis.com/", BadSubscription::Host),
    ("https://googleapis.com/", BadSubscription::Host),
    ("https://evilpush.apple.com/", BadSubscription::Host),
    ("https://push.apple.com/", BadSubscription::Host),
    (
        "https://web.push.apple.com.evil.example/",
        BadSubscription::Host,
    ),
    (
        "https://notify.windows.com.evil.example/",
        BadSubscription::Host,
    ),
    ("https://fcm.googleapis.com./", BadSubscription::Host),
    ("https://web.push.apple.com./", BadSubscription::Host),
    ("https://localhost/", BadSubscription::Host),
    ("https://metadata.google.internal/", BadSubscription::Host),
    // Names in other alphabets, also those that look the same.
    ("https://xn--wgv71a.example/", BadSubscription::Host),
    (
        "https://fcm.g\u{43e}\u{43e}gleapis.com/",
        BadSubscription::Endpoint,
    ),
    (
        "https://\u{ff46}cm.googleapis.com/",
        BadSubscription::Endpoint,
    ),
    (
        "https://fcm\u{3002}googleapis\u{3002}com/",
        BadSubscription::Endpoint,
    ),
    // Addresses in every spelling.
    ("https://127.0.0.1/", BadSubscription::Host),
    ("https://10.1.2.3/", BadSubscription::Host),
    ("https://169.254.169.254/latest/", BadSubscription::Host),
    ("https://[::1]/", BadSubscription::Host),
    ("https://[::ffff:7f00:1]/", BadSubscription::Host),
    ("https://[::ffff:127.0.0.1]/", BadSubscription::Endpoint),
    ("https://[fd00::1]/", BadSubscription::Host),
    ("https://[fe80::1]/", BadSubscription::Host),
    ("https://[fe80::1%25eth0]/", BadSubscription::Endpoint),
    ("https://0x7f000001/", BadSubscription::Endpoint),
    ("https://2130706433/", BadSubscription::Endpoint),
    ("https://0177.0.0.1/", BadSubscription::Endpoint),
    ("https://127.1/", BadSubscription::Endpoint),
    // Ports, users, other schemes.
    ("https://fcm.googleapis.com:8443/", BadSubscription::Host),
    ("https://fcm.googleapis.com:22/", BadSubscription::Host),
    ("https://fcm.googleapis.com:443/", BadSubscription::Endpoint),
    ("https://push.example.ac.jp/", BadSubscription::Host),
    ("https://push.example.ac.jp:8444/", BadSubscription::Host),
    (
        "https://fcm.googleapis.com@evil.example/",
        BadSubscription::Endpoint,
    ),
    ("https://u:p@fcm.googleapis.com/", BadSubscription::Endpoint),
    (
        "https://evil.example#@fcm.googleapis.com/",
        BadSubscription::Endpoint,
    ),
    (
        "https://evil.example\\@fcm.googleapis.com/",
        BadSubscription::Endpoint,
    ),
    ("https://fcm.googleapis.com/#x", BadSubscription::Endpoint),
    ("http://fcm.googleapis.com/", BadSubscription::Host),
    ("http://push.example.ac.jp:8443/", BadSubscription::Host),
    ("ftp://fcm.googleapis.com/", BadSubscription::Endpoint),
    ("file:///etc/passwd", BadSubscription::Endpoint),
    ("data:text/plain,x", BadSubscription::Endpoint),
    // Not as a URL is written.
    ("https:fcm.googleapis.com/", BadSubscription::Endpoint),
    ("https:\\\\fcm.googleapis.com/", BadSubscription::Endpoint),
    ("HTTPS://fcm.googleapis.com/", BadSubscription::Endpoint),
    ("https://FCM.googleapis.com/", BadSubscription::Endpoint),
    ("https://fcm.googleapis.com", BadSubscription::Endpoint),
    (" https://fcm.googleapis.com/", BadSubscription::Endpoint),
    ("https://fcm.googleapis.com/a\nb", BadSubscription::Endpoint),
    ("https://fcm.googleapis.com/../x", BadSubscription::Endpoint),
    ("https://fcm%2egoogleapis.com/", BadSubscription::Endpoint),
    ("//fcm.googleapis.com/", BadSubscription::Endpoint),
    ("", BadSubscription::Endpoint),
];

#[test]
fn all_others_are_refused() {
    use BadSubscription::TooLong;
    let channels = own_service();
    let long = format!("https://fcm.googleapis.com/{}", "a".repeat(2048));
    for (endpoint, why) in REFUSED.iter().copied().chain([(long.as_str(), TooLong)]) {
        assert_eq!(judged(&channels, endpoint).err(), Some(why), "{endpoint:?}");
    }
}

#[test]
fn keys_are_those_of_a_browser() {
    use BadSubscription::{Auth, Form, Key, TooLong};
    let channels = own_service();
    let sound = Browser::new().json("https://fcm.googleapis.com/x");
    let with = |p256dh: &str, auth: &str| {
        let mut json: serde_json::Value = serde_json::from_str(&sound).unwrap();
        if !p256dh.is_empty() {
            json["keys"]["p256dh"] = p256dh.into();
        }
        if !auth.is_empty() {
            json["keys"]["auth"] = auth.into();
        }
        json.to_string()
    };
    let off_the_curve = format!("BA{}", "A".repeat(85));
    let infinity = "AA";
    for (json, why) in [
        (with(&off_the_curve, ""), Key),
        (with(infinity, ""), Key),
        (with("!", ""), Key),
        (with("", "AAAA"), Auth),
        (with("", &"A".repeat(43)), Auth),
        (with("", "ÄÖ"), Auth),
        ("{}".to_owned(), Form),
        ("[]".to_owned(), Form),
        (String::new(), Form),
        (r#"{"endpoint":1,"keys":{}}"#.to_owned(), Form),
        (" ".repeat(9000), TooLong),
    ] {
        assert_eq!(
            channels.subscription(json.as_bytes()).err(),
            Some(why),
            "{json}"
        );
    }
    let padded: String = sound.replace("\"}}", "==\"}}");
    assert!(channels.subscription(padded.as_bytes()).is_ok(), "{padded}");
}

#[tokio::test]
async fn a_name_that_lies_inside_is_not_asked() {
    let inside = Gateway::start(&[Answer::Says(201, "")]).await;
    let origin = format!("https://localhost:{}", inside.address.port());
    let channels = channels(web(vec![
        Endpoint::read(&origin, Reach::Public, None).unwrap(),
    ]));
    let bell = Doorbell::WebPush(judged(&channels, &format!("{origin}/push")).unwrap());
    let rung = channels.ring(&bell, &ring(Language::Ja), deadline()).await;
    assert_eq!(
        rung,
        Rung::Failed("cannot be reached (no public address)".to_owned())
    );
    assert!(inside.asked().is_empty());
}

#[tokio::test]
async fn a_service_that_left_the_file_is_not_asked_any_more() {
    let bell =
        Doorbell::WebPush(judged(&own_service(), "https://push.example.ac.jp:8443/x").unwrap());
    let rung = channels(web(Vec::new()))
        .ring(&bell, &ring(Language::Ja), deadline())
        .await;
    assert_eq!(
        rung,
        Rung::Refused("the push service is not allowed".to_owned())
    );
}

proptest! {
    #[test]
    fn anything_is_a_subscription_or_not(
        json in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), ".{0,300}".prop_map(String::into_bytes)]
    ) {
        let read = serde_json::from_slice::<Subscription>(&json);
        prop_assert!(read.is_err());
    }

    /// Whatever stands before or after an allowed name, what is taken is the name alone.
    #[test]
    fn no_writing_leads_elsewhere(before in "[a-z0-9.:/@#?\\\\%-]{0,12}", after in "[a-z0-9.:/@#?\\\\%-]{0,12}") {
        let endpoint = format!("https://{before}fcm.googleapis.com{after}");
        let json = Browser::new().json(&endpoint);
        if let Ok(subscription) = serde_json::from_str::<Subscription>(&json) {
            let taken = CHANNELS.with(|channels| channels.subscription(json.as_bytes()).is_ok());
            prop_assert!(!taken || subscription.host() == "fcm.googleapis.com", "{endpoint}");
        }
    }
}

thread_local! {
    static CHANNELS: Channels = own_service();
}
