//! Who is let in, and what whoever joins is told.

use agent::non_empty::NonEmpty;
use group::body::{ConnectionInfo, single};
use group::element::Element;
use group::event::{Event, Join, LinkInvite, RelayCommand, RelayControl, RosterRequest};
use group::identity::{MemberId, MemberKey};
use group::member::{MemberProfile, Role};
use group::profile::GroupProfile;
use group::relay::members::{HandoverOutcome, JoinDismissal, MemberEvent, MemberState, ReadRows, Work};
use group::relay::{ConnectionName, RelaySettings};
use group::roster::RosterVersion;
use group::roster_blob::{RosterBlob, RosterEntry};
use group::signature::Signer;

use super::memory::count;
use super::world::{Heard, Person, RELAY, World, heard, names, post, texts, told_about};
use crate::support::{SERVER, hours, id, settings};

fn dismissals(world: &World) -> Vec<JoinDismissal> {
    let dismissed = |event: &MemberEvent| match event {
        MemberEvent::Dismissed(_, why) => Some(why.clone()),
        _ => None,
    };
    world.events.iter().filter_map(dismissed).collect()
}

/// The owner appoints members and sends the roster.
pub(crate) fn appoint(world: &mut World, version: i64, entries: &[(&Person, Role)]) {
    let entry = |(person, role): &(&Person, Role)| RosterEntry {
        member_id: person.id.clone(),
        key: person.key.public(),
        role: role.clone(),
    };
    let blob = RosterBlob::new(entries.iter().map(entry).collect()).unwrap();
    let message = world.owner.named(Event::GroupRoster(blob.header(RosterVersion::new(version).unwrap())));
    let chunks = blob.chunks(message.id.as_ref().unwrap());
    let header = world.owner.signs(message);
    world.owner_body(&header);
    for chunk in chunks {
        world.owner_body(&single(Element::Chunk(chunk)).unwrap());
    }
}

