//! hostapd in the place of the gear, as strict as it can be set: it wants Message-Authenticator and Event-Timestamp, refuses a
//! request with an attribute that it does not know (401) or that is for another NAS (403), and only then looks for the session.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::SECRET;
use crate::support::daemon::wait;
use crate::support::ports;

/// A hostapd without a radio and without a station.
pub(super) struct Hostapd {
    child: Child,
    folder: TempDir,
    pub(super) address: SocketAddr,
}

impl Hostapd {
    /// Starts one that calls itself so.
    pub(super) fn start(identifier: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let text = format!(
            "interface=lo\ndriver=none\nlogger_stdout=-1\nieee8021x=1\nown_ip_addr=192.0.2.77\n\
             nas_identifier={identifier}\nauth_server_addr=127.0.0.1\nauth_server_port=9\n\
             auth_server_shared_secret=unused\nradius_das_port={}\nradius_das_client=127.0.0.1 {SECRET}\n\
             radius_das_require_event_timestamp=1\nradius_das_require_message_authenticator=1\n",
            address.port()
        );
        let file = folder.path().join("hostapd.conf");
        fs::write(&file, text).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("hostapd")
            .arg("-dd")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("package hostapd is installed");
        let started = Self {
            child,
            folder,
            address,
        };
        wait(
            || started.log().contains("Setup of interface done"),
            || started.log(),
        );
        started
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Hostapd {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}
