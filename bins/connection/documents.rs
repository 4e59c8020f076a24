//! The documents of the `conn-` binaries: one connection or contact address as its state file keeps it, and what
//! happens on it, one line each.

use std::collections::BTreeMap;

use agent::connection::{ReceiptEvent, ReceiveStatus, ReceivedMessage, RequestEvent, SendStatus};
use agent::message_chain::Integrity;
use agent::receipt::ReceiptStatus;
use cli::{Blob, Bytes, Document, Secret, SecretBlob};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! document {
    ($name:ident $kind:literal $secrets:expr) => {
        impl Document for $name {
            const TYPE: &'static str = $kind;
            const V: u32 = 1;
            const SECRETS: &'static [&'static str] = $secrets;
        }
    };
}

/// Bytes of an application: as text if they are text
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    /// The bytes, if they are UTF-8
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The bytes, if they are not
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Blob>,
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Content { text: Some(text), body: None },
            Err(error) => Content { text: None, body: Some(Blob(error.into_bytes())) },
        }
    }
}

/// A connection or a contact address, as one side keeps it
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Connection {
    /// Which side this is
    pub role: Role,
    /// How far it is
    pub status: Status,
    /// The link to share: the short one if there is one
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The link that says everything itself
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_link: Option<String>,
    /// The link of the peer, which this side uses
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_link: Option<String>,
    /// What the link tells whoever reads it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_data: Option<Content>,
    /// What the peer says of itself
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_info: Option<Content>,
    /// The request to a contact address that this connection answers
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answers>,
    /// The agreed version of the agent protocol
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<u16>,
    /// The agreed version of the double ratchet
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratchet_version: Option<u16>,
    /// Whether an encapsulated secret protects what is sent
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_quantum: Option<bool>,
    /// Equal on both sides, unless somebody stands between them
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_code: Option<Bytes<32>>,
    /// The queue through which this side receives
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_queue: Option<Queue>,
    /// The queue of the peer, through which this side sends
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_queue: Option<Queue>,
    /// Number of the last message for the peer; 0 before the first
    pub sent: i64,
    /// Number of the last message of the peer; 0 before the first
    pub received: i64,
    /// How many messages the peer's server does not have yet
    pub unsent: usize,
    /// How many messages were passed over and may still come
    pub missing: usize,
    /// Requests to a contact address that wait for an answer
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Request>,
    /// What a contact address tells is signed with this key
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_key: Option<Secret<32>>,
    /// What this side says of itself, in base64url
    #[serde(default, skip_serializing_if = "is_empty")]
    pub info: SecretBlob,
    /// How many steps were made
    #[serde(default)]
    pub revision: u64,
    /// The connection itself, with all keys
    #[serde(default)]
    pub records: BTreeMap<String, SecretBlob>,
}

document!(Connection "connection" &["root_key", "info", "revision", "records"]);

fn is_empty(bytes: &SecretBlob) -> bool {
    bytes.0.is_empty()
}

impl Connection {
    /// The server may have to be asked for the link, but this was done.
    pub fn is_created(&self) -> bool {
        !matches!(self.status, Status::Prepared)
    }

    /// What the link says is known.
    pub fn is_read(&self) -> bool {
        !matches!(self.status, Status::Reading)
    }

    /// The peer's server has the confirmation, or that of the address the request.
    pub fn is_joined(&self) -> bool {
        !matches!(self.status, Status::Reading | Status::Read | Status::Prepared | Status::Asking | Status::Joining)
    }

    /// This side has asked the owner of an address, and is to let it in.
    pub fn asks(&self) -> bool {
        self.role == Role::Joiner && matches!(self.status, Status::Asking | Status::Asked | Status::Confirmed)
    }

    /// The peer has confirmed, whether it was let in or not.
    pub fn is_confirmed(&self) -> bool {
        matches!(self.status, Status::Confirmed | Status::Allowed | Status::Greeting | Status::Connected)
    }

    /// The peer was let in, and its server has our confirmation.
    pub fn is_allowed(&self) -> bool {
        matches!(self.status, Status::Greeting | Status::Connected)
    }

