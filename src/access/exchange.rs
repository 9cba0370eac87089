//! One attempt in work: the record of it as far as it is known, and the ways in which it can end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::proven::Proven;
use super::resumption::{Grounds, Resumable};
use super::retries::AttemptKey;
use super::texts::{self, Text};
use super::{Attempt, ClientPolicy, Room, Setup, Verdict};
use crate::account::{
    AccountId, AccountKey, AttemptId, Decision, Durations, Outcome, Reason, Station,
};
use crate::directory::{self, Refusal};
use crate::secret::Secret;
use crate::store::{self, Challenge, Failure};

/// What was decided, and what a second packet of the same attempt needs.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub(super) verdict: Verdict,
    pub(super) decision: Arc<Decision>,
    /// What was asked, so that each packet can have a State of its own.
    pub(super) challenge: Option<Challenge>,
    /// What was typed held a code.
    pub(super) held_code: bool,
    /// What makes the session of an Accept resumable.
    pub(super) resumable: Option<Arc<Resumable>>,
}

impl Settled {
    pub(super) const fn is_reject(&self) -> bool {
        matches!(self.verdict, Verdict::Reject { .. })
    }

    /// Whether a retry that comes after the verdict is given it again (D6): what was typed held a code, which would now
    /// count as used, or the station is a device that asks by itself.
    pub(super) fn may_be_repeated(&self) -> bool {
        let ended = matches!(
            self.verdict,
            Verdict::Accept { .. } | Verdict::Reject { .. }
        );
        let device = matches!(self.decision.station, Station::Mac(_));
        ended && (self.held_code || device)
    }

    /// Until when it is given to another packet of the attempt. The answer to a challenge that is held has spent its State: what
    /// comes with that State waits beside it.
    pub(super) fn repeated_until(&self, now: Instant, long: Duration) -> Option<Instant> {
        match &self.verdict {
            Verdict::Wait(wait) if wait.is_answer() => Some(wait.until),
            _ => self.may_be_repeated().then(|| now + long),
        }
    }
}

/// It could not be decided.
#[derive(Debug)]
pub(super) struct Undecided {
    pub(super) reason: Reason,
    pub(super) note: Option<Arc<str>>,
}

impl From<directory::Error> for Undecided {
    fn from(error: directory::Error) -> Self {
        let reason = match error {
            directory::Error::Deadline => Reason::DeadlinePassed,
            directory::Error::Unreachable
            | directory::Error::Undecided { .. }
            | directory::Error::ServiceAccount { .. } => Reason::DirectoryUnavailable,
        };
        Self {
            reason,
            note: Some(error.to_string().into()),
        }
    }
}

impl From<store::Error> for Undecided {
    fn from(error: store::Error) -> Self {
        Self {
            reason: Reason::StoreUnavailable,
            note: Some(error.to_string().into()),
        }
    }
}

/// One attempt in work, with the record of it as far as it is known.
pub(super) struct Exchange<'a> {
    pub(super) room: &'a Arc<Room>,
    pub(super) setup: &'a Setup,
    pub(super) attempt: &'a Attempt,
    pub(super) decision: Decision,
    pub(super) held_code: bool,
    /// The attempt that the person began with, if a challenge was answered and it is known.
    pub(super) first: Option<AttemptKey>,
    /// The packet's own attempt, if it answers a challenge.
    pub(super) answer: Option<AttemptKey>,
    /// The NT hash that was proven: what stands for the password where none was typed.
    pub(super) hash: Option<Secret>,
    /// What proves to the peer that its password is known here.
    pub(super) proof: Option<[u8; 20]>,
}

