//! Pairing, and what a paired phone may do.

use data_encoding::BASE64URL_NOPAD;
use sekisho::factor::Signer;
use serde_json::{Value, json};

use super::phone::{Phone, now, outcome, tell};
use super::{CAMPUS, House, shows};
use crate::login::SEED;

#[test]
fn a_login_is_approved_on_a_phone() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let mut phone = house.pair(&mut visitor);
    assert!(phone.waiting().is_empty());
    let nas = house.daemon.nas().from_station("203.0.113.7");
    let challenge = nas.login("taro", "taro-password");
    assert!(challenge.challenged(), "{}", house.daemon.log());
    let text = challenge.text.clone().unwrap();
    let number: String = text.chars().filter(char::is_ascii_digit).take(2).collect();
    let request = phone.request();
    assert_eq!(
        request["label"],
        json!({ "ja": "学外接続", "en": "Campus VPN" })
    );
    assert_eq!(request["station"], "203.0.113.7");
    assert_eq!(request["zone"], Value::Null);
    assert_eq!(request["name"], "taro");
    let wrong = if number == "00" { "01" } else { "00" };
    assert_eq!(phone.say(&request, "approve", wrong), "wrong-number");
    assert_eq!(phone.say(&request, "approve", &number), "approved");
    assert_eq!(request["new"], true);
    assert!(nas.respond("taro", &challenge, "OK").accepted());
    let _challenge = nas.login("taro", "taro-password");
    assert_eq!(
        phone.request()["new"],
        false,
        "it logged in from there before"
    );
    let page = visitor.get("/logins");
    shows(&page, "Campus VPN");
    shows(&page, "Logged in");
    // What she did at the portal and on the phone is no login that waits.
    let told = house.daemon.cli_ok(&["why", "taro", "--lang", "en"]);
    let line = told
        .lines()
        .position(|line| line.contains("A device approved"));
    let above = told.lines().nth(line.unwrap() - 1).unwrap();
    assert!(above.contains("noted"), "{told}");
    assert!(!told.contains(" waits"), "{told}");
    let told = house.daemon.cli_ok(&["why", "taro", "--lang", "ja"]);
    assert!(told.contains("記録") && !told.contains("待機"), "{told}");
}

#[test]
fn a_held_login_is_approved_and_another_denied() {
    let vpn = "code = [\"appended\"]\npush = [\"approve\"]\nstation = [\"Calling-Station-Id\"]";
    let house = House::start(vpn, "", "");
    let mut visitor = house.signed_in("taro");
    let mut phone = house.pair(&mut visitor);
    for (word, outcome) in [("approve", "approved"), ("deny", "denied")] {
        let nas = house.daemon.nas().from_station("203.0.113.7");
        let waiting = std::thread::spawn(move || nas.login("taro", "taro-password"));
        let request = loop {
            if let Some(request) = phone.waiting().pop() {
                break request;
            }
            std::thread::yield_now();
        };
        assert_eq!(request["crossing"], "none");
        assert_eq!(phone.say(&request, word, ""), outcome);
        let reply = waiting.join().unwrap();
        assert_eq!(
            reply.accepted(),
            word == "approve",
            "{}",
            house.daemon.log()
        );
    }
}

#[test]
fn a_report_stops_logins_from_outside() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let mut phone = house.pair(&mut visitor);
    let nas = house.daemon.nas().from_station("203.0.113.7");
    let challenge = nas.login("taro", "taro-password");
    let request = phone.request();
    assert_eq!(phone.say(&request, "report", ""), "reported");
    assert!(nas.respond("taro", &challenge, "OK").rejected());
    let stopped = nas.login("taro", "taro-password");
    assert!(stopped.rejected());
    assert!(stopped.text.unwrap().contains("Change your password"));
}

#[test]
fn a_report_of_the_page_of_logins_does_the_same() {
    let house = House::start(
        "code = [\"challenge\"]",
        "password-url = \"https://id.example.ac.jp/\"",
        "",
    );
    let mut visitor = house.signed_in("taro");
    let page = visitor.press("/logins", "/logins/report", &[]);
    shows(&page, "Your report was taken.");
    shows(
        &page,
        "Open connections are ended where the equipment can do so.",
    );
    shows(&page, "https://id.example.ac.jp/");
    assert!(house.daemon.nas().login("taro", "taro-password").rejected());
}

