//! `check --probe`: what the configuration names is there.

use super::{PEOPLE, SEED, VPN, directory, house};
use crate::support::daemon::{Daemon, client, code};
use crate::support::slapd::Slapd;

/// Probes a configuration: the exit status and what was said.
fn probe(daemon: &Daemon, directory: &str, further: &str) -> (Option<i32>, String) {
    daemon.configure(directory, further);
    let output = daemon.cli(&["check", "--probe"]);
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), said)
}

#[test]
fn a_slip_of_the_pen_about_the_directory_is_a_fault() {
    let (slapd, daemon) = house();
    let sound = directory(&[&slapd.url()]);
    let vpn = client("vpn", VPN);
    let (status, said) = probe(&daemon, &sound, &vpn);
    let people = "answers, and finds people under ou=people,dc=example,dc=ac,dc=jp";
    assert!(status == Some(0) && said.contains(people), "{said}");
    for (slip, fault) in [
        (
            sound.replace("\"ou=people,dc=example", "\"ou=peple,dc=example"),
            "base ou=peple,dc=example,dc=ac,dc=jp is not there",
        ),
        (
            sound.replace("(uid={user})", "(cn=x)(uid={user})"),
            "finds nobody under ou=people",
        ),
        (
            format!("{sound}id = \"employeeNumber\"\n"),
            "no attribute employeeNumber",
        ),
    ] {
        let (status, said) = probe(&daemon, &slip, &vpn);
        assert!(status == Some(1) && said.contains(fault), "{slip}\n{said}");
    }
}

#[test]
fn a_group_that_no_directory_has_is_a_fault_with_its_name() {
    let slapd = Slapd::start(PEOPLE);
    let groups = |always: &str, rule: &str, reply: &str| {
        format!(
            "{}\n[login]\nalways-ask = [\"cn={always},ou=groups,dc=example,dc=ac,dc=jp\"]\n\
             [[rule]]\ngroup = \"cn={rule},ou=groups,dc=example,dc=ac,dc=jp\"\nthen = \"ask\"\n\
             [[rule]]\nthen = \"ask\"\n\
             [[reply]]\ngroup = \"cn={reply},ou=groups,dc=example,dc=ac,dc=jp\"\nclass = \"x\"\n",
            client("vpn", VPN)
        )
    };
    let sound = directory(&[&slapd.url()]);
    let daemon = Daemon::start(&sound, &groups("always", "staff", "staff"));
    let (status, said) = probe(&daemon, &sound, &groups("Always", "staff", "staff"));
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(said.matches("group cn=").count(), 2, "{said}");
    for (further, by) in [
        (groups("alwys", "staff", "staff"), "always-ask"),
        (groups("always", "stuff", "staff"), "[[rule]] 1"),
        (groups("always", "staff", "stuff"), "[[reply]] 1"),
    ] {
        let (status, said) = probe(&daemon, &sound, &further);
        let fault = format!("so {by} holds for nobody");
        assert!(status == Some(1) && said.contains(&fault), "{said}");
    }
    daemon.enrol("taro", SEED);
    let typed = format!("taro-password{}", code(SEED, 0));
    assert!(daemon.nas().login("taro", &typed).accepted());
}

#[test]
fn a_health_check_with_the_name_of_a_person_is_a_fault() {
    let (slapd, daemon) = house();
    let sound = directory(&[&slapd.url()]);
    let checks = |names: &str| client("vpn", &format!("{VPN}\nprobes = [{names}]"));
    let harmless = checks("'nobody-of-ours', 'taro-*', 'Connect-Info=taro'");
    let (status, said) = probe(&daemon, &sound, &harmless);
    assert!(
        status == Some(0) && !said.contains("health check"),
        "{said}"
    );
    let (status, said) = probe(&daemon, &sound, &checks("'nobody-of-ours', 'taro'"));
    let fault = "health check taro: fails: is a person of directory campus, who can never log in by client vpn";
    assert!(status == Some(1) && said.contains(fault), "{said}");
}

#[test]
fn a_directory_that_dates_no_password_is_a_fault_where_stations_are_remembered() {
    let (slapd, daemon) = house();
    let sound = directory(&[&slapd.url()]);
    let remembering = client("vpn", &format!("{VPN}\nremember = \"14d\""));
    let (status, said) = probe(&daemon, &sound, &remembering);
    let fault = "but not when any of them changed the password";
    assert!(status == Some(1) && said.contains(fault), "{said}");
    slapd.set_policy(&[]);
    slapd.change_password("taro", "taro-password");
    let (status, said) = probe(&daemon, &sound, &remembering);
    assert!(status == Some(0) && !said.contains(fault), "{said}");
}
