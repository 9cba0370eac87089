//! Shows whether a loop still comes round, for a watchdog.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

/// Between two looks; a loop that works comes round in microseconds.
const LOOK: Duration = Duration::from_millis(20);

/// Counts the rounds of one loop.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    rounds: AtomicU64,
    wanted: Notify,
}

impl Pulse {
    /// The loop begins a round.
    pub(super) fn beat(&self) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
    }

    /// Ready when a round is wanted: the loop's own reason to wake while it has nothing to do.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Waits until the loop has begun another round.
    pub(super) async fn come_round(&self) {
        let before = self.rounds.load(Ordering::Relaxed);
        self.wanted.notify_one();
        while self.rounds.load(Ordering::Relaxed) == before {
            sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn an_idle_loop_comes_round_and_one_that_hangs_does_not() {
        let pulse = Pulse::default();
        let idle = async {
            loop {
                pulse.beat();
                pulse.wanted().await;
            }
        };
        tokio::select! {
            () = idle => unreachable!("it never ends"),
            came = timeout(LONG, pulse.come_round()) => assert!(came.is_ok()),
        }
        assert!(timeout(LONG, pulse.come_round()).await.is_err());
    }
}
