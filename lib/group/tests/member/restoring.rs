//! Relays come and go, and the group link says which there are.

use std::time::Duration;

use agent::connection::Delivery;
use group::event::{Event as ChatEvent, GroupInfo, GroupPreferencesChange, MemberRemoval, RelayNew};
use group::membership::{EndReason, Event, GoneReason, Line, MemberError, Outcome, Status, TaskId};
use group::profile::GroupProfile;

use crate::support::{Desk, Out, Relay, by, post};

fn removal(relay: &Relay) -> ChatEvent {
    ChatEvent::GroupMemberDelete(MemberRemoval { member_id: relay.id(), messages: None, roster_version: None })
}

fn new_relay(desk: &Desk, relay: &Relay) -> ChatEvent {
    let relay_link = relay.linked(desk.owner.group_id()).make().0.to_string();
    ChatEvent::GroupRelayNew(RelayNew { relay_link })
}

#[test]
fn chat_48_the_news_of_a_relay_makes_the_member_join_it() {
    let (one, two) = (Relay::new(1), Relay::new(2));
    let mut desk = Desk::connected(&[&one]);
    let (id, key) = (desk.member.id().clone(), desk.member.key());
    desk.list(&[&one, &two]);
    desk.run();
    assert!(desk.member.relays().len() == 1, "nobody said that there is something new");
    let news = desk.owner.signs("m1", new_relay(&desk, &two));
    desk.deliver(&one, by(&desk.owner.id(), news));
    desk.run();
    assert_eq!(desk.status(&two), Status::Joining);
    let request = desk.request(&desk.connection(&two, Line::Main)).unwrap();
    let ChatEvent::Member(join) = request.event() else { panic!() };
    assert_eq!((&join.new_member_id, join.new_member_key, &join.via_relay), (&id, key, &Some(two.id())));
    desk.admit(&two);
    assert_eq!(desk.status(&one), Status::Connected);
}

#[test]
fn old_news_of_a_relay_that_was_removed_since_is_not_followed() {
    let (one, two) = (Relay::new(1), Relay::new(2));
    let mut desk = Desk::connected(&[&one]);
    desk.publish(&two.linked(desk.owner.group_id()));
    let news = desk.owner.signs("m1", new_relay(&desk, &two));
    desk.deliver(&one, by(&desk.owner.id(), news));
    desk.run();
    assert_eq!(desk.member.relays().len(), 1, "the group link does not list it");
}

#[test]
fn chat_49_a_relay_that_an_owner_removes_is_parted_with_whoever_says_so() {
    for through in [0, 1] {
        let relays = [Relay::new(1), Relay::new(2)];
        let mut desk = Desk::connected(&[&relays[0], &relays[1]]);
        let message = desk.owner.signs("m1", removal(&relays[0]));
        desk.deliver(&relays[through], by(&desk.owner.id(), message));
        assert_eq!(desk.member.relay(desk.number(&relays[0])).unwrap().why_gone(), Some(&GoneReason::Removed));
        desk.run();
        let connection = desk.connection(&relays[0], Line::Main);
        assert!(desk.out.contains(&Out::Deleted(connection, Delivery::Await)));
        assert_eq!(desk.status(&relays[1]), Status::Connected);
        // The link need not have changed yet: it is not joined again because of that.
        desk.member.open(desk.now);
        desk.run();
        assert_eq!(desk.status(&relays[0]), Status::Gone);
    }
}

#[test]
fn a_relay_may_leave_with_its_own_signature_and_not_for_another_one() {
    let (one, two) = (Relay::new(1), Relay::new(2));
    let mut desk = Desk::connected(&[&one, &two]);
    desk.receive(&one, &one.says(ChatEvent::GroupLeave));
    assert_eq!(desk.status(&one), Status::Connected, "not without a signature");
    desk.receive(&one, &two.signs(desk.owner.group_id(), ChatEvent::GroupLeave));
    assert_eq!((desk.status(&one), desk.status(&two)), (Status::Connected, Status::Connected));
    desk.receive(&one, &one.signs(desk.owner.group_id(), ChatEvent::GroupLeave));
    assert_eq!(desk.member.relay(desk.number(&one)).unwrap().why_gone(), Some(&GoneReason::Left));
    assert_eq!(desk.status(&two), Status::Connected);
}

