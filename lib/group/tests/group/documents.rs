//! Documents: what is written is read back, and what does not belong together is refused.

use group::document::{GroupDocument, GroupState, OwnerDocument, VerifiedLinkDocument};
use group::identity::OwnerIdentity;
use group::profile::GroupProfile;
use group::step::link_create::GroupContents;
use group::transcript::Transcript;
use serde_json::{Value, json};

use crate::support::{AnyLink, NOW, Servers, answer, created, owner, prepared, random};

/// A change to a document that makes one part contradict another.
type Edit = fn(&mut Value);

fn owner_json() -> Value {
    serde_json::to_value(OwnerDocument::from(&owner())).unwrap()
}

fn prepared_json() -> Value {
    serde_json::to_value(GroupDocument::from(&prepared())).unwrap()
}

fn created_json() -> Value {
    serde_json::to_value(GroupDocument::from(&created())).unwrap()
}

fn read_owner(json: Value) -> Result<OwnerIdentity, String> {
    let document: OwnerDocument = serde_json::from_value(json).map_err(|error| error.to_string())?;
    document.try_into().map_err(|error: group::document::Inconsistent| error.to_string())
}

fn read_group(json: Value) -> Result<GroupState, String> {
    let document: GroupDocument = serde_json::from_value(json).map_err(|error| error.to_string())?;
    document.try_into().map_err(|error: group::document::Inconsistent| error.to_string())
}

#[test]
fn an_owner_document_has_these_fields() {
    let json = owner_json();
    let fields: Vec<&String> = json.as_object().unwrap().keys().collect();
    let expected =
        ["group_id", "owner_id", "root_public_key", "owner_public_key", "root_private_key", "owner_private_key"];
    assert_eq!(fields, expected);
    assert!(json.as_object().unwrap().values().all(|value| !value.as_str().unwrap().contains('=')));
    assert!(OwnerDocument::SECRETS.iter().all(|secret| expected.contains(secret)));
    assert_eq!(read_owner(json).unwrap().group_id(), owner().group_id());
}

#[test]
fn an_owner_document_with_mixed_keys_is_refused() {
    let other = OwnerDocument::from(&group::step::keygen::keygen(&mut random("other")));
    let other = serde_json::to_value(other).unwrap();
    for (field, message) in [
        ("group_id", "group_id: not the hash of the root public key"),
        ("root_public_key", "root_public_key: not that of the root private key"),
        ("root_private_key", "root_public_key: not that of the root private key"),
        ("owner_public_key", "owner_public_key: not that of the owner private key"),
        ("owner_private_key", "owner_public_key: not that of the owner private key"),
    ] {
        let mut json = owner_json();
        json[field] = other[field].clone();
        assert_eq!(read_owner(json).unwrap_err(), message, "{field}");
    }
}

#[test]
fn errors_do_not_repeat_secrets() {
    let mut json = owner_json();
    json["root_private_key"] = "c2VjcmV0IQ".into();
    let error = read_owner(json).unwrap_err();
    assert!(error.contains("wrong length") && !error.contains("c2VjcmV0IQ"), "{error}");
}

#[test]
fn a_prepared_group_survives_its_document() {
    let json = prepared_json();
    assert_eq!(json["status"], "prepared");
    assert_eq!(json["link_data"]["version"], 1);
    assert_eq!(json["prepared_at"], NOW);
    assert!(json.get("created_at").is_none());
    let Ok(GroupState::Prepared(read)) = read_group(json.clone()) else { panic!("prepared") };
    assert_eq!(read.new_queue(), prepared().new_queue());
    assert_eq!(serde_json::to_value(GroupDocument::from(&*read)).unwrap(), json);
}

#[test]
fn a_created_group_survives_its_document_and_can_be_updated() {
    let json = created_json();
    assert_eq!(json["status"], "created");
    assert_eq!(json["created_at"], NOW + 1);
    let Ok(GroupState::Created(read)) = read_group(json.clone()) else { panic!("created") };
    assert_eq!(serde_json::to_value(GroupDocument::from(&*read)).unwrap(), json);

    let relay = AnyLink::relay(40).publish(&mut Servers::default());
    let transcript = Transcript::default();
    let profile = GroupProfile::named("Walks 2");
    let contents = GroupContents { profile, member_count: 2, relays: vec![relay], transcript };
    let updated = read.link().clone().update(contents, &mut random("update")).unwrap();
    let json = serde_json::to_value(GroupDocument::from(&updated)).unwrap();
    let Ok(GroupState::Created(read)) = read_group(json.clone()) else { panic!("created") };
    assert_eq!(read.link().link_data(), updated.link_data());
    assert_eq!(serde_json::to_value(GroupDocument::from(&*read)).unwrap(), json);
}

