//! A push service: Firefox keeps a WebSocket to it, application servers post to it (RFC 8030).
//!
//! It is as strict as the real ones: without a TTL, with another encoding, with more than 4096 octets or signed by another key
//! than was subscribed with, a message is refused. What it answers otherwise is for a test to say.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::served::Served;
use super::vapid::{self, Claims};
use crate::support::ports;

/// How long a browser or a sender may take to do something.
const PATIENCE: Duration = Duration::from_secs(30);
/// Messages on their way to a browser.
const QUEUE: usize = 64;
/// Octets of a message that a service must take (RFC 8030 §7.2).
const MOST: usize = 4096;

/// What is answered to a sound message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Answer {
    /// Takes and delivers it.
    #[default]
    Takes,
    /// Says that it took it, and loses it.
    Loses,
    /// Refuses, with seconds after which to try again.
    Says(u16, Option<u32>),
    /// Takes and delivers it, and answers later.
    Late(Duration),
}

/// What a sender posted.
#[derive(Clone, Debug)]
pub(super) struct Posted {
    pub(super) channel: String,
    pub(super) head: HeaderMap,
    pub(super) body: Bytes,
    /// By whom, if it was signed as it should be.
    pub(super) claims: Option<Claims>,
    /// What it is called from then on.
    pub(super) version: String,
    /// What was answered.
    pub(super) status: u16,
}

impl Posted {
    /// A field of its head.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.head.get(name)?.to_str().ok()
    }

    fn notification(&self) -> Value {
        let mut notification = json!({
            "messageType": "notification", "channelID": self.channel, "version": self.version,
        });
        if !self.body.is_empty() {
            let data = data_encoding::BASE64URL_NOPAD.encode(&self.body);
            notification["data"] = data.into();
            notification["headers"] = json!({ "encoding": "aes128gcm" });
        }
        notification
    }
}

/// What a browser did with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ack {
    /// A worker had it.
    Delivered,
    /// It could not be decrypted.
    Unreadable,
    /// A worker had it and failed, or there was none.
    Failed(u64),
}

#[derive(Default)]
struct Known {
    answer: Answer,
    /// The browser of each subscription, and the key that it was made with.
    channels: BTreeMap<String, (String, Option<String>)>,
    links: BTreeMap<String, mpsc::Sender<Value>>,
    /// What a browser that is not there will get.
    kept: BTreeMap<String, Vec<Posted>>,
    posted: Vec<Posted>,
    acks: BTreeMap<String, Ack>,
    hellos: u64,
    forgets: bool,
    away: bool,
    port: u16,
}

#[derive(Default)]
struct Shared {
    known: Mutex<Known>,
    grown: Condvar,
}

/// The service.
pub(super) struct PushService {
    port: u16,
    shared: Arc<Shared>,
    served: Option<Served>,
}

impl PushService {
    pub(super) fn start() -> Self {
        let mut service = Self {
            port: ports::free(),
            shared: Arc::default(),
            served: None,
        };
        service.change(|known| known.port = service.port);
        service.up();
        service
    }

    /// Serves again, with what it knows.
    pub(super) fn up(&mut self) {
        let routes = Router::new()
            .route("/", any(connect))
            .route("/push/{channel}", post(take))
            .with_state(Arc::clone(&self.shared));
        self.served = Some(Served::start(self.port, routes));
    }

    /// Is not there any more: connections end, and nobody listens.
    pub(super) fn down(&mut self) {
        self.served = None;
        self.change(|known| known.links.clear());
    }

    /// Where Firefox finds it.
    pub(super) fn address(&self) -> String {
        format!("ws://127.0.0.1:{}/", self.port)
    }

    /// Where endpoints are.
    pub(super) fn origin(&self) -> String {
        origin(self.port)
    }

    /// What is answered from now on.
    pub(super) fn answers(&self, answer: Answer) {
        self.change(|known| known.answer = answer);
    }

    /// Lets browsers come no more and sends away those who are there; senders are still heard.
    pub(super) fn away(&self, away: bool) {
        self.change(|known| {
            known.away = away;
            known.links.clear();
        });
    }

