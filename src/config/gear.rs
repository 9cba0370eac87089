//! What `[client.NAME]` says about its gear, with the defaults of its profile.

use std::time::Duration;

use super::reader::{Bounds, Table, Words, units};
use super::{clients, lint, rules};
use crate::access::{Asks, ClientPolicy, CodeEntry, PushMode, Texts};
use crate::account::{ClientName, FactorKind, Language};
use crate::server::{Method, PROFILES, Probe, Profile, Signs, StationForm, StationSource};
use crate::wire::Signing;

/// How long gear may wait; the default is its profile's.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// How long a verdict may be given again; the default is the profile's.
const PAIR: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
/// How long a station may be remembered; the default is the profile's.
const REMEMBER: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(90 * 24 * 3600));
const LATE_APPROVAL: Bounds<Duration> = Bounds::new(
    Duration::ZERO,
    Duration::from_secs(300),
    Duration::from_secs(60),
);
/// Health checks of one client: each request is compared with all.
const PROBES_MOST: usize = 16;
const DELIMITER: &str = ",";

const CODES: &Words<CodeEntry> = &[
    ("appended", CodeEntry::Appended),
    ("delimited", CodeEntry::Delimited),
    ("challenge", CodeEntry::Challenge),
];
const WAYS: &Words<FactorKind> = &[
    ("totp", FactorKind::Totp),
    ("sms", FactorKind::Sms),
    ("voice", FactorKind::Voice),
    ("recovery", FactorKind::Recovery),
];
const PUSHES: &Words<PushMode> = &[
    ("shown", PushMode::Shown),
    ("typed", PushMode::Typed),
    ("approve", PushMode::Approve),
];
const METHODS: &Words<Method> = &[
    ("pap", Method::Pap),
    ("mschap", Method::MsChap),
    ("eap", Method::Eap),
];
const REPLY_MESSAGES: &Words<(Texts, Language)> = &[
    ("both", (Texts::Full, Language::Both)),
    ("ja", (Texts::Full, Language::Ja)),
    ("en", (Texts::Full, Language::En)),
    ("ascii", (Texts::Ascii, Language::En)),
    ("none", (Texts::None, Language::Both)),
];
/// Name, vendor, type, form. Numbers: RFC 2865, 2868, 6911; PaloAlto's and Cisco's dictionaries.
const STATIONS: [(&str, Option<u32>, u8, StationForm); 5] = [
    ("Calling-Station-Id", None, 31, StationForm::Text),
    ("Tunnel-Client-Endpoint", None, 66, StationForm::TaggedText),
    ("Framed-IP-Address", None, 8, StationForm::Address),
    ("Framed-IPv6-Address", None, 168, StationForm::Address),
    (
        "PaloAlto-Client-Source-IP",
        Some(25_461),
        7,
        StationForm::Text,
    ),
];
const CISCO: u32 = 9;
const CISCO_PAIR: (&str, u8) = ("Cisco-AVPair:", 1);

/// What is known of a client's gear.
pub(super) struct Gear {
    pub(super) profile: &'static Profile,
    pub(super) method: Method,
    pub(super) signing: Signing,
    pub(super) station: Vec<StationSource>,
    pub(super) probes: Vec<Probe>,
    pub(super) class: bool,
    pub(super) policy: ClientPolicy,
}

/// Reads it, and warns of what cannot work together.
pub(super) fn read(root: &Table<'_>, table: &Table<'_>) -> Gear {
    let profile = profile(table);
    let gear = Gear {
        profile,
        method: table
            .choice("method", METHODS, profile.method.as_str())
            .unwrap_or(profile.method),
        signing: signing(table, profile),
        station: stations(table, profile),
        probes: probes(table, profile),
        class: table.flag("class", profile.class),
        policy: policy(table, profile),
    };
    lint::judge(root, table, &gear);
    gear
}

