//! Whoever wants to be an owner says so: under which name, with which keys, of which group.
//!
//! ```text
//!  candidate                          an owner                                        candidate
//!  OwnerCandidate ── OwnerRequest ──▶ verify ─▶ appoint, RKEY, LSET ── Handover ──▶ open, read the link ─▶ owner
//! ```
//!
//! The request is public. It is signed with the owner key that it names, together with the group ID, so that nobody can
//! ask with a key that is not his, and a request for one group is none for another. Whether the one who brings it is the
//! one whom the owner means, the owner has to know: it compares what both see of the request.
//!
//! What is signed ends in a hash, so that it can never be taken for an entry of an owners' list, which ends in a key.

use codec::Write as _;
use crypto::dh::{X25519PrivateKey, X25519PublicKey};
use crypto::sign::{ED25519_SIGNATURE, Ed25519PrivateKey, Ed25519PublicKey};
use crypto::{Random, hash};

use crate::identity::{GroupId, MemberId, OwnerKey, OwnerPublicKey};

const REQUEST: &[u8] = b"grp owner request 1";
const DIGEST: usize = 32;

/// All secrets of somebody who wants to be an owner.
#[derive(Debug, Clone)]
pub struct OwnerCandidate {
    /// Of which group.
    pub group_id: GroupId,
    /// Its name there.
    pub owner_id: MemberId,
    /// Signs what it does there.
    pub owner_key: OwnerKey,
    /// Gives commands for the queue behind the group link.
    pub queue_key: Ed25519PrivateKey,
    /// Opens what the owner hands over.
    pub handover_key: X25519PrivateKey,
}

/// What an owner is asked, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRequest {
    /// The group.
    pub group_id: GroupId,
    /// The new owner's name there.
    pub owner_id: MemberId,
    /// Checks what the new owner signs.
    pub owner_key: OwnerPublicKey,
    /// Gives commands for the queue behind the group link.
    pub queue_key: Ed25519PublicKey,
    /// Encrypts what is handed over.
    pub handover_key: X25519PublicKey,
    /// By the owner key, over all of it.
    pub signature: [u8; ED25519_SIGNATURE],
}

/// A request whose sender holds the owner key that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRequest(OwnerRequest);

/// The request was made or changed by somebody who does not hold the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request is not signed with the key of the owner that it names")]
pub struct BadRequest;

impl OwnerCandidate {
    /// Makes a name and keys for a group. Nothing is sent.
    pub fn new(group_id: GroupId, random: &mut dyn Random) -> Self {
        OwnerCandidate {
            group_id,
            owner_key: OwnerKey(Ed25519PrivateKey::generate(random)),
            owner_id: MemberId::random(random),
            queue_key: Ed25519PrivateKey::generate(random),
            handover_key: X25519PrivateKey::generate(random),
        }
    }

    /// What to give to an owner.
    pub fn request(&self) -> OwnerRequest {
        let mut request = OwnerRequest {
            group_id: self.group_id,
            owner_id: self.owner_id.clone(),
            owner_key: self.owner_key.public(),
            queue_key: self.queue_key.public(),
            handover_key: self.handover_key.public(),
            signature: [0; ED25519_SIGNATURE],
        };
        request.signature = self.owner_key.signing_key().sign(&request.signed_bytes());
        request
    }
}

impl OwnerRequest {
    /// Checks that its sender holds the key. Nothing else in it can be checked.
    pub fn verify(self) -> Result<VerifiedRequest, BadRequest> {
        match self.owner_key.0.verify(&self.signed_bytes(), &self.signature) {
            Ok(()) => Ok(VerifiedRequest(self)),
            Err(_) => Err(BadRequest),
        }
    }

    fn signed_bytes(&self) -> Vec<u8> {
        [REQUEST, &self.digest()].concat()
    }

    /// Names the request: everything in it but the signature.
    pub(crate) fn digest(&self) -> [u8; DIGEST] {
        let mut bytes = Vec::new();
        bytes.put(self.group_id.as_bytes());
        bytes.put_short(self.owner_id.as_bytes());
        bytes.put(self.owner_key.0.as_bytes());
        bytes.put(self.queue_key.as_bytes());
        bytes.put(self.handover_key.as_bytes());
        hash::sha256(&bytes)
    }
}

impl VerifiedRequest {
    /// The group.
    pub fn group_id(&self) -> GroupId {
        self.0.group_id
    }

    /// The new owner's name there.
    pub fn owner_id(&self) -> &MemberId {
        &self.0.owner_id
    }

    /// Checks what the new owner signs.
    pub fn key(&self) -> OwnerPublicKey {
        self.0.owner_key
    }

    /// Gives commands for the queue behind the group link.
    pub fn queue_key(&self) -> Ed25519PublicKey {
        self.0.queue_key
    }

    /// The request as it came.
    pub fn request(&self) -> &OwnerRequest {
        &self.0
    }
}
