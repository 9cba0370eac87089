//! MS-MPPE-Send-Key and MS-MPPE-Recv-Key, hidden and revealed (RFC 2548 §2.4.2, §2.4.3).

use crate::secret::{Secret, random_array};

use super::RequestAuthenticator;
use super::authenticators::{OCTETS, digest};

/// Octets of the salt in front.
const SALT_OCTETS: usize = 2;
/// The bit that every salt has set.
const SALT_BIT: u8 = 0x80;
/// Longest key: what leaves room for its length octet and the salt in a vendor's attribute.
const KEY_OCTETS: usize = 239;

/// What says how a key is hidden.
pub(super) type Salt = [u8; SALT_OCTETS];

/// Two salts, for the two keys of a packet: random, and never the same.
pub(super) fn salts() -> [Salt; 2] {
    let [high, low] = random_array();
    let first = [high | SALT_BIT, low];
    [first, [first[0], low ^ 1]]
}

/// Hides a key, behind its length and padded with zeros to whole blocks. None when it is too long for the attribute.
pub(super) fn hide(
    key: &Secret,
    secret: &Secret,
    authenticator: &RequestAuthenticator,
    salt: Salt,
) -> Option<Vec<u8>> {
    let length = u8::try_from(key.len()).ok()?;
    if key.len() > KEY_OCTETS {
        return None;
    }
    let mut plain = Vec::with_capacity((1 + key.len()).next_multiple_of(OCTETS));
    plain.push(length);
    plain.extend_from_slice(key.expose());
    plain.resize(plain.capacity(), 0);
    let plain = Secret::new(plain);
    let mut hidden = Vec::with_capacity(SALT_OCTETS + plain.len());
    hidden.extend_from_slice(&salt);
    let mut stream = digest(secret.expose(), &[&authenticator[..], &salt].concat());
    for block in plain.expose().chunks(OCTETS) {
        for (octet, plain) in stream.iter_mut().zip(block) {
            *octet ^= plain;
        }
        hidden.extend_from_slice(&stream);
        stream = digest(secret.expose(), &stream);
    }
    Some(hidden)
}

/// Reveals a key. None when the octets are no hidden key, or hidden under another secret.
pub(super) fn reveal(
    hidden: &[u8],
    secret: &Secret,
    authenticator: &RequestAuthenticator,
) -> Option<Secret> {
    let (salt, hidden) = hidden.split_first_chunk::<SALT_OCTETS>()?;
    let (blocks, rest) = hidden.as_chunks::<OCTETS>();
    if !rest.is_empty() || salt[0] & SALT_BIT == 0 {
        return None;
    }
    let mut plain = Vec::with_capacity(hidden.len());
    let mut stream = digest(secret.expose(), &[&authenticator[..], salt].concat());
    for block in blocks {
        plain.extend(block.iter().zip(stream).map(|(octet, key)| octet ^ key));
        stream = digest(secret.expose(), block);
    }
    let plain = Secret::new(plain);
    let (length, padded) = plain.expose().split_first()?;
    let key = padded.get(..usize::from(*length))?;
    Some(Secret::new(key.to_vec()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_hidden_as_the_formula_says() {
        // Computed apart from this code, step by step as RFC 2548 §2.4.2 writes it.
        let expected = concat!(
            "8001bb9423676db1f158e8fe1766ff18902037b8b6b903c6cce0efd711036232c3c6",
            "e19aedad1a0a525714c8ba9c7b45b98a",
        );
        let key = Secret::new((1..=32).collect());
        let hidden = hide(&key, &Secret::from("testing"), &[7; 16], [0x80, 1]).unwrap();
        assert_eq!(data_encoding::HEXLOWER.encode(&hidden), expected);
    }

    #[test]
    fn salts_of_a_packet_differ_and_have_their_bit() {
        for _ in 0..1000 {
            let [first, second] = salts();
            assert_ne!(first, second);
            assert!(first[0] & second[0] & SALT_BIT != 0);
        }
    }

    #[test]
    fn what_is_no_hidden_key_is_not_revealed() {
        let secret = Secret::from("s");
        let hidden = hide(&Secret::new(vec![9; 32]), &secret, &[3; 16], [0x80, 0]).unwrap();
        for length in [0, 1, 2, 3, 17, 49] {
            assert!(
                reveal(&hidden[..length], &secret, &[3; 16]).is_none(),
                "{length}"
            );
        }
        let unmarked = [&[0, 0], &hidden[2..]].concat();
        assert!(reveal(&unmarked, &secret, &[3; 16]).is_none());
        // Cut to its first block: the length octet says more than there is.
        assert!(reveal(&hidden[..18], &secret, &[3; 16]).is_none());
    }

    #[test]
    fn longest_key_is_known() {
        let hide = |octets| {
            hide(
                &Secret::new(vec![1; octets]),
                &Secret::from("s"),
                &[3; 16],
                [0x80, 0],
            )
        };
        assert_eq!(hide(KEY_OCTETS).unwrap().len(), 242);
        assert!(hide(KEY_OCTETS + 1).is_none());
        assert!(hide(300).is_none());
    }

    proptest! {
        #[test]
        fn hidden_is_revealed(
            key in prop::collection::vec(any::<u8>(), 0..=KEY_OCTETS),
            secret in prop::collection::vec(any::<u8>(), 1..100),
            authenticator: [u8; 16],
        ) {
            let secret = Secret::new(secret);
            let [salt, _] = salts();
            let key = Secret::new(key);
            let hidden = hide(&key, &secret, &authenticator, salt).unwrap();
            prop_assert_eq!(reveal(&hidden, &secret, &authenticator), Some(key));
        }
    }
}
