//! The browsers, the push service and the site of the tests, tried by themselves: what a test of pages relies on.

use serde_json::json;

use super::chromium::Chromium;
use super::firefox::Firefox;
use super::page::Key;
use super::push_service::{Ack, Answer, Posted, PushService};
use super::sender::{Sender, Subscription, encrypt, post};
use super::site::Site;
use super::vapid::since_epoch;
use super::{DESK, NARROW, PHONE};

/// Posts as a sender should, and gives what the service kept of it.
fn send(service: &PushService, who: &Sender, to: &Subscription, body: &[u8]) -> Posted {
    let vapid = who.vapid(&to.endpoint, since_epoch().as_secs() + 3600);
    let fields = [
        ("TTL", "60"),
        ("Urgency", "high"),
        ("Topic", "a-prompt"),
        ("Content-Encoding", "aes128gcm"),
        ("Authorization", vapid.as_str()),
    ];
    let status = post(&to.endpoint, &fields, body);
    let posted = service.posted(1).pop().unwrap();
    assert_eq!(status, Some(posted.status), "{posted:?}");
    posted
}

/// A page of the site in Firefox, subscribed.
fn subscribed(firefox: &Firefox, site: &Site, who: &Sender) -> Subscription {
    firefox.goto(&site.url("/"));
    let key = who.key();
    let subscription = firefox.run(&format!("return (await subscribe('{key}')).toJSON()"));
    Subscription::from(&subscription)
}

#[test]
fn a_message_goes_the_whole_way_and_a_tampered_one_does_not() {
    let (service, site, who) = (PushService::start(), Site::start(), Sender::new());
    let firefox = Firefox::start("ja", Some(&service));
    let to = subscribed(&firefox, &site, &who);
    assert!(to.endpoint.starts_with(&service.origin()));
    let mut body = encrypt(&to, "改ざん");
    *body.last_mut().unwrap() ^= 1;
    let tampered = send(&service, &who, &to, &body);
    assert_eq!(service.ack(&tampered), Ack::Unreadable);
    let sound = send(&service, &who, &to, &encrypt(&to, "確認してください"));
    assert_eq!(service.ack(&sound), Ack::Delivered);
    assert_eq!(site.hears(1), ["確認してください"]);
    assert_eq!(firefox.find("#heard li").text(), "確認してください");
    assert_eq!(firefox.value("document.querySelectorAll('li').length"), 1);
    assert_eq!(
        [
            sound.field("ttl"),
            sound.field("urgency"),
            sound.field("topic")
        ],
        [Some("60"), Some("high"), Some("a-prompt")]
    );
    let claims = sound.claims.unwrap();
    assert_eq!(
        (claims.key, claims.subject.as_str()),
        (who.key(), "mailto:desk@example.ac.jp")
    );
    firefox.screenshot("harness-firefox");
}

#[test]
fn the_push_service_refuses_as_the_real_ones_do() {
    let (mut service, site, who) = (PushService::start(), Site::start(), Sender::new());
    let firefox = Firefox::start("en", Some(&service));
    let to = subscribed(&firefox, &site, &who);
    let body = encrypt(&to, "x");
    let soon = since_epoch().as_secs() + 60;
    let vapid = who.vapid(&to.endpoint, soon);
    let stranger = Sender::new().vapid(&to.endpoint, soon);
    let elsewhere = who.vapid("https://push.example.net/1", soon);
    let late = who.vapid(&to.endpoint, soon - 120);
    let all = [("TTL", "1"), ("Content-Encoding", "aes128gcm")];
    let by = |who: &str| {
        post(
            &to.endpoint,
            &[all[0], all[1], ("Authorization", who)],
            &body,
        )
    };
    assert_eq!([by(&vapid), by(&stranger)], [Some(201), Some(403)]);
    assert_eq!([by(&elsewhere), by(&late), by("")], [Some(401); 3]);
    assert_eq!(post(&to.endpoint, &all[1..], &body), Some(400), "no TTL");
    assert_eq!(
        post(&to.endpoint, &all[..1], &body),
        Some(400),
        "no encoding"
    );
    assert_eq!(post(&to.endpoint, &all, &[0; 4097]), Some(413));
    assert_eq!(post(&format!("{}0", to.endpoint), &all, &body), Some(410));
    for (answer, status) in [(Answer::Says(429, Some(30)), 429), (Answer::Loses, 201)] {
        service.answers(answer);
        assert_eq!(by(&vapid), Some(status));
    }
    service.answers(Answer::Takes);
    service.down();
    assert_eq!(by(&vapid), None);
    service.up();
    service.connected();
    let sound = send(&service, &who, &to, &encrypt(&to, "back"));
    assert_eq!(service.ack(&sound), Ack::Delivered);
    assert_eq!(site.hears(2), ["x", "back"]);
    let gone = firefox.run(
        "const held = await (await ready()).pushManager.getSubscription(); return held.unsubscribe()",
    );
    assert_eq!(gone, true);
    let unsubscribed = send(&service, &who, &to, &body);
    assert_eq!(unsubscribed.status, 410);
}

