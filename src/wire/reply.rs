//! A reply, built from its request.

use crate::secret::Secret;

use super::packet::{Draft, NoRoom, patch_authenticator};
use super::{Code, Request, VALUE_OCTETS, attribute, authenticators, keys, vendor};

/// A reply, built from its request so that identifier, authenticator and Proxy-States are inherited.
/// Message-Authenticator is always the first attribute; the Proxy-States are always the last.
///
/// The Accounting-Response to an Accounting-Request has no Message-Authenticator: RFC 2866 does not
/// know it, and FreeRADIUS computes it there in its own way (with an authenticator of zeros), so
/// that it would refuse ours.
pub struct Reply<'a> {
    request: &'a Request,
    code: Code,
    draft: Result<Draft, NoRoom>,
}

impl<'a> Reply<'a> {
    /// Begins a reply. A code that no reply has is an error of the caller and becomes Access-Reject
    /// (debug: asserts).
    #[must_use]
    pub fn to(request: &'a Request, code: Code) -> Self {
        debug_assert!(code.is_reply(), "{code:?} is no reply");
        let code = if code.is_reply() {
            code
        } else {
            Code::AccessReject
        };
        Self {
            request,
            code,
            draft: Ok(begin(request, code)),
        }
    }

    /// Adds an attribute. Left out are what an Access-Reject (RFC 5080 §2.6.1) or the answer to a Status-Server
    /// (RFC 5997 §3) may not hold, and, as an error of the caller (debug: asserts), a value over
    /// 253 octets, type 0, Message-Authenticator and Proxy-State, which a reply gets by itself.
    #[must_use]
    pub fn with(self, kind: u8, value: &[u8]) -> Self {
        let own = [0, attribute::MESSAGE_AUTHENTICATOR, attribute::PROXY_STATE];
        let fits = value.len() <= VALUE_OCTETS && !own.contains(&kind);
        debug_assert!(fits, "attribute {kind} of {} octets", value.len());
        if fits && self.may_hold(kind) {
            self.add(kind, value)
        } else {
            self
        }
    }

    /// Adds a vendor's sub-attribute, under the same conditions; its value has at most 247 octets.
    #[must_use]
    pub fn with_vendor(self, vendor: u32, kind: u8, value: &[u8]) -> Self {
        let whole = vendor::value(vendor, kind, value);
        debug_assert!(whole.is_some(), "{vendor}/{kind} of {} octets", value.len());
        let error = (vendor, kind) == (attribute::MICROSOFT, attribute::MS_CHAP_ERROR);
        match whole {
            Some(whole) if self.may_hold(attribute::VENDOR_SPECIFIC) || self.rejects() && error => {
                self.add(attribute::VENDOR_SPECIFIC, &whole)
            }
            _ => self,
        }
    }

    /// Adds an EAP packet, in as many EAP-Message as it needs (RFC 3579 §3.1). Added first it stands right behind the
    /// Message-Authenticator.
    #[must_use]
    pub fn with_eap(self, packet: &[u8]) -> Self {
        packet
            .chunks(VALUE_OCTETS)
            .fold(self, |reply, part| reply.with(attribute::EAP_MESSAGE, part))
    }

    /// Adds MS-MPPE-Send-Key and MS-MPPE-Recv-Key, hidden under the secret (RFC 2548 §2.4.2, §2.4.3), to an Access-Accept; they
    /// are left out of anything else.
    #[must_use]
    pub fn with_mppe_keys(self, secret: &Secret, (send, receive): (&Secret, &Secret)) -> Self {
        if self.code != Code::AccessAccept {
            return self;
        }
        let authenticator = self.request.authenticator();
        let kinds = [attribute::MS_MPPE_SEND_KEY, attribute::MS_MPPE_RECV_KEY];
        kinds
            .into_iter()
            .zip([send, receive])
            .zip(keys::salts())
            .fold(self, |reply, ((kind, key), salt)| {
                let hidden = keys::hide(key, secret, authenticator, salt);
                debug_assert!(hidden.is_some(), "a key of {} octets", key.len());
                let hidden = hidden.unwrap_or_default();
                reply.with_vendor(attribute::MICROSOFT, kind, &hidden)
            })
    }

