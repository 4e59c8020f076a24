//! The worker: what fails is tried again, what is stuck holds up nobody, what never succeeds ends. And the policy.

use std::time::Duration;

use agent::time::Time;
use group::event::RejectionReason;
use group::relay::{ConnectionName, LogEvent, RelaySettings, Status, TaskId, Verdict};

use crate::support::{Bench, Done, Found, Owner, hours, minutes, settings};

#[test]
fn a_group_link_that_cannot_be_read_is_tried_again_with_growing_delays() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.lose(&owner, Found::Unreachable);
    bench.invite(owner.invitation("relay-member-id1"));
    let mut delays = Vec::new();
    for _ in 0..10 {
        bench.run();
        let next = bench.relay.next_due(bench.now).unwrap();
        delays.push(next.since(bench.now).as_secs());
        bench.now = next;
        bench.restart();
    }
    assert_eq!(delays, [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
    bench.serve(&owner);
    bench.run();
    assert!(bench.last_accepted().is_some());
}

#[test]
fn an_invitation_ends_after_a_day_of_failures_and_the_owner_is_told() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.lose(&owner, Found::Unreachable);
    bench.invite(owner.invitation("relay-member-id1"));
    bench.pass(hours(23));
    assert_eq!(bench.last_rejected(), None);
    bench.pass(hours(2));
    assert_eq!(bench.last_rejected(), Some(RejectionReason::Other("unreachable".to_owned())));
    let retries = bench.log.iter().filter(|entry| matches!(entry.event, LogEvent::Retry { .. })).count();
    assert!(retries >= 10);
}

#[test]
fn a_day_alone_is_no_reason_to_give_up() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.lose(&owner, Found::Unreachable);
    bench.invite(owner.invitation("relay-member-id1"));
    bench.run();
    // The relay was switched off for two days, and has tried twice.
    bench.now = bench.now.after(hours(48));
    bench.restart();
    bench.run();
    assert_eq!(bench.last_rejected(), None);
    bench.serve(&owner);
    bench.pass(minutes(10));
    assert!(bench.last_accepted().is_some());
}

#[test]
fn what_failed_before_waits_behind_what_is_new() {
    let mut bench = Bench::with(RelaySettings { workers: 1, ..settings() });
    let owners = [("one", "Stuck"), ("two", "Walks"), ("three", "Songs")];
    let owners = owners.map(|(server, name)| Owner::at(&format!("{server}.example.org"), name));
    for owner in &owners {
        bench.lose(owner, Found::Unreachable);
    }
    bench.invite(owners[0].invitation("relay-member-id1"));
    bench.run();
    let stuck = bench.relay.services().next().unwrap().id();
    bench.now = bench.now.after(Duration::from_secs(5));
    assert_eq!(bench.relay.due(bench.now), [TaskId::ReadGroupLink(stuck)]);
    bench.invite(owners[1].invitation("relay-member-id2"));
    bench.now = bench.now.after(Duration::from_secs(1));
    bench.invite(owners[2].invitation("relay-member-id3"));
    let order: Vec<_> = (0..3)
        .map(|_| {
            let task = bench.relay.due(bench.now)[0];
            bench.run_task(&task);
            let TaskId::ReadGroupLink(service) = task else { panic!("{task:?}") };
            service.0
        })
        .collect();
    assert_eq!(order, [2, 3, 1]);
}

#[test]
fn a_server_that_cannot_be_reached_is_tried_by_one_read_at_a_time_whoever_waits_for_it() {
    let mut bench = Bench::new();
    let lost: Vec<Owner> = (0..20).map(|number| Owner::new(&format!("Lost {number}"))).collect();
    let other = Owner::at("other.example.org", "Walks");
    for owner in &lost {
        bench.lose(owner, Found::Unreachable);
        bench.invite(owner.invitation("relay-member-id1"));
    }
    let share = bench.settings.max_reads_per_server;
    assert_eq!(bench.relay.due(bench.now).len(), share, "no server takes all that may be under way");
    bench.serve(&other);
    bench.invite(other.invitation("relay-member-id1"));
    assert_eq!(bench.relay.due(bench.now).len(), share + 1, "another server has its own share");
    bench.run();
    assert!(bench.last_accepted().is_some());
    let tries = |bench: &Bench| bench.log.iter().filter(|entry| matches!(entry.event, LogEvent::Retry { .. })).count();
    assert_eq!(tries(&bench), 1, "one found out for all");
    bench.pass(minutes(10));
    assert!((6..=9).contains(&tries(&bench)), "as often as for one invitation: {}", tries(&bench));
    // Once it is back, everybody has its turn, whether it was tried before or not.
    lost.iter().for_each(|owner| bench.serve(owner));
    bench.pass(minutes(20));
    assert_eq!(bench.created().len(), 21);
}

