//! Messages: counted before they are sent, and not to a number that is too new.

use sekisho::account::{AccountId, FactorKind};
use sekisho::clock::Timestamp;
use sekisho::store::{CodeIssued, SentCode};

use super::{HOUR, Shop, account, shop};

async fn issue(
    shop: &Shop,
    account: &AccountId,
    number: &str,
    changed: Option<Timestamp>,
) -> CodeIssued {
    shop.store
        .issue_code(SentCode {
            account: account.clone(),
            kind: FactorKind::Sms,
            digest: [1; 32],
            digits: 6,
            number: number.into(),
            entry_changed: changed,
        })
        .await
        .unwrap()
}

fn limited(issued: &CodeIssued) -> bool {
    matches!(issued, CodeIssued::Limited { .. })
}

#[tokio::test]
async fn messages_to_one_number_are_limited_for_everybody_together() {
    let shop = shop();
    for index in 0..3 {
        let account = account(&index.to_string());
        assert_eq!(
            issue(&shop, &account, "+819000000000", None).await,
            CodeIssued::Send
        );
    }
    let CodeIssued::Limited { until } = issue(&shop, &account("3"), "+819000000000", None).await
    else {
        panic!("three an hour");
    };
    let wait = until.since(shop.clock.now()).as_secs();
    assert!((3500..=3600).contains(&wait), "{wait}");
    assert_eq!(
        issue(&shop, &account("4"), "+819000000001", None).await,
        CodeIssued::Send
    );
    let shop = shop.reopen();
    assert!(limited(
        &issue(&shop, &account("3"), "+819000000000", None).await
    ));
    shop.clock.shift_by(HOUR + 1000);
    assert_eq!(
        issue(&shop, &account("3"), "+819000000000", None).await,
        CodeIssued::Send
    );
}

#[tokio::test]
async fn messages_for_one_account_are_limited_by_hour_and_day() {
    let shop = shop();
    let hanako = account("hanako");
    let mut sent = Vec::new();
    for _ in 0..4 {
        let mut this = 0;
        for _ in 0..5 {
            this +=
                u32::from(issue(&shop, &hanako, "+819000000000", None).await == CodeIssued::Send);
        }
        sent.push(this);
        shop.clock.shift_by(HOUR + 1000);
    }
    assert_eq!(
        sent,
        [3, 3, 0, 0],
        "three to a number an hour, six for an account a day"
    );
    shop.store.unlock(&hanako).await.unwrap();
    assert_eq!(
        issue(&shop, &hanako, "+819000000000", None).await,
        CodeIssued::Send,
        "an operator forgot the counts"
    );
}

#[tokio::test]
async fn all_messages_of_a_day_are_limited_even_when_counts_were_forgotten() {
    let shop = shop();
    for index in 0..20 {
        let account = account(&index.to_string());
        assert_eq!(
            issue(&shop, &account, &format!("+8190{index:08}"), None).await,
            CodeIssued::Send
        );
        shop.store.unlock(&account).await.unwrap();
    }
    assert!(limited(
        &issue(&shop, &account("x"), "+819099999999", None).await
    ));
    shop.clock.shift_by(24 * HOUR + 1000);
    shop.store.sweep().await.unwrap();
    assert_eq!(
        issue(&shop, &account("x"), "+819099999999", None).await,
        CodeIssued::Send
    );
}

#[tokio::test]
async fn number_is_too_new_when_the_entry_changed_of_late() {
    let shop = shop();
    let now = shop.clock.now();
    let hours = |hours: i64| Some(Timestamp::from_millis(now.millis() - hours * HOUR));
    assert_eq!(
        issue(&shop, &account("a"), "+819000000001", hours(80)).await,
        CodeIssued::Send
    );
    assert_eq!(
        issue(&shop, &account("b"), "+819000000002", None).await,
        CodeIssued::Send
    );
    let too_new = issue(&shop, &account("c"), "+819000000003", hours(2)).await;
    assert_eq!(
        too_new,
        CodeIssued::NumberTooNew {
            until: Timestamp::from_millis(now.millis() + 70 * HOUR)
        }
    );
    assert_eq!(
        issue(&shop, &account("c"), "+819000000003", None).await,
        too_new,
        "what was learnt stays"
    );
    shop.clock.shift_by(70 * HOUR + 1000);
    assert_eq!(
        issue(&shop, &account("c"), "+819000000003", hours(2)).await,
        CodeIssued::Send
    );
}

#[tokio::test]
async fn number_that_differs_from_the_known_one_is_too_new() {
    let shop = shop();
    let hanako = account("hanako");
    assert_eq!(
        issue(&shop, &hanako, "+819000000001", None).await,
        CodeIssued::Send
    );
    assert!(matches!(
        issue(&shop, &hanako, "+819000000002", None).await,
        CodeIssued::NumberTooNew { .. }
    ));
    assert_eq!(
        issue(&shop, &hanako, "+819000000001", None).await,
        CodeIssued::Send,
        "the known one still works"
    );
    shop.clock.shift_by(72 * HOUR + 1000);
    assert_eq!(
        issue(&shop, &hanako, "+819000000002", None).await,
        CodeIssued::Send
    );
}

#[tokio::test]
async fn numbers_are_not_in_the_files() {
    let shop = shop();
    assert_eq!(
        issue(&shop, &account("hanako"), "+819012345678", None).await,
        CodeIssued::Send
    );
    let (_, totp) = shop.enrolled(&account("hanako")).await;
    for name in ["sekisho.db", "sekisho.db-wal"] {
        let octets = std::fs::read(shop.folder.path().join(name)).unwrap();
        assert!(
            !octets.windows(8).any(|window| window == b"12345678"),
            "{name}"
        );
        let seed = totp.seed().expose();
        assert!(
            !octets.windows(seed.len()).any(|window| window == seed),
            "{name}"
        );
    }
}
