//! What is kept about an account: its factors, lock-out, stations, wrong passwords and challenges.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::database::statement;
use super::keys::seed_place;
use super::writer::Writing;
use super::{Challenge, Enrolled, Error, KnownAccount, Limits, PasswordStanding, Proof, Standing};
use crate::account::{AccountId, AccountKey, ClientName, Decision, FactorKind, Station};
use crate::clock::Timestamp;
use crate::factor::Totp;

/// Wrong passwords remembered for one station, and for all strangers together: far above any sensible limit, so that
/// only a flood loses its oldest.
const WRONG_PASSWORDS: u32 = 64;
/// Stations remembered for one account; the one not seen for longest goes.
const STATIONS: u32 = 32;
/// A station's mark is renewed when it is older: a write a day, not one a login.
const STATION_FRESH: Duration = Duration::from_secs(24 * 3600);
/// Open challenges of one account: more than a person has windows; the oldest goes.
const CHALLENGES: u32 = 8;
/// The most accounts of one list; the caller asks again after the last.
const LIST: u32 = 10_000;
/// Characters of a label or name that are kept.
const LABEL: usize = 128;

const SQL: &str = include_str!("sql/people.sql");
const FIND_ACCOUNT: &str = statement(SQL, "find-account");
const ADD_ACCOUNT: &str = statement(SQL, "add-account");
const NAME_ACCOUNT: &str = statement(SQL, "name-account");
const STANDING: &str = statement(SQL, "standing");
const FACTORS: &str = statement(SQL, "factors");
const STATION_KNOWN: &str = statement(SQL, "station-known");
const WRONG_PASSWORDS_OF: &str = statement(SQL, "wrong-passwords");
const ADD_WRONG_PASSWORD: &str = statement(SQL, "add-wrong-password");
const TRIM_HERE: &str = statement(SQL, "trim-wrong-passwords-here");
const TRIM_STRANGE: &str = statement(SQL, "trim-wrong-passwords-strange");
const CLEAR_WRONG_PASSWORDS: &str = statement(SQL, "clear-wrong-passwords");
const STATION_SEEN: &str = statement(SQL, "station-seen");
const MARK_STATION: &str = statement(SQL, "mark-station");
const TRIM_STATIONS: &str = statement(SQL, "trim-stations");
const ADD_FACTOR: &str = statement(SQL, "add-factor");
pub(super) const SEAL_FACTOR: &str = statement(SQL, "seal-factor");
const ADD_RECOVERY_CODE: &str = statement(SQL, "add-recovery-code");
const REMOVE_RECOVERY: &str = statement(SQL, "remove-recovery");
const REMOVE_FACTOR: &str = statement(SQL, "remove-factor");
const REMOVE_FACTORS: &str = statement(SQL, "remove-factors");
const REMOVE_CHALLENGES: &str = statement(SQL, "remove-challenges");
pub(super) const REMOVE_SENT_CODE: &str = statement(SQL, "remove-sent-code");
const FORGET_MESSAGES: &str = statement(SQL, "forget-messages");
const OPEN_CHALLENGE: &str = statement(SQL, "open-challenge");
const TRIM_CHALLENGES: &str = statement(SQL, "trim-challenges");
const TAKE_CHALLENGE: &str = statement(SQL, "take-challenge");
const ACCOUNTS: &str = statement(SQL, "accounts");
const KNOWN: &str = statement(SQL, "known");
pub(super) const COUNT_ACCOUNTS: &str = statement(SQL, "count-accounts");

/// The row of an account.
pub(super) struct AccountRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) wrong: u32,
    pub(super) locks: u32,
    pub(super) locked_until: Option<Timestamp>,
}

/// The kind that a stored word names.
pub(super) fn kind(word: &str) -> Result<FactorKind, Error> {
    [
        FactorKind::Totp,
        FactorKind::Sms,
        FactorKind::Voice,
        FactorKind::Recovery,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == word)
    .ok_or_else(|| Error::damaged("a factor of no known kind"))
}

/// As much of a text as is kept.
fn cut(text: &str) -> String {
    text.chars().take(LABEL).collect()
}

fn moment(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}

