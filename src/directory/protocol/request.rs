//! What is asked: bind, search, StartTLS (RFC 4511 §4.2, §4.5, §4.14).

use zeroize::Zeroizing;

use super::ber::{BOOLEAN, ENUMERATED, INTEGER, OCTET_STRING, SEQUENCE, Writer};
use super::filter::Filter;

const BIND_REQUEST: u8 = 0x60;
const SEARCH_REQUEST: u8 = 0x63;
const SIMPLE: u8 = 0x80;
const CONTROLS: u8 = 0xa0;
/// LDAPv3.
const VERSION: u32 = 3;
/// Aliases are not followed.
const NEVER_DEREF: u32 = 0;
/// Octets of a bind besides DN and password, control included.
const BIND_FRAME: usize = 96;

/// The password policy control, asked for with every bind.
pub(in crate::directory) const PPOLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// The StartTLS request with message id 1.
pub(in crate::directory) const STARTTLS: &[u8] =
    b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// How far below its base a search looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::directory) enum Scope {
    Base,
    Subtree,
}

/// A search.
pub(in crate::directory) struct Query<'a> {
    pub(in crate::directory) base: &'a str,
    pub(in crate::directory) scope: Scope,
    pub(in crate::directory) filter: Filter<'a>,
    pub(in crate::directory) attributes: &'a Selection,
    /// Entries asked for at most.
    pub(in crate::directory) limit: usize,
}

/// The attributes that a search asks for, as they are sent.
pub(in crate::directory) struct Selection(Vec<u8>);

impl Selection {
    pub(in crate::directory) fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut octets = Vec::new();
        Writer::new(&mut octets).nested(SEQUENCE, |list| {
            for name in names {
                list.element(OCTET_STRING, name.as_bytes());
            }
        });
        Self(octets)
    }

    /// No attributes, only DNs (RFC 4511 §4.5.1.8).
    pub(in crate::directory) fn none() -> Self {
        Self::of(["1.1"])
    }
}

/// A simple bind; wiped when dropped, and never moved while it is written.
pub(in crate::directory) fn bind(id: u32, dn: &str, password: &[u8]) -> Zeroizing<Vec<u8>> {
    let room = BIND_FRAME + dn.len() + password.len();
    let mut octets = Zeroizing::new(Vec::with_capacity(room));
    Writer::new(&mut octets).nested(SEQUENCE, |message| {
        message.number(INTEGER, id);
        message.nested(BIND_REQUEST, |bind| {
            bind.number(INTEGER, VERSION);
            bind.element(OCTET_STRING, dn.as_bytes());
            bind.element(SIMPLE, password);
        });
        message.nested(CONTROLS, |controls| {
            controls.nested(SEQUENCE, |control| {
                control.element(OCTET_STRING, PPOLICY.as_bytes());
            });
        });
    });
    octets
}

/// Writes a search behind what is there.
pub(in crate::directory) fn search(out: &mut Vec<u8>, id: u32, query: &Query<'_>, seconds: u32) {
    let scope = match query.scope {
        Scope::Base => 0,
        Scope::Subtree => 2,
    };
    Writer::new(out).nested(SEQUENCE, |message| {
        message.number(INTEGER, id);
        message.nested(SEARCH_REQUEST, |search| {
            search.element(OCTET_STRING, query.base.as_bytes());
            search.number(ENUMERATED, scope);
            search.number(ENUMERATED, NEVER_DEREF);
            search.number(INTEGER, number(query.limit));
            search.number(INTEGER, seconds);
            // Values, too, not names of attributes only.
            search.element(BOOLEAN, &[0]);
            query.filter.write(search);
            search.raw(&query.attributes.0);
        });
    });
}

fn number(limit: usize) -> u32 {
    i32::try_from(limit).unwrap_or(i32::MAX).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use lber::structure::{PL, StructureTag};
    use proptest::prelude::*;

    use super::*;
    use crate::directory::protocol::UserFilter;

    fn parsed(octets: &[u8]) -> Vec<StructureTag> {
        let (rest, message) = lber::parse::parse_tag(octets).unwrap();
        assert!(rest.is_empty());
        message.expect_constructed().unwrap()
    }

    proptest! {
        #[test]
        fn a_bind_holds_its_octets_and_its_room(id in 1_u32..1 << 31, dn in ".{0,300}", password in prop::collection::vec(any::<u8>(), 0..300)) {
            let octets = bind(id, &dn, &password);
            prop_assert_eq!(octets.capacity(), BIND_FRAME + dn.len() + password.len(), "it moved");
            let mut message = parsed(&octets).into_iter().skip(1);
            let mut fields = message.next().unwrap().expect_constructed().unwrap().into_iter().skip(1);
            prop_assert_eq!(fields.next().unwrap().expect_primitive().unwrap(), dn.into_bytes());
            prop_assert_eq!(fields.next().unwrap().expect_primitive().unwrap(), password);
            let controls = message.next().unwrap().expect_constructed().unwrap();
            prop_assert_eq!(controls.len(), 1);
        }

        #[test]
        fn a_search_holds_one_name_and_keeps_what_was_before(name in "[^\0]{1,253}", base in ".{0,100}") {
            let filter = UserFilter::read("(uid={user})").unwrap();
            let query = Query {
                base: &base,
                scope: Scope::Subtree,
                filter: filter.of(&name).unwrap(),
                attributes: &Selection::of(["mail", "mobile"]),
                limit: 2,
            };
            let mut octets = b"before".to_vec();
            search(&mut octets, 7, &query, 3);
            prop_assert_eq!(&octets[..6], b"before");
            let fields = parsed(&octets[6..]).swap_remove(1).expect_constructed().unwrap();
            prop_assert_eq!(fields.len(), 8);
            prop_assert_eq!(&fields[0].payload, &PL::P(base.into_bytes()));
            let PL::C(equality) = &fields[6].payload else {
                return Err(TestCaseError::fail("no filter"));
            };
            prop_assert_eq!(equality.len(), 2);
            prop_assert_eq!(&equality[1].payload, &PL::P(name.into_bytes()));
        }
    }
}
