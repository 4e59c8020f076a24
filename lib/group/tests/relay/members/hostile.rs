//! Members that want more than they may have.

use group::body::{BatchWriter, single};
use group::content::{Content, NewMessage};
use group::element::{Element, Forward, ForwardContent, ForwardSender, ShortName};
use group::event::{Event, GroupInfo, MemberNew, RelayInvite, RosterAcknowledgement};
use group::member::{MemberInfo, MemberProfile, Role};
use group::message::Message;
use group::profile::GroupProfile;
use group::relay::ConnectionName;
use group::relay::members::{MemberEvent, ReadRows};
use group::roster::RosterVersion;

use super::joining::appoint;
use super::world::{Person, RELAY, World, names, post, texts};

fn writer(world: &mut World, name: &str) -> Person {
    let person = Person::new(name);
    appoint(world, 1, &[(&person, Role::Member)]);
    world.ask_signed(&person, person.join(RELAY));
    world.connect(&person);
    world.work();
    person
}

#[test]
fn what_a_member_says_others_said_goes_no_further() {
    let mut world = World::new();
    let (eve, bob) = (writer(&mut world, "Eve"), world.join("Bob"));
    world.forget();
    let message = world.named(post("forged"));
    let owner = world.owner.identity.owner_id.clone();
    for sender in [ForwardSender::Member(owner, ShortName::new("Olga")), ForwardSender::Channel] {
        let content = ForwardContent::Message(message.clone().into());
        let forward = Forward { sender, sent_at: 1, content };
        let mut writer = BatchWriter::default();
        writer.push(&Element::Forward(forward)).unwrap();
        world.body_from(world.connection(&eve), &writer.finish().unwrap());
    }
    world.work();
    assert_eq!(world.heard(&bob), []);
    assert_eq!(world.refusals(), ["members forward nothing"; 2]);
}

#[test]
fn wrong_signatures_and_unsigned_events_that_need_one_go_no_further() {
    let mut world = World::new();
    let (eve, bob) = (writer(&mut world, "Eve"), world.join("Bob"));
    world.forget();
    let another = Person { key: bob.key.clone(), ..eve.clone() };
    for event in [post("forged"), Event::GroupLeave] {
        let body = another.signs(&world.group(), world.bench_message(event));
        world.body_from(world.connection(&eve), &body);
    }
    // What Bob signed, sent by Eve.
    let body = bob.signs(&world.group(), world.bench_message(post("of Bob")));
    world.body_from(world.connection(&eve), &body);
    world.says(&eve, Event::GroupLeave);
    let other_group = World::of(crate::support::settings(), GroupProfile::named("Songs"));
    let _ = other_group;
    world.work();
    assert_eq!(world.heard(&bob), []);
    assert_eq!(world.refusals(), ["a message that does not verify"; 4]);
    assert!(world.rows.member_with_id(&eve.id).unwrap().unwrap().is_connected());
}

impl World {
    fn bench_message(&mut self, event: Event) -> Message {
        self.named(event)
    }
}

#[test]
fn chat_42_members_do_not_speak_as_relays_or_owners() {
    let mut world = World::new();
    let (eve, bob) = (writer(&mut world, "Eve"), world.join("Bob"));
    world.forget();
    let member_info = MemberInfo {
        member_id: bob.id.clone(),
        member_role: Role::Admin,
        v: None,
        profile: MemberProfile::named("Bob"),
        member_key: None,
    };
    world.says(&eve, Event::GroupMemberNew(MemberNew { member_info, scope: None }.into()));
    world.signs(&eve, Event::GroupInfo(GroupInfo::from(GroupProfile::named("Mine")).into()));
    world.signs(&eve, Event::GroupDelete);
    let as_group = NewMessage { as_group: Some(true), ..NewMessage::of(Content::text("x")) };
    world.says(&eve, Event::MessageNew(as_group.into()));
    let version = RosterVersion::new(1).unwrap();
    world.says(&eve, Event::GroupRosterAcknowledgement(RosterAcknowledgement { version, error: None }));
    let invite = world.owner.invitation("relay-member-id9");
    world.says(&eve, Event::GroupRelayInvite(RelayInvite { group_relay_invitation: invite.into() }));
    world.work();
    assert_eq!(world.heard(&bob), []);
    assert_eq!(world.refusals().len(), 6);
    assert!(world.bench.relay.service(world.service).unwrap().status().is_serving());
}

#[test]
fn chat_25_as_group_is_for_owners_alone() {
    let mut world = World::new();
    let (eve, bob) = (writer(&mut world, "Eve"), world.join("Bob"));
    world.forget();
    let as_group = NewMessage { as_group: Some(true), ..NewMessage::of(Content::text("x")) };
    world.signs(&eve, Event::MessageNew(as_group.into()));
    world.work();
    assert_eq!(world.heard(&bob), []);
}

#[test]
fn a_flood_of_one_member_ends_at_a_limit_and_others_are_heard() {
    let mut world = World::new();
    let (eve, bob) = (Person::new("Eve"), Person::new("Bob"));
    appoint(&mut world, 1, &[(&eve, Role::Member), (&bob, Role::Member)]);
    for person in [&eve, &bob] {
        world.ask_signed(person, person.join(RELAY));
        world.connect(person);
    }
    world.work();
    world.forget();
    for number in 0..400 {
        world.says(&eve, post(&number.to_string()));
    }
    world.says(&bob, post("calm"));
    assert_eq!(world.refusals().len(), 400 - 256);
    // Whoever is silenced may still leave.
    world.signs(&eve, Event::GroupLeave);
    world.work();
    assert_eq!(texts(&world.heard(&bob)).len(), 256);
    assert_eq!(texts(&world.owner_heard()).last().unwrap(), "calm");
    assert_eq!(names(&world.owner_heard()).last().unwrap(), ">x.grp.leave");
    // In a quiet group the limit does not stay.
    let mary = world.join("Mary");
    for _ in 0..300 {
        world.says(&mary, post("observers do not write"));
    }
    world.signs(&mary, Event::GroupLeave);
    world.work();
    assert_eq!(names(&world.owner_heard()).last().unwrap(), ">x.grp.leave");
}