impl<'a> Exchange<'a> {
    pub(super) fn begin(room: &'a Arc<Room>, setup: &'a Setup, attempt: &'a Attempt) -> Self {
        let decision = Decision {
            attempt: AttemptId::new(room.clock.now()),
            at: room.clock.now(),
            account: None,
            name: Arc::default(),
            client: attempt.client.name.clone(),
            nas: attempt.nas,
            station: attempt.station.clone(),
            station_from: attempt.station_from.clone(),
            zone: None,
            rule: None,
            factor: None,
            outcome: Outcome::Undecided,
            reason: Reason::DeadlinePassed,
            directory: None,
            durations: Durations::default(),
            note: None,
        };
        Self {
            room,
            setup,
            attempt,
            decision,
            held_code: false,
            first: None,
            answer: None,
            hash: None,
            proof: None,
        }
    }

    pub(super) fn client(&self) -> &'a ClientPolicy {
        &self.attempt.client
    }

    /// The key of its attempt among prompts.
    pub(super) fn prompt_key(&self, account: &AccountKey) -> AttemptKey {
        let (key, attempt) = (&self.room.prompt_key, self.attempt);
        match &self.hash {
            Some(hash) => AttemptKey::of_hash(key, attempt, account, hash),
            None => AttemptKey::of(key, attempt, account),
        }
    }

    /// The record as it stands, with the answer.
    pub(super) fn decided(&self, outcome: Outcome, reason: Reason) -> Decision {
        let mut decision = self.decision.clone();
        decision.at = self.room.clock.now();
        decision.outcome = outcome;
        decision.reason = reason;
        decision.durations.total = micros(self.attempt.received.elapsed());
        decision
    }

    /// Notes that a step waited for the store.
    pub(super) fn waited_for_store(&mut self, since: Instant) {
        self.decision.durations.store += micros(since.elapsed());
    }

    pub(super) fn settled(&self, verdict: Verdict, decision: Arc<Decision>) -> Settled {
        Settled {
            verdict,
            decision,
            challenge: None,
            held_code: self.held_code,
            resumable: None,
        }
    }

    /// Refuses before the password is proven: one face for every reason.
    pub(super) fn refuse_unproven(&self, reason: Reason) -> Settled {
        let decision = Arc::new(self.decided(Outcome::Reject, reason));
        self.room.count_failure(&decision);
        self.settled(self.client().common_reject(), decision)
    }

    pub(super) async fn refuse_password(
        &mut self,
        account: &AccountId,
        refusal: Refusal,
    ) -> Result<Settled, Undecided> {
        let reason = reason_of(refusal);
        if refusal != Refusal::WrongPassword {
            return Ok(self.refuse_unproven(reason));
        }
        let decision = Arc::new(self.decided(Outcome::Reject, reason));
        let failure = Failure {
            account: Some(account.clone()),
            decision: decision.clone(),
        };
        let station = &self.attempt.station;
        let store = &self.room.store;
        store.wrong_password(account, station, failure).await?;
        Ok(self.settled(self.client().common_reject(), decision))
    }

    pub(super) async fn accept_password(&mut self, proven: &Proven) -> Result<Settled, Undecided> {
        self.accept(proven, (Grounds::Password, None), Reason::PasswordEnough)
            .await
    }

    /// Refuses after the password is proven: the person may be told why.
    pub(super) async fn refuse_proven(
        &mut self,
        proven: &Proven,
        reason: Reason,
        text: &Text<'_>,
    ) -> Result<Settled, Undecided> {
        let decision = Arc::new(self.decided(Outcome::Reject, reason));
        self.room.store.record(decision.clone()).await?;
        let text = texts::reply(text, proven.facts.language, self.client());
        Ok(self.settled(Verdict::Reject { text }, decision))
    }
}

/// What a refused bind, or a barred entry, is called.
#[must_use]
pub const fn reason_of(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::WrongPassword => Reason::WrongPassword,
        Refusal::Locked => Reason::Locked,
        Refusal::Disabled => Reason::Disabled,
        Refusal::AccountExpired => Reason::AccountExpired,
        Refusal::PasswordExpired => Reason::PasswordExpired,
        Refusal::MustChange => Reason::MustChange,
        Refusal::NotNow => Reason::NotNow,
    }
}

/// Whole microseconds.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
