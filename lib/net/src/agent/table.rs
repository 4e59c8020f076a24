//! All connections in memory, and when something of theirs becomes due.

use std::collections::{BTreeSet, HashMap};

use agent::connection::keep::ConnectionId;
use agent::connection::{Connection, TaskId};
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

/// The receive queue of a connection.
pub(super) struct Queue {
    pub(super) server: ServerKey,
    pub(super) id: RecipientId,
}

impl Entry {
    pub(super) fn stopped(&mut self, task: &TaskId) {
        if let Some(place) = self.running.iter().position(|running| running == task) {
            self.running.swap_remove(place);
        }
    }
}

/// All connections in memory.
#[derive(Default)]
pub(super) struct Table {
    entries: HashMap<Slot, Entry>,
    slots: HashMap<ConnectionId, Slot>,
    timers: BTreeSet<(Time, Slot)>,
    last: u64,
}

impl Table {
    /// Adds a connection under a name that is not there.
    pub(super) fn insert(&mut self, id: ConnectionId, connection: Connection) -> Slot {
        self.last = self.last.saturating_add(1);
        let slot = Slot(self.last);
        self.slots.insert(id.clone(), slot);
        let entry = Entry {
            id,
            connection,
            queue: None,
            running: Vec::new(),
            redelivered: false,
            over: false,
            round: 0,
            next_due: None,
        };
        self.entries.insert(slot, entry);
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Entry> {
        let entry = self.entries.remove(&slot)?;
        self.slots.remove(&entry.id);
        if let Some(due) = entry.next_due {
            self.timers.remove(&(due, slot));
        }
        Some(entry)
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
        }
        Some(slot)
    }
}
