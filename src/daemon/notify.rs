//! What systemd is told. Without systemd every call does nothing.

use std::os::fd::BorrowedFd;

use sd_notify::NotifyState;

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
