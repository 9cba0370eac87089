//! Every page of the portal as people see it: on phones, at a desk, on paper.

use super::campus::Campus;
use super::page::{Key, Page};
use super::{DESK, PHONE};
use crate::login::SEED;
use crate::portal::wifi::Authority;
use crate::support::daemon::code;

#[test]
fn pages_fit_in_japanese() {
    all("ja");
}

#[test]
fn pages_fit_in_english() {
    all("en");
}

fn all(language: &'static str) {
    let authority = Authority::new("さくら大学 Wi-Fi CA");
    let wifi = authority.configured(
        "ssid = [\"sakura-net\", \"eduroam\"]\nserver-names = [\"radius1.net.sakura-u.ac.jp\", \"radius2.net.sakura-u.ac.jp\"]\n\
         outer-identity = \"anonymous@sakura-u.ac.jp\"",
    );
    let campus = Campus::with(language, &wifi);
    let mut page = campus.computer();
    let looks = |page: &mut Page<'_>, path: &str, name: &str| {
        page.goto(&campus.url(path));
        campus.looks(page, name);
        page.screenshot(&format!("{name}-{language}-desk"));
    };
    looks(&mut page, "/", "home-nobody");
    looks(&mut page, "/cannot-login", "cannot-login");
    looks(&mut page, "/wifi", "wifi");
    page.expects("status of 404");
    looks(&mut page, "/nowhere", "nowhere");
    looks(&mut page, "/signin", "signin");
    page.tab_to("#user");
    page.type_text("taro");
    page.tab_to("#password");
    page.type_text("wrong");
    page.expects("status of 403");
    page.press(Key::Enter);
    page.find(".alert");
    campus.looks(&mut page, "signin-wrong");
    campus.types_password(&page, "taro");
    let asked = page.text("#said");
    campus.looks(&mut page, "code");
    page.type_text("000000");
    page.press(Key::Enter);
    page.wait(&format!("one('#said').innerText.trim() !== '{asked}'"));
    campus.looks(&mut page, "code-wrong");
    page.tab_to("#code");
    page.type_text(&code(SEED, 0));
    page.press(Key::Enter);
    page.find(".tasks");
    looks(&mut page, "/", "home");
    looks(&mut page, "/methods", "methods");
    looks(&mut page, "/methods/add", "add");
    page.click("form[action='/methods/add/totp'] button");
    page.find(".qr svg");
    campus.looks(&mut page, "totp");
    looks(&mut page, "/logins", "logins");
    looks(&mut page, "/lost", "lost");
    page.goto(&campus.url("/methods"));
    page.click("form[action='/methods/recovery'] button");
    page.find(".codes");
    campus.looks(&mut page, "recovery");
    let still = [("prefers-reduced-motion", "reduce")];
    page.emulate("print", &still);
    page.screenshot(&format!("recovery-{language}-print"));
    page.emulate("", &still);
    looks(&mut page, "/methods", "methods-two");
    for (n, details) in ["rename", "remove"].iter().enumerate() {
        page.click(&format!(".acts details:nth-of-type({}) summary", n + 1));
        page.find(&format!("form[action='/methods/{details}'] button"));
    }
    campus.looks(&mut page, "methods-open");
}

#[test]
fn the_number_of_a_sign_in_is_shown_and_waited_for() {
    for language in ["ja", "en"] {
        let campus = Campus::new(language);
        let (mut first, phone) = campus.paired("taro");
        first.goto(&campus.url("/methods"));
        campus.looks(&mut first, "methods-phone");
        let mut page = campus.computer();
        campus.types_password(&page, "taro");
        page.find(".number");
        campus.looks(&mut page, "code-number");
        page.screenshot(&format!("code-number-{language}-desk"));
        super::campus::approve(&phone, &page.text(".number"));
        page.find(".tasks");
        page.is_sound();
    }
}

#[test]
fn the_other_language_is_one_key_away() {
    let campus = Campus::new("ja");
    let mut page = campus.chromium.page(PHONE);
    page.goto(&campus.url("/signin"));
    assert_eq!(page.text("h1"), "サインイン");
    page.tab_to("a[lang=en]");
    page.press(Key::Enter);
    page.wait("document.documentElement.lang === 'en'");
    assert_eq!(page.text("h1"), "Sign in");
    page.goto(&campus.url("/cannot-login"));
    assert_eq!(
        page.value("document.documentElement.lang"),
        "en",
        "it is remembered"
    );
    page.resize(DESK);
    page.is_sound();
}
