//! Directories and stores that fail: closed, and back without a restart.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sekisho::wire::Query;

use super::{PEOPLE, SEED, SPOOL, VPN, directory, house};
use crate::support::daemon::{Daemon, SECRET, client, code, wait};
use crate::support::nas::Nas;
use crate::support::slapd::{Slapd, person_dn};

/// How long an answer that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

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
    wait(
        || {
            let nas = daemon.nas();
            nas.send(nas.sign(nas.query(b"taro", b"taro-password")).octets());
            nas.receive(Duration::from_secs(3))
                .is_some_and(|octets| octets[0] == 11)
        },
        || daemon.log(),
    );
}

#[test]
fn status_server_follows_the_directory_if_so_configured() {
    let (mut slapd, mut daemon) = house();
    daemon.stop();
    let file = daemon.path("sekisho.toml");
    let text = fs::read_to_string(&file).unwrap();
    let silent = "[radius]\nstatus-silent-when-down = true\n";
    fs::write(&file, text.replace("[radius]\n", silent)).unwrap();
    daemon.run();
    let answers = || {
        let nas = daemon.nas();
        nas.send(nas.sign(Query::status(1)).octets());
        !nas.hears_nothing()
    };
    assert!(answers());
    slapd.kill();
    // The daemon learns of it by a login.
    let nas = daemon.nas();
    wait(
        || {
            nas.send(nas.sign(nas.query(b"jiro", b"jiro-password")).octets());
            !answers()
        },
        || daemon.log(),
    );
    slapd.restart();
    wait(answers, || daemon.log());
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
    // Her search finds out that the server hangs, and her bind goes to the other.
    assert!(
        nas.login("hanako", "hanako-password").challenged(),
        "{}",
        daemon.log()
    );
    // His entry is remembered, so that a bind may be what hangs: then there is no answer, and no second bind.
    let typed = format!("taro-password{}", code(SEED, 0));
    wait(
        || {
            nas.send(nas.sign(nas.query(b"taro", typed.as_bytes())).octets());
            let octets = nas.receive(Duration::from_secs(4));
            assert!(octets.as_ref().is_none_or(|octets| octets[0] == 2));
            octets.is_some()
        },
        || daemon.log(),
    );
    first.resume();
}

#[test]
fn directory_that_hangs_alone_gives_no_answer() {
    let (slapd, daemon) = house();
    let typed = format!("taro-password{}", code(SEED, 0));
    slapd.pause();
    let nas = daemon.nas();
    let asked = nas.sign(nas.query(b"taro", typed.as_bytes()));
    nas.send(asked.octets());
    wait(|| daemon.log().contains("Login undecided"), || daemon.log());
    assert!(nas.hears_nothing(), "neither accept nor reject");
    slapd.resume();
    let nas = daemon.nas();
    wait(
        || {
            nas.send(nas.sign(nas.query(b"taro", typed.as_bytes())).octets());
            let octets = nas.receive(Duration::from_secs(3));
            assert!(octets.as_ref().is_none_or(|octets| octets[0] != 3));
            octets.is_some_and(|octets| octets[0] == 2)
        },
        || daemon.log(),
    );
}

#[test]
fn bind_that_is_cut_off_is_no_reject() {
    let slapd = Slapd::start(PEOPLE);
    let relay = Relay::to(slapd.port());
    let vpn = client("vpn", "code = [\"appended\"]");
    let daemon = Daemon::start(&directory(&[&relay.url()]), &vpn);
    daemon.enrol("taro", SEED);
    let typed = format!("taro-password{}", code(SEED, 0));
    relay.cut_binds(true);
    let nas = daemon.nas();
    nas.send(nas.sign(nas.query(b"taro", typed.as_bytes())).octets());
    daemon.wait_log("(directory-unavailable): ");
    assert!(nas.hears_nothing(), "neither accept nor reject");
    assert_eq!(slapd.binds(&person_dn("taro")), 0, "it never arrived");
    relay.cut_binds(false);
    assert!(
        daemon.nas().login("taro", &typed).accepted(),
        "{}",
        daemon.log()
    );
}

/// A way to a directory that resets a connection on which a person's password is sent.
struct Relay {
    port: u16,
    cuts: Arc<AtomicBool>,
}

