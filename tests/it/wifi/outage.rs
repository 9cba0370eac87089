//! When nothing can be decided: no answer to this packet nor to the next of its conversation, so that the NAS turns to another server.

use super::campus::{Campus, PASSWORD, PASSWORD_ONLY};
use super::station::{Method, Station};
use crate::support::daemon::SECRET;

/// eapol_test's status when no answer came.
const SILENCE: Option<i32> = Some(254);

fn station() -> Station {
    Station {
        words: ["-n", "-t", "12"].map(str::to_owned).into(),
        ..Station::new(Method::TtlsPap, "taro", PASSWORD)
    }
}

#[test]
fn without_a_directory_there_is_no_answer() {
    let mut campus = Campus::start(&["taro"], PASSWORD_ONLY);
    campus.slapd.kill();
    let said = station().log_in(&campus.papers, campus.radius());
    assert_eq!(said.status, SILENCE, "{}", campus.daemon.log());
    // It came as far as the password, and was sent again, to no avail.
    assert!(said.count("code=11 (Access-Challenge)") > 1);
    assert_eq!(said.count("code=3 (Access-Reject)"), 0);
    campus.daemon.wait_log("directory-unavailable");
    campus.slapd.restart();
    let said = station().log_in(&campus.papers, campus.radius());
    assert_eq!(said.status, Some(0), "{}", campus.daemon.log());
}

#[test]
fn a_client_may_want_a_reject_instead() {
    let keys = "when-undecided = \"reject\"";
    let mut campus = Campus::start_with(&["taro"], keys, PASSWORD_ONLY);
    campus.slapd.kill();
    let said = station().log_in(&campus.papers, campus.radius());
    assert_eq!(said.refused(), Ok(()), "{}", campus.daemon.log());
}

#[test]
fn another_servers_conversation_is_not_taken_up() {
    let vpn = format!("[client.vpn]\naddress = [\"127.0.0.9\"]\nsecret = \"{SECRET}\"\n");
    let mut campus = Campus::start(&["taro"], &format!("{vpn}{PASSWORD_ONLY}"));
    let ap = super::ap::Ap::new(campus.radius());
    let (state, request) = ap.begin("taro");
    campus.daemon.stop();
    campus.daemon.run();
    let nak = super::ap::eap(2, request[1], &[3, 25]);
    let answer = ap.ask(ap.query("taro", Some(&state), &nak));
    assert_eq!(answer.code(), sekisho::wire::Code::AccessReject);
}
