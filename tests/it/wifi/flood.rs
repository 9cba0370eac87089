//! What is begun and abandoned: it costs little, and nobody else is kept waiting or pushed out.

use std::fs;
use std::time::{Duration, Instant};

use sekisho::wire::{Code, attribute};

use super::ap::{Ap, RESPONSE, TTLS, eap, identity, state_of};
use super::campus::{Campus, PASSWORD_ONLY};
use super::station::{Method, Station};
use crate::support::daemon::{Daemon, SECRET};

/// Conversations begun and abandoned.
const ABANDONED: u32 = 100_000;
/// What they may cost.
const COST: u64 = 256 << 20;
/// Requests on their way at once: what the socket's buffer takes.
const BURST: u32 = 200;

fn resident(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib << 10
}

/// A station's first flight, as a supplicant sends it, in whole.
pub fn hello() -> Vec<u8> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = "radius.example.ac.jp".try_into().unwrap();
    let mut tls = rustls::ClientConnection::new(config.into(), name).unwrap();
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).unwrap();
    hello
}

/// Sends the hello of each conversation that has begun; drops what comes back.
fn abandon(ap: &mut Ap, count: u32, with_hello: bool) {
    let hello = [&[TTLS, 0][..], &hello()].concat();
    let mut left = count;
    while left > 0 {
        let burst = left.min(BURST);
        left -= burst;
        let asked: Vec<_> = (0..burst)
            .map(|number| {
                let number = left + number;
                let [_, a, b, c] = number.to_be_bytes();
                ap.station = format!("02-00-00-{a:02x}-{b:02x}-{c:02x}");
                ap.send(ap.query("flood", None, &identity(1, "flood")))
            })
            .collect();
        for _ in &asked {
            let Some(octets) = ap.receive(Duration::from_secs(5)) else {
                break;
            };
            let found = asked
                .iter()
                .find_map(|asked| asked.answer(&octets, ap.secret()).ok());
            let Some(answer) = found.filter(|_| with_hello) else {
                continue;
            };
            let request = answer.eap().unwrap();
            let packet = eap(RESPONSE, request[1], &hello);
            ap.send(ap.query("flood", Some(&state_of(&answer)), &packet));
            ap.receive(Duration::from_secs(5));
        }
    }
}

fn campus() -> Campus {
    let vpn = format!("[client.vpn]\naddress = [\"127.0.0.3\"]\nsecret = \"{SECRET}\"\n");
    Campus::start(&["taro"], &format!("{vpn}{PASSWORD_ONLY}"))
}

/// Logs in by a password again and again; the slowest but one of a hundred.
fn slow_login(daemon: &Daemon, until: &std::sync::atomic::AtomicBool) -> Duration {
    let address = std::net::Ipv4Addr::new(127, 0, 0, 3);
    let nas = crate::support::nas::Nas::at(address.into(), daemon.radius, SECRET);
    let mut took = Vec::new();
    while !until.load(std::sync::atomic::Ordering::Relaxed) || took.len() < 100 {
        let begun = Instant::now();
        assert!(nas.login("taro", super::campus::PASSWORD).accepted());
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

#[test]
fn abandoned_names_cost_little_and_push_nobody_out() {
    let campus = campus();
    let station = Station::new(Method::TtlsPap, "taro", super::campus::PASSWORD);
    station
        .log_in(&campus.papers, campus.radius())
        .let_in()
        .unwrap();
    let before = resident(&campus.daemon);
    let mut ap = Ap::new(campus.radius());
    let (state, request) = ap.begin("taro");
    let other = Ap::new(campus.radius());
    let nak = eap(RESPONSE, request[1], &[3, 25]);
    // One station over and over again, and then many.
    for _ in 0..1000 {
        ap.station = "02-00-00-00-00-99".to_owned();
        let _begun = ap.begin("flood");
    }
    abandon(&mut ap, 5000, false);
    let answer = other.ask(other.query("taro", Some(&state), &nak));
    assert_eq!(answer.code(), Code::AccessChallenge, "it was pushed out");
    abandon(&mut ap, ABANDONED, false);
    let cost = resident(&campus.daemon).saturating_sub(before);
    assert!(cost < COST / 4, "{} MiB", cost >> 20);
    station
        .log_in(&campus.papers, campus.radius())
        .let_in()
        .unwrap();
}

#[test]
fn abandoned_hellos_are_bounded_and_others_are_served() {
    let campus = campus();
    let station = Station::new(Method::TtlsPap, "taro", super::campus::PASSWORD);
    station
        .log_in(&campus.papers, campus.radius())
        .let_in()
        .unwrap();
    let before = resident(&campus.daemon);
    let ended = std::sync::atomic::AtomicBool::new(false);
    let slow = std::thread::scope(|scope| {
        let logins = scope.spawn(|| slow_login(&campus.daemon, &ended));
        let mut ap = Ap::new(campus.radius());
        abandon(&mut ap, 12_000, true);
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        logins.join().unwrap()
    });
    let cost = resident(&campus.daemon).saturating_sub(before);
    assert!(cost < COST, "{} MiB", cost >> 20);
    // Generous, as this machine builds and tests at the same time; docs/performance.md has the figures.
    assert!(slow < Duration::from_millis(500), "{slow:?}");
    station
        .log_in(&campus.papers, campus.radius())
        .let_in()
        .unwrap();
}

#[test]
fn a_handshake_that_stalls_ends() {
    let campus = campus();
    let ap = Ap::new(campus.radius());
    let (state, request) = ap.begin("taro");
    let hello = [&[TTLS, 0][..], &hello()].concat();
    let packet = eap(RESPONSE, request[1], &hello);
    let answer = ap.ask(ap.query("taro", Some(&state), &packet));
    let mut state = state_of(&answer);
    let mut request = answer.eap().unwrap();
    // A peer that acknowledges what asks for no acknowledgement goes in circles, and is sent away.
    for round in 0..60 {
        let packet = eap(RESPONSE, request[1], &[TTLS, 0]);
        let asked = ap.send(ap.query("taro", Some(&state), &packet));
        let Some(octets) = ap.receive(Duration::from_secs(2)) else {
            continue;
        };
        let answer = asked.answer(&octets, ap.secret()).unwrap();
        if answer.code() == Code::AccessReject {
            return;
        }
        assert!(answer.attributes(attribute::STATE).count() == 1, "{round}");
        (state, request) = (state_of(&answer), answer.eap().unwrap());
    }
    panic!("it goes on for ever");
}
