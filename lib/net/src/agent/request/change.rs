//! Steps of any number of connections, kept together.

use agent::connection::Connection;
use agent::connection::keep::ConnectionId;
use agent::time::Env;
use tokio::sync::oneshot;

use super::super::steps::Steps;
use super::super::{AgentError, ChangeError};
use super::{Job, Outcome};

/// What all steps returned, or why none was kept.
type Outcomes<T, E> = Result<Vec<Outcome<T, E>>, AgentError>;

pub(in super::super) struct Change<F, T, E> {
    steps: Vec<(ConnectionId, F)>,
    outcomes: Vec<Outcome<T, E>>,
    answer: oneshot::Sender<Outcomes<T, E>>,
}

impl<F, T, E> Change<F, T, E> {
    /// The job, and where its answer comes.
    pub(in super::super) fn of(steps: Vec<(ConnectionId, F)>) -> (Self, oneshot::Receiver<Outcomes<T, E>>) {
        let (answer, answered) = oneshot::channel();
        (Change { steps, outcomes: Vec::new(), answer }, answered)
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
            Ok(outcome) => outcome.map_err(ChangeError::Refused),
            Err(error) => Err(ChangeError::Agent(error)),
        };
        self.outcomes = wanted.into_iter().map(make).collect();
    }

    fn each_connection(&self, name: &mut dyn FnMut(&ConnectionId)) {
        self.steps.iter().for_each(|(id, _)| name(id));
    }

    fn kept(self: Box<Self>) {
        // Whoever asked may have gone; the steps are made all the same.
        let _ = self.answer.send(Ok(self.outcomes));
    }

    fn failed(self: Box<Self>, error: &AgentError) {
        let _ = self.answer.send(Err(error.clone()));
    }
}
