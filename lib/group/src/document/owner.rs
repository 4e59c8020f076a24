//! The owner document: the keys of a group that does not exist yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Inconsistent, require};
use crate::bytes::{Base64Url, unpadded, unpadded_option};
use crate::identity::{GroupId, MemberId, OwnerIdentity, OwnerKey, OwnerPublicKey, Ownership, RootKey, RootPublicKey};

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
    /// Secret: signs the group link and who its owners are; only the first owner has it
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Base64Url>")]
    pub root_private_key: Option<RootKey>,
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
            root_private_key: Some(owner.root_key.clone()),
            owner_private_key: owner.owner_key.clone(),
        }
    }
}

impl From<&Ownership> for OwnerDocument {
    fn from(owner: &Ownership) -> Self {
        OwnerDocument {
            group_id: owner.group_id(),
            owner_id: owner.owner_id.clone(),
            root_public_key: owner.root(),
            owner_public_key: owner.owner_key.public(),
            root_private_key: owner.root_key().cloned(),
            owner_private_key: owner.owner_key.clone(),
        }
    }
}

impl TryFrom<OwnerDocument> for OwnerIdentity {
    type Error = Inconsistent;

    fn try_from(document: OwnerDocument) -> Result<Self, Inconsistent> {
        let Some(root_key) = document.root_private_key.clone() else {
            return Err(Inconsistent::new("root_private_key", "missing: nobody can create the group without it"));
        };
        let Ownership { owner_key, owner_id, .. } = Ownership::try_from(document)?;
        Ok(OwnerIdentity { root_key, owner_key, owner_id })
    }
}

impl TryFrom<OwnerDocument> for Ownership {
    type Error = Inconsistent;

    fn try_from(document: OwnerDocument) -> Result<Self, Inconsistent> {
        let OwnerDocument { root_private_key, owner_private_key: owner_key, owner_id, .. } = document;
        let root = document.root_public_key;
        let fits = root_private_key.as_ref().is_none_or(|key| key.public() == root);
        require(fits, "root_public_key", "not that of the root private key")?;
        let public = owner_key.public();
        require(document.owner_public_key == public, "owner_public_key", "not that of the owner private key")?;
        require(document.group_id == GroupId::of_root_key(&root), "group_id", "not the hash of the root public key")?;
        require(root.0 != public.0, "owner_public_key", "the same as the root public key")?;
        Ok(match root_private_key {
            Some(root_key) => OwnerIdentity { root_key, owner_key, owner_id }.into(),
            None => Ownership::further(root, owner_key, owner_id),
        })
    }
}
