//! What every page is fenced by.

use super::visitor::{Page, Visitor, encoded};
use super::{House, shows};

const OPEN: [&str; 5] = ["/", "/signin", "/app", "/cannot-login", "/nowhere"];
const CLOSED: [&str; 5] = [
    "/methods",
    "/methods/add",
    "/logins",
    "/lost",
    "/methods/add/device",
];

fn fenced(path: &str, page: &Page) {
    let field = |name: &str| {
        page.field(name)
            .unwrap_or_else(|| panic!("{path}: no {name}"))
    };
    let policy = field("content-security-policy");
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
    assert_eq!(field("x-content-type-options"), "nosniff");
    assert_eq!(field("referrer-policy"), "same-origin");
    assert_eq!(field("cross-origin-opener-policy"), "same-origin");
    assert!(field("permissions-policy").contains("camera=()"));
    let cache = field("cache-control");
    let file = path.starts_with("/static/") || path == "/worker.js";
    assert_eq!(cache, if file { "no-cache" } else { "no-store" }, "{path}");
}

fn plain(path: &str, page: &Page) {
    assert!(
        page.field("content-type").unwrap().starts_with("text/html"),
        "{path}"
    );
    for odd in ["style=", " onclick", " onload", "javascript:", "{{", "{%"] {
        assert!(!page.body.contains(odd), "{path}: {odd}");
    }
    for (_, script) in page
        .body
        .match_indices("<script")
        .map(|(at, _)| page.body.split_at(at))
    {
        assert!(
            script.starts_with("<script src=\"/static/"),
            "{path}: inline script"
        );
    }
    assert!(page.body.len() < 100_000, "{path}");
}

/// Without what is not shown, and what stands in both.
fn words(page: &Page) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in page.body.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text
}

#[test]
fn every_page_is_fenced_and_in_both_languages() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    visitor.press("/methods/add", "/methods/add/device", &[]);
    for path in OPEN.iter().chain(&CLOSED) {
        for lang in ["ja", "en"] {
            let page = visitor.get(&format!("{path}?lang={lang}"));
            fenced(path, &page);
            plain(path, &page);
            shows(&page, &format!("<html lang=\"{lang}\">"));
            let other = if lang == "ja" { "en" } else { "ja" };
            shows(&page, &format!("?lang={other}\" lang=\"{other}\""));
            let words = words(&page).replace("日本語", "").replace("関所", "");
            let japanese = words.chars().any(|c| ('ぁ'..='ん').contains(&c));
            assert_eq!(japanese, lang == "ja", "{path}: {words}");
        }
    }
    for (path, kind) in [
        ("/static/style.css", "text/css; charset=utf-8"),
        ("/static/app.js", "text/javascript; charset=utf-8"),
        ("/static/device.js", "text/javascript; charset=utf-8"),
        ("/static/page.js", "text/javascript; charset=utf-8"),
        ("/worker.js", "text/javascript; charset=utf-8"),
        ("/app.webmanifest", "application/manifest+json"),
        ("/static/icon.svg", "image/svg+xml"),
        ("/static/icon-192.png", "image/png"),
    ] {
        let page = visitor.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.field("content-type"), Some(kind));
        fenced(path, &page);
    }
    assert_eq!(visitor.get("/static/..%2f..%2fmod.rs").status, 404);
    assert_eq!(visitor.get("/nowhere").status, 404);
}

#[test]
fn forms_from_elsewhere_are_refused() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let csrf = visitor.get("/methods").hidden("csrf");
    let good = encoded(&[("csrf", &csrf)]);
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let own = visitor.origin.clone();
    let refused = |visitor: &mut Visitor, head: &[(&str, &str)], body: &str| {
        let page = visitor.send("POST", "/methods/add/device", head, body);
        assert_eq!(page.status, 403, "{head:?} {body}");
    };
    refused(&mut visitor, &[form], &good);
    refused(
        &mut visitor,
        &[form, ("Origin", "https://evil.example")],
        &good,
    );
    refused(&mut visitor, &[form, ("Origin", "null")], &good);
    let cross = ("Sec-Fetch-Site", "cross-site");
    refused(&mut visitor, &[form, ("Origin", &own), cross], &good);
    refused(&mut visitor, &[form, ("Origin", &own)], "csrf=");
    refused(
        &mut visitor,
        &[form, ("Origin", &own)],
        "csrf=AAAAAAAAAAAAAAAAAAAAAA",
    );
    let page = visitor.send(
        "POST",
        "/methods/add/device",
        &[form, ("Origin", &own)],
        &good,
    );
    assert_eq!(page.status, 303);
    // The token of another session.
    let mut other = house.visitor();
    other.password("bob", "bob-password");
    other.code(&crate::support::daemon::code(crate::login::SEED, 0));
    refused(&mut other, &[form, ("Origin", &own)], &good);
    // A device is not believed for a cookie.
    let page = visitor.send(
        "POST",
        "/device/poll",
        &[("Content-Type", "application/json"), ("Origin", &own)],
        "{\"device\":1,\"at\":0,\"signature\":\"\"}",
    );
    assert_eq!(page.status, 403);
}

#[test]
fn cookies_cannot_be_made_or_altered() {
    let house = House::new();
    let mut visitor = house.visitor();
    visitor.password("taro", "taro-password");
    let dialogue = visitor.cookies["dialogue"].clone();
    for altered in ["", "AAAA", &dialogue[1..], &format!("{dialogue}A")] {
        let mut visitor = house.visitor();
        visitor
            .cookies
            .insert("dialogue".into(), altered.to_owned());
        shows(&visitor.get("/signin/code"), "current-password");
    }
    // What was sealed as another thing is not this one.
    let mut moved = house.signed_in("bob");
    moved.cookies.insert("test".into(), dialogue);
    shows(&moved.get("/methods/test"), "Your methods");
    for token in ["", "AAAA", &"A".repeat(43)] {
        let mut visitor = house.visitor();
        visitor.cookies.insert("session".into(), token.to_owned());
        shows(&visitor.get("/methods"), "current-password");
    }
}

#[test]
fn heads_and_bodies_are_bounded() {
    let house = House::new();
    let visitor = house.visitor();
    let long = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    let answer = visitor.raw(long.as_bytes());
    assert!(
        answer.starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let fields: String = (0..100).map(|n| format!("X-{n}: x\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    assert!(visitor.raw(many.as_bytes()).starts_with(b"HTTP/1.1 431"));
    let mut visitor = house.visitor();
    let body = "x".repeat(20_000);
    let page = visitor.post_only("/signin", &[("user", &body), ("password", "x")]);
    assert_eq!(page.status, 400);
    let page = visitor.post_only("/signin", &[("user", "taro")]);
    assert_eq!(page.status, 400);
    assert!(
        visitor
            .raw(b"\x16\x03\x01\x02\x00")
            .starts_with(b"HTTP/1.1 400")
    );
    assert_eq!(house.visitor().get("/").status, 200);
}
