//! Lets in the packets that deserve work, in the order that is safe: attributes, authenticators, Status-Server, duplicates,
//! permit. The same for datagrams and connections; before it comes the client, of the address or of the certificate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::clients::{Bounds, Known, Permit, Turn};
use super::duplicates::{Admission, Arrival};
use super::login::{Fall, Work};
use super::path::Path;
use super::socket::{Port, canonical};
use super::{House, accounting, login};
use crate::account::ClientName;
use crate::telemetry::{Discard, Telemetry};
use crate::wire::{Code, Malformed, Reply, Request, Signed, Unbelieved, attribute};

/// Lets in, and starts the work. Cheap to clone.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) house: Arc<House>,
    pub(super) tracker: TaskTracker,
}

/// A packet is discarded: why, for counter and log.
pub(super) struct Refused {
    discard: Discard,
    client: Option<ClientName>,
    why: String,
    fault: Fault,
}

/// What a refused packet says of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing: the next may be sound.
    OfPacket,
    /// It does not speak RADIUS, or not with us: a connection is closed (RFC 6613 §2.6.4).
    OfPeer,
}

impl Refused {
    /// A packet that is discarded alone.
    pub(super) fn new(discard: Discard, known: Option<&Known>, why: impl Into<String>) -> Self {
        Self {
            discard,
            client: known.map(|known| known.client.name.clone()),
            why: why.into(),
            fault: Fault::OfPacket,
        }
    }

    fn blaming(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    /// What it says of the peer.
    pub(super) const fn fault(&self) -> Fault {
        self.fault
    }

    /// Counts and logs it.
    pub(super) fn tell(&self, telemetry: &Telemetry, peer: SocketAddr) {
        let from = SocketAddr::new(canonical(peer), peer.port());
        telemetry.discard(self.discard, from, self.client.as_ref(), &self.why);
    }
}

impl Gate {
    /// Lets a packet of a known client in, answers it at once, or says why neither.
    pub(super) fn admit(
        &self,
        octets: &[u8],
        known: Arc<Known>,
        path: Path,
        now: Instant,
    ) -> Result<(), Refused> {
        let request = Request::parse(octets).map_err(|malformed| {
            Refused::new(Discard::Malformed, Some(&known), malformed.to_string())
                .blaming(fault_of(malformed))
        })?;
        let signed = believe(&request, &known, path.port())?;
        if request.code() == Code::StatusServer {
            return self.answer_status(&request, &known, &path, now);
        }
        self.let_in(request, known, path, (signed, now))
    }

    /// Answers "are you there?" (RFC 5997), so many times a second, without any work on a person's behalf. Each connection may
    /// ask as often as a client may by datagrams: it is how its other end sees that it lives.
    fn answer_status(
        &self,
        request: &Request,
        known: &Known,
        path: &Path,
        now: Instant,
    ) -> Result<(), Refused> {
        let settings = self.house.settings.load();
        let allowance = path
            .line()
            .map_or(&known.share.status, |line| line.status());
        if !allowance.may_answer(settings.status_per_second, now) {
            let why = "too many Status-Server in a second";
            return Err(Refused::new(Discard::StatusFlood, Some(known), why));
        }
        if settings.status_silent_when_down && !self.house.rooms.access.ready() {
            let why = "Status-Server while nothing can be decided (status-silent-when-down)";
            return Err(Refused::new(Discard::Undecided, Some(known), why));
        }
        let code = match path.port() {
            Port::Authentication | Port::All => Code::AccessAccept,
            Port::Accounting => Code::AccountingResponse,
        };
        path.send(&Reply::to(request, code).sign(&known.client.secret));
        Ok(())
    }

