//! Owners who did not invite the relay come through the relay link, because the group link names them.

use group::body::{ConnectionInfo, single};
use group::event::{Event, GroupInfo, Join, RelayCommand, RelayControl};
use group::extension::{Extension, Extensions};
use group::identity::MemberId;
use group::member::Role;
use group::relay::{ConnectionName, Event as RelayEvent, Task, TaskId};
use group::signature::Signer;

use super::world::{Heard, Person, RELAY, World, post};
use crate::support::{Done, Found, minutes};

/// A further owner asks as its program does.
fn as_owner(person: &Person) -> Join {
    Join { ext: Extensions(vec![Extension::OwnerJoin]), ..person.join(RELAY) }
}

fn signed(world: &World, person: &Person, join: Join) -> Vec<u8> {
    let group = world.group();
    let signer = Signer { group: &group, member: &person.id, key: &person.key };
    ConnectionInfo::signed(Event::Member(join.into()), &signer).to_bytes().unwrap()
}

/// Asks through the relay link; whether the relay itself deals with it.
fn ask(world: &mut World, request: u64, info: &[u8]) -> bool {
    let service = world.service;
    let mut dealt = false;
    world.bench.step(|relay, env| {
        let told = relay.owner_requested(service, request, info, env);
        dealt = told.is_some();
        told.unwrap_or_default()
    });
    dealt
}

/// The group link names these owners beside the first one.
fn name_owners(world: &mut World, owners: &[&Person]) {
    let owners: Vec<_> = owners.iter().map(|person| (person.id.clone(), person.key.clone())).collect();
    let data = world.owner.data_with(&owners);
    world.bench.found.insert(world.owner.short_link().to_string(), Found::Data(data.into()));
}

fn dismissed(world: &World) -> Vec<u64> {
    let dismissed = |event: &RelayEvent| match event {
        RelayEvent::OwnerDismissed { request, .. } => Some(*request),
        _ => None,
    };
    world.bench.events.iter().filter_map(dismissed).collect()
}

/// The connection that was answered last through the relay link, and what was said.
fn answered(world: &World) -> Option<(ConnectionName, Event)> {
    world.bench.done.iter().rev().find_map(|done| match done {
        Done::AnsweredAtLink(connection, event) => Some((*connection, event.clone())),
        _ => None,
    })
}

/// A second owner, let in and connected.
fn second(world: &mut World) -> (Person, ConnectionName) {
    let olaf = Person::new("olaf");
    name_owners(world, &[&olaf]);
    let info = signed(world, &olaf, as_owner(&olaf));
    assert!(ask(world, 7, &info));
    world.bench.run();
    let (connection, _) = answered(world).expect("an answer");
    connect(world, connection);
    (olaf, connection)
}

fn connect(world: &mut World, connection: ConnectionName) {
    world.connections.entry(connection).or_default();
    world.bench.step(|relay, env| relay.connected(&connection, env));
    world.follow_relay();
    world.work();
}

fn texts(heard: &[Heard]) -> Vec<(Option<MemberId>, String)> {
    let text = |heard: &Heard| match heard {
        Heard::Said(by, Event::MessageNew(new)) => Some((by.clone(), new.content.as_text().unwrap().to_owned())),
        _ => None,
    };
    heard.iter().filter_map(text).collect()
}

#[test]
fn an_owner_that_the_relay_does_not_know_is_let_in_once_the_group_link_names_it() {
    let mut world = World::new();
    let (olaf, connection) = second(&mut world);
    let (_, answer) = answered(&world).unwrap();
    let Event::GroupLinkInvite(invite) = answer else { panic!("{answer:?}") };
    let invitation = invite.group_link_invitation;
    assert_eq!((invitation.invited_member.member_id, invitation.invited_member.member_role), (olaf.id, Role::Owner));
    assert!(matches!(connection, ConnectionName::Owner(..)));
    assert!(dismissed(&world).is_empty());
}

#[test]
fn what_one_owner_says_the_other_hears_and_so_do_members() {
    let mut world = World::new();
    let (olaf, connection) = second(&mut world);
    let mia = world.join("mia");
    world.owner_signs(post("from the first"));
    let message = world.named(post("from the second"));
    let body = olaf.signs(&world.group(), message);
    world.bench.receive(connection, &body);
    world.follow_relay();
    world.work();
    let first = world.owner.identity.owner_id.clone();
    assert_eq!(texts(&world.through(&connection)), [(Some(first.clone()), "from the first".to_owned())]);
    assert_eq!(texts(&world.owner_heard()), [(Some(olaf.id.clone()), "from the second".to_owned())]);
    let both = [(Some(first), "from the first".to_owned()), (Some(olaf.id), "from the second".to_owned())];
    assert_eq!(texts(&world.heard(&mia)), both);
}

