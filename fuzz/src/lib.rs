//! What is done with the fuzzer's octets. The integration tests replay the corpus through these.

mod eap;

use std::time::Duration;

pub use eap::eap;

use sekisho::directory::{Bind, Groups, Heard, Settings, overhear};
use sekisho::secret::Secret;
use sekisho::wire::{
    ATTRIBUTES, Code, PACKET_OCTETS, PASSWORD_OCTETS, Query, Reply, Request, Signed, Signing,
    VALUE_OCTETS, attribute,
};

const SECRET: &str = "xyzzy5461";
const HEADER_OCTETS: usize = 20;

/// A datagram: the walk, every look-up, every check.
pub fn packet(datagram: &[u8]) {
    let Ok(request) = Request::parse(datagram) else {
        return;
    };
    let secret = Secret::from(SECRET);
    assert!(datagram.starts_with(request.octets()));
    let attributes = (0..=u8::MAX).flat_map(|kind| request.attributes(kind));
    let (count, octets) = attributes.fold((0, HEADER_OCTETS), |(count, octets), value| {
        (count + 1, octets + 2 + value.len())
    });
    assert_eq!(octets, request.octets().len());
    assert!(count <= ATTRIBUTES);
    for value in request.attributes(attribute::VENDOR_SPECIFIC) {
        if let Some(vendor) = value.first_chunk() {
            let vendor = u32::from_be_bytes(*vendor);
            for kind in value.get(4..).unwrap_or_default().iter().take(8) {
                let found = request.vendor_attributes(vendor, *kind);
                assert!(found.map(<[u8]>::len).sum::<usize>() <= PACKET_OCTETS);
            }
        }
    }
    for signing in [
        Signing::Required,
        Signing::OptionalWithoutProxyState,
        Signing::Optional,
    ] {
        let believed = request.believe(&secret, signing);
        if believed == Ok(Signed::Yes) {
            assert!(
                request
                    .attribute(attribute::MESSAGE_AUTHENTICATOR)
                    .is_some()
            );
        }
        if believed.is_ok() {
            let other = request.believe(&Secret::from("another"), Signing::Required);
            assert!(other.is_err());
        }
    }
    let _ = request.believe_accounting(&secret);
    if let Ok(Some(plain)) = request.user_password(&secret) {
        assert!(plain.len() <= PASSWORD_OCTETS);
    }
    if let Some(kind) = request.repeated() {
        assert!(request.attributes(kind).count() > 1);
    }
}

/// A Request Authenticator and a User-Password as it came, then the same octets as a password.
pub fn user_password(octets: &[u8]) {
    let secret = Secret::from(SECRET);
    let Some((authenticator, hidden)) = octets.split_first_chunk::<16>() else {
        return;
    };
    let hidden = hidden.get(..VALUE_OCTETS).unwrap_or(hidden);
    let packet = access_request(authenticator, attribute::USER_PASSWORD, hidden);
    let request = Request::parse(&packet).expect("one attribute, well-formed");
    let revealed = request.user_password(&secret);
    let blocks = hidden.len().is_multiple_of(16);
    let fits = blocks && (16..=PASSWORD_OCTETS).contains(&hidden.len());
    assert_eq!(revealed.is_ok(), fits);
    if let Ok(plain) = revealed {
        let plain = plain.expect("the attribute is there");
        assert!(plain.len() <= hidden.len() && !plain.expose().contains(&0));
    }

    let typed = octets.get(..PASSWORD_OCTETS).unwrap_or(octets);
    let asked = Query::access(0).with_password(&secret, typed).sign(&secret);
    let request = Request::parse(asked.octets()).expect("our own query");
    let plain = request.user_password(&secret).expect("our own hiding");
    let plain = plain.expect("the attribute is there");
    assert!(typed.starts_with(plain.expose()));
    assert!(matches!(typed.get(plain.len()), None | Some(0)));
}

/// One State, or several, as they come back from a NAS.
pub fn state(octets: &[u8]) {
    let secret = Secret::from(SECRET);
    let states = || octets.split(|octet| *octet == 0xff).take(10);
    let states = || states().map(|state| state.get(..VALUE_OCTETS).unwrap_or(state));
    let query = states().fold(Query::access(0), |query, state| {
        query.with(attribute::STATE, state)
    });
    let asked = query.with_password(&secret, b"123456").sign(&secret);
    let request = Request::parse(asked.octets()).expect("our own query");
    assert!(request.attributes(attribute::STATE).eq(states()));
    let repeated = (states().count() > 1).then_some(attribute::STATE);
    assert_eq!(request.repeated(), repeated);
    let believed = request.believe(&secret, Signing::Required);
    assert_eq!(believed, Ok(Signed::Yes));
}

