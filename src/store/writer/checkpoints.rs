//! Moving the log into the database, beside the commits: a thread of its own does most of it, the
//! writer the little that came meanwhile, for only it knows a moment at which nothing more comes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::Pulse;
use crate::store::{Error, database};

/// Pages in the log from which on it is moved: 2 MiB. Few, so that the disk is never long at it while a commit waits.
const PAGES: u32 = 1024;
/// Pages that the writer moves itself, within a millisecond or two.
const REST: u32 = 128;
/// A log longer than this (octets) is moved even if that means waiting for readers.
const LONG_LOG: u64 = 32 << 20;
/// How long the writer waits for readers then; logins wait with it.
const LOG_PATIENCE: Duration = Duration::from_millis(50);
/// Commits between two looks at the log's length.
const LOG_LOOK: u32 = 64;

/// What writer and thread tell each other.
#[derive(Default)]
struct Log {
    /// Pages in the log, after the last commit.
    pages: AtomicU32,
    /// Pages of them that are in the database, as far as was heard.
    moved: AtomicU32,
    /// The thread is at it.
    moving: AtomicBool,
}

/// The writer's side; dropping it waits for the thread.
pub(super) struct Checkpoints {
    log: Arc<Log>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
    pulse: Arc<Pulse>,
    /// Pages moved at the last look.
    seen: u32,
    /// Pages that there must be before it is tried again: a reader may hold the log.
    next: u32,
    commits: u32,
}

impl Checkpoints {
    /// Starts the thread; `writer` no longer moves the log on its own.
    pub(super) fn start(
        writer: &mut Connection,
        path: &Path,
        pulse: Arc<Pulse>,
    ) -> Result<Self, Error> {
        let log = Arc::new(Log::default());
        let told = log.clone();
        writer.pragma_update(None, "wal_autocheckpoint", 0)?;
        writer.wal_hook(Some(move |_: &mut _, pages| {
            told.pages
                .store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let connection = database::open_mover(path)?;
        let (wake, woken) = sync_channel(1);
        let mut checkpoints = Self {
            log: log.clone(),
            wake: Some(wake),
            thread: None,
            path: database::beside(path, "-wal"),
            pulse: pulse.clone(),
            seen: 0,
            next: PAGES,
            commits: 0,
        };
        let thread = std::thread::Builder::new()
            .name("store-log".into())
            .spawn(move || work(&connection, &log, &woken, &pulse))
            .map_err(database::at(path))?;
        checkpoints.thread = Some(thread);
        Ok(checkpoints)
    }

    /// Keeps the log short, after a commit of the writer.
    pub(super) fn look(&mut self, writer: &Connection) {
        self.commits = self.commits.wrapping_add(1);
        if self.commits.is_multiple_of(LOG_LOOK)
            && std::fs::metadata(&self.path).map_or(0, |log| log.len()) >= LONG_LOG
        {
            self.shorten(writer);
            return;
        }
        let pages = self.log.pages.load(Ordering::Relaxed);
        if pages < PAGES {
            // It has begun anew.
            (self.seen, self.next) = (0, PAGES);
            return;
        }
        if self.log.moving.load(Ordering::Acquire) {
            return;
        }
        let moved = self.log.moved.load(Ordering::Relaxed);
        if moved == self.seen && pages < self.next {
            return;
        }
        (self.seen, self.next) = (moved, pages.saturating_add(PAGES));
        if moved <= pages && pages - moved <= REST {
            move_log(writer, &self.log, &self.pulse);
        } else if let Some(wake) = &self.wake {
            self.log.moving.store(true, Ordering::Relaxed);
            // Its one place is free, for it is not at it.
            let _woken = wake.try_send(());
        }
    }

    /// Keeps the log from growing while there is always a reader that holds it.
    fn shorten(&self, writer: &Connection) {
        let shortened = writer
            .busy_timeout(LOG_PATIENCE)
            .and_then(|()| writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        let patient = writer.busy_timeout(database::PATIENCE);
        if let Err(error) = shortened.and(patient) {
            log::warn!("the store's log cannot be shortened: {error}");
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        drop(self.wake.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.pulse
                .note("the thread of the store's log had panicked");
        }
    }
}

/// The thread: moves the log whenever it is woken.
fn work(connection: &Connection, log: &Log, woken: &Receiver<()>, pulse: &Pulse) {
    while woken.recv().is_ok() {
        move_log(connection, log, pulse);
        log.moving.store(false, Ordering::Release);
    }
}

/// Moves what no reader and no other mover holds, without waiting.
fn move_log(connection: &Connection, log: &Log, pulse: &Pulse) {
    let moved = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        row.get::<_, i64>(2)
    });
    match moved {
        Ok(pages) => log
            .moved
            .store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed),
        Err(error) => pulse.note(&format!(
            "the store's log cannot be moved into the database: {error}"
        )),
    }
}
