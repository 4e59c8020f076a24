//! What happens in a group: every event with its parameters, whether it must be signed, and whether relays forward it.
//!
//! | direction | events |
//! |---|---|
//! | between owner and relay, before the relay serves the group | `x.grp.relay.test`, `.inv`, `.acpt`, `.reject`, `x.ok` |
//! | between relay and joiner, in the handshake | `x.member`, `x.grp.link.inv`, `x.grp.link.reject`, `x.info` |
//! | from a relay about itself and members | `x.grp.link.mem`, `x.grp.mem.new`, `x.grp.mem.intro`, `x.grp.relay.cap` |
//! | from owners and moderators to everybody | the other `x.grp.…` |
//! | content, to everybody | `x.msg.…`, `x.file.cancel` |
//!
//! Parameters are named as on the wire. Those that we do not know are ignored; events that we do not know are kept with
//! their parameters, but nobody passes them on.

use codec::time::UtcTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bytes::{der, der_option, padded, padded_option, text_form};
use crate::content::{FileDescriptionPart, MessageDeletion, MessageReaction, MessageUpdate, NewMessage, Scope};
use crate::extension::Extensions;
use crate::identity::{MemberId, MemberPublicKey};
use crate::json;
use crate::member::{MemberIdRole, MemberInfo, MemberProfile, MemberRestrictions, Role};
use crate::message::{Message, MessageError};
use crate::message_id::MessageId;
use crate::profile::GroupProfile;
use crate::roster::RosterVersion;
use crate::transcript::Transcript;
use crate::wire_name::wire_names;

/// Whether an event must be signed in groups with relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// Nobody believes it unsigned.
    Required,
    /// Its author decides.
    Optional,
    /// Nobody signs it: the connection it goes through says enough.
    Never,
}

/// Whether relays pass an event on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forwarding {
    Forwarded,
    Kept,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:literal $variant:ident $(($params:ident: $type:ty))?, $signing:ident, $forwarding:ident;)+) => {
        /// Something that happens in a group.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $($(#[$doc])* $variant $(($type))?,)+
            /// An event of a later version, or of another program.
            Unknown(UnknownEvent),
        }

        impl Event {
            /// The name on the wire.
            pub fn name(&self) -> &str {
                match self {
                    $(Event::$variant { .. } => $name,)+
                    Event::Unknown(event) => &event.name,
                }
            }

            /// Whether it must be signed.
            pub fn signing(&self) -> Signing {
                match self {
                    $(Event::$variant { .. } => Signing::$signing,)+
                    Event::Unknown(_) => Signing::Optional,
                }
            }

            fn forwarding(&self) -> Forwarding {
                match self {
                    $(Event::$variant { .. } => Forwarding::$forwarding,)+
                    Event::Unknown(_) => Forwarding::Kept,
                }
            }

            /// Whether another event is written down in the same words.
            pub(crate) fn says(&self, other: &Event) -> bool {
                self.name() == other.name() && self.params() == other.params()
            }

            pub(crate) fn params(&self) -> Map<String, Value> {
                match self {
                    $(Event::$variant $(($params))? => events!(@write $($params)?),)+
                    Event::Unknown(event) => event.params.clone(),
                }
            }

            pub(crate) fn from_parts(name: String, params: Map<String, Value>) -> Result<Self, MessageError> {
                match name.as_str() {
                    $($name => events!(@read $name, params, $variant $(, $type)?),)+
                    _ => UnknownEvent::new(name, params).map(Event::Unknown),
                }
            }
        }
    };
    (@write) => { Map::new() };
    (@write $params:ident) => { json::object($params) };
    (@read $name:literal, $params:ident, $variant:ident) => { Ok(Event::$variant) };
    (@read $name:literal, $params:ident, $variant:ident, $type:ty) => {
        serde_json::from_value::<$type>(Value::Object($params))
            .map(Event::$variant)
            .map_err(|_| MessageError::Params($name))
    };
}

