//! What comes through connections, and what follows from it for relays.

use agent::time::{Env, Time};

use super::event::Event;
use super::hear::Overheard;
use super::records::{Change, Records};
use super::relay::{RelayNumber, RelayRecord, Unsent};
use super::status::{EndReason, GoneReason};
use super::view::Demand;
use super::{MemberError, Membership};
use crate::body::single;
use crate::element::AuthoredMessage;
use crate::event::{Event as ChatEvent, RosterRequest};
use crate::identity::MemberId;
use crate::message::Message;
use crate::message_id::MessageId;
use crate::owner::ConnectionName;
use crate::text::shown;
use crate::version;

/// What came of a body.
#[derive(Debug, Default)]
pub struct Received {
    /// What is told.
    pub events: Vec<Event>,
    /// Records to be written. They must be durable before the body is acknowledged.
    pub changes: Vec<Change>,
}

impl Membership {
    /// A message came through a connection. If records cannot be read, nothing has changed.
    pub fn received(
        &mut self,
        connection: &ConnectionName,
        body: &[u8],
        records: &dyn Records,
        env: &mut Env<'_>,
    ) -> Result<Received, MemberError> {
        let (number, _) = self.end_of(connection)?;
        let Some(relay) = self.relay(number).filter(|record| record.is_connected()).and_then(|record| record.id())
        else {
            return Ok(Received::default());
        };
        let relay = relay.clone();
        let Overheard { mut events, demands, changes, versions, .. } =
            self.view.overhear(&relay, body, records, env.now)?;
        let known = self.record_mut(number).ok().and_then(RelayRecord::known_mut);
        if let (Some(versions), Some(relay)) = (versions, known) {
            relay.versions = Some(versions);
        }
        for demand in demands {
            self.meet(demand, number, env, &mut events)?;
        }
        Ok(Received { events, changes })
    }

    fn meet(
        &mut self,
        demand: Demand,
        from: RelayNumber,
        env: &mut Env<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), MemberError> {
        match demand {
            Demand::ReadGroupLink => self.link.look_now(env.now),
            Demand::Pair => self.record_mut(from)?.pair(),
            Demand::Part(id, why) => {
                let number = self.relay_with_id(&id).map(RelayRecord::number);
                number.into_iter().for_each(|number| self.part_with(number, why.clone(), events));
                self.look_if_alone(env);
            }
            Demand::End(why) => self.end(why, None, events),
            Demand::RequestRoster(request) => self.request_roster(from, request)?,
            Demand::Consider(message) => {
                if let (ChatEvent::Unknown(event), Some(relay)) = (message.event(), self.relay_id(from)) {
                    let reason = shown(&format!("{} is nothing that we know", event.name()));
                    events.push(Event::Dropped { relay, reason });
                }
            }
        }
        Ok(())
    }

    fn relay_id(&self, number: RelayNumber) -> Option<MemberId> {
        self.relay(number).and_then(RelayRecord::id).cloned()
    }

    /// The membership is over: nothing but the last word is said, and all connections go.
    fn end(&mut self, why: EndReason, last_word: Option<(MessageId, Vec<u8>)>, events: &mut Vec<Event>) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(why);
        for record in &mut self.relays {
            let last = last_word.clone().map(|(message, body)| {
                let number = self.next_unsent;
                self.next_unsent = number.saturating_add(1);
                Unsent { number, message: Some(message), body }
            });
            let id = record.id().cloned();
            record.part(GoneReason::Over, last, events);
            if let Some(id) = id {
                self.view.part_relay(&id);
            }
        }
        self.retries.clear();
        events.push(Event::Ended(why));
    }

    /// Leaves the group: all relays are told, with a signature.
    pub fn leave(&mut self, env: &mut Env<'_>) -> Result<Vec<Event>, MemberError> {
        self.check_not_over()?;
        let message = Message::named(ChatEvent::GroupLeave, env.random);
        let id = message.id.clone();
        let body = single(AuthoredMessage::from(self.signer().sign(message)))?;
        let mut events = Vec::new();
        self.end(EndReason::Left, id.map(|id| (id, body)), &mut events);
        Ok(events)
    }

    /// Asks a relay for the roster, once for each gap.
    fn request_roster(&mut self, number: RelayNumber, request: RosterRequest) -> Result<(), MemberError> {
        let newest = self.view.roster.version().map(|version| version.number());
        let body = single(Message::unnamed(ChatEvent::GroupRosterRequest(request)))?;
        let unsent = self.next_unsent;
        let Ok(record) = self.record_mut(number) else { return Ok(()) };
        let serves = record.versions().is_some_and(|versions| versions.max() >= version::ROSTER);
        if !serves || record.asked_roster == newest || !record.is_connected() {
            return Ok(());
        }
        record.asked_roster = newest;
        record.unsent.push_back(Unsent { number: unsent, message: None, body });
        self.next_unsent = unsent.saturating_add(1);
        Ok(())
    }

    /// Time has passed. Call it when [`Membership::next_due`] says so, and before waiting for anything else. If records
    /// cannot be read, nothing has changed.
    pub fn elapsed(&mut self, records: &dyn Records, now: Time) -> Result<Vec<Event>, MemberError> {
        let mut events = Vec::new();
        let opened = self.view.opened;
        self.view.compare_marks(records, opened, now, &mut events)?;
        self.view.elapsed(now, &mut events);
        Ok(events)
    }

    /// The same for runs that know that nothing waits at the servers: posts that owners counted are missing when they were
    /// waited for long enough since they are known, and not since the run began.
    pub fn audit(&mut self, records: &dyn Records, now: Time) -> Result<Vec<Event>, MemberError> {
        let mut events = Vec::new();
        self.view.compare_marks(records, Time::default(), now, &mut events)?;
        Ok(events)
    }
}
