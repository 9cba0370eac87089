//! Disconnect-Request, as a sender: how it is signed, and which answers are believed.

use proptest::prelude::*;
use sekisho::secret::Secret;
use sekisho::wire::{Asked, BadAnswer, Code, Malformed, Query, Request, attribute};

use super::{packet, radclient::md5, secret};

const SECRET: &[u8] = b"xyzzy5461";

fn asked() -> Asked {
    Query::disconnect(7)
        .with(attribute::USER_NAME, b"hanako")
        .with(attribute::ACCT_SESSION_ID, b"S1")
        .sign(&secret())
}

/// The answer of a NAS: Response Authenticator, and Message-Authenticator if `over` says over which authenticator.
fn answer(code: u8, asked: &[u8], over: Option<&[u8]>) -> Vec<u8> {
    let mut octets = packet(code, &[101, 6, 0, 0, 1, 0xf7]);
    if let Some(over) = over {
        let mut signed = packet(
            code,
            &[&[80, 18][..], &[0; 16], &[101, 6, 0, 0, 1, 0xf7]].concat(),
        );
        signed.splice(4..20, over.iter().copied());
        let mac = super::radclient::hmac_md5(SECRET, &signed);
        signed.splice(22..38, mac);
        octets = signed;
    }
    let hashed = [&octets[..4], &asked[4..20], &octets[20..], SECRET].concat();
    octets.splice(4..20, md5(&hashed));
    octets
}

#[test]
fn section_2_3_the_request_authenticator_is_a_digest_as_of_accounting() {
    let octets = asked().octets().to_vec();
    assert_eq!(octets[0], 40);
    let hashed = [&octets[..4], &[0; 16], &octets[20..], SECRET].concat();
    assert_eq!(octets[4..20], md5(&hashed));
}

#[test]
fn section_3_4_message_authenticator_is_first_and_made_over_zeros() {
    let octets = asked().octets().to_vec();
    assert_eq!(octets[20..22], [80, 18]);
    let mut unsigned = octets.clone();
    unsigned[4..20].fill(0);
    unsigned[22..38].fill(0);
    let right = super::radclient::hmac_md5(SECRET, &unsigned);
    assert_eq!(octets[22..38], right);
}

#[test]
fn answers_are_believed_for_their_authenticators() {
    let asked = asked();
    let own = asked.octets()[4..20].to_vec();
    for (number, code) in [(41, Code::DisconnectAck), (42, Code::DisconnectNak)] {
        for over in [None, Some(&own[..]), Some(&[0; 16])] {
            let octets = answer(number, asked.octets(), over);
            let believed = asked.answer(&octets, &secret()).unwrap();
            assert_eq!(believed.code(), code);
            let cause = believed.attributes(attribute::ERROR_CAUSE).next();
            assert_eq!(cause, Some(&[0, 0, 1, 0xf7][..]));
        }
    }
}

#[test]
fn forged_answers_are_not_believed() {
    let asked = asked();
    let refused = |octets: &[u8], secret: &Secret| asked.answer(octets, secret).unwrap_err();
    let right = answer(41, asked.octets(), None);
    let other = refused(&right, &Secret::from("another"));
    assert_eq!(other, BadAnswer::Authenticator);
    for at in 0..right.len() {
        let mut forged = right.clone();
        forged[at] ^= 1;
        let _why = refused(&forged, &secret());
    }
    let wrong = answer(41, asked.octets(), Some(&[9; 16]));
    assert_eq!(refused(&wrong, &secret()), BadAnswer::Authenticator);
    for code in [2, 3, 5, 11, 44, 45] {
        let octets = answer(code, asked.octets(), None);
        assert_eq!(refused(&octets, &secret()), BadAnswer::Malformed, "{code}");
    }
    let elsewhere = Query::disconnect(7).with(1, b"taro").sign(&secret());
    let octets = answer(41, elsewhere.octets(), None);
    assert_eq!(refused(&octets, &secret()), BadAnswer::Authenticator);
}

#[test]
fn an_ack_answers_nothing_else() {
    let login = Query::access(7).sign(&secret());
    let octets = answer(41, login.octets(), None);
    let refused = login.answer(&octets, &secret()).unwrap_err();
    assert_eq!(refused, BadAnswer::Malformed);
}

proptest! {
    #[test]
    fn octets_of_any_kind_are_no_answer(mut octets in prop::collection::vec(any::<u8>(), 0..300), fit: bool) {
        if let (true, [code, identifier, high, low, ..]) = (fit, octets.as_mut_slice()) {
            (*code, *identifier, *high, *low) = (41, 7, 0, 60);
        }
        prop_assert!(asked().answer(&octets, &secret()).is_err());
    }
}

#[test]
fn nobody_asks_a_server_with_it() {
    for code in 40..=45 {
        let parsed = Request::parse(&packet(code, &[])).map(|_| ());
        assert_eq!(parsed, Err(Malformed::Code), "{code}");
    }
    let parsed = Request::parse(asked().octets()).map(|_| ());
    assert_eq!(parsed, Err(Malformed::Code));
}
