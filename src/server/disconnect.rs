//! Asks a NAS to end a session: a Disconnect-Request (RFC 5176 §2.1), sent again as any request is (RFC 5080 §2.2.1).
//!
//! An answer is believed if it comes from where the request went and has the right authenticator; then, and only then, the session
//! counts as ended. Whatever comes of it is told to whoever asked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Client, House};
use crate::access::{AccountedSession, EndOutcome, SessionToEnd};
use crate::clock::Timestamp;
use crate::secret::{Secret, random_array};
use crate::telemetry::SessionOf;
use crate::wire::{Asked, Code, PACKET_OCTETS, Query, Request, attribute};

/// The port of RFC 5176 §2.1.
const PORT: u16 = 3799;
/// Sessions that NASes are asked about at once: each costs a socket and a buffer, and a person who reports has 32 at the most.
const AT_ONCE: usize = 256;
/// How long an answer is waited for after the first sending; the double after each further one (RFC 5080 §2.2.1).
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// How often a request is sent: with 2, 4 and 8 s between them a NAS has a quarter of a minute, for which an operator can wait.
const TIMES: u32 = 3;
/// A wait is so many hundredths longer or shorter at random (RFC 5080 §2.2.1: RAND).
const JITTER: u32 = 10;
/// What names a session to its NAS (RFC 5176 §3), and to us: as the NAS sent it. Gear refuses a request of which one
/// attribute does not fit, so that there are no more than are needed.
const NAMES: [u8; 6] = [
    attribute::USER_NAME,
    attribute::NAS_IP_ADDRESS,
    attribute::NAS_IPV6_ADDRESS,
    attribute::NAS_IDENTIFIER,
    attribute::ACCT_SESSION_ID,
    attribute::CALLING_STATION_ID,
];
/// By which a NAS names itself.
const NAS_NAMES: [u8; 3] = [
    attribute::NAS_IP_ADDRESS,
    attribute::NAS_IPV6_ADDRESS,
    attribute::NAS_IDENTIFIER,
];

/// How a client's sessions are ended.
#[derive(Clone, Debug)]
pub struct Disconnect {
    /// Where its NASes are asked; none is port 3799 of the address that the accounting came from.
    pub to: Option<SocketAddr>,
    /// The secret; none is that of its requests.
    pub secret: Option<Secret>,
}

/// All that names the session of an Accounting-Request to its NAS, as a list of attributes.
pub(super) fn names(request: &Request) -> Vec<u8> {
    request.list(&NAMES)
}

/// All by which the NAS of a request names itself, as a list of attributes.
pub(super) fn nas_names(request: &Request) -> Vec<u8> {
    request.list(&NAS_NAMES)
}

/// Asks for each session that is to end, until stopped.
pub(super) async fn run(
    house: Arc<House>,
    mut orders: mpsc::Receiver<SessionToEnd>,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(permit) = at_once.clone().acquire_owned().await else {
            return;
        };
        // An arm that is cut off loses nothing: `recv` takes a message only when it is ready.
        let order = tokio::select! {
            () = stop.cancelled() => return,
            order = orders.recv() => order,
        };
        let Some(order) = order else { return };
        let (house, stop) = (Arc::clone(&house), stop.clone());
        tracker.spawn(async move {
            let _permit = permit;
            // Who asked hears of what was cut off: the order is dropped.
            tokio::select! {
                () = stop.cancelled() => {}
                () = end(&house, order) => {}
            }
        });
    }
}

async fn end(house: &House, order: SessionToEnd) {
    let SessionToEnd { session, why, told } = order;
    let clients = house.clients.configured();
    let client = clients
        .iter()
        .find(|client| client.name == session.facts.client);
    let outcome = match client.and_then(|client| Some((client, client.disconnect.as_ref()?))) {
        None => EndOutcome::Off,
        Some((client, how)) => {
            let to = destination(how, &session);
            let asked = ask(client, how, &session, house.rooms.clock.now());
            let secret = how.secret.as_ref().unwrap_or(&client.secret);
            match exchange(&asked, (to, session.facts.local), secret).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    log::error!("a Disconnect-Request to {to} was not sent: {error}");
                    EndOutcome::Unsent
                }
            }
        }
    };
    let telemetry = &house.rooms.telemetry;
    telemetry.session_end(&whose(&session), why.as_str(), outcome.as_str());
    // Nobody waits any more: it was told.
    let _unheard = told.send(outcome);
}

