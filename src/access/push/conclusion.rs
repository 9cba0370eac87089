//! The end of waiting: a prompt was decided, or the gear's patience ends, and all packets that wait for it are answered together.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Ending, Held, refused};
use crate::access::exchange::{Settled, micros};
use crate::access::lasting::Entrance;
use crate::access::retries::{AttemptKey, REPEATED_FOR};
use crate::access::texts::{self, Text};
use crate::access::{Concluded, Room, Verdict, policy};
use crate::account::{Decision, Durations, FactorKind, Outcome, Reason};
use crate::secret::random_array;
use crate::store::{ApprovalUsed, Challenge, Error, Prompt, PromptState};

/// Answers all packets that wait for one prompt: an approval is used once for them together.
pub(in crate::access) async fn conclude(
    room: &Room,
    held: &[Held],
    ending: Ending,
) -> Option<Concluded> {
    let first = held.first()?;
    match ended(room, first, ending).await {
        Ok(Some(ended)) => {
            remember(room, first, &ended);
            remember_answers(room, held, &ended);
            let mut verdicts = vec![ended.verdict.clone()];
            for _ in held.iter().skip(1) {
                let again = again(room, &ended).await;
                verdicts.push(again.unwrap_or(Verdict::Undecided));
            }
            Some(Concluded {
                verdicts,
                decision: ended.decision,
                resumable: ended.resumable,
            })
        }
        Ok(None) => None,
        Err(error) => {
            let mut decision = record(room, first, None, Outcome::Undecided);
            decision.reason = Reason::StoreUnavailable;
            decision.note = Some(error.to_string().into());
            let decision = Arc::new(decision);
            room.count_failure(&decision);
            Some(Concluded {
                verdicts: vec![Verdict::Undecided; held.len()],
                decision,
                resumable: None,
            })
        }
    }
}

/// Keeps the verdict for packets of the attempt that come after it: a lost Accept, or gear that logs in twice.
fn remember(room: &Room, held: &Held, ended: &Settled) {
    let Some(first) = held.wait.first.filter(AttemptKey::joins) else {
        return;
    };
    let (pair, now) = (held.client.pair, Instant::now());
    let pairs = pair > REPEATED_FOR;
    if let Verdict::Challenge { state, .. } = &ended.verdict {
        if pairs {
            let until = now + room.setup.load().settings.challenge_life;
            room.retries.asked(state, first, (now, until));
        }
        return;
    }
    let accepted = matches!(ended.verdict, Verdict::Accept { .. });
    if ended.may_be_repeated() || (pairs && accepted) {
        let until = now + pair.max(REPEATED_FOR);
        room.retries.keep(first, &Arc::new(ended.clone()), until);
    }
}

/// The same for the answer to a challenge: its State is spent, so that without this it would be unknown.
fn remember_answers(room: &Room, held: &[Held], ended: &Settled) {
    let until = Instant::now() + REPEATED_FOR;
    for answer in held.iter().filter_map(|held| held.wait.answer.as_deref()) {
        let settled = Settled {
            held_code: true,
            ..ended.clone()
        };
        room.retries.keep(*answer, &Arc::new(settled), until);
    }
}

/// Each packet has a State of its own.
async fn again(room: &Room, ended: &Settled) -> Result<Verdict, Error> {
    let (Verdict::Challenge { text, .. }, Some(challenge)) = (&ended.verdict, &ended.challenge)
    else {
        return Ok(ended.verdict.clone());
    };
    let state: [u8; 16] = random_array();
    let store = &room.store;
    store
        .open_challenge(&state, challenge.clone(), ended.decision.clone())
        .await?;
    let text = text.clone();
    Ok(Verdict::Challenge { state, text })
}

impl Settled {
    /// What ends the waiting of packets.
    const fn ended(verdict: Verdict, decision: Arc<Decision>) -> Self {
        Self {
            verdict,
            decision,
            challenge: None,
            held_code: false,
            resumable: None,
        }
    }
}

async fn ended(room: &Room, held: &Held, ending: Ending) -> Result<Option<Settled>, Error> {
    let id = &held.wait.prompt;
    let Some(known) = room.store.prompt(id)? else {
        return refuse(room, held, None, PromptState::Over).await.map(Some);
    };
    let prompt = &known.prompt;
    if known.state == PromptState::Approved {
        let mut decision = record(room, held, Some(prompt), Outcome::Accept);
        decision.reason = Reason::Proven;
        let (store, decision) = (&room.store, Arc::new(decision));
        let entrance = Entrance::by_factor(&prompt.name, &prompt.facts);
        let used = store
            .use_approval(
                &prompt.account,
                id,
                None,
                entrance.admission(decision.clone()),
            )
            .await?;
        if used == ApprovalUsed::Accepted {
            let reply = prompt.facts.reply.clone();
            let resumable = entrance.resumable(&decision);
            return Ok(Some(Settled {
                resumable,
                ..Settled::ended(Verdict::Accept { reply }, decision)
            }));
        }
    }
    if known.state == PromptState::Open {
        return still_open(room, held, prompt, ending).await;
    }
    let (prompt, state) = (Some(prompt), known.state);
    refuse(room, held, prompt, state).await.map(Some)
}

