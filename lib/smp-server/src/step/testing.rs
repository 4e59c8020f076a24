//! Queues in the states that the rules tell apart.

use crypto::authorize::AuthPublicKey;
use crypto::dh::SharedSecret;
use crypto::sign::Ed25519PublicKey;
use smp::command::{LinkData, MessageFlags};
use smp::error::{BlockingInfo, BlockingReason};
use smp::id::{LinkId, RecipientId, SenderId};
use smp::queue_address::QueueMode;
use smp::response::MessageKind;
use store::Ticket;

use super::*;
use crate::body::Budget;
use crate::queue::Link;

pub(crate) const NOW: i64 = 1_750_000_000;

pub(crate) fn auth_key(byte: u8) -> AuthPublicKey {
    AuthPublicKey::Ed25519(Ed25519PublicKey::from_bytes([byte; 32]))
}

pub(crate) fn link_id(byte: u8) -> LinkId {
    LinkId::from([byte; 24])
}

pub(crate) fn link_data(fixed: u8, user: u8) -> LinkData {
    LinkData { fixed: vec![fixed; 100], user: vec![user; 200] }
}

pub(crate) fn queue(mode: Option<QueueMode>) -> Queue {
    Queue {
        row: 1,
        recipient_id: RecipientId::from([1; 24]),
        sender_id: SenderId::from([2; 24]),
        recipient_keys: Box::new([auth_key(1)]),
        delivery_secret: SharedSecret::from_bytes([3; 32]),
        sender_key: None,
        mode,
        link: None,
        suspended: false,
        blocked: None,
        used_on: NOW / DAY,
        messages: Default::default(),
    }
}

pub(crate) fn messaging() -> Queue {
    queue(Some(QueueMode::Messaging))
}

pub(crate) fn contact() -> Queue {
    queue(Some(QueueMode::Contact))
}

pub(crate) fn secured(mut queue: Queue, key: u8) -> Queue {
    queue.sender_key = Some(auth_key(key));
    queue
}

pub(crate) fn linked(mut queue: Queue) -> Queue {
    queue.link = Some(Box::new(Link::of(link_id(7), &link_data(1, 1))));
    queue
}

pub(crate) fn blocked(mut queue: Queue) -> Queue {
    queue.blocked = Some(Box::new(blocking()));
    queue
}

pub(crate) fn blocking() -> BlockingInfo {
    BlockingInfo { reason: BlockingReason::Content, notice: None }
}

pub(crate) fn message_id(number: u8) -> MessageKey {
    [number; 24]
}

pub(crate) fn message(number: u8, kind: MessageKind) -> Message {
    Message {
        row: number.into(),
        id: message_id(number),
        accepted_at: NOW + i64::from(number),
        kind,
        flags: MessageFlags::default(),
        body: None,
        written: Ticket::START,
    }
}

pub(crate) fn with_messages(count: u8) -> Queue {
    let mut queue = messaging();
    queue.messages = (0..count).map(|number| message(number, MessageKind::Message)).collect();
    queue
}

pub(crate) fn context() -> Context {
    Context { now: NOW, quota: 128, expire_before: None }
}

pub(crate) fn sent(length: usize) -> Sent {
    let body = Body::new(vec![b'x'; length], &Budget::new(0));
    Sent { row: 100, id: message_id(100), flags: MessageFlags { notify: true }, body }
}

/// The decision on a command that comes with nothing held.
pub(crate) fn decide(queue: &Queue, command: Command) -> Result<Decision, Error> {
    step(queue, Holding::Nothing, Request::Other(command), &context())
}

/// Makes the changes of a decision.
pub(crate) fn applied(mut queue: Queue, decision: &Decision) -> Queue {
    decision.changes.iter().for_each(|change| queue.apply(change));
    queue
}
