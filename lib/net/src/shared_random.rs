//! One source of randomness for many users.

use std::sync::{Arc, Mutex, PoisonError};

use crypto::Random;

/// A source that its clones share.
#[derive(Clone)]
pub struct SharedRandom(Arc<Mutex<Box<dyn Random + Send>>>);

impl SharedRandom {
    /// Shares a source.
    pub fn new(random: Box<dyn Random + Send>) -> Self {
        SharedRandom(Arc::new(Mutex::new(random)))
    }
}

impl Random for SharedRandom {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(out);
    }
}
