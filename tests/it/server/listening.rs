//! Who is heard, in which order things are checked, and from where the reply comes.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sekisho::account::ClientName;
use sekisho::secret::Secret;
use sekisho::wire::{Code, Query};

use tokio::time::Instant;

use super::{FLOOR, House, Nas, PATIENCE, SECRET, client};

/// Octets that are no packet to this port, each for another reason.
fn malformed() -> Vec<Vec<u8>> {
    let header = |code: u8, length: u16| {
        let [high, low] = length.to_be_bytes();
        [&[code, 1, high, low][..], &[7; 16]].concat()
    };
    let with = |length, attributes: &[u8]| [&header(1, length)[..], attributes].concat();
    let mut cases = vec![
        Vec::new(),
        vec![1],
        vec![0; 19],
        vec![1; 4097],
        vec![0xff; 60_000],
        header(1, 19),
        header(1, 4097),
        header(1, 21),
        with(21, &[1]),
        with(22, &[1, 0]),
        with(22, &[1, 1]),
        with(22, &[1, 3]),
        with(22, &[0, 2]),
        with(24, &[80, 4, 0, 0]),
        with(22, &[24, 2]),
    ];
    cases.extend([0, 2, 3, 4, 5, 11, 13, 255].map(|code| header(code, 20)));
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_packets_are_answered_by_silence_and_the_next_one_is_served() {
    let house = House::start(|_| {});
    let nas = Nas::new(house.radius());
    for octets in malformed() {
        nas.send(&octets);
        let answer = nas.ask(Query::status(9));
        assert_eq!(answer.code(), Code::AccessAccept, "after {octets:?}");
    }
    assert!(nas.hears_nothing());
    assert_eq!(house.server.in_work(), 0);
}

/// What is answered to a request that is well formed and odd.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Odd {
    Silence,
    Refused,
    /// As if the oddity were not there.
    Served,
}

/// A login that is sound but for what is added; there is nobody of this name.
fn login(nas: &Nas) -> Query {
    let named = Query::access(3).with(1, b"taro");
    named.with_password(&nas.secret, b"a password")
}

/// Attributes that are passed over when they are not what they should be.
fn passed_over(nas: &Nas) -> Vec<(&'static str, Query, Odd)> {
    let many = |count: usize| (0..count).fold(login(nas), |query, _| query.with(33, b"more"));
    let mut cases = vec![
        // The name, the password and the signature are three of them.
        ("200 attributes", many(197), Odd::Served),
    ];
    let vendors: [(&str, &[u8]); 5] = [
        ("a vendor's inner length 0", &[1, 0]),
        ("a vendor's inner length 1", &[1, 1, 7]),
        ("a vendor's inner length past the end", &[1, 9, 7]),
        ("a vendor's inner octet left over", &[1, 3, 7, 1]),
        ("a vendor without attributes", &[]),
    ];
    cases.extend(vendors.map(|(what, inner)| {
        let whole = [&[0, 0, 0, 9], inner].concat();
        (what, login(nas).with(26, &whole), Odd::Served)
    }));
    let others: [(&str, u8, &[u8]); 8] = [
        ("a vendor's number cut off", 26, &[0, 0, 9]),
        ("an extended attribute", 241, &[1, 7]),
        ("an extended attribute of nothing", 241, &[]),
        ("a long extended attribute", 245, &[1, 0x80, 7]),
        ("a long one without its end", 246, &[1, 0x80]),
        ("an unknown attribute", 255, b"x"),
        ("a number of three octets", 5, &[0, 0, 7]),
        ("an address of five octets", 4, &[0; 5]),
    ];
    cases.extend(
        others.map(|(what, kind, value)| (what, login(nas).with(kind, value), Odd::Served)),
    );
    cases
}

