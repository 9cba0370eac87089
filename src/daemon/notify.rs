//! What systemd is told. Without systemd every call does nothing.

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

/// The loop that works has come round.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}
