//! The document of a member: what it keeps, and what is refused in it.

use group::document::MemberDocument;
use group::membership::{GoneReason, Line, Membership};
use serde_json::{Value, json};

use crate::support::{Desk, Relay, by_channel, post_as_group, unsigned};

fn document(desk: &Desk) -> Value {
    serde_json::to_value(MemberDocument::from(&desk.member)).unwrap()
}

fn restore(document: Value) -> Result<Membership, String> {
    let document: MemberDocument = serde_json::from_value(document).map_err(|error| error.to_string())?;
    Membership::try_from(document).map_err(|error| error.to_string())
}

/// A member with relays in all states.
fn busy() -> Desk {
    let relays: Vec<Relay> = (1..6).map(Relay::new).collect();
    let paired = Relay::paired(6);
    let mut all: Vec<&Relay> = relays.iter().collect();
    all.push(&paired);
    let mut desk = Desk::new(&all);
    desk.links.remove(&relays[0].linked(desk.owner.group_id()).make().0.to_string());
    desk.run();
    desk.answer(&relays[1], Line::Main, b"{}");
    let info = desk.admission(&relays[2]);
    desk.answer(&relays[2], Line::Main, &info);
    desk.admit(&relays[3]);
    desk.admit(&paired);
    desk.deliver(&relays[3], by_channel(unsigned("m1", post_as_group("news"))));
    desk
}

#[test]
fn a_document_stands_for_everything() {
    let desk = busy();
    let first = document(&desk);
    let again = serde_json::to_value(MemberDocument::from(&restore(first.clone()).unwrap())).unwrap();
    assert_eq!(first, again);
    assert_eq!(first["relays"].as_array().unwrap().len(), 6);
    assert!(!first["awaited"].as_array().unwrap().is_empty());
}

#[test]
fn secrets_are_not_shown() {
    let desk = busy();
    let shown = format!("{:?} {:?}", desk.member, MemberDocument::from(&desk.member));
    let key = document(&desk)["member"]["member_private_key"].as_str().unwrap().to_owned();
    assert!(!shown.contains(&key));
    let raw = codec::text::from_base64url(&key).unwrap();
    assert!(!shown.contains(&format!("{raw:?}")));
    assert!(MemberDocument::SECRETS.contains(&"member.member_private_key"));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    type Spoil = fn(&mut Value);
    let spoils: [(&str, Spoil); 9] = [
        ("member_public_key", |document| document["member"]["member_public_key"] = document["group_id"].clone()),
        ("publicGroup", |document| document["group_id"] = document["member"]["member_public_key"].clone()),
        ("role", |document| document["role"] = json!("admin")),
        ("relays.number", |document| document["next_relay"] = json!(1)),
        ("relays.number", |document| document["relays"][1]["number"] = json!(1)),
        ("relays.relay_id", |document| document["relays"][3]["relay_id"] = document["relays"][5]["relay_id"].clone()),
        ("relays.connected_at", |document| {
            document["relays"][3].as_object_mut().unwrap().remove("connected_at");
        }),
        ("relays.gone", |document| {
            document["relays"][1].as_object_mut().unwrap().remove("gone");
        }),
        ("link_watch.seen", |document| document["link_watch"]["seen"] = json!("AAAA")),
    ];
    for (field, spoil) in spoils {
        let mut spoiled = document(&busy());
        spoil(&mut spoiled);
        let error = restore(spoiled).unwrap_err();
        assert!(error.contains(field), "{field}: {error}");
    }
}

#[test]
fn reasons_are_words() {
    let gone = serde_json::to_value(GoneReason::Refused("full".to_owned())).unwrap();
    assert_eq!(gone, json!({"refused": "full"}));
    assert_eq!(serde_json::to_value(GoneReason::Unlisted).unwrap(), json!("unlisted"));
}
