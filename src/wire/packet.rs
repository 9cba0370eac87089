//! What all packets have: the header, attributes within their bounds, room for one more.

use super::reader::{Attributes, Reader};
use super::{
    ATTRIBUTES, Malformed, PACKET_OCTETS, RequestAuthenticator, VALUE_OCTETS, attribute,
    authenticators,
};

/// Octets of code, identifier, length and authenticator.
pub(super) const HEADER_OCTETS: usize = 20;
/// The length octet of Message-Authenticator.
const SIGNATURE_OCTETS: u8 = 18;

/// A datagram's packet after the walk: cut to its length field, every attribute within bounds.
pub(super) struct Walked<'a> {
    /// The exact octets.
    pub(super) octets: &'a [u8],
    /// The number of the code.
    pub(super) code: u8,
    /// The Identifier.
    pub(super) identifier: u8,
    /// The Authenticator field.
    pub(super) authenticator: RequestAuthenticator,
    /// Where the value of Message-Authenticator lies in the octets.
    pub(super) signature: Option<usize>,
}

impl<'a> Walked<'a> {
    /// Cuts off what is padding (RFC 2865 §3) and walks the attributes.
    pub(super) fn read(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(datagram);
        let header = (|| Some((reader.array()?, reader.array()?, reader.array()?)))();
        let ([code, identifier], length, authenticator) = header.ok_or(Malformed::Length)?;
        let length = usize::from(u16::from_be_bytes(length));
        if length > PACKET_OCTETS {
            return Err(Malformed::Length);
        }
        let octets = datagram.get(..length).ok_or(Malformed::Length)?;
        let list = octets.get(HEADER_OCTETS..).ok_or(Malformed::Length)?;
        Ok(Self {
            octets,
            code,
            identifier,
            authenticator,
            signature: walk(list)?.map(|at| at + HEADER_OCTETS),
        })
    }
}

/// Walks the list of attributes; says where in it the value of Message-Authenticator lies.
fn walk(list: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut reader = Reader::new(list);
    let mut signature = None;
    let mut count = 0;
    while !reader.is_empty() {
        let (kind, value) = reader.attribute().ok_or(Malformed::Attribute)?;
        count += 1;
        if kind == 0 {
            return Err(Malformed::Attribute);
        }
        if count > ATTRIBUTES {
            return Err(Malformed::TooMany);
        }
        if kind == attribute::MESSAGE_AUTHENTICATOR {
            let at = list.len() - reader.rest().len() - value.len();
            if value.len() != authenticators::OCTETS || signature.replace(at).is_some() {
                return Err(Malformed::MessageAuthenticator);
            }
        }
    }
    Ok(signature)
}

/// The attributes of a packet.
pub(super) fn attributes(octets: &[u8]) -> Attributes<'_> {
    Attributes::new(octets.get(HEADER_OCTETS..).unwrap_or_default())
}

/// A packet being written.
pub(super) struct Draft {
    octets: Vec<u8>,
    count: usize,
    signature: Option<usize>,
}

/// That an attribute fits no packet, or not this one any more.
#[derive(Debug)]
pub(super) struct NoRoom;

impl Draft {
    /// Octets that most packets need: up to here a draft allocates once.
    const USUAL_OCTETS: usize = 256;

    /// A header alone.
    pub(super) fn new(code: u8, identifier: u8, authenticator: &RequestAuthenticator) -> Self {
        let mut octets = Vec::with_capacity(Self::USUAL_OCTETS);
        octets.extend_from_slice(&[code, identifier, 0, 0]);
        octets.extend_from_slice(authenticator);
        Self {
            octets,
            count: 0,
            signature: None,
        }
    }

    /// A header and Message-Authenticator, its value to be filled in by [`Draft::finish`].
    pub(super) fn signed(code: u8, identifier: u8, authenticator: &RequestAuthenticator) -> Self {
        let mut draft = Self::new(code, identifier, authenticator);
        let header = [attribute::MESSAGE_AUTHENTICATOR, SIGNATURE_OCTETS];
        draft.octets.extend_from_slice(&header);
        draft.signature = Some(draft.octets.len());
        draft.octets.extend_from_slice(&[0; authenticators::OCTETS]);
        draft.count = 1;
        draft
    }

