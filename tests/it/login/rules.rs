//! When a code is asked for, and what an Accept carries.

use super::{SEED, house_with};
use crate::support::daemon::{client, code};

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
    assert_eq!(other.attribute(25), None);
}

#[test]
fn explain_says_what_would_happen() {
    let (_slapd, daemon) = house_with(&rules());
    let explain = |user: &str, station: &str| {
        daemon.cli_ok(&[
            "explain",
            "--user",
            user,
            "--client",
            "vpn",
            "--station",
            station,
            "--json",
        ])
    };
    assert!(explain("taro", "203.0.113.5").contains("password"));
    assert!(explain("taro", "198.51.100.1").contains("ask"));
    assert!(explain("bob", "203.0.113.5").contains("always"));
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
    daemon.configure(&directory, &client("vpn", super::VPN));
    daemon.hang_up();
    daemon.wait_log("reloaded");
    crate::support::daemon::wait(|| login().challenged(), || daemon.log());
}
