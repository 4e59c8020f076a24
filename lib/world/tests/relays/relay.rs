//! A relay's program. It does what `lib/relay` does: everything that a step changed is durable before anything follows from
//! it; the agent's connections are kept apart from the machine, so that each task is a transaction of its own, and its
//! outcome another; at most one task about each connection is under way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::rc::Rc;

use agent::connection::task::Outcome as Answer;
use agent::connection::{AddressPlan, Connection, ConnectionError, Event, QueuePlan, SendOptions, Settings};
use agent::link_read::RetrievedLinkData;
use agent::ratchet::Pq;
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use agent::time::{Env, Time};
use crypto::sign::Ed25519PrivateKey;
use group::relay::{
    Change, ConnectionName, GroupSelector, Inactivity, Outcome, RecordKey, Relay as Machine, RelayIdentity,
    RelaySettings, ServiceId, Status, Task, TaskId, Verdict,
};
use smp::address::ServerWithPassword;
use smp::error::Error;
use smp::id::MessageId;
use smp::response::Response;
use world::Turn;
use zeroize::Zeroizing;

use crate::actor::Token;
use crate::ledger::{Ledger, Member, member};
use crate::lies::{self, Lie};
use crate::owner::read;

/// What the operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Leave,
    Allow,
    Suspend,
    Resume,
}

/// What does not change.
pub(crate) struct Part {
    pub(crate) number: usize,
    pub(crate) identity: RelayIdentity,
    /// The key of its address.
    pub(crate) address_key: Ed25519PrivateKey,
    pub(crate) settings: RelaySettings,
    pub(crate) verdict: Verdict,
    pub(crate) lie: Lie,
    /// Until then it changes what stands behind its links, if it does.
    pub(crate) lies_until: Time,
    /// How long it takes over each thing, in milliseconds.
    pub(crate) pace: RangeInclusive<u64>,
    pub(crate) orders: Vec<(Time, Order)>,
    pub(crate) group_link: ContactShortLink,
    /// So many turns later its state is durable: what follows from it goes ahead.
    pub(crate) keeps_late: usize,
    pub(crate) ledger: Ledger,
}

/// How a service stands, as far as that is durable.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    pub(crate) member: Member,
    pub(crate) status: Status,
    pub(crate) link: Option<ContactShortLink>,
    pub(crate) confirmed: bool,
}

/// What survives a crash.
#[derive(Clone)]
pub(crate) struct KeptRelay {
    part: Rc<Part>,
    records: BTreeMap<RecordKey, Zeroizing<Vec<u8>>>,
    next_order: usize,
    late: VecDeque<Vec<Change>>,
    /// What the services saw behind the group link, one after the other.
    seen: BTreeMap<ServiceId, Vec<Vec<u8>>>,
    pub(crate) services: BTreeMap<ServiceId, Standing>,
    pub(crate) address: Option<ContactShortLink>,
}

/// What is to be done in a turn of its own.
#[derive(Debug, Clone)]
enum Todo {
    Run(TaskId, Task),
    Finish(TaskId, Outcome),
    /// The agent has it, and will tell the outcome.
    Await(TaskId, ConnectionName),
    Acknowledge(ConnectionName, MessageId),
    Heard(ConnectionName),
    /// An answer is awaited.
    Read(TaskId),
    /// A liar changes what stands behind its link.
    Alter(bool),
}

pub(crate) struct Relay {
    pub(crate) part: Rc<Part>,
    machine: Machine,
    next_order: usize,
    seen: BTreeMap<ServiceId, Vec<Vec<u8>>>,
    pub(crate) address: Option<ContactShortLink>,
    // What follows does not survive a crash.
    running: BTreeSet<TaskId>,
    busy: BTreeMap<TaskId, ConnectionName>,
    awaited: BTreeMap<ConnectionName, TaskId>,
    early: BTreeMap<ConnectionName, Event>,
    todo: BTreeMap<Token, Todo>,
    last_token: Token,
    timer: Option<Time>,
}

/// Connections of groups with relays are made without post-quantum encryption.
fn settings() -> Settings {
    Settings { pq: Pq::Off, ..Settings::default() }
}

impl Relay {
    pub(crate) fn new(part: Part) -> Self {
        let machine = Machine::new(part.identity.clone(), part.settings.clone());
        Self::with(Rc::new(part), machine)
    }

