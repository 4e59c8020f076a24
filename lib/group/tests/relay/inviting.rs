//! Invitations, their answers, relay links, and tests of the address.

use agent::link_data::UserData as _;
use agent::link_read::RetrievedLinkData;
use agent::short_link::ContactKind;
use agent::time::Env;
use crypto::sign::Ed25519PrivateKey;
use group::binding::tail;
use group::body::ConnectionInfo;
use group::event::{Event, RejectionReason, RelayTest};
use group::extension::Extension;
use group::profile::{GroupProfile, GroupType};
use group::relay::{ConnectionName, GroupSelector, RelaySettings, Status, Task, TaskId};
use group::user_data::{Contents as _, RelayLinkContents};

use crate::support::{Bench, Done, Found, Owner, SERVER, hours, id, identity, minutes, random, settings};

#[test]
fn chat_28_a_relay_link_belongs_to_the_member_key_and_the_member_id() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.serve(&owner);
    bench.invite(owner.invitation("relay-member-id1"));
    let read = bench.relay.due(bench.now)[0];
    bench.run_task(&read);
    let create = bench.relay.due(bench.now)[0];
    let task = bench.relay.task(&create, &mut Env { now: bench.now, random: &mut random("task") }).unwrap();
    let Task::CreateLink { link, data, .. } = task else { panic!("a link is created") };
    let short = link.fixed().short_link(ContactKind::Group, agent::short_link::LinkScheme::Https);
    let read = RetrievedLinkData { sender_id: link.sender_id().clone(), data }.read(&short).unwrap();

    let service = bench.relay.services().next().unwrap();
    assert_eq!(read.fixed().root_key, service.member_key().public().0);
    assert_eq!(read.fixed().entity_id.as_ref().unwrap().as_bytes(), b"relay-member-id1");
    assert_eq!(read.fixed().tail, tail(&owner.identity.group_id()));
    assert!(read.user().direct());
    assert!(read.user().owners().is_empty() && read.user().relays().is_empty());
    let contents = RelayLinkContents::from_payload(read.user().payload()).unwrap();
    assert_eq!(contents.relay_profile, identity().profile);
    assert_eq!(contents.group_id, Some(owner.identity.group_id()));
    assert!(contents.ext.announce(&Extension::GroupInFixedData));
    let client_data: serde_json::Value =
        serde_json::from_str(link.full_link().request().client_data().unwrap()).unwrap();
    assert_eq!(client_data["type"], "group");
}

#[test]
fn an_accepted_owner_gets_the_link_that_was_created_and_the_statuses_follow_in_order() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    let (service, connection, link) = bench.accept(&owner, "relay-member-id1");
    assert_eq!(bench.created(), std::slice::from_ref(&link));
    assert_eq!(link.kind, ContactKind::Group);
    assert_eq!(connection, ConnectionName::Owner(service, 1));
    let statuses = bench.log.iter().filter_map(|entry| match &entry.event {
        group::relay::LogEvent::Status(status) => Some(status.clone()),
        _ => None,
    });
    assert_eq!(statuses.collect::<Vec<_>>(), [Status::LinkCreated, Status::Accepted]);
    let Some(Done::Answered(_, Event::GroupRelayAccept(accept))) =
        bench.done.iter().find(|done| matches!(done, Done::Answered(..)))
    else {
        panic!("an answer")
    };
    let capabilities = accept.relay_cap.as_ref().unwrap();
    for extension in [Extension::RelayReady, Extension::Suspension, Extension::GroupInFixedData] {
        assert!(capabilities.ext.announce(&extension));
    }
}

#[test]
fn chat_35_a_repeated_invitation_gets_the_same_link_and_makes_no_second_group() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    let (service, first, link) = bench.accept(&owner, "relay-member-id1");
    bench.restart();
    bench.invite(owner.invitation("relay-member-id1"));
    bench.run();
    assert_eq!(bench.last_accepted(), Some((ConnectionName::Owner(service, 2), link.clone())));
    assert_eq!(bench.created(), [link]);
    assert_eq!(bench.services(), 1);
    assert!(!bench.deleted().contains(&first));
}

