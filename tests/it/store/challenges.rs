//! Challenges: one answer, from the same client and name, also after a restart.

use std::sync::Arc;

use sekisho::account::{
    AccountKey, AttemptId, ClientName, FactorKind, Language, Outcome, Reason, Station,
};
use sekisho::store::{Challenge, ChallengeFacts, Lasting};
use tokio::task::JoinSet;

use super::{Shop, account, decision, shop};

fn challenge(shop: &Shop) -> Challenge {
    Challenge {
        account: account("hanako"),
        name: AccountKey::from_stored("campus/hanako"),
        client: ClientName::new("vpn"),
        asked: FactorKind::Sms,
        facts: ChallengeFacts {
            attempt: AttemptId::new(shop.clock.now()),
            station: Station::Mac([1, 2, 3, 4, 5, 6]),
            station_from: Some("Calling-Station-Id".into()),
            zone: None,
            rule: Some("3: ask".into()),
            reply: vec!["staff".into()],
            language: Language::Ja,
            number_end: Some("78".into()),
            lasting: Lasting::default(),
        },
        rounds_left: 3,
        expires: shop.clock.now().after(std::time::Duration::from_secs(120)),
    }
}

async fn opened(shop: &Shop, state: &[u8]) {
    let asked = decision(
        Some(&account("hanako")),
        Outcome::Challenge,
        Reason::CodeAsked,
    );
    shop.store
        .open_challenge(state, challenge(shop), Arc::new(asked))
        .await
        .unwrap();
}

async fn taken(shop: &Shop, state: &[u8], client: &str, name: &str) -> Option<Challenge> {
    shop.store
        .take_challenge(
            state,
            &ClientName::new(client),
            &AccountKey::from_stored(name),
        )
        .await
        .unwrap()
}

#[tokio::test]
async fn challenge_survives_a_restart_and_is_taken_once() {
    let shop = shop();
    opened(&shop, b"state").await;
    let shop = shop.reopen();
    let challenge = taken(&shop, b"state", "vpn", "campus/hanako")
        .await
        .unwrap();
    assert_eq!(challenge.account, account("hanako"));
    assert_eq!(challenge.facts.station, Station::Mac([1, 2, 3, 4, 5, 6]));
    assert_eq!(challenge.facts.reply, ["staff".into()]);
    assert!(
        taken(&shop, b"state", "vpn", "campus/hanako")
            .await
            .is_none()
    );
}

#[tokio::test]
async fn challenge_of_another_stays_for_its_owner() {
    let shop = shop();
    opened(&shop, b"state").await;
    assert!(
        taken(&shop, b"stat", "vpn", "campus/hanako")
            .await
            .is_none()
    );
    assert!(
        taken(&shop, b"state", "wifi", "campus/hanako")
            .await
            .is_none()
    );
    assert!(taken(&shop, b"state", "vpn", "campus/taro").await.is_none());
    assert!(
        taken(&shop, b"state", "vpn", "campus/hanako")
            .await
            .is_some()
    );
}

#[tokio::test]
async fn challenge_ends() {
    let shop = shop();
    opened(&shop, b"state").await;
    shop.clock.shift_by(121_000);
    assert!(
        taken(&shop, b"state", "vpn", "campus/hanako")
            .await
            .is_none()
    );
}

#[tokio::test]
async fn oldest_of_too_many_challenges_goes() {
    let shop = shop();
    for state in 0..9_u8 {
        opened(&shop, &[state]).await;
    }
    assert!(taken(&shop, &[0], "vpn", "campus/hanako").await.is_none());
    for state in 1..9_u8 {
        assert!(
            taken(&shop, &[state], "vpn", "campus/hanako")
                .await
                .is_some(),
            "{state}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn raced_challenge_has_one_taker() {
    let shop = shop();
    opened(&shop, b"state").await;
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let store = shop.store.clone();
        tasks.spawn(async move {
            let (client, name) = (
                ClientName::new("vpn"),
                AccountKey::from_stored("campus/hanako"),
            );
            store
                .take_challenge(b"state", &client, &name)
                .await
                .unwrap()
        });
    }
    let takers = tasks.join_all().await.into_iter().flatten().count();
    assert_eq!(takers, 1);
}

#[tokio::test]
async fn reset_removes_factors_challenges_and_codes() {
    let shop = shop();
    let hanako = account("hanako");
    let (_, totp) = shop.enrolled(&hanako).await;
    opened(&shop, b"state").await;
    assert_eq!(shop.store.reset(&hanako).await.unwrap(), 1);
    assert!(
        taken(&shop, b"state", "vpn", "campus/hanako")
            .await
            .is_none()
    );
    let judged = shop
        .try_code(&hanako, &totp.code_at(shop.clock.now()))
        .await;
    assert_eq!(judged, sekisho::store::CodeJudged::Wrong { left: 4 });
    assert_eq!(shop.store.reset(&account("nobody")).await.unwrap(), 0);
}
