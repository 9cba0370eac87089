//! Methods of a person: codes, names, what is gone.

use super::{House, shows};
use crate::login::{SEED, digits, spooled};
use crate::support::daemon::{SECRET, code};
use crate::support::nas::Nas;

/// The seed that a page shows for typing.
fn seed(body: &str) -> String {
    let (_, rest) = body.split_once("class=\"seed\"").unwrap();
    let (_, rest) = rest.split_once('>').unwrap();
    rest.split('<').next().unwrap().replace(' ', "")
}

#[test]
fn somebody_with_a_number_adds_an_app_and_uses_it() {
    let house = House::new();
    let mut visitor = house.visitor();
    visitor.password("hanako", "hanako-password");
    let [(_, text)] = spooled(&house.daemon, "sms").try_into().unwrap();
    visitor.code(&digits(&text));
    let page = visitor.press("/methods/add", "/methods/add/totp", &[]);
    shows(&page, "<svg");
    let seed = seed(&page.body);
    let csrf = page.hidden("csrf");
    let typed = |code: &'static str| [("csrf", "?"), ("label", "私の<アプリ>"), ("code", code)];
    let mut fields = typed("000000");
    fields[0].1 = &csrf;
    let again = visitor.post("/methods/add/totp/code", &fields);
    shows(&again, "The code is wrong.");
    assert_eq!(self::seed(&again.body), seed, "the same picture");
    let right = code(&seed, 0);
    let fields = [
        ("csrf", csrf.as_str()),
        ("label", "私の<アプリ>"),
        ("code", &right),
    ];
    let page = visitor.post("/methods/add/totp/code", &fields);
    shows(&page, "The authenticator app is added.");
    shows(&page, "私の&#60;アプリ&#62;");
    // The seed is in no cookie any more, and the app is asked for from now on.
    shows(&visitor.get("/methods/add/totp"), "prove once more");
    let mut other = house.visitor();
    let asked = other.password("hanako", "hanako-password");
    assert!(!asked.body.contains("5678"), "{}", asked.body);
    shows(&other.code(&code(&seed, 1)), "You are set up");
    let page = other.get("/logins");
    shows(&page, "A method was added");
    let told = house.daemon.cli_ok(&["why", "hanako"]);
    assert!(told.contains("added a method at the portal"), "{told}");
}

#[test]
fn recovery_codes_are_shown_once_and_let_in() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let page = visitor.press("/methods", "/methods/recovery", &[]);
    let words = page.body.split(['<', '>']);
    let codes: Vec<&str> = words
        .filter(|word| word.len() == 19 && word.matches('-').count() == 3)
        .collect();
    assert_eq!(codes.len(), 10, "{}", page.body);
    assert!(!visitor.get("/methods").body.contains(codes[0]));
    shows(&visitor.get("/methods"), "10 left");
    let mut other = house.visitor();
    other.password("taro", "taro-password");
    shows(&other.code(&codes[0].to_lowercase()), "You are set up");
    shows(&other.get("/methods"), "9 left");
}

#[test]
fn methods_have_names() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let page = visitor.get("/methods");
    let (csrf, id) = (page.hidden("csrf"), page.hidden("id"));
    let rename = |label: &'static str| [("csrf", "?"), ("id", "?"), ("label", label)];
    for (label, shown) in [
        (
            "<b>\u{202e}研究室\u{0}</b>",
            "&#60;b&#62;研究室&#60;/b&#62;",
        ),
        ("  token  ", ">token<"),
    ] {
        let mut fields = rename(label);
        (fields[0].1, fields[1].1) = (&csrf, &id);
        shows(&visitor.post("/methods/rename", &fields), shown);
    }
    let mut empty = rename(" \u{200b} ");
    (empty[0].1, empty[1].1) = (&csrf, &id);
    assert_eq!(visitor.post("/methods/rename", &empty).status, 400);
    // Somebody else's.
    let mut bob = house.signed_in("bob");
    for act in ["/methods/remove", "/methods/test", "/lost"] {
        let page = bob.press("/methods", act, &[("id", &id)]);
        assert_eq!(page.status, 404, "{act}");
    }
    let page = bob.press(
        "/methods",
        "/methods/rename",
        &[("id", &id), ("label", "mine")],
    );
    assert_eq!(page.status, 404);
    assert!(!visitor.get("/methods").body.contains("mine"));
}

