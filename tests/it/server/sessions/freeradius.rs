//! FreeRADIUS: in the place of the gear, and its radclient beside our own Disconnect-Request.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::SECRET;
use super::gear::Gear;
use crate::support::daemon::wait;
use crate::support::ports;

/// A FreeRADIUS that takes Disconnect-Requests.
pub(super) struct FreeRadius {
    child: Child,
    folder: TempDir,
    pub(super) address: SocketAddr,
}

impl FreeRadius {
    /// Starts one that says yes to the session `S1`, and to others that it knows no such session.
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let path = folder.path().display();
        let text = format!(
            "prefix = /usr\nlocalstatedir = {path}\nlogdir = {path}\nraddbdir = {path}\nradacctdir = {path}\n\
             libdir = /usr/lib/freeradius\nrun_dir = {path}\npidfile = {path}/pid\nname = radiusd\n\
             log {{\n destination = stdout\n}}\n\
             security {{\n allow_core_dumps = no\n}}\nproxy_requests = no\n\
             thread pool {{\n start_servers = 1\n max_servers = 2\n min_spare_servers = 1\n max_spare_servers = 2\n}}\n\
             client here {{\n ipaddr = 127.0.0.1\n secret = \"{SECRET}\"\n require_message_authenticator = yes\n}}\n\
             modules {{\n always ok {{\n  rcode = ok\n }}\n always reject {{\n  rcode = reject\n }}\n}}\n\
             server gear {{\n listen {{\n  type = coa\n  ipaddr = 127.0.0.1\n  port = {}\n }}\n \
             recv-coa {{\n  if (&Acct-Session-Id == \"S1\" && &Event-Timestamp) {{\n   ok\n  }}\n  else {{\n   \
             update reply {{\n    &Error-Cause := Session-Context-Not-Found\n   }}\n   reject\n  }}\n }}\n \
             send-coa {{\n  ok\n }}\n}}\n",
            address.port()
        );
        fs::write(folder.path().join("radiusd.conf"), text).unwrap();
        fs::write(
            folder.path().join("dictionary"),
            "$INCLUDE /usr/share/freeradius/dictionary\n",
        )
        .unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("freeradius")
            .args(["-f", "-xx", "-d"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("package freeradius is installed");
        let started = Self {
            child,
            folder,
            address,
        };
        wait(
            || started.log().contains("Ready to process requests"),
            || started.log(),
        );
        started
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The gear of these tests reads what radclient sends, and radclient believes its answers: so both sides of it are right.
#[test]
fn radclient_is_understood_and_understands() {
    for (code, said) in [
        (41, "Received Disconnect-ACK"),
        (42, "Received Disconnect-NAK"),
    ] {
        let gear = Gear::new(SECRET);
        let mut child = Command::new("radclient")
            .args(["-x", "-r", "1", "-t", "20"])
            .arg(gear.address().to_string())
            .args(["disconnect", SECRET])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("package freeradius-utils is installed");
        let now = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_secs();
        let attributes = format!(
            "Message-Authenticator = 0x00, User-Name = hanako, Acct-Session-Id = S1, Event-Timestamp = {now}\n"
        );
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(attributes.as_bytes()).unwrap();
        drop(stdin);
        let asked = gear.take(Duration::from_secs(20)).expect("radclient asks");
        let expected = [(1, b"hanako".to_vec()), (44, b"S1".to_vec())];
        assert_eq!(asked.attributes, expected);
        gear.send(&gear.answer(&asked, code, &[101, 6, 0, 0, 1, 0xf7]), &asked);
        let output = child.wait_with_output().unwrap();
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.contains(said), "{output}");
    }
}
