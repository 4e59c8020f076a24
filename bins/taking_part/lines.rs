//! The lines that `grp-recv` prints: what members and owners say, and what relays make of it.

use cli::{Blob, Document};
use group::identity::MemberId;
use group::keys::KeySource;
use group::membership::{
    Compared, Difference, Event, Finding, GoneReason, Heard, Mark, Membership, RelayName, RelayNumber, Status,
};
use group::message_id::MessageId;
use group::owner::{self, GroupOwner};
use group::verification::Trust;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How the names of events begin that are messages, or about them.
const MESSAGE: &str = "x.msg.";

/// Something that happened in a group
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GroupEvent {
    /// What happened
    pub happened: Happened,
    /// When it arrived here, in Unix seconds
    pub at: i64,
    /// The relay that delivered it, or that it is about: its name in the group
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_id: Option<Blob>,
    /// What the relay calls itself
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_name: Option<String>,
    /// The message
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Blob>,
    /// Who said it; absent when the group said it and its owner is not told
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author_id: Option<Blob>,
    /// What the author is called, as far as relays tell
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author_name: Option<String>,
    /// Whether it is said as the group
    #[serde(default, skip_serializing_if = "is_false")]
    pub as_group: bool,
    /// What its signature is worth
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// Where the key comes from that the signature was checked with
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_from: Option<KeyFrom>,
    /// When it reached the relay, as that says, in Unix seconds
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<i64>,
    /// The event's name in the chat protocol
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The text, if there is one
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The event's parameters, with the field names of the chat protocol
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Map<String, Value>>,
    /// It takes the place of a copy without a signature that was printed before
    #[serde(default, skip_serializing_if = "is_false")]
    pub replaces: bool,
    /// An edit of it was printed before
    #[serde(default, skip_serializing_if = "is_false")]
    pub edited_before: bool,
    /// Its deletion was printed before
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted_before: bool,
    /// Moderators blocked its author
    #[serde(default, skip_serializing_if = "is_false")]
    pub blocked: bool,
    /// What is wrong with what relays delivered
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<MarkOfRelay>,
    /// The owner whose transcript mark counts it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked_by: Option<Blob>,
    /// How many posts are missing that the mark does not name
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<u64>,
    /// Members whose role changed
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleOfMember>,
    /// How far the relay is
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RelayStatus>,
    /// More about it, for people
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Document for GroupEvent {
    const TYPE: &'static str = "group_event";
    const V: u32 = 1;
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// Somebody said something, or did something that concerns the group
    Said,
    /// Another relay delivered the same
    Confirmed,
    /// A relay delivered the same with a right signature, which no other copy had
    Verified,
    /// Relays delivered different copies of a message
    Different,
    /// Something was refused: somebody may be forging messages
    Refused,
    /// Something was dropped: it cannot be read, or is not for its author to say
    Dropped,
    /// A relay has not delivered what others have
    Missing,
    /// A relay delivered what was missing
    Late,
    /// No relay delivered a post that an owner counted
    Withheld,
    /// What relays delivered of a post is something else than an owner counted
    Altered,
    /// A post of the member itself did not reach an owner
    Unmarked,
    /// The group link held an older transcript mark than one that was seen before, or none
    MarkReplayed,
    /// An owner's transcript mark says something else of earlier posts than the one before
    MarkRewritten,
    /// Somebody names another key for a member than the one that is known, which stays
    OtherKey,
    /// Members have other roles
    Roles,
    /// The list of members with rights is known up to a version
    Roster,
    /// The group says something else about itself
    Profile,
    /// A relay is further, or gone
    Relay,
    /// The server of the group link returned old data, or none that can be used
    Link,
    /// The membership is over
    Ended,
}

/// What a signature is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// It is right
    Verified,
    /// There is one, and no key to check it with
    UnknownKey,
    /// There is none: the relay may have written it
    None,
}

/// Where a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyFrom {
    /// The group link: it is an owner's
    GroupLink,
    /// The relay's own link
    RelayLink,
    /// Owners signed it
    Roster,
    /// A relay's word
    Asserted,
}

/// How far a relay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RelayStatus {
    /// For a member
    OfMember(Status),
    /// For an owner
    OfOwner(owner::Status),
}

/// What is wrong with what a relay delivered
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MarkOfRelay {
    /// The relay's name in the group
    pub relay_id: Blob,
    /// `content`, `author`, `signature` or `equivocation`
    pub difference: DifferenceName,
    /// Whether a signature refutes it, or an owner's transcript mark, or what the same relay delivered before
    pub refuted: bool,
}

/// How copies differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceName {
    /// They say something else
    Content,
    /// Somebody else is said to have written it
    Author,
    /// It says the same, but without the signature
    Signature,
    /// Both are signed: its author said two things
    Equivocation,
}

