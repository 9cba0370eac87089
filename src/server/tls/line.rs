//! A connection whose client is known: packets come in, replies go out, neither waits for the other.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::server::admission::{Fault, Gate, Refused};
use crate::server::clients::{Allowance, Known};
use crate::server::duplicates::Key;
use crate::server::path::Path;
use crate::server::socket::canonical;
use crate::telemetry::{Closed, Discard};
use crate::wire::{Code, PACKET_OCTETS};

/// Octets up to the end of the length field.
const START_OCTETS: usize = 4;
/// Shortest packet: its header (RFC 2865 §3).
const HEADER_OCTETS: usize = 20;
/// Requests without a reply on one connection: an Identifier has so many values.
const IN_FLIGHT: usize = 256;
/// Replies that wait to be written: more than can be asked for by one who reads them.
const REPLIES: usize = 2 * IN_FLIGHT;
/// A connection without a packet is closed after this time: its other end asks by Status-Server more often (RFC 3539 §3.4.1:
/// every 30 s), or has nothing to ask and connects again when it has.
const IDLE: Duration = Duration::from_secs(600);
/// From the first octet of a packet to its last.
const PACKET: Duration = Duration::from_secs(10);
/// For one reply to be taken by the other end.
const REPLY: Duration = Duration::from_secs(10);
/// For what is in work when the daemon stops.
const GRACE: Duration = Duration::from_secs(5);
/// For saying that a connection is closed.
const FAREWELL: Duration = Duration::from_secs(1);
/// A certificate is looked at anew so often: it may have expired.
const BELIEVED: Duration = Duration::from_secs(3600);

/// A connection, as the replies to its requests see it. Each request in flight holds one.
#[derive(Debug)]
pub(in crate::server) struct Line {
    number: usize,
    replies: mpsc::Sender<Box<[u8]>>,
    closed: CancellationToken,
    status: Allowance,
}

impl Line {
    /// Its number, which no other connection or socket has.
    pub(in crate::server) const fn number(&self) -> usize {
        self.number
    }

    /// Its Status-Server.
    pub(in crate::server) const fn status(&self) -> &Allowance {
        &self.status
    }

    /// Whether a reply can still be written.
    pub(in crate::server) fn is_open(&self) -> bool {
        !self.closed.is_cancelled()
    }

    /// Writes a reply when its turn comes. Never waits: who does not read its replies is closed.
    pub(in crate::server) fn send(&self, octets: &[u8]) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.replies.try_send(octets.into()) {
            self.closed.cancel();
        }
    }
}

/// The other end.
pub(super) struct Peer {
    /// What it showed, its own certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// The names in that.
    pub(super) names: Vec<String>,
    /// Where it is.
    pub(super) from: SocketAddr,
}

/// How a connection ends.
enum End {
    /// Its other end closed it, or it was idle.
    Over(&'static str),
    /// The daemon stops: what is in work is still answered.
    Stopping,
    /// It is closed, because of this.
    Broken(Closed, String),
}

impl End {
    fn broken(why: impl Into<String>) -> Self {
        Self::Broken(Closed::Broken, why.into())
    }
}

/// Serves a connection until its end.
pub(super) async fn serve<S: AsyncRead + AsyncWrite>(
    gate: Gate,
    stream: S,
    (peer, known): (Peer, Arc<Known>),
    stop: CancellationToken,
) {
    let house = Arc::clone(&gate.house);
    let telemetry = &house.rooms.telemetry;
    let (from, name) = (peer.from, known.client.name.clone());
    log::debug!(
        "client {name} has connected from {from} as {:?}",
        peer.names
    );
    telemetry.connected();
    let (replies, queue) = mpsc::channel(REPLIES);
    let closed = CancellationToken::new();
    let number = house.lines.fetch_add(1, Ordering::Relaxed);
    let line = Arc::new(Line {
        number,
        replies,
        closed: closed.clone(),
        status: Allowance::default(),
    });
    let (reader, mut writer) = tokio::io::split(stream);
    let reading = Reading {
        believed: Instant::now(),
        reloads: house.reloads.load(Ordering::Acquire),
        gate,
        line,
        peer,
        known,
    };
    let end = talk(reading, (reader, &mut writer), queue, (&closed, &stop)).await;
    closed.cancel();
    // Stops what nobody waits for any more (RFC 6613 §2.6.1). What is asked of the directory already is decided in its time:
    // the same login comes again by another connection, and is given that verdict.
    let keys = (0..=u8::MAX).map(|identifier| Key::of_connection(number, from, identifier));
    house.duplicates.forget(keys);
    telemetry.disconnected();
    match end {
        End::Over(why) => log::debug!("the connection of client {name} from {from} is over: {why}"),
        End::Stopping => {}
        End::Broken(why, words) => telemetry.closed_connection(why, from, Some(&name), &words),
    }
    let _unheard = timeout(FAREWELL, writer.shutdown()).await;
}

async fn talk(
    reading: Reading,
    (reader, writer): (impl AsyncRead + Unpin, &mut (impl AsyncWrite + Unpin)),
    queue: mpsc::Receiver<Box<[u8]>>,
    (closed, stop): (&CancellationToken, &CancellationToken),
) -> End {
    let mut writing = pin!(write(writer, queue));
    // Neither arm is taken up again once another is done, except for the writing, which is kept.
    let end = tokio::select! {
        end = reading.run(reader, stop) => end,
        end = writing.as_mut() => end,
        () = closed.cancelled() => End::Broken(Closed::Unread, "it does not read its replies".to_owned()),
    };
    if let End::Stopping = end {
        // Ends when the last request in flight has its reply.
        let _late = timeout(GRACE, writing).await;
    }
    end
}

async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    mut queue: mpsc::Receiver<Box<[u8]>>,
) -> End {
    while let Some(reply) = queue.recv().await {
        let write = async {
            writer.write_all(&reply).await?;
            writer.flush().await
        };
        match timeout(REPLY, write).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return End::Over("its other end has closed it"),
            Err(_) => {
                let why = "it does not read its replies".to_owned();
                return End::Broken(Closed::Unread, why);
            }
        }
    }
    End::Stopping
}

