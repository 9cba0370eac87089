//! Files of `[section]`s with `key=value` lines, as authproxy.cfg is one.

use std::path::Path;
use std::sync::Arc;

use super::notes::{Notes, Place};

/// Most sections of a file.
const SECTIONS: usize = 1000;
/// Most keys of a file.
const KEYS: usize = 50_000;

/// A section, its keys in lower case and in the order written.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) keys: Vec<Key>,
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) place: Place,
}

impl Section {
    /// The value of a key, the last if it is given twice.
    pub(super) fn get(&self, key: &str) -> Option<&Key> {
        self.keys.iter().rev().find(|own| own.key == key)
    }

    /// The values of `key`, `key_1`, `key_2` …, each with the number as written.
    pub(super) fn numbered(&self, key: &str) -> Vec<(&str, &Key)> {
        let numbered = self.keys.iter().filter_map(|own| {
            let rest = own.key.strip_prefix(key)?;
            let number = match rest.strip_prefix('_') {
                Some(number) => number,
                None if rest.is_empty() => "",
                None => return None,
            };
            number
                .chars()
                .all(|c| c.is_ascii_digit())
                .then_some((number, own))
        });
        numbered.collect()
    }
}

/// Reads the sections; what is no line of any is noted.
pub(super) fn read(file: &Path, text: &str, notes: &mut Notes) -> Vec<Section> {
    let file: Arc<Path> = file.into();
    let mut sections: Vec<Section> = Vec::new();
    let mut room = KEYS;
    for (at, line) in text.lines().enumerate() {
        let place = Place {
            file: file.clone(),
            line: at + 1,
        };
        let stripped = line.trim_start_matches('\u{feff}').trim();
        if stripped.is_empty() || stripped.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = stripped
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            if sections.len() == SECTIONS {
                notes.add(
                    &place,
                    format!("There are more than {SECTIONS} sections: the rest is not read."),
                );
                break;
            }
            sections.push(Section {
                name: name.0.trim().to_ascii_lowercase(),
                place,
                keys: Vec::new(),
            });
            continue;
        }
        let Some((key, value)) = stripped.split_once(['=', ':']) else {
            notes.add(&place, "This is neither a section nor a key with a value.");
            continue;
        };
        let Some(section) = sections.last_mut() else {
            notes.add(&place, "This stands before the first section.");
            continue;
        };
        if room == 0 {
            notes.add(
                &place,
                format!("There are more than {KEYS} keys: the rest is not read."),
            );
            break;
        }
        room -= 1;
        section.keys.push(Key {
            key: key.trim().to_ascii_lowercase(),
            value: uncommented(value.trim()).to_owned(),
            place,
        });
    }
    sections
}

/// A value without the remark behind it, which a space and a semicolon begin.
fn uncommented(value: &str) -> &str {
    value
        .find(" ;")
        .and_then(|at| value.get(..at))
        .unwrap_or(value)
        .trim_end()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_keys_and_numbers_are_read_with_their_lines() {
        let text = "\u{feff}; remark\nlost=1\n[Main]\ndebug=true\n\n[radius_server_auto2]\nRADIUS_IP_1=192.0.2.1 ; fw\nradius_ip_10: 192.0.2.2\nradius_ip_range=x\nnonsense\n";
        let mut notes = Notes::default();
        let sections = read(Path::new("authproxy.cfg"), text, &mut notes);
        assert_eq!(sections.len(), 2);
        assert_eq!(sections[1].name, "radius_server_auto2");
        let numbered = sections[1].numbered("radius_ip");
        let shown: Vec<_> = numbered
            .iter()
            .map(|(number, key)| (*number, key.value.as_str(), key.place.line))
            .collect();
        assert_eq!(shown, [("1", "192.0.2.1", 7), ("10", "192.0.2.2", 8)]);
        let (notes, _) = notes.sorted();
        let lines: Vec<_> = notes.iter().map(|note| note.line).collect();
        assert_eq!(lines, [2, 10]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>()) {
            let _sections = read(Path::new("f"), &text, &mut Notes::default());
        }
    }
}
