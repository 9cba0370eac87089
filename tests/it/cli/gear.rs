//! `try --as`: what a login is like through gear of each make.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::time::Duration;

use serde_json::Value;

use super::control::{SEED, house_with};
use super::{json, write};
use crate::support::daemon::{Daemon, SECRET, code};

/// Runs a trial, and gives its object and whether the last login was accepted.
fn tried(daemon: &Daemon, words: &[&str]) -> Value {
    let all = [
        &["--json", "try", "taro", "--password", "taro-password"],
        words,
    ]
    .concat();
    let output = daemon.cli(&all);
    let object = json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(
        output.status.success(),
        object["accepted"] == true,
        "{object}"
    );
    object
}

fn sendings(object: &Value) -> Vec<&Value> {
    let exchanges = object["exchanges"].as_array().unwrap().iter();
    exchanges
        .flat_map(|exchange| exchange["sendings"].as_array().unwrap())
        .collect()
}

/// A socket in a server's place that says nothing.
fn deaf() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

/// What such a socket heard: source ports and octets.
fn heard(socket: &UdpSocket) -> Vec<(u16, Vec<u8>)> {
    let mut octets = [0; 4096];
    std::iter::from_fn(|| {
        let (length, from) = socket.recv_from(&mut octets).ok()?;
        Some((from.port(), octets[..length].to_vec()))
    })
    .collect()
}

#[test]
fn gear_that_asks_anew_turns_to_its_second_server() {
    let (_slapd, daemon) = house_with("profile = 'openvpn'");
    daemon.enrol("taro", SEED);
    let secret = write(daemon.path("state").parent().unwrap(), "secret", SECRET);
    let (socket, first) = deaf();
    let radius = daemon.radius.to_string();
    let tried = tried(
        &daemon,
        &[
            "--code",
            &code(SEED, 0),
            "--radius",
            &first,
            "--secret-file",
            secret.to_str().unwrap(),
            "--second",
            &radius,
            "--as",
            "openvpn",
        ],
    );
    assert_eq!(tried["ends"], serde_json::json!(["accepted"]), "{tried}");
    let sent = sendings(&tried);
    let asked: Vec<_> = sent
        .iter()
        .map(|sending| sending["to"].as_str().unwrap())
        .collect();
    assert_eq!(asked, [&first, &first, &radius]);
    let anew: HashSet<_> = sent
        .iter()
        .map(|sending| {
            (
                sending["from_port"].as_u64(),
                sending["identifier"].as_u64(),
            )
        })
        .collect();
    assert_eq!(anew.len(), 3, "{tried}");
    let apart = sent[2]["at_micros"].as_u64().unwrap();
    assert!(apart >= 2_000_000, "{apart}");
    let heard = heard(&socket);
    assert_eq!(heard.len(), 2);
    // Neither is signed: it has no Message-Authenticator.
    for (port, octets) in &heard {
        let first_attribute = octets[20];
        assert!(first_attribute == 1 && *port > 0, "{octets:?}");
    }
}

#[test]
fn gear_that_sends_the_same_packet_gives_up_at_its_patience() {
    let (_slapd, daemon) = house_with("profile = 'globalprotect'");
    let secret = write(daemon.path("state").parent().unwrap(), "secret", SECRET);
    let (socket, server) = deaf();
    let words = [
        "--radius",
        &server,
        "--secret-file",
        secret.to_str().unwrap(),
        "--station",
        "203.0.113.5",
        "--as",
        "globalprotect",
    ];
    let tried = tried(&daemon, &words);
    assert_eq!(tried["ends"], serde_json::json!(["gave-up"]), "{tried}");
    assert_eq!(tried["exchanges"][0]["reply"], Value::Null);
    let at: Vec<_> = sendings(&tried)
        .iter()
        .map(|sending| {
            (
                sending["same_packet"] == true,
                sending["at_micros"].as_u64().unwrap() / 1_000_000,
            )
        })
        .collect();
    assert_eq!(at, [(false, 0), (true, 3), (true, 6)]);
    assert!(tried["exchanges"][0]["micros"].as_u64().unwrap() >= 9_000_000);
    let heard = heard(&socket);
    assert_eq!(heard.len(), 3);
    assert!(
        heard.iter().all(|copy| *copy == heard[0]),
        "the same octets from the same port"
    );
    let vendor: &[u8] = b"\0\0\x63\x75\x07\x0d203.0.113.5";
    assert!(
        heard[0].1.windows(vendor.len()).any(|part| part == vendor),
        "the station is where this gear tells it"
    );
}

