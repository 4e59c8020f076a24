//! What comes from relays. All of it may be wrong on purpose.

use agent::time::Env;
use codec::VersionRange;

use super::admission::{Reply, bounded_capabilities};
use super::outgoing::{Say, owe};
use super::record::RelayRecord;
use super::stage::{Handshake, Invited, Parting, Stage};
use super::status::{ActiveStage, InactiveReason, RejectedReason};
use super::{ConnectionName, Event, GroupOwner, OwnerError};
use crate::body::Batch;
use crate::element::{AuthoredMessage, Element};
use crate::event::{Event as ChatEvent, RelayCapabilities, RosterAcknowledgement, Signing};
use crate::extension::Extension;
use crate::identity::{MemberId, RelayPublicKey};
use crate::keys::{Asserted, Author, LinkKeys};
use crate::member::Role;
use crate::message_id::MessageId;
use crate::roster::Roster;
use crate::text::shown;
use crate::verification::Recipient;

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

    /// A message came through a connection. What it says about relays is done here; content, and what it says about
    /// members, is somebody else's.
    pub fn received(
        &mut self,
        connection: &ConnectionName,
        body: &[u8],
        env: &mut Env<'_>,
    ) -> Result<Vec<Event>, OwnerError> {
        let relay = self.relay_of(connection)?;
        let mut events = Vec::new();
        let record = self.record_mut(&relay)?;
        if !record.is_connected() {
            record.drop_what_came("a message before the handshake, or after the end", &mut events);
            return Ok(events);
        }
        match Batch::parse(body) {
            Err(error) => record.drop_what_came(&error.to_string(), &mut events),
            Ok(batch) => {
                for element in batch {
                    match element {
                        Ok(Element::Message(message)) => self.heard(&relay, message, env, &mut events),
                        Ok(Element::Forward(_) | Element::Chunk(_)) => {}
                        Err(error) => self.record_mut(&relay)?.drop_what_came(&error.to_string(), &mut events),
                    }
                }
            }
        }
        self.settle(env, &mut events);
        Ok(events)
    }

    /// A relay says something itself.
    fn heard(&mut self, relay: &MemberId, message: AuthoredMessage, env: &mut Env<'_>, events: &mut Vec<Event>) {
        let recipient = Recipient { group: self.link.group().group_id(), role: Role::Owner };
        let roster = self.roster_version();
        let Ok(record) = self.record_mut(relay) else { return };
        let Some(key) = record.key().filter(|_| record.is_connected()) else { return };
        let message = match message.verify(&author(relay, key), &recipient) {
            Ok(message) => message,
            Err(refusal) => return record.drop_what_came(&refusal.to_string(), events),
        };
        let requires = record.stage.relay().is_some_and(|relay| relay.answer.takes_rosters());
        record.set_versions(message.message().versions);
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
            ChatEvent::GroupLeave => self.end(relay, InactiveReason::Left, Parting::Done, env, events),
            ChatEvent::GroupRelayState(_) => record.drop_what_came("a state that nobody can ask for", events),
            // Relays tell of members and of themselves; that is somebody else's.
            other if other.signing() != Signing::Required || matches!(other, ChatEvent::Info(_)) => {}
            other => record.drop_what_came(&format!("{} is not for relays to say", other.name()), events),
        }
        if !requires {
            self.owe_first_roster(relay, env);
        }
    }

    /// A relay has learned to take rosters since it was connected.
    fn owe_first_roster(&mut self, relay: &MemberId, env: &mut Env<'_>) {
        let id = MessageId::random(env.random);
        let Ok(record) = self.record_mut(relay) else { return };
        if record.is_connected() && record.stage.relay().is_some_and(|relay| relay.answer.takes_rosters()) {
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

/// A relay speaks for itself only, with the key of its relay link.
fn author(relay: &MemberId, key: RelayPublicKey) -> Author {
    LinkKeys::new([], [(relay.clone(), key)]).author(relay, &Roster::default(), Asserted::default())
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
