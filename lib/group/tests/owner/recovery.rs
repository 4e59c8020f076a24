//! The recovery list: whatever is cut off goes on, and whatever is stuck can be asked again.

use std::time::Duration;

use agent::connection::Delivery;
use group::owner::{Outcome, OwnerError, Status, TaskId};

use crate::support::{Desk, Out, Relay};

#[test]
fn rec_o1_every_step_goes_on_after_a_restart() {
    let mut desk = Desk::new();
    let relay = Relay::ready(1);
    let id = desk.invite(relay);
    let mut steps = 0;
    let mut settle = |desk: &mut Desk| {
        for _ in 0..100 {
            desk.restart();
            let Some(task) = desk.owner.due(desk.now).first().cloned() else { return };
            // The address that was read is not kept: reading and asking go together.
            desk.step(&task);
            if matches!(task, TaskId::ReadAddress(_)) {
                desk.step(&TaskId::Invite(id.clone()));
            }
            steps += 1;
        }
        panic!("steps without end");
    };
    settle(&mut desk);
    let link = desk.publish(&relay.relay_link(&id));
    desk.answer(&id, &relay.accepts(&link.to_string()));
    settle(&mut desk);
    desk.connect(&id);
    settle(&mut desk);
    desk.receive(&id, &relay.acknowledges(0, None));
    settle(&mut desk);
    assert_eq!(desk.status(&id), Status::Active);
    assert_eq!(desk.said_names(&id), ["x.grp.roster", "x.grp.info"]);
    assert_eq!((steps, desk.invitations().len(), desk.published.len()), (6, 1, 1));
}

#[test]
fn rec_o3_a_choice_is_kept_before_anything_is_sent() {
    let mut desk = Desk::new();
    let id = desk.invite(Relay::new(1));
    desk.restart();
    assert_eq!((desk.status(&id), desk.out.len()), (Status::New, 0));
    desk.run();
    assert_eq!(desk.status(&id), Status::Invited);
}

