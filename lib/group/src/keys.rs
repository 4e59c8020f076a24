//! Which key verifies what whom says.
//!
//! | who | the key comes from |
//! |---|---|
//! | owner | the group link |
//! | relay | the root key of its relay link |
//! | member, moderator, admin | the roster, which owners sign |
//! | observer | whoever told us of it: a relay, or the joiner itself |
//!
//! The first that knows a member decides. Nobody becomes more than an author on a relay's word, and the key and role of
//! an owner never come from a relay: only [`LinkKeys::author`] makes an [`Author`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::identity::{MemberId, MemberPublicKey, OwnerPublicKey, RelayPublicKey};
use crate::member::Role;
use crate::roster::Roster;
use crate::step::link_verify::VerifiedGroupLink;

/// Where a key comes from, and so what a signature by it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// The group link, signed by the root key or an owner.
    GroupLink,
    /// The relay's own link, which the group link lists.
    RelayLink,
    /// A roster or a change of role, signed by an owner.
    Roster,
    /// Somebody's word.
    Asserted,
}

/// Whom a message is attributed to, and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    id: MemberId,
    role: Role,
    key: Option<(MemberPublicKey, KeySource)>,
}

impl Author {
    /// Its name in the group.
    pub fn id(&self) -> &MemberId {
        &self.id
    }

    /// What it may do.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// Its key, if we know one.
    pub fn key(&self) -> Option<(MemberPublicKey, KeySource)> {
        self.key
    }
}

/// What somebody says about a member without a signature of an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asserted {
    /// What it may do; not more than an author is believed.
    pub role: Role,
    /// Its key.
    pub key: Option<MemberPublicKey>,
}

impl Default for Asserted {
    /// A member that nobody told us about.
    fn default() -> Self {
        Asserted { role: Role::Observer, key: None }
    }
}

/// The keys that stand in the group link and in the relay links that it lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkKeys {
    owners: BTreeMap<MemberId, OwnerPublicKey>,
    relays: BTreeMap<MemberId, RelayPublicKey>,
}

impl LinkKeys {
    /// Owners of a verified link, and relays that were verified with it.
    pub fn new(
        owners: impl IntoIterator<Item = (MemberId, OwnerPublicKey)>,
        relays: impl IntoIterator<Item = (MemberId, RelayPublicKey)>,
    ) -> Self {
        LinkKeys { owners: owners.into_iter().collect(), relays: relays.into_iter().collect() }
    }

    /// Whether the member is an owner.
    pub fn is_owner(&self, id: &MemberId) -> bool {
        self.owners.contains_key(id)
    }

    /// Whether the member is a relay.
    pub fn is_relay(&self, id: &MemberId) -> bool {
        self.relays.contains_key(id)
    }

    /// A relay that was verified later.
    pub fn add_relay(&mut self, id: MemberId, key: RelayPublicKey) {
        self.relays.insert(id, key);
    }

    /// A relay that is no longer one.
    pub fn remove_relay(&mut self, id: &MemberId) {
        self.relays.remove(id);
    }

    /// What is known about the member `id`.
    pub fn author(&self, id: &MemberId, roster: &Roster, asserted: Asserted) -> Author {
        let known = |role: Role, key: MemberPublicKey, source| (role, Some((key, source)));
        let (role, key) = if let Some(key) = self.owners.get(id) {
            known(Role::Owner, (*key).into(), KeySource::GroupLink)
        } else if let Some(key) = self.relays.get(id) {
            known(Role::Relay, (*key).into(), KeySource::RelayLink)
        } else {
            in_roster(id, roster, asserted)
        };
        Author { id: id.clone(), role, key }
    }
}

/// A key that an owner once signed stays the member's key, whatever it may do today.
fn in_roster(id: &MemberId, roster: &Roster, asserted: Asserted) -> (Role, Option<(MemberPublicKey, KeySource)>) {
    let role = roster.role(id).filter(|role| role.is_in_roster()).unwrap_or_else(|| unprivileged(asserted.role));
    let key = match roster.key(id) {
        Some(key) => Some((key, KeySource::Roster)),
        None if role.is_privileged() => None,
        None => asserted.key.map(|key| (key, KeySource::Asserted)),
    };
    (role, key)
}

/// Whoever is said to be more is believed to be there, but no more than that.
fn unprivileged(role: Role) -> Role {
    if role.is_privileged() || role == Role::Relay { Role::Observer } else { role }
}

impl From<&VerifiedGroupLink> for LinkKeys {
    fn from(link: &VerifiedGroupLink) -> Self {
        let owners = link.owners().iter().map(|owner| (owner.id.clone(), owner.key));
        let relays = link.relays().iter().map(|relay| (relay.member_id.clone(), relay.key));
        LinkKeys::new(owners, relays)
    }
}
