//! The conversations between two of their packets, found by State: bounded, the oldest out first, so that what one station or one
//! client begins and abandons pushes out its own.
//!
//! Three pools, by how far a conversation has come: what costs nobody anything to begin never pushes out what has a tunnel, nor that
//! a person whose password was right and who is looking for a code.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::super::clients::hold;
use crate::account::ClientName;
use crate::secret::random_array;

/// What a State is: found only by who was told it.
pub(super) type State = [u8; 16];

/// How long a conversation waits for its next packet (as in FreeRADIUS).
const LIFE: Duration = Duration::from_secs(60);
/// How long one waits in which a person was asked: as long as an Access-Challenge by default.
const LIFE_ASKED: Duration = Duration::from_secs(120);
/// Conversations without a tunnel at once: some hundred octets each, 10 MiB in all. Half of them for one client.
const BEGUN: Bounds = Bounds::new(16_384, 16 << 20, LIFE);
/// Conversations with a tunnel: up to 12 KiB each, 144 MiB in all. Beside that they hold what their peers have said, a hello of some
/// kilobytes or, with certificates, up to 64 KiB: of that 64 MiB in all.
const TUNNELLED: Bounds = Bounds::new(12_288, 64 << 20, LIFE);
/// Conversations in which a person was asked: of the same size. Their passwords were right.
const ASKED: Bounds = Bounds::new(4096, 32 << 20, LIFE_ASKED);
/// Conversations of one station in a pool: one, and a few that were broken off as it moved about.
const OF_STATION: usize = 4;

/// How far a conversation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A name has come, and nothing else.
    Begun,
    /// There is a tunnel, or the beginning of one.
    Tunnelled,
    /// A person was asked a question behind a password that was right.
    Asked,
}

/// Who may go on with a conversation: the client that began it, by the same secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) client: ClientName,
    /// It is lent to a trial, which has a secret of its own.
    pub(super) lent: bool,
}

/// What a State stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// A conversation, which is out of the table now; until it is back, the State is [`Found::InWork`].
    Kept(T),
    /// One that is in work, or that could not be decided: no answer.
    InWork,
    /// None: never given to this client, spent, or expired.
    Nothing,
}

#[derive(Clone, Copy)]
struct Bounds {
    house: usize,
    client: usize,
    /// Of what their peers have said: of all, and half of it of one client.
    octets: usize,
    life: Duration,
}

impl Bounds {
    const fn new(house: usize, octets: usize, life: Duration) -> Self {
        Self {
            house,
            client: house / 2,
            octets,
            life,
        }
    }
}

/// The table.
pub(in crate::server) struct Table<T> {
    pools: [Mutex<Pool<T>>; 3],
    hasher: RandomState,
}

/// Serials in the order in which they were given, each with its State.
type Line = BTreeMap<u64, State>;

struct Pool<T> {
    bounds: Bounds,
    slots: HashMap<State, Slot<T>>,
    line: Line,
    of_client: HashMap<Owner, Crowd>,
    of_station: HashMap<u64, Line>,
    /// What the peers of all have said.
    octets: usize,
    next: u64,
}

/// Conversations of one client, and what their peers have said.
#[derive(Default)]
struct Crowd {
    line: Line,
    octets: usize,
}

struct Slot<T> {
    serial: u64,
    until: Instant,
    owner: Owner,
    /// The digest of client and station; none where the gear tells no station.
    station: Option<u64>,
    /// What its peer has said.
    octets: usize,
    /// None while it is in work.
    kept: Option<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            pools: [BEGUN, TUNNELLED, ASKED].map(|bounds| Mutex::new(Pool::new(bounds))),
            hasher: RandomState::new(),
        }
    }
}

