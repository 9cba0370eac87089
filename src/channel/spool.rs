//! The spool gateway: a message is a file in a folder, for trials.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use data_encoding::HEXLOWER;
use serde::Serialize;

use super::{Kind, Message};
use crate::account::Language;
use crate::secret::random_array;

/// Files kept: a forgotten trial must not fill the disk. The oldest goes.
const FILES: usize = 1000;
/// How the files end.
const ENDING: &str = "json";
/// Characters of a message's id that a file's name keeps.
const NAME: usize = 64;

/// What a file holds.
#[derive(Serialize)]
struct Spooled<'a> {
    kind: Kind,
    to: &'a str,
    text: &'a str,
    lang: Language,
    id: &'a str,
}

/// Puts the message into the folder; its name there. A message spooled again is the same file.
pub(super) fn put(folder: &Path, kind: Kind, message: &Message) -> io::Result<String> {
    let spooled = Spooled {
        kind,
        to: message.to.as_str(),
        text: message.text.expose_str().unwrap_or_default(),
        lang: message.language,
        id: &message.idempotency,
    };
    let body = serde_json::to_vec(&spooled)?;
    let name = format!("{}.{ENDING}", file_name(&message.idempotency));
    // Readers look at *.json alone, and never see half of one.
    let part = folder.join(format!(".{}.part", HEXLOWER.encode(&random_array::<8>())));
    let written = write(&part, &body).and_then(|()| fs::rename(&part, folder.join(&name)));
    if let Err(error) = written {
        let _already_gone = fs::remove_file(&part);
        return Err(error);
    }
    trim(folder)?;
    Ok(name)
}

fn write(part: &Path, body: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(part)?;
    file.write_all(body)
}

/// The id with nothing in it that means something to a file system.
fn file_name(id: &str) -> String {
    id.chars()
        .take(NAME)
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// Removes the oldest files beyond the bound.
fn trim(folder: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            files.push(path);
        }
    }
    let Some(surplus) = files
        .len()
        .checked_sub(FILES)
        .filter(|surplus| *surplus > 0)
    else {
        return Ok(());
    };
    files.sort_by_cached_key(|path| {
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
        (modified.unwrap_or(SystemTime::UNIX_EPOCH), path.clone())
    });
    for path in files.iter().take(surplus) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_folder() {
        assert_eq!(file_name("../../etc/passwd"), "______etc_passwd");
        assert_eq!(file_name(&"x".repeat(500)).len(), NAME);
    }
}
