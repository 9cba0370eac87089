//! `[eap]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fault::{Reach, Readers};
use super::reader::{Bounds, Table, Words};
use super::{general, secrets};
use crate::clock::Clock;
use crate::directory;
use crate::eap::{Authenticator, CertificateName, Error, Inner, Method, Settings, Version};
use crate::secret::Secret;

const METHODS: &Words<Method> = &[
    ("ttls", Method::Ttls),
    ("peap", Method::Peap),
    ("tls", Method::Tls),
];
const METHODS_DEFAULT: &str = r#"["ttls", "peap"]"#;
const INNER: &Words<Inner> = &[
    ("pap", Inner::Pap),
    ("gtc", Inner::Gtc),
    ("mschapv2", Inner::MsChapV2),
];
const INNER_DEFAULT: &str = r#"["pap", "gtc"]"#;
const VERSIONS: &Words<Version> = &[("1.2", Version::V12), ("1.3", Version::V13)];
const VERSIONS_DEFAULT: &str = r#"["1.2", "1.3"]"#;
const NAMES: &Words<CertificateName> = &[
    ("mail", CertificateName::Mail),
    ("upn", CertificateName::Upn),
    ("common-name", CertificateName::CommonName),
];
/// At least what a link of the smallest kind carries; at most what leaves room for the other attributes of a RADIUS packet. The
/// default keeps it below the 1500 octets of an Ethernet frame, as FreeRADIUS's does.
const FRAGMENT: Bounds<usize> = Bounds::new(100, 3000, 1024);
/// A working day; at most what a ticket of TLS 1.3 may live (RFC 8446 §4.6.1).
const RESUME_FOR: Bounds<Duration> = Bounds::new(
    Duration::ZERO,
    Duration::from_secs(7 * 86_400),
    Duration::from_secs(8 * 3600),
);
/// Chains, keys and lists of a large CA's revoked certificates are shorter.
const PEM_OCTETS: u64 = 4 << 20;

/// `[eap]`; `None` if the file has none, or what it names cannot be used (then that is a fault).
pub(super) fn read(root: &Table<'_>, directories: &[directory::Settings]) -> Option<Settings> {
    let table = root.table("eap");
    let files = Files::of(&table);
    let chosen = chosen(&table, &files);
    let settings = if table.place.is_some() {
        judge(&table, &chosen, directories);
        let settings = files.fill(&table, chosen);
        settings.and_then(|settings| usable(&table, settings))
    } else {
        None
    };
    table.finish();
    settings
}

/// All but what the files hold.
fn chosen(table: &Table<'_>, files: &Files) -> Settings {
    let versions = words(table, "tls", VERSIONS, VERSIONS_DEFAULT);
    Settings {
        certificate: Vec::new(),
        key: Secret::default(),
        client_ca: Vec::new(),
        crl: Vec::new(),
        files: files.all(),
        methods: words(table, "methods", METHODS, METHODS_DEFAULT),
        inner: words(table, "inner", INNER, INNER_DEFAULT),
        oldest: versions.iter().min().copied().unwrap_or(Version::V12),
        newest: versions.iter().max().copied().unwrap_or(Version::V13),
        fragment: table.number("fragment", FRAGMENT),
        resume_for: table.duration("resume-for", RESUME_FOR),
        certificate_name: table
            .choice("certificate-name", NAMES, "mail")
            .unwrap_or(CertificateName::Mail),
    }
}

/// Some of some words, in their order, or those of the default.
fn words<T: Copy + PartialEq>(
    table: &Table<'_>,
    key: &'static str,
    words: &Words<T>,
    default: &str,
) -> Vec<T> {
    table
        .report
        .asked(&table.kind, key, Some(default.to_owned()));
    table.choices(key, words).unwrap_or_else(|| {
        let named = |word: &str| default.contains(&format!("{word:?}"));
        let known = words.iter().filter(|(word, _)| named(word));
        known.map(|(_, meaning)| *meaning).collect()
    })
}

/// The files that it names.
struct Files {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    crl: Option<PathBuf>,
}

impl Files {
    fn of(table: &Table<'_>) -> Self {
        let path = |key| {
            let path = table.text(key).map(PathBuf::from);
            general::whole_path(table, key, path.as_ref());
            path
        };
        let files = Self {
            certificate: path("certificate-file"),
            key: path("key-file"),
            client_ca: path("client-ca-file"),
            crl: path("crl-file"),
        };
        if table.place.is_some() {
            for (key, example) in [
                ("certificate-file", "\"/etc/sekisho/tls/eap.pem\""),
                ("key-file", "\"/etc/sekisho/tls/eap.key\""),
            ] {
                if !table.has(key) {
                    table.missing(key, example);
                }
            }
        }
        files
    }

