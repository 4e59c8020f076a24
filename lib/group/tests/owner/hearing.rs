//! What an owner hears: what members say, and what relays tell of them.

use group::body::{BatchWriter, single};
use group::content::{Content, Mention, Mentions, NewMessage, Scope};
use group::document::GroupDocument;
use group::element::{AuthoredMessage, Element, Forward, ForwardContent, ForwardSender, ShortName};
use group::event::{Event as ChatEvent, MemberNew, MemberRemoval, MemberRestriction, RoleChange};
use group::identity::{MemberId, MemberKey, MemberPublicKey};
use group::keys::KeySource;
use group::member::{MemberInfo, MemberProfile, MemberRestrictions, Restriction, Role};
use group::membership::{Difference, Event as GroupEvent, Heard, Mark, PATIENCE, RecordKey, Saying, Speech, Voice};
use group::message::Message;
use group::message_id::MessageId;
use group::owner::{Event, OwnerError, Removal, TaskId};
use group::roster::{Roster, RosterVersion};
use group::signature::Signer;
use group::verification::Trust;

use crate::speaking::{heard as said_to, post as speech};
use crate::support::{Desk, NOW, Relay, reread};

const SECONDS: i64 = NOW as i64 / 1000;

fn id(name: &str) -> MemberId {
    MemberId::from_bytes(name.as_bytes()).unwrap()
}

fn message_id(name: &str) -> MessageId {
    MessageId::from_bytes(name.as_bytes()).unwrap()
}

fn key(name: &str) -> MemberKey {
    MemberKey::generate(&mut crypto::SeededRandom::new(&[3; 32], name))
}

pub(crate) fn post(text: &str) -> ChatEvent {
    ChatEvent::MessageNew(NewMessage::of(Content::text(text)).into())
}

fn named(name: &str, event: ChatEvent) -> Message {
    Message { id: Some(message_id(name)), ..Message::unnamed(event) }
}

pub(crate) fn unsigned(name: &str, event: ChatEvent) -> AuthoredMessage {
    named(name, event).into()
}

pub(crate) fn signed(desk: &Desk, member: &str, name: &str, event: ChatEvent) -> AuthoredMessage {
    let (group, member_id, key) = (desk.group_id(), id(member), key(member));
    Signer { group: &group, member: &member_id, key: &key }.sign(named(name, event)).into()
}

/// A relay forwards what a member is to have said.
pub(crate) fn forwarded(member: &str, message: AuthoredMessage) -> Vec<u8> {
    forwarded_at(member, SECONDS, message)
}

pub(crate) fn forwarded_at(member: &str, sent_at: i64, message: AuthoredMessage) -> Vec<u8> {
    let sender = ForwardSender::Member(id(member), ShortName::new(member));
    single(Element::Forward(Forward { sender, sent_at, content: ForwardContent::Message(message) })).unwrap()
}

/// A relay tells that somebody has joined.
pub(crate) fn new_member(name: &str, role: Role, key: Option<MemberPublicKey>) -> ChatEvent {
    let profile = MemberProfile::named(name);
    let member_info = MemberInfo { member_id: id(name), member_role: role, v: None, profile, member_key: key };
    ChatEvent::GroupMemberNew(MemberNew { member_info, scope: None }.into())
}

pub(crate) fn two() -> (Desk, [Relay; 2], [MemberId; 2]) {
    let relays = [Relay::new(1), Relay::new(2)];
    let mut desk = Desk::new();
    let ids = relays.map(|relay| desk.activate(relay));
    desk.events.clear();
    desk.now = desk.now.after(std::time::Duration::from_secs(1));
    (desk, relays, ids)
}

fn heard(desk: &Desk) -> Vec<Heard> {
    let heard = |event: &Event| match event {
        Event::Group(event) => match event.as_ref() {
            GroupEvent::Heard(heard) => Some(heard.as_ref().clone()),
            _ => None,
        },
        _ => None,
    };
    desk.events.iter().filter_map(heard).collect()
}

