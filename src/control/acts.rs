//! What is done about an ask.

mod enrol;
mod lend;
mod people;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::protocol::{Answer, Ask, Cause, ClientSeen, ServerShown, SessionAsked, Status};
use super::record::{Act, Deed};
use super::{Doors, Rooms, story};
use crate::access::EndWhy;
use crate::account::{AccountId, Station};
use crate::clock::Timestamp;
use crate::factor::RecoveryCode;
use crate::secret::Secret;
use crate::store;
use enrol::Pending;

/// How long an act may take: longer than NASes are asked to end sessions.
const ACT_TIME: Duration = Duration::from_secs(30);
/// How long one that copies or seals the whole store may take.
const LONG_ACT_TIME: Duration = Duration::from_secs(600);
/// Recovery codes at once: a list that fits a wallet.
const RECOVERY_CODES: usize = 10;
/// Strangers are noted in the audit trail this seldom, so that knocking does not fill it.
const STRANGER_PAUSE: Duration = Duration::from_secs(60);
/// Octets of a client's name, station or path that anybody asks about.
const WORD_OCTETS: usize = 4096;

/// That an ask was not followed, with the sentence that says why.
#[derive(Debug, Default)]
pub(super) struct Refused {
    pub(super) why: String,
    /// What the help desk meets, to be told in its language.
    pub(super) cause: Option<Cause>,
    /// Of the configuration.
    pub(super) faults: Vec<String>,
}

impl Refused {
    pub(super) fn by(cause: Cause, why: String) -> Self {
        Self {
            why,
            cause: Some(cause),
            faults: Vec::new(),
        }
    }
}

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self {
            why,
            ..Self::default()
        }
    }
}

impl From<&str> for Refused {
    fn from(why: &str) -> Self {
        Self::from(why.to_owned())
    }
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        let why = format!("The store did not do it: {error}.");
        Self::by(Cause::Store, why)
    }
}

impl From<Refused> for Answer {
    fn from(Refused { why, cause, faults }: Refused) -> Self {
        Self::Refused { why, cause, faults }
    }
}

/// The rooms and doors, shared by all connections.
#[derive(Clone)]
pub(super) struct Acts {
    pub(super) rooms: Rooms,
    pub(super) doors: Doors,
    /// When a stranger was last noted.
    stranger: Arc<Mutex<Option<Timestamp>>>,
}

impl Acts {
    pub(super) fn new(rooms: Rooms, doors: Doors) -> Self {
        Self {
            rooms,
            doors,
            stranger: Arc::default(),
        }
    }

    /// Audits that somebody asked who may not.
    pub(super) async fn note_stranger(&self, uid: u32) {
        log::warn!("uid {uid} may not use the control socket");
        let now = self.rooms.clock.now();
        {
            let mut last = self.stranger.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| now.since(last) < STRANGER_PAUSE) {
                return;
            }
            *last = Some(now);
        }
        let what = Act::new(Deed::Knock, []).begun();
        if let Err(error) = self.rooms.store.record_operator(uid, None, &what).await {
            log::error!("a refusal at the control socket was not audited: {error}");
        }
    }

    async fn explain(
        &self,
        user: &str,
        client: &str,
        station: &str,
        at: Option<Timestamp>,
    ) -> Result<Answer, Refused> {
        let settings = self.rooms.access.settings();
        let policy = settings
            .clients
            .iter()
            .find(|policy| policy.name.as_str() == client)
            .ok_or_else(|| Refused::from(self.no_such_client(client)))?;
        let station = match station {
            "" | "unknown" => Station::Unknown,
            text => match Station::read(text) {
                Station::Unknown => {
                    return Err("The station must be an IP address, a hardware address or the word unknown.".into());
                }
                station @ (Station::Address(_) | Station::Mac(_)) => station,
            },
        };
        let at = at.unwrap_or_else(|| self.rooms.clock.now());
        let user = self.spelled(user)?;
        let mut explanation = self
            .rooms
            .access
            .explain(&user, policy, &station, at)
            .await?;
        // What a set holds says more than the number that it has in the file.
        explanation.reply = explanation
            .reply
            .into_iter()
            .flat_map(|set| (self.doors.replies)(&set).unwrap_or_else(|| vec![set]))
            .collect();
        Ok(Answer::Explained(Box::new(explanation)))
    }

    pub(super) fn no_such_client(&self, client: &str) -> String {
        let names: Vec<String> = (self.doors.clients)()
            .into_iter()
            .map(|client| client.name)
            .collect();
        format!(
            "There is no client {client}. The configuration has: {}.",
            names.join(", ")
        )
    }

    fn clients(&self) -> Answer {
        let sightings = self.rooms.telemetry.sightings();
        let clients = (self.doors.clients)()
            .into_iter()
            .map(|client| ClientSeen {
                seen: sightings
                    .iter()
                    .filter(|seen| {
                        seen.client == client.name && !seen.nas.is_some_and(lend::is_lent)
                    })
                    .cloned()
                    .collect(),
                client,
            })
            .collect();
        Answer::Clients { clients }
    }

    /// How the daemon is.
    async fn status(&self) -> Answer {
        if let Err(error) = self.rooms.store.prove_writable().await {
            log::debug!("the store still cannot be written: {error}");
        }
        let directories = (self.doors.directories)()
            .iter()
            .flat_map(|(_, directory)| directory.health())
            .map(|health| ServerShown {
                server: health.server,
                up: health.up,
                last_error: health.last_error,
            })
            .collect();
        Answer::Status(Box::new(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: self.rooms.access.ready(),
            addresses: (self.doors.addresses)(),
            clients: (self.doors.clients)().len(),
            directories,
            store: self.rooms.store.health(),
            certificates: (self.doors.certificates)(),
        }))
    }
}

