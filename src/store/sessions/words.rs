//! What a session is to the store, and what goes into its operations and comes out.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::account::{AccountId, AttemptId, ClientName, Station};
use crate::clock::Timestamp;
use crate::store::Recorded;

/// What an Accounting-Request says beside its record, so that it can be joined to a login.
#[derive(Clone, Debug, Default)]
pub struct Joining {
    /// The attempt whose Accept began the session, if the request tells it, or it is known otherwise.
    pub attempt: Option<AttemptId>,
    /// The attributes by which the NAS names itself, as `server` writes them; empty if there are none.
    pub nas: Vec<u8>,
    /// All by which the session is named to its NAS, as `server` writes it.
    pub named: Vec<u8>,
    /// The address of ours that the NAS sent to: what it knows us by.
    pub local: Option<IpAddr>,
}

/// What came of an Accounting-Request.
#[derive(Clone, Debug)]
#[must_use]
pub struct Accounted {
    /// Whether its record was new.
    pub recorded: Recorded,
    /// The session, if its login was reported as not theirs before it was heard of: it is to be ended.
    pub reported: Option<Box<AccountedSession>>,
}

/// A session that a NAS accounts for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountedSession {
    /// Its number in the store.
    pub id: i64,
    /// Whose login began it.
    pub account: AccountId,
    /// The attempt that began it, or by which it was last proven anew.
    pub attempt: AttemptId,
    /// When it began.
    pub begun: Timestamp,
    /// When it ended, and how.
    pub ended: Option<(Timestamp, SessionEnd)>,
    /// What the NAS says of it.
    #[serde(flatten)]
    pub facts: SessionFacts,
}

/// What a NAS says of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionFacts {
    /// The client that accounts for it.
    pub client: ClientName,
    /// The address that its accounting comes from.
    pub nas: IpAddr,
    /// Acct-Session-Id, as it can be shown.
    pub session: String,
    /// The name that the NAS gives.
    pub name: String,
    /// The station.
    pub station: Station,
    /// When it was last heard of.
    pub seen: Timestamp,
    /// Seconds, octets in, octets out, framed address: as the NAS counted last.
    pub details: serde_json::Value,
    /// See [`Joining::named`].
    #[serde(with = "hex")]
    pub named: Vec<u8>,
    /// See [`Joining::local`].
    pub local: Option<IpAddr>,
    /// What came of asking the NAS to end it, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<EndAsked>,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionEnd {
    /// The NAS said so, with Acct-Terminate-Cause if it did (RFC 2866 §5.10).
    Stopped(Option<u32>),
    /// The NAS was started anew.
    Restarted,
    /// The NAS ended it because we asked.
    Disconnected,
    /// Nothing was heard of it for long.
    Silent,
    /// The NAS gave its Acct-Session-Id to somebody else.
    Replaced,
}

/// That the NAS was asked to end a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndAsked {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: EndWhy,
    /// What came of it.
    pub outcome: EndOutcome,
}

/// Why a session is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndWhy {
    /// Its owner reported a login that was not theirs.
    Reported,
    /// Its station is no longer trusted.
    Revoked,
    /// An operator says so.
    Operator,
}

impl EndWhy {
    /// The word of journal and `--json`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Revoked => "revoked",
            Self::Operator => "operator",
        }
    }
}

/// What came of asking a NAS to end a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[must_use]
pub enum EndOutcome {
    /// It is ended (Disconnect-ACK).
    Ended,
    /// It is not (Disconnect-NAK), with Error-Cause if the NAS gave one (RFC 5176 §3.5).
    Refused(Option<u32>),
    /// No answer that could be believed came in time.
    Unanswered,
    /// It could not be sent.
    Unsent,
    /// The client is not configured to be asked.
    Off,
}

impl EndOutcome {
    /// The word of journal and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Refused(_) => "refused",
            Self::Unanswered => "unanswered",
            Self::Unsent => "unsent",
            Self::Off => "off",
        }
    }
}

mod hex {
    use data_encoding::HEXLOWER;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(octets: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&HEXLOWER.encode(octets))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        HEXLOWER.decode(text.as_bytes()).map_err(de::Error::custom)
    }
}
