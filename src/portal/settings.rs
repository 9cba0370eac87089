//! What the configuration says about the portal.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::access::Label;
use crate::account::ClientName;
use crate::secret::Secret;

use super::wifi::Wifi;

/// `[portal]` after checking.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses listened on.
    pub listen: Vec<SocketAddr>,
    /// Where browsers find it.
    pub url: Url,
    /// Its certificate; none behind a proxy and for trials on this machine.
    pub tls: Option<Tls>,
    /// Proxies whose X-Forwarded-For is believed.
    pub trusted_proxy: Vec<IpNet>,
    /// Zones in which somebody without any factor and number enrols with the password alone.
    pub enrol_from: Vec<Arc<str>>,
    /// How long a session lasts.
    pub session_life: Duration,
    /// How old the proof of a factor may be for changing factors.
    pub re_proof: Duration,
    /// Where a password is changed.
    pub password_url: Option<String>,
    /// Where the help desk is and when, and what to bring.
    pub desk: Label,
    /// What the university is called.
    pub issuer: Label,
    /// What clients are called.
    pub clients: Vec<(ClientName, Label)>,
    /// How devices join the Wi-Fi; none where the page about that is not offered.
    pub wifi: Option<Wifi>,
}

/// The portal's public address: scheme, host and port, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    origin: String,
    host: String,
}

/// Why a text is no address of a portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Neither https nor http, or no host.
    #[error("is no address such as https://mfa.example.ac.jp")]
    Form,
    /// There is more than scheme, host and port.
    #[error("has more than scheme, host and port")]
    Path,
    /// Browsers keep keys and take notifications only where nobody can listen.
    #[error("is http, which browsers trust on this machine alone")]
    Clear,
}

impl Url {
    /// Reads `https://host`, `https://host:port`, or `http://localhost:port` for trials.
    ///
    /// # Errors
    ///
    /// When it is none of these.
    pub fn read(text: &str) -> Result<Self, BadUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(BadUrl::Form)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@', '\\']) {
            return Err(BadUrl::Path);
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.[]:".contains(c);
        let port_is_one = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        if host.is_empty() || !host.chars().all(sound) || !port_is_one {
            return Err(BadUrl::Form);
        }
        match scheme {
            "https" => {}
            "http" if matches!(host, "localhost" | "127.0.0.1" | "[::1]") => {}
            "http" => return Err(BadUrl::Clear),
            _ => return Err(BadUrl::Form),
        }
        // Browsers leave out the port that the scheme implies.
        let authority = match (scheme, port) {
            ("https", Some("443")) | ("http", Some("80")) => host,
            _ => authority,
        };
        Ok(Self {
            origin: format!("{scheme}://{authority}"),
            host: host.to_owned(),
        })
    }

    /// As a browser writes it in `Origin`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether browsers reach it by https.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.origin.starts_with("https:")
    }
}

/// A certificate with its key, ready to be served.
#[derive(Clone, Debug)]
pub struct Tls {
    pub(super) config: Arc<rustls::ServerConfig>,
    chain: Arc<[u8]>,
}

/// Why certificate and key cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BadTls {
    /// The file has no certificate.
    #[error("there is no certificate in it: {0}")]
    Certificate(rustls::pki_types::pem::Error),
    /// The file has no private key.
    #[error("there is no private key in it: {0}")]
    Key(rustls::pki_types::pem::Error),
    /// They do not belong together, or are of a kind that is not served.
    #[error("certificate and key cannot be used: {0}")]
    Unfit(rustls::Error),
}

impl Tls {
    /// Takes a chain of certificates, the portal's own first, and its private key, both as PEM.
    ///
    /// # Errors
    ///
    /// When one is missing, or they do not belong together.
    pub fn new(certificate: &[u8], key: &Secret) -> Result<Self, BadTls> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(BadTls::Certificate)?;
        if chain.is_empty() {
            return Err(BadTls::Certificate(
                rustls::pki_types::pem::Error::NoItemsFound,
            ));
        }
        let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(BadTls::Key)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(BadTls::Unfit)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(BadTls::Unfit)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            chain: certificate.into(),
        })
    }

    /// The chain as PEM, as it was read.
    #[must_use]
    pub fn chain(&self) -> &[u8] {
        &self.chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_origins() {
        for (text, origin, host) in [
            (
                "https://mfa.example.ac.jp",
                "https://mfa.example.ac.jp",
                "mfa.example.ac.jp",
            ),
            (
                "https://mfa.example.ac.jp/",
                "https://mfa.example.ac.jp",
                "mfa.example.ac.jp",
            ),
            (
                "https://mfa.example.ac.jp:443",
                "https://mfa.example.ac.jp",
                "mfa.example.ac.jp",
            ),
            (
                "https://mfa.example.ac.jp:8443",
                "https://mfa.example.ac.jp:8443",
                "mfa.example.ac.jp",
            ),
            (
                "http://localhost:8080",
                "http://localhost:8080",
                "localhost",
            ),
            ("http://[::1]:8080", "http://[::1]:8080", "[::1]"),
            (
                "https://[2001:db8::1]",
                "https://[2001:db8::1]",
                "[2001:db8::1]",
            ),
        ] {
            let url = Url::read(text).unwrap();
            assert_eq!((url.origin(), url.host()), (origin, host));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, why) in [
            ("mfa.example.ac.jp", BadUrl::Form),
            ("ftp://mfa.example.ac.jp", BadUrl::Form),
            ("https://", BadUrl::Form),
            ("https://mfa.example.ac.jp:0", BadUrl::Form),
            ("https://mfa.example.ac.jp:port", BadUrl::Form),
            ("https://MFA.example.ac.jp", BadUrl::Form),
            ("https://mfa.example.ac.jp/portal", BadUrl::Path),
            ("https://user@mfa.example.ac.jp", BadUrl::Path),
            ("http://mfa.example.ac.jp", BadUrl::Clear),
            ("http://localhost.example", BadUrl::Clear),
        ] {
            assert_eq!(Url::read(text), Err(why), "{text}");
        }
    }
}
