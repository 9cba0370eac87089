//! `import`: whole files of other servers, and what is said of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use sekisho::access::{CodeEntry, PushMode};
use sekisho::account::FactorKind;
use sekisho::config::{self, Settings};
use sekisho::server::Client;
use sekisho::wire::Signing;

use super::{binary, json, write};
use crate::support::daemon::mode;

fn foreign(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cli/foreign");
    folder.join(name).to_str().unwrap().to_owned()
}

/// The notes by file name and line.
type Notes = BTreeMap<(String, usize), String>;

fn notes(output: &Output) -> Notes {
    let mut notes = Notes::new();
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(file), Some(number), Some(what)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let Ok(number) = number.parse() else { continue };
        let file = Path::new(file).file_name().unwrap().to_str().unwrap();
        let note = notes.entry((file.to_owned(), number)).or_default();
        note.push_str(what);
    }
    notes
}

/// Imports into a folder; what was written, and what was said.
fn import(kind: &str, from: &str, folder: &Path) -> (PathBuf, Output) {
    let out = folder.join("sekisho.toml");
    let output = binary(&["import", kind, from, "--out", out.to_str().unwrap()]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (out, output)
}

fn client<'a>(settings: &'a Settings, name: &str) -> &'a Client {
    let mut clients = settings.server.clients.iter();
    clients
        .find(|client| client.name.as_str() == name)
        .unwrap_or_else(|| panic!("no client {name}"))
}

fn addresses(client: &Client) -> Vec<String> {
    client.addresses.iter().map(ToString::to_string).collect()
}

fn secret(folder: &Path, name: &str) -> String {
    let file = folder.join(name);
    assert_eq!(mode(&file) & 0o027, 0, "{name}");
    fs::read_to_string(file).unwrap()
}

#[test]
fn a_whole_authproxy_is_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let (file, output) = import("duo", &foreign("authproxy.cfg"), folder.path());
    // Its password could not be read: who owns the machine writes it.
    write(folder.path(), "ad2.password", "written by hand");
    let settings = config::read(&file).unwrap_or_else(|faults| panic!("{faults:#?}"));

    let [ad, ad2] = settings.directories.as_slice() else {
        panic!("{:?}", settings.directories)
    };
    let servers: Vec<_> = ad.servers.iter().map(ToString::to_string).collect();
    assert_eq!(
        servers,
        ["dc1.ad.example.ac.jp:389", "dc2.ad.example.ac.jp:389"]
    );
    assert_eq!(ad.bind.as_ref().unwrap().0, "svc-radius@ad.example.ac.jp");
    assert_eq!(secret(folder.path(), "ad.password"), "Aoi-Tori-77\n");
    assert_eq!(ad.operation_timeout.as_secs(), 30);
    assert_eq!(ad2.servers[0].to_string(), "ldap.med.example.ac.jp:3269");
    assert_eq!(ad2.user_filter, "(&(objectClass=person)(uid={user}))");

    let auto = client(&settings, "auto");
    assert_eq!(addresses(auto), ["192.0.2.10/32", "192.0.2.11/32"]);
    assert_eq!(
        auto.policy.code,
        [CodeEntry::Delimited, CodeEntry::Appended]
    );
    assert_eq!(auto.policy.push, [PushMode::Typed]);
    assert_eq!(auto.policy.ways, [FactorKind::Totp, FactorKind::Recovery]);
    assert_eq!(addresses(client(&settings, "auto-2")), ["192.0.2.32/30"]);
    assert_eq!(
        secret(folder.path(), "auto-2.secret"),
        "another-one-for-the-lab\n"
    );
    let challenge = client(&settings, "challenge");
    assert_eq!(challenge.policy.push, [PushMode::Shown]);
    assert_eq!(&*challenge.station[0].name, "PaloAlto-Client-Source-IP");
    assert_eq!(settings.server.clients.len(), 3);
    let listen: Vec<_> = settings
        .server
        .listen
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(listen, ["[::]:1812", "[::]:18120"]);
    assert_eq!(settings.access.rules.len(), 2);
    assert!(settings.access.rules[0].group.is_some());

    said_of_authproxy(&output);
}

