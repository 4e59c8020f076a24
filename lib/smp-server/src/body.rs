//! Message bodies in memory, and the one budget they all share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes of bodies the server may hold.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Budget { limit, used: AtomicUsize::new(0) })
    }

    /// Bytes of all bodies that live.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// True while bodies may be kept beyond the moment they are written.
    pub fn has_room(&self) -> bool {
        self.used() < self.limit
    }
}

/// A message body; it counts against the budget while it lives.
#[derive(Debug)]
pub struct Body {
    bytes: Vec<u8>,
    budget: Option<Arc<Budget>>,
}

impl Body {
    /// Takes a body into account.
    pub fn new(bytes: Vec<u8>, budget: &Arc<Budget>) -> Arc<Self> {
        budget.used.fetch_add(bytes.len(), Ordering::Relaxed);
        Arc::new(Body { bytes, budget: Some(budget.clone()) })
    }

    /// The body of a message that has none.
    pub fn empty() -> Arc<Self> {
        Arc::new(Body { bytes: Vec::new(), budget: None })
    }

    /// The bytes as sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.used.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_counts_while_it_lives() {
        let budget = Budget::new(10);
        let body = Body::new(vec![0; 10], &budget);
        let also = body.clone();
        assert_eq!((budget.used(), budget.has_room()), (10, false));
        drop((body, also));
        assert_eq!((budget.used(), budget.has_room()), (0, true));
    }
}
