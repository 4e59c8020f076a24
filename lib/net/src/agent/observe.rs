//! Watching the commands of all connections, for a record of the protocol step by step.

use std::sync::Arc;

use agent::connection::TaskId;
use agent::connection::keep::ConnectionId;
use smp::address::ServerAddress;

use crate::client::Exchange;

/// A command and what came of it.
#[derive(Debug)]
pub struct AgentExchange<'a> {
    /// Whose command.
    pub connection: &'a ConnectionId,
    /// To whom.
    pub server: &'a ServerAddress,
    /// What for; a subscription is no task.
    pub task: Option<&'a TaskId>,
    /// The command and its outcome.
    pub exchange: Exchange<'a>,
}

/// Told of every exchange when it ends. Must not block.
pub type AgentObserver = Arc<dyn Fn(&AgentExchange<'_>) + Send + Sync>;
