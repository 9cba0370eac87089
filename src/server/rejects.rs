//! The reject floor: a Reject leaves at its time, not before, and holds neither task nor permit until then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::clients::hold;
use crate::secret::random_array;

/// Rejects that wait at once: the longest floor of 10 s at 13,000 a second, some 30 MiB.
pub(super) const WAITING: usize = 1 << 17;

/// Rejects that wait for their time. Cheap to clone.
#[derive(Debug)]
pub(super) struct Rejects<T> {
    queue: Arc<Queue<T>>,
}

impl<T> Clone for Rejects<T> {
    fn clone(&self) -> Self {
        Self {
            queue: Arc::clone(&self.queue),
        }
    }
}

#[derive(Debug)]
struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    earlier: Notify,
}

#[derive(Debug)]
struct Waiting<T> {
    heap: BinaryHeap<Reverse<Due<T>>>,
    bound: usize,
    draining: bool,
}

#[derive(Debug)]
struct Due<T> {
    at: Instant,
    reply: T,
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<T> Eq for Due<T> {}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

/// What became of a Reject.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Delay<T> {
    /// It waits, and will be sent.
    Waits,
    /// It is to be sent now: the house is closing.
    Now(T),
    /// There is no room; it may not be sent, because it would be too early.
    Full,
}

impl<T> Rejects<T> {
    /// An empty queue with room for so many.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            queue: Arc::new(Queue {
                waiting: Mutex::new(Waiting {
                    heap: BinaryHeap::new(),
                    bound,
                    draining: false,
                }),
                earlier: Notify::new(),
            }),
        }
    }

    /// Lets a Reject wait until its time.
    pub(super) fn delay(&self, reply: T, at: Instant) -> Delay<T> {
        let mut waiting = hold(&self.queue.waiting);
        if waiting.draining {
            return Delay::Now(reply);
        }
        if waiting.heap.len() >= waiting.bound {
            return Delay::Full;
        }
        let is_earliest = waiting
            .heap
            .peek()
            .is_none_or(|Reverse(first)| at < first.at);
        waiting.heap.push(Reverse(Due { at, reply }));
        drop(waiting);
        if is_earliest {
            self.queue.earlier.notify_one();
        }
        Delay::Waits
    }

    /// Sends each Reject when it is due; when stopped, all at once.
    pub(super) async fn run(&self, stop: &CancellationToken, send: impl Fn(T)) {
        loop {
            let next = self.send_due(Instant::now(), &send);
            let timer = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = timer => {}
                () = self.queue.earlier.notified() => {}
            }
        }
        let left = {
            let mut waiting = hold(&self.queue.waiting);
            waiting.draining = true;
            std::mem::take(&mut waiting.heap)
        };
        left.into_iter().for_each(|Reverse(due)| send(due.reply));
    }

    fn send_due(&self, now: Instant, send: impl Fn(T)) -> Option<Instant> {
        loop {
            let reply = {
                let mut waiting = hold(&self.queue.waiting);
                let first = waiting.heap.peek_mut()?;
                if first.0.at > now {
                    return Some(first.0.at);
                }
                PeekMut::pop(first).0.reply
            };
            send(reply);
        }
    }
}

/// When a Reject may leave: the floor after its request was received, and up to a tenth of the floor more.
pub(super) fn due(received: Instant, floor: Duration) -> Instant {
    let tenth = floor / 10;
    let part = f64::from(u16::from_ne_bytes(random_array())) / f64::from(u16::MAX);
    received + floor + tenth.mul_f64(part)
}

#[cfg(test)]
mod tests {
    use tokio_util::task::TaskTracker;

    use super::*;

    type Sent = Arc<Mutex<Vec<(u8, Duration)>>>;

    struct House {
        rejects: Rejects<u8>,
        stop: CancellationToken,
        tracker: TaskTracker,
        sent: Sent,
        start: Instant,
    }

    impl House {
        fn open(bound: usize) -> Self {
            let house = Self {
                rejects: Rejects::new(bound),
                stop: CancellationToken::new(),
                tracker: TaskTracker::new(),
                sent: Sent::default(),
                start: Instant::now(),
            };
            let (rejects, stop) = (house.rejects.clone(), house.stop.clone());
            let (sent, start) = (Arc::clone(&house.sent), house.start);
            house.tracker.spawn(async move {
                let send = |reply| hold(&sent).push((reply, start.elapsed()));
                rejects.run(&stop, send).await;
            });
            house.tracker.close();
            house
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn sent(&self) -> Vec<(u8, Duration)> {
            hold(&self.sent).clone()
        }

        async fn sent_in_all(&self, count: usize) -> Vec<(u8, Duration)> {
            let all = async {
                while self.sent().len() < count {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), all)
                .await
                .unwrap();
            self.sent()
        }
    }

    #[tokio::test]
    async fn each_leaves_at_its_time_and_never_before() {
        let house = House::open(10);
        for (reply, millis) in [(1, 60), (2, 30), (3, 90)] {
            assert_eq!(house.rejects.delay(reply, house.at(millis)), Delay::Waits);
            tokio::task::yield_now().await;
        }
        let sent = house.sent_in_all(3).await;
        let order: Vec<_> = sent.iter().map(|(reply, _)| *reply).collect();
        assert_eq!(order, [2, 1, 3]);
        for ((_, at), due) in sent.iter().zip([30, 60, 90]) {
            assert!(
                *at >= Duration::from_millis(due),
                "{at:?} is before {due} ms"
            );
        }
    }

    #[tokio::test]
    async fn closing_sends_what_waits_at_once() {
        let house = House::open(10);
        assert_eq!(house.rejects.delay(1, house.at(60_000)), Delay::Waits);
        tokio::task::yield_now().await;
        assert!(house.sent().is_empty());
        house.stop.cancel();
        house.tracker.wait().await;
        assert_eq!(house.sent().len(), 1);
        assert!(house.start.elapsed() < Duration::from_secs(30));
        assert_eq!(house.rejects.delay(2, house.at(60_000)), Delay::Now(2));
    }

    #[tokio::test]
    async fn a_full_queue_takes_no_more_and_sends_none_early() {
        let house = House::open(1);
        assert_eq!(house.rejects.delay(1, house.at(60_000)), Delay::Waits);
        assert_eq!(house.rejects.delay(2, house.at(60_000)), Delay::Full);
        tokio::task::yield_now().await;
        assert!(house.sent().is_empty());
    }

    #[tokio::test]
    async fn jitter_is_at_most_a_tenth() {
        let received = Instant::now();
        let floor = Duration::from_secs(1);
        let times: Vec<_> = (0..100).map(|_| due(received, floor) - received).collect();
        assert!(
            times
                .iter()
                .all(|time| (floor..=floor * 11 / 10).contains(time))
        );
        assert!(times.iter().any(|time| *time != times[0]));
    }
}
