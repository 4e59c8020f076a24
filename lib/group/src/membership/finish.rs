//! What becomes of tasks.

use agent::connection::Delivery;
use agent::link_read::RetrievedLinkData;
use agent::time::{Env, Time};

use super::event::Event;
use super::relay::{ContentLine, Handshake, KnownRelay, RelayNumber, RelayRecord, Stage, admit};
use super::status::GoneReason;
use super::task::{Line, Outcome, TaskId};
use super::{MemberError, Membership};
use crate::owner::ConnectionName;
use crate::retry::Retry;
use crate::text::shown;

impl Membership {
    /// Takes what became of a task. If the task is not wanted any more, what it did is undone where that is necessary.
    pub fn finish(&mut self, id: &TaskId, outcome: Outcome, env: &mut Env<'_>) -> Result<Vec<Event>, MemberError> {
        let mut events = Vec::new();
        match outcome {
            Outcome::Unreachable(reason) => self.unreachable(id, &reason, env.now, &mut events),
            outcome => {
                self.retries.remove(id);
                self.finished(id, outcome, env, &mut events)?;
            }
        }
        Ok(events)
    }

    fn finished(
        &mut self,
        id: &TaskId,
        outcome: Outcome,
        env: &mut Env<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), MemberError> {
        match (id, outcome) {
            (TaskId::ReadGroupLink, Outcome::Retrieved(data)) => self.group_link_read(*data, env, events),
            // A server that says that there is no such link may have lost it, or lie.
            (TaskId::ReadGroupLink, Outcome::Refused(reason)) => self.unreachable(id, &reason, env.now, events),
            (TaskId::ReadRelayLink(relay), Outcome::Retrieved(data)) => {
                self.relay_link_read(*relay, &data, env, events);
            }
            (TaskId::ReadRelayLink(relay), Outcome::Refused(reason)) => {
                self.not_joined(*relay, GoneReason::RelayLink(shown(&reason)), env, events);
            }
            (TaskId::Join(relay, line), Outcome::Done) => self.opened(*relay, *line, events),
            (TaskId::Join(relay, Line::Main), Outcome::Refused(reason)) => {
                self.not_joined(*relay, GoneReason::RelayLink(shown(&reason)), env, events);
            }
            (TaskId::Allow(relay, line), Outcome::Done) => self.allowed(*relay, *line, events),
            (TaskId::Send(relay, number), Outcome::Done) => self.sent(*relay, *number, events),
            (TaskId::Join(relay, Line::Content) | TaskId::Allow(relay, Line::Content), Outcome::Refused(reason)) => {
                self.content_lost(*relay, &reason, events);
            }
            (TaskId::Allow(relay, Line::Main), Outcome::Refused(reason)) => {
                self.relay_lost(*relay, &reason, env, events);
            }
            (TaskId::Send(relay, number), Outcome::Refused(reason)) => {
                self.not_sent(*relay, *number, &reason, env, events);
            }
            (TaskId::Delete(connection), Outcome::Done | Outcome::Refused(_)) => self.deleted(connection),
            _ => return Err(MemberError::Task),
        }
        Ok(())
    }

    fn unreachable(&mut self, id: &TaskId, reason: &str, now: Time, events: &mut Vec<Event>) {
        let retry = Retry::after(self.retries.get(id).copied(), now);
        self.retries.insert(id.clone(), retry);
        match id {
            TaskId::ReadGroupLink => events.push(Event::LinkUnusable { reason: shown(reason) }),
            TaskId::Delete(_) => {}
            TaskId::ReadRelayLink(relay)
            | TaskId::Join(relay, _)
            | TaskId::Allow(relay, _)
            | TaskId::Send(relay, _) => {
                if let Ok(record) = self.record_mut(*relay) {
                    record.hinder(reason, events);
                }
            }
        }
    }

    /// A relay that cannot be asked. Other relays, or the group link, may help.
    fn not_joined(&mut self, number: RelayNumber, why: GoneReason, env: &mut Env<'_>, events: &mut Vec<Event>) {
        match self.record(number).map(|record| &record.stage) {
            Ok(Stage::Listed(_)) => {
                self.part_with(number, why, events);
                self.look_if_alone(env);
            }
            Ok(Stage::Connected(..)) => self.content_lost(number, &why.to_string(), events),
            _ => {}
        }
    }

