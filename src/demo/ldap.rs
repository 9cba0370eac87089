//! A small LDAP server on loopback: binds and searches over the sample entries, and nothing else (RFC 4511).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lber::common::TagClass;
use lber::parse::{parse_tag, parse_uint};
use lber::structure::{PL, StructureTag};
use lber::write::encode_into;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::bytes::BytesMut;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::filter::Filter;
use super::people::{self, BASE, Entry};
use crate::secret;

/// Octets of a request: a search with a filter of some hundred names.
const REQUEST: usize = 16 * 1024;
/// Levels of BER within each other: a message has three, a filter of people a handful.
const DEPTH: usize = 24;
/// Connections at once: the daemon's pools, and a few for `ldapsearch`.
const CONNECTIONS: usize = 64;
/// A connection that says nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(600);
/// The tag of a SEQUENCE.
const SEQUENCE: u8 = 0x30;
/// Attributes that only those who ask by name, or for `+`, are shown (RFC 4512 §3.4).
const OPERATIONAL: [&str; 4] = ["entryUUID", "memberOf", "modifyTimestamp", "pwdChangedTime"];

/// Result codes (RFC 4511 §A.1).
mod code {
    pub(super) const SUCCESS: u8 = 0;
    pub(super) const PROTOCOL_ERROR: u8 = 2;
    pub(super) const SIZE_LIMIT_EXCEEDED: u8 = 4;
    pub(super) const AUTH_METHOD_NOT_SUPPORTED: u8 = 7;
    pub(super) const NO_SUCH_OBJECT: u8 = 32;
    pub(super) const INVALID_CREDENTIALS: u8 = 49;
    pub(super) const INSUFFICIENT_ACCESS_RIGHTS: u8 = 50;
    pub(super) const UNWILLING_TO_PERFORM: u8 = 53;
}

/// The sample directory, serving.
pub struct Ldap {
    address: SocketAddr,
}

impl Ldap {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn start(tasks: &TaskTracker, stop: &CancellationToken) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (inner, stop) = (tasks.clone(), stop.clone());
        tasks.spawn(async move {
            let accepting = accept(listener, &inner, &stop);
            stop.run_until_cancelled(accepting).await;
        });
        Ok(Self { address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, tasks: &TaskTracker, stop: &CancellationToken) {
    let entries: Arc<[Entry]> = people::entries().into();
    let connections = TaskTracker::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: those who hold them get a turn.
            tokio::task::yield_now().await;
            continue;
        };
        if connections.len() >= CONNECTIONS {
            continue;
        }
        let mut connection = Connection {
            entries: Arc::clone(&entries),
            bound: false,
        };
        let stop = stop.clone();
        tasks.spawn(connections.track_future(async move {
            // A peer that breaks off or breaks the rules costs its connection, and nobody needs to know.
            let _closed = stop.run_until_cancelled(connection.serve(stream)).await;
        }));
    }
}

struct Connection {
    entries: Arc<[Entry]>,
    /// Whether somebody has bound: only they may search.
    bound: bool,
}

impl Connection {
    async fn serve(&mut self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        while let Some(request) = timeout(IDLE, read(&mut stream)).await?? {
            let Some(replies) = self.answer(&request) else {
                break;
            };
            stream.write_all(&replies).await?;
        }
        stream.shutdown().await
    }

    /// The octets of all replies; none ends the connection.
    fn answer(&mut self, request: &[u8]) -> Option<BytesMut> {
        let (rest, message) = parse_tag(request).ok()?;
        let mut parts = message.expect_constructed()?.into_iter();
        let id = parts.next()?;
        let operation = parts.next()?;
        if !rest.is_empty() || operation.class != TagClass::Application {
            return None;
        }
        let mut out = BytesMut::new();
        for reply in self.obey(operation)? {
            encode_into(&mut out, sequence(vec![id.clone(), reply])).ok()?;
        }
        Some(out)
    }

    fn obey(&mut self, operation: StructureTag) -> Option<Vec<StructureTag>> {
        match operation.id {
            0 => {
                let code = self.bind(operation)?;
                self.bound = code == code::SUCCESS;
                Some(vec![result(1, code)])
            }
            3 => self.search(operation),
            // Modify, add, delete, rename, compare: each reply's number follows its request's.
            kind @ (6 | 8 | 10 | 12 | 14) => {
                Some(vec![result(kind + 1, code::UNWILLING_TO_PERFORM)])
            }
            // Abandon has no reply, and everything is answered by then.
            16 => Some(Vec::new()),
            23 => Some(vec![result(24, code::PROTOCOL_ERROR)]),
            // Unbind, and what is no request.
            _ => None,
        }
    }

