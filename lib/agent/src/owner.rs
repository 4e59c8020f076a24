//! Owners of a contact link: who may sign its user data besides the holder of the root key.
//!
//! The list is ordered. An owner counts only if the root key, or an owner before it in the list, signed its ID and key;
//! so taking an owner out takes out everybody whom only that owner let in.

use codec::{Decode, Encode, Malformed, Reader, Write, text};
use crypto::sign::{ED25519_SIGNATURE, Ed25519PrivateKey, Ed25519PublicKey};

/// The longest ID that leaves room for key and signature in an entry of 255 bytes.
const MAX_OWNER_ID: usize = 144;

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerAuth {
    id: Vec<u8>,
    key: Ed25519PublicKey,
    signature: [u8; ED25519_SIGNATURE],
}

/// What is wrong with a list of owners. The texts are those that peers report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OwnerFault {
    /// The root key needs no entry, and an entry for it would survive a change of root.
    #[error("owner key for ID {0} matches root key")]
    RootKey(String),
    /// An ID or a key stands in the list twice.
    #[error("duplicate owner key or ID {0}")]
    Duplicate(String),
    /// Neither the root key nor an earlier owner signed the entry.
    #[error("invalid authorization of owner ID {0}")]
    Unauthorized(String),
    /// Owners can only be listed by somebody who can sign.
    #[error("no link credentials with additional owners")]
    NoCredentials,
    /// The key that would sign is neither the root key nor listed.
    #[error("no current owner in link data")]
    NotAnOwner,
}

/// Who wants to write user data: the public halves of the key that signs and of the link's root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterKeys {
    /// Signs the user data.
    pub signer: Ed25519PublicKey,
    /// Stands in the fixed data.
    pub root: Ed25519PublicKey,
}

impl OwnerAuth {
    /// An entry for `key` under `id`, at most 144 bytes long, signed by the root key or by an owner listed before it.
    pub fn authorize(id: &[u8], key: Ed25519PublicKey, by: &Ed25519PrivateKey) -> Option<Self> {
        let signature = by.sign(&signed_bytes(id, &key));
        (id.len() <= MAX_OWNER_ID).then(|| OwnerAuth { id: id.to_vec(), key, signature })
    }

    /// The application's name for the owner, unique in the list.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// Signs user data and further entries.
    pub fn key(&self) -> Ed25519PublicKey {
        self.key
    }

    fn authorized_by(&self, key: &Ed25519PublicKey) -> bool {
        key.verify(&signed_bytes(&self.id, &self.key), &self.signature).is_ok()
    }

    fn clashes_with(&self, other: &Self) -> bool {
        self.id == other.id || self.key == other.key
    }
}

/// ID and key in DER form, with nothing between.
fn signed_bytes(id: &[u8], key: &Ed25519PublicKey) -> Vec<u8> {
    [id, &key.to_der()].concat()
}

/// Checks a list of owners under the root key of its link; the first fault ends the check.
pub fn check_chain(root: &Ed25519PublicKey, owners: &[OwnerAuth]) -> Result<(), OwnerFault> {
    for (position, owner) in owners.iter().enumerate() {
        let earlier = owners.get(..position).unwrap_or_default();
        let id = || text::base64url_unpadded(&owner.id);
        if owner.key == *root {
            return Err(OwnerFault::RootKey(id()));
        }
        if earlier.iter().any(|other| owner.clashes_with(other)) {
            return Err(OwnerFault::Duplicate(id()));
        }
        if !owner.authorized_by(root) && !earlier.iter().any(|other| owner.authorized_by(&other.key)) {
            return Err(OwnerFault::Unauthorized(id()));
        }
    }
    Ok(())
}

/// Checks a list of owners before it is written: readers must accept it, and accept the writer's signature.
pub fn check_before_writing(owners: &[OwnerAuth], writer: Option<WriterKeys>) -> Result<(), OwnerFault> {
    let Some(WriterKeys { signer, root }) = writer else {
        return if owners.is_empty() { Ok(()) } else { Err(OwnerFault::NoCredentials) };
    };
    if signer != root && !owners.iter().any(|owner| owner.key == signer) {
        return Err(OwnerFault::NotAnOwner);
    }
    check_chain(&root, owners)
}

impl Encode for OwnerAuth {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut entry = Vec::new();
        entry.put_short(&self.id);
        entry.put_short(&self.key.to_der());
        entry.put_short(&self.signature);
        out.put_short(&entry);
    }
}

impl Decode for OwnerAuth {
    /// What follows the signature inside the entry belongs to later versions and is dropped.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut entry = Reader::new(reader.short()?);
        let id = entry.short()?.to_vec();
        let key = Ed25519PublicKey::from_der(entry.short()?).map_err(|_| Malformed::BadValue("owner key"))?;
        let signature = entry.short()?.try_into().map_err(|_| Malformed::BadValue("length of owner signature"))?;
        Ok(OwnerAuth { id, key, signature })
    }
}
