//! The end of relays: given up, removed, refused, lost.

use agent::connection::Delivery;
use agent::time::Env;

use super::outgoing::{Say, owe};
use super::record::RelayRecord;
use super::stage::{Accepted, Handshake, Invited, New, Parting, Stage};
use super::status::{ActiveStage, EndReason, InactiveReason, Status};
use super::{Event, GroupOwner, OwnerError};
use crate::identity::MemberId;
use crate::message_id::MessageId;

/// How a relay is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removal {
    /// It may be the last one.
    pub last: bool,
    /// The relay is not told: it finds out when it looks at the group link.
    pub unnotified: bool,
}

impl GroupOwner {
    /// Removes a relay. All relays are told, so that a silent one cannot hide it from its members; the link no longer
    /// lists it; the connection is deleted when the relay has been told.
    pub fn remove(&mut self, relay: &MemberId, removal: Removal, env: &mut Env<'_>) -> Result<Vec<Event>, OwnerError> {
        let status = self.record_mut(relay)?.status();
        if status.is_final() {
            return Err(OwnerError::Prohibited("remove", status));
        }
        if !removal.last && self.is_last(relay) {
            return Err(OwnerError::LastRelay);
        }
        let mut events = Vec::new();
        if removal.unnotified {
            self.tell_others_of_removal(relay, env);
            self.end(relay, InactiveReason::RemovedUnnotified, Parting::Done, env, &mut events);
        } else {
            self.part_with(relay, InactiveReason::Removed, env, &mut events);
        }
        Ok(events)
    }

    /// Gives up a relay that is not active yet.
    pub fn cancel(&mut self, relay: &MemberId, env: &mut Env<'_>) -> Result<Vec<Event>, OwnerError> {
        let status = self.record_mut(relay)?.status();
        // What another owner invited is not for this one to give up, but to remove.
        let is_adopted = self.relay(relay).is_some_and(RelayRecord::is_adopted);
        if status.is_final() || status == Status::Active || is_adopted {
            return Err(OwnerError::Prohibited("cancel", status));
        }
        let mut events = Vec::new();
        self.part_with(relay, InactiveReason::Cancelled, env, &mut events);
        Ok(events)
    }

    /// Goes on with a relay that is stuck: asks one that did not answer once more, as the same member, or says again what
    /// it did not react to.
    pub fn ask_again(&mut self, relay: &MemberId, env: &mut Env<'_>) -> Result<(), OwnerError> {
        self.retries.clear();
        let id = MessageId::random(env.random);
        let record = self.record_mut(relay)?;
        let status = record.status();
        if matches!(record.stage, Stage::Adopting(_)) {
            record.begin_again(env.now, &mut Vec::new());
            return Ok(());
        }
        match &mut record.stage {
            // It will be asked as soon as that is possible.
            Stage::New(_) | Stage::Invited(Invited { again: Some(_), .. }) => {}
            Stage::Invited(invited @ Invited { answer: None, .. }) => {
                invited.again = Some(New::default());
                record.discard(Delivery::Drop);
                record.attempt = record.attempt.saturating_add(1);
            }
            Stage::Accepted(Accepted { relay, handshake: Handshake::Connected }) if relay.answer.takes_rosters() => {
                owe(&mut record.owed, id, Say::Roster);
            }
            Stage::Active(active) if active.stage == ActiveStage::Notified => {
                owe(&mut record.owed, id, Say::Profile);
            }
            _ => return Err(OwnerError::Prohibited("ask again", status)),
        }
        Ok(())
    }

    /// Forgets a relay that is over.
    pub fn forget(&mut self, relay: &MemberId) -> Result<(), OwnerError> {
        let record = self.relay(relay).ok_or_else(|| OwnerError::UnknownRelay(relay.clone()))?;
        if !self.is_forgettable(record) {
            return Err(OwnerError::Prohibited("forget", record.status()));
        }
        self.drop_record(relay);
        Ok(())
    }

    /// Nothing is remembered of a relay, not even how well it delivered.
    pub(super) fn drop_record(&mut self, relay: &MemberId) {
        self.relays.retain(|record| record.id != *relay);
        self.view.forget_relay(relay);
    }

    /// Whether nothing depends on the record any more.
    pub(super) fn is_forgettable(&self, record: &RelayRecord) -> bool {
        record.is_over() && !self.lists(record)
    }

    fn is_last(&self, relay: &MemberId) -> bool {
        let is_published = |record: &&RelayRecord| record.stage.publishable().is_some();
        let mut published = self.relays.iter().filter(is_published).map(|record| &record.id);
        let unknown = self.link.group().contents().relays.len() > self.listed().len();
        published.next() == Some(relay) && published.next().is_none() && !unknown
    }

    /// Ends a relay and tells it, if it can be told.
    pub(super) fn part_with(
        &mut self,
        relay: &MemberId,
        reason: impl Into<EndReason>,
        env: &mut Env<'_>,
        events: &mut Vec<Event>,
    ) {
        let removed = self.tell_others_of_removal(relay, env);
        let can_be_told = self.relay(relay).is_some_and(RelayRecord::is_connected);
        let parting = if can_be_told { Parting::Say } else { Parting::Done };
        self.end(relay, reason, parting, env, events);
        if let Ok(record) = self.record_mut(relay)
            && can_be_told
        {
            owe(&mut record.owed, removed, Say::Removed(relay.clone()));
        }
    }

    /// Others know of a relay only if it is, or may be, listed.
    fn tell_others_of_removal(&mut self, relay: &MemberId, env: &mut Env<'_>) -> MessageId {
        let id = MessageId::random(env.random);
        let known = self.relay(relay).is_some_and(|record| record.status() == Status::Active || self.lists(record));
        for record in self.relays.iter_mut().filter(|record| record.is_connected() && record.id != *relay) {
            if known {
                owe(&mut record.owed, id.clone(), Say::Removed(relay.clone()));
            }
        }
        id
    }

    /// Ends a relay. Nobody is told of it as new any more, and the link lists it no longer.
    pub(super) fn end(
        &mut self,
        relay: &MemberId,
        reason: impl Into<EndReason>,
        parting: Parting,
        env: &mut Env<'_>,
        events: &mut Vec<Event>,
    ) {
        let Ok(record) = self.record_mut(relay) else { return };
        let Some(ended) = record.stage.ended(reason.into(), parting) else { return };
        record.enter(ended, env.now, events);
        record.owed.clear();
        self.view.part_relay(relay);
        let Ok(record) = self.record_mut(relay) else { return };
        if parting == Parting::Done {
            record.part();
        }
        for record in &mut self.relays {
            record.owed.retain(|owed| owed.say != Say::NewRelay(relay.clone()));
        }
        self.settle(env, events);
    }
}

impl RelayRecord {
    /// Everything was said: the connection goes.
    pub(super) fn part(&mut self) {
        let delivery = self.stage.parting().unwrap_or(Parting::Done).delivery();
        self.stage.set_parting(Parting::Done);
        self.discard(delivery);
    }
}
