//! An invitation that is known before its queue exists.
//!
//! The client chooses the correlation ID of `NEW`; from it follows the queue's sender ID, from that the full link. Only
//! the ID under which the server keeps the link data, and so the short link, is the server's choice.

use codec::{Encode as _, VersionRange};
use crypto::Nonce;
use crypto::Random;
use crypto::dh::X25519PrivateKey;
use crypto::sign::Ed25519PrivateKey;
use smp::address::ServerAddress;
use smp::command::{LinkData, QueueRequest};
use smp::id::{CorrId, LinkId, SenderId};
use smp::queue_address::{QueueAddress, QueueMode, QueueUri};
use smp::response::QueueIds;

use crate::full_link::{ConnectionRequest, FullLink};
use crate::link_data::{FixedData, InvitationData, Payload};
use crate::link_key::LinkKey;
use crate::prepared_link::{CreationMismatch, LinkSecrets, LinkWriteError};
use crate::ratchet_offer::RatchetOffer;
use crate::signed_item::{Item, SignedItem};

/// What the invitation is to be.
#[derive(Debug, Clone)]
pub struct InvitationRequest {
    /// Where the queue and the link data will be.
    pub server: ServerAddress,
    /// Agent versions to announce.
    pub agent_versions: VersionRange,
    /// SMP client versions to announce.
    pub client_versions: VersionRange,
    /// The keys that whoever joins agrees with.
    pub offer: RatchetOffer,
    /// For the application of whoever reads the link.
    pub payload: Payload,
}

/// An invitation that the server does not know yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedInvitation {
    corr_id: CorrId,
    key: LinkKey,
    data: LinkData,
}

impl PreparedInvitation {
    /// Makes the invitation, and the recipient's half of the queue's end-to-end layer.
    pub fn prepare(
        request: &InvitationRequest,
        random: &mut dyn Random,
    ) -> Result<(Self, X25519PrivateKey), LinkWriteError> {
        let LinkSecrets { corr_id, queue_key, fixed_nonce } = LinkSecrets::random(random);
        let address = QueueAddress {
            server: request.server.clone(),
            sender_id: SenderId::from_corr_id(&corr_id),
            dh_key: queue_key.public(),
            mode: Some(QueueMode::Messaging),
        };
        let queue = QueueUri { versions: request.client_versions, address };
        let connection = ConnectionRequest::new(request.agent_versions, vec![queue], None)?;
        // Nobody signs for the link after this: its data cannot change.
        let root_key = Ed25519PrivateKey::generate(random);
        let fixed = FixedData {
            versions: request.agent_versions,
            root_key: root_key.public(),
            link: FullLink::Invitation(connection, request.offer.clone()),
            entity_id: None,
            tail: Vec::new(),
        };
        let fixed = SignedItem::sign(fixed.to_bytes(), &root_key);
        let user = InvitationData { versions: request.agent_versions, payload: request.payload.clone() };
        let user = SignedItem::sign(user.to_bytes(), &root_key);
        let key = LinkKey::of_fixed_data(fixed.body());
        let box_key = key.derive_invitation();
        let data = LinkData {
            fixed: fixed.encrypt(Item::Fixed, &box_key, fixed_nonce)?,
            user: user.encrypt(Item::User, &box_key, Nonce::random(random))?,
        };
        Ok((PreparedInvitation { corr_id, key, data }, queue_key))
    }

    /// A kept invitation.
    pub(crate) fn restore(corr_id: CorrId, key: LinkKey, data: LinkData) -> Self {
        PreparedInvitation { corr_id, key, data }
    }

    /// The correlation ID that `NEW` must have.
    pub fn corr_id(&self) -> &CorrId {
        &self.corr_id
    }

    /// What the link carries.
    pub fn key(&self) -> &LinkKey {
        &self.key
    }

    /// What the server will keep.
    pub fn data(&self) -> &LinkData {
        &self.data
    }

    /// The ID that the queue will have for senders.
    pub fn sender_id(&self) -> SenderId {
        SenderId::from_corr_id(&self.corr_id)
    }

    /// What `NEW` must ask for.
    pub fn queue_request(&self) -> QueueRequest {
        QueueRequest::Messaging(Some((self.sender_id(), self.data.clone())))
    }

    /// Checks the answer to `NEW`: the ID of the link.
    pub fn confirm(&self, created: &QueueIds) -> Result<LinkId, CreationMismatch> {
        if created.sender_id != self.sender_id() {
            return Err(CreationMismatch::SenderId);
        }
        created.link_id.clone().ok_or(CreationMismatch::LinkId)
    }
}
