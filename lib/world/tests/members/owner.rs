//! An owner's program: it runs the tasks of its machine as the tools do, and says what the plan wants.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::connection::Delivery;
use agent::link_read::RetrievedLinkData;
use agent::time::{Env, Time};
use group::content::{Content, Reaction};
use group::document::{GroupDocument, GroupState};
use group::identity::{MemberId, MemberPublicKey};
use group::member::Role;
use group::membership::{Assurance, MessageRecord, Order, RecordError, RecordKey, Records, Saying, Speech, Voice};
use group::message_id::MessageId;
use group::owner::{ConnectionName, Event, GroupOwner, Outcome, OwnerError, Persona, Received, Removal, Task, TaskId};
use group::profile::{GroupProfile, GroupType};
use group::step::keygen::keygen;
use group::step::link_create::{GroupLinkRequest, PreparedGroupLink};
use smp::command::QueueRequest;
use smp::id::SenderId;
use smp::response::QueueIds;
use world::Dice;

use crate::checks::Reader;
use crate::links::Found;
use crate::pipes::{Client, Letter, PipeId, Way};
use crate::plan::{Deed, Rank, What, Words};
use crate::stage::{Fate, Host, Party, Stage, seconds, server};
use crate::truth::{Kind, Utterance};

/// Tasks that one turn of a program does at most.
pub(crate) const TASKS: usize = 10_000;

/// Joiners get what was said before.
const HISTORY: &str = r#"{"history":{"enable":"on"}}"#;

/// Marks of what was said are not written more often.
const BETWEEN_MARKS: Duration = Duration::from_secs(60);

/// Records as they are on disk.
#[derive(Clone, Default)]
pub(crate) struct Disk(pub(crate) BTreeMap<RecordKey, Vec<u8>>);

impl Records for Disk {
    fn read(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, RecordError> {
        Ok(self.0.get(key).cloned())
    }
}

impl Disk {
    pub(crate) fn write(&mut self, changes: Vec<group::membership::Change>) {
        self.0.extend(changes.into_iter().map(|change| (change.key, change.value)));
    }

    /// What is kept of a message.
    pub(crate) fn message(&self, id: &MessageId) -> Option<MessageRecord> {
        let key = RecordKey::Message(id.clone());
        self.0.get(&key).map(|bytes| MessageRecord::parse(&key, bytes).expect("our own record"))
    }
}

pub(crate) struct Owner {
    pub(crate) id: MemberId,
    pub(crate) machine: GroupOwner,
    pub(crate) disk: Disk,
    pub(crate) host: Host,
    /// When it last published how much was said.
    marked_at: Option<Time>,
    /// What it was shown.
    pub(crate) reader: Reader,
}

impl Owner {
    /// As another run reads it from its file.
    pub(crate) fn reload(&mut self, now: Time) {
        let text = serde_json::to_vec(&GroupDocument::from(&self.machine)).expect("a document");
        let document: GroupDocument = serde_json::from_slice(&text).expect("our own document");
        let GroupState::Created(machine) = GroupState::try_from(document).expect("a consistent document") else {
            panic!("the link exists")
        };
        self.machine = *machine;
        self.machine.open(now);
    }
}

fn role(rank: Rank) -> Role {
    match rank {
        Rank::Observer => Role::Observer,
        Rank::Author => Role::Author,
        Rank::Member => Role::Member,
        Rank::Moderator => Role::Moderator,
        Rank::Admin => Role::Admin,
    }
}

impl Stage {
    /// The first owner creates the group link.
    pub(crate) fn found_group(&mut self) {
        let created_at = seconds(self.now);
        let group_preferences = self.plan.history.then(|| serde_json::from_str(HISTORY).expect("preferences"));
        let profile = GroupProfile { group_preferences: group_preferences.flatten(), ..GroupProfile::named("Walks") };
        let request = GroupLinkRequest { group_type: GroupType::Channel, profile, server: server("group.example.org") };
        let identity = keygen(&mut self.random);
        let id = identity.owner_id.clone();
        let prepared = PreparedGroupLink::prepare(identity, request, created_at, &mut self.random).expect("a link");
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
        let link = prepared.confirm(&created, created_at).expect("the link that was prepared");
        let (short, data) = (link.group().short_link().clone(), link.group().written().data.clone());
        self.links.put_group(&short, RetrievedLinkData { sender_id, data });
        self.truth.profiles.push(link.group().contents().profile.clone());
        self.truth.people.insert(id.clone(), Client::Owner(0));
        let mut machine = GroupOwner::from(link);
        let persona = Persona::random(server("receive.example.org"), &mut self.random);
        machine.introduce(persona).expect("the first time");
        self.owners.push(Owner {
            id,
            machine,
            disk: Disk::default(),
            host: Host::default(),
            marked_at: None,
            reader: Reader::default(),
        });
    }

