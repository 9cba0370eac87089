//! Power failures and kills.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::{PEOPLE, SEED, VPN, directory};
use crate::support::daemon::{Daemon, client, code, signal, wait};
use crate::support::slapd::{Slapd, person};

/// Enrolments that must have succeeded before the power fails.
const ENROLLED: usize = 6;
/// The load ends by itself if the test has failed meanwhile.
const LONGEST_LOAD: Duration = Duration::from_secs(120);

#[test]
fn a_kill_in_the_middle_of_load_loses_no_used_code_and_no_enrolment() {
    let newcomers: Vec<String> = (0..500).map(|number| format!("new{number}")).collect();
    let people: String = newcomers
        .iter()
        .map(|name| person(name, "himitsu"))
        .collect();
    let slapd = Slapd::start(&format!("{PEOPLE}\n{people}"));
    let mut daemon = Daemon::start(&directory(&[&slapd.url()]), &client("vpn", VPN));
    daemon.enrol("taro", SEED);
    let (used, enrolled) = killed_under_load(&daemon, &newcomers);
    daemon.kill();
    assert!(!used.is_empty());
    assert!((ENROLLED..newcomers.len()).contains(&enrolled));
    daemon.run();
    for typed in used {
        assert!(
            daemon.nas().login("taro", &typed).kept_out(),
            "a used code works again"
        );
    }
    let enrolled = newcomers.iter().take(enrolled).map(String::as_str);
    for name in enrolled.chain(["taro"]) {
        let shown = daemon.cli_ok(&["user", "show", name, "--json"]);
        assert!(shown.contains("\"totp\""), "of {name}: {shown}");
    }
}

/// Kills the daemon while others log in and newcomers are enrolled one after the other: the codes that were accepted, and
/// how many enrolments were said to be done.
fn killed_under_load(daemon: &Daemon, newcomers: &[String]) -> (Vec<String>, usize) {
    let typed = [-1, 0, 1].map(|step| format!("taro-password{}", code(SEED, step)));
    let (over, enrolled) = (AtomicBool::new(false), AtomicUsize::new(0));
    let begun = Instant::now();
    let used = thread::scope(|scope| {
        let (over, enrolled) = (&over, &enrolled);
        for number in 0..4 {
            let nas = daemon.nas().from_station(&format!("198.51.100.{number}"));
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) && begun.elapsed() < LONGEST_LOAD {
                    nas.send(nas.sign(nas.query(b"jiro", b"jiro-password")).octets());
                    let _answer = nas.receive(Duration::from_millis(20));
                }
            });
        }
        scope.spawn(move || {
            for name in newcomers {
                let is_over = over.load(Ordering::Relaxed) || begun.elapsed() > LONGEST_LOAD;
                if is_over || !enrols(daemon, name) {
                    return;
                }
                enrolled.fetch_add(1, Ordering::Relaxed);
            }
        });
        let nas = daemon.nas();
        let used = typed.into_iter();
        let used = used.filter(|typed| nas.login("taro", typed).accepted());
        let used = used.collect();
        let done = || enrolled.load(Ordering::Relaxed);
        wait(|| done() >= ENROLLED, || daemon.log());
        // Load and enrolments go on: nobody is told before it is over.
        signal(daemon.pid(), "KILL");
        over.store(true, Ordering::Relaxed);
        used
    });
    (used, enrolled.into_inner())
}

