//! A paired device: it holds a P-256 key that cannot be taken out of it, and signs what its owner decides.
//!
//! Signatures are ECDSA with SHA-256 in the fixed form of 64 octets (IEEE P1363), as browsers make them. What is signed is a
//! text of lines that says all that the decision is about, so that a signature is good for nothing else. No line can hold
//! a line break: each part is a number, a name of the configuration, or text that `account` made safe to show.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    ParsedPublicKey,
};

use crate::account::{AccountId, AttemptId, ClientName, Station};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Octets of an uncompressed point: 4, x, y.
const POINT: usize = 65;
/// Octets of a signature: r, s.
pub const SIGNATURE: usize = 64;

/// The public half of a device's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceKey([u8; POINT]);

/// The octets are no point of the curve in uncompressed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no uncompressed point of P-256")]
pub struct BadKey;

impl DeviceKey {
    /// Takes an uncompressed point.
    ///
    /// # Errors
    ///
    /// When it is none of the curve.
    pub fn new(octets: &[u8]) -> Result<Self, BadKey> {
        let point: [u8; POINT] = octets.try_into().map_err(|_| BadKey)?;
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| BadKey)?;
        Ok(Self(point))
    }

    /// The point, for the store.
    #[must_use]
    pub const fn octets(&self) -> &[u8; POINT] {
        &self.0
    }

    /// Whether the text was signed with this key's private half.
    #[must_use]
    pub fn verify(&self, text: &str, signature: &[u8; SIGNATURE]) -> bool {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.0)
            .is_ok_and(|key| key.verify_sig(text.as_bytes(), signature).is_ok())
    }
}

/// A key of ours that signs: the requests that devices show, so that a page from elsewhere cannot invent one.
pub struct Signer {
    pair: EcdsaKeyPair,
}

impl Signer {
    /// A new key as PKCS #8, for the store.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give.
    #[must_use]
    #[expect(clippy::expect_used, reason = "without randomness no key may be made")]
    pub fn generate() -> Secret {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .expect("the operating system gives randomness");
        Secret::new(document.as_ref().to_vec())
    }

    /// Takes what [`Signer::generate`] made.
    ///
    /// # Errors
    ///
    /// When it is no such key.
    pub fn new(pkcs8: &Secret) -> Result<Self, BadKey> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.expose())
            .map(|pair| Self { pair })
            .map_err(|_| BadKey)
    }

    /// The public half as an uncompressed point.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    /// Signs a text.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "without randomness nothing may be signed"
    )]
    pub fn sign(&self, text: &str) -> Vec<u8> {
        self.pair
            .sign(&SystemRandom::new(), text.as_bytes())
            .expect("the operating system gives randomness")
            .as_ref()
            .to_vec()
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(…)")
    }
}

/// What the owner of a device says to a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Let it in. The digits that were typed on the device; empty where none are asked for.
    Approve {
        /// As typed, at most [`Response::DIGITS`].
        number: String,
    },
    /// Do not.
    Deny,
    /// Do not: it was not me.
    Report,
}

impl Response {
    /// The most digits that a number has.
    pub const DIGITS: usize = 4;

    /// Reads the word and the number that a device sent. `None` for any other word, or a number with something else than
    /// digits.
    #[must_use]
    pub fn read(word: &str, number: &str) -> Option<Self> {
        match word {
            "approve"
                if number.len() <= Self::DIGITS && number.bytes().all(|d| d.is_ascii_digit()) =>
            {
                Some(Self::Approve {
                    number: number.to_owned(),
                })
            }
            "deny" if number.is_empty() => Some(Self::Deny),
            "report" if number.is_empty() => Some(Self::Report),
            _ => None,
        }
    }

    const fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Approve { number } => ("approve", number.as_str()),
            Self::Deny => ("deny", ""),
            Self::Report => ("report", ""),
        }
    }
}

