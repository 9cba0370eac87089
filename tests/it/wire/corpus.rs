//! Every file that the fuzzer keeps, as an ordinary test.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a library of its own in the fuzz workspace")]
mod cases;

fn replay(target: &str, case: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let files: Vec<_> = fs::read_dir(folder.join(target)).unwrap().collect();
    assert!(files.len() >= 12, "{target} has {} files", files.len());
    for file in files {
        let path = file.unwrap().path();
        let octets = fs::read(&path).unwrap();
        println!("{}", path.display());
        case(&octets);
    }
}

#[test]
fn packets_are_walked() {
    replay("packet", cases::packet);
}

#[test]
fn user_passwords_are_revealed() {
    replay("user_password", cases::user_password);
}

#[test]
fn states_come_back() {
    replay("state", cases::state);
}

#[test]
fn replies_are_believed() {
    replay("reply", cases::reply);
}

#[test]
fn configurations_are_read_to_the_end() {
    replay("config", cases::config);
}

#[test]
fn directory_servers_are_read() {
    replay("directory", cases::directory);
}

#[test]
fn eap_peers_come_to_an_end() {
    replay("eap", cases::eap);
}