#[test]
fn gear_that_nobody_answers_in_time_says_what_would_help() {
    let (slapd, daemon) = house_with("profile = 'pam'");
    slapd.pause();
    let output = daemon.cli(&["try", "taro", "--password", "taro-password", "--as", "pam"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("in the manner of pam_radius (3.0 s)"),
        "{said}"
    );
    assert!(said.contains("✗ nothing  after 3."), "{said}");
    assert!(
        said.contains("Gave up: pam_radius waits no longer."),
        "{said}"
    );
    assert!(said.contains("pam_radius_auth.conf"), "{said}");
    slapd.resume();
}

#[test]
fn gear_that_cannot_be_challenged_fails_where_it_would_fail() {
    let (_slapd, daemon) = house_with("code = ['challenge']");
    daemon.enrol("taro", SEED);
    let tried = tried(&daemon, &["--as", "meraki", "--answer", "123456"]);
    assert_eq!(tried["ends"], serde_json::json!(["cannot-be-challenged"]));
    assert_eq!(tried["exchanges"][0]["reply"]["code"], "Access-Challenge");
    assert_eq!(tried["exchanges"].as_array().unwrap().len(), 1, "{tried}");

    let unsigned = ["--as", "pam", "--answer", &code(SEED, 0)];
    let tried = self::tried(&daemon, &unsigned);
    // It signs nothing, and this client wants signatures: nobody hears it.
    assert_eq!(tried["ends"], serde_json::json!(["gave-up"]));
}

#[test]
fn gear_that_logs_in_twice_is_let_in_twice_by_one_code() {
    let (_slapd, daemon) = house_with("profile = 'globalprotect'\ncode = ['appended']");
    daemon.enrol("taro", SEED);
    let words = ["--code", &code(SEED, 0), "--station", "203.0.113.5"];
    let both = tried(&daemon, &[&words[..], &["--as", "globalprotect"]].concat());
    assert_eq!(
        both["ends"],
        serde_json::json!(["accepted", "accepted"]),
        "{both}"
    );
    let logins: Vec<_> = both["exchanges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["login"].as_u64().unwrap())
        .collect();
    assert_eq!(logins, [1, 2]);

    let wrong = ["--as", "globalprotect", "--code", "000000"];
    assert_eq!(
        tried(&daemon, &wrong)["ends"],
        serde_json::json!(["rejected"])
    );
    let insists = ["--as", "globalprotect", "--code", "000000", "--count", "3"];
    let ends = tried(&daemon, &insists)["ends"].clone();
    assert_eq!(ends.as_array().unwrap().len(), 3, "{ends}");
}

#[test]
fn gear_that_logs_in_twice_is_asked_once() {
    let (_slapd, daemon) = house_with("profile = 'globalprotect'");
    daemon.enrol("taro", SEED);
    let words = ["--answer", &code(SEED, 0), "--station", "203.0.113.5"];
    let both = tried(&daemon, &[&words[..], &["--as", "globalprotect"]].concat());
    assert_eq!(
        both["ends"],
        serde_json::json!(["accepted", "accepted"]),
        "{both}"
    );
    let replies: Vec<_> = both["exchanges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|exchange| exchange["reply"]["code"].as_str().unwrap())
        .collect();
    assert_eq!(
        replies,
        ["Access-Challenge", "Access-Accept", "Access-Accept"]
    );
    // Another station with the same password is asked for itself, and nobody answers there.
    let other = ["--as", "globalprotect", "--station", "203.0.113.6"];
    let other = daemon.cli(&[&["try", "taro", "--password", "taro-password"], &other[..]].concat());
    assert_eq!(other.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&other.stdout).contains("Access-Challenge"));
}

#[test]
fn gear_that_forgets_the_station_in_its_answer_is_still_where_it_was() {
    let (_slapd, daemon) = house_with("profile = 'pam'");
    daemon.enrol("taro", SEED);
    let words = ["--answer", &code(SEED, 0), "--station", "203.0.113.5"];
    let tried = tried(&daemon, &[&words[..], &["--as", "pam"]].concat());
    assert_eq!(tried["ends"], serde_json::json!(["accepted"]), "{tried}");
    let tells = |exchange: &Value| {
        let attributes = exchange["sent"]["attributes"].as_array().unwrap();
        attributes
            .iter()
            .any(|attribute| attribute["name"] == "Calling-Station-Id")
    };
    let exchanges = tried["exchanges"].as_array().unwrap();
    assert_eq!(
        exchanges.iter().map(tells).collect::<Vec<_>>(),
        [true, false]
    );
    let told = daemon.cli_ok(&["--json", "why", "taro"]);
    assert_eq!(told.matches("203.0.113.5").count(), 2, "{told}");
}
