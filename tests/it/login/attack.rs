//! What somebody tries who knows one person's password, or many names.

use std::thread;

use super::{PEOPLE, SEED, SPOOL, VPN, digits, directory, house, house_with, spooled};
use crate::support::daemon::{Daemon, SECRET, client, code};
use crate::support::nas::{Nas, Reply};
use crate::support::slapd::{Slapd, person_with};

const PROXY_STATE: u8 = 33;

/// Wrong codes that the configuration's default allows in a row.
const WRONG_CODES: usize = 5;

/// Two clients: one that can be asked and takes codes appended, and one that takes them after a comma.
fn two_clients() -> String {
    format!(
        "{}\n[client.old]\naddress = [\"127.0.0.2\"]\nsecret = \"{SECRET}\"\n\
         code = [\"delimited\"]\nstation = [\"Calling-Station-Id\"]\n{SPOOL}",
        client("vpn", VPN)
    )
}

fn old(daemon: &Daemon) -> Nas {
    Nas::at("127.0.0.2".parse().unwrap(), daemon.radius, SECRET)
}

/// Codes that were compared and found wrong, by the log.
fn judged(daemon: &Daemon) -> usize {
    let log = daemon.log();
    let lines = log.lines();
    lines
        .filter(|line| line.contains("wrong-code") || line.contains("code-asked-again"))
        .count()
}

#[test]
fn a_state_answered_with_many_codes_at_once_has_one_judged() {
    let (_slapd, daemon) = house();
    let challenge = daemon.nas().login("taro", "taro-password");
    let replies: Vec<Reply> = thread::scope(|scope| {
        let guesses: Vec<_> = (0..20)
            .map(|number| {
                let (daemon, challenge) = (&daemon, &challenge);
                scope.spawn(move || {
                    let guess = format!("{:06}", 900_000 + number);
                    daemon.nas().respond("taro", challenge, &guess)
                })
            })
            .collect();
        guesses.into_iter().map(|g| g.join().unwrap()).collect()
    });
    assert!(replies.iter().all(Reply::kept_out));
    let again = replies.iter().filter(|reply| reply.challenged()).count();
    assert_eq!(again, 1, "{}", daemon.log());
    assert_eq!(judged(&daemon), 1, "{}", daemon.log());
}

#[test]
fn a_code_sent_to_one_person_is_of_no_use_to_another() {
    let (slapd, daemon) = house();
    slapd.add(&person_with(
        "saburo",
        "saburo-password",
        &["mobile: 080-1111-3333"],
    ));
    let nas = daemon.nas();
    let hers = nas.login("hanako", "hanako-password");
    let [(_, text)] = spooled(&daemon, "sms").try_into().unwrap();
    let his = nas.login("saburo", "saburo-password");
    assert!(his.challenged(), "{}", daemon.log());
    assert!(nas.respond("saburo", &his, &digits(&text)).kept_out());
    assert!(nas.respond("saburo", &hers, &digits(&text)).rejected());
    assert!(nas.respond("hanako", &hers, &digits(&text)).accepted());
}

#[test]
fn wrong_codes_in_every_form_share_one_limit_that_outlives_a_restart() {
    let (_slapd, mut daemon) = house_with(&two_clients());
    let shown = daemon.cli_ok(&["user", "recovery-codes", "taro"]);
    let recovery = shown
        .split_whitespace()
        .find(|word| word.len() == 19 && word.matches('-').count() == 3)
        .unwrap()
        .to_owned();
    let open = daemon.nas().login("taro", "taro-password");
    thread::scope(|scope| {
        for number in 0..12 {
            let daemon = &daemon;
            scope.spawn(move || {
                let wrong = |n: usize| format!("{:06}", 900_000 + number * 10 + n);
                let station = format!("203.0.113.{number}");
                let nas = daemon.nas().from_station(&station);
                let appended = format!("taro-password{}", wrong(0));
                assert!(nas.login("taro", &appended).kept_out());
                let mut asked = nas.login("taro", "taro-password");
                for round in 1..5 {
                    if !asked.challenged() {
                        break;
                    }
                    asked = nas.respond("taro", &asked, &wrong(round));
                }
                assert!(!asked.accepted());
                let delimited = format!("taro-password,{}", wrong(9));
                let old = old(daemon).from_station(&station);
                assert!(old.login("taro", &delimited).rejected());
            });
        }
    });
    assert!(judged(&daemon) <= WRONG_CODES, "{}", daemon.log());
    for _ in ["before a restart", "after it"] {
        let right = code(SEED, 0);
        let nas = daemon.nas();
        assert!(
            !nas.login("taro", &format!("taro-password{right}"))
                .accepted()
        );
        assert!(
            old(&daemon)
                .login("taro", &format!("taro-password,{recovery}"))
                .rejected()
        );
        daemon.kill();
        daemon.run();
    }
    assert!(
        daemon
            .nas()
            .respond("taro", &open, &code(SEED, 0))
            .rejected(),
        "a question that was open before"
    );
    daemon.cli_ok(&["user", "unlock", "taro"]);
    let typed = format!("taro-password,{recovery}");
    assert!(old(&daemon).login("taro", &typed).accepted());
}

