//! When to try again.

use std::time::Duration;

use crate::time::Time;

/// How fast tries follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// The server cannot be reached.
    Fast,
    /// The peer's queue is full; the peer will tell when it is not.
    Slow,
    /// The server of a queue to delete cannot be reached. Tries are counted, so they must not follow each other so fast
    /// that an outage of a minute uses them up.
    Deletion,
}

impl Pace {
    /// The first delay, after what time delays grow, and the longest delay.
    const fn delays(self) -> (Duration, Duration, Duration) {
        let seconds = Duration::from_secs;
        match self {
            Pace::Fast => (seconds(2), seconds(10), seconds(120)),
            Pace::Slow => (seconds(300), seconds(60), seconds(6 * 3600)),
            Pace::Deletion => (seconds(300), Duration::MAX, seconds(300)),
        }
    }

    /// How old a message may become.
    pub(super) const fn patience(self) -> Duration {
        match self {
            Pace::Fast | Pace::Deletion => Duration::from_secs(2 * DAY),
            Pace::Slow => Duration::from_secs(7 * DAY),
        }
    }
}

pub(super) const DAY: u64 = 24 * 3600;

/// A task that failed and will be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retry {
    pub(super) pace: Pace,
    pub(super) at: Time,
    delay: Duration,
    since: Time,
}

impl Retry {
    /// The next try after a failure; `before` is what was planned after the one before it.
    pub(super) fn after(before: Option<Retry>, pace: Pace, now: Time) -> Self {
        let (first, grows_after, longest) = pace.delays();
        match before.filter(|before| before.pace == pace) {
            Some(Retry { delay, since, .. }) => {
                let grown = if now.since(since) >= grows_after { delay.saturating_mul(3) / 2 } else { delay };
                let delay = grown.min(longest);
                Retry { pace, at: now.after(delay), delay, since }
            }
            None => Retry { pace, at: now.after(first), delay: first, since: now },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_after_a_while_up_to_the_longest() {
        let mut now = Time::from_millis(0);
        let mut retry = Retry::after(None, Pace::Fast, now);
        let mut delays = Vec::new();
        for _ in 0..20 {
            delays.push(retry.at.since(now).as_secs());
            now = retry.at;
            retry = Retry::after(Some(retry), Pace::Fast, now);
        }
        assert_eq!(delays[..6], [2, 2, 2, 2, 2, 3]);
        assert_eq!(delays.last(), Some(&120));
    }
}
