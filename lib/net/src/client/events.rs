//! What the server says on its own, queued for the caller.
//!
//! A caller that is slow must not cost memory without bound, and must not wait in vain: if it handles events and gives
//! commands in one task, the response it waits for may stand behind events it has not taken. So the client stops
//! reading at the agreed number of events, unless a command waits for its response; then it reads on, up to
//! [`PATIENCE`] times that number.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use smp::error::CommandError;
use smp::id::EntityId;
use smp::response::Response;
use tokio::sync::Notify;

use super::{Shared, lock};

const PATIENCE: usize = 16;

/// Something that no command asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it is about; for a message, the recipient ID of its queue.
    pub entity_id: EntityId,
    /// What happened, or why that cannot be read.
    pub response: Result<Response, CommandError>,
}

/// The events of a session, in the order in which they arrived.
pub struct Events(Arc<Shared>);

pub(super) struct EventQueue {
    limit: usize,
    state: Mutex<State>,
    arrived: Notify,
    taken: Notify,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    no_producer: bool,
    no_consumer: bool,
}

impl Events {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Events(shared)
    }

    /// The next event, or `None` after the last one of a session that has ended.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.events.pop().await
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.0.events.abandon();
    }
}

impl EventQueue {
    pub(super) fn new(limit: usize) -> Self {
        EventQueue { limit: limit.max(1), state: Mutex::default(), arrived: Notify::new(), taken: Notify::new() }
    }

    /// Adds an event; where nobody listens, it is dropped.
    pub(super) fn push(&self, event: Event) {
        let mut state = lock(&self.state);
        if !state.no_consumer {
            state.events.push_back(event);
            self.arrived.notify_one();
        }
    }

    /// Waits until the reader may read on. `command_waits` tells whether a response is awaited.
    pub(super) async fn room(&self, command_waits: impl Fn() -> bool) {
        loop {
            let changed = self.taken.notified();
            let count = lock(&self.state).events.len();
            let limit = if command_waits() { self.limit.saturating_mul(PATIENCE) } else { self.limit };
            if count < limit {
                return;
            }
            changed.await;
        }
    }

    /// A command was given: the reader may have to read on.
    pub(super) fn reconsider(&self) {
        self.taken.notify_one();
    }

    /// No more events will come.
    pub(super) fn finish(&self) {
        lock(&self.state).no_producer = true;
        self.arrived.notify_one();
    }

    async fn pop(&self) -> Option<Event> {
        loop {
            {
                let mut state = lock(&self.state);
                if let Some(event) = state.events.pop_front() {
                    self.taken.notify_one();
                    return Some(event);
                }
                if state.no_producer {
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }

    fn abandon(&self) {
        let mut state = lock(&self.state);
        state.no_consumer = true;
        state.events = VecDeque::new();
        self.taken.notify_one();
    }
}
