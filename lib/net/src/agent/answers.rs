//! Answers of servers to commands.

use agent::connection::keep::Keep;
use agent::connection::{Outcome, TaskId};
use smp::error::Error;
use smp::response::Response;

use super::AgentExchange;
use super::driver::Driver;
use super::flights::Flight;
use super::servers::ServerKey;
use super::table::Slot;
use crate::client::{ClientError, Collected, Exchange};

impl<K: Keep> Driver<K> {
    pub(super) fn take_answer(&mut self, collected: Collected) {
        let Some(flight) = self.flights.end(collected.number) else { return };
        if let Some(server) = self.servers.get_mut(flight.server) {
            server.answered();
        }
        self.observe(&flight, &collected.outcome);
        let outcome = match collected.outcome {
            Ok(response) => Outcome::Answered(response),
            Err(ClientError::Protocol(_)) => Outcome::Violated,
            Err(_) => Outcome::Unreachable,
        };
        if let Some((flight, outcome)) = self.park_answer(flight, outcome) {
            self.conclude_task(&flight, outcome);
        }
    }

    /// The late answer to a task that was given up counts, unless the task is under way again.
    pub(super) fn conclude_task(&mut self, flight: &Flight, outcome: Outcome) {
        let Flight { slot, task, .. } = flight;
        let under_way = self.steps.table.get(*slot).is_some_and(|entry| entry.running.contains(task));
        let unwanted = || self.steps.table.get(*slot).is_none_or(|entry| entry.connection.task_server(task).is_none());
        if flight.given_up && (under_way || matches!(outcome, Outcome::Unreachable) || unwanted()) {
            return;
        }
        if self.crossed(*slot, task, &outcome) {
            return;
        }
        if matches!(outcome, Outcome::Unreachable) {
            self.servers.missed(flight.server, *slot);
        }
        self.finish(*slot, task, outcome);
        if self.steps.table.get_mut(*slot).is_some_and(|entry| entry.connection.take_passed_over()) {
            self.subscribe(*slot, None);
        }
        if flight.subscribes.is_some() {
            // At once: the first message may be here already.
            self.subscribe_if_changed(*slot, flight.subscribes.as_ref());
        }
    }

    /// The server had nothing to acknowledge, and delivered the message before we knew: it waits for another try.
    fn crossed(&mut self, slot: Slot, task: &TaskId, outcome: &Outcome) -> bool {
        let Some(entry) = self.steps.table.get_mut(slot) else { return false };
        let TaskId::Acknowledge(_) = task else { return false };
        let redelivered = std::mem::take(&mut entry.redelivered);
        if !redelivered || !matches!(outcome, Outcome::Answered(Response::Err(Error::NoMessage))) {
            return false;
        }
        entry.stopped(task);
        self.steps.touch(slot);
        true
    }

    /// Tells a connection what became of a task.
    pub(super) fn finish(&mut self, slot: Slot, task: &TaskId, outcome: Outcome) {
        if let Some(entry) = self.steps.table.get_mut(slot) {
            entry.stopped(task);
        }
        self.steps.tell(slot, |connection, env| connection.finish(task, outcome, env));
    }

    fn observe(&mut self, flight: &Flight, outcome: &Result<Response, ClientError>) {
        let Flight { command, corr_id, length: sent, .. } = flight;
        let exchange = Exchange { command, corr_id: Some(corr_id), sent: *sent, outcome: Some(outcome) };
        self.show(flight.server, flight.slot, Some(&flight.task), exchange);
    }

    /// Shows a command and its outcome to whoever watches.
    pub(super) fn show(&mut self, key: ServerKey, slot: Slot, task: Option<&TaskId>, exchange: Exchange<'_>) {
        let Some(observer) = &self.options.observer else { return };
        let Some(server) = self.servers.get_mut(key) else { return };
        let Some(id) = self.steps.table.id(slot) else { return };
        observer(&AgentExchange { connection: id, server: &server.address, task, exchange });
    }
}
