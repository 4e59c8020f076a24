//! From the choice of a relay to its admission: what it is asked, and what must be true of its answer.

use agent::short_link::ContactKind;
use group::body::ConnectionInfo;
use group::event::Event as ChatEvent;
use group::extension::Extension;
use group::identity::MemberId;
use group::member::Role;
use group::owner::{AddressFault, EndReason, Event, Outcome, OwnerError, Persona, RejectedReason, Status, TaskId};
use serde_json::json;

use crate::support::{Desk, Linked, Out, Relay, server};

#[test]
fn chat_26_the_invitation_names_owner_role_relay_and_the_exact_link() {
    let mut desk = Desk::new();
    let (one, other) = (desk.invite(Relay::new(1)), desk.invite(Relay::new(2)));
    assert_ne!(one, other, "each relay gets a member ID of its own");
    assert_eq!((one.as_bytes().len(), desk.status(&one)), (16, Status::New));
    desk.run();
    assert_eq!(desk.status(&one), Status::Invited);
    let invitations = desk.invitations();
    let owner = desk.owner_identity();
    for (invitation, id) in invitations.iter().zip([&one, &other]) {
        assert_eq!(invitation.from_member.member_id, owner.owner_id);
        assert_eq!(invitation.from_member.member_role, Role::Owner);
        assert_eq!(invitation.relay_member_id, *id);
        assert_eq!(invitation.group_link, desk.owner.link().group().short_link().to_string());
        assert!(invitation.ext.announce(&Extension::RelayReady));
    }
    assert_eq!(invitations.len(), 2);
}

#[test]
fn a_request_that_is_repeated_is_the_same_request() {
    let mut desk = Desk::new();
    let id = desk.invite(Relay::new(1));
    desk.step(&TaskId::ReadAddress(id.clone()));
    desk.step(&TaskId::Invite(id.clone()));
    let first = desk.out.clone();
    desk.restart();
    assert_eq!(desk.owner.due(desk.now), [], "it was asked");

    // The connection was opened, and nobody wrote that down.
    let mut desk = Desk::new();
    let id = desk.invite(Relay::new(1));
    desk.restart();
    desk.step(&TaskId::ReadAddress(id.clone()));
    desk.restart();
    assert_eq!(desk.owner.due(desk.now), [TaskId::ReadAddress(id.clone())], "the choice is kept, the address is not");
    desk.run();
    assert_eq!(desk.out, first, "the same connection says the same");
}

/// A change to what an address says.
type Edit = fn(&mut Linked);

#[test]
fn only_relay_addresses_are_invited() {
    let mut desk = Desk::new();
    let relay = Relay::new(1);
    let not_relay = desk.publish(&Linked { kind: ContactKind::Contact, ..relay.address() });
    let refused = desk.with(|owner, env| owner.invite(not_relay, env)).unwrap_err();
    assert_eq!(refused, OwnerError::Address(AddressFault::Kind));

    let edits: [(Edit, &str); 4] = [
        (|linked| linked.direct = false, "it takes no requests"),
        (|linked| linked.json = None, "no user data"),
        (|linked| linked.json = Some(json!({"profile": {}})), "relayProfile"),
        (|linked| linked.json = Some(json!({"relayProfile": {"displayName": " ", "fullName": ""}})), "name is empty"),
    ];
    for (number, (edit, expected)) in (10..).zip(edits) {
        let mut linked = Relay::new(number).address();
        edit(&mut linked);
        let address = desk.publish(&linked);
        let id = desk.with(|owner, env| owner.invite(address, env)).unwrap();
        desk.run();
        let Some(EndReason::Rejected(RejectedReason::Address(reason))) = desk.owner.relay(&id).unwrap().reason() else {
            panic!("{expected}")
        };
        assert!(reason.contains(expected), "{reason}");
        assert!(desk.owner.relay(&id).unwrap().is_over());
    }
    assert!(desk.invitations().is_empty(), "nobody was asked");
}

#[test]
fn an_address_of_another_link_is_not_believed() {
    let mut desk = Desk::new();
    let id = desk.invite(Relay::new(1));
    let (_, other) = Relay::new(2).address().make();
    desk.finish(&TaskId::ReadAddress(id.clone()), Outcome::Retrieved(Box::new(other)));
    assert_eq!(desk.status(&id), Status::Rejected);
}

