//! Every way of one login, from a request to its answer.

use std::os::unix::fs::PermissionsExt as _;

use super::{SEED, SPOOL, VPN, digits, house, house_with, spooled};
use crate::support::daemon::{client, code};
use crate::support::slapd::person_with;

#[test]
fn appended_code_is_accepted_and_wrong_ones_are_not() {
    let (_slapd, daemon) = house();
    let nas = daemon.nas().from_station("203.0.113.7");
    assert!(
        nas.login("taro", &format!("taro-password{}", code(SEED, 0)))
            .accepted()
    );
    assert!(nas.login("taro", "taro-password000000").kept_out());
    assert!(
        nas.login("taro", &format!("wrong-password{}", code(SEED, 1)))
            .rejected()
    );
    assert!(
        nas.login("nobody", &format!("taro-password{}", code(SEED, 1)))
            .rejected()
    );
}

#[test]
fn code_is_asked_for_by_challenge() {
    let (_slapd, daemon) = house_with(&client("vpn", "code = [\"challenge\"]"));
    let nas = daemon.nas();
    let challenge = nas.login("taro", "taro-password");
    assert!(challenge.challenged());
    let text = challenge.text.clone().unwrap();
    assert!(
        text.contains("one-time password") && text.contains("コード"),
        "{text}"
    );
    let again = nas.respond("taro", &challenge, "000000");
    assert!(again.challenged(), "a wrong code is asked for again");
    assert_ne!(
        again.state, challenge.state,
        "each round has a State of its own"
    );
    assert!(nas.respond("taro", &again, &code(SEED, 0)).accepted());
    assert!(
        nas.respond("taro", &again, &code(SEED, 1)).rejected(),
        "a State is used once"
    );
}

#[test]
fn state_outlives_a_restart_and_is_bound_to_name_and_client() {
    let two = format!(
        "{}\n[client.other]\naddress = [\"127.0.0.2\"]\nsecret = \"{}\"\ncode = [\"challenge\"]\n",
        client("vpn", "code = [\"challenge\"]"),
        crate::support::daemon::SECRET
    );
    let (_slapd, mut daemon) = house_with(&two);
    let nas = daemon.nas();
    let challenge = nas.login("taro", "taro-password");
    let elsewhere = crate::support::nas::Nas::at(
        "127.0.0.2".parse().unwrap(),
        daemon.radius,
        crate::support::daemon::SECRET,
    );
    assert!(
        elsewhere
            .respond("taro", &challenge, &code(SEED, 0))
            .rejected(),
        "another client"
    );
    assert!(
        nas.respond("bob", &challenge, &code(SEED, 0)).rejected(),
        "another name"
    );
    daemon.kill();
    daemon.run();
    assert!(
        nas.respond("taro", &challenge, &code(SEED, 0)).accepted(),
        "{}",
        daemon.log()
    );
}

#[test]
fn sms_is_sent_by_challenge_to_those_without_an_app() {
    let (_slapd, daemon) = house();
    let nas = daemon.nas();
    assert!(nas.login("hanako", "wrong").rejected());
    assert_eq!(
        spooled(&daemon, "sms"),
        [],
        "no message before the password is proven"
    );
    let challenge = nas.login("hanako", "hanako-password");
    assert!(challenge.challenged(), "{}", daemon.log());
    assert!(challenge.text.clone().unwrap().contains("5678"));
    let [(to, text)] = spooled(&daemon, "sms").try_into().unwrap();
    assert_eq!(to, "+819012345678");
    assert!(nas.respond("hanako", &challenge, &digits(&text)).accepted());
}

#[test]
fn sms_is_sent_and_typed_at_the_next_login_where_gear_cannot_ask() {
    let (_slapd, daemon) = house_with(&format!(
        "{}\n{SPOOL}",
        client("vpn", "code = [\"appended\"]")
    ));
    let nas = daemon.nas();
    let sent = nas.login("hanako", "hanako-password");
    assert!(sent.rejected(), "{}", daemon.log());
    assert!(sent.text.unwrap().contains("SMS"));
    let [(_, text)] = spooled(&daemon, "sms").try_into().unwrap();
    let typed = format!("hanako-password{}", digits(&text));
    assert!(nas.login("hanako", &typed).accepted(), "{}", daemon.log());
}

#[test]
fn voice_reads_the_digits_twice() {
    let (_slapd, daemon) = house_with(&format!(
        "{}\n[voice]\nspool = \"{{folder}}/voice\"\n[limits]\nnumber-age = \"0s\"\n",
        client("vpn", VPN)
    ));
    let nas = daemon.nas();
    let challenge = nas.login("hanako", "hanako-password");
    assert!(challenge.challenged(), "{}", daemon.log());
    let [(to, text)] = spooled(&daemon, "voice").try_into().unwrap();
    assert_eq!(to, "+819012345678");
    let spoken: String = text.chars().filter(char::is_ascii_digit).collect();
    assert!(spoken.len() >= 12 && spoken[..6] == spoken[6..12], "{text}");
    assert!(nas.respond("hanako", &challenge, &spoken[..6]).accepted());
}

