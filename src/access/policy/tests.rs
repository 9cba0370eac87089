use super::*;
use crate::access::split::tests::{client, standing};
use crate::access::{ReplyRule, Settings};
use crate::account::ClientName;

const ALWAYS: &str = "cn=mfa-always,dc=example";
const FROM: i64 = 1_706_886_000;

fn zones() -> Vec<Zone> {
    let zone = |name: &str, nets: &[&str]| Zone {
        name: name.into(),
        networks: nets.iter().map(|net| net.parse().unwrap()).collect(),
    };
    vec![
        zone("dormitory", &["203.0.113.128/25"]),
        zone("campus", &["203.0.113.0/24", "2001:db8:10::/48"]),
    ]
}

fn rule(zone: Option<&str>, then: Then) -> Rule {
    Rule {
        group: None,
        zone: zone.map(Into::into),
        client: None,
        then,
        from: None,
        before: None,
    }
}

/// Campus is exempt; everybody else is asked from a date on.
fn seed_rules() -> Vec<Rule> {
    vec![
        rule(Some("campus"), Then::PasswordOnly),
        Rule {
            from: Some(Timestamp::from_secs(FROM)),
            before: Some(Then::PasswordOnly),
            ..rule(None, Then::Ask)
        },
    ]
}

fn settings(rules: Vec<Rule>) -> Settings {
    Settings {
        zones: zones(),
        always_ask: vec![ALWAYS.into()],
        rules,
        ..Settings::default()
    }
}

fn vpn() -> ClientPolicy {
    ClientPolicy {
        pool: vec!["203.0.113.64/26".parse().unwrap()],
        ..client()
    }
}

fn wifi() -> ClientPolicy {
    ClientPolicy {
        name: ClientName::new("wifi"),
        ..client()
    }
}

fn ruled(
    settings: &Settings,
    client: &ClientPolicy,
    station: &str,
    always: bool,
    secs: i64,
) -> Ruling {
    let groups: Vec<Arc<str>> = match always {
        true => vec!["cn=staff,dc=example".into(), ALWAYS.into()],
        false => vec!["cn=staff,dc=example".into()],
    };
    ruling(&RuleFacts {
        settings,
        client,
        station: &Station::read(station),
        groups: &groups,
        now: Timestamp::from_secs(secs),
    })
}

const CAMPUS: &str = "203.0.113.5";
const OUT: &str = "198.51.100.7";
const POOL: &str = "203.0.113.70";
const MAC: &str = "00:1b:63:84:45:e6";

