//! The page about joining the Wi-Fi, and its files. There is nothing secret in them: whoever has no network yet must get them
//! without signing in, and who has signed in finds their name filled in.
//!
//! The profile for Apple's systems is not signed. The key at hand is the portal's, in use for TLS; a signature by it would say no
//! more than the page's own address does, and end with the certificate every few months.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::Response;
use data_encoding::{BASE64, HEXLOWER};

use crate::portal::House;
use crate::portal::page::{Failure, Frame, show, typed};
use crate::portal::session::Maybe;
use crate::portal::texts::{self, Words};
use crate::portal::visit::Visit;
use crate::portal::wifi::{Authority, Method, Wifi};

/// A profile of Apple's systems.
const PROFILE: &str = "application/x-apple-aspen-config";
/// A certificate as DER.
const CERTIFICATE: &str = "application/x-x509-ca-cert";
/// Certificates as PEM.
const PEM: &str = "application/x-pem-file";

#[derive(Template)]
#[template(path = "wifi.html", config = "src/portal/askama.toml")]
struct Page<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    w: &'static texts::Wifi,
    wifi: &'a Wifi,
    is_ttls: bool,
    /// The name of the CA that is chosen from lists.
    first: &'a str,
    /// The server's names, as Windows, Android and wpa_supplicant take several.
    names: String,
    block: String,
}

pub(super) async fn page(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Maybe(signed): Maybe,
) -> Result<Response, Failure> {
    let setup = house.setup.load();
    let wifi = setup.settings.wifi.as_ref().ok_or(Failure::Nowhere)?;
    let t = texts::words(visit.language);
    let user = signed.as_ref().map(|signed| signed.shown());
    let first = wifi.authorities.list().first();
    Ok(show(&Page {
        frame: Frame::new(&setup.settings, &visit, signed.as_ref()),
        t,
        w: &t.wifi,
        wifi,
        is_ttls: is_ttls(wifi),
        first: first.map_or("", |first| &first.name),
        names: wifi.server_names.join(";"),
        block: block(wifi, user),
    }))
}

fn is_ttls(wifi: &Wifi) -> bool {
    matches!(wifi.method, Method::TtlsPap)
}

/// The networks as wpa_supplicant's configuration takes them. `domain_match` wants one of the names whole.
fn block(wifi: &Wifi, user: Option<&str>) -> String {
    let networks = wifi.ssids.iter().map(|ssid| {
        let identity = quoted(user.unwrap_or("user"));
        format!(
            "network={{\n\tssid={}\n\tkey_mgmt=WPA-EAP\n\teap={}\n\tphase2=\"auth={}\"\n\tidentity={identity}\n\tanonymous_identity={}\n\
             \tca_cert=\"/etc/ssl/wifi-ca.pem\"\n\tdomain_match=\"{}\"\n}}\n",
            quoted(ssid),
            wifi.method.outer(),
            wifi.method.inner(),
            quoted(&wifi.outer),
            wifi.server_names.join(";"),
        )
    });
    networks.collect()
}

/// A text as wpa_supplicant reads it: in quotes, or in hex where it holds one.
fn quoted(text: &str) -> String {
    match text.chars().any(|c| c == '"' || c.is_control()) {
        true => HEXLOWER.encode(text.as_bytes()),
        false => format!("\"{text}\""),
    }
}

#[derive(Template)]
#[template(path = "wifi.xml", config = "src/portal/askama.toml")]
struct Profile<'a> {
    /// By which a device knows that it has the profile already.
    id: String,
    uuid: String,
    title: String,
    about: &'static str,
    issuer: &'a str,
    wifi: &'a Wifi,
    is_ttls: bool,
    user: Option<&'a str>,
    authorities: Vec<Anchor<'a>>,
    networks: Vec<Network<'a>>,
}

struct Anchor<'a> {
    uuid: String,
    name: &'a str,
    content: String,
}

struct Network<'a> {
    uuid: String,
    ssid: &'a str,
}

pub(super) async fn profile(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Maybe(signed): Maybe,
) -> Result<Response, Failure> {
    let setup = house.setup.load();
    let settings = &setup.settings;
    let wifi = settings.wifi.as_ref().ok_or(Failure::Nowhere)?;
    let t = texts::words(visit.language);
    let origin = settings.url.origin();
    let issuer = settings.issuer.text(visit.language);
    let profile = Profile {
        id: format!("{}.wifi", reversed(settings.url.host())),
        uuid: uuid(origin, "profile", ""),
        title: t.wifi.profile.replace("{}", issuer),
        about: t.wifi.profile_about,
        issuer,
        wifi,
        is_ttls: is_ttls(wifi),
        user: signed.as_ref().map(|signed| signed.shown()),
        authorities: wifi
            .authorities
            .list()
            .iter()
            .map(|ca| anchor(origin, ca))
            .collect(),
        networks: wifi
            .ssids
            .iter()
            .map(|ssid| Network {
                uuid: uuid(origin, "network", ssid),
                ssid,
            })
            .collect(),
    };
    let text = profile.render().map_err(|error| {
        log::error!("the profile for Wi-Fi could not be made: {error}");
        Failure::Trouble
    })?;
    Ok(saved("wifi.mobileconfig", typed(PROFILE, text)))
}

