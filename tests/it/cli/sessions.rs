//! Sessions on the network: shown, told and ended by operators, in both languages.

use std::net::UdpSocket;
use std::thread::JoinHandle;
use std::time::Duration;

use sekisho::secret::Secret;
use sekisho::wire::Query;

use super::control::{SEED, house_with};
use super::json;
use crate::support::daemon::{Daemon, SECRET, code};
use crate::support::nas::Reply;
use crate::wire::radclient::md5;

pub(crate) const ACK: u8 = 41;
const NAK: u8 = 42;
/// Error-Cause "Session Context Not Removable".
const NOT_REMOVABLE: &[u8] = &[101, 6, 0, 0, 1, 0xf8];

/// Gear that answers one Disconnect-Request so.
pub(crate) fn gear(socket: UdpSocket, code: u8, attributes: &'static [u8]) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut asked = [0; 4096];
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let (_, from) = socket.recv_from(&mut asked).expect("a Disconnect-Request");
        let [.., length] = (20 + attributes.len()).to_be_bytes();
        let header = [code, asked[1], 0, length];
        let digested = [&header[..], &asked[4..20], attributes, SECRET.as_bytes()].concat();
        let answer = [&header[..], &md5(&digested), attributes].concat();
        socket.send_to(&answer, from).unwrap();
    })
}

/// Logs in, which must succeed, and begins its session.
fn open(daemon: &Daemon, user: &str, password: &str) {
    let accept = daemon.nas().login(user, password);
    assert!(accept.accepted(), "{accept:?}");
    account_for(daemon, &accept, 1);
}

pub(crate) fn account_for(daemon: &Daemon, accept: &Reply, status: u8) {
    let secret = Secret::from(SECRET);
    let asked = Query::accounting(1)
        .with(40, &[0, 0, 0, status])
        .with(44, b"S1")
        .with(1, b"taro")
        .with(25, accept.attribute(25).expect("a Class"))
        .with(31, b"00-1b-63-84-45-e6")
        .with(46, &3725_u32.to_be_bytes())
        .with(42, &5000_u32.to_be_bytes())
        .with(43, &(3_u32 << 20).to_be_bytes())
        .with(49, &[0, 0, 0, 5])
        .sign(&secret);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    socket.send_to(asked.octets(), daemon.accounting).unwrap();
    let mut answer = [0; 4096];
    let length = socket.recv(&mut answer).expect("an acknowledgement");
    asked.answer(&answer[..length], &secret).unwrap();
}

fn output(daemon: &Daemon, words: &[&str]) -> (Option<i32>, String) {
    let output = daemon.cli(words);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_session_is_shown_told_and_ended() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let (_slapd, daemon) = house_with(&format!(
        "code = [\"appended\"]\nstation = [\"Calling-Station-Id\"]\ndisconnect = \"{at}\""
    ));
    daemon.enrol("taro", SEED);
    let none = daemon.cli_ok(&["user", "disconnect", "taro"]);
    assert!(none.contains("no open session"), "{none}");
    open(&daemon, "taro", &format!("taro-password{}", code(SEED, 0)));

    let shown = daemon.cli_ok(&["user", "show", "taro"]);
    assert!(
        shown.contains("sessions") && shown.contains("open since"),
        "{shown}"
    );
    assert!(
        shown.contains("at vpn (127.0.0.1), from 00:1b:63:84:45:e6"),
        "{shown}"
    );
    let ja = daemon.cli_ok(&["--lang", "ja", "user", "show", "taro"]);
    assert!(ja.contains("接続中") && ja.contains("機器 vpn"), "{ja}");

    let refusing = gear(socket.try_clone().unwrap(), NAK, NOT_REMOVABLE);
    let (exit, said) = output(&daemon, &["user", "disconnect", "taro"]);
    refusing.join().unwrap();
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("cannot remove the session [504]"), "{said}");

    let ending = gear(socket, ACK, &[]);
    let ended = json(&daemon.cli_ok(&["--json", "user", "disconnect", "taro"]));
    ending.join().unwrap();
    assert_eq!(ended["sessions"][0]["outcome"], "ended");
    assert_eq!(ended["sessions"][0]["session"], "S1");
    let why = daemon.cli_ok(&["why", "taro"]);
    assert!(
        why.contains("ended (the gear ended it when asked)"),
        "{why}"
    );
    assert!(
        why.contains("as an operator said so: It is ended."),
        "{why}"
    );
    assert!(
        why.contains("ends the open sessions of campus/taro"),
        "{why}"
    );
    let ja = daemon.cli_ok(&["--lang", "ja", "why", "taro"]);
    assert!(ja.contains("campus/taro の接続をすべて切断"), "{ja}");
    assert!(ja.contains("要求により機器が切断"), "{ja}");
    daemon.wait_log("is to end, operator: refused");
    daemon.wait_log("is to end, operator: ended");
}

#[test]
fn a_session_that_ends_by_itself_tells_how_and_how_much() {
    let (_slapd, daemon) = house_with("code = [\"appended\"]");
    daemon.enrol("taro", SEED);
    let login = format!("taro-password{}", code(SEED, 0));
    let accept = daemon.nas().login("taro", &login);
    account_for(&daemon, &accept, 2);
    let shown = daemon.cli_ok(&["user", "show", "taro"]);
    assert!(shown.contains("ended (its time was over)"), "{shown}");
    assert!(shown.contains("1:02:05, 4 KiB in, 3.0 MiB out"), "{shown}");
    let why = daemon.cli_ok(&["why", "taro"]);
    assert!(why.contains("ended (its time was over)"), "{why}");
    let ja = daemon.cli_ok(&["--lang", "ja", "user", "show", "taro"]);
    assert!(ja.contains("終了(制限時間)"), "{ja}");
}

#[test]
fn gear_that_is_not_asked_is_said_so() {
    let (_slapd, daemon) = house_with("code = [\"appended\"]");
    daemon.enrol("taro", SEED);
    open(&daemon, "taro", &format!("taro-password{}", code(SEED, 0)));
    let (exit, said) = output(&daemon, &["user", "disconnect", "taro"]);
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("disconnect = false"), "{said}");
    let (exit, said) = output(&daemon, &["--lang", "ja", "user", "disconnect", "taro"]);
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("機器側で切断してください"), "{said}");
    let (exit, _) = output(&daemon, &["user", "disconnect", "nobody"]);
    assert_eq!(exit, Some(1));
}
