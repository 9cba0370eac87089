//! Reaches a phone: SMS and voice by HTTP gateways, or a spool folder for trials.
//!
//! Not here: what is said (`access` has the texts) and whether it may be sent (`store` counts).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::account::Language;
use crate::secret::Secret;

/// `[sms]` and `[voice]` after checking: gateways in fail-over order, and the countries allowed.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Gateways for SMS, in order; none: no SMS.
    pub sms: Vec<Gateway>,
    /// Gateways for voice, in order; none: no voice.
    pub voice: Vec<Gateway>,
    /// Country prefixes that may be written or called to, such as `+81`.
    pub countries: Vec<String>,
    /// The country whose national forms (090-…) are understood; `+81`.
    pub home: String,
}

/// A gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its name in logs.
    pub name: Arc<str>,
    /// How it is reached.
    pub kind: GatewayKind,
}

/// How a gateway is reached.
#[derive(Clone, Debug)]
pub enum GatewayKind {
    /// By an HTTP request.
    Http(Box<Template>),
    /// By a file in a folder, for trials.
    Spool(PathBuf),
}

/// The general HTTP request. `{{to}} {{text}} {{id}} {{lang}} {{from}}` are filled in, escaped for where they stand.
#[derive(Clone, Debug)]
pub struct Template {
    /// `POST`, `GET` or `PUT`.
    pub method: String,
    /// The URL: https, or http to loopback (or by an explicit word).
    pub url: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// How the request is authenticated.
    pub auth: Auth,
    /// The body.
    pub body: Body,
    /// The sender, for `{{from}}`.
    pub from: String,
    /// The form of numbers.
    pub number_form: NumberForm,
    /// Status codes of success; empty means 200 to 299.
    pub success_status: Vec<u16>,
    /// A JSON pointer (RFC 6901) that must exist in the answer, and the value it must have if one is given.
    pub success_pointer: Option<(String, Option<String>)>,
    /// The JSON pointer of the gateway's message id.
    pub id_pointer: Option<String>,
    /// The header that carries the idempotency key; a gateway with one is asked again after a time-out.
    pub idempotency_header: Option<String>,
    /// PEM file of the CAs to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// How long one try may take.
    pub timeout: Duration,
}

/// How a request is authenticated.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Not.
    #[default]
    None,
    /// RFC 7617.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// RFC 6750.
    Bearer(Secret),
    /// HMAC-SHA-256 of the body in hex, in a header.
    Hmac {
        /// The header.
        header: String,
        /// The key.
        key: Secret,
    },
}

/// The body of a request.
#[derive(Clone, Debug)]
pub enum Body {
    /// None.
    Empty,
    /// `application/x-www-form-urlencoded` fields.
    Form(Vec<(String, String)>),
    /// JSON with placeholders in its strings.
    Json(serde_json::Value),
}

/// The form in which a gateway wants numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberForm {
    /// `+819012345678`.
    #[default]
    E164,
    /// `819012345678`.
    Digits,
    /// `09012345678`, for numbers of the home country.
    National,
}

/// A telephone number in E.164 form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Number(Arc<str>);

/// Why a text is no number that may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNumber {
    /// No telephone number.
    #[error("is no telephone number")]
    Form,
    /// A number that cannot get an SMS (a Japanese landline).
    #[error("is a landline")]
    Landline,
    /// Of a country that is not on the list.
    #[error("is in a country that is not allowed")]
    Country,
}

impl Number {
    /// Reads a number as directories have it (`090-1234-5678`, full-width, `+81 (0)90 …`), normalised to E.164. For `sms`, landlines of
    /// the home country are refused.
    ///
    /// # Errors
    ///
    /// [`BadNumber`].
    pub fn read(text: &str, sms: bool, settings: &Settings) -> Result<Self, BadNumber> {
        todo!()
    }
    /// In E.164.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The last four digits, which may be shown.
    pub fn end(&self) -> &str {
        todo!()
    }
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

/// The ways to reach phones. Cheap to clone.
#[derive(Clone)]
pub struct Channels {
    settings: Arc<Settings>,
}

impl Channels {
    /// Prepares the HTTP client.
    ///
    /// # Errors
    ///
    /// When a CA file cannot be read.
    pub fn new(settings: Settings) -> Result<Self, std::io::Error> {
        todo!()
    }
    /// Whether SMS can be sent.
    pub fn has_sms(&self) -> bool {
        todo!()
    }
    /// Whether calls can be made.
    pub fn has_voice(&self) -> bool {
        todo!()
    }
    /// The settings, for reading numbers.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
    /// Sends an SMS, trying the gateways in order until one takes it.
    ///
    /// # Errors
    ///
    /// When none took it before the deadline.
    pub async fn sms(&self, message: &Message, deadline: Instant) -> Result<Sent, Error> {
        todo!()
    }
    /// Calls, trying the gateways in order until one takes it.
    ///
    /// # Errors
    ///
    /// When none took it before the deadline.
    pub async fn voice(&self, message: &Message, deadline: Instant) -> Result<Sent, Error> {
        todo!()
    }
    /// Asks each HTTP gateway whether its host can be reached, without sending.
    pub async fn probe(&self) -> Vec<(Arc<str>, Result<(), String>)> {
        todo!()
    }
}
