//! What hosts do: transactions, tasks, subscriptions, crashes.

use std::collections::BTreeMap;

use agent::connection::event::Event;
use agent::connection::record::RecordKey;
use agent::connection::task::{Outcome, Task, TaskId};
use agent::time::Env;
use smp::command::Command;
use smp::error::Error;
use smp::id::{CorrId, MessageId, RecipientId};
use smp::response::Response;
use smp::transmission::ServerTransmission;

use super::transport::Transmission;
use super::{Happening, Refusal, World};
use crate::application::{Application, Turn};
use crate::host::{Active, Discipline, HostId, Memory, PersistPoint, UplinkState, Uplinked, Waiting};
use crate::network::ServerId;
use crate::server::SessionNumber;

/// What a transaction leads to once it is durable.
struct Effects {
    touched: Vec<String>,
    told: Vec<(String, Event)>,
    mails: Vec<(HostId, String)>,
    wakes: Vec<(std::time::Duration, u64)>,
}

impl<A: Application> World<A> {
    /// Lets a host crash now. It comes back after a rest.
    pub fn crash(&mut self, host: HostId) {
        self.stop_host(host);
        let back = self.after(|chaos| chaos.rest.clone());
        self.agenda.add(back, Happening::HostBack(host));
    }

    /// Takes a host down; it stays down.
    pub fn stop_host(&mut self, host: HostId) {
        note!(self, "{} crashes", self.hosts[host.0].name);
        self.cut_all_of(host);
        let host = &mut self.hosts[host.0];
        host.memory = None;
        host.life += 1;
    }

    /// Lets a host come back: it loads, subscribes, tells what waits to be told, and does what is due.
    pub fn restart(&mut self, host: HostId) {
        let known = &mut self.hosts[host.0];
        if known.memory.is_some() {
            return;
        }
        let names: Vec<String> = known.disk.connections.keys().cloned().collect();
        let mut connections = BTreeMap::new();
        for name in &names {
            match known.disk.load(name) {
                Ok(Some(loaded)) if known.disk.difference(name, &loaded).is_some() => {
                    return self.violate(format_args!("{name} is another when it is loaded"));
                }
                Ok(loaded) => connections.extend(loaded.map(|loaded| (name.clone(), Active::new(loaded)))),
                Err(error) => return self.violate(format_args!("{name} cannot be loaded: {error}")),
            }
        }
        let application = known.disk.application.clone();
        known.memory = Some(Memory { application, connections, uplinks: BTreeMap::new() });
        note!(self, "{} is back with {names:?}", self.hosts[host.0].name);
        for name in &names {
            self.tell_pending(host, name);
        }
        self.turn(host, |application, turn| application.restarted(turn));
        for name in names {
            self.resume(host, &name);
        }
    }

    /// Runs what is due, sets the timer, subscribes.
    fn resume(&mut self, host: HostId, name: &str) {
        self.set_timer(host, name);
        self.want_subscription(host, name);
        self.run_due(host, name);
    }

    fn tell_pending(&mut self, host: HostId, name: &str) {
        let Some(connection) = self.connection(host, name) else { return };
        for event in connection.pending() {
            self.tell(host, name, event);
        }
    }

    fn tell(&mut self, host: HostId, name: &str, event: Event) {
        note!(self, "{} {name}: {}", self.hosts[host.0].name, describe(&event));
        let at = self.after(|chaos| chaos.handling.clone());
        let known = &mut self.hosts[host.0];
        let Some(active) = known.memory.as_mut().and_then(|memory| memory.connections.get_mut(name)) else {
            // The connection is over; the application hears of it all the same.
            let happening = Happening::Told { host, life: known.life, name: name.to_owned(), event };
            return self.agenda.add(at, happening);
        };
        active.told_until = active.told_until.max(at);
        let happening = Happening::Told { host, life: known.life, name: name.to_owned(), event };
        self.agenda.add(active.told_until, happening);
    }

    /// Mail is delivered until it has durably arrived.
    pub(super) fn deliver_mail(&mut self, host: HostId, from: HostId, mail: String) {
        if self.turn(host, |application, turn| application.mailed(turn, from, &mail)).is_none() {
            let later = self.now.after(std::time::Duration::from_secs(1));
            self.agenda.add(later, Happening::Mail { host, from, mail });
        }
    }

