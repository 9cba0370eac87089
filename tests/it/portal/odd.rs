//! What no page of ours would send: refused, and never a fault of ours.

use super::House;

/// Every path that takes something.
const POSTS: [&str; 18] = [
    "/signin",
    "/signin/code",
    "/signin/cancel",
    "/methods/rename",
    "/methods/remove",
    "/methods/test",
    "/methods/recovery",
    "/methods/add/device",
    "/methods/add/totp",
    "/methods/add/totp/code",
    "/lost",
    "/logins/report",
    "/device/pair",
    "/device/poll",
    "/device/decide",
    "/device/bell",
    "/push/answer",
    "/signout",
];

const BODIES: [&str; 8] = [
    "",
    "&&&===",
    "user=%ff%fe&password=%00",
    "user=a&user=b&password=c",
    "csrf=%zz",
    "{\"device\":9223372036854775807,\"at\":-9223372036854775808,\"signature\":\"\"}",
    "{\"device\":1e400,\"at\":0,\"signature\":\"\"}",
    "{\"code\":\"\",\"key\":\"\",\"label\":\"\",\"language\":\"\",\"signature\":\"\"}",
];

const KINDS: [&str; 3] = [
    "application/x-www-form-urlencoded",
    "application/json",
    "text/plain",
];

#[test]
fn odd_bodies_are_refused() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let own = visitor.origin.clone();
    let deep = "[".repeat(5000);
    let long = format!("user={}&password=x", "%41".repeat(4000));
    for path in POSTS {
        for kind in KINDS {
            for body in BODIES.into_iter().chain([deep.as_str(), long.as_str()]) {
                let head = [("Origin", own.as_str()), ("Content-Type", kind)];
                let status = visitor.send("POST", path, &head, body).status;
                let ours = (200..500).contains(&status);
                assert!(ours, "{path} {kind} {body:.60}: {status}");
            }
        }
    }
    assert!(
        !house.daemon.log().contains("panicked"),
        "{}",
        house.daemon.log()
    );
}

#[test]
fn odd_fields_paths_and_methods_are_refused() {
    let house = House::new();
    let mut visitor = house.signed_in("taro");
    let own = visitor.origin.clone();
    let csrf = visitor.get("/methods").hidden("csrf");
    let ids = ["-1", "0", "9223372036854775808", "x", ""];
    for (path, id) in POSTS.iter().flat_map(|path| ids.map(|id| (path, id))) {
        let status = visitor
            .post_only(path, &[("csrf", &csrf), ("id", id)])
            .status;
        assert!((200..500).contains(&status), "{path} {id}: {status}");
    }
    for path in [
        "/%",
        "/%00",
        "/static/%2e%2e/mod.rs",
        "/?lang=%ff",
        "//evil.example",
        "/methods?done=%00&done=x",
    ] {
        for method in ["GET", "HEAD", "PUT", "DELETE", "TRACE", "OPTIONS", "ODD"] {
            let status = visitor.send(method, path, &[("Origin", &own)], "").status;
            assert!((200..500).contains(&status), "{method} {path}: {status}");
        }
    }
    let cookies = visitor.with("Cookie", "session=\u{ff}; ;;; =; dialogue");
    let odd = cookies.with("X-Forwarded-For", "\u{ff}");
    assert_eq!(odd.clone().get("/").status, 200);
    assert!(
        !house.daemon.log().contains("panicked"),
        "{}",
        house.daemon.log()
    );
}