#[test]
fn chat_35_repeats_before_the_first_answer_are_all_answered_with_one_link() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.lose(&owner, Found::Unreachable);
    bench.invite(owner.invitation("relay-member-id1"));
    bench.run();
    bench.invite(owner.invitation("relay-member-id1"));
    bench.restart();
    bench.serve(&owner);
    bench.pass(minutes(1));
    let answers = bench.done.iter().filter(|done| matches!(done, Done::Answered(_, Event::GroupRelayAccept(_))));
    assert_eq!(answers.count(), 2);
    assert_eq!(bench.created().len(), 1);
}

#[test]
fn chat_35_the_agent_may_tell_of_a_request_twice() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    bench.serve(&owner);
    let request = bench.invite(owner.invitation("relay-member-id1"));
    let invite = group::event::RelayInvite { group_relay_invitation: owner.invitation("relay-member-id1").into() };
    let info = ConnectionInfo::unsigned(Event::GroupRelayInvite(invite)).to_bytes().unwrap();
    bench.step(|relay, env| relay.requested(request, &info, env));
    bench.run();
    bench.restart();
    bench.step(|relay, env| relay.requested(request, &info, env));
    bench.run();
    assert_eq!(bench.done.iter().filter(|done| matches!(done, Done::Answered(..))).count(), 1);
}

#[test]
fn chat_35_another_member_id_gets_another_link_and_replaces_the_first_once_it_is_listed() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (old, old_connection, old_link) = bench.activate(&mut owner, "relay-member-id1");
    let (new, _, new_link) = bench.accept(&owner, "relay-member-id2");
    assert_ne!(old_link, new_link);
    bench.pass(minutes(40));
    assert_eq!(bench.status(old), Status::Active);
    assert_eq!(bench.status(new), Status::Accepted);

    owner.publish(&[old_link, new_link]);
    bench.serve(&owner);
    bench.pass(minutes(20));
    assert_eq!(bench.status(new), Status::Active);
    assert_eq!(bench.status(old), Status::Inactive(group::relay::Inactivity::Replaced));
    assert!(bench.deleted().contains(&ConnectionName::Link(old)));
    assert!(bench.sent().contains(&(old_connection, Event::GroupLeave)));
}

#[test]
fn chat_36_a_group_that_was_left_is_refused_until_the_owner_says_ok() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (left, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    bench.step(|relay, env| relay.leave(&GroupSelector::Group(owner.identity.group_id()), env).unwrap());
    bench.run();
    assert!(bench.status(left).is_left());
    assert!(bench.sent().contains(&(connection, Event::GroupLeave)));
    assert!(bench.deleted().contains(&connection) && bench.deleted().contains(&ConnectionName::Link(left)));

    bench.restart();
    bench.invite(owner.invitation("relay-member-id2"));
    bench.run();
    assert_eq!(bench.last_rejected(), Some(RejectionReason::RejoinRejected));
    assert_eq!(bench.services(), 2);
    let refused = bench.relay.services().last().unwrap().id();
    let connection = ConnectionName::Owner(refused, 1);
    assert!(!bench.deleted().contains(&connection));
    let ok = ConnectionInfo::unsigned(Event::Ok).to_bytes().unwrap();
    bench.step(|relay, env| relay.informed(&connection, &ok, env));
    bench.run();
    assert!(bench.deleted().contains(&connection));
    assert_eq!(bench.services(), 1);
}

#[test]
fn chat_36_a_group_that_was_left_is_known_by_its_id_under_another_link() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    bench.activate(&mut owner, "relay-member-id1");
    bench.step(|relay, env| relay.leave(&GroupSelector::Link(owner.short_link()), env).unwrap());
    bench.run();
    // The same keys, and so the same group, with another link.
    let other = Owner::relinked(&owner, "again");
    bench.serve(&other);
    bench.invite(other.invitation("relay-member-id2"));
    bench.run();
    assert_eq!(bench.last_rejected(), Some(RejectionReason::RejoinRejected));
    bench.step(|relay, env| relay.allow(&GroupSelector::Group(owner.identity.group_id()), env).unwrap());
    bench.invite(other.invitation("relay-member-id3"));
    bench.run();
    assert!(bench.last_accepted().is_some());
}

