//! Every attempt leaves a trace that `why` can tell, from the audit trail alone.

use super::{SEED, house};
use crate::support::daemon::{code, wait};

const CHAP_PASSWORD: u8 = 3;
const USER_NAME: u8 = 1;

#[test]
fn what_is_refused_before_anybody_is_asked_is_told() {
    let (_slapd, daemon) = house();
    let nas = daemon.nas().from_station("203.0.113.9");
    assert!(nas.login("EXAMPLE\\Taro", "").rejected());
    let unreadable = nas.query(b"taro", b"\xff\xfe\xfd");
    assert!(nas.ask(&nas.sign(unreadable)).rejected());
    let twice = nas.query(b"taro", b"taro-password").with(USER_NAME, b"bob");
    assert!(nas.ask(&nas.sign(twice)).rejected());
    let chap = sekisho::wire::Query::access(200)
        .with(USER_NAME, b"taro")
        .with(CHAP_PASSWORD, &[1; 17]);
    assert!(nas.ask(&nas.sign(chap)).rejected());
    let told = daemon.cli_ok(&["why", "taro"]);
    for reason in [
        "empty-password",
        "unreadable-password",
        "bad-request",
        "unsupported-method",
    ] {
        let tag = format!("[{reason}]");
        assert!(told.contains(&tag), "{tag} is not in:\n{told}");
    }
    assert!(told.contains("203.0.113.9"), "{told}");
}

#[test]
fn what_could_not_be_decided_is_told_as_such() {
    let (mut slapd, daemon) = house();
    slapd.kill();
    let nas = daemon.nas();
    let typed = format!("taro-password{}", code(SEED, 0));
    nas.send(nas.sign(nas.query(b"taro", typed.as_bytes())).octets());
    daemon.wait_log("directory-unavailable");
    wait(
        || {
            daemon
                .cli_ok(&["why", "taro"])
                .contains("[directory-unavailable]")
        },
        || daemon.cli_ok(&["why"]),
    );
    let told = daemon.cli_ok(&["why", "taro"]);
    assert!(!told.contains("rejected"), "nobody was:\n{told}");
}
