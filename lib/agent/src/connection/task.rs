//! What a connection wants of servers.
//!
//! A connection never waits inside a step. It says which tasks are due, somebody runs them and reports the outcome.
//! Tasks are derived from the stored state alone, so that after a crash the same tasks are due again; running one twice
//! is harmless.

use crypto::authorize::AuthPrivateKey;
use smp::address::ServerAddress;
use smp::command::Command;
use smp::id::{CorrId, EntityId, MessageId, RecipientId};
use smp::response::Response;

/// The name of a task within its connection. At most one task of a name is under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskId {
    /// Read the data behind a short link: `LKEY` or `LGET`.
    ReadLink,
    /// Create the receive queue: `NEW`.
    CreateQueue,
    /// Secure the peer's queue as its sender: `SKEY`.
    SecureSendQueue,
    /// Secure our queue with the peer's key: `KEY`.
    SecureReceiveQueue,
    /// Send the request to a contact address: `SEND`.
    SendRequest,
    /// Send the message with this number: `SEND`.
    Send(i64),
    /// Acknowledge a received message: `ACK`.
    Acknowledge(MessageId),
    /// Write the data behind our own link: `LSET`.
    SetLink,
    /// Refuse further messages: `OFF`.
    Suspend,
    /// Delete the receive queue: `DEL`.
    DeleteQueue,
}

/// A command to give to a server.
#[derive(Debug, Clone)]
pub struct Task {
    /// The server.
    pub server: ServerAddress,
    /// The correlation ID that the command must have, if any.
    pub corr_id: Option<CorrId>,
    /// What the command is about; empty for `NEW`.
    pub entity_id: EntityId,
    /// Authorises the command.
    pub key: Option<AuthPrivateKey>,
    /// The command.
    pub command: Command,
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server answered, be it with an error.
    Answered(Response),
    /// No answer, now or in time: the command may have been carried out or not. It is to be tried again.
    Unreachable,
    /// The server broke the protocol; trying again will not help.
    Violated,
}

/// A queue to subscribe to, again after every reconnection.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Its server.
    pub server: ServerAddress,
    /// The queue.
    pub queue: RecipientId,
    /// Authorises the recipient's commands.
    pub key: AuthPrivateKey,
}
