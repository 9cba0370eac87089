//! Message-Authenticator, with what draft-ietf-radext-deprecating-radius asks of servers.

use sekisho::secret::Secret;
use sekisho::wire::{
    Asked, BadAnswer, Code, Malformed, Query, Reply, Request, Signed, Signing, Unbelieved,
    attribute,
};

use crate::wire::{attribute as written, packet, secret};

const EVERY: [Signing; 3] = [
    Signing::Required,
    Signing::OptionalWithoutProxyState,
    Signing::Optional,
];

fn login() -> Query {
    Query::access(7)
        .with(attribute::USER_NAME, b"bob")
        .with_password(&secret(), b"arctangent")
}

fn believe(asked: &Asked, signing: Signing) -> Result<Signed, Unbelieved> {
    let request = Request::parse(asked.octets()).unwrap();
    request.believe(&secret(), signing)
}

#[test]
fn wrong_form_or_a_second_is_malformed() {
    let one = written(80, &[0; 16]);
    for (why, list) in [
        ("empty", written(80, &[])),
        ("15 octets", written(80, &[0; 15])),
        ("17 octets", written(80, &[0; 17])),
        ("253 octets", written(80, &[0; 253])),
        ("two", one.repeat(2)),
        ("two apart", [one.clone(), written(1, b"bob"), one].concat()),
    ] {
        for code in [1, 4, 12] {
            let refused = Request::parse(&packet(code, &list)).unwrap_err();
            assert_eq!(refused, Malformed::MessageAuthenticator, "{why}");
        }
    }
}

#[test]
fn signed_requests_are_believed_whatever_is_asked() {
    for signing in EVERY {
        let asked = login().with(attribute::PROXY_STATE, b"1").sign(&secret());
        assert_eq!(believe(&asked, signing), Ok(Signed::Yes));
    }
}

#[test]
fn signature_is_verified_whatever_is_asked() {
    for signing in EVERY {
        let asked = login().sign(&Secret::from("another"));
        assert_eq!(believe(&asked, signing), Err(Unbelieved::WrongSignature));
    }
}

#[test]
fn unsigned_logins_are_believed_as_asked() {
    let plain = || login().unsigned(&secret());
    let proxied = || {
        login()
            .with(attribute::PROXY_STATE, b"1")
            .unsigned(&secret())
    };
    for (signing, direct, by_proxy) in [
        (
            Signing::Required,
            Err(Unbelieved::Unsigned),
            Err(Unbelieved::Unsigned),
        ),
        (
            Signing::OptionalWithoutProxyState,
            Ok(Signed::No),
            Err(Unbelieved::UnsignedProxyState),
        ),
        (Signing::Optional, Ok(Signed::No), Ok(Signed::No)),
    ] {
        assert_eq!(believe(&plain(), signing), direct, "{signing:?}");
        assert_eq!(believe(&proxied(), signing), by_proxy, "{signing:?}");
    }
}

#[test]
fn signature_may_stand_anywhere_in_a_request() {
    let asked = login().with(attribute::PROXY_STATE, b"1").sign(&secret());
    let list = &asked.octets()[20..];
    let (signature, others) = list.split_at(18);
    let zeroed = [&signature[..2], &[0; 16]].concat();
    for split in [0, 5, others.len()] {
        let (before, after) = others.split_at(split);
        let header = &asked.octets()[..20];
        let unsigned = [header, before, &zeroed, after].concat();
        let mac = super::super::radclient::hmac_md5(b"xyzzy5461", &unsigned);
        let at = 20 + before.len() + 2;
        let octets = [&unsigned[..at], &mac, &unsigned[at + 16..]].concat();
        let request = Request::parse(&octets).unwrap();
        let believed = request.believe(&secret(), Signing::Required);
        assert_eq!(believed, Ok(Signed::Yes), "after {split} octets");
    }
}

#[test]
fn every_access_reply_is_signed_first() {
    for asked in [login().sign(&secret()), login().unsigned(&secret())] {
        let request = Request::parse(asked.octets()).unwrap();
        for code in [
            Code::AccessAccept,
            Code::AccessReject,
            Code::AccessChallenge,
        ] {
            let octets = Reply::to(&request, code)
                .with(attribute::REPLY_MESSAGE, "合言葉は".as_bytes())
                .sign(&secret());
            let answer = asked.answer(&octets, &secret()).unwrap();
            assert_eq!(answer.code(), code);
            assert_eq!(answer.first_attribute(), Some(80));
        }
    }
}

#[test]
fn answers_to_something_else_are_refused() {
    let asked = login().sign(&secret());
    let request = Request::parse(asked.octets()).unwrap();
    let octets = Reply::to(&request, Code::AccessAccept).sign(&secret());
    let again = login().sign(&secret());
    let refused = again.answer(&octets, &secret()).unwrap_err();
    assert_eq!(refused, BadAnswer::Authenticator);
    let refused = Query::access(8).sign(&secret()).answer(&octets, &secret());
    assert_eq!(refused.unwrap_err(), BadAnswer::Identifier);
    let refused = asked.answer(&octets, &Secret::from("another"));
    assert_eq!(refused.unwrap_err(), BadAnswer::Authenticator);
    let refused = Query::accounting(7).sign(&secret());
    let refused = refused.answer(&octets, &secret()).unwrap_err();
    assert_eq!(refused, BadAnswer::Malformed);
    let refused = asked.answer(asked.octets(), &secret()).unwrap_err();
    assert_eq!(refused, BadAnswer::Malformed);
}
