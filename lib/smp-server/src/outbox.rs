//! How the rest of the server reaches a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use smp::id::EntityId;
use smp::response::Response;
use tokio::sync::{mpsc, watch};

use crate::answer::Answers;
use crate::registry::Entry;

/// Something for a connection to send.
///
/// The number that waits is bounded: answers by the blocks in flight, pushes by one per subscription, and an event
/// ends a subscription.
pub(crate) enum Outgoing {
    /// Answers to the commands of one block.
    Answers(Box<Answers>),
    /// The queue may have a message to push.
    Push(Arc<Entry>),
    /// What nobody asked for.
    Events(Vec<(EntityId, Response)>),
    /// Nothing more will be answered.
    End,
}

/// One connection, as others see it.
#[derive(Debug)]
pub(crate) struct Outbox {
    id: u64,
    sender: mpsc::UnboundedSender<Outgoing>,
    subscriptions: AtomicUsize,
    active_at: AtomicI64,
    stop: watch::Sender<bool>,
}

impl Outbox {
    /// A connection and the end from which it takes what it shall send.
    pub(crate) fn new(now: i64) -> (Arc<Self>, mpsc::UnboundedReceiver<Outgoing>) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (sender, receiver) = mpsc::unbounded_channel();
        let outbox = Outbox {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            sender,
            subscriptions: AtomicUsize::new(0),
            active_at: AtomicI64::new(now),
            stop: watch::Sender::new(false),
        };
        (Arc::new(outbox), receiver)
    }

    /// Different for every connection.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// To a connection that has ended, nothing is sent.
    pub(crate) fn send(&self, outgoing: Outgoing) {
        let _ = self.sender.send(outgoing);
    }

    /// Either side said something.
    pub(crate) fn touch(&self, now: i64) {
        self.active_at.store(now, Ordering::Relaxed);
    }

    /// True when it holds no subscription and nobody said anything since `time`.
    pub(crate) fn is_idle_since(&self, time: i64) -> bool {
        self.subscriptions.load(Ordering::Relaxed) == 0 && self.active_at.load(Ordering::Relaxed) <= time
    }

    /// Asks the connection to finish what it began and close.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Resolves when somebody asked the connection to stop.
    pub(crate) async fn stopped(&self) {
        // The sender lives as long as `self`.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }
}

/// The one connection that a queue's messages are pushed to.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) outbox: Arc<Outbox>,
    /// The message that waits for its `ACK`.
    pub(crate) delivered: Option<crate::queue::MessageKey>,
    /// A push is on its way or has to wait for the answer to `SUB`.
    pub(crate) signalled: bool,
}

impl Subscriber {
    pub(crate) fn new(outbox: Arc<Outbox>, signalled: bool) -> Self {
        outbox.subscriptions.fetch_add(1, Ordering::Relaxed);
        Subscriber { outbox, delivered: None, signalled }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.outbox.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }
}
