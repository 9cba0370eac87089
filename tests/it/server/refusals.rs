//! What is refused before anybody is asked.

use std::sync::Arc;

use sekisho::access::Texts;
use sekisho::account::Language;
use sekisho::server::Probe;
use sekisho::wire::{Answer, Code, Query};
use tokio::time::Instant;

use super::{FLOOR, House, Nas};

const EAP_MESSAGE: u8 = 79;
const MICROSOFT: u32 = 311;

fn refused(query: impl FnOnce(&Nas) -> Query, reason: &str) -> Answer {
    let house = House::start(|_| {});
    let nas = Nas::new(house.radius());
    let answer = nas.ask(query(&nas));
    assert_eq!(answer.code(), Code::AccessReject, "{reason}");
    assert_eq!(answer.first_attribute(), Some(80));
    let line = format!(
        "sekisho_decisions_total{{client=\"vpn\",outcome=\"reject\",reason=\"{reason}\",factor=\"none\"}}"
    );
    assert_eq!(house.metric(&line), 1, "{}", house.telemetry.render());
    answer
}

/// The attributes of an answer beside the signature, which differs by nature.
fn face(answer: &Answer) -> Vec<(u8, Vec<u8>)> {
    let all = answer.all().filter(|(kind, _)| *kind != 80);
    all.map(|(kind, value)| (kind, value.to_vec())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_at_the_door_has_the_face_of_a_wrong_password() {
    for (texts, language, said) in [
        (
            Texts::Full,
            Language::Both,
            "認証できませんでした / Authentication failed.",
        ),
        (Texts::Full, Language::Ja, "認証できませんでした"),
        (Texts::Ascii, Language::Both, "Authentication failed."),
        (Texts::None, Language::Both, ""),
    ] {
        let house = House::start(|settings| {
            let policy = Arc::make_mut(&mut settings.clients[0].policy);
            (policy.texts, policy.language) = (texts, language);
        });
        let nas = Nas::new(house.radius());
        let password = |password: &[u8]| named().with_password(&nas.secret, password);
        for (case, query) in [
            ("nobody", password(b"a password")),
            ("empty", password(b"")),
            ("unreadable", password(b"\xff\xfe\xfd")),
            ("no password", named().with(32, b"nas")),
            ("CHAP", named().with(3, &[1; 17])),
            ("MS-CHAP", named().with_vendor(MICROSOFT, 25, &[1; 50])),
            ("two names", password(b"a password").with(1, b"jiro")),
            (
                "no name",
                Query::access(7).with_password(&nas.secret, b"a password"),
            ),
            ("wrong length", named().with(2, &[1; 15])),
        ] {
            let begun = Instant::now();
            let answer = nas.ask(query);
            let took = begun.elapsed();
            assert_eq!(answer.code(), Code::AccessReject, "{case}");
            let expected = match said {
                "" => Vec::new(),
                said => vec![(18, said.as_bytes().to_vec())],
            };
            assert_eq!(face(&answer), expected, "{case}");
            assert!(took >= FLOOR && took < 4 * FLOOR, "{case}: {took:?}");
        }
    }
}

fn named() -> Query {
    Query::access(7).with(1, b"taro")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shows_no_password_is_an_unsupported_method() {
    refused(|_| named().with(3, &[1; 17]), "unsupported-method");
    for kind in [1, 11, 25] {
        let query = named().with_vendor(MICROSOFT, kind, &[1; 50]);
        refused(|_| query, "unsupported-method");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eap_is_refused_with_a_failure_of_its_identifier() {
    let identity = [2, 42, 0, 9, 1, b't', b'a', b'r', b'o'];
    let answer = refused(
        |_| named().with(EAP_MESSAGE, &identity),
        "unsupported-method",
    );
    let eap: Vec<_> = answer.attributes(EAP_MESSAGE).collect();
    assert_eq!(eap, [&[4, 42, 0, 4][..]]);
    assert_eq!(answer.attributes(18).count(), 0, "no text beside EAP");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_or_with_two_names_is_bad() {
    refused(
        |nas| Query::access(7).with_password(&nas.secret, b"a password"),
        "bad-request",
    );
    refused(
        |nas| {
            named()
                .with(1, b"jiro")
                .with_password(&nas.secret, b"a password")
        },
        "bad-request",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_of_wrong_length_is_bad() {
    refused(|_| named().with(2, &[1; 15]), "bad-request");
    refused(|_| named().with(2, &[1; 17]), "bad-request");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_password_is_refused() {
    refused(
        |nas| named().with_password(&nas.secret, b""),
        "empty-password",
    );
    refused(
        |nas| named().with_password(&nas.secret, b"\0rest"),
        "empty-password",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_no_text_is_unreadable() {
    refused(
        |nas| named().with_password(&nas.secret, b"\xff\xfe\xfd"),
        "unreadable-password",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_states_come_back_in_order() {
    let answer = refused(
        |_| named().with(33, b"one").with(33, b"two").with(3, &[1; 17]),
        "unsupported-method",
    );
    let states: Vec<_> = answer.attributes(33).collect();
    assert_eq!(states, [&b"one"[..], b"two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_checks_are_refused_by_a_reason_of_their_own_and_counted_nowhere() {
    let checks = ["meraki_8021x_test", "#ACSACL#-IP*", "Connect-Info=test"];
    let house = House::start(|settings| {
        let probes = checks.iter().filter_map(|text| Probe::read(text));
        settings.clients[0].probes = probes.collect();
    });
    let nas = Nas::new(house.radius());
    let query = |name: &[u8]| {
        let query = Query::access(7).with(1, name);
        query.with_password(&nas.secret, b"whatever")
    };
    for query in [
        query(b"meraki_8021x_test"),
        query(b"#ACSACL#-IP-staff-5f2a"),
        query(b"taro").with(77, b"test"),
        // What would be a fault of a login is none of a health check.
        Query::access(7).with(1, b"meraki_8021x_test"),
    ] {
        let answer = nas.ask(query);
        assert_eq!(answer.code(), Code::AccessReject);
    }
    let decided = |reason: &str| {
        format!(
            "sekisho_decisions_total{{client=\"vpn\",outcome=\"reject\",reason=\"{reason}\",factor=\"none\"}}"
        )
    };
    assert_eq!(house.metric(&decided("health-check")), 4);
    assert_eq!(house.audited().await, 0);
    nas.ask(query(b"taro").with(77, b"vpn-ssl"));
    assert_eq!(house.audited().await, 1);
}
