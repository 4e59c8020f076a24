//! What the agent's task has taken in and not worked on yet.

use agent::connection::keep::{ConnectionId, Record};
use agent::connection::{Outcome, TaskId};
use tokio::sync::oneshot;

use super::AgentError;
use super::request::Request;
use super::table::Slot;
use super::waking::Kept;
use crate::client::Collected;
use crate::steady::Numbered;

/// Connections as they are kept.
pub(super) enum Loaded {
    /// For whoever asked for them.
    Asked { kept: Result<Vec<(ConnectionId, Kept)>, AgentError>, answer: oneshot::Sender<Loads> },
    /// For what waits for them.
    Woken { slots: Vec<Slot>, records: Result<Vec<Vec<Record>>, AgentError> },
}

/// What became of connections that were to be loaded.
pub(super) type Loads = Result<Vec<(ConnectionId, Result<(), AgentError>)>, AgentError>;

/// What waits for the next round.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) requests: Vec<Request>,
    pub(super) loaded: Vec<Loaded>,
    pub(super) collected: Vec<Collected>,
    pub(super) heard: Vec<Numbered>,
    /// Outcomes of tasks that never reached a server.
    pub(super) outcomes: Vec<(Slot, TaskId, Outcome)>,
    /// A timer went off.
    pub(super) tick: bool,
}

impl Inbox {
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
            && self.loaded.is_empty()
            && self.collected.is_empty()
            && self.heard.is_empty()
            && self.outcomes.is_empty()
            && !self.tick
    }
}
