//! When to try again.

use std::time::Duration;

use agent::time::Time;
use serde::{Deserialize, Serialize};

use super::record::moment;

const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(10 * 60);
/// Who has tried less often goes on trying.
const MIN_ATTEMPTS: u32 = 10;
/// Who has tried for less time goes on trying.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Tries of something that fails for reasons which may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Work {
    /// How many tries failed.
    pub(super) attempts: u32,
    #[serde(with = "moment")]
    since: Time,
    /// When to try next.
    #[serde(with = "moment")]
    pub(super) next: Time,
}

impl Work {
    pub(super) fn new(now: Time) -> Self {
        Work { attempts: 0, since: now, next: now }
    }

    /// After a failure: from five seconds the delay doubles up to ten minutes.
    #[must_use]
    pub(super) fn failed(self, now: Time) -> Self {
        let factor = 1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        let delay = FIRST.saturating_mul(factor).min(LONGEST);
        Work { attempts: self.attempts.saturating_add(1), next: now.after(delay), ..self }
    }

    /// Whether it was tried often and long enough.
    pub(super) fn is_expired(&self, now: Time) -> bool {
        self.attempts >= MIN_ATTEMPTS && now.since(self.since) >= PATIENCE
    }

    /// What has failed least goes first, and of that what has waited longest: what is stuck holds up nobody.
    pub(super) fn order(&self) -> (u32, Time) {
        (self.attempts, self.since)
    }
}
