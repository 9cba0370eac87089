//! Push: a prompt is opened once for an attempt, its packets wait for it, and what became of it is their answer (D6, D8).
//!
//! A login that waits is a line in a table of `server`, not a task: [`Wait`] says for what and until when, and
//! [`conclude`](super::Access::conclude) gives the answers when that moment, or a decision, has come. All else is in the store, so that a
//! prompt outlives the process.

mod conclusion;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::bells::Service;
use super::exchange::{Exchange, Settled, Undecided};
use super::policy::Phone;
use super::proven::{self, Asking, Proven};
use super::retries::AttemptKey;
use super::texts::{self, Text};
use super::{ClientPolicy, PushMode, Room, Then, Verdict, policy};
use crate::account::{AttemptId, Decision, FactorKind, Outcome, Reason, Who};
use crate::clock::Timestamp;
use crate::secret::{random_array, random_digits};
use crate::store::{
    ApprovalUsed, Challenge, Crossing, Device, Error, NewPrompt, Prompt, PromptOpened,
    PromptStanding, PromptState, Standing,
};

pub(super) use conclusion::conclude;

/// For what a reply is held, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The prompt.
    pub prompt: AttemptId,
    /// When the gear must have an answer.
    pub until: Instant,
    /// How many challenges may follow.
    rounds_left: u8,
    /// The attempt that the person began with, for packets of it that come after the verdict.
    first: Option<AttemptKey>,
    /// The answer to a challenge that it is, whose State is spent: for the same answer in another packet.
    answer: Option<Box<AttemptKey>>,
}

impl Wait {
    /// One that began with no attempt.
    #[cfg(test)]
    pub(crate) const fn made(prompt: AttemptId, until: Instant) -> Self {
        Self {
            prompt,
            until,
            rounds_left: 1,
            first: None,
            answer: None,
        }
    }

    /// Whether it is the answer to a challenge.
    pub(super) const fn is_answer(&self) -> bool {
        self.answer.is_some()
    }
}

/// Why a held reply leaves now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The prompt was decided or withdrawn.
    Decided,
    /// The gear's patience ends.
    Patience,
    /// No device could be reached: where a code can be asked for, it is.
    Unreachable,
}

/// A held reply, as `server` keeps it.
#[derive(Clone, Debug)]
pub struct Held {
    /// The client.
    pub client: Arc<ClientPolicy>,
    /// The address that the request came from.
    pub nas: IpAddr,
    /// When it came.
    pub received: Instant,
    /// For what it waits.
    pub wait: Wait,
}

/// What earlier prompts mean for a packet.
pub(super) enum Earlier {
    /// It is of an attempt whose prompt is open: it waits with the others.
    Join(AttemptId),
    /// It is of an attempt that was approved when its gear had given up.
    Late(AttemptId),
    /// Nothing.
    None,
}

/// Looks for a prompt of the packet's attempt. Without a station or port that tells where packets come from there is none.
pub(super) fn earlier(exchange: &Exchange<'_>, who: &Who, standing: &Standing) -> Earlier {
    if standing.prompts.is_empty() {
        return Earlier::None;
    }
    let (room, key) = (exchange.room, exchange.prompt_key(&who.key));
    if !key.joins() {
        return Earlier::None;
    }
    let (late, now) = (exchange.client().late_approval, room.clock.now());
    let of_attempt = |known: &&PromptStanding| room.store.is_of_attempt(known, key.digest());
    for known in standing.prompts.iter().filter(of_attempt) {
        let id = known.prompt.id().clone();
        match known.state {
            PromptState::Open if known.prompt.crossing != Crossing::Shown => {
                return Earlier::Join(id);
            }
            PromptState::Approved if known.is_fresh(late, now) => return Earlier::Late(id),
            _ => {}
        }
    }
    Earlier::None
}

/// Holds the reply for a prompt.
pub(super) fn hold(exchange: &Exchange<'_>, prompt: AttemptId, rounds_left: u8) -> Settled {
    let mut decision = exchange.decided(Outcome::Waiting, Reason::PushAsked);
    decision.attempt = prompt.clone();
    decision.factor = Some(FactorKind::Push);
    // Nor is anything asked later, where it could not be asked at first.
    let rounds_left = match exchange.client().can_challenge() {
        true => rounds_left,
        false => 0,
    };
    let wait = Wait {
        prompt,
        until: exchange.attempt.hold_until,
        rounds_left,
        first: exchange.first,
        answer: exchange.answer.map(Box::new),
    };
    exchange.settled(Verdict::Wait(wait), Arc::new(decision))
}

/// Uses an approval that came too late for its own packet. `None` if somebody else was faster.
pub(super) async fn use_late(
    exchange: &mut Exchange<'_>,
    proven: &Proven,
    prompt: &AttemptId,
) -> Result<Option<Settled>, Undecided> {
    exchange.decision.factor = Some(FactorKind::Push);
    let decision = Arc::new(exchange.decided(Outcome::Accept, Reason::ProvenLate));
    let (store, late) = (&exchange.room.store, exchange.client().late_approval);
    let entrance = proven.entrance();
    let admission = entrance.admission(decision.clone());
    let used = store
        .use_approval(&proven.account, prompt, Some(late), admission)
        .await?;
    Ok(match used {
        ApprovalUsed::Accepted => Some(exchange.admitted(&entrance, decision)),
        ApprovalUsed::None(_) => None,
    })
}

