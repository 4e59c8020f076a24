//! A relay's program. As in `lib/relay` the machine and what is kept of members change together, and everything is
//! durable before anything follows from it. What a hostile relay makes of it, [`crate::lies`] decides.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;

use agent::connection::Delivery;
use agent::link_read::RetrievedLinkData;
use agent::non_empty::NonEmpty;
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use agent::time::{Env, Time};
use crypto::sign::Ed25519PrivateKey;
use group::relay::members::{
    AnswerOutcome, Deletion, DispatchKind, GroupView, Handover, HandoverOutcome, MemberEvent, Members, Work, end,
    next_dispatch,
};
use group::relay::{
    Change, ConnectionName, Event as RelayEvent, Outcome, RecordKey, Relay as Machine, RelayIdentity, RelaySettings,
    ServiceId, Status, Task, TaskId,
};
use group::user_data::RelayProfile;
use zeroize::Zeroizing;

use crate::links::Found;
use crate::owner::TASKS;
use crate::pipes::{Client, Door, Letter, PipeId, Sent, Way};
use crate::rows::Memory;
use crate::stage::{Fate, Host, Party, Stage, seconds, server};

pub(crate) struct Relay {
    pub(crate) identity: RelayIdentity,
    settings: RelaySettings,
    pub(crate) address: ContactShortLink,
    pub(crate) machine: Machine,
    kept: BTreeMap<RecordKey, Zeroizing<Vec<u8>>>,
    pub(crate) rows: BTreeMap<ServiceId, Memory>,
    before: BTreeMap<ServiceId, DispatchKind>,
    views: BTreeMap<ServiceId, Option<Rc<GroupView>>>,
    pub(crate) host: Host,
    /// What it refused to pass on, and why.
    pub(crate) refused: Vec<&'static str>,
}

impl Relay {
    /// As another run reads it from its store.
    pub(crate) fn reload(&mut self) {
        let records = self.kept.iter().map(|(key, value)| (*key, value.clone()));
        let records: Vec<_> = records.collect();
        self.machine = Machine::load(self.identity.clone(), self.settings.clone(), records).expect("our own records");
        self.before.clear();
        self.views.clear();
    }

    fn keep(&mut self) {
        for Change { key, value } in self.machine.take_changes() {
            match (key, value) {
                (RecordKey::Log(..), _) => {}
                (key, Some(value)) => drop(self.kept.insert(key, value)),
                (key, None) => drop(self.kept.remove(&key)),
            }
        }
    }

    pub(crate) fn view(&mut self, service: ServiceId) -> Option<Rc<GroupView>> {
        let machine = &self.machine;
        self.views.entry(service).or_insert_with(|| machine.view(service).map(Rc::new)).clone()
    }
}

impl Stage {
    pub(crate) fn add_relay(&mut self, number: usize) {
        let profile = RelayProfile {
            display_name: format!("Relay {number}"),
            full_name: String::new(),
            short_descr: None,
            image: None,
        };
        let address_key = Ed25519PrivateKey::generate(&mut self.random).into();
        let identity = RelayIdentity { address_key, profile, credentials: None };
        let server = server(&format!("relay{number}.example.org"));
        let address = identity.address(&server, &mut self.random).expect("a short profile");
        let sender_id = address.prepared.sender_id().clone();
        self.pipes.open_door(sender_id.clone(), number, Door::Address);
        self.links.put(&address.link, RetrievedLinkData { sender_id, data: address.data });
        let settings = RelaySettings {
            check_interval: std::time::Duration::from_secs(3_600),
            ..RelaySettings::new(NonEmpty::one(server))
        };
        self.relays.push(Relay {
            machine: Machine::new(identity.clone(), settings.clone()),
            identity,
            settings,
            address: address.link,
            kept: BTreeMap::new(),
            rows: BTreeMap::new(),
            before: BTreeMap::new(),
            views: BTreeMap::new(),
            host: Host::default(),
            refused: Vec::new(),
        });
    }