    pub(crate) fn owner_works(&mut self, number: usize) -> Option<Time> {
        let mut env = Env { now: self.now, random: &mut self.random };
        let events = self.owners[number].machine.elapsed(&mut env);
        self.owner_told(number, None, events);
        for _ in 0..TASKS {
            let Some(id) = self.owners[number].machine.due(self.now).first().cloned() else {
                let next = self.mark_transcript(number);
                if self.owners[number].machine.due(self.now).is_empty() {
                    return self.owners[number].machine.next_due().into_iter().chain(next).min();
                }
                continue;
            };
            let outcome = match self.fails() {
                true => Outcome::Unreachable("the network is gone".to_owned()),
                false => self.owner_task(number, &id),
            };
            let fate = self.fate();
            if fate != Fate::Before {
                self.owner_step(number, |owner, env| owner.finish(&id, outcome, env));
            }
            if fate != Fate::Calm {
                self.crash(Party::Owner(number));
                return None;
            }
        }
        self.violate(format_args!("tasks of owner {number} without end"));
        None
    }

    /// The owner publishes how much was said, as seldom as the tools do; when it may again, if there is more by then.
    fn mark_transcript(&mut self, number: usize) -> Option<Time> {
        let Owner { machine, marked_at, .. } = &mut self.owners[number];
        let next = marked_at.map(|at: Time| at.after(BETWEEN_MARKS)).filter(|next| *next > self.now);
        if !machine.ledger().has_unmarked() || next.is_some() {
            return next.filter(|_| machine.ledger().has_unmarked());
        }
        *marked_at = Some(self.now);
        let mut env = Env { now: self.now, random: &mut self.random };
        let events = machine.mark_transcript(&mut env);
        self.owner_told(number, None, events);
        None
    }

