//! Members whose queues are full: they miss nothing, and nobody waits for them.

use std::time::Duration;

use group::event::Event;
use group::member::Role;
use group::relay::members::{Lane, ReadRows};

use super::joining::appoint;
use super::world::{Person, World, names, texts};

fn stick(world: &mut World, person: &Person, stuck: bool) {
    let connection = world.connection(person);
    let taken = world.connections.get_mut(&connection).unwrap();
    taken.stuck = stuck;
    if !stuck {
        taken.unsent = 0;
    }
}

fn is_behind(world: &World, person: &Person) -> bool {
    world.rows.member_with_id(&person.id).unwrap().unwrap().behind.is_some()
}

#[test]
fn a_full_queue_gets_what_it_missed_in_order_and_holds_up_nobody() {
    let mut world = World::new();
    let (full, other) = (world.join("Full"), world.join("Other"));
    world.forget();
    let connection = world.connection(&full);
    stick(&mut world, &full, true);
    world.owner_posts("0");
    world.work();
    world.step(|members| members.queue_full(&connection).unwrap());
    for number in 1..50 {
        world.owner_posts(&number.to_string());
        world.work();
    }
    let all: Vec<String> = (0..50).map(|number: u32| number.to_string()).collect();
    assert_eq!(texts(&world.heard(&other)), all);
    assert_eq!(texts(&world.heard(&full)), ["0"]);
    // Nothing is kept for it but where it was.
    assert_eq!(world.rows.all_messages().filter(|message| message.lane == Lane::Group).count(), 50);
    world.restart();
    stick(&mut world, &full, false);
    world.step(|members| members.queue_restored(&connection).unwrap());
    world.work();
    assert_eq!(texts(&world.heard(&full)), all);
    assert!(!is_behind(&world, &full));
    world.owner_posts("50");
    world.work();
    assert_eq!(texts(&world.heard(&full)).len(), 51);
    assert_eq!(texts(&world.heard(&other)).len(), 51);
}

#[test]
fn a_connection_that_cannot_send_is_found_out_and_tried_again_by_itself() {
    let mut world = World::new();
    let full = world.join("Full");
    world.forget();
    stick(&mut world, &full, true);
    for number in 0..20 {
        world.owner_posts(&number.to_string());
        world.work();
    }
    // The connection kept a few, and then took nothing more.
    assert!(is_behind(&world, &full));
    let kept = texts(&world.heard(&full)).len();
    assert!(kept < 20, "{kept}");
    // As long as that is so, it is asked less and less often.
    for _ in 0..12 {
        let due = world.rows.member_with_id(&full.id).unwrap().unwrap().due.unwrap();
        assert!(due > world.now() && due.since(world.now()) <= Duration::from_secs(600));
        world.bench.now = due;
        world.work();
    }
    stick(&mut world, &full, false);
    world.pass(Duration::from_secs(601));
    let all: Vec<String> = (0..20).map(|number: u32| number.to_string()).collect();
    assert_eq!(texts(&world.heard(&full)), all);
}

#[test]
fn a_queue_that_fills_up_while_a_page_is_under_way_gets_nothing_twice() {
    let mut world = World::new();
    let mary = world.join("Mary");
    let connection = world.connection(&mary);
    world.forget();
    world.owner_posts("one");
    let page = world.next().unwrap();
    world.step(|members| members.queue_full(&connection).unwrap());
    world.carry_out(page);
    world.step(|members| members.queue_restored(&connection).unwrap());
    world.owner_posts("two");
    world.work();
    assert_eq!(texts(&world.heard(&mary)), ["one", "two"]);
    assert!(!is_behind(&world, &mary));
}

#[test]
fn after_a_full_queue_a_newer_roster_comes_before_what_was_missed() {
    let mut world = World::new();
    let mary = world.join("Mary");
    let connection = world.connection(&mary);
    world.step(|members| members.queue_full(&connection).unwrap());
    world.forget();
    appoint(&mut world, 1, &[(&Person::new("Mod"), Role::Moderator)]);
    world.owner_posts("missed");
    world.work();
    assert_eq!(world.heard(&mary), []);
    world.step(|members| members.queue_restored(&connection).unwrap());
    world.work();
    assert_eq!(names(&world.heard(&mary)), [">x.grp.roster", "F", ">x.msg.new"]);
    // It is not served again without need.
    world.step(|members| members.queue_full(&connection).unwrap());
    world.step(|members| members.queue_restored(&connection).unwrap());
    world.work();
    assert_eq!(world.heard(&mary).len(), 3);
}

#[test]
fn somebody_who_joins_with_a_full_queue_is_introduced_later() {
    let mut world = World::new();
    let mary = Person::new("Mary");
    world.ask_signed(&mary, mary.join(super::world::RELAY));
    let connection = world.connect(&mary);
    {
        let taken = world.connections.get_mut(&connection).unwrap();
        (taken.stuck, taken.unsent) = (true, 100);
    }
    world.owner_posts("meanwhile");
    world.work();
    assert_eq!(world.heard(&mary), []);
    stick(&mut world, &mary, false);
    world.step(|members| members.queue_restored(&connection).unwrap());
    world.work();
    assert_eq!(names(&world.heard(&mary)), ["x.grp.link.mem", "x.grp.mem.intro", ">x.msg.new"]);
}

#[test]
fn a_queue_that_is_gone_ends_the_membership_quietly() {
    let mut world = World::new();
    let (mary, bob) = (world.join("Mary"), world.join("Bob"));
    world.forget();
    let connection = world.connection(&mary);
    world.step(|members| members.connection_lost(&connection).unwrap());
    world.owner_posts("after");
    world.work();
    assert_eq!(world.heard(&mary), []);
    assert_eq!(names(&world.heard(&bob)), [">x.msg.new"]);
    assert!(world.connections[&connection].deleted.is_some());
    // The agent may not know a connection that the rows do.
    let connection = world.connection(&bob);
    world.connections.remove(&connection);
    world.owner_posts("again");
    world.work();
    assert_eq!(world.rows.hall().unwrap().unwrap().members, 1);
    world.ask_signed(&mary, mary.join(super::world::RELAY));
    world.connect(&mary);
    world.work();
    world.signs(&mary, Event::GroupLeave);
    world.work();
    assert!(names(&world.owner_heard()).contains(&">x.grp.leave".to_owned()));
}