/// What a decision is about, as the device was shown it.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The prompt.
    pub prompt: &'a AttemptId,
    /// Whose login it is.
    pub account: &'a AccountId,
    /// Where to.
    pub client: &'a ClientName,
    /// Where from.
    pub station: &'a Station,
    /// When it was opened.
    pub opened: Timestamp,
}

/// The text that a device signs to decide. `counter` grows with each signature of a device, so that neither a copy of a
/// signature nor a copy of the device can be used beside it.
#[must_use]
pub fn decision_text(
    subject: &Subject<'_>,
    response: &Response,
    (device, counter): (i64, i64),
) -> String {
    let Subject {
        prompt,
        account,
        client,
        station,
        opened,
    } = subject;
    let (word, number) = response.words();
    let opened = opened.millis();
    format!(
        "sekisho decision 1\n{prompt}\n{account}\n{client}\n{station}\n{opened}\n{word}\n{number}\n{device}\n{counter}\n"
    )
}

/// The text that a device signs to ask what waits for it. Good for a minute around its time.
#[must_use]
pub fn poll_text(device: i64, at: Timestamp) -> String {
    format!("sekisho poll 1\n{device}\n{}\n", at.millis())
}

/// The text that a device signs when it is paired, to show that it has the key: over the pairing code and the key.
#[must_use]
pub fn pairing_text(code: &str, key: &DeviceKey) -> String {
    let key = data_encoding::BASE64URL_NOPAD.encode(key.octets());
    format!("sekisho pairing 1\n{code}\n{key}\n")
}

/// The text that a device signs to say where its doorbell is, or that it has none any more.
#[must_use]
pub fn doorbell_text(device: i64, counter: i64, doorbell: &str) -> String {
    format!("sekisho doorbell 1\n{device}\n{counter}\n{doorbell}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(response: &Response, counter: i64) -> String {
        let now = Timestamp::from_millis(1_795_577_291_123);
        let subject = Subject {
            prompt: &AttemptId::from_number(7),
            account: &AccountId::new("campus", "1"),
            client: &ClientName::new("vpn"),
            station: &Station::Unknown,
            opened: now,
        };
        decision_text(&subject, response, (3, counter))
    }

    #[test]
    fn a_signature_is_good_for_its_text_alone() {
        let signer = Signer::new(&Signer::generate()).unwrap();
        let key = DeviceKey::new(&signer.public()).unwrap();
        let approve = Response::Approve {
            number: "42".into(),
        };
        let signed = text(&approve, 1);
        let signature: [u8; SIGNATURE] = signer.sign(&signed).try_into().unwrap();
        assert!(key.verify(&signed, &signature));
        for other in [
            text(&approve, 2),
            text(&Response::Deny, 1),
            text(
                &Response::Approve {
                    number: "43".into(),
                },
                1,
            ),
        ] {
            assert!(!key.verify(&other, &signature), "{other}");
        }
        let other = Signer::new(&Signer::generate()).unwrap();
        let other = DeviceKey::new(&other.public()).unwrap();
        assert!(!other.verify(&signed, &signature));
        assert!(!key.verify(&signed, &[0; SIGNATURE]));
    }

    #[test]
    fn keys_are_points_of_the_curve() {
        let good = Signer::new(&Signer::generate()).unwrap().public();
        assert!(DeviceKey::new(&good).is_ok());
        let mut off = good.clone();
        off[64] ^= 1;
        for bad in [&off[..], &good[..64], &[4; POINT], &[0; POINT], b""] {
            assert_eq!(DeviceKey::new(bad), Err(BadKey));
        }
    }

    #[test]
    fn responses_are_read_strictly() {
        let read = |word, number| Response::read(word, number).is_some();
        assert!(read("approve", "42") && read("approve", "") && read("approve", "1234"));
        assert!(read("deny", "") && read("report", ""));
        for (word, number) in [
            ("approve", "12345"),
            ("approve", "4 "),
            ("approve", "４２"),
            ("deny", "42"),
            ("Approve", "42"),
            ("", ""),
        ] {
            assert!(!read(word, number), "{word} {number}");
        }
    }
}
