//! Members with rights, their pinned keys, and the versions of their list.
//!
//! Owners number every change of the list. Members learn a change from a signed event; whoever joins, or was away, gets
//! the whole list as a [`RosterBlob`]. A relay can withhold changes, but then versions
//! are missing, and the member asks for the list:
//!
//! ```text
//! x.grp.mem.role, x.grp.mem.del ─apply─▶ Roster ─missing─▶ x.grp.roster.request
//! x.grp.roster ─RosterTransfer─ chunks ─▶ CompleteRoster ─apply_complete─▶ Roster
//! ```
//!
//! The first key that an owner signed for a member is pinned. It stays pinned when the member loses its rights.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bytes::{unpadded, unpadded_option};
use crate::event::{Event, MemberRemoval, RoleChange, RosterRequest};
use crate::identity::{MemberId, MemberPublicKey};
use crate::keys::LinkKeys;
use crate::limits;
use crate::member::Role;
use crate::roster_blob::{RosterBlob, RosterEntry};
use crate::roster_transfer::CompleteRoster;
use crate::verification::AcceptedMessage;

/// Counts the changes of a roster, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct RosterVersion(i64);

impl RosterVersion {
    /// A version, which is not negative.
    pub const fn new(version: i64) -> Option<Self> {
        if version >= 0 { Some(RosterVersion(version)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The version after one more change.
    pub const fn next(self) -> Self {
        RosterVersion(self.0.saturating_add(1))
    }
}

impl TryFrom<i64> for RosterVersion {
    type Error = &'static str;

    fn try_from(version: i64) -> Result<Self, Self::Error> {
        RosterVersion::new(version).ok_or("negative version of a roster")
    }
}

impl From<RosterVersion> for i64 {
    fn from(version: RosterVersion) -> Self {
        version.0
    }
}

/// What is known of the members with rights.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "StoredRoster", into = "StoredRoster")]
pub struct Roster {
    version: Option<RosterVersion>,
    contiguous: Option<RosterVersion>,
    members: BTreeMap<MemberId, RosterMember>,
}

/// Somebody who has, or had, rights.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RosterMember {
    role: Role,
    key: Option<MemberPublicKey>,
}

/// What an event did to a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterEffect {
    /// Nothing: the event is about something else, and may be allowed or not.
    Unaffected,
    /// Roles or versions changed.
    Applied,
    /// Nothing: a later change was applied already, and somebody repeats an old one.
    Replayed,
    /// Nothing: the event names another key than the one that is pinned. People are warned.
    OtherKey,
    /// Nothing: only owners change the roster, and never owners or relays by it.
    NotAllowed,
    /// Nothing: the list is full.
    Full,
}

/// What a whole list did to a roster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RosterUpdate {
    /// Whose role changed, with the new one. Those who are not listed any more are observers.
    pub changed: Vec<(MemberId, Role)>,
    /// Members that are listed with another key than the one that is pinned. They keep the pinned key, and the lower of
    /// both roles. People are warned.
    pub other_keys: Vec<MemberId>,
}

/// A list is older than what was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("roster version {offered} is older than version {applied}", offered = offered.number(), applied = applied.number())]
pub struct OldRoster {
    /// The version of the list.
    pub offered: RosterVersion,
    /// The version that was applied.
    pub applied: RosterVersion,
}

impl Roster {
    /// The highest version that was applied, if any was.
    pub fn version(&self) -> Option<RosterVersion> {
        self.version
    }

    /// The role of somebody who has, or had, rights.
    pub fn role(&self, id: &MemberId) -> Option<Role> {
        self.members.get(id).map(|member| member.role.clone())
    }

    /// The pinned key of a member.
    pub fn key(&self, id: &MemberId) -> Option<MemberPublicKey> {
        self.members.get(id).and_then(|member| member.key)
    }

    /// Members with rights.
    pub fn listed(&self) -> impl Iterator<Item = (&MemberId, &Role)> {
        self.members.iter().filter(|(_, member)| member.role.is_in_roster()).map(|(id, member)| (id, &member.role))
    }

    /// What to ask a relay for when versions are missing: the events that would fill the gap may never come.
    pub fn missing(&self) -> Option<RosterRequest> {
        (self.contiguous < self.version).then_some(RosterRequest { version: self.contiguous })
    }

    /// Applies an event that changes the rights of one member. Events about anything else have no effect here.
    pub fn apply(&mut self, message: &AcceptedMessage, links: &LinkKeys) -> RosterEffect {
        let by_owner = message.is_word_of_owner();
        match message.event() {
            Event::GroupMemberRole(change) => self.apply_role(change, by_owner, links),
            Event::GroupMemberDelete(removal) => self.apply_removal(removal, by_owner, links),
            _ => RosterEffect::Unaffected,
        }
    }

    fn apply_role(&mut self, change: &RoleChange, by_owner: bool, links: &LinkKeys) -> RosterEffect {
        let id = &change.member_id;
        let assignable = !matches!(change.role, Role::Owner | Role::Relay | Role::Other(_));
        let alters = change.role.is_in_roster() || self.is_listed(id);
        if !assignable || links.is_owner(id) || links.is_relay(id) || (alters && !by_owner) {
            return RosterEffect::NotAllowed;
        }
        if !by_owner {
            return RosterEffect::Unaffected;
        }
        let pinned = self.key(id);
        if self.is_replay(change.roster_version) {
            RosterEffect::Replayed
        } else if pinned.is_some_and(|pinned| change.member_key.is_some_and(|key| key != pinned)) {
            RosterEffect::OtherKey
        } else if change.role.is_in_roster() && !self.is_listed(id) && self.is_full() {
            RosterEffect::Full
        } else {
            if alters || change.member_key.is_some() {
                let member = RosterMember { role: change.role.clone(), key: pinned.or(change.member_key) };
                self.members.insert(id.clone(), member);
            }
            self.advance(alters, change.roster_version)
        }
    }

