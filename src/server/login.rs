//! An Access-Request from its task's point of view: read it, have it decided, reply.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::clients::{Known, Permit, after};
use super::duplicates::Ticket;
use super::rejects::{self, Delay};
use super::socket::{Local, Socket, canonical};
use super::waiting::{self, Packet};
use super::{Client, House, class, probe, reply, station};
use crate::access::{Attempt, Credential, HANDLE, Verdict, Wait};
use crate::account::{AttemptId, Decision, Durations, Outcome, Reason};
use crate::secret::Secret;
use crate::telemetry::Discard;
use crate::wire::{Code, Request, attribute};

/// Longest time for a request that waits for nobody (FreeRADIUS's `max_request_time`).
const PATIENCE: Duration = Duration::from_secs(30);
/// What the way back to the NAS may take: an answer after its patience is none.
const WAY_BACK: Duration = Duration::from_millis(100);
/// MS-CHAP-Challenge, of Microsoft (RFC 2548 §2.1.1).
const MS_CHAP_CHALLENGE: u8 = 11;

/// A request that was let in, and all that its task holds.
pub(super) struct Work {
    pub(super) house: Arc<House>,
    pub(super) known: Arc<Known>,
    pub(super) request: Request,
    pub(super) path: Path,
    pub(super) ticket: Ticket,
    pub(super) permit: Permit,
    pub(super) received: Instant,
}

/// The way that a reply takes.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) socket: Arc<Socket>,
    pub(super) peer: SocketAddr,
    pub(super) local: Local,
}

impl Path {
    /// The address of ours that the NAS asked.
    pub(super) fn local(&self) -> Option<IpAddr> {
        let address = match self.local {
            Local::Bound => self.socket.address().ip(),
            Local::V4(octets) => octets.into(),
            Local::V6(octets, _) => IpAddr::from(octets).to_canonical(),
        };
        (!address.is_unspecified()).then_some(address)
    }

    /// Sends; what cannot be sent is said, and asked for again by a retransmission.
    pub(super) fn send(&self, octets: &[u8]) {
        if let Err(error) = self.socket.reply(octets, self.peer, self.local) {
            log::warn!("a reply to {} was not sent: {error}", self.peer);
        }
    }
}

/// A reply on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) reply: Arc<[u8]>,
    pub(super) path: Path,
    pub(super) ticket: Ticket,
}

impl Outgoing {
    /// Keeps the reply for retransmissions and sends it, unless another request has taken its place.
    pub(super) fn leave(self, keep: Duration) {
        if self.ticket.answer(&self.reply, keep, Instant::now()) {
            self.path.send(&self.reply);
        }
    }
}

/// Why a request is refused before anybody is asked.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    reason: Reason,
    note: String,
}

impl Refusal {
    fn new(reason: Reason, note: &str) -> Self {
        Self {
            reason,
            note: note.to_owned(),
        }
    }
}

/// What of a request is needed to decide.
struct Credentials {
    name: Box<[u8]>,
    password: Secret,
}

/// Notices that the work on a request panicked: permit and entry among duplicates free themselves, the request gets no
/// answer, and it is counted.
pub(super) struct Fall {
    house: Arc<House>,
    known: Arc<Known>,
    peer: SocketAddr,
}

impl Fall {
    /// Watches over some work.
    pub(super) fn of(work: &Work) -> Self {
        Self {
            house: Arc::clone(&work.house),
            known: Arc::clone(&work.known),
            peer: work.path.peer,
        }
    }
}

impl Drop for Fall {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let name = &self.known.client.name;
            log::error!("the work on a request of client {name} panicked: it gets no answer");
            self.house.rooms.telemetry.discard(
                Discard::Panicked,
                self.peer,
                Some(name),
                "the work on it panicked",
            );
        }
    }
}

/// Does the work of one Access-Request.
pub(super) async fn run(work: Work) {
    let (verdict, attempt) = match credentials(&work.request, &work.known.client) {
        Ok(credentials) => decide(&work, credentials).await,
        Err(refusal) => refuse(&work, refusal),
    };
    if let Verdict::Wait(wait) = verdict {
        hold(work, wait);
    } else {
        answer(work, (&verdict, &attempt));
    }
}

/// Holds the reply for a prompt; the permit is free again.
fn hold(work: Work, wait: Wait) {
    let Work {
        house,
        known,
        request,
        path,
        ticket,
        permit,
        received,
    } = work;
    drop(permit);
    let packet = Packet {
        known,
        request,
        path,
        ticket,
        received,
        wait,
    };
    waiting::wait(&house, packet);
}

/// Replies to a packet that was held.
pub(super) fn answer_held(house: &Arc<House>, packet: Packet, decided: (&Verdict, &AttemptId)) {
    let Packet {
        known,
        request,
        path,
        ticket,
        received,
        ..
    } = packet;
    send(house, &known, (request, path, ticket, received), decided);
}

