//! The page about joining the Wi-Fi: what it tells, and its files as systems read them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use plist::{Dictionary, Value};
use tempfile::TempDir;

use super::{House, shows};

/// A CA of one's own, made as an administrator would.
pub struct Authority(TempDir);

impl Authority {
    pub fn new(name: &str) -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        made.cert(&["ca", "--name", name], "ca");
        made
    }

    /// A folder with a server's certificate.
    pub fn server(&self, name: &str) -> PathBuf {
        let ca = self.0.path().join("ca").display().to_string();
        self.cert(&["server", "--ca", &ca, "--name", name], name);
        self.0.path().join(name)
    }

    fn cert(&self, words: &[&str], out: &str) {
        let made = Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .arg("cert")
            .args(words)
            .arg("--out")
            .arg(self.0.path().join(out))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    pub fn pem(&self) -> String {
        fs::read_to_string(self.0.path().join("ca/ca.pem")).unwrap()
    }

    /// `[wifi]` with this CA and more keys.
    pub fn configured(&self, keys: &str) -> String {
        let file = self.0.path().join("ca/ca.pem");
        format!("[wifi]\nca-file = \"{}\"\n{keys}\n", file.display())
    }
}

const KEYS: &str = "ssid = [\"campus\", \"図書館 <1> & \\\"2\\\"\"]\nserver-names = [\"radius.example.ac.jp\", \"radius2.example.ac.jp\"]\n\
                    outer-identity = \"anonymous@example.ac.jp\"";

fn house(keys: &str) -> (Authority, House) {
    let authority = Authority::new("関所大学 Wi-Fi CA");
    let house = House::start("code = [\"challenge\"]", "", &authority.configured(keys));
    (authority, house)
}

fn openssl(folder: &Path, words: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(words)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_page_tells_everything_that_is_typed() {
    let (authority, house) = house(KEYS);
    let mut visitor = house.visitor();
    shows(&visitor.get("/"), "<a href=\"/wifi\">Set up Wi-Fi</a>");
    let page = visitor.get("/wifi");
    assert_eq!(page.status, 200);
    assert!(
        page.field("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    for typed in [
        ">campus<",
        "図書館 &#60;1&#62; &#38; &#34;2&#34;",
        "radius.example.ac.jp;radius2.example.ac.jp",
        "関所大学 Wi-Fi CA",
        "anonymous@example.ac.jp",
        "Microsoft: EAP-TTLS",
        "Unencrypted password (PAP)",
        "/signin?next=wifi",
        "Not Signed",
    ] {
        shows(&page, typed);
    }
    let pem = authority.pem();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), &pem).unwrap();
    for hash in ["-sha256", "-sha1"] {
        let words = ["x509", "-noout", "-fingerprint", hash, "-in", "ca.pem"];
        let print = openssl(folder.path(), &words);
        shows(&page, print.trim().split('=').next_back().unwrap());
    }
    let japanese = visitor.get("/wifi?lang=ja");
    for typed in [
        "Wi-Fiの設定",
        "匿名ID",
        "暗号化されていないパスワード (PAP)",
    ] {
        shows(&japanese, typed);
    }
}

#[test]
fn the_ca_is_handed_out_as_devices_and_as_programs_take_it() {
    let (authority, house) = house(KEYS);
    let mut visitor = house.visitor();
    let folder = tempfile::tempdir().unwrap();
    let pem = authority.pem();
    let file = visitor.get("/wifi/ca.pem");
    assert_eq!(file.body, pem);
    assert_eq!(file.field("content-type"), Some("application/x-pem-file"));
    let raw =
        visitor.raw(b"GET /wifi/ca/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8_lossy(&raw[..end]).to_lowercase();
    assert!(
        head.contains("content-type: application/x-x509-ca-cert"),
        "{head}"
    );
    assert!(
        head.contains("attachment; filename=\"wifi-ca.cer\""),
        "{head}"
    );
    fs::write(folder.path().join("ca.cer"), &raw[end..]).unwrap();
    let back = openssl(folder.path(), &["x509", "-inform", "DER", "-in", "ca.cer"]);
    assert_eq!(back, pem);
    for nowhere in ["/wifi/ca/0", "/wifi/ca/2", "/wifi/ca/x", "/wifi/ca/-1"] {
        assert!(
            [400, 404].contains(&visitor.get(nowhere).status),
            "{nowhere}"
        );
    }
}

fn text<'a>(from: &'a Dictionary, key: &str) -> &'a str {
    from.get(key).and_then(Value::as_string).expect(key)
}