#[test]
fn long_messages_are_forwarded_up_to_the_limit_of_their_authors() {
    let mut world = World::new();
    let (eve, bob) = (writer(&mut world, "Eve"), world.join("Bob"));
    world.forget();
    let message = world.named(post(""));
    let room = group::limits::AUTHORED - message.to_json().len();
    let longest = Message { event: post(&"a".repeat(room)), ..message };
    world.body_from(world.connection(&eve), &single(longest.clone()).unwrap());
    world.work();
    assert_eq!(texts(&world.heard(&bob))[0].len(), room);
    for body in &world.connections[&world.connection(&bob)].bodies {
        assert!(body.len() <= group::limits::FORWARDED_ALONE);
    }
    // No program of ours sends it, but an agent may carry it.
    let longer = Message { event: post(&"b".repeat(room + 10)), ..world.named(post("")) };
    let element = longer.to_json();
    world.body_from(world.connection(&eve), &element);
    world.work();
    assert_eq!(texts(&world.heard(&bob)).len(), 2);
    let too_long = Message { event: post(&"c".repeat(room + 200)), ..world.named(post("")) };
    world.body_from(world.connection(&eve), &too_long.to_json());
    world.work();
    assert_eq!(texts(&world.heard(&bob)).len(), 2);
    assert_eq!(world.refusals(), ["too long to be forwarded"]);
}

#[test]
fn what_cannot_be_read_spoils_nothing_else() {
    let mut world = World::new();
    let (eve, bob) = (writer(&mut world, "Eve"), world.join("Bob"));
    world.forget();
    for body in [b"".as_slice(), b"=\x02", b"X\x01", b"nonsense", &[0xff; 70_000]] {
        world.body_from(world.connection(&eve), body);
    }
    let good = world.named(post("good")).to_json();
    let batch = [b"=\x03\x00\x03{{{".as_slice(), &(good.len() as u16).to_be_bytes(), &good, b"\x00\x01?"].concat();
    world.body_from(world.connection(&eve), &batch);
    world.work();
    assert_eq!(texts(&world.heard(&bob)), ["good"]);
    let unknown = ConnectionName::Member(world.service, 999, 1);
    world.body_from(unknown, &good);
    assert!(world.events.contains(&MemberEvent::UnknownConnection(unknown)));
}

#[test]
fn what_the_agent_tells_twice_is_forwarded_once_and_so_is_what_a_member_repeats() {
    let mut world = World::new();
    let (eve, bob) = (writer(&mut world, "Eve"), world.join("Bob"));
    world.forget();
    let connection = world.connection(&eve);
    let unnamed = Message::unnamed(post("unnamed"));
    for _ in 0..2 {
        let body = single(unnamed.clone()).unwrap();
        world.step(|members| members.received(&connection, b"same", 1, &body).unwrap());
        world.restart();
    }
    let message = world.named(post("named"));
    for _ in 0..2 {
        world.body_from(connection, &single(message.clone()).unwrap());
    }
    world.work();
    assert_eq!(texts(&world.heard(&bob)), ["unnamed", "named"]);
}

#[test]
fn a_name_that_another_member_took_first_does_not_silence_the_author() {
    let mut world = World::new();
    let (eve, mary) = (Person::new("Eve"), Person::new("Mary"));
    appoint(&mut world, 1, &[(&eve, Role::Member), (&mary, Role::Member)]);
    for person in [&eve, &mary] {
        world.ask_signed(person, person.join(RELAY));
        world.connect(person);
    }
    let bob = world.join("Bob");
    world.forget();
    let message = world.named(post("of Mary"));
    let shadow = Message { event: post("of Eve"), ..message.clone() };
    world.body_from(world.connection(&eve), &single(shadow).unwrap());
    world.body_from(world.connection(&mary), &single(message).unwrap());
    world.work();
    assert_eq!(texts(&world.heard(&bob)), ["of Eve", "of Mary"]);
}

#[test]
fn a_connection_that_anybody_may_have_asked_for_says_nothing_as_the_owner() {
    let mut world = World::new();
    let bob = world.join("Bob");
    // Anybody can repeat the invitation once the relay link is published.
    world.bench.invite(world.owner.invitation(RELAY));
    world.bench.run();
    let (repeated, _) = world.bench.last_accepted().unwrap();
    assert_ne!(repeated, world.owner_connection);
    world.connections.insert(repeated, Default::default());
    world.bench.step(|relay, env| relay.connected(&repeated, env));
    world.follow_relay();
    world.forget();
    let as_group = NewMessage { as_group: Some(true), ..NewMessage::of(Content::text("forged")) };
    let body = world.owner.unsigned(Event::MessageNew(as_group.into()));
    world.bench.receive(repeated, &body);
    world.follow_relay();
    world.signs(&bob, Event::GroupLeave);
    world.work();
    assert_eq!(world.through(&repeated), []);
    assert!(!names(&world.owner_heard()).contains(&">x.msg.new".to_owned()));
    assert!(names(&world.owner_heard()).contains(&">x.grp.leave".to_owned()));
}
