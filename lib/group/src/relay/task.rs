//! What a relay wants done, and what became of it.
//!
//! | task | with |
//! |---|---|
//! | read or check a group link | `LGET` |
//! | ask the policy | the operator's program |
//! | create a relay link | a contact address of the agent |
//! | answer a request | a connection of the agent, accepted from the address |
//! | send | that connection |
//! | delete a connection | the agent |
//!
//! At most one task of a name is under way, and at most one that is about the same connection: a link that is to be
//! deleted may be about to be created. A task that was done before is done again without harm: link, connections and messages are named in it. Where the
//! agent says that a connection of that name exists, or no longer does, the outcome is [`Outcome::Done`].

use agent::connection::Delivery;
use agent::link_read::RetrievedLinkData;
use agent::prepared_link::PreparedContactLink;
use agent::short_link::ContactShortLink;
use smp::address::ServerWithPassword;
use smp::command::LinkData;
use smp::id::LinkId;

use super::group::ServedGroup;
use super::invitation::Invitation;
use super::name::{ConnectionName, ServiceId};
use crate::event::RejectionReason;

/// Names a task. At most one task of a name is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskId {
    /// Read the group link of a new invitation.
    ReadGroupLink(ServiceId),
    /// Ask whether the operator wants the group.
    AskPolicy(ServiceId),
    /// Create the relay link.
    CreateLink(ServiceId),
    /// Accept the request that makes this connection.
    Answer(ConnectionName),
    /// Forget a request that gets no answer.
    Dismiss(u64),
    /// Look whether the group link lists the relay.
    CheckLink(ServiceId),
    /// Send the message with this number.
    Send(ServiceId, u64),
    /// Delete a connection.
    DeleteConnection(ConnectionName),
}

/// What a task is about.
#[derive(Debug, Clone)]
pub enum Task {
    /// Read the data of a link, and what is read: [`Outcome::LinkData`] or [`Outcome::NoLink`].
    ReadLink {
        /// The link.
        link: ContactShortLink,
        /// The server's name for its data.
        link_id: LinkId,
    },
    /// Ask, and what is decided: [`Outcome::Verdict`].
    AskPolicy(Box<PolicyQuestion>),
    /// Open a contact address with this link. Done when the agent says that it is created.
    CreateLink {
        /// The name of the connection.
        connection: ConnectionName,
        /// The link.
        link: Box<PreparedContactLink>,
        /// Both records of its data.
        data: LinkData,
        /// Where it is, with the password.
        server: ServerWithPassword,
    },
    /// Accept a request. Done when the connection is open and durable.
    Answer {
        /// Where it came: the address, or the relay link, where owners come that did not invite the relay.
        at: ConnectionName,
        /// The request.
        request: u64,
        /// The name of the connection.
        connection: ConnectionName,
        /// Where its queue is to be.
        server: ServerWithPassword,
        /// What to say.
        info: Vec<u8>,
    },
    /// Reject a request to the address; whoever asked is not told.
    Dismiss(u64),
    /// Send a message. Done when the agent has taken it.
    Send {
        /// Through which connection.
        connection: ConnectionName,
        /// The body.
        body: Vec<u8>,
    },
    /// Delete a connection. Done when the agent has taken it.
    DeleteConnection(ConnectionName, Delivery),
}

impl Task {
    /// The connection that it is about.
    pub fn connection(&self) -> Option<ConnectionName> {
        match self {
            Task::CreateLink { connection, .. }
            | Task::Answer { connection, .. }
            | Task::Send { connection, .. }
            | Task::DeleteConnection(connection, _) => Some(*connection),
            Task::ReadLink { .. } | Task::AskPolicy(_) | Task::Dismiss(_) => None,
        }
    }
}

/// What an operator's program is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyQuestion {
    /// The service.
    pub service: ServiceId,
    /// What the owner asked.
    pub invitation: Invitation,
    /// What the group link says.
    pub group: ServedGroup,
}

/// What an operator decides about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is served.
    Accept,
    /// It is not; the owner is told this.
    Refuse(RejectionReason),
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, now or before.
    Done,
    /// What stands behind a link.
    LinkData(Box<RetrievedLinkData>),
    /// The server says that there is no such link.
    NoLink,
    /// What the operator decided.
    Verdict(Verdict),
    /// Nobody knows yet: it is to be tried again.
    Unreachable,
    /// It cannot be done, and why.
    Failed(String),
}
