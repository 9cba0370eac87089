//! Files of `word name { key = value }`, as those of FreeRADIUS are: quotes, remarks, `$INCLUDE` and `${reference}`.
//!
//! Read within bounds: files, octets, depth and number of items. Conditions of its policy language are passed over as sections
//! that nobody asks for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::notes::{Notes, Place};
use super::{base_of, text_of};

/// Most files that include each other.
const FILES: usize = 1000;
/// Octets of them all.
const OCTETS: usize = 16 << 20;
/// How deep files include each other.
const INCLUDED: usize = 10;
/// How deep sections stand in sections.
const DEPTH: usize = 32;
/// Sections and keys of all files.
const ITEMS: usize = 200_000;

/// What stands in a section.
#[derive(Debug)]
pub(super) enum Item {
    /// `key = value`; no value if it refers to something that is not known.
    Pair {
        key: String,
        value: Option<String>,
        place: Place,
    },
    /// A section in it.
    Section(Section),
}

/// `word name { … }`.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) word: String,
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) items: Vec<Item>,
}

impl Section {
    /// The sections of a word in it.
    pub(super) fn sections<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a Self> {
        self.items.iter().filter_map(move |item| match item {
            Item::Section(section) if section.word == word => Some(section),
            Item::Section(_) | Item::Pair { .. } => None,
        })
    }

    /// Its keys.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, Option<&str>, &Place)> {
        self.items.iter().filter_map(|item| match item {
            Item::Pair { key, value, place } => Some((key.as_str(), value.as_deref(), place)),
            Item::Section(_) => None,
        })
    }

    /// The value of a key, the last if it is given twice.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.pairs().filter(|(own, ..)| *own == key);
        values.by_ref().last().and_then(|(_, value, _)| value)
    }
}

/// Reads a file with all that it includes. `root` is what `${confdir}` means.
pub(super) fn read(file: &Path, root: &Path, notes: &mut Notes) -> Section {
    let root_text = root.display().to_string();
    let mut reader = Reader {
        open: vec![section("", "", &place(file, 1))],
        known: ["confdir", "raddbdir"]
            .map(|name| (name.to_owned(), root_text.clone()))
            .into(),
        including: Vec::new(),
        files: 0,
        octets: 0,
        items: 0,
        notes,
    };
    reader.include(file, &place(file, 1));
    reader.whole()
}

fn place(file: &Path, line: usize) -> Place {
    Place {
        file: file.into(),
        line,
    }
}

fn section(word: &str, name: &str, place: &Place) -> Section {
    Section {
        word: word.to_owned(),
        name: name.to_owned(),
        place: place.clone(),
        items: Vec::new(),
    }
}

struct Reader<'a> {
    /// The sections that are open, the outermost first.
    open: Vec<Section>,
    /// What `${name}` means.
    known: BTreeMap<String, String>,
    /// The files that are being read, each included by the one before.
    including: Vec<PathBuf>,
    files: usize,
    octets: usize,
    items: usize,
    notes: &'a mut Notes,
}

