use super::*;
use crate::access::Credential;
use crate::access::split::tests::client;
use crate::access::{ClientPolicy, Verdict};
use crate::account::{AttemptId, ClientName, Decision, Durations, Outcome, Reason};
use crate::clock::Timestamp;
use crate::secret::Secret;

fn attempt() -> Attempt {
    Attempt {
        client: Arc::new(client()),
        nas: "192.0.2.10".parse().unwrap(),
        nas_port: None,
        name: (*b"hanako").into(),
        credential: Credential::Password(Secret::from("secret123456")),
        state: None,
        can_ask: true,
        station: Station::read("203.0.113.5"),
        station_from: None,
        received: Instant::now(),
        deadline: Instant::now(),
        hold_until: Instant::now(),
    }
}

fn key(attempt: &Attempt) -> AttemptKey {
    let key = Key::new([7; 32]);
    AttemptKey::of(&key, attempt, &AccountKey::from_stored("campus/hanako"))
}

fn shared(attempt: Attempt) -> Attempt {
    let policy = ClientPolicy {
        shared_stations: true,
        push: Vec::new(),
        patience: Duration::from_secs(30),
        pair: Duration::ZERO,
        late_approval: Duration::from_secs(60),
        ..client()
    };
    Attempt {
        client: Arc::new(policy),
        ..attempt
    }
}

#[test]
fn a_retry_at_another_box_of_the_group_is_the_same_attempt() {
    let first = attempt();
    let retry = Attempt {
        nas: "192.0.2.11".parse().unwrap(),
        ..attempt()
    };
    assert!(key(&first).joins);
    assert_eq!(key(&first), key(&retry));
}

#[test]
fn another_station_client_account_or_text_is_another_attempt() {
    let first = key(&attempt());
    let policy = ClientPolicy {
        name: ClientName::new("wifi"),
        ..client()
    };
    for other in [
        Attempt {
            station: Station::read("203.0.113.6"),
            ..attempt()
        },
        Attempt {
            station: Station::Mac([0; 6]),
            ..attempt()
        },
        Attempt {
            client: Arc::new(policy),
            ..attempt()
        },
        Attempt {
            credential: Credential::Password(Secret::from("secret123457")),
            ..attempt()
        },
        Attempt {
            state: Some((*b"state").into()),
            ..attempt()
        },
    ] {
        assert_ne!(key(&other), first, "{other:?}");
    }
    let taro = AccountKey::from_stored("campus/taro");
    assert_ne!(AttemptKey::of(&Key::new([7; 32]), &attempt(), &taro), first);
    let hanako = AccountKey::from_stored("campus/hanako");
    assert_ne!(
        AttemptKey::of(&Key::new([8; 32]), &attempt(), &hanako),
        first
    );
}

#[test]
fn without_a_station_of_its_own_only_the_same_port_at_the_same_nas_joins() {
    let unknown = || Attempt {
        station: Station::Unknown,
        ..attempt()
    };
    for base in [unknown as fn() -> Attempt, || shared(attempt())] {
        assert!(!key(&base()).joins);
        let port = |port: &[u8]| Attempt {
            nas_port: Some(port.into()),
            ..base()
        };
        assert!(key(&port(b"17")).joins);
        assert_eq!(key(&port(b"17")), key(&port(b"17")));
        assert_ne!(key(&port(b"17")), key(&port(b"18")));
        let elsewhere = Attempt {
            nas: "192.0.2.11".parse().unwrap(),
            ..port(b"17")
        };
        assert_ne!(key(&port(b"17")), key(&elsewhere));
    }
}

#[test]
fn answers_to_one_challenge_are_one_attempt() {
    let answer = |state: &[u8]| {
        shared(Attempt {
            state: Some(state.into()),
            station: Station::Unknown,
            ..attempt()
        })
    };
    assert_eq!(key(&answer(b"one")), key(&answer(b"one")));
    assert_ne!(key(&answer(b"one")), key(&answer(b"two")));
}

fn settled(verdict: Verdict, held_code: bool, station: Station) -> Arc<Settled> {
    let decision = Decision {
        attempt: AttemptId::new(Timestamp::from_millis(1)),
        at: Timestamp::default(),
        account: None,
        name: "campus/hanako".into(),
        client: ClientName::new("vpn"),
        nas: "192.0.2.10".parse().unwrap(),
        station,
        station_from: None,
        zone: None,
        rule: None,
        factor: None,
        outcome: Outcome::Accept,
        reason: Reason::Proven,
        directory: None,
        durations: Durations::default(),
        note: None,
    };
    Arc::new(Settled {
        verdict,
        decision: Arc::new(decision),
        challenge: None,
        held_code,
        resumable: None,
    })
}