async fn decide(work: &Work, credentials: Credentials) -> (Verdict, AttemptId) {
    let rooms = &work.house.rooms;
    let attempt = attempt(work, credentials);
    let answers = attempt.state.is_some();
    let nas = attempt.nas;
    let answer = rooms.access.decide(attempt).await;
    rooms.telemetry.decision(&answer.decision);
    if answers && answer.decision.reason != Reason::UnknownChallenge {
        rooms
            .telemetry
            .challenge_answered(&work.known.client.name, nas);
    }
    (answer.verdict, answer.decision.attempt.clone())
}

fn attempt(work: &Work, credentials: Credentials) -> Attempt {
    let client = &work.known.client;
    let (station, station_from) = station::read(&work.request, &client.station);
    let patience = client.patience.min(PATIENCE).saturating_sub(WAY_BACK);
    Attempt {
        client: Arc::clone(&client.policy),
        nas: canonical(work.path.peer),
        nas_port: nas_port(&work.request),
        name: credentials.name,
        credential: Credential::Password(credentials.password),
        state: work.request.attribute(attribute::STATE).map(Into::into),
        station,
        station_from,
        received: work.received,
        deadline: after(work.received, patience),
        hold_until: after(work.received, hold_for(work)),
    }
}

/// How long a reply may be held: as long as the gear waits by its profile, or less if it was seen to.
fn hold_for(work: &Work) -> Duration {
    let client = &work.known.client;
    let measured = work.house.rooms.telemetry.patience(&client.name);
    let patience = measured.map_or(client.patience, |seen| seen.min(client.patience));
    patience.saturating_sub(WAY_BACK)
}

fn refuse(work: &Work, refusal: Refusal) -> (Verdict, AttemptId) {
    let client = &work.known.client;
    let (station, station_from) = station::read(&work.request, &client.station);
    let took = work.received.elapsed().as_micros();
    let typed = work.request.attribute(attribute::USER_NAME);
    let rooms = &work.house.rooms;
    let decision = Decision {
        attempt: AttemptId::new(rooms.clock.now()),
        at: rooms.clock.now(),
        account: None,
        name: Arc::default(),
        client: client.name.clone(),
        nas: canonical(work.path.peer),
        station,
        station_from,
        zone: None,
        rule: None,
        factor: None,
        outcome: Outcome::Reject,
        reason: refusal.reason,
        directory: None,
        durations: Durations {
            total: u64::try_from(took).unwrap_or(u64::MAX),
            ..Durations::default()
        },
        note: Some(refusal.note.into()),
    };
    let decision = match decision.reason {
        // Nobody tried to log in: there is nothing to count.
        Reason::HealthCheck => Arc::new(decision),
        _ => rooms
            .access
            .count_refusal(typed.unwrap_or_default(), decision),
    };
    rooms.telemetry.decision(&decision);
    (client.policy.common_reject(), decision.attempt.clone())
}

/// Replies: a Reject at its time, anything else at once.
fn answer(work: Work, decided: (&Verdict, &AttemptId)) {
    let Work {
        house,
        known,
        request,
        path,
        ticket,
        permit,
        received,
    } = work;
    drop(permit);
    send(&house, &known, (request, path, ticket, received), decided);
}

fn send(
    house: &Arc<House>,
    known: &Arc<Known>,
    (request, path, ticket, received): (Request, Path, Ticket, Instant),
    (verdict, attempt): (&Verdict, &AttemptId),
) {
    let settings = house.settings.load();
    let class = class::of(&house.rooms.access, &known.client, attempt);
    let decided = (verdict, class.as_ref().map(<[u8; HANDLE]>::as_slice));
    let Some(octets) = reply::build(&request, &known.client, decided, &settings.replies) else {
        house.rooms.telemetry.discard(
            Discard::Undecided,
            path.peer,
            Some(&known.client.name),
            "could not be decided (when-undecided = \"discard\")",
        );
        return;
    };
    let is_reject = octets.first() == Some(&(Code::AccessReject as u8));
    if is_reject && matches!(verdict, Verdict::Accept { .. } | Verdict::Challenge { .. }) {
        log::error!(
            "client {}: the reply does not fit a packet and became a Reject: its reply sets are too long",
            known.client.name
        );
    }
    if matches!(verdict, Verdict::Accept { .. }) {
        house
            .expected
            .note_request(&known.client.name, &request, attempt);
    }
    let outgoing = Outgoing {
        reply: octets.into(),
        path,
        ticket,
    };
    if is_reject {
        let at = rejects::due(received, settings.reject_floor);
        reject(house, known, outgoing, at);
    } else {
        outgoing.leave(settings.reply_keep);
    }
}

