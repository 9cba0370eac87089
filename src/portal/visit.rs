//! What every request goes through: from which address it comes, in which language it is answered, whether its origin may send
//! it, how many there were, and what its answer's head says.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;

use super::House;
use super::cookies;
use super::listener::Peer;
use super::page::{self, Failure};
use crate::account::{Language, Station};

/// The address of a browser of which none is known.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// Longest work on a request, the longest wait of an open page included.
const REQUEST: Duration = Duration::from_secs(45);
/// Proxies of one request that are looked through.
const PROXIES: usize = 16;
/// How long a browser remembers the language.
const LANGUAGE_KEPT: Duration = Duration::from_secs(365 * 24 * 3600);
/// The policy of every page: nothing from elsewhere, nothing inline.
const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                       manifest-src 'self'; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), \
                           microphone=(), midi=(), payment=(), usb=()";
/// Two years, as lists of browsers ask for.
const TRANSPORT: &str = "max-age=63072000";

/// A request, as pages need to know it.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// The browser's address.
    pub(super) address: IpAddr,
    /// Japanese or English.
    pub(super) language: Language,
    /// The path, for the switch of languages.
    pub(super) path: Arc<str>,
}

impl Visit {
    /// The station that the browser is.
    pub(super) fn station(&self) -> Station {
        match self.address.is_unspecified() {
            true => Station::Unknown,
            false => Station::Address(self.address),
        }
    }
}

/// Goes around every page.
pub(super) async fn guard(
    State(house): State<Arc<House>>,
    mut request: Request,
    next: Next,
) -> Response {
    let chosen = chosen_language(request.uri());
    let visit = Visit {
        address: address(&house, &request),
        language: chosen.unwrap_or_else(|| language(request.headers(), house.is_secure())),
        path: request.uri().path().into(),
    };
    let answer = match refusal(&house, &request, &visit) {
        Some(failure) => failure.into_response(),
        None => {
            request.extensions_mut().insert(visit.clone());
            match timeout(REQUEST, next.run(request)).await {
                Ok(answer) => answer,
                Err(_) => Failure::Slow.into_response(),
            }
        }
    };
    let mut answer = page::explain(&house, &visit, answer);
    if let Some(language) = chosen {
        let (name, value) = ("lang", page::code(language));
        cookies::set(&house, answer.headers_mut(), (name, value), LANGUAGE_KEPT);
    }
    fence(answer.headers_mut(), house.is_secure());
    answer
}

fn refusal(house: &House, request: &Request, visit: &Visit) -> Option<Failure> {
    // What devices and the push service send is signed, and carries no cookie that could be abused.
    let signed = visit.path.starts_with("/device/") || visit.path.starts_with("/push/");
    let limit = match signed {
        true => &house.limits.devices,
        false => &house.limits.pages,
    };
    if !limit.spend(visit.address) {
        return Some(Failure::TooMany);
    }
    let setup = house.setup.load();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads || signed || is_own(request.headers(), setup.settings.url.origin()) {
        return None;
    }
    log::debug!("a form from elsewhere was refused");
    Some(Failure::Elsewhere)
}

/// Whether a form was sent by a page of ours. Every browser says so in one of the two.
fn is_own(headers: &HeaderMap, ours: &str) -> bool {
    let text = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let site = text("sec-fetch-site");
    if site.is_some_and(|site| site != b"same-origin") {
        return false;
    }
    match text("origin") {
        Some(origin) => origin == ours.as_bytes(),
        None => site.is_some(),
    }
}

/// The address of the browser: that of the connection, or what a trusted proxy says. A proxy that says nothing usable leaves it
/// unknown: its own address, which often lies on campus, would put everybody there.
fn address(house: &House, request: &Request) -> IpAddr {
    let setup = house.setup.load();
    let peer = request.extensions().get::<Peer>();
    let peer = peer.map_or(NOBODY, |peer| peer.0);
    if !setup.is_proxy(peer) {
        return peer;
    }
    let fields = request.headers().get_all("x-forwarded-for");
    let fields: Vec<&str> = fields
        .iter()
        .filter_map(|field| field.to_str().ok())
        .collect();
    let mut hops = fields.iter().rev().flat_map(|field| field.rsplit(','));
    let told = forwarded(&mut hops, |address| setup.is_proxy(address));
    told.unwrap_or_else(|| {
        log::debug!("the proxy {peer} does not say in X-Forwarded-For for whom it asks");
        NOBODY
    })
}

