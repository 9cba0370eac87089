//! Secrets: written in the file, in a file of their own, or as a systemd credential.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::fault::{Place, Reach, Readers};
use super::reader::Table;
use crate::secret::Secret;

/// The three keys by which one secret can be given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) inline: &'static str,
    pub(super) file: &'static str,
    pub(super) credential: &'static str,
}

impl Names {
    /// Which of the three the user wrote, if any.
    pub(super) fn given(self, table: &Table<'_>) -> Option<&'static str> {
        [self.inline, self.file, self.credential]
            .into_iter()
            .find(|key| table.has(key))
    }
}

/// The secret that is shared with a client.
pub(super) const SECRET: Names = Names {
    inline: "secret",
    file: "secret-file",
    credential: "secret-credential",
};
/// The secret by which sessions are ended.
pub(super) const DISCONNECT: Names = Names {
    inline: "disconnect-secret",
    file: "disconnect-secret-file",
    credential: "disconnect-secret-credential",
};
/// A password.
pub(super) const PASSWORD: Names = Names {
    inline: "password",
    file: "password-file",
    credential: "password-credential",
};
/// A bearer token.
pub(super) const TOKEN: Names = Names {
    inline: "token",
    file: "token-file",
    credential: "token-credential",
};
/// A key for HMAC.
pub(super) const KEY: Names = Names {
    inline: "key",
    file: "key-file",
    credential: "key-credential",
};

/// Longest secret: far beyond what any gear takes, short enough to tell a wrong file.
const SECRET_OCTETS: u64 = 4096;
/// Shared secrets up to this length can be guessed from one packet (draft-ietf-radext-deprecating-radius).
const WEAK_OCTETS: usize = 12;
/// What examples and products use: the first that an attacker tries.
const PLACEHOLDERS: [&str; 12] = [
    "testing123",
    "testing1234",
    "changeme",
    "change-me",
    "changeit",
    "secret",
    "sharedsecret",
    "radius",
    "password",
    "example",
    "cisco",
    "admin",
];
/// Permission bits of those who are neither owner nor in the group.
const OTHERS: u32 = 0o007;

/// Reads the secret; `None` if it is not given, or not readable (then that is a fault).
pub(super) fn read(table: &Table<'_>, names: Names) -> Option<Secret> {
    let inline = table.text(names.inline);
    let file = table.text(names.file);
    let credential = table.text(names.credential);
    let given = [names.inline, names.file, names.credential];
    let given: Vec<&str> = given.into_iter().filter(|key| table.has(key)).collect();
    if let [_, second, ..] = given.as_slice() {
        table.report.fault(
            table.at(second),
            format!("Only one of `{}` can be given.", given.join("` and `")),
            "Remove all but one.",
        );
        return None;
    }
    let (place, secret) = if let Some(text) = inline {
        let place = table.at(names.inline)?;
        own_file_is_private(table, place);
        (place, Secret::from(text))
    } else if let Some(path) = file {
        let place = table.at(names.file)?;
        (place, from_file(table, place, Path::new(path))?)
    } else {
        let place = table.at(names.credential)?;
        let path = credential_path(table, place, credential?)?;
        (place, from_file(table, place, &path)?)
    };
    if PLACEHOLDERS
        .iter()
        .any(|word| secret.expose().eq_ignore_ascii_case(word.as_bytes()))
    {
        table.report.warn(
            Some(place),
            "This secret stands in examples: everybody tries it first.",
            "Make one with sekisho secret new.",
        );
    }
    Some(secret)
}

/// Reads a secret that must be given.
pub(super) fn needed(table: &Table<'_>, names: Names) -> Secret {
    let secret = read(table, names);
    if names.given(table).is_none() {
        table.missing(
            names.file,
            &format!("\"/etc/sekisho/{}.secret\"", table.name),
        );
    }
    secret.unwrap_or_default()
}

/// Warns of a shared secret that is short enough to be guessed.
pub(super) fn weigh(table: &Table<'_>, names: Names, secret: &Secret) {
    if secret.is_empty() || secret.len() > WEAK_OCTETS {
        return;
    }
    table.report.warn(
        names.given(table).and_then(|key| table.at(key)),
        format!("This secret has {WEAK_OCTETS} octets or fewer: one recorded packet is enough to guess it."),
        "Make one with sekisho secret new.",
    );
}

/// Reads a file whole, if it is a file and not longer than the bound; and who else may read it.
pub(super) fn read_file(path: &Path, most: u64) -> Result<(Vec<u8>, Readers), String> {
    let words = |error: std::io::Error| error.to_string();
    // Looked at before it is opened: opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(words)?.is_file() {
        return Err("it is no ordinary file".to_owned());
    }
    let file = File::open(path).map_err(words)?;
    let mode = file.metadata().map_err(words)?.permissions().mode();
    let mut octets = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut octets)
        .map_err(words)?;
    if u64::try_from(octets.len()).map_or(true, |length| length > most) {
        return Err(format!("it is longer than {most} octets"));
    }
    let readers = if mode & OTHERS == 0 {
        Readers::OwnersAlone
    } else {
        Readers::Others(mode & 0o777)
    };
    Ok((octets, readers))
}

