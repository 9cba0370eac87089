//! Resumed sessions: whoever was let in before proves to hold what was agreed on then, and no password. So all that a login would have
//! found out is looked at again, and where anything is not as it was, there must be a login (RFC 9190 §5.7).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::exchange::{Exchange, Settled, Undecided, reason_of};
use super::lasting;
use super::policy::Ruling;
use super::{Attempt, Credential, Room, Then, Verdict, policy};
use crate::account::{AccountId, AccountKey, AttemptId, ClientName, Outcome, Reason, Station, Who};
use crate::clock::Timestamp;
use crate::directory::{Entry, Found, State};
use crate::store::{Admission, Standing};

/// No session is resumed longer after its login, however often it was resumed since (RFC 8446 §4.6.1: a ticket's longest life).
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the directory may take when it is only asked whether to resume: a full handshake is the way out.
const PATIENCE: Duration = Duration::from_secs(3);

/// By what somebody was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grounds {
    /// The password alone, as the rules said.
    Password,
    /// The password and a factor.
    Factor,
    /// The password, at a station where a factor was proven before.
    Station,
    /// A certificate.
    Certificate,
}

/// A login that was let in, as much of it as must be looked at again when its session is resumed.
#[derive(Debug, PartialEq, Eq)]
pub struct Resumable {
    pub(super) account: AccountId,
    pub(super) name: AccountKey,
    pub(super) client: ClientName,
    pub(super) station: Station,
    pub(super) attempt: AttemptId,
    pub(super) at: Timestamp,
    pub(super) password_changed: Timestamp,
    pub(super) ended: u32,
    pub(super) grounds: Grounds,
    pub(super) ends: Option<Timestamp>,
}

impl Resumable {
    /// Whose login it was.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        &self.account
    }

    /// When it was let in; resuming does not renew that.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Whether an attempt is made where the login was: at its client, and from its station if that tells itself apart.
    fn is_at(&self, attempt: &Attempt) -> bool {
        let told_apart = matches!(self.station, Station::Mac(_));
        self.client == attempt.client.name && !(told_apart && self.station != attempt.station)
    }

    /// Who is to be looked up: the key is the directory's name and the user's.
    fn who(&self) -> Option<Who> {
        let (directory, user) = self.name.as_str().split_once('/')?;
        Some(Who {
            directory: directory.into(),
            user: user.into(),
            key: self.name.clone(),
        })
    }
}

/// Whether a session may be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayResume {
    /// It may, by who proves to hold it.
    Yes,
    /// Not at this client and station, or nobody could be asked. It is still good where its login was.
    NotHere,
    /// What its login was let in by is over.
    Never,
}

/// See [`super::Access::may_resume`].
pub(super) async fn may_resume(room: &Arc<Room>, attempt: &Attempt) -> MayResume {
    let Credential::Resumed(resumable) = &attempt.credential else {
        return MayResume::Never;
    };
    if !resumable.is_at(attempt) {
        return MayResume::NotHere;
    }
    let setup = room.setup.load_full();
    let mut exchange = Exchange::begin(room, &setup, attempt);
    // Anew: what the directory said before this packet is not asked for.
    let looked = exchange.look(resumable, attempt.received).await;
    match looked {
        Ok(Ok(_)) => MayResume::Yes,
        Ok(Err(_)) => MayResume::Never,
        Err(_) => MayResume::NotHere,
    }
}

/// Until when the directory may be asked.
pub(super) fn deadline(now: Instant) -> Instant {
    now + PATIENCE
}

