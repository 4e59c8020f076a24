//! Members and a relay of ours, each with its own machine: they share nothing but what goes through connections.

use std::collections::BTreeMap;

use agent::time::Env;
use codec::Encode as _;
use crypto::SeededRandom;
use group::content::{Content, Mentions, NewMessage, Reaction};
use group::event::{Event as ChatEvent, MemberRemoval};
use group::keys::KeySource;
use group::member::Role;
use group::membership::{
    EndReason, Event, Heard, Line, Membership, Outcome, RecordError, RecordKey, Records, RelayNumber, Saying, Speech,
    Status, Task, Voice,
};
use group::message_id::MessageId;
use group::owner::{ConnectionName as MemberConnection, Persona};
use group::relay::ConnectionName;
use group::roster::RosterVersion;
use group::step::link_verify::verify_group_link;
use group::verification::Trust;

use super::joining::appoint;
use super::world::{Heard as RelayHeard, Person, World, post};
use crate::support::{Found, SERVER};

#[derive(Default)]
struct Kept(BTreeMap<RecordKey, Vec<u8>>);

impl Records for Kept {
    fn read(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, RecordError> {
        Ok(self.0.get(key).cloned())
    }
}

/// A member with its own machine.
struct Mia {
    member: Membership,
    kept: Kept,
    random: SeededRandom,
    /// What is at the other end of its connections, and how much of what came it has read.
    ends: BTreeMap<MemberConnection, (ConnectionName, usize)>,
    /// Its requests.
    asked: BTreeMap<u64, MemberConnection>,
    heard: Vec<Heard>,
    told: Vec<Event>,
}

impl Mia {
    fn new(world: &World, name: &str) -> Self {
        let mut random = SeededRandom::new(&[5; 32], name);
        let persona = Persona::random(SERVER.parse().unwrap(), &mut random);
        let group = verify_group_link(world.owner.short_link(), world.owner.data()).unwrap();
        let mut env = Env { now: world.now(), random: &mut random };
        let mut member = Membership::join(&group, &world.owner.data(), persona, &mut env).unwrap();
        member.go_on();
        let (ends, asked) = (BTreeMap::new(), BTreeMap::new());
        Mia { member, kept: Kept::default(), random, ends, asked, heard: Vec::new(), told: Vec::new() }
    }

    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Heard(heard) => self.heard.push(*heard),
                other => self.told.push(other),
            }
        }
    }

    fn step(&mut self, world: &World, step: impl FnOnce(&mut Membership, &mut Env<'_>) -> Vec<Event>) {
        let events = step(&mut self.member, &mut Env { now: world.now(), random: &mut self.random });
        self.take(events);
    }

    /// Does what is due, and hands over what there is, until nothing happens any more.
    fn work(&mut self, world: &mut World) {
        for _ in 0..200 {
            let did = self.do_tasks(world) | self.answer(world) | self.listen(world);
            if !did {
                return;
            }
        }
        panic!("work never ends");
    }

    fn do_tasks(&mut self, world: &mut World) -> bool {
        let Some(id) = self.member.due(world.now()).first().cloned() else { return false };
        let outcome = match self.member.task(&id).unwrap() {
            Task::ReadLink(link) if link.same_link(&world.owner.short_link()) => {
                Outcome::Retrieved(world.owner.data().into())
            }
            Task::ReadLink(link) => match &world.bench.found[&link.to_string()] {
                Found::Data(data) => Outcome::Retrieved(data.clone()),
                found => panic!("{found:?}"),
            },
            Task::Open { connection, info, .. } => {
                let request = world.ask(&info);
                self.asked.insert(request, connection);
                Outcome::Done
            }
            Task::Allow { connection, info } => {
                let (end, _) = self.ends[&connection];
                world.step(|members| members.informed(&end, &info).unwrap());
                world.step(|members| members.connected(&end).unwrap());
                self.step(world, |member, env| member.finish(&id, Outcome::Done, env).unwrap());
                self.step(world, |member, env| member.connected(&connection, env).unwrap());
                return true;
            }
            Task::Send { connection, body } => {
                let (end, _) = self.ends[&connection];
                world.body_from(end, &body);
                Outcome::Done
            }
            Task::Delete { .. } => Outcome::Done,
        };
        self.step(world, |member, env| member.finish(&id, outcome, env).unwrap());
        true
    }

    /// The relay accepts requests, and does everything else that it has to do.
    fn answer(&mut self, world: &mut World) -> bool {
        let Some(work) = world.next() else { return false };
        for answer in &work.answers {
            if let Some(connection) = self.asked.remove(&answer.request) {
                self.ends.insert(connection.clone(), (answer.connection, 0));
                self.step(world, |member, env| member.answered(&connection, &answer.info, env).unwrap());
            }
        }
        world.carry_out(work);
        true
    }

    fn listen(&mut self, world: &World) -> bool {
        let mut did = false;
        for (connection, (end, read)) in self.ends.clone() {
            let bodies = world.connections.get(&end).map(|taken| taken.bodies.clone()).unwrap_or_default();
            for body in bodies.iter().skip(read) {
                let mut env = Env { now: world.now(), random: &mut self.random };
                let received = self.member.received(&connection, body, &self.kept, &mut env).unwrap();
                self.kept.0.extend(received.changes.into_iter().map(|change| (change.key, change.value)));
                self.take(received.events);
                did = true;
            }
            self.ends.insert(connection, (end, bodies.len()));
        }
        did
    }

    fn say(&mut self, world: &mut World, what: Saying, signed: bool) -> MessageId {
        let speech = Speech { id: None, what, voice: Voice::Oneself, signed, scope: None };
        let mut env = Env { now: world.now(), random: &mut self.random };
        let spoken = self.member.say(&speech, &self.kept, &mut env).unwrap();
        self.kept.0.extend(spoken.changes.into_iter().map(|change| (change.key, change.value)));
        self.work(world);
        spoken.messages[0].clone()
    }

    fn relay(&self) -> RelayNumber {
        self.member.relays()[0].number()
    }

    fn texts(&mut self) -> Vec<String> {
        let text = |heard: Heard| match heard.event() {
            ChatEvent::MessageNew(new) => new.content.as_text().unwrap_or_default().to_owned(),
            other => other.name().to_owned(),
        };
        std::mem::take(&mut self.heard).into_iter().map(text).collect()
    }

    /// Everything that the relay sent was understood and believed.
    fn assert_content(&self) {
        let complaint = |event: &&Event| {
            matches!(
                event,
                Event::Dropped { .. } | Event::Refused { .. } | Event::OtherKey { .. } | Event::Different { .. }
            )
        };
        assert_eq!(self.told.iter().find(complaint), None);
    }
}

