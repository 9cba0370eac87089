//! FreeRADIUS's radclient logs in: a peer that nobody here wrote.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{SEED, house};
use crate::support::daemon::{Daemon, SECRET, code};

/// Sends one Access-Request with these attributes; what radclient says of the answer.
fn ask(daemon: &Daemon, attributes: &str) -> String {
    let mut child = Command::new("timeout")
        .args(["30", "radclient", "-x", "-r", "1", "-t", "20"])
        .arg(daemon.radius.to_string())
        .args(["auth", SECRET])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("package freeradius-utils is installed");
    let signed = format!("{attributes}, Message-Authenticator = 0x00\n");
    // Dropping its standard input tells radclient that there is no more.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(signed.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8(said).unwrap()
}

#[test]
fn a_password_with_its_code_is_accepted() {
    let (_slapd, daemon) = house();
    let login = |code: &str| {
        let station = "Calling-Station-Id = 203.0.113.7";
        ask(
            &daemon,
            &format!("User-Name = taro, User-Password = \"taro-password{code}\", {station}"),
        )
    };
    let right = code(SEED, 0);
    let said = login(&right);
    assert!(said.contains("Received Access-Accept"), "{said}");
    let said = login("000000");
    assert!(said.contains("Received Access-Challenge"), "{said}");
}

#[test]
fn a_challenge_is_answered() {
    let (_slapd, daemon) = house();
    let said = ask(
        &daemon,
        "User-Name = taro, User-Password = \"taro-password\", NAS-Identifier = vpn",
    );
    assert!(said.contains("Received Access-Challenge"), "{said}");
    assert!(said.contains("one-time password"), "{said}");
    let (_, state) = said.split_once("State = 0x").expect("a State");
    let state = state.split_whitespace().next().unwrap();
    let right = code(SEED, 0);
    let said = ask(
        &daemon,
        &format!("User-Name = taro, User-Password = \"{right}\", State = 0x{state}"),
    );
    assert!(said.contains("Received Access-Accept"), "{said}");
}
