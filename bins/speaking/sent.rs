//! What was said, and how far it is on its way: the lines that `grp-send` prints.

use cli::{Blob, Document};
use group::identity::MemberId;
use group::message_id::MessageId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::taking_part::lines::{blob_of_member, blob_of_message};

/// A message that was said
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GroupSent {
    /// The message
    pub message_id: Blob,
    /// Messages that carry the rest of it: the description of its file
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Blob>,
    /// It is said as the group, but the signature tells which owner said it
    #[serde(default, skip_serializing_if = "is_false")]
    pub reveals_owner: bool,
    /// The relays that are to pass it on
    pub relays: Vec<SentToRelay>,
}

impl Document for GroupSent {
    const TYPE: &'static str = "group_sent";
    const V: u32 = 1;
}

/// How far a message is on its way to a relay
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SentToRelay {
    /// The relay's name in the group
    pub relay_id: Blob,
    /// What the relay calls itself
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_name: Option<String>,
    /// Whether the server of the relay's queue has it
    pub status: SentStatus,
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SentStatus {
    /// The server of the relay's queue has it
    Sent,
    /// It is kept in the state file; the next run goes on
    Waiting,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl GroupSent {
    pub(super) fn new(messages: &[MessageId], reveals_owner: bool, relays: Vec<SentToRelay>) -> Self {
        let mut ids = messages.iter().map(blob_of_message);
        let message_id = ids.next().unwrap_or(Blob(Vec::new()));
        GroupSent { message_id, parts: ids.collect(), reveals_owner, relays }
    }

    /// Whether a relay does not have it yet.
    pub fn waits(&self) -> bool {
        self.relays.iter().any(SentToRelay::waits)
    }
}

impl SentToRelay {
    /// Whether the relay does not have it yet.
    pub fn waits(&self) -> bool {
        self.status == SentStatus::Waiting
    }

    pub(crate) fn new(relay: &MemberId, relay_name: Option<String>, waits: bool) -> Self {
        let status = if waits { SentStatus::Waiting } else { SentStatus::Sent };
        SentToRelay { relay_id: blob_of_member(relay), relay_name, status }
    }
}
