//! The first factor: the password, proven by a bind or by its NT hash. What both must pass is the same: the person is found, the
//! entry may log in, its budget of wrong passwords is not spent, and its owner has reported nothing.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::exchange::{Exchange, Settled, Undecided, micros, reason_of};
use super::policy::{self, RuleFacts, Ruling};
use super::proven::Proven;
use super::push::{self, Earlier};
use super::retries::{AttemptKey, Entered};
use super::second::Asked;
use super::split::{Extra, Forms, split};
use super::texts::Text;
use super::throttle::{self, Budget, Place, Pool};
use super::{Then, attempt, lasting};
use crate::account::{AccountId, AttemptId, Reason, Who};
use crate::clock::Timestamp;
use crate::directory::{self, Bind, Directory, Entry, Found, NtResponse, Proof, Refusal, State};
use crate::secret::Secret;
use crate::store::Standing;

/// An entry that was read so short a time ago is not read again: a burst of one person's packets, or the look at a session and the
/// proof of it.
const READ_LATELY: Duration = Duration::from_secs(2);

/// Whether a report of the owner stands in the way.
enum Report {
    Stands,
    Not(Box<Standing>),
}

/// Somebody who may try a password.
struct Candidate<'a> {
    entry: Arc<Entry>,
    /// Held while the directory is asked.
    place: Option<Place<'a>>,
    standing: Box<Standing>,
    ruling: Ruling,
    /// How many reports there had been when that was read.
    endings: u64,
}

impl<'a> Exchange<'a> {
    /// A password, perhaps with a code, as the first packet of an exchange brings it.
    pub(super) async fn password(
        &mut self,
        who: &Who,
        password: &Secret,
    ) -> Result<Settled, Undecided> {
        if password.is_empty() {
            return Ok(self.refuse_unproven(Reason::EmptyPassword));
        }
        let Some(typed) = password.expose_str() else {
            return Ok(self.refuse_unproven(Reason::UnreadablePassword));
        };
        let candidate = match self.candidate(who).await? {
            Ok(candidate) => candidate,
            Err(reason) => return Ok(self.refuse_unproven(reason)),
        };
        let earlier = push::earlier(self, who, &candidate.standing);
        let late = match self.joined(earlier, &candidate.ruling) {
            // Its password was proven a moment ago: no second bind (D5).
            Ok(held) => return Ok(held),
            Err(late) => late,
        };
        let (standing, then) = (&candidate.standing, candidate.ruling.then);
        let phone = policy::has_device(standing) || self.setup.channels.has_webhook();
        let forms = Forms::of(standing, self.client(), phone);
        let parts = split(typed, self.client(), forms, then);
        self.held_code = matches!(parts.extra, Extra::Code(_));
        if let Bind::Refused(refusal) = self.bind(&candidate.entry, parts.password).await? {
            return self.refuse_password(&candidate.entry.id, refusal).await;
        }
        self.proven(who, candidate, late, parts.extra).await
    }

    /// A response by the NT hash. It is judged before anything is joined: only then is it known which password it stands for.
    pub(super) async fn nt_response(
        &mut self,
        who: &Who,
        response: &NtResponse,
    ) -> Result<Arc<Settled>, Undecided> {
        // The response is made with a name, which must not be somebody else's.
        let (named, _) = attempt::who(self.setup, &response.name);
        if !named.is_ok_and(|named| named.key == who.key) {
            self.decision.note = Some("the response is made with another name".into());
            return Ok(self.refuse_unproven(Reason::BadName).into());
        }
        let mut candidate = match self.candidate(who).await? {
            Ok(candidate) => candidate,
            Err(reason) => return Ok(self.refuse_unproven(reason).into()),
        };
        let right = match self.prove(&candidate.entry, response).await? {
            Proof::Proven(right) => right,
            Proof::NoHash => return Ok(self.refuse_unproven(Reason::NoNtHash).into()),
            Proof::Refused(refusal) => {
                let refused = self.refuse_password(&candidate.entry.id, refusal);
                return refused.await.map(Arc::new);
            }
        };
        candidate.place = None;
        self.proof = Some(right.answer);
        let key = AttemptKey::of_hash(&self.room.attempt_key, self.attempt, &who.key, &right.hash);
        self.hash = Some(right.hash);
        self.first = Some(key);
        let wait = match self.room.retries.enter(key, Instant::now()) {
            Entered::First(lead) => {
                let settled = Arc::new(self.hash_proven(who, candidate).await?);
                lead.settle(&settled, self.client().pair, Instant::now());
                return Ok(settled);
            }
            Entered::Decided(settled) => return self.repeat(&settled).await.map(Arc::new),
            Entered::InWork(wait) => wait,
        };
        match wait.verdict().await {
            Some(settled) => self.repeat(&settled).await.map(Arc::new),
            None => self.hash_proven(who, candidate).await.map(Arc::new),
        }
    }

