//! Accounting joined to logins, and Disconnect-Requests as a NAS sees them: a socket of the test that reads each octet by itself,
//! and FreeRADIUS and hostapd in the place of the gear.

mod freeradius;
mod gear;
mod hostapd;

use std::time::Duration;

use sekisho::access::{EndOutcome, EndWhy};
use sekisho::account::{AccountId, AccountKey, Language, Station};
use sekisho::secret::{Key, Secret};
use sekisho::server::{Client, Disconnect, Rooms, Server, Settings};
use sekisho::store::{AccountedSession, SessionEnd};
use sekisho::telemetry::Telemetry;
use sekisho::wire::{Answer, Code, Query};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::freeradius::FreeRadius;
use self::gear::Gear;
use self::hostapd::Hostapd;
use super::push::calling_station;
use super::{Nas, PATIENCE, SECRET, client, quiet, settings};
use crate::access::house::{CAMPUS, House as Deciding};

const START: u8 = 1;
const STOP: u8 = 2;
const USER_NAME: u8 = 1;
const NAS_IP_ADDRESS: u8 = 4;
const CLASS: u8 = 25;
const CALLING_STATION_ID: u8 = 31;
const NAS_IDENTIFIER: u8 = 32;
const ACCT_STATUS_TYPE: u8 = 40;
const ACCT_SESSION_ID: u8 = 44;
/// Octets that are no text, as an Acct-Session-Id may be.
const ODD: &[u8] = b"\x00\xffS1";

struct House {
    deciding: Deciding,
    server: Server,
    telemetry: Telemetry,
    stop: CancellationToken,
}

impl House {
    /// Serves one client, changed.
    fn start(change: impl FnOnce(&mut Client)) -> Self {
        let deciding = Deciding::start();
        let telemetry = Telemetry::start(&quiet(), deciding.clock.clone());
        let rooms = Rooms {
            access: deciding.access.clone(),
            telemetry: telemetry.clone(),
            clock: deciding.clock.clone(),
            chargeable: Key::random(),
        };
        let mut vpn = client("vpn", "127.0.0.0/8", SECRET);
        vpn.station = vec![calling_station()];
        change(&mut vpn);
        let settings = Settings {
            clients: vec![vpn],
            ..settings()
        };
        let server = Server::bind(settings, rooms).unwrap();
        let stop = CancellationToken::new();
        server.start(&TaskTracker::new(), &stop);
        Self {
            deciding,
            server,
            telemetry,
            stop,
        }
    }

    /// Serves gear that is asked at an address.
    fn asking(gear: &Gear) -> Self {
        let to = Some(gear.address());
        Self::start(|vpn| vpn.disconnect = Some(Disconnect { to, secret: None }))
    }

    /// Logs in on campus, where a password is enough; gives the Class of the Accept.
    fn login(&self, user: &str, session: &[u8]) -> Option<Vec<u8>> {
        let nas = Nas::new(self.server.addresses().0[0]);
        let answer = nas.ask(
            Query::access(1)
                .with(USER_NAME, user.as_bytes())
                .with_password(&nas.secret, b"himitsu")
                .with(CALLING_STATION_ID, CAMPUS.as_bytes())
                .with(ACCT_SESSION_ID, session),
        );
        assert_eq!(answer.code(), Code::AccessAccept);
        class(&answer)
    }

    fn account_for(&self, status: u8, session: &[u8], class: Option<&[u8]>) {
        self.account_from(CAMPUS, (status, session, class));
    }

    fn account_from(&self, station: &str, told: (u8, &[u8], Option<&[u8]>)) {
        let (status, session, class) = told;
        let nas = Nas::new(self.server.addresses().1[0]);
        let query = Query::accounting(1)
            .with(ACCT_STATUS_TYPE, &[0, 0, 0, status])
            .with(ACCT_SESSION_ID, session)
            .with(USER_NAME, b"Hanako@example.ac.jp")
            .with(NAS_IP_ADDRESS, &[192, 0, 2, 77])
            .with(NAS_IDENTIFIER, b"ap-7")
            .with(CALLING_STATION_ID, station.as_bytes());
        let query = match class {
            Some(class) => query.with(CLASS, class),
            None => query,
        };
        assert_eq!(nas.ask(query).code(), Code::AccountingResponse);
    }