#[test]
fn the_same_relay_is_not_invited_twice_at_once() {
    let mut desk = Desk::new();
    let id = desk.accept(Relay::new(1));
    let (address, _) = Relay::new(1).address().make();
    let refused = desk.with(|owner, env| owner.invite(address.clone(), env)).unwrap_err();
    assert_eq!(refused, OwnerError::AlreadyInvited(id.clone()));
    desk.with(|owner, env| owner.cancel(&id, env)).unwrap();
    let again = desk.with(|owner, env| owner.invite(address, env)).unwrap();
    assert_ne!(again, id, "a new invitation makes a new record with a new member ID");
}

#[test]
fn an_owner_must_have_decided_how_it_appears() {
    let mut owner = group::owner::GroupOwner::from(crate::support::created(7));
    let mut random = crypto::SeededRandom::new(&[1; 32], "owner");
    let mut env = agent::time::Env { now: agent::time::Time::from_millis(0), random: &mut random };
    let (address, _) = Relay::new(1).address().make();
    assert_eq!(owner.invite(address, &mut env), Err(OwnerError::NoPersona));
    owner.introduce(Persona::random(server("one.example.org"), env.random)).unwrap();
    let second = Persona::random(server("two.example.org"), env.random);
    assert_eq!(owner.introduce(second), Err(OwnerError::AlreadyIntroduced));
}

