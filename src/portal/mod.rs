//! Lets a person sign in, enrol, approve and report, in a browser.
//!
//! To `access` the portal is one more client: who signs in is asked as at a VPN, under the same limits. Devices are heard
//! without cookies, by their signatures alone. Not here: what is decided (`access`), and how doorbells are rung (`channel`).

mod cookies;
mod device;
mod files;
mod limits;
mod listener;
mod page;
mod pages;
mod session;
mod settings;
mod texts;
mod trail;
mod visit;
mod wifi;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Access, Asks, ClientPolicy, CodeEntry, Label, PushMode, Texts};
use crate::account::{ClientName, FactorKind, Language};
use crate::clock::Clock;
use crate::factor::{BadKey, Signer};
use crate::secret::Key;
use crate::store::Store;
use crate::telemetry::Telemetry;

use limits::Limits;
pub use settings::{BadTls, BadUrl, Settings, Tls, Url};
pub use wifi::{Authorities, BadAuthorities, Method, Wifi};

/// The name under which rules and the trail know the portal.
pub const CLIENT: &str = "portal";
/// Octets of a form or of what a device sends: a doorbell is the longest.
const BODY_OCTETS: usize = 16 << 10;
/// How long deciding may take: a directory that is slow, and a gateway.
const PATIENCE: Duration = Duration::from_secs(15);

/// The rooms that the portal works with.
#[derive(Clone)]
pub struct Rooms {
    /// Decides.
    pub access: Access,
    /// Keeps factors, devices and sessions.
    pub store: Store,
    /// Is told.
    pub telemetry: Telemetry,
    /// The time.
    pub clock: Clock,
}

/// Why the portal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be bound.
    #[error("{address}: {why}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        why: std::io::Error,
    },
    /// The store's keys cannot be used.
    #[error("the store's pair of keys for requests is damaged")]
    Pair(#[from] BadKey),
}

/// The room, once its addresses are bound.
pub struct Portal {
    house: Arc<House>,
    listeners: Mutex<Vec<TcpListener>>,
}

/// What all pages share.
struct House {
    setup: ArcSwap<Setup>,
    rooms: Rooms,
    /// Seals cookies.
    key: Key,
    /// Signs what devices are shown.
    signer: Signer,
    limits: Limits,
    polls: device::Polls,
    stop: CancellationToken,
    listen: Vec<SocketAddr>,
}

/// What a reload changes.
struct Setup {
    settings: Settings,
    /// The portal as a client, in each language.
    policies: [Arc<ClientPolicy>; 2],
}

impl Setup {
    fn new(settings: Settings) -> Self {
        let policies = [Language::Ja, Language::En].map(|language| policy(&settings, language));
        Self {
            settings,
            policies: policies.map(Arc::new),
        }
    }

    fn policy(&self, language: Language) -> Arc<ClientPolicy> {
        let [ja, en] = &self.policies;
        match language {
            Language::Ja => Arc::clone(ja),
            Language::En | Language::Both => Arc::clone(en),
        }
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        let mut proxies = self.settings.trusted_proxy.iter();
        proxies.any(|network| network.contains(&address))
    }
}

fn policy(settings: &Settings, language: Language) -> ClientPolicy {
    ClientPolicy {
        name: ClientName::new(CLIENT),
        label: Label::default(),
        asks: Asks::Always {
            but_in: settings.enrol_from.clone(),
        },
        code: vec![CodeEntry::Challenge],
        delimiter: ',',
        ways: vec![
            FactorKind::Push,
            FactorKind::Totp,
            FactorKind::Sms,
            FactorKind::Voice,
            FactorKind::Recovery,
        ],
        texts: Texts::Page,
        language,
        pool: Vec::new(),
        // Browsers behind one address are told apart by their cookies alone.
        shared_stations: true,
        push: vec![PushMode::Shown],
        patience: PATIENCE,
        pair: Duration::ZERO,
        remember: Duration::ZERO,
        remember_always: false,
        late_approval: Duration::ZERO,
    }
}

impl House {
    fn is_secure(&self) -> bool {
        self.setup.load().settings.url.is_secure()
    }
}

impl Portal {
    /// Binds every address, or takes the listener that was handed over for it. Needs a tokio runtime. `key` is the
    /// master key, from which that of cookies is derived.
    ///
    /// # Errors
    ///
    /// When an address cannot be bound.
    pub async fn bind(
        settings: Settings,
        rooms: Rooms,
        key: &Key,
        handed: &mut Vec<std::net::TcpListener>,
    ) -> Result<Self, Error> {
        let mut listeners = Vec::with_capacity(settings.listen.len());
        for address in settings.listen.iter().copied() {
            let is_it = |socket: &mut std::net::TcpListener| {
                socket.local_addr().is_ok_and(|bound| bound == address)
            };
            let bound = match handed.extract_if(.., is_it).next() {
                Some(listener) => listener
                    .set_nonblocking(true)
                    .and_then(|()| TcpListener::from_std(listener)),
                None => TcpListener::bind(address).await,
            };
            listeners.push(bound.map_err(|why| Error::Bind { address, why })?);
        }
        let house = House {
            signer: Signer::new(rooms.store.request_pair())?,
            key: key.derive("portal"),
            limits: Limits::default(),
            polls: device::Polls::default(),
            listen: settings.listen.clone(),
            setup: ArcSwap::from_pointee(Setup::new(settings)),
            rooms,
            stop: CancellationToken::new(),
        };
        Ok(Self {
            house: Arc::new(house),
            listeners: Mutex::new(listeners),
        })
    }

    /// Starts serving, until `stop`. What is in work then is still answered.
    pub fn start(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        let pages = pages(&self.house);
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for listener in listeners.drain(..) {
            let (house, stop) = (Arc::clone(&self.house), self.house.stop.clone());
            tracker.spawn(listener::run(
                house,
                listener,
                pages.clone(),
                tracker.clone(),
                stop,
            ));
        }
        let (house, stop) = (Arc::clone(&self.house), stop.clone());
        tracker.spawn(async move {
            stop.cancelled().await;
            house.stop.cancel();
        });
    }

    /// Takes new settings, and a new certificate, after a reload; addresses stay.
    pub fn reload(&self, settings: Settings) {
        if settings.listen != self.house.listen {
            log::warn!("[portal] listen changes at a restart only");
        }
        self.house.setup.store(Arc::new(Setup::new(settings)));
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.house.listen.clone()
    }
}

fn pages(house: &Arc<House>) -> Router {
    Router::new()
        .merge(files::routes())
        .merge(pages::routes())
        .merge(device::routes())
        .fallback(visit::nowhere)
        .layer(DefaultBodyLimit::max(BODY_OCTETS))
        .layer(from_fn_with_state(Arc::clone(house), visit::guard))
        .with_state(Arc::clone(house))
}
