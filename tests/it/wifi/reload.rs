//! A new certificate without a restart, and what a fault in it leaves.

use std::fs;

use sekisho::wire::Code;

use super::ap::{Ap, NAK, RESPONSE, eap};
use super::campus::{Campus, PASSWORD, PASSWORD_ONLY};
use super::station::{Method, Station};

/// The serial number of the certificate that the server shows.
fn shown(campus: &Campus) -> Vec<u8> {
    let chain = campus.daemon.path("chain.pem");
    let mut station = Station::new(Method::TtlsPap, "taro", PASSWORD);
    station.words = vec!["-o".to_owned(), chain.display().to_string()];
    let said = station.log_in(&campus.papers, campus.radius());
    assert_eq!(said.let_in(), Ok(()), "{}", campus.daemon.log());
    fs::read(chain).unwrap()
}

#[test]
fn a_reload_takes_a_new_certificate_and_keeps_conversations() {
    let campus = Campus::start(&["taro"], PASSWORD_ONLY);
    let old = shown(&campus);
    let ap = Ap::new(campus.radius());
    let (state, request) = ap.begin("taro");
    campus.papers.server("server");
    campus.daemon.hang_up();
    campus.daemon.wait_log("configuration reloaded");
    assert_ne!(shown(&campus), old);
    let nak = eap(RESPONSE, request[1], &[NAK, 25]);
    let answer = ap.ask(ap.query("taro", Some(&state), &nak));
    assert_eq!(answer.code(), Code::AccessChallenge);
}

#[test]
fn a_faulty_certificate_leaves_the_old_one() {
    let campus = Campus::start(&["taro"], PASSWORD_ONLY);
    let old = shown(&campus);
    // The key of another.
    let other = campus.papers.path("other.key");
    fs::copy(other, campus.papers.path("server.key")).unwrap();
    campus.daemon.hang_up();
    campus
        .daemon
        .wait_log("not reloaded, the old configuration holds");
    campus.daemon.wait_log("EAP cannot begin");
    assert_eq!(shown(&campus), old);
    let checked = campus.daemon.cli(&["check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned()
        + &String::from_utf8_lossy(&checked.stderr);
    assert_eq!(checked.status.code(), Some(78), "{said}");
    assert!(said.contains("EAP cannot begin"), "{said}");
}
