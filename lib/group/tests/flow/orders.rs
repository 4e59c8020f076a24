//! Orders from those who give them to those who obey, through relays.

use group::element::{Element, Forward, ForwardContent};
use group::event::{Event as ChatEvent, MemberNew, RoleChange};
use group::keys::KeySource;
use group::member::{MemberInfo, MemberProfile, Role};
use group::membership::{Assurance, EndReason, Event, MemberRecord, Order, OrderFault, RecordKey, Standing};
use group::message::Message;
use group::owner::OwnerError;
use group::relay::{Inactivity, Status as ServiceStatus};
use group::roster::RosterVersion;
use group::verification::Trust;

use crate::town::{Town, without};

fn role(town: &Town, citizen: usize, role: Role) -> Order {
    Order::Role { member: town.id(citizen), role, key: Assurance::Proven }
}

fn order(town: &mut Town, order: &Order) {
    assert!(town.world.order(order).unwrap().message.is_some());
    town.settle();
}

fn forgotten(town: &mut Town) {
    for citizen in &mut town.citizens {
        citizen.heard.clear();
    }
}

#[test]
fn an_owner_appoints_a_member_whose_posts_others_verify_with_the_pinned_key() {
    let mut town = Town::new(2);
    let (mia, tom) = (town.join("mia"), town.join("tom"));
    let appoint = role(&town, mia, Role::Member);
    order(&mut town, &appoint);
    assert_eq!(town.citizens[mia].member.role(), Role::Member);
    forgotten(&mut town);
    town.post(mia, "thank you", true);
    let heard = town.citizens[tom].heard.last().unwrap();
    assert_eq!(heard.trust(), Trust::Verified(KeySource::Roster));
    assert_eq!(heard.author(), Some(&town.id(mia)));
    assert_eq!(town.citizens[tom].texts(), ["thank you"], "once, though two relays deliver it");
    // Whoever joins later has the key from the roster that relays serve.
    let late = town.join("late");
    let (id, key) = (town.id(mia), town.citizens[mia].member.key());
    assert_eq!(town.citizens[late].member.roster().key(&id), Some(key));
    assert_eq!(town.citizens[late].member.roster().version(), RosterVersion::new(1));
    for citizen in [mia, tom, late] {
        town.citizens[citizen].assert_content();
    }
}

#[test]
fn chat_53_changes_of_the_roster_are_numbered_and_an_old_one_that_a_relay_repeats_changes_nothing() {
    let mut town = Town::new(2);
    let (mia, tom) = (town.join("mia"), town.join("tom"));
    let appoint = role(&town, mia, Role::Admin);
    order(&mut town, &appoint);
    let promotion = town.citizens[tom].heard.last().unwrap().clone();
    let dismiss = role(&town, mia, Role::Observer);
    order(&mut town, &dismiss);
    assert_eq!(town.citizens[tom].member.roster().version(), RosterVersion::new(2));
    // A joiner that never heard the first order is told of it now.
    let late = town.join("late");
    let sender = group::element::ForwardSender::Member(
        town.citizens[0].member.group().owners[0].id.clone(),
        group::element::ShortName::new("Owner"),
    );
    let content = ForwardContent::Message(promotion.message.authored().clone());
    let old = Element::Forward(Forward { sender, sent_at: promotion.sent_at, content });
    town.inject(0, late, &group::body::single(old).unwrap());
    let id = town.id(mia);
    assert_eq!(town.citizens[late].member.roster().role(&id), None, "it never had rights there");
    assert_eq!(town.citizens[tom].member.roster().role(&id), Some(Role::Observer));
    let dropped = |event: &Event| matches!(event, Event::Dropped { reason, .. } if reason.contains("old change"));
    assert!(town.citizens[late].told.iter().any(dropped), "{:?}", town.citizens[late].told);
}

#[test]
fn a_member_that_missed_an_order_gets_the_roster_with_the_next_one() {
    let mut town = Town::new(1);
    let (mia, tom, ann) = (town.join("mia"), town.join("tom"), town.join("ann"));
    // The relay keeps the first change from everybody.
    town.meddler = |_, body| {
        without(&body, |element| match element {
            Element::Forward(Forward { content: ForwardContent::Message(message), .. }) => {
                matches!(&message.message().event, ChatEvent::GroupMemberRole(change) if change.roster_version == RosterVersion::new(1))
            }
            _ => false,
        })
    };
    let first = role(&town, mia, Role::Moderator);
    order(&mut town, &first);
    let id = town.id(mia);
    assert_eq!(town.citizens[tom].member.roster().role(&id), None);
    let second = role(&town, ann, Role::Member);
    order(&mut town, &second);
    let roster = town.citizens[tom].member.roster();
    assert_eq!(roster.role(&id), Some(Role::Moderator), "it noticed the gap, asked, and was served the list");
    assert_eq!((roster.version(), roster.missing()), (RosterVersion::new(2), None));
    assert!(town.citizens[tom].told.contains(&Event::Roster(RosterVersion::new(2).unwrap())));
}

