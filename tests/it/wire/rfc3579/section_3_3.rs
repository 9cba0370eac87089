//! Credentials: EAP-Message alone and signed, or one password.

use sekisho::wire::{Malformed, Query, Request, Signed, Signing, Unbelieved, attribute};

use crate::wire::{attribute as written, packet, secret};

const PASSWORDS: [u8; 3] = [
    attribute::USER_PASSWORD,
    attribute::CHAP_PASSWORD,
    attribute::ARAP_PASSWORD,
];

#[test]
fn eap_beside_a_password_is_malformed() {
    for password in PASSWORDS {
        let (eap, password) = (written(79, &[2, 0, 0, 4]), written(password, &[1; 16]));
        for list in [[&eap[..], &password], [&password[..], &eap]] {
            let refused = Request::parse(&packet(1, &list.concat())).unwrap_err();
            assert_eq!(refused, Malformed::MixedCredentials);
        }
    }
}

#[test]
fn unsigned_requests_need_a_password() {
    for password in PASSWORDS {
        let octets = packet(1, &written(password, &[1; 16]));
        let request = Request::parse(&octets).unwrap();
        let believed = request.believe(&secret(), Signing::Optional);
        assert_eq!(believed, Ok(Signed::No));
    }
    for list in [
        written(1, b"bob"),
        written(79, &[2, 0, 0, 4]),
        written(79, &[]),
        Vec::new(),
    ] {
        let request = Request::parse(&packet(1, &list)).unwrap();
        let refused = request.believe(&secret(), Signing::Optional);
        assert_eq!(refused, Err(Unbelieved::Unsigned));
    }
}

#[test]
fn signed_eap_is_believed() {
    let asked = Query::access(7)
        .with(attribute::EAP_MESSAGE, &[2, 0, 0, 4])
        .sign(&secret());
    let request = Request::parse(asked.octets()).unwrap();
    let believed = request.believe(&secret(), Signing::Required);
    assert_eq!(believed, Ok(Signed::Yes));
}
