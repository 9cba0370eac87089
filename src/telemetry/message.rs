//! What goes to the journal: owned, bounded, one line.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use log::kv::{Error, Key, Source, Value, VisitSource};
use log::{Level, Record};

use crate::account::{Decision, Outcome, Reason};
use crate::clock::Timestamp;

/// Longest text of a record, in octets: enough for any message of ours, and a bound for those of libraries.
const TEXT_OCTETS: usize = 2048;
/// Longest value of a field: User-Name's bound twice, escaped ones included.
const VALUE_OCTETS: usize = 512;
/// Most fields of a record.
const FIELDS: usize = 32;

/// One record.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) at: Timestamp,
    pub(super) level: Level,
    pub(super) target: Cow<'static, str>,
    pub(super) body: Body,
}

/// What it says.
#[derive(Debug)]
pub(super) enum Body {
    /// A text, with fields.
    Said {
        text: String,
        fields: Vec<(Cow<'static, str>, String)>,
    },
    /// A decision; put in words by the thread that writes, so that a login does not pay for it.
    Decided(Arc<Decision>),
}

impl Message {
    /// Takes over what a library or a room said by `log`.
    pub(super) fn said(at: Timestamp, record: &Record<'_>) -> Self {
        let mut fields = Fields(Vec::new());
        let text = clean(record.args().to_string(), TEXT_OCTETS);
        // The visitor below never fails, so neither does the visit.
        let _visited = record.key_values().visit(&mut fields);
        Self {
            at,
            level: record.level(),
            target: Cow::Owned(record.target().to_owned()),
            body: Body::Said {
                text,
                fields: fields.0,
            },
        }
    }

    /// A decision.
    pub(super) fn decided(decision: &Arc<Decision>) -> Self {
        let note = decision.note.as_deref().unwrap_or_default();
        let safe = is_clean(&decision.name, VALUE_OCTETS) && is_clean(note, VALUE_OCTETS);
        let decision = if safe {
            Arc::clone(decision)
        } else {
            Arc::new(cleaned(decision))
        };
        Self {
            at: decision.at,
            level: level_of(decision.outcome),
            target: Cow::Borrowed("sekisho::decision"),
            body: Body::Decided(decision),
        }
    }

    /// A text with fields of our own making.
    pub(super) fn with_fields(
        at: Timestamp,
        target: &'static str,
        text: String,
        fields: &[(&'static str, String)],
    ) -> Self {
        let fields = fields
            .iter()
            .take(FIELDS)
            .map(|(name, value)| (Cow::Borrowed(*name), clean(value.clone(), VALUE_OCTETS)))
            .collect();
        Self {
            at,
            level: Level::Info,
            target: Cow::Borrowed(target),
            body: Body::Said {
                text: clean(text, TEXT_OCTETS),
                fields,
            },
        }
    }

    /// The text, one line.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match &self.body {
            Body::Said { text, .. } => Cow::Borrowed(text),
            Body::Decided(decision) => Cow::Owned(in_words(decision)),
        }
    }
}

fn cleaned(decision: &Decision) -> Decision {
    let clean = |text: &Arc<str>| Arc::from(clean(text.to_string(), VALUE_OCTETS));
    Decision {
        name: clean(&decision.name),
        note: decision.note.as_ref().map(clean),
        ..decision.clone()
    }
}

/// The level of a decision: one that could not be made is a fault of the house.
pub(super) const fn level_of(outcome: Outcome) -> Level {
    match outcome {
        Outcome::Accept | Outcome::Reject | Outcome::Challenge | Outcome::Waiting => Level::Info,
        Outcome::Undecided => Level::Warn,
    }
}

/// The word of an outcome in fields and metrics.
pub(super) const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Accept => "accept",
        Outcome::Reject => "reject",
        Outcome::Challenge => "challenge",
        Outcome::Waiting => "waiting",
        Outcome::Undecided => "undecided",
    }
}

