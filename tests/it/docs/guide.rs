//! The install guide, and what all documents have in common.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use sekisho::config;

use super::{blocks, documents, read, root};

const DIRECTORY: &str = "[directory.base]\nservers = [\"ldaps://ldap1.example.ac.jp\"]\nbase = \"dc=example,dc=ac,dc=jp\"\n";
const CLIENT: &str =
    "[client.base]\naddress = \"192.0.2.99\"\nsecret-file = \"/etc/sekisho/base.secret\"\n";
const PORTAL: &str =
    "[portal]\nurl = \"https://mfa.example.ac.jp\"\nlisten = [\"127.0.0.1:8443\"]\n";
const RULE: &str = "[[rule]]\nthen = \"ask\"\n";

/// Reads a block as a whole configuration whose files are all there.
fn warnings(block: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut text = block.to_owned();
    for (table, part) in [
        ("[directory.", DIRECTORY),
        ("[client.", CLIENT),
        ("[[rule]]", RULE),
    ] {
        if !block.contains(table) {
            text.push_str(part);
        }
    }
    if block.contains("[wifi]") && !block.contains("[portal]") {
        text.push_str(PORTAL);
    }
    let etc = folder.path().to_str().unwrap();
    let (certificate, key) = certificate();
    for part in text.split('"') {
        let Some(name) = part.strip_prefix("/etc/sekisho/") else {
            continue;
        };
        let content = match name {
            "tls/wifi-ca.pem" => &authority(),
            _ => match Path::new(name).extension().and_then(|end| end.to_str()) {
                Some("pem") => &certificate,
                Some("key") => &key,
                _ => "a secret of more than twelve octets\n",
            },
        };
        write(&folder.path().join(name), content);
    }
    let file = folder.path().join("sekisho.toml");
    write(&file, &text.replace("/etc/sekisho/", &format!("{etc}/")));
    match config::read(&file) {
        Ok(settings) => settings.warnings.iter().map(ToString::to_string).collect(),
        Err(faults) => panic!("{text}\n{faults:#?}"),
    }
}

fn write(file: &Path, content: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
}

fn certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters =
        rcgen::CertificateParams::new(vec!["radius.example.ac.jp".to_owned()]).unwrap();
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = parameters.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn authority() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.self_signed(&key).unwrap().pem()
}

#[test]
fn every_block_of_the_guide_is_a_configuration_without_a_doubt() {
    let blocks = blocks(&read("docs/install.md"), "toml");
    assert!(blocks.len() >= 17, "{}", blocks.len());
    for block in blocks {
        assert_eq!(warnings(&block), [""; 0], "{block}");
    }
}

#[test]
fn every_configuration_of_the_readme_is_one() {
    let blocks = blocks(&read("README.md"), "toml");
    // One shows two keys of a client, and no client.
    let (whole, part): (Vec<_>, Vec<_>) = blocks
        .into_iter()
        .partition(|block| !block.contains("[client.") || block.contains("secret-file"));
    assert!(whole.len() >= 5 && part.len() <= 1, "{whole:?} {part:?}");
    for block in whole {
        assert_eq!(warnings(&block), [""; 0], "{block}");
    }
}

#[test]
fn the_guide_knows_what_each_make_waits_for() {
    let guide = read("docs/install.md");
    for (row, profile) in [
        ("| FortiGate |", "fortigate"),
        ("| Cisco ASA, Secure Client |", "cisco-asa"),
        ("| GlobalProtect |", "globalprotect"),
        ("| OpenVPN |", "openvpn"),
        ("| ocserv |", "ocserv"),
        ("| strongSwan |", "strongswan"),
        ("| Aruba controller |", "aruba"),
        ("| Cisco WLC |", "cisco-wlc"),
    ] {
        let line = guide.lines().find(|line| line.starts_with(row));
        let line = line.unwrap_or_else(|| panic!("no {row}"));
        let profile = config::Profile::find(profile).expect(profile);
        let waits = format!("{row} {} s |", profile.patience().as_secs());
        assert!(line.starts_with(&waits), "{line}\nnot {waits}");
        let shows = !line.ends_with("| no |");
        assert_eq!(shows, profile.can_challenge(), "{line}");
    }
}

/// The words of a command: what stands in quotes is one.
fn words(command: &str) -> Vec<String> {
    let parts = command.split(['\'', '"']).enumerate();
    parts
        .flat_map(|(number, part)| match number % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// Commands of ours that are given to be typed, by document.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut commands = Vec::new();
    for document in documents() {
        for block in blocks(&read(&document), "sh") {
            for line in block.lines() {
                let line = line.split(" #").next().unwrap_or_default();
                let mut parts = line.split(['|', '<']);
                let words = words(parts.next().unwrap_or_default());
                if words.first().is_some_and(|word| word == "sekisho") {
                    commands.push((document.clone(), words));
                }
            }
        }
    }
    commands
}

#[test]
fn every_command_that_a_document_gives_exists() {
    let commands = commands();
    assert!(commands.len() > 30, "{}", commands.len());
    let folder = tempfile::tempdir().unwrap();
    for (document, words) in commands {
        // What would write where it says is read, and no more.
        let further: &[&str] = match words[1].as_str() {
            "cert" => &["--help"],
            _ => &[
                "--config",
                "/nonexistent/sekisho.toml",
                "--socket",
                "/nonexistent/control.sock",
            ],
        };
        let output = Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .args(&words[1..])
            .args(further)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Nothing answers here; but what was asked is understood.
        assert_ne!(
            output.status.code(),
            Some(64),
            "{document}: {words:?}\n{said}"
        );
    }
}

#[test]
fn every_link_leads_to_a_file() {
    for document in documents() {
        let text = read(&document);
        let folder = root().join(&document);
        let folder = folder.parent().unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                assert!(folder.join(target).exists(), "{document}: {target}");
            }
        }
    }
}
