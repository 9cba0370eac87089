//! Certificates that `cert` makes, judged by openssl; and what it says of others.

use std::fs;
use std::path::Path;
use std::process::Command;

use sekisho::cli::Exit;
use sekisho::clock::Clock;
use tempfile::TempDir;

use super::{json, run, write};
use crate::support::daemon::mode;

/// A folder in which a CA has signed for a server and a person.
struct Made {
    folder: TempDir,
}

impl Made {
    fn new() -> Self {
        let made = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let (exit, said) = made.ca("関所大学 Wi-Fi CA", "ca", "3650");
        assert_eq!(exit, Exit::Done, "{said}");
        assert!(said.contains("take it off this machine"), "{said}");
        let (exit, said) = made.server("ca", &["radius.example.ac.jp", "radius2.example.ac.jp"]);
        assert_eq!(exit, Exit::Done, "{said}");
        made
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn ca(&self, name: &str, out: &str, days: &str) -> (Exit, String) {
        let out = self.path(out);
        run(&["cert", "ca", "--name", name, "--out", &out, "--days", days])
    }

    fn server(&self, ca: &str, names: &[&str]) -> (Exit, String) {
        let (ca, out) = (self.path(ca), self.path("tls"));
        let mut words = vec!["cert", "server", "--ca", &ca, "--out", &out];
        for name in names {
            words.extend(["--name", name]);
        }
        run(&words)
    }

    fn client(&self, mail: &str) -> (Exit, String) {
        let (ca, out) = (self.path("ca"), self.path("taro.pem"));
        run(&["cert", "client", "--ca", &ca, "--mail", mail, "--out", &out])
    }

    /// Whether openssl takes a certificate for a purpose, by the letter of RFC 5280.
    fn is_fit(&self, certificate: &str, purpose: &[&str]) -> bool {
        let mut words = vec!["verify", "-x509_strict", "-CAfile"];
        let (ca, certificate) = (self.path("ca/ca.pem"), self.path(certificate));
        words.push(&ca);
        words.extend(purpose);
        words.push(&certificate);
        openssl(&words).0
    }
}

fn openssl(words: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(words).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn octets(path: &str) -> Vec<u8> {
    fs::read(path).unwrap()
}

#[test]
fn what_is_made_is_fit_for_its_purpose_and_no_other() {
    let made = Made::new();
    let (exit, said) = made.client("taro@example.ac.jp");
    assert_eq!(exit, Exit::Done, "{said}");
    let name = |name| ["-purpose", "sslserver", "-verify_hostname", name];
    assert!(made.is_fit("tls/server.pem", &name("radius.example.ac.jp")));
    assert!(made.is_fit("tls/server.pem", &name("radius2.example.ac.jp")));
    assert!(!made.is_fit("tls/server.pem", &name("www.example.ac.jp")));
    assert!(!made.is_fit("tls/server.pem", &["-purpose", "sslclient"]));
    let mail = |mail| ["-purpose", "sslclient", "-verify_email", mail];
    assert!(made.is_fit("taro.pem", &mail("taro@example.ac.jp")));
    assert!(!made.is_fit("taro.pem", &mail("bob@example.ac.jp")));
    assert!(!made.is_fit("taro.pem", &["-purpose", "sslserver"]));
    let text = |file: &str| openssl(&["x509", "-noout", "-text", "-in", &made.path(file)]).1;
    let ca = text("ca/ca.pem");
    for has in [
        "Basic Constraints: critical",
        "CA:TRUE, pathlen:0",
        "Key Usage: critical",
        "Certificate Sign, CRL Sign",
        "prime256v1",
        "Subject Key Identifier",
    ] {
        assert!(ca.contains(has), "{has}: {ca}");
    }
    let server = text("tls/server.pem");
    for has in [
        "DNS:radius.example.ac.jp, DNS:radius2.example.ac.jp",
        "TLS Web Server Authentication",
        "Digital Signature",
        "Authority Key Identifier",
        "CA:FALSE",
    ] {
        assert!(server.contains(has), "{has}: {server}");
    }
}

#[test]
fn keys_belong_to_their_owner_and_to_their_certificate() {
    let made = Made::new();
    made.client("taro@example.ac.jp");
    for (file, modes) in [
        ("ca", &[0o700][..]),
        ("ca/ca.key", &[0o600]),
        ("ca/ca.pem", &[0o644]),
        // As the machine has the daemon's group or not.
        ("tls/server.key", &[0o600, 0o640]),
        ("tls/server.pem", &[0o644]),
        ("taro.pem", &[0o600]),
    ] {
        let mode = mode(Path::new(&made.path(file)));
        assert!(modes.contains(&mode), "{file}: {mode:o}");
    }
    let public = |words: &[&str]| {
        let (done, key) = openssl(words);
        assert!(done, "{key}");
        key
    };
    for (certificate, key) in [
        ("ca/ca.pem", "ca/ca.key"),
        ("tls/server.pem", "tls/server.key"),
        ("taro.pem", "taro.pem"),
    ] {
        let (certificate, key) = (made.path(certificate), made.path(key));
        assert_eq!(
            public(&["x509", "-noout", "-pubkey", "-in", &certificate]),
            public(&["pkey", "-pubout", "-in", &key])
        );
    }
    // What is said of PKCS #12 works.
    let (pem, p12) = (made.path("taro.pem"), made.path("taro.p12"));
    let pack = ["pkcs12", "-export", "-in", &pem, "-out", &p12, "-passout"];
    let (done, said) = openssl(&[&pack[..], &["pass:word"]].concat());
    assert!(done, "{said}");
    let (done, held) = openssl(&["pkcs12", "-in", &p12, "-passin", "pass:word", "-nokeys"]);
    assert!(
        done && held.matches("BEGIN CERTIFICATE").count() == 2,
        "{held}"
    );
}

#[test]
fn a_renewed_certificate_leaves_the_one_before_beside_it() {
    let made = Made::new();
    let files = ["tls/server.pem", "tls/server.key"].map(|file| made.path(file));
    let before = files.each_ref().map(|file| octets(file));
    // Kept under the second: another must have begun.
    let begun = Clock::system().now().secs();
    crate::support::daemon::wait(
        || Clock::system().now().secs() > begun,
        || "time stands still".to_owned(),
    );
    let (exit, said) = made.server("ca", &["radius.example.ac.jp"]);
    assert_eq!(exit, Exit::Done);
    let kept: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("The one before is kept as "))
        .map(|line| line.trim_end_matches('.'))
        .collect();
    assert_eq!(kept.len(), 2, "{said}");
    assert_eq!((octets(kept[1]), octets(kept[0])), before.clone().into());
    assert!(files.each_ref().map(|file| octets(file)) != before);
    assert!(made.is_fit("tls/server.pem", &["-purpose", "sslserver"]));
    assert_eq!(mode(Path::new(kept[0])) & 0o007, 0);
    // A CA is not made twice: devices would not know the second.
    let ca = octets(&made.path("ca/ca.pem"));
    assert_eq!(made.ca("Another", "ca", "3650").0, Exit::Failed);
    assert_eq!(octets(&made.path("ca/ca.pem")), ca);
}

#[test]
fn nothing_is_signed_by_what_cannot_sign() {
    let made = Made::new();
    let refused = |ca: &str| {
        let before = octets(&made.path("tls/server.pem"));
        let (exit, _) = made.server(ca, &["radius.example.ac.jp"]);
        assert_eq!(octets(&made.path("tls/server.pem")), before);
        exit == Exit::Failed
    };
    assert!(refused("nowhere"));
    // The key of another CA, a key that others can read, a certificate of no CA.
    made.ca("Other CA", "other", "3650");
    let copy = |from: &str, to: &str| fs::copy(made.path(from), made.path(to)).unwrap();
    let put = |name: &str| fs::create_dir(made.path(name)).unwrap();
    put("mixed");
    copy("ca/ca.pem", "mixed/ca.pem");
    copy("other/ca.key", "mixed/ca.key");
    assert!(refused("mixed"));
    put("open");
    copy("ca/ca.pem", "open/ca.pem");
    let key = write(Path::new(&made.path("open")), "ca.key", "");
    copy("ca/ca.key", "open/ca.key");
    let shared = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o640);
    fs::set_permissions(key, shared).unwrap();
    assert!(refused("open"));
    put("none");
    copy("tls/server.pem", "none/ca.pem");
    write(Path::new(&made.path("none")), "ca.key", "");
    fs::write(
        made.path("none/ca.key"),
        octets(&made.path("tls/server.key")),
    )
    .unwrap();
    assert!(refused("none"));
}

