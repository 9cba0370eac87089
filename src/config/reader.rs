//! Reads one table key by key, strictly; what was never asked for is unknown.

mod nested;
pub(super) mod units;

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use super::fault::{Place, Report};
use super::tree::{Entry, Node, Value};
use crate::clock::Timestamp;
use units::Shown;

/// What a quantity may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<T> {
    pub(super) least: T,
    pub(super) most: T,
    pub(super) default: T,
}

impl<T> Bounds<T> {
    pub(super) const fn new(least: T, most: T, default: T) -> Self {
        Self {
            least,
            most,
            default,
        }
    }
}

/// What a key holds that says yes, no, or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Either<'a> {
    /// Yes or no.
    Flag(bool),
    /// More.
    Text(&'a str),
}

/// The words of a choice and what they mean.
pub(super) type Words<T> = [(&'static str, T)];

/// A table that is being read. One that is not there reads as empty.
pub(super) struct Table<'a> {
    pub(super) report: &'a Report,
    /// The table's name with `NAME` for what the user names: `client.NAME`.
    pub(super) kind: String,
    /// The name that the user gave: the `vpn` of `[client.vpn]`.
    pub(super) name: &'a str,
    /// Where the table begins; none when it is not there.
    pub(super) place: Option<Place>,
    entries: &'a [Entry],
    /// What holds where the table itself says nothing (a preset).
    fallback: &'a [Entry],
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// Reads what is missing here from there.
    pub(super) fn fall_back(&mut self, entries: &'a [Entry]) {
        self.fallback = entries;
    }

    /// Whether the user wrote the key here, in the table itself.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Whether the user wrote other keys here than these.
    pub(super) fn has_beside(&self, keys: &[&str]) -> bool {
        self.entries
            .iter()
            .any(|entry| !keys.contains(&entry.key.as_str()))
    }

    /// Whether the user wrote a list of nothing.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        self.find(key)
            .is_some_and(|entry| matches!(&entry.node.value, Value::List(list) if list.is_empty()))
    }

    /// Where the value of a key stands, or else the table.
    pub(super) fn at(&self, key: &str) -> Option<Place> {
        self.find(key)
            .map_or(self.place, |entry| Some(entry.node.place))
    }

    fn find(&self, key: &str) -> Option<&'a Entry> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .or_else(|| self.fallback.iter().find(|entry| entry.key == key))
    }

    /// Finds the value of a key, which is known from now on.
    pub(super) fn node(&self, key: &'static str) -> Option<&'a Node> {
        self.asked.borrow_mut().push(key);
        self.report.asked(&self.kind, key, None);
        self.find(key).map(|entry| &entry.node)
    }

    fn default(&self, key: &'static str, default: impl fmt::Display) {
        self.report
            .asked(&self.kind, key, Some(default.to_string()));
    }

    /// Says that a value is of another kind than wanted.
    pub(super) fn expected(&self, node: &Node, key: &str, wanted: &str) {
        let what = match &node.value {
            Value::Text(text) => format!("`{key}` cannot be {text:?}."),
            other => format!("`{key}` is given as {}.", other.kind()),
        };
        self.report
            .fault(Some(node.place), what, format!("Write {wanted}."));
    }

    /// A text.
    pub(super) fn text(&self, key: &'static str) -> Option<&'a str> {
        let node = self.node(key)?;
        match &node.value {
            Value::Text(text) if text.trim().is_empty() => {
                self.report.fault(
                    Some(node.place),
                    format!("`{key}` is empty."),
                    "Write a value or remove the line.",
                );
                None
            }
            Value::Text(text) => Some(text),
            _ => {
                self.expected(node, key, "text in quotes");
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn needed(&self, key: &'static str, example: &str) -> &'a str {
        let text = self.text(key);
        if !self.has(key) && text.is_none() {
            self.missing(key, example);
        }
        text.unwrap_or_default()
    }

    /// Says that a key is missing.
    pub(super) fn missing(&self, key: &str, example: &str) {
        self.report.fault(
            self.place,
            format!("`{key}` is missing."),
            format!("Add {key} = {example}."),
        );
    }

    /// A text, or what holds without it.
    pub(super) fn text_or(&self, key: &'static str, default: &'static str) -> &'a str {
        self.default(key, format_args!("\"{default}\""));
        self.text(key).unwrap_or(default)
    }

    /// Several texts, or one: each with its place. `None` if the key is not there.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<(&'a str, Place)>> {
        let node = self.node(key)?;
        let list = match &node.value {
            Value::List(list) => list.iter().collect(),
            _ => vec![node],
        };
        let mut texts = Vec::with_capacity(list.len());
        for item in list {
            match &item.value {
                Value::Text(text) if !text.trim().is_empty() => {
                    texts.push((text.as_str(), item.place));
                }
                Value::Text(_) => self.report.fault(
                    Some(item.place),
                    format!("`{key}` holds an empty text."),
                    "Remove it.",
                ),
                _ => self.expected(item, key, "text in quotes, or a list of such"),
            }
        }
        Some(texts)
    }

    /// True or false.
    pub(super) fn flag(&self, key: &'static str, default: bool) -> bool {
        self.default(key, default);
        match self.node(key) {
            None => default,
            Some(Node {
                value: Value::Flag(flag),
                ..
            }) => *flag,
            Some(node) => {
                self.expected(node, key, "true or false");
                default
            }
        }
    }

    /// True or false, if it is there.
    pub(super) fn word(&self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        match node.value {
            Value::Flag(flag) => Some(flag),
            _ => {
                self.expected(node, key, "true or false");
                None
            }
        }
    }

    /// True, false or a text.
    pub(super) fn flag_or_text(&self, key: &'static str, default: bool) -> Either<'a> {
        self.default(key, default);
        match self.node(key) {
            None => Either::Flag(default),
            Some(Node {
                value: Value::Flag(flag),
                ..
            }) => Either::Flag(*flag),
            Some(Node {
                value: Value::Text(text),
                ..
            }) => Either::Text(text),
            Some(node) => {
                self.expected(node, key, "true, false or text in quotes");
                Either::Flag(default)
            }
        }
    }

    /// A moment with its offset from UTC.
    pub(super) fn moment(&self, key: &'static str) -> Option<Timestamp> {
        let node = self.node(key)?;
        let moment = match &node.value {
            Value::Moment(moment) => moment.to_string().parse::<jiff::Timestamp>().ok(),
            _ => None,
        };
        if moment.is_none() {
            let wanted = "a date and time with its offset, as in 2024-02-03T00:00:00+09:00";
            self.expected(node, key, wanted);
        }
        Some(Timestamp::from_millis(moment?.as_millisecond()))
    }

    /// A number if it is one; texts are left to be read as such.
    pub(super) fn integer(&self, key: &'static str) -> Option<i64> {
        match self.node(key)?.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// A number without unit.
    pub(super) fn number<N>(&self, key: &'static str, bounds: Bounds<N>) -> N
    where
        N: Copy + PartialOrd + fmt::Display + TryFrom<i64>,
    {
        self.default(key, bounds.default);
        self.number_within(key, bounds.least, bounds.most)
            .unwrap_or(bounds.default)
    }

    /// A number that has no default.
    pub(super) fn number_within<N>(&self, key: &'static str, least: N, most: N) -> Option<N>
    where
        N: Copy + PartialOrd + fmt::Display + TryFrom<i64>,
    {
        let node = self.node(key)?;
        let Value::Number(number) = node.value else {
            self.expected(node, key, "a number without quotes");
            return None;
        };
        let number = N::try_from(number)
            .ok()
            .filter(|number| *number >= least && *number <= most);
        if number.is_none() {
            self.out_of_bounds(node, key, (&least, &most));
        }
        number
    }

    /// A duration: "500ms", "30s", "5m", "12h", "14d".
    pub(super) fn duration(&self, key: &'static str, bounds: Bounds<Duration>) -> Duration {
        self.default(key, format_args!("\"{}\"", Shown(bounds.default)));
        self.duration_within(key, bounds.least, bounds.most)
            .unwrap_or(bounds.default)
    }

    /// A duration that has no default.
    pub(super) fn duration_within(
        &self,
        key: &'static str,
        least: Duration,
        most: Duration,
    ) -> Option<Duration> {
        let node = self.node(key)?;
        let duration = match &node.value {
            Value::Text(text) => units::duration(text),
            _ => None,
        };
        match duration {
            None => self.expected(
                node,
                key,
                r#"a duration such as "30s", "5m", "12h" or "14d""#,
            ),
            Some(duration) if duration < least || duration > most => {
                self.out_of_bounds(node, key, (&Shown(least), &Shown(most)));
            }
            Some(duration) => return Some(duration),
        }
        None
    }

    /// A number of octets: "64KiB", "4MiB".
    pub(super) fn size(&self, key: &'static str, bounds: Bounds<usize>) -> usize {
        self.default(
            key,
            format_args!("\"{}\"", units::shown_size(bounds.default)),
        );
        let Some(node) = self.node(key) else {
            return bounds.default;
        };
        let size = match &node.value {
            Value::Text(text) => units::size(text),
            _ => None,
        };
        match size {
            Some(size) if size >= bounds.least && size <= bounds.most => return size,
            Some(_) => {
                let (least, most) = (
                    units::shown_size(bounds.least),
                    units::shown_size(bounds.most),
                );
                self.out_of_bounds(node, key, (&least, &most));
            }
            None => self.expected(node, key, r#"a size such as "64KiB" or "4MiB""#),
        }
        bounds.default
    }

    fn out_of_bounds(
        &self,
        node: &Node,
        key: &str,
        bounds: (&dyn fmt::Display, &dyn fmt::Display),
    ) {
        let (least, most) = bounds;
        self.report.fault(
            Some(node.place),
            format!("`{key}` is out of bounds."),
            format!("It may be {least} to {most}."),
        );
    }

    /// One of some words, or what holds without it.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &'static str,
        words: &Words<T>,
        default: &str,
    ) -> Option<T> {
        self.default(key, format_args!("\"{default}\""));
        let meaning = |word: &str| {
            words
                .iter()
                .find(|(known, _)| *known == word)
                .map(|(_, t)| *t)
        };
        let Some(node) = self.node(key) else {
            return meaning(default);
        };
        let Value::Text(text) = &node.value else {
            self.expected(
                node,
                key,
                &units::one_of(words.iter().map(|(word, _)| *word)),
            );
            return None;
        };
        let found = meaning(text);
        if found.is_none() {
            self.no_word(node.place, key, text, words);
        }
        found
    }

    /// Several of some words, in the order written. `None` if the key is not there; an empty list is a fault.
    pub(super) fn choices<T: Copy + PartialEq>(
        &self,
        key: &'static str,
        words: &Words<T>,
    ) -> Option<Vec<T>> {
        let texts = self.texts(key)?;
        let mut chosen = Vec::with_capacity(texts.len());
        if self.is_empty_list(key) {
            self.report.fault(
                self.at(key),
                format!("`{key}` is an empty list."),
                format!(
                    "Write some of {}.",
                    units::one_of(words.iter().map(|(word, _)| *word))
                ),
            );
        }
        for (text, place) in texts {
            match words.iter().find(|(word, _)| *word == text) {
                None => self.no_word(place, key, text, words),
                Some((_, t)) if chosen.contains(t) => self.report.fault(
                    Some(place),
                    format!("`{key}` names {text:?} twice."),
                    "Remove one of the two.",
                ),
                Some((_, t)) => chosen.push(*t),
            }
        }
        Some(chosen)
    }

    fn no_word<T>(&self, place: Place, key: &str, text: &str, words: &Words<T>) {
        let known = || words.iter().map(|(word, _)| *word);
        self.report.fault(
            Some(place),
            format!("`{key}` cannot be {text:?}."),
            units::nearest(text, known()).map_or_else(
                || format!("Write {}.", units::one_of(known())),
                |near| format!("Did you mean {near:?}?"),
            ),
        );
    }
}
