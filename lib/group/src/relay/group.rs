//! A group as the relay knows it from its verified link.

use serde::{Deserialize, Serialize};

use crate::bytes::unpadded;
use crate::identity::{GroupId, MemberId, MemberKey, OwnerPublicKey, RelayPublicKey};
use crate::keys::LinkKeys;
use crate::profile::GroupProfile;
use crate::step::link_verify::VerifiedGroupLink;

/// A group as the relay knows it from its verified link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServedGroup {
    /// The group.
    #[serde(with = "unpadded")]
    pub group_id: GroupId,
    /// Who may sign for it.
    pub owners: Vec<ServedOwner>,
    /// What it says about itself; what an owner signed later stands here as well.
    pub profile: GroupProfile,
    /// Members and owners, if the link says how many.
    pub member_count: Option<u64>,
}

/// Somebody who may sign for a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedOwner {
    /// The owner's name in the group.
    #[serde(with = "unpadded")]
    pub id: MemberId,
    /// Checks what the owner signs.
    #[serde(with = "unpadded")]
    pub key: OwnerPublicKey,
}

impl ServedGroup {
    /// Whether the group link names this owner.
    pub fn has_owner(&self, id: &MemberId) -> bool {
        self.owners.iter().any(|owner| owner.id == *id)
    }

    pub(super) fn link_keys(&self, relay: &MemberId, key: &MemberKey) -> LinkKeys {
        let owners = self.owners.iter().map(|owner| (owner.id.clone(), owner.key));
        LinkKeys::new(owners, [(relay.clone(), RelayPublicKey(key.public().0))])
    }
}

impl From<&VerifiedGroupLink> for ServedGroup {
    fn from(link: &VerifiedGroupLink) -> Self {
        let owners = link.owners().iter().map(|owner| ServedOwner { id: owner.id.clone(), key: owner.key });
        ServedGroup {
            group_id: link.group_id(),
            owners: owners.collect(),
            profile: link.profile().clone(),
            member_count: link.member_count(),
        }
    }
}
