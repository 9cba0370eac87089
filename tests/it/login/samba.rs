//! Logins against Active Directory as Samba speaks it.

use super::SEED;
use crate::support::daemon::{Daemon, client, code};
use crate::support::samba::{ADMIN, ADMIN_PASSWORD, BASE, Samba};

fn house(samba: &Samba) -> Daemon {
    let directory = format!(
        "[directory.ad]\nservers = [\"{}\"]\nca-file = \"{}\"\nbase = \"{BASE}\"\nbind-dn = \"{ADMIN}\"\n\
         password = \"{ADMIN_PASSWORD}\"\nuser-filter = \"(&(objectCategory=person)(sAMAccountName={{user}}))\"\n\
         domains = [\"EXAMPLE\"]\nrealms = [\"ad.example.ac.jp\"]\ngroups = \"chain\"\ngroup-base = \"{BASE}\"\n",
        samba.url(),
        samba.ca().display()
    );
    let further = format!(
        "{}\n[[reply]]\ngroup = \"CN=staff,CN=Users,{BASE}\"\nclass = \"staff\"\n",
        client("vpn", super::VPN)
    );
    Daemon::start(&directory, &further)
}

#[test]
#[ignore = "needs samba-ad-dc: tests/run --all"]
fn active_directory_knows_people_states_and_nested_groups() {
    let samba = Samba::start(1);
    let password = "Taro-Passw0rd";
    for (name, further) in [
        ("taro", &[][..]),
        ("disabled", &[]),
        ("fresh", &["--must-change-at-next-login"]),
        ("over", &[]),
        ("locked", &[]),
    ] {
        samba.person(name, password, further);
    }
    samba.tool(&["group", "add", "staff"]);
    samba.tool(&["group", "add", "inner"]);
    samba.tool(&["group", "addmembers", "staff", "inner"]);
    samba.tool(&["group", "addmembers", "inner", "taro"]);
    samba.tool(&["user", "disable", "disabled"]);
    samba.tool(&["user", "setexpiry", "over", "--days=-1"]);
    samba.tool(&[
        "domain",
        "passwordsettings",
        "set",
        "--account-lockout-threshold=3",
    ]);
    let daemon = house(&samba);
    daemon.enrol("taro", SEED);
    let nas = daemon.nas();

    let accept = nas.login("EXAMPLE\\taro", &format!("{password}{}", code(SEED, 0)));
    assert!(accept.accepted(), "{}", daemon.log());
    assert_eq!(
        accept.attribute(25),
        Some(&b"staff"[..]),
        "nested groups count"
    );
    assert!(nas.login("taro@ad.example.ac.jp", "wrong000000").rejected());
    // One whose entry says so, and one who was usable a moment ago and is known by the bind alone.
    samba.lock("locked");
    samba.lock("taro");
    for (name, reason) in [
        ("disabled", "disabled"),
        ("over", "account-expired"),
        ("fresh", "must-change"),
        ("locked", "locked"),
        ("taro", "locked"),
        ("absent", "unknown-user"),
    ] {
        let station = daemon.nas().from_station("198.51.100.9");
        assert!(station.login(name, password).rejected(), "{name}");
        let told = daemon.log();
        let reason = format!("reason={reason} ");
        let decided = told
            .lines()
            .any(|line| line.contains(&format!("[ad/{name}]")) && line.contains(&reason));
        assert!(decided, "{name}: no {reason}:\n{told}");
    }
}
