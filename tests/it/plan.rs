//! The plan of the rooms, as a test: arrows only point up the table of the design.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Room, and the rooms it may import.
const PLAN: &[(&str, &[&str])] = &[
    ("secret", &[]),
    ("clock", &[]),
    ("account", &["clock"]),
    ("wire", &["secret"]),
    ("eap", &["secret", "clock"]),
    ("directory", &["secret", "clock", "account"]),
    ("factor", &["secret", "clock", "account"]),
    ("store", &["secret", "clock", "account", "factor"]),
    ("channel", &["secret", "clock", "account"]),
    (
        "access",
        &[
            "secret",
            "clock",
            "account",
            "directory",
            "factor",
            "store",
            "channel",
        ],
    ),
    ("telemetry", &["clock", "account"]),
    (
        "server",
        &[
            "wire",
            "eap",
            "access",
            "telemetry",
            "secret",
            "clock",
            "account",
        ],
    ),
    (
        "portal",
        &[
            "access",
            "factor",
            "directory",
            "store",
            "channel",
            "telemetry",
            "secret",
            "clock",
            "account",
        ],
    ),
    (
        "control",
        &[
            "access",
            "store",
            "factor",
            "directory",
            "telemetry",
            "secret",
            "clock",
            "account",
        ],
    ),
    (
        "config",
        &[
            "secret",
            "clock",
            "account",
            "wire",
            "directory",
            "factor",
            "store",
            "channel",
            "access",
            "telemetry",
            "eap",
            "server",
            "portal",
            "control",
        ],
    ),
    (
        "daemon",
        &[
            "secret",
            "clock",
            "account",
            "wire",
            "directory",
            "factor",
            "store",
            "channel",
            "access",
            "telemetry",
            "eap",
            "server",
            "portal",
            "control",
            "config",
        ],
    ),
    (
        "demo",
        &[
            "daemon", "config", "control", "wire", "factor", "account", "secret", "clock",
        ],
    ),
    (
        "cli",
        &[
            "config", "control", "daemon", "demo", "wire", "secret", "clock",
        ],
    ),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn imports(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            let mut first = true;
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => first = true,
                    c if depth == 0 && first && (c.is_alphanumeric() || c == '_') => word.push(c),
                    ':' if depth == 0 => first = false,
                    _ => {}
                }
                if (c == ',' || c == ':') && depth == 0 && !word.is_empty() {
                    rooms.push(std::mem::take(&mut word));
                }
            }
            if !word.is_empty() {
                rooms.push(word);
            }
        } else {
            rooms.push(
                rest.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect(),
            );
        }
    }
    rooms
}

#[test]
fn every_import_is_in_the_plan() {
    let plan: BTreeMap<_, _> = PLAN.iter().copied().collect();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&src).unwrap();
        let room = inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap();
        if inside.components().count() == 1 {
            continue;
        }
        let allowed = plan
            .get(room)
            .unwrap_or_else(|| panic!("room {room} is not in the plan"));
        for import in imports(&fs::read_to_string(&file).unwrap()) {
            if import != room
                && plan.contains_key(import.as_str())
                && !allowed.contains(&import.as_str())
            {
                wrong.push(format!("{}: {room} imports {import}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the plan:\n{}", wrong.join("\n"));
}

#[test]
fn grouped_imports_are_seen() {
    assert_eq!(imports("use crate::{a::{B, C}, d, e::F};"), ["a", "d", "e"]);
    assert_eq!(imports("crate::x::y"), ["x"]);
}
