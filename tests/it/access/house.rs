//! A directory, a store and a spool folder with the room that decides over them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sekisho::access::{
    Access, Answer, Asks, Attempt, ClientPolicy, CodeEntry, Credential, Label, PasswordLimits,
    ReplyRule, Rule, Settings, Setup, Texts, Then, Verdict, Zone,
};
use sekisho::account::{ClientName, FactorKind, Language, Realms, Reason, Station};
use sekisho::channel::{self, Channels, Gateway, GatewayKind};
use sekisho::clock::Clock;
use sekisho::directory::{self, Directory, Groups, Protection, Server, same_dn_form};
use sekisho::factor::Totp;
use sekisho::secret::Secret;
use sekisho::store::{self, Limits, Proof, Store};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::slapd::{
    BASE, SERVICE_DN, SERVICE_PASSWORD, Slapd, group, group_dn, nt_hash_lines, person_dn,
    person_with,
};

/// Where people are when they are not on campus.
pub(crate) const HOME: &str = "198.51.100.7";
/// Somewhere on campus.
pub(crate) const CAMPUS: &str = "203.0.113.5";
/// How long a wrong password counts here.
pub(crate) const WINDOW_MILLIS: i64 = 900_000;
/// How long an attempt may take here; longer than any machine needs.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct House {
    pub(crate) slapd: Slapd,
    pub(crate) access: Access,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    folder: TempDir,
    stop: CancellationToken,
}

