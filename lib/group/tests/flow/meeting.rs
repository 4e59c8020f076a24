//! Two owners, one relay with the rows of its members, and a member, each with its own machine: they share nothing but
//! what goes through connections, and what stands on servers.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use agent::link_read::RetrievedLinkData;
use agent::non_empty::NonEmpty;
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use agent::time::{Env, Time};
use crypto::SeededRandom;
use crypto::sign::Ed25519PrivateKey;
use group::document::GroupDocument;
use group::event::Event as ChatEvent;
use group::identity::MemberId;
use group::membership::{self, Change, Membership, RecordError, RecordKey, Records, Saying, Speech, Voice};
use group::owner::{self, GroupOwner, Persona};
use group::profile::{GroupProfile, GroupType};
use group::relay::members::{AnswerOutcome, HandoverOutcome, Members, next_dispatch};
use group::relay::{self, ConnectionName as End, Relay, RelayIdentity, RelaySettings, ServiceId};
use group::step::keygen::keygen;
use group::step::link_create::{GroupLinkRequest, PreparedGroupLink};
use group::step::link_verify::verify_group_link;
use group::step::owner_add::Handover;
use group::step::owner_request::OwnerCandidate;
use group::user_data::RelayProfile;
use smp::command::QueueRequest;
use smp::id::SenderId;
use smp::response::QueueIds;

use crate::memory::Memory as Rows;
use crate::world::server;

/// More rounds than anything takes.
const ROUNDS: usize = 10_000;

#[derive(Default)]
struct Kept(BTreeMap<RecordKey, Vec<u8>>);

impl Kept {
    fn write(&mut self, changes: Vec<Change>) {
        self.0.extend(changes.into_iter().map(|change| (change.key, change.value)));
    }
}

impl Records for Kept {
    fn read(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, RecordError> {
        Ok(self.0.get(key).cloned())
    }
}

/// Who sits at the other end of the relay's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Owner(usize),
    Member,
}

/// An owner with its own machine.
pub(crate) struct Seat {
    pub(crate) owner: GroupOwner,
    kept: Kept,
    random: SeededRandom,
    pub(crate) events: Vec<owner::Event>,
}

impl Seat {
    fn new(owner: GroupOwner, name: &str) -> Self {
        let random = SeededRandom::new(&[5; 32], name);
        Seat { owner, kept: Kept::default(), random, events: Vec::new() }
    }

    pub(crate) fn id(&self) -> MemberId {
        self.owner.link().group().ownership().owner_id.clone()
    }

    /// What was said, and by whom.
    pub(crate) fn heard(&self) -> Vec<(Option<MemberId>, String)> {
        let heard = |event: &owner::Event| match event {
            owner::Event::Group(event) => said(event),
            _ => None,
        };
        self.events.iter().filter_map(heard).collect()
    }
}

fn said(event: &membership::Event) -> Option<(Option<MemberId>, String)> {
    let membership::Event::Heard(heard) = event else { return None };
    let ChatEvent::MessageNew(new) = heard.event() else { return None };
    Some((heard.author().cloned(), new.content.as_text()?.to_owned()))
}

pub(crate) fn post(text: &str, signed: bool) -> Speech {
    let what = Saying::Post {
        content: group::content::Content::text(text),
        mentions: Default::default(),
        reply_to: None,
        file: None,
        ttl: None,
    };
    Speech { what, voice: Voice::Oneself, signed, scope: None, id: None }
}

pub(crate) struct Meeting {
    pub(crate) seats: Vec<Seat>,
    pub(crate) relay: Relay,
    rows: Rows,
    before: Option<group::relay::members::DispatchKind>,
    member: Option<(Membership, Kept, SeededRandom, Vec<membership::Event>)>,
    address: ContactShortLink,
    /// Link data by the text of the link.
    links: HashMap<String, RetrievedLinkData>,
    /// Requests: at the address those of owners, at the relay link everybody's.
    requests: BTreeMap<(bool, u64), (Who, owner::ConnectionName)>,
    next_request: u64,
    ends: BTreeMap<End, (Who, owner::ConnectionName)>,
    /// What the relay says, on its way.
    letters: Vec<(End, Vec<u8>)>,
    next_message: u64,
    now: Time,
    random: SeededRandom,
}

