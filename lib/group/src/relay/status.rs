//! How a relay stands with one group.
//!
//! | status | entered when | leaves to |
//! |---|---|---|
//! | invited | the request is stored | link created, rejected, inactive |
//! | link created | the relay link exists | accepted, rejected, inactive |
//! | accepted | the owner was answered | acknowledged, active, inactive, rejected by the operator |
//! | acknowledged | the owner's roster is stored | active, inactive, rejected by the operator |
//! | active | the group link lists the relay | inactive, rejected by the operator |
//! | inactive | the relay serves the group no more | |
//! | rejected | the relay refused the group, or its operator left it | inactive, when the operator allows the group again |

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::RejectionReason;

/// How a relay stands with one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", content = "reason", rename_all = "snake_case")]
pub enum Status {
    /// The request is stored.
    Invited,
    /// The relay link exists, and the owner does not know it yet.
    LinkCreated,
    /// The owner was answered.
    Accepted,
    /// The owner's roster is stored and acknowledged.
    #[serde(rename = "acknowledged_roster")]
    Acknowledged,
    /// The group link lists the relay.
    Active,
    /// The relay serves the group no more.
    Inactive(Inactivity),
    /// The relay does not want the group.
    Rejected(Rejection),
}

/// Why a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inactivity {
    /// An owner removed the relay.
    Removed,
    /// The group link listed the relay, and does not any more.
    Absent,
    /// The group link is gone.
    LinkGone,
    /// An owner deleted the group.
    GroupDeleted,
    /// Another service of the same group is listed.
    Replaced,
    /// The group link never listed the relay.
    NeverListed,
    /// The server of the relay link lost it.
    OwnLinkLost,
    /// The operator had left the group, and allows it again.
    Allowed,
}

/// Why a relay does not want a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// The operator left the group. Further invitations are refused until it is allowed again.
    Left,
    /// This invitation was refused.
    Refused(RejectionReason),
}

/// A status cannot follow another one: our own mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{from} cannot become {to}")]
pub struct IllegalStep {
    /// The status before.
    pub from: Status,
    /// What it was to become.
    pub to: Status,
}

impl Status {
    /// The next status, if it may follow this one.
    pub fn step(&self, to: Status) -> Result<Status, IllegalStep> {
        let legal = match (self, &to) {
            (Status::Invited, Status::LinkCreated | Status::Inactive(_) | Status::Rejected(_))
            | (Status::LinkCreated, Status::Accepted | Status::Inactive(_) | Status::Rejected(_))
            | (Status::Accepted, Status::Acknowledged | Status::Active | Status::Inactive(_))
            | (Status::Acknowledged, Status::Active | Status::Inactive(_))
            | (Status::Active, Status::Inactive(_))
            | (Status::Accepted | Status::Acknowledged | Status::Active, Status::Rejected(Rejection::Left))
            | (Status::Rejected(Rejection::Left), Status::Inactive(Inactivity::Allowed)) => {
                to != Status::Inactive(Inactivity::Allowed) || *self == Status::Rejected(Rejection::Left)
            }
            _ => false,
        };
        if legal { Ok(to) } else { Err(IllegalStep { from: self.clone(), to }) }
    }

    /// Whether the owner was told the relay link, and what owners say counts.
    pub fn is_serving(&self) -> bool {
        matches!(self, Status::Accepted | Status::Acknowledged | Status::Active)
    }

    /// Whether it serves the group, or is about to.
    pub fn is_current(&self) -> bool {
        self.is_serving() || self.is_pending()
    }

    /// Whether the owner waits for an answer.
    pub fn is_pending(&self) -> bool {
        matches!(self, Status::Invited | Status::LinkCreated)
    }

    /// Whether this one invitation was refused.
    pub fn is_refused(&self) -> bool {
        matches!(self, Status::Rejected(Rejection::Refused(_)))
    }

    /// Whether the operator left the group.
    pub fn is_left(&self) -> bool {
        *self == Status::Rejected(Rejection::Left)
    }

    /// The name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Status::Invited => "invited",
            Status::LinkCreated => "link_created",
            Status::Accepted => "accepted",
            Status::Acknowledged => "acknowledged_roster",
            Status::Active => "active",
            Status::Inactive(_) => "inactive",
            Status::Rejected(_) => "rejected",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
