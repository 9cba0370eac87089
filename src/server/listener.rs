//! Receives datagrams of one socket, finds the client of each by its source address, and hands it to the gate.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admission::{Gate, Refused};
use super::path::Path;
use super::socket::{Buffer, DATAGRAM_OCTETS, Received, Socket, canonical};
use crate::telemetry::Discard;

/// Shortest packet: its header (RFC 2865 §3).
const HEADER_OCTETS: usize = 20;
/// Datagrams taken at one waking, before other tasks have their turn.
const BATCH: usize = 64;
/// Rest after the socket failed, so that a lasting fault does not spin.
const REST: Duration = Duration::from_millis(100);

/// Listens on one socket.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) gate: Gate,
    pub(super) socket: Arc<Socket>,
    pub(super) stop: CancellationToken,
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
                        self.gate.house.rooms.telemetry.lost(received.lost.into());
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
            refused.tell(&self.gate.house.rooms.telemetry, received.peer);
        }
    }

    fn admit(&self, datagram: &[u8], received: &Received) -> Result<(), Refused> {
        if !(HEADER_OCTETS..DATAGRAM_OCTETS).contains(&datagram.len()) {
            let why = "length is no packet's";
            return Err(Refused::new(Discard::Malformed, None, why));
        }
        let now = Instant::now();
        let Some(known) = self.gate.house.clients.find(canonical(received.peer), now) else {
            let why = "no client has this address";
            return Err(Refused::new(Discard::UnknownClient, None, why));
        };
        let path = Path::datagram(Arc::clone(&self.socket), received.peer, received.local);
        self.gate.admit(datagram, known, path, now)
    }
}