    fn relay_step(&mut self, number: usize, step: impl FnOnce(&mut Machine, &mut Env<'_>) -> Vec<RelayEvent>) {
        let mut env = Env { now: self.now, random: &mut self.random };
        let events = step(&mut self.relays[number].machine, &mut env);
        self.relays[number].views.clear();
        for event in events {
            self.follow(number, event);
        }
        self.relays[number].keep();
    }

    /// What the machine tells concerns members too.
    fn follow(&mut self, number: usize, event: RelayEvent) {
        match event {
            RelayEvent::ToForward { service, message, sent_at } => {
                self.members_step(number, service, |members| members.owner_said(&message, sent_at));
            }
            RelayEvent::OwnerConnected { service, owner, connection, max_version } => {
                self.members_step(number, service, |members| members.owner_connected(&owner, connection, max_version));
            }
            RelayEvent::OwnerLost { service, owner, connection } => {
                self.members_step(number, service, |members| members.owner_lost(&owner, connection));
            }
            RelayEvent::RosterChanged(service) => {
                self.members_step(number, service, |members| members.roster_changed());
            }
            RelayEvent::Admission { service, accepting: true }
            | RelayEvent::StatusChanged { service, status: Status::Active } => {
                self.members_step(number, service, |members| {
                    while members.admit_waiting()? {}
                    Ok(())
                });
            }
            RelayEvent::StatusChanged { service, status } if !status.is_current() => {
                let relay = &mut self.relays[number];
                let word = relay.machine.service(service).and_then(|service| service.farewell().map(<[u8]>::to_vec));
                let rows = relay.rows.entry(service).or_default();
                end(rows, word).unwrap_or_else(|never| match never {});
                self.note(format_args!("relay {number} ends its service {service}: {status:?}"));
            }
            _ => {}
        }
    }

    fn members_step(
        &mut self,
        number: usize,
        service: ServiceId,
        step: impl FnOnce(&mut Members<'_, '_, Memory>) -> Result<(), Infallible>,
    ) -> bool {
        let relay = &mut self.relays[number];
        let Some(view) = relay.view(service) else { return false };
        let rows = relay.rows.entry(service).or_default();
        let mut env = Env { now: self.now, random: &mut self.random };
        let mut members = Members::new(&view, rows, &mut env);
        step(&mut members).unwrap_or_else(|never| match never {});
        for event in members.into_events() {
            match event {
                MemberEvent::Refused(member, why) => {
                    self.note(format_args!("relay {number} refuses what {member} says: {why}"));
                    self.relays[number].refused.push(why);
                }
                MemberEvent::Dismissed(request, why) => {
                    self.note(format_args!("relay {number} dismisses request {request}: {why:?}"));
                    self.count("requests that relays dismissed");
                }
                _ => {}
            }
        }
        true
    }

    pub(crate) fn relay_works(&mut self, number: usize) -> Option<Time> {
        for _ in 0..TASKS {
            let worked = match self.relays[number].machine.due(self.now).first().copied() {
                Some(id) => self.relay_task(number, &id),
                None => match self.next_work(number) {
                    Some((service, work)) => self.carry_out(number, service, work),
                    None => return self.relay_next(number),
                },
            };
            if worked != Fate::Calm {
                self.crash(Party::Relay(number));
                return None;
            }
        }
        self.violate(format_args!("work of relay {number} without end"));
        None
    }

    fn relay_next(&self, number: usize) -> Option<Time> {
        let relay = &self.relays[number];
        let members = relay.rows.values().flat_map(Memory::all_members).filter_map(|member| member.due);
        let next = relay.machine.next_due(self.now).into_iter().chain(members).filter(|next| *next > self.now);
        next.min()
    }

    /// The next thing to do in some group.
    fn next_work(&mut self, number: usize) -> Option<(ServiceId, Work)> {
        let services: Vec<ServiceId> = self.relays[number].rows.keys().copied().collect();
        services.into_iter().find_map(|service| {
            let relay = &mut self.relays[number];
            let view = relay.view(service);
            let before = relay.before.get(&service).copied();
            let rows = relay.rows.get(&service)?;
            let work = next_dispatch(service, view.as_deref(), rows, self.now, before);
            work.unwrap_or_else(|never| match never {}).map(|work| (service, work))
        })
    }

    /// Answers are transactions of their own; a dispatch and what follows from it are one.
    fn carry_out(&mut self, number: usize, service: ServiceId, work: Work) -> Fate {
        self.relays[number].before.insert(service, work.dispatch.kind);
        for answer in &work.answers {
            if let Some(pipe) = self.pipes.take_up(number, answer.request, answer.connection) {
                let info = self.answer_of(number, pipe, answer.info.clone());
                self.post(pipe, Way::ToClient, Letter::Answer(info));
            }
            let fate = self.fate();
            if fate == Fate::Before {
                return fate;
            }
            let now = self.now;
            let rows = self.relays[number].rows.entry(service).or_default();
            answer.settle(AnswerOutcome::Done, rows, now).unwrap_or_else(|never| match never {});
        }
        let fate = self.fate();
        if fate != Fate::Before {
            let handovers = &work.dispatch.handovers;
            let outcomes: Vec<_> = handovers.iter().map(|handover| self.hand_over(number, handover)).collect();
            let now = self.now;
            let rows = self.relays[number].rows.entry(service).or_default();
            let settled = work.dispatch.settlement.settle(handovers, &outcomes, rows, now);
            settled.unwrap_or_else(|never| match never {});
        }
        fate
    }

    fn hand_over(&mut self, number: usize, handover: &Handover) -> HandoverOutcome {
        let Some(id) = self.pipes.of_relay(number, handover.connection) else { return HandoverOutcome::Gone };
        let pipe = &self.pipes.all[id];
        if pipe.closed {
            return HandoverOutcome::Gone;
        }
        let waiting = pipe.to_client.letters.len();
        if handover.deletion.is_none() && self.is_chaos() && waiting >= self.plan.quota {
            self.count("queues that were full");
            return HandoverOutcome::Full;
        }
        for body in handover.bodies.iter() {
            self.relay_says(number, id, body);
        }
        match handover.deletion {
            None => {}
            Some(Deletion::AfterMessages) => self.pipes.all[id].closed = true,
            Some(Deletion::AtOnce) => {
                self.pipes.all[id].closed = true;
                self.pipes.all[id].to_client.letters.clear();
            }
        }
        HandoverOutcome::Taken
    }

    fn relay_task(&mut self, number: usize, id: &TaskId) -> Fate {
        let mut env = Env { now: self.now, random: &mut self.random };
        let Some(task) = self.relays[number].machine.task(id, &mut env) else { return Fate::Calm };
        let outcome = match self.fails() {
            true => Outcome::Unreachable,
            false => self.relay_does(number, task),
        };
        let fate = self.fate();
        if fate != Fate::Before {
            self.relay_step(number, |relay, env| relay.finish(id, outcome, env));
        }
        fate
    }

    fn relay_does(&mut self, number: usize, task: Task) -> Outcome {
        match task {
            Task::ReadLink { link, .. } => match self.links.read(&link) {
                Found::Data(data) => Outcome::LinkData(data),
                Found::Nothing => Outcome::NoLink,
                Found::Unreachable => Outcome::Unreachable,
            },
            Task::CreateLink { connection, link, data, .. } => {
                let ConnectionName::Link(service) = connection else { panic!("a link") };
                let short = link.fixed().short_link(ContactKind::Group, LinkScheme::Https);
                let sender_id = link.sender_id().clone();
                self.pipes.open_door(sender_id.clone(), number, Door::Link(service));
                self.links.put(&short, RetrievedLinkData { sender_id, data });
                Outcome::Done
            }
            Task::Answer { request, connection, info, .. } => {
                if let Some(pipe) = self.pipes.take_up(number, request, connection) {
                    self.post(pipe, Way::ToClient, Letter::Answer(info));
                }
                Outcome::Done
            }
            Task::Send { connection, body } => {
                let pipe = self.pipes.of_relay(number, connection).expect("a connection");
                self.post(pipe, Way::ToClient, Letter::Body(body));
                Outcome::Done
            }
            Task::DeleteConnection(ConnectionName::Link(service), _) => {
                let relay = &self.relays[number];
                let link = relay.machine.service(service).and_then(|service| service.relay_link()).cloned();
                link.into_iter().for_each(|link| self.links.remove(&link));
                self.pipes.close_door(number, Door::Link(service));
                Outcome::Done
            }
            Task::DeleteConnection(connection, delivery) => {
                if let Some(id) = self.pipes.of_relay(number, connection) {
                    self.pipes.all[id].closed = true;
                    if delivery == Delivery::Drop {
                        self.pipes.all[id].to_client.letters.clear();
                    }
                }
                Outcome::Done
            }
            Task::Dismiss(_) => Outcome::Done,
            Task::AskPolicy(_) => panic!("nobody is asked"),
        }
    }

    pub(crate) fn relay_takes(&mut self, id: PipeId, sent: &Sent) {
        let pipe = &self.pipes.all[id];
        let (number, request, door, name) = (pipe.relay, pipe.request, pipe.door, pipe.at_relay);
        match (&sent.letter, door, name) {
            (Letter::Request(info), Door::Address, _) => {
                self.relay_step(number, |relay, env| relay.requested(request, info, env));
            }
            (Letter::Request(info), Door::Link(service), _) => {
                if !self.members_step(number, service, |members| members.requested(request, info)) {
                    self.post(id, Way::ToClient, Letter::Lost);
                }
            }
            (Letter::Allowed(info), _, Some(name)) => self.relay_is_let_in(id, name, info),
            (Letter::Body(body), _, Some(name @ ConnectionName::Member(service, ..))) => {
                let (at, message) = (seconds(sent.at), sent.number.to_be_bytes());
                self.members_step(number, service, |members| members.received(&name, &message, at, body));
            }
            (Letter::Body(body), _, Some(name)) => {
                self.relay_step(number, |relay, env| relay.received(&name, seconds(sent.at), body, env));
            }
            (Letter::Lost, _, Some(name @ ConnectionName::Member(service, ..))) => {
                self.members_step(number, service, |members| members.connection_lost(&name));
            }
            (Letter::Lost, _, Some(name)) => {
                self.relay_step(number, |relay, env| relay.connection_lost(&name, env));
            }
            (Letter::Lost, _, None) => {}
            other => panic!("not for relays: {other:?}"),
        }
    }

    fn relay_is_let_in(&mut self, id: PipeId, name: ConnectionName, info: &[u8]) {
        let number = self.pipes.all[id].relay;
        match name {
            ConnectionName::Member(service, ..) => {
                self.members_step(number, service, |members| {
                    members.informed(&name, info)?;
                    members.connected(&name)
                });
            }
            _ => {
                self.relay_step(number, |relay, env| relay.informed(&name, info, env));
                self.relay_step(number, |relay, env| relay.connected(&name, env));
            }
        }
        let pipe = &mut self.pipes.all[id];
        if !std::mem::replace(&mut pipe.connected, true) {
            self.post(id, Way::ToClient, Letter::Connected);
            let client = self.pipes.all[id].client;
            if let Client::Member(member) = client {
                self.note(format_args!("member {member} is connected with relay {number}"));
            }
        }
    }
}
