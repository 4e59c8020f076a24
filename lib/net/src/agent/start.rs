//! From tasks that are due to commands under way.

use agent::connection::keep::Keep;
use agent::connection::{Outcome, Task, TaskId};
use smp::command::Command;
use smp::error::Error;
use smp::response::Response;

use super::driver::Driver;
use super::flights::Flight;
use super::servers::{Reach, ServerKey};
use super::table::Slot;
use crate::client::{Client, ClientError, NotSubmitted, Request};

/// Tasks that are started before something else has its turn: each takes the encryption of a message.
const TURN: usize = 64;

impl<K: Keep> Driver<K> {
    /// Starts tasks that were due after a round that is durable now, as far as they still are.
    pub(super) fn start_due(&mut self, slot: Slot, due: Vec<TaskId>) {
        if due.is_empty() || self.closing {
            return;
        }
        let Some(entry) = self.steps.table.get_mut(slot).filter(|entry| !entry.over) else { return };
        let still_due = entry.connection.due(self.steps.now);
        for task in due {
            if !still_due.contains(&task) || !entry.may_start(&task) {
                continue;
            }
            let Some(address) = entry.connection.task_server(&task).cloned() else { continue };
            entry.running.push(task.clone());
            let key = self.servers.at(&address);
            let Some(server) = self.servers.get_mut(key) else { continue };
            if server.reach == Reach::Failing {
                server.missed.insert(slot);
                self.inbox.outcomes.push((slot, task, Outcome::Unreachable));
            } else {
                server.waiting.push_back((slot, task));
            }
        }
    }

    /// Gives waiting tasks to their servers, as far as these are connected and have room.
    pub(super) fn start_waiting(&mut self) {
        let mut left = TURN;
        for key in self.servers.keys() {
            let Some(client) = self.connected_client(key) else { continue };
            while left > 0
                && let Some((slot, task)) = self.next_waiting(key)
                && self.give(key, &client, slot, task)
            {
                left = left.saturating_sub(1);
            }
        }
        self.more = left == 0;
    }

    fn connected_client(&mut self, key: ServerKey) -> Option<Client> {
        let server = self.servers.get_mut(key)?;
        if server.waiting.is_empty() || server.reach != Reach::Connected { None } else { server.client.connected() }
    }

    fn next_waiting(&mut self, key: ServerKey) -> Option<(Slot, TaskId)> {
        let window = self.options.window;
        let server = self.servers.get_mut(key)?;
        if server.under_way < window { server.waiting.pop_front() } else { None }
    }

    /// Gives a task to its server. False when that takes no more.
    fn give(&mut self, key: ServerKey, client: &Client, slot: Slot, id: TaskId) -> bool {
        let prepared = self.steps.prepare(slot, |connection, env| connection.task(&id, env));
        let Some(Ok(task)) = prepared else {
            // A later round took it back.
            if let Some(entry) = self.steps.table.get_mut(slot) {
                entry.stopped(&id);
            }
            return true;
        };
        let number = self.flights.next_number();
        let (command, subscribes) = (task.command.tag(), subscribes(&task.command));
        let Task { corr_id, entity_id, key: auth, command: wanted, .. } = task;
        let request = Request { corr_id, entity_id, command: wanted, key: auth.as_ref() };
        match client.submit_collected(request, number, &self.collector) {
            Ok(length) => {
                let subscribes = subscribes.then(|| client.clone());
                let flight = Flight { slot, task: id, server: key, command, length, subscribes, given_up: false };
                self.flights.begin(number, flight);
                self.taken(key);
                true
            }
            Err(NotSubmitted::Full) => {
                self.wait_again(key, slot, id);
                false
            }
            Err(NotSubmitted::Failed(error)) => {
                self.inbox.outcomes.push((slot, id, not_given(&error)));
                true
            }
        }
    }

    fn taken(&mut self, key: ServerKey) {
        if let Some(server) = self.servers.get_mut(key) {
            server.under_way = server.under_way.saturating_add(1);
        }
    }

    fn wait_again(&mut self, key: ServerKey, slot: Slot, task: TaskId) {
        if let Some(server) = self.servers.get_mut(key) {
            server.waiting.push_front((slot, task));
        }
    }

    /// Ends in good order: what is under way may end, nothing more is started.
    pub(super) fn stop_starting(&mut self) {
        self.closing = true;
        for key in self.servers.keys() {
            if let Some(server) = self.servers.get_mut(key) {
                server.waiting.clear();
            }
        }
    }
}

fn subscribes(command: &Command) -> bool {
    matches!(command, Command::New(new) if new.subscribe)
}

/// What a command that could not be given comes to.
fn not_given(error: &ClientError) -> Outcome {
    match error {
        // The server would say so.
        ClientError::TooLarge => Outcome::Answered(Response::Err(Error::LargeMessage)),
        ClientError::Crypto(_) => Outcome::Violated,
        _ => Outcome::Unreachable,
    }
}
