//! The packets of EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2 §2). What is in them is computed by whoever judges.

use std::fmt::Write as _;

use super::super::packet::length_of;
use super::super::reader::Reader;
use super::NAME_OCTETS;
use super::Shown;

const CHALLENGE: u8 = 1;
const RESPONSE: u8 = 2;
const SUCCESS: u8 = 3;
const FAILURE: u8 = 4;

/// Whom the peer is told to speak to; it is shown nowhere.
const SERVER_NAME: &[u8] = b"sekisho";
/// Peer's challenge, eight zeros, response, flags.
const RESPONSE_OCTETS: u8 = 49;

/// Type-Data of the challenge.
pub(super) fn challenge(identifier: u8, challenge: &[u8; 16]) -> Vec<u8> {
    let value = [&[16][..], challenge, SERVER_NAME].concat();
    packet(CHALLENGE, identifier, &value)
}

/// Type-Data that proves to the peer that its password is known here (RFC 2759 §5).
pub(super) fn success(identifier: u8, proof: &[u8; 20]) -> Vec<u8> {
    let message = format!("S={} M=OK", hex(proof));
    packet(SUCCESS, identifier, message.as_bytes())
}

/// Type-Data that refuses, without another try (RFC 2759 §6).
pub(super) fn failure(identifier: u8, challenge: &[u8; 16]) -> Vec<u8> {
    let message = format!("E=691 R=0 C={} V=3 M=Authentication failed", hex(challenge));
    packet(FAILURE, identifier, message.as_bytes())
}

/// OpCode, MS-CHAPv2-ID, MS-Length from the OpCode on, and the rest.
fn packet(code: u8, identifier: u8, value: &[u8]) -> Vec<u8> {
    let length = length_of(4 + value.len());
    [&[code, identifier], &length[..], value].concat()
}

fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(2 * octets.len());
    for octet in octets {
        // Writing to a text cannot fail.
        let _ = write!(text, "{octet:02X}");
    }
    text
}

/// Reads the peer's response.
pub(super) fn read_response(data: &[u8], identifier: u8, challenge: [u8; 16]) -> Option<Shown> {
    let mut reader = Reader::new(data);
    if reader.array()? != [RESPONSE, identifier] || reader.pair()? != data.len() {
        return None;
    }
    if reader.octet()? != RESPONSE_OCTETS {
        return None;
    }
    let peer_challenge = reader.array()?;
    if reader.array()? != [0; 8] {
        return None;
    }
    let response = reader.array()?;
    let _flags = reader.octet()?;
    let name = reader.rest();
    let fits = (1..=NAME_OCTETS).contains(&name.len());
    fits.then(|| Shown::NtResponse {
        name: name.into(),
        challenge,
        peer_challenge,
        response,
    })
}

/// Whether the peer agrees that all is well: its packet may be cut to the OpCode alone (§2.4).
pub(super) fn is_success(data: &[u8]) -> bool {
    data.first() == Some(&SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(name: &[u8]) -> Vec<u8> {
        let value = [&[49][..], &[7; 16], &[0; 8], &[8; 24], &[0], name].concat();
        packet(RESPONSE, 5, &value)
    }

    #[test]
    fn response_is_read() {
        let read = read_response(&response(b"EXAMPLE\\taro"), 5, [9; 16]);
        let Some(Shown::NtResponse {
            name,
            challenge,
            peer_challenge,
            response,
        }) = read
        else {
            panic!("not read");
        };
        assert_eq!(&*name, b"EXAMPLE\\taro");
        assert_eq!(
            (challenge, peer_challenge, response),
            ([9; 16], [7; 16], [8; 24])
        );
    }

    #[test]
    fn spoilt_response_is_refused() {
        let whole = response(b"taro");
        assert!(
            read_response(&whole, 6, [9; 16]).is_none(),
            "another identifier"
        );
        for (at, to) in [(0, 1), (2, 9), (3, 0), (4, 48), (4, 50), (21, 1)] {
            let mut spoilt = whole.clone();
            spoilt[at] = to;
            assert!(read_response(&spoilt, 5, [9; 16]).is_none(), "octet {at}");
        }
        for cut in 0..whole.len() {
            assert!(read_response(&whole[..cut], 5, [9; 16]).is_none(), "{cut}");
        }
        assert!(read_response(&response(b""), 5, [9; 16]).is_none());
        assert!(read_response(&response(&[1; 254]), 5, [9; 16]).is_none());
    }

    #[test]
    fn what_is_said_has_its_lengths() {
        assert_eq!(challenge(5, &[1; 16])[..5], [1, 5, 0, 28, 16]);
        let proof: [u8; 20] = std::array::from_fn(|at| u8::try_from(at * 13).unwrap());
        let text = "S=000D1A2734414E5B6875828F9CA9B6C3D0DDEAF7 M=OK";
        assert_eq!(
            success(5, &proof),
            [&[3, 5, 0, 51][..], text.as_bytes()].concat()
        );
        let refused = failure(5, &[0xab; 16]);
        let text = format!(
            "E=691 R=0 C={} V=3 M=Authentication failed",
            "AB".repeat(16)
        );
        assert_eq!(usize::from(refused[3]), refused.len());
        assert_eq!(refused[4..], *text.as_bytes());
    }
}
