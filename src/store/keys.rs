//! The master key's file, the keys sealed under it, and their replacement.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use rusqlite::{Connection, OptionalExtension};
use zeroize::Zeroizing;

use super::database::{self, at, statement, sync_folder};
use super::writer::Writing;
use super::{Error, Settings};
use crate::factor::Signer;
use crate::secret::{Key, Secret};

/// Octets of a key's file that are read: a key, and some lines of comment.
const FILE_OCTETS: u64 = 4096;

const SQL: &str = include_str!("sql/keys.sql");
const LOAD_KEY: &str = statement(SQL, "load-key");
const STORE_KEY: &str = statement(SQL, "store-key");
const ALL_SEEDS: &str = statement(SQL, "all-seeds");

/// The keys of a database: sealed under the master key in its table `key`.
pub(super) struct Keys {
    /// Seals seeds.
    pub(super) data: Key,
    /// Makes the digests of codes and numbers.
    pub(super) digest: Key,
    /// What we sign with.
    pub(super) pairs: Pairs,
}

/// Pairs of keys by which we are known elsewhere, as PKCS #8: they stay when the others are replaced.
#[derive(Clone)]
pub(super) struct Pairs {
    /// Signs what devices are shown.
    pub(super) requests: Secret,
    /// Tells push services who we are (RFC 8292).
    pub(super) vapid: Secret,
}

impl Pairs {
    const NAMES: [&'static str; 2] = ["requests", "vapid"];

    /// Opens them; what an older version did not have is made.
    pub(super) fn load_or_make(connection: &Connection, master: &Key) -> Result<Self, Error> {
        let [requests, vapid] = Self::NAMES;
        Ok(Self {
            requests: load_or_make(connection, master, requests)?,
            vapid: load_or_make(connection, master, vapid)?,
        })
    }
}

fn load_or_make(connection: &Connection, master: &Key, name: &str) -> Result<Secret, Error> {
    if let Some(pair) = load_secret(connection, master, name)? {
        return Ok(pair);
    }
    let pair = Signer::generate();
    save_secret(connection, master, (name, &pair))?;
    Ok(pair)
}

impl Keys {
    /// Opens both; `None` in a database that has none yet.
    pub(super) fn load(connection: &Connection, master: &Key) -> Result<Option<Self>, Error> {
        let (data, digest) = (
            load(connection, master, "data")?,
            load(connection, master, "digest")?,
        );
        match (data, digest) {
            (Some(data), Some(digest)) => Ok(Some(Self {
                data,
                digest,
                pairs: Pairs::load_or_make(connection, master)?,
            })),
            (None, None) => Ok(None),
            _ => Err(Error::damaged("one of its keys is missing")),
        }
    }

    /// Opens both, or makes them in a database that has none yet.
    pub(super) fn load_or_make(connection: &mut Connection, master: &Key) -> Result<Self, Error> {
        if let Some(keys) = Self::load(connection, master)? {
            return Ok(keys);
        }
        let keys = Self {
            data: Key::random(),
            digest: Key::random(),
            pairs: Pairs {
                requests: Signer::generate(),
                vapid: Signer::generate(),
            },
        };
        let transaction = connection.transaction()?;
        keys.save(&transaction, master)?;
        transaction.commit()?;
        Ok(keys)
    }

