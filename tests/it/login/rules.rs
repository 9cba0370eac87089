//! When a code is asked for, and what an Accept carries.

use super::{SEED, house_with};
use crate::support::daemon::{Daemon, client, code};

const RULES: &str = "
[login]
always-ask = [\"cn=always,ou=groups,dc=example,dc=ac,dc=jp\"]

[zone.campus]
networks = [\"203.0.113.0/24\", \"2001:db8:10::/48\"]

[[rule]]
zone = \"campus\"
then = \"password-only\"

[[rule]]
then = \"ask\"

[[reply]]
group = \"cn=staff,ou=groups,dc=example,dc=ac,dc=jp\"
class = \"staff\"
filter-id = \"staff-acl\"
vlan = 120
";

fn rules() -> String {
    format!(
        "{}{RULES}",
        client(
            "vpn",
            "code = [\"appended\", \"challenge\"]\nstation = [\"Calling-Station-Id\"]\npool = [\"203.0.113.128/25\"]"
        )
    )
}

#[test]
fn campus_needs_the_password_alone_and_the_world_a_code() {
    let (_slapd, daemon) = house_with(&rules());
    let login = |station: &str, name: &str, password: &str| {
        daemon.nas().from_station(station).login(name, password)
    };
    assert!(
        login("203.0.113.5", "taro", "taro-password").accepted(),
        "{}",
        daemon.log()
    );
    assert!(
        login("203.0.113.5[4500]", "taro", "taro-password").accepted(),
        "strongSwan's form"
    );
    assert!(login("2001:db8:10::7", "taro", "taro-password").accepted());
    assert!(
        login("198.51.100.1", "taro", "taro-password").challenged(),
        "outside"
    );
    assert!(
        login("00-1B-63-84-45-E6", "taro", "taro-password").challenged(),
        "a MAC is outside"
    );
    assert!(
        login("somewhere", "taro", "taro-password").challenged(),
        "unknown is outside"
    );
    assert!(
        login("203.0.113.200", "taro", "taro-password").challenged(),
        "the VPN's own pool"
    );
    assert!(
        login("203.0.113.5", "bob", "bob-password").challenged(),
        "always asked"
    );
}

#[test]
fn without_rules_a_factor_is_asked() {
    let (_slapd, daemon) = house_with(&client("vpn", super::VPN));
    assert!(
        daemon
            .nas()
            .from_station("127.0.0.1")
            .login("taro", "taro-password")
            .challenged()
    );
}

#[test]
fn reply_attributes_follow_the_group_whichever_factor_was_used() {
    let (_slapd, daemon) = house_with(&rules());
    let by_code = daemon
        .nas()
        .from_station("198.51.100.1")
        .login("taro", &format!("taro-password{}", code(SEED, 0)));
    let by_zone = daemon
        .nas()
        .from_station("203.0.113.5")
        .login("taro", "taro-password");
    for reply in [&by_code, &by_zone] {
        assert!(reply.accepted(), "{}", daemon.log());
        assert_eq!(reply.attribute(25), Some(&b"staff"[..]));
        assert_eq!(reply.attribute(11), Some(&b"staff-acl"[..]));
        assert_eq!(
            reply.attribute(64),
            Some(&[0, 0, 0, 13][..]),
            "Tunnel-Type VLAN"
        );
        assert_eq!(
            reply.attribute(65),
            Some(&[0, 0, 0, 6][..]),
            "Tunnel-Medium-Type 802"
        );
        assert!(reply.attribute(81).unwrap().ends_with(b"120"));
    }
    let other = daemon
        .nas()
        .login("bob", &format!("bob-password{}", code(SEED, 0)));
    assert!(other.accepted());
    // The last is ours, of the attempt: the staff's own stands before it, others have no other.
    let classes = [&by_code, &other].map(|reply| {
        let all = reply.attributes.iter().filter(|(kind, _)| *kind == 25);
        all.map(|(_, class)| class.len()).collect::<Vec<_>>()
    });
    assert_eq!(classes, [vec![5, 20], vec![20]]);
}

#[test]
fn explain_says_what_would_happen() {
    let (_slapd, daemon) = house_with(&rules());
    let explain = |user: &str, station: &str| explain(&daemon, user, station, None);
    let campus = explain("taro", "203.0.113.5");
    assert_eq!(campus["asked"], "the password alone");
    assert_eq!(campus["rule"], "rule 1 (zone campus): password-only");
    assert_eq!(campus["zone"], "campus");
    let outside = explain("taro", "198.51.100.1");
    assert_eq!(outside["asked"], "password and a totp code");
    assert_eq!(outside["rule"], "rule 2 (everybody): ask");
    assert!(outside["zone"].is_null());
    let always = explain("bob", "203.0.113.5");
    assert_eq!(always["asked"], "password and a totp code");
    assert_eq!(always["rule"], "always-ask group");
}

/// What `explain` says.
fn explain(daemon: &Daemon, user: &str, station: &str, at: Option<&str>) -> serde_json::Value {
    let mut words = vec!["explain", "--user", user, "--client", "vpn"];
    words.extend(["--station", station, "--json"]);
    words.extend(at.iter().flat_map(|at| ["--at", at]));
    serde_json::from_str(&daemon.cli_ok(&words)).unwrap()
}

/// A rule that asks from a date on, and not before.
fn asks_from(date: &str) -> String {
    format!(
        "{}\n[[rule]]\nthen = \"ask\"\nfrom = {date}\nbefore = \"password-only\"\n",
        client("vpn", super::VPN)
    )
}

#[test]
fn a_rule_with_a_date_holds_from_it_on() {
    let (slapd, daemon) = house_with(&asks_from("2099-02-03T00:00:00+09:00"));
    let login = || daemon.nas().login("taro", "taro-password");
    assert!(login().accepted(), "{}", daemon.log());
    let asked = |at| explain(&daemon, "taro", "198.51.100.1", at)["asked"].clone();
    assert_eq!(asked(None), "the password alone");
    assert_eq!(
        asked(Some("2099-02-02T23:59:59+09:00")),
        "the password alone"
    );
    assert_eq!(
        asked(Some("2099-02-03T00:00:00+09:00")),
        "password and a totp code"
    );
    let directory = super::directory(&[&slapd.url()]);
    daemon.configure(&directory, &asks_from("2020-02-03T00:00:00+09:00"));
    daemon.hang_up();
    daemon.wait_log("configuration reloaded");
    assert!(login().challenged(), "{}", daemon.log());
    assert_eq!(asked(None), "password and a totp code");
    assert_eq!(
        asked(Some("2020-02-02T23:59:59+09:00")),
        "the password alone"
    );
}

#[test]
fn reload_takes_new_rules_and_keeps_the_old_on_any_fault() {
    let (slapd, daemon) = house_with(&rules());
    let login = || {
        daemon
            .nas()
            .from_station("203.0.113.5")
            .login("taro", "taro-password")
    };
    assert!(login().accepted());
    let directory = super::directory(&[&slapd.url()]);
    daemon.configure(&directory, "[client.vpn]\nadress = [\"127.0.0.1\"]\n");
    daemon.hang_up();
    daemon.wait_log("not reloaded");
    assert!(
        daemon.log().contains("address"),
        "the fault has its mend:\n{}",
        daemon.log()
    );
    assert!(login().accepted(), "the old configuration holds");
    assert!(!daemon.log().contains("configuration reloaded"));
    daemon.configure(&directory, &client("vpn", super::VPN));
    daemon.hang_up();
    daemon.wait_log("configuration reloaded");
    assert!(login().challenged(), "{}", daemon.log());
}