    fn with(part: Rc<Part>, machine: Machine) -> Self {
        Relay {
            part,
            machine,
            next_order: 0,
            seen: BTreeMap::new(),
            address: None,
            running: BTreeSet::new(),
            busy: BTreeMap::new(),
            awaited: BTreeMap::new(),
            early: BTreeMap::new(),
            todo: BTreeMap::new(),
            last_token: 0,
            timer: None,
        }
    }

    pub(crate) fn first_kept(&self) -> KeptRelay {
        KeptRelay {
            part: self.part.clone(),
            records: BTreeMap::new(),
            next_order: 0,
            late: VecDeque::new(),
            seen: BTreeMap::new(),
            services: BTreeMap::new(),
            address: None,
        }
    }

    pub(crate) fn keep(&mut self, kept: &mut KeptRelay) {
        let changes = self.machine.take_changes();
        let changed = !changes.is_empty();
        kept.late.push_back(changes);
        let due = kept.late.len().saturating_sub(self.part.keeps_late);
        for Change { key, value } in kept.late.drain(..due).flatten() {
            match (key, value) {
                (RecordKey::Log(..), line) => self.count_line(&line.unwrap_or_default()),
                (key, Some(value)) => drop(kept.records.insert(key, value)),
                (key, None) => drop(kept.records.remove(&key)),
            }
        }
        kept.next_order = self.next_order;
        kept.address.clone_from(&self.address);
        if changed {
            kept.seen.clone_from(&self.seen);
            kept.services = self.machine.services().map(|service| (service.id(), standing(service))).collect();
        }
    }

    fn count_line(&self, line: &[u8]) {
        let event = crate::ledger::json(line)["event"].as_str().unwrap_or_default().to_owned();
        match event.as_str() {
            "replayed" => self.part.ledger.count("replays that relays noticed"),
            "repeated" => self.part.ledger.count("invitations that were repeated"),
            _ => {}
        }
    }

    pub(crate) fn load(kept: &KeptRelay) -> Self {
        let part = kept.part.clone();
        let records = kept.records.iter().map(|(key, value)| (*key, value.clone()));
        // What was not kept in time is lost.
        let machine = Machine::load(part.identity.clone(), part.settings.clone(), records).expect("our own records");
        let (seen, address) = (kept.seen.clone(), kept.address.clone());
        Relay { next_order: kept.next_order, seen, address, ..Self::with(part, machine) }
    }

    /// Makes the relay's address, at its first start.
    pub(crate) fn open_address(&mut self, turn: &mut Turn<'_>) -> ContactShortLink {
        let part = self.part.clone();
        let server: &ServerWithPassword = part.settings.servers.first();
        let mut prepared = part.identity.address(server, turn.env().random).expect("a short profile");
        if part.lie == Lie::NoAddress {
            prepared.data = lies::address_of_nobody(&prepared.prepared, &part.address_key, turn.env().random);
        }
        let plan = AddressPlan::Linked { link: prepared.prepared.into(), data: prepared.data, password: None };
        let name = ConnectionName::Address.to_string();
        turn.begin(&name, |env| Connection::address(plan, &settings(), env)).expect("an address");
        self.address = Some(prepared.link.clone());
        self.go_on(turn);
        prepared.link
    }

    pub(crate) fn restarted(&mut self, turn: &mut Turn<'_>) {
        let name = ConnectionName::Address.to_string();
        if turn.connection(&name).is_some() {
            turn.step(&name, |address, _| address.retry());
        }
        self.machine.elapsed(&mut turn.env());
        self.go_on(turn);
    }

    fn then(&mut self, turn: &mut Turn<'_>, todo: Todo) {
        let pace = match todo {
            Todo::Run(..) => self.part.pace.clone(),
            Todo::Alter(_) => 20_000..=60_000,
            _ => 1..=1,
        };
        let delay = turn.dice().millis(pace);
        let token = self.token(todo);
        turn.wake_after(delay, token);
    }

    fn token(&mut self, todo: Todo) -> Token {
        self.last_token += 1;
        self.todo.insert(self.last_token, todo);
        self.last_token
    }

