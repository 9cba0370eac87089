//! The pure centre: which rule matches, and what follows for what was typed.

use std::net::IpAddr;
use std::sync::Arc;

use super::split::{Extra, Way};
use super::{Asks, ClientPolicy, CodeEntry, PushMode, Rule, Settings, Then, Zone};
use crate::account::{FactorKind, Reason, Station};
use crate::clock::Timestamp;
use crate::store::Standing;

/// The zone of stations that are in none, as rules name it.
const OUTSIDE: &str = "outside";

/// What rules are asked about.
pub(super) struct RuleFacts<'a> {
    pub(super) settings: &'a Settings,
    pub(super) client: &'a ClientPolicy,
    pub(super) station: &'a Station,
    /// Groups of the entry, in `directory::same_dn_form`.
    pub(super) groups: &'a [Arc<str>],
    pub(super) now: Timestamp,
}

/// What the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ruling {
    /// The station's zone; none is outside.
    pub(super) zone: Option<Arc<str>>,
    pub(super) then: Then,
    /// The rule in words, with its number.
    pub(super) rule: Arc<str>,
    /// It asks because of a group that is always asked.
    pub(super) always: bool,
}

/// Reads the rules top to bottom: the first match wins, no match asks, and a group that is always asked beats every exemption
/// (but not a rule that denies).
pub(super) fn ruling(facts: &RuleFacts<'_>) -> Ruling {
    let zone = zone(&facts.settings.zones, facts.client, facts.station);
    let matching = facts
        .settings
        .rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| holds(rule, facts, zone.as_deref()))
        .find_map(|(index, rule)| now_says(rule, facts.now).map(|said| (index, rule, said)));
    let denied = matches!(matching, Some((_, _, (Then::Deny, _))));
    let asks = facts.client.asks != Asks::ByRules;
    let always = facts.settings.always_ask.iter();
    let always = !denied && always.into_iter().any(|group| member(facts.groups, group));
    let (then, rule) = if always {
        (Then::Ask, "always-ask group".to_owned())
    } else if asks && !denied {
        (
            Then::Ask,
            format!("client {}: always asks", facts.client.name),
        )
    } else if let Some((index, rule, (then, when))) = matching {
        (then, in_words(index, rule, then, when))
    } else {
        (Then::Ask, "no rule matched: ask".to_owned())
    };
    Ruling {
        zone,
        then,
        rule: rule.into(),
        always,
    }
}

/// The zone of a station. What is not known by an address is in none, and neither is an address that the client hands out
/// itself: a VPN's pool often lies within the campus networks.
pub(super) fn zone(zones: &[Zone], client: &ClientPolicy, station: &Station) -> Option<Arc<str>> {
    let address: IpAddr = station.address()?.to_canonical();
    if client.pool.iter().any(|net| net.contains(&address)) {
        return None;
    }
    zones
        .iter()
        .find(|zone| zone.networks.iter().any(|net| net.contains(&address)))
        .map(|zone| zone.name.clone())
}

/// Names of the reply sets of an Accept: every match, in order.
pub(super) fn replies(
    settings: &Settings,
    client: &ClientPolicy,
    groups: &[Arc<str>],
) -> Vec<Arc<str>> {
    settings
        .replies
        .iter()
        .filter(|reply| {
            reply
                .group
                .as_ref()
                .is_none_or(|group| member(groups, group))
                && reply
                    .client
                    .as_ref()
                    .is_none_or(|name| *name == client.name)
        })
        .map(|reply| reply.set.clone())
        .collect()
}

fn member(groups: &[Arc<str>], wanted: &str) -> bool {
    groups.iter().any(|group| **group == *wanted)
}

fn holds(rule: &Rule, facts: &RuleFacts<'_>, zone: Option<&str>) -> bool {
    let client = &facts.client.name;
    rule.group
        .as_ref()
        .is_none_or(|group| member(facts.groups, group))
        && rule
            .zone
            .as_ref()
            .is_none_or(|wanted| **wanted == *zone.unwrap_or(OUTSIDE))
        && rule.client.as_ref().is_none_or(|name| name == client)
}

/// Whether a rule speaks by its date yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Holding,
    Before,
}

fn now_says(rule: &Rule, now: Timestamp) -> Option<(Then, When)> {
    match rule.from {
        Some(from) if now < from => rule.before.map(|then| (then, When::Before)),
        _ => Some((rule.then, When::Holding)),
    }
}

fn in_words(index: usize, rule: &Rule, then: Then, when: When) -> String {
    let mut conditions: Vec<String> = Vec::new();
    conditions.extend(rule.group.as_ref().map(|group| format!("group {group}")));
    conditions.extend(rule.zone.as_ref().map(|zone| format!("zone {zone}")));
    conditions.extend(rule.client.as_ref().map(|name| format!("client {name}")));
    let conditions = match conditions.is_empty() {
        true => "everybody".to_owned(),
        false => conditions.join(", "),
    };
    let date = match when {
        When::Holding => "",
        When::Before => " before its date",
    };
    let number = index.saturating_add(1);
    format!("rule {number} ({conditions}): {}{date}", then_word(then))
}

