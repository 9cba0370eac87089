//! RFC 3579 from the side of the NAS: whose a conversation is, what is repeated, what is not answered.

use std::net::Ipv4Addr;

use sekisho::wire::{Answer, Code, attribute};

use super::ap::{Ap, FAILURE, IDENTITY, NAK, REQUEST, RESPONSE, TTLS, eap, identity, state_of};
use super::campus::{Campus, PASSWORD_ONLY};
use super::flood::hello;
use crate::support::daemon::SECRET;

/// A campus with a second client at 127.0.0.2, and health checks.
fn campus() -> Campus {
    let other = format!(
        "[client.other]\naddress = [\"127.0.0.2\"]\nsecret = \"{SECRET}\"\nmethod = \"eap\"\nprobes = [\"check-*\"]\n"
    );
    Campus::start(&["taro"], &format!("{other}{PASSWORD_ONLY}"))
}

fn failed(answer: &Answer) {
    assert_eq!(answer.code(), Code::AccessReject);
    assert_eq!(answer.eap().unwrap()[0], FAILURE);
}

/// What a peer answers to the start of EAP-TTLS: an acknowledgement, which is no hello.
fn acknowledged(request: &[u8]) -> Vec<u8> {
    eap(RESPONSE, request[1], &[TTLS, 0])
}

#[test]
fn an_eap_start_is_asked_who_it_is() {
    let campus = campus();
    let ap = Ap::new(campus.radius());
    let answer = ap.ask(ap.query("02-00-00-00-00-01", None, &[]));
    let packet = answer.eap().unwrap();
    assert_eq!((packet[0], packet[4]), (REQUEST, IDENTITY));
    let (state, named) = (state_of(&answer), identity(packet[1], "taro"));
    let answer = ap.ask(ap.query("taro", Some(&state), &named));
    let packet = answer.eap().unwrap();
    assert_eq!((packet[0], packet[4]), (REQUEST, TTLS));
    assert_ne!(
        state_of(&answer),
        state,
        "each round has a State of its own"
    );
}

#[test]
fn a_state_is_good_for_its_client_and_once() {
    let campus = campus();
    let ap = Ap::new(campus.radius());
    let other = Ap::at(Ipv4Addr::new(127, 0, 0, 2), campus.radius());
    let (state, request) = ap.begin("taro");
    assert_eq!(state.len(), 16);
    let nak = eap(RESPONSE, request[1], &[NAK, 25]);
    failed(&other.ask(other.query("taro", Some(&state), &nak)));
    failed(&ap.ask(ap.query("taro", Some(&[7; 16]), &nak)));
    failed(&ap.ask(ap.query("taro", Some(b"x"), &nak)));
    // None of these has harmed the conversation.
    let answer = ap.ask(ap.query("taro", Some(&state), &nak));
    let log = campus.daemon.log();
    assert_eq!(answer.code(), Code::AccessChallenge, "{log}");
    failed(&ap.ask(ap.query("taro", Some(&state), &nak)));
    let next = state_of(&answer);
    let request = answer.eap().unwrap();
    let unknown = eap(RESPONSE, request[1], &[NAK, 0]);
    failed(&ap.ask(ap.query("taro", Some(&next), &unknown)));
}

#[test]
fn a_retransmission_gets_the_same_octets_and_does_nothing() {
    let campus = campus();
    let ap = Ap::new(campus.radius());
    let (state, request) = ap.begin("taro");
    let nak = eap(RESPONSE, request[1], &[NAK, 25]);
    let asked = ap.send(ap.query("taro", Some(&state), &nak));
    let first = ap.answer(&asked);
    for _ in 0..3 {
        ap.send_again(&asked);
        assert_eq!(ap.answer(&asked).octets(), first.octets());
    }
    // And the conversation goes on from there.
    let request = first.eap().unwrap();
    assert_eq!(request[4], 25);
}

#[test]
fn packets_that_do_not_belong_are_met_with_silence() {
    let campus = campus();
    let ap = Ap::new(campus.radius());
    let (state, request) = ap.begin("taro");
    let stale = eap(RESPONSE, request[1].wrapping_sub(1), &[NAK, 25]);
    let short = [RESPONSE, request[1], 0, 200, TTLS];
    for packet in [&stale[..], &short, &[RESPONSE], &eap(3, request[1], &[])] {
        ap.send(ap.query("taro", Some(&state), packet));
        assert!(ap.hears_nothing(), "{packet:?}");
    }
    let nak = eap(RESPONSE, request[1], &[NAK, 25]);
    let answer = ap.ask(ap.query("taro", Some(&state), &nak));
    assert_eq!(answer.code(), Code::AccessChallenge);
}

