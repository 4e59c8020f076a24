//! Everything between an owner and its relays: link data on servers, requests, answers, messages, time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use agent::full_link::FullLink;
use agent::link_read::RetrievedLinkData;
use agent::non_empty::NonEmpty;
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use agent::time::{Env, Time};
use crypto::SeededRandom;
use crypto::sign::Ed25519PrivateKey;
use group::content::{Content, Mentions};
use group::membership::{Order, RecordError, RecordKey, Records, Saying, Speech, Voice};
use group::owner::{self, GroupOwner, Issued, OwnerError};
use group::profile::{GroupProfile, GroupType};
use group::relay::{self, Relay, RelayIdentity, RelaySettings};
use group::step::keygen::keygen;
use group::step::link_create::{GroupLinkRequest, PreparedGroupLink};
use group::user_data::RelayProfile;
use smp::address::ServerWithPassword;
use smp::command::QueueRequest;
use smp::id::SenderId;
use smp::response::QueueIds;

/// Two ends of a connection: the owner's name for it, and the relay with its name.
#[derive(Debug, Clone)]
struct Pipe {
    owner: owner::ConnectionName,
    relay: usize,
    at_relay: relay::ConnectionName,
}

/// What is under way between both.
enum Letter {
    /// A request to a relay's address.
    Request(usize, owner::ConnectionName, Vec<u8>),
    /// The relay's answer to it.
    Answer(owner::ConnectionName, Vec<u8>),
    /// What the owner says in turn; both are connected then.
    Allowed(owner::ConnectionName, Vec<u8>),
    ToRelay(owner::ConnectionName, Vec<u8>),
    ToOwner(owner::ConnectionName, Vec<u8>),
}

/// What the owner keeps of messages and members.
#[derive(Clone, Default)]
pub(crate) struct Memory(pub(crate) BTreeMap<RecordKey, Vec<u8>>);

impl Records for Memory {
    fn read(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, RecordError> {
        Ok(self.0.get(key).cloned())
    }
}

pub(crate) struct World {
    pub(crate) owner: GroupOwner,
    records: Memory,
    pub(crate) relays: Vec<Relay>,
    pub(crate) now: Time,
    addresses: Vec<ContactShortLink>,
    /// Link data by the text of the link.
    links: HashMap<String, RetrievedLinkData>,
    group_sender: SenderId,
    requests: Vec<BTreeMap<u64, owner::ConnectionName>>,
    pipes: Vec<Pipe>,
    letters: VecDeque<Letter>,
    /// Relays that are switched off.
    pub(crate) off: Vec<usize>,
    pub(crate) owner_events: Vec<owner::Event>,
    /// What relays told; nobody here follows it.
    pub(crate) relay_events: Vec<(usize, relay::Event)>,
    pub(crate) random: SeededRandom,
}

pub(crate) fn server(host: &str) -> ServerWithPassword {
    format!("smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@{host}").parse().unwrap()
}

fn text(link: &ContactShortLink) -> String {
    link.to_string()
}

impl World {
    pub(crate) fn new(relays: usize) -> Self {
        let mut random = SeededRandom::new(&[11; 32], "flow");
        let request = GroupLinkRequest {
            group_type: GroupType::Channel,
            profile: GroupProfile::named("Walks"),
            server: server("group.example.org"),
        };
        let prepared = PreparedGroupLink::prepare(keygen(&mut random), request, 1_700_000_000, &mut random).unwrap();
        let (_, queue) = prepared.new_queue();
        let Some(QueueRequest::Contact(Some((link_id, sender_id, _)))) = queue.request else { panic!("link data") };
        let created = QueueIds {
            recipient_id: [8; 24].into(),
            sender_id: sender_id.clone(),
            dh_key: crypto::dh::X25519PrivateKey::from_bytes([8; 32]).public(),
            mode: None,
            link_id: Some(link_id),
            service_id: None,
            notifier: None,
        };
        let link = prepared.confirm(&created, 1_700_000_000).unwrap();
        let mut world = World {
            owner: GroupOwner::from(link),
            records: Memory::default(),
            relays: Vec::new(),
            now: Time::from_millis(1_700_000_000_000),
            addresses: Vec::new(),
            links: HashMap::new(),
            group_sender: sender_id,
            requests: Vec::new(),
            pipes: Vec::new(),
            letters: VecDeque::new(),
            off: Vec::new(),
            owner_events: Vec::new(),
            relay_events: Vec::new(),
            random,
        };
        world.publish();
        for number in 0..relays {
            world.add_relay(number);
        }
        world
    }

