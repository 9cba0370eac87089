//! A configuration that is written for somebody: tables, keys with what they are for, and secrets in files beside it.
//!
//! Not here: what stands in it (`init`, `import`) and whether it is right (`config`).

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, geteuid};
use zeroize::Zeroizing;

use super::Failure;
use crate::config::{self, Fault, Settings};
use crate::secret::Secret;

/// Octets that a secret is taken to have while nobody knows it.
const UNKNOWN_OCTETS: usize = 32;
/// The group of the daemon, which must read what root wrote.
const DAEMONS_GROUP: &str = "sekisho";
/// Columns of a remark, as in the shipped file.
const REMARK_COLUMNS: usize = 110;
/// The file that the package ships: who has it unchanged has no configuration of their own yet.
const SHIPPED: &str = include_str!("../../config/sekisho.toml");

/// A part of the text.
enum Part {
    Text(String),
    /// `key-file = "…"`: the secret is in a file of this name.
    Secret {
        key: &'static str,
        name: String,
        secret: Option<Secret>,
    },
}

/// A configuration to be.
pub(super) struct Draft {
    folder: PathBuf,
    parts: Vec<Part>,
}

impl Draft {
    /// An empty one, whose secrets will lie in a folder.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            parts: Vec::new(),
        }
    }

    fn push(&mut self, line: &str) {
        self.parts.push(Part::Text(format!("{line}\n")));
    }

    /// Lines of remark.
    pub(super) fn remark(&mut self, text: &str) {
        let mut line = "#".to_owned();
        for word in text.split_whitespace() {
            if line.len() + word.len() > REMARK_COLUMNS {
                self.push(&line);
                "#".clone_into(&mut line);
            }
            let _ = write!(line, " {word}");
        }
        self.push(&line);
    }

    /// A line as it is, such as an example behind `#`.
    pub(super) fn line(&mut self, line: &str) {
        self.push(line);
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.push("");
    }

    /// The head of a table: the words between its dots, the last of which somebody may have chosen.
    pub(super) fn table(&mut self, words: &[&str]) {
        let words: Vec<String> = words.iter().map(|word| key_of(word)).collect();
        self.push(&format!("[{}]", words.join(".")));
    }

    /// A key with a text.
    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.push(&format!("{key} = {}", quoted(text)));
    }

    /// A key with a list of texts.
    pub(super) fn texts<T: AsRef<str>>(&mut self, key: &str, texts: &[T]) {
        let texts: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
        self.push(&format!("{key} = [{}]", texts.join(", ")));
    }

    /// A key that is true or false.
    pub(super) fn flag(&mut self, key: &str, flag: bool) {
        self.push(&format!("{key} = {flag}"));
    }

    /// A secret in a file of its own; `key` is the one that names the file, such as `secret-file`. A secret that nobody knows here
    /// is somebody else's to write.
    pub(super) fn secret(&mut self, key: &'static str, name: &str, secret: Option<Secret>) {
        self.parts.push(Part::Secret {
            key,
            name: name.to_owned(),
            secret,
        });
    }

    /// The text as it will be written: no secret is in it.
    pub(super) fn text_of_file(&self) -> String {
        let mut whole = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => whole.push_str(text),
                Part::Secret { key, name, .. } => {
                    let path = self.folder.join(name).display().to_string();
                    let _ = writeln!(whole, "{key} = {}", quoted(&path));
                }
            }
        }
        whole
    }

    /// Reads it as the daemon will, with its secrets, from memory.
    ///
    /// # Errors
    ///
    /// Every fault found; their lines are those of the file.
    pub(super) fn read(&self) -> Result<Settings, Vec<Fault>> {
        self.read_before("")
    }

    /// The same as if more stood behind it.
    ///
    /// # Errors
    ///
    /// Every fault found.
    pub(super) fn read_before(&self, more: &str) -> Result<Settings, Vec<Fault>> {
        let mut whole = Zeroizing::new(String::new());
        for part in &self.parts {
            match part {
                Part::Text(text) => whole.push_str(text),
                Part::Secret { key, secret, .. } => {
                    let key = key.trim_end_matches("-file");
                    // In a file it may be any octets; here its length is what is judged.
                    let length = secret.as_ref().map_or(UNKNOWN_OCTETS, Secret::len);
                    let text = secret.as_ref().and_then(Secret::expose_str);
                    let text = text.map_or_else(|| "?".repeat(length), str::to_owned);
                    let text = Zeroizing::new(quoted(&Zeroizing::new(text)));
                    let _ = writeln!(whole, "{key} = {}", text.as_str());
                }
            }
        }
        whole.push_str(more);
        config::parse_text(&whole)
    }

    /// The names of its secrets' files.
    pub(super) fn secret_files(&self) -> Vec<PathBuf> {
        let named = self.parts.iter().filter_map(|part| match part {
            Part::Secret { name, secret, .. } => secret.as_ref().map(|_| self.folder.join(name)),
            Part::Text(_) => None,
        });
        named.collect()
    }

    /// Says what is there already and would be overwritten.
    pub(super) fn in_the_way(&self, file: &Path) -> Option<PathBuf> {
        let mut files = self.secret_files().into_iter();
        let occupied = is_own(file).then(|| file.to_owned());
        occupied.or_else(|| files.find(|file| file.symlink_metadata().is_ok()))
    }

    /// Writes the secrets, then the file, readable by root and the daemon alone; what is there is never overwritten.
    ///
    /// # Errors
    ///
    /// When a file is there already or cannot be written: then none of them is left.
    pub(super) fn write(&self, file: &Path) -> Result<(), Failure> {
        if let Some(there) = self.in_the_way(file) {
            return Err(occupied(&there));
        }
        for folder in [Some(self.folder.as_path()), file.parent()] {
            make_folder(folder.unwrap_or_else(|| Path::new("/")))?;
        }
        let mut written = Vec::new();
        let ended = self.write_all(file, &mut written);
        if ended.is_err() {
            for file in written {
                // What cannot be removed either is named by the error of writing.
                let _left = fs::remove_file(file);
            }
        }
        ended
    }

    fn write_all(&self, file: &Path, written: &mut Vec<PathBuf>) -> Result<(), Failure> {
        for part in &self.parts {
            if let Part::Secret {
                name,
                secret: Some(secret),
                ..
            } = part
            {
                let file = self.folder.join(name);
                let mut octets = Zeroizing::new(secret.expose().to_vec());
                octets.push(b'\n');
                put(&file, &octets).map_err(|error| unwritten(&file, &error))?;
                written.push(file);
            }
        }
        let text = self.text_of_file();
        if file.exists() && !is_own(file) {
            replace(file, text.as_bytes()).map_err(|error| unwritten(file, &error))
        } else {
            put(file, text.as_bytes()).map_err(|error| unwritten(file, &error))
        }
    }
}

