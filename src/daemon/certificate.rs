//! One certificate as administrators need to know it: whose it is, how long it holds, and what those who connect would miss in it.
//!
//! Not here: trust, which TLS itself decides. RFC 5280 §4.1 and §4.2, RFC 5216 §5.3.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXUPPER;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::clock::Timestamp;

/// Certificates of one file: a chain has three or four, a list of CAs some more.
const MOST: usize = 64;
const DAY: i64 = 24 * 3600 * 1000;
/// Days that Apple's systems let a server's certificate hold at most.
pub const SERVER_DAYS: u32 = 825;
/// Bits of an RSA key that every system still takes.
const RSA_BITS: usize = 2048;
/// Signatures over SHA-1: sha1WithRSAEncryption (RFC 8017 §A.2.4) and ecdsa-with-SHA1 (RFC 3279 §2.2.3).
const SHA1: [&str; 2] = ["1.2.840.113549.1.1.5", "1.2.840.10045.4.1"];

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It signs others.
    Ca,
    /// A server shows it.
    Server,
    /// A person's device shows it.
    Client,
}

/// What those who connect would miss in a certificate, or refuse it for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lack {
    /// The extended key usage does not name serverAuth.
    ServerAuth,
    /// subjectAltName has no DNS name.
    DnsName,
    /// There is a key usage, without digitalSignature.
    DigitalSignature,
    /// The key is too short, or of a kind that not everybody knows.
    KnownKey,
    /// It is signed over SHA-1.
    Sha2,
    /// It holds for more than [`SERVER_DAYS`].
    ShortLife,
    /// A server shows the certificate of a CA.
    OwnCertificate,
    /// It signs others, and its basicConstraints do not say so.
    CaFlag,
    /// There is a key usage, without keyCertSign.
    CertSign,
    /// The certificate behind it in the file signed it and is no CA.
    IssuerCaFlag,
    /// A device's certificate has neither a mail address nor a userPrincipalName.
    PersonName,
}

impl Lack {
    /// What is wrong, and for whom, as the rest of a sentence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServerAuth => {
                "its extended key usage lacks serverAuth: Windows and Apple refuse it"
            }
            Self::DnsName => {
                "its subjectAltName has no DNS name: nobody can tell the server by its name"
            }
            Self::DigitalSignature => "its key usage lacks digitalSignature: TLS cannot use it",
            Self::KnownKey => {
                "its key is neither of P-256, P-384 or P-521 nor RSA of 2048 bits or more: not everybody takes it"
            }
            Self::Sha2 => "it is signed over SHA-1: nobody takes it any more",
            Self::ShortLife => "it holds for more than 825 days: Apple refuses it",
            Self::OwnCertificate => {
                "it is the certificate of a CA: a server needs one of its own, signed by a CA"
            }
            Self::CaFlag => "its basicConstraints do not say that it is a CA",
            Self::CertSign => "its key usage lacks keyCertSign: what it signs is refused",
            Self::IssuerCaFlag => {
                "it is signed by a certificate that is no CA: its basicConstraints do not say so"
            }
            Self::PersonName => "it names nobody: it has no mail address and no userPrincipalName",
        }
    }
}

/// Why a file is no list of certificates.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no PEM, or damaged.
    #[error("it is no PEM file of certificates: {0}")]
    Pem(rustls::pki_types::pem::Error),
    /// There is no certificate in it.
    #[error("there is no certificate in it")]
    Empty,
    /// There are too many.
    #[error("there are more than {MOST} certificates in it")]
    TooMany,
    /// One is no certificate.
    #[error("a certificate in it cannot be read")]
    Certificate,
}

/// A certificate, read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// What it is for.
    pub role: Role,
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its other names, each with its kind: `DNS:radius.example.ac.jp`.
    pub names: Vec<String>,
    /// From when on it holds.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// What kind of key it has: `P-256`, `RSA 2048`.
    pub key: String,
    /// Whether its basicConstraints say that it is a CA.
    pub is_ca: bool,
    /// SHA-256 of the whole, as people compare it: `AB:CD:…`.
    pub sha256: String,
    /// What those who connect would miss.
    pub lacks: Vec<Lack>,
}

