//! What the configuration says about EAP, and what can be wrong with it.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// `[eap]` after checking.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The certificate, with its chain, as PEM.
    pub certificate: Vec<u8>,
    /// Its key, as PEM.
    pub key: Secret,
    /// The CAs of client certificates, as PEM; empty unless [`Method::Tls`] is offered.
    pub client_ca: Vec<u8>,
    /// Their revocation lists, as PEM.
    pub crl: Vec<u8>,
    /// Where these were read, for messages.
    pub files: Vec<PathBuf>,
    /// The methods, the one offered first in front.
    pub methods: Vec<Method>,
    /// What may run inside the tunnel.
    pub inner: Vec<Inner>,
    /// The oldest version of TLS.
    pub oldest: Version,
    /// The newest.
    pub newest: Version,
    /// Octets of an EAP packet that is sent, at most.
    pub fragment: usize,
    /// How long a session may be resumed; zero: never.
    pub resume_for: Duration,
    /// Which name of a client certificate stands for an account.
    pub certificate_name: CertificateName,
}

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// EAP-TLS (13).
    Tls,
    /// EAP-TTLSv0 (21).
    Ttls,
    /// PEAPv0 (25).
    Peap,
}

/// What runs inside a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inner {
    /// PAP, in TTLS.
    Pap,
    /// EAP-GTC, in TTLS and PEAP.
    Gtc,
    /// EAP-MSCHAPv2, in PEAP and TTLS.
    MsChapV2,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.2.
    V12,
    /// 1.3.
    V13,
}

/// A name in a client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// subjectAltName's rfc822Name.
    Mail,
    /// subjectAltName's otherName of Microsoft's userPrincipalName.
    Upn,
    /// The subject's common name.
    CommonName,
}

/// The settings cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The PEM holds no certificate or no key, or they do not belong together.
    #[error("certificate cannot be used: {0}")]
    Certificate(String),
    /// The client CAs or revocation lists cannot be used.
    #[error("client-ca cannot be used: {0}")]
    ClientCa(String),
    /// The certificate's chain is so long that a conversation would pass its rounds at this fragment size.
    #[error("certificate chain of {octets} octets does not fit {rounds} rounds of fragments")]
    Chain {
        /// Its octets.
        octets: usize,
        /// The most rounds.
        rounds: u32,
    },
}
