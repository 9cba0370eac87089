//! Prompts: opened or joined, decided once, used once (D6).
//!
//! A prompt is of one attempt and has its number. What was typed is known by a digest under a salt of its own, which goes when the
//! prompt goes. Whatever an attempt's packets or a device do at the same time, the writer does one after the other.

mod words;

use std::time::Duration;

use rusqlite::{Connection, params};

use super::database::statement;
use super::people::{AccountRow, REMOVE_CHALLENGES, enrolled};
use super::writer::Writing;
use super::{Admission, Error, Store};
use crate::account::{AccountId, AttemptId, Decision, FactorKind, Station};
use crate::clock::Timestamp;
use crate::factor::Response;
use crate::secret::{equal, random_array};

/// Prompts of one account that are not over; the oldest is withdrawn for one more.
const PROMPTS: usize = 16;
/// Tries at a number: the second wrong one denies (D8).
const TRIES: u32 = 2;
/// What is swept is older than any prompt can be (an hour), and its late approval.
const KEPT: Duration = Duration::from_secs(2 * 3600);

pub use words::{
    ApprovalUsed, Crossing, DecidedBy, NewPrompt, Prompt, PromptDecided, PromptOpened,
    PromptStanding, PromptState,
};

pub(super) const SQL: &str = include_str!("sql/push.sql");
const ADD_PROMPT: &str = statement(SQL, "add-prompt");
const PROMPT: &str = statement(SQL, "prompt");
const SETTLE_PROMPT: &str = statement(SQL, "settle-prompt");
const MISS_NUMBER: &str = statement(SQL, "miss-number");
const USE_PROMPT: &str = statement(SQL, "use-prompt");
const SWEEP_PROMPTS: &str = statement(SQL, "sweep-prompts");
const ACCOUNT_OF_PROMPT: &str = statement(SQL, "account-of-prompt");

impl Store {
    /// Opens a prompt and counts it, with the decision that says so; or joins the one that is open for the same attempt. A prompt whose
    /// number is shown withdraws those of its client and station instead.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then nobody is asked.
    pub async fn join_or_open_prompt(
        &self,
        new: NewPrompt,
        decision: Decision,
    ) -> Result<PromptOpened, Error> {
        let state = new.challenge.as_ref();
        let state = state.map(|(state, _)| self.state_digest(state));
        self.write(move |writing| writing.open_prompt(&new, state.as_ref(), &decision))
            .await
    }

    /// Whether a prompt is of the attempt that has this digest, and may be joined or used by its other packets.
    #[must_use]
    pub fn is_of_attempt(&self, standing: &PromptStanding, attempt: &[u8; 32]) -> bool {
        let digest = self
            .code_key()
            .digest(&[b"prompt", &standing.salt, attempt]);
        standing.prompt.joins && equal(&standing.digest, &digest)
    }

    /// A prompt as it stands; none if there is none of this number.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn prompt(&self, id: &AttemptId) -> Result<Option<PromptStanding>, Error> {
        let reader = self.inner.readers.short();
        let now = self.inner.clock.now();
        let mut statement = reader.prepare_cached(ACCOUNT_OF_PROMPT)?;
        let mut rows = statement.query([id.number()])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let account = AccountId::from_stored(row.get_ref(0)?.as_str().unwrap_or_default());
        find(&reader, (super::people::number(&account), id.number()), now)
    }

    /// The prompts of an account that are not over, oldest first.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn prompts(&self, account: &AccountId) -> Result<Vec<PromptStanding>, Error> {
        let reader = self.inner.readers.short();
        let place = (&*reader, &*self.inner.waiting);
        let now = self.inner.clock.now();
        super::people::read_account(place, account, |reader, row| match row {
            Some(row) => standing(reader, &row, now),
            None => Ok(Vec::new()),
        })
    }

    /// Decides a prompt, once: the first approval holds, a denial beats an approval that nobody has used, a report is heard
    /// even afterwards. Recorded as the decision given, whose reason is set to what came of it.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then nothing was decided.
    pub async fn decide_prompt(
        &self,
        account: &AccountId,
        by: DecidedBy,
        response: Response,
        decision: Decision,
    ) -> Result<PromptDecided, Error> {
        let account = account.clone();
        self.write(move |writing| writing.decide_prompt(&account, by, &response, &decision))
            .await
    }

    /// Uses an approval, once, and records the Accept. With `late`, only so long after it was approved.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then it was not used.
    pub async fn use_approval(
        &self,
        account: &AccountId,
        prompt: &AttemptId,
        late: Option<Duration>,
        admission: impl Into<Admission>,
    ) -> Result<ApprovalUsed, Error> {
        let (account, prompt) = (account.clone(), prompt.clone());
        let admission = admission.into();
        self.write(move |writing| writing.use_approval(&account, &prompt, late, &admission))
            .await
    }

    /// Marks the account's password as known to somebody else, as its owner says at the portal, with the decision that says so.
    /// Gives the prompts that were denied for it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn report_logins(
        &self,
        account: &AccountId,
        decision: Decision,
    ) -> Result<Vec<AttemptId>, Error> {
        let account = account.clone();
        self.write(move |writing| {
            let mut row = writing.account_or_new(&account, &decision.name)?;
            let denied = writing.report(&mut row, None)?;
            writing.add_decision(Some(&mut row), &decision, None)?;
            writing.save(row)?;
            Ok(denied)
        })
        .await
    }

    /// Withdraws a prompt that is open or approved. Says whether it was.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn withdraw_prompt(
        &self,
        account: &AccountId,
        prompt: &AttemptId,
    ) -> Result<bool, Error> {
        let (account, prompt) = (account.clone(), prompt.clone());
        self.write(move |writing| writing.withdraw_prompt(&account, &prompt))
            .await
    }

    /// Withdraws a prompt that reached nobody; it does not count.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn retract_prompt(
        &self,
        account: &AccountId,
        prompt: &AttemptId,
    ) -> Result<(), Error> {
        let (account, prompt) = (account.clone(), prompt.clone());
        self.write(move |writing| {
            if let Some(mut row) = writing.account(&account)? {
                writing.settle(&prompt, WITHDRAWN, None)?;
                row.pushes.remove(&prompt);
                row.pushes.uncount();
                writing.save(row)?;
            }
            Ok(())
        })
        .await
    }

    /// Ends what a report began. Says whether there was one.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn clear_report(&self, account: &AccountId) -> Result<bool, Error> {
        let account = account.clone();
        self.write(move |writing| writing.clear_report(&account))
            .await
    }
}

