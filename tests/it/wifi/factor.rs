//! A second factor on Wi-Fi: a code by EAP-GTC, an approval while the reply is held, and what cannot be asked.

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sekisho::access::{ClientPolicy, PushMode};
use sekisho::config;
use sekisho::secret::Key;
use sekisho::server::{Client, Eap, Rooms, Server, Settings};
use sekisho::telemetry::Telemetry;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::campus::{Campus, PASSWORD};
use super::papers::Papers;
use super::station::{Method, Said, Station, Version};
use crate::access::house::House as Deciding;
use crate::login::SEED;
use crate::server::{client, quiet, settings};
use crate::support::daemon::{SECRET, code, wait};
use crate::support::phone::{Phone, approve};

/// Answers each question that a station without a stored password puts to its person; the questions, as far as they were put.
fn answer(control: &Path, answers: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let own = UnixDatagram::bind(folder.path().join("own")).unwrap();
    wait(|| own.connect(control).is_ok(), || "no station".to_owned());
    own.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    own.send(b"ATTACH").unwrap();
    let mut left = answers.iter();
    let mut questions = Vec::new();
    let mut octets = [0; 4096];
    while questions.len() < answers.len() {
        let Ok(length) = own.recv(&mut octets) else {
            break;
        };
        let said = String::from_utf8_lossy(&octets[..length]).into_owned();
        let Some((_, question)) = said.split_once("CTRL-REQ-OTP-0:") else {
            continue;
        };
        questions.push(question.to_owned());
        let answer = format!("CTRL-RSP-OTP-0:{}", left.next().unwrap());
        own.send(answer.as_bytes()).unwrap();
    }
    questions
}

/// Logs in at a station whose person types these; what it said, and what was asked.
fn type_in(campus: &Campus, station: &Station, answers: &[&str]) -> (Said, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut station = station.clone();
    station.control = Some(folder.path().to_owned());
    station.words.push("-W".to_owned());
    std::thread::scope(|scope| {
        let logs_in = scope.spawn(|| station.log_in(&campus.papers, campus.radius()));
        let questions = answer(&folder.path().join("test"), answers);
        (logs_in.join().unwrap(), questions)
    })
}

fn station(method: Method, name: &str, password: &str) -> Station {
    Station::new(method, name, password)
}

#[test]
fn a_code_is_asked_for_by_gtc() {
    let campus = Campus::start_with(&["taro"], "code = [\"challenge\"]\npush = []", "");
    campus.daemon.enrol("taro", SEED);
    // wpa_supplicant takes one question more in EAP-TTLS, and any number in PEAP.
    for (method, version, steps, wrong) in [
        (Method::PeapGtc, Version::V12, -1, &["000000"][..]),
        (Method::TtlsGtc, Version::V13, 0, &[]),
    ] {
        let station = Station {
            version,
            ..station(method, "taro", "")
        };
        let right = code(SEED, steps);
        let typed = [&[PASSWORD], wrong, &[&right]].concat();
        let (said, questions) = type_in(&campus, &station, &typed);
        let (judged, log) = (said.let_in(), campus.daemon.log());
        assert_eq!(judged, Ok(()), "{method:?} {questions:?}\n{log}");
        assert!(questions[1].contains("one-time password"), "{questions:?}");
        assert!(questions[1].contains("確認コード"), "{questions:?}");
    }
}

#[test]
fn a_code_is_appended_where_none_can_be_asked_for() {
    let campus = Campus::start_with(&["taro"], "code = [\"appended\"]\npush = []", "");
    campus.daemon.enrol("taro", SEED);
    let typed = format!("{PASSWORD}{}", code(SEED, 0));
    let said = station(Method::TtlsPap, "taro", &typed).log_in(&campus.papers, campus.radius());
    assert_eq!(said.let_in(), Ok(()), "{}", campus.daemon.log());
}

