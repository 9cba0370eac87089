//! The daemon, its configuration and its commands.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sekisho::wire::{Code, Query};

use super::{NAME, Peer, SERVER, config, rustls_pem, tcp_from};
use crate::login::{SPOOL, VPN, house_with};
use crate::support::authority::{Authority, Shown};
use crate::support::daemon::{Daemon, client};
use crate::support::ports;
use crate::support::slapd::Slapd;

/// A daemon with a directory, listening for TLS.
struct Site {
    daemon: Daemon,
    _slapd: Slapd,
    authority: Authority,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Site {
    /// With the UDP client `vpn` and the TLS client `wifi`.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.issue(&[SERVER]).write(folder.path(), "radius");
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let wifi = format!("[client.wifi]\ntls-name = \"{NAME}\"\n{VPN}\n");
        let further = format!(
            "{}{wifi}{}{SPOOL}",
            client("vpn", VPN),
            table(&folder, address, "")
        );
        let (slapd, daemon) = house_with(&further);
        Self {
            daemon,
            _slapd: slapd,
            authority,
            folder,
            address,
        }
    }

    fn connect(&self, shown: &Shown) -> Peer {
        Peer::connect(self.address, config(&self.authority, Some(shown))).unwrap()
    }

    /// The daemon's memory, in KiB.
    fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.daemon.pid());
        let status = fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse().unwrap()
    }
}

/// The table for TLS, with files in a folder.
fn table(folder: &tempfile::TempDir, address: SocketAddr, more: &str) -> String {
    let folder = folder.path().display();
    format!(
        "[radius.tls]\nlisten = \"{address}\"\ncertificate-file = \"{folder}/radius.pem\"\n\
         key-file = \"{folder}/radius.key\"\nclient-ca-file = \"{folder}/ca.pem\"\n{more}\n"
    )
}

fn login(peer: &Peer, identifier: u8, user: &str, password: &str) -> Query {
    Query::access(identifier)
        .with(1, user.as_bytes())
        .with(31, b"203.0.113.9")
        .with_password(&peer.secret, password.as_bytes())
}

#[test]
fn people_log_in_by_tls_and_the_operator_sees_the_client() {
    let site = Site::start();
    let mut peer = site.connect(&site.authority.issue(&[NAME]));
    let query = login(&peer, 1, "jiro", "jiro-password");
    assert_eq!(
        peer.ask(query).code(),
        Code::AccessReject,
        "jiro has no code"
    );
    let query = login(&peer, 2, "taro", "taro-password");
    let challenge = peer.ask(query);
    assert_eq!(challenge.code(), Code::AccessChallenge);
    let state = challenge.attributes(24).next().unwrap().to_vec();
    let code = crate::support::daemon::code(crate::login::SEED, 0);
    let query = login(&peer, 3, "taro", &code).with(24, &state);
    assert_eq!(peer.ask(query).code(), Code::AccessAccept);

    let shown = site.daemon.cli_ok(&["client", "list"]);
    let (_, wifi) = shown.split_once("wifi").unwrap();
    for words in [
        "from anywhere",
        NAME,
        "not needed by TLS",
        "3 requests, all by TLS",
    ] {
        assert!(wifi.contains(words), "{words:?} is not in {shown}");
    }
    let json = site.daemon.cli_ok(&["client", "list", "--json"]);
    assert!(
        json.contains(&format!("\"tls_names\":[\"{NAME}\"]")),
        "{json}"
    );
    // By datagrams this client is unknown, and the other needs its own secret.
    let nas = crate::support::nas::Nas::at([127, 0, 0, 9].into(), site.daemon.radius, "radsec");
    nas.send(nas.sign(nas.query(b"taro", b"taro-password")).octets());
    assert!(nas.hears_nothing());
}