    fn add_relay(&mut self, number: usize) {
        let profile = RelayProfile {
            display_name: format!("Relay {number}"),
            full_name: String::new(),
            short_descr: None,
            image: None,
        };
        let address_key = Ed25519PrivateKey::generate(&mut self.random).into();
        let identity = RelayIdentity { address_key, profile, credentials: None };
        let server = server(&format!("relay{number}.example.org"));
        let address = identity.address(&server, &mut self.random).unwrap();
        let sender_id = address.prepared.sender_id().clone();
        self.links.insert(text(&address.link), RetrievedLinkData { sender_id, data: address.data });
        self.addresses.push(address.link);
        self.relays.push(Relay::new(identity, RelaySettings::new(NonEmpty::one(server))));
        self.requests.push(BTreeMap::new());
    }

    pub(crate) fn address(&self, relay: usize) -> ContactShortLink {
        self.addresses[relay].clone()
    }

    fn publish(&mut self) {
        let group = self.owner.link().group();
        let data = group.written().data.clone();
        let sender_id = self.group_sender.clone();
        self.links.insert(text(group.short_link()), RetrievedLinkData { sender_id, data });
    }

    pub(crate) fn listed(&self) -> Vec<String> {
        let link = self.owner.link().group().short_link().clone();
        let read = self.links[&text(&link)].read(&link).unwrap();
        read.user().relays().iter().map(text).collect()
    }

