//! EAP conversations: each packet finds its own by State, takes it a turn further and is answered.
//!
//! Not here: EAP itself (`eap`), and whether credentials are right (`access`). RFC 3579, 3580, 4072, 4372.

mod judge;
mod names;
mod reply;
mod table;

use std::fmt;
use std::sync::Arc;

use super::clients::Known;
use super::login::{self, Refusal, Scene, Work};
use super::{probe, reply as replies};
use crate::access::{Concluded, Resumable, Verdict, Wait};
use crate::account::{AccountId, AttemptId, Reason, shown};
use crate::clock::Clock;
use crate::eap::{self, Authenticator, Conversation, Failed, Room};
use crate::telemetry::Discard;
use crate::wire::{Request, attribute};

use judge::{Judged, Question};
use table::{Found, Owner, Stage, State};

pub(super) use table::Table;

/// EAP's codes (RFC 3748 §4).
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
/// Octets of Framed-MTU that are not EAP: the header of EAPOL (RFC 3579 §2.4).
const EAPOL_OCTETS: usize = 4;
/// From this packet of a peer on there is a tunnel, or the beginning of one: before it came a name alone.
const TUNNEL_FROM: u32 = 2;

type Turn = eap::Turn<Arc<Resumable>>;

/// Holds EAP conversations, as configured. Cheap to clone.
#[derive(Clone)]
pub struct Eap {
    authenticator: Authenticator<Arc<Resumable>>,
    /// Octets of an EAP packet that is sent, at most.
    fragment: usize,
}

impl Eap {
    /// Prepares the methods.
    ///
    /// # Errors
    ///
    /// When certificate, key, CA or CRL cannot be used.
    pub fn new(settings: &eap::Settings, clock: Clock) -> Result<Self, eap::Error> {
        Ok(Self {
            fragment: settings.fragment,
            authenticator: Authenticator::new(settings, clock)?,
        })
    }

    /// Takes new settings. Conversations in work end under the old ones; sessions stay resumable.
    ///
    /// # Errors
    ///
    /// As for [`Eap::new`]; then nothing has changed.
    pub fn reload(&mut self, settings: &eap::Settings) -> Result<(), eap::Error> {
        self.authenticator.reload(settings)?;
        self.fragment = settings.fragment;
        Ok(())
    }
}

/// A conversation, as it is kept between two of its packets.
pub(super) struct Kept {
    conversation: Conversation<Arc<Resumable>>,
    fragment: usize,
    /// User-Name: the outer name, which every packet must bring again.
    name: Option<Box<[u8]>>,
    /// The peer's packets so far that took it further.
    packets: u32,
    /// What is asked of `access`, or was.
    question: Question,
    /// What the Accept will carry, once a login was let in.
    accepted: Option<Accepted>,
}

/// A login that was let in, until its conversation has come to its end.
struct Accepted {
    /// Reply sets.
    sets: Vec<Arc<str>>,
    account: Option<AccountId>,
    /// The attempt that its session is known by.
    attempt: AttemptId,
    /// Who it is, where the outer name says somebody else.
    name: Option<Box<[u8]>>,
}

impl Kept {
    fn stage(&self) -> Stage {
        if self.question.is_put() {
            Stage::Asked
        } else if self.packets < TUNNEL_FROM {
            Stage::Begun
        } else {
            Stage::Tunnelled
        }
    }
}

/// Shows nothing: there are keys inside.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(…)")
    }
}

