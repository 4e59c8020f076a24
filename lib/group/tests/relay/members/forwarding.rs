//! What is forwarded, as what, and to whom.

use group::body::single;
use group::content::{
    Content, FileDescription, FileDescriptionPart, Mention, MessageDeletion, MessageReaction, MessageUpdate,
    NewMessage, Reaction, Scope,
};
use group::element::Element;
use group::event::{Event, MemberRemoval, MemberRestriction, OwnProfile, RelayNew, RoleChange, UnknownEvent};
use group::member::{MemberProfile, MemberRestrictions, Restriction, Role};
use group::message::Message;
use group::message_id::MessageId;
use group::relay::members::{Lane, MemberState, ReadRows};
use group::roster::RosterVersion;
use serde_json::{Map, json};

use super::joining::appoint;
use super::world::{Heard, Person, RELAY, World, forwarded_bytes, names, post, texts, told_about};
use crate::support::hours;

/// Somebody whom the owner has appointed before it joins.
fn join_as(world: &mut World, name: &str, role: Role, version: i64) -> Person {
    let person = Person::new(name);
    appoint(world, version, &[(&person, role)]);
    world.ask_signed(&person, person.join(RELAY));
    world.connect(&person);
    world.work();
    person
}

fn in_support_of(person: &Person, text: &str) -> Event {
    let scope = Some(Scope::Member(Mention { member_id: person.id.clone() }));
    Event::MessageNew(NewMessage { scope, ..NewMessage::of(Content::text(text)) }.into())
}

fn update(id: &MessageId, text: &str) -> Event {
    let update = MessageUpdate {
        message_id: id.clone(),
        content: Content::text(text),
        mentions: Default::default(),
        ttl: None,
        live: None,
        scope: None,
        as_group: None,
    };
    Event::MessageUpdate(update.into())
}

fn deletion(id: &MessageId) -> MessageDeletion {
    MessageDeletion { message_id: id.clone(), member_id: None, scope: None, only_history: None }
}

fn last_id(world: &World, lane: Lane) -> MessageId {
    let messages = world.rows.all_messages().filter(|message| message.lane == lane);
    messages.last().unwrap().id.unwrap()
}

#[test]
fn chat_15_signed_bytes_are_forwarded_as_they_came_across_a_restart() {
    let mut world = World::new();
    let (mary, bob) = (world.join("Mary"), world.join("Bob"));
    // No program of ours writes keys in this order, with these spaces and escapes.
    let json = br#"{ "params":{} ,"msgId":"YWFhYWFhYWFhYWFh","event":"x.grp.\u006ceave","v":"9"}"#;
    let binding = group::signature::Binding::Member(&world.group(), &mary.id).to_bytes();
    let signature = mary.key.signing_key().sign(&[&binding, json.as_slice()].concat());
    let element = [b"/G\x01M\x40".as_slice(), &signature, json].concat();
    world.forget();
    world.body_from(world.connection(&mary), &element);
    world.restart();
    world.work();
    for connection in [world.connection(&bob), world.owner_connection] {
        assert_eq!(forwarded_bytes(&world.connections[&connection].bodies), std::slice::from_ref(&element));
    }
}

#[test]
fn what_is_said_reaches_everybody_but_who_said_it() {
    let mut world = World::new();
    let people: Vec<Person> = ["a", "b", "c"].iter().map(|name| world.join(name)).collect();
    world.forget();
    world.owner_posts("one");
    world.work();
    world.owner_posts("two");
    world.owner_posts("three");
    world.work();
    for person in &people {
        assert_eq!(texts(&world.heard(person)), ["one", "two", "three"]);
        // What waits together goes together.
        assert_eq!(world.connections[&world.connection(person)].bodies.len(), 2);
    }
    assert_eq!(world.owner_heard(), []);
    let reaction = MessageReaction {
        message_id: last_id(&world, Lane::Group),
        member_id: None,
        scope: None,
        reaction: serde_json::from_value::<Reaction>(json!({"type": "emoji", "emoji": "👍"})).unwrap(),
        add: true,
    };
    world.forget();
    world.says(&people[1], Event::MessageReact(reaction.clone()));
    world.work();
    let by = Heard::Said(Some(people[1].id.clone()), Event::MessageReact(reaction));
    assert!(world.owner_heard().contains(&by));
    assert!(world.heard(&people[0]).contains(&by) && world.heard(&people[2]).contains(&by));
    assert_eq!(world.heard(&people[1]), []);
}