/// The gear must have an answer, and there is no decision yet: it is asked to come again. The prompt stays open.
async fn still_open(
    room: &Room,
    held: &Held,
    prompt: &Prompt,
    ending: Ending,
) -> Result<Option<Settled>, Error> {
    let (client, facts) = (&*held.client, &prompt.facts);
    let standing = room.store.standing(&prompt.account, &facts.station)?;
    let codes = policy::has_codes(&standing, client);
    let asks = client.can_challenge() && held.wait.rounds_left > 0;
    let (text, asked) = match ending {
        Ending::Decided => return Ok(None),
        Ending::Unreachable if !(asks && codes) => return Ok(None),
        Ending::Unreachable => (Text::CodeInstead, FactorKind::Totp),
        Ending::Patience => (Text::StillWaiting { codes }, FactorKind::Push),
    };
    if !asks {
        let late = prompt.joins && !client.late_approval.is_zero();
        let text = match late {
            true => Text::ApproveThenConnect,
            false => Text::TimedOut,
        };
        let mut decision = record(room, held, Some(prompt), Outcome::Reject);
        decision.reason = Reason::PushUnanswered;
        let decision = Arc::new(decision);
        room.store.record(decision.clone()).await?;
        let text = texts::reply(&text, facts.language, client);
        return Ok(Some(Settled::ended(Verdict::Reject { text }, decision)));
    }
    let life = room.setup.load().settings.challenge_life;
    let challenge = Challenge {
        account: prompt.account.clone(),
        name: prompt.name.clone(),
        client: prompt.client.clone(),
        asked,
        facts: facts.clone(),
        rounds_left: held.wait.rounds_left.saturating_sub(1),
        expires: room.clock.now().after(life),
    };
    let mut decision = record(room, held, Some(prompt), Outcome::Challenge);
    decision.reason = Reason::PushStillOpen;
    let (state, decision): ([u8; 16], _) = (random_array(), Arc::new(decision));
    let store = &room.store;
    store
        .open_challenge(&state, challenge.clone(), decision.clone())
        .await?;
    let text = texts::reply(&text, facts.language, client).unwrap_or_default();
    let verdict = Verdict::Challenge { state, text };
    Ok(Some(Settled {
        challenge: Some(challenge),
        ..Settled::ended(verdict, decision)
    }))
}

async fn refuse(
    room: &Room,
    held: &Held,
    prompt: Option<&Prompt>,
    state: PromptState,
) -> Result<Settled, Error> {
    let (reason, text) = refused(state);
    let mut decision = record(room, held, prompt, Outcome::Reject);
    decision.reason = reason;
    let decision = Arc::new(decision);
    room.store.record(decision.clone()).await?;
    let language = prompt.map_or(held.client.language, |prompt| prompt.facts.language);
    let text = texts::reply(&text, language, &held.client);
    Ok(Settled::ended(Verdict::Reject { text }, decision))
}

/// The record of what is answered to a held packet.
fn record(room: &Room, held: &Held, prompt: Option<&Prompt>, outcome: Outcome) -> Decision {
    let facts = prompt.map(|prompt| &prompt.facts);
    Decision {
        attempt: held.wait.prompt.clone(),
        at: room.clock.now(),
        account: prompt.map(|prompt| prompt.account.clone()),
        name: prompt.map_or_else(Arc::default, |prompt| prompt.name.as_str().into()),
        client: held.client.name.clone(),
        nas: held.nas,
        station: facts.map_or(crate::account::Station::Unknown, |f| f.station.clone()),
        station_from: facts.and_then(|facts| facts.station_from.clone()),
        zone: facts.and_then(|facts| facts.zone.clone()),
        rule: facts.and_then(|facts| facts.rule.clone()),
        factor: Some(FactorKind::Push),
        outcome,
        reason: Reason::DeadlinePassed,
        directory: None,
        durations: Durations {
            total: micros(held.received.elapsed()),
            ..Durations::default()
        },
        note: None,
    }
}