events! {
    /// Proves that a relay holds the key of its address.
    "x.grp.relay.test" GroupRelayTest(test: RelayTest), Never, Kept;
    /// Asks a relay to serve a group.
    "x.grp.relay.inv" GroupRelayInvite(invite: RelayInvite), Never, Kept;
    /// The relay serves the group under this link.
    "x.grp.relay.acpt" GroupRelayAccept(accept: RelayAccept), Never, Kept;
    /// The relay does not serve the group.
    "x.grp.relay.reject" GroupRelayReject(reject: RelayReject), Never, Kept;
    /// Ends a handshake that says nothing else.
    "x.ok" Ok, Never, Kept;
    /// There is another relay to connect to.
    "x.grp.relay.new" GroupRelayNew(relay: RelayNew), Required, Forwarded;
    /// What the relay can do.
    "x.grp.relay.cap" GroupRelayCapabilities(capabilities: RelayCapabilitiesChange), Never, Kept;
    /// Asks a relay for admission to the group.
    "x.member" Member(member: Box<Join>), Optional, Kept;
    /// The relay admits the joiner.
    "x.grp.link.inv" GroupLinkInvite(invite: Box<LinkInvite>), Never, Kept;
    /// The relay does not admit the joiner.
    "x.grp.link.reject" GroupLinkReject(reject: LinkReject), Never, Kept;
    /// What a member says about itself.
    "x.info" Info(info: Box<OwnProfile>), Required, Forwarded;
    /// What a relay says about itself; signed by later relays only.
    "x.grp.link.mem" GroupLinkMember(info: Box<OwnProfile>), Optional, Kept;
    /// There is a member whom the recipient may not know.
    "x.grp.mem.new" GroupMemberNew(member: Box<MemberNew>), Never, Forwarded;
    /// The relay introduces owners and moderators to a joiner.
    "x.grp.mem.intro" GroupMemberIntroduction(member: Box<MemberIntroduction>), Never, Kept;
    /// A member gets another role.
    "x.grp.mem.role" GroupMemberRole(change: RoleChange), Required, Forwarded;
    /// A member is blocked, or no longer.
    "x.grp.mem.restrict" GroupMemberRestrict(restriction: MemberRestriction), Required, Forwarded;
    /// A member or a relay is removed.
    "x.grp.mem.del" GroupMemberDelete(removal: MemberRemoval), Required, Forwarded;
    /// Whoever says it leaves.
    "x.grp.leave" GroupLeave, Required, Forwarded;
    /// The group ends.
    "x.grp.del" GroupDelete, Required, Forwarded;
    /// What the group says about itself.
    "x.grp.info" GroupInfo(info: Box<GroupInfo>), Required, Forwarded;
    /// Which features are on.
    "x.grp.prefs" GroupPreferences(preferences: GroupPreferencesChange), Required, Forwarded;
    /// Announces a roster, which follows in chunks.
    "x.grp.roster" GroupRoster(roster: RosterHeader), Required, Kept;
    /// The relay has the roster, or could not use it.
    "x.grp.roster.ack" GroupRosterAcknowledgement(acknowledgement: RosterAcknowledgement), Never, Kept;
    /// A member misses changes of the roster.
    "x.grp.roster.request" GroupRosterRequest(request: RosterRequest), Never, Kept;
    /// A message.
    "x.msg.new" MessageNew(message: Box<NewMessage>), Optional, Forwarded;
    /// A message changes.
    "x.msg.update" MessageUpdate(update: Box<MessageUpdate>), Optional, Forwarded;
    /// A message is deleted, by its author or a moderator.
    "x.msg.del" MessageDelete(deletion: MessageDeletion), Optional, Forwarded;
    /// A reaction to a message.
    "x.msg.react" MessageReact(reaction: MessageReaction), Never, Forwarded;
    /// Where the file of a message is.
    "x.msg.file.descr" MessageFileDescription(part: FileDescriptionPart), Never, Forwarded;
    /// The file of a message is no longer there.
    "x.file.cancel" FileCancel(cancel: FileCancel), Never, Forwarded;
    /// Somebody else's message as JSON; read from old programs, never written.
    "x.grp.msg.forward" GroupMessageForward(forward: Box<JsonForward>), Never, Kept;
    /// Extension `pair1`: nothing more is forwarded through this connection; what follows comes through the one for
    /// content.
    "x.grp.relay.pair" GroupRelayPair, Never, Kept;
    /// Extension `ready1`: the relay found itself in the group link.
    "x.grp.relay.ready" GroupRelayReady, Never, Kept;
    /// Extension `susp1`: an owner suspends or resumes the admission of members, or asks how it stands.
    "x.grp.relay.ctl" GroupRelayControl(control: RelayControl), Required, Kept;
    /// Extension `susp1`: how it stands.
    "x.grp.relay.state" GroupRelayState(state: RelayState), Never, Kept;
}

