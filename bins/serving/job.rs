//! What a run wants from the run that has the state file, and what comes back.

use cli::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::speaking::say::Say;
use crate::taking_part::joining::Wanted;

/// The longest line: both sides are programs of the same user, and many messages fit.
pub(super) const MAX_LINE: u64 = 16 << 20;

/// What is to be done, and for how long to try.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// What.
    pub job: Job,
    /// After how many seconds the answer is that it is not done yet.
    pub timeout: u32,
}

/// What is to be done. Doing it twice must come to the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Something is to be said. Every message has its name already.
    Say {
        /// What.
        says: Vec<Say>,
        /// Whether an owner speaks as the group even if there is no other.
        force: bool,
    },
    /// Relays that were lost are to be joined again.
    Restore(Wanted),
}

/// One line of an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Answer {
    /// A document; more follows.
    Line {
        /// The document, without its envelope.
        line: Value,
    },
    /// Done, or not.
    End {
        /// Whether it is done.
        ok: bool,
        /// Why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Value>,
    },
}

impl Answer {
    pub(super) fn end(outcome: Result<(), Error>) -> Self {
        match outcome {
            Ok(()) => Answer::End { ok: true, error: None },
            Err(error) => Answer::End { ok: false, error: Some(error.json()) },
        }
    }
}

/// Everything that came of a job.
#[derive(Debug)]
pub struct Done {
    /// The documents that are to be printed, without their envelopes.
    pub documents: Vec<Value>,
    /// How it ended.
    pub outcome: Result<(), Error>,
}
