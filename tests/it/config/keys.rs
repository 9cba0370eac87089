//! The parser, the manual page and the shipped file know the same keys and defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sekisho::config::{keys, parse_text};
use sekisho::server::{PROFILES, Profile, Signs};

type Keys = BTreeSet<(String, String)>;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn known() -> Keys {
    keys()
        .into_iter()
        .map(|key| (key.table, key.key.to_owned()))
        .collect()
}

/// Keys of the manual page, each with its text.
fn page() -> BTreeMap<(String, String), String> {
    page_at("docs/man/sekisho.toml.5")
}

fn page_at(path: &str) -> BTreeMap<(String, String), String> {
    let page = read(path);
    let mut found: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut table = None;
    let mut key = None;
    for line in page.lines() {
        if let Some(title) = line.strip_prefix(".Ss ") {
            let name = title.trim_matches(['[', ']']).to_owned();
            table = title.starts_with('[').then_some(name);
        } else if line.starts_with(".Sh ") {
            table = None;
        } else if let (Some(table), Some(name)) = (&table, line.strip_prefix(".It Ic ")) {
            key = Some((table.clone(), name.to_owned()));
            assert!(!found.contains_key(key.as_ref().unwrap()), "{key:?} twice");
        } else if let (Some(_), Some(key)) = (&table, &key) {
            let text = found.entry(key.clone()).or_default();
            text.push_str(line);
            text.push('\n');
        }
    }
    found
}

fn differing(left: &Keys, right: &Keys) -> String {
    let missing: Vec<_> = right.difference(left).collect();
    let surplus: Vec<_> = left.difference(right).collect();
    format!("missing {missing:?}\nsurplus {surplus:?}")
}

#[test]
fn the_page_has_the_keys_of_the_parser_and_no_others() {
    let page: Keys = page().into_keys().collect();
    assert!(page == known(), "{}", differing(&page, &known()));
}

#[test]
fn the_page_in_japanese_has_the_same_keys_and_bounds() {
    /// Durations and sizes, which are written alike in both.
    fn quoted(text: &str) -> BTreeSet<&str> {
        text.split('"')
            .skip(1)
            .step_by(2)
            .filter(|part| part.starts_with(|c: char| c.is_ascii_digit()))
            .collect()
    }
    let (english, japanese) = (page(), page_at("docs/man/ja/sekisho.toml.5"));
    let keys = |page: &BTreeMap<(String, String), String>| page.keys().cloned().collect::<Keys>();
    let (en, ja) = (keys(&english), keys(&japanese));
    assert!(en == ja, "{}", differing(&ja, &en));
    for (key, text) in &english {
        assert_eq!(quoted(text), quoted(&japanese[key]), "{key:?}");
    }
}

#[test]
fn the_page_quotes_each_default() {
    let page = page();
    for key in keys() {
        if let Some(default) = key.default {
            let text = &page[&(key.table.clone(), key.key.to_owned())];
            assert!(
                text.contains(&format!("Default: {default}")),
                "[{}] {}: {default} is not in {text:?}",
                key.table,
                key.key
            );
        }
    }
}

/// `campus` and `vpn` are what the user chose in the shipped file.
fn table_of(header: &str) -> String {
    header
        .trim_matches(['[', ']'])
        .replace("directory.campus", "directory.NAME")
        .replace("client.vpn", "client.NAME")
        .replace("zone.campus", "zone.NAME")
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

/// The keys of the shipped file, those behind `#` too, each with the line that shows it.
fn shipped() -> Vec<((String, String), String, String)> {
    let mut found = Vec::new();
    let mut header = String::new();
    for line in read("config/sekisho.toml").lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            line.clone_into(&mut header);
        } else if let Some((key, value)) = line.split_once(" = ").filter(|(key, _)| is_key(key)) {
            let name = (table_of(&header), key.to_owned());
            found.push((name, value.to_owned(), format!("{header}\n{line}\n")));
        }
    }
    found
}

