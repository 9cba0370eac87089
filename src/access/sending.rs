//! Sending a code: counted by the store first, then handed to a gateway; the next way is tried when no gateway takes it. Only for
//! somebody whose password is proven and who has no factor of their own (D17).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use tokio::time::Instant;

use super::Setup;
use super::exchange::{Exchange, Settled, Undecided};
use super::policy::Reach;
use super::proven::{self, Asking, Proven};
use super::texts::{self, Text};
use crate::account::{AccountId, FactorKind, Reason};
use crate::channel::{self, Message, Number};
use crate::directory::Entry;
use crate::factor::OneTimeCode;
use crate::secret::{Secret, random_array};
use crate::store::{CodeIssued, SentCode};

/// A second login without a code within this time does not have another message sent: gear retries, people are impatient, and
/// messages cost.
const SENT_LATELY: Duration = Duration::from_secs(30);
/// Accounts remembered for it: far more than gateways take in half a minute. Beyond that, messages are only limited by the store.
const MAX_SENT: usize = 16_384;
/// Left of the deadline after a gateway's last chance, to say that none took the message.
const TIME_TO_ANSWER: Duration = Duration::from_millis(300);

/// Messages of the last half minute.
#[derive(Default)]
pub(super) struct SentLately {
    sent: Mutex<HashMap<AccountId, Sent>>,
}

struct Sent {
    at: Instant,
    kind: FactorKind,
    end: Arc<str>,
}

impl Sent {
    fn is_recent(&self, now: Instant) -> bool {
        now < self.at + SENT_LATELY
    }
}

impl SentLately {
    fn find(&self, account: &AccountId, now: Instant) -> Option<(FactorKind, Arc<str>)> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = sent.get(account).filter(|sent| sent.is_recent(now))?;
        Some((sent.kind, sent.end.clone()))
    }

    fn note(&self, account: &AccountId, kind: FactorKind, end: &str, now: Instant) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() >= MAX_SENT {
            sent.retain(|_, sent| sent.is_recent(now));
        }
        if sent.len() < MAX_SENT {
            let end = end.into();
            sent.insert(account.clone(), Sent { at: now, kind, end });
        }
    }

    fn forget(&self, account: &AccountId) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.remove(account);
    }
}

/// By which ways a code can be sent to the numbers of an entry; none for somebody with a factor of their own.
pub(super) fn reach(setup: &Setup, entry: &Entry, own: bool) -> Reach {
    if own || entry.phones.is_empty() {
        return Reach::default();
    }
    let has = |kind| gateway(setup, kind) && number(setup, entry, kind).is_some();
    Reach {
        sms: has(FactorKind::Sms),
        voice: has(FactorKind::Voice),
        numbers: true,
    }
}

fn gateway(setup: &Setup, kind: FactorKind) -> bool {
    match kind {
        FactorKind::Sms => setup.channels.has_sms(),
        FactorKind::Voice => setup.channels.has_voice(),
        FactorKind::Push | FactorKind::Totp | FactorKind::Recovery => false,
    }
}

/// The first number of the entry that the way can reach.
fn number(setup: &Setup, entry: &Entry, kind: FactorKind) -> Option<Number> {
    let settings = setup.channels.settings();
    entry
        .phones
        .iter()
        .find_map(|text| Number::read(text, kind == FactorKind::Sms, settings).ok())
}

