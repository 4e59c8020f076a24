//! An owner whose tasks are done at once or step by step, relays that answer anything, and servers that keep links.

use std::collections::{BTreeMap, HashMap};

use agent::connection::Delivery;
use agent::link_data::{ContactData, LinkEntityId, Payload};
use agent::link_read::RetrievedLinkData;
use agent::prepared_link::{ContactLinkRequest, LinkSecrets, PreparedContactLink};
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use agent::time::{Env, Time};
use agent::version;
use codec::VersionRange;
use codec::text::base64url;
use crypto::sign::Ed25519PrivateKey;
use crypto::{Nonce, SeededRandom};
use group::body::{Batch, ConnectionInfo, single};
use group::element::{AuthoredMessage, Element};
use group::event::{
    Event as ChatEvent, GroupRelayInvitation, RelayAccept, RelayCapabilities, RelayReject, RosterAcknowledgement,
};
use group::extension::Extension;
use group::identity::{GroupId, MemberId, MemberKey, OwnerIdentity};
use group::membership::{Change, RecordError, RecordKey, Records, Speech};
use group::message::Message;
use group::owner::{
    Announced, ConnectionName, Event, GroupOwner, Outcome, OwnerError, Persona, Status, Task, TaskId, WriteLink,
};
use group::profile::{GroupProfile, GroupType};
use group::roster::RosterVersion;
use group::signature::Signer;
use group::step::keygen::keygen;
use group::step::link_create::{GroupLink, GroupLinkRequest, PreparedGroupLink};
use serde_json::{Value, json};
use smp::address::ServerWithPassword;
use smp::command::{LinkData, QueueRequest};
use smp::id::SenderId;
use smp::response::QueueIds;

pub(crate) const NOW: u64 = 1_700_000_000_000;
/// Relays that acknowledge rosters, and relays that came before.
pub(crate) const NEW: (u16, u16) = (9, 19);
pub(crate) const OLD: (u16, u16) = (9, 18);

pub(crate) fn server(host: &str) -> ServerWithPassword {
    format!("smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@{host}").parse().unwrap()
}

pub(crate) fn created(seed: u8) -> GroupLink {
    let random = |step| SeededRandom::new(&[seed; 32], step);
    let owner: OwnerIdentity = keygen(&mut random("keygen"));
    let request = GroupLinkRequest {
        group_type: GroupType::Channel,
        profile: GroupProfile::named("Walks"),
        server: server("smp.example.org"),
    };
    let prepared = PreparedGroupLink::prepare(owner, request, NOW as i64 / 1000, &mut random("link_create")).unwrap();
    let (_, queue) = prepared.new_queue();
    let Some(QueueRequest::Contact(Some((link_id, sender_id, _)))) = queue.request else { panic!("link data") };
    let answer = QueueIds {
        recipient_id: [8; 24].into(),
        sender_id,
        dh_key: crypto::dh::X25519PrivateKey::from_bytes([8; 32]).public(),
        mode: None,
        link_id: Some(link_id),
        service_id: None,
        notifier: None,
    };
    prepared.confirm(&answer, NOW as i64 / 1000).unwrap()
}

/// What a link can say.
#[derive(Debug, Clone)]
pub(crate) struct Linked {
    pub(crate) root: Ed25519PrivateKey,
    pub(crate) kind: ContactKind,
    pub(crate) scheme: LinkScheme,
    pub(crate) entity_id: Option<Vec<u8>>,
    pub(crate) tail: Vec<u8>,
    pub(crate) direct: bool,
    pub(crate) json: Option<Value>,
}

impl Linked {
    pub(crate) fn make(&self) -> (ContactShortLink, RetrievedLinkData) {
        let request = ContactLinkRequest {
            server: server("relay.example.org").address,
            entity_id: self.entity_id.clone().and_then(LinkEntityId::new),
            tail: self.tail.clone(),
            client_data: None,
            agent_versions: version::AGENT,
            client_versions: version::SMP_CLIENT,
        };
        let mut random = SeededRandom::new(&[7; 32], "relay link");
        let prepared = PreparedContactLink::prepare(request, &self.root, LinkSecrets::random(&mut random)).unwrap();
        let link = prepared.fixed().short_link(self.kind, self.scheme);
        let payload = self.json.as_ref().map(|json| serde_json::to_vec(json).unwrap()).unwrap_or_default();
        let payload = Payload::new(payload).unwrap();
        let user = ContactData::new(version::AGENT, self.direct, vec![], vec![], payload).unwrap();
        let data = prepared.fixed().with_user_data(&user, &self.root, Nonce([3; 24])).unwrap();
        (link, RetrievedLinkData { sender_id: prepared.sender_id().clone(), data })
    }
}

