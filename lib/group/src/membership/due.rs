//! What is to be done, and how.

use agent::time::Time;

use super::relay::{Connected, ContentLine, Handshake, RelayRecord, Stage};
use super::task::{Line, Task, TaskId};
use super::{MemberError, Membership};
use crate::body::ConnectionInfo;
use crate::event::{Event as ChatEvent, OwnProfile};

impl Membership {
    /// The tasks that are to be done now. Those that wait for another try come later: see [`Self::next_due`].
    pub fn due(&self, now: Time) -> Vec<TaskId> {
        let waits = |task: &TaskId| self.retries.get(task).is_some_and(|retry| retry.at > now);
        let reading = self.reads_link(now).then_some(TaskId::ReadGroupLink);
        reading.into_iter().chain(self.wanted()).filter(|task| !waits(task)).collect()
    }

    /// Whether there is something to do about relays, now or at another try.
    pub fn has_tasks(&self) -> bool {
        self.wanted().next().is_some()
    }

    /// When something is due that is not due now.
    pub fn next_due(&self) -> Option<Time> {
        let retry = |task: TaskId| self.retries.get(&task).map(|retry| retry.at);
        let link = retry(TaskId::ReadGroupLink).max(Some(self.link.next)).filter(|_| self.ended.is_none());
        let missing = self.view.awaited.next_due(self.view.opened);
        let marks = self.view.marks.next_due(self.view.opened, self.view.patience);
        self.wanted().filter_map(retry).chain(link).chain(missing).chain(marks).min()
    }

    /// The network is back: whatever waits is due now.
    pub fn try_again(&mut self) {
        self.retries.clear();
    }

    fn reads_link(&self, now: Time) -> bool {
        self.ended.is_none() && self.link.next <= now
    }

    fn wanted(&self) -> impl Iterator<Item = TaskId> {
        self.relays.iter().flat_map(|record| tasks_of(record, self.goes_on))
    }

    /// How to do a task that is due.
    pub fn task(&self, id: &TaskId) -> Result<Task, MemberError> {
        let is_due = *id == TaskId::ReadGroupLink || self.wanted().any(|task| task == *id);
        if !is_due {
            return Err(MemberError::Task);
        }
        match id {
            TaskId::ReadGroupLink => Ok(Task::ReadLink(self.view.group.link.clone())),
            TaskId::ReadRelayLink(relay) => Ok(Task::ReadLink(self.record(*relay)?.link.clone())),
            TaskId::Join(relay, line) => self.open_connection(self.record(*relay)?, *line),
            TaskId::Allow(relay, line) => {
                let profile = self.persona.profile().clone();
                let info = OwnProfile { profile, member_key: Some(self.key()) };
                let info = ConnectionInfo::unsigned(ChatEvent::Info(info.into())).to_bytes()?;
                Ok(Task::Allow { connection: self.record(*relay)?.connection(*line), info })
            }
            TaskId::Send(relay, _) => {
                let record = self.record(*relay)?;
                let unsent = record.unsent.front().ok_or(MemberError::Task)?;
                let connection = match unsent.message {
                    Some(_) => record.content_connection(),
                    None => record.connection(Line::Main),
                };
                Ok(Task::Send { connection, body: unsent.body.clone() })
            }
            TaskId::Delete(connection) => {
                let mut discarded = self.relays.iter().flat_map(|record| &record.discarded);
                let found = discarded.find(|(name, _)| name == connection).cloned();
                let (connection, delivery) = found.ok_or(MemberError::Task)?;
                Ok(Task::Delete { connection, delivery })
            }
        }
    }

    fn open_connection(&self, record: &RelayRecord, line: Line) -> Result<Task, MemberError> {
        let (Some(target), Some(relay)) = (&record.target, record.known()) else { return Err(MemberError::Task) };
        Ok(Task::Open {
            connection: record.connection(line),
            link: Box::new(target.clone()),
            server: self.persona.server().clone(),
            info: self.request(&relay.id, line).to_bytes()?,
        })
    }
}

fn tasks_of(record: &RelayRecord, goes_on: bool) -> Vec<TaskId> {
    let number = record.number;
    let ask = |line| match record.target {
        None => TaskId::ReadRelayLink(number),
        Some(_) => TaskId::Join(number, line),
    };
    let send = record.unsent.front().map(|unsent| TaskId::Send(number, unsent.number));
    let next = match &record.stage {
        Stage::Listed(_) => Some(ask(Line::Main)),
        Stage::Joining(_) | Stage::Admitted(_, Handshake::Allowed) => None,
        Stage::Admitted(_, Handshake::Answered) => Some(TaskId::Allow(number, Line::Main)),
        Stage::Connected(_, Connected { content, may_pair, .. }) => match content {
            ContentLine::Wanted if goes_on => Some(ask(Line::Content)),
            ContentLine::Answered if *may_pair => Some(TaskId::Allow(number, Line::Content)),
            ContentLine::Unwanted
            | ContentLine::Wanted
            | ContentLine::Joining
            | ContentLine::Answered
            | ContentLine::Allowed
            | ContentLine::Connected => None,
        },
        // What is said last comes before the connections go.
        Stage::Gone(..) if send.is_some() => None,
        Stage::Gone(..) => {
            return record.discarded.iter().map(|(name, _)| TaskId::Delete(name.clone())).collect();
        }
    };
    let talks = matches!(record.stage, Stage::Connected(..) | Stage::Gone(..));
    // A second connection that did not come about.
    let discarded = record.discarded.iter().filter(|_| record.is_connected());
    let discarded = discarded.map(|(name, _)| TaskId::Delete(name.clone()));
    next.into_iter().chain(send.filter(|_| talks)).chain(discarded).collect()
}
