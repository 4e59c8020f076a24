//! The documents of the `conn-` binaries.
//!
//! [`Connection`] is one side of a connection, or a contact address, as its state file keeps it. [`events`] are what
//! happens on it, one line each.

mod content;
pub mod events;

use std::collections::BTreeMap;

use agent::connection::{ReceiveStatus, SendStatus};
use cli::{Blob, Bytes, Document, Secret, SecretBlob};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use content::Content;
use events::Request;

/// Gives a body its envelope.
macro_rules! document {
    ($name:ident $kind:literal $secrets:expr) => {
        impl Document for $name {
            const TYPE: &'static str = $kind;
            const V: u32 = 1;
            const SECRETS: &'static [&'static str] = $secrets;
        }
    };
}

use document;

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

    /// What is missing for the connection to go on, for messages to people.
    pub fn lacks(&self) -> &'static str {
        match self.status {
            Status::Invited => "nobody has used the link",
            Status::Open => "no such request has come",
            Status::Asked => "the owner of the address has not accepted",
            Status::Joined => "the peer has not accepted",
            Status::Greeting => "the peer has not answered",
            Status::Connected => "nothing more has come",
            _ => "no server has answered",
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
