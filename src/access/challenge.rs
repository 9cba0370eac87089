//! The answer to a challenge. Its facts are those of the first packet, kept with the State: gear leaves attributes such as
//! Calling-Station-Id out of the answer, and sends it from another port. There is no bind here; the password was proven.

use super::exchange::{Exchange, Settled, Undecided};
use super::policy;
use super::proven::{self, Proven};
use super::push;
use super::second::refusal_text;
use super::sending;
use super::split::Way;
use super::texts::{self, Text};
use crate::account::{FactorKind, Outcome, Reason, Who};
use crate::directory::{Found, State};
use crate::factor::{RecoveryCode, typed_code};
use crate::secret::Secret;
use crate::store::Challenge;

/// What is typed to give a login up.
const GIVE_UP: &str = "0";

/// Whether it can be a code: six digits or more, or the form of a recovery code.
fn is_code(typed: &str) -> bool {
    let typed = typed_code(typed);
    let digits = typed.len() >= 6 && typed.bytes().all(|digit| digit.is_ascii_digit());
    digits || RecoveryCode::has_form(&typed)
}

/// Decides what answers a challenge.
pub(super) async fn answer(
    exchange: &mut Exchange<'_>,
    who: &Who,
    state: &[u8],
) -> Result<Settled, Undecided> {
    exchange.held_code = true;
    let client = exchange.client();
    let store = &exchange.room.store;
    let Some(challenge) = store.take_challenge(state, &client.name, &who.key).await? else {
        return Ok(unknown(exchange));
    };
    restore(exchange, &challenge);
    let asked = challenge.asked;
    let mut proven = Proven::again(challenge);
    // What cannot be read is no code: it is asked for again, as if nothing had been typed.
    let typed = exchange.attempt.credential.typed();
    let typed = typed.and_then(Secret::expose_str).unwrap_or_default();
    let typed = typed.trim();
    let asks_prompt = asked == FactorKind::Push && !is_code(typed);
    if !asks_prompt && is_exposed(exchange, &proven)? {
        return exchange
            .refuse_proven(&proven, Reason::Exposed, &Text::Exposed)
            .await;
    }
    match Way::read(typed) {
        Some(Way::Sent(kind)) if !proven.own => switch(exchange, who, &mut proven, kind).await,
        // Whoever has been asked for an approval may still type a code; anything else asks what became of it.
        _ if asked == FactorKind::Push && typed == GIVE_UP => {
            push::give_up(exchange, &proven).await
        }
        _ if asks_prompt => push::answer(exchange, &proven).await,
        Some(Way::Sent(_) | Way::Push) => proven::ask(exchange, &proven, asked).await,
        None if typed.is_empty() => proven::ask(exchange, &proven, asked).await,
        None => {
            exchange.decision.factor = match asked {
                FactorKind::Push => Some(FactorKind::Totp),
                asked => Some(asked),
            };
            let only = policy::judged_kinds(client, proven.own);
            let settled = proven::judge(exchange, &proven, typed, &only).await?;
            if matches!(settled.verdict, super::Verdict::Accept { .. }) {
                push::withdraw(exchange.room, &proven).await?;
            }
            Ok(settled)
        }
    }
}

/// Since the challenge was put, the owner has said that others know the password: as for a new login, none from outside (D8).
/// A prompt was denied by that, and says so itself.
fn is_exposed(exchange: &Exchange<'_>, proven: &Proven) -> Result<bool, Undecided> {
    let store = &exchange.room.store;
    let standing = store.standing(&proven.account, &proven.facts.station)?;
    Ok(standing.exposed.is_some() && proven.facts.zone.is_none())
}

/// The State is none that is open. That it has ended is no secret: nothing about any account follows from it.
fn unknown(exchange: &Exchange<'_>) -> Settled {
    let client = exchange.client();
    let decision = std::sync::Arc::new(exchange.decided(Outcome::Reject, Reason::UnknownChallenge));
    exchange.room.count_failure(&decision);
    let text = texts::reply(&Text::TimedOut, client.language, client);
    exchange.settled(super::Verdict::Reject { text }, decision)
}

fn restore(exchange: &mut Exchange<'_>, challenge: &Challenge) {
    let (decision, facts) = (&mut exchange.decision, &challenge.facts);
    decision.account = Some(challenge.account.clone());
    decision.attempt.clone_from(&facts.attempt);
    decision.station.clone_from(&facts.station);
    decision.station_from.clone_from(&facts.station_from);
    decision.zone.clone_from(&facts.zone);
    decision.rule.clone_from(&facts.rule);
}

/// Sends a code by the way that was named.
async fn switch(
    exchange: &mut Exchange<'_>,
    who: &Who,
    proven: &mut Proven,
    kind: FactorKind,
) -> Result<Settled, Undecided> {
    let allowed = exchange.client().ways.contains(&kind);
    let Found::One(entry) = exchange.find(who).await? else {
        return exchange
            .refuse_proven(proven, Reason::UnknownUser, &Text::Failed)
            .await;
    };
    // The name may mean somebody else by now, or somebody who may no longer log in.
    if entry.id != proven.account || entry.state != State::Usable {
        return exchange
            .refuse_proven(proven, Reason::NotNow, &Text::Failed)
            .await;
    }
    let reach = sending::reach(exchange.setup, &entry, proven.own);
    let reachable = match kind {
        FactorKind::Sms => reach.sms,
        FactorKind::Voice => reach.voice,
        FactorKind::Push | FactorKind::Totp | FactorKind::Recovery => false,
    };
    if !(allowed && reachable) {
        return exchange
            .refuse_proven(proven, Reason::NumberRefused, &Text::NumberRefused)
            .await;
    }
    let store = &exchange.room.store;
    let standing = store.standing(&entry.id, &exchange.decision.station)?;
    if let Some(until) = standing.locked_until {
        // What would be sent could not be used.
        let wait = until.since(exchange.room.clock.now());
        let text = refusal_text(Reason::CodesLocked, wait);
        return exchange
            .refuse_proven(proven, Reason::CodesLocked, &text)
            .await;
    }
    let open = standing.sent_code_open;
    sending::send(exchange, proven, &entry, kind, open).await
}
