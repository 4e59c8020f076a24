//! What relays deliver: once for the reader, compared for the record.

use std::time::Duration;

use group::content::{Content, MessageDeletion, MessageReaction, MessageUpdate, Reaction};
use group::element::ForwardSender;
use group::event::{Event as ChatEvent, GroupInfo, Join, MemberNew, OwnProfile, RelayNew, RoleChange};
use group::extension::Extensions;
use group::identity::{MemberId, MemberKey};
use group::keys::KeySource;
use group::member::{MemberInfo, MemberProfile, Role};
use group::membership::{Difference, Event, Heard, Mark, MemberRecord, MessageRecord, PATIENCE, RecordKey};
use group::roster::RosterVersion;
use group::verification::{Refusal, Trust};

use crate::support::{
    Desk, Relay, SECONDS, body, by, by_at, by_channel, bytes, id, message_id, post, post_as_group, signed, unsigned,
};

fn three() -> [Relay; 3] {
    [Relay::new(1), Relay::new(2), Relay::new(3)]
}

fn edit(of: &str, text: &str) -> ChatEvent {
    let update = MessageUpdate {
        message_id: message_id(of),
        content: Content::text(text),
        mentions: Default::default(),
        ttl: None,
        live: None,
        scope: None,
        as_group: None,
    };
    ChatEvent::MessageUpdate(update.into())
}

fn deletion(of: &str, whose: Option<MemberId>) -> ChatEvent {
    ChatEvent::MessageDelete(MessageDeletion {
        message_id: message_id(of),
        member_id: whose,
        scope: None,
        only_history: None,
    })
}

/// A relay tells of a member that may write.
fn author(name: &str, key: Option<&MemberKey>) -> ChatEvent {
    let member_info = MemberInfo {
        member_id: id(name),
        member_role: Role::Author,
        v: None,
        profile: MemberProfile::named(name),
        member_key: key.map(MemberKey::public),
    };
    ChatEvent::GroupMemberNew(MemberNew { member_info, scope: None }.into())
}

fn mark(relay: &Relay, difference: Difference, refuted: bool) -> Mark {
    Mark { relay: relay.id(), difference, refuted }
}

#[test]
fn chat_15_signed_bytes_stay_the_authors_through_three_relays_and_a_restart() {
    let relays = three();
    let mut desk = Desk::connected(&[&relays[0], &relays[1], &relays[2]]);
    let owner = desk.owner.id();
    let message = desk.owner.signs("m1", post("exact"));
    for relay in &relays {
        desk.deliver(relay, by(&owner, message.clone()));
        desk.restart();
    }
    let record = desk.record("m1");
    let kept = record.kept().unwrap();
    assert_eq!(kept.as_bytes(), bytes(&message));
    assert_eq!(kept.trust(), Trust::Verified(KeySource::GroupLink));
    let deliveries: Vec<MemberId> = kept.deliveries().iter().map(|delivered| delivered.relay.clone()).collect();
    assert_eq!(deliveries, relays.each_ref().map(Relay::id));
    assert_eq!(desk.texts(), ["exact"]);
    assert_eq!(record.marks(), []);
}

#[test]
fn the_first_relay_is_heard_and_the_others_confirm() {
    let [one, two, _] = three();
    let mut desk = Desk::connected(&[&one, &two]);
    let message = unsigned("m1", post_as_group("news"));
    desk.deliver(&one, by_channel(message.clone()));
    desk.deliver(&two, by_channel(message));
    let confirmed = Event::Confirmed { message: message_id("m1"), relay: two.id() };
    assert_eq!(desk.events.iter().filter(|event| **event == confirmed).count(), 1);
    let [heard]: [Heard; 1] = desk.heard().try_into().unwrap();
    assert_eq!((heard.relay.clone(), heard.trust(), heard.is_from_channel()), (one.id(), Trust::Unsigned, true));
    assert_eq!(heard.author(), None);
    assert_eq!(heard.sent_at, SECONDS);
}

