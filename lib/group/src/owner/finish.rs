//! What becomes of tasks.

use agent::connection::Delivery;
use agent::link_read::RetrievedLinkData;
use agent::time::{Env, Time};

use super::address::CheckedAddress;
use super::admission::admit;
use super::adopt::Step;
use super::due::{answer, to_ask};
use super::outgoing::Say;
use super::record::RelayRecord;
use super::stage::{Accepted, Active, Handshake, Invited, New, Parting, Stage};
use super::status::{ActiveStage, InactiveReason, RejectedReason};
use super::task::{Outcome, TaskId};
use super::{ConnectionName, Event, GroupOwner, OwnerError};
use crate::identity::MemberId;
use crate::message_id::MessageId;
use crate::retry::Retry;
use crate::text::shown;

impl GroupOwner {
    /// Takes what became of a task. If the task is not wanted any more, what it did is undone where that is necessary.
    pub fn finish(&mut self, id: &TaskId, outcome: Outcome, env: &mut Env<'_>) -> Result<Vec<Event>, OwnerError> {
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
    ) -> Result<(), OwnerError> {
        match (id, outcome) {
            (TaskId::ReadAddress(relay), Outcome::Retrieved(data)) => self.address_read(relay, &data, env, events),
            (TaskId::ReadAddress(relay) | TaskId::Invite(relay), Outcome::Refused(reason)) => {
                self.address_unusable(relay, shown(&reason), env, events);
            }
            (TaskId::ReadListed(text), Outcome::Retrieved(data)) => self.listed_read(text, &data, env, events),
            (TaskId::ReadListed(text), Outcome::Refused(reason)) => self.not_adopted(text, &reason, events),
            (TaskId::Join(relay), Outcome::Refused(reason)) => self.adoption_lost(relay, &reason, env, events),
            (TaskId::Invite(relay) | TaskId::Join(relay), Outcome::Done) => self.asked(relay, env.now, events),
            (TaskId::ReadRelayLink(relay), Outcome::Retrieved(data)) => self.relay_link_read(relay, &data, env, events),
            (TaskId::ReadRelayLink(relay), Outcome::Refused(reason)) => {
                if self.relay(relay).is_some_and(RelayRecord::is_adopted) {
                    self.unreachable(id, &reason, env.now, events);
                }
                if self.relay(relay).and_then(answer).is_some() {
                    self.end(relay, RejectedReason::RelayLink(shown(&reason)), Parting::Done, env, events);
                }
            }
            (TaskId::Allow(relay), Outcome::Done) => self.allowed(relay, env.now, events),
            (TaskId::Send(relay, message), Outcome::Done) => self.sent(relay, message, env.now, events),
            (TaskId::Allow(relay) | TaskId::Send(relay, _), Outcome::Refused(reason)) => {
                self.connection_lost(relay, &reason, env, events);
            }
            (TaskId::Delete(connection), Outcome::Done | Outcome::Refused(_)) => self.deleted(connection),
            (TaskId::ReadGroupLink, Outcome::Retrieved(data)) => self.group_link_read(&data, env, events),
            (TaskId::ReadGroupLink, Outcome::Refused(_)) => self.group_link_missing(events),
            (TaskId::SetQueueKeys, Outcome::Done) => self.queue_keys_set(),
            (TaskId::WriteLink, Outcome::Written(version)) => self.written(version, env, events)?,
            (TaskId::DeleteLink, Outcome::Done) => self.link_deleted(events),
            (TaskId::WriteLink | TaskId::SetQueueKeys | TaskId::DeleteLink, Outcome::Refused(reason)) => {
                self.unreachable(id, &reason, env.now, events);
            }
            _ => return Err(OwnerError::Task),
        }
        Ok(())
    }

    fn unreachable(&mut self, id: &TaskId, reason: &str, now: Time, events: &mut Vec<Event>) {
        self.later(id, now);
        match id {
            TaskId::WriteLink | TaskId::SetQueueKeys => self.link_not_written(reason, events),
            TaskId::ReadGroupLink if !self.is_written() => self.link_not_written(reason, events),
            TaskId::DeleteLink => events.push(Event::LinkNotDeleted { reason: shown(reason) }),
            TaskId::Delete(_) | TaskId::ReadListed(_) | TaskId::ReadGroupLink => {}
            TaskId::ReadAddress(relay)
            | TaskId::Invite(relay)
            | TaskId::Join(relay)
            | TaskId::ReadRelayLink(relay)
            | TaskId::Allow(relay)
            | TaskId::Send(relay, _) => {
                if let Ok(record) = self.record_mut(relay) {
                    record.hinder(reason, events);
                }
            }
        }
    }

    pub(super) fn later(&mut self, id: &TaskId, now: Time) {
        let retry = Retry::after(self.retries.get(id).copied(), now);
        self.retries.insert(id.clone(), retry);
    }

    /// Whether the server has it all the same, the next look tells.
    fn link_not_written(&mut self, reason: &str, events: &mut Vec<Event>) {
        self.writing = None;
        self.sharing.look_again();
        events.push(Event::LinkNotWritten { reason: shown(reason) });
    }

