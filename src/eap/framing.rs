//! TLS messages in EAP packets: flags, lengths and fragments, both ways (RFC 5216 §3, 5281 §9.2).
//!
//! Who sends and acknowledges when is the conversation's.

use super::reader::Reader;
use super::{Method, Room, packet};

const LENGTH: u8 = 0x80;
const MORE: u8 = 0x40;
const START: u8 = 0x20;
/// Of TTLS and PEAP; EAP-TLS has reserved bits there.
const VERSION: u8 = 0x07;

/// Header, type and flags, and the length that a first fragment carries.
const FIRST_OCTETS: usize = packet::HEADER_OCTETS + 2 + 4;
/// Without that length.
const NEXT_OCTETS: usize = packet::HEADER_OCTETS + 2;

impl Room {
    /// The octets, within what is sane: below, a handshake would not end within its rounds; above, a packet would not fit RADIUS.
    pub(super) fn octets(self) -> usize {
        self.0.clamp(100, 4000)
    }
}

/// A method's first Request: it offers version 0, and has neither data nor length.
pub(super) fn start(identifier: u8, method: Method) -> Vec<u8> {
    packet::request(identifier, method.kind(), &[&[START]])
}

/// An empty Request: an acknowledgement of a fragment, or the peer's turn to speak.
pub(super) fn empty(identifier: u8, method: Method) -> Vec<u8> {
    packet::request(identifier, method.kind(), &[&[0]])
}

/// What one packet of the peer carries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    announced: Option<usize>,
    more: bool,
    octets: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Reads Type-Data.
    ///
    /// # Errors
    ///
    /// What is against the rules, in words.
    pub(super) fn read(method: Method, data: &'a [u8]) -> Result<Self, &'static str> {
        let mut reader = Reader::new(data);
        let flags = reader.octet().ok_or("packet without flags")?;
        if flags & START != 0 {
            return Err("start flag from the peer");
        }
        if method != Method::Tls && flags & VERSION != 0 {
            return Err("another version than was offered");
        }
        let announced = match flags & LENGTH {
            0 => None,
            _ => Some(reader.array().ok_or("length flag without a length")?),
        };
        let announced = announced
            .map(|octets| usize::try_from(u32::from_be_bytes(octets)).unwrap_or(usize::MAX));
        Ok(Self {
            announced,
            more: flags & MORE != 0,
            octets: reader.rest(),
        })
    }

    /// Whether it says nothing but that our fragment has arrived.
    pub(super) fn is_acknowledgement(&self) -> bool {
        self.octets.is_empty() && !self.more
    }
}

/// A message of the peer, as far as it has come.
#[derive(Default)]
pub(super) struct Incoming {
    /// The length that the first fragment announced.
    announced: Option<usize>,
    octets: Vec<u8>,
}

impl Incoming {
    /// Octets that are kept of it.
    pub(super) const fn octets(&self) -> usize {
        self.octets.capacity()
    }

    /// Takes a fragment; gives the message when it is whole. Memory grows with what has come, not with what was announced.
    ///
    /// # Errors
    ///
    /// What is against the rules, in words: longer than `most`, an announced length that changes or is not kept.
    pub(super) fn take(
        &mut self,
        fragment: &Fragment<'_>,
        most: usize,
    ) -> Result<Option<Vec<u8>>, &'static str> {
        let first = self.octets.is_empty();
        match (self.announced, fragment.announced) {
            (None, Some(announced)) if first => self.announced = Some(announced),
            (None, None) if first && fragment.more => {
                return Err("first fragment without a length");
            }
            (known, Some(announced)) if known != Some(announced) => {
                return Err("announced length that changes");
            }
            _ => {}
        }
        if fragment.more && fragment.octets.is_empty() {
            return Err("fragment without data");
        }
        let so_far = self.octets.len() + fragment.octets.len();
        if so_far > most || self.announced.is_some_and(|announced| announced > most) {
            return Err("message that is too long");
        }
        if self.announced.is_some_and(|announced| so_far > announced) {
            return Err("more than was announced");
        }
        self.octets.reserve_exact(fragment.octets.len());
        self.octets.extend(fragment.octets);
        if fragment.more {
            return Ok(None);
        }
        if self.announced.is_some_and(|announced| so_far < announced) {
            return Err("less than was announced");
        }
        Ok(Some(std::mem::take(self).octets))
    }
}

/// A message for the peer, as far as it has not left.
#[derive(Default)]
pub(super) struct Outgoing {
    octets: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    /// Takes a message, to leave by [`Outgoing::next`].
    pub(super) fn load(&mut self, octets: Vec<u8>) {
        *self = Self { octets, sent: 0 };
    }

    /// Whether fragments are left.
    pub(super) fn is_pending(&self) -> bool {
        self.sent < self.octets.len()
    }

