//! Sessions as NASes account for them: begun by a login, followed, ended, bounded.

use std::sync::Arc;

use sekisho::account::{AccountId, AttemptId, ClientName, Outcome, Reason, Station};
use sekisho::clock::Timestamp;
use sekisho::store::{
    AccountedSession, AccountingRecord, EndAsked, EndOutcome, EndWhy, Joining, Recorded,
    SessionEnd, Told, Wanted,
};

use super::{HOUR, Shop, accept, account, decision, shop};

const START: u32 = 1;
const STOP: u32 = 2;
const INTERIM: u32 = 3;
const ON: u32 = 7;
const OFF: u32 = 8;
const DAY: i64 = 24 * HOUR;

fn record(shop: &Shop, session: &str, status: u32, octets: u64) -> AccountingRecord {
    AccountingRecord {
        at: shop.clock.now(),
        client: ClientName::new("vpn"),
        nas: "192.0.2.10".parse().unwrap(),
        session: session.into(),
        status,
        name: "hanako".into(),
        station: super::station(),
        details: serde_json::json!({ "octets-in": octets, "terminate-cause": 4 }),
    }
}

fn joining(attempt: &AttemptId, nas: &[u8]) -> Joining {
    Joining {
        attempt: Some(attempt.clone()),
        nas: nas.to_vec(),
        named: vec![44, 3, 1],
        local: None,
    }
}

/// Lets the account in at the shop's time.
async fn login(shop: &Shop, whose: &AccountId) -> AttemptId {
    let mut decision = accept(whose);
    decision.at = shop.clock.now();
    let attempt = decision.attempt.clone();
    shop.store.record(Arc::new(decision)).await.unwrap();
    attempt
}

async fn account_for(
    shop: &Shop,
    record: AccountingRecord,
    joining: Joining,
) -> Option<AccountedSession> {
    let accounted = shop.store.record_accounting(record, joining).await.unwrap();
    accounted.reported.map(|session| *session)
}

async fn sessions(shop: &Shop, whose: &AccountId) -> Vec<AccountedSession> {
    shop.store.sessions(whose).await.unwrap()
}

async fn only(shop: &Shop, whose: &AccountId) -> AccountedSession {
    let mut sessions = sessions(shop, whose).await;
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    sessions.remove(0)
}

fn end(session: &AccountedSession) -> Option<SessionEnd> {
    session.ended.map(|(_, how)| how)
}

#[tokio::test]
async fn a_session_begins_goes_on_and_ends() {
    let shop = shop();
    let hanako = account("hanako");
    let attempt = login(&shop, &hanako).await;
    let joined = || joining(&attempt, b"ap1");
    account_for(&shop, record(&shop, "S1", START, 0), joined()).await;
    let begun = only(&shop, &hanako).await;
    assert_eq!(
        (begun.account.clone(), begun.attempt.clone()),
        (hanako.clone(), attempt.clone())
    );
    assert_eq!(end(&begun), None);
    assert_eq!(begun.facts.named, [44, 3, 1]);
    shop.clock.shift_by(60_000);
    // Gear that brings its Class at the start alone.
    let unnamed = Joining {
        attempt: None,
        ..joined()
    };
    let mut interim = record(&shop, "S1", INTERIM, 10);
    interim.station = Station::Unknown;
    account_for(&shop, interim, unnamed.clone()).await;
    assert_eq!(only(&shop, &hanako).await.facts.station, super::station());
    assert_eq!(only(&shop, &hanako).await.facts.details["octets-in"], 10);
    shop.clock.shift_by(60_000);
    account_for(&shop, record(&shop, "S1", STOP, 30), unnamed).await;
    let shop = shop.reopen();
    let over = only(&shop, &hanako).await;
    assert_eq!(end(&over), Some(SessionEnd::Stopped(Some(4))));
    assert_eq!(over.facts.details["octets-in"], 30);
    assert_eq!(over.begun.millis(), begun.begun.millis());
    let lasted = over.ended.unwrap().0.since(over.begun);
    assert!((120..130).contains(&lasted.as_secs()), "{lasted:?}");
    // What comes late, or again, changes nothing.
    for status in [START, INTERIM, STOP] {
        account_for(
            &shop,
            record(&shop, "S1", status, 99),
            joining(&attempt, b"ap1"),
        )
        .await;
    }
    let still = only(&shop, &hanako).await;
    assert_eq!(
        (still.ended, still.facts.details),
        (over.ended, over.facts.details)
    );
}