#[test]
fn chat_43_and_44_posts_of_the_channel_name_their_author_only_if_signed() {
    let mut world = World::new();
    let mary = world.join("Mary");
    let as_group = |text: &str| {
        Event::MessageNew(NewMessage { as_group: Some(true), ..NewMessage::of(Content::text(text)) }.into())
    };
    world.forget();
    let body = world.owner.unsigned(as_group("deniable"));
    world.owner_body(&body);
    world.work();
    assert_eq!(world.heard(&mary), [Heard::Said(None, as_group("deniable"))]);
    let owner_id = world.owner.identity.owner_id.clone();
    let bodies = &world.connections[&world.connection(&mary)].bodies;
    let contains = |body: &Vec<u8>, part: &[u8]| body.windows(part.len()).any(|bytes| bytes == part);
    assert!(!bodies.iter().any(|body| contains(body, owner_id.as_bytes()) || contains(body, b"Olga")));

    world.forget();
    let signed = world.owner_signs(as_group("signed"));
    world.work();
    assert_eq!(world.heard(&mary), [Heard::Said(Some(owner_id), as_group("signed"))]);
    assert_eq!(forwarded_bytes(&world.connections[&world.connection(&mary)].bodies), [signed]);
}

#[test]
fn chat_45_a_relay_killed_between_pages_goes_on_where_it_was() {
    let mut world = World::new();
    let people: Vec<Person> = (0..1_100).map(|number| world.join(&format!("member-{number}"))).collect();
    world.forget();
    world.owner_posts("one");
    let mut pages = 0;
    while let Some(work) = world.next() {
        // Killed before anything of the page is kept: it is made again.
        world.restart();
        assert_eq!(world.next().as_ref(), Some(&work));
        world.carry_out(work);
        world.restart();
        world.owner_posts(&format!("while {pages}"));
        pages += 1;
        if pages == 3 {
            break;
        }
    }
    world.work();
    for person in &people {
        assert_eq!(texts(&world.heard(person)), ["one", "while 0", "while 1", "while 2"]);
    }
}

#[test]
fn chat_48_and_49_news_of_relays_are_forwarded() {
    let mut world = World::new();
    let mary = world.join("Mary");
    world.forget();
    let new = Event::GroupRelayNew(RelayNew { relay_link: "https://smp.example.org/g#abc".to_owned() });
    let gone = Event::GroupMemberDelete(MemberRemoval {
        member_id: crate::support::id("relay-member-id2"),
        messages: None,
        roster_version: None,
    });
    let owner = Some(world.owner.identity.owner_id.clone());
    let bodies = [world.owner_signs(new.clone()), world.owner_signs(gone.clone())];
    world.work();
    assert_eq!(world.heard(&mary), [Heard::Said(owner.clone(), new), Heard::Said(owner, gone)]);
    assert_eq!(forwarded_bytes(&world.connections[&world.connection(&mary)].bodies), bodies);
    assert_eq!(world.rows.hall().unwrap().unwrap().members, 2);
}

#[test]
fn chat_14_events_that_we_do_not_know_go_no_further() {
    let mut world = World::new();
    let (mary, bob) = (world.join("Mary"), world.join("Bob"));
    world.forget();
    let unknown = UnknownEvent::new("x.grp.vote".to_owned(), Map::new()).unwrap();
    world.says(&mary, Event::Unknown(unknown));
    world.signs(&mary, Event::GroupLeave);
    world.work();
    assert_eq!(names(&world.heard(&bob)), [">x.grp.leave"]);
}

