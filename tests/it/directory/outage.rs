//! Servers that die, hang, cut off and come back.

use std::time::Duration;

use sekisho::directory::{Bind, Error, Settings};
use sekisho::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{PATIENCE, Running, run, settings};
use crate::support::slapd::{Slapd, person, person_dn};

fn pair() -> (Slapd, Slapd, Running) {
    let ldif = person("taro", "himitsu");
    let (first, second) = (Slapd::start(&ldif), Slapd::start(&ldif));
    let campus = run(settings(&[first.port(), second.port()]));
    (first, second, campus)
}

async fn until_up(campus: &Running, server: usize, up: bool) {
    let give_up = Instant::now() + PATIENCE;
    while campus.directory.health()[server].up != up {
        assert!(Instant::now() < give_up, "{:?}", campus.directory.health());
        drop(campus.login("taro", "himitsu").await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_killed_server_hands_over_to_the_next() {
    let (mut first, second, campus) = pair();
    assert_eq!(campus.login("taro", "himitsu").await.unwrap(), Bind::Proven);
    assert_eq!(second.binds(&person_dn("taro")), 0);
    first.kill();
    for _ in 0..5 {
        assert_eq!(campus.login("taro", "himitsu").await.unwrap(), Bind::Proven);
    }
    assert_eq!(second.binds(&person_dn("taro")), 5);
    assert!(!campus.directory.health()[0].up);
    assert!(campus.directory.health()[1].up);
}

#[tokio::test]
async fn a_server_that_came_back_is_preferred_again() {
    let (mut first, _second, campus) = pair();
    first.kill();
    until_up(&campus, 0, false).await;
    first.restart();
    until_up(&campus, 0, true).await;
    let before = first.binds(&person_dn("taro"));
    campus.recovers("taro", "himitsu").await;
    assert!(first.binds(&person_dn("taro")) > before);
}

#[tokio::test]
async fn a_hung_server_costs_its_time_out_and_then_nothing() {
    let (first, _second, campus) = pair();
    assert_eq!(campus.login("taro", "himitsu").await.unwrap(), Bind::Proven);
    first.pause();
    until_up(&campus, 0, false).await;
    let before = Instant::now();
    assert_eq!(campus.login("taro", "himitsu").await.unwrap(), Bind::Proven);
    assert!(before.elapsed() < Duration::from_millis(500));
    first.resume();
    until_up(&campus, 0, true).await;
    campus.recovers("taro", "himitsu").await;
}

#[tokio::test]
async fn the_deadline_of_a_login_holds_while_a_server_hangs() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    let campus = run(settings(&[slapd.port()]));
    slapd.pause();
    let deadline = Instant::now() + Duration::from_millis(200);
    let found = campus.directory.find("taro", deadline).await;
    assert!(matches!(found, Err(Error::Deadline)), "{found:?}");
    assert!(deadline.elapsed() < Duration::from_millis(300));
}

#[tokio::test]
async fn with_every_server_down_the_answer_comes_at_once() {
    let (mut first, mut second, campus) = pair();
    first.kill();
    second.kill();
    let before = Instant::now();
    for _ in 0..100 {
        let found = campus.find("taro").await;
        assert!(matches!(found, Err(Error::Unreachable)), "{found:?}");
    }
    assert!(before.elapsed() < Duration::from_secs(2));
    second.restart();
    campus.recovers("taro", "himitsu").await;
}

#[tokio::test]
async fn a_restart_between_logins_fails_none() {
    let ldif: String = (0..8)
        .map(|number| person(&format!("user{number}"), "himitsu"))
        .collect();
    let mut slapd = Slapd::start(&ldif);
    let campus = run(Settings {
        remember: Duration::from_secs(60),
        operation_timeout: PATIENCE,
        ..settings(&[slapd.port()])
    });
    for round in 0..3 {
        // Several at once, so that several connections are kept.
        let mut logins = tokio::task::JoinSet::new();
        for number in 0..8 {
            let entry = campus.one(&format!("user{number}")).await;
            let directory = campus.directory.clone();
            logins.spawn(async move {
                let deadline = Instant::now() + PATIENCE;
                directory
                    .bind(&entry, &Secret::from("himitsu"), deadline)
                    .await
            });
        }
        while let Some(bind) = logins.join_next().await {
            assert_eq!(bind.unwrap().unwrap(), Bind::Proven, "round {round}");
        }
        slapd.restart();
    }
}

/// Passes everything to a server and back, but cuts the line at the first octets that hold this text.
async fn cutting_proxy(to: u16, text: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tracker = TaskTracker::new();
    let inner = tracker.clone();
    let proxy = async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let (mut from_near, mut to_near) = near.into_split();
            let (mut from_far, mut to_far) = far.into_split();
            let back = inner.spawn(async move {
                drop(tokio::io::copy(&mut from_far, &mut to_near).await);
            });
            inner.spawn(async move {
                let mut octets = vec![0; 4096];
                while let Ok(count @ 1..) = from_near.read(&mut octets).await {
                    if octets[..count].windows(text.len()).any(|part| part == text) {
                        break;
                    }
                    to_far.write_all(&octets[..count]).await.unwrap();
                }
                back.abort();
            });
        }
    };
    drop(tracker.spawn(proxy));
    port
}

#[tokio::test]
async fn a_bind_cut_off_is_not_repeated_and_the_next_server_takes_over() {
    let ldif = person("taro", "himitsu");
    let (first, second) = (Slapd::start(&ldif), Slapd::start(&ldif));
    let proxy = cutting_proxy(first.port(), b"himitsu").await;
    let campus = run(settings(&[proxy, second.port()]));
    let entry = campus.one("taro").await;
    let bind = campus.bind(&entry, "himitsu").await;
    assert!(matches!(bind, Err(Error::Unreachable)), "{bind:?}");
    assert_eq!(second.binds(&person_dn("taro")), 0);
    campus.recovers("taro", "himitsu").await;
    assert_eq!(second.binds(&person_dn("taro")), 1);
    assert_eq!(first.binds(&person_dn("taro")), 0);
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_no_half_bound_connection() {
    let slapd = Slapd::start(&[person("taro", "himitsu"), person("jiro", "naisho")].concat());
    let campus = run(Settings {
        bind_connections: 1,
        operation_timeout: PATIENCE,
        ..settings(&[slapd.port()])
    });
    let taro = campus.one("taro").await;
    let jiro = campus.one("jiro").await;
    assert_eq!(campus.bind(&taro, "himitsu").await.unwrap(), Bind::Proven);
    slapd.pause();
    let gone = tokio::time::timeout(Duration::from_millis(50), campus.bind(&taro, "himitsu"));
    assert!(gone.await.is_err());
    slapd.resume();
    let bind = campus.bind(&jiro, "himitsu").await.unwrap();
    assert!(
        matches!(bind, Bind::Refused(_)),
        "another's answer was taken"
    );
    assert_eq!(campus.bind(&jiro, "naisho").await.unwrap(), Bind::Proven);
}
