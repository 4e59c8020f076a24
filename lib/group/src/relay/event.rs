//! What a relay tells whoever runs it.

use super::name::{ConnectionName, ServiceId};
use super::status::Status;
use crate::identity::MemberId;
use crate::verification::AcceptedMessage;

/// Something that whoever runs the relay may want to know. Everything that matters later is in the state and the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A service began.
    Invited(ServiceId),
    /// A service has another status.
    StatusChanged {
        /// The service.
        service: ServiceId,
        /// The status from now on.
        status: Status,
    },
    /// An owner said something that goes to everybody in the group, with the time when it reached our queue. It is told
    /// once: whoever passes it on keeps that together with the changes of the step.
    ToForward {
        /// The service.
        service: ServiceId,
        /// What was said.
        message: Box<AcceptedMessage>,
        /// In Unix seconds.
        sent_at: i64,
    },
    /// An owner is connected, through a connection that nobody else can have: what is said in the group goes there too.
    OwnerConnected {
        /// The service.
        service: ServiceId,
        /// Who.
        owner: MemberId,
        /// The number of the connection.
        connection: u64,
        /// What the owner's program speaks at most.
        max_version: u16,
    },
    /// A connection with an owner is lost or deleted.
    OwnerLost {
        /// The service.
        service: ServiceId,
        /// Who.
        owner: MemberId,
        /// The number of the connection.
        connection: u64,
    },
    /// Somebody asked through the relay link to be let in as an owner, and is none: the request there gets no answer.
    OwnerDismissed {
        /// The service.
        service: ServiceId,
        /// The request at its relay link.
        request: u64,
    },
    /// An owner signed another roster, or a change of it.
    RosterChanged(ServiceId),
    /// Members are admitted, or no longer.
    Admission {
        /// The service.
        service: ServiceId,
        /// Whether they are.
        accepting: bool,
    },
    /// Somebody tests the relay's address.
    Tested,
    /// A request gets no answer.
    Dismissed(Dismissal),
    /// What came through a connection is none of ours.
    UnknownConnection(ConnectionName),
}

/// Why a request gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Dismissal {
    /// It says nothing that relays understand.
    #[error("not a request to a relay")]
    Unintelligible,
    /// It names no group link.
    #[error("no group link is named")]
    GroupLink,
    /// Only owners invite relays.
    #[error("not sent as an owner")]
    NotByOwner,
    /// Relay and owner are to be the same member.
    #[error("the relay is to have the owner's member ID")]
    MemberId,
    /// The owner's name is none.
    #[error("the owner has no valid name")]
    OwnerName,
    /// The invitation was sent before, by somebody else.
    #[error("somebody else's invitation is repeated")]
    OtherOwner,
    /// A challenge is 32 random bytes, so that nothing else is ever signed with the key of the address.
    #[error("a challenge of the wrong length")]
    Challenge,
    /// Too many wait already.
    #[error("too many requests wait already")]
    Busy,
}