fn accept() -> Verdict {
    Verdict::Accept { reply: vec![] }
}

#[test]
fn only_verdicts_on_codes_and_devices_are_repeated() {
    let challenge = Verdict::Challenge {
        state: [0; 16],
        text: "".into(),
    };
    let mac = Station::Mac([0; 6]);
    for (verdict, held_code, station, expected) in [
        (accept(), true, Station::Unknown, true),
        (Verdict::Reject { text: None }, true, Station::Unknown, true),
        (accept(), false, Station::Unknown, false),
        (accept(), false, Station::read("203.0.113.5"), false),
        (accept(), false, mac.clone(), true),
        (challenge, true, mac.clone(), false),
        (Verdict::Undecided, true, mac, false),
    ] {
        let settled = settled(verdict, held_code, station);
        assert_eq!(settled.may_be_repeated(), expected, "{settled:?}");
    }
}

#[test]
fn a_verdict_is_repeated_for_ten_seconds() {
    let retries = Retries::default();
    let (key, then) = (key(&attempt()), Instant::now());
    let Entered::First(lead) = retries.enter(key, then) else {
        panic!("nobody was here before");
    };
    let verdict = settled(accept(), true, Station::Unknown);
    lead.settle(&verdict, REPEATED_FOR, then);
    let last = then + REPEATED_FOR.saturating_sub(Duration::from_millis(1));
    let Entered::Decided(again) = retries.enter(key, last) else {
        panic!("the verdict is kept");
    };
    assert!(Arc::ptr_eq(&again, &verdict));
    let ended = then + REPEATED_FOR;
    let lead = retries.enter(key, ended);
    assert!(matches!(lead, Entered::First(_)));
    drop(lead);
    let table = retries.table.lock().unwrap();
    assert!(table.attempts.is_empty() && table.ends.is_empty());
}

#[test]
fn what_cannot_be_placed_is_not_joined_but_a_typed_code_has_its_verdict_again() {
    let retries = Retries::default();
    let unplaced = key(&Attempt {
        station: Station::Unknown,
        ..attempt()
    });
    let now = Instant::now();
    for (held_code, again) in [(true, true), (false, false)] {
        let retries = Retries::default();
        let Entered::First(lead) = retries.enter(unplaced, now) else {
            panic!("nobody was here before");
        };
        assert!(
            matches!(retries.enter(unplaced, now), Entered::First(_)),
            "in work"
        );
        lead.settle(
            &settled(accept(), held_code, Station::Unknown),
            REPEATED_FOR,
            now,
        );
        assert_eq!(
            matches!(retries.enter(unplaced, now), Entered::Decided(_)),
            again
        );
    }
    assert!(matches!(retries.enter(unplaced, now), Entered::First(_)));
}

#[tokio::test]
async fn packets_that_come_meanwhile_wait_for_the_verdict() {
    let retries = Retries::default();
    let key = key(&attempt());
    let Entered::First(lead) = retries.enter(key, Instant::now()) else {
        panic!("nobody was here before");
    };
    let Entered::InWork(waiting) = retries.enter(key, Instant::now()) else {
        panic!("it is in work");
    };
    let verdict = settled(accept(), false, Station::Unknown);
    lead.settle(&verdict, REPEATED_FOR, Instant::now());
    let told = waiting.verdict().await;
    assert!(Arc::ptr_eq(&told.unwrap(), &verdict));
    // No code was typed: whoever comes later is asked anew.
    assert!(matches!(
        retries.enter(key, Instant::now()),
        Entered::First(_)
    ));
}

#[tokio::test]
async fn whoever_waits_for_a_packet_that_was_cut_off_is_told() {
    let retries = Retries::default();
    let key = key(&attempt());
    let Entered::First(lead) = retries.enter(key, Instant::now()) else {
        panic!("nobody was here before");
    };
    let Entered::InWork(waiting) = retries.enter(key, Instant::now()) else {
        panic!("it is in work");
    };
    drop(lead);
    assert!(waiting.verdict().await.is_none());
    assert!(matches!(
        retries.enter(key, Instant::now()),
        Entered::First(_)
    ));
}

