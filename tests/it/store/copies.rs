//! Crashes, backups and keys: what was answered is never lost, and what is cut half way is found again.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use sekisho::account::FactorKind;
use sekisho::clock::Clock;
use sekisho::factor::{OneTimeCode, Totp};
use sekisho::secret::Key;
use sekisho::store::{CodeJudged, Error, Proof, Store, master_key, restore};

use super::{Shop, accept, account, open, settings, shop};

const USED: CodeJudged = CodeJudged::Used(FactorKind::Totp);

async fn judged(store: &Store, totp: &Totp, clock: &Clock) -> CodeJudged {
    let hanako = account("hanako");
    let code = totp.code_at(clock.now());
    store
        .use_code(&hanako, &code, super::ALL, accept(&hanako))
        .await
        .unwrap()
}

#[tokio::test]
async fn files_as_they_are_when_a_code_was_answered_know_it_as_used() {
    let shop = shop();
    let (_, totp) = shop.enrolled(&account("hanako")).await;
    for _ in 0..5 {
        shop.clock.shift_by(60_000);
        assert!(matches!(
            judged(&shop.store, &totp, &shop.clock).await,
            CodeJudged::Accepted { .. }
        ));
        let (_folder, copy) = shop.cut_back();
        assert_eq!(judged(&copy, &totp, &shop.clock).await, USED);
        assert_eq!(
            copy.known(&account("hanako"))
                .await
                .unwrap()
                .unwrap()
                .factors
                .len(),
            1
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn backup_made_during_writes_is_whole_and_can_be_restored() {
    let shop = shop();
    let hanako = account("hanako");
    let (_, totp) = shop.enrolled(&hanako).await;
    assert!(matches!(
        judged(&shop.store, &totp, &shop.clock).await,
        CodeJudged::Accepted { .. }
    ));
    let busy = {
        let store = shop.store.clone();
        async move {
            for _ in 0..300 {
                store
                    .record(Arc::new(accept(&account("taro"))))
                    .await
                    .unwrap();
            }
        }
    };
    let to = shop.folder.path().join("copy.db");
    let ((), backed) = tokio::join!(busy, shop.store.backup(&to));
    backed.unwrap();
    assert_eq!(fs::metadata(&to).unwrap().mode() & 0o777, 0o600);
    assert!(!shop.folder.path().join("copy.db-wal").exists());
    let octets = fs::read(&to).unwrap();
    let master = shop.master.expose();
    assert!(!octets.windows(32).any(|window| window == master));
    assert!(
        matches!(shop.store.backup(&to).await, Err(Error::File { .. })),
        "an existing file stays"
    );
    assert_eq!(fs::read(&to).unwrap(), octets);

    shop.store.reset(&hanako).await.unwrap();
    let Shop {
        store,
        clock,
        master,
        settings,
        folder,
    } = shop;
    assert!(
        matches!(restore(&settings, &master, &to), Err(Error::File { .. })),
        "the store is in use"
    );
    drop(store);
    restore(&settings, &master, &to).unwrap();
    assert!(folder.path().join("sekisho.db.before-restore").exists());
    let (store, _) = open(&settings, &clock).unwrap();
    assert_eq!(judged(&store, &totp, &clock).await, USED);
}

#[tokio::test]
async fn restore_refuses_what_is_no_backup_and_changes_nothing() {
    let shop = shop();
    let (_, totp) = shop.enrolled(&account("hanako")).await;
    let good = shop.folder.path().join("good.db");
    shop.store.backup(&good).await.unwrap();
    let Shop {
        store,
        clock,
        master,
        settings,
        folder,
    } = shop;
    drop(store);
    let bad = |name: &str, octets: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, octets).unwrap();
        path
    };
    let whole = fs::read(&good).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 8192].fill(0xa5);
    let newer = bad("newer.db", &whole);
    let changed = rusqlite::Connection::open(&newer).unwrap();
    changed.pragma_update(None, "user_version", 99).unwrap();
    drop(changed);
    let other = folder.path().join("other.db");
    let foreign = rusqlite::Connection::open(&other).unwrap();
    foreign.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(foreign);

    assert!(matches!(
        restore(&settings, &Key::random(), &good),
        Err(Error::WrongKey)
    ));
    assert!(matches!(
        restore(&settings, &master, &newer),
        Err(Error::Newer { found: 99, .. })
    ));
    for path in [
        bad("text.db", b"not a database at all"),
        bad("empty.db", b""),
        bad("damaged.db", &damaged),
        other,
    ] {
        let refused = restore(&settings, &master, &path);
        assert!(
            matches!(refused, Err(Error::Corrupt(_))),
            "{path:?}: {refused:?}"
        );
    }
    assert!(matches!(
        restore(&settings, &master, &folder.path().join("none.db")),
        Err(Error::File { .. })
    ));
    assert!(!folder.path().join("sekisho.db.before-restore").exists());
    assert!(!folder.path().join("sekisho.db.restoring").exists());
    let (store, _) = open(&settings, &clock).unwrap();
    assert!(matches!(
        judged(&store, &totp, &clock).await,
        CodeJudged::Accepted { .. }
    ));
}