    fn relay_link_read(
        &mut self,
        number: RelayNumber,
        data: &RetrievedLinkData,
        env: &mut Env<'_>,
        events: &mut Vec<Event>,
    ) {
        let group = self.group_id();
        let Ok(record) = self.record(number) else { return };
        let found = admit(&record.link, data, group);
        match (found, &record.stage) {
            (Ok((relay, target)), Stage::Listed(_)) => match self.usurps(number, &relay) {
                Some(whose) => self.not_joined(number, GoneReason::RelayLink(whose.to_owned()), env, events),
                None => {
                    self.view.add_relay(&relay.id, relay.key);
                    if let Ok(record) = self.record_mut(number) {
                        (record.target, record.stage) = (Some(target), Stage::Listed(Some(relay)));
                        record.problem = None;
                    }
                }
            },
            // Fixed data cannot change, and with them the relay's name and key.
            (Ok((_, target)), Stage::Connected(..)) => {
                if let Ok(record) = self.record_mut(number) {
                    record.target = Some(target);
                }
            }
            (Err(reason), _) => self.not_joined(number, GoneReason::RelayLink(shown(&reason)), env, events),
            _ => {}
        }
    }

    /// Whether a relay goes by the name of somebody else.
    fn usurps(&self, number: RelayNumber, relay: &KnownRelay) -> Option<&'static str> {
        let other = |record: &&RelayRecord| record.number != number && record.why_gone().is_none();
        let taken = self.relays.iter().filter(other).any(|record| record.id() == Some(&relay.id));
        if taken || self.view.links.is_owner(&relay.id) || relay.id == *self.id() {
            Some("it has the name of somebody else in the group")
        } else {
            None
        }
    }

    fn opened(&mut self, number: RelayNumber, line: Line, events: &mut Vec<Event>) {
        self.asked(number, line, events);
        let Ok(record) = self.record_mut(number) else { return };
        // It was given up meanwhile.
        if matches!(record.stage, Stage::Gone(..)) {
            let connection = record.connection(line);
            if record.discarded.iter().all(|(name, _)| *name != connection) {
                record.discarded.push((connection, Delivery::Drop));
            }
        }
    }

    fn allowed(&mut self, number: RelayNumber, line: Line, events: &mut Vec<Event>) {
        let Ok(record) = self.record_mut(number) else { return };
        match (line, &record.stage) {
            (Line::Main, Stage::Admitted(relay, Handshake::Answered)) => {
                let stage = Stage::Admitted(relay.clone(), Handshake::Allowed);
                record.enter(stage, events);
            }
            (Line::Content, Stage::Connected(_, connected)) if connected.content == ContentLine::Answered => {
                record.set_content_line(ContentLine::Allowed);
            }
            _ => {}
        }
    }

    fn sent(&mut self, number: RelayNumber, unsent: u64, events: &mut Vec<Event>) {
        let Ok(record) = self.record_mut(number) else { return };
        if record.unsent.front().is_none_or(|first| first.number != unsent) {
            return;
        }
        let Some(sent) = record.unsent.pop_front() else { return };
        record.problem = None;
        events.extend(sent.message.map(|message| Event::Sent { relay: number, message }));
    }

    /// The connection for content can be lost alone: then what waits goes through the first one.
    fn not_sent(&mut self, number: RelayNumber, unsent: u64, reason: &str, env: &mut Env<'_>, events: &mut Vec<Event>) {
        let Ok(record) = self.record_mut(number) else { return };
        let for_content = record.unsent.front().is_some_and(|first| first.number == unsent && first.message.is_some());
        match record.stage {
            Stage::Gone(..) => record.unsent.clear(),
            _ if for_content && record.has_content_line() => self.content_lost(number, reason, events),
            _ => self.relay_lost(number, reason, env, events),
        }
    }

    fn deleted(&mut self, connection: &ConnectionName) {
        for record in &mut self.relays {
            record.discarded.retain(|(name, _)| name != connection);
        }
    }
}