/// See [`super::Store::standing`].
pub(super) fn standing(
    reader: &Connection,
    limits: &Limits,
    now: Timestamp,
    (account, station): (&AccountId, &Station),
) -> Result<Standing, Error> {
    // One snapshot, and one lock instead of one for each statement.
    let reader = reader.unchecked_transaction()?;
    let found = reader
        .prepare_cached(STANDING)?
        .query_row((account.as_str(), now.millis()), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((id, locked, digits)) = found else {
        return Ok(Standing::default());
    };
    let digits: Option<u8> = digits;
    let mut factors = enrolled(&reader, id)?;
    factors.retain(|factor| factor.kind != FactorKind::Recovery || factor.digits > 0);
    Ok(Standing {
        factors,
        locked_until: moment(locked).filter(|until| *until > now),
        sent_code_open: digits.is_some(),
        sent_code_digits: digits.unwrap_or_default(),
        passwords: passwords(&reader, limits, now, (id, station))?,
    })
}

fn enrolled(reader: &Connection, account: i64) -> Result<Vec<Enrolled>, Error> {
    let mut statement = reader.prepare_cached(FACTORS)?;
    let mut rows = statement.query([account])?;
    let mut factors = Vec::new();
    while let Some(row) = rows.next()? {
        factors.push(Enrolled {
            id: row.get(0)?,
            kind: kind(row.get_ref(1)?.as_str().unwrap_or_default())?,
            label: row.get(2)?,
            digits: row.get(3)?,
            proven: row.get(4)?,
            enrolled: Timestamp::from_millis(row.get(5)?),
            used: moment(row.get(6)?),
        });
    }
    Ok(factors)
}

fn passwords(
    reader: &Connection,
    limits: &Limits,
    now: Timestamp,
    (account, station): (i64, &Station),
) -> Result<PasswordStanding, Error> {
    let here = station.to_string();
    let known_since = now.before(limits.station_known).millis();
    let known_station = *station != Station::Unknown
        && reader
            .prepare_cached(STATION_KNOWN)?
            .exists(params![account, here, known_since])?;
    let mut standing = PasswordStanding {
        known_station,
        ..PasswordStanding::default()
    };
    let since = now.before(limits.password_window).millis();
    let mut statement = reader.prepare_cached(WRONG_PASSWORDS_OF)?;
    let mut rows = statement.query(params![account, here, since, known_since])?;
    while let Some(row) = rows.next()? {
        let (is_here, at, of_known): (bool, i64, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
        standing.wrong_here += u32::from(is_here);
        standing.wrong_strangers += u32::from(!of_known);
        if (known_station && is_here) || (!known_station && !of_known) {
            standing.last_wrong = standing.last_wrong.max(moment(Some(at)));
        }
    }
    Ok(standing)
}

/// See [`super::Store::accounts`].
pub(super) fn accounts(
    reader: &Connection,
    now: Timestamp,
    after: &str,
    limit: u32,
) -> Result<Vec<KnownAccount>, Error> {
    let mut statement = reader.prepare_cached(ACCOUNTS)?;
    let mut rows = statement.query(params![after, now.millis(), limit.min(LIST)])?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        accounts.push(known_account(reader, now, row)?);
    }
    Ok(accounts)
}

/// See [`super::Store::known`].
pub(super) fn known(
    reader: &Connection,
    now: Timestamp,
    account: &AccountId,
) -> Result<Option<KnownAccount>, Error> {
    let mut statement = reader.prepare_cached(KNOWN)?;
    let mut rows = statement.query([account.as_str()])?;
    rows.next()?
        .map(|row| known_account(reader, now, row))
        .transpose()
}

fn known_account(
    reader: &Connection,
    now: Timestamp,
    row: &Row<'_>,
) -> Result<KnownAccount, Error> {
    let stable: String = row.get(1)?;
    Ok(KnownAccount {
        account: AccountId::from_stored(&stable),
        name: row.get(2)?,
        factors: enrolled(reader, row.get(0)?)?,
        locked_until: moment(row.get(3)?).filter(|until| *until > now),
    })
}

impl Writing {
    /// The account's row, if anything is kept about it.
    pub(super) fn account(&self, account: &AccountId) -> Result<Option<AccountRow>, Error> {
        let row = self
            .connection
            .prepare_cached(FIND_ACCOUNT)?
            .query_row([account.as_str()], |row| {
                Ok(AccountRow {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    wrong: row.get(2)?,
                    locks: row.get(3)?,
                    locked_until: moment(row.get(4)?),
                })
            })
            .optional()?;
        Ok(row)
    }

    /// The account's row, made if there is none.
    pub(super) fn account_or_new(
        &self,
        account: &AccountId,
        name: &str,
    ) -> Result<AccountRow, Error> {
        if let Some(row) = self.account(account)? {
            if row.name.is_empty() {
                self.name_account(&row, name)?;
            }
            return Ok(row);
        }
        let name = cut(name);
        self.connection
            .prepare_cached(ADD_ACCOUNT)?
            .execute((account.as_str(), &name))?;
        Ok(AccountRow {
            id: self.connection.last_insert_rowid(),
            name,
            wrong: 0,
            locks: 0,
            locked_until: None,
        })
    }

    fn name_account(&self, row: &AccountRow, name: &str) -> Result<(), Error> {
        if row.name != name {
            self.execute(NAME_ACCOUNT, params![row.id, cut(name)])?;
        }
        Ok(())
    }

    /// Runs a statement with its parameters; says how many rows it touched.
    pub(super) fn execute(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<usize, Error> {
        Ok(self.connection.prepare_cached(sql)?.execute(parameters)?)
    }

    /// What an Accept leaves behind: the station is the account's own, its wrong passwords are forgiven, the name is
    /// the one used last.
    pub(super) fn welcome(&self, row: &AccountRow, decision: &Decision) -> Result<(), Error> {
        self.name_account(row, &decision.name)?;
        let station = decision.station.to_string();
        self.execute(CLEAR_WRONG_PASSWORDS, params![row.id, station])?;
        if decision.station == Station::Unknown {
            return Ok(());
        }
        let now = self.clock.now();
        let seen: Option<i64> = self
            .connection
            .prepare_cached(STATION_SEEN)?
            .query_row(params![row.id, station], |row| row.get(0))
            .optional()?;
        if moment(seen).is_some_and(|seen| seen > now.before(STATION_FRESH)) {
            return Ok(());
        }
        self.execute(MARK_STATION, params![row.id, station, now.millis()])?;
        if seen.is_none() {
            self.execute(TRIM_STATIONS, params![row.id, STATIONS])?;
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
        self.execute(TRIM_HERE, params![row.id, here, WRONG_PASSWORDS])?;
        self.execute(TRIM_STRANGE, params![row.id, WRONG_PASSWORDS])?;
        Ok(())
    }

    pub(super) fn enrol_totp(
        &self,
        (account, name): (&AccountId, &str),
        label: &str,
        totp: &Totp,
        proof: Proof,
    ) -> Result<i64, Error> {
        let row = self.account_or_new(account, name)?;
        self.name_account(&row, name)?;
        let last_step = match proof {
            Proof::Step(step) => i64::try_from(step.0).unwrap_or(i64::MAX),
            Proof::Waived => -1,
        };
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
                last_step
            ],
        )?;
        let id = self.connection.last_insert_rowid();
        let sealed = self.data.seal(&seed_place(id), totp.seed());
        self.execute(SEAL_FACTOR, params![id, sealed])?;
        self.clear_wrong_codes(row.id)?;
        Ok(id)
    }

    pub(super) fn replace_recovery_codes(
        &self,
        account: &AccountId,
        name: &str,
        digests: &[[u8; 32]],
    ) -> Result<(), Error> {
        let row = self.account_or_new(account, name)?;
        self.name_account(&row, name)?;
        self.execute(REMOVE_RECOVERY, [row.id])?;
        self.clear_wrong_codes(row.id)?;
        if digests.is_empty() {
            return Ok(());
        }
        let now = self.clock.now().millis();
        self.execute(
            ADD_FACTOR,
            params![
                row.id,
                FactorKind::Recovery.as_str(),
                "",
                0,
                "",
                true,
                now,
                -1
            ],
        )?;
        let factor = self.connection.last_insert_rowid();
        for digest in digests {
            self.execute(ADD_RECOVERY_CODE, params![factor, digest])?;
        }
        Ok(())
    }

    pub(super) fn remove_factor(&self, account: &AccountId, factor: i64) -> Result<bool, Error> {
        let Some(row) = self.account(account)? else {
            return Ok(false);
        };
        Ok(self.execute(REMOVE_FACTOR, params![row.id, factor])? > 0)
    }

    pub(super) fn reset(&self, account: &AccountId) -> Result<u64, Error> {
        let Some(row) = self.account(account)? else {
            return Ok(0);
        };
        self.execute(REMOVE_CHALLENGES, [row.id])?;
        self.execute(REMOVE_SENT_CODE, [row.id])?;
        Ok(self.execute(REMOVE_FACTORS, [row.id])? as u64)
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
