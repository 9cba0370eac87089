//! Who is heard, in which order things are checked, and from where the reply comes.

use std::time::Duration;

use sekisho::account::ClientName;
use sekisho::secret::Secret;
use sekisho::wire::{Code, Query};

use tokio::time::Instant;

use super::{FLOOR, House, Nas, SECRET, client};

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
        let octets = nas.receive(super::PATIENCE).expect("each is answered");
        let login = &logins[usize::from(octets[1])];
        let answer = login.answer(&octets, &nas.secret).unwrap();
        assert_eq!(answer.code(), Code::AccessReject);
        assert!(answered.insert(octets[1]));
    }
    assert_eq!(house.server.in_work(), 0);
}