    fn all(&self) -> Vec<PathBuf> {
        let files = [&self.certificate, &self.key, &self.client_ca, &self.crl];
        files.into_iter().flatten().cloned().collect()
    }

    fn fill(&self, table: &Table<'_>, settings: Settings) -> Option<Settings> {
        let (certificate, key) = (self.certificate.as_ref()?, self.key.as_ref()?);
        if table.report.reach == Reach::TextAlone {
            return None;
        }
        let certificate = pem(table, "certificate-file", certificate);
        let secret = pem(table, "key-file", key);
        if let Some((_, Readers::Others(mode))) = secret {
            table.report.fault(
                table.at("key-file"),
                format!("{} is open to everybody (mode {mode:04o}).", key.display()),
                format!("Run chmod o= {}.", key.display()),
            );
        }
        let further = |name, path: &Option<PathBuf>| match path {
            Some(path) => pem(table, name, path).map(|(octets, _)| octets),
            None => Some(Vec::new()),
        };
        let client_ca = further("client-ca-file", &self.client_ca);
        let crl = further("crl-file", &self.crl);
        Some(Settings {
            certificate: certificate?.0,
            key: Secret::new(secret?.0),
            client_ca: client_ca?,
            crl: crl?,
            ..settings
        })
    }
}

fn pem(table: &Table<'_>, name: &str, path: &Path) -> Option<(Vec<u8>, Readers)> {
    secrets::read_file(path, PEM_OCTETS)
        .map_err(|why| {
            table.report.fault(
                table.at(name),
                format!("{} cannot be read: {why}.", path.display()),
                "Put it there as PEM, owned by root:sekisho with mode 0640; sekisho cert makes one.",
            );
        })
        .ok()
}

/// Says what cannot be used, as `eap` finds it.
fn usable(table: &Table<'_>, settings: Settings) -> Option<Settings> {
    let Err(error) = Authenticator::<()>::new(&settings, Clock::system()) else {
        return Some(settings);
    };
    let (key, mend) = match &error {
        Error::Certificate(_) => (
            "certificate-file",
            "Write the PEM files of the server's certificate, with those that signed it, and of its key.",
        ),
        Error::ClientCa(_) => (
            "client-ca-file",
            "Write the PEM files of the CAs that sign client certificates, and of their revocation lists.",
        ),
        Error::Chain { .. } => (
            "certificate-file",
            "Leave the root out of the file, use an ECDSA certificate, or make fragment larger.",
        ),
    };
    table
        .report
        .fault(table.at(key), format!("EAP cannot begin: {error}."), mend);
    None
}

fn judge(table: &Table<'_>, settings: &Settings, directories: &[directory::Settings]) {
    judge_certificates(table, settings);
    let (methods, inner) = (&settings.methods, &settings.inner);
    let (ttls, peap) = (
        methods.contains(&Method::Ttls),
        methods.contains(&Method::Peap),
    );
    let pap_alone = inner.iter().all(|inner| *inner == Inner::Pap);
    if peap && pap_alone && !inner.is_empty() {
        let place = match table.has("methods") {
            true => table.at("methods"),
            false => table.at("inner"),
        };
        table.report.fault(
            place,
            "In PEAP there is no PAP, and `inner` has nothing else.",
            "Add \"gtc\" to inner, or take \"peap\" out of methods.",
        );
    }
    if table.has("inner") && !ttls && !peap && !methods.is_empty() {
        table.report.warn(
            table.at("inner"),
            "`inner` has no effect: by EAP-TLS there is nothing inside.",
            "Remove it, or add \"ttls\" or \"peap\" to methods.",
        );
    }
    if inner.contains(&Inner::MsChapV2) && !directories.iter().any(|one| one.nt_hash.is_some()) {
        table.report.warn(
            table.at("inner"),
            "`inner` holds \"mschapv2\", but no directory has an attribute of NT hashes: every such login is refused.",
            "Set nt-hash in [directory.NAME], or take \"mschapv2\" out of inner.",
        );
    }
}

fn judge_certificates(table: &Table<'_>, settings: &Settings) {
    let tls = settings.methods.contains(&Method::Tls);
    if tls && !table.has("client-ca-file") {
        table.report.fault(
            table.at("methods"),
            "`methods` holds \"tls\", but without `client-ca-file` nobody's certificate could be believed.",
            "Add client-ca-file = \"/etc/sekisho/tls/clients.pem\".",
        );
    }
    for key in ["client-ca-file", "crl-file"] {
        if table.has(key) && !tls {
            table.report.warn(
                table.at(key),
                format!("`{key}` has no effect: `methods` does not hold \"tls\"."),
                "Add \"tls\" to methods, or remove it.",
            );
        }
    }
}
