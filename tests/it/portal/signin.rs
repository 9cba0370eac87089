//! Signing in.

use super::{CAMPUS, House, shows};
use crate::login::{SEED, digits, spooled};
use crate::support::daemon::code;

#[test]
fn somebody_signs_in_with_password_and_code() {
    let house = House::new();
    let mut visitor = house.visitor();
    let asked = visitor.password("taro", "taro-password");
    shows(&asked, "one-time-code");
    assert!(!asked.body.contains("taro-password"));
    let wrong = visitor.code("000000");
    shows(&wrong, "Wrong code");
    let home = visitor.code(&code(SEED, 0));
    shows(&home, "You are set up");
    let methods = visitor.get("/methods");
    shows(&methods, "Authenticator app");
    let csrf = methods.hidden("csrf");
    shows(&visitor.post("/signout", &[("csrf", &csrf)]), "/signin");
    shows(&visitor.get("/methods"), "current-password");
}

#[test]
fn wrong_names_and_passwords_look_alike() {
    let house = House::new();
    let mut pages = Vec::new();
    for (user, password) in [
        ("taro", "wrong"),
        ("nobody", "wrong"),
        ("ta\u{202e}ro", "wrong"),
    ] {
        let page = house.visitor().password(user, password);
        assert_eq!(page.status, 403);
        pages.push(page.body.replace(user, "somebody"));
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:#?}");
    assert!(pages[0].contains("Authentication failed."));
}

#[test]
fn a_code_comes_by_sms_to_those_without_a_factor() {
    let house = House::new();
    let mut visitor = house.visitor();
    let asked = visitor.password("hanako", "hanako-password");
    shows(&asked, "5678");
    let [(_, text)] = spooled(&house.daemon, "sms").try_into().unwrap();
    let home = visitor.code(&digits(&text));
    shows(&home, "You are not set up yet");
    shows(&visitor.get("/methods/add"), "Add a phone");
}

#[test]
fn a_password_alone_is_never_enough_for_who_has_a_factor() {
    let house = House::start(
        "code = [\"challenge\"]",
        "enrol-from = [\"campus\"]",
        CAMPUS,
    );
    let nas = house.daemon.nas();
    let mut visitor = house.visitor();
    shows(&visitor.password("taro", "taro-password"), "one-time-code");
    shows(&visitor.get("/methods"), "current-password");
    // Who has a number proves that it is theirs, on campus, too.
    shows(
        &house.visitor().password("hanako", "hanako-password"),
        "5678",
    );
    drop(nas);
}

#[test]
fn whoever_has_neither_factor_nor_number_enrols_on_campus_alone() {
    let house = House::start(
        "code = [\"challenge\"]",
        "enrol-from = [\"campus\"]",
        CAMPUS,
    );
    let mut visitor = house.visitor();
    shows(
        &visitor.password("jiro", "jiro-password"),
        "You are not set up yet",
    );
    let mut phone = house.pair(&mut visitor);
    // What was begun with the password alone is over: the phone proves who it is.
    shows(&visitor.get("/methods/add"), "prove once more");
    let asked = visitor.password("jiro", "jiro-password");
    let request = phone.request();
    assert_eq!(request["client"], "portal");
    assert_eq!(phone.say(&request, "approve", &asked.number()), "approved");
    visitor.code("");
    shows(&visitor.get("/methods/add"), "Add a phone");

    let outside = House::start("code = [\"challenge\"]", "", CAMPUS);
    let told = outside.visitor().password("jiro", "jiro-password");
    shows(&told, "cannot be set up from here");
    shows(&told, "/cannot-login");
}

#[test]
fn a_number_is_shown_and_the_page_goes_on_without_scripts() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let mut phone = house.pair(&mut visitor);
    let mut other = house.visitor();
    let asked = other.password("taro", "taro-password");
    let number = asked.number();
    assert_eq!(number.len(), 2);
    let state = other.get("/signin/wait");
    assert_eq!(state.body, "{\"state\":\"open\"}");
    shows(&other.code(""), "Not approved yet.");
    let request = phone.request();
    assert_eq!(
        (&request["digits"], &request["test"]),
        (&2.into(), &false.into())
    );
    assert_eq!(phone.say(&request, "approve", &number), "approved");
    assert_eq!(other.get("/signin/wait").body, "{\"state\":\"done\"}");
    shows(&other.code(""), "You are set up");
    // Denied on the phone.
    let mut third = house.visitor();
    third.password("taro", "taro-password");
    let request = phone.request();
    assert_eq!(phone.say(&request, "deny", ""), "denied");
    shows(&third.code(""), "Denied on your phone.");
    // Given up in the browser.
    let mut fourth = house.visitor();
    fourth.password("taro", "taro-password");
    assert_eq!(phone.waiting().len(), 1);
    fourth.post("/signin/cancel", &[]);
    assert_eq!(phone.waiting().len(), 0);
    // A code instead of the phone.
    let mut fifth = house.visitor();
    fifth.password("taro", "taro-password");
    shows(&fifth.code(&code(SEED, 1)), "You are set up");
    assert_eq!(phone.waiting().len(), 0);
}
