//! Alerts: what must not wait until somebody reads the journal, such as a person who says "it was not me".
//!
//! Not here: what is worth an alert, and its words (`access`).

mod mail;

use std::io;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::webhook::{Caller, moment};
use super::{Alerts, Channels};
use crate::account::AccountId;
use crate::clock::{Clock, Timestamp};

use mail::Mailer;

/// The version of what a webhook is told.
const VERSION: u8 = 1;

/// Something that must be heard of. Its words hold no secret: they go into mail.
#[derive(Clone, Debug)]
pub struct Alert {
    /// What happened, as a word that does not change: `reported`.
    pub event: &'static str,
    /// When.
    pub at: Timestamp,
    /// To whom, if to somebody.
    pub account: Option<AccountId>,
    /// The login name, or nothing.
    pub name: String,
    /// The reference by which `sekisho why` finds it, or nothing.
    pub reference: String,
    /// In Japanese.
    pub ja: Notice,
    /// In English.
    pub en: Notice,
}

/// A subject and a text.
#[derive(Clone, Debug, Default)]
pub struct Notice {
    /// One line.
    pub subject: String,
    /// Some lines.
    pub text: String,
}

/// Where an alert went, and why not, if it did not arrive.
pub type Alerted = Vec<(&'static str, Result<(), String>)>;

/// The ways of alerts made ready.
#[derive(Default)]
pub(super) struct Alarm {
    webhook: Option<Caller>,
    mail: Option<Mailer>,
}

/// What the two ways are called.
const WEBHOOK: &str = "alert.webhook";
const MAIL: &str = "alert.mail";

impl Alarm {
    pub(super) fn new(settings: &Alerts) -> io::Result<Self> {
        Ok(Self {
            webhook: settings.webhook.as_ref().map(Caller::new).transpose()?,
            mail: settings.mail.as_ref().map(Mailer::new).transpose()?,
        })
    }

    async fn raise(&self, alert: &Alert, clock: &Clock, deadline: Instant) -> Alerted {
        let by_webhook = async {
            let webhook = self.webhook.as_ref()?;
            let posted = webhook.post(&alert.to_json(), clock.now(), deadline).await;
            Some(match posted {
                Ok(status) if status.is_success() => Ok(()),
                Ok(status) => Err(format!("answered {}", status.as_u16())),
                Err(fault) => Err(fault.to_string()),
            })
        };
        let by_mail = async { Some(self.mail.as_ref()?.send(alert, clock, deadline).await) };
        let (webhook, mail) = tokio::join!(by_webhook, by_mail);
        named(webhook, mail)
    }

    pub(super) async fn probe(&self) -> Alerted {
        let by_webhook = async { Some(self.webhook.as_ref()?.probe().await) };
        let by_mail = async { Some(self.mail.as_ref()?.probe().await) };
        let (webhook, mail) = tokio::join!(by_webhook, by_mail);
        named(webhook, mail)
    }
}

fn named(webhook: Option<Result<(), String>>, mail: Option<Result<(), String>>) -> Alerted {
    let webhook = webhook.map(|result| (WEBHOOK, result));
    let mail = mail.map(|result| (MAIL, result));
    webhook.into_iter().chain(mail).collect()
}

impl Alert {
    fn to_json(&self) -> Value {
        json!({
            "version": VERSION,
            "event": self.event,
            "at": moment(self.at),
            "account": self.account.as_ref().map(AccountId::as_str),
            "name": self.name,
            "reference": self.reference,
            "subject": {"ja": self.ja.subject, "en": self.en.subject},
            "text": {"ja": self.ja.text, "en": self.en.text},
        })
    }
}

impl Channels {
    /// Whether anybody hears of alerts.
    #[must_use]
    pub fn has_alerts(&self) -> bool {
        self.alarm.webhook.is_some() || self.alarm.mail.is_some()
    }

    /// Raises an alert by every way that is configured, once and at the same time.
    pub async fn alert(&self, alert: &Alert, deadline: Instant) -> Alerted {
        self.alarm.raise(alert, &self.clock, deadline).await
    }
}
