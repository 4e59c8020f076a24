//! The queue through which a connection receives.

use codec::{Decode as _, Encode as _, Malformed, Reader, VersionRange, Write};
use crypto::dh::{SharedSecret, X25519PrivateKey, X25519PublicKey};
use crypto::sign::Ed25519PrivateKey;
use crypto::{BoxKey, Random};
use smp::address::ServerAddress;
use smp::command::{BasicAuth, Command, LinkData, NewQueue, QueueRequest};
use smp::delivery::Delivered;
use smp::id::{CorrId, EntityId, ID_LENGTH, LinkId, MessageId, RecipientId, SenderId};
use smp::queue_address::{QueueAddress, QueueInfo, QueueMode, QueueUri};
use smp::response::QueueIds;

use super::fault::PeerFault;
use super::plan::QueuePlan;
use super::stored::{
    auth, put_auth_key, put_link_data, put_password, put_public_auth, put_x25519, take_auth_key, take_link_data,
    take_long, take_password, take_public_auth, take_shared, take_x25519,
};
use super::task::{Subscription, Task};
use crate::link_key::LinkKey;
use crate::prepared_invitation::PreparedInvitation;
use crate::prepared_link::{CreationMismatch, OwnFixedData, PreparedContactLink};

/// How far a receive queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiveStatus {
    /// Nothing has come.
    New,
    /// The peer has confirmed.
    Confirmed,
    /// We have secured it with the peer's key.
    Secured,
    /// The peer uses it.
    Active,
    /// It accepts no messages any more.
    Suspended,
}

pub(super) struct ReceiveQueue {
    pub(super) server: ServerAddress,
    pub(super) mode: Option<QueueMode>,
    pub(super) status: ReceiveStatus,
    auth_key: Ed25519PrivateKey,
    e2e_key: X25519PrivateKey,
    stage: Stage,
    /// Agreed with the sender's key: opens its envelopes.
    sender: Option<SenderSecret>,
    /// The key to secure the queue with, as long as that is to be done.
    pub(super) secure_with: Option<crypto::authorize::AuthPublicKey>,
}

pub(super) struct SenderSecret {
    secret: SharedSecret,
    version: u16,
}

enum Stage {
    Planned { delivery_key: X25519PrivateKey, password: Option<BasicAuth>, creation: Creation },
    Created(Created),
}

/// What `NEW` creates beside the queue.
pub(super) enum Creation {
    Plain,
    Invitation(Box<PreparedInvitation>),
    Contact(Box<PreparedContactLink>, LinkData),
}

struct Created {
    recipient_id: RecipientId,
    sender_id: SenderId,
    delivery: SharedSecret,
    link: OwnLink,
}

/// What is kept of a link of ours.
#[derive(Clone)]
pub(super) enum OwnLink {
    None,
    Invitation { key: LinkKey, link_id: LinkId },
    Contact(Box<OwnFixedData>),
}

impl ReceiveQueue {
    pub(super) fn plan(plan: QueuePlan, random: &mut dyn Random) -> Self {
        let mode = plan.mode();
        Self::new(plan.server, plan.password, mode, X25519PrivateKey::generate(random), Creation::Plain, random)
    }

    pub(super) fn new(
        server: ServerAddress,
        password: Option<BasicAuth>,
        mode: Option<QueueMode>,
        e2e_key: X25519PrivateKey,
        creation: Creation,
        random: &mut dyn Random,
    ) -> Self {
        let delivery_key = X25519PrivateKey::generate(random);
        ReceiveQueue {
            server,
            mode,
            status: ReceiveStatus::New,
            auth_key: Ed25519PrivateKey::generate(random),
            e2e_key,
            stage: Stage::Planned { delivery_key, password, creation },
            sender: None,
            secure_with: None,
        }
    }

    pub(super) fn is_created(&self) -> bool {
        matches!(self.stage, Stage::Created(_))
    }

