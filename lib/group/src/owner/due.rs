//! What is to be done, and how.

use agent::time::Time;

use super::admission::Answer;
use super::outgoing::Owed;
use super::record::RelayRecord;
use super::stage::{Accepted, Handshake, Invited, New, Parting, Stage};
use super::task::{Task, TaskId, WriteLink};
use super::{GroupOwner, OwnerError};
use crate::body::ConnectionInfo;
use crate::event::Event;
use crate::identity::MemberId;

impl GroupOwner {
    /// The tasks that are to be done now. Those that wait for another try come later: see [`Self::next_due`].
    pub fn due(&self, now: Time) -> Vec<TaskId> {
        let waits = |task: &TaskId| self.retries.get(task).is_some_and(|retry| retry.at > now);
        self.wanted().into_iter().filter(|task| !waits(task)).collect()
    }

    /// Whether there is something to do, now or at another try.
    pub fn has_tasks(&self) -> bool {
        self.wanted().iter().any(|task| !self.can_do_without(task))
    }

    /// A look at the link that failed, when there is nothing to write: the next run looks too.
    fn can_do_without(&self, task: &TaskId) -> bool {
        *task == TaskId::ReadGroupLink && self.is_written() && self.retries.contains_key(task)
    }

    /// When something is due that is not due now.
    pub fn next_due(&self) -> Option<Time> {
        let retries = self.wanted().into_iter().filter_map(|task| self.retries.get(&task)).map(|retry| retry.at);
        let missing = self.view.awaited.next_due(self.view.opened);
        retries.chain(missing).chain(self.headcount_due()).min()
    }

    /// The network is back: whatever waits is due now.
    pub fn try_again(&mut self) {
        self.retries.clear();
    }

    fn wanted(&self) -> Vec<TaskId> {
        let mut tasks: Vec<TaskId> = self.relays.iter().flat_map(tasks_of).collect();
        if self.deletes_link() {
            tasks.push(TaskId::DeleteLink);
        }
        tasks.extend(self.adoptions());
        tasks.extend(self.link_task());
        tasks
    }

    /// How to do a task that is due.
    pub fn task(&mut self, id: &TaskId) -> Result<Task, OwnerError> {
        if !self.wanted().contains(id) {
            return Err(OwnerError::Task);
        }
        match id {
            TaskId::WriteLink => self.write_link(),
            TaskId::ReadGroupLink => Ok(Task::ReadLink(self.link.group().short_link().clone())),
            TaskId::SetQueueKeys => self.set_queue_keys(),
            TaskId::DeleteLink => self.delete_link(),
            TaskId::Delete(connection) => {
                let mut discarded = self.relays.iter().flat_map(|record| &record.discarded);
                let (connection, delivery) =
                    discarded.find(|(name, _)| name == connection).cloned().ok_or(OwnerError::Task)?;
                Ok(Task::Delete { connection, delivery })
            }
            TaskId::ReadAddress(relay) => Ok(Task::ReadLink(self.known(relay)?.address.clone())),
            TaskId::Invite(relay) => self.open_connection(self.known(relay)?),
            TaskId::ReadListed(text) => self.read_listed(text),
            TaskId::Join(relay) => self.join(self.known(relay)?),
            TaskId::ReadRelayLink(relay) if self.known(relay)?.is_adopted() => {
                Ok(Task::ReadLink(self.known(relay)?.address.clone()))
            }
            TaskId::ReadRelayLink(relay) => {
                let answer = answer(self.known(relay)?).ok_or(OwnerError::Task)?;
                Ok(Task::ReadLink(answer.relay_link.link().clone()))
            }
            TaskId::Allow(relay) => {
                let record = self.known(relay)?;
                let info = match record.is_adopted() {
                    true => self.own_profile()?,
                    false => ConnectionInfo::unsigned(Event::Ok),
                };
                Ok(Task::Allow { connection: record.connection(), info: info.to_bytes()? })
            }
            TaskId::Send(relay, _) => {
                let record = self.known(relay)?;
                let owed = record.owed.first().ok_or(OwnerError::Task)?;
                Ok(Task::Send { connection: record.connection(), bodies: self.bodies(owed)? })
            }
        }
    }

    fn known(&self, relay: &MemberId) -> Result<&RelayRecord, OwnerError> {
        self.relay(relay).ok_or(OwnerError::Task)
    }

    fn open_connection(&self, record: &RelayRecord) -> Result<Task, OwnerError> {
        let address = to_ask(record).and_then(|new| new.address.as_ref()).ok_or(OwnerError::Task)?;
        let persona = self.persona.as_ref().ok_or(OwnerError::NoPersona)?;
        Ok(Task::Open {
            connection: record.connection(),
            link: Box::new(address.link().clone()),
            server: persona.server.clone(),
            info: self.invitation(persona, record.id.clone()).to_bytes()?,
        })
    }

    fn write_link(&mut self) -> Result<Task, OwnerError> {
        let recipient_id = self.link.queue().access.as_ref().map(|access| access.recipient_id.clone());
        let (link_id, data) = self.link.link_data();
        let group = self.link.group();
        let write = WriteLink {
            version: group.written().version,
            server: group.server().address.clone(),
            recipient_id: recipient_id.ok_or(OwnerError::NotWritable)?,
            key: group.recipient_key(),
            link_id,
            data,
        };
        self.begin_writing();
        Ok(Task::WriteLink(Box::new(write)))
    }
}

impl RelayRecord {
    /// Whether there is something to do about it, now or at another try.
    pub fn has_tasks(&self) -> bool {
        !tasks_of(self).is_empty()
    }
}

fn tasks_of(record: &RelayRecord) -> Vec<TaskId> {
    let mut tasks: Vec<TaskId> = record.discarded.iter().map(|(name, _)| TaskId::Delete(name.clone())).collect();
    let id = || record.id.clone();
    let send = || record.owed.first().map(|Owed { id: message, .. }| TaskId::Send(id(), message.clone()));
    tasks.extend(match &record.stage {
        Stage::New(_) | Stage::Invited(Invited { again: Some(_), .. }) => to_ask(record).map(|new| match new.address {
            None => TaskId::ReadAddress(id()),
            Some(_) => TaskId::Invite(id()),
        }),
        Stage::Invited(Invited { answer: Some(_), .. }) => Some(TaskId::ReadRelayLink(id())),
        Stage::Invited(_) => None,
        Stage::Accepted(Accepted { handshake: Handshake::Answered, .. }) => Some(TaskId::Allow(id())),
        Stage::Accepted(Accepted { handshake: Handshake::Allowed, .. }) => None,
        Stage::Accepted(_) | Stage::Acknowledged(_) | Stage::Active(_) => send(),
        Stage::Adopting(adopting) => adopting.task(&record.id),
        Stage::Inactive(_) | Stage::Rejected(_) => match record.stage.parting() {
            Some(Parting::Allow) => Some(TaskId::Allow(id())),
            Some(Parting::Say) => send(),
            Some(Parting::Done) | None => None,
        },
    });
    tasks
}

/// What is known for asking a relay that is to be asked.
pub(super) fn to_ask(record: &RelayRecord) -> Option<&New> {
    match &record.stage {
        Stage::New(new) => Some(new),
        Stage::Invited(Invited { again, .. }) => again.as_ref(),
        _ => None,
    }
}

/// The answer whose relay link is to be read.
pub(super) fn answer(record: &RelayRecord) -> Option<&Answer> {
    match &record.stage {
        Stage::Invited(Invited { answer, again: None }) => answer.as_ref(),
        _ => None,
    }
}
