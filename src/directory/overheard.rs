//! What a server's octets come to, for the fuzzer and its corpus.

use super::protocol::{Attributes, Inbox, Message, Operation};
use super::{Bind, Entry, Settings, entry, refusal};
use crate::clock::Timestamp;

/// One message of a server.
#[derive(Debug)]
pub enum Heard {
    /// The answer to a bind; `None` if it decides nothing.
    Bind(Option<Bind>),
    /// An entry; `None` if it has no stable id.
    Person(Option<Entry>),
    /// Anything else that may come.
    Other,
}

/// Reads what a server sent, piece by piece, up to the first octets that would cost it the connection.
#[must_use]
pub fn overhear(pieces: &[&[u8]], settings: &Settings) -> Vec<Heard> {
    let mut heard = Vec::new();
    let mut inbox = Inbox::default();
    for piece in pieces {
        inbox.push(piece);
        loop {
            match inbox.next() {
                Ok(Some(message)) => heard.push(Heard::of(&message, settings)),
                Ok(None) => break,
                Err(_) => return heard,
            }
        }
    }
    heard
}

impl Heard {
    fn of(message: &Message<'_>, settings: &Settings) -> Self {
        match message.operation {
            Operation::Bind(outcome) => Self::Bind(refusal::judge(&outcome)),
            Operation::Entry(octets) => {
                let found = Attributes::new(octets);
                Self::Person(entry::person(&found, settings, Timestamp::default()))
            }
            Operation::Reference | Operation::Done(_) | Operation::Extended(_) => Self::Other,
        }
    }
}