    pub(super) fn recipient_id(&self) -> Option<&RecipientId> {
        match &self.stage {
            Stage::Created(created) => Some(&created.recipient_id),
            Stage::Planned { .. } => None,
        }
    }

    /// The ID for senders, if it is known already.
    pub(super) fn sender_id(&self) -> Option<SenderId> {
        match &self.stage {
            Stage::Created(created) => Some(created.sender_id.clone()),
            Stage::Planned { creation: Creation::Invitation(invitation), .. } => Some(invitation.sender_id()),
            Stage::Planned { creation: Creation::Contact(link, _), .. } => Some(link.sender_id().clone()),
            Stage::Planned { creation: Creation::Plain, .. } => None,
        }
    }

    pub(super) fn link(&self) -> OwnLink {
        match &self.stage {
            Stage::Created(created) => created.link.clone(),
            Stage::Planned { creation: Creation::Contact(link, _), .. } => {
                OwnLink::Contact(Box::new(link.fixed().clone()))
            }
            Stage::Planned { .. } => OwnLink::None,
        }
    }

    fn address(&self) -> Option<QueueAddress> {
        let (server, dh_key) = (self.server.clone(), self.e2e_key.public());
        Some(QueueAddress { server, sender_id: self.sender_id()?, dh_key, mode: self.mode })
    }

    /// The address for a link.
    pub(super) fn uri(&self, versions: VersionRange) -> Option<QueueUri> {
        self.address().map(|address| QueueUri { versions, address })
    }

    /// The address for a peer whose version is known.
    pub(super) fn info(&self, version: u16) -> Option<QueueInfo> {
        self.address().map(|address| QueueInfo { version, address })
    }

    /// What the address will look like, with IDs of the usual length.
    pub(super) fn info_to_be(&self, version: u16) -> QueueInfo {
        let (server, dh_key) = (self.server.clone(), self.e2e_key.public());
        let sender_id = self.sender_id().unwrap_or(SenderId::from([0; ID_LENGTH]));
        QueueInfo { version, address: QueueAddress { server, sender_id, dh_key, mode: self.mode } }
    }

    /// Replaces the data that the link will be created with. False if it was created already.
    pub(super) fn replace_planned(&mut self, data: &LinkData) -> bool {
        match &mut self.stage {
            Stage::Planned { creation: Creation::Contact(_, planned), .. } => {
                planned.clone_from(data);
                true
            }
            _ => false,
        }
    }

    // ---- Commands

    pub(super) fn create(&self) -> Option<Task> {
        let Stage::Planned { delivery_key, password, creation } = &self.stage else { return None };
        let (corr_id, request) = match (creation, self.mode) {
            (Creation::Invitation(invitation), _) => {
                (Some(invitation.corr_id().clone()), Some(invitation.queue_request()))
            }
            (Creation::Contact(link, data), _) => {
                (Some(link.corr_id().clone()), Some(link.queue_request(data.clone())))
            }
            (Creation::Plain, Some(QueueMode::Messaging)) => (None, Some(QueueRequest::Messaging(None))),
            (Creation::Plain, Some(QueueMode::Contact)) => (None, Some(QueueRequest::Contact(None))),
            (Creation::Plain, None) => (None, None),
        };
        let new = NewQueue {
            recipient_key: auth(&self.auth_key).public().ok()?,
            dh_key: delivery_key.public(),
            basic_auth: password.clone(),
            subscribe: true,
            request,
            notifier: None,
        };
        Some(self.task(corr_id, EntityId::default(), Command::New(Box::new(new))))
    }

    /// A command of the recipient.
    pub(super) fn command(&self, command: Command) -> Option<Task> {
        self.recipient_id().map(|id| self.task(None, id.clone().into(), command))
    }

    fn task(&self, corr_id: Option<CorrId>, entity_id: EntityId, command: Command) -> Task {
        Task { server: self.server.clone(), corr_id, entity_id, key: Some(auth(&self.auth_key)), command }
    }