    /// The next Request: the whole message if there is room, else its next fragment. Empty for an empty message.
    pub(super) fn next(&mut self, identifier: u8, method: Method, room: Room) -> Vec<u8> {
        let room = room.octets();
        let rest = self.octets.get(self.sent..).unwrap_or_default();
        let request = |data: &[&[u8]]| packet::request(identifier, method.kind(), data);
        if rest.len() <= room.saturating_sub(NEXT_OCTETS) {
            let packet = request(&[&[0], rest]);
            *self = Self::default();
            return packet;
        }
        let first = self.sent == 0;
        let head = if first { FIRST_OCTETS } else { NEXT_OCTETS };
        let (now, _) = rest.split_at(rest.len().min(room.saturating_sub(head)));
        self.sent += now.len();
        let length = u32::try_from(self.octets.len()).unwrap_or(u32::MAX);
        if first {
            request(&[&[LENGTH | MORE], &length.to_be_bytes(), now])
        } else {
            request(&[&[MORE], now])
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 1000;

    fn take(incoming: &mut Incoming, data: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
        incoming.take(&Fragment::read(Method::Ttls, data)?, MOST)
    }

    /// What becomes of packets, one after the other: the last answer.
    fn all(packets: &[&[u8]]) -> Result<Option<Vec<u8>>, &'static str> {
        let mut incoming = Incoming::default();
        let (last, before) = packets.split_last().unwrap();
        for packet in before {
            assert_eq!(take(&mut incoming, packet)?, None);
        }
        take(&mut incoming, last)
    }

    #[test]
    fn fragments_become_a_message() {
        assert_eq!(all(&[&[0, 1, 2]]), Ok(Some(vec![1, 2])));
        assert_eq!(all(&[&[0x80, 0, 0, 0, 2, 1, 2]]), Ok(Some(vec![1, 2])));
        let first: &[u8] = &[0xc0, 0, 0, 0, 3, 1];
        assert_eq!(all(&[first, &[0x40, 2], &[0, 3]]), Ok(Some(vec![1, 2, 3])));
        let again: &[u8] = &[0x80, 0, 0, 0, 3, 2, 3];
        assert_eq!(all(&[first, again]), Ok(Some(vec![1, 2, 3])));
    }

    #[test]
    fn what_is_against_the_rules_is_refused() {
        let first: &[u8] = &[0xc0, 0, 0, 0, 3, 1];
        let refused: &[(&[&[u8]], &str)] = &[
            (&[&[]], "packet without flags"),
            (&[&[0x20]], "start flag from the peer"),
            (&[&[1, 1]], "another version than was offered"),
            (&[&[0x80, 0, 0, 0]], "length flag without a length"),
            (&[&[0x40, 1]], "first fragment without a length"),
            (&[&[0xc0, 0, 0, 0, 3]], "fragment without data"),
            (&[first, &[0x40]], "fragment without data"),
            (
                &[first, &[0xc0, 0, 0, 0, 4, 2]],
                "announced length that changes",
            ),
            (&[&[0xc0, 0, 0, 4, 0, 1]], "message that is too long"),
            (
                &[&[0xc0, 255, 255, 255, 255, 1]],
                "message that is too long",
            ),
            (&[first, &[0, 2, 3, 4]], "more than was announced"),
            (&[first, &[0, 2]], "less than was announced"),
            (&[&[0x80, 0, 0, 0, 0, 1]], "more than was announced"),
        ];
        for (packets, why) in refused {
            assert_eq!(all(packets), Err(*why), "{packets:?}");
        }
        assert_eq!(Fragment::read(Method::Tls, &[0x1f]).map(|_| ()), Ok(()));
    }

    #[test]
    fn announced_length_takes_no_memory() {
        let mut incoming = Incoming::default();
        assert_eq!(take(&mut incoming, &[0xc0, 0, 0, 3, 0xe8, 1]), Ok(None));
        assert_eq!(incoming.octets.capacity(), 1);
    }

    proptest! {
        #[test]
        fn message_arrives_in_any_room(
            message in proptest::collection::vec(any::<u8>(), 0..MOST),
            room in 0usize..5000,
        ) {
            let (mut outgoing, mut incoming) = (Outgoing::default(), Incoming::default());
            outgoing.load(message.clone());
            loop {
                let packet = outgoing.next(1, Method::Ttls, Room(room));
                prop_assert!(packet.len() <= room.clamp(100, 4000));
                let came = take(&mut incoming, &packet[5..]).unwrap();
                prop_assert_eq!(came.is_none(), outgoing.is_pending());
                if let Some(came) = came {
                    prop_assert_eq!(came, message);
                    break;
                }
            }
        }
    }
}
