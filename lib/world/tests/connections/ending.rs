//! Suspending and deleting: lines 67 to 69 of the checklist.

use std::time::Duration;

use agent::connection::{Delivery, Event, TaskFault, TaskId, Where};
use smp::error::Error;
use world::Fate;

use crate::support::{DAY, HOUR, Pair, Side, Terms, bodies, only_messages};

fn delete(pair: &mut Pair, side: Side, delivery: Delivery) {
    pair.world.act(side.host, |_, turn| {
        turn.eventful(side.name, |connection, env| connection.delete(delivery, env));
    });
}

fn refused(number: i64) -> Event {
    let task = TaskId::Send(number);
    Event::NotSent { number, fault: TaskFault::Refused { task, error: Error::Auth } }
}

fn is_gone(pair: &Pair, side: Side) -> bool {
    pair.world.records(side.host, side.name).is_none() && pair.world.connection(side.host, side.name).is_none()
}

#[test]
fn agent_67_after_suspending_the_peer_is_refused_and_what_came_before_is_received() {
    let mut pair = Pair::connected(Terms::plain());
    pair.world.go_offline(pair.bob.host);
    pair.run_for(HOUR);
    pair.send(pair.alice, b"before");
    pair.run_for(HOUR);
    pair.step(pair.bob, |connection, _| connection.suspend());
    // It survives a restart.
    pair.world.crash(pair.bob.host);
    pair.world.go_online(pair.bob.host);
    pair.run();
    let events = pair.events(pair.bob);
    assert!(events.contains(&Event::Suspended), "{events:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Message(message) if message.body == b"before")));
    assert_eq!(pair.status(pair.bob).at, Where::Suspended);
    pair.events(pair.alice);
    let after = pair.send(pair.alice, b"after");
    pair.run();
    assert_eq!(pair.events(pair.alice), [refused(after.number)]);
    assert!(!pair.connection(pair.bob).can_send());
}

#[test]
fn agent_67_after_deletion_the_peer_is_refused_and_nothing_is_left() {
    for delivery in [Delivery::Drop, Delivery::Await] {
        for suspended in [false, true] {
            let mut pair = Pair::connected(Terms::plain());
            if suspended {
                pair.step(pair.bob, |connection, _| connection.suspend());
                pair.run();
                assert_eq!(pair.events(pair.bob), [Event::Suspended]);
            }
            let (two, queue) = (pair.servers[1], pair.queue_of(pair.bob));
            let bob = pair.bob;
            delete(&mut pair, bob, delivery);
            pair.run();
            assert_eq!(pair.events(pair.bob), [Event::Deleted(None)]);
            assert!(is_gone(&pair, pair.bob));
            assert!(pair.world.server(two).queue(&queue).is_none());
            let sent = pair.send(pair.alice, b"is anybody there?");
            pair.run();
            assert_eq!(pair.events(pair.alice), [refused(sent.number)]);
        }
    }
}

#[test]
fn agent_67_deletion_is_complete_whatever_is_lost_on_the_way() {
    for fate in [Fate::Lost, Fate::AnswerLost] {
        for crashes in [false, true] {
            let mut pair = Pair::connected(Terms::plain());
            let bob = pair.bob;
            pair.world.order(bob.host, "DEL", fate);
            delete(&mut pair, bob, Delivery::Drop);
            if crashes {
                pair.run_for(Duration::from_millis(30));
                pair.world.crash(bob.host);
            }
            pair.run();
            assert_eq!(pair.events(bob), [Event::Deleted(None)], "{fate:?}, crashes {crashes}");
            assert!(is_gone(&pair, bob));
        }
    }
}

#[test]
fn agent_67_deleting_what_was_never_used_leaves_nothing() {
    let mut pair = Pair::new(Terms::plain());
    pair.begin_inviting();
    let alice = pair.alice;
    delete(&mut pair, alice, Delivery::Drop);
    pair.run();
    assert!(is_gone(&pair, alice));
    let mut pair = Pair::new(Terms::plain());
    pair.invite();
    delete(&mut pair, alice, Delivery::Await);
    pair.run();
    assert_eq!(pair.events(alice), [Event::Deleted(None)]);
    assert!(is_gone(&pair, alice));
    let one = pair.servers[0];
    assert!(pair.world.server(one).sender_ids().is_empty());
}

#[test]
fn agent_67_refusing_whoever_joined_is_deleting() {
    let mut pair = Pair::new(Terms::plain());
    let link = pair.invite();
    pair.join(link);
    pair.run();
    let alice = pair.alice;
    pair.events(alice);
    delete(&mut pair, alice, Delivery::Drop);
    pair.run();
    assert!(is_gone(&pair, alice));
    assert_eq!((pair.events(pair.bob), pair.waiting(pair.bob)), (Vec::new(), 0));
    let sent = pair.send(pair.bob, b"hello?");
    pair.run();
    assert_eq!(pair.events(pair.bob), [refused(sent.number)]);
}

/// Alice deletes while messages wait for Bob's server.
fn deleted_while_waiting(delivery: Delivery) -> (Pair, Vec<i64>) {
    let mut pair = Pair::connected(Terms::plain());
    let two = pair.servers[1];
    pair.world.stop_server(two);
    let alice = pair.alice;
    let numbers = [b"1", b"2"].map(|body| pair.send(alice, body).number).to_vec();
    pair.run_for(HOUR);
    delete(&mut pair, alice, delivery);
    pair.run_for(HOUR);
    // Receiving has stopped.
    let one = pair.servers[0];
    assert!(pair.world.server(one).sender_ids().is_empty());
    (pair, numbers)
}

#[test]
fn agent_68_deletion_that_waits_delivers_first() {
    for crashes in [false, true] {
        let (mut pair, numbers) = deleted_while_waiting(Delivery::Await);
        assert_eq!(pair.status(pair.alice).at, Where::Deleting);
        if crashes {
            pair.world.crash(pair.alice.host);
        }
        let two = pair.servers[1];
        pair.world.start_server(two);
        let messages = pair.take_messages(pair.bob);
        assert_eq!(bodies(&messages), [b"1", b"2"]);
        let sent = |number: &i64| Event::Sent { number: *number };
        let expected: Vec<_> = numbers.iter().map(sent).chain([Event::Deleted(None)]).collect();
        assert_eq!(pair.events(pair.alice), expected);
        assert!(is_gone(&pair, pair.alice));
    }
}

#[test]
fn agent_68_deletion_that_does_not_wait_drops_what_was_not_sent() {
    let (mut pair, _) = deleted_while_waiting(Delivery::Drop);
    assert!(is_gone(&pair, pair.alice));
    assert_eq!(pair.events(pair.alice), [Event::Deleted(None)]);
    let two = pair.servers[1];
    pair.world.start_server(two);
    assert_eq!(pair.take_messages(pair.bob), []);
}

#[test]
fn agent_68_deletion_gives_up_waiting_when_the_peer_refuses() {
    let mut pair = Pair::connected(Terms::plain());
    let (alice, bob) = (pair.alice, pair.bob);
    pair.world.go_offline(alice.host);
    pair.run_for(HOUR);
    let numbers = [b"1", b"2"].map(|body| pair.send(alice, body).number);
    delete(&mut pair, alice, Delivery::Await);
    delete(&mut pair, bob, Delivery::Drop);
    pair.run_for(Duration::from_secs(600));
    assert_eq!(pair.status(alice).at, Where::Deleting);
    pair.world.go_online(alice.host);
    pair.run();
    assert_eq!(pair.events(alice), [refused(numbers[0]), refused(numbers[1]), Event::Deleted(None)]);
    assert!(is_gone(&pair, alice) && is_gone(&pair, bob));
}

/// Alice has allowed Bob, and does not want to any more before his queue is secured; what happens to it is up to `meanwhile`.
fn deleted_in_handshake(meanwhile: impl FnOnce(&mut Pair)) -> Pair {
    let mut pair = Pair::new(Terms::plain());
    let link = pair.invite();
    pair.join(link);
    pair.run();
    meanwhile(&mut pair);
    pair.events(pair.alice);
    pair.allow();
    let alice = pair.alice;
    delete(&mut pair, alice, Delivery::Await);
    pair
}

#[test]
fn agent_68_deletion_gives_up_waiting_when_the_peer_is_gone_before_the_handshake_is_over() {
    let mut pair = deleted_in_handshake(|pair| {
        let bob = pair.bob;
        delete(pair, bob, Delivery::Drop);
        pair.run();
    });
    pair.run();
    assert_eq!(pair.events(pair.alice), [Event::Deleted(None)]);
    assert!(is_gone(&pair, pair.alice));
}

#[test]
fn agent_68_deletion_gives_up_waiting_for_the_handshake_after_two_days() {
    let mut pair = deleted_in_handshake(|pair| {
        let two = pair.servers[1];
        pair.world.stop_server(two);
    });
    pair.run_for(DAY);
    assert_eq!(pair.status(pair.alice).at, Where::Deleting);
    pair.run_for(DAY + 2 * HOUR);
    assert!(is_gone(&pair, pair.alice), "{:?}", pair.status(pair.alice));
}

#[test]
fn agent_68_deletion_gives_up_waiting_after_two_days() {
    let (mut pair, _) = deleted_while_waiting(Delivery::Await);
    pair.run_for(DAY);
    assert_eq!(pair.status(pair.alice).at, Where::Deleting);
    pair.run_for(DAY + 2 * HOUR);
    assert!(is_gone(&pair, pair.alice));
    assert_eq!(pair.events(pair.alice).last(), Some(&Event::Deleted(None)));
}

#[test]
fn agent_68_deletion_gives_up_waiting_for_a_full_queue_after_two_days() {
    let mut terms = Terms::plain();
    terms.rules.quota = 4;
    let mut pair = Pair::connected(terms);
    pair.world.go_offline(pair.bob.host);
    pair.run_for(HOUR);
    for index in 0..6 {
        pair.send(pair.alice, format!("{index}").as_bytes());
    }
    let alice = pair.alice;
    delete(&mut pair, alice, Delivery::Await);
    pair.run_for(2 * DAY + 12 * HOUR);
    assert!(is_gone(&pair, alice), "{:?}", pair.status(alice));
}

#[test]
fn agent_69_deletion_while_the_server_is_down_says_so_and_removes_the_connection() {
    for crashes in [false, true] {
        let mut pair = Pair::connected(Terms::plain());
        let (one, alice) = (pair.servers[0], pair.alice);
        pair.world.stop_server(one);
        delete(&mut pair, alice, Delivery::Drop);
        // A short outage is not enough to give up.
        pair.run_for(Duration::from_secs(600));
        assert_eq!(pair.status(alice).at, Where::Deleting);
        if crashes {
            pair.world.crash(alice.host);
        }
        pair.run_for(2 * HOUR);
        assert_eq!(pair.events(alice), [Event::Deleted(Some(TaskFault::Expired(TaskId::DeleteQueue)))]);
        assert!(is_gone(&pair, alice));
        // Nothing more is tried.
        pair.world.start_server(one);
        pair.run();
        assert_eq!(only_messages(pair.events(alice)), []);
    }
}
