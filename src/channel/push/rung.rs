//! What the answer of a push service or ntfy means.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::Rung;
use crate::channel::answer::{self, Fault};
use crate::clock::Timestamp;

/// How long a service is left alone that wants no more and does not say for how long.
const BUSY: Duration = Duration::from_secs(60);
/// How long a service is left alone at most, whatever it says.
const LONGEST: Duration = Duration::from_secs(3600);
/// Characters of the word by which a service says why, at most.
const WORD: usize = 40;

/// What came of a request.
pub(super) async fn of(asked: reqwest::Result<Response>, now: Timestamp) -> Rung {
    let response = match asked {
        Ok(response) => response,
        Err(error) => return Rung::Failed(Fault::of_request(&error).to_string()),
    };
    let status = response.status();
    let until = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| retry_after(value.to_str().ok()?, now));
    match (status, until) {
        (StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED, _) => Rung::Taken,
        (StatusCode::NOT_FOUND | StatusCode::GONE, _) => Rung::Gone,
        (StatusCode::TOO_MANY_REQUESTS, until) => Rung::Busy(until.unwrap_or(BUSY)),
        (StatusCode::SERVICE_UNAVAILABLE, Some(until)) => Rung::Busy(until),
        (
            StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::PAYLOAD_TOO_LARGE,
            _,
        ) => Rung::Refused(why(response).await),
        _ => Rung::Failed(Fault::Status(status).to_string()),
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110 §10.2.3), within bounds.
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) if !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_digit()) => LONGEST,
        Err(_) => {
            let until = jiff::fmt::rfc2822::parse(value).ok()?;
            Timestamp::from_millis(until.timestamp().as_millisecond()).since(now)
        }
    };
    Some(wait.clamp(Duration::from_secs(1), LONGEST))
}

/// The status, and the word or number by which Apple and Mozilla say why; nothing else of an answer, which may repeat what
/// was asked.
async fn why(response: Response) -> String {
    let status = Fault::Status(response.status());
    let body = answer::body(response).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_word = |word: &&str| {
        (1..=WORD).contains(&word.len()) && word.bytes().all(|octet| octet.is_ascii_alphanumeric())
    };
    let reason = body.get("reason").and_then(Value::as_str).filter(is_word);
    match (reason, body.get("errno").and_then(Value::as_u64)) {
        (Some(reason), _) => format!("{status}: {reason}"),
        (None, Some(number)) => format!("{status}: errno {number}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wait_is_read_in_both_forms_and_bounded() {
        let now = Timestamp::from_secs(1_445_412_480 - 120);
        for (value, seconds) in [
            ("30", Some(30)),
            (" 30 ", Some(30)),
            ("0", Some(1)),
            ("99999999", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(120)),
            ("Wed, 21 Oct 2015 07:00:00 GMT", Some(1)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let wait = retry_after(value, now).map(|wait| wait.as_secs());
            assert_eq!(wait, seconds, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_the_longest(value in "[0-9]{0,30}|.{0,40}", now in any::<i64>()) {
            if let Some(wait) = retry_after(&value, Timestamp::from_millis(now)) {
                prop_assert!(wait <= LONGEST && !wait.is_zero());
            }
        }
    }
}
