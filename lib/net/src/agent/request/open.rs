//! A new connection, which may come out of a step of another.

use std::convert::Infallible;

use agent::connection::Connection;
use agent::connection::keep::ConnectionId;
use agent::time::Env;
use tokio::sync::oneshot;

use super::super::steps::Steps;
use super::super::{AgentError, ChangeError};
use super::{Job, Outcome};

/// Where a new connection comes from.
pub(in super::super) trait Source: Send {
    /// Why there may be none.
    type Error: Send;
    /// Out of whose step.
    fn other(&self) -> Option<&ConnectionId>;
    /// Makes it.
    fn make(self, steps: &mut Steps) -> Outcome<Connection, Self::Error>;
}

/// It is there already.
pub(in super::super) struct Ready(pub(in super::super) Connection);

impl Source for Ready {
    type Error = Infallible;

    fn other(&self) -> Option<&ConnectionId> {
        None
    }

    fn make(self, _: &mut Steps) -> Outcome<Connection, Infallible> {
        Ok(self.0)
    }
}

/// Out of a step of another connection.
pub(in super::super) struct Stepped<F>(pub(in super::super) ConnectionId, pub(in super::super) F);

impl<F, E> Source for Stepped<F>
where
    F: FnOnce(&mut Connection, &mut Env<'_>) -> Result<Connection, E> + Send,
    E: Send,
{
    type Error = E;

    fn other(&self) -> Option<&ConnectionId> {
        Some(&self.0)
    }

    fn make(self, steps: &mut Steps) -> Outcome<Connection, E> {
        steps.change(&self.0, self.1).map_err(ChangeError::Agent)?.map_err(ChangeError::Refused)
    }
}

pub(in super::super) struct Open<S: Source> {
    id: ConnectionId,
    source: Option<S>,
    outcome: Outcome<(), S::Error>,
    answer: oneshot::Sender<Outcome<(), S::Error>>,
}

impl<S: Source> Open<S> {
    /// The job, and where its answer comes.
    pub(in super::super) fn of(id: ConnectionId, source: S) -> (Self, oneshot::Receiver<Outcome<(), S::Error>>) {
        let (answer, answered) = oneshot::channel();
        (Open { id, source: Some(source), outcome: Ok(()), answer }, answered)
    }
}

impl<S: Source> Job for Open<S> {
    fn run(&mut self, steps: &mut Steps) {
        let Some(source) = self.source.take() else { return };
        self.outcome = match steps.table.slot(&self.id) {
            Some(_) => Err(ChangeError::Agent(AgentError::Exists(self.id.clone()))),
            None => source.make(steps).and_then(|made| steps.open(&self.id, made).map_err(ChangeError::Agent)),
        };
    }

    fn each_connection(&self, name: &mut dyn FnMut(&ConnectionId)) {
        self.source.iter().filter_map(Source::other).for_each(name);
    }

    fn kept(self: Box<Self>) {
        let _ = self.answer.send(self.outcome);
    }

    fn failed(self: Box<Self>, error: &AgentError) {
        let _ = self.answer.send(Err(ChangeError::Agent(error.clone())));
    }
}
