//! Remembered stations: on the disk with the Accept that earned them, wherever they stand, and gone when they are ended.

use std::sync::Arc;
use std::time::Duration;

use sekisho::account::{AccountId, FactorKind, Outcome, Reason, Station};
use sekisho::clock::Timestamp;
use sekisho::store::{Admission, Remember, Store};

use super::{HOUR, Shop, accept, account, decision, shop};

const CHANGED: Timestamp = Timestamp::from_secs(1_700_000_000);

fn mac(last: u8) -> Station {
    Station::Mac([2, 0, 0, 0, 0, last])
}

/// An Accept at a station, which is remembered for a day unless what was earned was ended otherwise.
fn admission(shop: &Shop, account: &AccountId, last: u8, ended: u32) -> Admission {
    let mut decision = accept(account);
    decision.station = mac(last);
    Admission {
        decision: Arc::new(decision),
        bound: true,
        remember: Some(Remember {
            until: shop.clock.now().after(Duration::from_secs(24 * 3600)),
            password_changed: CHANGED,
            ended,
        }),
    }
}

async fn held(store: &Store, account: &AccountId) -> Vec<Station> {
    let standing = store.standing(account, &Station::Unknown).unwrap();
    let known = store.known(account).await.unwrap().unwrap();
    assert_eq!(known.remembered, standing.remembered);
    let kept = standing.remembered.into_iter();
    kept.map(|kept| kept.station).collect()
}

#[tokio::test]
async fn they_are_on_the_disk_when_the_accept_is_answered() {
    let shop = shop();
    let hanako = account("hanako");
    let (_, totp) = shop.enrolled(&hanako).await;
    let code = totp.code_at(shop.clock.now());
    let earned = admission(&shop, &hanako, 1, 0);
    let kinds = [FactorKind::Totp];
    let judged = shop.store.use_code(&hanako, &code, &kinds, earned).await;
    assert!(super::behind::is_accepted(&judged.unwrap()));
    let (_folder, copy) = shop.cut_back();
    assert_eq!(held(&copy, &hanako).await, [mac(1)]);
    let shop = shop.reopen();
    assert_eq!(held(&shop.store, &hanako).await, [mac(1)], "folded");
    let earned = admission(&shop, &hanako, 2, 0);
    shop.store.record(earned).await.unwrap();
    assert_eq!(held(&shop.store, &hanako).await, [mac(1), mac(2)]);
    // A wrong code earns nothing.
    let earned = admission(&shop, &hanako, 3, 0);
    let judged = shop.store.use_code(&hanako, &code, &kinds, earned).await;
    assert!(!super::behind::is_accepted(&judged.unwrap()));
    assert_eq!(held(&shop.store, &hanako).await, [mac(1), mac(2)]);
    shop.clock.shift_by(24 * HOUR);
    assert!(held(&shop.store, &hanako).await.is_empty());
}

#[tokio::test]
async fn what_ends_them_holds_before_and_after_it_is_folded() {
    let mut shop = shop();
    let hanako = account("hanako");
    let (factor, _) = shop.enrolled(&hanako).await;
    for folded in [false, true] {
        let ended = || {
            let standing = shop.store.standing(&hanako, &Station::Unknown);
            standing.unwrap().ended
        };
        for last in [1, 2] {
            let earned = admission(&shop, &hanako, last, ended());
            shop.store.record(earned).await.unwrap();
        }
        let before = ended();
        let one = shop.store.forget_stations(&hanako, Some(mac(1))).await;
        assert_eq!(one.unwrap(), 1);
        assert_eq!(ended(), before + 1);
        assert_eq!(held(&shop.store, &hanako).await, [mac(2)]);
        if folded {
            assert!(shop.store.remove_factor(&hanako, factor).await.unwrap());
        } else {
            let mut said = decision(Some(&hanako), Outcome::Waiting, Reason::PushReported);
            said.station = mac(9);
            shop.store.report_logins(&hanako, said).await.unwrap();
        }
        assert!(held(&shop.store, &hanako).await.is_empty());
        let stale = admission(&shop, &hanako, 3, before);
        shop.store.record(stale).await.unwrap();
        assert!(held(&shop.store, &hanako).await.is_empty());
        let counted = ended();
        let (_folder, copy) = shop.cut_back();
        assert!(held(&copy, &hanako).await.is_empty());
        shop = shop.reopen();
        let standing = shop.store.standing(&hanako, &Station::Unknown).unwrap();
        assert_eq!(standing.ended, counted);
        assert!(standing.remembered.is_empty());
    }
}

#[tokio::test]
async fn only_a_bind_forgives_wrong_passwords() {
    let shop = shop();
    let hanako = account("hanako");
    shop.store.record(Arc::new(accept(&hanako))).await.unwrap();
    let station = super::station();
    let wrong = super::failure(Some(&hanako), "campus/hanako", shop.clock.now());
    shop.store
        .wrong_password(&hanako, &station, wrong)
        .await
        .unwrap();
    let wrong = || {
        let standing = shop.store.standing(&hanako, &station).unwrap();
        standing.passwords.wrong_own
    };
    for (bound, left) in [(false, 1), (true, 0)] {
        let admission = Admission {
            bound,
            ..Admission::from(accept(&hanako))
        };
        shop.store.record(admission).await.unwrap();
        assert_eq!(wrong(), left, "bound: {bound}");
    }
}
