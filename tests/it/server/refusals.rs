//! What is refused before anybody is asked.

use sekisho::wire::{Answer, Code, Query};

use super::{House, Nas};

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
