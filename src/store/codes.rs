//! Codes: judged, counted, locked; opened when one is sent.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::database::statement;
use super::keys::seed_place;
use super::people::{AccountRow, REMOVE_SENT_CODE, kind};
use super::writer::Writing;
use super::{Admission, CodeIssued, CodeJudged, Error, SentCode};
use crate::account::{AccountId, FactorKind};
use crate::clock::Timestamp;
use crate::factor::{Algorithm, OneTimeCode, RecoveryCode, Totp};
use crate::secret::equal;

/// The longest lock-out, unless the first is configured longer.
const LONGEST_LOCK: Duration = Duration::from_secs(24 * 3600);
/// Doublings after which any lock-out has become the longest: one of a second takes 17.
const DOUBLINGS: u32 = 17;
/// Numbers remembered for one account; the one not seen for longest goes.
const NUMBERS: u32 = 8;
const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

const SQL: &str = include_str!("sql/codes.sql");
const SEED: &str = statement(SQL, "seed");
const RECOVERY_CODE: &str = statement(SQL, "recovery-code");
const USE_RECOVERY_CODE: &str = statement(SQL, "use-recovery-code");
const SENT_CODE: &str = statement(SQL, "sent-code");
const USE_SENT_CODE: &str = statement(SQL, "use-sent-code");
const MISS_SENT_CODE: &str = statement(SQL, "miss-sent-code");
const WRONG_CODE: &str = statement(SQL, "wrong-code");
const ADD_WRONG_CODE: &str = statement(SQL, "add-wrong-code");
const CLEAR_WRONG_CODES: &str = statement(SQL, "clear-wrong-codes");
const SET_WRONG: &str = statement(SQL, "set-wrong");
const NUMBER: &str = statement(SQL, "number");
const NUMBERS_KNOWN: &str = statement(SQL, "numbers-known");
const SEE_NUMBER: &str = statement(SQL, "see-number");
const TRIM_NUMBERS: &str = statement(SQL, "trim-numbers");
const NTH_TO_NUMBER: &str = statement(SQL, "nth-message-to-number");
const NTH_FOR_ACCOUNT: &str = statement(SQL, "nth-message-for-account");
const NTH: &str = statement(SQL, "nth-message");
const ADD_MESSAGE: &str = statement(SQL, "add-message");
const OPEN_SENT_CODE: &str = statement(SQL, "open-sent-code");
const LOOK_FOR_SENT_CODE: &str = statement(SQL, "look-for-sent-code");

/// The kinds of factor that may be used, as a set.
#[derive(Clone, Copy)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) fn of(kinds: &[FactorKind]) -> Self {
        Self(kinds.iter().fold(0, |set, kind| set | Self::bit(*kind)))
    }

    const fn bit(kind: FactorKind) -> u8 {
        match kind {
            FactorKind::Push => 0,
            FactorKind::Totp => 1,
            FactorKind::Sms => 2,
            FactorKind::Voice => 4,
            FactorKind::Recovery => 8,
        }
    }

    const fn has(self, kind: FactorKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }
}

/// A typed code on its way through the factors.
struct Guess<'a> {
    account: &'a AccountId,
    row: &'a AccountRow,
    code: &'a str,
    only: Kinds,
    now: Timestamp,
}

/// What a factor says to a code.
enum Match {
    Fresh(FactorKind, Option<Mark>),
    Used(FactorKind),
    None,
}

/// What is marked when a factor's code is accepted: the factor, and the step of a TOTP.
struct Mark {
    factor: i64,
    step: Option<i64>,
}

impl Match {
    /// A fresh match beats a used one, whichever factor comes first.
    fn or_else(self, next: impl FnOnce() -> Result<Self, Error>) -> Result<Self, Error> {
        Ok(match self {
            Self::Fresh(..) => self,
            Self::Used(_) => match next()? {
                fresh @ Self::Fresh(..) => fresh,
                Self::Used(_) | Self::None => self,
            },
            Self::None => next()?,
        })
    }
}

