//! Wires the rooms, starts, reloads, drains, stops.

mod offline;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::clock::Clock;
use crate::config;

pub use offline::{Probed, probe, restore};

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A room could not start; says which and why.
    #[error("{room}: {why}")]
    Room {
        /// The room.
        room: &'static str,
        /// Why, in words.
        why: String,
    },
    /// A task that the daemon cannot live without ended.
    #[error("a task that must run has ended: {0}")]
    TaskEnded(&'static str),
}

/// A running daemon.
pub struct Daemon {}

impl Daemon {
    /// Starts every room: opens the store, binds the sockets. `file` is read anew at a reload; without it there is none.
    ///
    /// # Errors
    ///
    /// When a room cannot start.
    pub async fn start(
        settings: config::Settings,
        file: Option<PathBuf>,
        clock: Clock,
    ) -> Result<Self, Error> {
        todo!()
    }

    /// The addresses bound: authentication, then accounting.
    pub fn addresses(&self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        todo!()
    }

    /// Runs until `shutdown` is ready, then drains. SIGHUP reloads.
    ///
    /// # Errors
    ///
    /// When a task that must run has ended.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        todo!()
    }
}
