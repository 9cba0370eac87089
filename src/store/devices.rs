//! Paired devices and what belongs to them: pairing codes, doorbells; and who is signed in at the portal.
//!
//! A device is a factor: its number is the factor's, the counter of its signatures the factor's last step.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::database::statement;
use super::keys::bell_place;
use super::people::{ADD_FACTOR, cut};
use super::prompts::SQL;
use super::writer::Writing;
use super::{Error, Store};
use crate::account::{AccountId, FactorKind, Language};
use crate::clock::Timestamp;
use crate::factor::DeviceKey;
use crate::secret::{Key, Secret};

/// Factors of one account, as the schema bounds them.
const FACTORS: usize = 16;
/// Sessions of one account; the one that ends first goes.
const SESSIONS: u32 = 16;
/// Characters of what is kept about a doorbell that does not ring.
const FAILURE: usize = 200;
/// Octets of a doorbell.
const BELL: usize = 4096;

const ADD_DEVICE: &str = statement(SQL, "add-device");
const DEVICE: &str = statement(SQL, "device");
pub(super) const SET_BELL: &str = statement(SQL, "set-bell");
const SILENT: &str = statement(SQL, "silent");
const BELL_FAILED: &str = statement(SQL, "bell-failed");
const FORGET_BELL: &str = statement(SQL, "forget-bell");
const BELL_WORKED: &str = statement(SQL, "bell-worked");
const RENAME_FACTOR: &str = statement(SQL, "rename-factor");
const OPEN_PAIRING: &str = statement(SQL, "open-pairing");
const FIND_PAIRING: &str = statement(SQL, "find-pairing");
const END_PAIRING: &str = statement(SQL, "end-pairing");
const PAIRING: &str = statement(SQL, "pairing");
const REMOVE_PAIRING: &str = statement(SQL, "remove-pairing");
const SWEEP_PAIRINGS: &str = statement(SQL, "sweep-pairings");
const ADD_SESSION: &str = statement(SQL, "add-session");
const SESSION: &str = statement(SQL, "session");
const END_SESSION: &str = statement(SQL, "end-session");
const END_SESSIONS: &str = statement(SQL, "end-sessions");
const TRIM_SESSIONS: &str = statement(SQL, "trim-sessions");
const SWEEP_SESSIONS: &str = statement(SQL, "sweep-sessions");

/// A paired device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its number, which is its factor's.
    pub id: i64,
    /// Whose it is.
    pub account: AccountId,
    /// The name that its owner last logged in with.
    pub name: String,
    /// What it is called.
    pub label: String,
    /// The public half of its key.
    pub key: DeviceKey,
    /// Where its doorbell is, as `channel` writes it; none for a device that only polls.
    pub bell: Option<Secret>,
    /// The language of its page.
    pub language: Language,
    /// Since when its doorbell does not ring.
    pub failed: Option<Timestamp>,
    /// Why, in words.
    pub failure: String,
}

/// A device to be paired.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// The public half of its key.
    pub key: DeviceKey,
    /// What it is called.
    pub label: String,
    /// The language of its page.
    pub language: Language,
    /// Where its doorbell is.
    pub bell: Option<Secret>,
}

/// What came of pairing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Paired {
    /// Paired, and to be proven by a test.
    Done {
        /// Whose it is.
        account: AccountId,
        /// The name that the owner is signed in with.
        name: String,
        /// The device's number.
        device: i64,
    },
    /// No such code is open.
    NoSuchCode,
    /// The account has as many factors as it may.
    TooMany,
}

/// A pairing as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// When its code ends.
    pub expires: Timestamp,
    /// The device that used it.
    pub device: Option<i64>,
}

/// Somebody signed in at the portal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub account: AccountId,
    /// The name they signed in with.
    pub name: Arc<str>,
    /// When they last proved a factor here; the moment of their password, if the rules asked for no more.
    pub proven: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

impl Device {
    /// Whether it might hear of a prompt: its doorbell is not known to be gone.
    #[must_use]
    pub const fn is_reachable(&self) -> bool {
        self.bell.is_some() || self.failed.is_none()
    }
}

