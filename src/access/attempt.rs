//! One attempt, from the name to the verdict: gathers the facts that `policy` wants and obeys its step. At most one look-up, one
//! bind and one judged code; the password is proven before anything is sent or said.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::exchange::{Exchange, Settled, Undecided, micros, reason_of};
use super::policy::{self, Facts, Reach, RuleFacts, Ruling, Step};
use super::proven::{self, Proven};
use super::push::{self, Earlier, Phones};
use super::retries::{AttemptKey, Entered};
use super::sending;
use super::split::{Extra, Forms, split};
use super::texts::{self, Text};
use super::throttle::{self, Budget, Place, Pool};
use super::{Answer, Attempt, Room, Setup, Then, Verdict, challenge};
use crate::account::{
    AccountId, BadName, Decision, Durations, Outcome, Reason, TypedName, Who, shown,
};
use crate::clock::Timestamp;
use crate::directory::{self, Bind, Entry, Found, State};
use crate::secret::{Secret, random_array};
use crate::store::Standing;

/// Decides one attempt, before its deadline.
pub(super) async fn decide(room: &Arc<Room>, attempt: &Attempt) -> Answer {
    let setup = room.setup.load_full();
    let mut exchange = Exchange::begin(room, &setup, attempt);
    let undecided = match timeout_at(attempt.deadline, exchange.run()).await {
        Ok(Ok(settled)) => {
            return Answer {
                verdict: settled.verdict.clone(),
                decision: settled.decision.clone(),
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
    }
}

/// Whether a report of the owner stands in the way.
enum Report {
    Stands,
    Not(Box<Standing>),
}

impl<'a> Exchange<'a> {
    async fn run(&mut self) -> Result<Arc<Settled>, Undecided> {
        let who = match self.name() {
            Ok(who) => who,
            Err(reason) => return Ok(self.refuse_unproven(reason).into()),
        };
        let key = AttemptKey::of(&self.room.attempt_key, self.attempt, &who.key);
        self.first = match &self.attempt.state {
            None => Some(key),
            Some(state) => self.room.retries.answered(state),
        };
        self.answer = self.attempt.state.is_some().then_some(key);
        let settled = self.settle(key, &who).await?;
        self.pair(&settled);
        Ok(settled)
    }

    async fn settle(&mut self, key: AttemptKey, who: &Who) -> Result<Arc<Settled>, Undecided> {
        loop {
            match self.room.retries.enter(key, Instant::now()) {
                Entered::First(lead) => {
                    let settled = Arc::new(self.first_packet(who).await?);
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

    async fn first_packet(&mut self, who: &Who) -> Result<Settled, Undecided> {
        let attempt = self.attempt;
        if let Some(state) = &attempt.state {
            return challenge::answer(self, who, state).await;
        }
        if attempt.password.is_empty() {
            return Ok(self.refuse_unproven(Reason::EmptyPassword));
        }
        let Some(typed) = attempt.password.expose_str() else {
            return Ok(self.refuse_unproven(Reason::UnreadablePassword));
        };
        let entry = match self.find(who).await? {
            Found::One(entry) => entry,
            Found::Nobody => return Ok(self.refuse_unproven(Reason::UnknownUser)),
            Found::Several => return Ok(self.refuse_unproven(Reason::AmbiguousUser)),
        };
        self.decision.account = Some(entry.id.clone());
        if let State::Barred(refusal) = entry.state {
            return Ok(self.refuse_unproven(reason_of(refusal)));
        }
        let Some((place, standing)) = self.budget(&entry.id).await? else {
            return Ok(self.refuse_unproven(Reason::Throttled));
        };
        let ruling = self.rule(&entry);
        let late = match push::earlier(self, who, &standing) {
            // Its password was proven a moment ago: no second bind (D5).
            Earlier::Join(prompt) if ruling.then == Then::Ask => {
                let rounds = self.setup.settings.challenge_rounds.max(1);
                return Ok(push::hold(self, prompt, rounds));
            }
            Earlier::Late(prompt) if ruling.then == Then::Ask => Some(prompt),
            Earlier::Join(_) | Earlier::Late(_) | Earlier::None => None,
        };
        let phone = policy::has_device(&standing) || self.setup.channels.has_webhook();
        let forms = Forms::of(&standing, self.client(), phone);
        let parts = split(typed, self.client(), forms, ruling.then);
        self.held_code = matches!(parts.extra, Extra::Code(_));
        if let Bind::Refused(refusal) = self.bind(&entry, parts.password).await? {
            return self.refuse_password(&entry.id, refusal).await;
        }
        drop(place);
        let proven = Proven::first(self, who, &entry, policy::has_own(&standing));
        let standing = match self.report_stands((who, &entry), standing).await? {
            Report::Stands => {
                return self
                    .refuse_proven(&proven, Reason::Exposed, &Text::Exposed)
                    .await;
            }
            Report::Not(standing) => standing,
        };
        if let Some(prompt) = late
            && let Some(settled) = push::use_late(self, &proven, &prompt).await?
        {
            return Ok(settled);
        }
        let asked = (ruling.then, parts.extra);
        self.second_factor(proven, &entry, &standing, asked).await
    }

    /// Looks the person up.
    pub(super) async fn find(&mut self, who: &Who) -> Result<Found, Undecided> {
        let began = Instant::now();
        let directory = self.setup.directory(&who.directory);
        let found = match directory {
            Some(directory) => directory.find(&who.user, self.attempt.deadline).await,
            None => Ok(Found::Nobody),
        };
        self.decision.directory = Some(who.directory.clone());
        self.decision.durations.directory += micros(began.elapsed());
        Ok(found?)
    }

    /// Waits until the account's budget of wrong passwords is known to allow one more; `None` if it does not.
    async fn budget(
        &self,
        account: &AccountId,
    ) -> Result<Option<(Place<'a>, Box<Standing>)>, Undecided> {
        let (room, station) = (self.room, &self.attempt.station);
        loop {
            let mut end = pin!(room.throttle.next_end());
            end.as_mut().enable();
            let Some(mut place) = room.throttle.enter(account) else {
                end.await;
                continue;
            };
            let (standing, asking) = loop {
                let standing = room.store.standing(account, station)?;
                if let Some(asking) = place.join(Pool::of(&standing.passwords)) {
                    break (standing, asking);
                }
            };
            let limits = &self.setup.settings.passwords;
            match throttle::budget(limits, &standing.passwords, asking, room.clock.now()) {
                Budget::Free => return Ok(Some((place.ask(), Box::new(standing)))),
                Budget::Spent => return Ok(None),
                Budget::Crowded => place.step_back(),
            }
            end.await;
        }
    }

    /// What a report of the owner means for a login whose password is right: nothing once that has changed, and none from outside
    /// until then (D8).
    async fn report_stands(
        &mut self,
        (who, entry): (&Who, &Entry),
        mut standing: Box<Standing>,
    ) -> Result<Report, Undecided> {
        let Some(exposed) = standing.exposed else {
            return Ok(Report::Not(standing));
        };
        if changed_since(entry, exposed) || self.has_changed_since(who, exposed).await? {
            self.room.store.clear_report(&entry.id).await?;
            self.decision.note = Some("the password has changed since the report".into());
            standing.exposed = None;
            return Ok(Report::Not(standing));
        }
        Ok(match self.decision.zone {
            None => Report::Stands,
            Some(_) => Report::Not(standing),
        })
    }

    /// Asks anew whether the password has changed: who has just changed it does not wait until a remembered entry is forgotten.
    async fn has_changed_since(&self, who: &Who, moment: Timestamp) -> Result<bool, Undecided> {
        let Some(directory) = self.setup.directory(&who.directory) else {
            return Ok(false);
        };
        let found = directory
            .find_anew(&who.user, self.attempt.deadline)
            .await?;
        Ok(matches!(found, Found::One(entry) if changed_since(&entry, moment)))
    }

    fn rule(&mut self, entry: &Entry) -> Ruling {
        let ruling = policy::ruling(&RuleFacts {
            settings: &self.setup.settings,
            client: self.client(),
            station: &self.attempt.station,
            groups: &entry.groups,
            now: self.room.clock.now(),
        });
        self.decision.zone.clone_from(&ruling.zone);
        self.decision.rule = Some(ruling.rule.clone());
        ruling
    }

    async fn bind(&mut self, entry: &Entry, password: &str) -> Result<Bind, Undecided> {
        let name = self.decision.directory.clone().unwrap_or_default();
        let Some(directory) = self.setup.directory(&name) else {
            return Err(directory::Error::Unreachable.into());
        };
        let began = Instant::now();
        let password = Secret::from(password);
        let bind = directory
            .bind(entry, &password, self.attempt.deadline)
            .await;
        self.decision.durations.directory += micros(began.elapsed());
        Ok(bind?)
    }

    async fn second_factor(
        &mut self,
        mut proven: Proven,
        entry: &Entry,
        standing: &Standing,
        (then, extra): (Then, Extra<'_>),
    ) -> Result<Settled, Undecided> {
        let mut phones = Phones::of(self, standing, then)?;
        if let Some(settled) = self
            .push(&proven, standing, (then, &extra), &phones)
            .await?
        {
            return Ok(settled);
        }
        if phones.devices.is_empty() {
            // The site's own push service was asked, and could not.
            phones = Phones::default();
        }
        let now = self.room.clock.now();
        let step = policy::step(&Facts {
            then,
            client: self.client(),
            standing,
            extra: &extra,
            phone: phones.phone(),
            reach: sending::reach(self.setup, entry, proven.own),
            now,
        });
        match step {
            Step::PasswordEnough => self.accept_password(&proven).await,
            Step::JudgeCode { only } => {
                let code = match extra {
                    Extra::Code(code) => code,
                    Extra::Nothing | Extra::Number(_) | Extra::Way(_) => "",
                };
                proven::judge(self, &proven, code, &only).await
            }
            Step::AskCode(kind) => proven::ask(self, &proven, kind).await,
            Step::SendCode(kind) => {
                let open = standing.sent_code_open;
                // Boxed: what reaches gateways is large, and most logins do not.
                Box::pin(sending::send(self, &mut proven, entry, kind, open)).await
            }
            // Nobody could be asked, though it was tried.
            Step::Push(_) => self.refuse(&proven, standing, Reason::PushUnanswered).await,
            Step::Refuse(Reason::NoFactor | Reason::NumberRefused)
                if policy::may_enrol(self.client(), self.decision.zone.as_deref(), standing) =>
            {
                self.accept_password(&proven).await
            }
            Step::Refuse(reason) => self.refuse(&proven, standing, reason).await,
        }
    }

    /// Opens a prompt, if that is the step; `None` if it is not, or if it reached nobody.
    async fn push(
        &mut self,
        proven: &Proven,
        standing: &Standing,
        (then, extra): (Then, &Extra<'_>),
        phones: &Phones,
    ) -> Result<Option<Settled>, Undecided> {
        let step = policy::step(&Facts {
            then,
            client: self.client(),
            standing,
            extra,
            phone: phones.phone(),
            reach: Reach::default(),
            now: self.room.clock.now(),
        });
        let Step::Push(mode) = step else {
            return Ok(None);
        };
        let typed = match extra {
            Extra::Number(digits) => Some(*digits),
            Extra::Nothing | Extra::Code(_) | Extra::Way(_) => None,
        };
        // Boxed: it is large, and most logins do not come here.
        Box::pin(push::open(self, proven, (mode, typed), phones)).await
    }

    async fn refuse(
        &mut self,
        proven: &Proven,
        standing: &Standing,
        reason: Reason,
    ) -> Result<Settled, Undecided> {
        let now = self.room.clock.now();
        let wait = standing.locked_until.unwrap_or(now).since(now);
        let delimiter = self.client().delimiter;
        let text = match reason {
            Reason::NumberMissing => Text::NumberMissing { delimiter },
            reason => refusal_text(reason, wait),
        };
        self.refuse_proven(proven, reason, &text).await
    }

    /// Whether the owner has said, since somebody was let in from outside, that it was not them: then nobody is let in by that
    /// again (D8).
    fn was_reported(&self, settled: &Settled) -> Result<bool, Undecided> {
        let decision = &settled.decision;
        let accepted = matches!(settled.verdict, Verdict::Accept { .. });
        let Some(account) = decision.account.as_ref().filter(|_| accepted) else {
            return Ok(false);
        };
        let standing = self.room.store.standing(account, &decision.station)?;
        Ok(decision.zone.is_none() && standing.exposed.is_some())
    }

    async fn refuse_repeated(&self, settled: &Settled) -> Result<Settled, Undecided> {
        let mut decision = self.decided(Outcome::Reject, Reason::Exposed);
        decision.account.clone_from(&settled.decision.account);
        decision.directory.clone_from(&settled.decision.directory);
        decision.rule.clone_from(&settled.decision.rule);
        let decision = Arc::new(decision);
        self.room.store.record(decision.clone()).await?;
        let client = self.client();
        let text = texts::reply(&Text::Exposed, client.language, client);
        Ok(self.settled(Verdict::Reject { text }, decision))
    }

    /// Gives what was settled for one packet of the attempt to another, with a State of its own.
    async fn repeat(&self, settled: &Settled) -> Result<Settled, Undecided> {
        if self.was_reported(settled)? {
            return self.refuse_repeated(settled).await;
        }
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
        })
    }
}

/// Whether the password was changed after a moment, as far as a directory tells it: to the second.
fn changed_since(entry: &Entry, moment: Timestamp) -> bool {
    entry
        .password_changed
        .is_some_and(|changed| changed.secs() >= moment.secs())
}

/// The text of a refusal that `policy` decided.
pub(super) fn refusal_text(reason: Reason, wait: Duration) -> Text<'static> {
    match reason {
        Reason::Denied => Text::Denied,
        Reason::CodesLocked => Text::Paused {
            minutes: texts::minutes(wait),
        },
        Reason::CodeMissing => Text::CodeMissing,
        Reason::Exposed => Text::Exposed,
        Reason::PushUnanswered => Text::TimedOut,
        Reason::PromptLimit => Text::PromptLimit {
            minutes: texts::minutes(wait),
        },
        Reason::NumberRefused => Text::NumberRefused,
        Reason::NoFactor => Text::NoFactor,
        _ => Text::Failed,
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
