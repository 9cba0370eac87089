//! `init`: from the answers to a few questions to a configuration that is right.
//!
//! Not here: what is right, which `config` says, and what the directory shows, which `daemon` looks at.

mod client;
mod dialog;
mod directory;

use std::path::Path;

use serde_json::json;

use super::args::Init;
use super::draft::{Draft, occupied};
use super::terminal::{Page, plain};
use super::{Ended, Exit, Failure, check, one_thread};
use crate::config::{self, Fault, Settings};
use crate::daemon::{self, Probed};
use client::Client;
use dialog::Dialog;
use directory::Directory;

/// Rounds of the same questions, after which nothing is written.
const ROUNDS: u8 = 10;

/// What stands for gear while only the directory is known.
const NO_CLIENT: &str = "no-gear-yet";

pub(super) fn init(wanted: &Init, file: &Path, page: &mut Page<'_>) -> Ended {
    if page.is_json() && !wanted.yes {
        return Err(Failure::usage("--json asks nobody: it needs --yes."));
    }
    let file = &std::path::absolute(file)?;
    let folder = file.parent().unwrap_or_else(|| Path::new("/"));
    // Said before anybody answers questions in vain.
    if let Some(there) = Draft::new(folder).in_the_way(file) {
        return Err(occupied(&there));
    }
    let mut dialog = Dialog {
        asks: !wanted.yes,
        options: true,
        page,
    };
    if dialog.asks {
        dialog.page.line(format!(
            "What is answered here is written to {} at the end.",
            file.display()
        ))?;
        dialog.page.line("Enter takes what stands in brackets.")?;
    }
    let directory = directory(wanted, folder, &mut dialog)?;
    let client = client(wanted, folder, &directory, &mut dialog)?;
    let draft = draft(folder, &directory, Some(&client));
    draft.write(file)?;
    told(file, &client, page)
}

/// Asks for the directory until it is right, and as the directory itself shows it.
fn directory(
    wanted: &Init,
    folder: &Path,
    dialog: &mut Dialog<'_, '_>,
) -> Result<Directory, Failure> {
    heading(dialog, "The directory")?;
    let mut before = None;
    for _ in 0..ROUNDS {
        let said = Directory::ask(wanted, before.as_ref(), dialog)?;
        let settings = draft(folder, &said, None).read();
        let is_right = match settings {
            Err(faults) => again(&faults, dialog)?,
            Ok(_) if wanted.no_probe => true,
            Ok(settings) => probe(&settings, dialog)?,
        };
        if is_right {
            return Ok(said);
        }
        before = Some(said);
        dialog.options = false;
    }
    Err(Failure::new(
        "It is still not right, and nothing is written.",
    ))
}

fn client(
    wanted: &Init,
    folder: &Path,
    directory: &Directory,
    dialog: &mut Dialog<'_, '_>,
) -> Result<Client, Failure> {
    dialog.options = true;
    heading(dialog, "The first gear that asks by RADIUS")?;
    let mut before = None;
    for _ in 0..ROUNDS {
        let said = Client::ask(wanted, before.as_ref(), dialog)?;
        let draft = draft(folder, directory, Some(&said));
        let mut files = draft.secret_files().into_iter();
        if let Some(there) = files.find(|file| file.symlink_metadata().is_ok()) {
            return Err(occupied(&there));
        }
        match draft.read() {
            Ok(_) => return Ok(said),
            Err(faults) => again(&faults, dialog)?,
        };
        before = Some(said);
        dialog.options = false;
    }
    Err(Failure::new(
        "It is still not right, and nothing is written.",
    ))
}

fn heading(dialog: &mut Dialog<'_, '_>, text: &str) -> Result<(), Failure> {
    if dialog.asks {
        dialog.page.gap()?;
        let text = dialog.page.strong(text);
        dialog.page.line(text)?;
    }
    Ok(())
}

/// Tells what is wrong; without anybody to ask, that is the end. Never true: it must be said anew.
fn again(faults: &[Fault], dialog: &mut Dialog<'_, '_>) -> Result<bool, Failure> {
    let lines = faults
        .iter()
        .map(|fault| format!("{} {}", plain(&fault.what), plain(&fault.mend)));
    let lines: Vec<String> = lines.collect();
    if !dialog.asks {
        return Err(Failure::new(format!(
            "Nothing is written:\n{}",
            lines.join("\n")
        )));
    }
    for line in lines {
        let line = dialog.page.bad(&line);
        dialog.page.line(format!("  {line}"))?;
    }
    Ok(false)
}

