//! The verified-link document: what a group link says, after every check.

use agent::short_link::ContactShortLink;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MarkDocument;
use crate::binding::GroupBinding;
use crate::bytes::{Base64Url, text_form, unpadded};
use crate::check::Check;
use crate::identity::{GroupId, MemberId, OwnerPublicKey, RelayPublicKey, RootPublicKey};
use crate::profile::GroupProfile;
use crate::step::link_verify::{VerifiedGroupLink, VerifiedRelay};
use crate::user_data::RelayProfile;

/// A group link that passed every check. Whoever acts on it checks the link again: a pipe proves nothing
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct VerifiedLinkDocument {
    /// The link
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub link: ContactShortLink,
    /// The group's name
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub group_id: GroupId,
    /// `channel` or `group`
    pub group_type: String,
    /// Ed25519; says who is an owner
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub root_public_key: RootPublicKey,
    /// Who may sign for the group
    pub owners: Vec<VerifiedOwnerDocument>,
    /// What the group says about itself, with the field names of the chat protocol
    pub profile: GroupProfile,
    /// Members and owners, not relays, if the link says how many
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_count: Option<u64>,
    /// How much was said, by the count of each owner
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<MarkDocument>,
    /// Every relay link that the group link lists
    pub relay_links: Vec<String>,
    /// The relays whose own link was retrieved and passed
    pub relays: Vec<VerifiedRelayDocument>,
    /// Every check with its result
    pub checks: Vec<Check>,
    /// When the link was verified, in Unix seconds
    pub verified_at: i64,
}

/// The part of any document that names a group link: whoever reads links needs no more, and may not have more
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LinkOfDocument {
    /// The link
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub link: ContactShortLink,
}

/// The checks of a link that did not pass all of them. Nothing that the link says is in here
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LinkReportDocument {
    /// The link
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub link: ContactShortLink,
    /// Every check with its result
    pub checks: Vec<Check>,
    /// When the link was checked, in Unix seconds
    pub checked_at: i64,
}

/// An owner named by the link
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct VerifiedOwnerDocument {
    /// The owner's name in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_id: MemberId,
    /// Ed25519; checks what the owner signs
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_public_key: OwnerPublicKey,
}

/// A relay whose own link says what it should
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct VerifiedRelayDocument {
    /// The relay link
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub link: ContactShortLink,
    /// The relay's name in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub member_id: MemberId,
    /// Ed25519; checks what the relay signs
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub public_key: RelayPublicKey,
    /// What the relay says about itself, with the field names of the chat protocol
    pub profile: RelayProfile,
    /// How firmly the relay link belongs to the group
    pub bound_by: GroupBinding,
}

impl VerifiedLinkDocument {
    /// The document of a verification that passed.
    pub fn new(verified: &VerifiedGroupLink, checks: Vec<Check>, verified_at: i64) -> Self {
        let owners = verified
            .owners()
            .iter()
            .map(|owner| VerifiedOwnerDocument { owner_id: owner.id.clone(), owner_public_key: owner.key });
        VerifiedLinkDocument {
            link: verified.link().clone(),
            group_id: verified.group_id(),
            group_type: verified.group_type().name().to_owned(),
            root_public_key: verified.root_key(),
            owners: owners.collect(),
            profile: verified.profile().clone(),
            member_count: verified.member_count(),
            transcript: verified.transcript().marks().iter().map(MarkDocument::from).collect(),
            relay_links: verified.relay_links().iter().map(ContactShortLink::to_string).collect(),
            relays: verified.relays().iter().map(VerifiedRelayDocument::from).collect(),
            checks,
            verified_at,
        }
    }
}

impl From<&VerifiedRelay> for VerifiedRelayDocument {
    fn from(relay: &VerifiedRelay) -> Self {
        VerifiedRelayDocument {
            link: relay.link.clone(),
            member_id: relay.member_id.clone(),
            public_key: relay.key,
            profile: relay.profile.clone(),
            bound_by: relay.binding,
        }
    }
}
