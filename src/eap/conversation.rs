//! A conversation: packets in and out, whose answer each is, which method, and its bounds (RFC 3748 §4, 3579 §2).

use std::sync::Arc;

use super::dialogue::{Dialogue, Step};
use super::framing::{self, Fragment, Incoming, Outgoing};
use super::packet::{self, Response, Unreadable};
use super::settings::Method;
use super::{
    Failed, House, IDENTITY_OCTETS, Judgement, MayResume, ODD_PACKETS, ROUNDS, Room, Success, Turn,
};
use crate::secret::random_array;

/// One conversation, from Identity to Success or Failure. Bounded: 50 rounds, 5 odd packets, 8 KiB of hello, and then 16 KiB a
/// message, with client certificates 64 KiB.
pub struct Conversation<R> {
    house: Arc<House<R>>,
    identity: Box<[u8]>,
    /// Of the Request that is to be answered; while a turn is in work, of the Response to it.
    identifier: u8,
    rounds: u8,
    odd: u8,
    room: Room,
    stage: Stage<R>,
}

enum Stage<R> {
    /// Identity was asked.
    Identity,
    /// A method was begun; nothing of it was heard yet. `switched`: after the peer had declined another.
    Offered { method: Method, switched: bool },
    /// A method is in work.
    Method(Box<Talk<R>>),
    /// Success or Failure was said; what can be told of it.
    Over(String),
}

/// A method in work, with its messages on their way.
struct Talk<R> {
    method: Method,
    incoming: Incoming,
    outgoing: Outgoing,
    dialogue: Dialogue<R>,
}

