//! How much of the processor a login's write costs. Run by hand, optimised, for `docs/performance.md`.

use std::sync::Arc;

use sekisho::factor::Totp;
use sekisho::store::{CodeJudged, Proof};
use tokio::task::JoinSet;

use super::{ALL, accept, account, shop};

fn thread_micros(name: &str) -> u64 {
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let path = task.path();
        if std::fs::read_to_string(path.join("comm")).unwrap().trim() == name {
            let ran = std::fs::read_to_string(path.join("schedstat")).unwrap();
            let nanos: u64 = ran.split(' ').next().unwrap().parse().unwrap();
            return nanos / 1000;
        }
    }
    panic!("no thread {name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a claim: run it alone and optimised"]
async fn writer_cost_of_accepted_codes() {
    const PEOPLE: usize = 20_000;
    let shop = shop();
    let totp = Totp::random();
    let mut enrolments = JoinSet::new();
    for index in 0..PEOPLE {
        let (store, totp) = (shop.store.clone(), totp.clone());
        enrolments.spawn(async move {
            let (id, name) = (
                account(&format!("{index:036}")),
                format!("campus/user{index}"),
            );
            store
                .enrol_totp(&id, &name, "phone", totp, Proof::Waived)
                .await
                .unwrap();
        });
        if enrolments.len() > 512 {
            enrolments.join_next().await.unwrap().unwrap();
        }
    }
    enrolments.join_all().await;
    for pass in 0..2 {
        let code: Arc<str> = totp.code_at(shop.clock.now()).into();
        let (writer, began) = (thread_micros("store"), shop.clock.instant());
        let mut logins = JoinSet::new();
        for index in 0..PEOPLE {
            let index = index * 7919 % PEOPLE;
            let (store, code) = (shop.store.clone(), code.clone());
            logins.spawn(async move {
                let id = account(&format!("{index:036}"));
                let standing = store.standing(&id, &super::station()).unwrap();
                assert_eq!(standing.factors.len(), 1);
                let mut decision = accept(&id);
                decision.name = format!("campus/user{index}").into();
                store.use_code(&id, &code, ALL, decision).await.unwrap()
            });
            if logins.len() > 512 {
                let judged = logins.join_next().await.unwrap().unwrap();
                assert!(matches!(judged, CodeJudged::Accepted { .. }));
            }
        }
        logins.join_all().await;
        let writer = (thread_micros("store") - writer) as f64 / PEOPLE as f64;
        let rate = PEOPLE as f64 / began.elapsed().as_secs_f64();
        println!("pass {pass}: writer {writer:.1} µs of processor each, {rate:.0} a second");
        shop.clock.shift_by(60_000);
    }
}
