//! What owner and relays come to together.

use std::time::Duration;

use group::event::{RejectionReason, RelayCommand};
use group::identity::MemberId;
use group::owner::{
    ActiveStage, EndReason, Event, InactiveReason, Persona, RejectedReason, Removal, Status as OwnerStatus,
};
use group::relay::{GroupSelector, Inactivity, Status};

use crate::world::World;

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

fn invite(world: &mut World, relay: usize) -> MemberId {
    let address = world.address(relay);
    let mut invited = None;
    world.on_owner(|owner, env| {
        if owner.persona().is_none() {
            let server = "smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@owner.example.org".parse().unwrap();
            owner.introduce(Persona::random(server, env.random)).unwrap();
        }
        invited = Some(owner.invite(address, env).unwrap());
        Vec::new()
    });
    invited.unwrap()
}

fn stage(world: &World, member: &MemberId) -> (OwnerStatus, Option<ActiveStage>, Option<EndReason>) {
    let record = world.owner.relay(member).unwrap();
    (record.status(), record.active_stage(), record.reason())
}

/// How the relay stands with what it was last invited to.
fn last(world: &World, relay: usize) -> Status {
    world.relays[relay].services().last().unwrap().status().clone()
}

const CONFIRMED: (OwnerStatus, Option<ActiveStage>, Option<EndReason>) =
    (OwnerStatus::Active, Some(ActiveStage::Confirmed), None);

#[test]
fn relays_are_invited_acknowledge_the_roster_are_listed_and_find_themselves() {
    let mut world = World::new(3);
    let members: Vec<MemberId> = (0..3).map(|relay| invite(&mut world, relay)).collect();
    world.pass(minutes(2));
    for (relay, member) in members.iter().enumerate() {
        assert_eq!(stage(&world, member), CONFIRMED);
        let service = world.relays[relay].services().next().unwrap();
        assert_eq!(*service.status(), Status::Active);
        assert!(service.is_confirmed() && service.roster().is_some());
        let link = service.relay_link().unwrap().to_string();
        assert!(world.listed().contains(&link), "as the relay wrote it");
    }
    assert_eq!(world.listed().len(), 3);
}

#[test]
fn owners_see_every_status_in_its_order() {
    let mut world = World::new(1);
    let member = invite(&mut world, 0);
    assert_eq!(stage(&world, &member), (OwnerStatus::New, None, None));
    world.pass(minutes(2));
    let statuses: Vec<_> = world.owner_events.iter().filter_map(status_of).collect();
    assert_eq!(
        statuses,
        [
            (OwnerStatus::Invited, None),
            (OwnerStatus::Accepted, None),
            (OwnerStatus::Acknowledged, None),
            (OwnerStatus::Active, Some(ActiveStage::Listed)),
            (OwnerStatus::Active, Some(ActiveStage::Notified)),
            (OwnerStatus::Active, Some(ActiveStage::Confirmed)),
        ]
    );
    let kept = world.owner.relay(&member).unwrap().history().iter().map(|change| (change.status, change.stage));
    let new = (OwnerStatus::New, None);
    assert_eq!(kept.collect::<Vec<_>>(), [&[new], statuses.as_slice()].concat());
}

fn status_of(event: &Event) -> Option<(OwnerStatus, Option<ActiveStage>)> {
    match event {
        Event::Status { status, stage, .. } => Some((*status, *stage)),
        _ => None,
    }
}

#[test]
fn chat_49_a_relay_that_is_told_of_its_removal_ends_and_the_others_stay() {
    let mut world = World::new(2);
    let members = [invite(&mut world, 0), invite(&mut world, 1)];
    world.pass(minutes(2));
    world.on_owner(|owner, env| owner.remove(&members[0], Removal::default(), env).unwrap());
    world.pass(minutes(1));
    assert_eq!(last(&world, 0), Status::Inactive(Inactivity::Removed));
    assert_eq!(last(&world, 1), Status::Active);
    assert_eq!(world.listed().len(), 1);
    assert!(world.relays[0].services().next().unwrap().farewell().is_some());
}

