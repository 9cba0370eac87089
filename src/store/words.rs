//! What goes into the store's operations and what comes out of them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::{
    AccountId, AccountKey, AttemptId, ClientName, Decision, FactorKind, Language, Reason, Station,
};
use crate::clock::Timestamp;
use crate::factor::TotpStep;
use crate::store::{AccountedSession, PromptStanding};

/// What an account has enrolled, and whether codes are locked: read before the bind.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Proven factors.
    pub factors: Vec<Enrolled>,
    /// Codes are not judged until then.
    pub locked_until: Option<Timestamp>,
    /// A sent code is open.
    pub sent_code_open: bool,
    /// Digits of the sent code that is open.
    pub sent_code_digits: u8,
    /// Wrong passwords of late.
    pub passwords: PasswordStanding,
    /// Prompts that are not over.
    pub prompts: Vec<PromptStanding>,
    /// How many more may be opened now.
    pub prompts_left: u32,
    /// When its owner reported a login that was not theirs.
    pub exposed: Option<Timestamp>,
    /// Stations at which a factor was proven and need not be again, the one proven first in front.
    pub remembered: Vec<RememberedStation>,
    /// How often what earlier logins earned was ended: see [`Lasting::ended`].
    pub ended: u32,
}

/// A station at which a second factor was proven, so that the password is enough there for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedStation {
    /// The client that it came through.
    pub client: ClientName,
    /// The station.
    pub station: Station,
    /// When the factor was proven.
    pub at: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
    /// When the directory said that the password had been changed: it holds for no other password.
    pub password_changed: Timestamp,
}

/// An Accept on its way to the disk. Any decision can become one, as that of a login by a bind that leaves nothing.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The record.
    pub decision: Arc<Decision>,
    /// There was a bind, so that the directory has forgiven wrong passwords; without one it has not, and neither is it done here.
    pub bound: bool,
    /// Its station is remembered.
    pub remember: Option<Remember>,
}

impl From<Arc<Decision>> for Admission {
    fn from(decision: Arc<Decision>) -> Self {
        Self {
            decision,
            bound: true,
            remember: None,
        }
    }
}

impl From<Decision> for Admission {
    fn from(decision: Decision) -> Self {
        Self::from(Arc::new(decision))
    }
}

/// How the station of an Accept is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remember {
    /// Until when.
    pub until: Timestamp,
    /// When the directory said that the password had been changed.
    pub password_changed: Timestamp,
    /// As [`Lasting::ended`] was when the login began: if it is another by now, nothing is remembered.
    pub ended: u32,
}

/// What a login may earn beyond itself, as it was when it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lasting {
    /// When the directory said that the password had been changed; without it a change would not be noticed, and nothing is earned.
    pub password_changed: Option<Timestamp>,
    /// How often what earlier logins earned was ended, by a report, a removed factor or an operator.
    pub ended: u32,
    /// For how many seconds the station is remembered once a factor is proven; 0 is not at all.
    pub remember: u64,
    /// A factor is asked for at every login, whatever was proven before.
    pub always: bool,
    /// There was no bind.
    pub unbound: bool,
}

impl Lasting {
    /// For how long the station is remembered once a factor is proven.
    #[must_use]
    pub const fn remembers_for(&self) -> Duration {
        Duration::from_secs(self.remember)
    }
}

impl Standing {
    /// Whether a factor of the kind is enrolled and proven.
    #[must_use]
    pub fn has(&self, kind: FactorKind) -> bool {
        self.factors.iter().any(|factor| factor.kind == kind)
    }
}

/// Wrong passwords for an account within [`super::Limits::password_window`], seen from one station.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PasswordStanding {
    /// This station logged in as this account before ([`super::Limits::station_known`]). Never true for an unknown station.
    pub known_station: bool,
    /// Wrong passwords from this station.
    pub wrong_here: u32,
    /// Wrong passwords from all stations that logged in as this account before, together.
    pub wrong_own: u32,
    /// Wrong passwords from all stations that never logged in as this account, together.
    pub wrong_strangers: u32,
    /// When the last wrong password came: from any known station if this is one, else from any stranger.
    pub last_wrong: Option<Timestamp>,
}

/// One enrolled factor, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Its number, unique in the store.
    pub id: i64,
    /// What it is.
    pub kind: FactorKind,
    /// The name it was given.
    pub label: String,
    /// Digits of its codes (TOTP); recovery codes left (recovery).
    pub digits: u8,
    /// Whether a code of it was proven.
    pub proven: bool,
    /// When it was enrolled.
    pub enrolled: Timestamp,
    /// When it was last used.
    pub used: Option<Timestamp>,
    /// Since when a device's doorbell does not ring, where the whole account is told.
    #[serde(default)]
    pub silent: Option<Timestamp>,
}

/// What came of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum CodeJudged {
    /// Right, and now used; the decision was recorded with it.
    Accepted {
        /// The kind of the factor.
        kind: FactorKind,
        /// Its number; none for a sent code.
        factor: Option<i64>,
    },
    /// Right, but used before.
    Used(FactorKind),
    /// Wrong.
    Wrong {
        /// Tries left before codes are locked.
        left: u32,
    },
    /// Not judged: too many wrong codes.
    Locked {
        /// Until when.
        until: Timestamp,
    },
}

/// What came of asking to send a code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum CodeIssued {
    /// Counted and recorded: send it.
    Send,
    /// A limit is reached.
    Limited {
        /// When a message may be asked for again.
        until: Timestamp,
    },
    /// The number appeared in the directory too recently.
    NumberTooNew {
        /// When it may be used.
        until: Timestamp,
    },
}