impl<R: Clone + Send + Sync + 'static> Conversation<R> {
    /// See [`super::Authenticator::begin`].
    pub(super) fn begin(house: Arc<House<R>>, packet: &[u8], room: Room) -> (Self, Turn<R>) {
        let [identifier] = random_array();
        let mut conversation = Self {
            house,
            identity: Box::default(),
            identifier,
            rounds: 0,
            odd: 0,
            room: Room(0),
            stage: Stage::Identity,
        };
        conversation.fit(room);
        let turn = conversation.open(packet);
        (conversation, turn)
    }

    /// Takes the room of the way, within what is configured.
    fn fit(&mut self, room: Room) {
        self.room = Room(room.0.min(self.house.fragment));
    }

    fn open(&mut self, packet: &[u8]) -> Turn<R> {
        if packet.is_empty() {
            return Turn::Ask(packet::request(self.next(), packet::IDENTITY, &[]));
        }
        match packet::read(packet) {
            Ok(response) => {
                self.identifier = response.identifier;
                self.named(&response)
            }
            Err(_) => self.fail(Some(Failed::Protocol(
                "a conversation that begins with no Response",
            ))),
        }
    }

    /// Takes the peer's next packet.
    pub fn receive(&mut self, packet: &[u8], room: Room) -> Turn<R> {
        self.fit(room);
        let response = match packet::read(packet) {
            Ok(response) if response.identifier == self.identifier => response,
            Ok(_) => return self.discard("EAP packet that answers another"),
            Err(Unreadable::Odd(why)) => return self.discard(why),
            Err(Unreadable::Request) => {
                return self.fail(Some(Failed::Protocol("EAP-Request from a peer")));
            }
        };
        self.rounds += 1;
        if self.rounds > ROUNDS {
            return self.fail(Some(Failed::Protocol("too many rounds")));
        }
        match &self.stage {
            Stage::Identity => self.named(&response),
            Stage::Offered { method, switched } => self.offered(*method, *switched, &response),
            Stage::Method(talk) if talk.method.kind() == response.kind => self.hear(response.data),
            Stage::Method(_) => self.discard("EAP packet of another method"),
            Stage::Over(_) => self.fail(Some(Failed::Protocol("packet after the end"))),
        }
    }

    /// Hears whether the session that the peer wants to resume may be; after [`Turn::Look`] alone.
    pub fn looked(&mut self, may: MayResume) -> Turn<R> {
        let next = self.identifier.wrapping_add(1);
        let step = match &mut self.stage {
            Stage::Method(talk) => talk.dialogue.looked(&self.house, may, next),
            Stage::Identity | Stage::Offered { .. } | Stage::Over(_) => {
                Step::Fail(Some(Failed::Protocol("word that nobody waited for")))
            }
        };
        self.follow(step)
    }

    /// Hears what became of the credentials; after [`Turn::Judge`] alone.
    pub fn judged(&mut self, judgement: Judgement<R>) -> Turn<R> {
        let next = self.identifier.wrapping_add(1);
        let step = match &mut self.stage {
            Stage::Method(talk) => talk.dialogue.judged(&self.house, judgement, next),
            Stage::Identity | Stage::Offered { .. } | Stage::Over(_) => {
                Step::Fail(Some(Failed::Protocol("word that nobody waited for")))
            }
        };
        self.follow(step)
    }

    /// The outer identity: what the peer answered to Identity, at most 1020 octets, possibly empty, possibly no UTF-8.
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// Octets that it may hold of what the peer has said: fragments, and what TLS waits for the rest of. They are what a peer can make
    /// more of, beside what any conversation costs.
    #[must_use]
    pub fn octets(&self) -> usize {
        let said = match &self.stage {
            Stage::Method(talk) => talk.incoming.octets() + talk.dialogue.heard(),
            Stage::Identity | Stage::Offered { .. } | Stage::Over(_) => 0,
        };
        self.identity.len() + said
    }

    /// What to write in a log: method, TLS version and suite, as far as they are known.
    #[must_use]
    pub fn told(&self) -> String {
        match &self.stage {
            Stage::Identity => "EAP".into(),
            Stage::Over(told) => told.clone(),
            Stage::Offered { method, .. } => method.told().into(),
            Stage::Method(talk) => talk.dialogue.told(),
        }
    }

    /// What the conversation waits for, in words: why it may have died when nothing more comes.
    #[must_use]
    pub fn waits(&self) -> &'static str {
        match &self.stage {
            Stage::Identity => "the peer's name",
            Stage::Offered { .. } => "an answer to the method that is offered",
            Stage::Method(talk) if talk.outgoing.is_pending() => {
                "word that a fragment of our certificate arrived: it may be larger than the way to the peer takes"
            }
            Stage::Method(talk) => talk.dialogue.waits(),
            Stage::Over(_) => "nothing",
        }
    }

    /// Takes an Identity and offers the first method.
    fn named(&mut self, response: &Response<'_>) -> Turn<R> {
        if response.kind != packet::IDENTITY {
            return self.fail(Some(Failed::Protocol("no Identity where one was asked")));
        }
        if response.data.len() > IDENTITY_OCTETS {
            return self.fail(Some(Failed::Protocol("identity that is too long")));
        }
        self.identity = response.data.into();
        match self.house.methods.first() {
            Some(first) => self.offer(*first, false),
            None => self.fail(Some(Failed::NoMethod)),
        }
    }

    fn offer(&mut self, method: Method, switched: bool) -> Turn<R> {
        self.stage = Stage::Offered { method, switched };
        Turn::Ask(framing::start(self.next(), method))
    }

    /// Hears the first answer to a method: a Nak, once, or its first octets.
    fn offered(&mut self, method: Method, switched: bool, response: &Response<'_>) -> Turn<R> {
        if response.kind == method.kind() {
            self.stage = Stage::Method(Box::new(Talk {
                method,
                incoming: Incoming::default(),
                outgoing: Outgoing::default(),
                dialogue: Dialogue::new(method),
            }));
            return self.hear(response.data);
        }
        let Some(wanted) = packet::wishes(response.kind, response.data) else {
            return self.discard("EAP packet of another method");
        };
        let methods = &self.house.methods;
        let other = wanted
            .iter()
            .find_map(|kind| methods.iter().find(|method| method.kind() == *kind));
        match other {
            Some(other) if !switched && *other != method => self.offer(*other, true),
            _ => self.fail(Some(Failed::NoMethod)),
        }
    }

    /// Hears a method's packet.
    fn hear(&mut self, data: &[u8]) -> Turn<R> {
        let next = self.identifier.wrapping_add(1);
        let Stage::Method(talk) = &mut self.stage else {
            return self.fail(None);
        };
        let step = match talk.take(data) {
            Err(why) => Step::Fail(Some(Failed::Protocol(why))),
            Ok(Came::Acknowledgement) => return self.send(),
            Ok(Came::Part) => {
                let method = talk.method;
                return Turn::Ask(framing::empty(self.next(), method));
            }
            Ok(Came::Whole(message)) => talk.dialogue.hear(&self.house, message, next),
        };
        self.follow(step)
    }

    fn follow(&mut self, step: Step<R>) -> Turn<R> {
        match step {
            Step::Send(octets) => {
                if let Stage::Method(talk) = &mut self.stage {
                    talk.outgoing.load(octets);
                }
                self.send()
            }
            Step::Look(record) => Turn::Look(record),
            Step::Judge(credentials) => Turn::Judge(credentials),
            Step::Succeed => self.succeed(),
            Step::Fail(why) => self.fail(why),
        }
    }

    /// Sends the next fragment.
    fn send(&mut self) -> Turn<R> {
        let (identifier, room) = (self.next(), self.room);
        match &mut self.stage {
            Stage::Method(talk) => Turn::Ask(talk.outgoing.next(identifier, talk.method, room)),
            Stage::Identity | Stage::Offered { .. } | Stage::Over(_) => self.fail(None),
        }
    }

    fn succeed(&mut self) -> Turn<R> {
        let keys = match &mut self.stage {
            Stage::Method(talk) => talk.dialogue.finish(&self.house),
            Stage::Identity | Stage::Offered { .. } | Stage::Over(_) => None,
        };
        let Some((receive_key, send_key, session_id)) = keys else {
            return self.fail(Some(Failed::Protocol("no keys")));
        };
        self.stage = Stage::Over(self.told());
        Turn::Success(Success {
            packet: packet::success(self.identifier),
            receive_key,
            send_key,
            session_id,
        })
    }

    fn fail(&mut self, why: Option<Failed>) -> Turn<R> {
        if let Stage::Method(talk) = &self.stage {
            talk.dialogue.forget(&self.house);
        }
        self.stage = Stage::Over(self.told());
        Turn::Failure(packet::failure(self.identifier), why)
    }

    fn discard(&mut self, why: &'static str) -> Turn<R> {
        self.odd += 1;
        if self.odd > ODD_PACKETS {
            return self.fail(Some(Failed::Protocol("too many odd packets")));
        }
        Turn::Discard(why)
    }

    /// The identifier of the next Request: never that of the one before (RFC 3748 §4.1).
    fn next(&mut self) -> u8 {
        self.identifier = self.identifier.wrapping_add(1);
        self.identifier
    }
}

/// What a packet brought.
enum Came {
    /// Room for our next fragment.
    Acknowledgement,
    /// A part of a message.
    Part,
    /// The whole of one.
    Whole(Vec<u8>),
}

impl<R: Clone> Talk<R> {
    fn take(&mut self, data: &[u8]) -> Result<Came, &'static str> {
        let fragment = Fragment::read(self.method, data)?;
        if self.outgoing.is_pending() {
            return match fragment.is_acknowledgement() {
                true => Ok(Came::Acknowledgement),
                false => Err("data where our fragment was to be acknowledged"),
            };
        }
        let message = self.incoming.take(&fragment, self.dialogue.most())?;
        Ok(message.map_or(Came::Part, Came::Whole))
    }
}
