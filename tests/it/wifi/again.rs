//! A station that comes again: it resumes its session while nothing has changed, and logs in anew when something has.

use super::campus::{Campus, PASSWORD, PASSWORD_ONLY, WIFI, eap, with_hashes};
use super::station::{METHODS, Method, Said, Station, Version};
use std::time::{Duration, Instant};

use crate::support::daemon::{client, wait};

/// Logs in, and twice again.
fn thrice(campus: &Campus, station: &Station) -> Said {
    let mut station = station.clone();
    station.words.extend(["-r".to_owned(), "2".to_owned()]);
    station.log_in(&campus.papers, campus.radius())
}

fn resumed(said: &Said) -> usize {
    said.count("OpenSSL: Handshake finished - resumed=1")
}

/// A campus whose directory dates passwords.
fn campus() -> Campus {
    let campus = Campus::start(&["taro", "hanako"], PASSWORD_ONLY);
    campus.slapd.set_policy(&[]);
    for name in ["taro", "hanako"] {
        campus.slapd.change_password(name, PASSWORD);
    }
    // The second of the change is over: until then another could have the same time.
    let changed = Instant::now();
    let over = || changed.elapsed() > Duration::from_millis(2100);
    wait(over, || "time stands still".to_owned());
    campus
}

fn station(method: Method, version: Version) -> Station {
    Station {
        version,
        outer: None,
        ..Station::new(method, "taro", PASSWORD)
    }
}

#[test]
fn a_session_is_resumed_by_every_method_and_version() {
    let campus = campus();
    campus
        .papers
        .person("taro", "clients", "taro@example.ac.jp");
    for method in METHODS {
        for version in [Version::V12, Version::V13] {
            let said = thrice(&campus, &station(method, version));
            let log = campus.daemon.log();
            assert_eq!(said.let_in(), Ok(()), "{method:?} {version:?}\n{log}");
            assert_eq!(said.count("MPPE keys OK: 3  mismatch: 0"), 1);
            // By TLS 1.3 it is said once more, when the new ticket has come.
            assert!(resumed(&said) >= 2, "{method:?} {version:?}\n{log}");
        }
    }
    // The first of all; the others had their verdict from it, or resumed.
    let dn = crate::support::slapd::person_dn("taro");
    assert_eq!(campus.slapd.binds(&dn), 1);
}

#[test]
fn nothing_is_resumed_where_no_change_of_a_password_could_be_noticed() {
    let campus = Campus::start(&["taro"], PASSWORD_ONLY);
    let said = thrice(&campus, &station(Method::TtlsPap, Version::V13));
    assert_eq!(said.let_in(), Ok(()));
    assert_eq!(resumed(&said), 0);
}

#[test]
fn nothing_is_resumed_where_it_is_off() {
    let campus = campus();
    let further = format!(
        "{}{}\n{PASSWORD_ONLY}",
        eap(&campus.papers, "resume-for = \"0s\""),
        client("wifi", WIFI)
    );
    campus
        .daemon
        .configure(&with_hashes(&campus.slapd), &further);
    campus.daemon.hang_up();
    campus.daemon.wait_log("configuration reloaded");
    let said = thrice(&campus, &station(Method::TtlsPap, Version::V13));
    assert_eq!(said.let_in(), Ok(()));
    assert_eq!(resumed(&said), 0);
}