/// Every line that is otherwise now is named, and no other.
fn said_of_authproxy(output: &Output) {
    let notes = notes(output);
    for (line, what) in [
        (7, "`interface` is not carried over"),
        (13, "a simple bind needs a whole name"),
        (16, "written as a rule"),
        (18, "Copy the CA's file"),
        (19, "NTLM has no equal"),
        (20, "30 s here"),
        (21, "`at_attribute` is not carried over"),
        (23, "several directories"),
        (29, "on that machine alone"),
        (35, "never by another RADIUS server"),
        (40, "without a number"),
        (50, "it has no secret"),
        (51, "nobody is"),
        (55, "\"printer\""),
        (56, "\"backup\""),
        (57, "`pass_through_all` is not carried over"),
        (59, "Texts are Sekisho's own"),
        (65, "very wide"),
        (67, "its secret can be read on that machine alone"),
        (73, "`unheard_of` is not carried over"),
        (75, "A frame in the gear's page"),
        (79, "proves passwords by radius_client"),
        (82, "second factor alone has no equal"),
        (87, "without a password have no equal"),
        (89, "single sign-on have no equal"),
    ] {
        let key = ("authproxy.cfg".to_owned(), line);
        let said = notes
            .get(&key)
            .unwrap_or_else(|| panic!("{line}: {notes:#?}"));
        assert!(
            said.to_lowercase().contains(&what.to_lowercase()),
            "{line}: {said}"
        );
    }
    assert_eq!(notes.len(), 25, "{notes:#?}");
    let text = format!("{output:?}");
    for hidden in ["Aoi-Tori-77", "fuji-no-yuki", "deadbeef", "upstream-secret"] {
        assert!(!text.contains(hidden), "{hidden} is shown");
    }
}

#[test]
fn a_whole_folder_of_freeradius_is_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let raddb = foreign("raddb");
    let (file, output) = import("freeradius", &raddb, folder.path());
    // The CA is that of the other machine.
    let ca = write(folder.path(), "campus.pem", "");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace("/etc/ssl/certs/campus.pem", ca.to_str().unwrap());
    fs::write(&file, text).unwrap();
    let settings = config::read(&file).unwrap_or_else(|faults| panic!("{faults:#?}"));

    let [ldap] = settings.directories.as_slice() else {
        panic!("{:?}", settings.directories)
    };
    let servers: Vec<_> = ldap.servers.iter().map(ToString::to_string).collect();
    assert_eq!(
        servers,
        ["ldap1.example.ac.jp:636", "ldap2.example.ac.jp:636"]
    );
    assert_eq!(ldap.base, "ou=people,dc=example,dc=ac,dc=jp");
    assert_eq!(ldap.user_filter, "(&(objectClass=person)(uid={user}))");
    assert_eq!(secret(folder.path(), "ldap.password"), "asa A no uta\n");

    for (name, nets, its_secret) in [
        ("localhost", &["127.0.0.1/32"][..], "testing123"),
        ("firewall", &["192.0.2.10/32"], "yuki \"no\" mado \\ 3"),
        ("firewall-2", &["192.0.2.11/32"], "tsuki no hikari 2"),
        ("wlc-north", &["198.51.100.0/26"], "umi-no-oto-ga-suru"),
        ("203.0.113.77", &["203.0.113.77/32"], "yama-no-oto-mo-suru"),
        ("library", &["192.0.2.128/28"], "kita-no-kuni-kara-2"),
        ("everywhere", &["0.0.0.0/0"], "kore-wa-yokunai-yo"),
    ] {
        assert_eq!(addresses(client(&settings, name)), nets, "{name}");
        let file = format!("{name}.secret");
        assert_eq!(secret(folder.path(), &file), format!("{its_secret}\n"));
    }
    assert_eq!(
        client(&settings, "localhost").signing,
        Signing::OptionalWithoutProxyState
    );
    assert_eq!(client(&settings, "firewall").signing, Signing::Required);
    assert_eq!(settings.server.clients.len(), 9);
    said_of_raddb(&output);
}

