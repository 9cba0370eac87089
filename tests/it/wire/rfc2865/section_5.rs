//! Attributes: the walk, vendors (5.26), how often (5.44).

use sekisho::wire::{ATTRIBUTES, Malformed, Query, Request, attribute};

use crate::wire::{attribute as written, packet, secret};

#[test]
fn attributes_that_do_not_fit_are_malformed() {
    for (why, list) in [
        ("a left-over octet", &[1, 3, b'b', 1][..]),
        ("length 0", &[1, 0]),
        ("length 0 before another", &[1, 0, 1, 3, b'b']),
        ("length 1", &[1, 1]),
        ("length 1 before another", &[1, 1, 1, 3, b'b']),
        ("one octet past the end", &[1, 4, b'b']),
        ("far past the end", &[1, 255, b'b']),
        ("type 0", &[0, 3, b'b']),
        ("type 0 without value", &[0, 2]),
        ("type 0 and length 0", &[0, 0]),
    ] {
        for code in [1, 4, 12] {
            let refused = Request::parse(&packet(code, list)).unwrap_err();
            assert_eq!(refused, Malformed::Attribute, "{why}");
        }
    }
}

#[test]
fn two_hundred_attributes_are_the_bound() {
    let most = packet(1, &[33, 2].repeat(ATTRIBUTES));
    assert!(Request::parse(&most).is_ok());
    let more = packet(1, &[33, 2].repeat(ATTRIBUTES + 1));
    assert_eq!(Request::parse(&more).unwrap_err(), Malformed::TooMany);
}

#[test]
fn unknown_and_empty_attributes_are_read_past() {
    let list = [
        written(250, b"?"),
        written(1, b""),
        written(192, &[0xff; 253]),
        written(1, b"second"),
    ];
    let request = Request::parse(&packet(1, &list.concat())).unwrap();
    assert!(request.attributes(1).eq([&b""[..], b"second"]));
    assert_eq!(request.attribute(192).unwrap(), [0xff; 253]);
    assert_eq!(request.attribute(2), None);
}

#[test]
fn malformed_vendor_attributes_are_skipped_and_the_next_is_read() {
    let cisco = [0, 0, 0, 9];
    for (why, value) in [
        ("nothing", &[][..]),
        ("no whole vendor", &[0, 0, 0]),
        ("no sub-attribute", &[0, 0, 0, 9]),
        ("half a header", &[0, 0, 0, 9, 1]),
        ("inner length 0", &[0, 0, 0, 9, 1, 0]),
        ("inner length 1", &[0, 0, 0, 9, 1, 1, b'x']),
        ("inner length past the end", &[0, 0, 0, 9, 1, 200, b'x']),
        ("a good one, then length 0", &[0, 0, 0, 9, 1, 3, b'x', 1, 0]),
    ] {
        let right = [&cisco[..], &[1, 4, b'o', b'k']].concat();
        let list = [written(26, value), written(26, &right)].concat();
        let request = Request::parse(&packet(1, &list)).unwrap();
        assert!(request.vendor_attributes(9, 1).eq([b"ok"]), "{why}");
    }
}

#[test]
fn vendor_attributes_keep_their_order_and_their_vendor() {
    let asked = Query::access(7)
        .with_vendor(9, 1, b"ip:source-ip=192.0.2.7")
        .with_vendor(311, 1, b"not this")
        .with_vendor(9, 2, b"nor this")
        .with_vendor(9, 1, b"second")
        .sign(&secret());
    let request = Request::parse(asked.octets()).unwrap();
    let expected = [&b"ip:source-ip=192.0.2.7"[..], b"second"];
    assert!(request.vendor_attributes(9, 1).eq(expected));
    assert_eq!(request.vendor_attributes(12356, 1).count(), 0);
}

#[test]
fn what_may_be_there_once_is_found_when_repeated() {
    let once = [
        attribute::USER_NAME,
        attribute::USER_PASSWORD,
        attribute::STATE,
        attribute::NAS_IDENTIFIER,
        attribute::CALLING_STATION_ID,
        attribute::NAS_IP_ADDRESS,
    ];
    for kind in once {
        let list = [written(kind, &[1; 16]), written(33, b"between")];
        let single = packet(1, &list.concat());
        assert_eq!(Request::parse(&single).unwrap().repeated(), None);
        let double = packet(1, &list.concat().repeat(2));
        assert_eq!(Request::parse(&double).unwrap().repeated(), Some(kind));
    }
    for kind in [attribute::PROXY_STATE, attribute::VENDOR_SPECIFIC, 250] {
        let list = packet(1, &written(kind, &[1; 16]).repeat(2));
        assert_eq!(Request::parse(&list).unwrap().repeated(), None);
    }
}