fn joined(world: &mut World, name: &str) -> Mia {
    let mut mia = Mia::new(world, name);
    mia.work(world);
    let record = mia.member.relay(mia.relay()).unwrap();
    assert_eq!(record.status(), Status::Connected, "{:?}", mia.told);
    mia
}

#[test]
fn a_member_joins_through_a_relay_and_hears_what_the_owner_says() {
    let mut world = World::new();
    let mut mia = joined(&mut world, "mia");
    world.owner_posts("plain");
    world.owner_signs(post("signed"));
    let as_group = NewMessage { as_group: Some(true), ..NewMessage::of(Content::text("as the group")) };
    let body = world.owner.unsigned(ChatEvent::MessageNew(as_group.into()));
    world.owner_body(&body);
    mia.work(&mut world);
    mia.assert_content();
    let trusts: Vec<Trust> = mia.heard.iter().map(Heard::trust).collect();
    assert_eq!(trusts, [Trust::Unsigned, Trust::Verified(KeySource::GroupLink), Trust::Unsigned]);
    assert_eq!(mia.heard[2].author(), None, "the group said it, and nobody learns which owner");
    assert_eq!(mia.texts(), ["plain", "signed", "as the group"]);
}

#[test]
fn chat_15_what_an_owner_signs_reaches_members_byte_by_byte() {
    let mut world = World::new();
    let mut mia = joined(&mut world, "mia");
    let body = world.owner_signs(post("exact"));
    mia.work(&mut world);
    let [heard] = mia.heard.as_slice() else { panic!("{:?}", mia.heard) };
    assert_eq!(heard.message.authored().to_bytes(), body);
}

#[test]
fn two_connections_with_a_relay_are_one_member() {
    let mut world = World::new();
    let mut mia = joined(&mut world, "mia");
    let record = mia.member.relay(mia.relay()).unwrap();
    assert!(record.has_content_line(), "{:?}", mia.told);
    assert_eq!(mia.ends.len(), 2);
    world.owner_posts("once");
    mia.work(&mut world);
    assert_eq!(mia.texts(), ["once"]);
    mia.assert_content();
}

