//! The Result TLV that ends PEAPv0, in an EAP packet of type 33 that alone keeps its header
//! (draft-kamath-pppext-peapv0 §2, draft-hiller-eap-tlv §4).

use super::super::packet::{self, HEADER_OCTETS};
use super::super::reader::Reader;

const EXTENSIONS: u8 = 33;
const MANDATORY: usize = 0x8000;
const KIND: usize = 0x3fff;
const RESULT: usize = 3;
const CRYPTOBINDING: usize = 12;
const SUCCESS: usize = 1;
const FAILURE: usize = 2;

/// The server's result.
pub(in crate::eap) fn request(identifier: u8, success: bool) -> Vec<u8> {
    let value = if success { SUCCESS } else { FAILURE };
    let [.., value] = value.to_be_bytes();
    packet::request(identifier, EXTENSIONS, &[&[0x80, 3, 0, 2, 0, value]])
}

/// The peer's, if this is such a packet; whether it says success.
///
/// A Cryptobinding TLV is refused: none was asked for, so that nothing could have been computed in it.
pub(in crate::eap) fn result(plain: &[u8]) -> Option<Result<bool, &'static str>> {
    let response = packet::read(plain).ok()?;
    let whole = plain.len() == HEADER_OCTETS + 1 + response.data.len();
    (whole && response.kind == EXTENSIONS).then(|| read(response.data))
}

fn read(tlvs: &[u8]) -> Result<bool, &'static str> {
    let mut reader = Reader::new(tlvs);
    let mut found = None;
    while !reader.is_empty() {
        let cut = "malformed TLV";
        let head = reader.pair().ok_or(cut)?;
        let value = reader.counted().ok_or(cut)?;
        match head & KIND {
            RESULT => {
                let success = match value {
                    [0, value] if usize::from(*value) == SUCCESS => true,
                    [0, value] if usize::from(*value) == FAILURE => false,
                    _ => return Err("malformed Result TLV"),
                };
                if found.replace(success).is_some() {
                    return Err("two Result TLVs");
                }
            }
            CRYPTOBINDING => return Err("Cryptobinding TLV that nobody asked for"),
            _ if head & MANDATORY != 0 => return Err("unknown mandatory TLV"),
            _ => {}
        }
    }
    found.ok_or("no Result TLV")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(tlvs: &[u8]) -> Vec<u8> {
        let mut packet = packet::request(9, EXTENSIONS, &[tlvs]);
        packet[0] = 2;
        packet
    }

    #[test]
    fn result_is_read() {
        assert_eq!(result(&response(&[0x80, 3, 0, 2, 0, 1])), Some(Ok(true)));
        assert_eq!(result(&response(&[0x80, 3, 0, 2, 0, 2])), Some(Ok(false)));
        let with_optional = [0, 7, 0, 1, 9, 0x80, 3, 0, 2, 0, 1];
        assert_eq!(result(&response(&with_optional)), Some(Ok(true)));
        assert_eq!(request(9, true), [1, 9, 0, 11, 33, 0x80, 3, 0, 2, 0, 1]);
        assert_eq!(request(9, false), [1, 9, 0, 11, 33, 0x80, 3, 0, 2, 0, 2]);
    }

    #[test]
    fn anything_but_one_result_is_refused() {
        let binding = [&[0x80, 12, 0, 56][..], &[0; 56]].concat();
        let success = [0x80, 3, 0, 2, 0, 1];
        let refused: &[(&[u8], &str)] = &[
            (&[], "no Result TLV"),
            (&[0x80], "malformed TLV"),
            (&[0x80, 3, 0, 3, 0, 1], "malformed TLV"),
            (&[0x80, 3, 0, 2, 0, 3], "malformed Result TLV"),
            (&[0x80, 3, 0, 2, 1, 1], "malformed Result TLV"),
            (&[0x80, 3, 0, 1, 1], "malformed Result TLV"),
            (&[success, success].concat(), "two Result TLVs"),
            (
                &[&success[..], &binding].concat(),
                "Cryptobinding TLV that nobody asked for",
            ),
            (
                &[&success[..], &[0x80, 9, 0, 0]].concat(),
                "unknown mandatory TLV",
            ),
        ];
        for (tlvs, why) in refused {
            assert_eq!(result(&response(tlvs)), Some(Err(*why)), "{tlvs:?}");
        }
        assert_eq!(result(&request(9, true)), None, "our own");
        assert_eq!(result(&[6, b'x']), None);
    }
}
