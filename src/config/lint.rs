//! What is written soundly and cannot work: push, codes and texts that gear of this kind has no room for.

use std::time::Duration;

use super::fault::Place;
use super::gear::Gear;
use super::reader::Table;
use super::reader::units::Shown;
use crate::access::{CodeEntry, PushMode, Texts};
use crate::account::FactorKind;
use crate::server::{Client, Dialogue, Method, Probe, Signs};
use crate::wire::Signing;

/// How long people take to fetch a phone and answer it.
const PUSH_TAKES: Duration = Duration::from_secs(20);

/// Warns of what cannot work together at a client.
pub(super) fn judge(root: &Table<'_>, table: &Table<'_>, gear: &Gear) {
    judge_method(root, table, gear);
    judge_push(table, gear);
    judge_patience(table, gear);
    judge_sent(root, table, gear);
    judge_remember(table, gear);
    judge_profile(table, gear);
}

/// Where a key stands, or else the profile that has its value.
fn place(table: &Table<'_>, key: &str) -> Option<Place> {
    if table.has(key) {
        table.at(key)
    } else {
        table.at("profile")
    }
}

fn judge_method(root: &Table<'_>, table: &Table<'_>, gear: &Gear) {
    match gear.method {
        Method::Pap => {}
        Method::Eap if root.has("eap") => {}
        Method::Eap => table.report.warn(
            place(table, "method"),
            "`method` is \"eap\", but there is no [eap]: every login here is refused.",
            "Add [eap] with a certificate, or set the gear to PAP and write method = \"pap\".",
        ),
        Method::MsChap => table.report.warn(
            place(table, "method"),
            "`method` is \"mschap\", but outside of EAP passwords are proven by PAP alone: every login here is refused.",
            "Set the gear to PAP, and write method = \"pap\".",
        ),
    }
    let behind = |entry: &CodeEntry| *entry != CodeEntry::Challenge;
    if gear.method == Method::MsChap && gear.policy.code.iter().any(behind) {
        table.report.warn(
            place(table, "code"),
            "`code` puts a code behind the password, but by MS-CHAP no password arrives that one could stand behind.",
            "Set the gear to PAP, or write code = [\"challenge\"].",
        );
    }
}

fn judge_push(table: &Table<'_>, gear: &Gear) {
    let policy = &gear.policy;
    let at = place(table, "push");
    let warn = |what: &str, mend: &str| table.report.warn(at, what, mend);
    if policy.push.contains(&PushMode::Shown) && !policy.can_challenge() {
        warn(
            "`push` holds \"shown\", but `code` does not hold \"challenge\": there is nowhere to show the number.",
            "Add \"challenge\" to code if the gear can be challenged, or take \"shown\" out of push.",
        );
    }
    if policy.push.contains(&PushMode::Shown) && policy.texts == Texts::None {
        warn(
            "`push` holds \"shown\", but `reply-message` is \"none\": the number would not be shown.",
            "Write reply-message = \"both\" or \"ascii\", or take \"shown\" out of push.",
        );
    }
    if !policy.push.contains(&PushMode::Typed) {
        return;
    }
    if !policy.code.contains(&CodeEntry::Delimited) {
        warn(
            "`push` holds \"typed\", but `code` does not hold \"delimited\": digits behind the delimiter are not looked for.",
            "Add \"delimited\" to code, or take \"typed\" out of push.",
        );
    }
    if gear.method == Method::MsChap {
        warn(
            "`push` holds \"typed\", but by MS-CHAP no digits behind the password arrive.",
            "Set the gear to PAP, or take \"typed\" out of push.",
        );
    }
}

/// A held reply that nobody waits for is only of use to the next attempt.
fn judge_patience(table: &Table<'_>, gear: &Gear) {
    let policy = &gear.policy;
    let is_held = policy.push.iter().any(|mode| mode.holds_reply());
    if is_held && policy.patience < PUSH_TAKES && policy.late_approval.is_zero() {
        table.report.warn(
            table.at("late-approval"),
            format!(
                "A push takes people about {}, but {} waits {} and `late-approval` is off: who approves is not let in.",
                Shown(PUSH_TAKES),
                gear.profile.gear,
                Shown(policy.patience)
            ),
            format!(
                "{} Then write what it waits in patience; or leave late-approval out.",
                gear.profile.raise
            ),
        );
    }
}

