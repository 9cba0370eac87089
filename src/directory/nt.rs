//! The NT hash of a password, and what is proven by it: a response to a challenge (RFC 2759 §8).
//!
//! The hash is as good as the password to whoever learns it. It is read for each proof, compared and wiped; no remembered entry
//! has it.

use std::fmt;

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use md4::Md4;
use sha1::Sha1;
use sha1::digest::Digest;
use zeroize::Zeroizing;

use super::protocol::Attributes;
use super::{NtResponse, Proof, Proven, Refusal};
use crate::secret::{Secret, equal};

/// What else is asked for with the hash, since no bind will tell it: Samba's flags, and whether the password must be changed.
pub(super) const STATES: [&str; 2] = [FLAGS, RESET];
const FLAGS: &str = "sambaAcctFlags";
const RESET: &str = "pwdReset";
/// The hash of an empty password, which proves nobody.
const OF_NOTHING: [u8; 16] = [
    0x31, 0xd6, 0xcf, 0xe0, 0xd1, 0x6a, 0xe9, 0x31, 0xb7, 0x3c, 0x59, 0xd7, 0xe0, 0xc0, 0x89, 0xc0,
];
/// RFC 2759 §8.7.
const SIGNING: &[u8] = b"Magic server to client signing constant";
const ITERATION: &[u8] = b"Pad to make it do more than one iteration";

/// MD4 of a password in UTF-16LE.
pub(super) struct NtHash(Zeroizing<[u8; 16]>);

impl NtHash {
    /// Reads 32 hex digits; `None` for what is no hash, such as Samba's `NO PASSWORD`, and for that of an empty password.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut octets = Zeroizing::new([0; 16]);
        let text = text.trim().as_bytes();
        if text.len() != 2 * octets.len() {
            return None;
        }
        data_encoding::HEXLOWER_PERMISSIVE
            .decode_mut(text, octets.as_mut_slice())
            .ok()?;
        (*octets != OF_NOTHING).then_some(Self(octets))
    }

    /// What proves to the peer that the hash is known, if its response was made with it.
    fn verify(&self, shown: &NtResponse) -> Option<[u8; 20]> {
        let challenge = challenge_hash(shown);
        let expected = challenge_response(&challenge, &self.0);
        equal(expected.as_slice(), &shown.response)
            .then(|| self.answer(&challenge, &shown.response))
    }

    /// The authenticator response (§8.7).
    fn answer(&self, challenge: &[u8; 8], response: &[u8; 24]) -> [u8; 20] {
        let of_hash = Zeroizing::new(<[u8; 16]>::from(Md4::digest(self.0.as_slice())));
        let first = Sha1::new()
            .chain_update(of_hash.as_slice())
            .chain_update(response)
            .chain_update(SIGNING)
            .finalize();
        let second = Sha1::new()
            .chain_update(first)
            .chain_update(challenge)
            .chain_update(ITERATION);
        second.finalize().into()
    }
}

/// Judges a response by the entry that was read for it.
pub(super) fn judge(found: &Attributes, attribute: &str, shown: &NtResponse) -> Proof {
    let Some(hash) = found.text(attribute).and_then(NtHash::read) else {
        return Proof::NoHash;
    };
    let Some(answer) = hash.verify(shown) else {
        return Proof::Refused(Refusal::WrongPassword);
    };
    match barred(found) {
        Some(refusal) => Proof::Refused(refusal),
        None => Proof::Proven(Proven {
            hash: Secret::new(hash.0.to_vec()),
            answer,
        }),
    }
}

/// What a bind would have refused, as far as attributes tell it.
fn barred(found: &Attributes) -> Option<Refusal> {
    let flags = found.text(FLAGS).unwrap_or_default();
    let reset = found.text(RESET).unwrap_or_default();
    if flags.contains('D') {
        Some(Refusal::Disabled)
    } else if flags.contains('L') {
        Some(Refusal::Locked)
    } else if reset.eq_ignore_ascii_case("true") {
        Some(Refusal::MustChange)
    } else {
        None
    }
}

/// §8.2: of the name, what stands behind a Windows domain.
fn challenge_hash(shown: &NtResponse) -> [u8; 8] {
    let domain = shown.name.iter().position(|octet| *octet == b'\\');
    let name = domain.and_then(|at| shown.name.get(at + 1..));
    let digest = Sha1::new()
        .chain_update(shown.peer_challenge)
        .chain_update(shown.challenge)
        .chain_update(name.unwrap_or(&shown.name))
        .finalize();
    let mut hash = [0; 8];
    hash.iter_mut()
        .zip(digest)
        .for_each(|(to, from)| *to = from);
    hash
}

/// §8.5: the challenge under three keys of seven octets each, made of the hash and zeros.
fn challenge_response(challenge: &[u8; 8], hash: &[u8; 16]) -> Zeroizing<[u8; 24]> {
    let mut padded = Zeroizing::new([0; 21]);
    padded
        .iter_mut()
        .zip(hash)
        .for_each(|(to, from)| *to = *from);
    let mut response = Zeroizing::new([0; 24]);
    for (part, key) in response.chunks_exact_mut(8).zip(padded.chunks_exact(7)) {
        let mut block = (*challenge).into();
        Des::new(&(*spread(key)).into()).encrypt_block(&mut block);
        part.copy_from_slice(&block);
    }
    response
}

