//! What connections want of servers: every task that is due is given to its server once, and its outcome back.

use agent::connection::task::{Outcome, Task, TaskId};
use agent::time::Env;
use smp::command::Command;
use smp::id::{CorrId, EntityId};

use super::describe::describe_outcome;
use super::transport::Transmission;
use super::{Happening, World};
use crate::application::Application;
use crate::host::{Active, Host, HostId, PersistPoint, Waiting};
use crate::network::ServerId;

impl<A: Application> World<A> {
    pub(super) fn set_timer(&mut self, host: HostId, name: &str) {
        let known = &mut self.hosts[host.0];
        let Some(active) = known.memory.as_mut().and_then(|memory| memory.connections.get_mut(name)) else { return };
        let next = active.connection.next_due_after(self.now);
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

    pub(super) fn start(&mut self, host: HostId, name: &str, id: TaskId, task: Task) {
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

    pub(super) fn give(&mut self, host: HostId, server: ServerId, name: &str, id: TaskId, task: &Task) {
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
        // Whose queue it is has most likely drawn its key, and lately.
        let recipient = (!self.wiretap.knows(&place)).then(|| self.recipient(&place.1)).flatten();
        let mut hosts: Vec<&Host<A>> = self.hosts.iter().collect();
        hosts.sort_by_key(|host| recipient.as_ref() != Some(&host.name));
        let drawn = hosts.into_iter().flat_map(|host| host.random.drawn.iter().rev());
        if let Err(violation) = self.wiretap.hear(place, source, body, drawn) {
            self.violate(violation);
        }
    }

    /// The name of the host that receives from a queue.
    fn recipient(&self, queue: &EntityId) -> Option<String> {
        let receives = |active: &Active| {
            let queue_of = active.connection.status().receive.and_then(|receive| receive.sender_id);
            queue_of.is_some_and(|id| EntityId::from(id) == *queue)
        };
        let hosts = self.hosts.iter().filter_map(|host| Some((host, host.memory.as_ref()?)));
        let found = hosts.filter(|(_, memory)| memory.connections.values().any(receives)).map(|(host, _)| host);
        found.map(|host| host.name.clone()).next()
    }

    pub(super) fn finish(&mut self, host: HostId, name: &str, id: &TaskId, outcome: Outcome) {
        let known = &mut self.hosts[host.0];
        let Some(active) = known.memory.as_mut().and_then(|memory| memory.connections.get_mut(name)) else { return };
        active.running.remove(id);
        note!(self, "{} {name}: {id:?} {}", self.hosts[host.0].name, describe_outcome(&outcome));
        self.turn(host, |_, turn| turn.eventful(name, |connection, env| connection.finish(id, outcome, env)));
    }
}