#[test]
fn chat_42_a_privileged_role_on_a_relays_word_is_never_applied() {
    let relay = Relay::new(1);
    let key = MemberKey::generate(&mut crypto::SeededRandom::new(&[3; 32], "mallory"));
    for role in [Role::Member, Role::Moderator, Role::Admin, Role::Owner] {
        let member_info = MemberInfo {
            member_id: id("mallory"),
            member_role: role,
            v: None,
            profile: MemberProfile::named("Mallory"),
            member_key: Some(key.public()),
        };
        let new = ChatEvent::GroupMemberNew(MemberNew { member_info: member_info.clone(), scope: None }.into());
        let introduction = group::event::MemberIntroduction { member_info, member_restrictions: None };
        for event in [new, ChatEvent::GroupMemberIntroduction(introduction.into())] {
            let mut desk = Desk::connected(&[&relay]);
            desk.receive(&relay, &relay.says(event));
            let group = desk.owner.group_id();
            let said = signed(group, &id("mallory"), &key, "m1", post("obey"));
            desk.deliver(&relay, by(&id("mallory"), said));
            assert_eq!(desk.texts(), [""; 0], "who only reads says nothing");
            let removal = deletion("m2", Some(id("anna")));
            desk.deliver(&relay, by(&id("mallory"), signed(group, &id("mallory"), &key, "m3", removal)));
            assert_eq!(desk.texts(), [""; 0]);
        }
    }
}

#[test]
fn chat_43_what_comes_from_the_group_has_no_author_and_no_signature() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    desk.deliver(&relay, by_channel(unsigned("m1", post_as_group("news"))));
    let [heard]: [Heard; 1] = desk.heard().try_into().unwrap();
    assert_eq!((heard.author(), heard.author_name.clone()), (None, None));
    let message = desk.owner.signs("m2", post_as_group("signed by nobody"));
    desk.deliver(&relay, by_channel(message));
    desk.deliver(&relay, by_channel(unsigned("m3", ChatEvent::GroupDelete)));
    assert!(desk.heard().is_empty());
    let refusals: Vec<Refusal> = refusals(&desk.take_events());
    assert_eq!(refusals, [Refusal::SignedByNobody, Refusal::NoAuthor]);
    assert_eq!(desk.member.ended(), None);
}

#[test]
fn chat_44_a_signed_post_of_the_group_tells_its_owner_and_is_shown_as_the_group() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let owner = desk.owner.id();
    let message = desk.owner.signs("m1", post_as_group("news"));
    desk.deliver(&relay, by(&owner, message));
    let [heard]: [Heard; 1] = desk.heard().try_into().unwrap();
    assert!(heard.is_from_channel());
    assert_eq!(heard.author(), Some(&owner));
    assert_eq!(heard.trust(), Trust::Verified(KeySource::GroupLink));
}

#[test]
fn chat_45_pages_that_a_relay_sends_again_are_shown_once() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let messages: Vec<_> = ["a", "b", "c"].map(|name| by_channel(unsigned(name, post_as_group(name)))).into();
    desk.receive(&relay, &body(&messages[..2]));
    desk.restart();
    desk.receive(&relay, &body(&messages));
    desk.receive(&relay, &body(&messages));
    assert_eq!(desk.texts(), ["a", "b", "c"]);
    let health = desk.member.health(&relay.id()).unwrap();
    assert_eq!((health.delivered, health.repeated), (3, 5));
}

#[test]
fn chat_46_two_relays_with_different_unsigned_texts_raise_a_mark_and_both_are_kept() {
    let [one, two, three] = three();
    let mut desk = Desk::connected(&[&one, &two, &three]);
    let (said, altered) = (unsigned("m1", post_as_group("meet at 7")), unsigned("m1", post_as_group("meet at 9")));
    desk.deliver(&one, by_channel(said.clone()));
    desk.deliver(&two, by_channel(altered.clone()));
    let marks = vec![mark(&two, Difference::Content, false), mark(&one, Difference::Content, false)];
    assert!(desk.events.contains(&Event::Different { message: message_id("m1"), marks }));
    desk.deliver(&three, by_channel(said.clone()));
    assert_eq!(desk.texts(), ["meet at 7"], "nobody knows which is true: the first stays");
    let record = desk.record("m1");
    assert_eq!(record.kept().unwrap().as_bytes(), bytes(&said));
    assert_eq!(record.kept().unwrap().deliveries().len(), 2);
    assert_eq!(record.others()[0].as_bytes(), bytes(&altered));
    assert_eq!(record.others()[0].deliveries()[0].relay, two.id());
    assert_eq!(desk.member.health(&two.id()).unwrap().differing, 1);
    assert_eq!(desk.member.health(&two.id()).unwrap().altered, 0, "it may be the honest one");
}

