//! Looks into a ClientHello for the sessions that it names, before rustls sees it (RFC 5246 §7.4.1.2, 8446 §4.1.2 and §4.2.11).
//!
//! Nothing is decided by what is found here: it only says which session to look up.

use super::super::reader::Reader;
use super::sessions::SessionKey;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const PRE_SHARED_KEY: usize = 41;

/// More sessions than a peer keeps for one network.
const NAMED: usize = 4;

/// The sessions that a peer's first message names, if it is a ClientHello: those whose names are as long as ours.
pub(in crate::eap) fn sessions_named(message: &[u8]) -> Vec<SessionKey> {
    let mut named = Vec::new();
    if let Some(hello) = handshake(message) {
        // What is cut off names no more sessions than were seen.
        let _ = look(&mut Reader::new(&hello), &mut named);
    }
    named
}

/// The octets of a ClientHello, taken out of its records.
fn handshake(message: &[u8]) -> Option<Vec<u8>> {
    let mut records = Reader::new(message);
    let mut octets = Vec::with_capacity(message.len());
    while !records.is_empty() {
        let [kind, _, _] = records.array()?;
        if kind != HANDSHAKE {
            return None;
        }
        octets.extend(records.counted()?);
    }
    let mut reader = Reader::new(&octets);
    if reader.octet()? != CLIENT_HELLO {
        return None;
    }
    let length = reader.triple()?;
    reader.take(length).map(<[u8]>::to_vec)
}

fn look(hello: &mut Reader<'_>, named: &mut Vec<SessionKey>) -> Option<()> {
    let _version_and_random: [u8; 34] = hello.array()?;
    let session = octets_after_one(hello)?;
    named.extend(SessionKey::try_from(session));
    let _suites = hello.counted()?;
    let _compressions = octets_after_one(hello)?;
    let mut extensions = Reader::new(hello.counted()?);
    while !extensions.is_empty() {
        let kind = extensions.pair()?;
        let mut value = Reader::new(extensions.counted()?);
        if kind != PRE_SHARED_KEY {
            continue;
        }
        let mut identities = Reader::new(value.counted()?);
        while !identities.is_empty() && named.len() < NAMED {
            named.extend(SessionKey::try_from(identities.counted()?));
            let _age: [u8; 4] = identities.array()?;
        }
    }
    Some(())
}

/// As many octets as the next octet says.
fn octets_after_one<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let count = reader.octet()?;
    reader.take(usize::from(count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(octets: &[u8]) -> Vec<u8> {
        [
            &u16::try_from(octets.len()).unwrap().to_be_bytes()[..],
            octets,
        ]
        .concat()
    }

    /// A hello with these in their places.
    fn hello(session: &[u8], identities: &[Vec<u8>], cut: usize) -> Vec<u8> {
        let identities: Vec<u8> = identities
            .iter()
            .flat_map(|identity| [counted(identity), vec![0; 4]].concat())
            .collect();
        let offer = [counted(&identities), counted(&[32; 33])].concat();
        let extensions = [
            vec![0, 43],
            counted(&[2, 3, 4]),
            vec![0, 41],
            counted(&offer),
        ]
        .concat();
        let body = [
            vec![3; 34],
            vec![u8::try_from(session.len()).unwrap()],
            session.to_vec(),
            counted(&[0x13, 1]),
            vec![1, 0],
            counted(&extensions),
        ]
        .concat();
        let [.., middle, low] = body.len().to_be_bytes();
        let octets = [vec![1, 0, middle, low], body].concat();
        let cut = cut.clamp(1, octets.len());
        octets
            .chunks(cut)
            .flat_map(|part| [vec![22, 3, 1], counted(part)].concat())
            .collect()
    }

    proptest! {
        #[test]
        fn sessions_are_found_in_any_hello(
            session in prop_oneof![Just(vec![]), proptest::collection::vec(any::<u8>(), 32)],
            identities in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 32),
                    proptest::collection::vec(any::<u8>(), 1..300),
                ],
                0..7,
            ),
            cut in 1usize..3000,
        ) {
            let expected: Vec<_> = std::iter::once(&session)
                .chain(&identities)
                .filter_map(|name| SessionKey::try_from(name.as_slice()).ok())
                .take(NAMED)
                .collect();
            prop_assert_eq!(sessions_named(&hello(&session, &identities, cut)), expected);
        }

        #[test]
        fn any_octets_name_few(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(sessions_named(&octets).len() <= NAMED);
        }

        #[test]
        fn spoilt_hello_names_few(at in 0usize..200, to in any::<u8>(), end in 0usize..300) {
            let mut octets = hello(&[7; 32], &[vec![8; 32], vec![9; 32]], 1000);
            let at = at % octets.len();
            octets[at] = to;
            octets.truncate(end);
            prop_assert!(sessions_named(&octets).len() <= NAMED);
        }
    }
}
