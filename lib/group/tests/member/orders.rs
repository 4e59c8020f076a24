//! Orders of admins and moderators, what a member says about itself, and what becomes of orders that members hear.

use group::element::AuthoredMessage;
use group::event::{Event as ChatEvent, MemberNew, MemberRemoval, MemberRestriction, RoleChange};
use group::identity::{MemberId, MemberKey, MemberPublicKey};
use group::member::{MemberInfo, MemberProfile, MemberRestrictions, Restriction, Role};
use group::membership::{
    Assurance, EndReason, Event, MemberError, MemberRecord, Membership, Order, OrderFault, Ordered, RecordKey, Standing,
};
use group::roster::RosterVersion;

use crate::support::{Desk, Relay, by, id, post, signed};

fn key(name: &str) -> MemberKey {
    MemberKey::generate(&mut crypto::SeededRandom::new(&[3; 32], name))
}

/// An owner gives somebody a role.
fn appoint(desk: &mut Desk, relay: &Relay, member: (&MemberId, MemberPublicKey), role: Role, number: i64) {
    let (member, key) = member;
    let change = ChatEvent::GroupMemberRole(RoleChange {
        member_id: member.clone(),
        role,
        member_key: Some(key),
        roster_version: RosterVersion::new(number),
    });
    let message = desk.owner.signs(&format!("role {number}"), change);
    desk.deliver(relay, by(&desk.owner.id(), message));
}

/// A relay tells of somebody who has joined.
fn introduce(desk: &mut Desk, relay: &Relay, name: &str) {
    let member_info = MemberInfo {
        member_id: id(name),
        member_role: Role::Observer,
        v: None,
        profile: MemberProfile::named(name),
        member_key: Some(key(name).public()),
    };
    let body = relay.says(ChatEvent::GroupMemberNew(MemberNew { member_info, scope: None }.into()));
    desk.receive(relay, &body);
}

/// A member with this role, in a group with an observer, a member, a moderator and an admin.
fn official(role: Role) -> (Desk, Relay) {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let me = desk.member.id().clone();
    introduce(&mut desk, &relay, "olga");
    let others = [("mike", Role::Member), ("mona", Role::Moderator), ("adam", Role::Admin)];
    for (number, (name, role)) in (1..).zip(others) {
        introduce(&mut desk, &relay, name);
        appoint(&mut desk, &relay, (&id(name), key(name).public()), role, number);
    }
    let own = desk.member.key();
    appoint(&mut desk, &relay, (&me, own), role, 4);
    assert!(!desk.events.iter().any(|event| matches!(event, Event::OtherKey { .. } | Event::Refused { .. })));
    desk.take_events();
    (desk, relay)
}

fn give(desk: &mut Desk, order: &Order) -> Result<Ordered, MemberError> {
    let ordered = desk.with(|member, memory, env| member.order(order, memory, env))?;
    for change in &ordered.changes {
        desk.memory.records.insert(change.key.clone(), change.value.clone());
    }
    Ok(ordered)
}

fn fault(desk: &mut Desk, order: &Order) -> OrderFault {
    match give(desk, order).unwrap_err() {
        MemberError::Order(fault) => fault,
        other => panic!("{other:?}"),
    }
}

fn role(name: &str, role: Role) -> Order {
    Order::Role { member: id(name), role, key: Assurance::Proven }
}

fn removal(name: &str) -> Order {
    Order::Remove { member: id(name), messages: false }
}

fn block(name: &str, blocked: bool) -> Order {
    Order::Block { member: id(name), blocked }
}

fn said(desk: &mut Desk, relay: &Relay) -> Vec<ChatEvent> {
    desk.run();
    let said = desk.said(&desk.connection(relay, group::membership::Line::Main));
    let signed = |message: AuthoredMessage| {
        let AuthoredMessage::Signed(signed) = &message else { panic!("not signed: {message:?}") };
        assert!(signed.is_signed_by(&desk.member.group_id(), desk.member.id(), &desk.member.key()));
        message.message().event.clone()
    };
    said.into_iter().map(signed).collect()
}

fn record(desk: &Desk, name: &str) -> MemberRecord {
    let key = RecordKey::Member(id(name));
    MemberRecord::parse(&key, &desk.memory.records[&key]).unwrap()
}

