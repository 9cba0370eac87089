//! BER within bounds (X.690, RFC 4511 §5.1): a reader that takes nothing for granted, and a writer.
//!
//! Nothing here calls itself. Who reads a message goes down level by level and refuses what does
//! not belong there, so that no server can nest deeper than LDAP does.

/// Octets of one message. An entry asked for with few attributes has some thousands; the
/// members of large groups are never asked for.
pub(super) const MAX_MESSAGE: usize = 1024 * 1024;

pub(in crate::directory) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::directory) enum Violation {
    /// Indefinite, or more than a message may have, or not what the outer length allows.
    #[error("a length that is not allowed")]
    Length,
    /// A tag where another belongs.
    #[error("a tag that does not belong there")]
    Tag,
    /// Text that is no UTF-8.
    #[error("text that is no UTF-8")]
    Text,
}

/// Takes elements off octets.
#[derive(Clone, Copy)]
pub(in crate::directory) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(in crate::directory) const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(in crate::directory) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, whatever its tag: tag and content.
    pub(in crate::directory) fn any(&mut self) -> Result<(u8, &'a [u8]), Violation> {
        let (tag, start, len) = header(self.0)?.ok_or(Violation::Length)?;
        let end = start.checked_add(len).ok_or(Violation::Length)?;
        let content = self.0.get(start..end).ok_or(Violation::Length)?;
        self.0 = self.0.get(end..).ok_or(Violation::Length)?;
        Ok((tag, content))
    }

    /// The content of the next element, which must have this tag.
    pub(in crate::directory) fn take(&mut self, wanted: u8) -> Result<&'a [u8], Violation> {
        match self.any()? {
            (tag, content) if tag == wanted => Ok(content),
            _ => Err(Violation::Tag),
        }
    }

    /// The next element as text.
    pub(super) fn text(&mut self) -> Result<&'a str, Violation> {
        std::str::from_utf8(self.take(OCTET_STRING)?).map_err(|_| Violation::Text)
    }

    /// The next element as a number from 0 to 2³¹−1.
    pub(super) fn number(&mut self, tag: u8) -> Result<u32, Violation> {
        let content = self.take(tag)?;
        let is_negative = content.first().is_some_and(|top| *top >= 0x80);
        if content.is_empty() || content.len() > 4 || is_negative {
            return Err(Violation::Length);
        }
        Ok(content
            .iter()
            .fold(0, |number, octet| number << 8 | u32::from(*octet)))
    }

    /// The elements up to the end or the first that is none: for octets that were looked at.
    pub(super) fn each(mut self) -> impl Iterator<Item = (u8, &'a [u8])> {
        std::iter::from_fn(move || self.any().ok())
    }

    /// That nothing follows.
    pub(super) const fn end(&self) -> Result<(), Violation> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Violation::Length)
        }
    }
}

/// Tag, length of the header, length of the content; `None` while the header is incomplete.
fn header(octets: &[u8]) -> Result<Option<(u8, usize, usize)>, Violation> {
    let (Some(&tag), Some(&first)) = (octets.first(), octets.get(1)) else {
        return Ok(None);
    };
    if tag & 0x1f == 0x1f {
        return Err(Violation::Tag);
    }
    if first < 0x80 {
        return Ok(Some((tag, 2, usize::from(first))));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return Err(Violation::Length);
    }
    let Some(digits) = octets.get(2..2 + count) else {
        return Ok(None);
    };
    let len = digits
        .iter()
        .fold(0_usize, |len, digit| len << 8 | usize::from(*digit));
    Ok(Some((tag, 2 + count, len)))
}

/// How many octets the message at the front has, and its content; `None` while it is incomplete.
/// A length that is too large is refused at once, before anything is kept for it.
pub(super) fn message(octets: &[u8]) -> Result<Option<(usize, &[u8])>, Violation> {
    if octets.first().is_some_and(|tag| *tag != SEQUENCE) {
        return Err(Violation::Tag);
    }
    let Some((_, start, len)) = header(octets)? else {
        return Ok(None);
    };
    let end = start.checked_add(len).ok_or(Violation::Length)?;
    if end > MAX_MESSAGE {
        return Err(Violation::Length);
    }
    Ok(octets.get(start..end).map(|content| (end, content)))
}

/// Puts elements at the end of a buffer.
pub(super) struct Writer<'a>(&'a mut Vec<u8>);

impl<'a> Writer<'a> {
    pub(super) const fn new(buffer: &'a mut Vec<u8>) -> Self {
        Self(buffer)
    }

    /// Octets as they are: elements written before, or a part of a value.
    pub(super) fn raw(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    pub(super) fn element(&mut self, tag: u8, content: &[u8]) {
        self.0.push(tag);
        match u8::try_from(content.len()) {
            Ok(len @ 0..0x80) => self.0.push(len),
            _ => self.long_length(content.len()),
        }
        self.raw(content);
    }

    /// A number from 0 to 2³¹−1 in its shortest form.
    pub(super) fn number(&mut self, tag: u8, number: u32) {
        let unused = usize::try_from(number.leading_zeros().saturating_sub(1) / 8).unwrap_or(0);
        let octets = number.to_be_bytes();
        self.element(tag, octets.get(unused..).unwrap_or(&octets));
    }

    /// An element around what is written inside. Its length takes four octets, as Active
    /// Directory's own take, since it is only known afterwards.
    pub(super) fn nested(&mut self, tag: u8, inside: impl FnOnce(&mut Writer<'_>)) {
        self.0.push(tag);
        let place = self.0.len();
        self.long_length(0);
        let start = self.0.len();
        inside(self);
        let len = four_octets(self.0.len() - start);
        if let Some(length) = self.0.get_mut(place + 1..start) {
            length.copy_from_slice(&len);
        }
    }

    fn long_length(&mut self, len: usize) {
        self.0.push(0x84);
        self.raw(&four_octets(len));
    }
}

/// Whatever is asked is far below 4 GiB.
fn four_octets(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(tag in 0x80_u8..0x9f, number in 0_u32..1 << 31, len in prop_oneof![0_usize..300, 0_usize..70_000]) {
            let content = vec![tag; len];
            let mut octets = Vec::new();
            Writer::new(&mut octets).nested(SEQUENCE, |inside| {
                inside.number(INTEGER, number);
                inside.element(tag, &content);
                inside.nested(SET, |_| {});
            });
            let mut outer = Reader::new(&octets);
            let mut inside = Reader::new(outer.take(SEQUENCE).unwrap());
            prop_assert_eq!(inside.number(INTEGER), Ok(number));
            prop_assert_eq!(inside.any(), Ok((tag, &content[..])));
            prop_assert_eq!(inside.take(SET), Ok(&[][..]));
            prop_assert_eq!(inside.end(), Ok(()));
            prop_assert_eq!(outer.end(), Ok(()));
        }

        #[test]
        fn the_library_reads_numbers_as_they_were_written(number in any::<u32>().prop_map(|it| it >> 1 >> (it % 31))) {
            let mut octets = Vec::new();
            Writer::new(&mut octets).number(INTEGER, number);
            let (_, element) = lber::parse::parse_tag(&octets).unwrap();
            let content = element.expect_primitive().unwrap();
            prop_assert!(content.len() <= 4 && content[0] < 0x80);
            prop_assert!(content.len() == 1 || content[0] > 0 || content[1] >= 0x80, "not the shortest");
            let (_, read) = lber::parse::parse_uint(&content).unwrap();
            prop_assert_eq!(read, u64::from(number));
        }
    }
}
