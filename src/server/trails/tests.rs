use std::sync::Arc;

use super::super::duplicates::{Admission, Duplicates, Ticket};
use super::super::socket::Local;
use super::*;
use crate::wire::Signed;

const KEEP: Duration = Duration::from_secs(30);

/// What a NAS sends, and how its requests are answered, by a clock that stands still.
struct House {
    duplicates: Duplicates,
    begun: Instant,
    measured: bool,
}

impl House {
    fn new() -> Self {
        Self {
            duplicates: Duplicates::new((8192, 8192)),
            begun: Instant::now(),
            measured: true,
        }
    }

    /// Goes on to so many milliseconds after the beginning.
    async fn at(&self, millis: u64) {
        let then = self.begun + Duration::from_millis(millis);
        tokio::time::advance(then - Instant::now()).await;
    }

    fn ask(&self, port: u16, authenticator: u8) -> Option<Ticket> {
        let admission = self.duplicates.admit(Arrival {
            key: Key {
                socket: 0,
                local: Local::Bound,
                peer: ([192, 0, 2, 1], port).into(),
                identifier: 1,
            },
            authenticator: &[authenticator; 16],
            client: &ClientName::new("vpn"),
            signed: Signed::Yes,
            measured: self.measured,
            now: Instant::now(),
        });
        match admission {
            Admission::New(ticket) => Some(ticket),
            Admission::InWork(_) | Admission::Answered(..) | Admission::Full => None,
        }
    }

    /// Copies of one request at these milliseconds; the first is worked on.
    async fn copies(&self, millis: &[u64]) -> Ticket {
        let mut ticket = None;
        for millis in millis {
            self.at(*millis).await;
            let admitted = self.ask(5000, 1);
            ticket = ticket.or(admitted);
        }
        ticket.unwrap()
    }

    fn answer(&self, ticket: Ticket) {
        let reply: Arc<[u8]> = Arc::from([1]);
        assert!(ticket.answer(&reply, KEEP, Instant::now()));
    }

    /// Interval, tries and all of each that gave up, in milliseconds.
    fn gave_up(&self) -> Vec<(u64, u32, u64)> {
        let ended = self.duplicates.gave_up(Instant::now());
        ended
            .into_iter()
            .map(|GaveUp { waited, .. }| (waited.interval, waited.tries, waited.in_all))
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_nas_that_falls_silent_while_nothing_is_answered_has_given_up() {
    let house = House::new();
    let _in_work = house.copies(&[0, 5000, 10_000]).await;
    house.at(20_000).await;
    assert_eq!(house.gave_up(), [], "another copy could still come");
    house.at(23_000).await;
    assert_eq!(house.gave_up(), [(5000, 3, 15_000)]);
    house.at(60_000).await;
    assert_eq!(house.gave_up(), [], "told once");
}

#[tokio::test(start_paused = true)]
async fn a_reply_in_time_tells_nothing_and_one_that_came_too_late_does() {
    for (answered, told) in [(12_000, vec![]), (40_000, vec![(5000, 3, 15_000)])] {
        let house = House::new();
        let ticket = house.copies(&[0, 5000, 10_000]).await;
        house.at(answered).await;
        house.answer(ticket);
        // A copy after the answer is none of the trail.
        house.at(answered + 100).await;
        assert!(house.ask(5000, 1).is_none());
        house.at(80_000).await;
        assert_eq!(house.gave_up(), told, "{answered}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_let_go_without_an_answer_is_still_the_same_request() {
    let house = House::new();
    let ticket = house.copies(&[0, 5000]).await;
    house.at(7000).await;
    drop(ticket);
    house.at(10_000).await;
    let _worked_on_anew = house.ask(5000, 1).unwrap();
    house.at(15_000).await;
    assert!(house.ask(5000, 1).is_none());
    house.at(30_000).await;
    assert_eq!(house.gave_up(), [(5000, 4, 20_000)]);
}

#[tokio::test(start_paused = true)]
async fn growing_intervals_are_awaited_and_the_shortest_counts() {
    let house = House::new();
    let _in_work = house.copies(&[0, 3000, 9000]).await;
    house.at(20_000).await;
    assert_eq!(house.gave_up(), []);
    house.at(21_000).await;
    assert!(house.ask(5000, 1).is_none());
    house.at(60_000).await;
    assert_eq!(house.gave_up(), [(3000, 4, 24_000)]);
}

#[tokio::test(start_paused = true)]
async fn a_packet_doubled_on_its_way_is_no_retransmission() {
    let house = House::new();
    let _in_work = house.copies(&[0, 2, 5000, 5002, 5003, 10_000]).await;
    house.at(30_000).await;
    let [(interval, 3, in_all)] = house.gave_up()[..] else {
        panic!("three copies")
    };
    assert!((4990..=5000).contains(&interval), "{interval}");
    assert!((14_980..=15_000).contains(&in_all), "{in_all}");
}

#[tokio::test(start_paused = true)]
async fn another_request_in_its_place_ends_it() {
    let house = House::new();
    let _in_work = house.copies(&[0, 5000]).await;
    house.at(8000).await;
    let _other = house.ask(5000, 2).unwrap();
    assert_eq!(house.gave_up(), [(5000, 2, 8000)], "not longer than it was");
}

#[tokio::test(start_paused = true)]
async fn one_copy_alone_accounting_and_trials_tell_nothing() {
    let mut house = House::new();
    let _in_work = house.copies(&[0]).await;
    house.at(60_000).await;
    assert_eq!(house.gave_up(), []);
    house.measured = false;
    let _trial = house.ask(5001, 1);
    house.at(65_000).await;
    assert!(house.ask(5001, 1).is_none());
    house.at(120_000).await;
    assert_eq!(house.gave_up(), []);
}

#[tokio::test(start_paused = true)]
async fn trails_are_bounded() {
    let house = House::new();
    let ports = 1..=u16::try_from(TRAILS + 100).unwrap();
    let tickets: Vec<_> = ports.clone().map(|port| house.ask(port, 1)).collect();
    house.at(5000).await;
    for port in ports {
        assert!(house.ask(port, 1).is_none());
    }
    house.at(60_000).await;
    assert_eq!(house.gave_up().len(), TRAILS);
    drop(tickets);
}
