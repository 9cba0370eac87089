use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::access::{Asks, Label, Texts};
use crate::account::{ClientName, Language};
use crate::clock::Timestamp;
use crate::store::Enrolled;

/// A client that can do everything.
pub(in crate::access) fn client() -> ClientPolicy {
    ClientPolicy {
        name: ClientName::new("vpn"),
        label: Label::default(),
        code: vec![
            CodeEntry::Appended,
            CodeEntry::Delimited,
            CodeEntry::Challenge,
        ],
        delimiter: ',',
        ways: vec![
            FactorKind::Totp,
            FactorKind::Sms,
            FactorKind::Voice,
            FactorKind::Recovery,
        ],
        texts: Texts::Full,
        language: Language::Both,
        pool: Vec::new(),
        shared_stations: false,
        push: Vec::new(),
        patience: Duration::from_secs(30),
        pair: Duration::from_secs(10),
        asks: Asks::ByRules,
        remember: Duration::ZERO,
        remember_always: false,
        late_approval: Duration::from_secs(60),
    }
}

/// An account with these factors.
pub(in crate::access) fn standing(factors: &[(FactorKind, u8)]) -> Standing {
    let enrolled = |(kind, digits): &(FactorKind, u8)| Enrolled {
        id: 1,
        kind: *kind,
        label: String::new(),
        digits: *digits,
        proven: true,
        enrolled: Timestamp::default(),
        used: None,
        silent: None,
    };
    Standing {
        factors: factors.iter().map(enrolled).collect(),
        ..Standing::default()
    }
}

fn sent(digits: u8) -> Standing {
    Standing {
        sent_code_open: true,
        sent_code_digits: digits,
        ..Standing::default()
    }
}

const TOTP6: &[(FactorKind, u8)] = &[(FactorKind::Totp, 6)];

fn ask<'a>(typed: &'a str, client: &ClientPolicy, standing: &Standing) -> (&'a str, Extra<'a>) {
    let parts = split(typed, client, Forms::of(standing, client, false), Then::Ask);
    (parts.password, parts.extra)
}

#[test]
fn the_last_digits_are_the_code_of_who_has_a_factor() {
    let (client, totp) = (client(), standing(TOTP6));
    for (typed, password, extra) in [
        ("secret123456", "secret", Extra::Code("123456")),
        ("secret９８７６５４", "secret", Extra::Code("９８７６５４")),
        ("秘密の言葉123456", "秘密の言葉", Extra::Code("123456")),
        ("秘密１2３4５6", "秘密", Extra::Code("１2３4５6")),
        ("12345678", "12", Extra::Code("345678")),
        ("secret12345", "secret12345", Extra::Nothing),
        ("secret", "secret", Extra::Nothing),
        ("123456", "123456", Extra::Nothing),
        ("パス", "パス", Extra::Nothing),
    ] {
        assert_eq!(ask(typed, &client, &totp), (password, extra), "{typed}");
    }
}

#[test]
fn nobody_without_a_code_factor_loses_digits() {
    let client = client();
    for standing in [standing(&[]), standing(&[(FactorKind::Recovery, 9)])] {
        assert_eq!(
            ask("secret123456", &client, &standing),
            ("secret123456", Extra::Nothing)
        );
    }
    let (eight, six) = (sent(8), sent(6));
    assert_eq!(
        ask("secret12345678", &client, &eight),
        ("secret", Extra::Code("12345678"))
    );
    assert_eq!(
        ask("secret12345678", &client, &six),
        ("secret12", Extra::Code("345678"))
    );
}

#[test]
fn a_sent_code_is_none_for_who_has_a_factor_of_their_own() {
    let open = Standing {
        sent_code_open: true,
        sent_code_digits: 8,
        ..standing(TOTP6)
    };
    assert_eq!(
        ask("secret12345678", &client(), &open),
        ("secret12", Extra::Code("345678"))
    );
}

#[test]
fn lengths_that_differ_need_the_delimiter() {
    let two = standing(&[(FactorKind::Totp, 6), (FactorKind::Totp, 8)]);
    let client = client();
    assert_eq!(
        ask("secret12345678", &client, &two),
        ("secret12345678", Extra::Nothing)
    );
    for code in ["123456", "12345678"] {
        let typed = format!("secret,{code}");
        assert_eq!(ask(&typed, &client, &two), ("secret", Extra::Code(code)));
    }
}

#[test]
fn what_follows_the_last_delimiter_is_a_code_or_a_way() {
    let (client, totp) = (client(), standing(TOTP6));
    let code = |code| Extra::Code(code);
    for (typed, password, extra) in [
        ("secret,123456", "secret", code("123456")),
        ("secret, 123456 ", "secret", code("123456")),
        ("se,cr,et,123456", "se,cr,et", code("123456")),
        ("秘密,１２３４５６", "秘密", code("１２３４５６")),
        ("秘密\u{ff0c}１２３４５６", "秘密", code("１２３４５６")),
        ("secret,12345678", "secret", code("12345678")),
        (
            "secret,sms",
            "secret",
            Extra::Way(Way::Sent(FactorKind::Sms)),
        ),
        (
            "secret,SMS",
            "secret",
            Extra::Way(Way::Sent(FactorKind::Sms)),
        ),
        (
            "secret,Voice",
            "secret",
            Extra::Way(Way::Sent(FactorKind::Voice)),
        ),
        ("secret,push", "secret", Extra::Way(Way::Push)),
        ("se,cret", "se,cret", Extra::Nothing),
        ("secret,", "secret,", Extra::Nothing),
        ("secret,12", "secret,12", Extra::Nothing),
        (",123", ",123", Extra::Nothing),
        (",sms", ",sms", Extra::Nothing),
    ] {
        assert_eq!(ask(typed, &client, &totp), (password, extra), "{typed}");
    }
}

