//! What the packages hold is what there is to hold.

use std::collections::BTreeSet;
use std::fs;

use super::{read, root};

/// What the packages install from the clone: source, place and marks.
fn assets() -> Vec<(String, String, String)> {
    let list = read("packaging/assets");
    let lines = list.lines().filter(|line| line.starts_with('0'));
    let assets = lines.map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (
            words[1].to_owned(),
            words[2].to_owned(),
            words[3..].join(" "),
        )
    });
    assets.collect()
}

#[test]
fn the_packages_hold_every_page_example_rule_and_runbook() {
    let listed: BTreeSet<String> = assets().into_iter().map(|(source, ..)| source).collect();
    let folders = [
        "config",
        "config/examples",
        "config/monitoring",
        "docs/man",
        "docs/man/ja",
        "docs/runbooks",
    ];
    for folder in folders {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let source = format!("{folder}/{}", entry.file_name().to_str().unwrap());
                assert!(listed.contains(&source), "{source} is in no package");
            }
        }
    }
    let own = listed
        .iter()
        .filter(|source| !source.starts_with("GENERATED/"));
    for source in own {
        assert!(root().join(source).is_file(), "{source}");
    }
}

#[test]
fn the_packages_bring_the_configuration_that_init_replaces() {
    // `init` knows the shipped file by its octets: here it is neither compressed nor made by the build.
    let shipped: Vec<_> = assets()
        .into_iter()
        .filter(|(_, place, _)| place.starts_with("/etc/sekisho/"))
        .collect();
    let wanted = ["config/sekisho.toml", "/etc/sekisho/", "config"];
    assert_eq!(shipped, [wanted.map(str::to_owned).into()]);
}
