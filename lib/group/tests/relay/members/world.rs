//! A relay with a published group, its owner and its members; connections are lists of what they took.

use std::collections::BTreeMap;

use agent::time::{Env, Time};
use codec::Encode as _;
use crypto::sign::Ed25519PrivateKey;
use group::body::{Batch, ConnectionInfo, single};
use group::content::{Content, NewMessage};
use group::element::{Element, ForwardContent, ForwardSender};
use group::event::{ConnectionPurpose, Event, Join, OwnProfile};
use group::extension::{Extension, Extensions};
use group::identity::{GroupId, MemberId, MemberKey};
use group::member::MemberProfile;
use group::message::Message;
use group::profile::{GroupProfile, GroupType};
use group::relay::members::{
    AnswerOutcome, Deletion, Dispatch, DispatchKind, GroupView, Handover, HandoverOutcome, MemberEvent, Members,
    ReadRows, Work, end, next_dispatch,
};
use group::relay::{ConnectionName, Event as RelayEvent, RelaySettings, ServiceId};
use group::signature::Signer;

use super::memory::Memory;
use crate::support::{Bench, Owner, id, settings};

pub(crate) const RELAY: &str = "relay-member-id1";
/// What a connection keeps that it cannot send.
const UNSENT: usize = 4;

/// A connection of the relay as its agent has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken {
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) unsent: usize,
    /// The peer's queue takes nothing.
    pub(crate) stuck: bool,
    pub(crate) deleted: Option<Deletion>,
}

/// Somebody who is, or wants to be, a member.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: MemberId,
    pub(crate) key: MemberKey,
    pub(crate) name: String,
}

impl Person {
    pub(crate) fn new(name: &str) -> Self {
        let key = Ed25519PrivateKey::from_seed(crypto::hash::sha256(name.as_bytes())).into();
        Person { id: id(&format!("{name:-<16}")), key, name: name.to_owned() }
    }

    pub(crate) fn join(&self, via: &str) -> Join {
        Join {
            profile: MemberProfile::named(&self.name),
            new_member_id: self.id.clone(),
            new_member_key: self.key.public(),
            via_relay: Some(id(via)),
            ext: Extensions(vec![Extension::SignedJoin]),
            purpose: None,
        }
    }

    pub(crate) fn signs(&self, group: &GroupId, message: Message) -> Vec<u8> {
        let signer = Signer { group, member: &self.id, key: &self.key };
        single(signer.sign(message)).unwrap()
    }
}

/// Something that somebody got.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    /// From the relay itself.
    Relay(Event),
    /// Forwarded: who is said to have said it, and what.
    Said(Option<MemberId>, Event),
    /// A chunk of a roster.
    Chunk,
}

