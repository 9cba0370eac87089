//! `[wifi]`: what the portal tells people about joining it.

use std::path::PathBuf;

use rustls::pki_types::DnsName;

use super::fault::{Place, Reach};
use super::general;
use super::portal::pem;
use super::reader::{Table, Words};
use crate::portal::{Authorities, Method, Wifi};

const OUTER: &str = "anonymous";
/// Networks of one profile, each a part of it.
const SSIDS_MOST: usize = 8;
/// Octets of a network's name (IEEE 802.11 §9.4.2.2).
const SSID_OCTETS: usize = 32;
/// Servers behind one name each, or one name for all.
const NAMES_MOST: usize = 8;
/// Octets of a User-Name (RFC 2865 §5.1).
const OUTER_OCTETS: usize = 253;

const METHODS: &Words<Method> = &[
    ("ttls-pap", Method::TtlsPap),
    ("peap-gtc", Method::PeapGtc),
    ("peap-mschapv2", Method::PeapMsChapV2),
];

/// `[wifi]`; `None` if the file has none, or has faults there.
pub(super) fn read(root: &Table<'_>) -> Option<Wifi> {
    let table = root.table("wifi");
    let is_there = table.place.is_some();
    let ssids = listed(&table, "ssid", "\"campus\"", (SSIDS_MOST, ssid));
    let server_names = listed(
        &table,
        "server-names",
        "\"radius.example.ac.jp\"",
        (NAMES_MOST, name),
    );
    let outer = table.text_or("outer-identity", OUTER);
    let method = table.choice("method", METHODS, "ttls-pap");
    let file = table.text("ca-file").map(PathBuf::from);
    general::whole_path(&table, "ca-file", file.as_ref());
    if is_there && !table.has("ca-file") {
        table.missing("ca-file", "\"/etc/sekisho/tls/wifi-ca.pem\"");
    }
    if is_there && !root.has("portal") {
        table.report.fault(
            table.place,
            "[wifi] says what the portal tells people, but there is no portal without [portal].",
            "Add [portal], or remove [wifi].",
        );
    }
    let outer = outer_identity(&table, outer);
    let authorities = authorities(&table, file);
    table.finish();
    Some(Wifi {
        ssids: ssids?,
        authorities: authorities?,
        server_names: server_names?,
        outer: outer?,
        method: method?,
    })
}

/// Whether a text is sound, or what would be.
type Sound = fn(&str) -> Result<(), &'static str>;

/// Texts of which each must be sound: at least one, and not more than so many.
fn listed(
    table: &Table<'_>,
    key: &'static str,
    example: &str,
    (most, sound): (usize, Sound),
) -> Option<Vec<String>> {
    let texts = table.texts(key);
    if table.place.is_some() && !table.has(key) || table.is_empty_list(key) {
        table.missing(key, example);
    }
    let texts: Vec<(&str, Place)> = texts?;
    if texts.len() > most {
        table.report.fault(
            table.at(key),
            format!("`{key}` names {}.", texts.len()),
            format!("It may name {most}."),
        );
        return None;
    }
    let mut good = Vec::with_capacity(texts.len());
    for (text, place) in &texts {
        match sound(text) {
            Ok(()) => good.push((*text).to_owned()),
            Err(mend) => {
                let what = format!("`{key}` cannot be {text:?}.");
                table.report.fault(Some(*place), what, mend);
            }
        }
    }
    (!good.is_empty() && good.len() == texts.len()).then_some(good)
}

fn ssid(text: &str) -> Result<(), &'static str> {
    match text.len() <= SSID_OCTETS && !text.chars().any(char::is_control) {
        true => Ok(()),
        false => Err("Write the network's name: 1 to 32 octets, without control characters."),
    }
}

fn name(text: &str) -> Result<(), &'static str> {
    // A pattern would let devices believe other servers that the CA signed for.
    match DnsName::try_from(text) {
        Ok(_) => Ok(()),
        Err(_) => {
            Err("Write a DNS name of the server's certificate, such as \"radius.example.ac.jp\".")
        }
    }
}

fn outer_identity(table: &Table<'_>, text: &str) -> Option<String> {
    let sound = |c: char| c.is_ascii_graphic() && !"\"\\".contains(c);
    if text.len() > OUTER_OCTETS || !text.chars().all(sound) {
        table.report.fault(
            table.at("outer-identity"),
            format!("`outer-identity` cannot be {text:?}."),
            "Write a name that is nobody's, such as \"anonymous@example.ac.jp\".",
        );
        return None;
    }
    Some(text.to_owned())
}

fn authorities(table: &Table<'_>, file: Option<PathBuf>) -> Option<Authorities> {
    if table.report.reach == Reach::TextAlone {
        return None;
    }
    let file = file?;
    let (octets, _) = pem(table, "ca-file", &file)?;
    Authorities::new(&octets)
        .map_err(|why| {
            table.report.fault(
                table.at("ca-file"),
                format!("{} cannot be handed out: {why}.", file.display()),
                "Write the PEM file of the CA that signed the RADIUS server's certificate; sekisho cert show says what is in one.",
            );
        })
        .ok()
}
