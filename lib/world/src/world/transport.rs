//! Servers and the sessions to them.

use agent::time::Time;
use smp::command::Command;
use smp::transmission::{Session, encode_command};

use super::{Fate, Happening, World};
use crate::application::Application;
use crate::host::{HostId, UplinkState, Waiting};
use crate::network::{ServerId, Wire};
use crate::server::{Outgoing, SessionNumber, SessionTerms};

impl<A: Application> World<A> {
    /// Takes a server down, as if its power went; it stays down.
    pub fn stop_server(&mut self, server: ServerId) {
        note!(self, "{} is down", self.server_name(server));
        let place = &mut self.servers[server.0];
        place.server.crash();
        place.up = false;
        place.commit_at = None;
        let sessions: Vec<_> = self.wires.iter().filter(|(_, wire)| wire.server == server).map(|(n, _)| *n).collect();
        sessions.into_iter().for_each(|session| self.cut(session, self.now, self.now));
    }

    /// Lets a server come back.
    pub fn start_server(&mut self, server: ServerId) {
        self.server_back(server);
    }

    /// Takes a host off the network; it keeps running.
    pub fn go_offline(&mut self, host: HostId) {
        note!(self, "{} goes offline", self.hosts[host.0].name);
        self.hosts[host.0].online = false;
        self.cut_all_of(host);
    }

    /// Brings a host back to the network.
    pub fn go_online(&mut self, host: HostId) {
        note!(self, "{} is online", self.hosts[host.0].name);
        self.hosts[host.0].online = true;
    }

    pub(super) fn server_name(&self, server: ServerId) -> String {
        self.servers[server.0].server.address().first_host().to_string()
    }

    pub(super) fn server_at(&self, address: &smp::address::ServerAddress) -> Option<ServerId> {
        self.servers.iter().position(|place| place.server.address() == address).map(ServerId)
    }

    pub(super) fn server_back(&mut self, server: ServerId) {
        if !self.servers[server.0].up {
            note!(self, "{} is back", self.server_name(server));
            self.servers[server.0].up = true;
        }
    }

    pub(super) fn maybe_at_server(&mut self, session: SessionNumber, bytes: Vec<u8>) {
        let Some(wire) = self.wires.get(&session).filter(|wire| wire.to_server.delivers(self.now)) else { return };
        if wire.to_server.stall.is_zero() {
            return self.at_server(session, &bytes);
        }
        self.agenda.add(self.now.after(wire.to_server.stall), Happening::LateAtServer(session, bytes));
        self.count("commands that came late");
    }

    pub(super) fn at_server(&mut self, session: SessionNumber, bytes: &[u8]) {
        let Some(server) = self.wires.get(&session).map(|wire| wire.server) else { return };
        if !self.servers[server.0].up {
            return;
        }
        let now = self.now;
        let place = &mut self.servers[server.0];
        place.server.receive(session, bytes, now);
        let hasty = place.server.take_hasty();
        self.send_to_hosts(server, hasty);
        self.plan_commit(server);
        if self.strikes("server crashes", |chaos| chaos.server_crash) {
            self.stop_server(server);
            let back = self.after(|chaos| chaos.rest.clone());
            self.agenda.add(back, Happening::ServerBack(server));
        }
    }

    /// What a test did to a server by itself becomes known.
    pub fn settle(&mut self, server: ServerId) {
        self.plan_commit(server);
    }

    fn plan_commit(&mut self, server: ServerId) {
        let at = self.after(|chaos| chaos.server_commit.clone());
        self.plan_commit_at(server, at);
    }

    fn plan_commit_at(&mut self, server: ServerId, at: Time) {
        let place = &mut self.servers[server.0];
        if place.commit_at.is_none_or(|planned| at < planned) {
            place.commit_at = Some(at);
            self.agenda.add(at, Happening::Commit(server));
        }
    }

    pub(super) fn commit_server(&mut self, server: ServerId) {
        let now = self.now;
        let place = &mut self.servers[server.0];
        if !place.up || place.commit_at.is_none_or(|planned| planned > now) {
            return;
        }
        place.commit_at = None;
        let outgoing = place.server.commit(now);
        let next = place.server.next_event_at();
        self.send_to_hosts(server, outgoing);
        if let Some(at) = next {
            self.plan_commit_at(server, at);
        }
    }

    fn send_to_hosts(&mut self, server: ServerId, outgoing: Vec<Outgoing>) {
        for Outgoing { session, bytes } in outgoing {
            let at = self.after(|chaos| chaos.latency.clone());
            let Some(wire) = self.wires.get_mut(&session).filter(|wire| wire.server == server) else { continue };
            if let Some(at) = wire.to_host.arrival(at) {
                self.agenda.add(at, Happening::AtHost(session, bytes));
            }
            if self.strikes("cut sessions", |chaos| chaos.cut) {
                self.cut_somewhere(session);
            }
        }
    }

