//! Decides: from a login attempt to a verdict.
//!
//! A pure centre (`policy`: facts to step) and an asynchronous rim that gathers the facts and obeys.
//! Knows no RADIUS and no HTTP; names reply sets whose contents `server` owns.

mod settings;

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use crate::account::{Decision, Station};
use crate::channel::Channels;
use crate::clock::{Clock, Timestamp};
use crate::directory::Directory;
use crate::secret::{Key, Secret};
pub use crate::store::AccountingRecord as SessionRecord;
use crate::store::Store;

pub use settings::{
    ClientPolicy, CodeEntry, Label, PasswordLimits, ReplyRule, Rule, Settings, Texts, Then, Zone,
};

/// One packet's worth of a try to log in, as `server` read it.
#[derive(Debug)]
pub struct Attempt {
    /// What the client may do and is asked for.
    pub client: Arc<ClientPolicy>,
    /// The address that the request came from.
    pub nas: IpAddr,
    /// NAS-Port, NAS-Port-Id and Acct-Session-Id, as far as present: tells two people behind one address apart.
    pub nas_port: Option<Box<[u8]>>,
    /// User-Name, as octets.
    pub name: Box<[u8]>,
    /// User-Password, revealed.
    pub password: Secret,
    /// State, if the request answers a challenge.
    pub state: Option<Box<[u8]>>,
    /// The station, read as the client's configuration says.
    pub station: Station,
    /// The attribute that told it.
    pub station_from: Option<Arc<str>>,
    /// When the request was received.
    pub received: Instant,
    /// When an answer has no more use.
    pub deadline: Instant,
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Let in.
    Accept {
        /// Names of the reply sets whose attributes go along.
        reply: Vec<Arc<str>>,
    },
    /// Refuse.
    Reject {
        /// What the user may be told, at most 253 octets; none before the password was proven beyond the one common text.
        text: Option<Arc<str>>,
    },
    /// Ask.
    Challenge {
        /// The State that the answer must bring.
        state: [u8; 16],
        /// What the user is asked, at most 253 octets.
        text: Arc<str>,
    },
    /// No answer: it could not be decided.
    Undecided,
}

/// The verdict and its record.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What to answer.
    pub verdict: Verdict,
    /// What journal and metrics say about it; audit has it already.
    pub decision: Arc<Decision>,
}

/// What would happen to a login, without doing it: `sekisho explain`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Explanation {
    /// The account, if the directory has exactly one.
    pub account: Option<String>,
    /// The entry's groups.
    pub groups: Vec<String>,
    /// The zone of the station; none is outside.
    pub zone: Option<String>,
    /// The rule that matches, numbered from 1 as in the file, in words.
    pub rule: String,
    /// What would be asked, in words.
    pub asked: String,
    /// The ways that this account has now, strongest first.
    pub ways: Vec<String>,
    /// Reply sets of an Accept.
    pub reply: Vec<String>,
    /// What would stand in the way (locked codes, a barred entry, a number too new), in words.
    pub obstacles: Vec<String>,
}

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    settings: Arc<arc_swap::ArcSwap<Settings>>,
}

impl Access {
    /// Wires the room. `key` is derived for the digests of attempts.
    #[must_use]
    pub fn new(
        settings: Settings,
        directories: Vec<Directory>,
        store: Store,
        channels: Channels,
        clock: Clock,
        key: Key,
    ) -> Self {
        todo!()
    }

    /// Takes new settings whole, and what they need, after a reload.
    pub fn reload(&self, settings: Settings, directories: Vec<Directory>, channels: Channels) {
        todo!()
    }

    /// The settings that hold now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Decides one attempt. Never fails: what cannot be decided is [`Verdict::Undecided`].
    pub async fn decide(&self, attempt: Attempt) -> Answer {
        todo!()
    }

    /// Keeps what a NAS accounts for; returns when it is on the disk. `false` when it is already kept.
    ///
    /// # Errors
    ///
    /// When the store cannot be written: then it may not be acknowledged.
    pub async fn record_session(&self, record: SessionRecord) -> Result<bool, crate::store::Error> {
        todo!()
    }

    /// Whether a login could be decided now: some directory answers and the store can be written.
    #[must_use]
    pub fn ready(&self) -> bool {
        todo!()
    }

    /// Says what would happen.
    ///
    /// # Errors
    ///
    /// When the directory or the store cannot be asked, in words.
    pub async fn explain(
        &self,
        user: &str,
        client: &ClientPolicy,
        station: &Station,
        at: Timestamp,
    ) -> Result<Explanation, String> {
        todo!()
    }

    /// Finds the account of a name, for the people's commands.
    ///
    /// # Errors
    ///
    /// In words: nobody, several, or the directory cannot be asked.
    pub async fn account(&self, user: &str) -> Result<Arc<crate::directory::Entry>, String> {
        todo!()
    }
}