#[tokio::test]
async fn what_names_no_login_is_kept_and_is_no_session() {
    let shop = shop();
    let hanako = account("hanako");
    let refused = decision(Some(&hanako), Outcome::Reject, Reason::WrongCode);
    let refused_attempt = refused.attempt.clone();
    shop.store.record(Arc::new(refused)).await.unwrap();
    let let_in = login(&shop, &hanako).await;
    let elsewhere = |mut record: AccountingRecord| {
        record.client = ClientName::new("wifi");
        record
    };
    let unknown = AttemptId::new(Timestamp::from_millis(0));
    for (record, joining) in [
        (record(&shop, "S1", START, 0), Joining::default()),
        (
            record(&shop, "S2", START, 0),
            joining(&refused_attempt, b"ap1"),
        ),
        (record(&shop, "S3", START, 0), joining(&unknown, b"ap1")),
        (
            elsewhere(record(&shop, "S4", START, 0)),
            joining(&let_in, b"ap1"),
        ),
        (record(&shop, "S5", 15, 0), joining(&let_in, b"ap1")),
    ] {
        let said = record.session.clone();
        let accounted = shop.store.record_accounting(record, joining).await.unwrap();
        assert_eq!(accounted.recorded, Recorded::New, "{said}");
    }
    assert_eq!(sessions(&shop, &hanako).await.len(), 0);
}

#[tokio::test]
async fn a_nas_that_starts_anew_has_no_sessions_and_others_keep_theirs() {
    let shop = shop();
    let (hanako, taro, jiro) = (account("hanako"), account("taro"), account("jiro"));
    for (who, nas) in [(&hanako, &b"ap1"[..]), (&taro, b"ap2"), (&jiro, b"ap1")] {
        let attempt = login(&shop, who).await;
        let session = format!("S-{who}");
        account_for(
            &shop,
            record(&shop, &session, START, 0),
            joining(&attempt, nas),
        )
        .await;
        // Jiro's begins after what the NAS tells late.
        shop.clock.shift_by(30_000);
    }
    for status in [ON, OFF] {
        let mut restart = record(&shop, "boot", status, 0);
        restart.details = serde_json::json!({ "delay": 45 });
        let from = Joining {
            nas: b"ap1".to_vec(),
            ..Joining::default()
        };
        account_for(&shop, restart, from).await;
        assert_eq!(
            end(&only(&shop, &hanako).await),
            Some(SessionEnd::Restarted)
        );
        assert_eq!(end(&only(&shop, &taro).await), None);
        assert_eq!(end(&only(&shop, &jiro).await), None);
    }
    shop.clock.shift_by(1000);
    let from = Joining {
        nas: b"ap1".to_vec(),
        ..Joining::default()
    };
    account_for(&shop, record(&shop, "boot", OFF, 0), from).await;
    assert_eq!(end(&only(&shop, &jiro).await), Some(SessionEnd::Restarted));
}

