//! A member whose tasks are done at once, an owner that signs, relays that deliver anything, and servers that keep links.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use agent::connection::Delivery;
use agent::link_data::{ContactData, LinkEntityId, Payload};
use agent::link_read::RetrievedLinkData;
use agent::prepared_link::{ContactLinkRequest, LinkSecrets, PreparedContactLink};
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use agent::time::{Env, Time};
use agent::version;
use codec::Encode as _;
use codec::VersionRange;
use crypto::sign::Ed25519PrivateKey;
use crypto::{Nonce, SeededRandom};
use group::body::{Batch, BatchWriter, ConnectionInfo, single};
use group::document::MemberDocument;
use group::element::{AuthoredMessage, Element, Forward, ForwardContent, ForwardSender, ShortName};
use group::event::{Event as ChatEvent, GroupLinkInvitation, LinkInvite};
use group::extension::{Extension, Extensions};
use group::identity::{GroupId, MemberId, MemberKey, OwnerIdentity};
use group::member::{MemberIdRole, Role};
use group::membership::{
    Event, Heard, Line, MemberError, Membership, MessageRecord, Outcome, RecordError, RecordKey, Records, RelayNumber,
    Status, Task, TaskId,
};
use group::message::Message;
use group::message_id::MessageId;
use group::owner::{ConnectionName, Persona};
use group::profile::{GroupProfile, GroupType};
use group::signature::Signer;
use group::step::keygen::keygen;
use group::step::link_create::{GroupContents, GroupLink, GroupLinkRequest, PreparedGroupLink};
use group::step::link_verify::LinkVerification;
use serde_json::{Value, json};
use smp::address::ServerWithPassword;
use smp::command::QueueRequest;
use smp::id::SenderId;
use smp::response::QueueIds;

pub(crate) const NOW: u64 = 1_700_000_000_000;
pub(crate) const SECONDS: i64 = 1_700_000_000;

pub(crate) fn server(host: &str) -> ServerWithPassword {
    format!("smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@{host}").parse().unwrap()
}

pub(crate) fn id(name: &str) -> MemberId {
    MemberId::from_bytes(name.as_bytes()).unwrap()
}

pub(crate) fn message_id(name: &str) -> MessageId {
    MessageId::from_bytes(name.as_bytes()).unwrap()
}

/// An owner with a group link that is on its server.
pub(crate) struct Owner {
    pub(crate) identity: OwnerIdentity,
    link: Option<GroupLink>,
    sender_id: SenderId,
    random: SeededRandom,
}

impl Owner {
    pub(crate) fn new(seed: u8) -> Self {
        let mut random = SeededRandom::new(&[seed; 32], "owner");
        let identity = keygen(&mut random);
        let request = GroupLinkRequest {
            group_type: GroupType::Channel,
            profile: GroupProfile::named("Walks"),
            server: server("smp.example.org"),
        };
        let prepared = PreparedGroupLink::prepare(identity.clone(), request, SECONDS, &mut random).unwrap();
        let (_, queue) = prepared.new_queue();
        let Some(QueueRequest::Contact(Some((link_id, sender_id, _)))) = queue.request else { panic!("link data") };
        let answer = QueueIds {
            recipient_id: [8; 24].into(),
            sender_id: sender_id.clone(),
            dh_key: crypto::dh::X25519PrivateKey::from_bytes([8; 32]).public(),
            mode: None,
            link_id: Some(link_id),
            service_id: None,
            notifier: None,
        };
        let link = Some(prepared.confirm(&answer, SECONDS).unwrap());
        Owner { identity, link, sender_id, random }
    }

    pub(crate) fn group_id(&self) -> GroupId {
        self.identity.group_id()
    }

    pub(crate) fn id(&self) -> MemberId {
        self.identity.owner_id.clone()
    }

    pub(crate) fn key(&self) -> MemberKey {
        MemberKey::from(&self.identity.owner_key)
    }

    pub(crate) fn short_link(&self) -> ContactShortLink {
        self.link.as_ref().unwrap().group().short_link().clone()
    }

    pub(crate) fn contents(&self) -> GroupContents {
        self.link.as_ref().unwrap().group().contents().clone()
    }

