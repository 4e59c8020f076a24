//! What a connection tells its application.
//!
//! Events that the application must act on stay until it has done so: [`Connection::pending`](super::Connection::pending)
//! names them again after a restart. Others only tell that something happened.

use smp::id::MessageId;

use super::fault::{PeerFault, TaskFault};
use crate::message_chain::Integrity;
use crate::receipt::ReceiptStatus;

/// Something for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The data behind the short link was read and checked. Stays until the connection is joined.
    LinkRead,
    /// Our queue exists, and so does the link to it.
    Created,
    /// Somebody used our invitation. Stays until it is allowed or deleted.
    Confirmed {
        /// What the peer says of itself.
        info: Vec<u8>,
    },
    /// The peer allowed us, and says this of itself. Stays until it is [heard](super::Connection::heard).
    Info(Vec<u8>),
    /// Both sides can send and receive. Stays until it is [heard](super::Connection::heard).
    Connected {
        /// Whether an encapsulated secret protects what we send.
        post_quantum: bool,
    },
    /// Somebody asks for a connection through our contact address. Stays until it is accepted or rejected.
    Requested(RequestEvent),
    /// A message. Stays until it is acknowledged.
    Message(ReceivedMessage),
    /// The peer's application says that messages arrived. Stays until it is acknowledged.
    Receipts {
        /// For the acknowledgement.
        id: MessageId,
        /// One for each message.
        receipts: Vec<ReceiptEvent>,
    },
    /// The server of the peer has taken the message.
    Sent {
        /// Its number.
        number: i64,
    },
    /// The message is still to be sent: the peer's queue is full.
    QuotaExceeded {
        /// Its number.
        number: i64,
    },
    /// The peer has emptied its queue.
    QuotaRestored,
    /// The message will not be sent.
    NotSent {
        /// Its number.
        number: i64,
        /// Why.
        fault: TaskFault,
    },
    /// A task of the handshake failed. Nothing goes on until [`retry`](super::Connection::retry).
    Stopped(TaskFault),
    /// What the peer, or a server between, sent was refused; the connection is as it was.
    Refused(PeerFault),
    /// The server has deleted our queue, or does not know it any more: nothing will come.
    QueueLost,
    /// Data of our link was written.
    LinkSet,
    /// Our queue no longer accepts messages.
    Suspended,
    /// The connection is gone; there may have been a failure that leaves a queue behind.
    Deleted(Option<TaskFault>),
}

/// A request to a contact address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestEvent {
    /// For accepting or rejecting it.
    pub id: u64,
    /// What the peer says of itself.
    pub info: Vec<u8>,
    /// Whether a connection through it can be post-quantum.
    pub post_quantum: bool,
}

/// An application message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// The server's ID of the message, for the acknowledgement.
    pub id: MessageId,
    /// When the server accepted it, in Unix seconds.
    pub sent_at: i64,
    /// The sender's number.
    pub number: i64,
    /// How it follows the message before.
    pub integrity: Integrity,
    /// Whether an encapsulated secret protected it.
    pub post_quantum: bool,
    /// What the peer's application sent.
    pub body: Vec<u8>,
}

/// What a receipt says of one message of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptEvent {
    /// The message's number.
    pub number: i64,
    /// Whether the peer received what we sent.
    pub status: ReceiptStatus,
    /// From the peer's application.
    pub info: Vec<u8>,
}