#[test]
fn chat_47_an_unsigned_fake_gives_way_to_the_signed_original() {
    let [one, two, _] = three();
    let mut desk = Desk::connected(&[&one, &two]);
    let owner = desk.owner.id();
    let original = desk.owner.signs("m1", post("true"));
    desk.deliver(&one, by(&owner, unsigned("m1", post("fake"))));
    desk.deliver(&two, by(&owner, original.clone()));
    let marks = vec![mark(&one, Difference::Content, true)];
    assert!(desk.events.contains(&Event::Different { message: message_id("m1"), marks }));
    let heard = desk.heard();
    assert_eq!(heard.iter().map(|heard| heard.replaces).collect::<Vec<_>>(), [false, true]);
    assert_eq!(heard[1].trust(), Trust::Verified(KeySource::GroupLink));
    assert_eq!(desk.record("m1").kept().unwrap().as_bytes(), bytes(&original));
    assert_eq!(desk.member.health(&one.id()).unwrap().altered, 1);
    // The fake comes again and changes nothing.
    desk.deliver(&one, by(&owner, unsigned("m1", post("fake"))));
    assert!(desk.heard().is_empty());
    assert_eq!(desk.record("m1").kept().unwrap().as_bytes(), bytes(&original));
}

#[test]
fn a_fake_after_the_signed_original_is_marked_and_never_shown() {
    let [one, two, _] = three();
    let mut desk = Desk::connected(&[&one, &two]);
    let owner = desk.owner.id();
    let original = desk.owner.signs("m1", post("true"));
    desk.deliver(&one, by(&owner, original));
    desk.deliver(&two, by(&owner, unsigned("m1", post("fake"))));
    assert_eq!(desk.texts(), ["true"]);
    assert_eq!(desk.record("m1").marks(), [mark(&two, Difference::Content, true)]);
}

#[test]
fn a_relay_that_takes_off_the_signature_is_marked() {
    for signed_first in [true, false] {
        let [one, two, _] = three();
        let mut desk = Desk::connected(&[&one, &two]);
        let owner = desk.owner.id();
        let original = desk.owner.signs("m1", post("same"));
        let stripped = by(&owner, unsigned("m1", post("same")));
        let (first, second) = if signed_first { (&one, &two) } else { (&two, &one) };
        let of = |relay: &Relay| if relay.number == 1 { by(&owner, original.clone()) } else { stripped.clone() };
        desk.deliver(first, of(first));
        desk.deliver(second, of(second));
        let record = desk.record("m1");
        assert_eq!(record.marks(), [mark(&two, Difference::Signature, true)]);
        assert_eq!(record.kept().unwrap().as_bytes(), bytes(&original));
        assert_eq!(desk.texts(), ["same"]);
        let verified = Event::Verified { message: message_id("m1"), relay: one.id() };
        assert_eq!(desk.events.contains(&verified), !signed_first);
    }
}

#[test]
fn an_author_that_signs_two_things_under_one_name_is_found_out_and_no_relay_is_blamed() {
    let [one, two, _] = three();
    let mut desk = Desk::connected(&[&one, &two]);
    let owner = desk.owner.id();
    let (first, second) = (desk.owner.signs("m1", post("yes")), desk.owner.signs("m1", post("no")));
    desk.deliver(&one, by(&owner, first));
    desk.deliver(&two, by(&owner, second));
    assert_eq!(desk.record("m1").marks(), [mark(&two, Difference::Equivocation, false)]);
    assert_eq!(desk.texts(), ["yes"]);
    assert_eq!(desk.member.health(&two.id()).unwrap().altered, 0);
}

#[test]
fn two_authors_under_one_name_are_both_marked_and_a_signature_decides() {
    let [one, two, _] = three();
    let mut desk = Desk::connected(&[&one, &two]);
    let owner = desk.owner.id();
    desk.receive(&one, &one.says(author("anna", None)));
    desk.deliver(&one, by(&id("anna"), unsigned("m1", post("from anna"))));
    let original = desk.owner.signs("m1", post("from the owner"));
    desk.deliver(&two, by(&owner, original));
    let marks = vec![mark(&one, Difference::Author, false), mark(&two, Difference::Author, false)];
    assert!(desk.events.contains(&Event::Different { message: message_id("m1"), marks }));
    assert_eq!(desk.record("m1").kept().unwrap().author(), Some(&owner));
    assert_eq!(desk.texts(), ["from anna", "from the owner"]);
}

#[test]
fn a_signature_that_could_not_be_checked_at_first_accuses_no_relay() {
    let [one, two, three] = three();
    let mut desk = Desk::connected(&[&one, &two, &three]);
    let key = MemberKey::generate(&mut desk.random);
    let said = by(&id("anna"), signed(desk.owner.group_id(), &id("anna"), &key, "m1", ChatEvent::GroupLeave));
    desk.deliver(&one, said.clone());
    assert_eq!(desk.record("m1").kept().unwrap().trust(), Trust::SignedWithoutKey);
    desk.receive(&two, &two.says(author("anna", Some(&key))));
    desk.deliver(&two, said.clone());
    desk.deliver(&three, said);
    assert_eq!(desk.record("m1").kept().unwrap().trust(), Trust::Verified(KeySource::Asserted));
    assert_eq!(desk.record("m1").marks(), []);
    assert_eq!(desk.member.health(&one.id()).unwrap().altered, 0);
}