    pub(crate) fn data(&self) -> RetrievedLinkData {
        let data = self.link.as_ref().unwrap().group().written().data.clone();
        RetrievedLinkData { sender_id: self.sender_id.clone(), data }
    }

    pub(crate) fn write(&mut self, contents: GroupContents) {
        let link = self.link.take().unwrap();
        self.link = Some(link.update(contents, &mut self.random).unwrap());
    }

    /// Publishes these relays.
    pub(crate) fn list(&mut self, relays: &[&Relay]) {
        let relays = relays.iter().map(|relay| relay.linked(self.group_id()).make().0).collect();
        let contents = GroupContents { relays, ..self.contents() };
        self.write(contents);
    }

    pub(crate) fn signs(&self, name: &str, event: ChatEvent) -> AuthoredMessage {
        signed(self.group_id(), &self.id(), &self.key(), name, event)
    }
}

pub(crate) fn named(name: &str, event: ChatEvent) -> Message {
    Message { id: Some(message_id(name)), ..Message::unnamed(event) }
}

pub(crate) fn unsigned(name: &str, event: ChatEvent) -> AuthoredMessage {
    named(name, event).into()
}

pub(crate) fn signed(
    group: GroupId,
    member: &MemberId,
    key: &MemberKey,
    name: &str,
    event: ChatEvent,
) -> AuthoredMessage {
    Signer { group: &group, member, key }.sign(named(name, event)).into()
}

/// What a relay link can say.
#[derive(Debug, Clone)]
pub(crate) struct Linked {
    pub(crate) root: Ed25519PrivateKey,
    pub(crate) kind: ContactKind,
    pub(crate) entity_id: Option<Vec<u8>>,
    pub(crate) tail: Vec<u8>,
    pub(crate) direct: bool,
    pub(crate) json: Value,
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
        let link = prepared.fixed().short_link(self.kind, LinkScheme::Https);
        let payload = Payload::new(serde_json::to_vec(&self.json).unwrap()).unwrap();
        let user = ContactData::new(version::AGENT, self.direct, vec![], vec![], payload).unwrap();
        let data = prepared.fixed().with_user_data(&user, &self.root, Nonce([3; 24])).unwrap();
        (link, RetrievedLinkData { sender_id: prepared.sender_id().clone(), data })
    }
}

/// A relay.
#[derive(Debug, Clone)]
pub(crate) struct Relay {
    pub(crate) number: u8,
    pub(crate) versions: (u16, u16),
    pub(crate) extensions: Vec<Extension>,
}

impl Relay {
    pub(crate) fn new(number: u8) -> Self {
        Relay { number, versions: (9, 19), extensions: vec![] }
    }

    pub(crate) fn paired(number: u8) -> Self {
        Relay { extensions: vec![Extension::PairedConnections], ..Relay::new(number) }
    }

    pub(crate) fn id(&self) -> MemberId {
        id(&format!("relay{}", self.number))
    }

    pub(crate) fn key(&self) -> MemberKey {
        Ed25519PrivateKey::from_seed([self.number + 100; 32]).into()
    }

    pub(crate) fn linked(&self, group: GroupId) -> Linked {
        let ext: Vec<&str> = self.extensions.iter().map(Extension::name).collect();
        Linked {
            root: self.key().signing_key().clone(),
            kind: ContactKind::Group,
            entity_id: Some(self.id().as_bytes().to_vec()),
            tail: group::binding::tail(&group),
            direct: true,
            json: json!({
                "relayProfile": {"displayName": format!("Relay {}", self.number), "fullName": ""},
                "ext": ext,
            }),
        }
    }

    pub(crate) fn message(&self, event: ChatEvent) -> Message {
        let versions = VersionRange::new(self.versions.0, self.versions.1).unwrap();
        Message { versions, ..Message::unnamed(event) }
    }

    pub(crate) fn info(&self, event: ChatEvent) -> Vec<u8> {
        self.message(event).to_json()
    }

    pub(crate) fn invitation(&self, member: &MemberId, profile: GroupProfile) -> GroupLinkInvitation {
        GroupLinkInvitation {
            from_member: MemberIdRole { member_id: self.id(), member_role: Role::Relay },
            from_member_name: "Relay".to_owned(),
            from_member_key: None,
            invited_member: MemberIdRole { member_id: member.clone(), member_role: Role::Observer },
            group_profile: profile,
            accepted: None,
            business: None,
            group_size: Some(3),
            ext: Extensions::default(),
        }
    }