    /// Signs: Message-Authenticator, then Response Authenticator. A reply that would be longer than 4096 octets, or have
    /// more than 200 attributes, keeps its Proxy-States only, and to an Access-Request it becomes an Access-Reject.
    #[must_use]
    pub fn sign(self, secret: &Secret) -> Vec<u8> {
        let Self {
            request,
            code,
            draft,
        } = self;
        let whole = draft.and_then(|mut draft| {
            draft.add_all(proxy_states(request))?;
            Ok(draft)
        });
        let draft = whole.unwrap_or_else(|NoRoom| bare(request, code));
        let mut octets = draft.finish(secret.expose());
        let authenticator =
            authenticators::response(&octets, request.authenticator(), secret.expose());
        patch_authenticator(&mut octets, &authenticator);
        octets
    }

    fn rejects(&self) -> bool {
        self.code == Code::AccessReject && self.request.code() != Code::StatusServer
    }

    fn may_hold(&self, kind: u8) -> bool {
        if self.request.code() == Code::StatusServer {
            return kind == attribute::REPLY_MESSAGE;
        }
        let in_reject = [
            attribute::REPLY_MESSAGE,
            attribute::EAP_MESSAGE,
            attribute::ERROR_CAUSE,
        ];
        self.code != Code::AccessReject || in_reject.contains(&kind)
    }

    fn add(mut self, kind: u8, value: &[u8]) -> Self {
        self.draft = self.draft.and_then(|mut draft| {
            draft.add(kind, value)?;
            Ok(draft)
        });
        self
    }
}

fn begin(request: &Request, code: Code) -> Draft {
    let (identifier, authenticator) = (request.identifier(), request.authenticator());
    if code == Code::AccountingResponse && request.code() == Code::AccountingRequest {
        Draft::new(code as u8, identifier, authenticator)
    } else {
        Draft::signed(code as u8, identifier, authenticator)
    }
}

fn proxy_states(request: &Request) -> impl Iterator<Item = (u8, &[u8])> {
    request
        .attributes(attribute::PROXY_STATE)
        .map(|value| (attribute::PROXY_STATE, value))
}

