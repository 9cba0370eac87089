//! Replies that are held for a prompt, over real sockets, with a real directory behind them: one prompt and one answer, however
//! the gear asks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sekisho::access::{ClientPolicy, PushMode};
use sekisho::factor::Response;
use sekisho::secret::Key;
use sekisho::server::{Client, Rooms, Server, Settings, StationForm, StationSource};
use sekisho::telemetry::Telemetry;
use sekisho::wire::{Answer, Asked, Code, Query};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Nas, SECRET, SILENCE, client, quiet, settings};
use crate::access::house::{HOME, House as Deciding};
use crate::support::phone::{Phone, approve};

const ACCEPT: Code = Code::AccessAccept;
const CALLING_STATION_ID: u8 = 31;
/// Longer than any test here.
const PATIENT: Duration = Duration::from_secs(60);

pub(crate) struct House {
    pub(crate) deciding: Deciding,
    server: Option<Server>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl House {
    /// Listens at two addresses, for gear that waits so long.
    fn start(patience: Duration) -> Self {
        Self::start_with(settings_of(patience))
    }

    /// The same with other settings.
    pub(crate) fn start_with(settings: Settings) -> Self {
        let deciding = Deciding::start();
        let (server, tracker, stop) = listen(&deciding, settings);
        Self {
            deciding,
            server: Some(server),
            tracker,
            stop,
        }
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// Stops, and starts again with what is on the disk.
    async fn restart(&mut self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        self.server = None;
        self.deciding.reopen();
        let (server, tracker, stop) = listen(&self.deciding, settings_of(PATIENT));
        (self.server, self.tracker, self.stop) = (Some(server), tracker, stop);
    }

    fn address(&self, number: usize) -> SocketAddr {
        self.server().addresses().0[number]
    }

    pub(crate) async fn phone(&self, user: &str) -> Phone {
        let access = &self.deciding.access;
        let account = access.account(user).await.unwrap().id.clone();
        let name = format!("campus/{user}");
        Phone::proven((access, &self.deciding.store), &account, &name).await
    }

    /// Waits until so many replies are held.
    pub(crate) async fn holds(&self, count: usize) {
        let held = async {
            while self.server().held() != count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let held = tokio::time::timeout(Duration::from_secs(20), held).await;
        assert!(held.is_ok(), "{} replies are held", self.server().held());
    }

    pub(crate) async fn say(&self, phone: &mut Phone, response: Response) {
        let seen = phone.sees(&self.deciding.store);
        assert_eq!(seen.len(), 1, "one prompt");
        phone.say(&self.deciding.access, &seen[0], response).await;
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn listen(deciding: &Deciding, settings: Settings) -> (Server, TaskTracker, CancellationToken) {
    let telemetry = Telemetry::start(&quiet(), deciding.clock.clone());
    let rooms = Rooms {
        access: deciding.access.clone(),
        telemetry,
        clock: deciding.clock.clone(),
        chargeable: Key::random(),
    };
    let server = Server::bind(settings, rooms).unwrap();
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    server.start(&tracker, &stop);
    (server, tracker, stop)
}

/// Two addresses, and one client that rings phones.
pub(crate) fn settings_of(patience: Duration) -> Settings {
    let vpn = client("vpn", "127.0.0.0/8", SECRET);
    let policy = ClientPolicy {
        push: vec![PushMode::Approve],
        code: Vec::new(),
        ..ClientPolicy::clone(&vpn.policy)
    };
    let vpn = Client {
        patience,
        policy: Arc::new(policy),
        station: vec![calling_station()],
        ..vpn
    };
    Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap(); 2],
        clients: vec![vpn],
        ..settings()
    }
}

pub(super) fn calling_station() -> StationSource {
    StationSource {
        name: "Calling-Station-Id".into(),
        vendor: None,
        kind: CALLING_STATION_ID,
        prefix: None,
        form: StationForm::Text,
    }
}

fn login(nas: &Nas, identifier: u8, user: &str) -> Asked {
    Query::access(identifier)
        .with(1, user.as_bytes())
        .with_password(&nas.secret, b"himitsu")
        .with(CALLING_STATION_ID, HOME.as_bytes())
        .sign(&nas.secret)
}

/// All answers that come within a moment.
fn answers(nas: &Nas, asked: &Asked) -> Vec<Answer> {
    let mut heard = Vec::new();
    while let Some(octets) = nas.receive(SILENCE) {
        heard.extend(asked.answer(&octets, &nas.secret));
    }
    heard
}

/// Retransmits at an interval until 11 s are over, of which the approval comes at the end.
async fn retransmits(interval: u64) {
    let house = House::start(PATIENT);
    let mut phone = house.phone("hanako").await;
    let nas = Nas::new(house.address(0));
    let asked = login(&nas, 7, "hanako");
    let begun = Instant::now();
    let end = begun + Duration::from_secs(11);
    let mut next = begun;
    while next < end {
        sleep_until(next).await;
        nas.send(asked.octets());
        next += Duration::from_secs(interval);
    }
    sleep_until(end).await;
    house.holds(1).await;
    house.say(&mut phone, approve("")).await;
    house.holds(0).await;
    let heard = answers(&nas, &asked);
    assert_eq!(heard.iter().map(Answer::code).collect::<Vec<_>>(), [ACCEPT]);
    house.deciding.has_bound("hanako", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retransmission_every_3_s_is_one_prompt_and_one_answer() {
    retransmits(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retransmission_every_5_s_is_one_prompt_and_one_answer() {
    retransmits(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retransmission_every_10_s_is_one_prompt_and_one_answer() {
    retransmits(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_identifier_and_port_each_time_is_one_prompt() {
    let house = House::start(PATIENT);
    let mut phone = house.phone("hanako").await;
    let asked: Vec<(Nas, Asked)> = (1..=4)
        .map(|identifier| {
            let nas = Nas::new(house.address(0));
            let asked = login(&nas, identifier, "hanako");
            nas.send(asked.octets());
            (nas, asked)
        })
        .collect();
    house.holds(4).await;
    house.say(&mut phone, approve("")).await;
    for (nas, asked) in &asked {
        assert_eq!(nas.answer(asked).code(), ACCEPT, "each open packet");
    }
    house.deciding.has_bound("hanako", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_server_entry_is_the_same_prompt() {
    let house = House::start(PATIENT);
    let mut phone = house.phone("hanako").await;
    let first = Nas::new(house.address(0));
    let asked = login(&first, 7, "hanako");
    let begun = Instant::now();
    // Three times at the first address, then at the second, as the gear does after 15 s.
    for at in [0, 5, 10] {
        sleep_until(begun + Duration::from_secs(at)).await;
        first.send(asked.octets());
    }
    sleep_until(begun + Duration::from_secs(15)).await;
    let second = Nas::new(house.address(1));
    let again = login(&second, 7, "hanako");
    second.send(again.octets());
    house.holds(2).await;
    house.say(&mut phone, approve("")).await;
    assert_eq!(first.answer(&asked).code(), ACCEPT);
    assert_eq!(second.answer(&again).code(), ACCEPT);
    house.deciding.has_bound("hanako", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denial_is_answered_at_once() {
    let house = House::start(PATIENT);
    let mut phone = house.phone("hanako").await;
    let nas = Nas::new(house.address(0));
    let asked = login(&nas, 7, "hanako");
    nas.send(asked.octets());
    house.holds(1).await;
    house.say(&mut phone, Response::Deny).await;
    let answer = nas.answer(&asked);
    assert_eq!(answer.code(), Code::AccessReject);
    let text = answer.all().find(|(kind, _)| *kind == 18).unwrap().1;
    assert!(String::from_utf8_lossy(text).contains("Denied on your phone"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_leaves_before_the_gear_gives_up_and_a_late_approval_counts_once() {
    let patience = Duration::from_secs(2);
    let house = House::start(patience);
    let mut phone = house.phone("hanako").await;
    let nas = Nas::new(house.address(0));
    let asked = login(&nas, 7, "hanako");
    let begun = Instant::now();
    nas.send(asked.octets());
    let answer = nas.answer(&asked);
    assert_eq!(answer.code(), Code::AccessReject);
    assert!(begun.elapsed() < patience, "{:?}", begun.elapsed());
    house.say(&mut phone, approve("")).await;
    let again = login(&nas, 8, "hanako");
    nas.send(again.octets());
    assert_eq!(nas.answer(&again).code(), ACCEPT);
    let third = login(&nas, 9, "hanako");
    nas.send(third.octets());
    house.holds(1).await;
    house.say(&mut phone, Response::Deny).await;
    assert_eq!(nas.answer(&third).code(), Code::AccessReject);
    house.deciding.has_bound("hanako", 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prompt_outlives_a_restart() {
    let mut house = House::start(PATIENT);
    let mut phone = house.phone("hanako").await;
    let nas = Nas::new(house.address(0));
    let asked = login(&nas, 7, "hanako");
    nas.send(asked.octets());
    house.holds(1).await;
    house.restart().await;
    assert!(nas.hears_nothing(), "the NAS sends it again");
    let nas = Nas {
        server: house.address(0),
        ..nas
    };
    nas.send(asked.octets());
    house.holds(1).await;
    house.say(&mut phone, approve("")).await;
    assert_eq!(nas.answer(&asked).code(), ACCEPT);
    house.deciding.has_bound("hanako", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approval_faster_than_the_hold_is_not_lost() {
    let house = House::start(PATIENT);
    let mut phone = house.phone("hanako").await;
    for identifier in 0..30 {
        let nas = Nas::new(house.address(0));
        let asked = login(&nas, identifier, "hanako");
        nas.send(asked.octets());
        let seen = loop {
            if let Some(known) = phone.sees(&house.deciding.store).pop() {
                break known;
            }
            tokio::task::yield_now().await;
        };
        phone.say(&house.deciding.access, &seen, approve("")).await;
        assert_eq!(nas.answer(&asked).code(), ACCEPT);
    }
}