#[tokio::test]
async fn a_session_of_which_nothing_is_heard_is_over_until_it_is_heard_of() {
    let shop = shop();
    let (quiet, chatty) = (account("hanako"), account("taro"));
    let attempts = [login(&shop, &quiet).await, login(&shop, &chatty).await];
    let [first, second] = &attempts;
    account_for(&shop, record(&shop, "S1", START, 0), joining(first, b"a")).await;
    account_for(&shop, record(&shop, "S2", START, 0), joining(second, b"a")).await;
    account_for(
        &shop,
        record(&shop, "S2", INTERIM, 1),
        joining(second, b"a"),
    )
    .await;
    shop.clock.shift_by(DAY + 1000);
    shop.store.sweep().await.unwrap();
    assert_eq!(
        end(&only(&shop, &quiet).await),
        None,
        "it sends no interim records"
    );
    assert_eq!(end(&only(&shop, &chatty).await), Some(SessionEnd::Silent));
    account_for(
        &shop,
        record(&shop, "S2", INTERIM, 2),
        joining(second, b"a"),
    )
    .await;
    assert_eq!(end(&only(&shop, &chatty).await), None);
    shop.clock.shift_by(6 * DAY + 1000);
    shop.store.sweep().await.unwrap();
    assert_eq!(end(&only(&shop, &quiet).await), Some(SessionEnd::Silent));
    account_for(&shop, record(&shop, "S1", STOP, 3), joining(first, b"a")).await;
    assert_eq!(
        end(&only(&shop, &quiet).await),
        Some(SessionEnd::Stopped(Some(4)))
    );
}

#[tokio::test]
async fn a_number_that_is_given_to_somebody_else_ends_the_session_before() {
    let shop = shop();
    let (hanako, taro) = (account("hanako"), account("taro"));
    let (first, second) = (login(&shop, &hanako).await, login(&shop, &hanako).await);
    account_for(&shop, record(&shop, "S1", START, 0), joining(&first, b"a")).await;
    // Proven anew in the same session.
    account_for(
        &shop,
        record(&shop, "S1", INTERIM, 1),
        joining(&second, b"a"),
    )
    .await;
    let one = only(&shop, &hanako).await;
    assert_eq!((end(&one), one.attempt), (None, second));
    let other = login(&shop, &taro).await;
    account_for(&shop, record(&shop, "S1", START, 2), joining(&other, b"a")).await;
    assert_eq!(end(&only(&shop, &hanako).await), Some(SessionEnd::Replaced));
    assert_eq!(end(&only(&shop, &taro).await), None);
    // Hanako's late Stop is of her own session.
    let (late, second) = (
        record(&shop, "S1", STOP, 9),
        only(&shop, &hanako).await.attempt,
    );
    account_for(&shop, late, joining(&second, b"a")).await;
    assert_eq!(end(&only(&shop, &hanako).await), Some(SessionEnd::Replaced));
    assert_eq!(end(&only(&shop, &taro).await), None);
    // The same number at another NAS is another session.
    let third = login(&shop, &hanako).await;
    account_for(&shop, record(&shop, "S1", START, 3), joining(&third, b"b")).await;
    assert_eq!(sessions(&shop, &hanako).await.len(), 2);
    assert_eq!(end(&only(&shop, &taro).await), None);
}