fn texts(desk: &Desk) -> Vec<String> {
    let text = |heard: Heard| match heard.event() {
        ChatEvent::MessageNew(new) => new.content.as_text().unwrap_or_default().to_owned(),
        other => other.name().to_owned(),
    };
    heard(desk).into_iter().map(text).collect()
}

fn was_told(desk: &Desk, wanted: &GroupEvent) -> bool {
    desk.events.iter().any(|event| matches!(event, Event::Group(event) if **event == *wanted))
}

/// A roster in which these members have these roles.
fn roster(desk: &Desk, version: i64, entries: &[(&str, Role)]) -> Roster {
    let mut roster = Roster::default();
    let links = group::keys::LinkKeys::new([(desk.owner_identity().owner_id, owner_key(desk))], []);
    for (name, role) in entries {
        let change = RoleChange {
            member_id: id(name),
            role: role.clone(),
            member_key: Some(key(name).public()),
            roster_version: RosterVersion::new(version),
        };
        let message = by_owner(desk, ChatEvent::GroupMemberRole(change));
        roster.apply(&message, &links);
    }
    roster
}

fn owner_key(desk: &Desk) -> group::identity::OwnerPublicKey {
    desk.owner_identity().owner_key.public()
}

fn by_owner(desk: &Desk, event: ChatEvent) -> group::verification::AcceptedMessage {
    let owner = desk.owner_identity();
    let (group, member_key) = (owner.group_id(), MemberKey::from(&owner.owner_key));
    let signed = Signer { group: &group, member: &owner.owner_id, key: &member_key }.sign(named("role", event));
    let links = group::keys::LinkKeys::new([(owner.owner_id.clone(), owner.owner_key.public())], []);
    let author = links.author(&owner.owner_id, &Roster::default(), group::keys::Asserted::default());
    let recipient = group::verification::Recipient { group, role: Role::Observer };
    AuthoredMessage::from(signed).verify(&author, &recipient).unwrap()
}

#[test]
fn the_owner_hears_an_author_once_and_each_relay_confirms_it_after_a_restart_too() {
    let (mut desk, relays, ids) = two();
    let new = new_member("anna", Role::Author, Some(key("anna").public()));
    desk.receive(&ids[0], &relays[0].says(new));
    let message = signed(&desk, "anna", "m1", post("hello"));
    desk.receive(&ids[0], &forwarded("anna", message.clone()));
    desk.restart();
    desk.receive(&ids[1], &forwarded("anna", message.clone()));
    desk.receive(&ids[0], &forwarded("anna", message));
    let [said]: [Heard; 1] = heard(&desk).try_into().unwrap();
    assert_eq!((said.author(), said.author_name.as_deref(), &said.relay), (Some(&id("anna")), Some("anna"), &ids[0]));
    assert_eq!(said.trust(), Trust::Verified(KeySource::Asserted));
    assert!(was_told(&desk, &GroupEvent::Confirmed { message: message_id("m1"), relay: ids[1].clone() }));
    assert_eq!(desk.owner.health(&ids[0]).unwrap().repeated, 1);
}

#[test]
fn chat_46_an_owner_sees_that_relays_deliver_different_copies() {
    let (mut desk, relays, ids) = two();
    desk.receive(&ids[0], &relays[0].says(new_member("anna", Role::Author, None)));
    desk.receive(&ids[0], &forwarded("anna", unsigned("m1", post("one thing"))));
    desk.receive(&ids[1], &forwarded("anna", unsigned("m1", post("another"))));
    assert_eq!(texts(&desk), ["one thing"]);
    let mark = |relay: &MemberId| Mark { relay: relay.clone(), difference: Difference::Content, refuted: false };
    let marks = vec![mark(&ids[1]), mark(&ids[0])];
    assert!(was_told(&desk, &GroupEvent::Different { message: message_id("m1"), marks }), "{:?}", desk.events);
}

