//! The end of a group: members are told, and nothing stays.

use group::event::{Event, MemberRemoval};
use group::relay::GroupSelector;
use group::relay::members::{Deletion, Members};

use super::world::{Heard, RELAY, World, names};
use crate::support::id;

fn all_parted(world: &World) -> bool {
    let members = world.connections.iter().filter(|(name, _)| **name != world.owner_connection);
    members.into_iter().all(|(_, taken)| taken.deleted == Some(Deletion::AfterMessages))
}

#[test]
fn chat_49_members_get_the_word_of_the_owner_that_removes_the_relay() {
    let mut world = World::new();
    let people: Vec<_> = (0..450).map(|number| world.join(&format!("member-{number}"))).collect();
    world.forget();
    world.owner_posts("never delivered");
    let removal = MemberRemoval { member_id: id(RELAY), messages: None, roster_version: None };
    world.owner_signs(Event::GroupMemberDelete(removal.clone()));
    let first = world.next().unwrap();
    world.carry_out(first);
    world.restart();
    world.work();
    let owner = Some(world.owner.identity.owner_id.clone());
    for connection in people.iter().map(|person| format!("member-1-{}-1", number(person))) {
        let heard = world.through(&connection.parse().unwrap());
        assert_eq!(heard, [Heard::Said(owner.clone(), Event::GroupMemberDelete(removal.clone()))]);
    }
    assert!(all_parted(&world));
    assert!(world.rows.is_empty() && world.next().is_none());
}

/// Owners come first.
fn number(person: &super::world::Person) -> u64 {
    person.name.trim_start_matches("member-").parse::<u64>().unwrap() + 2
}

#[test]
fn an_end_of_the_group_or_of_the_operators_patience_is_told_under_a_signature() {
    let mut world = World::new();
    let mary = world.join("Mary");
    let connection = world.connection(&mary);
    world.forget();
    world.owner_signs(Event::GroupDelete);
    world.work();
    assert_eq!(names(&world.through(&connection)), [">x.grp.del"]);
    assert!(all_parted(&world) && world.rows.is_empty());

    let mut world = World::new();
    let mary = world.join("Mary");
    let connection = world.connection(&mary);
    world.forget();
    let selector = GroupSelector::Service(world.service);
    world.bench.step(|relay, env| relay.leave(&selector, env).unwrap());
    world.follow_relay();
    world.work();
    assert_eq!(world.through(&connection), [Heard::Relay(Event::GroupLeave)]);
    assert!(all_parted(&world) && world.rows.is_empty());
}

#[test]
fn nothing_that_comes_after_the_end_counts() {
    let mut world = World::new();
    let mary = world.join("Mary");
    let view = world.view();
    let connection = world.connection(&mary);
    world.owner_signs(Event::GroupDelete);
    world.work();
    let body = mary.signs(&world.group(), group::message::Message::unnamed(Event::GroupLeave));
    let mut env = agent::time::Env { now: world.bench.now, random: &mut world.bench.random };
    let mut members = Members::new(&view, &mut world.rows, &mut env);
    members.received(&connection, b"late", 1, &body).unwrap();
    members.connected(&connection).unwrap();
    members.queue_full(&connection).unwrap();
    drop(members);
    assert!(world.rows.is_empty());
}
