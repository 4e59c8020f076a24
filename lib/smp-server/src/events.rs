//! `END` and `DELD`: collected for a while, so that a client that moves all its subscriptions to a new connection does
//! not cost the old one an event each in a block of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use smp::id::EntityId;
use smp::response::Response;

use crate::outbox::{Outbox, Outgoing};
use crate::registry::Entry;

/// Events that wait.
#[derive(Debug)]
pub(crate) struct DelayedEvents {
    delay: Duration,
    waiting: Mutex<HashMap<u64, Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    outbox: Arc<Outbox>,
    events: Vec<Event>,
}

#[derive(Debug)]
struct Event {
    queue: Weak<Entry>,
    entity_id: EntityId,
    response: Response,
}

impl DelayedEvents {
    pub(crate) fn new(delay: Duration) -> Self {
        DelayedEvents { delay, waiting: Mutex::default() }
    }

    /// The connection has lost its subscription to the queue, because of what `response` says.
    pub(crate) fn add(&self, outbox: &Arc<Outbox>, queue: &Arc<Entry>, entity_id: EntityId, response: Response) {
        if self.delay.is_zero() {
            return outbox.send(Outgoing::Events(vec![(entity_id, response)]));
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let for_connection =
            waiting.entry(outbox.id()).or_insert_with(|| Waiting { outbox: outbox.clone(), events: Vec::new() });
        for_connection.events.push(Event { queue: Arc::downgrade(queue), entity_id, response });
    }

    /// Sends what has waited, again and again.
    pub(crate) async fn run(&self) {
        if self.delay.is_zero() {
            return std::future::pending().await;
        }
        let mut interval = tokio::time::interval(self.delay);
        loop {
            interval.tick().await;
            self.flush();
        }
    }

    fn flush(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for Waiting { outbox, events } in waiting.into_values() {
            let due = events.into_iter().filter(|event| !event.is_obsolete(&outbox));
            let due: Vec<_> = due.map(|event| (event.entity_id, event.response)).collect();
            if !due.is_empty() {
                outbox.send(Outgoing::Events(due));
            }
        }
    }
}

impl Event {
    /// A connection that subscribed again meanwhile would misunderstand `END`.
    fn is_obsolete(&self, outbox: &Outbox) -> bool {
        let resubscribed = |queue: Arc<Entry>| queue.lock().subscriber_mut(outbox.id()).is_some();
        self.response == Response::End && self.queue.upgrade().is_some_and(resubscribed)
    }
}