/// One connection's asks, and what it has begun.
pub(super) struct Conversation {
    pub(super) acts: Acts,
    pub(super) uid: u32,
    pending: Option<Pending>,
    /// What is being done, and about whom: recorded, and of an end that is not known yet.
    begun: Option<(Option<AccountId>, Act)>,
}

impl Conversation {
    pub(super) fn new(acts: Acts, uid: u32) -> Self {
        Self {
            acts,
            uid,
            pending: None,
            begun: None,
        }
    }

    /// Follows an ask within its time.
    pub(super) async fn answer(&mut self, ask: Ask) -> Answer {
        let time = match ask {
            Ask::Backup { .. } | Ask::RotateKey => LONG_ACT_TIME,
            _ => ACT_TIME,
        };
        let answer = match tokio::time::timeout(time, self.follow(ask)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(refused)) => refused.into(),
            Err(_) => Refused::from("It took too long; whether it was done is not known.").into(),
        };
        if let (Some((account, act)), Answer::Refused { why, .. }) = (self.begun.take(), &answer) {
            self.record_failure(account.as_ref(), &act, why).await;
        }
        answer
    }

    async fn follow(&mut self, ask: Ask) -> Result<Answer, Refused> {
        match ask {
            Ask::EnrolTotp(wanted) => self.enrol_totp(wanted).await,
            Ask::Prove { code } => self.prove(&code).await,
            Ask::RecoveryCodes { user } => self.recovery_codes(&user).await,
            Ask::Show { user } => self.acts.show(&user, self.uid).await,
            Ask::List { after } => self.acts.list(after).await,
            Ask::Unlock { user } => self.unlock(&user).await,
            Ask::ClearReport { user } => self.clear_report(&user).await,
            Ask::Disconnect { user } => self.disconnect(&user).await,
            Ask::Forget { user, station } => self.forget(&user, station.as_deref()).await,
            Ask::Reset { user } => self.reset(&user).await,
            Ask::Remove { user, factor } => self.remove(&user, factor).await,
            Ask::Why { about, limit } => story::tell(&self.acts, about, limit).await,
            Ask::Explain {
                user,
                client,
                station,
                at,
            } => self.acts.explain(&user, &client, &station, at).await,
            Ask::Clients => Ok(self.acts.clients()),
            Ask::Status => Ok(self.acts.status().await),
            Ask::Lend { client, seconds } => self.lend(client, seconds).await,
            Ask::Reload => self.reload().await,
            Ask::Backup { to } => self.backup(&to).await,
            Ask::RotateKey => {
                self.audit(None, Act::new(Deed::RotateKey, [])).await?;
                self.acts.rooms.store.rotate_key().await?;
                Ok(Answer::KeyRotated)
            }
        }
    }

    /// Records an act before it is done: what cannot be recorded is not done.
    pub(super) async fn audit(
        &mut self,
        account: Option<&AccountId>,
        act: Act,
    ) -> Result<(), Refused> {
        let store = &self.acts.rooms.store;
        let what = act.begun();
        if let Err(error) = store.record_operator(self.uid, account, &what).await {
            log::error!("uid {} {}", self.uid, act.failed(&error.to_string()));
            return Err(error.into());
        }
        log::info!("uid {} {what}", self.uid);
        self.begun = Some((account.cloned(), act));
        Ok(())
    }

    /// Records that an act was not done.
    async fn record_failure(&self, account: Option<&AccountId>, act: &Act, why: &str) {
        let what = act.failed(why);
        log::error!("uid {} {what}", self.uid);
        let store = &self.acts.rooms.store;
        if let Err(error) = store.record_operator(self.uid, account, &what).await {
            log::error!("that an act failed was not audited: {error}");
        }
    }

    async fn recovery_codes(&mut self, user: &str) -> Result<Answer, Refused> {
        let person = self.acts.person(user).await?;
        let store = self.acts.rooms.store.clone();
        let key = store.code_key();
        let codes: Vec<Secret> = (0..RECOVERY_CODES)
            .map(|_| Secret::from(RecoveryCode::random().shown().as_str()))
            .collect();
        let digests = codes
            .iter()
            .filter_map(Secret::expose_str)
            .map(|shown| {
                let code = crate::factor::typed_code(shown);
                RecoveryCode::digest(&key, person.id().as_str(), &code)
            })
            .collect();
        let act = Act::new(Deed::RecoveryCodes, [person.who.key.as_str()]);
        self.audit(Some(person.id()), act).await?;
        store
            .replace_recovery_codes(person.id(), person.who.key.as_str(), digests)
            .await?;
        Ok(Answer::RecoveryCodes { codes })
    }

    async fn unlock(&mut self, user: &str) -> Result<Answer, Refused> {
        let person = self.acts.person(user).await?;
        let act = Act::new(Deed::Unlock, [person.who.key.as_str()]);
        self.audit(Some(person.id()), act).await?;
        self.acts.rooms.store.unlock(person.id()).await?;
        Ok(Answer::Unlocked)
    }

    async fn clear_report(&mut self, user: &str) -> Result<Answer, Refused> {
        let person = self.acts.person(user).await?;
        let act = Act::new(Deed::ClearReport, [person.who.key.as_str()]);
        self.audit(Some(person.id()), act).await?;
        let was = self.acts.rooms.store.clear_report(person.id()).await?;
        Ok(Answer::ReportCleared { was })
    }

    async fn disconnect(&mut self, user: &str) -> Result<Answer, Refused> {
        let person = self.acts.person(user).await?;
        let act = Act::new(Deed::Disconnect, [person.who.key.as_str()]);
        self.audit(Some(person.id()), act).await?;
        let access = &self.acts.rooms.access;
        let ended = access
            .end_sessions(person.id(), None, EndWhy::Operator)
            .await?;
        let asked = |(session, outcome)| SessionAsked { session, outcome };
        let sessions = ended.into_iter().map(asked).collect();
        Ok(Answer::Disconnected { sessions })
    }

    async fn forget(&mut self, user: &str, station: Option<&str>) -> Result<Answer, Refused> {
        let person = self.acts.person(user).await?;
        let name = person.who.key.as_str();
        let (only, act) = match station.map(Station::read) {
            None => (None, Act::new(Deed::Forget, [name])),
            Some(Station::Unknown) => {
                return Err(
                    "A station is named by its hardware address, as `user show` gives it.".into(),
                );
            }
            Some(only) => {
                let act = Act::new(Deed::ForgetStation, [&only.to_string(), name]);
                (Some(only), act)
            }
        };
        self.audit(Some(person.id()), act).await?;
        let access = &self.acts.rooms.access;
        let stations = access.forget_stations(person.id(), only).await?;
        Ok(Answer::Forgotten { stations })
    }

    async fn reset(&mut self, user: &str) -> Result<Answer, Refused> {
        let person = self.acts.person(user).await?;
        let act = Act::new(Deed::Reset, [person.who.key.as_str()]);
        self.audit(Some(person.id()), act).await?;
        let factors = self.acts.rooms.store.reset(person.id()).await?;
        Ok(Answer::Reset { factors })
    }

    async fn remove(&mut self, user: &str, factor: i64) -> Result<Answer, Refused> {
        let person = self.acts.person(user).await?;
        let store = self.acts.rooms.store.clone();
        let known = store.known(person.id()).await?;
        let label = known
            .into_iter()
            .flat_map(|known| known.factors)
            .find(|enrolled| enrolled.id == factor)
            .map(|enrolled| enrolled.label)
            .ok_or_else(|| Refused::from(format!("{user} has no factor {factor}.")))?;
        let (number, name) = (factor.to_string(), person.who.key.as_str());
        let act = Act::new(Deed::Remove, [&number, &label, name]);
        self.audit(Some(person.id()), act).await?;
        if store.remove_factor(person.id(), factor).await? {
            Ok(Answer::Removed)
        } else {
            Err(Refused::from(format!(
                "{user} has no factor {factor} any more."
            )))
        }
    }

    async fn reload(&mut self) -> Result<Answer, Refused> {
        self.audit(None, Act::new(Deed::Reload, [])).await?;
        let reload = self.acts.doors.reload.clone();
        let reloaded = tokio::task::spawn_blocking(move || reload())
            .await
            .map_err(|error| Refused::from(format!("The reload broke off: {error}.")))?;
        Ok(match reloaded {
            Ok(()) => Answer::Reloaded,
            Err(faults) => Answer::from(Refused {
                faults,
                ..Refused::from("The new configuration has faults; the old one still holds.")
            }),
        })
    }

    async fn backup(&mut self, to: &Path) -> Result<Answer, Refused> {
        if !to.is_absolute() || to.as_os_str().len() > WORD_OCTETS {
            return Err("The backup needs an absolute path.".into());
        }
        let act = Act::new(Deed::Backup, [&to.display().to_string()]);
        self.audit(None, act).await?;
        self.acts.rooms.store.backup(to).await.map_err(|error| {
            Refused::from(format!(
                "The store was not copied: {error}. The daemon itself writes the file, so it must be new, in a folder that the daemon may write, such as its own."
            ))
        })?;
        Ok(Answer::BackedUp)
    }
}