#[test]
fn a_further_owner_speaks_without_a_signature_and_gives_orders_as_the_first_does() {
    let mut world = World::new();
    let (olaf, connection) = second(&mut world);
    let mia = world.join("mia");
    let body = single(world.named(post("unsigned"))).unwrap();
    world.bench.receive(connection, &body);
    world.follow_relay();
    world.work();
    assert_eq!(texts(&world.heard(&mia)), [(Some(olaf.id.clone()), "unsigned".to_owned())]);
    let control = RelayControl { command: RelayCommand::Suspend };
    let message = world.named(Event::GroupRelayControl(control));
    let body = olaf.signs(&world.group(), message);
    world.bench.receive(connection, &body);
    assert!(!world.view().is_accepting());
    let mut group_profile = world.owner.profile();
    group_profile.full_name = "Walks of both".to_owned();
    let message = world.named(Event::GroupInfo(GroupInfo::from(group_profile).into()));
    let body = olaf.signs(&world.group(), message);
    world.bench.receive(connection, &body);
    world.follow_relay();
    world.work();
    let of_olaf = |heard: &Heard| matches!(heard, Heard::Said(Some(by), Event::GroupInfo(_)) if *by == olaf.id);
    assert!(world.heard(&mia).iter().any(of_olaf));
    assert!(world.owner_heard().iter().any(of_olaf), "then it looks into the group link");
}

#[test]
fn who_does_not_ask_as_an_owner_is_the_members_business() {
    let mut world = World::new();
    let mia = Person::new("mia");
    let info = signed(&world, &mia, mia.join(RELAY));
    assert!(!ask(&mut world, 7, &info));
    assert!(!ask(&mut world, 8, b"{}"));
}

#[test]
fn who_takes_an_owners_name_or_proves_nothing_gets_no_answer() {
    let mut world = World::new();
    let (olaf, _) = second(&mut world);
    let answers = world.bench.done.len();
    let mallory = Person { key: Person::new("mallory").key, ..olaf.clone() };
    let other_relay = Join { via_relay: Some(crate::support::id("another-relay-id")), ..as_owner(&olaf) };
    let unsigned = ConnectionInfo::unsigned(Event::Member(as_owner(&olaf).into())).to_bytes().unwrap();
    let for_nobody = Join { via_relay: None, ..as_owner(&olaf) };
    let infos = [
        signed(&world, &mallory, as_owner(&mallory)),
        signed(&world, &mallory, as_owner(&olaf)),
        signed(&world, &olaf, other_relay),
        signed(&world, &olaf, for_nobody),
        unsigned,
    ];
    for (request, info) in (20..).zip(&infos) {
        assert!(ask(&mut world, request, info));
    }
    world.bench.run();
    assert_eq!(dismissed(&world), [20, 21, 22, 23, 24]);
    assert_eq!(world.bench.done.len(), answers);
}

#[test]
fn strangers_make_the_relay_look_once_a_minute_and_only_a_few_of_them_wait() {
    let mut world = World::new();
    world.pass(minutes(5));
    let mut looks = 0;
    for number in 0_u64..20 {
        let stranger = Person::new(&format!("stranger{number}"));
        let info = signed(&world, &stranger, as_owner(&stranger));
        assert!(ask(&mut world, number, &info));
        let due = world.bench.relay.due(world.bench.now);
        looks += due.iter().filter(|task| matches!(task, TaskId::CheckLink(_))).count();
        world.bench.run();
    }
    assert_eq!(looks, 1);
    world.bench.restart();
    world.bench.pass(minutes(2));
    let mut all = dismissed(&world);
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<u64>>());
    assert_eq!(answered(&world), None);
}

#[test]
fn an_owner_that_comes_again_replaces_its_connection_and_nobody_else_does() {
    let mut world = World::new();
    let (olaf, connection) = second(&mut world);
    // Anybody can repeat an invitation.
    for _ in 0..8 {
        let invitation = world.owner.invitation(RELAY);
        world.bench.invite(invitation);
        world.bench.run();
    }
    assert!(!world.bench.deleted().contains(&connection));
    let info = signed(&world, &olaf, as_owner(&olaf));
    assert!(ask(&mut world, 30, &info));
    assert!(ask(&mut world, 30, &info), "told twice");
    world.bench.run();
    assert!(world.bench.deleted().contains(&connection));
    let (again, _) = answered(&world).unwrap();
    assert_ne!(again, connection);
    connect(&mut world, again);
    world.owner_signs(post("still there?"));
    world.work();
    assert_eq!(texts(&world.through(&again)).len(), 1);
}

#[test]
fn who_is_no_owner_any_more_hears_nothing_more() {
    let mut world = World::new();
    let (_, connection) = second(&mut world);
    let data = world.owner.data();
    world.owner.publish(&world.owner.link.as_ref().unwrap().group().contents().relays.clone());
    assert_ne!(world.owner.data(), data);
    let owner = &world.owner;
    world.bench.serve(owner);
    world.pass(minutes(60));
    assert!(world.bench.deleted().contains(&connection));
}

#[test]
fn an_answer_to_an_owner_is_given_where_it_asked() {
    let mut world = World::new();
    let olaf = Person::new("olaf");
    name_owners(&mut world, &[&olaf]);
    let info = signed(&world, &olaf, as_owner(&olaf));
    assert!(ask(&mut world, 7, &info));
    world.bench.restart();
    loop {
        let task = world.bench.relay.due(world.bench.now).first().copied().expect("an answer is due");
        let described = world
            .bench
            .relay
            .task(&task, &mut agent::time::Env { now: world.bench.now, random: &mut world.bench.random });
        if let Some(Task::Answer { at, request, .. }) = described {
            assert_eq!((at, request), (ConnectionName::Link(world.service), 7));
            return;
        }
        world.bench.run_task(&task);
    }
}
