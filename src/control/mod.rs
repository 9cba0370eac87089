//! Carries the operator's commands over a local socket.
//!
//! One JSON object a line each way. Root, the daemon's own user and one group may ask; the peer's credentials are
//! checked, every act is audited with the uid. Not here: how an answer looks to people (`cli`).

mod acts;
mod caller;
mod line;
mod peer;
mod protocol;
mod record;
mod socket;
mod story;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::account::ClientName;
use crate::clock::Clock;
use crate::directory::Directory;
use crate::secret::Secret;
use crate::store::Store;
use crate::telemetry::Telemetry;

use acts::Acts;
pub use caller::{Caller, NoAnswer};
pub use protocol::{
    ANSWER_OCTETS, ASK_OCTETS, AccountShown, Answer, Ask, Cause, CertificateShown, ClientSeen,
    Demanded, EnrolTotp, LIST_ROWS, Lent, STORY_ROWS, ServerShown, SessionAsked, Status,
};
pub use record::{Act, Deed, Recorded};
// The words that answers are made of, for those who show them.
pub use crate::access::{Explanation, Label};
pub use crate::account::{AccountId, Decision, FactorKind, Language, Outcome, Reason, Station};
pub use crate::factor::Algorithm;
pub use crate::store::{
    AccountedSession, EndOutcome, EndWhy, Enrolled, Health, KnownAccount, RememberedStation,
    SessionEnd, Told,
};
pub use crate::telemetry::{Seen, Waited};

/// The socket's usual place.
pub const SOCKET: &str = "/run/sekisho/control.sock";
/// The group that may ask, usually.
pub const GROUP: &str = "sekisho-admin";

/// `[control]` after checking.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The socket.
    pub socket: PathBuf,
    /// The group that may ask beside root and the daemon's own user.
    pub group: String,
}

/// The rooms that commands act on.
#[derive(Clone)]
pub struct Rooms {
    /// Finds accounts, explains.
    pub access: Access,
    /// Keeps factors and the audit trail.
    pub store: Store,
    /// Knows what was seen.
    pub telemetry: Telemetry,
    /// The time.
    pub clock: Clock,
}

/// Lends a client: like which, at which address, with which secret, for how long. `false` when there is no room.
pub type Lend = dyn Fn(&ClientName, IpAddr, Secret, Duration) -> bool + Send + Sync;

/// What a reply set holds, in words.
pub type Replies = dyn Fn(&str) -> Option<Vec<String>> + Send + Sync;

/// Lists the directories, each under its configured name.
pub type Directories = dyn Fn() -> Vec<(Arc<str>, Directory)> + Send + Sync;

/// What commands may do in rooms that this one does not know.
#[derive(Clone)]
pub struct Doors {
    /// Lends a loopback client with the policy of another, for so long (`server::Server::lend`).
    pub lend: Arc<Lend>,
    /// The clients as configured.
    pub clients: Arc<dyn Fn() -> Vec<ClientShown> + Send + Sync>,
    /// Where Access-Requests are listened for.
    pub addresses: Arc<dyn Fn() -> Vec<SocketAddr> + Send + Sync>,
    /// Reads the configuration anew; the faults, in words, when it was not taken.
    pub reload: Arc<dyn Fn() -> Result<(), Vec<String>> + Send + Sync>,
    /// What reply sets hold.
    pub replies: Arc<Replies>,
    /// The directories in use, each under its configured name.
    pub directories: Arc<Directories>,
    /// The certificates in use.
    pub certificates: Arc<dyn Fn() -> Vec<CertificateShown> + Send + Sync>,
}

/// A configured client, as shown to people.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ClientShown {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub label: Label,
    /// Its addresses; by TLS none is everywhere.
    pub addresses: Vec<String>,
    /// The names in its certificates, if it asks by TLS.
    #[serde(default)]
    pub tls_names: Vec<String>,
    /// Of its datagrams: `required`, `optional without Proxy-State` or `optional`; `not needed by TLS` where there are none.
    pub message_authenticator: String,
    /// How codes come in.
    pub code: Vec<String>,
    /// Its station attributes.
    pub station: Vec<String>,
    /// What make of gear it is.
    pub profile: String,
    /// How the number of a push crosses over.
    pub push: Vec<String>,
    /// How long it waits, in seconds.
    pub patience: u64,
}

/// The socket, bound.
pub struct Control {
    listener: UnixListener,
    acts: Acts,
    settings: Settings,
}

impl Control {
    /// Binds the socket: mode 0660, group as configured if it exists. A socket that a dead daemon left is replaced; a live one is an error.
    ///
    /// # Errors
    ///
    /// When the socket cannot be bound.
    pub fn bind(settings: &Settings, rooms: Rooms, doors: Doors) -> std::io::Result<Self> {
        Ok(Self {
            listener: socket::bind(&settings.socket, &settings.group)?,
            acts: Acts::new(rooms, doors),
            settings: settings.clone(),
        })
    }

    /// Serves until stopped.
    pub fn start(self, tracker: &TaskTracker, stop: &CancellationToken) {
        let serving = socket::serve(
            self.listener,
            self.settings,
            self.acts,
            tracker.clone(),
            stop.clone(),
        );
        tracker.spawn(serving);
    }
}
