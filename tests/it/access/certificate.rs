//! Logins by a certificate: the account must be there and usable, and no password is asked for.

use std::sync::Arc;

use sekisho::access::{Attempt, ClientPolicy, CodeEntry, Credential, Verdict};
use sekisho::account::{Reason, Station};
use sekisho::clock::Timestamp;
use sekisho::factor::Response;
use sekisho::secret::Secret;

use super::house::{House, accepted, attempt, client, rejected};
use super::push::phone_of;
use crate::support::slapd::person_dn;

const LAPTOP: &str = "02:00:5e:10:00:01";

fn shown(client: &Arc<ClientPolicy>, name: &str) -> Attempt {
    Attempt {
        credential: Credential::Certificate {
            ends: Timestamp::from_secs(4_000_000_000),
        },
        station: Station::read(LAPTOP),
        ..attempt(client, name, "")
    }
}

fn wifi() -> Arc<ClientPolicy> {
    client("wifi", &[CodeEntry::Appended, CodeEntry::Challenge])
}

#[tokio::test]
async fn it_is_the_factor_even_for_those_who_are_always_asked() {
    let house = House::start();
    for name in ["taro", "taro@example.ac.jp", "hanako"] {
        let answer = house.access.decide(shown(&wifi(), name)).await;
        assert!(accepted(&answer), "{answer:?}");
        assert_eq!(answer.decision.reason, Reason::Certificate);
        assert_eq!(answer.proof, None);
    }
    house.has_bound("taro", 0).await;
}

#[tokio::test]
async fn the_account_must_be_there_usable_and_not_denied() {
    let house = House::start();
    let nobody = house.access.decide(shown(&wifi(), "nobody")).await;
    rejected(&nobody, Reason::UnknownUser);
    let other = house
        .access
        .decide(shown(&wifi(), "taro@other.example"))
        .await;
    rejected(&other, Reason::UnknownUser);
    let closed = client("closed", &[CodeEntry::Appended]);
    let denied = house.access.decide(shown(&closed, "hanako")).await;
    rejected(&denied, Reason::Denied);
    let dn = person_dn("hanako");
    house.slapd.modify(&format!(
        "dn: {dn}\nchangetype: modify\nreplace: shadowExpire\nshadowExpire: 1\n\n"
    ));
    let expired = house.access.decide(shown(&wifi(), "hanako")).await;
    rejected(&expired, Reason::AccountExpired);
}

/// Neither shows anything that is typed: the digest of what was typed is that of nothing.
#[tokio::test]
async fn no_empty_password_rides_on_it() {
    let house = House::start();
    let right = house.access.decide(shown(&wifi(), "hanako")).await;
    assert!(accepted(&right), "{right:?}");
    let empty = Attempt {
        credential: Credential::Password(Secret::default()),
        ..shown(&wifi(), "hanako")
    };
    let answer = house.access.decide(empty).await;
    rejected(&answer, Reason::EmptyPassword);
}

#[tokio::test]
async fn a_report_of_the_password_does_not_end_it() {
    let house = House::start();
    let mut phone = phone_of(&house, "hanako").await;
    let pushing = Arc::new(ClientPolicy {
        push: vec![sekisho::access::PushMode::Approve],
        ..ClientPolicy::clone(&wifi())
    });
    let typed = house.try_in(&pushing, "hanako", "himitsu").await;
    assert!(matches!(typed.verdict, Verdict::Wait(_)), "{typed:?}");
    let seen = phone.sees(&house.store);
    phone.say(&house.access, &seen[0], Response::Report).await;
    let typed = house.try_in(&wifi(), "hanako", "himitsu").await;
    rejected(&typed, Reason::Exposed);
    let answer = house.access.decide(shown(&wifi(), "hanako")).await;
    assert!(accepted(&answer), "{answer:?}");
}