    fn bind(&self, operation: StructureTag) -> Option<u8> {
        let mut parts = operation.expect_constructed()?.into_iter().skip(1);
        let name = text(parts.next()?)?;
        let proof = parts.next()?;
        if proof.class != TagClass::Context || proof.id != 0 {
            return Some(code::AUTH_METHOD_NOT_SUPPORTED);
        }
        let password = proof.expect_primitive()?;
        // A name without a password proves nothing (RFC 4513 §5.1.2), and nobody binds anonymously here.
        if password.is_empty() {
            return Some(code::UNWILLING_TO_PERFORM);
        }
        let is_right = self.entry(&name).and_then(|entry| entry.password.as_ref());
        Some(match is_right {
            Some(known) if secret::equal(known.expose(), &password) => code::SUCCESS,
            Some(_) | None => code::INVALID_CREDENTIALS,
        })
    }

    fn entry(&self, dn: &str) -> Option<&Entry> {
        let wanted = dn_form(dn);
        self.entries
            .iter()
            .find(|entry| dn_form(&entry.dn) == wanted)
    }

    fn search(&self, operation: StructureTag) -> Option<Vec<StructureTag>> {
        let query = Query::read(operation)?;
        let root = root_entry();
        let (found, code) = if query.base.is_empty() && query.scope == Scope::Base {
            (vec![&root], code::SUCCESS)
        } else if !self.bound {
            (Vec::new(), code::INSUFFICIENT_ACCESS_RIGHTS)
        } else if self.entry(&query.base).is_none() {
            (Vec::new(), code::NO_SUCH_OBJECT)
        } else {
            self.find(&query)
        };
        let mut replies: Vec<_> = found
            .into_iter()
            .filter(|entry| query.filter.holds(entry) == Some(true))
            .map(|entry| query.show(entry))
            .collect();
        replies.push(result(5, code));
        Some(replies)
    }

    fn find(&self, query: &Query) -> (Vec<&Entry>, u8) {
        let base = dn_form(&query.base);
        let mut found: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| query.scope.holds(&base, &dn_form(&entry.dn)))
            .filter(|entry| query.filter.holds(entry) == Some(true))
            .collect();
        if query.limit > 0 && found.len() > query.limit {
            found.truncate(query.limit);
            return (found, code::SIZE_LIMIT_EXCEEDED);
        }
        (found, code::SUCCESS)
    }
}

/// How far below its base a search looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Base,
    Children,
    Subtree,
}

impl Scope {
    fn holds(self, base: &str, dn: &str) -> bool {
        let above = dn
            .strip_suffix(base)
            .and_then(|rest| rest.strip_suffix(','));
        match self {
            Self::Base => dn == base,
            Self::Children => above.is_some_and(|rdn| !rdn.contains(',')),
            Self::Subtree => dn == base || above.is_some(),
        }
    }
}

struct Query {
    base: String,
    scope: Scope,
    /// The most entries wanted; 0 is all.
    limit: usize,
    filter: Filter,
    attributes: Vec<String>,
}

impl Query {
    /// base, scope, aliases, size limit, time limit, types only, filter, attributes (RFC 4511 §4.5.1).
    fn read(operation: StructureTag) -> Option<Self> {
        let mut parts = operation.expect_constructed()?.into_iter();
        let base = text(parts.next()?)?;
        let scope = match number(parts.next()?)? {
            0 => Scope::Base,
            1 => Scope::Children,
            2 => Scope::Subtree,
            _ => return None,
        };
        let _aliases = parts.next()?;
        let limit = usize::try_from(number(parts.next()?)?).ok()?;
        let (_time_limit, _types_only) = (parts.next()?, parts.next()?);
        Some(Self {
            base,
            scope,
            limit,
            filter: Filter::read(parts.next()?)?,
            attributes: parts
                .next()?
                .expect_constructed()?
                .into_iter()
                .map(text)
                .collect::<Option<_>>()?,
        })
    }