/// The prompts of an account that are not over.
pub(super) fn standing(
    connection: &Connection,
    row: &AccountRow,
    now: Timestamp,
) -> Result<Vec<PromptStanding>, Error> {
    let mut prompts = Vec::new();
    for id in row.pushes.numbers(now) {
        prompts.extend(find(connection, (row.id, id), now)?);
    }
    Ok(prompts)
}

fn find(
    connection: &Connection,
    (account, id): (i64, i64),
    now: Timestamp,
) -> Result<Option<PromptStanding>, Error> {
    let mut statement = connection.prepare_cached(PROMPT)?;
    let mut rows = statement.query((id, account))?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let expires: i64 = row.get(1)?;
    let state = match row.get::<_, i64>(0)? {
        0 if expires <= now.millis() => PromptState::Over,
        0 => PromptState::Open,
        1 => PromptState::Approved,
        2 => PromptState::Denied,
        3 => PromptState::Used,
        4 => PromptState::Withdrawn,
        _ => return Err(Error::damaged("a prompt in no known state")),
    };
    Ok(Some(PromptStanding {
        state,
        decided: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_millis),
        number: row.get(3)?,
        tries: row.get(4)?,
        prompt: serde_json::from_str(row.get_ref(5)?.as_str().unwrap_or_default())?,
        salt: row.get(6)?,
        digest: row.get(7)?,
    }))
}

const APPROVED: i64 = 1;
const DENIED: i64 = 2;
const USED: i64 = 3;
const WITHDRAWN: i64 = 4;

impl Writing {
    fn open_prompt(
        &self,
        new: &NewPrompt,
        state: Option<&[u8; 32]>,
        decision: &Decision,
    ) -> Result<PromptOpened, Error> {
        let (now, prompt) = (self.clock.now(), &new.prompt);
        let mut row = self.account_or_new(&prompt.account, &decision.name)?;
        if prompt.test.is_none() && row.pushes.exposed.is_some() {
            return Ok(PromptOpened::Reported);
        }
        let waiting = standing(&self.connection, &row, now)?;
        if prompt.joins && prompt.crossing != Crossing::Shown {
            let of_attempt = |known: &&PromptStanding| {
                known.state == PromptState::Open && self.is_of_attempt(known, &new.attempt)
            };
            if let Some(known) = waiting.iter().find(of_attempt) {
                return Ok(PromptOpened::Joined(known.prompt.id().clone()));
            }
        }
        // A test is no login: its owner asks for it, signed in.
        if prompt.test.is_none()
            && let Err(until) = row
                .pushes
                .count(now, (self.limits.prompts, self.limits.prompt_window))
        {
            return Ok(PromptOpened::Limited { until });
        }
        let withdrawn = self.make_room(&mut row, &waiting, new)?;
        self.add_prompt(new)?;
        row.pushes.add(prompt, now, new.late);
        if let (Some(state), Some((_, challenge))) = (state, &new.challenge) {
            self.open_challenge(state, challenge, &decision.name)?;
        }
        if prompt.test.is_none() {
            self.add_decision(Some(&mut row), decision, Some(FactorKind::Push))?;
        }
        self.save(row)?;
        Ok(PromptOpened::Opened { withdrawn })
    }