#[test]
fn rec_o4_what_cannot_be_reached_is_tried_again_more_and_more_slowly() {
    let mut desk = Desk::new();
    let id = desk.invite(Relay::new(1));
    let task = TaskId::ReadAddress(id.clone());
    let mut waits = Vec::new();
    for _ in 0..10 {
        assert_eq!(desk.owner.due(desk.now), std::slice::from_ref(&task));
        desk.finish(&task, Outcome::Unreachable("no route".to_owned()));
        assert_eq!(desk.owner.due(desk.now), []);
        let next = desk.owner.next_due().unwrap();
        waits.push(next.since(desk.now).as_secs());
        desk.now = next;
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
    assert_eq!(desk.owner.relay(&id).unwrap().problem(), Some("no route"));
    assert_eq!(desk.events.len(), 1, "the same problem is told once");
    desk.run();
    assert_eq!((desk.status(&id), desk.owner.relay(&id).unwrap().problem()), (Status::Invited, None));

    let mut desk = Desk::new();
    let id = desk.invite(Relay::new(1));
    desk.finish(&TaskId::ReadAddress(id.clone()), Outcome::Unreachable("no route".to_owned()));
    desk.owner.try_again();
    assert_eq!(desk.owner.due(desk.now), [TaskId::ReadAddress(id)]);
}

#[test]
fn rec_o4_a_relay_that_does_not_answer_is_asked_again_as_the_same_member() {
    let mut desk = Desk::new();
    let relay = Relay::new(1);
    let id = desk.invite(relay);
    desk.run();
    let first = desk.connection(&id);
    desk.fail(&id, "the request was refused");
    assert_eq!(desk.status(&id), Status::Invited, "the owner decides");
    desk.restart();
    assert_eq!(desk.owner.relay(&id).unwrap().problem(), Some("the request was refused"));
    desk.with(|owner, env| owner.ask_again(&id, env)).unwrap();
    desk.restart();
    desk.run();
    let second = desk.connection(&id);
    assert_ne!(first, second, "with another connection");
    assert!(desk.out.contains(&Out::Deleted(first.clone(), Delivery::Drop)));
    let invitations = desk.invitations();
    assert_eq!((invitations.len(), &invitations[0]), (2, &invitations[1]), "and the same words");
    let late = desk.with(|owner, env| owner.answered(&first, b"{}", env)).unwrap_err();
    assert_eq!(late, OwnerError::UnknownConnection(first));
    let link = desk.publish(&relay.relay_link(&id));
    desk.answer(&id, &relay.accepts(&link.to_string()));
    desk.run();
    assert_eq!(desk.status(&id), Status::Accepted);
}

#[test]
fn rec_o5_a_relay_link_that_cannot_be_read_now_is_read_later() {
    let mut desk = Desk::new();
    let relay = Relay::new(1);
    let id = desk.invite(relay);
    desk.run();
    let link = desk.publish(&relay.relay_link(&id));
    desk.answer(&id, &relay.accepts(&link.to_string()));
    let task = TaskId::ReadRelayLink(id.clone());
    desk.finish(&task, Outcome::Unreachable("no route".to_owned()));
    desk.restart();
    // The agent tells the answer again until the relay is allowed.
    desk.answer(&id, &relay.accepts("https://relay.example.org/g#something-else"));
    desk.answer(&id, &relay.rejects("policy"));
    assert_eq!(desk.status(&id), Status::Invited, "the first answer counts, and this one is none");
    desk.run();
    assert_eq!(desk.status(&id), Status::Accepted);
}

#[test]
fn rec_o6_a_write_whose_answer_was_lost_is_made_again() {
    let mut desk = Desk::new();
    let id = desk.accept(Relay::old(1));
    desk.owner.task(&TaskId::WriteLink).unwrap();
    desk.restart();
    assert_eq!((desk.status(&id), desk.owner.due(desk.now)), (Status::Accepted, vec![TaskId::WriteLink]));
    desk.run();
    assert_eq!((desk.status(&id), desk.published.len()), (Status::Active, 1));
}

#[test]
fn rec_o7_a_relay_that_keeps_silent_about_the_roster_gets_it_again() {
    let mut desk = Desk::new();
    let relay = Relay::new(1);
    let id = desk.accept(relay);
    desk.run();
    desk.now = desk.now.after(Duration::from_secs(3600));
    assert_eq!(desk.owner.due(desk.now), []);
    desk.with(|owner, env| owner.ask_again(&id, env)).unwrap();
    desk.run();
    assert_eq!(desk.said_names(&id), ["x.grp.roster", "x.grp.roster"]);
    desk.receive(&id, &relay.acknowledges(0, None));
    desk.run();
    let refused = desk.with(|owner, env| owner.ask_again(&id, env)).unwrap_err();
    assert_eq!(refused, OwnerError::Prohibited("ask again", Status::Active));
}

#[test]
fn an_answer_to_a_request_that_nobody_wrote_down_counts() {
    let mut desk = Desk::new();
    let relay = Relay::new(1);
    let id = desk.invite(relay);
    let link = desk.publish(&relay.relay_link(&id));
    desk.answer(&id, &relay.accepts(&link.to_string()));
    desk.run();
    assert_eq!((desk.status(&id), desk.invitations().len()), (Status::Accepted, 0));
}

#[test]
fn messages_that_are_sent_twice_are_the_same() {
    let mut desk = Desk::new();
    let id = desk.accept(Relay::new(1));
    let send = desk.owner.due(desk.now)[0].clone();
    let group::owner::Task::Send { bodies: first, .. } = desk.owner.task(&send).unwrap() else { panic!("send") };
    desk.restart();
    assert_eq!(desk.owner.due(desk.now), std::slice::from_ref(&send));
    let group::owner::Task::Send { bodies, .. } = desk.owner.task(&send).unwrap() else { panic!("send") };
    assert_eq!(first, bodies, "to the last byte, for {id}");
}
