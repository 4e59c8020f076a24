//! A new owner opens what it was handed, reads the group link itself, and finds itself in it.
//!
//! ```text
//! OwnerCandidate + Handover ── open ──▶ OpenedHandover ── read the link, accept ──▶ GroupOwner
//! ```
//!
//! Nothing is taken from the one who handed it over that can be read from the link: the link says who the owners are, and
//! whether one of them signed the handover.

use agent::link_read::RetrievedLinkData;
use agent::prepared_link::{OwnFixedData, PreparedContactLink};
use agent::short_link::ContactShortLink;
use crypto::sign::Ed25519PublicKey;
use crypto::{BoxKey, Nonce};
use smp::address::ServerWithPassword;
use zeroize::Zeroizing;

use super::link_create::{CreatedQueue, GroupLink, OwnGroup, QueueAccess, QueueKeys, WrittenData};
use super::link_verify::verify_group_link;
use super::owner_add::{Handover, QueueSecrets};
use super::owner_request::OwnerCandidate;
use crate::check::Check;
use crate::identity::{GroupId, MemberId, Ownership};
use crate::link_state::LinkState;
use crate::owner::GroupOwner;
use crate::transcript::Ledger;

/// A handover that could be opened. Whether an owner made it is not known yet.
pub struct OpenedHandover {
    candidate: OwnerCandidate,
    handover: Handover,
    secrets: QueueSecrets,
}

/// Why somebody is no owner by this handover.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandoverFault {
    /// It is for somebody else, or for another group.
    #[error("the handover is for owner {owner} of group {group}")]
    NotOurs {
        /// For whom it is.
        owner: MemberId,
        /// Of which group.
        group: GroupId,
    },
    /// It was made for another request, or changed.
    #[error("the handover does not open with the keys of this request")]
    Sealed,
    /// What it holds is not what it should.
    #[error("the handover holds no queue")]
    Malformed,
    /// The group link did not pass a check.
    #[error("the group link: {}: {}", .0.name, .0.detail.as_deref().unwrap_or_default())]
    Link(Box<Check>),
    /// The link does not carry a revision, so it was not written by those who let further owners in.
    #[error("the group link says nothing of revisions")]
    NoRevision,
    /// The link names other owners.
    #[error("the group link does not name this owner")]
    NotListed,
    /// None of the owners in the link made it.
    #[error("no owner of the group signed the handover")]
    NotSigned,
    /// The queue that was handed over is not the one behind the link.
    #[error("the handover is about another queue than the group link")]
    OtherQueue,
}

impl OwnerCandidate {
    /// Opens what came back for the request.
    pub fn open(self, handover: Handover) -> Result<OpenedHandover, HandoverFault> {
        if handover.group_id != self.group_id || handover.owner_id != self.owner_id {
            return Err(HandoverFault::NotOurs { owner: handover.owner_id, group: handover.group_id });
        }
        let key = BoxKey::agreed(&self.handover_key.agree(&handover.once));
        let plain = key.open(Nonce(handover.nonce), &handover.sealed).map_err(|_| HandoverFault::Sealed)?;
        let plain = Zeroizing::new(plain);
        let secrets = serde_json::from_slice(&plain).map_err(|_| HandoverFault::Malformed)?;
        Ok(OpenedHandover { candidate: self, handover, secrets })
    }
}

impl OpenedHandover {
    /// The link that is to be read.
    pub fn link(&self) -> &ContactShortLink {
        &self.handover.link
    }

    /// Checks the link and everything that was handed over against it.
    pub fn accept(self, found: RetrievedLinkData, now: i64) -> Result<GroupOwner, HandoverFault> {
        let OpenedHandover { candidate, handover, secrets } = self;
        let link = handover.link.clone();
        let verified = verify_group_link(link.clone(), found.clone());
        let verified = verified.map_err(|check| HandoverFault::Link(Box::new(check)))?;
        if verified.group_id() != candidate.group_id || GroupId::of_root_key(&verified.root_key()) != candidate.group_id
        {
            return Err(HandoverFault::NotOurs { owner: candidate.owner_id, group: verified.group_id() });
        }
        let owners = verified.owner_list();
        let request = candidate.request();
        let is_listed = owners.get(&candidate.owner_id).is_some_and(|owner| owner.key() == request.owner_key);
        if !is_listed {
            return Err(HandoverFault::NotListed);
        }
        let signed = handover.signed_bytes(&request);
        let is_signed = owners
            .get(&handover.by)
            .is_some_and(|owner| owner.id() != &candidate.owner_id && verifies(owner.key().0, &signed, &handover));
        if !is_signed {
            return Err(HandoverFault::NotSigned);
        }
        let state = LinkState::of(&verified, found.data.clone()).ok_or(HandoverFault::NoRevision)?;
        let fixed = OwnFixedData::restore(link.key.clone(), found.data.fixed.clone());
        let fixed = fixed.map_err(|_| HandoverFault::OtherQueue)?;
        let server = fixed.data().link.request().first_queue().address.server.clone();
        let prepared = PreparedContactLink::restore(secrets.correlation_id, secrets.queue_private_key, fixed);
        let keys = QueueKeys { recipient_key: candidate.queue_key, dh_key: secrets.delivery_private_key };
        let mut owners = owners.clone();
        owners.set_queue_key(&candidate.owner_id, keys.recipient_key.public());
        let group = OwnGroup {
            owner: Ownership::further(verified.root_key(), candidate.owner_key, candidate.owner_id),
            owners,
            server: ServerWithPassword { address: server, password: None },
            link: prepared.map_err(|_| HandoverFault::OtherQueue)?,
            short_link: link,
            keys,
            contents: state.said.contents.clone(),
            ledger: Ledger::default(),
            written: WrittenData {
                version: state.revision.number(),
                revision: state.revision.clone(),
                data: found.data,
            },
            prepared_at: now,
        };
        let access = QueueAccess { recipient_id: secrets.recipient_id, server_dh_key: secrets.server_public_key };
        let queue = CreatedQueue { access: Some(access), created_at: now };
        Ok(GroupOwner::further(GroupLink { group, queue }, state))
    }
}

fn verifies(key: Ed25519PublicKey, signed: &[u8], handover: &Handover) -> bool {
    key.verify(signed, &handover.signature).is_ok()
}
