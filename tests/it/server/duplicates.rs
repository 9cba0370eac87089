//! RFC 5080 §2.2.2 over sockets.

use std::time::Duration;

use sekisho::account::ClientName;
use sekisho::wire::Code;
use tokio::time::{interval, sleep, timeout};

use super::{House, Nas, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn a_retransmission_is_silence_in_work_and_the_same_octets_after() {
    let house = House::start(|_| {});
    let nas = Nas::new(house.radius());
    let login = nas.login(1);
    for _ in 0..3 {
        nas.send(login.octets());
    }
    let first = nas.receive(PATIENCE).expect("an answer");
    assert!(nas.hears_nothing(), "one answer to three copies");
    for _ in 0..2 {
        nas.send(login.octets());
        assert_eq!(nas.receive(PATIENCE).as_ref(), Some(&first));
    }
    assert_eq!(
        house.metric("sekisho_retransmissions_total{client=\"vpn\"}"),
        4
    );
    let decisions = "sekisho_decision_duration_seconds_count";
    assert_eq!(house.metric(decisions), 1, "decided once");
    let seen = house.telemetry.sightings();
    assert_eq!((seen[0].signed, seen[0].retransmissions), (1, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authenticator_takes_the_place_and_the_older_reply_is_not_sent() {
    let house = House::start(|_| {});
    let nas = Nas::new(house.radius());
    let (older, newer) = (nas.login(1), nas.login(1));
    nas.send(older.octets());
    nas.send(newer.octets());
    assert_eq!(nas.answer(&newer).code(), Code::AccessReject);
    assert!(nas.hears_nothing());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_port_is_another_request() {
    let house = House::start(|_| {});
    let (one, two) = (Nas::new(house.radius()), Nas::new(house.radius()));
    let login = one.login(1);
    one.send(login.octets());
    two.send(login.octets());
    assert_eq!(one.answer(&login).code(), Code::AccessReject);
    assert_eq!(two.answer(&login).code(), Code::AccessReject);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_forgotten_after_its_time() {
    let house = House::start(|settings| settings.reply_keep = Duration::ZERO);
    let nas = Nas::new(house.radius());
    let login = nas.login(1);
    for _ in 0..2 {
        nas.send(login.octets());
        assert_eq!(nas.answer(&login).code(), Code::AccessReject);
    }
    assert_eq!(house.metric("sekisho_decision_duration_seconds_count"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_a_nas_asks_until_it_gives_up_is_measured() {
    let vpn = ClientName::new("vpn");
    // Nothing is answered while it is measured.
    let house = House::start(|settings| settings.reject_floor = 10 * PATIENCE);
    let apart = Duration::from_millis(300);
    let nas = Nas::new(house.radius());
    let logins: Vec<_> = (0..3).map(|identifier| nas.login(identifier)).collect();
    for copy in 0..3 {
        for login in &logins {
            nas.send(login.octets());
        }
        if copy < 2 {
            sleep(apart).await;
        }
    }
    assert_eq!(house.telemetry.patience(&vpn), None);
    // It is looked for whenever somebody asks.
    let other = Nas::new(house.radius());
    let measured = async {
        let mut asks = interval(Duration::from_millis(100));
        for identifier in 0..=u8::MAX {
            asks.tick().await;
            other.send(other.login(identifier).octets());
            if let Some(patience) = house.telemetry.patience(&vpn) {
                return patience;
            }
        }
        panic!("not measured: {:#?}", house.telemetry.sightings());
    };
    let patience = timeout(PATIENCE, measured).await.expect("a measurement");
    // The last copy came after twice the interval; a slow machine makes intervals longer.
    let least = 3 * apart - Duration::from_millis(50);
    assert!((least..30 * apart).contains(&patience), "{patience:?}");
    let seen = &house.telemetry.sightings()[0];
    let gave_up = seen.gave_up.expect("it gave up");
    assert_eq!(gave_up.tries, 3);
    assert!(Duration::from_millis(gave_up.interval) >= apart - Duration::from_millis(50));
    house.telemetry.forget_patience();
    assert_eq!(house.telemetry.patience(&vpn), None);
}