#[test]
fn moderators_move_members_between_roles_without_rights_and_block_them() {
    let (mut desk, relay) = official(Role::Moderator);
    assert!(give(&mut desk, &role("olga", Role::Author)).unwrap().message.is_some());
    assert!(give(&mut desk, &role("olga", Role::Author)).unwrap().message.is_none(), "it is so already");
    give(&mut desk, &block("mike", true)).unwrap();
    assert!(record(&desk, "mike").is_blocked());
    assert_eq!(
        said(&mut desk, &relay),
        [
            ChatEvent::GroupMemberRole(RoleChange {
                member_id: id("olga"),
                role: Role::Author,
                member_key: None,
                roster_version: None
            }),
            ChatEvent::GroupMemberRestrict(MemberRestriction {
                member_id: id("mike"),
                member_restrictions: MemberRestrictions { restriction: Restriction::Blocked }
            }),
        ]
    );
    for (order, expected) in [
        (role("olga", Role::Member), OrderFault::OwnersOnly),
        (role("mike", Role::Observer), OrderFault::OwnersOnly),
        (block("adam", true), OrderFault::HigherRole(id("adam"), Role::Admin)),
        (removal("olga"), OrderFault::Role(Role::Moderator)),
        (Order::EndGroup, OrderFault::OwnersOnly),
        (role("olga", Role::Owner), OrderFault::NotAssignable(Role::Owner)),
    ] {
        assert_eq!(fault(&mut desk, &order), expected, "{order:?}");
    }
}

#[test]
fn admins_remove_members_without_rights() {
    let (mut desk, relay) = official(Role::Admin);
    give(&mut desk, &Order::Remove { member: id("olga"), messages: true }).unwrap();
    assert_eq!(record(&desk, "olga").standing(), Standing::Removed);
    assert!(record(&desk, "olga").is_erased());
    let expected = MemberRemoval { member_id: id("olga"), messages: Some(true), roster_version: None };
    assert_eq!(said(&mut desk, &relay), [ChatEvent::GroupMemberDelete(expected)]);
    for name in ["mike", "mona", "adam"] {
        assert_eq!(fault(&mut desk, &removal(name)), OrderFault::OwnersOnly, "{name}");
    }
    // Another admin does not rank above.
    assert!(give(&mut desk, &block("adam", true)).unwrap().message.is_some());
}

#[test]
fn nobody_orders_anything_about_owners_relays_or_itself() {
    let (mut desk, relay) = official(Role::Admin);
    let (owner, me) = (desk.owner.id(), desk.member.id().clone());
    let about = |member: &MemberId| {
        [
            Order::Role { member: member.clone(), role: Role::Author, key: Assurance::Proven },
            Order::Remove { member: member.clone(), messages: false },
            Order::Block { member: member.clone(), blocked: true },
        ]
    };
    for order in about(&owner) {
        assert_eq!(fault(&mut desk, &order), OrderFault::Owner(owner.clone()));
    }
    for order in about(&relay.id()) {
        assert_eq!(fault(&mut desk, &order), OrderFault::Relay(relay.id()));
    }
    for order in about(&me) {
        assert_eq!(fault(&mut desk, &order), OrderFault::Oneself);
    }
    for order in about(&id("nobody")) {
        assert_eq!(fault(&mut desk, &order), OrderFault::UnknownMember(id("nobody")));
    }
    assert!(said(&mut desk, &relay).is_empty());
}

#[test]
fn members_and_observers_order_nothing() {
    for own in [Role::Observer, Role::Author, Role::Member] {
        let (mut desk, relay) = official(own.clone());
        for order in [role("olga", Role::Author), removal("olga"), block("olga", true)] {
            assert_eq!(fault(&mut desk, &order), OrderFault::Role(own.clone()));
        }
        assert_eq!(fault(&mut desk, &Order::EndGroup), OrderFault::OwnersOnly);
        assert!(said(&mut desk, &relay).is_empty());
    }
}

#[test]
fn an_order_waits_through_a_restart_and_goes_to_every_relay() {
    let (mut desk, relay) = official(Role::Moderator);
    let ordered = give(&mut desk, &block("olga", true)).unwrap();
    desk.restart();
    assert!(give(&mut desk, &block("olga", true)).unwrap().message.is_none(), "a run that was cut off is repeated");
    desk.run();
    let messages = desk.said(&desk.connection(&relay, group::membership::Line::Main));
    assert_eq!(messages.iter().map(|message| message.message().id.clone()).collect::<Vec<_>>(), [ordered.message]);
}

#[test]
fn a_member_with_a_name_takes_another_one_and_a_nameless_one_does_not() {
    let relay = Relay::new(1);
    let mut desk = Desk::connected(&[&relay]);
    let mia = MemberProfile { contact_link: Some("https://example.org".to_owned()), ..MemberProfile::named("Mia") };
    let order = Order::Profile(mia.into());
    assert_eq!(fault(&mut desk, &order), OrderFault::Incognito);
    desk.member = with_name(&desk.member, "Maria");
    assert!(give(&mut desk, &order).unwrap().message.is_some());
    desk.restart();
    assert!(give(&mut desk, &order).unwrap().message.is_none());
    assert_eq!(desk.member.persona().profile().display_name, "Mia");
    let said = said(&mut desk, &relay);
    let [ChatEvent::Info(info)] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!((info.profile.display_name.as_str(), info.member_key), ("Mia", Some(desk.member.key())));
    assert_eq!(info.profile.contact_link, None, "nobody learns how to reach it outside the group");
}

