//! Packet format: length, code, padding.

use sekisho::wire::{Code, Malformed, Query, Request, Signed, Signing, attribute};

use crate::wire::{packet, secret};

/// A packet whose length field says something else.
fn with_length(mut octets: Vec<u8>, length: u16) -> Vec<u8> {
    octets.splice(2..4, length.to_be_bytes());
    octets
}

#[test]
fn wrong_lengths_are_malformed() {
    let whole = packet(1, &[1, 5, b'b', b'o', b'b']);
    let long = packet(1, &[33, 255].repeat(3000));
    for (why, octets) in [
        ("nothing", Vec::new()),
        ("one octet", vec![1]),
        ("19 octets", whole[..19].to_vec()),
        ("length field 0", with_length(whole.clone(), 0)),
        ("length field 19", with_length(whole.clone(), 19)),
        ("one octet short", whole[..24].to_vec()),
        (
            "length field beyond the datagram",
            with_length(whole.clone(), 26),
        ),
        ("length field 4097", with_length(long.clone(), 4097)),
        ("length field 65535", with_length(long.clone(), u16::MAX)),
    ] {
        let refused = Request::parse(&octets).unwrap_err();
        assert_eq!(refused, Malformed::Length, "{why}");
    }
}

#[test]
fn codes_that_are_no_request_are_malformed() {
    for code in (0..=255).filter(|code| ![1, 4, 12].contains(code)) {
        let refused = Request::parse(&packet(code, &[])).unwrap_err();
        assert_eq!(refused, Malformed::Code, "{code}");
    }
    for (number, code) in [
        (1, Code::AccessRequest),
        (4, Code::AccountingRequest),
        (12, Code::StatusServer),
    ] {
        assert_eq!(Request::parse(&packet(number, &[])).unwrap().code(), code);
    }
}

#[test]
fn longest_packet_is_read() {
    let full = [&[33, 255][..], &[1; 253]].concat().repeat(15);
    let octets = packet(1, &[full, vec![33, 251], vec![2; 249]].concat());
    assert_eq!(octets.len(), 4096);
    let request = Request::parse(&octets).unwrap();
    assert_eq!(request.attributes(attribute::PROXY_STATE).count(), 16);
}

#[test]
fn padding_is_no_part_of_what_is_signed() {
    for query in [Query::access(7), Query::accounting(7), Query::status(7)] {
        let asked = query.with(attribute::USER_NAME, b"bob").sign(&secret());
        // Padding of whole attributes, of a wrong one, and beyond the longest packet.
        for padding in [&[0; 1][..], &[1, 3, b'x'], &[80, 0, 0], &[0; 5000]] {
            let datagram = [asked.octets(), padding].concat();
            let request = Request::parse(&datagram).unwrap();
            assert_eq!(request.octets(), asked.octets());
            let believed = request.believe(&secret(), Signing::Required);
            let signed = match request.code() {
                Code::AccountingRequest => Signed::No,
                _ => Signed::Yes,
            };
            assert_eq!(believed, Ok(signed));
        }
    }
}
