//! Keeps enrolments, counters, challenges and the audit trail across restarts.
//!
//! Each operation is one transaction with a result that says what happened; whatever an answer
//! depends on is on the disk before the operation returns. One set of operations; the engine is
//! SQLite. Not here: what follows from a result (`access`).

mod audit;
mod backup;
mod codes;
mod database;
mod devices;
mod keys;
mod people;
mod prompts;
mod sessions;
mod settings;
mod words;
mod writer;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use nix::fcntl::Flock;
use rusqlite::Connection;
use zeroize::Zeroizing;

use crate::account::{AccountId, AccountKey, ClientName, Decision, FactorKind, Station};
use crate::clock::Clock;
use crate::factor::Totp;
use crate::secret::{Key, Secret};
use codes::Kinds;
use database::{Readers, blocking};
use keys::{Keys, Pairs};
use people::{Behind, Waiting};
use writer::{Writer, Writing};

pub use backup::restore;
pub use devices::{Device, NewDevice, Paired, Pairing, Session};
pub use keys::master_key;
pub use prompts::{
    ApprovalUsed, Crossing, DecidedBy, NewPrompt, Prompt, PromptDecided, PromptOpened,
    PromptStanding, PromptState,
};
pub use sessions::{
    Accounted, AccountedSession, EndAsked, EndOutcome, EndWhy, Joining, SessionEnd, SessionFacts,
};
pub use settings::{Error, Limits, Settings};
pub use words::{
    AccountingRecord, Admission, Challenge, ChallengeFacts, CodeIssued, CodeJudged, Enrolled,
    Failure, Health, KnownAccount, Lasting, PasswordStanding, Proof, Recorded, Remember,
    RememberedStation, SentCode, Standing, Told, Wanted,
};

/// The store. Cheap to clone; the last one dropped closes it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Writer,
    readers: Readers,
    waiting: Arc<Waiting>,
    limits: Arc<ArcSwap<Limits>>,
    digest: Key,
    /// Seals what is at rest. Another one after a rotation.
    data: Arc<ArcSwap<Key>>,
    pairs: Pairs,
    clock: Clock,
    database: PathBuf,
    key_file: PathBuf,
    failures_lost: AtomicU64,
    /// Dropped last: nobody may replace the database before it is closed.
    _held: Flock<std::fs::File>,
}

