//! Files of certificates and keys: never a moment with others' rights, never half a file, and what was there is kept.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{Group, chown};

use crate::cli::Failure;
use crate::clock::Timestamp;

/// The daemon's group, as packages make it.
const GROUP: &str = "sekisho";

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// Everybody.
    Public,
    /// Its owner.
    Secret,
    /// Its owner and the daemon's group, if that is there.
    ForDaemon,
}

/// Who may look into a folder that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folder {
    /// Its owner.
    Private,
    /// Everybody: the files in it have rights of their own.
    Open,
}

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Became {
    /// Where the one before is.
    pub(super) kept: Option<PathBuf>,
    /// Whether the daemon's group may read it.
    pub(super) is_for_daemon: bool,
}

/// Makes a folder unless it is there.
pub(super) fn make(folder: &Path, kind: Folder) -> Result<(), Failure> {
    let mode = match kind {
        Folder::Private => 0o700,
        Folder::Open => 0o755,
    };
    let made = DirBuilder::new().recursive(true).mode(mode).create(folder);
    made.map_err(|why| failed(folder, &why))
}

/// Writes a file beside its place and moves it there. What was there is kept beside it, under the time of now.
pub(super) fn put(path: &Path, octets: &[u8], who: Put, now: Timestamp) -> Result<Became, Failure> {
    let written = write_beside(path, octets, who).map_err(|why| failed(path, &why))?;
    let kept = keep(path, now).map_err(|why| failed(path, &why));
    let moved = kept.and_then(|kept| {
        fs::rename(&written.0, path).map_err(|why| failed(path, &why))?;
        Ok(kept)
    });
    if moved.is_err() {
        // It was not put anywhere: the failure is what is told.
        let _unused = fs::remove_file(&written.0);
    }
    Ok(Became {
        kept: moved?,
        is_for_daemon: written.1,
    })
}

fn write_beside(path: &Path, octets: &[u8], who: Put) -> io::Result<(PathBuf, bool)> {
    let beside = with_end(path, ".new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(octets)?;
    let mode = match who {
        Put::Public => 0o644,
        Put::Secret => 0o600,
        Put::ForDaemon if is_given(&beside) => 0o640,
        Put::ForDaemon => 0o600,
    };
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    Ok((beside, mode == 0o640))
}

fn is_given(path: &Path) -> bool {
    let group = Group::from_name(GROUP).ok().flatten();
    group.is_some_and(|group| chown(path, None, Some(group.gid)).is_ok())
}

fn keep(path: &Path, now: Timestamp) -> io::Result<Option<PathBuf>> {
    let at = jiff::Timestamp::from_millisecond(now.millis()).unwrap_or_default();
    let kept = with_end(path, &at.strftime(".%Y%m%dT%H%M%SZ").to_string());
    match fs::hard_link(path, &kept) {
        Ok(()) => Ok(Some(kept)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut whole = path.as_os_str().to_owned();
    whole.push(end);
    whole.into()
}

fn failed(path: &Path, why: &io::Error) -> Failure {
    Failure::new(format!("{} was not written: {why}.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_was_there_is_kept_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.key");
        let now = Timestamp::from_secs(1_800_000_000);
        let first = put(&file, b"first", Put::Secret, now).unwrap();
        assert_eq!((first.kept, mode(&file)), (None, 0o600));
        let second = put(&file, b"second", Put::Public, now).unwrap();
        let kept = second.kept.unwrap();
        assert!(kept.ends_with("server.key.20270115T080000Z"), "{kept:?}");
        assert_eq!(
            (fs::read(&kept).unwrap(), mode(&kept)),
            (b"first".to_vec(), 0o600)
        );
        assert_eq!(
            (fs::read(&file).unwrap(), mode(&file)),
            (b"second".to_vec(), 0o644)
        );
        // Within the same second there is no other name to keep it under: then it stays.
        assert!(put(&file, b"third", Put::Public, now).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_for_a_key_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let (closed, open) = (folder.path().join("a/ca"), folder.path().join("tls"));
        make(&closed, Folder::Private).unwrap();
        make(&open, Folder::Open).unwrap();
        assert_eq!((mode(&closed), mode(&open)), (0o700, 0o755));
    }
}
