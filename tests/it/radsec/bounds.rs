//! The worst peers, and what they cost the others.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sekisho::wire::{Code, Query};
use socket2::{Domain, Socket, Type};

use super::{Peer, Radsec, SECRET, config, tcp_from};

/// A handshake and a packet may take 10 s each; what is longer is something else.
const SLOWEST: Duration = Duration::from_secs(15);

/// A record of a handshake that begins a message of so many octets and does not end it.
fn hello(message: [u8; 3], octets: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(octets + 4).unwrap().to_be_bytes();
    let [a, b, c] = message;
    let mut record = vec![22, 3, 1, high, low, 1, a, b, c];
    record.resize(record.len() + octets, 0);
    record
}

/// How long it takes until the other end closes.
fn closed_after(mut stream: TcpStream) -> Duration {
    let begun = Instant::now();
    stream.set_read_timeout(Some(2 * SLOWEST)).unwrap();
    let mut octets = [0; 4096];
    while matches!(stream.read(&mut octets), Ok(1..)) {}
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_go_on_is_closed_in_time_and_the_others_are_served() {
    let radsec = Radsec::start();
    let stall = |octets: &[u8]| {
        let mut stream = TcpStream::connect(radsec.address()).unwrap();
        stream.write_all(octets).unwrap();
        std::thread::spawn(move || closed_after(stream))
    };
    let mut slow = vec![stall(&[]), stall(&[22]), stall(&hello([0, 2, 0], 100))];
    // Half a packet, from one who is let in.
    for octets in [&[1][..], &[1, 7, 0, 40], &[1, 7, 0, 40, 9, 9]] {
        let mut peer = radsec.connect();
        peer.send(octets).unwrap();
        slow.push(std::thread::spawn(move || closed_after(peer.stream.sock)));
    }
    let mut other = radsec.connect();
    while slow.iter().any(|stalled| !stalled.is_finished()) {
        assert_eq!(other.ask(Query::status(1)).code(), Code::AccessAccept);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for stalled in slow {
        let after = stalled.join().unwrap();
        let in_time = Duration::from_secs(9) < after && after < SLOWEST;
        assert!(in_time, "closed after {after:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_is_closed_at_once() {
    let radsec = Radsec::start();
    let endless = [
        hello([0, 255, 255], 16_000),
        hello([9, 9, 9], 16_000)[..9].to_vec(),
    ]
    .concat();
    // 120 KB that tell a third of one message.
    let mut crumbs = hello([0, 255, 255], 0);
    crumbs.extend([22, 3, 1, 0, 1, 0].repeat(20_000));
    let cases = [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: radius\r\n\r\n".to_vec()),
        (
            "RADIUS in the clear",
            Query::status(1).sign(&SECRET.into()).octets().to_vec(),
        ),
        ("zeros", vec![0; 100_000]),
        ("an endless hello", endless.repeat(8)),
        ("a hello in single octets", crumbs),
        ("an old version", vec![22, 2, 0, 0, 4, 1, 0, 0, 0]),
    ];
    for (what, octets) in cases {
        let mut stream = TcpStream::connect(radsec.address()).unwrap();
        // It may be closed before all is written.
        let _cut = stream.write_all(&octets);
        let after = closed_after(stream);
        assert!(after < Duration::from_secs(5), "{what}: after {after:?}");
        let answer = radsec.connect().ask(Query::status(1));
        assert_eq!(answer.code(), Code::AccessAccept, "after {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_without_a_certificate_is_told_that_it_needs_one() {
    let radsec = Radsec::start();
    for version in ["-tls1_1", "-tls1_2", "-tls1_3"] {
        let output = Command::new("openssl")
            .args(["s_client", "-ign_eof", version, "-connect"])
            .arg(radsec.address().to_string())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("alert"), "{version}: {said}");
    }
    let line = "sekisho_tls_closed_connections_total{reason=\"no-handshake\"}";
    radsec.house.comes_to(line, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_so_many_greetings_at_once() {
    let radsec = Radsec::start();
    let here = IpAddr::from([127, 0, 0, 1]);
    let stalled: Vec<_> = (0..64)
        .map(|_| tcp_from(here, radsec.address()).unwrap())
        .collect();
    let one_more = tcp_from(here, radsec.address()).unwrap();
    assert!(closed_after(one_more) < Duration::from_secs(5));
    // Elsewhere nobody is held up.
    let stream = tcp_from([127, 0, 0, 2].into(), radsec.address()).unwrap();
    let config = config(&radsec.authority, Some(&radsec.shown));
    let mut peer = Peer::over(stream, config).unwrap();
    assert_eq!(peer.ask(Query::status(1)).code(), Code::AccessAccept);
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_in_flight_than_there_are_identifiers_is_discarded() {
    let radsec = Radsec::start_with(|settings| settings.reject_floor = Duration::from_secs(5));
    let mut peer = radsec.connect();
    for round in 0..2 {
        for identifier in 0..=u8::MAX {
            if round == 1 && identifier == 44 {
                break;
            }
            let asked = peer.login(identifier).sign(&peer.secret);
            peer.send(asked.octets()).unwrap();
        }
    }
    let line = "sekisho_discarded_packets_total{client=\"wifi\",reason=\"full\"}";
    radsec.house.comes_to(line, 44).await;
    assert_eq!(peer.ask(Query::status(1)).code(), Code::AccessAccept);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_replies_is_closed() {
    let radsec = Radsec::start();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&radsec.address().into()).unwrap();
    let config = config(&radsec.authority, Some(&radsec.shown));
    let mut peer = Peer::over(socket.into(), config).unwrap();
    // A proxy's marks come back in the reply: it is as long as the request.
    let marks = (0..15).fold(peer.login(1), |query, _| query.with(33, &[7; 253]));
    let asked = marks.sign(&peer.secret);
    peer.send(asked.octets()).unwrap();
    assert_eq!(peer.answer(&asked).code(), Code::AccessReject);
    peer.stream.sock.set_write_timeout(Some(SLOWEST)).unwrap();
    let begun = Instant::now();
    // Its copies are answered by the same octets, which nobody reads.
    while begun.elapsed() < 2 * SLOWEST && peer.send(asked.octets()).is_ok() {}
    let line = "sekisho_tls_closed_connections_total{reason=\"unread\"}";
    radsec.house.comes_to(line, 1).await;
    let answer = radsec.connect().ask(Query::status(1));
    assert_eq!(answer.code(), Code::AccessAccept);
}