    fn address_read(&mut self, relay: &MemberId, data: &RetrievedLinkData, env: &mut Env<'_>, events: &mut Vec<Event>) {
        let Ok(record) = self.record_mut(relay) else { return };
        match CheckedAddress::check(&record.address, data) {
            Ok(address) => {
                let profile = address.profile().clone();
                let read = New { address: Some(address) };
                match &mut record.stage {
                    Stage::New(new) => *new = read,
                    Stage::Invited(Invited { again: Some(again), .. }) => *again = read,
                    _ => return,
                }
                record.profile = Some(profile);
                record.problem = None;
            }
            Err(fault) => self.address_unusable(relay, shown(&fault.to_string()), env, events),
        }
    }

    /// A relay that was asked before may still answer; one that never was is over.
    fn address_unusable(&mut self, relay: &MemberId, reason: String, env: &mut Env<'_>, events: &mut Vec<Event>) {
        let Some(record) = self.relay(relay) else { return };
        if to_ask(record).is_some() {
            self.end(relay, RejectedReason::Address(reason), Parting::Done, env, events);
        }
    }

    fn asked(&mut self, relay: &MemberId, now: Time, events: &mut Vec<Event>) {
        let Ok(record) = self.record_mut(relay) else { return };
        match &mut record.stage {
            Stage::New(new) => {
                let invited = new.invited();
                record.enter(invited, now, events);
            }
            Stage::Invited(Invited { again: again @ Some(_), .. }) => {
                *again = None;
                record.problem = None;
            }
            Stage::Adopting(adopting) if adopting.step == Step::Wanted => {
                let asked = adopting.with(Step::Asked);
                record.enter(Stage::Adopting(asked), now, events);
            }
            // It was given up meanwhile.
            stage if stage.status().is_final() => record.discard(Delivery::Drop),
            _ => {}
        }
    }

    fn relay_link_read(
        &mut self,
        relay: &MemberId,
        data: &RetrievedLinkData,
        env: &mut Env<'_>,
        events: &mut Vec<Event>,
    ) {
        if self.relay(relay).is_some_and(RelayRecord::is_adopted) {
            return self.adopted_link_read(relay, data, events);
        }
        let group = self.link.group().group_id();
        let Ok(record) = self.record_mut(relay) else { return };
        let (Stage::Invited(invited), Some(answer)) = (&record.stage, answer(record)) else { return };
        match admit(answer, data, group, relay) {
            Ok(admitted) => {
                let (profile, key) = (admitted.relay.profile.clone(), admitted.relay.key);
                let accepted = invited.accepted(admitted);
                record.profile = Some(profile);
                record.enter(accepted, env.now, events);
                self.view.add_relay(relay, key);
            }
            Err(fault) => {
                self.end(relay, RejectedReason::RelayLink(shown(&fault.to_string())), Parting::Done, env, events);
            }
        }
    }

    fn allowed(&mut self, relay: &MemberId, now: Time, events: &mut Vec<Event>) {
        let Ok(record) = self.record_mut(relay) else { return };
        match &record.stage {
            Stage::Accepted(accepted @ Accepted { handshake: Handshake::Answered, .. }) => {
                let accepted = accepted.with(Handshake::Allowed);
                record.enter(accepted, now, events);
            }
            Stage::Adopting(adopting) if adopting.step == Step::Answered => {
                let allowed = adopting.with(Step::Allowed);
                record.enter(Stage::Adopting(allowed), now, events);
            }
            stage if stage.parting() == Some(Parting::Allow) => record.part(),
            _ => {}
        }
    }

    fn sent(&mut self, relay: &MemberId, message: &MessageId, now: Time, events: &mut Vec<Event>) {
        let Ok(record) = self.record_mut(relay) else { return };
        let Some(position) = record.owed.iter().position(|owed| owed.id == *message) else { return };
        let sent = record.owed.remove(position);
        if let Say::Content(_) = sent.say {
            events.push(Event::Sent { relay: relay.clone(), message: sent.id.clone() });
        }
        match &record.stage {
            Stage::Active(active @ Active { stage: ActiveStage::Listed, .. })
                if sent.say == Say::Profile && record.knows_ready() =>
            {
                let notified = active.with(ActiveStage::Notified);
                record.enter(notified, now, events);
            }
            stage if stage.parting() == Some(Parting::Say) && record.owed.is_empty() => record.part(),
            _ => {}
        }
        self.counts(&sent);
    }

    fn deleted(&mut self, connection: &ConnectionName) {
        for record in &mut self.relays {
            record.discarded.retain(|(name, _)| name != connection);
        }
    }

    /// Nothing comes from a relay any more, or nothing goes there.
    pub(super) fn connection_lost(
        &mut self,
        relay: &MemberId,
        reason: &str,
        env: &mut Env<'_>,
        events: &mut Vec<Event>,
    ) {
        let Ok(record) = self.record_mut(relay) else { return };
        match &record.stage {
            Stage::New(_) | Stage::Invited(_) => record.hinder(reason, events),
            Stage::Adopting(_) => self.adoption_lost(relay, reason, env, events),
            Stage::Active(_) if record.is_adopted() => self.adoption_lost(relay, reason, env, events),
            Stage::Accepted(_) | Stage::Acknowledged(_) | Stage::Active(_) => {
                self.end(relay, InactiveReason::ConnectionLost, Parting::Done, env, events);
            }
            Stage::Inactive(_) | Stage::Rejected(_) => {
                record.owed.clear();
                record.stage.set_parting(Parting::Done);
                record.discard(Delivery::Drop);
            }
        }
    }
}
