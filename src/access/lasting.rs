//! What a login earns beyond itself: a station that is remembered, a session that can be resumed (D9). Both hold for the password that
//! was proven and no other, by the time at which the directory says that it was changed: equal, not earlier, so that no two clocks are
//! compared. And both hold until a report, a removed factor or an operator ends them, which is counted, not timed.

use std::sync::Arc;
use std::time::Duration;

use super::exchange::{Exchange, Settled, Undecided};
use super::policy::Ruling;
use super::proven::Proven;
use super::resumption::{Grounds, Resumable};
use super::{ClientPolicy, Verdict};
use crate::account::{AccountKey, Decision, Outcome, Reason, Station, Who};
use crate::clock::Timestamp;
use crate::directory::{Entry, Found, State};
use crate::store::{Admission, ChallengeFacts, Lasting, Remember, RememberedStation, Standing};

/// Directories tell the time of a change to the second: until that is over, another change could have the same.
const SECOND: Duration = Duration::from_secs(1);

/// What lets somebody in: the record of it, and by what.
pub(super) struct Entrance<'a> {
    pub(super) name: &'a AccountKey,
    pub(super) facts: &'a ChallengeFacts,
    pub(super) grounds: Grounds,
    /// When the certificate ends that let in.
    pub(super) ends: Option<Timestamp>,
}

impl<'a> Entrance<'a> {
    /// By a password and a factor.
    pub(super) const fn by_factor(name: &'a AccountKey, facts: &'a ChallengeFacts) -> Self {
        Self {
            name,
            facts,
            grounds: Grounds::Factor,
            ends: None,
        }
    }

    /// The Accept as the store needs it.
    pub(super) fn admission(&self, decision: Arc<Decision>) -> Admission {
        let lasting = &self.facts.lasting;
        let earns = match self.grounds {
            Grounds::Factor | Grounds::Certificate => lasting.remember > 0,
            Grounds::Password | Grounds::Station => false,
        };
        let changed = lasting.password_changed.filter(|_| earns);
        Admission {
            bound: !lasting.unbound,
            remember: changed.map(|password_changed| Remember {
                until: self.end(decision.at.after(lasting.remembers_for())),
                password_changed,
                ended: lasting.ended,
            }),
            decision,
        }
    }

    /// Nothing outlives the certificate that it was earned by.
    fn end(&self, until: Timestamp) -> Timestamp {
        self.ends.map_or(until, |ends| until.min(ends))
    }

    /// What makes the session of the Accept resumable.
    pub(super) fn resumable(&self, decision: &Decision) -> Option<Arc<Resumable>> {
        Some(Arc::new(Resumable {
            account: decision.account.clone()?,
            name: self.name.clone(),
            client: decision.client.clone(),
            station: decision.station.clone(),
            attempt: decision.attempt.clone(),
            at: decision.at,
            password_changed: self.facts.lasting.password_changed?,
            ended: self.facts.lasting.ended,
            grounds: self.grounds,
            ends: self.ends,
        }))
    }
}

impl Exchange<'_> {
    /// What the login may earn, as things stand when it begins.
    pub(super) fn lasting(&self, entry: &Entry, standing: &Standing, ruling: &Ruling) -> Lasting {
        let (client, now) = (self.client(), self.room.clock.now());
        // By a clock that is behind the directory's it only takes longer.
        let settled = |changed: &Timestamp| changed.after(SECOND) < now;
        let password_changed = entry.password_changed.filter(settled);
        let always = ruling.always && !client.remember_always;
        let remembers = !always
            && remembers_stations(client, &self.attempt.station)
            && password_changed.is_some();
        Lasting {
            password_changed,
            ended: standing.ended,
            remember: match remembers {
                true => client.remember.as_secs(),
                false => 0,
            },
            always,
            unbound: self.attempt.credential.typed().is_none(),
        }
    }

    /// Whether a factor was proven at this station of late, under the password of now: the entry is read anew for that, unless it
    /// just was.
    pub(super) async fn is_remembered(
        &mut self,
        (who, entry): (&Who, &Entry),
        lasting: &Lasting,
        standing: &Standing,
    ) -> Result<bool, Undecided> {
        let (client, station) = (self.client(), &self.attempt.station);
        let now = self.room.clock.now();
        let Some(kept) = remembered(client, station, (standing, now)) else {
            return Ok(false);
        };
        if lasting.always {
            return Ok(false);
        }
        let changed = Some(kept.password_changed);
        let found = self.find_since(who, self.attempt.received).await?;
        Ok(matches!(found, Found::One(now) if now.id == entry.id
            && now.state == State::Usable
            && now.password_changed == changed))
    }

    /// Lets in by a password at a station that is remembered.
    pub(super) async fn accept_station(&mut self, proven: &Proven) -> Result<Settled, Undecided> {
        self.accept(proven, (Grounds::Station, None), Reason::StationRemembered)
            .await
    }

    /// Lets in, and records it with what it earns.
    pub(super) async fn accept(
        &mut self,
        proven: &Proven,
        (grounds, ends): (Grounds, Option<Timestamp>),
        reason: Reason,
    ) -> Result<Settled, Undecided> {
        let decision = Arc::new(self.decided(Outcome::Accept, reason));
        let entrance = Entrance {
            name: &proven.name,
            facts: &proven.facts,
            grounds,
            ends,
        };
        let admission = entrance.admission(decision.clone());
        self.room.store.record(admission).await?;
        Ok(self.admitted(&entrance, decision))
    }

    /// An Accept that is recorded.
    pub(super) fn admitted(&self, entrance: &Entrance<'_>, decision: Arc<Decision>) -> Settled {
        let resumable = entrance.resumable(&decision);
        let reply = entrance.facts.reply.clone();
        let mut settled = self.settled(Verdict::Accept { reply }, decision);
        settled.resumable = resumable;
        settled
    }
}

/// Whether stations of this kind are remembered at a client: those that are one person's, and tell themselves apart.
pub(super) fn remembers_stations(client: &ClientPolicy, station: &Station) -> bool {
    match station {
        Station::Mac(_) => !client.remember.is_zero() && !client.shared_stations,
        Station::Address(_) | Station::Unknown => false,
    }
}

/// The station as it is remembered, if it is: no longer than the client's setting of now says.
pub(super) fn remembered<'a>(
    client: &ClientPolicy,
    station: &Station,
    (standing, now): (&'a Standing, Timestamp),
) -> Option<&'a RememberedStation> {
    let holds = |kept: &&RememberedStation| {
        kept.client == client.name
            && kept.station == *station
            && kept.until > now
            && kept.at.after(client.remember) > now
    };
    let mut kept = standing.remembered.iter();
    kept.find(holds)
        .filter(|_| remembers_stations(client, station))
}
