//! Decides: from a login attempt to a verdict.
//!
//! A pure centre (`policy`: facts to step) and an asynchronous rim that gathers the facts and obeys.
//! Knows no RADIUS and no HTTP; names reply sets whose contents `server` owns.

mod attempt;
mod bells;
mod certificate;
mod challenge;
mod exchange;
mod explain;
mod first;
mod lasting;
mod policy;
mod proven;
mod push;
mod response;
mod resumption;
mod retries;
mod second;
mod sending;
mod sessions;
mod settings;
mod split;
mod texts;
mod throttle;
mod waiters;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::account::{AccountId, AccountKey, AttemptId, ClientName, Decision, Language, Station};
use crate::channel::{BadAnswer, Channels};
use crate::clock::{Clock, Timestamp};
pub use crate::directory::NtResponse;
use crate::directory::{Directory, Entry};
use crate::secret::{Key, Secret, random_array};
pub use crate::store::AccountingRecord as SessionRecord;
pub use crate::store::{AccountedSession, EndOutcome, EndWhy, Joining};
use crate::store::{Error, Failure, Store};
use bells::Bells;
use retries::Retries;
use sending::SentLately;
use sessions::Sessions;
use throttle::Throttle;
use waiters::Waiters;

pub use exchange::reason_of;
pub use push::{Ending, Held, Wait};
pub use response::{DeviceResponse, DeviceTest, Responded};
pub use resumption::{MayResume, Resumable};
pub use sessions::{HANDLE, SessionEnded, SessionToEnd};
pub use settings::{
    Asks, ClientPolicy, CodeEntry, Label, PasswordLimits, PushMode, ReplyRule, Rule, Settings,
    Texts, Then, Zone,
};
pub use waiters::News;

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
    /// What is shown to prove who it is.
    pub credential: Credential,
    /// State, if the request answers a challenge.
    pub state: Option<Box<[u8]>>,
    /// The station, read as the client's configuration says.
    pub station: Station,
    /// The attribute that told it.
    pub station_from: Option<Arc<str>>,
    /// Whether a question can be put and answered, where the client's policy has any: within EAP by GTC alone, elsewhere always.
    pub can_ask: bool,
    /// When the request was received.
    pub received: Instant,
    /// When an answer has no more use.
    pub deadline: Instant,
    /// Until when the reply may be held for a device.
    pub hold_until: Instant,
}

/// What somebody shows to prove who they are.
#[derive(Debug)]
pub enum Credential {
    /// What was typed: a password, or password and code, or the answer to a challenge.
    Password(Secret),
    /// A response by the NT hash of the password (RFC 2759 §8.1).
    NtResponse(NtResponse),
    /// A client certificate, verified, whose name is the attempt's: possession is proven, and no password is.
    Certificate {
        /// When it ends: no login is remembered beyond that.
        ends: Timestamp,
    },
    /// A session that the peer has proven to hold, of a login that was let in before.
    Resumed(Arc<Resumable>),
}

impl Credential {
    /// What was typed, if anything was.
    const fn typed(&self) -> Option<&Secret> {
        match self {
            Self::Password(typed) => Some(typed),
            Self::NtResponse(_) | Self::Certificate { .. } | Self::Resumed(_) => None,
        }
    }
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
        /// What the user is asked, at most 253 octets; empty for a client that is sent no text.
        text: Arc<str>,
    },
    /// Nothing yet: the reply is held until the prompt is decided or the gear's patience ends, and then asked for by
    /// [`Access::conclude`].
    Wait(Wait),
    /// No answer: it could not be decided.
    Undecided,
}

impl ClientPolicy {
    /// The one face of everything that fails before the password is proven, whoever finds it: a text in the client's
    /// language, since the person's would tell that there is one.
    pub fn common_reject(&self) -> Verdict {
        Verdict::Reject {
            text: texts::reply(&texts::Text::Failed, self.language, self),
        }
    }
}

/// The verdict and its record.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What to answer.
    pub verdict: Verdict,
    /// What journal and metrics say about it; audit has it already.
    pub decision: Arc<Decision>,
    /// What makes the login's session resumable, of an Accept: none where no change of a password could be noticed.
    pub resumable: Option<Arc<Resumable>>,
    /// What proves to who sent a right [`Credential::NtResponse`] that the password is known here (RFC 2759 §8.7). It is there
    /// with any verdict but a Reject.
    pub proof: Option<[u8; 20]>,
}

/// The answers to packets that were held.
#[derive(Clone, Debug)]
pub struct Concluded {
    /// Of each packet, in their order.
    pub verdicts: Vec<Verdict>,
    /// The record.
    pub decision: Arc<Decision>,
    /// As in [`Answer`].
    pub resumable: Option<Arc<Resumable>>,
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
    room: Arc<Room>,
}