#[test]
fn a_key_that_only_a_relay_names_refutes_nobody() {
    for (text, difference) in [("yes", Difference::Signature), ("no", Difference::Content)] {
        for forged_first in [false, true] {
            let [one, two, _] = three();
            let mut desk = Desk::connected(&[&one, &two]);
            let key = MemberKey::generate(&mut desk.random);
            desk.receive(&two, &two.says(author("anna", Some(&key))));
            let honest = by(&id("anna"), unsigned("m1", post("yes")));
            let forged = by(&id("anna"), signed(desk.owner.group_id(), &id("anna"), &key, "m1", post(text)));
            let in_order =
                if forged_first { [(&two, &forged), (&one, &honest)] } else { [(&one, &honest), (&two, &forged)] };
            in_order.into_iter().for_each(|(relay, element)| desk.deliver(relay, element.clone()));
            assert_eq!(desk.record("m1").marks(), [mark(&one, difference, false)]);
            assert_eq!(desk.member.health(&one.id()).unwrap().altered, 0);
        }
    }
}

#[test]
fn a_relay_that_contradicts_itself_is_refuted() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    desk.deliver(&relay, by_channel(unsigned("m1", post_as_group("one"))));
    desk.deliver(&relay, by_channel(unsigned("m1", post_as_group("two"))));
    assert_eq!(desk.record("m1").marks(), [mark(&relay, Difference::Content, true)]);
    assert_eq!(desk.texts(), ["one"]);
}

#[test]
fn what_is_written_anew_by_a_relay_but_says_the_same_is_confirmed() {
    let [one, two, _] = three();
    let mut desk = Desk::connected(&[&one, &two]);
    let anew = br#"{"params":{"asGroup":true,"content":{"text":"news","type":"text"},"new":null},"event":"x.msg.new","msgId":"bTE=","v":"1-17"}"#;
    let anew = group::element::AuthoredMessage::parse(anew).unwrap();
    desk.deliver(&one, by_channel(unsigned("m1", post_as_group("news"))));
    desk.deliver(&two, by_channel(anew));
    assert!(desk.events.contains(&Event::Confirmed { message: message_id("m1"), relay: two.id() }));
}

fn refusals(events: &[Event]) -> Vec<Refusal> {
    let refusal = |event: &Event| match event {
        Event::Refused { why, .. } => Some(*why),
        _ => None,
    };
    events.iter().filter_map(refusal).collect()
}

#[test]
fn chat_21_events_that_must_be_signed_are_dropped_unsigned_and_shown_as_a_bad_signature() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let owner = desk.owner.id();
    let profile = desk.owner.contents().profile;
    let info = OwnProfile { profile: MemberProfile::named("Olga"), member_key: None };
    let removal = group::event::MemberRemoval { member_id: relay.id(), messages: None, roster_version: None };
    let events = [
        ChatEvent::GroupDelete,
        ChatEvent::GroupInfo(group::event::GroupInfo::from(profile).into()),
        ChatEvent::GroupMemberDelete(removal),
        ChatEvent::GroupLeave,
        ChatEvent::Info(info.into()),
        ChatEvent::GroupRelayNew(group::event::RelayNew { relay_link: "simplex:/g#".to_owned() }),
    ];
    let count = events.len();
    for (number, event) in events.into_iter().enumerate() {
        desk.deliver(&relay, by(&owner, unsigned(&format!("m{number}"), event)));
    }
    let refusals = refusals(&desk.take_events());
    assert_eq!(refusals, vec![Refusal::Unsigned; count]);
    assert!(refusals.iter().all(|refusal| refusal.shows_bad_signature()));
    assert!(desk.member.is_usable());
    assert_eq!(desk.member.health(&relay.id()).unwrap().refused, count as u64);
    assert!(desk.memory.records.keys().all(|key| !matches!(key, RecordKey::Message(_))), "no shadow is left");
}

#[test]
fn chat_22_an_observer_that_leaves_is_believed_without_a_key() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let key = MemberKey::generate(&mut crypto::SeededRandom::new(&[3; 32], "anna"));
    let leave = signed(desk.owner.group_id(), &id("anna"), &key, "m1", ChatEvent::GroupLeave);
    desk.deliver(&relay, by(&id("anna"), leave));
    let [heard]: [Heard; 1] = desk.heard().try_into().unwrap();
    assert_eq!(heard.trust(), Trust::SignedWithoutKey);
    assert_eq!(heard.author_name, None, "nobody appears only to leave");
}

