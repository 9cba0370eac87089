//! Makes keys and certificates as devices want them (RFC 5280 §4.2, RFC 5216 §5.3). Keys are ECDSA on P-256: every system takes
//! them, and a handshake by them is short.
//!
//! A server's certificate names serverAuth alone: no supplicant asks for id-kp-eapOverLAN (RFC 4334 §2), and nobody has shown what
//! all of them do when they meet it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, DnsName};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;
use zeroize::Zeroizing;

use crate::cli::Failure;
use crate::clock::Timestamp;
use crate::daemon::Certificate;

const DAY: i64 = 24 * 3600;
/// So much earlier a certificate begins: clocks of devices are off by minutes, and by hours where a zone is wrong.
const BEFORE: i64 = DAY;
/// Characters of a common name (RFC 5280 appendix A.1, ub-common-name).
const NAME_CHARS: usize = 64;
/// Names of one server.
const NAMES_MOST: usize = 16;
/// Octets of a mail address (RFC 5321 §4.5.3.1.3, less the brackets).
const MAIL_OCTETS: usize = 254;
/// Octets of a CA's certificate or key, as PEM.
const FILE_OCTETS: u64 = 64 << 10;
/// Permission bits of those who are not the owner.
const OTHERS: u32 = 0o077;

/// What is signed.
pub(super) enum Wanted {
    /// A server of these names, at least one.
    Server(Vec<String>),
    /// A device of the person with this mail address.
    Client(String),
}

/// A certificate and its key, as PEM.
pub(super) struct Made {
    pub(super) certificate: String,
    pub(super) key: Zeroizing<String>,
    /// Whether it ends earlier than asked, with its CA.
    pub(super) is_cut: bool,
}

impl Made {
    /// What it says.
    pub(super) fn read(&self) -> Result<Certificate, Failure> {
        let read = Certificate::read_all(self.certificate.as_bytes());
        let mut read = read.map_err(unmade)?;
        read.pop().ok_or_else(|| unmade("there is none"))
    }
}

fn unmade(why: impl std::fmt::Display) -> Failure {
    Failure::new(format!("The certificate could not be made: {why}."))
}

/// Makes a CA that signs itself, for so many days.
pub(super) fn ca(name: &str, life: (Timestamp, u32)) -> Result<Made, Failure> {
    let is_fit = !name.trim().is_empty()
        && name.chars().count() <= NAME_CHARS
        && !name.chars().any(char::is_control);
    if !is_fit {
        return Err(Failure::usage(
            "A CA's name has 1 to 64 characters, without control characters.",
        ));
    }
    let mut params = begun(life, None)?.0;
    params.distinguished_name.push(DnType::CommonName, name);
    // It signs servers and devices, and no other CA.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = Zeroizing::new(KeyPair::generate().map_err(unmade)?);
    let certificate = params.self_signed(&*key).map_err(unmade)?;
    Ok(Made {
        certificate: certificate.pem(),
        key: key.serialize_pem().into(),
        is_cut: false,
    })
}

