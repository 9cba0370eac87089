use lber::structure::{PL, StructureTag};
use proptest::prelude::*;

use super::super::ber::{MAX_MESSAGE, Writer};
use super::*;

impl Attributes {
    /// An entry of these attributes, one value each.
    pub(in crate::directory) fn made(dn: &str, values: &[(&str, &[u8])]) -> Self {
        let mut octets = Vec::new();
        let mut entry = Writer::new(&mut octets);
        entry.element(OCTET_STRING, dn.as_bytes());
        entry.nested(SEQUENCE, |list| {
            for (name, value) in values {
                attribute(list, name, &[value]);
            }
        });
        Self::new(&octets)
    }
}

fn attribute(list: &mut Writer<'_>, name: &str, values: &[impl AsRef<[u8]>]) {
    list.nested(SEQUENCE, |attribute| {
        attribute.element(OCTET_STRING, name.as_bytes());
        attribute.nested(SET, |set| {
            for value in values {
                set.element(OCTET_STRING, value.as_ref());
            }
        });
    });
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    Writer::new(&mut octets).element(tag, content);
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
    let mut body = element(OCTET_STRING, b"uid=taro");
    Writer::new(&mut body).nested(SEQUENCE, |list| attribute(list, "mail", values));
    answer(2, &element(SEARCH_ENTRY, &body), &[])
}

fn inbox(octets: &[u8]) -> Inbox {
    let mut inbox = Inbox::default();
    inbox.push(octets);
    inbox
}

fn refused(octets: &[u8]) -> Option<Violation> {
    inbox(octets).next().err()
}

#[test]
fn answers_are_told_apart() {
    let outcome = Outcome {
        code: 0,
        text: "fine",
        controls: &[],
    };
    for (tag, operation) in [
        (BIND_RESPONSE, Operation::Bind(outcome)),
        (SEARCH_DONE, Operation::Done(outcome)),
        (EXTENDED_RESPONSE, Operation::Extended(outcome)),
    ] {
        let mut inbox = inbox(&answer(7, &element(tag, &success()), &[]));
        assert_eq!(inbox.next(), Ok(Some(Message { id: 7, operation })));
        assert!(inbox.is_empty());
    }
}

#[test]
fn controls_are_read_with_and_without_value() {
    let control = element(SEQUENCE, &element(OCTET_STRING, b"1.2.3"));
    let with = element(
        SEQUENCE,
        &[
            element(OCTET_STRING, b"1.2.4"),
            element(BOOLEAN, &[0xff]),
            element(OCTET_STRING, b"x"),
        ]
        .concat(),
    );
    let controls = element(CONTROLS, &[control, with].concat());
    let mut inbox = inbox(&answer(1, &element(BIND_RESPONSE, &success()), &controls));
    let Ok(Some(Message {
        operation: Operation::Bind(outcome),
        ..
    })) = inbox.next()
    else {
        panic!("no answer to a bind");
    };
    assert_eq!(outcome.control("1.2.3"), Some(&b""[..]));
    assert_eq!(outcome.control("1.2.4"), Some(&b"x"[..]));
    assert_eq!(outcome.control("1.2.5"), None);
    let empty_boolean = element(
        SEQUENCE,
        &[element(OCTET_STRING, b"1.2.3"), element(BOOLEAN, &[])].concat(),
    );
    let octets = answer(
        1,
        &element(BIND_RESPONSE, &success()),
        &element(CONTROLS, &empty_boolean),
    );
    assert_eq!(refused(&octets), Some(Violation::Tag));
}

#[test]
fn a_notice_of_disconnection_in_the_words_of_active_directory_is_read() {
    let octets = answer(
        0,
        &element(EXTENDED_RESPONSE, &success()),
        &element(EXTENDED_NAME, b"1.3.6.1.4.1.1466.20036"),
    );
    assert_eq!(inbox(&octets).next().unwrap().unwrap().id, 0);
}

#[test]
fn an_operation_that_is_no_answer_is_refused() {
    for tag in [0x60, 0x63, 0x66, 0x79, 0x30, 0x02] {
        let octets = answer(1, &element(tag, &success()), &[]);
        assert!(refused(&octets).is_some(), "{tag:#x}");
    }
}

