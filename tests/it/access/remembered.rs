//! Remembered stations (D9): a factor that was proven is not asked for again at the same station, for the same account, at the same
//! client, under the same password; and for nobody and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use sekisho::access::{Answer, Attempt, ClientPolicy, CodeEntry, Credential, Ending, PushMode};
use sekisho::account::{Reason, Station};
use sekisho::factor::{Response, Totp};

use super::house::{House, accepted, attempt, challenged, client, rejected};
use super::push::{conclude, phone_of, waits};
use crate::support::mschap::respond;
use crate::support::phone::approve;
use crate::support::slapd::person_dn;

const LAPTOP: &str = "02:00:5e:10:00:01";
const TABLET: &str = "02:00:5e:10:00:02";
const DAY: i64 = 24 * 3600 * 1000;

fn remembering(name: &str, code: &[CodeEntry]) -> Arc<ClientPolicy> {
    Arc::new(ClientPolicy {
        remember: Duration::from_secs(14 * 24 * 3600),
        ..ClientPolicy::clone(&client(name, code))
    })
}

fn wifi() -> Arc<ClientPolicy> {
    remembering("wifi", &[CodeEntry::Appended])
}

async fn try_at(
    house: &House,
    (client, station): (&Arc<ClientPolicy>, &str),
    user: &str,
    typed: &str,
) -> Answer {
    let at = Attempt {
        station: Station::read(station),
        ..attempt(client, user, typed)
    };
    house.forget_verdicts().await;
    house.access.decide(at).await
}

/// Hanako with an app, who has logged in with a code at her laptop.
async fn remembered() -> (House, Totp) {
    let house = House::start();
    house.slapd.set_policy(&[]);
    house.date_password("hanako", "himitsu");
    let totp = house.enrol("hanako").await;
    let answer = prove(&house, &totp, LAPTOP).await;
    assert_eq!(answer.decision.reason, Reason::Proven);
    (house, totp)
}

async fn prove(house: &House, totp: &Totp, station: &str) -> Answer {
    let typed = format!("himitsu{}", house.code(totp));
    let answer = try_at(house, (&wifi(), station), "hanako", &typed).await;
    assert!(accepted(&answer), "{answer:?}");
    answer
}

async fn is_asked(house: &House, station: &str) -> bool {
    let answer = try_at(house, (&wifi(), station), "hanako", "himitsu").await;
    match accepted(&answer) {
        true => assert_eq!(answer.decision.reason, Reason::StationRemembered),
        false => drop(rejected(&answer, Reason::CodeMissing)),
    }
    !accepted(&answer)
}

async fn account(house: &House, user: &str) -> sekisho::account::AccountId {
    house.access.account(user).await.unwrap().id.clone()
}

#[tokio::test]
async fn a_factor_that_was_proven_there_is_not_asked_for_again() {
    let (mut house, totp) = remembered().await;
    for _ in 0..3 {
        assert!(!is_asked(&house, LAPTOP).await);
    }
    house.reopen();
    assert!(!is_asked(&house, LAPTOP).await, "it outlives a restart");
    // Equipment keeps the old code behind the password.
    let old = format!("himitsu{}", house.code(&totp));
    let again = try_at(&house, (&wifi(), LAPTOP), "hanako", &old).await;
    assert!(accepted(&again), "{again:?}");
    let wrong = try_at(&house, (&wifi(), LAPTOP), "hanako", "falsch").await;
    rejected(&wrong, Reason::WrongPassword);
    let id = account(&house, "hanako").await;
    let known = house.store.known(&id).await.unwrap().unwrap();
    let [station] = &known.remembered[..] else {
        panic!("{:?}", known.remembered);
    };
    assert_eq!(station.station, Station::read(LAPTOP));
    assert_eq!(station.client, wifi().name);
}

#[tokio::test]
async fn elsewhere_and_for_others_it_is_asked_for() {
    let (house, _) = remembered().await;
    assert!(is_asked(&house, TABLET).await);
    assert!(is_asked(&house, "198.51.100.7").await);
    assert!(is_asked(&house, "").await);
    let dormitory = remembering("dormitory", &[CodeEntry::Appended]);
    let answer = try_at(&house, (&dormitory, LAPTOP), "hanako", "himitsu").await;
    rejected(&answer, Reason::CodeMissing);
    // Somebody else with her laptop is asked, whatever she did there.
    house.date_password("yuki", "himitsu");
    house.enrol("yuki").await;
    let answer = try_at(&house, (&wifi(), LAPTOP), "yuki", "himitsu").await;
    rejected(&answer, Reason::CodeMissing);
    // And where nothing is remembered any more, nothing holds.
    let off = client("wifi", &[CodeEntry::Appended]);
    let answer = try_at(&house, (&off, LAPTOP), "hanako", "himitsu").await;
    rejected(&answer, Reason::CodeMissing);
}