#[test]
fn a_member_that_was_away_learns_every_order_when_it_is_back() {
    let mut town = Town::new(2);
    let (mia, tom) = (town.join("mia"), town.join("tom"));
    town.citizens[tom].away = true;
    for next in [Role::Member, Role::Admin, Role::Moderator] {
        let change = role(&town, mia, next);
        order(&mut town, &change);
    }
    town.citizens[tom].away = false;
    town.settle();
    let roster = town.citizens[tom].member.roster();
    assert_eq!((roster.role(&town.id(mia)), roster.missing()), (Some(Role::Moderator), None));
    town.citizens[tom].assert_content();
}

#[test]
fn a_relay_that_lies_about_roles_changes_nobodys_role() {
    let mut town = Town::new(1);
    let (mia, tom) = (town.join("mia"), town.join("tom"));
    let (id, key) = (town.id(mia), town.citizens[mia].member.key());
    let member_info = MemberInfo {
        member_id: id.clone(),
        member_role: Role::Admin,
        v: None,
        profile: MemberProfile::named("mia"),
        member_key: Some(key),
    };
    let claim = ChatEvent::GroupMemberNew(MemberNew { member_info, scope: None }.into());
    town.inject(0, tom, &group::body::single(Message::unnamed(claim)).unwrap());
    let change = RoleChange {
        member_id: id.clone(),
        role: Role::Admin,
        member_key: Some(key),
        roster_version: RosterVersion::new(1),
    };
    let event = ChatEvent::GroupMemberRole(change);
    let message = Message::named(event, &mut crypto::SeededRandom::new(&[1; 32], "relay"));
    let sender = group::element::ForwardSender::Member(
        town.citizens[0].member.group().owners[0].id.clone(),
        group::element::ShortName::new("Owner"),
    );
    let forward = Forward { sender, sent_at: 0, content: ForwardContent::Message(message.into()) };
    town.inject(0, tom, &group::body::single(Element::Forward(forward)).unwrap());
    assert_eq!(town.citizens[tom].member.roster().role(&id), None);
    assert!(town.citizens[tom].told.iter().any(|event| matches!(event, Event::Refused { .. })));
    // And what mia may not do, she still may not.
    let removal = Order::Remove { member: town.id(tom), messages: false };
    let by = &mut town.citizens[mia];
    let refused = by.member.order(
        &removal,
        &by.kept,
        &mut agent::time::Env { now: town.world.now, random: &mut crypto::SeededRandom::new(&[2; 32], "mia") },
    );
    let fault = OrderFault::Role(Role::Observer);
    assert_eq!(refused.unwrap_err(), group::membership::MemberError::Order(fault));
}

#[test]
fn a_removed_member_is_told_and_hears_nothing_more() {
    let mut town = Town::new(2);
    let (mia, tom) = (town.join("mia"), town.join("tom"));
    town.world.post("before");
    town.settle();
    let removal = Order::Remove { member: town.id(mia), messages: false };
    order(&mut town, &removal);
    assert_eq!(town.citizens[mia].member.ended(), Some(EndReason::Removed));
    forgotten(&mut town);
    town.world.post("after");
    town.settle();
    assert_eq!(town.citizens[tom].texts(), ["after"]);
    assert!(town.citizens[mia].heard.is_empty());
    let key = RecordKey::Member(town.id(mia));
    let record = MemberRecord::parse(&key, &town.citizens[tom].kept.0[&key]).unwrap();
    assert_eq!(record.standing(), Standing::Removed);
}

#[test]
fn what_blocked_members_say_is_not_passed_on_until_the_block_ends() {
    let mut town = Town::new(2);
    let (mia, tom) = (town.join("mia"), town.join("tom"));
    let appoint = role(&town, mia, Role::Member);
    order(&mut town, &appoint);
    forgotten(&mut town);
    let block = |town: &Town, blocked| Order::Block { member: town.id(mia), blocked };
    let blocked = block(&town, true);
    order(&mut town, &blocked);
    town.post(mia, "unheard", true);
    let unblocked = block(&town, false);
    order(&mut town, &unblocked);
    town.post(mia, "heard", true);
    assert_eq!(town.citizens[tom].texts(), ["x.grp.mem.restrict", "x.grp.mem.restrict", "heard"]);
    assert!(town.citizens[mia].texts().is_empty(), "nobody tells a member that it is blocked");
}