    pub(super) fn subscription(&self) -> Option<Subscription> {
        let queue = self.recipient_id()?.clone();
        Some(Subscription { server: self.server.clone(), queue, key: auth(&self.auth_key) })
    }

    // ---- What happens to it

    /// Takes the answer to `NEW`.
    pub(super) fn created(&mut self, ids: QueueIds) -> Result<(), CreationMismatch> {
        let Stage::Planned { delivery_key, creation, .. } = &self.stage else { return Ok(()) };
        let link = match creation {
            Creation::Plain => OwnLink::None,
            Creation::Invitation(invitation) => {
                OwnLink::Invitation { link_id: invitation.confirm(&ids)?, key: invitation.key().clone() }
            }
            Creation::Contact(link, _) => {
                link.confirm(&ids)?;
                OwnLink::Contact(Box::new(link.fixed().clone()))
            }
        };
        let delivery = delivery_key.agree(&ids.dh_key);
        let QueueIds { recipient_id, sender_id, .. } = ids;
        self.stage = Stage::Created(Created { recipient_id, sender_id, delivery, link });
        Ok(())
    }

    /// Opens a delivery of the server.
    pub(super) fn open_delivery(&self, id: &MessageId, body: &[u8]) -> Result<Delivered, PeerFault> {
        let Stage::Created(created) = &self.stage else { return Err(PeerFault::Delivery) };
        Delivered::open(&BoxKey::agreed(&created.delivery), id, body).map_err(|_| PeerFault::Delivery)
    }

    /// The key for an envelope whose header carries a sender's key.
    pub(super) fn agree(&self, sender: &X25519PublicKey) -> SharedSecret {
        self.e2e_key.agree(sender)
    }

    /// The sender of this queue from now on.
    pub(super) fn bind(&mut self, secret: SharedSecret, version: u16) {
        self.sender = Some(SenderSecret { secret, version });
        self.status = ReceiveStatus::Confirmed;
    }

    pub(super) fn sender_key(&self) -> Option<BoxKey> {
        self.sender.as_ref().map(|sender| BoxKey::agreed(&sender.secret))
    }

    pub(super) fn sender_version(&self) -> Option<u16> {
        self.sender.as_ref().map(|sender| sender.version)
    }

    // ---- Keeping

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        self.server.encode(out);
        out.put_maybe(self.mode, |out, mode| out.put(mode.letter()));
        out.put(&[self.status.letter()]);
        put_auth_key(out, &self.auth_key);
        put_x25519(out, &self.e2e_key);
        out.put_maybe(self.sender.as_ref(), |out, sender| {
            out.put(sender.secret.expose());
            out.put_u16(sender.version);
        });
        out.put_maybe(self.secure_with.as_ref(), put_public_auth);
        match &self.stage {
            Stage::Planned { delivery_key, password, creation } => {
                out.put(b"P");
                put_x25519(out, delivery_key);
                put_password(out, password.as_ref());
                creation.put(out);
            }
            Stage::Created(created) => {
                out.put(b"C");
                created.put(out);
            }
        }
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let server = ServerAddress::decode(reader)?;
        let mode = reader.maybe(|reader| QueueMode::from_letter(reader.u8()?).ok_or(Malformed::BadValue("mode")))?;
        let status = ReceiveStatus::from_letter(reader.u8()?)?;
        let auth_key = take_auth_key(reader)?;
        let e2e_key = take_x25519(reader)?;
        let sender =
            reader.maybe(|reader| Ok(SenderSecret { secret: take_shared(reader)?, version: reader.u16()? }))?;
        let secure_with = reader.maybe(take_public_auth)?;
        let stage = match reader.u8()? {
            b'P' => Stage::Planned {
                delivery_key: take_x25519(reader)?,
                password: take_password(reader)?,
                creation: Creation::take(reader, &e2e_key)?,
            },
            b'C' => Stage::Created(Created::take(reader)?),
            _ => return Err(Malformed::BadValue("stage of queue")),
        };
        Ok(ReceiveQueue { server, mode, status, auth_key, e2e_key, stage, sender, secure_with })
    }
}