    /// Knows no browser and no subscription any more; those who come again are told so.
    pub(super) fn forget(&self) {
        self.change(|known| {
            known.channels.clear();
            known.kept.clear();
            known.links.clear();
            known.forgets = true;
        });
    }

    /// Waits until so many messages were posted, and gives them.
    pub(super) fn posted(&self, count: usize) -> Vec<Posted> {
        let what = format!("{count} messages");
        self.wait(&what, |known| {
            (known.posted.len() >= count).then(|| known.posted.clone())
        })
    }

    /// Waits until a browser has said what became of a message.
    pub(super) fn ack(&self, posted: &Posted) -> Ack {
        self.wait("an ack", |known| known.acks.get(&posted.version).copied())
    }

    /// Waits until a browser is connected.
    pub(super) fn connected(&self) {
        self.wait("a browser", |known| (!known.links.is_empty()).then_some(()));
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.shared.known.lock().unwrap());
        self.shared.grown.notify_all();
    }

    fn wait<T>(&self, what: &str, mut look: impl FnMut(&Known) -> Option<T>) -> T {
        let mut found = None;
        let known = self.shared.known.lock().unwrap();
        let missing = |known: &mut Known| {
            found = look(known);
            found.is_none()
        };
        let waited = self
            .shared
            .grown
            .wait_timeout_while(known, PATIENCE, missing);
        drop(waited);
        found.unwrap_or_else(|| panic!("the push service never saw {what}"))
    }
}

