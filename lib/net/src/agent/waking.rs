//! What waits for connections at rest to be loaded.
//!
//! What concerns a connection is worked on in the order in which it came. So whatever comes for one that rests waits, and
//! whatever comes for the same one after it waits behind. One load is under way at a time, for all that waits when it
//! begins.
//!
//! Nothing is loaded while as many tasks are under way as servers can do at once: connections would only wait in memory.
//! Servers that owe an answer for long do not count, and whatever waits for them goes back to rest until they answer, so
//! that nobody can fill the memory, or keep others waiting, with a server that says nothing.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use agent::connection::keep::{ConnectionId, Keep, Record};
use agent::connection::{Connection, LoadError, Outcome, Resting};
use smp::error::Error;
use smp::id::RecipientId;
use smp::response::Response;
use tokio::time::Instant;

use super::driver::Driver;
use super::flights::Flight;
use super::inbox::Loaded;
use super::request::Request;
use super::servers::ServerKey;
use super::table::Slot;
use super::{AgentError, AgentEvent};
use crate::client::{ClientError, Event};
use crate::steady::{SteadyEvent, Subscribed};

/// Tasks under way with which nothing more is loaded.
const ENOUGH: usize = 2_048;
/// Connections that are loaded together, unless a single request is about more.
const TOGETHER: usize = 512;

/// Something that waits for connections.
pub(super) enum Parked {
    Request(Request),
    Event(ServerKey, SteadyEvent),
    /// The late answer to a task that was given up.
    Answer(Box<Flight>, Outcome),
    /// Nobody wants it any more.
    Nothing,
}

/// Something with the connections that it waits for.
struct Waiter {
    slots: Vec<Slot>,
    what: Parked,
}

/// All that waits.
#[derive(Default)]
pub(super) struct Waking {
    waiters: VecDeque<Waiter>,
    /// Connections that these wait for, and how many do.
    awaited: HashMap<Slot, usize>,
    /// Connections that have something to do by themselves.
    rested: BTreeSet<Slot>,
    /// How many waiters, from the first on, a load is under way for.
    loading: Option<usize>,
}

/// A connection as it is kept, for whoever wanted it in memory.
pub(super) enum Kept {
    /// It may rest.
    Resting(Box<Resting>),
    Records(Vec<Record>),
}

impl Waking {
    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty() && self.rested.is_empty() && self.loading.is_none()
    }

    /// Something waits for this connection, or is about to be done with it.
    pub(super) fn is_awaited(&self, slot: Slot) -> bool {
        self.awaited.contains_key(&slot)
    }

    fn park(&mut self, slots: Vec<Slot>, what: Parked) {
        for slot in &slots {
            let count = self.awaited.entry(*slot).or_default();
            *count = count.saturating_add(1);
        }
        self.waiters.push_back(Waiter { slots, what });
    }

    /// A connection has something to do by itself.
    pub(super) fn wake(&mut self, slot: Slot) {
        self.rested.insert(slot);
    }

    /// A session has ended: its server delivers again what was not acknowledged.
    pub(super) fn forget_deliveries(&mut self, server: ServerKey) {
        for waiter in &mut self.waiters {
            if matches!(&waiter.what, Parked::Event(from, SteadyEvent::Event(event))
                if *from == server && matches!(event.response, Ok(Response::Msg(..))))
            {
                waiter.what = Parked::Nothing;
            }
        }
    }

    /// Requests that wait, which do not any more.
    pub(super) fn take_requests(&mut self) -> Vec<Request> {
        let take = |waiter: &mut Waiter| match std::mem::replace(&mut waiter.what, Parked::Nothing) {
            Parked::Request(request) => Some(request),
            other => {
                waiter.what = other;
                None
            }
        };
        self.waiters.iter_mut().filter_map(take).collect()
    }

    /// Begins to load for as many waiters as may be, and for connections that have something to do: which ones.
    fn begin(&mut self, rests: impl Fn(Slot) -> bool) -> Vec<Slot> {
        let mut wanted = HashSet::new();
        let mut waiters = 0_usize;
        for waiter in &self.waiters {
            if waiters > 0 && wanted.len().saturating_add(waiter.slots.len()) > TOGETHER {
                break;
            }
            wanted.extend(waiter.slots.iter().filter(|slot| rests(**slot)));
            waiters = waiters.saturating_add(1);
        }
        while wanted.len() < TOGETHER
            && let Some(slot) = self.rested.pop_first()
        {
            wanted.extend(Some(slot).filter(|slot| rests(*slot)));
        }
        self.loading = Some(waiters);
        wanted.into_iter().collect()
    }

    /// The load has ended: those for whom it was, in the order in which they came.
    fn loaded(&mut self) -> Vec<Parked> {
        let ready = self.loading.take().unwrap_or_default().min(self.waiters.len());
        let ready: Vec<Waiter> = self.waiters.drain(..ready).collect();
        for slot in ready.iter().flat_map(|waiter| &waiter.slots) {
            if let Some(count) = self.awaited.get_mut(slot) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.awaited.remove(slot);
                }
            }
        }
        ready.into_iter().map(|waiter| waiter.what).collect()
    }

    /// The load has failed: all wait again.
    fn again(&mut self, slots: Vec<Slot>) {
        self.loading = None;
        self.rested.extend(slots);
    }
}

