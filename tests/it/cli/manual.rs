//! The manual pages know the commands and options that there are, in both languages.

use std::collections::BTreeSet;
use std::path::Path;

use super::binary;

const PAGES: [&str; 2] = ["docs/man/sekisho.1", "docs/man/ja/sekisho.1"];

fn page(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Commands (`user show`) and options (`--json`) below a command, as the help of the binary has them.
fn of_the_binary(command: &[&str], found: &mut BTreeSet<String>) {
    let words = [command, &["--help"]].concat();
    let help = String::from_utf8(binary(&words).stdout).unwrap();
    let mut within_commands = false;
    for line in help.lines() {
        if line.ends_with(':') && !line.starts_with(' ') {
            within_commands = line == "Commands:";
        } else if let Some(name) = line.trim_start().split(' ').next().filter(|word| {
            within_commands && line.starts_with("  ") && !line.starts_with("   ") && *word != "help"
        }) {
            let below = [command, &[name]].concat();
            of_the_binary(&below, found);
            // `user` alone is none: its commands are.
            if !found
                .iter()
                .any(|one| one.starts_with(&format!("{} ", below.join(" "))))
            {
                found.insert(below.join(" "));
            }
        }
        let option = line
            .split("--")
            .nth(1)
            .filter(|_| line.trim_start().starts_with('-'));
        if let Some(option) = option {
            let name: String = option
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '-')
                .collect();
            found.insert(format!("--{name}"));
        }
    }
}

/// The same as a page has them, on the lines that begin an item.
fn of_a_page(text: &str) -> BTreeSet<String> {
    let items = text.lines().filter_map(|line| line.strip_prefix(".It "));
    let mut found = BTreeSet::new();
    for item in items {
        if let Some(rest) = item.strip_prefix("Ic ") {
            let words = rest.split(' ');
            let name: Vec<&str> = words
                .take_while(|word| !["Fl", "Op", "Oo", "Ar"].contains(word))
                .collect();
            found.insert(name.join(" "));
        }
        let words: Vec<&str> = item.split(' ').collect();
        let options = words.windows(2).filter(|pair| pair[0] == "Fl");
        found.extend(options.map(|pair| format!("-{}", pair[1])));
    }
    found
}

#[test]
fn the_pages_have_the_commands_and_options_of_the_binary_and_no_others() {
    let mut binary = BTreeSet::new();
    of_the_binary(&[], &mut binary);
    assert!(binary.contains("user enrol-totp") && binary.contains("--probe"));
    for path in PAGES {
        let page = of_a_page(&page(path));
        let missing: Vec<_> = binary.difference(&page).collect();
        let surplus: Vec<_> = page.difference(&binary).collect();
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "{path}\nmissing {missing:?}\nsurplus {surplus:?}"
        );
    }
}

/// The skeleton of a page: macros and what both languages write alike.
fn skeleton(text: &str) -> Vec<String> {
    let kept = |line: &&str| {
        line.starts_with(".It Pa") || line.starts_with(".It Ev") || line.starts_with(".Bd")
    };
    text.lines().filter(kept).map(str::to_owned).collect()
}

#[test]
fn the_pages_in_japanese_follow_those_in_english() {
    for name in ["sekisho.1", "sekisho-serve.8"] {
        let english = page(&format!("docs/man/{name}"));
        let japanese = page(&format!("docs/man/ja/{name}"));
        assert_eq!(skeleton(&english), skeleton(&japanese), "{name}");
        for heading in [".Sh ", ".Ss "] {
            let count = |text: &str| {
                text.lines()
                    .filter(|line| line.starts_with(heading))
                    .count()
            };
            assert_eq!(count(&english), count(&japanese), "{name}: {heading}");
        }
    }
}