/// A member and its role
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RoleOfMember {
    /// The member's name in the group
    pub member_id: Blob,
    /// The new role
    pub role: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Bytes of an ID.
pub fn blob_of_message(id: &MessageId) -> Blob {
    Blob(id.as_bytes().to_vec())
}

/// Bytes of an ID.
pub fn blob_of_member(id: &MemberId) -> Blob {
    Blob(id.as_bytes().to_vec())
}

/// Whoever knows the relays of a group.
pub trait Relays {
    /// What a relay calls itself.
    fn name_of(&self, relay: &MemberId) -> Option<String>;

    /// The name in the group of the relay with this local number.
    fn id_of(&self, relay: RelayNumber) -> Option<MemberId>;
}

impl Relays for Membership {
    fn name_of(&self, relay: &MemberId) -> Option<String> {
        let profile = self.relay_with_id(relay).and_then(|record| record.profile());
        profile.map(|profile| profile.display_name.clone())
    }

    fn id_of(&self, relay: RelayNumber) -> Option<MemberId> {
        self.relay(relay).and_then(|record| record.id()).cloned()
    }
}

impl Relays for GroupOwner {
    fn name_of(&self, relay: &MemberId) -> Option<String> {
        let profile = self.relay(relay).and_then(|record| record.profile());
        profile.map(|profile| profile.display_name.clone())
    }

    /// Owners have no numbers for relays.
    fn id_of(&self, _: RelayNumber) -> Option<MemberId> {
        None
    }
}

impl GroupEvent {
    /// The line for something that an owner was told; nothing for what only concerns the run itself.
    pub fn of_owner(event: &owner::Event, owner: &GroupOwner, at: i64) -> Option<Self> {
        let new = |happened| GroupEvent::new(happened, at);
        match event {
            owner::Event::Group(event) => GroupEvent::of(event.as_ref(), owner, at),
            owner::Event::Dropped { relay, reason } => {
                Some(GroupEvent { detail: Some(reason.clone()), ..new(Happened::Dropped).by_relay(relay, owner) })
            }
            owner::Event::Status { relay, status, .. } => Some(GroupEvent {
                status: Some(RelayStatus::OfOwner(*status)),
                detail: owner.relay(relay).and_then(|record| record.reason()).map(|reason| reason.to_string()),
                ..new(Happened::Relay).by_relay(relay, owner)
            }),
            _ => None,
        }
    }

    /// The line for something that a member was told, or an owner as well; nothing for what only concerns the run itself.
    pub fn of(event: &Event, member: &impl Relays, at: i64) -> Option<Self> {
        let new = |happened| GroupEvent::new(happened, at);
        Some(match event {
            Event::Heard(heard) => new(Happened::Said).by_relay(&heard.relay, member).said(heard),
            Event::Confirmed { message, relay } => new(Happened::Confirmed).about(message, relay, member),
            Event::Verified { message, relay } => new(Happened::Verified).about(message, relay, member),
            Event::Missing { message, relay } => new(Happened::Missing).about(message, relay, member),
            Event::Late { message, relay } => new(Happened::Late).about(message, relay, member),
            Event::Different { message, marks } => GroupEvent {
                message_id: Some(blob_of_message(message)),
                marks: marks.iter().map(MarkOfRelay::from).collect(),
                ..new(Happened::Different)
            },
            Event::Compared(finding) => GroupEvent::found(finding, at),
            Event::Refused { relay, author, event, why } => GroupEvent {
                author_id: author.as_ref().map(blob_of_member),
                event: Some(event.clone()),
                detail: Some(why.to_string()),
                ..new(Happened::Refused).by_relay(relay, member)
            },
            Event::Dropped { relay, reason } => {
                GroupEvent { detail: Some(reason.clone()), ..new(Happened::Dropped).by_relay(relay, member) }
            }
            Event::OtherKey { member: whose, relay } => {
                GroupEvent { author_id: Some(blob_of_member(whose)), ..new(Happened::OtherKey).by_relay(relay, member) }
            }
            Event::Roles(roles) => {
                let role = |(id, role): &(MemberId, group::member::Role)| RoleOfMember {
                    member_id: blob_of_member(id),
                    role: role.name().to_owned(),
                };
                GroupEvent { roles: roles.iter().map(role).collect(), ..new(Happened::Roles) }
            }
            Event::Roster(version) => {
                GroupEvent { detail: Some(format!("version {}", version.number())), ..new(Happened::Roster) }
            }
            Event::Profile(profile) => {
                GroupEvent { detail: Some(profile.display_name.clone()), ..new(Happened::Profile) }
            }
            Event::Status { relay, status, why } => {
                new(Happened::Relay).of_relay(*relay, *status, why.as_ref(), member)
            }
            Event::LinkReplayed => GroupEvent { detail: Some("old data".to_owned()), ..new(Happened::Link) },
            Event::LinkUnusable { reason } => GroupEvent { detail: Some(reason.clone()), ..new(Happened::Link) },
            Event::Ended(why) => GroupEvent { detail: Some(why.to_string()), ..new(Happened::Ended) },
            Event::Problem { .. } | Event::Sent { .. } | Event::NotSent { .. } => return None,
        })
    }

    /// The line for what an owner's count shows.
    pub fn found(finding: &Finding, at: i64) -> Self {
        let Finding { by, author, what } = finding;
        let (happened, missing, sent_at, relays) = match what {
            Compared::Withheld { said_at, .. } => (Happened::Withheld, None, Some(*said_at), &[][..]),
            Compared::WithheldUnnamed { missing } => (Happened::Withheld, Some(*missing), None, &[][..]),
            Compared::Altered { relays, .. } => (Happened::Altered, None, None, relays.as_slice()),
            Compared::Unmarked { .. } => (Happened::Unmarked, None, None, &[][..]),
            Compared::Replayed => (Happened::MarkReplayed, None, None, &[][..]),
            Compared::Rewritten => (Happened::MarkRewritten, None, None, &[][..]),
        };
        GroupEvent {
            message_id: finding.message().map(blob_of_message),
            author_id: author.as_ref().map(blob_of_member),
            marked_by: Some(blob_of_member(by)),
            marks: relays.iter().map(MarkOfRelay::refuted_by_owner).collect(),
            missing,
            sent_at,
            ..GroupEvent::new(happened, at)
        }
    }

    /// Whether somebody said something, and not only something happened to the group.
    pub fn is_message(&self) -> bool {
        self.happened == Happened::Said && self.event.as_deref().is_some_and(|event| event.starts_with(MESSAGE))
    }

    fn new(happened: Happened, at: i64) -> Self {
        GroupEvent {
            happened,
            at,
            relay_id: None,
            relay_name: None,
            message_id: None,
            author_id: None,
            author_name: None,
            as_group: false,
            signature: None,
            key_from: None,
            sent_at: None,
            event: None,
            text: None,
            params: None,
            replaces: false,
            edited_before: false,
            deleted_before: false,
            blocked: false,
            marks: Vec::new(),
            marked_by: None,
            missing: None,
            roles: Vec::new(),
            status: None,
            detail: None,
        }
    }

    fn by_relay(self, relay: &MemberId, relays: &impl Relays) -> Self {
        GroupEvent { relay_id: Some(blob_of_member(relay)), relay_name: relays.name_of(relay), ..self }
    }

    fn about(self, message: &MessageId, relay: &MemberId, member: &impl Relays) -> Self {
        GroupEvent { message_id: Some(blob_of_message(message)), ..self.by_relay(relay, member) }
    }

    fn of_relay(self, relay: RelayNumber, status: Status, why: Option<&GoneReason>, relays: &impl Relays) -> Self {
        let id = relays.id_of(relay);
        GroupEvent {
            relay_name: id.as_ref().and_then(|id| relays.name_of(id)),
            relay_id: id.as_ref().map(blob_of_member),
            status: Some(RelayStatus::OfMember(status)),
            detail: why.map(GoneReason::to_string),
            ..self
        }
    }

    fn said(self, heard: &Heard) -> Self {
        let (signature, key_from) = match heard.trust() {
            Trust::Verified(source) => (Signature::Verified, Some(source.into())),
            Trust::SignedWithoutKey => (Signature::UnknownKey, None),
            Trust::Unsigned => (Signature::None, None),
        };
        let params = params(heard);
        let text = params.as_ref().and_then(|params| params.get("content")?.get("text")?.as_str());
        GroupEvent {
            message_id: heard.id().map(blob_of_message),
            author_id: heard.author().map(blob_of_member),
            author_name: heard.author_name.clone(),
            as_group: heard.is_from_channel(),
            signature: Some(signature),
            key_from,
            sent_at: Some(heard.sent_at),
            event: Some(heard.event().name().to_owned()),
            text: text.map(str::to_owned),
            params,
            replaces: heard.replaces,
            edited_before: heard.edited_before,
            deleted_before: heard.deleted_before,
            blocked: heard.blocked,
            ..self
        }
    }
}

/// The parameters as they were understood.
fn params(heard: &Heard) -> Option<Map<String, Value>> {
    let message: Value = serde_json::from_slice(&heard.message.message().to_json()).ok()?;
    message.get("params").and_then(Value::as_object).cloned()
}

impl From<KeySource> for KeyFrom {
    fn from(source: KeySource) -> Self {
        match source {
            KeySource::GroupLink => KeyFrom::GroupLink,
            KeySource::RelayLink => KeyFrom::RelayLink,
            KeySource::Roster => KeyFrom::Roster,
            KeySource::Asserted => KeyFrom::Asserted,
        }
    }
}

impl MarkOfRelay {
    fn refuted_by_owner(RelayName(relay): &RelayName) -> Self {
        MarkOfRelay { relay_id: blob_of_member(relay), difference: DifferenceName::Content, refuted: true }
    }
}

impl From<&Mark> for MarkOfRelay {
    fn from(mark: &Mark) -> Self {
        let difference = match mark.difference {
            Difference::Content => DifferenceName::Content,
            Difference::Author => DifferenceName::Author,
            Difference::Signature => DifferenceName::Signature,
            Difference::Equivocation => DifferenceName::Equivocation,
        };
        MarkOfRelay { relay_id: blob_of_member(&mark.relay), difference, refuted: mark.refuted }
    }
}
