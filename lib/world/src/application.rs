//! What runs on a host above its connections.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent::connection::Connection;
use agent::connection::event::Event;
use agent::connection::fault::ConnectionError;
use agent::connection::task::{Outcome, Task};
use agent::time::{Env, Time};
use crypto::Random;

use crate::dice::Dice;
use crate::host::{Active, HostId};

/// An application with its durable state: a turn changes it together with the connections, and a crash takes it back to
/// the last turn that was committed.
///
/// It may be told the same event more than once, but never so late that it could miss one.
pub trait Application: Sized {
    /// What of it survives a crash.
    type Kept;

    /// All that survives.
    fn kept(&self) -> Self::Kept;

    /// Brings what a turn changed into what is kept.
    fn keep(&mut self, kept: &mut Self::Kept) {
        *kept = self.kept();
    }

    /// As it is after a crash.
    fn load(kept: &Self::Kept) -> Self;

    /// Something happened to a connection.
    fn told(&mut self, turn: &mut Turn<'_>, name: &str, event: Event);

    /// What became of a [call](Turn::call) with this token.
    fn answered(&mut self, turn: &mut Turn<'_>, token: u64, outcome: Outcome) {
        let _ = (turn, token, outcome);
    }

    /// The application of another host sent something, not through a connection.
    fn mailed(&mut self, turn: &mut Turn<'_>, from: HostId, mail: &str) {
        let _ = (turn, from, mail);
    }

    /// A time that it set has come.
    fn woken(&mut self, turn: &mut Turn<'_>, token: u64) {
        let _ = (turn, token);
    }

    /// The host is running again after a crash; whatever was to be woken or mailed is forgotten.
    fn restarted(&mut self, turn: &mut Turn<'_>) {
        let _ = turn;
    }
}

/// Remembers what it was told, for tests that act themselves.
#[derive(Debug, Clone, Default)]
pub struct Inbox {
    /// The connection and what happened to it, oldest first.
    pub events: Vec<(String, Event)>,
}

impl Application for Inbox {
    type Kept = Self;

    fn kept(&self) -> Self {
        self.clone()
    }

    fn load(kept: &Self) -> Self {
        kept.clone()
    }

    fn told(&mut self, _turn: &mut Turn<'_>, name: &str, event: Event) {
        self.events.push((name.to_owned(), event));
    }
}

/// One transaction of a host: steps of connections that are committed together.
pub struct Turn<'a> {
    pub(crate) now: Time,
    pub(crate) dice: &'a mut Dice,
    pub(crate) random: &'a mut dyn Random,
    pub(crate) connections: &'a mut BTreeMap<String, Active>,
    pub(crate) touched: BTreeSet<String>,
    pub(crate) told: Vec<(String, Event)>,
    pub(crate) mails: Vec<(HostId, String)>,
    pub(crate) wakes: Vec<(Duration, u64)>,
    pub(crate) calls: Vec<(u64, Task)>,
}

impl Turn<'_> {
    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The world's choices.
    pub fn dice(&mut self) -> &mut Dice {
        self.dice
    }

    /// For steps of what is no connection.
    pub fn env(&mut self) -> Env<'_> {
        Env { now: self.now, random: self.random }
    }

    /// The names of all connections.
    pub fn names(&self) -> Vec<String> {
        self.connections.keys().cloned().collect()
    }

    /// The connection with this name, to look at.
    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections.get(name).map(|active| &active.connection)
    }

    /// Begins a connection, or an address.
    pub fn begin(
        &mut self,
        name: &str,
        make: impl FnOnce(&mut Env<'_>) -> Result<Connection, ConnectionError>,
    ) -> Result<(), ConnectionError> {
        let connection = make(&mut Env { now: self.now, random: self.random })?;
        self.insert(name, connection);
        Ok(())
    }

    /// Keeps a connection that a step of another one made.
    pub fn insert(&mut self, name: &str, connection: Connection) {
        let earlier = self.connections.insert(name.to_owned(), Active::new(connection));
        assert!(earlier.is_none(), "two connections with the name {name}");
        self.touched.insert(name.to_owned());
    }

    /// A step of a connection.
    pub fn step<T>(&mut self, name: &str, step: impl FnOnce(&mut Connection, &mut Env<'_>) -> T) -> T {
        let active = self.connections.get_mut(name).unwrap_or_else(|| panic!("no connection {name}"));
        self.touched.insert(name.to_owned());
        step(&mut active.connection, &mut Env { now: self.now, random: self.random })
    }

    /// A step that has events.
    pub fn eventful(&mut self, name: &str, step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Vec<Event>) {
        let events = self.step(name, step);
        self.told.extend(events.into_iter().map(|event| (name.to_owned(), event)));
    }

    /// Sends something to the application of another host, not through a connection.
    pub fn mail(&mut self, to: HostId, mail: impl Into<String>) {
        self.mails.push((to, mail.into()));
    }

    /// Sets a time.
    pub fn wake_after(&mut self, delay: Duration, token: u64) {
        self.wakes.push((delay, token));
    }

    /// Gives one command to a server, in a session of its own and for no connection. Its outcome comes with this token.
    pub fn call(&mut self, token: u64, command: Task) {
        self.calls.push((token, command));
    }
}
