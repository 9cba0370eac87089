//! Why one server gave no decision.

use super::Error;
use super::connection::{ConnectError, Ended};
use super::protocol::Outcome;

/// Why one server gave no decision.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{0}")]
    Lost(String),
    #[error("no answer in time")]
    TimedOut,
    #[error("no free connection in time")]
    Crowded,
    #[error("the answer to a bind did not come: {0}")]
    Unsettled(String),
    #[error("result {code}: {text}")]
    Undecided { code: u32, text: String },
    #[error("service account refused: result {code}")]
    ServiceAccount { code: u32 },
}

impl Failure {
    /// An answer that decides nothing.
    pub(super) fn undecided(outcome: &Outcome<'_>) -> Self {
        Self::Undecided {
            code: outcome.code,
            text: outcome.text.to_owned(),
        }
    }

    pub(super) fn lost(ended: &Ended) -> Self {
        Self::Lost(ended.to_string())
    }

    pub(super) fn unsettled(ended: &Ended) -> Self {
        Self::Unsettled(ended.to_string())
    }

    /// Whether another server may be asked.
    pub(super) const fn may_ask_next(&self) -> bool {
        match self {
            // The bind may have been counted there: never a second one (D5).
            Self::Unsettled(_) => false,
            Self::Connect(_)
            | Self::Lost(_)
            | Self::TimedOut
            | Self::Crowded
            | Self::Undecided { .. }
            | Self::ServiceAccount { .. } => true,
        }
    }

    pub(super) const fn error(&self) -> Error {
        match self {
            Self::Undecided { code, .. } => Error::Undecided { code: *code },
            Self::ServiceAccount { code } => Error::ServiceAccount { code: *code },
            Self::Connect(_)
            | Self::Lost(_)
            | Self::TimedOut
            | Self::Crowded
            | Self::Unsettled(_) => Error::Unreachable,
        }
    }
}
