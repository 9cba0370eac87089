//! Speaks LDAP: finds the entry, binds as it, lists its groups.
//!
//! Not here: what follows from a refusal (`access`), whether a group means anything (`access`).
//! RFC 4511, 4513, 4515, 4514; draft-behera-ldap-password-policy; MS-ADTS for Active Directory.
//!
//! `protocol` is the octets, `connection` carries them, `server` is one server with its
//! connections. `ldap3` reads the configured filter and no more: its driver bounds neither length
//! nor nesting, panics on what a server sends, queues without a bound and copies passwords that it
//! does not wipe. Behind a guard against all that, a login cost three times the CPU.

mod breaker;
mod connection;
mod dn;
mod entry;
mod failure;
mod groups;
mod memory;
mod nt;
mod overheard;
mod protocol;
mod refusal;
mod server;
mod settings;
mod survey;

use std::io;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::AccountId;
use crate::clock::{Clock, Timestamp};
use crate::secret::Secret;

pub use dn::same_dn_form;
#[doc(hidden)]
pub use overheard::{Heard, overhear};
pub use settings::{Groups, Protection, Server, Settings};
pub use survey::{Content, People, Sample, Surveyed};

use failure::Failure;
use groups::Parents;
use memory::Memory;
use protocol::{Attributes, Filter, Query, Scope, Selection, UserFilter};
use server::{Host, Surroundings};

/// Entries remembered: as many people as log in within the minute that entries live.
const MAX_REMEMBERED: usize = 32_768;
/// Groups whose own groups are remembered.
const MAX_REMEMBERED_GROUPS: usize = 10_000;
/// Asking for two tells one person from several.
const ONE_OR_SEVERAL: usize = 2;
/// LDAP result: the entry has no attribute that could be its stable id.
const NO_SUCH_ATTRIBUTE: u32 = 16;
/// LDAP result: an empty DN, which would be an anonymous bind.
const INVALID_DN: u32 = 34;

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

/// A response to a challenge by the NT hash of a password (RFC 2759 §8.1), for entries that have one. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct NtResponse {
    /// The name as typed: it is part of what the response was computed from.
    pub name: Box<[u8]>,
    /// The challenge that was put.
    pub challenge: [u8; 16],
    /// The peer's own.
    pub peer_challenge: [u8; 16],
    /// The response.
    pub response: [u8; 24],
}

/// What came of a response by the NT hash.
#[derive(Debug)]
#[must_use]
pub enum Proof {
    /// It was made with this person's password.
    Proven(Proven),
    /// It was not, or the account may not be used.
    Refused(Refusal),
    /// It cannot be judged: no attribute is configured, or the entry has no hash in it.
    NoHash,
}