fn profile(table: &Table<'_>) -> &'static Profile {
    let words = PROFILES.map(|profile| (profile.name, profile));
    let [(generic, profile), ..] = words;
    table.choice("profile", &words, generic).unwrap_or(profile)
}

fn signing(table: &Table<'_>, profile: &Profile) -> Signing {
    let required = table.flag(
        "require-message-authenticator",
        profile.signing == Signs::Yes,
    );
    let limited = table.flag("limit-proxy-state", true);
    match (required, limited) {
        (true, true) => Signing::Required,
        (true, false) => {
            table.report.warn(
                table.at("limit-proxy-state"),
                "`limit-proxy-state` has no effect while Message-Authenticator is required.",
                "Remove it.",
            );
            Signing::Required
        }
        (false, true) => Signing::OptionalWithoutProxyState,
        (false, false) => Signing::Optional,
    }
}

fn stations(table: &Table<'_>, profile: &Profile) -> Vec<StationSource> {
    let Some(texts) = table.texts("station") else {
        let known = profile.station.iter();
        return known.filter_map(|name| station(name).ok()).collect();
    };
    let mut sources: Vec<StationSource> = Vec::with_capacity(texts.len());
    for (text, place) in texts {
        match station(text) {
            Ok(source) if sources.contains(&source) => table.report.fault(
                Some(place),
                format!("`station` names {text} twice."),
                "Remove one of the two.",
            ),
            Ok(source) => sources.push(source),
            Err((what, mend)) => table.report.fault(Some(place), what, mend),
        }
    }
    sources
}

/// The attribute of a name, or what is wrong with it and what mends that.
pub(super) fn station(text: &str) -> Result<StationSource, (String, String)> {
    let source = |vendor, kind, prefix, form| StationSource {
        name: text.into(),
        vendor,
        kind,
        prefix,
        form,
    };
    if text.to_ascii_uppercase().starts_with("NAS-") {
        return Err((
            format!("{text} names the NAS, not the person's own station: with it everybody would be on campus."),
            "Write the attribute in which your gear sends the person's address, such as \"Calling-Station-Id\".".to_owned(),
        ));
    }
    if let Some(pair) = text.strip_prefix(CISCO_PAIR.0)
        && !pair.is_empty()
    {
        let prefix = Some(format!("{pair}="));
        return Ok(source(Some(CISCO), CISCO_PAIR.1, prefix, StationForm::Text));
    }
    let known = STATIONS.iter().find(|(name, ..)| *name == text);
    let (_, vendor, kind, form) = known.ok_or_else(|| {
        let names = || {
            STATIONS
                .iter()
                .map(|(name, ..)| *name)
                .chain(["Cisco-AVPair:ip:source-ip"])
        };
        (
            format!("`station` cannot be {text:?}."),
            units::nearest(text, names()).map_or_else(
                || format!("Write {}.", units::one_of(names())),
                |near| format!("Did you mean {near:?}?"),
            ),
        )
    })?;
    Ok(source(*vendor, *kind, None, *form))
}

fn probes(table: &Table<'_>, profile: &Profile) -> Vec<Probe> {
    let Some(texts) = table.texts("probes") else {
        let known = profile.probes.iter();
        return known.filter_map(|probe| Probe::read(probe)).collect();
    };
    if texts.len() > PROBES_MOST {
        table.report.fault(
            table.at("probes"),
            format!("`probes` has more than {PROBES_MOST} health checks."),
            "Write what several have in common, with a * at the end.",
        );
    }
    let mut probes = Vec::with_capacity(texts.len());
    for (text, place) in texts {
        let probe = Probe::read(text);
        if probe.is_none() {
            table.report.fault(
                Some(place),
                format!("`probes`: {text:?} tells no health check from people."),
                "Write a name, the beginning of names with at least 4 letters before a *, or \"Connect-Info=TEXT\".",
            );
        }
        probes.extend(probe);
    }
    probes
}

/// Some of some words, or what the profile has.
fn words_or<T: Copy + PartialEq>(
    table: &Table<'_>,
    key: &'static str,
    words: &Words<T>,
    default: &[T],
) -> Vec<T> {
    let shown: Vec<_> = default
        .iter()
        .filter_map(|of| words.iter().find(|(_, known)| known == of))
        .map(|(word, _)| format!("{word:?}"))
        .collect();
    let shown = format!("[{}]", shown.join(", "));
    table.report.asked(&table.kind, key, Some(shown));
    table
        .choices(key, words)
        .unwrap_or_else(|| default.to_vec())
}

fn policy(table: &Table<'_>, profile: &Profile) -> ClientPolicy {
    let code = words_or(table, "code", CODES, profile.code);
    let all: Vec<_> = WAYS.iter().map(|(_, way)| *way).collect();
    let (texts, language) = table
        .choice("reply-message", REPLY_MESSAGES, profile.reply_message)
        .unwrap_or_default();
    let within = |(least, most): (Duration, Duration), default| Bounds::new(least, most, default);
    ClientPolicy {
        name: ClientName::new(table.name),
        label: rules::label(table, "label", (table.name, table.name)),
        delimiter: delimiter(table, &code),
        code,
        ways: words_or(table, "ways", WAYS, &all),
        texts,
        language,
        pool: clients::networks(table, "pool").unwrap_or_default(),
        shared_stations: table.flag("shared-stations", false),
        push: push(table, profile),
        patience: table.duration("patience", within(PATIENCE, profile.patience())),
        pair: table.duration("pair", within(PAIR, profile.pair)),
        asks: Asks::ByRules,
        remember: table.duration("remember", within(REMEMBER, profile.remember)),
        remember_always: table.flag("remember-always-ask", false),
        late_approval: table.duration("late-approval", LATE_APPROVAL),
    }
}

/// Unlike other lists, an empty one says something: no push here.
fn push(table: &Table<'_>, profile: &Profile) -> Vec<PushMode> {
    if table.is_empty_list("push") {
        let _known = table.node("push");
        return Vec::new();
    }
    words_or(table, "push", PUSHES, profile.push)
}

fn delimiter(table: &Table<'_>, code: &[CodeEntry]) -> char {
    let text = table.text_or("delimiter", DELIMITER);
    let mut letters = text.chars();
    let sign = letters.next().unwrap_or(',');
    if letters.next().is_some() || !sign.is_ascii_graphic() || sign.is_ascii_alphanumeric() {
        table.report.fault(
            table.at("delimiter"),
            "`delimiter` is one sign that is neither letter nor digit.",
            "Write \",\".",
        );
    }
    if table.has("delimiter") && !code.contains(&CodeEntry::Delimited) {
        table.report.warn(
            table.at("delimiter"),
            "`delimiter` has no effect: `code` does not hold \"delimited\".",
            "Add \"delimited\" to code, or remove the delimiter.",
        );
    }
    sign
}