/// Requests that can be read and contradict themselves.
fn contradictory(nas: &Nas) -> Vec<(&'static str, Query, Odd)> {
    let eap = [2, 1, 0, 4];
    let login = || login(nas);
    let chap = Query::access(3).with(1, b"taro").with(3, &[1; 17]);
    let nameless = Query::access(3).with_password(&nas.secret, b"a password");
    let twice = login().with_password(&nas.secret, b"another");
    let state = login().with(24, b"one").with(24, b"two");
    let identifier = login().with(32, b"one").with(32, b"two");
    vec![
        (
            "EAP beside a password",
            login().with(79, &eap),
            Odd::Silence,
        ),
        ("EAP beside CHAP", chap.with(79, &eap), Odd::Silence),
        ("two names", login().with(1, b"jiro"), Odd::Refused),
        ("two passwords", twice, Odd::Refused),
        ("two States", state, Odd::Refused),
        ("two NAS-Identifiers", identifier, Odd::Refused),
        ("no name", nameless, Odd::Refused),
    ]
}

/// User-Password of lengths that none can have, and of those that it can.
fn passwords() -> Vec<(&'static str, Query, Odd)> {
    let with = |length: usize| Query::access(3).with(1, b"taro").with(2, &vec![7; length]);
    let mut cases: Vec<_> = [0, 1, 15, 17, 31, 33, 127, 129, 144, 253]
        .map(|length| {
            (
                "a password of no possible length",
                with(length),
                Odd::Refused,
            )
        })
        .into();
    // Whole blocks that decrypt to no text: the shared secret may be another.
    cases.extend([16, 32, 128].map(|length| ("blocks of noise", with(length), Odd::Refused)));
    cases
}

/// Signed requests with a further attribute that makes them none.
fn unanswerable(nas: &Nas) -> Vec<(&'static str, Vec<u8>)> {
    let login = |more: usize| {
        let query = login(nas);
        let query = (0..more).fold(query, |query, _| query.with(33, b"more"));
        query.sign(&nas.secret).octets().to_vec()
    };
    let signature = [&[80, 18][..], &[7; 16]].concat();
    vec![
        ("201 attributes", resigned(login(197), &[33, 6, 1, 2, 3, 4])),
        ("a second signature", resigned(login(0), &signature)),
        (
            "a second signature of another length",
            resigned(login(0), &[80, 3, 7]),
        ),
    ]
}