    fn add_prompt(&self, new: &NewPrompt) -> Result<(), Error> {
        let (prompt, salt) = (&new.prompt, random_array::<16>());
        let number = new.number.as_deref();
        let number = number.map(|digits| self.number_digest(&salt, digits));
        self.execute(
            ADD_PROMPT,
            params![
                prompt.id().number(),
                super::people::number(&prompt.account),
                salt,
                self.attempt_digest(&salt, &new.attempt),
                number,
                TRIES,
                prompt.expires.millis(),
                serde_json::to_string(prompt)?
            ],
        )?;
        Ok(())
    }

    /// Withdraws what the new one replaces: prompts of one place whose number is shown, and the oldest beyond the bound.
    fn make_room(
        &self,
        row: &mut AccountRow,
        waiting: &[PromptStanding],
        request: &NewPrompt,
    ) -> Result<Vec<AttemptId>, Error> {
        let new = &request.prompt;
        // Two that come from no known station are from two places, unless their port or session tells that they are not.
        let of_place = |known: &PromptStanding| {
            known.prompt.facts.station == new.facts.station
                && (new.facts.station != Station::Unknown
                    || new.joins && self.is_of_attempt(known, &request.attempt))
        };
        let beyond = (waiting.len() + 1).saturating_sub(PROMPTS);
        let mut withdrawn = Vec::new();
        for (index, known) in waiting.iter().enumerate() {
            let replaced = known.prompt.crossing == Crossing::Shown
                && new.crossing == Crossing::Shown
                && known.prompt.client == new.client
                && of_place(known)
                && known.prompt.test == new.test;
            if index >= beyond && !replaced {
                continue;
            }
            if known.is_alive() {
                self.settle(known.prompt.id(), WITHDRAWN, None)?;
                withdrawn.push(known.prompt.id().clone());
            }
            row.pushes.remove(known.prompt.id());
        }
        Ok(withdrawn)
    }

    fn settle(&self, prompt: &AttemptId, state: i64, device: Option<i64>) -> Result<(), Error> {
        let now = self.clock.now().millis();
        self.execute(SETTLE_PROMPT, (prompt.number(), state, now, device))?;
        Ok(())
    }

    fn attempt_digest(&self, salt: &[u8], attempt: &[u8; 32]) -> [u8; 32] {
        self.digest.digest(&[b"prompt", salt, attempt])
    }

    fn is_of_attempt(&self, known: &PromptStanding, attempt: &[u8; 32]) -> bool {
        known.prompt.joins && equal(&known.digest, &self.attempt_digest(&known.salt, attempt))
    }

    fn number_digest(&self, salt: &[u8], digits: &str) -> [u8; 32] {
        let number = [b"prompt number", salt, digits.as_bytes()];
        self.digest.digest(&number)
    }

    fn decide_prompt(
        &self,
        account: &AccountId,
        by: DecidedBy,
        response: &Response,
        decision: &Decision,
    ) -> Result<PromptDecided, Error> {
        let now = self.clock.now();
        let Some(mut row) = self.account(account)? else {
            return Ok(PromptDecided::Unknown);
        };
        let known = find(&self.connection, (row.id, decision.attempt.number()), now)?;
        let Some(known) = known.filter(|known| known.may_be_decided(by)) else {
            return Ok(PromptDecided::Unknown);
        };
        let entitled = match by {
            DecidedBy::Device(device, _) => known.prompt.test.is_some() || row.is_proven(device),
            // It is asked about nobody who has a device of their own, and has no say in their logins.
            DecidedBy::Service => !enrolled(&self.connection, &row)?
                .iter()
                .any(|factor| factor.kind == FactorKind::Push && factor.proven),
        };
        if !entitled {
            return Ok(PromptDecided::Unknown);
        }
        let decided = match by {
            DecidedBy::Device(device, counter) if !row.is_new(device, counter) => {
                PromptDecided::Replayed
            }
            DecidedBy::Device(device, counter) => {
                row.count(device, counter);
                self.respond(&mut row, &known, Some(device), response)?
            }
            DecidedBy::Service => self.respond(&mut row, &known, None, response)?,
        };
        let mut decision = decision.clone();
        (decision.reason, decision.note) = decided.recorded();
        self.add_decision(Some(&mut row), &decision, Some(FactorKind::Push))?;
        self.save(row)?;
        Ok(decided)
    }

