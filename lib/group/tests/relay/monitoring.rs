//! Monitoring: the group link decides whether the relay is one of the group's.

use group::event::Event;
use group::relay::{ConnectionName, Inactivity, LogEvent, RelaySettings, Status};
use group::verification::Recipient;

use crate::support::{Bench, Done, Found, Owner, hours, minutes, settings};

#[test]
fn a_relay_is_active_when_the_group_link_lists_it() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, _, link) = bench.accept(&owner, "relay-member-id1");
    bench.pass(hours(3));
    assert_eq!(bench.status(service), Status::Accepted);
    owner.publish(&[link]);
    bench.serve(&owner);
    bench.pass(minutes(17));
    assert_eq!(bench.status(service), Status::Active);
}

#[test]
fn members_wait_until_the_relay_is_listed_if_the_operator_wants_that() {
    let mut owner = Owner::new("Walks");
    for admit_unlisted in [true, false] {
        let mut bench = Bench::with(RelaySettings { admit_unlisted, ..settings() });
        let (service, _, link) = bench.accept(&owner, "relay-member-id1");
        let accepting = |bench: &Bench| bench.relay.service(service).unwrap().is_accepting(&bench.settings);
        assert_eq!(accepting(&bench), admit_unlisted);
        owner.publish(&[link]);
        bench.serve(&owner);
        bench.pass(minutes(17));
        assert!(accepting(&bench), "the group link lists it");
        owner.publish(&[]);
        bench.serve(&owner);
        bench.pass(minutes(17));
        assert!(!accepting(&bench), "the group link lists it no more");
    }
}

#[test]
fn looks_are_spread_around_the_interval() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    bench.activate(&mut owner, "relay-member-id1");
    let mut delays = Vec::new();
    for _ in 0..20 {
        bench.run();
        let next = bench.relay.next_due(bench.now).unwrap();
        delays.push(next.since(bench.now).as_secs());
        bench.now = next;
    }
    assert!(delays[1..].iter().all(|delay| (13 * 60..=17 * 60).contains(delay)), "{delays:?}");
    let mut different = delays.clone();
    different.sort();
    different.dedup();
    assert!(different.len() > 10);
}

#[test]
fn chat_50_a_relay_that_was_removed_while_it_was_away_becomes_inactive_at_the_next_look() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    owner.publish(&[]);
    bench.serve(&owner);
    bench.now = bench.now.after(hours(30));
    bench.restart();
    bench.run();
    assert_eq!(bench.status(service), Status::Inactive(Inactivity::Absent));
    assert!(bench.deleted().contains(&ConnectionName::Link(service)));

    // Members get the relay's own signed word; it is sent to the owner as well.
    assert!(bench.sent().contains(&(connection, Event::GroupLeave)));
    let farewell = bench.relay.service(service).unwrap().farewell().unwrap().to_vec();
    let element = group::body::Batch::parse(&farewell).unwrap().into_iter().next().unwrap().unwrap();
    let group::element::Element::Message(authored) = element else { panic!("a message") };
    let relay = bench.relay.service(service).unwrap();
    let key = group::identity::RelayPublicKey(relay.member_key().public().0);
    let links = group::keys::LinkKeys::new([], [(relay.invitation().relay_member_id.clone(), key)]);
    let author = links.author(&relay.invitation().relay_member_id, &Default::default(), Default::default());
    let recipient = Recipient { group: owner.identity.group_id(), role: group::member::Role::Observer };
    assert!(authored.verify(&author, &recipient).unwrap().trust().is_verified());

    // Connections go a day later.
    assert!(!bench.deleted().contains(&connection));
    bench.pass(hours(25));
    assert!(bench.deleted().contains(&connection));
    assert_eq!(bench.status(service), Status::Inactive(Inactivity::Absent));
    bench.pass(hours(24 * 31));
    assert_eq!(bench.services(), 0);
}

#[test]
fn losing_the_owners_connection_makes_the_relay_look_at_once() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    owner.publish(&[]);
    bench.serve(&owner);
    bench.run();
    assert_eq!(bench.status(service), Status::Active);
    bench.step(|relay, env| relay.connection_lost(&connection, env));
    bench.run();
    assert_eq!(bench.status(service), Status::Inactive(Inactivity::Absent));
}

#[test]
fn a_lost_connection_alone_ends_nothing() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    bench.step(|relay, env| relay.connection_lost(&connection, env));
    bench.pass(hours(30));
    assert_eq!(bench.status(service), Status::Active);
}

#[test]
fn old_link_data_is_known_as_such_and_changes_nothing() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, _, link) = bench.accept(&owner, "relay-member-id1");
    let unlisted = Found::Data(owner.data().into());
    owner.publish(&[link]);
    bench.serve(&owner);
    bench.pass(minutes(20));
    assert_eq!(bench.status(service), Status::Active);
    bench.restart();
    bench.lose(&owner, unlisted);
    bench.pass(hours(2));
    assert_eq!(bench.status(service), Status::Active);
    assert!(bench.log.iter().any(|entry| entry.event == LogEvent::Replayed));
    assert!(!bench.done.iter().any(|done| matches!(done, Done::Deleted(..))));
    // The owner may well write the same again: that is other data.
    owner.publish(&[]);
    bench.serve(&owner);
    bench.pass(minutes(20));
    assert_eq!(bench.status(service), Status::Inactive(Inactivity::Absent));
}

#[test]
fn a_server_that_is_down_or_lies_ends_nothing() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, ..) = bench.activate(&mut owner, "relay-member-id1");
    let mut broken = owner.data();
    broken.data.user = Owner::new("Songs").data().data.user;
    for found in [Found::Unreachable, Found::Data(broken.into()), Found::Nothing] {
        bench.lose(&owner, found);
        bench.pass(hours(20));
        assert_eq!(bench.status(service), Status::Active);
    }
    bench.serve(&owner);
    bench.pass(hours(1));
    bench.lose(&owner, Found::Nothing);
    bench.pass(hours(20));
    assert_eq!(bench.status(service), Status::Active);
    bench.pass(hours(5));
    assert_eq!(bench.status(service), Status::Inactive(Inactivity::LinkGone));
}

#[test]
fn a_service_that_is_never_listed_ends() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    let (service, ..) = bench.accept(&owner, "relay-member-id1");
    bench.pass(hours(24 * 6));
    assert_eq!(bench.status(service), Status::Accepted);
    bench.pass(hours(24 * 2));
    assert_eq!(bench.status(service), Status::Inactive(Inactivity::NeverListed));
    assert!(bench.deleted().contains(&ConnectionName::Link(service)));
}

#[test]
fn a_relay_whose_own_link_is_lost_says_so() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    bench.step(|relay, env| relay.connection_lost(&ConnectionName::Link(service), env));
    bench.run();
    assert_eq!(bench.status(service), Status::Inactive(Inactivity::OwnLinkLost));
    assert!(bench.sent().contains(&(connection, Event::GroupLeave)));
}
