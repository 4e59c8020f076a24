//! Removing relays, relays that leave, and what stays possible after the last one is gone.

use agent::connection::Delivery;
use group::event::Event as ChatEvent;
use group::owner::{EndReason, InactiveReason, OwnerError, Removal, Status, TaskId};
use group::profile::GroupProfile;

use crate::support::{Desk, Out, Relay};

fn reason(desk: &Desk, id: &group::identity::MemberId) -> Option<EndReason> {
    desk.owner.relay(id).unwrap().reason()
}

#[test]
fn chat_49_all_relays_are_told_of_a_removal_and_the_link_no_longer_lists_it() {
    let mut desk = Desk::new();
    let (first, second) = (desk.activate(Relay::new(1)), desk.activate(Relay::new(2)));
    let kept = desk.owner.relay(&second).unwrap().relay_link().unwrap().to_owned();
    desk.with(|owner, env| owner.remove(&first, Removal::default(), env)).unwrap();
    assert_eq!(reason(&desk, &first), Some(InactiveReason::Removed.into()));
    desk.restart();
    desk.run();
    for id in [&first, &second] {
        let said = desk.said(id);
        let (ChatEvent::GroupMemberDelete(removal), true) = (&said.last().unwrap().0.event, said.last().unwrap().1)
        else {
            panic!("a signed removal")
        };
        assert_eq!((&removal.member_id, removal.roster_version), (&first, None));
    }
    let name = |id| desk.said(id).last().unwrap().0.id.clone();
    assert_eq!(name(&first), name(&second), "one message for the whole group");
    assert_eq!(desk.listed(), [kept]);
    let connection = desk.connection(&first);
    assert!(desk.out.contains(&Out::Deleted(connection, Delivery::Await)), "after it was told");
    assert!(desk.owner.relay(&first).unwrap().is_over());
    assert_eq!(desk.status(&second), Status::Active);
}

#[test]
fn chat_50_a_relay_that_is_offline_is_removed_without_being_told() {
    let mut desk = Desk::new();
    let (first, second) = (desk.activate(Relay::new(1)), desk.activate(Relay::new(2)));
    desk.with(|owner, env| owner.remove(&first, Removal { unnotified: true, ..Removal::default() }, env)).unwrap();
    desk.run();
    assert_eq!(desk.said_names(&first), ["x.grp.roster"]);
    assert_eq!(desk.said_names(&second).last().unwrap(), "x.grp.mem.del", "it cannot hide that from members");
    assert_eq!(desk.listed().len(), 1, "at its next check it does not find itself");
    let connection = desk.connection(&first);
    assert!(desk.out.contains(&Out::Deleted(connection, Delivery::Drop)));
    assert_eq!(reason(&desk, &first), Some(InactiveReason::RemovedUnnotified.into()));
}

#[test]
fn chat_51_the_last_relay_goes_only_if_that_is_wanted_and_another_can_follow() {
    let mut desk = Desk::new();
    let first = desk.activate(Relay::new(1));
    desk.invite(Relay::new(9));
    desk.run();
    let refused = desk.with(|owner, env| owner.remove(&first, Removal::default(), env)).unwrap_err();
    assert_eq!((refused, desk.status(&first)), (OwnerError::LastRelay, Status::Active));
    desk.with(|owner, env| owner.remove(&first, Removal { last: true, ..Removal::default() }, env)).unwrap();
    desk.run();
    assert!(desk.listed().is_empty());
    let link = desk.owner.link().group().short_link().clone();
    let second = desk.activate(Relay::new(2));
    assert_eq!(*desk.owner.link().group().short_link(), link, "members find it behind the same link");
    assert_eq!(desk.listed(), [desk.owner.relay(&second).unwrap().relay_link().unwrap()]);
    let again = desk.activate(Relay::new(1));
    assert_ne!(again, first);
    assert_eq!(desk.listed().len(), 2);
}

