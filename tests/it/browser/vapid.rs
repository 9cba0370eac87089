//! Who posts a message, as a push service sees it (RFC 8292).

use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

/// How long a signature may be good at most.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What a sender says of itself, and has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) key: String,
    pub(super) subject: String,
    pub(super) expires: u64,
}

/// Reads `Authorization`; none, if anything about it is wrong.
pub(super) fn read(head: &HeaderMap, origin: &str) -> Option<Claims> {
    let field = head.get(AUTHORIZATION)?.to_str().ok()?;
    let parts = field.strip_prefix("vapid ")?.split(',').map(str::trim);
    let part = |name: &str| {
        let mut parts = parts.clone();
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let (token, key) = part("t").zip(part("k"))?;
    let (signed, signature) = token.rsplit_once('.')?;
    let octets = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).ok();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, octets(key)?)
        .verify(signed.as_bytes(), &octets(signature)?)
        .ok()?;
    let (first, second) = signed.split_once('.')?;
    let head: Value = serde_json::from_slice(&octets(first)?).ok()?;
    let claims: Value = serde_json::from_slice(&octets(second)?).ok()?;
    let expires = claims["exp"].as_u64()?;
    let left = Duration::from_secs(expires).checked_sub(since_epoch())?;
    let subject = claims["sub"].as_str()?;
    let is_sound = head["alg"] == "ES256" && claims["aud"] == origin && left <= LONGEST;
    is_sound.then(|| Claims {
        key: key.to_owned(),
        subject: subject.to_owned(),
        expires,
    })
}

/// The time since the epoch.
pub(super) fn since_epoch() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap()
}
