//! The disk is full, read-only or damaged: nothing is accepted, the right thing is said, and it works again when it can.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sekisho::clock::Clock;
use sekisho::store::{CodeJudged, Error, Joining, Recorded, Store, Wanted};

use super::{ALL, accept, account, open, settings, shop};

/// A file system of its own that can be filled, made read-only, and goes away with the test.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mounted(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        mount(folder.path(), &format!("size={size}"));
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn mount(place: &Path, options: &str) {
    let output = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(place)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "this test must be allowed to mount a tmpfs, as root is: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
        let gone = unmounted.is_ok_and(|status| status.success());
        assert!(gone || std::thread::panicking(), "still mounted");
    }
}

async fn fill(store: &Store) -> Error {
    for _ in 0..100_000 {
        if let Err(error) = store.record(Arc::new(accept(&account("taro")))).await {
            return error;
        }
    }
    panic!("the disk never became full");
}

/// A NAS that is told by Status-Server that nothing can be decided sends no login, whose writing would show otherwise.
#[tokio::test]
async fn a_disk_with_room_again_is_noticed_before_anybody_logs_in() {
    let disk = Disk::mounted("1m");
    let ballast = disk.path("ballast");
    fs::write(&ballast, vec![0; 300 << 10]).unwrap();
    let mut settings = settings(&disk.path("store"));
    settings.key_file = disk.path("store/master.key");
    fs::create_dir(&settings.folder).unwrap();
    let (store, _master) = open(&settings, &Clock::system()).unwrap();
    fill(&store).await;
    assert!(store.sweep().await.is_err(), "the disk is full");
    assert!(!store.writable());
    fs::remove_file(&ballast).unwrap();
    store.sweep().await.unwrap();
    assert!(store.writable());
}