/// What can ask a person for an approval.
#[derive(Default)]
pub(super) struct Phones {
    /// Devices of their own.
    pub(super) devices: Vec<Device>,
    /// The site's own push service, for those who have none.
    service: bool,
}

impl Phones {
    /// Looks them up, where the client can be answered by an approval.
    pub(super) fn of(
        exchange: &Exchange<'_>,
        standing: &Standing,
        then: Then,
    ) -> Result<Self, Undecided> {
        if exchange.client().push.is_empty() || then != Then::Ask {
            return Ok(Self::default());
        }
        let mut devices = Vec::new();
        for factor in standing
            .factors
            .iter()
            .filter(|f| f.kind == FactorKind::Push)
        {
            devices.extend(exchange.room.store.device(factor.id)?);
        }
        let service = devices.is_empty() && exchange.setup.channels.has_webhook();
        Ok(Self { devices, service })
    }

    /// As the rules see them.
    pub(super) fn phone(&self) -> Phone {
        match self.service || self.devices.iter().any(Device::is_reachable) {
            true => Phone::Rings,
            false if self.devices.is_empty() => Phone::None,
            false => Phone::Mute,
        }
    }
}

/// Opens a prompt, or joins the one of this attempt. `None` if it reaches nobody, and no longer is.
pub(super) async fn open(
    exchange: &mut Exchange<'_>,
    proven: &Proven,
    (mode, typed): (PushMode, Option<&str>),
    phones: &Phones,
) -> Result<Option<Settled>, Undecided> {
    exchange.decision.factor = Some(FactorKind::Push);
    let settings = &exchange.setup.settings;
    let number = number(mode, typed, settings.prompt_digits);
    let challenge = (mode == PushMode::Shown)
        .then(|| challenge(exchange.room.clock.now(), settings.prompt_life, proven))
        .map(|challenge| (random_array(), challenge));
    let outcome = match challenge {
        Some(_) => Outcome::Challenge,
        None => Outcome::Waiting,
    };
    let decision = exchange.decided(outcome, Reason::PushAsked);
    let new = new_prompt(exchange, proven, (mode, number.clone()), challenge.clone());
    let prompt = new.prompt.clone();
    let opened = exchange
        .room
        .store
        .join_or_open_prompt(new, decision.clone())
        .await?;
    match opened {
        PromptOpened::Opened { withdrawn } => {
            let room = exchange.room;
            withdrawn.into_iter().for_each(|id| room.waiters.tell(id));
            room.bells.ring(room, &prompt, phones.devices.clone());
            if phones.service && room.bells.ask(room, &prompt).await == Service::Cannot {
                let store = &room.store;
                store.retract_prompt(&proven.account, prompt.id()).await?;
                exchange.decision.factor = None;
                return Ok(None);
            }
        }
        PromptOpened::Joined(id) => return Ok(Some(hold(exchange, id, proven.rounds_left))),
        PromptOpened::Reported if proven.facts.zone.is_none() => {
            let refused = exchange.refuse_proven(proven, Reason::Exposed, &Text::Exposed);
            return refused.await.map(Some);
        }
        PromptOpened::Reported => {
            exchange.decision.factor = None;
            return Ok(None);
        }
        PromptOpened::Limited { until } => {
            let wait = until.since(exchange.room.clock.now());
            let minutes = texts::minutes(wait);
            let text = Text::PromptLimit { minutes };
            let refused = exchange.refuse_proven(proven, Reason::PromptLimit, &text);
            return refused.await.map(Some);
        }
    }
    let Some((state, challenge)) = challenge else {
        let id = exchange.decision.attempt.clone();
        return Ok(Some(hold(exchange, id, proven.rounds_left)));
    };
    let number = number.as_deref().unwrap_or_default();
    let shown = show(exchange, proven, number, (state, decision));
    Ok(Some(Settled {
        challenge: Some(challenge),
        ..shown
    }))
}

/// The challenge that shows the number.
fn show(
    exchange: &Exchange<'_>,
    proven: &Proven,
    number: &str,
    (state, decision): ([u8; 16], Decision),
) -> Settled {
    let text = Text::AskNumber { number };
    let text = texts::reply(&text, proven.facts.language, exchange.client());
    let text = text.unwrap_or_default();
    let verdict = Verdict::Challenge { state, text };
    exchange.settled(verdict, Arc::new(decision))
}

/// The number that must be typed on the phone.
fn number(mode: PushMode, typed: Option<&str>, digits: u8) -> Option<Box<str>> {
    match mode {
        PushMode::Shown => Some(random_digits(usize::from(digits)).into()),
        PushMode::Typed => Some(typed.unwrap_or_default().into()),
        PushMode::Approve => None,
    }
}

