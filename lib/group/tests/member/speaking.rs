//! What a member says, to all relays alike.

use std::time::Duration;

use group::content::{Content, Mentions, Reaction};
use group::element::AuthoredMessage;
use group::event::{Event as ChatEvent, RoleChange};
use group::identity::MemberId;
use group::member::Role;
use group::membership::{
    Event, FileReference, Line, MemberError, Outcome, Saying, Speech, SpeechFault, Spoken, TaskId, Voice,
};
use group::message_id::MessageId;
use group::roster::RosterVersion;

use crate::support::{Desk, Relay, by, by_channel, id, message_id, post, post_as_group, unsigned};

fn text(text: &str) -> Speech {
    let content = Content::text(text);
    speech(Saying::Post { content, mentions: Mentions::default(), reply_to: None, file: None, ttl: None })
}

fn speech(what: Saying) -> Speech {
    Speech { id: None, what, voice: Voice::Oneself, signed: false, scope: None }
}

fn say(desk: &mut Desk, speech: &Speech) -> Result<Spoken, MemberError> {
    let spoken = desk.with(|member, memory, env| member.say(speech, memory, env))?;
    for change in &spoken.changes {
        desk.memory.records.insert(change.key.clone(), change.value.clone());
    }
    Ok(spoken)
}

fn fault(desk: &mut Desk, speech: &Speech) -> SpeechFault {
    match say(desk, speech).unwrap_err() {
        MemberError::Speech(fault) => fault,
        other => panic!("{other:?}"),
    }
}

/// A member that an owner let write, with two relays, one of them with a second connection.
fn writer(role: Role) -> (Desk, Relay, Relay) {
    let (one, two) = (Relay::new(1), Relay::paired(2));
    let mut desk = Desk::connected(&[&one, &two]);
    let change = ChatEvent::GroupMemberRole(RoleChange {
        member_id: desk.member.id().clone(),
        role,
        member_key: Some(desk.member.key()),
        roster_version: RosterVersion::new(1),
    });
    let message = desk.owner.signs("role", change);
    desk.deliver(&one, by(&desk.owner.id(), message));
    desk.take_events();
    (desk, one, two)
}

fn said(desk: &Desk, relay: &Relay, line: Line) -> Vec<AuthoredMessage> {
    desk.said(&desk.connection(relay, line))
}

#[test]
fn what_follows_a_message_does_not_overtake_it_through_the_second_connection() {
    let relay = Relay::paired(1);
    let mut desk = Desk::new(&[&relay]);
    desk.run();
    let info = desk.admission(&relay);
    desk.answer(&relay, Line::Main, &info);
    desk.run();
    desk.connect(&relay, Line::Main);
    desk.run();
    let to_moderators = Speech { scope: Some(desk.member.id().clone()), ..text("early") };
    say(&mut desk, &to_moderators).unwrap();
    desk.admit(&relay);
    assert!(desk.member.relay(desk.number(&relay)).unwrap().has_content_line());
    desk.restart();
    say(&mut desk, &Speech { what: text("late").what, ..to_moderators }).unwrap();
    desk.run();
    assert_eq!(said(&desk, &relay, Line::Main).len(), 2);
    assert!(said(&desk, &relay, Line::Content).is_empty());
}

#[test]
fn one_message_goes_to_every_relay_and_content_through_the_connection_for_content() {
    let (mut desk, one, two) = writer(Role::Member);
    let spoken = say(&mut desk, &text("hello")).unwrap();
    assert_eq!(spoken.relays, [desk.number(&one), desk.number(&two)]);
    assert!(!spoken.reveals_owner);
    desk.restart();
    desk.run();
    let first = said(&desk, &one, Line::Main);
    assert_eq!(first, said(&desk, &two, Line::Content));
    assert!(said(&desk, &two, Line::Main).is_empty());
    assert_eq!(first[0].message().id.as_ref(), Some(&spoken.messages[0]));
    assert!(matches!(&first[0], AuthoredMessage::Unsigned(_)));
    for relay in [&one, &two] {
        let sent = Event::Sent { relay: desk.number(relay), message: spoken.messages[0].clone() };
        assert_eq!(desk.events.iter().filter(|event| **event == sent).count(), 1);
    }
}

