//! Samba as an Active Directory domain controller, LDAP only, on a loopback address of its own.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::daemon::wait;

/// The domain's administrator.
pub const ADMIN: &str = "Administrator@ad.example.ac.jp";
/// The administrator's password.
pub const ADMIN_PASSWORD: &str = "Admin-Passw0rd!";
/// The domain's base.
pub const BASE: &str = "dc=ad,dc=example,dc=ac,dc=jp";

/// A domain controller.
pub struct Samba {
    folder: TempDir,
    child: Child,
    address: String,
}

impl Samba {
    /// Makes a domain and starts its LDAP service. `number` makes the address: one controller, one number.
    pub fn start(number: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("127.0.11.{number}");
        provision(folder.path());
        certify(folder.path(), &address);
        let conf = configure(folder.path(), &address);
        let child = Command::new("samba")
            .args(["-F", "--no-process-group", "-s"])
            .arg(conf)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let samba = Self {
            folder,
            child,
            address,
        };
        wait(
            || TcpStream::connect((samba.address.as_str(), 636)).is_ok(),
            || "samba does not answer".to_owned(),
        );
        samba
    }

    /// Where its LDAP is.
    pub fn url(&self) -> String {
        format!("ldaps://{}", self.address)
    }

    /// The CA of its certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Runs `samba-tool` on its database.
    pub fn tool(&self, words: &[&str]) {
        let output = Command::new("samba-tool")
            .args(words)
            .arg("-s")
            .arg(self.folder.path().join("etc/smb.conf"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{words:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Tries a wrong password until the account is locked.
    pub fn lock(&self, name: &str) {
        for number in 0..4 {
            let output = Command::new("ldapwhoami")
                .env("LDAPTLS_CACERT", self.ca())
                .args(["-x", "-H", &self.url(), "-D", &format!("EXAMPLE\\{name}")])
                .args(["-w", &format!("wrong-{number}")])
                .output()
                .expect("package ldap-utils is installed");
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(told.contains("Invalid credentials"), "{told}");
        }
    }

    /// Makes a person.
    pub fn person(&self, name: &str, password: &str, further: &[&str]) {
        self.tool(&[&["user", "create", name, password], further].concat());
    }
}

fn provision(folder: &Path) {
    let place = folder.display();
    let provisioned = Command::new("samba-tool")
        .args(["domain", "provision", "--server-role=dc", "--host-name=dc"])
        .args(["--realm=AD.EXAMPLE.AC.JP", "--domain=EXAMPLE"])
        .args(["--dns-backend=NONE", "--host-ip=127.0.0.1"])
        .arg(format!("--adminpass={ADMIN_PASSWORD}"))
        .arg(format!("--targetdir={place}"))
        .output()
        .expect("package samba-ad-provision is installed");
    assert!(
        provisioned.status.success(),
        "{}",
        String::from_utf8_lossy(&provisioned.stderr)
    );
}

fn certify(folder: &Path, address: &str) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![address.to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let key_file = folder.join("key.pem");
    fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// LDAP alone, on its own address; gives the file.
fn configure(folder: &Path, address: &str) -> PathBuf {
    let place = folder.display();
    let conf = folder.join("etc/smb.conf");
    let text = fs::read_to_string(&conf).unwrap();
    let global = format!(
        "[global]\n\tinterfaces = {address}/8\n\tbind interfaces only = Yes\n\tserver services = ldap\n\
         \tpid directory = {place}\n\tlog file = {place}/log\n\ttls certfile = {place}/cert.pem\n\ttls keyfile = \
         {place}/key.pem\n\ttls cafile = {place}/cert.pem\n"
    );
    fs::write(&conf, text.replacen("[global]\n", &global, 1)).unwrap();
    conf
}

impl Drop for Samba {
    fn drop(&mut self) {
        // The master ends its children when it is asked to end.
        let _asked = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _reaped = self.child.wait();
    }
}