#[test]
fn what_a_phone_did_not_sign_is_refused_alike() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let mut phone = house.pair(&mut visitor);
    let _challenge = house.daemon.nas().login("taro", "taro-password");
    let request = phone.request();
    let good = phone.signed(&request, "deny", "");
    let mut refusals = Vec::new();
    for (key, value) in [
        ("response", json!("report")),
        ("counter", json!(99)),
        ("device", json!(12345)),
        ("prompt", json!("0000000000")),
        ("prompt", json!("?")),
        ("signature", json!("AAAA")),
        ("number", json!("42")),
        ("response", json!("approve")),
    ] {
        let mut altered = good.clone();
        altered[key] = value;
        let page = tell(house.portal, "/device/decide", &altered);
        assert_eq!(page.status, 403, "{altered}");
        refusals.push(page.body.split("\"now\"").next().unwrap().to_owned());
    }
    assert!(refusals.iter().all(|refusal| *refusal == refusals[0]));
    assert_eq!(
        outcome(&tell(house.portal, "/device/decide", &good)),
        "denied"
    );
    assert_eq!(
        outcome(&tell(house.portal, "/device/decide", &good)),
        "409",
        "replayed"
    );
    for (at, status) in [
        (now() - 61_000, 403),
        (now() + 70_000, 403),
        (now() - 30_000, 200),
    ] {
        let page = tell(house.portal, "/device/poll", &phone.question(at));
        assert_eq!(page.status, status);
    }
    for body in ["", "{}", "[]", "null", "{\"device\":\"1\"}"] {
        let message: Value = serde_json::from_str(body).unwrap_or_default();
        assert_eq!(tell(house.portal, "/device/poll", &message).status, 403);
    }
}

#[test]
fn a_phone_that_was_removed_is_no_phone() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let mut phone = house.pair(&mut visitor);
    let _challenge = house.daemon.nas().login("taro", "taro-password");
    let request = phone.request();
    let id = phone.id.to_string();
    shows(
        &visitor.press("/methods", "/methods/remove", &[("id", &id)]),
        "Removed.",
    );
    assert_eq!(phone.say(&request, "approve", "42"), "403");
    assert_eq!(
        tell(house.portal, "/device/poll", &phone.question(now())).status,
        403
    );
    let page = visitor.get("/methods");
    let left = page.hidden("id");
    let page = visitor.press("/methods", "/methods/remove", &[("id", &left)]);
    shows(&page, "The last method cannot be removed.");
    shows(
        &visitor.press("/lost", "/lost", &[("id", &left)]),
        "It has stopped working.",
    );
}

#[test]
fn codes_are_used_once_and_wrong_ones_are_limited() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let page = visitor.press("/methods/add", "/methods/add/device", &[]);
    let code = page.number();
    let phone = Phone::try_pair(house.portal, &code).unwrap();
    assert!(phone.waiting().is_empty(), "nobody looked at the page yet");
    assert_eq!(
        Phone::try_pair(house.portal, &code).err().unwrap().status,
        403
    );
    let again = visitor.press("/methods/add", "/methods/add/device", &[]);
    assert_ne!(again.number(), code);
    let statuses: Vec<u16> = (0..40)
        .map(|_| {
            Phone::try_pair(house.portal, "0000-0000")
                .err()
                .unwrap()
                .status
        })
        .collect();
    assert_eq!(statuses.first(), Some(&403));
    assert_eq!(statuses.last(), Some(&429));
    assert_eq!(
        Phone::try_pair(house.portal, &again.number())
            .err()
            .unwrap()
            .status,
        429
    );
}

#[test]
fn an_unproven_phone_sees_its_test_alone() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let proven = house.pair(&mut visitor);
    let page = visitor.press("/methods/add", "/methods/add/device", &[]);
    let mut phone = Phone::try_pair(house.portal, &page.number()).unwrap();
    let _challenge = house.daemon.nas().login("taro", "taro-password");
    assert!(phone.waiting().is_empty());
    let request = proven.request();
    assert_eq!(phone.say(&request, "approve", "42"), "403");
    shows(&visitor.get("/methods"), "Not proven yet.");
    // Whoever begins anew has given it up.
    visitor.press("/methods/add", "/methods/add/device", &[]);
    assert_eq!(
        tell(house.portal, "/device/poll", &phone.question(now())).status,
        403
    );
    assert_eq!(
        proven.waiting().len(),
        0,
        "what waited is withdrawn with it"
    );
}

#[test]
fn a_phone_is_not_proven_by_what_was_begun_before_the_first_factor() {
    let house = House::start(
        "code = [\"challenge\"]",
        "enrol-from = [\"campus\"]",
        CAMPUS,
    );
    // Somebody who knows the password of a person without a factor pairs a phone, and waits.
    let mut thief = house.visitor();
    thief.password("jiro", "jiro-password");
    let page = thief.press("/methods/add", "/methods/add/device", &[]);
    let phone = Phone::try_pair(house.portal, &page.number()).unwrap();
    house.daemon.enrol("jiro", SEED);
    shows(&thief.get("/methods/add/device"), "prove once more");
    let id = phone.id.to_string();
    let page = thief.press("/methods", "/methods/test", &[("id", &id)]);
    shows(&page, "prove once more");
    assert!(phone.waiting().is_empty(), "no test was opened");
    shows(&thief.get("/methods"), "Not proven yet.");
}

