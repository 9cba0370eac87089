//! What a browser gives to be rung by: an address and two keys. It comes from a person, so nothing in it is believed.

use std::fmt;

use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// Octets of an endpoint, at most; those of all browsers have a few hundred.
const ENDPOINT: usize = 2048;
/// Octets of what a browser sends, at most.
const JSON: usize = 8192;

/// A subscription of a browser. Its parts are those of a sound one; whether its push service is allowed says
/// [`super::Channels::subscription`], and [`super::Channels::ring`] each time anew.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Subscription {
    endpoint: Url,
    p256dh: [u8; 65],
    auth: [u8; 16],
}

/// Why a subscription cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSubscription {
    /// No JSON object of a subscription.
    #[error("is no subscription of a browser")]
    Form,
    /// Longer than any.
    #[error("is too long")]
    TooLong,
    /// The endpoint is no plain https URL.
    #[error("has an endpoint that is no plain https address")]
    Endpoint,
    /// The endpoint is at no push service that is allowed.
    #[error("is of a push service that is not allowed")]
    Host,
    /// `p256dh` is no point of P-256.
    #[error("has a key that is no point of P-256")]
    Key,
    /// `auth` is no 16 octets.
    #[error("has an authentication secret that is not 16 octets")]
    Auth,
}

/// How it is stored, and what `PushSubscription.toJSON()` has.
#[derive(Serialize, Deserialize)]
struct Stored {
    endpoint: String,
    keys: Keys,
}

#[derive(Serialize, Deserialize)]
struct Keys {
    p256dh: String,
    auth: String,
}

impl Subscription {
    /// Reads what a browser sends.
    pub(super) fn read(json: &[u8]) -> Result<Self, BadSubscription> {
        if json.len() > JSON {
            return Err(BadSubscription::TooLong);
        }
        let stored: Stored = serde_json::from_slice(json).map_err(|_| BadSubscription::Form)?;
        Self::try_from(stored)
    }

    /// Where messages go. Whoever has it can send there.
    pub(super) fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// The host of the push service, which is no secret: for logs and the person's list of devices.
    #[must_use]
    pub fn host(&self) -> &str {
        self.endpoint.host_str().unwrap_or_default()
    }

    pub(super) fn p256dh(&self) -> &[u8] {
        &self.p256dh
    }

    pub(super) fn auth(&self) -> &[u8] {
        &self.auth
    }
}

impl TryFrom<Stored> for Subscription {
    type Error = BadSubscription;

    fn try_from(stored: Stored) -> Result<Self, BadSubscription> {
        let p256dh: [u8; 65] = octets(&stored.keys.p256dh).ok_or(BadSubscription::Key)?;
        if ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, p256dh)).is_err() {
            return Err(BadSubscription::Key);
        }
        Ok(Self {
            endpoint: endpoint(&stored.endpoint)?,
            p256dh,
            auth: octets(&stored.keys.auth).ok_or(BadSubscription::Auth)?,
        })
    }
}

/// Reads the endpoint. It must be written as it is understood: what two parsers may read in two ways is none.
fn endpoint(text: &str) -> Result<Url, BadSubscription> {
    if text.len() > ENDPOINT {
        return Err(BadSubscription::TooLong);
    }
    let url = Url::parse(text).map_err(|_| BadSubscription::Endpoint)?;
    let plain = url.as_str() == text
        && matches!(url.scheme(), "https" | "http")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    if plain {
        Ok(url)
    } else {
        Err(BadSubscription::Endpoint)
    }
}

/// Octets in base64url; padding is forgiven.
fn octets<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.trim_end_matches('=');
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .ok()?
        .try_into()
        .ok()
}

impl From<Subscription> for Stored {
    fn from(subscription: Subscription) -> Self {
        Self {
            endpoint: subscription.endpoint.into(),
            keys: Keys {
                p256dh: BASE64URL_NOPAD.encode(&subscription.p256dh),
                auth: BASE64URL_NOPAD.encode(&subscription.auth),
            },
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({}, …)", self.host())
    }
}