/// Looks at the directory; whether to go on with it.
fn probe(settings: &Settings, dialog: &mut Dialog<'_, '_>) -> Result<bool, Failure> {
    let seen = one_thread()?.block_on(daemon::probe_directories(settings));
    let wrong = |part: &Probed| {
        let fault = part.fault.as_ref()?;
        Some(format!("{}: {}", plain(&part.name), plain(fault)))
    };
    let faults: Vec<String> = seen.iter().filter_map(wrong).collect();
    if !dialog.asks && !faults.is_empty() {
        return Err(Failure::new(format!(
            "Nothing is written: the directory is not so. --no-probe writes without looking.\n{}",
            faults.join("\n")
        )));
    }
    if !dialog.page.is_json() {
        for part in &seen {
            check::seen(part, dialog.page)?;
        }
    }
    if faults.is_empty() {
        return Ok(true);
    }
    // One server of two may be down today.
    Ok(!dialog.yes("Answer again?")?)
}

/// The whole file, as far as it is known.
fn draft(folder: &Path, directory: &Directory, client: Option<&Client>) -> Draft {
    let mut draft = Draft::new(folder);
    draft.remark("The configuration of Sekisho. Every key is in sekisho.toml(5). What is changed here holds after `systemctl reload sekisho`; `sekisho check` says before whether it is right.");
    draft.gap();
    draft.table(&["radius"]);
    draft.texts("listen", &["[::]:1812"]);
    draft.texts("accounting", &["[::]:1813"]);
    draft.gap();
    draft.remark("For Prometheus on this machine.");
    draft.table(&["metrics"]);
    draft.text("listen", "127.0.0.1:9812");
    draft.gap();
    directory.write(&mut draft);
    draft.gap();
    match client {
        Some(client) => client.write(&mut draft),
        None => Client::placeholder(NO_CLIENT).write(&mut draft),
    }
    draft.gap();
    draft.remark("Rules are read from the top, and the first that matches holds. On the campus the password can be enough, once the gear says where people are (station, above):");
    for line in [
        "#[zone.campus]",
        "#networks = [\"203.0.113.0/24\"]",
        "#[[rule]]",
        "#zone = \"campus\"",
        "#then = \"password-only\"",
    ] {
        draft.line(line);
    }
    draft.line("[[rule]]");
    draft.text("then", "ask");
    draft.gap();
    draft.remark("The portal, where people pair phones, enrol apps and see their logins:");
    for line in [
        "#[portal]",
        "#url = \"https://mfa.example.ac.jp\"",
        "#listen = [\"[::]:8443\"]",
        "#certificate = \"/etc/sekisho/tls/portal.pem\"",
        "#certificate-key = \"/etc/sekisho/tls/portal.key\"",
    ] {
        draft.line(line);
    }
    draft
}

/// Reads what was written as the daemon will, and says what comes next.
fn told(file: &Path, client: &Client, page: &mut Page<'_>) -> Ended {
    let settings = match config::read(file) {
        Ok(settings) => settings,
        Err(faults) => return check::faulty(&faults, page),
    };
    let made = client.made_secret();
    if page.is_json() {
        page.object(&json!({
            "file": file, "client": client.name(), "secret": made, "warnings": settings.warnings,
        }))?;
        return Ok(Exit::Done);
    }
    page.gap()?;
    page.line(format!("{} is written.", file.display()))?;
    check::warnings(&settings, page)?;
    if let Some(secret) = made {
        let secret = page.strong(secret);
        page.line(format!(
            "The secret to share with {}, shown this once: {secret}",
            client.name()
        ))?;
    }
    let method = client.method();
    page.line(format!(
        "On the gear: RADIUS to this host, port 1812, by {}.",
        method.to_uppercase()
    ))?;
    if method == "eap" {
        page.line("It needs a certificate: see [eap] in sekisho.toml(5).")?;
    }
    page.line(client.advice())?;
    page.gap()?;
    page.line("Next:")?;
    for (command, what) in [
        (
            "systemctl enable --now sekisho",
            "starts it, now and at each boot",
        ),
        (
            "sekisho user enrol-totp NAME",
            "an app with codes for somebody",
        ),
        ("sekisho try NAME", "a login as the gear would do it"),
    ] {
        page.line(format!("    {command:<32}{}", page.faint(what)))?;
    }
    Ok(Exit::Done)
}