fn list<'a>(from: &'a Dictionary, key: &str) -> Vec<&'a Value> {
    let list = from.get(key).and_then(Value::as_array).expect(key);
    list.iter().collect()
}

/// The profile, read as a property list: itself, its CAs and its networks.
fn profile(body: &str) -> (Dictionary, Vec<Dictionary>, Vec<Dictionary>) {
    let whole =
        Value::from_reader_xml(body.as_bytes()).unwrap_or_else(|why| panic!("{why}: {body}"));
    let whole = whole.into_dictionary().unwrap();
    let parts: Vec<Dictionary> = list(&whole, "PayloadContent")
        .into_iter()
        .map(|part| part.as_dictionary().unwrap().clone())
        .collect();
    let of = |kind: &str| {
        let parts = parts.iter();
        parts
            .filter(|part| text(part, "PayloadType") == kind)
            .cloned()
            .collect()
    };
    let (authorities, networks) = (of("com.apple.security.root"), of("com.apple.wifi.managed"));
    (whole, authorities, networks)
}

#[test]
fn the_profile_is_pinned_to_the_ca_and_the_names() {
    let (authority, house) = house(KEYS);
    let mut visitor = house.visitor();
    let file = visitor.get("/wifi/profile");
    assert_eq!(
        file.field("content-type"),
        Some("application/x-apple-aspen-config")
    );
    assert_eq!(
        file.field("content-disposition"),
        Some("attachment; filename=\"wifi.mobileconfig\"")
    );
    let (whole, authorities, networks) = profile(&file.body);
    assert_eq!(text(&whole, "PayloadType"), "Configuration");
    assert_eq!(text(&whole, "PayloadIdentifier"), "localhost.wifi");
    let [ca] = authorities.as_slice() else {
        panic!("{authorities:?}");
    };
    assert_eq!(text(ca, "PayloadDisplayName"), "関所大学 Wi-Fi CA");
    let folder = tempfile::tempdir().unwrap();
    let content = ca.get("PayloadContent").and_then(Value::as_data).unwrap();
    fs::write(folder.path().join("ca.cer"), content).unwrap();
    let back = openssl(folder.path(), &["x509", "-inform", "DER", "-in", "ca.cer"]);
    assert_eq!(back, authority.pem());
    let names: Vec<&str> = networks.iter().map(|one| text(one, "SSID_STR")).collect();
    assert_eq!(names, ["campus", "図書館 <1> & \"2\""]);
    for network in &networks {
        let eap = network.get("EAPClientConfiguration").unwrap();
        let eap = eap.as_dictionary().unwrap();
        assert_eq!(list(eap, "AcceptEAPTypes"), [&Value::from(21)]);
        assert_eq!(text(eap, "TTLSInnerAuthentication"), "PAP");
        assert_eq!(text(eap, "OuterIdentity"), "anonymous@example.ac.jp");
        let anchors = list(eap, "PayloadCertificateAnchorUUID");
        assert_eq!(anchors, [&Value::from(text(ca, "PayloadUUID"))]);
        let names: Vec<_> = list(eap, "TLSTrustedServerNames")
            .into_iter()
            .map(Value::as_string)
            .collect();
        let expected = ["radius.example.ac.jp", "radius2.example.ac.jp"];
        assert_eq!(names, expected.map(Some));
        assert!(!eap.contains_key("UserName") && !eap.contains_key("UserPassword"));
        assert_eq!(text(network, "EncryptionType"), "WPA2");
    }
    let mut ids: Vec<&str> = [&whole, ca]
        .into_iter()
        .chain(&networks)
        .map(|part| text(part, "PayloadUUID"))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    // Loaded again it is the same, so that a device replaces it.
    assert_eq!(visitor.get("/wifi/profile").body, file.body);
}

