//! How well relays deliver: what each brought, what it did not bring, and what it altered.
//!
//! A message that one relay delivered is expected from all others that were connected when it was sent. What does not
//! come for ten minutes is missing; if it comes after all, it was late. While the program does not run nothing is
//! missing: the time counts from its start.

use std::collections::VecDeque;
use std::time::Duration;

use agent::time::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::MemberId;
use crate::message_id::MessageId;

/// For so long a relay may lag behind others.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// How many messages are waited for. The oldest is given up for a new one.
const MAX_AWAITED: usize = 256;

/// What a relay delivered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Messages that were accepted, each once
    #[serde(default)]
    pub delivered: u64,
    /// Those of them that no other relay had delivered before
    #[serde(default)]
    pub first: u64,
    /// Messages that it delivered more than once
    #[serde(default)]
    pub repeated: u64,
    /// Messages that other relays delivered, and it did not
    #[serde(default)]
    pub missing: u64,
    /// Messages that were missing, and came after all
    #[serde(default)]
    pub late: u64,
    /// Messages of which it delivered another copy than other relays
    #[serde(default)]
    pub differing: u64,
    /// Those of them that a signature refutes, or what it delivered itself
    #[serde(default)]
    pub altered: u64,
    /// Messages that were refused: forged, without a signature that they must have, or not for their author to say
    #[serde(default)]
    pub refused: u64,
    /// What could not be read
    #[serde(default)]
    pub malformed: u64,
    /// When it delivered something last, in Unix seconds
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<i64>,
}

/// Messages that some relays have not delivered yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Awaited(pub(crate) VecDeque<Waiting>);

/// A message that some relays have not delivered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) message: MessageId,
    pub(crate) since: Time,
    pub(crate) relays: Vec<MemberId>,
}

impl Awaited {
    /// Waits for relays. What is given up for that is returned.
    pub(crate) fn wait(&mut self, waiting: Waiting) -> Option<Waiting> {
        if waiting.relays.is_empty() {
            return None;
        }
        self.0.push_back(waiting);
        if self.0.len() > MAX_AWAITED { self.0.pop_front() } else { None }
    }

    /// A relay delivered a message. Whether it was waited for.
    pub(crate) fn came(&mut self, message: &MessageId, relay: &MemberId) -> bool {
        let Some(waiting) = self.0.iter_mut().find(|waiting| waiting.message == *message) else { return false };
        let before = waiting.relays.len();
        waiting.relays.retain(|waited| waited != relay);
        let awaited = waiting.relays.len() < before;
        self.0.retain(|waiting| !waiting.relays.is_empty());
        awaited
    }

    /// Nothing is expected from a relay any more.
    pub(crate) fn forget(&mut self, relay: &MemberId) {
        self.0.iter_mut().for_each(|waiting| waiting.relays.retain(|waited| waited != relay));
        self.0.retain(|waiting| !waiting.relays.is_empty());
    }

    /// What was waited for long enough.
    pub(crate) fn give_up(&mut self, opened: Time, now: Time) -> Vec<Waiting> {
        let over = |waiting: &Waiting| waiting.since.max(opened).after(PATIENCE) <= now;
        let (gone, stay) = self.0.drain(..).partition(over);
        self.0 = stay;
        Vec::from(gone)
    }

    /// How many messages are waited for, or those from one relay.
    pub(super) fn count(&self, relay: Option<&MemberId>) -> usize {
        let waits = |waiting: &&Waiting| relay.is_none_or(|relay| waiting.relays.contains(relay));
        self.0.iter().filter(waits).count()
    }

    /// When something is given up next.
    pub(crate) fn next_due(&self, opened: Time) -> Option<Time> {
        self.0.iter().map(|waiting| waiting.since.max(opened).after(PATIENCE)).min()
    }
}
