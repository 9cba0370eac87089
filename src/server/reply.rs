//! A verdict as a packet.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Client, ReplyAttribute, WhenUndecided};
use crate::access::Verdict;
use crate::account::ClientName;
use crate::wire::{Code, Reply, Request, VALUE_OCTETS, attribute};

/// Prompt "no echo" (RFC 2869 §5.10): what is typed may be a password with a code behind it.
const NO_ECHO: [u8; 4] = [0; 4];
/// EAP's code of a Failure (RFC 3748 §4.2).
const EAP_FAILURE: u8 = 4;

/// What reply sets hold.
pub(super) type Sets = BTreeMap<Arc<str>, Vec<ReplyAttribute>>;

/// Builds and signs the reply, an Accept with a Class behind those of its reply sets; none when nothing is to be answered.
pub(super) fn build(
    request: &Request,
    client: &Client,
    (verdict, class): (&Verdict, Option<&[u8]>),
    sets: &Sets,
) -> Option<Vec<u8>> {
    let reply = match verdict {
        Verdict::Accept { reply } => {
            let accept = Reply::to(request, Code::AccessAccept);
            with_class(with_sets(accept, reply, sets), class)
        }
        Verdict::Reject { text } => reject(request, text.as_deref()),
        Verdict::Challenge { state, text } => with_text(
            Reply::to(request, Code::AccessChallenge).with(attribute::STATE, state),
            text,
        )
        .with(attribute::PROMPT, &NO_ECHO),
        Verdict::Wait(_) => return None,
        Verdict::Undecided => match client.when_undecided {
            WhenUndecided::Discard => return None,
            WhenUndecided::Reject => reject(request, None),
        },
    };
    Some(reply.sign(&client.secret))
}

/// Adds what reply sets hold.
pub(super) fn with_sets<'a>(reply: Reply<'a>, names: &[Arc<str>], sets: &Sets) -> Reply<'a> {
    let all = names.iter().filter_map(|name| sets.get(name)).flatten();
    all.fold(reply, |reply, attribute| match attribute.vendor {
        None => reply.with(attribute.kind, &attribute.value),
        Some(vendor) => reply.with_vendor(vendor, attribute.kind, &attribute.value),
    })
}

/// Whether some of reply sets hold a standard attribute.
pub(super) fn hold(names: &[Arc<str>], sets: &Sets, kind: u8) -> bool {
    let mut all = names.iter().filter_map(|name| sets.get(name)).flatten();
    all.any(|attribute| attribute.vendor.is_none() && attribute.kind == kind)
}

/// Says that what should have let somebody in fits no packet.
pub(super) fn tell_too_long(client: &ClientName) {
    log::error!(
        "client {client}: the reply does not fit a packet and became a Reject: its reply sets are too long"
    );
}

/// Adds a Class behind those of reply sets.
pub(super) fn with_class<'a>(reply: Reply<'a>, class: Option<&[u8]>) -> Reply<'a> {
    match class {
        Some(class) => reply.with(attribute::CLASS, class),
        None => reply,
    }
}

/// A Reject of an EAP conversation holds EAP-Failure and no text (RFC 3579 §2.6.3, §2.6.5).
fn reject<'a>(request: &'a Request, text: Option<&str>) -> Reply<'a> {
    let reply = Reply::to(request, Code::AccessReject);
    match (request.attribute(attribute::EAP_MESSAGE), text) {
        (Some(eap), _) => reply.with(attribute::EAP_MESSAGE, &eap_failure(eap)),
        (None, Some(text)) => with_text(reply, text),
        (None, None) => reply,
    }
}

/// An EAP-Failure under the identifier of another packet (RFC 3748 §4.2).
pub(super) fn eap_failure(response: &[u8]) -> [u8; 4] {
    let identifier = response.get(1).copied().unwrap_or_default();
    [EAP_FAILURE, identifier, 0, 4]
}

fn with_text<'a>(reply: Reply<'a>, text: &str) -> Reply<'a> {
    match cut(text) {
        "" => reply,
        text => reply.with(attribute::REPLY_MESSAGE, text.as_bytes()),
    }
}