    /// Adds an attribute.
    pub(super) fn add(&mut self, kind: u8, value: &[u8]) -> Result<(), NoRoom> {
        let length = value.len() + 2;
        let fits = value.len() <= VALUE_OCTETS
            && self.octets.len() + length <= PACKET_OCTETS
            && self.count < ATTRIBUTES;
        let (true, Ok(length)) = (fits, u8::try_from(length)) else {
            return Err(NoRoom);
        };
        self.octets.extend_from_slice(&[kind, length]);
        self.octets.extend_from_slice(value);
        self.count += 1;
        Ok(())
    }

    /// Adds attributes until one has no room.
    pub(super) fn add_all<'b>(
        &mut self,
        mut attributes: impl Iterator<Item = (u8, &'b [u8])>,
    ) -> Result<(), NoRoom> {
        attributes.try_for_each(|(kind, value)| self.add(kind, value))
    }

    /// The attributes so far.
    pub(super) fn attributes(&self) -> Attributes<'_> {
        attributes(&self.octets)
    }

    /// Writes the length, then Message-Authenticator if it was added, computed with the
    /// authenticator that the draft began with (RFC 3579 §3.2).
    pub(super) fn finish(mut self, secret: &[u8]) -> Vec<u8> {
        let length = u16::try_from(self.octets.len()).unwrap_or(u16::MAX);
        patch(&mut self.octets, 2, &length.to_be_bytes());
        if let Some(at) = self.signature {
            let mac = authenticators::message(&self.octets, at, None, secret);
            patch(&mut self.octets, at, &mac);
        }
        self.octets
    }
}

/// Overwrites octets in their place.
pub(super) fn patch(octets: &mut [u8], at: usize, with: &[u8]) {
    if let Some(place) = octets.get_mut(at..at + with.len()) {
        place.copy_from_slice(with);
    }
}

/// Overwrites the Authenticator field.
pub(super) fn patch_authenticator(octets: &mut [u8], authenticator: &RequestAuthenticator) {
    patch(octets, 4, authenticator);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(list: &[u8]) -> Vec<u8> {
        let length = u16::try_from(HEADER_OCTETS + list.len()).unwrap();
        let mut octets = vec![1, 7];
        octets.extend_from_slice(&length.to_be_bytes());
        octets.extend_from_slice(&[9; 16]);
        octets.extend_from_slice(list);
        octets
    }

    #[test]
    fn padding_is_cut_off() {
        let mut datagram = packet(&[1, 3, b'b']);
        datagram.extend_from_slice(&[1, 0, 0, 0]);
        assert_eq!(Walked::read(&datagram).unwrap().octets.len(), 23);
    }

    #[test]
    fn signature_is_found_where_it_lies() {
        let mut list = vec![1, 3, b'b', 80, 18];
        list.extend_from_slice(&[5; 16]);
        list.extend_from_slice(&[33, 2]);
        assert_eq!(Walked::read(&packet(&list)).unwrap().signature, Some(25));
    }

    #[test]
    fn draft_refuses_what_no_packet_can_hold() {
        let mut draft = Draft::new(1, 7, &[0; 16]);
        assert!(draft.add(1, &[0; 254]).is_err());
        for _ in 0..15 {
            draft.add(1, &[0; 253]).unwrap();
        }
        assert!(draft.add(1, &[0; 253]).is_err());
        draft.add(1, &[0; 249]).unwrap();
        assert!(draft.add(1, &[]).is_err());
        let octets = draft.finish(b"secret");
        assert_eq!(octets.len(), PACKET_OCTETS);
        assert_eq!(Walked::read(&octets).unwrap().octets.len(), PACKET_OCTETS);
    }

    #[test]
    fn draft_refuses_more_attributes_than_a_reader_takes() {
        let mut draft = Draft::new(1, 7, &[0; 16]);
        for _ in 0..ATTRIBUTES {
            draft.add(33, &[]).unwrap();
        }
        assert!(draft.add(33, &[]).is_err());
        assert!(Walked::read(&draft.finish(b"secret")).is_ok());
    }
}
