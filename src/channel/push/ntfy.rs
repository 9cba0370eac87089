//! Publishes to the site's ntfy server.

use std::io;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Url};
use serde_json::json;
use tokio::time::timeout;

use super::{Rung, Topic, Words, rung};
use crate::channel::{Ntfy, outward};
use crate::clock::Clock;

/// "High": it sounds, and is shown above others.
const PRIORITY: u8 = 4;

/// The server, ready to be asked.
pub(in crate::channel) struct NtfyServer {
    client: Client,
    url: Url,
    authorization: Option<HeaderValue>,
    timeout: Duration,
}

impl NtfyServer {
    pub(super) fn new(settings: &Ntfy) -> io::Result<Self> {
        Ok(Self {
            client: settings.server.client()?,
            url: settings.server.url().clone(),
            authorization: settings
                .token
                .as_ref()
                .map(|token| outward::authorization("Bearer", token.expose()))
                .transpose()?,
            timeout: settings.timeout,
        })
    }

    /// Publishes once, as JSON to the root, since a header cannot hold Japanese.
    pub(super) async fn ring(&self, topic: &Topic, words: &Words, clock: &Clock) -> Rung {
        let asked = self.client.post(self.url.clone()).json(&json!({
            "topic": topic.as_str(),
            "title": words.title,
            "message": words.body,
            "click": words.navigate,
            "priority": PRIORITY,
        }));
        let asked = match &self.authorization {
            Some(token) => asked.header(AUTHORIZATION, token.clone()),
            None => asked,
        };
        let rung = async { rung::of(asked.send().await, clock.now()).await };
        match timeout(self.timeout, rung).await {
            // A topic is never gone: it is the address of the server that is wrong.
            Ok(Rung::Gone) => Rung::Failed("answered that there is no ntfy".to_owned()),
            Ok(rung) => rung,
            Err(_) => Rung::Failed("did not answer in time".to_owned()),
        }
    }

    /// Where a person subscribes to a topic.
    pub(super) fn address(&self, topic: &Topic) -> String {
        format!("{}{}", self.url, topic.as_str())
    }

    pub(in crate::channel) async fn probe(&self) -> Result<(), String> {
        outward::probe(&self.client, self.url.clone()).await
    }
}
