//! What an owner wants done. Running a task twice is harmless; after a restart the same tasks are due again.

use agent::connection::Delivery;
use agent::full_link::FullLink;
use agent::link_read::RetrievedLinkData;
use agent::short_link::ContactShortLink;
use crypto::authorize::{AuthPrivateKey, AuthPublicKey};
use smp::address::{ServerAddress, ServerWithPassword};
use smp::command::LinkData;
use smp::id::{LinkId, RecipientId};

use super::record::ConnectionName;
use crate::identity::MemberId;
use crate::message_id::MessageId;

/// The name of a task. At most one task of a name is under way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskId {
    /// Read what is behind a relay's address.
    ReadAddress(MemberId),
    /// Open a connection and send the invitation.
    Invite(MemberId),
    /// Read what is behind the link that a relay made.
    ReadRelayLink(MemberId),
    /// Read what is behind a relay link that another owner listed; named by its text.
    ReadListed(String),
    /// Open a connection to a relay that another owner invited, as one of the group's owners.
    Join(MemberId),
    /// Let the relay in with `x.ok`.
    Allow(MemberId),
    /// Say something through the connection.
    Send(MemberId, MessageId),
    /// Delete a connection.
    Delete(ConnectionName),
    /// Read the data behind the group link, to see what other owners wrote.
    ReadGroupLink,
    /// Set the keys of all owners for the queue behind the group link.
    SetQueueKeys,
    /// Write the data behind the group link.
    WriteLink,
    /// Delete the group link with the queue behind it.
    DeleteLink,
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
    /// Accept these messages for sending, in this order; done as soon as they are durable.
    Send {
        /// Through which connection.
        connection: ConnectionName,
        /// The messages.
        bodies: Vec<Vec<u8>>,
    },
    /// Delete a connection. If there is none, that is done.
    Delete {
        /// Which.
        connection: ConnectionName,
        /// What becomes of messages that wait.
        delivery: Delivery,
    },
    /// Set the keys for a queue with `RKEY`.
    SetQueueKeys(Box<SetQueueKeys>),
    /// Write the link data with `LSET`.
    WriteLink(Box<WriteLink>),
    /// Delete the queue behind the link with `DEL`. If there is none, that is done.
    DeleteLink(Box<DeleteLink>),
}

/// Another list of keys that may give commands for the queue behind the group link.
#[derive(Debug, Clone)]
pub struct SetQueueKeys {
    /// The link's server.
    pub server: ServerAddress,
    /// The queue behind the link.
    pub recipient_id: RecipientId,
    /// Authorises the command.
    pub key: AuthPrivateKey,
    /// The keys of all owners.
    pub keys: Vec<AuthPublicKey>,
}

/// A write of link data.
#[derive(Debug, Clone)]
pub struct WriteLink {
    /// For [`Outcome::Written`].
    pub version: u64,
    /// The link's server.
    pub server: ServerAddress,
    /// The queue behind the link.
    pub recipient_id: RecipientId,
    /// Authorises the command.
    pub key: AuthPrivateKey,
    /// The link.
    pub link_id: LinkId,
    /// What is to stand there.
    pub data: LinkData,
}

/// The deletion of a link.
#[derive(Debug, Clone)]
pub struct DeleteLink {
    /// The link's server.
    pub server: ServerAddress,
    /// The queue behind the link.
    pub recipient_id: RecipientId,
    /// Authorises the command.
    pub key: AuthPrivateKey,
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; of tasks that return nothing.
    Done,
    /// What is behind a link.
    Retrieved(Box<RetrievedLinkData>),
    /// The server confirmed the link data of this version.
    Written(u64),
    /// Not now: it is tried again. With what happened.
    Unreachable(String),
    /// Trying again will not help. With the reason.
    Refused(String),
}
