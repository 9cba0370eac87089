//! The questions about the first gear, and the table that comes of them.

use std::path::Path;

use super::dialog::{Dialog, Question};
use crate::cli::args::Init;
use crate::cli::draft::Draft;
use crate::cli::terminal::ask;
use crate::cli::{Failure, upkeep};
use crate::config::{GENERIC, PROFILES, Profile};
use crate::secret::Secret;

/// Octets of a secret made here, before they are written as text.
const SECRET_OCTETS: u16 = 32;

/// What was said of the gear.
pub(super) struct Client {
    name: String,
    addresses: Vec<String>,
    profile: &'static Profile,
    secret: Secret,
    /// Whether the secret was made here, so that somebody must be told.
    made: bool,
}

impl Client {
    /// Asks; what was said in an earlier round is suggested.
    pub(super) fn ask(
        wanted: &Init,
        before: Option<&Self>,
        dialog: &mut Dialog<'_, '_>,
    ) -> Result<Self, Failure> {
        let name = Question {
            text: "Its name here",
            option: "--client",
            suggestion: "vpn",
        };
        let given = before.map(|before| before.name.as_str());
        let name = dialog.answer(&name, given.or(wanted.client.as_deref()))?;
        let addresses = Question {
            text: "The addresses it asks from, with spaces between",
            option: "--address",
            suggestion: "",
        };
        let given = before.map_or(&wanted.addresses, |before| &before.addresses);
        let addresses = dialog.answers(&addresses, given)?;
        let given = before.map(|before| before.profile.name);
        let profile = ask_profile(given.or(wanted.profile.as_deref()), dialog)?;
        let (secret, made) = match before {
            Some(before) => (before.secret.clone(), before.made),
            None => secret(wanted, dialog)?,
        };
        Ok(Self {
            name,
            addresses,
            profile,
            secret,
            made,
        })
    }

    /// Gear that is only there so that the rest can be read.
    pub(super) fn placeholder(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            addresses: vec!["127.0.0.1".to_owned()],
            profile: &GENERIC,
            secret: Secret::from(name),
            made: false,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The secret, if nobody knows it yet.
    pub(super) fn made_secret(&self) -> Option<&str> {
        self.secret.expose_str().filter(|_| self.made)
    }

    /// How it hands over what was typed, as `method` has it.
    pub(super) fn method(&self) -> &'static str {
        self.profile.method.as_str()
    }

    /// What makes the gear wait for a person.
    pub(super) fn advice(&self) -> &'static str {
        self.profile.raise
    }

    /// Writes the table.
    pub(super) fn write(&self, draft: &mut Draft) {
        draft.remark("Gear that may ask. Several boxes that are one to people are one client with several addresses.");
        draft.table(&["client", &self.name]);
        draft.texts("address", &self.addresses);
        draft.secret(
            "secret-file",
            &format!("{}.secret", self.name),
            Some(self.secret.clone()),
        );
        draft.remark("What the make can show and how long it waits, unless keys below say otherwise; PROFILES in sekisho.toml(5) has the table.");
        draft.text("profile", self.profile.name);
        if self.profile.station.is_empty() {
            draft.remark("The attribute in which it sends the person's own address:");
            draft.line("#station = [\"Calling-Station-Id\"]");
        }
        draft.remark("How long it waits for an answer, once it was made to wait longer:");
        draft.line("#patience = \"60s\"");
        draft.remark("Addresses that it hands out; they are never campus:");
        draft.line("#pool = [\"198.51.100.0/24\"]");
        draft.remark("What people call it:");
        draft.line("#label = { ja = \"VPN(学外接続)\", en = \"VPN\" }");
    }
}

fn ask_profile(
    given: Option<&str>,
    dialog: &mut Dialog<'_, '_>,
) -> Result<&'static Profile, Failure> {
    if dialog.asks && !(given.is_some() && dialog.options) {
        let names = PROFILES.map(|profile| profile.name);
        let (first, second) = names.split_at(names.len() / 2);
        dialog
            .page
            .line(format!("  Makes: {},", first.join(", ")))?;
        dialog
            .page
            .line(format!("         {}", second.join(", ")))?;
    }
    let question = Question {
        text: "Its make",
        option: "--profile",
        suggestion: "generic",
    };
    let mut given = given;
    loop {
        let answer = dialog.answer(&question, given)?;
        if let Some(profile) = Profile::find(&answer) {
            return Ok(profile);
        }
        dialog.page.line("  That is none of them.")?;
        given = None;
    }
}

/// The shared secret, and whether it was made here.
fn secret(wanted: &Init, dialog: &mut Dialog<'_, '_>) -> Result<(Secret, bool), Failure> {
    let typed = match &wanted.secret_file {
        Some(file) => Some(given_secret(file)?),
        None if dialog.asks => dialog.password("The secret shared with it; empty makes one")?,
        None => None,
    };
    match typed {
        Some(secret) => Ok((secret, false)),
        None => Ok((upkeep::random_secret(SECRET_OCTETS)?, true)),
    }
}

fn given_secret(file: &Path) -> Result<Secret, Failure> {
    let secret = ask::first_line(file)?;
    if secret.is_empty() {
        return Err(Failure::new(format!("{} is empty.", file.display())));
    }
    Ok(secret)
}
