//! After a commit has failed: what memory believed is not on disk.
//!
//! The gate is closed, so that no command runs. Every queue with a lost write is read back; its subscriber gets the
//! head again. Then the store accepts writes and the gate is opened. Whoever waited for a lost write was told
//! `ERR STORE`, so nothing that was acknowledged is lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use store::{Commits, Error, Ticket};

use crate::registry::{Entry, Live};
use crate::state::{State, notify};

/// Between attempts to read from a disk that fails.
const RETRY: Duration = Duration::from_secs(1);
/// How long writes are refused at least, so that a full disk is not asked a thousand times per second.
const PAUSE: Duration = Duration::from_millis(50);

impl State {
    /// Repairs after every failure, until the server ends.
    pub(crate) async fn watch_store(self: Arc<Self>) {
        let mut commits = self.commits();
        while commits.wait_for(|commits| commits.broken().is_some()).await.is_ok() {
            self.gate.set(false);
            tokio::time::sleep(PAUSE).await;
            while let Err(error) = self.clone().repair().await {
                tracing::error!(%error, "queues cannot be read back; trying again");
                tokio::time::sleep(RETRY).await;
            }
            self.metrics.recoveries.add(1);
            self.store.recover();
            self.gate.set(true);
        }
    }

    async fn repair(self: Arc<Self>) -> Result<(), Error> {
        let repaired = tokio::task::spawn_blocking(move || self.read_back());
        repaired.await.unwrap_or(Err(Error::Closed))
    }

    /// Reads all queues that a lost write was about, then corrects memory.
    fn read_back(&self) -> Result<(), Error> {
        let lost = self.lost_queues();
        let rows: Vec<_> = lost.iter().map(|entry| entry.lock().queue.row).collect();
        let on_disk: HashMap<_, _> = self.store.reload(&rows)?.into_iter().map(|queue| (queue.row, queue)).collect();
        // Link IDs may have moved between these queues, so all that did are released before any is claimed. Those that
        // did not stay: commands are looking for their queues meanwhile, and must not be told that there are none.
        for entry in &lost {
            let live = entry.lock();
            if on_disk.get(&live.queue.row).is_none_or(|queue| queue.link != live.queue.link) {
                self.release_link(entry, &live);
            }
        }
        for entry in &lost {
            let live = &mut *entry.lock();
            match on_disk.get(&live.queue.row) {
                Some(queue) => self.restore(entry, live, queue.clone()),
                None => self.abandon(entry, live),
            }
        }
        lost.iter().for_each(notify);
        Ok(())
    }

    fn lost_queues(&self) -> Vec<Arc<Entry>> {
        let commits: Commits = self.commits().borrow().clone();
        let mut lost = Vec::new();
        self.registry.recipients.for_each(|entry| {
            if matches!(commits.outcome(entry.lock().written), Some(Err(_))) {
                lost.push(entry.clone());
            }
        });
        lost
    }

    /// What was delivered may have been acknowledged in vain, so the head is delivered again.
    fn restore(&self, entry: &Arc<Entry>, live: &mut Live, queue: crate::queue::Queue) {
        live.queue = queue;
        live.deleted = false;
        live.written = Ticket::START;
        if let Some(subscriber) = live.subscriber.as_deref_mut() {
            subscriber.delivered = None;
            subscriber.signalled = false;
        }
        self.registry.insert(entry, live);
    }

    /// The queue was never created, or is deleted in spite of everything.
    fn abandon(&self, entry: &Arc<Entry>, live: &mut Live) {
        live.deleted = true;
        live.subscriber = None;
        self.registry.remove(entry, live);
    }
}