    /// Begins what is due, and sets the timer.
    fn go_on(&mut self, turn: &mut Turn<'_>) {
        for id in self.machine.due(turn.now()) {
            if self.running.contains(&id) {
                continue;
            }
            let Some(task) = self.machine.task(&id, &mut turn.env()) else { continue };
            let connection = task.connection();
            if connection.is_some_and(|connection| self.busy.values().any(|busy| *busy == connection)) {
                continue;
            }
            self.running.insert(id);
            self.busy.extend(connection.map(|connection| (id, connection)));
            match task {
                Task::ReadLink { link, .. } => {
                    let token = self.token(Todo::Read(id));
                    turn.call(token, read(&link));
                }
                task => self.then(turn, Todo::Run(id, task)),
            }
        }
        let order = self.part.orders.get(self.next_order).map(|(at, _)| *at);
        let next = self.machine.next_due(turn.now()).into_iter().chain(order).min();
        if next != self.timer {
            self.timer = next;
            next.into_iter().for_each(|at| turn.wake_after(at.since(turn.now()), 0));
        }
        let changes = self.part.lie == Lie::Changing && turn.now() < self.part.lies_until;
        if changes && !self.todo.values().any(|todo| matches!(todo, Todo::Alter(_))) {
            let bad = turn.dice().coin();
            self.then(turn, Todo::Alter(bad));
        }
    }

    pub(crate) fn woken(&mut self, turn: &mut Turn<'_>, token: Token) {
        match self.todo.remove(&token) {
            Some(Todo::Run(id, task)) => self.run(turn, id, task),
            Some(Todo::Finish(id, outcome)) => self.finish_ran(turn, id, outcome),
            Some(Todo::Await(id, connection)) => {
                self.busy.remove(&id);
                self.awaited.insert(connection, id);
                if let Some(event) = self.early.remove(&connection) {
                    self.created(turn, connection, event);
                }
            }
            Some(Todo::Acknowledge(connection, message)) => {
                // What was not acknowledged comes again.
                let _ = step(turn, &connection, |connection, env| connection.acknowledge(&message, None, env));
            }
            Some(Todo::Heard(connection)) => {
                let _ = step(turn, &connection, |connection, _| {
                    connection.heard();
                    Ok(())
                });
            }
            Some(Todo::Alter(bad)) => self.alter(turn, bad),
            Some(Todo::Read(_)) => panic!("nobody wakes for an answer"),
            None => {
                self.timer = None;
                self.machine.elapsed(&mut turn.env());
                self.order(turn);
            }
        }
        self.go_on(turn);
    }

    /// Does what the operator wants by now, if it means anything.
    fn order(&mut self, turn: &mut Turn<'_>) {
        let part = self.part.clone();
        let Some((_, order)) = part.orders.get(self.next_order).filter(|(at, _)| *at <= turn.now()) else { return };
        self.next_order += 1;
        let selector = GroupSelector::Link(part.group_link.clone());
        let (machine, mut env) = (&mut self.machine, turn.env());
        let done = match order {
            Order::Leave => machine.leave(&selector, &mut env),
            Order::Allow => machine.allow(&selector, &mut env),
            Order::Suspend => machine.suspend(&selector, true, &mut env),
            Order::Resume => machine.suspend(&selector, false, &mut env),
        };
        if done.is_ok() && *order == Order::Leave {
            part.ledger.count("groups that operators left");
        }
    }

    pub(crate) fn answered(&mut self, turn: &mut Turn<'_>, token: Token, answer: Answer) {
        let Some(Todo::Read(id)) = self.todo.remove(&token) else { panic!("an answer to nothing") };
        let outcome = match answer {
            Answer::Answered(Response::Lnk(sender_id, data)) => {
                Outcome::LinkData(Box::new(RetrievedLinkData { sender_id, data }))
            }
            Answer::Answered(Response::Err(Error::Auth)) => Outcome::NoLink,
            Answer::Answered(other) => Outcome::Failed(format!("{other:?}")),
            _ => Outcome::Unreachable,
        };
        self.finish(turn, id, outcome);
        self.go_on(turn);
    }

