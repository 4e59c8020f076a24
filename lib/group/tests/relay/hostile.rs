//! Owners who lie, strangers who repeat what owners said, bodies that say nothing.

use agent::short_link::ContactKind;
use group::body::{ConnectionInfo, single};
use group::event::{Event, GroupInfo, MemberRemoval, RejectionReason, RelayCommand, RelayControl, RoleChange};
use group::identity::{MemberKey, OwnerIdentity};
use group::member::{MemberProfile, Role};
use group::message::Message;
use group::relay::{ConnectionName, Dismissal, Event as RelayEvent, Status};
use group::signature::Signer;
use group::step::keygen::keygen;

use crate::support::{Bench, Done, Found, Owner, id, random};

fn refused(owner: &Owner, change: impl FnOnce(&mut Bench)) -> Option<RejectionReason> {
    let mut bench = Bench::new();
    bench.serve(owner);
    change(&mut bench);
    bench.run();
    assert!(bench.created().is_empty());
    bench.last_rejected()
}

#[test]
fn chat_27_a_group_link_that_is_not_the_groups_own_is_refused() {
    let (walks, songs) = (Owner::new("Walks"), Owner::new("Songs"));
    // Data of another group under the link.
    let other = refused(&walks, |bench| {
        bench.lose(&walks, Found::Data(songs.data().into()));
        bench.invite(walks.invitation("relay-member-id1"));
    });
    assert_eq!(other, Some(RejectionReason::BadProfile));
    // A profile that names another group, or no entity ID in the fixed data.
    for forged in [Owner::forged("Walks", Some(songs.identity.group_id()), true), Owner::forged("Walks", None, false)] {
        let answer = refused(&walks, |bench| {
            bench.found.insert(forged.0.to_string(), Found::Data(forged.1.clone().into()));
            let mut invitation = walks.invitation("relay-member-id1");
            invitation.group_link = forged.0.to_string();
            bench.invite(invitation);
        });
        assert_eq!(answer, Some(RejectionReason::BadProfile));
    }
    // A good one made in the same way is accepted, so that it was not for something else.
    let good = Owner::forged("Walks", None, true);
    let mut bench = Bench::new();
    bench.found.insert(good.0.to_string(), Found::Data(good.1.clone().into()));
    let mut invitation = Owner::new("Walks").invitation("relay-member-id1");
    invitation.group_link = good.0.to_string();
    bench.invite(invitation);
    bench.run();
    assert!(bench.last_accepted().is_some());
}

#[test]
fn whoever_is_no_owner_in_the_group_link_is_refused() {
    let owner = Owner::new("Walks");
    let answer = refused(&owner, |bench| {
        let mut invitation = owner.invitation("relay-member-id1");
        invitation.from_member.member_id = id("somebody-else---");
        bench.invite(invitation);
    });
    assert_eq!(answer, Some(RejectionReason::BadProfile));
}

#[test]
fn requests_that_make_no_sense_get_no_answer() {
    let owner = Owner::new("Walks");
    let mut invitations = Vec::new();
    let mut change = |expected: Dismissal, change: &dyn Fn(&mut group::event::GroupRelayInvitation)| {
        let mut invitation = owner.invitation("relay-member-id1");
        change(&mut invitation);
        invitations.push((expected, invitation));
    };
    change(Dismissal::GroupLink, &|invitation| invitation.group_link = "no link".to_owned());
    let relay_address = agent::short_link::ContactShortLink { kind: ContactKind::Relay, ..owner.short_link() };
    change(Dismissal::GroupLink, &|invitation| invitation.group_link = relay_address.to_string());
    change(Dismissal::NotByOwner, &|invitation| invitation.from_member.member_role = Role::Admin);
    change(Dismissal::MemberId, &|invitation| invitation.relay_member_id = invitation.from_member.member_id.clone());
    change(Dismissal::OwnerName, &|invitation| invitation.from_member_profile = MemberProfile::named("#x"));
    for (expected, invitation) in invitations {
        let mut bench = Bench::new();
        bench.serve(&owner);
        let request = bench.invite(invitation);
        bench.run();
        assert_eq!(bench.events, [RelayEvent::Dismissed(expected)]);
        assert_eq!(bench.done, [Done::Dismissed(request)]);
        assert_eq!(bench.services(), 0);
    }
    let mut bench = Bench::new();
    for info in [b"".as_slice(), b"{", b"=\x02", &[0xff; 40]] {
        bench.request_bytes(info);
    }
    bench.request(Event::Ok);
    bench.run();
    assert_eq!(bench.done.len(), 5);
    assert!(bench.done.iter().all(|done| matches!(done, Done::Dismissed(_))));
}

