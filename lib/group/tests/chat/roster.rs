//! Rosters and their versions: lines 53 to 55 of the checklist.

use codec::{Decode, Encode};
use group::chunk::{Chunk, ChunkPart};
use group::event::{Event, RosterHeader, RosterRequest};
use group::identity::MemberPublicKey;
use group::keys::{Asserted, KeySource};
use group::member::Role;
use group::message::Message;
use group::roster::{OldRoster, Roster, RosterEffect, RosterVersion, Served};
use group::roster_blob::{RosterBlob, RosterEntry};
use group::roster_transfer::{CompleteRoster, RosterTransfer, TransferError, TransferProgress, acknowledgement};
use group::verification::AcceptedMessage;
use serde_json::{Value, json};

use crate::support::{
    ADMIN, OBSERVER, OWNER, RELAY, id, key_of, links, message, message_id, signed, verify, version, word_of_owner,
};

const HEADER: &str = "DA0ODxAREhMUFRYX";

fn role_event(member: &str, role: &str, key: Option<MemberPublicKey>, version: Option<i64>) -> Message {
    let mut params = json!({"memberId": codec::text::base64url(member.as_bytes()), "role": role});
    let fields = params.as_object_mut().unwrap();
    fields.extend(key.map(|key| ("memberKey".to_owned(), Value::from(codec::text::base64url(&key.0.to_der())))));
    fields.extend(version.map(|version| ("rosterVersion".to_owned(), Value::from(version))));
    message("x.grp.mem.role", params)
}

fn appointment(member: &str, role: &str, version: i64) -> AcceptedMessage {
    word_of_owner(role_event(member, role, Some(key_of(member).public()), Some(version)))
}

fn removal(member: &str, version: Option<i64>) -> Message {
    let mut params = json!({"memberId": codec::text::base64url(member.as_bytes())});
    let fields = params.as_object_mut().unwrap();
    fields.extend(version.map(|version| ("rosterVersion".to_owned(), Value::from(version))));
    message("x.grp.mem.del", params)
}

/// A roster after some events of the owner.
fn roster_after(events: &[AcceptedMessage]) -> Roster {
    let mut roster = Roster::default();
    for event in events {
        assert_eq!(roster.apply(event, &links()), RosterEffect::Applied);
    }
    roster
}

fn entry(member: &str, role: Role) -> RosterEntry {
    RosterEntry { member_id: id(member), key: key_of(member).public(), role }
}

fn announced(header: RosterHeader) -> AcceptedMessage {
    word_of_owner(message("x.grp.roster", serde_json::to_value(header).unwrap()))
}

/// Everything that arrives for a list.
fn transfer(entries: Vec<RosterEntry>, number: i64, chunks: &[Chunk]) -> Result<CompleteRoster, TransferError> {
    let blob = RosterBlob::new(entries).unwrap();
    let mut transfer = RosterTransfer::begin(&announced(blob.header(version(number))), &Roster::default(), None)?;
    for chunk in chunks {
        match transfer.chunk(chunk)? {
            TransferProgress::Waiting(waiting) => transfer = waiting,
            TransferProgress::Complete(complete) => return Ok(complete),
        }
    }
    panic!("more chunks should have come")
}

fn complete(entries: Vec<RosterEntry>, number: i64) -> CompleteRoster {
    let chunks = RosterBlob::new(entries.clone()).unwrap().chunks(&message_id(HEADER));
    transfer(entries, number, &chunks).unwrap()
}

#[test]
fn chat_53_a_lower_roster_version_is_a_replay_and_an_equal_one_is_applied() {
    let mut roster = roster_after(&[appointment(ADMIN, "admin", 1), appointment(ADMIN, "member", 2)]);
    let before = roster.clone();
    assert_eq!(roster.apply(&appointment(ADMIN, "admin", 1), &links()), RosterEffect::Replayed);
    assert_eq!(roster, before);
    assert_eq!(roster.apply(&appointment(ADMIN, "moderator", 2), &links()), RosterEffect::Applied);
    assert_eq!((roster.role(&id(ADMIN)), roster.version()), (Some(Role::Moderator), Some(version(2))));

    let old_removal = word_of_owner(removal(ADMIN, Some(1)));
    assert_eq!(roster.apply(&old_removal, &links()), RosterEffect::Replayed);
    assert_eq!(roster.role(&id(ADMIN)), Some(Role::Moderator));
    let old_list = roster.apply_complete(&complete(vec![], 1), &links());
    assert_eq!(old_list, Err(OldRoster { offered: version(1), applied: version(2) }));
    assert!(roster.apply_complete(&complete(vec![], 2), &links()).is_ok());
}

