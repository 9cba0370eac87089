//! Listens for RADIUS: which client, is it a duplicate, is there room, send the reply.
//!
//! Not here: octets (`wire`) and verdicts (`access`). RFC 2865, 2866, 5080 §2.2.2, 5997.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Access, ClientPolicy};
use crate::account::ClientName;
use crate::clock::Clock;
use crate::secret::Secret;
use crate::telemetry::Telemetry;
use crate::wire::Signing;

/// `[radius]`, `[client.NAME]` and `[reply.NAME]` after checking.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses for Access-Request and Status-Server.
    pub listen: Vec<SocketAddr>,
    /// Addresses for Accounting-Request and Status-Server.
    pub accounting: Vec<SocketAddr>,
    /// The clients.
    pub clients: Vec<Client>,
    /// What reply sets hold.
    pub replies: BTreeMap<Arc<str>, Vec<ReplyAttribute>>,
    /// The least time from a request to its Reject; up to a tenth more at random.
    pub reject_floor: Duration,
    /// How long an answered request is known.
    pub reply_keep: Duration,
    /// Requests in work at once.
    pub in_work: usize,
    /// Requests in work at once for one client.
    pub in_work_per_client: usize,
    /// Octets of each socket's receive buffer.
    pub receive_buffer: usize,
    /// Status-Server answered per second and client.
    pub status_per_second: u32,
    /// Silence Status-Server while no directory can be asked or the store cannot be written.
    pub status_silent_when_down: bool,
}

/// A configured client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name.
    pub name: ClientName,
    /// Where its requests come from; the longest prefix over all clients wins.
    pub addresses: Vec<IpNet>,
    /// The shared secret.
    pub secret: Secret,
    /// Whether requests must be signed.
    pub signing: Signing,
    /// The attributes that tell the station, in order of trust.
    pub station: Vec<StationSource>,
    /// What is done when it could not be decided.
    pub when_undecided: WhenUndecided,
    /// How long the NAS waits for an answer, all retransmissions together.
    pub patience: Duration,
    /// What `access` needs to know.
    pub policy: Arc<ClientPolicy>,
}

/// An attribute that may tell the station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationSource {
    /// The name as configured: `Calling-Station-Id`.
    pub name: Arc<str>,
    /// Its vendor; none for the standard space.
    pub vendor: Option<u32>,
    /// Its type.
    pub kind: u8,
    /// What its value starts with, cut off before reading: `ip:source-ip=`.
    pub prefix: Option<String>,
    /// A tag octet in front (Tunnel-Client-Endpoint, RFC 2868 §3.3), or octets of an address instead of text.
    pub form: StationForm,
}

/// How a station attribute is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StationForm {
    /// As text.
    Text,
    /// As text after an optional tag octet.
    TaggedText,
    /// As 4 or 16 octets of an address.
    Address,
}

/// What is done when it could not be decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUndecided {
    /// No answer: the NAS turns to its next server.
    #[default]
    Discard,
    /// A Reject.
    Reject,
}

/// An attribute of a reply set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyAttribute {
    /// Its vendor; none for the standard space.
    pub vendor: Option<u32>,
    /// Its type.
    pub kind: u8,
    /// Its octets, ready for the wire.
    pub value: Vec<u8>,
}

/// The room, once its sockets are bound. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    settings: Arc<Settings>,
}

impl Server {
    /// Binds every socket.
    ///
    /// # Errors
    ///
    /// When an address cannot be bound; the error names it.
    pub fn bind(settings: Settings, rooms: Rooms) -> std::io::Result<Self> {
        todo!()
    }

    /// Starts the listening tasks on the tracker. After `stop` nothing more is read; what is in work is still answered.
    pub fn start(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        todo!()
    }

    /// The addresses bound: authentication, then accounting.
    pub fn addresses(&self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        todo!()
    }

    /// Takes new clients, replies and bounds after a reload; addresses stay (a change of them is said to need a restart).
    pub fn reload(&self, settings: Settings) {
        todo!()
    }

    /// Adds, for a time, a client at a loopback address with the policy of another: what `sekisho try` borrows.
    /// At most 16 at once. Returns `false` when there is no such client or no room.
    pub fn lend(
        &self,
        like: &ClientName,
        address: std::net::IpAddr,
        secret: Secret,
        life: Duration,
    ) -> bool {
        todo!()
    }

    /// The clients as configured.
    pub fn clients(&self) -> Arc<Vec<Client>> {
        todo!()
    }

    /// Requests in work.
    pub fn in_work(&self) -> usize {
        todo!()
    }
}

/// What the server works with.
#[derive(Clone)]
pub struct Rooms {
    /// Decides.
    pub access: Access,
    /// Is told.
    pub telemetry: Telemetry,
    /// The time.
    pub clock: Clock,
}
