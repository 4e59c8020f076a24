//! Relays that lie.

use group::body::Batch;
use group::chunk::{Chunk, ChunkPart};
use group::content::{Content, NewMessage};
use group::element::{AuthoredMessage, Element, Forward, ForwardContent, ForwardSender, ShortName};
use group::event::{Event as ChatEvent, MemberNew, MemberRemoval, OwnProfile};
use group::identity::MemberKey;
use group::member::{MemberInfo, MemberProfile, Role};
use group::membership::{Event, MemberError, RecordError, Status};
use group::verification::Refusal;

use crate::support::{
    Desk, Owner, Relay, body, by, by_channel, bytes, id, message_id, post, post_as_group, signed, unsigned,
};

fn mallory() -> MemberKey {
    MemberKey::generate(&mut crypto::SeededRandom::new(&[66; 32], "mallory"))
}

fn has_bad_signature(desk: &Desk) -> bool {
    desk.events.iter().any(|event| matches!(event, Event::Refused { why, .. } if why.shows_bad_signature()))
}

#[test]
fn what_is_signed_with_another_key_is_never_the_owners() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let owner = desk.owner.id();
    for key in [mallory(), relay.key()] {
        let message = signed(desk.owner.group_id(), &owner, &key, "m1", ChatEvent::GroupDelete);
        desk.deliver(&relay, by(&owner, message));
        assert!(has_bad_signature(&desk));
        assert_eq!(desk.member.ended(), None);
        desk.events.clear();
    }
}

#[test]
fn a_signed_message_of_another_group_or_about_another_member_is_refused() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let owner = desk.owner.id();
    let elsewhere = Owner::new(9).group_id();
    let foreign = signed(elsewhere, &owner, &desk.owner.key(), "m1", post("elsewhere"));
    desk.deliver(&relay, by(&owner, foreign));
    assert!(has_bad_signature(&desk));
    desk.events.clear();
    // What an owner said, as if the relay had said it.
    let true_message = desk.owner.signs("m2", ChatEvent::GroupLeave);
    desk.deliver(&relay, by(&relay.id(), true_message));
    assert!(has_bad_signature(&desk));
    assert_eq!(desk.status(&relay), Status::Connected);
}

#[test]
fn one_changed_byte_breaks_the_signature() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let owner = desk.owner.id();
    let message = bytes(&desk.owner.signs("m1", post("pay 10 to Anna")));
    let altered = String::from_utf8_lossy(&message).contains("pay 10");
    assert!(altered);
    let position = message.windows(6).position(|window| window == b"pay 10").unwrap();
    let mut changed = message.clone();
    changed[position + 4] = b'9';
    desk.deliver(&relay, by(&owner, AuthoredMessage::parse(&changed).unwrap()));
    assert!(desk.heard().is_empty());
    assert!(has_bad_signature(&desk));
    // The forged copy does not stand in the way of the true one.
    desk.deliver(&relay, by(&owner, AuthoredMessage::parse(&message).unwrap()));
    assert_eq!(desk.texts(), ["pay 10 to Anna"]);
    assert!(desk.record("m1").marks().is_empty());
}

#[test]
fn a_relay_says_nothing_itself_and_does_not_speak_for_owners() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let group = desk.owner.group_id();
    let removal = MemberRemoval { member_id: desk.member.id().clone(), messages: None, roster_version: None };
    for event in
        [post("buy this"), post_as_group("buy this"), ChatEvent::GroupDelete, ChatEvent::GroupMemberDelete(removal)]
    {
        desk.receive(&relay, &relay.signs(group, event.clone()));
        desk.receive(&relay, &relay.says(event));
    }
    assert!(desk.heard().is_empty());
    assert_eq!(desk.member.ended(), None);
    assert_eq!(desk.member.health(&relay.id()).unwrap().refused, 8);
}

