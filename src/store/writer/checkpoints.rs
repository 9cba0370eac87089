//! Moving the log into the database, beside the commits: a thread of its own does most of it, the
//! writer the little that came meanwhile, for only it knows a moment at which nothing more comes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::Pulse;
use crate::store::{Error, database};

/// Pages in the log from which on it is moved when there is little to do: 1 MiB, for as long as the disk is at it, commits
/// wait for the disk.
const FEW: u32 = 256;
/// The same when each commit has many jobs: 8 MiB, for each time costs as much as some hundred pages, and who waits in a
/// crowd does not notice.
const MANY: u32 = 2048;
/// Jobs in a commit that are many.
const CROWD: usize = 8;
/// The part of those pages that the writer moves itself: some milliseconds at most.
const REST: u32 = 8;
/// A log of more pages is moved even if that means waiting for readers, or for the thread: 32 MiB.
const LONG: u32 = (32 << 20) / database::PAGE_OCTETS;
/// How long the writer waits then; logins wait with it.
const PATIENCE: Duration = Duration::from_millis(50);
/// Commits between two times that the writer waits for readers.
const BETWEEN: u32 = 64;

/// The writer's side; dropping it waits for the thread.
pub(super) struct Checkpoints {
    /// Pages in the log after the last commit, as SQLite tells the writer.
    pages: Arc<AtomicU32>,
    wake: Option<SyncSender<()>>,
    /// The thread's answers: pages of the log that are in the database.
    answers: Receiver<u32>,
    thread: Option<JoinHandle<()>>,
    pulse: Arc<Pulse>,
    /// The thread is at it.
    moving: bool,
    /// Pages of the log that are in the database, as far as is known.
    moved: u32,
    /// Pages that there must be before it is tried again: a reader may hold the log.
    next: u32,
    commits: u32,
    /// Jobs of a commit of late.
    crowd: usize,
}

impl Checkpoints {
    /// Starts the thread; `writer` no longer moves the log on its own.
    pub(super) fn start(
        writer: &mut Connection,
        path: &Path,
        pulse: Arc<Pulse>,
    ) -> Result<Self, Error> {
        let pages = Arc::new(AtomicU32::new(0));
        let told = pages.clone();
        writer.pragma_update(None, "wal_autocheckpoint", 0)?;
        writer.wal_hook(Some(move |_: &mut _, pages| {
            told.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let connection = database::open_mover(path)?;
        let ((wake, woken), (answer, answers)) = (sync_channel(1), sync_channel(1));
        let alarm = pulse.clone();
        let thread = std::thread::Builder::new()
            .name("store-log".into())
            .spawn(move || work(&connection, &woken, &answer, &alarm))
            .map_err(database::at(path))?;
        Ok(Self {
            pages,
            wake: Some(wake),
            answers,
            thread: Some(thread),
            pulse,
            moving: false,
            moved: 0,
            next: 0,
            commits: 0,
            crowd: 0,
        })
    }

    /// Keeps the log short, after a commit of the writer that had so many jobs.
    pub(super) fn look(&mut self, writer: &Connection, jobs: usize) {
        self.commits = self.commits.wrapping_add(1);
        // In a crowd, too, a commit with few jobs comes before one with many.
        self.crowd = jobs.max(self.crowd - self.crowd / 4);
        let pages = self.pages.load(Ordering::Relaxed);
        self.listen(pages);
        if self.moving {
            return;
        }
        let worth = if self.crowd < CROWD { FEW } else { MANY };
        if pages < FEW {
            // It has begun anew.
            (self.moved, self.next) = (0, 0);
        } else if pages >= LONG && self.commits.is_multiple_of(BETWEEN) {
            self.shorten(writer);
        } else if pages < worth.max(self.next) {
            // It is not worth it, or was tried in vain.
        } else if pages.saturating_sub(self.moved) <= worth / REST {
            let moved = move_log(writer, &self.pulse);
            self.heard(moved, pages);
        } else if let Some(wake) = &self.wake {
            self.moving = wake.try_send(()).is_ok();
        }
    }

    /// Hears what the thread has done; waits for it when the log is long, so that it cannot grow faster than it is moved.
    fn listen(&mut self, pages: u32) {
        if !self.moving {
            return;
        }
        let answer = if pages < LONG {
            self.answers.try_recv().ok()
        } else {
            self.answers.recv_timeout(PATIENCE).ok()
        };
        if let Some(moved) = answer {
            self.moving = false;
            self.heard(moved, pages);
        }
    }

    /// After some were moved the rest follows at once; after none, a reader holds them, or the disk is full.
    fn heard(&mut self, moved: u32, pages: u32) {
        self.next = if moved > self.moved {
            pages
        } else {
            pages.saturating_add(MANY)
        };
        self.moved = moved;
    }

    /// Keeps the log from growing while there is always a reader that holds it.
    fn shorten(&self, writer: &Connection) {
        let shortened = writer
            .busy_timeout(PATIENCE)
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
fn work(connection: &Connection, woken: &Receiver<()>, answer: &SyncSender<u32>, alarm: &Pulse) {
    while woken.recv().is_ok() {
        let moved = move_log(connection, alarm);
        // Nobody listens any more when the store closes.
        let _unheard = answer.send(moved);
    }
}

/// Moves what no reader and no other mover holds, without waiting. Says how many pages of the log are in the database.
fn move_log(connection: &Connection, alarm: &Pulse) -> u32 {
    let moved: Result<i64, _> =
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2));
    match moved {
        Ok(pages) => u32::try_from(pages).unwrap_or(0),
        Err(error) => {
            alarm.note(&format!(
                "the store's log cannot be moved into the database: {error}"
            ));
            0
        }
    }
}