#[test]
fn members_react_and_talk_and_hear_each_other() {
    let mut world = World::new();
    let mut mia = joined(&mut world, "mia");
    let mut tom = joined(&mut world, "tom");
    world.owner_posts("who comes?");
    mia.work(&mut world);
    tom.work(&mut world);
    let question = mia.heard[0].id().unwrap().clone();
    let reaction = Reaction::Emoji("👍".to_owned());
    mia.say(&mut world, Saying::React { message: question, reaction, add: true }, false);
    tom.work(&mut world);
    let heard: Vec<_> = tom.heard.iter().map(|heard| (heard.author().cloned(), heard.event().name())).collect();
    assert_eq!(heard[1], (Some(mia.member.id().clone()), "x.msg.react"));
    assert_eq!(tom.heard[1].author_name.as_deref(), Some(mia.member.persona().profile().display_name.as_str()));
    tom.assert_content();
    mia.assert_content();
}

#[test]
fn a_member_that_an_owner_appoints_speaks_with_a_signature_that_others_verify() {
    let mut world = World::new();
    let mut mia = joined(&mut world, "mia");
    let mut tom = joined(&mut world, "tom");
    let person = person_of(&mia);
    appoint_all(&mut world, &[(&person, Role::Member)]);
    let change = group::event::RoleChange {
        member_id: mia.member.id().clone(),
        role: Role::Member,
        member_key: Some(mia.member.key()),
        roster_version: RosterVersion::new(1),
    };
    world.owner_signs(ChatEvent::GroupMemberRole(change));
    mia.work(&mut world);
    tom.work(&mut world);
    assert_eq!(mia.member.role(), Role::Member);
    let content = Content::text("thank you");
    let saying = Saying::Post { content, mentions: Mentions::default(), reply_to: None, file: None, ttl: None };
    mia.say(&mut world, saying, true);
    tom.work(&mut world);
    let last = tom.heard.last().unwrap();
    assert_eq!(last.trust(), Trust::Verified(KeySource::Roster));
    assert_eq!(last.author(), Some(mia.member.id()));
    // Whoever joins later learns the key from the roster that the relay serves.
    let mut late = joined(&mut world, "late");
    late.work(&mut world);
    assert_eq!(late.member.roster().key(mia.member.id()), Some(mia.member.key()));
    late.assert_content();
    tom.assert_content();
}

/// The roster that makes members of them.
fn appoint_all(world: &mut World, entries: &[(&Person, Role)]) {
    appoint(world, 1, entries);
}

/// What an owner needs to know of a member to appoint it.
fn person_of(mia: &Mia) -> Person {
    let document = group::document::MemberDocument::from(&mia.member);
    let key = document.member.member_private_key.clone();
    Person { id: mia.member.id().clone(), key, name: "Mia".to_owned() }
}

#[test]
fn a_member_that_is_removed_knows_it_and_one_that_leaves_is_gone_for_the_others() {
    let mut world = World::new();
    let mut mia = joined(&mut world, "mia");
    let mut tom = joined(&mut world, "tom");
    world.owner_posts("hello");
    tom.work(&mut world);
    mia.work(&mut world);
    mia.step(&world, |member, env| member.leave(env).unwrap());
    mia.work(&mut world);
    tom.work(&mut world);
    assert_eq!(mia.member.ended(), Some(EndReason::Left));
    assert!(tom.texts().iter().any(|text| text == "x.grp.leave"));
    let removal = MemberRemoval { member_id: tom.member.id().clone(), messages: None, roster_version: None };
    world.owner_signs(ChatEvent::GroupMemberDelete(removal));
    tom.work(&mut world);
    assert_eq!(tom.member.ended(), Some(EndReason::Removed));
    let (end, _) = tom.ends[&tom.member.relays()[0].connection(Line::Main)];
    assert!(world.connections[&end].deleted.is_some(), "the relay parts with it");
    tom.assert_content();
}

#[test]
fn a_relay_that_is_killed_does_not_make_members_hear_anything_twice() {
    let mut world = World::new();
    let mut mia = joined(&mut world, "mia");
    for number in 0..5 {
        world.owner_posts(&format!("post {number}"));
        world.restart();
        mia.work(&mut world);
    }
    assert_eq!(mia.texts(), (0..5).map(|number| format!("post {number}")).collect::<Vec<_>>());
    mia.assert_content();
}

#[test]
fn owners_hear_of_members_that_join() {
    let mut world = World::new();
    let mia = joined(&mut world, "mia");
    let heard = world.owner_heard();
    let told = heard.iter().any(|heard| match heard {
        RelayHeard::Relay(ChatEvent::GroupMemberNew(new)) => {
            new.member_info.member_id == *mia.member.id() && new.member_info.member_key == Some(mia.member.key())
        }
        _ => false,
    });
    assert!(told);
}
