//! `check`: the configuration, read as the daemon would, and probed.

use std::io;
use std::path::Path;

use serde_json::json;

use super::terminal::{Page, plain};
use super::{Ended, Exit, one_thread};
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Fault, Settings};
use crate::daemon::{self, Probed, Watched};

pub(super) fn check(file: &Path, probe: bool, page: &mut Page<'_>) -> Ended {
    let settings = match config::read(file) {
        Ok(settings) => settings,
        Err(faults) => return faulty(&faults, page),
    };
    let probed = if probe {
        one_thread()?.block_on(daemon::probe(&settings))
    } else {
        Vec::new()
    };
    let now = Clock::system().now();
    let certificates = daemon::watched(&settings);
    let exit = if probed.iter().all(|part| part.fault.is_none()) {
        Exit::Done
    } else {
        Exit::Failed
    };
    if page.is_json() {
        page.object(&json!({
            "file": file, "faults": [], "warnings": settings.warnings, "probed": probed,
            "certificates": certificates,
        }))?;
        return Ok(exit);
    }
    warnings(&settings, page)?;
    for certificate in &certificates {
        tell_certificate(certificate, now, page)?;
    }
    page.line(format!(
        "{} is right: {}, {}.",
        file.display(),
        counted(settings.directories.len(), "directory", "directories"),
        counted(settings.server.clients.len(), "client", "clients"),
    ))?;
    for part in &probed {
        seen(part, page)?;
    }
    Ok(exit)
}

/// What is wrong with a certificate: a warning, since whoever connects decides.
fn tell_certificate(certificate: &Watched, now: Timestamp, page: &mut Page<'_>) -> io::Result<()> {
    let lacks = certificate.lacks.iter().map(|lack| {
        let used = certificate.used;
        format!("The certificate of {used}: {}.", lack.as_str())
    });
    for said in certificate.ending(now).into_iter().chain(lacks) {
        let word = page.fair("warning");
        page.line(format!("{word}: {}", plain(&said)))?;
    }
    Ok(())
}

/// Tells what may be meant otherwise than written.
pub(super) fn warnings(settings: &Settings, page: &mut Page<'_>) -> io::Result<()> {
    for warning in &settings.warnings {
        let word = page.fair("warning");
        tell(warning, &word, page)?;
    }
    Ok(())
}

/// Reports every fault of a configuration that cannot be used.
pub(super) fn faulty(faults: &[Fault], page: &mut Page<'_>) -> Ended {
    if page.is_json() {
        page.object(&json!({ "faults": faults, "warnings": [], "probed": [] }))?;
        return Ok(Exit::Config);
    }
    for fault in faults {
        let word = page.bad("fault");
        tell(fault, &word, page)?;
    }
    page.line(format!("{}.", counted(faults.len(), "fault", "faults")))?;
    Ok(Exit::Config)
}

fn tell(fault: &Fault, word: &str, page: &mut Page<'_>) -> io::Result<()> {
    let place = page.strong(&place(fault));
    page.line(format!("{place}: {word}: {}", plain(&fault.what)))?;
    if !fault.mend.is_empty() {
        page.line(format!("    {}", plain(&fault.mend)))?;
    }
    Ok(())
}

/// `file:line:column`, as editors jump to; a fault without a place names the file alone.
fn place(fault: &Fault) -> String {
    let file = fault.file.display();
    match fault.line {
        0 => file.to_string(),
        line => format!("{file}:{line}:{}", fault.column),
    }
}

/// Every fault in a line of its own.
pub(super) fn in_lines(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults
        .iter()
        .map(|fault| {
            format!(
                "{}: {} {}",
                place(fault),
                plain(&fault.what),
                plain(&fault.mend)
            )
        })
        .collect();
    lines.join("\n")
}

/// What was seen of a part.
pub(super) fn seen(part: &Probed, page: &mut Page<'_>) -> io::Result<()> {
    let word = match &part.fault {
        None => page.good(&plain(part.seen.as_deref().unwrap_or("answers"))),
        Some(fault) => page.bad(&format!("fails: {}", plain(fault))),
    };
    page.line(format!("    {} {}: {word}", part.part, plain(&part.name)))
}

/// A number with its noun.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
