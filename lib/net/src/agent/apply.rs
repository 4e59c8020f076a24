//! From what was taken in to steps of connections.

use agent::connection::keep::{ConnectionId, Keep, Record};
use agent::connection::{Connection, Outcome, Resting, Subscription};
use tokio::time::Instant;

use super::driver::Driver;
use super::inbox::Loaded;
use super::request::Request;
use super::servers::ServerKey;
use super::table::{Queue, Slot};
use super::waking::Kept;
use super::{AgentError, AgentEvent};
use crate::client::Client;
use crate::steady::SteadyClient;

impl<K: Keep> Driver<K> {
    /// Makes every step that what was taken in asks for.
    pub(super) fn make_steps(&mut self) {
        let inbox = std::mem::take(&mut self.inbox);
        inbox.requests.into_iter().for_each(|request| self.comply(request));
        inbox.loaded.into_iter().for_each(|loaded| self.take_loaded(loaded));
        inbox.collected.into_iter().for_each(|collected| self.take_answer(collected));
        inbox.heard.into_iter().for_each(|(server, event)| self.take_event(ServerKey(server), event));
        for (slot, task, outcome) in inbox.outcomes {
            self.finish(slot, &task, outcome);
        }
        if inbox.tick {
            self.take_timers();
        }
    }

    fn comply(&mut self, request: Request) {
        if let Some(request) = self.park_request(request) {
            self.carry_out(request);
        }
    }

    /// Does what a request asks for, whose connections are in memory.
    pub(super) fn carry_out(&mut self, request: Request) {
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
        let (kept, answer) = match loaded {
            Loaded::Asked { kept, answer } => (kept, answer),
            Loaded::Woken { slots, records } => return self.take_woken(slots, records),
        };
        let mut load = |(id, kept): (ConnectionId, Kept)| {
            let outcome = match kept {
                Kept::Records(records) => self.insert(&id, records),
                Kept::Resting(resting) => {
                    self.insert_resting(&id, *resting);
                    Ok(())
                }
            };
            (id, outcome)
        };
        let loaded = kept.map(|kept| kept.into_iter().map(&mut load).collect());
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

    fn insert_resting(&mut self, id: &ConnectionId, resting: Resting) {
        if self.steps.table.slot(id).is_some() {
            return;
        }
        let Resting { subscription, sends } = resting;
        let slot = self.steps.table.insert_resting(id.clone(), sends.then_some(self.steps.now));
        if let Some(subscription) = subscription {
            let queue = subscription.queue.clone();
            let server = self.servers.subscribe(slot, subscription, None);
            self.steps.table.receives_through(slot, Queue { server, id: queue });
        }
    }

    /// A connection is in memory as it is kept.
    pub(super) fn begin(&mut self, slot: Slot) {
        self.subscribe(slot, None);
        self.steps.tell(slot, |connection, _| connection.pending());
    }

    fn take_timers(&mut self) {
        while let Some(slot) = self.steps.table.take_due(self.steps.now) {
            match self.steps.table.rests(slot) {
                true if self.closing => {}
                true => self.waking.wake(slot),
                false => self.steps.touch(slot),
            }
        }
        for (slot, task) in self.flights.give_up(Instant::now()) {
            self.finish(slot, &task, Outcome::Unreachable);
        }
    }

    pub(super) fn subscribe_if_changed(&mut self, slot: Slot, session: Option<&Client>) {
        let Some(entry) = self.steps.table.get(slot) else { return };
        if entry.queue.as_ref().map(|queue| &queue.id) != entry.connection.subscribed_queue() {
            self.subscribe(slot, session);
        }
    }

    /// Receives from the connection's queue, if it has one. `session` is the one that has subscribed to it already.
    pub(super) fn subscribe(&mut self, slot: Slot, session: Option<&Client>) {
        let Some(entry) = self.steps.table.get_mut(slot).filter(|_| self.options.receive) else { return };
        if let Some(queue) = entry.queue.take() {
            self.servers.unsubscribe(queue.server, &queue.id);
        }
        if let Some(subscription) = entry.connection.subscription() {
            entry.connection.delivery_forgotten();
            let id = subscription.queue.clone();
            let server = self.servers.subscribe(slot, subscription, session);
            entry.queue = Some(Queue { server, id });
            if session.is_some() {
                self.steps.say_of(slot, AgentEvent::Subscribed);
            }
        }
    }
}
