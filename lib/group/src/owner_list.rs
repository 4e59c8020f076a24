//! The owners of a group as the group link lists them: who they are, and with which keys they write the link.
//!
//! The order says who let whom in (see [`agent::owner`]): the root key signs for the first owner, and every owner may
//! sign for further ones, which come after it.

use std::collections::BTreeMap;

use agent::owner::{OwnerAuth, check_chain};
use crypto::sign::Ed25519PublicKey;

use crate::identity::{MemberId, OwnerPublicKey, RootPublicKey};
use crate::revision::RevisionMark;

/// As many owners as a group may have. Each takes some 200 bytes of link data, which the profile needs too.
pub const MAX_OWNERS: usize = 16;

/// An owner in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOwner {
    id: MemberId,
    auth: OwnerAuth,
    /// Gives commands for the queue behind the link. Unknown of owners that other programs listed.
    queue_key: Option<Ed25519PublicKey>,
}

impl ListedOwner {
    /// An entry, with the owner's key for the queue.
    pub(crate) fn new(auth: OwnerAuth, queue_key: Option<Ed25519PublicKey>) -> Option<Self> {
        Some(ListedOwner { id: MemberId::from_bytes(auth.id())?, auth, queue_key })
    }

    /// The owner's name in the group.
    pub fn id(&self) -> &MemberId {
        &self.id
    }

    /// Checks what the owner signs.
    pub fn key(&self) -> OwnerPublicKey {
        OwnerPublicKey(self.auth.key())
    }

    /// Gives commands for the queue behind the link.
    pub fn queue_key(&self) -> Option<Ed25519PublicKey> {
        self.queue_key
    }
}

/// All owners, in the order in which they were let in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnerList(Vec<ListedOwner>);

impl OwnerList {
    /// The list of a link.
    pub(crate) fn read(chain: &[OwnerAuth], mark: Option<&RevisionMark>) -> Self {
        let listed = |auth: &OwnerAuth| {
            let key = mark.and_then(|mark| mark.queue_key(&MemberId::from_bytes(auth.id())?));
            ListedOwner::new(auth.clone(), key)
        };
        OwnerList(chain.iter().filter_map(listed).collect())
    }

    /// The owners.
    pub fn iter(&self) -> impl Iterator<Item = &ListedOwner> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether only the root key can sign.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The owner of that name.
    pub fn get(&self, id: &MemberId) -> Option<&ListedOwner> {
        self.0.iter().find(|owner| owner.id == *id)
    }

    /// How many owners stand before this one.
    pub fn position(&self, id: &MemberId) -> Option<usize> {
        self.0.iter().position(|owner| owner.id == *id)
    }

    /// How far from the group's beginning a signer is: the root key, then the owners in their order.
    pub(crate) fn rank(&self, root: RootPublicKey, signer: Ed25519PublicKey) -> usize {
        let position = || self.0.iter().position(|owner| owner.auth.key() == signer);
        if signer == root.0 { 0 } else { position().unwrap_or(self.0.len()).saturating_add(1) }
    }

    pub(crate) fn chain(&self) -> Vec<OwnerAuth> {
        self.0.iter().map(|owner| owner.auth.clone()).collect()
    }

    pub(crate) fn queue_keys(&self) -> BTreeMap<MemberId, Ed25519PublicKey> {
        self.0.iter().filter_map(|owner| Some((owner.id.clone(), owner.queue_key?))).collect()
    }

    pub(crate) fn set_queue_key(&mut self, id: &MemberId, key: Ed25519PublicKey) {
        for owner in self.0.iter_mut().filter(|owner| owner.id == *id) {
            owner.queue_key = Some(key);
        }
    }

    pub(crate) fn with(&self, owner: ListedOwner) -> Self {
        OwnerList(self.0.iter().cloned().chain([owner]).collect())
    }

    /// The list without an owner, and without those whom only that owner let in.
    pub(crate) fn without(&self, root: RootPublicKey, id: &MemberId) -> Self {
        OwnerList::sound(root, self.0.iter().filter(|owner| owner.id != *id).cloned())
    }

    /// Those that readers accept: let in by the root key or by somebody before them, and named once.
    pub(crate) fn sound(root: RootPublicKey, owners: impl IntoIterator<Item = ListedOwner>) -> Self {
        let mut sound = OwnerList::default();
        for owner in owners {
            let longer = sound.with(owner);
            if longer.len() <= MAX_OWNERS && check_chain(&root.0, &longer.chain()).is_ok() {
                sound = longer;
            }
        }
        sound
    }
}

impl FromIterator<ListedOwner> for OwnerList {
    fn from_iter<T: IntoIterator<Item = ListedOwner>>(owners: T) -> Self {
        OwnerList(owners.into_iter().collect())
    }
}
