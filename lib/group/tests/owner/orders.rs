//! Orders of an owner: what relays get, what is kept, and what is refused.

use codec::Encode as _;
use group::element::Element;
use group::event::{Event as ChatEvent, MemberRemoval, RoleChange};
use group::identity::{MemberId, MemberKey, MemberPublicKey};
use group::member::{MemberProfile, Restriction, Role};
use group::membership::{Assurance, MemberError, Order, OrderFault, RecordKey};
use group::message::Message;
use group::owner::{
    ActiveStage, EndReason, Event, GroupOwner, InactiveReason, Issued, Outcome, OwnerError, Persona, Status, TaskId,
};
use group::profile::GroupProfile;
use group::roster::RosterVersion;

use crate::support::{Desk, Memory, Out, Relay, server};

fn id(name: &str) -> MemberId {
    MemberId::from_bytes(name.as_bytes()).unwrap()
}

fn key(name: &str) -> MemberPublicKey {
    MemberKey::generate(&mut crypto::SeededRandom::new(&[3; 32], name)).public()
}

fn version(number: i64) -> RosterVersion {
    RosterVersion::new(number).unwrap()
}

/// What is kept of a member that a relay told of; `proven` if the member signed its key.
fn known(memory: &mut Memory, name: &str, proven: bool) {
    let key = codec::text::base64url_unpadded(key(name).0.as_bytes());
    let record = serde_json::json!({"v": 1, "name": name, "role": "observer", "key": key, "proven": proven});
    memory.records.insert(RecordKey::Member(id(name)), serde_json::to_vec(&record).unwrap());
}

fn role(name: &str, role: Role) -> Order {
    Order::Role { member: id(name), role, key: Assurance::Proven }
}

fn removal(name: &str, messages: bool) -> Order {
    Order::Remove { member: id(name), messages }
}

fn block(name: &str, blocked: bool) -> Order {
    Order::Block { member: id(name), blocked }
}

fn give(desk: &mut Desk, memory: &mut Memory, order: &Order) -> Result<Issued, OwnerError> {
    let issued = desk.with(|owner, env| owner.order(order, &*memory, env))?;
    memory.write(&issued.changes);
    desk.events.extend(issued.events.iter().cloned());
    Ok(issued)
}

