//! Sessions that may be resumed: kept only after a login was let in, and given only to whom the judge allows (RFC 5281 §7.5,
//! 9190 §5.7).
//!
//! rustls wants to store a session as soon as its handshake is done. What it stores stays with the conversation
//! ([`Keeper`]), and is moved into [`Sessions`] when the conversation has come to Success.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustls::server::StoresServerSessions;

use super::super::Method;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// A session's name: rustls makes them of 32 random octets, as session id (TLS 1.2) and as ticket (TLS 1.3).
pub(in crate::eap) type SessionKey = [u8; 32];

/// All sessions together: some 75,000 of passwords, or 18,000 of certificates, whose chains are kept with them.
const TOTAL_OCTETS: usize = 32 * 1024 * 1024;
/// One session, mostly its client certificates; what is longer is not kept.
const SECRET_OCTETS: usize = 16 * 1024;
/// What a session costs beside its secret: two keys, two entries, its record.
const BESIDE_OCTETS: usize = 300;

/// A session that rustls made: its name, and what it needs to take it up again.
#[derive(Clone)]
pub(in crate::eap) struct Made {
    key: SessionKey,
    secret: Secret,
}

/// Sessions by name, oldest out first.
pub(in crate::eap) struct Sessions<R> {
    kept: Mutex<Kept<R>>,
}

struct Kept<R> {
    by_key: HashMap<SessionKey, Session<R>>,
    by_age: BTreeMap<u64, SessionKey>,
    next: u64,
    octets: usize,
}

struct Session<R> {
    /// No session is taken up by another method: each protects something else.
    method: Method,
    secret: Secret,
    record: R,
    /// When the login was: a session that is taken up again does not become younger.
    since: Timestamp,
    place: u64,
}

/// A session that a peer names and that is live.
pub(in crate::eap) struct Found<R> {
    /// What rustls may be given.
    pub(in crate::eap) made: Made,
    /// What the judge wants to see.
    pub(in crate::eap) record: R,
    /// When its login was.
    pub(in crate::eap) since: Timestamp,
}

impl<R: Clone> Sessions<R> {
    /// None yet.
    pub(in crate::eap) fn new() -> Self {
        Self {
            kept: Mutex::new(Kept {
                by_key: HashMap::new(),
                by_age: BTreeMap::new(),
                next: 0,
                octets: 0,
            }),
        }
    }

    /// The first session that is named, of this method, and not over.
    pub(in crate::eap) fn find(
        &self,
        method: Method,
        named: &[SessionKey],
        (now, lasts): (Timestamp, Duration),
    ) -> Option<Found<R>> {
        let mut kept = self.lock();
        named.iter().find_map(|key| {
            let session = kept.by_key.get(key)?;
            if now.since(session.since) >= lasts {
                kept.remove(key);
                return None;
            }
            let of_method = session.method == method;
            of_method.then(|| Found {
                made: Made {
                    key: *key,
                    secret: session.secret.clone(),
                },
                record: session.record.clone(),
                since: session.since,
            })
        })
    }

    /// Keeps a session whose login was let in.
    pub(in crate::eap) fn keep(&self, method: Method, made: Made, record: R, since: Timestamp) {
        let mut kept = self.lock();
        kept.remove(&made.key);
        kept.octets += made.cost();
        let place = kept.next;
        kept.next += 1;
        kept.by_age.insert(place, made.key);
        let session = Session {
            method,
            secret: made.secret,
            record,
            since,
            place,
        };
        kept.by_key.insert(made.key, session);
        while kept.octets > TOTAL_OCTETS {
            let Some((_, oldest)) = kept.by_age.first_key_value() else {
                break;
            };
            let oldest = *oldest;
            kept.remove(&oldest);
        }
    }

    /// Ends one.
    pub(in crate::eap) fn remove(&self, key: &SessionKey) {
        self.lock().remove(key);
    }

    /// Ends those whose records are chosen.
    pub(in crate::eap) fn forget(&self, chosen: impl Fn(Method, &R) -> bool) {
        let mut kept = self.lock();
        let keys: Vec<_> = kept
            .by_key
            .iter()
            .filter_map(|(key, session)| chosen(session.method, &session.record).then_some(*key))
            .collect();
        for key in keys {
            kept.remove(&key);
        }
    }

    /// Nothing that can panic runs under the lock but the choice in [`Sessions::forget`], which changes nothing.
    fn lock(&self) -> std::sync::MutexGuard<'_, Kept<R>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Kept<R> {
    fn remove(&mut self, key: &SessionKey) {
        if let Some(session) = self.by_key.remove(key) {
            self.by_age.remove(&session.place);
            self.octets = self.octets.saturating_sub(cost(&session.secret));
        }
    }
}

impl Made {
    /// Its name.
    pub(in crate::eap) fn key(&self) -> &SessionKey {
        &self.key
    }

    fn cost(&self) -> usize {
        cost(&self.secret)
    }
}

fn cost(secret: &Secret) -> usize {
    secret.len() + BESIDE_OCTETS
}

