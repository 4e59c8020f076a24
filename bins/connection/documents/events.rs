//! What happens on a connection.

use agent::connection::{ReceiptEvent, ReceivedMessage, RequestEvent};
use agent::message_chain::Integrity;
use agent::receipt::ReceiptStatus;
use cli::{Blob, Document};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Content, document};

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
