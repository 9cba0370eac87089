use super::*;

const KEEP: Duration = Duration::from_secs(30);

struct House {
    duplicates: Duplicates,
    now: Instant,
}

impl House {
    fn new(in_all: usize, of_client: usize) -> Self {
        Self {
            duplicates: Duplicates::new((in_all, of_client)),
            now: Instant::now(),
        }
    }

    fn ask(&self, client: &str, identifier: u8, authenticator: u8, signed: Signed) -> Admission {
        self.duplicates.admit(Arrival {
            key: Key {
                socket: 0,
                local: Local::Bound,
                peer: "192.0.2.1:5000".parse().unwrap(),
                identifier,
            },
            authenticator: &[authenticator; 16],
            client: &ClientName::new(client),
            signed,
            measured: true,
            now: self.now,
        })
    }

    fn signed(&self, identifier: u8, authenticator: u8) -> Admission {
        self.ask("vpn", identifier, authenticator, Signed::Yes)
    }

    fn answer(&self, admission: Admission, reply: u8) -> bool {
        let Admission::New(ticket) = admission else {
            panic!("not new: {admission:?}");
        };
        ticket.answer(&Arc::from([reply]), KEEP, self.now)
    }

    fn entries(&self) -> usize {
        hold(&self.duplicates.table).entries.len()
    }
}

/// A ticket of a request that nobody asks for again.
pub(in crate::server) fn ticket() -> Ticket {
    match House::new(1, 1).signed(1, 1) {
        Admission::New(ticket) => ticket,
        other => panic!("not new: {other:?}"),
    }
}

fn reply_of(admission: &Admission) -> Option<u8> {
    match admission {
        Admission::Answered(reply, _) => Some(reply[0]),
        Admission::New(_) | Admission::InWork(_) | Admission::Full => None,
    }
}

#[tokio::test]
async fn a_retransmission_is_silent_in_work_and_the_same_octets_after() {
    let mut house = House::new(10, 10);
    let first = house.signed(1, 1);
    house.now += Duration::from_secs(3);
    let again = house.signed(1, 1);
    assert!(matches!(again, Admission::InWork(apart) if apart == Duration::from_secs(3)));
    house.now += Duration::from_secs(2);
    let again = house.signed(1, 1);
    assert!(matches!(again, Admission::InWork(apart) if apart == Duration::from_secs(2)));
    assert!(house.answer(first, 7));
    house.now += KEEP - Duration::from_millis(1);
    assert_eq!(reply_of(&house.signed(1, 1)), Some(7));
}

#[tokio::test]
async fn requests_of_a_closed_connection_are_forgotten() {
    let house = House::new(10, 10);
    let (closed, kept) = (house.signed(1, 1), house.signed(2, 2));
    assert!(house.answer(house.signed(3, 3), 7));
    let key = |identifier| Key {
        socket: 0,
        local: Local::Bound,
        peer: "192.0.2.1:5000".parse().unwrap(),
        identifier,
    };
    house.duplicates.forget([1, 3, 4].into_iter().map(key));
    assert_eq!(house.entries(), 1);
    assert!(!house.answer(closed, 8), "nobody waits for it");
    assert!(house.answer(kept, 9));
    assert!(matches!(house.signed(3, 3), Admission::New(_)));
}

#[tokio::test]
async fn a_reply_is_forgotten_after_its_time() {
    let mut house = House::new(10, 10);
    assert!(house.answer(house.signed(1, 1), 7));
    house.now += KEEP;
    assert!(house.answer(house.signed(1, 1), 8));
    assert_eq!(house.entries(), 1);
    house.now += KEEP;
    let _other = house.signed(2, 2);
    assert_eq!(house.entries(), 1, "an admission lets the expired go");
}

#[tokio::test]
async fn another_authenticator_replaces_and_suppresses_the_older_reply() {
    let house = House::new(10, 10);
    let older = house.signed(1, 1);
    let newer = house.signed(1, 2);
    assert!(!house.answer(older, 7));
    assert!(matches!(house.signed(1, 2), Admission::InWork(_)));
    assert!(house.answer(newer, 8));
    assert_eq!(reply_of(&house.signed(1, 2)), Some(8));
}

#[tokio::test]
async fn a_dropped_ticket_frees_its_own_entry_alone() {
    let house = House::new(10, 10);
    let older = house.signed(1, 1);
    let newer = house.signed(1, 2);
    drop(older);
    assert_eq!(house.entries(), 1);
    drop(newer);
    assert_eq!(house.entries(), 0);
    assert!(matches!(house.signed(1, 2), Admission::New(_)));
}

#[tokio::test]
async fn what_differs_in_port_or_socket_is_no_duplicate() {
    let house = House::new(10, 10);
    let _first = house.signed(1, 1);
    let elsewhere = |socket, peer: &str, local| {
        house.duplicates.admit(Arrival {
            key: Key {
                socket,
                local,
                peer: peer.parse().unwrap(),
                identifier: 1,
            },
            authenticator: &[1; 16],
            client: &ClientName::new("vpn"),
            signed: Signed::Yes,
            measured: true,
            now: house.now,
        })
    };
    let asked = Local::V4([192, 0, 2, 9]);
    for admission in [
        elsewhere(0, "192.0.2.1:5001", Local::Bound),
        elsewhere(1, "192.0.2.1:5000", Local::Bound),
        elsewhere(0, "192.0.2.1:5000", asked),
    ] {
        assert!(matches!(admission, Admission::New(_)));
    }
}

#[tokio::test]
async fn unsigned_entries_never_evict_signed_ones() {
    let house = House::new(3, 3);
    for identifier in 0..2 {
        assert!(house.answer(house.signed(identifier, 1), identifier));
    }
    for identifier in 10..20 {
        let admission = house.ask("old", identifier, 1, Signed::No);
        assert!(house.answer(admission, identifier));
    }
    assert_eq!(reply_of(&house.signed(0, 1)), Some(0));
    assert_eq!(reply_of(&house.signed(1, 1)), Some(1));
    assert_eq!(house.entries(), 3);
    assert!(
        house.answer(house.signed(2, 1), 2),
        "signed evicts unsigned"
    );
    assert!(matches!(
        house.ask("old", 30, 1, Signed::No),
        Admission::Full
    ));
}

#[tokio::test]
async fn a_client_at_its_bound_forgets_its_own_oldest() {
    let house = House::new(10, 2);
    let other = house.ask("wifi", 100, 1, Signed::Yes);
    assert!(house.answer(other, 100));
    for identifier in 0..5 {
        assert!(house.answer(house.signed(identifier, 1), identifier));
    }
    assert_eq!(house.entries(), 3);
    assert_eq!(reply_of(&house.signed(4, 1)), Some(4));
    assert_eq!(reply_of(&house.signed(3, 1)), Some(3));
    assert!(matches!(house.signed(0, 1), Admission::New(_)));
    assert_eq!(reply_of(&house.ask("wifi", 100, 1, Signed::Yes)), Some(100));
}

#[tokio::test]
async fn requests_in_work_are_never_evicted() {
    let house = House::new(2, 2);
    let tickets = [house.signed(0, 1), house.signed(1, 1)];
    assert!(matches!(house.signed(2, 1), Admission::Full));
    assert!(tickets.into_iter().all(|ticket| house.answer(ticket, 1)));
}