    /// Looks the request up among duplicates, takes a permit and starts its task.
    fn let_in(
        &self,
        request: Request,
        known: Arc<Known>,
        path: Path,
        (signed, now): (Signed, Instant),
    ) -> Result<(), Refused> {
        let name = &known.client.name;
        let nas = canonical(path.peer);
        let telemetry = &self.house.rooms.telemetry;
        let admission = self.house.duplicates.admit(Arrival {
            key: path.key(request.identifier()),
            authenticator: request.authenticator(),
            client: name,
            signed,
            measured: path.port() == Port::Authentication && !known.lent,
            now,
        });
        self.tell_who_gave_up(now);
        let again = |apart: Duration| {
            let millis = u64::try_from(apart.as_millis()).unwrap_or(u64::MAX);
            telemetry.retransmission(name, nas, millis);
        };
        let ticket = match admission {
            Admission::New(ticket) => ticket,
            Admission::InWork(apart) => {
                again(apart);
                let why = "a retransmission of what is in work";
                return Err(Refused::new(Discard::InWork, Some(&known), why));
            }
            Admission::Answered(reply, apart) => {
                again(apart);
                path.send(&reply);
                return Ok(());
            }
            Admission::Full => {
                let why = "no room among duplicates";
                return Err(Refused::new(Discard::Full, Some(&known), why));
            }
        };
        match path.line() {
            None => telemetry.seen(name, nas, signed == Signed::Yes),
            Some(_) => telemetry.seen_by_tls(name, nas),
        }
        let Some(permit) = self.permit(&request, &known) else {
            let why = "too many requests in work (in-work, in-work-per-client)";
            return Err(Refused::new(Discard::Full, Some(&known), why));
        };
        self.start(Work {
            house: Arc::clone(&self.house),
            known,
            request,
            path,
            ticket,
            permit,
            received: now,
        });
        Ok(())
    }

    fn tell_who_gave_up(&self, now: Instant) {
        for gave_up in self.house.duplicates.gave_up(now) {
            let telemetry = &self.house.rooms.telemetry;
            telemetry.gave_up(&gave_up.client, gave_up.nas, gave_up.waited);
        }
    }

    fn permit(&self, request: &Request, known: &Known) -> Option<Permit> {
        let settings = self.house.settings.load();
        let turn = if request.attribute(attribute::STATE).is_some() {
            Turn::Answer
        } else {
            Turn::First
        };
        let bounds = Bounds {
            house: settings.in_work,
            client: settings.in_work_per_client,
        };
        Permit::take(&self.house.in_work, &known.share, turn, bounds)
    }

    fn start(&self, work: Work) {
        // Boxed at once: the future of a login is some 8 KiB, which the runtime would move about a dozen times.
        self.tracker.spawn(Box::pin(async move {
            let _fall = Fall::of(&work);
            if work.request.code() == Code::AccountingRequest {
                accounting::run(work).await;
            } else {
                login::run(work).await;
            }
        }));
    }
}

/// Checks that the code belongs to the port, and the authenticators.
fn believe(request: &Request, known: &Known, port: Port) -> Result<Signed, Refused> {
    let secret = &known.client.secret;
    let believed = match (port, request.code()) {
        (Port::Authentication | Port::All, Code::AccessRequest) | (_, Code::StatusServer) => {
            request.believe(secret, known.client.signing)
        }
        (Port::Accounting | Port::All, Code::AccountingRequest) => {
            request.believe_accounting(secret).map(|()| Signed::Yes)
        }
        (Port::Authentication | Port::Accounting | Port::All, _) => {
            let why = "this code is not served on this port";
            return Err(Refused::new(Discard::Malformed, Some(known), why));
        }
    };
    believed.map_err(|unbelieved| {
        let (discard, fault) = match unbelieved {
            Unbelieved::Unsigned | Unbelieved::UnsignedProxyState => {
                (Discard::Unsigned, Fault::OfPacket)
            }
            Unbelieved::WrongSignature | Unbelieved::WrongAuthenticator => {
                (Discard::WrongSignature, Fault::OfPeer)
            }
        };
        Refused::new(discard, Some(known), unbelieved.to_string()).blaming(fault)
    })
}

const fn fault_of(malformed: Malformed) -> Fault {
    match malformed {
        Malformed::Code | Malformed::MixedCredentials => Fault::OfPacket,
        Malformed::Length
        | Malformed::Attribute
        | Malformed::TooMany
        | Malformed::MessageAuthenticator => Fault::OfPeer,
    }
}