impl<T> Table<T> {
    /// Keeps a conversation, which holds so many octets of what its peer has said, and gives its new State.
    pub(super) fn keep(
        &self,
        (stage, kept, octets): (Stage, T, usize),
        (owner, station): (Owner, Option<&[u8]>),
        now: Instant,
    ) -> State {
        let state = random_array();
        let station = station.map(|station| self.hasher.hash_one((&owner, station)));
        let mut gone = Vec::new();
        let mut pool = hold(self.pool(stage));
        let slot = Slot {
            serial: pool.next,
            until: now + pool.bounds.life,
            owner,
            station,
            octets,
            kept: Some(kept),
        };
        pool.add(state, slot, now, &mut gone);
        drop(pool);
        // Only now, as the end of a tunnel takes a moment.
        drop(gone);
        state
    }

    /// Takes out the conversation of a State, if it is this client's.
    pub(super) fn take(&self, state: &[u8], owner: &Owner, now: Instant) -> Found<T> {
        let Ok(state) = state.try_into() else {
            return Found::Nothing;
        };
        let mut pools = self.pools.iter();
        pools
            .find_map(|pool| hold(pool).take(&state, owner, now))
            .unwrap_or(Found::Nothing)
    }

    /// Puts a conversation back that has not gone on.
    pub(super) fn put_back(&self, state: &[u8], kept: T) {
        let kept = &mut Some(kept);
        self.with(state, |pool, state| {
            if let Some(slot) = pool.slots.get_mut(state) {
                slot.kept = kept.take();
            }
        });
    }

    /// Forgets a State of this client, whose conversation has gone on or has ended.
    pub(super) fn forget(&self, state: &[u8], owner: &Owner) {
        let mut gone = Vec::new();
        self.with(state, |pool, state| {
            let slot = pool.slots.get(state);
            if slot.is_some_and(|slot| slot.owner == *owner) {
                gone.extend(pool.remove(state));
            }
        });
    }

    /// How many are kept or in work.
    pub(in crate::server) fn len(&self) -> usize {
        let pools = self.pools.iter();
        pools.map(|pool| hold(pool).slots.len()).sum()
    }

    fn with(&self, state: &[u8], mut act: impl FnMut(&mut Pool<T>, &State)) {
        if let Ok(state) = state.try_into() {
            self.pools
                .iter()
                .for_each(|pool| act(&mut hold(pool), &state));
        }
    }

    fn pool(&self, stage: Stage) -> &Mutex<Pool<T>> {
        let [begun, tunnelled, asked] = &self.pools;
        match stage {
            Stage::Begun => begun,
            Stage::Tunnelled => tunnelled,
            Stage::Asked => asked,
        }
    }
}

