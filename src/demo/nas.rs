//! A pretend NAS: sends real Access-Requests, waits and retransmits as gear does, and shows what came back.
//!
//! It knows the wire and nothing of what decides. What it shows holds no secret.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use crate::clock::Clock;
use crate::secret::{Secret, random_array};
use crate::wire::{self, Asked, BadAnswer, Code, Query};

/// When the same packet is sent again: the middle of what gear does (2 to 5 s).
const RETRANSMIT: Duration = Duration::from_secs(3);
/// What the NAS calls itself.
const NAS_IDENTIFIER: &str = "sekisho-try";
/// NAS-Port-Type Virtual (RFC 2865 §5.41), as concentrators send it.
const VIRTUAL: [u8; 4] = [0, 0, 0, 5];

const USER_NAME: u8 = 1;
const USER_PASSWORD: u8 = 2;
const REPLY_MESSAGE: u8 = 18;
const STATE: u8 = 24;
const CALLING_STATION_ID: u8 = 31;
const NAS_IDENTIFIER_ATTRIBUTE: u8 = 32;
const NAS_PORT_TYPE: u8 = 61;
const TUNNEL_CLIENT_ENDPOINT: u8 = 66;
const MESSAGE_AUTHENTICATOR: u8 = 80;

/// Why a login had no end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket could not be used.
    #[error("{to}: {source}")]
    Socket {
        /// The server.
        to: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// No answer came.
    #[error("{to} gave no answer within {} s", waited.as_secs())]
    Silence {
        /// The server.
        to: SocketAddr,
        /// How long was waited.
        waited: Duration,
    },
    /// Only answers came that cannot be believed.
    #[error("{to} answered, but: {why}")]
    Unbelieved {
        /// The server.
        to: SocketAddr,
        /// Why not.
        why: BadAnswer,
    },
}

/// One request of a login.
#[derive(Debug)]
pub struct Login<'a> {
    /// User-Name.
    pub user: &'a str,
    /// User-Password: the password, or the answer to a challenge.
    pub password: &'a Secret,
    /// The station, as text.
    pub station: Option<&'a str>,
    /// The State of the challenge that is answered.
    pub state: Option<&'a [u8]>,
}

/// A packet as shown to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Packet {
    /// Its code, in the RFC's words.
    pub code: &'static str,
    /// Its identifier.
    pub identifier: u8,
    /// Its attributes, in order.
    pub attributes: Vec<Attribute>,
}

/// An attribute as shown to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attribute {
    /// Its name, or its number.
    pub name: String,
    /// Its value in words; never a secret.
    pub value: String,
}

/// What the server decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Access-Accept.
    Accept,
    /// Access-Reject.
    Reject,
    /// Access-Challenge, to be answered with this State.
    Challenge(Vec<u8>),
}

/// A request and its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// What was sent.
    pub sent: Packet,
    /// What came back.
    pub reply: Packet,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// How often the request was sent again.
    pub retransmissions: u32,
    /// What follows.
    #[serde(skip)]
    pub decided: Decided,
    /// What the user is shown.
    pub text: Option<String>,
}

/// The pretend NAS.
pub struct Nas {
    socket: UdpSocket,
    to: SocketAddr,
    secret: Secret,
    identifier: u8,
    patience: Duration,
    clock: Clock,
}

