//! OpenLDAP's server, one for each test that wants one.
//!
//! ```ignore
//! let slapd = Slapd::start(&[person("taro", "himitsu"), group("staff", &["taro"])].concat());
//! ```

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::ports;

/// The suffix; people, groups and services have an `ou` each.
pub(crate) const BASE: &str = "dc=example,dc=ac,dc=jp";
/// The service account's DN; it alone may search.
pub(crate) const SERVICE_DN: &str = "cn=sekisho,ou=services,dc=example,dc=ac,dc=jp";
/// The service account's password.
pub(crate) const SERVICE_PASSWORD: &str = "barrier";
/// The policy that holds for everybody once a test adds it.
pub(crate) const POLICY_DN: &str = "cn=policy,dc=example,dc=ac,dc=jp";
const ROOT_DN: &str = "cn=root,dc=example,dc=ac,dc=jp";
const ROOT_PASSWORD: &str = "root";
/// Long enough for a machine that builds at the same time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Ports are tried and freed before slapd takes them, so that somebody else can be faster.
const ATTEMPTS: usize = 5;

/// The DN of a person.
pub(crate) fn person_dn(uid: &str) -> String {
    format!("uid={uid},ou=people,{BASE}")
}

/// The DN of a group.
pub(crate) fn group_dn(cn: &str) -> String {
    format!("cn={cn},ou=groups,{BASE}")
}

/// The LDIF of a person. More attributes can be appended as lines before the empty one: see
/// [`person_with`].
pub(crate) fn person(uid: &str, password: &str) -> String {
    person_with(uid, password, &[])
}

/// The LDIF of a person with more `attribute: value` lines.
pub(crate) fn person_with(uid: &str, password: &str, more: &[&str]) -> String {
    let dn = person_dn(uid);
    let more: String = more.iter().map(|line| format!("{line}\n")).collect();
    format!(
        "dn: {dn}\nobjectClass: inetOrgPerson\nobjectClass: shadowAccount\nuid: {uid}\ncn: {uid}\nsn: {uid}\nuserPassword: {password}\n{more}\n"
    )
}

/// The lines of a person who has the NT hash of a password, too.
pub(crate) fn nt_hash_lines(password: &str) -> [String; 2] {
    let hash = data_encoding::HEXUPPER.encode(&super::mschap::nt_hash(password));
    [
        "objectClass: sambaSamAccount".to_owned(),
        format!("sambaNTPassword: {hash}"),
    ]
}

/// The LDIF of a group; members are people by uid, or DNs.
pub(crate) fn group(cn: &str, members: &[&str]) -> String {
    let dn = group_dn(cn);
    let members: String = members
        .iter()
        .map(|member| {
            if member.contains('=') {
                format!("member: {member}\n")
            } else {
                format!("member: {}\n", person_dn(member))
            }
        })
        .collect();
    format!("dn: {dn}\nobjectClass: groupOfNames\ncn: {cn}\n{members}\n")
}

#[derive(Default)]
struct Log {
    text: Mutex<String>,
    grown: Condvar,
}

/// A running slapd in a folder of its own; killed and removed when dropped.
pub(crate) struct Slapd {
    folder: tempfile::TempDir,
    port: u16,
    tls_port: u16,
    child: Option<Child>,
    reader: Option<JoinHandle<()>>,
    paused: AtomicBool,
    log: Arc<Log>,
}

impl Slapd {
    /// Starts with the base tree and what the LDIF adds; returns when it can be asked.
    pub(crate) fn start(ldif: &str) -> Self {
        for _ in 0..ATTEMPTS {
            let folder = tempfile::tempdir().unwrap();
            write_configuration(folder.path());
            let mut slapd = Self {
                folder,
                port: ports::free(),
                tls_port: ports::free(),
                child: None,
                reader: None,
                paused: AtomicBool::new(false),
                log: Arc::default(),
            };
            if slapd.launch() {
                slapd.add(&base_tree());
                if !ldif.is_empty() {
                    slapd.add(ldif);
                }
                return slapd;
            }
        }
        panic!("slapd does not start");
    }