#[test]
fn chat_54_a_list_with_a_wrong_digest_is_not_applied_and_acknowledged_with_an_error() {
    let entries = vec![entry(ADMIN, Role::Admin)];
    let mut chunks = RosterBlob::new(entries.clone()).unwrap().chunks(&message_id(HEADER));
    let ChunkPart::Data(_, bytes) = &mut chunks[0].part else { panic!("data") };
    *bytes.last_mut().unwrap() ^= 1;
    let refused = transfer(entries, 1, &chunks).unwrap_err();
    assert_eq!(refused, TransferError::Digest);
    let Event::GroupRosterAcknowledgement(bad) = acknowledgement(version(1), Err(refused)) else { panic!("an answer") };
    assert_eq!((bad.version, bad.error.is_some()), (version(1), true));
    let Event::GroupRosterAcknowledgement(good) = acknowledgement(version(1), Ok(())) else { panic!("an answer") };
    assert_eq!((good.version, good.error), (version(1), None));
}

#[test]
fn chat_55_members_that_are_not_listed_any_more_are_observers() {
    let mut roster = roster_after(&[appointment(ADMIN, "admin", 1), appointment(OBSERVER, "member", 2)]);
    let update = roster.apply_complete(&complete(vec![entry(ADMIN, Role::Moderator)], 3), &links()).unwrap();
    assert_eq!(update.changed, [(id(ADMIN), Role::Moderator), (id(OBSERVER), Role::Observer)]);
    assert!(update.other_keys.is_empty());
    assert_eq!(roster.role(&id(OBSERVER)), Some(Role::Observer));
    assert_eq!(roster.key(&id(OBSERVER)), Some(key_of(OBSERVER).public()), "the key stays pinned");
    assert_eq!(roster.listed().collect::<Vec<_>>(), [(&id(ADMIN), &Role::Moderator)]);
}

#[test]
fn chat_55_another_key_for_a_pinned_member_is_refused() {
    let other = key_of("somebody else").public();
    let mut roster = roster_after(&[appointment(ADMIN, "moderator", 1)]);
    let before = roster.clone();
    let with_other_key = word_of_owner(role_event(ADMIN, "admin", Some(other), Some(2)));
    assert_eq!(roster.apply(&with_other_key, &links()), RosterEffect::OtherKey);
    assert_eq!(roster, before);

    for (role, expected) in [(Role::Admin, Role::Moderator), (Role::Member, Role::Member)] {
        let mut roster = before.clone();
        let listed = RosterEntry { key: other, ..entry(ADMIN, role) };
        let update = roster.apply_complete(&complete(vec![listed], 2), &links()).unwrap();
        assert_eq!(update.other_keys, [id(ADMIN)]);
        assert_eq!((roster.key(&id(ADMIN)), roster.role(&id(ADMIN))), (Some(key_of(ADMIN).public()), Some(expected)));
    }
    // A member that lost its rights does not get them back under another key.
    let mut roster = before;
    roster.apply_complete(&complete(vec![], 2), &links()).unwrap();
    let listed = RosterEntry { key: other, ..entry(ADMIN, Role::Admin) };
    roster.apply_complete(&complete(vec![listed], 3), &links()).unwrap();
    assert_eq!(roster.role(&id(ADMIN)), Some(Role::Observer));
}

#[test]
fn members_sign_with_their_pinned_key() {
    let roster = roster_after(&[appointment(ADMIN, "admin", 1)]);
    let asserted = Asserted { role: Role::Owner, key: Some(key_of("somebody else").public()) };
    let author = links().author(&id(ADMIN), &roster, asserted);
    assert_eq!((author.role(), author.key()), (&Role::Admin, Some((key_of(ADMIN).public(), KeySource::Roster))));
    let restrict = json!({"memberId": "YQ==", "memberRestrictions": {"restriction": "blocked"}});
    assert!(verify(signed(ADMIN, message("x.grp.mem.restrict", restrict)), &author).unwrap().trust().is_verified());
}

#[test]
fn only_owners_change_the_roster_and_never_owners_or_relays_by_it() {
    let mut roster = roster_after(&[appointment(ADMIN, "admin", 1)]);
    let before = roster.clone();
    let admin = links().author(&id(ADMIN), &roster, Asserted::default());
    let by_admin = |message: Message| verify(signed(ADMIN, message), &admin).unwrap();
    for refused in [
        by_admin(role_event(OBSERVER, "member", None, Some(2))),
        by_admin(role_event(ADMIN, "observer", None, Some(2))),
        by_admin(removal(ADMIN, Some(2))),
        word_of_owner(role_event(OWNER, "observer", None, Some(2))),
        word_of_owner(role_event(RELAY, "admin", None, Some(2))),
        word_of_owner(role_event(OBSERVER, "owner", None, Some(2))),
        word_of_owner(role_event(OBSERVER, "relay", None, Some(2))),
        word_of_owner(role_event(OBSERVER, "commenter", None, Some(2))),
    ] {
        assert_eq!(roster.apply(&refused, &links()), RosterEffect::NotAllowed);
    }
    // The version means nothing unless an owner states it.
    for unaffected in [
        by_admin(role_event(OBSERVER, "author", None, Some(9))),
        by_admin(removal(OBSERVER, Some(9))),
        word_of_owner(removal(RELAY, None)),
        word_of_owner(role_event(OBSERVER, "author", None, None)),
        word_of_owner(message("x.grp.del", json!({}))),
    ] {
        assert_eq!(roster.apply(&unaffected, &links()), RosterEffect::Unaffected);
    }
    assert_eq!(roster, before);
    let listed = complete(vec![entry(OWNER, Role::Member), entry(RELAY, Role::Admin)], 2);
    roster.apply_complete(&listed, &links()).unwrap();
    assert_eq!(roster.listed().count(), 0);
}

