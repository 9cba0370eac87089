//! What a server sends, cut into messages and read to the end of each (RFC 4511 §4.1.1).

use super::ber::{
    self, BOOLEAN, ENUMERATED, INTEGER, OCTET_STRING, Reader, SEQUENCE, SET, Violation,
};

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

/// An empty inbox gives back what a large answer took beyond this.
const KEPT: usize = 64 * 1024;

/// What a server sent and nobody has read yet.
#[derive(Default)]
pub(in crate::directory) struct Inbox {
    octets: Vec<u8>,
    /// Where the next message starts.
    start: usize,
}

impl Inbox {
    /// Adds what was received. Whoever reads all messages before the next call keeps no more than
    /// one incomplete message.
    pub(in crate::directory) fn push(&mut self, octets: &[u8]) {
        if self.is_empty() {
            self.octets.clear();
            self.octets.shrink_to(KEPT);
        } else {
            self.octets.drain(..self.start);
        }
        self.start = 0;
        self.octets.extend_from_slice(octets);
    }

    /// Whether nothing waits, not even a part of a message.
    pub(in crate::directory) const fn is_empty(&self) -> bool {
        self.start == self.octets.len()
    }

    /// Whether a whole message waits.
    pub(in crate::directory) fn has_message(&self) -> Result<bool, Violation> {
        Ok(ber::message(self.waiting())?.is_some())
    }

    /// Takes the next message, if it is whole.
    pub(in crate::directory) fn next(&mut self) -> Result<Option<Message<'_>>, Violation> {
        let Self { octets, start } = self;
        let waiting = octets.get(*start..).unwrap_or_default();
        let Some((len, content)) = ber::message(waiting)? else {
            return Ok(None);
        };
        *start += len;
        Message::read(content).map(Some)
    }

    fn waiting(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or_default()
    }
}

/// A message whose shape is that of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::directory) struct Message<'a> {
    /// Of the request that it answers; 0 for what the server says unasked.
    pub(in crate::directory) id: u32,
    pub(in crate::directory) operation: Operation<'a>,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::directory) enum Operation<'a> {
    Bind(Outcome<'a>),
    /// The content of a SearchResultEntry, which [`Attributes`] reads.
    Entry(&'a [u8]),
    /// References to other servers are never followed.
    Reference,
    Done(Outcome<'a>),
    Extended(Outcome<'a>),
}

/// How an operation ended (LDAPResult, RFC 4511 §4.1.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::directory) struct Outcome<'a> {
    pub(in crate::directory) code: u32,
    pub(in crate::directory) text: &'a str,
    /// The content of the list of controls.
    pub(in crate::directory) controls: &'a [u8],
}

impl<'a> Message<'a> {
    fn read(content: &'a [u8]) -> Result<Self, Violation> {
        let mut fields = Reader::new(content);
        let id = fields.number(INTEGER)?;
        let (tag, body) = fields.any()?;
        let mut operation = match tag {
            BIND_RESPONSE => Operation::Bind(Outcome::read(body)?),
            SEARCH_DONE => Operation::Done(Outcome::read(body)?),
            EXTENDED_RESPONSE => Operation::Extended(Outcome::read(body)?),
            SEARCH_ENTRY => entry(body).map(|()| Operation::Entry(body))?,
            SEARCH_REFERENCE => texts(body).map(|()| Operation::Reference)?,
            _ => return Err(Violation::Tag),
        };
        if !fields.is_empty() {
            match (fields.any()?, &mut operation) {
                ((CONTROLS, list), operation) => operation.attach(controls(list)?),
                // Active Directory puts the name of its notice of disconnection here, outside of
                // the operation.
                ((EXTENDED_NAME, _), Operation::Extended(_)) => {}
                _ => return Err(Violation::Tag),
            }
        }
        fields.end()?;
        Ok(Self { id, operation })
    }
}

impl<'a> Operation<'a> {
    fn attach(&mut self, controls: &'a [u8]) {
        match self {
            Self::Bind(outcome) | Self::Done(outcome) | Self::Extended(outcome) => {
                outcome.controls = controls;
            }
            Self::Entry(_) | Self::Reference => {}
        }
    }
}

impl<'a> Outcome<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Violation> {
        let mut fields = Reader::new(body);
        let code = fields.number(ENUMERATED)?;
        let _matched_dn = fields.text()?;
        let text = fields.text()?;
        while !fields.is_empty() {
            match fields.any()? {
                (REFERRAL, list) => texts(list)?,
                (SASL_CREDENTIALS | EXTENDED_NAME | EXTENDED_VALUE, _) => {}
                _ => return Err(Violation::Tag),
            }
        }
        Ok(Self {
            code,
            text,
            controls: &[],
        })
    }

    /// The value of a control, empty if it has none.
    pub(in crate::directory) fn control(&self, oid: &str) -> Option<&'a [u8]> {
        let mut list = Reader::new(self.controls).each();
        list.find_map(|(_, control)| {
            let mut fields = Reader::new(control).each();
            let (_, name) = fields.next()?;
            let value = fields.find(|(tag, _)| *tag == OCTET_STRING);
            (name == oid.as_bytes()).then(|| value.map(|(_, value)| value).unwrap_or_default())
        })
    }
}

