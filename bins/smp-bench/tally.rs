//! What happened, counted by all flows together.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::Failure;
use crate::latency::Latencies;

/// Shared by all flows.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: Mutex<Counts>,
    changed: Notify,
}

/// A look at the numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) latencies: Latencies,
    failures: BTreeMap<(&'static str, String), u64>,
}

impl Tally {
    pub(crate) fn sent(&self) {
        self.update(|counts| counts.sent = counts.sent.saturating_add(1));
    }

    pub(crate) fn received(&self, sent_at: Instant) {
        self.update(|counts| {
            counts.received = counts.received.saturating_add(1);
            counts.latencies.record(sent_at.elapsed());
        });
    }

    pub(crate) fn failed(&self, step: &'static str, error: impl ToString) {
        self.failed_times(step, error, 1);
    }

    fn failed_times(&self, step: &'static str, error: impl ToString, times: u64) {
        let key = (step, error.to_string());
        self.update(|counts| {
            let count = counts.failures.entry(key).or_default();
            *count = count.saturating_add(times);
        });
    }

    pub(crate) fn sent_and_received(&self) -> (u64, u64) {
        let counts = self.counts();
        (counts.sent, counts.received)
    }

    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything sent was received, or for as long as `patience` while nothing changes.
    pub(crate) async fn drained(&self, patience: Duration) {
        while self.lost() > 0 {
            if tokio::time::timeout(patience, self.changed.notified()).await.is_err() {
                self.failed_times("lost", "sent and never received", self.lost());
                return;
            }
        }
    }

    fn lost(&self) -> u64 {
        let (sent, received) = self.sent_and_received();
        sent.saturating_sub(received)
    }

    fn update(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts());
        self.changed.notify_one();
    }
}

impl Counts {
    pub(crate) fn errors(&self) -> u64 {
        self.failures.values().sum()
    }

    /// All failures, most frequent first.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        let failure = |((step, error), count): (&(&'static str, String), &u64)| Failure {
            step: (*step).to_owned(),
            error: error.clone(),
            count: *count,
        };
        let mut failures: Vec<Failure> = self.failures.iter().map(failure).collect();
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
        failures
    }
}