fn judge_sent(root: &Table<'_>, table: &Table<'_>, gear: &Gear) {
    let policy = &gear.policy;
    let sent = [("sms", FactorKind::Sms), ("voice", FactorKind::Voice)];
    let mut sent = sent
        .iter()
        .filter(|(key, way)| root.has(key) && policy.ways.contains(way));
    if let Some((key, _)) = sent.next()
        && policy.texts == Texts::None
        && !policy.can_challenge()
    {
        table.report.warn(
            place(table, "ways"),
            format!("A code can be sent to people here (\"{key}\"), but the gear can neither ask for it nor tell them so."),
            "Tell them to log in again with the code behind the password, or write ways = [\"totp\", \"recovery\"].",
        );
    }
}

/// Stations that nothing tells, or that are many people's, are not remembered.
fn judge_remember(table: &Table<'_>, gear: &Gear) {
    let policy = &gear.policy;
    if table.has("remember-always-ask") && policy.remember_always && policy.remember.is_zero() {
        table.report.warn(
            table.at("remember-always-ask"),
            "`remember-always-ask` remembers nothing: `remember` is off here.",
            "Write remember = \"14d\", or remove it.",
        );
    }
    if policy.remember.is_zero() || !(table.has("remember") || table.has("shared-stations")) {
        return;
    }
    if policy.shared_stations {
        table.report.warn(
            place(table, "remember"),
            "`remember` has no effect with `shared-stations`: a station is not one person's.",
            "Remove one of the two.",
        );
    } else if gear.station.is_empty() {
        table.report.warn(
            place(table, "remember"),
            "`remember` has no effect without `station`: no station is known.",
            "Write in which attribute the gear sends the hardware address, such as station = \"Calling-Station-Id\".",
        );
    }
}

/// What is written against the profile.
fn judge_profile(table: &Table<'_>, gear: &Gear) {
    let (profile, policy) = (gear.profile, &gear.policy);
    if policy.can_challenge() && !profile.can_challenge() {
        table.report.warn(
            table.at("code"),
            format!(
                "`code` holds \"challenge\", but {} cannot be challenged: the login fails there.",
                profile.gear
            ),
            "Take \"challenge\" out of code; if this gear can, write profile = \"generic\".",
        );
    }
    if profile.dialogue == Dialogue::Nothing && policy.texts != Texts::None {
        table.report.warn(
            table.at("reply-message"),
            format!(
                "`reply-message` sends texts, but {} shows none, and may take them for something else.",
                profile.gear
            ),
            "Leave reply-message out.",
        );
    }
    if gear.class && !profile.class {
        table.report.warn(
            table.at("class"),
            format!(
                "`class` is on, but {} takes Class for groups or policies: it could take ours for one.",
                profile.gear
            ),
            "Leave class out, unless the gear is set up to read no groups from Class.",
        );
    }
    let required = table.has("require-message-authenticator") && gear.signing == Signing::Required;
    if required && profile.signing == Signs::Never {
        table.report.warn(
            table.at("require-message-authenticator"),
            format!(
                "{} sends no Message-Authenticator: every request would be discarded.",
                profile.gear
            ),
            "Leave require-message-authenticator out, unless this gear was seen to send it (sekisho client list).",
        );
    }
}

/// Warns of gear that gives up before it is refused.
pub(super) fn judge_floor(radius: &Table<'_>, floor: Duration, clients: &[Client]) {
    // Up to a tenth more is added at random.
    let latest = floor + floor / 10;
    if let Some(client) = clients.iter().find(|client| client.patience <= latest) {
        radius.report.warn(
            radius.at("reject-floor"),
            format!(
                "A Reject leaves after {} or somewhat more (`reject-floor`), but client {:?} waits {}.",
                Shown(floor),
                client.name.as_str(),
                Shown(client.patience)
            ),
            "Let the gear wait longer, or make reject-floor shorter.",
        );
    }
}

/// Warns of a group of a rule that has the name of a health check: who asks by that name is never found in it.
pub(super) fn judge_group(table: &Table<'_>, key: &str, group: &str, clients: &[Client]) {
    let first = group.split(['=', ',']).nth(1).unwrap_or_default().trim();
    let names = |probe: &Probe| match probe {
        Probe::Name(name) => name.eq_ignore_ascii_case(first),
        Probe::Prefix(start) => first
            .get(..start.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(start)),
        Probe::ConnectInfo(_) => false,
    };
    if let Some(client) = clients
        .iter()
        .find(|client| client.probes.iter().any(names))
    {
        table.report.warn(
            table.at(key),
            format!(
                "{first:?} is a health check at client {:?}: it is answered before any rule is read.",
                client.name.as_str()
            ),
            "Leave it out of the rules, or of the client's probes if people are meant.",
        );
    }
}
