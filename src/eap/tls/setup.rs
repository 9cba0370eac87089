//! Certificate, key, CAs and revocation lists as rustls wants them: made once a reload, cloned for each conversation.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::super::{Error, Method, Settings, Version};
use super::reasons;
use super::sessions::Keeper;
use crate::clock::Clock;

/// The configurations of a reload.
pub(in crate::eap) struct Setup {
    /// Of TTLS and PEAP: the peer shows no certificate.
    anonymous: ServerConfig,
    /// Of EAP-TLS.
    certified: Option<(ServerConfig, Arc<dyn ClientCertVerifier>)>,
    /// Octets of the certificate with its chain.
    chain: usize,
    clock: Clock,
}

/// The house's clock for rustls: what is valid is judged by it.
#[derive(Debug)]
struct Times(Clock);

impl TimeProvider for Times {
    fn current_time(&self) -> Option<UnixTime> {
        Some(time(&self.0))
    }
}

fn time(clock: &Clock) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(clock.now().secs()))
}

impl Setup {
    /// Reads what the settings hold.
    ///
    /// # Errors
    ///
    /// When certificate, key, CAs or lists cannot be used.
    pub(in crate::eap) fn read(settings: &Settings, clock: &Clock) -> Result<Self, Error> {
        let provider = Arc::new(provider());
        let chain = certificates(&settings.certificate).map_err(Error::Certificate)?;
        let certified = if settings.methods.contains(&Method::Tls) {
            let verifier = verifier(settings, &provider).map_err(Error::ClientCa)?;
            let config = config(settings, &chain, (&provider, clock), Some(&verifier))?;
            Some((config, verifier))
        } else {
            None
        };
        Ok(Self {
            anonymous: config(settings, &chain, (&provider, clock), None)?,
            certified,
            chain: chain.iter().map(|certificate| certificate.len()).sum(),
            clock: clock.clone(),
        })
    }

    /// Octets of the certificate with its chain.
    pub(in crate::eap) fn chain_octets(&self) -> usize {
        self.chain
    }

    /// The configuration of one conversation.
    pub(super) fn config(&self, method: Method, keeper: &Arc<Keeper>) -> Option<Arc<ServerConfig>> {
        let mut config = match method {
            Method::Tls => self.certified.as_ref()?.0.clone(),
            Method::Ttls | Method::Peap => self.anonymous.clone(),
        };
        config.session_storage = keeper.clone();
        config.send_tls13_tickets = usize::from(keeper.makes());
        Some(Arc::new(config))
    }

    /// Verifies the certificates of a session that is taken up again, by what is configured now.
    ///
    /// # Errors
    ///
    /// When they would not be accepted now: in words.
    pub(in crate::eap) fn verify_again(&self, chain: &[CertificateDer<'_>]) -> Result<(), String> {
        let (_, verifier) = self
            .certified
            .as_ref()
            .ok_or("no client certificates are configured")?;
        let (own, between) = chain
            .split_first()
            .ok_or("the session holds no certificate")?;
        let verified = verifier.verify_client_cert(own, between, time(&self.clock));
        verified.map(drop).map_err(|error| reasons::refused(&error))
    }
}

/// Suites and key exchanges: rustls's own, without those that make a hello of several fragments.
fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519,
            aws_lc_rs::kx_group::SECP256R1,
            aws_lc_rs::kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    }
}

fn versions(settings: &Settings) -> Vec<&'static SupportedProtocolVersion> {
    [
        (Version::V13, &version::TLS13),
        (Version::V12, &version::TLS12),
    ]
    .into_iter()
    .filter(|(named, _)| (settings.oldest..=settings.newest).contains(named))
    .map(|(_, version)| version)
    .collect()
}

fn config(
    settings: &Settings,
    chain: &[CertificateDer<'static>],
    (provider, clock): (&Arc<CryptoProvider>, &Clock),
    verifier: Option<&Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, Error> {
    let key = PrivateKeyDer::from_pem_slice(settings.key.expose())
        .map_err(|error| Error::Certificate(error.to_string()))?;
    let times = Arc::new(Times(clock.clone()));
    let config = ServerConfig::builder_with_details(provider.clone(), times)
        .with_protocol_versions(&versions(settings))
        .map_err(|error| Error::Certificate(error.to_string()))?;
    let config = match verifier {
        Some(verifier) => config.with_client_cert_verifier(verifier.clone()),
        None => config.with_no_client_auth(),
    };
    let mut config = config
        .with_single_cert(chain.to_vec(), key)
        .map_err(|error| Error::Certificate(error.to_string()))?;
    // Nothing of a session is kept but by a conversation's own keeper, and nothing is accepted before a handshake is done.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// Verifies clients by CA and, if there are lists, by revocation at each link; a list that has expired accepts nobody.
fn verifier(
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for ca in certificates(&settings.client_ca)? {
        roots.add(ca).map_err(|error| error.to_string())?;
    }
    let lists = CertificateRevocationListDer::pem_slice_iter(&settings.crl);
    let lists = lists.collect::<Result<Vec<_>, _>>();
    let lists = lists.map_err(|error| format!("revocation list: {error}"))?;
    if lists.is_empty() && !settings.crl.is_empty() {
        return Err("the file of revocation lists holds none".into());
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    verifier
        .with_crls(lists)
        .enforce_revocation_expiration()
        .build()
        .map_err(|error| error.to_string())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let read = read.map_err(|error| error.to_string())?;
    if read.is_empty() {
        return Err("no certificate in the file".into());
    }
    Ok(read)
}
