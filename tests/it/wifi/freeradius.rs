//! FreeRADIUS with the same people and papers: if it disagrees, the table or our reading of the RFCs is wrong.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::campus::PASSWORD;
use super::papers::Papers;
use crate::support::daemon::SECRET;
use crate::support::ports;

/// FreeRADIUS 3.2.1 refuses 100 as too small.
const LEAST_FRAGMENT: u16 = 120;

/// A FreeRADIUS of this test.
pub struct FreeRadius {
    _folder: TempDir,
    child: Child,
    address: SocketAddr,
}

impl FreeRadius {
    /// Starts one that sends fragments of this size, or a little more as its least is 120, and knows these people.
    pub fn start(papers: &Papers, fragment: u16, names: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let authorities =
            ["ca.pem", "clients.pem"].map(|name| fs::read_to_string(papers.path(name)).unwrap());
        fs::write(folder.path().join("ca.pem"), authorities.concat()).unwrap();
        let people: String = names
            .iter()
            .map(|name| format!("{name} Cleartext-Password := \"{PASSWORD}\"\n"))
            .collect();
        fs::write(folder.path().join("users"), people).unwrap();
        let text = CONFIGURATION
            .replace("FOLDER", &folder.path().display().to_string())
            .replace("PAPERS", &papers.path("").display().to_string())
            .replace("PORT", &address.port().to_string())
            .replace("FRAGMENT", &fragment.max(LEAST_FRAGMENT).to_string())
            .replace("SECRET", SECRET);
        fs::write(folder.path().join("radiusd.conf"), text).unwrap();
        let mut child = Command::new("freeradius")
            .args(["-f", "-n", "radiusd", "-l", "stdout", "-d"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("package freeradius is installed");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| {
            said.push(line);
            said.last().unwrap().contains("Ready to process requests")
        });
        assert!(ready, "FreeRADIUS does not start:\n{}", said.join("\n"));
        // What it says later must go somewhere.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self {
            _folder: folder,
            child,
            address,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

const CONFIGURATION: &str = r#"
prefix = /usr
libdir = /usr/lib/freeradius
logdir = FOLDER
run_dir = FOLDER
max_request_time = 30
cleanup_delay = 5
max_requests = 16384
log {
  destination = stdout
}
security {
  reject_delay = 0
}
thread pool {
  start_servers = 2
  max_servers = 2
  min_spare_servers = 1
  max_spare_servers = 2
}
client test {
  ipaddr = 127.0.0.1
  secret = "SECRET"
  require_message_authenticator = yes
}
modules {
  pap {
  }
  mschap {
    use_mppe = no
  }
  files {
    filename = FOLDER/users
  }
  eap {
    default_eap_type = ttls
    timer_expire = 60
    max_sessions = 4096
    gtc {
      challenge = "Password: "
      auth_type = PAP
    }
    mschapv2 {
    }
    tls-config common {
      private_key_file = PAPERS/server.key
      certificate_file = PAPERS/server.pem
      ca_file = FOLDER/ca.pem
      fragment_size = FRAGMENT
      include_length = yes
      tls_min_version = "1.2"
      tls_max_version = "1.3"
      ecdh_curve = "prime256v1"
      cipher_list = "DEFAULT"
      cache {
        enable = no
      }
    }
    tls {
      tls = common
    }
    ttls {
      tls = common
      default_eap_type = gtc
      copy_request_to_tunnel = no
      use_tunneled_reply = no
      virtual_server = inner
    }
    peap {
      tls = common
      default_eap_type = gtc
      copy_request_to_tunnel = no
      use_tunneled_reply = no
      virtual_server = inner
    }
  }
}
server outer {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = PORT
  }
  authorize {
    eap
  }
  authenticate {
    eap
  }
}
server inner {
  authorize {
    mschap
    eap {
      ok = return
    }
    files
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
    Auth-Type MS-CHAP {
      mschap
    }
    eap
  }
}
"#;
