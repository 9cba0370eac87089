//! EAP packets (RFC 3748 §4): a Response is read, a Request, Success or Failure is written.

use super::reader::Reader;
use super::{Method, PACKET_OCTETS};

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const SUCCESS: u8 = 3;
const FAILURE: u8 = 4;

/// Code, Identifier and Length.
pub(super) const HEADER_OCTETS: usize = 4;

/// Type Identity (RFC 3748 §5.1).
pub(super) const IDENTITY: u8 = 1;
/// Type Nak (§5.3.1).
pub(super) const NAK: u8 = 3;
/// Type Generic Token Card (§5.6).
pub(super) const GTC: u8 = 6;
/// Type MSCHAPv2 (draft-kamath-pppext-eap-mschapv2 §2).
pub(super) const MS_CHAP_V2: u8 = 26;
/// Type Expanded (§5.7), whose Vendor-Type 3 is the expanded Nak (§5.3.2).
pub(super) const EXPANDED: u8 = 254;

impl Method {
    /// Its Type.
    pub(super) const fn kind(self) -> u8 {
        match self {
            Self::Tls => 13,
            Self::Ttls => 21,
            Self::Peap => 25,
        }
    }

    /// Its name in a log.
    pub(super) const fn told(self) -> &'static str {
        match self {
            Self::Tls => "EAP-TLS",
            Self::Ttls => "EAP-TTLS",
            Self::Peap => "PEAP",
        }
    }
}

/// A Response of the peer; inside a tunnel, one that may hold a password.
#[derive(Clone, Copy)]
pub(super) struct Response<'a> {
    /// Which Request it answers.
    pub(super) identifier: u8,
    /// Type.
    pub(super) kind: u8,
    /// Type-Data.
    pub(super) data: &'a [u8],
}

/// No Response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is to be discarded without an answer (RFC 3748 §4).
    Odd(&'static str),
    /// A Request: somebody takes us for the peer (RFC 3579 §2.6.2).
    Request,
}

/// Reads a packet. What follows its Length is padding (RFC 3748 §4.1).
pub(super) fn read(octets: &[u8]) -> Result<Response<'_>, Unreadable> {
    let cut = Unreadable::Odd("EAP packet that is cut off");
    let mut reader = Reader::new(octets);
    let [code, identifier] = reader.array().ok_or(cut)?;
    let length = reader.pair().ok_or(cut)?;
    if length > PACKET_OCTETS {
        return Err(Unreadable::Odd("EAP packet that is too long"));
    }
    let body = length.checked_sub(HEADER_OCTETS).ok_or(cut)?;
    let (kind, data) = reader
        .take(body)
        .ok_or(cut)?
        .split_first()
        .ok_or(Unreadable::Odd("EAP packet without a type"))?;
    match code {
        RESPONSE => Ok(Response {
            identifier,
            kind: *kind,
            data,
        }),
        REQUEST => Err(Unreadable::Request),
        SUCCESS | FAILURE => Err(Unreadable::Odd("EAP-Success or Failure from a peer")),
        _ => Err(Unreadable::Odd("EAP packet of an unknown code")),
    }
}

/// A Request.
pub(super) fn request(identifier: u8, kind: u8, data: &[&[u8]]) -> Vec<u8> {
    let body: usize = data.iter().map(|part| part.len()).sum();
    let mut packet = Vec::with_capacity(HEADER_OCTETS + 1 + body);
    packet.extend([REQUEST, identifier]);
    packet.extend(length_of(HEADER_OCTETS + 1 + body));
    packet.push(kind);
    for part in data {
        packet.extend(*part);
    }
    packet
}

/// The number of two octets; what is written here is far shorter than it can say.
pub(super) fn length_of(octets: usize) -> [u8; 2] {
    u16::try_from(octets).unwrap_or(u16::MAX).to_be_bytes()
}

/// EAP-Success, with the identifier of the Response that it answers (RFC 3748 §4.2).
pub(super) fn success(identifier: u8) -> Vec<u8> {
    vec![SUCCESS, identifier, 0, 4]
}

/// EAP-Failure, likewise.
pub(super) fn failure(identifier: u8) -> Vec<u8> {
    vec![FAILURE, identifier, 0, 4]
}

/// What a peer that declines a method would rather have, in its order; `None` if it does not decline.
pub(super) fn wishes(kind: u8, data: &[u8]) -> Option<Vec<u8>> {
    match (kind, data) {
        (NAK, wanted) => Some(wanted.to_vec()),
        (EXPANDED, [0, 0, 0, 0, 0, 0, 3, wanted @ ..]) => Some(
            wanted
                .chunks_exact(8)
                .filter_map(|wanted| match wanted {
                    [EXPANDED, 0, 0, 0, 0, 0, 0, kind] => Some(*kind),
                    _ => None,
                })
                .collect(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_no_part_of_a_packet() {
        let Ok(read) = read(&[2, 7, 0, 6, 1, b'a', 0, 0]) else {
            panic!("not read");
        };
        assert_eq!((read.identifier, read.kind, read.data), (7, 1, &b"a"[..]));
    }

    #[test]
    fn what_is_no_response_is_not_read() {
        for packet in [
            &[][..],
            &[2],
            &[2, 7, 0],
            &[2, 7, 0, 4],
            &[2, 7, 0, 3, 1],
            &[2, 7, 0, 7, 1, b'a'],
            &[2, 7, 0x10, 1, 1],
            &[3, 7, 0, 4],
            &[4, 7, 0, 5, 1],
            &[9, 7, 0, 5, 1],
        ] {
            assert!(
                matches!(read(packet), Err(Unreadable::Odd(_))),
                "{packet:?}"
            );
        }
        assert!(matches!(read(&[1, 7, 0, 5, 1]), Err(Unreadable::Request)));
    }

    #[test]
    fn wishes_of_both_kinds_of_nak_are_read() {
        assert_eq!(wishes(3, &[25, 21]), Some(vec![25, 21]));
        assert_eq!(wishes(3, &[]), Some(vec![]));
        assert_eq!(wishes(21, &[25]), None);
        let expanded = [
            0, 0, 0, 0, 0, 0, 3, 254, 0, 0, 0, 0, 0, 0, 25, 254, 0, 0, 9, 0, 0, 0, 21, 254,
        ];
        assert_eq!(wishes(254, &expanded), Some(vec![25]));
    }
}
