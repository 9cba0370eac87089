//! Search filters over sample entries (RFC 4511 §4.5.1.7): and, or, not, equality, presence and substrings.

use lber::common::TagClass;
use lber::structure::{PL, StructureTag};

use super::people::Entry;
use crate::account::fold;

/// A filter, as far as this directory knows them; everything else is neither true nor false of any entry.
pub(super) enum Filter {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Equal(String, String),
    Present(String),
    /// Parts in their order; whether the first begins and the last ends the value.
    Substrings(String, Parts),
    Unknown,
}

/// The parts of a substring filter.
#[derive(Default)]
pub(super) struct Parts {
    begins: Option<String>,
    holds: Vec<String>,
    ends: Option<String>,
}

impl Filter {
    /// Reads a filter; none if it is malformed.
    pub(super) fn read(tag: StructureTag) -> Option<Self> {
        if tag.class != TagClass::Context {
            return None;
        }
        let list = |payload: PL| match payload {
            PL::C(tags) => tags.into_iter().map(Self::read).collect::<Option<Vec<_>>>(),
            PL::P(_) => None,
        };
        Some(match tag.id {
            0 => Self::And(list(tag.payload)?),
            1 => Self::Or(list(tag.payload)?),
            2 => Self::Not(Box::new(list(tag.payload)?.pop()?)),
            3 => {
                let mut parts = tag.expect_constructed()?.into_iter();
                Self::Equal(text(parts.next()?)?, text(parts.next()?)?)
            }
            4 => {
                let mut parts = tag.expect_constructed()?.into_iter();
                let attribute = text(parts.next()?)?;
                Self::Substrings(attribute, Parts::read(parts.next()?)?)
            }
            7 => Self::Present(text(tag)?),
            _ => Self::Unknown,
        })
    }

    /// Whether it is true of the entry; none if it is neither true nor false.
    pub(super) fn holds(&self, entry: &Entry) -> Option<bool> {
        match self {
            Self::And(list) => every(list.iter().map(|filter| filter.holds(entry))),
            Self::Or(list) => every(
                list.iter()
                    .map(|filter| filter.holds(entry).map(|held| !held)),
            )
            .map(|none| !none),
            Self::Not(filter) => filter.holds(entry).map(|held| !held),
            Self::Present(attribute) => Some(entry.values(attribute).is_some()),
            Self::Equal(attribute, wanted) => {
                let wanted = plain(wanted);
                any_value(entry, attribute, |value| value == wanted)
            }
            Self::Substrings(attribute, parts) => {
                any_value(entry, attribute, |value| parts.are_in(value))
            }
            Self::Unknown => None,
        }
    }
}

impl Parts {
    fn read(tag: StructureTag) -> Option<Self> {
        let mut parts = Self::default();
        for part in tag.expect_constructed()? {
            let place = part.id;
            let part = plain(&text(part)?);
            match place {
                0 => parts.begins = Some(part),
                1 => parts.holds.push(part),
                2 => parts.ends = Some(part),
                _ => return None,
            }
        }
        Some(parts)
    }

    fn are_in(&self, value: &str) -> bool {
        let Some(mut rest) = value.strip_prefix(self.begins.as_deref().unwrap_or_default()) else {
            return false;
        };
        for part in &self.holds {
            match rest.split_once(part.as_str()) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        rest.ends_with(self.ends.as_deref().unwrap_or_default())
    }
}

/// RFC 4511's three-valued "and".
fn every(results: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for result in results {
        match result {
            Some(false) => return Some(false),
            None => all = None,
            Some(true) => {}
        }
    }
    all
}

/// An attribute that the entry has not is undefined in a real schema only if nobody has it; here it is plainly false.
fn any_value(entry: &Entry, attribute: &str, is: impl Fn(&str) -> bool) -> Option<bool> {
    let values = entry.values(attribute).unwrap_or_default();
    Some(values.iter().any(|value| is(&plain(value))))
}

/// A value as it is compared: case folded, spaces around separators gone, so that names and DNs compare alike.
fn plain(value: &str) -> String {
    super::ldap::dn_form(&fold(value))
}

fn text(tag: StructureTag) -> Option<String> {
    String::from_utf8(tag.expect_primitive()?).ok()
}
