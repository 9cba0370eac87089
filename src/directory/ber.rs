//! A bounded look at BER: what a server may send before anything else reads it.
//!
//! `lber` parses by recursion and `ldap3` takes the shape of a message for granted, so every
//! message is walked here first (RFC 4511 §4.1.1, §5.1).

/// Octets of one message. An entry asked for with few attributes has some thousands; the
/// members of large groups are never asked for.
pub(super) const MAX_MESSAGE: usize = 1024 * 1024;

/// Nesting of one message. A search entry needs 5, a referral 4; the rest is room for controls.
const MAX_DEPTH: usize = 32;

pub(super) const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const ENUMERATED: u8 = 0x0a;
const CONTROLS: u8 = 0xa0;
const BIND_RESPONSE: u8 = 0x61;
const SEARCH_ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const SEARCH_REFERENCE: u8 = 0x73;
const EXTENDED_RESPONSE: u8 = 0x78;
const REFERRAL: u8 = 0xa3;
const SASL_CREDENTIALS: u8 = 0x87;
const EXTENDED_NAME: u8 = 0x8a;
const EXTENDED_VALUE: u8 = 0x8b;

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    /// Indefinite, or more than a message may have, or not what the outer length allows.
    #[error("a length that is not allowed")]
    Length,
    /// Nested deeper than any message that is asked for.
    #[error("nested too deep")]
    Depth,
    /// A tag where another belongs.
    #[error("a tag that does not belong there")]
    Tag,
    /// Text that is no UTF-8.
    #[error("text that is no UTF-8")]
    Text,
}

/// Which operation a message answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Bind,
    Entry,
    Reference,
    Done,
    Extended,
}

/// A whole message at the front of what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Octets, header included.
    pub(super) len: usize,
    /// 0 for what the server says unasked.
    pub(super) id: u32,
    pub(super) operation: Operation,
}

