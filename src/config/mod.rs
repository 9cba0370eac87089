//! Reads the file into the settings that each room defined.
//!
//! Strict: an unknown key is a fault; every fault is found at once, each with file, line, column and mend. Not here:
//! what the settings do.
//!
//! A file becomes a tree that keeps places (`tree`), each table is read key by key with its bounds (`reader`), and one file
//! for each group of tables makes the rooms' settings of them.

mod clients;
mod directories;
mod doorbells;
mod eap;
mod fault;
mod gateways;
mod gear;
mod general;
mod lint;
mod portal;
mod radsec;
mod reader;
mod rules;
mod secrets;
mod tree;
mod wifi;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{access, channel, control, directory, server, store, telemetry};

pub use fault::Fault;
use fault::{Reach, Readers, Report, Source};
use reader::Table;

// What `profile` names, for those who show it or imitate it.
pub use crate::server::{
    Again, Dialogue, GENERIC, PROFILES, Profile, Signs, StationForm, StationSource,
};

/// What the daemon starts from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[radius]`, `[radius.tls]`, `[client.*]`, `[[reply]]`.
    pub server: server::Settings,
    /// `[eap]`, if there is one.
    pub eap: Option<crate::eap::Settings>,
    /// `[directory.*]`, in the order of the file.
    pub directories: Vec<directory::Settings>,
    /// `[login]`, `[zone.*]`, `[[rule]]`, and more.
    pub access: access::Settings,
    /// `[sms]`, `[voice]`, `[push]`, `[alert]`.
    pub channel: channel::Settings,
    /// `[portal]`, if there is one.
    pub portal: Option<crate::portal::Settings>,
    /// `[store]`, `[limits]`.
    pub store: store::Settings,
    /// `[metrics]`, `[log]`.
    pub telemetry: telemetry::Settings,
    /// `[control]`.
    pub control: control::Settings,
    /// What may be meant otherwise than written: shown by `check`, logged by `serve`.
    pub warnings: Vec<Fault>,
}

/// A key that the file may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its table, with `NAME` where the user chooses a name: `client.NAME`.
    pub table: String,
    /// The key.
    pub key: &'static str,
    /// What holds without it, as it would be written; none where that is "nothing" or depends on others.
    pub default: Option<String>,
}

/// The configuration's usual place.
pub const FILE: &str = "/etc/sekisho/sekisho.toml";
/// The folder beside it whose `*.toml` are read too.
const DROP_INS: &str = "conf.d";
/// Longest file: ten thousand clients fit in.
const FILE_OCTETS: u64 = 4 << 20;
/// Most drop-ins.
const DROP_IN_FILES: usize = 1000;

/// Reads `sekisho.toml` and the `conf.d/*.toml` beside it, by name.
///
/// # Errors
///
/// Every fault found.
pub fn read(file: &Path) -> Result<Settings, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut sources = Vec::new();
    let mut files = vec![file.to_owned()];
    match drop_ins(file) {
        Ok(found) => files.extend(found),
        Err((path, why)) => faults.push(whole_file(&path, &why)),
    }
    for path in files {
        match source(&path) {
            Ok(source) => sources.push(source),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        settings(Report::new(sources, Reach::Disk))
    } else {
        Err(faults)
    }
}

/// Reads a text as if it were the one file. Pure: the files that it names are not looked at, and secrets in files are empty.
///
/// # Errors
///
/// Every fault found, with an empty path.
pub fn parse_text(text: &str) -> Result<Settings, Vec<Fault>> {
    let source = Source {
        path: PathBuf::new(),
        text: text.to_owned(),
        readers: Readers::OwnersAlone,
    };
    settings(Report::new(vec![source], Reach::TextAlone))
}

/// The attribute that a word of `station` names.
#[must_use]
pub fn station_source(name: &str) -> Option<StationSource> {
    gear::station(name).ok()
}

/// Every key that the file may hold, by table and name.
#[must_use]
pub fn keys() -> Vec<Key> {
    let text = "[directory.a]\n[client.a]\n[zone.a]\n[[rule]]\n[[reply]]\nvendor = [{}]\n[[sms.gateway]]\n[[voice.gateway]]\n[[push.service]]\n";
    let source = Source {
        path: PathBuf::new(),
        text: text.to_owned(),
        readers: Readers::OwnersAlone,
    };
    let report = Report::new(vec![source], Reach::TextAlone);
    if let Some(entries) = tree::read(&report) {
        let _unfinished = assemble(&Table::root(&entries, &report));
    }
    report.keys()
}

