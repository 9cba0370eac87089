//! What is kept about an account: its factors, lock-out, stations, wrong passwords and challenges.

mod account;
mod behind;
mod pushes;
mod remembered;

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::database::statement;
use super::keys::seed_place;
use super::prompts;
use super::writer::Writing;
use super::{
    Admission, Challenge, Enrolled, Error, KnownAccount, Limits, PasswordStanding, Proof, Standing,
};
use crate::account::{AccountId, AccountKey, ClientName, FactorKind, Station};
use crate::clock::Timestamp;
use crate::factor::Totp;
pub(super) use account::{AccountRow, cut, number};
pub(super) use behind::{Behind, Waiting, read_account};

/// Wrong passwords remembered for one station, and for all strangers together: far above any sensible limit, so that
/// only a flood loses its oldest.
const WRONG_PASSWORDS: u32 = 64;
/// A station's mark is renewed when it is older: a new text a day, not one a login.
const STATION_FRESH: Duration = Duration::from_secs(24 * 3600);
/// Open challenges of one account: more than a person has windows; the oldest goes.
const CHALLENGES: u32 = 8;
/// The most accounts of one list; the caller asks again after the last.
const LIST: u32 = 10_000;
/// Characters of a label or name that are kept.
const LABEL: usize = 128;

const SQL: &str = include_str!("sql/people.sql");
const OPEN_CODE: &str = statement(SQL, "digits-of-open-code");
const FACTOR: &str = statement(SQL, "factor");
const WRONG_PASSWORDS_OF: &str = statement(SQL, "wrong-passwords");
const ADD_WRONG_PASSWORD: &str = statement(SQL, "add-wrong-password");
const LOOK_FOR_WRONG_PASSWORDS: &str = statement(SQL, "look-for-wrong-passwords");
const TRIM_HERE: &str = statement(SQL, "trim-wrong-passwords-here");
const TRIM_STRANGE: &str = statement(SQL, "trim-wrong-passwords-strange");
const CLEAR_WRONG_PASSWORDS: &str = statement(SQL, "clear-wrong-passwords");
pub(super) const ADD_FACTOR: &str = statement(SQL, "add-factor");
pub(super) const SEAL_FACTOR: &str = statement(SQL, "seal-factor");
const ADD_RECOVERY_CODE: &str = statement(SQL, "add-recovery-code");
const REMOVE_RECOVERY: &str = statement(SQL, "remove-recovery");
const REMOVE_FACTOR: &str = statement(SQL, "remove-factor");
const REMOVE_FACTORS: &str = statement(SQL, "remove-factors");
pub(super) const REMOVE_CHALLENGES: &str = statement(SQL, "remove-challenges");
pub(super) const REMOVE_SENT_CODE: &str = statement(SQL, "remove-sent-code");
const FORGET_MESSAGES: &str = statement(SQL, "forget-messages");
const OPEN_CHALLENGE: &str = statement(SQL, "open-challenge");
const TRIM_CHALLENGES: &str = statement(SQL, "trim-challenges");
const TAKE_CHALLENGE: &str = statement(SQL, "take-challenge");
const ACCOUNTS: &str = statement(SQL, "accounts");
pub(super) const COUNT_ACCOUNTS: &str = statement(SQL, "count-accounts");

/// The kind that a stored word names.
pub(super) fn kind(word: &str) -> Result<FactorKind, Error> {
    [
        FactorKind::Push,
        FactorKind::Totp,
        FactorKind::Sms,
        FactorKind::Voice,
        FactorKind::Recovery,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == word)
    .ok_or_else(|| Error::damaged("a factor of no known kind"))
}

fn moment(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}