#[test]
fn everybody_may_write_to_the_moderators_and_observers_nowhere_else() {
    let (mut desk, relays, ids) = two();
    desk.receive(&ids[0], &relays[0].says(new_member("tom", Role::Observer, None)));
    let scope = Some(Scope::Member(Mention { member_id: id("tom") }));
    let question = NewMessage { scope, ..NewMessage::of(Content::text("may I?")) };
    desk.receive(&ids[0], &forwarded("tom", unsigned("m1", ChatEvent::MessageNew(question.into()))));
    desk.receive(&ids[0], &forwarded("tom", unsigned("m2", post("out loud"))));
    assert_eq!(texts(&desk), ["may I?"]);
    let dropped = |event: &&Event| matches!(event, Event::Dropped { relay, .. } if *relay == ids[0]);
    assert_eq!(desk.events.iter().filter(dropped).count(), 1);
}

#[test]
fn what_is_heard_and_what_is_said_can_be_answered_edited_and_reacted_to() {
    let (mut desk, relays, ids) = two();
    desk.receive(&ids[0], &relays[0].says(new_member("anna", Role::Author, None)));
    desk.receive(&ids[0], &forwarded("anna", unsigned("m1", post("a question"))));
    let content = Content::text("an answer");
    let what = Saying::Post {
        content,
        mentions: Mentions::default(),
        reply_to: Some(message_id("m1")),
        file: None,
        ttl: None,
    };
    let answer = desk.say(&Speech { what, ..speech(Voice::Oneself, true) }).unwrap().messages.remove(0);
    desk.run();
    let said = said_to(&desk, &ids[1]);
    let ChatEvent::MessageNew(new) = &said[0].message().event else { panic!("{said:?}") };
    let quote = new.quote.as_ref().unwrap();
    assert_eq!((quote.message.member_id.as_ref(), quote.content.as_text()), (Some(&id("anna")), Some("a question")));
    // A moderator that nobody made one cannot take the owner's words away.
    let deletion = group::content::MessageDeletion {
        message_id: answer,
        member_id: Some(desk.owner_identity().owner_id),
        scope: None,
        only_history: None,
    };
    let deletion = signed(&desk, "anna", "m2", ChatEvent::MessageDelete(deletion));
    desk.receive(&ids[0], &forwarded("anna", deletion));
    assert_eq!(texts(&desk), ["a question"]);
}

#[test]
fn nobody_speaks_in_the_owners_name() {
    let (mut desk, _, ids) = two();
    let owner = desk.owner_identity().owner_id;
    let sender = ForwardSender::Member(owner, ShortName::new("me"));
    let content = ForwardContent::Message(unsigned("m1", post("obey")));
    desk.receive(&ids[0], &single(Element::Forward(Forward { sender, sent_at: SECONDS, content })).unwrap());
    assert_eq!(texts(&desk), [""; 0]);
    assert!(matches!(desk.events.as_slice(), [Event::Dropped { .. }]));
    assert_eq!(desk.owner.health(&ids[0]).unwrap().refused, 1);
}

#[test]
fn what_a_relay_does_not_deliver_for_ten_minutes_is_missing_and_then_late() {
    let (mut desk, relays, ids) = two();
    desk.receive(&ids[0], &relays[0].says(new_member("anna", Role::Author, None)));
    let message = unsigned("m1", post("hello"));
    let sent_at = SECONDS + 1;
    desk.receive(&ids[0], &forwarded_at("anna", sent_at, message.clone()));
    desk.restart();
    desk.now = desk.now.after(PATIENCE);
    assert!(desk.owner.next_due().is_some_and(|due| due <= desk.now));
    let events = desk.with(|owner, env| owner.elapsed(env));
    desk.events.extend(events);
    assert!(was_told(&desk, &GroupEvent::Missing { message: message_id("m1"), relay: ids[1].clone() }));
    assert_eq!(desk.owner.health(&ids[1]).unwrap().missing, 1);
    desk.receive(&ids[1], &forwarded_at("anna", sent_at, message));
    assert!(was_told(&desk, &GroupEvent::Late { message: message_id("m1"), relay: ids[1].clone() }));
}

