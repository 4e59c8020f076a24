//! How hosts stand to servers: they connect, subscribe, take what servers say, and notice that a session is over.

use agent::connection::task::{Outcome, Task, TaskId};
use smp::command::Command;
use smp::error::Error;
use smp::id::{CorrId, MessageId, RecipientId};
use smp::response::Response;
use smp::transmission::ServerTransmission;

use super::describe::tag;
use super::transport::Transmission;
use super::{Happening, Refusal, World};
use crate::application::Application;
use crate::host::{Active, HostId, UplinkState, Uplinked, Waiting};
use crate::network::ServerId;
use crate::server::SessionNumber;

impl<A: Application> World<A> {
    pub(super) fn is_up(&self, host: HostId, server: ServerId) -> bool {
        let uplink = self.hosts[host.0].memory.as_ref().and_then(|memory| memory.uplinks.get(&server));
        uplink.is_some_and(|uplink| matches!(uplink.state, UplinkState::Up(_)))
    }

    /// Begins to connect, unless that is under way.
    pub(super) fn want_uplink(&mut self, host: HostId, server: ServerId) {
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

    pub(super) fn come_up(&mut self, host: HostId, server: ServerId, held: Vec<(String, TaskId, Task)>) {
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
    pub(super) fn pause_uplink(&mut self, host: HostId, server: ServerId) {
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

    pub(super) fn want_subscription(&mut self, host: HostId, name: &str) {
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
        if let Some(active) = memory.connections.get_mut(name) {
            active.connection.delivery_forgotten();
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
        let Some(memory) = known.memory.as_mut() else { return };
        if let Some(call) = memory.calls.remove(&session) {
            return self.called(host, call.token, Outcome::Unreachable);
        }
        let Some(uplink) = memory.uplinks.get_mut(&server) else { return };
        let UplinkState::Up(up) = &mut uplink.state else { return };
        if up.session != session {
            return;
        }
        let waiting = std::mem::take(&mut up.waiting);
        uplink.state = UplinkState::Connecting;
        note!(self, "{} notices that session {session} is over", self.hosts[host.0].name);
        self.forget_deliveries(host, server);
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

    /// What was delivered in a session that is over will be delivered again.
    fn forget_deliveries(&mut self, host: HostId, server: ServerId) {
        let address = self.address(server);
        let memory = self.hosts[host.0].memory.as_mut().expect("the host is running");
        for active in memory.connections.values_mut() {
            if active.connection.subscription().is_some_and(|wanted| wanted.server == address) {
                active.connection.delivery_forgotten();
            }
        }
    }

    pub(super) fn at_host(&mut self, session: SessionNumber, bytes: &[u8]) {
        let Some(wire) = self.wires.get(&session) else { return };
        let (host, server) = (wire.host, wire.server);
        if !wire.to_host.delivers(self.now) {
            return;
        }
        let Some(memory) = self.hosts[host.0].memory.as_mut() else { return };
        if let Some(call) = memory.calls.remove(&session) {
            return self.call_answered(host, session, &call, bytes);
        }
        let Some(uplink) = memory.uplinks.get_mut(&server) else { return };
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
}