impl Nas {
    /// Opens a socket towards a server. It sends from `from`, or from wherever the system chooses.
    ///
    /// # Errors
    ///
    /// When the address cannot be used.
    pub async fn open(
        from: Option<IpAddr>,
        to: SocketAddr,
        secret: Secret,
        patience: Duration,
    ) -> Result<Self, Error> {
        let from = from.unwrap_or(match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        });
        let opened = async {
            let socket = UdpSocket::bind((from, 0)).await?;
            socket.connect(to).await?;
            Ok(socket)
        };
        let [identifier] = random_array();
        Ok(Self {
            socket: opened
                .await
                .map_err(|source| Error::Socket { to, source })?,
            to,
            secret,
            identifier,
            patience,
            clock: Clock::system(),
        })
    }

    /// Sends one request, again and again while nobody answers, until its patience ends.
    ///
    /// # Errors
    ///
    /// When no answer comes that can be believed.
    pub async fn ask(&mut self, login: &Login<'_>) -> Result<Exchange, Error> {
        self.identifier = self.identifier.wrapping_add(1);
        let (asked, sent) = self.request(login);
        let begun = self.clock.instant();
        let (answer, retransmissions) = self.converse(&asked).await?;
        let micros = self.clock.instant().saturating_duration_since(begun);
        Ok(Exchange {
            reply: shown(&answer, self.identifier),
            decided: decided(&answer),
            text: text(&answer),
            sent,
            micros: u64::try_from(micros.as_micros()).unwrap_or(u64::MAX),
            retransmissions,
        })
    }

    fn request(&self, login: &Login<'_>) -> (Asked, Packet) {
        let mut query = Query::access(self.identifier)
            .with(USER_NAME, login.user.as_bytes())
            .with_password(&self.secret, login.password.expose())
            .with(NAS_IDENTIFIER_ATTRIBUTE, NAS_IDENTIFIER.as_bytes())
            .with(NAS_PORT_TYPE, &VIRTUAL);
        let mut attributes = vec![
            named(USER_NAME, login.user.as_bytes()),
            Attribute {
                name: name(USER_PASSWORD),
                value: "(hidden)".to_owned(),
            },
            named(NAS_IDENTIFIER_ATTRIBUTE, NAS_IDENTIFIER.as_bytes()),
            named(NAS_PORT_TYPE, &VIRTUAL),
        ];
        if let Some(station) = login.station {
            // Some gear tells the station in the one, some in the other: whichever the client trusts is there.
            for kind in [CALLING_STATION_ID, TUNNEL_CLIENT_ENDPOINT] {
                query = query.with(kind, station.as_bytes());
                attributes.push(named(kind, station.as_bytes()));
            }
        }
        if let Some(state) = login.state {
            query = query.with(STATE, state);
            attributes.push(named(STATE, state));
        }
        let packet = Packet {
            code: code_name(Code::AccessRequest),
            identifier: self.identifier,
            attributes,
        };
        (query.sign(&self.secret), packet)
    }

    async fn converse(&self, asked: &Asked) -> Result<(wire::Answer, u32), Error> {
        let end = Instant::now() + self.patience;
        let mut retransmissions = 0;
        let mut unbelieved = None;
        let mut datagram = vec![0; wire::PACKET_OCTETS];
        let socket = |source| Error::Socket {
            to: self.to,
            source,
        };
        self.socket.send(asked.octets()).await.map_err(socket)?;
        let mut again = Instant::now() + RETRANSMIT;
        loop {
            match timeout_at(again.min(end), self.socket.recv(&mut datagram)).await {
                Ok(received) => {
                    let length = received.map_err(socket)?;
                    let octets = datagram.get(..length).unwrap_or_default();
                    match asked.answer(octets, &self.secret) {
                        Ok(answer) => return Ok((answer, retransmissions)),
                        // The late answer to an earlier request.
                        Err(BadAnswer::Identifier) => {}
                        Err(why) => unbelieved = Some(why),
                    }
                }
                Err(_) if Instant::now() >= end => {
                    return Err(unbelieved.map_or(
                        Error::Silence {
                            to: self.to,
                            waited: self.patience,
                        },
                        |why| Error::Unbelieved { to: self.to, why },
                    ));
                }
                Err(_) => {
                    self.socket.send(asked.octets()).await.map_err(socket)?;
                    retransmissions += 1;
                    again = Instant::now() + RETRANSMIT;
                }
            }
        }
    }
}

fn decided(answer: &wire::Answer) -> Decided {
    match answer.code() {
        Code::AccessAccept => Decided::Accept,
        Code::AccessChallenge => {
            Decided::Challenge(answer.attributes(STATE).next().unwrap_or_default().to_vec())
        }
        Code::AccessReject
        | Code::AccessRequest
        | Code::AccountingRequest
        | Code::AccountingResponse
        | Code::StatusServer => Decided::Reject,
    }
}

fn text(answer: &wire::Answer) -> Option<String> {
    let texts: Vec<String> = answer.attributes(REPLY_MESSAGE).map(printable).collect();
    (!texts.is_empty()).then(|| texts.join(" "))
}

fn shown(answer: &wire::Answer, identifier: u8) -> Packet {
    Packet {
        code: code_name(answer.code()),
        identifier,
        attributes: answer
            .all()
            .map(|(kind, value)| named(kind, value))
            .collect(),
    }
}

const fn code_name(code: Code) -> &'static str {
    match code {
        Code::AccessRequest => "Access-Request",
        Code::AccessAccept => "Access-Accept",
        Code::AccessReject => "Access-Reject",
        Code::AccessChallenge => "Access-Challenge",
        Code::AccountingRequest => "Accounting-Request",
        Code::AccountingResponse => "Accounting-Response",
        Code::StatusServer => "Status-Server",
    }
}

/// How the value of an attribute is written.
#[derive(Clone, Copy)]
enum Form {
    Text,
    /// An optional tag octet, then text (RFC 2868 §3.3).
    TaggedText,
    Number,
    /// A tag octet, then a number of three octets (RFC 2868 §3.1).
    TaggedNumber,
    Address,
    Octets,
    Vendor,
    Signature,
}

