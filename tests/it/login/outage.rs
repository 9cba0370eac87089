//! Directories and stores that fail: closed, and back without a restart.

use std::fs;

use super::{PEOPLE, SEED, SPOOL, VPN, directory, house};
use crate::support::daemon::{Daemon, client, code};
use crate::support::slapd::Slapd;

#[test]
fn dead_directory_gives_no_answer_and_comes_back_by_itself() {
    let (mut slapd, daemon) = house();
    let nas = daemon.nas();
    slapd.kill();
    let asked = nas.sign(nas.query(
        b"taro",
        format!("taro-password{}", code(SEED, 0)).as_bytes(),
    ));
    nas.send(asked.octets());
    daemon.wait_log("directory-unavailable");
    assert!(nas.hears_nothing(), "neither accept nor reject");
    slapd.restart();
    crate::support::daemon::wait(
        || {
            let nas = daemon.nas();
            nas.send(nas.sign(nas.query(b"taro", b"taro-password")).octets());
            nas.receive(std::time::Duration::from_secs(3))
                .is_some_and(|octets| octets[0] == 11)
        },
        || daemon.log(),
    );
}

#[test]
fn hung_directory_is_passed_over() {
    let (first, second) = (Slapd::start(PEOPLE), Slapd::start(PEOPLE));
    let further = format!(
        "{}\n{SPOOL}",
        client("vpn", &format!("{VPN}\npatience = \"20s\""))
    );
    let daemon = Daemon::start(&directory(&[&first.url(), &second.url()]), &further);
    daemon.enrol("taro", SEED);
    first.pause();
    let nas = daemon.nas();
    let asked = nas.sign(nas.query(b"jiro", b"wrong"));
    nas.send(asked.octets());
    let answer = nas.receive(std::time::Duration::from_secs(20));
    assert!(
        answer.is_some_and(|octets| octets[0] == 3),
        "{}",
        daemon.log()
    );
    first.resume();
}

#[test]
fn full_store_accepts_nothing_and_recovers() {
    let slapd = Slapd::start(PEOPLE);
    let mut daemon = Daemon::start(&directory(&[&slapd.url()]), &client("vpn", VPN));
    daemon.enrol("taro", SEED);
    daemon.stop();
    let _mount = Tmpfs::over(&daemon.path("state"), "2m");
    daemon.run();
    let filler = daemon.path("state").join("filler");
    fill(&filler);
    let typed = format!("taro-password{}", code(SEED, 0));
    let nas = daemon.nas();
    let asked = nas.sign(nas.query(b"taro", typed.as_bytes()));
    nas.send(asked.octets());
    daemon.wait_log("store-unavailable");
    assert!(nas.hears_nothing());
    fs::remove_file(&filler).unwrap();
    let typed = format!("taro-password{}", code(SEED, 1));
    assert!(
        daemon.nas().login("taro", &typed).accepted(),
        "{}",
        daemon.log()
    );
}

#[test]
fn damaged_store_does_not_start() {
    let (_slapd, mut daemon) = house();
    daemon.stop();
    let folder = daemon.path("state");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if fs::read(&path).unwrap().starts_with(b"SQLite format 3") {
            fs::write(&path, b"SQLite format 3\0 and then something else entirely").unwrap();
        }
    }
    let output = daemon.cli(&["serve"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("store"));
}

/// A small file system over a folder, with the folder's content.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn over(folder: &std::path::Path, size: &str) -> Self {
        let kept: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
            .collect();
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "sekisho-test"])
            .arg(folder)
            .status()
            .unwrap();
        assert!(status.success(), "mount");
        for (name, octets) in kept {
            fs::write(folder.join(name), octets).unwrap();
        }
        Self(folder.to_owned())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _status = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

fn fill(file: &std::path::Path) {
    use std::io::Write;
    let mut file = fs::File::create(file).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}