#[test]
fn the_shipped_file_has_every_key() {
    // A list of gateways and calls have the keys of [sms], as the file says.
    let short = ["sms.gateway", "voice", "voice.gateway"];
    let known: Keys = known()
        .into_iter()
        .filter(|(table, _)| !short.contains(&table.as_str()))
        .collect();
    let shipped: Keys = shipped()
        .into_iter()
        .map(|(name, ..)| name)
        .filter(|(table, _)| !short.contains(&table.as_str()))
        .collect();
    assert!(shipped == known, "{}", differing(&shipped, &known));
}

#[test]
fn the_shipped_file_shows_defaults() {
    // What is an example there although it has a default: both ways of a code, a gateway's commonest.
    let examples = [("client.NAME", "code"), ("sms", "auth")];
    let shipped = shipped();
    for key in keys() {
        let shown: Vec<_> = shipped
            .iter()
            .filter(|((table, name), ..)| *table == key.table && name == key.key)
            .map(|(_, value, _)| value.clone())
            .collect();
        let Some(default) = key.default else { continue };
        if !shown.is_empty() && !examples.contains(&(key.table.as_str(), key.key)) {
            assert!(
                shown.contains(&default),
                "[{}] {}: {shown:?}, not {default}",
                key.table,
                key.key
            );
        }
    }
}

#[test]
fn each_line_of_the_shipped_file_is_of_the_right_kind() {
    for (name, _, text) in shipped() {
        // Alone, a line leaves much missing; what it says itself must be right.
        let faults = parse_text(&text).err().unwrap_or_default();
        let own: Vec<_> = faults
            .iter()
            .filter(|fault| fault.line == 2)
            .filter(|fault| {
                !fault.what.starts_with("There is no client")
                    && !fault.what.starts_with("There is no zone")
            })
            .filter(|fault| !fault.what.contains("without") && !fault.what.contains("no effect"))
            .collect();
        assert!(own.is_empty(), "{name:?}: {own:#?}");
    }
}

/// What the page must say of a profile, in the words of the file.
fn words_of(profile: &Profile) -> Vec<String> {
    let quoted = |words: Vec<&str>| {
        let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        format!("[{}]", words.join(", "))
    };
    let millis = profile.patience().as_millis();
    let mut said = vec![match millis % 1000 {
        0 => format!("patience \"{}s\"", millis / 1000),
        _ => format!("patience \"{millis}ms\""),
    }];
    let code = profile.code.iter().map(|entry| entry.as_str());
    said.push(format!("code {}", quoted(code.collect())));
    let push = profile.push.iter().map(|mode| mode.as_str());
    said.push(format!("push {}", quoted(push.collect())));
    for (key, words) in [("station", profile.station), ("probes", profile.probes)] {
        said.extend((!words.is_empty()).then(|| format!("{key} {}", quoted(words.to_vec()))));
    }
    if profile.reply_message != "both" {
        said.push(format!("reply-message {:?}", profile.reply_message));
    }
    if profile.signing == Signs::Never {
        said.push("require-message-authenticator false".to_owned());
    }
    if !profile.class {
        said.push("class false".to_owned());
    }
    said
}

#[test]
fn the_page_says_what_each_profile_has() {
    let page = read("docs/man/sekisho.toml.5");
    let (_, profiles) = page.split_once(".Sh PROFILES\n").unwrap();
    let (profiles, _) = profiles.split_once("\n.Sh ").unwrap();
    let items: BTreeMap<_, _> = profiles
        .split(".It Li ")
        .skip(1)
        .filter_map(|item| item.split_once('\n'))
        .collect();
    assert_eq!(items.len(), PROFILES.len());
    for profile in PROFILES {
        let text = items[profile.name];
        for words in words_of(profile) {
            assert!(text.contains(&words), "{}: {words}", profile.name);
        }
    }
}
