//! What is said when the daemon does not start, and where it tells what it does.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Output;
use std::time::Duration;

use super::control::{SEED, house};
use super::{binary, json, write};
use crate::support::daemon::{Daemon, code, mode, wait};

/// Runs `serve` with a store and a control socket at these places of a folder, until it ends by itself.
fn serve(folder: &std::path::Path, store: &str, socket: &str) -> Output {
    let at = folder.display();
    let text = format!(
        "[radius]\nlisten = [\"127.0.0.1:0\"]\naccounting = []\n[log]\nto = \"stderr\"\n[store]\n{store}\n\
         [control]\nsocket = \"{at}/{socket}\"\n[directory.campus]\nservers = [\"ldap://127.0.0.1:9\"]\n\
         base = \"dc=example\"\n[client.vpn]\naddress = \"127.0.0.1\"\nsecret = \"a secret of sixteen or more\"\n\
         [[rule]]\nthen = \"ask\"\n"
    );
    let file = write(
        folder,
        "sekisho.toml",
        &text.replace("{at}", &at.to_string()),
    );
    binary(&["serve", "--config", file.to_str().unwrap()])
}

#[test]
fn what_is_missing_at_the_start_is_named_with_its_mend() {
    let folder = tempfile::tempdir().unwrap();
    let store = "folder = \"{at}/new/store\"";
    let output = serve(folder.path(), store, "run/control.sock");
    let said = String::from_utf8(output.stderr).unwrap();
    let run = folder.path().join("run");
    let mend = format!("make the folder {}, or set [control] socket", run.display());
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&mend) && said.contains("run/control.sock: "),
        "{said}"
    );
    assert_eq!(
        mode(&folder.path().join("new/store")),
        0o700,
        "the store's folder is made"
    );

    let store = "folder = \"{at}/new/store\"\nkey-file = \"{at}/keys/master.key\"";
    let said = String::from_utf8(serve(folder.path(), store, "c.sock").stderr).unwrap();
    assert!(
        said.contains("keys/master.key: ") && said.contains("set [store] key-file"),
        "{said}"
    );

    write(folder.path(), "taken", "");
    let store = "folder = \"{at}/taken/store\"";
    let said = String::from_utf8(serve(folder.path(), store, "c.sock").stderr).unwrap();
    assert!(
        said.contains("taken/store: ") && said.contains("set [store] folder"),
        "{said}"
    );
}

