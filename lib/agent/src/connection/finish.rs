//! The outcome of a task.

use smp::error::Error as ServerError;
use smp::response::{QueueIds, Response};

use super::retry::{Pace, Retry};
use super::{Connection, Event, Outcome, Phase, ReceiveStatus, SendStatus, TaskFault, TaskId};
use crate::time::Env;

impl Connection {
    /// Takes the outcome of a task.
    pub fn finish(&mut self, id: &TaskId, outcome: Outcome, env: &mut Env<'_>) -> Vec<Event> {
        let mut events = Vec::new();
        match outcome {
            Outcome::Unreachable => self.unreachable(id, &mut events, env),
            Outcome::Answered(Response::Err(ServerError::Internal | ServerError::Store(_))) => {
                // The server's trouble, which passes.
                self.unreachable(id, &mut events, env);
            }
            Outcome::Answered(Response::Err(error)) => self.refused(id, error, &mut events, env),
            Outcome::Answered(response) => {
                self.retries.remove(id);
                if let Err(fault) = self.answered(id, response, &mut events, env) {
                    self.failed(id, fault, &mut events);
                }
            }
            Outcome::Violated => self.failed(id, TaskFault::Violated(id.clone()), &mut events),
        }
        events
    }

    fn unreachable(&mut self, id: &TaskId, events: &mut Vec<Event>, env: &mut Env<'_>) {
        let pace = if *id == TaskId::DeleteQueue { Pace::Deletion } else { Pace::Fast };
        self.delay(id, pace, env);
        match id {
            TaskId::Send(_) => {
                self.give_up_old(Pace::Fast, events, env);
                self.expire_deletion(events, env);
            }
            TaskId::DeleteQueue => self.deletion_failed(events),
            _ => self.expire_deletion(events, env),
        }
    }

    pub(super) fn delay(&mut self, id: &TaskId, pace: Pace, env: &Env<'_>) {
        let before = self.retries.get(id).copied();
        let retry = Retry::after(before, pace, env.now);
        self.retries.insert(id.clone(), retry);
    }

    fn answered(
        &mut self,
        id: &TaskId,
        response: Response,
        events: &mut Vec<Event>,
        env: &mut Env<'_>,
    ) -> Result<(), TaskFault> {
        match (id, response) {
            (TaskId::ReadLink, Response::Lnk(sender_id, data)) => self.link_answered(sender_id, data, events),
            (TaskId::CreateQueue, Response::Ids(ids)) => self.queue_created(*ids, events, env),
            (TaskId::SecureSendQueue, Response::Ok) => self.send_queue_secured(env),
            (TaskId::SecureReceiveQueue, Response::Ok) => {
                self.receive_queue_secured(env);
                Ok(())
            }
            (TaskId::SendRequest, Response::Ok) => {
                self.request_sent();
                Ok(())
            }
            (TaskId::Send(number), Response::Ok) => {
                self.sent(*number, events);
                Ok(())
            }
            (TaskId::Acknowledge(id), Response::Ok | Response::Msg(..)) => {
                self.acknowledged(id);
                Ok(())
            }
            (TaskId::SetLink, Response::Ok) => {
                self.link_set(events);
                Ok(())
            }
            (TaskId::Suspend, Response::Ok) => {
                self.suspended(events);
                Ok(())
            }
            (TaskId::DeleteQueue, Response::Ok) => {
                self.queue_deleted(None, events);
                Ok(())
            }
            _ => Err(TaskFault::Violated(id.clone())),
        }
    }

    fn refused(&mut self, id: &TaskId, error: ServerError, events: &mut Vec<Event>, env: &mut Env<'_>) {
        match (id, &error) {
            (TaskId::Acknowledge(id), ServerError::NoMessage) => return self.acknowledged(id),
            (TaskId::Send(number), ServerError::Quota) if self.quota_exceeded(*number, events, env) => return,
            (TaskId::Send(number), ServerError::Auth) if self.repeats_authorized(*number) => return,
            _ => {}
        }
        let fault = TaskFault::Refused { task: id.clone(), error };
        self.failed(id, fault, events);
    }

    /// A task failed for good. A message is dropped; the handshake stops; nothing else matters.
    fn failed(&mut self, id: &TaskId, fault: TaskFault, events: &mut Vec<Event>) {
        self.retries.remove(id);
        match id {
            TaskId::Send(number) if self.ending.is_some() || !self.is_handshake(*number) => {
                self.not_sent(*number, fault, events);
            }
            // The server will deliver the message again, or not.
            TaskId::Acknowledge(id) => self.acknowledged(id),
            TaskId::DeleteQueue => self.queue_deleted(Some(fault), events),
            // What waits for the handshake is never delivered.
            TaskId::SecureSendQueue | TaskId::SecureReceiveQueue if self.is_deleting() => {
                self.give_up_delivery(events);
            }
            _ => {
                self.stopped = Some((id.clone(), fault.clone()));
                events.push(Event::Stopped(fault));
            }
        }
    }

    fn queue_created(&mut self, ids: QueueIds, events: &mut Vec<Event>, env: &mut Env<'_>) -> Result<(), TaskFault> {
        let Some(queue) = self.queue_mut() else { return Ok(()) };
        queue.created(ids)?;
        self.dirty.core = true;
        if self.ending.is_none() {
            self.confirm_joining(env)?;
            self.seal_request(env)?;
            if matches!(&self.phase, Phase::Inviting(inviting) if !inviting.is_request())
                || matches!(self.phase, Phase::Address(_))
            {
                events.push(Event::Created);
            }
        }
        Ok(())
    }

    fn send_queue_secured(&mut self, env: &mut Env<'_>) -> Result<(), TaskFault> {
        let send = match &mut self.phase {
            Phase::Joining(joining) => &mut joining.send,
            Phase::Talking(talking) => &mut talking.send,
            _ => return Ok(()),
        };
        if send.status == SendStatus::New {
            send.status = SendStatus::Secured;
            self.dirty.core = true;
        }
        self.confirm_joining(env)
    }

    fn receive_queue_secured(&mut self, env: &mut Env<'_>) {
        let Phase::Talking(talking) = &mut self.phase else { return };
        talking.queue.secure_with = None;
        talking.queue.status = ReceiveStatus::Secured;
        self.dirty.core = true;
        if talking.hello.is_some_and(|hello| hello.first && !hello.sent) {
            self.greet(env);
        }
    }

    fn acknowledged(&mut self, id: &smp::id::MessageId) {
        if let Some(incoming) = self.incoming.as_mut().filter(|incoming| incoming.id == *id) {
            incoming.held_by_server = false;
        }
    }

    fn link_set(&mut self, events: &mut Vec<Event>) {
        if let Phase::Address(address) = &mut self.phase {
            address.link_data = None;
            self.dirty.core = true;
            events.push(Event::LinkSet);
        }
    }
}