impl Event {
    /// Whether relays pass it on to the group.
    pub fn is_forwarded(&self) -> bool {
        let for_the_relay = matches!(self, Event::MessageDelete(deletion) if deletion.only_history == Some(true));
        self.forwarding() == Forwarding::Forwarded && !for_the_relay
    }

    /// Whether it is something that members say, and not something that happens to the group. Only that may come from
    /// the group without an author.
    pub fn is_content(&self) -> bool {
        matches!(
            self,
            Event::MessageNew(_)
                | Event::MessageUpdate(_)
                | Event::MessageDelete(_)
                | Event::MessageReact(_)
                | Event::MessageFileDescription(_)
                | Event::FileCancel(_)
        )
    }

    /// Whether it is said as the group, which only owners may.
    pub fn is_as_group(&self) -> bool {
        match self {
            Event::MessageNew(message) => message.as_group == Some(true),
            Event::MessageUpdate(update) => update.as_group == Some(true),
            _ => false,
        }
    }

    /// In whose chat with the moderators it is said, if not to the whole group.
    pub fn scope(&self) -> Option<&Scope> {
        match self {
            Event::MessageNew(message) => message.scope.as_ref(),
            Event::MessageUpdate(update) => update.scope.as_ref(),
            Event::MessageDelete(deletion) => deletion.scope.as_ref(),
            Event::MessageReact(reaction) => reaction.scope.as_ref(),
            Event::GroupMemberNew(member) => member.scope.as_ref(),
            _ => None,
        }
    }

    /// Whether a moderator deletes what somebody else wrote.
    pub fn is_moderation(&self) -> bool {
        matches!(self, Event::MessageDelete(deletion) if deletion.member_id.is_some())
    }
}

/// An event that we do not know.
#[derive(Debug, Clone, PartialEq)]
pub struct UnknownEvent {
    name: String,
    /// What came with it.
    pub params: Map<String, Value>,
}

impl UnknownEvent {
    /// An event with this name, which begins with `x.` and has no spaces.
    pub fn new(name: String, params: Map<String, Value>) -> Result<Self, MessageError> {
        let well_formed = name.starts_with("x.") && !name.contains(char::is_whitespace);
        if well_formed { Ok(UnknownEvent { name, params }) } else { Err(MessageError::EventName) }
    }

    /// The name on the wire.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Parameters of `x.grp.relay.test`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayTest {
    /// Random bytes of the owner.
    #[serde(with = "padded")]
    pub challenge: Vec<u8>,
    /// The relay's signature of them.
    #[serde(default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    pub signature: Option<Vec<u8>>,
}

/// Parameters of `x.grp.relay.inv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayInvite {
    /// The invitation.
    pub group_relay_invitation: Box<GroupRelayInvitation>,
}

/// What an owner tells a relay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupRelayInvitation {
    /// The owner.
    pub from_member: MemberIdRole,
    /// What the owner says about itself.
    pub from_member_profile: MemberProfile,
    /// The relay's name in the group.
    #[serde(with = "padded")]
    pub relay_member_id: MemberId,
    /// The group link.
    pub group_link: String,
    /// What the owner's program does beyond the protocol.
    #[serde(default, skip_serializing_if = "Extensions::is_empty")]
    pub ext: Extensions,
}

