//! The push service of a phone does not do what it should: people are asked for a code instead, at once, and told why.

use std::time::Duration;

use super::campus::{Campus, STATION, house};
use super::push_service::{Ack, Answer, PushService};
use super::rings::{methods_say, paired, push, ring, url};
use crate::login::SEED;
use crate::portal::House;
use crate::support::daemon::{code, wait};
use crate::support::nas::{Nas, Reply};

/// A login whose challenge shows a number.
fn login(house: &House) -> (Nas, Reply) {
    let nas = house.daemon.nas().from_station(STATION);
    let challenge = nas.login("taro", "taro-password");
    assert!(challenge.challenged(), "{}", house.daemon.log());
    (nas, challenge)
}

/// Asks what became of it, and is told of the phone at once: at the end of the gear's patience it would be another text.
fn is_asked_for_a_code(house: &House, (nas, challenge): &(Nas, Reply)) -> Reply {
    let reply = nas.respond("taro", challenge, "OK");
    let text = reply.text.as_deref().unwrap_or_default();
    assert!(
        reply.challenged() && text.contains("Your phone did not answer."),
        "{reply:?}\n{}",
        house.daemon.log()
    );
    reply
}

/// Waits until an operator sees what became of the phone.
fn desk_sees(house: &House, text: &str, is_there: bool) {
    let mut shown = String::new();
    wait(
        || {
            shown = house.daemon.cli_ok(&["user", "show", "taro"]);
            shown.contains(text) == is_there
        },
        || format!("{text:?} is not {is_there}"),
    );
}

#[test]
fn a_phone_that_is_gone_has_a_code_asked_for_at_once() {
    let service = PushService::start();
    let house = house(&push(Some(&service)));
    let (_firefox, mut visitor) = paired(&house, "en", (&service, true));
    methods_say(&mut visitor, "Notifications arrive.");
    desk_sees(&house, "unreachable since", false);
    let rung = service.posted(1).len();
    service.answers(Answer::Says(410, None));
    let asked = login(&house);
    // People look at the phone first, and by then its service has answered.
    desk_sees(&house, "unreachable since", true);
    let reply = is_asked_for_a_code(&house, &asked);
    let typed = code(SEED, 1);
    assert!(asked.0.respond("taro", &reply, &typed).accepted());
    methods_say(&mut visitor, "Notifications do not arrive.");
    // From now on nobody waits for the phone.
    let (_, next) = login(&house);
    let text = next.text.unwrap();
    assert!(text.contains("/ Enter one-time password"), "{text}");
    assert_eq!(service.posted(1).len(), rung + 1, "it is not rung again");
}

#[test]
fn a_service_that_is_down_has_a_code_asked_for_and_is_rung_when_it_is_back() {
    let mut service = PushService::start();
    let house = house(&push(Some(&service)));
    let (_firefox, mut visitor) = paired(&house, "en", (&service, true));
    methods_say(&mut visitor, "Notifications arrive.");
    let rung = service.posted(1).len();
    service.down();
    let asked = login(&house);
    methods_say(&mut visitor, "Notifications do not arrive.");
    desk_sees(&house, "unreachable since", true);
    is_asked_for_a_code(&house, &asked);
    service.up();
    service.connected();
    let other = house.daemon.nas().from_station("198.51.100.7");
    assert!(other.login("taro", "taro-password").challenged());
    let posted = service.posted(rung + 1).pop().unwrap();
    assert_eq!(service.ack(&posted), Ack::Delivered);
    methods_say(&mut visitor, "Notifications arrive.");
    desk_sees(&house, "unreachable since", false);
}

#[test]
fn a_slow_service_delays_nobody() {
    let service = PushService::start();
    let house = house(&push(Some(&service)));
    let (_firefox, mut visitor) = paired(&house, "en", (&service, true));
    methods_say(&mut visitor, "Notifications arrive.");
    service.answers(Answer::Late(Duration::from_secs(30)));
    let rung = service.posted(1).len();
    // The number waits for nobody.
    let asked = login(&house);
    let posted = service.posted(rung + 1).pop().unwrap();
    assert_eq!(service.ack(&posted), Ack::Delivered);
    // It is given up after its time, before the gear gives up.
    is_asked_for_a_code(&house, &asked);
}

#[test]
fn a_login_that_rang_is_approved_in_firefox() {
    let service = PushService::start();
    let house = house(&push(Some(&service)));
    let (firefox, _visitor) = paired(&house, "ja", (&service, true));
    firefox.goto("about:blank");
    let rung = service.posted(1).len();
    let (nas, challenge) = login(&house);
    let posted = service.posted(rung + 1).pop().unwrap();
    assert_eq!(service.ack(&posted), Ack::Delivered);
    firefox.goto(&url(&house, "/app"));
    let text = challenge.text.clone().unwrap();
    let number: String = text.chars().filter(char::is_ascii_digit).take(2).collect();
    firefox.find(".request .digits").type_text(&number);
    firefox.find(".request .approve").click();
    assert_eq!(firefox.find(".outcome h2").text(), "承認しました");
    assert!(nas.respond("taro", &challenge, "OK").accepted());
}

#[test]
fn a_subscription_that_ended_is_made_anew_when_the_page_is_opened() {
    let service = PushService::start();
    let house = house(&push(Some(&service)));
    let (firefox, mut visitor) = paired(&house, "en", (&service, true));
    service.answers(Answer::Says(410, None));
    assert_eq!(ring(&house, &service).status, 410);
    methods_say(&mut visitor, "Notifications do not arrive.");
    service.answers(Answer::Takes);
    service.forget();
    service.connected();
    firefox.goto(&url(&house, "/app"));
    methods_say(&mut visitor, "Notifications arrive.");
}

#[test]
fn a_push_service_that_is_not_allowed_is_told_at_the_phone() {
    let service = PushService::start();
    let house = house(&push(None));
    let (firefox, _visitor) = paired(&house, "en", (&service, false));
    firefox.find("#bell-on").click();
    let told = "!['', 'A notification can tell you that a prompt waits.'].includes(
        document.getElementById('bell-said').innerText)";
    firefox.wait(told);
}

#[test]
fn a_phone_is_offered_no_bell_where_there_is_none() {
    let campus = Campus::new("en");
    let (_computer, phone) = campus.paired("taro");
    assert_eq!(phone.value("one('#bell').hidden"), true);
}
