//! What is asked and what is answered: one JSON object a line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ClientShown;
use crate::access::{AccountedSession, EndOutcome, Explanation};
use crate::account::{Language, Reason};
use crate::clock::Timestamp;
use crate::factor::Algorithm;
use crate::secret::Secret;
use crate::store::{Enrolled, Health, KnownAccount, RememberedStation, Told};
use crate::telemetry::Seen;

/// Octets of a line that asks: the longest holds a name, a seed and a label.
pub const ASK_OCTETS: usize = 64 * 1024;
/// Octets of a line that answers: a story of [`STORY_ROWS`] rows at their longest.
pub const ANSWER_OCTETS: usize = 8 * 1024 * 1024;
/// Rows of a story at once.
pub const STORY_ROWS: u32 = 1000;
/// Accounts of a list at once.
pub const LIST_ROWS: u32 = 1000;

/// What an operator asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// Begins to enrol a TOTP; it is kept for this connection until a code is proven.
    EnrolTotp(EnrolTotp),
    /// Proves the TOTP begun on this connection.
    Prove {
        /// A code of it.
        #[serde(with = "secret_text")]
        code: Secret,
    },
    /// Makes new recovery codes in place of the old.
    RecoveryCodes {
        /// Whose.
        user: String,
    },
    /// Shows an account.
    Show {
        /// Whose.
        user: String,
    },
    /// Lists accounts with a factor or a lock-out.
    List {
        /// After this name.
        after: Option<String>,
    },
    /// Ends a lock-out.
    Unlock {
        /// Whose.
        user: String,
    },
    /// Ends what a report of the owner began.
    ClearReport {
        /// Whose.
        user: String,
    },
    /// Has the NASes end the open sessions.
    Disconnect {
        /// Whose.
        user: String,
    },
    /// Forgets stations at which a factor need not be proven, and ends the resumption of sessions.
    Forget {
        /// Whose.
        user: String,
        /// This one; all of them, if not said.
        station: Option<String>,
    },
    /// Removes every factor.
    Reset {
        /// Whose.
        user: String,
    },
    /// Removes one factor.
    Remove {
        /// Whose.
        user: String,
        /// Its number.
        factor: i64,
    },
    /// Tells a story.
    Why {
        /// A user or an attempt's number; nobody means the newest of everybody.
        about: Option<String>,
        /// The most rows.
        limit: u32,
    },
    /// Says what would happen.
    Explain {
        /// Who would log in.
        user: String,
        /// Through which client.
        client: String,
        /// From which station.
        station: String,
        /// When; now, if not said.
        at: Option<Timestamp>,
    },
    /// Lists the clients with what was seen of them.
    Clients,
    /// How the daemon is.
    Status,
    /// Lends a client at a loopback address.
    Lend {
        /// The client whose policy is wanted; the only one, if not said.
        client: Option<String>,
        /// For how many seconds, within bounds.
        #[serde(default)]
        seconds: u64,
    },
    /// Reads the configuration anew.
    Reload,
    /// Copies the store.
    Backup {
        /// To this new file.
        to: PathBuf,
    },
    /// Makes a new master key.
    RotateKey,
}

/// The TOTP to enrol.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolTotp {
    /// Whose.
    pub user: String,
    /// What it is called.
    pub label: String,
    /// The seed in base32; made here, if not given.
    #[serde(default, with = "secret_option")]
    pub seed: Option<Secret>,
    /// The hash.
    pub algorithm: Algorithm,
    /// Digits of a code.
    pub digits: u8,
    /// Active at once, or when proven.
    pub proof: Demanded,
    /// The language of the issuer's name in the app.
    pub language: Language,
}