/// See [`super::Store::standing`].
pub(super) fn standing(
    place: (&Connection, &Waiting),
    limits: &Limits,
    now: Timestamp,
    (account, station): (&AccountId, &Station),
) -> Result<Standing, Error> {
    read_account(place, account, |reader, row| {
        let Some(row) = row else {
            return Ok(Standing {
                prompts_left: limits.prompts,
                ..Standing::default()
            });
        };
        let mut factors = enrolled(reader, &row)?;
        factors.retain(|factor| match factor.kind {
            FactorKind::Push => factor.proven,
            FactorKind::Recovery => factor.digits > 0,
            FactorKind::Totp | FactorKind::Sms | FactorKind::Voice => true,
        });
        let digits: Option<u8> = if row.sent_until.is_some_and(|until| until > now) {
            reader
                .prepare_cached(OPEN_CODE)?
                .query_row((row.id, now.millis()), |row| row.get(0))
                .optional()?
        } else {
            None
        };
        Ok(Standing {
            factors,
            locked_until: row.locked_until.filter(|until| *until > now),
            sent_code_open: digits.is_some(),
            sent_code_digits: digits.unwrap_or_default(),
            passwords: passwords(reader, limits, now, (&row, station))?,
            prompts: prompts::standing(reader, &row, now)?,
            prompts_left: row.pushes.left(now, (limits.prompts, limits.prompt_window)),
            exposed: moment(row.pushes.exposed),
            remembered: row.remembered.stations(now),
            ended: row.remembered.ended,
        })
    })
}

pub(super) fn enrolled(reader: &Connection, account: &AccountRow) -> Result<Vec<Enrolled>, Error> {
    let mut statement = reader.prepare_cached(FACTOR)?;
    let mut factors = Vec::with_capacity(account.factors.len());
    for used in &account.factors {
        let mut rows = statement.query((used.0, account.id))?;
        let row = rows
            .next()?
            .ok_or_else(|| Error::damaged("a factor that is not there"))?;
        let used_at = used.when();
        factors.push(Enrolled {
            id: used.0,
            kind: kind(row.get_ref(0)?.as_str().unwrap_or_default())?,
            label: row.get(1)?,
            digits: row.get(2)?,
            // A code of it is the proof, whenever it came.
            proven: row.get(3)? || used_at.is_some(),
            enrolled: Timestamp::from_millis(row.get(4)?),
            used: used_at,
            silent: None,
        });
    }
    Ok(factors)
}

fn passwords(
    reader: &Connection,
    limits: &Limits,
    now: Timestamp,
    (account, station): (&AccountRow, &Station),
) -> Result<PasswordStanding, Error> {
    let here = station.to_string();
    let known_since = now.before(limits.station_known);
    let known_station = account.knows(&here, known_since);
    let mut standing = PasswordStanding {
        known_station,
        ..PasswordStanding::default()
    };
    let since = now.before(limits.password_window);
    if account.wrong_password.is_none_or(|last| last <= since) {
        return Ok(standing);
    }
    let mut statement = reader.prepare_cached(WRONG_PASSWORDS_OF)?;
    let mut rows = statement.query((account.id, since.millis()))?;
    while let Some(row) = rows.next()? {
        let from = row.get_ref(0)?.as_str().unwrap_or_default();
        let (is_here, of_known) = (from == here, account.knows(from, known_since));
        standing.wrong_here += u32::from(is_here);
        standing.wrong_own += u32::from(of_known);
        standing.wrong_strangers += u32::from(!of_known);
        if of_known == known_station {
            standing.last_wrong = standing.last_wrong.max(moment(row.get(1)?));
        }
    }
    Ok(standing)
}

/// See [`super::Store::accounts`].
pub(super) fn accounts(
    place: (&Connection, &Waiting),
    now: Timestamp,
    after: &str,
    limit: u32,
) -> Result<Vec<KnownAccount>, Error> {
    let ids = {
        let mut statement = place.0.prepare_cached(ACCOUNTS)?;
        let mut rows = statement.query(params![after, now.millis(), limit.min(LIST)])?;
        let mut ids = Vec::new();
        while let Some(row) = rows.next()? {
            ids.push(AccountId::from_stored(
                row.get_ref(0)?.as_str().unwrap_or_default(),
            ));
        }
        ids
    };
    let mut accounts = Vec::with_capacity(ids.len());
    for account in ids {
        accounts.extend(known(place, now, account)?);
    }
    Ok(accounts)
}

