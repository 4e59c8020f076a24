//! From what was taken in to steps of connections.

use agent::connection::keep::{ConnectionId, Keep, Record};
use agent::connection::{Connection, Outcome, Subscription, TaskId};
use smp::error::Error;
use smp::id::RecipientId;
use smp::response::Response;
use tokio::time::Instant;

use super::driver::Driver;
use super::flights::Flight;
use super::inbox::Loaded;
use super::request::Request;
use super::servers::{Reach, ServerKey};
use super::table::{Queue, Slot};
use super::{AgentError, AgentEvent, AgentExchange, ServerEvent, Unsubscribed};
use crate::client::{Client, ClientError, Collected, Event, Exchange};
use crate::steady::{SteadyClient, SteadyEvent};

impl<K: Keep> Driver<K> {
    /// Makes every step that what was taken in asks for.
    pub(super) fn make_steps(&mut self) {
        let inbox = std::mem::take(&mut self.inbox);
        inbox.requests.into_iter().for_each(|request| self.comply(request));
        inbox.loaded.into_iter().for_each(|loaded| self.take_loaded(loaded));
        inbox.collected.into_iter().for_each(|collected| self.take_answer(collected));
        inbox.heard.into_iter().for_each(|(server, event)| self.take_event(server, event));
        for (slot, task, outcome) in inbox.outcomes {
            self.finish(slot, &task, outcome);
        }
        if inbox.tick {
            self.take_timers();
        }
    }

    fn comply(&mut self, request: Request) {
        match request {
            Request::Job(mut job) => {
                job.run(&mut self.steps);
                self.steps.answer_later(job);
            }
            Request::List(answer) => self.list(answer),
            Request::Load(ids, answer) => self.load(ids, answer),
            Request::Subscribe(id, answer) => {
                let _ = answer.send(self.subscribe_again(&id));
            }
            Request::Session(id, answer) => {
                let _ = answer.send(self.session(&id));
            }
            Request::Close => self.stop_starting(),
        }
    }

    fn subscribe_again(&mut self, id: &ConnectionId) -> Result<(), AgentError> {
        let slot = self.steps.table.slot(id).ok_or_else(|| AgentError::Unknown(id.clone()))?;
        self.subscribe(slot, None);
        Ok(())
    }

    fn session(&mut self, id: &ConnectionId) -> Result<(SteadyClient, Subscription), AgentError> {
        let entry = self.steps.table.slot(id).and_then(|slot| self.steps.table.get(slot));
        let subscription = entry.and_then(|entry| entry.connection.subscription());
        let subscription = subscription.ok_or_else(|| AgentError::Unknown(id.clone()))?;
        let key = self.servers.at(&subscription.server);
        let server = self.servers.get_mut(key).ok_or_else(|| AgentError::Unknown(id.clone()))?;
        Ok((server.client.clone(), subscription))
    }

    fn take_loaded(&mut self, loaded: Loaded) {
        let Loaded { records, answer } = loaded;
        let mut load = |(id, records): (ConnectionId, Vec<Record>)| {
            let outcome = self.insert(&id, records);
            (id, outcome)
        };
        let loaded = records.map(|records| records.into_iter().map(&mut load).collect());
        let _ = answer.send(loaded);
    }

    fn insert(&mut self, id: &ConnectionId, records: Vec<Record>) -> Result<(), AgentError> {
        if self.steps.table.slot(id).is_some() {
            return Ok(());
        }
        if records.is_empty() {
            return Err(AgentError::Unknown(id.clone()));
        }
        let connection = Connection::load(records).map_err(|error| AgentError::Unreadable(id.clone(), error))?;
        let slot = self.steps.table.insert(id.clone(), connection);
        self.begin(slot);
        Ok(())
    }

    /// A connection is in memory as it is kept.
    pub(super) fn begin(&mut self, slot: Slot) {
        self.subscribe(slot, None);
        self.steps.tell(slot, |connection, _| connection.pending());
    }

    fn take_answer(&mut self, collected: Collected) {
        let Some(flight) = self.flights.end(collected.number) else { return };
        if let Some(server) = self.servers.get_mut(flight.server) {
            server.under_way = server.under_way.saturating_sub(1);
        }
        self.observe(&flight, &collected.outcome);
        match collected.outcome {
            Ok(Response::Msg(id, body)) if matches!(flight.task, TaskId::Acknowledge(_)) => {
                self.conclude_task(&flight, Outcome::Answered(Response::Ok));
                self.steps.tell(flight.slot, |connection, env| connection.receive(id, &body, env));
            }
            Ok(response) => self.conclude_task(&flight, Outcome::Answered(response)),
            Err(ClientError::Protocol(_)) => self.conclude_task(&flight, Outcome::Violated),
            Err(_) => self.conclude_task(&flight, Outcome::Unreachable),
        }
    }

    /// The late answer to a task that was given up counts, unless the task is under way again.
    fn conclude_task(&mut self, flight: &Flight, outcome: Outcome) {
        let Flight { slot, task, .. } = flight;
        let under_way = self.steps.table.get(*slot).is_some_and(|entry| entry.running.contains(task));
        let unwanted = || self.steps.table.get(*slot).is_none_or(|entry| entry.connection.task_server(task).is_none());
        if flight.given_up && (under_way || matches!(outcome, Outcome::Unreachable) || unwanted()) {
            return;
        }
        if matches!(outcome, Outcome::Unreachable)
            && let Some(server) = self.servers.get_mut(flight.server)
        {
            server.missed.insert(*slot);
        }
        self.finish(*slot, task, outcome);
        if flight.subscribes.is_some() {
            // At once: the first message may be here already.
            self.subscribe_if_changed(*slot, flight.subscribes.as_ref());
        }
    }