    pub(crate) fn admits(&self, member: &MemberId, profile: GroupProfile) -> Vec<u8> {
        let group_link_invitation = self.invitation(member, profile);
        self.info(ChatEvent::GroupLinkInvite(LinkInvite { group_link_invitation }.into()))
    }

    pub(crate) fn says(&self, event: ChatEvent) -> Vec<u8> {
        single(self.message(event)).unwrap()
    }

    pub(crate) fn signs(&self, group: GroupId, event: ChatEvent) -> Vec<u8> {
        let id = self.id();
        single(Signer { group: &group, member: &id, key: &self.key() }.sign(self.message(event))).unwrap()
    }
}

/// What a relay forwards as said by a member.
pub(crate) fn by(member: &MemberId, message: AuthoredMessage) -> Element {
    by_at(member, SECONDS, message)
}

pub(crate) fn by_at(member: &MemberId, sent_at: i64, message: AuthoredMessage) -> Element {
    let sender = ForwardSender::Member(member.clone(), ShortName::new("Somebody"));
    Element::Forward(Forward { sender, sent_at, content: ForwardContent::Message(message) })
}

/// What a relay forwards as said by the group.
pub(crate) fn by_channel(message: AuthoredMessage) -> Element {
    Element::Forward(Forward {
        sender: ForwardSender::Channel,
        sent_at: SECONDS,
        content: ForwardContent::Message(message),
    })
}

pub(crate) fn body(elements: &[Element]) -> Vec<u8> {
    let mut writer = BatchWriter::default();
    elements.iter().for_each(|element| writer.push(element).unwrap());
    writer.finish().unwrap()
}

/// A post without anything special.
pub(crate) fn post(text: &str) -> ChatEvent {
    use group::content::{Content, NewMessage};
    ChatEvent::MessageNew(NewMessage::of(Content::text(text)).into())
}

pub(crate) fn post_as_group(text: &str) -> ChatEvent {
    use group::content::{Content, NewMessage};
    let message = NewMessage { as_group: Some(true), ..NewMessage::of(Content::text(text)) };
    ChatEvent::MessageNew(message.into())
}

/// What went out through connections.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Out {
    Opened(ConnectionName, Vec<u8>, String),
    Allowed(ConnectionName, Vec<u8>),
    Said(ConnectionName, Vec<u8>),
    Deleted(ConnectionName, Delivery),
}

/// Records in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    pub(crate) records: BTreeMap<RecordKey, Vec<u8>>,
    pub(crate) broken: bool,
}

impl Records for Memory {
    fn read(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, RecordError> {
        if self.broken {
            return Err(RecordError::Read("the disk is gone".to_owned()));
        }
        Ok(self.records.get(key).cloned())
    }
}

/// A member at work.
pub(crate) struct Desk {
    pub(crate) owner: Owner,
    pub(crate) member: Membership,
    pub(crate) memory: Memory,
    pub(crate) now: Time,
    pub(crate) random: SeededRandom,
    pub(crate) links: HashMap<String, RetrievedLinkData>,
    pub(crate) out: Vec<Out>,
    pub(crate) events: Vec<Event>,
}

impl Desk {
    /// A member that has just joined the group with these relays; nothing was done yet.
    pub(crate) fn new(relays: &[&Relay]) -> Self {
        Desk::seeded(7, relays)
    }

    pub(crate) fn seeded(seed: u8, relays: &[&Relay]) -> Self {
        let mut owner = Owner::new(seed);
        owner.list(relays);
        let mut random = SeededRandom::new(&[seed; 32], "member");
        let persona = Persona::random(server("receive.example.org"), &mut random);
        let now = Time::from_millis(NOW);
        let mut member = join(&owner, persona, &mut Env { now, random: &mut random }).unwrap();
        member.go_on();
        let (memory, links) = (Memory::default(), HashMap::new());
        let mut desk = Desk { owner, member, memory, now, random, links, out: vec![], events: vec![] };
        desk.publish_group();
        relays.iter().for_each(|relay| desk.publish(&relay.linked(desk.owner.group_id())));
        desk
    }

