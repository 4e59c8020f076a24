//! Profiles, and the JSON in the user data of links.

use agent::link_data::Payload;
use group::binding::{read_tail, tail};
use group::profile::{GroupProfile, ProfileFault, image_uri};
use group::user_data::{Contents, ContentsError, GroupLinkContents, RelayLinkContents};
use serde_json::{Value, json};

use crate::support::owner;

fn contents(json: &Value) -> GroupLinkContents {
    GroupLinkContents::from_payload(&Payload::new(serde_json::to_vec(json).unwrap()).unwrap()).unwrap()
}

fn as_json(contents: &impl serde::Serialize) -> Value {
    serde_json::to_value(contents).unwrap()
}

#[test]
fn profiles_keep_what_they_do_not_know() {
    let json = json!({
        "groupProfile": {
            "displayName": "Walks",
            "fullName": "Long walks",
            "groupPreferences": {"history": {"enable": "on"}, "newPreference": {"enable": "off", "level": 3}},
            "publicGroup": {
                "groupType": "assembly",
                "groupLink": "https://h/c#x",
                "publicGroupId": "Vkdap1RjR0wChd9dvyvKtz2mUTWIOem3dIGy6rEHcIw=",
                "publicGroupAccess": {"groupWebPage": "https://example.org", "allowEmbedding": false},
            },
            "newKey": [1, {"a": null}],
        },
        "publicGroupData": {"publicMemberCount": 7},
        "newData": {},
    });
    assert_eq!(as_json(&contents(&json)), json);
}

#[test]
fn absent_fields_stay_absent_and_null_is_absence() {
    let plain = json!({"groupProfile": {"displayName": "a", "fullName": ""}});
    let nulls = json!({"groupProfile": {"displayName": "a", "fullName": "", "image": null, "publicGroup": null}});
    assert_eq!(as_json(&contents(&plain)), plain);
    assert_eq!(contents(&nulls), contents(&plain));
}

#[test]
fn profiles_are_refused_for_what_none_may_say() {
    let profile = || GroupProfile::named("Walks");
    assert_eq!(profile().check(), Ok(()));
    assert_eq!(GroupProfile::named(" ").check(), Err(ProfileFault::NoName));
    assert_eq!(GroupProfile::named("#walks").check(), Err(ProfileFault::NameMark));
    assert_eq!(GroupProfile::named("@walks").check(), Err(ProfileFault::NameMark));
    let described = |length| GroupProfile { short_descr: Some("é".repeat(length)), ..profile() };
    assert_eq!(described(160).check(), Ok(()));
    assert_eq!(described(161).check(), Err(ProfileFault::LongShortDescription));
    let image = GroupProfile { image: Some("https://example.org/a.png".to_owned()), ..profile() };
    assert_eq!(image.check(), Err(ProfileFault::ImageNotInline));
    let review = json!({"review": "all"}).as_object().cloned();
    assert_eq!(GroupProfile { member_admission: review, ..profile() }.check(), Err(ProfileFault::Review));
}

#[test]
fn pictures_are_told_by_their_first_bytes() {
    assert_eq!(image_uri(b"\xff\xd8\xff\xe0").as_deref(), Some("data:image/jpg;base64,/9j/4A=="));
    assert!(image_uri(b"\x89PNG\r\n\x1a\n....").unwrap().starts_with("data:image/png;base64,iVBORw0KGgo"));
    assert_eq!(image_uri(b"<svg>"), None);
    assert_eq!(image_uri(b""), None);
}

fn profile_of(length: usize) -> GroupLinkContents {
    let empty = json!({"groupProfile": {"displayName": "a", "fullName": "", "description": ""}});
    let description = "a".repeat(length - empty.to_string().len());
    let json = json!({"groupProfile": {"displayName": "a", "fullName": "", "description": description}});
    serde_json::from_value(json).unwrap()
}

#[test]
fn json_above_10240_bytes_is_compressed() {
    let plain = profile_of(10_240).to_payload().unwrap();
    assert_eq!((plain.as_bytes().len(), plain.as_bytes()[0]), (10_240, b'{'));
    for length in [10_241, 65_536] {
        let compressed = profile_of(length).to_payload().unwrap();
        assert_eq!(compressed.as_bytes()[0], b'X');
        assert_eq!(GroupLinkContents::from_payload(&compressed).unwrap(), profile_of(length));
    }
    assert_eq!(profile_of(65_537).to_payload().unwrap_err(), ContentsError::TooLong);
}

#[test]
fn compressed_data_expands_to_65536_bytes_at_most() {
    let bomb = |length: usize| {
        let frame = zstd::bulk::compress(&vec![b' '; length], 3).unwrap();
        GroupLinkContents::from_payload(&Payload::new([b"X", frame.as_slice()].concat()).unwrap()).unwrap_err()
    };
    assert!(matches!(bomb(65_536), ContentsError::Json(_)));
    assert_eq!(bomb(65_537), ContentsError::Expansion);
    assert_eq!(bomb(100_000_000), ContentsError::Expansion);
}

#[test]
fn empty_and_damaged_user_data_is_refused() {
    let read = |bytes: &[u8]| GroupLinkContents::from_payload(&Payload::new(bytes).unwrap()).unwrap_err();
    assert_eq!(read(b""), ContentsError::Empty);
    assert!(matches!(read(b"X"), ContentsError::Json(_)));
    assert_eq!(read(b"Xgarbage"), ContentsError::Expansion);
    assert!(matches!(read(b"{}"), ContentsError::Json(_)));
    assert!(matches!(read(&[b'['; 5000]), ContentsError::Json(_)));
}

#[test]
fn relay_links_may_repeat_the_group() {
    let group_id = owner().group_id();
    let plain = json!({"relayProfile": {"displayName": "Relay", "fullName": ""}});
    let bound = json!({
        "relayProfile": {"displayName": "Relay", "fullName": "", "shortDescr": "fast"},
        "groupId": codec::text::base64url(group_id.as_bytes()),
        "ext": ["gid1"],
    });
    for (json, expected) in [(plain, None), (bound, Some(group_id))] {
        let payload = Payload::new(serde_json::to_vec(&json).unwrap()).unwrap();
        let contents = RelayLinkContents::from_payload(&payload).unwrap();
        assert_eq!(contents.group_id, expected);
        assert_eq!(as_json(&contents), json);
    }
}

#[test]
fn a_tail_names_a_group_or_nothing() {
    let group_id = owner().group_id();
    assert_eq!(hex::encode(tail(&group_id)), format!("6769643120{}", hex::encode(group_id.as_bytes())));
    assert_eq!(read_tail(&tail(&group_id)), Ok(Some(group_id)));
    assert_eq!(read_tail(&[tail(&group_id), vec![1, 2]].concat()), Ok(Some(group_id)));
    assert_eq!(read_tail(b""), Ok(None));
    assert_eq!(read_tail(b"gid2 something else"), Ok(None));
    assert!(read_tail(b"gid1").is_err());
    assert!(read_tail(b"gid1\x03abc").is_err());
}
