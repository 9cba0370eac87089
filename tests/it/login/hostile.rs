//! What attackers type.

use super::{SEED, house};
use crate::support::daemon::code;
use crate::support::slapd::Slapd;

#[test]
fn names_and_passwords_that_nobody_has_are_never_bound() {
    let (slapd, daemon) = house();
    let nas = daemon.nas();
    let before = people_bound(&slapd);
    let long = "a".repeat(253);
    for name in [
        &b"*"[..],
        b"ta*",
        b")(uid=*",
        b"taro)(uid=*",
        b"taro\0",
        b"\0",
        b"\xff\xfe",
        b"ta\xe2\x80\xaero",
        b" ",
        b"OTHER\\taro",
        b"@example.ac.jp",
        long.as_bytes(),
        b"uid=taro,ou=people,dc=example,dc=ac,dc=jp",
    ] {
        let typed = format!("taro-password{}", code(SEED, 0));
        let query = nas.query(name, typed.as_bytes());
        assert!(
            nas.ask(&nas.sign(query)).rejected(),
            "{}",
            String::from_utf8_lossy(name)
        );
    }
    for password in [&b""[..], b"\0", b"\0\0\0\0taro-password", b"\xff\xfe\xfd"] {
        let query = nas.query(b"taro", password);
        assert!(
            nas.ask(&nas.sign(query)).rejected(),
            "{}",
            String::from_utf8_lossy(password)
        );
    }
    assert_eq!(people_bound(&slapd) - before, 0, "{}", slapd.log());
    assert!(nas.status().accepted());
}

#[test]
fn nothing_typed_reaches_the_log() {
    let (_slapd, daemon) = house();
    let nas = daemon.nas();
    let right = code(SEED, 0);
    nas.login("taro", &format!("taro-password{right}"));
    nas.login("taro", "a-very-wrong-password123456");
    nas.login("hanako", "hanako-password");
    daemon.wait_log("code-sent");
    let log = daemon.log();
    let sent = super::digits(&super::spooled(&daemon, "sms")[0].1);
    for secret in [
        "taro-password",
        "a-very-wrong-password",
        "hanako-password",
        &right,
        &sent,
        SEED,
    ] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    for word in ["proven", "wrong-password", "code-sent"] {
        assert!(log.contains(word), "{word} is not in the log:\n{log}");
    }
}

#[test]
fn every_refusal_before_the_password_has_one_face() {
    let (_slapd, daemon) = house();
    let nas = daemon.nas();
    let faces: Vec<_> = [
        ("taro", "wrong000000"),
        ("nobody", "wrong000000"),
        ("jiro", "wrong"),
        ("*", "x"),
    ]
    .into_iter()
    .map(|(name, password)| {
        let reply = nas.login(name, password);
        let kinds: Vec<u8> = reply.attributes.iter().map(|(kind, _)| *kind).collect();
        (reply.code, reply.text, kinds)
    })
    .collect();
    assert!(faces.iter().all(|face| *face == faces[0]), "{faces:?}");
}

/// How many binds as somebody slapd has seen.
fn people_bound(slapd: &Slapd) -> usize {
    slapd
        .log()
        .lines()
        .filter(|line| line.contains(" BIND dn=\"uid=") || line.contains(" BIND dn=\"\""))
        .count()
}
