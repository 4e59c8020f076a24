//! A relay whose agent, servers and owner are the test: it runs what is due, keeps what changes, and can be killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent::connection::Delivery;
use agent::link_data::{ContactData, Payload};
use agent::link_read::RetrievedLinkData;
use agent::non_empty::NonEmpty;
use agent::owner::OwnerAuth;
use agent::prepared_link::{ContactLinkRequest, LinkSecrets, OwnFixedData, PreparedContactLink};
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use agent::time::{Env, Time};
use crypto::SeededRandom;
use crypto::sign::Ed25519PrivateKey;
use group::body::{Batch, ConnectionInfo, single};
use group::element::Element;
use group::event::{Event, GroupRelayInvitation, RejectionReason, RelayAccept, RelayInvite};
use group::extension::{Extension, Extensions};
use group::identity::{MemberId, MemberKey, OwnerIdentity};
use group::member::{MemberIdRole, MemberProfile, Role};
use group::message::Message;
use group::profile::{GroupProfile, GroupType};
use group::relay::{
    ConnectionName, Event as RelayEvent, LogEntry, Outcome, RecordKey, Relay, RelayIdentity, RelaySettings, ServiceId,
    Status, Task, TaskId, Verdict,
};
use group::signature::Signer;
use group::step::keygen::keygen;
use group::step::link_create::{GroupContents, GroupLink, GroupLinkRequest, PreparedGroupLink};
use group::user_data::RelayProfile;
use serde_json::json;
use smp::command::QueueRequest;
use smp::response::QueueIds;
use zeroize::Zeroizing;

pub(crate) const START: u64 = 1_700_000_000_000;
pub(crate) const SERVER: &str = "smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@relay.example.org";

pub(crate) fn random(step: &str) -> SeededRandom {
    SeededRandom::new(&[9; 32], step)
}

/// An owner with a group link that is on its server.
pub(crate) struct Owner {
    pub(crate) identity: OwnerIdentity,
    pub(crate) link: Option<GroupLink>,
    sender_id: smp::id::SenderId,
    random: SeededRandom,
}

impl Owner {
    pub(crate) fn new(name: &str) -> Self {
        Owner::with_profile(name, GroupType::Channel, GroupProfile::named(name))
    }

    pub(crate) fn with_profile(name: &str, group_type: GroupType, profile: GroupProfile) -> Self {
        let mut random = random(name);
        Owner::of(keygen(&mut random), "smp.example.org", group_type, profile, random)
    }

    /// Whose group link is at another server.
    pub(crate) fn at(host: &str, name: &str) -> Self {
        let mut random = random(name);
        Owner::of(keygen(&mut random), host, GroupType::Channel, GroupProfile::named(name), random)
    }

    fn of(
        identity: OwnerIdentity,
        host: &str,
        group_type: GroupType,
        profile: GroupProfile,
        mut random: SeededRandom,
    ) -> Self {
        let server = format!("smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=:secret@{host}").parse().unwrap();
        let request = GroupLinkRequest { group_type, profile, server };
        let prepared = PreparedGroupLink::prepare(identity.clone(), request, 1_700_000_000, &mut random).unwrap();
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
        let link = Some(prepared.confirm(&answer, 1_700_000_001).unwrap());
        Owner { identity, link, sender_id, random }
    }

    fn group_link(&self) -> &GroupLink {
        self.link.as_ref().unwrap()
    }

    pub(crate) fn short_link(&self) -> ContactShortLink {
        self.group_link().group().short_link().clone()
    }

    pub(crate) fn profile(&self) -> GroupProfile {
        self.group_link().group().contents().profile.clone()
    }

    /// What the server returns for the group link.
    pub(crate) fn data(&self) -> RetrievedLinkData {
        let data = self.group_link().group().written().data.clone();
        RetrievedLinkData { sender_id: self.sender_id.clone(), data }
    }