    /// `ldap://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// The port in the clear; StartTLS is offered there.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The port with TLS; the certificate is for `localhost` and 127.0.0.1.
    pub(crate) fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// The CA that signed the certificate.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Adds entries.
    pub(crate) fn add(&self, ldif: &str) {
        self.client("ldapadd", ldif);
    }

    /// Applies changes in LDIF.
    pub(crate) fn modify(&self, ldif: &str) {
        self.client("ldapmodify", ldif);
    }

    /// Gives a person another password: the change is dated where a policy holds.
    pub(crate) fn change_password(&self, uid: &str, new: &str) {
        let output = Command::new("ldappasswd")
            .args(["-x", "-H", &self.url(), "-D", ROOT_DN, "-w", ROOT_PASSWORD])
            .args(["-s", new, &person_dn(uid)])
            .output()
            .expect("package ldap-utils is installed");
        assert!(output.status.success(), "{output:?}");
    }

    /// Sets a password policy for everybody, of `attribute: value` lines.
    pub(crate) fn set_policy(&self, lines: &[&str]) {
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.add(&format!(
            "dn: {POLICY_DN}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\npwdAttribute: userPassword\n{lines}\n"
        ));
    }

    /// The values of an attribute of an entry, operational ones included, as the administrator sees them.
    pub(crate) fn values(&self, dn: &str, attribute: &str) -> Vec<String> {
        let output = Command::new("ldapsearch")
            .args(["-x", "-LLL", "-o", "ldif-wrap=no", "-H", &self.url()])
            .args(["-D", ROOT_DN, "-w", ROOT_PASSWORD, "-s", "base", "-b", dn])
            .args(["(objectClass=*)", attribute])
            .output()
            .expect("package ldap-utils is installed");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let begin = format!("{attribute}: ");
        let values = text.lines().filter_map(|line| line.strip_prefix(&begin));
        values.map(str::to_owned).collect()
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }

    /// Starts it again with what it held, at the same ports.
    pub(crate) fn restart(&mut self) {
        self.kill();
        assert!(self.launch(), "slapd does not start again: {}", self.log());
    }

