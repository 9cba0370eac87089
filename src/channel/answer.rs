//! What a gateway's answer means.

use std::io;

use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::Template;
use super::outward::NotPublic;

/// Octets of an answer that are read: answers are a few hundred.
const ANSWER: usize = 64 * 1024;
/// Characters of a value that is not the expected one, at most, to be shown: a status word of a gateway fits (`4`, `29`,
/// `NG`), a code or a number does not, should the answer repeat one.
const SHOWN: usize = 3;
/// Characters of a message id that are kept.
const ID: usize = 128;

/// Why a gateway did not take a message. Says nothing of content or number.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The deadline had come before it was asked.
    #[error("was not asked: no time was left")]
    NoTime,
    /// No connection: nothing was sent.
    #[error("cannot be reached ({0})")]
    Unreachable(&'static str),
    /// No answer in time. The message may have been sent.
    #[error("did not answer in time (the message may have gone out)")]
    Silent,
    /// The connection broke before the answer was whole. The message may have been sent.
    #[error("broke off the connection (the message may have gone out)")]
    BrokeOff,
    /// A value of this message cannot stand where the template wants it.
    #[error("was not asked: a control character would stand in header {0}")]
    Unfit(String),
    /// A status that is no success.
    #[error("answered {}", .0.as_u16())]
    Status(StatusCode),
    /// Success by status, but not by content.
    #[error("answered {status}, but {pointer} {what}", status = .status.as_u16())]
    Content {
        status: StatusCode,
        pointer: String,
        what: String,
    },
    /// More octets than an answer has.
    #[error("answered with more than {ANSWER} octets (the message may have gone out)")]
    TooLong,
    /// A file that could not be written.
    #[error("cannot be written to ({0})")]
    Spool(io::ErrorKind),
}

impl Fault {
    /// Of a request that failed before its answer's status came.
    pub(super) fn of_request(error: &reqwest::Error) -> Self {
        if error.is_connect() {
            let why = if error.is_timeout() {
                "time-out"
            } else if is_by::<rustls::Error>(error) {
                "TLS refused"
            } else if is_by::<NotPublic>(error) {
                "no public address"
            } else {
                "no connection"
            };
            Self::Unreachable(why)
        } else if error.is_timeout() {
            Self::Silent
        } else {
            Self::BrokeOff
        }
    }

    /// Whether the message may have been sent, and nobody knows: a gateway that knows the message again may be asked again.
    pub(super) fn is_uncertain(&self) -> bool {
        matches!(self, Self::Silent | Self::BrokeOff)
    }
}

/// Whether an error of this kind lies at the bottom of another.
fn is_by<E: std::error::Error + 'static>(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        // io::Error keeps what it wraps apart from its sources.
        cause = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

/// How success is told from failure.
pub(super) struct Judge {
    statuses: Vec<StatusCode>,
    success: Option<(String, Option<String>)>,
    id: Option<String>,
}

impl Judge {
    /// By the template's statuses and pointers.
    pub(super) fn of(template: &Template) -> io::Result<Self> {
        let fault = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let success = template.success_pointer.iter().map(|(pointer, _)| pointer);
        for pointer in success.chain(&template.id_pointer) {
            if !pointer.is_empty() && !pointer.starts_with('/') {
                return Err(fault(format!(
                    "{pointer} is no JSON pointer: it must begin with /"
                )));
            }
        }
        Ok(Self {
            statuses: template
                .success_status
                .iter()
                .map(|&status| {
                    StatusCode::from_u16(status)
                        .map_err(|_| fault(format!("{status} is no HTTP status")))
                })
                .collect::<Result<_, _>>()?,
            success: template.success_pointer.clone(),
            id: template.id_pointer.clone(),
        })
    }

    /// The gateway's id for the message, if it took it.
    pub(super) async fn judge(&self, response: Response) -> Result<Option<String>, Fault> {
        let status = response.status();
        let good = match self.statuses.is_empty() {
            true => status.is_success(),
            false => self.statuses.contains(&status),
        };
        if !good {
            return Err(Fault::Status(status));
        }
        if self.success.is_none() && self.id.is_none() {
            return Ok(None);
        }
        let body = body(response).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        self.check(status, &answer)?;
        Ok(self
            .id
            .as_ref()
            .and_then(|pointer| text(answer.pointer(pointer)?))
            .map(|id| id.chars().filter(|c| !c.is_control()).take(ID).collect()))
    }

    fn check(&self, status: StatusCode, answer: &Value) -> Result<(), Fault> {
        let Some((pointer, expected)) = &self.success else {
            return Ok(());
        };
        let what = match (answer.pointer(pointer), expected) {
            (None | Some(Value::Null), _) => "is not there".to_owned(),
            (Some(_), None) => return Ok(()),
            (Some(value), Some(expected)) => match text(value) {
                Some(value) if value == *expected => return Ok(()),
                Some(value) if is_word(&value) => format!("is {value}"),
                Some(_) | None => "is another".to_owned(),
            },
        };
        Err(Fault::Content {
            status,
            pointer: pointer.clone(),
            what,
        })
    }
}

fn is_word(value: &str) -> bool {
    (1..=SHOWN).contains(&value.len()) && value.bytes().all(|octet| octet.is_ascii_alphanumeric())
}

/// A value as text: gateways differ on whether 0 is a number.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The body, if it is no longer than answers are.
pub(super) async fn body(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| match error.is_timeout() {
            true => Fault::Silent,
            false => Fault::BrokeOff,
        })?
    {
        if body.len() + chunk.len() > ANSWER {
            return Err(Fault::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judge(pointer: &str, value: Option<&str>) -> Judge {
        Judge {
            statuses: Vec::new(),
            success: Some((pointer.to_owned(), value.map(str::to_owned))),
            id: None,
        }
    }

    #[test]
    fn values_are_compared_as_text() {
        for (answer, good) in [
            (json!({"messages": [{"status": "0"}]}), true),
            (json!({"messages": [{"status": 0}]}), true),
            (json!({"messages": [{"status": "4"}]}), false),
            (json!({"messages": [{"status": null}]}), false),
            (json!({"messages": [{"status": ["0"]}]}), false),
            (json!({"messages": []}), false),
            (json!(null), false),
        ] {
            let result = judge("/messages/0/status", Some("0")).check(StatusCode::OK, &answer);
            assert_eq!(result.is_ok(), good, "{answer}");
        }
    }

    #[test]
    fn faults_show_status_words_and_nothing_longer() {
        let fault = |status: &str| {
            judge("/status", Some("0"))
                .check(StatusCode::OK, &json!({"status": status}))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(fault("29"), "answered 200, but /status is 29");
        assert_eq!(fault("482913"), "answered 200, but /status is another");
    }
}