#[tokio::test]
async fn the_time_is_bounded_and_no_login_without_a_factor_renews_it() {
    let (house, _) = remembered().await;
    house.clock.shift_by(13 * DAY);
    assert!(!is_asked(&house, LAPTOP).await);
    house.clock.shift_by(DAY);
    assert!(is_asked(&house, LAPTOP).await);
}

#[tokio::test]
async fn a_shorter_time_holds_for_what_was_remembered_under_a_longer() {
    let (house, _) = remembered().await;
    house.clock.shift_by(2 * DAY);
    let short = Arc::new(ClientPolicy {
        remember: Duration::from_secs(24 * 3600),
        ..ClientPolicy::clone(&wifi())
    });
    let answer = try_at(&house, (&short, LAPTOP), "hanako", "himitsu").await;
    rejected(&answer, Reason::CodeMissing);
}

#[tokio::test]
async fn another_password_ends_it() {
    let (house, totp) = remembered().await;
    house.date_password("hanako", "himitsu");
    assert!(is_asked(&house, LAPTOP).await, "though it is the same text");
    house.clock.shift_by(60_000);
    prove(&house, &totp, LAPTOP).await;
    assert!(!is_asked(&house, LAPTOP).await);
}

#[tokio::test]
async fn where_no_change_of_a_password_would_be_noticed_nothing_is_remembered() {
    let house = House::start();
    let totp = house.enrol("hanako").await;
    let answer = prove(&house, &totp, LAPTOP).await;
    assert_eq!(answer.resumable, None);
    assert!(is_asked(&house, LAPTOP).await);
}

#[tokio::test]
async fn a_password_of_this_second_earns_nothing_yet() {
    let house = House::start();
    house.slapd.set_policy(&[]);
    house.date_password("hanako", "himitsu");
    // The directory's clock is ahead.
    house.clock.shift_by(-3_600_000);
    let totp = house.enrol("hanako").await;
    let answer = prove(&house, &totp, LAPTOP).await;
    assert_eq!(answer.resumable, None);
    assert!(is_asked(&house, LAPTOP).await);
}

#[tokio::test]
async fn a_report_ends_it_even_once_it_is_cleared() {
    let (house, _) = remembered().await;
    let mut phone = phone_of(&house, "hanako").await;
    let pushing = Arc::new(ClientPolicy {
        push: vec![PushMode::Approve],
        ..ClientPolicy::clone(&client("vpn", &[]))
    });
    let wait = waits(&house.try_in(&pushing, "hanako", "himitsu").await);
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], Response::Report).await;
    let _told = conclude(&house, &pushing, &wait, Ending::Decided).await;
    let answer = try_at(&house, (&wifi(), LAPTOP), "hanako", "himitsu").await;
    rejected(&answer, Reason::Exposed);
    assert!(house.store.clear_report(&phone.account).await.unwrap());
    assert!(is_asked(&house, LAPTOP).await);
}

#[tokio::test]
async fn a_removed_factor_a_reset_and_an_operator_end_it() {
    let (house, totp) = remembered().await;
    let id = account(&house, "hanako").await;
    let other = house.enrol("hanako").await;
    let known = house.store.known(&id).await.unwrap().unwrap();
    let removed = known.factors[1].id;
    assert!(house.store.remove_factor(&id, removed).await.unwrap());
    drop(other);
    assert!(is_asked(&house, LAPTOP).await);

    house.clock.shift_by(60_000);
    prove(&house, &totp, LAPTOP).await;
    house.clock.shift_by(60_000);
    prove(&house, &totp, TABLET).await;
    let laptop = Station::read(LAPTOP);
    let forgotten = house.store.forget_stations(&id, Some(laptop)).await;
    assert_eq!(forgotten.unwrap(), 1);
    assert!(is_asked(&house, LAPTOP).await && !is_asked(&house, TABLET).await);
    assert_eq!(house.store.forget_stations(&id, None).await.unwrap(), 1);
    assert!(is_asked(&house, TABLET).await);

    house.clock.shift_by(60_000);
    prove(&house, &totp, LAPTOP).await;
    house.store.reset(&id).await.unwrap();
    let known = house.store.known(&id).await.unwrap().unwrap();
    assert!(known.remembered.is_empty() && known.factors.is_empty());
}

