//! How far a relay is, as a member sees it.
//!
//! ```text
//! Listed ── relay link read and right ── x.member ─▶ Joining ── x.grp.link.inv ─▶ Admitted ── x.info ─▶ Connected
//!    ▲                │                     │                          │                        │
//!    └─ listed again ─┴─────────────────────┴────────── Gone ◀─────────┴────────────────────────┘
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a relay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The group link lists it; it knows nothing yet
    Listed,
    /// Its relay link passed every check, and it was asked for admission
    Joining,
    /// It admits the member; the connection is being made
    Admitted,
    /// Messages come and go
    Connected,
    /// It serves the member no more, or never did
    Gone,
}

impl Status {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Listed => "listed",
            Status::Joining => "joining",
            Status::Admitted => "admitted",
            Status::Connected => "connected",
            Status::Gone => "gone",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a relay is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum GoneReason {
    /// The group link does not list it any more
    #[error("the group link does not list it")]
    Unlisted,
    /// An owner removed it
    #[error("an owner removed it")]
    Removed,
    /// It left the group
    #[error("it left the group")]
    Left,
    /// It does not admit the member
    #[error("it refused: {0}")]
    Refused(String),
    /// Its relay link does not say what it must
    #[error("its relay link: {0}")]
    RelayLink(String),
    /// It answered with something else than yes or no, or leads to another group
    #[error("its answer: {0}")]
    Answer(String),
    /// Nothing can come from it, or go to it, any more
    #[error("the connection to it is lost: {0}")]
    ConnectionLost(String),
    /// The membership is over
    #[error("the membership is over")]
    Over,
}

impl GoneReason {
    /// Whether it is joined again as soon as the group link is read and lists it. All others but those that owners or
    /// relays decided are tried again when the member wants that.
    pub fn may_return(&self) -> bool {
        matches!(self, GoneReason::Unlisted | GoneReason::ConnectionLost(_))
    }

    /// Whether nothing but an owner's word in the group link brings it back.
    pub fn is_final(&self) -> bool {
        matches!(self, GoneReason::Removed | GoneReason::Left | GoneReason::Over)
    }
}

/// Why a membership is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The member left
    #[error("the member left")]
    Left,
    /// An owner or admin removed the member
    #[error("the member was removed")]
    Removed,
    /// An owner deleted the group
    #[error("the group was deleted")]
    Deleted,
}
