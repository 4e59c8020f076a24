//! What comes from relays. All of it may be wrong on purpose.

use agent::time::Env;
use codec::VersionRange;

use super::admission::{Reply, bounded_capabilities};
use super::outgoing::{Say, owe};
use super::record::RelayRecord;
use super::stage::{Handshake, Invited, Parting, Stage};
use super::status::{ActiveStage, InactiveReason, RejectedReason};
use super::{ConnectionName, Event, GroupOwner, OwnerError};
use crate::event::{Event as ChatEvent, RelayCapabilities, RosterAcknowledgement, RosterRequest};
use crate::extension::Extension;
use crate::identity::MemberId;
use crate::membership::{self, Change, Demand, GoneReason, Overheard, Records};
use crate::message_id::MessageId;
use crate::text::shown;
use crate::verification::AcceptedMessage;

/// What came of a body.
#[derive(Debug, Default)]
pub struct Received {
    /// What is told.
    pub events: Vec<Event>,
    /// Records to be written. They must be durable before the body is acknowledged.
    pub changes: Vec<Change>,
}

impl GroupOwner {
    /// A relay took up our connection and said this. The first answer counts: what comes again after a restart changes
    /// nothing.
    pub fn answered(
        &mut self,
        connection: &ConnectionName,
        info: &[u8],
        env: &mut Env<'_>,
    ) -> Result<Vec<Event>, OwnerError> {
        let relay = self.relay_of(connection)?;
        let mut events = Vec::new();
        self.adoption_answered(&relay, info, env.now, &mut events);
        let record = self.record_mut(&relay)?;
        // Whoever answers was asked, even if we did not get round to writing that down.
        if let Stage::New(new) = &record.stage {
            let invited = new.invited();
            record.enter(invited, env.now, &mut events);
        }
        let Stage::Invited(invited @ Invited { answer: None, .. }) = &mut record.stage else { return Ok(events) };
        match Reply::parse(info) {
            Ok(Reply::Accepts(answer)) => {
                *invited = invited.answered(answer);
                record.problem = None;
            }
            Ok(Reply::Refuses(reason)) => {
                self.end(&relay, RejectedReason::Refused(reason), Parting::Allow, env, &mut events);
            }
            Err(fault) => {
                let reason = RejectedReason::Answer(shown(&fault.to_string()));
                self.end(&relay, reason, Parting::Done, env, &mut events);
            }
        }
        Ok(events)
    }

    /// Both sides of a connection can talk.
    pub fn connected(&mut self, connection: &ConnectionName, env: &mut Env<'_>) -> Result<Vec<Event>, OwnerError> {
        let relay = self.relay_of(connection)?;
        let mut events = Vec::new();
        let id = MessageId::random(env.random);
        let record = self.record_mut(&relay)?;
        match &record.stage {
            Stage::Accepted(accepted) if accepted.handshake != Handshake::Connected => {
                let accepted = accepted.with(Handshake::Connected);
                let takes_rosters = accepted.relay.answer.takes_rosters();
                record.enter(accepted, env.now, &mut events);
                if takes_rosters {
                    owe(&mut record.owed, id, Say::Roster);
                }
                record.problem = None;
            }
            Stage::New(_) | Stage::Invited(_) => {
                return Err(OwnerError::Prohibited("connected", record.status()));
            }
            Stage::Adopting(_) => self.adopted(&relay, env.now, &mut events),
            _ => {}
        }
        self.settle(env, &mut events);
        Ok(events)
    }

    /// A connection failed for good.
    pub fn connection_failed(
        &mut self,
        connection: &ConnectionName,
        reason: &str,
        env: &mut Env<'_>,
    ) -> Result<Vec<Event>, OwnerError> {
        let relay = self.relay_of(connection)?;
        let mut events = Vec::new();
        self.connection_lost(&relay, reason, env, &mut events);
        Ok(events)
    }

    /// A message came through a connection: what a relay says about itself, tells of members, or forwards. If records cannot
    /// be read, nothing has changed.
    pub fn received(
        &mut self,
        connection: &ConnectionName,
        body: &[u8],
        records: &dyn Records,
        env: &mut Env<'_>,
    ) -> Result<Received, OwnerError> {
        let relay = self.relay_of(connection)?;
        let mut events = Vec::new();
        let record = self.record_mut(&relay)?;
        if !record.is_connected() {
            record.drop_what_came("a message before the handshake, or after the end", &mut events);
            return Ok(Received { events, changes: Vec::new() });
        }
        let Overheard { events: heard, demands, posts, changes, versions, present } =
            self.view.overhear(&relay, body, records, env.now)?;
        events.extend(heard.into_iter().map(Event::from));
        let record = self.record_mut(&relay)?;
        let took_rosters = record.takes_rosters();
        versions.into_iter().for_each(|versions| record.set_versions(versions));
        for demand in demands {
            self.meet(demand, &relay, env, &mut events);
        }
        if !took_rosters {
            self.owe_first_roster(&relay, env);
        }
        self.count_heard(posts);
        present.into_iter().for_each(|present| self.headcount.heard(present));
        self.settle(env, &mut events);
        self.publish_headcount(env, &mut events);
        Ok(Received { events, changes })
    }

    fn meet(&mut self, demand: Demand, from: &MemberId, env: &mut Env<'_>, events: &mut Vec<Event>) {
        match demand {
            Demand::Consider(message) => self.consider(from, &message, env, events),
            Demand::Part(relay, GoneReason::Left) => self.end(&relay, InactiveReason::Left, Parting::Done, env, events),
            // Another owner has told it.
            Demand::Part(relay, _) => self.end(&relay, InactiveReason::Removed, Parting::Done, env, events),
            Demand::RequestRoster(request) => self.request_roster(from, request, env),
            Demand::End(why) => events.push(membership::Event::Ended(why).into()),
            // Only another owner can be the author of what says so.
            Demand::ReadGroupLink => self.sharing.look_again(),
            // Owners have one connection with each relay.
            Demand::Pair => {}
        }
    }