/// Whether it tells of what somebody did at the portal, and of no login.
const fn is_change(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::MethodAdded
            | Reason::MethodRemoved
            | Reason::StationForgotten
            | Reason::RecoveryCodesMade
    )
}

/// The phrases "Login OK" and "Login incorrect" are FreeRADIUS's: what watches a log for them goes on working.
fn in_words(decision: &Decision) -> String {
    let mut text = String::with_capacity(160);
    let reason = decision.reason;
    // Writing to a String does not fail.
    let _written = match decision.outcome {
        _ if is_change(reason) => write!(text, "Changed by its owner ({reason})"),
        Outcome::Accept => write!(text, "Login OK"),
        Outcome::Reject => write!(text, "Login incorrect ({reason})"),
        Outcome::Challenge => write!(text, "Login continues ({reason})"),
        Outcome::Waiting if matches!(reason, Reason::PushAsked | Reason::Repeated) => {
            write!(text, "Login waits ({reason})")
        }
        Outcome::Waiting => write!(text, "A device was heard ({reason})"),
        Outcome::Undecided => write!(text, "Login undecided ({reason})"),
    };
    let _written = write!(
        text,
        ": [{}] (client {}, station {}",
        decision.name, decision.client, decision.station
    );
    if let Some(factor) = decision.factor {
        let _written = write!(text, ", {}", factor.as_str());
    }
    text.push(')');
    if let Some(note) = &decision.note {
        let _written = write!(text, ": {note}");
    }
    text
}

impl Source for Message {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        match &self.body {
            Body::Said { fields, .. } => fields.iter().try_for_each(|(name, value)| {
                visitor.visit_pair(Key::from_str(name), Value::from(value.as_str()))
            }),
            Body::Decided(decision) => visit_decision(decision, visitor),
        }
    }
}

fn visit_decision<'kvs>(
    decision: &'kvs Decision,
    visitor: &mut dyn VisitSource<'kvs>,
) -> Result<(), Error> {
    let durations = &decision.durations;
    let texts = [
        ("ATTEMPT", Some(decision.attempt.as_str())),
        ("NAME", Some(&*decision.name)),
        ("ACCOUNT", decision.account.as_ref().map(|id| id.as_str())),
        ("CLIENT", Some(decision.client.as_str())),
        ("STATION_FROM", decision.station_from.as_deref()),
        ("ZONE", decision.zone.as_deref()),
        ("RULE", decision.rule.as_deref()),
        ("FACTOR", decision.factor.map(|factor| factor.as_str())),
        ("OUTCOME", Some(word(decision.outcome))),
        ("REASON", Some(decision.reason.as_str())),
        ("DIRECTORY", decision.directory.as_deref()),
        ("NOTE", decision.note.as_deref()),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            visitor.visit_pair(Key::from_str(name), Value::from(value))?;
        }
    }
    visitor.visit_pair(Key::from_str("NAS"), Value::from_display(&decision.nas))?;
    visitor.visit_pair(
        Key::from_str("STATION"),
        Value::from_display(&decision.station),
    )?;
    let steps = [
        ("DURATION_TOTAL_US", durations.total),
        ("DURATION_DIRECTORY_US", durations.directory),
        ("DURATION_STORE_US", durations.store),
        ("DURATION_CHANNEL_US", durations.channel),
    ];
    steps
        .into_iter()
        .try_for_each(|(name, value)| visitor.visit_pair(Key::from_str(name), Value::from(value)))
}

struct Fields(Vec<(Cow<'static, str>, String)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        if self.0.len() < FIELDS {
            let name = clean(key.as_str().to_owned(), VALUE_OCTETS);
            self.0
                .push((Cow::Owned(name), clean(value.to_string(), VALUE_OCTETS)));
        }
        Ok(())
    }
}

fn is_clean(text: &str, octets: usize) -> bool {
    text.len() <= octets && !text.chars().any(char::is_control)
}

