//! A prompt rings a phone: the product's own sender, a push service, a real browser and the portal's worker.

use serde_json::json;

use super::campus::{Campus, STATION, house};
use super::firefox::Firefox;
use super::page::Key;
use super::push_service::{Ack, Posted, PushService};
use crate::portal::House;
use crate::portal::visitor::Visitor;
use crate::support::daemon::wait;

/// Presses the button of the one notification, as far as a script can.
const NOT_ME: &str =
    "self.registration.getNotifications().then(([notification]) => self.dispatchEvent(
    new NotificationEvent('notificationclick', { notification, action: 'not-me' })))";

/// Firefox's ordinary services, and that of the tests.
pub(super) fn push(service: Option<&PushService>) -> String {
    let own = service.map(|service| {
        let url = service.origin();
        format!("[[push.service]]\nurl = \"{url}\"\nallow-private = true\n")
    });
    let own = own.unwrap_or_default();
    format!("[push]\nsubject = \"https://mfa.example.ac.jp\"\n{own}")
}

/// Whether the portal has taken the phone's bell.
const HAS_BELL: &str = "
    const request = indexedDB.open('sekisho', 1);
    await new Promise((done) => { request.onsuccess = done; });
    const asked = request.result.transaction('device').objectStore('device').get(1);
    await new Promise((done) => { asked.onsuccess = done; });
    request.result.close();
    return Boolean(asked.result.bell);";
/// Title and text of what is shown.
const SHOWN: &str = "
    const registration = await navigator.serviceWorker.getRegistration('/app');
    return (await registration.getNotifications()).map(({ title, body }) => [title, body]);";

/// A phone that is Firefox is paired with taro and proven. If it rings, it has rung for its test.
pub(super) fn paired(
    house: &House,
    language: &str,
    (service, rings): (&PushService, bool),
) -> (Firefox, Visitor) {
    let firefox = Firefox::start(language, Some(service));
    let mut visitor = house.signed_in("taro");
    let page = visitor.press("/methods/add", "/methods/add/device", &[]);
    firefox.goto(&url(house, "/app"));
    firefox.find("#pair-code").type_text(&page.number());
    firefox.find("#pair button").click();
    firefox.wait("document.getElementById('account').innerText === 'taro'");
    firefox.settles(HAS_BELL, &json!(rings));
    let number = visitor.get("/methods/add/device").number();
    firefox.find(".request .digits").type_text(&number);
    firefox.find(".request .approve").click();
    firefox.find(".outcome button").click();
    (firefox, visitor)
}

pub(super) fn url(house: &House, path: &str) -> String {
    format!("http://localhost:{}{path}", house.portal.port())
}

/// Waits until the page of taro's methods says something.
pub(super) fn methods_say(visitor: &mut Visitor, text: &str) {
    let mut said = String::new();
    wait(
        || {
            said = visitor.get("/methods").body;
            said.contains(text)
        },
        || format!("no {text:?} on the page of methods"),
    );
}

/// A login that rings after the test; what the push service got for it.
pub(super) fn ring(house: &House, service: &PushService) -> Posted {
    let tested = service.posted(1).len();
    let nas = house.daemon.nas().from_station(STATION);
    assert!(nas.login("taro", "taro-password").challenged());
    service.posted(tested + 1).pop().unwrap()
}

#[test]
fn a_login_rings_firefox_with_the_page_closed() {
    let service = PushService::start();
    let house = house(&push(Some(&service)));
    let (firefox, mut visitor) = paired(&house, "ja", (&service, true));
    methods_say(&mut visitor, "Notifications arrive.");
    firefox.goto("about:blank");
    let posted = ring(&house, &service);
    assert_eq!((service.ack(&posted), posted.status), (Ack::Delivered, 201));
    let claims = posted.claims.clone().unwrap();
    assert_eq!(claims.subject, "https://mfa.example.ac.jp");
    assert_eq!(posted.field("urgency"), Some("high"));
    let life: u64 = posted.field("ttl").unwrap().parse().unwrap();
    assert!((60..=120).contains(&life), "{life}");
    assert!(posted.field("topic").is_some());
    firefox.goto(&url(&house, "/app"));
    let title = "国立大学法人さくら大学 ログイン確認";
    let shown = json!([[title, "アプリを開いて確認してください"]]);
    firefox.settles(SHOWN, &shown);
    assert_eq!(firefox.find(".request .client").text(), "VPN(学外接続)");
}

#[test]
fn a_phone_that_cannot_subscribe_says_so_and_works_on() {
    let campus = Campus::with("ja", &push(None));
    let (_computer, mut phone) = campus.paired("taro");
    campus.looks(&mut phone, "app-bell");
    campus.chromium.grant_notifications(&campus.url(""));
    phone.tab_to("#bell-on");
    phone.press(Key::Enter);
    phone.wait("one('#bell-said').innerText.startsWith('通知を使えません')");
    campus.looks(&mut phone, "app-bell-fails");
    phone.tab_to("#bell-later");
    phone.press(Key::Enter);
    phone.wait("one('#bell').hidden");
    phone.goto(&campus.url("/app"));
    phone.find("#nothing");
    assert_eq!(phone.value("one('#bell').hidden"), true, "it is remembered");
}

#[test]
fn a_worker_that_slept_speaks_japanese_and_denies_what_was_not_me() {
    let words = [
        "国立大学法人さくら大学 ログイン確認",
        "アプリを開いて確認してください",
    ];
    wakes("ja", words);
}

#[test]
fn a_worker_that_slept_speaks_english_and_denies_what_was_not_me() {
    wakes(
        "en",
        [
            "Sakura University of Technology Login check",
            "Open to check",
        ],
    );
}

fn wakes(language: &'static str, words: [&str; 2]) {
    let campus = Campus::with(language, &push(None));
    let chromium = &campus.chromium;
    let (_computer, phone) = campus.paired("taro");
    chromium.grant_notifications(&campus.url(""));
    let (worker, scope) = (campus.url("/worker.js"), campus.url("/app"));
    chromium.wait_worker(&worker, "activated");
    phone.close();
    chromium.stop_workers(&worker);
    let nas = campus.house.daemon.nas().from_station(STATION);
    let challenge = nas.login("taro", "taro-password");
    chromium.deliver(&scope, r#"{"title": "not ours"}"#);
    assert_eq!(chromium.shown(1), [words]);
    let _true = chromium.in_worker(&worker, NOT_ME);
    campus.house.daemon.wait_log("push-denied");
    assert!(nas.respond("taro", &challenge, "OK").rejected());
}
