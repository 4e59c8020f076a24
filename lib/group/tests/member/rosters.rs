//! Members with rights, as owners sign them and relays pass them on.

use group::chunk::Chunk;
use group::element::{AuthoredMessage, Element};
use group::event::{Event as ChatEvent, MemberRemoval, RoleChange};
use group::identity::{MemberId, MemberKey};
use group::keys::KeySource;
use group::member::Role;
use group::membership::{Event, Line};
use group::roster::RosterVersion;
use group::roster_blob::{RosterBlob, RosterEntry};
use group::verification::Trust;

use crate::support::{Desk, Relay, body, by, id, message_id, post, signed};

fn key(name: &str) -> MemberKey {
    MemberKey::generate(&mut crypto::SeededRandom::new(&[3; 32], name))
}

fn version(number: i64) -> RosterVersion {
    RosterVersion::new(number).unwrap()
}

fn blob(entries: &[(&str, Role)]) -> RosterBlob {
    let entry =
        |(name, role): &(&str, Role)| RosterEntry { member_id: id(name), key: key(name).public(), role: role.clone() };
    RosterBlob::new(entries.iter().map(entry).collect()).unwrap()
}

/// The header that an owner signed, and the chunks.
fn roster(desk: &Desk, name: &str, number: i64, blob: &RosterBlob) -> (Element, Vec<Chunk>) {
    let header = desk.owner.signs(name, ChatEvent::GroupRoster(blob.header(version(number))));
    (by(&desk.owner.id(), header), blob.chunks(&message_id(name)))
}

fn serve(desk: &mut Desk, relay: &Relay, name: &str, number: i64, blob: &RosterBlob) {
    let (header, chunks) = roster(desk, name, number, blob);
    desk.deliver(relay, header);
    for chunk in chunks {
        desk.deliver(relay, Element::Chunk(chunk));
    }
}

fn role_change(member: &str, role: Role, number: i64) -> ChatEvent {
    ChatEvent::GroupMemberRole(RoleChange {
        member_id: id(member),
        role,
        member_key: Some(key(member).public()),
        roster_version: Some(version(number)),
    })
}

fn say(desk: &mut Desk, relay: &Relay, member: &str, name: &str, event: ChatEvent) {
    let message = signed(desk.owner.group_id(), &id(member), &key(member), name, event);
    desk.deliver(relay, by(&id(member), message));
}

#[test]
fn a_roster_that_a_relay_serves_gives_members_rights_and_keys() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    serve(&mut desk, &relay, "r", 3, &blob(&[("anna", Role::Admin), ("bert", Role::Member)]));
    assert!(desk.events.contains(&Event::Roster(version(3))));
    say(&mut desk, &relay, "bert", "m1", post("hi"));
    let heard = desk.heard();
    assert_eq!(heard[0].trust(), Trust::Verified(KeySource::Roster));
    // An admin removes a member without rights, and a member does not.
    let removal = |member: &str| {
        ChatEvent::GroupMemberDelete(MemberRemoval { member_id: id(member), messages: None, roster_version: None })
    };
    say(&mut desk, &relay, "bert", "m2", removal("carl"));
    assert!(desk.heard().is_empty());
    say(&mut desk, &relay, "anna", "m3", removal("carl"));
    assert_eq!(desk.texts(), ["x.grp.mem.del"]);
    say(&mut desk, &relay, "carl", "m4", ChatEvent::GroupLeave);
    assert!(desk.heard().is_empty(), "who was removed is not heard");
    say(&mut desk, &relay, "anna", "m5", removal("bert"));
    assert!(desk.heard().is_empty(), "only owners take rights away");
}

#[test]
fn the_same_roster_through_two_relays_is_applied_once_and_chunks_may_interleave() {
    let (one, two) = (Relay::new(1), Relay::new(2));
    let mut desk = Desk::connected(&[&one, &two]);
    let (header, chunks) = roster(&desk, "r", 1, &blob(&[("anna", Role::Admin)]));
    desk.deliver(&one, header.clone());
    desk.deliver(&two, header);
    desk.restart();
    desk.deliver(&two, Element::Chunk(chunks[0].clone()));
    desk.deliver(&one, Element::Chunk(chunks[0].clone()));
    let applied = desk.events.iter().filter(|event| **event == Event::Roster(version(1))).count();
    assert!((1..=2).contains(&applied));
    assert_eq!(desk.member.roster().role(&id("anna")), Some(Role::Admin));
}

#[test]
fn a_roster_header_and_chunk_in_one_body_are_read() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let (header, chunks) = roster(&desk, "r", 1, &blob(&[("anna", Role::Admin)]));
    desk.receive(&relay, &body(&[header, Element::Chunk(chunks[0].clone())]));
    assert_eq!(desk.member.roster().version(), Some(version(1)));
}

#[test]
fn chat_53_an_old_change_of_the_roster_is_ignored_and_an_equal_one_applied() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let owner = desk.owner.id();
    for (name, event, expected) in [
        ("m1", role_change("anna", Role::Admin, 5), Role::Admin),
        ("m2", role_change("anna", Role::Observer, 4), Role::Admin),
        ("m3", role_change("anna", Role::Moderator, 5), Role::Moderator),
    ] {
        let message = desk.owner.signs(name, event);
        desk.deliver(&relay, by(&owner, message));
        assert_eq!(desk.member.roster().role(&id("anna")), Some(expected), "{name}");
    }
}

