//! A verdict as a packet.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Client, ReplyAttribute, WhenUndecided};
use crate::access::Verdict;
use crate::wire::{Code, Reply, Request, VALUE_OCTETS, attribute};

/// Prompt "no echo" (RFC 2869 §5.10): what is typed may be a password with a code behind it.
const NO_ECHO: [u8; 4] = [0; 4];
/// EAP's code of a Failure (RFC 3748 §4.2).
const EAP_FAILURE: u8 = 4;

/// What reply sets hold.
pub(super) type Sets = BTreeMap<Arc<str>, Vec<ReplyAttribute>>;

/// Builds and signs the reply; none when nothing is to be answered.
pub(super) fn build(
    request: &Request,
    client: &Client,
    verdict: &Verdict,
    sets: &Sets,
) -> Option<Vec<u8>> {
    let reply = match verdict {
        Verdict::Accept { reply } => accept(request, reply, sets),
        Verdict::Reject { text } => reject(request, text.as_deref()),
        Verdict::Challenge { state, text } => with_text(
            Reply::to(request, Code::AccessChallenge).with(attribute::STATE, state),
            text,
        )
        .with(attribute::PROMPT, &NO_ECHO),
        Verdict::Undecided => match client.when_undecided {
            WhenUndecided::Discard => return None,
            WhenUndecided::Reject => reject(request, None),
        },
    };
    Some(reply.sign(&client.secret))
}

fn accept<'a>(request: &'a Request, names: &[Arc<str>], sets: &Sets) -> Reply<'a> {
    names
        .iter()
        .filter_map(|name| sets.get(name))
        .flatten()
        .fold(
            Reply::to(request, Code::AccessAccept),
            |reply, attribute| match attribute.vendor {
                None => reply.with(attribute.kind, &attribute.value),
                Some(vendor) => reply.with_vendor(vendor, attribute.kind, &attribute.value),
            },
        )
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

fn eap_failure(response: &[u8]) -> [u8; 4] {
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
    use super::*;

    #[test]
    fn a_text_is_never_cut_inside_a_character() {
        let long = "関".repeat(100);
        assert_eq!(cut(&long), "関".repeat(84));
        assert_eq!(cut(&"a".repeat(253)).len(), 253);
        assert_eq!(cut(&"a".repeat(254)).len(), 253);
        assert_eq!(cut("関所"), "関所");
    }

    #[test]
    fn an_eap_failure_has_the_identifier_of_the_response() {
        assert_eq!(eap_failure(&[2, 77, 0, 9, 1]), [4, 77, 0, 4]);
        assert_eq!(eap_failure(&[]), [4, 0, 0, 4]);
    }
}
