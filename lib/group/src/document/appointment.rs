//! The documents by which somebody becomes an owner: the request, with and without its secrets, and the handover.

use agent::short_link::ContactShortLink;
use crypto::dh::{X25519PrivateKey, X25519PublicKey};
use crypto::sign::{ED25519_SIGNATURE, Ed25519PrivateKey, Ed25519PublicKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Inconsistent, require};
use crate::bytes::{Base64Url, text_form, unpadded};
use crate::identity::{GroupId, MemberId, OwnerKey, OwnerPublicKey};
use crate::step::owner_add::Handover;
use crate::step::owner_request::{OwnerCandidate, OwnerRequest};

const NONCE: usize = 24;

/// The part of any document that names a group
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GroupOfDocument {
    /// The group's name
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub group_id: GroupId,
}

/// What an owner is asked by somebody who wants to be one
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnerRequestDocument {
    /// The group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub group_id: GroupId,
    /// The new owner's name in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_id: MemberId,
    /// Ed25519; checks what the new owner signs in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_public_key: OwnerPublicKey,
    /// Ed25519; gives commands for the queue behind the group link
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub queue_public_key: Ed25519PublicKey,
    /// X25519; encrypts what is handed over
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub handover_public_key: X25519PublicKey,
    /// By the owner key over all of it
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub signature: [u8; ED25519_SIGNATURE],
}

/// What somebody keeps who wants to be an owner. Whoever has the private keys is the owner, once it is one
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OwnerCandidateDocument {
    /// What the owner gets
    #[serde(flatten)]
    pub request: OwnerRequestDocument,
    /// Secret: signs what the new owner does in the group, and the group link
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_private_key: OwnerKey,
    /// Secret: Ed25519, authorises the new owner's commands
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub queue_private_key: Ed25519PrivateKey,
    /// Secret: X25519, opens what is handed over
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub handover_private_key: X25519PrivateKey,
}

/// What a new owner gets from the owner that let it in. Nobody else can open it
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HandoverDocument {
    /// The group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub group_id: GroupId,
    /// The group link
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub link: ContactShortLink,
    /// For whom it is
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_id: MemberId,
    /// The owner who made it
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub by: MemberId,
    /// X25519; made for this document
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub ephemeral_public_key: X25519PublicKey,
    /// The queue behind the link, encrypted with the agreed key: 24 bytes of nonce, then the box
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub sealed: Vec<u8>,
    /// By the owner key of who made it, over all of it and the request
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub signature: [u8; ED25519_SIGNATURE],
}

impl OwnerCandidateDocument {
    /// The fields that only the new owner may see.
    pub const SECRETS: &'static [&'static str] = &["owner_private_key", "queue_private_key", "handover_private_key"];
}

impl From<OwnerRequest> for OwnerRequestDocument {
    fn from(request: OwnerRequest) -> Self {
        OwnerRequestDocument {
            group_id: request.group_id,
            owner_id: request.owner_id,
            owner_public_key: request.owner_key,
            queue_public_key: request.queue_key,
            handover_public_key: request.handover_key,
            signature: request.signature,
        }
    }
}

impl From<OwnerRequestDocument> for OwnerRequest {
    fn from(document: OwnerRequestDocument) -> Self {
        OwnerRequest {
            group_id: document.group_id,
            owner_id: document.owner_id,
            owner_key: document.owner_public_key,
            queue_key: document.queue_public_key,
            handover_key: document.handover_public_key,
            signature: document.signature,
        }
    }
}

impl From<&OwnerCandidate> for OwnerCandidateDocument {
    fn from(candidate: &OwnerCandidate) -> Self {
        OwnerCandidateDocument {
            request: candidate.request().into(),
            owner_private_key: candidate.owner_key.clone(),
            queue_private_key: candidate.queue_key.clone(),
            handover_private_key: candidate.handover_key.clone(),
        }
    }
}

impl TryFrom<OwnerCandidateDocument> for OwnerCandidate {
    type Error = Inconsistent;

    fn try_from(document: OwnerCandidateDocument) -> Result<Self, Inconsistent> {
        let OwnerCandidateDocument { request, owner_private_key, queue_private_key, handover_private_key } = document;
        let candidate = OwnerCandidate {
            group_id: request.group_id,
            owner_id: request.owner_id.clone(),
            owner_key: owner_private_key,
            queue_key: queue_private_key,
            handover_key: handover_private_key,
        };
        require(OwnerRequestDocument::from(candidate.request()) == request, "signature", "not by and over these keys")?;
        Ok(candidate)
    }
}

impl From<Handover> for HandoverDocument {
    fn from(handover: Handover) -> Self {
        HandoverDocument {
            group_id: handover.group_id,
            link: handover.link,
            owner_id: handover.owner_id,
            by: handover.by,
            ephemeral_public_key: handover.once,
            sealed: [handover.nonce.as_slice(), &handover.sealed].concat(),
            signature: handover.signature,
        }
    }
}

impl TryFrom<HandoverDocument> for Handover {
    type Error = Inconsistent;

    fn try_from(document: HandoverDocument) -> Result<Self, Inconsistent> {
        let short = || Inconsistent::new("sealed", "too short");
        let (nonce, sealed) = document.sealed.split_first_chunk::<NONCE>().ok_or_else(short)?;
        Ok(Handover {
            group_id: document.group_id,
            link: document.link.clone(),
            owner_id: document.owner_id.clone(),
            by: document.by.clone(),
            once: document.ephemeral_public_key,
            nonce: *nonce,
            sealed: sealed.to_vec(),
            signature: document.signature,
        })
    }
}
