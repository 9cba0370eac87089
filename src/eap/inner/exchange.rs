//! EAP inside a tunnel: Identity, then one method, GTC or MSCHAPv2. How its packets are wrapped is TTLS's or PEAP's.

use super::super::packet::{self, GTC, IDENTITY, MS_CHAP_V2};
use super::super::{Failed, Inner};
use super::{NAME_OCTETS, PASSWORD_OCTETS, Ruling, Said, Shown, mschapv2};
use crate::secret::{Secret, random_array};

/// What GTC asks first, in both languages: whose language it is, is not known yet. Most peers show it to nobody.
const PROMPT: &str = "パスワード / Password: ";

/// An inner conversation.
pub(in crate::eap) struct Exchange {
    /// What may run, the one offered first in front.
    offers: Vec<Inner>,
    name: Box<[u8]>,
    state: State,
}

enum State {
    /// Asked who is there.
    Identity,
    /// A method was offered; `switched`: after the peer had declined another.
    Offered { offer: Offer, switched: bool },
    /// One more question was put by GTC.
    Asked,
    /// Something is being judged, or over.
    Waiting(Offer),
    /// The peer was proven that its password is known; it has to agree.
    Proving,
    /// The peer was told that it is refused.
    Refusing,
}

#[derive(Clone, Copy)]
enum Offer {
    Gtc,
    /// With its identifier and challenge.
    MsChapV2(u8, [u8; 16]),
}

impl Offer {
    fn kind(self) -> u8 {
        match self {
            Self::Gtc => GTC,
            Self::MsChapV2(..) => MS_CHAP_V2,
        }
    }
}

fn wrong(why: &'static str) -> Said {
    Said::Broken(Failed::Protocol(why))
}

fn ask(kind: u8, data: &[u8]) -> Said {
    Said::Ask([&[kind], data].concat())
}

impl Exchange {
    /// Begins, with [`Exchange::IDENTITY`] asked.
    pub(super) fn new(inner: &[Inner]) -> Self {
        let eap = |offer: &Inner| *offer != Inner::Pap;
        Self {
            offers: inner.iter().copied().filter(eap).collect(),
            name: Box::default(),
            state: State::Identity,
        }
    }

    /// The first question: type and no data.
    pub(super) const IDENTITY: [u8; 1] = [IDENTITY];

    /// Hears type and data of an answer; what is asked is type and data likewise.
    pub(super) fn hear(&mut self, kind: u8, data: &[u8]) -> Said {
        match self.state {
            State::Identity if kind == IDENTITY => self.named(data),
            State::Offered { offer, switched } => match packet::wishes(kind, data) {
                Some(_) if switched => Said::Broken(Failed::NoMethod),
                Some(wanted) => self.switch(offer, &wanted),
                None if kind == offer.kind() => self.shown(offer, data),
                None => wrong("inner answer of another type than was asked"),
            },
            State::Asked if kind == GTC => self.answered(data),
            State::Asked => wrong("inner answer of another type than was asked"),
            State::Proving if kind == MS_CHAP_V2 && mschapv2::is_success(data) => Said::Accepted,
            State::Proving => Said::Broken(Failed::ByPeer),
            State::Refusing => Said::Refused,
            State::Identity | State::Waiting(_) => wrong("inner answer that nobody asked for"),
        }
    }

    fn named(&mut self, name: &[u8]) -> Said {
        if name.is_empty() || name.len() > NAME_OCTETS {
            return wrong("inner name that is empty or too long");
        }
        self.name = name.into();
        match self.offers.first() {
            Some(first) => self.offer(*first, false),
            None => Said::Broken(Failed::NoMethod),
        }
    }

    /// Takes the first that the peer wants and that is offered.
    fn switch(&mut self, declined: Offer, wanted: &[u8]) -> Said {
        let of_kind = |kind: &u8| match *kind {
            GTC => Some(Inner::Gtc),
            MS_CHAP_V2 => Some(Inner::MsChapV2),
            _ => None,
        };
        let wanted = wanted.iter().filter(|kind| **kind != declined.kind());
        let offered = |inner: &Inner| self.offers.contains(inner);
        match wanted.filter_map(of_kind).find(offered) {
            Some(inner) => self.offer(inner, true),
            None => Said::Broken(Failed::NoMethod),
        }
    }