#[test]
fn a_relay_cannot_put_words_into_the_members_own_mouth() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let me = desk.member.id().clone();
    let group = desk.owner.group_id();
    desk.deliver(&relay, by(&me, unsigned("m1", post("I agree"))));
    desk.deliver(&relay, by(&me, signed(group, &me, &mallory(), "m2", post("I agree"))));
    assert!(desk.heard().is_empty());
    assert_eq!(desk.member.health(&relay.id()).unwrap().refused, 2);
}

#[test]
fn a_relay_cannot_give_owners_or_pinned_members_another_key() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let owner = desk.owner.id();
    let info = |member: &group::identity::MemberId, role: Role| MemberInfo {
        member_id: member.clone(),
        member_role: role,
        v: None,
        profile: MemberProfile::named("Olga"),
        member_key: Some(mallory().public()),
    };
    let new = ChatEvent::GroupMemberNew(MemberNew { member_info: info(&owner, Role::Owner), scope: None }.into());
    desk.receive(&relay, &relay.says(new));
    let message = signed(desk.owner.group_id(), &owner, &mallory(), "m1", ChatEvent::GroupDelete);
    desk.deliver(&relay, by(&owner, message));
    assert_eq!(desk.member.ended(), None);
    let truth = desk.owner.signs("m2", post("still me"));
    desk.deliver(&relay, by(&owner, truth));
    let heard = desk.heard();
    assert_eq!(heard[0].author_name.as_deref(), Some("Olga"), "a name is believed, for what it is worth");
    assert!(heard[0].trust().is_verified());
}

#[test]
fn events_that_are_not_for_forwarding_are_dropped() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let owner = desk.owner.id();
    let info = OwnProfile { profile: MemberProfile::named("x"), member_key: None };
    for (name, event) in
        [("m1", ChatEvent::Ok), ("m2", ChatEvent::GroupLinkMember(info.into())), ("m3", ChatEvent::GroupRelayReady)]
    {
        let message = desk.owner.signs(name, event);
        desk.deliver(&relay, by(&owner, message));
    }
    assert!(desk.heard().is_empty());
    assert_eq!(desk.events.iter().filter(|event| matches!(event, Event::Dropped { .. })).count(), 3);
}

#[test]
fn one_bad_element_does_not_spoil_its_neighbours_and_garbage_harms_nobody() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let good = by_channel(unsigned("m1", post_as_group("fine")));
    let mut bytes = body(&[good]);
    bytes[1] = 2;
    bytes.extend([0, 3, b'?', b'?', b'?']);
    assert_eq!(Batch::parse(&bytes).unwrap().errors().count(), 1);
    desk.receive(&relay, &bytes);
    assert_eq!(desk.texts(), ["fine"]);
    for garbage in [&b""[..], b"{", b"=\xff", b"Xx", b"/G", b">M", &[0; 70_000]] {
        desk.receive(&relay, garbage);
    }
    assert_eq!(desk.status(&relay), Status::Connected);
    assert!(desk.member.health(&relay.id()).unwrap().malformed >= 7);
}

#[test]
fn a_body_full_of_lies_is_told_briefly() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let owner = desk.owner.id();
    let lies: Vec<Element> =
        (0..120).map(|number| by(&owner, unsigned(&format!("m{number}"), ChatEvent::GroupDelete))).collect();
    desk.receive(&relay, &body(&lies));
    assert!(desk.events.len() <= 32);
    assert_eq!(desk.member.health(&relay.id()).unwrap().refused, 120);
    assert!(desk.memory.records.is_empty());
}

#[test]
fn chunks_out_of_nowhere_are_ignored() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let chunk = Chunk { id: None, file: message_id("r"), part: ChunkPart::Cancelled };
    desk.deliver(&relay, Element::Chunk(chunk.clone()));
    let sender = ForwardSender::Member(id("anna"), ShortName::new("Anna"));
    let forward = Forward { sender, sent_at: 0, content: ForwardContent::Chunk(chunk) };
    desk.deliver(&relay, Element::Forward(forward));
    assert_eq!(desk.member.roster().version(), None);
}

