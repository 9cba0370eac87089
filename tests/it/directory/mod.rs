//! The directory room on a real slapd, and on servers that mean harm.

mod hostile;
mod login;
mod outage;
mod policy;
mod protection;
mod survey;

use std::sync::Arc;
use std::time::Duration;

use sekisho::clock::Clock;
use sekisho::directory::{
    Bind, Directory, Entry, Error, Found, Groups, Protection, Refusal, Server, Settings,
};
use sekisho::secret::Secret;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::slapd::{BASE, SERVICE_DN, SERVICE_PASSWORD, Slapd};

/// Longer than any answer of a server that lives.
const PATIENCE: Duration = Duration::from_secs(10);

/// A directory of one server or more in the clear on loopback.
fn settings(ports: &[u16]) -> Settings {
    Settings {
        name: "campus".into(),
        servers: ports.iter().map(|port| clear(*port)).collect(),
        base: format!("ou=people,{BASE}"),
        bind: Some((SERVICE_DN.into(), Secret::from(SERVICE_PASSWORD))),
        user_filter: "(&(objectClass=person)(uid={user}))".into(),
        ca_file: None,
        id_attribute: None,
        phone: vec!["mobile".into()],
        language: Some("preferredLanguage".into()),
        nt_hash: None,
        groups: Groups::None,
        operation_timeout: Duration::from_millis(500),
        connect_timeout: Duration::from_secs(1),
        bind_connections: 4,
        search_connections: 2,
        remember: Duration::ZERO,
    }
}

fn clear(port: u16) -> Server {
    Server {
        host: "127.0.0.1".into(),
        port,
        protection: Protection::Clear,
    }
}

/// Settings for a directory that answers slowly because the machine is busy, not because it hangs.
fn patient(slapd: &Slapd) -> Settings {
    Settings {
        operation_timeout: PATIENCE,
        connect_timeout: PATIENCE,
        ..settings(&[slapd.port()])
    }
}

/// A directory whose tasks end with it.
struct Running {
    directory: Directory,
    stop: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn run(settings: Settings) -> Running {
    let stop = CancellationToken::new();
    let tracker = TaskTracker::new();
    let directory = Directory::new(settings, Clock::system(), tracker, stop.clone()).unwrap();
    Running { directory, stop }
}

impl Running {
    async fn find(&self, user: &str) -> Result<Found, Error> {
        self.directory.find(user, Instant::now() + PATIENCE).await
    }

    async fn one(&self, user: &str) -> Arc<Entry> {
        match self.find(user).await {
            Ok(Found::One(entry)) => entry,
            other => panic!("{user}: {other:?}"),
        }
    }

    async fn bind(&self, entry: &Entry, password: &str) -> Result<Bind, Error> {
        let deadline = Instant::now() + PATIENCE;
        self.directory
            .bind(entry, &Secret::from(password), deadline)
            .await
    }

    /// Finds and binds.
    async fn login(&self, user: &str, password: &str) -> Result<Bind, Error> {
        match self.find(user).await? {
            Found::One(entry) => self.bind(&entry, password).await,
            Found::Nobody | Found::Several => Ok(Bind::Refused(Refusal::WrongPassword)),
        }
    }

    /// Logs in until it works; panics if it does not within the patience, or if a right password is refused.
    async fn recovers(&self, user: &str, password: &str) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match self.login(user, password).await {
                Ok(Bind::Proven) => return,
                Ok(Bind::Refused(refusal)) => panic!("refused: {refusal:?}"),
                Err(error) => assert!(Instant::now() < give_up, "still {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