/// See [`super::Store::known`].
pub(super) fn known(
    place: (&Connection, &Waiting),
    now: Timestamp,
    account: AccountId,
) -> Result<Option<KnownAccount>, Error> {
    read_account(place, &account.clone(), |reader, row| {
        let Some(row) = row else {
            return Ok(None);
        };
        let mut factors = enrolled(reader, &row)?;
        for device in factors.iter_mut().filter(|f| f.kind == FactorKind::Push) {
            device.silent = super::devices::silent(reader, device.id)?;
        }
        Ok(Some(KnownAccount {
            factors,
            account,
            reported: moment(row.pushes.exposed),
            remembered: row.remembered.stations(now),
            name: row.name,
            locked_until: row.locked_until.filter(|until| *until > now),
        }))
    })
}

impl Writing {
    /// Runs a statement with its parameters; says how many rows it touched.
    pub(super) fn execute(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<usize, Error> {
        Ok(self.connection.prepare_cached(sql)?.execute(parameters)?)
    }

    /// What an Accept leaves behind: the station is the account's own, wrong passwords from own stations are forgiven if there was
    /// a bind (as the directory forgives them now), the name is the one used last. The row is saved by the caller.
    pub(super) fn welcome(&self, row: &mut AccountRow, admission: &Admission) -> Result<(), Error> {
        let (decision, now) = (&admission.decision, self.clock.now());
        self.name_account(row, &decision.name)?;
        row.pushes.forget_count();
        if let Some(new) = &admission.remember {
            let place = (&decision.client, &decision.station);
            row.remembered.keep(place, new, now);
        }
        if admission.bound && row.wrong_password.is_some() {
            let here = decision.station.to_string();
            let own = row.stations()?;
            self.execute(CLEAR_WRONG_PASSWORDS, params![row.id, here, own])?;
        }
        if decision.station != Station::Unknown {
            row.see(&decision.station, now, now.before(STATION_FRESH));
        }
        Ok(())
    }

    pub(super) fn wrong_password(
        &self,
        account: &AccountId,
        station: &Station,
        name: &str,
    ) -> Result<(), Error> {
        let row = self.account_or_new(account, name)?;
        let (here, now) = (station.to_string(), self.clock.now().millis());
        self.execute(ADD_WRONG_PASSWORD, params![row.id, here, now])?;
        self.execute(LOOK_FOR_WRONG_PASSWORDS, (row.id, now))?;
        self.execute(TRIM_HERE, params![row.id, here, WRONG_PASSWORDS])?;
        self.execute(
            TRIM_STRANGE,
            params![row.id, WRONG_PASSWORDS, row.stations()?],
        )?;
        Ok(())
    }

    pub(super) fn enrol_totp(
        &self,
        (account, name): (&AccountId, &str),
        label: &str,
        totp: &Totp,
        proof: Proof,
    ) -> Result<i64, Error> {
        let mut row = self.account_or_new(account, name)?;
        self.name_account(&mut row, name)?;
        self.execute(
            ADD_FACTOR,
            params![
                row.id,
                FactorKind::Totp.as_str(),
                cut(label),
                totp.digits(),
                totp.algorithm().as_str(),
                proof != Proof::Waived,
                self.clock.now().millis(),
            ],
        )?;
        let id = self.connection.last_insert_rowid();
        let sealed = self.data.seal(&seed_place(id), totp.seed());
        self.execute(SEAL_FACTOR, params![id, sealed])?;
        self.clear_wrong_codes(row.id)?;
        let step = match proof {
            Proof::Step(step) => Some(i64::try_from(step.0).unwrap_or(i64::MAX)),
            Proof::Waived => None,
        };
        row.add_factor(id, step);
        self.write(&row)?;
        Ok(id)
    }

    pub(super) fn replace_recovery_codes(
        &self,
        account: &AccountId,
        name: &str,
        digests: &[[u8; 32]],
    ) -> Result<(), Error> {
        let mut row = self.account_or_new(account, name)?;
        self.name_account(&mut row, name)?;
        let mut statement = self.connection.prepare_cached(REMOVE_RECOVERY)?;
        for removed in statement.query_map([row.id], |row| row.get(0))? {
            row.remove_factor(removed?);
        }
        self.clear_wrong_codes(row.id)?;
        if !digests.is_empty() {
            let kind = FactorKind::Recovery.as_str();
            let now = self.clock.now().millis();
            self.execute(ADD_FACTOR, params![row.id, kind, "", 0, "", true, now])?;
            let factor = self.connection.last_insert_rowid();
            for digest in digests {
                self.execute(ADD_RECOVERY_CODE, params![factor, digest])?;
            }
            row.add_factor(factor, None);
        }
        self.write(&row)
    }

    pub(super) fn remove_factor(&self, account: &AccountId, factor: i64) -> Result<bool, Error> {
        let Some(mut row) = self.account(account)? else {
            return Ok(false);
        };
        let removed = self.execute(REMOVE_FACTOR, params![row.id, factor])? > 0;
        if removed {
            row.remove_factor(factor);
            row.remembered.end(None);
            self.withdraw_prompts(&row)?;
            self.write(&row)?;
            // Traces tell what is remembered, too.
            self.save(row)?;
        }
        Ok(removed)
    }

    pub(super) fn reset(&self, account: &AccountId) -> Result<u64, Error> {
        let Some(mut row) = self.account(account)? else {
            return Ok(0);
        };
        self.execute(REMOVE_CHALLENGES, [row.id])?;
        self.execute(REMOVE_SENT_CODE, [row.id])?;
        let removed = self.execute(REMOVE_FACTORS, [row.id])?;
        self.withdraw_prompts(&row)?;
        self.end_sessions(row.id)?;
        row.factors.clear();
        row.remembered.end(None);
        self.write(&row)?;
        self.save(row)?;
        Ok(removed as u64)
    }

    /// See [`super::Store::forget_stations`].
    pub(super) fn forget_stations(
        &self,
        account: &AccountId,
        only: Option<&Station>,
    ) -> Result<usize, Error> {
        let Some(mut row) = self.account(account)? else {
            return Ok(0);
        };
        let forgotten = row.remembered.end(only);
        self.save(row)?;
        Ok(forgotten)
    }

    pub(super) fn unlock(&self, account: &AccountId) -> Result<(), Error> {
        let Some(row) = self.account(account)? else {
            return Ok(());
        };
        self.execute(FORGET_MESSAGES, [row.id])?;
        self.forgive(row.id)
    }

    pub(super) fn open_challenge(
        &self,
        state: &[u8; 32],
        challenge: &Challenge,
        name: &str,
    ) -> Result<(), Error> {
        let row = self.account_or_new(&challenge.account, name)?;
        let body = serde_json::to_string(challenge)?;
        self.execute(
            OPEN_CHALLENGE,
            params![
                state,
                row.id,
                challenge.client.as_str(),
                challenge.name.as_str(),
                body,
                self.clock.now().millis(),
                challenge.expires.millis()
            ],
        )?;
        self.execute(TRIM_CHALLENGES, params![row.id, CHALLENGES])?;
        Ok(())
    }

    pub(super) fn take_challenge(
        &self,
        state: &[u8; 32],
        client: &ClientName,
        name: &AccountKey,
    ) -> Result<Option<Challenge>, Error> {
        let taken: Option<(String, i64)> = self
            .connection
            .prepare_cached(TAKE_CHALLENGE)?
            .query_row(params![state, client.as_str(), name.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        match taken {
            Some((body, expires)) if Timestamp::from_millis(expires) > self.clock.now() => {
                Ok(Some(serde_json::from_str(&body)?))
            }
            Some(_) | None => Ok(None),
        }
    }
}
