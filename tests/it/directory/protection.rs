//! TLS to the server: ldaps and StartTLS, and whom not to trust.

use sekisho::clock::Clock;
use sekisho::directory::{Bind, Directory, Error, Protection, Server, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{patient, run, settings};
use crate::support::slapd::{Slapd, person};

fn protected(slapd: &Slapd, protection: Protection, authority: &Slapd) -> Settings {
    let port = match protection {
        Protection::Tls => slapd.tls_port(),
        Protection::StartTls | Protection::Clear => slapd.port(),
    };
    Settings {
        servers: vec![Server {
            host: "localhost".into(),
            port,
            protection,
        }],
        ca_file: Some(authority.ca_file()),
        ..patient(slapd)
    }
}

#[tokio::test]
async fn both_kinds_of_tls_prove_a_password() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    for protection in [Protection::Tls, Protection::StartTls] {
        let campus = run(protected(&slapd, protection, &slapd));
        for _ in 0..5 {
            let bind = campus.login("taro", "himitsu").await.unwrap();
            assert_eq!(bind, Bind::Proven, "{protection:?}");
        }
    }
    // Each directory used both its search connections and one for binds, and kept them.
    assert_eq!(slapd.log().matches("TLS established").count(), 2 * 3);
}

#[tokio::test]
async fn a_restart_behind_tls_fails_no_login() {
    let mut slapd = Slapd::start(&person("taro", "himitsu"));
    let campus = run(protected(&slapd, Protection::Tls, &slapd));
    let entry = campus.one("taro").await;
    for _ in 0..3 {
        assert_eq!(campus.bind(&entry, "himitsu").await.unwrap(), Bind::Proven);
        slapd.restart();
    }
    assert_eq!(campus.login("taro", "himitsu").await.unwrap(), Bind::Proven);
}

#[tokio::test]
async fn a_server_of_another_ca_learns_nothing() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    let other = Slapd::start("");
    for protection in [Protection::Tls, Protection::StartTls] {
        let campus = run(protected(&slapd, protection, &other));
        let found = campus.find("taro").await;
        assert!(matches!(found, Err(Error::Unreachable)), "{found:?}");
        let seen = campus.directory.survey(&[]).await;
        let said = seen[0].health.last_error.clone().unwrap_or_default();
        assert!(said.contains("certificate"), "{said}");
    }
    assert!(!slapd.log().contains("BIND dn=\"cn=sekisho"));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    let mut settings = protected(&slapd, Protection::Tls, &slapd);
    settings.servers[0].host = "127.0.0.2".into();
    settings.servers[0].port = forward(slapd.tls_port()).await;
    let campus = run(settings);
    assert!(matches!(campus.find("taro").await, Err(Error::Unreachable)));
}

/// Another address for the same server.
async fn forward(to: u16) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let forwarding = async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::TcpStream::connect(("127.0.0.1", to))
                .await
                .unwrap();
            drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
        }
    };
    drop(TaskTracker::new().spawn(forwarding));
    port
}

#[tokio::test]
async fn octets_behind_the_answer_to_starttls_end_the_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let slapd = Slapd::start("");
    let server = async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 31];
            stream.read_exact(&mut request).await.unwrap();
            let answer = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
            let injected = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
            drop(stream.write_all(&[&answer[..], injected].concat()).await);
            drop(stream.read(&mut request).await);
        }
    };
    drop(TaskTracker::new().spawn(server));
    let mut settings = protected(&slapd, Protection::StartTls, &slapd);
    settings.servers[0].port = port;
    let campus = run(settings);
    assert!(matches!(campus.find("taro").await, Err(Error::Unreachable)));
    let seen = campus.directory.survey(&[]).await;
    assert_eq!(
        seen[0].health.last_error.as_deref(),
        Some("StartTLS answered with a length that is not allowed")
    );
}

#[tokio::test]
async fn a_ca_file_that_cannot_be_read_is_an_error() {
    let mut settings = settings(&[1]);
    settings.servers[0].protection = Protection::Tls;
    settings.ca_file = Some("/nonexistent/ca.pem".into());
    let directory = Directory::new(
        settings,
        Clock::system(),
        TaskTracker::new(),
        CancellationToken::new(),
    );
    assert!(directory.is_err());
}