#[test]
fn chat_54_a_roster_with_a_wrong_digest_is_not_applied() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let (header, _) = roster(&desk, "r", 1, &blob(&[("anna", Role::Admin)]));
    let forged = blob(&[("mall", Role::Admin)]);
    desk.deliver(&relay, header.clone());
    desk.deliver(&relay, Element::Chunk(forged.chunks(&message_id("r"))[0].clone()));
    assert_eq!(desk.member.roster().version(), None);
    assert_eq!(desk.member.health(&relay.id()).unwrap().malformed, 1);
    // The right one comes later, from the same relay or another.
    desk.deliver(&relay, header);
    let right = blob(&[("anna", Role::Admin)]).chunks(&message_id("r"))[0].clone();
    desk.deliver(&relay, Element::Chunk(right));
    assert_eq!(desk.member.roster().role(&id("anna")), Some(Role::Admin));
}

#[test]
fn chat_55_who_is_missing_in_a_newer_roster_only_reads_and_pinned_keys_stay() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    serve(&mut desk, &relay, "r1", 1, &blob(&[("anna", Role::Admin), ("bert", Role::Member)]));
    let mut other = blob(&[("anna", Role::Admin)]).entries().to_vec();
    other[0].key = key("mallory").public();
    let other = RosterBlob::new(other).unwrap();
    serve(&mut desk, &relay, "r2", 2, &other);
    assert!(desk.events.contains(&Event::OtherKey { member: id("anna"), relay: relay.id() }));
    assert_eq!(desk.member.roster().key(&id("anna")), Some(key("anna").public()));
    assert_eq!(desk.member.roster().role(&id("bert")), Some(Role::Observer));
    desk.heard();
    say(&mut desk, &relay, "bert", "m1", post("hi"));
    assert!(desk.heard().is_empty());
}

#[test]
fn a_roster_of_anybody_but_an_owner_changes_nothing() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    serve(&mut desk, &relay, "r1", 1, &blob(&[("anna", Role::Admin)]));
    let forged = blob(&[("anna", Role::Admin), ("mall", Role::Admin)]);
    let header = |message: AuthoredMessage, as_whom: &MemberId| by(as_whom, message);
    let event = || ChatEvent::GroupRoster(forged.header(version(9)));
    let group = desk.owner.group_id();
    let owner = desk.owner.id();
    let by_admin = header(signed(group, &id("anna"), &key("anna"), "r2", event()), &id("anna"));
    let in_owners_name = header(signed(group, &owner, &key("mall"), "r3", event()), &owner);
    let by_relay = header(signed(group, &relay.id(), &relay.key(), "r4", event()), &relay.id());
    for (name, element) in [("r2", by_admin), ("r3", in_owners_name), ("r4", by_relay)] {
        desk.deliver(&relay, element);
        for chunk in forged.chunks(&message_id(name)) {
            desk.deliver(&relay, Element::Chunk(chunk));
        }
    }
    desk.receive(&relay, &relay.signs(group, event()));
    assert_eq!(desk.member.roster().version(), Some(version(1)));
    assert_eq!(desk.member.roster().role(&id("mall")), None);
}

#[test]
fn an_old_roster_that_a_relay_replays_to_a_joiner_gives_way_to_the_newer_one_of_another_relay() {
    let (one, two) = (Relay::new(1), Relay::new(2));
    let mut desk = Desk::connected(&[&one, &two]);
    serve(&mut desk, &one, "r1", 1, &blob(&[("anna", Role::Admin)]));
    serve(&mut desk, &two, "r2", 2, &blob(&[("bert", Role::Admin)]));
    serve(&mut desk, &one, "r0", 0, &blob(&[("anna", Role::Admin)]));
    assert_eq!(desk.member.roster().version(), Some(version(2)));
    assert_eq!(desk.member.roster().role(&id("anna")), Some(Role::Observer));
}

#[test]
fn a_gap_in_the_versions_makes_the_member_ask_the_relay_once() {
    for (relay, asks) in [(Relay::new(1), true), (Relay { versions: (9, 18), ..Relay::new(1) }, false)] {
        let mut desk = Desk::connected(&[&relay]);
        let owner = desk.owner.id();
        for (name, number) in [("m1", 1), ("m3", 3), ("m3b", 3)] {
            let message = desk.owner.signs(name, role_change("anna", Role::Admin, number));
            desk.deliver(&relay, by(&owner, message));
        }
        desk.restart();
        desk.run();
        let said = desk.said(&desk.connection(&relay, Line::Main));
        assert_eq!(said.len(), usize::from(asks));
        if let Some(message) = said.first() {
            let ChatEvent::GroupRosterRequest(request) = &message.message().event else { panic!("{message:?}") };
            assert_eq!(request.version, Some(version(1)));
        }
        serve(&mut desk, &relay, "r3", 3, &blob(&[("anna", Role::Admin)]));
        assert!(desk.member.roster().missing().is_none());
    }
}

#[test]
fn the_members_own_role_is_what_owners_signed() {
    let relay = Relay::new(1);
    let mut desk = Desk::new(&[&relay]);
    desk.run();
    let mut invitation = relay.invitation(desk.member.id(), desk.owner.contents().profile);
    invitation.invited_member.member_role = Role::Admin;
    let invite = group::event::LinkInvite { group_link_invitation: invitation };
    desk.answer(&relay, Line::Main, &relay.info(ChatEvent::GroupLinkInvite(invite.into())));
    desk.run();
    desk.connect(&relay, Line::Main);
    assert_eq!(desk.member.role(), Role::Observer, "no relay gives rights");
    let me = desk.member.id().clone();
    let change = ChatEvent::GroupMemberRole(RoleChange {
        member_id: me,
        role: Role::Moderator,
        member_key: Some(desk.member.key()),
        roster_version: Some(version(1)),
    });
    let message = desk.owner.signs("m1", change);
    desk.deliver(&relay, by(&desk.owner.id(), message));
    assert_eq!(desk.member.role(), Role::Moderator);
    desk.restart();
    assert_eq!(desk.member.role(), Role::Moderator);
}
