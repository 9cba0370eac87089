//! What the configuration says about the store, and what can go wrong with it.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{ErrorCode, ffi};

/// `[store]` after checking.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the database.
    pub folder: PathBuf,
    /// The file of the master key.
    pub key_file: PathBuf,
    /// How long the audit trail is kept.
    pub audit_keep: Duration,
    /// The most rows of each part of the audit trail (decisions, failures, operators' acts, accounting); the oldest go first.
    pub audit_rows: u64,
    /// Limits on codes and messages.
    pub limits: Limits,
}

/// The limits of D10 that the store counts.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Wrong codes in a row before codes are locked.
    pub wrong_codes: u32,
    /// How long codes are locked then; doubled at each further lock, up to a day, until a right code.
    pub code_lock: Duration,
    /// Messages to one number within an hour.
    pub messages_per_number: u32,
    /// Messages for one account within an hour.
    pub messages_per_account: u32,
    /// Messages for one account within a day.
    pub messages_per_account_day: u32,
    /// Messages in total within a day.
    pub messages_total_day: u32,
    /// How long a sent code holds.
    pub code_life: Duration,
    /// Tries on one sent code.
    pub code_tries: u32,
    /// How long a number must have been in the directory before a code is sent to it.
    pub number_age: Duration,
    /// How long a wrong password counts.
    pub password_window: Duration,
    /// How long a station that logged in is known as the account's own.
    pub station_known: Duration,
    /// Prompts since the last login within `prompt_window`.
    pub prompts: u32,
    /// How long prompts count.
    pub prompt_window: Duration,
}

/// The store did not do it: nothing was changed, or it is not known; no verdict follows.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk is full, read-only or gone.
    #[error("store cannot be written: {0}")]
    Unwritable(#[source] rusqlite::Error),
    /// The file is no database, or a damaged one.
    #[error("store is damaged: {0}")]
    Corrupt(#[source] rusqlite::Error),
    /// A value does not open under the master key.
    #[error("store was sealed under another master key")]
    WrongKey,
    /// A newer Sekisho wrote it.
    #[error("store has schema {found}, this version knows {known}: a newer sekisho wrote it")]
    Newer {
        /// The schema's version in the file.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// The writer's queue is full, or the store is closing.
    #[error("store is overloaded or closing")]
    Busy,
    /// A file could not be read or made.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// A database that says what it cannot say.
    pub(super) fn damaged(what: &str) -> Self {
        Self::Corrupt(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CORRUPT),
            Some(what.to_owned()),
        ))
    }

    /// Whether it is the matter of all that is written at the time, not of one operation.
    pub(super) fn is_grave(&self) -> bool {
        match self {
            Self::Unwritable(error) => {
                error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation)
            }
            Self::Busy => true,
            // A damaged page fails whoever needs it; others may be elsewhere.
            Self::Corrupt(_) | Self::WrongKey | Self::Newer { .. } | Self::File { .. } => false,
        }
    }

    /// The same error once more, for the next who must be told.
    pub(super) fn same(&self) -> Self {
        let again = |error: &rusqlite::Error| {
            let code = error
                .sqlite_error()
                .map_or(ffi::SQLITE_ERROR, |error| error.extended_code);
            let text = match error {
                rusqlite::Error::SqliteFailure(_, text) => text.clone(),
                other => Some(other.to_string()),
            };
            rusqlite::Error::SqliteFailure(ffi::Error::new(code), text)
        };
        match self {
            Self::Unwritable(error) => Self::Unwritable(again(error)),
            Self::Corrupt(error) => Self::Corrupt(again(error)),
            Self::WrongKey => Self::WrongKey,
            Self::Newer { found, known } => Self::Newer {
                found: *found,
                known: *known,
            },
            Self::Busy => Self::Busy,
            Self::File { path, source } => Self::File {
                path: path.clone(),
                source: source.kind().into(),
            },
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::OutOfMemory
                | ErrorCode::TooBig
                | ErrorCode::ConstraintViolation,
            ) => Self::Unwritable(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Corrupt(error),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(rusqlite::Error::FromSqlConversionFailure(
            0,
            rusqlite::types::Type::Text,
            Box::new(error),
        ))
    }
}
