//! What systemd is told. Without systemd every call does nothing.

use std::os::fd::{AsFd as _, BorrowedFd};

use nix::poll::{PollFd, PollFlags, poll};
use sd_notify::NotifyState;

/// How long systemd may take to do what it was told: as long as it gives itself (sd_notify_barrier(3)).
const SETTLE_MS: u16 = 5000;

fn tell(states: &[NotifyState<'_>]) {
    if let Err(why) = sd_notify::notify(states) {
        log::debug!("systemd was not told: {why}");
    }
}

/// The sockets are bound.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload has begun; [`ready`] ends it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(why) => log::debug!("systemd was not told: {why}"),
    }
}

/// The daemon is on its way out.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The loops that work have come round.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// Gives a socket into systemd's keeping: what arrives between this daemon's end and the next one's start waits in it.
pub(super) fn keep(name: &str, socket: BorrowedFd<'_>) {
    let states = [NotifyState::FdStore, NotifyState::FdName(name)];
    if let Err(why) = sd_notify::notify_with_fds(&states, &[socket]) {
        log::debug!("systemd does not keep {name}: {why}");
    }
}

/// Takes a socket out of systemd's keeping.
pub(super) fn give_up(name: &str) {
    tell(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
}

/// Waits until systemd has done what it was told so far: it then closes the pipe that it is given. Blocking.
pub(super) fn settle() {
    let told = nix::unistd::pipe().map_err(std::io::Error::from);
    let told = told.and_then(|(ours, theirs)| {
        sd_notify::notify_with_fds(&[NotifyState::Custom("BARRIER=1")], &[theirs.as_fd()])?;
        drop(theirs);
        poll(
            &mut [PollFd::new(ours.as_fd(), PollFlags::POLLIN)],
            SETTLE_MS,
        )?;
        Ok(())
    });
    if let Err(why) = told {
        log::debug!("systemd was not waited for: {why}");
    }
}
