//! Keys: one master key, others derived from it by name; sealing at rest and keyed digests.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use zeroize::Zeroizing;

use super::{Secret, random_array};

/// A 256-bit key. The master key of an installation, or one derived from it for one purpose.
#[derive(Clone)]
pub struct Key {
    octets: Zeroizing<[u8; 32]>,
    hmac: hmac::Key,
}

/// Octets sealed by [`Key::seal`]: a 12-octet nonce, the ciphertext, a 16-octet tag.
pub type Sealed = Vec<u8>;

/// The sealed octets are not what this key, with these associated data, once sealed.
#[derive(Debug, thiserror::Error)]
#[error("sealed value cannot be opened: wrong key, wrong place or altered")]
pub struct Unsealable;

impl Key {
    /// Takes 32 octets as a key.
    #[must_use]
    pub fn new(octets: [u8; 32]) -> Self {
        Self {
            hmac: hmac::Key::new(HMAC_SHA256, &octets),
            octets: Zeroizing::new(octets),
        }
    }

    /// A new random key.
    #[must_use]
    pub fn random() -> Self {
        Self::new(random_array())
    }

    /// The key's octets, to write it to its file or wrap it.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.octets
    }

    /// The key for one purpose: HMAC-SHA-256 of the purpose's name under this key.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Self {
        Self::new(self.digest(&[b"sekisho key", purpose.as_bytes()]))
    }

    /// The keyed digest of several parts. Each part's length is part of what is digested, so that
    /// moving octets from one part to the next changes the digest.
    #[must_use]
    pub fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.hmac);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    /// Encrypts with AES-256-GCM under a random nonce; `place` (table, column, row) is
    /// authenticated with it, so that a value moved elsewhere does not open.
    ///
    /// # Panics
    ///
    /// Never for values of the sizes kept here: AES-GCM refuses only beyond 64 GiB.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the length limit of AES-GCM is 64 GiB")]
    pub fn seal(&self, place: &[u8], plain: &Secret) -> Sealed {
        let nonce = random_array::<NONCE_LEN>();
        let mut body = Zeroizing::new(plain.expose().to_vec());
        let tag = self
            .cipher()
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place),
                &mut body,
            )
            .expect("the value is shorter than 64 GiB");
        [&nonce, body.as_slice(), tag.as_ref()].concat()
    }

    /// Decrypts what [`Key::seal`] made for the same place.
    ///
    /// # Errors
    ///
    /// [`Unsealable`] when key, place or octets are not those of the sealing.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Secret, Unsealable> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Unsealable)?;
        let mut body = Zeroizing::new(body.to_vec());
        let plain = self
            .cipher()
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(place),
                &mut body,
            )
            .map_err(|_| Unsealable)?;
        Ok(Secret::new(plain.to_vec()))
    }

    #[expect(
        clippy::expect_used,
        reason = "the key has the algorithm's length by its type"
    )]
    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, self.octets.as_slice()).expect("32 octets"))
    }
}

/// HMAC-SHA-256 of the octets as they stand, under a key of any length, for others who compute the same (RFC 2104).
#[must_use]
pub fn hmac_sha256(key: &Secret, octets: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, key.expose()), octets);
    digest.copy_from_slice(tag.as_ref());
    digest
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_opens_only_in_its_place_under_its_key() {
        let key = Key::random();
        let sealed = key.seal(b"factor/seed/1", &Secret::from("seed"));
        assert_eq!(
            key.open(b"factor/seed/1", &sealed).unwrap(),
            Secret::from("seed")
        );
        assert!(key.open(b"factor/seed/2", &sealed).is_err());
        assert!(Key::random().open(b"factor/seed/1", &sealed).is_err());
        assert!(key.open(b"factor/seed/1", &sealed[..5]).is_err());
    }

    /// RFC 4231, case 2.
    #[test]
    fn hmac_is_that_of_the_rfc() {
        let digest = hmac_sha256(&Secret::from("Jefe"), b"what do ya want for nothing?");
        assert_eq!(
            data_encoding::HEXLOWER.encode(&digest),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn digest_knows_where_parts_end() {
        let key = Key::random();
        assert_ne!(key.digest(&[b"ab", b"c"]), key.digest(&[b"a", b"bc"]));
        assert_ne!(
            key.derive("a").digest(&[b"x"]),
            key.derive("b").digest(&[b"x"])
        );
    }
}
