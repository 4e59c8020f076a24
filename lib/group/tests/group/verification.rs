//! What a reader of a group link must check, and what happens when a check fails.

use agent::link_read::RetrievedLinkData;
use agent::owner::OwnerAuth;
use agent::short_link::{ContactKind, ContactShortLink, LinkScheme};
use crypto::sign::Ed25519PrivateKey;
use group::binding::{GroupBinding, tail};
use group::check::{CheckName, CheckResult};
use group::identity::GroupId;
use group::step::link_verify::{GROUP_CHECKS, LinkVerification, RELAY_CHECKS, Verification};
use serde_json::json;

use crate::support::{AnyLink, Servers, answer, group_json, named, owner, prepared, relay_results, result};

fn verify(link: AnyLink) -> Verification {
    let mut servers = Servers::default();
    let link = link.publish(&mut servers);
    servers.verify(&link)
}

/// The one check that this link fails, and that it is not verified.
fn only_failure(link: AnyLink) -> CheckName {
    let verification = verify(link);
    assert!(verification.verified.is_none());
    let failed = named(&verification.checks, CheckResult::Failed);
    assert_eq!(failed.len(), 1, "{failed:?}");
    failed[0]
}

#[test]
fn a_created_link_passes_every_check() {
    let prepared = prepared();
    let mut servers = Servers::default();
    servers.publish_group(prepared.group(), answer(&prepared).sender_id);
    let verification = servers.verify(prepared.group().short_link());
    assert_eq!(named(&verification.checks, CheckResult::Passed), GROUP_CHECKS);
    assert_eq!(verification.checks.len(), GROUP_CHECKS.len());
    let verified = verification.verified.unwrap();
    assert_eq!(verified.group_id(), owner().group_id());
    assert_eq!(verified.root_key(), owner().root_key.public());
    assert_eq!(verified.owners()[0].id, owner().owner_id);
    assert_eq!(verified.owners()[0].key, owner().owner_key.public());
    assert_eq!(verified.profile(), &prepared.group().contents().profile);
}

#[test]
fn a_link_that_no_server_has_is_not_verified() {
    let verification = Servers::default().verify(prepared().group().short_link());
    assert_eq!(result(&verification.checks, CheckName::Retrieved), CheckResult::Failed);
    assert_eq!(named(&verification.checks, CheckResult::Skipped), GROUP_CHECKS[1..]);
    assert!(verification.verified.is_none());
}

#[test]
fn a_verification_that_was_not_finished_verifies_nothing() {
    let unfinished = LinkVerification::start(prepared().group().short_link().clone());
    assert_eq!(unfinished.to_fetch().len(), 1);
    assert!(unfinished.finish().verified.is_none());
}

#[test]
fn data_of_another_link_does_not_decrypt() {
    let prepared = prepared();
    let mut servers = Servers::default();
    let other = AnyLink::relay(9).publish(&mut servers);
    let data =
        RetrievedLinkData { sender_id: answer(&prepared).sender_id, data: prepared.group().written().data.clone() };
    servers.publish(&other, data);
    let verification = servers.verify(&other);
    assert_eq!(named(&verification.checks, CheckResult::Failed), [CheckName::Decrypted]);
}

#[test]
fn data_of_another_queue_fails_the_address_check_and_shows_nothing() {
    let prepared = prepared();
    let mut servers = Servers::default();
    servers.publish_group(prepared.group(), [1; 24].into());
    let verification = servers.verify(prepared.group().short_link());
    assert_eq!(named(&verification.checks, CheckResult::Failed), [CheckName::Address]);
    assert_eq!(result(&verification.checks, CheckName::UserSignature), CheckResult::Passed);
    assert_eq!(result(&verification.checks, CheckName::ProfileReadable), CheckResult::Skipped);
}

#[test]
fn chat_18_an_owner_nobody_let_in_fails_the_owner_chain() {
    let stranger = Ed25519PrivateKey::from_seed([9; 32]);
    let by_stranger = OwnerAuth::authorize(b"stranger", stranger.public(), &stranger).unwrap();
    let mut servers = Servers::default();
    let link = AnyLink::group().publish(&mut servers);
    let RetrievedLinkData { sender_id, data } = forged_user_data(&link, by_stranger, &servers);
    servers.publish(&link, RetrievedLinkData { sender_id, data });
    let verification = servers.verify(&link);
    assert_eq!(named(&verification.checks, CheckResult::Failed), [CheckName::OwnerChain, CheckName::UserSignature]);
    let detail = verification.checks.iter().find(|check| check.name == CheckName::OwnerChain).unwrap();
    assert_eq!(detail.detail.as_deref(), Some("invalid authorization of owner ID c3RyYW5nZXI"));
}