impl House {
    /// Starts with `hanako` and `yuki`, who have numbers, and `taro`, who has none and must always be asked.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for spool in ["sms", "voice"] {
            fs::create_dir(folder.path().join(spool)).unwrap();
        }
        let slapd = Slapd::start(&people());
        let clock = Clock::shifted(0);
        let stop = CancellationToken::new();
        let (access, store) = open(&folder, &slapd, &clock, &stop);
        Self {
            slapd,
            access,
            store,
            clock,
            folder,
            stop,
        }
    }

    /// Closes the store and opens it again, with a new room over it.
    pub(crate) fn reopen(&mut self) {
        let other = tempfile::tempdir().unwrap();
        fs::create_dir(other.path().join("sms")).unwrap();
        fs::create_dir(other.path().join("voice")).unwrap();
        (self.access, self.store) = open(&other, &self.slapd, &self.clock, &self.stop);
        (self.access, self.store) = open(&self.folder, &self.slapd, &self.clock, &self.stop);
    }

    /// Has phones rung so from now on.
    pub(crate) fn reach_by(&self, push: channel::Push) {
        let parts = (&self.folder, &self.slapd, &self.clock, &self.stop);
        self.access.reload(setup(parts, Some(push)));
    }

    /// Has entries remembered for a while from now on, as they are by default.
    pub(crate) fn remember_entries(&self) {
        let parts = (&self.folder, &self.slapd, &self.clock, &self.stop);
        let remember = Duration::from_secs(60);
        let directory = open_directory(&self.slapd, &self.clock, &self.stop, remember);
        self.access.reload(Setup {
            directories: vec![("campus".into(), directory)],
            ..setup(parts, None)
        });
    }

    /// Enrols a TOTP for a user.
    pub(crate) async fn enrol(&self, user: &str) -> Totp {
        let totp = Totp::random();
        let account = self.access.account(user).await.unwrap().id.clone();
        let enrolled = self
            .store
            .enrol_totp(&account, user, "app", totp.clone(), Proof::Waived);
        enrolled.await.unwrap();
        totp
    }

    /// The code of this moment.
    pub(crate) fn code(&self, totp: &Totp) -> String {
        totp.code_at(self.clock.now())
    }

    /// Different codes that are right at no moment near this one.
    pub(crate) fn wrong_codes(&self, totp: &Totp) -> impl Iterator<Item = String> + use<> {
        let near: BTreeSet<String> = (-4_i64..=4)
            .map(|step| {
                let at = self.clock.now().millis() + step * 30_000;
                totp.code_at(sekisho::clock::Timestamp::from_millis(at))
            })
            .collect();
        (0..1000)
            .map(|n| format!("{n:06}"))
            .filter(move |code| !near.contains(code))
    }

    /// Decides an attempt from home.
    pub(crate) async fn try_in(
        &self,
        client: &Arc<ClientPolicy>,
        name: &str,
        typed: &str,
    ) -> Answer {
        self.access.decide(attempt(client, name, typed)).await
    }

    /// Answers a challenge.
    pub(crate) async fn answer(
        &self,
        client: &Arc<ClientPolicy>,
        name: &str,
        state: [u8; 16],
        typed: &str,
    ) -> Answer {
        let answer = Attempt {
            state: Some(state.into()),
            station: Station::Unknown,
            ..attempt(client, name, typed)
        };
        self.access.decide(answer).await
    }

    /// Lets the seconds pass in which a verdict is given again.
    pub(crate) async fn forget_verdicts(&self) {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(11)).await;
        tokio::time::resume();
    }

    /// Gives a user a password whose change is dated, as no earlier one is, and lets some time pass.
    pub(crate) fn date_password(&self, user: &str, password: &str) {
        let dated = || self.slapd.values(&person_dn(user), "pwdChangedTime");
        let before = dated();
        while dated() == before {
            self.slapd.change_password(user, password);
        }
        self.clock.shift_by(5000);
    }

    /// Messages spooled for a way, as their text.
    pub(crate) fn messages(&self, way: &str) -> Vec<String> {
        let files = fs::read_dir(self.folder.path().join(way))
            .into_iter()
            .flatten();
        files
            .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
            .map(|json| {
                let spooled: serde_json::Value = serde_json::from_str(&json).unwrap();
                spooled["text"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    /// The code in the only SMS.
    pub(crate) fn sms_code(&self) -> String {
        let messages = self.messages("sms");
        assert_eq!(messages.len(), 1, "{messages:?}");
        let digits = messages[0].split(|c: char| !c.is_ascii_digit());
        digits.max_by_key(|run| run.len()).unwrap().to_owned()
    }

    /// Makes a gateway fail.
    pub(crate) fn break_gateway(&self, way: &str) {
        let path = self.folder.path().join(way);
        fs::remove_dir_all(&path).unwrap();
        fs::write(path, "no folder").unwrap();
    }

    /// Waits until slapd has logged so many binds of a user, and makes sure that there are no more.
    pub(crate) async fn has_bound(&self, user: &str, times: usize) {
        let patience = Instant::now() + PATIENCE;
        let dn = person_dn(user);
        while self.slapd.binds(&dn) < times && Instant::now() < patience {
            tokio::task::yield_now().await;
        }
        assert_eq!(self.slapd.binds(&dn), times, "binds of {user}");
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn setup(
    (folder, slapd, clock, stop): (&TempDir, &Slapd, &Clock, &CancellationToken),
    push: Option<channel::Push>,
) -> Setup {
    let settings = channel::Settings {
        push,
        ..spools(folder)
    };
    let key = channel::VapidKey::from_pkcs8(&channel::VapidKey::generate()).unwrap();
    Setup {
        settings: settings_of_the_room(),
        directories: vec![(
            "campus".into(),
            open_directory(slapd, clock, stop, Duration::ZERO),
        )],
        channels: Channels::new(settings).unwrap().with_vapid(key),
    }
}

fn open(
    folder: &TempDir,
    slapd: &Slapd,
    clock: &Clock,
    stop: &CancellationToken,
) -> (Access, Store) {
    let settings = store_settings(folder.path());
    fs::create_dir_all(&settings.folder).unwrap();
    let (key, _) = store::master_key(&settings).unwrap();
    let store = Store::open(&settings, &key, clock.clone()).unwrap();
    let setup = Setup {
        settings: settings_of_the_room(),
        directories: vec![(
            "campus".into(),
            open_directory(slapd, clock, stop, Duration::ZERO),
        )],
        channels: Channels::new(spools(folder)).unwrap(),
    };
    let access = Access::new(
        setup,
        store.clone(),
        clock.clone(),
        &key,
        TaskTracker::new(),
    );
    (access, store)
}

/// An attempt from home.
pub(crate) fn attempt(client: &Arc<ClientPolicy>, name: &str, typed: &str) -> Attempt {
    let now = Instant::now();
    Attempt {
        client: client.clone(),
        nas: "192.0.2.10".parse().unwrap(),
        nas_port: None,
        name: name.as_bytes().into(),
        credential: Credential::Password(Secret::from(typed)),
        state: None,
        can_ask: true,
        station: Station::read(HOME),
        station_from: Some("Calling-Station-Id".into()),
        received: now,
        deadline: now + PATIENCE,
        hold_until: now + PATIENCE,
    }
}

/// A client with these ways in.
pub(crate) fn client(name: &str, code: &[CodeEntry]) -> Arc<ClientPolicy> {
    Arc::new(ClientPolicy {
        name: ClientName::new(name),
        label: Label::default(),
        code: code.to_vec(),
        delimiter: ',',
        ways: vec![
            FactorKind::Totp,
            FactorKind::Sms,
            FactorKind::Voice,
            FactorKind::Recovery,
        ],
        texts: Texts::Full,
        language: Language::Both,
        pool: Vec::new(),
        shared_stations: false,
        push: Vec::new(),
        patience: Duration::from_secs(30),
        pair: Duration::from_secs(10),
        asks: Asks::ByRules,
        remember: Duration::ZERO,
        remember_always: false,
        late_approval: Duration::from_secs(60),
    })
}

/// A client whose gear can be asked.
pub(crate) fn asking() -> Arc<ClientPolicy> {
    client("vpn", &[CodeEntry::Challenge])
}

/// A client whose gear takes password and code in one.
pub(crate) fn appending() -> Arc<ClientPolicy> {
    client("wifi", &[CodeEntry::Appended])
}

/// The State of a challenge, and its text.
pub(crate) fn challenged(answer: &Answer) -> ([u8; 16], String) {
    match &answer.verdict {
        Verdict::Challenge { state, text } => (*state, text.to_string()),
        other => panic!("{other:?} because {}", answer.decision.reason),
    }
}

/// The text of a reject, whose reason must be this.
pub(crate) fn rejected(answer: &Answer, reason: Reason) -> String {
    match &answer.verdict {
        Verdict::Reject { text } => {
            assert_eq!(answer.decision.reason, reason, "{:?}", answer.decision);
            text.as_deref().unwrap_or_default().to_owned()
        }
        other => panic!("{other:?} because {:?}", answer.decision),
    }
}

/// Whether it let in.
pub(crate) fn accepted(answer: &Answer) -> bool {
    matches!(answer.verdict, Verdict::Accept { .. })
}

fn people() -> String {
    let [class, hash] = &nt_hash_lines("himitsu");
    [
        person_with("hanako", "himitsu", &["mobile: 090-1234-5678", class, hash]),
        person_with(
            "yuki",
            "himitsu",
            &["mobile: 080-8765-4321", "preferredLanguage: ja"],
        ),
        person_with("taro", "himitsu", &[class, hash]),
        group("mfa-always", &["taro"]),
    ]
    .concat()
}

fn open_directory(
    slapd: &Slapd,
    clock: &Clock,
    stop: &CancellationToken,
    remember: Duration,
) -> Directory {
    let settings = directory::Settings {
        name: "campus".into(),
        servers: vec![Server {
            host: "127.0.0.1".into(),
            port: slapd.port(),
            protection: Protection::Clear,
        }],
        base: format!("ou=people,{BASE}"),
        bind: Some((SERVICE_DN.into(), SERVICE_PASSWORD.into())),
        user_filter: "(&(objectClass=person)(uid={user}))".into(),
        ca_file: None,
        id_attribute: None,
        phone: vec!["mobile".into()],
        language: Some("preferredLanguage".into()),
        nt_hash: Some("sambaNTPassword".into()),
        groups: Groups::MemberOf { depth: 2 },
        operation_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(5),
        bind_connections: 8,
        search_connections: 2,
        remember,
    };
    let tracker = TaskTracker::new();
    Directory::new(settings, clock.clone(), tracker, stop.clone()).unwrap()
}

fn spools(folder: &TempDir) -> channel::Settings {
    let spool = |name: &str| Gateway {
        name: name.into(),
        kind: GatewayKind::Spool(folder.path().join(name)),
    };
    channel::Settings {
        sms: vec![spool("sms")],
        voice: vec![spool("voice")],
        countries: vec!["+81".into()],
        home: "+81".into(),
        ..channel::Settings::default()
    }
}

fn settings_of_the_room() -> Settings {
    let mut realms = Realms::default();
    realms.add("campus", &["example.ac.jp".into()], &["EXAMPLE".into()]);
    let always = same_dn_form(&group_dn("mfa-always"));
    Settings {
        realms,
        zones: vec![Zone {
            name: "campus".into(),
            networks: vec!["203.0.113.0/24".parse().unwrap()],
        }],
        always_ask: vec![always.clone()],
        rules: vec![
            Rule {
                group: None,
                zone: Some("campus".into()),
                client: None,
                then: Then::PasswordOnly,
                from: None,
                before: None,
            },
            Rule {
                group: None,
                zone: None,
                client: Some(ClientName::new("closed")),
                then: Then::Deny,
                from: None,
                before: None,
            },
        ],
        replies: vec![
            ReplyRule {
                group: Some(always),
                client: None,
                set: "watched".into(),
            },
            ReplyRule {
                group: None,
                client: None,
                set: "all".into(),
            },
        ],
        passwords: PasswordLimits::default(),
        clients: vec![asking(), appending()],
        issuer: Label {
            ja: "関所大学".into(),
            en: "Sekisho University".into(),
        },
        code_digits: 6,
        code_life: Duration::from_secs(300),
        challenge_life: Duration::from_secs(120),
        challenge_rounds: 3,
        prompt_life: Duration::from_secs(120),
        prompt_digits: 2,
        portal: "https://mfa.example.ac.jp".into(),
    }
}

fn store_settings(folder: &Path) -> store::Settings {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    store::Settings {
        key_file: folder.join("master.key"),
        folder: folder.join("state"),
        audit_keep: 90 * DAY,
        audit_rows: 10_000,
        limits: Limits {
            wrong_codes: 5,
            code_lock: Duration::from_secs(900),
            messages_per_number: 5,
            messages_per_account: 5,
            messages_per_account_day: 10,
            messages_total_day: 100,
            code_life: Duration::from_secs(300),
            code_tries: 3,
            number_age: Duration::ZERO,
            password_window: Duration::from_millis(WINDOW_MILLIS.unsigned_abs()),
            station_known: 90 * DAY,
            prompts: 5,
            prompt_window: Duration::from_secs(900),
        },
    }
}