/// A reply of any attributes to a request with any Proxy-States: always an answer that is
/// believed, never one that lost a Proxy-State.
pub fn reply(octets: &[u8]) {
    let secret = Secret::from(SECRET);
    let Some((choice, list)) = octets.split_first() else {
        return;
    };
    let code = match choice % 3 {
        0 => Code::AccessAccept,
        1 => Code::AccessReject,
        _ => Code::AccessChallenge,
    };
    let states = || list.chunks(VALUE_OCTETS).take(usize::from(choice / 16));
    let query = states().fold(Query::access(*choice), |query, state| {
        query.with(attribute::PROXY_STATE, state)
    });
    let asked = query.sign(&secret);
    let request = Request::parse(asked.octets()).expect("our own query");
    let mut reply = Reply::to(&request, code);
    let mut rest = list;
    while let [kind, length, values @ ..] = rest {
        let length = usize::from(*length).min(values.len()).min(VALUE_OCTETS);
        let (value, after) = values.split_at(length);
        reply = match *kind {
            0 | attribute::MESSAGE_AUTHENTICATOR | attribute::PROXY_STATE => reply,
            attribute::VENDOR_SPECIFIC if length < 240 => {
                reply.with_vendor(attribute::MICROSOFT, *kind, value)
            }
            kind => reply.with(kind, value),
        };
        rest = after;
    }
    let signed = reply.sign(&secret);
    let answer = asked.answer(&signed, &secret).expect("our own reply");
    assert!(answer.code() == code || answer.code() == Code::AccessReject);
    assert_eq!(
        answer.first_attribute(),
        Some(attribute::MESSAGE_AUTHENTICATOR)
    );
    assert!(answer.attributes(attribute::PROXY_STATE).eq(states()));
    let last: Vec<_> = answer.all().map(|(kind, _)| kind).collect();
    let own = last.len() - states().count();
    assert!(
        last.iter()
            .skip(own)
            .all(|kind| *kind == attribute::PROXY_STATE)
    );
}

/// A configuration file: read to the end, with faults or without.
pub fn config(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else {
        return;
    };
    match sekisho::config::parse_text(text) {
        Ok(_) => assert!(!text.is_empty(), "nothing is no configuration"),
        Err(faults) => assert!(!faults.is_empty(), "refused without a reason"),
    }
}

/// What a directory server sends: the same however it is cut, and never more than it holds.
pub fn directory(octets: &[u8]) {
    let settings = directory_settings();
    let heard = overhear(&[octets], &settings);
    let at = octets
        .first()
        .map_or(0, |at| usize::from(*at) % octets.len());
    let (front, back) = octets.split_at(at);
    let again = overhear(&[front, back], &settings);
    assert_eq!(format!("{heard:?}"), format!("{again:?}"));
    let mut left = octets.len();
    for message in heard {
        let holds = match message {
            Heard::Person(Some(entry)) => {
                assert!(entry.id.as_str().starts_with("campus:"));
                let phones: usize = entry.phones.iter().map(String::len).sum();
                entry.dn.len() + phones + entry.language.map_or(0, |language| language.len())
            }
            // Code, matched DN and text take seven octets, the message around them seven more.
            Heard::Bind(Some(Bind::Proven)) => 14,
            Heard::Bind(_) | Heard::Person(None) | Heard::Other => 7,
        };
        left = left.checked_sub(holds).expect("no more than was sent");
    }
}

fn directory_settings() -> Settings {
    Settings {
        name: "campus".into(),
        servers: Vec::new(),
        base: "dc=example".into(),
        bind: None,
        user_filter: "(uid={user})".into(),
        ca_file: None,
        id_attribute: None,
        phone: vec!["mobile".into()],
        language: Some("preferredLanguage".into()),
        nt_hash: None,
        groups: Groups::None,
        operation_timeout: Duration::ZERO,
        connect_timeout: Duration::ZERO,
        bind_connections: 1,
        search_connections: 1,
        remember: Duration::ZERO,
    }
}

fn access_request(authenticator: &[u8; 16], kind: u8, value: &[u8]) -> Vec<u8> {
    let [.., high, low] = (HEADER_OCTETS + 2 + value.len()).to_be_bytes();
    let [.., length] = (2 + value.len()).to_be_bytes();
    [
        &[1, 0, high, low][..],
        authenticator,
        &[kind, length],
        value,
    ]
    .concat()
}
