//! What the README leads to: from a CA to a login by eapol_test, as it is written there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::campus::PASSWORD;
use crate::docs::{blocks, read};
use crate::login::{SEED, directory};
use crate::support::daemon::{Daemon, code};
use crate::support::slapd::{Slapd, person};

/// The block of the README in this language that has these words.
fn block(language: &str, words: &str) -> String {
    let blocks = blocks(&read("README.md"), language);
    let mut found = blocks.into_iter().filter(|block| block.contains(words));
    let block = found.next().expect(words);
    assert!(found.next().is_none(), "{words} twice");
    block
}

/// Types lines of the README, with other places of its files and a group that is surely there.
fn type_in(lines: &str, folder: &Path) -> Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_sekisho")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let lines = elsewhere(lines, folder).replace("-g sekisho", "-g root");
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", &lines])
        .env("PATH", path)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn elsewhere(text: &str, folder: &Path) -> String {
    let folder = folder.display();
    text.replace("/etc/sekisho/", &format!("{folder}/"))
        .replace("/root/", &format!("{folder}/root/"))
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
}

#[test]
fn the_readme_leads_from_a_ca_to_a_login() {
    let folder = tempfile::tempdir().unwrap();
    let made = type_in(&block("sh", "sekisho cert ca"), folder.path());
    assert!(made.status.success(), "{made:?}");

    let slapd = Slapd::start(&person("taro", PASSWORD));
    let further = elsewhere(&block("toml", "[eap]"), folder.path());
    let further = format!("{further}\n[[rule]]\nthen = \"ask\"\n");
    let daemon = Daemon::start(&directory(&[&slapd.url()]), &further);
    daemon.enrol("taro", SEED);

    let device = elsewhere(&block("eapol_test", "network="), folder.path());
    let trial = block("sh", "eapol_test -c");
    let line = trial
        .lines()
        .find(|line| line.starts_with("eapol_test"))
        .unwrap();
    let (line, _) = line.split_once(" #").unwrap();
    let line = format!("{line} -p {}", daemon.radius.port());
    for (typed, ends) in [
        (PASSWORD.to_owned(), "FAILURE"),
        (format!("{PASSWORD}{}", code(SEED, 0)), "SUCCESS"),
    ] {
        let device = device.replace("PASSWORD123456", &typed);
        write(&folder.path().join("wifi.conf"), &device);
        let tried = type_in(&line, folder.path());
        let said = String::from_utf8_lossy(&tried.stdout);
        assert_eq!(said.trim_end().lines().last(), Some(ends), "{said}");
    }
}
