//! When to try again what a server or a network kept from happening.

use std::time::Duration;

use agent::time::Time;

const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(600);

/// A task that failed and will be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) at: Time,
    delay: Duration,
}

impl Retry {
    /// The next try after a failure: 5 seconds later, then twice as late each time, up to 10 minutes.
    pub(crate) fn after(before: Option<Retry>, now: Time) -> Self {
        let delay = before.map_or(FIRST, |before| before.delay.saturating_mul(2).min(LONGEST));
        Retry { at: now.after(delay), delay }
    }
}
