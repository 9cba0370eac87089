//! Gateways behind TLS: whom they must convince.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sekisho::channel::Channels;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::gateway::{Answer, Gateway};
use super::{TEXT, deadline, http, message, settings, template};

/// A CA of our own, and a server that shows its certificate.
pub(super) fn authority() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (ca.pem(), TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn own_ca_is_trusted_and_no_other() {
    let folder = TempDir::new().unwrap();
    let (pem, acceptor) = authority();
    let gateway = Gateway::start_tls(acceptor, &[Answer::Says(200, "")]).await;
    let send = async |pem: &str| {
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, pem).unwrap();
        let mut template = template(gateway.url("/send"));
        template.ca_file = Some(file);
        let channels = Channels::new(settings(vec![http("a", template)])).unwrap();
        channels.sms(&message(TEXT), deadline()).await
    };
    send(&pem).await.unwrap();
    assert_eq!(gateway.asked_once().uri.path(), "/send");

    let (other, _) = authority();
    let error = send(&other).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("a cannot be reached (TLS refused)"),
        "{error}"
    );
    assert!(gateway.asked().is_empty());
}

#[test]
fn a_ca_file_without_certificates_is_a_fault() {
    let folder = TempDir::new().unwrap();
    for (content, expected) in [
        (Some("nothing"), "there is no certificate in it"),
        (None, "ca.pem: "),
    ] {
        let file = folder.path().join("ca.pem");
        match content {
            Some(content) => std::fs::write(&file, content).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let mut template = template("https://localhost/".to_owned());
        template.ca_file = Some(file);
        let fault = Channels::new(settings(vec![http("a", template)]))
            .err()
            .unwrap()
            .to_string();
        assert!(
            fault.starts_with("gateway a: ") && fault.contains(expected),
            "{fault}"
        );
    }
}