/// Whether a code must prove a factor before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demanded {
    /// It must.
    Code,
    /// The operator waived it aloud.
    Nothing,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// A TOTP was begun: scan, then prove; or it is active already.
    Seed {
        /// The `otpauth://` URI.
        #[serde(with = "secret_text")]
        uri: Secret,
        /// Its number, if it is active already.
        factor: Option<i64>,
    },
    /// The TOTP is active.
    Enrolled {
        /// Its number.
        factor: i64,
    },
    /// The code did not prove the TOTP; another may be tried while tries are left.
    WrongCode {
        /// Tries left.
        left: u8,
    },
    /// New recovery codes, shown this once.
    RecoveryCodes {
        /// The codes.
        #[serde(with = "secret_list")]
        codes: Vec<Secret>,
    },
    /// An account.
    Account(Box<AccountShown>),
    /// Accounts, by name.
    Accounts {
        /// At most [`LIST_ROWS`].
        accounts: Vec<KnownAccount>,
    },
    /// The lock-out is over.
    Unlocked,
    /// The report is over.
    ReportCleared {
        /// Whether there was one.
        was: bool,
    },
    /// The NASes were asked.
    Disconnected {
        /// The sessions that were open, and what came of each.
        sessions: Vec<SessionAsked>,
    },
    /// Stations are forgotten.
    Forgotten {
        /// How many there were.
        stations: usize,
    },
    /// Every factor is removed.
    Reset {
        /// How many there were.
        factors: u64,
    },
    /// The factor is removed.
    Removed,
    /// A story, oldest first.
    Story {
        /// Its rows.
        rows: Vec<Told>,
        /// When the attempt began that was asked for, if it has no row of its own: the rows are those that it may be counted in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        began: Option<Timestamp>,
    },
    /// What would happen.
    Explained(Box<Explanation>),
    /// The clients.
    Clients {
        /// Each with what was seen.
        clients: Vec<ClientSeen>,
    },
    /// How the daemon is.
    Status(Box<Status>),
    /// A client is lent.
    Lent(Lent),
    /// The new configuration holds.
    Reloaded,
    /// The store is copied.
    BackedUp,
    /// The new master key holds.
    KeyRotated,
    /// It was not done.
    Refused {
        /// Why, as a sentence.
        why: String,
        /// The same for texts in the asker's language, where the help desk meets it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// Faults of the configuration, for a reload.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        faults: Vec<String>,
    },
}

/// Why something was not done or not told, where the help desk meets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Nobody can have the name.
    BadName,
    /// No directory answers for the realm or domain.
    UnknownRealm,
    /// The directory has nobody of the name.
    Nobody {
        /// The name.
        user: String,
    },
    /// The directory has several of the name.
    Several {
        /// The name.
        user: String,
    },
    /// No server of the directory could be asked.
    DirectoryUnavailable,
    /// The store did not do it.
    Store,
}

/// An account as shown to operators.
#[derive(Debug, Serialize, Deserialize)]
pub struct AccountShown {
    /// The name, as looked up.
    pub user: String,
    /// The stable id.
    pub account: String,
    /// The entry's DN.
    pub dn: String,
    /// Why the entry itself may not log in, if so.
    pub barred: Option<Reason>,
    /// Its telephone numbers: whole for root, their ends for others.
    pub phones: Vec<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// Its factors.
    pub factors: Vec<Enrolled>,
    /// Codes are locked until then.
    pub locked_until: Option<Timestamp>,
    /// When the owner reported a login that was not theirs.
    pub reported: Option<Timestamp>,
    /// Stations at which a factor need not be proven.
    #[serde(default)]
    pub remembered: Vec<RememberedStation>,
    /// Its sessions as NASes account for them, newest first, ended ones too.
    #[serde(default)]
    pub sessions: Vec<AccountedSession>,
}

/// A session that a NAS was asked to end.
#[derive(Debug, Serialize, Deserialize)]
pub struct SessionAsked {
    /// The session, as it was.
    #[serde(flatten)]
    pub session: AccountedSession,
    /// What came of it.
    pub outcome: EndOutcome,
}

/// A client with what was seen of each of its NASes.
#[derive(Debug, Serialize, Deserialize)]
pub struct ClientSeen {
    /// As configured.
    pub client: ClientShown,
    /// What was seen.
    pub seen: Vec<Seen>,
}

