//! What follows from what somebody said, once it counts.
//!
//! A signature says who wrote something, not when: a relay may deliver today what an owner signed last year. So what is
//! said of the profile, of preferences and of new relays is only a reason to read the group link, which says what is
//! true now. Changes of the roster are numbered, and removals are for good.

use super::comparison::MessageRecord;
use super::event::Event;
use super::hear::Step;
use super::item::Touch;
use super::people::Standing;
use super::permission::moderated;
use super::reactions::{Reactor, TooMany};
use super::status::{EndReason, GoneReason};
use super::view::{Demand, View};
use crate::content::MessageReaction;
use crate::event::{Event as ChatEvent, MemberRemoval, RoleChange};
use crate::identity::MemberId;
use crate::member::{Restriction, Role};
use crate::roster::RosterEffect;
use crate::verification::{AcceptedMessage, Attribution};

impl View {
    /// Does what a message says, and tells it.
    pub(super) fn process(&mut self, message: &AcceptedMessage, sent_at: i64, replaces: bool, step: &mut Step<'_>) {
        let by = match message.attribution() {
            Attribution::Member(id, _) => Some(id.clone()),
            Attribution::Channel => None,
        };
        let done = match message.event() {
            // Its chunks are what is told.
            ChatEvent::GroupRoster(_) => return,
            ChatEvent::MessageNew(_) => settle(message, step),
            ChatEvent::MessageUpdate(_) | ChatEvent::MessageDelete(_) => touch(message, step),
            ChatEvent::MessageReact(reaction) => reacted(reaction, by.as_ref(), step),
            ChatEvent::GroupInfo(info) if info.group_profile.says_the_same(&self.group.profile) => {
                let owner = by.as_ref().filter(|_| message.is_word_of_owner() && self.compares_marks());
                owner.into_iter().for_each(|by| self.marks.in_message(&info.transcript, by, &mut step.events));
                // Whoever repeats the profile to say how much was said has nothing else to say.
                if !info.transcript.is_empty() {
                    return;
                }
                Ok(())
            }
            ChatEvent::GroupInfo(_) | ChatEvent::GroupPreferences(_) | ChatEvent::GroupRelayNew(_) => {
                step.demands.push(Demand::ReadGroupLink);
                Ok(())
            }
            ChatEvent::GroupDelete => {
                step.demands.push(Demand::End(EndReason::Deleted));
                Ok(())
            }
            ChatEvent::GroupMemberRole(change) => self.role_changed(change, message, step),
            ChatEvent::GroupMemberDelete(removal) => self.member_removed(removal, message, step),
            ChatEvent::GroupMemberRestrict(restriction) => {
                let blocked = restriction.member_restrictions.restriction == Restriction::Blocked;
                let record = step.page.member_mut(&restriction.member_id);
                record.into_iter().for_each(|record| record.set_blocked(blocked));
                Ok(())
            }
            ChatEvent::GroupLeave => {
                by.iter().for_each(|id| self.member_left(id, step));
                Ok(())
            }
            ChatEvent::Info(info) => {
                let record = by.as_ref().and_then(|id| step.page.member_mut(id));
                record.into_iter().for_each(|record| record.named(&info.profile));
                Ok(())
            }
            _ => Ok(()),
        };
        match done {
            Ok(()) => self.tell(message, sent_at, replaces, step),
            Err(reason) => step.drop_what_came(reason),
        }
    }

    fn role_changed(
        &mut self,
        change: &RoleChange,
        message: &AcceptedMessage,
        step: &mut Step<'_>,
    ) -> Result<(), &'static str> {
        let id = &change.member_id;
        let effect = self.roster.apply(message, &self.links);
        self.roster_effect(&effect, id, step)?;
        let assignable = !matches!(change.role, Role::Owner | Role::Relay | Role::Other(_));
        if !change.role.is_in_roster() && assignable {
            if *id == self.me.id {
                self.me.role = change.role.clone();
            } else if let Some(record) = step.page.member_mut(id) {
                record.set_role(change.role.clone());
            }
        }
        step.events.push(Event::Roles(vec![(id.clone(), change.role.clone())]));
        self.ask_for_roster(step);
        Ok(())
    }

    fn member_removed(
        &mut self,
        removal: &MemberRemoval,
        message: &AcceptedMessage,
        step: &mut Step<'_>,
    ) -> Result<(), &'static str> {
        let id = &removal.member_id;
        let effect = self.roster.apply(message, &self.links);
        self.roster_effect(&effect, id, step)?;
        if *id == self.me.id {
            step.demands.push(Demand::End(EndReason::Removed));
        } else if self.links.is_relay(id) {
            step.demands.push(Demand::Part(id.clone(), GoneReason::Removed));
        } else if let Some(record) = step.page.member_mut(id) {
            record.removed(removal.messages == Some(true));
            self.count(id, step);
        }
        self.ask_for_roster(step);
        Ok(())
    }

    fn member_left(&self, id: &MemberId, step: &mut Step<'_>) {
        if self.links.is_relay(id) {
            step.demands.push(Demand::Part(id.clone(), GoneReason::Left));
        } else if let Some(record) = step.page.member_mut(id) {
            record.depart(Standing::Left);
            self.count(id, step);
        }
    }

    fn roster_effect(&self, effect: &RosterEffect, id: &MemberId, step: &mut Step<'_>) -> Result<(), &'static str> {
        match effect {
            RosterEffect::Unaffected | RosterEffect::Applied => Ok(()),
            RosterEffect::Replayed => Err("an old change of the roster"),
            RosterEffect::NotAllowed => Err("a change of the roster that is not for its author to make"),
            RosterEffect::Full => Err("the roster is full"),
            RosterEffect::OtherKey => {
                step.other_key(id);
                Err("a change of the roster with another key than the one that is known")
            }
        }
    }

    fn ask_for_roster(&self, step: &mut Step<'_>) {
        step.demands.extend(self.roster.missing().map(Demand::RequestRoster));
    }
}

/// A message came after what was said about it.
fn settle(message: &AcceptedMessage, step: &mut Step<'_>) -> Result<(), &'static str> {
    let record = message.message().id.as_ref().and_then(|id| step.page.message_mut(id));
    record.into_iter().for_each(MessageRecord::settle);
    Ok(())
}

/// A member reacts to a message, or takes that back.
fn reacted(reaction: &MessageReaction, by: Option<&MemberId>, step: &mut Step<'_>) -> Result<(), &'static str> {
    let Some(member) = by.cloned() else { return Ok(()) };
    let reactor = Reactor { message: reaction.message_id.clone(), member };
    let Some(record) = step.page.reactions_mut(&reactor) else { return Ok(()) };
    record.take(reaction).map_err(|TooMany| "more reactions by one member to one message than count")
}

/// Another message changes or goes.
fn touch(message: &AcceptedMessage, step: &mut Step<'_>) -> Result<(), &'static str> {
    let touch = Touch::of(message, moderated(message).cloned());
    let (target, is_edit) = match message.event() {
        ChatEvent::MessageUpdate(update) => (&update.message_id, true),
        ChatEvent::MessageDelete(deletion) => (&deletion.message_id, false),
        _ => return Ok(()),
    };
    let Some(record) = step.page.message_mut(target) else { return Ok(()) };
    match is_edit {
        true => record.item.edited = Some(touch),
        false => record.item.deleted = Some(touch),
    }
    Ok(())
}