#[test]
fn moderators_and_admins_keep_order_among_members_without_rights() {
    let mut town = Town::new(2);
    let (mia, tom, eve) = (town.join("mia"), town.join("tom"), town.join("eve"));
    let appoint = role(&town, mia, Role::Admin);
    order(&mut town, &appoint);
    let write = role(&town, eve, Role::Author);
    order(&mut town, &write);
    assert_eq!(town.citizens[eve].member.role(), Role::Author);
    forgotten(&mut town);
    town.post(eve, "spam", false);
    let removal = Order::Remove { member: town.id(eve), messages: true };
    town.order(mia, &removal);
    assert_eq!(town.citizens[eve].member.ended(), Some(EndReason::Removed));
    assert_eq!(town.citizens[tom].texts(), ["spam", "x.grp.mem.del"]);
    // The owner has heard it, and counts her no more.
    assert_eq!(town.world.owner.present(), 2);
    // Relays have forgotten what she wrote: nobody who joins later gets it.
    town.citizens[tom].assert_content();
}

#[test]
fn a_key_that_only_a_relay_knows_is_not_signed() {
    let mut town = Town::new(1);
    let mia = town.join("mia");
    let eve = group::identity::MemberId::from_bytes(b"eve-eve-eve-eve-").unwrap();
    let member_info = MemberInfo {
        member_id: eve.clone(),
        member_role: Role::Observer,
        v: None,
        profile: MemberProfile::named("eve"),
        member_key: Some(town.citizens[mia].member.key()),
    };
    let claim = ChatEvent::GroupMemberNew(MemberNew { member_info, scope: None }.into());
    let relay = town.world.owner.relays()[0].connection();
    town.world.tell_owner_as(&relay, group::body::single(Message::unnamed(claim)).unwrap());
    town.settle();
    let appoint = Order::Role { member: eve.clone(), role: Role::Member, key: Assurance::Proven };
    let refused = town.world.order(&appoint).unwrap_err();
    let OwnerError::Speech(group::membership::MemberError::Order(fault)) = refused else { panic!("{refused:?}") };
    assert_eq!(fault, OrderFault::UnprovenKey(eve));
    // Of mia there is what she signed when she joined.
    let appoint = role(&town, mia, Role::Member);
    order(&mut town, &appoint);
}

#[test]
fn a_group_that_its_owner_ends_is_over_for_everybody() {
    let mut town = Town::new(2);
    let (mia, tom) = (town.join("mia"), town.join("tom"));
    let link = town.world.owner.link().group().short_link().clone();
    order(&mut town, &Order::EndGroup);
    for citizen in [mia, tom] {
        assert_eq!(town.citizens[citizen].member.ended(), Some(EndReason::Deleted));
    }
    for relay in &town.world.relays {
        let service = relay.services().next().unwrap();
        assert_eq!(*service.status(), ServiceStatus::Inactive(Inactivity::GroupDeleted));
    }
    assert!(town.world.behind_link(&link).is_none());
    assert!(town.world.owner.is_closed());
}

#[test]
fn a_relay_that_hides_the_end_of_a_group_is_of_no_use_if_another_one_does_not() {
    let mut town = Town::new(2);
    let mia = town.join("mia");
    town.meddler = |relay, body| {
        let is_end = |element: &Element| match element {
            Element::Forward(Forward { content: ForwardContent::Message(message), .. }) => {
                message.message().event == ChatEvent::GroupDelete
            }
            _ => false,
        };
        if relay == 0 { without(&body, is_end) } else { vec![body] }
    };
    order(&mut town, &Order::EndGroup);
    assert_eq!(town.citizens[mia].member.ended(), Some(EndReason::Deleted));
}

#[test]
fn a_new_name_is_known_to_members_and_to_joiners() {
    let mut town = Town::new(2);
    let (mia, tom) = (town.join("mia"), town.join("tom"));
    town.order(mia, &Order::Profile(MemberProfile::named("Maria").into()));
    let key = RecordKey::Member(town.id(mia));
    let name = |town: &Town, citizen: usize| {
        let record = town.citizens[citizen].kept.0.get(&key).map(|bytes| MemberRecord::parse(&key, bytes).unwrap());
        record.and_then(|record| record.name().map(str::to_owned))
    };
    assert_eq!(name(&town, tom).as_deref(), Some("Maria"));
    town.citizens[tom].assert_content();
    let late = town.join("late");
    let appoint = role(&town, mia, Role::Member);
    order(&mut town, &appoint);
    town.post(mia, "still me", true);
    assert_eq!(name(&town, late).as_deref(), Some("Maria"));
    let heard = town.citizens[late].heard.last().unwrap();
    assert_eq!((heard.author_name.as_deref(), heard.trust()), (Some("Maria"), Trust::Verified(KeySource::Roster)));
}
