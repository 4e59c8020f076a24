//! Moments, as callers give them: nothing below reads a clock.

use std::time::Duration;

use crypto::Random;

/// A moment in milliseconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// From milliseconds of Unix time.
    pub const fn from_millis(millis: u64) -> Self {
        Time(millis)
    }

    /// Milliseconds of Unix time.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// So much later.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Time(self.0.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; nothing if the clock went backwards.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// What a step may depend on besides the state it changes.
pub struct Env<'a> {
    /// The time.
    pub now: Time,
    /// Fresh randomness.
    pub random: &'a mut dyn Random,
}
