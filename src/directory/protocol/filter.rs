//! Search filters, put together from octets (RFC 4511 §4.5.1.7).

use std::sync::Arc;

use ldap3::asn1::{ASNTag as _, PL, StructureTag, TagClass};

use super::ber::{OCTET_STRING, Writer};

/// The place in `user-filter` where the name goes.
const PLACE: &str = "{user}";

const OR: u8 = 0xa1;
const EQUALITY: u8 = 0xa3;
const PRESENT: u8 = 0x87;
const EXTENSIBLE: u8 = 0xa9;
const MATCHING_RULE: u8 = 0x81;
const MATCHING_TYPE: u8 = 0x82;
const MATCH_VALUE: u8 = 0x83;

/// The same as numbers of their elements.
const AND_ID: u64 = 0;
const OR_ID: u64 = 1;
const NOT_ID: u64 = 2;
const PRESENT_ID: u64 = 7;
const EXTENSIBLE_ID: u64 = 9;
const MATCHING_TYPE_ID: u64 = 2;

/// Matches a DN that is a member through other groups, too (MS-ADTS 3.1.1.3.4.4.3).
const IN_CHAIN: &[u8] = b"1.2.840.113556.1.4.1941";

/// The configured `user-filter`, read once; the places of the name are holes within values.
pub(in crate::directory) struct UserFilter {
    parts: Vec<Part>,
    /// The same for any name.
    anybody: Vec<Part>,
}

enum Part {
    Octets(Vec<u8>),
    Name,
    /// An element that holds a name further within.
    Around(u8, Vec<Self>),
}

impl UserFilter {
    /// Reads a filter (RFC 4515) with a place for the name; `None` if it is none, or if a place is
    /// not within a value.
    pub(in crate::directory) fn read(template: &str) -> Option<Self> {
        let parsed = ldap3::parse_filter(template).ok()?.into_structure();
        let anybody = parts(whatever_the_name(parsed.clone()))?;
        let parts = parts(parsed)?;
        // A value that only escapes spell like the place would be taken for one.
        let places = template.matches(PLACE).count();
        (places > 0 && names(&parts) == places).then_some(Self { parts, anybody })
    }

    /// The filter for a name; `None` for a name that no entry can have.
    pub(in crate::directory) fn of<'a>(&'a self, name: &'a str) -> Option<Filter<'a>> {
        let is_possible = !name.is_empty() && !name.contains('\0');
        is_possible.then_some(Filter::User(self, name))
    }

    /// The filter of all who could be meant by some name: where the name goes, any value will do.
    pub(in crate::directory) fn anybody(&self) -> Filter<'_> {
        Filter::Anybody(self)
    }
}

