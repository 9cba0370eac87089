//! What all conversations share: certificate, methods, sessions.

use std::sync::Arc;
use std::time::Duration;

use super::settings::{CertificateName, Error, Inner, Method, Settings};
use super::tls::{Sessions, Setup};
use super::{Conversation, ROUNDS, Room, Turn};
use crate::clock::Clock;

/// Rounds that a login takes beside the fragments of our certificate: Identity, start, hello, the peer's part in up to ten
/// fragments, a method inside with questions, results.
const OTHER_ROUNDS: usize = 20;
/// Octets of a fragment that are none of the certificate's: header, type, flags, and what else the flight holds, spread.
const AROUND_OCTETS: usize = 20;

/// Holds conversations: certificate, methods and the sessions that may be resumed. `R` is what whoever judges wants to be shown
/// again when a session is resumed; its owner clones and compares it, this room only keeps it. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator<R> {
    house: Arc<House<R>>,
}

/// What a conversation is held by; one for each reload, the sessions in common.
pub(super) struct House<R> {
    pub(super) setup: Setup,
    pub(super) methods: Vec<Method>,
    pub(super) inner: Arc<[Inner]>,
    pub(super) resume_for: Duration,
    pub(super) certificate_name: CertificateName,
    pub(super) sessions: Arc<Sessions<R>>,
    pub(super) clock: Clock,
    /// Octets of an EAP packet that is sent, at most.
    pub(super) fragment: usize,
}

impl<R: Clone + Send + Sync + 'static> Authenticator<R> {
    /// Prepares the methods. By `clock` certificates are valid and sessions live.
    ///
    /// # Errors
    ///
    /// When certificate, key, CA or CRL cannot be used.
    pub fn new(settings: &Settings, clock: Clock) -> Result<Self, Error> {
        let house = House::new(settings, Arc::new(Sessions::new()), clock)?;
        Ok(Self {
            house: Arc::new(house),
        })
    }

    /// Takes a new certificate, new methods and bounds, after a reload. Conversations in work end under the old ones; sessions
    /// of methods that are still offered stay resumable.
    ///
    /// # Errors
    ///
    /// As for [`Authenticator::new`]; then nothing has changed.
    pub fn reload(&mut self, settings: &Settings) -> Result<(), Error> {
        let (sessions, clock) = (&self.house.sessions, &self.house.clock);
        let house = House::new(settings, sessions.clone(), clock.clone())?;
        sessions.forget(|method, _| !house.methods.contains(&method));
        self.house = Arc::new(house);
        Ok(())
    }

    /// Begins a conversation with what came in the first EAP-Message: empty for EAP-Start (RFC 3579 §2.1), otherwise an
    /// EAP-Response/Identity.
    pub fn begin(&self, packet: &[u8], room: Room) -> (Conversation<R>, Turn<R>) {
        Conversation::begin(self.house.clone(), packet, room)
    }

    /// Ends the resumability of every session whose record is chosen: a report, a removed factor, a disabled account. What
    /// chooses must not come back to this room.
    pub fn forget(&self, chosen: impl Fn(&R) -> bool) {
        self.house.sessions.forget(|_, record| chosen(record));
    }
}

impl<R> House<R> {
    fn new(settings: &Settings, sessions: Arc<Sessions<R>>, clock: Clock) -> Result<Self, Error> {
        let setup = Setup::read(settings, &clock)?;
        let octets = setup.chain_octets();
        let fragment = Room(settings.fragment)
            .octets()
            .saturating_sub(AROUND_OCTETS);
        if octets.div_ceil(fragment.max(1)) + OTHER_ROUNDS > usize::from(ROUNDS) {
            return Err(Error::Chain {
                octets,
                rounds: u32::from(ROUNDS),
            });
        }
        Ok(Self {
            setup,
            methods: settings.methods.clone(),
            inner: settings.inner.clone().into(),
            resume_for: settings.resume_for,
            certificate_name: settings.certificate_name,
            sessions,
            clock,
            fragment: settings.fragment,
        })
    }
}
