//! The command line, as people and scripts use it.

mod certificates;
mod control;
mod desk;
mod gear;
mod import;
mod init;
mod manual;
mod nagios;
pub mod sessions;
mod start;
mod usage;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use sekisho::cli::Exit;

/// Runs a command inside this process, and returns its exit and what it wrote.
fn run(arguments: &[&str]) -> (Exit, String) {
    let mut out = Vec::new();
    let arguments = ["sekisho"].iter().chain(arguments).map(OsString::from);
    let exit = sekisho::cli::run(arguments, &mut out, false);
    (exit, String::from_utf8(out).unwrap())
}

/// Runs the binary itself.
fn binary(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sekisho"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn write(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}