#[test]
fn only_so_many_invitations_are_worked_on_at_a_time() {
    let mut bench = Bench::with(RelaySettings { workers: 2, ..settings() });
    for name in ["One", "Two", "Three"] {
        let owner = Owner::new(name);
        bench.serve(&owner);
        bench.invite(owner.invitation("relay-member-id1"));
    }
    assert_eq!(bench.relay.due(bench.now).len(), 2);
    bench.run();
    assert_eq!(bench.created().len(), 3);
}

#[test]
fn a_link_that_cannot_be_created_is_tried_again_from_the_same_bytes() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.serve(&owner);
    bench.can_create = false;
    bench.invite(owner.invitation("relay-member-id1"));
    bench.run();
    let service = bench.relay.services().next().unwrap();
    let (id, planned) = (service.id(), service.relay_link().cloned().unwrap());
    assert_eq!(*service.status(), Status::Invited);
    bench.restart();
    bench.can_create = true;
    bench.pass(minutes(1));
    assert_eq!(bench.created(), std::slice::from_ref(&planned));
    assert_eq!(bench.last_accepted().unwrap().1, planned);
    assert_eq!(bench.status(id), Status::Accepted);
}

#[test]
fn what_was_created_may_be_created_again_after_a_crash() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.serve(&owner);
    bench.invite(owner.invitation("relay-member-id1"));
    let read = bench.relay.due(bench.now)[0];
    bench.run_task(&read);
    let create = bench.relay.due(bench.now)[0];
    assert!(matches!(create, TaskId::CreateLink(_)));
    // The agent creates the link, and the relay dies before it hears of it.
    bench.restart();
    assert_eq!(bench.relay.due(bench.now), [create]);
    bench.run();
    bench.restart();
    bench.run();
    assert_eq!(bench.created().len(), 1);
}

#[test]
fn the_operators_program_decides_before_a_link_is_made() {
    let mut bench = Bench::with(RelaySettings { ask_policy: true, ..settings() });
    let owner = Owner::new("Walks");
    bench.serve(&owner);
    bench.invite(owner.invitation("relay-member-id1"));
    bench.run();
    assert!(matches!(bench.done.as_slice(), [Done::Asked(_)]));
    bench.verdict = Some(Verdict::Refuse(RejectionReason::Policy));
    bench.restart();
    bench.pass(minutes(1));
    assert_eq!(bench.last_rejected(), Some(RejectionReason::Policy));
    assert!(bench.created().is_empty());

    bench.verdict = Some(Verdict::Accept);
    bench.invite(owner.invitation("relay-member-id2"));
    bench.run();
    assert!(bench.last_accepted().is_some());
}

#[test]
fn a_group_link_that_leads_nowhere_is_refused_at_once() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.invite(owner.invitation("relay-member-id1"));
    bench.run();
    assert_eq!(bench.last_rejected(), Some(RejectionReason::BadProfile));
    assert_eq!(bench.now, Time::from_millis(crate::support::START));
}

#[test]
fn an_invitation_whose_link_could_not_be_created_never_gets_another_one() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.serve(&owner);
    bench.can_create = false;
    bench.invite(owner.invitation("relay-member-id1"));
    bench.pass(hours(25));
    assert!(bench.last_rejected().is_some());
    let service = bench.relay.services().next().unwrap();
    let (id, planned) = (service.id(), service.relay_link().cloned());
    // It may exist all the same, if the server did more than it said.
    assert!(bench.deleted().contains(&ConnectionName::Link(id)));
    bench.pass(hours(30));
    bench.can_create = true;
    bench.invite(owner.invitation("relay-member-id1"));
    bench.run();
    assert!(bench.last_accepted().is_none() && bench.created().is_empty());
    assert_eq!(bench.services(), 1);
    assert_eq!(bench.relay.services().next().unwrap().relay_link().cloned(), planned);
}
