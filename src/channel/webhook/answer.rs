//! What a person decided, as the site's own push service says it.

use serde::Deserialize;

use super::{ID, is_word, signature};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Octets of an answer, at most.
const OCTETS: usize = 4096;
/// Digits of a typed number, at most.
const DIGITS: usize = 8;

/// An answer whose signature was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The prompt that it is for.
    pub prompt: String,
    /// What was decided.
    pub choice: Choice,
    /// The number typed, if one was: 1 to 8 digits.
    pub number: Option<Secret>,
}

/// What a person may decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// It was me.
    Approve,
    /// No.
    Deny,
    /// No, and it was not me.
    Report,
}

/// Why an answer is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// The signature is missing, or another.
    #[error("is not signed with the webhook's key")]
    Signature,
    /// Signed more than a minute ago or ahead: an old answer, or a clock is wrong.
    #[error("was signed more than a minute ago or ahead")]
    Time,
    /// Signed, and still no answer.
    #[error("is no answer to a prompt")]
    Form,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    prompt: String,
    decision: Choice,
    #[serde(default)]
    number: Option<String>,
}

impl Answer {
    /// Reads what was said under two headers, if it was signed with the key just now.
    pub(super) fn read(
        key: &Secret,
        headers: (&str, &str),
        body: &[u8],
        now: Timestamp,
    ) -> Result<Self, BadAnswer> {
        if body.len() > OCTETS {
            return Err(BadAnswer::Form);
        }
        signature::verify(key, headers, body, now)?;
        let raw: Raw = serde_json::from_slice(body).map_err(|_| BadAnswer::Form)?;
        let is_number = |number: &String| {
            (1..=DIGITS).contains(&number.len())
                && number.bytes().all(|octet| octet.is_ascii_digit())
        };
        if !is_word(&raw.prompt, ID) || !raw.number.iter().all(is_number) {
            return Err(BadAnswer::Form);
        }
        Ok(Self {
            prompt: raw.prompt,
            choice: raw.decision,
            number: raw.number.map(|number| Secret::new(number.into_bytes())),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::signature::sign;
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn key() -> Secret {
        Secret::from("a key of the webhook")
    }

    fn read(body: &str) -> Result<Answer, BadAnswer> {
        let (timestamp, signature) = sign(&key(), NOW, body.as_bytes());
        Answer::read(&key(), (&timestamp, &signature), body.as_bytes(), NOW)
    }

    #[test]
    fn answers_are_read_strictly() {
        let answer = read(r#"{"prompt":"p-1_A","decision":"approve","number":"07"}"#).unwrap();
        assert_eq!(
            answer,
            Answer {
                prompt: "p-1_A".to_owned(),
                choice: Choice::Approve,
                number: Some(Secret::from("07")),
            }
        );
        assert!(!format!("{answer:?}").contains("07"));
        for (word, choice) in [("deny", Choice::Deny), ("report", Choice::Report)] {
            let answer = read(&format!(r#"{{"prompt":"p","decision":"{word}"}}"#)).unwrap();
            assert_eq!((answer.choice, answer.number), (choice, None));
        }
        let long = "p".repeat(ID + 1);
        for body in [
            "",
            "null",
            "[]",
            r#""approve""#,
            r#"{"prompt":"p"}"#,
            r#"{"decision":"approve"}"#,
            r#"{"prompt":"p","decision":"Approve"}"#,
            r#"{"prompt":"p","decision":"approve","number":7}"#,
            r#"{"prompt":"p","decision":"approve","number":""}"#,
            r#"{"prompt":"p","decision":"approve","number":"1234567890"}"#,
            "{\"prompt\":\"p\",\"decision\":\"approve\",\"number\":\"\u{ff11}\u{ff12}\"}",
            r#"{"prompt":"p","decision":"approve","decision":"deny"}"#,
            r#"{"prompt":"p","decision":"approve","version":1}"#,
            r#"{"prompt":"../p","decision":"approve"}"#,
            r#"{"prompt":"","decision":"approve"}"#,
            &format!(r#"{{"prompt":"{long}","decision":"approve"}}"#),
            &format!(
                r#"{{"prompt":"p","decision":"approve"}}{}"#,
                " ".repeat(OCTETS)
            ),
        ] {
            assert_eq!(read(body), Err(BadAnswer::Form), "{body}");
        }
    }

    #[test]
    fn only_the_key_of_this_minute_is_believed() {
        let body = br#"{"prompt":"p","decision":"approve"}"#;
        let (timestamp, signature) = sign(&key(), NOW, body);
        let at = |seconds: i64, headers: (&str, &str)| {
            let now = Timestamp::from_millis(NOW.millis() + seconds * 1000);
            Answer::read(&key(), headers, body, now).err()
        };
        let good = (timestamp.as_str(), signature.as_str());
        for (seconds, expected) in [
            (0, None),
            (60, None),
            (-60, None),
            (61, Some(BadAnswer::Time)),
            (-61, Some(BadAnswer::Time)),
        ] {
            assert_eq!(at(seconds, good), expected, "{seconds}");
        }
        let (_, foreign) = sign(&Secret::from("another key"), NOW, body);
        let (later, _) = sign(&key(), NOW.after(std::time::Duration::from_secs(1)), body);
        let bare = signature.strip_prefix("v1=").unwrap();
        let huge = format!("v1={}", "0".repeat(100_000));
        for (timestamp, signature) in [
            (timestamp.as_str(), foreign.as_str()),
            (&later, &signature),
            (&timestamp, bare),
            (&timestamp, &signature[..20]),
            (&timestamp, ""),
            (&timestamp, "v1="),
            (&timestamp, "v2=00"),
            (&timestamp, &huge),
            ("", &signature),
            ("-1", &signature),
            ("+1800000000", &signature),
            ("99999999999999999999", &signature),
        ] {
            assert_eq!(at(0, (timestamp, signature)), Some(BadAnswer::Signature));
        }
        let nobodys = sign(&Secret::default(), NOW, body);
        let read = Answer::read(&Secret::default(), (&nobodys.0, &nobodys.1), body, NOW);
        assert_eq!(read, Err(BadAnswer::Signature));
    }

    proptest! {
        #[test]
        fn what_is_not_signed_is_never_believed(
            timestamp in ".{0,20}", signature in "(v1=)?[0-9a-f]{0,70}|.{0,70}", body in ".{0,200}"
        ) {
            let read = Answer::read(&key(), (&timestamp, &signature), body.as_bytes(), NOW);
            prop_assert_eq!(read, Err(BadAnswer::Signature));
        }

        #[test]
        fn what_is_signed_is_an_answer_or_not(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let (timestamp, signature) = sign(&key(), NOW, &body);
            let _any = Answer::read(&key(), (&timestamp, &signature), &body, NOW);
        }

        #[test]
        fn an_octet_more_or_less_is_another_answer(at in 0_usize..35, bit in 0_u8..8) {
            let mut body = br#"{"prompt":"p","decision":"approve"}"#.to_vec();
            let (timestamp, signature) = sign(&key(), NOW, &body);
            body[at] ^= 1 << bit;
            let read = Answer::read(&key(), (&timestamp, &signature), &body, NOW);
            prop_assert_eq!(read, Err(BadAnswer::Signature));
        }
    }
}
