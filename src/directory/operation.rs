//! One operation on one connection, and what can become of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ldap3::{Ldap, LdapResult, Scope, SearchOptions};

use super::Error;
use super::entry::Attributes;
use super::guard::{ConnectError, Line};
use super::text::Filter;

const NO_SUCH_OBJECT: u32 = 32;
const SIZE_LIMIT_EXCEEDED: u32 = 4;

/// A search.
pub(super) struct Query<'a> {
    pub(super) base: &'a str,
    pub(super) scope: Scope,
    pub(super) filter: &'a Filter,
    pub(super) attributes: &'a [String],
    /// Entries asked for at most.
    pub(super) limit: usize,
}

/// What a search found.
pub(super) struct Answer {
    pub(super) entries: Vec<Attributes>,
    /// Whether there were no more than the limit.
    pub(super) complete: bool,
}

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
    #[error("entry of an unexpected form")]
    Malformed,
}

impl Failure {
    /// An answer that decides nothing.
    pub(super) fn undecided(answer: LdapResult) -> Self {
        Self::Undecided {
            code: answer.rc,
            text: answer.text,
        }
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
            | Self::ServiceAccount { .. }
            | Self::Malformed => true,
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
            | Self::Unsettled(_)
            | Self::Malformed => Error::Unreachable,
        }
    }
}

/// A connection that can be asked; dropping the last one closes it.
pub(super) struct Connection {
    pub(super) ldap: Ldap,
    pub(super) line: Arc<Line>,
    /// Set when an answer did not come in time.
    pub(super) retired: AtomicBool,
}

impl Connection {
    pub(super) fn is_usable(&self) -> bool {
        self.line.is_open() && !self.retired.load(Ordering::Relaxed)
    }

    pub(super) fn lost(&self) -> Failure {
        Failure::Lost(self.line.why().unwrap_or_else(|| "connection lost".into()))
    }
}

/// Runs a search to its end.
pub(super) async fn run(
    connection: &Connection,
    query: &Query<'_>,
    seconds: u64,
) -> Result<Answer, Failure> {
    let mut ldap = connection.ldap.clone();
    let options = SearchOptions::new()
        .sizelimit(i32::try_from(query.limit).unwrap_or(i32::MAX))
        .timelimit(i32::try_from(seconds.max(1)).unwrap_or(i32::MAX));
    let mut stream = ldap
        .with_search_options(options)
        .streaming_search(
            query.base,
            query.scope,
            query.filter.as_str(),
            query.attributes,
        )
        .await
        .map_err(|_| connection.lost())?;
    let mut entries = Vec::new();
    while let Some(item) = stream.next().await.map_err(|_| connection.lost())? {
        // References to other servers are never followed.
        if item.is_ref() {
            continue;
        }
        if entries.len() >= query.limit {
            return Err(Failure::Malformed);
        }
        entries.push(Attributes::read(item.0).ok_or(Failure::Malformed)?);
    }
    let end = stream.finish().await;
    match end.rc {
        0 => Ok(Answer {
            entries,
            complete: true,
        }),
        SIZE_LIMIT_EXCEEDED => Ok(Answer {
            entries,
            complete: false,
        }),
        NO_SUCH_OBJECT if query.scope == Scope::Base => Ok(Answer {
            entries,
            complete: true,
        }),
        _ => Err(Failure::undecided(end)),
    }
}
