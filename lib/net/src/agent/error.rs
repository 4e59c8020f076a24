//! Why the agent did not do what it was asked for.

use std::error::Error;
use std::sync::Arc;

use agent::connection::LoadError;
use agent::connection::keep::ConnectionId;

use crate::client::ClientError;
use crate::steady::Unavailable;

/// Why the agent did not do what it was asked for. Nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AgentError {
    /// There is no such connection in memory, nor was one loaded.
    #[error("there is no connection {0}")]
    Unknown(ConnectionId),
    /// There is such a connection.
    #[error("there is a connection {0} already")]
    Exists(ConnectionId),
    /// It could not be made durable, or read.
    #[error("not kept: {0}")]
    NotKept(Arc<dyn Error + Send + Sync>),
    /// What is kept is not a connection.
    #[error("connection {0}: {1}")]
    Unreadable(ConnectionId, LoadError),
    /// The agent was closed.
    #[error("the agent was closed")]
    Closed,
}

/// Why a step was not made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChangeError<E> {
    /// The agent did not make it.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The step itself says no.
    #[error("{0}")]
    Refused(E),
}

/// Why a look at a queue was not possible.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LookError {
    /// There is no such connection, or it has no queue.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The queue's server cannot be reached.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The server did not tell.
    #[error(transparent)]
    Client(#[from] ClientError),
}
