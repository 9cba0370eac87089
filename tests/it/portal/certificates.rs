//! Certificates that end soon: who hears of it, and how often.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::Receiver;

use rcgen::{CertificateParams, KeyPair};
use sekisho::clock::Clock;
use serde_json::Value;
use x509_parser::time::ASN1Time;

use super::rings::{PATIENCE, server};
use super::visitor::Visitor;
use crate::login::{PEOPLE, directory};
use crate::support::daemon::{Daemon, client};
use crate::support::ports;
use crate::support::slapd::Slapd;

const DAY: u64 = 24 * 3600;

/// Puts a certificate that ends in so many days into the daemon's folder.
fn put(daemon: &Daemon, days: u64) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let moment = |secs: u64| {
        let secs = i64::try_from(secs).unwrap();
        ASN1Time::from_timestamp(secs).unwrap().to_datetime()
    };
    let now = Clock::system().now().secs();
    params.not_before = moment(now - DAY);
    params.not_after = moment(now + days * DAY + 600);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    fs::write(daemon.path("portal.pem"), made.pem()).unwrap();
    fs::write(daemon.path("portal.key"), key.serialize_pem()).unwrap();
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(daemon.path("portal.key"), private).unwrap();
}

/// A daemon whose portal has a certificate that ends in 20 days, where its metrics are, and who hears of alerts.
struct House {
    _slapd: Slapd,
    daemon: Daemon,
    metrics: SocketAddr,
    alerts: Receiver<String>,
}

impl House {
    fn start() -> Self {
        let slapd = Slapd::start(PEOPLE);
        let directory = directory(&[&slapd.url()]);
        let (address, alerts) = server();
        let [portal, metrics] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], ports::free())));
        let mut daemon = Daemon::start(&directory, &client("vpn", ""));
        daemon.stop();
        put(&daemon, 20);
        let text = format!(
            "{}\n[metrics]\nlisten = \"{metrics}\"\n[portal]\nlisten = [\"{portal}\"]\nurl = \"https://localhost:{}\"\n\
             certificate = \"{{folder}}/portal.pem\"\ncertificate-key = \"{{folder}}/portal.key\"\n\
             [alert.webhook]\nurl = \"http://{address}/alert\"\nallow-private = true\nsecret = \"0123456789abcdef0123456789abcdef\"\n",
            client("vpn", ""),
            portal.port()
        );
        daemon.configure(&directory, &text);
        daemon.run();
        Self {
            _slapd: slapd,
            daemon,
            metrics,
            alerts,
        }
    }

    fn heard(&self) -> Value {
        let alert = self.alerts.recv_timeout(PATIENCE).expect("an alert");
        serde_json::from_str(&alert).unwrap()
    }

    /// Another certificate is put there, and reloaded.
    fn renew(&self, days: u64) {
        put(&self.daemon, days);
        self.daemon.cli_ok(&["reload"]);
    }

    fn metric(&self) -> u64 {
        let page = Visitor::new(self.metrics).get("/metrics");
        let mut lines = page.body.lines();
        let name = "sekisho_certificate_not_after_seconds{use=\"portal\"} ";
        let value = lines.find_map(|line| line.strip_prefix(name));
        value.expect(&page.body).parse().unwrap()
    }
}

#[test]
fn whoever_must_renew_one_hears_of_it() {
    let house = House::start();
    let alert = house.heard();
    assert_eq!(alert["event"], "certificate");
    assert_eq!(
        alert["subject"]["en"],
        "The certificate of portal ends in 20 days"
    );
    let ja = alert["subject"]["ja"].as_str().unwrap();
    assert!(ja.contains("あと20日"), "{ja}");
    let said = "The certificate of portal (CN=rcgen self signed cert) ends in 20 days.";
    house.daemon.wait_log(said);
    let checked = house.daemon.cli_ok(&["check"]);
    assert!(checked.contains(&format!("warning: {said}")), "{checked}");
    let status = house.daemon.cli_ok(&["--lang", "en", "status"]);
    assert!(status.contains("portal  20 days left"), "{status}");
    let status = house.daemon.cli_ok(&["--lang", "ja", "status"]);
    assert!(status.contains("証明書"), "{status}");
    assert!(status.contains("あと20日"), "{status}");
}

#[test]
fn each_threshold_is_told_once_until_it_is_renewed() {
    let house = House::start();
    let subject = |alert: &Value| alert["subject"]["en"].as_str().unwrap().to_owned();
    assert!(subject(&house.heard()).ends_with("in 20 days"));
    let first = house.metric();
    // A reload is no news, the next threshold is.
    house.daemon.cli_ok(&["reload"]);
    house.renew(5);
    assert!(subject(&house.heard()).ends_with("in 5 days"));
    house.renew(400);
    let status = house.daemon.cli_ok(&["--json", "status"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    let shown = &status["certificates"][0];
    assert_eq!(
        (&shown["use"], &shown["days_left"]),
        (&"portal".into(), &400.into())
    );
    let later = house.metric() - first;
    assert!((379 * DAY..381 * DAY).contains(&later), "{later}");
    house.renew(0);
    assert!(subject(&house.heard()).ends_with("within a day"));
    assert!(house.alerts.try_recv().is_err());
}
