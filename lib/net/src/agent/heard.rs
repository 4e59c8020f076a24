//! What servers say on their own.

use agent::connection::keep::Keep;
use agent::connection::{Outcome, TaskId};
use smp::error::Error;
use smp::id::{MessageId, RecipientId};
use smp::response::Response;

use super::driver::Driver;
use super::servers::{Reach, ServerKey};
use super::table::Slot;
use super::{AgentEvent, ServerEvent, Unsubscribed};
use crate::client::{ClientError, Event, Exchange};
use crate::steady::{SteadyEvent, Subscribed};

impl<K: Keep> Driver<K> {
    pub(super) fn take_event(&mut self, key: ServerKey, event: SteadyEvent) {
        if let Some(event) = self.park_event(key, event) {
            self.work_on_event(key, event);
        }
    }

    /// Works on an event whose connection is in memory if it changes.
    pub(super) fn work_on_event(&mut self, key: ServerKey, event: SteadyEvent) {
        match event {
            SteadyEvent::Connected { version } => self.connected(key, version),
            SteadyEvent::Disconnected(end) => {
                self.disconnected(key);
                self.tell_of_server(key, ServerEvent::Disconnected(end));
                self.servers.drop_if_unused(key);
            }
            SteadyEvent::ConnectFailed(error) => {
                self.unreachable(key);
                self.tell_of_server(key, ServerEvent::ConnectFailed(error));
                self.servers.drop_if_unused(key);
            }
            SteadyEvent::Subscribed(subscribed) => self.subscribed(key, subscribed),
            SteadyEvent::Event(event) => self.take_queue_event(key, event),
        }
    }

    fn connected(&mut self, key: ServerKey, version: u16) {
        let Some(server) = self.servers.get_mut(key) else { return };
        server.reach = Reach::Connected;
        for slot in std::mem::take(&mut server.missed) {
            self.steps.at(slot, |connection, _| connection.server_returned());
            if self.steps.table.server_returned(slot) {
                self.waking.wake(slot);
            }
        }
        self.tell_of_server(key, ServerEvent::Connected { version });
    }

    fn disconnected(&mut self, key: ServerKey) {
        let Some(server) = self.servers.get_mut(key) else { return };
        server.reach = Reach::Unknown;
        self.waking.forget_deliveries(key);
        for slot in server.queues.values() {
            if let Some(entry) = self.steps.table.get_mut(*slot) {
                entry.connection.delivery_forgotten();
            }
        }
    }

    /// Whatever waited for the connection fails.
    fn unreachable(&mut self, key: ServerKey) {
        let Some(server) = self.servers.get_mut(key) else { return };
        server.reach = Reach::Failing;
        for (slot, task) in self.servers.take_waiting(key) {
            self.servers.missed(key, slot);
            self.finish(slot, &task, Outcome::Unreachable);
        }
    }

    fn tell_of_server(&mut self, key: ServerKey, event: ServerEvent) {
        if let Some(server) = self.servers.get_mut(key) {
            self.steps.say(AgentEvent::Server(server.address.clone(), event));
        }
    }

    fn take_queue_event(&mut self, key: ServerKey, event: Event) {
        let queue = RecipientId::from(event.entity_id);
        let Some(slot) = self.recipient(key, &queue) else { return };
        match event.response {
            Ok(Response::Msg(id, body)) => {
                self.note_delivery(slot, &id);
                self.steps.tell(slot, |connection, env| connection.receive(id, &body, env));
            }
            Ok(Response::End) => self.unsubscribed(key, &queue, Unsubscribed::TakenOver),
            Ok(Response::Deld) => self.queue_lost(key, &queue),
            Ok(Response::Err(error)) => {
                self.unsubscribed(key, &queue, Unsubscribed::Refused(ClientError::Refused(error)));
            }
            // What a queue of ours has no use for.
            Ok(_) | Err(_) => {}
        }
    }

    /// What is delivered while its acknowledgement is under way may have crossed with it.
    fn note_delivery(&mut self, slot: Slot, id: &MessageId) {
        if let Some(entry) = self.steps.table.get_mut(slot) {
            let acknowledges = |task: &TaskId| matches!(task, TaskId::Acknowledge(of) if of == id);
            entry.redelivered |= entry.running.iter().any(acknowledges);
        }
    }

    fn subscribed(&mut self, key: ServerKey, subscribed: Subscribed) {
        let Subscribed { queue, outcome, sent } = subscribed;
        if let Some(slot) = self.recipient(key, &queue) {
            self.show(key, slot, None, Exchange { command: "SUB", corr_id: None, sent, outcome: Some(&outcome) });
        }
        match outcome {
            Ok(_) => {
                if let Some(slot) = self.recipient(key, &queue) {
                    self.steps.say_of(slot, AgentEvent::Subscribed);
                }
            }
            // Deliberately the same answer for a queue that is not there.
            Err(ClientError::Refused(Error::Auth)) => self.queue_lost(key, &queue),
            Err(error) => self.unsubscribed(key, &queue, Unsubscribed::Refused(error)),
        }
    }

    fn queue_lost(&mut self, key: ServerKey, queue: &RecipientId) {
        if let Some(slot) = self.recipient(key, queue) {
            self.steps.tell(slot, |connection, _| connection.queue_lost());
        }
    }

    fn unsubscribed(&mut self, key: ServerKey, queue: &RecipientId, why: Unsubscribed) {
        if let Some(slot) = self.recipient(key, queue) {
            self.steps.say_of(slot, |id| AgentEvent::Unsubscribed(id, why));
        }
    }

    pub(super) fn recipient(&mut self, key: ServerKey, queue: &RecipientId) -> Option<Slot> {
        self.servers.get_mut(key)?.queues.get(queue).copied()
    }
}