/// The word of the configuration.
pub(super) const fn then_word(then: Then) -> &'static str {
    match then {
        Then::Ask => "ask",
        Then::PasswordOnly => "password-only",
        Then::Deny => "deny",
    }
}

/// By which ways a code can be sent: there is a gateway and a number for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) sms: bool,
    pub(super) voice: bool,
    /// The entry has numbers, though perhaps none that may be used.
    pub(super) numbers: bool,
}

/// What can ask the person for an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phone {
    /// Nothing.
    None,
    /// A device, or the site's own push service.
    Rings,
    /// Devices whose doorbells are gone: they hear of it only while their page is open.
    Mute,
}

/// What is known once the password is proven.
pub(super) struct Facts<'a> {
    pub(super) then: Then,
    pub(super) client: &'a ClientPolicy,
    pub(super) standing: &'a Standing,
    pub(super) extra: &'a Extra<'a>,
    /// A factor was proven at this station, and that still holds.
    pub(super) remembered: bool,
    pub(super) phone: Phone,
    pub(super) reach: Reach,
    pub(super) now: Timestamp,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Step {
    /// Let in: the rules ask for no more.
    PasswordEnough,
    /// Let in: a factor was proven at this station before. A code that was typed is not looked at, for it is often an old one that
    /// equipment keeps.
    StationRemembered,
    /// Judge the code that was typed, against these kinds of factors.
    JudgeCode { only: Vec<FactorKind> },
    /// Ask for a code by a challenge.
    AskCode(FactorKind),
    /// Send a code, then ask for it.
    SendCode(FactorKind),
    /// Open a prompt on the person's devices.
    Push(PushMode),
    /// Refuse.
    Refuse(Reason),
}

/// From facts to the step.
pub(super) fn step(facts: &Facts<'_>) -> Step {
    match facts.then {
        Then::Deny => Step::Refuse(Reason::Denied),
        Then::PasswordOnly => Step::PasswordEnough,
        Then::Ask if facts.remembered => Step::StationRemembered,
        Then::Ask if facts.standing.locked_until > Some(facts.now) => {
            Step::Refuse(Reason::CodesLocked)
        }
        Then::Ask => match facts.extra {
            Extra::Code(_) if can_be_judged(facts) => Step::JudgeCode {
                only: judged_kinds(facts.client, has_own(facts.standing)),
            },
            Extra::Way(Way::Push) => match push(facts, true) {
                Some(step) => step,
                None => second(facts, None),
            },
            Extra::Number(_) => match may_push(facts) {
                Ok(()) => Step::Push(PushMode::Typed),
                Err(refused) => instead(facts, refused),
            },
            Extra::Way(Way::Sent(kind)) => second(facts, Some(*kind)),
            Extra::Nothing | Extra::Code(_) => match push(facts, false) {
                Some(step) => step,
                None => second(facts, None),
            },
        },
    }
}

/// Whether a prompt may be opened now.
fn may_push(facts: &Facts<'_>) -> Result<(), Reason> {
    match facts.standing {
        // Whoever reported a login is not to be woken by the next.
        Standing { exposed, .. } if exposed.is_some() => Err(Reason::Exposed),
        Standing { prompts_left, .. } if *prompts_left == 0 => Err(Reason::PromptLimit),
        _ => Ok(()),
    }
}

/// The step of a prompt, if the person has a device and the client a way for the number, in the order of strength (D7): a number
/// that is shown, a code of an app, an approval alone. `named` says that it was asked for by its name.
fn push(facts: &Facts<'_>, named: bool) -> Option<Step> {
    let client = facts.client;
    match facts.phone {
        _ if client.push.is_empty() => return None,
        Phone::None => return None,
        Phone::Mute if !named && client.can_challenge() && has_codes(facts.standing, client) => {
            return None;
        }
        Phone::Rings | Phone::Mute => {}
    }
    let shown = client.push.contains(&PushMode::Shown) && client.can_challenge();
    let approve = client.push.contains(&PushMode::Approve);
    let mode = match (shown, approve) {
        (true, _) => PushMode::Shown,
        (false, true) if named || !asks_codes(facts) => PushMode::Approve,
        (false, true) => return None,
        // A number can be added; who has a code, too, may be asked for that.
        (false, false) if asks_codes(facts) => return None,
        (false, false) => return Some(Step::Refuse(Reason::NumberMissing)),
    };
    Some(match may_push(facts) {
        Ok(()) => Step::Push(mode),
        Err(refused) => instead(facts, refused),
    })
}

