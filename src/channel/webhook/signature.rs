//! The signature of a webhook: HMAC-SHA-256 over the time and what is said.

use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::BadAnswer;
use crate::clock::Timestamp;
use crate::secret::{Secret, equal, hmac_sha256};

/// The header with the time, in seconds since 1970.
pub const TIMESTAMP: &str = "sekisho-timestamp";
/// The header with the signature: `v1=` and the HMAC-SHA-256 in hex of the time, a dot, and the body; of a request without
/// body, the prompt's id in its place.
pub const SIGNATURE: &str = "sekisho-signature";
/// Before the HMAC.
const SCHEME: &str = "v1=";
/// How far the two clocks may differ.
const SKEW: Duration = Duration::from_secs(60);
/// Octets of a signature, at most.
const LENGTH: usize = 128;
/// Digits of a time, at most: the year 33658.
const DIGITS: usize = 12;

/// The values of both headers.
pub(super) fn sign(key: &Secret, now: Timestamp, said: &[u8]) -> (String, String) {
    let timestamp = now.secs().to_string();
    let digest = digest(key, &timestamp, said);
    let signature = format!("{SCHEME}{}", HEXLOWER_PERMISSIVE.encode(&digest));
    (timestamp, signature)
}

/// Whether both values are those of what is said, now.
pub(super) fn verify(
    key: &Secret,
    (timestamp, signature): (&str, &str),
    said: &[u8],
    now: Timestamp,
) -> Result<(), BadAnswer> {
    // An empty key would make everybody's signature a good one.
    let is_time = (1..=DIGITS).contains(&timestamp.len())
        && timestamp.bytes().all(|octet| octet.is_ascii_digit());
    if key.is_empty() || !is_time || signature.len() > LENGTH {
        return Err(BadAnswer::Signature);
    }
    let given = signature
        .strip_prefix(SCHEME)
        .and_then(|hex| HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok())
        .ok_or(BadAnswer::Signature)?;
    if !equal(&given, &digest(key, timestamp, said)) {
        return Err(BadAnswer::Signature);
    }
    let at = Timestamp::from_secs(timestamp.parse().map_err(|_| BadAnswer::Signature)?);
    if now.since(at).max(at.since(now)) > SKEW {
        return Err(BadAnswer::Time);
    }
    Ok(())
}

fn digest(key: &Secret, timestamp: &str, said: &[u8]) -> [u8; 32] {
    hmac_sha256(key, &[timestamp.as_bytes(), b".", said].concat())
}
