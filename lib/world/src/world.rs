//! Hosts and servers, what lies between them, and the loop that lets things happen in order.
//!
//! A host keeps to the contract of running connections: it takes a step, makes what the step changed durable, all
//! together, and only then gives commands to servers and tells the application. The world may crash it at every point
//! in between ([`PersistPoint`]).

/// Notes a line; its arguments may borrow the world.
macro_rules! note {
    ($world:expr, $($line:tt)*) => {
        $world.trace.note($world.now, format_args!($($line)*))
    };
}

mod calls;
mod describe;
mod hosting;
mod tasks;
mod transport;
mod uplinks;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use agent::connection::Connection;
use agent::connection::event::Event;
use agent::connection::fault::ConnectionError;
use agent::connection::task::{Task, TaskId};
use agent::time::{Env, Time};
use smp::address::ServerAddress;

use crate::agenda::Agenda;
use crate::application::{Application, Inbox, Turn};
use crate::chaos::Chaos;
use crate::dice::Dice;
use crate::host::{Discipline, Host, HostId, PersistPoint, Records};
use crate::network::{ServerId, Wire};
use crate::server::{Rules, Server, SessionNumber};
use crate::trace::{START, Trace};
use crate::wiretap::Wiretap;

/// A run that does not come to rest is stopped after so many happenings.
const MAX_HAPPENINGS: u64 = 200_000;

/// Everything, at one moment.
pub struct World<A: Application> {
    now: Time,
    seed: u64,
    dice: Dice,
    chaos: Chaos,
    agenda: Agenda<Happening>,
    servers: Vec<Place>,
    hosts: Vec<Host<A>>,
    wires: BTreeMap<SessionNumber, Wire>,
    wiretap: Wiretap,
    trace: Trace,
    violation: Option<String>,
    orders: Vec<Order>,
    refusals: Vec<Refusal>,
    tally: Tally,
}

/// How often what went wrong.
pub type Tally = BTreeMap<&'static str, u64>;

/// A task that a server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whose task.
    pub host: HostId,
    /// Of which connection.
    pub name: String,
    /// Which.
    pub task: TaskId,
    /// Why.
    pub error: smp::error::Error,
}

/// A server and whether it is there.
struct Place {
    server: Server,
    up: bool,
    /// A commit will happen then.
    commit_at: Option<Time>,
}

/// What a test wants to happen to a command.
#[derive(Debug, Clone)]
struct Order {
    host: HostId,
    tag: &'static str,
    fate: Fate,
}

/// What becomes of a command that does not simply arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It never arrives, and the session is cut.
    Lost,
    /// It is executed, and the answer never arrives because the session is cut.
    AnswerLost,
}

/// What can happen. `life` tells whether the host has crashed since.
enum Happening {
    /// A transmission arrives at a server, unless somebody keeps it for a while.
    AtServer(SessionNumber, Vec<u8>),
    /// A transmission that was kept arrives at a server.
    LateAtServer(SessionNumber, Vec<u8>),
    /// A server makes what it executed durable.
    Commit(ServerId),
    /// A server is there again.
    ServerBack(ServerId),
    /// A server notices that a client is gone.
    ClientGone(ServerId, SessionNumber),
    /// A transmission arrives at a host.
    AtHost(SessionNumber, Vec<u8>),
    /// A host notices that a session is over.
    SessionOver(SessionNumber),
    /// A host tries to connect.
    Connect { host: HostId, life: u64, server: ServerId },
    /// A host subscribes to what it lost.
    Subscribe { host: HostId, life: u64, server: ServerId },
    /// A connection may have something due.
    Due { host: HostId, life: u64, name: String },
    /// An application handles what it was told.
    Told { host: HostId, life: u64, name: String, event: Event },
    /// An application gets mail.
    Mail { host: HostId, from: HostId, mail: String },
    /// An application's time has come.
    Wake { host: HostId, life: u64, token: u64 },
    /// A command is given in a session of its own.
    Call { host: HostId, life: u64, token: u64, task: Box<Task> },
    /// A host is there again.
    HostBack(HostId),
}