fn whose(session: &AccountedSession) -> SessionOf<'_> {
    let facts = &session.facts;
    SessionOf {
        account: &session.account,
        attempt: &session.attempt,
        name: &facts.name,
        session: &facts.session,
        client: &facts.client,
        nas: facts.nas,
        station: &facts.station,
    }
}

fn destination(how: &Disconnect, session: &AccountedSession) -> SocketAddr {
    how.to
        .unwrap_or_else(|| SocketAddr::new(session.facts.nas, PORT))
}

fn ask(client: &Client, how: &Disconnect, session: &AccountedSession, now: Timestamp) -> Asked {
    let [identifier] = random_array();
    let now = u32::try_from(now.secs()).unwrap_or(u32::MAX);
    let secret = how.secret.as_ref().unwrap_or(&client.secret);
    Query::disconnect(identifier)
        .with_list(&session.facts.named)
        .with(attribute::EVENT_TIMESTAMP, &now.to_be_bytes())
        .sign(secret)
}

/// Sends until an answer comes that can be believed. Always the same octets: their Event-Timestamp holds for five minutes
/// (RFC 5176 §6.3).
async fn exchange(
    asked: &Asked,
    (to, from): (SocketAddr, Option<IpAddr>),
    secret: &Secret,
) -> io::Result<EndOutcome> {
    let socket = open(to, from).await?;
    let mut wait = FIRST_WAIT;
    let mut sent = Err(io::ErrorKind::NotConnected.into());
    for _ in 0..TIMES {
        // What was refused may be a NAS that is just being started.
        sent = socket.send(asked.octets()).await.map(drop).or(sent);
        let until = Instant::now() + jittered(wait);
        if let Ok(outcome) = timeout_at(until, answer(&socket, asked, secret)).await {
            return Ok(outcome);
        }
        wait *= 2;
    }
    sent.map(|()| EndOutcome::Unanswered)
}

/// A socket that hears one address and port alone. It sends from the address that the NAS knows us by, if we still have it.
async fn open(to: SocketAddr, from: Option<IpAddr>) -> io::Result<UdpSocket> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    if let Some(from) = from.filter(|from| from.is_ipv4() == to.is_ipv4())
        && let Ok(socket) = UdpSocket::bind((from, 0)).await
        && socket.connect(to).await.is_ok()
    {
        return Ok(socket);
    }
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(to).await?;
    Ok(socket)
}

/// Waits for an answer that can be believed; anything else is as if it had not come.
async fn answer(socket: &UdpSocket, asked: &Asked, secret: &Secret) -> EndOutcome {
    let mut octets = vec![0; PACKET_OCTETS];
    loop {
        let Ok(length) = socket.recv(&mut octets).await else {
            // Nobody listens there now. Anybody could have us told so.
            std::future::pending::<()>().await;
            continue;
        };
        let datagram = octets.get(..length).unwrap_or_default();
        match asked.answer(datagram, secret) {
            Ok(answer) if answer.code() == Code::DisconnectAck => return EndOutcome::Ended,
            Ok(answer) => {
                let cause = answer.attributes(attribute::ERROR_CAUSE).next();
                let cause = cause.and_then(|cause| cause.try_into().ok());
                return EndOutcome::Refused(cause.map(u32::from_be_bytes));
            }
            Err(bad) => log::warn!("an answer to a Disconnect-Request is not believed: {bad}"),
        }
    }
}

/// A wait, a tenth longer or shorter at random.
fn jittered(wait: Duration) -> Duration {
    let random = u32::from(u16::from_be_bytes(random_array()));
    let hundredths = random % (2 * JITTER + 1);
    wait * (100 - JITTER + hundredths) / 100
}
