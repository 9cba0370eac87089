//! The packets of a connection: framing, what closes it and what does not, replies, duplicates.

use std::time::Duration;

use sekisho::secret::Secret;
use sekisho::wire::{Code, Query};

use super::{Peer, Radsec};

const MESSAGE_AUTHENTICATOR: u8 = 80;

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_request_is_answered_on_the_one_port() {
    let radsec = Radsec::start();
    let mut peer = radsec.connect();
    let status = peer.ask(Query::status(0));
    assert_eq!(status.code(), Code::AccessAccept);
    assert_eq!(status.first_attribute(), Some(MESSAGE_AUTHENTICATOR));
    let query = peer.login(1);
    let login = peer.ask(query);
    assert_eq!(login.code(), Code::AccessReject);
    assert_eq!(login.first_attribute(), Some(MESSAGE_AUTHENTICATOR));
    let start = Query::accounting(2)
        .with(40, &[0, 0, 0, 1])
        .with(44, b"session 1");
    assert_eq!(peer.ask(start).code(), Code::AccountingResponse);
    let seen = radsec.house.telemetry.sightings();
    let wifi = seen.iter().find(|seen| seen.client == "wifi").unwrap();
    assert_eq!((wifi.by_tls, wifi.signed, wifi.unsigned), (2, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_needs_no_message_authenticator_but_a_wrong_one_is_refused() {
    let radsec = Radsec::start();
    let mut peer = radsec.connect();
    let asked = peer.login(1).with(33, b"a proxy").unsigned(&peer.secret);
    peer.send(asked.octets()).unwrap();
    assert_eq!(peer.answer(&asked).code(), Code::AccessReject);

    let asked = peer.login(2).sign(&Secret::from("another secret"));
    peer.send(asked.octets()).unwrap();
    assert!(peer.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_in_pieces_and_together_are_read_alike() {
    let radsec = Radsec::start();
    let mut peer = radsec.connect();
    let one = Query::status(1).sign(&peer.secret);
    for octet in one.octets() {
        peer.send(&[*octet]).unwrap();
    }
    assert_eq!(peer.answer(&one).code(), Code::AccessAccept);
    let two = Query::status(2).sign(&peer.secret);
    let three = Query::status(3).sign(&peer.secret);
    let (half, rest) = three.octets().split_at(11);
    peer.send(&[two.octets(), half].concat()).unwrap();
    assert_eq!(peer.answer(&two).code(), Code::AccessAccept);
    peer.send(rest).unwrap();
    assert_eq!(peer.answer(&three).code(), Code::AccessAccept);
}

/// A packet with a header of this code and length, and these attributes.
fn packet(code: u8, length: u16, attributes: &[u8]) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    [&[code, 1, high, low][..], &[7; 16], attributes].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_packet_closes_the_connection() {
    let radsec = Radsec::start();
    let signed = radsec.connect().login(1).sign(&Secret::from("radsec"));
    let mut changed = signed.octets().to_vec();
    *changed.last_mut().unwrap() ^= 1;
    let mut unsound = Query::accounting(3)
        .with(40, &[0, 0, 0, 1])
        .with(44, b"session 1")
        .sign(&Secret::from("radsec"))
        .octets()
        .to_vec();
    unsound[5] ^= 1;
    let cases = [
        ("too short", packet(1, 19, &[])),
        ("no length", packet(1, 0, &[])),
        ("too long", packet(1, 4097, &[])),
        ("an attribute of length 0", packet(1, 22, &[1, 0])),
        ("an attribute of length 1", packet(1, 22, &[1, 1])),
        ("an attribute past the end", packet(1, 22, &[1, 3])),
        ("a left-over octet", packet(1, 21, &[1])),
        ("a signature of two octets", packet(1, 24, &[80, 4, 0, 0])),
        ("a wrong signature", changed),
        ("a wrong authenticator", unsound),
        (
            "another protocol",
            b"GET / HTTP/1.1\r\nHost: radius\r\n\r\n".to_vec(),
        ),
    ];
    for (what, octets) in cases {
        let mut peer = radsec.connect();
        peer.send(&octets).unwrap();
        assert!(peer.is_closed(), "{what}");
        let mut other = radsec.connect();
        assert_eq!(other.ask(Query::status(1)).code(), Code::AccessAccept);
    }
    assert_eq!(radsec.house.server.in_work(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_a_packet_and_not_for_us_is_discarded_alone() {
    let radsec = Radsec::start();
    let mut peer = radsec.connect();
    let eap = Query::access(9)
        .with(79, &[2, 1, 0, 4])
        .unsigned(&peer.secret);
    let unsigned = packet(1, 23, &[1, 3, b'a']);
    let mixed = peer.login(9).with(79, &[2, 1, 0, 4]).sign(&peer.secret);
    let mut cases: Vec<_> = [0, 2, 3, 5, 11, 13, 40, 43, 52, 255]
        .map(|code| packet(code, 20, &[]))
        .into();
    cases.extend([mixed.octets().to_vec(), unsigned]);
    // Message-Authenticator is needed beside EAP-Message by TLS, too (RFC 3579 §3.1).
    cases.push(eap.octets().to_vec());
    for octets in cases {
        peer.send(&octets).unwrap();
        let answer = peer.ask(Query::status(1));
        assert_eq!(answer.code(), Code::AccessAccept, "after {octets:?}");
    }
    assert!(peer.hears_nothing());
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_are_of_one_connection_and_end_with_it() {
    let radsec = Radsec::start();
    let mut peer = radsec.connect();
    let asked = peer.login(5).sign(&peer.secret);
    // In work: silence. Answered: the same octets again.
    peer.send(asked.octets()).unwrap();
    peer.send(asked.octets()).unwrap();
    let first = peer.receive(super::PATIENCE).unwrap();
    assert!(peer.hears_nothing());
    peer.send(asked.octets()).unwrap();
    assert_eq!(peer.receive(super::PATIENCE).unwrap(), first);
    let decided = decided(&radsec);
    assert_eq!(decided, 1);

    // By another connection it is another request, whose Reject waits for its own time.
    let mut other = radsec.connect();
    other.send(asked.octets()).unwrap();
    assert_eq!(other.answer(&asked).code(), Code::AccessReject);
    drop(peer);
    let mut again = radsec.connect();
    again.send(asked.octets()).unwrap();
    assert_eq!(again.answer(&asked).code(), Code::AccessReject);
}

/// Decisions that were made.
fn decided(radsec: &Radsec) -> u64 {
    let page = radsec.house.telemetry.render();
    page.lines()
        .filter(|line| line.starts_with("sekisho_decisions_total"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection_gets_no_reply_and_keeps_no_work() {
    let radsec = Radsec::start();
    let mut peer = radsec.connect();
    for identifier in 0..100 {
        let asked = peer.login(identifier).sign(&peer.secret);
        peer.send(asked.octets()).unwrap();
    }
    let last = Query::status(200).sign(&peer.secret);
    peer.send(last.octets()).unwrap();
    // Rejects wait for their time; the status overtakes them.
    assert_eq!(peer.answer(&last).code(), Code::AccessAccept);
    drop(peer);
    radsec.house.comes_to("sekisho_tls_connections", 0).await;
    let idle = async {
        while radsec.house.server.in_work() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(super::PATIENCE, idle).await.unwrap();
    let mut other = radsec.connect();
    assert_eq!(other.ask(Query::status(1)).code(), Code::AccessAccept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watchdog_is_answered_on_every_connection() {
    let radsec = Radsec::start_with(|settings| settings.status_per_second = 1);
    let mut peers: Vec<Peer> = (0..5).map(|_| radsec.connect()).collect();
    for peer in &mut peers {
        assert_eq!(peer.ask(Query::status(1)).code(), Code::AccessAccept);
    }
    let asked = Query::status(2).sign(&peers[0].secret);
    peers[0].send(asked.octets()).unwrap();
    assert!(peers[0].hears_nothing(), "one a second on each");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_work_is_answered_when_the_daemon_stops() {
    let radsec = Radsec::start();
    let mut peer = radsec.connect();
    let asked = peer.login(1).sign(&peer.secret);
    peer.send(asked.octets()).unwrap();
    let status = Query::status(2).sign(&peer.secret);
    peer.send(status.octets()).unwrap();
    assert_eq!(peer.answer(&status).code(), Code::AccessAccept);
    radsec.house.tracker.close();
    radsec.house.stop.cancel();
    assert_eq!(peer.answer(&asked).code(), Code::AccessReject);
    assert!(peer.is_closed());
    let ended = tokio::time::timeout(super::PATIENCE, radsec.house.tracker.wait());
    assert!(ended.await.is_ok(), "no task is left");
}