fn missing(roster: &Roster) -> Option<Option<RosterVersion>> {
    roster.missing().map(|request| request.version)
}

#[test]
fn members_ask_for_the_list_when_versions_are_missing() {
    let mut roster = roster_after(&[appointment(ADMIN, "member", 1)]);
    assert_eq!(missing(&roster), None);
    roster.apply(&appointment(ADMIN, "moderator", 2), &links());
    assert_eq!(missing(&roster), None);
    roster.apply(&appointment(ADMIN, "admin", 4), &links());
    assert_eq!(missing(&roster), Some(Some(version(2))));
    assert_eq!(roster.role(&id(ADMIN)), Some(Role::Admin), "the event counts all the same");
    roster.apply(&appointment(ADMIN, "member", 5), &links());
    assert_eq!(missing(&roster), Some(Some(version(2))));
    roster.apply_complete(&complete(vec![entry(ADMIN, Role::Member)], 5), &links()).unwrap();
    assert_eq!(missing(&roster), None);
    roster.apply(&word_of_owner(removal(ADMIN, Some(6))), &links());
    assert_eq!((missing(&roster), roster.role(&id(ADMIN))), (None, Some(Role::Observer)));

    let late = roster_after(&[appointment(ADMIN, "member", 3)]);
    assert_eq!(missing(&late), Some(None), "nothing is known to be complete");
}

#[test]
fn relays_serve_a_list_once_and_only_to_those_who_lack_it() {
    let request = |number: Option<i64>| RosterRequest { version: number.map(version) };
    let served = |number: Option<i64>| Served { last: number.map(version) };
    assert!(served(None).is_due(&request(None), version(0)));
    assert!(served(None).is_due(&request(Some(1)), version(2)));
    assert!(!served(None).is_due(&request(Some(2)), version(2)));
    assert!(!served(Some(2)).is_due(&request(Some(1)), version(2)));
    assert!(served(Some(1)).is_due(&request(Some(1)), version(2)));
}

#[test]
fn a_list_travels_in_chunks_that_come_in_order() {
    let names: Vec<String> = (0..256).map(|number| format!("member-{number:09}")).collect();
    let entries: Vec<_> = names.iter().map(|name| entry(name, Role::Moderator)).collect();
    let blob = RosterBlob::new(entries.clone()).unwrap();
    assert_eq!(RosterBlob::decode_all(&blob.to_bytes()).unwrap(), blob);
    let chunks = blob.chunks(&message_id(HEADER));
    let lengths: Vec<usize> = chunks.iter().map(|chunk| chunk.to_bytes().len() - 20).collect();
    assert_eq!(lengths, [15_780, blob.to_bytes().len() - 15_780]);
    assert!(chunks.iter().all(|chunk| group::body::single(group::element::Element::Chunk(chunk.clone())).is_ok()));

    let received = transfer(entries.clone(), 1, &chunks).unwrap();
    assert_eq!((received.version(), received.blob()), (version(1), &blob));
    let of = |chunks: &[Chunk]| transfer(entries.clone(), 1, chunks).unwrap_err();
    assert_eq!(of(&[chunks[1].clone()]), TransferError::Order);
    assert_eq!(of(&[chunks[0].clone(), chunks[0].clone()]), TransferError::Order);
    let other = Chunk { file: message_id("other"), ..chunks[0].clone() };
    assert_eq!(of(&[other]), TransferError::OtherFile);
    let cancelled = Chunk { part: ChunkPart::Cancelled, ..chunks[0].clone() };
    assert_eq!(of(&[chunks[0].clone(), cancelled]), TransferError::Cancelled);
}

