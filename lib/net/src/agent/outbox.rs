//! Events on their way to the application. They wait here while its channel is full: the agent never does.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::mpsc::error::{SendError, TrySendError};

use super::AgentEvent;
use super::rounds::BoxFuture;

/// With so many events waiting, nothing more is taken from servers.
const ENOUGH: usize = 1024;

pub(super) struct Outbox {
    channel: mpsc::Sender<AgentEvent>,
    waiting: VecDeque<AgentEvent>,
    room: Option<BoxFuture<Result<OwnedPermit<AgentEvent>, SendError<()>>>>,
}

impl Outbox {
    pub(super) fn new(channel: mpsc::Sender<AgentEvent>) -> Self {
        Outbox { channel, waiting: VecDeque::new(), room: None }
    }

    pub(super) fn send(&mut self, events: Vec<AgentEvent>) {
        self.waiting.extend(events);
        self.deliver();
    }

    /// The application is so far behind that servers have to wait.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= ENOUGH
    }

    /// Gives the application what it takes. Nobody who dropped the receiver wants to know.
    fn deliver(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            if let Err(TrySendError::Full(event)) = self.channel.try_send(event) {
                self.waiting.push_front(event);
                return;
            }
        }
    }

    /// Sees to it that the task is woken when there is room for what waits.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        while !self.waiting.is_empty() {
            let channel = &self.channel;
            let room = self.room.get_or_insert_with(|| Box::pin(channel.clone().reserve_owned()));
            let Poll::Ready(permit) = room.as_mut().poll(context) else { return };
            self.room = None;
            if let (Ok(permit), Some(event)) = (permit, self.waiting.pop_front()) {
                permit.send(event);
            }
            self.deliver();
        }
    }
}
