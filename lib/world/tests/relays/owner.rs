//! The owner's program. It does what the tools do with a group in a state file: every step is in the file before anything
//! follows from it, and where possible a step of a connection and the owner's knowledge of it become durable together.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use agent::connection::task::{Outcome as Answer, Task as Command};
use agent::connection::{
    Connection, ConnectionError, Delivery, Event, JoinLink, QueuePlan, SendOptions, Settings, TaskFault, Where,
};
use agent::link_read::RetrievedLinkData;
use agent::ratchet::Pq;
use agent::short_link::ContactShortLink;
use agent::time::{Env, Time};
use group::document::{GroupDocument, GroupState};
use group::event::RelayCommand;
use group::identity::MemberId;
use group::membership::{RecordError, RecordKey, Records};
use group::owner::{ConnectionName, Event as OwnerEvent, GroupOwner, Outcome, OwnerError, Removal, Task, TaskId};
use group::profile::GroupProfile;
use smp::command;
use smp::error::Error;
use smp::response::Response;
use world::Turn;

use crate::actor::Token;
use crate::ledger::Ledger;

/// What the owner wants, of the relay with this number or of the group.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Invite(usize),
    Cancel(usize),
    Remove {
        relay: usize,
        unnotified: bool,
    },
    AskAgain(usize),
    Control(usize, RelayCommand),
    /// Another profile and member count.
    Change(u64),
    /// A roster of this version.
    Roster(i64),
}

/// Which rule the owner breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Bent {
    #[default]
    No,
    /// It takes what stands behind relay links for what should stand there.
    TrustsLinks,
    /// It does not wait for anybody to have the roster.
    TrustsRosters,
}

/// What does not change.
pub(crate) struct Part {
    pub(crate) addresses: Vec<ContactShortLink>,
    pub(crate) acts: Vec<(Time, Act)>,
    pub(crate) bent: Bent,
    pub(crate) ledger: Ledger,
}

/// What is to be done in a turn of its own.
#[derive(Debug, Clone)]
enum Todo {
    /// A step of a connection.
    Local(TaskId),
    Finish(TaskId, Outcome),
    /// An answer is awaited.
    Read(TaskId, ContactShortLink),
    Write(u64),
}

/// What is kept of members and what they say: nobody joins here.
struct Nobody;

impl Records for Nobody {
    fn read(&self, _: &RecordKey) -> Result<Option<Vec<u8>>, RecordError> {
        Ok(None)
    }
}

#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) part: Rc<Part>,
    pub(crate) machine: GroupOwner,
    /// The next act.
    next: usize,
    // What follows does not survive a crash.
    running: BTreeSet<TaskId>,
    todo: BTreeMap<Token, Todo>,
    last_token: Token,
    timer: Option<Time>,
}

impl Owner {
    pub(crate) fn new(machine: GroupOwner, part: Part) -> Self {
        Self::loaded(Rc::new(part), machine, 0)
    }

    fn loaded(part: Rc<Part>, machine: GroupOwner, next: usize) -> Self {
        let (running, todo) = (BTreeSet::new(), BTreeMap::new());
        Owner { part, machine, next, running, todo, last_token: 0, timer: None }
    }

    /// As another run reads it from the file.
    pub(crate) fn load(&self) -> Self {
        let text = serde_json::to_vec(&GroupDocument::from(&self.machine)).expect("a document");
        let document: GroupDocument = serde_json::from_slice(&text).expect("our own document");
        let GroupState::Created(machine) = GroupState::try_from(document).expect("a consistent document") else {
            panic!("the link exists")
        };
        Self::loaded(self.part.clone(), *machine, self.next)
    }

    /// Connections that nobody knows are those of relays that were forgotten.
    pub(crate) fn restarted(&mut self, turn: &mut Turn<'_>) {
        for name in turn.names() {
            if !name_of(&name).is_some_and(|name| self.machine.uses(&name)) {
                turn.eventful(&name, |connection, env| connection.delete(Delivery::Drop, env));
            }
        }
        self.go_on(turn);
    }