#[test]
fn voice_speaks_the_language_of_her_entry() {
    let (slapd, daemon) = house_with(&format!(
        "{}\n[voice]\nspool = \"{{folder}}/voice\"\n[limits]\nnumber-age = \"0s\"\n",
        client("vpn", VPN)
    ));
    let lines = |language: &'static str| ["mobile: 090-8765-4321", language];
    for (name, language, begin, end) in [
        (
            "emma",
            "preferredLanguage: en",
            "This is Sekisho.",
            "Goodbye.",
        ),
        ("yuki", "preferredLanguage: ja", "関所です。", "以上です。"),
    ] {
        slapd.add(&person_with(name, "himitsu", &lines(language)));
        let before = spooled(&daemon, "voice").len();
        let challenge = daemon.nas().login(name, "himitsu");
        assert!(challenge.challenged(), "{}", daemon.log());
        let (_, text) = spooled(&daemon, "voice").remove(before);
        assert!(
            text.starts_with(begin) && text.trim_end().ends_with(end),
            "{text}"
        );
        let spoken: String = text.chars().filter(char::is_ascii_digit).collect();
        assert!(spoken.len() == 12 && spoken[..6] == spoken[6..], "{text}");
        let answer = daemon.nas().respond(name, &challenge, &spoken[..6]);
        assert!(answer.accepted(), "{}", daemon.log());
    }
}

#[test]
fn tokens_of_every_hash_and_length_log_in() {
    let (_slapd, daemon) = house_with(&client("vpn", VPN));
    let file = daemon.path("token");
    std::fs::write(&file, SEED).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.display().to_string();
    for (hash, digits) in [
        ("sha1", "8"),
        ("sha256", "6"),
        ("sha256", "7"),
        ("sha512", "8"),
    ] {
        daemon.cli_ok(&["user", "reset", "taro"]);
        daemon.cli_ok(&[
            "user",
            "enrol-totp",
            "taro",
            "--secret-file",
            &file,
            "--unproven",
            "--algorithm",
            hash,
            "--digits",
            digits,
        ]);
        let output = std::process::Command::new("oathtool")
            .args([
                &format!("--totp={hash}"),
                "--digits",
                digits,
                "--base32",
                SEED,
            ])
            .output()
            .unwrap();
        let right = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        assert_eq!(right.len().to_string(), digits);
        let of_sha1 = &code(SEED, 0);
        let wrong = daemon
            .nas()
            .login("taro", &format!("taro-password{of_sha1:0>7}"));
        assert!(wrong.kept_out(), "{hash} {digits}");
        let typed = format!("taro-password{right}");
        assert!(
            daemon.nas().login("taro", &typed).accepted(),
            "{hash} {digits}\n{}",
            daemon.log()
        );
    }
}

#[test]
fn recovery_code_is_taken_once() {
    let (_slapd, daemon) = house();
    let shown = daemon.cli_ok(&["user", "recovery-codes", "taro"]);
    let recovery = shown
        .split_whitespace()
        .find(|word| word.len() == 19 && word.matches('-').count() == 3)
        .unwrap_or_else(|| panic!("no code in {shown}"));
    let nas = daemon.nas();
    let challenge = nas.login("taro", "taro-password");
    assert!(
        challenge.challenged(),
        "without a code in the field it is asked for: {}",
        daemon.log()
    );
    assert!(
        nas.respond("taro", &challenge, &recovery.to_lowercase())
            .accepted()
    );
    let challenge = nas.login("taro", "taro-password");
    assert!(
        !nas.respond("taro", &challenge, recovery).accepted(),
        "used"
    );
}

#[test]
fn japanese_names_and_passwords_work() {
    let (_slapd, daemon) = house();
    let nas = daemon.nas();
    let typed = format!("ひみつの合言葉{}", code(SEED, 0));
    assert!(nas.login("山田", &typed).accepted(), "{}", daemon.log());
    assert!(daemon.cli_ok(&["why", "山田"]).contains("山田"));
}

#[test]
fn proxy_states_come_back_in_order() {
    let (_slapd, daemon) = house();
    let nas = daemon.nas();
    let typed = format!("taro-password{}", code(SEED, 0));
    let query = nas
        .query(b"taro", typed.as_bytes())
        .with(33, b"first")
        .with(33, b"second");
    let reply = nas.ask(&nas.sign(query));
    assert!(reply.accepted());
    let states: Vec<_> = reply
        .attributes
        .iter()
        .filter(|(kind, _)| *kind == 33)
        .map(|(_, value)| value.clone())
        .collect();
    assert_eq!(states, [b"first".to_vec(), b"second".to_vec()]);
    assert_eq!(reply.attributes[0].0, 80, "Message-Authenticator is first");
}

#[test]
fn status_server_is_answered() {
    let (_slapd, daemon) = house();
    assert!(daemon.nas().status().accepted());
}