/// A signed packet with an attribute at its end, and the signature, which is first, made right again.
fn resigned(mut octets: Vec<u8>, attribute: &[u8]) -> Vec<u8> {
    octets.extend_from_slice(attribute);
    let length = u16::try_from(octets.len()).unwrap();
    octets[2..4].copy_from_slice(&length.to_be_bytes());
    assert_eq!(octets[20..22], [80, 18]);
    octets[22..38].fill(0);
    let mac = Hmac::<Md5>::new_from_slice(SECRET.as_bytes()).unwrap();
    let mac = mac.chain_update(&octets).finalize().into_bytes();
    octets[22..38].copy_from_slice(&mac);
    octets
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_and_yet_no_request_is_answered_by_silence() {
    let house = House::start(|_| {});
    let nas = Nas::new(house.radius());
    for (what, octets) in unanswerable(&nas) {
        let peer = Nas::new(house.radius());
        peer.send(&octets);
        let answer = nas.ask(Query::status(9));
        assert_eq!(answer.code(), Code::AccessAccept, "after {what}");
        assert!(peer.receive(2 * FLOOR).is_none(), "{what}");
    }
    // The signature is made as it should be: without the oddity there is an answer.
    let login = nas.login(3).octets().to_vec();
    nas.send(&resigned(login, &[4, 6, 127, 0, 0, 1]));
    assert!(nas.receive(PATIENCE).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_requests_are_done_with_and_the_next_one_is_served() {
    let house = House::start(|_| {});
    let nas = Nas::new(house.radius());
    let cases = [passed_over(&nas), contradictory(&nas), passwords()];
    for (what, query, expected) in cases.into_iter().flatten() {
        // A port of its own, so that no case is another's duplicate.
        let peer = Nas::new(house.radius());
        let asked = query.sign(&peer.secret);
        let unknown = "sekisho_decisions_total{client=\"vpn\",outcome=\"reject\",reason=\"unknown-realm\",factor=\"none\"}";
        let before = house.metric(unknown);
        peer.send(asked.octets());
        let answer = nas.ask(Query::status(9));
        assert_eq!(answer.code(), Code::AccessAccept, "after {what}");
        match expected {
            Odd::Silence => assert!(peer.receive(2 * FLOOR).is_none(), "{what}"),
            Odd::Refused | Odd::Served => {
                assert_eq!(peer.answer(&asked).code(), Code::AccessReject, "{what}");
                let served = house.metric(unknown) - before;
                assert_eq!(served, u64::from(expected == Odd::Served), "{what}");
            }
        }
    }
    assert_eq!(house.server.in_work(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listed_address_is_listened_at() {
    let addresses = || ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"].map(|text| text.parse().unwrap());
    let house = House::start(|settings| {
        settings.listen = addresses().into();
        settings.accounting = addresses().into();
        settings.clients.push(client("six", "::1/128", SECRET));
    });
    let (logins, accounting) = house.server.addresses();
    assert_eq!((logins.len(), accounting.len()), (3, 3));
    let source = |server: std::net::SocketAddr| match server.is_ipv6() {
        true => Nas::at("::1", server, SECRET),
        false => Nas::at("127.0.0.1", server, SECRET),
    };
    for server in logins {
        let nas = source(server);
        let login = nas.login(2);
        nas.send(login.octets());
        assert_eq!(nas.answer(&login).code(), Code::AccessReject, "{server}");
    }
    for server in accounting {
        let answer = source(server).ask(Query::status(1));
        assert_eq!(answer.code(), Code::AccountingResponse, "{server}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_server_is_silent_while_nothing_can_be_decided_if_so_configured() {
    // There is no directory here: nothing can be decided.
    for silent in [false, true] {
        let house = House::start(|settings| settings.status_silent_when_down = silent);
        for server in [house.radius(), house.accounting()] {
            let nas = Nas::new(server);
            nas.send(Query::status(1).sign(&nas.secret).octets());
            assert_eq!(nas.receive(FLOOR).is_none(), silent, "{server}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_leaves_from_the_address_that_was_asked() {
    let any = |address: &str| {
        let address = address.parse().unwrap();
        House::start(|settings| {
            settings.listen = vec![address];
            settings.clients.push(client("six", "::1/128", SECRET));
        })
    };
    for (bound, source, asked) in [
        ("0.0.0.0:0", "127.0.0.1", "127.0.0.2"),
        ("[::]:0", "127.0.0.1", "127.0.0.2"),
        ("[::]:0", "::1", "::1"),
    ] {
        let house = any(bound);
        let mut server = house.radius();
        server.set_ip(asked.parse().unwrap());
        // Nas::receive compares the source of the reply.
        let nas = Nas::at(source, server, SECRET);
        assert_eq!(nas.ask(Query::status(1)).code(), Code::AccessAccept);
        let login = nas.login(2);
        nas.send(login.octets());
        assert_eq!(nas.answer(&login).code(), Code::AccessReject);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_prefix_tells_the_secret_and_strangers_hear_nothing() {
    let house = House::start(|settings| {
        settings.clients = vec![
            client("wide", "127.0.0.0/24", SECRET),
            client("narrow", "127.0.0.5/32", "another secret of another client"),
        ];
    });
    let status = |source: &str, secret: &str| {
        let nas = Nas::at(source, house.radius(), secret);
        let asked = Query::status(1).sign(&nas.secret);
        nas.send(asked.octets());
        !nas.hears_nothing()
    };
    assert!(status("127.0.0.4", SECRET));
    assert!(status("127.0.0.5", "another secret of another client"));
    assert!(!status("127.0.0.5", SECRET));
    assert!(!status("127.0.1.1", SECRET));
    let strangers = "sekisho_discarded_packets_total{client=\"\",reason=\"unknown-client\"}";
    house.comes_to(strangers, 1).await;
    let wrong = "sekisho_discarded_packets_total{client=\"narrow\",reason=\"wrong-signature\"}";
    house.comes_to(wrong, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_request_is_silence_where_signing_is_required() {
    let house = House::start(|_| {});
    let nas = Nas::new(house.radius());
    let unsigned = Query::access(1)
        .with(1, b"taro")
        .with_password(&nas.secret, b"a password")
        .unsigned(&nas.secret);
    nas.send(unsigned.octets());
    assert!(nas.hears_nothing());
    let count = "sekisho_discarded_packets_total{client=\"vpn\",reason=\"unsigned\"}";
    house.comes_to(count, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_server_is_bounded_and_can_be_switched_off() {
    for rate in [0, 3] {
        let house = House::start(|settings| settings.status_per_second = rate);
        let nas = Nas::new(house.radius());
        for identifier in 0..8 {
            nas.send(Query::status(identifier).sign(&nas.secret).octets());
        }
        let flood = "sekisho_discarded_packets_total{client=\"vpn\",reason=\"status-flood\"}";
        let mut answered = 0;
        while nas.receive(Duration::from_millis(100)).is_some() {
            answered += 1;
        }
        assert!(answered >= rate && answered <= rate * 2, "{answered}");
        assert_eq!(u64::from(answered) + house.metric(flood), 8);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lent_client_is_heard_with_its_own_secret() {
    let house = House::start(|settings| {
        settings.clients = vec![client("vpn", "192.0.2.1/32", SECRET)];
    });
    let nas = Nas::at("127.0.0.77", house.radius(), "lent for a minute");
    nas.send(Query::status(1).sign(&nas.secret).octets());
    assert!(nas.hears_nothing());
    let lent = house.server.lend(
        &ClientName::new("vpn"),
        "127.0.0.77".parse().unwrap(),
        Secret::from("lent for a minute"),
        Duration::from_secs(60),
    );
    assert!(lent);
    assert_eq!(nas.ask(Query::status(2)).code(), Code::AccessAccept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_who_is_heard() {
    let house = House::start(|_| {});
    let nas = Nas::new(house.radius());
    assert_eq!(nas.ask(Query::status(1)).code(), Code::AccessAccept);
    let mut settings = house.settings.clone();
    settings.clients = vec![client("other", "192.0.2.1/32", SECRET)];
    house.server.reload(settings);
    nas.send(Query::status(2).sign(&nas.secret).octets());
    assert!(nas.hears_nothing());
    assert_eq!(house.server.clients()[0].name, ClientName::new("other"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_house_discards_and_counts() {
    let house = House::start(|settings| settings.in_work = 0);
    let nas = Nas::new(house.radius());
    nas.send(nas.login(1).octets());
    assert!(nas.hears_nothing());
    let full = "sekisho_discarded_packets_total{client=\"vpn\",reason=\"full\"}";
    house.comes_to(full, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_answers_what_is_in_work_at_once_and_reads_no_more() {
    let house = House::start(|settings| settings.reject_floor = Duration::from_secs(60));
    let nas = Nas::new(house.radius());
    let login = nas.login(1);
    let begun = Instant::now();
    nas.send(login.octets());
    house
        .comes_to("sekisho_decision_duration_seconds_count", 1)
        .await;
    assert!(nas.hears_nothing());
    house.stop.cancel();
    assert_eq!(nas.answer(&login).code(), Code::AccessReject);
    assert!(begun.elapsed() < Duration::from_secs(30));
    house.tracker.close();
    tokio::time::timeout(Duration::from_secs(10), house.tracker.wait())
        .await
        .expect("every task ends");
    nas.send(Query::status(2).sign(&nas.secret).octets());
    assert!(nas.hears_nothing());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reject_never_leaves_before_its_floor() {
    let house = House::start(|_| {});
    let nas = Nas::new(house.radius());
    for identifier in 0..3 {
        let login = nas.login(identifier);
        let begun = Instant::now();
        nas.send(login.octets());
        assert_eq!(nas.answer(&login).code(), Code::AccessReject);
        let took = begun.elapsed();
        assert!(took >= FLOOR, "{took:?}");
        assert!(took < FLOOR + Duration::from_secs(5), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_waits_for_its_floor_without_permits_and_each_is_answered() {
    let house = House::start(|settings| settings.reject_floor = Duration::from_secs(2));
    let nas = Nas::new(house.radius());
    let logins: Vec<_> = (0..200).map(|identifier| nas.login(identifier)).collect();
    logins.iter().for_each(|login| nas.send(login.octets()));
    let mut answered = std::collections::BTreeSet::new();
    for _ in &logins {
        let octets = nas.receive(PATIENCE).expect("each is answered");
        let login = &logins[usize::from(octets[1])];
        let answer = login.answer(&octets, &nas.secret).unwrap();
        assert_eq!(answer.code(), Code::AccessReject);
        assert!(answered.insert(octets[1]));
    }
    assert_eq!(house.server.in_work(), 0);
}
