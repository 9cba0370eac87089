//! What is done about an ask.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use unicode_normalization::UnicodeNormalization;

use super::enrol::Pending;
use super::protocol::{AccountShown, Answer, Ask, ClientSeen, LIST_ROWS, ServerShown, Status};
use super::{Doors, Rooms, lend, story};
use crate::account::{AccountId, Station, TypedName, Who};
use crate::clock::Timestamp;
use crate::directory::{Entry, Refusal, State};
use crate::factor::RecoveryCode;
use crate::secret::Secret;
use crate::store;

/// How long an act may take.
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
pub(super) struct Refused(pub(super) String);

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self(why)
    }
}

impl From<&str> for Refused {
    fn from(why: &str) -> Self {
        Self(why.to_owned())
    }
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        Self(format!("The store did not do it: {error}."))
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

/// A person found in the directory.
pub(super) struct Person {
    pub(super) entry: Arc<Entry>,
    pub(super) who: Who,
}

impl Person {
    pub(super) fn id(&self) -> &AccountId {
        &self.entry.id
    }
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
        let what = "was refused at the control socket";
        if let Err(error) = self.rooms.store.record_operator(uid, None, what).await {
            log::error!("a refusal at the control socket was not audited: {error}");
        }
    }

    /// Reads a name as a login would.
    pub(super) fn who(&self, user: &str) -> Result<Who, Refused> {
        TypedName::parse(user.as_bytes())
            .and_then(|name| name.resolve(&self.rooms.access.settings().realms))
            .map_err(|bad| Refused(format!("Nobody can have this name: {bad}.")))
    }

    pub(super) async fn person(&self, user: &str) -> Result<Person, Refused> {
        let who = self.who(user)?;
        let entry = self.rooms.access.account(user).await?;
        Ok(Person { entry, who })
    }

    async fn show(&self, user: &str) -> Result<Answer, Refused> {
        let person = self.person(user).await?;
        let known = self.rooms.store.known(person.id()).await?;
        let (factors, locked_until) = known.map_or_else(Default::default, |known| {
            (known.factors, known.locked_until)
        });
        let entry = &person.entry;
        Ok(Answer::Account(Box::new(AccountShown {
            user: person.who.user.to_string(),
            account: entry.id.to_string(),
            dn: entry.dn.to_string(),
            barred: match entry.state {
                State::Usable => None,
                State::Barred(refusal) => Some(barred(refusal).to_owned()),
            },
            phones: entry.phones.iter().map(|phone| phone_end(phone)).collect(),
            groups: entry.groups.iter().map(ToString::to_string).collect(),
            factors,
            locked_until,
        })))
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
            .ok_or_else(|| Refused(self.no_such_client(client)))?;
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
        let explanation = self
            .rooms
            .access
            .explain(user, policy, &station, at)
            .await?;
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

    fn status(&self) -> Answer {
        let directories = (self.doors.directories)()
            .iter()
            .flat_map(|directory| directory.health())
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
        }))
    }
}

fn barred(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::WrongPassword => "the entry has no usable password",
        Refusal::Locked => "the account is locked in the directory",
        Refusal::Disabled => "the account is disabled in the directory",
        Refusal::AccountExpired => "the account's time is over",
        Refusal::PasswordExpired => "the password has expired",
        Refusal::MustChange => "the password must be changed first",
        Refusal::NotNow => "the directory allows no login at this time",
    }
}

/// The last four digits: enough to recognise a number, too little to call it.
fn phone_end(phone: &str) -> String {
    // Directories have numbers in full-width digits, too.
    let digits: Vec<char> = phone.nfkc().filter(char::is_ascii_digit).collect();
    let end = digits.len().saturating_sub(4);
    let shown: String = digits.into_iter().skip(end).collect();
    format!("…{shown}")
}

/// One connection's asks, and what it has begun.
pub(super) struct Conversation {
    pub(super) acts: Acts,
    pub(super) uid: u32,
    pub(super) pending: Option<Pending>,
}

impl Conversation {
    pub(super) fn new(acts: Acts, uid: u32) -> Self {
        Self {
            acts,
            uid,
            pending: None,
        }
    }

