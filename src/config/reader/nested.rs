//! Tables within tables: one, one for each name, or a list; and the end of one, where the unknown keys come out.

use std::cell::RefCell;

use super::{Table, units};
use crate::config::fault::{Place, Report};
use crate::config::tree::{Entry, Value};

/// Longest name of a client, directory or zone: it is part of keys, labels and file names.
const NAME_OCTETS: usize = 64;

impl<'a> Table<'a> {
    /// The whole file.
    pub(in crate::config) fn root(entries: &'a [Entry], report: &'a Report) -> Self {
        Self::new(report, String::new(), None, entries)
    }

    fn new(report: &'a Report, kind: String, place: Option<Place>, entries: &'a [Entry]) -> Self {
        Self {
            report,
            kind,
            name: "",
            place,
            entries,
            fallback: &[],
            asked: RefCell::default(),
        }
    }

    /// A table inside this one; empty if it is not there.
    pub(in crate::config) fn table(&self, key: &'static str) -> Self {
        let kind = self.kind_of(key);
        match self.find(key) {
            Some(entry) => self.open(key, kind, entry),
            None => {
                self.asked.borrow_mut().push(key);
                Self::new(self.report, kind, None, &[])
            }
        }
    }

    /// The tables inside this one that the user named, in the order written.
    pub(in crate::config) fn named(&self, key: &'static str) -> Vec<Self> {
        self.asked.borrow_mut().push(key);
        let Some(Entry { node, .. }) = self.find(key) else {
            return Vec::new();
        };
        let Value::Table(entries) = &node.value else {
            self.expected(node, key, &format!("a table for each, as in [{key}.NAME]"));
            return Vec::new();
        };
        let kind = format!("{}.NAME", self.kind_of(key));
        let mut tables = Vec::with_capacity(entries.len());
        for entry in entries {
            if matches!(entry.node.value, Value::Table(_)) {
                let mut table = self.open(key, kind.clone(), entry);
                table.name = &entry.key;
                self.name_check(entry);
                tables.push(table);
            } else {
                self.report.fault(
                    Some(entry.place),
                    format!("`{}` stands directly in [{key}].", entry.key),
                    format!("Give the table a name, as in [{key}.campus], and write it there."),
                );
            }
        }
        tables
    }

    fn name_check(&self, entry: &Entry) {
        let sound = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if entry.key.is_empty() || entry.key.len() > NAME_OCTETS || !entry.key.chars().all(sound) {
            self.report.fault(
                Some(entry.place),
                format!("{:?} is no name.", entry.key),
                "Use 1 to 64 octets of letters, digits, '-', '_' and '.'.",
            );
        }
    }

    /// The tables of a `[[list]]`, in the order written.
    pub(in crate::config) fn list(&self, key: &'static str) -> Vec<Self> {
        self.asked.borrow_mut().push(key);
        let Some(Entry { node, .. }) = self.find(key) else {
            return Vec::new();
        };
        let Value::List(list) = &node.value else {
            self.expected(node, key, "a list of tables");
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(list.len());
        for item in list {
            match &item.value {
                Value::Table(entries) => tables.push(Self::new(
                    self.report,
                    self.kind_of(key),
                    Some(item.place),
                    entries,
                )),
                _ => self.expected(item, key, "a list of tables"),
            }
        }
        tables
    }

    fn open(&self, key: &'static str, kind: String, entry: &'a Entry) -> Self {
        self.asked.borrow_mut().push(key);
        let entries: &[Entry] = match &entry.node.value {
            Value::Table(entries) => entries,
            _ => {
                self.expected(&entry.node, key, "a table");
                &[]
            }
        };
        Self::new(self.report, kind, Some(entry.place), entries)
    }

    fn kind_of(&self, key: &str) -> String {
        if self.kind.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.kind)
        }
    }

    /// Says of every key that was not asked for that it is unknown.
    pub(in crate::config) fn finish(self) {
        let asked = self.asked.into_inner();
        for entry in self.entries {
            if asked.contains(&entry.key.as_str()) {
                continue;
            }
            let whole = if self.kind.is_empty() {
                format!("`{}` is not known.", entry.key)
            } else {
                format!("`{}` is not known in [{}].", entry.key, self.kind)
            };
            let mend = units::nearest(&entry.key, asked.iter().copied()).map_or_else(
                || "See sekisho.toml(5) for the keys that are.".to_owned(),
                |near| format!("Did you mean `{near}`?"),
            );
            self.report.fault(Some(entry.place), whole, mend);
        }
    }
}
