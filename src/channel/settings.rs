//! What can be set about gateways, doorbells and alerts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;

use super::outward::Endpoint;
use super::push::{Service, Subject};
use crate::secret::Secret;

/// `[sms]` and `[voice]` after checking: gateways in fail-over order, and the countries allowed; `[push]` and `[alert]`.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Gateways for SMS, in order; none: no SMS.
    pub sms: Vec<Gateway>,
    /// Gateways for voice, in order; none: no voice.
    pub voice: Vec<Gateway>,
    /// Country prefixes that may be written or called to, such as `+81`; `!+1876` takes one out of a shorter one. Of those
    /// that a number begins with the longest decides. None: no number is allowed.
    pub countries: Vec<String>,
    /// The country whose national forms (a leading 0, as in 090-…) are understood; `+81`.
    pub home: String,
    /// `[push]`: how phones are rung to approve; none: they are not.
    pub push: Option<Push>,
    /// `[alert]`: who hears of what must not wait.
    pub alerts: Alerts,
}

/// `[push]`: the doorbells, and a site's own push service.
#[derive(Clone, Debug, Default)]
pub struct Push {
    /// Web Push to browsers and installed web apps.
    pub web: Option<WebPush>,
    /// The site's ntfy server.
    pub ntfy: Option<Ntfy>,
    /// The site's own service, which asks and answers.
    pub webhook: Option<Webhook>,
}

/// Web Push (RFC 8030).
#[derive(Clone, Debug)]
pub struct WebPush {
    /// Whom a push service can write to about us.
    pub subject: Subject,
    /// Push services beside those of the browsers' makers.
    pub services: Vec<Service>,
    /// For at least so long a push service keeps a message for a phone that is asleep.
    pub ttl: Duration,
}

/// A server of ntfy.
#[derive(Clone, Debug)]
pub struct Ntfy {
    /// Its root.
    pub server: Endpoint,
    /// The access token, if it wants one.
    pub token: Option<Secret>,
    /// How long one try may take.
    pub timeout: Duration,
}

/// A webhook: what is sent, and what comes back, is signed with one key.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The key of the HMAC.
    pub key: Secret,
    /// How long one try may take.
    pub timeout: Duration,
    /// How often it is asked for an answer; none: it posts the answer to the portal. Alerts have no answer.
    pub poll: Option<Duration>,
}

/// `[alert]`: where alerts go.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    /// To a webhook.
    pub webhook: Option<Webhook>,
    /// By mail.
    pub mail: Option<Mail>,
}

/// The mail of alerts.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The server's name or address.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// PEM file of the CAs to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// User and password, if the server wants them.
    pub credentials: Option<(String, Secret)>,
    /// The sender.
    pub from: Mailbox,
    /// Whom it goes to.
    pub to: Vec<Mailbox>,
    /// How long one mail may take.
    pub timeout: Duration,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailTls {
    /// Begun in the clear, TLS demanded before anything is said (RFC 3207).
    #[default]
    StartTls,
    /// TLS from the first octet (RFC 8314).
    Tls,
    /// None, to loopback alone.
    None,
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

/// The general HTTP request. `{{to}} {{from}} {{text}} {{text-xml}} {{id}} {{lang}} {{locale}}` are filled
/// in, escaped for where they stand: by percent in the URL, by their encoding in form and JSON; a header that would hold a
/// control character is not sent.
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
    /// The header that carries the idempotency key. A gateway with one is asked a second time after a time-out; one without
    /// never, since it may have sent the message already.
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
