//! The small words of an attempt: who is meant, from which station, through which client, and why
//! it was decided as it was.
//!
//! Pure values. Not here: how an account is found (`directory`) and what is decided (`access`).

mod decision;
mod name;
mod station;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use decision::{AttemptId, Decision, Durations, Outcome, Reason};
#[expect(clippy::module_name_repetitions, reason = "other rooms have keys, too")]
pub use name::AccountKey;
pub use name::{BadName, Realms, TypedName, Who, fold, shown};
pub use station::Station;

/// The stable id of a directory entry (entryUUID, objectGUID, nsUniqueId), prefixed by the name of
/// its directory: `campus:5f0c…`. Everything kept about a person hangs on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
#[expect(clippy::module_name_repetitions, reason = "other rooms have ids, too")]
pub struct AccountId(Arc<str>);

impl AccountId {
    /// From the directory's configured name and the entry's id as the directory writes it.
    #[must_use]
    pub fn new(directory: &str, id: &str) -> Self {
        Self(format!("{directory}:{id}").into())
    }

    /// Reads back what [`AccountId::as_str`] gave.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The id as text, for the store and the journal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a configured client, the `vpn` of `[client.vpn]`: the group of gear that is one to
/// the user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientName(Arc<str>);

impl ClientName {
    /// Takes the name as configured.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kinds of second factor, strongest first (the order of [`Ord`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactorKind {
    /// An approval on a paired device.
    Push,
    /// A time-based code of an app or token (RFC 6238).
    Totp,
    /// A one-time code sent by SMS.
    Sms,
    /// A one-time code read out by telephone.
    Voice,
    /// A code from the printed list.
    Recovery,
}

impl FactorKind {
    /// The word used in configuration, store and journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Totp => "totp",
            Self::Sms => "sms",
            Self::Voice => "voice",
            Self::Recovery => "recovery",
        }
    }
}

/// The language a person is addressed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Japanese.
    Ja,
    /// English.
    En,
    /// Japanese, then English, in one text.
    #[default]
    Both,
}