/// The attributes that replies of access servers carry; others are shown by number.
const KNOWN: &[(u8, &str, Form)] = &[
    (USER_NAME, "User-Name", Form::Text),
    (USER_PASSWORD, "User-Password", Form::Signature),
    (6, "Service-Type", Form::Number),
    (7, "Framed-Protocol", Form::Number),
    (8, "Framed-IP-Address", Form::Address),
    (9, "Framed-IP-Netmask", Form::Address),
    (11, "Filter-Id", Form::Text),
    (REPLY_MESSAGE, "Reply-Message", Form::Text),
    (STATE, "State", Form::Octets),
    (25, "Class", Form::Text),
    (26, "Vendor-Specific", Form::Vendor),
    (27, "Session-Timeout", Form::Number),
    (28, "Idle-Timeout", Form::Number),
    (29, "Termination-Action", Form::Number),
    (CALLING_STATION_ID, "Calling-Station-Id", Form::Text),
    (NAS_IDENTIFIER_ATTRIBUTE, "NAS-Identifier", Form::Text),
    (33, "Proxy-State", Form::Octets),
    (NAS_PORT_TYPE, "NAS-Port-Type", Form::Number),
    (64, "Tunnel-Type", Form::TaggedNumber),
    (65, "Tunnel-Medium-Type", Form::TaggedNumber),
    (
        TUNNEL_CLIENT_ENDPOINT,
        "Tunnel-Client-Endpoint",
        Form::TaggedText,
    ),
    (76, "Prompt", Form::Number),
    (
        MESSAGE_AUTHENTICATOR,
        "Message-Authenticator",
        Form::Signature,
    ),
    (81, "Tunnel-Private-Group-Id", Form::TaggedText),
    (88, "Framed-Pool", Form::Text),
    (97, "Framed-IPv6-Prefix", Form::Octets),
    (168, "Framed-IPv6-Address", Form::Address),
];

fn name(kind: u8) -> String {
    KNOWN.iter().find(|(known, ..)| *known == kind).map_or_else(
        || format!("Attribute {kind}"),
        |(_, name, _)| (*name).to_owned(),
    )
}

fn named(kind: u8, value: &[u8]) -> Attribute {
    let form = KNOWN
        .iter()
        .find(|(known, ..)| *known == kind)
        .map_or(Form::Octets, |(_, _, form)| *form);
    Attribute {
        name: name(kind),
        value: in_words(form, value),
    }
}

fn in_words(form: Form, value: &[u8]) -> String {
    match (form, value) {
        (Form::Text, _) => printable(value),
        (Form::TaggedText, [tag @ 0..=0x1f, rest @ ..]) => {
            format!("{} (tag {tag})", printable(rest))
        }
        (Form::TaggedText, _) => printable(value),
        (Form::Number, &[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]).to_string(),
        (Form::TaggedNumber, &[tag, a, b, c]) => {
            format!("{} (tag {tag})", u32::from_be_bytes([0, a, b, c]))
        }
        (Form::Address, _) => <[u8; 4]>::try_from(value)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from))
            .map_or_else(|_| octets(value), |address| address.to_string()),
        (Form::Vendor, &[a, b, c, d, kind, _, ref rest @ ..]) => {
            let vendor = u32::from_be_bytes([a, b, c, d]);
            format!("vendor {vendor}, type {kind}: {}", printable(rest))
        }
        (Form::Signature, _) => "right".to_owned(),
        (Form::Number | Form::TaggedNumber | Form::Octets | Form::Vendor, _) => octets(value),
    }
}

fn octets(value: &[u8]) -> String {
    format!("{} octets", value.len())
}

/// Text without anything that moves a terminal's cursor; what is no text is counted.
fn printable(value: &[u8]) -> String {
    std::str::from_utf8(value).map_or_else(
        |_| octets(value),
        |text| {
            text.chars()
                .map(|c| if c.is_control() { '·' } else { c })
                .collect()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_shown_in_words_and_never_move_the_cursor() {
        for (kind, value, words) in [
            (18, "確認コード\u{1b}[2J".as_bytes(), "確認コード·[2J"),
            (25, b"staff", "staff"),
            (25, &[0xff, 0xfe], "2 octets"),
            (27, &[0, 0, 14, 16], "3600"),
            (27, &[0, 0], "2 octets"),
            (64, &[1, 0, 0, 13], "13 (tag 1)"),
            (81, b"\x01120", "120 (tag 1)"),
            (81, b"120", "120"),
            (8, &[192, 0, 2, 1], "192.0.2.1"),
            (24, &[7; 16], "16 octets"),
            (
                26,
                b"\x00\x00\x00\x09\x01\x07abcde",
                "vendor 9, type 1: abcde",
            ),
            (26, b"\x00\x00", "2 octets"),
            (250, &[1, 2], "2 octets"),
        ] {
            assert_eq!(named(kind, value).value, words, "{kind}");
        }
        assert_eq!(named(250, &[]).name, "Attribute 250");
    }
}
