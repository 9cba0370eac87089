//! Lines of bounded length.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use zeroize::Zeroizing;

/// What was read. Lines may hold secrets: they are wiped when dropped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, without its end.
    Whole(Zeroizing<Vec<u8>>),
    /// The peer closed; half a line before that counts for nothing.
    End,
    /// Longer than allowed; the connection is of no more use.
    TooLong,
}

/// Reads one line of at most `bound` octets, its end included.
pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin), bound: usize) -> io::Result<Line> {
    let mut octets = Zeroizing::new(Vec::new());
    let limit = u64::try_from(bound).unwrap_or(u64::MAX);
    from.take(limit).read_until(b'\n', &mut octets).await?;
    if octets.pop_if(|last| *last == b'\n').is_some() {
        return Ok(Line::Whole(octets));
    }
    Ok(if octets.len() >= bound {
        Line::TooLong
    } else {
        Line::End
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(mut text: &[u8], bound: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        loop {
            lines.push(read(&mut text, bound).await.unwrap());
            if !matches!(lines.last(), Some(Line::Whole(_))) {
                return lines;
            }
        }
    }

    fn whole(text: &str) -> Line {
        Line::Whole(Zeroizing::new(text.into()))
    }

    #[tokio::test]
    async fn lines_end_at_their_end_or_count_for_nothing() {
        assert_eq!(
            lines(b"a\nbc\nd", 8).await,
            [whole("a"), whole("bc"), Line::End]
        );
        assert_eq!(lines(b"", 8).await, [Line::End]);
    }

    #[tokio::test]
    async fn the_bound_holds_to_the_octet() {
        assert_eq!(lines(b"1234567\n", 8).await, [whole("1234567"), Line::End]);
        assert_eq!(lines(b"12345678\n", 8).await, [Line::TooLong]);
    }
}