#[test]
fn a_full_table_joins_nothing_and_forgets_nothing() {
    let retries = Retries::default();
    let numbered = |n: usize| {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&n.to_be_bytes());
        AttemptKey {
            digest,
            joins: true,
        }
    };
    let now = Instant::now();
    let leads: Vec<_> = (0..MAX_ATTEMPTS)
        .map(|n| retries.enter(numbered(n), now))
        .collect();
    for _ in 0..2 {
        assert!(matches!(
            retries.enter(numbered(MAX_ATTEMPTS), now),
            Entered::First(_)
        ));
    }
    assert!(matches!(
        retries.enter(numbered(0), now),
        Entered::InWork(_)
    ));
    drop(leads);
    assert!(retries.table.lock().unwrap().attempts.is_empty());
}

#[test]
fn gear_that_logs_in_twice_has_its_verdict_for_longer_if_it_is_in_one_place() {
    let pair = 3 * REPEATED_FOR;
    let unplaced = Attempt {
        station: Station::Unknown,
        ..attempt()
    };
    for (key, kept) in [(key(&attempt()), pair), (key(&unplaced), REPEATED_FOR)] {
        let (retries, then) = (Retries::default(), Instant::now());
        let Entered::First(lead) = retries.enter(key, then) else {
            panic!("nobody was here before");
        };
        lead.settle(&settled(accept(), true, Station::Unknown), pair, then);
        let last = then + kept.saturating_sub(Duration::from_millis(1));
        assert!(matches!(retries.enter(key, last), Entered::Decided(_)));
        assert!(matches!(retries.enter(key, then + kept), Entered::First(_)));
    }
}

#[test]
fn verdicts_end_at_their_own_times() {
    let (retries, now) = (Retries::default(), Instant::now());
    let keys = [1, 2, 3].map(|number| AttemptKey {
        digest: [number; 32],
        joins: true,
    });
    for (key, seconds) in keys.into_iter().zip([30, 10, 20]) {
        let until = now + Duration::from_secs(seconds);
        retries.keep(key, &settled(accept(), true, Station::Unknown), until);
    }
    for (seconds, left) in [(9, 3), (10, 2), (20, 1), (30, 0)] {
        let mut table = retries.hold();
        table.forget_ended(now + Duration::from_secs(seconds));
        assert_eq!(table.attempts.len(), left, "after {seconds} s");
    }
}

#[test]
fn a_challenge_belongs_to_the_attempt_that_it_was_put_to_and_is_answered_once() {
    let (retries, now) = (Retries::default(), Instant::now());
    let key = key(&attempt());
    retries.asked(b"state", key, (now, now + REPEATED_FOR));
    assert_eq!(retries.answered(b"other"), None);
    assert_eq!(retries.answered(b"state"), Some(key));
    assert_eq!(retries.answered(b"state"), None);
    let unplaced = AttemptKey {
        joins: false,
        ..key
    };
    retries.asked(b"state", unplaced, (now, now + REPEATED_FOR));
    assert_eq!(retries.answered(b"state"), None);
}

#[test]
fn challenges_are_bounded_and_those_that_ended_make_room() {
    let (retries, now) = (Retries::default(), Instant::now());
    let key = key(&attempt());
    let number = |number: usize| number.to_be_bytes();
    for state in 0..=MAX_CHALLENGES {
        retries.asked(&number(state), key, (now, now + REPEATED_FOR));
    }
    assert_eq!(retries.answered(&number(MAX_CHALLENGES)), None);
    retries.asked(b"late", key, (now + REPEATED_FOR, now + 2 * REPEATED_FOR));
    assert_eq!(retries.answered(b"late"), Some(key));
    assert_eq!(retries.hold().challenges.len(), 0);
}

#[test]
fn no_text_that_is_typed_stands_for_a_hash() {
    let (key, account) = (Key::new([7; 32]), AccountKey::from_stored("campus/taro"));
    let hash = Secret::new(vec![1; 16]);
    let typed = |octets: Vec<u8>| Attempt {
        credential: Credential::Password(Secret::new(octets)),
        ..attempt()
    };
    let by_hash = AttemptKey::of_hash(&key, &attempt(), &account, &hash);
    for octets in [
        vec![1; 16],
        [&b"nt hash"[..], &[1; 16]].concat(),
        Vec::new(),
    ] {
        let by_text = AttemptKey::of(&key, &typed(octets), &account);
        assert_ne!(by_hash, by_text);
    }
    let other = AttemptKey::of_hash(&key, &attempt(), &account, &Secret::new(vec![2; 16]));
    assert_ne!(by_hash, other);
}
