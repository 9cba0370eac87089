//! Connections: how they are opened, the schema's migrations, the readers, named statements.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{Error, Settings};
use crate::clock::Timestamp;

/// "seki": tells our files from other people's databases.
const APPLICATION: i32 = 0x7365_6b69;
/// Every migration, in order; the schema's version is their number.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
];
/// Connections that read on the way of a login. A read takes microseconds, so that more than the
/// runtime's usual number of threads are never at it at once.
const READERS: usize = 4;
/// Octets of a page in a new database, as the disk's and the kernel's are.
pub(super) const PAGE_OCTETS: u32 = 4096;
/// Statements kept prepared by a connection: more than this room has.
const STATEMENTS: usize = 128;
/// Pages that the writer keeps at hand: the upper ones of all trees and what is being appended to. More would not hold
/// people at random, and are all looked through after a page was split.
const WRITER_CACHE: u32 = 2048;
/// What the log's file is cut to when it begins anew: well over its usual size.
const LOG_OCTETS: u32 = 16 << 20;
/// How long to wait for another program (a shell of `sqlite3`, say) that holds the database.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

const FILE: &str = "sekisho.db";
const SQL: &str = include_str!("sql/keys.sql");
const MIGRATED: &str = statement(SQL, "migrations");
const ADD_MIGRATION: &str = statement(SQL, "add-migration");