    /// Both sides can send and receive.
    pub fn is_connected(&self) -> bool {
        self.status == Status::Connected
    }

    /// The server refuses further messages.
    pub fn is_suspended(&self) -> bool {
        self.receive_queue.as_ref().is_some_and(|queue| queue.status == QueueStatus::Suspended)
    }

    /// There is, or will be, a queue to receive from.
    pub fn receives(&self) -> bool {
        !matches!(self.status, Status::Reading | Status::Read | Status::Deleting)
    }

    /// What would bring the connection on, for messages to people.
    pub fn waits_for(&self) -> &'static str {
        match self.status {
            Status::Reading => "what the link says",
            Status::Invited => "somebody who uses the link",
            Status::Open => "a request",
            Status::Asked => "the owner of the address, who is to accept,",
            Status::Joined => "the peer, who is to accept,",
            Status::Greeting => "the peer's word",
            Status::Connected => "a message",
            _ => "the answer of a server",
        }
    }
}

/// A connection, whole or its public part, read for its link only
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionSeen {
    /// The link to join
    pub link: Option<String>,
}

document!(ConnectionSeen "connection" &[]);

/// Sides of a connection, and what is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Made the link
    #[default]
    Inviter,
    /// Uses the link of the peer
    Joiner,
    /// Takes requests from many
    Address,
}

impl Role {
    /// Who acts, in the trace.
    pub fn name(self) -> &'static str {
        match self {
            Role::Inviter => "inviter",
            Role::Joiner => "joiner",
            Role::Address => "address",
        }
    }
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A short link is to be read
    Reading,
    /// The link was read, and can be joined
    Read,
    /// The own queue is to be created
    Prepared,
    /// Nobody has used the link
    Invited,
    /// A contact address: takes requests
    Open,
    /// The request is on its way to the server of the address
    Asking,
    /// The request is at the server of the address
    Asked,
    /// The peer has confirmed, and is to be let in
    Confirmed,
    /// The confirmation is on its way to the peer's server
    Joining,
    /// The confirmation is at the peer's server
    Joined,
    /// The peer was let in; the confirmation is on its way to its server
    Allowed,
    /// A word from each side is missing, because a queue is secured by its recipient
    Greeting,
    /// Both sides can send and receive
    Connected,
    /// No further messages are accepted
    Suspended,
    /// Being deleted
    Deleting,
}

/// The request that a connection answers
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answers {
    /// The link of the address
    pub address: String,
    /// The number of the request
    pub request: u64,
}

/// One end of a queue
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Queue {
    /// The address of its server
    pub server: String,
    /// How far it is
    pub status: QueueStatus,
    /// Its name for who receives from it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient_id: Option<Blob>,
    /// Its name for who sends to it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_id: Option<Blob>,
}

/// How far one end of a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueStatus {
    /// Nothing has gone through
    New,
    /// A confirmation has
    Confirmed,
    /// Secured with the key of its sender
    Secured,
    /// In use
    Active,
    /// Accepts no messages any more
    Suspended,
}

impl From<ReceiveStatus> for QueueStatus {
    fn from(status: ReceiveStatus) -> Self {
        match status {
            ReceiveStatus::New => QueueStatus::New,
            ReceiveStatus::Confirmed => QueueStatus::Confirmed,
            ReceiveStatus::Secured => QueueStatus::Secured,
            ReceiveStatus::Active => QueueStatus::Active,
            ReceiveStatus::Suspended => QueueStatus::Suspended,
        }
    }
}

impl From<SendStatus> for QueueStatus {
    fn from(status: SendStatus) -> Self {
        match status {
            SendStatus::New => QueueStatus::New,
            SendStatus::Secured => QueueStatus::Secured,
            SendStatus::Confirmed => QueueStatus::Confirmed,
            SendStatus::Active => QueueStatus::Active,
        }
    }
}

/// A request to a contact address
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// For conn-accept --request
    pub id: u64,
    /// What the peer says of itself
    #[serde(flatten)]
    pub info: Content,
    /// Whether a connection through it can be post-quantum
    pub post_quantum: bool,
}