#[test]
fn who_has_signed_in_finds_their_name_filled_in() {
    let (_authority, house) = house(KEYS);
    let mut taro = house.signed_in("taro");
    let page = taro.get("/wifi");
    shows(&page, "Your user name is filled in");
    shows(&page, "identity=&#34;taro&#34;");
    let file = taro.get("/wifi/profile");
    assert!(!file.body.contains("taro-password") && !file.body.contains("Password"));
    let (_, _, networks) = profile(&file.body);
    let eap = networks[0].get("EAPClientConfiguration").unwrap();
    assert_eq!(text(eap.as_dictionary().unwrap(), "UserName"), "taro");
    assert_eq!(file.field("cache-control"), Some("no-store"));
}

#[test]
fn other_methods_are_told_as_systems_have_them() {
    let keys = format!("{KEYS}\nmethod = \"peap-mschapv2\"");
    let (_authority, house) = house(&keys);
    let mut visitor = house.visitor();
    let page = visitor.get("/wifi");
    shows(&page, "Microsoft: Protected EAP (PEAP)");
    shows(&page, "phase2=&#34;auth=MSCHAPV2&#34;");
    let (_, _, networks) = profile(&visitor.get("/wifi/profile").body);
    let eap = networks[0].get("EAPClientConfiguration").unwrap();
    let eap = eap.as_dictionary().unwrap();
    assert_eq!(list(eap, "AcceptEAPTypes"), [&Value::from(25)]);
    assert!(!eap.contains_key("TTLSInnerAuthentication"));
}

#[test]
fn without_a_network_there_is_no_page() {
    let house = House::new();
    let mut visitor = house.visitor();
    for path in ["/wifi", "/wifi/profile", "/wifi/ca/1", "/wifi/ca.pem"] {
        assert_eq!(visitor.get(path).status, 404, "{path}");
    }
    assert!(!visitor.get("/").body.contains("/wifi"));
}

/// Keys of the table, and the fault that is found in them.
const FAULTS: [(&str, &str); 10] = [
    ("ssid = \"campus\"", "`server-names` is missing"),
    (
        "server-names = \"radius.example.ac.jp\"",
        "`ssid` is missing",
    ),
    ("ssid = [\"a\\u0007b\"]", "`ssid` cannot be"),
    ("ssid = [\"図書館図書館図書館図書\"]", "`ssid` cannot be"),
    (
        "ssid = [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]",
        "`ssid` names 9",
    ),
    (
        "server-names = \"*.example.ac.jp\"",
        "`server-names` cannot be",
    ),
    ("server-names = []", "`server-names` is missing"),
    ("outer-identity = \"a b\"", "`outer-identity` cannot be"),
    ("method = \"tls\"", "`method` cannot be"),
    ("ca-file = \"ca.pem\"", "does not begin with"),
];

#[test]
fn faults_of_the_table_are_found() {
    let house = House::new();
    let configured = fs::read_to_string(house.daemon.path("sekisho.toml")).unwrap();
    let says = |table: &str, found: &str| {
        fs::write(
            house.daemon.path("sekisho.toml"),
            format!("{configured}\n[wifi]\n{table}\n"),
        )
        .unwrap();
        let checked = house.daemon.cli(&["check"]);
        let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
        assert!(said.contains(found), "{table}: {said}");
    };
    for (table, found) in FAULTS {
        says(table, found);
    }
    says("", "`ca-file` is missing");
    says("ca-file = \"/nowhere\"", "/nowhere cannot be read");
    let file = house.daemon.path("ca.pem").display().to_string();
    let server = rcgen::generate_simple_self_signed(["radius.example.ac.jp".to_owned()]).unwrap();
    fs::write(&file, server.cert.pem()).unwrap();
    says(&format!("ca-file = \"{file}\""), "is no CA");
    let without = configured.split("[portal]").next().unwrap();
    fs::write(
        house.daemon.path("sekisho.toml"),
        format!("{without}\n[wifi]\nssid = \"campus\"\n"),
    )
    .unwrap();
    let checked = house.daemon.cli(&["check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains("no portal without [portal]"), "{said}");
}