#[test]
fn delimited_digits_are_a_code_even_before_one_was_sent() {
    assert_eq!(
        ask("secret,123456", &client(), &standing(&[])),
        ("secret", Extra::Code("123456"))
    );
}

#[test]
fn recovery_codes_come_after_the_delimiter_alone() {
    let client = client();
    let printed = standing(&[(FactorKind::Recovery, 10), (FactorKind::Totp, 6)]);
    for code in ["ABCD-EFGH-IJKL-MNOP", "abcdefghijklmnop"] {
        let typed = format!("secret,{code}");
        assert_eq!(
            ask(&typed, &client, &printed),
            ("secret", Extra::Code(code))
        );
        let appended = format!("secret{code}");
        assert_eq!(
            ask(&appended, &client, &printed),
            (&*appended, Extra::Nothing)
        );
        let none = standing(TOTP6);
        assert_eq!(ask(&typed, &client, &none), (&*typed, Extra::Nothing));
    }
}

#[test]
fn only_the_ways_in_that_the_client_has_are_read() {
    let totp = standing(TOTP6);
    let only = |code| ClientPolicy {
        code: vec![code],
        ..client()
    };
    let appended = only(CodeEntry::Appended);
    assert_eq!(
        ask("secret,123456", &appended, &totp),
        ("secret,", Extra::Code("123456"))
    );
    assert_eq!(ask("secret,sms", &appended, &totp).1, Extra::Nothing);
    let delimited = only(CodeEntry::Delimited);
    assert_eq!(ask("secret123456", &delimited, &totp).1, Extra::Nothing);
    let challenge = only(CodeEntry::Challenge);
    for typed in ["secret123456", "secret,123456", "secret,sms"] {
        assert_eq!(ask(typed, &challenge, &totp), (typed, Extra::Nothing));
    }
    let no_totp = ClientPolicy {
        ways: vec![FactorKind::Sms],
        ..client()
    };
    assert_eq!(ask("secret123456", &no_totp, &totp).1, Extra::Nothing);
}

#[test]
fn where_the_password_is_enough_only_the_explicit_form_is_cut() {
    let client = client();
    for (typed, factors, password) in [
        ("secret123456", TOTP6, "secret123456"),
        ("secret,123456", TOTP6, "secret"),
        ("secret,sms", TOTP6, "secret"),
        ("secret,12345678", TOTP6, "secret,12345678"),
        ("secret,123456", &[], "secret,123456"),
    ] {
        let forms = Forms::of(&standing(factors), &client, false);
        let parts = split(typed, &client, forms, Then::PasswordOnly);
        assert_eq!(parts.password, password, "{typed}");
    }
}

fn modes() -> impl Strategy<Value = Vec<CodeEntry>> {
    proptest::sample::subsequence(client().code, 0..=3)
}

fn typed() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-z0-9]{0,6}",
        "[,\u{ff0c}]",
        "[0-9]{5,9}",
        "[０-９]{6,8}",
        "\\PC{0,5}",
        Just("sms".to_owned()),
        Just("ABCDEFGHIJKLMNOP".to_owned()),
    ];
    proptest::collection::vec(part, 1..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn nothing_typed_is_lost_and_no_password_is_empty(
        typed in typed(),
        code in modes(),
        digits in proptest::collection::vec(0_u8..12, 0..3),
        recovery: bool,
        open: bool,
        then in proptest::sample::select(vec![Then::Ask, Then::PasswordOnly, Then::Deny]),
    ) {
        let client = ClientPolicy { code, ..client() };
        let mut factors: Vec<_> = digits.iter().map(|n| (FactorKind::Totp, *n)).collect();
        if recovery {
            factors.push((FactorKind::Recovery, 10));
        }
        let standing = Standing { sent_code_open: open, sent_code_digits: 6, ..standing(&factors) };
        let parts = split(&typed, &client, Forms::of(&standing, &client, false), then);
        prop_assert!(typed.is_empty() || !parts.password.is_empty());
        let rest = typed.strip_prefix(parts.password);
        prop_assert!(rest.is_some(), "the password is not the beginning");
        let rest = rest.unwrap_or_default();
        match parts.extra {
            Extra::Nothing => prop_assert_eq!(rest, ""),
            Extra::Code(code) => {
                let delimiter = rest.trim().strip_suffix(code).map(str::trim);
                prop_assert!(matches!(delimiter, Some("" | "," | "\u{ff0c}")), "{:?}", rest);
            }
            Extra::Number(digits) => {
                let word = rest.strip_prefix([',', '\u{ff0c}']);
                prop_assert_eq!(word.map(str::trim), Some(digits));
            }
            Extra::Way(way) => {
                let word = rest.strip_prefix([',', '\u{ff0c}']);
                prop_assert_eq!(word.and_then(Way::read), Some(way));
            }
        }
    }
}
