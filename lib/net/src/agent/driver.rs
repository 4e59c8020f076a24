//! The one task that owns all connections.
//!
//! ```text
//! take in: requests, answers, messages, timers ─▶ steps ─▶ one batch ─▶ durable ─▶ start due tasks, tell events
//!        ▲                                                  (meanwhile, the next round)          │
//!        └────────────────────────── answers of servers ◀────────────────────────────────────────┘
//! ```
//!
//! Rounds become durable in order. A task is started after the round that made it due, even if a later round has
//! changed the connection since: what a task sends follows from what was durable when it became due.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use agent::connection::keep::Keep;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::alarm::Alarm;
use super::flights::Flights;
use super::hold::{Hold, Stale};
use super::inbox::{Inbox, Loaded};
use super::outbox::Outbox;
use super::request::Request;
use super::rounds::{BoxFuture, Round, Rounds};
use super::servers::Servers;
use super::steps::{Made, Steps};
use super::table::Slot;
use super::waking::Waking;
use super::{AgentError, AgentOptions, Clock};
use crate::client::{Collected, Collector};
use crate::shared_random::SharedRandom;
use crate::steady::Delays;

/// What is taken in at a time from each source.
const LIMIT: usize = 512;

/// Everything that the task owns.
pub(super) struct Driver<K: Keep> {
    pub(super) keep: Arc<K>,
    pub(super) options: AgentOptions,
    pub(super) clock: Clock,
    pub(super) random: SharedRandom,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) collector: Collector,
    pub(super) collected: mpsc::UnboundedReceiver<Collected>,
    pub(super) steps: Steps,
    pub(super) servers: Servers,
    pub(super) flights: Flights,
    pub(super) rounds: Rounds<K::Error>,
    pub(super) inbox: Inbox,
    /// What is being read. Nobody else may change it meanwhile.
    pub(super) loads: Vec<BoxFuture<Option<Loaded>>>,
    pub(super) waking: Waking,
    pub(super) outbox: Outbox,
    pub(super) hold: Hold<K::Error>,
    pub(super) stale: Stale,
    /// Why nothing can be kept, since a commit failed.
    pub(super) failure: Option<AgentError>,
    pub(super) delays: Delays,
    /// Since when the storage has worked.
    pub(super) works_since: Instant,
    pub(super) alarm: Alarm,
    /// There are tasks that could be started at once.
    pub(super) more: bool,
    pub(super) closing: bool,
    /// Tells that the task has ended, by being dropped.
    pub(super) ended: watch::Sender<()>,
}

impl<K: Keep> Driver<K> {
    /// Works until it is asked to end, or nobody is left to ask.
    pub(super) async fn run(mut self) {
        while !self.has_ended() {
            poll_fn(|context| self.take_in(context)).await;
            self.work();
        }
        if matches!(self.hold, Hold::Held) {
            self.keep.release();
        }
        let Driver { servers, ended, .. } = self;
        servers.close().await;
        drop(ended);
    }

    fn has_ended(&self) -> bool {
        let lost = self.failure.is_some() || matches!(self.hold, Hold::Acquiring(_) | Hold::Released);
        self.closing
            && self.rounds.are_over()
            && (lost || self.flights.are_over() && self.inbox.is_empty() && self.waking.is_empty())
    }

    /// Takes in whatever there is; waits if that is nothing.
    fn take_in(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.outbox.poll(context);
        let mut something = self.poll_rounds(context);
        something |= self.poll_requests(context);
        if matches!(self.hold, Hold::Held | Hold::Released) && self.rounds.have_room() {
            something |= self.poll_loads(context);
            something |= self.poll_servers(context);
            something |= self.poll_timer(context);
            something |= self.more || !self.inbox.is_empty();
        }
        something |= self.poll_hold(context);
        if something || self.has_ended() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_rounds(&mut self, context: &mut Context<'_>) -> bool {
        let mut something = false;
        while let Poll::Ready(Some((round, outcome))) = self.rounds.poll(context) {
            self.conclude(round, outcome);
            something = true;
        }
        something
    }

    fn poll_requests(&mut self, context: &mut Context<'_>) -> bool {
        if self.closing || self.inbox.requests.len() >= LIMIT {
            return false;
        }
        match self.requests.poll_recv_many(context, &mut self.inbox.requests, LIMIT) {
            Poll::Ready(0) => {
                self.stop_starting();
                true
            }
            Poll::Ready(_) => true,
            Poll::Pending => false,
        }
    }

    fn poll_loads(&mut self, context: &mut Context<'_>) -> bool {
        let inbox = &mut self.inbox;
        self.loads.retain_mut(|load| match load.as_mut().poll(context) {
            Poll::Ready(loaded) => {
                inbox.loaded.extend(loaded);
                false
            }
            Poll::Pending => true,
        });
        !self.inbox.loaded.is_empty()
    }

    /// Every answer that a server gave before an event is taken in no later than the event: whether a message came
    /// before or after the answer to its acknowledgement makes a difference.
    fn poll_servers(&mut self, context: &mut Context<'_>) -> bool {
        if !self.outbox.is_full() {
            self.servers.poll(context, &mut self.inbox.heard, LIMIT);
        }
        while let Ok(collected) = self.collected.try_recv() {
            self.inbox.collected.push(collected);
        }
        if let Poll::Ready(Some(collected)) = self.collected.poll_recv(context) {
            self.inbox.collected.push(collected);
        }
        !self.inbox.heard.is_empty() || !self.inbox.collected.is_empty()
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> bool {
        let due = self.steps.table.first_timer().map(|due| self.alarm.at(due, &self.clock));
        let Some(deadline) = due.into_iter().chain(self.flights.deadline()).min() else { return false };
        if self.alarm.poll(context, deadline) {
            self.inbox.tick = true;
        }
        self.inbox.tick
    }

    /// Works on what was taken in.
    fn work(&mut self) {
        self.refuse_if_failing();
        if matches!(self.hold, Hold::Held) && self.rounds.have_room() {
            self.steps.now = (self.clock)();
            self.make_steps();
            self.load_wanted();
            self.close_round();
            self.start_waiting();
            self.release_if_idle();
        }
    }

    fn close_round(&mut self) {
        let mut made = self.steps.close_round();
        if made.is_empty() {
            return;
        }
        // The commit begins first, so that it takes its time while we go on.
        let commit: Option<BoxFuture<_>> = match std::mem::take(&mut made.batch) {
            batch if batch.is_empty() => None,
            batch => Some(Box::pin(self.keep.commit(batch))),
        };
        let Made { number, due, over, moved, events, jobs, .. } = made;
        for slot in moved {
            self.subscribe(slot, None);
        }
        self.rounds.push(Round { number, commit, due, over, events, jobs });
    }

    fn conclude(&mut self, round: Round<K::Error>, outcome: Result<(), K::Error>) {
        match outcome {
            Ok(()) => self.kept(round),
            Err(error) => self.lost(round, error),
        }
    }

    fn kept(&mut self, round: Round<K::Error>) {
        round.jobs.into_iter().for_each(|job| job.kept());
        self.outbox.send(round.events);
        for slot in round.over {
            self.forget(slot);
        }
        for (slot, due) in round.due {
            self.start_due(slot, due);
            self.let_rest(slot, round.number);
        }
        self.forget_idle();
    }

    /// A connection is no longer there.
    pub(super) fn forget(&mut self, slot: Slot) {
        if let Some(queue) = self.steps.table.remove(slot) {
            self.servers.unsubscribe(queue.server, &queue.id);
        }
    }
}