/// What an attempt is decided with.
struct Room {
    setup: ArcSwap<Setup>,
    store: Store,
    clock: Clock,
    /// Under which attempts are digested. Made anew at each start: nothing that was typed can be guessed from what is in memory
    /// once the process is gone.
    attempt_key: Key,
    /// Under which the attempts of prompts are digested: the same after a restart, as the prompts are.
    prompt_key: Key,
    retries: Retries,
    throttle: Throttle,
    sent: SentLately,
    waiters: Arc<Waiters>,
    bells: Bells,
    sessions: Arc<Sessions>,
    /// Reports, and stations that were forgotten, since the start: a login that was on its way looks again when one came.
    endings: AtomicU64,
}

impl Room {
    /// Counts what was not let in before its password was proven.
    fn count_failure(&self, decision: &Arc<Decision>) {
        self.store.count_failure(Failure {
            account: decision.account.clone(),
            decision: decision.clone(),
        });
    }
}

/// What a reload changes.
#[derive(Clone)]
pub struct Setup {
    /// What the configuration says.
    pub settings: Settings,
    /// The directories, each under the name that [`crate::account::Realms`] gives.
    pub directories: Vec<(Arc<str>, Directory)>,
    /// The ways to phones.
    pub channels: Channels,
}

impl Setup {
    fn directory(&self, name: &str) -> Option<&Directory> {
        self.directories
            .iter()
            .find_map(|(known, directory)| (**known == *name).then_some(directory))
    }
}

impl Access {
    /// Wires the room. `key` is derived for the digests of attempts; what goes on beside logins is tracked by `tasks`.
    #[must_use]
    pub fn new(setup: Setup, store: Store, clock: Clock, key: &Key, tasks: TaskTracker) -> Self {
        let salt: [u8; 16] = random_array();
        let sessions = Sessions::new(store.clone(), clock.clone(), tasks.clone());
        Self {
            room: Arc::new(Room {
                setup: ArcSwap::from_pointee(setup),
                store,
                clock,
                attempt_key: Key::new(key.derive("attempts").digest(&[&salt])),
                prompt_key: key.derive("prompts"),
                retries: Retries::default(),
                throttle: Throttle::default(),
                sent: SentLately::default(),
                waiters: Arc::default(),
                bells: Bells::new(tasks),
                sessions: Arc::new(sessions),
                endings: AtomicU64::new(0),
            }),
        }
    }

    /// Takes a new setup whole, after a reload. Attempts in work end under the old one.
    pub fn reload(&self, setup: Setup) {
        self.room.setup.store(Arc::new(setup));
    }