fn fault(desk: &mut Desk, memory: &mut Memory, order: &Order) -> OrderFault {
    let before = serde_json::to_string(&group::document::GroupDocument::from(&desk.owner)).unwrap();
    let error = give(desk, memory, order).unwrap_err();
    let after = serde_json::to_string(&group::document::GroupDocument::from(&desk.owner)).unwrap();
    assert_eq!(before, after, "what is refused changes nothing");
    match error {
        OwnerError::Speech(MemberError::Order(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

/// What a relay was told since it was brought into the group, as names; all of it is signed.
fn told(desk: &Desk, relay: &MemberId) -> Vec<String> {
    desk.said_names(relay).into_iter().skip_while(|name| name == "x.grp.roster").collect()
}

fn last(desk: &Desk, relay: &MemberId) -> ChatEvent {
    let (message, signed): (Message, bool) = desk.said(relay).pop().unwrap();
    assert!(signed);
    message.event
}

/// An owner with a relay that takes rosters, one that does not, and somebody who joined and signed its key.
fn desk() -> (Desk, Memory, MemberId, MemberId) {
    let mut desk = Desk::new();
    let new = desk.activate(Relay::new(1));
    let old = desk.activate(Relay::old(2));
    desk.out.clear();
    let mut memory = Memory::default();
    known(&mut memory, "mia", true);
    (desk, memory, new, old)
}

#[test]
fn a_promotion_is_numbered_and_relays_get_the_roster_before_it() {
    let (mut desk, mut memory, new, old) = desk();
    let issued = give(&mut desk, &mut memory, &role("mia", Role::Moderator)).unwrap();
    assert_eq!(issued.relays, [new.clone(), old.clone()]);
    assert_eq!(desk.owner.roster().version(), Some(version(1)), "it holds for the owner before relays have it");
    // The run is killed: what was decided is done by the next one, in the same order.
    desk.restart();
    desk.run();
    assert_eq!(desk.said_names(&new), ["x.grp.roster", "x.grp.mem.role"]);
    assert_eq!(desk.said_names(&old), ["x.grp.mem.role"]);
    let ChatEvent::GroupRoster(header) = &desk.said(&new)[0].0.event else { panic!() };
    assert_eq!(header.version, version(1));
    let change = RoleChange {
        member_id: id("mia"),
        role: Role::Moderator,
        member_key: Some(key("mia")),
        roster_version: Some(version(1)),
    };
    for relay in [&new, &old] {
        assert_eq!(last(&desk, relay), ChatEvent::GroupMemberRole(change.clone()));
    }
    assert_eq!(desk.said(&new)[1].0.id, issued.message);
    assert_eq!(desk.owner.roster().role(&id("mia")), Some(Role::Moderator));
    assert_eq!(desk.owner.roster().key(&id("mia")), Some(key("mia")));
    let sent = Event::Sent { relay: new, message: issued.message.unwrap() };
    assert!(desk.events.contains(&sent));
}

#[test]
fn the_roster_blob_is_what_the_header_announces() {
    let (mut desk, mut memory, new, _) = desk();
    give(&mut desk, &mut memory, &role("mia", Role::Member)).unwrap();
    desk.run();
    let bodies: Vec<&Vec<u8>> = desk
        .out
        .iter()
        .filter_map(|out| match out {
            Out::Said(name, body) if *name == desk.connection(&new) => Some(body),
            _ => None,
        })
        .collect();
    let ChatEvent::GroupRoster(header) = &desk.said(&new)[0].0.event else { panic!() };
    let chunk = group::body::Batch::parse(bodies[1]).unwrap().into_iter().next().unwrap().unwrap();
    let Element::Chunk(chunk) = chunk else { panic!("{chunk:?}") };
    assert_eq!(chunk.file, desk.said(&new)[0].0.id.clone().unwrap());
    let blob = desk.owner.roster().to_blob().to_bytes();
    let group::chunk::ChunkPart::Data(_, bytes) = &chunk.part else { panic!() };
    assert_eq!(*bytes, blob);
    assert_eq!(header.file_inv.file_digest, crypto::hash::sha512(&blob));
}

#[test]
fn an_order_given_twice_is_given_once() {
    let (mut desk, mut memory, new, _) = desk();
    for order in [
        role("mia", Role::Member),
        block("mia", true),
        block("mia", false),
        role("mia", Role::Observer),
        removal("mia", false),
    ] {
        let first = give(&mut desk, &mut memory, &order).unwrap();
        assert!(first.message.is_some(), "{order:?}");
        let second = give(&mut desk, &mut memory, &order).unwrap();
        assert_eq!((second.message, second.relays.len()), (None, 0), "{order:?}");
    }
    desk.run();
    let names = told(&desk, &new);
    let count = |name: &str| names.iter().filter(|told| *told == name).count();
    assert_eq!((count("x.grp.mem.role"), count("x.grp.mem.restrict"), count("x.grp.mem.del")), (2, 2, 1));
    assert_eq!(desk.owner.roster().version(), Some(version(2)), "only what alters the roster is numbered");
}

#[test]
fn several_orders_that_wait_follow_one_roster_in_their_order() {
    let (mut desk, mut memory, new, _) = desk();
    known(&mut memory, "tom", true);
    give(&mut desk, &mut memory, &role("mia", Role::Member)).unwrap();
    give(&mut desk, &mut memory, &role("tom", Role::Admin)).unwrap();
    give(&mut desk, &mut memory, &removal("mia", true)).unwrap();
    desk.run();
    assert_eq!(desk.said_names(&new), ["x.grp.roster", "x.grp.mem.role", "x.grp.mem.role", "x.grp.mem.del"]);
    let ChatEvent::GroupRoster(header) = &desk.said(&new)[0].0.event else { panic!() };
    assert_eq!(header.version, version(3));
    let removal = MemberRemoval { member_id: id("mia"), messages: Some(true), roster_version: Some(version(3)) };
    assert_eq!(last(&desk, &new), ChatEvent::GroupMemberDelete(removal));
}

#[test]
fn roles_without_rights_are_neither_numbered_nor_in_the_roster() {
    let (mut desk, mut memory, new, _) = desk();
    known(&mut memory, "tom", false);
    give(&mut desk, &mut memory, &role("tom", Role::Author)).unwrap();
    desk.run();
    let change = RoleChange { member_id: id("tom"), role: Role::Author, member_key: None, roster_version: None };
    assert_eq!(desk.said_names(&new), ["x.grp.mem.role"]);
    assert_eq!(last(&desk, &new), ChatEvent::GroupMemberRole(change));
    assert_eq!(desk.owner.roster().version(), None);
    give(&mut desk, &mut memory, &removal("tom", false)).unwrap();
    desk.run();
    let removal = MemberRemoval { member_id: id("tom"), messages: None, roster_version: None };
    assert_eq!(last(&desk, &new), ChatEvent::GroupMemberDelete(removal));
}

#[test]
fn only_a_key_that_the_member_proved_or_that_was_compared_is_signed() {
    let (mut desk, mut memory, ..) = desk();
    known(&mut memory, "tom", false);
    let with = |key| Order::Role { member: id("tom"), role: Role::Member, key };
    let unproven = fault(&mut desk, &mut memory, &with(Assurance::Proven));
    assert_eq!(unproven, OrderFault::UnprovenKey(id("tom")));
    assert!(unproven.advice().unwrap().contains("--key"));
    // The member says that its key is another one: the relay lied.
    let compared = Assurance::Compared(key("the real tom"));
    give(&mut desk, &mut memory, &with(compared)).unwrap();
    assert_eq!(desk.owner.roster().key(&id("tom")), Some(key("the real tom")));
    assert_eq!(
        fault(&mut desk, &mut memory, &with(Assurance::Compared(key("tom")))),
        OrderFault::OtherKey(id("tom")),
        "a pinned key stays"
    );
    known(&mut memory, "ann", false);
    let forced = Order::Role { member: id("ann"), role: Role::Member, key: Assurance::RelaysWord };
    give(&mut desk, &mut memory, &forced).unwrap();
    assert_eq!(desk.owner.roster().key(&id("ann")), Some(key("ann")));
    let unknown = Order::Role { member: id("eve"), role: Role::Member, key: Assurance::RelaysWord };
    assert_eq!(fault(&mut desk, &mut memory, &unknown), OrderFault::UnknownMember(id("eve")));
    let compared = Order::Role { member: id("eve"), role: Role::Member, key: Assurance::Compared(key("eve")) };
    assert!(give(&mut desk, &mut memory, &compared).unwrap().message.is_some(), "no relay has to tell of her");
}

#[test]
fn what_is_not_for_an_order_is_refused() {
    let (mut desk, mut memory, new, _) = desk();
    let owner = desk.owner_identity().owner_id;
    let mut refuses = |order: Order| fault(&mut desk, &mut memory, &order);
    for given in [Role::Owner, Role::Relay, Role::Other("king".to_owned())] {
        assert_eq!(refuses(role("mia", given.clone())), OrderFault::NotAssignable(given));
    }
    for order in [
        Order::Role { member: owner.clone(), role: Role::Observer, key: Assurance::Proven },
        Order::Remove { member: owner.clone(), messages: false },
        Order::Block { member: owner.clone(), blocked: true },
    ] {
        assert_eq!(refuses(order), OrderFault::Oneself);
    }
    for order in [
        Order::Role { member: new.clone(), role: Role::Admin, key: Assurance::Proven },
        Order::Remove { member: new.clone(), messages: false },
        Order::Block { member: new.clone(), blocked: true },
    ] {
        assert_eq!(refuses(order), OrderFault::Relay(new.clone()));
    }
    for order in [role("eve", Role::Author), removal("eve", false), block("eve", true)] {
        assert_eq!(refuses(order), OrderFault::UnknownMember(id("eve")));
    }
    let someone = MemberProfile::named("Someone");
    assert_eq!(refuses(Order::Profile(someone.into())), OrderFault::Incognito);
}

#[test]
fn nothing_is_decided_about_who_was_removed() {
    let (mut desk, mut memory, new, _) = desk();
    give(&mut desk, &mut memory, &removal("mia", false)).unwrap();
    for order in [role("mia", Role::Author), block("mia", true)] {
        assert_eq!(fault(&mut desk, &mut memory, &order), OrderFault::Gone(id("mia")));
    }
    // But what it wrote may still go.
    assert!(give(&mut desk, &mut memory, &removal("mia", true)).unwrap().message.is_some());
    assert!(give(&mut desk, &mut memory, &removal("mia", true)).unwrap().message.is_none());
    desk.run();
    assert_eq!(told(&desk, &new), ["x.grp.mem.del", "x.grp.mem.del"]);
}

#[test]
fn a_block_is_told_and_taken_back() {
    let (mut desk, mut memory, new, _) = desk();
    for (blocked, restriction) in [(true, Restriction::Blocked), (false, Restriction::Unrestricted)] {
        give(&mut desk, &mut memory, &block("mia", blocked)).unwrap();
        desk.run();
        let ChatEvent::GroupMemberRestrict(said) = last(&desk, &new) else { panic!() };
        assert_eq!((said.member_id, said.member_restrictions.restriction), (id("mia"), restriction));
    }
}

#[test]
fn the_roster_takes_no_more_than_relays_do() {
    let (mut desk, mut memory, ..) = desk();
    let member = |number: usize| id(&format!("{number:0>144}"));
    let appoint = |number: usize| Order::Role {
        member: member(number),
        role: Role::Member,
        key: Assurance::Compared(key("anybody")),
    };
    let mut number = 0;
    let full = loop {
        match give(&mut desk, &mut memory, &appoint(number)) {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
        desk.run();
    };
    assert_eq!(full, OwnerError::Speech(MemberError::Order(OrderFault::Full)));
    assert!(desk.owner.roster().to_blob().to_bytes().len() <= 32_768);
    // Long names take room; there are never more than 256 members with rights.
    assert!((100..=256).contains(&number), "{number}");
}

#[test]
fn an_owner_with_a_name_takes_another_one_and_later_relays_are_asked_under_it() {
    let mut desk = Desk::new();
    desk.owner = GroupOwner::from(desk.owner.link().clone());
    let anna = Persona::known(MemberProfile::named("Anna"), server("receive.example.org")).unwrap();
    desk.owner.introduce(anna).unwrap();
    let relay = desk.activate(Relay::new(1));
    let mut memory = Memory::default();
    let renamed = MemberProfile { contact_link: Some("https://example.org".to_owned()), ..MemberProfile::named("Ann") };
    let order = Order::Profile(renamed.into());
    assert!(give(&mut desk, &mut memory, &order).unwrap().message.is_some());
    desk.restart();
    assert!(give(&mut desk, &mut memory, &order).unwrap().message.is_none());
    desk.run();
    let ChatEvent::Info(info) = last(&desk, &relay) else { panic!() };
    assert_eq!((info.profile.display_name.as_str(), &info.profile.contact_link), ("Ann", &None));
    desk.invite(Relay::new(2));
    desk.run();
    assert_eq!(desk.invitations().pop().unwrap().from_member_profile.display_name, "Ann");
}

#[test]
fn without_a_relay_no_order_is_given() {
    let mut desk = Desk::new();
    let mut memory = Memory::default();
    known(&mut memory, "mia", true);
    let refused = give(&mut desk, &mut memory, &role("mia", Role::Member)).unwrap_err();
    assert_eq!(refused, OwnerError::Speech(MemberError::NotConnected));
    assert_eq!(desk.owner.roster().version(), None);
}

#[test]
fn a_relay_that_connects_later_gets_the_roster_as_it_is_then() {
    let (mut desk, mut memory, ..) = desk();
    give(&mut desk, &mut memory, &role("mia", Role::Member)).unwrap();
    desk.run();
    let late = desk.accept(Relay::new(3));
    desk.run();
    let ChatEvent::GroupRoster(header) = last(&desk, &late) else { panic!() };
    assert_eq!(header.version, version(1));
    desk.receive(&late, &Relay::new(3).acknowledges(0, None));
    desk.run();
    assert_eq!(desk.status(&late), Status::Accepted, "an older roster is not enough");
    desk.receive(&late, &Relay::new(3).acknowledges(1, None));
    desk.run();
    assert_eq!(desk.status(&late), Status::Active);
}

#[test]
fn the_end_of_the_group_is_the_last_word_to_every_relay_and_the_link_goes() {
    let (mut desk, mut memory, new, old) = desk();
    let invited = desk.invite(Relay::new(3));
    desk.run();
    let published = desk.published.len();
    give(&mut desk, &mut memory, &block("mia", true)).unwrap();
    let issued = give(&mut desk, &mut memory, &Order::EndGroup).unwrap();
    assert_eq!(issued.relays, [new.clone(), old.clone()]);
    assert!(!desk.owner.is_closed());
    // Killed in between: the same order changes nothing, and what is left is done.
    desk.restart();
    assert!(give(&mut desk, &mut memory, &Order::EndGroup).unwrap().message.is_none());
    desk.run();
    for relay in [&new, &old] {
        assert_eq!(last(&desk, relay), ChatEvent::GroupDelete);
        let connection = desk.connection(relay);
        assert!(desk.out.contains(&Out::Deleted(connection, agent::connection::Delivery::Await)));
    }
    for relay in [&new, &old, &invited] {
        let reason = desk.owner.relay(relay).unwrap().reason();
        assert_eq!(reason, Some(EndReason::Inactive(InactiveReason::GroupDeleted)));
    }
    assert!(desk.out.contains(&Out::LinkDeleted));
    assert_eq!(desk.published.len(), published, "a link that goes is not written any more");
    assert!(desk.owner.is_closed() && desk.owner.due(desk.now).is_empty());
    desk.restart();
    assert!(desk.owner.is_closed() && desk.owner.due(desk.now).is_empty());
}

#[test]
fn a_link_that_cannot_be_deleted_now_is_deleted_later() {
    let (mut desk, mut memory, ..) = desk();
    give(&mut desk, &mut memory, &Order::EndGroup).unwrap();
    desk.finish(&TaskId::DeleteLink, Outcome::Unreachable("no route".to_owned()));
    desk.finish(&TaskId::DeleteLink, Outcome::Refused("not so fast".to_owned()));
    let failed = desk.events.iter().filter(|event| matches!(event, Event::LinkNotDeleted { .. })).count();
    assert_eq!(failed, 2);
    desk.run();
    assert!(!desk.owner.is_closed());
    desk.now = desk.owner.next_due().unwrap();
    desk.run();
    assert!(desk.owner.is_closed());
    assert!(desk.events.contains(&Event::LinkDeleted));
}

#[test]
fn nothing_happens_in_a_group_that_was_ended() {
    let (mut desk, mut memory, new, _) = desk();
    give(&mut desk, &mut memory, &Order::EndGroup).unwrap();
    desk.run();
    let over = |error: OwnerError| assert_eq!(error, OwnerError::Over);
    over(give(&mut desk, &mut memory, &block("mia", true)).unwrap_err());
    let address = desk.publish(&Relay::new(4).address());
    over(desk.with(|owner, env| owner.invite(address, env)).unwrap_err());
    let renamed = GroupProfile::named("Runs");
    over(desk.with(|owner, env| owner.set_contents(renamed, 1, env)).unwrap_err());
    assert_eq!(desk.owner.relay(&new).unwrap().active_stage(), None::<ActiveStage>);
}

#[test]
fn a_document_of_an_ended_group_says_so_or_is_refused() {
    let (mut desk, mut memory, ..) = desk();
    give(&mut desk, &mut memory, &Order::EndGroup).unwrap();
    let document = group::document::GroupDocument::from(&desk.owner);
    assert_eq!(document.status, group::document::GroupStatus::Ended);
    let read = |change: fn(&mut group::document::GroupDocument)| {
        let mut document = document.clone();
        change(&mut document);
        group::document::GroupState::try_from(document).map(drop).map_err(|fault| fault.field)
    };
    assert_eq!(read(|_| {}), Ok(()));
    assert_eq!(read(|document| document.closing = None), Err("closing"));
    assert_eq!(read(|document| document.status = group::document::GroupStatus::Created), Err("closing"));
}