    pub(crate) fn on_owner(&mut self, step: impl FnOnce(&mut GroupOwner, &mut Env<'_>) -> Vec<owner::Event>) {
        let events = step(&mut self.owner, &mut Env { now: self.now, random: &mut self.random });
        self.owner_events.extend(events);
    }

    pub(crate) fn on_relay(
        &mut self,
        relay: usize,
        step: impl FnOnce(&mut Relay, &mut Env<'_>) -> Vec<relay::Event>,
    ) -> Vec<relay::Event> {
        let events = step(&mut self.relays[relay], &mut Env { now: self.now, random: &mut self.random });
        self.relays[relay].take_changes();
        self.relay_events.extend(events.iter().cloned().map(|event| (relay, event)));
        events
    }

    /// What stands behind a link, if anything does.
    pub(crate) fn behind_link(&self, link: &ContactShortLink) -> Option<RetrievedLinkData> {
        self.links.get(&text(link)).cloned()
    }

    /// A relay sends something to the owner.
    pub(crate) fn send_to_owner(&mut self, relay: usize, at_relay: relay::ConnectionName, body: Vec<u8>) {
        let pipe = self.pipes.iter().find(|pipe| pipe.relay == relay && pipe.at_relay == at_relay).unwrap();
        self.letters.push_back(Letter::ToOwner(pipe.owner.clone(), body));
    }

    /// Somebody at the other end of an owner's connection sends something.
    pub(crate) fn tell_owner_as(&mut self, connection: &owner::ConnectionName, body: Vec<u8>) {
        self.letters.push_back(Letter::ToOwner(connection.clone(), body));
    }

    /// The owner gives an order.
    pub(crate) fn order(&mut self, order: &Order) -> Result<Issued, OwnerError> {
        let records = self.records.clone();
        let mut issued = None;
        self.on_owner(|owner, env| {
            issued = Some(owner.order(order, &records, env));
            Vec::new()
        });
        let issued = issued.unwrap()?;
        self.records.0.extend(issued.changes.iter().map(|change| (change.key.clone(), change.value.clone())));
        Ok(issued)
    }

    /// The owner posts something, signed.
    pub(crate) fn post(&mut self, text: &str) {
        let content = Content::text(text);
        let what = Saying::Post { content, mentions: Mentions::default(), reply_to: None, file: None, ttl: None };
        let speech = Speech { what, voice: Voice::Oneself, signed: true, scope: None, id: None };
        let records = self.records.clone();
        let mut changes = Vec::new();
        self.on_owner(|owner, env| {
            changes = owner.say(&speech, &records, env).unwrap().changes;
            Vec::new()
        });
        self.records.0.extend(changes.into_iter().map(|change| (change.key, change.value)));
    }

    /// Does everything that is due, until nothing is.
    pub(crate) fn settle(&mut self) {
        for _ in 0..2_000 {
            let worked =
                self.owner_works() || (0..self.relays.len()).any(|relay| self.relay_works(relay)) || self.deliver();
            if !worked {
                return;
            }
        }
        panic!("it never settles");
    }

    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        self.settle();
        while let Some(next) = self.next_due().filter(|next| *next <= end) {
            self.now = next;
            for relay in 0..self.relays.len() {
                self.on_relay(relay, Relay::elapsed);
            }
            self.settle();
        }
        self.now = end;
    }

    fn next_due(&self) -> Option<Time> {
        let on = |relay: &usize| !self.off.contains(relay);
        let relays = (0..self.relays.len()).filter(on).filter_map(|relay| self.relays[relay].next_due(self.now));
        relays.chain(self.owner.next_due()).filter(|next| *next > self.now).min()
    }

    fn owner_works(&mut self) -> bool {
        let Some(id) = self.owner.due(self.now).first().cloned() else { return false };
        let outcome = match self.owner.task(&id).unwrap() {
            owner::Task::ReadLink(link) => match self.links.get(&text(&link)) {
                Some(data) => owner::Outcome::Retrieved(data.clone().into()),
                None => owner::Outcome::Refused("no such link".to_owned()),
            },
            owner::Task::Open { connection, link, info, .. } => {
                let relay = self.behind(&link);
                self.letters.push_back(Letter::Request(relay, connection, info));
                owner::Outcome::Done
            }
            owner::Task::Allow { connection, info } => {
                self.letters.push_back(Letter::Allowed(connection, info));
                owner::Outcome::Done
            }
            owner::Task::Send { connection, bodies } => {
                self.letters.extend(bodies.into_iter().map(|body| Letter::ToRelay(connection.clone(), body)));
                owner::Outcome::Done
            }
            // What was said before arrives first; the relay notices nothing but silence.
            owner::Task::Delete { .. } => owner::Outcome::Done,
            owner::Task::SetQueueKeys(_) => owner::Outcome::Done,
            owner::Task::WriteLink(write) => {
                let sender_id = self.group_sender.clone();
                let link = self.owner.link().group().short_link().clone();
                assert_eq!(write.link_id, link.derive().0);
                self.links.insert(text(&link), RetrievedLinkData { sender_id, data: write.data });
                owner::Outcome::Written(write.version)
            }
            owner::Task::DeleteLink(_) => {
                let link = self.owner.link().group().short_link().clone();
                self.links.remove(&text(&link));
                owner::Outcome::Done
            }
        };
        self.on_owner(|owner, env| owner.finish(&id, outcome, env).unwrap());
        true
    }

    /// The relay whose address a full link leads to.
    fn behind(&self, link: &FullLink) -> usize {
        let queue = |link: &FullLink| link.request().first_queue().address.sender_id.clone();
        let found = |address: &ContactShortLink| self.links[&text(address)].sender_id == queue(link);
        self.addresses.iter().position(found).expect("a relay's address")
    }

    fn relay_works(&mut self, relay: usize) -> bool {
        if self.off.contains(&relay) {
            return false;
        }
        let Some(id) = self.relays[relay].due(self.now).first().copied() else { return false };
        let mut env = Env { now: self.now, random: &mut self.random };
        let outcome = match self.relays[relay].task(&id, &mut env).unwrap() {
            relay::Task::ReadLink { link, .. } => match self.links.get(&text(&link)) {
                Some(data) => relay::Outcome::LinkData(data.clone().into()),
                None => relay::Outcome::NoLink,
            },
            relay::Task::CreateLink { link, data, .. } => {
                let short = link.fixed().short_link(ContactKind::Group, LinkScheme::Https);
                let sender_id = link.sender_id().clone();
                self.links.insert(text(&short), RetrievedLinkData { sender_id, data });
                relay::Outcome::Done
            }
            relay::Task::Answer { request, connection, info, .. } => {
                let owner = self.requests[relay].remove(&request).expect("a request");
                self.pipes.push(Pipe { owner: owner.clone(), relay, at_relay: connection });
                self.letters.push_back(Letter::Answer(owner, info));
                relay::Outcome::Done
            }
            relay::Task::Send { connection, body } => {
                let pipe = self.pipes.iter().find(|pipe| pipe.relay == relay && pipe.at_relay == connection).unwrap();
                self.letters.push_back(Letter::ToOwner(pipe.owner.clone(), body));
                relay::Outcome::Done
            }
            relay::Task::DeleteConnection(relay::ConnectionName::Link(service), _) => {
                let link = self.relays[relay].service(service).and_then(|service| service.relay_link()).map(text);
                link.map(|link| self.links.remove(&link));
                relay::Outcome::Done
            }
            relay::Task::DeleteConnection(..) | relay::Task::Dismiss(_) => relay::Outcome::Done,
            relay::Task::AskPolicy(_) => panic!("nobody is asked"),
        };
        self.on_relay(relay, |machine, env| machine.finish(&id, outcome, env));
        true
    }

    fn pipe(&self, owner: &owner::ConnectionName) -> Pipe {
        self.pipes.iter().find(|pipe| pipe.owner == *owner).expect("a connection").clone()
    }

    /// Hands over what is under way to whoever is there.
    fn deliver(&mut self) -> bool {
        let place = self.letters.iter().position(|letter| match letter {
            Letter::Request(relay, ..) => !self.off.contains(relay),
            Letter::Allowed(owner, _) | Letter::ToRelay(owner, _) => !self.off.contains(&self.pipe(owner).relay),
            Letter::Answer(..) | Letter::ToOwner(..) => true,
        });
        let Some(letter) = place.and_then(|place| self.letters.remove(place)) else { return false };
        match letter {
            Letter::Request(relay, owner, info) => {
                let request = self.now.millis() + self.pipes.len() as u64 + self.letters.len() as u64;
                let request = (request..).find(|request| !self.requests[relay].contains_key(request)).unwrap();
                self.requests[relay].insert(request, owner);
                self.on_relay(relay, |machine, env| machine.requested(request, &info, env));
            }
            // The owner may have given up the connection.
            Letter::Answer(owner, info) => {
                self.on_owner(|machine, env| machine.answered(&owner, &info, env).unwrap_or_default());
            }
            Letter::Allowed(owner, info) => {
                let Pipe { relay, at_relay, .. } = self.pipe(&owner);
                self.on_relay(relay, |machine, env| machine.informed(&at_relay, &info, env));
                self.on_relay(relay, |machine, env| machine.connected(&at_relay, env));
                self.on_owner(|machine, env| machine.connected(&owner, env).unwrap_or_default());
            }
            Letter::ToRelay(owner, body) => {
                let Pipe { relay, at_relay, .. } = self.pipe(&owner);
                self.on_relay(relay, |machine, env| machine.received(&at_relay, 1_700_000_000, &body, env));
            }
            Letter::ToOwner(owner, body) => {
                let records = self.records.clone();
                let mut changes = Vec::new();
                self.on_owner(|machine, env| {
                    let received = machine.received(&owner, &body, &records, env).unwrap_or_default();
                    changes = received.changes;
                    received.events
                });
                self.records.0.extend(changes.into_iter().map(|change| (change.key, change.value)));
            }
        }
        true
    }
}