/// Says that a file is there already.
pub(super) fn occupied(file: &Path) -> Failure {
    Failure::new(format!(
        "{} is there already, and nothing is overwritten: move it away, or name another place.",
        file.display()
    ))
}

fn unwritten(file: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {error}.", file.display()))
}

/// Whether something is there that is not as the package shipped it.
fn is_own(file: &Path) -> bool {
    match fs::read(file) {
        Ok(octets) => octets != SHIPPED.as_bytes(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    if folder.is_dir() || folder.as_os_str().is_empty() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o750).create(folder);
    let owned = made.and_then(|()| give_to_daemon(&File::open(folder)?).map(|_| ()));
    owned.map_err(|error| Failure::new(format!("{} cannot be made: {error}.", folder.display())))
}

/// Writes a new file.
fn put(file: &Path, octets: &[u8]) -> io::Result<()> {
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    let written = fill(&mut opened, octets);
    if written.is_err() {
        let _left = fs::remove_file(file);
    }
    written
}

/// Writes a file in the place of one that the package shipped, whole or not at all.
fn replace(file: &Path, octets: &[u8]) -> io::Result<()> {
    let new = file.with_extension("toml.new");
    put(&new, octets)?;
    fs::rename(&new, file)
}

fn fill(file: &mut File, octets: &[u8]) -> io::Result<()> {
    if give_to_daemon(file)? {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(fs::Permissions::from_mode(0o640))?;
    }
    file.write_all(octets)?;
    file.sync_all()
}

/// Root writes, another user serves: its group may read. Says whether there is such a group.
fn give_to_daemon(file: &File) -> io::Result<bool> {
    if !geteuid().is_root() {
        return Ok(false);
    }
    let group: Option<Gid> = Group::from_name(DAEMONS_GROUP)?.map(|group| group.gid);
    if let Some(group) = group {
        fchown(file, None, Some(group.as_raw()))?;
    }
    Ok(group.is_some())
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A word of a table's head: bare where TOML takes it so.
fn key_of(word: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !word.is_empty() && word.chars().all(bare) {
        word.to_owned()
    } else {
        quoted(word)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_in_files_and_never_in_the_text() {
        let mut draft = Draft::new(Path::new("/etc/sekisho"));
        draft.table(&["client", "vpn"]);
        draft.secret(
            "secret-file",
            "vpn.secret",
            Some(Secret::from("hush, hush")),
        );
        let text = draft.text_of_file();
        assert_eq!(
            text,
            "[client.vpn]\nsecret-file = \"/etc/sekisho/vpn.secret\"\n"
        );
    }

    #[test]
    fn what_is_there_is_not_overwritten_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sekisho.toml");
        let mut draft = Draft::new(folder.path());
        draft.secret("secret-file", "a.secret", Some(Secret::from("first")));
        draft.secret("secret-file", "b.secret", Some(Secret::from("second")));
        fs::write(folder.path().join("b.secret"), "mine").unwrap();
        assert!(
            draft
                .write(&file)
                .unwrap_err()
                .why
                .contains("b.secret is there")
        );
        assert!(!folder.path().join("a.secret").exists() && !file.exists());
        fs::remove_file(folder.path().join("b.secret")).unwrap();
        fs::write(&file, "[radius]\n").unwrap();
        assert!(draft.write(&file).is_err());
        // What the package put there is nobody's yet.
        fs::write(&file, SHIPPED).unwrap();
        draft.write(&file).unwrap();
        assert!(
            fs::read_to_string(&file)
                .unwrap()
                .starts_with("secret-file")
        );
        assert_eq!(
            fs::read(folder.path().join("a.secret")).unwrap(),
            b"first\n"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    proptest! {
        #[test]
        fn every_text_is_read_back_as_it_was(text in any::<String>(), name in any::<String>()) {
            let mut draft = Draft::new(Path::new("/"));
            draft.table(&["client", &name]);
            draft.text("key", &text);
            let read: toml::Table = draft.text_of_file().parse().unwrap();
            prop_assert_eq!(read["client"][&name]["key"].as_str(), Some(text.as_str()));
        }
    }
}
