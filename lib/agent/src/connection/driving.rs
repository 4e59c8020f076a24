//! What a driver asks often, without paying for more.

use smp::address::ServerAddress;
use smp::id::RecipientId;

use super::{Connection, Phase, TaskId};
use crate::time::Time;

impl Connection {
    /// The server that a task is for, while the task is wanted.
    pub fn task_server(&self, id: &TaskId) -> Option<&ServerAddress> {
        if !self.wanted().contains(id) {
            return None;
        }
        match (id, &self.phase) {
            (TaskId::ReadLink, Phase::Reading(reading)) => Some(reading.server()),
            (TaskId::SendRequest, Phase::Inviting(inviting)) => {
                inviting.request.as_ref().map(|request| request.server())
            }
            (TaskId::SecureSendQueue | TaskId::Send(_), Phase::Joining(joining)) => Some(joining.send.server()),
            (TaskId::SecureSendQueue | TaskId::Send(_), Phase::Talking(talking)) => Some(talking.send.server()),
            _ => self.queue().map(|queue| &queue.server),
        }
    }

    /// The queue of [`subscription`](Self::subscription).
    pub fn subscribed_queue(&self) -> Option<&RecipientId> {
        let receives = self.ending.as_ref().is_none_or(|ending| ending.receives());
        self.queue().filter(|_| receives)?.recipient_id()
    }

    /// The session with the server of our queue has ended, or the queue is subscribed to again: a message that was
    /// delivered and not acknowledged will be delivered again, and only then can it be acknowledged.
    pub fn delivery_forgotten(&mut self) {
        if let Some(incoming) = &mut self.incoming {
            incoming.held_by_server = false;
        }
    }

    /// When a task will be due that is not due `now`.
    pub fn next_due_after(&self, now: Time) -> Option<Time> {
        let wanted = self.wanted();
        let retries = self.retries.iter().filter(|(task, retry)| retry.at > now && wanted.contains(task));
        retries.map(|(_, retry)| retry.at).min()
    }
}
