//! What is said while the directory is being asked counts for the login that waits for it.

use std::sync::Arc;
use std::time::Duration;

use sekisho::access::{Answer, Attempt, ClientPolicy, CodeEntry};
use sekisho::account::{AccountKey, Language, Reason, Station};
use tokio::time::{Instant, sleep};

use super::house::{House, accepted, asking, attempt, challenged, client, rejected};

const LAPTOP: &str = "02:00:5e:10:00:01";
/// Longer than a login takes to have its bind on the way.
const UNDER_WAY: Duration = Duration::from_millis(300);

/// Has an attempt wait for its bind while something else happens.
async fn meanwhile(house: &House, attempt: Attempt, happens: impl AsyncFnOnce()) -> Answer {
    house.slapd.pause();
    let begun = Instant::now();
    let login = async {
        let answer = house.access.decide(attempt).await;
        assert!(begun.elapsed() > UNDER_WAY, "it did not wait");
        answer
    };
    let (answer, ()) = tokio::join!(login, async {
        sleep(UNDER_WAY).await;
        happens().await;
        house.slapd.resume();
    });
    answer
}

#[tokio::test]
async fn a_report_stops_a_login_that_is_under_way() {
    let house = House::start();
    house.enrol("hanako").await;
    house.remember_entries();
    challenged(&house.try_in(&asking(), "hanako", "himitsu").await);
    let id = house.access.account("hanako").await.unwrap().id.clone();
    house.forget_verdicts().await;
    let answer = meanwhile(
        &house,
        attempt(&asking(), "hanako", "himitsu"),
        async || {
            let here = ("192.0.2.99".parse().unwrap(), Language::Ja);
            let name = AccountKey::from_stored("campus/hanako");
            house.access.report((&id, &name), here).await.unwrap();
        },
    )
    .await;
    rejected(&answer, Reason::Exposed);
}

#[tokio::test]
async fn a_station_that_is_forgotten_meanwhile_is_asked() {
    let house = House::start();
    house.slapd.set_policy(&[]);
    house.date_password("hanako", "himitsu");
    let totp = house.enrol("hanako").await;
    house.remember_entries();
    let wifi = Arc::new(ClientPolicy {
        remember: Duration::from_secs(14 * 24 * 3600),
        ..ClientPolicy::clone(&client("wifi", &[CodeEntry::Appended]))
    });
    let laptop = |typed: &str| Attempt {
        station: Station::read(LAPTOP),
        ..attempt(&wifi, "hanako", typed)
    };
    let typed = format!("himitsu{}", house.code(&totp));
    assert!(accepted(&house.access.decide(laptop(&typed)).await));
    let id = house.access.account("hanako").await.unwrap().id.clone();
    let answer = meanwhile(&house, laptop("himitsu"), async || {
        house.access.forget_stations(&id, None).await.unwrap();
    })
    .await;
    rejected(&answer, Reason::CodeMissing);
}
