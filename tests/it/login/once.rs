//! One attempt, one bind, one use of a code.

use std::thread;

use super::{SEED, SPOOL, VPN, house, house_with};
use crate::support::daemon::{SECRET, client, code};
use crate::support::nas::Nas;
use crate::support::slapd::person_dn;

fn two_clients() -> String {
    format!(
        "{}\n[client.wifi]\naddress = [\"127.0.0.2\"]\nsecret = \"{SECRET}\"\n{VPN}\n{SPOOL}",
        client("vpn", VPN)
    )
}

#[test]
fn one_code_from_two_client_groups_at_once_is_accepted_once() {
    let (_slapd, daemon) = house_with(&two_clients());
    let typed = format!("taro-password{}", code(SEED, 0));
    let accepted: usize = thread::scope(|scope| {
        ["127.0.0.1", "127.0.0.2"]
            .map(|address| {
                let (typed, radius) = (&typed, daemon.radius);
                scope.spawn(move || {
                    Nas::at(address.parse().unwrap(), radius, SECRET).login("taro", typed)
                })
            })
            .into_iter()
            .map(|login| usize::from(login.join().unwrap().accepted()))
            .sum()
    });
    assert_eq!(accepted, 1, "{}", daemon.log());
}

#[test]
fn one_code_from_two_stations_at_once_is_accepted_once() {
    let (_slapd, daemon) = house();
    let typed = format!("taro-password{}", code(SEED, 0));
    let accepted: usize = thread::scope(|scope| {
        (1..=8)
            .map(|last| {
                let (typed, nas) = (
                    &typed,
                    daemon.nas().from_station(&format!("203.0.113.{last}")),
                );
                scope.spawn(move || nas.login("taro", typed))
            })
            .collect::<Vec<_>>()
            .into_iter()
            .map(|login| usize::from(login.join().unwrap().accepted()))
            .sum()
    });
    assert_eq!(accepted, 1, "{}", daemon.log());
}

#[test]
fn retry_with_new_port_and_authenticator_gets_the_accept_again_without_a_bind() {
    let (slapd, daemon) = house();
    let typed = format!("taro-password{}", code(SEED, 0));
    let before = slapd.binds(&person_dn("taro"));
    assert!(daemon.nas().login("taro", &typed).accepted());
    assert!(
        daemon.nas().login("taro", &typed).accepted(),
        "the same attempt again"
    );
    assert_eq!(
        slapd.binds(&person_dn("taro")) - before,
        1,
        "{}",
        slapd.log()
    );
    assert!(
        daemon
            .nas()
            .from_station("203.0.113.9")
            .login("taro", &typed)
            .kept_out(),
        "another station is another attempt"
    );
}

#[test]
fn retransmission_gets_the_same_octets_and_no_second_bind() {
    let (slapd, daemon) = house();
    let nas = daemon.nas();
    let typed = format!("taro-password{}", code(SEED, 0));
    let asked = nas.sign(nas.query(b"taro", typed.as_bytes()));
    let before = slapd.binds(&person_dn("taro"));
    for _ in 0..5 {
        nas.send(asked.octets());
    }
    let first = nas.receive(std::time::Duration::from_secs(20)).unwrap();
    nas.send(asked.octets());
    let mut answers = vec![first];
    while let Some(next) = nas.receive(std::time::Duration::from_millis(600)) {
        answers.push(next);
    }
    assert!(answers.len() >= 2);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(answers[0][0], 2);
    assert_eq!(slapd.binds(&person_dn("taro")) - before, 1);
}

#[test]
fn spellings_of_a_name_share_one_factor_and_one_limit() {
    let (_slapd, daemon) = house();
    let nas = daemon.nas();
    let steps = [-1, 0, 1];
    for (name, step) in ["Bob", "ｂｏｂ", "EXAMPLE\\bob"].into_iter().zip(steps) {
        let typed = format!("bob-password{}", code(SEED, step));
        assert!(
            nas.login(name, &typed).accepted(),
            "{name}: {}",
            daemon.log()
        );
    }
    for name in ["bob", "bob ", "bob@example.ac.jp"] {
        let typed = format!("bob-password{}", code(SEED, 1));
        let other = daemon.nas().from_station("203.0.113.77");
        assert!(
            other.login(name, &typed).kept_out(),
            "{name} may not use the code again"
        );
    }
    let list = daemon.cli_ok(&["user", "list"]);
    assert_eq!(list.to_lowercase().matches("bob").count(), 1, "{list}");
}