#[tokio::test]
async fn full_disk_accepts_nothing_and_recovers_when_there_is_room() {
    let disk = Disk::mounted("1m");
    let ballast = disk.path("ballast");
    fs::write(&ballast, vec![0; 300 << 10]).unwrap();
    let clock = Clock::shifted(0);
    let mut settings = settings(&disk.path("store"));
    settings.key_file = disk.path("store/master.key");
    fs::create_dir(&settings.folder).unwrap();
    let (store, master) = open(&settings, &clock).unwrap();
    let hanako = account("hanako");
    let totp = sekisho::factor::Totp::random();
    let proof = sekisho::store::Proof::Waived;
    store
        .enrol_totp(&hanako, "campus/hanako", "", totp.clone(), proof)
        .await
        .unwrap();

    assert!(matches!(fill(&store).await, Error::Unwritable(_)));
    let health = store.health();
    assert!(!health.writable);
    assert!(health.last_error.unwrap().contains("cannot be written"));
    // It writes nothing, so that it does not show that something could be written.
    store.flush().await.unwrap();
    assert!(!store.health().writable);
    let code = totp.code_at(clock.now());
    for _ in 0..10 {
        let refused = store.use_code(&hanako, &code, ALL, accept(&hanako)).await;
        assert!(matches!(refused, Err(Error::Unwritable(_))), "{refused:?}");
    }
    let read = store.standing(&hanako, &super::station()).unwrap();
    assert_eq!(read.factors.len(), 1, "it can still be read");

    fs::remove_file(&ballast).unwrap();
    let judged = store
        .use_code(&hanako, &code, ALL, accept(&hanako))
        .await
        .unwrap();
    assert!(
        matches!(judged, CodeJudged::Accepted { .. }),
        "what failed was not used: {judged:?}"
    );
    assert!(store.health().writable);
    let told = store
        .story(Wanted::Account(hanako.clone()), 100)
        .await
        .unwrap();
    assert_eq!(told.len(), 1, "only what was answered is told");
    drop(store);
    let store = Store::open(&settings, &master, clock).unwrap();
    assert_eq!(
        store
            .story(Wanted::Account(hanako), 100)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn read_only_disk_is_refused_at_the_start() {
    let disk = Disk::mounted("2m");
    let settings = settings(&disk.path("store"));
    fs::create_dir(&settings.folder).unwrap();
    let (store, master) = open(&settings, &Clock::system()).unwrap();
    drop(store);
    mount(disk.0.path(), "remount,ro");
    let refused = Store::open(&settings, &master, Clock::system());
    assert!(
        matches!(refused, Err(Error::File { .. } | Error::Unwritable(_))),
        "{:?}",
        refused.err()
    );
    mount(disk.0.path(), "remount,rw");
    assert!(Store::open(&settings, &master, Clock::system()).is_ok());
}

#[tokio::test]
async fn damaged_pages_are_not_read_over() {
    let shop = shop();
    let hanako = account("hanako");
    let (_, totp) = shop.enrolled(&hanako).await;
    let super::Shop {
        store,
        clock,
        master,
        settings,
        folder,
    } = shop;
    drop(store);
    let database = folder.path().join("sekisho.db");
    let whole = fs::read(&database).unwrap();
    // The file's header tells how large its pages are.
    let octets = usize::from(u16::from_be_bytes([whole[16], whole[17]]));
    // Every page but the first, in which the schema begins: any of them may be read first.
    let mut damaged = whole.clone();
    damaged[octets..].fill(0xa5);
    fs::write(&database, &damaged).unwrap();
    match Store::open(&settings, &master, clock.clone()) {
        Err(Error::Corrupt(_)) => {}
        Err(other) => panic!("{other:?}"),
        Ok(store) => {
            let code = totp.code_at(clock.now());
            let judged = store.use_code(&hanako, &code, ALL, accept(&hanako)).await;
            assert!(matches!(judged, Err(Error::Corrupt(_))), "{judged:?}");
        }
    }
    // One table only: the schema and the keys are whole, the factors are not.
    fs::write(&database, &whole).unwrap();
    let page = root_page(&database, "factor");
    let mut damaged = whole.clone();
    damaged[(page - 1) * octets..page * octets].fill(0xa5);
    fs::write(&database, &damaged).unwrap();
    let store = Store::open(&settings, &master, clock.clone()).unwrap();
    let code = totp.code_at(clock.now());
    let judged = store.use_code(&hanako, &code, ALL, accept(&hanako)).await;
    assert!(matches!(judged, Err(Error::Corrupt(_))), "{judged:?}");
    assert!(matches!(
        store.standing(&hanako, &super::station()),
        Err(Error::Corrupt(_))
    ));
    assert!(store.health().last_error.unwrap().contains("damaged"));
    store
        .record(Arc::new(accept(&account("taro"))))
        .await
        .unwrap();
    drop(store);

    fs::write(&database, b"this is no database, it only has its name").unwrap();
    assert!(matches!(
        Store::open(&settings, &master, clock.clone()),
        Err(Error::Corrupt(_))
    ));
    fs::write(&database, &whole).unwrap();
    let store = Store::open(&settings, &master, clock.clone()).unwrap();
    let judged = store
        .use_code(&hanako, &code, ALL, accept(&hanako))
        .await
        .unwrap();
    assert!(matches!(judged, CodeJudged::Accepted { .. }));
}

/// Somebody reads for long, so that the log cannot be moved into the database; afterwards it is cut.
#[tokio::test]
async fn log_is_cut_when_its_last_reader_has_gone() {
    let shop = shop();
    let log = shop.folder.path().join("sekisho.db-wal");
    let long = || fs::metadata(&log).unwrap().len() > 16 << 20;
    let reader = rusqlite::Connection::open(shop.folder.path().join("sekisho.db")).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM account")
        .unwrap();
    for session in 0..40 {
        let record = sekisho::store::AccountingRecord {
            at: shop.clock.now(),
            client: sekisho::account::ClientName::new("vpn"),
            nas: "192.0.2.10".parse().unwrap(),
            session: session.to_string(),
            status: 1,
            name: "hanako".into(),
            station: super::station(),
            details: serde_json::json!({ "padding": "x".repeat(1 << 20) }),
        };
        let accounted = shop.store.record_accounting(record, Joining::default());
        assert_eq!(accounted.await.unwrap().recorded, Recorded::New);
    }
    assert!(long());
    drop(reader);
    for _ in 0..130 {
        shop.store
            .record(Arc::new(accept(&account("taro"))))
            .await
            .unwrap();
    }
    assert!(!long());
}

fn accounting(
    shop_clock: &Clock,
    session: usize,
    octets: usize,
) -> sekisho::store::AccountingRecord {
    sekisho::store::AccountingRecord {
        at: shop_clock.now(),
        client: sekisho::account::ClientName::new("vpn"),
        nas: "192.0.2.10".parse().unwrap(),
        session: session.to_string(),
        status: 1,
        name: "hanako".into(),
        station: super::station(),
        details: serde_json::json!({ "padding": "x".repeat(octets) }),
    }
}

/// There is always somebody who reads, and always something to write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_stays_bounded_under_a_steady_load_with_readers() {
    let shop = shop();
    let database = shop.folder.path().join("sekisho.db");
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let reader = rusqlite::Connection::open(&database).unwrap();
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    reader
                        .execute_batch("BEGIN; SELECT id FROM accounting LIMIT 100; COMMIT")
                        .unwrap();
                }
            })
        })
        .collect();
    let log = shop.folder.path().join("sekisho.db-wal");
    let mut longest = 0;
    for session in 0..1200 {
        let record = accounting(&shop.clock, session, 100 << 10);
        let accounted = shop.store.record_accounting(record, Joining::default());
        assert_eq!(accounted.await.unwrap().recorded, Recorded::New);
        longest = longest.max(fs::metadata(&log).unwrap().len());
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    assert!(
        longest < 48 << 20,
        "120 MiB were written through a log of {longest} octets"
    );
    let shop = shop.reopen();
    assert_eq!(shop.store.health().last_error, None);
}

