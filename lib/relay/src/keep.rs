//! Connections in the relay's store, kept together with what follows from what they took.
//!
//! A dispatch hands messages to hundreds of connections in one step of the agent. What the connections keep of it and
//! what follows for the group become durable in the same transaction, so that a relay that dies has either done both or
//! nothing: no member misses a message, and none gets one twice.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use agent::connection::keep::{Batch, ConnectionId, Keep, Record};
use agent::connection::{Connection, Delivery, SendOptions};
use agent::time::{Env, Time};
use group::relay::members::{Deletion, Dispatch, Handover, HandoverOutcome};
use store::connections::Connections;
use store::rusqlite::{self, Transaction};
use store::{Error, rusqlite::Connection as Database};

use crate::rows::SqlRows;

/// What one connection keeps that it cannot send. More stays in the rows that all members share.
const MAX_UNSENT: usize = 16;

/// A dispatch on its way.
#[derive(Debug)]
pub(crate) struct Flight {
    dispatch: Dispatch,
    now: Time,
    outcomes: Mutex<Vec<HandoverOutcome>>,
}

/// Dispatches whose steps were made in the round that is open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flights(Arc<Mutex<Vec<Arc<Flight>>>>);

impl Flight {
    pub(crate) fn new(dispatch: Dispatch, now: Time) -> Self {
        let outcomes = Mutex::new(vec![HandoverOutcome::Gone; dispatch.handovers.len()]);
        Flight { dispatch, now, outcomes }
    }

    pub(crate) fn handovers(&self) -> &[Handover] {
        &self.dispatch.handovers
    }

    /// How many connections took something.
    pub(crate) fn taken(&self) -> u64 {
        let outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.iter().fold(0, |taken, outcome| taken.saturating_add(u64::from(*outcome == HandoverOutcome::Taken)))
    }

    /// Hands over what a connection is to take; called in a step of it.
    pub(crate) fn hand_over(&self, place: usize, connection: &mut Connection, env: &mut Env<'_>) {
        let Some(handover) = self.dispatch.handovers.get(place) else { return };
        let outcome = hand_over(connection, handover, env);
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = outcomes.get_mut(place) {
            *known = outcome;
        }
    }

    /// Writes what follows.
    pub(crate) fn settle(&self, db: &Database) -> rusqlite::Result<()> {
        let Dispatch { service, handovers, settlement, .. } = &self.dispatch;
        let outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        settlement.settle(handovers, &outcomes, &mut SqlRows::of(db, *service), self.now)
    }
}

fn hand_over(connection: &mut Connection, handover: &Handover, env: &mut Env<'_>) -> HandoverOutcome {
    if handover.deletion.is_none() && connection.unsent() >= MAX_UNSENT {
        return HandoverOutcome::Full;
    }
    let options = SendOptions { notify: true, ..SendOptions::default() };
    let sent = handover.bodies.iter().try_for_each(|body| connection.send(body, options, env).map(drop));
    match handover.deletion {
        None => {}
        Some(Deletion::AfterMessages) => drop(connection.delete(Delivery::Await, env)),
        Some(Deletion::AtOnce) => drop(connection.delete(Delivery::Drop, env)),
    }
    if sent.is_ok() { HandoverOutcome::Taken } else { HandoverOutcome::Gone }
}

impl Flights {
    /// The steps of a dispatch are being made: it belongs to the round that is open.
    pub(crate) fn board(&self, flight: &Arc<Flight>) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.iter().any(|other| Arc::ptr_eq(other, flight)) {
            open.push(flight.clone());
        }
    }

    /// Takes a dispatch back of which no connection kept anything; whether it was still there.
    pub(crate) fn leave(&self, flight: &Arc<Flight>) -> bool {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = open.len();
        open.retain(|other| !Arc::ptr_eq(other, flight));
        open.len() < before
    }

    fn depart(&self) -> Vec<Arc<Flight>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Keeps connections, and what follows from dispatches of the same round.
#[derive(Debug, Clone)]
pub(crate) struct RelayKeep {
    connections: Connections,
    flights: Flights,
}

impl RelayKeep {
    pub(crate) fn new(connections: Connections, flights: Flights) -> Self {
        RelayKeep { connections, flights }
    }
}

impl Keep for RelayKeep {
    type Error = Error;

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        let departing = self.flights.depart();
        let settle = move |tx: &Transaction<'_>| departing.iter().try_for_each(|flight| flight.settle(tx));
        self.connections.commit_with(batch, settle)
    }

    fn recover(&self) {
        self.connections.recover();
    }

    fn load(&self, ids: Vec<ConnectionId>) -> impl Future<Output = Result<Vec<Vec<Record>>, Error>> + Send + 'static {
        self.connections.load(ids)
    }

    fn outline(
        &self,
        ids: Vec<ConnectionId>,
    ) -> impl Future<Output = Result<Vec<Vec<Record>>, Error>> + Send + 'static {
        self.connections.outline(ids)
    }

    fn list(&self) -> impl Future<Output = Result<Vec<ConnectionId>, Error>> + Send + 'static {
        self.connections.list()
    }
}