#[test]
fn chat_37_after_allowing_the_next_invitation_succeeds() {
    for member in ["relay-member-id2", "relay-member-id3"] {
        let mut bench = Bench::new();
        let mut owner = Owner::new("Walks");
        bench.activate(&mut owner, "relay-member-id1");
        let group = GroupSelector::Link(owner.short_link());
        bench.step(|relay, env| relay.leave(&group, env).unwrap());
        bench.invite(owner.invitation("relay-member-id2"));
        bench.run();
        assert_eq!(bench.last_rejected(), Some(RejectionReason::RejoinRejected));
        bench.step(|relay, env| relay.allow(&group, env).unwrap());
        bench.restart();
        bench.invite(owner.invitation(member));
        bench.run();
        assert!(bench.last_accepted().is_some(), "{member}");
        let again = bench.relay.allow(&group, &mut Env { now: bench.now, random: &mut random("allow") });
        assert_eq!(again, Err(group::relay::CommandError::NotNow));
    }
}

#[test]
fn chat_56_the_relay_signs_a_challenge_with_the_key_of_its_address() {
    let mut bench = Bench::new();
    let challenge = vec![5; 32];
    let request = bench.request(Event::GroupRelayTest(RelayTest { challenge: challenge.clone(), signature: None }));
    bench.run();
    let [Done::Answered(connection, Event::GroupRelayTest(answer))] = bench.done.as_slice() else { panic!("answer") };
    assert_eq!(answer.challenge, challenge);
    let signature = answer.signature.as_ref().unwrap();
    let key = Ed25519PrivateKey::from_seed([3; 32]).public();
    assert!(key.verify(&challenge, signature).is_ok());
    assert!(Ed25519PrivateKey::from_seed([4; 32]).public().verify(&challenge, signature).is_err());

    assert_eq!(*connection, ConnectionName::Test(request));
    bench.restart();
    bench.pass(minutes(4));
    assert!(bench.deleted().is_empty());
    bench.pass(minutes(2));
    assert_eq!(bench.deleted(), [ConnectionName::Test(request)]);
    assert!(bench.relay.due(bench.now).is_empty() && bench.relay.next_due(bench.now).is_none());
}

#[test]
fn chat_56_nothing_but_challenges_is_signed() {
    for length in [0, 1, 31, 33, 200] {
        let mut bench = Bench::new();
        let request = bench.request(Event::GroupRelayTest(RelayTest { challenge: vec![1; length], signature: None }));
        bench.run();
        assert_eq!(bench.done, [Done::Dismissed(request)]);
    }
}

#[test]
fn the_address_of_a_relay_says_who_it_is() {
    let address = identity().address(&SERVER.parse().unwrap(), &mut random("address")).unwrap();
    assert_eq!(address.link.kind, ContactKind::Relay);
    let sender_id = address.prepared.sender_id().clone();
    let read = RetrievedLinkData { sender_id, data: address.data }.read(&address.link).unwrap();
    let key = Ed25519PrivateKey::from_seed([3; 32]).public();
    assert_eq!(read.fixed().root_key, key);
    assert_eq!(read.fixed().entity_id.as_ref().unwrap().as_bytes(), crypto::hash::sha256(key.as_bytes()));
    assert!(read.user().direct());
    let contents = RelayLinkContents::from_payload(read.user().payload()).unwrap();
    assert_eq!(contents.relay_profile.display_name, "Relay");
    assert_eq!(contents.group_id, None);
}