    /// A task that is a step of the agent.
    fn run(&mut self, turn: &mut Turn<'_>, id: TaskId, task: Task) {
        let part = self.part.clone();
        let outcome = match task {
            Task::ReadLink { .. } => panic!("a call"),
            Task::AskPolicy(_) => Outcome::Verdict(part.verdict.clone()),
            Task::CreateLink { connection, link, data, .. } => {
                self.note_plan(&connection, &link.fixed().short_link(ContactKind::Group, LinkScheme::Https));
                let (link, data) = self.bend_link(turn, connection, link, data);
                let plan = AddressPlan::Linked { link, data, password: None };
                return self.create(turn, id, connection, plan);
            }
            Task::Answer { request, connection, server, info, .. } => {
                let plan = QueuePlan { password: server.password, ..QueuePlan::at(server.address) };
                let info = self.bend_answer(turn, connection, info);
                accept(turn, request, &connection, plan, info)
            }
            Task::Dismiss(request) => {
                // A request that is gone needs no dismissal.
                let _ = step(turn, &ConnectionName::Address, |address, _| address.reject(request));
                Outcome::Done
            }
            Task::Send { connection, body } => self.send(turn, connection, &body),
            Task::DeleteConnection(connection, delivery) => {
                let name = connection.to_string();
                if turn.connection(&name).is_some() {
                    turn.eventful(&name, |connection, env| connection.delete(delivery, env));
                }
                Outcome::Done
            }
        };
        self.then(turn, Todo::Finish(id, outcome));
    }

    fn note_plan(&self, connection: &ConnectionName, link: &ContactShortLink) {
        let ConnectionName::Link(id) = connection else { panic!("{connection} is no link") };
        let invitation = self.machine.service(*id).expect("a service").invitation();
        let key = (self.part.number, invitation.group_link.to_string(), member(&invitation.relay_member_id));
        if self.part.lie.is_about_links() {
            return;
        }
        self.part.ledger.note(|entries| entries.planned.entry(key).or_default().insert(link.to_string()));
    }

    fn create(&mut self, turn: &mut Turn<'_>, id: TaskId, name: ConnectionName, plan: AddressPlan) {
        if turn.connection(&name.to_string()).is_none() {
            turn.begin(&name.to_string(), |env| Connection::address(plan, &settings(), env)).expect("a link");
            return self.then(turn, Todo::Await(id, name));
        }
        let exists = turn.step(&name.to_string(), |connection, _| {
            connection.retry();
            connection.subscription().is_some()
        });
        self.then(turn, if exists { Todo::Finish(id, Outcome::Done) } else { Todo::Await(id, name) });
    }

    fn send(&self, turn: &mut Turn<'_>, connection: ConnectionName, body: &[u8]) -> Outcome {
        let options = SendOptions { notify: true, ..SendOptions::default() };
        let sent = match self.babble(turn) {
            Some(nonsense) => step(turn, &connection, |connection, env| {
                connection.send(&nonsense, options, env)?;
                connection.send(body, options, env).map(drop)
            }),
            None => step(turn, &connection, |connection, env| connection.send(body, options, env).map(drop)),
        };
        if let (ConnectionName::Owner(id, _), Some(Ok(()))) = (connection, &sent) {
            let member = &self.machine.service(id).expect("a service").invitation().relay_member_id;
            self.part.ledger.said(member, body);
        }
        match sent {
            Some(Ok(())) => Outcome::Done,
            None => Outcome::Failed("the connection is gone".to_owned()),
            Some(Err(ConnectionError::Prohibited(..))) => Outcome::Unreachable,
            Some(Err(error)) => Outcome::Failed(error.to_string()),
        }
    }

    fn finish_ran(&mut self, turn: &mut Turn<'_>, id: TaskId, outcome: Outcome) {
        self.busy.remove(&id);
        self.finish(turn, id, outcome);
    }

    fn finish(&mut self, turn: &mut Turn<'_>, id: TaskId, outcome: Outcome) {
        self.running.remove(&id);
        self.awaited.retain(|_, awaited| *awaited != id);
        if let TaskId::DeleteConnection(connection) = id {
            // Nobody waits any more for what is deleted.
            self.early.remove(&connection);
            if let Some(awaited) = self.awaited.remove(&connection) {
                self.running.remove(&awaited);
            }
        }
        let looked = self.looks(&id, &outcome);
        self.machine.finish(&id, outcome, &mut turn.env());
        if let Some((service, data)) = looked {
            self.judge_look(service, &data);
        }
    }

