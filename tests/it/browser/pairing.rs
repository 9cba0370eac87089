//! A phone is paired in real pages, in both languages and by keyboard alone.

use super::PHONE;
use super::campus::{Campus, approve};
use super::page::Key;

#[test]
fn a_phone_is_paired_in_japanese() {
    pairs("ja", ["スマホを追加しました", "この端末"]);
}

#[test]
fn a_phone_is_paired_in_english() {
    pairs("en", ["Your phone is added", "This device"]);
}

fn pairs(language: &'static str, [added, _tested]: [&str; 2]) {
    let campus = Campus::new(language);
    let (mut computer, mut phone) = (campus.computer(), campus.chromium.page(PHONE));
    campus.signs_in(&computer, "taro");
    computer.tab_to("a[href='/methods/add']");
    computer.press(Key::Enter);
    computer.tab_to("form[action='/methods/add/device'] button");
    campus.looks(&mut computer, "add");
    computer.press(Key::Enter);
    computer.find(".qr svg");
    campus.looks(&mut computer, "pair-code");
    let (code, address) = (computer.text(".number"), computer.text(".address"));
    assert_eq!(address, campus.url("/app"));

    phone.goto(&address);
    phone.find("#pair-code");
    campus.looks(&mut phone, "app-pair");
    phone.tab_to("#pair-code");
    phone.type_text("0000-0000");
    phone.press(Key::Enter);
    phone.expects("status of 403");
    phone.find("#pair-said");
    campus.looks(&mut phone, "app-pair-wrong");
    phone.value("one('#pair-code').select()");
    phone.type_text(&code.to_lowercase().replace('-', " "));
    phone.tab_to("#pair-name");
    phone.tab_to("#pair button");
    phone.press(Key::Space);
    phone.find(".request");
    campus.looks(&mut phone, "app-test");

    computer.wait("one('.number').innerText.trim().length === 2");
    campus.looks(&mut computer, "pair-test");
    approve(&phone, &computer.text(".number"));
    campus.looks(&mut phone, "app-tested");
    assert_eq!(computer.text(".status"), added);
    campus.looks(&mut computer, "pair-done");
}