#[test]
fn what_is_said_waits_for_a_relay_that_cannot_be_reached() {
    let (mut desk, one, two) = writer(Role::Member);
    let spoken = say(&mut desk, &text("hello")).unwrap();
    let first = TaskId::Send(desk.number(&one), 1);
    let due = desk.member.due(desk.now);
    let first =
        due.iter().find(|task| matches!(task, TaskId::Send(relay, _) if *relay == desk.number(&one))).unwrap_or(&first);
    desk.finish(&first.clone(), Outcome::Unreachable("no route".to_owned()));
    desk.run();
    assert_eq!(desk.member.relay(desk.number(&one)).unwrap().unsent(), 1);
    assert_eq!(desk.member.relay(desk.number(&two)).unwrap().unsent(), 0);
    desk.now = desk.member.next_due().unwrap();
    desk.run();
    assert_eq!(said(&desk, &one, Line::Main)[0].message().id.as_ref(), Some(&spoken.messages[0]));
}

#[test]
fn a_signed_message_is_signed_for_the_group_and_the_member() {
    let (mut desk, one, _) = writer(Role::Member);
    say(&mut desk, &Speech { signed: true, ..text("hello") }).unwrap();
    desk.run();
    let AuthoredMessage::Signed(message) = &said(&desk, &one, Line::Main)[0] else { panic!("not signed") };
    assert!(message.is_signed_by(&desk.member.group_id(), desk.member.id(), &desk.member.key()));
}

#[test]
fn observers_only_read_but_talk_with_the_moderators_and_react() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    assert_eq!(fault(&mut desk, &text("hello")), SpeechFault::Role("observer".to_owned()));
    let me = desk.member.id().clone();
    say(&mut desk, &Speech { scope: Some(me.clone()), ..text("help") }).unwrap();
    assert_eq!(
        fault(&mut desk, &Speech { scope: Some(id("anna")), ..text("help") }),
        SpeechFault::Role("observer".to_owned())
    );
    desk.deliver(&relay, by_channel(unsigned("m1", post_as_group("news"))));
    let reaction = Reaction::Emoji("👍".to_owned());
    let react = speech(Saying::React { message: message_id("m1"), reaction, add: true });
    say(&mut desk, &Speech { signed: true, ..react }).unwrap();
    desk.run();
    let said = said(&desk, &relay, Line::Main);
    let ChatEvent::MessageNew(help) = &said[0].message().event else { panic!() };
    let group::content::Scope::Member(with) = help.scope.as_ref().unwrap();
    assert_eq!(with.member_id, me);
    let ChatEvent::MessageReact(reaction) = &said[1].message().event else { panic!() };
    assert_eq!(reaction.member_id, None, "it is a message of the group");
    assert!(matches!(&said[1], AuthoredMessage::Unsigned(_)), "reactions are never signed");
}

#[test]
fn only_owners_speak_as_the_group() {
    let (mut desk, ..) = writer(Role::Admin);
    for voice in [Voice::Group, Voice::GroupAlone] {
        assert_eq!(fault(&mut desk, &Speech { voice, ..text("news") }), SpeechFault::NotAnOwner);
    }
}

fn edit(message: &MessageId, text: &str) -> Speech {
    let content = Content::text(text);
    speech(Saying::Edit { message: message.clone(), content, mentions: Mentions::default() })
}

fn delete(message: &MessageId) -> Speech {
    speech(Saying::Delete { message: message.clone() })
}

#[test]
fn own_messages_are_edited_and_deleted_and_what_was_signed_stays_so() {
    let (mut desk, one, _) = writer(Role::Member);
    let plain = say(&mut desk, &text("one")).unwrap().messages.remove(0);
    let signed = say(&mut desk, &Speech { signed: true, ..text("two") }).unwrap().messages.remove(0);
    for message in [&plain, &signed] {
        say(&mut desk, &edit(message, "better")).unwrap();
        say(&mut desk, &delete(message)).unwrap();
    }
    desk.run();
    let signatures: Vec<bool> =
        said(&desk, &one, Line::Main).iter().map(|message| matches!(message, AuthoredMessage::Signed(_))).collect();
    assert_eq!(signatures, [false, true, false, false, true, true]);
    let later = text("late");
    let late = say(&mut desk, &later).unwrap().messages.remove(0);
    desk.later(Duration::from_secs(78 * 3600 + 1));
    assert_eq!(fault(&mut desk, &delete(&late)), SpeechFault::TooOld(late.clone()));
    assert!(say(&mut desk, &edit(&late, "still possible")).is_ok());
}

