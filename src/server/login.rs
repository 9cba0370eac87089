//! An Access-Request from its task's point of view: read it, have it decided, reply. One with EAP-Message goes on in
//! `conversation`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::clients::{Known, Permit, after};
use super::conversation::{self, Kept};
use super::duplicates::Ticket;
use super::path::Path;
use super::rejects::{self, Delay};
use super::socket::canonical;
use super::waiting::{self, Packet};
use super::{Client, House, class, probe, reply, station};
use crate::access::{Answer, Attempt, Concluded, Credential, HANDLE, Verdict, Wait};
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

impl Work {
    /// The request and where it stands.
    pub(super) fn scene(&self) -> Scene<'_> {
        Scene {
            house: &self.house,
            known: &self.known,
            request: &self.request,
            path: &self.path,
            received: self.received,
        }
    }
}

/// A request and where it stands, whether it is in work or held.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) house: &'a House,
    pub(super) known: &'a Known,
    pub(super) request: &'a Request,
    pub(super) path: &'a Path,
    pub(super) received: Instant,
}

impl Scene<'_> {
    /// The Class of the Accept that an attempt ends in. Its accounting is expected from now on.
    pub(super) fn class(&self, attempt: &AttemptId) -> Option<[u8; HANDLE]> {
        let (house, client) = (self.house, &self.known.client);
        let expected = &house.expected;
        expected.note_request(&client.name, self.request, attempt);
        class::of(&house.rooms.access, client, attempt)
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
pub(super) struct Refusal {
    reason: Reason,
    note: String,
}

impl Refusal {
    pub(super) fn new(reason: Reason, note: &str) -> Self {
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
    if work.request.attribute(attribute::EAP_MESSAGE).is_some() {
        // Boxed: a conversation's future is larger than that of a login by PAP.
        return Box::pin(conversation::run(work)).await;
    }
    let (verdict, number) = match credentials(&work.request, &work.known.client) {
        Ok(Credentials { name, password }) => {
            let mut attempt = attempt(&work, name, Credential::Password(password));
            attempt.state = work.request.attribute(attribute::STATE).map(Into::into);
            let answer = decide(&work, attempt).await;
            (answer.verdict, answer.decision.attempt.clone())
        }
        Err(refusal) => refuse(&work.scene(), refusal),
    };
    if let Verdict::Wait(wait) = verdict {
        hold(work, wait, None);
    } else if let Some(octets) = build(&work.scene(), (&verdict, &number)) {
        answer(work, octets);
    }
}

/// Holds the reply for a prompt; the permit is free again.
pub(super) fn hold(work: Work, wait: Wait, kept: Option<Box<Kept>>) {
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
        kept,
    };
    waiting::wait(&house, packet);
}

/// Replies to a packet that was held.
pub(super) fn answer_held(house: &House, packet: Packet, verdict: Verdict, all: &Concluded) {
    let Packet {
        known,
        request,
        path,
        ticket,
        received,
        kept,
        ..
    } = packet;
    let scene = Scene {
        house,
        known: &known,
        request: &request,
        path: &path,
        received,
    };
    let octets = match kept {
        Some(kept) => conversation::conclude(&scene, kept, (verdict, all)),
        None => build(&scene, (&verdict, &all.decision.attempt)),
    };
    if let Some(octets) = octets {
        send(house, &known, (path, ticket, received), octets);
    }
}

/// Has an attempt decided, and tells of it.
pub(super) async fn decide(work: &Work, attempt: Attempt) -> Answer {
    let rooms = &work.house.rooms;
    let answers = attempt.state.is_some();
    let nas = attempt.nas;
    let answer = rooms.access.decide(attempt).await;
    rooms.telemetry.decision(&answer.decision);
    if answers && answer.decision.reason != Reason::UnknownChallenge {
        rooms
            .telemetry
            .challenge_answered(&work.known.client.name, nas);
    }
    answer
}

/// An attempt that begins.
pub(super) fn attempt(work: &Work, name: Box<[u8]>, credential: Credential) -> Attempt {
    let client = &work.known.client;
    let (station, station_from) = station::read(&work.request, &client.station);
    Attempt {
        client: Arc::clone(&client.policy),
        nas: canonical(work.path.peer),
        nas_port: nas_port(&work.request),
        name,
        credential,
        state: None,
        can_ask: true,
        station,
        station_from,
        received: work.received,
        deadline: deadline(work),
        hold_until: after(work.received, hold_for(work)),
    }
}

/// When an answer has no more use.
pub(super) fn deadline(work: &Work) -> Instant {
    let patience = work.known.client.patience.min(PATIENCE);
    after(work.received, patience.saturating_sub(WAY_BACK))
}

/// How long a reply may be held: as long as the gear waits by its profile, or less if it was seen to.
fn hold_for(work: &Work) -> Duration {
    let client = &work.known.client;
    let measured = work.house.rooms.telemetry.patience(&client.name);
    let patience = measured.map_or(client.patience, |seen| seen.min(client.patience));
    patience.saturating_sub(WAY_BACK)
}

/// Refuses a request before anybody is asked.
pub(super) fn refuse(scene: &Scene<'_>, refusal: Refusal) -> (Verdict, AttemptId) {
    let attempt = record(scene, refusal);
    (scene.known.client.policy.common_reject(), attempt)
}

/// Records that a request is refused before anybody was asked. Gives the number of the record.
pub(super) fn record(scene: &Scene<'_>, refusal: Refusal) -> AttemptId {
    let client = &scene.known.client;
    let (station, station_from) = station::read(scene.request, &client.station);
    let took = scene.received.elapsed().as_micros();
    let typed = scene.request.attribute(attribute::USER_NAME);
    let rooms = &scene.house.rooms;
    let decision = Decision {
        attempt: AttemptId::new(rooms.clock.now()),
        at: rooms.clock.now(),
        account: None,
        name: Arc::default(),
        client: client.name.clone(),
        nas: canonical(scene.path.peer),
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
    decision.attempt.clone()
}

/// A verdict as a packet; none when nothing is to be answered.
fn build(scene: &Scene<'_>, (verdict, attempt): (&Verdict, &AttemptId)) -> Option<Vec<u8>> {
    let (client, settings) = (&scene.known.client, scene.house.settings.load());
    let class = match verdict {
        Verdict::Accept { .. } => scene.class(attempt),
        _ => None,
    };
    let decided = (verdict, class.as_ref().map(<[u8; HANDLE]>::as_slice));
    let octets = reply::build(scene.request, client, decided, &settings.replies);
    if octets.is_none() {
        scene.house.rooms.telemetry.discard(
            Discard::Undecided,
            scene.path.peer,
            Some(&client.name),
            "could not be decided (when-undecided = \"discard\")",
        );
    }
    let let_in = matches!(verdict, Verdict::Accept { .. } | Verdict::Challenge { .. });
    if let_in && octets.as_deref().is_some_and(is_reject) {
        reply::tell_too_long(&client.name);
    }
    octets
}

fn is_reject(octets: &[u8]) -> bool {
    octets.first() == Some(&(Code::AccessReject as u8))
}

/// Replies: a Reject at its time, anything else at once.
pub(super) fn answer(work: Work, octets: Vec<u8>) {
    let Work {
        house,
        known,
        path,
        ticket,
        permit,
        received,
        ..
    } = work;
    drop(permit);
    send(&house, &known, (path, ticket, received), octets);
}

fn send(
    house: &House,
    known: &Known,
    (path, ticket, received): (Path, Ticket, Instant),
    octets: Vec<u8>,
) {
    let settings = house.settings.load();
    let rejects = is_reject(&octets);
    let outgoing = Outgoing {
        reply: octets.into(),
        path,
        ticket,
    };
    if rejects {
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
    if has(attribute::CHAP_PASSWORD) {
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
