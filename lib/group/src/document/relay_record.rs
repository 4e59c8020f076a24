//! The relays of a group in its document: how far each of them is, and what is still to be done.

use agent::short_link::ContactShortLink;
use codec::VersionRange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smp::address::ServerAddress;

use super::group::ServerPassword;
use crate::binding::GroupBinding;
use crate::bytes::{Base64Url, text_form, text_form_option, unpadded, unpadded_option};
use crate::identity::{MemberId, RelayPublicKey};
use crate::member::MemberProfile;
use crate::membership::Health;
use crate::message_id::MessageId;
use crate::owner::{ActiveStage, Status, StatusChange};
use crate::roster::RosterVersion;
use crate::roster_transfer::RosterTransfer;
use crate::user_data::RelayProfile;

/// How the owner appears to the relays of this group, and to no others
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PersonaDocument {
    /// What relays are told about the owner, with the field names of the chat protocol
    pub profile: MemberProfile,
    /// Where queues for messages from relays are
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub server: ServerAddress,
    /// Secret: lets its holder create queues on the server
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_password: Option<ServerPassword>,
    /// Whether the name was chosen; otherwise it is a random one, and stays
    #[serde(default, skip_serializing_if = "is_false")]
    pub known: bool,
}

/// One invitation of one relay
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RelayRecordDocument {
    /// The relay's name in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub relay_id: MemberId,
    /// The relay address
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub address: ContactShortLink,
    /// How far the relay is
    pub status: Status,
    /// What an active relay knows of being listed
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<ActiveStage>,
    /// Why it is inactive or rejected
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonCode>,
    /// The reason in the relay's words, or in those of whatever found it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_detail: Option<String>,
    /// What stands in the way
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The relay link, exactly as the relay wrote it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_link: Option<String>,
    /// Ed25519; checks what the relay signs. Present once the relay link passed every check
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Base64Url>")]
    pub public_key: Option<RelayPublicKey>,
    /// How firmly the relay link belongs to the group
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_by: Option<GroupBinding>,
    /// What the relay says about itself, with the field names of the chat protocol
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<RelayProfile>,
    /// Versions of the chat protocol that the relay speaks
    #[serde(default, with = "text_form_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub versions: Option<VersionRange>,
    /// Where the relay shows groups as web pages
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_domain: Option<String>,
    /// What the relay does beyond the protocol
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
    /// The version of the roster that the relay acknowledged
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>")]
    pub roster_version: Option<RosterVersion>,
    /// Whether the relay admits members, if it said so
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepting: Option<bool>,
    /// The local name of the connection with the relay
    pub connection: String,
    /// How far the connection with a relay is that accepted
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake: Option<HandshakeDocument>,
    /// How often the relay was asked again
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
    /// Whether it is to be asked again
    #[serde(default, skip_serializing_if = "is_false")]
    pub ask_again: bool,
    /// What is still to be said to the relay, in this order
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_say: Vec<OwedDocument>,
    /// What is still to be said to a relay that is inactive or rejected
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parting: Option<PartingDocument>,
    /// Connections that are still to be deleted
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_delete: Vec<DiscardedDocument>,
    /// All changes of the status
    pub history: Vec<StatusChange>,
    /// How well it delivers what members say, once it has
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// The roster of another owner that is on its way
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub transfer: Option<RosterTransfer>,
    /// How many of the owner's last posts the relay gets before the group link lists it
    #[serde(default, skip_serializing_if = "is_zero")]
    pub posts_to_give: u32,
    /// The version of the roster up to which the relay was asked for what is missing
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_roster: Option<i64>,
}

/// A message that some relays have not delivered to the owner yet
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwaitedByOwnerDocument {
    /// Which
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub message_id: MessageId,
    /// When it came first, in Unix seconds
    pub first_at: i64,
    /// Those relays
    pub relays: Vec<RelayIdDocument>,
}

/// A relay's name in the group
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RelayIdDocument(
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub MemberId,
);

/// How many members there are, as far as relays tell
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeadcountDocument {
    /// Owners, and members that nobody has heard of: what the link said when counting began
    pub unheard: u64,
    /// Members that relays told of and that are there
    pub present: u64,
    /// Those of them that the link tells of
    pub published: u64,
    /// When the link was changed last for this alone, in Unix seconds
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<i64>,
}

/// Why a relay is inactive or rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// Inactive: the owner gave it up before it was listed
    Cancelled,
    /// Inactive: the owner removed it and told it
    Removed,
    /// Inactive: the owner removed it without telling it
    RemovedUnnotified,
    /// Inactive: it left by itself
    Left,
    /// Inactive: the link was published without it
    Unlisted,
    /// Inactive: the owner ended the group
    GroupDeleted,
    /// Inactive: the connection with it is lost
    ConnectionLost,
    /// Rejected: it refused
    Refused,
    /// Rejected: its address is none
    Address,
    /// Rejected: it answered with something else than yes or no
    Answer,
    /// Rejected: its relay link does not say what it must
    RelayLink,
    /// Rejected: it does not take the roster
    Roster,
}

/// How far a connection with a relay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeDocument {
    /// The relay waits for the owner's word
    Answered,
    /// It has it, or will
    Allowed,
    /// Both sides can talk
    Connected,
}

/// What is still to be said to a relay that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartingDocument {
    /// That its refusal was heard
    Allow,
    /// What there is to say
    Say,
}

/// Something to say
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwedDocument {
    /// The name of the message
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub message_id: MessageId,
    /// The event: `x.grp.roster`, `x.grp.info`, `x.grp.relay.new`, `x.grp.mem.del`, `x.grp.relay.ctl` or
    /// `x.grp.roster.request`; `x.msg` for any message to the group
    pub event: String,
    /// The relay that it is about
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Base64Url>")]
    pub about: Option<MemberId>,
    /// The command, if it is one
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The bytes of a message to the group, or of a transcript mark
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Base64Url>")]
    pub body: Option<Vec<u8>>,
    /// The version of the roster after which something is missing
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>")]
    pub version: Option<RosterVersion>,
}

/// A connection that is to be deleted
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiscardedDocument {
    /// Its local name
    pub connection: String,
    /// Whether messages that wait are delivered first
    pub deliver: bool,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_false(value: &bool) -> bool {
    !value
}
