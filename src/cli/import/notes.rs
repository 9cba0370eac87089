//! Where something stood in a foreign file, and what is to be said about it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

/// Most notes that are kept: nobody reads more, and a hostile file has a million lines.
const MOST: usize = 2000;

/// A line of a foreign file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Arc<Path>,
    /// From 1.
    pub(super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Something that was not carried over as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Note {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) what: String,
}

/// The notes, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Notes {
    notes: Vec<Note>,
    /// How many there was no room for.
    pub(super) left_out: usize,
}

impl Notes {
    /// Says something about a line.
    pub(super) fn add(&mut self, place: &Place, what: impl Into<String>) {
        if self.notes.len() == MOST {
            self.left_out += 1;
            return;
        }
        self.notes.push(Note {
            file: place.file.to_path_buf(),
            line: place.line,
            what: what.into(),
        });
    }

    /// All, by file and line.
    pub(super) fn sorted(mut self) -> (Vec<Note>, usize) {
        self.notes
            .sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        (self.notes, self.left_out)
    }
}
