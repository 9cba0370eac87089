//! What goes with an Accept, and under whose name.

use super::campus::{Campus, PASSWORD, PASSWORD_ONLY};
use super::station::{Method, Said, Station, Version};

/// The lines of the last RADIUS message that eapol_test heard.
fn accept(said: &Said) -> &str {
    let begin = said.text.rfind("RADIUS message: code=2 (Access-Accept)");
    &said.text[begin.unwrap_or_else(|| panic!("{}", said.text))..]
}

/// The value of an attribute of it, as eapol_test shows it.
fn value(said: &Said, number: u8) -> Option<&str> {
    let mut lines = accept(said).lines();
    let label = format!("   Attribute {number} (");
    lines.find(|line| line.starts_with(&label))?;
    lines.next()?.trim().strip_prefix("Value: ")
}

fn log_in(campus: &Campus, station: &Station) -> Said {
    let said = station.log_in(&campus.papers, campus.radius());
    let judged = said.let_in();
    assert!(judged.is_ok(), "{judged:?}\n{}", campus.daemon.log());
    said
}

fn station(name: &str) -> Station {
    Station::new(Method::TtlsPap, name, PASSWORD)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn an_accept_carries_what_was_asked_for() {
    let reply = "[[reply]]\nfilter-id = \"staff\"\n";
    let campus = Campus::start_with(
        &["taro", "hanako"],
        "session-timeout = \"12h\"",
        &format!("{reply}{PASSWORD_ONLY}"),
    );
    let plain = log_in(&campus, &station("taro"));
    assert_eq!(value(&plain, 1), Some("'taro'"));
    // eapol_test knows of Filter-Id no more than its length.
    assert!(accept(&plain).contains("   Attribute 11 (?Unknown?) length=7\n"));
    assert_eq!(value(&plain, 27), Some("43200"));
    assert_eq!(value(&plain, 29), Some("1"));
    // Nobody asked for these.
    assert_eq!((value(&plain, 89), value(&plain, 102)), (None, None));

    let asking = |name: &str, operator: &str| {
        let station = Station {
            outer: Some("anonymous@example.ac.jp".to_owned()),
            words: words(&["-e", "-N", "89:x:00", "-N", &format!("126:s:1{operator}")]),
            ..station(name)
        };
        log_in(&campus, &station)
    };
    let taro = asking("taro", "example.ac.jp");
    assert_eq!(value(&taro, 1), Some("'anonymous@example.ac.jp'"));
    let chargeable = value(&taro, 89).unwrap().to_owned();
    assert!(!chargeable.contains("taro"));
    let again = asking("taro", "example.ac.jp");
    assert_eq!(value(&again, 89), Some(&*chargeable));
    for other in [
        asking("hanako", "example.ac.jp"),
        asking("taro", "other.example"),
    ] {
        assert_ne!(value(&other, 89), Some(&*chargeable));
    }
    // Type 21, and 64 octets that both sides have made.
    let key_name = value(&taro, 102).unwrap();
    assert_eq!((key_name.len(), &key_name[..2]), (130, "15"));
    let own = taro.last("EAP-TTLS: Derived Session-Id - hexdump(len=65): ");
    assert_eq!(own, key_name);
}

#[test]
fn a_key_name_that_cannot_be_had_is_left_out() {
    let campus = Campus::start(&["taro"], PASSWORD_ONLY);
    let station = Station {
        version: Version::V12,
        words: words(&["-e"]),
        ..station("taro")
    };
    assert_eq!(value(&log_in(&campus, &station), 102), None);
}

#[test]
fn an_outer_name_is_ones_own_or_nobodys() {
    let campus = Campus::start(&["taro", "hanako"], PASSWORD_ONLY);
    let outer = |outer: &str| Station {
        outer: Some(outer.to_owned()),
        ..station("taro")
    };
    for own in [
        "taro",
        "TARO",
        "taro@example.ac.jp",
        "@example.ac.jp",
        "anon@eduroam.example",
    ] {
        let said = log_in(&campus, &outer(own));
        assert_eq!(value(&said, 1), Some(&*format!("'{own}'")));
    }
    for (number, other) in [
        "hanako",
        "hanako@example.ac.jp",
        "somebody@elsewhere.example",
    ]
    .into_iter()
    .enumerate()
    {
        let station = Station {
            mac: format!("02:00:00:00:01:0{number}"),
            ..outer(other)
        };
        let said = station.is_refused(&campus.papers, campus.radius());
        assert_eq!(said.refused(), Ok(()), "{other}");
    }
    campus
        .daemon
        .wait_log("is somebody else's than the inner name taro");
    // The password was tried at the first login: the others had their verdict from it, and the refused did not even ask.
    let dn = crate::support::slapd::person_dn("taro");
    assert_eq!(campus.slapd.binds(&dn), 1);
}

#[test]
fn a_certificate_says_who_it_is_whatever_the_outer_name() {
    let campus = Campus::start(&["taro", "hanako"], PASSWORD_ONLY);
    campus
        .papers
        .person("taro", "clients", "taro@example.ac.jp");
    let by = |outer: &str| Station {
        method: Method::Tls,
        outer: Some(outer.to_owned()),
        ..station("taro")
    };
    for (outer, told) in [
        ("taro", "'taro'"),
        ("anonymous@example.ac.jp", "'anonymous@example.ac.jp'"),
        ("hanako", "'taro@example.ac.jp'"),
        ("host/laptop-7", "'taro@example.ac.jp'"),
    ] {
        let said = log_in(&campus, &by(outer));
        assert_eq!(value(&said, 1), Some(told), "{outer}");
    }
    // Nobody has this name.
    campus
        .papers
        .person("jiro", "clients", "jiro@example.ac.jp");
    let jiro = Station {
        certificate: "jiro".to_owned(),
        mac: "02:00:00:00:01:01".to_owned(),
        ..by("jiro")
    };
    let said = jiro.is_refused(&campus.papers, campus.radius());
    assert_eq!(said.refused(), Ok(()));
}
