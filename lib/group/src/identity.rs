//! What a group begins with: a root key, the group ID that is its hash, and the key of the first owner.
//!
//! The root key signs the group link and says who is an owner. The owner's own key, which is a member key like that of
//! any other member, signs what the owner does in the group. Both are made for one group only.

use std::fmt;

use agent::link_data::LinkEntityId;
use agent::owner::OwnerAuth;
use codec::text;
use crypto::sign::{Ed25519PrivateKey, Ed25519PublicKey};
use crypto::{Random, hash, random};

/// Length of a group ID.
const GROUP_ID: usize = 32;
/// Random bytes in a member ID. On the wire it is their base64url text.
const MEMBER_ID_ENTROPY: usize = 12;
/// The longest member ID that fits an owner entry.
const MAX_MEMBER_ID: usize = 144;

/// Signs the fixed data of a group link, and who its owners are.
#[derive(Debug, Clone)]
pub struct RootKey(pub(crate) Ed25519PrivateKey);

/// The public half of a root key; stands in the fixed data of the group link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootPublicKey(pub Ed25519PublicKey);

/// Signs what an owner does in the group.
#[derive(Debug, Clone)]
pub struct OwnerKey(pub(crate) Ed25519PrivateKey);

/// The public half of an owner's key; stands in the user data of the group link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerPublicKey(pub Ed25519PublicKey);

/// Signs what a member, an owner or a relay does in the group. Each has one for each group.
#[derive(Debug, Clone)]
pub struct MemberKey(pub(crate) Ed25519PrivateKey);

/// The public half of a key that signs in the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemberPublicKey(pub Ed25519PublicKey);

/// A relay's key for one group; the root key of its relay link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayPublicKey(pub Ed25519PublicKey);

impl RootKey {
    /// Its public half.
    pub fn public(&self) -> RootPublicKey {
        RootPublicKey(self.0.public())
    }

    /// The key, to sign link data with.
    pub fn signing_key(&self) -> &Ed25519PrivateKey {
        &self.0
    }
}

impl OwnerKey {
    /// Its public half.
    pub fn public(&self) -> OwnerPublicKey {
        OwnerPublicKey(self.0.public())
    }

    /// The key, to sign link data with.
    pub fn signing_key(&self) -> &Ed25519PrivateKey {
        &self.0
    }
}

impl MemberKey {
    /// A fresh key.
    pub fn generate(random: &mut dyn Random) -> Self {
        MemberKey(Ed25519PrivateKey::generate(random))
    }

    /// Its public half.
    pub fn public(&self) -> MemberPublicKey {
        MemberPublicKey(self.0.public())
    }

    /// The key; that of a relay also signs the data of its relay link.
    pub fn signing_key(&self) -> &Ed25519PrivateKey {
        &self.0
    }
}

impl From<Ed25519PrivateKey> for MemberKey {
    fn from(key: Ed25519PrivateKey) -> Self {
        MemberKey(key)
    }
}

impl From<&OwnerKey> for MemberKey {
    /// An owner signs in the group like every member.
    fn from(key: &OwnerKey) -> Self {
        MemberKey(key.0.clone())
    }
}

impl From<OwnerPublicKey> for MemberPublicKey {
    fn from(key: OwnerPublicKey) -> Self {
        MemberPublicKey(key.0)
    }
}

impl From<RelayPublicKey> for MemberPublicKey {
    fn from(key: RelayPublicKey) -> Self {
        MemberPublicKey(key.0)
    }
}

/// Binds group link, relay links and signatures to one group.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupId([u8; GROUP_ID]);

impl GroupId {
    /// The ID of a new group: the hash of the raw root key.
    pub fn of_root_key(key: &RootPublicKey) -> Self {
        GroupId(hash::sha256(key.0.as_bytes()))
    }

    /// An ID as received.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(GroupId)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; GROUP_ID] {
        &self.0
    }

    /// The form in the fixed data of the group link.
    pub fn to_entity_id(self) -> Option<LinkEntityId> {
        LinkEntityId::new(self.0)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::base64url_unpadded(&self.0))
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupId({self})")
    }
}

/// The name of an owner, a relay or a member inside one group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(Vec<u8>);

impl MemberId {
    /// A fresh ID. As in the reference it is made of text, so that it can be read where it appears.
    pub fn random(source: &mut dyn Random) -> Self {
        MemberId(text::base64url(&random::array::<MEMBER_ID_ENTROPY>(source)).into_bytes())
    }

    /// An ID as received: 1 to 144 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (1..=MAX_MEMBER_ID).contains(&bytes.len()).then(|| MemberId(bytes.to_vec()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::base64url_unpadded(&self.0))
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemberId({self})")
    }
}

/// What an owner holds of a group's keys: the first one the root key as well, unless it keeps that elsewhere.
#[derive(Debug, Clone)]
pub struct Ownership {
    root: RootPublicKey,
    root_key: Option<RootKey>,
    /// Signs what the owner does in the group, and the group link if there is no root key.
    pub owner_key: OwnerKey,
    /// The owner's name in the group.
    pub owner_id: MemberId,
}

impl From<OwnerIdentity> for Ownership {
    fn from(owner: OwnerIdentity) -> Self {
        let OwnerIdentity { root_key, owner_key, owner_id } = owner;
        Ownership { root: root_key.public(), root_key: Some(root_key), owner_key, owner_id }
    }
}

impl Ownership {
    /// What an owner holds whom another owner let in.
    pub fn further(root: RootPublicKey, owner_key: OwnerKey, owner_id: MemberId) -> Self {
        Ownership { root, root_key: None, owner_key, owner_id }
    }

    /// The group's name.
    pub fn group_id(&self) -> GroupId {
        GroupId::of_root_key(&self.root)
    }

    /// Says who the first owner is.
    pub fn root(&self) -> RootPublicKey {
        self.root
    }

    /// The root key, with the owner who has it.
    pub fn root_key(&self) -> Option<&RootKey> {
        self.root_key.as_ref()
    }

    /// Signs the group link.
    pub(crate) fn link_signer(&self) -> &Ed25519PrivateKey {
        self.root_key.as_ref().map_or(&self.owner_key.0, |root_key| &root_key.0)
    }
}

/// All secrets of the one who creates a group.
#[derive(Debug, Clone)]
pub struct OwnerIdentity {
    /// Of the group.
    pub root_key: RootKey,
    /// Of the owner.
    pub owner_key: OwnerKey,
    /// The owner's name in the group.
    pub owner_id: MemberId,
}

impl OwnerIdentity {
    /// The group's name.
    pub fn group_id(&self) -> GroupId {
        GroupId::of_root_key(&self.root_key.public())
    }

    /// The root key's word that this owner is one.
    pub fn authorization(&self) -> Option<OwnerAuth> {
        OwnerAuth::authorize(self.owner_id.as_bytes(), self.owner_key.public().0, &self.root_key.0)
    }
}
