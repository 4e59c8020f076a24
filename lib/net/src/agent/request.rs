//! What the application asks for.

use agent::connection::keep::ConnectionId;
use agent::connection::{Connection, Subscription};
use agent::time::Env;
use tokio::sync::oneshot;

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

/// Steps that the application wants, whatever they return.
pub(super) trait Job: Send {
    /// Makes the steps. Called once.
    fn run(&mut self, steps: &mut Steps);
    /// They are durable.
    fn kept(self: Box<Self>);
    /// They are undone.
    fn failed(self: Box<Self>, error: &AgentError);
}

/// The application's side of an answer.
pub(super) type Answer<T> = oneshot::Receiver<T>;

/// Steps of any number of connections.
pub(super) struct Change<F, T, E> {
    steps: Vec<(ConnectionId, F)>,
    results: Vec<Result<T, ChangeError<E>>>,
    answer: oneshot::Sender<Result<Vec<Result<T, ChangeError<E>>>, AgentError>>,
}

impl<F, T, E> Change<F, T, E>
where
    F: FnOnce(&mut Connection, &mut Env<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    #[expect(clippy::type_complexity, reason = "named once")]
    pub(super) fn new(
        steps: Vec<(ConnectionId, F)>,
    ) -> (Box<dyn Job>, Answer<Result<Vec<Result<T, ChangeError<E>>>, AgentError>>) {
        let (answer, answered) = oneshot::channel();
        (Box::new(Change { steps, results: Vec::new(), answer }), answered)
    }
}

impl<F, T, E> Job for Change<F, T, E>
where
    F: FnOnce(&mut Connection, &mut Env<'_>) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    fn run(&mut self, steps: &mut Steps) {
        let wanted = std::mem::take(&mut self.steps);
        let make = |(id, step): (ConnectionId, F)| match steps.change(&id, step) {
            Ok(result) => result.map_err(ChangeError::Refused),
            Err(error) => Err(ChangeError::Agent(error)),
        };
        self.results = wanted.into_iter().map(make).collect();
    }

    fn kept(self: Box<Self>) {
        // Whoever asked may have gone; the steps are made all the same.
        let _ = self.answer.send(Ok(self.results));
    }

    fn failed(self: Box<Self>, error: &AgentError) {
        let _ = self.answer.send(Err(error.clone()));
    }
}

/// A new connection, which may come out of a step of another.
pub(super) struct Open<F, E> {
    id: ConnectionId,
    make: Option<F>,
    result: Result<(), ChangeError<E>>,
    answer: oneshot::Sender<Result<(), ChangeError<E>>>,
}

/// Where a new connection comes from.
pub(super) trait Make: Send {
    /// Why there may be none.
    type Error: Send;
    /// Makes it.
    fn make(self, steps: &mut Steps) -> Result<Connection, ChangeError<Self::Error>>;
}

/// It is there already.
pub(super) struct Ready(pub(super) Connection);

impl Make for Ready {
    type Error = std::convert::Infallible;

    fn make(self, _: &mut Steps) -> Result<Connection, ChangeError<Self::Error>> {
        Ok(self.0)
    }
}

/// Out of a step of another connection.
pub(super) struct From<F>(pub(super) ConnectionId, pub(super) F);

impl<F, E> Make for From<F>
where
    F: FnOnce(&mut Connection, &mut Env<'_>) -> Result<Connection, E> + Send,
    E: Send,
{
    type Error = E;

    fn make(self, steps: &mut Steps) -> Result<Connection, ChangeError<E>> {
        steps.change(&self.0, self.1).map_err(ChangeError::Agent)?.map_err(ChangeError::Refused)
    }
}

impl<F: Make + 'static> Open<F, F::Error> {
    pub(super) fn new(id: ConnectionId, make: F) -> (Box<dyn Job>, Answer<Result<(), ChangeError<F::Error>>>) {
        let (answer, answered) = oneshot::channel();
        (Box::new(Open { id, make: Some(make), result: Ok(()), answer }), answered)
    }
}

impl<F: Make> Job for Open<F, F::Error> {
    fn run(&mut self, steps: &mut Steps) {
        let Some(make) = self.make.take() else { return };
        self.result = match steps.table.slot(&self.id) {
            Some(_) => Err(ChangeError::Agent(AgentError::Exists(self.id.clone()))),
            None => make.make(steps).and_then(|made| steps.open(&self.id, made).map_err(ChangeError::Agent)),
        };
    }

    fn kept(self: Box<Self>) {
        let _ = self.answer.send(self.result);
    }

    fn failed(self: Box<Self>, error: &AgentError) {
        let _ = self.answer.send(Err(ChangeError::Agent(error.clone())));
    }
}
