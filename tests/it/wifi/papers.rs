//! Certificates, made by openssl for this run of the tests.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A folder with what a campus has: a CA with the server's certificate, a CA for clients, and another CA that nobody knows.
pub struct Papers(TempDir);

impl Papers {
    pub fn make() -> Self {
        let papers = Self(tempfile::tempdir().unwrap());
        fs::set_permissions(papers.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for (name, title) in [
            ("ca", "Campus CA"),
            ("clients", "Client CA"),
            ("other", "Another CA"),
        ] {
            papers.authority(name, title);
        }
        papers.server("server");
        papers
    }

    /// The path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, words: &[&str]) {
        let output = Command::new("openssl")
            .args(words)
            .current_dir(&self.0)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {words:?}: {said}");
    }

    fn key(&self, name: &str) {
        let file = format!("{name}.key");
        let curve = ["-name", "prime256v1", "-genkey", "-noout"];
        self.openssl(&[&["ecparam"][..], &curve, &["-out", &file]].concat());
        fs::set_permissions(self.path(&file), fs::Permissions::from_mode(0o640)).unwrap();
    }

    fn authority(&self, name: &str, title: &str) {
        self.key(name);
        let (key, out) = (format!("{name}.key"), format!("{name}.pem"));
        let subject = format!("/CN={title}");
        let usage = "keyUsage=critical,keyCertSign,cRLSign";
        self.openssl(&[
            "req",
            "-x509",
            "-new",
            "-key",
            &key,
            "-days",
            "30",
            "-subj",
            &subject,
            "-out",
            &out,
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            usage,
        ]);
    }

    /// A certificate of the server under another name of its files.
    pub fn server(&self, name: &str) {
        let extensions = "subjectAltName=DNS:radius.example.ac.jp\nextendedKeyUsage=serverAuth\n";
        self.sign(name, ("ca", "radius.example.ac.jp", extensions));
    }

    /// A certificate of a person, by this CA.
    pub fn person(&self, name: &str, authority: &str, mail: &str) {
        let extensions = format!("subjectAltName=email:{mail}\nextendedKeyUsage=clientAuth\n");
        self.sign(name, (authority, name, &extensions));
    }

    fn sign(&self, name: &str, (authority, common, extensions): (&str, &str, &str)) {
        self.key(name);
        let [key, request, out, more] =
            ["key", "csr", "pem", "ext"].map(|kind| format!("{name}.{kind}"));
        let subject = format!("/CN={common}");
        self.openssl(&[
            "req", "-new", "-key", &key, "-subj", &subject, "-out", &request,
        ]);
        let extensions = format!("{extensions}basicConstraints=critical,CA:FALSE\n");
        fs::write(self.path(&more), extensions).unwrap();
        let (ca, ca_key) = (format!("{authority}.pem"), format!("{authority}.key"));
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-CAcreateserial",
            "-CAserial",
            &format!("{name}.srl"),
            "-days",
            "20",
            "-out",
            &out,
            "-extfile",
            &more,
        ]);
    }

    /// `[eap]` with these papers, and further keys.
    pub fn eap(&self, further: &str) -> String {
        let shown = |name: &str| self.path(name).display().to_string();
        format!(
            "[eap]\ncertificate-file = \"{}\"\nkey-file = \"{}\"\n{further}\n\n",
            shown("server.pem"),
            shown("server.key"),
        )
    }
}

/// NT hash of a password: MD4 of its UTF-16 (RFC 2759 §8.3), by openssl.
pub fn nt_hash(password: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let octets: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(&file, octets).unwrap();
    hashed(&file)
}

fn hashed(file: &Path) -> String {
    let output = Command::new("openssl")
        .args([
            "dgst",
            "-provider",
            "legacy",
            "-provider",
            "default",
            "-md4",
            "-r",
        ])
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let hash = said.split_whitespace().next().unwrap_or_default();
    assert_eq!(hash.len(), 32, "openssl makes no MD4: {said}");
    hash.to_owned()
}
