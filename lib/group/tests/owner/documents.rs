//! The group document of a group with relays.

use group::document::{GroupDocument, GroupState, GroupStatusDocument};
use serde_json::{Value, json};

use crate::support::{Desk, Relay, reread};

fn json_of(desk: &Desk) -> Value {
    serde_json::to_value(GroupDocument::from(&desk.owner)).unwrap()
}

fn read(json: Value) -> Result<GroupState, String> {
    let document: GroupDocument = serde_json::from_value(json).map_err(|error| error.to_string())?;
    document.try_into().map_err(|error: group::document::Inconsistent| error.to_string())
}

/// One relay of every kind.
fn busy() -> Desk {
    let mut desk = Desk::new();
    desk.activate(Relay::ready(1));
    let left = desk.accept(Relay::new(2));
    let refused = desk.invite(Relay::new(3));
    desk.run();
    desk.answer(&refused, &Relay::new(3).rejects("capacity"));
    desk.accept(Relay::old(4));
    desk.invite(Relay::new(5));
    desk.with(|owner, env| owner.cancel(&left, env)).unwrap();
    desk
}

#[test]
fn a_group_with_relays_survives_its_document() {
    let desk = busy();
    let json = json_of(&desk);
    let again = reread(&desk.owner);
    assert_eq!(serde_json::to_value(GroupDocument::from(&again)).unwrap(), json);
    assert_eq!(again.due(desk.now), desk.owner.due(desk.now));
    let statuses: Vec<&Value> =
        json["relay_records"].as_array().unwrap().iter().map(|record| &record["status"]).collect();
    assert_eq!(statuses, ["active", "inactive", "rejected", "accepted", "new"]);
    assert_eq!(json["relays"].as_array().unwrap().len(), 2, "listed, or to be");
    assert_eq!(json["relay_records"][2]["reason"], "refused");
    assert_eq!(json["relay_records"][2]["reason_detail"], "capacity");
    assert_eq!(json["link_data"]["confirmed"], 2);
    assert_eq!(json["relay_records"][0]["history"][0], json!({"status": "new", "changed_at": 1_700_000_000}));
}

#[test]
fn people_see_relays_in_a_table() {
    let desk = busy();
    let state = read(json_of(&desk)).unwrap();
    let table = GroupStatusDocument::from(&state).table();
    let rows: Vec<Vec<&str>> =
        table.lines().skip_while(|line| !line.starts_with("RELAY")).map(|line| line.split("  ").collect()).collect();
    let cells = |row: &[&str]| row.iter().map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| cells(row)).collect();
    let since = "2023-11-14T22:13:20Z";
    assert_eq!(rows[0], ["RELAY", "STATUS", "SINCE", "LISTED", "CONNECTED", "MEMBERS", "ID", "NOTE"]);
    assert_eq!(rows[1][..6], ["Relay 1", "active, notified", since, "yes", "yes", "-"]);
    assert_eq!(rows[2][1..5], ["inactive", since, "no", "no"]);
    assert_eq!(rows[2][7], "the owner gave it up; unfinished");
    assert_eq!(rows[3][7], "it refused: capacity");
    assert_eq!((rows[5][0].as_str(), rows[5][1].as_str()), ("relay.example.org", "new"), "it has told no name");
    assert_eq!(table.lines().nth(3), Some("contents  version 3, not written yet; members: 1, relays: 2"));
    let mut hostile = GroupStatusDocument::from(&state);
    hostile.relays[0].display_name = Some("Ray\u{1b}[2J\n".to_owned());
    hostile.relays[1].problem = Some("\u{7}".repeat(500));
    let shown = hostile.table();
    assert_eq!(shown.lines().count(), table.lines().count());
    assert!(!shown.contains(['\u{1b}', '\u{7}']) && shown.contains("Ray[2J"));
}

#[test]
fn a_group_without_relays_looks_as_before() {
    let json = serde_json::to_value(GroupDocument::from(&crate::support::created(7))).unwrap();
    for field in ["relay_records", "persona", "roster"] {
        assert!(json.get(field).is_none(), "{field}");
    }
    let Ok(GroupState::Created(owner)) = read(json.clone()) else { panic!("created") };
    assert!(owner.is_written() && owner.relays().is_empty());
    assert_eq!(serde_json::to_value(GroupDocument::from(&*owner)).unwrap(), json);
}

/// A change to a document that makes one part contradict another.
type Edit = fn(&mut Value);

