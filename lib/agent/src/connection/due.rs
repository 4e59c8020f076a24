//! Which tasks are due. They follow from the state, never from what happened before.

use smp::command::Command;

use super::end::Ending;
use super::{
    Address, Connection, ConnectionError, Inviting, Joining, Phase, Stage, Subscription, Talking, Task, TaskId,
};
use crate::time::{Env, Time};

impl Connection {
    /// Tasks that are to be run now, as far as they are not under way.
    pub fn due(&self, now: Time) -> Vec<TaskId> {
        let mut tasks = self.wanted();
        tasks.retain(|task| self.retries.get(task).is_none_or(|retry| retry.at <= now));
        tasks
    }

    pub(super) fn wanted(&self) -> Vec<TaskId> {
        let mut tasks = Vec::new();
        match &self.ending {
            Some(Ending::Deleting(deleting)) => {
                if !deleting.queue_deleted() {
                    tasks.push(TaskId::DeleteQueue);
                }
                if deleting.awaits_delivery()
                    && let Phase::Talking(talking) = &self.phase
                {
                    talking.wanted(&mut tasks);
                }
                return tasks;
            }
            Some(Ending::Suspending) => tasks.push(TaskId::Suspend),
            Some(Ending::Suspended) | None => {}
        }
        match &self.phase {
            Phase::Reading(_) => tasks.push(TaskId::ReadLink),
            Phase::Inviting(inviting) => inviting.wanted(&mut tasks),
            Phase::Joining(joining) => joining.wanted(&mut tasks),
            Phase::Talking(talking) => talking.wanted(&mut tasks),
            Phase::Address(address) => address.wanted(&mut tasks),
            Phase::Read(_) | Phase::Confirmed(_) | Phase::Over => {}
        }
        if let Some(incoming) = &self.incoming
            && incoming.is_to_be_acknowledged()
        {
            tasks.push(TaskId::Acknowledge(incoming.id.clone()));
        }
        if let Some((stopped, _)) = &self.stopped {
            tasks.retain(|task| task != stopped);
        }
        tasks
    }

    /// What a task says to its server. Messages are encrypted here.
    pub fn task(&self, id: &TaskId, env: &mut Env<'_>) -> Result<Task, ConnectionError> {
        let none = || ConnectionError::Unknown("task");
        let recipient = |command| self.queue().and_then(|queue| queue.command(command)).ok_or_else(none);
        match (id, &self.phase) {
            (TaskId::ReadLink, Phase::Reading(reading)) => reading.task(),
            (TaskId::CreateQueue, _) => self.queue().and_then(|queue| queue.create()).ok_or_else(none),
            (TaskId::SecureSendQueue, Phase::Joining(joining)) => joining.send.secure(),
            (TaskId::SecureSendQueue, Phase::Talking(talking)) => talking.send.secure(),
            (TaskId::SecureReceiveQueue, _) => {
                let key = self.queue().and_then(|queue| queue.secure_with).ok_or_else(none)?;
                recipient(Command::Key(key))
            }
            (TaskId::SendRequest, Phase::Inviting(inviting)) => {
                inviting.request.as_ref().and_then(|request| request.task()).ok_or_else(none)
            }
            (TaskId::Send(number), Phase::Talking(talking)) => {
                talking.send_task(*number, self.versions().agent.max(), env)
            }
            (TaskId::Acknowledge(id), _) => recipient(Command::Ack(id.clone())),
            (TaskId::SetLink, Phase::Address(address)) => address.set_link_task().ok_or_else(none),
            (TaskId::Suspend, _) => recipient(Command::Off),
            (TaskId::DeleteQueue, _) => recipient(Command::Del),
            _ => Err(none()),
        }
    }

    /// The queue to subscribe to, from its creation until it is deleted.
    pub fn subscription(&self) -> Option<Subscription> {
        self.subscribed_queue()?;
        self.queue()?.subscription()
    }

    /// The connection to a server stands again: what failed for want of it is due at once.
    pub fn server_returned(&mut self) {
        self.retries.retain(|_, retry| retry.pace == super::retry::Pace::Slow);
    }
}

impl Inviting {
    fn wanted(&self, tasks: &mut Vec<TaskId>) {
        if !self.queue.is_created() {
            tasks.push(TaskId::CreateQueue);
        } else if self.request.as_ref().is_some_and(|request| request.is_due()) {
            tasks.push(TaskId::SendRequest);
        }
    }
}

impl Joining {
    fn wanted(&self, tasks: &mut Vec<TaskId>) {
        if self.send.needs_securing() {
            tasks.push(TaskId::SecureSendQueue);
        } else if !self.queue.is_created() {
            tasks.push(TaskId::CreateQueue);
        }
    }
}

impl Talking {
    fn wanted(&self, tasks: &mut Vec<TaskId>) {
        if self.queue.secure_with.is_some() {
            tasks.push(TaskId::SecureReceiveQueue);
        } else if self.send.needs_securing() {
            tasks.push(TaskId::SecureSendQueue);
        } else if let Some(first) = self.talk.outbox.first()
            && (first.is_confirmation() || self.stage != Stage::Joined || self.may_send_early())
        {
            tasks.push(TaskId::Send(first.number));
        }
    }

    fn send_task(&self, number: i64, agent: u16, env: &mut Env<'_>) -> Result<Task, ConnectionError> {
        let message = self.talk.outbox.first_if(number).ok_or(ConnectionError::Unknown("message"))?;
        match message.is_confirmation() {
            true => self.send.send_confirmation(message, &self.talk.ratchet, agent, env.random),
            false => self.send.send(message, &self.talk.ratchet, agent, env.random),
        }
    }
}

impl Address {
    fn wanted(&self, tasks: &mut Vec<TaskId>) {
        if !self.queue.is_created() {
            tasks.push(TaskId::CreateQueue);
        } else if self.link_data.is_some() {
            tasks.push(TaskId::SetLink);
        }
    }
}