/// Every doorbell of the person failed at this prompt, before anybody waited to hear of it, and a code will do.
fn nobody_was_rung(
    exchange: &Exchange<'_>,
    proven: &Proven,
    opened: Timestamp,
) -> Result<bool, Undecided> {
    let store = &exchange.room.store;
    let standing = store.standing(&proven.account, &proven.facts.station)?;
    if !policy::has_codes(&standing, exchange.client()) {
        return Ok(false);
    }
    let devices = Phones::of(exchange, &standing, Then::Ask)?.devices;
    let failed = |device: &Device| device.failed.is_some_and(|failed| failed >= opened);
    Ok(!devices.is_empty() && devices.iter().all(failed))
}

fn challenge(now: Timestamp, life: Duration, proven: &Proven) -> Challenge {
    Challenge {
        account: proven.account.clone(),
        name: proven.name.clone(),
        client: proven.client.clone(),
        asked: FactorKind::Push,
        facts: proven.facts.clone(),
        rounds_left: proven.rounds_left.saturating_sub(1),
        expires: now.after(life),
    }
}

fn new_prompt(
    exchange: &Exchange<'_>,
    proven: &Proven,
    (mode, number): (PushMode, Option<Box<str>>),
    challenge: Option<([u8; 16], Challenge)>,
) -> NewPrompt {
    let (room, attempt) = (exchange.room, exchange.attempt);
    let key = exchange.prompt_key(&proven.name);
    let now = room.clock.now();
    let digits = number.as_deref().map_or(0, str::len);
    NewPrompt {
        prompt: Prompt {
            account: proven.account.clone(),
            name: proven.name.clone(),
            client: exchange.client().name.clone(),
            nas: attempt.nas,
            facts: proven.facts.clone(),
            crossing: match mode {
                PushMode::Shown => Crossing::Shown,
                PushMode::Typed => Crossing::Typed,
                PushMode::Approve => Crossing::None,
            },
            digits: u8::try_from(digits).unwrap_or(u8::MAX),
            joins: key.joins(),
            test: None,
            opened: now,
            expires: now.after(exchange.setup.settings.prompt_life),
        },
        attempt: *key.digest(),
        number,
        late: exchange.client().late_approval,
        challenge,
    }
}

/// The answer to a challenge that waits for a prompt, if it is no code: looks what became of it.
pub(super) async fn answer(
    exchange: &mut Exchange<'_>,
    proven: &Proven,
) -> Result<Settled, Undecided> {
    exchange.decision.factor = Some(FactorKind::Push);
    let prompt = proven.facts.attempt.clone();
    let store = &exchange.room.store;
    let known = store.prompt(&prompt)?;
    let (state, opened) = known.map_or_else(
        || (PromptState::Over, Timestamp::default()),
        |known| (known.state, known.prompt.opened),
    );
    match state {
        PromptState::Open if nobody_was_rung(exchange, proven, opened)? => {
            let (kind, text) = (FactorKind::Totp, Text::CodeInstead);
            let reason = Reason::CodeAsked;
            return proven::challenge(exchange, proven, Asking { kind, text, reason }).await;
        }
        PromptState::Open => return Ok(hold(exchange, prompt, proven.rounds_left)),
        PromptState::Approved => {
            let decision = Arc::new(exchange.decided(Outcome::Accept, Reason::Proven));
            let entrance = proven.entrance();
            let admission = entrance.admission(decision.clone());
            let used = store
                .use_approval(&proven.account, &prompt, None, admission)
                .await?;
            if used == ApprovalUsed::Accepted {
                return Ok(exchange.admitted(&entrance, decision));
            }
        }
        PromptState::Denied | PromptState::Used | PromptState::Withdrawn | PromptState::Over => {}
    }
    let (reason, text) = refused(state);
    exchange.refuse_proven(proven, reason, &text).await
}

/// Gives a login up: its prompt is withdrawn.
pub(super) async fn give_up(
    exchange: &mut Exchange<'_>,
    proven: &Proven,
) -> Result<Settled, Undecided> {
    exchange.decision.factor = Some(FactorKind::Push);
    exchange.decision.note = Some("given up where the login was made".into());
    withdraw(exchange.room, proven).await?;
    exchange
        .refuse_proven(proven, Reason::PushUnanswered, &Text::TimedOut)
        .await
}

/// Withdraws the prompt of an attempt that has found another end.
pub(super) async fn withdraw(room: &Room, proven: &Proven) -> Result<(), Error> {
    let prompt = &proven.facts.attempt;
    if room.store.withdraw_prompt(&proven.account, prompt).await? {
        room.waiters.tell(prompt.clone());
    }
    Ok(())
}

const fn refused(state: PromptState) -> (Reason, Text<'static>) {
    match state {
        PromptState::Denied => (Reason::PushDenied, Text::DeniedOnPhone),
        PromptState::Open
        | PromptState::Approved
        | PromptState::Used
        | PromptState::Withdrawn
        | PromptState::Over => (Reason::PushUnanswered, Text::TimedOut),
    }
}