fn own_file_is_private(table: &Table<'_>, place: Place) {
    let source = table.report.sources.get(place.file);
    if let Some((source, Readers::Others(mode))) = source.map(|source| (source, source.readers)) {
        not_private(table, place, &source.path, mode);
    }
}

fn not_private(table: &Table<'_>, place: Place, path: &Path, mode: u32) {
    table.report.fault(
        Some(place),
        format!(
            "{} holds a secret and is open to everybody (mode {mode:04o}).",
            path.display()
        ),
        format!("Run chmod o= {}.", path.display()),
    );
}

fn from_file(table: &Table<'_>, place: Place, path: &Path) -> Option<Secret> {
    if !path.is_absolute() {
        table.report.fault(
            Some(place),
            "This is no whole path: it does not begin with \"/\".",
            "Write the path of a file that holds the secret.",
        );
        return None;
    }
    if table.report.reach == Reach::TextAlone {
        return Some(Secret::default());
    }
    let (mut octets, readers) = match read_file(path, SECRET_OCTETS) {
        Ok(read) => read,
        Err(why) => {
            let mend = if path.exists() {
                "Let the daemon's user read it: an ordinary file, owned by root:sekisho with mode 0640."
            } else {
                "Make the file, owned by root:sekisho with mode 0640."
            };
            table.report.fault(
                Some(place),
                format!("{} cannot be read: {why}.", path.display()),
                mend,
            );
            return None;
        }
    };
    if let Readers::Others(mode) = readers {
        not_private(table, place, path, mode);
    }
    while matches!(octets.last(), Some(b'\n' | b'\r')) {
        octets.pop();
    }
    let secret = Secret::new(octets);
    if secret.is_empty() {
        table.report.fault(
            Some(place),
            format!("{} is empty.", path.display()),
            "Write the secret into it.",
        );
        return None;
    }
    Some(secret)
}

/// The file of a systemd credential.
fn credential_path(table: &Table<'_>, place: Place, name: &str) -> Option<PathBuf> {
    if name.contains('/') || name.starts_with('.') {
        table.report.fault(
            Some(place),
            "This is no name of a credential.",
            "Write the name given to LoadCredential= or LoadCredentialEncrypted=.",
        );
        return None;
    }
    if table.report.reach == Reach::TextAlone {
        return Some(Path::new("/").join(name));
    }
    let folder = credentials();
    if folder.is_none() {
        table.report.fault(
            Some(place),
            "There are no systemd credentials here ($CREDENTIALS_DIRECTORY is not set).",
            "Add LoadCredential= to the unit, or use a file.",
        );
    }
    Some(folder?.join(name))
}

/// The folder in which systemd gives credentials to this process.
pub(super) fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}
