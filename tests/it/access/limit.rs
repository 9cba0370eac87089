//! Wrong passwords, and the one face of all that fails before the password is proven.

use sekisho::access::{Attempt, Credential, Verdict};
use sekisho::account::{Reason, Station};
use sekisho::secret::Secret;

use crate::support::slapd::person_dn;

use super::house::{House, WINDOW_MILLIS, accepted, appending, asking, attempt, rejected};

const COMMON: &str = "認証できませんでした / Authentication failed.";

#[tokio::test]
async fn all_that_fails_before_the_password_is_proven_looks_the_same() {
    let house = House::start();
    house.enrol("taro").await;
    let client = asking();
    let binary = Attempt {
        credential: Credential::Password(Secret::new(vec![0xff, 0xfe, 0x80])),
        ..attempt(&client, "taro", "")
    };
    assert_eq!(
        rejected(
            &house.access.decide(binary).await,
            Reason::UnreadablePassword
        ),
        COMMON
    );
    for (name, typed, reason) in [
        ("taro", "wrong", Reason::WrongPassword),
        ("taro", "", Reason::EmptyPassword),
        ("nobody", "himitsu", Reason::UnknownUser),
        ("*", "himitsu", Reason::UnknownUser),
        (")(uid=*", "himitsu", Reason::UnknownUser),
        ("ta\0ro", "himitsu", Reason::BadName),
        ("ta\u{202e}ro", "himitsu", Reason::BadName),
        ("OTHER\\taro", "himitsu", Reason::UnknownRealm),
        ("", "himitsu", Reason::BadName),
    ] {
        let answer = house.try_in(&client, name, typed).await;
        assert_eq!(rejected(&answer, reason), COMMON, "{name:?} {typed:?}");
    }
    house.has_bound("taro", 1).await;
}

#[tokio::test]
async fn wrong_passwords_at_once_never_pass_the_limit() {
    let house = House::start();
    let client = asking();
    let wrong: Vec<String> = (0..40).map(|n| format!("wrong-{n}")).collect();
    let tries = wrong.iter().enumerate().map(|(n, typed)| {
        let station = Station::read(&format!("198.51.100.{}", n + 10));
        house.access.decide(Attempt {
            station,
            ..attempt(&client, "taro", typed)
        })
    });
    let mut throttled = 0;
    for answer in join_all(tries).await {
        assert!(matches!(answer.verdict, Verdict::Reject { .. }));
        throttled += usize::from(answer.decision.reason == Reason::Throttled);
    }
    let asked = 40 - throttled;
    assert!((1..=4).contains(&asked), "{asked} binds");
    house.has_bound("taro", asked).await;
}

#[tokio::test]
async fn wrong_passwords_from_elsewhere_do_not_lock_her_out_of_her_own_station() {
    let house = House::start();
    let totp = house.enrol("hanako").await;
    let right = |house: &House| format!("himitsu{}", house.code(&totp));
    let first = house.try_in(&appending(), "hanako", &right(&house)).await;
    assert!(accepted(&first), "{:?}", first.decision);
    let stranger = |typed: &str| {
        house.access.decide(Attempt {
            station: Station::read("198.51.100.99"),
            ..attempt(&appending(), "hanako", typed)
        })
    };
    let mut last = Reason::Proven;
    for n in 0..6 {
        last = stranger(&format!("wrong-{n}")).await.decision.reason;
    }
    assert_eq!(last, Reason::Throttled);
    house.clock.shift_by(30_000);
    let hers = house.try_in(&appending(), "hanako", &right(&house)).await;
    assert!(accepted(&hers), "{:?}", hers.decision);
}

/// A directory that locks for good at the tenth wrong password, and never forgets one until the right one comes.
const LOCKS_AT_TEN: [&str; 4] = [
    "pwdLockout: TRUE",
    "pwdMaxFailure: 10",
    "pwdLockoutDuration: 0",
    "pwdFailureCountInterval: 0",
];

