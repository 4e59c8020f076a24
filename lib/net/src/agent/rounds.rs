//! Rounds that are on their way to be durable, in order.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use agent::connection::TaskId;

use super::AgentEvent;
use super::request::Job;
use super::table::Slot;

/// Rounds under way before another is begun.
const OVERLAP: usize = 16;

/// A boxed future.
pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A round that is being made durable, and what is to be done then.
pub(super) struct Round<E> {
    pub(super) number: u64,
    pub(super) commit: Option<BoxFuture<Result<(), E>>>,
    pub(super) due: Vec<(Slot, Vec<TaskId>)>,
    pub(super) over: Vec<Slot>,
    pub(super) events: Vec<AgentEvent>,
    pub(super) jobs: Vec<Box<dyn Job>>,
}

/// A round with its fate.
type Concluded<E> = (Round<E>, Result<(), E>);

/// Rounds under way.
pub(super) struct Rounds<E>(VecDeque<Round<E>>);

impl<E> Rounds<E> {
    pub(super) fn new() -> Self {
        Rounds(VecDeque::new())
    }

    pub(super) fn push(&mut self, round: Round<E>) {
        self.0.push_back(round);
    }

    /// Another round may begin.
    pub(super) fn have_room(&self) -> bool {
        self.0.len() < OVERLAP
    }

    pub(super) fn are_over(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the first round once its fate is known. A round is never told before those that it builds on.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Concluded<E>>> {
        let Some(first) = self.0.front_mut() else { return Poll::Ready(None) };
        let outcome = match &mut first.commit {
            Some(commit) => match commit.as_mut().poll(context) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => return Poll::Pending,
            },
            None => Ok(()),
        };
        Poll::Ready(self.0.pop_front().map(|round| (round, outcome)))
    }
}
