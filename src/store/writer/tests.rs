//! The writer's own conduct: panics, a full queue, jobs that fail, what is written behind.

use std::time::Duration;

use crate::account::AccountId;
use crate::clock::Clock;
use crate::store::people::number;
use crate::store::{Error, Limits, Settings, Store, master_key};

fn account() -> AccountId {
    AccountId::new("campus", "hanako")
}

fn settings(folder: &std::path::Path) -> Settings {
    Settings {
        folder: folder.to_owned(),
        key_file: folder.join("master.key"),
        audit_keep: Duration::from_secs(60),
        audit_rows: 10,
        limits: Limits {
            wrong_codes: 5,
            code_lock: Duration::from_secs(60),
            messages_per_number: 1,
            messages_per_account: 1,
            messages_per_account_day: 1,
            messages_total_day: 1,
            code_life: Duration::from_secs(60),
            code_tries: 3,
            number_age: Duration::from_secs(60),
            password_window: Duration::from_secs(60),
            station_known: Duration::from_secs(60),
            prompts: 5,
            prompt_window: Duration::from_secs(60),
        },
    }
}

#[tokio::test]
async fn panic_of_the_writer_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let (master, _) = master_key(&settings).unwrap();
    let store = Store::open(&settings, &master, Clock::system()).unwrap();
    store.flush().await.unwrap();
    assert!(store.running());
    let panicked: Result<(), Error> = store.write(|_| panic!("on purpose")).await;
    assert!(matches!(panicked, Err(Error::Busy)));
    assert!(matches!(store.flush().await, Err(Error::Busy)));
    let health = store.health();
    assert!(!health.writable && !store.running());
    assert!(health.last_error.unwrap().contains("panicked"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_queue_refuses_instead_of_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let (master, _) = master_key(&settings).unwrap();
    let store = Store::open(&settings, &master, Clock::system()).unwrap();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let (begin, mut begun) = tokio::sync::mpsc::channel(1);
    let gate = std::sync::Mutex::new(gate);
    let held = store.inner.writer.tell(move |_| {
        begin.try_send(()).unwrap();
        let _opened = gate.lock().unwrap().recv();
        Ok(())
    });
    assert!(held);
    begun.recv().await.unwrap();
    let taken = (0..2 * super::QUEUE)
        .filter(|_| store.inner.writer.tell(|_| Ok(())))
        .count();
    assert_eq!(taken, super::QUEUE);
    assert!(matches!(store.flush().await, Err(Error::Busy)));
    open.send(()).unwrap();
    while store.flush().await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// All in one commit, which is done twice: what was undone leaves nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_job_is_told_alone_and_the_others_are_done_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let (master, _) = master_key(&settings).unwrap();
    let store = Store::open(&settings, &master, Clock::system()).unwrap();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    assert!(store.inner.writer.tell(move |_| {
        let _opened = gate.lock().unwrap().recv();
        Ok(())
    }));
    let count = |writing: &super::Writing| -> Result<i64, Error> {
        let sql = "SELECT count(*) FROM message";
        Ok(writing.connection.query_row(sql, [], |row| row.get(0))?)
    };
    let add = |id: i64| {
        store.write(move |writing| {
            writing.execute("INSERT INTO message (at) VALUES (1)", [])?;
            if id % 3 == 1 {
                writing.execute("INSERT INTO message (at) VALUES (NULL)", [])?;
            }
            count(writing)
        })
    };
    let opened = async move {
        tokio::task::yield_now().await;
        open.send(()).unwrap();
    };
    let (first, bad, second, worse, third, ()) =
        tokio::join!(add(0), add(1), add(2), add(4), add(5), opened);
    let done = [first, second, third].map(Result::unwrap);
    assert_eq!(done, [1, 2, 3]);
    for error in [bad, worse].map(Result::unwrap_err) {
        assert!(error.to_string().contains("NOT NULL"), "{error}");
    }
    assert_eq!(store.write(count).await.unwrap(), 3);
    assert!(store.writable());
}

/// All in one commit: what a failed job left on an account goes with it, and so does what all left when it is done again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_job_leaves_nothing_on_an_account() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let (master, _) = master_key(&settings).unwrap();
    let store = Store::open(&settings, &master, Clock::system()).unwrap();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    assert!(store.inner.writer.tell(move |_| {
        let _opened = gate.lock().unwrap().recv();
        Ok(())
    }));
    let login = |newest: i64, fails: bool| {
        store.write(move |writing| {
            let mut row = writing.account_or_new(&account(), "hanako")?;
            let before = row.newest;
            row.newest = Some(newest);
            writing.save(row)?;
            if fails {
                return Err(Error::damaged("on purpose"));
            }
            Ok(before)
        })
    };
    let reader = store.clone();
    let opened = async move {
        tokio::task::yield_now().await;
        assert_eq!(reader.inner.waiting.newest(number(&account())), None);
        open.send(()).unwrap();
    };
    let (first, bad, last, worse, ()) = tokio::join!(
        login(1, false),
        login(2, true),
        login(3, false),
        login(4, true),
        opened
    );
    assert_eq!((first.unwrap(), last.unwrap()), (None, Some(1)));
    assert!(bad.is_err() && worse.is_err());
    let newest = || store.inner.waiting.newest(number(&account()));
    assert_eq!(newest(), Some(3));
    // Alone: all of the commit is undone.
    assert!(login(5, true).await.is_err());
    assert_eq!(newest(), Some(3));
    // A disk that fails undoes it for everybody.
    let grave = store.write(|writing| {
        let mut row = writing.account_or_new(&account(), "hanako")?;
        row.newest = Some(6);
        writing.save(row)?;
        Err::<(), _>(Error::Busy)
    });
    assert!(grave.await.is_err());
    assert_eq!(newest(), Some(3));
    assert_eq!(login(7, false).await.unwrap(), Some(3));
    assert_eq!(newest(), Some(7));
}