    /// A member connected with all these relays.
    pub(crate) fn connected(relays: &[&Relay]) -> Self {
        let mut desk = Desk::new(relays);
        desk.run();
        relays.iter().for_each(|relay| desk.admit(relay));
        desk.events.clear();
        desk.out.clear();
        desk
    }

    pub(crate) fn publish_group(&mut self) {
        self.links.insert(self.owner.short_link().to_string(), self.owner.data());
    }

    pub(crate) fn publish(&mut self, linked: &Linked) {
        let (link, data) = linked.make();
        self.links.insert(link.to_string(), data);
    }

    /// The owner lists other relays, and their links exist.
    pub(crate) fn list(&mut self, relays: &[&Relay]) {
        self.owner.list(relays);
        self.publish_group();
        relays.iter().for_each(|relay| self.publish(&relay.linked(self.owner.group_id())));
    }

    pub(crate) fn with<T>(&mut self, step: impl FnOnce(&mut Membership, &Memory, &mut Env<'_>) -> T) -> T {
        step(&mut self.member, &self.memory, &mut Env { now: self.now, random: &mut self.random })
    }

    pub(crate) fn tell(&mut self, step: impl FnOnce(&mut Membership, &mut Env<'_>) -> Result<Vec<Event>, MemberError>) {
        let events = self.with(|member, _, env| step(member, env)).unwrap();
        self.events.extend(events);
    }

    /// Does a task as an honest world would.
    pub(crate) fn step(&mut self, id: &TaskId) {
        let outcome = match self.member.task(id).unwrap() {
            Task::ReadLink(link) => match self.links.get(&link.to_string()) {
                Some(data) => Outcome::Retrieved(Box::new(data.clone())),
                None => Outcome::Refused("AUTH".to_owned()),
            },
            Task::Open { connection, info, server, .. } => {
                let host = server.address.first_host().to_plain();
                self.out.push(Out::Opened(connection, info, host));
                Outcome::Done
            }
            Task::Allow { connection, info } => {
                self.out.push(Out::Allowed(connection, info));
                Outcome::Done
            }
            Task::Send { connection, body } => {
                self.out.push(Out::Said(connection, body));
                Outcome::Done
            }
            Task::Delete { connection, delivery } => {
                self.out.push(Out::Deleted(connection, delivery));
                Outcome::Done
            }
        };
        self.finish(id, outcome);
    }

    pub(crate) fn finish(&mut self, id: &TaskId, outcome: Outcome) {
        self.tell(|member, env| member.finish(id, outcome, env));
    }

    /// Does all tasks that are due until none is.
    pub(crate) fn run(&mut self) {
        for _ in 0..1000 {
            let Some(id) = self.member.due(self.now).first().cloned() else { return };
            self.step(&id);
        }
        panic!("tasks without end: {:?}", self.member.due(self.now));
    }

    pub(crate) fn later(&mut self, delay: Duration) {
        self.now = self.now.after(delay);
        let events = self.member.elapsed(&self.memory, self.now).unwrap();
        self.events.extend(events);
    }

    pub(crate) fn number(&self, relay: &Relay) -> RelayNumber {
        let link = relay.linked(self.owner.group_id()).make().0;
        let found = self.member.relays().iter().rev().find(|record| record.link().same_link(&link));
        found.expect("a record of the relay").number()
    }

    pub(crate) fn status(&self, relay: &Relay) -> Status {
        self.member.relay(self.number(relay)).unwrap().status()
    }

    pub(crate) fn connection(&self, relay: &Relay, line: Line) -> ConnectionName {
        self.member.relay(self.number(relay)).unwrap().connection(line)
    }

    pub(crate) fn answer(&mut self, relay: &Relay, line: Line, info: &[u8]) {
        let connection = self.connection(relay, line);
        self.tell(|member, env| member.answered(&connection, info, env));
    }

    pub(crate) fn connect(&mut self, relay: &Relay, line: Line) {
        let connection = self.connection(relay, line);
        self.tell(|member, env| member.connected(&connection, env));
    }

    pub(crate) fn fail(&mut self, relay: &Relay, line: Line) {
        let connection = self.connection(relay, line);
        self.tell(|member, env| member.connection_failed(&connection, "its queue is gone", env));
    }

    /// What an honest relay says when it admits the member.
    pub(crate) fn admission(&self, relay: &Relay) -> Vec<u8> {
        relay.admits(self.member.id(), self.owner.contents().profile)
    }

    /// Brings a relay that was asked to Connected.
    pub(crate) fn admit(&mut self, relay: &Relay) {
        let info = self.admission(relay);
        for line in [Line::Main, Line::Content] {
            self.answer(relay, line, &info);
            self.run();
            if line == Line::Content {
                self.receive(relay, &relay.says(ChatEvent::GroupRelayPair));
                self.run();
            }
            self.connect(relay, line);
            self.run();
            if relay.extensions.is_empty() {
                return;
            }
        }
    }

    /// A relay delivers a body; what changes is kept.
    pub(crate) fn receive(&mut self, relay: &Relay, body: &[u8]) {
        let connection = self.connection(relay, Line::Main);
        self.receive_through(&connection, body);
    }

    pub(crate) fn receive_through(&mut self, connection: &ConnectionName, body: &[u8]) {
        let received = self.with(|member, memory, env| member.received(connection, body, memory, env)).unwrap();
        self.events.extend(received.events);
        self.memory.records.extend(received.changes.into_iter().map(|change| (change.key, change.value)));
    }

    pub(crate) fn deliver(&mut self, relay: &Relay, element: Element) {
        self.receive(relay, &body(&[element]));
    }

    /// What was heard since the last call, without what is about relays.
    pub(crate) fn heard(&mut self) -> Vec<Heard> {
        let heard = self.events.extract_if(.., |event| matches!(event, Event::Heard(_)));
        let heard = heard.map(|event| match event {
            Event::Heard(heard) => *heard,
            other => panic!("{other:?}"),
        });
        heard.collect()
    }

    pub(crate) fn texts(&mut self) -> Vec<String> {
        let text = |heard: &Heard| match heard.event() {
            ChatEvent::MessageNew(new) => new.content.as_text().unwrap_or_default().to_owned(),
            ChatEvent::MessageUpdate(update) => update.content.as_text().unwrap_or_default().to_owned(),
            other => other.name().to_owned(),
        };
        self.heard().iter().map(text).collect()
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub(crate) fn record(&self, name: &str) -> MessageRecord {
        let key = RecordKey::Message(message_id(name));
        MessageRecord::parse(&key, &self.memory.records[&key]).unwrap()
    }

    /// The program ends, and begins again with what it kept.
    pub(crate) fn restart(&mut self) {
        let json = serde_json::to_string(&MemberDocument::from(&self.member)).unwrap();
        let document: MemberDocument = serde_json::from_str(&json).unwrap();
        self.member = Membership::try_from(document).unwrap();
        self.member.go_on();
    }

    /// What was said through a connection.
    pub(crate) fn said(&self, connection: &ConnectionName) -> Vec<AuthoredMessage> {
        let mut said = Vec::new();
        for out in &self.out {
            if let Out::Said(name, body) = out
                && name == connection
            {
                for element in Batch::parse(body).unwrap() {
                    let Ok(Element::Message(message)) = element else { panic!("{element:?}") };
                    said.push(message);
                }
            }
        }
        said
    }

    /// The request that opened a connection.
    pub(crate) fn request(&self, connection: &ConnectionName) -> Option<ConnectionInfo> {
        self.out.iter().find_map(|out| match out {
            Out::Opened(name, info, _) if name == connection => Some(ConnectionInfo::parse(info).unwrap()),
            _ => None,
        })
    }
}

/// Verifies the group link and joins.
pub(crate) fn join(owner: &Owner, persona: Persona, env: &mut Env<'_>) -> Result<Membership, MemberError> {
    let data = owner.data();
    let mut verification = LinkVerification::start(owner.short_link());
    verification.fetched([Ok(data.clone())]);
    let relays = verification.to_fetch().len();
    verification.fetched((0..relays).map(|_| Err("read later".to_owned())));
    Membership::join(&verification.finish().verified.unwrap(), &data, persona, env)
}

pub(crate) fn bytes(message: &AuthoredMessage) -> Vec<u8> {
    message.to_bytes()
}