#[test]
fn a_stranger_that_leaves_is_no_fault_of_the_relay_that_passes_it_on() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let change = RoleChange {
        member_id: desk.member.id().clone(),
        role: Role::Moderator,
        member_key: Some(desk.member.key()),
        roster_version: RosterVersion::new(1),
    };
    let message = desk.owner.signs("role", ChatEvent::GroupMemberRole(change));
    desk.deliver(&relay, by(&desk.owner.id(), message));
    desk.take_events();
    let key = MemberKey::generate(&mut crypto::SeededRandom::new(&[3; 32], "anna"));
    let leave = signed(desk.owner.group_id(), &id("anna"), &key, "m1", ChatEvent::GroupLeave);
    desk.deliver(&relay, by(&id("anna"), leave));
    assert_eq!(desk.take_events(), []);
    assert_eq!(desk.member.health(&relay.id()).unwrap().refused, 0);
}

#[test]
fn chat_24_an_unsigned_edit_or_deletion_of_a_verified_message_is_refused() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let owner = desk.owner.id();
    let original = desk.owner.signs("m1", post("true"));
    desk.deliver(&relay, by(&owner, original));
    desk.heard();
    desk.deliver(&relay, by(&owner, unsigned("m2", edit("m1", "fake"))));
    desk.deliver(&relay, by(&owner, unsigned("m3", deletion("m1", None))));
    assert!(desk.heard().is_empty());
    assert!(desk.record("m1").item().is_untouched());
    let (edit, deletion) = (desk.owner.signs("m4", edit("m1", "better")), desk.owner.signs("m5", deletion("m1", None)));
    desk.deliver(&relay, by(&owner, edit));
    desk.deliver(&relay, by(&owner, deletion));
    assert_eq!(desk.texts(), ["better", "x.msg.del"]);
    let record = desk.record("m1");
    assert!(record.item().edited().is_some() && record.item().deleted().is_some());
}

#[test]
fn chat_25_who_is_no_owner_does_not_speak_as_the_group() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    desk.receive(&relay, &relay.says(author("anna", None)));
    desk.deliver(&relay, by(&id("anna"), unsigned("m1", post_as_group("obey"))));
    assert!(desk.heard().is_empty());
    assert_eq!(refusals(&desk.take_events()), [Refusal::NotAnOwner]);
}

#[test]
fn edits_and_deletions_are_for_the_author_alone() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    for name in ["anna", "bert"] {
        desk.receive(&relay, &relay.says(author(name, None)));
    }
    desk.deliver(&relay, by(&id("anna"), unsigned("m1", post("mine"))));
    desk.heard();
    desk.deliver(&relay, by(&id("bert"), unsigned("m2", edit("m1", "his"))));
    desk.deliver(&relay, by(&id("bert"), unsigned("m3", deletion("m1", None))));
    desk.deliver(&relay, by(&id("bert"), unsigned("m4", deletion("m1", Some(id("anna"))))));
    desk.deliver(&relay, by_channel(unsigned("m5", edit("m1", "the group's"))));
    assert!(desk.heard().is_empty());
    desk.deliver(&relay, by(&id("anna"), unsigned("m6", edit("m1", "still mine"))));
    assert_eq!(desk.texts(), ["still mine"]);
}

#[test]
fn messages_of_the_group_are_changed_by_owners_and_in_the_name_of_the_group() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let owner = desk.owner.id();
    desk.receive(&relay, &relay.says(author("anna", None)));
    desk.deliver(&relay, by_channel(unsigned("m1", post_as_group("news"))));
    desk.heard();
    desk.deliver(&relay, by(&id("anna"), unsigned("m2", edit("m1", "fake"))));
    assert!(desk.heard().is_empty());
    desk.deliver(&relay, by_channel(unsigned("m3", edit("m1", "better news"))));
    let signed = desk.owner.signs("m4", edit("m1", "best news"));
    desk.deliver(&relay, by(&owner, signed));
    assert_eq!(desk.texts(), ["better news", "best news"]);
}