#[test]
fn a_link_that_carries_little_gets_small_packets() {
    let campus = campus();
    let ap = Ap::new(campus.radius());
    let hello = [&[TTLS, 0][..], &hello()].concat();
    // The header of EAPOL is part of what the link carries (RFC 3579 §2.4); less than 100 octets is nobody's.
    for (framed, most) in [(None, 1024), (Some(304_u32), 300), (Some(50), 100)] {
        let (state, request) = ap.begin("taro");
        let packet = eap(RESPONSE, request[1], &hello);
        let query = ap.query("taro", Some(&state), &packet);
        let answer = ap.ask(match framed {
            Some(framed) => query.with(attribute::FRAMED_MTU, &framed.to_be_bytes()),
            None => query,
        });
        let packet = answer.eap().unwrap();
        assert!(packet.len() <= most, "{framed:?}: {}", packet.len());
        // It was needed: more follows.
        assert!(packet.len() + 8 > most || framed.is_none());
    }
}

#[test]
fn who_wants_to_change_sides_gets_a_nak() {
    let campus = campus();
    let ap = Ap::new(campus.radius());
    let request = eap(REQUEST, 9, &[IDENTITY]);
    let answer = ap.ask(ap.query("taro", None, &request));
    assert_eq!(answer.code(), Code::AccessReject);
    assert_eq!(answer.eap().unwrap(), eap(RESPONSE, 9, &[NAK, 0]));
}

#[test]
fn user_name_is_the_identity_and_stays_so() {
    let campus = campus();
    let ap = Ap::new(campus.radius());
    failed(&ap.ask(ap.query("hanako", None, &identity(1, "taro"))));
    let (state, request) = ap.begin("taro");
    let acknowledged = acknowledged(&request);
    failed(&ap.ask(ap.query("hanako", Some(&state), &acknowledged)));
    failed(&ap.ask(ap.query("taro", Some(&state), &acknowledged)));
    // Without an identity the NAS writes what it likes.
    let answer = ap.ask(ap.query("02-00-00-00-00-01", None, &identity(1, "")));
    assert_eq!(answer.code(), Code::AccessChallenge);
    campus.daemon.wait_log("User-Name is not the EAP identity");
}

#[test]
fn a_health_check_costs_nothing() {
    let campus = campus();
    let ap = Ap::at(Ipv4Addr::new(127, 0, 0, 2), campus.radius());
    failed(&ap.ask(ap.query("check-ap", None, &identity(1, "check-ap"))));
    let start = ap.ask(ap.query("somebody", None, &[]));
    let packet = identity(start.eap().unwrap()[1], "check-ap");
    failed(&ap.ask(ap.query("check-ap", Some(&state_of(&start)), &packet)));
    campus.daemon.wait_log("health-check");
    let found = campus.slapd.searches("ou=people,dc=example,dc=ac,dc=jp");
    assert_eq!(found, 0, "no directory was asked");
}

#[test]
fn eap_beside_a_password_is_no_request() {
    let campus = campus();
    let ap = Ap::new(campus.radius());
    let query = ap.query("taro", None, &identity(1, "taro"));
    ap.send(query.with_password(ap.secret(), b"himitsu"));
    assert!(ap.hears_nothing());
    let query = ap.query("taro", None, &identity(1, "taro"));
    let unsigned = query.unsigned(ap.secret());
    ap.send_again(&unsigned);
    assert!(ap.hears_nothing());
    let twice = ap.query("taro", Some(&[7; 16]), &identity(1, "taro"));
    failed(&ap.ask(twice.with(attribute::STATE, &[8; 16])));
}

#[test]
fn where_stations_share_an_address_none_pushes_out_another() {
    let campus = Campus::start_with(&["taro"], "shared-stations = true", PASSWORD_ONLY);
    let ap = Ap::new(campus.radius());
    let (state, request) = ap.begin("taro");
    for number in 0..8 {
        ap.begin(&format!("somebody-{number}"));
    }
    let nak = eap(RESPONSE, request[1], &[NAK, 25]);
    let answer = ap.ask(ap.query("taro", Some(&state), &nak));
    assert_eq!(answer.code(), Code::AccessChallenge);
}
