//! The member document: a group as one of its members keeps it.

use agent::short_link::ContactShortLink;
use codec::VersionRange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ConnectionRecords, DiscardedDocument, PersonaDocument, VerifiedOwnerDocument};
use crate::binding::GroupBinding;
use crate::bytes::{Base64Url, text_form, text_form_option, unpadded, unpadded_option};
use crate::identity::{GroupId, MemberId, MemberKey, MemberPublicKey, RelayPublicKey};
use crate::member::Role;
use crate::membership::{ContentLine, EndReason, GoneReason, Health, MarkWatch, Status};
use crate::message_id::MessageId;
use crate::profile::{GroupProfile, GroupType};
use crate::roster::Roster;
use crate::roster_transfer::RosterTransfer;
use crate::user_data::RelayProfile;

/// A group as one of its members keeps it. Whoever has it is the member
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MemberDocument {
    /// The group link
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub link: ContactShortLink,
    /// The group's name
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub group_id: GroupId,
    /// `channel` or `group`
    #[schemars(with = "String")]
    pub group_type: GroupType,
    /// What the group says about itself, with the field names of the chat protocol
    pub profile: GroupProfile,
    /// Members and owners, not relays, if the link says how many
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_count: Option<u64>,
    /// Who may sign for the group
    pub owners: Vec<VerifiedOwnerDocument>,
    /// Who the member is in this group, and in no other
    pub member: MemberKeysDocument,
    /// What the member may do
    #[schemars(with = "String")]
    pub role: Role,
    /// Why the membership is over, if it is
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<EndReason>,
    /// How the member appears to the relays and members of this group
    pub persona: PersonaDocument,
    /// Every relay that the group link lists, or listed
    pub relays: Vec<MemberRelayDocument>,
    /// The members with rights
    #[serde(default, skip_serializing_if = "is_empty")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub roster: Roster,
    /// Messages that some relays have not delivered yet
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<AwaitedDocument>,
    /// What owners counted of what was said, and what of it did not come
    #[serde(default, skip_serializing_if = "is_unseen")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub(crate) transcript: MarkWatch,
    /// What was seen behind the group link
    pub link_watch: LinkWatchDocument,
    /// The number of the next relay
    pub next_relay: u32,
    /// The number of the next message for a relay
    pub next_to_send: u64,
    /// Secret: what the connections with relays need to go on
    #[serde(default, skip_serializing_if = "ConnectionRecords::is_empty")]
    pub connections: ConnectionRecords,
}

/// The member's name and key in the group, the same at all relays
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MemberKeysDocument {
    /// The member's name in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub member_id: MemberId,
    /// Ed25519; checks what the member signs
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub member_public_key: MemberPublicKey,
    /// Secret: signs what the member does in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub member_private_key: MemberKey,
}

/// One relay, as a member keeps it
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MemberRelayDocument {
    /// Its local number
    pub number: u32,
    /// Its relay link, as the group link lists it
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub link: ContactShortLink,
    /// How far it is
    pub status: Status,
    /// Why it is gone
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<GoneReason>,
    /// The relay's name in the group. Present, as the next four, once its relay link passed every check
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Base64Url>")]
    pub relay_id: Option<MemberId>,
    /// Ed25519; checks what the relay signs
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Base64Url>")]
    pub public_key: Option<RelayPublicKey>,
    /// How firmly the relay link belongs to the group
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_by: Option<GroupBinding>,
    /// What the relay says about itself, with the field names of the chat protocol
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<RelayProfile>,
    /// What the relay does beyond the protocol
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
    /// Versions of the chat protocol that the relay speaks
    #[serde(default, with = "text_form_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub versions: Option<VersionRange>,
    /// Whether a relay that admits the member has, or will have, its word
    #[serde(default, skip_serializing_if = "is_false")]
    pub allowed: bool,
    /// Since when messages come and go, in Unix seconds
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_at: Option<i64>,
    /// How far the connection for content is, of connected relays
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentLine>,
    /// Whether the relay waits until the connection for content stands
    #[serde(default, skip_serializing_if = "is_false")]
    pub may_pair: bool,
    /// Whether something was said through the first connection, so that the rest follows there
    #[serde(default, skip_serializing_if = "is_false")]
    pub spoke: bool,
    /// What stands in the way
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How well it delivers
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// How often it was joined again
    pub attempt: u32,
    /// What is still to be sent to it, in this order
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_send: Vec<UnsentDocument>,
    /// Connections that are still to be deleted
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_delete: Vec<DiscardedDocument>,
    /// The version of the roster up to which the relay was asked for what is missing
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_roster: Option<i64>,
    /// The roster that is on its way
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub transfer: Option<RosterTransfer>,
}

/// A message that a relay does not have yet
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct UnsentDocument {
    /// Its number among all that was said to relays
    pub number: u64,
    /// Its name; requests to the relay itself have none
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Base64Url>")]
    pub message_id: Option<MessageId>,
    /// The message
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub body: Vec<u8>,
}

/// A message that some relays have not delivered yet
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AwaitedDocument {
    /// Which
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub message_id: MessageId,
    /// When it came first, in Unix seconds
    pub first_at: i64,
    /// The numbers of those relays
    pub relays: Vec<u32>,
}

/// What was seen behind the group link
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LinkWatchDocument {
    /// When it is read next, in Unix seconds
    pub next_at: i64,
    /// SHA-256 of all data that was seen, the newest last
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub seen: Vec<u8>,
}

impl MemberDocument {
    /// The fields that only the member may see.
    pub const SECRETS: &'static [&'static str] =
        &["member.member_private_key", "persona.server_password", "connections"];
}

fn is_unseen(marks: &MarkWatch) -> bool {
    *marks == MarkWatch::default()
}

fn is_empty(roster: &Roster) -> bool {
    *roster == Roster::default()
}

fn is_false(value: &bool) -> bool {
    !value
}