/// A relay, with the key of its address and one for the group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relay {
    pub(crate) number: u8,
    pub(crate) versions: (u16, u16),
    pub(crate) ready: bool,
}

impl Relay {
    pub(crate) fn new(number: u8) -> Self {
        Relay { number, versions: NEW, ready: false }
    }

    pub(crate) fn old(number: u8) -> Self {
        Relay { versions: OLD, ..Relay::new(number) }
    }

    pub(crate) fn ready(number: u8) -> Self {
        Relay { ready: true, ..Relay::new(number) }
    }

    pub(crate) fn address_key(self) -> Ed25519PrivateKey {
        Ed25519PrivateKey::from_seed([self.number; 32])
    }

    pub(crate) fn key(self) -> MemberKey {
        Ed25519PrivateKey::from_seed([self.number.wrapping_add(100); 32]).into()
    }

    fn profile(self) -> Value {
        json!({"displayName": format!("Relay {}", self.number), "fullName": ""})
    }

    pub(crate) fn address(self) -> Linked {
        Linked {
            root: self.address_key(),
            kind: ContactKind::Relay,
            scheme: LinkScheme::Https,
            entity_id: None,
            tail: vec![],
            direct: true,
            json: Some(json!({"relayProfile": self.profile()})),
        }
    }

    /// A good relay link, as the reference makes it.
    pub(crate) fn relay_link(self, member: &MemberId) -> Linked {
        Linked {
            root: self.key().signing_key().clone(),
            kind: ContactKind::Group,
            scheme: LinkScheme::Https,
            entity_id: Some(member.as_bytes().to_vec()),
            tail: vec![],
            direct: true,
            json: Some(json!({"relayProfile": self.profile()})),
        }
    }

    /// A good relay link of a relay of ours.
    pub(crate) fn bound_link(self, member: &MemberId, group: GroupId) -> Linked {
        let mut linked = self.relay_link(member);
        linked.tail = group::binding::tail(&group);
        linked.json.as_mut().unwrap()["groupId"] = base64url(group.as_bytes()).into();
        linked
    }

    fn message(self, event: ChatEvent) -> Message {
        let versions = VersionRange::new(self.versions.0, self.versions.1).unwrap();
        Message { versions, ..Message::unnamed(event) }
    }

    pub(crate) fn info(self, event: ChatEvent) -> Vec<u8> {
        self.message(event).to_json()
    }

    pub(crate) fn accepts(self, link: &str) -> Vec<u8> {
        let mut relay_cap = RelayCapabilities::default();
        if self.ready {
            relay_cap.ext = [Extension::RelayReady, Extension::GroupInFixedData].into_iter().collect();
        }
        self.info(ChatEvent::GroupRelayAccept(RelayAccept { relay_link: link.to_owned(), relay_cap: Some(relay_cap) }))
    }

    pub(crate) fn rejects(self, reason: &str) -> Vec<u8> {
        self.info(ChatEvent::GroupRelayReject(RelayReject { reason: reason.into() }))
    }

    pub(crate) fn says(self, event: ChatEvent) -> Vec<u8> {
        single(self.message(event)).unwrap()
    }

    pub(crate) fn signs(self, group: GroupId, member: &MemberId, event: ChatEvent) -> Vec<u8> {
        let signer = Signer { group: &group, member, key: &self.key() };
        single(signer.sign(self.message(event))).unwrap()
    }

    pub(crate) fn acknowledges(self, version: i64, error: Option<&str>) -> Vec<u8> {
        let version = RosterVersion::new(version).unwrap();
        let error = error.map(str::to_owned);
        self.says(ChatEvent::GroupRosterAcknowledgement(RosterAcknowledgement { version, error }))
    }
}

/// What went out through connections.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Out {
    Opened(ConnectionName, Vec<u8>),
    Allowed(ConnectionName, Vec<u8>),
    Said(ConnectionName, Vec<u8>),
    Deleted(ConnectionName, Delivery),
    LinkDeleted,
}

/// Records in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    pub(crate) records: BTreeMap<RecordKey, Vec<u8>>,
    pub(crate) broken: bool,
}

impl Memory {
    pub(crate) fn write(&mut self, changes: &[Change]) {
        self.records.extend(changes.iter().map(|change| (change.key.clone(), change.value.clone())));
    }
}

impl Records for Memory {
    fn read(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, RecordError> {
        if self.broken {
            return Err(RecordError::Read("the disk is gone".to_owned()));
        }
        Ok(self.records.get(key).cloned())
    }
}

/// An owner at work.
pub(crate) struct Desk {
    pub(crate) owner: GroupOwner,
    pub(crate) memory: Memory,
    pub(crate) now: Time,
    pub(crate) random: SeededRandom,
    pub(crate) links: HashMap<String, RetrievedLinkData>,
    pub(crate) out: Vec<Out>,
    pub(crate) published: Vec<LinkData>,
    pub(crate) events: Vec<Event>,
    pub(crate) hosts: Vec<String>,
    /// Writes of the link take long: [`Desk::run`] does not begin them.
    pub(crate) slow_link: bool,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Desk::seeded(7)
    }