/// The statement that stands under `-- :name` in a file of SQL. For constants: a name that is not there does not
/// compile.
#[expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "runs when the program is compiled"
)]
pub(super) const fn statement(file: &'static str, name: &str) -> &'static str {
    let (octets, mut at) = (file.as_bytes(), 0);
    while at < octets.len() {
        if stands(octets, at, b"-- :") && stands(octets, at + 4, name.as_bytes()) {
            let start = at + 4 + name.len();
            if octets[start] == b'\n' {
                let mut end = start;
                while end < octets.len() && !stands(octets, end, b"\n-- :") {
                    end += 1;
                }
                let (until, _) = file.split_at(end);
                let (_, body) = until.split_at(start);
                return body.trim_ascii();
            }
        }
        at += 1;
    }
    panic!("no statement of this name")
}

#[expect(clippy::indexing_slicing, reason = "runs when the program is compiled")]
const fn stands(octets: &[u8], at: usize, word: &[u8]) -> bool {
    let mut index = 0;
    while index < word.len() {
        if at + index >= octets.len() || octets[at + index] != word[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Where the database lies.
pub(super) fn path(settings: &Settings) -> PathBuf {
    settings.folder.join(FILE)
}

/// Names the file with an error about it.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

/// The folder that a file lies in.
pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

/// Makes sure that a folder's names are on the disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(at(folder))
}

/// Keeps everybody else from opening or replacing the database, until dropped: one process writes, and knows what is written.
pub(super) fn hold(settings: &Settings) -> Result<Flock<File>, Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&settings.folder)
        .map_err(at(&settings.folder))?;
    let path = settings.folder.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(at(&path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
        at(&path)(match errno {
            Errno::EWOULDBLOCK => io::Error::new(
                io::ErrorKind::WouldBlock,
                "another sekisho has the store open",
            ),
            other => other.into(),
        })
    })
}

/// Opens a connection that writes; makes the file, for us alone, if there is none.
pub(super) fn open_writer(path: &Path) -> Result<Connection, Error> {
    // A file system that cannot be written shows itself here, a database inside it at the first write.
    drop(
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(at(path))?,
    );
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    settle(&connection)?;
    connection.pragma_update(None, "page_size", PAGE_OCTETS)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", LOG_OCTETS)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE)?;
    Ok(connection)
}

/// Opens a connection that moves the log into the database, and does nothing else.
pub(super) fn open_mover(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    settle(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    settle(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn settle(connection: &Connection) -> Result<(), Error> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // A plan never depends on the values bound: without this, statements that partial indexes could serve are prepared
    // anew at each use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// The schema's newest version.
pub(super) fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// The schema's version in the file, 0 for an empty one.
///
/// # Errors
///
/// When it is newer than this program, was written by another, or by other migrations than ours.
pub(super) fn schema(connection: &Connection) -> Result<u32, Error> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (found, known) = (pragma("user_version")?, newest());
    let application = pragma("application_id")?;
    if application != i64::from(APPLICATION) {
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        return if (found, application, tables) == (0, 0, 0) {
            Ok(0)
        } else {
            Err(Error::damaged("the file is another program's database"))
        };
    }
    let found = u32::try_from(found).map_err(|_| Error::damaged("its schema has no version"))?;
    if found > known {
        return Err(Error::Newer { found, known });
    }
    let mut applied = connection.prepare_cached(MIGRATED)?;
    let mut applied = applied.query([])?;
    for migration in MIGRATIONS.iter().take(found as usize) {
        let row = applied
            .next()?
            .ok_or_else(|| Error::damaged("its migrations are not all recorded"))?;
        if row.get_ref(1)?.as_blob().unwrap_or_default() != checksum(migration) {
            return Err(Error::damaged("its schema is not what this version made"));
        }
    }
    Ok(found)
}

/// Brings the schema up to date in one transaction.
pub(super) fn migrate(connection: &mut Connection, now: Timestamp) -> Result<(), Error> {
    let found = schema(connection)?;
    if found == newest() {
        return Ok(());
    }
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for (version, migration) in (1_i64..).zip(MIGRATIONS).skip(found as usize) {
        transaction.execute_batch(migration)?;
        transaction.execute(ADD_MIGRATION, (version, checksum(migration), now.millis()))?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", newest())?;
    transaction.commit()?;
    Ok(())
}

fn checksum(migration: &str) -> Vec<u8> {
    digest(&SHA256, migration.as_bytes()).as_ref().to_vec()
}

/// Octets of the database and its log.
pub(super) fn octets(path: &Path) -> u64 {
    let octets = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    octets(path).saturating_add(octets(&beside(path, "-wal")))
}

/// The path with something added to the file's name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Runs what takes long on a thread that may wait.
pub(super) async fn blocking<T, R>(run: R) -> Result<T, Error>
where
    T: Send + 'static,
    R: FnOnce() -> Result<T, Error> + Send + 'static,
{
    tokio::task::spawn_blocking(run)
        .await
        .unwrap_or(Err(Error::Busy))
}

/// Reads what belongs together: one snapshot, and one lock instead of one for each statement. Its own statements stay
/// prepared, unlike those of a transaction of `rusqlite`.
pub(super) fn snapshot<T>(
    reader: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let run = |sql| reader.prepare_cached(sql)?.execute([]);
    if !reader.is_autocommit() {
        // Somebody panicked half way.
        run("ROLLBACK")?;
    }
    run("BEGIN")?;
    let done = read(reader);
    run("COMMIT")?;
    done
}

/// Connections that only read.
pub(super) struct Readers {
    short: Vec<Mutex<Connection>>,
    long: Mutex<Connection>,
    next: AtomicUsize,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            short: (0..READERS)
                .map(|_| open_reader(path).map(Mutex::new))
                .collect::<Result<_, _>>()?,
            long: Mutex::new(open_reader(path)?),
            next: AtomicUsize::new(0),
        })
    }

    /// One for a read of microseconds: the first that is free, for it has the most pages at hand; else in turn.
    pub(super) fn short(&self) -> MutexGuard<'_, Connection> {
        let free = self.short.iter().find_map(|reader| reader.try_lock().ok());
        free.unwrap_or_else(|| {
            let turn = self.next.fetch_add(1, Ordering::Relaxed) % READERS;
            let reader = self.short.get(turn).unwrap_or(&self.long);
            reader.lock().unwrap_or_else(PoisonError::into_inner)
        })
    }

    /// The one for reads that take long. Not for the runtime's threads.
    pub(super) fn long(&self) -> MutexGuard<'_, Connection> {
        self.long.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_found_by_their_whole_name() {
        let file = "-- :one\nSELECT 1\n\n-- :one-more\nSELECT 2\n";
        assert_eq!(statement(file, "one"), "SELECT 1");
        assert_eq!(statement(file, "one-more"), "SELECT 2");
    }

    /// A database in use was made by these very octets: what is to be different goes into a new file.
    #[test]
    fn migrations_are_those_that_were_shipped() {
        let sums: Vec<String> = MIGRATIONS
            .iter()
            .map(|migration| data_encoding::HEXLOWER.encode(&checksum(migration)))
            .collect();
        assert_eq!(
            sums,
            [
                "1aed27dcf1ec6e70647150036ba024d961ab3f10f58cd0fac19dcb04c6d24263",
                "b4164db0396fc0d9c7365f6147231358b385fc10171e7a3aa373aa8729e12e03",
                "32ad8cb3b7c365b48c3d797ba4ea2ca9e6c72e94e6477bdcb5c17e96d374cf64",
                "9f141a906f7eeeebb34620733f13cd2ec711f680b3d4116bff6b7bea4145e44f",
                "c50dff323b548013f93122106d57555e340b3e4b82f4f0ee3ab61848fa3e32a2",
            ]
        );
    }
}
