//! Why a member cannot do what it asked for. Nothing has changed then.

use agent::short_link::ContactKind;

use super::records::RecordKey;
use super::status::EndReason;
use crate::identity::MemberId;
use crate::limits::TooLong;
use crate::member::Role;
use crate::message_id::MessageId;
use crate::owner::ConnectionName;
use crate::profile::ProfileFault;

/// Why a step cannot be made. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// Somebody gave us a link of another kind.
    #[error(transparent)]
    Link(#[from] WrongLink),
    /// The group has no relay at the moment.
    #[error("the group has no relays now: nobody can be asked for admission")]
    NoRelays,
    /// No relay has such a connection, or has it any more.
    #[error("no relay has a connection {0}")]
    UnknownConnection(ConnectionName),
    /// A name that nobody may have.
    #[error(transparent)]
    Profile(#[from] ProfileFault),
    /// It does not fit.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The membership is over.
    #[error("{0}")]
    Over(EndReason),
    /// Nobody would hear it.
    #[error("there is no connection with any relay of the group")]
    NotConnected,
    /// A relay takes nothing any more.
    #[error("more than {0} messages wait for a relay")]
    TooManyUnsent(usize),
    /// What is to be said is not for us to say.
    #[error(transparent)]
    Speech(#[from] SpeechFault),
    /// What is to be done is not for us to decide, or not like that.
    #[error(transparent)]
    Order(#[from] OrderFault),
    /// What is kept cannot be read.
    #[error(transparent)]
    Records(#[from] RecordError),
    /// Our own error: no such task has such an outcome, or is due.
    #[error("there is no such task, or not with this outcome")]
    Task,
}

/// A link that leads to no group that could be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongLink {
    /// It is where owners invite a relay.
    #[error("this is the address of a relay, not of a group")]
    RelayAddress,
    /// It leads to a person.
    #[error("this link leads to a person, not to a group")]
    Contact,
}

impl WrongLink {
    /// What to do with such a link instead.
    pub const fn advice(self) -> &'static str {
        match self {
            WrongLink::RelayAddress => "owners of groups invite the relay with it: grp-relay-invite --relay",
            WrongLink::Contact => "ask whoever gave it to you for the link of the group",
        }
    }

    /// Checks that a link promises to lead to a group, before anything is retrieved.
    pub fn check(kind: ContactKind) -> Result<(), Self> {
        match kind {
            ContactKind::Channel | ContactKind::Group => Ok(()),
            ContactKind::Relay => Err(WrongLink::RelayAddress),
            ContactKind::Contact => Err(WrongLink::Contact),
        }
    }
}

/// Why something cannot be said. Whoever wants to say it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpeechFault {
    /// The role does not allow it.
    #[error("members with role {0} may not say that")]
    Role(String),
    /// Only owners speak as the group.
    #[error("only owners speak as the group")]
    NotAnOwner,
    /// Everybody would know who speaks.
    #[error("there is a single owner: speaking as the group would hide nothing")]
    SingleOwner,
    /// It is about a message that we do not know.
    #[error("there is no message {0}")]
    UnknownMessage(MessageId),
    /// It is about a message that is somebody else's.
    #[error("message {0} is somebody else's")]
    NotOurs(MessageId),
    /// Members keep what is older.
    #[error("message {0} is older than 78 hours: members would not delete it")]
    TooOld(MessageId),
    /// Something else has the name that this is to have.
    #[error("message {0} says something else, or is somebody else's")]
    NameTaken(MessageId),
    /// Members drop what is more.
    #[error("no more than three reactions to one message count: take one back first")]
    TooManyReactions,
    /// The feature is off.
    #[error("the group does not allow {0}")]
    Off(&'static str),
    /// The file's description has too many parts.
    #[error("the description of the file is too long")]
    FileDescription,
}

/// Why an order cannot be given. Whoever wants to give it is at fault, unless relays lie about members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderFault {
    /// The role does not allow it.
    #[error("members with role {0} may not do that")]
    Role(Role),
    /// The owners alone decide that.
    #[error("only owners give rights, take them, and end the group")]
    OwnersOnly,
    /// It is about whoever gives it.
    #[error("nobody does that to itself")]
    Oneself,
    /// It is about an owner.
    #[error("{0} is an owner: the group link says who is")]
    Owner(MemberId),
    /// It is about a relay.
    #[error("{0} is a relay, not a member")]
    Relay(MemberId),
    /// Nobody gets this role by an order.
    #[error("the role {0} cannot be given")]
    NotAssignable(Role),
    /// The member ranks above whoever gives the order.
    #[error("{0} has a higher role: {1}")]
    HigherRole(MemberId, Role),
    /// Nobody told of such a member.
    #[error("there is no member {0}, as far as relays told")]
    UnknownMember(MemberId),
    /// The member left, or was removed.
    #[error("{0} is no member any more")]
    Gone(MemberId),
    /// Others could not check what the member signs.
    #[error("the key of {0} is not known")]
    UnknownKey(MemberId),
    /// A relay could put its own key in the place of the member's.
    #[error("the key of {0} is known from relays alone, which could name their own")]
    UnprovenKey(MemberId),
    /// Owners have pinned another key.
    #[error("an owner has signed another key for {0}")]
    OtherKey(MemberId),
    /// The roster has no room.
    #[error("too many members have rights")]
    Full,
    /// It goes by a name that was made for this group.
    #[error("nobody here knows who it is, and it would stay the same member under another name")]
    Incognito,
}

impl OrderFault {
    /// What to do instead, where something can be done.
    pub const fn advice(&self) -> Option<&'static str> {
        match self {
            OrderFault::Relay(_) => Some("owners remove relays with grp-relay-remove"),
            OrderFault::NotAssignable(_) => Some("observer, author, member, moderator and admin can be given"),
            OrderFault::UnknownMember(_) => Some("grp-member list shows who is known; grp-recv hears of others"),
            OrderFault::UnknownKey(_) => {
                Some("ask the member for its member_public_key, over another channel, and give it with --key")
            }
            OrderFault::UnprovenKey(_) => Some(
                "compare the key with the member over another channel and give it with --key, or trust the relays with \
                 --force",
            ),
            OrderFault::OtherKey(_) => Some("if the member has lost its key, it has to join as another member"),
            OrderFault::Full => Some("take the rights of somebody else first"),
            OrderFault::Incognito => Some("leave, and join with a name"),
            OrderFault::Role(_)
            | OrderFault::OwnersOnly
            | OrderFault::Oneself
            | OrderFault::Owner(_)
            | OrderFault::HigherRole(..)
            | OrderFault::Gone(_) => None,
        }
    }
}

/// Why records cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// They cannot be read.
    #[error("what is kept cannot be read: {0}")]
    Read(String),
    /// Somebody or something else wrote it.
    #[error("malformed record {0:?}")]
    Malformed(RecordKey),
    /// A later version wrote it.
    #[error("record {0:?} of version {1}")]
    Version(RecordKey, u64),
}
