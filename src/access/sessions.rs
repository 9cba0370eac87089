//! Sessions that NASes account for: by which handle they are joined to the login that began them, and how they are ended.
//!
//! Ending one is asked of the NAS by `server`, beside whoever wants it: a report does not wait for gear. No login is decided by
//! what is known here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::account::{AccountId, AttemptId, ClientName, Station};
use crate::clock::Clock;
use crate::secret::{Key, equal};
use crate::store::{
    AccountedSession, AccountingRecord, EndAsked, EndOutcome, EndWhy, Error, Joining, Recorded,
    Store,
};

/// Octets of a handle: enough that nobody guesses one, few enough for gear that keeps little of Class.
pub const HANDLE: usize = NUMBER + DIGEST;
/// Octets of the attempt's number in it.
const NUMBER: usize = 8;
/// Octets of its keyed digest: 96 bits, of which a NAS tries one a packet.
const DIGEST: usize = 12;
/// Sessions that may wait to be ended: all of some hundred people who report at once.
const TO_END: usize = 1024;
/// How long whoever wants a session ended is told nothing: longer than a NAS is asked, and waited for in a queue.
const PATIENCE: Duration = Duration::from_secs(25);

/// A session that its NAS is to be asked to end.
#[derive(Debug)]
pub struct SessionToEnd {
    /// Which.
    pub session: AccountedSession,
    /// Why.
    pub why: EndWhy,
    /// Who waits for what came of it. Dropped, it was not sent.
    pub told: oneshot::Sender<EndOutcome>,
}

/// A session that was to end, and what came of it.
pub type SessionEnded = (AccountedSession, EndOutcome);

/// Those of an account, or of one of its stations.
type Whose = (AccountId, Option<Station>);

/// Makes handles, and reads them. The key is made of what the store keeps: the same after a restart, as sessions go on.
pub(super) struct Handles(Key);

impl Handles {
    pub(super) fn make(&self, attempt: &AttemptId, client: &ClientName) -> [u8; HANDLE] {
        let mut handle = [0; HANDLE];
        let number = attempt.number().to_be_bytes();
        let digest = self.0.digest(&[&number, client.as_str().as_bytes()]);
        for (place, octet) in handle.iter_mut().zip(number.into_iter().chain(digest)) {
            *place = octet;
        }
        handle
    }

    /// `None` if it was made by somebody else, or for another client.
    pub(super) fn read(&self, handle: &[u8], client: &ClientName) -> Option<AttemptId> {
        let (number, _) = handle.split_first_chunk::<NUMBER>()?;
        let attempt = AttemptId::from_number(i64::from_be_bytes(*number));
        equal(handle, &self.make(&attempt, client)).then_some(attempt)
    }
}

/// What is known of sessions, and the way to whoever can end them.
pub(super) struct Sessions {
    store: Store,
    clock: Clock,
    pub(super) handles: Handles,
    tasks: TaskTracker,
    /// Whose sessions are being ended beside whoever wants it, and whether that is wanted (again).
    in_work: Mutex<HashMap<Whose, bool>>,
    tell: mpsc::Sender<SessionToEnd>,
    hear: Mutex<Option<mpsc::Receiver<SessionToEnd>>>,
}

impl Sessions {
    pub(super) fn new(store: Store, clock: Clock, tasks: TaskTracker) -> Self {
        let (tell, hear) = mpsc::channel(TO_END);
        Self {
            handles: Handles(store.code_key().derive("session handles")),
            store,
            clock,
            tasks,
            in_work: Mutex::default(),
            tell,
            hear: Mutex::new(Some(hear)),
        }
    }

    /// The other end, once.
    pub(super) fn listen(&self) -> Option<mpsc::Receiver<SessionToEnd>> {
        let mut hear = self.hear.lock().unwrap_or_else(PoisonError::into_inner);
        hear.take()
    }

    /// Keeps what a NAS accounts for. What somebody reported before we heard of its session is ended now.
    pub(super) async fn record(
        self: &Arc<Self>,
        record: AccountingRecord,
        joining: Joining,
    ) -> Result<bool, Error> {
        let accounted = self.store.record_accounting(record, joining).await?;
        if let Some(session) = accounted.reported {
            let sessions = Arc::clone(self);
            self.tasks.spawn(async move {
                let _told = sessions.end_all(vec![*session], EndWhy::Reported).await;
            });
        }
        Ok(accounted.recorded == Recorded::New)
    }