/// User data that a stranger signed, who lists himself as owner.
fn forged_user_data(link: &ContactShortLink, owner: OwnerAuth, servers: &Servers) -> RetrievedLinkData {
    use agent::link_data::{ContactData, Payload};
    use agent::signed_item::{Item, SignedItem};
    use codec::Encode;
    let versions = agent::version::AGENT;
    let user = ContactData::new(versions, false, vec![owner], vec![], Payload::new(*b"{}").unwrap()).unwrap();
    let signed = SignedItem::sign(user.to_bytes(), &Ed25519PrivateKey::from_seed([8; 32]));
    let mut retrieved = servers.retrieve(link);
    retrieved.data.user = signed.encrypt(Item::User, &link.derive().1, crypto::Nonce([5; 24])).unwrap();
    retrieved
}

#[test]
fn a_link_without_owners_is_a_warning() {
    let verification = verify(AnyLink { owners: vec![], ..AnyLink::group() });
    assert_eq!(named(&verification.checks, CheckResult::Warning), [CheckName::OwnerListed]);
    assert!(verification.verified.unwrap().owners().is_empty());
}

#[test]
fn an_owner_without_a_name_is_refused() {
    let owner = owner();
    let nameless = OwnerAuth::authorize(b"", owner.owner_key.public().0, owner.root_key.signing_key()).unwrap();
    assert_eq!(only_failure(AnyLink { owners: vec![nameless], ..AnyLink::group() }), CheckName::OwnerListed);
}

#[test]
fn a_link_through_which_the_owner_accepts_requests_is_refused() {
    assert_eq!(only_failure(AnyLink { direct: true, ..AnyLink::group() }), CheckName::NoDirectRequests);
}

#[test]
fn chat_27_a_link_must_name_the_group_of_its_profile() {
    let other = codec::text::base64url(&[9; 32]);
    let json = Box::new(move |link: &ContactShortLink| group_json(link, &other));
    assert_eq!(only_failure(AnyLink { json, ..AnyLink::group() }), CheckName::GroupIdInProfile);

    for entity_id in [None, Some(vec![1; 31])] {
        let verification = verify(AnyLink { entity_id, ..AnyLink::group() });
        let failed = named(&verification.checks, CheckResult::Failed);
        assert_eq!(failed, [CheckName::EntityIdPresent, CheckName::GroupIdInProfile]);
        assert!(verification.verified.is_none());
    }
}

#[test]
fn a_group_id_that_is_not_the_hash_of_the_root_key_is_only_a_warning() {
    let id = codec::text::base64url(&[9; 32]);
    let json = Box::new(move |link: &ContactShortLink| group_json(link, &id));
    let verification = verify(AnyLink { entity_id: Some(vec![9; 32]), json, ..AnyLink::group() });
    assert_eq!(named(&verification.checks, CheckResult::Warning), [CheckName::GroupIdIsRootHash]);
    assert_eq!(verification.verified.unwrap().group_id(), GroupId::from_bytes(&[9; 32]).unwrap());
}

fn with_profile(edit: impl Fn(&mut serde_json::Value) + 'static) -> AnyLink {
    let group = AnyLink::group();
    let json = Box::new(move |link: &ContactShortLink| {
        let mut json = (group.json)(link);
        edit(&mut json);
        json
    });
    AnyLink { json, ..AnyLink::group() }
}

#[test]
fn the_profile_must_name_the_link_that_led_to_it() {
    let other = with_profile(|json| {
        let link = prepared().group().short_link().to_string();
        json["groupProfile"]["publicGroup"]["groupLink"] = link.into();
    });
    assert_eq!(only_failure(other), CheckName::LinkInProfile);
    let garbage = with_profile(|json| json["groupProfile"]["publicGroup"]["groupLink"] = "a link".into());
    assert_eq!(only_failure(garbage), CheckName::LinkInProfile);
}

#[test]
fn the_link_may_be_written_in_another_way_than_in_the_profile() {
    let mut servers = Servers::default();
    let link = AnyLink::group().publish(&mut servers);
    let simplex = ContactShortLink { scheme: LinkScheme::Simplex, ..link.clone() };
    assert!(servers.verify(&simplex).verified.is_some());
    let other_letter = ContactShortLink { kind: ContactKind::Contact, ..link.clone() };
    let data = servers.retrieve(&link);
    servers.publish(&other_letter, data);
    assert_eq!(named(&servers.verify(&other_letter).checks, CheckResult::Failed), [CheckName::LinkInProfile]);
}