    /// What a service looks at behind the group link.
    fn looks(&self, id: &TaskId, outcome: &Outcome) -> Option<(ServiceId, Box<RetrievedLinkData>)> {
        match (id, outcome) {
            (TaskId::ReadGroupLink(service) | TaskId::CheckLink(service), Outcome::LinkData(data)) => {
                let was_serving = self.machine.service(*service)?.status().is_serving();
                (was_serving || matches!(id, TaskId::ReadGroupLink(_))).then(|| (*service, data.clone()))
            }
            _ => None,
        }
    }

    /// Data that was seen before, and was followed by other data, says nothing about the relay.
    fn judge_look(&mut self, id: ServiceId, data: &RetrievedLinkData) {
        let seen = self.seen.entry(id).or_default();
        let bytes = data.data.user.clone();
        let is_replay = seen.last() != Some(&bytes) && seen.contains(&bytes);
        if !is_replay && seen.last() != Some(&bytes) {
            seen.push(bytes);
        }
        let Some(service) = self.machine.service(id) else { return };
        if *service.status() != Status::Inactive(Inactivity::Absent) {
            return;
        }
        let lists_it = data.read(&self.part.group_link).is_ok_and(|read| {
            service.relay_link().is_some_and(|own| read.user().relays().iter().any(|link| link.same_link(own)))
        });
        if is_replay || lists_it {
            self.part.ledger.fault(format!("service {id} of relay {} is misled by old link data", self.part.number));
        }
    }

    /// The link that a task creates exists, or its server refused it.
    fn created(&mut self, turn: &mut Turn<'_>, name: ConnectionName, event: Event) {
        let Some(id) = self.awaited.remove(&name) else { return };
        let outcome = match event {
            Event::Stopped(fault) => Outcome::Failed(fault.to_string()),
            _ => Outcome::Done,
        };
        self.finish(turn, id, outcome);
    }

    /// Whether a task is about to hand this link to the agent.
    fn is_creating(&self, name: &ConnectionName) -> bool {
        let ConnectionName::Link(service) = name else { return false };
        self.busy.contains_key(&TaskId::CreateLink(*service))
    }

    pub(crate) fn told(&mut self, turn: &mut Turn<'_>, name: &str, event: Event) {
        let name: ConnectionName = name.parse().expect("the name of a connection");
        match event {
            Event::Created | Event::Stopped(_) if self.awaited.contains_key(&name) => self.created(turn, name, event),
            Event::Created | Event::Stopped(_) if self.is_creating(&name) => drop(self.early.insert(name, event)),
            Event::Requested(request) if name == ConnectionName::Address => {
                self.machine.requested(request.id, &request.info, &mut turn.env());
            }
            Event::Info(info) => drop(self.machine.informed(&name, &info, &mut turn.env())),
            Event::Connected { .. } => {
                self.machine.connected(&name, &mut turn.env());
                self.then(turn, Todo::Heard(name));
            }
            Event::Message(message) => {
                self.machine.received(&name, message.sent_at, &message.body, &mut turn.env());
                self.then(turn, Todo::Acknowledge(name, message.id));
            }
            Event::Receipts { id, .. } => self.then(turn, Todo::Acknowledge(name, id)),
            Event::Stopped(_) | Event::NotSent { .. } | Event::QueueLost => {
                self.machine.connection_lost(&name, &mut turn.env());
            }
            _ => {}
        }
        self.go_on(turn);
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }
}

fn standing(service: &group::relay::Service) -> Standing {
    Standing {
        member: member(&service.invitation().relay_member_id),
        status: service.status().clone(),
        link: service.relay_link().cloned(),
        confirmed: service.is_confirmed(),
    }
}

/// A step of a connection, if it is there.
pub(crate) fn step(
    turn: &mut Turn<'_>,
    name: &ConnectionName,
    step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<(), ConnectionError>,
) -> Option<Result<(), ConnectionError>> {
    let name = name.to_string();
    turn.connection(&name).is_some().then(|| turn.step(&name, step))
}

/// A request that is gone was answered before, and then there is the connection.
fn accept(turn: &mut Turn<'_>, request: u64, name: &ConnectionName, plan: QueuePlan, info: Vec<u8>) -> Outcome {
    if turn.connection(&name.to_string()).is_some() {
        return Outcome::Done;
    }
    let address = ConnectionName::Address.to_string();
    match turn.step(&address, |address, env| address.accept(request, plan, info, env)) {
        Ok(accepted) => {
            turn.insert(&name.to_string(), accepted);
            Outcome::Done
        }
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
