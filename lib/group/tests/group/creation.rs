//! From keys to a link that a server has, and its updates.

use agent::link_data::UserData;
use agent::link_read::RetrievedLinkData;
use agent::prepared_link::{CreationMismatch, LinkWriteError};
use agent::short_link::ContactKind;
use group::profile::{GroupProfile, GroupType};
use group::step::link_create::{FoundMismatch, GroupContents, GroupLinkRequest, LinkCreateError, PreparedGroupLink};
use group::transcript::Transcript;
use smp::command::QueueRequest;
use smp::id::SenderId;
use smp::response::QueueIds;

use crate::support::{AnyLink, NOW, Servers, answer, created, owner, prepared, random, request, server};

fn prepare(request: GroupLinkRequest) -> Result<PreparedGroupLink, LinkCreateError> {
    PreparedGroupLink::prepare(owner(), request, NOW, &mut random("link_create"))
}

#[test]
fn the_link_stands_in_the_profile_that_it_leads_to() {
    let prepared = prepared();
    let group = prepared.group();
    let public_group = group.contents().profile.public_group.as_ref().unwrap();
    assert_eq!(public_group.group_link, group.short_link().to_string());
    assert_eq!(public_group.public_group_id, owner().group_id());
    assert_eq!(public_group.group_type, GroupType::Channel);
    assert!(group.short_link().to_string().starts_with("https://smp.example.org/c#"));
}

#[test]
fn groups_get_a_group_link() {
    let request = GroupLinkRequest { group_type: GroupType::Group, ..request(GroupProfile::named("Walks")) };
    let prepared = prepare(request).unwrap();
    assert_eq!(prepared.group().short_link().kind, ContactKind::Group);
    let unknown = GroupType::Other("assembly".to_owned());
    let request = GroupLinkRequest { group_type: unknown.clone(), ..self::request(GroupProfile::named("Walks")) };
    assert_eq!(prepare(request).unwrap_err(), LinkCreateError::GroupType(unknown));
}

#[test]
fn creation_sends_the_same_bytes_every_time() {
    let (one, same) = (prepared(), prepared());
    assert_eq!(one.new_queue(), same.new_queue());
    let (corr_id, queue) = one.new_queue();
    let Some(QueueRequest::Contact(Some((link_id, sender_id, data)))) = queue.request else { panic!("link data") };
    assert_eq!(sender_id, SenderId::from_corr_id(&corr_id));
    assert_eq!(link_id, one.group().short_link().derive().0);
    assert_eq!((data.fixed.len(), data.user.len()), (2048, 13_824));
    assert_eq!(queue.basic_auth.unwrap().expose(), "secret");
    assert!(!queue.subscribe, "nobody sends to this queue");
}