#[test]
fn what_comes_from_a_relay_that_is_not_connected_is_not_heard() {
    let relay = Relay::new(1);
    let mut desk = Desk::new(&[&relay]);
    desk.run();
    desk.deliver(&relay, by_channel(unsigned("m1", post_as_group("early"))));
    assert!(desk.heard().is_empty());
    desk.admit(&relay);
    desk.receive(&relay, &relay.signs(desk.owner.group_id(), ChatEvent::GroupLeave));
    desk.deliver(&relay, by_channel(unsigned("m1", post_as_group("late"))));
    assert!(desk.heard().is_empty());
}

#[test]
fn a_connection_of_nobody_is_an_error() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let name = group::owner::ConnectionName::new("relay-99").unwrap();
    let outcome = desk.with(|member, memory, env| member.received(&name, b"{}", memory, env).map(drop));
    assert_eq!(outcome, Err(MemberError::UnknownConnection(name)));
}

#[test]
fn times_at_the_ends_of_the_scale_do_no_harm() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    for (name, sent_at) in [("m1", i64::MIN), ("m2", i64::MAX)] {
        let content = ForwardContent::Message(unsigned(name, post_as_group(name)));
        desk.deliver(&relay, Element::Forward(Forward { sender: ForwardSender::Channel, sent_at, content }));
    }
    assert_eq!(desk.texts(), ["m1", "m2"]);
}

#[test]
fn a_flood_of_different_copies_keeps_the_record_small() {
    let relays: Vec<Relay> = (1..4).map(Relay::new).collect();
    let mut desk = Desk::connected(&relays.iter().collect::<Vec<_>>());
    for number in 0..100 {
        let text = "x".repeat(1000) + &number.to_string();
        let content = NewMessage { as_group: Some(true), ..NewMessage::of(Content::text(&text)) };
        let message = unsigned("m1", ChatEvent::MessageNew(content.into()));
        desk.deliver(&relays[number % 3], by_channel(message));
    }
    let record = desk.record("m1");
    assert_eq!(record.others().len(), 7);
    assert!(record.marks().len() <= 12, "{:?}", record.marks());
    assert_eq!(desk.texts().len(), 1);
}

#[test]
fn a_store_that_fails_leaves_everything_as_it_was() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let message = body(&[by_channel(unsigned("m1", post_as_group("news")))]);
    let connection = desk.connection(&relay, group::membership::Line::Main);
    let before = format!("{:?}", group::document::MemberDocument::from(&desk.member));
    desk.memory.broken = true;
    let outcome = desk.with(|member, memory, env| member.received(&connection, &message, memory, env).map(drop));
    assert!(matches!(outcome, Err(MemberError::Records(RecordError::Read(_)))));
    assert_eq!(format!("{:?}", group::document::MemberDocument::from(&desk.member)), before);
    desk.memory.broken = false;
    desk.receive(&relay, &message);
    assert_eq!(desk.texts(), ["news"]);
}

#[test]
fn names_and_reasons_reach_no_terminal_unfiltered() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let sender = ForwardSender::Member(id("anna"), ShortName::new("A\u{1b}[2Jnna"));
    let content = ForwardContent::Message(unsigned(
        "m1",
        ChatEvent::FileCancel(group::event::FileCancel { message_id: message_id("m0") }),
    ));
    desk.deliver(&relay, Element::Forward(Forward { sender, sent_at: 0, content }));
    let heard = desk.heard();
    assert_eq!(heard[0].author_name.as_deref(), Some("A[2Jnna"));
    let name = "x.\u{1b}[2J".to_owned();
    let event = group::event::UnknownEvent::new(name, serde_json::Map::new()).unwrap();
    desk.receive(&relay, &relay.says(ChatEvent::Unknown(event)));
    assert!(
        desk.events.iter().any(|event| matches!(event, Event::Dropped { reason, .. } if !reason.contains('\u{1b}')))
    );
    assert_eq!(Refusal::Unsigned.to_string(), "the event must be signed");
}