/// What one conversation shows rustls in the place of a store: the one session that may be taken up, and a drawer for what
/// rustls makes.
pub(in crate::eap) struct Keeper {
    /// Whether sessions are made at all.
    makes: bool,
    allowed: Option<Made>,
    made: Mutex<Option<Made>>,
}

impl Keeper {
    /// For one conversation.
    pub(in crate::eap) fn new(makes: bool, allowed: Option<Made>) -> Self {
        Self {
            makes,
            allowed,
            made: Mutex::new(None),
        }
    }

    /// Takes out what rustls made.
    pub(in crate::eap) fn take_made(&self) -> Option<Made> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.take()
    }

    /// The session that may be taken up.
    pub(in crate::eap) fn allowed(&self) -> Option<&Made> {
        self.allowed.as_ref()
    }

    /// Whether sessions are made.
    pub(super) fn makes(&self) -> bool {
        self.makes
    }

    fn give(&self, key: &[u8]) -> Option<Vec<u8>> {
        let allowed = self.allowed.as_ref().filter(|made| made.key == key)?;
        Some(allowed.secret.expose().to_vec())
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keeper(…)")
    }
}

impl StoresServerSessions for Keeper {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let secret = Secret::new(value);
        let Ok(key) = SessionKey::try_from(key) else {
            return false;
        };
        let fits = self.makes && secret.len() <= SECRET_OCTETS;
        if fits {
            let made = Some(Made { key, secret });
            *self.made.lock().unwrap_or_else(PoisonError::into_inner) = made;
        }
        fits
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.give(key)
    }

    /// As [`Keeper::get`]: the session ends when whoever names it has proven to hold it, and is not ended by who only saw its name.
    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.give(key)
    }

    fn can_cache(&self) -> bool {
        self.makes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn made(name: u64, octets: usize) -> Made {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&name.to_be_bytes());
        Made {
            key,
            secret: Secret::new(vec![1; octets]),
        }
    }

    fn find(sessions: &Sessions<u32>, method: Method, name: u64, now: i64) -> Option<u32> {
        let at = (Timestamp::from_secs(now), HOUR);
        let found = sessions.find(method, &[made(name, 0).key], at);
        found.map(|found| found.record)
    }

    #[test]
    fn session_is_of_its_method_and_time() {
        let sessions = Sessions::new();
        sessions.keep(Method::Ttls, made(1, 9), 11, Timestamp::from_secs(100));
        assert_eq!(find(&sessions, Method::Ttls, 1, 3699), Some(11));
        assert_eq!(find(&sessions, Method::Peap, 1, 3699), None);
        assert_eq!(find(&sessions, Method::Ttls, 2, 3699), None);
        assert_eq!(find(&sessions, Method::Ttls, 1, 3700), None);
        assert_eq!(
            find(&sessions, Method::Ttls, 1, 3600),
            None,
            "ended for good"
        );
    }

    #[test]
    fn chosen_sessions_are_forgotten() {
        let sessions = Sessions::new();
        for name in 0..4 {
            let record = u32::try_from(name % 2).unwrap();
            sessions.keep(Method::Tls, made(name, 9), record, Timestamp::from_secs(0));
        }
        sessions.forget(|_, record| *record == 1);
        let left: Vec<_> = (0..4)
            .map(|name| find(&sessions, Method::Tls, name, 0).is_some())
            .collect();
        assert_eq!(left, [true, false, true, false]);
    }

    #[test]
    fn oldest_sessions_make_room() {
        let sessions = Sessions::new();
        let fit = u64::try_from(TOTAL_OCTETS / (SECRET_OCTETS + BESIDE_OCTETS)).unwrap();
        for name in 0..fit + 3 {
            let made = made(name, SECRET_OCTETS);
            sessions.keep(Method::Tls, made, 0, Timestamp::from_secs(0));
            assert!(sessions.lock().octets <= TOTAL_OCTETS);
        }
        assert!(find(&sessions, Method::Tls, 2, 0).is_none());
        assert!(find(&sessions, Method::Tls, 3, 0).is_some());
        sessions.forget(|_, _| true);
        let kept = sessions.lock();
        assert_eq!((kept.octets, kept.by_age.len()), (0, 0));
    }

    #[test]
    fn keeper_gives_the_allowed_session_alone() {
        let keeper = Keeper::new(true, Some(made(1, 3)));
        assert_eq!(keeper.take(&made(1, 0).key), Some(vec![1; 3]));
        assert_eq!(keeper.get(&made(1, 0).key), Some(vec![1; 3]));
        assert!(keeper.put(vec![2; 32], vec![4]));
        assert_eq!(keeper.get(&[2; 32]), None, "not before it is kept");
        assert!(!keeper.put(vec![2; 31], vec![4]));
        assert!(!keeper.put(vec![2; 32], vec![4; SECRET_OCTETS + 1]));
        assert_eq!(keeper.take_made().map(|made| made.key), Some([2; 32]));
        let off = Keeper::new(false, None);
        assert!(!off.can_cache() && !off.put(vec![2; 32], vec![4]));
    }
}
