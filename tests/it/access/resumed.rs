//! Resumed sessions (RFC 9190 §5.7): whatever has changed since the login means a login.

use std::sync::Arc;
use std::time::Duration;

use sekisho::access::{
    Answer, Attempt, ClientPolicy, CodeEntry, Credential, MayResume, PushMode, Resumable, Verdict,
};
use sekisho::account::{Reason, Station};
use sekisho::factor::{Response, Totp};

use super::house::{CAMPUS, House, accepted, attempt, client, rejected};
use super::push::phone_of;
use crate::support::slapd::person_dn;

const LAPTOP: &str = "02:00:5e:10:00:01";

fn wifi() -> Arc<ClientPolicy> {
    client("wifi", &[CodeEntry::Appended])
}

fn remembering() -> Arc<ClientPolicy> {
    Arc::new(ClientPolicy {
        remember: Duration::from_secs(14 * 24 * 3600),
        ..ClientPolicy::clone(&wifi())
    })
}

fn at(client: &Arc<ClientPolicy>, station: &str, credential: Credential) -> Attempt {
    Attempt {
        credential,
        station: Station::read(station),
        ..attempt(client, "anonymous", "")
    }
}

async fn looked(house: &House, session: &Arc<Resumable>) -> MayResume {
    let laptop = Station::read(LAPTOP);
    house.access.may_resume(session, &wifi(), &laptop).await
}

async fn may(house: &House, session: &Arc<Resumable>) -> bool {
    looked(house, session).await == MayResume::Yes
}

async fn resume(house: &House, session: &Arc<Resumable>) -> Answer {
    let session = Credential::Resumed(session.clone());
    house.access.decide(at(&wifi(), LAPTOP, session)).await
}

/// What a look and the proof after it say; both, since nothing may pass one of them.
async fn refused(house: &House, session: &Arc<Resumable>, reason: Reason) {
    assert_eq!(looked(house, session).await, MayResume::Never, "{reason}");
    let answer = resume(house, session).await;
    rejected(&answer, reason);
    assert_eq!(answer.resumable, None);
}

async fn prove(house: &House, user: &str, totp: &Totp) -> Arc<Resumable> {
    let typed = format!("himitsu{}", house.code(totp));
    let proven = Attempt {
        station: Station::read(LAPTOP),
        ..attempt(&wifi(), user, &typed)
    };
    let answer = house.access.decide(proven).await;
    assert!(accepted(&answer), "{answer:?}");
    answer.resumable.expect("the session is resumable")
}

/// Hanako, who has logged in with a code at her laptop.
async fn let_in() -> (House, Totp, Arc<Resumable>) {
    let house = House::start();
    house.slapd.set_policy(&[]);
    house.date_password("hanako", "himitsu");
    let totp = house.enrol("hanako").await;
    let session = prove(&house, "hanako", &totp).await;
    (house, totp, session)
}

#[tokio::test]
async fn as_long_as_nothing_changes_it_is_resumed() {
    let (house, _, session) = let_in().await;
    for _ in 0..3 {
        assert!(may(&house, &session).await);
        let answer = resume(&house, &session).await;
        assert!(accepted(&answer), "{answer:?}");
        assert_eq!(answer.decision.reason, Reason::Resumed);
        assert_eq!(&*answer.decision.name, "campus/hanako");
        assert_eq!(answer.resumable.as_ref(), Some(&session), "and not renewed");
        house.clock.shift_by(3_600_000);
    }
    house.has_bound("hanako", 1).await;
    house.clock.shift_by(7 * 24 * 3_600_000);
    refused(&house, &session, Reason::SessionEnded).await;
}

#[tokio::test]
async fn a_factor_lets_resume_no_longer_than_stations_are_remembered() {
    let (house, _, session) = let_in().await;
    let an_hour = Arc::new(ClientPolicy {
        remember: Duration::from_secs(3600),
        ..ClientPolicy::clone(&wifi())
    });
    let laptop = Station::read(LAPTOP);
    for (minutes, may) in [(30, MayResume::Yes), (31, MayResume::Never)] {
        house.clock.shift_by(minutes * 60_000);
        let looked = house.access.may_resume(&session, &an_hour, &laptop).await;
        assert_eq!(looked, may);
    }
    let answer = at(&an_hour, LAPTOP, Credential::Resumed(session));
    rejected(&house.access.decide(answer).await, Reason::SessionEnded);
}

#[tokio::test]
async fn it_is_resumed_where_the_login_was() {
    let (house, _, session) = let_in().await;
    let resumed = || Credential::Resumed(session.clone());
    let other = client("dormitory", &[CodeEntry::Appended]);
    for (client, station) in [
        (&wifi(), "02:00:5e:10:00:02"),
        (&wifi(), ""),
        (&wifi(), CAMPUS),
        (&other, LAPTOP),
    ] {
        let read = Station::read(station);
        let looked = house.access.may_resume(&session, client, &read).await;
        // Whoever names it there may have only seen its name.
        assert_eq!(looked, MayResume::NotHere);
        let answer = house.access.decide(at(client, station, resumed())).await;
        rejected(&answer, Reason::SessionEnded);
    }
}

#[tokio::test]
async fn another_password_ends_it() {
    let (house, _, session) = let_in().await;
    house.date_password("hanako", "himitsu");
    refused(&house, &session, Reason::SessionEnded).await;
}

