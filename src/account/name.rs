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

/// Octets of what has to be escaped, as far as they are shown.
const ODD_OCTETS: usize = 64;

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

impl BadName {
    /// The fault with what it is about, safe to show.
    #[must_use]
    pub fn said_of(self, typed: &[u8]) -> String {
        let domain = typed.split(|octet| *octet == b'\\').next();
        match (self, domain) {
            (Self::UnknownRealm, Some(domain)) if domain.len() < typed.len() => {
                format!("no directory has the domain {}", shown(domain))
            }
            (Self::UnknownRealm, _) => "no directory takes names without realm".to_owned(),
            (Self::Empty | Self::TooLong | Self::NotUtf8 | Self::Character, _) => self.to_string(),
        }
    }
}

/// Octets that may be no name, as text in which nothing is lost and nothing passes for something else: what no name has is
/// escaped, and what is cut ends in "…".
#[must_use]
pub fn shown(octets: &[u8]) -> String {
    let end = match std::str::from_utf8(octets) {
        Ok(text) if text.len() <= NAME_OCTETS && !text.chars().any(is_odd) => {
            return text.to_owned();
        }
        Ok(text) => text.floor_char_boundary(ODD_OCTETS),
        Err(_) => ODD_OCTETS,
    };
    let part = octets.get(..end).unwrap_or(octets);
    let mut text = String::with_capacity(part.len());
    for chunk in part.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\0' => text.push_str("\\0"),
                '\\' => text.push_str("\\\\"),
                c if is_odd(c) => text.extend(c.escape_default()),
                c => text.push(c),
            }
        }
        let escaped = chunk.invalid().iter().copied();
        text.extend(escaped.flat_map(std::ascii::escape_default).map(char::from));
    }
    if part.len() < octets.len() {
        text.push('…');
    }
    text
}

/// Forbidden, or not to be told from what is.
fn is_odd(c: char) -> bool {
    is_forbidden(c) || (c.is_whitespace() && c != ' ')
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

    #[test]
    fn what_is_no_name_is_shown_escaped_and_bounded() {
        for (octets, text) in [
            ("山田".as_bytes(), "山田"),
            (b"", ""),
            (b"OTHER\\taro", "OTHER\\taro"),
            (b"a\nb\x00", "a\\nb\\0"),
            ("ta\u{202e}ro".as_bytes(), "ta\\u{202e}ro"),
            (b"ta\\u{202e}ro\0", "ta\\\\u{202e}ro\\0"),
            ("山\u{200b}田".as_bytes(), "山\\u{200b}田"),
            (b"taro\xff\xfe", "taro\\xff\\xfe"),
            ("a b\u{3000}c".as_bytes(), "a b\\u{3000}c"),
            (b"\x1b[31m\r", "\\u{1b}[31m\\r"),
        ] {
            assert_eq!(shown(octets), text);
        }
        assert_eq!(shown(&[0xff; 200]), "\\xff".repeat(ODD_OCTETS) + "…");
        let long = "山".repeat(50);
        assert_eq!(shown(long.as_bytes()), long);
        let odd = long + "\0";
        assert_eq!(shown(odd.as_bytes()), "山".repeat(21) + "…");
    }

    #[test]
    fn an_unknown_domain_is_named() {
        let said = |name: &str| {
            let bad = key(name).unwrap_err();
            bad.said_of(name.as_bytes())
        };
        assert_eq!(said("OTHER\\taro"), "no directory has the domain OTHER");
        assert_eq!(said("ta\0ro"), "name holds a character that no name has");
        let nobody = TypedName::parse(b"taro")
            .unwrap()
            .resolve(&Realms::default());
        assert_eq!(
            nobody.unwrap_err().said_of(b"taro"),
            "no directory takes names without realm"
        );
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
