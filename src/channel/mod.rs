//! Reaches a phone: SMS and voice by HTTP gateways, or a spool folder for trials; doorbells of the portal; a site's own push
//! service. And those who must hear of an alert.
//!
//! Gateways are tried in order until one takes the message. Where one may have taken it without saying so (a time-out after
//! the request was sent), the next is tried all the same: two messages with one code are better than none. Not here: what
//! is said (`access` has the texts) and whether it may be sent (`store` counts).

mod alert;
mod answer;
mod http;
mod number;
mod outward;
pub mod presets;
mod push;
mod settings;
mod spool;
mod template;
mod tls;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;

use crate::account::Language;
use crate::clock::Clock;
use crate::secret::Secret;

use alert::Alarm;
use answer::Fault;
use http::HttpGateway;
use push::Bells;
use webhook::Caller;

pub use alert::{Alert, Alerted, Notice};
pub use number::Number;
pub use outward::{BadEndpoint, Endpoint, Reach};
pub use push::{
    BadService, BadSubject, BadSubscription, BadTopic, BadVapidKey, Doorbell, Ring, Rung, Service,
    Subject, Subscription, Topic, VapidKey,
};
pub use settings::{
    Alerts, Auth, Body, Gateway, GatewayKind, Mail, MailTls, Ntfy, NumberForm, Push, Settings,
    Template, WebPush, Webhook,
};
pub use template::BadTemplate;
pub use webhook::{
    Answer, Asked, BadAnswer, Choice, Matching, Polled, Question, SIGNATURE, TIMESTAMP,
};

/// Why a text is no number that may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNumber {
    /// No telephone number, or none of a person.
    #[error("is no telephone number")]
    Form,
    /// A number that cannot get an SMS (a Japanese landline or IP telephone).
    #[error("is a landline")]
    Landline,
    /// Of a country that is not on the list.
    #[error("is in a country that is not allowed")]
    Country,
}

/// A message to one number.
#[derive(Clone, Debug)]
pub struct Message {
    /// To whom.
    pub to: Number,
    /// What is written or read out. Holds the code: never logged.
    pub text: Secret,
    /// The language it is in, for the voice.
    pub language: Language,
    /// The same for every try of one message.
    pub idempotency: String,
}

/// That a gateway took a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Which gateway.
    pub gateway: Arc<str>,
    /// Its id for the message.
    pub id: Option<String>,
}

/// No gateway took the message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None is configured.
    #[error("no gateway is configured")]
    None,
    /// All refused or failed; the text names each and why, without content or number.
    #[error("no gateway took the message: {0}")]
    Failed(String),
}

/// What the site's own push service is called by a probe.
const WEBHOOK: &str = "push.webhook";

/// By which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Sms,
    Voice,
}

/// A gateway made ready.
enum Way {
    Http(Box<HttpGateway>),
    Spool(PathBuf),
}

struct Ready {
    name: Arc<str>,
    way: Way,
}

/// The ways to reach phones. Cheap to clone.
#[derive(Clone)]
pub struct Channels {
    settings: Arc<Settings>,
    sms: Arc<[Ready]>,
    voice: Arc<[Ready]>,
    bells: Arc<Bells>,
    webhook: Option<Arc<Caller>>,
    alarm: Arc<Alarm>,
    vapid: Option<VapidKey>,
    clock: Clock,
}

impl Channels {
    /// Prepares the HTTP clients.
    ///
    /// # Errors
    ///
    /// When a CA file cannot be read, or a template cannot be used; the text names the gateway or the table.
    pub fn new(settings: Settings) -> Result<Self, std::io::Error> {
        let sms = ready(&settings.sms)?;
        let voice = ready(&settings.voice)?;
        let push = settings.push.as_ref();
        let bells = Bells::new(push).map_err(named("push"))?;
        let webhook = push
            .and_then(|push| push.webhook.as_ref())
            .map(|webhook| Caller::new(webhook).map(Arc::new))
            .transpose()
            .map_err(named(WEBHOOK))?;
        let alarm = Alarm::new(&settings.alerts).map_err(named("alert"))?;
        Ok(Self {
            settings: Arc::new(settings),
            sms,
            voice,
            bells: Arc::new(bells),
            webhook,
            alarm: Arc::new(alarm),
            vapid: None,
            clock: Clock::system(),
        })
    }

    /// Whether SMS can be sent.
    #[must_use]
    pub fn has_sms(&self) -> bool {
        !self.sms.is_empty()
    }