/// What a packet leads to.
enum Step {
    /// This is sent, and its State is spent.
    Send(Vec<u8>),
    /// The reply is held for a prompt.
    Hold(Box<Kept>, Wait),
    /// Nothing is sent.
    Silence(Discard, &'static str),
}

/// Does the work of one Access-Request with EAP-Message.
pub(super) async fn run(work: Work) {
    let step = match open(&work.scene()) {
        Ok((kept, turn)) => advance(&work, kept, turn).await,
        Err(step) => step,
    };
    match step {
        Step::Send(octets) => {
            spend(&work.scene());
            login::answer(work, octets);
        }
        Step::Hold(kept, wait) => login::hold(work, wait, Some(kept)),
        Step::Silence(discard, why) => silence(&work.scene(), discard, why),
    }
}

/// Goes on with a conversation whose prompt was concluded.
pub(super) fn conclude(
    scene: &Scene<'_>,
    mut kept: Box<Kept>,
    told: (Verdict, &Concluded),
) -> Option<Vec<u8>> {
    let step = match judge::concluded(&mut kept, told) {
        Judged::Told(judgement) => {
            let turn = kept.conversation.judged(judgement);
            settle(scene, kept, turn)
        }
        // A prompt that is decided leaves nothing to wait for.
        Judged::Wait(_) | Judged::Undecided => undecided(scene),
    };
    match step {
        Step::Send(octets) => {
            spend(scene);
            return Some(octets);
        }
        Step::Silence(discard, why) => silence(scene, discard, why),
        Step::Hold(..) => {}
    }
    None
}

fn silence(scene: &Scene<'_>, discard: Discard, why: &str) {
    let client = &scene.known.client.name;
    let telemetry = &scene.house.rooms.telemetry;
    telemetry.discard(discard, scene.path.peer, Some(client), why);
}

/// Forgets the State that the packet brought.
fn spend(scene: &Scene<'_>) {
    if let Some(state) = scene.request.attribute(attribute::STATE) {
        let conversations = &scene.house.conversations;
        conversations.forget(state, &owner(scene.known));
    }
}

/// Finds the conversation of a packet, or begins one, and hands it the packet.
fn open(scene: &Scene<'_>) -> Result<(Box<Kept>, Turn), Step> {
    let (request, client) = (scene.request, &scene.known.client);
    if let Some(probe) = probe::find(request, &client.probes) {
        let note = format!("a health check: {probe}");
        return Err(refused(scene, Reason::HealthCheck, &note));
    }
    if let Some(kind) = request.repeated() {
        let note = format!("attribute {kind} may occur once and occurs more often");
        return Err(refused(scene, Reason::BadRequest, &note));
    }
    let packet = request.eap().unwrap_or_default();
    match packet.first() {
        Some(&RESPONSE) | None => {}
        Some(&REQUEST) => return Err(reversed(scene, &packet)),
        Some(_) => {
            let why = "EAP-Success or EAP-Failure from a peer (RFC 3579 §2.6.2)";
            return Err(Step::Silence(Discard::Malformed, why));
        }
    }
    match request.attribute(attribute::STATE) {
        Some(state) => find(scene, state, &packet),
        None => begin(scene, &packet),
    }
}

/// The peer wants to prove who we are: refused, with a Nak that has no other method (RFC 3579 §2.6.2).
fn reversed(scene: &Scene<'_>, packet: &[u8]) -> Step {
    let note = "an EAP-Request: the station takes us for its peer";
    login::record(scene, Refusal::new(Reason::BadRequest, note));
    Step::Send(reply::nak(scene, packet))
}

fn begin(scene: &Scene<'_>, packet: &[u8]) -> Result<(Box<Kept>, Turn), Step> {
    let Some(eap) = scene.house.eap.load_full() else {
        let note = "EAP is not configured: write [eap], or set the client to PAP";
        return Err(refused(scene, Reason::UnsupportedMethod, note));
    };
    let room = room(scene.request, eap.fragment);
    let (conversation, turn) = eap.authenticator.begin(packet, room);
    let mut kept = Box::new(Kept {
        conversation,
        fragment: eap.fragment,
        name: None,
        packets: u32::from(!packet.is_empty()),
        question: Question::default(),
        accepted: None,
    });
    name(scene, &mut kept)?;
    Ok((kept, turn))
}

fn find(scene: &Scene<'_>, state: &[u8], packet: &[u8]) -> Result<(Box<Kept>, Turn), Step> {
    let conversations = &scene.house.conversations;
    let mut kept = match conversations.take(state, &owner(scene.known), scene.received) {
        Found::Kept(kept) => kept,
        Found::InWork => {
            let why = "its conversation is in work, or could not be decided";
            return Err(Step::Silence(Discard::InWork, why));
        }
        Found::Nothing => {
            let note = "no conversation has this State: it has ended, or another server began it";
            return Err(refused(scene, Reason::UnknownChallenge, note));
        }
    };
    let room = room(scene.request, kept.fragment);
    let turn = kept.conversation.receive(packet, room);
    if let Turn::Discard(why) = turn {
        conversations.put_back(state, kept);
        return Err(Step::Silence(Discard::Malformed, why));
    }
    kept.packets += 1;
    name(scene, &mut kept)?;
    Ok((kept, turn))
}

/// Checks User-Name: it is the same in all packets, and what the peer gave as its identity (RFC 3579 §2.1).
fn name(scene: &Scene<'_>, kept: &mut Kept) -> Result<(), Step> {
    let identity = kept.conversation.identity();
    if let Some(probe) = probe::find_name(identity, &scene.known.client.probes) {
        let note = format!("a health check: {probe}");
        return Err(refused(scene, Reason::HealthCheck, &note));
    }
    let name = scene.request.attribute(attribute::USER_NAME);
    let same = match (&kept.name, name) {
        (Some(before), Some(name)) => **before == *name,
        (Some(_), None) => false,
        (None, _) => true,
    };
    // Without an identity the NAS fills in another name (RFC 3579 §2.1).
    let given = name.is_none_or(|name| identity.is_empty() || identity == name);
    if !(same && given) {
        let note = format!(
            "User-Name is not the EAP identity {}, or another than before",
            shown(identity)
        );
        return Err(refused(scene, Reason::BadRequest, &note));
    }
    // At an EAP-Start the NAS does not know any yet.
    if kept.name.is_none() && kept.packets > 0 {
        kept.name = name.map(Into::into);
    }
    Ok(())
}

fn owner(known: &Known) -> Owner {
    Owner {
        client: known.client.name.clone(),
        lent: known.lent,
    }
}

/// By what a station is told from others, at gear that does so; where they share one it would be everybody's.
fn station<'a>(scene: &Scene<'a>) -> Option<&'a [u8]> {
    let station = scene.request.attribute(attribute::CALLING_STATION_ID);
    let shared = scene.known.client.policy.shared_stations;
    station.filter(|station| !shared && !station.is_empty())
}

