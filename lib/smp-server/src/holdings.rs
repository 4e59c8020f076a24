//! What one connection holds of all queues.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use smp::response::Response;

use crate::events::DelayedEvents;
use crate::outbox::{Outbox, Subscriber};
use crate::queue::MessageKey;
use crate::registry::{Entry, Live};
use crate::subscription::Holding;

/// A queue knows its subscriber; the rest is here.
pub(crate) struct Holdings {
    outbox: Arc<Outbox>,
    /// Queues, by row, that were subscribed to; other connections may have taken over since.
    subscribed: HashMap<i64, Weak<Entry>>,
    /// Queues, by row, on which `GET` was used, with what it handed out.
    got: HashMap<i64, Option<MessageKey>>,
}

impl Holdings {
    pub(crate) fn new(outbox: Arc<Outbox>) -> Self {
        Holdings { outbox, subscribed: HashMap::new(), got: HashMap::new() }
    }

    /// What is held of a queue.
    pub(crate) fn of(&self, live: &mut Live) -> Holding {
        if let Some(subscriber) = live.subscriber_mut(self.outbox.id()) {
            return Holding::Subscribed { delivered: subscriber.delivered };
        }
        match self.got.get(&live.queue.row) {
            Some(delivered) => Holding::GetOnly { delivered: *delivered },
            None => Holding::Nothing,
        }
    }

    /// Makes this connection the queue's subscriber; another one is told. Nothing is pushed while `signalled`.
    pub(crate) fn subscribe(&mut self, entry: &Arc<Entry>, live: &mut Live, signalled: bool, events: &DelayedEvents) {
        if let Some(subscriber) = live.subscriber_mut(self.outbox.id()) {
            subscriber.delivered = None;
            subscriber.signalled = signalled;
            return;
        }
        let subscriber = Box::new(Subscriber::new(self.outbox.clone(), signalled));
        if let Some(earlier) = live.subscriber.replace(subscriber) {
            events.add(&earlier.outbox, entry, live.queue.recipient_id.clone().into(), Response::End);
        }
        self.subscribed.insert(live.queue.row, Arc::downgrade(entry));
    }

    /// Remembers what a rule decided, other than subscribing.
    pub(crate) fn hold(&mut self, live: &mut Live, holding: Holding) {
        match holding {
            Holding::Nothing => self.let_go(live),
            Holding::GetOnly { delivered } => {
                self.got.insert(live.queue.row, delivered);
            }
            Holding::Subscribed { delivered } => {
                if let Some(subscriber) = live.subscriber_mut(self.outbox.id()) {
                    subscriber.delivered = delivered;
                }
            }
        }
    }

    fn let_go(&mut self, live: &mut Live) {
        self.got.remove(&live.queue.row);
        self.subscribed.remove(&live.queue.row);
        self.unsubscribe(live);
    }

    fn unsubscribe(&self, live: &mut Live) {
        if live.subscriber_mut(self.outbox.id()).is_some() {
            live.subscriber = None;
            live.drop_bodies();
        }
    }
}

impl Drop for Holdings {
    /// Subscriptions end with the connection.
    fn drop(&mut self) {
        for entry in self.subscribed.values().filter_map(Weak::upgrade) {
            self.unsubscribe(&mut entry.lock());
        }
    }
}