impl Exchange<'_> {
    /// Decides a resumed session: whatever was said when it was looked at, it is looked at again.
    pub(super) async fn resume(
        &mut self,
        resumable: &Arc<Resumable>,
    ) -> Result<Settled, Undecided> {
        self.decision.name = resumable.name.as_str().into();
        self.decision.account = Some(resumable.account.clone());
        let entry = match self.look(resumable, self.lately()).await? {
            Ok(entry) => entry,
            Err(reason) => return Ok(self.refuse_unproven(reason)),
        };
        let note = format!("resumes the login {}", resumable.attempt);
        self.decision.note = Some(note.into());
        let decision = Arc::new(self.decided(Outcome::Accept, Reason::Resumed));
        let admission = Admission {
            bound: false,
            ..Admission::from(decision.clone())
        };
        self.room.store.record(admission).await?;
        let settings = &self.setup.settings;
        let reply = policy::replies(settings, self.client(), &entry.groups);
        let mut settled = self.settled(Verdict::Accept { reply }, decision);
        settled.resumable = Some(resumable.clone());
        Ok(settled)
    }

    /// The entry of whoever would resume, or why there must be a login.
    async fn look(
        &mut self,
        resumable: &Resumable,
        since: Instant,
    ) -> Result<Result<Arc<Entry>, Reason>, Undecided> {
        if let Err(why) = self.is_same(resumable) {
            return Ok(Err(self.ended(why)));
        }
        let Some(who) = resumable.who() else {
            return Ok(Err(Reason::UnknownUser));
        };
        let entry = match self.find_since(&who, since).await? {
            Found::One(entry) => entry,
            Found::Nobody => return Ok(Err(Reason::UnknownUser)),
            Found::Several => return Ok(Err(Reason::AmbiguousUser)),
        };
        if entry.id != resumable.account {
            return Ok(Err(self.ended("the name is somebody else's now")));
        }
        if let State::Barred(refusal) = entry.state {
            self.end_if_disabled(&entry.id, refusal).await?;
            return Ok(Err(reason_of(refusal)));
        }
        let store = &self.room.store;
        let standing = store.standing(&entry.id, &self.attempt.station)?;
        let ruling = self.rule(&entry);
        Ok(match self.still(resumable, (&entry, &standing), &ruling) {
            Ok(()) => Ok(entry),
            Err(reason) => Err(reason),
        })
    }

    /// Whether it is resumed where its login was, and in time.
    fn is_same(&self, resumable: &Resumable) -> Result<(), &'static str> {
        let now = self.room.clock.now();
        if !resumable.is_at(self.attempt) {
            return Err("the login was at another client or from another station");
        }
        // A clock that was put back makes it end, not last.
        if resumable.at > now || resumable.at.after(LONGEST) <= now {
            return Err("the login was too long ago");
        }
        if resumable.ends.is_some_and(|ends| ends <= now) {
            return Err("the certificate has ended");
        }
        Ok(())
    }

    /// Whether what let in then would do so now.
    fn still(
        &mut self,
        resumable: &Resumable,
        (entry, standing): (&Entry, &Standing),
        ruling: &Ruling,
    ) -> Result<(), Reason> {
        if ruling.then == Then::Deny {
            return Err(Reason::Denied);
        }
        if standing.exposed.is_some() {
            return Err(Reason::Exposed);
        }
        if standing.ended != resumable.ended {
            return Err(self.ended("a report, a removed factor or an operator ended it"));
        }
        if entry.password_changed != Some(resumable.password_changed) {
            return Err(self.ended("the password has changed"));
        }
        let now = self.room.clock.now();
        let remembered = lasting::remembered(self.client(), &self.attempt.station, (standing, now));
        let always = ruling.always && !self.client().remember_always;
        let proven = match resumable.grounds {
            Grounds::Certificate => true,
            Grounds::Factor => !always && self.is_fresh(resumable, now),
            Grounds::Station => !always && remembered.is_some(),
            Grounds::Password => false,
        };
        if ruling.then == Then::Ask && !proven {
            return Err(self.ended("a second factor is asked for now"));
        }
        Ok(())
    }

    /// Whether a factor was proven as lately as it must be where stations are remembered for a time.
    fn is_fresh(&self, resumable: &Resumable, now: Timestamp) -> bool {
        let remember = self.client().remember;
        remember.is_zero() || resumable.at.after(remember) > now
    }

    fn ended(&mut self, why: &'static str) -> Reason {
        self.decision.note = Some(why.into());
        Reason::SessionEnded
    }
}

impl Attempt {
    /// A question about a session, as an attempt at a client from a station.
    pub(super) fn to_resume(
        resumable: &Arc<Resumable>,
        client: &Arc<super::ClientPolicy>,
        station: &Station,
    ) -> Self {
        let now = Instant::now();
        Self {
            client: client.clone(),
            nas: std::net::Ipv4Addr::UNSPECIFIED.into(),
            nas_port: None,
            name: Box::default(),
            credential: Credential::Resumed(resumable.clone()),
            state: None,
            station: station.clone(),
            station_from: None,
            can_ask: false,
            received: now,
            deadline: deadline(now),
            hold_until: now,
        }
    }
}