#[test]
fn readers_find_owner_profile_and_no_invitation_to_write() {
    let prepared = prepared();
    let sender_id = answer(&prepared).sender_id;
    let retrieved = RetrievedLinkData { sender_id, data: prepared.group().written().data.clone() };
    let read = retrieved.read(prepared.group().short_link()).unwrap();
    assert!(!read.user().direct());
    assert!(read.user().relays().is_empty());
    assert_eq!(read.user().owners(), [owner().authorization().unwrap()]);
    let json = String::from_utf8(read.user().payload().as_bytes().to_vec()).unwrap();
    assert!(
        json.starts_with(
            r#"{"groupProfile":{"displayName":"Walks","fullName":"","publicGroup":{"groupType":"channel""#
        )
    );
    // What follows the member count is ours; others ignore it.
    let by = codec::text::base64url(owner().owner_id.as_bytes());
    let end = format!(r#""publicGroupData":{{"publicMemberCount":1}},"revision":{{"number":1,"by":"{by}"}}}}"#);
    assert!(json.ends_with(&end), "{json}");
    let client_data = read.fixed().link.request().client_data().unwrap();
    assert!(client_data.starts_with(r#"{"type":"group","groupLinkId":""#) && client_data.ends_with(r#"=="}"#));
}

#[test]
fn an_answer_for_another_queue_or_link_is_refused() {
    let answer = answer(&prepared());
    let other_sender = QueueIds { sender_id: [1; 24].into(), ..answer.clone() };
    assert_eq!(prepared().confirm(&other_sender, NOW).unwrap_err(), CreationMismatch::SenderId);
    let other_link = QueueIds { link_id: Some([1; 24].into()), ..answer };
    assert_eq!(prepared().confirm(&other_link, NOW).unwrap_err(), CreationMismatch::LinkId);
}

#[test]
fn an_interrupted_creation_is_confirmed_by_the_link_itself() {
    let sender_id = answer(&prepared()).sender_id;
    let found = RetrievedLinkData { sender_id, data: prepared().group().written().data.clone() };
    let confirmed = prepared().confirm_found(&found, NOW).unwrap();
    assert_eq!(confirmed.queue().access, None);
    assert_eq!(confirmed.group().short_link(), prepared().group().short_link());

    let contents = GroupContents { member_count: 2, ..prepared().group().contents().clone() };
    let (_, data) = created().update(contents, &mut random("update")).unwrap().link_data();
    assert!(prepared().confirm_found(&RetrievedLinkData { data, ..found.clone() }, NOW).is_ok());

    let elsewhere = RetrievedLinkData { sender_id: [1; 24].into(), ..found.clone() };
    assert!(matches!(prepared().confirm_found(&elsewhere, NOW), Err(FoundMismatch::Read(_))));
    let mut servers = Servers::default();
    let other = AnyLink::group().publish(&mut servers);
    assert!(matches!(prepared().confirm_found(&servers.retrieve(&other), NOW), Err(FoundMismatch::Read(_))));
}

#[test]
fn updates_keep_the_link_and_its_fixed_data() {
    let link = created();
    let before = link.group().clone();
    let mut servers = Servers::default();
    let relay = AnyLink::relay(40).publish(&mut servers);
    let contents = GroupContents {
        profile: GroupProfile { description: Some("Now with a text".to_owned()), ..GroupProfile::named("Walks 2") },
        member_count: 5,
        relays: vec![relay.clone()],
        transcript: Transcript::default(),
    };
    let updated = link.update(contents, &mut random("update")).unwrap();
    let group = updated.group();
    assert_eq!(group.short_link(), before.short_link());
    assert_eq!(group.written().version, 2);
    assert_eq!(group.written().data.fixed, before.written().data.fixed);
    assert_ne!(group.written().data.user, before.written().data.user);
    assert_eq!(updated.link_data(), (group.short_link().derive().0, group.written().data.clone()));

    servers.publish_group(group, answer(&prepared()).sender_id);
    let verified = servers.verify(group.short_link()).verified.unwrap();
    assert_eq!(verified.profile().display_name, "Walks 2");
    assert_eq!(verified.profile().public_group, before.contents().profile.public_group);
    assert_eq!(verified.member_count(), Some(5));
    assert_eq!(verified.relay_links(), [relay]);
}

#[test]
fn bad_and_oversize_profiles_are_refused_before_anything_is_made() {
    assert!(matches!(prepare(request(GroupProfile::named("#"))), Err(LinkCreateError::Profile(_))));
    // Text that does not compress, as pictures do not.
    let mut noise = vec![0; 14_000];
    crypto::Random::fill(&mut random("noise"), &mut noise);
    let image = format!("data:image/jpg;base64,{}", codec::text::base64_standard(&noise));
    let profile = GroupProfile { image: Some(image), ..GroupProfile::named("Walks") };
    let Err(LinkCreateError::Write(LinkWriteError::TooLarge(error))) = prepare(request(profile)) else {
        panic!("no link holds 14,000 bytes of noise")
    };
    assert!(error.excess > 0 && error.excess < 2000, "{error}");
}

#[test]
fn a_picture_that_fits_when_compressed_is_accepted() {
    let mut noise = vec![0; 9_500];
    crypto::Random::fill(&mut random("noise"), &mut noise);
    let image = format!("data:image/jpg;base64,{}", codec::text::base64_standard(&noise));
    assert!(image.len() > 12_600, "more than fits as plain JSON");
    let profile = GroupProfile { image: Some(image), ..GroupProfile::named("Walks") };
    let prepared = prepare(request(profile.clone())).unwrap();
    let mut servers = Servers::default();
    servers.publish_group(prepared.group(), answer(&prepared).sender_id);
    let verified = servers.verify(prepared.group().short_link()).verified.unwrap();
    assert_eq!(verified.profile().image, profile.image);
    assert_eq!(prepared.group().server(), &server());
}