#[test]
fn chat_51_with_the_last_relay_removed_and_a_new_one_added_the_group_link_alone_is_enough() {
    let (one, two) = (Relay::new(1), Relay::new(2));
    let mut desk = Desk::connected(&[&one]);
    let (id, key) = (desk.member.id().clone(), desk.member.key());
    desk.list(&[]);
    let message = desk.owner.signs("m1", removal(&one));
    desk.deliver(&one, by(&desk.owner.id(), message));
    desk.run();
    assert!(!desk.member.is_usable());
    desk.restart();
    // It looks again and again, later each time, and not in between.
    let first = desk.member.next_due().unwrap();
    assert!(first > desk.now && first < desk.now.after(Duration::from_secs(120)));
    desk.now = first;
    desk.run();
    let second = desk.member.next_due().unwrap();
    assert!(second.since(first) > Duration::from_secs(60));
    desk.list(&[&two]);
    desk.now = second;
    desk.run();
    desk.admit(&two);
    assert!(desk.member.is_usable());
    assert_eq!((desk.member.id(), desk.member.key()), (&id, key));
    let hello = desk.owner.signs("m2", post("here we are"));
    desk.events.clear();
    desk.deliver(&two, by(&desk.owner.id(), hello));
    assert_eq!(desk.texts(), ["here we are"]);
}

#[test]
fn a_relay_that_the_link_does_not_list_any_more_is_dropped_and_comes_back_when_it_does() {
    let (one, two) = (Relay::new(1), Relay::new(2));
    let mut desk = Desk::connected(&[&one, &two]);
    let first = desk.connection(&two, Line::Main);
    desk.list(&[&one]);
    desk.member.open(desk.now);
    desk.run();
    assert_eq!(desk.member.relay(desk.number(&two)).unwrap().why_gone(), Some(&GoneReason::Unlisted));
    assert!(desk.out.iter().any(|out| matches!(out, Out::Deleted(name, _) if *name == first)));
    desk.list(&[&one, &two]);
    desk.member.open(desk.now);
    desk.run();
    desk.admit(&two);
    assert_eq!(desk.status(&two), Status::Connected);
    assert_ne!(desk.connection(&two, Line::Main), first, "no name of a connection is used twice");
}

#[test]
fn old_link_data_is_noticed_and_not_followed() {
    let (one, two) = (Relay::new(1), Relay::new(2));
    let mut desk = Desk::connected(&[&one]);
    let old = desk.owner.data();
    let mut contents = desk.owner.contents();
    contents.profile.display_name = "Long walks".to_owned();
    desk.owner.write(contents);
    desk.list(&[&one, &two]);
    desk.member.open(desk.now);
    desk.run();
    assert_eq!(desk.member.group().profile.display_name, "Long walks");
    desk.links.insert(desk.owner.short_link().to_string(), old);
    desk.restart();
    desk.member.open(desk.now);
    desk.take_events();
    desk.run();
    assert!(desk.events.contains(&Event::LinkReplayed));
    assert_eq!(desk.member.group().profile.display_name, "Long walks");
    assert_eq!(desk.status(&two), Status::Joining);
}

