//! The files as one tree in which every key and value knows its place.
//!
//! The `config` crate is not used for merging: it turns `url = 1` into the text "1" and forgets lines, and the
//! faults found after the merging need both.

use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use super::fault::{Place, Report};

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A value.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Fraction(f64),
    Flag(bool),
    Moment(Datetime),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

impl Value {
    /// What it is, as a sentence says it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Number(_) => "a number",
            Self::Fraction(_) => "a fraction",
            Self::Flag(_) => "true or false",
            Self::Moment(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    fn is_list_of_tables(&self) -> bool {
        matches!(self, Self::List(list) if !list.is_empty()
            && list.iter().all(|node| matches!(node.value, Self::Table(_))))
    }
}

/// A key of a table, its place and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

/// Parses every source and merges them: tables are merged, `[[lists]]` of tables follow each other, and a key given
/// twice is a fault. `None` if some source is no TOML; then its faults are in the report.
pub(super) fn read(report: &Report) -> Option<Vec<Entry>> {
    let mut whole = Vec::new();
    let mut sound = true;
    for (file, source) in report.sources.iter().enumerate() {
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        for error in errors {
            sound = false;
            let octet = error.span().map_or(0, |span| span.start);
            let what = format!("This is no TOML: {}.", error.message().replace('\n', "; "));
            report.fault(Some(Place { file, octet }), what, "");
        }
        if sound {
            merge(&mut whole, entries(table.get_ref(), file), report);
        }
    }
    sound.then_some(whole)
}

/// The tree of a text that belongs to no report, or `None` if it is no TOML.
pub(super) fn of_text(text: &str) -> Option<Vec<Entry>> {
    let table = DeTable::parse(text).ok()?;
    Some(entries(table.get_ref(), usize::MAX))
}

fn entries(table: &DeTable<'_>, file: usize) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            place: Place {
                file,
                octet: key.span().start,
            },
            node: node(value.get_ref(), value.span().start, file),
        })
        .collect();
    entries.sort_by_key(|entry| entry.place);
    entries
}

fn node(value: &DeValue<'_>, octet: usize, file: usize) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        // Beyond 64 bits is beyond every bound: the nearest number gets the fault that says the bound.
        DeValue::Integer(number) => {
            let nearest = if number.as_str().starts_with('-') {
                i64::MIN
            } else {
                i64::MAX
            };
            Value::Number(i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(nearest))
        }
        DeValue::Float(fraction) => Value::Fraction(fraction.as_str().parse().unwrap_or_default()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(moment) => Value::Moment(*moment),
        DeValue::Array(list) => Value::List(
            list.iter()
                .map(|item| node(item.get_ref(), item.span().start, file))
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(entries(table, file)),
    };
    Node {
        place: Place { file, octet },
        value,
    }
}

fn merge(into: &mut Vec<Entry>, from: Vec<Entry>, report: &Report) {
    for entry in from {
        let Some(known) = into.iter_mut().find(|known| known.key == entry.key) else {
            into.push(entry);
            continue;
        };
        match (&mut known.node.value, entry.node.value) {
            (Value::Table(known), Value::Table(more)) => merge(known, more, report),
            (first @ Value::List(_), more @ Value::List(_))
                if first.is_list_of_tables() && more.is_list_of_tables() =>
            {
                if let (Value::List(first), Value::List(more)) = (first, more) {
                    first.extend(more);
                }
            }
            _ => report.fault(
                Some(entry.place),
                format!(
                    "`{}` is already given in {}.",
                    entry.key,
                    report.name_place(known.place, entry.place)
                ),
                "Remove one of the two.",
            ),
        }
    }
}