    fn respond(
        &self,
        row: &mut AccountRow,
        known: &PromptStanding,
        device: Option<i64>,
        response: &Response,
    ) -> Result<PromptDecided, Error> {
        let id = known.prompt.id();
        match response {
            Response::Approve { .. } if known.state != PromptState::Open => {
                Ok(PromptDecided::TooLate(known.state))
            }
            Response::Approve { number } if self.is_number(known, number) => {
                let state = match known.prompt.test {
                    Some(_) => USED,
                    None => APPROVED,
                };
                self.settle(id, state, device)?;
                if let Some(device) = device {
                    row.mark(device, None, self.clock.now());
                }
                Ok(PromptDecided::Approved)
            }
            Response::Approve { .. } if known.tries > 1 => {
                self.execute(MISS_NUMBER, [id.number()])?;
                Ok(PromptDecided::WrongNumber)
            }
            Response::Approve { .. } => {
                self.settle(id, DENIED, device)?;
                Ok(PromptDecided::WrongNumberAgain)
            }
            Response::Deny if known.is_alive() => {
                self.settle(id, DENIED, device)?;
                Ok(PromptDecided::Denied)
            }
            Response::Deny => Ok(PromptDecided::TooLate(known.state)),
            Response::Report => {
                let _denied = self.report(row, device)?;
                Ok(PromptDecided::Reported)
            }
        }
    }

    fn is_number(&self, known: &PromptStanding, typed: &str) -> bool {
        let Some(number) = &known.number else {
            return true;
        };
        equal(number, &self.number_digest(&known.salt, typed))
    }

    /// Marks the account's password as known to somebody else, denies all that waits, and ends the sessions that were begun with
    /// that password: they could pair a device.
    fn report(&self, row: &mut AccountRow, device: Option<i64>) -> Result<Vec<AttemptId>, Error> {
        let now = self.clock.now();
        let mut denied = Vec::new();
        for waiting in standing(&self.connection, row, now)? {
            if waiting.is_alive() {
                self.settle(waiting.prompt.id(), DENIED, device)?;
                denied.push(waiting.prompt.id().clone());
            }
        }
        row.pushes.exposed = Some(now.millis());
        row.remembered.end(None);
        self.end_sessions(row.id)?;
        Ok(denied)
    }

    fn use_approval(
        &self,
        account: &AccountId,
        prompt: &AttemptId,
        late: Option<Duration>,
        admission: &Admission,
    ) -> Result<ApprovalUsed, Error> {
        let now = self.clock.now();
        let Some(mut row) = self.account(account)? else {
            return Ok(ApprovalUsed::None(PromptState::Over));
        };
        let known = find(&self.connection, (row.id, prompt.number()), now)?;
        let Some(known) = known else {
            return Ok(ApprovalUsed::None(PromptState::Over));
        };
        let in_time = late.is_none_or(|late| known.is_fresh(late, now));
        if known.state != PromptState::Approved || !in_time || row.pushes.exposed.is_some() {
            return Ok(ApprovalUsed::None(known.state));
        }
        self.execute(USE_PROMPT, [prompt.number()])?;
        row.pushes.remove(prompt);
        let push = Some(FactorKind::Push);
        self.add_decision(Some(&mut row), &admission.decision, push)?;
        self.welcome(&mut row, admission)?;
        self.save(row)?;
        Ok(ApprovalUsed::Accepted)
    }

    fn withdraw_prompt(&self, account: &AccountId, prompt: &AttemptId) -> Result<bool, Error> {
        let now = self.clock.now();
        let Some(row) = self.account(account)? else {
            return Ok(false);
        };
        let known = find(&self.connection, (row.id, prompt.number()), now)?;
        let alive = known.is_some_and(|known| known.is_alive());
        if alive {
            self.settle(prompt, WITHDRAWN, None)?;
        }
        Ok(alive)
    }

    /// Ends whatever waits for an account: after a removal or reset, nobody is let in by what was approved before.
    pub(super) fn withdraw_prompts(&self, row: &AccountRow) -> Result<(), Error> {
        for known in standing(&self.connection, row, self.clock.now())? {
            if known.is_alive() {
                self.settle(known.prompt.id(), WITHDRAWN, None)?;
            }
        }
        Ok(())
    }

    fn clear_report(&self, account: &AccountId) -> Result<bool, Error> {
        let Some(mut row) = self.account(account)? else {
            return Ok(false);
        };
        let was = row.pushes.exposed.take().is_some();
        if was {
            // What is open was begun before.
            self.execute(REMOVE_CHALLENGES, [row.id])?;
            self.save(row)?;
        }
        Ok(was)
    }

    /// Throws away prompts that are long over.
    pub(super) fn sweep_prompts(&self) -> Result<(), Error> {
        let oldest = AttemptId::first_at(self.clock.now().before(KEPT));
        self.execute(SWEEP_PROMPTS, [oldest.number()])?;
        Ok(())
    }
}
