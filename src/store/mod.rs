//! Keeps enrolments, counters, challenges and the audit trail across restarts.
//!
//! Each operation is one transaction with a result that says what happened; whatever an answer
//! depends on is on the disk before the operation returns. One set of operations; the engine is
//! SQLite. Not here: what follows from a result (`access`).

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::{
    AccountId, AccountKey, ClientName, Decision, FactorKind, Language, Reason, Station,
};
use crate::clock::{Clock, Timestamp};
use crate::factor::{Totp, TotpStep};
use crate::secret::Key;

/// `[store]` after checking.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the database.
    pub folder: PathBuf,
    /// The file of the master key.
    pub key_file: PathBuf,
    /// How long the audit trail is kept.
    pub audit_keep: Duration,
    /// The most rows of the audit trail; the oldest go first.
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
}

/// Wrong passwords for an account within [`Limits::password_window`], seen from one station.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PasswordStanding {
    /// This station logged in as this account before ([`Limits::station_known`]). Never true for an unknown station.
    pub known_station: bool,
    /// Wrong passwords from this station.
    pub wrong_here: u32,
    /// Wrong passwords from all stations that never logged in as this account, together.
    pub wrong_strangers: u32,
    /// When the last wrong password came, from this station if it is known, else from any stranger.
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
    pub attempt: crate::account::AttemptId,
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
    Attempt(String),
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
}

/// The store. Cheap to clone; the last one dropped closes it.
#[derive(Clone)]
pub struct Store {
    clock: Clock,
}

impl Store {
    /// Opens the database, making or migrating it. Blocking: for the start.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, is damaged, newer, or sealed under another key.
    pub fn open(settings: &Settings, master: &Key, clock: Clock) -> Result<Self, Error> {
        todo!()
    }

    /// New limits after a reload.
    pub fn set_limits(&self, limits: Limits) {
        todo!()
    }

