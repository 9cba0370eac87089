//! The threat model names tests: they are there.

use super::{read, root};

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let text = read("docs/threat-model.md");
    let mut named = 0;
    for word in text.split('`').skip(1).step_by(2) {
        let parts: Vec<&str> = word.split("::").collect();
        let [room, file, test] = parts.as_slice() else {
            continue;
        };
        if *room == "room" {
            continue;
        }
        named += 1;
        let path = format!("tests/it/{room}/{file}.rs");
        assert!(root().join(&path).is_file(), "{word}: no {path}");
        assert!(
            read(&path).contains(&format!("fn {test}(")),
            "{word}: no such test"
        );
    }
    assert!(named > 40, "{named}");
}

#[test]
fn what_is_said_to_be_stopped_is_shown_or_said_not_to_be() {
    let text = read("docs/threat-model.md");
    let (_, tables) = text.split_once("## What each can do").unwrap();
    let (tables, _) = tables.split_once("## What is not stopped").unwrap();
    for row in tables.lines().filter(|row| row.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 3, "{row}");
        let is_head = row.starts_with("| tries");
        let is_shown = cells[2].contains("::") || cells[1].contains("**not by us");
        assert!(is_head || is_shown, "{row}");
    }
}