    /// Seals both under a master key.
    fn save(&self, connection: &Connection, master: &Key) -> Result<(), Error> {
        for (name, key) in [("data", &self.data), ("digest", &self.digest)] {
            let plain = Secret::new(key.expose().to_vec());
            save_secret(connection, master, (name, &plain))?;
        }
        let [requests, vapid] = Pairs::NAMES;
        save_secret(connection, master, (requests, &self.pairs.requests))?;
        save_secret(connection, master, (vapid, &self.pairs.vapid))
    }
}

fn wrapping(master: &Key) -> Key {
    master.derive("store")
}

fn key_place(name: &str) -> Vec<u8> {
    [b"key/sealed/", name.as_bytes()].concat()
}

fn save_secret(
    connection: &Connection,
    master: &Key,
    (name, plain): (&str, &Secret),
) -> Result<(), Error> {
    let sealed = wrapping(master).seal(&key_place(name), plain);
    connection
        .prepare_cached(STORE_KEY)?
        .execute((name, sealed))?;
    Ok(())
}

fn load(connection: &Connection, master: &Key, name: &str) -> Result<Option<Key>, Error> {
    let Some(plain) = load_secret(connection, master, name)? else {
        return Ok(None);
    };
    let octets = plain.expose().try_into().map_err(|_| Error::WrongKey)?;
    Ok(Some(Key::new(octets)))
}

fn load_secret(connection: &Connection, master: &Key, name: &str) -> Result<Option<Secret>, Error> {
    let sealed: Option<Vec<u8>> = connection
        .prepare_cached(LOAD_KEY)?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let Some(sealed) = sealed else {
        return Ok(None);
    };
    let plain = wrapping(master)
        .open(&key_place(name), &sealed)
        .map_err(|_| Error::WrongKey)?;
    Ok(Some(plain))
}

/// What a device's doorbell is sealed to.
pub(super) fn bell_place(device: i64) -> Vec<u8> {
    format!("device/bell/{device}").into_bytes()
}

/// What a factor's seed is sealed to.
pub(super) fn seed_place(factor: i64) -> Vec<u8> {
    format!("factor/seed/{factor}").into_bytes()
}

/// Makes a new master key and seals everything under it. The order makes a crash harmless: the new
/// key is on the disk before the database needs it, and takes the old one's place after; [`master_key`] tries both.
pub(super) fn rotate(writing: &mut Writing, key_file: &Path) -> Result<(), Error> {
    let master = Key::random();
    let new = Keys {
        data: Key::random(),
        digest: writing.digest.clone(),
        pairs: writing.pairs.clone(),
    };
    let waiting = waiting(key_file);
    write_key(&waiting, &master)?;
    sync_folder(database::folder_of(key_file))?;
    if let Err(error) = reseal(writing, &new, &master) {
        // Whether a commit that failed half way is on the disk is only known by looking.
        match Keys::load(&writing.connection, &master) {
            Ok(Some(_)) => {}
            Err(Error::WrongKey) => {
                fs::remove_file(&waiting).map_err(at(&waiting))?;
                return Err(error);
            }
            Ok(None) | Err(_) => return Err(error),
        }
    }
    writing.shared.store(std::sync::Arc::new(new.data.clone()));
    writing.data = new.data;
    fs::rename(&waiting, key_file).map_err(at(key_file))?;
    sync_folder(database::folder_of(key_file))
}

fn reseal(writing: &mut Writing, new: &Keys, master: &Key) -> Result<(), Error> {
    let transaction = writing
        .connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    {
        let mut seeds = transaction.prepare_cached(ALL_SEEDS)?;
        let mut seal = transaction.prepare_cached(super::people::SEAL_FACTOR)?;
        let mut seeds = seeds.query([])?;
        while let Some(row) = seeds.next()? {
            let (factor, sealed): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let place = seed_place(factor);
            let seed = writing
                .data
                .open(&place, &sealed)
                .map_err(|_| Error::WrongKey)?;
            seal.execute((factor, new.data.seal(&place, &seed)))?;
        }
    }
    super::devices::reseal_bells(&transaction, &writing.data, &new.data)?;
    new.save(&transaction, master)?;
    transaction.commit()?;
    Ok(())
}

/// Reads the master key, or makes it if there is neither file nor database. Says whether it was made. Blocking.
///
/// # Errors
///
/// When the file cannot be read, is no key, can be read by others, or is missing though a database exists.
pub fn master_key(settings: &Settings) -> Result<(Key, bool), Error> {
    let (file, database) = (&settings.key_file, database::path(settings));
    let waiting = waiting(file);
    if !exists(file)? {
        if exists(&database)? {
            let missing = io::Error::new(
                io::ErrorKind::NotFound,
                "the master key is missing, and there is a database that was sealed under it",
            );
            return Err(at(file)(missing));
        }
        let key = Key::random();
        write_key(&waiting, &key)?;
        fs::rename(&waiting, file).map_err(at(file))?;
        sync_folder(database::folder_of(file))?;
        return Ok((key, true));
    }
    let key = read_key(file)?;
    if !exists(&waiting)? {
        return Ok((key, false));
    }
    finish_rotation(settings, key).map(|key| (key, false))
}

/// A rotation was cut: the database tells which of the two keys holds.
fn finish_rotation(settings: &Settings, old: Key) -> Result<Key, Error> {
    let (file, database) = (&settings.key_file, database::path(settings));
    let waiting = waiting(file);
    let opens = |key: &Key| -> Result<bool, Error> {
        if !exists(&database)? {
            return Ok(false);
        }
        match Keys::load(&database::open_reader(&database)?, key) {
            Ok(keys) => Ok(keys.is_some()),
            Err(Error::WrongKey) => Ok(false),
            Err(error) => Err(error),
        }
    };
    let new = read_key(&waiting);
    if let Ok(new) = &new
        && opens(new)?
    {
        fs::rename(&waiting, file).map_err(at(file))?;
        sync_folder(database::folder_of(file))?;
        return Ok(new.clone());
    }
    // Written but not used, or not even whole. It stays if the old one does not open the database either.
    if opens(&old)? {
        fs::remove_file(&waiting).map_err(at(&waiting))?;
    }
    Ok(old)
}

fn waiting(file: &Path) -> PathBuf {
    database::beside(file, ".new")
}

fn exists(file: &Path) -> Result<bool, Error> {
    file.try_exists().map_err(at(file))
}

fn write_key(file: &Path, key: &Key) -> Result<(), Error> {
    let write = || {
        if file.try_exists()? {
            fs::remove_file(file)?;
        }
        let text = Zeroizing::new(format!(
            "# Master key of Sekisho. Keep a copy apart from the backups: without it they cannot be opened.\n{}\n",
            Zeroizing::new(HEXLOWER.encode(key.expose())).as_str()
        ));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(at(file))
}

fn read_key(path: &Path) -> Result<Key, Error> {
    let read = || {
        let file = File::open(path)?;
        let mode = file.metadata()?.mode();
        if mode & 0o037 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "others can read or change the master key (mode {:03o}): chmod 0640 or 0600",
                    mode & 0o777
                ),
            ));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_OCTETS).read_to_string(&mut text)?;
        parse_key(&text).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "no key: one line of 32 octets in hex or base64 is expected",
            )
        })
    };
    read().map_err(at(path))
}

/// The one line that is no comment, in hex or base64.
fn parse_key(text: &str) -> Option<Key> {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (line, None) = (lines.next()?, lines.next()) else {
        return None;
    };
    let octets = [HEXLOWER_PERMISSIVE, BASE64, BASE64_NOPAD]
        .iter()
        .find_map(|encoding| {
            let octets = Zeroizing::new(encoding.decode(line.as_bytes()).ok()?);
            <[u8; 32]>::try_from(octets.as_slice()).ok()
        })?;
    Some(Key::new(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_hex_and_base64_with_comments() {
        let expected = [7; 32];
        for text in [
            HEXLOWER.encode(&expected),
            HEXLOWER.encode(&expected).to_uppercase(),
            format!("# a comment\n\n  {}\n", BASE64.encode(&expected)),
            BASE64_NOPAD.encode(&expected),
        ] {
            assert_eq!(parse_key(&text).unwrap().expose(), &expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let short = HEXLOWER.encode(&[7; 31]);
        let two = format!("{0}\n{0}", HEXLOWER.encode(&[7; 32]));
        for text in ["", "# only a comment", "secret", &short, &two] {
            assert!(parse_key(text).is_none(), "{text}");
        }
    }
}