impl Store {
    /// Opens the database, making or migrating it. Blocking: for the start.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, is damaged, newer, or sealed under another key.
    pub fn open(settings: &Settings, master: &Key, clock: Clock) -> Result<Self, Error> {
        let held = database::hold(settings)?;
        let path = database::path(settings);
        let mut connection = database::open_writer(&path)?;
        database::migrate(&mut connection, clock.now())?;
        let keys = Keys::load_or_make(&mut connection, master)?;
        let (behind, changes) = Behind::load(&connection)?;
        database::sync_folder(&settings.folder)?;
        let readers = Readers::open(&path)?;
        let limits = Arc::new(ArcSwap::from_pointee(settings.limits.clone()));
        let data = Arc::new(ArcSwap::from_pointee(keys.data.clone()));
        let waiting = behind.waiting();
        let writing = Writing {
            connection,
            behind,
            clock: clock.clone(),
            data: keys.data,
            digest: keys.digest.clone(),
            pairs: keys.pairs.clone(),
            shared: data.clone(),
            limits: limits.load_full(),
            audit_keep: settings.audit_keep,
            audit_rows: settings.audit_rows,
            stations_swept: Cell::default(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                writer: Writer::start(writing, changes, limits.clone(), &path)?,
                readers,
                waiting,
                limits,
                digest: keys.digest,
                data,
                pairs: keys.pairs,
                clock,
                database: path,
                key_file: settings.key_file.clone(),
                failures_lost: AtomicU64::new(0),
                _held: held,
            }),
        })
    }

    /// New limits after a reload.
    pub fn set_limits(&self, limits: Limits) {
        self.inner.limits.store(Arc::new(limits));
    }

    /// What the account has, whether its codes are locked, and its wrong passwords as seen from a station. A read: does not
    /// wait for the writer.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn standing(&self, account: &AccountId, station: &Station) -> Result<Standing, Error> {
        let reader = self.inner.readers.short();
        let (place, limits) = ((&*reader, &*self.inner.waiting), self.inner.limits.load());
        people::standing(place, &limits, self.inner.clock.now(), (account, station))
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
        let (account, station) = (account.clone(), station.clone());
        self.write(move |writing| {
            writing.wrong_password(&account, &station, &failure.decision.name)?;
            writing.count_failure(&failure)
        })
        .await
    }

    /// Judges a typed code (in the form of `factor::typed_code`) against every proven factor and the open sent code, counting
    /// first: TOTP steps only go forward, recovery and sent codes are taken, wrong codes counted, lock-outs set. If
    /// it is accepted, the decision (an Accept; its `factor` is filled in) is recorded in the same commit; otherwise the
    /// caller records its own. `only` names the kinds of factors that may be used. A wrong code typed again within
    /// [`Limits::code_lock`] is neither counted nor judged again.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then the code counts as neither right nor used.
    pub async fn use_code(
        &self,
        account: &AccountId,
        code: &str,
        only: &[FactorKind],
        admission: impl Into<Admission>,
    ) -> Result<CodeJudged, Error> {
        let (account, code) = (account.clone(), Zeroizing::new(code.to_owned()));
        let (only, admission) = (Kinds::of(only), admission.into());
        self.write(move |writing| writing.use_code(&account, &code, only, &admission))
            .await
    }

    /// Counts a message against all limits, checks the number's age, and opens the code, replacing one that is open.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then nothing may be sent.
    pub async fn issue_code(&self, code: SentCode) -> Result<CodeIssued, Error> {
        self.write(move |writing| writing.issue_code(&code)).await
    }

    /// Takes back a code that no gateway took; the message stays counted.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn withdraw_code(&self, account: &AccountId) -> Result<(), Error> {
        let account = account.clone();
        self.write(move |writing| writing.withdraw_code(&account))
            .await
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
        let (state, admission) = (self.state_digest(state), Admission::from(decision));
        self.write(move |writing| writing.open_and_record(&state, &challenge, &admission))
            .await
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
        let state = self.state_digest(state);
        let (client, name) = (client.clone(), name.clone());
        self.write(move |writing| writing.take_challenge(&state, &client, &name))
            .await
    }

    /// Records a decision made after the password was proven, with what an Accept leaves behind.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then nothing may be accepted.
    pub async fn record(&self, admission: impl Into<Admission>) -> Result<(), Error> {
        let admission = admission.into();
        self.write(move |writing| writing.record(&admission)).await
    }

    /// Ends what earlier logins of the account earned: sessions can no longer be resumed, and stations are forgotten, or the
    /// one that is named. Says how many stations that were.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn forget_stations(
        &self,
        account: &AccountId,
        only: Option<Station>,
    ) -> Result<usize, Error> {
        let account = account.clone();
        self.write(move |writing| writing.forget_stations(&account, only.as_ref()))
            .await
    }

    /// Counts a failure before the password was proven. Does not wait for the disk; when the queue is full it is lost and counted.
    pub fn count_failure(&self, failure: Failure) {
        if !self
            .inner
            .writer
            .tell(move |writing| writing.count_failure(&failure))
        {
            self.inner.failures_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Enrols a TOTP; `proven` is the step of the code that proved it, which counts as used. Returns its number.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    #[expect(
        clippy::too_many_arguments,
        reason = "each says another thing of the factor"
    )]
    pub async fn enrol_totp(
        &self,
        account: &AccountId,
        name: &str,
        label: &str,
        totp: Totp,
        proven: Proof,
    ) -> Result<i64, Error> {
        let (account, name, label) = (account.clone(), name.to_owned(), label.to_owned());
        self.write(move |writing| writing.enrol_totp((&account, &name), &label, &totp, proven))
            .await
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
        let (account, name) = (account.clone(), name.to_owned());
        self.write(move |writing| writing.replace_recovery_codes(&account, &name, &digests))
            .await
    }

    /// Removes one factor. Says whether it was there.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn remove_factor(&self, account: &AccountId, factor: i64) -> Result<bool, Error> {
        let account = account.clone();
        self.write(move |writing| writing.remove_factor(&account, factor))
            .await
    }

    /// Removes every factor, open challenge and code of the account. Says how many factors there were.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn reset(&self, account: &AccountId) -> Result<u64, Error> {
        let account = account.clone();
        self.write(move |writing| writing.reset(&account)).await
    }

    /// Ends the lock-out of codes and forgets wrong codes and message counts.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn unlock(&self, account: &AccountId) -> Result<(), Error> {
        let account = account.clone();
        self.write(move |writing| writing.unlock(&account)).await
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
        let now = self.inner.clock.now();
        self.read(move |place| people::accounts(place, now, &after.unwrap_or_default(), limit))
            .await
    }

    /// Factors of an account, unproven ones too, and its lock-out.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn known(&self, account: &AccountId) -> Result<Option<KnownAccount>, Error> {
        let (account, now) = (account.clone(), self.inner.clock.now());
        self.read(move |place| people::known(place, now, account))
            .await
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
        let (account, what) = (account.cloned(), what.to_owned());
        self.write(move |writing| writing.record_operator(uid, account.as_ref(), &what))
            .await
    }

    /// The newest rows of a story, newest first.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn story(&self, wanted: Wanted, limit: u32) -> Result<Vec<Told>, Error> {
        self.read(move |place| audit::story(place, &wanted, limit))
            .await
    }

    /// Copies the database, whole and consistent, to a new file of mode 0600, while the store is in use.
    ///
    /// # Errors
    ///
    /// When the copy cannot be made; an existing file is refused.
    pub async fn backup(&self, to: &Path) -> Result<(), Error> {
        let (database, to) = (self.inner.database.clone(), to.to_owned());
        blocking(move || backup::backup(&database, &to)).await
    }

    /// Makes a new master key, seals everything anew under it in one transaction and replaces the key file; a crash at any
    /// moment leaves a pair that [`master_key`] and [`Store::open`] can use.
    ///
    /// # Errors
    ///
    /// When it cannot be done: then the old key still holds.
    pub async fn rotate_key(&self) -> Result<(), Error> {
        self.inner.writer.rotate(&self.inner.key_file).await
    }

    /// The key under which digests of codes are made (`OneTimeCode::digest`, `RecoveryCode::digest`).
    #[must_use]
    pub fn code_key(&self) -> Key {
        self.inner.digest.clone()
    }

    /// The pair of keys that signs what devices are shown, as PKCS #8.
    #[must_use]
    pub fn request_pair(&self) -> &Secret {
        &self.inner.pairs.requests
    }

    /// The pair of keys that push services know us by, as PKCS #8 (RFC 8292).
    #[must_use]
    pub fn vapid_pair(&self) -> &Secret {
        &self.inner.pairs.vapid
    }

    /// What it says of itself.
    pub fn health(&self) -> Health {
        let pulse = &self.inner.writer.pulse;
        let reader = self.inner.readers.short();
        let count = |sql| {
            reader
                .prepare_cached(sql)
                .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
                .map(|rows: i64| u64::try_from(rows).unwrap_or_default())
        };
        let accounts: Result<u64, rusqlite::Error> = count(people::COUNT_ACCOUNTS);
        let audit_rows: Result<u64, rusqlite::Error> = count(audit::ROWS);
        let unreadable = accounts
            .as_ref()
            .err()
            .or_else(|| audit_rows.as_ref().err());
        Health {
            writable: self.writable() && unreadable.is_none(),
            last_error: unreadable
                .map(ToString::to_string)
                .or_else(|| pulse.last_error()),
            accounts: accounts.unwrap_or_default(),
            audit_rows: audit_rows.unwrap_or_default(),
            octets: database::octets(&self.inner.database),
            schema: database::newest(),
            failures_lost: self.inner.failures_lost.load(Ordering::Relaxed),
        }
    }

    /// Throws away what has expired: challenges, codes, counters, old audit rows. Called once a minute.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn sweep(&self) -> Result<(), Error> {
        self.prove_writable().await?;
        while self.write(Writing::sweep).await? {}
        Ok(())
    }

    /// Finds out whether the store can be written again, if the last write failed: nothing else might try, for who is told that
    /// nothing can be decided sends no logins.
    ///
    /// # Errors
    ///
    /// When it still cannot be written.
    pub async fn prove_writable(&self) -> Result<(), Error> {
        if self.writable() {
            return Ok(());
        }
        self.write(Writing::touch).await
    }

    /// Waits until everything queued is on the disk. For the end, and for tests.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn flush(&self) -> Result<(), Error> {
        self.write(|_| Ok(())).await
    }

    /// Whether the last write succeeded; costs nothing, unlike [`Store::health`].
    #[must_use]
    pub fn writable(&self) -> bool {
        self.inner.writer.pulse.writable() && self.running()
    }

    /// Whether the writer still works; if not, the daemon has to be started anew.
    #[must_use]
    pub fn running(&self) -> bool {
        self.inner.writer.running()
    }

    async fn write<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: Fn(&Writing) -> Result<T, Error> + Send + 'static,
    {
        self.inner.writer.write(work).await
    }

    /// A read that takes long, away from the runtime's threads.
    async fn read<T, R>(&self, read: R) -> Result<T, Error>
    where
        T: Send + 'static,
        R: FnOnce((&Connection, &Waiting)) -> Result<T, Error> + Send + 'static,
    {
        let inner = self.inner.clone();
        blocking(move || read((&inner.readers.long(), &inner.waiting))).await
    }

    /// Challenges are found by a digest, so that who reads the store cannot answer them.
    fn state_digest(&self, state: &[u8]) -> [u8; 32] {
        self.inner.digest.digest(&[b"state", state])
    }
}