/// How the daemon is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// The version that runs.
    pub version: String,
    /// Whether a login could be decided now.
    pub ready: bool,
    /// Where Access-Requests are listened for.
    pub addresses: Vec<SocketAddr>,
    /// How many clients are configured.
    pub clients: usize,
    /// The servers of the directories.
    pub directories: Vec<ServerShown>,
    /// The store.
    pub store: Health,
    /// The certificates that the configuration names.
    #[serde(default)]
    pub certificates: Vec<CertificateShown>,
}

/// A certificate as shown to operators.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CertificateShown {
    /// What it is used for: `portal`.
    #[serde(rename = "use")]
    pub used: String,
    /// Whose it is.
    pub subject: String,
    /// When it ends.
    pub not_after: Timestamp,
    /// Whole days until then; below zero when it has ended.
    pub days_left: i64,
}

/// A directory server as shown to operators.
#[derive(Debug, Serialize, Deserialize)]
pub struct ServerShown {
    /// `host:port`.
    pub server: String,
    /// Whether it is being asked now.
    pub up: bool,
    /// The last failure.
    pub last_error: Option<String>,
}

/// A client lent at a loopback address.
#[derive(Debug, Serialize, Deserialize)]
pub struct Lent {
    /// The client whose policy it has.
    pub client: String,
    /// The address to send from.
    pub from: IpAddr,
    /// The address to send to.
    pub to: SocketAddr,
    /// The shared secret.
    #[serde(with = "secret_text")]
    pub secret: Secret,
    /// How long it holds, in seconds.
    pub seconds: u64,
}

/// Secrets cross the socket as text, and are secrets again at once.
mod secret_text {
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    use crate::secret::Secret;

    pub(super) fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(
            secret
                .expose_str()
                .ok_or_else(|| ser::Error::custom("a secret is not text"))?,
        )
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from)
            .map(|text| Secret::new(text.into_bytes()))
            .map_err(|_| de::Error::custom("a secret must be text"))
    }
}

mod secret_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Text;
    use crate::secret::Secret;

    #[expect(clippy::ref_option, reason = "the form that serde calls")]
    pub(super) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        secret.clone().map(Text).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<Text>::deserialize(from)?.map(|text| text.0))
    }
}

mod secret_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Text;
    use crate::secret::Secret;

    pub(super) fn serialize<S: Serializer>(secrets: &[Secret], to: S) -> Result<S::Ok, S::Error> {
        let texts: Vec<Text> = secrets.iter().cloned().map(Text).collect();
        texts.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Secret>, D::Error> {
        Ok(Vec::<Text>::deserialize(from)?
            .into_iter()
            .map(|text| text.0)
            .collect())
    }
}

#[derive(Serialize, Deserialize)]
struct Text(#[serde(with = "secret_text")] Secret);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_are_plain_objects_and_strict() {
        let ask: Ask = serde_json::from_str(r#"{"ask":"show","user":"taro"}"#).unwrap();
        assert!(matches!(ask, Ask::Show { user } if user == "taro"));
        assert!(serde_json::from_str::<Ask>(r#"{"ask":"show","user":"taro","x":1}"#).is_err());
        assert!(serde_json::from_str::<Ask>(r#"{"ask":"shutdown"}"#).is_err());
        assert!(serde_json::from_str::<Ask>("[]").is_err());
    }

    #[test]
    fn secrets_cross_and_stay_out_of_debug() {
        let answer = Answer::RecoveryCodes {
            codes: vec![Secret::from("ABCD-EFGH")],
        };
        let line = serde_json::to_string(&answer).unwrap();
        assert_eq!(line, r#"{"answer":"recovery-codes","codes":["ABCD-EFGH"]}"#);
        assert!(!format!("{answer:?}").contains("ABCD"));
        let back: Answer = serde_json::from_str(&line).unwrap();
        assert!(
            matches!(back, Answer::RecoveryCodes { codes } if codes == [Secret::from("ABCD-EFGH")])
        );
    }
}
