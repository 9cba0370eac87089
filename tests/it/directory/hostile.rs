//! Servers that mean harm: each costs its connection and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sekisho::directory::{Bind, Error, Found, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use super::{PATIENCE, run, settings};
use crate::support::slapd::{Slapd, person};

/// What a bad server may get rid of before it is cut off, kernel buffers included.
const MOST_TAKEN: usize = 64 * 1024 * 1024;

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut octets = vec![tag];
    if let Ok(len @ 0..0x80) = u8::try_from(content.len()) {
        octets.push(len);
    } else {
        octets.push(0x84);
        octets.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
    }
    octets.extend(content);
    octets
}

fn answer(id: u8, tag: u8, body: &[u8]) -> Vec<u8> {
    element(0x30, &[element(0x02, &[id]), element(tag, body)].concat())
}

fn result() -> Vec<u8> {
    b"\x0a\x01\x00\x04\x00\x04\x00".to_vec()
}

/// What it does once the service account is bound and has asked for somebody.
#[derive(Clone)]
enum Harm {
    /// Sends this once.
    Once(Vec<u8>),
    /// Sends the first, then the second without end.
    Endless(Vec<u8>, Vec<u8>),
}

/// A server that welcomes the service account, then does harm. Counts connections and octets.
async fn bad_server(harm: Harm) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = taken.clone();
    let tracker = TaskTracker::new();
    let inner = tracker.clone();
    let server = async move {
        while let Ok((stream, _)) = listener.accept().await {
            inner.spawn(do_harm(stream, harm.clone(), counter.clone()));
        }
    };
    drop(tracker.spawn(server));
    (port, taken)
}

async fn do_harm(mut stream: TcpStream, harm: Harm, taken: Arc<AtomicUsize>) {
    let mut request = vec![0; 4096];
    if !matches!(stream.read(&mut request).await, Ok(1..)) {
        return;
    }
    if stream.write_all(&answer(1, 0x61, &result())).await.is_err() {
        return;
    }
    if !matches!(stream.read(&mut request).await, Ok(1..)) {
        return;
    }
    match harm {
        Harm::Once(octets) => {
            drop(stream.write_all(&octets).await);
            drop(stream.read(&mut request).await);
        }
        Harm::Endless(first, again) => {
            drop(stream.write_all(&first).await);
            while let Ok(count @ 1..) = stream.write(&again).await {
                taken.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

fn entry(id: u8) -> Vec<u8> {
    let body = [element(0x04, b"uid=x"), element(0x30, b"")].concat();
    answer(id, 0x64, &body)
}

fn nested(levels: usize) -> Vec<u8> {
    (0..levels).fold(Vec::new(), |inner, _| element(0x30, &inner))
}

fn harms() -> Vec<(&'static str, Harm)> {
    let many: Vec<u8> = (0..100).flat_map(|_| entry(2)).collect();
    let strange_entry = answer(2, 0x64, &element(0x04, b"uid=x"));
    let deep_entry = answer(2, 0x64, &[element(0x04, b"uid=x"), nested(10_000)].concat());
    vec![
        ("nested 10,000 deep", Harm::Once(nested(10_000))),
        ("an entry nested 10,000 deep", Harm::Once(deep_entry)),
        (
            "a length of 1 GiB",
            Harm::Endless(b"\x30\x84\x40\x00\x00\x00".to_vec(), vec![0; 65536]),
        ),
        (
            "a length of nearly 1 MiB that never fills",
            Harm::Once(b"\x30\x83\x0f\xff\xff".to_vec()),
        ),
        ("a wrong operation", Harm::Once(answer(2, 0x6b, &result()))),
        (
            "a bind's answer to a search",
            Harm::Once(answer(2, 0x61, &result())),
        ),
        ("an entry for the bind", Harm::Once(entry(1))),
        ("an entry of no shape", Harm::Once(strange_entry)),
        ("endless entries", Harm::Endless(Vec::new(), many.clone())),
        (
            "endless entries for nobody",
            Harm::Endless(Vec::new(), (0..100).flat_map(|_| entry(9)).collect()),
        ),
        (
            "three entries for two",
            Harm::Once([entry(2), entry(2), entry(2)].concat()),
        ),
        (
            "no LDAP",
            Harm::Once(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ),
        ("a notice", Harm::Once(answer(0, 0x78, &result()))),
    ]
}

#[tokio::test]
async fn every_harm_costs_one_connection_and_the_next_server_answers() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    for (name, harm) in harms() {
        let (bad, taken) = bad_server(harm).await;
        let campus = run(settings(&[bad, slapd.port()]));
        let found = campus.find("taro").await;
        assert!(matches!(found, Ok(Found::One(_))), "{name}: {found:?}");
        let bad = &campus.directory.health()[0];
        assert!(bad.last_error.is_some(), "{name}");
        campus.recovers("taro", "himitsu").await;
        assert!(taken.load(Ordering::Relaxed) < MOST_TAKEN, "{name}");
    }
}

#[tokio::test]
async fn harm_alone_is_no_verdict() {
    for (name, harm) in harms() {
        let (bad, _) = bad_server(harm).await;
        let campus = run(settings(&[bad]));
        let found = campus.find("taro").await;
        assert!(
            matches!(found, Err(Error::Unreachable)),
            "{name}: {found:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_to_a_bind_that_is_none_proves_nothing() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    let entry = run(settings(&[slapd.port()])).one("taro").await;
    for octets in [
        answer(1, 0x65, &result()),
        answer(1, 0x61, b""),
        answer(1, 0x61, b"\x0a\x00\x04\x00\x04\x00"),
        answer(1, 0x61, b"\x0a\x01\x00\x04\x01\xff\x04\x00"),
        answer(2, 0x61, &result()),
        answer(0, 0x78, &result()),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = octets.clone();
        let server = async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            drop(stream.read(&mut request).await);
            drop(stream.write_all(&sent).await);
            drop(stream.read(&mut request).await);
        };
        drop(TaskTracker::new().spawn(server));
        let campus = run(settings(&[port]));
        let bind = campus.bind(&entry, "himitsu").await;
        assert!(
            matches!(bind, Err(Error::Unreachable)),
            "{octets:?}: {bind:?}"
        );
    }
}

#[tokio::test]
async fn octets_that_come_one_by_one_are_put_together() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = slapd.port();
    let tracker = TaskTracker::new();
    let inner = tracker.clone();
    let proxy = async move {
        while let Ok((near, _)) = listener.accept().await {
            near.set_nodelay(true).unwrap();
            let far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let (mut from_near, mut to_near) = near.into_split();
            let (mut from_far, mut to_far) = far.into_split();
            inner.spawn(async move {
                drop(tokio::io::copy(&mut from_near, &mut to_far).await);
            });
            inner.spawn(async move {
                while let Ok(octet) = from_far.read_u8().await {
                    if to_near.write_u8(octet).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
    };
    drop(tracker.spawn(proxy));
    let campus = run(Settings {
        operation_timeout: PATIENCE,
        ..settings(&[port])
    });
    assert_eq!(campus.login("taro", "himitsu").await.unwrap(), Bind::Proven);
}