    /// Follows an ask within its time.
    pub(super) async fn answer(&mut self, ask: Ask) -> Answer {
        let time = match ask {
            Ask::Backup { .. } | Ask::RotateKey => LONG_ACT_TIME,
            _ => ACT_TIME,
        };
        match tokio::time::timeout(time, self.follow(ask)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(Refused(why))) => Answer::Refused {
                why,
                faults: Vec::new(),
            },
            Err(_) => Answer::Refused {
                why: "It took too long; whether it was done is not known.".to_owned(),
                faults: Vec::new(),
            },
        }
    }

    async fn follow(&mut self, ask: Ask) -> Result<Answer, Refused> {
        match ask {
            Ask::EnrolTotp(wanted) => self.enrol_totp(wanted).await,
            Ask::Prove { code } => self.prove(&code).await,
            Ask::RecoveryCodes { user } => self.recovery_codes(&user).await,
            Ask::Show { user } => self.acts.show(&user).await,
            Ask::List { after } => {
                let accounts = self.acts.rooms.store.accounts(after, LIST_ROWS).await?;
                Ok(Answer::Accounts { accounts })
            }
            Ask::Unlock { user } => self.unlock(&user).await,
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
            Ask::Status => Ok(self.acts.status()),
            Ask::Lend { client } => self.lend(client).await,
            Ask::Reload => self.reload().await,
            Ask::Backup { to } => self.backup(&to).await,
            Ask::RotateKey => {
                self.audit(None, "rotates the master key").await?;
                self.acts.rooms.store.rotate_key().await?;
                Ok(Answer::KeyRotated)
            }
        }
    }

    /// Records an act before it is done: what cannot be recorded is not done.
    pub(super) async fn audit(
        &self,
        account: Option<&AccountId>,
        what: &str,
    ) -> Result<(), Refused> {
        log::info!("uid {} {what}", self.uid);
        let store = &self.acts.rooms.store;
        Ok(store.record_operator(self.uid, account, what).await?)
    }

    async fn recovery_codes(&self, user: &str) -> Result<Answer, Refused> {
        let person = self.acts.person(user).await?;
        let store = &self.acts.rooms.store;
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
        self.audit(Some(person.id()), "makes new recovery codes")
            .await?;
        store
            .replace_recovery_codes(person.id(), person.who.key.as_str(), digests)
            .await?;
        Ok(Answer::RecoveryCodes { codes })
    }

    async fn unlock(&self, user: &str) -> Result<Answer, Refused> {
        let person = self.acts.person(user).await?;
        self.audit(Some(person.id()), "unlocks codes").await?;
        self.acts.rooms.store.unlock(person.id()).await?;
        Ok(Answer::Unlocked)
    }

    async fn reset(&self, user: &str) -> Result<Answer, Refused> {
        let person = self.acts.person(user).await?;
        self.audit(Some(person.id()), "removes every factor")
            .await?;
        let factors = self.acts.rooms.store.reset(person.id()).await?;
        Ok(Answer::Reset { factors })
    }

    async fn remove(&self, user: &str, factor: i64) -> Result<Answer, Refused> {
        let person = self.acts.person(user).await?;
        let store = &self.acts.rooms.store;
        let known = store.known(person.id()).await?;
        let label = known
            .into_iter()
            .flat_map(|known| known.factors)
            .find(|enrolled| enrolled.id == factor)
            .map(|enrolled| enrolled.label)
            .ok_or_else(|| Refused(format!("{user} has no factor {factor}.")))?;
        let what = format!("removes factor {factor} ({label})");
        self.audit(Some(person.id()), &what).await?;
        if store.remove_factor(person.id(), factor).await? {
            Ok(Answer::Removed)
        } else {
            Err(Refused(format!("{user} has no factor {factor} any more.")))
        }
    }

    async fn reload(&self) -> Result<Answer, Refused> {
        self.audit(None, "reloads the configuration").await?;
        let reload = self.acts.doors.reload.clone();
        let reloaded = tokio::task::spawn_blocking(move || reload())
            .await
            .map_err(|error| Refused(format!("The reload broke off: {error}.")))?;
        Ok(match reloaded {
            Ok(()) => Answer::Reloaded,
            Err(faults) => Answer::Refused {
                why: "The new configuration has faults; the old one still holds.".to_owned(),
                faults,
            },
        })
    }

    async fn backup(&self, to: &Path) -> Result<Answer, Refused> {
        if !to.is_absolute() || to.as_os_str().len() > WORD_OCTETS {
            return Err("The backup needs an absolute path.".into());
        }
        let what = format!("copies the store to {}", to.display());
        self.audit(None, &what).await?;
        self.acts.rooms.store.backup(to).await.map_err(|error| {
            Refused(format!(
                "The store was not copied: {error}. The daemon itself writes the file, so it must be new, in a folder that the daemon may write, such as its own."
            ))
        })?;
        Ok(Answer::BackedUp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_number_is_shown() {
        assert_eq!(phone_end("+81 90-1234-5678"), "…5678");
        assert_eq!(phone_end("０９０−１２３４−５６７８"), "…5678");
        assert_eq!(phone_end("12"), "…12");
    }
}