#[test]
fn who_is_asked_when_and_where() {
    let settings = settings(seed_rules());
    for secs in [FROM - 1, FROM] {
        for client in [vpn(), wifi()] {
            for always in [false, true] {
                for station in [CAMPUS, OUT, "somewhere", POOL, MAC] {
                    let on_campus = station == CAMPUS
                        || (station == POOL && client.name == ClientName::new("wifi"));
                    let exempt = on_campus || secs < FROM;
                    let expected = match exempt && !always {
                        true => Then::PasswordOnly,
                        false => Then::Ask,
                    };
                    let ruling = ruled(&settings, &client, station, always, secs);
                    let case = format!("{secs} {} {always} {station}", client.name);
                    assert_eq!(ruling.then, expected, "{case}");
                    assert_eq!(
                        ruling.zone.as_deref() == Some("campus"),
                        on_campus,
                        "{case}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_first_match_wins_in_either_order() {
    let campus = rule(Some("campus"), Then::PasswordOnly);
    let deny = rule(None, Then::Deny);
    let free_first = settings(vec![campus.clone(), deny.clone()]);
    let deny_first = settings(vec![deny, campus]);
    assert_eq!(
        ruled(&free_first, &vpn(), CAMPUS, false, 0).then,
        Then::PasswordOnly
    );
    assert_eq!(ruled(&free_first, &vpn(), OUT, false, 0).then, Then::Deny);
    assert_eq!(
        ruled(&deny_first, &vpn(), CAMPUS, false, 0).then,
        Then::Deny
    );
}

#[test]
fn no_match_asks() {
    for rules in [vec![], vec![rule(Some("campus"), Then::PasswordOnly)]] {
        let ruling = ruled(&settings(rules), &vpn(), OUT, false, 0);
        assert_eq!(ruling.then, Then::Ask);
        assert_eq!(&*ruling.rule, "no rule matched: ask");
        assert_eq!(ruling.zone, None);
    }
}

#[test]
fn the_always_group_beats_exemptions_but_no_denial() {
    let exempt = settings(vec![rule(None, Then::PasswordOnly)]);
    let ruling = ruled(&exempt, &vpn(), CAMPUS, true, 0);
    assert_eq!(
        (ruling.then, &*ruling.rule),
        (Then::Ask, "always-ask group")
    );
    let denied = settings(vec![rule(None, Then::Deny)]);
    assert_eq!(ruled(&denied, &vpn(), CAMPUS, true, 0).then, Then::Deny);
}

#[test]
fn outside_is_the_zone_of_those_in_none() {
    let settings = settings(vec![
        rule(Some("outside"), Then::Deny),
        rule(None, Then::PasswordOnly),
    ]);
    for (station, then) in [
        (CAMPUS, Then::PasswordOnly),
        ("2001:db8:10::1", Then::PasswordOnly),
        ("::ffff:203.0.113.5", Then::PasswordOnly),
        (OUT, Then::Deny),
        ("2001:db8:11::1", Then::Deny),
        (POOL, Then::Deny),
        (MAC, Then::Deny),
        ("", Then::Deny),
    ] {
        assert_eq!(
            ruled(&settings, &vpn(), station, false, 0).then,
            then,
            "{station}"
        );
    }
}

#[test]
fn the_first_zone_that_holds_the_address_is_its_zone() {
    let zone = |station: &str| zone(&zones(), &client(), &Station::read(station));
    assert_eq!(zone("203.0.113.200").as_deref(), Some("dormitory"));
    assert_eq!(zone("203.0.113.5[4500]").as_deref(), Some("campus"));
    assert_eq!(zone("203.0.114.5"), None);
}

#[test]
fn a_rule_without_before_is_passed_over_until_its_date() {
    let rules = vec![
        Rule {
            from: Some(Timestamp::from_secs(FROM)),
            ..rule(None, Then::Deny)
        },
        rule(None, Then::PasswordOnly),
    ];
    let settings = settings(rules);
    let just_before = Timestamp::from_secs(FROM).before(std::time::Duration::from_millis(1));
    let client = client();
    let facts = |now| RuleFacts {
        settings: &settings,
        client: &client,
        station: &Station::Unknown,
        groups: &[],
        now,
    };
    assert_eq!(ruling(&facts(just_before)).then, Then::PasswordOnly);
    assert_eq!(ruling(&facts(Timestamp::from_secs(FROM))).then, Then::Deny);
}

#[test]
fn rules_are_named_with_number_and_conditions() {
    let mut rules = seed_rules();
    rules.insert(
        0,
        Rule {
            group: Some("cn=vip,dc=example".into()),
            client: Some(ClientName::new("vpn")),
            ..rule(Some("campus"), Then::Deny)
        },
    );
    let settings = settings(rules);
    let named = |station, secs| {
        ruled(&settings, &vpn(), station, false, secs)
            .rule
            .to_string()
    };
    assert_eq!(named(CAMPUS, FROM), "rule 2 (zone campus): password-only");
    assert_eq!(named(OUT, FROM), "rule 3 (everybody): ask");
    assert_eq!(
        named(OUT, 0),
        "rule 3 (everybody): password-only before its date"
    );
    let groups = ["cn=vip,dc=example".into()];
    let ruling = ruling(&RuleFacts {
        settings: &settings,
        client: &vpn(),
        station: &Station::read(CAMPUS),
        groups: &groups,
        now: Timestamp::default(),
    });
    assert_eq!(
        &*ruling.rule,
        "rule 1 (group cn=vip,dc=example, zone campus, client vpn): deny"
    );
}

#[test]
fn every_matching_reply_set_goes_along_in_order() {
    let reply = |group: Option<&str>, client: Option<&str>, set: &str| ReplyRule {
        group: group.map(Into::into),
        client: client.map(ClientName::new),
        set: set.into(),
    };
    let settings = Settings {
        replies: vec![
            reply(Some("cn=staff"), None, "staff"),
            reply(Some("cn=students"), None, "students"),
            reply(None, Some("vpn"), "vpn"),
            reply(Some("cn=staff"), Some("wifi"), "staff-wifi"),
            reply(None, None, "all"),
        ],
        ..Settings::default()
    };
    let names = |client: &ClientPolicy| replies(&settings, client, &["cn=staff".into()]).join(" ");
    assert_eq!(names(&vpn()), "staff vpn all");
    assert_eq!(names(&wifi()), "staff staff-wifi all");
}

const NOW: Timestamp = Timestamp::from_secs(1000);
const BOTH: Reach = Reach {
    sms: true,
    voice: true,
    numbers: true,
};

fn stepped(client: &ClientPolicy, standing: &Standing, extra: Extra<'_>, reach: Reach) -> Step {
    step(&Facts {
        then: Then::Ask,
        client,
        standing,
        extra: &extra,
        remembered: false,
        phone: Phone::None,
        reach,
        now: NOW,
    })
}

#[test]
fn at_a_remembered_station_nothing_typed_is_asked_for_or_judged() {
    let locked = Standing {
        locked_until: Some(Timestamp::from_secs(1001)),
        ..standing(&[(Totp, 6), (Push, 0)])
    };
    let pushing = ClientPolicy {
        push: vec![PushMode::Shown, PushMode::Approve],
        ..client()
    };
    for standing in [&standing(&[]), &standing(&[(Totp, 6)]), &locked] {
        for extra in [
            Extra::Nothing,
            Extra::Code("123456"),
            Extra::Number("37"),
            Extra::Way(Way::Push),
        ] {
            for (then, expected) in [
                (Then::Ask, Step::StationRemembered),
                (Then::PasswordOnly, Step::PasswordEnough),
                (Then::Deny, Step::Refuse(Reason::Denied)),
            ] {
                let step = step(&Facts {
                    then,
                    client: &pushing,
                    standing,
                    extra: &extra,
                    remembered: true,
                    phone: Phone::Rings,
                    reach: BOTH,
                    now: NOW,
                });
                assert_eq!(step, expected, "{extra:?}");
            }
        }
    }
}

#[test]
fn what_shows_nothing_asks_nothing() {
    use PushMode::{Approve, Shown, Typed};
    let all = ClientPolicy {
        code: vec![
            CodeEntry::Appended,
            CodeEntry::Delimited,
            CodeEntry::Challenge,
        ],
        push: vec![Shown, Typed, Approve],
        ..client()
    };
    let (unasked, untyped) = (all.unasked(), all.untyped());
    assert!(all.asks_back() && !unasked.asks_back() && !untyped.asks_back());
    assert_eq!(unasked.push, [Typed, Approve]);
    assert_eq!(unasked.code, [CodeEntry::Appended, CodeEntry::Delimited]);
    assert!(untyped.code.is_empty());
    assert_eq!(untyped.push, [Approve]);
    for (factors, phone, expected) in [
        (&[(Push, 0)][..], Phone::Rings, Step::Push(Approve)),
        (&[(Push, 0), (Totp, 6)], Phone::Mute, Step::Push(Approve)),
        (&[(Totp, 6)], Phone::None, Step::Refuse(Reason::CodeMissing)),
        (
            &[(Recovery, 9)],
            Phone::None,
            Step::Refuse(Reason::CodeMissing),
        ),
        (&[], Phone::None, Step::Refuse(Reason::NoFactor)),
    ] {
        let step = pushed(&untyped, factors, (Extra::Nothing, phone));
        assert_eq!(step, expected, "{factors:?}");
    }
    // Nothing is sent for a code that could not come in.
    let sent = stepped(&untyped, &standing(&[]), Extra::Nothing, BOTH);
    assert_eq!(sent, Step::Refuse(Reason::NumberRefused));
}

fn appended_only() -> ClientPolicy {
    ClientPolicy {
        code: vec![CodeEntry::Appended],
        ..client()
    }
}

use FactorKind::{Push, Recovery, Sms, Totp, Voice};

#[test]
fn the_rule_comes_before_everything_typed() {
    let totp = standing(&[(Totp, 6)]);
    let with = |then| {
        step(&Facts {
            then,
            client: &client(),
            standing: &totp,
            extra: &Extra::Code("123456"),
            remembered: false,
            phone: Phone::None,
            reach: BOTH,
            now: NOW,
        })
    };
    assert_eq!(with(Then::PasswordOnly), Step::PasswordEnough);
    assert_eq!(with(Then::Deny), Step::Refuse(Reason::Denied));
    assert_eq!(
        with(Then::Ask),
        Step::JudgeCode {
            only: vec![Totp, Recovery]
        }
    );
}

#[test]
fn the_strongest_way_is_asked_for() {
    let none = Reach::default();
    for (factors, reach, expected) in [
        (vec![(Totp, 6)], none, Step::AskCode(Totp)),
        (vec![(Totp, 6)], BOTH, Step::AskCode(Totp)),
        (vec![(Recovery, 9), (Totp, 6)], none, Step::AskCode(Totp)),
        (vec![], BOTH, Step::SendCode(Sms)),
        (vec![], Reach { sms: false, ..BOTH }, Step::SendCode(Voice)),
        (vec![(Recovery, 9)], BOTH, Step::SendCode(Sms)),
        (vec![(Recovery, 9)], none, Step::AskCode(Recovery)),
        (vec![], none, Step::Refuse(Reason::NoFactor)),
        (
            vec![],
            Reach {
                numbers: true,
                ..none
            },
            Step::Refuse(Reason::NumberRefused),
        ),
    ] {
        let got = stepped(&client(), &standing(&factors), Extra::Nothing, reach);
        assert_eq!(got, expected, "{factors:?} {reach:?}");
    }
}

#[test]
fn gear_that_cannot_be_asked_is_told_to_append() {
    let totp = standing(&[(Totp, 6)]);
    let missing = Step::Refuse(Reason::CodeMissing);
    assert_eq!(
        stepped(&appended_only(), &totp, Extra::Nothing, BOTH),
        missing
    );
    assert_eq!(
        stepped(&appended_only(), &standing(&[]), Extra::Nothing, BOTH),
        Step::SendCode(Sms)
    );
    let none = ClientPolicy {
        code: vec![],
        ..client()
    };
    assert_eq!(
        stepped(&none, &standing(&[]), Extra::Nothing, BOTH),
        Step::Refuse(Reason::NumberRefused)
    );
}

#[test]
fn nothing_is_sent_to_who_has_a_factor_of_their_own() {
    let totp = standing(&[(Totp, 6)]);
    for kind in [Sms, Voice] {
        let named = Extra::Way(Way::Sent(kind));
        assert_eq!(stepped(&client(), &totp, named, BOTH), Step::AskCode(Totp));
        let got = stepped(&client(), &standing(&[]), named, BOTH);
        assert_eq!(got, Step::SendCode(kind));
    }
    let sms_only = ClientPolicy {
        ways: vec![Sms],
        ..client()
    };
    assert_eq!(
        stepped(&sms_only, &totp, Extra::Nothing, BOTH),
        Step::Refuse(Reason::NoFactor)
    );
}

#[test]
fn a_way_that_the_client_does_not_allow_is_not_used() {
    let no_voice = ClientPolicy {
        ways: vec![Totp, Sms],
        ..client()
    };
    let named = Extra::Way(Way::Sent(Voice));
    assert_eq!(
        stepped(&no_voice, &standing(&[]), named, BOTH),
        Step::SendCode(Sms)
    );
    let nothing = ClientPolicy {
        ways: vec![],
        ..client()
    };
    assert_eq!(
        stepped(
            &nothing,
            &standing(&[(Totp, 6)]),
            Extra::Code("123456"),
            BOTH
        ),
        Step::Refuse(Reason::NoFactor)
    );
}

#[test]
fn push_where_there_is_none_asks_for_the_next_way() {
    let got = stepped(
        &client(),
        &standing(&[(Totp, 6)]),
        Extra::Way(Way::Push),
        BOTH,
    );
    assert_eq!(got, Step::AskCode(Totp));
}

#[test]
fn a_code_with_nothing_to_compare_it_with_has_another_sent() {
    let code = Extra::Code("123456");
    assert_eq!(
        stepped(&client(), &standing(&[]), code, BOTH),
        Step::SendCode(Sms)
    );
    let open = Standing {
        sent_code_open: true,
        sent_code_digits: 6,
        ..standing(&[])
    };
    let only = vec![Totp, Sms, Voice, Recovery];
    assert_eq!(
        stepped(&client(), &open, code, BOTH),
        Step::JudgeCode { only }
    );
}

#[test]
fn locked_codes_are_neither_judged_nor_asked_for_nor_sent() {
    for factors in [vec![], vec![(Totp, 6)]] {
        let locked = |until| Standing {
            locked_until: Some(Timestamp::from_secs(until)),
            ..standing(&factors)
        };
        for extra in [Extra::Nothing, Extra::Code("123456")] {
            let refused = Step::Refuse(Reason::CodesLocked);
            assert_eq!(stepped(&client(), &locked(1001), extra, BOTH), refused);
            assert_ne!(stepped(&client(), &locked(1000), extra, BOTH), refused);
        }
    }
}

fn standing_of(factors: &[(FactorKind, u8)]) -> Standing {
    standing(factors)
}

/// The step for somebody with these factors, who typed this, at a client with these ways for the number.
fn pushed(
    client: &ClientPolicy,
    factors: &[(FactorKind, u8)],
    (extra, phone): (Extra<'_>, Phone),
) -> Step {
    let standing = Standing {
        prompts_left: 5,
        ..standing(factors)
    };
    step(&Facts {
        then: Then::Ask,
        client,
        standing: &standing,
        extra: &extra,
        remembered: false,
        phone,
        reach: Reach::default(),
        now: NOW,
    })
}

#[test]
fn the_strongest_way_of_push_that_the_client_has_is_taken() {
    use PushMode::{Approve, Shown, Typed};
    let (phone, both) = (&[(Push, 0)][..], &[(Push, 0), (Totp, 6)][..]);
    let named = Extra::Way(Way::Push);
    let (none, number, code) = (Extra::Nothing, Extra::Number("37"), Extra::Code("123456"));
    let (missing, nothing) = (
        Step::Refuse(Reason::NumberMissing),
        Step::Refuse(Reason::NoFactor),
    );
    let only = judged_kinds(&client(), true);
    let judge = Step::JudgeCode { only };
    let typed = Step::Push(Typed);
    let push_of = |mode| Step::Push(mode);
    for (asks, push, factors, extra, expected) in [
        (true, &[Shown, Approve][..], phone, none, push_of(Shown)),
        (true, &[Shown], both, none, push_of(Shown)),
        // A number cannot be shown where nothing can be asked.
        (false, &[Shown, Typed], phone, none, missing.clone()),
        (false, &[Typed], phone, number, typed),
        (false, &[Typed], phone, named, missing),
        (false, &[Typed], both, code, judge),
        // A code is stronger than an approval alone, unless that is asked for by its name.
        (true, &[Approve], both, none, Step::AskCode(Totp)),
        (true, &[Approve], both, named, push_of(Approve)),
        (true, &[Approve], phone, none, push_of(Approve)),
        (false, &[Approve], both, none, push_of(Approve)),
        (true, &[], both, none, Step::AskCode(Totp)),
        (true, &[], both, named, Step::AskCode(Totp)),
        (true, &[], phone, none, nothing),
    ] {
        let code = match asks {
            true => vec![CodeEntry::Delimited, CodeEntry::Challenge],
            false => vec![CodeEntry::Delimited],
        };
        let client = ClientPolicy {
            code,
            push: push.to_vec(),
            ..client()
        };
        let got = pushed(&client, factors, (extra, Phone::Rings));
        assert_eq!(got, expected, "{asks} {push:?} {factors:?} {extra:?}");
    }
}

#[test]
fn a_phone_that_cannot_be_rung_is_passed_over_where_a_code_can_be_asked_for() {
    let asking = ClientPolicy {
        push: vec![PushMode::Shown],
        ..client()
    };
    let both = &[(Push, 0), (Totp, 6)];
    for (factors, phone, expected) in [
        (&both[..], Phone::Mute, Step::AskCode(Totp)),
        (&[(Push, 0)], Phone::Mute, Step::Push(PushMode::Shown)),
        (
            &[(Push, 0), (Recovery, 10)],
            Phone::Mute,
            Step::AskCode(Recovery),
        ),
        (&both[..], Phone::None, Step::AskCode(Totp)),
    ] {
        let got = pushed(&asking, factors, (Extra::Nothing, phone));
        assert_eq!(got, expected, "{factors:?} {phone:?}");
    }
}

#[test]
fn no_prompt_after_too_many_or_a_report() {
    let asking = ClientPolicy {
        push: vec![PushMode::Shown, PushMode::Typed],
        ..client()
    };
    let too_many = Standing {
        prompts_left: 0,
        ..standing(&[(Push, 0)])
    };
    let exposed = Standing {
        exposed: Some(NOW),
        prompts_left: 5,
        ..standing(&[(Push, 0)])
    };
    for (standing, refused) in [
        (&too_many, Reason::PromptLimit),
        (&exposed, Reason::Exposed),
    ] {
        for extra in [Extra::Nothing, Extra::Number("37"), Extra::Way(Way::Push)] {
            let facts = |standing| Facts {
                then: Then::Ask,
                client: &asking,
                standing,
                extra: &extra,
                remembered: false,
                phone: Phone::Rings,
                reach: Reach::default(),
                now: NOW,
            };
            assert_eq!(step(&facts(standing)), Step::Refuse(refused));
            let mut with_code = standing.clone();
            with_code.factors.extend(standing_of(&[(Totp, 6)]).factors);
            assert_eq!(step(&facts(&with_code)), Step::AskCode(Totp));
        }
    }
}

/// The portal, where somebody with nothing enrols on campus.
fn portal() -> ClientPolicy {
    ClientPolicy {
        asks: Asks::Always {
            but_in: vec!["campus".into()],
        },
        ..client()
    }
}

#[test]
fn a_client_that_always_asks_is_exempt_from_nothing_but_a_denial() {
    let says = |rules: Vec<Rule>, client: &ClientPolicy| {
        let facts = RuleFacts {
            settings: &settings(rules),
            client,
            station: &Station::Address("203.0.113.5".parse().unwrap()),
            groups: &[],
            now: Timestamp::from_secs(FROM),
        };
        ruling(&facts)
    };
    assert_eq!(says(seed_rules(), &client()).then, Then::PasswordOnly);
    let asked = says(seed_rules(), &portal());
    assert_eq!(asked.then, Then::Ask);
    assert!(asked.rule.contains("always asks"), "{}", asked.rule);
    assert_eq!(asked.zone.as_deref(), Some("campus"));
    let denied = vec![rule(None, Then::Deny)];
    assert_eq!(says(denied, &portal()).then, Then::Deny);
}

#[test]
fn only_who_has_nothing_enrols_by_a_password_and_only_there() {
    let nothing = standing(&[]);
    assert!(may_enrol(&portal(), Some("campus"), &nothing));
    assert!(!may_enrol(&portal(), Some("dormitory"), &nothing));
    assert!(!may_enrol(&portal(), None, &nothing));
    assert!(!may_enrol(&client(), Some("campus"), &nothing));
    let reported = Standing {
        exposed: Some(NOW),
        ..nothing
    };
    assert!(!may_enrol(&portal(), Some("campus"), &reported));
    for kind in [Push, Totp, Recovery] {
        assert!(!may_enrol(
            &portal(),
            Some("campus"),
            &standing(&[(kind, 6)])
        ));
    }
}
