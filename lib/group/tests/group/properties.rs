//! What holds for all inputs: nothing panics, nothing altered is accepted, profiles survive.

use agent::link_data::Payload;
use agent::link_read::RetrievedLinkData;
use group::binding::read_tail;
use group::document::{GroupDocument, GroupState, OwnerDocument};
use group::identity::OwnerIdentity;
use group::profile::GroupProfile;
use group::user_data::{Contents, GroupLinkContents, PublicGroupData, RelayLinkContents};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::support::{Servers, answer, prepared};

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::from), vec(("[a-z]{1,6}", inner), 0..4).prop_map(object)]
    })
}

fn object(fields: Vec<(String, Value)>) -> Value {
    Value::Object(fields.into_iter().collect())
}

prop_compose! {
    fn profile()(
        name in ".{1,20}",
        full_name in ".{0,20}",
        description in option::of(".{0,12000}"),
        preferences in option::of(json()),
        other in vec(("x[a-z]{1,6}", json()), 0..3),
    ) -> GroupProfile {
        let group_preferences = preferences.map(|value| Map::from_iter([("history".to_owned(), value)]));
        let other = other.into_iter().collect();
        GroupProfile { full_name, description, group_preferences, other, ..GroupProfile::named(&name) }
    }
}

proptest! {
    #[test]
    fn profiles_survive_the_link(group_profile in profile(), count in option::of(any::<u64>())) {
        let numbers = |public_member_count| PublicGroupData { public_member_count, roster_version: None };
        let public_group_data = count.map(numbers);
        let (revision, transcript, other) = (None, Default::default(), Map::new());
        let contents = GroupLinkContents { group_profile, public_group_data, revision, transcript, other };
        if let Ok(payload) = contents.to_payload() {
            prop_assert_eq!(GroupLinkContents::from_payload(&payload).unwrap(), contents);
        }
    }

    #[test]
    fn no_payload_panics(bytes in vec(any::<u8>(), 0..400), compressed: bool) {
        let bytes = if compressed { [vec![b'X'], bytes].concat() } else { bytes };
        let payload = Payload::new(bytes.clone()).unwrap();
        let _ = GroupLinkContents::from_payload(&payload);
        let _ = RelayLinkContents::from_payload(&payload);
        let _ = read_tail(&bytes);
        let _ = read_tail(&[b"gid1".to_vec(), bytes].concat());
    }

    #[test]
    fn no_json_panics_a_document(json in json(), field in 0..20usize) {
        let mut document = serde_json::to_value(GroupDocument::from(&prepared())).unwrap();
        if let Some((_, value)) = document.as_object_mut().unwrap().iter_mut().nth(field) {
            *value = json.clone();
        }
        let read = serde_json::from_value::<GroupDocument>(document).ok().map(GroupState::try_from);
        prop_assert!(!matches!(read, Some(Ok(GroupState::Created(_)))));
        let _ = serde_json::from_value::<OwnerDocument>(json).ok().map(OwnerIdentity::try_from);
    }

    #[test]
    fn an_altered_group_link_is_never_verified(position in 0..15_872usize, bit in 0..8u8) {
        let prepared = prepared();
        let mut data = prepared.group().written().data.clone();
        let byte = if position < 2048 { &mut data.fixed[position] } else { &mut data.user[position - 2048] };
        *byte ^= 1 << bit;
        let mut servers = Servers::default();
        let link = prepared.group().short_link();
        servers.publish(link, RetrievedLinkData { sender_id: answer(&prepared).sender_id, data });
        prop_assert!(servers.verify(link).verified.is_none());
    }
}