/// Parameters of a certificate with that life, which does not end after `last`; and whether that cut it.
fn begun(
    (now, days): (Timestamp, u32),
    last: Option<Timestamp>,
) -> Result<(CertificateParams, bool), Failure> {
    let now = now.millis().div_euclid(1000);
    // The last second counts (RFC 5280 §4.1.2.5).
    let asked = now - BEFORE + i64::from(days) * DAY - 1;
    let last = last.map_or(i64::MAX, |last| last.millis().div_euclid(1000));
    let moment = |secs: i64| {
        let moment = ASN1Time::from_timestamp(secs);
        moment.map(|moment| moment.to_datetime()).map_err(unmade)
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = moment(now - BEFORE)?;
    params.not_after = moment(asked.min(last))?;
    params.use_authority_key_identifier_extension = true;
    Ok((params, asked > last))
}

/// A CA that can sign.
pub(super) struct Authority {
    /// Its certificate.
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
    ends: Timestamp,
}

impl Authority {
    /// Opens the CA in a folder: `ca.pem`, and `ca.key` which nobody but its owner may read.
    pub(super) fn open(folder: &Path, now: Timestamp) -> Result<Self, Failure> {
        let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
        let pem = read(&certificate)?;
        let secret = read(&key)?;
        is_private(&key)?;
        let is_no_ca = |why: &str| Failure::new(format!("{}: {why}.", certificate.display()));
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| is_no_ca("there is no certificate in it"))?;
        let (_, x509) =
            X509Certificate::from_der(&der).map_err(|_| is_no_ca("it cannot be read"))?;
        if !x509.is_ca() {
            return Err(is_no_ca("it is the certificate of no CA"));
        }
        let ends = Timestamp::from_secs(x509.validity().not_after.timestamp());
        if ends <= now {
            return Err(is_no_ca("the CA has ended"));
        }
        let pair = KeyPair::from_pem(&secret)
            .map_err(|why| Failure::new(format!("{}: {why}.", key.display())))?;
        if pair.der_bytes() != &*x509.public_key().subject_public_key.data {
            return Err(Failure::new(format!(
                "{} is not the key of {}.",
                key.display(),
                certificate.display()
            )));
        }
        let issuer = Issuer::from_ca_cert_der(&der, pair).map_err(unmade)?;
        Ok(Self {
            pem: pem.to_string(),
            issuer,
            ends,
        })
    }

    /// Makes a key and signs its certificate, for so many days or until the CA ends.
    pub(super) fn sign(&self, wanted: Wanted, life: (Timestamp, u32)) -> Result<Made, Failure> {
        let (mut params, is_cut) = begun(life, Some(self.ends))?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.is_ca = IsCa::ExplicitNoCa;
        match wanted {
            Wanted::Server(names) => of_server(&mut params, names)?,
            Wanted::Client(mail) => of_client(&mut params, mail)?,
        }
        let key = Zeroizing::new(KeyPair::generate().map_err(unmade)?);
        let certificate = params.signed_by(&*key, &self.issuer).map_err(unmade)?;
        Ok(Made {
            certificate: certificate.pem(),
            key: key.serialize_pem().into(),
            is_cut,
        })
    }
}

fn of_server(params: &mut CertificateParams, names: Vec<String>) -> Result<(), Failure> {
    if names.len() > NAMES_MOST {
        return Err(Failure::usage(format!(
            "A server has {NAMES_MOST} names at most."
        )));
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in names {
        if DnsName::try_from(name.as_str()).is_err() || !name.contains('.') {
            return Err(Failure::usage(format!(
                "{name:?} is no whole DNS name, such as radius.example.ac.jp."
            )));
        }
        if params.subject_alt_names.is_empty() && name.len() <= NAME_CHARS {
            params.distinguished_name.push(DnType::CommonName, &*name);
        }
        let name = name.try_into().map_err(unmade)?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    Ok(())
}

fn of_client(params: &mut CertificateParams, mail: String) -> Result<(), Failure> {
    let parts = mail.split_once('@');
    let is_fit = mail.len() <= MAIL_OCTETS
        && parts.is_some_and(|(user, host)| {
            !user.is_empty()
                && user.chars().all(|c| c.is_ascii_graphic() && c != '@')
                && DnsName::try_from(host).is_ok()
        });
    if !is_fit {
        return Err(Failure::usage(format!("{mail:?} is no mail address.")));
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let short: String = mail.chars().take(NAME_CHARS).collect();
    params.distinguished_name.push(DnType::CommonName, short);
    let mail = mail.try_into().map_err(unmade)?;
    params.subject_alt_names = vec![SanType::Rfc822Name(mail)];
    Ok(())
}

/// A file of text, which may be secret.
fn read(path: &PathBuf) -> Result<Zeroizing<String>, Failure> {
    use std::io::Read as _;
    let mut text = Zeroizing::new(String::new());
    fs::File::open(path)
        .and_then(|file| file.take(FILE_OCTETS).read_to_string(&mut text))
        .map_err(|why| Failure::new(format!("{} cannot be read: {why}.", path.display())))?;
    Ok(text)
}

fn is_private(key: &Path) -> Result<(), Failure> {
    let mode = fs::metadata(key)?.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let key = key.display();
    Err(Failure::new(format!(
        "{key} is open to others (mode {:04o}). Run chmod 600 {key}, and think about who may have read it.",
        mode & 0o777
    )))
}
