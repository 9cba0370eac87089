//! One attempt, from the name to the verdict: gathers the facts that `policy` wants and obeys its step. At most one look-up, one
//! bind and one judged code; the password is proven before anything is sent or said.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::exchange::{Exchange, Settled, Undecided, micros};
use super::retries::{AttemptKey, Entered};
use super::{Answer, Attempt, Credential, Room, Setup, Verdict, challenge};
use crate::account::{BadName, Decision, Durations, Outcome, Reason, TypedName, Who, shown};
use crate::secret::{Secret, random_array};

/// Decides one attempt, before its deadline.
pub(super) async fn decide(room: &Arc<Room>, attempt: &Attempt) -> Answer {
    let setup = room.setup.load_full();
    let mut exchange = Exchange::begin(room, &setup, attempt);
    let undecided = match timeout_at(attempt.deadline, exchange.run()).await {
        Ok(Ok(settled)) => {
            return Answer {
                verdict: settled.verdict.clone(),
                decision: settled.decision.clone(),
                resumable: settled.resumable.clone(),
                proof: exchange.proof.filter(|_| !settled.is_reject()),
            };
        }
        Ok(Err(undecided)) => undecided,
        Err(_) => Undecided {
            reason: Reason::DeadlinePassed,
            note: None,
        },
    };
    exchange.decision.note = undecided.note;
    let decision = Arc::new(exchange.decided(Outcome::Undecided, undecided.reason));
    // Without waiting: it may be the store that could not be written.
    room.count_failure(&decision);
    Answer {
        verdict: Verdict::Undecided,
        decision,
        resumable: None,
        proof: None,
    }
}

impl Exchange<'_> {
    async fn run(&mut self) -> Result<Arc<Settled>, Undecided> {
        let attempt = self.attempt;
        if let Credential::Resumed(resumable) = &attempt.credential {
            // Whatever name comes with it: the session tells whose it is.
            return self.resume(resumable).await.map(Arc::new);
        }
        let who = match self.name() {
            Ok(who) => who,
            Err(reason) => return Ok(self.refuse_unproven(reason).into()),
        };
        match &attempt.credential {
            Credential::Password(typed) => self.typed(&who, typed).await,
            // Each response is another, and each certificate is shown anew: there is nothing that a retry could repeat.
            Credential::NtResponse(response) => self.nt_response(&who, response).await,
            Credential::Certificate { ends } => self.certificate(&who, *ends).await.map(Arc::new),
            Credential::Resumed(_) => Ok(self.refuse_unproven(Reason::SessionEnded).into()),
        }
    }

    async fn typed(&mut self, who: &Who, typed: &Secret) -> Result<Arc<Settled>, Undecided> {
        let key = AttemptKey::of(&self.room.attempt_key, self.attempt, &who.key);
        self.first = match &self.attempt.state {
            None => Some(key),
            Some(state) => self.room.retries.answered(state),
        };
        self.answer = self.attempt.state.is_some().then_some(key);
        let settled = self.settle(key, who, typed).await?;
        self.pair(&settled);
        Ok(settled)
    }

    async fn settle(
        &mut self,
        key: AttemptKey,
        who: &Who,
        typed: &Secret,
    ) -> Result<Arc<Settled>, Undecided> {
        loop {
            match self.room.retries.enter(key, Instant::now()) {
                Entered::First(lead) => {
                    let settled = Arc::new(match &self.attempt.state {
                        Some(state) => challenge::answer(self, who, state).await?,
                        None => self.password(who, typed).await?,
                    });
                    lead.settle(&settled, self.client().pair, Instant::now());
                    return Ok(settled);
                }
                Entered::Decided(settled) => return self.repeat(&settled).await.map(Arc::new),
                Entered::InWork(wait) => {
                    // None: the packet it was decided for was cut off, and this one takes its place.
                    if let Some(settled) = wait.verdict().await {
                        return self.repeat(&settled).await.map(Arc::new);
                    }
                }
            }
        }
    }

    /// At gear that logs in twice, the Accept that a challenge ends in is also one on the attempt that it was put to: the second
    /// login brings the same password and no State.
    fn pair(&self, settled: &Arc<Settled>) {
        let (retries, pair) = (&self.room.retries, self.client().pair);
        if pair <= super::retries::REPEATED_FOR {
            return;
        }
        let Some(first) = self.first else {
            return;
        };
        let state = &self.attempt.state;
        let now = Instant::now();
        if let Verdict::Challenge { state, .. } = &settled.verdict {
            let until = now + self.setup.settings.challenge_life;
            retries.asked(state, first, (now, until));
        } else if state.is_some() && matches!(settled.verdict, Verdict::Accept { .. }) {
            retries.keep(first, settled, now + pair);
        }
    }

    fn name(&mut self) -> Result<Who, Reason> {
        let reason = |bad| match bad {
            BadName::UnknownRealm => Reason::UnknownRealm,
            BadName::Empty | BadName::TooLong | BadName::NotUtf8 | BadName::Character => {
                Reason::BadName
            }
        };
        let (who, name) = who(self.setup, &self.attempt.name);
        self.decision.name = name;
        if let Err(bad) = &who {
            self.decision.note = Some(bad.said_of(&self.attempt.name).into());
        }
        who.map_err(reason)
    }

    /// Gives what was settled for one packet of the attempt to another, with a State of its own.
    pub(super) async fn repeat(&self, settled: &Settled) -> Result<Settled, Undecided> {
        let mut decision = Decision::clone(&settled.decision);
        decision.at = self.room.clock.now();
        decision.reason = Reason::Repeated;
        decision.nas = self.attempt.nas;
        decision.durations = Durations {
            total: micros(self.attempt.received.elapsed()),
            ..Durations::default()
        };
        let decision = Arc::new(decision);
        let mut verdict = settled.verdict.clone();
        if let (Verdict::Challenge { state, .. }, Some(challenge)) =
            (&mut verdict, &settled.challenge)
        {
            *state = random_array();
            let store = &self.room.store;
            store
                .open_challenge(state.as_slice(), challenge.clone(), decision.clone())
                .await?;
        }
        Ok(Settled {
            verdict,
            decision,
            challenge: settled.challenge.clone(),
            held_code: settled.held_code,
            resumable: settled.resumable.clone(),
        })
    }
}

/// Who is meant by what was typed, and what it is called in records.
pub(super) fn who(setup: &Setup, typed: &[u8]) -> (Result<Who, BadName>, Arc<str>) {
    let who = TypedName::parse(typed).and_then(|name| name.resolve(&setup.settings.realms));
    let name = who
        .as_ref()
        .map_or_else(|_| shown(typed).into(), |who| who.key.as_str().into());
    (who, name)
}