impl Reader<'_> {
    fn whole(mut self) -> Section {
        while self.open.len() > 1 {
            if let Some(section) = self.open.last() {
                let place = section.place.clone();
                self.notes.add(&place, "This section is never closed.");
            }
            self.close();
        }
        self.open
            .pop()
            .unwrap_or_else(|| section("", "", &place(Path::new(""), 1)))
    }

    /// Reads a file, or the files of a folder by name; `from` is the line that names it.
    fn include(&mut self, path: &Path, from: &Place) {
        if !path.is_dir() {
            self.include_file(path, from);
            return;
        }
        let Ok(entries) = fs::read_dir(path) else {
            self.notes
                .add(from, format!("{} cannot be read.", path.display()));
            return;
        };
        let sound = |name: &str| {
            !name.starts_with('.')
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        };
        let mut files: Vec<PathBuf> = entries
            .take(FILES)
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|file| {
                file.file_name()
                    .and_then(|name| name.to_str())
                    .is_some_and(sound)
            })
            .collect();
        files.sort();
        for file in files.iter().filter(|file| !file.is_dir()) {
            self.include_file(file, from);
        }
    }

    fn include_file(&mut self, path: &Path, from: &Place) {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let why = match () {
            () if self.including.contains(&real) => "it includes itself",
            () if self.including.len() == INCLUDED => "it is included too deep",
            () if self.files == FILES => "there are too many files",
            () => "",
        };
        if !why.is_empty() {
            self.notes
                .add(from, format!("{} is not read: {why}.", path.display()));
            return;
        }
        let text = match text_of(path) {
            Ok(text) => text,
            Err(failure) => {
                self.notes.add(from, failure.why);
                return;
            }
        };
        self.files += 1;
        self.octets += text.len();
        if self.octets > OCTETS {
            self.notes.add(
                from,
                format!(
                    "{} is not read: all files together are too long.",
                    path.display()
                ),
            );
            return;
        }
        self.including.push(real);
        let depth = self.open.len();
        self.lines(path, &text);
        self.including.pop();
        if self.open.len() < depth {
            self.notes.add(
                from,
                format!("{} closes sections that it did not open.", path.display()),
            );
        }
    }

    fn lines(&mut self, path: &Path, text: &str) {
        let file: Arc<Path> = path.into();
        let mut joined = Zeroizing::new(String::new());
        for (at, line) in text.lines().enumerate() {
            if let Some(begun) = line.strip_suffix('\\') {
                joined.push_str(begun);
                continue;
            }
            joined.push_str(line);
            let place = Place {
                file: file.clone(),
                line: at + 1,
            };
            self.line(&joined, &place);
            joined.clear();
            if self.items >= ITEMS {
                self.notes.add(
                    &place,
                    format!("There are more than {ITEMS} entries: the rest is not read."),
                );
                return;
            }
        }
    }

    /// One line: mostly one entry, but `limit { a = 1 }` is allowed.
    fn line(&mut self, line: &str, place: &Place) {
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with('#') {
            self.items += 1;
            if let Some(after) = rest.strip_prefix('}') {
                if self.open.len() > 1 {
                    self.close();
                } else {
                    self.notes.add(place, "This closes nothing.");
                }
                rest = after.trim_start();
                continue;
            }
            if let Some(path) = ["$INCLUDE", "$-INCLUDE"]
                .into_iter()
                .find_map(|word| rest.strip_prefix(word))
            {
                self.include_named(path, place);
                return;
            }
            rest = self
                .entry(rest, place)
                .trim_start_matches([' ', '\t', ';', ',']);
        }
    }

    fn include_named(&mut self, text: &str, place: &Place) {
        let (name, _) = value(text.trim_start());
        let Some(name) = self.expand(&name).filter(|name| !name.is_empty()) else {
            self.notes.add(place, "It is not known what this includes.");
            return;
        };
        let path = base_of(&place.file).join(name);
        self.include(&path, place);
    }

    /// `word {`, `word name {`, `key = value` or a word alone; gives what is behind it.
    fn entry<'t>(&mut self, line: &'t str, place: &Place) -> &'t str {
        let (word, rest) = word(line);
        let rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('{') {
            self.open_section(&word, "", place);
            return rest;
        }
        if let Some(behind) = operator(rest) {
            let (text, rest) = value(behind.trim_start());
            self.pair(&word, &text, place);
            return rest;
        }
        let (name, behind) = value(rest);
        if let Some(behind) = behind.trim_start().strip_prefix('{') {
            let name = self.expand(&name).unwrap_or_default();
            self.open_section(&word, &name, place);
            return behind;
        }
        // A condition, or a word of the policy language.
        if rest.trim_end().ends_with('{') {
            self.open_section(&word, "", place);
        }
        ""
    }

    fn pair(&mut self, key: &str, text: &str, place: &Place) {
        let value = self.expand(text);
        let outermost = self.open.len() == 1;
        if let Some(value) = value.as_ref().filter(|_| outermost) {
            self.known.insert(key.to_owned(), value.clone());
        }
        self.add(Item::Pair {
            key: key.to_ascii_lowercase(),
            value,
            place: place.clone(),
        });
    }

    fn open_section(&mut self, word: &str, name: &str, place: &Place) {
        if self.open.len() == DEPTH {
            self.notes.add(
                place,
                "Sections stand too deep in sections: this one is read as its outer one.",
            );
            // Its end will close something: let it be an equal.
            self.close();
        }
        self.open
            .push(section(&word.to_ascii_lowercase(), name, place));
    }

    fn close(&mut self) {
        if let Some(section) = self.open.pop() {
            self.add(Item::Section(section));
        }
    }

    fn add(&mut self, item: Item) {
        if let Some(open) = self.open.last_mut() {
            open.items.push(item);
        }
    }

    /// A text in which each `${name}` is what it means; nothing if one is not known.
    fn expand(&self, text: &str) -> Option<String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            let (name, after) = behind.split_once('}')?;
            expanded.push_str(before);
            expanded.push_str(self.meant(name)?);
            rest = after;
        }
        expanded.push_str(rest);
        (expanded.len() <= OCTETS).then_some(expanded)
    }
}