    /// Makes a step of the machine.
    fn tell(
        &mut self,
        turn: &mut Turn<'_>,
        step: impl FnOnce(&mut GroupOwner, &mut Env<'_>) -> Result<Vec<OwnerEvent>, OwnerError>,
    ) {
        match step(&mut self.machine, &mut turn.env()) {
            Ok(_) | Err(OwnerError::UnknownConnection(_)) => {}
            Err(error) => self.part.ledger.fault(format!("the owner's machine: {error}")),
        }
    }

    /// What the user wants now. Not everything is possible at all times.
    pub(crate) fn act(&mut self, turn: &mut Turn<'_>, act: &Act) {
        let part = self.part.clone();
        let last =
            |owner: &GroupOwner, relay: usize| owner.relay_at(&part.addresses[relay]).map(|record| record.id().clone());
        let (machine, mut env) = (&mut self.machine, turn.env());
        match act {
            Act::Invite(relay) => drop(machine.invite(part.addresses[*relay].clone(), &mut env)),
            Act::Cancel(relay) => drop(last(machine, *relay).map(|id| machine.cancel(&id, &mut env))),
            Act::Remove { relay, unnotified } => {
                let removal = Removal { last: true, unnotified: *unnotified };
                drop(last(machine, *relay).map(|id| machine.remove(&id, removal, &mut env)));
            }
            Act::AskAgain(relay) => drop(last(machine, *relay).map(|id| machine.ask_again(&id, &mut env))),
            Act::Control(relay, command) => {
                drop(last(machine, *relay).map(|id| machine.control(&id, command.clone(), &mut env)));
            }
            Act::Change(count) => {
                let profile = GroupProfile::named(&format!("Walks {}", count / 2));
                machine.set_contents(profile, *count, &mut env).expect("a short profile");
            }
            Act::Roster(version) => {
                let json = format!(r#"{{"version":{version},"contiguous":{version},"members":[]}}"#);
                machine.set_roster(serde_json::from_str(&json).expect("a roster"), &mut env);
            }
        }
        self.go_on(turn);
    }

    fn token(&mut self, todo: Todo) -> Token {
        self.last_token += 1;
        self.todo.insert(self.last_token, todo);
        self.last_token
    }

    /// In a turn of its own, which comes once this one is durable.
    fn then(&mut self, turn: &mut Turn<'_>, todo: Todo) {
        let token = self.token(todo);
        turn.wake_after(Duration::from_millis(1), token);
    }

    /// Begins what is due, and sets the timer.
    fn go_on(&mut self, turn: &mut Turn<'_>) {
        for id in self.machine.due(turn.now()) {
            if self.running.contains(&id) {
                continue;
            }
            self.running.insert(id.clone());
            match self.machine.task(&id).expect("a task that is due") {
                Task::ReadLink(link) => {
                    let token = self.token(Todo::Read(id, link.clone()));
                    turn.call(token, read(&link));
                }
                Task::WriteLink(write) => {
                    let token = self.token(Todo::Write(write.version));
                    let command = command::Command::Lset(write.link_id, write.data);
                    let (server, entity_id, key) = (write.server, write.recipient_id.into(), Some(write.key));
                    turn.call(token, Command { server, corr_id: None, entity_id, key, command });
                }
                _ => self.then(turn, Todo::Local(id)),
            }
        }
        let act = self.part.acts.get(self.next).map(|(at, _)| *at);
        let next = self.machine.next_due().filter(|at| *at > turn.now()).into_iter().chain(act).min();
        if next != self.timer {
            self.timer = next;
            next.into_iter().for_each(|at| turn.wake_after(at.since(turn.now()), 0));
        }
    }

    pub(crate) fn woken(&mut self, turn: &mut Turn<'_>, token: Token) {
        match self.todo.remove(&token) {
            Some(Todo::Local(id)) => self.local(turn, id),
            Some(Todo::Finish(id, outcome)) => self.finish(turn, &id, outcome),
            Some(Todo::Read(..) | Todo::Write(_)) => panic!("nobody wakes for an answer"),
            None => {
                self.timer = None;
                let acts = self.part.clone();
                if let Some((_, act)) = acts.acts.get(self.next).filter(|(at, _)| *at <= turn.now()) {
                    self.next += 1;
                    self.act(turn, act);
                }
            }
        }
        self.go_on(turn);
    }

    pub(crate) fn answered(&mut self, turn: &mut Turn<'_>, token: Token, answer: Answer) {
        match self.todo.remove(&token) {
            Some(Todo::Read(id, link)) => {
                let outcome = self.read_outcome(&id, &link, answer);
                self.finish(turn, &id, outcome);
            }
            Some(Todo::Write(version)) => {
                let outcome = match answer {
                    Answer::Answered(Response::Ok) => Outcome::Written(version),
                    Answer::Answered(other) => Outcome::Refused(format!("{other:?}")),
                    _ => Outcome::Unreachable("no answer".to_owned()),
                };
                self.finish(turn, &TaskId::WriteLink, outcome);
            }
            other => panic!("an answer to {other:?}"),
        }
        self.go_on(turn);
    }

    fn read_outcome(&self, id: &TaskId, link: &ContactShortLink, answer: Answer) -> Outcome {
        match answer {
            Answer::Answered(Response::Lnk(sender_id, data)) => {
                let mended = self.part.ledger.note(|entries| entries.mended.get(&link.derive().0).cloned());
                let trusts = self.part.bent == Bent::TrustsLinks && matches!(id, TaskId::ReadRelayLink(_));
                let data = mended.filter(|_| trusts).unwrap_or(data);
                Outcome::Retrieved(Box::new(RetrievedLinkData { sender_id, data }))
            }
            Answer::Answered(Response::Err(Error::Auth)) => Outcome::Refused("nothing is there".to_owned()),
            Answer::Answered(other) => Outcome::Refused(format!("{other:?}")),
            _ => Outcome::Unreachable("no answer".to_owned()),
        }
    }

    fn finish(&mut self, turn: &mut Turn<'_>, id: &TaskId, outcome: Outcome) {
        self.running.remove(id);
        self.tell(turn, |owner, env| owner.finish(id, outcome, env));
    }

    /// A task that is a step of a connection, if it is still to be done.
    fn local(&mut self, turn: &mut Turn<'_>, id: TaskId) {
        if !self.machine.due(turn.now()).contains(&id) {
            self.running.remove(&id);
            return;
        }
        match self.machine.task(&id).expect("a task that is due") {
            Task::Open { connection, link, server, info } => {
                let relay = self.relay_of(&id);
                self.part.ledger.requested(relay, &info);
                let plan = QueuePlan { password: server.password, ..QueuePlan::at(server.address) };
                let outcome = open(turn, connection.as_str(), JoinLink::Full(link), plan, info);
                self.then(turn, Todo::Finish(id, outcome));
            }
            Task::Allow { connection, info } => {
                self.talk(turn, id, &connection, |connection, env| allow(connection, info, env));
            }
            Task::Send { connection, bodies } => self.talk(turn, id, &connection, |connection, env| {
                bodies.iter().try_for_each(|body| connection.send(body, SendOptions::default(), env).map(drop))
            }),
            Task::Delete { connection, delivery } => {
                let name = connection.as_str().to_owned();
                if turn.connection(&name).is_some() {
                    turn.eventful(&name, |connection, env| connection.delete(delivery, env));
                }
                self.finish(turn, &id, Outcome::Done);
            }
            Task::ReadLink(_) | Task::SetQueueKeys(_) | Task::WriteLink(_) | Task::DeleteLink(_) => {
                panic!("no step of a connection")
            }
        }
    }

    fn relay_of(&self, id: &TaskId) -> usize {
        let TaskId::Invite(member) = id else { panic!("{id:?} invites nobody") };
        let address = self.machine.relay(member).expect("a relay").address();
        self.part.addresses.iter().position(|known| known == address).expect("an address")
    }

    /// A step of a connection, and the end of the task with it.
    fn talk(
        &mut self,
        turn: &mut Turn<'_>,
        id: TaskId,
        name: &ConnectionName,
        step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<(), ConnectionError>,
    ) {
        let stepped = match turn.connection(name.as_str()) {
            Some(_) => turn.step(name.as_str(), step).map_err(|error| error.to_string()),
            None => Err("there is no connection with the relay any more".to_owned()),
        };
        match stepped {
            Ok(()) => self.finish(turn, &id, Outcome::Done),
            Err(reason) => self.then(turn, Todo::Finish(id, Outcome::Refused(reason))),
        }
    }

    pub(crate) fn told(&mut self, turn: &mut Turn<'_>, name: &str, event: Event) {
        let connection = name_of(name).expect("the name of a connection");
        match event {
            Event::Confirmed { info } => self.tell(turn, |owner, env| owner.answered(&connection, &info, env)),
            Event::Connected { .. } => {
                self.hear(
                    turn,
                    name,
                    |connection, _| connection.heard(),
                    |owner, env| owner.connected(&connection, env),
                );
                if self.part.bent == Bent::TrustsRosters {
                    let version = self.machine.roster().version().unwrap_or_default().number();
                    let ack = format!(r#"{{"v":"9-19","event":"x.grp.roster.ack","params":{{"version":{version}}}}}"#);
                    let take = |owner: &mut GroupOwner, env: &mut Env<'_>| {
                        owner.received(&connection, ack.as_bytes(), &Nobody, env)
                    };
                    self.tell(turn, |owner, env| Ok(take(owner, env)?.events));
                }
            }
            Event::Message(message) => {
                let acknowledge = |connection: &mut Connection, env: &mut Env<'_>| {
                    // It was acknowledged before, if there is nothing to acknowledge.
                    let _ = connection.acknowledge(&message.id, None, env);
                };
                let take = |owner: &mut GroupOwner, env: &mut Env<'_>| {
                    owner.received(&connection, &message.body, &Nobody, env)
                };
                self.hear(turn, name, acknowledge, |owner, env| Ok(take(owner, env)?.events));
            }
            Event::Stopped(fault) => {
                self.tell(turn, |owner, env| owner.connection_failed(&connection, &fault.to_string(), env));
            }
            Event::QueueLost => self.tell(turn, |owner, env| owner.connection_failed(&connection, "lost", env)),
            // The relay has given up its queue: nothing reaches it any more.
            Event::NotSent { fault: TaskFault::Refused { error: Error::Auth, .. }, .. } => {
                self.tell(turn, |owner, env| owner.connection_failed(&connection, "refused", env));
            }
            _ => {}
        }
        self.go_on(turn);
    }

