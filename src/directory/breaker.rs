//! Whether a server is worth asking.

use std::time::Duration;

/// Failures in a row after which a server is not asked.
const FAILURES_TO_OPEN: u32 = 3;
/// First pause before a server that failed is probed.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between probes, so that a server that came back is used within seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The circuit breaker and what is told of it.
#[derive(Debug)]
pub(super) struct Breaker {
    /// Failures in a row, of each kind: a server that still answers searches may have stopped to
    /// answer binds.
    search_failures: u32,
    bind_failures: u32,
    pub(super) open: bool,
    pause: Duration,
    pub(super) last_error: Option<String>,
}

impl Breaker {
    pub(super) const CLOSED: Self = Self {
        search_failures: 0,
        bind_failures: 0,
        open: false,
        pause: FIRST_PAUSE,
        last_error: None,
    };

    fn failures(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Search => &mut self.search_failures,
            Kind::Bind => &mut self.bind_failures,
        }
    }

    pub(super) fn succeeded(&mut self, kind: Kind) {
        *self.failures(kind) = 0;
        if self.search_failures == 0 && self.bind_failures == 0 {
            self.pause = FIRST_PAUSE;
        }
    }

    /// Whether this failure is the one that opens it.
    pub(super) fn failed(&mut self, kind: Kind) -> bool {
        let failures = self.failures(kind);
        *failures = failures.saturating_add(1);
        let opens = *failures >= FAILURES_TO_OPEN && !self.open;
        self.open |= opens;
        opens
    }

    /// Whether the last search failed. A bind that hangs costs a login, so that a server whose search has just hung is
    /// not given the bind as well, if there is another.
    pub(super) fn is_doubted(&self) -> bool {
        self.search_failures > 0
    }

    /// The next pause, longer each time until logins succeed.
    pub(super) fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        pause
    }

    /// Lets logins through again; the first that fails opens it once more.
    pub(super) fn half_open(&mut self) {
        if self.open {
            self.search_failures = FAILURES_TO_OPEN - 1;
            self.bind_failures = FAILURES_TO_OPEN - 1;
        }
        self.open = false;
        self.last_error = None;
    }
}

/// What succeeded or failed.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Search,
    Bind,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_does_not() {
        let mut breaker = Breaker::CLOSED;
        for _ in 0..10 {
            assert!(!breaker.failed(Kind::Bind));
            assert!(!breaker.failed(Kind::Bind));
            breaker.succeeded(Kind::Bind);
        }
        assert!(!breaker.open);
        assert!(!breaker.failed(Kind::Bind));
        assert!(!breaker.failed(Kind::Bind));
        assert!(breaker.failed(Kind::Bind));
        assert!(breaker.open);
        assert!(!breaker.failed(Kind::Bind), "it opens once");
    }

    #[test]
    fn searches_that_succeed_do_not_hide_binds_that_fail() {
        let mut breaker = Breaker::CLOSED;
        for _ in 0..FAILURES_TO_OPEN {
            breaker.succeeded(Kind::Search);
            breaker.failed(Kind::Bind);
        }
        assert!(breaker.open);
    }

    #[test]
    fn after_a_probe_the_first_login_that_fails_opens_it_again() {
        let mut breaker = Breaker::CLOSED;
        for _ in 0..FAILURES_TO_OPEN {
            breaker.failed(Kind::Search);
        }
        breaker.half_open();
        assert!(!breaker.open);
        assert!(breaker.failed(Kind::Search));
        breaker.half_open();
        breaker.succeeded(Kind::Search);
        assert!(!breaker.failed(Kind::Search));
    }

    #[test]
    fn pauses_grow_to_their_bound_and_shrink_after_success() {
        let mut breaker = Breaker::CLOSED;
        let pauses: Vec<_> = (0..8).map(|_| breaker.next_pause()).collect();
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
        breaker.succeeded(Kind::Bind);
        assert_eq!(breaker.next_pause(), FIRST_PAUSE);
    }
}