impl Writing {
    /// See [`super::Store::use_code`].
    pub(super) fn use_code(
        &self,
        account: &AccountId,
        code: &str,
        only: Kinds,
        admission: &Admission,
    ) -> Result<CodeJudged, Error> {
        let now = self.clock.now();
        let row = self.account_or_new(account, &admission.decision.name)?;
        if let Some(until) = row.locked_until.filter(|until| *until > now) {
            return Ok(CodeJudged::Locked { until });
        }
        let guess = Guess {
            account,
            row: &row,
            code,
            only,
            now,
        };
        if row.wrong > 0 && self.was_wrong(&guess)? {
            return Ok(CodeJudged::Wrong {
                left: self.wrong_codes().saturating_sub(row.wrong),
            });
        }
        let judged = self
            .judge_totp(&guess)?
            .or_else(|| self.judge_sent(&guess))?
            .or_else(|| self.judge_recovery(&guess))?;
        match judged {
            Match::Fresh(kind, mark) => {
                let factor = mark.as_ref().map(|mark| mark.factor);
                self.accept(row, (kind, mark), admission)?;
                Ok(CodeJudged::Accepted { kind, factor })
            }
            Match::Used(kind) => Ok(CodeJudged::Used(kind)),
            Match::None => self.count_wrong(&guess),
        }
    }

    /// Marks the factor as used, and records the decision that follows.
    fn accept(
        &self,
        mut row: AccountRow,
        (kind, mark): (FactorKind, Option<Mark>),
        admission: &Admission,
    ) -> Result<(), Error> {
        if row.wrong > 0 || row.locks > 0 {
            self.forgive(row.id)?;
        }
        if let Some(Mark { factor, step }) = mark {
            row.mark(factor, step, self.clock.now());
        }
        self.add_decision(Some(&mut row), &admission.decision, Some(kind))?;
        self.welcome(&mut row, admission)?;
        self.save(row)
    }

    fn judge_totp(&self, guess: &Guess<'_>) -> Result<Match, Error> {
        if !guess.only.has(FactorKind::Totp) || !(6..=8).contains(&guess.code.len()) {
            return Ok(Match::None);
        }
        let mut judged = Match::None;
        let mut statement = self.connection.prepare_cached(SEED)?;
        for factor in guess.row.factors.iter().map(|used| used.0) {
            let mut rows = statement.query((factor, guess.row.id))?;
            let Some(row) = rows.next()? else {
                continue;
            };
            let digits: u8 = row.get(0)?;
            if usize::from(digits) != guess.code.len() {
                continue;
            }
            let sealed = row.get_ref(2)?.as_blob().unwrap_or_default();
            let seed = self
                .data
                .open(&seed_place(factor), sealed)
                .map_err(|_| Error::WrongKey)?;
            let algorithm = algorithm(row.get_ref(1)?.as_str().unwrap_or_default())?;
            let totp = Totp::new(seed, algorithm, digits)
                .map_err(|_| Error::damaged("a seed that cannot be used"))?;
            let Some(step) = totp.verify(guess.code, guess.now) else {
                continue;
            };
            let step = i64::try_from(step.0).unwrap_or(i64::MAX);
            if guess.row.is_new(factor, step) {
                let mark = Mark {
                    factor,
                    step: Some(step),
                };
                return Ok(Match::Fresh(FactorKind::Totp, Some(mark)));
            }
            judged = Match::Used(FactorKind::Totp);
        }
        Ok(judged)
    }

