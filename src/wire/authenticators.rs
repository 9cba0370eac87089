//! Message-Authenticator, Request Authenticator and Response Authenticator.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};

use super::RequestAuthenticator;
use super::packet::HEADER_OCTETS;

/// Octets of each of them: those of an MD5 digest.
pub(super) const OCTETS: usize = 16;

/// Message-Authenticator (RFC 3579 §3.2): HMAC-MD5 of the packet, the 16 octets of its own value,
/// which lie `at` there, taken as zero. With `authenticator`, that stands for the field in the
/// header: zeros for an Accounting-Request, the request's for an answer.
#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
pub(super) fn message(
    octets: &[u8],
    at: usize,
    authenticator: Option<&RequestAuthenticator>,
    secret: &[u8],
) -> [u8; OCTETS] {
    let (before, from) = octets.split_at_checked(at).unwrap_or((octets, &[]));
    let after = from.get(OCTETS..).unwrap_or_default();
    let mut mac = Hmac::<Md5>::new_from_slice(secret).expect("any length");
    match (authenticator, before.split_at_checked(HEADER_OCTETS)) {
        (Some(authenticator), Some((header, list))) => {
            mac.update(header.get(..4).unwrap_or_default());
            mac.update(authenticator);
            mac.update(list);
        }
        _ => mac.update(before),
    }
    mac.update(&[0; OCTETS]);
    mac.update(after);
    mac.finalize().into_bytes().into()
}

/// Request Authenticator of accounting (RFC 2866 §3) and Response Authenticator (RFC 2865 §3):
/// MD5 of code, identifier, length, an authenticator, attributes and secret. The authenticator is
/// zeros for an Accounting-Request and the request's for an answer.
pub(super) fn response(
    octets: &[u8],
    authenticator: &RequestAuthenticator,
    secret: &[u8],
) -> [u8; OCTETS] {
    let mut digest = Md5::new();
    digest.update(octets.get(..4).unwrap_or_default());
    digest.update(authenticator);
    digest.update(octets.get(HEADER_OCTETS..).unwrap_or_default());
    digest.update(secret);
    digest.finalize().into()
}

/// MD5 of two parts, one after the other: the key stream of User-Password.
pub(super) fn digest(first: &[u8], second: &[u8]) -> [u8; OCTETS] {
    let mut digest = Md5::new();
    digest.update(first);
    digest.update(second);
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    const SECRET: &[u8] = b"xyzzy5461";

    fn hex(text: &str) -> Vec<u8> {
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn response_authenticators_are_those_printed() {
        let challenge = [
            hex("0b02004e36f3c8764ae8c71157403c0c71ff9c451230"),
            b"Challenge 32769430.  Enter response at prompt.".to_vec(),
            hex("180a3332373639343330"),
        ];
        for (section, asked, answer) in [
            (
                "RFC 2865 §7.1",
                "0f403f9473978057bd83d5cb98f4227a",
                hex("0200002686fe220e7624ba2a1005f6bf9b55e0b20606000000010f06000000000e06c0a80103"),
            ),
            (
                "RFC 2865 §7.3",
                "f3a47a1f6a6d76710b947ab93041a039",
                challenge.concat(),
            ),
            (
                "RFC 5997 §6.1",
                "8a54f4686fb394c52866e302185d0623",
                hex("02da0014ef0d552a4bf2d693ec2b6fe8b5411d66"),
            ),
            (
                "RFC 5997 §6.2",
                "925f6b66dd5fed571fcb1db7ad388260",
                hex("05b300140f6f92145f107e2f504e860a4860669c"),
            ),
        ] {
            let asked = hex(asked).try_into().unwrap();
            let right = response(&answer, &asked, SECRET);
            assert_eq!(right, answer[4..20], "{section}");
        }
    }

    #[test]
    fn message_authenticators_are_those_printed() {
        for (section, packet) in [
            (
                "RFC 5997 §6.1",
                "0cda00268a54f4686fb394c52866e302185d062350125a665e2e1e8411f3e243822097c84fa3",
            ),
            (
                "RFC 5997 §6.2",
                "0cb30026925f6b66dd5fed571fcb1db7ad3882605012e8d6eabda910875cd91fdade26367858",
            ),
        ] {
            let packet = hex(packet);
            let right = message(&packet, 22, None, SECRET);
            assert_eq!(right, packet[22..], "{section}");
            let own = *packet[4..].first_chunk().unwrap();
            let right = message(&packet, 22, Some(&own), SECRET);
            assert_eq!(right, packet[22..], "{section}");
        }
    }
}