#[test]
fn a_reset_at_the_desk_ends_sessions() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let csrf = visitor.get("/methods").hidden("csrf");
    house.daemon.cli_ok(&["user", "reset", "taro"]);
    shows(&visitor.get("/methods"), "current-password");
    let page = visitor.post("/methods/add/device", &[("csrf", &csrf)]);
    shows(&page, "current-password");
}

#[test]
fn a_lost_phone_takes_its_sessions_along() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let mut phone = house.pair(&mut visitor);
    let mut on_the_phone = house.visitor();
    let asked = on_the_phone.password("taro", "taro-password");
    let request = phone.request();
    phone.say(&request, "approve", &asked.number());
    shows(&on_the_phone.code(""), "Sign out");
    let id = phone.id.to_string();
    let mut home = house.visitor();
    home.password("taro", "taro-password");
    shows(&home.code(&code(SEED, 1)), "Sign out");
    shows(
        &home.press("/lost", "/lost", &[("id", &id)]),
        "It has stopped working.",
    );
    shows(&home.get("/methods"), "Sign out");
    shows(&on_the_phone.get("/methods"), "current-password");
}

/// Waits until the directory's second is over in which a password was changed: until then it could change again unnoticed.
fn settle() {
    let clock = sekisho::clock::Clock::system();
    let over = clock.now().after(std::time::Duration::from_secs(2));
    while clock.now() < over {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_remembered_station_is_shown_and_forgotten() {
    let vpn = "code = [\"appended\", \"challenge\"]\nremember = \"14d\"\nstation = [\"Calling-Station-Id\"]\nlabel = { ja = \"学内Wi-Fi\", en = \"Campus Wi-Fi\" }";
    let house = House::start(vpn, "", "");
    house._slapd.set_policy(&[]);
    house._slapd.change_password("taro", "taro-password");
    settle();
    let laptop = Nas::new(house.daemon.radius, SECRET).from_station("02-00-5E-10-00-01");
    let typed = format!("taro-password{}", code(SEED, 0));
    assert!(laptop.login("taro", &typed).accepted());
    assert!(laptop.login("taro", "taro-password").accepted());
    let told = house.daemon.cli_ok(&["why", "taro"]);
    assert!(told.contains("was proven at this station before"), "{told}");
    let explained = || {
        let station = ["--station", "02:00:5e:10:00:01"];
        let ask = [
            &["explain", "--user", "taro", "--client", "vpn"],
            &station[..],
        ];
        house.daemon.cli_ok(&ask.concat())
    };
    assert!(
        explained().contains("the password alone"),
        "{}",
        explained()
    );
    let shown = house.daemon.cli_ok(&["user", "show", "taro"]);
    assert!(shown.contains("02:00:5e:10:00:01"), "{shown}");

    let mut visitor = house.visitor();
    visitor.password("taro", "taro-password");
    shows(&visitor.code(&code(SEED, 1)), "Sign out");
    let page = visitor.get("/methods");
    shows(&page, "02:00:5e:10:00:01");
    shows(&page, "Campus Wi-Fi");
    let station = [("station", "02:00:5e:10:00:01")];
    let mut bob = house.signed_in("bob");
    let nothing = bob.press("/methods", "/methods/forget", &station);
    assert_eq!(nothing.status, 404, "it is somebody else's");
    let odd = visitor.press("/methods", "/methods/forget", &[("station", "laptop")]);
    assert_eq!(odd.status, 400);
    let unguarded = visitor.post("/methods/forget", &station);
    assert_ne!(unguarded.status, 200);
    assert!(explained().contains("the password alone"));

    let page = visitor.press("/methods", "/methods/forget", &station);
    shows(&page, "It is forgotten");
    assert!(!page.body.contains("02:00:5e:10:00:01"), "{}", page.body);
    assert!(explained().contains("totp code"), "{}", explained());
    shows(
        &visitor.get("/logins"),
        "A remembered station was forgotten",
    );
    let none = house.daemon.cli_ok(&["user", "forget", "taro"]);
    assert!(none.contains("No such station"), "{none}");
    let odd = house.daemon.cli(&["user", "forget", "taro", "laptop"]);
    assert_eq!(odd.status.code(), Some(1));
    let told = house.daemon.cli_ok(&["why", "taro"]);
    assert!(told.contains("forgets the remembered stations"), "{told}");
}
