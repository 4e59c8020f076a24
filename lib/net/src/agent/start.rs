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
            if !still_due.contains(&task) || entry.running.contains(&task) {
                continue;
            }
            let Some(address) = entry.connection.task_server(&task) else { continue };
            let key = self.servers.at(address);
            entry.running.push(task.clone());
            if self.servers.get_mut(key).is_some_and(|server| server.reach == Reach::Failing) {
                self.servers.missed(key, slot);
                self.inbox.outcomes.push((slot, task, Outcome::Unreachable));
            } else {
                self.servers.wait(key, slot, task);
            }
        }
    }

    /// Gives waiting tasks to their servers, as far as these are connected and have room.
    pub(super) fn start_waiting(&mut self) {
        let wanted = self.servers.wanted();
        let share = TURN.checked_div(wanted.len()).unwrap_or(TURN).max(1);
        self.more = false;
        for key in wanted {
            let Some(client) = self.connected_client(key) else { continue };
            let mut left = share;
            while left > 0
                && let Some((slot, task)) = self.servers.next_waiting(key, self.options.window)
                && self.give(key, &client, slot, task)
            {
                left = left.saturating_sub(1);
            }
            self.more |= left == 0;
        }
    }

    fn connected_client(&mut self, key: ServerKey) -> Option<Client> {
        let server = self.servers.get_mut(key)?;
        if server.reach == Reach::Connected { server.client.connected() } else { None }
    }

    /// Gives a task to its server. False when that takes no more.
    fn give(&mut self, key: ServerKey, client: &Client, slot: Slot, id: TaskId) -> bool {
        let Some(task) = self.steps.prepare(slot, &id) else {
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
            Ok((corr_id, length)) => {
                let subscribes = subscribes.then(|| client.clone());
                let flight =
                    Flight { slot, task: id, server: key, command, corr_id, length, subscribes, given_up: false };
                self.flights.begin(number, flight);
                self.taken(key);
                true
            }
            Err(NotSubmitted::Full) => {
                self.servers.wait_again(key, slot, id);
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

    /// Ends in good order: what is under way may end, nothing more is started.
    pub(super) fn stop_starting(&mut self) {
        self.closing = true;
        for key in self.servers.wanted() {
            self.servers.take_waiting(key);
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
