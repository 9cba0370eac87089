use std::future::{Future as _, poll_fn};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::either::Either;
use tokio_util::task::TaskTracker;

use super::*;
use crate::directory::protocol::{Filter, Selection};

/// A connection and the server's end of it.
async fn pair() -> (Line, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (Line::new(Either::Left(near.unwrap())), far.unwrap().0)
}

async fn started() -> (Arc<Searches>, TcpStream, TaskTracker) {
    let (line, server) = pair().await;
    let (searches, driver) = Searches::on(line, "test".to_owned());
    let tracker = TaskTracker::new();
    drop(tracker.spawn(driver.run()));
    (Arc::new(searches), server, tracker)
}

/// Asks for the DN that is the base.
async fn search(searches: &Searches, base: &str) -> Result<Answer, Failure> {
    let query = Query {
        base,
        scope: Scope::Base,
        filter: Filter::Everything,
        attributes: &Selection::none(),
        limit: 1,
    };
    searches.search(&query, 1).await
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    [&[tag, 0x82, high, low], content].concat()
}

fn message(id: &[u8], tag: u8, body: &[u8]) -> Vec<u8> {
    element(0x30, &[element(0x02, id), element(tag, body)].concat())
}

fn entry(id: &[u8], dn: &[u8]) -> Vec<u8> {
    let body = [element(0x04, dn), element(0x30, b"")].concat();
    message(id, 0x64, &body)
}

fn done(id: &[u8]) -> Vec<u8> {
    message(id, 0x65, b"\x0a\x01\x00\x04\x00\x04\x00")
}

/// One request: its number and its base.
async fn request(server: &mut TcpStream) -> (Vec<u8>, Vec<u8>) {
    let mut header = [0; 6];
    server.read_exact(&mut header).await.unwrap();
    let [0x30, 0x84, length @ ..] = header else {
        panic!("{header:?}");
    };
    let mut octets = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    server.read_exact(&mut octets).await.unwrap();
    let id_len = usize::from(octets[1]);
    let id = octets[2..2 + id_len].to_vec();
    let base = &octets[2 + id_len + 6..];
    assert_eq!(base[0], 0x04);
    (id, base[2..2 + usize::from(base[1])].to_vec())
}

#[tokio::test]
async fn many_in_flight_each_get_their_own_answer() {
    const MANY: usize = 200;
    let (searches, mut server, tracker) = started().await;
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..MANY {
        let searches = searches.clone();
        callers.spawn(async move {
            let base = format!("cn={number}");
            let answer = search(&searches, &base).await.unwrap();
            assert_eq!(answer.entries.len(), 1);
            assert_eq!(answer.entries[0].dn(), base);
        });
    }
    let server = tracker.spawn(async move {
        let mut asked = Vec::new();
        for _ in 0..MANY {
            asked.push(request(&mut server).await);
        }
        // All entries first, the last asked first; then all ends in another order.
        let entries = asked.iter().rev().flat_map(|(id, base)| entry(id, base));
        let (even, odd) = asked
            .iter()
            .enumerate()
            .partition::<Vec<_>, _>(|(at, _)| at % 2 == 0);
        let ends = odd
            .into_iter()
            .chain(even)
            .flat_map(|(_, (id, _))| done(id));
        let octets: Vec<u8> = entries.chain(ends).collect();
        for part in octets.chunks(1000) {
            server.write_all(part).await.unwrap();
        }
        server
    });
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    drop(server.await.unwrap());
}

#[tokio::test]
async fn requests_of_a_burst_come_in_one_piece() {
    let (searches, mut server, _tracker) = started().await;
    let callers: Vec<_> = (0..20).map(|_| search(&searches, "cn=x")).collect();
    let mut callers: Vec<_> = callers.into_iter().map(Box::pin).collect();
    let asked = poll_fn(|cx| {
        for caller in &mut callers {
            assert!(caller.as_mut().poll(cx).is_pending());
        }
        Poll::Ready(())
    });
    asked.await;
    assert!(searches.is_gathering());
    let mut octets = vec![0; 65536];
    let count = server.read(&mut octets).await.unwrap();
    assert_eq!(
        octets[..count]
            .windows(4)
            .filter(|part| *part == b"cn=x")
            .count(),
        20
    );
    assert!(!searches.is_gathering());
}

#[tokio::test]
async fn the_end_of_the_driver_fails_those_who_wait_and_those_who_come() {
    for panics in [false, true] {
        let (line, mut server) = pair().await;
        let (searches, driver) = Searches::on(line, "test".to_owned());
        let tracker = TaskTracker::new();
        let task = tracker.spawn(async move {
            let mut running = Box::pin(driver.run());
            let stopped = tokio::time::timeout(Duration::from_millis(50), &mut running);
            assert!(stopped.await.is_err());
            assert!(!panics, "on purpose");
        });
        let lost = search(&searches, "cn=x").await;
        assert!(matches!(lost, Err(Failure::Lost(_))), "{lost:?}");
        let lost = search(&searches, "cn=x").await;
        assert!(matches!(lost, Err(Failure::Lost(_))), "{lost:?}");
        assert!(!searches.is_usable());
        assert_eq!(task.await.is_err(), panics);
        // The connection is closed as well.
        request(&mut server).await;
        assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_caller_who_went_away_disturbs_nobody() {
    let (searches, mut server, tracker) = started().await;
    let gone = tokio::time::timeout(Duration::from_millis(10), search(&searches, "cn=gone"));
    assert!(gone.await.is_err());
    let task = tracker.spawn(async move {
        let (gone, _) = request(&mut server).await;
        let (id, base) = request(&mut server).await;
        let late = [entry(&gone, b"cn=gone"), done(&gone)].concat();
        let octets = [late, entry(&id, &base), done(&id)].concat();
        server.write_all(&octets).await.unwrap();
        server
    });
    let answer = search(&searches, "cn=here").await.unwrap();
    assert_eq!(answer.entries[0].dn(), "cn=here");
    drop(task.await.unwrap());
}

#[tokio::test]
async fn searches_that_never_end_are_bounded() {
    let (searches, server, _tracker) = started().await;
    for _ in 0..10 * MAX_UNFINISHED {
        let gone = tokio::time::timeout(Duration::ZERO, search(&searches, "cn=gone"));
        drop(gone.await);
        if !searches.is_usable() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(!searches.is_usable());
    drop(server);
}

#[tokio::test]
async fn a_connection_that_nobody_holds_is_closed() {
    let (searches, mut server, tracker) = started().await;
    drop(searches);
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    tracker.close();
    tracker.wait().await;
}
