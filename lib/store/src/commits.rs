//! Which writes are durable: one watermark, and the ranges that failed.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::sync::watch;

use crate::Error;

/// Failed ranges that are remembered. Whoever holds an older ticket has long been told.
const REMEMBERED: usize = 1024;

/// The place of a write in the order of all writes to one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticket(u64);

impl Ticket {
    /// The place before the first write; it counts as committed.
    pub const START: Ticket = Ticket(0);

    pub(crate) fn next(self) -> Self {
        Ticket(self.0.saturating_add(1))
    }

    /// The place as a number, for whoever wants to keep it small.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// What has become of the writes so far.
#[derive(Debug, Clone, Default)]
pub struct Commits {
    settled: Ticket,
    failed: VecDeque<(RangeInclusive<Ticket>, Arc<str>)>,
    broken: Option<Arc<str>>,
    closed: bool,
}

impl Commits {
    /// The fate of a write; `None` while it is open.
    pub fn outcome(&self, ticket: Ticket) -> Option<Result<(), Error>> {
        if ticket <= self.settled {
            let lost = self.failed.iter().find(|(range, _)| range.contains(&ticket));
            return Some(lost.map_or(Ok(()), |(range, cause)| Err(not_committed(*range.start(), cause))));
        }
        match &self.broken {
            Some(cause) => Some(Err(not_committed(self.settled.next(), cause))),
            None => self.closed.then_some(Err(Error::Closed)),
        }
    }

    /// Why nothing can be written at the moment.
    pub fn broken(&self) -> Option<Error> {
        self.broken.as_ref().map(|cause| not_committed(self.settled.next(), cause))
    }

    /// The next `count` writes are durable.
    pub(crate) fn committed(&mut self, count: u64) {
        self.settled = Ticket(self.settled.0.saturating_add(count));
    }

    pub(crate) fn broke(&mut self, cause: Arc<str>) {
        self.broken = Some(cause);
    }

    /// Everything up to `last` that was not committed has failed; later writes may succeed.
    pub(crate) fn recovered(&mut self, last: Ticket) {
        let Some(cause) = self.broken.take() else { return };
        let first = self.settled.next();
        if first <= last {
            self.failed.push_back((first..=last, cause));
            self.settled = last;
        }
        while self.failed.len() > REMEMBERED {
            self.failed.pop_front();
        }
    }

    pub(crate) fn closed(&mut self) {
        self.closed = true;
    }
}

fn not_committed(since: Ticket, cause: &Arc<str>) -> Error {
    Error::NotCommitted { since, cause: cause.clone() }
}

/// Waits until the fate of `ticket` is known.
pub(crate) async fn wait(commits: &mut watch::Receiver<Commits>, ticket: Ticket) -> Result<(), Error> {
    loop {
        if let Some(outcome) = commits.borrow_and_update().outcome(ticket) {
            return outcome;
        }
        commits.changed().await.map_err(|_| Error::Closed)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_range_stays_failed_after_recovery() {
        let mut commits = Commits::default();
        assert!(matches!(commits.outcome(Ticket::START), Some(Ok(()))));
        assert!(commits.outcome(Ticket(1)).is_none());
        commits.committed(3);
        commits.broke("disk full".into());
        assert!(matches!(commits.outcome(Ticket(3)), Some(Ok(()))));
        assert!(matches!(commits.outcome(Ticket(4)), Some(Err(_))));
        commits.recovered(Ticket(6));
        assert!(commits.broken().is_none());
        assert!(matches!(commits.outcome(Ticket(5)), Some(Err(Error::NotCommitted { since: Ticket(4), .. }))));
        assert!(commits.outcome(Ticket(7)).is_none());
        commits.committed(1);
        assert!(matches!(commits.outcome(Ticket(6)), Some(Err(_))));
        assert!(matches!(commits.outcome(Ticket(7)), Some(Ok(()))));
    }
}