#[test]
fn chat_57_two_groups_share_no_key_link_or_connection() {
    let mut bench = Bench::new();
    let (walks, songs) = (Owner::new("Walks"), Owner::new("Songs"));
    let (one, one_connection, one_link) = bench.accept(&walks, "relay-member-id1");
    // Even if the owner gave the relay the same member ID in both.
    let (other, other_connection, other_link) = bench.accept(&songs, "relay-member-id1");
    assert_ne!(one_connection, other_connection);
    assert_ne!(one_link.key, other_link.key);
    let key = |id| bench.relay.service(id).unwrap().member_key().public();
    assert_ne!(key(one), key(other));
}

#[test]
fn groups_that_the_operator_does_not_want_are_refused() {
    let refused = |settings: RelaySettings, owner: &Owner| {
        let mut bench = Bench::with(settings);
        bench.serve(owner);
        bench.invite(owner.invitation("relay-member-id1"));
        bench.run();
        assert!(bench.created().is_empty());
        bench.last_rejected()
    };
    let only_channels = RelaySettings { group_types: vec![GroupType::Channel], ..settings() };
    let group = Owner::with_profile("Talk", GroupType::Group, GroupProfile::named("Talk"));
    assert_eq!(refused(only_channels, &group), Some(RejectionReason::Policy));
    let full = RelaySettings { max_services: 0, ..settings() };
    assert_eq!(refused(full, &Owner::new("Walks")), Some(RejectionReason::Capacity));
    let image = Some(format!("data:image/png;base64,{}", "A".repeat(2_000)));
    let profile = GroupProfile { image, ..GroupProfile::named("Pictures") };
    let pictures = Owner::with_profile("Pictures", GroupType::Channel, profile);
    let small = RelaySettings { max_image: 1_000, ..settings() };
    assert_eq!(refused(small, &pictures), Some(RejectionReason::BadProfile));
}

#[test]
fn a_refusal_that_nobody_takes_is_forgotten() {
    let mut bench = Bench::with(RelaySettings { max_services: 0, ..settings() });
    let owner = Owner::new("Walks");
    bench.invite(owner.invitation("relay-member-id1"));
    bench.pass(hours(23));
    assert_eq!((bench.last_rejected(), bench.services()), (Some(RejectionReason::Capacity), 1));
    bench.pass(hours(2));
    assert_eq!(bench.services(), 0);
}

#[test]
fn a_group_that_is_invited_too_often_without_being_listed_is_refused() {
    let mut bench = Bench::with(RelaySettings { max_unlisted: 2, ..settings() });
    let owner = Owner::new("Walks");
    bench.accept(&owner, "relay-member-id1");
    bench.accept(&owner, "relay-member-id2");
    bench.invite(owner.invitation("relay-member-id3"));
    bench.run();
    assert_eq!(bench.last_rejected(), Some(RejectionReason::Capacity));
    // Repeats of what was accepted are not counted.
    bench.invite(owner.invitation("relay-member-id2"));
    bench.run();
    assert!(bench.last_accepted().is_some());
}

#[test]
fn tasks_of_other_services_are_not_answered_with_ours() {
    let mut bench = Bench::new();
    let owner = Owner::new("Walks");
    let (service, ..) = bench.accept(&owner, "relay-member-id1");
    let mut random = random("task");
    let mut env = Env { now: bench.now, random: &mut random };
    let unknown = group::relay::ServiceId(service.0 + 1);
    for task in [
        TaskId::ReadGroupLink(unknown),
        TaskId::AskPolicy(unknown),
        TaskId::CreateLink(unknown),
        TaskId::CreateLink(service),
        TaskId::Answer(ConnectionName::Owner(unknown, 1)),
        TaskId::Answer(ConnectionName::Address),
        TaskId::Send(service, 7),
        TaskId::DeleteConnection(ConnectionName::Owner(unknown, 1)),
    ] {
        assert!(bench.relay.task(&task, &mut env).is_none(), "{task:?}");
    }
    assert!(bench.relay.service(service).unwrap().invitation().owner == owner.identity.owner_id);
    assert_eq!(bench.relay.service(service).unwrap().invitation().relay_member_id, id("relay-member-id1"));
}