impl<T> Pool<T> {
    fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            slots: HashMap::new(),
            line: Line::new(),
            of_client: HashMap::new(),
            of_station: HashMap::new(),
            octets: 0,
            next: 0,
        }
    }

    fn add(&mut self, state: State, slot: Slot<T>, now: Instant, gone: &mut Vec<Slot<T>>) {
        self.make_room(&slot, now, gone);
        self.next += 1;
        self.line.insert(slot.serial, state);
        self.octets += slot.octets;
        let crowd = self.of_client.entry(slot.owner.clone()).or_default();
        crowd.line.insert(slot.serial, state);
        crowd.octets += slot.octets;
        if let Some(station) = slot.station {
            let of_station = self.of_station.entry(station).or_default();
            of_station.insert(slot.serial, state);
        }
        self.slots.insert(state, slot);
    }

    /// Pushes out what has expired, and then the oldest: of the station, of the client, of all.
    fn make_room(&mut self, new: &Slot<T>, now: Instant, gone: &mut Vec<Slot<T>>) {
        while let Some(oldest) = oldest(Some(&self.line), 1)
            && self.slots.get(&oldest).is_none_or(|slot| slot.until <= now)
        {
            gone.extend(self.remove(&oldest));
        }
        let of_station = new
            .station
            .and_then(|station| self.of_station.get(&station));
        if let Some(oldest) = oldest(of_station, OF_STATION) {
            gone.extend(self.remove(&oldest));
        }
        while let Some(oldest) = self.spare(new) {
            gone.extend(self.remove(&oldest));
        }
    }

    /// The one that must go next for a new one to have room.
    fn spare(&self, new: &Slot<T>) -> Option<State> {
        let Bounds {
            house,
            client,
            octets,
            ..
        } = self.bounds;
        let most = |full: bool, count| if full { 1 } else { count };
        let of_client = self.of_client.get(&new.owner).and_then(|crowd| {
            let full = crowd.octets + new.octets > octets / 2;
            oldest(Some(&crowd.line), most(full, client))
        });
        let full = self.octets + new.octets > octets;
        of_client.or_else(|| oldest(Some(&self.line), most(full, house)))
    }

    fn take(&mut self, state: &State, owner: &Owner, now: Instant) -> Option<Found<T>> {
        let slot = self.slots.get_mut(state)?;
        if slot.owner != *owner {
            return None;
        }
        if slot.until <= now {
            self.remove(state);
            return None;
        }
        Some(slot.kept.take().map_or(Found::InWork, Found::Kept))
    }

    fn remove(&mut self, state: &State) -> Option<Slot<T>> {
        let slot = self.slots.remove(state)?;
        self.line.remove(&slot.serial);
        self.octets = self.octets.saturating_sub(slot.octets);
        if let Some(crowd) = self.of_client.get_mut(&slot.owner) {
            crowd.line.remove(&slot.serial);
            crowd.octets = crowd.octets.saturating_sub(slot.octets);
            if crowd.line.is_empty() {
                self.of_client.remove(&slot.owner);
            }
        }
        if let Some(station) = &slot.station {
            let line = self.of_station.get_mut(station);
            if line.is_some_and(|line| line.remove(&slot.serial).is_some() && line.is_empty()) {
                self.of_station.remove(station);
            }
        }
        Some(slot)
    }
}