    async fn hash_proven(
        &mut self,
        who: &Who,
        candidate: Candidate<'a>,
    ) -> Result<Settled, Undecided> {
        let earlier = push::earlier(self, who, &candidate.standing);
        match self.joined(earlier, &candidate.ruling) {
            Ok(held) => Ok(held),
            Err(late) => self.proven(who, candidate, late, Extra::Nothing).await,
        }
    }

    /// What earlier prompts mean here: the reply is held with others, or perhaps there is an approval to use.
    fn joined(&self, earlier: Earlier, ruling: &Ruling) -> Result<Settled, Option<AttemptId>> {
        match earlier {
            Earlier::Join(prompt) if ruling.then == Then::Ask => {
                let rounds = self.setup.settings.challenge_rounds.max(1);
                Ok(push::hold(self, prompt, rounds))
            }
            Earlier::Late(prompt) if ruling.then == Then::Ask => Err(Some(prompt)),
            Earlier::Join(_) | Earlier::Late(_) | Earlier::None => Err(None),
        }
    }

    /// Who is meant, if they may try a password now.
    async fn candidate(&mut self, who: &Who) -> Result<Result<Candidate<'a>, Reason>, Undecided> {
        // Where a station may be remembered, an old entry would tell of an old change of the password.
        let found = match lasting::remembers_stations(self.client(), &self.attempt.station) {
            true => self.find_since(who, self.lately()).await?,
            false => self.find(who).await?,
        };
        let entry = match found {
            Found::One(entry) => entry,
            Found::Nobody => return Ok(Err(Reason::UnknownUser)),
            Found::Several => return Ok(Err(Reason::AmbiguousUser)),
        };
        self.decision.account = Some(entry.id.clone());
        if let State::Barred(refusal) = entry.state {
            self.end_if_disabled(&entry.id, refusal).await?;
            return Ok(Err(reason_of(refusal)));
        }
        let endings = self.room.endings.load(Ordering::Acquire);
        let Some((place, standing)) = self.budget(&entry.id).await? else {
            return Ok(Err(Reason::Throttled));
        };
        let ruling = self.rule(&entry);
        Ok(Ok(Candidate {
            entry,
            place: Some(place),
            standing,
            ruling,
            endings,
        }))
    }

    /// The password is proven.
    async fn proven(
        &mut self,
        who: &Who,
        candidate: Candidate<'a>,
        late: Option<AttemptId>,
        extra: Extra<'_>,
    ) -> Result<Settled, Undecided> {
        let Candidate {
            entry,
            place,
            mut standing,
            ruling,
            endings,
        } = candidate;
        drop(place);
        let mut proven = Proven::first(self, who, &entry, policy::has_own(&standing));
        proven.facts.lasting = self.lasting(&entry, &standing, &ruling);
        if self.room.endings.load(Ordering::Acquire) != endings {
            // The owner may have reported a login meanwhile, or somebody have forgotten the station.
            let station = &self.attempt.station;
            standing = Box::new(self.room.store.standing(&entry.id, station)?);
        }
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
        let lasting = &proven.facts.lasting;
        let remembered = ruling.then == Then::Ask
            && self
                .is_remembered((who, &entry), lasting, &standing)
                .await?;
        let asked = Asked {
            then: ruling.then,
            extra,
            remembered,
        };
        self.second_factor(proven, &entry, &standing, asked).await
    }

    /// Looks the person up.
    pub(super) async fn find(&mut self, who: &Who) -> Result<Found, Undecided> {
        let began = Instant::now();
        let found = match self.directory_of(who) {
            Some(directory) => directory.find(&who.user, self.attempt.deadline).await,
            None => Ok(Found::Nobody),
        };
        self.decision.durations.directory += micros(began.elapsed());
        Ok(found?)
    }

    /// Looks the person up as they are since a moment: for whom no bind will tell what has changed.
    pub(super) async fn find_since(
        &mut self,
        who: &Who,
        since: Instant,
    ) -> Result<Found, Undecided> {
        let (began, deadline) = (Instant::now(), self.attempt.deadline);
        let found = match self.directory_of(who) {
            Some(directory) => directory.find_since(&who.user, since, deadline).await,
            None => Ok(Found::Nobody),
        };
        self.decision.durations.directory += micros(began.elapsed());
        Ok(found?)
    }

    /// The moment since which an entry that was read is as good as one that is read now.
    pub(super) fn lately(&self) -> Instant {
        let received = self.attempt.received;
        received.checked_sub(READ_LATELY).unwrap_or(received)
    }

    fn directory_of(&mut self, who: &Who) -> Option<&'a Directory> {
        self.decision.directory = Some(who.directory.clone());
        self.setup.directory(&who.directory)
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

    pub(super) fn rule(&mut self, entry: &Entry) -> Ruling {
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
        let directory = self.directory()?;
        let began = Instant::now();
        let password = Secret::from(password);
        let bind = directory
            .bind(entry, &password, self.attempt.deadline)
            .await;
        self.decision.durations.directory += micros(began.elapsed());
        let bind = bind?;
        if let Bind::Refused(refusal) = bind {
            self.end_if_disabled(&entry.id, refusal).await?;
        }
        Ok(bind)
    }

    async fn prove(&mut self, entry: &Entry, shown: &NtResponse) -> Result<Proof, Undecided> {
        let directory = self.directory()?;
        let began = Instant::now();
        let proof = directory.prove(entry, shown, self.attempt.deadline).await;
        self.decision.durations.directory += micros(began.elapsed());
        let proof = proof?;
        if let Proof::Refused(refusal) = proof {
            self.end_if_disabled(&entry.id, refusal).await?;
        }
        Ok(proof)
    }

    /// The directory that the person was found in.
    fn directory(&self) -> Result<&'a Directory, directory::Error> {
        let name = self.decision.directory.as_deref().unwrap_or_default();
        let directory = self.setup.directory(name);
        directory.ok_or(directory::Error::Unreachable)
    }

    /// An account that is disabled keeps nothing for the day on which it is enabled again.
    pub(super) async fn end_if_disabled(
        &self,
        account: &AccountId,
        refusal: Refusal,
    ) -> Result<(), Undecided> {
        let ends = match refusal {
            Refusal::Disabled | Refusal::AccountExpired => true,
            Refusal::WrongPassword
            | Refusal::Locked
            | Refusal::PasswordExpired
            | Refusal::MustChange
            | Refusal::NotNow => false,
        };
        let store = &self.room.store;
        let keeps = || store.standing(account, &self.attempt.station);
        if ends && !keeps()?.remembered.is_empty() {
            store.forget_stations(account, None).await?;
        }
        Ok(())
    }
}

/// Whether the password was changed after a moment, as far as a directory tells it: to the second.
fn changed_since(entry: &Entry, moment: Timestamp) -> bool {
    entry
        .password_changed
        .is_some_and(|changed| changed.secs() >= moment.secs())
}
