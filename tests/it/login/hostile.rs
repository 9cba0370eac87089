//! What attackers type.

use std::time::Duration;

use tokio::time::Instant;

use super::{SEED, house};
use crate::support::daemon::{code, wait};
use crate::support::slapd::{Slapd, person, person_dn, person_with};

/// `reject-floor` of the daemon of tests.
const FLOOR: Duration = Duration::from_millis(500);

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
fn an_odd_name_is_told_escaped_and_whole() {
    let (_slapd, daemon) = house();
    let nas = daemon.nas();
    let long = [&b"\x07"[..], &[b'x'; 250]].concat();
    for (name, told) in [
        (&b"ta\xe2\x80\xaero"[..], r"ta\u{202e}ro"),
        (b"a\0b", r"a\0b"),
        (b"\xff\xfe", r"\xff\xfe"),
        (b"a\nLogin OK: [b]", r"a\nLogin OK: [b]"),
        (b"OTHER\\taro", r"OTHER\taro"),
        (&long, &format!(r"\u{{7}}{}…", "x".repeat(63))),
    ] {
        let query = nas.query(name, b"taro-password");
        assert!(nas.ask(&nas.sign(query)).rejected(), "{told}");
        daemon.wait_log(&format!(": [{told}] (client vpn,"));
        let all = || daemon.cli_ok(&["why", "--json"]);
        // The trail keeps fewer characters of each of many names.
        let start: String = told.chars().take(60).collect();
        let quoted = serde_json::to_string(&start).unwrap();
        let quoted = quoted.trim_matches('"').to_owned();
        wait(
            || all().contains(&quoted),
            || format!("{quoted}\n{}", all()),
        );
    }
    daemon.wait_log("no directory has the domain OTHER");
}

#[test]
fn an_operator_is_told_which_domain_is_not_configured() {
    let (_slapd, daemon) = house();
    let output = daemon.cli(&[
        "explain",
        "--user",
        "OTHER\\taro",
        "--client",
        "vpn",
        "--station",
        "192.0.2.1",
    ]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no directory has the domain OTHER"), "{said}");
    assert!(said.contains("`domains`"), "its mend: {said}");
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
    let more = [
        person("locked", "himitsu"),
        person("renew", "himitsu"),
        person_with("gone", "himitsu", &["shadowExpire: 1"]),
        person("wrong", "himitsu"),
        person("twin", "himitsu"),
    ];
    let (slapd, daemon) = house();
    slapd.set_policy(&["pwdLockout: TRUE", "pwdMustChange: TRUE"]);
    slapd.add(&more.concat());
    for (name, attribute, value) in [
        ("locked", "pwdAccountLockedTime", "000001010000Z"),
        ("renew", "pwdReset", "TRUE"),
        ("twin", "uid", "wrong-twin"),
    ] {
        let dn = person_dn(name);
        let change = format!("changetype: modify\nadd: {attribute}\n{attribute}: {value}\n");
        slapd.modify(&format!("dn: {dn}\n{change}"));
    }
    slapd.add(&person("wrong-twin", "himitsu"));
    let nas = daemon.nas();
    for number in 0..2 {
        assert!(
            nas.login("bob", &format!("wrong-{number}000000"))
                .rejected()
        );
    }
    let mut faces = Vec::new();
    for (name, password, reason) in [
        ("taro", "wrong000000", "wrong-password"),
        ("bob", "bob-password000000", "throttled"),
        ("nobody", "wrong000000", "unknown-user"),
        ("wrong-twin", "himitsu", "ambiguous-user"),
        ("jiro", "", "empty-password"),
        ("*", "x", "unknown-user"),
        ("ta\0ro", "x", "bad-name"),
        ("OTHER\\taro", "x", "unknown-realm"),
        ("locked", "himitsu", "locked"),
        ("renew", "himitsu", "must-change"),
        ("gone", "himitsu", "account-expired"),
    ] {
        let before = daemon.log().matches(&format!("({reason}): ")).count();
        let begun = Instant::now();
        let reply = nas.login(name, password);
        let took = begun.elapsed();
        let kinds: Vec<u8> = reply.attributes.iter().map(|(kind, _)| *kind).collect();
        faces.push((reply.code, reply.text, kinds));
        assert_eq!(faces.last(), faces.first(), "{name}: {reason}");
        assert!(took >= FLOOR && took < 4 * FLOOR, "{name}: {took:?}");
        let now = || daemon.log().matches(&format!("({reason}): ")).count();
        wait(
            || now() > before,
            || format!("{name} {reason}\n{}", daemon.log()),
        );
    }
    assert_eq!(faces[0].0, 3);
}

/// How many binds as somebody slapd has seen.
fn people_bound(slapd: &Slapd) -> usize {
    slapd
        .log()
        .lines()
        .filter(|line| line.contains(" BIND dn=\"uid=") || line.contains(" BIND dn=\"\""))
        .count()
}