#[test]
fn lengths_beyond_the_bound_are_refused_before_anything_is_kept() {
    for octets in [
        &[SEQUENCE, 0x84, 0x40, 0, 0, 0][..],
        &[SEQUENCE, 0x88, 0, 0, 0, 0, 0, 0, 0, 1],
        &[SEQUENCE, 0x80],
        &[SEQUENCE, 0x83, 0x10, 0, 0],
    ] {
        assert_eq!(refused(octets), Some(Violation::Length), "{octets:?}");
    }
    assert_eq!(inbox(&[SEQUENCE, 0x83, 0x0f]).next(), Ok(None));
}

#[test]
fn what_nests_deeper_than_ldap_is_refused() {
    let deep = |levels| (0..levels).fold(Vec::new(), |inner, _| element(SEQUENCE, &inner));
    assert_eq!(refused(&deep(3)), Some(Violation::Tag));
    assert_eq!(refused(&deep(10_000)), Some(Violation::Tag));
    for body in [
        [element(OCTET_STRING, b"uid=x"), deep(10_000)].concat(),
        [success(), deep(10_000)].concat(),
        [success(), element(REFERRAL, &deep(10_000))].concat(),
    ] {
        for tag in [SEARCH_ENTRY, SEARCH_DONE, BIND_RESPONSE, EXTENDED_RESPONSE] {
            assert!(refused(&answer(1, &element(tag, &body), &[])).is_some());
        }
    }
    let controls = element(CONTROLS, &deep(10_000));
    let octets = answer(1, &element(SEARCH_DONE, &success()), &controls);
    assert!(refused(&octets).is_some());
}

#[test]
fn attributes_are_found_whatever_their_case() {
    let found = Attributes::made(
        "uid=taro",
        &[("Mail", b"a@b"), ("memberOf;range=0-1499", b"x")],
    );
    assert_eq!(found.dn(), "uid=taro");
    assert_eq!(found.text("mail"), Some("a@b"));
    assert_eq!(found.text("memberOf"), None);
    assert!(found.is_cut("memberof"));
    assert!(!found.is_cut("mail"));
}

#[test]
fn a_large_answer_does_not_keep_its_memory() {
    let mut inbox = inbox(&person(&[vec![b'x'; MAX_MESSAGE / 2]]));
    assert!(inbox.next().unwrap().is_some());
    inbox.push(&[]);
    assert!(inbox.octets.capacity() <= KEPT);
}

/// Levels below an element.
fn depth(element: &StructureTag) -> usize {
    match &element.payload {
        PL::P(_) => 0,
        PL::C(inner) => 1 + inner.iter().map(depth).max().unwrap_or_default(),
    }
}

proptest! {
    #[test]
    fn any_octets_are_refused_or_read_without_a_panic(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut inbox = inbox(&octets);
        while let Ok(Some(_)) = inbox.next() {}
        prop_assert!(inbox.start <= octets.len());
    }

    #[test]
    fn what_passes_is_shallow_and_means_the_same_to_the_library(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8), at in any::<prop::sample::Index>(), flip in any::<u8>()) {
        let mut octets = person(&values);
        let at = at.index(octets.len());
        octets[at] ^= flip;
        let mut inbox = inbox(&octets);
        if let Ok(Some(Message { operation: Operation::Entry(entry), .. })) = inbox.next() {
            let (_, parsed) = lber::parse::parse_tag(&octets).unwrap();
            prop_assert!(depth(&parsed) <= 6);
            let body = parsed.expect_constructed().unwrap().swap_remove(1);
            let dn = body.expect_constructed().unwrap().swap_remove(0);
            let found = Attributes::new(entry);
            prop_assert_eq!(dn.expect_primitive().unwrap(), found.dn().as_bytes());
        }
    }

    #[test]
    fn values_come_as_they_were_sent(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
        let mut inbox = inbox(&person(&values));
        let Ok(Some(Message { id: 2, operation: Operation::Entry(entry) })) = inbox.next() else {
            return Err(TestCaseError::fail("no entry"));
        };
        let found = Attributes::new(entry);
        prop_assert_eq!(found.dn(), "uid=taro");
        prop_assert!(found.all("MAIL").eq(values.iter().map(Vec::as_slice)));
        prop_assert_eq!(found.all("mobile").count(), 0);
    }

    #[test]
    fn a_message_is_incomplete_until_its_last_octet(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
        let octets = person(&values);
        let mut inbox = Inbox::default();
        for octet in &octets {
            prop_assert!(!inbox.has_message().unwrap());
            prop_assert_eq!(inbox.next(), Ok(None));
            inbox.push(&[*octet]);
        }
        prop_assert!(inbox.has_message().unwrap());
        prop_assert!(inbox.next().unwrap().is_some());
    }
}