impl<K: Keep> Driver<K> {
    /// Lets a request wait that is about connections at rest; gives back any other.
    pub(super) fn park_request(&mut self, request: Request) -> Option<Request> {
        if self.steps.table.nobody_rests() && self.waking.is_empty() {
            return Some(request);
        }
        let mut slots = Vec::new();
        request.each_connection(&mut |id| slots.extend(self.steps.table.slot(id)));
        if slots.iter().any(|slot| self.is_away(*slot)) {
            self.waking.park(slots, Parked::Request(request));
            return None;
        }
        Some(request)
    }

    /// Lets an event wait that changes a connection at rest; gives back any other.
    pub(super) fn park_event(&mut self, key: ServerKey, event: SteadyEvent) -> Option<SteadyEvent> {
        let slot = changed_queue(&event).and_then(|queue| self.recipient(key, &queue));
        match slot.filter(|slot| self.is_away(*slot)) {
            Some(slot) => {
                self.waking.park(vec![slot], Parked::Event(key, event));
                None
            }
            None => Some(event),
        }
    }

    /// Lets a late answer wait for a connection at rest; gives back any other.
    pub(super) fn park_answer(&mut self, flight: Flight, outcome: Outcome) -> Option<(Flight, Outcome)> {
        if !self.is_away(flight.slot) {
            return Some((flight, outcome));
        }
        if !matches!(outcome, Outcome::Unreachable) {
            self.waking.park(vec![flight.slot], Parked::Answer(Box::new(flight), outcome));
        }
        None
    }

    fn is_away(&self, slot: Slot) -> bool {
        self.steps.table.rests(slot) || self.waking.is_awaited(slot)
    }

    /// A connection may rest after a round that is durable, if no later one has touched it.
    pub(super) fn let_rest(&mut self, slot: Slot, round: u64) {
        if self.options.idle == usize::MAX {
            return;
        }
        let now = self.steps.now;
        let quiet = self.steps.table.get(slot).filter(|entry| entry.round == round && entry.is_quiet());
        if quiet.is_some_and(|entry| entry.connection.can_rest(now)) {
            self.steps.table.idle.push_back((slot, round));
        }
    }

    /// Forgets those that have been idle longest, as far as there are too many.
    pub(super) fn forget_idle(&mut self) {
        let surplus = self.steps.table.idle.len().saturating_sub(self.options.idle);
        for _ in 0..surplus {
            let Some((slot, round)) = self.steps.table.idle.pop_front() else { return };
            if self.waking.is_awaited(slot) {
                self.steps.table.idle.push_back((slot, round));
            } else {
                self.steps.table.rest(slot, round);
            }
        }
    }