#[test]
fn an_author_deletes_within_78_hours_and_no_later() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    desk.receive(&relay, &relay.says(author("anna", None)));
    desk.deliver(&relay, by(&id("anna"), unsigned("m1", post("mine"))));
    desk.heard();
    let late = SECONDS + 78 * 3600 + 1;
    desk.deliver(&relay, by_at(&id("anna"), late, unsigned("m2", deletion("m1", None))));
    assert!(desk.heard().is_empty());
    desk.deliver(&relay, by_at(&id("anna"), late - 1, unsigned("m3", deletion("m1", None))));
    assert_eq!(desk.texts(), ["x.msg.del"]);
}

#[test]
fn what_overtakes_its_message_counts_only_if_it_is_by_the_same_author() {
    for (editor, counts) in [("anna", true), ("bert", false)] {
        let relay = Relay::new(1);
        let mut desk = Desk::connected(&[&relay]);
        for name in ["anna", "bert"] {
            desk.receive(&relay, &relay.says(author(name, None)));
        }
        desk.deliver(&relay, by(&id(editor), unsigned("m2", edit("m1", "later"))));
        desk.heard();
        desk.deliver(&relay, by(&id("anna"), unsigned("m1", post("earlier"))));
        let [heard]: [Heard; 1] = desk.heard().try_into().unwrap();
        assert_eq!(heard.edited_before, counts);
        assert_eq!(desk.record("m1").item().edited().is_some(), counts);
    }
}

#[test]
fn a_moderators_deletion_of_what_has_not_arrived_waits_only_if_it_is_signed() {
    for signs in [true, false] {
        let relay = Relay::new(1);
        let mut desk = Desk::connected(&[&relay]);
        let owner = desk.owner.id();
        desk.receive(&relay, &relay.says(author("anna", None)));
        let event = deletion("m1", Some(id("anna")));
        let message = if signs { desk.owner.signs("m2", event) } else { unsigned("m2", event) };
        desk.deliver(&relay, by(&owner, message));
        assert_eq!(desk.heard().len(), usize::from(signs));
        desk.deliver(&relay, by(&id("anna"), unsigned("m1", post("spam"))));
        let [heard]: [Heard; 1] = desk.heard().try_into().unwrap();
        assert_eq!(heard.deleted_before, signs);
    }
}

#[test]
fn reactions_come_from_everybody_and_from_the_group_unless_they_are_off() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let reaction = |name: &str| {
        let reaction = MessageReaction {
            message_id: message_id("m1"),
            member_id: None,
            scope: None,
            reaction: Reaction::Emoji("👍".to_owned()),
            add: true,
        };
        unsigned(name, ChatEvent::MessageReact(reaction))
    };
    desk.deliver(&relay, by(&id("anna"), reaction("r1")));
    desk.deliver(&relay, by_channel(reaction("r2")));
    assert_eq!(desk.heard().len(), 2);
    let mut contents = desk.owner.contents();
    let off = serde_json::json!({"reactions": {"enable": "off"}});
    contents.profile.group_preferences = off.as_object().cloned();
    desk.owner.write(contents);
    desk.publish_group();
    desk.member.open(desk.now);
    desk.run();
    desk.deliver(&relay, by(&id("anna"), reaction("r3")));
    assert!(desk.heard().is_empty());
}

#[test]
fn what_is_said_in_somebody_elses_chat_with_the_moderators_is_not_heard() {
    use group::content::{Mention, NewMessage, Scope};
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let scoped = |with: &MemberId| {
        let scope = Some(Scope::Member(Mention { member_id: with.clone() }));
        ChatEvent::MessageNew(NewMessage { scope, ..NewMessage::of(Content::text("psst")) }.into())
    };
    let (owner, me) = (desk.owner.id(), desk.member.id().clone());
    let (to_anna, to_me) = (desk.owner.signs("m1", scoped(&id("anna"))), desk.owner.signs("m2", scoped(&me)));
    desk.deliver(&relay, by(&owner, to_anna));
    assert!(desk.heard().is_empty());
    desk.deliver(&relay, by(&owner, to_me));
    assert_eq!(desk.texts(), ["psst"]);
}

#[test]
fn a_message_that_a_relay_does_not_deliver_in_time_is_missing_and_then_late() {
    let [one, two, three] = three();
    let mut desk = Desk::connected(&[&one, &two, &three]);
    let message = by_channel(unsigned("m1", post_as_group("news")));
    desk.deliver(&one, message.clone());
    desk.later(Duration::from_secs(60));
    desk.deliver(&two, message.clone());
    desk.restart();
    desk.member.open(desk.now);
    assert_eq!(desk.member.next_due(), Some(desk.now), "the link is due first");
    desk.run();
    let before = desk.take_events();
    assert!(!before.iter().any(|event| matches!(event, Event::Missing { .. })));
    desk.later(PATIENCE);
    let missing = Event::Missing { message: message_id("m1"), relay: three.id() };
    let told = desk.take_events();
    assert_eq!(told.iter().filter(|event| matches!(event, Event::Missing { .. })).collect::<Vec<_>>(), [&missing]);
    assert_eq!(desk.member.health(&three.id()).unwrap().missing, 1);
    desk.deliver(&three, message);
    assert!(desk.events.contains(&Event::Late { message: message_id("m1"), relay: three.id() }));
    let health = desk.member.health(&three.id()).unwrap();
    assert_eq!((health.missing, health.late, health.delivered), (0, 1, 1));
}

