//! A station: eapol_test, which is wpa_supplicant with a NAS of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::papers::Papers;
use crate::support::daemon::SECRET;

/// How long a login may take on a machine that is busy, in seconds.
const PATIENCE: &str = "40";

/// How a station logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    TtlsPap,
    TtlsGtc,
    PeapGtc,
    PeapMsChapV2,
    Tls,
}

pub const METHODS: [Method; 5] = [
    Method::TtlsPap,
    Method::TtlsGtc,
    Method::PeapGtc,
    Method::PeapMsChapV2,
    Method::Tls,
];

impl Method {
    const fn words(self) -> &'static str {
        match self {
            Self::TtlsPap => "eap=TTLS\nphase2=\"auth=PAP\"",
            Self::TtlsGtc => "eap=TTLS\nphase2=\"autheap=GTC\"",
            Self::PeapGtc => "eap=PEAP\nphase2=\"auth=GTC\"",
            Self::PeapMsChapV2 => "eap=PEAP\nphase2=\"auth=MSCHAPV2\"",
            Self::Tls => "eap=TLS",
        }
    }
}

/// The one version of TLS that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V12,
    V13,
}

impl Version {
    const fn words(self) -> &'static str {
        match self {
            Self::V12 => "tls_disable_tlsv1_3=1",
            Self::V13 => {
                "tls_disable_tlsv1_0=1 tls_disable_tlsv1_1=1 tls_disable_tlsv1_2=1 tls_disable_tlsv1_3=0"
            }
        }
    }

    pub const fn shown(self) -> &'static str {
        match self {
            Self::V12 => "TLSv1.2",
            Self::V13 => "TLSv1.3",
        }
    }
}

/// What is set up at a station.
#[derive(Clone, Debug)]
pub struct Station {
    pub method: Method,
    pub version: Version,
    pub fragment: u16,
    pub name: String,
    /// The outer name; without it, the name.
    pub outer: Option<String>,
    pub password: String,
    /// The CA that it trusts, and the certificate that it shows.
    pub trusted: &'static str,
    pub certificate: String,
    pub mac: String,
    /// The folder of the socket at which its person is asked.
    pub control: Option<PathBuf>,
    /// Further words of eapol_test.
    pub words: Vec<String>,
}

/// What eapol_test said.
pub struct Said {
    pub status: Option<i32>,
    pub text: String,
}

impl Station {
    /// A station of a person who has a password.
    pub fn new(method: Method, name: &str, password: &str) -> Self {
        Self {
            method,
            version: Version::V13,
            fragment: 1000,
            name: name.to_owned(),
            outer: None,
            password: password.to_owned(),
            trusted: "ca",
            certificate: name.to_owned(),
            mac: "02:00:00:00:00:01".to_owned(),
            control: None,
            words: Vec::new(),
        }
    }

    fn profile(&self, papers: &Papers) -> String {
        let shown = |name: &str| papers.path(name).display().to_string();
        let (method, version) = (self.method.words(), self.version.words());
        let outer = self.outer.as_deref();
        let identity = match self.method {
            Method::Tls => format!("identity=\"{}\"", outer.unwrap_or(&self.name)),
            _ => {
                let outer = outer.map(|outer| format!("anonymous_identity=\"{outer}\"\n"));
                let outer = outer.unwrap_or_default();
                // Without a password the person is asked for all that is asked.
                let password = match self.password.as_str() {
                    "" => String::new(),
                    password => format!("password=\"{password}\""),
                };
                format!("identity=\"{}\"\n{outer}{password}", self.name)
            }
        };
        let certificate = match self.method {
            Method::Tls => format!(
                "client_cert=\"{}\"\nprivate_key=\"{}\"\n",
                shown(&format!("{}.pem", self.certificate)),
                shown(&format!("{}.key", self.certificate)),
            ),
            _ => String::new(),
        };
        let trusted = shown(&format!("{}.pem", self.trusted));
        let fragment = self.fragment;
        let control = self.control.as_ref().map_or_else(String::new, |folder| {
            format!("ctrl_interface={}\n", folder.display())
        });
        format!(
            "{control}network={{\nssid=\"campus\"\nkey_mgmt=IEEE8021X\n{method}\nphase1=\"{version}\"\n{identity}\n\
             {certificate}ca_cert=\"{trusted}\"\nfragment_size={fragment}\n}}\n"
        )
    }

    /// Logs in.
    pub fn log_in(&self, papers: &Papers, server: SocketAddr) -> Said {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("profile");
        fs::write(&file, self.profile(papers)).unwrap();
        self.run(&file, server)
    }

    fn run(&self, profile: &Path, server: SocketAddr) -> Said {
        let output = Command::new("timeout")
            .args(["120", "eapol_test", "-t", PATIENCE, "-s", SECRET])
            .args(["-M", &self.mac, "-c"])
            .arg(profile)
            .args(["-a", &server.ip().to_string()])
            .args(["-p", &server.port().to_string()])
            .args(&self.words)
            .output()
            .expect("package eapoltest is installed");
        Said {
            status: output.status.code(),
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
        }
    }

    /// The same, to be refused: keys are not waited for, so that the status tells a Reject from silence.
    pub fn is_refused(&self, papers: &Papers, server: SocketAddr) -> Said {
        let mut station = self.clone();
        station.words.push("-n".to_owned());
        station.log_in(papers, server)
    }
}

impl Said {
    /// Logged in, and both keys are the same on both sides: eapol_test compares the one that it uses, this the other, too.
    pub fn let_in(&self) -> Result<(), String> {
        if self.status != Some(0) {
            return Err(format!("not let in: status {:?}", self.status));
        }
        let derived = self.last("Derived key - hexdump(len=64): ");
        let (receive, send) = derived.split_at_checked(64).unwrap_or_default();
        let told = |name: &str| self.last(&format!("MS-MPPE-{name} - hexdump(len=32): "));
        let keys = [told("Recv-Key (crypt)"), told("Send-Key (sign)")];
        match keys == [receive, send] && receive.len() == 64 {
            true => Ok(()),
            false => Err(format!("keys differ: {derived} {keys:?}")),
        }
    }

    /// An Access-Reject came.
    pub fn refused(&self) -> Result<(), String> {
        match self.status {
            Some(253) => Ok(()),
            status => Err(format!("not refused: status {status:?}")),
        }
    }

    /// The hexadecimal digits behind the last line that has this.
    pub fn last(&self, label: &str) -> String {
        let mut found = self.text.lines().rev();
        let found = found.find_map(|line| line.split_once(label));
        found
            .map(|(_, digits)| digits.replace(' ', ""))
            .unwrap_or_default()
    }

    /// How many packets of a kind came.
    pub fn count(&self, what: &str) -> usize {
        self.text.matches(what).count()
    }
}