/// Parameters of `x.grp.relay.acpt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayAccept {
    /// The relay link. Owners publish it exactly as it stands here: others compare it byte by byte.
    pub relay_link: String,
    /// What the relay can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_cap: Option<RelayCapabilities>,
}

/// What a relay can do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayCapabilities {
    /// Where it shows groups as web pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_domain: Option<String>,
    /// What it does beyond the protocol.
    #[serde(default, skip_serializing_if = "Extensions::is_empty")]
    pub ext: Extensions,
}

/// Parameters of `x.grp.relay.reject`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayReject {
    /// Why.
    pub reason: RejectionReason,
}

wire_names! {
    /// Why a relay does not serve a group. Owners treat all reasons alike.
    pub enum RejectionReason {
        /// The relay left the group before.
        RejoinRejected = "rejoin_rejected",
        /// The group link says something that the relay does not accept.
        BadProfile = "bad_profile",
        /// The relay's operator does not want such groups.
        Policy = "policy",
        /// The relay is full.
        Capacity = "capacity",
    }

    /// What an owner wants of a relay.
    pub enum RelayCommand {
        /// Admit nobody.
        Suspend = "suspend",
        /// Admit members again.
        Resume = "resume",
        /// Say how it stands.
        Status = "status",
    }

    /// Where a joiner stands.
    pub enum Acceptance {
        /// In the group.
        Accepted = "accepted",
        /// An owner has to admit it.
        Pending = "pending",
        /// Moderators have to look at it.
        PendingReview = "pending_review",
    }

    /// Which of two connections is opened, with extension `pair1`.
    pub enum ConnectionPurpose {
        /// The one for content.
        Content = "msg",
    }
}

/// Parameters of `x.grp.relay.new`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayNew {
    /// The relay link, as the group link lists it.
    pub relay_link: String,
}

/// Parameters of `x.grp.relay.cap`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayCapabilitiesChange {
    /// What the relay can do from now on.
    pub relay_cap: RelayCapabilities,
}

/// Parameters of `x.member`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Join {
    /// What the joiner says about itself.
    pub profile: MemberProfile,
    /// The joiner's name in the group, the same at all relays.
    #[serde(with = "padded")]
    pub new_member_id: MemberId,
    /// The joiner's key in the group, the same at all relays.
    #[serde(with = "der")]
    pub new_member_key: MemberPublicKey,
    /// The relay that this is for, so that it cannot be used at another.
    #[serde(default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    pub via_relay: Option<MemberId>,
    /// What the joiner's program does beyond the protocol.
    #[serde(default, skip_serializing_if = "Extensions::is_empty")]
    pub ext: Extensions,
    /// What the connection is for, if there are two.
    #[serde(rename = "conn", skip_serializing_if = "Option::is_none")]
    pub purpose: Option<ConnectionPurpose>,
}

/// Parameters of `x.grp.link.inv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkInvite {
    /// The invitation.
    pub group_link_invitation: GroupLinkInvitation,
}

/// What a relay tells a joiner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupLinkInvitation {
    /// The relay.
    pub from_member: MemberIdRole,
    /// The relay's name.
    pub from_member_name: String,
    /// The relay's key, from later relays; the relay link is what counts.
    #[serde(default, with = "der_option", skip_serializing_if = "Option::is_none")]
    pub from_member_key: Option<MemberPublicKey>,
    /// The joiner.
    pub invited_member: MemberIdRole,
    /// The group, as the relay knows it.
    pub group_profile: GroupProfile,
    /// Where the joiner stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Acceptance>,
    /// Settings of business chats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business: Option<Value>,
    /// How many members there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_size: Option<i64>,
    /// What the relay does beyond the protocol.
    #[serde(default, skip_serializing_if = "Extensions::is_empty")]
    pub ext: Extensions,
}