#[test]
fn what_owners_tell_single_relays_is_not_missed_from_the_others() {
    let [one, two, _] = three();
    let mut desk = Desk::connected(&[&one, &two]);
    let owner = desk.owner.id();
    let group_profile = desk.owner.contents().profile;
    let info = ChatEvent::GroupInfo(GroupInfo::from(group_profile).into());
    let news =
        ChatEvent::GroupRelayNew(RelayNew { relay_link: two.linked(desk.owner.group_id()).make().0.to_string() });
    for (name, event) in [("info", info), ("news", news)] {
        let told = by(&owner, desk.owner.signs(name, event));
        desk.deliver(&one, told);
    }
    desk.later(PATIENCE);
    assert!(!desk.take_events().iter().any(|event| matches!(event, Event::Missing { .. })));
    assert_eq!(desk.member.health(&two.id()).unwrap().missing, 0);
}

#[test]
fn what_was_sent_before_a_relay_was_joined_is_not_expected_from_it() {
    let [one, two, _] = three();
    let mut desk = Desk::connected(&[&one, &two]);
    let sender = ForwardSender::Channel;
    let content = group::element::ForwardContent::Message(unsigned("m1", post_as_group("old")));
    let old = group::element::Forward { sender, sent_at: SECONDS - 1, content };
    desk.deliver(&one, group::element::Element::Forward(old));
    desk.later(PATIENCE * 2);
    assert_eq!(desk.member.health(&two.id()).unwrap().missing, 0);
    assert_eq!(desk.texts(), ["old"]);
}

#[test]
fn the_name_of_an_author_is_what_the_relay_told_before() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    desk.receive(&relay, &relay.says(author("anna", None)));
    desk.deliver(&relay, by(&id("anna"), unsigned("m1", post("hi"))));
    desk.deliver(&relay, by(&desk.owner.id(), unsigned("m2", post("hi"))));
    let names: Vec<_> = desk.heard().into_iter().map(|heard| heard.author_name.unwrap()).collect();
    assert_eq!(names, ["anna", "Somebody"]);
}

#[test]
fn a_relay_that_makes_less_of_an_author_than_others_does_not_silence_it() {
    let [one, two, _] = three();
    let mut desk = Desk::connected(&[&one, &two]);
    let observer = {
        let ChatEvent::GroupMemberNew(mut new) = author("anna", None) else { panic!() };
        new.member_info.member_role = Role::Observer;
        ChatEvent::GroupMemberNew(new)
    };
    desk.receive(&one, &one.says(observer));
    desk.receive(&two, &two.says(author("anna", None)));
    desk.deliver(&two, by(&id("anna"), unsigned("m1", post("hi"))));
    assert_eq!(desk.texts(), ["hi"]);
    // What an owner decides, no relay undoes.
    let change = RoleChange { member_id: id("anna"), role: Role::Observer, member_key: None, roster_version: None };
    let message = desk.owner.signs("role", ChatEvent::GroupMemberRole(change));
    desk.deliver(&one, by(&desk.owner.id(), message));
    desk.receive(&two, &two.says(author("anna", None)));
    desk.take_events();
    desk.deliver(&two, by(&id("anna"), unsigned("m2", post("hi again"))));
    assert!(desk.texts().is_empty());
}