pub(crate) struct World {
    pub(crate) bench: Bench,
    pub(crate) owner: Owner,
    pub(crate) owner_connection: ConnectionName,
    pub(crate) service: ServiceId,
    pub(crate) rows: Memory,
    pub(crate) connections: BTreeMap<ConnectionName, Taken>,
    pub(crate) events: Vec<MemberEvent>,
    pub(crate) before: Option<DispatchKind>,
    next_request: u64,
    next_message: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: RelaySettings) -> Self {
        Self::of(settings, GroupProfile::named("Walks"))
    }

    /// A group with these preferences.
    pub(crate) fn preferring(preferences: &str) -> Self {
        let group_preferences = serde_json::from_str(preferences).unwrap();
        Self::of(settings(), GroupProfile { group_preferences, ..GroupProfile::named("Walks") })
    }

    pub(crate) fn of(settings: RelaySettings, profile: GroupProfile) -> Self {
        let mut bench = Bench::with(settings);
        let mut owner = Owner::with_profile("Walks", GroupType::Channel, profile);
        let (service, owner_connection, _) = bench.activate(&mut owner, RELAY);
        let mut world = World {
            bench,
            owner,
            owner_connection,
            service,
            rows: Memory::default(),
            connections: BTreeMap::from([(owner_connection, Taken::default())]),
            events: Vec::new(),
            before: None,
            next_request: 1,
            next_message: 1,
        };
        world.follow_relay();
        world.work();
        world
    }

    pub(crate) fn view(&self) -> GroupView {
        self.bench.relay.view(self.service).unwrap()
    }

    pub(crate) fn group(&self) -> GroupId {
        self.owner.identity.group_id()
    }

    pub(crate) fn step<T>(&mut self, step: impl FnOnce(&mut Members<'_, '_, Memory>) -> T) -> T {
        let view = self.view();
        let mut env = Env { now: self.bench.now, random: &mut self.bench.random };
        let mut members = Members::new(&view, &mut self.rows, &mut env);
        let made = step(&mut members);
        self.events.extend(members.into_events());
        made
    }

    /// What the relay told goes to the members' side, as a service does it.
    pub(crate) fn follow_relay(&mut self) {
        for event in std::mem::take(&mut self.bench.events) {
            match event {
                RelayEvent::ToForward { message, sent_at, .. } => {
                    self.step(|members| members.owner_said(&message, sent_at).unwrap());
                }
                RelayEvent::OwnerConnected { owner, connection, max_version, .. } => {
                    self.step(|members| members.owner_connected(&owner, connection, max_version).unwrap());
                }
                RelayEvent::OwnerLost { owner, connection, service } if self.bench.relay.view(service).is_some() => {
                    self.step(|members| members.owner_lost(&owner, connection).unwrap());
                }
                RelayEvent::RosterChanged(_) => self.step(|members| members.roster_changed().unwrap()),
                RelayEvent::StatusChanged { service, status } if !status.is_current() => {
                    let word = self.bench.relay.service(service).unwrap().farewell().map(<[u8]>::to_vec);
                    end(&mut self.rows, word).unwrap();
                }
                _ => {}
            }
        }
    }

    /// What is to be done next; nothing has happened yet.
    pub(crate) fn next(&self) -> Option<Work> {
        let view = self.bench.relay.view(self.service);
        next_dispatch(self.service, view.as_ref(), &self.rows, self.bench.now, self.before).unwrap()
    }

    /// Does it: connections and rows change together.
    pub(crate) fn carry_out(&mut self, work: Work) {
        self.before = Some(work.dispatch.kind);
        for answer in &work.answers {
            self.connections.entry(answer.connection).or_default();
            answer.settle(AnswerOutcome::Done, &mut self.rows, self.bench.now).unwrap();
        }
        let Dispatch { handovers, settlement, .. } = &work.dispatch;
        let outcomes: Vec<_> = handovers.iter().map(|handover| self.hand_over(handover)).collect();
        settlement.settle(handovers, &outcomes, &mut self.rows, self.bench.now).unwrap();
    }

    fn hand_over(&mut self, handover: &Handover) -> HandoverOutcome {
        let Some(taken) = self.connections.get_mut(&handover.connection) else { return HandoverOutcome::Gone };
        if taken.deleted.is_some() {
            return HandoverOutcome::Gone;
        }
        if taken.unsent >= UNSENT && handover.deletion.is_none() {
            return HandoverOutcome::Full;
        }
        taken.unsent += if taken.stuck { handover.bodies.len() } else { 0 };
        taken.bodies.extend(handover.bodies.iter().cloned());
        taken.deleted = handover.deletion;
        HandoverOutcome::Taken
    }

    /// Works until nothing is due.
    pub(crate) fn work(&mut self) {
        for _ in 0..10_000 {
            match self.next() {
                Some(work) => self.carry_out(work),
                None => return,
            }
        }
        panic!("work never ends: {:?}", self.next());
    }

    pub(crate) fn ask(&mut self, info: &[u8]) -> u64 {
        let request = self.next_request;
        self.next_request += 1;
        self.step(|members| members.requested(request, info).unwrap());
        request
    }

    pub(crate) fn ask_signed(&mut self, person: &Person, join: Join) -> u64 {
        let group = self.group();
        let signer = Signer { group: &group, member: &person.id, key: &person.key };
        let info = ConnectionInfo::signed(Event::Member(join.into()), &signer).to_bytes().unwrap();
        self.ask(&info)
    }

    /// The newest connection of somebody.
    pub(crate) fn connection(&self, person: &Person) -> ConnectionName {
        let member = self.rows.member_with_id(&person.id).unwrap().expect("a member");
        member.connection(self.service, &member.link)
    }

    /// Answers, informs and connects somebody who asked.
    pub(crate) fn connect(&mut self, person: &Person) -> ConnectionName {
        self.work();
        let connection = self.connection(person);
        let own = OwnProfile { profile: MemberProfile::named(&person.name), member_key: Some(person.key.public()) };
        let info = ConnectionInfo::unsigned(Event::Info(own.into())).to_bytes().unwrap();
        self.step(|members| members.informed(&connection, &info).unwrap());
        self.step(|members| members.connected(&connection).unwrap());
        connection
    }

    pub(crate) fn join(&mut self, name: &str) -> Person {
        let person = Person::new(name);
        self.ask_signed(&person, person.join(RELAY));
        self.connect(&person);
        self.work();
        person
    }

    /// Asks for the connection for content, and hears that it takes over once it stands.
    pub(crate) fn ask_pair(&mut self, person: &Person) -> ConnectionName {
        let join = Join { purpose: Some(ConnectionPurpose::Content), ..person.join(RELAY) };
        self.ask_signed(person, join);
        self.work();
        let member = self.rows.member_with_id(&person.id).unwrap().unwrap();
        member.connection(self.service, member.content.as_ref().unwrap())
    }

    /// Opens the connection for content.
    pub(crate) fn pair(&mut self, person: &Person) -> ConnectionName {
        let connection = self.ask_pair(person);
        self.step(|members| members.connected(&connection).unwrap());
        connection
    }

    pub(crate) fn body_from(&mut self, connection: ConnectionName, body: &[u8]) {
        let message = self.next_message.to_be_bytes();
        self.next_message += 1;
        self.step(|members| members.received(&connection, &message, 1_700_000_100, body).unwrap());
    }

    pub(crate) fn named(&mut self, event: Event) -> Message {
        Message::named(event, &mut self.bench.random)
    }

    pub(crate) fn says(&mut self, person: &Person, event: Event) {
        let body = single(self.named(event)).unwrap();
        self.body_from(self.connection(person), &body);
    }

    pub(crate) fn signs(&mut self, person: &Person, event: Event) -> Vec<u8> {
        let message = self.named(event);
        let body = person.signs(&self.group(), message);
        self.body_from(self.connection(person), &body);
        body
    }

    /// The owner says something through its connection with the relay.
    pub(crate) fn owner_body(&mut self, body: &[u8]) {
        self.bench.receive(self.owner_connection, body);
        self.follow_relay();
    }

    pub(crate) fn owner_signs(&mut self, event: Event) -> Vec<u8> {
        let body = self.owner.says(event);
        self.owner_body(&body);
        body
    }

    pub(crate) fn owner_posts(&mut self, text: &str) {
        let body = self.owner.unsigned(post(text));
        self.owner_body(&body);
    }

    /// Everything that went through a connection.
    pub(crate) fn through(&self, connection: &ConnectionName) -> Vec<Heard> {
        let taken = self.connections.get(connection).map(|taken| taken.bodies.clone()).unwrap_or_default();
        taken.iter().flat_map(|body| heard(body)).collect()
    }

    pub(crate) fn heard(&self, person: &Person) -> Vec<Heard> {
        self.through(&self.connection(person))
    }

    pub(crate) fn owner_heard(&self) -> Vec<Heard> {
        self.through(&self.owner_connection)
    }

    /// Forgets what was heard so far.
    pub(crate) fn forget(&mut self) {
        self.connections.values_mut().for_each(|taken| taken.bodies.clear());
    }

    pub(crate) fn pass(&mut self, duration: std::time::Duration) {
        self.bench.pass(duration);
        self.follow_relay();
        self.work();
    }

    pub(crate) fn now(&self) -> Time {
        self.bench.now
    }

    /// The relay is killed, and goes on from what is kept.
    pub(crate) fn restart(&mut self) {
        self.bench.restart();
        self.rows = self.rows.clone();
        self.before = None;
    }

    pub(crate) fn refusals(&self) -> Vec<&'static str> {
        let refused = |event: &MemberEvent| match event {
            MemberEvent::Refused(_, why) => Some(*why),
            _ => None,
        };
        self.events.iter().filter_map(refused).collect()
    }
}