/// As much of a text as fits an attribute, whole characters only.
fn cut(text: &str) -> &str {
    text.split_at(text.floor_char_boundary(VALUE_OCTETS)).0
}

#[cfg(test)]
mod tests {
    use super::super::clients::tests::client;
    use super::*;
    use crate::wire::{Answer, Query};

    #[test]
    fn a_text_is_never_cut_inside_a_character() {
        let long = "関".repeat(100);
        assert_eq!(cut(&long), "関".repeat(84));
        assert_eq!(cut(&"a".repeat(253)).len(), 253);
        assert_eq!(cut(&"a".repeat(254)).len(), 253);
        assert_eq!(cut("関所"), "関所");
    }

    fn built(query: Query, client: &Client, verdict: &Verdict) -> Option<Answer> {
        let asked = query.sign(&client.secret);
        let request = Request::parse(asked.octets()).unwrap();
        let value = |vendor, kind, value: &[u8]| ReplyAttribute {
            vendor,
            kind,
            value: value.to_vec(),
        };
        let staff = vec![value(None, 25, b"staff"), value(Some(9), 1, b"x=y")];
        let sets = Sets::from([("staff".into(), staff)]);
        let octets = build(&request, client, (verdict, Some(b"handle")), &sets)?;
        Some(asked.answer(&octets, &client.secret).unwrap())
    }

    fn values(answer: &Answer, kind: u8) -> Vec<&[u8]> {
        answer.attributes(kind).collect()
    }

    #[test]
    fn an_accept_carries_its_reply_sets() {
        let reply = vec!["staff".into(), "no such set".into()];
        let client = client("vpn", &[]);
        let answer = built(Query::access(1), &client, &Verdict::Accept { reply }).unwrap();
        assert_eq!(answer.code(), Code::AccessAccept);
        assert_eq!(values(&answer, 25), [&b"staff"[..], b"handle"]);
        assert_eq!(values(&answer, 26), [b"\0\0\0\x09\x01\x05x=y"]);
    }

    #[test]
    fn a_challenge_carries_state_text_and_no_echo() {
        let verdict = Verdict::Challenge {
            state: [7; 16],
            text: "確認コード".into(),
        };
        let answer = built(Query::access(1), &client("vpn", &[]), &verdict).unwrap();
        assert_eq!(answer.code(), Code::AccessChallenge);
        assert_eq!(values(&answer, attribute::STATE), [[7; 16]]);
        assert_eq!(
            values(&answer, attribute::REPLY_MESSAGE),
            ["確認コード".as_bytes()]
        );
        assert_eq!(values(&answer, attribute::PROMPT), [[0; 4]]);
    }

    #[test]
    fn the_undecided_is_silence_or_a_reject_without_text() {
        let mut client = client("vpn", &[]);
        assert!(built(Query::access(1), &client, &Verdict::Undecided).is_none());
        client.when_undecided = WhenUndecided::Reject;
        let answer = built(Query::access(1), &client, &Verdict::Undecided).unwrap();
        assert_eq!(answer.code(), Code::AccessReject);
        assert_eq!(values(&answer, attribute::REPLY_MESSAGE).len(), 0);
    }

    #[test]
    fn a_reject_has_its_text_only() {
        let text = Some("認証できませんでした".into());
        let answer = built(
            Query::access(1),
            &client("vpn", &[]),
            &Verdict::Reject { text },
        )
        .unwrap();
        let kinds: Vec<_> = answer.all().map(|(kind, _)| kind).collect();
        assert_eq!(
            kinds,
            [attribute::MESSAGE_AUTHENTICATOR, attribute::REPLY_MESSAGE]
        );
    }

    #[test]
    fn an_eap_failure_has_the_identifier_of_the_response() {
        assert_eq!(eap_failure(&[2, 77, 0, 9, 1]), [4, 77, 0, 4]);
        assert_eq!(eap_failure(&[]), [4, 0, 0, 4]);
    }
}
