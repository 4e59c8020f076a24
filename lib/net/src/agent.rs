//! Connections at work: the effects of [`agent::connection`].
//!
//! An [`Agent`] runs any number of connections over any number of servers. The connections themselves are pure: they say
//! what is to be kept and which tasks are due. Here what they say is made durable, commands go to servers and their
//! outcomes come back, and the application is told of events, in this order and no other.
//!
//! One task owns all connections (`driver`). It works in rounds: whatever is ready is applied to the connections, their
//! changes become one batch for the [`Keep`](agent::connection::keep::Keep), and once that is durable, due tasks are started and events are told. A
//! process that is killed at any moment goes on from what is durable: [`Agent::load_all`] subscribes to all queues, tells
//! the events that the application has not acted on, and repeats the tasks whose outcome is unknown.
//!
//! An agent with more connections than memory lets those [rest](AgentOptions::idle) whose handshake is over and for which
//! nothing is to be done, once that is durable. It goes on receiving for them, and loads them when something comes, when
//! something is to be sent, or when it is time to try again (`waking`). Nobody sees a difference.
//!
//! If the keep fails, the round that it failed with is undone: whoever asked for it gets the error, connections are read
//! back, their queues are subscribed to again so that messages come again, and events that wait for the application are
//! told again, as after a restart.

mod alarm;
mod answers;
mod apply;
mod driver;
mod error;
mod event;
mod flights;
mod handle;
mod heard;
mod hold;
mod inbox;
mod observe;
mod outbox;
mod recovery;
mod request;
mod rounds;
mod servers;
mod start;
mod steps;
mod table;
mod waking;

use std::sync::Arc;

use agent::time::Time;

pub use self::error::{AgentError, ChangeError, LookError};
pub use self::event::{AgentEvent, AgentEvents, ServerEvent, Unsubscribed};
pub use self::handle::Agent;
pub use self::observe::{AgentExchange, AgentObserver};
use crate::steady::{Backoff, SteadyOptions};

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// How an agent behaves.
#[derive(Clone)]
pub struct AgentOptions {
    /// For every server.
    pub steady: SteadyOptions,
    /// Commands that may be under way to one server.
    pub window: usize,
    /// Events that may wait for the application before servers have to.
    pub events: usize,
    /// Requests that may wait before those who ask do.
    pub requests: usize,
    /// Whether to receive. Without, only what is due is sent: somebody else may be receiving from the same queues.
    pub receive: bool,
    /// Connections that stay in memory although nothing is to be done for them; `usize::MAX` for all. Of others only what
    /// it takes to find them does, some hundreds of bytes, until something comes or is to be sent.
    pub idle: usize,
    /// Between tries when connections cannot be kept.
    pub keep_backoff: Backoff,
    /// Told of every command.
    pub observer: Option<AgentObserver>,
}

impl Default for AgentOptions {
    fn default() -> Self {
        AgentOptions {
            steady: SteadyOptions::default(),
            window: 1024,
            events: 1024,
            requests: 1024,
            receive: true,
            idle: usize::MAX,
            keep_backoff: Backoff::default(),
            observer: None,
        }
    }
}
