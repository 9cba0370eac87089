//! What the NAS is sent.

use data_encoding::HEXLOWER;

use super::super::login::Scene;
use super::super::reply as replies;
use super::{Accepted, Kept, State};
use crate::access::HANDLE;
use crate::eap::Success;
use crate::secret::Key;
use crate::wire::{Code, Reply, Request, attribute};

/// Termination-Action "RADIUS-Request": when Session-Timeout is over, the station proves itself anew and is not thrown out
/// (RFC 3580 §3.17).
const AGAIN: [u8; 4] = [0, 0, 0, 1];
/// An EAP-Response of type Nak without another method (RFC 3748 §5.3.1).
const NAK: [u8; 4] = [0, 6, 3, 0];
/// Octets of the digest that is a Chargeable-User-Identity: no two people share one.
const CHARGEABLE_OCTETS: usize = 16;

/// Access-Challenge with an EAP-Request.
pub(super) fn ask(scene: &Scene<'_>, state: &State, packet: &[u8]) -> Vec<u8> {
    Reply::to(scene.request, Code::AccessChallenge)
        .with_eap(packet)
        .with(attribute::STATE, state)
        .sign(&scene.known.client.secret)
}

/// Access-Reject with an EAP-Failure.
pub(super) fn reject(scene: &Scene<'_>, packet: &[u8]) -> Vec<u8> {
    Reply::to(scene.request, Code::AccessReject)
        .with_eap(packet)
        .sign(&scene.known.client.secret)
}

/// Access-Reject with a Nak to an EAP-Request.
pub(super) fn nak(scene: &Scene<'_>, packet: &[u8]) -> Vec<u8> {
    let identifier = packet.get(1).copied().unwrap_or_default();
    let nak = [&[super::RESPONSE, identifier][..], &NAK].concat();
    reject(scene, &nak)
}

/// Access-Accept with EAP-Success, the keys, and what goes with a login.
pub(super) fn accept(
    scene: &Scene<'_>,
    kept: &Kept,
    accepted: &Accepted,
    success: &Success,
) -> Vec<u8> {
    let (request, client) = (scene.request, &scene.known.client);
    let keys = (&success.send_key, &success.receive_key);
    let sets = &scene.house.settings.load().replies;
    let has = |kind| replies::hold(&accepted.sets, sets, kind);
    let reply = Reply::to(request, Code::AccessAccept)
        .with_eap(&success.packet)
        .with_mppe_keys(&client.secret, keys);
    let name = accepted.name.as_deref().or(kept.name.as_deref());
    let reply = match name {
        Some(name) if !has(attribute::USER_NAME) => reply.with(attribute::USER_NAME, name),
        Some(_) | None => reply,
    };
    let reply = match &client.session_timeout {
        Some(seconds) if !has(attribute::SESSION_TIMEOUT) => reply
            .with(attribute::SESSION_TIMEOUT, &seconds.to_be_bytes())
            .with(attribute::TERMINATION_ACTION, &AGAIN),
        Some(_) | None => reply,
    };
    let reply = match chargeable(request, &scene.house.rooms.chargeable, accepted) {
        Some(chargeable) => reply.with(attribute::CHARGEABLE_USER_IDENTITY, chargeable.as_bytes()),
        None => reply,
    };
    let reply = match &success.session_id {
        Some(id) if asks_for_key_name(request) => reply.with(attribute::EAP_KEY_NAME, id),
        Some(_) | None => reply,
    };
    let class = scene.class(&accepted.attempt);
    let class = class.as_ref().map(<[u8; HANDLE]>::as_slice);
    let reply = replies::with_class(replies::with_sets(reply, &accepted.sets, sets), class);
    let octets = reply.sign(&client.secret);
    if octets.first() == Some(&(Code::AccessAccept as u8)) {
        return octets;
    }
    replies::tell_too_long(&client.name);
    reject(scene, &replies::eap_failure(&success.packet))
}

/// Whether the NAS wants to know the name of the key: it sends the attribute empty (RFC 4072 §2.1), or as a zero octet.
fn asks_for_key_name(request: &Request) -> bool {
    let asked = request.attribute(attribute::EAP_KEY_NAME);
    asked.is_some_and(|value| value.iter().all(|octet| *octet == 0))
}

/// Chargeable-User-Identity, for who asks (RFC 4372 §2.1): tells one person from another at one operator, and not who they are.
fn chargeable(request: &Request, key: &Key, accepted: &Accepted) -> Option<String> {
    request.attribute(attribute::CHARGEABLE_USER_IDENTITY)?;
    let account = accepted.account.as_ref()?.as_str().as_bytes();
    let operator = request.attribute(attribute::OPERATOR_NAME);
    let digest = key.digest(&[account, operator.unwrap_or_default()]);
    let (digest, _) = digest.split_at_checked(CHARGEABLE_OCTETS)?;
    Some(HEXLOWER.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountId, AttemptId};
    use crate::secret::Secret;
    use crate::wire::Query;

    fn request(query: Query) -> Request {
        let asked = query.sign(&Secret::from("a secret"));
        Request::parse(asked.octets()).unwrap()
    }

    fn accepted(account: &str) -> Accepted {
        Accepted {
            sets: Vec::new(),
            account: Some(AccountId::new("campus", account)),
            attempt: AttemptId::from_number(1),
            name: None,
        }
    }

    #[test]
    fn a_chargeable_identity_is_the_persons_at_one_operator() {
        let key = Key::new([7; 32]);
        let made = |account, operator: &[u8]| {
            let query = Query::access(1)
                .with(attribute::CHARGEABLE_USER_IDENTITY, &[0])
                .with(attribute::OPERATOR_NAME, operator);
            chargeable(&request(query), &key, &accepted(account)).unwrap()
        };
        let taro = made("taro", b"1example.ac.jp");
        assert_eq!(taro.len(), 32);
        assert_eq!(taro, made("taro", b"1example.ac.jp"));
        assert_ne!(taro, made("taro", b"1other.example"));
        assert_ne!(taro, made("jiro", b"1example.ac.jp"));
        assert!(!taro.contains("taro"));
        let unasked = chargeable(&request(Query::access(1)), &key, &accepted("taro"));
        assert_eq!(unasked, None);
    }

    #[test]
    fn a_key_name_is_given_to_who_asks() {
        let asks = |value: &[u8]| {
            asks_for_key_name(&request(
                Query::access(1).with(attribute::EAP_KEY_NAME, value),
            ))
        };
        assert!(asks(b""));
        assert!(asks(b"\0"));
        assert!(!asks(b"\x0dname"));
        assert!(!asks_for_key_name(&request(Query::access(1))));
    }
}