impl<A: Application> World<A> {
    /// An empty world, in which things go wrong as the seed and `chaos` will have it.
    pub fn new(seed: u64, chaos: Chaos) -> Self {
        World {
            now: START,
            seed,
            dice: Dice::new(seed, "world"),
            chaos,
            agenda: Agenda::default(),
            servers: Vec::new(),
            hosts: Vec::new(),
            wires: BTreeMap::new(),
            wiretap: Wiretap::default(),
            trace: Trace::default(),
            violation: None,
            orders: Vec::new(),
            refusals: Vec::new(),
            tally: Tally::new(),
        }
    }

    /// Adds a server.
    pub fn add_server(&mut self, name: &str, rules: Rules) -> ServerId {
        self.servers.push(Place { server: Server::new(self.seed, name, rules), up: true, commit_at: None });
        ServerId(self.servers.len() - 1)
    }

    /// Adds a host with an application.
    pub fn add_host(&mut self, name: &str, application: A) -> HostId {
        self.hosts.push(Host::new(self.seed, name, application));
        HostId(self.hosts.len() - 1)
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// What happened so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What was seen of all messages.
    pub fn wiretap(&self) -> &Wiretap {
        &self.wiretap
    }

    /// How often what went wrong.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What servers refused, in order.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// What happened that must not, first of all.
    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// Something happened that must not.
    pub fn violate(&mut self, what: impl fmt::Display) {
        note!(self, "VIOLATION: {what}");
        self.violation.get_or_insert_with(|| what.to_string());
    }

    /// Notes a line for whoever reads the trace.
    pub fn note(&mut self, line: fmt::Arguments<'_>) {
        note!(self, "{line}");
    }

    /// A server, to look at or to be hostile with.
    pub fn server(&mut self, server: ServerId) -> &mut Server {
        &mut self.servers[server.0].server
    }

    /// Where clients find a server.
    pub fn address(&self, server: ServerId) -> ServerAddress {
        self.servers[server.0].server.address().clone()
    }

    /// What is kept of the application of a host, as it was last committed.
    pub fn application(&self, host: HostId) -> &A::Kept {
        &self.hosts[host.0].disk.application
    }

    /// The names of a host's connections, as they are on disk.
    pub fn names(&self, host: HostId) -> Vec<String> {
        self.hosts[host.0].disk.connections.keys().cloned().collect()
    }

    /// The records of a connection, as they are on disk.
    pub fn records(&self, host: HostId, name: &str) -> Option<&Records> {
        self.hosts[host.0].disk.connections.get(name)
    }

    /// A connection of a host that is running.
    pub fn connection(&self, host: HostId, name: &str) -> Option<&Connection> {
        let memory = self.hosts[host.0].memory.as_ref()?;
        memory.connections.get(name).map(|active| &active.connection)
    }

    /// How many transactions a host has begun.
    pub fn turns(&self, host: HostId) -> u64 {
        self.hosts[host.0].turns
    }

    /// Lets a host crash in a certain transaction.
    pub fn crash_at(&mut self, host: HostId, turn: u64, point: PersistPoint) {
        self.hosts[host.0].crash_at = Some((turn, point));
    }

    /// Takes that back; says whether it has not crashed.
    pub fn cancel_crash(&mut self, host: HostId) -> bool {
        self.hosts[host.0].crash_at.take().is_some()
    }

    /// Makes a host break the contract.
    pub fn set_discipline(&mut self, host: HostId, discipline: Discipline) {
        self.hosts[host.0].discipline = discipline;
    }

    /// Decides the fate of the next command of a host with this tag.
    pub fn order(&mut self, host: HostId, tag: &'static str, fate: Fate) {
        self.orders.push(Order { host, tag, fate });
    }

    /// What may go wrong, to change it.
    pub fn chaos_mut(&mut self) -> &mut Chaos {
        &mut self.chaos
    }

    /// The world's own choices.
    pub fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    /// One transaction of a host; nothing if it is down, or goes down before it commits.
    pub fn act<T>(&mut self, host: HostId, what: impl FnOnce(&mut A, &mut Turn<'_>) -> T) -> Option<T> {
        self.turn(host, what)
    }

    /// One step of a connection.
    pub fn step<T>(&mut self, host: HostId, name: &str, step: impl FnOnce(&mut Connection, &mut Env<'_>) -> T) -> T {
        self.act(host, |_, turn| turn.step(name, step)).expect("the host is running")
    }

    /// Begins a connection, or an address.
    pub fn begin(
        &mut self,
        host: HostId,
        name: &str,
        make: impl FnOnce(&mut Env<'_>) -> Result<Connection, ConnectionError>,
    ) -> Result<(), ConnectionError> {
        self.act(host, |_, turn| turn.begin(name, make)).expect("the host is running")
    }

    /// Lets things happen until nothing more will; says whether it came to that.
    pub fn run(&mut self) -> bool {
        self.run_until(Time::from_millis(u64::MAX))
    }

    /// Lets things happen for a while; says whether nothing more will happen.
    pub fn run_for(&mut self, time: Duration) -> bool {
        self.run_until(self.now.after(time))
    }

    /// Lets the next thing happen, if something will until `end` and nothing was violated; says whether it did.
    pub fn happen_next(&mut self, end: Time) -> bool {
        let Some(when) = self.agenda.next_at().filter(|when| *when <= end) else { return false };
        if self.violation.is_some() {
            return false;
        }
        let Some((_, happening)) = self.agenda.take_next() else { return false };
        self.now = self.now.max(when);
        self.happen(happening);
        true
    }

    fn run_until(&mut self, end: Time) -> bool {
        let mut happened = 0;
        while self.happen_next(end) {
            happened += 1;
            if happened > MAX_HAPPENINGS {
                self.violate(format_args!("no rest after {MAX_HAPPENINGS} happenings"));
            }
        }
        if self.violation.is_some() {
            return false;
        }
        let rests = self.agenda.next_at().is_none();
        if !rests || end < Time::from_millis(u64::MAX) {
            self.now = self.now.max(end);
        }
        rests
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::AtServer(session, bytes) => self.maybe_at_server(session, bytes),
            Happening::LateAtServer(session, bytes) => self.at_server(session, &bytes),
            Happening::Commit(server) => self.commit_server(server),
            Happening::ServerBack(server) => self.server_back(server),
            Happening::ClientGone(server, session) => self.servers[server.0].server.close(session),
            Happening::AtHost(session, bytes) => self.at_host(session, &bytes),
            Happening::SessionOver(session) => self.session_over(session),
            Happening::Connect { host, life, server } if self.lives(host, life) => self.connect(host, server),
            Happening::Subscribe { host, life, server } if self.lives(host, life) => self.subscribe_all(host, server),
            Happening::Due { host, life, name } if self.lives(host, life) => self.run_due(host, &name),
            Happening::Told { host, life, name, event } if self.lives(host, life) => {
                self.turn(host, |application, turn| application.told(turn, &name, event));
            }
            Happening::Wake { host, life, token } if self.lives(host, life) => {
                self.turn(host, |application, turn| application.woken(turn, token));
            }
            Happening::Call { host, life, token, task } if self.lives(host, life) => self.call(host, token, &task),
            Happening::Mail { host, from, mail } => self.deliver_mail(host, from, mail),
            Happening::HostBack(host) => self.restart(host),
            _ => {}
        }
    }

    fn lives(&self, host: HostId, life: u64) -> bool {
        let host = &self.hosts[host.0];
        host.memory.is_some() && host.life == life
    }

    fn is_calm(&self) -> bool {
        self.now >= self.chaos.until
    }

    /// Whether something goes wrong now that does in so many of a thousand cases.
    fn strikes(&mut self, what: &'static str, chance: impl FnOnce(&Chaos) -> u64) -> bool {
        let chance = chance(&self.chaos);
        let strikes = !self.is_calm() && self.dice.per_mille(chance);
        if strikes {
            self.count(what);
        }
        strikes
    }

    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// In a while, as long as the range in milliseconds says.
    fn after(&mut self, range: impl FnOnce(&Chaos) -> std::ops::RangeInclusive<u64>) -> Time {
        let range = range(&self.chaos);
        self.now.after(self.dice.millis(range))
    }
}

impl World<Inbox> {
    /// A world in which nothing goes wrong by itself, for a story that a test tells.
    pub fn quiet(seed: u64) -> Self {
        World::new(seed, Chaos::none())
    }

    /// Takes what the application of a host was told of a connection.
    pub fn events(&mut self, host: HostId, name: &str) -> Vec<Event> {
        let taken = self.act(host, |inbox, _| {
            let (taken, rest) = std::mem::take(&mut inbox.events).into_iter().partition(|(of, _)| of == name);
            inbox.events = rest;
            taken
        });
        let taken: Vec<(String, Event)> = taken.expect("the host is running");
        taken.into_iter().map(|(_, event)| event).collect()
    }
}