impl Certificate {
    /// Whole days until it ends; below zero when it has ended.
    #[must_use]
    pub const fn days_left(&self, now: Timestamp) -> i64 {
        days_left(self.not_after, now)
    }

    /// Reads every certificate of a PEM file, in its order. Other things in it, such as a key, are passed over.
    ///
    /// # Errors
    ///
    /// When there is none, or one cannot be read.
    pub fn read_all(pem: &[u8]) -> Result<Vec<Self>, Unreadable> {
        let mut read = Vec::new();
        for der in CertificateDer::pem_slice_iter(pem) {
            if read.len() == MOST {
                return Err(Unreadable::TooMany);
            }
            read.push(Self::read(&der.map_err(Unreadable::Pem)?)?);
        }
        if read.is_empty() {
            return Err(Unreadable::Empty);
        }
        let unfit: Vec<bool> = read
            .iter()
            .map(|one| one.is_signed_by_no_ca(&read))
            .collect();
        for (one, unfit) in read.iter_mut().zip(unfit) {
            one.lacks.extend(unfit.then_some(Lack::IssuerCaFlag));
        }
        Ok(read)
    }

    fn is_signed_by_no_ca(&self, file: &[Self]) -> bool {
        let mut signers = file.iter().filter(|other| other.subject == self.issuer);
        self.subject != self.issuer && signers.any(|signer| !signer.is_ca)
    }

    fn read(der: &CertificateDer<'_>) -> Result<Self, Unreadable> {
        let (rest, x509) =
            X509Certificate::from_der(der.as_ref()).map_err(|_| Unreadable::Certificate)?;
        if !rest.is_empty() {
            return Err(Unreadable::Certificate);
        }
        let facts = Facts::of(&x509)?;
        let validity = x509.validity();
        let moment = |at: &x509_parser::time::ASN1Time| Timestamp::from_secs(at.timestamp());
        let mut read = Self {
            role: facts.role(),
            subject: x509.subject().to_string(),
            issuer: x509.issuer().to_string(),
            names: facts.names.clone(),
            not_before: moment(&validity.not_before),
            not_after: moment(&validity.not_after),
            key: facts.key.to_string(),
            is_ca: facts.says_ca,
            sha256: fingerprint(digest(&SHA256, der.as_ref()).as_ref()),
            lacks: Vec::new(),
        };
        read.lacks = facts.lacks(&read);
        Ok(read)
    }
}

/// Whole days from one moment until another; below zero when that has passed.
pub(super) const fn days_left(until: Timestamp, now: Timestamp) -> i64 {
    until.millis().saturating_sub(now.millis()).div_euclid(DAY)
}

/// Octets as people compare them.
fn fingerprint(octets: &[u8]) -> String {
    let pairs: Vec<String> = octets
        .iter()
        .map(|octet| HEXUPPER.encode(&[*octet]))
        .collect();
    pairs.join(":")
}

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Rsa(usize),
    Curve(&'static str),
    Other,
}

impl KeyKind {
    fn of(key: &SubjectPublicKeyInfo<'_>) -> Self {
        match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => Self::Rsa(rsa.key_size()),
            Ok(PublicKey::EC(_)) => {
                let curve = key.algorithm.parameters.as_ref();
                let curve = curve.and_then(|curve| curve.as_oid().ok());
                let known = [
                    (OID_EC_P256, "P-256"),
                    (OID_NIST_EC_P384, "P-384"),
                    (OID_NIST_EC_P521, "P-521"),
                ];
                let known = known.iter().find(|(oid, _)| curve.as_ref() == Some(oid));
                known.map_or(Self::Other, |(_, name)| Self::Curve(name))
            }
            Ok(_) | Err(_) => Self::Other,
        }
    }

    const fn is_known_to_all(self) -> bool {
        match self {
            Self::Rsa(bits) => bits >= RSA_BITS,
            Self::Curve(_) => true,
            Self::Other => false,
        }
    }
}

impl std::fmt::Display for KeyKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::Curve(name) => f.write_str(name),
            Self::Other => f.write_str("of an unusual kind"),
        }
    }
}

