//! 389 Directory Server, one instance, on loopback.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use super::daemon::wait;
use super::ports;

/// The administrator.
pub const ADMIN: &str = "cn=Directory Manager";
/// The administrator's password.
pub const ADMIN_PASSWORD: &str = "Directory-Passw0rd";

/// A running instance.
pub struct Ds389 {
    port: u16,
    child: Child,
    _traces: Traces,
}

/// What an instance leaves: its folders are the system's own, named after it.
struct Traces(String);

impl Ds389 {
    /// Makes an instance with the suffix `dc=example,dc=ac,dc=jp`, starts it and adds the entries.
    pub fn start(ldif: &str) -> Self {
        let port = ports::free();
        let name = format!("sekisho{port}");
        let traces = Traces(name.clone());
        let setup = tempfile::NamedTempFile::new().unwrap();
        fs::write(
            setup.path(),
            format!(
                "[general]\nconfig_version = 2\nstart = False\nsystemd = False\nstrict_host_checking = False\n\
                 full_machine_name = localhost.localdomain\n[slapd]\ninstance_name = {name}\nport = {port}\n\
                 secure_port = 0\nroot_password = {ADMIN_PASSWORD}\nself_sign_cert = False\nuser = root\ngroup = root\n"
            ),
        )
        .unwrap();
        // Without systemd the tool makes the instance and then fails to start it, which is done here.
        let made = Command::new("dscreate")
            .arg("from-file")
            .arg(setup.path())
            .output()
            .unwrap();
        let settings = format!("/etc/dirsrv/slapd-{name}");
        assert!(
            fs::metadata(&settings).is_ok(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        finish(&format!("{settings}/dse.ldif"));
        let child = Command::new("ns-slapd")
            .args(["-D", &settings, "-d", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            port,
            child,
            _traces: traces,
        };
        wait(|| server.answers(), || "389 does not answer".to_owned());
        server.modify(SUFFIX);
        server.modify(ldif);
        server
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// Adds or changes entries as the administrator.
    pub fn modify(&self, ldif: &str) {
        let mut child = Command::new("ldapmodify")
            .args([
                "-a",
                "-x",
                "-H",
                &self.url(),
                "-D",
                ADMIN,
                "-w",
                ADMIN_PASSWORD,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(ldif.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Tries a wrong password until the account is locked.
    pub fn lock(&self, dn: &str) {
        for number in 0..4 {
            let output = Command::new("ldapwhoami")
                .args(["-x", "-H", &self.url(), "-D", dn])
                .args(["-w", &format!("wrong-{number}")])
                .output()
                .expect("package ldap-utils is installed");
            let refused = [Some(49), Some(19)].contains(&output.status.code());
            assert!(refused, "{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    fn answers(&self) -> bool {
        Command::new("ldapsearch")
            .args([
                "-x",
                "-H",
                &self.url(),
                "-s",
                "base",
                "-b",
                "",
                "vendorVersion",
            ])
            .output()
            .unwrap()
            .status
            .success()
    }
}

impl Drop for Ds389 {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        let name = &self.0;
        for place in [
            "/etc/dirsrv",
            "/var/lib/dirsrv",
            "/var/log/dirsrv",
            "/run/dirsrv",
            "/run/lock/dirsrv",
        ] {
            let _absent = fs::remove_dir_all(format!("{place}/slapd-{name}"));
        }
        for file in [
            format!("/run/dirsrv/slapd-{name}.stats"),
            format!("/dev/shm/sem.slapd-{name}.stats"),
            format!("/run/slapd-{name}.socket"),
        ] {
            let _absent = fs::remove_file(file);
        }
    }
}

const SUFFIX: &str = "\
dn: cn=userroot,cn=ldbm database,cn=plugins,cn=config
objectClass: extensibleObject
objectClass: nsBackendInstance
cn: userroot
nsslapd-suffix: dc=example,dc=ac,dc=jp

dn: cn=\"dc=example,dc=ac,dc=jp\",cn=mapping tree,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsMappingTree
cn: dc=example,dc=ac,dc=jp
nsslapd-state: backend
nsslapd-backend: userroot

dn: dc=example,dc=ac,dc=jp
objectClass: domain
dc: example

";

/// The tool cuts its work short before the administrator's password is usable: sets it in the
/// clear. Names and passwords may be Japanese.
fn finish(dse: &str) {
    let text = fs::read_to_string(dse).unwrap().replace("\n ", "");
    let entries: Vec<String> = text.split("\n\n").map(finished).collect();
    fs::write(dse, entries.join("\n")).unwrap();
}

fn finished(entry: &str) -> String {
    let only_ascii = entry.contains("dn: cn=7-bit check,cn=plugins,cn=config\n");
    let is = |name: &str, wanted: &str| name.eq_ignore_ascii_case(wanted);
    entry
        .lines()
        .map(|line| match line.split_once(": ") {
            Some((name, _)) if is(name, "nsslapd-rootpw") => {
                format!("nsslapd-rootpw: {{CLEAR}}{ADMIN_PASSWORD}\n")
            }
            Some((name, _)) if only_ascii && is(name, "nsslapd-pluginEnabled") => {
                "nsslapd-pluginEnabled: off\n".to_owned()
            }
            _ => format!("{line}\n"),
        })
        .collect()
}
