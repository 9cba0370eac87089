//! Who sends: the key pair of this installation and the tokens signed with it (RFC 8292).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use reqwest::Url;
use serde_json::json;

use crate::clock::Timestamp;
use crate::secret::Secret;

/// How long a token holds; services refuse one of more than 24 hours.
const LIFE: Duration = Duration::from_secs(12 * 3600);
/// A token is made anew when less of its life is left: clocks differ.
const SPARE: Duration = Duration::from_secs(3600);
/// Tokens kept: one for each push service in use.
const TOKENS: usize = 64;
/// Octets of a subject, at most.
const SUBJECT: usize = 256;
/// Ends of names that no mail and no browser reaches from outside: Apple refuses every message of such a sender.
const UNREAL: [&str; 10] = [
    "local",
    "localhost",
    "localdomain",
    "invalid",
    "test",
    "example",
    "internal",
    "lan",
    "home",
    "arpa",
];

/// Whom a push service can write to about this installation: a `mailto:` or an `https:` address that could be real.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(String);

/// The text is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSubject {
    /// Neither `mailto:` nor `https:`, or not well formed.
    #[error("is neither an https:// nor a mailto: address")]
    Form,
    /// A name that nobody outside can reach.
    #[error("names a host that nobody outside can reach: Apple refuses that")]
    Unreal,
}

impl Subject {
    /// Reads `https://…` or `mailto:…`.
    ///
    /// # Errors
    ///
    /// When it is neither, or cannot be a real one.
    pub fn read(text: &str) -> Result<Self, BadSubject> {
        if text.len() > SUBJECT || !text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(BadSubject::Form);
        }
        let domain = match text.strip_prefix("mailto:") {
            Some(address) => {
                let address: lettre::Address = address.parse().map_err(|_| BadSubject::Form)?;
                address.domain().to_owned()
            }
            None => https_host(text).ok_or(BadSubject::Form)?,
        };
        if is_real(&domain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadSubject::Unreal)
        }
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn https_host(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let sound = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    sound.then(|| url.host_str().unwrap_or_default().to_owned())
}

/// Whether a name has the form of one that is known to the world.
fn is_real(domain: &str) -> bool {
    let end = domain
        .rsplit_once('.')
        .map(|(_, end)| end.to_ascii_lowercase());
    end.is_some_and(|end| {
        end.starts_with(|c: char| c.is_ascii_alphabetic()) && !UNREAL.contains(&end.as_str())
    })
}

/// The key pair that push services know this installation by (P-256). A browser subscribes for its public half: with
/// another key every subscription is void. Cheap to clone.
#[derive(Clone)]
pub struct VapidKey(Arc<Inner>);

struct Inner {
    // Wiped by the library when dropped.
    pair: EcdsaKeyPair,
    tokens: Mutex<HashMap<String, Token>>,
}

struct Token {
    value: String,
    until: Timestamp,
}

/// The octets are no key of P-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the push key cannot be used: no PKCS #8 of P-256")]
pub struct BadVapidKey;

impl VapidKey {
    /// The octets of a new key (PKCS #8), for [`VapidKey::from_pkcs8`].
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give: nothing safe can be done without it.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "without randomness no key may be made at all"
    )]
    pub fn generate() -> Secret {
        let pair =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        Secret::new(
            pair.expect("the operating system gives randomness")
                .as_ref()
                .to_vec(),
        )
    }

    /// Takes the octets that [`VapidKey::generate`] gave.
    ///
    /// # Errors
    ///
    /// When they are something else.
    pub fn from_pkcs8(octets: &Secret) -> Result<Self, BadVapidKey> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, octets.expose())
            .map_err(|_| BadVapidKey)?;
        if pair.public_key().as_ref().len() != 65 {
            return Err(BadVapidKey);
        }
        let tokens = Mutex::default();
        Ok(Self(Arc::new(Inner { pair, tokens })))
    }

    /// The public half: an uncompressed point.
    #[must_use]
    pub fn public_key(&self) -> [u8; 65] {
        let mut point = [0; 65];
        point.copy_from_slice(self.0.pair.public_key().as_ref());
        point
    }

    /// The value of `Authorization` for one push service, the same for some hours.
    pub(super) fn authorization(
        &self,
        origin: &str,
        subject: &Subject,
        now: Timestamp,
    ) -> Option<String> {
        let place = format!("{origin} {}", subject.as_str());
        let mut tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh =
            |token: &&Token| token.until.since(now) > SPARE && token.until.since(now) <= LIFE;
        if let Some(token) = tokens.get(&place).filter(fresh) {
            return Some(token.value.clone());
        }
        let until = now.after(LIFE);
        let value = self.sign(origin, subject, until)?;
        if tokens.len() >= TOKENS {
            tokens.clear();
        }
        tokens.insert(
            place,
            Token {
                value: value.clone(),
                until,
            },
        );
        Some(value)
    }

    fn sign(&self, origin: &str, subject: &Subject, until: Timestamp) -> Option<String> {
        let part = |json: serde_json::Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let head = part(json!({"typ": "JWT", "alg": "ES256"}));
        let claims = part(json!({"aud": origin, "exp": until.secs(), "sub": subject.as_str()}));
        let signed = format!("{head}.{claims}");
        let signature = self
            .0
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .ok()?;
        let signature = BASE64URL_NOPAD.encode(signature.as_ref());
        let key = BASE64URL_NOPAD.encode(&self.public_key());
        Some(format!("vapid t={signed}.{signature}, k={key}"))
    }
}

impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VapidKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use proptest::prelude::*;

    use super::*;

    fn key() -> VapidKey {
        VapidKey::from_pkcs8(&VapidKey::generate()).unwrap()
    }

    fn subject() -> Subject {
        Subject::read("mailto:mfa@example.ac.jp").unwrap()
    }

    #[test]
    fn a_token_is_signed_for_one_service_and_half_a_day() {
        let (key, now) = (key(), Timestamp::from_secs(1_800_000_000));
        let value = key
            .authorization("https://push.example.ac.jp", &subject(), now)
            .unwrap();
        let (token, public) = value
            .strip_prefix("vapid t=")
            .unwrap()
            .split_once(", k=")
            .unwrap();
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        assert_eq!(decode(public), key.public_key());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decode(public))
            .verify(signed.as_bytes(), &decode(signature))
            .unwrap();
        let (head, claims) = signed.split_once('.').unwrap();
        let json = |text| serde_json::from_slice::<serde_json::Value>(&decode(text)).unwrap();
        assert_eq!(json(head), json!({"typ": "JWT", "alg": "ES256"}));
        assert_eq!(
            json(claims),
            json!({"aud": "https://push.example.ac.jp", "exp": 1_800_043_200, "sub": "mailto:mfa@example.ac.jp"})
        );
    }

    #[test]
    fn a_token_is_kept_while_enough_of_its_life_is_left() {
        let (key, now) = (key(), Timestamp::from_secs(1_800_000_000));
        let at = |origin: &str, hours: u64| {
            let now = now.after(Duration::from_secs(hours * 3600));
            key.authorization(origin, &subject(), now).unwrap()
        };
        let first = at("https://a.example.ac.jp", 0);
        assert_eq!(at("https://a.example.ac.jp", 10), first);
        assert_ne!(at("https://b.example.ac.jp", 10), first);
        assert_ne!(at("https://a.example.ac.jp", 11), first);
        // A clock that was set back must not leave a token of more than half a day in use.
        let later = at("https://a.example.ac.jp", 30);
        assert_ne!(at("https://a.example.ac.jp", 0), later);
        for number in 0..1000 {
            at(&format!("https://{number}.example.ac.jp"), 0);
        }
        assert!(key.0.tokens.lock().unwrap().len() <= TOKENS);
    }

    #[test]
    fn a_key_is_what_was_generated_and_is_not_shown() {
        let octets = VapidKey::generate();
        let (first, again) = (
            VapidKey::from_pkcs8(&octets).unwrap(),
            VapidKey::from_pkcs8(&octets).unwrap(),
        );
        assert_eq!(first.public_key(), again.public_key());
        assert_eq!(first.public_key()[0], 4);
        assert_eq!(format!("{first:?}"), "VapidKey(…)");
        assert_ne!(key().public_key(), first.public_key());
        for broken in [&octets.expose()[1..], b"", b"no key"] {
            let broken = VapidKey::from_pkcs8(&Secret::new(broken.to_vec()));
            assert_eq!(broken.err(), Some(BadVapidKey));
        }
    }

    #[test]
    fn subjects_are_addresses_that_could_be_real() {
        for good in [
            "https://mfa.example.ac.jp",
            "https://mfa.example.ac.jp/contact",
            "mailto:mfa@example.ac.jp",
        ] {
            assert_eq!(Subject::read(good).unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", BadSubject::Form),
            ("mfa@example.ac.jp", BadSubject::Form),
            ("http://mfa.example.ac.jp", BadSubject::Form),
            ("https://", BadSubject::Form),
            ("https://u:p@mfa.example.ac.jp", BadSubject::Form),
            ("mailto:", BadSubject::Form),
            ("mailto:mfa", BadSubject::Form),
            ("https://mfa.example.ac.jp/\n", BadSubject::Form),
            ("mailto:窓口@example.ac.jp", BadSubject::Form),
            ("mailto:mfa@localhost", BadSubject::Unreal),
            ("https://localhost", BadSubject::Unreal),
            ("https://mfa.local", BadSubject::Unreal),
            ("https://mfa.LOCAL/", BadSubject::Unreal),
            ("https://192.0.2.1", BadSubject::Unreal),
            ("https://[2001:db8::1]", BadSubject::Unreal),
            ("https://mfa", BadSubject::Unreal),
        ] {
            assert_eq!(Subject::read(bad), Err(why), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_a_subject_or_not(text in "(https://|mailto:)?[ -~]{0,60}|.{0,300}") {
            if let Ok(subject) = Subject::read(&text) {
                prop_assert!(subject.as_str().starts_with("https://") || subject.as_str().starts_with("mailto:"));
                prop_assert!(!subject.as_str().contains(char::is_control));
            }
        }
    }
}