#[test]
fn a_file_that_is_no_backup_is_not_taken_for_a_damaged_store() {
    let (_slapd, mut daemon) = house();
    daemon.stop();
    let letter = write(
        daemon.path("state").parent().unwrap(),
        "letter",
        "Dear Sir or Madam, and so on and on",
    );
    let output = daemon.cli(&["restore", letter.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("letter is no backup") && !said.contains("store is damaged"),
        "{said}"
    );
}

#[test]
fn an_enrolment_in_json_is_one_object() {
    let (_slapd, daemon) = house();
    let said = daemon.cli_ok(&["--json", "user", "enrol-totp", "taro", "--unproven"]);
    let enrolled = json(&said);
    assert!(
        enrolled["uri"].as_str().unwrap().starts_with("otpauth://"),
        "{said}"
    );
    assert!(enrolled["factor"].as_i64().is_some(), "{said}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let (_slapd, daemon) = house();
    daemon.enrol("taro", SEED);
    let line = format!(
        "'{}' --config '{}' user show taro | :",
        env!("CARGO_BIN_EXE_sekisho"),
        daemon.path("sekisho.toml").display()
    );
    for _ in 0..5 {
        let output = std::process::Command::new("sh")
            .args(["-c", &line])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    }
}

/// A small file system over the store's folder, with its content.
struct Disk(std::path::PathBuf);

impl Disk {
    fn over(folder: std::path::PathBuf) -> Self {
        let kept: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(Result::unwrap)
            .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
            .collect();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "sekisho-test"])
            .arg(&folder)
            .status();
        assert!(mounted.unwrap().success(), "mount");
        for (name, octets) in kept {
            fs::write(folder.join(name), octets).unwrap();
        }
        Self(folder)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _status = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

#[test]
fn an_act_on_a_full_disk_is_not_told_as_done_and_status_sees_when_there_is_room() {
    let (_slapd, mut daemon) = house();
    daemon.enrol("taro", SEED);
    daemon.stop();
    let _disk = Disk::over(daemon.path("state"));
    daemon.run();
    let filler = daemon.path("state").join("filler");
    let _full = fs::write(&filler, vec![0; 4 << 20]);
    assert_eq!(
        daemon.cli(&["user", "unlock", "taro"]).status.code(),
        Some(1)
    );
    daemon.wait_log("tried to unlock the codes of campus/taro, failed: ");
    assert!(
        !daemon.log().contains("unlocks the codes"),
        "{}",
        daemon.log()
    );
    let status = daemon.cli(&["--json", "status"]);
    assert_eq!(status.status.code(), Some(1), "still full");
    fs::remove_file(&filler).unwrap();
    let status = json(&daemon.cli_ok(&["--json", "status"]));
    assert_eq!(status["store"]["writable"], true, "{status}");
}

/// Where journald's socket is, in a place of the daemon's own.
const IN_OWN_RUN: &str = "mount -t tmpfs sekisho-test /run && mkdir -p /run/systemd/journal \
    && mount --bind \"$JOURNAL\" /run/systemd/journal && exec \"$0\" \"$@\"";

/// The fields of a record in journald's form: `NAME=value`, or the name, the value's length in eight octets, and the value.
fn fields(mut record: &[u8]) -> Vec<(String, String)> {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    let mut found = Vec::new();
    while let Some(end) = record.iter().position(|&octet| octet == b'\n') {
        let (line, rest) = (&record[..end], &record[end + 1..]);
        match line.iter().position(|&octet| octet == b'=') {
            Some(at) => {
                found.push((text(&line[..at]), text(&line[at + 1..])));
                record = rest;
            }
            None => {
                let octets = u64::from_le_bytes(rest[..8].try_into().unwrap());
                let end = 8 + usize::try_from(octets).unwrap();
                found.push((text(line), text(&rest[8..end])));
                record = &rest[end + 1..];
            }
        }
    }
    found
}

fn to_journal(daemon: &mut Daemon) -> UnixDatagram {
    daemon.stop();
    let file = daemon.path("sekisho.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("to = \"stderr\"", "to = \"journal\"")).unwrap();
    let journal = daemon.path("journal");
    fs::create_dir(&journal).unwrap();
    let socket = UnixDatagram::bind(journal.join("socket")).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let place = format!("JOURNAL={}", journal.display());
    daemon.run_under(&["env", &place, "unshare", "-m", "sh", "-c", IN_OWN_RUN]);
    socket
}

#[test]
fn a_decision_reaches_the_journal_with_its_fields() {
    let (_slapd, mut daemon) = house();
    daemon.enrol("taro", SEED);
    let socket = to_journal(&mut daemon);
    let nas = daemon.nas().from_station("203.0.113.9");
    assert!(
        nas.login("taro", &format!("taro-password{}", code(SEED, 0)))
            .accepted()
    );
    let mut decision = None;
    wait(
        || {
            let mut record = vec![0; 64 * 1024];
            let octets = socket.recv(&mut record).unwrap_or_default();
            let found = fields(&record[..octets]);
            if found.iter().any(|(name, _)| name == "OUTCOME") {
                decision = Some(found);
            }
            decision.is_some()
        },
        || "no decision reached the journal".to_owned(),
    );
    let decision = decision.unwrap();
    let field = |wanted: &str| {
        let found = decision.iter().find(|(name, _)| name == wanted);
        found.map_or("", |(_, value)| value.as_str())
    };
    for (name, value) in [
        ("NAME", "campus/taro"),
        ("CLIENT", "vpn"),
        ("STATION", "203.0.113.9"),
        ("NAS", "127.0.0.1"),
        ("FACTOR", "totp"),
        ("OUTCOME", "accept"),
        ("REASON", "proven"),
        ("PRIORITY", "5"),
    ] {
        assert_eq!(field(name), value, "{name}: {decision:?}");
    }
    assert!(
        field("MESSAGE").starts_with("Login OK: [campus/taro]"),
        "{decision:?}"
    );
    assert!(field("DURATION_TOTAL_US").parse::<u64>().unwrap() > 0);
    assert_eq!(field("ATTEMPT").len(), 10);
    assert!(!format!("{decision:?}").contains("taro-password"));
}