#[tokio::test]
async fn strangers_and_own_typos_together_never_lock_her_out_of_the_directory() {
    let house = House::start();
    house.slapd.set_policy(&LOCKS_AT_TEN);
    let totp = house.enrol("hanako").await;
    let from = |station: &str, typed: &str| {
        house.access.decide(Attempt {
            station: Station::read(station),
            ..attempt(&appending(), "hanako", typed)
        })
    };
    let own = ["198.51.100.61", "198.51.100.62", "198.51.100.63"];
    for station in own {
        let right = from(station, &format!("himitsu{}", house.code(&totp))).await;
        assert!(accepted(&right), "{:?}", right.decision);
        house.clock.shift_by(30_000);
    }
    let before = house.slapd.binds(&person_dn("hanako"));
    let wrong = async |station: &str, n: usize| {
        let answer = from(station, &format!("wrong-{n}000000")).await;
        assert!(matches!(answer.verdict, Verdict::Reject { .. }));
        house.clock.shift_by(10_000);
        answer.decision.reason
    };
    for n in 0..12 {
        let stranger = wrong(&format!("192.0.2.{n}"), n).await;
        let hers = wrong(own[n % own.len()], 100 + n).await;
        let within = |limit| match n < limit {
            true => Reason::WrongPassword,
            false => Reason::Throttled,
        };
        assert_eq!((stranger, hers), (within(4), within(5)), "round {n}");
    }
    let asked = house.slapd.binds(&person_dn("hanako")) - before;
    assert_eq!(asked, 9, "wrong passwords that reached the directory");
    let directory = |attribute| house.slapd.values(&person_dn("hanako"), attribute);
    assert_eq!(directory("pwdFailureTime").len(), 9);
    assert_eq!(directory("pwdAccountLockedTime"), [""; 0]);
    house.clock.shift_by(WINDOW_MILLIS);
    let right = from(own[1], &format!("himitsu{}", house.code(&totp))).await;
    assert!(accepted(&right), "{:?}", right.decision);
    assert_eq!(directory("pwdFailureTime").len(), 0);
}

#[tokio::test]
async fn wrong_codes_at_once_never_pass_the_limit() {
    let house = House::start();
    let totp = house.enrol("taro").await;
    let client = appending();
    let wrong = house.wrong_codes(&totp).take(30).enumerate();
    let tries = wrong.map(|(n, code)| {
        let typed = format!("himitsu{code}");
        let station = Station::read(&format!("198.51.100.{}", n + 10));
        house.access.decide(Attempt {
            station,
            ..attempt(&client, "taro", &typed)
        })
    });
    let reasons: Vec<Reason> = join_all(tries)
        .await
        .iter()
        .map(|answer| answer.decision.reason)
        .collect();
    let judged = reasons
        .iter()
        .filter(|why| **why == Reason::WrongCode)
        .count();
    assert!((1..=5).contains(&judged), "{reasons:?}");
    let code = house.code(&totp);
    let right = house
        .try_in(&client, "taro", &format!("himitsu{code}"))
        .await;
    let text = rejected(&right, Reason::CodesLocked);
    assert!(text.contains("Paused. Try again in 15 min."), "{text}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_asked_decides_nothing() {
    let mut house = House::start();
    house.slapd.kill();
    let answer = house.try_in(&asking(), "taro", "himitsu").await;
    assert_eq!(answer.verdict, Verdict::Undecided);
    assert!(
        matches!(
            answer.decision.reason,
            Reason::DirectoryUnavailable | Reason::DeadlinePassed
        ),
        "{:?}",
        answer.decision
    );
}

#[tokio::test]
async fn a_deadline_that_passes_decides_nothing() {
    let house = House::start();
    let late = Attempt {
        deadline: tokio::time::Instant::now(),
        ..attempt(&asking(), "taro", "himitsu")
    };
    let answer = house.access.decide(late).await;
    assert_eq!(answer.verdict, Verdict::Undecided);
    assert_eq!(answer.decision.reason, Reason::DeadlinePassed);
}

/// Runs them together on this task, in turns.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(Box::pin).map(Some).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        for slot in &mut waiting {
            if let Some(future) = slot
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                done.push(output);
                *slot = None;
            }
        }
        match waiting.iter().all(Option::is_none) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done
}
