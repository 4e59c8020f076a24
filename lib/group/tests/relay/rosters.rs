//! The roster handshake, and what owners say besides.

use group::body::single;
use group::element::Element;
use group::event::{Event, GroupInfo, RelayCommand, RelayControl, RelayState, RosterAcknowledgement, RosterHeader};
use group::identity::MemberId;
use group::member::Role;
use group::profile::GroupProfile;
use group::relay::{ConnectionName, Event as RelayEvent, RelaySettings, Status};
use group::roster::RosterVersion;
use group::roster_blob::{RosterBlob, RosterEntry};

use crate::support::{Bench, Owner, minutes, settings};

fn version(number: i64) -> RosterVersion {
    RosterVersion::new(number).unwrap()
}

fn blob(count: u8) -> RosterBlob {
    let entry = |number: u8| RosterEntry {
        member_id: MemberId::from_bytes(&[number; 16]).unwrap(),
        key: group::identity::MemberKey::from(crypto::sign::Ed25519PrivateKey::from_seed([number; 32])).public(),
        role: Role::Admin,
    };
    RosterBlob::new((1..=count).map(entry).collect()).unwrap()
}

/// A header and the bodies of its chunks.
fn roster(owner: &mut Owner, number: i64, blob: &RosterBlob) -> Vec<Vec<u8>> {
    let message = owner.named(Event::GroupRoster(blob.header(version(number))));
    let chunks = blob.chunks(message.id.as_ref().unwrap());
    let mut bodies = vec![owner.signs(message)];
    bodies.extend(chunks.into_iter().map(|chunk| single(Element::Chunk(chunk)).unwrap()));
    bodies
}

fn acknowledgements(bench: &Bench) -> Vec<RosterAcknowledgement> {
    let acknowledgement = |(_, event)| match event {
        Event::GroupRosterAcknowledgement(acknowledgement) => Some(acknowledgement),
        _ => None,
    };
    bench.sent().into_iter().filter_map(acknowledgement).collect()
}

#[test]
fn chat_31_the_relay_acknowledges_a_roster_it_has_stored() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.accept(&owner, "relay-member-id1");
    let list = blob(3);
    let bodies = roster(&mut owner, 0, &list);
    bench.receive(connection, &bodies[0]);
    assert!(acknowledgements(&bench).is_empty());
    assert_eq!(bench.status(service), Status::Accepted);
    bench.restart();
    bench.receive(connection, &bodies[1]);
    assert_eq!(acknowledgements(&bench), [RosterAcknowledgement { version: version(0), error: None }]);
    assert_eq!(bench.status(service), Status::Acknowledged);

    bench.restart();
    let stored = bench.relay.service(service).unwrap().roster().unwrap().clone();
    assert_eq!(stored.version, version(0));
    assert_eq!(stored.header, bodies[0]);
    assert_eq!(stored.blob, codec::Encode::to_bytes(&list));
}

#[test]
fn a_roster_of_several_chunks_survives_a_crash_between_them() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.accept(&owner, "relay-member-id1");
    let bodies = roster(&mut owner, 4, &blob(250));
    assert_eq!(bodies.len(), 3);
    for body in &bodies {
        bench.receive(connection, body);
        bench.restart();
    }
    assert_eq!(acknowledgements(&bench), [RosterAcknowledgement { version: version(4), error: None }]);
    assert_eq!(bench.status(service), Status::Acknowledged);
}

#[test]
fn chat_32_an_older_roster_is_not_acknowledged_again() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.accept(&owner, "relay-member-id1");
    let old = roster(&mut owner, 1, &blob(1));
    for body in roster(&mut owner, 2, &blob(2)) {
        bench.receive(connection, &body);
    }
    old.iter().for_each(|body| bench.receive(connection, body));
    assert_eq!(acknowledgements(&bench), [RosterAcknowledgement { version: version(2), error: None }]);
    assert_eq!(bench.relay.service(service).unwrap().roster().unwrap().version, version(2));
}

#[test]
fn chat_54_a_roster_with_a_wrong_digest_is_acknowledged_with_an_error_and_not_kept() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.accept(&owner, "relay-member-id1");
    let mut header: RosterHeader = blob(2).header(version(0));
    header.file_inv.file_digest = [0; 64];
    let message = owner.named(Event::GroupRoster(header));
    let chunks = blob(2).chunks(message.id.as_ref().unwrap());
    bench.receive(connection, &owner.signs(message));
    for chunk in chunks {
        bench.receive(connection, &single(Element::Chunk(chunk)).unwrap());
    }
    let [acknowledgement] = acknowledgements(&bench).try_into().unwrap();
    assert_eq!(acknowledgement.version, version(0));
    assert!(acknowledgement.error.is_some());
    assert_eq!(bench.status(service), Status::Accepted);
    assert!(bench.relay.service(service).unwrap().roster().is_none());
}

#[test]
fn an_active_relay_stores_rosters_without_a_word() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    for body in roster(&mut owner, 5, &blob(2)) {
        bench.receive(connection, &body);
    }
    assert!(acknowledgements(&bench).is_empty());
    assert_eq!(bench.relay.service(service).unwrap().roster().unwrap().version, version(5));
    assert_eq!(bench.status(service), Status::Active);
}

