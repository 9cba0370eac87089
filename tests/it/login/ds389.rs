//! Logins against 389 Directory Server.

use super::{PEOPLE, SEED, UNITS, VPN, directory};
use crate::support::daemon::{Daemon, client, code};
use crate::support::ds389::{ADMIN, ADMIN_PASSWORD, Ds389};
use crate::support::slapd::{SERVICE_DN, SERVICE_PASSWORD};

const POLICY: &str = "\
dn: cn=config
changetype: modify
replace: passwordMustChange
passwordMustChange: on
-
replace: passwordLockout
passwordLockout: on
-
replace: passwordMaxFailure
passwordMaxFailure: 3

dn: uid=jiro,ou=people,dc=example,dc=ac,dc=jp
changetype: modify
replace: nsAccountLock
nsAccountLock: true

dn: uid=taro,ou=people,dc=example,dc=ac,dc=jp
changetype: modify
replace: nsAccountLock
nsAccountLock: true

dn: uid=fresh,ou=people,dc=example,dc=ac,dc=jp
changetype: add
objectClass: inetOrgPerson
uid: fresh
cn: Fresh
sn: Fresh
userPassword: first-password

dn: uid=fresh,ou=people,dc=example,dc=ac,dc=jp
changetype: modify
replace: userPassword
userPassword: fresh-password

";

#[test]
#[ignore = "needs 389-ds-base: tests/run --all"]
fn people_states_and_groups_of_389_are_understood() {
    let server = Ds389::start(&[UNITS, PEOPLE].concat());
    let daemon = Daemon::start(
        &directory(&[&server.url()])
            .replace(SERVICE_DN, ADMIN)
            .replace(SERVICE_PASSWORD, ADMIN_PASSWORD),
        &format!(
            "{}\n[[reply]]\ngroup = \"cn=staff,ou=groups,dc=example,dc=ac,dc=jp\"\nclass = \"staff\"\n",
            client("vpn", VPN)
        ),
    );
    daemon.enrol("taro", SEED);
    daemon.enrol("山田", SEED);
    let nas = daemon.nas();
    let accept = nas.login("taro", &format!("taro-password{}", code(SEED, 0)));
    assert!(accept.accepted(), "{}", daemon.log());
    assert_eq!(accept.attribute(25), Some(&b"staff"[..]));
    assert!(nas.login("taro", "wrong000000").rejected());
    let japanese = nas.login("山田", "ひみつの合言葉");
    assert!(japanese.challenged(), "{}", daemon.log());

    server.modify(POLICY);
    server.lock("uid=hanako,ou=people,dc=example,dc=ac,dc=jp");
    // The entry of taro is still remembered: the bind alone tells of him.
    for (name, password, reason) in [
        ("taro", "taro-password", "disabled"),
        ("jiro", "jiro-password", "disabled"),
        ("fresh", "fresh-password", "must-change"),
        ("hanako", "hanako-password", "locked"),
        ("absent", "whatever", "unknown-user"),
    ] {
        let station = daemon.nas().from_station("198.51.100.9");
        assert!(station.login(name, password).rejected(), "{name}");
        let told = daemon.log();
        let reason = format!("reason={reason} ");
        let decided = told
            .lines()
            .any(|line| line.contains(&format!("[campus/{name}]")) && line.contains(&reason));
        assert!(decided, "{name}: no {reason}:\n{told}");
    }
}