    /// Begins to load what is wanted, unless that is under way or there is enough to do.
    pub(super) fn load_wanted(&mut self) {
        if self.waking.loading.is_some() || self.waking.is_empty() {
            return;
        }
        self.send_away();
        if self.servers.crowd(Instant::now()) >= ENOUGH {
            return;
        }
        let slots = loop {
            let table = &self.steps.table;
            let slots = self.waking.begin(|slot| table.rests(slot));
            if !slots.is_empty() {
                break slots;
            }
            // All of them were loaded for somebody else.
            self.do_parked();
            if self.waking.is_empty() {
                return;
            }
        };
        let table = &self.steps.table;
        let ids = slots.iter().filter_map(|slot| table.id(*slot).cloned()).collect();
        let loading = self.keep.load(ids);
        self.loads.push(Box::pin(async move {
            let records = loading.await.map_err(|error| AgentError::NotKept(Arc::new(error)));
            Some(Loaded::Woken { slots, records })
        }));
    }

    /// Whatever waits for servers that owe an answer for long fails, and may rest.
    fn send_away(&mut self) {
        for key in self.servers.stalled(Instant::now()) {
            for (slot, task) in self.servers.take_waiting(key) {
                self.servers.missed(key, slot);
                self.finish(slot, &task, Outcome::Unreachable);
            }
        }
    }

    pub(super) fn take_woken(&mut self, slots: Vec<Slot>, records: Result<Vec<Vec<Record>>, AgentError>) {
        match records {
            Ok(records) => {
                slots.into_iter().zip(records).for_each(|(slot, records)| self.end_rest(slot, records));
                self.do_parked();
            }
            Err(error) => {
                self.waking.again(slots);
                self.cannot_read(error);
            }
        }
    }

    fn end_rest(&mut self, slot: Slot, records: Vec<Record>) {
        if !self.steps.table.rests(slot) {
            return;
        }
        match Connection::load(records) {
            Ok(connection) => {
                self.steps.table.wake(slot, connection);
                self.steps.touch(slot);
            }
            // Others, who share the storage, have ended it.
            Err(LoadError::Missing("core")) => self.forget(slot),
            Err(error) => self.lose(slot, error),
        }
    }

    /// What is kept is not a connection.
    pub(super) fn lose(&mut self, slot: Slot, error: LoadError) {
        if let Some(id) = self.steps.table.id(slot).cloned() {
            self.steps.say(AgentEvent::Lost(AgentError::Unreadable(id, error)));
        }
        self.forget(slot);
    }

    /// Does what has waited.
    fn do_parked(&mut self) {
        for parked in self.waking.loaded() {
            match parked {
                Parked::Request(request) => self.carry_out(request),
                Parked::Event(key, event) => self.work_on_event(key, event),
                Parked::Answer(flight, outcome) => self.conclude_task(&flight, outcome),
                Parked::Nothing => {}
            }
        }
    }
}

/// The queue whose connection an event changes.
fn changed_queue(event: &SteadyEvent) -> Option<RecipientId> {
    match event {
        SteadyEvent::Event(Event { entity_id, response: Ok(Response::Msg(..) | Response::Deld) }) => {
            Some(RecipientId::from(entity_id.clone()))
        }
        SteadyEvent::Subscribed(Subscribed { queue, outcome: Err(ClientError::Refused(Error::Auth)), .. }) => {
            Some(queue.clone())
        }
        _ => None,
    }
}

/// Reads connections that are to be in memory, as far as they may not rest.
pub(super) async fn read_kept<K: Keep>(
    keep: Arc<K>,
    ids: Vec<ConnectionId>,
) -> Result<Vec<(ConnectionId, Kept)>, K::Error> {
    let outlines = keep.outline(ids.clone()).await?;
    let resting = |records: &Vec<Record>| Connection::at_rest(records).ok().flatten();
    let (mut kept, mut busy) = (Vec::with_capacity(ids.len()), Vec::new());
    for (id, records) in ids.into_iter().zip(outlines) {
        match resting(&records) {
            Some(resting) => kept.push((id, Kept::Resting(Box::new(resting)))),
            None => busy.push(id),
        }
    }
    kept.extend(read_whole(&*keep, busy).await?);
    Ok(kept)
}

/// Reads all of these connections.
pub(super) async fn read_whole<K: Keep>(
    keep: &K,
    ids: Vec<ConnectionId>,
) -> Result<Vec<(ConnectionId, Kept)>, K::Error> {
    let records = keep.load(ids.clone()).await?;
    Ok(ids.into_iter().zip(records.into_iter().map(Kept::Records)).collect())
}