#[test]
fn who_a_sender_is_is_told_once_to_each_and_again_when_that_changes() {
    let mut world = World::new();
    let mary = join_as(&mut world, "Mary", Role::Member, 1);
    let bob = world.join("Bob");
    world.forget();
    // Whoever came later was introduced to her; moderators are.
    world.says(&mary, post("one"));
    world.work();
    world.says(&mary, post("two"));
    world.says(&mary, post("three"));
    world.work();
    let late = world.join("Late");
    world.says(&mary, post("four"));
    world.work();
    assert_eq!(texts(&world.heard(&bob)), ["one", "two", "three", "four"]);
    assert_eq!(texts(&world.heard(&late)), ["four"]);
    assert!(told_about(&world.heard(&bob)).len() <= 1 && told_about(&world.heard(&late)).len() <= 1);

    world.forget();
    let profile = MemberProfile::named("Mary Ann");
    world.signs(&mary, Event::Info(OwnProfile { profile, member_key: None }.into()));
    world.work();
    world.says(&mary, post("five"));
    world.work();
    for person in [&bob, &late] {
        let heard = world.heard(person);
        assert_eq!(told_about(&heard), std::slice::from_ref(&mary.id), "{heard:?}");
        let first = heard.iter().position(|heard| matches!(heard, Heard::Relay(Event::GroupMemberNew(new)) if new.member_info.profile.display_name == "Mary Ann"));
        let said = heard.iter().position(|heard| matches!(heard, Heard::Said(..)));
        assert!(first < said);
    }
}

#[test]
fn observers_are_introduced_with_what_they_signed_to_those_who_take_it() {
    let mut world = World::new();
    let (mary, bob) = (world.join("Mary"), world.join("Bob"));
    let plain = Person::new("Plain");
    world.ask_signed(&plain, group::event::Join { ext: Default::default(), ..plain.join(RELAY) });
    world.connect(&plain);
    world.work();
    world.forget();
    world.signs(&mary, Event::Info(OwnProfile { profile: MemberProfile::named("Mary"), member_key: None }.into()));
    world.work();
    let told = |person: &Person| names(&world.heard(person));
    assert_eq!(told(&bob), ["x.grp.mem.new", ">x.member", ">x.info"]);
    assert_eq!(told(&plain), ["x.grp.mem.new", ">x.info"]);
    // The signature is right for whoever knows the key that the relay says she has.
    let bytes = forwarded_bytes(&world.connections[&world.connection(&bob)].bodies);
    let group::element::AuthoredMessage::Signed(join) = group::element::AuthoredMessage::parse(&bytes[0]).unwrap()
    else {
        panic!("signed")
    };
    assert!(join.is_signed_by(&world.group(), &mary.id, &mary.key.public()));
}

#[test]
fn chats_with_moderators_reach_moderators_and_the_member_alone() {
    let mut world = World::new();
    let moderator = join_as(&mut world, "Mod", Role::Moderator, 1);
    let (mary, bob) = (world.join("Mary"), world.join("Bob"));
    world.forget();
    world.says(&mary, in_support_of(&mary, "help"));
    world.work();
    world.says(&moderator, in_support_of(&mary, "how"));
    world.says(&bob, in_support_of(&mary, "me too"));
    world.work();
    assert_eq!(texts(&world.owner_heard()), ["help", "how"]);
    assert_eq!(texts(&world.heard(&moderator)), ["help"]);
    assert_eq!(texts(&world.heard(&mary)), ["how"]);
    assert_eq!(world.heard(&bob), []);
    assert_eq!(world.refusals(), ["the chat of another member with moderators"]);
    // A long job for everybody does not hold up the chats.
    world.owner_posts("for all");
    world.says(&mary, in_support_of(&mary, "again"));
    let first = world.next().unwrap();
    world.carry_out(first);
    let second = world.next().unwrap();
    world.carry_out(second);
    assert_eq!(texts(&world.heard(&moderator)).len(), 3);
}

