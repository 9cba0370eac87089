//! Logins are approved, denied and reported on a phone, in real pages and by keyboard alone.

use super::campus::{Campus, STATION, approve};
use super::page::{Key, Page};
use crate::support::nas::{Nas, Reply};

/// What somebody does at once, in both languages.
fn both(tries: impl Fn(Campus)) {
    for language in ["ja", "en"] {
        tries(Campus::new(language));
    }
}

/// A login of taro that waits for the phone, and the number that is shown.
fn login(campus: &Campus) -> (Nas, Reply, String) {
    let nas = campus.house.daemon.nas().from_station(STATION);
    let challenge = nas.login("taro", "taro-password");
    assert!(challenge.challenged(), "{}", campus.house.daemon.log());
    let text = challenge.text.clone().unwrap();
    let number = text.chars().filter(char::is_ascii_digit).take(2).collect();
    (nas, challenge, number)
}

fn wrong(number: &str) -> &'static str {
    if number == "00" { "01" } else { "00" }
}

/// What is said above the outcome.
fn title(phone: &Page<'_>) -> String {
    phone.text(".outcome h2")
}

#[test]
fn a_login_is_approved_by_its_number_at_the_second_try() {
    both(|campus| {
        let (_computer, mut phone) = campus.paired("taro");
        let (nas, challenge, number) = login(&campus);
        phone.find(".request");
        campus.looks(&mut phone, "app-request");
        assert!(phone.is_in_view(".request .not-me"), "all on one screen");
        phone.tab_to(".request .digits");
        assert_eq!(phone.value("one('.request .approve').disabled"), true);
        phone.type_text(wrong(&number));
        campus.looks(&mut phone, "app-request-filled");
        phone.press(Key::Enter);
        phone.find(".request .said");
        campus.looks(&mut phone, "app-wrong-number");
        approve(&phone, &number);
        campus.looks(&mut phone, "app-approved");
        assert!(nas.respond("taro", &challenge, "OK").accepted());
    });
}

#[test]
fn two_wrong_numbers_deny() {
    both(|campus| {
        let (_computer, mut phone) = campus.paired("taro");
        let (nas, challenge, number) = login(&campus);
        phone.tab_to(".request .digits");
        phone.type_text(wrong(&number));
        phone.press(Key::Enter);
        phone.find(".request .said");
        phone.wait("document.activeElement.matches('.digits')");
        phone.type_text(wrong(&number));
        phone.press(Key::Enter);
        let said = [
            "数字が2回違ったため、拒否しました",
            "Denied: the number was wrong twice",
        ];
        let said = said[usize::from(campus.language == "en")];
        assert_eq!(title(&phone), said);
        campus.looks(&mut phone, "app-wrong-twice");
        assert!(nas.respond("taro", &challenge, "OK").rejected());
    });
}

#[test]
fn a_login_is_denied() {
    both(|campus| {
        let (_computer, mut phone) = campus.paired("taro");
        let (nas, challenge, _) = login(&campus);
        phone.tab_to(".request .deny");
        phone.press(Key::Enter);
        phone.find(".outcome");
        campus.looks(&mut phone, "app-denied");
        assert!(nas.respond("taro", &challenge, "OK").rejected());
    });
}

#[test]
fn it_was_not_me() {
    both(|campus| {
        let (mut computer, mut phone) = campus.paired("taro");
        let (nas, challenge, _) = login(&campus);
        phone.tab_to(".request .not-me");
        phone.press(Key::Space);
        phone.find(".request .sure");
        campus.looks(&mut phone, "app-not-me");
        phone.tab_to(".request .back");
        phone.press(Key::Space);
        phone.wait("document.activeElement.matches('.not-me')");
        phone.press(Key::Enter);
        phone.tab_to(".request .report");
        phone.press(Key::Enter);
        phone.find(".outcome .password a");
        campus.looks(&mut phone, "app-reported");
        assert!(nas.respond("taro", &challenge, "OK").rejected());
        assert!(nas.login("taro", "taro-password").rejected());
        // Its session has ended with the report: the page that waited goes to the sign-in by itself.
        computer.find("#password");
        computer.goto(&campus.url("/logins"));
        computer.find("#password");
        campus.looks(&mut computer, "signin-reported");
    });
}

/// The page looks what waits while it is told what came of an answer, and may see first that nothing does.
#[test]
fn an_answer_that_comes_back_late_is_told_as_what_it_was() {
    let campus = Campus::new("en");
    let (_computer, phone) = campus.paired("taro");
    let (nas, challenge, _) = login(&campus);
    phone.find(".request");
    phone.value(
        "(() => { const decide = device.decide; device.decide = async (...said) => { \
         const answer = await decide(...said); await new Promise((later) => setTimeout(later, 3000)); return answer; }; \
         return true; })()",
    );
    phone.tab_to(".request .deny");
    phone.press(Key::Enter);
    phone.find(".outcome");
    assert_eq!(title(&phone), "Denied");
    assert!(nas.respond("taro", &challenge, "OK").rejected());
}

#[test]
fn two_computers_ask_at_once() {
    both(|campus| {
        let (_computer, mut phone) = campus.paired("taro");
        let (nas, challenge, number) = login(&campus);
        phone.find(".request");
        let other = campus.house.daemon.nas().from_station("198.51.100.7");
        let asked = other.login("taro", "taro-password");
        phone.wait("document.querySelectorAll('.request').length === 2");
        phone.find("#several");
        campus.looks(&mut phone, "app-several");
        approve(&phone, &number);
        assert!(nas.respond("taro", &challenge, "OK").accepted());
        assert!(other.respond("taro", &asked, "OK").kept_out());
    });
}