/// A password that was proven by its NT hash.
#[derive(Debug)]
pub struct Proven {
    /// The hash: the same for the same password, as responses are not.
    pub hash: Secret,
    /// What proves to the peer that the password is known here (RFC 2759 §8.7).
    pub answer: [u8; 20],
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

/// Whether a configured `user-filter` is a filter with a place for the name.
#[must_use]
pub fn is_user_filter(template: &str) -> bool {
    UserFilter::read(template).is_some()
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
    /// A server answered with something that decides nothing (busy, unwilling, a protocol error), or an entry
    /// cannot be used: 16 without a stable id, 34 with an empty DN, 11 in more groups than can be followed.
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
    inner: Arc<Inner>,
}

struct Inner {
    settings: Arc<Settings>,
    clock: Clock,
    hosts: Vec<Arc<Host>>,
    user_filter: UserFilter,
    /// The attributes that a person is asked for.
    attributes: Selection,
    /// The same and those of the NT hash, where one is configured.
    proof: Option<Selection>,
    people: Memory<Arc<Entry>>,
    parents: Parents,
}

impl Directory {
    /// Prepares; connections are made when needed, by tasks of the tracker, ended by the token.
    ///
    /// # Errors
    ///
    /// When the CA file cannot be read, or the user filter is none by [`is_user_filter`].
    pub fn new(
        settings: Settings,
        clock: Clock,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, io::Error> {
        let user_filter = UserFilter::read(&settings.user_filter).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "user-filter is no filter")
        })?;
        let settings = Arc::new(settings);
        let around = Arc::new(Surroundings {
            tls: connection::tls(&settings)?,
            settings: settings.clone(),
            tracker,
            stop,
        });
        let hosts = settings
            .servers
            .iter()
            .map(|server| Arc::new(Host::new(server.clone(), around.clone())))
            .collect();
        let inner = Inner {
            hosts,
            user_filter,
            attributes: Selection::of(entry::wanted(&settings)),
            proof: settings.nt_hash.as_deref().map(|hash| {
                let more = [hash].into_iter().chain(nt::STATES);
                Selection::of(entry::wanted(&settings).into_iter().chain(more))
            }),
            people: Memory::new(settings.remember, MAX_REMEMBERED),
            parents: Parents::new(settings.remember, MAX_REMEMBERED_GROUPS),
            clock,
            settings,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Finds the entry of a user, remembered or fresh.
    ///
    /// # Errors
    ///
    /// When it could not be asked.
    pub async fn find(&self, user: &str, deadline: Instant) -> Result<Found, Error> {
        match self.inner.people.recall(user, Instant::now()) {
            Some(entry) => Ok(Found::One(entry)),
            None => self.find_anew(user, deadline).await,
        }
    }

    /// Finds the entry of a user, remembered if it was asked for since a moment.
    ///
    /// # Errors
    ///
    /// When it could not be asked.
    pub async fn find_since(
        &self,
        user: &str,
        since: Instant,
        deadline: Instant,
    ) -> Result<Found, Error> {
        match self.inner.people.recall_since(user, since, Instant::now()) {
            Some(entry) => Ok(Found::One(entry)),
            None => self.find_anew(user, deadline).await,
        }
    }

    /// Finds the entry of a user as it is now, and remembers it.
    ///
    /// # Errors
    ///
    /// When it could not be asked.
    pub async fn find_anew(&self, user: &str, deadline: Instant) -> Result<Found, Error> {
        let inner = &self.inner;
        let Some(filter) = inner.user_filter.of(user) else {
            return Ok(Found::Nobody);
        };
        let asked = Instant::now();
        let mut worst = Error::Unreachable;
        for host in inner.hosts.iter().filter(|host| host.is_up()) {
            match inner.look_up(host, filter, deadline).await {
                Ok(found) => {
                    if let Found::One(entry) = &found {
                        inner.people.remember(user, entry.clone(), asked);
                    }
                    return Ok(found);
                }
                Err(failure) => worst = worst.or(&failure),
            }
            if Instant::now() >= deadline {
                return Err(Error::Deadline);
            }
        }
        Err(worst)
    }

    /// Binds as the entry with a password, always fresh, once. An empty password, or one of zero octets only,
    /// is refused without asking, and so is one that is no UTF-8 (RFC 4513 §5.1.3).
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
        let all_zero = password.expose().iter().all(|octet| *octet == 0);
        if all_zero || password.expose_str().is_none() {
            return Ok(Bind::Refused(Refusal::WrongPassword));
        }
        if entry.dn.is_empty() {
            return Err(Error::Undecided { code: INVALID_DN });
        }
        let mut worst = Error::Unreachable;
        for host in self.inner.for_bind() {
            let failure = match host.bind(&entry.dn, password, deadline).await {
                Ok(bind) => return Ok(bind),
                Err(failure) => failure,
            };
            worst = worst.or(&failure);
            if Instant::now() >= deadline {
                return Err(Error::Deadline);
            }
            if !failure.may_ask_next() {
                break;
            }
        }
        Err(worst)
    }

