//! What the application asks for.

mod change;
mod open;

use agent::connection::Subscription;
use agent::connection::keep::ConnectionId;
use tokio::sync::oneshot;

pub(super) use self::change::Change;
pub(super) use self::open::{Open, Ready, Stepped};

use super::inbox::Loads;
use super::steps::Steps;
use super::{AgentError, ChangeError};
use crate::steady::SteadyClient;

/// A request on its way to the agent's task.
pub(super) enum Request {
    /// Steps to make.
    Job(Box<dyn Job>),
    /// Name all connections that are kept.
    List(oneshot::Sender<Result<Vec<ConnectionId>, AgentError>>),
    /// Connections to load.
    Load(Vec<ConnectionId>, oneshot::Sender<Loads>),
    /// Subscribe again after another session took over.
    Subscribe(ConnectionId, oneshot::Sender<Result<(), AgentError>>),
    /// The session in which a connection receives, for a look at its queue.
    Session(ConnectionId, oneshot::Sender<Result<(SteadyClient, Subscription), AgentError>>),
    /// End in good order.
    Close,
}

impl Request {
    /// Names every connection that has to be in memory for it.
    pub(super) fn each_connection(&self, name: &mut dyn FnMut(&ConnectionId)) {
        match self {
            Request::Job(job) => job.each_connection(name),
            Request::Subscribe(id, _) | Request::Session(id, _) => name(id),
            Request::List(_) | Request::Load(..) | Request::Close => {}
        }
    }
}

/// Steps that the application wants, whatever they return.
pub(super) trait Job: Send {
    /// Makes the steps. Called once.
    fn run(&mut self, steps: &mut Steps);
    /// Names every connection that they are about.
    fn each_connection(&self, name: &mut dyn FnMut(&ConnectionId));
    /// They are durable.
    fn kept(self: Box<Self>);
    /// They are undone.
    fn failed(self: Box<Self>, error: &AgentError);
}

/// What a step returned, or why there was none.
pub(super) type Outcome<T, E> = Result<T, ChangeError<E>>;