#[test]
fn a_stranger_who_repeats_an_invitation_gains_nothing() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, link) = bench.activate(&mut owner, "relay-member-id1");
    // It gets the link that everybody can see, as often as it asks, and the owner's connection stays.
    for _ in 0..10 {
        bench.invite(owner.invitation("relay-member-id1"));
        bench.run();
        let (other, same) = bench.last_accepted().unwrap();
        bench.step(|relay, env| relay.connected(&other, env));
        assert_eq!(same, link);
    }
    assert!(!bench.deleted().contains(&connection));
    let open = 11 - bench.deleted().len();
    assert!(open <= 4, "{open} connections");

    // What it says there counts only if an owner signed it.
    let (strange, _) = bench.last_accepted().unwrap();
    let stranger: OwnerIdentity = keygen(&mut random("stranger"));
    let key = MemberKey::from(&stranger.owner_key);
    let group = owner.identity.group_id();
    let signer = Signer { group: &group, member: &owner.identity.owner_id, key: &key };
    let removal = || {
        let member_id = id("relay-member-id1");
        Event::GroupMemberDelete(MemberRemoval { member_id, messages: None, roster_version: None })
    };
    let mut random = random("stranger says");
    for event in [
        removal(),
        Event::GroupDelete,
        Event::GroupInfo(GroupInfo::from(owner.profile()).into()),
        Event::GroupRelayControl(RelayControl { command: RelayCommand::Suspend }),
    ] {
        let unsigned = single(Message::named(event.clone(), &mut random)).unwrap();
        let forged = single(signer.sign(Message::named(event, &mut random))).unwrap();
        bench.receive(strange, &unsigned);
        bench.receive(strange, &forged);
    }
    assert_eq!(bench.status(service), Status::Active);
    assert!(bench.sent().is_empty());

    // A repeat in the name of another owner is not even that.
    bench.events.clear();
    let mut invitation = owner.invitation("relay-member-id1");
    invitation.from_member.member_id = id("somebody-else---");
    bench.invite(invitation);
    assert_eq!(bench.events, [RelayEvent::Dismissed(Dismissal::OtherOwner)]);
}

#[test]
fn a_word_for_another_group_does_not_count() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    let key = MemberKey::from(&owner.identity.owner_key);
    let other = Owner::new("Songs").identity.group_id();
    let signer = Signer { group: &other, member: &owner.identity.owner_id, key: &key };
    let body = single(signer.sign(Message::named(Event::GroupDelete, &mut random("other")))).unwrap();
    bench.receive(connection, &body);
    assert_eq!(bench.status(service), Status::Active);
    let body = owner.says(Event::GroupDelete);
    bench.receive(connection, &body);
    assert!(!bench.status(service).is_current());
}

#[test]
fn an_owner_cannot_appoint_itself_or_the_relay_through_the_roster() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    for member_id in [owner.identity.owner_id.clone(), id("relay-member-id1")] {
        let change = RoleChange { member_id, role: Role::Observer, member_key: None, roster_version: None };
        let body = owner.says(Event::GroupMemberRole(change));
        bench.receive(connection, &body);
    }
    let end = owner.says(Event::GroupDelete);
    bench.receive(connection, &end);
    assert!(!bench.status(service).is_current(), "the owner is still one");
}

#[test]
fn bodies_that_say_nothing_are_logged_within_limits_and_change_nothing() {
    let mut bench = Bench::new();
    let mut owner = Owner::new("Walks");
    let (service, connection, _) = bench.activate(&mut owner, "relay-member-id1");
    let before = bench.log.len();
    let mut flood = vec![b'=', 255];
    for _ in 0..255 {
        flood.extend([0, 1, b'?']);
    }
    for body in [b"".as_slice(), b"X", b"[", b"=\x01", &flood, &vec![b'{'; 70_000]] {
        bench.receive(connection, body);
    }
    assert_eq!(bench.status(service), Status::Active);
    let lines = bench.log.len() - before;
    assert!((5..=30).contains(&lines), "{lines}");
    let end = owner.says(Event::GroupDelete);
    bench.receive(connection, &end);
    assert!(!bench.status(service).is_current());
}

#[test]
fn connections_that_are_not_ours_are_told_apart() {
    let mut bench = Bench::new();
    let nobody = ConnectionName::Owner(group::relay::ServiceId(5), 1);
    let ok = ConnectionInfo::unsigned(Event::Ok).to_bytes().unwrap();
    bench.step(|relay, env| relay.informed(&nobody, &ok, env));
    bench.step(|relay, env| relay.connected(&nobody, env));
    bench.step(|relay, env| relay.received(&nobody, 0, b"{}", env));
    assert_eq!(bench.events, vec![RelayEvent::UnknownConnection(nobody); 3]);
    for name in
        [nobody, ConnectionName::Address, ConnectionName::Link(group::relay::ServiceId(1)), ConnectionName::Test(2)]
    {
        assert_eq!(name.to_string().parse(), Ok(name));
    }
    for text in ["", "owner", "owner-1", "link-", "link-1-2", "address-1", "test-x"] {
        assert!(text.parse::<ConnectionName>().is_err(), "{text}");
    }
}
