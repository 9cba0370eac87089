//! How devices join the Wi-Fi, as the configuration says, in the terms of what they ask for.
//!
//! All of it is public: whoever walks by the campus hears the network's name, and is shown the certificate. Not here: the page
//! (`pages::wifi`), and EAP itself.

use std::sync::Arc;

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use data_encoding::HEXUPPER;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// `[wifi]` after checking.
#[derive(Clone, Debug)]
pub struct Wifi {
    /// The networks' names: one or more.
    pub ssids: Vec<String>,
    /// The CAs that sign the certificate of the RADIUS server: devices believe no others.
    pub authorities: Authorities,
    /// The names in that certificate: one or more.
    pub server_names: Vec<String>,
    /// The name that is said outside the tunnel, in the clear.
    pub outer: String,
    /// The method that devices are told to use.
    pub method: Method,
}

/// The method that devices are told to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// EAP-TTLS with PAP inside: every system has it.
    TtlsPap,
    /// PEAP with EAP-GTC inside: Windows does not have it.
    PeapGtc,
    /// PEAP with EAP-MSCHAPv2 inside: every system has it, few directories can judge it.
    PeapMsChapV2,
}

impl Method {
    /// The outer method as supplicants and systems write it.
    pub(super) const fn outer(self) -> &'static str {
        match self {
            Self::TtlsPap => "TTLS",
            Self::PeapGtc | Self::PeapMsChapV2 => "PEAP",
        }
    }

    /// Its number (RFC 5281, draft-josefsson-pppext-eap-tls-eap).
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::TtlsPap => 21,
            Self::PeapGtc | Self::PeapMsChapV2 => 25,
        }
    }

    /// The inner method as supplicants and systems write it.
    pub(super) const fn inner(self) -> &'static str {
        match self {
            Self::TtlsPap => "PAP",
            Self::PeapGtc => "GTC",
            Self::PeapMsChapV2 => "MSCHAPV2",
        }
    }

    /// Whether Windows has it by itself.
    pub(super) const fn is_in_windows(self) -> bool {
        !matches!(self, Self::PeapGtc)
    }
}

/// The CAs that devices are to believe.
#[derive(Clone, Debug)]
pub struct Authorities {
    pem: Arc<[u8]>,
    list: Vec<Authority>,
}

/// A CA.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    /// What systems call it: the common name, or the whole subject if there is none.
    pub(super) name: String,
    /// As systems take it.
    pub(super) der: CertificateDer<'static>,
    /// Its fingerprint.
    pub(super) sha256: String,
    /// The one that Windows shows, to be compared by eye: it protects nothing by itself.
    pub(super) sha1: String,
}

/// CAs at once: the present one, and the next while devices change over.
const MOST: usize = 4;

/// Why a file holds no CAs for devices.
#[derive(Debug, thiserror::Error)]
pub enum BadAuthorities {
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
    /// One signs no others.
    #[error("{0} is no CA: its basicConstraints do not say so")]
    NoCa(String),
}

impl Authorities {
    /// Takes the CAs as PEM.
    ///
    /// # Errors
    ///
    /// When there is none, when there are too many, or one is no CA.
    pub fn new(pem: &[u8]) -> Result<Self, BadAuthorities> {
        let mut list = Vec::new();
        let mut text = String::new();
        for der in CertificateDer::pem_slice_iter(pem) {
            if list.len() == MOST {
                return Err(BadAuthorities::TooMany);
            }
            let one = Authority::new(der.map_err(BadAuthorities::Pem)?)?;
            text.push_str(&one.pem());
            list.push(one);
        }
        if list.is_empty() {
            return Err(BadAuthorities::Empty);
        }
        Ok(Self {
            // Made anew, so that what else the file holds is handed to nobody.
            pem: text.into_bytes().into(),
            list,
        })
    }

    /// The certificates alone, as PEM.
    #[must_use]
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }

    pub(super) fn list(&self) -> &[Authority] {
        &self.list
    }
}

impl Authority {
    fn new(der: CertificateDer<'static>) -> Result<Self, BadAuthorities> {
        let (_, x509) = X509Certificate::from_der(&der).map_err(|_| BadAuthorities::Certificate)?;
        let subject = x509.subject();
        let name = subject.iter_common_name().next();
        let name = name
            .and_then(|name| name.as_str().ok())
            .map_or_else(|| subject.to_string(), str::to_owned);
        if !x509.is_ca() {
            return Err(BadAuthorities::NoCa(name));
        }
        Ok(Self {
            name,
            sha256: fingerprint(&SHA256, &der),
            sha1: fingerprint(&SHA1_FOR_LEGACY_USE_ONLY, &der),
            der,
        })
    }

    /// RFC 7468 §5.
    fn pem(&self) -> String {
        let text = data_encoding::BASE64.encode(&self.der);
        let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        for (at, letter) in text.chars().enumerate() {
            if at > 0 && at.is_multiple_of(PEM_LINE) {
                pem.push('\n');
            }
            pem.push(letter);
        }
        pem + "\n-----END CERTIFICATE-----\n"
    }
}

/// Letters of a line of PEM.
const PEM_LINE: usize = 64;

fn fingerprint(by: &'static Algorithm, der: &[u8]) -> String {
    let print = digest(by, der);
    let pairs = print.as_ref().iter();
    let pairs: Vec<String> = pairs.map(|octet| HEXUPPER.encode(&[*octet])).collect();
    pairs.join(":")
}

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

    use super::*;

    /// A CA of this name, or a certificate that is none, as PEM.
    pub(in crate::portal) fn certificate(name: &str, is_ca: IsCa) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    pub(in crate::portal) fn ca(name: &str) -> String {
        certificate(name, IsCa::Ca(BasicConstraints::Unconstrained))
    }

    #[test]
    fn what_else_the_file_holds_is_handed_to_nobody() {
        let key = KeyPair::generate().unwrap().serialize_pem();
        let (first, second) = (ca("関所大学 Wi-Fi CA"), ca("Next CA"));
        let taken = Authorities::new(format!("{key}words\n{first}{second}").as_bytes()).unwrap();
        assert_eq!(taken.pem(), format!("{first}{second}").as_bytes());
        let names: Vec<&str> = taken.list().iter().map(|one| &*one.name).collect();
        assert_eq!(names, ["関所大学 Wi-Fi CA", "Next CA"]);
        let one = &taken.list()[0];
        assert_eq!((one.sha256.len(), one.sha1.len()), (95, 59));
    }

    #[test]
    fn what_is_no_ca_is_refused() {
        let says = |pem: &str| Authorities::new(pem.as_bytes()).unwrap_err().to_string();
        assert!(says("").contains("no certificate in it"));
        let server = certificate("radius.example.ac.jp", IsCa::NoCa);
        assert!(says(&server).contains("radius.example.ac.jp is no CA"));
        assert!(says(&ca("a").repeat(MOST + 1)).contains("more than 4"));
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(says(junk).contains("cannot be read"));
    }
}