#[test]
fn what_a_browser_missed_comes_later_and_a_forgotten_one_is_told() {
    let (service, site, who) = (PushService::start(), Site::start(), Sender::new());
    let firefox = Firefox::start("en", Some(&service));
    let to = subscribed(&firefox, &site, &who);
    service.away(true);
    for text in ["first", "second"] {
        let posted = send(&service, &who, &to, &encrypt(&to, text));
        assert_eq!(posted.status, 201);
    }
    service.away(false);
    assert_eq!(site.hears(1), ["second"], "they have one topic");
    service.answers(Answer::Late(std::time::Duration::from_millis(50)));
    let late = send(&service, &who, &to, &encrypt(&to, "third"));
    assert_eq!(service.ack(&late), Ack::Delivered);
    service.forget();
    assert_eq!(site.hears(3)[2], "changed");
    let gone = send(&service, &who, &to, &encrypt(&to, "fourth"));
    assert_eq!(gone.status, 410);
}

#[test]
fn firefox_is_used_as_a_person_would() {
    let site = Site::start();
    let firefox = Firefox::start("ja", None);
    firefox.resize(800, 600);
    firefox.goto(&site.url("/"));
    assert_eq!(firefox.value("navigator.language"), "ja");
    firefox.find("#name").type_text("太");
    firefox.keys("郎");
    assert_eq!(firefox.value("document.activeElement.value"), "太郎");
    firefox.find("button").click();
    firefox.wait("location.search === '?name=%E5%A4%AA%E9%83%8E'");
}

#[test]
fn a_worker_of_chromium_wakes_with_every_page_closed() {
    let site = Site::start();
    let chromium = Chromium::start("ja");
    chromium.grant_notifications(&site.url(""));
    let page = chromium.page(PHONE);
    page.goto(&site.url("/"));
    assert_eq!(page.value("Notification.permission"), "granted");
    page.value("ready().then(() => true)");
    let (worker, scope) = (site.url("/worker.js"), site.url("/"));
    chromium.wait_worker(&worker, "activated");
    chromium.deliver(&scope, "開いている");
    assert_eq!(page.text("#heard li"), "開いている");
    page.is_sound();
    page.close();
    chromium.stop_workers(&worker);
    chromium.deliver(&scope, "閉じている");
    assert_eq!(site.hears(2), ["開いている", "閉じている"]);
    let page = chromium.page(PHONE);
    page.goto(&site.url("/"));
    let shown = page.value(
        "ready().then((it) => it.getNotifications()).then((all) => all.map((it) => it.title))",
    );
    assert_eq!(shown, json!(["開いている", "閉じている"]));
}

#[test]
fn chromium_is_used_by_keyboard_alone_and_tells_what_is_wrong() {
    let site = Site::start();
    let chromium = Chromium::start("en");
    let mut page = chromium.page(NARROW);
    page.goto(&site.url("/"));
    assert_eq!(
        page.value("[navigator.language, innerWidth]"),
        json!(["en", 320])
    );
    page.tab_to("#name");
    page.type_text("太郎 1");
    assert_eq!(page.value("one('#name').value"), "太郎 1");
    page.screenshot("harness-chromium");
    page.tab_to("summary");
    page.press(Key::Space);
    assert_eq!(page.text("details p"), "以上");
    assert!(page.words().contains("以上"));
    page.press(Key::BackTab);
    assert_eq!(page.value("document.activeElement.textContent"), "送る");
    page.press(Key::Enter);
    page.wait("location.search === '?name=%E5%A4%AA%E9%83%8E+1'");
    page.is_sound();
    page.click("button");
    page.wait("location.search === '?name='");
    assert!(page.is_in_view("button"));
    page.emulate("print", &[("prefers-color-scheme", "dark")]);
    page.resize(DESK);
    page.wait("matchMedia('print').matches && matchMedia('(prefers-color-scheme: dark)').matches && innerWidth === 1024");
    page.value("one('h1').style.width = '2000px'");
    page.value("fetch('https://example.net/').catch(() => true)");
    let faults = page.faults();
    assert!(
        faults
            .iter()
            .any(|fault| fault.contains("Content Security Policy")),
        "{faults:?}"
    );
    let wide = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| page.is_sound()));
    assert!(wide.is_err());
}
