//! A site's own push service: it is told of a prompt, and answers for the person.
//!
//! Both sides sign with one key, over the time and what is said, so that neither believes anybody else, and nothing old. Not
//! here: whether a prompt is open and the number right (`access`), and the route that answers are posted to (the portal).

mod answer;
mod signature;

use std::io;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::answer::{Fault, body};
use super::push::is_word;
use super::{Channels, Webhook, outward};
use crate::account::{AccountId, ClientName, Station};
use crate::clock::{Clock, Timestamp};
use crate::secret::Secret;

pub use answer::{Answer, BadAnswer, Choice};
pub use signature::{SIGNATURE, TIMESTAMP};

/// The version of what is said.
const VERSION: u8 = 1;
/// Octets of a prompt's id, at most.
pub(super) const ID: usize = 64;

/// What a person's phone is to ask, for a service that shows it.
#[derive(Clone, Debug)]
pub struct Question {
    /// The opaque id of the prompt: letters, digits, `-` and `_`, 64 octets at most.
    pub prompt: String,
    /// The account's stable id.
    pub account: AccountId,
    /// The login name, as the directory has it.
    pub name: String,
    /// The client that is logged in to.
    pub client: ClientName,
    /// What people call it, in Japanese and in English.
    pub label: (String, String),
    /// Where the person sits, as far as it is known.
    pub station: Station,
    /// The zone that the station is in.
    pub zone: String,
    /// When the login began.
    pub at: Timestamp,
    /// When an answer comes too late.
    pub expires: Timestamp,
    /// Whether the person must type a number that the other side shows.
    pub number: Matching,
    /// Where the answer may be posted.
    pub answer_url: String,
}

/// Whether an approval needs a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// It does: an approval without the right one is none.
    Needed,
    /// It does not.
    Unneeded,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Asked {
    /// The service asks the person.
    Taken,
    /// The person has no device there.
    NoDevice,
    /// It did not take the question: why.
    Failed(String),
}

/// What came of asking for the answer.
#[derive(Debug)]
#[must_use]
pub enum Polled {
    /// The person decided.
    Answered(Answer),
    /// Not yet.
    Waiting,
    /// The service knows the prompt no longer.
    Gone,
    /// No answer that could be believed: why.
    Failed(String),
}

/// A webhook ready to be asked.
pub(super) struct Caller {
    client: Client,
    url: Url,
    key: Secret,
    timeout: Duration,
    poll: Option<Duration>,
}

impl Caller {
    pub(super) fn new(settings: &Webhook) -> io::Result<Self> {
        Ok(Self {
            client: settings.endpoint.client()?,
            url: settings.endpoint.url().clone(),
            key: settings.key.clone(),
            timeout: settings.timeout,
            poll: settings.poll,
        })
    }

    /// Posts what is said, signed; the answer's status.
    pub(super) async fn post(
        &self,
        said: &Value,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<StatusCode, Fault> {
        let said = said.to_string();
        let asked = self.client.post(self.url.clone());
        let asked = self.sign(asked, now, said.as_bytes());
        let asked = asked.header(CONTENT_TYPE, "application/json").body(said);
        let answer = self.send(asked, deadline).await?;
        Ok(answer.status())
    }

    pub(super) async fn probe(&self) -> Result<(), String> {
        outward::probe(&self.client, self.url.clone()).await
    }

    async fn ask(&self, question: &Question, clock: &Clock, deadline: Instant) -> Asked {
        if !is_word(&question.prompt, ID) {
            return Asked::Failed("the prompt's id is none".to_owned());
        }
        match self.post(&question.to_json(), clock.now(), deadline).await {
            Ok(status) if status.is_success() => Asked::Taken,
            Ok(StatusCode::NOT_FOUND) => Asked::NoDevice,
            Ok(status) => Asked::Failed(Fault::Status(status).to_string()),
            Err(fault) => Asked::Failed(fault.to_string()),
        }
    }

    async fn poll(&self, prompt: &str, clock: &Clock, deadline: Instant) -> Polled {
        let Some(url) = self.url_of(prompt) else {
            return Polled::Failed("the prompt's id is none".to_owned());
        };
        // A request without a body signs what it asks for.
        let asked = self.sign(self.client.get(url), clock.now(), prompt.as_bytes());
        let end = deadline.min(Instant::now() + self.timeout);
        let exchange = async {
            let answer = self.send(asked, end).await?;
            match answer.status() {
                StatusCode::OK => self.read(answer, prompt, clock).await,
                StatusCode::ACCEPTED => Ok(Polled::Waiting),
                StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Polled::Gone),
                status => Err(Fault::Status(status)),
            }
        };
        let polled = timeout_at(end, exchange)
            .await
            .unwrap_or(Err(Fault::Silent));
        polled.unwrap_or_else(|fault| Polled::Failed(fault.to_string()))
    }