#[test]
fn names_that_are_none_are_refused() {
    let made = Made::new();
    for name in [
        "*.example.ac.jp",
        "192.0.2.1",
        "radius",
        "a b.example",
        "関所.example",
    ] {
        assert_eq!(made.server("ca", &[name]).0, Exit::Usage, "{name}");
    }
    for mail in [
        "taro",
        "@example.ac.jp",
        "taro@",
        "a b@example.ac.jp",
        "太郎@example.ac.jp",
    ] {
        assert_eq!(made.client(mail).0, Exit::Usage, "{mail}");
    }
    for name in ["", " ", "a\nb", &"a".repeat(65)] {
        assert_eq!(made.ca(name, "third", "3650").0, Exit::Usage, "{name:?}");
    }
    assert!(!Path::new(&made.path("third")).exists());
}

#[test]
fn nothing_outlives_its_ca() {
    let made = Made::new();
    made.ca("Short CA", "short", "30");
    let (exit, said) = made.server("short", &["radius.example.ac.jp"]);
    assert_eq!(exit, Exit::Done);
    assert!(said.contains("because the CA ends then"), "{said}");
    let (ca, server) = (made.path("short/ca.pem"), made.path("tls/server.pem"));
    let (_, shown) = run(&["--json", "cert", "show", &ca, &server]);
    let shown = &json(&shown)["certificates"];
    assert_eq!(
        shown[0]["certificate"]["not_after"],
        shown[1]["certificate"]["not_after"]
    );
}

