//! What the agent tells its application.

use std::sync::Arc;

use agent::connection::Event;
use agent::connection::keep::ConnectionId;
use smp::address::ServerAddress;
use tokio::sync::mpsc;

use super::AgentError;
use crate::client::{ClientError, End};
use crate::handshake::ConnectError;

/// Something for the application.
#[derive(Debug, Clone)]
pub enum AgentEvent {
    /// An event of a connection; all that led to it is durable.
    Connection(ConnectionId, Event),
    /// The server delivers from the connection's queue from now on: first what it has, then what comes.
    Subscribed(ConnectionId),
    /// Nothing comes from the connection's queue until [`subscribe`](super::Agent::subscribe) or a restart.
    Unsubscribed(ConnectionId, Unsubscribed),
    /// A server can be reached, or not.
    Server(Arc<ServerAddress>, ServerEvent),
    /// Connections cannot be kept for now, or can be again.
    Keeping(Result<(), AgentError>),
    /// A connection could not be read back after a failure. It is no longer in memory.
    Lost(AgentError),
}

/// Why nothing comes from a queue.
#[derive(Debug, Clone)]
pub enum Unsubscribed {
    /// Another session subscribed to the same queue.
    TakenOver,
    /// The server refused.
    Refused(ClientError),
}

/// How the connection to a server stands.
#[derive(Debug, Clone)]
pub enum ServerEvent {
    /// Connected, with this version.
    Connected {
        /// Agreed with the server.
        version: u16,
    },
    /// The connection ended; another will be tried.
    Disconnected(End),
    /// Connecting failed; it will be tried again.
    ConnectFailed(Arc<ConnectError>),
}

/// The events of an agent. Those of a connection come in order.
#[derive(Debug)]
pub struct AgentEvents(pub(super) mpsc::Receiver<AgentEvent>);

impl AgentEvents {
    /// The next event, or `None` after the agent has ended.
    pub async fn next(&mut self) -> Option<AgentEvent> {
        self.0.recv().await
    }

    /// The next event, if there is one already.
    pub fn ready(&mut self) -> Option<AgentEvent> {
        self.0.try_recv().ok()
    }
}
