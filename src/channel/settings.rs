//! What can be set about gateways.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::secret::Secret;

/// `[sms]` and `[voice]` after checking: gateways in fail-over order, and the countries allowed.
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
