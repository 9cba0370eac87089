//! Proxies in front of us: radsecproxy, by UDP, TLS and DTLS, and FreeRADIUS, by UDP and TLS.
//!
//! Their configurations are those of docs/radius-tls.md, with addresses and files of the test.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sekisho::secret::Secret;
use sekisho::wire::Query;

use crate::login::{PEOPLE, SEED, SPOOL, VPN, directory};
use crate::support::authority::Authority;
use crate::support::daemon::{Daemon, SECRET, client, code, wait};
use crate::support::nas::Nas;
use crate::support::ports;
use crate::support::slapd::Slapd;

/// A daemon behind proxies.
struct Site {
    daemon: Daemon,
    _slapd: Slapd,
    folder: tempfile::TempDir,
    tls: u16,
    proxies: Vec<Child>,
}

impl Site {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // FreeRADIUS gives up its rights, and its user must see the files.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let authority = Authority::new();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        for (name, hosts) in [
            ("radius", ["radius.example.ac.jp", "127.0.0.1"]),
            ("proxy", ["proxy.example.ac.jp", "127.0.0.1"]),
            ("controller", ["wlc1.wlan.example.ac.jp", "127.0.0.1"]),
        ] {
            authority.issue(&hosts).write(folder.path(), name);
        }
        let tls = ports::free();
        let at = folder.path().display();
        let further = format!(
            "{}[client.proxy]\ntls-name = \"proxy.example.ac.jp\"\n{VPN}\n[radius.tls]\n\
             listen = \"127.0.0.1:{tls}\"\ncertificate-file = \"{at}/radius.pem\"\n\
             key-file = \"{at}/radius.key\"\nclient-ca-file = \"{at}/ca.pem\"\n{SPOOL}",
            client("vpn", VPN)
        );
        let slapd = Slapd::start(PEOPLE);
        let daemon = Daemon::start(&directory(&[&slapd.url()]), &further);
        daemon.enrol("taro", SEED);
        Self {
            daemon,
            _slapd: slapd,
            folder,
            tls,
            proxies: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts radsecproxy.
    fn radsecproxy(&mut self, name: &str, text: &str) {
        let file = self.path(&format!("{name}.conf"));
        let text = text.replace(
            "/etc/radsecproxy/",
            &format!("{}/", self.folder.path().display()),
        );
        fs::write(&file, text).unwrap();
        let log = fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        let child = Command::new("/usr/sbin/radsecproxy")
            .arg("-f")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.proxies.push(child);
    }

    /// Starts FreeRADIUS with a home server of this text.
    fn freeradius(&mut self, port: u16, home: &str) {
        let folder = self.path("freeradius");
        fs::create_dir_all(&folder).unwrap();
        let at = folder.display();
        let tls = self.folder.path().display();
        let home = home.replace("/etc/freeradius/tls/", &format!("{tls}/"));
        let text = format!(
            "prefix = /usr\nraddbdir = {at}\nlogdir = {at}\nrun_dir = {at}\npidfile = {at}/pid\n\
             max_requests = 1024\nsecurity {{\n\tallow_vulnerable_openssl = yes\n}}\nproxy_requests = yes\nthread pool {{\n\tstart_servers = 2\n}}\n\
             modules {{\n}}\n{home}\nclient nas {{\n\tipaddr = 127.0.0.1\n\tsecret = \"{SECRET}\"\n}}\n\
             server default {{\n\tlisten {{\n\t\ttype = auth\n\t\tipaddr = 127.0.0.1\n\t\tport = {port}\n\t}}\n\
             \tauthorize {{\n\t\tupdate control {{\n\t\t\t&Proxy-To-Realm := \"sekisho\"\n\t\t}}\n\t}}\n}}\n"
        );
        fs::write(folder.join("radiusd.conf"), text).unwrap();
        fs::write(
            folder.join("dictionary"),
            "$INCLUDE /usr/share/freeradius/dictionary\n",
        )
        .unwrap();
        let log = fs::File::create(self.path("freeradius.log")).unwrap();
        let child = Command::new("/usr/sbin/freeradius")
            .args(["-f", "-X", "-n", "radiusd", "-d"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.proxies.push(child);
        wait(
            || self.log("freeradius").contains("Ready to process requests"),
            || self.log("freeradius"),
        );
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    /// A person logs in through a proxy at this port, wrongly and rightly.
    fn is_passed(&self, port: u16, log: &str) {
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.wait_for(server, log);
        let nas = Nas::new(server, SECRET).from_station("203.0.113.9");
        let said = || format!("{}\n{}", self.log(log), self.daemon.log());
        let wrong = nas.login("taro", "no password of hers");
        assert!(wrong.rejected(), "{wrong:?}\n{}", said());
        let challenge = nas.login("taro", "taro-password");
        assert!(challenge.challenged(), "{challenge:?}\n{}", said());
        let accept = nas.respond("taro", &challenge, &code(SEED, 0));
        assert!(accept.accepted(), "{accept:?}\n{}", said());
    }

    /// Waits until something answers through the proxy: its connections are made after it has started.
    fn wait_for(&self, server: SocketAddr, log: &str) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(1500)))
            .unwrap();
        let secret = Secret::from(SECRET);
        wait(
            || {
                let asked = Query::access(250)
                    .with(1, b"nobody")
                    .with_password(&secret, b"x")
                    .sign(&secret);
                let sent = socket.send_to(asked.octets(), server);
                let mut octets = [0; 4096];
                sent.is_ok()
                    && socket
                        .recv(&mut octets)
                        .is_ok_and(|count| asked.answer(&octets[..count], &secret).is_ok())
            },
            || format!("{}\n{}", self.log(log), self.daemon.log()),
        );
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for proxy in &mut self.proxies {
            let _ended = proxy.kill();
            let _status = proxy.wait();
        }
    }
}