    /// Publishes these relay links.
    pub(crate) fn publish(&mut self, relays: &[ContactShortLink]) {
        let link = self.link.take().unwrap();
        let contents = GroupContents { relays: relays.to_vec(), ..link.group().contents().clone() };
        self.link = Some(link.update(contents, &mut self.random).unwrap());
    }

    pub(crate) fn invitation(&self, member: &str) -> GroupRelayInvitation {
        GroupRelayInvitation {
            from_member: MemberIdRole { member_id: self.identity.owner_id.clone(), member_role: Role::Owner },
            from_member_profile: MemberProfile::named("Olga"),
            relay_member_id: id(member),
            group_link: self.short_link().to_string(),
            ext: Extensions(vec![Extension::RelayReady, Extension::Suspension]),
        }
    }

    /// What the server returns once these owners, beside this one, stand in the link too.
    pub(crate) fn data_with(&mut self, owners: &[(MemberId, MemberKey)]) -> RetrievedLinkData {
        let (link, found) = (self.short_link(), self.data());
        let read = found.read(&link).unwrap();
        let root = self.identity.root_key.signing_key();
        let further = |(id, key): &(MemberId, MemberKey)| OwnerAuth::authorize(id.as_bytes(), key.public().0, root);
        let further = owners.iter().map(|owner| further(owner).unwrap());
        let owners = std::iter::once(self.identity.authorization().unwrap()).chain(further).collect();
        let (relays, payload) = (read.user().relays().to_vec(), read.user().payload().clone());
        let user = ContactData::new(agent::version::AGENT, false, owners, relays, payload).unwrap();
        let fixed = OwnFixedData::restore(link.key.clone(), found.data.fixed.clone()).unwrap();
        let data = fixed.with_user_data(&user, root, crypto::Nonce::random(&mut self.random)).unwrap();
        RetrievedLinkData { data, ..found }
    }

    /// A message that the owner signs.
    pub(crate) fn says(&mut self, event: Event) -> Vec<u8> {
        let message = Message::named(event, &mut self.random);
        self.signs(message)
    }

    pub(crate) fn signs(&self, message: Message) -> Vec<u8> {
        let key = MemberKey::from(&self.identity.owner_key);
        let group = self.identity.group_id();
        let signer = Signer { group: &group, member: &self.identity.owner_id, key: &key };
        single(signer.sign(message)).unwrap()
    }

    pub(crate) fn unsigned(&mut self, event: Event) -> Vec<u8> {
        single(Message::named(event, &mut self.random)).unwrap()
    }

    pub(crate) fn named(&mut self, event: Event) -> Message {
        Message::named(event, &mut self.random)
    }
}

pub(crate) fn id(member: &str) -> MemberId {
    MemberId::from_bytes(member.as_bytes()).unwrap()
}

/// What a fake agent was told to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Done {
    Answered(ConnectionName, Event),
    /// The same for a request at a relay link.
    AnsweredAtLink(ConnectionName, Event),
    Created(ServiceId, ContactShortLink),
    Sent(ConnectionName, Vec<Event>),
    Deleted(ConnectionName, Delivery),
    Dismissed(u64),
    Asked(ServiceId),
}

/// What servers return for a group link.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    Data(Box<RetrievedLinkData>),
    Nothing,
    Unreachable,
}

pub(crate) struct Bench {
    pub(crate) relay: Relay,
    pub(crate) settings: RelaySettings,
    pub(crate) now: Time,
    pub(crate) found: BTreeMap<String, Found>,
    pub(crate) can_create: bool,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) done: Vec<Done>,
    pub(crate) events: Vec<RelayEvent>,
    pub(crate) log: Vec<LogEntry>,
    pub(crate) kept: BTreeMap<RecordKey, Zeroizing<Vec<u8>>>,
    /// Requests that the agent keeps until they are answered or dismissed.
    pub(crate) waiting: BTreeSet<u64>,
    pub(crate) random: SeededRandom,
    next_request: u64,
}