/// What is wrong with a relay link, and what the owner says about it.
type Fault = (fn(&mut Linked, &Desk), &'static str);

#[test]
fn chat_29_a_relay_link_that_is_wrong_is_refused_and_nothing_is_published() {
    let faults: [Fault; 9] = [
        (|linked, _| linked.entity_id = Some(b"somebody else".to_vec()), "another member"),
        (|linked, desk| linked.entity_id = Some(desk.group_id().as_bytes().to_vec()), "another member"),
        (|linked, _| linked.entity_id = None, "no member ID"),
        (|linked, _| linked.direct = false, "it takes no requests"),
        (|linked, _| linked.json = None, "no user data"),
        (|linked, _| linked.json = Some(json!({"relayProfile": 1})), "profile_readable"),
        (|linked, _| linked.tail = [&b"gid1 "[..], &[9; 32]].concat(), "another group"),
        (|linked, _| linked.tail = b"gid1\x03abc".to_vec(), "length of group ID"),
        (
            |linked, _| {
                let group_id = codec::text::base64url(&[9; 32]);
                linked.json.as_mut().unwrap()["groupId"] = group_id.into();
            },
            "another group",
        ),
    ];
    for (fault, expected) in faults {
        let mut desk = Desk::new();
        let relay = Relay::new(1);
        let id = desk.invite(relay);
        desk.run();
        let mut linked = relay.relay_link(&id);
        fault(&mut linked, &desk);
        let link = desk.publish(&linked);
        desk.answer(&id, &relay.accepts(&link.to_string()));
        desk.run();
        let Some(EndReason::Rejected(RejectedReason::RelayLink(reason))) = desk.owner.relay(&id).unwrap().reason()
        else {
            panic!("{expected}")
        };
        assert!(reason.contains(expected), "{expected}: {reason}");
        assert!(desk.published.is_empty() && desk.owner.link().group().contents().relays.is_empty());
        let connection = desk.connection(&id);
        assert!(desk.out.iter().any(|out| matches!(out, Out::Deleted(deleted, _) if *deleted == connection)));
        assert!(!desk.out.iter().any(|out| matches!(out, Out::Allowed(..))), "it hears nothing");
        assert!(desk.owner.relay(&id).unwrap().is_over());
    }
}

#[test]
fn a_relay_link_that_leads_nowhere_is_refused() {
    let mut desk = Desk::new();
    let relay = Relay::new(1);
    let id = desk.invite(relay);
    desk.run();
    let (link, _) = relay.relay_link(&id).make();
    desk.answer(&id, &relay.accepts(&link.to_string()));
    desk.run();
    let reason = RejectedReason::RelayLink("AUTH".to_owned());
    assert_eq!(desk.owner.relay(&id).unwrap().reason(), Some(reason.into()));
}

#[test]
fn chat_30_the_owner_says_ok_only_after_the_relay_link_was_checked() {
    let mut desk = Desk::new();
    let relay = Relay::new(1);
    let id = desk.invite(relay);
    desk.run();
    let link = desk.publish(&relay.relay_link(&id));
    desk.answer(&id, &relay.accepts(&link.to_string()));
    assert_eq!(desk.status(&id), Status::Invited);
    assert_eq!(desk.owner.due(desk.now), [TaskId::ReadRelayLink(id.clone())]);
    assert_eq!(desk.owner.task(&TaskId::Allow(id.clone())).unwrap_err(), OwnerError::Task);
    desk.step(&TaskId::ReadRelayLink(id.clone()));
    assert_eq!(desk.status(&id), Status::Accepted);
    desk.step(&TaskId::Allow(id.clone()));
    let Some(Out::Allowed(connection, info)) = desk.out.last() else { panic!("allowed") };
    assert_eq!(*connection, desk.connection(&id));
    assert_eq!(*ConnectionInfo::parse(info).unwrap().event(), ChatEvent::Ok);
}

#[test]
fn the_record_says_how_firmly_the_link_belongs_to_the_group() {
    let mut desk = Desk::new();
    let reference = desk.accept(Relay::new(1));
    let ours = Relay::new(2);
    let id = desk.invite(ours);
    desk.run();
    let group = desk.group_id();
    let link = desk.publish(&ours.bound_link(&id, group));
    desk.answer(&id, &ours.accepts(&link.to_string()));
    desk.run();
    let binding = |id: &MemberId| serde_json::to_value(desk.owner.relay(id).unwrap().binding().unwrap()).unwrap();
    assert_eq!((binding(&reference), binding(&id)), (json!("member_id"), json!("fixed_data")));
}

#[test]
fn chat_36_a_refusal_is_shown_and_answered_with_ok() {
    for reason in ["rejoin_rejected", "capacity", "something new"] {
        let mut desk = Desk::new();
        let relay = Relay::new(1);
        let id = desk.invite(relay);
        desk.run();
        desk.answer(&id, &relay.rejects(reason));
        assert_eq!(desk.status(&id), Status::Rejected);
        assert!(desk.events.contains(&Event::Status { relay: id.clone(), status: Status::Rejected, stage: None }));
        let record = desk.owner.relay(&id).unwrap();
        assert_eq!(record.reason().unwrap().to_string(), format!("it refused: {reason}"));
        desk.restart();
        desk.run();
        let connection = desk.connection(&id);
        let [.., Out::Allowed(allowed, info), Out::Deleted(deleted, delivery)] = desk.out.as_slice() else {
            panic!("ok, then the end")
        };
        assert_eq!([allowed, deleted], [&connection, &connection]);
        assert_eq!(*ConnectionInfo::parse(info).unwrap().event(), ChatEvent::Ok);
        assert_eq!(*delivery, agent::connection::Delivery::Await, "the relay waits for it");
        assert!(desk.owner.relay(&id).unwrap().is_over() && desk.published.is_empty());
    }
}

#[test]
fn chat_37_after_allowing_the_next_invitation_is_a_new_one() {
    let mut desk = Desk::new();
    let relay = Relay::new(1);
    let refused = desk.invite(relay);
    desk.run();
    desk.answer(&refused, &relay.rejects("rejoin_rejected"));
    desk.run();
    let id = desk.activate(relay);
    assert_ne!(id, refused);
    assert_eq!(desk.owner.relays().len(), 1, "what is over makes room");
}

#[test]
fn chat_58_no_extension_is_used_that_the_relay_did_not_announce() {
    let mut desk = Desk::new();
    let plain = desk.activate(Relay::new(1));
    desk.run();
    assert_eq!(desk.said_names(&plain), ["x.grp.roster"]);
    let command = group::event::RelayCommand::Suspend;
    let refused = desk.with(|owner, env| owner.control(&plain, command.clone(), env)).unwrap_err();
    assert_eq!(refused, OwnerError::NotAnnounced(Extension::Suspension));

    let ready = desk.activate(Relay::ready(2));
    desk.run();
    assert_eq!(desk.said_names(&ready), ["x.grp.roster", "x.grp.info"]);
    assert_eq!(desk.said_names(&plain), ["x.grp.roster"]);
    assert!(desk.with(|owner, env| owner.control(&ready, command, env)).is_err(), "it announced something else");
}
