//! Who is let in, and for how long.

use std::net::TcpStream;

use rcgen::{CertificateParams, DnType, date_time_ymd};
use rustls::ClientConfig;
use sekisho::wire::{Code, Query};

use super::{NAME, Peer, Radsec, by_tls, config, tls};
use crate::support::authority::{Authority, Shown};

/// Whether a peer with such a certificate is served.
fn is_served(radsec: &Radsec, config: ClientConfig) -> bool {
    let Ok(mut peer) = Peer::connect(radsec.address(), config) else {
        return false;
    };
    let asked = Query::status(1).sign(&peer.secret);
    peer.send(asked.octets()).is_ok() && peer.receive(super::PATIENCE).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_let_in_by_its_certificate_alone() {
    let radsec = Radsec::start();
    let (ours, other) = (&radsec.authority, Authority::new());
    let shown = |shown: &Shown| config(ours, Some(shown));
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2024, 1, 1);
    let unnamed = |params: &mut CertificateParams| {
        params.distinguished_name.push(DnType::CommonName, NAME);
    };
    let for_servers = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    };
    let cases = [
        ("its name", shown(&ours.issue(&[NAME])), true),
        (
            "its name in large letters",
            shown(&ours.issue(&["AP1.EXAMPLE.AC.JP"])),
            true,
        ),
        (
            "its name beside another",
            shown(&ours.issue(&["other.example.ac.jp", NAME])),
            true,
        ),
        (
            "its common name, and no other",
            shown(&ours.issue_with(&[], unnamed)),
            true,
        ),
        (
            "its common name beside the name of another",
            shown(&ours.issue_with(&["other.example.ac.jp"], unnamed)),
            false,
        ),
        (
            "another name",
            shown(&ours.issue(&["ap2.example.ac.jp"])),
            false,
        ),
        ("a star", shown(&ours.issue(&["*.example.ac.jp"])), false),
        ("another authority", shown(&other.issue(&[NAME])), false),
        (
            "an old certificate",
            shown(&ours.issue_with(&[NAME], expired)),
            false,
        ),
        (
            "a certificate for servers",
            shown(&ours.issue_with(&[NAME], for_servers)),
            false,
        ),
        ("no certificate", config(ours, None), false),
    ];
    for (what, config, expected) in cases {
        assert_eq!(is_served(&radsec, config), expected, "{what}");
    }
    radsec.house.comes_to("sekisho_tls_connections", 0).await;
    for (reason, count) in [("stranger", 3), ("no-handshake", 4)] {
        let line = format!("sekisho_tls_closed_connections_total{{reason=\"{reason}\"}}");
        radsec.house.comes_to(&line, count).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_tls_are_spoken() {
    let radsec = Radsec::start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = rustls::RootCertStore::empty();
        let pem = radsec.authority.pem();
        roots.add_parsable_certificates(super::rustls_pem(&pem));
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(radsec.shown.chain(), radsec.shown.private())
            .unwrap();
        let mut peer = Peer::connect(radsec.address(), config).unwrap();
        assert_eq!(peer.stream.conn.protocol_version(), Some(version.version));
        assert_eq!(peer.ask(Query::status(1)).code(), Code::AccessAccept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_the_new_form_of_packets_alone_is_told_so_by_tls() {
    let radsec = Radsec::start();
    let with = |protocols: &[&str]| {
        let mut config = config(&radsec.authority, Some(&radsec.shown));
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Peer::connect(radsec.address(), config)
    };
    let mut both = with(&["radius/1.1", "radius/1.0"]).unwrap();
    assert_eq!(both.stream.conn.alpn_protocol(), Some(&b"radius/1.0"[..]));
    assert_eq!(both.ask(Query::status(1)).code(), Code::AccessAccept);
    let refused = with(&["radius/1.1"]).err().unwrap();
    assert!(
        refused.to_string().contains("NoApplicationProtocol"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_never_resumed() {
    let radsec = Radsec::start();
    let config = config(&radsec.authority, Some(&radsec.shown));
    for _ in 0..3 {
        let mut peer = Peer::connect(radsec.address(), config.clone()).unwrap();
        assert_eq!(peer.ask(Query::status(1)).code(), Code::AccessAccept);
        let kind = peer.stream.conn.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Full));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_is_not_believed_also_on_an_open_connection() {
    let radsec = Radsec::start();
    let spare = radsec.authority.issue(&[NAME]);
    let (mut revoked, mut kept) = (radsec.connect(), radsec.connect_as(&spare));
    for peer in [&mut revoked, &mut kept] {
        assert_eq!(peer.ask(Query::status(1)).code(), Code::AccessAccept);
    }
    let crl = radsec.authority.revoke(&[radsec.shown.serial]);
    let tls = tls(&radsec.authority, Some(&crl));
    radsec.reload(|settings| settings.tls = Some(tls));
    let asked = Query::status(2).sign(&revoked.secret);
    revoked.send(asked.octets()).unwrap();
    assert!(revoked.is_closed());
    assert_eq!(kept.ask(Query::status(2)).code(), Code::AccessAccept);
    assert!(!is_served(
        &radsec,
        config(&radsec.authority, Some(&radsec.shown))
    ));
    assert!(is_served(&radsec, config(&radsec.authority, Some(&spare))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_after_a_reload_is_not_served_on_its_connection() {
    let radsec = Radsec::start();
    let mut peer = radsec.connect();
    assert_eq!(peer.ask(Query::status(1)).code(), Code::AccessAccept);
    radsec.reload(|settings| {
        settings.clients.pop();
        settings
            .clients
            .push(by_tls("wifi", &["ap2.example.ac.jp"]));
    });
    let asked = Query::status(2).sign(&peer.secret);
    peer.send(asked.octets()).unwrap();
    assert!(peer.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_addresses_is_not_let_in_from_others() {
    let radsec = Radsec::start_with(|settings| {
        let mut near = by_tls("near", &["near.example.ac.jp"]);
        near.addresses = vec!["127.0.0.7/32".parse().unwrap()];
        settings.clients.push(near);
    });
    let shown = radsec.authority.issue(&["near.example.ac.jp"]);
    let served = |source: [u8; 4]| {
        let stream = super::tcp_from(source.into(), radsec.address()).unwrap();
        let config = config(&radsec.authority, Some(&shown));
        let mut peer = Peer::over(stream, config).unwrap();
        let asked = Query::status(1).sign(&peer.secret);
        peer.send(asked.octets()).is_ok() && peer.receive(super::PATIENCE).is_ok()
    };
    assert!(served([127, 0, 0, 7]));
    assert!(!served([127, 0, 0, 8]));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_client_connects_from_no_hello_is_read() {
    let radsec = Radsec::start_with(|settings| {
        let Some(wifi) = settings.clients.last_mut() else {
            return;
        };
        wifi.addresses = vec!["127.0.0.7/32".parse().unwrap()];
    });
    let mut stream = TcpStream::connect(radsec.address()).unwrap();
    let read = std::io::Read::read(&mut stream, &mut [0; 16]);
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    let line = "sekisho_tls_closed_connections_total{reason=\"refused\"}";
    radsec.house.comes_to(line, 1).await;
}
