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