    /// Opens a session, if both sides are there.
    pub(super) fn open_session(&mut self, host: HostId, server: ServerId) -> Option<(SessionNumber, SessionTerms)> {
        let reachable = self.servers[server.0].up && self.hosts[host.0].online;
        if !reachable || self.strikes("failed connects", |chaos| chaos.connect_failure) {
            return None;
        }
        let session = self.wires.last_key_value().map_or(1, |(last, _)| last + 1);
        self.wires.insert(session, Wire::new(host, server));
        Some((session, self.servers[server.0].server.open(session)))
    }

    /// Gives a command to a server in the session that the host has with it.
    pub(super) fn transmit(&mut self, host: HostId, server: ServerId, order: &Transmission<'_>) {
        let Transmission { corr_id, entity_id, command, key, waiting } = order;
        let memory = self.hosts[host.0].memory.as_mut().expect("the host is running");
        let uplink = memory.uplinks.get_mut(&server).expect("an uplink");
        let UplinkState::Up(up) = &mut uplink.state else { panic!("no session") };
        let session = up.session;
        let terms = Session { version: up.terms.version, id: &up.terms.id, server_key: &up.terms.server_key };
        let bytes = encode_command(terms, corr_id, entity_id, command, *key).expect("a command that can be sent");
        up.waiting.insert(corr_id.clone(), waiting.clone());
        note!(
            self,
            "{} → {}: {} for {} (session {session})",
            self.hosts[host.0].name,
            self.server_name(server),
            command.tag(),
            waiting.purpose()
        );
        self.dispatch(host, session, command, &bytes);
    }

    /// A transmission leaves a host in a session that is there.
    pub(super) fn dispatch(&mut self, host: HostId, session: SessionNumber, command: &Command, bytes: &[u8]) {
        let fate = self.take_fate(host, command.tag());
        if fate == Some(Fate::Lost) {
            return self.cut(session, self.now, self.now);
        }
        let repeated =
            matches!(command, Command::Send(..)) && self.strikes("repeated SENDs", |chaos| chaos.repeated_send);
        for _ in 0..=usize::from(repeated) {
            let at = self.after(|chaos| chaos.latency.clone());
            let arrival = self.wires.get_mut(&session).and_then(|wire| wire.to_server.arrival(at));
            if let Some(at) = arrival {
                self.agenda.add(at, Happening::AtServer(session, bytes.to_vec()));
                if fate == Some(Fate::AnswerLost) {
                    self.cut(session, at.after(std::time::Duration::from_millis(1)), self.now);
                }
            }
        }
        if self.strikes("cut sessions", |chaos| chaos.cut) {
            self.cut_somewhere(session);
        }
    }

    fn take_fate(&mut self, host: HostId, tag: &str) -> Option<Fate> {
        let index = self.orders.iter().position(|order| order.host == host && order.tag == tag)?;
        let order = self.orders.remove(index);
        note!(self, "{:?}", order.fate);
        Some(order.fate)
    }

    /// Cuts a session so that some of what is under way still arrives.
    fn cut_somewhere(&mut self, session: SessionNumber) {
        let (to_server, to_host) =
            (self.after(|chaos| 0..=2 * chaos.latency.end()), self.after(|chaos| 0..=2 * chaos.latency.end()));
        note!(self, "session {session} is cut");
        // What is under way may arrive long after the host has gone on in another session.
        if !self.is_calm() && self.dice.per_mille(300) {
            let stall = self.dice.millis(0..=30_000);
            if let Some(wire) = self.wires.get_mut(&session).filter(|wire| !wire.is_cut()) {
                wire.to_server.stall = stall;
            }
        }
        self.cut(session, to_server, to_host);
    }

    /// From these moments on nothing arrives any more. Both ends notice, some time.
    pub(super) fn cut(&mut self, session: SessionNumber, to_server: Time, to_host: Time) {
        let (at_host, at_server) = (self.after(|chaos| chaos.notice.clone()), self.after(|chaos| chaos.notice.clone()));
        let Some(wire) = self.wires.get_mut(&session) else { return };
        let known = wire.is_cut();
        wire.to_server.cut(to_server);
        wire.to_host.cut(to_host);
        let (server, stall) = (wire.server, wire.to_server.stall);
        if !known {
            self.agenda.add(at_host, Happening::SessionOver(session));
            self.agenda.add(at_server.max(to_server.after(stall)), Happening::ClientGone(server, session));
        }
    }

    pub(super) fn cut_all_of(&mut self, host: HostId) {
        let of_host = |wire: &Wire| wire.host == host && !wire.is_cut();
        let sessions: Vec<_> = self.wires.iter().filter(|(_, wire)| of_host(wire)).map(|(n, _)| *n).collect();
        sessions.into_iter().for_each(|session| self.cut_somewhere(session));
    }
}

/// A command with everything that goes with it.
pub(super) struct Transmission<'a> {
    pub(super) corr_id: smp::id::CorrId,
    pub(super) entity_id: smp::id::EntityId,
    pub(super) command: &'a Command,
    pub(super) key: Option<&'a crypto::authorize::AuthPrivateKey>,
    pub(super) waiting: Waiting,
}