    fn wants(&self, attribute: &str) -> bool {
        let named = |name: &str| {
            self.attributes
                .iter()
                .any(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        let all = match OPERATIONAL.contains(&attribute) {
            true => named("+"),
            false => self.attributes.is_empty() || named("*"),
        };
        all || named(attribute)
    }

    fn show(&self, entry: &Entry) -> StructureTag {
        let attributes = entry
            .attributes
            .iter()
            .filter(|(name, _)| self.wants(name))
            .map(|(name, values)| {
                let values = values.iter().map(|value| octets(value)).collect();
                sequence(vec![octets(name), universal(17, PL::C(values))])
            })
            .collect();
        application(4, vec![octets(&entry.dn), sequence(attributes)])
    }
}

/// What the server says of itself (RFC 4512 §5.1).
fn root_entry() -> Entry {
    let list = |value: &str| vec![value.to_owned()];
    Entry {
        dn: String::new(),
        attributes: vec![
            ("objectClass", list("top")),
            ("namingContexts", list(BASE)),
            ("supportedLDAPVersion", list("3")),
            ("vendorName", list("Sekisho demo")),
        ],
        password: None,
    }
}

/// A DN, or another value, as it is compared: lower case, no space around `,` and `=`.
pub(super) fn dn_form(dn: &str) -> String {
    let lower = dn.trim().to_lowercase();
    let mut form = String::with_capacity(lower.len());
    for (at, part) in lower.split(',').enumerate() {
        if at > 0 {
            form.push(',');
        }
        match part.split_once('=') {
            Some((name, value)) => {
                form.push_str(name.trim());
                form.push('=');
                form.push_str(value.trim());
            }
            None => form.push_str(part.trim()),
        }
    }
    form
}

/// One message; none at the end of the connection.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let mut message = vec![0; 2];
    match stream.read_exact(&mut message).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    // A message is a SEQUENCE; the first octet of its length says how many more the length has.
    let more = match *message {
        [SEQUENCE, short] if short < 0x80 => 0,
        [SEQUENCE, long] => usize::from(long & 0x7f),
        _ => return Err(malformed()),
    };
    if more > 4 {
        return Err(malformed());
    }
    extend(stream, &mut message, more).await?;
    let Some((header, length)) = element(&message) else {
        return Err(malformed());
    };
    if length > REQUEST || header != message.len() {
        return Err(malformed());
    }
    extend(stream, &mut message, length).await?;
    // The BER reader calls itself for each level: what is too deep never reaches it.
    if !is_shallow(&message, DEPTH) {
        return Err(malformed());
    }
    Ok(Some(message))
}

async fn extend(stream: &mut TcpStream, message: &mut Vec<u8>, more: usize) -> io::Result<()> {
    let mut octets = vec![0; more];
    stream.read_exact(&mut octets).await?;
    message.extend_from_slice(&octets);
    Ok(())
}

/// How long an element's tag and length are, and how long what follows should be.
fn element(octets: &[u8]) -> Option<(usize, usize)> {
    let first = *octets.get(1)?;
    if first < 0x80 {
        return Some((2, usize::from(first)));
    }
    let more = usize::from(first & 0x7f);
    let length = octets.get(2..2 + more)?;
    let (_, length) = parse_uint(length)
        .ok()
        .filter(|_| (1..=4).contains(&more))?;
    Some((2 + more, usize::try_from(length).ok()?))
}

/// Whether every element is whole and none lies deeper than the levels left.
fn is_shallow(mut octets: &[u8], levels: usize) -> bool {
    while let Some(&tag) = octets.first() {
        let Some((header, length)) = element(octets) else {
            return false;
        };
        let Some((this, rest)) = octets.split_at_checked(header.saturating_add(length)) else {
            return false;
        };
        let is_constructed = tag & 0x20 != 0;
        let content = this.get(header..).unwrap_or_default();
        if is_constructed && (levels == 0 || !is_shallow(content, levels - 1)) {
            return false;
        }
        octets = rest;
    }
    true
}

fn universal(id: u64, payload: PL) -> StructureTag {
    StructureTag {
        class: TagClass::Universal,
        id,
        payload,
    }
}

fn sequence(parts: Vec<StructureTag>) -> StructureTag {
    universal(16, PL::C(parts))
}

fn octets(text: &str) -> StructureTag {
    universal(4, PL::P(text.as_bytes().to_vec()))
}

fn application(id: u64, parts: Vec<StructureTag>) -> StructureTag {
    StructureTag {
        class: TagClass::Application,
        id,
        payload: PL::C(parts),
    }
}

/// An LDAPResult: code, matched DN, message.
fn result(id: u64, code: u8) -> StructureTag {
    application(
        id,
        vec![universal(10, PL::P(vec![code])), octets(""), octets("")],
    )
}

fn text(tag: StructureTag) -> Option<String> {
    String::from_utf8(tag.expect_primitive()?).ok()
}

fn number(tag: StructureTag) -> Option<u64> {
    let octets = tag.expect_primitive()?;
    let (_, number) = parse_uint(&octets).ok()?;
    (octets.len() <= 8).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_compare_without_case_and_space() {
        assert_eq!(
            dn_form("UID=Taro , OU = People,dc=x"),
            "uid=taro,ou=people,dc=x"
        );
    }

    #[test]
    fn scopes_are_those_of_the_rfc() {
        let (base, child, below) = ("dc=x", "ou=a,dc=x", "uid=b,ou=a,dc=x");
        let held =
            |scope: Scope| [base, child, below, "ou=a,dc=yx"].map(|dn| scope.holds(base, dn));
        assert_eq!(held(Scope::Base), [true, false, false, false]);
        assert_eq!(held(Scope::Children), [false, true, false, false]);
        assert_eq!(held(Scope::Subtree), [true, true, true, false]);
    }

    #[test]
    fn deep_or_cut_messages_never_reach_the_reader() {
        let mut nested = vec![0x30, 0x00];
        for _ in 0..DEPTH + 1 {
            let mut outer = vec![0x30, u8::try_from(nested.len()).unwrap()];
            outer.append(&mut nested);
            nested = outer;
        }
        assert!(!is_shallow(&nested, DEPTH));
        assert!(is_shallow(&nested, DEPTH + 2));
        assert!(!is_shallow(&[0x30, 0x05, 0x02], DEPTH));
        assert!(!is_shallow(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], DEPTH));
        assert!(!is_shallow(&[0x30, 0x80, 0x00, 0x00], DEPTH));
    }
}
