//! Sends to push services (RFC 8030).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Client, Url};
use serde_json::json;
use tokio::task::JoinSet;

use super::encryption::encrypt;
use super::services::{Service, is_browsers};
use super::{Ring, Rung, Subject, Subscription, VapidKey, Words, rung};
use crate::account::Language;
use crate::channel::WebPush;
use crate::channel::outward::{self, Reach};
use crate::clock::Clock;

/// The longest that any service is asked to keep a message: a prompt is over by then.
const TTL: Duration = Duration::from_secs(3600);
/// A newer message replaces an older one that still waits for the same device (RFC 8030 §5.4).
const TOPIC: &str = "login";
/// Notifications of this tag replace each other.
const TAG: &str = "login";
/// Hosts by which a probe sees whether browsers' push services can be reached.
const PROBED: [&str; 3] = [
    "https://fcm.googleapis.com/",
    "https://updates.push.services.mozilla.com/",
    "https://web.push.apple.com/",
];

/// Who sends, and the time.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) vapid: &'a VapidKey,
    pub(super) clock: &'a Clock,
}

/// The ways to all push services that may be asked.
pub(in crate::channel) struct WebPusher {
    subject: Subject,
    ttl: Duration,
    browsers: Option<Client>,
    services: Vec<(Service, Client)>,
}

impl WebPusher {
    pub(super) fn new(settings: &WebPush) -> io::Result<Self> {
        let ready = |service: &Service| Ok((service.clone(), service.endpoint().client()?));
        Ok(Self {
            subject: settings.subject.clone(),
            ttl: settings.ttl,
            browsers: browsers(settings)?,
            services: settings
                .services
                .iter()
                .map(ready)
                .collect::<io::Result<_>>()?,
        })
    }

    /// Whether the subscription's push service may be asked.
    pub(super) fn allows(&self, subscription: &Subscription) -> bool {
        self.client(subscription.endpoint()).is_some()
    }

    fn client(&self, endpoint: &Url) -> Option<&Client> {
        let own = self
            .services
            .iter()
            .find(|(service, _)| service.has(endpoint));
        match own {
            Some((_, client)) => Some(client),
            None => self.browsers.as_ref().filter(|_| is_browsers(endpoint)),
        }
    }

    /// Sends once.
    pub(super) async fn ring(
        &self,
        subscription: &Subscription,
        (words, ring): (&Words, &Ring),
        sender: Sender<'_>,
    ) -> Rung {
        let endpoint = subscription.endpoint();
        let Some(client) = self.client(endpoint) else {
            return Rung::Refused("the push service is not allowed".to_owned());
        };
        let body = match encrypt(subscription, &message(words, ring)) {
            Ok(body) => body,
            Err(fault) => return Rung::Refused(fault.to_string()),
        };
        let origin = endpoint.origin().ascii_serialization();
        let now = sender.clock.now();
        let Some(token) = sender.vapid.authorization(&origin, &self.subject, now) else {
            return Rung::Failed("the token could not be signed".to_owned());
        };
        let ttl = ring.ttl.max(self.ttl).min(TTL);
        let asked = client
            .post(endpoint.clone())
            .header(AUTHORIZATION, token)
            .header("TTL", ttl.as_secs())
            .header("Urgency", "high")
            .header("Topic", TOPIC)
            .header(CONTENT_ENCODING, "aes128gcm")
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(body);
        rung::of(asked.send().await, now).await
    }

    /// Whether anything answers at each push service whose host is known. All are asked at once: where none can be reached, each
    /// takes its time.
    pub(in crate::channel) async fn probe(&self) -> Vec<(Arc<str>, Result<(), String>)> {
        let browsers = PROBED
            .iter()
            .filter_map(|url| Some((Url::parse(url).ok()?, self.browsers.as_ref()?)));
        let own = self
            .services
            .iter()
            .map(|(service, client)| (service.endpoint().url().clone(), client));
        let mut probes = JoinSet::new();
        for (place, (url, client)) in browsers.chain(own).enumerate() {
            let client = client.clone();
            probes.spawn(async move {
                let name = format!("push {}", url.host_str().unwrap_or_default());
                (place, name, outward::probe(&client, url).await)
            });
        }
        let mut seen = probes.join_all().await;
        seen.sort_by_key(|(place, ..)| *place);
        let named = |(_, name, result): (_, String, _)| (name.into(), result);
        seen.into_iter().map(named).collect()
    }
}

/// The client for the push services of browsers' makers. A closed network has a service of its own, and may trust nobody else.
fn browsers(settings: &WebPush) -> io::Result<Option<Client>> {
    match outward::client(None, Reach::Public) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !settings.services.is_empty() => {
            log::warn!("push services of browsers are not asked: {error}");
            Ok(None)
        }
        client => client.map(Some),
    }
}

/// The content: the shape of Declarative Web Push, which Safari shows by itself and our service worker reads as well.
fn message(words: &Words, ring: &Ring) -> Vec<u8> {
    let language = match ring.language {
        Language::Ja | Language::Both => "ja",
        Language::En => "en",
    };
    let message = json!({
        "web_push": 8030,
        "notification": {
            "title": words.title,
            "body": words.body,
            "navigate": words.navigate,
            "lang": language,
            "tag": TAG,
            "requireInteraction": true,
            "data": {"prompt": ring.prompt},
        },
    });
    message.to_string().into_bytes()
}
