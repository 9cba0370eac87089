//! What people type: passwords, codes, first lines of files.

use std::fs::File;
use std::io::{self, BufRead as _, IsTerminal as _, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::Page;
use crate::cli::Failure;
use crate::secret::Secret;

/// Octets of a line that is read: no password, code or seed is longer.
const LINE_OCTETS: u64 = 4096;

/// The first line of a file, or of standard input for `-`.
pub(in crate::cli) fn first_line(file: &Path) -> Result<Secret, Failure> {
    let line = if file == Path::new("-") {
        line_of(io::stdin().lock())?
    } else {
        let opened = File::open(file).map_err(|error| {
            Failure::new(format!("{} cannot be read: {error}.", file.display()))
        })?;
        line_of(io::BufReader::new(opened))?
    };
    line.ok_or_else(|| Failure::new(format!("{} is empty.", file.display())))
}

/// Asks for a password: hidden at a terminal, else the next line of standard input.
pub(in crate::cli) fn password(page: &mut Page<'_>, question: &str) -> Result<Secret, Failure> {
    if !io::stdin().is_terminal() {
        return line_of(io::stdin().lock())?.ok_or_else(nothing);
    }
    page.question("")?;
    let typed = Zeroizing::new(rpassword::prompt_password(question)?);
    Ok(Secret::from(typed.as_str()))
}

/// Asks for something that may be seen, such as a code.
pub(in crate::cli) fn answer(page: &mut Page<'_>, question: &str) -> Result<Secret, Failure> {
    if !page.is_json() {
        page.question(question)?;
    }
    let typed = line_of(io::stdin().lock())?.ok_or_else(nothing)?;
    if !page.is_json() && !io::stdin().is_terminal() {
        page.gap()?;
    }
    Ok(typed)
}

fn nothing() -> Failure {
    Failure::new("Nothing was typed.")
}

/// One line without its end, `None` at the end of input. The terminal's own control characters end up in it, and harm nothing.
fn line_of(from: impl io::BufRead) -> Result<Option<Secret>, Failure> {
    let mut octets = Zeroizing::new(Vec::new());
    let read = from.take(LINE_OCTETS).read_until(b'\n', &mut octets)?;
    while octets
        .pop_if(|last| matches!(last, b'\n' | b'\r'))
        .is_some()
    {}
    Ok((read > 0).then(|| Secret::new(octets.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_loses_its_end_and_nothing_else() {
        for (text, line) in [
            ("secret\nmore\n", Some("secret")),
            (" pass word \r\n", Some(" pass word ")),
            ("no end", Some("no end")),
            ("\n", Some("")),
            ("", None),
        ] {
            assert_eq!(line_of(text.as_bytes()).unwrap(), line.map(Secret::from));
        }
    }
}
