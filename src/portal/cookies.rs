//! Cookies: set for this host alone, read within bounds, and sealed where they hold more than a random token.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{self, HeaderValue};
use data_encoding::BASE64URL_NOPAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::House;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Binds a cookie to this host and to https, by the rules of browsers for its name.
const HOST: &str = "__Host-";
/// Cookies of a request that are looked at.
const COOKIES: usize = 64;

/// The value of a cookie of ours. Where browsers reach us by https, only under the name that nobody else can set.
pub(super) fn get<'a>(headers: &'a HeaderMap, name: &str, secure: bool) -> Option<&'a str> {
    let prefix = if secure { HOST } else { "" };
    let fields = headers.get_all(header::COOKIE).into_iter();
    fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(';'))
        .take(COOKIES)
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(known, value)| (known.strip_prefix(prefix)? == name).then_some(value))
}

/// Sets a cookie.
pub(super) fn set(house: &House, headers: &mut HeaderMap, pair: (&str, &str), life: Duration) {
    let (name, value) = pair;
    let (prefix, secure) = match house.is_secure() {
        true => (HOST, "; Secure"),
        // Browsers refuse the prefix without https: on this machine, for trials.
        false => ("", ""),
    };
    let life = life.as_secs();
    let text =
        format!("{prefix}{name}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(field) = HeaderValue::from_str(&text) {
        headers.append(header::SET_COOKIE, field);
    }
}

/// Ends a cookie.
pub(super) fn end(house: &House, headers: &mut HeaderMap, name: &str) {
    set(house, headers, (name, ""), Duration::ZERO);
}

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    until: Timestamp,
    value: T,
}

/// Keeps a value in the browser, where it can be neither read nor altered, nor used after its time.
pub(super) fn keep<T: Serialize>(
    house: &House,
    headers: &mut HeaderMap,
    (name, value): (&str, &T),
    life: Duration,
) {
    let until = house.rooms.clock.now().after(life);
    let Ok(text) = serde_json::to_vec(&Kept { until, value }) else {
        return;
    };
    let sealed = house.key.seal(name.as_bytes(), &Secret::new(text));
    let sealed = BASE64URL_NOPAD.encode(&sealed);
    set(house, headers, (name, &sealed), life);
}

/// The value that [`keep`] kept under the name.
pub(super) fn kept<T: DeserializeOwned>(
    house: &House,
    headers: &HeaderMap,
    name: &str,
) -> Option<T> {
    let sealed = get(headers, name, house.is_secure())?;
    let sealed = BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?;
    let text = house.key.open(name.as_bytes(), &sealed).ok()?;
    let kept: Kept<T> = serde_json::from_slice(text.expose()).ok()?;
    (kept.until > house.rooms.clock.now()).then_some(kept.value)
}