#[tokio::test]
async fn what_came_of_asking_is_kept_and_an_answer_ends_the_session() {
    let shop = shop();
    let hanako = account("hanako");
    let attempt = login(&shop, &hanako).await;
    account_for(
        &shop,
        record(&shop, "S1", START, 0),
        joining(&attempt, b"a"),
    )
    .await;
    let id = only(&shop, &hanako).await.id;
    let asked = |outcome| EndAsked {
        at: shop.clock.now(),
        why: EndWhy::Operator,
        outcome,
    };
    for outcome in [
        EndOutcome::Unanswered,
        EndOutcome::Refused(Some(503)),
        EndOutcome::Off,
    ] {
        shop.store.record_end(id, asked(outcome)).await.unwrap();
        let session = only(&shop, &hanako).await;
        assert_eq!(end(&session), None, "{outcome:?}");
        assert_eq!(session.facts.asked.unwrap().outcome, outcome);
    }
    shop.store
        .record_end(id, asked(EndOutcome::Ended))
        .await
        .unwrap();
    assert_eq!(
        end(&only(&shop, &hanako).await),
        Some(SessionEnd::Disconnected)
    );
    // The Stop that follows has the last counts; the reason stays ours.
    account_for(
        &shop,
        record(&shop, "S1", STOP, 77),
        joining(&attempt, b"a"),
    )
    .await;
    let over = only(&shop, &hanako).await;
    assert_eq!(end(&over), Some(SessionEnd::Disconnected));
    assert_eq!(over.facts.details["octets-in"], 77);
    assert_eq!(over.facts.asked.unwrap().outcome, EndOutcome::Ended);
    // Nobody's session: nothing happens.
    shop.store
        .record_end(id + 1, asked(EndOutcome::Ended))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_session_whose_login_was_reported_before_it_was_heard_of_is_to_end() {
    let shop = shop();
    let hanako = account("hanako");
    let before = login(&shop, &hanako).await;
    shop.clock.shift_by(1000);
    let mut report = decision(Some(&hanako), Outcome::Waiting, Reason::PushReported);
    report.at = shop.clock.now();
    shop.store.report_logins(&hanako, report).await.unwrap();
    shop.clock.shift_by(1000);
    let start = record(&shop, "S1", START, 0);
    let reported = account_for(&shop, start, joining(&before, b"a")).await;
    assert_eq!(reported.map(|session| session.attempt), Some(before));
    // On campus logins go on, and are not reported.
    let after = login(&shop, &hanako).await;
    let start = record(&shop, "S2", START, 0);
    assert!(
        account_for(&shop, start, joining(&after, b"a"))
            .await
            .is_none()
    );
}

#[tokio::test]
async fn sessions_are_bounded_and_open_ones_are_kept_longer() {
    let shop = shop();
    let hanako = account("hanako");
    let attempt = login(&shop, &hanako).await;
    account_for(
        &shop,
        record(&shop, "open", START, 0),
        joining(&attempt, b"a"),
    )
    .await;
    for number in 0..40 {
        let attempt = login(&shop, &hanako).await;
        let session = format!("S{number}");
        for status in [START, STOP] {
            account_for(
                &shop,
                record(&shop, &session, status, 0),
                joining(&attempt, b"a"),
            )
            .await;
        }
    }
    let kept = sessions(&shop, &hanako).await;
    assert_eq!(kept.len(), 32);
    assert_eq!(kept.last().unwrap().facts.session, "open");
    assert_eq!(kept[0].facts.session, "S39");
    // Ended ones go with the rest of the trail; what is open is silent by then, and goes a trail's time later.
    shop.clock.shift_by(91 * DAY);
    shop.store.sweep().await.unwrap();
    assert_eq!(end(&only(&shop, &hanako).await), Some(SessionEnd::Silent));
}

#[tokio::test]
async fn the_story_of_an_account_and_of_an_attempt_tells_its_sessions() {
    let shop = shop();
    let hanako = account("hanako");
    let (first, second) = (login(&shop, &hanako).await, login(&shop, &hanako).await);
    shop.clock.shift_by(1000);
    for (attempt, session) in [(&first, "S1"), (&second, "S2")] {
        account_for(
            &shop,
            record(&shop, session, START, 0),
            joining(attempt, b"a"),
        )
        .await;
    }
    let told = |story: Vec<Told>| -> Vec<String> {
        story
            .into_iter()
            .filter_map(|told| match told {
                Told::Session(session) => Some(session.facts.session),
                _ => None,
            })
            .collect()
    };
    let story = |wanted| shop.store.story(wanted, 10);
    let whole = told(story(Wanted::Account(hanako.clone())).await.unwrap());
    assert_eq!(whole.len(), 2, "{whole:?}");
    assert_eq!(told(story(Wanted::Attempt(first)).await.unwrap()), ["S1"]);
    let one = shop.store.story(Wanted::Account(hanako), 1).await.unwrap();
    assert_eq!(one.len(), 1);
}