impl Store {
    /// Opens a pairing under a code, in place of the account's last one.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn open_pairing(
        &self,
        account: &AccountId,
        name: &str,
        code: &str,
        expires: Timestamp,
    ) -> Result<(), Error> {
        let (account, name) = (account.clone(), name.to_owned());
        let code = self.pairing_digest(code);
        self.write(move |writing| {
            let row = writing.account_or_new(&account, &name)?;
            writing.execute(
                OPEN_PAIRING,
                params![row.id, code, cut(&name), expires.millis()],
            )?;
            Ok(())
        })
        .await
    }

    /// The account's pairing, until its code ends.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn pairing(&self, account: &AccountId) -> Result<Option<Pairing>, Error> {
        let reader = self.inner.readers.short();
        let mut statement = reader.prepare_cached(PAIRING)?;
        let mut rows = statement.query([super::people::number(account)])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let expires = Timestamp::from_millis(row.get(0)?);
        let device = row.get(1)?;
        let open = expires > self.inner.clock.now();
        Ok(open.then_some(Pairing { expires, device }))
    }

    /// Pairs a device by a code, once. It can answer nothing but a test until that proves it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn pair(&self, code: &str, device: NewDevice) -> Result<Paired, Error> {
        let code = self.pairing_digest(code);
        self.write(move |writing| writing.pair(&code, &device))
            .await
    }

    /// A device, by its number.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn device(&self, device: i64) -> Result<Option<Device>, Error> {
        let reader = self.inner.readers.short();
        find(&reader, &self.inner.data.load(), device)
    }

    /// Gives a factor another name. Says whether it was there.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn rename_factor(
        &self,
        account: &AccountId,
        factor: i64,
        label: &str,
    ) -> Result<bool, Error> {
        let (account, label) = (super::people::number(account), cut(label));
        self.write(move |writing| {
            Ok(writing.execute(RENAME_FACTOR, params![factor, account, label])? > 0)
        })
        .await
    }

    /// Where a device's doorbell is now, as it signed with this counter. `false` when the counter is none that is new.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or is longer than a doorbell may be.
    pub async fn set_bell(
        &self,
        device: &Device,
        counter: i64,
        bell: Option<Secret>,
    ) -> Result<bool, Error> {
        let (account, device) = (device.account.clone(), device.id);
        self.write(move |writing| {
            let Some(mut row) = writing.account(&account)? else {
                return Ok(false);
            };
            if !row.is_new(device, counter) {
                return Ok(false);
            }
            row.count(device, counter);
            writing.execute(
                SET_BELL,
                (device, writing.sealed_bell(device, bell.as_ref())),
            )?;
            writing.save(row)?;
            Ok(true)
        })
        .await
    }

    /// Gives a device a doorbell that its owner chose, signed in.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn give_bell(&self, device: i64, bell: Secret) -> Result<(), Error> {
        self.write(move |writing| {
            let sealed = writing.sealed_bell(device, Some(&bell));
            writing.execute(SET_BELL, (device, sealed))?;
            Ok(())
        })
        .await
    }

    /// Notes that a device's doorbell rang, or why it did not. Waits for nothing.
    pub fn note_bell(&self, device: i64, failure: Option<&str>) {
        let failure: Option<String> = failure.map(|why| why.chars().take(FAILURE).collect());
        let now = self.inner.clock.now().millis();
        // Lost when the queue is full: the next ring tells it again.
        let _told = self.inner.writer.tell(move |writing| {
            match &failure {
                Some(why) => writing.execute(BELL_FAILED, params![device, now, why])?,
                None => writing.execute(BELL_WORKED, [device])?,
            };
            Ok(())
        });
    }

    /// Forgets a doorbell that is no more. Waits for nothing.
    pub fn forget_bell(&self, device: i64, why: &'static str) {
        let now = self.inner.clock.now().millis();
        let _told = self.inner.writer.tell(move |writing| {
            writing.execute(FORGET_BELL, params![device, now, why])?;
            Ok(())
        });
    }

    /// Opens a session under a token.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn open_session(&self, token: &[u8; 32], session: Session) -> Result<(), Error> {
        let token = self.session_digest(token);
        self.write(move |writing| {
            let row = writing.account_or_new(&session.account, &session.name)?;
            writing.execute(
                ADD_SESSION,
                params![
                    token,
                    row.id,
                    cut(&session.name),
                    session.proven.millis(),
                    session.expires.millis()
                ],
            )?;
            writing.execute(TRIM_SESSIONS, (row.id, SESSIONS))?;
            Ok(())
        })
        .await
    }

    /// The session of a token.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn session(&self, token: &[u8; 32]) -> Result<Option<Session>, Error> {
        let (token, now) = (self.session_digest(token), self.inner.clock.now());
        let reader = self.inner.readers.short();
        let mut statement = reader.prepare_cached(SESSION)?;
        let session = statement.query_row((token, now.millis()), |row| {
            let (account, name): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(Session {
                account: AccountId::from_stored(&account),
                name: name.into(),
                proven: Timestamp::from_millis(row.get(2)?),
                expires: Timestamp::from_millis(row.get(3)?),
            })
        });
        Ok(session.optional()?)
    }

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn end_session(&self, token: &[u8; 32]) -> Result<(), Error> {
        let token = self.session_digest(token);
        self.write(move |writing| {
            writing.execute(END_SESSION, [&token])?;
            Ok(())
        })
        .await
    }

    /// Ends all sessions of an account.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn end_sessions(&self, account: &AccountId) -> Result<(), Error> {
        let account = super::people::number(account);
        self.write(move |writing| writing.end_sessions(account))
            .await
    }

    fn pairing_digest(&self, code: &str) -> [u8; 32] {
        self.inner.digest.digest(&[b"pairing", code.as_bytes()])
    }

    fn session_digest(&self, token: &[u8; 32]) -> [u8; 32] {
        self.inner.digest.digest(&[b"session", token])
    }
}

