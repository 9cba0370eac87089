//! What devices send and are sent: JSON without cookies, believed for its signature alone. Whatever is wrong with a message, the
//! answer is the same.

mod request;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::House;
use super::page::{Failure, code};
use super::pages::label;
use super::session::Head;
use super::trail::{self, Act};
use super::visit::Visit;
use crate::access::DeviceResponse;
use crate::account::{AttemptId, FactorKind, Language, Reason};
use crate::channel::{Doorbell, SIGNATURE as SIGNATURE_OF, TIMESTAMP};
use crate::clock::Timestamp;
use crate::factor::{DeviceKey, SIGNATURE, doorbell_text, pairing_text, poll_text};
use crate::secret::Secret;
use crate::store::{Device, NewDevice, Paired, PromptDecided};

/// How far a device's clock may be off, and how long what it signed to ask is good.
const CLOCK: Duration = Duration::from_secs(60);
/// How long an open page waits for something to come.
const WAIT: Duration = Duration::from_secs(25);
/// How often it is looked, while a page waits: a read of the store, which does not wait for its writer.
const LOOK: Duration = Duration::from_millis(700);
/// Pages that wait at once; the others ask again and again.
const WAITING: usize = 2048;
/// Prompts that a page says it has: as many as an account can have.
const SEEN: usize = 16;

static WAITERS: Semaphore = Semaphore::const_new(WAITING);

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/device/pair", post(pair))
        .route("/device/poll", post(poll))
        .route("/device/decide", post(decide))
        .route("/device/bell", post(bell))
        .route("/push/answer", post(answer))
}

/// What a device sent. What is no such message is refused like a wrong signature.
struct Message<T>(T);

impl<T: DeserializeOwned> FromRequest<Arc<House>> for Message<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, house: &Arc<House>) -> Result<Self, Failure> {
        let read = Json::<T>::from_request(request, house).await;
        read.map(|Json(message)| Self(message))
            .map_err(|_| Failure::Elsewhere)
    }
}

fn signature(text: &str) -> Option<[u8; SIGNATURE]> {
    let octets = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    octets.try_into().ok()
}

/// The device of a number, if it signed the text.
fn signed_by(
    house: &House,
    device: i64,
    (text, signature_of): (&str, &str),
) -> Result<Device, Failure> {
    let known = house.rooms.store.device(device)?;
    let signed = signature(signature_of).zip(known);
    let signed = signed.filter(|(signature, known)| known.key.verify(text, signature));
    signed.map(|(_, known)| known).ok_or(Failure::Elsewhere)
}

/// A browser's doorbell, as the store keeps it, if its push service is one that may be asked; none for none.
fn read_bell(house: &House, text: &str) -> Result<Option<Secret>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let channels = house.rooms.access.channels();
    let subscription = channels.subscription(text.as_bytes()).map_err(|why| {
        log::debug!("a doorbell {why}");
        Failure::Elsewhere
    })?;
    let bell = serde_json::to_vec(&Doorbell::WebPush(subscription));
    bell.map(|bell| Some(Secret::new(bell)))
        .map_err(|_| Failure::Elsewhere)
}

#[derive(Deserialize)]
struct Pair {
    code: String,
    key: String,
    label: String,
    language: String,
    signature: String,
}

/// A phone comes with a code that its owner was shown.
async fn pair(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Message(pair): Message<Pair>,
) -> Result<Response, Failure> {
    let limit = &house.limits.wrong_pairing;
    if !limit.allows(visit.block()) {
        return Err(Failure::TooMany);
    }
    let label = label(&pair.label);
    let paired = match new_device(&pair, &label) {
        Some(device) => house.rooms.store.pair(&pair.code, device).await?,
        None => Paired::NoSuchCode,
    };
    match paired {
        Paired::Done {
            account,
            name,
            device,
        } => {
            let act = Act {
                reason: Reason::MethodAdded,
                kind: Some(FactorKind::Push),
                label: &label,
            };
            trail::record(&house, (&account, &name), visit.address, act).await?;
            let user = name.split_once('/').map_or(&*name, |(_, user)| user);
            let key = BASE64URL_NOPAD.encode(&house.signer.public());
            let now = house.rooms.clock.now().millis();
            Ok(Json(json!({
                "device": device, "account": account, "name": user, "key": key, "now": now,
            }))
            .into_response())
        }
        Paired::NoSuchCode => {
            limit.spend(visit.block());
            Err(Failure::Elsewhere)
        }
        Paired::TooMany => Err(Failure::Elsewhere),
    }
}

/// The device, if it has the key that it brings.
fn new_device(pair: &Pair, label: &str) -> Option<NewDevice> {
    let point = BASE64URL_NOPAD.decode(pair.key.as_bytes());
    let key = point.ok().and_then(|point| DeviceKey::new(&point).ok());
    let (key, signature) = key.zip(signature(&pair.signature))?;
    if !key.verify(&pairing_text(&pair.code, &key), &signature) || label.is_empty() {
        return None;
    }
    Some(NewDevice {
        key,
        label: label.to_owned(),
        language: match pair.language.as_str() {
            "ja" => Language::Ja,
            "en" => Language::En,
            _ => Language::Both,
        },
        bell: None,
    })
}

#[derive(Deserialize)]
struct Poll {
    device: i64,
    at: i64,
    /// Answer only when something has changed, or after a while.
    #[serde(default)]
    wait: bool,
    /// The prompts that the page shows.
    #[serde(default)]
    seen: Vec<String>,
    signature: String,
}