impl Reader<'_> {
    /// What a reference means: `name` of the outermost level, `.name` of this section, `..name` of the one around it.
    fn meant(&self, name: &str) -> Option<&str> {
        let outer = name.trim_start_matches('.');
        let Some(levels) = name.len().checked_sub(outer.len()).filter(|dots| *dots > 0) else {
            return self.known.get(name).map(String::as_str);
        };
        let section = self.open.iter().rev().nth(levels - 1)?;
        section.get(&outer.to_ascii_lowercase())
    }
}

/// A word before a brace, an operator, a blank or a remark.
fn word(line: &str) -> (String, &str) {
    let end = line
        .find(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | '=' | '#' | '"' | '\''))
        .unwrap_or(line.len());
    // `:=` and the like begin with another sign.
    let (word, rest) = line.split_at_checked(end).unwrap_or((line, ""));
    let bare = word.trim_end_matches([':', '+', '!']);
    match rest.starts_with('=') && bare.len() < word.len() {
        true => (bare.to_owned(), line.get(bare.len()..).unwrap_or_default()),
        false => (word.to_owned(), rest),
    }
}

/// What stands behind an operator, if there is one.
fn operator(text: &str) -> Option<&str> {
    [":=", "+=", "!=", "==", "="]
        .into_iter()
        .find_map(|operator| text.strip_prefix(operator))
}

/// A value, quoted or bare, and what is behind it.
fn value(text: &str) -> (String, &str) {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(text, quote),
        Some(_) => bare(text),
        None => (String::new(), ""),
    }
}

/// Without blanks, but for those within `${…}` and `%{…}`.
fn bare(text: &str) -> (String, &str) {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if depth > 0 || matches!(before, '$' | '%') => depth += 1,
            '}' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            c if c.is_whitespace() || matches!(c, '{' | '}' | ';') => {
                let (value, rest) = text.split_at_checked(at).unwrap_or((text, ""));
                return (value.trim_end_matches(',').to_owned(), rest);
            }
            _ => {}
        }
        before = c;
    }
    (text.trim_end_matches(',').to_owned(), "")
}

/// Between quotes; a backslash takes the meaning of what follows it.
fn quoted(text: &str, quote: char) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, c)) = letters.next() {
        if c == quote {
            return (value, text.get(at + 1..).unwrap_or_default());
        }
        if c != '\\' {
            value.push(c);
            continue;
        }
        match letters.next() {
            Some((_, 'n')) if quote == '"' => value.push('\n'),
            Some((_, 'r')) if quote == '"' => value.push('\r'),
            Some((_, 't')) if quote == '"' => value.push('\t'),
            Some((at, '0'..='7')) if quote == '"' => {
                let digits = text.get(at..at + 3).unwrap_or_default();
                match u8::from_str_radix(digits, 8) {
                    Ok(octet) => {
                        value.push(char::from(octet));
                        letters.nth(1);
                    }
                    Err(_) => value.push('\\'),
                }
            }
            Some((_, c)) if c == quote || c == '\\' => value.push(c),
            Some((_, c)) => value.extend(['\\', c]),
            None => value.push('\\'),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests;
