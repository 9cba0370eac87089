//! Replies that are held while somebody looks for a phone: each costs its packet and a place in a queue, neither a task nor a
//! permit.
//!
//! A prompt can have several packets: retries of one attempt, from one NAS or two. All get the verdict; at the end of a packet's
//! patience that packet gets what `access` says then. What is still held when the daemon stops gets no answer: the NAS sends it
//! again, and the prompt, which is in the store, is joined.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::House;
use super::clients::{Known, hold};
use super::conversation::Kept;
use super::duplicates::Ticket;
use super::login;
use super::path::Path;
use super::socket::canonical;
use crate::access::{Ending, Held, News, Wait};
use crate::account::AttemptId;
use crate::telemetry::Discard;
use crate::wire::Request;

/// Packets held at once: 100,000 people, and retries of theirs; some 100 MiB.
const HELD: usize = 1 << 17;
/// EAP conversations among them, each with its tunnel of up to 12 KiB: 96 MiB.
const HELD_CONVERSATIONS: usize = 8192;
/// Packets held for one prompt: retries at each of some servers. More are discarded, as the NAS has others.
const HELD_FOR_PROMPT: usize = 16;
/// Prompts remembered that were decided before their packet was held: more than are decided in the moment between its prompt
/// and its place here.
const EARLY: usize = 64;
/// Prompts whose packets are answered at once: each waits for a commit of the store, which they share.
const ANSWERING: usize = 1024;

/// A packet without an answer.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) known: Arc<Known>,
    pub(super) request: Request,
    pub(super) path: Path,
    pub(super) ticket: Ticket,
    pub(super) received: Instant,
    pub(super) wait: Wait,
    /// The conversation that it is of.
    pub(super) kept: Option<Box<Kept>>,
}

impl Packet {
    fn held(&self) -> Held {
        Held {
            client: Arc::clone(&self.known.client.policy),
            nas: canonical(self.path.peer),
            received: self.received,
            wait: self.wait.clone(),
        }
    }
}

/// The packets that wait.
#[derive(Debug)]
pub(super) struct Waiting {
    table: Mutex<Table>,
    earlier: Notify,
    answering: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Table {
    prompts: HashMap<AttemptId, Vec<Packet>>,
    /// When the patience of a packet of a prompt ends. What was answered before leaves its place behind until then.
    ends: BinaryHeap<Reverse<(Instant, i64)>>,
    held: usize,
    /// How many of them are of EAP conversations.
    conversations: usize,
    closed: bool,
    /// Prompts that were decided while nobody waited for them, newest last: a packet may be about to come.
    early: VecDeque<AttemptId>,
    /// Prompts to be answered now.
    ready: Vec<AttemptId>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            table: Mutex::default(),
            earlier: Notify::new(),
            answering: Arc::new(Semaphore::new(ANSWERING)),
        }
    }
}

impl Table {
    /// Takes a packet in, or gives it back if there is no room.
    fn take_in(&mut self, packet: Packet) -> Result<bool, Box<Packet>> {
        if self.closed || self.held >= HELD || self.ends.len() >= 2 * HELD {
            return Err(Box::new(packet));
        }
        let of_conversation = usize::from(packet.kept.is_some());
        if self.conversations + of_conversation > HELD_CONVERSATIONS {
            return Err(Box::new(packet));
        }
        let (until, prompt) = (packet.wait.until, packet.wait.prompt.clone());
        // Most prompts have one packet: a list that grows by itself would make room for four.
        let one = || Vec::with_capacity(1);
        let packets = self.prompts.entry(prompt.clone()).or_insert_with(one);
        if packets.len() >= HELD_FOR_PROMPT {
            let gone = packets.extract_if(.., |packet| !packet.path.is_open());
            for packet in gone {
                self.held = self.held.saturating_sub(1);
                let of_conversation = usize::from(packet.kept.is_some());
                self.conversations = self.conversations.saturating_sub(of_conversation);
            }
        }
        if packets.len() >= HELD_FOR_PROMPT {
            return Err(Box::new(packet));
        }
        packets.push(packet);
        self.held += 1;
        self.conversations += of_conversation;
        let early = self.early.contains(&prompt);
        if early {
            self.ready.push(prompt.clone());
        }
        let first = early || self.ends.peek().is_none_or(|next| until < next.0.0);
        self.ends.push(Reverse((until, prompt.number())));
        Ok(first)
    }

    fn take_out(&mut self, prompt: &AttemptId, which: impl Fn(&Packet) -> bool) -> Vec<Packet> {
        let Some(packets) = self.prompts.get_mut(prompt) else {
            return Vec::new();
        };
        let taken: Vec<Packet> = packets.extract_if(.., |packet| which(packet)).collect();
        if packets.is_empty() {
            self.prompts.remove(prompt);
        }
        self.held = self.held.saturating_sub(taken.len());
        let of_conversations = taken.iter().filter(|packet| packet.kept.is_some());
        self.conversations -= of_conversations.count().min(self.conversations);
        // Nobody waits at a closed connection: its packets spend no approval, which a retry then has.
        taken
            .into_iter()
            .filter(|packet| packet.path.is_open())
            .collect()
    }
}

impl Waiting {
    /// Holds a packet. `Err` gives it back: there is no room.
    pub(super) fn hold(&self, packet: Packet) -> Result<(), Box<Packet>> {
        if hold(&self.table).take_in(packet)? {
            self.earlier.notify_one();
        }
        Ok(())
    }