/// What is sent when all that should be sent has no room.
fn bare(request: &Request, code: Code) -> Draft {
    let code = match request.code() {
        Code::AccessRequest => Code::AccessReject,
        _ => code,
    };
    let mut draft = begin(request, code);
    // Only an unsigned request of 4096 octets or 200 attributes, nearly all of them Proxy-States,
    // leaves no room for them beside our Message-Authenticator. The proxy then misses the last.
    let _full = draft.add_all(proxy_states(request));
    draft
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::packet::Walked;
    use crate::wire::{Query, Signing};

    const STATES: [&[u8]; 3] = [b"first", b"", b"third"];

    fn secret() -> Secret {
        Secret::from("xyzzy5461")
    }

    fn asked(query: Query) -> (crate::wire::Asked, Request) {
        let query = STATES.iter().fold(query, |query, state| {
            query.with(attribute::PROXY_STATE, state)
        });
        let asked = query.sign(&secret());
        let request = Request::parse(asked.octets()).unwrap();
        request.believe(&secret(), Signing::Required).unwrap();
        (asked, request)
    }

    #[test]
    fn signature_is_first_and_proxy_states_are_last() {
        let (asked, request) = asked(Query::access(7));
        let octets = Reply::to(&request, Code::AccessAccept)
            .with(attribute::CLASS, b"staff")
            .with_vendor(9, 1, b"shell:priv-lvl=15")
            .sign(&secret());
        let answer = asked.answer(&octets, &secret()).unwrap();
        let kinds: Vec<_> = answer.all().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [80, 25, 26, 33, 33, 33]);
        assert!(answer.attributes(attribute::PROXY_STATE).eq(STATES));
        assert!(answer.vendor_attributes(9, 1).eq([b"shell:priv-lvl=15"]));
    }

    #[test]
    fn reject_holds_only_what_a_reject_may() {
        let (asked, request) = asked(Query::access(7));
        let octets = Reply::to(&request, Code::AccessReject)
            .with(attribute::CLASS, b"staff")
            .with(attribute::STATE, b"state")
            .with(attribute::REPLY_MESSAGE, b"no")
            .with(attribute::ERROR_CAUSE, &[0, 0, 1, 254])
            .with_vendor(9, 1, b"shell:priv-lvl=15")
            .with_vendor(attribute::MICROSOFT, attribute::MS_CHAP_ERROR, b"E=691")
            .sign(&secret());
        let answer = asked.answer(&octets, &secret()).unwrap();
        let kinds: Vec<_> = answer.all().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [80, 18, 101, 26, 33, 33, 33]);
    }

    #[test]
    fn keys_and_eap_go_with_an_accept() {
        let (asked, request) = asked(Query::access(7));
        let keys = (Secret::new(vec![1; 32]), Secret::new(vec![2; 32]));
        let packet: Vec<u8> = (0..=255).cycle().take(600).collect();
        let reply = |code| {
            let reply = Reply::to(&request, code).with_eap(&packet);
            let reply = reply.with_mppe_keys(&secret(), (&keys.0, &keys.1));
            asked.answer(&reply.sign(&secret()), &secret()).unwrap()
        };
        let accept = reply(Code::AccessAccept);
        let kinds: Vec<_> = accept.all().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [80, 79, 79, 79, 26, 26, 33, 33, 33]);
        assert_eq!(accept.eap().as_deref(), Some(&packet[..]));
        let (send, receive) = accept.mppe_keys(&secret()).unwrap();
        assert_eq!((send, receive), keys);
        let salt = |kind| {
            let mut values = accept.vendor_attributes(attribute::MICROSOFT, kind);
            values.next().unwrap()[..2].to_vec()
        };
        assert_ne!(salt(16), salt(17));
        let reject = reply(Code::AccessReject);
        assert!(reject.all().all(|(kind, _)| kind != 26));
        assert!(reject.mppe_keys(&secret()).is_none());
        assert_eq!(reject.eap().as_deref(), Some(&packet[..]));
    }

    #[test]
    fn answer_to_status_server_holds_a_message_at_most() {
        let (asked, request) = asked(Query::status(7));
        let octets = Reply::to(&request, Code::AccessAccept)
            .with(attribute::CLASS, b"staff")
            .with(attribute::REPLY_MESSAGE, b"up")
            .sign(&secret());
        let answer = asked.answer(&octets, &secret()).unwrap();
        let kinds: Vec<_> = answer.all().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [80, 18, 33, 33, 33]);
    }

    #[test]
    fn reply_without_room_is_a_bare_reject() {
        let (asked, request) = asked(Query::access(7));
        for (count, octets) in [(17, 253), (199, 0)] {
            let mut reply = Reply::to(&request, Code::AccessAccept);
            for _ in 0..count {
                reply = reply.with(attribute::CLASS, &vec![1; octets]);
            }
            let octets = reply.sign(&secret());
            let answer = asked.answer(&octets, &secret()).unwrap();
            assert_eq!(answer.code(), Code::AccessReject);
            let kinds: Vec<_> = answer.all().map(|(kind, _)| kind).collect();
            assert_eq!(kinds, [80, 33, 33, 33]);
        }
    }

    #[test]
    fn answer_to_status_server_without_room_stays_an_answer() {
        let (asked, request) = asked(Query::status(7));
        let mut reply = Reply::to(&request, Code::AccessAccept);
        for _ in 0..17 {
            reply = reply.with(attribute::REPLY_MESSAGE, &[b'x'; 253]);
        }
        let answer = asked.answer(&reply.sign(&secret()), &secret()).unwrap();
        assert_eq!(answer.code(), Code::AccessAccept);
        assert!(answer.all().map(|(kind, _)| kind).eq([80, 33, 33, 33]));
    }

    #[test]
    fn unsigned_request_full_of_proxy_states_still_gets_a_packet() {
        let full = [&[33, 255][..], &[1; 253]].concat().repeat(15);
        let last = [&[33, 249][..], &[2; 247]].concat();
        let octets = [&[1, 7, 16, 0][..], &[9; 16], &[3, 2], &full, &last].concat();
        let request = Request::parse(&octets).unwrap();
        assert_eq!(request.octets().len(), crate::wire::PACKET_OCTETS);
        let reply = Reply::to(&request, Code::AccessAccept).sign(&secret());
        let walked = Walked::read(&reply).unwrap();
        assert_eq!(walked.code, Code::AccessReject as u8);
        assert_eq!(walked.signature, Some(22));
        assert_eq!(walked.octets.len(), 20 + 18 + full.len());
    }

    #[test]
    fn accounting_is_answered_in_kind() {
        let (asked, request) = asked(Query::accounting(7));
        let octets = Reply::to(&request, Code::AccountingResponse).sign(&secret());
        let answer = asked.answer(&octets, &secret()).unwrap();
        assert_eq!(answer.code(), Code::AccountingResponse);
        assert_eq!(answer.first_attribute(), Some(attribute::PROXY_STATE));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_anywhere_in_a_reply_is_refused(
            at in 0_usize..1000,
            bit in 0_u32..8,
            value in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let (asked, request) = asked(Query::access(7));
            let mut octets = Reply::to(&request, Code::AccessAccept)
                .with(attribute::CLASS, &value)
                .sign(&secret());
            let at = at % octets.len();
            octets[at] ^= 1 << bit;
            prop_assert!(asked.answer(&octets, &secret()).is_err());
        }
    }
}