    fn owner_step<T>(
        &mut self,
        number: usize,
        step: impl FnOnce(&mut GroupOwner, &mut Env<'_>) -> Result<T, OwnerError>,
    ) -> Option<T> {
        let mut env = Env { now: self.now, random: &mut self.random };
        match step(&mut self.owners[number].machine, &mut env) {
            Ok(done) => Some(done),
            Err(OwnerError::UnknownConnection(_)) => None,
            Err(error) => {
                self.violate(format_args!("the machine of owner {number}: {error}"));
                None
            }
        }
    }

    fn owner_task(&mut self, number: usize, id: &TaskId) -> Outcome {
        let client = Client::Owner(number);
        match self.owners[number].machine.task(id).expect("a task that is due") {
            Task::ReadLink(link) => match self.links.read(&link) {
                Found::Data(data) => Outcome::Retrieved(data),
                Found::Nothing => Outcome::Refused("no such link".to_owned()),
                Found::Unreachable => Outcome::Unreachable("no answer".to_owned()),
            },
            Task::Open { connection, link, info, .. } => {
                match self.open(client, &connection, &link.request().first_queue().address.sender_id, info) {
                    true => Outcome::Done,
                    false => Outcome::Refused("no such queue".to_owned()),
                }
            }
            Task::Allow { connection, info } => {
                self.allow(client, &connection, info);
                Outcome::Done
            }
            Task::Send { connection, bodies } => {
                let author = self.owners[number].id.clone();
                for body in bodies {
                    self.truth.note_signed(&author, &body, self.now);
                    self.send(client, &connection, body);
                }
                Outcome::Done
            }
            Task::Delete { connection, delivery } => {
                self.leave(client, &connection, delivery);
                Outcome::Done
            }
            Task::SetQueueKeys(_) => Outcome::Done,
            Task::DeleteLink(_) => panic!("nobody ends the group"),
            Task::WriteLink(write) => {
                let link = self.owners[number].machine.link().group().short_link().clone();
                let sender_id = self.links.group().sender_id;
                self.links.put_group(&link, RetrievedLinkData { sender_id, data: write.data });
                self.note(format_args!("owner {number} writes the group link"));
                Outcome::Written(write.version)
            }
        }
    }

    /// A client opens a connection, unless it did before; whether there is somebody to ask.
    pub(crate) fn open(&mut self, client: Client, name: &ConnectionName, sender: &SenderId, info: Vec<u8>) -> bool {
        if self.pipes.of_client(client, name).is_some() {
            return true;
        }
        let Some(door) = self.pipes.door(sender) else { return false };
        let pipe = self.pipes.open(client, name, door);
        self.post(pipe, Way::ToRelay, Letter::Request(info));
        true
    }

    pub(crate) fn allow(&mut self, client: Client, name: &ConnectionName, info: Vec<u8>) {
        let id = self.pipes.of_client(client, name).expect("a connection");
        if !std::mem::replace(&mut self.pipes.all[id].allowed, true) {
            self.post(id, Way::ToRelay, Letter::Allowed(info));
        }
    }

    pub(crate) fn send(&mut self, client: Client, name: &ConnectionName, body: Vec<u8>) {
        let id = self.pipes.of_client(client, name).expect("a connection");
        self.post(id, Way::ToRelay, Letter::Body(body));
    }

    pub(crate) fn leave(&mut self, client: Client, name: &ConnectionName, delivery: Delivery) {
        let Some(id) = self.pipes.of_client(client, name) else { return };
        let pipe = &mut self.pipes.all[id];
        pipe.left = true;
        if delivery == Delivery::Drop {
            pipe.to_relay.letters.clear();
        }
    }

    pub(crate) fn owner_takes(&mut self, number: usize, pipe: PipeId, letter: &Letter) {
        let name = self.pipes.all[pipe].name.clone();
        let disk = std::mem::take(&mut self.owners[number].disk);
        let events = |events| Received { events, changes: Vec::new() };
        let received = self.owner_step(number, |owner, env| match letter {
            Letter::Answer(info) => owner.answered(&name, info, env).map(events),
            Letter::Connected => owner.connected(&name, env).map(events),
            Letter::Body(body) => owner.received(&name, body, &disk, env),
            Letter::Lost => owner.connection_failed(&name, "the other side is gone", env).map(events),
            Letter::Request(_) | Letter::Allowed(_) => panic!("not for owners"),
        });
        self.owners[number].disk = disk;
        let Some(Received { events, changes }) = received else { return };
        self.owners[number].disk.write(changes);
        self.owner_told(number, Some(pipe), events);
    }

    fn owner_told(&mut self, number: usize, from: Option<PipeId>, events: Vec<Event>) {
        for event in events {
            if let Event::Group(event) = event {
                self.judge(Client::Owner(number), from, &event);
            }
        }
    }

    /// The owner's user wants something. Not everything is possible at all times.
    pub(crate) fn owner_does(&mut self, number: usize, deed: &Deed) {
        self.note(format_args!("owner {number}: {deed:?}"));
        match deed {
            Deed::Invite(relay) => {
                let address = self.relays[*relay].address.clone();
                let mut env = Env { now: self.now, random: &mut self.random };
                if let Ok(id) = self.owners[number].machine.invite(address, &mut env) {
                    self.truth.relay_ids.insert(id, *relay);
                }
            }
            Deed::Remove { relay, unnotified } => {
                let address = self.relays[*relay].address.clone();
                let record = self.owners[number].machine.relay_at(&address).map(|record| record.id().clone());
                let removal = Removal { last: true, unnotified: *unnotified };
                let mut env = Env { now: self.now, random: &mut self.random };
                if let Some(id) = record {
                    drop(self.owners[number].machine.remove(&id, removal, &mut env));
                }
            }
            Deed::Profile(which) => {
                let profile = GroupProfile::named(&format!("Walks {which}"));
                let before = self.owners[number].machine.link().group().contents().profile.clone();
                let GroupProfile { public_group, group_preferences, .. } = before;
                let profile = GroupProfile { public_group, group_preferences, ..profile };
                let mut env = Env { now: self.now, random: &mut self.random };
                let set = self.owners[number].machine.set_contents(profile, 1, &mut env);
                if set.is_ok() {
                    let profile = self.owners[number].machine.link().group().contents().profile.clone();
                    self.truth.profiles.push(profile);
                }
            }
            Deed::Appoint(member, rank) => self.orders(number, *member, |id, key| Order::Role {
                member: id,
                role: role(*rank),
                key: Assurance::Compared(key),
            }),
            Deed::Expel(member) => {
                self.truth.expelled.insert(*member);
                self.orders(number, *member, |id, _| Order::Remove { member: id, messages: false });
            }
            Deed::Block(member, blocked) => {
                self.orders(number, *member, |id, _| Order::Block { member: id, blocked: *blocked });
            }
            Deed::Say(words) => self.owner_says(number, words),
            Deed::Leave => panic!("owners do not leave"),
        }
        self.wake(Party::Owner(number));
    }

    /// The owner gives an order about a member, whose key it compared with that member.
    fn orders(&mut self, number: usize, member: usize, order: impl FnOnce(MemberId, MemberPublicKey) -> Order) {
        let Some(machine) = self.members[member].machine.as_ref() else { return };
        let order = order(machine.id().clone(), machine.key());
        let Owner { machine, disk, .. } = &mut self.owners[number];
        let mut env = Env { now: self.now, random: &mut self.random };
        let Ok(issued) = machine.order(&order, disk, &mut env) else { return self.count("orders that made no sense") };
        disk.write(issued.changes);
        self.owner_told(number, None, issued.events);
        self.count("orders that owners gave");
    }

    fn owner_says(&mut self, number: usize, words: &Words) {
        let client = Client::Owner(number);
        let Some((speech, kind)) = self.speech(client, words) else { return };
        let owner = &mut self.owners[number];
        let mut env = Env { now: self.now, random: &mut self.random };
        let Ok(said) = owner.machine.say(&speech, &owner.disk, &mut env) else { return self.count("unsayable words") };
        owner.disk.write(said.changes);
        let relays = said.relays.iter().filter_map(|id| self.truth.relay_ids.get(id)).copied().collect();
        self.said(client, &said.messages, relays, (&speech, kind));
    }

    /// Notes what was said.
    pub(crate) fn said(
        &mut self,
        author: Client,
        messages: &[MessageId],
        relays: Vec<usize>,
        (speech, kind): (&Speech, Kind),
    ) {
        let disk = match author {
            Client::Owner(number) => &self.owners[number].disk,
            Client::Member(number) => &self.members[number].disk,
        };
        let [id] = messages else { panic!("one message: {messages:?}") };
        let record = disk.message(id).expect("what was said is kept");
        let copy = record.kept().expect("a copy");
        let utterance = Utterance {
            author,
            kind,
            signed: copy.trust().is_verified(),
            apart: speech.scope.is_some(),
            order: 0,
            at: self.now,
            relays,
        };
        self.note(format_args!("{id} is said by {author:?}: {:?}, signed: {}", utterance.kind, utterance.signed));
        self.truth.say(id.clone(), utterance);
        self.count("messages that were said");
    }

    /// What somebody wants to say, if there is something to say it about.
    pub(crate) fn speech(&mut self, author: Client, words: &Words) -> Option<(Speech, Kind)> {
        let text = format!("words {}", self.truth.said.len());
        let posts: Vec<MessageId> = self.truth.posts().into_iter().rev().take(12).map(|(id, _)| id.clone()).collect();
        let own: Vec<MessageId> = {
            let own = self.truth.posts().into_iter().rev().filter(|(_, said)| said.author == author);
            own.filter(|(id, _)| !self.truth.is_deleted(id)).take(6).map(|(id, _)| id.clone()).collect()
        };
        let some = |dice: &mut Dice, ids: &[MessageId]| (!ids.is_empty()).then(|| dice.pick(ids));
        let post = |reply_to| Saying::Post {
            content: Content::text(&text),
            mentions: Default::default(),
            reply_to,
            file: None,
            ttl: None,
        };
        let voice = if words.as_group { Voice::GroupAlone } else { Voice::Oneself };
        let mut speech = Speech { what: post(None), voice, signed: words.signed, scope: None, id: None };
        let kind = match words.what {
            What::Post => Kind::Post,
            What::Reply => {
                speech.what = post(some(&mut self.dice, &posts));
                Kind::Post
            }
            What::Ask => {
                let Client::Member(number) = author else { return None };
                speech.scope = Some(self.members[number].machine.as_ref()?.id().clone());
                Kind::Post
            }
            What::Edit => {
                let message = some(&mut self.dice, &own)?;
                let content = Content::text(&text);
                speech.what = Saying::Edit { message: message.clone(), content, mentions: Default::default() };
                speech.voice = Voice::Oneself;
                Kind::Edit(message)
            }
            What::Delete => {
                let message = some(&mut self.dice, &own)?;
                speech.what = Saying::Delete { message: message.clone() };
                speech.voice = Voice::Oneself;
                Kind::Delete(message)
            }
            What::React => {
                let message = some(&mut self.dice, &posts)?;
                speech.what = Saying::React { message, reaction: Reaction::Emoji("👍".to_owned()), add: true };
                speech.voice = Voice::Oneself;
                Kind::React
            }
        };
        Some((speech, kind))
    }
}
