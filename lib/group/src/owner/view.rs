//! The group as its owner sees it: the same [`View`] that members have, over the same records. What owners hear is
//! judged, compared and remembered as members do it.
//!
//! Relays that the owner let in may tell of members and forward what these say; those that the group link lists are
//! expected to. The link itself is the owner's own, so nothing is read from it here.

use agent::time::{Env, Time};

use super::{Event, GroupOwner, RelayRecord, Status};
use crate::identity::{MemberId, MemberKey};
use crate::member::Role;
use crate::membership::{Health, KnownGroup, Me, View};
use crate::profile::GroupType;
use crate::step::link_create::GroupLink;
use crate::step::link_verify::VerifiedOwner;

/// The view of an owner who has heard nothing.
pub(super) fn view_of(link: &GroupLink) -> View {
    let owner = &link.group().owner;
    let me = Me { id: owner.owner_id.clone(), key: MemberKey::from(&owner.owner_key), role: Role::Owner };
    View::new(me, known_group(link), Time::default())
}

/// What everybody may read behind the link, as it is written or is to be.
fn known_group(link: &GroupLink) -> KnownGroup {
    let group = link.group();
    let contents = group.contents();
    let public_group = contents.profile.public_group.as_ref();
    KnownGroup {
        link: group.short_link().clone(),
        group_id: group.group_id(),
        group_type: public_group.map_or(GroupType::Channel, |public_group| public_group.group_type.clone()),
        owners: group.owners().iter().map(|owner| VerifiedOwner { id: owner.id().clone(), key: owner.key() }).collect(),
        profile: contents.profile.clone(),
        member_count: Some(contents.member_count),
    }
}

impl GroupOwner {
    /// The link says something else than before, or is to say it.
    pub(super) fn set_link(&mut self, link: GroupLink) {
        self.view.set_group(known_group(&link));
        self.link = link;
    }

    /// A run begins: what relays owe counts from now.
    pub fn open(&mut self, now: Time) {
        self.view.opened = now;
    }

    /// Time has passed. Call it when [`GroupOwner::next_due`] says so.
    pub fn elapsed(&mut self, env: &mut Env<'_>) -> Vec<Event> {
        let mut told = Vec::new();
        self.view.elapsed(env.now, &mut told);
        let mut events = told.into_iter().map(Event::from).collect();
        self.publish_headcount(env, &mut events);
        events
    }

    /// How well a relay delivers.
    pub fn health(&self, relay: &MemberId) -> Option<&Health> {
        self.view.sources.get(relay).map(|source| &source.health)
    }
}

impl RelayRecord {
    /// Since when the group link lists the relay, so that others use it as well.
    pub(super) fn active_since(&self) -> Option<i64> {
        let change = self.history.iter().find(|change| change.status == Status::Active);
        change.filter(|_| self.status() == Status::Active).map(|change| change.changed_at)
    }
}