#[test]
fn nothing_is_expected_from_a_relay_that_the_link_did_not_list_yet_nor_from_one_that_is_removed() {
    let (mut desk, relays, ids) = two();
    let third = desk.accept(Relay::new(3));
    desk.run();
    desk.receive(&ids[0], &relays[0].says(new_member("anna", Role::Author, None)));
    desk.with(|owner, env| owner.remove(&ids[1], Removal::default(), env)).unwrap();
    desk.receive(&ids[0], &forwarded_at("anna", SECONDS + 1, unsigned("m1", post("hello"))));
    desk.now = desk.now.after(PATIENCE);
    let events = desk.with(|owner, env| owner.elapsed(env));
    let missing =
        |event: &&Event| matches!(event, Event::Group(event) if matches!(**event, GroupEvent::Missing { .. }));
    assert_eq!(events.iter().find(missing), None);
    assert_eq!(desk.owner.health(&third).unwrap().missing, 0);
}

#[test]
fn chat_42_a_relay_gives_nobody_rights_that_the_owner_did_not() {
    let (mut desk, relays, ids) = two();
    desk.receive(&ids[0], &relays[0].says(new_member("mallory", Role::Admin, Some(key("mallory").public()))));
    let removal = MemberRemoval { member_id: id("anna"), messages: None, roster_version: None };
    let removal = signed(&desk, "mallory", "m1", ChatEvent::GroupMemberDelete(removal));
    desk.receive(&ids[0], &forwarded("mallory", removal));
    assert_eq!(texts(&desk), [""; 0]);
    assert_eq!(desk.owner.present(), 0);
}

#[test]
fn what_admins_do_is_heard_and_changes_what_the_owner_knows() {
    let (mut desk, relays, ids) = two();
    for name in ["anna", "bob", "carl"] {
        desk.receive(&ids[0], &relays[0].says(new_member(name, Role::Author, Some(key(name).public()))));
    }
    let roster = roster(&desk, 1, &[("anna", Role::Admin)]);
    desk.with(|owner, env| owner.set_roster(roster, env));
    desk.run();
    let version = desk.owner.roster().version();
    let removal = MemberRemoval { member_id: id("bob"), messages: None, roster_version: None };
    let removal = signed(&desk, "anna", "m1", ChatEvent::GroupMemberDelete(removal));
    desk.receive(&ids[0], &forwarded("anna", removal));
    let member_restrictions = MemberRestrictions { restriction: Restriction::Blocked };
    let block = MemberRestriction { member_id: id("carl"), member_restrictions };
    let block = signed(&desk, "anna", "m2", ChatEvent::GroupMemberRestrict(block));
    desk.receive(&ids[0], &forwarded("anna", block));
    assert_eq!(texts(&desk), ["x.grp.mem.del", "x.grp.mem.restrict"]);
    assert_eq!((desk.owner.present(), desk.owner.roster().version()), (2, version));
    // Nothing that is attributed to somebody who was removed counts, and blocked members are marked.
    desk.receive(&ids[0], &forwarded("bob", signed(&desk, "bob", "m3", post("still here"))));
    desk.receive(&ids[0], &forwarded("carl", signed(&desk, "carl", "m4", post("spam"))));
    let last = heard(&desk).pop().unwrap();
    assert!(last.blocked && last.author() == Some(&id("carl")));
    assert_eq!(heard(&desk).len(), 3);
}

