//! The documents say what is so: their examples are read, their commands exist, their links lead somewhere.

mod guide;
mod monitoring;
mod packages;
mod threats;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents for people, by path.
fn documents() -> Vec<String> {
    let mut found = vec!["README.md".to_owned()];
    for folder in ["docs", "docs/runbooks"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let inside: PathBuf = path.strip_prefix(root()).unwrap().to_owned();
                found.push(inside.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The blocks of a document that are fenced with a word, indented ones included.
pub fn blocks(text: &str, word: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        let stripped = line.trim_start();
        match (&mut open, stripped.strip_prefix("```")) {
            (None, Some(kind)) => open = Some(kind.trim().to_owned() + "\n"),
            (Some(_), Some(_)) => {
                let block = open.take().unwrap();
                let (kind, body) = block.split_once('\n').unwrap();
                if kind == word {
                    blocks.push(body.to_owned());
                }
            }
            (Some(block), None) => {
                block.push_str(stripped);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block has no end");
    blocks
}