    /// Asks a relay for what is missing of the roster, once for each gap.
    fn request_roster(&mut self, relay: &MemberId, request: RosterRequest, env: &mut Env<'_>) {
        let newest = self.roster().version().map(|version| version.number());
        let id = MessageId::random(env.random);
        let Ok(record) = self.record_mut(relay) else { return };
        if record.takes_rosters() && record.asked_roster != newest && record.is_connected() {
            record.asked_roster = newest;
            owe(&mut record.owed, id, Say::RosterRequest(request));
        }
    }

    /// A relay says something about itself.
    fn consider(&mut self, relay: &MemberId, message: &AcceptedMessage, env: &mut Env<'_>, events: &mut Vec<Event>) {
        let roster = self.roster_version();
        let Ok(record) = self.record_mut(relay) else { return };
        if !record.is_connected() {
            return;
        }
        match message.event() {
            ChatEvent::GroupRosterAcknowledgement(acknowledgement) => {
                let is_current = acknowledgement.version == roster;
                self.roster_acknowledged(relay, acknowledgement, is_current, env, events);
            }
            ChatEvent::GroupRelayReady => record.ready(env, events),
            ChatEvent::GroupRelayCapabilities(change) => record.set_capabilities(&change.relay_cap, events),
            ChatEvent::GroupRelayState(state) if record.knows(&Extension::Suspension) => {
                record.accepting = Some(state.accepting);
                events.push(Event::Accepting { relay: relay.clone(), accepting: state.accepting });
            }
            ChatEvent::GroupRelayState(_) => record.drop_what_came("a state that nobody can ask for", events),
            // The rest stands in its relay link as well.
            _ => {}
        }
    }

    /// A relay has learned to take rosters since it was connected.
    fn owe_first_roster(&mut self, relay: &MemberId, env: &mut Env<'_>) {
        let id = MessageId::random(env.random);
        let Ok(record) = self.record_mut(relay) else { return };
        if record.is_connected() && record.takes_rosters() {
            owe(&mut record.owed, id, Say::Roster);
        }
    }

    /// Only the newest roster counts, and only once.
    fn roster_acknowledged(
        &mut self,
        relay: &MemberId,
        acknowledgement: &RosterAcknowledgement,
        is_current: bool,
        env: &mut Env<'_>,
        events: &mut Vec<Event>,
    ) {
        let Ok(record) = self.record_mut(relay) else { return };
        let RosterAcknowledgement { version, error } = acknowledgement;
        match (&mut record.stage, error.as_deref()) {
            (Stage::Accepted(_), Some(error)) => {
                let reason = RejectedReason::Roster(shown(error));
                self.part_with(relay, reason, env, events);
            }
            (Stage::Accepted(accepted), None) if is_current => {
                if let Some(acknowledged) = accepted.acknowledged(*version) {
                    record.enter(acknowledged, env.now, events);
                }
            }
            (Stage::Acknowledged(acknowledged), None) if is_current => acknowledged.roster = *version,
            (Stage::Active(active), None) if is_current => active.roster = Some(*version),
            (Stage::Acknowledged(_) | Stage::Active(_), Some(error)) => {
                events.push(Event::RosterRefused { relay: relay.clone(), error: shown(error) });
            }
            _ => record.drop_what_came("an acknowledgement of an old roster", events),
        }
    }
}

impl RelayRecord {
    fn drop_what_came(&self, reason: &str, events: &mut Vec<Event>) {
        events.push(Event::Dropped { relay: self.id.clone(), reason: shown(reason) });
    }

    fn set_versions(&mut self, versions: VersionRange) {
        if let Some(relay) = self.stage.relay_mut() {
            relay.answer.versions = versions;
        }
    }

    /// Whether the relay has let us know that it takes rosters.
    pub(super) fn takes_rosters(&self) -> bool {
        self.stage.relay().is_some_and(|relay| relay.answer.takes_rosters())
    }

    /// Whether the relay announced an extension.
    pub(super) fn knows(&self, extension: &Extension) -> bool {
        self.capabilities().is_some_and(|can| can.ext.announce(extension))
    }

    pub(super) fn knows_ready(&self) -> bool {
        self.knows(&Extension::RelayReady)
    }

    fn ready(&mut self, env: &Env<'_>, events: &mut Vec<Event>) {
        match &self.stage {
            Stage::Active(active) if self.knows_ready() && active.stage != ActiveStage::Confirmed => {
                let confirmed = active.with(ActiveStage::Confirmed);
                self.enter(confirmed, env.now, events);
            }
            Stage::Active(_) if self.knows_ready() => {}
            _ => self.drop_what_came("it says that it is listed, and was not told so", events),
        }
    }

    /// A program that changes what it can do may say nothing about extensions: then these stay.
    fn set_capabilities(&mut self, new: &RelayCapabilities, events: &mut Vec<Event>) {
        let new = bounded_capabilities(new);
        let Some(relay) = self.stage.relay_mut() else { return };
        let known = &mut relay.answer.capabilities;
        let ext = if new.ext.is_empty() { known.ext.clone() } else { new.ext };
        let capabilities = RelayCapabilities { web_domain: new.web_domain, ext };
        if *known != capabilities {
            *known = capabilities.clone();
            events.push(Event::Capabilities { relay: self.id.clone(), capabilities });
        }
    }
}