#[test]
fn link_data_with_a_lower_revision_is_old_even_if_it_was_never_seen() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let rename = |desk: &mut Desk, name: &str| {
        let mut contents = desk.owner.contents();
        contents.profile.display_name = name.to_owned();
        desk.owner.write(contents);
    };
    rename(&mut desk, "Long walks");
    let unseen = desk.owner.data();
    rename(&mut desk, "Longer walks");
    desk.list(&[&relay]);
    desk.member.open(desk.now);
    desk.run();
    assert_eq!(desk.member.group().profile.display_name, "Longer walks");
    desk.links.insert(desk.owner.short_link().to_string(), unseen);
    desk.restart();
    desk.member.open(desk.now);
    desk.take_events();
    desk.run();
    assert!(desk.events.contains(&Event::LinkReplayed));
    assert_eq!(desk.member.group().profile.display_name, "Longer walks");

    // The newest is no replay for having been shown before an older one.
    desk.links.insert(desk.owner.short_link().to_string(), desk.owner.data());
    desk.restart();
    desk.member.open(desk.now);
    desk.take_events();
    desk.run();
    assert!(!desk.events.contains(&Event::LinkReplayed));
}

#[test]
fn link_data_that_is_not_signed_right_is_not_believed() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let mut data = desk.owner.data();
    data.data.user[20] ^= 1;
    desk.links.insert(desk.owner.short_link().to_string(), data);
    desk.member.open(desk.now);
    desk.run();
    assert!(desk.events.iter().any(|event| matches!(event, Event::LinkUnusable { .. })));
    assert_eq!(desk.status(&relay), Status::Connected);
}

#[test]
fn chat_52_a_profile_of_another_group_or_of_none_is_refused() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let mut other = desk.owner.contents().profile;
    other.display_name = "Other".to_owned();
    let mut foreign = other.clone();
    foreign.public_group.as_mut().unwrap().public_group_id = crate::support::Owner::new(9).group_id();
    for (name, profile) in [("m1", GroupProfile::named("Other")), ("m2", foreign)] {
        let message = desk.owner.signs(name, ChatEvent::GroupInfo(GroupInfo::from(profile).into()));
        desk.deliver(&relay, by(&desk.owner.id(), message));
        desk.run();
    }
    assert!(desk.heard().is_empty());
    assert_eq!(desk.member.group().profile.display_name, "Walks");
}

#[test]
fn a_profile_counts_once_the_group_link_says_it_and_an_old_one_never() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let old = desk.owner.contents().profile;
    let mut contents = desk.owner.contents();
    contents.profile.display_name = "Long walks".to_owned();
    let info = |profile: GroupProfile| ChatEvent::GroupInfo(GroupInfo::from(profile).into());
    let (news, replay) = (desk.owner.signs("m1", info(contents.profile.clone())), desk.owner.signs("m0", info(old)));
    desk.owner.write(contents);
    desk.publish_group();
    let owner = desk.owner.id();
    desk.deliver(&relay, by(&owner, news));
    desk.run();
    assert_eq!(desk.member.group().profile.display_name, "Long walks");
    assert!(desk.events.iter().any(|event| matches!(event, Event::Profile(_))));
    desk.deliver(&relay, by(&owner, replay));
    desk.run();
    assert_eq!(desk.member.group().profile.display_name, "Long walks");
}

#[test]
fn preferences_are_read_from_the_group_link_when_an_owner_says_that_they_changed() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let group_preferences = serde_json::json!({"reactions": {"enable": "off"}}).as_object().unwrap().clone();
    let mut contents = desk.owner.contents();
    contents.profile.group_preferences = Some(group_preferences.clone());
    desk.owner.write(contents);
    desk.publish_group();
    let change = ChatEvent::GroupPreferences(GroupPreferencesChange { group_preferences: group_preferences.clone() });
    let message = desk.owner.signs("m1", change);
    desk.deliver(&relay, by(&desk.owner.id(), message));
    desk.run();
    assert_eq!(desk.member.group().profile.group_preferences, Some(group_preferences));
}

#[test]
fn a_lost_connection_is_made_again_when_the_group_link_still_lists_the_relay() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let lost = desk.connection(&relay, Line::Main);
    desk.fail(&relay, Line::Main);
    assert!(!desk.member.is_usable());
    desk.run();
    assert_eq!(desk.status(&relay), Status::Joining, "the last relay was lost: the link is read at once");
    assert_ne!(desk.connection(&relay, Line::Main), lost);
    desk.admit(&relay);
    assert!(desk.member.is_usable());
}

