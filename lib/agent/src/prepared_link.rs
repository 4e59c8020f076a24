//! A contact link that is known before anything is sent.
//!
//! The client chooses what a server would otherwise choose: the sender ID follows from the correlation ID of the `NEW`
//! command, the link key from the fixed data, the link ID from the link key. So the link can be published, signed or
//! written into the user data that it leads to, and later one command creates exactly this link.
//!
//! What must be kept until then is in [`PreparedContactLink`]; what must be kept afterwards, to replace user data, is in
//! [`OwnFixedData`]. A server accepts new user data only beside the very bytes of the encrypted fixed data that it has,
//! which is why those are kept and not made again.

use codec::{Decode, Encode, Malformed, VersionRange};
use crypto::dh::X25519PrivateKey;
use crypto::sign::Ed25519PrivateKey;
use crypto::{Nonce, Random, random};
use smp::address::ServerAddress;
use smp::command::{LinkData, QueueRequest};
use smp::id::{CorrId, ID_LENGTH, LinkId, SenderId};
use smp::queue_address::{QueueAddress, QueueMode, QueueUri};
use smp::response::QueueIds;

use crate::full_link::{ConnectionRequest, FullLink};
use crate::link_data::{ContactData, FixedData, LinkEntityId, UserData};
use crate::link_key::LinkKey;
use crate::link_read::{LinkFault, LinkReadError};
use crate::owner::{OwnerFault, WriterKeys, check_before_writing};
use crate::short_link::{ContactKind, ContactShortLink, LinkScheme};
use crate::signed_item::{Item, SignedItem, TooLarge};

/// What the link is to be.
#[derive(Debug, Clone)]
pub struct ContactLinkRequest {
    /// Where the queue and the link data will be.
    pub server: ServerAddress,
    /// What the link belongs to.
    pub entity_id: Option<LinkEntityId>,
    /// More fixed data after the entity ID, for readers that know it.
    pub tail: Vec<u8>,
    /// Text for the application, inside the connection request.
    pub client_data: Option<String>,
    /// Agent versions to announce.
    pub agent_versions: VersionRange,
    /// SMP client versions to announce.
    pub client_versions: VersionRange,
}

/// The randomness that goes into a prepared link.
#[derive(Debug, Clone)]
pub struct LinkSecrets {
    /// The correlation ID that `NEW` will have.
    pub corr_id: CorrId,
    /// The recipient's half of the queue's end-to-end layer.
    pub queue_key: X25519PrivateKey,
    /// Encrypts the fixed data, once.
    pub fixed_nonce: Nonce,
}

impl LinkSecrets {
    /// Draws fresh ones.
    pub fn random(source: &mut dyn Random) -> Self {
        LinkSecrets {
            corr_id: CorrId::from(random::array::<ID_LENGTH>(source)),
            queue_key: X25519PrivateKey::generate(source),
            fixed_nonce: Nonce::random(source),
        }
    }
}

/// Why link data cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkWriteError {
    /// A value cannot be encoded.
    #[error("{0}")]
    BadValue(#[from] Malformed),
    /// A record does not fit.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// Readers would refuse the owners, or the signature of the key that signs.
    #[error(transparent)]
    Owners(#[from] OwnerFault),
}

/// Why a kept link cannot be used again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The kept fixed data does not belong to the link.
    #[error(transparent)]
    Read(#[from] LinkReadError),
    /// A kept secret does not belong to the fixed data.
    #[error("the {0} does not belong to the link")]
    Mismatch(&'static str),
}

/// The server created something else than what was prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CreationMismatch {
    /// The queue has another sender ID.
    #[error("the server returned another sender ID than the prepared one")]
    SenderId,
    /// The link has another ID, or none.
    #[error("the server returned another link ID than the prepared one")]
    LinkId,
}

/// Fixed data of a link of our own, in the encrypted form that its server has or will have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFixedData {
    key: LinkKey,
    data: FixedData,
    encrypted: Vec<u8>,
}

impl OwnFixedData {
    /// Signs and encrypts new fixed data.
    fn seal(data: FixedData, root_key: &Ed25519PrivateKey, nonce: Nonce) -> Result<Self, TooLarge> {
        let signed = SignedItem::sign(data.to_bytes(), root_key);
        let key = LinkKey::of_fixed_data(signed.body());
        let encrypted = signed.encrypt(Item::Fixed, &key.derive_contact().1, nonce)?;
        Ok(OwnFixedData { key, data, encrypted })
    }

    /// Opens kept fixed data of the link with this key, and checks that it is that link's.
    pub fn restore(key: LinkKey, encrypted: Vec<u8>) -> Result<Self, LinkReadError> {
        let signed = SignedItem::decrypt(&encrypted, &key.derive_contact().1)?;
        let data = FixedData::decode_all(signed.body())?;
        if !matches!(data.link, FullLink::Contact(_)) {
            return Err(Malformed::BadValue("kind of link in link data").into());
        }
        if LinkKey::of_fixed_data(signed.body()) != key {
            return Err(LinkFault::Hash.into());
        }
        if !signed.signed_by(&data.root_key) {
            return Err(LinkFault::FixedSignature.into());
        }
        Ok(OwnFixedData { key, data, encrypted })
    }

