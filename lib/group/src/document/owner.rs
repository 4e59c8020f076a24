//! The owner document: the keys of a group that does not exist yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Inconsistent, require};
use crate::bytes::{Base64Url, unpadded};
use crate::identity::{GroupId, MemberId, OwnerIdentity, OwnerKey, OwnerPublicKey, RootKey, RootPublicKey};

/// The keys of a group and of its first owner. Whoever has the private keys is the owner
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OwnerDocument {
    /// The group's name: SHA-256 of the root public key
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub group_id: GroupId,
    /// The owner's name in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_id: MemberId,
    /// Ed25519; stands in the group link
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub root_public_key: RootPublicKey,
    /// Ed25519; checks what the owner signs in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_public_key: OwnerPublicKey,
    /// Secret: signs the group link and who its owners are
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub root_private_key: RootKey,
    /// Secret: signs what the owner does in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_private_key: OwnerKey,
}

impl OwnerDocument {
    /// The fields that only the owner may see.
    pub const SECRETS: &'static [&'static str] = &["root_private_key", "owner_private_key"];
}

impl From<&OwnerIdentity> for OwnerDocument {
    fn from(owner: &OwnerIdentity) -> Self {
        OwnerDocument {
            group_id: owner.group_id(),
            owner_id: owner.owner_id.clone(),
            root_public_key: owner.root_key.public(),
            owner_public_key: owner.owner_key.public(),
            root_private_key: owner.root_key.clone(),
            owner_private_key: owner.owner_key.clone(),
        }
    }
}

impl TryFrom<OwnerDocument> for OwnerIdentity {
    type Error = Inconsistent;

    fn try_from(document: OwnerDocument) -> Result<Self, Inconsistent> {
        let OwnerDocument { root_private_key: root_key, owner_private_key: owner_key, owner_id, .. } = document;
        let owner = OwnerIdentity { root_key, owner_key, owner_id };
        let (root, public) = (owner.root_key.public(), owner.owner_key.public());
        require(document.root_public_key == root, "root_public_key", "not that of the root private key")?;
        require(document.owner_public_key == public, "owner_public_key", "not that of the owner private key")?;
        require(document.group_id == owner.group_id(), "group_id", "not the hash of the root public key")?;
        require(root.0 != public.0, "owner_public_key", "the same as the root public key")?;
        Ok(owner)
    }
}