fn origin(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

// ---- the browser's side

async fn connect(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    if shared.known.lock().unwrap().away {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    upgrade
        .protocols(["push-notification"])
        .on_upgrade(move |socket| converse(socket, shared))
}

/// Speaks with one browser until one of the two hangs up.
async fn converse(mut socket: WebSocket, shared: Arc<Shared>) {
    let (link, mut queue) = mpsc::channel(QUEUE);
    // Moves to the links with the browser's name; whoever takes it from there ends the connection.
    let mut link = Some(link);
    let mut name = String::new();
    loop {
        let said = tokio::select! {
            heard = socket.recv() => match heard {
                Some(Ok(Message::Text(text))) => {
                    let message = serde_json::from_str(&text).unwrap_or_default();
                    shared.answer(&message, &mut name, &mut link)
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => Vec::new(),
                _ => break,
            },
            message = queue.recv() => match message {
                Some(message) => vec![message],
                None => break,
            },
        };
        for message in said {
            if socket
                .send(Message::text(message.to_string()))
                .await
                .is_err()
            {
                return;
            }
        }
    }
    // A newer connection of the same browser may have taken its place.
    drop(queue);
    let mut known = shared.known.lock().unwrap();
    known.links.retain(|_, link| !link.is_closed());
}

impl Shared {
    /// What is said to a message of a browser.
    fn answer(
        &self,
        message: &Value,
        name: &mut String,
        link: &mut Option<mpsc::Sender<Value>>,
    ) -> Vec<Value> {
        let mut known = self.known.lock().unwrap();
        let said = match message["messageType"].as_str() {
            Some("hello") => {
                *name = known.hello(message["uaid"].as_str().unwrap_or_default());
                if let Some(link) = link.take() {
                    let _old = known.links.insert(name.clone(), link);
                }
                let hello = json!({
                    "messageType": "hello", "status": 200, "uaid": name, "use_webpush": true,
                });
                let kept = known.kept.remove(name).unwrap_or_default();
                let kept = kept.iter().map(Posted::notification);
                std::iter::once(hello).chain(kept).collect()
            }
            Some("register") => vec![known.register(name, message)],
            Some("unregister") => {
                let channel = message["channelID"].as_str().unwrap_or_default();
                let _gone = known.channels.remove(channel);
                vec![json!({ "messageType": "unregister", "status": 200, "channelID": channel })]
            }
            Some("ack") => {
                known.acknowledge(message);
                Vec::new()
            }
            // An empty message asks for a sign of life.
            None => vec![json!({})],
            Some(_) => Vec::new(),
        };
        self.grown.notify_all();
        said
    }
}

impl Known {
    /// The name of a browser: its own, or a new one if it has none or was forgotten.
    fn hello(&mut self, own: &str) -> String {
        self.hellos += 1;
        match own.is_empty() || std::mem::take(&mut self.forgets) {
            true => format!("{:032x}", self.hellos),
            false => own.to_owned(),
        }
    }

    fn register(&mut self, name: &str, message: &Value) -> Value {
        let channel = message["channelID"].as_str().unwrap_or_default();
        // Firefox pads it.
        let key = message["key"].as_str();
        let key = key.map(|key| key.trim_end_matches('=').to_owned());
        let _old = self
            .channels
            .insert(channel.to_owned(), (name.to_owned(), key));
        json!({
            "messageType": "register", "status": 200, "channelID": channel,
            "pushEndpoint": format!("{}/push/{channel}", origin(self.port)),
        })
    }

    fn acknowledge(&mut self, message: &Value) {
        let updates = message["updates"].as_array().into_iter().flatten();
        for update in updates {
            let ack = match update["code"].as_u64() {
                Some(100) => Ack::Delivered,
                Some(101) => Ack::Unreadable,
                code => Ack::Failed(code.unwrap_or_default()),
            };
            let version = update["version"].as_str().unwrap_or_default();
            let _first = self.acks.insert(version.to_owned(), ack);
        }
    }

    /// Gives a message to its browser, now or when it comes again.
    fn deliver(&mut self, browser: &str, posted: &Posted) {
        let link = self.links.get(browser);
        if link.is_some_and(|link| link.try_send(posted.notification()).is_ok()) {
            return;
        }
        // Of those without time to live none is kept, and of those with one topic the last.
        if posted.field("ttl") == Some("0") {
            return;
        }
        let kept = self.kept.entry(browser.to_owned()).or_default();
        let topic = posted.field("topic");
        kept.retain(|old| topic.is_none() || old.field("topic") != topic);
        kept.push(posted.clone());
    }
}

// ---- the application server's side

async fn take(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
    head: HeaderMap,
    body: Bytes,
) -> Response {
    let (answer, status) = shared.post(channel, head, body);
    match answer {
        Answer::Late(time) => tokio::time::sleep(time).await,
        Answer::Takes | Answer::Loses | Answer::Says(..) => {}
    }
    let status = StatusCode::from_u16(status).unwrap();
    match answer {
        Answer::Says(_, Some(after)) => {
            (status, [("retry-after", after.to_string())]).into_response()
        }
        _ => status.into_response(),
    }
}

impl Shared {
    fn post(&self, channel: String, head: HeaderMap, body: Bytes) -> (Answer, u16) {
        let mut known = self.known.lock().unwrap();
        let claims = vapid::read(&head, &origin(known.port));
        let mut posted = Posted {
            version: format!("{}", known.posted.len() + 1),
            channel,
            head,
            body,
            claims,
            status: 0,
        };
        let (answer, status) = match known.judge(&posted) {
            Ok(browser) => {
                let answer = known.answer;
                let status = match answer {
                    Answer::Says(status, _) => status,
                    Answer::Takes | Answer::Loses | Answer::Late(_) => 201,
                };
                posted.status = status;
                if !matches!(answer, Answer::Says(..) | Answer::Loses) {
                    known.deliver(&browser, &posted);
                }
                (answer, status)
            }
            Err(status) => (Answer::Takes, status),
        };
        posted.status = status;
        known.posted.push(posted);
        self.grown.notify_all();
        (answer, status)
    }
}

impl Known {
    /// Whose browser a message is for; the status that refuses it.
    fn judge(&self, posted: &Posted) -> Result<String, u16> {
        let (browser, key) = self.channels.get(&posted.channel).ok_or(410_u16)?;
        let has_life = posted
            .field("ttl")
            .is_some_and(|ttl| ttl.parse::<u32>().is_ok());
        let encoding = posted.field("content-encoding");
        if !has_life || (!posted.body.is_empty() && encoding != Some("aes128gcm")) {
            return Err(400);
        }
        if posted.body.len() > MOST {
            return Err(413);
        }
        match (key, &posted.claims) {
            (None, _) => Ok(browser.clone()),
            (Some(_), None) => Err(401),
            (Some(key), Some(claims)) if *key == claims.key => Ok(browser.clone()),
            (Some(_), Some(_)) => Err(403),
        }
    }
}
