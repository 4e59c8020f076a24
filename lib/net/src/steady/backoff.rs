//! How long to wait before connecting again.

use std::time::Duration;

use crypto::{Random, random};

/// Delays that double from the first to the longest, each shortened by a random part of up to half, so that the
/// clients of a server that restarts do not come back all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After a connection that held.
    pub first: Duration,
    /// After many that did not.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) }
    }
}

/// Where in a series of failures we are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delays {
    backoff: Backoff,
    next: Duration,
}

impl Delays {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Delays { backoff, next: backoff.first }
    }

    /// The delay after a connection that lasted for `lasted`. One that lasted longer than the delay before it counts
    /// as a success; a server that only just lets us in does not reset the series.
    pub(crate) fn after(&mut self, lasted: Duration, random: &mut dyn Random) -> Duration {
        if lasted > self.next {
            self.next = self.backoff.first;
        }
        let delay = self.next;
        self.next = delay.saturating_mul(2).min(self.backoff.longest);
        let share = f64::from(u32::from_be_bytes(random::array(random))) / f64::from(u32::MAX);
        delay.mul_f64(1.0 - share / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use crypto::SeededRandom;

    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_start_anew_after_success() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(10));
        let mut delays = Delays::new(Backoff { first, longest });
        let mut random = SeededRandom::new(&[1; 32], "backoff");
        for expected in [1, 2, 4, 8, 10, 10] {
            let expected = Duration::from_secs(expected);
            let delay = delays.after(Duration::ZERO, &mut random);
            assert!(expected / 2 <= delay && delay <= expected, "{delay:?} for {expected:?}");
        }
        assert!(delays.after(Duration::from_secs(5), &mut random) >= longest / 2);
        assert!(delays.after(Duration::from_secs(11), &mut random) <= first);
    }
}
