//! Limits on codes, passwords and messages, through the listener.

use std::thread;

use super::{SEED, SPOOL, VPN, digits, house, house_with, spooled};
use crate::support::daemon::{client, code};
use crate::support::slapd::{person_dn, person_with};

/// `wrong-codes` by default.
const WRONG_CODES: usize = 5;

#[test]
fn wrong_codes_from_many_sockets_at_once_do_not_pass_the_limit() {
    let (_slapd, daemon) = house();
    let accepted: usize = thread::scope(|scope| {
        (0..40)
            .map(|number| {
                let nas = daemon.nas().from_station(&format!("203.0.113.{number}"));
                scope.spawn(move || {
                    for try_ in 0..3 {
                        let wrong = format!("taro-password{:06}", 900_000 + number * 10 + try_);
                        assert!(nas.login("taro", &wrong).kept_out());
                    }
                    0
                })
            })
            .collect::<Vec<_>>()
            .into_iter()
            .map(|logins| logins.join().unwrap())
            .sum()
    });
    assert_eq!(accepted, 0);
    let right = format!("taro-password{}", code(SEED, 0));
    assert!(
        daemon.nas().login("taro", &right).rejected(),
        "codes are locked now:\n{}",
        daemon.log()
    );
    // A wrong code that was judged is refused, or asked for again where the gear can be asked.
    let log = daemon.log();
    let judged =
        log.matches("(wrong-code): ").count() + log.matches("(code-asked-again): ").count();
    assert_eq!(judged, WRONG_CODES, "codes were judged:\n{log}");
    assert!(log.contains("(codes-locked): "), "{log}");
    daemon.cli_ok(&["user", "unlock", "taro"]);
    let right = format!("taro-password{}", code(SEED, 1));
    assert!(
        daemon.nas().login("taro", &right).accepted(),
        "{}",
        daemon.log()
    );
}

#[test]
fn wrong_passwords_from_elsewhere_do_not_lock_her_out() {
    let (slapd, daemon) = house_with(&format!(
        "{}\n{SPOOL}wrong-passwords-strangers = 2\nwrong-passwords-own-station = 2\n",
        client("vpn", VPN)
    ));
    slapd.set_policy(&[
        "pwdLockout: TRUE",
        "pwdMaxFailure: 5",
        "pwdLockoutDuration: 0",
    ]);
    let own = || daemon.nas().from_station("203.0.113.7");
    assert!(
        own()
            .login("taro", &format!("taro-password{}", code(SEED, -1)))
            .accepted()
    );
    let before = slapd.binds(&person_dn("taro"));
    thread::scope(|scope| {
        for number in 0..30 {
            let nas = daemon.nas().from_station(&format!("198.51.100.{number}"));
            scope.spawn(move || assert!(nas.login("taro", "guessed-password000000").rejected()));
        }
    });
    let asked = slapd.binds(&person_dn("taro")) - before;
    assert!(
        (1..=2).contains(&asked),
        "the directory saw {asked} of 30 guesses"
    );
    assert!(own().login("taro", "taro-pasword000000").rejected());
    let directory = |attribute| slapd.values(&person_dn("taro"), attribute);
    assert_eq!(directory("pwdFailureTime").len(), asked + 1);
    assert_eq!(directory("pwdAccountLockedTime"), [""; 0]);
    assert!(
        own()
            .login("taro", &format!("taro-password{}", code(SEED, 0)))
            .accepted(),
        "{}",
        daemon.log()
    );
}

#[test]
fn an_account_with_locked_codes_is_sent_none() {
    let (_slapd, daemon) = house();
    let nas = daemon.nas();
    let open = nas.login("hanako", "hanako-password");
    assert!(open.challenged());
    let sent = digits(&spooled(&daemon, "sms")[0].1);
    let wrong = (0..)
        .map(|number| format!("{number:06}"))
        .filter(|code| *code != sent);
    for code in wrong.take(6) {
        let challenge = nas.login("hanako", "hanako-password");
        if challenge.challenged() {
            assert!(nas.respond("hanako", &challenge, &code).kept_out());
        }
    }
    let before = spooled(&daemon, "sms").len() + spooled(&daemon, "voice").len();
    assert!(
        nas.respond("hanako", &open, "voice").rejected(),
        "{}",
        daemon.log()
    );
    daemon.wait_log("codes-locked");
    assert_eq!(
        spooled(&daemon, "sms").len() + spooled(&daemon, "voice").len(),
        before
    );
}

#[test]
fn messages_stop_at_the_limit() {
    let (slapd, daemon) = house_with(&format!(
        "{}\n{SPOOL}messages-per-day = 2\n",
        client("vpn", VPN)
    ));
    let mut reasons = Vec::new();
    for number in 0..4 {
        let name = format!("phone{number}");
        let phone = format!("mobile: 090-1234-560{number}");
        slapd.add(&person_with(&name, "himitsu", &[&phone]));
        let reply = daemon.nas().login(&name, "himitsu");
        let text = reply.text.clone().unwrap();
        assert_eq!(text.contains("Message limit"), reply.rejected(), "{text}");
        reasons.push(reply.rejected());
    }
    assert_eq!(reasons, [false, false, true, true]);
    let to: Vec<String> = spooled(&daemon, "sms")
        .into_iter()
        .map(|(to, _)| to)
        .collect();
    assert_eq!(to, ["+819012345600", "+819012345601"]);
    daemon.wait_log("(message-limit): ");
}