/// The side that reads.
struct Reading {
    gate: Gate,
    line: Arc<Line>,
    peer: Peer,
    known: Arc<Known>,
    /// When the certificate was last looked at, and after how many reloads.
    believed: Instant,
    reloads: usize,
}

impl Reading {
    async fn run(mut self, mut reader: impl AsyncRead + Unpin, stop: &CancellationToken) -> End {
        loop {
            // A packet that is cut off is one that is not read any more.
            let packet = tokio::select! {
                biased;
                () = stop.cancelled() => return End::Stopping,
                packet = packet(&mut reader) => packet,
            };
            let taken = packet.and_then(|packet| self.take(&packet));
            if let Err(end) = taken {
                return end;
            }
        }
    }

    fn take(&mut self, packet: &[u8]) -> Result<(), End> {
        let now = Instant::now();
        self.look_again(now)?;
        let (from, telemetry) = (self.peer.from, &self.gate.house.rooms.telemetry);
        let is_status = packet.first() == Some(&(Code::StatusServer as u8));
        if Arc::strong_count(&self.line) > IN_FLIGHT && !is_status {
            let why = "more requests in flight than a connection has identifiers";
            Refused::new(Discard::Full, Some(&self.known), why).tell(telemetry, from);
            return Ok(());
        }
        let path = Path::connection(Arc::clone(&self.line), from);
        let admitted = self.gate.admit(packet, Arc::clone(&self.known), path, now);
        let Err(refused) = admitted else {
            return Ok(());
        };
        refused.tell(telemetry, from);
        match refused.fault() {
            Fault::OfPacket => Ok(()),
            Fault::OfPeer => Err(End::broken(
                "a packet of it is malformed, or not to be believed",
            )),
        }
    }

    /// Looks at the certificate and for the client anew, after a reload and once an hour.
    fn look_again(&mut self, now: Instant) -> Result<(), End> {
        let house = &self.gate.house;
        let reloads = house.reloads.load(Ordering::Acquire);
        if reloads == self.reloads && now.saturating_duration_since(self.believed) < BELIEVED {
            return Ok(());
        }
        let settings = house.settings.load();
        let believes = settings.tls.as_ref().is_some_and(|tls| {
            let now = house.rooms.clock.now();
            tls.identity.believes(&self.peer.chain, now)
        });
        if !believes {
            let why = "its certificate is not believed any more".to_owned();
            return Err(End::Broken(Closed::Stranger, why));
        }
        let stranger = |why: &str| End::Broken(Closed::Stranger, why.to_owned());
        let known = house
            .clients
            .find_named(&self.peer.names, canonical(self.peer.from))
            .map_err(stranger)?;
        if known.client.name != self.known.client.name {
            return Err(stranger("its client is another since a reload"));
        }
        self.known = known;
        (self.believed, self.reloads) = (now, reloads);
        Ok(())
    }
}

/// Reads one packet, whole and no more.
async fn packet(reader: &mut (impl AsyncRead + Unpin)) -> Result<Box<[u8]>, End> {
    let mut start = [0; START_OCTETS];
    let count = timeout(IDLE, reader.read(&mut start)).await;
    match count {
        Err(_) => Err(End::Over("it was idle")),
        Ok(Err(_) | Ok(0)) => Err(End::Over("its other end has closed it")),
        Ok(Ok(count)) => timeout(PACKET, rest(reader, start, count))
            .await
            .unwrap_or_else(|_| Err(End::broken("half a packet came, and not the other half"))),
    }
}

