//! People: found by a name as it is typed or printed, shown, listed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use unicode_normalization::UnicodeNormalization;

use super::{Acts, Refused};
use crate::access::reason_of;
use crate::account::{AccountId, BadName, Realms, TypedName, Who};
use crate::control::protocol::{AccountShown, Answer, Cause, LIST_ROWS};
use crate::directory::{Entry, Found, State};

/// How long the directory may take for an operator's question.
const FIND_TIME: Duration = Duration::from_secs(10);

/// A person found in the directory.
pub(in crate::control) struct Person {
    pub(super) entry: Arc<Entry>,
    pub(super) who: Who,
}

impl Person {
    pub(in crate::control) fn id(&self) -> &AccountId {
        &self.entry.id
    }
}

impl Acts {
    /// Reads a name as a login would, or as screens and log print it: the directory's name, a slash, the name.
    pub(in crate::control) fn who(&self, user: &str) -> Result<Who, Refused> {
        let printed = user.split_once('/').and_then(|(directory, name)| {
            let known = (self.doors.directories)();
            let (directory, _) = known.into_iter().find(|(known, _)| **known == *directory)?;
            let mut alone = Realms::default();
            alone.add(&directory, &[], &[]);
            Some((alone, name))
        });
        let read = |name: &str, realms: &Realms| {
            TypedName::parse(name.as_bytes()).and_then(|name| name.resolve(realms))
        };
        match printed {
            Some((directory, name)) => read(name, &directory),
            None => read(user, &self.rooms.access.settings().realms),
        }
        .map_err(|bad| match bad {
            BadName::UnknownRealm => Refused::by(
                Cause::UnknownRealm,
                format!(
                    "{user:?} cannot be looked up: {}. Type the name alone, or add the domain to `domains` of a directory.",
                    bad.said_of(user.as_bytes())
                ),
            ),
            bad => Refused::by(Cause::BadName, format!("Nobody can have this name: {bad}.")),
        })
    }

    pub(in crate::control) async fn person(&self, user: &str) -> Result<Person, Refused> {
        let who = self.who(user)?;
        let (_, directory) = (self.doors.directories)()
            .into_iter()
            .find(|(name, _)| *name == who.directory)
            .ok_or_else(|| Refused::from(format!("There is no directory {}.", who.directory)))?;
        let user = who.user.to_string();
        match directory.find(&user, Instant::now() + FIND_TIME).await {
            Ok(Found::One(entry)) => Ok(Person { entry, who }),
            Ok(Found::Nobody) => {
                let why = format!("The directory has nobody called {user}.");
                Err(Refused::by(Cause::Nobody { user }, why))
            }
            Ok(Found::Several) => {
                let why = format!("The directory has several called {user}.");
                Err(Refused::by(Cause::Several { user }, why))
            }
            Err(error) => Err(Refused::by(
                Cause::DirectoryUnavailable,
                format!("The directory could not be asked: {error}."),
            )),
        }
    }

    /// A spelling of the name that a login could have.
    pub(super) fn spelled(&self, user: &str) -> Result<String, Refused> {
        let who = self.who(user)?;
        let realms = &self.rooms.access.settings().realms;
        let means_her = |name: &str| {
            TypedName::parse(name.as_bytes())
                .and_then(|name| name.resolve(realms))
                .is_ok_and(|other| other == who)
        };
        [user, &who.user]
            .into_iter()
            .find(|name| means_her(name))
            .map(str::to_owned)
            .ok_or_else(|| {
                let (name, directory) = (&who.user, &who.directory);
                Refused::from(format!(
                    "Type {name} with a realm or domain of the directory {directory}."
                ))
            })
    }

    pub(super) async fn show(&self, user: &str, uid: u32) -> Result<Answer, Refused> {
        let person = self.person(user).await?;
        let known = self.rooms.store.known(person.id()).await?;
        let (factors, locked_until, reported, remembered) =
            known.map_or_else(Default::default, |known| {
                let (locked, reported) = (known.locked_until, known.reported);
                (known.factors, locked, reported, known.remembered)
            });
        let entry = &person.entry;
        // Root can read the directory's password, and so the numbers.
        let phone = |phone: &String| match uid {
            0 => phone.clone(),
            _ => phone_end(phone),
        };
        Ok(Answer::Account(Box::new(AccountShown {
            user: person.who.user.to_string(),
            account: entry.id.to_string(),
            dn: entry.dn.to_string(),
            barred: match entry.state {
                State::Usable => None,
                State::Barred(refusal) => Some(reason_of(refusal)),
            },
            phones: entry.phones.iter().map(phone).collect(),
            groups: entry.groups.iter().map(ToString::to_string).collect(),
            factors,
            locked_until,
            reported,
            sessions: self.rooms.store.sessions(person.id()).await?,
            remembered,
        })))
    }

    pub(super) async fn list(&self, after: Option<String>) -> Result<Answer, Refused> {
        // As printed, or as typed.
        let after = after.map(|name| match self.who(&name) {
            Ok(who) => who.key.to_string(),
            Err(_) => name,
        });
        let accounts = self.rooms.store.accounts(after, LIST_ROWS).await?;
        Ok(Answer::Accounts { accounts })
    }
}

/// The last four digits: enough to recognise a number, too little to call it.
fn phone_end(phone: &str) -> String {
    // Directories have numbers in full-width digits, too.
    let digits: Vec<char> = phone.nfkc().filter(char::is_ascii_digit).collect();
    let end = digits.len().saturating_sub(4);
    let shown: String = digits.into_iter().skip(end).collect();
    format!("…{shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_number_is_shown() {
        assert_eq!(phone_end("+81 90-1234-5678"), "…5678");
        assert_eq!(phone_end("０９０−１２３４−５６７８"), "…5678");
        assert_eq!(phone_end("12"), "…12");
    }
}