#[test]
fn a_chat_with_moderators_needs_the_preference() {
    let mut world = World::preferring(r#"{"support":{"enable":"off"},"reactions":{"enable":"off"}}"#);
    let mary = world.join("Mary");
    world.forget();
    world.says(&mary, in_support_of(&mary, "help"));
    world.work();
    assert_eq!(world.owner_heard(), []);
    assert_eq!(world.refusals(), ["there are no chats with moderators in this group"]);
}

#[test]
fn whoever_is_appointed_writes_and_whoever_is_not_any_more_does_not() {
    let mut world = World::new();
    let (mary, bob) = (world.join("Mary"), world.join("Bob"));
    world.says(&mary, post("too early"));
    let role = |role: Role, version: i64| {
        Event::GroupMemberRole(RoleChange {
            member_id: mary.id.clone(),
            role,
            member_key: Some(mary.key.public()),
            roster_version: RosterVersion::new(version),
        })
    };
    world.owner_signs(role(Role::Member, 5));
    world.says(&mary, post("now"));
    world.owner_signs(role(Role::Observer, 6));
    world.says(&mary, post("too late"));
    // An old change that somebody repeats gives nothing back.
    world.owner_signs(role(Role::Member, 5));
    world.says(&mary, post("much too late"));
    world.work();
    assert_eq!(texts(&world.heard(&bob)), ["now"]);
    assert_eq!(world.refusals(), ["observers only read"; 3]);
}

#[test]
fn chat_53_a_lower_version_of_the_roster_changes_no_role_at_the_relay() {
    let mut world = World::new();
    let mary = join_as(&mut world, "Mary", Role::Admin, 5);
    let lower = |version: i64| {
        Event::GroupMemberRole(RoleChange {
            member_id: mary.id.clone(),
            role: Role::Member,
            member_key: None,
            roster_version: RosterVersion::new(version),
        })
    };
    let role = |world: &World| world.rows.member_with_id(&mary.id).unwrap().unwrap().role;
    world.owner_signs(lower(4));
    assert_eq!(role(&world), Role::Admin);
    world.owner_signs(lower(5));
    assert_eq!(role(&world), Role::Member);
}

#[test]
fn whoever_the_owner_says_has_another_key_is_not_that_member() {
    let mut world = World::new();
    let (mary, bob) = (world.join("Mary"), world.join("Bob"));
    let true_mary = Person { key: Person::new("True Mary").key, ..mary.clone() };
    let old = world.connection(&mary);
    appoint(&mut world, 1, &[(&true_mary, Role::Member)]);
    world.work();
    assert!(world.connections[&old].deleted.is_some());
    world.ask_signed(&true_mary, true_mary.join(RELAY));
    assert!(world.rows.member_with_id(&mary.id).unwrap().is_some());
    let _ = bob;
}

#[test]
fn moderators_block_and_admins_remove_those_with_no_higher_role() {
    let mut world = World::new();
    let (moderator, admin) = (Person::new("Mod"), Person::new("Admin"));
    appoint(&mut world, 1, &[(&moderator, Role::Moderator), (&admin, Role::Admin)]);
    for person in [&moderator, &admin] {
        world.ask_signed(person, person.join(RELAY));
        world.connect(person);
    }
    let (mary, bob) = (world.join("Mary"), world.join("Bob"));
    world.forget();
    let block = |person: &Person| {
        let member_restrictions = MemberRestrictions { restriction: Restriction::Blocked };
        Event::GroupMemberRestrict(MemberRestriction { member_id: person.id.clone(), member_restrictions })
    };
    let remove = |person: &Person| {
        let member_id = person.id.clone();
        Event::GroupMemberDelete(MemberRemoval { member_id, messages: None, roster_version: None })
    };
    world.signs(&mary, block(&bob));
    world.signs(&moderator, block(&admin));
    world.signs(&moderator, remove(&bob));
    world.signs(&admin, remove(&moderator));
    assert_eq!(
        world.refusals(),
        [
            "only moderators block members",
            "the member has a higher role",
            "only admins remove members",
            "only owners remove members with rights"
        ]
    );
    world.signs(&moderator, block(&mary));
    world.says(&mary, in_support_of(&mary, "why"));
    world.signs(&admin, remove(&bob));
    world.work();
    // Nobody is told that it is blocked, and whoever is removed is told before it is gone.
    assert_eq!(names(&world.heard(&mary)), [">x.grp.mem.del"]);
    assert_eq!(names(&world.heard(&bob)).last().unwrap(), ">x.grp.mem.del");
    assert_eq!(texts(&world.owner_heard()), [""; 0]);
    assert_eq!(names(&world.owner_heard()), [">x.grp.mem.restrict", ">x.grp.mem.del"]);
    assert!(world.connections[&world.connection(&bob)].deleted.is_some());

    // It does not come back while that is remembered.
    world.ask_signed(&bob, bob.join(RELAY));
    assert!(world.next().is_none());
    world.pass(hours(25));
    assert!(world.rows.member_with_id(&bob.id).unwrap().is_none());
}

#[test]
fn whoever_leaves_gets_nothing_more_and_may_come_back() {
    let mut world = World::new();
    let (mary, bob) = (world.join("Mary"), world.join("Bob"));
    world.forget();
    world.signs(&mary, Event::GroupLeave);
    world.owner_posts("after");
    world.work();
    assert_eq!(world.heard(&mary), []);
    assert_eq!(names(&world.heard(&bob)), [">x.grp.leave", ">x.msg.new"]);
    assert!(world.connections[&world.connection(&mary)].deleted.is_some());
    assert_eq!(world.rows.hall().unwrap().unwrap().members, 2);
    world.ask_signed(&mary, mary.join(RELAY));
    world.connect(&mary);
    world.owner_posts("back");
    world.work();
    assert_eq!(texts(&world.heard(&mary)), ["back"]);
}

#[test]
fn those_who_join_get_the_last_posts_with_their_last_edits_and_nothing_that_was_deleted() {
    let mut world = World::preferring(r#"{"history":{"enable":"on"}}"#);
    for number in 0..103 {
        world.owner_posts(&format!("post {number}"));
    }
    let ids: Vec<MessageId> = world.rows.all_messages().filter_map(|message| message.id).collect();
    for text in ["first edit", "second edit"] {
        let body = world.owner.unsigned(update(&ids[101], text));
        world.owner_body(&body);
    }
    let body = world.owner.unsigned(Event::MessageDelete(deletion(&ids[102])));
    world.owner_body(&body);
    world.work();
    let mary = world.join("Mary");
    let heard = world.heard(&mary);
    let expected: Vec<String> = (2..102).map(|number| format!("post {number}")).collect();
    assert_eq!(texts(&heard), expected);
    let edit = |heard: &Heard| match heard {
        Heard::Said(_, Event::MessageUpdate(update)) => update.content.as_text().map(str::to_owned),
        _ => None,
    };
    assert_eq!(heard.iter().filter_map(edit).collect::<Vec<_>>(), ["second edit"]);
    assert!(!names(&heard).contains(&">x.msg.del".to_owned()));
}

#[test]
fn the_history_leaves_out_what_disappeared_and_what_blocked_members_wrote() {
    let mut world = World::preferring(r#"{"history":{"enable":"on"}}"#);
    let moderator = join_as(&mut world, "Mod", Role::Admin, 1);
    let mary = Person::new("Mary");
    appoint(&mut world, 2, &[(&mary, Role::Member), (&moderator, Role::Admin)]);
    world.ask_signed(&mary, mary.join(RELAY));
    world.connect(&mary);
    world.work();
    world.says(&mary, post("of Mary"));
    let short = NewMessage { ttl: Some(60), ..NewMessage::of(Content::text("short")) };
    world.says(&moderator, Event::MessageNew(short.into()));
    world.says(&moderator, post("long"));
    let member_restrictions = MemberRestrictions { restriction: Restriction::Blocked };
    let member_id = mary.id.clone();
    world.signs(&moderator, Event::GroupMemberRestrict(MemberRestriction { member_id, member_restrictions }));
    world.work();
    world.pass(hours(1));
    let late = world.join("Late");
    assert_eq!(texts(&world.heard(&late)), ["long"]);
}

#[test]
fn chat_24_posts_are_changed_by_their_authors_alone_and_what_was_signed_stays_signed() {
    let mut world = World::new();
    let (mary, bob) = (Person::new("Mary"), Person::new("Bob"));
    appoint(&mut world, 1, &[(&mary, Role::Member), (&bob, Role::Member)]);
    for person in [&mary, &bob] {
        world.ask_signed(person, person.join(RELAY));
        world.connect(person);
    }
    world.work();
    world.forget();
    world.signs(&mary, post("signed"));
    let id = last_id(&world, Lane::Group);
    world.says(&mary, update(&id, "unsigned"));
    world.signs(&bob, update(&id, "another's"));
    world.says(&mary, Event::MessageDelete(deletion(&id)));
    world.signs(&bob, Event::MessageDelete(MessageDeletion { member_id: Some(mary.id.clone()), ..deletion(&id) }));
    let part = FileDescriptionPart {
        message_id: id.clone(),
        file_descr: FileDescription {
            file_descr_text: "a".to_owned(),
            file_descr_part_no: 1,
            file_descr_complete: true,
        },
    };
    world.says(&bob, Event::MessageFileDescription(part));
    assert_eq!(
        world.refusals(),
        [
            "an unsigned change of a signed message",
            "a change of what somebody else wrote",
            "an unsigned change of a signed message",
            "only moderators delete what others wrote",
            "a change of what somebody else wrote",
        ]
    );
    world.signs(&mary, update(&id, "signed again"));
    world.work();
    assert_eq!(names(&world.owner_heard()).iter().filter(|name| *name == ">x.msg.update").count(), 1);
}

#[test]
fn moderators_sign_when_they_delete() {
    let mut world = World::new();
    let moderator = join_as(&mut world, "Mod", Role::Moderator, 1);
    let mary = world.join("Mary");
    world.owner_posts("of the owner");
    let id = last_id(&world, Lane::Group);
    let of = |person: &group::identity::MemberId| {
        Event::MessageDelete(MessageDeletion { member_id: Some(person.clone()), ..deletion(&id) })
    };
    let owner = world.owner.identity.owner_id.clone();
    world.signs(&moderator, of(&owner));
    world.says(&moderator, of(&mary.id));
    world.signs(&moderator, of(&mary.id));
    assert_eq!(world.refusals(), ["the author has a higher role", "moderators sign what they do"]);
}

#[test]
fn old_messages_are_forgotten_and_the_signed_profile_is_not() {
    let mut world = World::preferring(r#"{"history":{"enable":"on"}}"#);
    let profile = world.owner.profile();
    world.owner_signs(Event::GroupInfo(group::event::GroupInfo::from(profile).into()));
    world.owner_posts("old");
    world.work();
    world.pass(hours(24 * 31));
    world.owner_posts("new");
    let now = world.now();
    group::relay::members::forget_old(&mut world.rows, hours(24 * 30), now).unwrap();
    assert_eq!(world.rows.all_messages().filter(|message| message.lane == Lane::Group).count(), 2);
    let mary = world.join("Mary");
    assert_eq!(names(&world.heard(&mary)), ["x.grp.link.mem", ">x.grp.info", "x.grp.mem.intro", ">x.msg.new"]);
    assert_eq!(texts(&world.heard(&mary)), ["new"]);
}

#[test]
fn several_messages_of_one_body_stay_in_order() {
    let mut world = World::new();
    let mary = join_as(&mut world, "Mary", Role::Member, 1);
    let bob = world.join("Bob");
    world.forget();
    let mut writer = group::body::BatchWriter::default();
    for text in ["one", "two", "three"] {
        let message: Message = world.named(post(text));
        writer.push(&Element::from(message)).unwrap();
    }
    world.body_from(world.connection(&mary), &writer.finish().unwrap());
    world.work();
    assert_eq!(texts(&world.heard(&bob)), ["one", "two", "three"]);
    assert!(single(Message::unnamed(post("x"))).is_ok());
    assert_eq!(super::memory::count(&world.rows, MemberState::Connected), 3);
}
