//! A supplicant that is set up as the page says, against a server with the certificate that `cert` makes: it joins, and believes
//! nobody else. The server is FreeRADIUS, so that it is the page and the certificate alone that are judged.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::House;
use super::wifi::Authority;
use crate::support::ports;

const SECRET: &str = "a secret of tests alone";
const CONFIGURATION: &str = include_str!("freeradius.conf");

/// A server with a certificate that lets everybody with taro's password in.
struct Server {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Server {
    fn start(tls: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = ports::free();
        let text = [
            ("@HOME@", folder.path().display().to_string()),
            ("@TLS@", tls.display().to_string()),
            ("@PORT@", port.to_string()),
            ("@SECRET@", SECRET.to_owned()),
        ]
        .iter()
        .fold(CONFIGURATION.to_owned(), |text, (place, value)| {
            text.replace(place, value)
        });
        fs::write(folder.path().join("radiusd.conf"), text).unwrap();
        let mut child = Command::new("freeradius")
            .args(["-f", "-l", "stdout", "-n", "radiusd", "-d"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = said.map_while(Result::ok);
        assert!(said.any(|line| line.contains("Ready to process requests")));
        Self {
            child,
            port,
            _folder: folder,
        }
    }

    /// Whether a supplicant with this configuration joins.
    fn lets_in(&self, block: &str) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wpa.conf");
        fs::write(&file, block).unwrap();
        let port = self.port.to_string();
        let ended = Command::new("eapol_test")
            .args(["-a", "127.0.0.1", "-p", &port, "-s", SECRET, "-t", "10"])
            .arg("-c")
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(said.contains("CTRL-EVENT-EAP-STARTED"), "{said}");
        ended.status.success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What the page says for wpa_supplicant, with the password that a person types and the CA where they saved it.
fn block(page: &str, ca: &Path) -> String {
    let (_, block) = page.split_once("<pre translate=\"no\">").unwrap();
    let (block, _) = block.split_once("</pre>").unwrap();
    let block = block.replace("&#34;", "\"");
    assert!(block.contains("/etc/ssl/wifi-ca.pem"), "{block}");
    let block = block.replace("/etc/ssl/wifi-ca.pem", &ca.display().to_string());
    block.replace("\n}", "\n\tpassword=\"taro-password\"\n}")
}

#[test]
fn who_is_set_up_so_joins_and_believes_nobody_else() {
    let authority = Authority::new("関所大学 Wi-Fi CA");
    let keys = "ssid = \"campus\"\nserver-names = [\"radius2.example.ac.jp\", \"radius.example.ac.jp\"]\n\
                outer-identity = \"anonymous@example.ac.jp\"";
    let house = House::start("code = [\"challenge\"]", "", &authority.configured(keys));
    let mut taro = house.signed_in("taro");
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, taro.get("/wifi/ca.pem").body).unwrap();
    let page = taro.get("/wifi").body;
    let told = block(&page, &ca);
    let server = Server::start(&authority.server("radius.example.ac.jp"));
    assert!(server.lets_in(&told));
    assert!(!server.lets_in(&told.replace("taro-password", "wrong")));
    drop(server);
    // The right CA and another name: somebody else's server on campus. The right name and another CA: a stranger.
    let neighbour = Server::start(&authority.server("www.example.ac.jp"));
    assert!(!neighbour.lets_in(&told));
    drop(neighbour);
    let stranger = Authority::new("関所大学 Wi-Fi CA");
    let stranger = Server::start(&stranger.server("radius.example.ac.jp"));
    assert!(!stranger.lets_in(&told));
}