pub(crate) fn heard(body: &[u8]) -> Vec<Heard> {
    let one = |element: Element| match element {
        Element::Message(authored) => Heard::Relay(authored.message().event.clone()),
        Element::Chunk(_) => Heard::Chunk,
        Element::Forward(forward) => {
            let sender = match forward.sender {
                ForwardSender::Member(id, _) => Some(id),
                ForwardSender::Channel => None,
            };
            let ForwardContent::Message(authored) = forward.content else { panic!("a chunk") };
            Heard::Said(sender, authored.message().event.clone())
        }
    };
    Batch::parse(body).unwrap().into_iter().map(|element| one(element.unwrap())).collect()
}

/// The authored elements that were forwarded, byte by byte.
pub(crate) fn forwarded_bytes(bodies: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let one = |element: Element| match element {
        Element::Forward(forward) => match forward.content {
            ForwardContent::Message(authored) => Some(authored.to_bytes()),
            ForwardContent::Chunk(_) => None,
        },
        _ => None,
    };
    let elements = bodies.iter().flat_map(|body| Batch::parse(body).unwrap());
    elements.filter_map(|element| one(element.unwrap())).collect()
}

pub(crate) fn post(text: &str) -> Event {
    Event::MessageNew(NewMessage::of(Content::text(text)).into())
}

/// What posts say, in their order.
pub(crate) fn texts(heard: &[Heard]) -> Vec<String> {
    let text = |heard: &Heard| match heard {
        Heard::Said(_, Event::MessageNew(message)) => message.content.as_text().map(str::to_owned),
        _ => None,
    };
    heard.iter().filter_map(text).collect()
}

/// Who was introduced by `x.grp.mem.new`, in this order.
pub(crate) fn told_about(heard: &[Heard]) -> Vec<MemberId> {
    let member = |heard: &Heard| match heard {
        Heard::Relay(Event::GroupMemberNew(member)) => Some(member.member_info.member_id.clone()),
        _ => None,
    };
    heard.iter().filter_map(member).collect()
}

pub(crate) fn names(heard: &[Heard]) -> Vec<String> {
    let name = |heard: &Heard| match heard {
        Heard::Relay(event) => event.name().to_owned(),
        Heard::Said(_, event) => format!(">{}", event.name()),
        Heard::Chunk => "F".to_owned(),
    };
    heard.iter().map(name).collect()
}