    fn offer(&mut self, inner: Inner, switched: bool) -> Said {
        let (offer, asked) = match inner {
            Inner::MsChapV2 => {
                let [identifier] = random_array();
                let challenge = random_array();
                let asked = mschapv2::challenge(identifier, &challenge);
                (Offer::MsChapV2(identifier, challenge), asked)
            }
            Inner::Gtc | Inner::Pap => (Offer::Gtc, PROMPT.as_bytes().to_vec()),
        };
        self.state = State::Offered { offer, switched };
        ask(offer.kind(), &asked)
    }

    fn shown(&mut self, offer: Offer, data: &[u8]) -> Said {
        self.state = State::Waiting(offer);
        let shown = match offer {
            Offer::Gtc => self.typed(data),
            Offer::MsChapV2(identifier, challenge) => {
                mschapv2::read_response(data, identifier, challenge)
            }
        };
        shown.map_or_else(|| wrong("malformed inner answer"), Said::Judge)
    }

    fn typed(&self, typed: &[u8]) -> Option<Shown> {
        let fits = (1..=PASSWORD_OCTETS).contains(&typed.len());
        fits.then(|| self.password(typed))
    }

    /// Hears the answer to a question, which may be empty: somebody who has approved just goes on.
    fn answered(&mut self, typed: &[u8]) -> Said {
        self.state = State::Waiting(Offer::Gtc);
        if typed.len() > PASSWORD_OCTETS {
            return wrong("malformed inner answer");
        }
        Said::Judge(self.password(typed))
    }

    fn password(&self, typed: &[u8]) -> Shown {
        Shown::Password {
            name: self.name.clone(),
            password: Secret::new(typed.to_vec()),
            can_ask: true,
        }
    }

    /// Hears what became of what was shown.
    pub(super) fn judged(&mut self, ruling: &Ruling) -> Said {
        let State::Waiting(offer) = self.state else {
            return wrong("verdict that nobody asked for");
        };
        match (offer, ruling) {
            (Offer::Gtc, Ruling::Accept(_)) => Said::Accepted,
            (Offer::Gtc, Ruling::Reject) => Said::Refused,
            (Offer::Gtc, Ruling::Ask(text)) => {
                self.state = State::Asked;
                ask(GTC, text.as_bytes())
            }
            (Offer::MsChapV2(identifier, _), Ruling::Accept(Some(proof))) => {
                self.state = State::Proving;
                ask(MS_CHAP_V2, &mschapv2::success(identifier, proof))
            }
            // Without a proof the peer would refuse us.
            (Offer::MsChapV2(..), Ruling::Accept(None)) => wrong("login accepted without a proof"),
            (Offer::MsChapV2(identifier, challenge), Ruling::Reject | Ruling::Ask(_)) => {
                self.state = State::Refusing;
                ask(MS_CHAP_V2, &mschapv2::failure(identifier, &challenge))
            }
        }
    }
}

/// Inner EAP in TTLS: whole packets, which the peer begins with an Identity that nobody asked for (RFC 5281 §11.2.1).
pub(in crate::eap) struct Packets {
    exchange: Exchange,
    /// Of the Request that is to be answered; none before the Identity.
    identifier: Option<u8>,
}

impl Packets {
    /// Begins.
    pub(super) fn new(inner: &[Inner]) -> Self {
        Self {
            exchange: Exchange::new(inner),
            identifier: None,
        }
    }

    /// Hears a packet; what is asked is a packet.
    pub(super) fn hear(&mut self, octets: &[u8]) -> Said {
        let Ok(response) = packet::read(octets) else {
            return wrong("malformed inner packet");
        };
        let asked = self.identifier.unwrap_or(response.identifier);
        if response.identifier != asked {
            return wrong("inner packet that answers another");
        }
        self.identifier = Some(asked);
        let said = self.exchange.hear(response.kind, response.data);
        self.wrap(said)
    }

    /// Hears what became of what was shown.
    pub(super) fn judged(&mut self, ruling: &Ruling) -> Said {
        let said = self.exchange.judged(ruling);
        self.wrap(said)
    }

    fn wrap(&mut self, said: Said) -> Said {
        let Said::Ask(asked) = said else {
            return said;
        };
        let identifier = self.identifier.unwrap_or_default().wrapping_add(1);
        self.identifier = Some(identifier);
        let Some((kind, data)) = asked.split_first() else {
            return wrong("question without a type");
        };
        Said::Ask(packet::request(identifier, *kind, &[data]))
    }
}