/// A code to be sent, as the store needs it.
#[derive(Clone, Debug)]
pub struct SentCode {
    /// Whose.
    pub account: AccountId,
    /// SMS or voice.
    pub kind: FactorKind,
    /// `OneTimeCode::digest` of the code.
    pub digest: [u8; 32],
    /// How many digits it has.
    pub digits: u8,
    /// The number in E.164; kept as keyed digest.
    pub number: String,
    /// When the entry was last changed, for the age of a number never seen before.
    pub entry_changed: Option<Timestamp>,
}

/// An open challenge: what must be remembered between Access-Challenge and the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Challenge {
    /// The account whose password was proven.
    pub account: AccountId,
    /// The account key of the typed name, which the answer must have too.
    pub name: AccountKey,
    /// The client, which the answer must come from too.
    pub client: ClientName,
    /// What was asked for.
    pub asked: FactorKind,
    /// The first request's facts, for rules, audit and reply attributes.
    pub facts: ChallengeFacts,
    /// Rounds left.
    pub rounds_left: u8,
    /// When it ends.
    pub expires: Timestamp,
}

/// The facts of the first request that the answer's verdict depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChallengeFacts {
    /// The attempt's number.
    pub attempt: AttemptId,
    /// The station of the first request.
    pub station: Station,
    /// The attribute that told it.
    pub station_from: Option<Arc<str>>,
    /// Its zone.
    pub zone: Option<Arc<str>>,
    /// The rule that asked.
    pub rule: Option<Arc<str>>,
    /// The names of the reply sets that an Accept will carry.
    pub reply: Vec<Arc<str>>,
    /// The language of the texts.
    pub language: Language,
    /// The masked end of the number that a code went to.
    pub number_end: Option<Arc<str>>,
    /// What the login may earn beyond itself.
    #[serde(default)]
    pub lasting: Lasting,
}

/// A failure before the password was proven: counted by account, client and minute, not one row each.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The account, if the entry was found.
    pub account: Option<AccountId>,
    /// The decision; names of unknown people are kept as a few samples only.
    pub decision: Arc<Decision>,
}

/// An Accounting-Request as kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountingRecord {
    /// When it arrived.
    pub at: Timestamp,
    /// The client.
    pub client: ClientName,
    /// Where it came from.
    pub nas: IpAddr,
    /// Acct-Session-Id.
    pub session: String,
    /// Acct-Status-Type.
    pub status: u32,
    /// The name that the NAS gives.
    pub name: String,
    /// The station.
    pub station: Station,
    /// Seconds of session, octets in, octets out, terminate cause, framed address: what is present.
    pub details: serde_json::Value,
}

/// Whether an accounting record was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It was.
    New,
    /// The same session and status (and, for interim, the same counters) is already kept.
    Known,
}

/// One row of the story that `sekisho why` tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Told {
    /// A decision.
    Decision(Box<Decision>),
    /// Failures before the password was proven, of one account (or of unknown people), client, reason and minute.
    Failures {
        /// The minute's beginning.
        minute: Timestamp,
        /// The last one.
        last: Timestamp,
        /// How many.
        count: u64,
        /// The account, unless unknown.
        account: Option<AccountId>,
        /// Some of the names that were typed.
        names: Vec<String>,
        /// Some of the stations.
        stations: Vec<String>,
        /// The client.
        client: ClientName,
        /// Why.
        reason: Reason,
    },
    /// A session that a NAS accounts for.
    Session(Box<AccountedSession>),
    /// What an operator did.
    Operator {
        /// When.
        at: Timestamp,
        /// The account, if it was about one.
        account: Option<AccountId>,
        /// The uid of the operator.
        uid: u32,
        /// What, as a sentence without secrets.
        what: String,
    },
}

/// What `why` looks for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// The newest of everybody.
    Newest,
    /// One account.
    Account(AccountId),
    /// An account key, for people that the directory does not know (any more).
    Name(AccountKey),
    /// One attempt.
    Attempt(AttemptId),
    /// What was refused before a password was proven, between two moments: rows of the minutes that touch them.
    Failures {
        /// The first.
        from: Timestamp,
        /// The last.
        until: Timestamp,
    },
}

/// What an account is, for lists.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KnownAccount {
    /// The stable id.
    pub account: AccountId,
    /// The name it last logged in or was enrolled with.
    pub name: String,
    /// Its factors.
    pub factors: Vec<Enrolled>,
    /// Codes are locked until then.
    pub locked_until: Option<Timestamp>,
    /// When its owner reported a login that was not theirs.
    #[serde(default)]
    pub reported: Option<Timestamp>,
    /// Stations at which a factor need not be proven.
    #[serde(default)]
    pub remembered: Vec<RememberedStation>,
}

/// What the store says of itself, for `status` and metrics.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Health {
    /// The last write succeeded.
    pub writable: bool,
    /// The last error, in words.
    pub last_error: Option<String>,
    /// Accounts with a factor.
    pub accounts: u64,
    /// Rows of the audit trail.
    pub audit_rows: u64,
    /// Octets of the database and its log.
    pub octets: u64,
    /// The schema's version.
    pub schema: u32,
    /// Failures that were not counted because the writer's queue was full.
    pub failures_lost: u64,
}

/// Whether a factor was proven at enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By the code of this step.
    Step(TotpStep),
    /// Not; it is active because the operator said so aloud.
    Waived,
}