#[test]
fn profiles_that_none_may_have_are_refused() {
    assert_eq!(
        only_failure(with_profile(|json| json["groupProfile"]["displayName"] = "".into())),
        CheckName::ProfileValid
    );
    let remote = with_profile(|json| json["groupProfile"]["image"] = "https://example.org/a.png".into());
    assert_eq!(only_failure(remote), CheckName::ProfileValid);
    let unknown = with_profile(|json| json["groupProfile"]["publicGroup"]["groupType"] = "assembly".into());
    assert_eq!(only_failure(unknown), CheckName::GroupTypeKnown);
    let private = with_profile(|json| drop(json["groupProfile"].as_object_mut().unwrap().remove("publicGroup")));
    assert_eq!(only_failure(private), CheckName::PublicGroupPresent);
    assert_eq!(only_failure(with_profile(|json| *json = json!({}))), CheckName::ProfileReadable);
}

/// A group with these relays, each given as a link to publish.
fn with_relays(relays: Vec<AnyLink>) -> Verification {
    let mut servers = Servers::default();
    let relays = relays.into_iter().map(|relay| relay.publish(&mut servers)).collect();
    let group = AnyLink { relays, ..AnyLink::group() }.publish(&mut servers);
    servers.verify(&group)
}

#[test]
fn chat_28_relays_are_known_by_the_key_and_id_in_their_own_link() {
    let verification = with_relays(vec![AnyLink::relay(40), bound_relay(41, owner().group_id())]);
    assert_eq!(verification.checks.len(), GROUP_CHECKS.len() + 2 * RELAY_CHECKS.len());
    assert!(verification.checks.iter().all(|check| check.result == CheckResult::Passed));
    let verified = verification.verified.unwrap();
    let relays: Vec<_> = verified.relays().iter().map(|relay| (relay.member_id.as_bytes(), relay.binding)).collect();
    assert_eq!(relays, [(&[40; 16][..], GroupBinding::MemberId), (&[41; 16][..], GroupBinding::FixedData)]);
    assert_eq!(verified.relays()[0].key.0, Ed25519PrivateKey::from_seed([40; 32]).public());
    let bindings: Vec<_> = verification
        .checks
        .iter()
        .filter(|check| check.name == CheckName::GroupBinding)
        .map(|check| check.detail.clone().unwrap())
        .collect();
    assert_eq!(
        bindings,
        ["bound only through the relay's member ID", "bound by the group ID in the relay link's fixed data"]
    );
}

fn bound_relay(number: u8, group: GroupId) -> AnyLink {
    let json = Box::new(move |_: &ContactShortLink| {
        let group = codec::text::base64url(group.as_bytes());
        json!({"relayProfile": {"displayName": "Relay", "fullName": ""}, "groupId": group, "ext": ["gid1"]})
    });
    AnyLink { tail: tail(&group), json, ..AnyLink::relay(number) }
}

#[test]
fn a_relay_link_made_for_another_group_is_refused() {
    let other = GroupId::from_bytes(&[9; 32]).unwrap();
    let in_user_data = AnyLink { tail: vec![], ..bound_relay(41, other) };
    let malformed = AnyLink { tail: b"gid1\x01a".to_vec(), ..AnyLink::relay(42) };
    for relay in [bound_relay(40, other), in_user_data, malformed] {
        let verification = with_relays(vec![relay]);
        assert_eq!(relay_results(&verification.checks, CheckName::GroupBinding), [CheckResult::Failed]);
        assert!(verification.verified.is_none());
    }
}

#[test]
fn a_relay_link_must_name_its_relay() {
    let nameless = AnyLink { entity_id: None, ..AnyLink::relay(40) };
    let silent = AnyLink { json: Box::new(|_| json!({})), ..AnyLink::relay(41) };
    let verification = with_relays(vec![nameless, silent]);
    let failed = named(&verification.checks, CheckResult::Failed);
    assert_eq!(failed, [CheckName::MemberIdPresent, CheckName::ProfileReadable]);
    assert!(verification.verified.is_none());
}

#[test]
fn a_relay_that_cannot_be_reached_is_a_warning() {
    let unreachable = AnyLink::relay(40).publish(&mut Servers::default());
    let mut servers = Servers::default();
    let reachable = AnyLink::relay(41).publish(&mut servers);
    let relays = vec![unreachable.clone(), reachable.clone()];
    let group = AnyLink { relays: relays.clone(), ..AnyLink::group() }.publish(&mut servers);
    let verification = servers.verify(&group);
    let results = relay_results(&verification.checks, CheckName::Retrieved);
    assert_eq!(results, [CheckResult::Warning, CheckResult::Passed]);
    let verified = verification.verified.unwrap();
    assert_eq!(verified.relay_links(), relays);
    assert_eq!(verified.relays().iter().map(|relay| relay.link.clone()).collect::<Vec<_>>(), [reachable]);
}

#[test]
fn check_names_are_the_same_in_rust_and_json() {
    for name in GROUP_CHECKS.into_iter().chain(RELAY_CHECKS) {
        assert_eq!(serde_json::to_value(name).unwrap(), name.as_str());
    }
}
