//! The store on a real disk: what it promises, and what it does when the disk does not keep its promises.

mod audit;
mod behind;
mod challenges;
mod codes;
mod copies;
mod faults;
mod messages;
mod people;
mod remembered;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sekisho::account::{
    AccountId, AttemptId, ClientName, Decision, Durations, FactorKind, Outcome, Reason, Station,
};
use sekisho::clock::{Clock, Timestamp};
use sekisho::factor::{Totp, TotpStep};
use sekisho::secret::Key;
use sekisho::store::{CodeJudged, Error, Failure, Limits, Proof, Settings, Store, master_key};

const ALL: &[FactorKind] = &[
    FactorKind::Totp,
    FactorKind::Sms,
    FactorKind::Voice,
    FactorKind::Recovery,
];
const HOUR: i64 = 3_600_000;

/// A store in a folder of its own, with a clock that can be moved.
struct Shop {
    store: Store,
    clock: Clock,
    master: Key,
    settings: Settings,
    folder: tempfile::TempDir,
}

fn limits() -> Limits {
    Limits {
        wrong_codes: 5,
        code_lock: Duration::from_secs(600),
        messages_per_number: 3,
        messages_per_account: 4,
        messages_per_account_day: 6,
        messages_total_day: 20,
        code_life: Duration::from_secs(300),
        code_tries: 3,
        number_age: Duration::from_secs(72 * 3600),
        password_window: Duration::from_secs(900),
        station_known: Duration::from_secs(14 * 24 * 3600),
        prompts: 5,
        prompt_window: Duration::from_secs(900),
    }
}

fn settings(folder: &Path) -> Settings {
    Settings {
        folder: folder.to_owned(),
        key_file: folder.join("master.key"),
        audit_keep: Duration::from_secs(90 * 24 * 3600),
        audit_rows: 1_000_000,
        limits: limits(),
    }
}

fn open(settings: &Settings, clock: &Clock) -> Result<(Store, Key), Error> {
    let (master, _) = master_key(settings)?;
    Store::open(settings, &master, clock.clone()).map(|store| (store, master))
}

fn shop() -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let (settings, clock) = (settings(folder.path()), Clock::shifted(0));
    let (store, master) = open(&settings, &clock).unwrap();
    Shop {
        store,
        clock,
        master,
        settings,
        folder,
    }
}

impl Shop {
    /// Closes the store and opens it again.
    fn reopen(self) -> Self {
        let Self {
            store,
            clock,
            settings,
            folder,
            ..
        } = self;
        drop(store);
        let (store, master) = open(&settings, &clock).unwrap();
        Self {
            store,
            clock,
            master,
            settings,
            folder,
        }
    }

    async fn enrolled(&self, account: &AccountId) -> (i64, Totp) {
        let totp = Totp::random();
        let id = self
            .store
            .enrol_totp(
                account,
                "campus/hanako",
                "phone",
                totp.clone(),
                Proof::Step(TotpStep(1)),
            )
            .await
            .unwrap();
        (id, totp)
    }

    async fn try_code(&self, account: &AccountId, code: &str) -> CodeJudged {
        self.store
            .use_code(account, code, ALL, accept(account))
            .await
            .unwrap()
    }

    /// A copy of the files as they are on the disk at this moment, opened.
    fn cut_back(&self) -> (tempfile::TempDir, Store) {
        let copy = tempfile::tempdir().unwrap();
        for name in ["sekisho.db", "sekisho.db-wal", "master.key"] {
            std::fs::copy(self.folder.path().join(name), copy.path().join(name)).unwrap();
        }
        let (store, _) = open(&settings(copy.path()), &self.clock).unwrap();
        (copy, store)
    }
}

fn account(id: &str) -> AccountId {
    AccountId::new("campus", id)
}

fn station() -> Station {
    Station::read("203.0.113.7")
}

fn decision(account: Option<&AccountId>, outcome: Outcome, reason: Reason) -> Decision {
    Decision {
        attempt: AttemptId::new(Clock::system().now()),
        at: Clock::system().now(),
        account: account.cloned(),
        name: "campus/hanako".into(),
        client: ClientName::new("vpn"),
        nas: "192.0.2.10".parse().unwrap(),
        station: station(),
        station_from: Some("Calling-Station-Id".into()),
        zone: Some("outside".into()),
        rule: Some("3: ask".into()),
        factor: None,
        outcome,
        reason,
        directory: Some("ldaps://ldap1.example.ac.jp".into()),
        durations: Durations {
            directory: 900,
            store: 400,
            channel: 0,
            total: 1400,
        },
        note: None,
    }
}

fn accept(account: &AccountId) -> Decision {
    decision(Some(account), Outcome::Accept, Reason::Proven)
}

fn failure(account: Option<&AccountId>, name: &str, at: Timestamp) -> Failure {
    let mut decision = decision(account, Outcome::Reject, Reason::WrongCode);
    decision.name = name.into();
    decision.at = at;
    Failure {
        account: account.cloned(),
        decision: Arc::new(decision),
    }
}

fn wrong_code(totp: &Totp, clock: &Clock, index: u32) -> String {
    let right: Vec<String> = (-2..=2)
        .map(|step| totp.code_at(Timestamp::from_millis(clock.now().millis() + step * 30_000)))
        .collect();
    (0..)
        .map(|salt| format!("{:06}", (index * 7919 + salt * 104_729) % 1_000_000))
        .find(|code| !right.contains(code))
        .unwrap()
}
