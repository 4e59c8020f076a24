//! What the members' side of a group has to know of the relay at a moment.

use std::collections::BTreeMap;

use agent::time::Env;

use super::event::MemberEvent;
use super::persona::Persona;
use crate::event::{Event, OwnProfile};
use crate::extension::Extension;
use crate::identity::{GroupId, MemberId, MemberKey};
use crate::keys::LinkKeys;
use crate::member::{MemberProfile, Role};
use crate::message::Message;
use crate::preferences::{Feature, Preferences};
use crate::profile::GroupProfile;
use crate::relay::check::ROLE;
use crate::relay::journal::LogEvent;
use crate::relay::name::ServiceId;
use crate::relay::roster::StoredRoster;
use crate::relay::state::Relay;
use crate::roster::Roster;
use crate::signature::Signer;
use crate::user_data::RelayProfile;
use crate::verification::Recipient;

/// What owners are called of whom no name is known.
const OWNER: &str = "Owner";

/// A group as its members' side sees it. It holds for as long as the relay's state does not change.
#[derive(Debug, Clone)]
pub struct GroupView {
    pub(super) service: ServiceId,
    pub(super) group_id: GroupId,
    pub(super) profile: GroupProfile,
    pub(super) relay: MemberId,
    pub(super) relay_key: MemberKey,
    pub(super) relay_profile: RelayProfile,
    pub(super) owners: Vec<MemberId>,
    /// The owner that invited the relay.
    pub(super) inviter: MemberId,
    /// Whether that owner wants what members signed when they joined.
    pub(super) inviter_takes_joins: bool,
    /// What owners are called that are known by name: the one that invited the relay, and those that came later.
    pub(super) owner_names: BTreeMap<MemberId, String>,
    pub(super) links: LinkKeys,
    pub(super) roster: Roster,
    pub(super) stored_roster: Option<StoredRoster>,
    pub(super) accepting: bool,
    pub(super) asks: bool,
    pub(super) max_members: u64,
    pub(super) max_admitted: u64,
}

impl Relay {
    /// Writes what happened to members into the log. Call it once the rows are durable.
    pub fn note(&mut self, service: ServiceId, events: &[MemberEvent], env: &mut Env<'_>) {
        let lines: Vec<LogEvent> = events.iter().filter_map(MemberEvent::to_log).collect();
        if !lines.is_empty() {
            self.with(service, env, |service, context| lines.into_iter().for_each(|line| service.log(line, context)));
        }
    }

    /// What the members' side of a service has to know; nothing if members are not served.
    pub fn view(&self, service: ServiceId) -> Option<GroupView> {
        let service = self.service(service).filter(|service| service.status.is_serving())?;
        let group = service.group.as_ref()?;
        let invitation = &service.invitation;
        Some(GroupView {
            service: service.id,
            group_id: group.group_id,
            profile: group.profile.clone(),
            relay: invitation.relay_member_id.clone(),
            relay_key: service.member_key.clone(),
            relay_profile: self.identity.profile.clone(),
            owners: group.owners.iter().map(|owner| owner.id.clone()).collect(),
            inviter: invitation.owner.clone(),
            inviter_takes_joins: invitation.announces(&Extension::SignedJoin),
            owner_names: service.owner_names(),
            links: group.link_keys(&invitation.relay_member_id, &service.member_key),
            roster: service.rosters.applied.clone(),
            stored_roster: service.rosters.stored.clone(),
            accepting: service.is_accepting(&self.settings),
            asks: self.settings.ask_about_members,
            max_members: self.settings.max_members,
            max_admitted: self.settings.max_admitted,
        })
    }
}

impl GroupView {
    /// Which service it is about.
    pub fn service(&self) -> ServiceId {
        self.service
    }

    /// Whether joiners are let in at the moment.
    pub fn is_accepting(&self) -> bool {
        self.accepting
    }

    /// Whether somebody decides about everybody who wants to join.
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// The role that a joiner begins with.
    pub(super) fn role_of_joiner(&self, id: &MemberId) -> Role {
        if self.links.is_owner(id) {
            return Role::Owner;
        }
        self.roster.role(id).filter(Role::is_in_roster).unwrap_or(Role::Observer)
    }

    /// What an owner is called.
    pub(super) fn owner_name(&self, id: &MemberId) -> &str {
        self.owner_names.get(id).map_or(OWNER, String::as_str)
    }

    /// Whether an owner announced extension `mkey1`.
    pub(super) fn takes_joins(&self, owner: &MemberId) -> bool {
        self.inviter_takes_joins && self.inviter == *owner
    }

    pub(super) fn owner_persona(&self, id: &MemberId) -> Persona {
        Persona::named(self.owner_name(id))
    }

    pub(super) fn recipient(&self) -> Recipient {
        Recipient { group: self.group_id, role: ROLE }
    }

    pub(super) fn allows(&self, feature: Feature, role: &Role) -> bool {
        Preferences::of(self.profile.group_preferences.as_ref()).allow(feature, role)
    }

    pub(super) fn life_of_messages(&self) -> Option<u64> {
        Preferences::of(self.profile.group_preferences.as_ref()).life_of_messages()
    }

    /// Who the relay is, under its signature. It has no name: it is said to one member only, and in the same words again
    /// if the relay dies in between.
    pub(super) fn own_introduction(&self) -> crate::element::SignedMessage {
        let profile = MemberProfile::from(self.relay_profile.clone());
        let info = OwnProfile { profile, member_key: Some(self.relay_key.public()) };
        let signer = Signer { group: &self.group_id, member: &self.relay, key: &self.relay_key };
        signer.sign(Message::unnamed(Event::GroupLinkMember(info.into())))
    }
}