    /// What the account has, whether its codes are locked, and its wrong passwords as seen from a station. A read: does not
    /// wait for the writer.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn standing(&self, account: &AccountId, station: &Station) -> Result<Standing, Error> {
        todo!()
    }

    /// Counts a wrong password for account and station, and the failure as [`Store::count_failure`] does; returns when it is on the
    /// disk. An Accept recorded later for the same account and station clears the station's count and makes the station known.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn wrong_password(
        &self,
        account: &AccountId,
        station: &Station,
        failure: Failure,
    ) -> Result<(), Error> {
        todo!()
    }

    /// Judges a typed code (in the form of `factor::typed_code`) against every proven factor and the open sent code, counting
    /// first: TOTP steps only go forward, recovery and sent codes are taken, wrong codes counted, lock-outs set. If
    /// it is accepted, the decision (an Accept; its `factor` is filled in) is recorded in the same commit; otherwise the
    /// caller records its own. `only` restricts the kinds of factors that may be used.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then the code counts as neither right nor used.
    pub async fn use_code(
        &self,
        account: &AccountId,
        code: &str,
        only: &[FactorKind],
        decision: Decision,
    ) -> Result<CodeJudged, Error> {
        todo!()
    }

    /// Counts a message against all limits, checks the number's age, and opens the code, replacing one that is open.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then nothing may be sent.
    pub async fn issue_code(&self, code: SentCode) -> Result<CodeIssued, Error> {
        todo!()
    }

    /// Takes back a code that no gateway took; the message stays counted.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn withdraw_code(&self, account: &AccountId) -> Result<(), Error> {
        todo!()
    }

    /// Opens a challenge under a State, with the decision that made it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn open_challenge(
        &self,
        state: &[u8],
        challenge: Challenge,
        decision: Arc<Decision>,
    ) -> Result<(), Error> {
        todo!()
    }

    /// Takes a challenge: the first that asks gets it, nobody after. Expired ones, and those of another client or name, are not given
    /// (and stay, if they are somebody else's).
    ///
    /// # Errors
    ///
    /// When it cannot be written: then it was not taken.
    pub async fn take_challenge(
        &self,
        state: &[u8],
        client: &ClientName,
        name: &AccountKey,
    ) -> Result<Option<Challenge>, Error> {
        todo!()
    }

    /// Records a decision made after the password was proven.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then nothing may be accepted.
    pub async fn record(&self, decision: Arc<Decision>) -> Result<(), Error> {
        todo!()
    }

    /// Counts a failure before the password was proven. Does not wait for the disk; when the queue is full it is lost and counted.
    pub fn count_failure(&self, failure: Failure) {
        todo!()
    }

    /// Keeps an accounting record; returns when it is on the disk.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then it may not be acknowledged.
    pub async fn record_accounting(&self, record: AccountingRecord) -> Result<Recorded, Error> {
        todo!()
    }

    /// Enrols a TOTP; `proven` is the step of the code that proved it, which counts as used. Returns its number.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn enrol_totp(
        &self,
        account: &AccountId,
        name: &str,
        label: &str,
        totp: Totp,
        proven: Proof,
    ) -> Result<i64, Error> {
        todo!()
    }

    /// Replaces the recovery codes by new ones, given as digests.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn replace_recovery_codes(
        &self,
        account: &AccountId,
        name: &str,
        digests: Vec<[u8; 32]>,
    ) -> Result<(), Error> {
        todo!()
    }

    /// Removes one factor. Says whether it was there.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn remove_factor(&self, account: &AccountId, factor: i64) -> Result<bool, Error> {
        todo!()
    }

    /// Removes every factor, open challenge and code of the account. Says how many factors there were.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn reset(&self, account: &AccountId) -> Result<u64, Error> {
        todo!()
    }

    /// Ends the lock-out of codes and forgets wrong codes and message counts.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn unlock(&self, account: &AccountId) -> Result<(), Error> {
        todo!()
    }

    /// Everybody with a factor or a lock-out, by name; at most `limit` after `after`.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn accounts(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<KnownAccount>, Error> {
        todo!()
    }

    /// Factors of an account, unproven ones too, and its lock-out.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn known(&self, account: &AccountId) -> Result<Option<KnownAccount>, Error> {
        todo!()
    }

    /// Records what an operator did.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then it may not be done.
    pub async fn record_operator(
        &self,
        uid: u32,
        account: Option<&AccountId>,
        what: &str,
    ) -> Result<(), Error> {
        todo!()
    }

    /// The newest rows of a story, newest first.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn story(&self, wanted: Wanted, limit: u32) -> Result<Vec<Told>, Error> {
        todo!()
    }

    /// Copies the database, whole and consistent, to a new file of mode 0600, while the store is in use.
    ///
    /// # Errors
    ///
    /// When the copy cannot be made; an existing file is refused.
    pub async fn backup(&self, to: &Path) -> Result<(), Error> {
        todo!()
    }

    /// Makes a new master key, seals everything anew under it in one transaction and replaces the key file; a crash at any
    /// moment leaves a pair that [`master_key`] and [`Store::open`] can use.
    ///
    /// # Errors
    ///
    /// When it cannot be done: then the old key still holds.
    pub async fn rotate_key(&self) -> Result<(), Error> {
        todo!()
    }

    /// The key under which digests of codes are made (`OneTimeCode::digest`, `RecoveryCode::digest`).
    #[must_use]
    pub fn code_key(&self) -> Key {
        todo!()
    }

    /// What it says of itself.
    pub fn health(&self) -> Health {
        todo!()
    }

    /// Throws away what has expired: challenges, codes, counters, old audit rows. Called once a minute.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn sweep(&self) -> Result<(), Error> {
        todo!()
    }

    /// Waits until everything queued is on the disk. For the end, and for tests.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn flush(&self) -> Result<(), Error> {
        todo!()
    }
}

/// Whether a factor was proven at enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By the code of this step.
    Step(TotpStep),
    /// Not; it is active because the operator said so aloud.
    Waived,
}

/// Puts a backup in the place of the database of a store that is not running. Blocking.
///
/// # Errors
///
/// When the backup is no store, is newer, or does not open under the key; then nothing was changed.
pub fn restore(settings: &Settings, master: &Key, from: &Path) -> Result<(), Error> {
    todo!()
}

/// Reads the master key, or makes it if there is neither file nor database. Says whether it was made. Blocking.
///
/// # Errors
///
/// When the file cannot be read, is no key, can be read by others, or is missing though a database exists.
pub fn master_key(settings: &Settings) -> Result<(Key, bool), Error> {
    todo!()
}