/// A block of the page on RADIUS over TLS, by the word behind its fence.
fn block(word: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/radius-tls.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page
        .split_once(&format!("\n```{word}\n"))
        .unwrap_or_else(|| panic!("no block {word}"));
    rest.split_once("\n```").unwrap().0.to_owned()
}

/// The client of a test's NAS at radsecproxy.
fn nas() -> String {
    format!("client nas {{\n\ttype udp\n\thost 127.0.0.1\n\tsecret \"{SECRET}\"\n}}\n")
}

#[test]
fn radsecproxy_passes_udp_on_by_udp() {
    let mut site = Site::start();
    let port = ports::free();
    let radius = site.daemon.radius.port();
    let text = format!(
        "ListenUDP 127.0.0.1:{port}\n{}server sekisho {{\n\ttype udp\n\thost 127.0.0.1\n\tport {radius}\n\tsecret \"{SECRET}\"\n}}\n\
         realm * {{\n\tserver sekisho\n}}\n",
        nas()
    );
    site.radsecproxy("proxy", &text);
    site.is_passed(port, "proxy");
}

#[test]
fn radsecproxy_passes_udp_on_by_tls() {
    let mut site = Site::start();
    let port = ports::free();
    let page = block("radsecproxy");
    let text = on_loopback(&page, &site);
    let text = text.replace(
        "ListenDTLS *:2083\n",
        &format!("ListenUDP 127.0.0.1:{port}\n"),
    );
    site.radsecproxy("proxy", &format!("{}{text}", nas()));
    site.is_passed(port, "proxy");
    let proxy = Nas::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SECRET);
    let start = Query::accounting(9)
        .with(40, &[0, 0, 0, 1])
        .with(44, b"session 1");
    let _accounted = proxy.ask(&proxy.sign(start));
    // It asks whether we live, and is answered (statusServer).
    assert!(!site.log("proxy").contains("no status server response"));
    let shown = site.daemon.cli_ok(&["client", "list"]);
    assert!(shown.contains("all by TLS"), "{shown}");
}

#[test]
fn a_controller_speaks_dtls_to_radsecproxy_in_front_of_us() {
    let mut site = Site::start();
    let (port, dtls) = (ports::free(), ports::free());
    let front = on_loopback(&block("radsecproxy"), &site)
        .replace("ListenDTLS *:2083", &format!("ListenDTLS 127.0.0.1:{dtls}"));
    site.radsecproxy("front", &front);
    let controller = format!(
        "ListenUDP 127.0.0.1:{port}\n{}tls default {{\n\tCACertificateFile /etc/radsecproxy/ca.pem\n\
         \tCertificateFile /etc/radsecproxy/controller.pem\n\tCertificateKeyFile /etc/radsecproxy/controller.key\n}}\n\
         server front {{\n\ttype dtls\n\thost 127.0.0.1\n\tport {dtls}\n\tsecret radius/dtls\n}}\n\
         realm * {{\n\tserver front\n}}\n",
        nas()
    );
    site.radsecproxy("controller", &controller);
    site.is_passed(port, "front");
}

/// The page's configuration with the addresses of a test.
fn on_loopback(text: &str, site: &Site) -> String {
    text.replace("192.0.2.0/24", "127.0.0.1")
        .replace("radius.example.ac.jp", "127.0.0.1")
        .replace("port 2083", &format!("port {}", site.tls))
}

#[test]
fn freeradius_passes_on_by_udp() {
    let mut site = Site::start();
    let port = ports::free();
    let radius = site.daemon.radius.port();
    let home = format!(
        "home_server sekisho {{\n\ttype = auth\n\tipaddr = 127.0.0.1\n\tport = {radius}\n\tsecret = \"{SECRET}\"\n}}\n{}",
        POOL
    );
    site.freeradius(port, &home);
    site.is_passed(port, "freeradius");
}

#[test]
fn freeradius_passes_on_by_tls() {
    let mut site = Site::start();
    let port = ports::free();
    let home = block("freeradius")
        .replace("192.0.2.20", "127.0.0.1")
        .replace("port = 2083", &format!("port = {}", site.tls));
    site.freeradius(port, &home);
    site.is_passed(port, "freeradius");
    let shown = site.daemon.cli_ok(&["client", "list"]);
    assert!(shown.contains("all by TLS"), "{shown}");
}

/// What FreeRADIUS sends to its home server.
const POOL: &str = "home_server_pool sekisho {\n\thome_server = sekisho\n}\nrealm sekisho {\n\tauth_pool = sekisho\n\tnostrip\n}\n";
