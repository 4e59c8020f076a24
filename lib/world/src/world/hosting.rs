//! What hosts do: transactions with their commits and effects, crashes, and what comes after them.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::connection::event::Event;
use agent::connection::record::RecordKey;
use agent::connection::task::Task;

use super::describe::describe;
use super::{Happening, World};
use crate::application::{Application, Turn};
use crate::host::{Active, Discipline, HostId, Memory, PersistPoint, UplinkState};

/// What a transaction leads to once it is durable.
struct Effects {
    touched: Vec<String>,
    told: Vec<(String, Event)>,
    mails: Vec<(HostId, String)>,
    wakes: Vec<(Duration, u64)>,
    calls: Vec<(u64, Task)>,
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
        let application = A::load(&known.disk.application);
        known.memory = Some(Memory { connections, ..Memory::new(application) });
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
    pub(super) fn resume(&mut self, host: HostId, name: &str) {
        self.set_timer(host, name);
        self.want_subscription(host, name);
        self.run_due(host, name);
    }

    pub(super) fn tell_pending(&mut self, host: HostId, name: &str) {
        let Some(connection) = self.connection(host, name) else { return };
        for event in connection.pending() {
            self.tell(host, name, event);
        }
    }

    pub(super) fn tell(&mut self, host: HostId, name: &str, event: Event) {
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
            let later = self.now.after(Duration::from_secs(1));
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
            calls: Vec::new(),
        };
        let result = run(&mut memory.application, &mut turn);
        let Turn { touched, told, mails, wakes, calls, .. } = turn;
        let effects = Effects { touched: touched.into_iter().collect(), told, mails, wakes, calls };
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

    pub(super) fn is_crash_due(&mut self, host: HostId, point: PersistPoint) -> bool {
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
        memory.application.keep(&mut known.disk.application);
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
        memory.application = A::load(&known.disk.application);
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
        for (token, task) in &effects.calls {
            let at = self.after(|chaos| chaos.latency.clone());
            self.agenda.add(at, Happening::Call { host, life, token: *token, task: Box::new(task.clone()) });
        }
        for name in &effects.touched {
            if self.lives(host, life) {
                self.resume(host, name);
            }
        }
    }
}
