//! `import`: the configuration of another RADIUS server as ours, and what of it could not be carried over.
//!
//! Not here: whether the result is right, which `config` says. Foreign files are read within bounds and believed in nothing but
//! their own words: no program, no variable of the environment and no file but theirs is looked at.

mod braces;
mod duo;
mod freeradius;
mod gear;
mod ini;
mod notes;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use zeroize::Zeroizing;

use super::args::Import;
use super::check::counted;
use super::draft::Draft;
use super::terminal::{Page, plain};
use super::{Ended, Exit, Failure};
use crate::secret::Secret;
use gear::{Clients, Keys};
use notes::Notes;

/// Octets of one foreign file: ten thousand clients fit in.
const FILE_OCTETS: u64 = 4 << 20;
/// Where secrets will be, as long as nothing is written.
const USUAL_FOLDER: &str = "/etc/sekisho";
/// The folder whose files are read beside the main one: secrets do not belong in it.
const DROP_INS: &str = "conf.d";
/// What a drop-in of clients alone stands beside.
const DIRECTORY: &str =
    "\n[directory.none]\nservers = [\"ldaps://ldap.invalid\"]\nbase = \"dc=invalid\"\n";
const CLIENT: &str =
    "\n[client.none]\naddress = \"192.0.2.1\"\nsecret = \"as long as one should be\"\n";
const RULE: &str = "\n[[rule]]\nthen = \"ask\"\n";

/// What a foreign configuration comes to.
#[derive(Debug, Default)]
struct House {
    listen: Vec<String>,
    directories: Vec<Directory>,
    clients: Clients,
    /// Groups whose members alone may log in.
    members: Vec<String>,
    /// Names of hosts that were looked up.
    looked_up: usize,
    notes: Notes,
}

/// A directory to be.
#[derive(Debug)]
struct Directory {
    name: String,
    keys: Keys,
    bind: Bind,
}

/// How the account that searches proves itself.
#[derive(Debug)]
enum Bind {
    /// It does not.
    Anonymous,
    /// By a password.
    Password(Secret),
    /// By a password that cannot be read out of the foreign file.
    Unknown,
}

pub(super) fn import(wanted: Import, page: &mut Page<'_>) -> Ended {
    let (house, out) = match wanted {
        Import::Duo { file, out } => (duo::read(&file, &text_of(&file)?), out),
        Import::Freeradius { path, out } => (freeradius::read(&path)?, out),
    };
    let out = out.map(std::path::absolute).transpose()?;
    let folder = match out.as_deref().and_then(Path::parent) {
        Some(folder) if folder.ends_with(DROP_INS) => folder.parent().unwrap_or(folder),
        Some(folder) => folder,
        None => Path::new(USUAL_FOLDER),
    };
    if house.clients.count() == 0 && house.directories.is_empty() {
        told(house.notes, page)?;
        return Err(Failure::new("No client and no directory was found in it."));
    }
    let written = Written::of(house, folder);
    match &out {
        Some(out) => written.draft.write(out)?,
        None if page.is_json() => {}
        None => page
            .out()
            .write_all(written.draft.text_of_file().as_bytes())?,
    }
    written.tell(out.as_deref(), page)
}

/// A foreign file, whole.
fn text_of(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let unreadable =
        |why: String| Failure::new(format!("{} cannot be read: {why}.", file.display()));
    // Looked at before it is opened: opening a pipe would wait for its other end.
    let about = std::fs::metadata(file).map_err(|error| unreadable(error.to_string()))?;
    if !about.is_file() {
        return Err(unreadable("it is no ordinary file".to_owned()));
    }
    let opened = File::open(file).map_err(|error| unreadable(error.to_string()))?;
    let mut octets = Zeroizing::new(Vec::new());
    let read = opened.take(FILE_OCTETS + 1).read_to_end(&mut octets);
    let length = read.map_err(|error| unreadable(error.to_string()))?;
    if u64::try_from(length).map_or(true, |length| length > FILE_OCTETS) {
        return Err(unreadable(format!(
            "it is longer than {FILE_OCTETS} octets"
        )));
    }
    match std::str::from_utf8(&octets) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(unreadable("it is not UTF-8".to_owned())),
    }
}

/// Our configuration, and what is to be said about it.
struct Written {
    draft: Draft,
    clients: usize,
    directories: usize,
    notes: Notes,
    /// Whether `check` will find no fault in it.
    is_right: bool,
    /// What it will say.
    doubts: Vec<String>,
}

impl Written {
    fn of(house: House, folder: &Path) -> Self {
        let House {
            listen,
            directories,
            clients,
            members,
            notes,
            ..
        } = house;
        let mut draft = Draft::new(folder);
        draft.remark("Carried over by sekisho import. `sekisho check` says whether it is right, sekisho.toml(5) what each key means.");
        if !listen.is_empty() {
            draft.gap();
            draft.table(&["radius"]);
            draft.texts("listen", &listen);
        }
        let (directory_count, client_count) = (directories.len(), clients.count());
        for directory in directories {
            write_directory(directory, &mut draft);
        }
        clients.write(&mut draft);
        let mut beside = String::new();
        if directory_count == 0 {
            beside.push_str(DIRECTORY);
        }
        if client_count == 0 {
            beside.push_str(CLIENT);
        }
        if beside.is_empty() {
            write_rules(&members, &mut draft);
        } else {
            draft.gap();
            draft.remark("This is not the whole: it belongs into conf.d, beside a sekisho.toml as sekisho init makes one.");
            beside.push_str(RULE);
        }
        let (is_right, doubts) = match draft.read_before(&beside) {
            Ok(settings) => (true, settings.warnings),
            Err(faults) => (false, faults),
        };
        let doubts = doubts.iter().map(|fault| {
            format!(
                "line {} of the result: {} {}",
                fault.line, fault.what, fault.mend
            )
        });
        Self {
            is_right,
            doubts: doubts.collect(),
            draft,
            clients: client_count,
            directories: directory_count,
            notes,
        }
    }

