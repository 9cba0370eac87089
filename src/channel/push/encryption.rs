//! The content of a push message: `aes128gcm` (RFC 8188) in one record, for one subscription (RFC 8291).

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use zeroize::Zeroizing;

use super::Subscription;
use crate::secret::random_array;

/// Octets of every content, its delimiter and padding included: whoever carries it learns nothing from its length.
const CONTENT: usize = 2048;
/// The record size of the header: one record, and as many octets as every push service must take.
const RECORD: u32 = 4096;
/// Octets of the salt.
const SALT: usize = 16;
/// Marks the end of the content in the last record (RFC 8188 §2).
const DELIMITER: u8 = 2;

/// Why a message was not encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsealed {
    /// More octets than a message has.
    #[error("the message is too long")]
    TooLong,
    /// The subscription's key is no point, which was looked at when it was read.
    #[error("the subscription's key cannot be used")]
    Key,
}

impl From<Unspecified> for Unsealed {
    fn from(_: Unspecified) -> Self {
        Self::Key
    }
}

/// The body of a request: the message padded to one size, under a key that is used once.
pub(super) fn encrypt(to: &Subscription, message: &[u8]) -> Result<Vec<u8>, Unsealed> {
    if message.len() >= CONTENT {
        return Err(Unsealed::TooLong);
    }
    let mut content = message.to_vec();
    content.push(DELIMITER);
    content.resize(CONTENT, 0);
    let ephemeral = PrivateKey::generate(&ECDH_P256)?;
    seal(to, content, &ephemeral, random_array())
}

fn seal(
    to: &Subscription,
    mut content: Vec<u8>,
    ephemeral: &PrivateKey,
    salt: [u8; SALT],
) -> Result<Vec<u8>, Unsealed> {
    let public = ephemeral.compute_public_key()?;
    let shared = agree(
        ephemeral,
        UnparsedPublicKey::new(&ECDH_P256, to.p256dh()),
        Unsealed::Key,
        |secret| Ok(Salt::new(HKDF_SHA256, to.auth()).extract(secret)),
    )?;
    let input = expand(&shared, &[b"WebPush: info\0", to.p256dh(), public.as_ref()])?;
    let secret = Salt::new(HKDF_SHA256, &salt).extract(input.as_slice());
    let key = expand(&secret, &[b"Content-Encoding: aes128gcm\0"])?;
    let nonce = expand(&secret, &[b"Content-Encoding: nonce\0"])?;
    let (key, _) = key.split_first_chunk::<16>().ok_or(Unsealed::Key)?;
    let (nonce, _) = nonce
        .split_first_chunk::<NONCE_LEN>()
        .ok_or(Unsealed::Key)?;
    // The key is used for this record alone, so that its nonce cannot come again.
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key)?).seal_in_place_append_tag(
        Nonce::assume_unique_for_key(*nonce),
        Aad::empty(),
        &mut content,
    )?;
    let public = public.as_ref();
    let length = u8::try_from(public.len()).map_err(|_| Unsealed::Key)?;
    Ok([
        salt.as_slice(),
        &RECORD.to_be_bytes(),
        &[length],
        public,
        &content,
    ]
    .concat())
}

/// 32 octets of HKDF-Expand; a shorter output is their beginning.
fn expand(secret: &Prk, info: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>, Unspecified> {
    let mut octets = Zeroizing::new([0; 32]);
    secret
        .expand(info, HKDF_SHA256)?
        .fill(octets.as_mut_slice())?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::*;

    fn decode(text: &str) -> Vec<u8> {
        BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
    }

    fn recipient() -> Subscription {
        let json = r#"{"endpoint": "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV", "keys": {
            "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}"#;
        Subscription::read(json.as_bytes()).unwrap()
    }

    /// RFC 8291 §5 and appendix A.
    #[test]
    fn the_example_of_the_rfc_is_met() {
        let ephemeral = decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let ephemeral = PrivateKey::from_private_key(&ECDH_P256, &ephemeral).unwrap();
        let salt = decode("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let content = b"When I grow up, I want to be a watermelon\x02".to_vec();
        let body = seal(&recipient(), content, &ephemeral, salt).unwrap();
        assert_eq!(
            BASE64URL_NOPAD.encode(&body),
            concat!(
                "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml",
                "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT",
                "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
            )
        );
    }

    #[test]
    fn every_message_has_one_length_and_no_two_are_alike() {
        let encrypt = |length: usize| encrypt(&recipient(), &vec![b'a'; length]);
        let lengths = [0, 1, 500, CONTENT - 1].map(|length| encrypt(length).unwrap().len());
        assert_eq!(lengths, [86 + CONTENT + 16; 4]);
        assert_eq!(encrypt(CONTENT), Err(Unsealed::TooLong));
        assert_ne!(encrypt(5).unwrap()[..86], encrypt(5).unwrap()[..86]);
    }
}