async fn rest(
    reader: &mut (impl AsyncRead + Unpin),
    mut start: [u8; START_OCTETS],
    count: usize,
) -> Result<Box<[u8]>, End> {
    let cut = |_: io::Error| End::broken("it was closed within a packet");
    let missing = start.get_mut(count..).unwrap_or_default();
    reader.read_exact(missing).await.map_err(cut)?;
    let [_, _, high, low] = start;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !(HEADER_OCTETS..=PACKET_OCTETS).contains(&length) {
        return Err(End::broken(format!("{length} is no packet's length")));
    }
    let mut packet = vec![0; length].into_boxed_slice();
    if let Some((head, body)) = packet.split_at_mut_checked(START_OCTETS) {
        head.copy_from_slice(&start);
        reader.read_exact(body).await.map_err(cut)?;
    }
    Ok(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a connection ends that brings these octets and then nothing, and after which time.
    async fn ends(octets: &[u8], is_closed: bool) -> (String, Duration) {
        let (mut near, mut far) = tokio::io::duplex(8192);
        near.write_all(octets).await.unwrap();
        let begun = Instant::now();
        let kept = (!is_closed).then_some(near);
        let end = packet(&mut far).await.unwrap_err();
        drop(kept);
        let words = match end {
            End::Over(why) => why.to_owned(),
            End::Broken(Closed::Broken, why) => why,
            End::Broken(..) | End::Stopping => "another end".to_owned(),
        };
        (words, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_half_a_packet_end_in_their_times() {
        let half = "half a packet came, and not the other half";
        let cut = "it was closed within a packet";
        for (octets, is_closed, expected, after) in [
            (&[][..], false, "it was idle", IDLE),
            (&[1], false, half, PACKET),
            (&[1, 7, 0, 40], false, half, PACKET),
            (&[1, 7, 0, 40, 9], false, half, PACKET),
            (&[], true, "its other end has closed it", Duration::ZERO),
            (&[1, 7, 0], true, cut, Duration::ZERO),
            (&[1, 7, 0, 40, 9], true, cut, Duration::ZERO),
            (
                &[1, 7, 0, 19],
                false,
                "19 is no packet's length",
                Duration::ZERO,
            ),
            (
                &[1, 7, 16, 1],
                false,
                "4097 is no packet's length",
                Duration::ZERO,
            ),
        ] {
            let (why, took) = ends(octets, is_closed).await;
            assert_eq!(why, expected, "{octets:?}");
            // A timer is right to the millisecond.
            assert!(
                took >= after && took < after + Duration::from_millis(5),
                "{took:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn packets_are_read_one_by_one() {
        let (mut near, mut far) = tokio::io::duplex(8192);
        let short = [&[12, 1, 0, 20][..], &[3; 16]].concat();
        let long = [&[1, 2, 16, 0][..], &[4; 4092]].concat();
        near.write_all(&[&short[..], &long].concat()).await.unwrap();
        for expected in [short, long] {
            let read = packet(&mut far).await.map_err(|_| ()).unwrap();
            assert_eq!(*read, *expected);
        }
    }

    impl Line {
        /// One whose other end reads nothing.
        pub(in crate::server) fn made() -> Arc<Self> {
            Arc::new(line(1).0)
        }

        pub(in crate::server) fn close(&self) {
            self.closed.cancel();
        }
    }

    fn line(most: usize) -> (Line, mpsc::Receiver<Box<[u8]>>) {
        let (replies, queue) = mpsc::channel(most);
        let line = Line {
            number: 0,
            replies,
            closed: CancellationToken::new(),
            status: Allowance::default(),
        };
        (line, queue)
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_that_is_not_taken_in_time_ends_the_connection() {
        let (line, queue) = line(4);
        let (mut near, _unread) = tokio::io::duplex(64);
        line.send(&[0; 50]);
        line.send(&[0; 50]);
        let begun = Instant::now();
        let end = write(&mut near, queue).await;
        assert!(matches!(end, End::Broken(Closed::Unread, _)));
        assert!(begun.elapsed() >= REPLY && begun.elapsed() < 2 * REPLY);
    }

    #[tokio::test]
    async fn more_replies_than_have_room_close_the_connection() {
        let (line, _queue) = line(2);
        line.send(b"one");
        line.send(b"two");
        assert!(line.is_open());
        line.send(b"three");
        assert!(!line.is_open());
    }

    #[tokio::test]
    async fn writing_ends_with_the_last_request_in_flight() {
        let (line, queue) = line(2);
        let (mut near, mut far) = tokio::io::duplex(64);
        line.send(b"one");
        drop(line);
        assert!(matches!(write(&mut near, queue).await, End::Stopping));
        drop(near);
        let mut written = Vec::new();
        far.read_to_end(&mut written).await.unwrap();
        assert_eq!(written, b"one");
    }
}
