//! Reads the file into the settings that each room defined.
//!
//! Strict: an unknown key is a fault; every fault is found at once, each with file, line, column and mend. Not here:
//! what the settings do.

use std::path::{Path, PathBuf};

use crate::{access, channel, control, directory, server, store, telemetry};

/// What the daemon starts from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[radius]`, `[client.*]`, `[reply.*]`.
    pub server: server::Settings,
    /// `[directory.*]`, in the order of the file.
    pub directories: Vec<directory::Settings>,
    /// `[login]`, `[zone.*]`, `[[rule]]`, and more.
    pub access: access::Settings,
    /// `[sms]`, `[voice]`.
    pub channel: channel::Settings,
    /// `[store]`, `[limits]`.
    pub store: store::Settings,
    /// `[metrics]`, `[log]`.
    pub telemetry: telemetry::Settings,
    /// `[control]`.
    pub control: control::Settings,
    /// What may be meant otherwise than written: shown by `check`, logged by `serve`.
    pub warnings: Vec<Fault>,
}

/// A fault in the file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 when the fault has no place (a missing table).
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong, as a sentence.
    pub what: String,
    /// What mends it, as a sentence.
    pub mend: String,
}

/// The configuration's usual place.
pub const FILE: &str = "/etc/sekisho/sekisho.toml";

/// Reads `sekisho.toml` and the `conf.d/*.toml` beside it.
///
/// # Errors
///
/// Every fault found.
pub fn read(file: &Path) -> Result<Settings, Vec<Fault>> {
    todo!()
}
