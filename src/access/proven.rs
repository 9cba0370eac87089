//! What follows a proven password: asking for a code and judging it. The same for the first packet of an exchange and for the
//! answer to a challenge.

use std::sync::Arc;

use tokio::time::Instant;

use super::exchange::{Exchange, Settled, Undecided};
use super::lasting::Entrance;
use super::texts::{self, Text};
use super::{Verdict, policy};
use crate::account::{AccountId, AccountKey, ClientName, FactorKind, Outcome, Reason, Who};
use crate::directory::Entry;
use crate::factor::typed_code;
use crate::secret::random_array;
use crate::store::{Challenge, ChallengeFacts, CodeJudged, Lasting};

/// Somebody whose password is proven.
pub(super) struct Proven {
    pub(super) account: AccountId,
    pub(super) name: AccountKey,
    pub(super) client: ClientName,
    pub(super) facts: ChallengeFacts,
    /// How many challenges may still be opened.
    pub(super) rounds_left: u8,
    /// Has a factor of their own, so that no code is sent.
    pub(super) own: bool,
}

impl Proven {
    /// From the first packet of an exchange.
    pub(super) fn first(exchange: &Exchange<'_>, who: &Who, entry: &Entry, own: bool) -> Self {
        let (settings, client) = (&exchange.setup.settings, exchange.client());
        let decision = &exchange.decision;
        Self {
            account: entry.id.clone(),
            name: who.key.clone(),
            client: client.name.clone(),
            facts: ChallengeFacts {
                attempt: decision.attempt.clone(),
                station: decision.station.clone(),
                station_from: decision.station_from.clone(),
                zone: decision.zone.clone(),
                rule: decision.rule.clone(),
                reply: policy::replies(settings, client, &entry.groups),
                language: texts::language(entry.language.as_deref(), client),
                number_end: None,
                lasting: Lasting::default(),
            },
            rounds_left: settings.challenge_rounds.max(1),
            own,
        }
    }

    /// From a challenge that was answered.
    pub(super) fn again(challenge: Challenge) -> Self {
        Self {
            account: challenge.account,
            name: challenge.name,
            client: challenge.client,
            facts: challenge.facts,
            rounds_left: challenge.rounds_left,
            own: challenge.asked < FactorKind::Sms,
        }
    }

    /// What lets in, once a factor is proven.
    pub(super) const fn entrance(&self) -> Entrance<'_> {
        Entrance::by_factor(&self.name, &self.facts)
    }

    fn end(&self) -> &str {
        self.facts.number_end.as_deref().unwrap_or_default()
    }
}

/// What a challenge says, and why it is made.
pub(super) struct Asking<'a> {
    pub(super) kind: FactorKind,
    pub(super) text: Text<'a>,
    pub(super) reason: Reason,
}

/// Asks for a code of a kind.
pub(super) async fn ask(
    exchange: &mut Exchange<'_>,
    proven: &Proven,
    kind: FactorKind,
) -> Result<Settled, Undecided> {
    let text = match kind {
        FactorKind::Push | FactorKind::Totp => Text::AskCode,
        FactorKind::Recovery => Text::AskRecovery,
        FactorKind::Sms | FactorKind::Voice => Text::Sent {
            kind,
            end: proven.end(),
        },
    };
    let reason = Reason::CodeAsked;
    challenge(exchange, proven, Asking { kind, text, reason }).await
}

/// Opens a challenge, or refuses when there were too many rounds.
pub(super) async fn challenge(
    exchange: &mut Exchange<'_>,
    proven: &Proven,
    asking: Asking<'_>,
) -> Result<Settled, Undecided> {
    exchange.decision.factor = Some(asking.kind);
    let Some(rounds_left) = proven.rounds_left.checked_sub(1) else {
        let text = Text::TimedOut;
        return exchange
            .refuse_proven(proven, Reason::CodeMissing, &text)
            .await;
    };
    let challenge = Challenge {
        account: proven.account.clone(),
        name: proven.name.clone(),
        client: exchange.client().name.clone(),
        asked: asking.kind,
        facts: proven.facts.clone(),
        rounds_left,
        expires: exchange
            .room
            .clock
            .now()
            .after(exchange.setup.settings.challenge_life),
    };
    let state: [u8; 16] = random_array();
    let decision = Arc::new(exchange.decided(Outcome::Challenge, asking.reason));
    let store = &exchange.room.store;
    store
        .open_challenge(&state, challenge.clone(), decision.clone())
        .await?;
    let text = texts::reply(&asking.text, proven.facts.language, exchange.client());
    let text = text.unwrap_or_default();
    let mut settled = exchange.settled(Verdict::Challenge { state, text }, decision);
    settled.challenge = Some(challenge);
    Ok(settled)
}

/// Judges a typed code, and lets in, asks again or refuses.
pub(super) async fn judge(
    exchange: &mut Exchange<'_>,
    proven: &Proven,
    typed: &str,
    only: &[FactorKind],
) -> Result<Settled, Undecided> {
    let began = Instant::now();
    let decision = exchange.decided(Outcome::Accept, Reason::Proven);
    let (store, entrance) = (&exchange.room.store, proven.entrance());
    let admission = entrance.admission(Arc::new(decision));
    let judged = store
        .use_code(&proven.account, &typed_code(typed), only, admission)
        .await;
    exchange.waited_for_store(began);
    match judged? {
        CodeJudged::Accepted { kind, .. } => {
            exchange.decision.factor = Some(kind);
            let decision = Arc::new(exchange.decided(Outcome::Accept, Reason::Proven));
            Ok(exchange.admitted(&entrance, decision))
        }
        CodeJudged::Used(kind) => {
            exchange.decision.factor = Some(kind);
            exchange.decision.note = Some("the code was used before".into());
            if proven.rounds_left > 0 && exchange.client().can_challenge() {
                return again(exchange, proven, Text::UsedCodeAgain).await;
            }
            let text = Text::UsedCode;
            exchange
                .refuse_proven(proven, Reason::CodeUsed, &text)
                .await
        }
        CodeJudged::Wrong { left } => {
            let tries = left.min(u32::from(proven.rounds_left));
            if tries > 0 && exchange.client().can_challenge() {
                return again(exchange, proven, Text::WrongCodeAgain { tries }).await;
            }
            let text = Text::WrongCode;
            exchange
                .refuse_proven(proven, Reason::WrongCode, &text)
                .await
        }
        CodeJudged::Locked { until } => {
            let wait = until.since(exchange.room.clock.now());
            let text = Text::Paused {
                minutes: texts::minutes(wait),
            };
            exchange
                .refuse_proven(proven, Reason::CodesLocked, &text)
                .await
        }
    }
}

async fn again(
    exchange: &mut Exchange<'_>,
    proven: &Proven,
    text: Text<'_>,
) -> Result<Settled, Undecided> {
    let kind = exchange.decision.factor.unwrap_or(match proven.own {
        true => FactorKind::Totp,
        false => FactorKind::Sms,
    });
    let reason = Reason::CodeAskedAgain;
    challenge(exchange, proven, Asking { kind, text, reason }).await
}
