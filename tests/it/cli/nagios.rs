//! `status --nagios`, as a monitoring server runs it.

use super::binary;
use super::control::house;
use crate::support::daemon::{Daemon, wait};

fn asked(daemon: &Daemon, words: &[&str]) -> (Option<i32>, String) {
    let words = [&["status", "--nagios"], words].concat();
    let output = daemon.cli(&words);
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn a_house_is_fine_then_at_its_limit_then_without_a_directory_then_gone() {
    let (mut slapd, mut daemon) = house();
    let (exit, line) = asked(&daemon, &[]);
    assert_eq!(exit, Some(0), "{line}");
    assert!(line.starts_with("SEKISHO OK - "), "{line}");
    assert!(line.contains("1 of 1 directory servers up"), "{line}");
    assert!(line.contains(" | directories=1;;;0;1 store="), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    let (exit, line) = asked(&daemon, &["--warning-size", "0"]);
    assert!(
        exit == Some(1) && line.starts_with("SEKISHO WARNING - "),
        "{line}"
    );
    let (exit, line) = asked(&daemon, &["--warning-size", "0", "--critical-time", "0"]);
    assert!(
        exit == Some(2) && line.starts_with("SEKISHO CRITICAL - "),
        "{line}"
    );

    slapd.kill();
    let nas = daemon.nas();
    wait(
        || {
            // Nobody notices before somebody asks the directory.
            let asked = nas.sign(nas.query(b"taro", b"taro-password"));
            nas.send(asked.octets());
            self::asked(&daemon, &[]).0 == Some(2)
        },
        || format!("{:?}\n{}", asked(&daemon, &[]), daemon.log()),
    );
    let (_, line) = asked(&daemon, &[]);
    assert!(line.contains("is down"), "{line}");

    daemon.stop();
    let (exit, line) = asked(&daemon, &[]);
    assert!(
        exit == Some(2) && line.contains("no daemon listens at"),
        "{line}"
    );
}

#[test]
fn what_cannot_be_known_is_unknown_and_wrong_usage_is_told_as_ever() {
    let output = binary(&[
        "status",
        "--nagios",
        "--config",
        "/nonexistent/sekisho.toml",
    ]);
    let line = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{line}");
    assert!(line.starts_with("SEKISHO UNKNOWN - "), "{line}");
    for words in [
        &["status", "--warning-size", "9"][..],
        &["--json", "status", "--nagios"],
    ] {
        assert_eq!(binary(words).status.code(), Some(64), "{words:?}");
    }
}