/// Seven octets as eight of seven bits each; the lowest is for parity, which nobody looks at.
fn spread(key: &[u8]) -> Zeroizing<[u8; 8]> {
    let bits = key
        .iter()
        .fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
    let mut spread = Zeroizing::new([0; 8]);
    for (at, octet) in spread.iter_mut().rev().enumerate() {
        let seven = u8::try_from(bits >> (7 * at) & 0x7f).unwrap_or_default();
        *octet = seven << 1;
    }
    spread
}

impl fmt::Debug for NtResponse {
    /// Nothing that a password could be guessed by.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NtResponse(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2759 §9.2.
    fn example() -> NtResponse {
        NtResponse {
            name: b"User"[..].into(),
            challenge: *b"\x5b\x5d\x7c\x7d\x7b\x3f\x2f\x3e\x3c\x2c\x60\x21\x32\x26\x26\x28",
            peer_challenge: *b"\x21\x40\x23\x24\x25\x5e\x26\x2a\x28\x29\x5f\x2b\x3a\x33\x7c\x7e",
            response: *b"\x82\x30\x9e\xcd\x8d\x70\x8b\x5e\xa0\x8f\xaa\x39\x81\xcd\x83\x54\x42\x33\x11\x4a\x3d\x85\xd6\xdf",
        }
    }

    /// That of `clientPass`.
    const HASH: &str = "44EBBA8D5312B8D611474411F56989AE";
    const ANSWER: &str = "407A5589115FD0D6209F510FE9C04566932CDA56";

    fn judged(values: &[(&str, &str)], shown: &NtResponse) -> Result<Proven, String> {
        let values: Vec<_> = values
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let found = Attributes::made("uid=user", &values);
        match judge(&found, "sambaNTPassword", shown) {
            Proof::Proven(proven) => Ok(proven),
            Proof::Refused(refusal) => Err(format!("{refusal:?}")),
            Proof::NoHash => Err("no hash".to_owned()),
        }
    }

    fn by_hash(hash: &str, shown: &NtResponse) -> Result<Proven, String> {
        judged(&[("sambaNTPassword", hash)], shown)
    }

    #[test]
    fn the_example_of_the_rfc_is_proven_and_answered() {
        assert_eq!(
            challenge_hash(&example()),
            *b"\xd0\x2e\x43\x86\xbc\xe9\x12\x26"
        );
        let proven = by_hash(HASH, &example()).unwrap();
        assert_eq!(data_encoding::HEXUPPER.encode(&proven.answer), ANSWER);
        let mut utf16 = Vec::new();
        "clientPass"
            .encode_utf16()
            .for_each(|unit| utf16.extend(unit.to_le_bytes()));
        assert_eq!(proven.hash.expose(), Md4::digest(&utf16).as_slice());
    }

    #[test]
    fn the_domain_is_no_part_of_the_name_that_was_answered_with() {
        let of = |name: &[u8]| {
            let shown = NtResponse {
                name: name.into(),
                ..example()
            };
            by_hash(HASH, &shown).map(|_| ())
        };
        assert_eq!(of(b"EXAMPLE\\User"), Ok(()));
        let wrong = Err("WrongPassword".to_owned());
        for name in [&b"user"[..], b"User@example", b"User\\", b"", b"\\"] {
            assert_eq!(of(name), wrong, "{name:?}");
        }
    }

    #[test]
    fn one_wrong_bit_anywhere_is_a_wrong_password() {
        let wrong = Err("WrongPassword".to_owned());
        for bit in 0..24 * 8 {
            let mut shown = example();
            shown.response[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(by_hash(HASH, &shown).map(|_| ()), wrong, "bit {bit}");
        }
        for bit in 0..16 * 8 {
            let mut shown = example();
            shown.challenge[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(by_hash(HASH, &shown).map(|_| ()), wrong, "bit {bit}");
        }
        let other = "44EBBA8D5312B8D611474411F56989AF";
        assert_eq!(by_hash(other, &example()).map(|_| ()), wrong);
    }

    #[test]
    fn what_is_no_hash_proves_nobody() {
        for text in [
            "",
            "NO PASSWORDXXXXXXXXXXXXXXXXXXXXX",
            "44EBBA8D5312B8D611474411F56989A",
            "44EBBA8D5312B8D611474411F56989AE0",
            "31D6CFE0D16AE931B73C59D7E0C089C0",
        ] {
            let judged = by_hash(text, &example());
            assert_eq!(judged.map(|_| ()), Err("no hash".to_owned()), "{text:?}");
        }
        assert!(judged(&[], &example()).is_err());
    }

    #[test]
    fn a_right_response_does_not_open_an_account_that_is_closed() {
        for (name, value, refused) in [
            (FLAGS, "[UD         ]", Some("Disabled")),
            (FLAGS, "[UL         ]", Some("Locked")),
            (FLAGS, "[UX         ]", None),
            (RESET, "TRUE", Some("MustChange")),
            (RESET, "FALSE", None),
        ] {
            let values = [("sambaNTPassword", HASH), (name, value)];
            let judged = judged(&values, &example()).map(|_| ()).err();
            assert_eq!(judged.as_deref(), refused, "{value}");
        }
    }

    #[test]
    fn debug_shows_nothing_to_guess_by() {
        let proven = by_hash(HASH, &example()).unwrap();
        let shown = format!("{:?} {proven:?}", example());
        assert!(!shown.contains("130") && !shown.contains("68"), "{shown}");
    }
}