#[test]
fn a_number_that_was_wrong_twice_ends_the_test() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let page = visitor.press("/methods/add", "/methods/add/device", &[]);
    let mut phone = Phone::try_pair(house.portal, &page.number()).unwrap();
    let number = visitor.get("/methods/add/device").number();
    assert_eq!(
        visitor.get("/methods/add/device").number(),
        number,
        "loaded again"
    );
    let state = visitor.get("/methods/add/device/state");
    assert_eq!(state.body, "{\"state\":\"test\"}");
    let wrong = if number == "00" { "01" } else { "00" };
    let test = phone.request();
    assert_eq!(phone.say(&test, "approve", wrong), "wrong-number");
    assert_eq!(phone.say(&test, "approve", wrong), "wrong-number-again");
    let page = visitor.get("/methods/add/device");
    shows(&page, "The test did not succeed.");
    let id = phone.id.to_string();
    let page = visitor.press("/methods", "/methods/test", &[("id", &id)]);
    let test = phone.request();
    assert_eq!(phone.say(&test, "approve", &page.number()), "approved");
    shows(&visitor.get("/methods/test"), "The device works");
    shows(
        &visitor.get("/methods"),
        "Prompts arrive only while the app is open.",
    );
}

#[test]
fn an_open_page_is_told_at_once() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let phone = house.pair(&mut visitor);
    let mut question = phone.question(now());
    question["wait"] = json!(true);
    let (to, begun) = (house.portal, now());
    let waiting = std::thread::spawn(move || tell(to, "/device/poll", &question));
    let _challenge = house.daemon.nas().login("taro", "taro-password");
    let page = waiting.join().unwrap();
    assert_eq!(phone.believed(&page).len(), 1);
    assert!(now() - begun < 15_000);
    // What the page shows already is not told again; that it is over, is.
    let request = phone.request();
    let mut question = phone.question(now());
    question["wait"] = json!(true);
    question["seen"] = json!([request["prompt"]]);
    let waiting = std::thread::spawn(move || tell(to, "/device/poll", &question));
    let mut phone = phone;
    assert_eq!(phone.say(&request, "deny", ""), "denied");
    assert!(phone.believed(&waiting.join().unwrap()).is_empty());
}

#[test]
fn an_open_page_keeps_nobody_from_stopping() {
    let mut house = House::new();
    let mut visitor = house.signed_in("taro");
    let phone = house.pair(&mut visitor);
    let mut question = phone.question(now());
    question["wait"] = json!(true);
    let to = house.portal;
    let waiting = std::thread::spawn(move || tell(to, "/device/poll", &question));
    house.daemon.wait_log("portal");
    let begun = now();
    assert_eq!(house.daemon.stop(), Some(0));
    assert!(now() - begun < 8000);
    let _either = waiting.join();
}

#[test]
fn a_doorbell_is_taken_from_services_that_are_allowed() {
    let push = "[push]\nsubject = \"https://mfa.example.ac.jp\"\n";
    let house = House::start("code = [\"challenge\"]\npush = [\"shown\"]", "", push);
    let mut visitor = house.signed_in("taro");
    let mut phone = house.pair(&mut visitor);
    shows(&visitor.get("/app"), "data-vapid=\"B");
    let key = Signer::new(&Signer::generate()).unwrap().public();
    let bell = |endpoint: &str| {
        let p256dh = BASE64URL_NOPAD.encode(&key);
        let keys = json!({ "p256dh": p256dh, "auth": "BTBZMqHH6r4Tts7J_aSIgg" });
        json!({ "endpoint": endpoint, "expirationTime": null, "keys": keys }).to_string()
    };
    for (bell, status) in [
        (bell("https://evil.example/push"), 403),
        (bell("https://127.0.0.1/push"), 403),
        (
            bell("http://updates.push.services.mozilla.com/wpush/v2/a"),
            403,
        ),
        ("{}".into(), 403),
        ("no\nbell".into(), 403),
        (
            bell("https://updates.push.services.mozilla.com/wpush/v2/a"),
            200,
        ),
    ] {
        let told = phone.bell(&bell);
        let page = tell(house.portal, "/device/bell", &told);
        assert_eq!(page.status, status, "{bell}");
        let again = tell(house.portal, "/device/bell", &told);
        assert_eq!(again.status, 403, "what was signed once is used once");
    }
    shows(&visitor.get("/methods"), "Notifications arrive.");
    let told = phone.bell("");
    assert_eq!(tell(house.portal, "/device/bell", &told).status, 200);
    shows(
        &visitor.get("/methods"),
        "Prompts arrive only while the app is open.",
    );
    // Answers of a push service that is not configured.
    let answer = tell(
        house.portal,
        "/push/answer",
        &json!({ "prompt": "x", "decision": "approve" }),
    );
    assert_eq!(answer.status, 403);
}