/// What a search looks for.
#[derive(Clone, Copy)]
pub(in crate::directory) enum Filter<'a> {
    /// The configured filter with a name in its places.
    User(&'a UserFilter, &'a str),
    /// Entries that a user's filter finds by some name.
    Anybody(&'a UserFilter),
    /// Groups that name one of these DNs as member.
    Members(&'a [Arc<str>]),
    /// Groups that name the DN as member, directly or through other groups.
    InChain(&'a str),
    Everything,
}

impl Filter<'_> {
    pub(super) fn write(&self, out: &mut Writer<'_>) {
        match *self {
            Self::User(filter, name) => fill(&filter.parts, name.as_bytes(), out),
            Self::Anybody(filter) => fill(&filter.anybody, &[], out),
            Self::Members(dns) => out.nested(OR, |any| {
                for dn in dns {
                    for attribute in [&b"member"[..], b"uniqueMember"] {
                        any.nested(EQUALITY, |equal| {
                            equal.element(OCTET_STRING, attribute);
                            equal.element(OCTET_STRING, dn.as_bytes());
                        });
                    }
                }
            }),
            Self::InChain(dn) => out.nested(EXTENSIBLE, |matching| {
                matching.element(MATCHING_RULE, IN_CHAIN);
                matching.element(MATCHING_TYPE, b"member");
                matching.element(MATCH_VALUE, dn.as_bytes());
            }),
            Self::Everything => out.element(PRESENT, b"objectClass"),
        }
    }
}

/// Goes as deep as the configured filter.
fn fill(parts: &[Part], name: &[u8], out: &mut Writer<'_>) {
    for part in parts {
        match part {
            Part::Octets(octets) => out.raw(octets),
            Part::Name => out.raw(name),
            Part::Around(tag, parts) => out.nested(*tag, |inside| fill(parts, name, inside)),
        }
    }
}

/// An element as parts: one run of octets where no name lies within.
fn parts(element: StructureTag) -> Option<Vec<Part>> {
    let class = (element.class as u8) << 6;
    let id = u8::try_from(element.id).ok().filter(|id| *id < 0x1f)?;
    let (tag, inside) = match element.payload {
        PL::P(value) => (class | id, holes(&value)),
        PL::C(elements) => {
            let inside = elements.into_iter().map(parts).collect::<Option<Vec<_>>>();
            (class | 0x20 | id, inside?.into_iter().flatten().collect())
        }
    };
    if names(&inside) > 0 {
        return Some(vec![Part::Around(tag, inside)]);
    }
    let (mut content, mut octets) = (Vec::new(), Vec::new());
    fill(&inside, &[], &mut Writer::new(&mut content));
    Writer::new(&mut octets).element(tag, &content);
    Some(vec![Part::Octets(octets)])
}

/// A value cut at the places of the name.
fn holes(mut value: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let place = PLACE.as_bytes();
    while let Some(at) = value.windows(place.len()).position(|part| part == place) {
        let (before, after) = value.split_at(at);
        parts.extend([Part::Octets(before.to_vec()), Part::Name]);
        value = after.get(place.len()..).unwrap_or_default();
    }
    parts.push(Part::Octets(value.to_vec()));
    parts
}

/// A filter in which every assertion about the name is one that the attribute is there. Denials of it fall away.
fn whatever_the_name(element: StructureTag) -> StructureTag {
    if !mentions_the_name(&element) {
        return element;
    }
    let class = element.class;
    match (element.id, element.payload) {
        (id @ (AND_ID | OR_ID), PL::C(elements)) => StructureTag {
            class,
            id,
            payload: PL::C(elements.into_iter().map(whatever_the_name).collect()),
        },
        (id, PL::C(elements)) => present(attribute_of(id, elements)),
        (_, PL::P(_)) => present(None),
    }
}

fn mentions_the_name(element: &StructureTag) -> bool {
    match &element.payload {
        PL::P(value) => holes(value).len() > 1,
        PL::C(elements) => elements.iter().any(mentions_the_name),
    }
}

/// The attribute that an assertion is about.
fn attribute_of(id: u64, elements: Vec<StructureTag>) -> Option<Vec<u8>> {
    let about = match id {
        NOT_ID => None,
        EXTENSIBLE_ID => elements
            .into_iter()
            .find(|part| part.id == MATCHING_TYPE_ID),
        _ => elements.into_iter().next(),
    };
    about?.expect_primitive()
}

fn present(attribute: Option<Vec<u8>>) -> StructureTag {
    StructureTag {
        class: TagClass::Context,
        id: PRESENT_ID,
        payload: PL::P(attribute.unwrap_or_else(|| b"objectClass".to_vec())),
    }
}

/// How many places of a name are within.
fn names(parts: &[Part]) -> usize {
    let count = |part: &Part| match part {
        Part::Octets(_) => 0,
        Part::Name => 1,
        Part::Around(_, parts) => names(parts),
    };
    parts.iter().map(count).sum()
}

#[cfg(test)]
mod tests {
    use ldap3::ldap_escape;
    use proptest::prelude::*;

    use super::*;

    /// The filter as it is sent, read by the library.
    fn sent(filter: Filter<'_>) -> StructureTag {
        let mut octets = Vec::new();
        filter.write(&mut Writer::new(&mut octets));
        let (rest, element) = ldap3::asn1::parse_tag(&octets).unwrap();
        assert!(rest.is_empty());
        element
    }

    /// The same as the library makes of a filter in words.
    fn meant(text: &str) -> StructureTag {
        ldap3::parse_filter(text).unwrap().into_structure()
    }

    fn user(template: &str, name: &str) -> Option<StructureTag> {
        UserFilter::read(template).unwrap().of(name).map(sent)
    }

    #[test]
    fn a_name_cannot_leave_its_place() {
        let template = "(&(objectClass=person)(uid={user}))";
        assert_eq!(
            user(template, ")(uid=*"),
            Some(meant("(&(objectClass=person)(uid=\\29\\28uid=\\2a))"))
        );
        assert_eq!(user("(uid={user})", "taro\0"), None);
        assert_eq!(user("(uid={user})", ""), None);
    }

    #[test]
    fn a_filter_needs_its_form_and_a_place_for_the_name() {
        for right in [
            "(uid={user})",
            "(|(sAMAccountName={user})(userPrincipalName={user}@example.ac.jp))",
            "(&(!(cn=x*))(cn:caseExactMatch:={user}))",
        ] {
            assert!(UserFilter::read(right).is_some(), "{right}");
        }
        for wrong in [
            "uid={user})",
            "(uid=*)",
            "(&(uid={user})",
            "",
            "({user})",
            "({user}=x)",
            "(uid=\\7buser\\7d)",
            "(|(uid=\\7buser\\7d)(uid={user}))",
        ] {
            assert!(UserFilter::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn any_name_is_the_attribute_being_there() {
        for (template, anybody) in [
            ("(uid={user})", "(uid=*)"),
            (
                "(&(objectClass=person)(|(uid={user})(mail={user}@*)(cn~=x{user}))(sn=a))",
                "(&(objectClass=person)(|(uid=*)(mail=*)(cn=*))(sn=a))",
            ),
            (
                "(&(!(cn=x*))(!(sn={user}))(cn:caseExactMatch:={user})(:dn:2.5.13.5:={user}))",
                "(&(!(cn=x*))(objectClass=*)(cn=*)(objectClass=*))",
            ),
        ] {
            let filter = UserFilter::read(template).unwrap();
            assert_eq!(sent(filter.anybody()), meant(anybody), "{template}");
        }
    }

    #[test]
    fn members_are_values() {
        let dns = [Arc::from("cn=a*(b)")];
        assert_eq!(
            sent(Filter::Members(&dns)),
            meant("(|(member=cn=a\\2a\\28b\\29)(uniqueMember=cn=a\\2a\\28b\\29))")
        );
    }

    #[test]
    fn the_other_filters_are_what_they_say() {
        assert_eq!(sent(Filter::Everything), meant("(objectClass=*)"));
        assert_eq!(
            sent(Filter::InChain("cn=a,dc=b")),
            meant("(member:1.2.840.113556.1.4.1941:=cn=a,dc=b)")
        );
    }

    proptest! {
        #[test]
        fn any_name_is_what_its_escaped_form_means(name in "[^\0]{1,253}") {
            for template in [
                "(uid={user})",
                "(&(objectClass=person)(|(uid={user})(mail={user}@*)(!(cn~={user}{user}))(cn:dn:2.5.13.5:=a{user}b)))",
            ] {
                let escaped = template.replace(PLACE, &ldap_escape(&*name));
                prop_assert_eq!(user(template, &name), Some(meant(&escaped)));
            }
        }

        #[test]
        fn odd_names_stay_one_value(name in "([*()\\\\]|\\)\\(uid=\\*|[\u{202e}\u{2066}\u{200f}]|.){1,60}") {
            let Some(filter) = user("(uid={user})", &name) else {
                return Ok(());
            };
            let mut inside = filter.expect_constructed().unwrap().into_iter();
            prop_assert_eq!(inside.next().unwrap().expect_primitive().unwrap(), b"uid");
            prop_assert_eq!(inside.next().unwrap().expect_primitive().unwrap(), name.as_bytes());
            prop_assert!(inside.next().is_none());
        }
    }
}