#[test]
fn members_are_counted_once_whatever_relays_tell_and_the_link_says_how_many_every_ten_minutes() {
    let (mut desk, relays, ids) = two();
    desk.run();
    let version = desk.owner.link().group().written().version;
    for relay in 0..2 {
        for name in ["anna", "bob", "carl"] {
            let new = new_member(name, Role::Observer, Some(key(name).public()));
            desk.receive(&ids[relay], &relays[relay].says(new));
            desk.restart();
        }
    }
    assert_eq!(desk.owner.present(), 3);
    // The first one was published at once.
    assert_eq!(desk.owner.link().group().contents().member_count, 2);
    assert_eq!(desk.owner.link().group().written().version, version + 1);
    // Owners know the keys of members: nobody else says that one of them leaves.
    desk.receive(&ids[1], &forwarded("carl", unsigned("m1", ChatEvent::GroupLeave)));
    assert_eq!(desk.owner.present(), 3);
    let leave = signed(&desk, "carl", "m2", ChatEvent::GroupLeave);
    ids.iter().for_each(|relay| desk.receive(relay, &forwarded("carl", leave.clone())));
    assert_eq!(desk.owner.present(), 2);
    let due = desk.owner.next_due().unwrap();
    assert!(due <= desk.now.after(PATIENCE));
    desk.restart();
    desk.now = due;
    assert!(desk.with(|owner, env| owner.elapsed(env)).is_empty());
    assert!(desk.owner.due(desk.now).contains(&TaskId::WriteLink));
    desk.run();
    assert_eq!(desk.owner.link().group().contents().member_count, 3);
    assert_eq!(desk.owner.link().group().written().version, version + 2);
    // Somebody who comes back is there again.
    desk.receive(&ids[0], &relays[0].says(new_member("carl", Role::Observer, None)));
    assert_eq!(desk.owner.present(), 3);
    assert_eq!(desk.owner.link().group().contents().member_count, 3, "ten minutes have not passed");
}

#[test]
fn a_number_that_the_owner_gives_stands_until_members_come_or_go() {
    let (mut desk, relays, ids) = two();
    let profile = desk.owner.link().group().contents().profile.clone();
    desk.with(|owner, env| owner.set_contents(profile, 500, env)).unwrap();
    desk.run();
    desk.receive(&ids[0], &relays[0].says(new_member("anna", Role::Observer, None)));
    assert_eq!(desk.owner.link().group().contents().member_count, 501);
    let owner = reread(&desk.owner);
    assert_eq!((owner.present(), owner.link().group().contents().member_count), (1, 501));
}

#[test]
fn a_member_is_not_counted_twice_when_the_state_was_written_and_its_record_was_not() {
    let (mut desk, relays, ids) = two();
    let before = desk.memory.clone();
    let anna = relays[0].says(new_member("anna", Role::Observer, None));
    desk.receive(&ids[0], &anna);
    assert!(desk.memory.records.contains_key(&RecordKey::Census));
    desk.memory = before;
    desk.restart();
    desk.receive(&ids[0], &anna);
    assert_eq!(desk.owner.present(), 1);
}

#[test]
fn records_that_cannot_be_read_leave_everything_as_it_was() {
    let (mut desk, relays, ids) = two();
    let before = serde_json::to_value(GroupDocument::from(&desk.owner)).unwrap();
    desk.memory.broken = true;
    let (connection, memory) = (desk.connection(&ids[0]), desk.memory.clone());
    let body = relays[0].says(new_member("anna", Role::Author, None));
    let refused = desk.with(|owner, env| owner.received(&connection, &body, &memory, env).map(drop)).unwrap_err();
    assert!(matches!(refused, OwnerError::Records(_)));
    assert_eq!(serde_json::to_value(GroupDocument::from(&desk.owner)).unwrap(), before);
}

#[test]
fn a_body_with_words_of_the_relay_and_of_members_gives_both() {
    let (mut desk, _, ids) = two();
    let mut writer = BatchWriter::default();
    let new = Message::unnamed(new_member("anna", Role::Author, None));
    writer.push(&Element::from(new)).unwrap();
    let sender = ForwardSender::Member(id("anna"), ShortName::new("anna"));
    let content = ForwardContent::Message(unsigned("m1", post("hello")));
    writer.push(&Element::Forward(Forward { sender, sent_at: SECONDS, content })).unwrap();
    desk.receive(&ids[0], &writer.finish().unwrap());
    assert_eq!(texts(&desk), ["hello"]);
}