    /// The key of the link.
    pub fn link_key(&self) -> &LinkKey {
        &self.key
    }

    /// Where the server keeps the data.
    pub fn link_id(&self) -> LinkId {
        self.key.derive_contact().0
    }

    /// What never changes.
    pub fn data(&self) -> &FixedData {
        &self.data
    }

    /// The bytes to keep and to send with every update.
    pub fn encrypted(&self) -> &[u8] {
        &self.encrypted
    }

    /// The link, named as `kind`.
    pub fn short_link(&self, kind: ContactKind, scheme: LinkScheme) -> ContactShortLink {
        let server = self.queue().server.clone();
        ContactShortLink { scheme, kind, server, key: self.key.clone() }
    }

    /// Both records for `NEW` or `LSET`: `user` signed by the root key or an owner in it. The nonce must be fresh.
    pub fn with_user_data(
        &self,
        user: &ContactData,
        signer: &Ed25519PrivateKey,
        nonce: Nonce,
    ) -> Result<LinkData, LinkWriteError> {
        let writer = WriterKeys { signer: signer.public(), root: self.data.root_key };
        check_before_writing(user.owners(), Some(writer))?;
        let signed = SignedItem::sign(user.to_bytes(), signer);
        let user = signed.encrypt(Item::User, &self.key.derive_contact().1, nonce)?;
        Ok(LinkData { fixed: self.encrypted.clone(), user })
    }

    fn queue(&self) -> &QueueAddress {
        &self.data.link.request().first_queue().address
    }
}

/// A contact link that the server does not know yet.
#[derive(Debug, Clone)]
pub struct PreparedContactLink {
    corr_id: CorrId,
    queue_key: X25519PrivateKey,
    fixed: OwnFixedData,
}

impl PreparedContactLink {
    /// Makes the link. The root key signs it and can sign its user data for ever.
    pub fn prepare(
        request: ContactLinkRequest,
        root_key: &Ed25519PrivateKey,
        secrets: LinkSecrets,
    ) -> Result<Self, LinkWriteError> {
        if request.entity_id.is_none() && !request.tail.is_empty() {
            return Err(Malformed::BadValue("tail of fixed data without an entity ID before it").into());
        }
        let LinkSecrets { corr_id, queue_key, fixed_nonce } = secrets;
        let address = QueueAddress {
            server: request.server,
            sender_id: SenderId::from_corr_id(&corr_id),
            dh_key: queue_key.public(),
            mode: Some(QueueMode::Contact),
        };
        let queue = QueueUri { versions: request.client_versions, address };
        let connection = ConnectionRequest::new(request.agent_versions, vec![queue], request.client_data)?;
        let data = FixedData {
            versions: request.agent_versions,
            root_key: root_key.public(),
            link: FullLink::Contact(connection),
            entity_id: request.entity_id,
            tail: request.tail,
        };
        Ok(PreparedContactLink { corr_id, queue_key, fixed: OwnFixedData::seal(data, root_key, fixed_nonce)? })
    }

    /// A kept link, if its parts belong together.
    pub fn restore(corr_id: CorrId, queue_key: X25519PrivateKey, fixed: OwnFixedData) -> Result<Self, RestoreError> {
        if fixed.queue().sender_id != SenderId::from_corr_id(&corr_id) {
            return Err(RestoreError::Mismatch("correlation ID"));
        }
        if fixed.queue().dh_key != queue_key.public() {
            return Err(RestoreError::Mismatch("queue key"));
        }
        Ok(PreparedContactLink { corr_id, queue_key, fixed })
    }

    /// The correlation ID that `NEW` must have.
    pub fn corr_id(&self) -> &CorrId {
        &self.corr_id
    }

    /// The recipient's half of the queue's end-to-end layer.
    pub fn queue_key(&self) -> &X25519PrivateKey {
        &self.queue_key
    }

    /// The ID that the queue will have for senders.
    pub fn sender_id(&self) -> &SenderId {
        &self.fixed.queue().sender_id
    }

    /// What to keep after creation.
    pub fn fixed(&self) -> &OwnFixedData {
        &self.fixed
    }

    /// The full link, for readers that know no short ones.
    pub fn full_link(&self) -> &FullLink {
        &self.fixed.data.link
    }

    /// What `NEW` must ask for to create the link with this data.
    pub fn queue_request(&self, data: LinkData) -> QueueRequest {
        QueueRequest::Contact(Some((self.fixed.link_id(), self.sender_id().clone(), data)))
    }

    /// Checks the answer to `NEW`.
    pub fn confirm(&self, created: &QueueIds) -> Result<(), CreationMismatch> {
        if created.sender_id != *self.sender_id() {
            return Err(CreationMismatch::SenderId);
        }
        if created.link_id.as_ref() != Some(&self.fixed.link_id()) {
            return Err(CreationMismatch::LinkId);
        }
        Ok(())
    }
}