#[test]
fn messages_of_others_are_left_alone_unless_a_moderator_deletes_them_with_a_signature() {
    for (role, may) in [(Role::Member, false), (Role::Moderator, true)] {
        let (mut desk, one, _) = writer(role);
        let owner = desk.owner.id();
        let change = ChatEvent::GroupMemberRole(RoleChange {
            member_id: id("anna"),
            role: Role::Author,
            member_key: None,
            roster_version: None,
        });
        let message = desk.owner.signs("anna", change);
        desk.deliver(&one, by(&owner, message));
        desk.deliver(&one, by(&id("anna"), unsigned("m1", post("spam"))));
        let by_owner = desk.owner.signs("m2", post("mine"));
        desk.deliver(&one, by(&owner, by_owner));
        let spam = message_id("m1");
        assert_eq!(fault(&mut desk, &edit(&spam, "no")), SpeechFault::NotOurs(spam.clone()));
        assert_eq!(say(&mut desk, &delete(&spam)).is_ok(), may);
        assert_eq!(fault(&mut desk, &delete(&message_id("m2"))), SpeechFault::NotOurs(message_id("m2")));
        if may {
            desk.run();
            let said = said(&desk, &one, Line::Main);
            assert!(matches!(&said[0], AuthoredMessage::Signed(_)));
            let ChatEvent::MessageDelete(deletion) = &said[0].message().event else { panic!() };
            assert_eq!(deletion.member_id, Some(id("anna")));
            let record = desk.record("m1");
            assert_eq!(record.item().deleted().and_then(|touch| touch.by()), Some(desk.member.id()));
        }
    }
}

#[test]
fn a_reply_quotes_the_message_that_it_answers() {
    let (mut desk, one, _) = writer(Role::Member);
    let owner = desk.owner.id();
    let question = desk.owner.signs("m1", post("who comes?"));
    desk.deliver(&one, by(&owner, question));
    let reply = |to: &str| {
        let content = Content::text("me");
        let reply_to = Some(message_id(to));
        speech(Saying::Post { content, mentions: Mentions::default(), reply_to, file: None, ttl: None })
    };
    assert_eq!(fault(&mut desk, &reply("m9")), SpeechFault::UnknownMessage(message_id("m9")));
    say(&mut desk, &reply("m1")).unwrap();
    desk.run();
    let said = said(&desk, &one, Line::Main);
    let ChatEvent::MessageNew(answer) = &said[0].message().event else { panic!() };
    let quote = answer.quote.as_ref().unwrap();
    assert_eq!(quote.content.as_text(), Some("who comes?"));
    assert_eq!((&quote.message.message_id, &quote.message.member_id), (&Some(message_id("m1")), &Some(owner)));
    assert!(!quote.message.sent);
}

#[test]
fn a_file_is_referred_to_and_its_description_follows_in_parts() {
    let (mut desk, one, _) = writer(Role::Member);
    let description = "descr\n".repeat(3000);
    let file = FileReference { name: "map.pdf".to_owned(), size: 5, digest: None, description: description.clone() };
    let content = Content::File(group::content::TextContent { text: "the way".to_owned() });
    let what = Saying::Post { content, mentions: Mentions::default(), reply_to: None, file: Some(file), ttl: None };
    let spoken = say(&mut desk, &Speech { signed: true, ..speech(what) }).unwrap();
    desk.run();
    let said = said(&desk, &one, Line::Main);
    assert_eq!((said.len(), spoken.messages.len()), (3, 3));
    let mut parts = String::new();
    for (index, message) in said[1..].iter().enumerate() {
        let ChatEvent::MessageFileDescription(part) = &message.message().event else { panic!() };
        assert!(matches!(message, AuthoredMessage::Unsigned(_)));
        assert_eq!(part.message_id, spoken.messages[0]);
        assert_eq!(part.file_descr.file_descr_part_no, index as i64 + 1);
        assert_eq!(part.file_descr.file_descr_complete, index == 1);
        parts.push_str(&part.file_descr.file_descr_text);
    }
    assert_eq!(parts, description);
}

#[test]
fn what_is_said_again_under_its_name_is_said_once() {
    let (mut desk, one, two) = writer(Role::Member);
    let named = Speech { id: Some(message_id("mine")), signed: true, ..text("hello") };
    let spoken = say(&mut desk, &named).unwrap();
    assert_eq!(spoken.messages, [message_id("mine")]);
    // The run was killed after the state was kept, and before the record was.
    desk.memory.records.clear();
    assert_eq!(say(&mut desk, &named).unwrap(), spoken);
    desk.restart();
    desk.run();
    assert_eq!(say(&mut desk, &named).unwrap(), Spoken { changes: Vec::new(), ..spoken });
    desk.run();
    assert_eq!((said(&desk, &one, Line::Main).len(), said(&desk, &two, Line::Content).len()), (1, 1));
    let other = Speech { id: Some(message_id("mine")), ..text("good bye") };
    assert_eq!(fault(&mut desk, &other), SpeechFault::NameTaken(message_id("mine")));
}

