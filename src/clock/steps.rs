//! Notices that civil time was set: it moved otherwise than the clock that only runs.

use std::time::{Duration, Instant};

use super::{Clock, Timestamp};

/// What slewing a clock, and a look that came late between the two readings, never amount to.
const SLACK: Duration = Duration::from_secs(2);

/// Looks at the clock again and again.
pub struct Steps {
    clock: Clock,
    last: (Timestamp, Instant),
}

impl Steps {
    /// Looks for the first time.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let last = (clock.now(), clock.instant());
        Self { clock, last }
    }

    /// Milliseconds by which civil time was set since the last look: ahead, or back (negative). Nothing if it ran as time does.
    pub fn look(&mut self) -> Option<i64> {
        let (was, then) = self.last;
        self.last = (self.clock.now(), self.clock.instant());
        let (is, now) = self.last;
        let ran = i64::try_from(now.saturating_duration_since(then).as_millis()).ok()?;
        let step = is.millis().saturating_sub(was.millis()).saturating_sub(ran);
        (Duration::from_millis(step.unsigned_abs()) > SLACK).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_once_and_passing_time_is_none() {
        let clock = Clock::shifted(0);
        let mut steps = Steps::new(clock.clone());
        assert_eq!(steps.look(), None);
        for step in [3_600_000, -3_600_000, -7_200_000] {
            clock.shift_by(step);
            let told = steps.look().unwrap();
            assert!(told.abs_diff(step) < 2000, "{told}");
            assert_eq!(steps.look(), None, "told once");
        }
        clock.shift_by(1000);
        assert_eq!(steps.look(), None, "so little is no step");
    }
}