#[test]
fn a_reload_takes_a_new_certificate_and_a_fault_leaves_the_old_one() {
    let site = Site::start();
    let shown = site.authority.issue(&[NAME]);
    let certificate = || {
        let peer = site.connect(&shown);
        peer.stream.conn.peer_certificates().unwrap()[0].to_vec()
    };
    let before = certificate();
    let renewed = site.authority.issue(&[SERVER]);
    let (path, _) = renewed.write(site.folder.path(), "radius");
    assert_eq!(certificate(), before);
    site.daemon.cli_ok(&["reload"]);
    assert_eq!(certificate(), rustls_pem(&renewed.certificate)[0].to_vec());
    fs::write(path, "no certificate").unwrap();
    let output = site.daemon.cli(&["reload"]);
    assert!(!output.status.success());
    assert_eq!(certificate(), rustls_pem(&renewed.certificate)[0].to_vec());
}

/// Faults and warnings of a file, each with its line.
fn faults(text: &str, folder: &tempfile::TempDir) -> Vec<String> {
    let file = folder.path().join("sekisho.toml");
    let directory = crate::login::directory(&["ldap://127.0.0.1"]);
    fs::write(&file, format!("{text}\n{directory}")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let told = match sekisho::config::read(&file) {
        Ok(settings) => settings.warnings,
        Err(faults) => faults,
    };
    told.iter()
        .map(|fault| format!("{}: {} {}", fault.line, fault.what, fault.mend))
        .collect()
}

/// A status by each way and a newcomer's login, beside strangers, on a machine that does much else.
const SLOWEST: Duration = Duration::from_secs(5);

/// What is written, and how the one fault or warning of it begins; sound if that is empty.
type Case = (&'static str, String, &'static str);

const WIFI: &str = "[client.wifi]\ntls-name = [\"ap1.example.ac.jp\"]\n";

fn faults_of_files(sound: &str, path: impl Fn(&str) -> String) -> Vec<Case> {
    let whole = format!("{WIFI}{sound}");
    let with = |from: &str, to: &str| whole.replace(from, to);
    vec![
        ("sound", whole.clone(), ""),
        ("no key", with("key-file", "#"), "3: `key-file` is missing."),
        ("no such file", with("ca.pem", "none.pem"), "7: /"),
        (
            "a list that is none",
            format!("{whole}crl-file = {}", path("ca.pem")),
            "9: `crl-file` cannot be used",
        ),
        (
            "another's key",
            with("radius.key", "other.key"),
            "5: `certificate-file` cannot be used",
        ),
        (
            "no authority",
            with("ca.pem", "radius.key"),
            "7: `client-ca-file` cannot be used",
        ),
        (
            "no whole path",
            with(&path("ca.pem"), "\"ca.pem\""),
            "7: `client-ca-file` does not begin",
        ),
        (
            "not listening",
            with("\"127.0.0.1:2083\"", "[]"),
            "4: `listen` is an empty list.",
        ),
        (
            "an unknown key",
            format!("{whole}ca-file = \"x\""),
            "9: `ca-file` is not known in [radius.tls].",
        ),
    ]
}

fn faults_of_names(sound: &str) -> Vec<Case> {
    let whole = format!("{WIFI}{sound}");
    let secret = "secret = \"0123456789abcdef\"\n";
    let udp = client("vpn", "");
    let twice = WIFI.replace("wifi", "other").replace("ap1", "AP1");
    vec![
        (
            "both",
            format!("{WIFI}{secret}address = \"192.0.2.1\"\n{sound}"),
            "",
        ),
        (
            "both without address",
            format!("{WIFI}{secret}{sound}"),
            "1: `address` is missing.",
        ),
        (
            "nowhere to connect to",
            format!("{WIFI}{udp}"),
            "2: `tls-name` is given, but there is no [radius.tls]",
        ),
        (
            "nobody connects",
            format!("{udp}{sound}"),
            "5: [radius.tls] is there, but no client has a `tls-name`",
        ),
        (
            "no name",
            whole.replace("ap1.", "ap*."),
            "2: `tls-name`: \"ap*.example.ac.jp\" is no name",
        ),
        (
            "no names",
            whole.replace("[\"ap1.example.ac.jp\"]", "[]"),
            "2: `tls-name` has no name",
        ),
        (
            "a name twice",
            format!("{WIFI}{twice}{sound}"),
            "4: `tls-name`: \"AP1.example.ac.jp\" is already a client's.",
        ),
    ]
}

#[test]
fn table_and_names_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (_, key) = authority.issue(&[SERVER]).write(folder.path(), "radius");
    authority.issue(&["other"]).write(folder.path(), "other");
    fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let path = |name: &str| format!("\"{}/{name}\"", folder.path().display());
    let sound = table(&folder, "127.0.0.1:2083".parse().unwrap(), "");
    let cases = [faults_of_files(&sound, path), faults_of_names(&sound)];
    for (what, text, expected) in cases.into_iter().flatten() {
        let told = faults(&text, &folder);
        let is_told = if expected.is_empty() {
            told.is_empty()
        } else {
            told.iter().any(|fault| fault.starts_with(expected))
        };
        assert!(is_told, "{what}: {told:#?}\n{text}");
    }
    fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
    let told = faults(&format!("{WIFI}{sound}"), &folder);
    assert!(told[0].contains("is open to everybody"), "{told:?}");
}