fn settings(report: Report) -> Result<Settings, Vec<Fault>> {
    let settings = tree::read(&report).map(|entries| {
        let root = Table::root(&entries, &report);
        let settings = assemble(&root);
        root.finish();
        settings
    });
    let (faults, warnings) = report.close();
    match settings {
        Some(settings) if faults.is_empty() => Ok(Settings {
            warnings,
            ..settings
        }),
        _ => Err(faults),
    }
}

fn assemble(root: &Table<'_>) -> Settings {
    let directories = directories::read(root);
    let zones = rules::zones(root);
    let clients = clients::read(root);
    let replies = rules::replies(root, &clients);
    let mut server = clients::server(root, clients);
    server.replies = replies.sets;
    let mut access = rules::access(root, &server.clients, zones);
    access.realms = directories.realms;
    access.replies = replies.rules;
    let (limits, passwords) = general::limits(root);
    access.passwords = passwords;
    access.code_life = limits.code_life;
    judge_groups(root, &directories.settings, &access);
    let eap = eap::read(root, &directories.settings);
    let portal = portal::read(root, &access);
    let origin = portal.as_ref().map(|portal| portal.url.origin());
    access.portal = origin.unwrap_or_default().into();
    let mut channel = gateways::read(root, &server.clients);
    channel.push = doorbells::push(root);
    channel.alerts = doorbells::alerts(root);
    Settings {
        server,
        eap,
        directories: directories.settings,
        access,
        channel,
        portal,
        store: general::store(root, limits),
        telemetry: general::telemetry(root),
        control: general::control(root),
        warnings: Vec::new(),
    }
}

/// Warns of groups that somebody's directory is told not to look up: nobody there would be a member.
fn judge_groups(root: &Table<'_>, directories: &[directory::Settings], access: &access::Settings) {
    let is_named = !access.always_ask.is_empty()
        || access.rules.iter().any(|rule| rule.group.is_some())
        || access.replies.iter().any(|reply| reply.group.is_some());
    let blind = |directory: &&directory::Settings| directory.groups == directory::Groups::None;
    if is_named && let Some(directory) = directories.iter().find(blind) {
        root.report.warn(
            None,
            format!(
                "Groups are named, but directory {:?} has groups = \"none\": nobody of it is a member.",
                &*directory.name
            ),
            "Let its groups be looked up.",
        );
    }
}

fn drop_ins(file: &Path) -> Result<Vec<PathBuf>, (PathBuf, String)> {
    let folder = file.with_file_name(DROP_INS);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err((folder, error.to_string())),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| (folder.clone(), error.to_string()))?
            .path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension() == Some(OsStr::new("toml")) && !hidden {
            files.push(path);
        }
    }
    if files.len() > DROP_IN_FILES {
        return Err((folder, format!("more than {DROP_IN_FILES} files")));
    }
    files.sort();
    Ok(files)
}

fn source(path: &Path) -> Result<Source, Fault> {
    let (octets, readers) =
        secrets::read_file(path, FILE_OCTETS).map_err(|why| whole_file(path, &why))?;
    match String::from_utf8(octets) {
        Ok(text) => Ok(Source {
            path: path.to_owned(),
            text,
            readers,
        }),
        Err(error) => {
            let line = error
                .as_bytes()
                .iter()
                .take(error.utf8_error().valid_up_to())
                .filter(|octet| **octet == b'\n')
                .count()
                + 1;
            Err(Fault {
                line,
                column: 1,
                what: "The line is not UTF-8.".to_owned(),
                mend: "Save the file as UTF-8.".to_owned(),
                ..whole_file(path, "")
            })
        }
    }
}

fn whole_file(path: &Path, why: &str) -> Fault {
    Fault {
        file: path.to_owned(),
        line: 0,
        column: 0,
        what: format!("It cannot be read: {why}."),
        mend: "See that it is there and that sekisho may read it.".to_owned(),
    }
}
