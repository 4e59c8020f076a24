//! Step 6: what an owner asks of a relay, as far as it can be judged without the group link.

use agent::short_link::{ContactKind, ContactShortLink};
use codec::VersionRange;
use serde::{Deserialize, Serialize};

use super::event::Dismissal;
use crate::bytes::{text_form, unpadded};
use crate::event::GroupRelayInvitation;
use crate::extension::{Extension, Extensions};
use crate::identity::MemberId;
use crate::member::{MemberProfile, Role};

/// Longer names are cut.
const MAX_NAME: usize = 64;

/// An invitation to serve a group. Whether an owner sent it is not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invitation {
    /// Who claims to be an owner.
    #[serde(with = "unpadded")]
    pub owner: MemberId,
    /// The name that it goes by.
    pub owner_name: String,
    /// The relay's name in the group.
    #[serde(with = "unpadded")]
    pub relay_member_id: MemberId,
    /// The group link.
    #[serde(with = "text_form")]
    pub group_link: ContactShortLink,
    /// What the owner's program does beyond the protocol.
    #[serde(default, skip_serializing_if = "Extensions::is_empty")]
    pub ext: Extensions,
    /// What the owner's program speaks.
    #[serde(with = "text_form")]
    pub versions: VersionRange,
}

impl Invitation {
    /// Takes what an owner says, if a relay can do anything with it.
    pub(super) fn new(said: &GroupRelayInvitation, versions: VersionRange) -> Result<Self, Dismissal> {
        let link: ContactShortLink = said.group_link.parse().map_err(|_| Dismissal::GroupLink)?;
        if said.from_member.member_role != Role::Owner {
            return Err(Dismissal::NotByOwner);
        }
        if !matches!(link.kind, ContactKind::Channel | ContactKind::Group) {
            return Err(Dismissal::GroupLink);
        }
        if said.from_member.member_id == said.relay_member_id {
            return Err(Dismissal::MemberId);
        }
        said.from_member_profile.check().map_err(|_| Dismissal::OwnerName)?;
        let owner_name = name_in(&said.from_member_profile);
        Ok(Invitation {
            owner: said.from_member.member_id.clone(),
            owner_name,
            relay_member_id: said.relay_member_id.clone(),
            group_link: link,
            ext: said.ext.clone(),
            versions,
        })
    }

    /// The owner goes by another name from now on.
    pub(super) fn rename_owner(&mut self, profile: &MemberProfile) {
        self.owner_name = name_in(profile);
    }

    /// Whether both are about the same service.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        self.relay_member_id == other.relay_member_id && self.group_link.same_link(&other.group_link)
    }

    /// Whether the owner's program may be sent what belongs to an extension.
    pub(super) fn announces(&self, extension: &Extension) -> bool {
        self.ext.announce(extension)
    }
}

fn name_in(profile: &MemberProfile) -> String {
    profile.display_name.chars().take(MAX_NAME).collect()
}
