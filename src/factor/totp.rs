//! Time-based one-time codes (RFC 6238) over `totp-rs`.

use std::fmt::Write as _;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::secret::{Secret, random_array};

/// Seconds in a step: every app assumes it.
const STEP_SECS: u64 = 30;
/// Steps before and after the present one that are accepted (RFC 6238 §5.2).
const SKEW: u8 = 1;
/// Octets of a seed made here (RFC 4226 §4, R6).
const SEED_OCTETS: usize = 20;
/// Octets that a seed may have: 80 bits of old hardware tokens at least.
const SEED_BOUNDS: std::ops::RangeInclusive<usize> = 10..=128;

/// The number of a 30-second step since the epoch. The last one used never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TotpStep(pub u64);

/// The hash of a TOTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// HMAC-SHA-1, the only one that every app knows.
    #[default]
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl Algorithm {
    /// The word of the otpauth URI.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }
}

/// Why a seed cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSeed {
    /// Not base32.
    #[error("the secret is not base32")]
    NotBase32,
    /// Fewer than 80 bits, or more than 1024.
    #[error("the secret must have 10 to 128 octets")]
    Length,
    /// Digits outside 6 to 8.
    #[error("codes must have 6 to 8 digits")]
    Digits,
}

/// An enrolled generator of codes.
#[derive(Clone, Debug)]
pub struct Totp {
    seed: Secret,
    algorithm: Algorithm,
    digits: u8,
    codes: totp_rs::Totp,
}

impl Totp {
    /// A generator from its seed.
    ///
    /// # Errors
    ///
    /// [`BadSeed`] when seed or digits are outside their bounds.
    pub fn new(seed: Secret, algorithm: Algorithm, digits: u8) -> Result<Self, BadSeed> {
        if !SEED_BOUNDS.contains(&seed.len()) {
            return Err(BadSeed::Length);
        }
        if !(6..=8).contains(&digits) {
            return Err(BadSeed::Digits);
        }
        let codes = totp_rs::Builder::new()
            .with_algorithm(match algorithm {
                Algorithm::Sha1 => totp_rs::Algorithm::SHA1,
                Algorithm::Sha256 => totp_rs::Algorithm::SHA256,
                Algorithm::Sha512 => totp_rs::Algorithm::SHA512,
            })
            .with_digits(digits)
            .with_skew(u16::from(SKEW))
            .with_step_duration(STEP_SECS)
            .with_secret(seed.expose())
            .build_noncompliant();
        Ok(Self {
            seed,
            algorithm,
            digits,
            codes,
        })
    }

    /// A new generator with a random seed of 160 bits: SHA-1, 6 digits, as every app understands.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "length and digits are constants within their bounds"
    )]
    pub fn random() -> Self {
        let seed = Secret::new(random_array::<SEED_OCTETS>().to_vec());
        Self::new(seed, Algorithm::Sha1, 6).expect("20 octets and 6 digits are allowed")
    }

    /// Reads a seed as people write it: base32, any case, with space, hyphens or padding.
    ///
    /// # Errors
    ///
    /// [`BadSeed::NotBase32`].
    pub fn read_seed(text: &str) -> Result<Secret, BadSeed> {
        let letters: Zeroizing<String> = Zeroizing::new(
            text.chars()
                .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '='))
                .flat_map(char::to_uppercase)
                .collect(),
        );
        BASE32_NOPAD
            .decode(letters.as_bytes())
            .map(Secret::new)
            .map_err(|_| BadSeed::NotBase32)
    }

    /// The step whose code this is, within one step of now; `None` if it is no code of this generator now.
    #[must_use]
    pub fn verify(&self, code: &str, now: Timestamp) -> Option<TotpStep> {
        self.codes.check(code, now.secs()).map(TotpStep)
    }

    /// The code at a moment, for demonstrations and tests.
    #[must_use]
    pub fn code_at(&self, at: Timestamp) -> String {
        self.codes.generate(at.secs()).to_string()
    }

    /// The seed, to seal it.
    #[must_use]
    pub fn seed(&self) -> &Secret {
        &self.seed
    }
    /// The hash.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
    /// How many digits a code has.
    #[must_use]
    pub fn digits(&self) -> u8 {
        self.digits
    }

    /// The `otpauth://` URI for an app.
    #[must_use]
    pub fn uri(&self, issuer: &str, label: &str) -> Secret {
        let (issuer, label) = (percent(issuer), percent(label));
        let seed = Zeroizing::new(BASE32_NOPAD.encode(self.seed.expose()));
        let (algorithm, digits) = (self.algorithm.as_str(), self.digits);
        Secret::new(
            format!(
                "otpauth://totp/{issuer}:{label}?secret={}&issuer={issuer}&algorithm={algorithm}&digits={digits}&period={STEP_SECS}",
                seed.as_str()
            )
            .into_bytes(),
        )
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986 §2.3).
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(octet))
            }
            _ => {
                let _infallible = write!(out, "%{octet:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let seed = |octets: usize| {
            Secret::new(b"1234567890".iter().copied().cycle().take(octets).collect())
        };
        for (algorithm, octets, secs, code) in [
            (Algorithm::Sha1, 20, 59, "94287082"),
            (Algorithm::Sha256, 32, 59, "46119246"),
            (Algorithm::Sha512, 64, 59, "90693936"),
            (Algorithm::Sha1, 20, 1_111_111_109, "07081804"),
            (Algorithm::Sha256, 32, 20_000_000_000, "77737706"),
        ] {
            let totp = Totp::new(seed(octets), algorithm, 8).unwrap();
            assert_eq!(totp.code_at(Timestamp::from_secs(secs)), code);
        }
    }

    #[test]
    fn codes_hold_one_step_before_and_after() {
        let totp = Totp::random();
        let now = Timestamp::from_secs(1_700_000_010);
        let code = totp.code_at(now);
        let step = TotpStep(1_700_000_010 / 30);
        for offset in [-30, 0, 30] {
            assert_eq!(
                totp.verify(&code, Timestamp::from_secs(1_700_000_010 + offset)),
                Some(step)
            );
        }
        for offset in [-60, 60, 3600] {
            assert_ne!(
                totp.verify(&code, Timestamp::from_secs(1_700_000_010 + offset)),
                Some(step)
            );
        }
        assert_eq!(totp.verify("", now), None);
        assert_eq!(totp.verify("+12345", now), None);
        assert_eq!(totp.verify("12345678901234567890", now), None);
    }

    #[test]
    fn seeds_are_read_as_people_write_them() {
        let seed = Totp::read_seed("gezd gnbv-GY3T QOJQ====").unwrap();
        assert_eq!(seed.expose(), b"1234567890");
        assert_eq!(Totp::read_seed("0189").unwrap_err(), BadSeed::NotBase32);
        assert_eq!(
            Totp::new(Secret::from("short"), Algorithm::Sha1, 6).unwrap_err(),
            BadSeed::Length
        );
        assert_eq!(
            Totp::new(seed, Algorithm::Sha1, 9).unwrap_err(),
            BadSeed::Digits
        );
    }

    #[test]
    fn uri_names_issuer_twice_and_survives_japanese() {
        let totp = Totp::new(Secret::from("12345678901234567890"), Algorithm::Sha1, 6).unwrap();
        let uri = totp.uri("桜大学", "taro@example.ac.jp");
        assert_eq!(
            uri.expose_str().unwrap(),
            "otpauth://totp/%E6%A1%9C%E5%A4%A7%E5%AD%A6:taro%40example.ac.jp?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=%E6%A1%9C%E5%A4%A7%E5%AD%A6&algorithm=SHA1&digits=6&period=30"
        );
    }
}
