//! Whose session it is that a NAS accounts for: the Class of its Accept (RFC 2865 §5.25), or else the Acct-Session-Id that the
//! Access-Request had.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::Client;
use super::clients::hold;
use crate::access::{Access, HANDLE};
use crate::account::{AttemptId, ClientName};
use crate::wire::{Request, attribute};

/// Accepts whose accounting may still begin: what a campus lets in within [`EXPECTED_FOR`] on a morning; some MiB.
const EXPECTED: usize = 1 << 14;
/// The Start follows the Accept within seconds; gear that has to send it again takes some minutes.
const EXPECTED_FOR: Duration = Duration::from_secs(600);

type Key = (ClientName, Box<[u8]>);

/// Accepts by the Acct-Session-Id of their request, for NASes that bring no Class back.
#[derive(Default)]
pub(super) struct Expected {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    attempts: HashMap<Arc<Key>, (AttemptId, Instant)>,
    /// In the order of their coming; one whose session was let in again since stands here twice.
    order: VecDeque<(Instant, Arc<Key>)>,
}

impl Expected {
    /// Somebody was let in by a request.
    pub(super) fn note_request(&self, client: &ClientName, request: &Request, attempt: &AttemptId) {
        if let Some(session) = request.attribute(attribute::ACCT_SESSION_ID) {
            self.note((client, session), attempt, Instant::now());
        }
    }

    fn note(&self, (client, session): (&ClientName, &[u8]), attempt: &AttemptId, now: Instant) {
        let key: Arc<Key> = Arc::new((client.clone(), session.into()));
        let mut table = hold(&self.table);
        table.make_room(now);
        table.order.push_back((now, Arc::clone(&key)));
        table.attempts.insert(key, (attempt.clone(), now));
    }

    fn find(&self, client: &ClientName, session: &[u8], now: Instant) -> Option<AttemptId> {
        let key: Key = (client.clone(), session.into());
        let table = hold(&self.table);
        let (attempt, since) = table.attempts.get(&key)?;
        (now.saturating_duration_since(*since) < EXPECTED_FOR).then(|| attempt.clone())
    }
}

impl Table {
    fn make_room(&mut self, now: Instant) {
        let over = |(since, _): &(Instant, Arc<Key>)| {
            now.saturating_duration_since(*since) >= EXPECTED_FOR
        };
        while self.order.len() >= EXPECTED || self.order.front().is_some_and(over) {
            let Some((since, key)) = self.order.pop_front() else {
                return;
            };
            if self
                .attempts
                .get(&key)
                .is_some_and(|known| known.1 == since)
            {
                self.attempts.remove(&key);
            }
        }
    }
}

/// The Class of an Accept; none for gear that takes Class for something else.
pub(super) fn of(access: &Access, client: &Client, attempt: &AttemptId) -> Option<[u8; HANDLE]> {
    client
        .class
        .then(|| access.session_handle(attempt, &client.name))
}

/// The attempt that an Accounting-Request belongs to, as far as it tells.
pub(super) fn attempt(
    access: &Access,
    expected: &Expected,
    (client, request): (&Client, &Request),
    now: Instant,
) -> Option<AttemptId> {
    request
        .attributes(attribute::CLASS)
        .find_map(|class| access.attempt_of_handle(class, &client.name))
        .or_else(|| {
            let session = request.attribute(attribute::ACCT_SESSION_ID)?;
            expected.find(&client.name, session, now)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn attempt(number: i64) -> AttemptId {
        AttemptId::from_number(Timestamp::from_secs(number).millis())
    }

    #[test]
    fn a_session_is_expected_of_one_client_for_a_while() {
        let (expected, now) = (Expected::default(), Instant::now());
        let (vpn, wifi) = (ClientName::new("vpn"), ClientName::new("wifi"));
        expected.note((&vpn, b"S1"), &attempt(1), now);
        assert_eq!(expected.find(&vpn, b"S1", now), Some(attempt(1)));
        assert_eq!(expected.find(&wifi, b"S1", now), None);
        assert_eq!(expected.find(&vpn, b"S2", now), None);
        let soon = now + EXPECTED_FOR / 2;
        expected.note((&vpn, b"S1"), &attempt(2), soon);
        expected.note((&vpn, b"S2"), &attempt(3), now + EXPECTED_FOR);
        let later = now + EXPECTED_FOR;
        assert_eq!(expected.find(&vpn, b"S1", later), Some(attempt(2)));
        assert_eq!(expected.find(&vpn, b"S1", soon + EXPECTED_FOR), None);
    }

    #[test]
    fn the_oldest_gives_way_and_the_table_stays_bounded() {
        let (expected, now) = (Expected::default(), Instant::now());
        let vpn = ClientName::new("vpn");
        for number in 0..=i64::try_from(EXPECTED).unwrap() {
            expected.note((&vpn, &number.to_be_bytes()), &attempt(number), now);
        }
        assert_eq!(expected.find(&vpn, &0_i64.to_be_bytes(), now), None);
        let second = expected.find(&vpn, &1_i64.to_be_bytes(), now);
        assert_eq!(second, Some(attempt(1)));
        let table = hold(&expected.table);
        assert_eq!(
            (table.attempts.len(), table.order.len()),
            (EXPECTED, EXPECTED)
        );
    }
}