#[test]
fn messages_asked_for_at_once_by_every_way_stay_within_the_limit() {
    let (_slapd, daemon) = house();
    thread::scope(|scope| {
        for number in 0..12 {
            let daemon = &daemon;
            scope.spawn(move || {
                let nas = daemon.nas().from_station(&format!("203.0.113.{number}"));
                let mut asked = nas.login("hanako", "hanako-password");
                for way in ["voice", "sms", "voice", "SMS"] {
                    if asked.challenged() {
                        asked = nas.respond("hanako", &asked, way);
                    }
                }
            });
        }
    });
    let sent = spooled(&daemon, "sms").len() + spooled(&daemon, "voice").len();
    assert!((1..=5).contains(&sent), "{sent} messages");
}

#[test]
fn numbers_that_may_not_be_reached_get_no_message() {
    let (slapd, daemon) = house();
    for (name, number) in [
        ("abroad", "+1 202 555 0143"),
        ("premium", "0990-123-456"),
        ("words", "see the office"),
        ("space", "-"),
    ] {
        let mobile = format!("mobile: {number}");
        slapd.add(&person_with(name, "himitsu", &[&mobile]));
        let reply = daemon.nas().login(name, "himitsu");
        assert!(reply.rejected(), "{name}: {}", daemon.log());
    }
    slapd.add(&person_with("office", "himitsu", &["mobile: 03-1234-5678"]));
    assert!(daemon.nas().login("office", "himitsu").challenged());
    assert!(spooled(&daemon, "sms").is_empty());
    assert_eq!(spooled(&daemon, "voice").len(), 1, "a landline is called");
}

#[test]
fn a_reset_ends_open_questions() {
    let (_slapd, daemon) = house();
    let nas = daemon.nas();
    let open = nas.login("hanako", "hanako-password");
    let [(_, text)] = spooled(&daemon, "sms").try_into().unwrap();
    daemon.cli_ok(&["user", "reset", "hanako"]);
    assert!(nas.respond("hanako", &open, &digits(&text)).rejected());
}

#[test]
fn passwords_of_every_form_take_a_code() {
    let long = "p".repeat(122);
    let slapd = Slapd::start(PEOPLE);
    let daemon = Daemon::start(&directory(&[&slapd.url()]), &two_clients());
    let wide = |code: &str| -> String {
        let digits = code.chars().filter_map(|c| c.to_digit(10));
        digits
            .filter_map(|digit| char::from_u32(u32::from('０') + digit))
            .collect()
    };
    for (name, password) in [
        ("comma", "a,b,123456"),
        ("digits", "12345678"),
        ("long", long.as_str()),
        ("wide", "秘密の合言葉，１２"),
    ] {
        slapd.add(&person_with(name, password, &[]));
        daemon.enrol(name, SEED);
        let (now, next) = (code(SEED, 0), code(SEED, 1));
        let typed = format!("{password}{now}");
        let nas = daemon.nas();
        assert!(
            nas.login(name, &typed).accepted(),
            "{name}: {}",
            daemon.log()
        );
        if password != long {
            let typed = format!("{password}，{}", wide(&next));
            let reply = old(&daemon).login(name, &typed);
            assert!(reply.accepted(), "{name}: {}", daemon.log());
        }
    }
}

#[test]
fn unsigned_requests_of_an_opted_out_client_may_hold_no_proxy_state() {
    let keys = format!("{VPN}\nrequire-message-authenticator = false");
    let (_slapd, daemon) = house_with(&client("vpn", &keys));
    let nas = daemon.nas();
    let secret = sekisho::secret::Secret::from(SECRET);
    let typed = format!("taro-password{}", code(SEED, 0));
    let query = || nas.query(b"taro", typed.as_bytes());
    let proxied = query().with(PROXY_STATE, b"a proxy's").unsigned(&secret);
    nas.send(proxied.octets());
    assert!(nas.hears_nothing());
    assert!(nas.ask(&query().unsigned(&secret)).accepted());
}
