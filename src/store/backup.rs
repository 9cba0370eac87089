//! Copies of the database: made while it is in use, and put back when it is not.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::database::{self, at, beside, sync_folder};
use super::keys::Keys;
use super::{Error, Settings};
use crate::secret::Key;

/// Where the database that a backup replaced is kept.
const ASIDE: &str = ".before-restore";
/// Where a backup is looked at before it takes the database's place.
const INCOMING: &str = ".restoring";

/// See [`super::Store::backup`].
pub(super) fn backup(database: &Path, to: &Path) -> Result<(), Error> {
    drop(create(to)?);
    let copied = copy(database, to);
    if copied.is_err() {
        // What is left is no backup.
        fs::remove_file(to).map_err(at(to))?;
    }
    copied
}

fn create(to: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(at(to))
}

fn copy(database: &Path, to: &Path) -> Result<(), Error> {
    let from = database::open_reader(database)?;
    let mut copy = Connection::open(to)?;
    {
        // In one step: a copy in several would start anew at each write between them.
        let backup = Backup::new(&from, &mut copy)?;
        match backup.step(-1)? {
            StepResult::Done => {}
            _ => return Err(Error::Busy),
        }
    }
    settle(&copy)?;
    drop(copy);
    File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(at(to))?;
    sync_folder(database::folder_of(to))
}

/// Makes it one file, without a log beside it.
fn settle(copy: &Connection) -> Result<(), Error> {
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    Ok(())
}

/// Puts a backup in the place of the database of a store that is not running. Blocking.
///
/// # Errors
///
/// When the backup is no store, is newer, or does not open under the key; then nothing was changed.
pub fn restore(settings: &Settings, master: &Key, from: &Path) -> Result<(), Error> {
    let _alone = database::hold(settings)?;
    let database = database::path(settings);
    let incoming = beside(&database, INCOMING);
    forget(&incoming)?;
    let checked = take_in(from, &incoming).and_then(|()| look_at(&incoming, master));
    if let Err(error) = checked {
        forget(&incoming)?;
        return Err(error);
    }
    set_aside(&database)?;
    fs::rename(&incoming, &database).map_err(at(&database))?;
    sync_folder(&settings.folder)
}

fn take_in(from: &Path, incoming: &Path) -> Result<(), Error> {
    let mut source = File::open(from).map_err(at(from))?;
    let mut copy = create(incoming)?;
    io::copy(&mut source, &mut copy)
        .and_then(|_| copy.sync_all())
        .map_err(at(incoming))
}

/// Whether it is a store, whole, of no newer schema, and opens under the key.
fn look_at(incoming: &Path, master: &Key) -> Result<(), Error> {
    let copy = Connection::open(incoming)?;
    settle(&copy)?;
    if database::schema(&copy)? == 0 {
        return Err(Error::damaged("the backup is no store"));
    }
    let whole: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if whole != "ok" {
        return Err(Error::damaged(&whole));
    }
    match Keys::load(&copy, master)? {
        Some(_) => Ok(()),
        None => Err(Error::damaged("the backup has no keys")),
    }
}

/// Keeps the old database under another name. Its log must not stay: it would be read into the new one.
fn set_aside(database: &Path) -> Result<(), Error> {
    let aside = beside(database, ASIDE);
    forget(&aside)?;
    if !database.try_exists().map_err(at(database))? {
        return forget_log(database);
    }
    // Moves its log into it. One too damaged for that is kept with its log.
    let folded = Connection::open(database)
        .and_then(|old| old.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())));
    if folded.is_err() {
        let log = beside(database, "-wal");
        if log.try_exists().map_err(at(&log))? {
            fs::hard_link(&log, beside(&aside, "-wal")).map_err(at(&log))?;
        }
    }
    fs::hard_link(database, &aside).map_err(at(&aside))?;
    forget_log(database)
}

fn forget(file: &Path) -> Result<(), Error> {
    remove(file)?;
    forget_log(file)
}

fn forget_log(file: &Path) -> Result<(), Error> {
    remove(&beside(file, "-wal"))?;
    remove(&beside(file, "-shm"))?;
    remove(&beside(file, "-journal"))
}

fn remove(file: &Path) -> Result<(), Error> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(file)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