impl Meeting {
    /// The first owner, and a relay that serves its group.
    pub(crate) fn new() -> Self {
        let mut random = SeededRandom::new(&[12; 32], "meeting");
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
            sender_id,
            dh_key: crypto::dh::X25519PrivateKey::from_bytes([8; 32]).public(),
            mode: None,
            link_id: Some(link_id),
            service_id: None,
            notifier: None,
        };
        let owner = GroupOwner::from(prepared.confirm(&created, 1_700_000_000).unwrap());
        let profile =
            RelayProfile { display_name: "Relay".to_owned(), full_name: String::new(), short_descr: None, image: None };
        let address_key = Ed25519PrivateKey::generate(&mut random).into();
        let identity = RelayIdentity { address_key, profile, credentials: None };
        let at = server("relay.example.org");
        let address = identity.address(&at, &mut random).unwrap();
        let sender_id = address.prepared.sender_id().clone();
        let data = RetrievedLinkData { sender_id, data: address.data };
        let mut meeting = Meeting {
            seats: vec![Seat::new(owner, "first")],
            relay: Relay::new(identity, RelaySettings::new(NonEmpty::one(at))),
            rows: Rows::default(),
            before: None,
            member: None,
            links: HashMap::from([(address.link.to_string(), data)]),
            address: address.link,
            requests: BTreeMap::new(),
            next_request: 1,
            ends: BTreeMap::new(),
            letters: Vec::new(),
            next_message: 1,
            now: Time::from_millis(1_700_000_000_000),
            random,
        };
        let owner = &meeting.seats[0].owner;
        let correlation_id = GroupDocument::from(owner).queue.correlation_id;
        let group = owner.link().group();
        let data = group.written().data.clone();
        let found = RetrievedLinkData { sender_id: SenderId::from_corr_id(&correlation_id), data };
        meeting.links.insert(group.short_link().to_string(), found);
        meeting.introduce(0);
        let address = meeting.address.clone();
        meeting.with(0, |owner, env| owner.invite(address, env).map(|_| Vec::new()));
        meeting.pass(Duration::from_secs(20 * 60));
        assert_eq!(meeting.seats[0].owner.relays()[0].status(), owner::Status::Active);
        meeting
    }

    fn introduce(&mut self, seat: usize) {
        self.with(seat, |owner, env| {
            let persona = Persona::random(server("owner.example.org"), env.random);
            owner.introduce(persona).map(|()| Vec::new())
        });
    }

    /// The first owner lets another one in.
    pub(crate) fn appoint(&mut self) {
        let group_id = self.seats[0].owner.link().group().group_id();
        let candidate = OwnerCandidate::new(group_id, &mut self.random);
        let request = candidate.request().verify().unwrap();
        self.with(0, |owner, env| owner.appoint(&request, env).map(|()| Vec::new()));
        self.work();
        let handover = Handover::seal(&self.seats[0].owner, &request, &mut self.random).unwrap();
        let opened = candidate.open(handover).unwrap();
        let found = self.links[&opened.link().to_string()].clone();
        let owner = opened.accept(found, 1_700_000_000).unwrap();
        self.seats.push(Seat::new(owner, "second"));
        self.introduce(1);
    }

    pub(crate) fn with(
        &mut self,
        seat: usize,
        step: impl FnOnce(&mut GroupOwner, &mut Env<'_>) -> Result<Vec<owner::Event>, owner::OwnerError>,
    ) {
        let seat = &mut self.seats[seat];
        let events = step(&mut seat.owner, &mut Env { now: self.now, random: &mut seat.random }).unwrap();
        seat.events.extend(events);
    }

    pub(crate) fn say(&mut self, seat: usize, speech: &Speech) {
        let Seat { owner, kept, random, .. } = &mut self.seats[seat];
        let said = owner.say(speech, kept, &mut Env { now: self.now, random }).unwrap();
        kept.write(said.changes);
        self.work();
    }

    /// The owner's process ends and begins again with what it wrote.
    pub(crate) fn restart(&mut self, seat: usize) {
        let document = serde_json::to_string(&GroupDocument::from(&self.seats[seat].owner)).unwrap();
        let document: GroupDocument = serde_json::from_str(&document).unwrap();
        let group::document::GroupState::Created(owner) = document.try_into().unwrap() else { panic!("created") };
        self.seats[seat].owner = *owner;
    }

    /// Somebody joins through the relay.
    pub(crate) fn join(&mut self) {
        let link = self.seats[0].owner.link().group().short_link().clone();
        let found = self.links[&link.to_string()].clone();
        let verified = verify_group_link(link, found.clone()).unwrap();
        let mut random = SeededRandom::new(&[5; 32], "member");
        let persona = Persona::random(server("member.example.org"), &mut random);
        let mut env = Env { now: self.now, random: &mut random };
        let member = Membership::join(&verified, &found, persona, &mut env).unwrap();
        self.member = Some((member, Kept::default(), random, Vec::new()));
        self.work();
    }

    pub(crate) fn member_heard(&self) -> Vec<(Option<MemberId>, String)> {
        self.member.as_ref().unwrap().3.iter().filter_map(said).collect()
    }

    /// Relay links that everybody finds in the group link.
    pub(crate) fn listed(&self) -> Vec<String> {
        let link = self.seats[0].owner.link().group().short_link().clone();
        let read = self.links[&link.to_string()].read(&link).unwrap();
        read.user().relays().iter().map(ToString::to_string).collect()
    }

    /// Lets time pass, and does what is due.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        self.work();
        while let Some(next) = self.next_due().filter(|next| *next <= end) {
            self.now = next.max(self.now.after(Duration::from_millis(1)));
            self.on_relay(Relay::elapsed);
            for seat in 0..self.seats.len() {
                self.with(seat, |owner, env| Ok(owner.elapsed(env)));
            }
            self.work();
        }
        self.now = end;
        self.work();
    }

    fn next_due(&self) -> Option<Time> {
        let owners = self.seats.iter().filter_map(|seat| seat.owner.next_due());
        owners.chain(self.relay.next_due(self.now)).min()
    }

    /// Does everything that is due, until nothing is.
    pub(crate) fn work(&mut self) {
        for _ in 0..ROUNDS {
            let owners = (0..self.seats.len()).any(|seat| self.owner_task(seat));
            if !(owners || self.member_task() || self.relay_task() || self.dispatch() || self.deliver()) {
                return;
            }
        }
        panic!("it never ends");
    }

    /// One task of the second owner, or one of somebody else if it has to wait.
    pub(crate) fn step(&mut self) {
        let _ = self.owner_task(1) || self.relay_task() || self.dispatch() || self.deliver();
    }

    fn read(&self, link: &ContactShortLink) -> Option<Box<RetrievedLinkData>> {
        self.links.get(&link.to_string()).cloned().map(Box::new)
    }

    /// Somebody opens a connection: at the relay's address, or at its relay link.
    fn open(&mut self, who: Who, name: owner::ConnectionName, info: &[u8]) {
        let number = self.next_request;
        self.next_request += 1;
        let at_address = {
            let info = group::body::ConnectionInfo::parse(info).unwrap();
            matches!(info.event(), ChatEvent::GroupRelayInvite(_))
        };
        self.requests.insert((at_address, number), (who, name));
        if at_address {
            return self.on_relay(|relay, env| relay.requested(number, info, env));
        }
        let service = self.service();
        let mut dealt = false;
        self.on_relay(|relay, env| {
            let told = relay.owner_requested(service, number, info, env);
            dealt = told.is_some();
            told.unwrap_or_default()
        });
        if !dealt {
            self.on_members(|members| members.requested(number, info).unwrap());
        }
    }

    fn service(&self) -> ServiceId {
        self.relay.services().last().unwrap().id()
    }

    fn end_of(&self, who: Who, name: &owner::ConnectionName) -> Option<End> {
        let found = self.ends.iter().find(|(_, (of, local))| *of == who && local == name);
        found.map(|(end, _)| *end)
    }

    /// The peer has let the relay in: both sides can talk.
    fn connect(&mut self, who: Who, name: &owner::ConnectionName, info: &[u8]) {
        let Some(end) = self.end_of(who, name) else { return };
        match end {
            End::Member(..) => {
                self.on_members(|members| members.informed(&end, info).unwrap());
                self.on_members(|members| members.connected(&end).unwrap());
            }
            _ => {
                self.on_relay(|relay, env| relay.informed(&end, info, env));
                self.on_relay(|relay, env| relay.connected(&end, env));
            }
        }
    }

    fn send(&mut self, who: Who, name: &owner::ConnectionName, body: &[u8]) {
        let Some(end) = self.end_of(who, name) else { return };
        let sent_at = i64::try_from(self.now.millis() / 1000).unwrap();
        match end {
            End::Member(..) => {
                let message = self.next_message.to_be_bytes();
                self.next_message += 1;
                self.on_members(|members| members.received(&end, &message, sent_at, body).unwrap());
            }
            _ => self.on_relay(|relay, env| relay.received(&end, sent_at, body, env)),
        }
    }

    fn owner_task(&mut self, seat: usize) -> bool {
        let now = self.now;
        let owner = &mut self.seats[seat].owner;
        let Some(id) = owner.due(now).first().cloned() else { return false };
        let outcome = match owner.task(&id).unwrap() {
            owner::Task::ReadLink(link) => match self.read(&link) {
                Some(data) => owner::Outcome::Retrieved(data),
                None => owner::Outcome::Refused("AUTH".to_owned()),
            },
            owner::Task::Open { connection, info, .. } => {
                self.with(seat, |owner, env| owner.finish(&id, owner::Outcome::Done, env));
                self.open(Who::Owner(seat), connection, &info);
                return true;
            }
            owner::Task::Allow { connection, info } => {
                self.with(seat, |owner, env| owner.finish(&id, owner::Outcome::Done, env));
                self.connect(Who::Owner(seat), &connection, &info);
                self.with(seat, |owner, env| owner.connected(&connection, env));
                return true;
            }
            owner::Task::Send { connection, bodies } => {
                bodies.iter().for_each(|body| self.send(Who::Owner(seat), &connection, body));
                owner::Outcome::Done
            }
            owner::Task::Delete { connection, .. } => {
                if let Some(end) = self.end_of(Who::Owner(seat), &connection) {
                    self.ends.remove(&end);
                }
                owner::Outcome::Done
            }
            owner::Task::WriteLink(write) => {
                let link = self.seats[seat].owner.link().group().short_link().to_string();
                self.links.get_mut(&link).unwrap().data = write.data;
                owner::Outcome::Written(write.version)
            }
            owner::Task::SetQueueKeys(_) | owner::Task::DeleteLink(_) => owner::Outcome::Done,
        };
        self.with(seat, |owner, env| owner.finish(&id, outcome, env));
        true
    }

    fn member_task(&mut self) -> bool {
        let now = self.now;
        let Some((member, ..)) = &mut self.member else { return false };
        let Some(id) = member.due(now).first().cloned() else { return false };
        let mut connected = None;
        let outcome = match member.task(&id).unwrap() {
            membership::Task::ReadLink(link) => match self.read(&link) {
                Some(data) => membership::Outcome::Retrieved(data),
                None => membership::Outcome::Refused("AUTH".to_owned()),
            },
            membership::Task::Open { connection, info, .. } => {
                self.open(Who::Member, connection, &info);
                membership::Outcome::Done
            }
            membership::Task::Allow { connection, info } => {
                self.connect(Who::Member, &connection, &info);
                connected = Some(connection);
                membership::Outcome::Done
            }
            membership::Task::Send { connection, body } => {
                self.send(Who::Member, &connection, &body);
                membership::Outcome::Done
            }
            membership::Task::Delete { .. } => membership::Outcome::Done,
        };
        let (member, _, random, told) = self.member.as_mut().unwrap();
        let mut env = Env { now, random };
        told.extend(member.finish(&id, outcome, &mut env).unwrap());
        if let Some(connection) = connected {
            told.extend(member.connected(&connection, &mut env).unwrap());
        }
        true
    }

    fn on_relay(&mut self, step: impl FnOnce(&mut Relay, &mut Env<'_>) -> Vec<relay::Event>) {
        let events = step(&mut self.relay, &mut Env { now: self.now, random: &mut self.random });
        self.relay.take_changes();
        for event in events {
            match event {
                relay::Event::ToForward { message, sent_at, .. } => {
                    self.on_members(|members| members.owner_said(&message, sent_at).unwrap());
                }
                relay::Event::OwnerConnected { owner, connection, max_version, .. } => {
                    self.on_members(|members| members.owner_connected(&owner, connection, max_version).unwrap());
                }
                relay::Event::OwnerLost { owner, connection, .. } => {
                    self.on_members(|members| members.owner_lost(&owner, connection).unwrap());
                }
                relay::Event::RosterChanged(_) => self.on_members(|members| members.roster_changed().unwrap()),
                _ => {}
            }
        }
    }

    fn on_members(&mut self, step: impl FnOnce(&mut Members<'_, '_, Rows>)) {
        let Some(view) = self.relay.view(self.service()) else { return };
        let mut env = Env { now: self.now, random: &mut self.random };
        step(&mut Members::new(&view, &mut self.rows, &mut env));
    }

    fn relay_task(&mut self) -> bool {
        let Some(id) = self.relay.due(self.now).first().copied() else { return false };
        let task = self.relay.task(&id, &mut Env { now: self.now, random: &mut self.random });
        let outcome = match task.unwrap() {
            relay::Task::ReadLink { link, .. } => match self.read(&link) {
                Some(data) => relay::Outcome::LinkData(data),
                None => relay::Outcome::NoLink,
            },
            relay::Task::CreateLink { link, data, .. } => {
                let short = link.fixed().short_link(ContactKind::Group, LinkScheme::Https);
                let read = RetrievedLinkData { sender_id: link.sender_id().clone(), data };
                self.links.insert(short.to_string(), read);
                relay::Outcome::Done
            }
            relay::Task::Answer { at, request, connection, info, .. } => {
                self.answered((at == End::Address, request), connection, &info);
                relay::Outcome::Done
            }
            relay::Task::Send { connection, body } => {
                self.letters.push((connection, body));
                relay::Outcome::Done
            }
            relay::Task::DeleteConnection(connection, _) => {
                self.ends.remove(&connection);
                relay::Outcome::Done
            }
            relay::Task::Dismiss(_) | relay::Task::AskPolicy(_) => relay::Outcome::Done,
        };
        self.on_relay(|relay, env| relay.finish(&id, outcome, env));
        true
    }

    /// The relay has accepted a request.
    fn answered(&mut self, request: (bool, u64), end: End, info: &[u8]) {
        let Some((who, name)) = self.requests.remove(&request) else { return };
        self.ends.insert(end, (who, name.clone()));
        match who {
            Who::Owner(seat) => self.with(seat, |owner, env| owner.answered(&name, info, env)),
            Who::Member => {
                let now = self.now;
                let (member, _, random, told) = self.member.as_mut().unwrap();
                told.extend(member.answered(&name, info, &mut Env { now, random }).unwrap());
            }
        }
    }

    /// What the relay forwards.
    fn dispatch(&mut self) -> bool {
        let Some(service) = self.relay.services().last().map(group::relay::Service::id) else { return false };
        let view = self.relay.view(service);
        let work = next_dispatch(service, view.as_ref(), &self.rows, self.now, self.before).unwrap();
        let Some(work) = work else { return false };
        self.before = Some(work.dispatch.kind);
        for answer in &work.answers {
            self.answered((false, answer.request), answer.connection, &answer.info);
            answer.settle(AnswerOutcome::Done, &mut self.rows, self.now).unwrap();
        }
        let mut outcomes = Vec::new();
        for handover in &work.dispatch.handovers {
            let there = self.ends.contains_key(&handover.connection);
            outcomes.push(if there { HandoverOutcome::Taken } else { HandoverOutcome::Gone });
            self.letters.extend(handover.bodies.iter().map(|body| (handover.connection, body.clone())));
            if handover.deletion.is_some() {
                self.ends.remove(&handover.connection);
            }
        }
        let dispatch = &work.dispatch;
        dispatch.settlement.settle(&dispatch.handovers, &outcomes, &mut self.rows, self.now).unwrap();
        true
    }

    fn deliver(&mut self) -> bool {
        if self.letters.is_empty() {
            return false;
        }
        let (end, body) = self.letters.remove(0);
        let Some((who, name)) = self.ends.get(&end).cloned() else { return true };
        let now = self.now;
        match who {
            Who::Owner(seat) => {
                let Seat { owner, kept, random, events } = &mut self.seats[seat];
                let received = owner.received(&name, &body, kept, &mut Env { now, random }).unwrap();
                kept.write(received.changes);
                events.extend(received.events);
            }
            Who::Member => {
                let (member, kept, random, told) = self.member.as_mut().unwrap();
                let received = member.received(&name, &body, kept, &mut Env { now, random }).unwrap();
                kept.write(received.changes);
                told.extend(received.events);
            }
        }
        true
    }
}