#[tokio::test]
async fn a_disabled_account_keeps_nothing() {
    let (house, _) = remembered().await;
    let dn = person_dn("hanako");
    house.slapd.modify(&format!(
        "dn: {dn}\nchangetype: modify\nreplace: shadowExpire\nshadowExpire: 1\n\n"
    ));
    let answer = try_at(&house, (&wifi(), LAPTOP), "hanako", "himitsu").await;
    rejected(&answer, Reason::AccountExpired);
    house.slapd.modify(&format!(
        "dn: {dn}\nchangetype: modify\ndelete: shadowExpire\n\n"
    ));
    assert!(is_asked(&house, LAPTOP).await);
}

#[tokio::test]
async fn members_of_always_asked_groups_are_remembered_by_name_alone() {
    let house = House::start();
    house.slapd.set_policy(&[]);
    house.date_password("taro", "himitsu");
    let totp = house.enrol("taro").await;
    let allowing = Arc::new(ClientPolicy {
        remember_always: true,
        ..ClientPolicy::clone(&wifi())
    });
    for (policy, reason) in [
        (wifi(), Reason::CodeMissing),
        (allowing, Reason::StationRemembered),
        (wifi(), Reason::CodeMissing),
    ] {
        house.clock.shift_by(60_000);
        let typed = format!("himitsu{}", house.code(&totp));
        let proven = try_at(&house, (&policy, LAPTOP), "taro", &typed).await;
        assert!(accepted(&proven), "{proven:?}");
        let answer = try_at(&house, (&policy, LAPTOP), "taro", "himitsu").await;
        assert_eq!(answer.decision.reason, reason, "{answer:?}");
    }
}

#[tokio::test]
async fn a_shared_station_is_nobodys_own() {
    let (house, _) = remembered().await;
    let shared = Arc::new(ClientPolicy {
        shared_stations: true,
        ..ClientPolicy::clone(&wifi())
    });
    let answer = try_at(&house, (&shared, LAPTOP), "hanako", "himitsu").await;
    rejected(&answer, Reason::CodeMissing);
}

#[tokio::test]
async fn an_approval_and_a_challenge_and_a_certificate_are_remembered_too() {
    let house = House::start();
    house.slapd.set_policy(&[]);
    house.date_password("hanako", "himitsu");
    let mut phone = phone_of(&house, "hanako").await;
    let pushing = Arc::new(ClientPolicy {
        push: vec![PushMode::Approve],
        ..ClientPolicy::clone(&wifi())
    });
    let wait = waits(&try_at(&house, (&pushing, LAPTOP), "hanako", "himitsu").await);
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], approve("")).await;
    let proven = conclude(&house, &pushing, &wait, Ending::Decided).await;
    assert!(
        accepted(&proven) && proven.resumable.is_some(),
        "{proven:?}"
    );
    // A laptop that shows a response in its place is let in there, too, and nobody is asked.
    let shown = Attempt {
        credential: Credential::NtResponse(respond("hanako", "himitsu")),
        station: Station::read(LAPTOP),
        ..attempt(&pushing, "hanako", "")
    };
    house.forget_verdicts().await;
    let answer = house.access.decide(shown).await;
    assert_eq!(
        answer.decision.reason,
        Reason::StationRemembered,
        "{answer:?}"
    );
    assert!(answer.proof.is_some() && phone.sees(&house.store).is_empty());

    let asking = remembering("wifi", &[CodeEntry::Challenge]);
    let totp = house.enrol("hanako").await;
    let asked = try_at(&house, (&asking, TABLET), "hanako", "himitsu").await;
    let (state, _) = challenged(&asked);
    let code = house.code(&totp);
    let proven = house.answer(&asking, "hanako", state, &code).await;
    assert!(
        accepted(&proven) && proven.resumable.is_some(),
        "{proven:?}"
    );
    let answer = try_at(&house, (&asking, TABLET), "hanako", "himitsu").await;
    assert_eq!(
        answer.decision.reason,
        Reason::StationRemembered,
        "{answer:?}"
    );
}

#[tokio::test]
async fn nothing_outlives_the_certificate_that_earned_it() {
    let house = House::start();
    house.slapd.set_policy(&[]);
    house.date_password("hanako", "himitsu");
    house.enrol("hanako").await;
    let ends = house.clock.now().after(Duration::from_secs(3600));
    let shown = Attempt {
        credential: Credential::Certificate { ends },
        station: Station::read(LAPTOP),
        ..attempt(&wifi(), "hanako", "")
    };
    let answer = house.access.decide(shown).await;
    assert!(accepted(&answer), "{answer:?}");
    assert!(!is_asked(&house, LAPTOP).await);
    house.clock.shift_by(3_600_000);
    assert!(is_asked(&house, LAPTOP).await);
}
