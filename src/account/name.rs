//! Names: as typed, as looked up, and the one canonical key of an account.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use caseless::Caseless;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// Longest User-Name that RADIUS can carry, in octets (RFC 2865 §5).
const NAME_OCTETS: usize = 253;

/// Why octets cannot be anybody's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing, or nothing but space.
    #[error("name is empty")]
    Empty,
    /// More than 253 octets.
    #[error("name is longer than 253 octets")]
    TooLong,
    /// Not UTF-8.
    #[error("name is not UTF-8")]
    NotUtf8,
    /// Control, bidi control or unassigned-looking formatting characters, or inner space.
    #[error("name holds a character that no name has")]
    Character,
    /// A realm or Windows domain that no directory answers for.
    #[error("realm is not configured")]
    UnknownRealm,
}

/// A name as somebody typed it: checked, otherwise untouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedName(Arc<str>);

impl TypedName {
    /// Takes the octets of a User-Name.
    ///
    /// # Errors
    ///
    /// When they cannot be a name: see [`BadName`].
    pub fn parse(octets: &[u8]) -> Result<Self, BadName> {
        if octets.len() > NAME_OCTETS {
            return Err(BadName::TooLong);
        }
        let text = std::str::from_utf8(octets).map_err(|_| BadName::NotUtf8)?;
        if text.chars().any(is_forbidden) {
            return Err(BadName::Character);
        }
        if text.trim().is_empty() {
            return Err(BadName::Empty);
        }
        Ok(Self(text.into()))
    }

    /// The text, safe to show.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Finds out who is meant: strips a configured realm (`user@realm`) or domain (`DOMAIN\user`),
    /// names the directory and makes the canonical key.
    ///
    /// # Errors
    ///
    /// [`BadName::UnknownRealm`] for a domain that is not configured, or a name without realm when no directory takes
    /// those; [`BadName::Character`] for space inside the name; [`BadName::Empty`]
    /// when only the realm is there. An `@` before something that is no configured realm belongs to
    /// the name.
    pub fn resolve(&self, realms: &Realms) -> Result<Who, BadName> {
        let typed = self.0.trim();
        // ASCII is its own NFKC.
        let normal: Cow<'_, str> = match typed.is_ascii() {
            true => typed.into(),
            false => typed.nfkc().collect(),
        };
        let (directory, user) = realms.split(normal.trim())?;
        if user.is_empty() {
            return Err(BadName::Empty);
        }
        if user.chars().any(|c| c.is_whitespace() || is_forbidden(c)) {
            return Err(BadName::Character);
        }
        let key = AccountKey(format!("{directory}/{}", fold(user)).into());
        Ok(Who {
            directory: directory.into(),
            user: user.into(),
            key,
        })
    }
}

fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

/// NFKC and full case folding: the form in which two spellings of one name are equal.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkc().default_case_fold().nfkc().collect()
}

/// Who is meant by a typed name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The configured name of the directory to ask.
    pub directory: Arc<str>,
    /// The name to look up: normalised, case kept, without realm or domain.
    pub user: Arc<str>,
    /// The key for everything before the look-up.
    pub key: AccountKey,
}

/// The canonical form of a typed name, for limits before the entry is known. Spellings in another
/// case or width, with realm or domain, have the same key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountKey(Arc<str>);

impl AccountKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads back what [`AccountKey::as_str`] gave.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which directory answers for which realm and Windows domain.
#[derive(Clone, Debug, Default)]
pub struct Realms {
    realms: BTreeMap<String, Arc<str>>,
    domains: BTreeMap<String, Arc<str>>,
    default: Option<Arc<str>>,
}

impl Realms {
    /// Adds a directory. The first one added answers for names without realm.
    pub fn add(&mut self, directory: &str, realms: &[String], domains: &[String]) {
        let directory: Arc<str> = directory.into();
        self.realms
            .extend(realms.iter().map(|realm| (fold(realm), directory.clone())));
        self.domains.extend(
            domains
                .iter()
                .map(|domain| (fold(domain), directory.clone())),
        );
        self.default.get_or_insert(directory);
    }

    fn split<'a>(&self, name: &'a str) -> Result<(&str, &'a str), BadName> {
        if let Some((domain, user)) = name.split_once('\\') {
            let directory = self
                .domains
                .get(&fold(domain))
                .ok_or(BadName::UnknownRealm)?;
            return Ok((directory, user));
        }
        if let Some((user, realm)) = name.rsplit_once('@')
            && let Some(directory) = self.realms.get(&fold(realm))
        {
            return Ok((directory, user));
        }
        let directory = self.default.as_deref().ok_or(BadName::UnknownRealm)?;
        Ok((directory, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realms() -> Realms {
        let mut realms = Realms::default();
        realms.add("campus", &["example.ac.jp".into()], &["EXAMPLE".into()]);
        realms.add("guests", &["guest.example".into()], &[]);
        realms
    }

    fn key(name: &str) -> Result<String, BadName> {
        TypedName::parse(name.as_bytes())?
            .resolve(&realms())
            .map(|who| who.key.as_str().to_owned())
    }

    #[test]
    fn all_spellings_have_one_key() {
        for name in [
            "bob",
            "Bob",
            "BOB ",
            " bob",
            "ｂｏｂ",
            "Ｂob",
            "bob@example.ac.jp",
            "Bob@EXAMPLE.AC.JP",
            "EXAMPLE\\bob",
            "example\\BOB",
            "bob\u{3000}",
        ] {
            assert_eq!(key(name).unwrap(), "campus/bob", "{name:?}");
        }
        assert_eq!(key("bob@guest.example").unwrap(), "guests/bob");
        assert_eq!(key("ＭÜller").unwrap(), key("müLLER").unwrap());
    }

    #[test]
    fn ascii_is_folded_as_the_rest_is() {
        let ascii: String = (0..=127_u8).map(char::from).collect();
        let folded: String = ascii.nfkc().default_case_fold().nfkc().collect();
        assert_eq!(fold(&ascii), folded);
    }

    #[test]
    fn an_at_without_configured_realm_belongs_to_the_name() {
        assert_eq!(
            key("bob@elsewhere.example").unwrap(),
            "campus/bob@elsewhere.example"
        );
    }

    #[test]
    fn names_that_nobody_has_are_refused() {
        assert_eq!(key(""), Err(BadName::Empty));
        assert_eq!(key("  "), Err(BadName::Empty));
        assert_eq!(key("@example.ac.jp"), Err(BadName::Empty));
        assert_eq!(key("taro\0"), Err(BadName::Character));
        assert_eq!(key("ta\u{202e}ro"), Err(BadName::Character));
        assert_eq!(key("ta ro"), Err(BadName::Character));
        assert_eq!(key("OTHER\\taro"), Err(BadName::UnknownRealm));
        assert_eq!(TypedName::parse(&[0xff, 0xfe]), Err(BadName::NotUtf8));
        assert_eq!(TypedName::parse(&[b'a'; 254]), Err(BadName::TooLong));
        assert!(TypedName::parse(&[b'a'; 253]).is_ok());
    }
}