    async fn read(&self, answer: Response, prompt: &str, clock: &Clock) -> Result<Polled, Fault> {
        let header = |name| {
            let value = answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (timestamp, signature) = (header(TIMESTAMP), header(SIGNATURE));
        let body = body(answer).await?;
        let read = Answer::read(&self.key, (&timestamp, &signature), &body, clock.now());
        Ok(match read {
            Ok(answer) if answer.prompt == prompt => Polled::Answered(answer),
            Ok(_) => Polled::Failed("answered for another prompt".to_owned()),
            Err(bad) => Polled::Failed(format!("answered what {bad}")),
        })
    }

    fn url_of(&self, prompt: &str) -> Option<Url> {
        let mut url = self.url.clone();
        if !is_word(prompt, ID) {
            return None;
        }
        url.path_segments_mut().ok()?.pop_if_empty().push(prompt);
        Some(url)
    }

    fn sign(&self, asked: RequestBuilder, now: Timestamp, said: &[u8]) -> RequestBuilder {
        let (timestamp, signature) = signature::sign(&self.key, now, said);
        asked
            .header(TIMESTAMP, timestamp)
            .header(SIGNATURE, signature)
    }

    async fn send(&self, asked: RequestBuilder, deadline: Instant) -> Result<Response, Fault> {
        let end = deadline.min(Instant::now() + self.timeout);
        match timeout_at(end, asked.send()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Fault::of_request(&error)),
            Err(_) => Err(Fault::Silent),
        }
    }
}

impl Question {
    fn to_json(&self) -> Value {
        let station = match &self.station {
            Station::Unknown => None,
            known @ (Station::Address(_) | Station::Mac(_)) => Some(known.to_string()),
        };
        json!({
            "version": VERSION,
            "prompt": self.prompt,
            "account": self.account.as_str(),
            "name": self.name,
            "client": {
                "name": self.client.as_str(),
                "ja": self.label.0,
                "en": self.label.1,
            },
            "station": station,
            "zone": self.zone,
            "at": moment(self.at),
            "expires": moment(self.expires),
            "number-needed": self.number == Matching::Needed,
            "answer-url": self.answer_url,
        })
    }
}

/// A moment as RFC 3339 writes it, in UTC.
pub(super) fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.millis())
        .unwrap_or_default()
        .to_string()
}

impl Channels {
    /// Whether the site's own push service is asked.
    #[must_use]
    pub fn has_webhook(&self) -> bool {
        self.webhook.is_some()
    }

    /// How often [`Channels::poll`] is to be called while a prompt is open; none: the answer is posted to the portal.
    #[must_use]
    pub fn poll_interval(&self) -> Option<Duration> {
        self.webhook.as_ref()?.poll
    }

    /// Hands a question to the site's own push service, once.
    pub async fn ask(&self, question: &Question, deadline: Instant) -> Asked {
        match &self.webhook {
            Some(webhook) => webhook.ask(question, &self.clock, deadline).await,
            None => Asked::Failed("no push service is configured".to_owned()),
        }
    }

    /// Asks the site's own push service, once, what the person decided.
    pub async fn poll(&self, prompt: &str, deadline: Instant) -> Polled {
        match &self.webhook {
            Some(webhook) => webhook.poll(prompt, &self.clock, deadline).await,
            None => Polled::Failed("no push service is configured".to_owned()),
        }
    }

    /// Reads an answer that was posted to the portal: the values of [`TIMESTAMP`] and [`SIGNATURE`], and the body. It is
    /// believed for a minute; that a prompt takes one answer alone is the store's to see.
    ///
    /// # Errors
    ///
    /// When no webhook is configured, or it is not its answer.
    pub fn posted_answer(
        &self,
        (timestamp, signature): (&str, &str),
        body: &[u8],
        now: Timestamp,
    ) -> Result<Answer, BadAnswer> {
        let webhook = self.webhook.as_ref().ok_or(BadAnswer::Signature)?;
        Answer::read(&webhook.key, (timestamp, signature), body, now)
    }
}
