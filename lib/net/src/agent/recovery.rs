//! What happens when a commit fails, and when others change the same connections.

use std::sync::Arc;
use std::task::{Context, Poll};

use agent::connection::Connection;
use agent::connection::keep::{ConnectionId, Keep, Record};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::driver::Driver;
use super::hold::Hold;
use super::inbox::{Loaded, Loads};
use super::request::Request;
use super::rounds::Round;
use super::table::Slot;
use super::waking::{read_kept, read_whole};
use super::{AgentError, AgentEvent};

impl<K: Keep> Driver<K> {
    /// A round is undone: whoever asked for it is told, and nobody else hears of it.
    pub(super) fn lost(&mut self, round: Round<K::Error>, error: K::Error) {
        let error = self.failed(AgentError::NotKept(Arc::new(error)));
        self.stale.extend(round.due.iter().map(|(slot, _)| *slot).chain(round.over));
        round.jobs.into_iter().for_each(|job| job.failed(&error));
        if matches!(self.hold, Hold::Held) {
            self.hold = Hold::Failing;
        }
    }

    /// Connections that something waits for cannot be read.
    pub(super) fn cannot_read(&mut self, error: AgentError) {
        self.failed(error);
        if matches!(self.hold, Hold::Held) {
            self.hold = Hold::Failing;
        }
    }

    fn failed(&mut self, error: AgentError) -> AgentError {
        if self.failure.is_none() {
            self.outbox.send(vec![AgentEvent::Keeping(Err(error.clone()))]);
        }
        self.failure = Some(error.clone());
        error
    }

    /// Takes hold of the connections when there is work; true when that has changed something.
    pub(super) fn poll_hold(&mut self, context: &mut Context<'_>) -> bool {
        let mut something = false;
        while let Poll::Ready(Some(next)) = self.next_hold(context) {
            self.hold = next;
            something = true;
        }
        something
    }

    fn next_hold(&mut self, context: &mut Context<'_>) -> Poll<Option<Hold<K::Error>>> {
        let outcome = match &mut self.hold {
            Hold::Held => return Poll::Ready(None),
            Hold::Released if self.inbox.is_empty() => return Poll::Ready(None),
            Hold::Released => Ok(Hold::Acquiring(Box::pin(self.keep.acquire()))),
            Hold::Failing if self.rounds.are_over() => return Poll::Ready(Some(self.rest())),
            Hold::Failing => return Poll::Ready(None),
            Hold::Resting(sleep) => return sleep.as_mut().poll(context).map(|()| Some(self.try_again())),
            Hold::Acquiring(changed) => match std::task::ready!(changed.as_mut().poll(context)) {
                Ok(changed) => Ok(self.acquired(&changed)),
                Err(error) => Err(error),
            },
            Hold::Loading(slots, records) => match std::task::ready!(records.as_mut().poll(context)) {
                Ok(records) => {
                    let slots = std::mem::take(slots);
                    Ok(self.loaded(slots, records))
                }
                Err(error) => Err(error),
            },
        };
        Poll::Ready(Some(outcome.unwrap_or_else(|error| {
            self.failed(AgentError::NotKept(Arc::new(error)));
            self.rest()
        })))
    }

    fn rest(&mut self) -> Hold<K::Error> {
        let delay = self.delays.after(self.works_since.elapsed(), &mut self.random);
        self.works_since = Instant::now();
        Hold::Resting(Box::pin(sleep(delay)))
    }

    fn try_again(&mut self) -> Hold<K::Error> {
        if self.stale.is_empty() {
            return Hold::Acquiring(Box::pin(self.keep.acquire()));
        }
        self.keep.recover();
        self.load_stale()
    }

    fn acquired(&mut self, changed: &[ConnectionId]) -> Hold<K::Error> {
        let table = &self.steps.table;
        self.stale.extend(changed.iter().filter_map(|id| table.slot(id)));
        self.load_stale()
    }

    fn load_stale(&mut self) -> Hold<K::Error> {
        let table = &self.steps.table;
        let there = |slot: &Slot| table.id(*slot).map(|id| (*slot, id.clone()));
        let (slots, ids): (Vec<_>, Vec<_>) = self.stale.iter().filter_map(there).unzip();
        if slots.is_empty() {
            return self.hold_again();
        }
        Hold::Loading(slots, Box::pin(self.keep.load(ids)))
    }

    fn loaded(&mut self, slots: Vec<Slot>, records: Vec<Vec<Record>>) -> Hold<K::Error> {
        self.steps.now = (self.clock)();
        for (slot, records) in slots.into_iter().zip(records) {
            self.put_back(slot, records);
        }
        self.hold_again()
    }

    fn hold_again(&mut self) -> Hold<K::Error> {
        self.stale.clear();
        if self.failure.take().is_some() {
            self.works_since = Instant::now();
            self.steps.say(AgentEvent::Keeping(Ok(())));
        }
        Hold::Held
    }

    /// Replaces a connection in memory by what is kept of it.
    fn put_back(&mut self, slot: Slot, records: Vec<Record>) {
        if records.is_empty() {
            return self.forget(slot);
        }
        match Connection::load(records) {
            Ok(connection) => {
                match self.steps.table.get_mut(slot) {
                    Some(entry) => (entry.connection, entry.over) = (connection, false),
                    None => self.steps.table.wake(slot, connection),
                }
                // The server delivers again what was received and lost.
                self.begin(slot);
            }
            Err(error) => self.lose(slot, error),
        }
    }

    /// While nothing can be kept, nothing can be done.
    pub(super) fn refuse_if_failing(&mut self) {
        let Some(error) = &self.failure else { return };
        let requests = std::mem::take(&mut self.inbox.requests);
        for request in requests.into_iter().chain(self.waking.take_requests()) {
            match request {
                Request::Job(job) => job.failed(error),
                Request::List(answer) => drop(answer.send(Err(error.clone()))),
                Request::Load(_, answer) => drop(answer.send(Err(error.clone()))),
                Request::Subscribe(_, answer) => drop(answer.send(Err(error.clone()))),
                Request::Session(_, answer) => drop(answer.send(Err(error.clone()))),
                Request::Close => self.closing = true,
            }
        }
    }

    /// Lets others have the connections while nothing is under way.
    pub(super) fn release_if_idle(&mut self) {
        let idle = self.rounds.are_over() && self.flights.are_over() && self.servers.wait_for_nothing();
        if idle && self.inbox.is_empty() && self.loads.is_empty() && self.waking.is_empty() {
            self.keep.release();
            self.hold = Hold::Released;
        }
    }

    pub(super) fn list(&mut self, answer: oneshot::Sender<Result<Vec<ConnectionId>, AgentError>>) {
        let listing = self.keep.list();
        self.loads.push(Box::pin(async {
            let _ = answer.send(listing.await.map_err(|error| AgentError::NotKept(Arc::new(error))));
            None
        }));
    }

    pub(super) fn load(&mut self, ids: Vec<ConnectionId>, answer: oneshot::Sender<Loads>) {
        let (keep, may_rest) = (self.keep.clone(), self.options.idle != usize::MAX && self.options.receive);
        self.loads.push(Box::pin(async move {
            let kept = if may_rest { read_kept(keep, ids).await } else { read_whole(&*keep, ids).await };
            Some(Loaded::Asked { kept: kept.map_err(|error| AgentError::NotKept(Arc::new(error))), answer })
        }));
    }
}
