//! What the server knows of a queue, and the only ways in which that changes.
//!
//! [`Change`] is the vocabulary between memory and disk: a rule in [`crate::step`] decides on changes, [`Queue::apply`]
//! makes them in memory and the store makes the same ones on disk.

use std::collections::VecDeque;
use std::sync::Arc;

use crypto::authorize::AuthPublicKey;
use crypto::dh::{SharedSecret, X25519PublicKey};
use crypto::hash;
use smp::command::{LinkData, MessageFlags};
use smp::error::BlockingInfo;
use smp::id::{ID_LENGTH, LinkId, MessageId, RecipientId, SenderId};
use smp::queue_address::QueueMode;
use smp::response::{MessageKind, QueueIds};
use store::Ticket;

use crate::body::Body;

/// A queue without its bodies: those of messages and links stay on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Names the queue in the store.
    pub row: i64,
    /// For the recipient's commands.
    pub recipient_id: RecipientId,
    /// For the sender's commands.
    pub sender_id: SenderId,
    /// Any of them authorises the recipient's commands; never empty.
    pub recipient_keys: Box<[AuthPublicKey]>,
    /// Encrypts messages for the recipient.
    pub delivery_secret: SharedSecret,
    /// Authorises the sender's commands once the queue is secured.
    pub sender_key: Option<AuthPublicKey>,
    /// Absent in queues of old clients.
    pub mode: Option<QueueMode>,
    /// Present while the queue has link data.
    pub link: Option<Box<Link>>,
    /// The recipient stopped the sender.
    pub suspended: bool,
    /// The operator blocked the queue.
    pub blocked: Option<Box<BlockingInfo>>,
    /// The day, counted from the Unix epoch, of the last accepted command.
    pub used_on: i64,
    /// Oldest first.
    pub messages: VecDeque<Message>,
}

/// What must be known of link data without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// For link clients.
    pub id: LinkId,
    /// SHA-256 of the part that never changes.
    pub fixed_hash: [u8; 32],
}

impl Link {
    /// Describes link data.
    pub fn of(id: LinkId, data: &LinkData) -> Self {
        Link { id, fixed_hash: hash::sha256(&data.fixed) }
    }
}

/// A stored message without its body.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Names the message in the store.
    pub row: i64,
    /// Its ID on the wire, and the nonce of its encryption.
    pub id: MessageKey,
    /// When the server accepted it, in Unix seconds.
    pub accepted_at: i64,
    /// Sent by the sender, or put there when the sender met the quota.
    pub kind: MessageKind,
    /// As sent.
    pub flags: MessageFlags,
    /// The body, if it is likely to be wanted soon.
    pub body: Option<Arc<Body>>,
    /// The write that stores it: it may be delivered once that is durable.
    pub written: Ticket,
}

/// A message ID as servers make it.
pub type MessageKey = [u8; ID_LENGTH];

impl Message {
    /// The ID as it goes on the wire.
    pub fn wire_id(&self) -> MessageId {
        MessageId::from(self.id)
    }
}

/// One change of one queue, in memory and on disk alike.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A new delivery secret was agreed.
    Rekeyed(SharedSecret),
    /// The sender's key was set.
    Secured(AuthPublicKey),
    /// The recipient's keys were replaced.
    RecipientKeys(Box<[AuthPublicKey]>),
    /// Link data was created, or its mutable part replaced.
    LinkSet(LinkId, LinkData),
    /// Link data was deleted.
    LinkDeleted,
    /// The sender was stopped for good.
    Suspended,
    /// The operator blocked or unblocked the queue.
    Blocked(Option<BlockingInfo>),
    /// A message arrived.
    Stored(Message, Arc<Body>),
    /// The oldest messages, named by their rows, were acknowledged or have expired.
    Removed(Vec<i64>),
    /// The queue was used on a new day.
    Used(i64),
    /// The queue is gone, with these messages and its link data.
    Deleted(Vec<i64>),
}

impl Queue {
    /// True for queues that anybody may send to: those of mode contact, and unsecured ones of old clients.
    pub fn is_contact(&self) -> bool {
        match self.mode {
            Some(mode) => mode == QueueMode::Contact,
            None => self.sender_key.is_none(),
        }
    }

    /// True for queues whose sender is settled, so that their link has served its purpose.
    pub fn is_secured_messaging(&self) -> bool {
        self.sender_key.is_some() && self.mode != Some(QueueMode::Contact)
    }

    /// What its creator is told, with the server's half of the delivery secret.
    pub fn ids(&self, dh_key: X25519PublicKey) -> QueueIds {
        QueueIds {
            recipient_id: self.recipient_id.clone(),
            sender_id: self.sender_id.clone(),
            dh_key,
            mode: self.mode,
            link_id: self.link.as_deref().map(|link| link.id.clone()),
            service_id: None,
            notifier: None,
        }
    }

    /// The message to deliver next.
    pub fn head(&self) -> Option<&Message> {
        self.messages.front()
    }

    /// True unless the sender met the quota and the recipient has not acknowledged everything since.
    pub fn is_writable(&self) -> bool {
        self.messages.back().is_none_or(|last| last.kind == MessageKind::Message)
    }

    /// The oldest messages, as far as they were accepted before `time`. A quota message never expires and ends the list.
    pub fn expired(&self, time: i64) -> Vec<i64> {
        let is_expired = |message: &&Message| message.kind == MessageKind::Message && message.accepted_at < time;
        self.messages.iter().take_while(is_expired).map(|message| message.row).collect()
    }

    /// Makes one change. Deleting is up to whoever holds the queue.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Rekeyed(secret) => self.delivery_secret = secret.clone(),
            Change::Secured(key) => self.sender_key = Some(*key),
            Change::RecipientKeys(keys) => self.recipient_keys = keys.clone(),
            Change::LinkSet(id, data) => self.link = Some(Box::new(Link::of(id.clone(), data))),
            Change::LinkDeleted => self.link = None,
            Change::Suspended => self.suspended = true,
            Change::Blocked(info) => self.blocked = info.map(Box::new),
            Change::Stored(message, _) => self.messages.push_back(message.clone()),
            Change::Removed(rows) => self.remove_oldest(rows.len()),
            Change::Used(day) => self.used_on = *day,
            Change::Deleted(_) => self.messages = VecDeque::new(),
        }
    }

    /// An empty queue holds no memory for messages.
    fn remove_oldest(&mut self, count: usize) {
        self.messages.drain(..count.min(self.messages.len()));
        if self.messages.is_empty() {
            self.messages = VecDeque::new();
        }
    }
}
