//! Codes that were made here: sent by SMS or voice, or printed as recovery codes.

use data_encoding::BASE32_NOPAD;
use unicode_normalization::UnicodeNormalization;

use crate::secret::{Key, Secret, random_array, random_digits};

/// Octets of a recovery code: 80 bits.
const RECOVERY_OCTETS: usize = 10;

/// Reads what somebody typed as a code: full-width digits made plain, space and hyphens taken out,
/// letters made upper case.
#[must_use]
pub fn typed_code(typed: &str) -> String {
    if typed.bytes().all(|octet| octet.is_ascii_digit()) {
        return typed.to_owned();
    }
    typed
        .nfkc()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '‐' | '−'))
        .flat_map(char::to_uppercase)
        .collect()
}

/// A code of digits to send. Kept only as digest.
pub struct OneTimeCode(Secret);

impl OneTimeCode {
    /// A new random code of 6 to 8 digits.
    #[must_use]
    pub fn random(digits: usize) -> Self {
        Self(Secret::from(random_digits(digits.clamp(6, 8)).as_str()))
    }

    /// The digits, to send them.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_str().unwrap_or_default()
    }

    /// What the store keeps: a digest under its key, bound to the account.
    #[must_use]
    pub fn digest(key: &Key, account: &str, code: &str) -> [u8; 32] {
        key.digest(&[b"one-time code", account.as_bytes(), code.as_bytes()])
    }
}

/// A printed code of 80 bits, in four groups of four base32 characters.
pub struct RecoveryCode(Secret);

impl RecoveryCode {
    /// How many base32 characters it has.
    pub const CHARACTERS: usize = 16;

    /// A new random code.
    #[must_use]
    pub fn random() -> Self {
        Self(Secret::from(
            BASE32_NOPAD
                .encode(&random_array::<RECOVERY_OCTETS>())
                .as_str(),
        ))
    }

    /// Whether a typed code (after [`typed_code`]) has the form of a recovery code.
    #[must_use]
    pub fn has_form(code: &str) -> bool {
        code.len() == Self::CHARACTERS && BASE32_NOPAD.decode(code.as_bytes()).is_ok()
    }

    /// The code in groups, to show it once.
    #[must_use]
    pub fn shown(&self) -> String {
        let text = self.0.expose_str().unwrap_or_default();
        let groups: Vec<&str> = (0..4)
            .filter_map(|group| text.get(group * 4..group * 4 + 4))
            .collect();
        groups.join("-")
    }

    /// What the store keeps: a digest under its key, bound to the account.
    #[must_use]
    pub fn digest(key: &Key, account: &str, code: &str) -> [u8; 32] {
        key.digest(&[b"recovery code", account.as_bytes(), code.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_codes_lose_what_people_add() {
        assert_eq!(typed_code(" 123 456 "), "123456");
        assert_eq!(typed_code("１２３４５６"), "123456");
        assert_eq!(typed_code("abcd-efgh-ijkl-mnop"), "ABCDEFGHIJKLMNOP");
    }

    #[test]
    fn recovery_codes_have_their_form() {
        let shown = RecoveryCode::random().shown();
        assert_eq!(shown.len(), 19);
        assert!(RecoveryCode::has_form(&typed_code(&shown)));
        assert!(!RecoveryCode::has_form("123456"));
        assert!(!RecoveryCode::has_form("ABCDEFGHIJKLMNO1"));
    }

    #[test]
    fn digests_are_bound_to_account_and_purpose() {
        let key = Key::random();
        let digest = OneTimeCode::digest(&key, "a", "123456");
        assert_ne!(digest, OneTimeCode::digest(&key, "b", "123456"));
        assert_ne!(digest, RecoveryCode::digest(&key, "a", "123456"));
    }
}
