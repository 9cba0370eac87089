//! The door: by TLS, behind a proxy, and when it is crowded.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};

use super::visitor::Page;
use super::{CAMPUS, House, shows};
use crate::login::{PEOPLE, directory};
use crate::support::daemon::{Daemon, client};
use crate::support::ports;
use crate::support::slapd::Slapd;

/// A new certificate for localhost in the daemon's folder.
fn certificate(daemon: &Daemon) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(daemon.path("portal.pem"), made.cert.pem()).unwrap();
    fs::write(daemon.path("portal.key"), made.signing_key.serialize_pem()).unwrap();
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(daemon.path("portal.key"), private).unwrap();
    made.cert.der().clone()
}

/// A page by TLS from a portal that has this certificate.
fn over_tls(to: SocketAddr, trusted: &CertificateDer<'static>) -> Result<Page, std::io::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(to)?;
    let mut stream = rustls::Stream::new(&mut tls, &mut stream);
    stream.write_all(b"GET /signin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let _closed = stream.read_to_end(&mut answer);
    Ok(Page::read(&answer))
}

#[test]
fn a_certificate_is_served_and_renewed() {
    let slapd = Slapd::start(PEOPLE);
    let mut daemon = Daemon::start(&directory(&[&slapd.url()]), &client("vpn", ""));
    let first = certificate(&daemon);
    let to = SocketAddr::from(([127, 0, 0, 1], ports::free()));
    let portal = format!(
        "{}\n[portal]\nlisten = [\"{to}\"]\nurl = \"https://localhost:{}\"\ncertificate = \"{{folder}}/portal.pem\"\n\
         certificate-key = \"{{folder}}/portal.key\"\n",
        client("vpn", ""),
        to.port()
    );
    daemon.stop();
    daemon.configure(&directory(&[&slapd.url()]), &portal);
    daemon.run();
    let page = over_tls(to, &first).unwrap();
    assert_eq!(page.status, 200);
    assert!(page.field("strict-transport-security").is_some());
    let second = certificate(&daemon);
    daemon.hang_up();
    daemon.wait_log("configuration reloaded");
    assert!(over_tls(to, &first).is_err());
    assert_eq!(over_tls(to, &second).unwrap().status, 200);
    // What is no TLS, and what begins one and says no more, costs nobody else anything.
    let mut clear = TcpStream::connect(to).unwrap();
    clear.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _silent: Vec<_> = (0..20).map(|_| TcpStream::connect(to).unwrap()).collect();
    assert_eq!(over_tls(to, &second).unwrap().status, 200);
}

/// Keys of the portal, and the fault that is found in them.
const FAULTS: [(&str, &str); 10] = [
    ("", "`url` is missing"),
    ("url = \"mfa.example.ac.jp\"", "is no address such as"),
    (
        "url = \"http://mfa.example.ac.jp\"",
        "which browsers trust on this machine alone",
    ),
    (
        "url = \"https://mfa.example.ac.jp/portal\"",
        "more than scheme, host and port",
    ),
    (
        "url = \"https://mfa.example.ac.jp\"",
        "Passwords would cross the network in clear",
    ),
    (
        "url = \"https://a.example\"\ncertificate = \"/nowhere\"",
        "`certificate-key` is missing",
    ),
    (
        "url = \"https://a.example\"\ncertificate = \"{folder}portal.pem\"\ncertificate-key = \"{folder}portal.key\"",
        "open to everybody",
    ),
    (
        "url = \"https://a.example\"\ncertificate = \"{folder}portal.key\"\ncertificate-key = \"{folder}portal.pem\"",
        "The certificate cannot be served",
    ),
    (
        "url = \"https://a.example\"\nenrol-from = [\"campsu\"]",
        "There is no zone \"campsu\"",
    ),
    (
        "url = \"https://a.example\"\npassword-url = \"javascript:alert(1)\"",
        "`password-url` cannot be",
    ),
];

#[test]
fn faults_of_the_portal_are_found() {
    let slapd = Slapd::start(PEOPLE);
    let directory = directory(&[&slapd.url()]);
    let daemon = Daemon::start(&directory, &client("vpn", ""));
    certificate(&daemon);
    let folder = daemon.path("").display().to_string();
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(daemon.path("portal.key"), open).unwrap();
    let finds = |text: &str, fault: &str| {
        daemon.configure(&directory, text);
        let checked = daemon.cli(&["check"]);
        let said = [checked.stdout, checked.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains(fault), "{text}: {said}");
    };
    for (keys, fault) in FAULTS {
        let keys = keys.replace("{folder}", &folder);
        let vpn = client("vpn", "");
        finds(&format!("{vpn}\n[portal]\n{keys}\n{CAMPUS}"), fault);
    }
    let portal = "[portal]\nlisten = [\"127.0.0.1:0\"]\nurl = \"http://localhost:1\"";
    let text = format!("{}\n{portal}", client("portal", ""));
    finds(&text, "A client is called \"portal\"");
}

#[test]
fn a_proxy_says_where_browsers_are() {
    let vpn = "code = [\"challenge\"]";
    let house = House::start(
        vpn,
        "trusted-proxy = [\"127.0.0.1\"]\nenrol-from = [\"campus\"]",
        "[zone.campus]\nnetworks = [\"203.0.113.0/24\"]\n",
    );
    let outside = house
        .visitor()
        .with("X-Forwarded-For", "203.0.113.5, 198.51.100.7");
    shows(
        &outside.clone().password("jiro", "jiro-password"),
        "cannot be set up from here",
    );
    let campus = house
        .visitor()
        .with("X-Forwarded-For", "198.51.100.7, 203.0.113.5");
    shows(
        &campus.clone().password("jiro", "jiro-password"),
        "You are not set up yet",
    );
    let told = house.daemon.cli_ok(&["why", "jiro"]);
    assert!(
        told.contains("198.51.100.7") && told.contains("203.0.113.5"),
        "{told}"
    );

    let direct = House::start(
        vpn,
        "enrol-from = [\"campus\"]",
        "[zone.campus]\nnetworks = [\"203.0.113.0/24\"]\n",
    );
    let forged = direct.visitor().with("X-Forwarded-For", "203.0.113.5");
    shows(
        &forged.clone().password("jiro", "jiro-password"),
        "cannot be set up from here",
    );
}

#[test]
fn a_proxy_that_names_nobody_puts_nobody_on_its_own_network() {
    let house = House::start(
        "code = [\"challenge\"]",
        "trusted-proxy = [\"127.0.0.1\"]\nenrol-from = [\"campus\"]",
        "[zone.campus]\nnetworks = [\"127.0.0.0/8\", \"203.0.113.0/24\"]\n",
    );
    let silent = house.visitor();
    let strange = house
        .visitor()
        .with("X-Forwarded-For", "203.0.113.5, 198.51.100.7:4711");
    for mut visitor in [silent, strange] {
        let page = visitor.password("jiro", "jiro-password");
        shows(&page, "cannot be set up from here");
    }
}

#[test]
fn signing_in_is_limited_by_address() {
    let house = House::start(
        "code = [\"challenge\"]",
        "trusted-proxy = [\"127.0.0.1\"]",
        "",
    );
    let from = |last: usize| {
        house
            .visitor()
            .with("X-Forwarded-For", &format!("198.51.100.{last}"))
    };
    let mut dialogue = from(1);
    dialogue.password("taro", "taro-password");
    // An empty name costs neither a bind nor time at the directory, and counts all the same.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let visits = (0..80).map(|_| {
            let mut visitor = from(1);
            scope.spawn(move || {
                visitor
                    .post("/signin", &[("user", ""), ("password", "")])
                    .status
            })
        });
        let visits: Vec<_> = visits.collect();
        visits
            .into_iter()
            .map(|visit| visit.join().unwrap())
            .collect()
    });
    assert!(
        statuses.contains(&403) && statuses.contains(&429),
        "{statuses:?}"
    );
    assert_eq!(
        from(2)
            .post("/signin", &[("user", ""), ("password", "")])
            .status,
        403
    );
    assert_eq!(from(1).get("/signin").status, 200);
}