/// Lets this process have as many descriptors as it may.
fn many_descriptors() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

/// Silent connections from many addresses, none of which has too many.
fn silent(server: SocketAddr, numbers: Range<u32>) -> Vec<TcpStream> {
    let source = |number: u32| IpAddr::from((0x7f01_0000 + number / 60).to_be_bytes());
    numbers
        .map(|number| tcp_from(source(number), server).unwrap())
        .collect()
}

#[test]
fn ten_thousand_strangers_cost_little_and_the_others_are_served() {
    many_descriptors();
    let site = Site::start();
    let shown = site.authority.issue(&[NAME]);
    let mut known = site.connect(&shown);
    assert_eq!(known.ask(Query::status(1)).code(), Code::AccessAccept);
    let before = site.memory();
    let mut slowest = Duration::ZERO;
    let mut strangers = Vec::new();
    for thousand in 0..10 {
        let numbers = thousand * 1000..(thousand + 1) * 1000;
        strangers.push(silent(site.address, numbers));
        let begun = Instant::now();
        assert_eq!(known.ask(Query::status(2)).code(), Code::AccessAccept);
        assert!(site.daemon.nas().status().accepted());
        let mut newcomer = site.connect(&shown);
        let query = login(&newcomer, 1, "taro", "taro-password");
        assert_eq!(newcomer.ask(query).code(), Code::AccessChallenge);
        slowest = slowest.max(begun.elapsed());
    }
    let grown = site.memory().saturating_sub(before);
    // A debug build needs 19 MiB, and 75 if the oldest do not make room.
    assert!(grown < 48 << 10, "{grown} KiB more");
    assert!(slowest < SLOWEST, "a newcomer waited {slowest:?}");
    let open = fs::read_dir(format!("/proc/{}/fd", site.daemon.pid())).unwrap();
    assert!(open.count() < 2200, "the oldest have made room");
}

#[test]
fn a_connection_of_a_client_costs_little() {
    many_descriptors();
    let site = Site::start();
    let shown = site.authority.issue(&[NAME]);
    let connect = |number: u32| {
        let source = IpAddr::from((0x7f02_0000 + number / 500).to_be_bytes());
        let stream = tcp_from(source, site.address).unwrap();
        let mut peer = Peer::over(stream, config(&site.authority, Some(&shown))).unwrap();
        assert_eq!(peer.ask(Query::status(1)).code(), Code::AccessAccept);
        peer
    };
    let _first: Vec<_> = (0..100).map(connect).collect();
    let before = site.memory();
    let count = 1000;
    let _open: Vec<_> = (100..100 + count).map(connect).collect();
    let each = site.memory().saturating_sub(before) / u64::from(count);
    // A debug build needs 15.
    assert!(each < 32, "{each} KiB each");
}
