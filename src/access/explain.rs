//! What would happen to a login, without doing it: no bind, nothing counted, nothing sent.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::exchange::reason_of;
use super::policy::{self, Facts, Phone, Reach, RuleFacts, Step};
use super::split::Extra;
use super::throttle::{self, Budget};
use super::{ClientPolicy, CodeEntry, Explanation, PushMode, Room, lasting, sending};
use crate::account::{BadName, FactorKind, Station, TypedName, shown};
use crate::clock::Timestamp;
use crate::directory::{Entry, Found, State};
use crate::store::Standing;

/// How long the directory may take for an operator's question.
const PATIENCE: Duration = Duration::from_secs(10);

/// Finds the account of a name.
pub(super) async fn account(room: &Room, user: &str) -> Result<Arc<Entry>, String> {
    let setup = room.setup.load_full();
    let who = TypedName::parse(user.as_bytes())
        .and_then(|name| name.resolve(&setup.settings.realms))
        .map_err(|bad| no_name(user, bad))?;
    let directory = setup
        .directory(&who.directory)
        .ok_or_else(|| format!("There is no directory {}.", who.directory))?;
    match directory.find(&who.user, Instant::now() + PATIENCE).await {
        Ok(Found::One(entry)) => Ok(entry),
        Ok(Found::Nobody) => Err(format!("The directory has nobody called {}.", who.user)),
        Ok(Found::Several) => Err(format!("The directory has several called {}.", who.user)),
        Err(error) => Err(format!("The directory could not be asked: {error}.")),
    }
}

fn no_name(user: &str, bad: BadName) -> String {
    let name = shown(user.as_bytes());
    let fault = bad.said_of(user.as_bytes());
    match bad {
        BadName::UnknownRealm => format!(
            "{name} is nobody's name here: {fault}. Add it to `realms` or `domains` of its directory."
        ),
        BadName::Empty | BadName::TooLong | BadName::NotUtf8 | BadName::Character => {
            format!("\"{name}\" is nobody's name: {fault}.")
        }
    }
}

/// How many ask about the account while it is only talked of.
const ALONE: u32 = 1;

/// Says what would happen.
pub(super) async fn explain(
    room: &Room,
    user: &str,
    client: &ClientPolicy,
    (station, at): (&Station, Timestamp),
) -> Result<Explanation, String> {
    let entry = account(room, user).await?;
    let setup = room.setup.load_full();
    let standing = room
        .store
        .standing(&entry.id, station)
        .map_err(|error| format!("The store could not be read: {error}."))?;
    let ruling = policy::ruling(&RuleFacts {
        settings: &setup.settings,
        client,
        station,
        groups: &entry.groups,
        now: at,
    });
    let always = ruling.always && !client.remember_always;
    let kept = lasting::remembered(client, station, (&standing, at));
    let kept = kept.filter(|kept| !always && entry.password_changed == Some(kept.password_changed));
    let remembered = kept.is_some();
    let reach = sending::reach(&setup, &entry, policy::has_own(&standing));
    let facts = Facts {
        then: ruling.then,
        client,
        standing: &standing,
        extra: &Extra::Nothing,
        remembered,
        phone: match policy::has_device(&standing) || setup.channels.has_webhook() {
            true => Phone::Rings,
            false => Phone::None,
        },
        reach,
        now: at,
    };
    let limits = &setup.settings.passwords;
    let mut obstacles = obstacles(&entry, &facts);
    if throttle::budget(limits, &standing.passwords, ALONE, at) == Budget::Spent {
        obstacles.push("too many wrong passwords: the directory would not be asked".to_owned());
    }
    let replies = policy::replies(&setup.settings, client, &entry.groups);
    Ok(Explanation {
        account: Some(entry.id.to_string()),
        groups: entry.groups.iter().map(ToString::to_string).collect(),
        zone: ruling.zone.map(|zone| zone.to_string()),
        rule: ruling.rule.to_string(),
        asked: asked(&policy::step(&facts), client),
        ways: ways(&standing, client, reach),
        reply: replies.iter().map(ToString::to_string).collect(),
        obstacles,
    })
}

fn ways(standing: &Standing, client: &ClientPolicy, reach: Reach) -> Vec<String> {
    let has = |kind: FactorKind| match kind {
        FactorKind::Push | FactorKind::Totp | FactorKind::Recovery => standing.has(kind),
        FactorKind::Sms => reach.sms,
        FactorKind::Voice => reach.voice,
    };
    let mut kinds: Vec<FactorKind> = client.ways.clone();
    if !client.push.is_empty() {
        kinds.push(FactorKind::Push);
    }
    kinds.retain(|kind| has(*kind));
    kinds.sort_unstable();
    kinds.iter().map(|kind| kind.as_str().to_owned()).collect()
}

fn asked(step: &Step, client: &ClientPolicy) -> String {
    match step {
        Step::Push(PushMode::Shown) => {
            "password, then an approval on a device, by a number that the challenge shows"
                .to_owned()
        }
        Step::Push(PushMode::Typed) => {
            "password and a number, then an approval on a device by that number".to_owned()
        }
        Step::Push(PushMode::Approve) => "password, then an approval on a device".to_owned(),
        Step::Refuse(crate::account::Reason::NumberMissing) => format!(
            "password{}number, then an approval on a device by that number; without it, it is refused",
            client.delimiter
        ),
        Step::PasswordEnough => "the password alone".to_owned(),
        Step::StationRemembered => {
            "the password alone: a second factor was proven at this station before".to_owned()
        }
        Step::AskCode(kind) => format!("password and a {} code", kind.as_str()),
        Step::SendCode(kind) if client.can_challenge() => {
            format!("password, then a code sent by {}", kind.as_str())
        }
        Step::SendCode(kind) => format!(
            "password; a code is sent by {}, and typed with the password at the next login",
            kind.as_str()
        ),
        Step::Refuse(crate::account::Reason::CodeMissing) => {
            let form = match client.code.contains(&CodeEntry::Delimited) {
                true => format!("password{}code", client.delimiter),
                false => "password and code in one".to_owned(),
            };
            format!("{form}; without the code it is refused")
        }
        Step::Refuse(reason) => format!("nothing: refused ({reason})"),
        Step::JudgeCode { .. } => "password and code".to_owned(),
    }
}

fn obstacles(entry: &Entry, facts: &Facts<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if let State::Barred(refusal) = entry.state {
        let reason = reason_of(refusal);
        found.push(format!("the directory's entry is barred: {reason}"));
    }
    if facts.standing.exposed.is_some() {
        found.push("the owner reported a login that was not theirs: none from outside until the password changes".to_owned());
    }
    if facts.standing.prompts_left == 0 {
        found.push("too many prompts without a login: none is opened".to_owned());
    }
    if facts.standing.locked_until > Some(facts.now) {
        found.push("codes are locked after too many wrong ones".to_owned());
    }
    let unreachable = facts.reach.numbers && !facts.reach.sms && !facts.reach.voice;
    if unreachable && !policy::has_own(facts.standing) {
        found.push("no number in the directory can be reached".to_owned());
    }
    found
}