/// Parameters of `x.grp.link.reject`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkReject {
    /// Why, in words that are not fixed.
    pub group_link_rejection: Map<String, Value>,
}

/// Parameters of `x.info` and `x.grp.link.mem`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnProfile {
    /// What the sender says about itself.
    pub profile: MemberProfile,
    /// The sender's key, from later programs.
    #[serde(default, with = "der_option", skip_serializing_if = "Option::is_none")]
    pub member_key: Option<MemberPublicKey>,
}

/// Parameters of `x.grp.mem.new`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberNew {
    /// The member.
    pub member_info: MemberInfo,
    /// Set if only moderators are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// Parameters of `x.grp.mem.intro`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberIntroduction {
    /// The member.
    pub member_info: MemberInfo,
    /// What moderators decided about the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_restrictions: Option<MemberRestrictions>,
}

/// Parameters of `x.grp.mem.role`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleChange {
    /// Whose role.
    #[serde(with = "padded")]
    pub member_id: MemberId,
    /// The new role.
    pub role: Role,
    /// The member's key, which is pinned.
    #[serde(default, with = "der_option", skip_serializing_if = "Option::is_none")]
    pub member_key: Option<MemberPublicKey>,
    /// The version of the roster after the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roster_version: Option<RosterVersion>,
}

/// Parameters of `x.grp.mem.restrict`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberRestriction {
    /// Who.
    #[serde(with = "padded")]
    pub member_id: MemberId,
    /// What is decided.
    pub member_restrictions: MemberRestrictions,
}

/// Parameters of `x.grp.mem.del`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberRemoval {
    /// Who.
    #[serde(with = "padded")]
    pub member_id: MemberId,
    /// Whether what the member wrote is deleted too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<bool>,
    /// The version of the roster after the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roster_version: Option<RosterVersion>,
}

/// Parameters of `x.grp.info`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupInfo {
    /// What the group says about itself.
    pub group_profile: GroupProfile,
    /// How much was said, by the count of the owner who says it.
    #[serde(default, skip_serializing_if = "Transcript::is_empty")]
    pub transcript: Transcript,
}

impl From<GroupProfile> for GroupInfo {
    fn from(group_profile: GroupProfile) -> Self {
        GroupInfo { group_profile, transcript: Transcript::default() }
    }
}

/// Parameters of `x.grp.prefs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupPreferencesChange {
    /// Which features are on.
    pub group_preferences: Map<String, Value>,
}

/// Parameters of `x.grp.roster`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RosterHeader {
    /// The version of the roster.
    pub version: RosterVersion,
    /// What follows in chunks.
    pub file_inv: InlineFileInvitation,
}

/// A file that follows in chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InlineFileInvitation {
    /// Its length.
    pub file_size: u64,
    /// SHA-512 of it.
    #[serde(with = "padded")]
    pub file_digest: [u8; 64],
}

/// Parameters of `x.grp.roster.ack`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterAcknowledgement {
    /// Which roster.
    pub version: RosterVersion,
    /// Why it could not be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Parameters of `x.grp.roster.request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterRequest {
    /// Up to which version nothing is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<RosterVersion>,
}

/// Parameters of `x.file.cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCancel {
    /// The message that the file belongs to.
    #[serde(rename = "msgId", with = "padded")]
    pub message_id: MessageId,
}

/// Parameters of `x.grp.msg.forward`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JsonForward {
    /// Who said it; absent for the group.
    #[serde(default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// The author's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_name: Option<String>,
    /// What was said; never another forward.
    #[serde(rename = "msg")]
    pub message: Message,
    /// When it reached whoever forwards it.
    #[serde(rename = "msgTs", with = "text_form")]
    pub sent_at: UtcTime,
}

/// Parameters of `x.grp.relay.ctl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayControl {
    /// What the owner wants.
    #[serde(rename = "cmd")]
    pub command: RelayCommand,
}

/// Parameters of `x.grp.relay.state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayState {
    /// Whether the relay admits members.
    pub accepting: bool,
}
