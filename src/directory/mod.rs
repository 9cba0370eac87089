//! Speaks LDAP: finds the entry, binds as it, lists its groups.
//!
//! Not here: what follows from a refusal (`access`), whether a group means anything (`access`).
//! RFC 4511, 4513, 4515, 4514; draft-behera-ldap-password-policy; MS-ADTS for Active Directory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::AccountId;
use crate::clock::{Clock, Timestamp};
use crate::secret::Secret;

/// `[directory.NAME]` after checking.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name in `[directory.NAME]`.
    pub name: Arc<str>,
    /// Servers in order of preference; at least one.
    pub servers: Vec<Server>,
    /// The search base.
    pub base: String,
    /// The service account; `None` searches anonymously.
    pub bind: Option<(String, Secret)>,
    /// The filter with `{user}` where the escaped name goes.
    pub user_filter: String,
    /// PEM file of the CAs to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The attribute of the stable id; `None` is found out (entryUUID, objectGUID, nsUniqueId).
    pub id_attribute: Option<String>,
    /// Attributes that hold telephone numbers, in order.
    pub phone: Vec<String>,
    /// The attribute that tells the person's language (preferredLanguage), if any.
    pub language: Option<String>,
    /// How groups are found.
    pub groups: Groups,
    /// Deadline of one LDAP operation.
    pub operation_timeout: Duration,
    /// Deadline of connecting, TLS included.
    pub connect_timeout: Duration,
    /// Bind connections per server.
    pub bind_connections: usize,
    /// Search connections per server.
    pub search_connections: usize,
    /// How long an entry may be remembered: 0 to 60 s (D5).
    pub remember: Duration,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How the connection is protected.
    pub protection: Protection,
}

/// How a connection to a server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// `ldaps://`.
    Tls,
    /// `ldap://` with StartTLS before anything else.
    StartTls,
    /// `ldap://` in the clear: only to loopback, or by an explicit word.
    Clear,
}

/// How the groups of a person are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Groups {
    /// `memberOf` of the entry, and `memberOf` of those groups, up to `depth` levels.
    MemberOf {
        /// Levels of nesting followed; 1 is the entry's own.
        depth: u8,
    },
    /// Searching for groups that name the entry as `member` or `uniqueMember`, up to `depth` levels.
    MemberSearch {
        /// Where groups are.
        base: String,
        /// Levels of nesting followed; 1 is the entry's own.
        depth: u8,
    },
    /// The matching rule in chain of Active Directory (1.2.840.113556.1.4.1941).
    Chain {
        /// Where groups are.
        base: String,
    },
    /// Groups are not looked up.
    None,
}

/// What was found of a person.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The stable id.
    pub id: AccountId,
    /// The DN, to bind as.
    pub dn: Arc<str>,
    /// DNs of all groups, folded for comparison by [`same_dn_form`], nested ones included; sorted.
    pub groups: Vec<Arc<str>>,
    /// Telephone numbers as the directory has them.
    pub phones: Vec<String>,
    /// The language, as the directory has it.
    pub language: Option<String>,
    /// Whether the entry itself says that it may not log in.
    pub state: State,
    /// When the password was changed, where the directory says it.
    pub password_changed: Option<Timestamp>,
    /// When the entry was changed (modifyTimestamp, whenChanged).
    pub changed: Option<Timestamp>,
}

/// What the entry's own attributes say (userAccountControl, accountExpires, shadowExpire, nsAccountLock).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing against a login.
    Usable,
    /// A login must be refused, even if the bind would succeed.
    Barred(Refusal),
}

/// The answer to a look-up.
#[derive(Clone, Debug)]
pub enum Found {
    /// Exactly one entry.
    One(Arc<Entry>),
    /// No entry.
    Nobody,
    /// More than one entry.
    Several,
}

/// The answer to a bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Bind {
    /// The password is this person's.
    Proven,
    /// It is not, or may not be used.
    Refused(Refusal),
}

/// Why a directory refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Wrong password (or nobody).
    WrongPassword,
    /// Locked.
    Locked,
    /// Disabled.
    Disabled,
    /// The account's time is over.
    AccountExpired,
    /// The password has expired.
    PasswordExpired,
    /// The password must be changed first.
    MustChange,
    /// Not at this time or from here.
    NotNow,
}

/// The directory could not be asked: no verdict follows.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No server could be reached or answered in time.
    #[error("no directory server answers")]
    Unreachable,
    /// The deadline of the login passed.
    #[error("deadline passed while asking the directory")]
    Deadline,
    /// A server answered with something that decides nothing (busy, unwilling, a protocol error).
    #[error("directory server gave no decision: result {code}")]
    Undecided {
        /// The LDAP result code.
        code: u32,
    },
    /// The service account was refused: the configuration is wrong.
    #[error("directory refused the service account: result {code}")]
    ServiceAccount {
        /// The LDAP result code.
        code: u32,
    },
}

/// What a probe or `status` says of one server.
#[derive(Clone, Debug)]
pub struct ServerHealth {
    /// `host:port`.
    pub server: String,
    /// Whether it is being asked now; `false` while its circuit breaker is open.
    pub up: bool,
    /// The last failure, in words.
    pub last_error: Option<String>,
}

/// A directory: its servers, connections and remembered entries. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    settings: Arc<Settings>,
}

impl Directory {
    /// Prepares; connections are made when needed, by tasks of the tracker, ended by the token.
    ///
    /// # Errors
    ///
    /// When the CA file cannot be read.
    pub fn new(
        settings: Settings,
        clock: Clock,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, std::io::Error> {
        todo!()
    }

    /// Finds the entry of a user, remembered or fresh.
    ///
    /// # Errors
    ///
    /// When it could not be asked.
    pub async fn find(&self, user: &str, deadline: Instant) -> Result<Found, Error> {
        todo!()
    }

    /// Binds as the entry with a password, always fresh, once. An empty password, or one of zero octets only,
    /// is refused without asking.
    ///
    /// # Errors
    ///
    /// When it could not be asked, or the bind's end is unknown.
    pub async fn bind(
        &self,
        entry: &Entry,
        password: &Secret,
        deadline: Instant,
    ) -> Result<Bind, Error> {
        todo!()
    }

    /// Connects to every server and binds the service account, for `check --probe` and `status`.
    pub async fn probe(&self) -> Vec<ServerHealth> {
        todo!()
    }

    /// What is known of each server without asking.
    pub fn health(&self) -> Vec<ServerHealth> {
        todo!()
    }

    /// Forgets remembered entries.
    pub fn forget(&self) {
        todo!()
    }
}

/// A DN in the form in which two spellings of one DN are equal: attribute types and values case-folded, no space
/// around separators, escapes in one form.
#[must_use]
pub fn same_dn_form(dn: &str) -> Arc<str> {
    todo!()
}