    /// Logs in, and opens the session.
    fn open(&self, session: &[u8]) {
        let class = self.login("hanako", b"another").expect("a Class");
        self.account_for(START, session, Some(&class));
    }

    async fn hanako(&self) -> AccountId {
        let entry = self.deciding.access.account("hanako").await.unwrap();
        entry.id.clone()
    }

    async fn sessions(&self) -> Vec<AccountedSession> {
        let hanako = self.hanako().await;
        self.deciding.store.sessions(&hanako).await.unwrap()
    }

    /// Has the open sessions ended, and says what came of each.
    async fn end(&self) -> Vec<EndOutcome> {
        let hanako = self.hanako().await;
        let access = &self.deciding.access;
        let ended = access.end_sessions(&hanako, None, EndWhy::Operator).await;
        ended
            .unwrap()
            .into_iter()
            .map(|(_, outcome)| outcome)
            .collect()
    }

    /// Waits until it is recorded that the only session was to end.
    async fn recorded(&self) -> (EndWhy, EndOutcome) {
        let asked = async {
            loop {
                let sessions = self.sessions().await;
                assert_eq!(sessions.len(), 1);
                if let Some(asked) = &sessions[0].facts.asked {
                    return (asked.why, asked.outcome);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn class(answer: &Answer) -> Option<Vec<u8>> {
    answer.attributes(CLASS).last().map(<[u8]>::to_vec)
}

/// Does what blocks beside what does not.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn accounting_that_brings_our_class_is_joined_to_its_login() {
    let house = House::start(|_| {});
    let class = house.login("hanako", b"of the login").expect("a Class");
    assert_eq!(class.len(), 20);
    assert!(!class.windows(6).any(|octets| octets == b"hanako"));
    house.account_for(START, ODD, Some(&class));
    let [session] = &house.sessions().await[..] else {
        panic!("one session");
    };
    assert_eq!(session.account, house.hanako().await);
    assert_eq!(session.facts.station, Station::read(CAMPUS));
    assert!(session.ended.is_none());
    house.account_for(STOP, ODD, None);
    let [session] = &house.sessions().await[..] else {
        panic!("one session");
    };
    assert_eq!(session.ended.unwrap().1, SessionEnd::Stopped(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_accept_has_a_class_of_its_own_and_a_forged_one_joins_nothing() {
    let house = House::start(|_| {});
    let first = house.login("hanako", b"a").expect("a Class");
    let second = house.login("hanako", b"b").expect("a Class");
    assert_ne!(first, second);
    let mut forged = first.clone();
    forged[7] ^= 1;
    let cut = &first[..19];
    for (session, class) in [
        (b"1", &forged[..]),
        (b"2", cut),
        (b"3", b"staff"),
        (b"4", b""),
    ] {
        house.account_for(START, session, Some(class));
    }
    assert_eq!(house.sessions().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_class_the_session_of_the_request_joins() {
    let house = House::start(|vpn| vpn.class = false);
    assert_eq!(house.login("hanako", b"S1"), None);
    house.account_for(START, b"S2", None);
    assert_eq!(house.sessions().await.len(), 0, "that is somebody else's");
    house.account_for(START, b"S1", None);
    assert_eq!(house.sessions().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_ended_by_a_request_that_is_right_in_every_octet() {
    let gear = Gear::new(SECRET);
    let house = House::asking(&gear);
    house.open(ODD);
    let asked = beside(move || gear.end_one());
    let (asked, outcomes) = tokio::join!(asked, house.end());
    assert_eq!(outcomes, [EndOutcome::Ended]);
    let expected = [
        (USER_NAME, b"Hanako@example.ac.jp".to_vec()),
        (NAS_IP_ADDRESS, vec![192, 0, 2, 77]),
        (NAS_IDENTIFIER, b"ap-7".to_vec()),
        (ACCT_SESSION_ID, ODD.to_vec()),
        (CALLING_STATION_ID, CAMPUS.as_bytes().to_vec()),
    ];
    assert_eq!(asked.attributes, expected);
    let accounting = house.server.addresses().1[0];
    assert_eq!(
        asked.from.ip(),
        accounting.ip(),
        "from where the gear knows us"
    );
    let sessions = house.sessions().await;
    assert_eq!(sessions[0].ended.unwrap().1, SessionEnd::Disconnected);
    assert!(house.end().await.is_empty(), "it is not open any more");
    let line = "sekisho_session_ends_total{client=\"vpn\",outcome=\"ended\"} 1";
    assert!(house.telemetry.render().contains(line));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_sessions_of_one_station_are_ended_if_it_is_named() {
    let gear = Gear::new(SECRET);
    let house = House::asking(&gear);
    house.open(b"S1");
    let (hanako, access) = (house.hanako().await, &house.deciding.access);
    let other = Station::read("203.0.113.99");
    let ended = access
        .end_sessions(&hanako, Some(&other), EndWhy::Revoked)
        .await;
    assert!(ended.unwrap().is_empty());
    let (station, gear) = (Station::read(CAMPUS), beside(move || gear.end_one()));
    let ended = access.end_sessions(&hanako, Some(&station), EndWhy::Revoked);
    let (_, ended) = tokio::join!(gear, ended);
    assert_eq!(ended.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_at_the_portal_ends_the_session_and_waits_for_nobody() {
    let gear = Gear::new(SECRET);
    let house = House::asking(&gear);
    house.open(b"S1");
    let hanako = house.hanako().await;
    let name: AccountKey = serde_json::from_value("campus/hanako".into()).unwrap();
    let here = (CAMPUS.parse().unwrap(), Language::Ja);
    let access = &house.deciding.access;
    // The gear says nothing until the report is taken.
    let reported = access.report((&hanako, &name), here).await.unwrap();
    assert_eq!(reported.reason, sekisho::account::Reason::PushReported);
    beside(move || gear.end_one()).await;
    assert_eq!(
        house.recorded().await,
        (EndWhy::Reported, EndOutcome::Ended)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reports_again_and_again_has_gear_asked_no_oftener() {
    let gear = Gear::new(SECRET);
    let house = House::asking(&gear);
    house.open(b"S1");
    let (hanako, access) = (house.hanako().await, &house.deciding.access);
    for _ in 0..100 {
        access.end_sessions_beside(&hanako, None, EndWhy::Reported);
    }
    let asked = beside(move || {
        let first = gear.take(PATIENCE).expect("a Disconnect-Request");
        let second = gear.take(Duration::from_millis(500));
        gear.send(&gear.answer(&first, 41, &[]), &first);
        (second, gear.take(Duration::from_secs(3)))
    });
    let (second, after) = asked.await;
    assert!(second.is_none() && after.is_none(), "{second:?} {after:?}");
    assert_eq!(
        house.recorded().await,
        (EndWhy::Reported, EndOutcome::Ended)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_begins_after_the_report_of_its_login_is_ended() {
    let gear = Gear::new(SECRET);
    let house = House::asking(&gear);
    let class = house.login("hanako", b"S1").expect("a Class");
    let hanako = house.hanako().await;
    let name: AccountKey = serde_json::from_value("campus/hanako".into()).unwrap();
    let here = (CAMPUS.parse().unwrap(), Language::Ja);
    let access = &house.deciding.access;
    let _reported = access.report((&hanako, &name), here).await.unwrap();
    house.account_for(START, b"S1", Some(&class));
    beside(move || gear.end_one()).await;
    assert_eq!(
        house.recorded().await,
        (EndWhy::Reported, EndOutcome::Ended)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_sent_again_with_the_same_octets_and_forged_answers_count_for_nothing() {
    let gear = Gear::new("a secret for disconnecting alone");
    let to = Some(gear.address());
    let house = House::start(|vpn| {
        let secret = Some(Secret::from("a secret for disconnecting alone"));
        vpn.disconnect = Some(Disconnect { to, secret });
    });
    house.open(b"S1");
    let asked = beside(move || {
        let first = gear.take(PATIENCE).expect("a Disconnect-Request");
        let stranger = Gear::new("the shared secret of somebody else");
        let right = gear.answer(&first, 41, &[]);
        // Right, but from another port; from the right port, but under another secret, of another request, cut, or an Accept.
        stranger.send(&right, &first);
        gear.send(&stranger.answer(&first, 41, &[]), &first);
        let mut other = right.clone();
        other[1] ^= 1;
        gear.send(&other, &first);
        gear.send(&right[..19], &first);
        gear.send(&gear.answer(&first, 2, &[]), &first);
        let again = gear.take(PATIENCE).expect("the same again");
        assert_eq!(again, first);
        gear.send(&gear.answer(&again, 42, &[101, 6, 0, 0, 1, 0xf7]), &again);
    });
    let ((), outcomes) = tokio::join!(asked, house.end());
    assert_eq!(outcomes, [EndOutcome::Refused(Some(503))]);
    assert!(house.sessions().await[0].ended.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn gear_that_says_nothing_is_asked_three_times_and_given_up() {
    let gear = Gear::new(SECRET);
    let house = House::asking(&gear);
    house.open(b"S1");
    let asked = beside(move || {
        let mut times = Vec::new();
        while gear.take(Duration::from_secs(11)).is_some() {
            times.push(tokio::time::Instant::now());
        }
        times
    });
    let (asked, outcomes) = tokio::join!(asked, house.end());
    assert_eq!(outcomes, [EndOutcome::Unanswered]);
    let [first, second, third] = asked[..] else {
        panic!("{} times", asked.len());
    };
    // Two and four seconds, each a tenth more or less; a busy machine may take longer.
    let waits = [second - first, third - second].map(|wait| wait.as_secs_f32());
    assert!(waits[0] >= 1.75 && waits[1] >= 3.5, "{waits:?}");
    assert!(waits[0] < 3.5 && waits[1] < 6.0, "{waits:?}");
    assert!(house.sessions().await[0].ended.is_none());
    assert_eq!(
        house.recorded().await,
        (EndWhy::Operator, EndOutcome::Unanswered)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_disconnect_nobody_is_asked_and_that_is_told() {
    let house = House::start(|_| {});
    house.open(b"S1");
    assert_eq!(house.end().await, [EndOutcome::Off]);
    assert!(house.sessions().await[0].ended.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn freeradius_in_the_place_of_the_gear_takes_our_requests() {
    let freeradius = FreeRadius::start();
    let to = Some(freeradius.address);
    let house = House::start(|vpn| vpn.disconnect = Some(Disconnect { to, secret: None }));
    house.open(b"S1");
    house.open(b"S2");
    let outcomes = house.end().await;
    let expected = [EndOutcome::Refused(Some(503)), EndOutcome::Ended];
    assert_eq!(outcomes, expected, "{}", freeradius.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostapd_in_the_place_of_the_gear_finds_no_fault_but_the_absent_station() {
    for (identifier, cause) in [("ap-7", 503), ("ap-8", 403)] {
        let hostapd = Hostapd::start(identifier);
        let to = Some(hostapd.address);
        let house = House::start(|vpn| vpn.disconnect = Some(Disconnect { to, secret: None }));
        let class = house.login("hanako", b"another").expect("a Class");
        house.account_from("00-1B-63-84-45-E6", (START, b"S1", Some(&class)));
        let refused = EndOutcome::Refused(Some(cause));
        assert_eq!(house.end().await, [refused], "{}", hostapd.log());
    }
}

/// Codes 40 to 45 are for NASes: nobody here hears them.
#[tokio::test(flavor = "multi_thread")]
async fn disconnect_and_change_requests_to_our_listeners_are_discarded() {
    let house = House::start(|_| {});
    let (logins, accounting) = house.server.addresses();
    let discarded = "sekisho_discarded_packets_total{client=\"vpn\",reason=\"malformed\"} ";
    for (number, address) in [logins[0], accounting[0]].into_iter().enumerate() {
        let nas = Nas::new(address);
        for code in 40..=45 {
            let asked = Query::disconnect(code).with(USER_NAME, b"hanako");
            let mut octets = asked.sign(&nas.secret).octets().to_vec();
            octets[0] = code;
            nas.send(&octets);
        }
        assert!(nas.hears_nothing());
        let line = format!("{discarded}{}", 6 * (number + 1));
        let page = house.telemetry.render();
        assert!(page.contains(&line), "{page}");
    }
}
