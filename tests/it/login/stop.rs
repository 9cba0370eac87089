//! The daemon is told to stop: what is in work is answered first, and nothing new is begun.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use super::{PEOPLE, SEED, SPOOL, VPN, directory, house};
use crate::support::daemon::{Daemon, SECRET, code, signal, wait};
use crate::support::slapd::Slapd;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn what_is_in_work_is_answered_before_the_end() {
    let (slapd, mut daemon) = house();
    slapd.pause();
    let (early, late) = (daemon.nas(), daemon.nas());
    let typed = format!("taro-password{}", code(SEED, 0));
    let asked = early.sign(early.query(b"taro", typed.as_bytes()));
    early.send(asked.octets());
    // The socket is read in order: what came before the answered one has been taken up.
    assert_eq!(daemon.nas().status().code, 2);
    signal(daemon.pid(), "TERM");
    assert!(early.hears_nothing(), "the directory still hangs");
    late.send(late.sign(late.query(b"jiro", b"wrong")).octets());
    slapd.resume();
    let octets = early.receive(PATIENCE).expect("an answer");
    assert_eq!(octets[0], 2, "{}", daemon.log());
    assert!(late.hears_nothing(), "it came after the end was wanted");
    assert_eq!(daemon.ended(), Some(0), "{}", daemon.log());
}

#[test]
fn a_reject_that_waits_for_its_time_leaves_at_the_end() {
    let (_slapd, mut daemon) = house();
    let file = daemon.path("sekisho.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"500ms\"", "\"5s\"")).unwrap();
    daemon.hang_up();
    daemon.wait_log("configuration reloaded");
    let nas = daemon.nas();
    nas.send(nas.sign(nas.query(b"jiro", b"wrong")).octets());
    daemon.wait_log("wrong-password");
    assert!(nas.hears_nothing(), "it is not yet its time");
    signal(daemon.pid(), "TERM");
    assert_eq!(nas.receive(PATIENCE).expect("a Reject")[0], 3);
    assert_eq!(daemon.ended(), Some(0), "{}", daemon.log());
}

#[test]
fn it_says_where_it_listens_and_that_it_has_ended() {
    let (_slapd, mut daemon) = house();
    let started = format!("Sekisho {} has started", env!("CARGO_PKG_VERSION"));
    daemon.wait_log(&started);
    daemon.wait_log(&format!("listening for logins at {}", daemon.radius));
    let accounting = format!("listening for accounting at {}", daemon.accounting);
    daemon.wait_log(&accounting);
    assert!(!daemon.log().contains("has stopped"));
    assert_eq!(daemon.stop(), Some(0));
    daemon.wait_log("Sekisho has stopped");
}

#[test]
fn an_address_that_a_reload_cannot_change_is_told_while_it_differs() {
    const TOLD: &str = "change at a restart only";
    let (_slapd, daemon) = house();
    let file = daemon.path("sekisho.toml");
    let sound = std::fs::read_to_string(&file).unwrap();
    let other = sound.replace(&daemon.radius.to_string(), "127.0.0.1:9");
    for (reloads, (text, told)) in [(&other, 1), (&other, 2), (&sound, 2)].iter().enumerate() {
        std::fs::write(&file, text).unwrap();
        daemon.hang_up();
        let reloaded = || daemon.log().matches("configuration reloaded").count();
        wait(|| reloaded() > reloads, || daemon.log());
        assert_eq!(
            daemon.log().matches(TOLD).count(),
            *told,
            "reload {reloads}"
        );
    }
    assert_eq!(daemon.nas().status().code, 2);
}

#[test]
fn two_daemons_do_not_share_a_store() {
    let (_slapd, daemon) = house();
    let file = daemon.path("sekisho.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let elsewhere = text
        .replace(&daemon.radius.to_string(), "127.0.0.1:0")
        .replace(&daemon.accounting.to_string(), "127.0.0.1:0")
        .replace("control.sock", "second.sock");
    std::fs::write(&file, elsewhere).unwrap();
    let second = Command::new("timeout")
        .args(["20", env!("CARGO_BIN_EXE_sekisho"), "serve", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another sekisho"), "{said}");
    let typed = format!("taro-password{}", code(SEED, 0));
    assert!(daemon.nas().login("taro", &typed).accepted());
}

#[test]
fn a_secret_comes_as_a_credential() {
    let credentials = tempfile::tempdir().unwrap();
    let file = credentials.path().join("vpn");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
    let named = |name: &str| {
        format!(
            "[client.vpn]\naddress = [\"127.0.0.1\"]\nsecret-credential = \"{name}\"\n{VPN}\n{SPOOL}"
        )
    };
    let slapd = Slapd::start(PEOPLE);
    let folder = format!("CREDENTIALS_DIRECTORY={}", credentials.path().display());
    let mut daemon = Daemon::start_under(
        &["env", &folder],
        &directory(&[&slapd.url()]),
        &named("vpn"),
    );
    assert!(daemon.nas().login("taro", "taro-password").challenged());
    daemon.stop();
    daemon.configure(&directory(&[&slapd.url()]), &named("wifi"));
    let absent = daemon.cli(&["serve"]);
    assert_eq!(absent.status.code(), Some(78));
}