#[test]
fn every_secret_of_a_group_document_is_declared() {
    let json = created_json();
    // Two of them are there once a relay was invited.
    for secret in
        GroupDocument::SECRETS.iter().filter(|secret| !["persona.server_password", "connections"].contains(secret))
    {
        let (parent, field) = secret.split_once('.').unwrap();
        assert!(json[parent].get(field).is_some(), "{secret}");
    }
    let private = |object: &Value| object.as_object().unwrap().keys().filter(|key| key.contains("private")).count();
    let declared = GroupDocument::SECRETS.iter().filter(|secret| secret.contains("private")).count();
    assert_eq!(private(&json["owner"]) + private(&json["queue"]), declared);
}

#[test]
fn a_group_document_whose_parts_do_not_belong_together_is_refused() {
    let edits: [(&str, Edit); 13] = [
        ("profile.publicGroup", |json| json["profile"]["publicGroup"]["groupLink"] = "https://h/c#x".into()),
        ("profile.publicGroup", |json| drop(json["profile"].as_object_mut().unwrap().remove("publicGroup"))),
        ("link_data.user", |json| json["profile"]["displayName"] = "Runs".into()),
        ("link_data.user", |json| json["member_count"] = 2.into()),
        ("link_data.user", |json| json["relays"] = json!([{"link": json["link"]}])),
        ("link_data.user", |json| json["link_data"]["user"] = json["link_data"]["fixed"].clone()),
        ("link_data.fixed", |json| json["link_data"]["fixed"] = "AAAA".into()),
        ("queue", |json| json["queue"]["correlation_id"] = json["group_id"].clone()),
        ("queue", |json| json["queue"]["queue_private_key"] = json["queue"]["delivery_private_key"].clone()),
        ("queue.server", |json| json["queue"]["server"] = "smp://AAAA@other.example.org".into()),
        ("queue.server_password", |json| json["queue"]["server_password"] = "a/b".into()),
        ("created_at", |json| json["status"] = "created".into()),
        ("group_id", |json| json["group_id"] = json["owner"]["owner_public_key"].clone()),
    ];
    for (field, edit) in edits {
        let mut json = prepared_json();
        edit(&mut json);
        let error = read_group(json).unwrap_err();
        assert!(error.starts_with(&format!("{field}: ")), "{error}");
    }
    let mut json = created_json();
    json["status"] = "prepared".into();
    assert!(read_group(json).unwrap_err().starts_with("status: "));
    let mut json = created_json();
    json["queue"].as_object_mut().unwrap().remove("recipient_id");
    assert!(read_group(json).unwrap_err().starts_with("queue: "));
}

#[test]
fn a_group_document_with_another_owner_is_refused() {
    let other = group::step::keygen::keygen(&mut random("other"));
    let mut json = prepared_json();
    json["owner"] = serde_json::to_value(OwnerDocument::from(&other)).unwrap();
    json["group_id"] = json["owner"]["group_id"].clone();
    assert_eq!(read_group(json).unwrap_err(), "link_data.fixed: made with another root key");
}

#[test]
fn a_verified_link_document_lists_every_check() {
    let prepared = prepared();
    let mut servers = Servers::default();
    servers.publish_group(prepared.group(), answer(&prepared).sender_id);
    let verification = servers.verify(prepared.group().short_link());
    let document = VerifiedLinkDocument::new(&verification.verified.unwrap(), verification.checks, NOW);
    let json = serde_json::to_value(&document).unwrap();
    assert_eq!(json["link"], prepared.group().short_link().to_string());
    assert_eq!(json["group_type"], "channel");
    assert_eq!(json["profile"]["displayName"], "Walks");
    assert_eq!(json["checks"][3], json!({"name": "link_key_hash", "result": "passed"}));
    assert_eq!(json["owners"][0]["owner_public_key"], owner_json()["owner_public_key"]);
    let read: VerifiedLinkDocument = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), json);
}

#[test]
fn documents_have_schemas() {
    for schema in [
        schemars::schema_for!(OwnerDocument),
        schemars::schema_for!(GroupDocument),
        schemars::schema_for!(VerifiedLinkDocument),
    ] {
        let schema = schema.to_value();
        for (field, property) in schema["properties"].as_object().unwrap() {
            let described = property.get("description").is_some() || property.get("$ref").is_some();
            assert!(described, "{field} of {}", schema["title"]);
        }
    }
}
