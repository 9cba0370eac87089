//! The process's logger: a bounded queue and one thread that writes, because the journal's socket can block.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use log::kv::{Error, Key, Source, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use prometheus_client::metrics::counter::Counter;
use systemd_journal_logger::{JournalLog, connected_to_journal};

use super::message::Message;
use super::{Level, LogTo};
use crate::clock::Clock;

/// Records that wait to be written: half a second of 8,000 logins a second, some 4 MiB with what they hold.
const QUEUE: usize = 4096;
/// How long the thread gathers before it writes on: one waking for many records, and nobody waits for them.
const GATHER: Duration = Duration::from_millis(20);
/// How long a flush may take.
const FLUSH: Duration = Duration::from_secs(1);
/// The target of our own records begins so; of libraries only warnings are kept.
const OURS: &str = "sekisho";

/// What waits in the queue.
enum Queued {
    Message(Message),
    Flush(SyncSender<()>),
}

/// The logger. There is one in a process.
pub(super) struct Logger {
    queue: SyncSender<Queued>,
    level: AtomicUsize,
    lost: Counter,
    clock: Clock,
}

impl Logger {
    /// The process's logger; made, and installed for `log`, by the first call.
    pub(super) fn of_process(to: LogTo) -> Arc<Self> {
        static LOGGER: OnceLock<Arc<Logger>> = OnceLock::new();
        Arc::clone(LOGGER.get_or_init(|| {
            let (logger, queue) = Self::new();
            let logger = Arc::new(logger);
            let lost = logger.lost.clone();
            let started = std::thread::Builder::new()
                .name("journal".to_owned())
                .spawn(move || Writer::open(to).run(&queue, &lost));
            if started.is_ok() {
                // Another logger may be there already, in somebody else's process: then it keeps what `log` says.
                let _installed = log::set_boxed_logger(Box::new(Facade(Arc::clone(&logger))));
            }
            logger
        }))
    }

    fn new() -> (Self, Receiver<Queued>) {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        let logger = Self {
            queue: sender,
            level: AtomicUsize::new(LevelFilter::Info as usize),
            lost: Counter::default(),
            clock: Clock::system(),
        };
        (logger, receiver)
    }

    /// Changes the level.
    pub(super) fn set_level(&self, level: Level) {
        let filter = match level {
            Level::Error => LevelFilter::Error,
            Level::Warn => LevelFilter::Warn,
            Level::Info => LevelFilter::Info,
            Level::Debug => LevelFilter::Debug,
        };
        self.level.store(filter as usize, Ordering::Relaxed);
        log::set_max_level(filter);
    }

    /// Whether a record of ours at this level is kept.
    pub(super) fn keeps(&self, level: log::Level) -> bool {
        level as usize <= self.level.load(Ordering::Relaxed)
    }

    fn keeps_of(&self, metadata: &Metadata<'_>) -> bool {
        let level = metadata.level();
        let is_ours = metadata.target().starts_with(OURS);
        self.keeps(level) && (is_ours || level <= log::Level::Warn)
    }

    /// Queues a record; a full queue loses it and counts.
    pub(super) fn tell(&self, message: Message) {
        if self.queue.try_send(Queued::Message(message)).is_err() {
            self.lost.inc();
        }
    }

    /// The count of records lost.
    pub(super) fn lost(&self) -> Counter {
        self.lost.clone()
    }

    /// Waits until what is queued is written, or a second has passed.
    pub(super) fn flush(&self) {
        let (done, written) = mpsc::sync_channel(1);
        let start = self.clock.instant();
        let mut flush = Queued::Flush(done);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(flush) {
            if start.elapsed() >= FLUSH {
                return;
            }
            flush = back;
            std::thread::park_timeout(GATHER);
        }
        let left = FLUSH.saturating_sub(start.elapsed());
        // Neither a thread that is gone nor one that is too slow can be helped now.
        let _written = written.recv_timeout(left);
    }
}

/// The logger as `log` wants it.
struct Facade(Arc<Logger>);

