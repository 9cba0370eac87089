//! Which push services may be asked. The address of one comes from a person, and must not make us ask anybody else.

use reqwest::Url;

use crate::channel::outward::{BadEndpoint, Endpoint};

/// Those of the browsers' makers: Chrome and Edge on Android, Firefox, Safari, Edge on Windows. A name that begins with a dot
/// stands for all below it.
const BROWSERS: [&str; 4] = [
    "fcm.googleapis.com",
    ".push.services.mozilla.com",
    ".push.apple.com",
    ".notify.windows.com",
];

/// A push service of a site's own choice, such as one for UnifiedPush.
#[derive(Clone, Debug)]
pub struct Service(Endpoint);

/// Why an address is none of a push service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadService {
    /// No endpoint.
    #[error(transparent)]
    Endpoint(#[from] BadEndpoint),
    /// More than scheme, host and port.
    #[error("has more than scheme, host and port")]
    NoOrigin,
}

impl Service {
    /// Takes the service whose subscriptions begin with this scheme, host and port.
    ///
    /// # Errors
    ///
    /// When the address says more.
    pub fn new(origin: Endpoint) -> Result<Self, BadService> {
        if origin.url().path() == "/" && origin.url().query().is_none() {
            Ok(Self(origin))
        } else {
            Err(BadService::NoOrigin)
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.0
    }

    /// Whether a subscription is of this service.
    pub(super) fn has(&self, url: &Url) -> bool {
        self.0.url().origin() == url.origin()
    }
}

/// Whether a subscription is of a browser's maker.
pub(super) fn is_browsers(url: &Url) -> bool {
    let Some(host) = url.domain() else {
        return false;
    };
    let is_below = |name: &&str| match name.strip_prefix('.') {
        Some(_) => host.len() > name.len() && host.ends_with(*name),
        None => host == *name,
    };
    url.scheme() == "https" && url.port().is_none() && BROWSERS.iter().any(is_below)
}