/// Whether the daemon says that it enrolled somebody; it may be gone.
fn enrols(daemon: &Daemon, name: &str) -> bool {
    let file = daemon.path("seed-of-newcomers");
    if !file.exists() {
        fs::write(&file, SEED).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let file = file.display().to_string();
    let words = [
        "user",
        "enrol-totp",
        name,
        "--secret-file",
        &file,
        "--unproven",
    ];
    daemon.cli(&words).status.success()
}

#[test]
fn the_disk_is_written_between_a_request_and_its_accept() {
    let slapd = Slapd::start(PEOPLE);
    let trace = tempfile::tempdir().unwrap();
    let file = trace.path().join("trace");
    let daemon = Daemon::start_under(
        &[
            "strace",
            "-f",
            "-yy",
            "-o",
            file.to_str().unwrap(),
            "-e",
            "trace=fdatasync,fsync,sendmsg,sendto,recvmsg,recvfrom",
            "-s",
            "0",
        ],
        &directory(&[&slapd.url()]),
        &client("vpn", VPN),
    );
    daemon.enrol("taro", SEED);
    let marked = fs::read_to_string(&file).unwrap().lines().count();
    assert!(
        daemon
            .nas()
            .login("taro", &format!("taro-password{}", code(SEED, 0)))
            .accepted()
    );
    wait(
        || {
            let text = fs::read_to_string(&file).unwrap();
            let lines: Vec<&str> = text.lines().skip(marked).collect();
            // LDAP goes over TCP, and is no answer.
            let udp = |line: &&str| line.contains("<UDP");
            let received = lines
                .iter()
                .position(|line| line.contains("recv") && udp(line));
            let sent = lines
                .iter()
                .rposition(|line| line.contains("send") && udp(line));
            matches!((received, sent), (Some(received), Some(sent)) if lines[received..sent]
                .iter()
                .any(|line| line.contains("fdatasync") || line.contains("fsync")))
        },
        || fs::read_to_string(&file).unwrap(),
    );
}

#[test]
fn a_disk_cut_back_to_what_was_synced_at_the_accept_knows_the_code() {
    let slapd = Slapd::start(PEOPLE);
    let mut daemon = Daemon::start(&directory(&[&slapd.url()]), &client("vpn", VPN));
    daemon.enrol("taro", SEED);
    daemon.stop();
    let mut disk = Disk::of(&daemon.path("state"));
    let trace = daemon.path("trace");
    daemon.run_under(&[
        "strace",
        "-f",
        "-yy",
        "-xx",
        "-s",
        "4194304",
        "-o",
        trace.to_str().unwrap(),
        "-e",
        "trace=pwrite64,ftruncate,fdatasync,fsync,sendmsg,sendto",
    ]);
    let typed = format!("taro-password{}", code(SEED, 0));
    assert!(daemon.nas().login("taro", &typed).accepted());
    daemon.kill();
    let answered = disk.replay_until_accept(&fs::read_to_string(&trace).unwrap());
    assert!(answered, "no Accept in the trace");
    disk.put_back(&daemon.path("state"));
    daemon.run_under(&[]);
    assert!(
        daemon.nas().login("taro", &typed).kept_out(),
        "an answered code works again"
    );
    assert!(
        daemon
            .cli_ok(&["user", "show", "taro", "--json"])
            .contains("\"totp\"")
    );
}

/// The octets of `\x2f\x74…`.
fn unhex(text: &str) -> Vec<u8> {
    text.split("\\x")
        .skip(1)
        .filter_map(|octet| u8::from_str_radix(octet, 16).ok())
        .collect()
}

/// What a disk holds of some files: as written, and as it would be after the power failed.
struct Disk {
    written: BTreeMap<String, Vec<u8>>,
    synced: BTreeMap<String, Vec<u8>>,
}

impl Disk {
    fn of(folder: &Path) -> Self {
        let files: BTreeMap<String, Vec<u8>> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
            .collect();
        Self {
            written: files.clone(),
            synced: files,
        }
    }

    /// Follows a trace up to the first Access-Accept; says whether there was one.
    fn replay_until_accept(&mut self, trace: &str) -> bool {
        let mut syncing: BTreeMap<&str, String> = BTreeMap::new();
        for line in trace.lines() {
            let Some((pid, call)) = line.split_once(' ') else {
                continue;
            };
            let call = call.trim_start();
            let path = call
                .split_once('<')
                .and_then(|(_, rest)| rest.split_once('>'))
                .map(|(path, _)| String::from_utf8_lossy(&unhex(path)).into_owned())
                .unwrap_or_default();
            if call.starts_with("pwrite64(") {
                self.write(&path, call);
            } else if call.starts_with("ftruncate(") {
                let length = call
                    .rsplit(", ")
                    .next()
                    .and_then(|rest| rest.split(')').next())
                    .unwrap();
                self.written
                    .entry(path)
                    .or_default()
                    .resize(length.parse().unwrap(), 0);
            } else if call.starts_with("fdatasync(") || call.starts_with("fsync(") {
                if call.contains("unfinished") {
                    syncing.insert(pid, path);
                } else {
                    self.sync(&path);
                }
            } else if call.starts_with("<... f") && call.contains("sync resumed") {
                if let Some(path) = syncing.remove(pid) {
                    self.sync(&path);
                }
            } else if call.starts_with("send") && call.contains("UDP") && call.contains("\"\\x02") {
                return true;
            }
        }
        false
    }

    fn write(&mut self, path: &str, call: &str) {
        let (_, rest) = call.split_once('"').unwrap();
        let (hex, rest) = rest.split_once('"').unwrap();
        let octets = unhex(hex);
        let numbers: Vec<&str> = rest
            .trim_start_matches(", ")
            .split([',', ')', '<'])
            .collect();
        let (count, at): (usize, usize) = (
            numbers[0].parse().unwrap(),
            numbers[1].trim().parse().unwrap(),
        );
        assert_eq!(octets.len(), count, "the trace holds all octets");
        let file = self.written.entry(path.to_owned()).or_default();
        if file.len() < at + count {
            file.resize(at + count, 0);
        }
        file[at..at + count].copy_from_slice(&octets);
    }

    fn sync(&mut self, path: &str) {
        if let Some(octets) = self.written.get(path) {
            self.synced.insert(path.to_owned(), octets.clone());
        }
    }

    /// Leaves in the folder what was synced, and nothing else.
    fn put_back(&self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (path, octets) in self
            .synced
            .iter()
            .filter(|(path, _)| !path.ends_with("-shm"))
        {
            fs::write(path, octets).unwrap();
        }
    }
}