impl Log for Facade {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.keeps_of(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.tell(Message::said(self.0.clock.now(), record));
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Where the thread writes to.
enum Writer {
    Journal(JournalLog),
    /// Lines gathered for one write.
    Stderr(Vec<u8>),
}

impl Writer {
    fn open(to: LogTo) -> Self {
        let wants_journal = match to {
            LogTo::Auto => connected_to_journal(),
            LogTo::Journal => true,
            LogTo::Stderr => false,
        };
        if !wants_journal {
            return Self::Stderr(Vec::new());
        }
        JournalLog::new().map_or_else(
            |error| {
                let told =
                    format!("the journal cannot be reached, standard error instead: {error}\n");
                Self::Stderr(told.into_bytes())
            },
            Self::Journal,
        )
    }

    fn run(mut self, queue: &Receiver<Queued>, lost: &Counter) {
        let mut told = 0;
        while let Ok(first) = queue.recv() {
            self.take(first, lost);
            std::thread::park_timeout(GATHER);
            for queued in queue.try_iter().take(QUEUE) {
                self.take(queued, lost);
            }
            let count = lost.get();
            if count > told {
                self.write(&losses(count - told), lost);
                told = count;
            }
            self.flush();
        }
    }

    fn take(&mut self, queued: Queued, lost: &Counter) {
        match queued {
            Queued::Message(message) => self.write(&message, lost),
            Queued::Flush(done) => {
                self.flush();
                // Whoever asked may have stopped waiting.
                let _told = done.send(());
            }
        }
    }

    fn write(&mut self, message: &Message, lost: &Counter) {
        match self {
            Self::Stderr(lines) => line(message, lines),
            Self::Journal(journal) => {
                let sent = journal.journal_send(
                    &Record::builder()
                        .args(format_args!("{}", message.text()))
                        .level(message.level)
                        .target(&message.target)
                        .key_values(message)
                        .build(),
                );
                if sent.is_err() {
                    lost.inc();
                }
            }
        }
    }

    fn flush(&mut self) {
        if let Self::Stderr(lines) = self {
            // There is nowhere to say that standard error is closed.
            let _written = io::stderr().lock().write_all(lines);
            lines.clear();
        }
    }
}

fn losses(count: u64) -> Message {
    Message::with_fields(
        Clock::system().now(),
        "sekisho::telemetry",
        format!("{count} records of the log were lost: the journal is too slow or gone"),
        &[],
    )
}

/// One line: `time level text key=value …`.
fn line(message: &Message, lines: &mut Vec<u8>) {
    let at = jiff::Timestamp::from_millisecond(message.at.millis()).unwrap_or_default();
    let level = match message.level {
        log::Level::Error => "error",
        log::Level::Warn => "warn",
        log::Level::Info => "info",
        log::Level::Debug => "debug",
        log::Level::Trace => "trace",
    };
    // Writing to a Vec does not fail.
    let _written = write!(lines, "{at:.3} {level} {}", message.text());
    let _visited = message.visit(&mut Pairs(lines));
    lines.push(b'\n');
}

struct Pairs<'a>(&'a mut Vec<u8>);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.0.push(b' ');
        let start = self.0.len();
        self.0.extend_from_slice(key.as_str().as_bytes());
        self.0
            .get_mut(start..)
            .unwrap_or_default()
            .make_ascii_lowercase();
        self.0.push(b'=');
        let value = value
            .to_borrowed_str()
            .map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed);
        let wants_quotes = |octet| matches!(octet, b' ' | b'"' | b'=' | b'\\');
        if value.is_empty() || value.bytes().any(wants_quotes) {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            // Writing to a Vec does not fail.
            let _written = write!(self.0, "\"{value}\"");
        } else {
            self.0.extend_from_slice(value.as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::decision;
    use super::*;
    use crate::account::{Outcome, Reason};
    use crate::clock::Timestamp;

    fn message(text: &str) -> Message {
        let at = Timestamp::from_millis(1_700_000_000_123);
        let fields = [
            ("SESSION", "a \"b\"".to_owned()),
            ("SECONDS", "5".to_owned()),
        ];
        Message::with_fields(at, "sekisho::test", text.to_owned(), &fields)
    }

    #[test]
    fn a_line_has_time_level_text_and_fields() {
        let mut lines = Vec::new();
        line(&message("accounting stop"), &mut lines);
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            "2023-11-14T22:13:20.123Z info accounting stop session=\"a \\\"b\\\"\" seconds=5\n"
        );
    }

    #[test]
    fn a_decision_is_one_line() {
        let mut lines = Vec::new();
        let told = Message::decided(&Arc::new(decision(Outcome::Accept, Reason::Proven)));
        line(&told, &mut lines);
        let text = String::from_utf8(lines).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.contains(" Login OK: [campus/taro]"), "{text}");
        assert!(text.contains(" rule=\"rule 1\" "), "{text}");
    }

    #[test]
    fn a_full_queue_loses_records_and_counts_them() {
        let (logger, queue) = Logger::new();
        for _ in 0..QUEUE + 3 {
            logger.tell(message("more"));
        }
        assert_eq!(logger.lost().get(), 3);
        assert_eq!(queue.try_iter().count(), QUEUE);
    }

    #[test]
    fn a_flush_gives_up_after_its_time() {
        let (logger, queue) = Logger::new();
        let start = logger.clock.instant();
        logger.flush();
        assert!(start.elapsed() >= FLUSH);
        drop(queue);
    }

    #[test]
    fn a_flush_returns_when_all_before_it_is_written() {
        let (logger, queue) = Logger::new();
        let logger = Arc::new(logger);
        let writing = Arc::clone(&logger);
        let thread = std::thread::spawn(move || {
            let mut writer = Writer::Stderr(Vec::new());
            let mut taken = 0;
            while let Ok(queued) = queue.recv() {
                let is_flush = matches!(queued, Queued::Flush(_));
                if is_flush {
                    writer.take(queued, &writing.lost);
                    return taken;
                }
                taken += 1;
            }
            taken
        });
        (0..10).for_each(|_| logger.tell(message("one")));
        logger.flush();
        assert_eq!(thread.join().unwrap(), 10);
    }

    #[test]
    fn libraries_are_heard_from_warnings_on() {
        let (logger, _queue) = Logger::new();
        let keeps = |target, level| {
            logger.keeps_of(&Metadata::builder().target(target).level(level).build())
        };
        assert!(keeps("sekisho::server", log::Level::Info));
        assert!(!keeps("sekisho::server", log::Level::Debug));
        assert!(keeps("ldap3::conn", log::Level::Warn));
        assert!(!keeps("hyper::proto", log::Level::Info));
    }
}
