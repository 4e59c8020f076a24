//! Commands under way, each by its number.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use agent::connection::TaskId;
use smp::id::CorrId;
use tokio::time::Instant;

use super::servers::ServerKey;
use super::table::Slot;
use crate::client::Client;

/// A command under way.
pub(super) struct Flight {
    pub(super) slot: Slot,
    pub(super) task: TaskId,
    pub(super) server: ServerKey,
    pub(super) command: &'static str,
    pub(super) corr_id: CorrId,
    pub(super) length: usize,
    /// The session, if the command subscribes to the queue that it creates.
    pub(super) subscribes: Option<Client>,
    /// The connection was told that there is no answer. There may yet be one.
    pub(super) given_up: bool,
}

/// All commands under way, and when to give them up.
pub(super) struct Flights {
    patience: Duration,
    flights: HashMap<u64, Flight>,
    deadlines: VecDeque<(Instant, u64)>,
    last: u64,
}

impl Flights {
    pub(super) fn new(patience: Duration) -> Self {
        Flights { patience, flights: HashMap::new(), deadlines: VecDeque::new(), last: 0 }
    }

    /// The number of the next command.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last = self.last.saturating_add(1);
        self.last
    }

    pub(super) fn begin(&mut self, number: u64, flight: Flight) {
        self.deadlines.push_back((Instant::now() + self.patience, number));
        self.flights.insert(number, flight);
    }

    /// The command has its outcome.
    pub(super) fn end(&mut self, number: u64) -> Option<Flight> {
        self.flights.remove(&number)
    }

    /// When the first command will be given up. Commands that have ended by then only cost a look.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }

    /// Gives up what took too long.
    pub(super) fn give_up(&mut self, now: Instant) -> Vec<(Slot, TaskId)> {
        let mut given_up = Vec::new();
        while self.deadline().is_some_and(|deadline| deadline <= now)
            && let Some((_, number)) = self.deadlines.pop_front()
        {
            if let Some(flight) = self.flights.get_mut(&number) {
                flight.given_up = true;
                given_up.push((flight.slot, flight.task.clone()));
            }
        }
        given_up
    }

    /// Nobody waits for an answer.
    pub(super) fn are_over(&self) -> bool {
        self.flights.values().all(|flight| flight.given_up)
    }
}