    /// The settings that hold now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::new(self.room.setup.load().settings.clone())
    }

    /// Decides one attempt. Never fails: what cannot be decided is [`Verdict::Undecided`].
    pub async fn decide(&self, mut attempt: Attempt) -> Answer {
        if attempt.credential.typed().is_none() {
            attempt.client = Arc::new(attempt.client.untyped());
        } else if !attempt.can_ask && attempt.client.asks_back() {
            attempt.client = Arc::new(attempt.client.unasked());
        }
        attempt::decide(&self.room, &attempt).await
    }

    /// News of prompts, for whoever holds replies. Once.
    #[must_use]
    pub fn news(&self) -> Option<tokio::sync::mpsc::Receiver<News>> {
        self.room.waiters.listen()
    }

    /// The answers to all packets that wait for one prompt, in their order, and the record. `None` when they go on waiting.
    pub async fn conclude(&self, held: &[Held], ending: Ending) -> Option<Concluded> {
        push::conclude(&self.room, held, ending).await
    }

    /// Whether a login that was let in before would still be, so that its session may be resumed: the account exists, is usable, is
    /// not reported, has the same password and factors, and no rule denies it. Records nothing; whoever then proves to hold the
    /// session is decided by [`Access::decide`] with [`Credential::Resumed`].
    pub async fn may_resume(
        &self,
        resumable: &Arc<Resumable>,
        client: &Arc<ClientPolicy>,
        station: &Station,
    ) -> MayResume {
        let attempt = Attempt::to_resume(resumable, client, station);
        resumption::may_resume(&self.room, &attempt).await
    }

    /// Ends what earlier logins earned: no session is resumed any more, and remembered stations are forgotten, or the one that is
    /// named. Their open sessions are ended beside. Says how many stations that were.
    ///
    /// # Errors
    ///
    /// When the store cannot be written: then nothing has changed.
    pub async fn forget_stations(
        &self,
        account: &AccountId,
        only: Option<Station>,
    ) -> Result<usize, Error> {
        let store = &self.room.store;
        let stations = store.forget_stations(account, only.clone()).await?;
        self.room.endings.fetch_add(1, Ordering::AcqRel);
        self.end_sessions_beside(account, only.as_ref(), EndWhy::Revoked);
        Ok(stations)
    }

    /// Hears what a device says to a prompt. What is not signed by a device of the prompt's owner is only counted.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written: then nothing was decided.
    pub async fn respond(&self, said: DeviceResponse) -> Result<Responded, Error> {
        response::hear(&self.room, said).await
    }

    /// Takes what was posted as an answer of the site's own push service: the values of its two headers, and the body.
    ///
    /// # Errors
    ///
    /// When it is not its answer.
    pub async fn take_posted_answer(
        &self,
        headers: (&str, &str),
        body: &[u8],
    ) -> Result<Option<Responded>, BadAnswer> {
        let setup = self.room.setup.load_full();
        let now = self.room.clock.now();
        let answer = setup.channels.posted_answer(headers, body, now)?;
        Ok(bells::heard(&self.room, answer).await)
    }

    /// The ways to phones, as they are configured now.
    #[must_use]
    pub fn channels(&self) -> Channels {
        self.room.setup.load().channels.clone()
    }

    /// Opens a test of a device for its owner, who sees the number; its bell is rung. It proves a new device.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub async fn test_device(
        &self,
        (account, name): (&AccountId, &AccountKey),
        device: i64,
        (from, language): (IpAddr, Language),
    ) -> Result<DeviceTest, Error> {
        response::test(&self.room, (account, name), device, (from, language)).await
    }

    /// Hears from somebody who is signed in at the portal that a login was not theirs: what waits is denied, and no login comes from
    /// outside until the password has changed.
    ///
    /// # Errors
    ///
    /// When the store cannot be written: then nothing has changed.
    pub async fn report(
        &self,
        whose: (&AccountId, &AccountKey),
        here: (IpAddr, Language),
    ) -> Result<Arc<Decision>, Error> {
        response::report(&self.room, whose, here).await
    }

    /// Whether two names, as typed, mean one account of one directory.
    #[must_use]
    pub fn is_same_name(&self, one: &[u8], other: &[u8]) -> bool {
        let setup = self.room.setup.load();
        let who = |typed| attempt::who(&setup, typed).0;
        match (who(one), who(other)) {
            (Ok(one), Ok(other)) => one.key == other.key && one.directory == other.directory,
            (Err(_), _) | (_, Err(_)) => false,
        }
    }

    /// Whether a name, as typed, means the account of a key that a record has.
    #[must_use]
    pub fn is_name_of(&self, typed: &[u8], key: &str) -> bool {
        let (who, _) = attempt::who(&self.room.setup.load(), typed);
        who.is_ok_and(|who| who.key.as_str() == key)
    }

    /// Counts a request that `server` refused by itself, so that the audit trail has it. Gives the record under the name of the
    /// account, if what was typed is one.
    #[must_use]
    pub fn count_refusal(&self, typed: &[u8], mut decision: Decision) -> Arc<Decision> {
        let setup = self.room.setup.load();
        (_, decision.name) = attempt::who(&setup, typed);
        let decision = Arc::new(decision);
        self.room.count_failure(&decision);
        decision
    }

    /// By which a client's accounting brings back whose login it let in: opaque, and of no use to another client.
    #[must_use]
    pub fn session_handle(&self, attempt: &AttemptId, client: &ClientName) -> [u8; HANDLE] {
        self.room.sessions.handles.make(attempt, client)
    }

    /// The attempt of a handle; `None` if it is none of ours, or another client's.
    #[must_use]
    pub fn attempt_of_handle(&self, handle: &[u8], client: &ClientName) -> Option<AttemptId> {
        self.room.sessions.handles.read(handle, client)
    }

    /// Keeps what a NAS accounts for, and follows its session if it can be joined to a login; returns when it is on the disk.
    /// `false` when the record is already kept.
    ///
    /// # Errors
    ///
    /// When the store cannot be written: then it may not be acknowledged.
    pub async fn record_session(
        &self,
        record: SessionRecord,
        joining: Joining,
    ) -> Result<bool, Error> {
        self.room.sessions.record(record, joining).await
    }

    /// Has the NAS end the open sessions of an account, or those of one station; waits for what comes of each, half a minute at the
    /// most.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn end_sessions(
        &self,
        account: &AccountId,
        station: Option<&Station>,
        why: EndWhy,
    ) -> Result<Vec<SessionEnded>, Error> {
        self.room.sessions.end(account, station, why).await
    }

    /// The same, without waiting: what comes of it is recorded.
    pub fn end_sessions_beside(&self, account: &AccountId, station: Option<&Station>, why: EndWhy) {
        self.room.sessions.end_beside(account, station, why);
    }

    /// Sessions to be ended, for whoever can ask a NAS. Once.
    #[must_use]
    pub fn sessions_to_end(&self) -> Option<tokio::sync::mpsc::Receiver<SessionToEnd>> {
        self.room.sessions.listen()
    }

    /// Whether a login could be decided now: some directory answers and the store can be written.
    #[must_use]
    pub fn ready(&self) -> bool {
        let setup = self.room.setup.load();
        let mut directories = setup.directories.iter();
        let up = |directory: &Directory| directory.health().iter().any(|server| server.up);
        directories.any(|(_, directory)| up(directory)) && self.room.store.writable()
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
        explain::explain(&self.room, user, client, (station, at)).await
    }

    /// Finds the account of a name, for the people's commands.
    ///
    /// # Errors
    ///
    /// In words: nobody, several, or the directory cannot be asked.
    pub async fn account(&self, user: &str) -> Result<Arc<Entry>, String> {
        explain::account(&self.room, user).await
    }
}