    pub(crate) fn seeded(seed: u8) -> Self {
        let mut random = SeededRandom::new(&[seed; 32], "owner");
        let mut owner = GroupOwner::from(created(seed));
        owner.introduce(Persona::random(server("receive.example.org"), &mut random)).unwrap();
        Desk {
            owner,
            memory: Memory::default(),
            now: Time::from_millis(NOW),
            random,
            links: HashMap::new(),
            out: Vec::new(),
            published: Vec::new(),
            events: Vec::new(),
            hosts: Vec::new(),
            slow_link: false,
        }
    }

    pub(crate) fn with<T>(&mut self, step: impl FnOnce(&mut GroupOwner, &mut Env<'_>) -> T) -> T {
        step(&mut self.owner, &mut Env { now: self.now, random: &mut self.random })
    }

    fn tell(&mut self, step: impl FnOnce(&mut GroupOwner, &mut Env<'_>) -> Result<Vec<Event>, OwnerError>) {
        let events = self.with(step).unwrap();
        self.events.extend(events);
    }

    pub(crate) fn group_id(&self) -> GroupId {
        self.owner.link().group().group_id()
    }

    pub(crate) fn publish(&mut self, linked: &Linked) -> ContactShortLink {
        let (link, data) = linked.make();
        self.links.insert(link.to_string(), data);
        link
    }

    /// Does a task as an honest world would.
    pub(crate) fn step(&mut self, id: &TaskId) {
        let outcome = match self.owner.task(id).unwrap() {
            Task::ReadLink(link) => match self.links.get(&link.to_string()) {
                Some(data) => Outcome::Retrieved(Box::new(data.clone())),
                None => Outcome::Refused("AUTH".to_owned()),
            },
            Task::Open { connection, info, server, .. } => {
                self.hosts.push(server.address.first_host().to_plain());
                self.out.push(Out::Opened(connection, info));
                Outcome::Done
            }
            Task::Allow { connection, info } => {
                self.out.push(Out::Allowed(connection, info));
                Outcome::Done
            }
            Task::Send { connection, bodies } => {
                self.out.extend(bodies.into_iter().map(|body| Out::Said(connection.clone(), body)));
                Outcome::Done
            }
            Task::Delete { connection, delivery } => {
                self.out.push(Out::Deleted(connection, delivery));
                Outcome::Done
            }
            Task::SetQueueKeys(_) => Outcome::Done,
            Task::WriteLink(write) => {
                let WriteLink { version, data, .. } = *write;
                self.published.push(data);
                Outcome::Written(version)
            }
            Task::DeleteLink(_) => {
                self.out.push(Out::LinkDeleted);
                Outcome::Done
            }
        };
        self.finish(id, outcome);
    }

    pub(crate) fn finish(&mut self, id: &TaskId, outcome: Outcome) {
        self.tell(|owner, env| owner.finish(id, outcome, env));
    }

    /// Does all tasks that are due until none is.
    pub(crate) fn run(&mut self) {
        for _ in 0..1000 {
            let mut due = self.owner.due(self.now);
            due.retain(|id| !(self.slow_link && *id == TaskId::WriteLink));
            let Some(id) = due.first().cloned() else { return };
            self.step(&id);
        }
        panic!("tasks without end: {:?}", self.owner.due(self.now));
    }

    pub(crate) fn invite(&mut self, relay: Relay) -> MemberId {
        let address = self.publish(&relay.address());
        self.with(|owner, env| owner.invite(address, env)).unwrap()
    }

    pub(crate) fn connection(&self, id: &MemberId) -> ConnectionName {
        self.owner.relay(id).unwrap().connection()
    }

    pub(crate) fn status(&self, id: &MemberId) -> Status {
        self.owner.relay(id).unwrap().status()
    }

    pub(crate) fn answer(&mut self, id: &MemberId, info: &[u8]) {
        let connection = self.connection(id);
        self.tell(|owner, env| owner.answered(&connection, info, env));
    }

    pub(crate) fn connect(&mut self, id: &MemberId) {
        let connection = self.connection(id);
        self.tell(|owner, env| owner.connected(&connection, env));
    }

    pub(crate) fn receive(&mut self, id: &MemberId, body: &[u8]) {
        let connection = self.connection(id);
        let memory = self.memory.clone();
        let received = self.with(|owner, env| owner.received(&connection, body, &memory, env)).unwrap();
        self.memory.write(&received.changes);
        self.events.extend(received.events);
    }

    pub(crate) fn fail(&mut self, id: &MemberId, reason: &str) {
        let connection = self.connection(id);
        self.tell(|owner, env| owner.connection_failed(&connection, reason, env));
    }

    /// Says something to the group, and remembers it.
    pub(crate) fn say(&mut self, speech: &Speech) -> Result<Announced, OwnerError> {
        let memory = self.memory.clone();
        let said = self.with(|owner, env| owner.say(speech, &memory, env))?;
        self.memory.write(&said.changes);
        Ok(said)
    }

    /// Brings a relay to Accepted, with the connection made.
    pub(crate) fn accept(&mut self, relay: Relay) -> MemberId {
        let id = self.invite(relay);
        self.run();
        let link = self.publish(&relay.relay_link(&id));
        self.answer(&id, &relay.accepts(&link.to_string()));
        self.run();
        self.connect(&id);
        id
    }

    /// Brings a relay to Active.
    pub(crate) fn activate(&mut self, relay: Relay) -> MemberId {
        let id = self.accept(relay);
        self.run();
        if relay.versions.1 >= 19 {
            self.receive(&id, &relay.acknowledges(0, None));
            self.run();
        }
        assert_eq!(self.status(&id), Status::Active);
        id
    }

    /// The relay links in the last link data that was written, as a member reads them.
    pub(crate) fn listed(&self) -> Vec<String> {
        self.published.last().map(|data| self.read_listed(data)).unwrap_or_default()
    }

    /// What the server returns for the group link.
    pub(crate) fn found(&self) -> RetrievedLinkData {
        let data = self.published.last().cloned().unwrap_or_else(|| self.owner.link().link_data().1);
        RetrievedLinkData { sender_id: self.sender_id(), data }
    }

    pub(crate) fn read_listed(&self, data: &LinkData) -> Vec<String> {
        let group = self.owner.link().group();
        let read = RetrievedLinkData { sender_id: self.sender_id(), data: data.clone() }.read(group.short_link());
        read.unwrap().user().relays().iter().map(ToString::to_string).collect()
    }

    fn sender_id(&self) -> SenderId {
        SenderId::from_corr_id(&group::document::GroupDocument::from(&self.owner).queue.correlation_id)
    }

    /// Events that were said through a connection, in order, with whether they were signed by the owner.
    pub(crate) fn said(&self, id: &MemberId) -> Vec<(Message, bool)> {
        let connection = self.connection(id);
        let owner = self.owner_identity();
        let mut said = Vec::new();
        for out in &self.out {
            let Out::Said(name, body) = out else { continue };
            if *name != connection {
                continue;
            }
            for element in Batch::parse(body).unwrap().elements() {
                let Element::Message(message) = element else { continue };
                let signed = match message {
                    AuthoredMessage::Signed(signed) => {
                        let key = owner.owner_key.public().into();
                        signed.is_signed_by(&owner.group_id(), &owner.owner_id, &key)
                    }
                    AuthoredMessage::Unsigned(_) => false,
                };
                said.push((message.message().clone(), signed));
            }
        }
        said
    }

    /// The names of what was said; every one of them signed.
    pub(crate) fn said_names(&self, id: &MemberId) -> Vec<String> {
        let name = |(message, signed): (Message, bool)| {
            assert!(signed, "{}", message.event.name());
            message.event.name().to_owned()
        };
        self.said(id).into_iter().map(name).collect()
    }

    pub(crate) fn owner_identity(&self) -> OwnerIdentity {
        let document = group::document::GroupDocument::from(&self.owner);
        document.owner.try_into().unwrap()
    }

    /// What the relay was asked.
    pub(crate) fn invitations(&self) -> Vec<GroupRelayInvitation> {
        let invitation = |out: &Out| {
            let Out::Opened(_, info) = out else { return None };
            let info = ConnectionInfo::parse(info).unwrap();
            let ChatEvent::GroupRelayInvite(invite) = info.event().clone() else { panic!("an invitation") };
            Some(*invite.group_relay_invitation)
        };
        self.out.iter().filter_map(invitation).collect()
    }

    /// The process ends and begins again with what it wrote.
    pub(crate) fn restart(&mut self) {
        self.owner = reread(&self.owner);
    }
}

/// The owner as the document that it wrote gives it back.
pub(crate) fn reread(owner: &GroupOwner) -> GroupOwner {
    let json = serde_json::to_string(&group::document::GroupDocument::from(owner)).unwrap();
    let document: group::document::GroupDocument = serde_json::from_str(&json).unwrap();
    match group::document::GroupState::try_from(document).unwrap() {
        group::document::GroupState::Created(owner) => *owner,
        group::document::GroupState::Prepared(_) => panic!("created"),
    }
}