impl Relay {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = Arc::new(AtomicBool::new(false));
        let cutting = cuts.clone();
        // Ends with the process: a test has no other way to end an accept.
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let (near_back, far_back) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let cutting = cutting.clone();
                std::thread::spawn(move || carry(far_back, near_back, |_| false));
                std::thread::spawn(move || {
                    carry(near, far, |octets| {
                        let password = octets.windows(8).any(|part| part == b"password");
                        password && cutting.load(Ordering::Relaxed)
                    });
                });
            }
        });
        Self { port, cuts }
    }

    fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    fn cut_binds(&self, cut: bool) {
        self.cuts.store(cut, Ordering::Relaxed);
    }
}

/// Carries octets one way until they end or are to be cut; then both ways are closed.
fn carry(mut from: TcpStream, mut to: TcpStream, is_cut: impl Fn(&[u8]) -> bool) {
    let mut octets = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut octets) {
        if is_cut(&octets[..count]) || to.write_all(&octets[..count]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        let _closed = stream.shutdown(Shutdown::Both);
    }
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
    let alarm = alarm(&daemon);
    assert!(
        alarm.contains("store cannot be written: ") && alarm.contains("full"),
        "{alarm}"
    );
    let status = daemon.cli(&["status", "--json"]);
    assert_eq!(status.status.code(), Some(1));
    let said = String::from_utf8(status.stdout).unwrap();
    assert!(said.contains("database or disk is full"), "{said}");
    // An accounting record that is not kept is not acknowledged.
    let gear = Nas::new(daemon.accounting, SECRET);
    let stop = gear.sign(record(7, STOP));
    gear.send(stop.octets());
    assert!(gear.hears_nothing());
    assert!(!daemon.log().contains("Accounting stop"));
    fs::remove_file(&filler).unwrap();
    gear.send(stop.octets());
    let octets = gear.receive(PATIENCE).expect("an acknowledgement");
    assert_eq!(octets[0], 5, "{}", daemon.log());
    daemon.wait_log("Accounting stop: [taro] (client vpn, station 203.0.113.7)");
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
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("Sekisho does not start: store: store is damaged: "),
        "{said}"
    );
}

#[test]
fn read_only_store_does_not_start() {
    let (_slapd, mut daemon) = house();
    daemon.stop();
    let mount = Tmpfs::over(&daemon.path("state"), "16m");
    mount.set_read_only();
    let output = daemon.cli(&["serve"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    let folder = daemon.path("state").display().to_string();
    assert!(said.contains("Sekisho does not start: store: "), "{said}");
    assert!(
        said.contains(&folder) && said.contains("Read-only file system"),
        "{said}"
    );
}

/// Acct-Status-Type and what it is called.
const SESSION: [(u8, &str); 3] = [(1, "start"), (3, "interim"), (STOP, "stop")];
const STOP: u8 = 2;

fn record(identifier: u8, status: u8) -> Query {
    Query::accounting(identifier)
        .with(40, &[0, 0, 0, status])
        .with(44, b"session-1")
        .with(46, &[0, 0, 0, 60 + status])
        .with(1, b"taro")
        .with(31, b"203.0.113.7")
}

#[test]
fn accounting_is_kept_and_journalled_before_it_is_acknowledged() {
    let (_slapd, mut daemon) = house();
    for (status, word) in SESSION {
        let gear = Nas::new(daemon.accounting, SECRET);
        let asked = gear.sign(record(status, status));
        gear.send(asked.octets());
        let octets = gear.receive(PATIENCE).expect("an acknowledgement");
        assert_eq!(octets[0], 5);
        daemon.wait_log(&format!(
            "Accounting {word}: [taro] (client vpn, station 203.0.113.7) status={word} session=session-1 name=taro"
        ));
        daemon.wait_log(&format!("seconds={}", 60 + status));
    }
    // What was acknowledged is known after a power failure: it is acknowledged again, and is no new record.
    daemon.kill();
    daemon.run();
    for (status, word) in SESSION {
        let gear = Nas::new(daemon.accounting, SECRET);
        gear.send(gear.sign(record(status, status)).octets());
        assert!(gear.receive(PATIENCE).is_some());
        assert_eq!(
            daemon
                .log()
                .matches(&format!("Accounting {word}: "))
                .count(),
            1
        );
    }
}

/// What was logged as an error.
fn alarm(daemon: &Daemon) -> String {
    let log = daemon.log();
    let errors = log
        .lines()
        .filter(|line| line.to_lowercase().contains("error"));
    errors.collect::<Vec<_>>().join("\n")
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

impl Tmpfs {
    fn set_read_only(&self) {
        let status = std::process::Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(&self.0)
            .status()
            .unwrap();
        assert!(status.success(), "mount");
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
    let mut file = fs::File::create(file).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}
