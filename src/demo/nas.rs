//! A pretend NAS: sends real Access-Requests, waits and asks again as gear does, and shows what came back.
//!
//! It knows the wire, and the manners of gear from its profile; nothing of what decides. What it shows holds no secret.

mod packet;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use crate::config::{Again, Profile, Signs, StationForm, StationSource, station_source};
use crate::secret::{Secret, random_array};
use crate::wire::{self, Asked, BadAnswer, Code, Query};
use packet::{
    CALLING_STATION_ID, NAS_IDENTIFIER_ATTRIBUTE, REPLY_MESSAGE, STATE, TUNNEL_CLIENT_ENDPOINT,
    USER_NAME, USER_PASSWORD, VENDOR_SPECIFIC, code_name, name, named, printable, shown,
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
        source: io::Error,
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

/// How a NAS asks.
#[derive(Clone, Debug)]
pub struct Manner {
    /// How long it waits after each request to a server.
    waits: Vec<Duration>,
    again: Again,
    signs: Signs,
    /// In which attributes it tells the station; none is the usual two, since what a client trusts is not known.
    station: Vec<StationSource>,
    /// It tells the station again with the answer to a challenge.
    repeats_station: bool,
    /// It hears that nobody listens at a port; gear waits all the same.
    hears_refusals: bool,
}

impl Manner {
    /// That of no gear: it sends the same packet again and again while its patience lasts.
    #[must_use]
    pub fn patient(patience: Duration) -> Self {
        let mut waits = Vec::new();
        let mut left = patience;
        while !left.is_zero() {
            waits.push(left.min(RETRANSMIT));
            left = left.saturating_sub(RETRANSMIT);
        }
        Self {
            waits,
            again: Again::SamePacket,
            signs: Signs::Yes,
            station: Vec::new(),
            repeats_station: true,
            hears_refusals: true,
        }
    }

    /// That of a make of gear.
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        let known = profile.station.iter();
        Self {
            waits: profile.waits.to_vec(),
            again: profile.again,
            signs: profile.signing,
            station: known.filter_map(|name| station_source(name)).collect(),
            repeats_station: profile.repeats_station,
            hears_refusals: false,
        }
    }
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
    /// Nothing came while the NAS waited.
    Silence,
}

/// A datagram that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sending {
    /// How long after the first, in microseconds.
    pub at_micros: u64,
    /// The server.
    pub to: SocketAddr,
    /// The port that it left from.
    pub from_port: u16,
    /// Its identifier.
    pub identifier: u8,
    /// The octets of the one before, once more.
    pub same_packet: bool,
}

/// A request and its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// What was sent first.
    pub sent: Packet,
    /// Every datagram, in order.
    pub sendings: Vec<Sending>,
    /// What came back.
    pub reply: Option<Packet>,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// How often it was asked again.
    pub retransmissions: usize,
    /// What follows.
    #[serde(skip)]
    pub decided: Decided,
    /// What the user is shown.
    pub text: Option<String>,
}

/// A request as it is and as it is shown.
struct Request {
    asked: Asked,
    packet: Packet,
}

/// The pretend NAS.
pub struct Nas {
    from: IpAddr,
    servers: Vec<SocketAddr>,
    /// Which of them is asked, and the socket towards it.
    server: (SocketAddr, UdpSocket),
    secret: Secret,
    identifier: u8,
    manner: Manner,
}

impl Nas {
    /// Opens a socket towards the first server; a second one is asked when the first says nothing. It sends from `from`, or from
    /// wherever the system chooses.
    ///
    /// # Errors
    ///
    /// When the address cannot be used.
    pub async fn open(
        from: Option<IpAddr>,
        (first, second): (SocketAddr, Option<SocketAddr>),
        secret: Secret,
        manner: Manner,
    ) -> Result<Self, Error> {
        let from = from.unwrap_or_else(|| match first {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        });
        let [identifier] = random_array();
        Ok(Self {
            from,
            servers: [first].into_iter().chain(second).collect(),
            server: (first, open(from, first).await?),
            secret,
            identifier,
            manner,
        })
    }

    /// Sends one request, again and again in its manner while nobody answers, until its patience ends.
    ///
    /// # Errors
    ///
    /// When a socket cannot be used, or only answers come that cannot be believed.
    pub async fn ask(&mut self, login: &Login<'_>) -> Result<Exchange, Error> {
        let mut course = Course::new();
        // The answer to a challenge goes to the server that asked.
        let servers = match login.state {
            Some(_) => vec![self.server.0],
            None => self.servers.clone(),
        };
        for to in servers {
            if course.first.is_some() || to != self.server.0 {
                self.server = (to, open(self.from, to).await?);
            }
            if let Some(answer) = self.ask_server(login, &mut course).await? {
                return Ok(course.end(Some(&answer)));
            }
        }
        match course.unbelieved {
            Some((to, why)) => Err(Error::Unbelieved { to, why }),
            None => Ok(course.end(None)),
        }
    }

