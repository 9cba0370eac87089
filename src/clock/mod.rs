//! Gives the time, so that everybody else can be given it.
//!
//! The only place that reads the system's clocks. Not here: timers, which are tokio's.

mod steps;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

pub use steps::Steps;

/// A moment of civil time: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch; moments before 1970 count as 0.
    #[must_use]
    pub fn secs(self) -> u64 {
        u64::try_from(self.0.div_euclid(1000)).unwrap_or(0)
    }

    /// This moment plus a duration.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// This moment less a duration.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The clock that rooms are given. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Milliseconds added to the system's civil time; only a clock made by [`Clock::shifted`] has
    /// one.
    shift: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// The system's clock moved by some milliseconds, which [`Clock::shift_by`] can change later.
    #[must_use]
    pub fn shifted(millis: i64) -> Self {
        Self {
            shift: Some(Arc::new(AtomicI64::new(millis))),
        }
    }

    /// Moves a shifted clock further; the system's clock stays.
    pub fn shift_by(&self, millis: i64) {
        if let Some(shift) = &self.shift {
            shift.fetch_add(millis, Ordering::Relaxed);
        }
    }

    /// Civil time now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this room is the one that reads the clock"
    )]
    pub fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let shift = self
            .shift
            .as_ref()
            .map_or(0, |shift| shift.load(Ordering::Relaxed));
        Timestamp(
            i64::try_from(since_epoch.as_millis())
                .unwrap_or(i64::MAX)
                .saturating_add(shift),
        )
    }

    /// Monotonic time now, for measuring how long something took.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this room is the one that reads the clock"
    )]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }
}