/// One line within the bound: control characters would forge lines of the log or commands of a terminal.
fn clean(text: String, octets: usize) -> String {
    if is_clean(&text, octets) {
        return text;
    }
    let (kept, _) = text.split_at(text.floor_char_boundary(octets));
    kept.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::account::{AttemptId, ClientName, Durations, FactorKind, Reason, Station};

    pub(in crate::telemetry) fn decision(outcome: Outcome, reason: Reason) -> Decision {
        Decision {
            attempt: AttemptId::new(Timestamp::from_millis(1)),
            at: Timestamp::from_secs(1_700_000_000),
            account: None,
            name: "campus/taro".into(),
            client: ClientName::new("vpn"),
            nas: "192.0.2.1".parse().unwrap(),
            station: Station::read("203.0.113.5"),
            station_from: Some("Calling-Station-Id".into()),
            zone: None,
            rule: Some("rule 1".into()),
            factor: Some(FactorKind::Totp),
            outcome,
            reason,
            directory: None,
            durations: Durations {
                total: 1234,
                ..Durations::default()
            },
            note: None,
        }
    }

    struct Pairs(Vec<(String, String)>);

    impl<'kvs> VisitSource<'kvs> for Pairs {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            self.0.push((key.to_string(), value.to_string()));
            Ok(())
        }
    }

    fn pairs(message: &Message) -> Vec<(String, String)> {
        let mut pairs = Pairs(Vec::new());
        message.visit(&mut pairs).unwrap();
        pairs.0
    }

    #[test]
    fn a_decision_is_told_in_the_known_phrases() {
        let told = |outcome, reason| {
            Message::decided(&Arc::new(decision(outcome, reason)))
                .text()
                .into_owned()
        };
        let tail = "[campus/taro] (client vpn, station 203.0.113.5, totp)";
        for (outcome, reason, expected) in [
            (Outcome::Accept, Reason::Proven, "Login OK: "),
            (
                Outcome::Reject,
                Reason::WrongCode,
                "Login incorrect (wrong-code): ",
            ),
            (
                Outcome::Challenge,
                Reason::CodeAsked,
                "Login continues (code-asked): ",
            ),
            (
                Outcome::Undecided,
                Reason::StoreUnavailable,
                "Login undecided (store-unavailable): ",
            ),
        ] {
            assert_eq!(told(outcome, reason), format!("{expected}{tail}"));
        }
    }

    #[test]
    fn a_decision_has_its_fields_and_no_empty_ones() {
        let message = Message::decided(&Arc::new(decision(Outcome::Accept, Reason::Proven)));
        let pairs = pairs(&message);
        for (name, value) in [
            ("NAME", "campus/taro"),
            ("CLIENT", "vpn"),
            ("NAS", "192.0.2.1"),
            ("STATION", "203.0.113.5"),
            ("OUTCOME", "accept"),
            ("REASON", "proven"),
            ("DURATION_TOTAL_US", "1234"),
        ] {
            assert!(
                pairs.contains(&(name.to_owned(), value.to_owned())),
                "{name}"
            );
        }
        assert!(!pairs.iter().any(|(name, _)| name == "ZONE"));
    }

    #[test]
    fn control_characters_never_reach_the_log() {
        let mut bad = decision(Outcome::Reject, Reason::BadName);
        bad.name = "a\nLogin OK: [b]".into();
        bad.note = Some("x\u{1b}[31m".into());
        let message = Message::decided(&Arc::new(bad));
        assert!(!message.text().chars().any(char::is_control));
        assert!(
            !pairs(&message)
                .iter()
                .any(|(_, value)| value.chars().any(char::is_control))
        );
        let record = Record::builder().args(format_args!("a\nb")).build();
        let said = Message::said(Timestamp::from_secs(0), &record);
        assert_eq!(said.text(), "a\u{fffd}b");
    }

    #[test]
    fn texts_are_bounded_at_whole_characters() {
        let long = "関".repeat(TEXT_OCTETS);
        let cut = clean(long, TEXT_OCTETS);
        assert!(cut.len() <= TEXT_OCTETS);
        assert!(cut.chars().all(|c| c == '関'));
    }
}
