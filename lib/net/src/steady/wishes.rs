//! The queues that a caller wants, and which of them are yet to be subscribed to on the current connection.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crypto::authorize::AuthPrivateKey;
use smp::id::RecipientId;
use tokio::sync::Notify;

#[derive(Default)]
pub(super) struct Wishes {
    state: Mutex<State>,
    added: Notify,
}

#[derive(Default)]
struct State {
    /// Without what is derived from a key to subscribe: there may be a hundred thousand.
    wanted: HashMap<RecipientId, AuthPrivateKey>,
    due: VecDeque<RecipientId>,
}

impl Wishes {
    pub(super) fn add(&self, queue: RecipientId, key: AuthPrivateKey) {
        let mut state = self.state();
        state.due.push_back(queue.clone());
        state.wanted.insert(queue, key.compact());
        self.added.notify_one();
    }

    /// Adds a queue that is subscribed to already, if `still` says that this holds for the current connection.
    pub(super) fn add_subscribed(&self, queue: RecipientId, key: AuthPrivateKey, still: impl FnOnce() -> bool) {
        let mut state = self.state();
        // Under the lock: a new connection makes everything due after this, or `still` knows of it.
        if !still() {
            state.due.push_back(queue.clone());
            self.added.notify_one();
        }
        state.wanted.insert(queue, key.compact());
    }

    pub(super) fn remove(&self, queue: &RecipientId) {
        self.state().wanted.remove(queue);
    }

    /// A new connection: everything is due.
    pub(super) fn start_over(&self) {
        let mut state = self.state();
        state.due = state.wanted.keys().cloned().collect();
    }

    /// Not done after all: due again, if still wanted.
    pub(super) fn postpone(&self, queue: RecipientId) {
        self.state().due.push_back(queue);
        self.added.notify_one();
    }

    /// Waits until something is due, and takes up to `limit` of it.
    pub(super) async fn take(&self, limit: usize) -> Vec<(RecipientId, AuthPrivateKey)> {
        loop {
            let batch = self.state().take(limit);
            if !batch.is_empty() {
                return batch;
            }
            self.added.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, limit: usize) -> Vec<(RecipientId, AuthPrivateKey)> {
        let mut batch = Vec::new();
        while batch.len() < limit {
            let Some(queue) = self.due.pop_front() else { break };
            if let Some(key) = self.wanted.get(&queue) {
                batch.push((queue, key.clone()));
            }
        }
        batch
    }
}
