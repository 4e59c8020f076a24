//! Requests of members that wait, because nobody is admitted: anybody who knows a relay link can send them.
//!
//! A request that would be one too many is rejected, and whoever asked is not told, as if the relay were away. Who has
//! waited longest stays: others must not be able to displace it.

use std::collections::{BTreeMap, BTreeSet};

use group::relay::ServiceId;

/// How many may wait at one relay link.
const MOST_AT_LINK: usize = 100;
/// How many may wait in all: each may take 15 KiB.
const MOST: usize = 4_000;

/// Requests that wait.
#[derive(Debug, Default)]
pub(crate) struct Joins {
    waiting: BTreeMap<ServiceId, BTreeSet<u64>>,
    count: usize,
}

impl Joins {
    /// Whether a request may wait. The agent may tell of it more than once.
    pub(crate) fn take(&mut self, service: ServiceId, request: u64) -> bool {
        let at_link = self.waiting.entry(service).or_default();
        if at_link.contains(&request) {
            return true;
        }
        if at_link.len() >= MOST_AT_LINK || self.count >= MOST {
            return false;
        }
        at_link.insert(request);
        self.count = self.count.saturating_add(1);
        true
    }

    /// A request does not wait any more.
    pub(crate) fn release(&mut self, service: ServiceId, request: u64) {
        if self.waiting.get_mut(&service).is_some_and(|waiting| waiting.remove(&request)) {
            self.count = self.count.saturating_sub(1);
        }
    }

    /// Nothing waits there any more: members are admitted, or the relay link is deleted.
    pub(crate) fn forget(&mut self, service: ServiceId) {
        let gone = self.waiting.remove(&service).map_or(0, |requests| requests.len());
        self.count = self.count.saturating_sub(gone);
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_and_all_links_together_have_so_much_room() {
        let mut joins = Joins::default();
        let taken = (0..1_000).filter(|request| joins.take(ServiceId(1), *request)).count();
        assert_eq!((taken, joins.count()), (MOST_AT_LINK, MOST_AT_LINK));
        assert!(joins.take(ServiceId(1), 5), "it waits already");
        let taken = (2..1_000).filter(|service| joins.take(ServiceId(*service), 1)).count();
        assert_eq!(taken, 998);
        for service in 1_000..1_100 {
            for request in 0..100 {
                joins.take(ServiceId(service), request);
            }
        }
        assert_eq!(joins.count(), MOST);
        joins.forget(ServiceId(1));
        joins.forget(ServiceId(1));
        assert_eq!(joins.count(), MOST - MOST_AT_LINK);
        assert!(joins.take(ServiceId(1), 5));
        joins.release(ServiceId(1), 5);
        joins.release(ServiceId(1), 5);
        assert_eq!(joins.count(), MOST - MOST_AT_LINK);
    }
}
