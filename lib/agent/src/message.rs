//! What agents say to each other inside the double ratchet.
//!
//! A handshake says who is there and where to answer; after it every message has a number and the hash of the one
//! before. Lists exist so that later versions can send more than one item.

use codec::{Decode, Encode, Malformed, Reader, Write};
use crypto::authorize::AuthPublicKey;
use crypto::hash::sha256;
use smp::address::ServerAddress;
use smp::id::SenderId;
use smp::queue_address::{QueueInfo, QueueUri};

use crate::non_empty::NonEmpty;
use crate::receipt::Receipt;

/// A decrypted message of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecryptedMessage {
    /// In the confirmation of the link's owner: information about it.
    Info(Vec<u8>),
    /// In the confirmation of who joined.
    InfoReply {
        /// Queues for the way back.
        queues: NonEmpty<QueueInfo>,
        /// Information about who joined.
        info: Vec<u8>,
    },
    /// Beside new ratchet keys; without content today.
    RatchetInfo(Vec<u8>),
    /// Everything after the handshake.
    Message(AgentMessage),
}

/// A numbered message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentMessage {
    /// Counts what the sender sent through this connection, from 1.
    pub number: i64,
    /// Of the message with the number before.
    pub previous_hash: MessageHash,
    /// What it says.
    pub body: MessageBody,
}

/// What numbered messages say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageBody {
    /// Completes the slow handshake.
    Hello,
    /// Belongs to the application.
    Application(Vec<u8>),
    /// Says which application messages arrived.
    Receipts(NonEmpty<Receipt>),
    /// The queue at this address has room again.
    QueueContinues(SendAddress),
    /// Rotation: these queues shall be added, perhaps in place of others.
    AddQueues(NonEmpty<AddedQueue>),
    /// Rotation: the sender's keys for the new queues.
    QueueKeys(NonEmpty<KeyedQueue>),
    /// Rotation: the new queues may be used.
    UseQueues(NonEmpty<UsedQueue>),
    /// Rotation: the first message through the new queues.
    TestQueues(NonEmpty<SendAddress>),
    /// Re-synchronisation is complete.
    RatchetReady {
        /// The number of the last message received before.
        last_received: i64,
    },
}

/// A queue as messages refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendAddress {
    /// The server, with the hosts as they were first given.
    pub server: ServerAddress,
    /// The sender's name for the queue.
    pub sender_id: SenderId,
}

/// A queue to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedQueue {
    /// The new queue.
    pub queue: QueueUri,
    /// The queue it replaces.
    pub replaces: Option<SendAddress>,
}

/// A new queue with the keys of its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedQueue {
    /// The queue, with the sender's key for its end-to-end layer.
    pub queue: QueueInfo,
    /// The key to secure the queue with.
    pub sender_key: AuthPublicKey,
}

/// A queue that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedQueue {
    /// The queue.
    pub address: SendAddress,
    /// Whether it takes over.
    pub primary: bool,
}

/// SHA-256 of an encoded message, or nothing before the first. Peers may send other bytes, which match no message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageHash(Vec<u8>);

impl MessageHash {
    /// The hash of an encoded message.
    pub fn of(encoded: &[u8]) -> Self {
        MessageHash(sha256(encoded).to_vec())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl SendAddress {
    /// Whether both are the same queue: an equal name on a server with a common host.
    pub fn same_queue(&self, other: &SendAddress) -> bool {
        let common_host = || self.server.hosts().any(|host| other.server.hosts().any(|other| host == other));
        self.sender_id == other.sender_id && common_host()
    }
}

impl From<&QueueInfo> for SendAddress {
    fn from(queue: &QueueInfo) -> Self {
        SendAddress { server: queue.address.server.clone(), sender_id: queue.address.sender_id.clone() }
    }
}

impl Encode for DecryptedMessage {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            DecryptedMessage::Info(info) => {
                out.put(b"I");
                out.put(info);
            }
            DecryptedMessage::InfoReply { queues, info } => {
                out.put(b"D");
                queues.encode(out);
                out.put(info);
            }
            DecryptedMessage::RatchetInfo(info) => {
                out.put(b"R");
                out.put(info);
            }
            DecryptedMessage::Message(message) => {
                out.put(b"M");
                message.encode(out);
            }
        }
    }
}