/// What follows where no prompt may be opened: a code, if there is one to be asked for.
fn instead(facts: &Facts<'_>, refused: Reason) -> Step {
    let client = facts.client;
    let has = |kind| client.ways.contains(&kind) && facts.standing.has(kind);
    let kinds = [FactorKind::Totp, FactorKind::Recovery];
    match kinds.into_iter().find(|kind| has(*kind)) {
        Some(kind) if client.can_challenge() => Step::AskCode(kind),
        Some(_) | None => Step::Refuse(refused),
    }
}

/// A code of the person's app can be asked for here.
fn asks_codes(facts: &Facts<'_>) -> bool {
    let client = facts.client;
    client.can_challenge()
        && client.ways.contains(&FactorKind::Totp)
        && facts.standing.has(FactorKind::Totp)
}

/// The person has codes that this client takes.
pub(super) fn has_codes(standing: &Standing, client: &ClientPolicy) -> bool {
    let kinds = [FactorKind::Totp, FactorKind::Recovery];
    kinds
        .into_iter()
        .any(|kind| client.ways.contains(&kind) && standing.has(kind))
}

/// The person has a proven device.
pub(super) fn has_device(standing: &Standing) -> bool {
    standing.has(FactorKind::Push)
}

/// The person has a factor of their own, so that codes are no longer sent to the directory's number (D17). Recovery codes are
/// the way out when a factor is lost, not a factor to log in with each day.
pub(super) fn has_own(standing: &Standing) -> bool {
    standing
        .factors
        .iter()
        .any(|factor| factor.kind < FactorKind::Sms)
}

/// Whether somebody who cannot be asked for anything is let in by the password, to enrol a first factor.
pub(super) fn may_enrol(client: &ClientPolicy, zone: Option<&str>, standing: &Standing) -> bool {
    let (Asks::Always { but_in }, Some(zone)) = (&client.asks, zone) else {
        return false;
    };
    // Where its owner says that others know the password, it no longer tells who enrols.
    standing.factors.is_empty()
        && standing.exposed.is_none()
        && but_in.iter().any(|named| **named == *zone)
}

/// The kinds that a typed code is compared with.
pub(super) fn judged_kinds(client: &ClientPolicy, own: bool) -> Vec<FactorKind> {
    let sent = |kind: &FactorKind| matches!(kind, FactorKind::Sms | FactorKind::Voice);
    client
        .ways
        .iter()
        .copied()
        .filter(|kind| !(own && sent(kind)))
        .collect()
}

/// A typed code for which there is nothing to compare it with is not counted as wrong: its sent code has probably expired, and
/// another is sent.
fn can_be_judged(facts: &Facts<'_>) -> bool {
    let allowed = |kind| facts.client.ways.contains(&kind);
    let sent = allowed(FactorKind::Sms) || allowed(FactorKind::Voice);
    facts
        .standing
        .factors
        .iter()
        .any(|factor| allowed(factor.kind))
        || (facts.standing.sent_code_open && sent)
}

/// No code was typed: what is asked for, strongest first, or by the way that was named.
fn second(facts: &Facts<'_>, named: Option<FactorKind>) -> Step {
    let client = facts.client;
    let has = |kind: FactorKind| facts.standing.has(kind);
    let ask = |kind: FactorKind| match client.can_challenge() {
        true => Step::AskCode(kind),
        false => Step::Refuse(Reason::CodeMissing),
    };
    if has_own(facts.standing) {
        let kinds = [FactorKind::Totp, FactorKind::Recovery];
        let usable = |kind: &FactorKind| has(*kind) && client.ways.contains(kind);
        return match kinds.into_iter().find(usable) {
            Some(kind) => ask(kind),
            None => Step::Refuse(Reason::NoFactor),
        };
    }
    let reachable = |kind: FactorKind| {
        client.ways.contains(&kind)
            && match kind {
                FactorKind::Sms => facts.reach.sms,
                FactorKind::Voice => facts.reach.voice,
                FactorKind::Push | FactorKind::Totp | FactorKind::Recovery => false,
            }
    };
    let sendable = [named, Some(FactorKind::Sms), Some(FactorKind::Voice)];
    let mut sendable = sendable
        .into_iter()
        .flatten()
        .filter(|kind| reachable(*kind));
    if let Some(kind) = sendable.next()
        && takes_codes(client)
    {
        return Step::SendCode(kind);
    }
    if has(FactorKind::Recovery) && client.ways.contains(&FactorKind::Recovery) {
        return ask(FactorKind::Recovery);
    }
    match facts.reach.numbers {
        true => Step::Refuse(Reason::NumberRefused),
        false => Step::Refuse(Reason::NoFactor),
    }
}

/// Whether a code can come in at all: no message is sent for one that cannot.
fn takes_codes(client: &ClientPolicy) -> bool {
    [
        CodeEntry::Appended,
        CodeEntry::Delimited,
        CodeEntry::Challenge,
    ]
    .iter()
    .any(|entry| client.code.contains(entry))
}

#[cfg(test)]
mod tests;
