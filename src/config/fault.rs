//! Faults: where, what, and what mends it; and the report that collects them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::Key;

/// A fault in the file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 when the fault has no place (a missing table).
    pub line: usize,
    /// The column in characters, from 1; 0 when the fault has no place.
    pub column: usize,
    /// What is wrong, as a sentence.
    pub what: String,
    /// What mends it, as a sentence.
    pub mend: String,
}

impl fmt::Display for Fault {
    /// `file:line:column: what (mend)`, and without the numbers where there is no place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        write!(f, " {}", self.what)?;
        if self.mend.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.mend)
    }
}

/// Where something stands: the number of its file, and the octet in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) octet: usize,
}

/// Who may read a file beside its owner and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Nobody, or it is not known because nothing was read from a disk.
    OwnersAlone,
    /// Everybody, with these mode bits.
    Others(u32),
}

/// A file as it was read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) readers: Readers,
}

/// Whether files that the configuration names are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// They are: secrets are read, certificates must be there.
    Disk,
    /// They are not: the text alone is judged.
    TextAlone,
}

/// Collects everything found while reading.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) sources: Vec<Source>,
    pub(super) reach: Reach,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Fault>>,
    asked: RefCell<BTreeMap<(String, &'static str), Option<String>>>,
}

impl Report {
    pub(super) fn new(sources: Vec<Source>, reach: Reach) -> Self {
        Self {
            sources,
            reach,
            faults: RefCell::default(),
            warnings: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    /// Something is wrong; without a place it concerns the configuration as a whole.
    pub(super) fn fault(
        &self,
        place: Option<Place>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) {
        let fault = self.placed(place, what.into(), mend.into());
        self.faults.borrow_mut().push(fault);
    }

    /// Something may be meant otherwise than written.
    pub(super) fn warn(
        &self,
        place: Option<Place>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) {
        let fault = self.placed(place, what.into(), mend.into());
        self.warnings.borrow_mut().push(fault);
    }

    /// Notes that a key is known, and its default.
    pub(super) fn asked(&self, table: &str, key: &'static str, default: Option<String>) {
        let mut asked = self.asked.borrow_mut();
        let known = asked.entry((table.to_owned(), key)).or_default();
        if default.is_some() {
            *known = default;
        }
    }

    /// `line 12`, or the file too if it is another one than that of `beside`.
    pub(super) fn name_place(&self, place: Place, beside: Place) -> String {
        let (line, _) = self.line_and_column(place);
        match self.sources.get(place.file) {
            Some(source) if place.file != beside.file => {
                format!("{}, line {line}", source.path.display())
            }
            _ => format!("line {line}"),
        }
    }

    /// Faults, then warnings, each in the order of the files.
    pub(super) fn close(self) -> (Vec<Fault>, Vec<Fault>) {
        let order = |list: RefCell<Vec<Fault>>| {
            let mut list = list.into_inner();
            list.sort_by_key(|fault| (self.rank(fault), fault.line, fault.column));
            list.dedup();
            list
        };
        (order(self.faults.clone()), order(self.warnings.clone()))
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        let asked = self.asked.borrow();
        let key = |((table, key), default): (&(String, &'static str), &Option<String>)| Key {
            table: table.clone(),
            key,
            default: default.clone(),
        };
        asked.iter().map(key).collect()
    }

    fn rank(&self, fault: &Fault) -> usize {
        self.sources
            .iter()
            .position(|source| source.path == fault.file)
            .unwrap_or(usize::MAX)
    }

    fn placed(&self, place: Option<Place>, what: String, mend: String) -> Fault {
        let (line, column) = place.map_or((0, 0), |place| self.line_and_column(place));
        let file = self
            .sources
            .get(place.map_or(0, |place| place.file))
            .map(|source| source.path.clone())
            .unwrap_or_default();
        Fault {
            file,
            line,
            column,
            what,
            mend,
        }
    }

    fn line_and_column(&self, place: Place) -> (usize, usize) {
        let before = self
            .sources
            .get(place.file)
            .and_then(|source| source.text.get(..place.octet))
            .unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}
