//! The one thread that writes: it collects what is queued, does it in one transaction, and answers
//! when that is on the disk.

mod checkpoints;
mod folds;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use rusqlite::Connection;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use checkpoints::Checkpoints;
use folds::{Folds, LAST_SLICE, SLICE};

use super::keys::Pairs;
use super::people::Behind;
use super::{Error, Limits, database, keys};
use crate::clock::{Clock, Timestamp};
use crate::secret::Key;

/// Jobs that may wait: at some hundred octets each a few MiB, and well under a second of the
/// writer's work, so that what waits longer than a NAS does is refused instead of queued.
const QUEUE: usize = 8192;
/// How long the writer waits for more jobs when the commit before had several: whatever is in it, a commit costs the disk's
/// flush and two changes of thread.
const GATHER: Duration = Duration::from_millis(1);
/// Jobs in one commit: enough that the disk's flush is shared, few enough that the first need not
/// wait long for the last.
const BATCH: usize = 256;

/// What a job works with.
pub(super) struct Writing {
    pub(super) connection: Connection,
    pub(super) behind: Behind,
    pub(super) clock: Clock,
    pub(super) data: Key,
    pub(super) digest: Key,
    pub(super) pairs: Pairs,
    /// The data key as readers have it.
    pub(super) shared: Arc<ArcSwap<Key>>,
    pub(super) limits: Arc<Limits>,
    pub(super) audit_keep: Duration,
    pub(super) audit_rows: u64,
    /// When stations were last looked through, and the account after which to go on.
    pub(super) stations_swept: std::cell::Cell<(Timestamp, Option<i64>)>,
}

/// Whether the last write succeeded.
pub(super) struct Pulse {
    writable: AtomicBool,
    last_error: Mutex<Option<String>>,
}

impl Pulse {
    pub(super) fn writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn beat(&self) {
        if !self.writable.load(Ordering::Relaxed) && !self.writable.swap(true, Ordering::Relaxed) {
            log::info!("store can be written again");
        }
    }

    fn fail(&self, error: &str) {
        self.writable.store(false, Ordering::Relaxed);
        self.note(error);
    }

    /// Remembers an error, and says it unless it is the one that was said last.
    fn note(&self, error: &str) {
        let mut last = self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.as_deref() != Some(error) {
            log::error!("{error}");
            *last = Some(error.to_owned());
        }
    }
}

/// One operation on its way through the writer.
trait Job: Send {
    /// Does it, and keeps the result; again, if what was done before was undone. An error is given back as far as it concerns the others.
    fn run(&mut self, writing: &Writing) -> Result<(), Error>;
    /// Gives the result, now that it is on the disk; or says that nothing is.
    fn answer(self: Box<Self>, failed: Option<&Error>);
}

struct Task<T, W> {
    work: W,
    done: Option<Result<T, Error>>,
    reply: Option<oneshot::Sender<Result<T, Error>>>,
}

impl<T, W> Job for Task<T, W>
where
    T: Send,
    W: Fn(&Writing) -> Result<T, Error> + Send,
{
    fn run(&mut self, writing: &Writing) -> Result<(), Error> {
        let done = (self.work)(writing);
        let concerns = done.as_ref().map(|_| ()).map_err(Error::same);
        self.done = Some(done);
        concerns
    }

    fn answer(self: Box<Self>, failed: Option<&Error>) {
        let result = match (failed, self.done) {
            (None, Some(done)) => done,
            (Some(error), _) => Err(error.same()),
            (None, None) => Err(Error::Busy),
        };
        if let Some(reply) = self.reply {
            // Nobody waits any more when the request's time ran out: the work stays done.
            let _unheard = reply.send(result);
        }
    }
}

enum Message {
    Job(Box<dyn Job>),
    Rotate(PathBuf, oneshot::Sender<Result<(), Error>>),
}

/// The way to the writer's thread; dropping it waits for what is queued and closes the database.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    pub(super) pulse: Arc<Pulse>,
}

impl Writer {
    /// Starts the thread; so many changes of accounts are not folded yet.
    pub(super) fn start(
        mut writing: Writing,
        changes: usize,
        limits: Arc<ArcSwap<Limits>>,
        path: &Path,
    ) -> Result<Self, Error> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let pulse = Arc::new(Pulse {
            writable: AtomicBool::new(true),
            last_error: Mutex::new(None),
        });
        let checkpoints = Checkpoints::start(&mut writing.connection, path, pulse.clone())?;
        let mut desk = Desk {
            folds: Folds::new(changes, writing.clock.now()),
            writing,
            limits,
            jobs,
            checkpoints,
            pulse: pulse.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || desk.work())
            .map_err(database::at(path))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            pulse,
        })
    }

    /// Whether the thread still works.
    pub(super) fn running(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.is_closed())
    }

    /// Does some work in the writer; returns when it is on the disk. It may be done several times, of which the last counts.
    pub(super) async fn write<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: Fn(&Writing) -> Result<T, Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Job(Box::new(Task {
            work,
            done: None,
            reply: Some(reply),
        })))?;
        answer.await.unwrap_or(Err(Error::Busy))
    }

    /// Does some work in the writer whose result nobody waits for. `false` when the queue is full.
    pub(super) fn tell<W>(&self, work: W) -> bool
    where
        W: Fn(&Writing) -> Result<(), Error> + Send + 'static,
    {
        self.send(Message::Job(Box::new(Task {
            work,
            done: None,
            reply: None,
        })))
        .is_ok()
    }

    /// Makes a new master key: see [`keys::rotate`].
    pub(super) async fn rotate(&self, key_file: &Path) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Rotate(key_file.to_owned(), reply))?;
        answer.await.unwrap_or(Err(Error::Busy))
    }

    fn send(&self, message: Message) -> Result<(), Error> {
        let queue = self.queue.as_ref().ok_or(Error::Busy)?;
        queue.try_send(message).map_err(|_| Error::Busy)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the store's writer had panicked");
        }
    }
}