/// The log has room in its own file, but the database none to grow: what is answered is on the disk, and somebody is told.
/// How often the log has begun anew: the header's checkpoint sequence number.
fn log_round(log: &Path) -> [u8; 4] {
    let mut header = [0; 16];
    let mut file = fs::File::open(log).unwrap();
    std::io::Read::read_exact(&mut file, &mut header).unwrap();
    *header.last_chunk().unwrap()
}

#[tokio::test]
async fn log_that_cannot_be_moved_is_an_alarm_and_no_crash() {
    let disk = Disk::mounted("80m");
    let clock = Clock::shifted(0);
    let mut settings = settings(&disk.path("store"));
    settings.key_file = disk.path("store/master.key");
    fs::create_dir(&settings.folder).unwrap();
    let (store, _) = open(&settings, &clock).unwrap();
    let moved = || fs::metadata(disk.path("store/sekisho.db")).unwrap().len();
    let mut sessions = 0..;
    let mut record = async |octets| {
        let record = accounting(&clock, sessions.next().unwrap(), octets);
        let accounted = store.record_accounting(record, Joining::default());
        accounted
            .await
            .map(|accounted| assert_eq!(accounted.recorded, Recorded::New))
    };
    // The log's file gets longer than it has to be for the log to be moved, and the log begins anew in it.
    record(14 << 20).await.unwrap();
    let round = log_round(&disk.path("store/sekisho.db-wal"));
    while log_round(&disk.path("store/sekisho.db-wal")) == round {
        record(10).await.unwrap();
    }
    // The file system takes less than all of it at the end.
    let ballast = disk.path("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    drop(file);
    let heard = |store: &Store| {
        let error = store.health().last_error;
        error.is_some_and(|error| error.contains("cannot be moved"))
    };
    let mut written = 0;
    while !heard(&store) && record(100 << 10).await.is_ok() {
        written += 1;
    }
    assert!(written > 5, "{written}");
    assert!(heard(&store), "{:?}", store.health().last_error);
    record(10).await.unwrap();
    assert!(store.health().writable, "the log itself has room");
    fs::remove_file(&ballast).unwrap();
    let before = moved();
    while moved() == before {
        record(100 << 10).await.unwrap();
    }
    assert!(store.health().writable);
    drop(store);
    assert!(open(&settings, &clock).is_ok());
}

fn root_page(database: &Path, table: &str) -> usize {
    let connection = rusqlite::Connection::open(database).unwrap();
    let page: i64 = connection
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
            [table],
            |row| row.get(0),
        )
        .unwrap();
    usize::try_from(page).unwrap()
}