#[test]
fn with_ready1_the_relay_looks_at_once_and_says_that_it_found_itself() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, link) = bench.accept(&owner, "relay-member-id1");
    bench.run();
    owner.publish(&[link]);
    let info = owner.says(Event::GroupInfo(GroupInfo::from(owner.profile()).into()));
    // The owner's word is faster than what it wrote to the link.
    bench.receive(connection, &info);
    assert!(!bench.sent().contains(&(connection, Event::GroupRelayReady)));
    bench.serve(&owner);
    bench.restart();
    bench.pass(minutes(1));
    assert_eq!(bench.status(service), Status::Active);
    assert!(bench.sent().contains(&(connection, Event::GroupRelayReady)));
    assert!(bench.relay.service(service).unwrap().is_confirmed());
}

#[test]
fn chat_58_without_ready1_no_extension_event_is_sent() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    bench.serve(&owner);
    let mut invitation = owner.invitation("relay-member-id1");
    invitation.ext = Default::default();
    bench.invite(invitation);
    bench.run();
    let (connection, link) = bench.last_accepted().unwrap();
    bench.step(|relay, env| relay.connected(&connection, env));
    owner.publish(&[link]);
    bench.serve(&owner);
    let info = owner.says(Event::GroupInfo(GroupInfo::from(owner.profile()).into()));
    bench.receive(connection, &info);
    let control = owner.says(Event::GroupRelayControl(RelayControl { command: RelayCommand::Status }));
    bench.receive(connection, &control);
    bench.pass(minutes(20));
    assert!(bench.sent().is_empty());
}

#[test]
fn with_susp1_owners_suspend_and_resume_the_admission_of_members() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    let mut control = |bench: &mut Bench, command| {
        let body = owner.says(Event::GroupRelayControl(RelayControl { command }));
        bench.receive(connection, &body);
        bench.restart();
        let state = bench.sent().into_iter().last().unwrap().1;
        let Event::GroupRelayState(RelayState { accepting }) = state else { panic!("{state:?}") };
        assert_eq!(accepting, bench.relay.service(service).unwrap().is_accepting(&bench.settings));
        accepting
    };
    assert!(control(&mut bench, RelayCommand::Status));
    assert!(!control(&mut bench, RelayCommand::Suspend));
    assert!(!control(&mut bench, RelayCommand::Status));
    // What the operator suspended, an owner does not resume.
    let group = group::relay::GroupSelector::Service(service);
    bench.step(|relay, env| relay.suspend(&group, true, env).unwrap());
    assert!(!control(&mut bench, RelayCommand::Resume));
    bench.step(|relay, env| relay.suspend(&group, false, env).unwrap());
    assert!(control(&mut bench, RelayCommand::Status));
}

#[test]
fn chat_52_a_profile_of_another_group_is_refused() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let other = Owner::new("Songs");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    let before = bench.relay.service(service).unwrap().group().unwrap().profile.clone();
    bench.events.clear();
    let mut moved = owner.profile();
    moved.public_group.as_mut().unwrap().group_link = other.short_link().to_string();
    for profile in [GroupProfile::named("Walks"), other.profile(), moved] {
        let body = owner.says(Event::GroupInfo(GroupInfo::from(profile).into()));
        bench.receive(connection, &body);
    }
    assert_eq!(bench.relay.service(service).unwrap().group().unwrap().profile, before);
    assert!(bench.events.is_empty());

    let renamed = GroupProfile { display_name: "Hikes".to_owned(), ..owner.profile() };
    let body = owner.says(Event::GroupInfo(GroupInfo::from(renamed.clone()).into()));
    bench.receive(connection, &body);
    assert!(bench.events.iter().any(|event| matches!(event, RelayEvent::ToForward { .. })));
}

#[test]
fn what_an_owner_posts_goes_to_the_group() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    let post = group::content::NewMessage::of(group::content::Content::text("hello"));
    let body = owner.unsigned(Event::MessageNew(post.into()));
    bench.receive(connection, &body);
    let Some(RelayEvent::ToForward { service: to, message, sent_at }) = bench.events.last() else { panic!("a post") };
    assert_eq!((*to, *sent_at), (service, 1_700_000_002));
    assert_eq!(message.event().name(), "x.msg.new");
}

#[test]
fn owners_are_told_when_the_relay_shows_groups_somewhere_else() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (_, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    bench.settings = RelaySettings { web_domain: Some("groups.example.org".to_owned()), ..settings() };
    bench.restart();
    for _ in 0..2 {
        let info = owner.says(Event::GroupInfo(GroupInfo::from(owner.profile()).into()));
        bench.receive(connection, &info);
    }
    let told = bench.sent().into_iter().filter(|(_, event)| matches!(event, Event::GroupRelayCapabilities(_)));
    let told: Vec<_> = told.collect();
    let [(_, Event::GroupRelayCapabilities(change))] = told.as_slice() else { panic!("once: {told:?}") };
    assert_eq!(change.relay_cap.web_domain.as_deref(), Some("groups.example.org"));
}

#[test]
fn a_signed_word_is_followed_once() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    let suspend = owner.says(Event::GroupRelayControl(RelayControl { command: RelayCommand::Suspend }));
    let resume = owner.says(Event::GroupRelayControl(RelayControl { command: RelayCommand::Resume }));
    for body in [&suspend, &resume, &suspend] {
        bench.receive(connection, body);
        bench.restart();
    }
    assert!(bench.relay.service(service).unwrap().is_accepting(&bench.settings));
    assert_eq!(connection, ConnectionName::Owner(service, 1));
}
