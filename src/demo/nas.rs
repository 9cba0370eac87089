//! A pretend NAS: sends real Access-Requests, waits and retransmits as gear does, and shows what came back.
//!
//! It knows the wire and nothing of what decides. What it shows holds no secret.

mod packet;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use crate::clock::Clock;
use crate::secret::{Secret, random_array};
use crate::wire::{self, Asked, BadAnswer, Code, Query};
use packet::{
    CALLING_STATION_ID, NAS_IDENTIFIER_ATTRIBUTE, REPLY_MESSAGE, STATE, TUNNEL_CLIENT_ENDPOINT,
    USER_NAME, USER_PASSWORD, code_name, name, named, printable, shown,
};

pub use packet::{Attribute, Packet};

/// When the same packet is sent again: the middle of what gear does (2 to 5 s).
const RETRANSMIT: Duration = Duration::from_secs(3);
/// What the NAS calls itself.
const NAS_IDENTIFIER: &str = "sekisho-try";

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
        let from = from.unwrap_or_else(|| match to {
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
            .with(NAS_IDENTIFIER_ATTRIBUTE, NAS_IDENTIFIER.as_bytes());
        let mut attributes = vec![
            named(USER_NAME, login.user.as_bytes()),
            Attribute {
                name: name(USER_PASSWORD),
                value: "(hidden)".to_owned(),
            },
            named(NAS_IDENTIFIER_ATTRIBUTE, NAS_IDENTIFIER.as_bytes()),
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