document!(Request "request" &[]);

impl From<RequestEvent> for Request {
    fn from(event: RequestEvent) -> Self {
        Request { id: event.id, info: event.info.into(), post_quantum: event.post_quantum }
    }
}

/// Somebody used the invitation; conn-accept lets them in
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Confirmed {
    /// What the peer says of itself
    #[serde(flatten)]
    pub info: Content,
}

document!(Confirmed "confirmed" &[]);

/// The peer let this side in
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerInfo {
    /// What the peer says of itself
    #[serde(flatten)]
    pub info: Content,
}

document!(PeerInfo "peer_info" &[]);

/// Both sides can send and receive
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Connected {
    /// Whether an encapsulated secret protects what is sent
    pub post_quantum: bool,
}

document!(Connected "connected" &[]);

/// A message of the peer
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// The peer's number of the message
    pub number: i64,
    /// When the server accepted it, in Unix seconds
    pub sent_at: i64,
    /// The message
    #[serde(flatten)]
    pub content: Content,
    /// How it follows the one before
    pub integrity: Follows,
    /// Whether an encapsulated secret protected it
    pub post_quantum: bool,
}

document!(Message "message" &[]);

impl From<ReceivedMessage> for Message {
    fn from(message: ReceivedMessage) -> Self {
        Message {
            number: message.number,
            sent_at: message.sent_at,
            content: message.body.into(),
            integrity: message.integrity.into(),
            post_quantum: message.post_quantum,
        }
    }
}

/// How a message follows the one before
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Follows {
    /// What was found
    pub result: FollowsResult,
    /// The first number that is missing
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// The last number that is missing
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
}

/// What the recipient finds of numbers and hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FollowsResult {
    /// It follows the last one
    Ok,
    /// Messages between were not received
    Skipped,
    /// Its number is lower than the last one
    BadNumber,
    /// Its number is the last one
    Duplicate,
    /// The sender's last message was another than ours
    BadHash,
}

impl From<Integrity> for Follows {
    fn from(integrity: Integrity) -> Self {
        let (result, from, to) = match integrity {
            Integrity::Ok => (FollowsResult::Ok, None, None),
            Integrity::Skipped { from, to } => (FollowsResult::Skipped, Some(from), Some(to)),
            Integrity::BadNumber { .. } => (FollowsResult::BadNumber, None, None),
            Integrity::Duplicate => (FollowsResult::Duplicate, None, None),
            Integrity::BadHash => (FollowsResult::BadHash, None, None),
        };
        Follows { result, from, to }
    }
}

/// The peer says that it received a message
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// The number of the message, as conn-send printed it
    pub number: i64,
    /// Whether the peer received what was sent
    pub status: Received,
    /// What the peer adds, if anything
    #[serde(flatten)]
    pub info: Content,
}

document!(Receipt "receipt" &[]);

/// What a receipt proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Received {
    /// Exactly the message that was sent
    Ok,
    /// Another message under this number
    OtherHash,
}

impl From<ReceiptEvent> for Receipt {
    fn from(event: ReceiptEvent) -> Self {
        let status = match event.status {
            ReceiptStatus::Confirmed => Received::Ok,
            ReceiptStatus::OtherHash => Received::OtherHash,
        };
        let info = if event.info.is_empty() { Content::default() } else { event.info.into() };
        Receipt { number: event.number, status, info }
    }
}

/// A message of this side
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    /// Its number
    pub number: i64,
    /// SHA-256 of the message with number and predecessor, which receipts repeat
    pub hash: Blob,
    /// Whether the peer's server has it
    pub status: SentStatus,
}

document!(Sent "sent" &[]);

/// Where a sent message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SentStatus {
    /// The peer's server has it
    Sent,
    /// In the state file, to be sent by the next run
    Waiting,
}

/// A connection or contact address that is over
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Why a queue may have been left behind at its server
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_behind: Option<String>,
}

document!(Deleted "deleted" &[]);
