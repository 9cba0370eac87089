//! What people read: standard output, as text or as one JSON object.

pub(super) mod ask;
pub(super) mod qr;

use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::control::Language;
use qr::Colours;

/// The output of one command.
pub(in crate::cli) struct Page<'a> {
    out: &'a mut dyn Write,
    terminal: bool,
    json: bool,
    language: Language,
    zone: TimeZone,
}

impl<'a> Page<'a> {
    pub(in crate::cli) fn new(
        out: &'a mut dyn Write,
        terminal: bool,
        json: bool,
        language: Language,
    ) -> Self {
        Self {
            out,
            terminal,
            json,
            language,
            zone: TimeZone::system(),
        }
    }

    /// The writer itself, for what tells a story of its own.
    pub(in crate::cli) fn out(&mut self) -> &mut dyn Write {
        self.out
    }

    /// Whether a person reads on a terminal.
    pub(in crate::cli) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether the answer is to be JSON.
    pub(in crate::cli) fn is_json(&self) -> bool {
        self.json
    }

    /// The language of texts for users and the help desk.
    pub(in crate::cli) fn language(&self) -> Language {
        self.language
    }

    /// A line of text.
    pub(in crate::cli) fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.out, "{}", text.as_ref().trim_end())
    }

    /// A line of a picture, whose spaces at the end matter.
    pub(in crate::cli) fn picture(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    /// How pictures are coloured here.
    pub(in crate::cli) fn colours(&self) -> Colours {
        if self.terminal {
            Colours::BlackOnWhite
        } else {
            Colours::None
        }
    }

    /// An empty line.
    pub(in crate::cli) fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// A question that the rest of the line answers.
    pub(in crate::cli) fn question(&mut self, text: &str) -> io::Result<()> {
        write!(self.out, "{text}")?;
        self.out.flush()
    }

    /// The answer as one JSON object.
    pub(in crate::cli) fn object(&mut self, object: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut *self.out, object)?;
        writeln!(self.out)
    }

    /// Why nothing was done: on standard error for people, as an object for programs.
    #[expect(
        clippy::print_stderr,
        reason = "errors of commands belong on standard error"
    )]
    pub(in crate::cli) fn failure(&mut self, why: &str) {
        if self.json {
            // Nobody reads any more: the exit code still says it.
            let _gone = self.object(&serde_json::json!({ "error": why }));
        } else {
            eprintln!("{why}");
        }
    }

    /// What is said beside the answer: on standard error, so that the answer can be kept in a file.
    #[expect(
        clippy::print_stderr,
        reason = "remarks do not belong among what is answered"
    )]
    pub(in crate::cli) fn aside(&self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    /// Bold on a terminal.
    pub(in crate::cli) fn strong(&self, text: &str) -> String {
        self.painted("1", text)
    }

    /// Dim on a terminal.
    pub(in crate::cli) fn faint(&self, text: &str) -> String {
        self.painted("2", text)
    }

    /// Green on a terminal.
    pub(in crate::cli) fn good(&self, text: &str) -> String {
        self.painted("32", text)
    }

    /// Red on a terminal.
    pub(in crate::cli) fn bad(&self, text: &str) -> String {
        self.painted("31", text)
    }

    /// Yellow on a terminal.
    pub(in crate::cli) fn fair(&self, text: &str) -> String {
        self.painted("33", text)
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.terminal {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// A moment in the local time zone, which it names.
    pub(in crate::cli) fn moment(&self, millis: i64) -> String {
        jiff::Timestamp::from_millisecond(millis).map_or_else(
            |_| "?".to_owned(),
            |at| {
                at.to_zoned(self.zone.clone())
                    .strftime("%Y-%m-%d %H:%M:%S %:z")
                    .to_string()
            },
        )
    }
}

/// Text without anything that moves a terminal's cursor.
pub(in crate::cli) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '·' } else { c })
        .collect()
}

/// Pads by what the text is wide on a terminal: kanji and full-width letters take two columns.
pub(in crate::cli) fn padded(text: &str, width: usize) -> String {
    let columns: usize = text.chars().map(columns).sum();
    let mut text = text.to_owned();
    text.extend(std::iter::repeat_n(' ', width.saturating_sub(columns)));
    text
}

/// Columns of a character, near enough for a table: the wide blocks of East Asian Width.
fn columns(c: char) -> usize {
    match c {
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_counts_columns() {
        assert_eq!(padded("ab", 4), "ab  ");
        assert_eq!(padded("電話", 6), "電話  ");
        assert_eq!(padded("long", 2), "long");
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a·[2Jb·");
    }
}