    /// Asks one server as often as its manner is.
    async fn ask_server(
        &mut self,
        login: &Login<'_>,
        course: &mut Course,
    ) -> Result<Option<wire::Answer>, Error> {
        let mut request = self.request(login);
        for (number, wait) in self.manner.waits.clone().into_iter().enumerate() {
            let same_packet = number > 0 && self.manner.again == Again::SamePacket;
            if number > 0 && !same_packet {
                self.server.1 = open(self.from, self.server.0).await?;
                request = self.request(login);
            }
            course.first.get_or_insert_with(|| request.packet.clone());
            self.send(&request.asked)?;
            course.sendings.push(Sending {
                at_micros: course.micros(),
                to: self.server.0,
                from_port: self.server.1.local_addr().map_or(0, |from| from.port()),
                identifier: request.packet.identifier,
                same_packet,
            });
            let end = Instant::now() + wait;
            if let Some(answer) = self.listen(&request.asked, end, course).await? {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    /// Waits for an answer.
    async fn listen(
        &self,
        asked: &Asked,
        end: Instant,
        course: &mut Course,
    ) -> Result<Option<wire::Answer>, Error> {
        let mut datagram = vec![0; wire::PACKET_OCTETS];
        let (to, socket) = &self.server;
        while let Ok(received) = timeout_at(end, socket.recv(&mut datagram)).await {
            let length = match received {
                Ok(length) => length,
                Err(error) => {
                    self.bear(error)?;
                    continue;
                }
            };
            let octets = datagram.get(..length).unwrap_or_default();
            match asked.answer(octets, &self.secret) {
                Ok(answer) => return Ok(Some(answer)),
                // The late answer to an earlier request.
                Err(BadAnswer::Identifier) => {}
                Err(why) => course.unbelieved = Some((*to, why)),
            }
        }
        Ok(None)
    }

    fn send(&self, asked: &Asked) -> Result<(), Error> {
        match self.server.1.try_send(asked.octets()) {
            Ok(_) => Ok(()),
            Err(error) => self.bear(error),
        }
    }

    /// That nobody listens is no answer to gear; anything else is the end.
    fn bear(&self, source: io::Error) -> Result<(), Error> {
        if source.kind() == io::ErrorKind::ConnectionRefused && !self.manner.hears_refusals {
            return Ok(());
        }
        let to = self.server.0;
        Err(Error::Socket { to, source })
    }

    fn request(&mut self, login: &Login<'_>) -> Request {
        self.identifier = self.identifier.wrapping_add(1);
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
        let told = login.state.is_none() || self.manner.repeats_station;
        if let Some(station) = login.station.filter(|_| told) {
            for (vendor, kind, value) in self.station(station) {
                query = match vendor {
                    None => query.with(kind, &value),
                    Some(vendor) => query.with_vendor(vendor, kind, &value),
                };
                attributes.push(match vendor {
                    None => named(kind, &value),
                    Some(vendor) => Attribute {
                        name: name(VENDOR_SPECIFIC),
                        value: format!("vendor {vendor}, type {kind}: {}", printable(&value)),
                    },
                });
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
        let asked = match self.manner.signs {
            Signs::Yes => query.sign(&self.secret),
            Signs::Never => query.unsigned(&self.secret),
        };
        Request { asked, packet }
    }

    /// The station, in the attributes in which gear of this manner tells it.
    fn station(&self, station: &str) -> Vec<(Option<u32>, u8, Vec<u8>)> {
        if self.manner.station.is_empty() {
            // Some gear tells the station in the one, some in the other: whichever the client trusts is there.
            let usual = [CALLING_STATION_ID, TUNNEL_CLIENT_ENDPOINT];
            return usual
                .map(|kind| (None, kind, station.as_bytes().to_vec()))
                .into();
        }
        let value = |source: &StationSource| match source.form {
            StationForm::Text | StationForm::TaggedText => {
                let prefix = source.prefix.as_deref().unwrap_or_default();
                Some([prefix.as_bytes(), station.as_bytes()].concat())
            }
            StationForm::Address => match station.parse().ok()? {
                IpAddr::V4(address) => Some(address.octets().to_vec()),
                IpAddr::V6(address) => Some(address.octets().to_vec()),
            },
        };
        let known = self.manner.station.iter();
        known
            .filter_map(|source| Some((source.vendor, source.kind, value(source)?)))
            .collect()
    }
}

async fn open(from: IpAddr, to: SocketAddr) -> Result<UdpSocket, Error> {
    let opened = async {
        let socket = UdpSocket::bind((from, 0)).await?;
        socket.connect(to).await?;
        socket.writable().await?;
        Ok(socket)
    };
    opened.await.map_err(|source| Error::Socket { to, source })
}

/// What has happened since a request was first sent.
struct Course {
    begun: Instant,
    first: Option<Packet>,
    sendings: Vec<Sending>,
    unbelieved: Option<(SocketAddr, BadAnswer)>,
}

impl Course {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            first: None,
            sendings: Vec::new(),
            unbelieved: None,
        }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn end(self, answer: Option<&wire::Answer>) -> Exchange {
        let micros = self.micros();
        let identifier = self.sendings.last().map_or(0, |sending| sending.identifier);
        let nothing = || Packet {
            code: code_name(Code::AccessRequest),
            identifier,
            attributes: Vec::new(),
        };
        Exchange {
            sent: self.first.unwrap_or_else(nothing),
            retransmissions: self.sendings.len().saturating_sub(1),
            sendings: self.sendings,
            reply: answer.map(|answer| shown(answer, identifier)),
            micros,
            decided: answer.map_or(Decided::Silence, decided),
            text: answer.and_then(text),
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
        | Code::StatusServer
        | Code::DisconnectRequest
        | Code::DisconnectAck
        | Code::DisconnectNak => Decided::Reject,
    }
}

fn text(answer: &wire::Answer) -> Option<String> {
    let texts: Vec<String> = answer.attributes(REPLY_MESSAGE).map(printable).collect();
    (!texts.is_empty()).then(|| texts.join(" "))
}