    /// Whether calls can be made.
    #[must_use]
    pub fn has_voice(&self) -> bool {
        !self.voice.is_empty()
    }

    /// The settings, for reading numbers.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sends an SMS, trying the gateways in order until one takes it.
    ///
    /// # Errors
    ///
    /// When none took it before the deadline.
    pub async fn sms(&self, message: &Message, deadline: Instant) -> Result<Sent, Error> {
        self.send(Kind::Sms, message, deadline).await
    }

    /// Calls, trying the gateways in order until one takes it.
    ///
    /// # Errors
    ///
    /// When none took it before the deadline.
    pub async fn voice(&self, message: &Message, deadline: Instant) -> Result<Sent, Error> {
        self.send(Kind::Voice, message, deadline).await
    }

    /// Asks each HTTP gateway whether its host can be reached, without sending: with a HEAD request of the root, to which any
    /// answer at all is a good one. A spool folder must be there. Push services, webhooks and the mail server are reached for, too.
    pub async fn probe(&self) -> Vec<(Arc<str>, Result<(), String>)> {
        let mut seen = Vec::new();
        for gateway in self.sms.iter().chain(self.voice.iter()) {
            let result = match &gateway.way {
                Way::Http(http) => http.probe().await,
                Way::Spool(folder) if folder.is_dir() => Ok(()),
                Way::Spool(folder) => Err(format!("there is no folder {}", folder.display())),
            };
            seen.push((Arc::clone(&gateway.name), result));
        }
        let (bells, webhook, alarm) = tokio::join!(
            self.bells.probe(),
            async { Some(self.webhook.as_ref()?.probe().await) },
            self.alarm.probe(),
        );
        seen.extend(bells);
        seen.extend(webhook.map(|result| (Arc::from(WEBHOOK), result)));
        seen.extend(
            alarm
                .into_iter()
                .map(|(name, result)| (name.into(), result)),
        );
        seen
    }

    async fn send(&self, kind: Kind, message: &Message, deadline: Instant) -> Result<Sent, Error> {
        let gateways = match kind {
            Kind::Sms => &self.sms,
            Kind::Voice => &self.voice,
        };
        if gateways.is_empty() {
            return Err(Error::None);
        }
        let mut faults = Vec::new();
        for gateway in gateways.iter() {
            match self.hand_over(gateway, kind, message, deadline).await {
                Ok(id) => {
                    return Ok(Sent {
                        gateway: Arc::clone(&gateway.name),
                        id,
                    });
                }
                Err(fault) => {
                    log::warn!("gateway {} {fault}", gateway.name);
                    faults.push(format!("{} {fault}", gateway.name));
                }
            }
        }
        Err(Error::Failed(faults.join("; ")))
    }

    async fn hand_over(
        &self,
        gateway: &Ready,
        kind: Kind,
        message: &Message,
        deadline: Instant,
    ) -> Result<Option<String>, Fault> {
        if Instant::now() >= deadline {
            return Err(Fault::NoTime);
        }
        match &gateway.way {
            Way::Http(http) => http.send(message, &self.settings, deadline).await,
            Way::Spool(folder) => {
                let (folder, message) = (folder.clone(), message.clone());
                // Files are written on a thread that may wait for a disk.
                tokio::task::spawn_blocking(move || spool::put(&folder, kind, &message))
                    .await
                    .map_err(|_| Fault::Spool(std::io::ErrorKind::Other))?
                    .map(Some)
                    .map_err(|error| Fault::Spool(error.kind()))
            }
        }
    }
}

fn ready(gateways: &[Gateway]) -> std::io::Result<Arc<[Ready]>> {
    gateways
        .iter()
        .map(|gateway| {
            let way = match &gateway.kind {
                GatewayKind::Spool(folder) => Way::Spool(folder.clone()),
                GatewayKind::Http(template) => {
                    let http = HttpGateway::new(template).map_err(|error| {
                        std::io::Error::new(
                            error.kind(),
                            format!("gateway {}: {error}", gateway.name),
                        )
                    })?;
                    Way::Http(Box::new(http))
                }
            };
            Ok(Ready {
                name: Arc::clone(&gateway.name),
                way,
            })
        })
        .collect()
}

fn named(name: &'static str) -> impl Fn(std::io::Error) -> std::io::Error {
    move |error| std::io::Error::new(error.kind(), format!("{name}: {error}"))
}
