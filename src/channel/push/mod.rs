//! Doorbells: what makes a phone look at the portal, where the prompt itself is.
//!
//! A ring carries fixed words and an opaque id. Who logs in, where, and the number to type are fetched by the page, so that
//! neither a push service nor a lock screen learns them, and a ring that never arrives loses nothing: the page asks by itself
//! while it is open. Web Push is RFC 8030 (the request), 8188 and 8291 (the content) and 8292 (who sends).

mod encryption;
mod ntfy;
mod rung;
mod services;
mod subscription;
mod vapid;
mod web;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::{Channels, Push};
use crate::account::Language;
use crate::clock::Clock;
use crate::secret::random_array;

pub use services::{BadService, Service};
pub use subscription::{BadSubscription, Subscription};
pub use vapid::{BadSubject, BadVapidKey, Subject, VapidKey};

pub(super) use ntfy::NtfyServer;
pub(super) use web::WebPusher;

/// Characters of the sender's name that a ring shows: a title has one line.
const SENDER: usize = 40;
/// Octets of a portal's address, at most.
const PORTAL: usize = 512;
/// Octets of an opaque id, at most.
const ID: usize = 64;
/// Octets of an ntfy topic, at most; its own bound.
const TOPIC: usize = 64;

/// How one device is rung. What it holds is a capability: whoever has it can ring, so that it is sealed at rest and never shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doorbell {
    /// A browser's, or that of an app that speaks the same (UnifiedPush).
    WebPush(Subscription),
    /// A topic of the site's ntfy server.
    Ntfy {
        /// Which.
        topic: Topic,
    },
}

/// The name of an ntfy topic, which nobody can guess.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Topic(String);

/// The text is no name of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no topic: 1 to {TOPIC} letters, digits, '-' and '_'")]
pub struct BadTopic;

impl Topic {
    /// A new one of 160 random bits.
    #[must_use]
    pub fn random() -> Self {
        let random = BASE32_NOPAD.encode(&random_array::<20>());
        Self(format!("sekisho-{}", random.to_ascii_lowercase()))
    }

    /// The name, for the subscriber.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Topic {
    type Error = BadTopic;

    fn try_from(text: String) -> Result<Self, BadTopic> {
        if is_word(&text, TOPIC) {
            Ok(Self(text))
        } else {
            Err(BadTopic)
        }
    }
}

impl From<Topic> for String {
    fn from(topic: Topic) -> Self {
        topic.0
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Topic(…)")
    }
}

/// One ring.
#[derive(Clone, Debug)]
pub struct Ring {
    /// The opaque id of the prompt: letters, digits, `-` and `_`, 64 octets at most.
    pub prompt: String,
    /// How long the prompt is open from now on.
    pub ttl: Duration,
    /// The language of the fixed words.
    pub language: Language,
    /// What the site is called, before the fixed words; may be empty.
    pub sender: String,
    /// The portal's address, such as `https://mfa.example.ac.jp`; `/app` there is opened.
    pub portal: String,
}

/// What came of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Rung {
    /// The service took it, which does not say that the phone got it.
    Taken,
    /// The subscription is no more: the device is not reached by this bell again.
    Gone,
    /// The service wants no more for so long.
    Busy(Duration),
    /// The service, or we, would never send this: why.
    Refused(String),
    /// No answer, or one that says nothing: why. The bell may ring another time.
    Failed(String),
}

/// What a doorbell says, before it is put into the form of one service.
struct Words {
    title: String,
    body: &'static str,
    navigate: String,
}

impl Words {
    /// The fixed words of experience, in the ring's language.
    fn of(ring: &Ring) -> Result<Self, Rung> {
        let portal = ring.portal.trim_end_matches('/');
        let is_web = portal.starts_with("https://") || portal.starts_with("http://");
        if portal.len() > PORTAL || !is_web || portal.contains(char::is_control) {
            return Err(Rung::Refused("the portal's address is none".to_owned()));
        }
        if !is_word(&ring.prompt, ID) {
            return Err(Rung::Refused("the prompt's id is none".to_owned()));
        }
        let (title, body) = match ring.language {
            Language::Ja => ("ログイン確認", "アプリを開いて確認してください"),
            Language::En => ("Login check", "Open to check"),
            Language::Both => (
                "ログイン確認 / Login check",
                "アプリを開いて確認してください / Open to check",
            ),
        };
        let sender: String = ring.sender.chars().filter(|c| !c.is_control()).collect();
        let sender: String = sender.trim().chars().take(SENDER).collect();
        let title = match sender.as_str() {
            "" => title.to_owned(),
            sender => format!("{sender} {title}"),
        };
        Ok(Self {
            title,
            body,
            navigate: format!("{portal}/app"),
        })
    }
}

