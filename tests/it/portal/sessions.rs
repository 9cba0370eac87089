//! What becomes of open sessions when somebody says that it was not them.

use std::net::UdpSocket;

use super::House;
use crate::cli::sessions::{ACK, account_for, gear};
use crate::support::daemon::wait;
use crate::support::nas::Reply;

/// Logs in, has the phone say something of it, and gives what the NAS is answered.
fn login(house: &House, phone: &mut super::phone::Phone, word: &str, said: &str) -> Reply {
    let nas = house.daemon.nas().from_station("203.0.113.7");
    let waiting = std::thread::spawn(move || nas.login("taro", "taro-password"));
    let request = loop {
        if let Some(request) = phone.waiting().pop() {
            break request;
        }
        std::thread::yield_now();
    };
    assert_eq!(phone.say(&request, word, ""), said);
    waiting.join().unwrap()
}

#[test]
fn a_report_on_the_phone_ends_the_session_that_was_approved_before() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let house = House::start(
        &format!(
            "code = [\"appended\"]\npush = [\"approve\"]\nstation = [\"Calling-Station-Id\"]\ndisconnect = \"{at}\""
        ),
        "",
        "",
    );
    let mut visitor = house.signed_in("taro");
    let mut phone = house.pair(&mut visitor);
    let accept = login(&house, &mut phone, "approve", "approved");
    assert!(accept.accepted());
    account_for(&house.daemon, &accept, 1);
    let ending = gear(socket, ACK, &[]);
    let refused = login(&house, &mut phone, "report", "reported");
    assert!(refused.rejected());
    ending.join().unwrap();
    let shown = || house.daemon.cli_ok(&["user", "show", "taro"]);
    let told = "as a login was reported: It is ended.";
    wait(|| shown().contains(told), shown);
    house.daemon.wait_log("is to end, reported: ended");
}
