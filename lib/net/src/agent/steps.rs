//! Where steps of connections are made: the round that is open, and everything that a step needs.

use agent::connection::keep::{Batch, ConnectionId, Revision};
use agent::connection::{Connection, Event, Task, TaskId};
use agent::time::{Env, Time};

use super::request::Job;
use super::table::{Slot, Table};
use super::{AgentError, AgentEvent};
use crate::shared_random::SharedRandom;

/// All connections, and the round that is open.
pub(super) struct Steps {
    pub(super) table: Table,
    pub(super) now: Time,
    random: SharedRandom,
    round: u64,
    touched: Vec<Slot>,
    events: Vec<AgentEvent>,
    jobs: Vec<Box<dyn Job>>,
}

/// What a round leaves: to be made durable, then to be done.
pub(super) struct Made {
    /// The round's number.
    pub(super) number: u64,
    pub(super) batch: Batch,
    /// Every connection that was touched, with the tasks that are due after this round.
    pub(super) due: Vec<(Slot, Vec<TaskId>)>,
    /// Connections that do not receive from the queue that they did.
    pub(super) moved: Vec<Slot>,
    /// Connections of which nothing stays.
    pub(super) over: Vec<Slot>,
    pub(super) events: Vec<AgentEvent>,
    pub(super) jobs: Vec<Box<dyn Job>>,
}

impl Made {
    /// Nobody waits for it, and it changed nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty() && self.over.is_empty() && self.events.is_empty() && self.jobs.is_empty()
    }
}

impl Steps {
    pub(super) fn new(random: SharedRandom) -> Self {
        Steps {
            table: Table::default(),
            now: Time::default(),
            random,
            round: 1,
            touched: Vec::new(),
            events: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// Makes a step of a connection by its name.
    pub(super) fn change<T>(
        &mut self,
        id: &ConnectionId,
        step: impl FnOnce(&mut Connection, &mut Env<'_>) -> T,
    ) -> Result<T, AgentError> {
        let slot = self.table.slot(id);
        slot.and_then(|slot| self.at(slot, step)).ok_or_else(|| AgentError::Unknown(id.clone()))
    }

    /// Makes a step of a connection, if it is still there.
    pub(super) fn at<T>(&mut self, slot: Slot, step: impl FnOnce(&mut Connection, &mut Env<'_>) -> T) -> Option<T> {
        let entry = self.table.get_mut(slot).filter(|entry| !entry.over)?;
        if entry.round != self.round {
            entry.round = self.round;
            self.touched.push(slot);
        }
        Some(step(&mut entry.connection, &mut Env { now: self.now, random: &mut self.random }))
    }

    /// Makes a step of a connection that tells events.
    pub(super) fn tell(&mut self, slot: Slot, step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Vec<Event>) {
        let events = self.at(slot, step).unwrap_or_default();
        if let Some(entry) = self.table.get(slot) {
            self.events.extend(events.into_iter().map(|event| AgentEvent::Connection(entry.id.clone(), event)));
        }
    }

    /// Looks at a connection again: something may be due.
    pub(super) fn touch(&mut self, slot: Slot) {
        self.at(slot, |_, _| ());
    }

    /// Adds a connection. What is not durable of it becomes so with this round.
    pub(super) fn open(&mut self, id: &ConnectionId, connection: Connection) -> Result<(), AgentError> {
        if self.table.slot(id).is_some() {
            return Err(AgentError::Exists(id.clone()));
        }
        let slot = self.table.insert(id.clone(), connection);
        self.touch(slot);
        Ok(())
    }

    /// Tells something about a connection that is no event of its own.
    pub(super) fn say_of(&mut self, slot: Slot, event: impl FnOnce(ConnectionId) -> AgentEvent) {
        if let Some(id) = self.table.id(slot) {
            self.events.push(event(id.clone()));
        }
    }

    /// Tells something that is no event of a connection.
    pub(super) fn say(&mut self, event: AgentEvent) {
        self.events.push(event);
    }

    /// Gives the answer to a request once the round is durable.
    pub(super) fn answer_later(&mut self, job: Box<dyn Job>) {
        self.jobs.push(job);
    }

    /// Closes the round and opens the next.
    pub(super) fn close_round(&mut self) -> Made {
        let number = self.round;
        self.round = self.round.saturating_add(1);
        let touched = std::mem::take(&mut self.touched);
        let mut made = Made {
            number,
            batch: Batch::new(),
            due: Vec::with_capacity(touched.len()),
            moved: Vec::new(),
            over: Vec::new(),
            events: std::mem::take(&mut self.events),
            jobs: std::mem::take(&mut self.jobs),
        };
        for slot in touched {
            self.close(slot, &mut made);
        }
        made
    }

    fn close(&mut self, slot: Slot, made: &mut Made) {
        let Some(entry) = self.table.get_mut(slot) else { return };
        let changes = entry.connection.take_changes();
        if entry.queue.as_ref().map(|queue| &queue.id) != entry.connection.subscribed_queue() {
            made.moved.push(slot);
        }
        if entry.connection.is_over() {
            entry.over = true;
            made.batch.push((entry.id.clone(), Revision::Forget));
            made.over.push(slot);
        } else {
            if !changes.is_empty() {
                made.batch.push((entry.id.clone(), Revision::Change(changes)));
            }
            made.due.push((slot, entry.connection.due(self.now)));
        }
        self.table.set_timer(slot, self.now);
    }

    /// What a task says to its server, if it is still wanted.
    pub(super) fn prepare(&mut self, slot: Slot, id: &TaskId) -> Option<Task> {
        let entry = self.table.get(slot).filter(|entry| !entry.over)?;
        entry.connection.task_server(id)?;
        entry.connection.task(id, &mut Env { now: self.now, random: &mut self.random }).ok()
    }
}