    fn apply_removal(&mut self, removal: &MemberRemoval, by_owner: bool, links: &LinkKeys) -> RosterEffect {
        let id = &removal.member_id;
        let listed = self.is_listed(id);
        if listed && !by_owner {
            RosterEffect::NotAllowed
        } else if !by_owner || links.is_relay(id) {
            RosterEffect::Unaffected
        } else if self.is_replay(removal.roster_version) {
            RosterEffect::Replayed
        } else {
            self.demote(id);
            self.advance(listed, removal.roster_version)
        }
    }

    /// Applies a whole list: pins keys, sets roles, and takes the rights of those who are not listed.
    pub fn apply_complete(&mut self, complete: &CompleteRoster, links: &LinkKeys) -> Result<RosterUpdate, OldRoster> {
        let offered = complete.version();
        if let Some(applied) = self.version.filter(|applied| offered < *applied) {
            return Err(OldRoster { offered, applied });
        }
        let mut update = RosterUpdate::default();
        let before: BTreeMap<_, _> = self.listed().map(|(id, role)| (id.clone(), role.clone())).collect();
        let appointed = |entry: &&RosterEntry| !links.is_owner(&entry.member_id) && !links.is_relay(&entry.member_id);
        before.keys().for_each(|id| self.demote(id));
        for entry in complete.blob().entries().iter().filter(appointed) {
            self.apply_entry(entry, before.get(&entry.member_id), &mut update);
        }
        update.changed = self.changed_since(&before);
        self.version = Some(offered);
        self.contiguous = Some(offered);
        Ok(update)
    }

    fn apply_entry(&mut self, entry: &RosterEntry, before: Option<&Role>, update: &mut RosterUpdate) {
        let pinned = self.key(&entry.member_id).filter(|pinned| *pinned != entry.key);
        let role = match pinned {
            None => entry.role.clone(),
            Some(_) => {
                update.other_keys.push(entry.member_id.clone());
                before.unwrap_or(&Role::Observer).min(&entry.role).clone()
            }
        };
        let member = RosterMember { role, key: pinned.or(Some(entry.key)) };
        self.members.insert(entry.member_id.clone(), member);
    }

    fn changed_since(&self, before: &BTreeMap<MemberId, Role>) -> Vec<(MemberId, Role)> {
        let role_before = |id: &MemberId| before.get(id).unwrap_or(&Role::Observer);
        let changed = self.members.iter().filter(|(id, member)| member.role != *role_before(id));
        changed.map(|(id, member)| (id.clone(), member.role.clone())).collect()
    }

    /// The list for those who join or ask; members without a known key are not in it.
    pub fn to_blob(&self) -> RosterBlob {
        let entry = |(id, member): (&MemberId, &RosterMember)| {
            Some(RosterEntry { member_id: id.clone(), key: member.key?, role: member.role.clone() })
        };
        let listed = self.members.iter().filter(|(_, member)| member.role.is_in_roster());
        RosterBlob::new(listed.filter_map(entry).collect()).unwrap_or_default()
    }

    fn is_listed(&self, id: &MemberId) -> bool {
        self.role(id).is_some_and(|role| role.is_in_roster())
    }

    fn is_full(&self) -> bool {
        self.listed().count() >= limits::ROSTER_ENTRIES
    }

    fn is_replay(&self, version: Option<RosterVersion>) -> bool {
        version.is_some_and(|version| self.version.is_some_and(|applied| version < applied))
    }

    fn demote(&mut self, id: &MemberId) {
        if let Some(member) = self.members.get_mut(id) {
            member.role = Role::Observer;
        }
    }

    fn advance(&mut self, altered: bool, version: Option<RosterVersion>) -> RosterEffect {
        let Some(version) = version else {
            return if altered { RosterEffect::Applied } else { RosterEffect::Unaffected };
        };
        self.version = Some(version);
        if version <= self.contiguous.unwrap_or_default().next() {
            self.contiguous = self.contiguous.max(Some(version));
        }
        RosterEffect::Applied
    }
}

/// How a relay stands with one member that may miss changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Served {
    /// The version of the last list that the member was sent.
    pub last: Option<RosterVersion>,
}

impl Served {
    /// Whether a relay that stores the list `stored` sends it to a member that asks.
    pub fn is_due(self, request: &RosterRequest, stored: RosterVersion) -> bool {
        let newer_than = |version: Option<RosterVersion>| version.is_none_or(|version| stored > version);
        newer_than(request.version) && newer_than(self.last)
    }
}

/// A roster in a document.
#[derive(Clone, Serialize, Deserialize)]
struct StoredRoster {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<RosterVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contiguous: Option<RosterVersion>,
    members: Vec<StoredMember>,
}

#[derive(Clone, Serialize, Deserialize)]
struct StoredMember {
    #[serde(with = "unpadded")]
    id: MemberId,
    role: Role,
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    key: Option<MemberPublicKey>,
}

impl From<Roster> for StoredRoster {
    fn from(Roster { version, contiguous, members }: Roster) -> Self {
        let stored = |(id, RosterMember { role, key })| StoredMember { id, role, key };
        StoredRoster { version, contiguous, members: members.into_iter().map(stored).collect() }
    }
}

impl From<StoredRoster> for Roster {
    fn from(StoredRoster { version, contiguous, members }: StoredRoster) -> Self {
        let member = |StoredMember { id, role, key }| (id, RosterMember { role, key });
        Roster { version, contiguous, members: members.into_iter().map(member).collect() }
    }
}