#[test]
fn who_cannot_be_asked_is_refused() {
    let keys = "code = [\"challenge\"]\npush = []";
    let campus = Campus::start_with(&["taro"], keys, "");
    campus.daemon.enrol("taro", SEED);
    for (number, method) in [Method::TtlsPap, Method::PeapMsChapV2]
        .into_iter()
        .enumerate()
    {
        let station = Station {
            mac: format!("02:00:00:00:02:0{number}"),
            ..station(method, "taro", PASSWORD)
        };
        let said = station.is_refused(&campus.papers, campus.radius());
        assert_eq!(
            said.refused(),
            Ok(()),
            "{method:?}\n{}",
            campus.daemon.log()
        );
    }
}

/// A server in this process, whose people have phones.
struct House {
    deciding: Deciding,
    papers: Papers,
    server: Server,
    stop: CancellationToken,
}

impl House {
    fn start() -> Self {
        let (deciding, papers) = (Deciding::start(), Papers::make());
        let rooms = Rooms {
            access: deciding.access.clone(),
            telemetry: Telemetry::start(&quiet(), deciding.clock.clone()),
            clock: deciding.clock.clone(),
            chargeable: Key::random(),
        };
        let wifi = client("wifi", "127.0.0.0/8", SECRET);
        let policy = ClientPolicy {
            push: vec![PushMode::Approve],
            code: Vec::new(),
            ..ClientPolicy::clone(&wifi.policy)
        };
        let wifi = Client {
            patience: Duration::from_secs(30),
            policy: Arc::new(policy),
            ..wifi
        };
        let settings = Settings {
            clients: vec![wifi],
            ..settings()
        };
        let server = Server::bind(settings, rooms).unwrap();
        server.hold_eap(Some(held(&papers, &deciding)));
        let stop = CancellationToken::new();
        server.start(&TaskTracker::new(), &stop);
        Self {
            deciding,
            papers,
            server,
            stop,
        }
    }

    fn radius(&self) -> SocketAddr {
        self.server.addresses().0[0]
    }

    async fn phone(&self, user: &str) -> Phone {
        let access = &self.deciding.access;
        let account = access.account(user).await.unwrap().id.clone();
        let name = format!("campus/{user}");
        Phone::proven((access, &self.deciding.store), &account, &name).await
    }

    async fn until(&self, holds: impl Fn(&Server) -> bool) {
        let held = async {
            while !holds(&self.server) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let held = tokio::time::timeout(Duration::from_secs(20), held).await;
        assert!(held.is_ok(), "{} replies are held", self.server.held());
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// `[eap]` as the configuration reads it.
fn held(papers: &Papers, deciding: &Deciding) -> Eap {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sekisho.toml");
    let text = format!(
        "{}[directory.campus]\nservers = ['ldaps://ldap.example']\nbase = 'dc=example'\n\
         [client.wifi]\naddress = '192.0.2.10'\nsecret = 'a secret of more than twelve octets'\n",
        papers.eap("")
    );
    std::fs::write(&file, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).unwrap();
    let settings = config::read(&file).unwrap().eap.unwrap();
    Eap::new(&settings, deciding.clock.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_is_held_until_the_phone_approves() {
    let house = House::start();
    let mut phone = house.phone("hanako").await;
    for (number, method) in [Method::TtlsPap, Method::PeapGtc].into_iter().enumerate() {
        let station = Station {
            mac: format!("02:00:00:00:03:0{number}"),
            ..station(method, "hanako", "himitsu")
        };
        let (papers, server) = (&house.papers, house.radius());
        let said = std::thread::scope(|scope| {
            let logs_in = scope.spawn(|| station.log_in(papers, server));
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    house.until(|server| server.held() == 1).await;
                    assert_eq!(house.server.conversations(), 1, "it is in work");
                    let seen = phone.sees(&house.deciding.store);
                    phone
                        .say(&house.deciding.access, &seen[0], approve(""))
                        .await;
                });
            });
            logs_in.join().unwrap()
        });
        assert_eq!(said.let_in(), Ok(()), "{method:?}");
        house.until(|server| server.conversations() == 0).await;
    }
}
