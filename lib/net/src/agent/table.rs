//! All connections, and when something of theirs becomes due.
//!
//! Of connections at rest only what it takes to find them is in memory: some hundreds of bytes, with the key by which their
//! queue is subscribed to. They have a slot like all others, and keep it.

use std::collections::{BTreeSet, HashMap, VecDeque};

use agent::connection::keep::ConnectionId;
use agent::connection::{Connection, Pauses, TaskId};
use agent::time::Time;
use smp::id::RecipientId;

use super::servers::ServerKey;

/// The place of a connection in the table. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(u64);

/// A connection with what is known of it besides its state.
pub(super) struct Entry {
    pub(super) id: ConnectionId,
    pub(super) connection: Connection,
    /// Its receive queue, while that is to be subscribed to.
    pub(super) queue: Option<Queue>,
    /// Tasks that are under way or wait for their server.
    pub(super) running: Vec<TaskId>,
    /// A message was delivered while its acknowledgement was under way.
    pub(super) redelivered: bool,
    /// It is over, but that is not durable yet.
    pub(super) over: bool,
    /// The last round that touched it.
    pub(super) round: u64,
    next_due: Option<Time>,
}

/// A connection that is not in memory.
struct Rest {
    id: ConnectionId,
    queue: Option<Queue>,
    pauses: Pauses,
    next_due: Option<Time>,
}

/// The receive queue of a connection.
pub(super) struct Queue {
    pub(super) server: ServerKey,
    pub(super) id: RecipientId,
}

impl Entry {
    fn new(id: ConnectionId, connection: Connection) -> Self {
        Entry {
            id,
            connection,
            queue: None,
            running: Vec::new(),
            redelivered: false,
            over: false,
            round: 0,
            next_due: None,
        }
    }

    pub(super) fn stopped(&mut self, task: &TaskId) {
        if let Some(place) = self.running.iter().position(|running| running == task) {
            self.running.swap_remove(place);
        }
    }

    /// Nothing is under way for it.
    pub(super) fn is_quiet(&self) -> bool {
        self.running.is_empty() && !self.redelivered && !self.over
    }
}

/// All connections.
#[derive(Default)]
pub(super) struct Table {
    entries: HashMap<Slot, Entry>,
    resting: HashMap<Slot, Rest>,
    /// Connections that may rest, those first that have been idle longest, each with the last round that touched it.
    pub(super) idle: VecDeque<(Slot, u64)>,
    slots: HashMap<ConnectionId, Slot>,
    timers: BTreeSet<(Time, Slot)>,
    last: u64,
}

impl Table {
    /// Adds a connection under a name that is not there.
    pub(super) fn insert(&mut self, id: ConnectionId, connection: Connection) -> Slot {
        let slot = self.next_slot(&id);
        self.entries.insert(slot, Entry::new(id, connection));
        slot
    }

    /// Adds a connection that rests until something is `due`.
    pub(super) fn insert_resting(&mut self, id: ConnectionId, due: Option<Time>) -> Slot {
        let slot = self.next_slot(&id);
        self.timers.extend(due.map(|due| (due, slot)));
        self.resting.insert(slot, Rest { id, queue: None, pauses: Pauses::default(), next_due: due });
        slot
    }

    fn next_slot(&mut self, id: &ConnectionId) -> Slot {
        self.last = self.last.saturating_add(1);
        let slot = Slot(self.last);
        self.slots.insert(id.clone(), slot);
        slot
    }

    /// Removes a connection; its receive queue.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Queue> {
        let entry = self.entries.remove(&slot).map(|entry| (entry.id, entry.queue, entry.next_due));
        let rest = || self.resting.remove(&slot).map(|rest| (rest.id, rest.queue, rest.next_due));
        let (id, queue, next_due) = entry.or_else(rest)?;
        self.slots.remove(&id);
        if let Some(due) = next_due {
            self.timers.remove(&(due, slot));
        }
        queue
    }

    /// Forgets a connection for which nothing is to be done, unless something touched it after this round.
    pub(super) fn rest(&mut self, slot: Slot, round: u64) {
        if self.entries.get(&slot).is_none_or(|entry| entry.round != round || !entry.is_quiet()) {
            return;
        }
        if let Some(Entry { id, connection, queue, next_due, .. }) = self.entries.remove(&slot) {
            self.resting.insert(slot, Rest { id, queue, pauses: connection.pauses(), next_due });
        }
    }

    /// A connection is in memory again.
    pub(super) fn wake(&mut self, slot: Slot, mut connection: Connection) {
        if let Some(Rest { id, queue, pauses, next_due }) = self.resting.remove(&slot) {
            connection.resume(pauses);
            self.entries.insert(slot, Entry { queue, next_due, ..Entry::new(id, connection) });
        }
    }

    pub(super) fn rests(&self, slot: Slot) -> bool {
        self.resting.contains_key(&slot)
    }

    pub(super) fn nobody_rests(&self) -> bool {
        self.resting.is_empty()
    }

    /// The server that a connection at rest could not send to can be reached again; whether it waits for that.
    pub(super) fn server_returned(&mut self, slot: Slot) -> bool {
        self.resting.get_mut(&slot).is_some_and(|rest| rest.pauses.server_returned())
    }

    /// The queue through which a connection at rest receives.
    pub(super) fn receives_through(&mut self, slot: Slot, queue: Queue) {
        if let Some(rest) = self.resting.get_mut(&slot) {
            rest.queue = Some(queue);
        }
    }

    /// What the application calls a connection.
    pub(super) fn id(&self, slot: Slot) -> Option<&ConnectionId> {
        let rest = || self.resting.get(&slot).map(|rest| &rest.id);
        self.entries.get(&slot).map(|entry| &entry.id).or_else(rest)
    }

    pub(super) fn slot(&self, id: &ConnectionId) -> Option<Slot> {
        self.slots.get(id).copied()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(&slot)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(&slot)
    }

    /// Looks when something of a connection becomes due.
    pub(super) fn set_timer(&mut self, slot: Slot, now: Time) {
        let Some(entry) = self.entries.get_mut(&slot) else { return };
        let next = if entry.over { None } else { entry.connection.next_due_after(now) };
        if next == entry.next_due {
            return;
        }
        if let Some(before) = std::mem::replace(&mut entry.next_due, next) {
            self.timers.remove(&(before, slot));
        }
        self.timers.extend(next.map(|due| (due, slot)));
    }

    /// When the first timer goes off.
    pub(super) fn first_timer(&self) -> Option<Time> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Takes a connection of which something is due.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Slot> {
        let (due, slot) = *self.timers.first().filter(|(due, _)| *due <= now)?;
        self.timers.remove(&(due, slot));
        if let Some(entry) = self.entries.get_mut(&slot) {
            entry.next_due = None;
        } else if let Some(rest) = self.resting.get_mut(&slot) {
            rest.next_due = None;
        }
        Some(slot)
    }
}