    fn judge_sent(&self, guess: &Guess<'_>) -> Result<Match, Error> {
        let now = guess.now.millis();
        if guess.row.sent_until.is_none_or(|until| until <= guess.now) {
            return Ok(Match::None);
        }
        let mut statement = self.connection.prepare_cached(SENT_CODE)?;
        let mut rows = statement.query((guess.row.id, now))?;
        let Some(row) = rows.next()? else {
            return Ok(Match::None);
        };
        let kind = kind(row.get_ref(0)?.as_str().unwrap_or_default())?;
        let digest = OneTimeCode::digest(&self.digest, guess.account.as_str(), guess.code);
        if !guess.only.has(kind) {
            return Ok(Match::None);
        }
        if !equal(row.get_ref(1)?.as_blob().unwrap_or_default(), &digest) {
            self.execute(MISS_SENT_CODE, [guess.row.id])?;
            return Ok(Match::None);
        }
        if self.execute(USE_SENT_CODE, (guess.row.id, now))? == 1 {
            return Ok(Match::Fresh(kind, None));
        }
        Ok(Match::Used(kind))
    }

    fn judge_recovery(&self, guess: &Guess<'_>) -> Result<Match, Error> {
        if !guess.only.has(FactorKind::Recovery) || !RecoveryCode::has_form(guess.code) {
            return Ok(Match::None);
        }
        let digest = RecoveryCode::digest(&self.digest, guess.account.as_str(), guess.code);
        let factor: Option<i64> = self
            .connection
            .prepare_cached(RECOVERY_CODE)?
            .query_row((guess.row.id, &digest), |row| row.get(0))
            .optional()?;
        let Some(factor) = factor else {
            return Ok(Match::None);
        };
        let now = guess.now.millis();
        if self.execute(USE_RECOVERY_CODE, (factor, &digest, now))? == 0 {
            return Ok(Match::Used(FactorKind::Recovery));
        }
        let mark = Mark { factor, step: None };
        Ok(Match::Fresh(FactorKind::Recovery, Some(mark)))
    }

    fn wrong_codes(&self) -> u32 {
        self.limits.wrong_codes.max(1)
    }

    /// Gear and people send the same wrong code again. It was judged and counted once; it is neither judged
    /// nor counted again, so that it costs nobody a try and gains nobody a guess at the next step's code.
    fn was_wrong(&self, guess: &Guess<'_>) -> Result<bool, Error> {
        let since = guess.now.before(self.limits.code_lock).millis();
        let digest = self.guess_digest(guess);
        Ok(self
            .connection
            .prepare_cached(WRONG_CODE)?
            .exists((guess.row.id, &digest, since))?)
    }

    fn guess_digest(&self, guess: &Guess<'_>) -> [u8; 32] {
        self.digest.digest(&[
            b"wrong code",
            guess.account.as_str().as_bytes(),
            guess.code.as_bytes(),
            &[guess.only.0],
        ])
    }

    fn count_wrong(&self, guess: &Guess<'_>) -> Result<CodeJudged, Error> {
        let (row, now) = (guess.row, guess.now);
        let wrong = row.wrong.saturating_add(1);
        let left = self.wrong_codes().saturating_sub(wrong);
        if left > 0 {
            let locked: Option<i64> = None;
            self.execute(SET_WRONG, (row.id, wrong, row.locks, locked))?;
            let digest = self.guess_digest(guess);
            self.execute(ADD_WRONG_CODE, (row.id, &digest, now.millis()))?;
            return Ok(CodeJudged::Wrong { left });
        }
        let first = self.limits.code_lock;
        let lock = first
            .saturating_mul(1 << row.locks.min(DOUBLINGS))
            .min(LONGEST_LOCK.max(first));
        let until = now.after(lock).millis();
        self.execute(
            SET_WRONG,
            (row.id, 0, row.locks.saturating_add(1), Some(until)),
        )?;
        self.clear_wrong_codes(row.id)?;
        Ok(CodeJudged::Wrong { left: 0 })
    }

    /// Forgets wrong codes and lock-outs.
    pub(super) fn forgive(&self, account: i64) -> Result<(), Error> {
        let locked: Option<i64> = None;
        self.execute(SET_WRONG, (account, 0, 0, locked))?;
        self.clear_wrong_codes(account)
    }

    /// What was wrong may be right when there is something new to be right for; the count stays.
    pub(super) fn clear_wrong_codes(&self, account: i64) -> Result<(), Error> {
        self.execute(CLEAR_WRONG_CODES, [account])?;
        Ok(())
    }

