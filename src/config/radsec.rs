//! `[radius.tls]`, and the names by which clients are known there.

use std::path::PathBuf;

use super::fault::Reach;
use super::reader::Table;
use super::{clients, general, portal};
use crate::server::{BadIdentity, Client, Identity, PeerName, Pem, TlsSettings, Transport};

const LISTEN: &str = "[::]:2083";
/// Names of one client: each is a place in a table.
const NAMES_MOST: usize = 4096;

/// `[radius.tls]`; `None` if the file has none: then nobody connects.
pub(super) fn read(radius: &Table<'_>, all: &[Client]) -> Option<TlsSettings> {
    let table = radius.table("tls");
    let listen = clients::sockets(&table, "listen", LISTEN, &mut Vec::new());
    let files = Files::read(&table);
    let is_there = table.place.is_some();
    if is_there && table.is_empty_list("listen") {
        table.report.fault(
            table.at("listen"),
            "`listen` is an empty list.",
            format!("Write [\"{LISTEN}\"], or remove [radius.tls]."),
        );
    }
    let connects = |client: &Client| !client.transport.names().is_empty();
    if is_there && !all.iter().any(connects) {
        table.report.warn(
            table.place,
            "[radius.tls] is there, but no client has a `tls-name`: nobody could connect.",
            "Give the client tls-name, as in tls-name = [\"ap1.example.ac.jp\"].",
        );
    }
    let identity = files.and_then(|files| files.identity(&table));
    table.finish();
    Some(TlsSettings {
        listen,
        identity: identity?,
    })
}

/// The files that the table names.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: PathBuf,
    crl: Option<PathBuf>,
}

impl Files {
    fn read(table: &Table<'_>) -> Option<Self> {
        let path = |key| {
            let path = table.text(key).map(PathBuf::from);
            general::whole_path(table, key, path.as_ref());
            path
        };
        let needed = |key, example| {
            let path = path(key);
            if table.place.is_some() && !table.has(key) {
                table.missing(key, example);
            }
            path
        };
        let certificate = needed("certificate-file", "\"/etc/sekisho/tls/radius.pem\"");
        let key = needed("key-file", "\"/etc/sekisho/tls/radius.key\"");
        let client_ca = needed("client-ca-file", "\"/etc/sekisho/tls/clients-ca.pem\"");
        let crl = path("crl-file");
        Some(Self {
            certificate: certificate?,
            key: key?,
            client_ca: client_ca?,
            crl,
        })
    }

    fn identity(&self, table: &Table<'_>) -> Option<Identity> {
        if table.report.reach == Reach::TextAlone {
            return None;
        }
        let (certificate, _) = portal::pem(table, "certificate-file", &self.certificate)?;
        let key = portal::private_pem(table, "key-file", &self.key)?;
        let (client_ca, _) = portal::pem(table, "client-ca-file", &self.client_ca)?;
        let crl = match &self.crl {
            Some(path) => Some(portal::pem(table, "crl-file", path)?.0),
            None => None,
        };
        let pem = Pem {
            certificate: &certificate,
            key: &key,
            client_ca: &client_ca,
            crl: crl.as_deref(),
        };
        Identity::new(pem)
            .map_err(|why| {
                let key = match why {
                    BadIdentity::Certificate(_) | BadIdentity::Unfit(_) => "certificate-file",
                    BadIdentity::Key(_) => "key-file",
                    BadIdentity::Authority(_) => "client-ca-file",
                    BadIdentity::Revocation(_) => "crl-file",
                };
                table.report.fault(
                    table.at(key),
                    format!("`{key}` cannot be used: {why}."),
                    "Write the PEM files of this server's certificate, its key, and the authority of the clients' certificates.",
                );
            })
            .ok()
    }
}

/// How a client's requests come: by TLS if it has names, by datagrams if it has a secret or no names.
pub(super) fn transport(
    (root, table): (&Table<'_>, &Table<'_>),
    has_secret: bool,
    known: &mut Vec<PeerName>,
) -> Transport {
    let Some(texts) = table.texts("tls-name") else {
        return Transport::Datagrams;
    };
    let at = table.at("tls-name");
    if table.is_empty_list("tls-name") || texts.len() > NAMES_MOST {
        table.report.fault(
            at,
            format!("`tls-name` has no name, or more than {NAMES_MOST}."),
            "Write the names in the client's certificates; \"*.\" in front stands for one label.",
        );
    }
    if !root.table("radius").has("tls") {
        table.report.warn(
            at,
            "`tls-name` is given, but there is no [radius.tls]: this client has nowhere to connect to.",
            "Add [radius.tls] with certificate-file, key-file and client-ca-file.",
        );
    }
    let mut names = Vec::with_capacity(texts.len());
    for (text, place) in texts {
        match PeerName::read(text) {
            None => table.report.fault(
                Some(place),
                format!("`tls-name`: {text:?} is no name of a certificate."),
                "Write such as \"ap1.example.ac.jp\" or \"*.ap.example.ac.jp\".",
            ),
            Some(name) if known.contains(&name) => table.report.fault(
                Some(place),
                format!("`tls-name`: {text:?} is already a client's."),
                "Give each name to one client.",
            ),
            Some(name) => {
                known.push(name.clone());
                names.push(name);
            }
        }
    }
    if has_secret {
        Transport::Both(names)
    } else {
        Transport::Tls(names)
    }
}
