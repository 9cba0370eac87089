//! The phones of the sample people: every message in the spool is shown on the terminal.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::Deserialize;

/// A spooled message, as far as a phone shows it.
#[derive(Deserialize)]
struct Message {
    kind: String,
    to: String,
    text: String,
}

/// Shows what has arrived, in order, and takes it out of the spool. Says whether anything had.
pub(super) fn ring(spool: &Path, out: &mut dyn Write) -> io::Result<bool> {
    let mut arrived = Vec::new();
    for entry in fs::read_dir(spool)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            arrived.push(path);
        }
    }
    arrived.sort_by_cached_key(|path| {
        fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .ok()
    });
    for path in &arrived {
        let message: Message = serde_json::from_slice(&fs::read(path)?)?;
        fs::remove_file(path)?;
        let what = if message.kind == "voice" {
            "Call"
        } else {
            "SMS"
        };
        let end = last_four(&message.to);
        writeln!(out, "\n  {what} to …{end}:")?;
        for line in message.text.lines() {
            writeln!(out, "  │ {line}")?;
        }
        writeln!(out)?;
        out.flush()?;
    }
    Ok(!arrived.is_empty())
}

fn last_four(number: &str) -> String {
    let skipped = number.chars().count().saturating_sub(4);
    number.chars().skip(skipped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_shown_once_with_the_end_of_the_number() {
        let folder = tempfile::TempDir::new().unwrap();
        let message = r#"{"kind":"sms","to":"+819012345678","text":"【桜大学】確認コード 482913\n","lang":"ja","id":"1"}"#;
        fs::write(folder.path().join("1.json"), message).unwrap();
        fs::write(folder.path().join(".2.part"), "half").unwrap();
        let mut out = Vec::new();
        assert!(ring(folder.path(), &mut out).unwrap());
        assert!(!ring(folder.path(), &mut out).unwrap());
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(
            shown,
            "\n  SMS to …5678:\n  │ 【桜大学】確認コード 482913\n\n"
        );
    }
}
