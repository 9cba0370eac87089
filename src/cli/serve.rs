//! `serve` and `demo`: the daemon in the foreground, until a signal ends it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::terminal::Page;
use super::{Ended, Exit, Failure, check};
use crate::clock::Clock;
use crate::config;
use crate::daemon::{Daemon, Handed};
use crate::demo;

/// How long blocking work (a look-up of a user, a read of the store) may still take after the daemon has drained.
const LAST_WORK: Duration = Duration::from_secs(2);

pub(super) fn serve(file: &Path, page: &mut Page<'_>) -> Ended {
    let settings = match config::read(file) {
        Ok(settings) => settings,
        Err(faults) => return check::faulty(&faults, page),
    };
    leave_no_dumps();
    let handed = Handed::from_systemd(|socket| settings.server.fits(socket));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()?;
    let ended = runtime.block_on(run(settings, file, handed));
    runtime.shutdown_timeout(LAST_WORK);
    ended
}

/// Passwords pass through this process: nobody but root looks into its memory, and no crash writes it to a disk.
fn leave_no_dumps() {
    if let Err(why) = nix::sys::prctl::set_dumpable(false) {
        log::warn!("a crash may write memory to a core dump: {why}");
    }
}

/// Threads that logins run on: a core is left to the store's writer, with which each login changes places, and to the kernel.
/// On two cores one thread and two were within the noise of each other.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

pub(super) fn demo(radius: Option<SocketAddr>, page: &mut Page<'_>) -> Ended {
    let options = demo::Options {
        radius,
        terminal: page.is_terminal(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(demo::run(options, page.out()));
    runtime.shutdown_timeout(LAST_WORK);
    match ended {
        Ok(()) => Ok(Exit::Done),
        Err(error) => Err(Failure::new(format!("The demo ended: {error}."))),
    }
}

async fn run(settings: config::Settings, file: &Path, handed: Handed) -> Ended {
    let (mut first, mut second) = (Stop::listen()?, Stop::listen()?);
    let daemon = Daemon::start_with(settings, Some(file.to_owned()), Clock::system(), handed)
        .await
        .map_err(|error| Failure::new(format!("Sekisho does not start: {error}.")))?;
    let ended = tokio::select! {
        ended = daemon.run(async { first.wanted().await; }) => ended,
        () = second.wanted_twice() => {
            return Err(Failure::new("Sekisho left at the second signal, without draining."));
        }
    };
    match ended {
        Ok(()) => Ok(Exit::Done),
        Err(error) => Err(Failure::new(format!("Sekisho ended: {error}."))),
    }
}

/// SIGTERM and SIGINT.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    async fn wanted_twice(&mut self) {
        self.wanted().await;
        self.wanted().await;
    }
}