    /// One transaction: steps, commit, effects; with a crash in between, if it is to be.
    pub(super) fn turn<T>(&mut self, host: HostId, run: impl FnOnce(&mut A, &mut Turn<'_>) -> T) -> Option<T> {
        let now = self.now;
        let known = &mut self.hosts[host.0];
        let memory = known.memory.as_mut()?;
        known.turns += 1;
        let mut turn = Turn {
            now,
            dice: &mut self.dice,
            random: &mut known.random,
            connections: &mut memory.connections,
            touched: Default::default(),
            told: Vec::new(),
            mails: Vec::new(),
            wakes: Vec::new(),
        };
        let result = run(&mut memory.application, &mut turn);
        let Turn { touched, told, mails, wakes, .. } = turn;
        let effects = Effects { touched: touched.into_iter().collect(), told, mails, wakes };
        let hasty = known.discipline == Discipline::ActsBeforeCommit;
        if hasty {
            self.take_effect(host, &effects);
        }
        if self.is_crash_due(host, PersistPoint::BeforeCommit) {
            self.crash(host);
            return None;
        }
        if self.strikes("failed commits", |chaos| chaos.commit_failure) {
            self.forget(host, &effects.touched);
            return None;
        }
        self.commit(host, &effects.touched);
        if self.is_crash_due(host, PersistPoint::AfterCommit) {
            self.crash(host);
        } else if !hasty {
            self.take_effect(host, &effects);
        }
        Some(result)
    }

    fn is_crash_due(&mut self, host: HostId, point: PersistPoint) -> bool {
        let known = &mut self.hosts[host.0];
        if known.memory.is_none() {
            return false;
        }
        if known.crash_at.is_some_and(|(turn, at)| at == point && turn <= known.turns) {
            known.crash_at = None;
            return true;
        }
        match point {
            PersistPoint::BeforeCommit => self.strikes("crashes before a commit", |chaos| chaos.crash_before_commit),
            PersistPoint::AfterCommit => self.strikes("crashes after a commit", |chaos| chaos.crash_after_commit),
            PersistPoint::AfterEffect => self.strikes("crashes after a command", |chaos| chaos.crash_after_effect),
        }
    }

    /// Makes the changes of all connections that took part durable, with the application's.
    fn commit(&mut self, host: HostId, touched: &[String]) {
        let known = &mut self.hosts[host.0];
        let Some(memory) = known.memory.as_mut() else { return };
        known.disk.application = memory.application.clone();
        let mut sealed = Vec::new();
        let mut incomplete = None;
        for name in touched {
            let Some(active) = memory.connections.get_mut(name) else { continue };
            let changes = active.connection.take_changes();
            known.disk.write(name, &changes, known.discipline);
            if known.discipline == Discipline::Kept {
                incomplete = incomplete.or(known.disk.difference(name, &active.connection));
            }
            let outgoing = changes.into_iter().filter(|change| matches!(change.key, RecordKey::Outgoing(_)));
            sealed.extend(outgoing.filter_map(|change| Some((name.clone(), change.key, change.value?))));
            if active.connection.is_over() {
                known.disk.connections.remove(name);
                memory.connections.remove(name);
            }
        }
        let host_name = known.name.clone();
        if let Some(incomplete) = incomplete {
            self.violate(incomplete);
        }
        for (name, key, value) in sealed {
            if let Err(violation) = self.wiretap.audit_record(&host_name, &name, key, &value) {
                self.violate(violation);
            }
        }
    }

    /// The disk refused: what is in memory goes, and what is durable is loaded again. A loaded connection does not know
    /// what its server waits for, so it is subscribed again, too.
    fn forget(&mut self, host: HostId, touched: &[String]) {
        note!(self, "{}: the disk refuses", self.hosts[host.0].name);
        let known = &mut self.hosts[host.0];
        let Some(memory) = known.memory.as_mut() else { return };
        memory.application = known.disk.application.clone();
        for name in touched {
            match (known.disk.load(name), memory.connections.get_mut(name)) {
                (Ok(Some(connection)), Some(active)) => active.connection = connection,
                (Ok(Some(connection)), None) => drop(memory.connections.insert(name.clone(), Active::new(connection))),
                (Ok(None), _) => drop(memory.connections.remove(name)),
                (Err(error), _) => return self.violate(format_args!("{name} cannot be loaded: {error}")),
            }
        }
        for uplink in memory.uplinks.values_mut() {
            let UplinkState::Up(up) = &mut uplink.state else { continue };
            for name in touched {
                let queue = memory.connections.get(name).and_then(|active| active.connection.subscription());
                queue.map(|wanted| up.subscribed.remove(&wanted.queue));
            }
        }
        // The application has forgotten what it was told in this turn.
        for name in self.names(host) {
            self.tell_pending(host, &name);
        }
        for name in touched {
            self.resume(host, name);
        }
        self.turn(host, |application, turn| application.restarted(turn));
    }

    fn take_effect(&mut self, host: HostId, effects: &Effects) {
        let life = self.hosts[host.0].life;
        for (name, event) in &effects.told {
            self.tell(host, name, event.clone());
        }
        for (to, mail) in &effects.mails {
            let at = self.after(|chaos| chaos.latency.clone());
            self.agenda.add(at, Happening::Mail { host: *to, from: host, mail: mail.clone() });
        }
        for (delay, token) in &effects.wakes {
            self.agenda.add(self.now.after(*delay), Happening::Wake { host, life, token: *token });
        }
        for name in &effects.touched {
            if self.lives(host, life) {
                self.resume(host, name);
            }
        }
    }

    fn set_timer(&mut self, host: HostId, name: &str) {
        let known = &mut self.hosts[host.0];
        let Some(active) = known.memory.as_mut().and_then(|memory| memory.connections.get_mut(name)) else { return };
        // What is due already is under way.
        let next = active.connection.next_due().filter(|at| *at > self.now);
        if let Some(at) = next.filter(|_| next != active.timer) {
            let happening = Happening::Due { host, life: known.life, name: name.to_owned() };
            self.agenda.add(at, happening);
        }
        active.timer = next;
    }

    /// Gives every task that is due and not under way to its server, or to the uplink that will be there.
    pub(super) fn run_due(&mut self, host: HostId, name: &str) {
        let life = self.hosts[host.0].life;
        loop {
            let now = self.now;
            let known = &mut self.hosts[host.0];
            if known.life != life {
                return;
            }
            let Some(active) = known.memory.as_mut().and_then(|memory| memory.connections.get_mut(name)) else {
                return;
            };
            if active.timer.is_some_and(|at| at <= now) {
                active.timer = None;
            }
            let due = active.connection.due(now);
            let Some(id) = due.into_iter().find(|id| !active.running.contains(id)) else { break };
            let made = active.connection.task(&id, &mut Env { now, random: &mut known.random });
            active.running.insert(id.clone());
            match made {
                Ok(task) => self.start(host, name, id, task),
                Err(error) => return self.violate(format_args!("{name}: task {id:?} cannot be made: {error}")),
            }
        }
        self.set_timer(host, name);
    }

    fn start(&mut self, host: HostId, name: &str, id: TaskId, task: Task) {
        let Some(server) = self.server_at(&task.server) else {
            return self.violate(format_args!("{name}: {id:?} is for a server that does not exist"));
        };
        if self.is_up(host, server) {
            return self.give(host, server, name, id, &task);
        }
        let memory = self.hosts[host.0].memory.as_mut().expect("the host is running");
        memory.uplinks.entry(server).or_default().held.push((name.to_owned(), id, task));
        self.want_uplink(host, server);
    }

    fn give(&mut self, host: HostId, server: ServerId, name: &str, id: TaskId, task: &Task) {
        if let Command::Send(_, body) = &task.command {
            self.listen(host, server, name, &id, task, body);
        }
        let corr_id = task.corr_id.clone().unwrap_or_else(|| CorrId::random(&mut self.hosts[host.0].random));
        let transmission = Transmission {
            corr_id,
            entity_id: task.entity_id.clone(),
            command: &task.command,
            key: task.key.as_ref(),
            waiting: Waiting::Task(name.to_owned(), id),
        };
        self.transmit(host, server, &transmission);
        if self.is_crash_due(host, PersistPoint::AfterEffect) {
            self.crash(host);
        }
    }

    fn listen(&mut self, host: HostId, server: ServerId, name: &str, id: &TaskId, task: &Task, body: &[u8]) {
        let place = (self.server_name(server), task.entity_id.clone());
        let source = (self.hosts[host.0].name.clone(), name.to_owned(), id.clone());
        let drawn = self.hosts.iter().flat_map(|host| host.random.drawn.iter().rev());
        if let Err(violation) = self.wiretap.hear(place, source, body, drawn) {
            self.violate(violation);
        }
    }

    fn is_up(&self, host: HostId, server: ServerId) -> bool {
        let uplink = self.hosts[host.0].memory.as_ref().and_then(|memory| memory.uplinks.get(&server));
        uplink.is_some_and(|uplink| matches!(uplink.state, UplinkState::Up(_)))
    }

    /// Begins to connect, unless that is under way.
    fn want_uplink(&mut self, host: HostId, server: ServerId) {
        let known = &mut self.hosts[host.0];
        let memory = known.memory.as_mut().expect("the host is running");
        let uplink = memory.uplinks.entry(server).or_default();
        if matches!(uplink.state, UplinkState::Idle) {
            uplink.state = UplinkState::Connecting;
            let life = known.life;
            let at = self.after(|chaos| chaos.latency.clone());
            self.agenda.add(at, Happening::Connect { host, life, server });
        }
    }

    pub(super) fn connect(&mut self, host: HostId, server: ServerId) {
        match self.open_session(host, server) {
            Some((session, terms)) => {
                note!(self, "{} connects to {} (session {session})", self.hosts[host.0].name, self.server_name(server));
                let memory = self.hosts[host.0].memory.as_mut().expect("the host is running");
                let uplink = memory.uplinks.get_mut(&server).expect("an uplink");
                let up = Uplinked { session, terms, waiting: Default::default(), subscribed: Default::default() };
                uplink.state = UplinkState::Up(Box::new(up));
                uplink.failures = 0;
                let held = std::mem::take(&mut uplink.held);
                self.come_up(host, server, held);
            }
            None => self.pause_uplink(host, server),
        }
    }

    fn come_up(&mut self, host: HostId, server: ServerId, held: Vec<(String, TaskId, Task)>) {
        let life = self.hosts[host.0].life;
        self.subscribe_all(host, server);
        for (name, id, task) in held {
            // Sending may bring the host or its session down.
            if self.lives(host, life) && self.is_up(host, server) {
                self.give(host, server, &name, id, &task);
            }
        }
        if !self.lives(host, life) {
            return;
        }
        let names: Vec<String> = self.hosts[host.0].disk.connections.keys().cloned().collect();
        self.turn(host, |_, turn| {
            for name in names.iter().filter(|name| turn.connection(name).is_some()).collect::<Vec<_>>() {
                turn.step(name, |connection, _| connection.server_returned());
            }
        });
    }

    /// The server cannot be reached: whoever waits for it hears that, and it is tried again after a pause.
    fn pause_uplink(&mut self, host: HostId, server: ServerId) {
        let life = self.hosts[host.0].life;
        let memory = self.hosts[host.0].memory.as_mut().expect("the host is running");
        let uplink = memory.uplinks.get_mut(&server).expect("an uplink");
        uplink.state = UplinkState::Connecting;
        let held = std::mem::take(&mut uplink.held);
        uplink.failures = (uplink.failures + 1).min(8);
        let pause = 1_000 << uplink.failures;
        let at = self.after(|chaos| pause / 2..=pause + chaos.latency.end());
        self.agenda.add(at, Happening::Connect { host, life, server });
        for (name, id, _) in held {
            if self.lives(host, life) {
                self.finish(host, &name, &id, Outcome::Unreachable);
            }
        }
    }

    /// Subscribes to every queue that the session has no subscription to.
    pub(super) fn subscribe_all(&mut self, host: HostId, server: ServerId) {
        let names: Vec<String> = self.hosts[host.0].disk.connections.keys().cloned().collect();
        for name in names {
            if self.is_up(host, server) {
                self.want_subscription(host, &name);
            }
        }
    }

    fn want_subscription(&mut self, host: HostId, name: &str) {
        let Some(wanted) = self.connection(host, name).and_then(|connection| connection.subscription()) else { return };
        let Some(server) = self.server_at(&wanted.server) else {
            return self.violate(format_args!("{name}: its queue is on a server that does not exist"));
        };
        if !self.is_up(host, server) {
            return self.want_uplink(host, server);
        }
        let known = &mut self.hosts[host.0];
        let memory = known.memory.as_mut().expect("the host is running");
        let UplinkState::Up(up) = &mut memory.uplinks.get_mut(&server).expect("an uplink").state else { return };
        if !up.subscribed.insert(wanted.queue.clone()) {
            return;
        }
        let transmission = Transmission {
            corr_id: CorrId::random(&mut known.random),
            entity_id: wanted.queue.into(),
            command: &Command::Sub,
            key: Some(&wanted.key),
            waiting: Waiting::Subscription(name.to_owned()),
        };
        self.transmit(host, server, &transmission);
    }

    /// The host notices that a session is over: what was not answered may have been carried out or not.
    pub(super) fn session_over(&mut self, session: SessionNumber) {
        let Some(wire) = self.wires.get(&session) else { return };
        let (host, server) = (wire.host, wire.server);
        let known = &mut self.hosts[host.0];
        let life = known.life;
        let Some(uplink) = known.memory.as_mut().and_then(|memory| memory.uplinks.get_mut(&server)) else { return };
        let UplinkState::Up(up) = &mut uplink.state else { return };
        if up.session != session {
            return;
        }
        let waiting = std::mem::take(&mut up.waiting);
        uplink.state = UplinkState::Connecting;
        note!(self, "{} notices that session {session} is over", self.hosts[host.0].name);
        let at = self.after(|chaos| 500..=2_000 + chaos.latency.end());
        self.agenda.add(at, Happening::Connect { host, life, server });
        for waiting in waiting.into_values() {
            if let Waiting::Task(name, id) = waiting
                && self.lives(host, life)
            {
                self.finish(host, &name, &id, Outcome::Unreachable);
            }
        }
    }

    pub(super) fn at_host(&mut self, session: SessionNumber, bytes: &[u8]) {
        let Some(wire) = self.wires.get(&session) else { return };
        let (host, server) = (wire.host, wire.server);
        if !wire.to_host.delivers(self.now) {
            return;
        }
        let known = &mut self.hosts[host.0];
        let Some(uplink) = known.memory.as_mut().and_then(|memory| memory.uplinks.get_mut(&server)) else { return };
        let UplinkState::Up(up) = &mut uplink.state else { return };
        if up.session != session {
            return;
        }
        let transmission = ServerTransmission::parse(up.terms.version, bytes).expect("what a server wrote");
        let response = transmission.response.expect("what a server wrote");
        if transmission.corr_id.is_empty() {
            return self.at_host_event(host, server, &RecipientId::from(transmission.entity_id), response);
        }
        match up.waiting.remove(&transmission.corr_id) {
            Some(Waiting::Task(name, id)) => self.answered(host, server, &name, &id, response),
            Some(Waiting::Subscription(name)) => self.subscribed(host, &name, response),
            None => {}
        }
    }

    fn answered(&mut self, host: HostId, server: ServerId, name: &str, id: &TaskId, response: Response) {
        match response {
            // The answer to an acknowledgement may be the next message.
            Response::Msg(message, body) => {
                self.finish(host, name, id, Outcome::Answered(Response::Ok));
                self.receive(host, name, message, &body);
            }
            response => {
                match (id, &response) {
                    (TaskId::CreateQueue, Response::Ids(ids)) => {
                        self.remember_subscription(host, server, &ids.recipient_id);
                    }
                    (id, Response::Err(error)) => {
                        if *error == Error::Quota {
                            self.count("full queues");
                        }
                        let (name, task, error) = (name.to_owned(), id.clone(), error.clone());
                        self.refusals.push(Refusal { host, name, task, error });
                    }
                    _ => {}
                }
                self.finish(host, name, id, Outcome::Answered(response));
            }
        }
    }

    /// Creating a queue subscribed to it.
    fn remember_subscription(&mut self, host: HostId, server: ServerId, queue: &RecipientId) {
        let memory = self.hosts[host.0].memory.as_mut().expect("the host is running");
        if let Some(UplinkState::Up(up)) = memory.uplinks.get_mut(&server).map(|uplink| &mut uplink.state) {
            up.subscribed.insert(queue.clone());
        }
    }

    fn subscribed(&mut self, host: HostId, name: &str, response: Response) {
        match response {
            Response::Ok | Response::Sok(_) => {}
            Response::Msg(message, body) => self.receive(host, name, message, &body),
            // The queue was deleted, by a command whose answer is still to come or was lost.
            Response::Err(Error::Auth) => note!(self, "{name}: there is nothing to subscribe to"),
            other => self.violate(format_args!("{name}: SUB was answered with {other:?}")),
        }
    }

    fn at_host_event(&mut self, host: HostId, server: ServerId, queue: &RecipientId, response: Response) {
        let memory = self.hosts[host.0].memory.as_ref().expect("the host is running");
        let is_its = |active: &Active| active.connection.subscription().is_some_and(|wanted| wanted.queue == *queue);
        let name = memory.connections.iter().find(|(_, active)| is_its(active)).map(|(name, _)| name.clone());
        match (response, name) {
            (Response::Msg(message, body), Some(name)) => self.receive(host, &name, message, &body),
            (Response::End, _) => {
                self.count("subscriptions taken over");
                self.subscription_ended(host, server, queue);
            }
            (Response::Deld, Some(name)) => {
                self.turn(host, |_, turn| turn.eventful(&name, |connection, _| connection.queue_lost()));
            }
            (response, name) => note!(self, "{name:?} has no use for {}", tag(&response)),
        }
    }

    /// Nobody else has the keys, so it was an earlier session of ours, whose command came late.
    fn subscription_ended(&mut self, host: HostId, server: ServerId, queue: &RecipientId) {
        let known = &mut self.hosts[host.0];
        let life = known.life;
        let memory = known.memory.as_mut().expect("the host is running");
        if let Some(UplinkState::Up(up)) = memory.uplinks.get_mut(&server).map(|uplink| &mut uplink.state) {
            up.subscribed.remove(queue);
        }
        let at = self.after(|_| 1_000..=5_000);
        self.agenda.add(at, Happening::Subscribe { host, life, server });
    }

    fn receive(&mut self, host: HostId, name: &str, message: MessageId, body: &[u8]) {
        if self.connection(host, name).is_none() {
            return;
        }
        note!(self, "{} {name}: receives {message}", self.hosts[host.0].name);
        self.turn(host, |_, turn| turn.eventful(name, |connection, env| connection.receive(message, body, env)));
    }

    fn finish(&mut self, host: HostId, name: &str, id: &TaskId, outcome: Outcome) {
        let known = &mut self.hosts[host.0];
        let Some(active) = known.memory.as_mut().and_then(|memory| memory.connections.get_mut(name)) else { return };
        active.running.remove(id);
        note!(self, "{} {name}: {id:?} {}", self.hosts[host.0].name, describe_outcome(&outcome));
        self.turn(host, |_, turn| turn.eventful(name, |connection, env| connection.finish(id, outcome, env)));
    }
}

impl Waiting {
    pub(super) fn purpose(&self) -> String {
        match self {
            Waiting::Task(name, id) => format!("{name} {id:?}"),
            Waiting::Subscription(name) => name.clone(),
        }
    }
}

fn tag(response: &Response) -> &'static str {
    match response {
        Response::Ids(_) => "IDS",
        Response::Lnk(..) => "LNK",
        Response::Msg(..) => "MSG",
        Response::Ok | Response::Sok(_) => "OK",
        Response::End => "END",
        Response::Deld => "DELD",
        Response::Err(_) => "ERR",
        _ => "something else",
    }
}

fn describe_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(Response::Err(error)) => format!("answered: {error}"),
        Outcome::Answered(response) => format!("answered: {}", tag(response)),
        other => format!("{other:?}"),
    }
}

/// An event without what makes it long.
fn describe(event: &Event) -> String {
    match event {
        Event::Message(message) => format!(
            "Message {} of {} bytes, {:?}, post-quantum {}",
            message.number,
            message.body.len(),
            message.integrity,
            message.post_quantum
        ),
        Event::Confirmed { info } => format!("Confirmed with {} bytes", info.len()),
        Event::Info(info) => format!("Info of {} bytes", info.len()),
        Event::Requested(request) => format!("Requested {} with {} bytes", request.id, request.info.len()),
        Event::Receipts { receipts, .. } => {
            format!(
                "Receipts {:?}",
                receipts.iter().map(|receipt| (receipt.number, receipt.status)).collect::<Vec<_>>()
            )
        }
        other => format!("{other:?}"),
    }
}
