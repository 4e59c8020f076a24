//! Removal by the owner, the end of the group, leaving.

use agent::connection::Delivery;
use group::body::{Batch, ConnectionInfo};
use group::element::{Element, ForwardContent, ForwardSender};
use group::event::{Event, MemberRemoval, RejectionReason};
use group::relay::{ConnectionName, GroupSelector, Inactivity, LogEvent, Outcome, Status, TaskId};

use crate::support::{Bench, Done, Owner, hours, id};

fn removal(member: &str) -> Event {
    Event::GroupMemberDelete(MemberRemoval { member_id: id(member), messages: None, roster_version: None })
}

#[test]
fn chat_49_a_removed_relay_passes_the_notice_on_deletes_its_link_and_closes() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    bench.invite(owner.invitation("relay-member-id1"));
    bench.run();
    let notice = owner.says(removal("relay-member-id1"));
    bench.receive(connection, &notice);
    assert_eq!(bench.status(service), Status::Inactive(Inactivity::Removed));
    assert!(bench.done.contains(&Done::Deleted(ConnectionName::Link(service), Delivery::Drop)));
    assert!(bench.done.contains(&Done::Deleted(connection, Delivery::Await)));
    assert!(bench.deleted().contains(&ConnectionName::Owner(service, 2)));
    assert!(bench.sent().is_empty(), "the owner knows");

    bench.restart();
    let farewell = bench.relay.service(service).unwrap().farewell().unwrap().to_vec();
    let element = Batch::parse(&farewell).unwrap().into_iter().next().unwrap().unwrap();
    let Element::Forward(forward) = element else { panic!("a forward") };
    let ForwardSender::Member(author, _) = forward.sender else { panic!("an author") };
    assert_eq!(author, owner.identity.owner_id);
    let ForwardContent::Message(authored) = forward.content else { panic!("a message") };
    assert_eq!(codec::Encode::to_bytes(&authored), notice);
}

#[test]
fn chat_49_other_relays_pass_the_notice_on_and_stay() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    let notice = owner.says(removal("relay-member-id2"));
    bench.receive(connection, &notice);
    assert_eq!(bench.status(service), Status::Active);
    assert!(bench.events.iter().any(|event| matches!(event, group::relay::Event::ToForward { .. })));
}

#[test]
fn chat_51_a_removed_relay_takes_a_new_invitation_but_not_the_old_one() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, old) = bench.activate(&mut owner, "relay-member-id1");
    let notice = owner.says(removal("relay-member-id1"));
    bench.receive(connection, &notice);
    owner.publish(&[]);
    bench.serve(&owner);

    bench.invite(owner.invitation("relay-member-id1"));
    bench.run();
    assert_eq!(bench.last_rejected(), Some(RejectionReason::Policy));
    assert_eq!(bench.created(), std::slice::from_ref(&old));

    let (new, _, link) = bench.accept(&owner, "relay-member-id2");
    assert_ne!(new, service);
    assert_ne!(link, old);
}

#[test]
fn the_end_of_the_group_is_passed_on() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    let end = owner.says(Event::GroupDelete);
    bench.receive(connection, &end);
    assert_eq!(bench.status(service), Status::Inactive(Inactivity::GroupDeleted));
    assert!(bench.relay.service(service).unwrap().farewell().is_some());
    assert!(bench.deleted().contains(&connection));
}

#[test]
fn an_ended_service_looks_at_nothing_and_hears_nothing() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, link) = bench.activate(&mut owner, "relay-member-id1");
    owner.publish(&[]);
    bench.serve(&owner);
    bench.pass(hours(1));
    assert_eq!(bench.status(service), Status::Inactive(Inactivity::Absent));
    owner.publish(&[link]);
    bench.serve(&owner);
    let end = owner.says(Event::GroupDelete);
    bench.receive(connection, &end);
    bench.pass(hours(3));
    assert_eq!(bench.status(service), Status::Inactive(Inactivity::Absent));
}

#[test]
fn an_invitation_that_is_left_before_it_is_answered_is_refused() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.serve(&owner);
    bench.invite(owner.invitation("relay-member-id1"));
    let group = GroupSelector::Link(owner.short_link());
    bench.step(|relay, env| relay.leave(&group, env).unwrap());
    bench.run();
    assert_eq!(bench.last_rejected(), Some(RejectionReason::RejoinRejected));
    assert!(bench.created().is_empty());
}