fn answer(world: &mut World) -> LinkInvite {
    while world.next().unwrap().answers.is_empty() {
        let work = world.next().unwrap();
        world.carry_out(work);
    }
    let Work { answers, .. } = world.next().unwrap();
    let [answer] = answers.as_slice() else { panic!("one answer: {answers:?}") };
    match ConnectionInfo::parse(&answer.info).unwrap().event() {
        Event::GroupLinkInvite(invite) => (**invite).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn chat_38_a_signed_request_for_this_relay_is_answered_with_the_group() {
    let mut world = World::new();
    let mary = Person::new("Mary");
    let request = world.ask_signed(&mary, mary.join(RELAY));
    let invitation = answer(&mut world).group_link_invitation;
    assert_eq!((invitation.from_member.member_id, invitation.from_member.member_role), (id(RELAY), Role::Relay));
    assert_eq!(
        (invitation.invited_member.member_id, invitation.invited_member.member_role),
        (mary.id.clone(), Role::Observer)
    );
    let public_group = invitation.group_profile.public_group.unwrap();
    assert_eq!(public_group.public_group_id, world.group());
    assert_eq!(invitation.group_size, Some(2));

    // The agent tells of a request again until it was answered.
    let work = world.next().unwrap();
    let info = ConnectionInfo::signed(
        Event::Member(mary.join(RELAY).into()),
        &Signer { group: &world.group(), member: &mary.id, key: &mary.key },
    );
    world.step(|members| members.requested(request, &info.to_bytes().unwrap()).unwrap());
    assert_eq!(world.next().unwrap(), work);
    assert_eq!(dismissals(&world), []);
}

#[test]
fn an_answer_fits_however_long_the_profile_is() {
    let mut profile = GroupProfile::named("Walks");
    profile.image = Some(format!("data:image/png;base64,{}", "A".repeat(14_000)));
    profile.description = Some("walk ".repeat(100));
    let mut world = World::of(settings(), profile);
    let mary = Person::new("Mary");
    world.ask_signed(&mary, mary.join(RELAY));
    let invitation = answer(&mut world).group_link_invitation;
    assert_eq!(invitation.group_profile.image, None);
    assert_eq!(invitation.group_profile.public_group.unwrap().public_group_id, world.group());
}

#[test]
fn chat_39_whoever_has_rights_proves_its_key_to_this_relay() {
    let mut world = World::new();
    let (mary, eve) = (Person::new("Mary"), Person::new("Eve"));
    appoint(&mut world, 1, &[(&mary, Role::Moderator)]);

    let as_mary = Join { new_member_id: mary.id.clone(), ..eve.join(RELAY) };
    let forger = Person { id: mary.id.clone(), ..eve.clone() };
    world.ask_signed(&forger, as_mary);
    // Mary's key, and Eve's signature.
    world.ask_signed(&forger, mary.join(RELAY));
    world.ask_signed(&mary, mary.join("relay-member-id2"));
    world.ask_signed(&mary, Join { via_relay: None, ..mary.join(RELAY) });
    let unsigned = ConnectionInfo::unsigned(Event::Member(mary.join(RELAY).into())).to_bytes().unwrap();
    world.ask(&unsigned);
    let proof = JoinDismissal::Proof;
    assert_eq!(dismissals(&world), [JoinDismissal::Taken, proof.clone(), proof.clone(), proof.clone(), proof]);
    assert!(world.next().is_none());

    world.ask_signed(&mary, mary.join(RELAY));
    assert_eq!(answer(&mut world).group_link_invitation.invited_member.member_role, Role::Moderator);
}

#[test]
fn chat_39_owners_and_relays_do_not_join_as_members() {
    let mut world = World::new();
    let eve = Person::new("Eve");
    for taken in [world.owner.identity.owner_id.clone(), id(RELAY)] {
        let forger = Person { id: taken.clone(), ..eve.clone() };
        world.ask_signed(&forger, Join { new_member_id: taken, ..eve.join(RELAY) });
    }
    assert_eq!(dismissals(&world), [JoinDismissal::Taken, JoinDismissal::Taken]);
}

#[test]
fn somebody_without_rights_may_join_unsigned_but_not_with_a_wrong_signature() {
    let mut world = World::new();
    let (mary, eve) = (Person::new("Mary"), Person::new("Eve"));
    let unsigned = ConnectionInfo::unsigned(Event::Member(mary.join(RELAY).into())).to_bytes().unwrap();
    world.ask(&unsigned);
    world.connect(&mary);
    let forger = Person { id: eve.id.clone(), key: mary.key.clone(), name: "Eve".to_owned() };
    world.ask_signed(&forger, eve.join(RELAY));
    assert_eq!(dismissals(&world), [JoinDismissal::Proof]);
    assert_eq!(count(&world.rows, MemberState::Connected), 2);
    // Without proof a name that is there stays with whom it is.
    world.ask(&unsigned);
    assert_eq!(dismissals(&world).last(), Some(&JoinDismissal::Taken));
}

#[test]
fn what_is_no_request_to_join_gets_no_answer() {
    let mut world = World::new();
    world.ask(b"");
    world.ask(b"{}");
    world.ask(&ConnectionInfo::unsigned(Event::Ok).to_bytes().unwrap());
    let nameless = Join { profile: MemberProfile::named(" "), ..Person::new("Mary").join(RELAY) };
    world.ask_signed(&Person::new("Mary"), nameless);
    let unintelligible = JoinDismissal::Unintelligible;
    assert_eq!(
        dismissals(&world),
        [unintelligible.clone(), unintelligible.clone(), unintelligible, JoinDismissal::Name]
    );
}

#[test]
fn chat_41_whoever_joins_is_told_in_order() {
    let mut world = World::preferring(r#"{"history":{"enable":"on"}}"#);
    let profile = world.owner.profile();
    world.owner_signs(Event::GroupInfo(group::event::GroupInfo::from(profile).into()));
    let moderator = Person::new("Mod");
    appoint(&mut world, 1, &[(&moderator, Role::Moderator)]);
    world.ask_signed(&moderator, moderator.join(RELAY));
    world.connect(&moderator);
    world.work();
    world.owner_posts("before");
    world.work();
    world.forget();

    let mary = world.join("Mary");
    let told = world.heard(&mary);
    assert_eq!(
        names(&told),
        ["x.grp.link.mem", ">x.grp.info", "x.grp.mem.intro", ">x.grp.roster", "F", "x.grp.mem.intro", ">x.msg.new",]
    );
    let introduced = |heard: &Heard| match heard {
        Heard::Relay(Event::GroupMemberIntroduction(member)) => {
            Some((member.member_info.member_id.clone(), member.member_info.member_role.clone()))
        }
        _ => None,
    };
    let introduced: Vec<_> = told.iter().filter_map(introduced).collect();
    let owner = world.owner.identity.owner_id.clone();
    assert_eq!(introduced, [(owner.clone(), Role::Owner), (moderator.id.clone(), Role::Moderator)]);
    // Owners and moderators hear of the joiner, with its key; nobody else does.
    for listener in [world.owner_heard(), world.heard(&moderator)] {
        assert_eq!(told_about(&listener), std::slice::from_ref(&mary.id));
    }
    let Heard::Relay(Event::GroupMemberNew(new)) = &world.owner_heard()[0] else { panic!("a member") };
    assert_eq!(new.member_info.member_key, Some(mary.key.public()));
    let bob = world.join("Bob");
    assert_eq!(told_about(&world.heard(&mary)), []);
    assert_eq!(told_about(&world.heard(&bob)), []);
}

#[test]
fn chat_41_what_is_said_meanwhile_comes_after_the_introduction() {
    let mut world = World::new();
    let mary = Person::new("Mary");
    world.ask_signed(&mary, mary.join(RELAY));
    world.owner_posts("before");
    world.connect(&mary);
    world.owner_posts("while introduced");
    world.work();
    world.owner_posts("after");
    world.work();
    let told = world.heard(&mary);
    assert_eq!(names(&told)[0], "x.grp.link.mem");
    // No history in this group.
    assert_eq!(texts(&told), ["while introduced", "after"]);
}

#[test]
fn old_programs_get_no_roster() {
    let mut world = World::new();
    appoint(&mut world, 1, &[(&Person::new("Mod"), Role::Moderator)]);
    let mary = Person::new("Mary");
    let message = group::message::Message {
        versions: codec::VersionRange::new(9, 17).unwrap(),
        ..group::message::Message::unnamed(Event::Member(mary.join(RELAY).into()))
    };
    let body = mary.signs(&world.group(), message);
    world.ask(&body);
    world.work();
    let connection = world.connection(&mary);
    world.step(|members| members.connected(&connection).unwrap());
    world.work();
    assert_eq!(names(&world.heard(&mary)), ["x.grp.link.mem", "x.grp.mem.intro"]);
}

#[test]
fn a_member_asks_for_the_roster_and_gets_it_once() {
    let mut world = World::new();
    let mary = world.join("Mary");
    world.forget();
    let ask = |version: Option<i64>| {
        Event::GroupRosterRequest(RosterRequest { version: version.map(|number| RosterVersion::new(number).unwrap()) })
    };
    world.says(&mary, ask(None));
    world.work();
    assert_eq!(names(&world.heard(&mary)), [""; 0]);
    appoint(&mut world, 3, &[(&Person::new("Mod"), Role::Admin)]);
    for _ in 0..2 {
        world.says(&mary, ask(Some(1)));
        world.work();
        assert_eq!(names(&world.heard(&mary)), [">x.grp.roster", "F"]);
    }
    world.says(&mary, ask(Some(3)));
    world.work();
    assert_eq!(names(&world.heard(&mary)).len(), 2);
}

#[test]
fn a_member_that_comes_again_replaces_its_connection_if_it_proves_its_key() {
    let mut world = World::new();
    let mary = world.join("Mary");
    let first = world.connection(&mary);
    let eve = Person { id: mary.id.clone(), ..Person::new("Eve") };
    world.ask_signed(&eve, eve.join(RELAY));
    assert_eq!(dismissals(&world), [JoinDismissal::Taken]);

    world.ask_signed(&mary, mary.join(RELAY));
    let second = world.connect(&mary);
    world.work();
    assert_ne!(first, second);
    assert!(world.connections[&first].deleted.is_some() && world.connections[&second].deleted.is_none());
    assert_eq!(names(&world.heard(&mary))[0], "x.grp.link.mem");
    world.owner_posts("hello");
    world.work();
    assert_eq!(texts(&world.through(&second)), ["hello"]);
    assert_eq!(texts(&world.through(&first)), [""; 0]);
    assert_eq!(count(&world.rows, MemberState::Connected), 2);
    assert_eq!(world.rows.hall().unwrap().unwrap().members, 2);
}

#[test]
fn a_second_connection_of_the_same_member_takes_the_content() {
    let mut world = World::new();
    let mary = Person::new("Mary");
    // There is no first one.
    let join = Join { purpose: Some(group::event::ConnectionPurpose::Content), ..mary.join(RELAY) };
    world.ask_signed(&mary, join.clone());
    assert_eq!(dismissals(&world), [JoinDismissal::NoMember]);
    let mary = world.join("Mary");
    let eve = Person { id: mary.id.clone(), ..Person::new("Eve") };
    world.ask_signed(&eve, Join { new_member_key: eve.key.public(), ..join.clone() });
    let unsigned = ConnectionInfo::unsigned(Event::Member(join.into())).to_bytes().unwrap();
    world.ask(&unsigned);
    assert_eq!(dismissals(&world).len(), 3);

    world.owner_posts("through the first");
    world.work();
    let content = world.pair(&mary);
    world.owner_posts("through the second");
    world.work();
    assert_eq!(texts(&world.heard(&mary)), ["through the first"]);
    assert_eq!(texts(&world.through(&content)), ["through the second"]);
    // What the member says through it counts as its own.
    let react = world.named(Event::GroupLeave);
    let body = mary.signs(&world.group(), react);
    world.body_from(content, &body);
    world.work();
    assert!(names(&world.owner_heard()).contains(&">x.grp.leave".to_owned()));

    // The second one may go; the first one stays.
    let bob = world.join("Bob");
    let content = world.pair(&bob);
    world.step(|members| members.connection_lost(&content).unwrap());
    world.owner_posts("again");
    world.work();
    assert_eq!(texts(&world.heard(&bob)), ["again"]);
}

#[test]
fn nothing_is_forwarded_while_the_second_connection_takes_over() {
    let mut world = World::new();
    let mary = world.join("Mary");
    world.forget();
    world.owner_posts("one");
    world.work();
    let content = world.ask_pair(&mary);
    world.owner_posts("two");
    world.work();
    world.restart();
    world.owner_posts("three");
    world.work();
    let last = names(&world.heard(&mary)).pop();
    assert_eq!(last.as_deref(), Some("x.grp.relay.pair"), "the first connection ends with that");
    assert_eq!(texts(&world.heard(&mary)), ["one"]);
    world.step(|members| members.connected(&content).unwrap());
    world.owner_posts("four");
    world.work();
    assert_eq!(texts(&world.heard(&mary)), ["one"]);
    assert_eq!(texts(&world.through(&content)), ["two", "three", "four"]);
}

#[test]
fn a_second_connection_that_does_not_come_about_in_a_minute_is_given_up() {
    let mut world = World::new();
    let mary = world.join("Mary");
    let content = world.ask_pair(&mary);
    world.owner_posts("one");
    world.work();
    assert!(texts(&world.heard(&mary)).is_empty());
    world.pass(std::time::Duration::from_secs(61));
    world.owner_posts("two");
    world.work();
    assert_eq!(texts(&world.heard(&mary)), ["one", "two"]);
    // Too late: it was deleted.
    world.step(|members| members.connected(&content).unwrap());
    world.owner_posts("three");
    world.work();
    assert_eq!(texts(&world.heard(&mary)), ["one", "two", "three"]);
    // It may be asked for again.
    let content = world.pair(&mary);
    world.owner_posts("four");
    world.work();
    assert_eq!(texts(&world.through(&content)), ["four"]);
}

#[test]
fn an_owner_opens_a_second_connection_with_its_own_key_only() {
    let mut world = World::new();
    let identity = world.owner.identity.clone();
    let olga =
        Person { id: identity.owner_id.clone(), key: MemberKey::from(&identity.owner_key), name: "Olga".to_owned() };
    let content = world.pair(&olga);
    let mary = world.join("Mary");
    world.owner_posts("hello");
    world.signs(&mary, Event::GroupLeave);
    world.work();
    assert!(names(&world.through(&content)).contains(&">x.grp.leave".to_owned()));
    assert!(!names(&world.owner_heard()).contains(&">x.grp.leave".to_owned()));
    // Content comes through it, and nothing that changes the group.
    let bob = world.join("Bob");
    let body = single(world.named(post("from the second"))).unwrap();
    world.body_from(content, &body);
    let ended = world.named(Event::GroupDelete);
    let body = olga.signs(&world.group(), ended);
    world.body_from(content, &body);
    world.work();
    assert_eq!(texts(&world.heard(&bob)), ["from the second"]);
    assert!(world.refusals().contains(&"not through the connection for content"));
}

#[test]
fn requests_wait_while_nobody_is_admitted() {
    let mut world = World::new();
    world.owner_signs(Event::GroupRelayControl(RelayControl { command: RelayCommand::Suspend }));
    let mary = Person::new("Mary");
    let request = world.ask_signed(&mary, mary.join(RELAY));
    assert_eq!(world.events, [MemberEvent::Waiting(request)]);
    assert!(world.next().is_none());
    assert!(!world.step(|members| members.admit_waiting().unwrap()));
    world.restart();
    // The agent tells of it again.
    let other = world.ask_signed(&Person::new("Bob"), Person::new("Bob").join(RELAY));
    assert_eq!(world.events.last(), Some(&MemberEvent::Waiting(other)));
    world.owner_signs(Event::GroupRelayControl(RelayControl { command: RelayCommand::Resume }));
    world.step(|members| members.admit_waiting().unwrap());
    world.connect(&mary);
    world.work();
    assert_eq!(names(&world.heard(&mary))[0], "x.grp.link.mem");
}

#[test]
fn the_operators_program_decides_about_those_who_are_new() {
    let mut world = World::with(RelaySettings { ask_about_members: true, ..settings() });
    let (mary, eve) = (Person::new("Mary"), Person::new("Eve"));
    let (first, second) = (world.ask_signed(&mary, mary.join(RELAY)), world.ask_signed(&eve, eve.join(RELAY)));
    let questions = group::relay::members::questions(&world.view(), &world.rows, 10).unwrap();
    let asked: Vec<_> = questions.iter().map(|question| (question.request, question.name.as_str())).collect();
    assert_eq!(asked, [(first, "Mary"), (second, "Eve")]);
    world.restart();
    world.step(|members| members.decided(first, true).unwrap());
    world.step(|members| members.decided(second, false).unwrap());
    world.step(|members| members.decided(second, true).unwrap());
    world.connect(&mary);
    world.work();
    assert_eq!(dismissals(&world), [JoinDismissal::Policy]);
    assert_eq!(count(&world.rows, MemberState::Connected), 2);
    // Whoever is in the group is not asked about again.
    world.ask_signed(&mary, mary.join(RELAY));
    assert_eq!(world.next().unwrap().answers.len(), 1);
}

#[test]
fn a_group_has_only_so_many_members_and_those_who_never_come_are_forgotten() {
    let mut world = World::with(RelaySettings {
        max_members: 4,
        max_admitted: 2,
        ..RelaySettings::new(NonEmpty::one(SERVER.parse().unwrap()))
    });
    for name in ["a", "b", "c"] {
        let person = Person::new(name);
        world.ask_signed(&person, person.join(RELAY));
    }
    assert_eq!(dismissals(&world), [JoinDismissal::Full]);
    world.work();
    world.pass(hours(25));
    assert_eq!(world.rows.hall().unwrap().unwrap().admitted, 0);
    assert_eq!(count(&world.rows, MemberState::Connected), 1);
    for name in ["a", "b", "c"] {
        world.join(name);
    }
    let last = Person::new("d");
    world.ask_signed(&last, last.join(RELAY));
    assert_eq!(dismissals(&world), [JoinDismissal::Full, JoinDismissal::Full]);
}

#[test]
fn a_request_that_cannot_be_answered_is_forgotten() {
    let mut world = World::new();
    let mary = Person::new("Mary");
    world.ask_signed(&mary, mary.join(RELAY));
    let work = world.next().unwrap();
    let now = world.now();
    work.answers[0].settle(group::relay::members::AnswerOutcome::Later, &mut world.rows, now).unwrap();
    assert!(world.next().is_none());
    world.bench.now = now.after(std::time::Duration::from_secs(2));
    let work = world.next().unwrap();
    work.answers[0].settle(group::relay::members::AnswerOutcome::Failed, &mut world.rows, now).unwrap();
    let Work { dispatch, .. } = work;
    let outcomes: Vec<HandoverOutcome> = Vec::new();
    dispatch.settlement.settle(&dispatch.handovers, &outcomes, &mut world.rows, now).unwrap();
    assert!(world.rows.member_with_id(&mary.id).unwrap().is_none());
    assert_eq!(world.rows.hall().unwrap().unwrap().admitted, 0);
}

#[test]
fn names_of_connections_of_members_are_read_back() {
    let name = ConnectionName::Member(group::relay::ServiceId(u64::MAX), u64::MAX, u16::MAX);
    assert!(name.to_string().len() <= 64);
    assert_eq!(name.to_string().parse(), Ok(name));
    assert!("member-1-2-70000".parse::<ConnectionName>().is_err());
    assert!(heard(b"{\"event\":\"x.ok\",\"params\":{}}") == [Heard::Relay(Event::Ok)]);
    assert!(MemberId::from_bytes(&[]).is_none());
}

#[test]
fn moderators_get_what_joiners_signed_so_that_they_know_their_keys() {
    let mut world = World::new();
    let mona = world.join("mona");
    appoint(&mut world, 1, &[(&mona, Role::Moderator)]);
    world.work();
    world.forget();
    let mia = world.join("mia");
    let heard = world.heard(&mona);
    let [Heard::Relay(Event::GroupMemberNew(new)), Heard::Said(Some(author), Event::Member(join))] = heard.as_slice()
    else {
        panic!("{heard:?}")
    };
    assert_eq!((&new.member_info.member_id, author), (&mia.id, &mia.id));
    assert_eq!((&join.new_member_id, join.new_member_key), (&mia.id, mia.key.public()));
    // The owner in these tests did not say that it knows the extension.
    assert!(!names(&world.owner_heard()).contains(&">x.member".to_owned()));
}