#[test]
fn a_relay_that_leaves_is_unlisted() {
    let mut desk = Desk::new();
    let relay = Relay::new(1);
    let id = desk.activate(relay);
    desk.receive(&id, &relay.says(ChatEvent::GroupLeave));
    assert_eq!(desk.status(&id), Status::Active, "not without its signature");
    let group = desk.group_id();
    desk.receive(&id, &Relay::new(2).signs(group, &id, ChatEvent::GroupLeave));
    assert_eq!(desk.status(&id), Status::Active, "nor with another one's");
    desk.receive(&id, &relay.signs(group, &id, ChatEvent::GroupLeave));
    assert_eq!(reason(&desk, &id), Some(InactiveReason::Left.into()));
    desk.run();
    assert!(desk.listed().is_empty());
    assert_eq!(desk.said_names(&id), ["x.grp.roster"], "it knows");
    assert!(desk.owner.relay(&id).unwrap().is_over());
}

#[test]
fn a_relay_that_can_no_longer_be_reached_is_unlisted() {
    let mut desk = Desk::new();
    let (first, second) = (desk.activate(Relay::new(1)), desk.accept(Relay::new(2)));
    for id in [&first, &second] {
        desk.fail(id, "the queue is gone");
        assert_eq!(reason(&desk, id), Some(InactiveReason::ConnectionLost.into()));
    }
    desk.run();
    assert!(desk.listed().is_empty());
}

#[test]
fn giving_up_tells_a_connected_relay_and_nobody_else() {
    let mut desk = Desk::new();
    let other = desk.activate(Relay::new(1));
    let id = desk.accept(Relay::new(2));
    desk.run();
    desk.with(|owner, env| owner.cancel(&id, env)).unwrap();
    desk.run();
    assert_eq!(reason(&desk, &id), Some(InactiveReason::Cancelled.into()));
    assert_eq!(desk.said_names(&id), ["x.grp.roster", "x.grp.mem.del"]);
    assert_eq!(desk.said_names(&other), ["x.grp.roster"]);
    let refused = desk.with(|owner, env| owner.cancel(&other, env)).unwrap_err();
    assert_eq!(refused, OwnerError::Prohibited("cancel", Status::Active));
    let refused = desk.with(|owner, env| owner.remove(&id, Removal::default(), env)).unwrap_err();
    assert_eq!(refused, OwnerError::Prohibited("remove", Status::Inactive));
}

#[test]
fn giving_up_a_relay_that_is_about_to_be_listed_tells_everybody() {
    let mut desk = Desk::new();
    let other = desk.activate(Relay::new(1));
    let relay = Relay::new(2);
    let id = desk.accept(relay);
    desk.run();
    desk.receive(&id, &relay.acknowledges(0, None));
    desk.owner.task(&TaskId::WriteLink).unwrap();
    desk.with(|owner, env| owner.cancel(&id, env)).unwrap();
    desk.run();
    assert_eq!(desk.said_names(&other).last().unwrap(), "x.grp.mem.del", "members may have read the link");
    assert_eq!(desk.listed().len(), 1);
}

#[test]
fn giving_up_before_anybody_was_asked_leaves_nothing() {
    let mut desk = Desk::new();
    let id = desk.invite(Relay::new(1));
    desk.step(&TaskId::ReadAddress(id.clone()));
    desk.owner.task(&TaskId::Invite(id.clone())).unwrap();
    desk.with(|owner, env| owner.cancel(&id, env)).unwrap();
    desk.run();
    // The connection was being opened; when that is done it is deleted.
    desk.finish(&TaskId::Invite(id.clone()), group::owner::Outcome::Done);
    assert!(!desk.owner.relay(&id).unwrap().is_over());
    desk.run();
    assert_eq!(desk.out.len(), 2);
    assert!(desk.owner.relay(&id).unwrap().is_over());
    desk.owner.forget(&id).unwrap();
    assert!(desk.owner.relays().is_empty());
}

#[test]
fn nobody_hears_of_a_new_relay_that_is_gone_already() {
    let mut desk = Desk::new();
    let first = desk.activate(Relay::new(1));
    desk.with(|owner, env| owner.set_contents(GroupProfile::named("Walks"), 2, env)).unwrap();
    let relay = Relay::old(2);
    let second = desk.accept(relay);
    desk.step(&TaskId::WriteLink);
    assert_eq!(desk.status(&second), Status::Active);
    let group = desk.group_id();
    desk.receive(&second, &relay.signs(group, &second, ChatEvent::GroupLeave));
    desk.run();
    assert_eq!(desk.said_names(&first), ["x.grp.roster"]);
}