/// The owner takes up the relay's answer, and is told at once that the relay has left.
fn assert_told(bench: &mut Bench, connection: ConnectionName) {
    assert!(!bench.deleted().contains(&connection));
    let ok = ConnectionInfo::unsigned(Event::Ok).to_bytes().unwrap();
    bench.step(|relay, env| relay.informed(&connection, &ok, env));
    bench.run();
    bench.step(|relay, env| relay.connected(&connection, env));
    bench.run();
    assert_eq!(bench.sent(), [(connection, Event::GroupLeave)]);
    assert!(bench.done.contains(&Done::Deleted(connection, Delivery::Await)));
}

#[test]
fn chat_36_an_owner_that_takes_up_the_answer_of_a_relay_that_has_left_is_told() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.serve(&owner);
    bench.invite(owner.invitation("relay-member-id1"));
    bench.run();
    let (connection, _) = bench.last_accepted().unwrap();
    let group = GroupSelector::Link(owner.short_link());
    bench.step(|relay, env| relay.leave(&group, env).unwrap());
    bench.run();
    bench.restart();
    assert_told(&mut bench, connection);
}

#[test]
fn chat_36_an_owner_whose_answer_was_on_its_way_when_the_relay_left_is_told() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.serve(&owner);
    bench.invite(owner.invitation("relay-member-id1"));
    let answer = loop {
        match bench.relay.due(bench.now).first().copied() {
            Some(answer @ TaskId::Answer(_)) => break answer,
            Some(task) => bench.run_task(&task),
            None => panic!("it is never answered"),
        }
    };
    let TaskId::Answer(connection) = answer else { panic!("an answer") };
    let group = GroupSelector::Link(owner.short_link());
    bench.step(|relay, env| relay.leave(&group, env).unwrap());
    bench.step(|relay, env| relay.finish(&answer, Outcome::Done, env));
    bench.run();
    assert_told(&mut bench, connection);
}

#[test]
fn chat_49_a_link_that_may_have_been_created_when_the_relay_left_is_deleted() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.serve(&owner);
    bench.can_create = false;
    bench.invite(owner.invitation("relay-member-id1"));
    bench.run();
    let group = GroupSelector::Link(owner.short_link());
    bench.step(|relay, env| relay.leave(&group, env).unwrap());
    bench.run();
    bench.restart();
    bench.run();
    let link = ConnectionName::Link(bench.relay.services().next().unwrap().id());
    assert!(!bench.deleted().contains(&link), "nobody knows whether there is something to delete");
    bench.can_create = true;
    bench.pass(hours(1));
    assert_eq!(bench.created().len(), 1);
    assert!(bench.deleted().contains(&link));
    assert_eq!(bench.last_rejected(), Some(RejectionReason::RejoinRejected));
}

#[test]
fn chat_50_a_relay_whose_owner_is_gone_before_it_is_answered_does_not_wait_for_ever() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.serve(&owner);
    bench.invite(owner.invitation("relay-member-id1"));
    let connection = loop {
        match bench.relay.due(bench.now).first().copied() {
            Some(TaskId::Answer(connection)) => break connection,
            Some(task) => bench.run_task(&task),
            None => panic!("it is never answered"),
        }
    };
    bench.step(|relay, env| relay.connection_lost(&connection, env));
    bench.run();
    let service = bench.relay.services().next().unwrap().id();
    assert_eq!(bench.status(service), Status::LinkCreated);
    bench.pass(bench.settings.listing_patience + hours(1));
    assert_eq!(bench.status(service), Status::Inactive(Inactivity::NeverListed));
    assert!(bench.deleted().contains(&ConnectionName::Link(service)));
}

#[test]
fn everything_is_in_the_log() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    bench.restart();
    let notice = owner.says(removal("relay-member-id1"));
    bench.receive(connection, &notice);
    let numbers: Vec<u64> = bench.log.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(bench.log.iter().all(|entry| entry.service == service));
    let names: Vec<String> = bench
        .log
        .iter()
        .map(|entry| serde_json::to_value(entry).unwrap()["event"].as_str().unwrap().to_owned())
        .collect();
    for name in ["invited", "group_read", "link_planned", "status", "connection", "said", "checked"] {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
    let statuses = bench.log.iter().filter_map(|entry| match &entry.event {
        LogEvent::Status(status) => Some(status.name()),
        _ => None,
    });
    assert_eq!(statuses.collect::<Vec<_>>(), ["link_created", "accepted", "active", "inactive"]);
    let last = bench.log.iter().rev().find(|entry| matches!(entry.event, LogEvent::Status(_))).unwrap();
    let line = String::from_utf8(last.to_json()).unwrap();
    assert!(line.contains(r#""event":"status","status":"inactive","reason":"removed""#), "{line}");
    assert!(!line.contains('\n'));
}
