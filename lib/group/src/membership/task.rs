//! What a member wants done. Running a task twice is harmless; after a restart the same tasks are due again.

use agent::connection::Delivery;
use agent::full_link::FullLink;
use agent::link_read::RetrievedLinkData;
use agent::short_link::ContactShortLink;
use smp::address::ServerWithPassword;

use super::relay::RelayNumber;
use crate::event::ConnectionPurpose;
use crate::owner::ConnectionName;

/// Which of the connections with a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    /// The first, and in most cases the only one.
    Main,
    /// The one for content, with extension `pair1`.
    Content,
}

impl Line {
    /// What a relay is told about it.
    pub(super) fn purpose(self) -> Option<ConnectionPurpose> {
        match self {
            Line::Main => None,
            Line::Content => Some(ConnectionPurpose::Content),
        }
    }
}

/// The name of a task. At most one task of a name is under way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskId {
    /// Read what is behind the group link.
    ReadGroupLink,
    /// Read what is behind a relay link.
    ReadRelayLink(RelayNumber),
    /// Open a connection and ask for admission.
    Join(RelayNumber, Line),
    /// Go on with a relay that admits the member.
    Allow(RelayNumber, Line),
    /// Say something; with its number among what was ever said.
    Send(RelayNumber, u64),
    /// Delete a connection.
    Delete(ConnectionName),
}

/// A task.
#[derive(Debug, Clone)]
pub enum Task {
    /// Retrieve link data with `LGET`.
    ReadLink(ContactShortLink),
    /// Open a connection of this name to the link, without post-quantum encryption, and join it. If there is a connection
    /// of this name already, that is done.
    Open {
        /// The new connection.
        connection: ConnectionName,
        /// Where to.
        link: Box<FullLink>,
        /// Where our queue is to be.
        server: ServerWithPassword,
        /// What to say.
        info: Vec<u8>,
    },
    /// Allow the peer. If it is allowed already, that is done.
    Allow {
        /// Whose peer.
        connection: ConnectionName,
        /// What to say.
        info: Vec<u8>,
    },
    /// Accept a message for sending; done as soon as it is durable.
    Send {
        /// Through which connection.
        connection: ConnectionName,
        /// The message.
        body: Vec<u8>,
    },
    /// Delete a connection. If there is none, that is done.
    Delete {
        /// Which.
        connection: ConnectionName,
        /// What becomes of messages that wait.
        delivery: Delivery,
    },
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; of tasks that return nothing.
    Done,
    /// What is behind a link.
    Retrieved(Box<RetrievedLinkData>),
    /// Not now: it is tried again. With what happened.
    Unreachable(String),
    /// Trying again will not help. With the reason.
    Refused(String),
}
