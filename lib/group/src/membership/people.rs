//! What is known of single members beside the roster: what relays say, and what members say about themselves.
//!
//! A relay's word makes nobody more than an author. The first key that somebody names for a member is pinned; it is worth
//! as much as the relay that named it first, but no relay can exchange it later. With extension `mkey1` the key comes
//! with the member's own signature, which at least shows that whoever holds it joined this group under this name.

use serde::{Deserialize, Serialize};

use super::error::RecordError;
use super::records::{self, RecordKey};
use crate::bytes::unpadded_option;
use crate::element::{AuthoredMessage, SignedMessage};
use crate::event::{Event, Join};
use crate::identity::{GroupId, MemberId, MemberPublicKey};
use crate::keys::Asserted;
use crate::member::{MemberInfo, MemberProfile, Role};
use crate::text::shown;

/// What is kept of a member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemberRecord {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// Whoever may decide about the role has decided, and a relay's word changes it no more.
    #[serde(default, skip_serializing_if = "is_false")]
    decided: bool,
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    key: Option<MemberPublicKey>,
    /// The member itself signed that it joined with the key.
    #[serde(default)]
    proven: bool,
    #[serde(default)]
    standing: Standing,
    #[serde(default)]
    blocked: bool,
    /// When something of it came last, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen_at: Option<i64>,
    /// What it wrote went with it.
    #[serde(default, skip_serializing_if = "is_false")]
    erased: bool,
    /// Whoever counts members has counted this one.
    #[serde(default, skip_serializing_if = "is_false")]
    counted: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Whether a member is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// As far as we know.
    #[default]
    Present,
    /// It left.
    Left,
    /// It was removed: nothing that is attributed to it counts.
    Removed,
}

/// Somebody named another key for a member than the one that is pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OtherKey;

/// What a member signed when it joined.
pub(super) struct ProvenJoin<'a>(&'a Join);

impl<'a> ProvenJoin<'a> {
    /// Reads what a relay forwards as a member's own request: it must be signed with the key that it names, for this
    /// group and member.
    pub(super) fn verify(message: &'a AuthoredMessage, member: &MemberId, group: &GroupId) -> Option<Self> {
        let AuthoredMessage::Signed(signed) = message else { return None };
        let Event::Member(join) = &message.message().event else { return None };
        is_own(signed, join, member, group).then_some(ProvenJoin(join))
    }
}

fn is_own(signed: &SignedMessage, join: &Join, member: &MemberId, group: &GroupId) -> bool {
    join.new_member_id == *member && signed.is_signed_by(group, member, &join.new_member_key)
}

impl MemberRecord {
    /// Reads what was kept.
    pub fn parse(key: &RecordKey, bytes: &[u8]) -> Result<Self, RecordError> {
        records::read(key, bytes)
    }

    /// The member's name, as far as it is known; nobody vouches for it.
    pub fn name(&self) -> Option<&str> {
        Some(self.name.as_str()).filter(|name| !name.is_empty())
    }

    /// The pinned key.
    pub fn key(&self) -> Option<MemberPublicKey> {
        self.key
    }

    /// Whether the member signed that it joined with the key.
    pub fn is_proven(&self) -> bool {
        self.proven
    }

    /// Whether the member is still there.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether moderators blocked it.
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// When something that it said arrived last, or that it has come, in Unix seconds.
    pub fn seen_at(&self) -> Option<i64> {
        self.seen_at
    }

    /// Whether what it wrote was removed with it.
    pub fn is_erased(&self) -> bool {
        self.erased
    }

    /// What a signature of the member is checked with, and what it may do, unless owners say otherwise.
    pub(super) fn asserted(&self) -> Asserted {
        Asserted { role: self.role.clone().unwrap_or(Role::Observer), key: self.key }
    }

    /// Whether anybody told of the member.
    pub(super) fn is_known(&self) -> bool {
        self.role.is_some() || self.proven
    }

    /// A relay introduces the member. A role with rights is not believed, nor the key that comes with it.
    pub(super) fn introduced(&mut self, info: &MemberInfo, is_in_roster: bool) -> Result<(), OtherKey> {
        self.named(&info.profile);
        self.arrive();
        if is_in_roster || info.member_role.is_privileged() {
            self.role.get_or_insert(Role::Observer);
            return Ok(());
        }
        // A relay that says less than others must not silence the member.
        if !self.decided {
            self.role = self.role.take().max(Some(info.member_role.clone()));
        }
        info.member_key.map_or(Ok(()), |key| self.pin(key))
    }

    /// The member's own request for admission.
    pub(super) fn joined(&mut self, join: &ProvenJoin<'_>) -> Result<(), OtherKey> {
        self.pin(join.0.new_member_key)?;
        // It may go by another name since: relays pass the request on whenever somebody does not know the member.
        if self.name.is_empty() {
            self.named(&join.0.profile);
        }
        self.arrive();
        self.proven = true;
        Ok(())
    }

    fn pin(&mut self, key: MemberPublicKey) -> Result<(), OtherKey> {
        if *self.key.get_or_insert(key) == key { Ok(()) } else { Err(OtherKey) }
    }

    /// A name that came beside a message counts only until somebody says more.
    pub(super) fn called(&mut self, name: &str) {
        if self.name.is_empty() {
            self.name = shown(name);
        }
    }

    /// Something of it arrived.
    pub(super) fn seen(&mut self, at: i64) {
        self.seen_at = self.seen_at.max(Some(at));
    }

    pub(super) fn named(&mut self, profile: &MemberProfile) {
        if profile.check().is_ok() {
            self.name = shown(&profile.display_name);
        }
    }

    pub(super) fn set_role(&mut self, role: Role) {
        self.role = Some(role);
        self.decided = true;
    }

    pub(super) fn set_blocked(&mut self, blocked: bool) {
        self.blocked = blocked;
    }

    /// It was removed, perhaps with what it wrote.
    pub(super) fn removed(&mut self, with_messages: bool) {
        self.standing = Standing::Removed;
        self.erased |= with_messages;
    }

    /// Who left may come back; who was removed may not.
    fn arrive(&mut self) {
        if self.standing == Standing::Left {
            self.standing = Standing::Present;
        }
    }

    /// Notes whether the member is among those that are counted; nothing if it was before.
    pub(super) fn counts(&mut self) -> Option<bool> {
        let counts = self.is_known() && self.standing == Standing::Present;
        (std::mem::replace(&mut self.counted, counts) != counts).then_some(counts)
    }

    /// Who was removed does not become somebody who left.
    pub(super) fn depart(&mut self, standing: Standing) {
        if self.standing != Standing::Removed {
            self.standing = standing;
        }
    }
}