fn anchor<'a>(origin: &str, ca: &'a Authority) -> Anchor<'a> {
    Anchor {
        uuid: uuid(origin, "ca", &ca.sha256),
        name: &ca.name,
        content: BASE64.encode(&ca.der),
    }
}

/// `jp.ac.example.mfa`, as Apple writes identifiers.
fn reversed(host: &str) -> String {
    let labels: Vec<&str> = host.rsplit('.').collect();
    labels.join(".")
}

/// The same for the same thing each time, so that a profile replaces itself (RFC 9562 §5.8).
fn uuid(origin: &str, kind: &str, name: &str) -> String {
    let text = format!("{origin}\n{kind}\n{name}");
    let print = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let mut octets = [0; 16];
    for (octet, printed) in octets.iter_mut().zip(print.as_ref()) {
        *octet = *printed;
    }
    let value = u128::from_be_bytes(octets);
    let value = value & !(0xf << 76) | (0x8 << 76);
    let value = value & !(0x3 << 62) | (0x2 << 62);
    let hex = format!("{value:032X}");
    let mut parts = Vec::with_capacity(5);
    let mut rest = hex.as_str();
    for length in [8, 4, 4, 4, 12] {
        let (part, behind) = rest.split_at(length.min(rest.len()));
        parts.push(part);
        rest = behind;
    }
    parts.join("-")
}

/// The CA of a number, from 1, as devices take it.
pub(super) async fn authority(
    State(house): State<Arc<House>>,
    Path(number): Path<usize>,
) -> Result<Response, Failure> {
    let setup = house.setup.load();
    let wifi = setup.settings.wifi.as_ref().ok_or(Failure::Nowhere)?;
    let at = number.checked_sub(1).ok_or(Failure::Nowhere)?;
    let ca = wifi.authorities.list().get(at).ok_or(Failure::Nowhere)?;
    Ok(saved("wifi-ca.cer", typed(CERTIFICATE, ca.der.to_vec())))
}

/// Every CA, as programs take them.
pub(super) async fn pem(State(house): State<Arc<House>>) -> Result<Response, Failure> {
    let setup = house.setup.load();
    let wifi = setup.settings.wifi.as_ref().ok_or(Failure::Nowhere)?;
    let pem = wifi.authorities.pem().to_vec();
    Ok(saved("wifi-ca.pem", typed(PEM, pem)))
}

/// A file that is kept under its name, not shown.
fn saved(name: &'static str, mut file: Response) -> Response {
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        file.headers_mut()
            .insert(header::CONTENT_DISPOSITION, disposition);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::wifi::Authorities;
    use crate::portal::wifi::tests::ca;

    #[test]
    fn uuids_are_such_and_of_their_thing() {
        let one = uuid("https://mfa.example.ac.jp", "network", "campus");
        assert_eq!(one, uuid("https://mfa.example.ac.jp", "network", "campus"));
        assert_ne!(one, uuid("https://mfa.example.ac.jp", "network", "guest"));
        let parts: Vec<&str> = one.split('-').collect();
        assert_eq!(
            parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
            [8, 4, 4, 4, 12]
        );
        assert!(
            parts[2].starts_with('8') && "89AB".contains(&parts[3][..1]),
            "{one}"
        );
    }

    #[test]
    fn names_that_hold_a_quote_cannot_end_it() {
        let wifi = Wifi {
            ssids: vec!["a\"\n}".to_owned()],
            authorities: Authorities::new(ca("CA").as_bytes()).unwrap(),
            server_names: vec!["a.example".to_owned(), "b.example".to_owned()],
            outer: "anonymous@example.ac.jp".to_owned(),
            method: Method::PeapMsChapV2,
        };
        let text = block(&wifi, Some("山田"));
        assert!(text.contains("\tssid=61220a7d\n"), "{text}");
        assert!(text.contains("\tidentity=\"山田\"\n"), "{text}");
        assert!(
            text.contains("\tdomain_match=\"a.example;b.example\"\n"),
            "{text}"
        );
        assert!(
            text.contains("\teap=PEAP\n\tphase2=\"auth=MSCHAPV2\"\n"),
            "{text}"
        );
    }

    #[test]
    fn identifiers_begin_with_the_country() {
        assert_eq!(reversed("mfa.example.ac.jp"), "jp.ac.example.mfa");
    }
}
