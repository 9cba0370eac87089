//! User-Password, hidden and revealed (RFC 2865 §5.2).

use crate::secret::Secret;

use super::authenticators::{OCTETS, digest};
use super::{BadPassword, PASSWORD_OCTETS, RequestAuthenticator};

/// Hides a password, padded with zeros to whole blocks. What is beyond [`PASSWORD_OCTETS`] is
/// cut off: the attribute has no room for it.
pub(super) fn hide(
    password: &[u8],
    secret: &Secret,
    authenticator: &RequestAuthenticator,
) -> Vec<u8> {
    let password = password.get(..PASSWORD_OCTETS).unwrap_or(password);
    let blocks = password.len().div_ceil(OCTETS).max(1);
    let mut hidden = Vec::with_capacity(blocks * OCTETS);
    let mut chain = *authenticator;
    for block in 0..blocks {
        let plain = password.iter().skip(block * OCTETS);
        let mut stream = digest(secret.expose(), &chain);
        for (octet, plain) in stream.iter_mut().zip(plain) {
            *octet ^= plain;
        }
        hidden.extend_from_slice(&stream);
        chain = stream;
    }
    hidden
}

/// Reveals a password and cuts it at the first zero octet, since some gear leaves what it likes
/// behind that.
pub(super) fn reveal(
    hidden: &[u8],
    secret: &Secret,
    authenticator: &RequestAuthenticator,
) -> Result<Secret, BadPassword> {
    let (blocks, rest) = hidden.as_chunks::<OCTETS>();
    if blocks.is_empty() || !rest.is_empty() || hidden.len() > PASSWORD_OCTETS {
        return Err(BadPassword::Length);
    }
    let mut plain = Vec::with_capacity(hidden.len());
    let mut chain = authenticator;
    for block in blocks {
        let stream = digest(secret.expose(), chain);
        plain.extend(block.iter().zip(stream).map(|(octet, key)| octet ^ key));
        chain = block;
    }
    // What is cut off here is wiped with the rest: a `Secret` wipes its whole capacity.
    let end = plain.iter().position(|octet| *octet == 0);
    plain.truncate(end.unwrap_or(plain.len()));
    Ok(Secret::new(plain))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_that_are_no_blocks_are_refused() {
        for length in [0, 1, 15, 17, 31, 127, 129, 144, 253] {
            let revealed = reveal(&vec![1; length], &Secret::from("s"), &[0; 16]);
            assert_eq!(revealed, Err(BadPassword::Length), "{length}");
        }
        for length in [16, 32, 112, 128] {
            assert!(reveal(&vec![1; length], &Secret::from("s"), &[0; 16]).is_ok());
        }
    }

    #[test]
    fn longest_password_has_eight_blocks() {
        let secret = Secret::from("s");
        let hidden = hide(&[b'x'; 200], &secret, &[3; 16]);
        assert_eq!(hidden.len(), PASSWORD_OCTETS);
        let plain = reveal(&hidden, &secret, &[3; 16]).unwrap();
        assert_eq!(plain.expose(), [b'x'; PASSWORD_OCTETS]);
    }

    #[test]
    fn nothing_typed_is_an_empty_password() {
        let secret = Secret::from("s");
        let hidden = hide(b"", &secret, &[3; 16]);
        assert_eq!(hidden.len(), 16);
        assert!(reveal(&hidden, &secret, &[3; 16]).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn hidden_is_revealed_up_to_its_first_zero(
            password in prop::collection::vec(any::<u8>(), 0..=128),
            secret in prop::collection::vec(any::<u8>(), 0..100),
            authenticator: [u8; 16],
        ) {
            let secret = Secret::new(secret);
            let hidden = hide(&password, &secret, &authenticator);
            let plain = reveal(&hidden, &secret, &authenticator).unwrap();
            let typed = password.split(|octet| *octet == 0).next().unwrap();
            prop_assert_eq!(plain.expose(), typed);
        }
    }
}
