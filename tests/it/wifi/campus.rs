//! A campus: people in a real directory, papers, and a daemon that holds EAP.

use std::net::SocketAddr;

use super::papers::{Papers, nt_hash};
use crate::login::directory;
use crate::support::daemon::{Daemon, client};
use crate::support::slapd::{Slapd, person_with};

/// Everybody's password.
pub const PASSWORD: &str = "himitsu-no-kotoba";
/// What every Wi-Fi client has.
pub const WIFI: &str = "method = \"eap\"\nstation = [\"Calling-Station-Id\"]\npatience = \"30s\"";
/// No second factor.
pub const PASSWORD_ONLY: &str = "[[rule]]\nthen = \"password-only\"\n";
/// Every method with all that runs inside.
pub const ALL: &str =
    "methods = [\"ttls\", \"peap\", \"tls\"]\ninner = [\"pap\", \"gtc\", \"mschapv2\"]";

pub struct Campus {
    pub papers: Papers,
    pub slapd: Slapd,
    pub daemon: Daemon,
}

/// The LDIF of people with a password, and its NT hash where no schema is needed for it.
pub fn people<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let hash = format!("employeeNumber: {}", nt_hash(PASSWORD));
    names
        .into_iter()
        .map(|name| person_with(name, PASSWORD, &[&hash]))
        .collect()
}

/// The table of a directory that shows NT hashes.
pub fn with_hashes(slapd: &Slapd) -> String {
    format!(
        "{}nt-hash = \"employeeNumber\"\n",
        directory(&[&slapd.url()])
    )
}

impl Campus {
    /// A daemon with every method, and further configuration.
    pub fn start(names: &[&str], further: &str) -> Self {
        Self::start_with(names, "", further)
    }

    /// The same, with further keys of the client.
    pub fn start_with(names: &[&str], keys: &str, further: &str) -> Self {
        let (papers, slapd) = (Papers::make(), Slapd::start(&people(names.iter().copied())));
        let wifi = client("wifi", &format!("{WIFI}\n{keys}"));
        let eap = eap(&papers, "");
        let further = format!("{eap}{wifi}\n{further}");
        let daemon = Daemon::start(&with_hashes(&slapd), &further);
        Self {
            papers,
            slapd,
            daemon,
        }
    }

    pub fn radius(&self) -> SocketAddr {
        self.daemon.radius
    }
}

/// `[eap]` with every method.
pub fn eap(papers: &Papers, further: &str) -> String {
    let clients = papers.path("clients.pem");
    let clients = format!("client-ca-file = \"{}\"", clients.display());
    papers.eap(&format!("{ALL}\n{clients}\n{further}"))
}