    /// Judges a response by the NT hash, which is read with the account's state for this alone. What only a bind would tell
    /// (a lock that passes by itself, an expired password) is not seen, unless the entry itself says it.
    ///
    /// # Errors
    ///
    /// When it could not be asked.
    pub async fn prove(
        &self,
        entry: &Entry,
        shown: &NtResponse,
        deadline: Instant,
    ) -> Result<Proof, Error> {
        let inner = &self.inner;
        let (Some(attribute), Some(wanted)) = (&inner.settings.nt_hash, &inner.proof) else {
            return Ok(Proof::NoHash);
        };
        if entry.dn.is_empty() {
            return Err(Error::Undecided { code: INVALID_DN });
        }
        let query = Query {
            base: &entry.dn,
            scope: Scope::Base,
            filter: Filter::Everything,
            attributes: wanted,
            limit: 1,
        };
        let mut worst = Error::Unreachable;
        for host in inner.hosts.iter().filter(|host| host.is_up()) {
            match host.search(&query, deadline).await {
                Ok(answer) => {
                    let found = answer.entries.first();
                    return Ok(
                        found.map_or(Proof::Refused(Refusal::WrongPassword), |found| {
                            inner.judge(entry, (found, attribute), shown)
                        }),
                    );
                }
                Err(failure) => worst = worst.or(&failure),
            }
            if Instant::now() >= deadline {
                return Err(Error::Deadline);
            }
        }
        Err(worst)
    }

    /// What is known of each server without asking.
    #[must_use]
    pub fn health(&self) -> Vec<ServerHealth> {
        self.inner.hosts.iter().map(|host| host.health()).collect()
    }

    /// Forgets remembered entries.
    pub fn forget(&self) {
        self.inner.people.forget();
        self.inner.parents.forget();
    }
}

impl Inner {
    /// Judges a response by what was read at the entry's DN, if that is still the same person.
    fn judge(
        &self,
        entry: &Entry,
        (found, attribute): (&Attributes, &str),
        shown: &NtResponse,
    ) -> Proof {
        match entry::person(found, &self.settings, self.clock.now()) {
            Some(now) if now.id == entry.id => match now.state {
                State::Usable => nt::judge(found, attribute, shown),
                State::Barred(refusal) => Proof::Refused(refusal),
            },
            Some(_) | None => Proof::Refused(Refusal::WrongPassword),
        }
    }

    /// The servers to bind at: those that are up, in the order of the file, those whose last search failed at the end.
    /// Settled before the first is asked, so that none is asked twice.
    fn for_bind(&self) -> Vec<&Arc<Host>> {
        let mut hosts: Vec<_> = self.hosts.iter().filter(|host| host.is_up()).collect();
        hosts.sort_by_cached_key(|host| host.is_doubted());
        hosts
    }

    /// Finds a person and the groups on one server.
    async fn look_up(
        &self,
        host: &Arc<Host>,
        filter: Filter<'_>,
        deadline: Instant,
    ) -> Result<Found, Failure> {
        let query = Query {
            base: &self.settings.base,
            scope: Scope::Subtree,
            filter,
            attributes: &self.attributes,
            limit: ONE_OR_SEVERAL,
        };
        let mut answer = host.search(&query, deadline).await?;
        if answer.entries.len() > 1 || !answer.complete {
            return Ok(Found::Several);
        }
        let Some(found) = answer.entries.pop() else {
            return Ok(Found::Nobody);
        };
        let Some(mut entry) = entry::person(&found, &self.settings, self.clock.now()) else {
            log::error!(
                "directory {}: no stable id in an entry: set id-attribute, or let the service account read it",
                self.settings.name
            );
            return Err(Failure::Undecided {
                code: NO_SUCH_ATTRIBUTE,
                text: "no stable id".to_owned(),
            });
        };
        let asker = groups::Asker {
            host,
            parents: &self.parents,
            deadline,
        };
        entry.groups = asker.groups(&self.settings.groups, &found).await?;
        Ok(Found::One(Arc::new(entry)))
    }
}

impl Error {
    /// The more telling of what two servers gave: anything says more than that one was not reached.
    fn or(self, failure: &Failure) -> Self {
        match (self, failure.error()) {
            (earlier, Self::Unreachable) => earlier,
            (_, later) => later,
        }
    }
}