    /// Says what came of it, and what did not: the report goes where it does not stand in the configuration's way.
    fn tell(self, out: Option<&Path>, page: &mut Page<'_>) -> Ended {
        let exit = match self.is_right {
            true => Exit::Done,
            false => Exit::Failed,
        };
        if page.is_json() {
            let (notes, left_out) = self.notes.sorted();
            page.object(&json!({
                "file": out, "toml": self.draft.text_of_file(), "clients": self.clients,
                "directories": self.directories, "notes": notes, "notes_left_out": left_out, "doubts": self.doubts,
            }))?;
            return Ok(exit);
        }
        told(self.notes, page)?;
        for doubt in &self.doubts {
            page.aside(&plain(doubt));
        }
        let what = format!(
            "{}, {}",
            counted(self.directories, "directory", "directories"),
            counted(self.clients, "client", "clients")
        );
        page.aside(&match out {
            Some(out) => format!(
                "{what}: {} is written, its secrets beside it. Next: sekisho check",
                out.display()
            ),
            None => {
                format!("{what}. Nothing is written: --out FILE writes this and the secrets.")
            }
        });
        Ok(exit)
    }
}

fn told(notes: Notes, page: &mut Page<'_>) -> Result<(), Failure> {
    let (notes, left_out) = notes.sorted();
    if page.is_json() {
        return Ok(());
    }
    for note in notes {
        page.aside(&format!(
            "{}:{}: {}",
            note.file.display(),
            note.line,
            plain(&note.what)
        ));
    }
    if left_out > 0 {
        page.aside(&format!("… and {left_out} notes more."));
    }
    Ok(())
}

fn write_directory(directory: Directory, draft: &mut Draft) {
    draft.gap();
    draft.table(&["directory", &directory.name]);
    directory.keys.write(draft);
    let file = format!("{}.password", directory.name);
    match directory.bind {
        Bind::Anonymous => {}
        Bind::Password(password) => draft.secret("password-file", &file, Some(password)),
        Bind::Unknown => draft.secret("password-file", &file, None),
    }
}

fn write_rules(members: &[String], draft: &mut Draft) {
    draft.gap();
    for group in members {
        draft.line("[[rule]]");
        draft.text("group", group);
        draft.text("then", "ask");
    }
    draft.line("[[rule]]");
    draft.text("then", if members.is_empty() { "ask" } else { "deny" });
}

/// Where the file is, for messages.
fn base_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is wrong with what comes of it, if anything.
    fn faults(house: House) -> Vec<String> {
        let written = Written::of(house, Path::new("/etc/sekisho"));
        if written.is_right {
            Vec::new()
        } else {
            written.doubts
        }
    }

    fn a_line() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec![
            "radius_ip_1",
            "radius_ip_2",
            "radius_secret_1",
            "radius_secret_2",
            "port",
            "interface",
            "factors",
            "delimiter",
            "client_ip_attr",
            "allow_concat",
            "failmode",
            "client",
        ]);
        let value = prop_oneof![
            "[ -~]{0,20}",
            Just("192.0.2.1".to_owned()),
            Just("10.0.0.0/8".to_owned()),
            Just("192.0.2.1-192.0.2.200".to_owned()),
            Just("2001:db8::/32".to_owned()),
            Just("push,phone".to_owned()),
            Just("ad_client".to_owned()),
        ];
        (key, value).prop_map(|(key, value)| format!("{key}={value}\n"))
    }

    proptest! {
        #[test]
        fn whatever_an_authproxy_says_of_its_gear_is_read_by_ourselves(
            kinds in prop::collection::vec(prop::sample::select(vec!["auto", "challenge", "concat", "iframe", "eap2"]), 1..4),
            lines in prop::collection::vec(a_line(), 0..30),
        ) {
            let mut text = String::new();
            for (at, kind) in kinds.iter().enumerate() {
                text.push_str(&format!("[radius_server_{kind}]\nradius_ip_9=198.51.100.{at}\nradius_secret_9=long enough to be one {at}\n"));
                text.extend(lines.iter().skip(at * 10).take(10).map(String::as_str));
            }
            let house = duo::read(Path::new("authproxy.cfg"), &text);
            let faults = faults(house);
            prop_assert!(faults.is_empty(), "{text}\n{faults:#?}");
        }

        #[test]
        fn whatever_clients_are_called_is_read_by_ourselves(
            name in "[^\"\\\\\n\r$]{0,80}",
            secret in "[^\"\\\\\n\r\u{0}$]{1,80}",
            address in prop::sample::select(vec!["192.0.2.1", "0.0.0.0/0", "2001:db8::1/64", "10.1.2.3/8"]),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("clients.conf");
            std::fs::write(&file, format!("client \"{name}\" {{\n ipaddr = {address}\n secret = \"{secret}\"\n}}\n")).unwrap();
            let house = freeradius::read(&file).unwrap();
            prop_assert_eq!(house.clients.count(), usize::from(!secret.trim().is_empty()));
            let faults = faults(house);
            prop_assert!(faults.is_empty(), "{:#?}", faults);
        }
    }
}