#[test]
fn restoring_asks_relays_again_that_refused() {
    let relay = Relay::new(1);
    let mut desk = Desk::new(&[&relay]);
    desk.run();
    desk.answer(&relay, Line::Main, b"{}");
    desk.run();
    assert_eq!(desk.status(&relay), Status::Gone);
    desk.now = desk.member.next_due().unwrap();
    desk.run();
    assert_eq!(desk.status(&relay), Status::Gone, "not by itself");
    desk.tell(|member, env| member.restore(env));
    desk.run();
    desk.admit(&relay);
    assert!(desk.member.is_usable());
}

#[test]
fn the_group_link_is_read_every_few_hours_and_not_at_the_same_moment_by_all() {
    let relay = Relay::new(1);
    let mut times = Vec::new();
    for seed in [1, 2, 3] {
        let mut desk = Desk::seeded(seed, &[&relay]);
        desk.run();
        desk.admit(&relay);
        desk.member.open(desk.now);
        desk.run();
        let next = desk.member.next_due().unwrap().since(desk.now);
        assert!((5 * 3600..7 * 3600).contains(&next.as_secs()), "{next:?}");
        times.push(next);
    }
    times.dedup();
    assert_eq!(times.len(), 3);
}

#[test]
fn a_server_that_is_down_is_asked_again_later() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    desk.member.open(desk.now);
    desk.finish(&TaskId::ReadGroupLink, Outcome::Unreachable("no route".to_owned()));
    assert!(desk.member.due(desk.now).is_empty());
    desk.now = desk.member.next_due().unwrap();
    assert_eq!(desk.member.due(desk.now), [TaskId::ReadGroupLink]);
    assert_eq!(desk.status(&relay), Status::Connected);
}

#[test]
fn who_leaves_tells_all_relays_with_a_signature_before_the_connections_go() {
    let (one, two) = (Relay::new(1), Relay::new(2));
    let mut desk = Desk::connected(&[&one, &two]);
    desk.tell(|member, env| member.leave(env));
    desk.restart();
    desk.run();
    for relay in [&one, &two] {
        let connection = desk.connection(relay, Line::Main);
        let said = desk.said(&connection);
        let group::element::AuthoredMessage::Signed(leave) = &said[0] else { panic!("not signed") };
        assert!(leave.is_signed_by(&desk.member.group_id(), desk.member.id(), &desk.member.key()));
        assert_eq!(said[0].message().event, ChatEvent::GroupLeave);
        assert!(desk.out.contains(&Out::Deleted(connection, Delivery::Await)));
    }
    assert_eq!(desk.member.ended(), Some(EndReason::Left));
    assert!(!desk.member.has_tasks());
    assert_eq!(desk.member.next_due(), None);
    let again = desk.with(|member, _, env| member.restore(env));
    assert_eq!(again.unwrap_err(), MemberError::Over(EndReason::Left));
}

#[test]
fn the_membership_is_over_when_an_owner_removes_the_member_or_deletes_the_group() {
    let relay = Relay::new(1);
    for (event, why) in [(None, EndReason::Removed), (Some(ChatEvent::GroupDelete), EndReason::Deleted)] {
        let mut desk = Desk::connected(&[&relay]);
        let me = desk.member.id().clone();
        let event = event.unwrap_or(ChatEvent::GroupMemberDelete(MemberRemoval {
            member_id: me,
            messages: None,
            roster_version: None,
        }));
        let message = desk.owner.signs("m1", event);
        desk.deliver(&relay, by(&desk.owner.id(), message));
        assert_eq!(desk.member.ended(), Some(why));
        assert!(desk.events.contains(&Event::Ended(why)));
        desk.run();
        assert!(desk.out.contains(&Out::Deleted(desk.connection(&relay, Line::Main), Delivery::Await)));
        desk.member.open(desk.now);
        assert!(desk.member.due(desk.now).is_empty());
    }
}
