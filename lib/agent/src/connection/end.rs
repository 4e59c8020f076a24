//! Suspending and deleting.

use std::time::Duration;

use codec::{Malformed, Reader, Write};
use smp::error::Error as ServerError;

use super::plan::Delivery;
use super::retry::DAY;
use super::stored::{put_time, take_time};
use super::{Connection, Event, Phase, ReceiveStatus, TaskFault, TaskId};
use crate::time::{Env, Time};

/// How often deleting the queue is tried.
const MAX_ATTEMPTS: u32 = 10;
/// How long a deletion waits for messages to be delivered.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(2 * DAY);

/// How far the end is.
pub(super) enum Ending {
    Suspending,
    Suspended,
    Deleting(Deleting),
}

pub(super) struct Deleting {
    since: Time,
    delivery: Delivery,
    attempts: u32,
    /// The queue is gone, or this is why it may not be.
    queue: Option<Option<TaskFault>>,
}

impl Connection {
    /// Refuses further messages: the peer's `SEND` gets `AUTH`.
    pub fn suspend(&mut self) {
        if self.ending.is_none() && self.queue().is_some_and(|queue| queue.is_created()) {
            self.ending = Some(Ending::Suspending);
            self.dirty.core = true;
        }
    }

    /// Deletes the connection. The peer is not told; its `SEND` gets `AUTH`.
    pub fn delete(&mut self, delivery: Delivery, env: &mut Env<'_>) -> Vec<Event> {
        let mut events = Vec::new();
        if self.is_deleting() || self.is_over() {
            return events;
        }
        let created = self.queue().is_some_and(|queue| queue.is_created());
        let queue = (!created).then_some(None);
        self.ending = Some(Ending::Deleting(Deleting { since: env.now, delivery, attempts: 0, queue }));
        self.stopped = None;
        self.retries.clear();
        self.dirty.core = true;
        self.finish_delivery(&mut events);
        events
    }

    /// Whether the connection is gone: its records can be forgotten.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// The server says that our queue was deleted, or does not know it any more.
    pub fn queue_lost(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.is_deleting() {
            self.queue_deleted(None, &mut events);
        } else {
            events.push(Event::QueueLost);
        }
        events
    }

    pub(super) fn suspended(&mut self, events: &mut Vec<Event>) {
        self.ending = Some(Ending::Suspended);
        if let Some(queue) = self.queue_mut() {
            queue.status = ReceiveStatus::Suspended;
        }
        self.dirty.core = true;
        events.push(Event::Suspended);
    }

    /// The server could not be reached once more.
    pub(super) fn deletion_failed(&mut self, events: &mut Vec<Event>) {
        let Some(Ending::Deleting(deleting)) = &mut self.ending else { return };
        deleting.attempts = deleting.attempts.saturating_add(1);
        self.dirty.core = true;
        if deleting.attempts >= MAX_ATTEMPTS {
            self.queue_deleted(Some(TaskFault::Expired(TaskId::DeleteQueue)), events);
        }
    }

    /// The queue is gone, or deleting it has failed for good. A server that does not know the queue has deleted it, in
    /// an attempt whose outcome we did not learn: before a crash, perhaps, so that we cannot count on knowing of it.
    pub(super) fn queue_deleted(&mut self, fault: Option<TaskFault>, events: &mut Vec<Event>) {
        let Some(Ending::Deleting(deleting)) = &mut self.ending else { return };
        let is_unknown = |fault: &TaskFault| matches!(fault, TaskFault::Refused { error: ServerError::Auth, .. });
        deleting.queue = Some(fault.filter(|fault| !is_unknown(fault)));
        self.retries.remove(&TaskId::DeleteQueue);
        self.dirty.core = true;
        self.finish_delivery(events);
    }

    /// Ends the connection once nothing is left to do.
    pub(super) fn finish_delivery(&mut self, events: &mut Vec<Event>) {
        let Some(Ending::Deleting(deleting)) = &self.ending else { return };
        let Some(fault) = deleting.queue.clone() else { return };
        if deleting.awaits_delivery() && self.talk().is_some_and(|talk| talk.outbox.len() > 0) {
            return;
        }
        self.remove_all();
        events.push(Event::Deleted(fault));
    }

    /// Gives up waiting for delivery when it takes too long.
    pub(super) fn expire_deletion(&mut self, events: &mut Vec<Event>, env: &Env<'_>) {
        if let Some(Ending::Deleting(deleting)) = &self.ending
            && env.now.since(deleting.since) > DELIVERY_PATIENCE
        {
            self.give_up_delivery(events);
        }
    }

    /// Nothing that waits can be delivered any more.
    pub(super) fn give_up_delivery(&mut self, events: &mut Vec<Event>) {
        if let Some(Ending::Deleting(deleting)) = &mut self.ending {
            deleting.delivery = Delivery::Drop;
            self.dirty.core = true;
            self.finish_delivery(events);
        }
    }

    pub(super) fn is_deleting(&self) -> bool {
        matches!(self.ending, Some(Ending::Deleting(_)))
    }
}

impl Ending {
    /// Whether messages are still taken from our queue: a suspended queue still holds what came before.
    pub(super) fn receives(&self) -> bool {
        !matches!(self, Ending::Deleting(_))
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Ending::Suspending => out.put(b"S"),
            Ending::Suspended => out.put(b"O"),
            Ending::Deleting(deleting) => {
                out.put(b"D");
                put_time(out, deleting.since);
                out.put_bool(deleting.delivery == Delivery::Await);
                out.put_u32(deleting.attempts);
                // Why the queue may still exist is told, not kept.
                out.put_bool(deleting.queue.is_some());
            }
        }
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match reader.u8()? {
            b'S' => Ending::Suspending,
            b'O' => Ending::Suspended,
            b'D' => Ending::Deleting(Deleting {
                since: take_time(reader)?,
                delivery: if reader.bool()? { Delivery::Await } else { Delivery::Drop },
                attempts: reader.u32()?,
                queue: reader.bool()?.then_some(None),
            }),
            _ => return Err(Malformed::BadValue("end of connection")),
        })
    }
}

impl Deleting {
    pub(super) fn queue_deleted(&self) -> bool {
        self.queue.is_some()
    }

    pub(super) fn awaits_delivery(&self) -> bool {
        self.delivery == Delivery::Await
    }
}