/// What waits for the owner of a device.
async fn poll(
    State(house): State<Arc<House>>,
    Message(poll): Message<Poll>,
) -> Result<Response, Failure> {
    let at = Timestamp::from_millis(poll.at);
    let now = house.rooms.clock.now();
    if at.before(CLOCK) > now || at.after(CLOCK) < now {
        return Err(Failure::Elsewhere);
    }
    let text = poll_text(poll.device, at);
    let mut device = signed_by(&house, poll.device, (&text, &poll.signature))?;
    let permit = WAITERS.try_acquire().ok().filter(|_| poll.wait);
    let until = Instant::now() + WAIT;
    let mut open = request::open(&house, &device)?;
    while permit.is_some() && is_seen(&open, &poll.seen) && Instant::now() < until {
        tokio::select! {
            () = sleep(LOOK) => {}
            () = house.stop.cancelled() => break,
        }
        // It may have been removed meanwhile.
        device = house
            .rooms
            .store
            .device(poll.device)?
            .ok_or(Failure::Elsewhere)?;
        open = request::open(&house, &device)?;
    }
    let requests = open.iter();
    let requests: Vec<Value> = requests
        .map(|prompt| request::signed(&house, &device, prompt))
        .collect::<Result<_, _>>()?;
    let now = house.rooms.clock.now().millis();
    Ok(Json(json!({
        "now": now,
        "label": device.label,
        "language": code(device.language),
        "rings": device.bell.is_some() && device.failed.is_none(),
        "requests": requests,
    }))
    .into_response())
}

fn is_seen(open: &[crate::store::Prompt], seen: &[String]) -> bool {
    let seen: Vec<&str> = seen.iter().take(SEEN).map(String::as_str).collect();
    open.len() == seen.len()
        && open
            .iter()
            .all(|prompt| seen.contains(&prompt.id().as_str()))
}

#[derive(Deserialize)]
struct Decide {
    prompt: String,
    device: i64,
    counter: i64,
    response: String,
    #[serde(default)]
    number: String,
    signature: String,
}

/// What the owner of a device says to a prompt.
async fn decide(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    Message(decide): Message<Decide>,
) -> Result<Response, Failure> {
    let said = said(&decide, &visit).ok_or(Failure::Elsewhere)?;
    let responded = Box::pin(house.rooms.access.respond(said)).await?;
    house.rooms.telemetry.decision(&responded.decision);
    let outcome = match responded.decided {
        PromptDecided::Approved => "approved",
        PromptDecided::Denied => "denied",
        PromptDecided::Reported => "reported",
        PromptDecided::WrongNumber => "wrong-number",
        PromptDecided::WrongNumberAgain => "wrong-number-again",
        PromptDecided::TooLate(_) => "too-late",
        PromptDecided::Unknown => return Err(Failure::Elsewhere),
        PromptDecided::Replayed => {
            let now = house.rooms.clock.now().millis();
            let body = json!({ "error": "refused", "outcome": "replayed", "now": now });
            return Ok((StatusCode::CONFLICT, Json(body)).into_response());
        }
    };
    let now = house.rooms.clock.now().millis();
    Ok(Json(json!({ "outcome": outcome, "now": now })).into_response())
}

fn said(decide: &Decide, visit: &Visit) -> Option<DeviceResponse> {
    Some(DeviceResponse {
        prompt: AttemptId::read(&decide.prompt)?,
        device: decide.device,
        counter: decide.counter,
        response: crate::factor::Response::read(&decide.response, &decide.number)?,
        signature: signature(&decide.signature)?,
        from: visit.address,
    })
}

#[derive(Deserialize)]
struct Bell {
    device: i64,
    counter: i64,
    bell: String,
    signature: String,
}

/// Where the doorbell of a device is now.
async fn bell(
    State(house): State<Arc<House>>,
    Message(told): Message<Bell>,
) -> Result<Response, Failure> {
    let bell = read_bell(&house, &told.bell)?;
    let text = doorbell_text(told.device, told.counter, &told.bell);
    let device = signed_by(&house, told.device, (&text, &told.signature))?;
    let store = &house.rooms.store;
    match store.set_bell(&device, told.counter, bell).await? {
        true => {
            let now = house.rooms.clock.now().millis();
            Ok(Json(json!({ "now": now })).into_response())
        }
        false => Err(Failure::Elsewhere),
    }
}

/// What the site's own push service says: believed for its signature, answered the same whatever became of it.
async fn answer(
    State(house): State<Arc<House>>,
    Head(head): Head,
    body: Bytes,
) -> Result<Response, Failure> {
    let text = |name: &str| head.get(name).and_then(|value| value.to_str().ok());
    let signed = (text(TIMESTAMP), text(SIGNATURE_OF));
    let (Some(timestamp), Some(signature)) = signed else {
        return Err(Failure::Elsewhere);
    };
    let access = &house.rooms.access;
    let heard = Box::pin(access.take_posted_answer((timestamp, signature), &body)).await;
    match heard {
        Ok(responded) => {
            if let Some(responded) = responded {
                house.rooms.telemetry.decision(&responded.decision);
            }
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Err(why) => {
            log::debug!("what was posted as an answer of the push service {why}");
            Err(Failure::Elsewhere)
        }
    }
}