fn room(request: &Request, fragment: usize) -> Room {
    let framed = request.number(attribute::FRAMED_MTU);
    let framed = framed.and_then(|octets| usize::try_from(octets).ok());
    Room(framed.map_or(fragment, |octets| {
        octets.saturating_sub(EAPOL_OCTETS).min(fragment)
    }))
}

/// Takes a conversation as far as it goes without its peer.
async fn advance(work: &Work, mut kept: Box<Kept>, mut turn: Turn) -> Step {
    loop {
        turn = match turn {
            Turn::Look(record) => {
                let may = judge::may_resume(work, &record).await;
                kept.conversation.looked(may)
            }
            Turn::Judge(credentials) => match judge::ask(work, &mut kept, credentials).await {
                Judged::Told(judgement) => kept.conversation.judged(judgement),
                Judged::Wait(wait) => return Step::Hold(kept, wait),
                Judged::Undecided => return undecided(&work.scene()),
            },
            last => return settle(&work.scene(), kept, last),
        };
    }
}

/// What a turn means for the NAS.
fn settle(scene: &Scene<'_>, kept: Box<Kept>, turn: Turn) -> Step {
    match turn {
        Turn::Ask(packet) => {
            let stage = kept.stage();
            let whose = (owner(scene.known), station(scene));
            let conversations = &scene.house.conversations;
            let octets = kept.conversation.octets();
            let state = conversations.keep((stage, kept, octets), whose, scene.received);
            Step::Send(reply::ask(scene, &state, &packet))
        }
        Turn::Success(success) => match &kept.accepted {
            Some(accepted) => Step::Send(reply::accept(scene, &kept, accepted, &success)),
            None => {
                log::error!("an EAP conversation succeeded without a login: refused");
                refused(scene, Reason::EapFailed, "success without a login")
            }
        },
        Turn::Failure(packet, failed) => {
            if let Some(failed) = failed {
                let (reason, note) = said_of(&failed);
                let note = format!("{note}; {}", kept.conversation.told());
                login::record(scene, Refusal::new(reason, &note));
            }
            Step::Send(reply::reject(scene, &packet))
        }
        Turn::Discard(why) => Step::Silence(Discard::Malformed, why),
        Turn::Look(_) | Turn::Judge(_) => undecided(scene),
    }
}

fn said_of(failed: &Failed) -> (Reason, String) {
    match failed {
        Failed::NoMethod => {
            let note = "the station wants no EAP method that is configured";
            (Reason::UnsupportedMethod, note.to_owned())
        }
        Failed::Tls(why) => (Reason::EapFailed, format!("TLS failed: {why}")),
        Failed::Protocol(why) => (Reason::EapFailed, (*why).to_owned()),
        Failed::ByPeer => {
            let note = "the station gave up after it was let in";
            (Reason::EapFailed, note.to_owned())
        }
    }
}

/// Refuses a packet before anybody is asked.
fn refused(scene: &Scene<'_>, reason: Reason, note: &str) -> Step {
    let (verdict, _) = login::refuse(scene, Refusal::new(reason, note));
    send(scene, &verdict)
}

/// It could not be decided: no answer, unless the client wants one. The State stays, and is met with silence: a Reject at the next
/// packet would be an answer, too.
fn undecided(scene: &Scene<'_>) -> Step {
    send(scene, &Verdict::Undecided)
}

fn send(scene: &Scene<'_>, verdict: &Verdict) -> Step {
    let sets = &scene.house.settings.load().replies;
    let why = "could not be decided (when-undecided = \"discard\")";
    replies::build(scene.request, &scene.known.client, (verdict, None), sets)
        .map_or(Step::Silence(Discard::Undecided, why), Step::Send)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    impl Kept {
        /// A conversation that was asked who is there.
        pub(in crate::server) fn made() -> Self {
            let names = vec!["radius.example.ac.jp".to_owned()];
            let made = rcgen::generate_simple_self_signed(names).unwrap();
            let settings = eap::Settings {
                certificate: made.cert.pem().into_bytes(),
                key: Secret::from(made.signing_key.serialize_pem().as_str()),
                client_ca: Vec::new(),
                crl: Vec::new(),
                files: Vec::new(),
                methods: vec![eap::Method::Ttls],
                inner: vec![eap::Inner::Pap],
                oldest: eap::Version::V12,
                newest: eap::Version::V13,
                fragment: 1024,
                resume_for: std::time::Duration::ZERO,
                certificate_name: eap::CertificateName::Mail,
            };
            let eap = Eap::new(&settings, Clock::system()).unwrap();
            let (conversation, _) = eap.authenticator.begin(&[], Room(eap.fragment));
            Self {
                conversation,
                fragment: eap.fragment,
                name: None,
                packets: 0,
                question: Question::default(),
                accepted: None,
            }
        }
    }
}
