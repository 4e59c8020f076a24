//! The log of a relay: everything that happened with each group, as JSON lines.
//!
//! ```text
//! {"at":1700000000,"service":3,"number":2,"event":"status","status":"accepted"}
//! ```
//!
//! Fields are only ever added. What people write is not in it, nor who they are outside the group.

use serde::{Deserialize, Serialize};

use super::name::ServiceId;
use super::status::Status;
use crate::bytes::{unpadded, unpadded_option};
use crate::identity::{GroupId, MemberId};
use crate::json;
use crate::roster::RosterVersion;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Unix seconds.
    pub at: u64,
    /// Which service.
    pub service: ServiceId,
    /// Counts the lines of a service from 1.
    pub number: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: LogEvent,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LogEvent {
    /// An invitation came.
    Invited {
        /// The group link.
        group_link: String,
        /// Who claims to be an owner.
        #[serde(with = "unpadded")]
        owner: MemberId,
        /// The relay's name in the group.
        #[serde(with = "unpadded")]
        relay_member_id: MemberId,
    },
    /// It came again.
    Repeated {
        /// The connection that it makes.
        connection: String,
    },
    /// The group link was read and believed.
    GroupRead {
        /// The group.
        #[serde(with = "unpadded")]
        group_id: GroupId,
        /// Its name.
        name: String,
    },
    /// The service has another status.
    Status(Status),
    /// Why it was refused.
    Refused {
        /// In words.
        detail: String,
    },
    /// The relay link is known; it exists when the status says so.
    LinkPlanned {
        /// The relay link.
        relay_link: String,
    },
    /// An owner's connection was answered, stands, or is lost.
    Connection {
        /// Its name.
        connection: String,
        /// `answered`, `connected` or `lost`.
        state: ConnectionState,
    },
    /// An owner said something.
    Said {
        /// The event's name on the wire.
        what: String,
    },
    /// What came through an owner's connection does not count.
    Ignored {
        /// The event's name, if one was read.
        #[serde(skip_serializing_if = "Option::is_none")]
        what: Option<String>,
        /// Why.
        why: String,
    },
    /// A roster was stored, or could not be used.
    Roster {
        /// Its version.
        version: RosterVersion,
        /// Why it could not be used.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The group link was looked at, and something is new.
    Checked {
        /// Whether it lists the relay.
        listed: bool,
    },
    /// The server returned old data of the group link.
    Replayed,
    /// Something failed and is tried again.
    Retry {
        /// What.
        what: String,
        /// How often it failed.
        attempts: u32,
    },
    /// Something failed.
    Failed {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// Somebody joins or leaves, or is not let in.
    Member {
        /// Who, as far as it is known.
        #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
        member_id: Option<MemberId>,
        /// What happened.
        state: MemberChange,
        /// Why it is not let in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Members are admitted, or no longer.
    Admission {
        /// Who decided.
        by: AdmissionBy,
        /// Whether they are.
        accepting: bool,
    },
}

/// What happened to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberChange {
    /// It is let in.
    Admitted,
    /// It is not.
    Dismissed,
    /// Its request waits.
    Waiting,
    /// It is there.
    Connected,
    /// It left.
    Left,
    /// It was removed.
    Removed,
    /// Its queue is gone.
    Lost,
    /// Somebody else has its member ID.
    OtherKey,
}

/// How an owner's connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// The relay answered.
    Answered,
    /// It stands.
    Connected,
    /// Nothing comes through it any more.
    Lost,
}

/// Who suspends or resumes the admission of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdmissionBy {
    /// An owner of the group.
    Owner,
    /// The relay's operator.
    Operator,
}

impl LogEvent {
    /// Whether peers can cause it as often as they like.
    pub(super) fn is_at_will(&self) -> bool {
        use LogEvent::{Admission, Connection, Ignored, Member, Repeated, Roster, Said};
        matches!(
            self,
            Said { .. }
                | Ignored { .. }
                | Repeated { .. }
                | Connection { .. }
                | Roster { .. }
                | Member { .. }
                | Admission { by: AdmissionBy::Owner, .. }
        )
    }
}

impl LogEntry {
    /// The line, without its end.
    pub fn to_json(&self) -> Vec<u8> {
        json::to_vec(self)
    }
}