#[test]
fn a_header_must_be_by_an_owner_and_not_too_long_nor_old() {
    let header = |size: u64, number: i64| {
        let digest = codec::text::base64url(&[1; 64]);
        message("x.grp.roster", json!({"version": number, "fileInv": {"fileSize": size, "fileDigest": digest}}))
    };
    let roster = roster_after(&[appointment(ADMIN, "admin", 5)]);
    let begin =
        |header: &AcceptedMessage, current: Option<&RosterTransfer>| RosterTransfer::begin(header, &roster, current);
    let by_owner = |size, number| word_of_owner(header(size, number));
    let newer = begin(&by_owner(32_768, 7), None).unwrap();
    assert_eq!(begin(&by_owner(32_769, 7), None), Err(TransferError::TooLong(32_769)));
    assert_eq!(begin(&by_owner(u64::MAX, 7), None), Err(TransferError::TooLong(u64::MAX)));
    assert_eq!(begin(&by_owner(2, 4), None), Err(TransferError::Old));
    assert_eq!(begin(&by_owner(2, 6), Some(&newer)), Err(TransferError::Old));
    assert!(begin(&by_owner(2, 5), None).is_ok());
    assert!(begin(&by_owner(2, 7), Some(&newer)).is_ok());

    let admin = links().author(&id(ADMIN), &roster, Asserted::default());
    let by_admin = verify(signed(ADMIN, header(2, 6)), &admin).unwrap();
    assert_eq!(begin(&by_admin, None), Err(TransferError::NotByOwner));
    let nameless = word_of_owner(Message { id: None, ..header(2, 6) });
    assert_eq!(begin(&nameless, None), Err(TransferError::NotAnnounced));
    assert_eq!(begin(&appointment(ADMIN, "admin", 6), None), Err(TransferError::NotAnnounced));
}

/// A list as bytes, well formed or not.
fn blob(entries: &[(&str, &str, u16)]) -> Vec<u8> {
    let mut bytes = (entries.len() as u16).to_be_bytes().to_vec();
    for (member, role, reserved) in entries {
        bytes.push(member.len() as u8);
        bytes.extend(member.as_bytes());
        bytes.push(44);
        bytes.extend(key_of(member).public().0.to_der());
        bytes.push(role.len() as u8);
        bytes.extend(role.as_bytes());
        bytes.extend(reserved.to_be_bytes());
    }
    bytes
}

#[test]
fn entries_with_other_roles_and_repeated_members_are_dropped() {
    let bytes =
        blob(&[("a", "owner", 0), ("b", "admin", 7), ("b", "member", 0), ("c", "observer", 0), ("d", "king", 0)]);
    assert_eq!(RosterBlob::decode_all(&bytes).unwrap().entries(), [entry("b", Role::Admin)]);
    assert_eq!(RosterBlob::decode_all(&[0, 0]).unwrap(), RosterBlob::default());
    assert!(RosterBlob::new(vec![entry("a", Role::Owner)]).is_err());
    assert!(RosterBlob::new(vec![entry("a", Role::Admin), entry("a", Role::Member)]).is_err());

    let good = blob(&[("a", "admin", 0)]);
    assert!(RosterBlob::decode_all(&[good.as_slice(), &[0]].concat()).is_err());
    assert!(RosterBlob::decode_all(&good[..good.len() - 1]).is_err());
    assert!(RosterBlob::decode_all(&blob(&[("", "admin", 0)])).is_err());
    let names: Vec<String> = (0..257).map(|number| number.to_string()).collect();
    let crowd: Vec<_> = names.iter().map(|name| (name.as_str(), "member", 0)).collect();
    assert!(RosterBlob::decode_all(&blob(&crowd[..256])).is_ok());
    assert!(RosterBlob::decode_all(&blob(&crowd)).is_err());
    assert!(RosterBlob::decode_all(&[0xff, 0xff]).is_err());
}

#[test]
fn a_full_list_takes_nobody_else() {
    let names: Vec<String> = (0..256).map(|number| format!("member-{number:09}")).collect();
    let entries: Vec<_> = names.iter().map(|name| entry(name, Role::Member)).collect();
    let mut roster = Roster::default();
    roster.apply_complete(&complete(entries, 1), &links()).unwrap();
    assert_eq!(roster.apply(&appointment(ADMIN, "admin", 2), &links()), RosterEffect::Full);
    assert_eq!(roster.apply(&appointment(&names[0], "admin", 2), &links()), RosterEffect::Applied);
    assert_eq!(roster.to_blob().entries().len(), 256);
}

#[test]
fn rosters_survive_in_documents() {
    let roster = roster_after(&[appointment(ADMIN, "admin", 1), appointment(OBSERVER, "member", 3)]);
    let json = serde_json::to_value(&roster).unwrap();
    assert_eq!(serde_json::from_value::<Roster>(json.clone()).unwrap(), roster);
    assert_eq!((&json["version"], &json["contiguous"]), (&json!(3), &json!(1)));
    let blob = roster.to_blob();
    assert_eq!(blob.entries(), [entry(ADMIN, Role::Admin), entry(OBSERVER, Role::Member)]);
}