/// Whether a text is a word of `most` octets that means nothing to URL, JSON or header.
pub(super) fn is_word(text: &str, most: usize) -> bool {
    let sound = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    (1..=most).contains(&text.len()) && text.bytes().all(sound)
}

/// The doorbells made ready.
#[derive(Default)]
pub(super) struct Bells {
    pub(super) web: Option<WebPusher>,
    pub(super) ntfy: Option<NtfyServer>,
}

impl Bells {
    pub(super) fn new(push: Option<&Push>) -> std::io::Result<Self> {
        let Some(push) = push else {
            return Ok(Self::default());
        };
        Ok(Self {
            web: push.web.as_ref().map(WebPusher::new).transpose()?,
            ntfy: push.ntfy.as_ref().map(NtfyServer::new).transpose()?,
        })
    }

    pub(super) async fn probe(&self) -> Vec<(Arc<str>, Result<(), String>)> {
        let mut seen = Vec::new();
        if let Some(web) = &self.web {
            seen.extend(web.probe().await);
        }
        if let Some(ntfy) = &self.ntfy {
            seen.push(("push.ntfy".into(), ntfy.probe().await));
        }
        seen
    }
}

impl Channels {
    /// Whether any device can be rung.
    #[must_use]
    pub fn has_push(&self) -> bool {
        self.has_web_push() || self.has_ntfy()
    }

    /// Whether browsers can be rung: it is configured, and the key is there.
    #[must_use]
    pub fn has_web_push(&self) -> bool {
        self.bells.web.is_some() && self.vapid.is_some()
    }

    /// Whether topics of ntfy can be rung.
    #[must_use]
    pub fn has_ntfy(&self) -> bool {
        self.bells.ntfy.is_some()
    }

    /// The key that a browser is to subscribe with (`applicationServerKey`): an uncompressed point of P-256.
    #[must_use]
    pub fn vapid_public(&self) -> Option<[u8; 65]> {
        self.vapid.as_ref().map(VapidKey::public_key)
    }

    /// Where a person subscribes to a topic, for the app of ntfy.
    #[must_use]
    pub fn ntfy_address(&self, topic: &Topic) -> Option<String> {
        Some(self.bells.ntfy.as_ref()?.address(topic))
    }

    /// Reads what a browser sent of its subscription (`PushSubscription.toJSON()`), and judges its host.
    ///
    /// # Errors
    ///
    /// When it is none, or belongs to a push service that is not allowed.
    pub fn subscription(&self, json: &[u8]) -> Result<Subscription, BadSubscription> {
        let subscription = Subscription::read(json)?;
        match &self.bells.web {
            Some(web) if web.allows(&subscription) => Ok(subscription),
            Some(_) | None => Err(BadSubscription::Host),
        }
    }

    /// Rings once. What went wrong names no endpoint and no topic.
    pub async fn ring(&self, bell: &Doorbell, ring: &Ring, deadline: Instant) -> Rung {
        let words = match Words::of(ring) {
            Ok(words) => words,
            Err(rung) => return rung,
        };
        let rung = async {
            match bell {
                Doorbell::WebPush(subscription) => {
                    let (Some(web), Some(vapid)) = (&self.bells.web, &self.vapid) else {
                        return Rung::Refused("web push is not configured".to_owned());
                    };
                    let sender = web::Sender {
                        vapid,
                        clock: &self.clock,
                    };
                    web.ring(subscription, (&words, ring), sender).await
                }
                Doorbell::Ntfy { topic } => match &self.bells.ntfy {
                    Some(ntfy) => ntfy.ring(topic, &words, &self.clock).await,
                    None => Rung::Refused("ntfy is not configured".to_owned()),
                },
            }
        };
        timeout_at(deadline, rung)
            .await
            .unwrap_or_else(|_| Rung::Failed("did not answer in time".to_owned()))
    }

    /// Gives the key that push services know this installation by.
    #[must_use]
    pub fn with_vapid(self, key: VapidKey) -> Self {
        Self {
            vapid: Some(key),
            ..self
        }
    }

    /// Gives another clock than the system's.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }
}