#[test]
fn edits_deletions_reactions_and_files_are_said_once_under_their_names() {
    let (mut desk, one, _) = writer(Role::Member);
    let post = say(&mut desk, &text("hello")).unwrap().messages.remove(0);
    let file = FileReference { name: "a".to_owned(), size: 5, digest: None, description: "d".repeat(20_000) };
    let content = Content::File(group::content::TextContent { text: "the way".to_owned() });
    let mentions = Mentions::default();
    let file = Saying::Post { content, mentions, reply_to: Some(post.clone()), file: Some(file), ttl: Some(60) };
    let reaction = Reaction::Emoji("👍".to_owned());
    let react = Saying::React { message: post.clone(), reaction, add: true };
    let speeches = [edit(&post, "hi"), speech(file), speech(react), delete(&post)];
    for (index, speech) in speeches.into_iter().enumerate() {
        let named = Speech { id: Some(message_id(&format!("n{index}"))), ..speech };
        let spoken = say(&mut desk, &named).unwrap();
        desk.run();
        let count = said(&desk, &one, Line::Main).len();
        assert_eq!(say(&mut desk, &named).unwrap(), Spoken { changes: Vec::new(), ..spoken }, "{index}");
        desk.run();
        assert_eq!(said(&desk, &one, Line::Main).len(), count, "{index}");
    }
}

#[test]
fn three_reactions_to_one_message_count_and_one_that_was_taken_back_does_not() {
    let (mut desk, one, _) = writer(Role::Member);
    let message = say(&mut desk, &text("hello")).unwrap().messages.remove(0);
    let react = |emoji: &str, add| {
        let reaction = Reaction::Emoji(emoji.to_owned());
        speech(Saying::React { message: message.clone(), reaction, add })
    };
    for emoji in ["👍", "😀", "🚀", "👍"] {
        say(&mut desk, &react(emoji, true)).unwrap();
    }
    assert_eq!(fault(&mut desk, &react("❤", true)), SpeechFault::TooManyReactions);
    say(&mut desk, &react("😀", false)).unwrap();
    say(&mut desk, &react("❤", true)).unwrap();
    desk.run();
    assert_eq!(said(&desk, &one, Line::Main).len(), 7);
}

#[test]
fn nobody_takes_the_name_of_what_somebody_else_said() {
    let (mut desk, one, _) = writer(Role::Member);
    let message = desk.owner.signs("m1", post("who comes?"));
    desk.deliver(&one, by(&desk.owner.id(), message));
    let named = Speech { id: Some(message_id("m1")), ..text("who comes?") };
    assert_eq!(fault(&mut desk, &named), SpeechFault::NameTaken(message_id("m1")));
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_said() {
    let (mut desk, one, _) = writer(Role::Member);
    let outcome = say(&mut desk, &text(&"x".repeat(15_700)));
    assert!(matches!(outcome, Err(MemberError::TooLong(_))));
    assert!(!desk.member.has_tasks());
    assert_eq!(desk.member.relay(desk.number(&one)).unwrap().unsent(), 0);
}

#[test]
fn without_a_relay_nothing_can_be_said() {
    let relay = Relay::new(1);
    let mut desk = Desk::new(&[&relay]);
    let me: MemberId = desk.member.id().clone();
    let outcome = say(&mut desk, &Speech { scope: Some(me), ..text("anybody?") });
    assert_eq!(outcome, Err(MemberError::NotConnected));
}

#[test]
fn messages_for_a_relay_that_is_lost_are_reported_and_those_for_a_lost_second_connection_go_through_the_first() {
    let (mut desk, one, two) = writer(Role::Member);
    let spoken = say(&mut desk, &text("hello")).unwrap();
    desk.fail(&one, Line::Main);
    let lost = Event::NotSent { relay: desk.number(&one), message: spoken.messages[0].clone() };
    assert!(desk.events.contains(&lost));
    let send = desk.member.due(desk.now).into_iter().find(|task| matches!(task, TaskId::Send(..))).unwrap();
    desk.finish(&send, Outcome::Refused("its queue is gone".to_owned()));
    desk.run();
    assert_eq!(said(&desk, &two, Line::Main).len(), 1);
}

#[test]
fn a_relay_that_takes_nothing_stops_the_member_before_memory_is_full() {
    let (mut desk, ..) = writer(Role::Member);
    let outcome = (0..1001).map(|_| say(&mut desk, &text("x")).map(drop)).find(Result::is_err);
    assert_eq!(outcome, Some(Err(MemberError::TooManyUnsent(1000))));
}

#[test]
fn nothing_is_said_when_the_membership_is_over() {
    let (mut desk, one, _) = writer(Role::Member);
    let message = desk.owner.signs("m1", ChatEvent::GroupDelete);
    desk.deliver(&one, by(&desk.owner.id(), message));
    assert!(matches!(say(&mut desk, &text("too late")), Err(MemberError::Over(_))));
}