fn with_name(member: &Membership, name: &str) -> Membership {
    let mut document = group::document::MemberDocument::from(member);
    document.persona.profile = MemberProfile::named(name);
    document.persona.known = true;
    Membership::try_from(document).unwrap()
}

#[test]
fn whoever_was_removed_orders_nothing_any_more() {
    let (mut desk, relay) = official(Role::Admin);
    let me = desk.member.id().clone();
    let removal = MemberRemoval { member_id: me, messages: None, roster_version: RosterVersion::new(5) };
    let message = desk.owner.signs("removal", ChatEvent::GroupMemberDelete(removal));
    desk.deliver(&relay, by(&desk.owner.id(), message));
    assert_eq!(give(&mut desk, &block("olga", true)).unwrap_err(), MemberError::Over(EndReason::Removed));
}

#[test]
fn what_a_removed_member_wrote_goes_with_it_if_the_order_says_so() {
    let (mut desk, relay) = official(Role::Observer);
    let group = desk.owner.group_id();
    let write = |desk: &mut Desk, member: &str, name: &str| {
        let message = signed(group, &id(member), &key(member), name, post(name));
        desk.deliver(&relay, by(&id(member), message));
    };
    write(&mut desk, "mike", "first");
    let removal = MemberRemoval { member_id: id("mike"), messages: Some(true), roster_version: RosterVersion::new(5) };
    let message = desk.owner.signs("removal", ChatEvent::GroupMemberDelete(removal));
    desk.deliver(&relay, by(&desk.owner.id(), message));
    write(&mut desk, "mike", "second");
    assert_eq!(desk.texts(), ["first", "x.grp.mem.del"], "nothing of it is heard any more");
    assert!(record(&desk, "mike").is_erased());
}

#[test]
fn orders_of_those_who_may_not_give_them_change_nothing() {
    let (mut desk, relay) = official(Role::Observer);
    let group = desk.owner.group_id();
    let events = [
        ("mike", ChatEvent::GroupMemberRestrict(restriction("olga"))),
        ("mike", ChatEvent::GroupMemberDelete(removed("olga"))),
        ("mona", ChatEvent::GroupMemberDelete(removed("olga"))),
        ("mona", ChatEvent::GroupMemberRestrict(restriction("adam"))),
        ("adam", ChatEvent::GroupMemberDelete(removed("mona"))),
        ("adam", ChatEvent::GroupDelete),
        ("adam", ChatEvent::GroupMemberRole(promotion("olga"))),
    ];
    for (number, (author, event)) in events.into_iter().enumerate() {
        let name = event.name().to_owned();
        let message = signed(group, &id(author), &key(author), &format!("m{number}"), event);
        desk.deliver(&relay, by(&id(author), message));
        let told = desk.take_events();
        let dropped = |event: &Event| matches!(event, Event::Dropped { .. });
        assert!(!told.is_empty() && told.iter().all(dropped), "{author}: {name}: {told:?}");
    }
    assert_eq!(desk.member.ended(), None);
    assert_eq!(desk.member.roster().role(&id("olga")), None);
    for name in ["olga", "adam", "mona"] {
        assert!(!record(&desk, name).is_blocked() && record(&desk, name).standing() == Standing::Present, "{name}");
    }
}

fn restriction(member: &str) -> MemberRestriction {
    let member_restrictions = MemberRestrictions { restriction: Restriction::Blocked };
    MemberRestriction { member_id: id(member), member_restrictions }
}

fn removed(member: &str) -> MemberRemoval {
    MemberRemoval { member_id: id(member), messages: None, roster_version: None }
}

fn promotion(member: &str) -> RoleChange {
    let roster_version = RosterVersion::new(9);
    RoleChange { member_id: id(member), role: Role::Admin, member_key: Some(key(member).public()), roster_version }
}

#[test]
fn a_blocked_author_is_marked_so_until_the_block_ends() {
    let (mut desk, relay) = official(Role::Observer);
    let group = desk.owner.group_id();
    for (number, restriction) in [Restriction::Blocked, Restriction::Unrestricted].into_iter().enumerate() {
        let blocked = restriction == Restriction::Blocked;
        let member_restrictions = MemberRestrictions { restriction };
        let event = ChatEvent::GroupMemberRestrict(MemberRestriction { member_id: id("mike"), member_restrictions });
        let message = signed(group, &id("mona"), &key("mona"), &format!("block {number}"), event);
        desk.deliver(&relay, by(&id("mona"), message));
        desk.take_events();
        let name = format!("post {number}");
        let message = signed(group, &id("mike"), &key("mike"), &name, post(&name));
        desk.deliver(&relay, by(&id("mike"), message));
        assert_eq!(desk.heard()[0].blocked, blocked, "a relay that passes it on all the same hides nothing");
    }
}