    fn finish(&mut self, slot: Slot, task: &TaskId, outcome: Outcome) {
        if let Some(entry) = self.steps.table.get_mut(slot) {
            entry.stopped(task);
        }
        self.steps.tell(slot, |connection, env| connection.finish(task, outcome, env));
    }

    fn observe(&mut self, flight: &Flight, outcome: &Result<Response, ClientError>) {
        let Some(observer) = &self.options.observer else { return };
        let Some(server) = self.servers.get_mut(flight.server) else { return };
        let Some(entry) = self.steps.table.get(flight.slot) else { return };
        let exchange = Exchange { command: flight.command, sent: flight.length, outcome: Some(outcome) };
        observer(&AgentExchange { connection: &entry.id, server: &server.address, task: &flight.task, exchange });
    }

    fn take_event(&mut self, key: ServerKey, event: SteadyEvent) {
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
            SteadyEvent::Subscribed(queue) => {
                if let Some(slot) = self.set_subscribed(key, &queue, true) {
                    self.steps.touch(slot);
                    self.steps.say_of(slot, AgentEvent::Subscribed);
                }
            }
            // Deliberately the same answer for a queue that is not there.
            SteadyEvent::SubscriptionFailed(queue, ClientError::Refused(Error::Auth)) => self.queue_lost(key, &queue),
            SteadyEvent::SubscriptionFailed(queue, error) => {
                self.unsubscribed(key, &queue, Unsubscribed::Refused(error));
            }
            SteadyEvent::Event(event) => self.take_queue_event(key, event),
        }
    }

    fn connected(&mut self, key: ServerKey, version: u16) {
        let Some(server) = self.servers.get_mut(key) else { return };
        server.reach = Reach::Connected;
        for slot in std::mem::take(&mut server.missed) {
            self.steps.at(slot, |connection, _| connection.server_returned());
        }
        self.tell_of_server(key, ServerEvent::Connected { version });
    }

    fn disconnected(&mut self, key: ServerKey) {
        let Some(server) = self.servers.get_mut(key) else { return };
        server.reach = Reach::Unknown;
        for slot in server.queues.values() {
            if let Some(queue) = self.steps.table.get_mut(*slot).and_then(|entry| entry.queue.as_mut()) {
                queue.subscribed = false;
            }
        }
    }

    /// Whatever waited for the connection fails.
    fn unreachable(&mut self, key: ServerKey) {
        let Some(server) = self.servers.get_mut(key) else { return };
        server.reach = Reach::Failing;
        let waiting = std::mem::take(&mut server.waiting);
        server.missed.extend(waiting.iter().map(|(slot, _)| *slot));
        for (slot, task) in waiting {
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
        let slot = self.servers.get_mut(key).and_then(|server| server.queues.get(&queue).copied());
        let Some(slot) = slot else { return };
        match event.response {
            Ok(Response::Msg(id, body)) => {
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

    fn queue_lost(&mut self, key: ServerKey, queue: &RecipientId) {
        if let Some(slot) = self.set_subscribed(key, queue, false) {
            self.steps.tell(slot, |connection, _| connection.queue_lost());
        }
    }

    fn unsubscribed(&mut self, key: ServerKey, queue: &RecipientId, why: Unsubscribed) {
        let slot = self.set_subscribed(key, queue, false);
        if let Some(entry) = slot.and_then(|slot| self.steps.table.get(slot)) {
            let event = AgentEvent::Unsubscribed(entry.id.clone(), why);
            self.steps.say(event);
        }
    }

    fn set_subscribed(&mut self, key: ServerKey, queue: &RecipientId, subscribed: bool) -> Option<Slot> {
        let slot = *self.servers.get_mut(key)?.queues.get(queue)?;
        self.steps.table.get_mut(slot)?.queue.as_mut()?.subscribed = subscribed;
        Some(slot)
    }

    fn take_timers(&mut self) {
        while let Some(slot) = self.steps.table.take_due(self.steps.now) {
            self.steps.touch(slot);
        }
        for (slot, task) in self.flights.give_up(Instant::now()) {
            self.finish(slot, &task, Outcome::Unreachable);
        }
    }

    fn subscribe_if_changed(&mut self, slot: Slot, session: Option<&Client>) {
        let Some(entry) = self.steps.table.get(slot) else { return };
        let wanted = entry.connection.subscribed_queue().filter(|_| self.options.receive);
        if entry.queue.as_ref().map(|queue| &queue.id) != wanted {
            self.subscribe(slot, session);
        }
    }

    /// Receives from the connection's queue, if it has one. `session` is the one that has subscribed to it already.
    pub(super) fn subscribe(&mut self, slot: Slot, session: Option<&Client>) {
        let Some(entry) = self.steps.table.get_mut(slot) else { return };
        if let Some(queue) = entry.queue.take() {
            self.servers.unsubscribe(queue.server, &queue.id);
        }
        if let Some(subscription) = entry.connection.subscription().filter(|_| self.options.receive) {
            let id = subscription.queue.clone();
            let (server, subscribed) = self.servers.subscribe(slot, subscription, session);
            entry.queue = Some(Queue { server, id, subscribed });
            if subscribed {
                self.steps.say_of(slot, AgentEvent::Subscribed);
            }
        }
    }
}