/// Sends a code and asks for it; `open` says that one sent before may still be open.
pub(super) async fn send(
    exchange: &mut Exchange<'_>,
    proven: &mut Proven,
    entry: &Entry,
    kind: FactorKind,
    open: bool,
) -> Result<Settled, Undecided> {
    let lately = exchange.room.sent.find(&proven.account, Instant::now());
    if let Some((before, end)) = lately.filter(|_| open)
        // Who asks for a call because no SMS arrives is called.
        && (before == kind || kind == FactorKind::Sms)
    {
        proven.facts.number_end = Some(end);
        return announce(exchange, proven, before).await;
    }
    let next = (kind == FactorKind::Sms).then_some(FactorKind::Voice);
    for way in [Some(kind), next].into_iter().flatten() {
        let allowed = exchange.client().ways.contains(&way) && gateway(exchange.setup, way);
        let Some(to) = number(exchange.setup, entry, way).filter(|_| allowed) else {
            continue;
        };
        exchange.decision.factor = Some(way);
        let digits = usize::from(exchange.setup.settings.code_digits);
        let code = OneTimeCode::random(digits);
        match issue(exchange, proven, entry, (way, &to, &code)).await? {
            CodeIssued::Send => {}
            CodeIssued::Limited { until } => {
                let minutes = texts::minutes(until.since(exchange.room.clock.now()));
                let text = Text::MessageLimit { minutes };
                return exchange
                    .refuse_proven(proven, Reason::MessageLimit, &text)
                    .await;
            }
            CodeIssued::NumberTooNew { until } => {
                let hours = texts::hours(until.since(exchange.room.clock.now()));
                let text = Text::NumberTooNew { hours };
                return exchange
                    .refuse_proven(proven, Reason::NumberTooNew, &text)
                    .await;
            }
        }
        if hand_over(exchange, proven, way, &to, &code).await? {
            proven.facts.number_end = Some(to.end().into());
            return announce(exchange, proven, way).await;
        }
    }
    let reference = exchange.decision.attempt.clone();
    let text = Text::Trouble {
        reference: reference.as_str(),
    };
    exchange
        .refuse_proven(proven, Reason::GatewayFailed, &text)
        .await
}

async fn issue(
    exchange: &mut Exchange<'_>,
    proven: &Proven,
    entry: &Entry,
    (kind, to, code): (FactorKind, &Number, &OneTimeCode),
) -> Result<CodeIssued, Undecided> {
    let began = Instant::now();
    let store = &exchange.room.store;
    let (key, account) = (store.code_key(), &proven.account);
    let digits = code.expose();
    let sent = SentCode {
        account: account.clone(),
        kind,
        digest: OneTimeCode::digest(&key, account.as_str(), digits),
        digits: u8::try_from(digits.len()).unwrap_or(u8::MAX),
        number: to.as_str().to_owned(),
        entry_changed: entry.changed,
    };
    let issued = store.issue_code(sent).await;
    exchange.waited_for_store(began);
    Ok(issued?)
}

/// Whether a gateway took the message. If none did, the code is taken back.
async fn hand_over(
    exchange: &mut Exchange<'_>,
    proven: &Proven,
    kind: FactorKind,
    to: &Number,
    code: &OneTimeCode,
) -> Result<bool, Undecided> {
    let (room, setup) = (exchange.room, exchange.setup);
    let language = proven.facts.language;
    let text = texts::message(
        kind,
        (code.expose(), setup.settings.code_life),
        &setup.settings.issuer,
        language,
    );
    let message = Message {
        to: to.clone(),
        text: Secret::new(text.into_bytes()),
        language,
        idempotency: HEXLOWER.encode(&random_array::<16>()),
    };
    let began = Instant::now();
    let deadline = exchange.attempt.deadline;
    let deadline = deadline.checked_sub(TIME_TO_ANSWER).unwrap_or(deadline);
    // Noted before it is sent: another packet that comes meanwhile finds it.
    room.sent.note(&proven.account, kind, to.end(), began);
    let taken = match kind {
        FactorKind::Sms => setup.channels.sms(&message, deadline).await,
        FactorKind::Voice => setup.channels.voice(&message, deadline).await,
        FactorKind::Push | FactorKind::Totp | FactorKind::Recovery => Err(channel::Error::None),
    };
    let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    exchange.decision.durations.channel += took;
    match taken {
        Ok(sent) => {
            exchange.decision.note = Some(format!("sent by {}", sent.gateway).into());
            Ok(true)
        }
        Err(error) => {
            room.sent.forget(&proven.account);
            exchange.decision.note = Some(error.to_string().into());
            room.store.withdraw_code(&proven.account).await?;
            Ok(false)
        }
    }
}

/// Says that a code was sent: asks for it, or has the person log in again with it.
async fn announce(
    exchange: &mut Exchange<'_>,
    proven: &Proven,
    kind: FactorKind,
) -> Result<Settled, Undecided> {
    let end = proven.facts.number_end.clone().unwrap_or_default();
    exchange.decision.factor = Some(kind);
    if exchange.client().can_challenge() {
        let text = Text::Sent { kind, end: &end };
        let reason = Reason::CodeSent;
        return proven::challenge(exchange, proven, Asking { kind, text, reason }).await;
    }
    let text = Text::SentLogInAgain { kind, end: &end };
    exchange
        .refuse_proven(proven, Reason::CodeSent, &text)
        .await
}
