//! Power failures and kills.

use std::fs;
use std::thread;

use super::{PEOPLE, SEED, VPN, directory, house};
use crate::support::daemon::{Daemon, client, code};
use crate::support::slapd::Slapd;

#[test]
fn used_codes_stay_used_after_a_kill_under_load() {
    let (_slapd, mut daemon) = house();
    let typed: Vec<String> =
        (-1..=1).map(|step| format!("taro-password{}", code(SEED, step))).collect();
    let accepted: Vec<String> = thread::scope(|scope| {
        let load = (0..4)
            .map(|number| {
                let nas = daemon.nas().from_station(&format!("198.51.100.{number}"));
                scope.spawn(move || {
                    for _ in 0..3 {
                        let _answer = nas.login("jiro", "jiro-password");
                    }
                })
            })
            .collect::<Vec<_>>();
        let nas = daemon.nas();
        let accepted =
            typed.iter().filter(|typed| nas.login("taro", typed).accepted()).cloned().collect();
        drop(load);
        accepted
    });
    assert!(!accepted.is_empty());
    daemon.kill();
    daemon.run();
    for typed in accepted {
        assert!(daemon.nas().login("taro", &typed).rejected(), "a used code works again");
    }
    assert!(daemon.cli_ok(&["user", "show", "taro"]).contains("totp"), "the enrolment is there");
}

#[test]
fn the_disk_is_written_between_a_request_and_its_accept() {
    let slapd = Slapd::start(PEOPLE);
    let trace = tempfile::tempdir().unwrap();
    let file = trace.path().join("trace");
    let daemon = Daemon::start_under(
        &[
            "strace", "-f", "-y", "-o", file.to_str().unwrap(), "-e",
            "trace=fdatasync,fsync,sendmsg,sendto,recvmsg,recvfrom", "-s", "0",
        ],
        &directory(&[&slapd.url()]),
        &client("vpn", VPN),
    );
    daemon.enrol("taro", SEED);
    let marked = fs::read_to_string(&file).unwrap().lines().count();
    assert!(daemon.nas().login("taro", &format!("taro-password{}", code(SEED, 0))).accepted());
    crate::support::daemon::wait(
        || {
            let text = fs::read_to_string(&file).unwrap();
            let lines: Vec<&str> = text.lines().skip(marked).collect();
            let udp = |line: &&str| line.contains("UDP") || line.contains("127.0.0.1:");
            let received = lines.iter().position(|line| line.contains("recv") && udp(line));
            let sent = lines.iter().rposition(|line| line.contains("send") && udp(line));
            matches!((received, sent), (Some(received), Some(sent)) if lines[received..sent]
                .iter()
                .any(|line| line.contains("fdatasync") || line.contains("fsync")))
        },
        || fs::read_to_string(&file).unwrap(),
    );
}

#[test]
fn a_copy_of_the_disk_taken_at_the_accept_knows_the_code() {
    let slapd = Slapd::start(PEOPLE);
    let mut daemon = Daemon::start(&directory(&[&slapd.url()]), &client("vpn", VPN));
    daemon.enrol("taro", SEED);
    let typed = format!("taro-password{}", code(SEED, 0));
    assert!(daemon.nas().login("taro", &typed).accepted());
    daemon.kill();
    let folder = daemon.path("state");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        // What only the shared-memory index knew is lost with the power.
        if path.to_string_lossy().ends_with("-shm") {
            fs::remove_file(path).unwrap();
        }
    }
    daemon.run();
    assert!(daemon.nas().login("taro", &typed).rejected());
}
