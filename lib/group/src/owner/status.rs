//! How far a relay of a group is, as its owner sees it.
//!
//! ```text
//! New ─▶ Invited ─▶ Accepted ─▶ Acknowledged ─▶ Active ─▶ Inactive
//!            │          ├── relays without rosters ──▲        ▲
//!            │          └───────── given up, lost, left ──────┤
//!            └─ refused, or something about it is wrong ─▶ Rejected
//! ```
//!
//! Whatever ends, ends for good: the next invitation of the same relay makes a new record with a new member ID.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::RejectionReason;

/// How far a relay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Chosen; it knows nothing yet
    New,
    /// Asked to serve the group
    Invited,
    /// Has made a relay link, which passed every check
    Accepted,
    /// Has the current roster
    #[serde(rename = "acknowledged_roster")]
    Acknowledged,
    /// The group link lists it
    Active,
    /// Served the group, or was to serve it, and does no more
    Inactive,
    /// Does not serve the group, or must not
    Rejected,
}

impl Status {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Status::New => "new",
            Status::Invited => "invited",
            Status::Accepted => "accepted",
            Status::Acknowledged => "acknowledged_roster",
            Status::Active => "active",
            Status::Inactive => "inactive",
            Status::Rejected => "rejected",
        }
    }

    /// Whether nothing leads away from it.
    pub const fn is_final(self) -> bool {
        matches!(self, Status::Inactive | Status::Rejected)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What an active relay knows of being listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActiveStage {
    /// What it finds out itself; relays without extension `ready1` stay here
    Listed,
    /// The owner told it
    Notified,
    /// It found itself in the link and said so
    Confirmed,
}

/// A status and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusChange {
    /// Where the relay came to
    pub status: Status,
    /// For active relays
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<ActiveStage>,
    /// When, in Unix seconds
    pub changed_at: i64,
}

/// Why a relay serves no more, or will not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InactiveReason {
    /// The owner gave up before the relay was listed.
    #[error("the owner gave it up")]
    Cancelled,
    /// The owner removed it and told it.
    #[error("the owner removed it")]
    Removed,
    /// The owner removed it and could not tell it, or did not want to.
    #[error("the owner removed it without telling it")]
    RemovedUnnotified,
    /// It left by itself.
    #[error("it left the group")]
    Left,
    /// The link was published without it.
    #[error("the group link does not list it")]
    Unlisted,
    /// The owner ended the group.
    #[error("the group was ended")]
    GroupDeleted,
    /// Nothing can come from it, or go to it, any more.
    #[error("the connection to it is lost")]
    ConnectionLost,
}

/// Why a relay must not serve the group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RejectedReason {
    /// It says so itself.
    #[error("it refused: {0}")]
    Refused(RejectionReason),
    /// What was given as its address is none.
    #[error("its address: {0}")]
    Address(String),
    /// It answered with something else than yes or no.
    #[error("its answer: {0}")]
    Answer(String),
    /// Its relay link does not say what it must.
    #[error("its relay link: {0}")]
    RelayLink(String),
    /// It cannot use the roster.
    #[error("it does not take the roster: {0}")]
    Roster(String),
}

/// Why a relay came to its last status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// [`Status::Inactive`].
    #[error(transparent)]
    Inactive(#[from] InactiveReason),
    /// [`Status::Rejected`].
    #[error(transparent)]
    Rejected(#[from] RejectedReason),
}
