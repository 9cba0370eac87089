//! What is said inside a tunnel: the AVPs of TTLS (RFC 5281 §11), the packets of PEAPv0 (draft-kamath-pppext-peapv0 §1.1).

mod avp;
mod exchange;
mod mschapv2;
mod result;

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Credentials, Failed, Inner};
use crate::secret::Secret;
use exchange::{Exchange, Packets};

pub(super) use result::{request, result};

/// The longest inner name: as long as a User-Name can be (RFC 2865 §5.1).
const NAME_OCTETS: usize = 253;
/// The longest password: as long as a User-Password can be (RFC 2865 §5.2).
const PASSWORD_OCTETS: usize = 128;

/// What a peer shows inside.
pub(super) enum Shown {
    /// See [`super::Credentials::Password`].
    Password {
        name: Box<[u8]>,
        password: Secret,
        can_ask: bool,
    },
    /// See [`super::Credentials::NtResponse`].
    NtResponse {
        name: Box<[u8]>,
        challenge: [u8; 16],
        peer_challenge: [u8; 16],
        response: [u8; 24],
    },
}

impl<R> From<Shown> for Credentials<R> {
    fn from(shown: Shown) -> Self {
        match shown {
            Shown::Password {
                name,
                password,
                can_ask,
            } => Self::Password {
                name,
                password,
                can_ask,
            },
            Shown::NtResponse {
                name,
                challenge,
                peer_challenge,
                response,
            } => Self::NtResponse {
                name,
                challenge,
                peer_challenge,
                response,
            },
        }
    }
}

/// What became of it.
pub(super) enum Ruling {
    /// Let in, with the proof for MSCHAPv2.
    Accept(Option<[u8; 20]>),
    /// Refused.
    Reject,
    /// One more question.
    Ask(Arc<str>),
}

/// What follows inside.
pub(super) enum Said {
    /// Octets for the peer.
    Ask(Vec<u8>),
    /// Something to judge.
    Judge(Shown),
    /// The login was let in, and the peer knows or does not care.
    Accepted,
    /// It was refused, likewise.
    Refused,
    /// It ended by itself.
    Broken(Failed),
}

/// The inside of one tunnel.
pub(super) enum Inside {
    /// Of TTLS.
    Ttls {
        /// What may run.
        inner: Arc<[Inner]>,
        /// Inner EAP, once the peer has begun it.
        packets: Option<Packets>,
    },
    /// Of PEAP.
    Peap(Exchange),
}

impl Inside {
    /// Of TTLS: the peer speaks first.
    pub(super) fn ttls(inner: &Arc<[Inner]>) -> Self {
        Self::Ttls {
            inner: inner.clone(),
            packets: None,
        }
    }

    /// Of PEAP, with the octets that ask who is there.
    pub(super) fn peap(inner: &Arc<[Inner]>) -> (Self, Vec<u8>) {
        (
            Self::Peap(Exchange::new(inner)),
            Exchange::IDENTITY.to_vec(),
        )
    }

    /// Hears what the peer says.
    pub(super) fn hear(&mut self, plain: &[u8]) -> Said {
        match self {
            Self::Ttls { inner, packets } => hear_flight(plain, inner, packets),
            Self::Peap(exchange) => match (result(plain), plain.split_first()) {
                (Some(_), _) => broken("Result TLV before the inner login"),
                (None, Some((kind, data))) => exchange.hear(*kind, data),
                (None, None) => broken("inner answer without a type"),
            },
        }
    }

    /// Hears what became of what was shown.
    pub(super) fn judged(&mut self, ruling: &Ruling) -> Said {
        match self {
            Self::Ttls { packets, .. } => match (packets, ruling) {
                (Some(packets), ruling) => in_avp(packets.judged(ruling)),
                (None, Ruling::Accept(_)) => Said::Accepted,
                // A password in an AVP was all: nothing more can be asked.
                (None, Ruling::Reject | Ruling::Ask(_)) => Said::Refused,
            },
            Self::Peap(exchange) => exchange.judged(ruling),
        }
    }
}

fn broken(why: &'static str) -> Said {
    Said::Broken(Failed::Protocol(why))
}

fn hear_flight(plain: &[u8], inner: &[Inner], packets: &mut Option<Packets>) -> Said {
    match (avp::read(plain), packets) {
        (Err(why), _) => broken(why),
        (Ok(avp::Flight::Password { .. }), Some(_)) => broken("two inner methods at once"),
        (Ok(avp::Flight::Password { name, password }), None) => {
            if !inner.contains(&Inner::Pap) {
                return Said::Broken(Failed::NoMethod);
            }
            Said::Judge(Shown::Password {
                name,
                password,
                can_ask: false,
            })
        }
        (Ok(avp::Flight::Eap(packet)), packets) => {
            let packets = packets.get_or_insert_with(|| Packets::new(inner));
            in_avp(packets.hear(packet.expose()))
        }
    }
}

fn in_avp(said: Said) -> Said {
    match said {
        Said::Ask(packet) => Said::Ask(avp::eap(&packet)),
        said => said,
    }
}

/// What was said inside, wiped when it was heard.
pub(super) type Plain = Zeroizing<Vec<u8>>;