/// An entry as it came: its shape was looked at, nothing else is taken for granted.
#[derive(Debug)]
pub(in crate::directory) struct Attributes(Box<[u8]>);

impl Attributes {
    /// Keeps the content of a SearchResultEntry (RFC 4511 §4.5.2).
    pub(in crate::directory) fn new(entry: &[u8]) -> Self {
        Self(entry.into())
    }

    pub(in crate::directory) fn dn(&self) -> &str {
        Reader::new(&self.0).text().unwrap_or_default()
    }

    /// The values of an attribute.
    pub(in crate::directory) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let mut named = self.each().filter(|(given, _)| is_same(given, name));
        let values = named.next().map(|(_, values)| values).unwrap_or_default();
        Reader::new(values).each().map(|(_, value)| value)
    }

    /// The values of an attribute that are text.
    pub(in crate::directory) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.all(name)
            .filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// The first value of an attribute that is text.
    pub(in crate::directory) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }

    /// Whether the server held values back behind a range option, as Active Directory does.
    pub(in crate::directory) fn is_cut(&self, name: &str) -> bool {
        self.each().any(|(given, _)| {
            let mut parts = given.splitn(2, |octet| *octet == b';');
            let base = parts.next().unwrap_or_default();
            parts.next().is_some() && is_same(base, name)
        })
    }

    /// Each attribute: its name with options, and its values.
    fn each(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let list = Reader::new(&self.0).each().nth(1);
        let list = list.map(|(_, list)| list).unwrap_or_default();
        Reader::new(list).each().filter_map(|(_, attribute)| {
            let mut fields = Reader::new(attribute).each();
            Some((fields.next()?.1, fields.next()?.1))
        })
    }
}

fn is_same(given: &[u8], name: &str) -> bool {
    given.eq_ignore_ascii_case(name.as_bytes())
}

fn entry(body: &[u8]) -> Result<(), Violation> {
    let mut fields = Reader::new(body);
    fields.text()?;
    let mut attributes = Reader::new(fields.take(SEQUENCE)?);
    while !attributes.is_empty() {
        let mut attribute = Reader::new(attributes.take(SEQUENCE)?);
        attribute.text()?;
        let mut values = Reader::new(attribute.take(SET)?);
        while !values.is_empty() {
            values.take(OCTET_STRING)?;
        }
        attribute.end()?;
    }
    fields.end()
}

fn texts(list: &[u8]) -> Result<(), Violation> {
    let mut texts = Reader::new(list);
    while !texts.is_empty() {
        texts.text()?;
    }
    Ok(())
}

fn controls(content: &[u8]) -> Result<&[u8], Violation> {
    let mut list = Reader::new(content);
    while !list.is_empty() {
        let mut control = Reader::new(list.take(SEQUENCE)?);
        control.text()?;
        let mut value_may_follow = true;
        while !control.is_empty() {
            match control.any()? {
                (BOOLEAN, content) if content.len() == 1 && value_may_follow => {}
                (OCTET_STRING, _) if value_may_follow => value_may_follow = false,
                _ => return Err(Violation::Tag),
            }
        }
    }
    Ok(content)
}

#[cfg(test)]
mod tests;
