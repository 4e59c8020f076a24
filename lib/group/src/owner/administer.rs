//! Orders of an owner: roles, removals, blocks, its own profile, and the end of the group.
//!
//! What an order may say, [`Order`] decides for everybody alike. What only owners do is to number the changes of the
//! roster, and to tell relays the whole of it. All of this is one step, which becomes durable as a whole:
//!
//! ```text
//! order ─▶ roster with the next version ─▶ owed to relays that take rosters: x.grp.roster and chunks
//!                                       └▶ owed to all relays after it: x.grp.mem.role, x.grp.mem.del
//! ```
//!
//! A relay that connects later gets the roster then, and no order that was given before: members learn of it from other
//! relays, or from the roster.
//!
//! # The end of the group
//!
//! Every relay that can be told gets the signed `x.grp.del` as the last word, passes it on, and forgets the group; the
//! connection with it goes when its server has that. Relays that cannot be told find out that there is no link any more.
//! The queue behind the group link is deleted with `DEL`, link data and all. `LDEL` would leave a queue behind, from which
//! the same link could be made again, and an empty link would keep members looking for relays. Both follow from the state
//! and are done again after a restart; a server that knows no such queue has deleted it.

use agent::time::Env;

use super::outgoing::{Say, owe};
use super::stage::Parting;
use super::status::InactiveReason;
use super::task::{DeleteLink, Task};
use super::{Event, GroupOwner, OwnerError, RelayRecord};
use crate::identity::MemberId;
use crate::keys::Author;
use crate::membership::{Change, Composed, Given, MemberRecord, Order, OrderFault, Records, give};
use crate::message_id::MessageId;

/// An order that an owner gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Issued {
    /// The message that says so; none if nothing was to be changed.
    pub message: Option<MessageId>,
    /// The relays that are to get it; see [`Event::Sent`].
    pub relays: Vec<MemberId>,
    /// Records to be written.
    pub changes: Vec<Change>,
    /// What happened to relays.
    pub events: Vec<Event>,
}

/// How far the end of a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// When the owner decided it, in Unix seconds.
    pub decided_at: i64,
    /// Whether the server has deleted the link.
    pub link_deleted: bool,
}

impl GroupOwner {
    /// What is known of a member: its role, its key, and where that comes from.
    pub fn who(&self, id: &MemberId, record: &MemberRecord) -> Author {
        self.view.author(id, record)
    }

    /// The owner's own name in the group.
    pub fn id(&self) -> &MemberId {
        &self.view.me.id
    }

    /// Gives an order. If it cannot be given, nothing has changed.
    pub fn order(&mut self, order: &Order, records: &dyn Records, env: &mut Env<'_>) -> Result<Issued, OwnerError> {
        if *order == Order::EndGroup && self.closing.is_some() {
            return Ok(Issued::nothing());
        }
        self.check_not_over()?;
        self.check_subject(order)?;
        let persona = match (order, &self.persona) {
            (Order::Profile(profile), Some(persona)) => Some(persona.renamed(profile)?),
            (Order::Profile(_), None) => return Err(OwnerError::NoPersona),
            _ => None,
        };
        let profile_before = self.persona.as_ref().map(|persona| &persona.profile);
        if persona.as_ref().is_some_and(|persona| Some(&persona.profile) == profile_before) {
            return Ok(Issued::nothing());
        }
        let shown = persona.as_ref().map(Order::shown_as);
        let given = give(&self.view, shown.as_ref().unwrap_or(order), records, env)?;
        let Given { message: Some(message), roster, changes, present } = given else { return Ok(Issued::nothing()) };
        if *order == Order::EndGroup {
            return self.end_group(&message, changes, env);
        }
        let relays = self.hearers()?;
        if roster != self.view.roster {
            self.set_roster(roster, env);
        }
        self.persona = persona.or_else(|| self.persona.take());
        self.announce_to_all(&message);
        let mut events = Vec::new();
        present.into_iter().for_each(|present| self.headcount.heard(present));
        self.publish_headcount(env, &mut events);
        Ok(Issued { message: Some(message.id), relays, changes, events })
    }

    /// Relays are not in the group as members are, but they have names there.
    fn check_subject(&self, order: &Order) -> Result<(), OwnerError> {
        match order.subject().filter(|id| self.relay(id).is_some()) {
            Some(relay) => Err(OwnerError::Speech(OrderFault::Relay(relay.clone()).into())),
            None => Ok(()),
        }
    }

    /// The last word to all relays.
    fn end_group(&mut self, message: &Composed, changes: Vec<Change>, env: &mut Env<'_>) -> Result<Issued, OwnerError> {
        if self.link.queue().access.is_none() {
            return Err(OwnerError::NotWritable);
        }
        let decided_at = i64::try_from(env.now.millis() / 1000).unwrap_or(i64::MAX);
        self.closing = Some(Closing { decided_at, link_deleted: false });
        let mut events = Vec::new();
        let mut told = Vec::new();
        let current = |record: &&RelayRecord| !record.status().is_final();
        let relays: Vec<MemberId> = self.relays.iter().filter(current).map(|record| record.id.clone()).collect();
        for relay in relays {
            let can_be_told = self.relay(&relay).is_some_and(RelayRecord::is_connected);
            let parting = if can_be_told { Parting::Say } else { Parting::Done };
            self.end(&relay, InactiveReason::GroupDeleted, parting, env, &mut events);
            if let Ok(record) = self.record_mut(&relay)
                && can_be_told
            {
                owe(&mut record.owed, message.id.clone(), Say::Content(message.body.clone()));
                told.push(relay);
            }
        }
        Ok(Issued { message: Some(message.id.clone()), relays: told, changes, events })
    }

    /// The end of the group, if it was decided.
    pub fn closing(&self) -> Option<&Closing> {
        self.closing.as_ref()
    }

    /// Whether the group was ended, and nothing is left to do about it.
    pub fn is_closed(&self) -> bool {
        self.closing.is_some_and(|closing| closing.link_deleted) && self.relays.iter().all(RelayRecord::is_over)
    }

    /// Nothing is done in a group that has ended.
    pub(super) fn check_not_over(&self) -> Result<(), OwnerError> {
        if self.closing.is_some() { Err(OwnerError::Over) } else { Ok(()) }
    }

    /// Whether the link is still to be deleted.
    pub(super) fn deletes_link(&self) -> bool {
        self.closing.is_some_and(|closing| !closing.link_deleted)
    }

    pub(super) fn delete_link(&self) -> Result<Task, OwnerError> {
        let group = self.link.group();
        let access = self.link.queue().access.as_ref().ok_or(OwnerError::NotWritable)?;
        Ok(Task::DeleteLink(Box::new(DeleteLink {
            server: group.server().address.clone(),
            recipient_id: access.recipient_id.clone(),
            key: group.recipient_key(),
        })))
    }

    pub(super) fn link_deleted(&mut self, events: &mut Vec<Event>) {
        if let Some(closing) = self.closing.as_mut().filter(|closing| !closing.link_deleted) {
            closing.link_deleted = true;
            events.push(Event::LinkDeleted);
        }
    }
}

impl Issued {
    fn nothing() -> Self {
        Issued { message: None, relays: Vec::new(), changes: Vec::new(), events: Vec::new() }
    }
}