impl Decode for DecryptedMessage {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8()? {
            b'I' => Ok(DecryptedMessage::Info(reader.tail().to_vec())),
            b'D' => Ok(DecryptedMessage::InfoReply { queues: NonEmpty::decode(reader)?, info: reader.tail().to_vec() }),
            b'R' => Ok(DecryptedMessage::RatchetInfo(reader.tail().to_vec())),
            b'M' => AgentMessage::decode(reader).map(DecryptedMessage::Message),
            _ => Err(Malformed::BadValue("kind of agent message")),
        }
    }
}

impl Encode for AgentMessage {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_i64(self.number);
        self.previous_hash.encode(out);
        self.body.encode(out);
    }
}

impl Decode for AgentMessage {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(AgentMessage {
            number: reader.i64()?,
            previous_hash: MessageHash::decode(reader)?,
            body: MessageBody::decode(reader)?,
        })
    }
}

impl Encode for MessageBody {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            MessageBody::Hello => out.put(b"H"),
            MessageBody::Application(body) => {
                out.put(b"M");
                out.put(body);
            }
            MessageBody::Receipts(receipts) => tagged(out, b"V", receipts),
            MessageBody::QueueContinues(address) => tagged(out, b"QC", address),
            MessageBody::AddQueues(queues) => tagged(out, b"QA", queues),
            MessageBody::QueueKeys(queues) => tagged(out, b"QK", queues),
            MessageBody::UseQueues(queues) => tagged(out, b"QU", queues),
            MessageBody::TestQueues(queues) => tagged(out, b"QT", queues),
            MessageBody::RatchetReady { last_received } => {
                out.put(b"E");
                out.put_i64(*last_received);
            }
        }
    }
}

fn tagged(out: &mut Vec<u8>, tag: &[u8], value: &impl Encode) {
    out.put(tag);
    value.encode(out);
}

impl Decode for MessageBody {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8()? {
            b'H' => Ok(MessageBody::Hello),
            b'M' => Ok(MessageBody::Application(reader.tail().to_vec())),
            b'V' => NonEmpty::decode(reader).map(MessageBody::Receipts),
            b'Q' => decode_about_queues(reader),
            b'E' => Ok(MessageBody::RatchetReady { last_received: reader.i64()? }),
            _ => Err(Malformed::BadValue("kind of message")),
        }
    }
}

fn decode_about_queues(reader: &mut Reader<'_>) -> Result<MessageBody, Malformed> {
    match reader.u8()? {
        b'C' => SendAddress::decode(reader).map(MessageBody::QueueContinues),
        b'A' => NonEmpty::decode(reader).map(MessageBody::AddQueues),
        b'K' => NonEmpty::decode(reader).map(MessageBody::QueueKeys),
        b'U' => NonEmpty::decode(reader).map(MessageBody::UseQueues),
        b'T' => NonEmpty::decode(reader).map(MessageBody::TestQueues),
        _ => Err(Malformed::BadValue("kind of message about queues")),
    }
}

impl Encode for MessageHash {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_short(&self.0);
    }
}

impl Decode for MessageHash {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.short().map(|bytes| MessageHash(bytes.to_vec()))
    }
}

impl Encode for SendAddress {
    fn encode(&self, out: &mut Vec<u8>) {
        self.server.encode(out);
        self.sender_id.encode(out);
    }
}

impl Decode for SendAddress {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(SendAddress { server: ServerAddress::decode(reader)?, sender_id: SenderId::decode(reader)? })
    }
}

impl Encode for AddedQueue {
    fn encode(&self, out: &mut Vec<u8>) {
        self.queue.encode(out);
        out.put_maybe(self.replaces.as_ref(), |out, address| address.encode(out));
    }
}

impl Decode for AddedQueue {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(AddedQueue { queue: QueueUri::decode(reader)?, replaces: reader.maybe(SendAddress::decode)? })
    }
}

impl Encode for KeyedQueue {
    fn encode(&self, out: &mut Vec<u8>) {
        self.queue.encode(out);
        out.put_short(&self.sender_key.to_der());
    }
}

impl Decode for KeyedQueue {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let queue = QueueInfo::decode(reader)?;
        let sender_key = AuthPublicKey::from_der(reader.short()?);
        Ok(KeyedQueue { queue, sender_key: sender_key.map_err(|_| Malformed::BadValue("sender key"))? })
    }
}

impl Encode for UsedQueue {
    fn encode(&self, out: &mut Vec<u8>) {
        self.address.encode(out);
        out.put_bool(self.primary);
    }
}

impl Decode for UsedQueue {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(UsedQueue { address: SendAddress::decode(reader)?, primary: reader.bool()? })
    }
}