#[test]
fn records_whose_parts_do_not_belong_together_are_refused() {
    let edits: [(&str, Edit); 17] = [
        ("relay_records: two relays", |json| json["relay_records"][1] = json["relay_records"][0].clone()),
        ("persona: missing", |json| drop(json.as_object_mut().unwrap().remove("persona"))),
        ("persona.profile: ", |json| json["persona"]["profile"]["displayName"] = "@x".into()),
        ("persona.server_password: ", |json| json["persona"]["server_password"] = "a/b".into()),
        ("link_data.confirmed: ", |json| json["link_data"]["confirmed"] = 99.into()),
        ("relay_records.connection: ", |json| json["relay_records"][0]["connection"] = "other".into()),
        ("relay_records.public_key: missing", |json| {
            drop(json["relay_records"][0].as_object_mut().unwrap().remove("public_key"));
        }),
        ("relay_records.public_key: missing", |json| {
            drop(json["relay_records"][0].as_object_mut().unwrap().remove("relay_link"));
        }),
        ("relay_records.relay_link: ", |json| json["relay_records"][0]["relay_link"] = "https://h/g#x".into()),
        ("relay_records.versions: missing", |json| {
            drop(json["relay_records"][0].as_object_mut().unwrap().remove("versions"));
        }),
        ("relay_records.stage: missing", |json| {
            drop(json["relay_records"][0].as_object_mut().unwrap().remove("stage"));
        }),
        ("relay_records.handshake: missing", |json| {
            drop(json["relay_records"][3].as_object_mut().unwrap().remove("handshake"));
        }),
        ("relay_records.reason: missing", |json| json["relay_records"][2]["reason"] = "left".into()),
        ("relay_records.reason: missing", |json| json["relay_records"][1]["reason"] = "refused".into()),
        ("relay_records.parting: ", |json| json["relay_records"][1]["to_say"] = json!([])),
        ("relay_records.to_say: ", |json| json["relay_records"][1]["to_say"][0]["event"] = "x.grp.del".into()),
        ("relay_records.to_say: ", |json| {
            json["relay_records"][4]["to_say"] = json["relay_records"][1]["to_say"].clone();
        }),
    ];
    for (expected, edit) in edits {
        let mut json = json_of(&busy());
        edit(&mut json);
        let error = read(json).unwrap_err();
        assert!(error.starts_with(expected), "{expected}: {error}");
    }
    let mut json = json_of(&busy());
    json["relay_records"][4]["status"] = "acknowledged_roster".into();
    assert!(read(json).is_err(), "a relay of which nothing was checked");
    let mut json = json_of(&busy());
    json["relay_records"][0]["status"] = "listed".into();
    assert!(read(json).is_err(), "a status that does not exist");
}

#[test]
fn a_link_that_does_not_exist_has_no_relays() {
    let mut json = json_of(&busy());
    json["status"] = "prepared".into();
    json.as_object_mut().unwrap().remove("created_at");
    json["queue"].as_object_mut().unwrap().remove("recipient_id");
    json["queue"].as_object_mut().unwrap().remove("server_public_key");
    assert_eq!(read(json).unwrap_err(), "relay_records: the link was not created yet");
}

#[test]
fn what_the_agent_keeps_is_carried_unseen() {
    let mut desk = busy();
    let secret = || Some(b"ratchet".to_vec().into());
    desk.owner.connections_mut().set("relay-1", b"\x01", secret());
    desk.owner.connections_mut().set("relay-1", b"\x02", secret());
    desk.owner.connections_mut().set("relay-2", b"\x01", secret());
    desk.owner.connections_mut().set("relay-1", b"\x02", None);
    let again = reread(&desk.owner);
    assert_eq!(again.connections(), desk.owner.connections());
    assert_eq!(again.connections().of("relay-1"), [(b"\x01".to_vec(), secret().unwrap())]);
    assert_eq!(
        json_of(&desk)["connections"],
        json!({"relay-1": {"AQ": "cmF0Y2hldA"}, "relay-2": {"AQ": "cmF0Y2hldA"}})
    );
    assert_eq!(format!("{:?}", again.connections()), "{\"relay-1\", \"relay-2\"}");
    desk.owner.connections_mut().forget("relay-1");
    assert_eq!(desk.owner.connections().names().collect::<Vec<_>>(), ["relay-2"]);
    let mut json = json_of(&desk);
    json["connections"]["relay-2"]["AQ"] = "not base64!".into();
    let error = read(json).unwrap_err();
    assert!(error.contains("expected base64url") && !error.contains("not base"), "{error}");
}

#[test]
fn the_password_for_receiving_is_a_declared_secret() {
    let mut json = json_of(&busy());
    json["persona"]["server_password"] = "secret".into();
    let Ok(GroupState::Created(owner)) = read(json) else { panic!("created") };
    assert!(!format!("{owner:?}").contains("\"secret\""), "debugging does not show it");
    let json = serde_json::to_value(GroupDocument::from(&*owner)).unwrap();
    assert_eq!(json["persona"]["server_password"], "secret");
    assert!(GroupDocument::SECRETS.contains(&"persona.server_password"));
}
