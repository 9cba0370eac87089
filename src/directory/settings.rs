//! What `[directory.NAME]` says, after checking.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
    /// The filter with `{user}` where the name goes, within a value.
    pub user_filter: String,
    /// PEM file of the CAs to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The attribute of the stable id; `None` is found out (entryUUID, objectGUID, nsUniqueId).
    pub id_attribute: Option<String>,
    /// Attributes that hold telephone numbers, in order.
    pub phone: Vec<String>,
    /// The attribute that tells the person's language (preferredLanguage), if any.
    pub language: Option<String>,
    /// The attribute that holds the NT hash of the password in 32 hex digits (sambaNTPassword), if any.
    pub nt_hash: Option<String>,
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

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
