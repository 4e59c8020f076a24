//! Why an owner cannot do what it asked for. Nothing has changed then.

use super::address::AddressFault;
use super::record::ConnectionName;
use super::status::Status;
use crate::extension::Extension;
use crate::identity::MemberId;
use crate::limits::TooLong;
use crate::membership::{MemberError, RecordError};
use crate::profile::ProfileFault;
use crate::step::link_create::LinkCreateError;

/// Why a step cannot be made. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OwnerError {
    /// There is no such relay.
    #[error("there is no relay {0}")]
    UnknownRelay(MemberId),
    /// No relay has such a connection, or has it any more.
    #[error("no relay has a connection {0}")]
    UnknownConnection(ConnectionName),
    /// Only relays are invited.
    #[error(transparent)]
    Address(#[from] AddressFault),
    /// The relay was invited and did not end.
    #[error("the relay was invited already, as {0}")]
    AlreadyInvited(MemberId),
    /// No link lists so many.
    #[error("no group has more than {0} relays")]
    TooManyRelays(usize),
    /// Relays would not know who invites them.
    #[error("nothing is decided yet about how relays see the owner")]
    NoPersona,
    /// Relays know the owner as somebody else.
    #[error("relays know the owner already")]
    AlreadyIntroduced,
    /// The document was made by a run that did not create the link.
    #[error("only the document of the run that created the link can change it")]
    NotWritable,
    /// Whoever wants to be an owner wants to be one of another group.
    #[error("the request is for another group")]
    OtherGroup,
    /// An owner has that name or that key already.
    #[error("owner {0} has this name or this key already, and another key for the queue or for itself")]
    OwnerKnown(MemberId),
    /// No link holds more beside a profile.
    #[error("no group has more than {0} owners")]
    TooManyOwners(usize),
    /// Only those before it in the list, and the holder of the root key.
    #[error("owner {0} did not come after this one: only those before it, or who holds the root key, can remove it")]
    MayNotDismiss(MemberId),
    /// Another owner removed this one.
    #[error("this owner was removed from the group")]
    NotAnOwner,
    /// Nobody would serve the group.
    #[error("it is the last relay: without it nobody reaches the members")]
    LastRelay,
    /// Not at this point of the relay's life.
    #[error("{0}: not while the relay is {1}")]
    Prohibited(&'static str, Status),
    /// The relay would not understand it.
    #[error("the relay does not know extension {0}")]
    NotAnnounced(Extension),
    /// A name that nobody may have.
    #[error(transparent)]
    Profile(#[from] ProfileFault),
    /// What is to be said to the group cannot be said, or what is to be done cannot be ordered.
    #[error(transparent)]
    Speech(#[from] MemberError),
    /// The owner has ended the group.
    #[error("the group was ended")]
    Over,
    /// What is kept of messages and members cannot be read.
    #[error(transparent)]
    Records(#[from] RecordError),
    /// It does not fit.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// Relays could not be told of it.
    #[error("the profile is too long for a message to the relays")]
    ProfileTooLong,
    /// It does not fit the link.
    #[error(transparent)]
    Link(#[from] LinkCreateError),
    /// Our own error: no such task has such an outcome, or is due.
    #[error("there is no such task, or not with this outcome")]
    Task,
}