#[test]
fn master_key_is_made_once_and_guarded() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let (made, new) = master_key(&settings).unwrap();
    let (again, anew) = master_key(&settings).unwrap();
    assert!(new && !anew);
    assert_eq!(made.expose(), again.expose());
    let file = &settings.key_file;
    assert_eq!(fs::metadata(file).unwrap().mode() & 0o777, 0o600);
    for (mode, good) in [
        (0o640, true),
        (0o400, true),
        (0o644, false),
        (0o660, false),
        (0o604, false),
    ] {
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(master_key(&settings).is_ok(), good, "{mode:o}");
    }
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(file, "nonsense").unwrap();
    assert!(matches!(master_key(&settings), Err(Error::File { .. })));
}

#[test]
fn missing_key_of_an_existing_database_is_not_made_anew() {
    let shop = shop();
    fs::remove_file(&shop.settings.key_file).unwrap();
    assert!(matches!(
        master_key(&shop.settings),
        Err(Error::File { .. })
    ));
    assert!(!shop.settings.key_file.exists());
    drop(shop.store);
    assert!(matches!(
        Store::open(&shop.settings, &Key::random(), Clock::system()),
        Err(Error::WrongKey)
    ));
}

#[tokio::test]
async fn rotated_key_opens_everything_and_the_old_one_nothing() {
    let shop = shop();
    let (_, totp) = shop.enrolled(&account("hanako")).await;
    let (old, code_key) = (shop.master.clone(), shop.store.code_key());
    shop.store.rotate_key().await.unwrap();
    assert!(matches!(
        judged(&shop.store, &totp, &shop.clock).await,
        CodeJudged::Accepted { .. }
    ));
    let shop = shop.reopen();
    assert_ne!(shop.master.expose(), old.expose());
    assert_eq!(
        fs::metadata(&shop.settings.key_file).unwrap().mode() & 0o777,
        0o600
    );
    assert_eq!(judged(&shop.store, &totp, &shop.clock).await, USED);
    let digest = |key: &Key| OneTimeCode::digest(key, "a", "123456");
    assert_eq!(digest(&shop.store.code_key()), digest(&code_key));
    drop(shop.store);
    assert!(matches!(
        Store::open(&shop.settings, &old, shop.clock.clone()),
        Err(Error::WrongKey)
    ));
}

/// Arranges the files as a crash leaves them, then starts.
async fn starts_after(
    key: &Path,
    waiting: Option<&Path>,
    database: &Path,
    totp: &Totp,
    clock: &Clock,
) {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    fs::copy(key, &settings.key_file).unwrap();
    let beside = folder.path().join("master.key.new");
    if let Some(waiting) = waiting {
        fs::copy(waiting, &beside).unwrap();
    }
    fs::copy(database, folder.path().join("sekisho.db")).unwrap();
    let (store, _) = open(&settings, clock).unwrap();
    assert_eq!(judged(&store, totp, clock).await, USED);
    assert!(!beside.exists());
}

#[tokio::test]
async fn rotation_cut_anywhere_leaves_a_pair_that_works() {
    let shop = shop();
    let (_, totp) = shop.enrolled(&account("hanako")).await;
    assert!(matches!(
        judged(&shop.store, &totp, &shop.clock).await,
        CodeJudged::Accepted { .. }
    ));
    let path = |name: &str| shop.folder.path().join(name);
    shop.store.backup(&path("old.db")).await.unwrap();
    fs::copy(&shop.settings.key_file, path("old.key")).unwrap();
    shop.store.rotate_key().await.unwrap();
    shop.store.backup(&path("new.db")).await.unwrap();
    fs::copy(&shop.settings.key_file, path("new.key")).unwrap();
    fs::write(path("torn.key"), "# Master").unwrap();
    fs::set_permissions(path("torn.key"), fs::Permissions::from_mode(0o600)).unwrap();
    for (key, waiting, database) in [
        ("old.key", None, "old.db"),
        ("old.key", Some("torn.key"), "old.db"),
        ("old.key", Some("new.key"), "old.db"),
        ("old.key", Some("new.key"), "new.db"),
        ("new.key", None, "new.db"),
    ] {
        let waiting = waiting.map(&path);
        starts_after(
            &path(key),
            waiting.as_deref(),
            &path(database),
            &totp,
            &shop.clock,
        )
        .await;
    }
}

#[tokio::test]
async fn newer_and_foreign_databases_are_refused() {
    let shop = shop();
    let Shop {
        store,
        clock,
        master,
        settings,
        folder,
    } = shop;
    drop(store);
    let database = folder.path().join("sekisho.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    assert!(matches!(
        Store::open(&settings, &master, clock.clone()),
        Err(Error::Newer { found: 7, known: 5 })
    ));
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection
        .execute("UPDATE migration SET checksum = x'00'", [])
        .unwrap();
    assert!(matches!(
        Store::open(&settings, &master, clock.clone()),
        Err(Error::Corrupt(_))
    ));
    connection.pragma_update(None, "application_id", 1).unwrap();
    drop(connection);
    assert!(matches!(
        Store::open(&settings, &master, clock),
        Err(Error::Corrupt(_))
    ));
}

#[tokio::test]
async fn database_is_for_its_owner_alone() {
    let shop = shop();
    let hanako = account("hanako");
    shop.store
        .enrol_totp(&hanako, "campus/hanako", "", Totp::random(), Proof::Waived)
        .await
        .unwrap();
    for name in ["sekisho.db", "sekisho.db-wal", "sekisho.db-shm"] {
        let mode = fs::metadata(shop.folder.path().join(name)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