/// The last address that is no proxy of ours: what stands before it, anybody can have written.
fn forwarded<'a>(
    hops: &mut impl Iterator<Item = &'a str>,
    is_proxy: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let mut last = None;
    for hop in hops.take(PROXIES) {
        let address: IpAddr = hop.trim().parse().ok()?;
        let address = address.to_canonical();
        last = Some(address);
        if !is_proxy(address) {
            break;
        }
    }
    last
}

fn chosen_language(uri: &Uri) -> Option<Language> {
    let parts = uri.query().unwrap_or_default().split('&');
    parts
        .filter_map(|part| part.strip_prefix("lang="))
        .find_map(read_language)
}

fn read_language(word: &str) -> Option<Language> {
    match word {
        "ja" => Some(Language::Ja),
        "en" => Some(Language::En),
        _ => None,
    }
}

/// As chosen before, or else the first that the browser names and we have, or else Japanese.
fn language(headers: &HeaderMap, secure: bool) -> Language {
    let before = cookies::get(headers, "lang", secure).and_then(read_language);
    let named = headers.get(header::ACCEPT_LANGUAGE);
    let named = named
        .and_then(|named| named.to_str().ok())
        .unwrap_or_default();
    let primary = |part: &str| {
        part.split(['-', ';'])
            .next()
            .map(str::trim)
            .map(str::to_lowercase)
    };
    let first = || {
        let parts = named.split(',').take(16);
        parts
            .filter_map(primary)
            .find_map(|word| read_language(&word))
    };
    before.or_else(first).unwrap_or(Language::Ja)
}

fn fence(headers: &mut HeaderMap, secure: bool) {
    let fields: [(HeaderName, &'static str); 7] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT),
        // Not `no-referrer`: under that, browsers hide the origin of our own forms, too.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if secure {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static(TRANSPORT),
        );
    }
}

/// Nothing is there.
pub(super) async fn nowhere() -> Response {
    Failure::Nowhere.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn forms_come_from_our_own_pages() {
        let ours = "https://mfa.example.ac.jp";
        for (fields, own) in [
            (&[("origin", ours)][..], true),
            (&[("origin", ours), ("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("origin", ours), ("sec-fetch-site", "same-site")], false),
            (
                &[("origin", "https://mfa.example.ac.jp.evil.example")],
                false,
            ),
            (&[("origin", "null")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[], false),
        ] {
            assert_eq!(is_own(&headers(fields), ours), own, "{fields:?}");
        }
    }

    #[test]
    fn proxies_are_believed_as_far_as_they_are_ours() {
        let proxy = |address: IpAddr| address == IpAddr::from([127, 0, 0, 1]);
        for (said, address) in [
            ("203.0.113.5", Some("203.0.113.5")),
            ("198.51.100.1, 203.0.113.5", Some("203.0.113.5")),
            ("198.51.100.1, 203.0.113.5, 127.0.0.1", Some("203.0.113.5")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("::ffff:203.0.113.5", Some("203.0.113.5")),
            ("203.0.113.5, unknown", None),
            ("", None),
        ] {
            let address = address.map(|address| address.parse().unwrap());
            assert_eq!(forwarded(&mut said.rsplit(','), proxy), address, "{said}");
        }
    }

    #[test]
    fn the_language_is_chosen_remembered_or_the_browsers() {
        let chosen = |text: &str| chosen_language(&text.parse().unwrap());
        assert_eq!(chosen("/app?lang=en"), Some(Language::En));
        assert_eq!(chosen("/app?x=1&lang=ja"), Some(Language::Ja));
        assert_eq!(chosen("/app?lang=fr"), None);
        for (fields, expected) in [
            (
                &[("accept-language", "en-GB,en;q=0.9,ja;q=0.8")][..],
                Language::En,
            ),
            (
                &[("accept-language", "fr, ja;q=0.9, en;q=0.8")],
                Language::Ja,
            ),
            (&[("accept-language", "fr")], Language::Ja),
            (&[], Language::Ja),
            (
                &[("cookie", "lang=en"), ("accept-language", "ja")],
                Language::En,
            ),
        ] {
            assert_eq!(language(&headers(fields), false), expected, "{fields:?}");
        }
        let tossed = headers(&[("cookie", "lang=ja; a=b; __Host-lang=en")]);
        assert_eq!(language(&tossed, true), Language::En);
    }
}