impl ReceiveStatus {
    fn letter(self) -> u8 {
        match self {
            ReceiveStatus::New => b'N',
            ReceiveStatus::Confirmed => b'C',
            ReceiveStatus::Secured => b'S',
            ReceiveStatus::Active => b'A',
            ReceiveStatus::Suspended => b'D',
        }
    }

    fn from_letter(letter: u8) -> Result<Self, Malformed> {
        Ok(match letter {
            b'N' => ReceiveStatus::New,
            b'C' => ReceiveStatus::Confirmed,
            b'S' => ReceiveStatus::Secured,
            b'A' => ReceiveStatus::Active,
            b'D' => ReceiveStatus::Suspended,
            _ => return Err(Malformed::BadValue("status of receive queue")),
        })
    }
}

impl Creation {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Creation::Plain => out.put(b"0"),
            Creation::Invitation(invitation) => {
                out.put(b"I");
                invitation.corr_id().encode(out);
                out.put(invitation.key().as_bytes());
                put_link_data(out, invitation.data());
            }
            Creation::Contact(link, data) => {
                out.put(b"C");
                link.corr_id().encode(out);
                out.put(link.fixed().link_key().as_bytes());
                put_link_data(out, data);
            }
        }
    }

    fn take(reader: &mut Reader<'_>, e2e_key: &X25519PrivateKey) -> Result<Self, Malformed> {
        let kind = reader.u8()?;
        if kind == b'0' {
            return Ok(Creation::Plain);
        }
        let corr_id = CorrId::decode(reader)?;
        let key = LinkKey::from_bytes(reader.array()?);
        let data = take_link_data(reader)?;
        match kind {
            b'I' => Ok(Creation::Invitation(Box::new(PreparedInvitation::restore(corr_id, key, data)))),
            b'C' => {
                let bad = |_| Malformed::BadValue("prepared link");
                let fixed =
                    OwnFixedData::restore(key, data.fixed.clone()).map_err(|_| Malformed::BadValue("fixed data"))?;
                let link = PreparedContactLink::restore(corr_id, e2e_key.clone(), fixed).map_err(bad)?;
                Ok(Creation::Contact(Box::new(link), data))
            }
            _ => Err(Malformed::BadValue("creation of queue")),
        }
    }
}

impl Created {
    fn put(&self, out: &mut Vec<u8>) {
        self.recipient_id.encode(out);
        self.sender_id.encode(out);
        out.put(self.delivery.expose());
        match &self.link {
            OwnLink::None => out.put(b"0"),
            OwnLink::Invitation { key, link_id } => {
                out.put(b"I");
                out.put(key.as_bytes());
                link_id.encode(out);
            }
            OwnLink::Contact(fixed) => {
                out.put(b"C");
                out.put(fixed.link_key().as_bytes());
                super::stored::put_long(out, fixed.encrypted());
            }
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let recipient_id = RecipientId::decode(reader)?;
        let sender_id = SenderId::decode(reader)?;
        let delivery = take_shared(reader)?;
        let link = match reader.u8()? {
            b'0' => OwnLink::None,
            b'I' => OwnLink::Invitation { key: LinkKey::from_bytes(reader.array()?), link_id: LinkId::decode(reader)? },
            b'C' => {
                let key = LinkKey::from_bytes(reader.array()?);
                let fixed = OwnFixedData::restore(key, take_long(reader)?);
                OwnLink::Contact(Box::new(fixed.map_err(|_| Malformed::BadValue("fixed data"))?))
            }
            _ => return Err(Malformed::BadValue("link of queue")),
        };
        Ok(Created { recipient_id, sender_id, delivery, link })
    }
}
