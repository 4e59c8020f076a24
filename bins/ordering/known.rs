//! What is known of a member: the lines that `grp-member` prints.

use std::collections::BTreeMap;

use cli::{Blob, Document, Error};
use group::identity::MemberId;
use group::keys::{Author, KeySource};
use group::member::Role;
use group::membership::{MemberRecord, Standing};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Commander, Ordered};
use crate::speaking::sent::SentToRelay;
use crate::taking_part::lines::{blob_of_member, blob_of_message};
use crate::taking_part::messages::Messages;

/// A member of a group, as far as it is known; after an order, as the order leaves it
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GroupMember {
    /// The member's name in the group
    pub member_id: Blob,
    /// What it calls itself, as far as relays tell
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What it may do
    pub role: String,
    /// Ed25519; checks what it signs
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_public_key: Option<Blob>,
    /// Who vouches for the key
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_from: Option<Voucher>,
    /// Whether it is still there
    pub standing: Presence,
    /// Whether moderators blocked it
    #[serde(default, skip_serializing_if = "is_false")]
    pub blocked: bool,
    /// When it came, or when something that it said arrived last, in Unix seconds
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<i64>,
    /// Whether the state file is its own
    #[serde(default, skip_serializing_if = "is_false")]
    pub oneself: bool,
    /// The message that tells everybody of the order; absent if nothing was to be changed
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Blob>,
    /// The relays that are to pass the order on
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<SentToRelay>,
}

impl Document for GroupMember {
    const TYPE: &'static str = "group_member";
    const V: u32 = 1;
}

/// Who vouches for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Voucher {
    /// The group link: it is an owner's
    GroupLink,
    /// An owner signed it, with a role
    Owner,
    /// The member signed it when it joined
    Member,
    /// A relay names it: it may be another one
    Relay,
}

/// Whether a member is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// As far as anybody told
    Present,
    /// It left
    Left,
    /// It was removed
    Removed,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Commander {
    /// Everybody who is known: owners, members with rights, and those that relays told of.
    pub fn everybody(&self, messages: &Messages) -> Result<Vec<GroupMember>, Error> {
        let mut records: BTreeMap<MemberId, MemberRecord> = messages.members()?.into_iter().collect();
        for id in self.names() {
            records.entry(id).or_default();
        }
        let member = |(id, record): (&MemberId, &MemberRecord)| self.known(id, record);
        Ok(records.iter().map(member).filter(|member| member.role != Role::Relay.name()).collect())
    }

    /// One member, after an order.
    pub fn one(&self, id: &MemberId, messages: &Messages, ordered: Ordered) -> Result<GroupMember, Error> {
        let record = messages.member(id)?.unwrap_or_default();
        Ok(GroupMember {
            message_id: ordered.message.as_ref().map(blob_of_message),
            relays: ordered.relays,
            ..self.known(id, &record)
        })
    }

    /// Those who are known without a record.
    fn names(&self) -> Vec<MemberId> {
        match self {
            Commander::Member(keep, _) => keep.look(|member| {
                let owners = member.group().owners.iter().map(|owner| &owner.id);
                let listed = member.roster().listed().map(|(id, _)| id);
                owners.chain(listed).chain([member.id()]).cloned().collect()
            }),
            Commander::Owner(keep, _) => keep.look(|owner| {
                let listed = owner.roster().listed().map(|(id, _)| id);
                owner.owners().iter().map(|owner| owner.id()).chain(listed).chain([owner.id()]).cloned().collect()
            }),
        }
    }

    fn known(&self, id: &MemberId, record: &MemberRecord) -> GroupMember {
        let (author, own) = match self {
            Commander::Member(keep, _) => keep.look(|member| {
                let name = || member.persona().profile().display_name.clone();
                (member.who(id, record), (member.id() == id).then(|| (member.role(), name(), member.key())))
            }),
            Commander::Owner(keep, _) => keep.look(|owner| {
                let name = owner.persona().map(|persona| persona.profile().display_name.clone());
                let author = owner.who(id, record);
                let key = author.key().map(|(key, _)| key);
                let own = key.filter(|_| owner.id() == id).map(|key| (Role::Owner, name.unwrap_or_default(), key));
                (author, own)
            }),
        };
        let oneself = own.is_some();
        let key = own.as_ref().map(|(.., key)| *key).or(author.key().map(|(key, _)| key));
        let own_role = own.as_ref().map(|(role, ..)| role.clone());
        let own_name = own.map(|(_, name, _)| name).filter(|name| !name.is_empty());
        let name = own_name.or_else(|| record.name().map(str::to_owned));
        GroupMember {
            member_id: blob_of_member(id),
            display_name: name,
            role: own_role.as_ref().unwrap_or(author.role()).name().to_owned(),
            member_public_key: key.map(|key| Blob(key.0.as_bytes().to_vec())),
            key_from: voucher(&author, record),
            standing: record.standing().into(),
            blocked: record.is_blocked(),
            seen_at: record.seen_at(),
            oneself,
            message_id: None,
            relays: Vec::new(),
        }
    }
}

fn voucher(author: &Author, record: &MemberRecord) -> Option<Voucher> {
    author.key().map(|(_, source)| match source {
        KeySource::GroupLink | KeySource::RelayLink => Voucher::GroupLink,
        KeySource::Roster => Voucher::Owner,
        KeySource::Asserted if record.is_proven() => Voucher::Member,
        KeySource::Asserted => Voucher::Relay,
    })
}

impl From<Standing> for Presence {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Present => Presence::Present,
            Standing::Left => Presence::Left,
            Standing::Removed => Presence::Removed,
        }
    }
}