#[test]
fn what_a_certificate_is_and_lacks_is_shown() {
    let made = Made::new();
    let (ca, server) = (made.path("ca/ca.pem"), made.path("tls/server.pem"));
    let (exit, said) = run(&["cert", "show", &ca, &server]);
    assert_eq!(exit, Exit::Done, "{said}");
    for has in [
        "関所大学 Wi-Fi CA",
        "DNS:radius.example.ac.jp, DNS:radius2.example.ac.jp",
        "823 days left",
        "a server",
        "P-256",
    ] {
        assert!(said.contains(has), "{has}: {said}");
    }
    assert!(!said.contains("warning"), "{said}");
    let (_, print) = openssl(&["x509", "-noout", "-fingerprint", "-sha256", "-in", &ca]);
    assert!(said.contains(print.trim().split('=').next_back().unwrap()));
    // What `openssl req -x509` makes, as many pages tell people to.
    let (pem, key) = (made.path("own.pem"), made.path("own.key"));
    let (done, told) = openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:1024",
        "-nodes",
        "-days",
        "3650",
        "-subj",
        "/CN=radius",
        "-addext",
        "subjectAltName=DNS:radius.example.ac.jp",
        "-keyout",
        &key,
        "-out",
        &pem,
    ]);
    assert!(done, "{told}");
    let (exit, said) = run(&["cert", "show", &pem]);
    assert_eq!(exit, Exit::Failed);
    for lacking in [
        "serverAuth",
        "825 days",
        "RSA of 2048",
        "certificate of a CA",
    ] {
        assert!(said.contains(lacking), "{lacking}: {said}");
    }
    assert_eq!(run(&["cert", "show", &key]).0, Exit::Failed);
    assert_eq!(run(&["cert", "show", "/nowhere"]).0, Exit::Failed);
}

#[test]
fn programs_read_what_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("ca").display().to_string();
    let (exit, said) = run(&["--json", "cert", "ca", "--name", "CA", "--out", &out]);
    assert_eq!(exit, Exit::Done);
    let said = json(&said);
    assert_eq!(said["certificate"], format!("{out}/ca.pem"));
    assert_eq!(said["made"]["role"], "ca");
    assert_eq!(said["made"]["lacks"], json("[]"));
    assert!(!said.to_string().contains("PRIVATE"));
}