fn said_of_raddb(output: &Output) {
    let notes = notes(output);
    for (file, line, what) in [
        ("clients.conf", 8, "need not be signed"),
        ("clients.conf", 10, "section limit"),
        ("clients.conf", 27, "The make is \"cisco\""),
        ("clients.conf", 28, "no \"auto\""),
        ("clients.conf", 35, "`virtual_server`"),
        ("clients.conf", 36, "`coa_server`"),
        ("clients.conf", 50, "has no secret that is known"),
        ("clients.conf", 56, "has no secret that is known"),
        ("clients.conf", 64, "asks by tls"),
        ("clients.conf", 65, "`tls`"),
        ("clients.conf", 69, "very wide"),
        ("clients.conf", 74, "is a client already"),
        ("clients.conf", 79, "is written as it is today"),
        ("clients.conf", 86, "includes itself"),
        ("clients.conf", 87, "home_server remote"),
        ("ldap", 11, "not carried over"),
        ("ldap", 21, "member-search"),
        ("sites-enabled", 1, "Policy is not carried over"),
    ] {
        let said = notes.get(&(file.to_owned(), line));
        let said = said.unwrap_or_else(|| panic!("{file}:{line}: {notes:#?}"));
        assert!(said.contains(what), "{file}:{line}: {said}");
    }
    assert_eq!(notes.len(), 18, "{notes:#?}");
    let text = format!("{output:?}");
    for hidden in ["asa A no uta", "tsuki no hikari", "umi-no-oto"] {
        assert!(!text.contains(hidden), "{hidden} is shown");
    }
    assert!(
        text.contains("stands in examples"),
        "the placeholder is named: {text}"
    );
}

#[test]
fn without_out_nothing_is_written_and_the_answer_is_the_configuration_alone() {
    let folder = tempfile::tempdir().unwrap();
    let clients = write(
        folder.path(),
        "clients.conf",
        "client fw { ipaddr = 192.0.2.1\n secret = long-enough-to-be-one }\n",
    );
    let output = binary(&["import", "freeradius", clients.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("secret-file = \"/etc/sekisho/fw.secret\""),
        "{text}"
    );
    assert!(text.contains("belongs into conf.d"), "{text}");
    let whole = format!(
        "{text}[directory.a]\nservers = ['ldaps://a.example']\nbase = 'dc=a'\n[[rule]]\nthen = 'ask'\n"
    );
    config::parse_text(&whole).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let output = binary(&["--json", "import", "freeradius", clients.to_str().unwrap()]);
    let told = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(
        (
            told["clients"].as_u64(),
            told["doubts"].as_array().unwrap().len()
        ),
        (Some(1), 0)
    );
}

#[test]
fn clients_alone_go_to_conf_d_and_their_secrets_beside_the_main_file() {
    let folder = tempfile::tempdir().unwrap();
    let drop_ins = folder.path().join("conf.d");
    fs::create_dir(&drop_ins).unwrap();
    let clients = write(
        folder.path(),
        "clients.conf",
        "client fw {\n ipaddr = 192.0.2.1\n secret = long-enough-to-be-one\n}\n",
    );
    let out = drop_ins.join("freeradius.toml");
    let words = [
        "import",
        "freeradius",
        clients.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    assert_eq!(binary(&words).status.code(), Some(0));
    assert!(folder.path().join("fw.secret").is_file());
    let main =
        "[directory.a]\nservers = ['ldaps://a.example']\nbase = 'dc=a'\n[[rule]]\nthen = 'ask'\n";
    let main = write(folder.path(), "sekisho.toml", main);
    let settings = config::read(&main).unwrap();
    assert_eq!(
        (settings.server.clients.len(), settings.warnings.len()),
        (1, 0)
    );
    // And not over it.
    assert_eq!(binary(&words).status.code(), Some(1));
}

#[test]
fn what_is_no_such_file_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let long = write(folder.path(), "long", &"#".repeat((4 << 20) + 1));
    let empty = write(folder.path(), "empty", "");
    let octets = folder.path().join("octets");
    fs::write(&octets, b"[ad_client]\nhost=\xff\n").unwrap();
    for (file, why) in [
        (&long, "longer than"),
        (&empty, "No client"),
        (&octets, "not UTF-8"),
        (&folder.path().join("absent"), "cannot be read"),
        (&PathBuf::from("/dev/zero"), "no ordinary file"),
    ] {
        for kind in ["duo", "freeradius"] {
            let output = binary(&["import", kind, file.to_str().unwrap()]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.code() == Some(1) && said.contains(why),
                "{kind}: {said}"
            );
        }
    }
}
