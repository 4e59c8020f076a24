//! The group-status document: what an owner knows of a group, without anything that is secret or only for programs.

use agent::short_link::ContactShortLink;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smp::address::ServerAddress;

use super::{GroupState, GroupStatus, LedgerDocument, ReasonCode};
use crate::binding::GroupBinding;
use crate::bytes::{Base64Url, text_form, unpadded};
use crate::identity::{GroupId, MemberId, OwnerPublicKey};
use crate::owner::{ActiveStage, GroupOwner, RelayRecord, Status};
use crate::owner_list::ListedOwner;
use crate::roster::RosterVersion;
use crate::step::link_create::OwnGroup;

/// What an owner knows of a group
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GroupStatusDocument {
    /// Whether the link exists on its server
    pub status: GroupStatus,
    /// The link to share
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub link: ContactShortLink,
    /// The group's name
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub group_id: GroupId,
    /// `channel` or `group`
    pub group_type: String,
    /// Short name
    pub display_name: String,
    /// Members and owners, not relays
    pub member_count: u64,
    /// Counts the updates of the link
    pub link_version: u64,
    /// Whether the server is known to have that version
    pub link_written: bool,
    /// All owners in the order in which they were let in, if there are several
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<OwnerStatusDocument>,
    /// How many relays the link lists
    pub listed: usize,
    /// The version of the roster
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>")]
    pub roster_version: Option<RosterVersion>,
    /// The name by which relays know the owner
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_to_relays_as: Option<String>,
    /// Where queues for messages from relays are
    #[serde(default, with = "crate::bytes::text_form_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub receives_at: Option<ServerAddress>,
    /// What is counted of what is said, once something was
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<LedgerDocument>,
    /// Every relay that was invited, in that order
    pub relays: Vec<RelayStatusDocument>,
}

/// An owner of the group
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OwnerStatusDocument {
    /// The owner's name in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_id: MemberId,
    /// Ed25519; checks what the owner signs
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_public_key: OwnerPublicKey,
    /// Whether it is the one who asks
    pub is_self: bool,
}

/// How a relay stands
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RelayStatusDocument {
    /// The relay's name in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub relay_id: MemberId,
    /// What it calls itself
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// How far it is
    pub status: Status,
    /// What an active relay knows of being listed
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<ActiveStage>,
    /// Since when, in Unix seconds
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<i64>,
    /// Why it is inactive or rejected
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonCode>,
    /// The reason in words
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_text: Option<String>,
    /// What stands in the way
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether owner and relay can talk
    pub connected: bool,
    /// Whether the newest link data lists it
    pub listed: bool,
    /// Whether something about it is left to do that needs nobody else
    pub unfinished: bool,
    /// The relay address
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub address: ContactShortLink,
    /// The relay link, exactly as the relay wrote it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_link: Option<String>,
    /// How firmly the relay link belongs to the group
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_by: Option<GroupBinding>,
    /// Versions of the chat protocol that it speaks
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<String>,
    /// What it does beyond the protocol
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
    /// Whether it admits members, if it said so
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepting: Option<bool>,
}

impl From<&GroupState> for GroupStatusDocument {
    fn from(state: &GroupState) -> Self {
        match state {
            GroupState::Prepared(prepared) => of_group(prepared.group(), GroupStatus::Prepared),
            GroupState::Created(owner) => of_owner(owner),
        }
    }
}

fn of_group(group: &OwnGroup, status: GroupStatus) -> GroupStatusDocument {
    let contents = group.contents();
    let public_group = contents.profile.public_group.as_ref();
    GroupStatusDocument {
        status,
        link: group.short_link().clone(),
        group_id: group.group_id(),
        group_type: public_group.map(|group| group.group_type.name().to_owned()).unwrap_or_default(),
        display_name: contents.profile.display_name.clone(),
        member_count: contents.member_count,
        link_version: group.written().version,
        link_written: false,
        owners: of_owners(group),
        listed: contents.relays.len(),
        roster_version: None,
        known_to_relays_as: None,
        receives_at: None,
        transcript: LedgerDocument::of(group.ledger()),
        relays: Vec::new(),
    }
}

fn of_owner(owner: &GroupOwner) -> GroupStatusDocument {
    let status = if owner.closing().is_some() { GroupStatus::Ended } else { GroupStatus::Created };
    GroupStatusDocument {
        link_written: owner.is_written(),
        roster_version: owner.roster().version(),
        known_to_relays_as: owner.persona().map(|persona| persona.profile().display_name.clone()),
        receives_at: owner.persona().map(|persona| persona.server().address.clone()),
        relays: owner.relays().iter().map(|record| of_relay(owner, record)).collect(),
        ..of_group(owner.link().group(), status)
    }
}

fn of_owners(group: &OwnGroup) -> Vec<OwnerStatusDocument> {
    let status = |owner: &ListedOwner| OwnerStatusDocument {
        owner_id: owner.id().clone(),
        owner_public_key: owner.key(),
        is_self: *owner.id() == group.ownership().owner_id,
    };
    if group.owners().len() > 1 { group.owners().iter().map(status).collect() } else { Vec::new() }
}

fn of_relay(owner: &GroupOwner, record: &RelayRecord) -> RelayStatusDocument {
    let ext = record.capabilities().map(|can| can.ext.0.as_slice()).unwrap_or_default();
    RelayStatusDocument {
        relay_id: record.id().clone(),
        display_name: record.profile().map(|profile| profile.display_name.clone()),
        status: record.status(),
        stage: record.active_stage(),
        changed_at: record.history().last().map(|change| change.changed_at),
        reason: record.reason_code(),
        reason_text: record.reason().map(|reason| reason.to_string()),
        problem: record.problem().map(str::to_owned),
        connected: record.is_connected(),
        listed: owner.lists(record),
        unfinished: record.has_tasks(),
        address: record.address().clone(),
        relay_link: record.relay_link().map(str::to_owned),
        bound_by: record.binding(),
        versions: record.versions().map(|versions| versions.to_string()),
        extensions: ext.iter().map(|extension| extension.name().to_owned()).collect(),
        accepting: record.accepting(),
    }
}
