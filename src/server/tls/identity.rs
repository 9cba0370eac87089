//! Our certificate, whom we believe, and the names in what they show.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use x509_parser::extensions::GeneralName;

use crate::clock::Timestamp;
use crate::secret::Secret;

/// The form of packets that is spoken (RFC 9765 §3.1): who wants another alone is told so by TLS.
const HISTORIC: &[u8] = b"radius/1.0";
/// Names of a certificate that are looked at: gear has one or two.
const NAMES: usize = 32;
/// Longest name (RFC 1035 §2.3.4).
const NAME_OCTETS: usize = 253;

/// A certificate with its key, and the authorities whose certificates clients show.
#[derive(Clone)]
pub struct Identity {
    pub(super) config: Arc<ServerConfig>,
    chain: Arc<[u8]>,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// Shows nothing: there is a key in it.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadIdentity {
    /// The file has no certificate.
    #[error("there is no certificate in it: {0}")]
    Certificate(pem::Error),
    /// The file has no private key.
    #[error("there is no private key in it: {0}")]
    Key(pem::Error),
    /// They do not belong together, or are of a kind that is not served.
    #[error("certificate and key cannot be used: {0}")]
    Unfit(rustls::Error),
    /// The file of authorities has none that can be used.
    #[error("there is no authority in it that can be used: {0}")]
    Authority(String),
    /// The file of revocation lists has none that can be used.
    #[error("there is no revocation list in it that can be used: {0}")]
    Revocation(String),
}

/// What an identity is made of, all as PEM.
#[derive(Clone, Copy)]
pub struct Pem<'a> {
    /// Our certificate, and those that signed it.
    pub certificate: &'a [u8],
    /// Its key.
    pub key: &'a Secret,
    /// The authorities of clients.
    pub client_ca: &'a [u8],
    /// Their revocation lists, if any.
    pub crl: Option<&'a [u8]>,
}

impl Identity {
    /// Takes certificates as PEM. With revocation lists, a certificate is believed only if there is a list of each authority of
    /// its chain and it stands on none; a list counts until there is another, whatever its date.
    ///
    /// # Errors
    ///
    /// When one is missing or cannot be used.
    pub fn new(pem: Pem<'_>) -> Result<Self, BadIdentity> {
        let chain = certificates(pem.certificate).map_err(BadIdentity::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(pem.key.expose()).map_err(BadIdentity::Key)?;
        let verifier = verifier(pem)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(BadIdentity::Unfit)?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_single_cert(chain, key)
            .map_err(BadIdentity::Unfit)?;
        config.alpn_protocols = vec![HISTORIC.to_vec()];
        // A resumed session would bring a certificate that was believed once, and is not looked at again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            config: Arc::new(config),
            chain: pem.certificate.into(),
            verifier,
        })
    }

    /// Our certificate and those that signed it, as PEM.
    #[must_use]
    pub fn chain(&self) -> &[u8] {
        &self.chain
    }

    /// Whether a chain, the peer's own certificate first, is believed now.
    pub(super) fn believes(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> bool {
        let Some((own, others)) = chain.split_first() else {
            return false;
        };
        let now = Duration::from_millis(u64::try_from(now.millis()).unwrap_or_default());
        let now = UnixTime::since_unix_epoch(now);
        self.verifier.verify_client_cert(own, others, now).is_ok()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?;
    if chain.is_empty() {
        return Err(pem::Error::NoItemsFound);
    }
    Ok(chain)
}

fn verifier(pem: Pem<'_>) -> Result<Arc<dyn ClientCertVerifier>, BadIdentity> {
    let words = |error: &dyn fmt::Display| BadIdentity::Authority(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem.client_ca).map_err(|error| words(&error))? {
        roots.add(certificate).map_err(|error| words(&error))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if let Some(crl) = pem.crl {
        builder = builder.with_crls(revocation_lists(crl)?);
    }
    builder.build().map_err(|error| match error {
        VerifierBuilderError::InvalidCrl(error) => BadIdentity::Revocation(format!("{error:?}")),
        other => words(&other),
    })
}

fn revocation_lists(pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, BadIdentity> {
    let lists = CertificateRevocationListDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let lists = lists.map_err(|error| BadIdentity::Revocation(error.to_string()))?;
    if lists.is_empty() {
        return Err(BadIdentity::Revocation(
            pem::Error::NoItemsFound.to_string(),
        ));
    }
    Ok(lists)
}

/// A name by which a client is known in its certificate, in small letters; `*.` in front stands for one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerName(pub(in crate::server) Arc<str>);

impl PeerName {
    /// Reads a name. `None` if no certificate could have it.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("*.").unwrap_or(text);
        let sound = !rest.is_empty()
            && text.len() <= NAME_OCTETS
            && !rest.starts_with('.')
            && !rest.contains('*')
            && !rest.chars().any(char::is_control);
        sound.then(|| Self(text.to_lowercase().into()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The names of a certificate, in small letters: of hosts in subjectAltName, or the common name where there is no subjectAltName
/// (RFC 6125 §6.4.4).
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else {
        return Vec::new();
    };
    match certificate.subject_alternative_name() {
        Ok(Some(alternative)) => {
            let names = alternative.value.general_names.iter();
            let hosts = names.filter_map(|name| match name {
                GeneralName::DNSName(host) => Some(host.to_lowercase()),
                _ => None,
            });
            hosts.take(NAMES).collect()
        }
        Ok(None) => {
            let mut common = certificate.subject().iter_common_name();
            match (common.next(), common.next()) {
                (Some(name), None) => name
                    .as_str()
                    .map_or_else(|_| Vec::new(), |name| vec![name.to_lowercase()]),
                _ => Vec::new(),
            }
        }
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn names_of(common: &str, alternatives: Vec<SanType>) -> Vec<String> {
        let mut params = CertificateParams::default();
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = alternatives;
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        names(certificate.der())
    }

    #[test]
    fn hosts_of_the_alternative_names_go_before_the_common_name() {
        let host = |name: &str| SanType::DnsName(name.try_into().unwrap());
        assert_eq!(names_of("AP1.example.ac.jp", vec![]), ["ap1.example.ac.jp"]);
        let two = vec![host("AP2.example.ac.jp"), host("ap3.example.ac.jp")];
        assert_eq!(
            names_of("ap1.example.ac.jp", two),
            ["ap2.example.ac.jp", "ap3.example.ac.jp"]
        );
        let address = vec![SanType::IpAddress([192, 0, 2, 1].into())];
        assert!(names_of("ap1.example.ac.jp", address).is_empty());
        let mail = vec![SanType::Rfc822Name("ap1@example.ac.jp".try_into().unwrap())];
        assert!(names_of("ap1.example.ac.jp", mail).is_empty());
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        assert!(names(&CertificateDer::from(vec![0x30, 0x82, 0xff])).is_empty());
        assert!(names(&CertificateDer::from(Vec::new())).is_empty());
    }

    #[test]
    fn names_are_read_in_small_letters_and_with_one_star_in_front() {
        let read = |text: &str| PeerName::read(text).map(|name| name.as_str().to_owned());
        assert_eq!(read("AP1.Example.ac.jp").unwrap(), "ap1.example.ac.jp");
        assert_eq!(read("*.example.ac.jp").unwrap(), "*.example.ac.jp");
        assert_eq!(read("AP 1").unwrap(), "ap 1");
        for text in ["", "*", "*.", "*.*.jp", "ap*.jp", "*..jp", "a\nb"] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert!(read(&"a".repeat(254)).is_none());
    }
}