/// The first of a line that is as long as it may be.
fn oldest(line: Option<&Line>, most: usize) -> Option<State> {
    let line = line.filter(|line| line.len() >= most)?;
    line.first_key_value().map(|(_, state)| *state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Owner {
        Owner {
            client: ClientName::new(name),
            lent: false,
        }
    }

    struct Desk(Table<usize>);

    impl Desk {
        fn begin(&self, number: usize, client: &str, station: &str, now: Instant) -> State {
            let station = Some(station.as_bytes()).filter(|station| !station.is_empty());
            self.0
                .keep((Stage::Begun, number, 0), (owner(client), station), now)
        }

        fn is_kept(&self, state: &State, client: &str, now: Instant) -> bool {
            let Found::Kept(kept) = self.0.take(state, &owner(client), now) else {
                return false;
            };
            self.0.put_back(state, kept);
            true
        }
    }

    #[tokio::test]
    async fn a_state_is_found_once_and_by_its_client_alone() {
        let (desk, now) = (Desk(Table::default()), Instant::now());
        let state = desk.begin(7, "wifi", "a", now);
        let table = &desk.0;
        let lent = Owner {
            lent: true,
            ..owner("wifi")
        };
        for stranger in [owner("vpn"), lent] {
            assert_eq!(table.take(&state, &stranger, now), Found::Nothing);
        }
        assert_eq!(
            table.take(&state[..15], &owner("wifi"), now),
            Found::Nothing
        );
        assert_eq!(table.take(&state, &owner("wifi"), now), Found::Kept(7));
        assert_eq!(table.take(&state, &owner("wifi"), now), Found::InWork);
        table.put_back(&state, 8);
        assert_eq!(table.take(&state, &owner("wifi"), now), Found::Kept(8));
        table.forget(&state, &owner("vpn"));
        assert_eq!(table.take(&state, &owner("wifi"), now), Found::InWork);
        table.forget(&state, &owner("wifi"));
        assert_eq!(table.take(&state, &owner("wifi"), now), Found::Nothing);
        assert_eq!(table.len(), 0);
    }

    #[tokio::test]
    async fn a_conversation_ends_when_its_packet_does_not_come() {
        let (desk, now) = (Desk(Table::default()), Instant::now());
        let state = desk.begin(7, "wifi", "a", now);
        let asked = (Stage::Asked, 8, 0);
        let asked = desk.0.keep(asked, (owner("wifi"), Some(b"a")), now);
        let late = now + LIFE;
        let just = late - Duration::from_millis(1);
        assert!(desk.is_kept(&state, "wifi", just));
        assert!(!desk.is_kept(&state, "wifi", late));
        assert!(desk.is_kept(&asked, "wifi", late));
        // What nobody asks for is swept out by what comes after it.
        let abandoned = desk.begin(9, "wifi", "a", now);
        desk.begin(10, "vpn", "b", late);
        assert!(!hold(&desk.0.pools[0]).slots.contains_key(&abandoned));
    }

    #[tokio::test]
    async fn a_station_pushes_out_its_own_only() {
        let (desk, now) = (Desk(Table::default()), Instant::now());
        let other = desk.begin(0, "wifi", "other", now);
        let elsewhere = desk.begin(0, "vpn", "flood", now);
        let flood: Vec<_> = (0..100_000)
            .map(|number| desk.begin(number, "wifi", "flood", now))
            .collect();
        assert_eq!(desk.0.len(), 2 + OF_STATION);
        assert!(desk.is_kept(&other, "wifi", now));
        assert!(desk.is_kept(&elsewhere, "vpn", now));
        assert!(desk.is_kept(flood.last().unwrap(), "wifi", now));
        assert!(!desk.is_kept(&flood[99_990], "wifi", now));
    }

    #[tokio::test]
    async fn a_client_pushes_out_its_own_only() {
        let (desk, now) = (Desk(Table::default()), Instant::now());
        let other = desk.begin(0, "other", "", now);
        let tunnel = (Stage::Tunnelled, 1, 0);
        let tunnel = desk.0.keep(tunnel, (owner("wifi"), None), now);
        let flood: Vec<_> = (0..100_000)
            .map(|number| desk.begin(number, "wifi", &number.to_string(), now))
            .collect();
        assert_eq!(desk.0.len(), 2 + BEGUN.client);
        assert!(desk.is_kept(&other, "other", now));
        assert!(desk.is_kept(&tunnel, "wifi", now));
        assert!(!desk.is_kept(&flood[0], "wifi", now));
        let pool = hold(&desk.0.pools[0]);
        assert_eq!(pool.line.len(), 1 + BEGUN.client);
        assert_eq!(pool.of_station.len(), BEGUN.client);
        assert_eq!(pool.of_client.len(), 2);
    }

    #[tokio::test]
    async fn all_clients_together_are_bounded() {
        let (desk, now) = (Desk(Table::default()), Instant::now());
        for number in 0..4 * BEGUN.house {
            desk.begin(number, &format!("ap-{}", number % 50), "", now);
        }
        assert_eq!(desk.0.len(), BEGUN.house);
    }
    #[tokio::test]
    async fn what_peers_have_said_is_bounded_for_each_client_and_in_all() {
        let (desk, now) = (Desk(Table::default()), Instant::now());
        let keep = |client: &str, octets| {
            let said = (Stage::Tunnelled, 0, octets);
            desk.0.keep(said, (owner(client), None), now)
        };
        let other = keep("other", 400);
        for _ in 0..4 * TUNNELLED.octets / (64 << 10) {
            keep("wifi", 64 << 10);
        }
        assert!(desk.is_kept(&other, "other", now));
        assert_eq!(desk.0.len(), 1 + TUNNELLED.octets / 2 / (64 << 10));
        for client in ["one", "two", "three"] {
            for _ in 0..4 * TUNNELLED.octets / (64 << 10) {
                keep(client, 64 << 10);
            }
        }
        assert_eq!(desk.0.len(), TUNNELLED.octets / (64 << 10));
        let held = |table: &Table<usize>| hold(table.pool(Stage::Tunnelled)).octets;
        assert_eq!(held(&desk.0), TUNNELLED.octets);
        keep("one", 1);
        assert!(held(&desk.0) <= TUNNELLED.octets);
    }
}
