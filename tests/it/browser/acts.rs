//! What people do to their methods, and at a VPN that asks for yes or no alone: in real pages, by keyboard.

use std::net::Ipv4Addr;

use super::campus::{Campus, STATION};
use super::page::{Key, Page};
use crate::login::SEED;
use crate::support::daemon::{SECRET, client, code};
use crate::support::nas::Nas;

/// What somebody does at once, in both languages: the words of a test are chosen by their number.
fn both(further: &str, tries: impl Fn(Campus, usize)) {
    for (number, language) in ["ja", "en"].into_iter().enumerate() {
        tries(Campus::with(language, further), number);
    }
}

/// Goes to a control and presses it.
fn press(page: &Page<'_>, css: &str) {
    page.tab_to(css);
    page.press(Key::Enter);
}

#[test]
fn a_held_login_is_approved_or_denied_by_one_key() {
    let gate = client(
        "gate",
        "code = [\"appended\"]\npush = [\"approve\"]\nstation = [\"Calling-Station-Id\"]\npatience = \"60s\"",
    );
    let gate = gate.replace("127.0.0.1", "127.0.0.2");
    both(&gate, |campus, _| {
        let (_computer, mut phone) = campus.paired("taro");
        for word in ["approve", "deny"] {
            let at = Ipv4Addr::new(127, 0, 0, 2).into();
            let nas = Nas::at(at, campus.house.daemon.radius, SECRET).from_station(STATION);
            let held = std::thread::spawn(move || nas.login("taro", "taro-password"));
            phone.find(".request");
            assert_eq!(
                phone.value("isShown(one('.request .digits'))"),
                false,
                "no number is asked for"
            );
            campus.looks(&mut phone, &format!("app-held-{word}"));
            press(&phone, &format!(".request .{word}"));
            phone.find(".outcome");
            press(&phone, ".outcome button");
            let reply = held.join().unwrap();
            assert_eq!(
                reply.accepted(),
                word == "approve",
                "{}",
                campus.house.daemon.log()
            );
        }
    });
}

#[test]
fn a_method_is_renamed_and_removed() {
    both("", |campus, number| {
        let (mut computer, mut phone) = campus.paired("taro");
        let name = ["私の<スマホ>", "My <phone>"][number];
        computer.goto(&campus.url("/methods"));
        let own = "section:nth-of-type(2)";
        press(&computer, &format!("{own} details:nth-of-type(1) summary"));
        // The field comes with all that stands in it marked.
        computer.tab_to(&format!("{own} input[name=label]"));
        computer.type_text(name);
        computer.press(Key::Enter);
        computer.wait(&format!("one('{own} h2').innerText === '{name}'"));
        campus.looks(&mut computer, "methods-renamed");
        press(&computer, &format!("{own} details:nth-of-type(2) summary"));
        press(
            &computer,
            &format!("{own} form[action='/methods/remove'] button"),
        );
        computer.wait("document.querySelectorAll('section.card').length === 1");
        campus.looks(&mut computer, "methods-removed");
        phone.expects("status of 403");
        forgets(&campus, &mut phone);
    });
}

#[test]
fn a_lost_phone_is_gone_at_once() {
    both("", |campus, _| {
        let (mut computer, mut phone) = campus.paired("taro");
        computer.goto(&campus.url("/lost"));
        campus.looks(&mut computer, "lost-two");
        press(&computer, "section:nth-of-type(2) button.danger");
        computer.find(".status.yes");
        campus.looks(&mut computer, "lost-done");
        phone.expects("status of 403");
        forgets(&campus, &mut phone);
        press(&computer, "header form button");
        computer.wait("!one('header form')");
        computer.goto(&campus.url("/methods"));
        computer.find("#user");
    });
}

/// A phone that is no method any more says so, and can be paired again.
fn forgets(campus: &Campus, phone: &mut Page<'_>) {
    phone.find("#forget");
    campus.looks(phone, "app-gone");
    press(phone, "#forget");
    phone.find("#pair-code");
}

#[test]
fn a_login_that_was_not_theirs_is_reported_on_the_page_of_logins() {
    both("", |campus, _| {
        let mut computer = campus.computer();
        campus.signs_in(&computer, "taro");
        computer.goto(&campus.url("/logins"));
        press(&computer, "form[action='/logins/report'] button");
        computer.find(".alert, .status");
        campus.looks(&mut computer, "logins-told");
        let nas = campus.house.daemon.nas().from_station(STATION);
        assert!(nas.login("taro", "taro-password").rejected());
    });
}

#[test]
fn a_login_that_ends_elsewhere_leaves_the_focus_where_somebody_types() {
    let campus = Campus::new("en");
    let (_computer, phone) = campus.paired("taro");
    let login = |station: &str| {
        let nas = campus.house.daemon.nas().from_station(station);
        let challenge = nas.login("taro", "taro-password");
        (nas, challenge)
    };
    let (first, challenge) = login(STATION);
    phone.find(".request");
    let _second = login("198.51.100.7");
    phone.wait("document.querySelectorAll('.request').length === 2");
    phone.tab_to(".request:nth-of-type(2) .digits");
    phone.type_text("1");
    assert!(first.respond("taro", &challenge, &code(SEED, 1)).accepted());
    phone.find(".outcome");
    phone.type_text("2");
    assert_eq!(phone.value("one('.request .digits').value"), "12");
}