/// Takes elements off octets; no indexing, nothing recursive.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, whatever its tag: tag and content.
    pub(super) fn any(&mut self) -> Result<(u8, &'a [u8]), Violation> {
        let (tag, start, len) = header(self.0)?.ok_or(Violation::Length)?;
        let end = start.checked_add(len).ok_or(Violation::Length)?;
        let content = self.0.get(start..end).ok_or(Violation::Length)?;
        self.0 = self.0.get(end..).ok_or(Violation::Length)?;
        Ok((tag, content))
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn take(&mut self, wanted: u8) -> Result<&'a [u8], Violation> {
        match self.any()? {
            (tag, content) if tag == wanted => Ok(content),
            _ => Err(Violation::Tag),
        }
    }

    fn take_text(&mut self) -> Result<(), Violation> {
        let content = self.take(OCTET_STRING)?;
        std::str::from_utf8(content)
            .map(|_| ())
            .map_err(|_| Violation::Text)
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

/// A whole message at the front of `octets`, or `None` while it is incomplete. A length that is
/// too large is refused at once, before anything is kept for it.
pub(super) fn message(octets: &[u8]) -> Result<Option<Message>, Violation> {
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
    let Some(content) = octets.get(start..end) else {
        return Ok(None);
    };
    nesting(content)?;
    let (id, operation) = envelope(content)?;
    Ok(Some(Message {
        len: end,
        id,
        operation,
    }))
}

/// Walks every element: each fills its parent exactly, none lies too deep.
fn nesting(content: &[u8]) -> Result<(), Violation> {
    let mut open: [&[u8]; MAX_DEPTH] = [&[]; MAX_DEPTH];
    let mut depth = 0_usize;
    let mut rest = Reader::new(content);
    loop {
        if rest.is_empty() {
            let Some(above) = depth.checked_sub(1) else {
                return Ok(());
            };
            depth = above;
            rest = Reader::new(open.get(above).copied().ok_or(Violation::Depth)?);
            continue;
        }
        let (tag, inner) = rest.any()?;
        if tag & 0x20 != 0 {
            *open.get_mut(depth).ok_or(Violation::Depth)? = rest.0;
            depth += 1;
            rest = Reader::new(inner);
        }
    }
}

/// The id and the operation, whose shape must be what `ldap3` takes for granted.
fn envelope(content: &[u8]) -> Result<(u32, Operation), Violation> {
    let mut fields = Reader::new(content);
    let id = number(fields.take(INTEGER)?)?;
    let (tag, body) = fields.any()?;
    let operation = match tag {
        BIND_RESPONSE => result(body).map(|()| Operation::Bind)?,
        SEARCH_DONE => result(body).map(|()| Operation::Done)?,
        SEARCH_ENTRY => entry(body).map(|()| Operation::Entry)?,
        SEARCH_REFERENCE => texts(body).map(|()| Operation::Reference)?,
        EXTENDED_RESPONSE => Operation::Extended,
        _ => return Err(Violation::Tag),
    };
    // Active Directory puts the name of its notice of disconnection here, outside of the operation.
    let misplaced_name = |tag: u8| operation == Operation::Extended && tag == EXTENDED_NAME;
    if !fields.is_empty() {
        match fields.any()? {
            (CONTROLS, list) => controls(list)?,
            (tag, _) if misplaced_name(tag) => {}
            _ => return Err(Violation::Tag),
        }
    }
    if fields.is_empty() {
        Ok((id, operation))
    } else {
        Err(Violation::Length)
    }
}

/// A number from 0 to 2³¹−1.
fn number(content: &[u8]) -> Result<u32, Violation> {
    if content.is_empty() || content.len() > 4 || content.first().is_some_and(|top| *top >= 0x80) {
        return Err(Violation::Length);
    }
    Ok(content
        .iter()
        .fold(0, |number, octet| number << 8 | u32::from(*octet)))
}

fn result(body: &[u8]) -> Result<(), Violation> {
    let mut fields = Reader::new(body);
    number(fields.take(ENUMERATED)?)?;
    fields.take_text()?;
    fields.take_text()?;
    while !fields.is_empty() {
        match fields.any()? {
            (REFERRAL, list) => texts(list)?,
            (SASL_CREDENTIALS | EXTENDED_VALUE, _) => {}
            _ => return Err(Violation::Tag),
        }
    }
    Ok(())
}

fn entry(body: &[u8]) -> Result<(), Violation> {
    let mut fields = Reader::new(body);
    fields.take_text()?;
    let mut attributes = Reader::new(fields.take(SEQUENCE)?);
    while !attributes.is_empty() {
        let mut attribute = Reader::new(attributes.take(SEQUENCE)?);
        attribute.take_text()?;
        let mut values = Reader::new(attribute.take(SET)?);
        while !values.is_empty() {
            values.take(OCTET_STRING)?;
        }
        if !attribute.is_empty() {
            return Err(Violation::Length);
        }
    }
    if fields.is_empty() {
        Ok(())
    } else {
        Err(Violation::Length)
    }
}

fn texts(list: &[u8]) -> Result<(), Violation> {
    let mut texts = Reader::new(list);
    while !texts.is_empty() {
        texts.take_text()?;
    }
    Ok(())
}

fn controls(list: &[u8]) -> Result<(), Violation> {
    let mut list = Reader::new(list);
    while !list.is_empty() {
        let mut control = Reader::new(list.take(SEQUENCE)?);
        control.take_text()?;
        let mut value_may_follow = true;
        while !control.is_empty() {
            match control.any()? {
                (BOOLEAN, content) if content.len() == 1 && value_may_follow => {}
                (OCTET_STRING, _) if value_may_follow => value_may_follow = false,
                _ => return Err(Violation::Tag),
            }
        }
    }
    Ok(())
}

/// The result code of an extended response, as StartTLS needs it.
pub(super) fn extended_code(octets: &[u8]) -> Result<u32, Violation> {
    let mut fields = Reader::new(Reader::new(octets).take(SEQUENCE)?);
    fields.take(INTEGER)?;
    let mut body = Reader::new(fields.take(EXTENDED_RESPONSE)?);
    number(body.take(ENUMERATED)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut octets = vec![tag];
        match content.len() {
            len @ 0..0x80 => octets.push(u8::try_from(len).unwrap()),
            len => {
                octets.push(0x84);
                octets.extend(u32::try_from(len).unwrap().to_be_bytes());
            }
        }
        octets.extend(content);
        octets
    }

    fn answer(id: u8, operation: &[u8], controls: &[u8]) -> Vec<u8> {
        element(
            SEQUENCE,
            &[&element(INTEGER, &[id]), operation, controls].concat(),
        )
    }

    fn success() -> Vec<u8> {
        [
            element(ENUMERATED, &[0]),
            element(OCTET_STRING, b""),
            element(OCTET_STRING, b"fine"),
        ]
        .concat()
    }

    fn person(values: &[Vec<u8>]) -> Vec<u8> {
        let values: Vec<u8> = values
            .iter()
            .flat_map(|value| element(OCTET_STRING, value))
            .collect();
        let attribute = element(
            SEQUENCE,
            &[element(OCTET_STRING, b"mail"), element(SET, &values)].concat(),
        );
        let body = [
            element(OCTET_STRING, b"uid=taro"),
            element(SEQUENCE, &attribute),
        ];
        answer(2, &element(SEARCH_ENTRY, &body.concat()), &[])
    }

    #[test]
    fn answers_are_told_apart() {
        for (tag, operation) in [
            (BIND_RESPONSE, Operation::Bind),
            (SEARCH_DONE, Operation::Done),
            (EXTENDED_RESPONSE, Operation::Extended),
        ] {
            let octets = answer(7, &element(tag, &success()), &[]);
            let expected = Message {
                len: octets.len(),
                id: 7,
                operation,
            };
            assert_eq!(message(&octets), Ok(Some(expected)));
        }
    }

    #[test]
    fn controls_are_read_with_and_without_value() {
        let control = element(SEQUENCE, &element(OCTET_STRING, b"1.2.3"));
        let with = element(
            SEQUENCE,
            &[
                element(OCTET_STRING, b"1.2.3"),
                element(BOOLEAN, &[0xff]),
                element(OCTET_STRING, b"x"),
            ]
            .concat(),
        );
        let controls = element(CONTROLS, &[control, with].concat());
        let octets = answer(1, &element(BIND_RESPONSE, &success()), &controls);
        assert!(matches!(message(&octets), Ok(Some(_))));
        let empty_boolean = element(
            SEQUENCE,
            &[element(OCTET_STRING, b"1.2.3"), element(BOOLEAN, &[])].concat(),
        );
        let octets = answer(
            1,
            &element(BIND_RESPONSE, &success()),
            &element(CONTROLS, &empty_boolean),
        );
        assert_eq!(message(&octets), Err(Violation::Tag));
    }

    #[test]
    fn a_notice_of_disconnection_in_the_words_of_active_directory_is_read() {
        let octets = answer(
            0,
            &element(EXTENDED_RESPONSE, &success()),
            &element(EXTENDED_NAME, b"1.3.6.1.4.1.1466.20036"),
        );
        assert_eq!(message(&octets).unwrap().unwrap().id, 0);
    }

    #[test]
    fn an_operation_that_is_no_answer_is_refused() {
        for tag in [0x60, 0x63, 0x66, 0x79, 0x30, 0x02] {
            let octets = answer(1, &element(tag, &success()), &[]);
            assert!(message(&octets).is_err(), "{tag:#x}");
        }
    }

    #[test]
    fn lengths_beyond_the_bound_are_refused_before_anything_is_kept() {
        assert_eq!(
            message(&[SEQUENCE, 0x84, 0x40, 0, 0, 0]),
            Err(Violation::Length)
        );
        assert_eq!(
            message(&[SEQUENCE, 0x88, 0, 0, 0, 0, 0, 0, 0, 1]),
            Err(Violation::Length)
        );
        assert_eq!(message(&[SEQUENCE, 0x80]), Err(Violation::Length));
        assert_eq!(message(&[SEQUENCE, 0x83, 0x0f]), Ok(None));
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = |levels| (0..levels).fold(Vec::new(), |inner, _| element(SEQUENCE, &inner));
        assert_eq!(nesting(&deep(MAX_DEPTH)), Ok(()));
        assert_eq!(nesting(&deep(MAX_DEPTH + 1)), Err(Violation::Depth));
        assert_eq!(message(&deep(10_000)), Err(Violation::Depth));
    }

    proptest! {
        #[test]
        fn any_octets_are_refused_or_read_without_a_panic(octets in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(Some(read)) = message(&octets) {
                prop_assert!(read.len <= octets.len());
            }
        }

        #[test]
        fn what_passes_can_be_parsed_by_the_library(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8), at in any::<prop::sample::Index>(), flip in any::<u8>()) {
            let mut octets = person(&values);
            let at = at.index(octets.len());
            octets[at] ^= flip;
            if let Ok(Some(read)) = message(&octets) {
                let mut parser = lber::Parser::new();
                prop_assert!(parser.parse(&octets[..read.len]).is_ok());
            }
        }

        #[test]
        fn a_message_is_incomplete_until_its_last_octet(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
            let octets = person(&values);
            for end in 0..octets.len() {
                prop_assert_eq!(message(&octets[..end]), Ok(None));
            }
            let read = message(&octets).unwrap().unwrap();
            prop_assert_eq!((read.len, read.id, read.operation), (octets.len(), 2, Operation::Entry));
        }
    }
}