pub(crate) fn identity() -> RelayIdentity {
    let profile =
        RelayProfile { display_name: "Relay".to_owned(), full_name: String::new(), short_descr: None, image: None };
    RelayIdentity { address_key: Ed25519PrivateKey::from_seed([3; 32]).into(), profile, credentials: None }
}

pub(crate) fn settings() -> RelaySettings {
    RelaySettings::new(NonEmpty::one(SERVER.parse().unwrap()))
}

impl Bench {
    pub(crate) fn new() -> Self {
        Bench::with(settings())
    }

    pub(crate) fn with(settings: RelaySettings) -> Self {
        Bench {
            relay: Relay::new(identity(), settings.clone()),
            settings,
            now: Time::from_millis(START),
            found: BTreeMap::new(),
            can_create: true,
            verdict: None,
            done: Vec::new(),
            events: Vec::new(),
            log: Vec::new(),
            kept: BTreeMap::new(),
            waiting: BTreeSet::new(),
            random: random("bench"),
            next_request: 1,
        }
    }

    /// Makes what changed durable.
    fn keep(&mut self) {
        for change in self.relay.take_changes() {
            match (change.key, change.value) {
                (RecordKey::Log(..), Some(line)) => self.log.push(serde_json::from_slice(&line).unwrap()),
                (key, Some(value)) => drop(self.kept.insert(key, value)),
                (key, None) => drop(self.kept.remove(&key)),
            }
        }
    }

    /// Kills the relay and starts it again from what was durable.
    pub(crate) fn restart(&mut self) {
        self.relay = Relay::load(identity(), self.settings.clone(), self.kept.clone()).unwrap();
    }

    pub(crate) fn step(&mut self, step: impl FnOnce(&mut Relay, &mut Env<'_>) -> Vec<RelayEvent>) {
        let events = step(&mut self.relay, &mut Env { now: self.now, random: &mut self.random });
        self.events.extend(events);
        self.keep();
    }

    /// Servers have the owner's link data.
    pub(crate) fn serve(&mut self, owner: &Owner) {
        self.found.insert(owner.short_link().to_string(), Found::Data(owner.data().into()));
    }

    pub(crate) fn lose(&mut self, owner: &Owner, found: Found) {
        self.found.insert(owner.short_link().to_string(), found);
    }

    /// Runs one task with the outcome that the world has for it.
    pub(crate) fn run_task(&mut self, id: &TaskId) {
        let task = self.relay.task(id, &mut Env { now: self.now, random: &mut self.random }).unwrap();
        let outcome = match task {
            Task::ReadLink { link, link_id } => {
                assert_eq!(link_id, link.derive().0);
                match self.found.get(&link.to_string()) {
                    Some(Found::Data(data)) => Outcome::LinkData(data.clone()),
                    Some(Found::Unreachable) => Outcome::Unreachable,
                    Some(Found::Nothing) | None => Outcome::NoLink,
                }
            }
            Task::AskPolicy(question) => {
                self.done.push(Done::Asked(question.service));
                self.verdict.clone().map_or(Outcome::Unreachable, Outcome::Verdict)
            }
            Task::CreateLink { connection, link, data, .. } if self.can_create => {
                let ConnectionName::Link(service) = connection else { panic!("a link") };
                let short = link
                    .fixed()
                    .short_link(agent::short_link::ContactKind::Group, agent::short_link::LinkScheme::Https);
                let read = RetrievedLinkData { sender_id: link.sender_id().clone(), data };
                self.found.insert(short.to_string(), Found::Data(read.into()));
                self.done.push(Done::Created(service, short));
                Outcome::Done
            }
            Task::CreateLink { .. } => Outcome::Unreachable,
            Task::Answer { at, request, connection, info, .. } => {
                let event = ConnectionInfo::parse(&info).unwrap().event().clone();
                match at {
                    ConnectionName::Link(_) => self.done.push(Done::AnsweredAtLink(connection, event)),
                    _ => {
                        self.waiting.remove(&request);
                        self.done.push(Done::Answered(connection, event));
                    }
                }
                Outcome::Done
            }
            Task::Dismiss(request) => {
                self.waiting.remove(&request);
                self.done.push(Done::Dismissed(request));
                Outcome::Done
            }
            Task::Send { connection, body } => {
                self.done.push(Done::Sent(connection, events_of(&body)));
                Outcome::Done
            }
            Task::DeleteConnection(connection, delivery) => {
                self.done.push(Done::Deleted(connection, delivery));
                Outcome::Done
            }
        };
        self.step(|relay, env| relay.finish(id, outcome, env));
    }

    /// Runs everything that is due, until nothing is.
    pub(crate) fn run(&mut self) {
        for _ in 0..1_000 {
            match self.relay.due(self.now).first().copied() {
                Some(task) => self.run_task(&task),
                None => return,
            }
        }
        panic!("tasks never end: {:?}", self.relay.due(self.now));
    }

    /// Lets time pass as a service does: from one thing that is due to the next.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        self.run();
        while let Some(next) = self.relay.next_due(self.now).filter(|next| *next <= end) {
            self.now = next;
            self.step(Relay::elapsed);
            self.run();
        }
        self.now = end;
        self.step(Relay::elapsed);
        self.run();
    }

