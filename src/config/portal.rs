//! `[portal]`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::fault::{Reach, Readers};
use super::reader::{Bounds, Table};
use super::{clients, general, rules, secrets, wifi};
use crate::access;
use crate::portal::{CLIENT, Settings, Tls, Url};
use crate::secret::Secret;

const LISTEN: &str = "[::]:8443";

const fn seconds(least: u64, most: u64, default: u64) -> Bounds<Duration> {
    Bounds::new(
        Duration::from_secs(least),
        Duration::from_secs(most),
        Duration::from_secs(default),
    )
}
const SESSION_LIFE: Bounds<Duration> = seconds(300, 24 * 3600, 3600);
/// As long as it takes to find the other phone.
const RE_PROOF: Bounds<Duration> = seconds(60, 3600, 600);
/// Chains and keys of any kind are shorter.
const PEM_OCTETS: u64 = 256 << 10;

/// `[portal]`; `None` if the file has none: then there is no portal.
pub(super) fn read(root: &Table<'_>, access: &access::Settings) -> Option<Settings> {
    let table = root.table("portal");
    let url = url(&table);
    let listen = clients::sockets(&table, "listen", LISTEN, &mut Vec::new());
    let tls = tls(&table);
    let trusted_proxy = clients::networks(&table, "trusted-proxy").unwrap_or_default();
    let enrol_from = enrol_from(&table, access);
    let session_life = table.duration("session-life", SESSION_LIFE);
    let re_proof = table.duration("re-proof", RE_PROOF);
    let password_url = password_url(&table);
    let desk = rules::label(&table, "desk", ("", ""));
    let clients = access.clients.iter();
    let clients = clients.map(|client| (client.name.clone(), client.label.clone()));
    let wifi = wifi::read(root);
    let settings = url.map(|url| Settings {
        listen,
        url,
        tls,
        trusted_proxy,
        enrol_from,
        session_life,
        re_proof,
        password_url,
        desk,
        issuer: access.issuer.clone(),
        clients: clients.collect(),
        wifi,
    });
    if let Some(settings) = &settings {
        judge(&table, settings);
    }
    table.finish();
    settings
}

fn url(table: &Table<'_>) -> Option<Url> {
    let text = table.text("url");
    if table.place.is_some() && !table.has("url") {
        table.missing("url", "\"https://mfa.example.ac.jp\"");
    }
    Url::read(text?)
        .map_err(|why| {
            table.report.fault(
                table.at("url"),
                format!("`url` {why}."),
                "Write the address at which browsers find the portal, such as \"https://mfa.example.ac.jp\".",
            );
        })
        .ok()
}

fn judge(table: &Table<'_>, settings: &Settings) {
    let mut listen = settings.listen.iter();
    let loopback = listen.all(|address| address.ip().to_canonical().is_loopback());
    if settings.tls.is_none()
        && !loopback
        && settings.trusted_proxy.is_empty()
        && !table.has("certificate")
    {
        table.report.fault(
            table.at("listen"),
            "Passwords would cross the network in clear: there is neither a certificate nor a proxy in front.",
            "Add certificate and certificate-key; or name the proxy that has them in trusted-proxy; or listen on 127.0.0.1.",
        );
    }
    if let Some((client, _)) = settings
        .clients
        .iter()
        .find(|(name, _)| name.as_str() == CLIENT)
    {
        table.report.fault(
            table.place,
            format!(
                "A client is called {:?}, as the portal is in rules and in the trail.",
                client.as_str()
            ),
            "Give the client another name.",
        );
    }
    if settings.tls.is_some() && !settings.url.is_secure() {
        table.report.fault(
            table.at("url"),
            "`url` is http, but there is a certificate.",
            "Write https://.",
        );
    }
}

fn enrol_from(table: &Table<'_>, access: &access::Settings) -> Vec<Arc<str>> {
    let texts = table.texts("enrol-from").unwrap_or_default();
    let mut zones = Vec::with_capacity(texts.len());
    for (text, place) in texts {
        match access.zones.iter().find(|zone| *zone.name == *text) {
            Some(zone) => zones.push(zone.name.clone()),
            None => table.report.fault(
                Some(place),
                format!("There is no zone {text:?}."),
                "Add its table, as in [zone.campus], or name another. People outside cannot enrol by a password alone.",
            ),
        }
    }
    zones
}

fn password_url(table: &Table<'_>) -> Option<String> {
    let text = table.text("password-url")?;
    let sound = (text.starts_with("https://") || text.starts_with("http://"))
        && text
            .chars()
            .all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c));
    if !sound {
        table.report.fault(
            table.at("password-url"),
            format!("`password-url` cannot be {text:?}."),
            "Write the address of the page where a password is changed, such as \"https://id.example.ac.jp/password\".",
        );
    }
    sound.then(|| text.to_owned())
}

/// The certificate with its key; `None` when there is none, or one that cannot be used (then that is a fault).
fn tls(table: &Table<'_>) -> Option<Tls> {
    let certificate = table.text("certificate").map(PathBuf::from);
    let key = table.text("certificate-key").map(PathBuf::from);
    general::whole_path(table, "certificate", certificate.as_ref());
    general::whole_path(table, "certificate-key", key.as_ref());
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return None,
        (Some(_), None) => {
            table.missing("certificate-key", "\"/etc/sekisho/tls/portal.key\"");
            return None;
        }
        (None, Some(_)) => {
            table.missing("certificate", "\"/etc/sekisho/tls/portal.pem\"");
            return None;
        }
    };
    if table.report.reach == Reach::TextAlone {
        return None;
    }
    let (chain, _) = pem(table, "certificate", &certificate)?;
    let secret = private_pem(table, "certificate-key", &key)?;
    Tls::new(&chain, &secret)
        .map_err(|why| {
            table.report.fault(
                table.at("certificate"),
                format!("The certificate cannot be served: {why}."),
                "Write the PEM files of the portal's certificate, with those that signed it, and of its key.",
            );
        })
        .ok()
}

/// A private key, which others may not read.
pub(super) fn private_pem(table: &Table<'_>, name: &str, path: &Path) -> Option<Secret> {
    let (octets, readers) = pem(table, name, path)?;
    if let Readers::Others(mode) = readers {
        table.report.fault(
            table.at(name),
            format!("{} is open to everybody (mode {mode:04o}).", path.display()),
            format!("Run chmod o= {}.", path.display()),
        );
    }
    Some(Secret::new(octets))
}

/// A PEM file, and who else may read it; `None` if it cannot be read (then that is a fault).
pub(super) fn pem(table: &Table<'_>, name: &str, path: &Path) -> Option<(Vec<u8>, Readers)> {
    secrets::read_file(path, PEM_OCTETS)
        .map_err(|why| {
            table.report.fault(
                table.at(name),
                format!("{} cannot be read: {why}.", path.display()),
                "Put it there as PEM, owned by root:sekisho with mode 0640.",
            );
        })
        .ok()
}