fn find(connection: &Connection, data: &Key, id: i64) -> Result<Option<Device>, Error> {
    let mut statement = connection.prepare_cached(DEVICE)?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let sealed = row.get_ref(3)?.as_blob().unwrap_or_default();
    let bell = match sealed {
        [] => None,
        sealed => Some(
            data.open(&bell_place(id), sealed)
                .map_err(|_| Error::WrongKey)?,
        ),
    };
    let key = DeviceKey::new(row.get_ref(2)?.as_blob().unwrap_or_default());
    let language: String = row.get(4)?;
    Ok(Some(Device {
        id,
        account: AccountId::from_stored(row.get_ref(0)?.as_str().unwrap_or_default()),
        name: row.get(1)?,
        key: key.map_err(|_| Error::damaged("a device without a key"))?,
        bell,
        language: match language.as_str() {
            "ja" => Language::Ja,
            "en" => Language::En,
            _ => Language::Both,
        },
        failed: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
        failure: row.get(6)?,
        label: row.get(7)?,
    }))
}

/// Since when a device's doorbell does not ring.
pub(super) fn silent(connection: &Connection, device: i64) -> Result<Option<Timestamp>, Error> {
    let mut statement = connection.prepare_cached(SILENT)?;
    let failed: Option<Option<i64>> = statement.query_row([device], |row| row.get(0)).optional()?;
    Ok(failed.flatten().map(Timestamp::from_millis))
}

impl Writing {
    fn pair(&self, code: &[u8; 32], device: &NewDevice) -> Result<Paired, Error> {
        let now = self.clock.now();
        let found = self
            .connection
            .prepare_cached(FIND_PAIRING)?
            .query_row((code, now.millis()), |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        let Some((account, name)) = found else {
            return Ok(Paired::NoSuchCode);
        };
        let account = AccountId::from_stored(&account);
        let Some(mut row) = self.account(&account)? else {
            return Ok(Paired::NoSuchCode);
        };
        if row.factors.len() >= FACTORS {
            return Ok(Paired::TooMany);
        }
        let (kind, label) = (FactorKind::Push.as_str(), cut(&device.label));
        self.execute(
            ADD_FACTOR,
            params![row.id, kind, label, 0, "p256", false, now.millis()],
        )?;
        let id = self.connection.last_insert_rowid();
        self.add_device(id, device)?;
        self.execute(END_PAIRING, (code, id))?;
        row.add_factor(id, Some(0));
        self.write(&row)?;
        Ok(Paired::Done {
            account,
            name,
            device: id,
        })
    }

    fn add_device(&self, id: i64, device: &NewDevice) -> Result<(), Error> {
        let language = match device.language {
            Language::Ja => "ja",
            Language::En => "en",
            Language::Both => "",
        };
        let bell = self.sealed_bell(id, device.bell.as_ref());
        self.execute(ADD_DEVICE, params![id, device.key.octets(), bell, language])?;
        Ok(())
    }

    fn sealed_bell(&self, device: i64, bell: Option<&Secret>) -> Vec<u8> {
        bell.filter(|bell| bell.expose().len() <= BELL)
            .map(|bell| self.data.seal(&bell_place(device), bell))
            .unwrap_or_default()
    }

    pub(super) fn end_sessions(&self, account: i64) -> Result<(), Error> {
        self.execute(END_SESSIONS, [account])?;
        self.execute(REMOVE_PAIRING, [account])?;
        Ok(())
    }

    pub(super) fn sweep_sessions(&self, now: Timestamp) -> Result<(), Error> {
        self.execute(SWEEP_SESSIONS, [now.millis()])?;
        self.execute(SWEEP_PAIRINGS, [now.millis()])?;
        Ok(())
    }
}

/// Seals all doorbells anew under another key.
pub(super) fn reseal_bells(connection: &Connection, old: &Key, new: &Key) -> Result<(), Error> {
    let mut bells = connection.prepare_cached(statement(SQL, "all-bells"))?;
    let mut seal = connection.prepare_cached(statement(SQL, "seal-bell"))?;
    let mut bells = bells.query([])?;
    while let Some(row) = bells.next()? {
        let (device, sealed): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let place = bell_place(device);
        let bell = old.open(&place, &sealed).map_err(|_| Error::WrongKey)?;
        seal.execute((device, new.seal(&place, &bell)))?;
    }
    Ok(())
}