fn reject(house: &House, known: &Known, outgoing: Outgoing, at: Instant) {
    let peer = outgoing.path.peer;
    match house.rejects.delay(outgoing, at) {
        Delay::Waits => {}
        Delay::Now(outgoing) => outgoing.leave(house.settings.load().reply_keep),
        Delay::Full => house.rooms.telemetry.discard(
            Discard::Full,
            peer,
            Some(&known.client.name),
            "too many Rejects wait for their time",
        ),
    }
}

fn credentials(request: &Request, client: &Client) -> Result<Credentials, Refusal> {
    if let Some(probe) = probe::find(request, &client.probes) {
        let note = format!("a health check: {probe}");
        return Err(Refusal::new(Reason::HealthCheck, &note));
    }
    if let Some(kind) = request.repeated() {
        let note = format!("attribute {kind} may occur once and occurs more often");
        return Err(Refusal::new(Reason::BadRequest, &note));
    }
    let Some(name) = request.attribute(attribute::USER_NAME) else {
        return Err(Refusal::new(Reason::BadRequest, "User-Name is missing"));
    };
    if let Some(method) = unsupported(request) {
        let note = format!("{method} is not configured: set the client to PAP");
        return Err(Refusal::new(Reason::UnsupportedMethod, &note));
    }
    let password = request
        .user_password(&client.secret)
        .map_err(|bad| Refusal::new(Reason::BadRequest, &bad.to_string()))?;
    Ok(Credentials {
        name: name.into(),
        password: readable(password)?,
    })
}

/// The method by which a request wants to log in, if it is one that shows no password.
fn unsupported(request: &Request) -> Option<&'static str> {
    let has = |kind| request.attribute(kind).is_some();
    let has_microsoft = |kind| {
        request
            .vendor_attributes(attribute::MICROSOFT, kind)
            .next()
            .is_some()
    };
    if has(attribute::EAP_MESSAGE) {
        Some("EAP")
    } else if has(attribute::CHAP_PASSWORD) {
        Some("CHAP")
    } else if has_microsoft(attribute::MS_CHAP_RESPONSE)
        || has_microsoft(MS_CHAP_CHALLENGE)
        || has_microsoft(attribute::MS_CHAP2_RESPONSE)
    {
        Some("MS-CHAP")
    } else {
        None
    }
}

fn readable(password: Option<Secret>) -> Result<Secret, Refusal> {
    match password {
        Some(password) if password.is_empty() => Err(Refusal::new(
            Reason::EmptyPassword,
            "User-Password is empty",
        )),
        Some(password) if password.expose_str().is_none() => Err(Refusal::new(
            Reason::UnreadablePassword,
            "probable shared secret mismatch: User-Password is not UTF-8",
        )),
        Some(password) => Ok(password),
        None => Err(Refusal::new(
            Reason::EmptyPassword,
            "User-Password is missing",
        )),
    }
}

/// What tells two people behind one address apart: each attribute with its type and length, so that no two sets of
/// them look the same.
fn nas_port(request: &Request) -> Option<Box<[u8]>> {
    let kinds = [
        attribute::NAS_PORT,
        attribute::NAS_PORT_ID,
        attribute::ACCT_SESSION_ID,
    ];
    let mut joined = Vec::new();
    for kind in kinds {
        if let Some(value) = request.attribute(kind) {
            joined.push(kind);
            joined.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
            joined.extend_from_slice(value);
        }
    }
    (!joined.is_empty()).then(|| joined.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Query;

    #[test]
    fn a_password_is_text_and_not_empty() {
        let reason = |password: Option<&[u8]>| {
            readable(password.map(|octets| Secret::new(octets.to_vec())))
                .map_err(|refusal| refusal.reason)
        };
        assert!(reason(Some("パスワード".as_bytes())).is_ok());
        assert_eq!(reason(None), Err(Reason::EmptyPassword));
        assert_eq!(reason(Some(b"")), Err(Reason::EmptyPassword));
        assert_eq!(reason(Some(b"\xff\xfe")), Err(Reason::UnreadablePassword));
    }

    #[test]
    fn two_people_behind_one_address_are_told_apart() {
        let joined = |attributes: &[(u8, &[u8])]| {
            let secret = Secret::from("a secret");
            let query = attributes
                .iter()
                .fold(Query::access(1), |query, (kind, value)| {
                    query.with(*kind, value)
                })
                .sign(&secret);
            nas_port(&Request::parse(query.octets()).unwrap())
        };
        let port: (u8, &[u8]) = (attribute::NAS_PORT, &[0, 0, 0, 7]);
        let id: (u8, &[u8]) = (attribute::NAS_PORT_ID, b"7");
        let session: (u8, &[u8]) = (attribute::ACCT_SESSION_ID, b"7");
        assert_eq!(joined(&[]), None);
        assert_eq!(joined(&[port, id]), joined(&[id, port]));
        assert_ne!(joined(&[id]), joined(&[session]));
        assert_ne!(joined(&[port]), joined(&[port, session]));
    }
}