    /// Stops it without closing anything: it hangs.
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
        self.signal("-STOP");
        let patience = tokio::time::Instant::now() + PATIENCE;
        while !self.has_stopped() {
            assert!(tokio::time::Instant::now() < patience, "slapd goes on");
            std::thread::yield_now();
        }
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
        self.paused.store(false, Ordering::Relaxed);
    }

    /// What it has logged of connections and operations, those included whose answers have come.
    /// While it hangs, what was read so far.
    pub(crate) fn log(&self) -> String {
        let hangs = self.paused.load(Ordering::Relaxed);
        if self.child.is_none() || hangs {
            return self.log.text.lock().unwrap().clone();
        }
        // Lines come in order, so that of a new connection comes after all that has been answered.
        let mark = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mark = format!("ACCEPT from IP={} ", mark.local_addr().unwrap());
        let text = self.log.text.lock().unwrap();
        let wait = self
            .log
            .grown
            .wait_timeout_while(text, PATIENCE, |text| !text.contains(&mark));
        wait.unwrap().0.clone()
    }

    /// How many binds it has seen for a DN.
    pub(crate) fn binds(&self, dn: &str) -> usize {
        let bind = format!(" BIND dn=\"{dn}\" method=128");
        self.log()
            .lines()
            .filter(|line| line.ends_with(&bind))
            .count()
    }

    /// How many searches under a base it has seen.
    pub(crate) fn searches(&self, base: &str) -> usize {
        let search = format!(" SRCH base=\"{base}\"");
        self.log()
            .lines()
            .filter(|line| line.contains(&search))
            .count()
    }

    fn launch(&mut self) -> bool {
        let before = self.log.text.lock().unwrap().len();
        let urls = format!(
            "ldap://127.0.0.1:{} ldaps://127.0.0.1:{}",
            self.port, self.tls_port
        );
        let mut child = Command::new("/usr/sbin/slapd")
            .args(["-h", &urls, "-d", "256", "-f"])
            .arg(self.folder.path().join("slapd.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("package slapd is installed");
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = self.log.clone();
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut text = log.text.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
                log.grown.notify_all();
            }
        });
        self.reader = Some(reader);
        self.paused.store(false, Ordering::Relaxed);
        self.child = Some(child);
        self.has_started(before)
    }

    fn has_started(&self, before: usize) -> bool {
        let text = self.log.text.lock().unwrap();
        let wait = self.log.grown.wait_timeout_while(text, PATIENCE, |text| {
            let new = &text[before..];
            !new.contains("slapd starting") && !new.contains("slapd stopped")
        });
        let started = wait.unwrap().0[before..].contains("slapd starting");
        // It says so a moment before it listens.
        let patience = tokio::time::Instant::now() + PATIENCE;
        while started && tokio::time::Instant::now() < patience {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    fn client(&self, program: &str, ldif: &str) {
        let mut client = Command::new(program)
            .args(["-x", "-H", &self.url(), "-D", ROOT_DN, "-w", ROOT_PASSWORD])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("package ldap-utils is installed");
        client
            .stdin
            .take()
            .unwrap()
            .write_all(ldif.as_bytes())
            .unwrap();
        let output = client.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{program}: {}\n{ldif}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn pid(&self) -> String {
        self.child.as_ref().expect("slapd runs").id().to_string()
    }

    /// Whether every thread stands still: the signal takes a moment to reach them all.
    fn has_stopped(&self) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        tasks
            .map(|task| fs::read_to_string(task.unwrap().path().join("stat")).unwrap())
            .all(|stat| stat.contains(") T "))
    }

    fn signal(&self, signal: &str) {
        let pid = self.pid();
        let status = Command::new("sh")
            .args(["-c", "kill \"$0\" \"$1\"", signal, &pid])
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.kill();
    }
}

fn base_tree() -> String {
    let units: String = ["people", "groups", "services"]
        .iter()
        .map(|ou| format!("dn: ou={ou},{BASE}\nobjectClass: organizationalUnit\nou: {ou}\n\n"))
        .collect();
    format!(
        "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n\n{units}\
         dn: {SERVICE_DN}\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\n\
         cn: sekisho\nuserPassword: {SERVICE_PASSWORD}\n\n"
    )
}

fn write_configuration(folder: &Path) {
    let shown = folder.display();
    fs::create_dir(folder.join("db")).unwrap();
    write_certificates(folder);
    let configuration = format!(
        "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.3.6.1.4.1.7165.2.1.25 NAME 'sambaNTPassword' EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.7165.2.1.26 NAME 'sambaAcctFlags' EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.7165.2.2.6 NAME 'sambaSamAccount' SUP top AUXILIARY MAY ( sambaNTPassword $ sambaAcctFlags ) )
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
pidfile {shown}/pid
TLSCACertificateFile {shown}/ca.pem
TLSCertificateFile {shown}/server.pem
TLSCertificateKeyFile {shown}/server.key
database mdb
suffix {BASE}
rootdn {ROOT_DN}
rootpw {ROOT_PASSWORD}
directory {shown}/db
maxsize 1073741824
dbnosync
sizelimit unlimited
index objectClass,uid,member,uniqueMember eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact={SERVICE_DN} read by * none
overlay memberof
overlay ppolicy
ppolicy_default {POLICY_DN}
ppolicy_use_lockout
"
    );
    fs::write(folder.join("slapd.conf"), configuration).unwrap();
}

fn write_certificates(folder: &Path) {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let certificate = authority.self_signed(&authority_key).unwrap();
    fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server = rcgen::CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    fs::write(folder.join("server.pem"), server.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}