/// What the extensions say (RFC 5280 §4.2.1).
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one flag of the certificate itself"
)]
struct Facts {
    names: Vec<String>,
    has_dns: bool,
    has_person: bool,
    says_ca: bool,
    server_auth: bool,
    client_auth: bool,
    /// digitalSignature and keyCertSign, if there is a key usage.
    usage: Option<(bool, bool)>,
    key: KeyKind,
    is_sha1: bool,
}

impl Facts {
    fn of(x509: &X509Certificate<'_>) -> Result<Self, Unreadable> {
        let bad = |_| Unreadable::Certificate;
        let names = x509.subject_alternative_name().map_err(bad)?;
        let names = names.map_or(&[][..], |names| &names.value.general_names);
        let basic = x509.basic_constraints().map_err(bad)?;
        let extended = x509.extended_key_usage().map_err(bad)?;
        let usage = x509.key_usage().map_err(bad)?;
        let is_person = |name: &GeneralName<'_>| {
            matches!(
                name,
                GeneralName::RFC822Name(_) | GeneralName::OtherName(..)
            )
        };
        let signed_by = x509.signature_algorithm.algorithm.to_id_string();
        Ok(Self {
            has_dns: names
                .iter()
                .any(|name| matches!(name, GeneralName::DNSName(_))),
            has_person: names.iter().any(is_person),
            names: names.iter().map(shown).collect(),
            says_ca: basic.is_some_and(|basic| basic.value.ca),
            server_auth: extended
                .as_ref()
                .is_some_and(|extended| extended.value.server_auth),
            client_auth: extended.is_some_and(|extended| extended.value.client_auth),
            usage: usage
                .map(|usage| (usage.value.digital_signature(), usage.value.key_cert_sign())),
            key: KeyKind::of(x509.public_key()),
            is_sha1: SHA1.contains(&signed_by.as_str()),
        })
    }

    /// A server's certificate may be one that says it is a CA: `openssl req -x509` makes such. What names no server and signs is a CA.
    const fn role(&self) -> Role {
        if self.server_auth || self.has_dns {
            Role::Server
        } else if self.says_ca || matches!(self.usage, Some((_, true))) {
            Role::Ca
        } else if self.client_auth || self.has_person {
            Role::Client
        } else {
            Role::Server
        }
    }

    fn lacks(&self, read: &Certificate) -> Vec<Lack> {
        let lifetime = read.not_after.since(read.not_before);
        let longest = std::time::Duration::from_secs(u64::from(SERVER_DAYS) * 24 * 3600);
        let signs = self.usage.is_none_or(|(_, cert_sign)| cert_sign);
        let shows = self.usage.is_none_or(|(signature, _)| signature);
        let found = match read.role {
            Role::Ca => vec![(!self.says_ca, Lack::CaFlag), (!signs, Lack::CertSign)],
            Role::Server => vec![
                (self.says_ca, Lack::OwnCertificate),
                (!self.server_auth, Lack::ServerAuth),
                (!self.has_dns, Lack::DnsName),
                (!shows, Lack::DigitalSignature),
                (lifetime > longest, Lack::ShortLife),
            ],
            Role::Client => vec![
                (!self.has_person, Lack::PersonName),
                (!shows, Lack::DigitalSignature),
            ],
        };
        let of_all = [
            (!self.key.is_known_to_all(), Lack::KnownKey),
            // Nobody looks at the signature of a certificate that is trusted for itself.
            (self.is_sha1 && read.subject != read.issuer, Lack::Sha2),
        ];
        let found = found.into_iter().chain(of_all);
        found
            .filter_map(|(lacking, lack)| lacking.then_some(lack))
            .collect()
    }
}

fn shown(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => format!("DNS:{name}"),
        GeneralName::RFC822Name(mail) => format!("mail:{mail}"),
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => <[u8; 4]>::try_from(*octets).map(std::net::IpAddr::from),
            _ => <[u8; 16]>::try_from(*octets).map(std::net::IpAddr::from),
        }
        .map_or_else(|_| "IP:?".to_owned(), |address| format!("IP:{address}")),
        GeneralName::URI(uri) => format!("URI:{uri}"),
        GeneralName::OtherName(kind, _) => format!("other:{kind}"),
        _ => "other".to_owned(),
    }
}

#[cfg(test)]
mod tests;