#[test]
fn chat_50_a_relay_that_is_removed_while_it_is_off_finds_out_by_itself() {
    let mut world = World::new(2);
    let members = [invite(&mut world, 0), invite(&mut world, 1)];
    world.pass(minutes(2));
    world.off.push(0);
    let removal = Removal { unnotified: true, ..Removal::default() };
    world.on_owner(|owner, env| owner.remove(&members[0], removal, env).unwrap());
    world.pass(minutes(60));
    assert_eq!(last(&world, 0), Status::Active);
    world.off.clear();
    world.pass(minutes(1));
    assert_eq!(last(&world, 0), Status::Inactive(Inactivity::Absent));
    assert_eq!(last(&world, 1), Status::Active);
}

#[test]
fn chat_36_and_37_a_relay_that_left_refuses_until_its_operator_allows_the_group() {
    let mut world = World::new(1);
    let first = invite(&mut world, 0);
    world.pass(minutes(2));
    let group = GroupSelector::Group(world.owner.link().group().group_id());
    world.on_relay(0, |relay, env| relay.leave(&group, env).unwrap());
    world.pass(minutes(1));
    assert_eq!(stage(&world, &first).2, Some(InactiveReason::Left.into()));
    assert!(world.listed().is_empty());

    let second = invite(&mut world, 0);
    world.pass(minutes(1));
    assert_eq!(stage(&world, &second).2, Some(RejectedReason::Refused(RejectionReason::RejoinRejected).into()));
    assert_eq!(world.relays[0].services().count(), 1, "the refusal is forgotten after the owner's ok");

    world.on_relay(0, |relay, env| relay.allow(&group, env).unwrap());
    let third = invite(&mut world, 0);
    world.pass(minutes(2));
    assert_eq!(stage(&world, &third), CONFIRMED);
}

#[test]
fn chat_51_after_the_last_relay_a_new_one_serves_the_group() {
    let mut world = World::new(2);
    let first = invite(&mut world, 0);
    world.pass(minutes(2));
    world.on_owner(|owner, env| owner.remove(&first, Removal { last: true, unnotified: false }, env).unwrap());
    world.pass(minutes(1));
    assert!(world.listed().is_empty());
    let second = invite(&mut world, 1);
    world.pass(minutes(2));
    assert_eq!(stage(&world, &second), CONFIRMED);
    // And the first one again, as another member with another link.
    let old = world.relays[0].services().next().unwrap().relay_link().cloned();
    let again = invite(&mut world, 0);
    world.pass(minutes(2));
    assert_eq!(stage(&world, &again), CONFIRMED);
    assert_ne!(world.relays[0].services().last().unwrap().relay_link().cloned(), old);
}

#[test]
fn chat_35_an_owner_that_asks_again_gets_the_same_link() {
    let mut world = World::new(1);
    world.off.push(0);
    let member = invite(&mut world, 0);
    world.pass(minutes(30));
    for _ in 0..3 {
        world.on_owner(|owner, env| owner.ask_again(&member, env).map(|()| Vec::new()).unwrap());
        world.pass(minutes(30));
    }
    world.off.clear();
    world.pass(minutes(2));
    assert_eq!(world.relays[0].services().count(), 1);
    assert_eq!(stage(&world, &member), CONFIRMED);
    assert_eq!(world.listed().len(), 1);
}

#[test]
fn an_owner_suspends_and_resumes_the_admission_of_members() {
    let mut world = World::new(1);
    let member = invite(&mut world, 0);
    world.pass(minutes(2));
    for (command, accepting) in
        [(RelayCommand::Suspend, false), (RelayCommand::Status, false), (RelayCommand::Resume, true)]
    {
        world.on_owner(|owner, env| owner.control(&member, command, env).map(|()| Vec::new()).unwrap());
        world.pass(minutes(1));
        let told = world.owner_events.iter().rev().find_map(|event| match event {
            Event::Accepting { accepting, .. } => Some(*accepting),
            _ => None,
        });
        assert_eq!(told, Some(accepting));
    }
}

#[test]
fn an_invitation_that_is_given_up_ends_on_both_sides() {
    let mut world = World::new(1);
    world.off.push(0);
    let member = invite(&mut world, 0);
    world.pass(minutes(1));
    world.on_owner(|owner, env| owner.cancel(&member, env).unwrap());
    world.off.clear();
    world.pass(minutes(60 * 24 * 9));
    assert_eq!(stage(&world, &member).0, OwnerStatus::Inactive);
    assert_eq!(last(&world, 0), Status::Inactive(Inactivity::NeverListed));
    assert!(world.listed().is_empty());
}
