//! The TLS towards gateways and other servers: rustls, with the system's roots or a site's own CAs.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// A configuration that trusts the CAs of the file, or the system's without one.
pub(super) fn configuration(ca_file: Option<&Path>) -> io::Result<ClientConfig> {
    let roots = match ca_file {
        Some(file) => own_roots(file)?,
        None => system_roots()?,
    };
    trusting(roots)
}

/// A configuration that trusts nobody, for gateways that are spoken to in the clear.
pub(super) fn without_roots() -> io::Result<ClientConfig> {
    trusting(RootCertStore::empty())
}

fn trusting(roots: RootCertStore) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The certificates of a PEM file; one at least.
pub(super) fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>();
    let certificates = read().map_err(|error| fault(file, error))?;
    if certificates.is_empty() {
        return Err(fault(file, "there is no certificate in it"));
    }
    Ok(certificates)
}

fn own_roots(file: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| fault(file, error))?;
    }
    Ok(roots)
}

fn fault(file: &Path, why: impl fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{}: {why}", file.display()),
    )
}

fn system_roots() -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // One certificate of the system's that cannot be read is no reason to trust none.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let why = "the system has no trusted certificates (on Debian: install ca-certificates), and no ca-file is given";
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    }
    Ok(roots)
}