    /// Tells the owner, and the connection that it was told, at the same time.
    fn hear(
        &mut self,
        turn: &mut Turn<'_>,
        name: &str,
        heard: impl FnOnce(&mut Connection, &mut Env<'_>),
        tell: impl FnOnce(&mut GroupOwner, &mut Env<'_>) -> Result<Vec<OwnerEvent>, OwnerError>,
    ) {
        if turn.connection(name).is_none() {
            return;
        }
        self.tell(turn, |owner, env| match tell(owner, env) {
            Err(OwnerError::Prohibited(..)) => Ok(Vec::new()),
            told => told,
        });
        turn.step(name, heard);
    }

    /// The relays that the owner waits for.
    pub(crate) fn stuck(&self) -> Vec<MemberId> {
        let is_stuck = |record: &&group::owner::RelayRecord| {
            let confirmed = record.active_stage() == Some(group::owner::ActiveStage::Confirmed);
            !record.status().is_final() && !confirmed
        };
        self.machine.relays().iter().filter(is_stuck).map(|record| record.id().clone()).collect()
    }

    /// Asks those again for whom the owner waits.
    pub(crate) fn ask_stuck(&mut self, turn: &mut Turn<'_>) {
        for id in self.stuck() {
            // Some can only be waited for.
            let _ = self.machine.ask_again(&id, &mut turn.env());
        }
        self.go_on(turn);
    }
}

pub(crate) fn name_of(name: &str) -> Option<ConnectionName> {
    ConnectionName::new(name)
}

/// Reads what is behind a link.
pub(crate) fn read(link: &ContactShortLink) -> Command {
    let (server, entity_id) = (link.server.clone(), link.derive().0.into());
    Command { server, corr_id: None, entity_id, key: None, command: command::Command::Lget }
}

/// Opens a connection; one of this name is the one that is wanted.
fn open(turn: &mut Turn<'_>, name: &str, link: JoinLink, plan: QueuePlan, info: Vec<u8>) -> Outcome {
    let settings = Settings { pq: Pq::Off, ..Settings::default() };
    let mut env = turn.env();
    let mut connection = Connection::open(link, &settings, &mut env);
    if let Err(error) = connection.join(plan, info, &mut env) {
        return Outcome::Refused(error.to_string());
    }
    if turn.connection(name).is_none() {
        turn.insert(name, connection);
    }
    Outcome::Done
}

/// Lets a relay in. One that was let in before, by a run that was cut off, is in.
fn allow(connection: &mut Connection, info: Vec<u8>, env: &mut Env<'_>) -> Result<(), ConnectionError> {
    match connection.allow(info, env) {
        Err(_) if matches!(connection.status().at, Where::Allowed | Where::Greeting | Where::Connected) => Ok(()),
        outcome => outcome,
    }
}