    /// Ends the sessions of an account, or those of one station, and waits for what comes of it.
    pub(super) async fn end(
        &self,
        account: &AccountId,
        station: Option<&Station>,
        why: EndWhy,
    ) -> Result<Vec<SessionEnded>, Error> {
        let mut open = self.store.sessions(account).await?;
        open.retain(|session| {
            session.ended.is_none() && station.is_none_or(|of| *of == session.facts.station)
        });
        Ok(self.end_all(open, why).await)
    }

    /// The same, beside whoever wants it. Who wants it again meanwhile has it done once more at the end: however often somebody
    /// reports, gear is not asked more often than it can answer.
    pub(super) fn end_beside(
        self: &Arc<Self>,
        account: &AccountId,
        station: Option<&Station>,
        why: EndWhy,
    ) {
        let whose = (account.clone(), station.cloned());
        if self.in_work().insert(whose.clone(), true).is_some() {
            return;
        }
        let turn = Turn {
            sessions: Arc::clone(self),
            whose,
        };
        self.tasks.spawn(async move {
            while turn.goes_on() {
                let (sessions, (account, station)) = (&turn.sessions, &turn.whose);
                if let Err(error) = sessions.end(account, station.as_ref(), why).await {
                    log::error!("the sessions of {account} were not ended: {error}");
                }
            }
        });
    }

    fn in_work(&self) -> MutexGuard<'_, HashMap<Whose, bool>> {
        self.in_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn end_all(&self, open: Vec<AccountedSession>, why: EndWhy) -> Vec<SessionEnded> {
        let deadline = Instant::now() + PATIENCE;
        let mut waiting = Vec::with_capacity(open.len());
        for session in open {
            let (told, heard) = oneshot::channel();
            let order = SessionToEnd {
                session: session.clone(),
                why,
                told,
            };
            // What has no room is dropped, and its end hears so.
            let _full = self.tell.try_send(order);
            waiting.push((session, heard));
        }
        let mut ended = Vec::with_capacity(waiting.len());
        for (session, heard) in waiting {
            let outcome = match timeout_at(deadline, heard).await {
                Ok(heard) => heard.unwrap_or(EndOutcome::Unsent),
                Err(_) => EndOutcome::Unanswered,
            };
            self.note(&session, why, outcome).await;
            ended.push((session, outcome));
        }
        ended
    }

    async fn note(&self, session: &AccountedSession, why: EndWhy, outcome: EndOutcome) {
        let asked = EndAsked {
            at: self.clock.now(),
            why,
            outcome,
        };
        if let Err(error) = self.store.record_end(session.id, asked).await {
            let (name, outcome) = (&session.facts.name, outcome.as_str());
            log::error!("a session of {name} is {outcome}, which was not recorded: {error}");
        }
    }
}

/// The one task that ends somebody's sessions.
struct Turn {
    sessions: Arc<Sessions>,
    whose: Whose,
}

impl Turn {
    /// Whether it is wanted (again); otherwise the turn is over.
    fn goes_on(&self) -> bool {
        let mut in_work = self.sessions.in_work();
        let wanted = in_work.get_mut(&self.whose).is_some_and(std::mem::take);
        if !wanted {
            in_work.remove(&self.whose);
        }
        wanted
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.sessions.in_work().remove(&self.whose);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_handle_is_of_one_attempt_and_one_client() {
        let handles = Handles(Key::random());
        let (vpn, wifi) = (ClientName::new("vpn"), ClientName::new("wifi"));
        let attempt = AttemptId::new(Timestamp::from_millis(1_795_577_291_123));
        let handle = handles.make(&attempt, &vpn);
        assert_eq!(handles.read(&handle, &vpn), Some(attempt.clone()));
        assert_eq!(handles.read(&handle, &wifi), None);
        for at in 0..HANDLE {
            let mut forged = handle;
            forged[at] ^= 1;
            assert_eq!(handles.read(&forged, &vpn), None, "octet {at}");
        }
        for length in 0..HANDLE {
            assert_eq!(handles.read(&handle[..length], &vpn), None);
        }
        let longer = [&handle[..], b"x"].concat();
        assert_eq!(handles.read(&longer, &vpn), None);
    }
}
