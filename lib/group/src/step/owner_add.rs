//! An owner hands over what a new owner needs to write the group link: the queue behind it.
//!
//! What is handed over lets its holder write the link, together with a key of its own that the server was told. It is
//! encrypted for the key in the request, so that it may pass over a channel that others read, and signed with the owner
//! key of who hands it over, so that nobody else can lead the new owner to another queue.
//!
//! It can be made again, as often as somebody asks with the same request: nothing changes by it.

use agent::short_link::ContactShortLink;
use codec::Write as _;
use crypto::dh::{X25519PrivateKey, X25519PublicKey};
use crypto::sign::ED25519_SIGNATURE;
use crypto::{BoxKey, Nonce, Random, hash};
use serde::{Deserialize, Serialize};
use smp::id::{CorrId, RecipientId};
use zeroize::Zeroizing;

use super::owner_request::{OwnerRequest, VerifiedRequest};
use crate::bytes::unpadded;
use crate::identity::{GroupId, MemberId};
use crate::owner::{GroupOwner, OwnerError};
use crate::step::link_create::QueueAccess;

const HANDOVER: &[u8] = b"grp owner handover 1";

/// What a new owner gets, encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// The group.
    pub group_id: GroupId,
    /// The group link.
    pub link: ContactShortLink,
    /// For whom it is.
    pub owner_id: MemberId,
    /// Who hands it over.
    pub by: MemberId,
    /// The other half of the key that encrypts.
    pub once: X25519PublicKey,
    /// For this encryption only.
    pub nonce: [u8; 24],
    /// What is handed over.
    pub sealed: Vec<u8>,
    /// By the owner key of who hands it over, over all of it.
    pub signature: [u8; ED25519_SIGNATURE],
}

/// The queue behind the group link, as all owners know it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct QueueSecrets {
    #[serde(with = "unpadded")]
    pub(super) correlation_id: CorrId,
    #[serde(with = "unpadded")]
    pub(super) queue_private_key: X25519PrivateKey,
    #[serde(with = "unpadded")]
    pub(super) delivery_private_key: X25519PrivateKey,
    #[serde(with = "unpadded")]
    pub(super) recipient_id: RecipientId,
    #[serde(with = "unpadded")]
    pub(super) server_public_key: X25519PublicKey,
}

impl Handover {
    /// Hands over to somebody whom this owner let in with this request.
    pub fn seal(owner: &GroupOwner, request: &VerifiedRequest, random: &mut dyn Random) -> Result<Self, OwnerError> {
        let is_in = owner.owner(request.owner_id()).is_some_and(|listed| listed.key() == request.key());
        if !is_in {
            return Err(OwnerError::OwnerKnown(request.owner_id().clone()));
        }
        let group = owner.link().group();
        let access = owner.link().queue().access.as_ref().ok_or(OwnerError::NotWritable)?;
        let secrets = QueueSecrets::of(owner, access);
        let mut plain = Zeroizing::new(Vec::new());
        crate::json::write(&secrets, &mut plain);
        let (once, nonce) = (X25519PrivateKey::generate(random), Nonce::random(random));
        let sealed = BoxKey::agreed(&once.agree(&request.request().handover_key)).seal(nonce, &plain);
        let mut handover = Handover {
            group_id: group.group_id(),
            link: group.short_link().clone(),
            owner_id: request.owner_id().clone(),
            by: group.ownership().owner_id.clone(),
            once: once.public(),
            nonce: nonce.0,
            sealed,
            signature: [0; ED25519_SIGNATURE],
        };
        let signed = handover.signed_bytes(request.request());
        handover.signature = group.ownership().owner_key.signing_key().sign(&signed);
        Ok(handover)
    }

    /// Everything in it, and the request that it answers.
    pub(super) fn signed_bytes(&self, request: &OwnerRequest) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put(&request.digest());
        bytes.put(self.group_id.as_bytes());
        bytes.put_large(self.link.to_string().as_bytes());
        bytes.put_short(self.by.as_bytes());
        bytes.put(self.once.as_bytes());
        bytes.put(&self.nonce);
        bytes.put(&self.sealed);
        [HANDOVER, &hash::sha256(&bytes)].concat()
    }
}

impl QueueSecrets {
    fn of(owner: &GroupOwner, access: &QueueAccess) -> Self {
        let group = owner.link().group();
        QueueSecrets {
            correlation_id: group.link.corr_id().clone(),
            queue_private_key: group.link.queue_key().clone(),
            delivery_private_key: group.keys.dh_key.clone(),
            recipient_id: access.recipient_id.clone(),
            server_public_key: access.server_dh_key,
        }
    }
}