#[tokio::test]
async fn an_account_that_is_closed_or_gone_ends_it() {
    let (house, totp, session) = let_in().await;
    let dn = person_dn("hanako");
    house.slapd.modify(&format!(
        "dn: {dn}\nchangetype: modify\nreplace: shadowExpire\nshadowExpire: 1\n\n"
    ));
    refused(&house, &session, Reason::AccountExpired).await;
    house.slapd.modify(&format!(
        "dn: {dn}\nchangetype: modify\ndelete: shadowExpire\n\n"
    ));
    house.clock.shift_by(60_000);
    let session = prove(&house, "hanako", &totp).await;
    house
        .slapd
        .modify(&format!("dn: {dn}\nchangetype: delete\n\n"));
    refused(&house, &session, Reason::UnknownUser).await;
    // Somebody else of that name is somebody else.
    house
        .slapd
        .add(&crate::support::slapd::person("hanako", "himitsu"));
    refused(&house, &session, Reason::SessionEnded).await;
}

#[tokio::test]
async fn a_report_ends_it_even_once_it_is_cleared() {
    let (house, _, session) = let_in().await;
    let mut phone = phone_of(&house, "hanako").await;
    let pushing = Arc::new(ClientPolicy {
        push: vec![PushMode::Approve],
        ..ClientPolicy::clone(&client("vpn", &[]))
    });
    let waits = house.try_in(&pushing, "hanako", "himitsu").await;
    assert!(matches!(waits.verdict, Verdict::Wait(_)), "{waits:?}");
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], Response::Report).await;
    refused(&house, &session, Reason::Exposed).await;
    assert!(house.store.clear_report(&phone.account).await.unwrap());
    refused(&house, &session, Reason::SessionEnded).await;
}

#[tokio::test]
async fn a_removed_factor_and_an_operator_end_it() {
    let (house, totp, session) = let_in().await;
    let id = session.account().clone();
    house.store.forget_stations(&id, None).await.unwrap();
    refused(&house, &session, Reason::SessionEnded).await;
    house.clock.shift_by(60_000);
    let session = prove(&house, "hanako", &totp).await;
    assert!(may(&house, &session).await);
    let known = house.store.known(&id).await.unwrap().unwrap();
    let removed = house.store.remove_factor(&id, known.factors[0].id).await;
    assert!(removed.unwrap());
    refused(&house, &session, Reason::SessionEnded).await;
}

#[tokio::test]
async fn what_ends_while_a_login_waits_ends_what_it_earns() {
    let house = House::start();
    house.slapd.set_policy(&[]);
    house.date_password("hanako", "himitsu");
    let totp = house.enrol("hanako").await;
    let asking = Arc::new(ClientPolicy {
        remember: Duration::from_secs(14 * 24 * 3600),
        ..ClientPolicy::clone(&client("wifi", &[CodeEntry::Challenge]))
    });
    let laptop = Attempt {
        station: Station::read(LAPTOP),
        ..attempt(&asking, "hanako", "himitsu")
    };
    let (state, _) = super::house::challenged(&house.access.decide(laptop).await);
    let id = house.access.account("hanako").await.unwrap().id.clone();
    house.store.forget_stations(&id, None).await.unwrap();
    let code = house.code(&totp);
    let answer = house.answer(&asking, "hanako", state, &code).await;
    assert!(accepted(&answer), "{answer:?}");
    refused(&house, &answer.resumable.unwrap(), Reason::SessionEnded).await;
    let known = house.store.known(&id).await.unwrap().unwrap();
    assert!(known.remembered.is_empty());
}

#[tokio::test]
async fn who_is_always_asked_resumes_nothing_but_a_certificate() {
    let house = House::start();
    house.slapd.set_policy(&[]);
    house.date_password("taro", "himitsu");
    let totp = house.enrol("taro").await;
    let session = prove(&house, "taro", &totp).await;
    refused(&house, &session, Reason::SessionEnded).await;
    let ends = house.clock.now().after(Duration::from_secs(3600));
    let shown = Attempt {
        name: (*b"taro").into(),
        ..at(&wifi(), LAPTOP, Credential::Certificate { ends })
    };
    let session = house.access.decide(shown).await.resumable.unwrap();
    assert!(may(&house, &session).await);
    assert!(accepted(&resume(&house, &session).await));
    house.clock.shift_by(3_600_000);
    refused(&house, &session, Reason::SessionEnded).await;
}

#[tokio::test]
async fn a_session_of_a_remembered_station_ends_with_that() {
    let (house, totp, _) = let_in().await;
    house.clock.shift_by(60_000);
    let typed = format!("himitsu{}", house.code(&totp));
    for (typed, reason) in [
        (&*typed, Reason::Proven),
        ("himitsu", Reason::StationRemembered),
    ] {
        let there = Attempt {
            station: Station::read(LAPTOP),
            ..attempt(&remembering(), "hanako", typed)
        };
        let answer = house.access.decide(there).await;
        assert_eq!(answer.decision.reason, reason);
        let session = answer.resumable.unwrap();
        let (laptop, on) = (Station::read(LAPTOP), remembering());
        let on = house.access.may_resume(&session, &on, &laptop).await;
        let off = house.access.may_resume(&session, &wifi(), &laptop).await;
        assert_eq!(on, MayResume::Yes);
        assert_eq!(off == MayResume::Yes, reason == Reason::Proven, "{reason}");
    }
}

#[tokio::test]
async fn a_directory_that_is_away_resumes_nobody() {
    let (mut house, _, session) = let_in().await;
    house.slapd.kill();
    assert_eq!(looked(&house, &session).await, MayResume::NotHere);
    let answer = resume(&house, &session).await;
    assert_eq!(answer.verdict, Verdict::Undecided);
}
