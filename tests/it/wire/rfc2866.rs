//! Accounting: the Request Authenticator of section 3, Message-Authenticator beside it.

use sekisho::secret::Secret;
use sekisho::wire::{Code, Query, Reply, Request, Unbelieved, attribute};

use crate::wire::{packet, secret};

#[test]
fn authenticator_of_another_secret_is_not_believed() {
    let asked = Query::accounting(7)
        .with(attribute::ACCT_STATUS_TYPE, &[0, 0, 0, 1])
        .sign(&secret());
    let request = Request::parse(asked.octets()).unwrap();
    assert_eq!(request.believe_accounting(&secret()), Ok(()));
    let other = request.believe_accounting(&Secret::from("another"));
    assert_eq!(other, Err(Unbelieved::WrongAuthenticator));
}

#[test]
fn other_requests_are_no_accounting() {
    for code in [1, 12] {
        let request = Request::parse(&packet(code, &[])).unwrap();
        let refused = request.believe_accounting(&secret());
        assert_eq!(refused, Err(Unbelieved::WrongAuthenticator));
    }
}

#[test]
fn wrong_message_authenticator_is_not_believed() {
    let mut octets = packet(4, &[&[80, 18][..], &[0; 16]].concat());
    let zeros = [&octets[..4], &[0; 16], &octets[20..], b"xyzzy5461"].concat();
    octets.splice(4..20, super::radclient::md5(&zeros));
    let request = Request::parse(&octets).unwrap();
    let refused = request.believe_accounting(&secret());
    assert_eq!(refused, Err(Unbelieved::WrongSignature));
}

#[test]
fn unsigned_accounting_gets_an_unsigned_response() {
    let asked = Query::accounting(7)
        .with(attribute::PROXY_STATE, b"first")
        .with(attribute::PROXY_STATE, b"second")
        .sign(&secret());
    let request = Request::parse(asked.octets()).unwrap();
    let octets = Reply::to(&request, Code::AccountingResponse).sign(&secret());
    let answer = asked.answer(&octets, &secret()).unwrap();
    let states = [&b"first"[..], b"second"];
    assert!(answer.attributes(attribute::PROXY_STATE).eq(states));
    assert_eq!(answer.all().count(), 2);
}