    pub(crate) fn request(&mut self, event: Event) -> u64 {
        let info = ConnectionInfo::unsigned(event).to_bytes().unwrap();
        self.request_bytes(&info)
    }

    pub(crate) fn request_bytes(&mut self, info: &[u8]) -> u64 {
        let request = self.next_request;
        self.next_request += 1;
        self.waiting.insert(request);
        self.step(|relay, env| relay.requested(request, info, env));
        request
    }

    pub(crate) fn invite(&mut self, invitation: GroupRelayInvitation) -> u64 {
        self.request(Event::GroupRelayInvite(RelayInvite { group_relay_invitation: invitation.into() }))
    }

    pub(crate) fn receive(&mut self, connection: ConnectionName, body: &[u8]) {
        self.step(|relay, env| relay.received(&connection, 1_700_000_002, body, env));
        self.run();
    }

    /// Invites, accepts, connects: the service, its owner's connection and its relay link.
    pub(crate) fn accept(&mut self, owner: &Owner, member: &str) -> (ServiceId, ConnectionName, ContactShortLink) {
        self.serve(owner);
        self.invite(owner.invitation(member));
        self.run();
        let (connection, link) = self.last_accepted().expect("accepted");
        let ConnectionName::Owner(service, _) = connection else { panic!("an owner") };
        let ok = ConnectionInfo::unsigned(Event::Ok).to_bytes().unwrap();
        self.step(|relay, env| relay.informed(&connection, &ok, env));
        self.step(|relay, env| relay.connected(&connection, env));
        self.run();
        assert_eq!(self.status(service), Status::Accepted);
        (service, connection, link)
    }

    /// Accepted, and listed in the group link.
    pub(crate) fn activate(
        &mut self,
        owner: &mut Owner,
        member: &str,
    ) -> (ServiceId, ConnectionName, ContactShortLink) {
        let (service, connection, link) = self.accept(owner, member);
        owner.publish(std::slice::from_ref(&link));
        self.serve(owner);
        self.pass(Duration::from_secs(20 * 60));
        assert_eq!(self.status(service), Status::Active);
        (service, connection, link)
    }

    pub(crate) fn status(&self, service: ServiceId) -> Status {
        self.relay.service(service).unwrap().status().clone()
    }

    /// The answer that was given last, if the relay accepted.
    pub(crate) fn last_accepted(&self) -> Option<(ConnectionName, ContactShortLink)> {
        match self.done.iter().rev().find(|done| matches!(done, Done::Answered(..))) {
            Some(Done::Answered(connection, Event::GroupRelayAccept(RelayAccept { relay_link, .. }))) => {
                Some((*connection, relay_link.parse().unwrap()))
            }
            _ => None,
        }
    }

