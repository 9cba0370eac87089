//! Receives datagrams of one socket and lets in those that deserve work, in the order that is safe: length, client,
//! attributes, authenticators, duplicates, permit.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clients::{Bounds, Known, Permit, Turn};
use super::duplicates::{Admission, Arrival, Key};
use super::login::{Fall, Path, Work};
use super::socket::{Buffer, DATAGRAM_OCTETS, Port, Received, Socket, canonical};
use super::{House, accounting, login};
use crate::account::ClientName;
use crate::telemetry::Discard;
use crate::wire::{Code, Reply, Request, Signed, Unbelieved, attribute};

/// Shortest packet: its header (RFC 2865 §3).
const HEADER_OCTETS: usize = 20;
/// Datagrams taken at one waking, before other tasks have their turn.
const BATCH: usize = 64;
/// Rest after the socket failed, so that a lasting fault does not spin.
const REST: Duration = Duration::from_millis(100);

/// Listens on one socket.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) house: Arc<House>,
    pub(super) socket: Arc<Socket>,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// A datagram is discarded: why, for counter and log.
struct Refused {
    discard: Discard,
    client: Option<ClientName>,
    why: String,
}

impl Refused {
    fn new(discard: Discard, known: Option<&Known>, why: impl Into<String>) -> Self {
        Self {
            discard,
            client: known.map(|known| known.client.name.clone()),
            why: why.into(),
        }
    }
}

impl Listener {
    /// Listens until stopped.
    pub(super) async fn run(self) {
        let mut buffer = Buffer::default();
        loop {
            self.socket.pulse().beat();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                ready = self.socket.readable() => {
                    let drained = ready.and_then(|()| self.drain(&mut buffer));
                    if let Err(error) = drained {
                        log::error!("{}: receiving failed: {error}", self.socket.address());
                        tokio::time::sleep(REST).await;
                    }
                }
                // Last: a socket that is always readable brings the loop round by itself.
                () = self.socket.pulse().wanted() => {}
            }
            tokio::task::yield_now().await;
        }
    }

    fn drain(&self, buffer: &mut Buffer) -> io::Result<()> {
        for _ in 0..BATCH {
            if self.stop.is_cancelled() {
                return Ok(());
            }
            match self.socket.receive(buffer) {
                Ok(received) => {
                    if received.lost > 0 {
                        self.house.rooms.telemetry.lost(received.lost.into());
                    }
                    self.take(buffer.datagram(&received), &received);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take(&self, datagram: &[u8], received: &Received) {
        if let Err(refused) = self.admit(datagram, received) {
            let from = SocketAddr::new(canonical(received.peer), received.peer.port());
            self.house.rooms.telemetry.discard(
                refused.discard,
                from,
                refused.client.as_ref(),
                &refused.why,
            );
        }
    }

    fn admit(&self, datagram: &[u8], received: &Received) -> Result<(), Refused> {
        if !(HEADER_OCTETS..DATAGRAM_OCTETS).contains(&datagram.len()) {
            let why = "length is no packet's";
            return Err(Refused::new(Discard::Malformed, None, why));
        }
        let now = Instant::now();
        let Some(known) = self.house.clients.find(canonical(received.peer), now) else {
            let why = "no client has this address";
            return Err(Refused::new(Discard::UnknownClient, None, why));
        };
        let request = Request::parse(datagram).map_err(|malformed| {
            Refused::new(Discard::Malformed, Some(&known), malformed.to_string())
        })?;
        let signed = self.believe(&request, &known)?;
        let path = Path {
            socket: Arc::clone(&self.socket),
            peer: received.peer,
            local: received.local,
        };
        if request.code() == Code::StatusServer {
            return self.answer_status(&request, &known, &path, now);
        }
        self.let_in(request, known, path, (signed, now))
    }

    /// Checks that the code belongs to the port, and the authenticators.
    fn believe(&self, request: &Request, known: &Known) -> Result<Signed, Refused> {
        let secret = &known.client.secret;
        let believed = match (self.socket.port(), request.code()) {
            (Port::Authentication, Code::AccessRequest) | (_, Code::StatusServer) => {
                request.believe(secret, known.client.signing)
            }
            (Port::Accounting, Code::AccountingRequest) => {
                request.believe_accounting(secret).map(|()| Signed::Yes)
            }
            (Port::Authentication | Port::Accounting, _) => {
                let why = "this code is not served on this port";
                return Err(Refused::new(Discard::Malformed, Some(known), why));
            }
        };
        believed.map_err(|unbelieved| {
            let discard = match unbelieved {
                Unbelieved::Unsigned | Unbelieved::UnsignedProxyState => Discard::Unsigned,
                Unbelieved::WrongSignature | Unbelieved::WrongAuthenticator => {
                    Discard::WrongSignature
                }
            };
            Refused::new(discard, Some(known), unbelieved.to_string())
        })
    }

    /// Answers "are you there?" (RFC 5997), so many times a second, without any work on a person's behalf.
    fn answer_status(
        &self,
        request: &Request,
        known: &Known,
        path: &Path,
        now: Instant,
    ) -> Result<(), Refused> {
        let settings = self.house.settings.load();
        if !known
            .share
            .may_answer_status(settings.status_per_second, now)
        {
            let why = "too many Status-Server in a second";
            return Err(Refused::new(Discard::StatusFlood, Some(known), why));
        }
        if settings.status_silent_when_down && !self.house.rooms.access.ready() {
            let why = "Status-Server while nothing can be decided (status-silent-when-down)";
            return Err(Refused::new(Discard::Undecided, Some(known), why));
        }
        let code = match self.socket.port() {
            Port::Authentication => Code::AccessAccept,
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
            key: Key {
                socket: self.socket.number(),
                local: path.local,
                peer: path.peer,
                identifier: request.identifier(),
            },
            authenticator: request.authenticator(),
            client: name,
            signed,
            measured: self.socket.port() == Port::Authentication && !known.lent,
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
        telemetry.seen(name, nas, signed == Signed::Yes);
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
        let port = self.socket.port();
        // Boxed at once: the future of a login is some 8 KiB, which the runtime would move about a dozen times.
        self.tracker.spawn(Box::pin(async move {
            let _fall = Fall::of(&work);
            match port {
                Port::Authentication => login::run(work).await,
                Port::Accounting => accounting::run(work).await,
            }
        }));
    }
}