    /// See [`super::Store::issue_code`].
    pub(super) fn issue_code(&self, code: &SentCode) -> Result<CodeIssued, Error> {
        let now = self.clock.now();
        // The name comes with the decision.
        let account = self.account_or_new(&code.account, "")?.id;
        let number = self.digest.digest(&[b"number", code.number.as_bytes()]);
        if let Some(until) = self.number_too_new(account, &number, code, now)? {
            return Ok(CodeIssued::NumberTooNew { until });
        }
        if let Some(until) = self.messages_limited(account, &number, now)? {
            return Ok(CodeIssued::Limited { until });
        }
        let until = now.after(self.limits.code_life).millis();
        self.execute(ADD_MESSAGE, (now.millis(), account, &number))?;
        self.execute(
            OPEN_SENT_CODE,
            params![
                account,
                code.kind.as_str(),
                code.digest,
                code.digits,
                self.limits.code_tries,
                until
            ],
        )?;
        self.execute(LOOK_FOR_SENT_CODE, (account, until))?;
        self.clear_wrong_codes(account)?;
        Ok(CodeIssued::Send)
    }

    /// When the number may be used, if that is later than now. What is found out is remembered.
    fn number_too_new(
        &self,
        account: i64,
        number: &[u8; 32],
        code: &SentCode,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        let known: Option<i64> = self
            .connection
            .prepare_cached(NUMBER)?
            .query_row((account, number), |row| row.get(0))
            .optional()?;
        let trusted_at = if let Some(trusted_at) = known {
            Timestamp::from_millis(trusted_at)
        } else {
            let others: bool = self
                .connection
                .prepare_cached(NUMBERS_KNOWN)?
                .query_row([account], |row| row.get(0))?;
            let since = if others {
                Some(now)
            } else {
                code.entry_changed
            };
            since.map_or(now, |since| since.after(self.limits.number_age))
        };
        self.execute(
            SEE_NUMBER,
            (account, number, trusted_at.millis(), now.millis()),
        )?;
        self.execute(TRIM_NUMBERS, (account, NUMBERS))?;
        Ok(Some(trusted_at).filter(|trusted_at| *trusted_at > now))
    }

    /// When a message may be sent again, if a limit is reached: each limit's window slides, so that it opens when the
    /// oldest message that counts leaves it.
    fn messages_limited(
        &self,
        account: i64,
        number: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        let limits = &self.limits;
        let nth = |sql, whose: &dyn rusqlite::ToSql, limit: u32, window: Duration| {
            if limit == 0 {
                return Ok(Some(now.after(window)));
            }
            let oldest: Option<i64> = self
                .connection
                .prepare_cached(sql)?
                .query_row(
                    params![whose, now.before(window).millis(), limit - 1],
                    |row| row.get(0),
                )
                .optional()?;
            Ok::<_, Error>(oldest.map(|at| Timestamp::from_millis(at).after(window)))
        };
        let nobody: Option<i64> = None;
        let untils = [
            nth(NTH_TO_NUMBER, number, limits.messages_per_number, HOUR)?,
            nth(NTH_FOR_ACCOUNT, &account, limits.messages_per_account, HOUR)?,
            nth(
                NTH_FOR_ACCOUNT,
                &account,
                limits.messages_per_account_day,
                DAY,
            )?,
            nth(NTH, &nobody, limits.messages_total_day, DAY)?,
        ];
        Ok(untils.into_iter().flatten().max())
    }

    pub(super) fn withdraw_code(&self, account: &AccountId) -> Result<(), Error> {
        if let Some(row) = self.account(account)? {
            self.execute(REMOVE_SENT_CODE, [row.id])?;
        }
        Ok(())
    }
}

fn algorithm(word: &str) -> Result<Algorithm, Error> {
    [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]
        .into_iter()
        .find(|algorithm| algorithm.as_str() == word)
        .ok_or_else(|| Error::damaged("a TOTP of no known algorithm"))
}