    /// Packets held.
    pub(super) fn held(&self) -> usize {
        hold(&self.table).held
    }

    /// Those that must have an answer now, of one prompt; or when the next must.
    fn due(&self, now: Instant) -> Result<(Vec<Packet>, Ending), Option<Instant>> {
        let mut table = hold(&self.table);
        if let Some(prompt) = table.ready.pop() {
            return Ok((table.take_out(&prompt, |_| true), Ending::Decided));
        }
        loop {
            let Some(Reverse((until, prompt))) = table.ends.peek().copied() else {
                return Err(None);
            };
            if until > now {
                return Err(Some(until));
            }
            table.ends.pop();
            let prompt = AttemptId::from_number(prompt);
            let ended = table.take_out(&prompt, |packet| packet.wait.until <= now);
            if !ended.is_empty() {
                return Ok((ended, Ending::Patience));
            }
        }
    }

    /// The packets of a prompt of which there is news.
    fn of_prompt(&self, prompt: AttemptId, ending: Ending) -> Vec<Packet> {
        let mut table = hold(&self.table);
        let packets = table.take_out(&prompt, |_| true);
        if packets.is_empty() && ending == Ending::Decided {
            table.early.push_back(prompt);
            if table.early.len() > EARLY {
                table.early.pop_front();
            }
        }
        packets
    }

    fn close(&self) {
        let mut table = hold(&self.table);
        table.closed = true;
        table.ends.clear();
        // Their tickets free the entries among duplicates.
        table.prompts.clear();
        table.held = 0;
        table.conversations = 0;
    }
}

/// Answers held packets, when news comes or patience ends, until `stop`.
pub(super) async fn run(
    house: Arc<House>,
    mut news: mpsc::Receiver<News>,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let Ok(permit) = house.waiting.answering.clone().acquire_owned().await else {
            return;
        };
        // An arm that is cut off loses nothing: `recv` takes a message only when it is ready.
        let (packets, ending) = tokio::select! {
            () = stop.cancelled() => break,
            Some((prompt, ending)) = news.recv() => (house.waiting.of_prompt(prompt, ending), ending),
            due = next_due(&house.waiting) => due,
        };
        if !packets.is_empty() {
            let house = Arc::clone(&house);
            tracker.spawn(answer(house, packets, ending, permit));
        }
    }
    house.waiting.close();
}

async fn next_due(waiting: &Waiting) -> (Vec<Packet>, Ending) {
    loop {
        let earlier = waiting.earlier.notified();
        match waiting.due(Instant::now()) {
            Ok(due) => return due,
            Err(None) => earlier.await,
            Err(Some(at)) => tokio::select! {
                () = earlier => {}
                () = sleep_until(at) => {}
            },
        }
    }
}

async fn answer(
    house: Arc<House>,
    packets: Vec<Packet>,
    ending: Ending,
    _permit: OwnedSemaphorePermit,
) {
    let held: Vec<Held> = packets.iter().map(Packet::held).collect();
    let Some(mut concluded) = house.rooms.access.conclude(&held, ending).await else {
        packets.into_iter().for_each(|packet| wait(&house, packet));
        return;
    };
    house.rooms.telemetry.decision(&concluded.decision);
    let verdicts = std::mem::take(&mut concluded.verdicts);
    for (packet, verdict) in packets.into_iter().zip(verdicts) {
        login::answer_held(&house, packet, verdict, &concluded);
    }
}

/// Holds a packet, or discards it when there is no room.
pub(super) fn wait(house: &House, packet: Packet) {
    if let Err(packet) = house.waiting.hold(packet) {
        house.rooms.telemetry.discard(
            Discard::Full,
            packet.path.peer,
            Some(&packet.known.client.name),
            "too many replies are held for prompts",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::clients::Share;
    use super::super::clients::tests::client;
    use super::super::duplicates::tests::ticket;
    use super::super::tls::Line;
    use super::*;
    use crate::secret::Secret;
    use crate::wire::Query;

    /// A packet of an EAP conversation that came by a connection.
    fn packet(line: &Arc<Line>) -> Packet {
        let asked = Query::access(1).sign(&Secret::from("radsec"));
        let known = Known {
            client: client("wifi", &[]),
            share: Arc::new(Share::default()),
            lent: false,
        };
        let peer = "192.0.2.1:5000".parse().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        Packet {
            known: Arc::new(known),
            request: Request::parse(asked.octets()).unwrap(),
            path: Path::connection(Arc::clone(line), peer),
            ticket: ticket(),
            received: Instant::now(),
            wait: Wait::made(AttemptId::from_number(1), until),
            kept: Some(Box::new(Kept::made())),
        }
    }

    #[tokio::test]
    async fn what_waited_at_closed_connections_gives_all_its_room_back() {
        let waiting = Waiting::default();
        let (open, closed) = (Line::made(), Line::made());
        for _ in 0..HELD_FOR_PROMPT {
            assert!(waiting.hold(packet(&closed)).is_ok());
        }
        assert!(waiting.hold(packet(&open)).is_err());
        closed.close();
        assert!(waiting.hold(packet(&open)).is_ok());
        let table = hold(&waiting.table);
        assert_eq!((table.held, table.conversations), (1, 1));
    }
}