#[test]
fn a_member_proves_its_key_with_what_it_signed_when_it_joined() {
    let [one, two, _] = three();
    let mut desk = Desk::connected(&[&one, &two]);
    let (key, other) = {
        let mut random = crypto::SeededRandom::new(&[3; 32], "keys");
        (MemberKey::generate(&mut random), MemberKey::generate(&mut random))
    };
    let group = desk.owner.group_id();
    let join = |key: &MemberKey, signer: &MemberKey| {
        let join = Join {
            profile: MemberProfile::named("Anna"),
            new_member_id: id("anna"),
            new_member_key: key.public(),
            via_relay: Some(Relay::new(1).id()),
            ext: Extensions::default(),
            purpose: None,
        };
        by(&id("anna"), signed(group, &id("anna"), signer, "j", ChatEvent::Member(join.into())))
    };
    desk.deliver(&one, join(&key, &other));
    assert_eq!(refusals(&desk.take_events()), [Refusal::BadSignature]);
    desk.deliver(&one, join(&key, &key));
    desk.receive(&one, &one.says(author("anna", None)));
    let record = &desk.memory.records[&RecordKey::Member(id("anna"))];
    let record: MemberRecord = serde_json::from_slice(record).unwrap();
    assert!(record.is_proven());
    assert_eq!((record.key(), record.name()), (Some(key.public()), Some("anna")));
    // Another relay cannot put another key in its place.
    desk.deliver(&two, join(&other, &other));
    desk.receive(&two, &two.says(author("anna", Some(&other))));
    let warnings = desk.take_events();
    let warning = Event::OtherKey { member: id("anna"), relay: two.id() };
    assert_eq!(warnings.iter().filter(|event| **event == warning).count(), 2);
    let group = desk.owner.group_id();
    desk.deliver(&two, by(&id("anna"), signed(group, &id("anna"), &other, "m1", post("fake"))));
    assert!(desk.heard().is_empty());
}

#[test]
fn what_was_forgotten_is_never_new_again() {
    let relays = [Relay::new(1), Relay::new(2)];
    let mut desk = Desk::connected(&[&relays[0], &relays[1]]);
    let owner = desk.owner.id();
    let message = desk.owner.signs("m1", post("news"));
    desk.deliver(&relays[0], by(&owner, message.clone()));
    assert_eq!(desk.texts(), ["news"]);
    desk.take_events();
    desk.memory.records.insert(RecordKey::Message(message_id("m1")), MessageRecord::forgotten());
    desk.deliver(&relays[1], by(&owner, message));
    desk.deliver(&relays[1], by(&owner, unsigned("m1", post("fake news"))));
    assert_eq!(desk.take_events(), []);
    assert!(desk.record("m1").kept().is_none());
    // What is said about it is told, as what is said about messages that never came.
    let edit = desk.owner.signs("m2", edit("m1", "old news"));
    desk.deliver(&relays[1], by(&owner, edit));
    assert_eq!(desk.heard().len(), 1);
    let message = desk.owner.signs("m1", post("news"));
    desk.deliver(&relays[0], by(&owner, message));
    assert_eq!(desk.take_events(), [], "it is still not new");
}

#[test]
fn more_than_three_reactions_of_a_member_to_a_message_are_dropped_in_whatever_order_relays_bring_them() {
    let relays = [Relay::new(1), Relay::new(2)];
    let mut desk = Desk::connected(&[&relays[0], &relays[1]]);
    let owner = desk.owner.id();
    let message = desk.owner.signs("m1", post("news"));
    desk.deliver(&relays[0], by(&owner, message));
    let react = |name: &str, emoji: &str, add: bool| {
        let reaction = MessageReaction {
            message_id: message_id("m1"),
            member_id: Some(owner.clone()),
            scope: None,
            reaction: Reaction::Emoji(emoji.to_owned()),
            add,
        };
        by(&id("anna"), unsigned(name, ChatEvent::MessageReact(reaction)))
    };
    desk.take_events();
    let said = [("r1", "👍", true), ("r2", "😀", true), ("r3", "🚀", true), ("r4", "❤", true)];
    said.iter().for_each(|(name, emoji, add)| desk.deliver(&relays[0], react(name, emoji, *add)));
    assert_eq!(desk.heard().len(), 3);
    assert!(matches!(&desk.take_events()[..], [Event::Dropped { .. }]));
    desk.deliver(&relays[0], react("r5", "👍", false));
    desk.deliver(&relays[0], react("r6", "❤", true));
    assert_eq!(desk.heard().len(), 2);
    // The other relay is late. What it brings was counted, and is not counted again.
    said.iter().for_each(|(name, emoji, add)| desk.deliver(&relays[1], react(name, emoji, *add)));
    assert_eq!(desk.heard().len(), 0);
    assert!(!desk.take_events().iter().any(|event| matches!(event, Event::Dropped { .. })));
    // Others have reactions of their own.
    let of_bob = MessageReaction {
        message_id: message_id("m1"),
        member_id: Some(owner.clone()),
        scope: None,
        reaction: Reaction::Emoji("👍".to_owned()),
        add: true,
    };
    desk.deliver(&relays[0], by(&id("bob"), unsigned("b1", ChatEvent::MessageReact(of_bob))));
    assert_eq!(desk.heard().len(), 1);
}