/// The thread's own side.
struct Desk {
    writing: Writing,
    limits: Arc<ArcSwap<Limits>>,
    jobs: mpsc::Receiver<Message>,
    checkpoints: Checkpoints,
    folds: Folds,
    pulse: Arc<Pulse>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.pulse
                .fail("the store's writer has panicked: nothing more is written");
        }
    }
}

impl Desk {
    fn work(&mut self) {
        let mut batch: Vec<Box<dyn Job>> = Vec::with_capacity(BATCH);
        let mut company = false;
        while let Some(first) = self.next() {
            if company {
                std::thread::park_timeout(GATHER);
            }
            let mut next = Some(first);
            let mut rotation = None;
            while let Some(message) = next {
                match message {
                    Message::Job(job) => batch.push(job),
                    Message::Rotate(key_file, reply) => {
                        rotation = Some((key_file, reply));
                        break;
                    }
                }
                if batch.len() >= BATCH {
                    break;
                }
                next = self.jobs.try_recv().ok();
            }
            let jobs = batch.len();
            company = jobs > 1;
            self.commit(&mut batch);
            if let Some((key_file, reply)) = rotation {
                let _unheard = reply.send(keys::rotate(&mut self.writing, &key_file));
            }
            self.checkpoints.look(&self.writing.connection, jobs);
            if let Some(accounts) = self.folds.take_due() {
                self.fold(accounts);
            }
        }
        while self.folds.wanted() && self.fold(LAST_SLICE) {}
    }

    /// Waits for what is to be done; while there is nothing, folds what has waited for long.
    fn next(&mut self) -> Option<Message> {
        while self.folds.overdue(self.writing.clock.now()) {
            match self.jobs.try_recv() {
                Err(TryRecvError::Empty) if self.fold(SLICE) => {}
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return None,
                Ok(message) => return Some(message),
            }
        }
        self.jobs.blocking_recv()
    }

    /// Folds a slice of changes into their accounts' rows. Says whether it could be done.
    fn fold(&mut self, accounts: u32) -> bool {
        let folded = self.run("BEGIN IMMEDIATE");
        let folded = folded.and_then(|()| self.folds.slice(&self.writing, accounts));
        match folded.and_then(|slice| self.run("COMMIT").map(|()| slice)) {
            Ok(slice) => self.folds.done(&self.writing, &slice),
            Err(error) => {
                self.undo();
                self.pulse
                    .note(&format!("changes of accounts cannot be folded: {error}"));
                return false;
            }
        }
        self.checkpoints.look(&self.writing.connection, 1);
        true
    }

    fn commit(&mut self, batch: &mut Vec<Box<dyn Job>>) {
        if batch.is_empty() {
            return;
        }
        self.writing.limits = self.limits.load_full();
        let before = self.writing.connection.total_changes();
        let failed = self.transact(batch).err();
        match &failed {
            // What changed nothing shows nothing: a full disk takes it, too.
            None if self.writing.connection.total_changes() == before => {}
            None => self.pulse.beat(),
            Some(error) => {
                self.undo();
                self.pulse.fail(&error.to_string());
            }
        }
        // Before the answers: who has one finds it.
        let changes = self.writing.behind.publish();
        self.folds
            .add(batch.len(), changes, self.writing.clock.now());
        for job in batch.drain(..) {
            job.answer(failed.as_ref());
        }
    }

    /// One transaction; an error is everybody's. One that is a job's own matter undoes all: then each is done once more
    /// behind a savepoint, which costs a copy of each page that it touches.
    fn transact(&self, batch: &mut [Box<dyn Job>]) -> Result<(), Error> {
        self.run("BEGIN IMMEDIATE")?;
        if let Err(error) = batch.iter_mut().try_for_each(|job| job.run(&self.writing)) {
            // A full disk or a failing one is no matter of one job.
            if error.is_grave() {
                return Err(error);
            }
            self.undo();
            self.run("BEGIN IMMEDIATE")?;
            batch.iter_mut().try_for_each(|job| self.guarded(job))?;
        }
        self.run("COMMIT")
    }

    /// Does one job so that its failure is its own.
    fn guarded(&self, job: &mut Box<dyn Job>) -> Result<(), Error> {
        self.run("SAVEPOINT job")?;
        let left = self.writing.behind.left();
        if let Err(error) = job.run(&self.writing) {
            // SQLite may have undone all on its own.
            if error.is_grave() || self.writing.connection.is_autocommit() {
                return Err(error);
            }
            self.pulse.note(&error.to_string());
            self.run("ROLLBACK TO job")?;
            self.writing.behind.undo(left);
        }
        self.run("RELEASE job")
    }

    fn run(&self, sql: &str) -> Result<(), Error> {
        self.writing.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    fn undo(&self) {
        self.writing.behind.undo(0);
        let connection = &self.writing.connection;
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            self.pulse.fail(&Error::from(error).to_string());
        }
    }
}

#[cfg(test)]
mod tests;