    /// The reason that was given last, if the relay refused.
    pub(crate) fn last_rejected(&self) -> Option<RejectionReason> {
        match self.done.iter().rev().find(|done| matches!(done, Done::Answered(..))) {
            Some(Done::Answered(_, Event::GroupRelayReject(reject))) => Some(reject.reason.clone()),
            _ => None,
        }
    }

    pub(crate) fn created(&self) -> Vec<ContactShortLink> {
        let created = |done: &Done| match done {
            Done::Created(_, link) => Some(link.clone()),
            _ => None,
        };
        self.done.iter().filter_map(created).collect()
    }

    pub(crate) fn sent(&self) -> Vec<(ConnectionName, Event)> {
        let sent = |done: &Done| match done {
            Done::Sent(connection, events) => Some(events.iter().map(|event| (*connection, event.clone())).collect()),
            _ => None,
        };
        self.done.iter().filter_map(sent).flat_map(|events: Vec<_>| events).collect()
    }

    pub(crate) fn deleted(&self) -> Vec<ConnectionName> {
        let deleted = |done: &Done| match done {
            Done::Deleted(connection, _) => Some(*connection),
            _ => None,
        };
        self.done.iter().filter_map(deleted).collect()
    }

    pub(crate) fn services(&self) -> usize {
        self.relay.services().count()
    }
}

pub(crate) fn events_of(body: &[u8]) -> Vec<Event> {
    let event = |element: &Element| match element {
        Element::Message(authored) => authored.message().event.clone(),
        other => panic!("{other:?}"),
    };
    Batch::parse(body).unwrap().elements().map(event).collect()
}

pub(crate) fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

pub(crate) fn hours(count: u64) -> Duration {
    minutes(60 * count)
}

impl Owner {
    /// The same group with another link.
    pub(crate) fn relinked(owner: &Owner, step: &str) -> Self {
        let profile = GroupProfile::named("Walks");
        Owner::of(owner.identity.clone(), "smp.example.org", GroupType::Channel, profile, random(step))
    }

    /// A group link of the owner that says something else: another group in the profile, or no entity ID.
    pub(crate) fn forged(
        name: &str,
        named: Option<group::identity::GroupId>,
        entity_id: bool,
    ) -> (ContactShortLink, RetrievedLinkData) {
        let owner = Owner::new(name).identity;
        let mut random = random("forged");
        let request = ContactLinkRequest {
            server: SERVER.parse::<smp::address::ServerWithPassword>().unwrap().address,
            entity_id: owner.group_id().to_entity_id().filter(|_| entity_id),
            tail: vec![],
            client_data: None,
            agent_versions: agent::version::AGENT,
            client_versions: agent::version::SMP_CLIENT,
        };
        let root = owner.root_key.signing_key();
        let prepared = PreparedContactLink::prepare(request, root, LinkSecrets::random(&mut random)).unwrap();
        let link = prepared.fixed().short_link(ContactKind::Channel, LinkScheme::Https);
        let public_group_id = codec::text::base64url(named.unwrap_or(owner.group_id()).as_bytes());
        let json = json!({"groupProfile": {"displayName": name, "fullName": "", "publicGroup": {
            "groupType": "channel", "groupLink": link.to_string(), "publicGroupId": public_group_id}}});
        let payload = Payload::new(json.to_string()).unwrap();
        let owners = vec![owner.authorization().unwrap()];
        let user = ContactData::new(agent::version::AGENT, false, owners, vec![], payload).unwrap();
        let data = prepared.fixed().with_user_data(&user, root, crypto::Nonce([3; 24])).unwrap();
        (link, RetrievedLinkData { sender_id: prepared.sender_id().clone(), data })
    }
}
