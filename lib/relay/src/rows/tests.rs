use store::Store;

use super::*;

const SCHEMA: store::Schema<'_> = store::Schema { application_id: 1, migrations: &[TABLES] };

fn member(service: ServiceId, number: u64, change: &str) -> Member {
    let id = codec::text::base64url_unpadded(format!("member-{service}-{number}").as_bytes());
    let mut record = serde_json::json!({"number": number, "id": id, "role": "observer", "role_since": 0,
        "state": {"state": "connected"}, "since": 0, "max_version": 19, "attempts": 1, "start": 1,
        "link": {"attempt": 1, "request": 1, "state": "connected"}});
    let changes: serde_json::Value = serde_json::from_str(change).unwrap();
    for (field, value) in changes.as_object().unwrap() {
        record[field] = value.clone();
    }
    Member::from_record(record.to_string().as_bytes()).unwrap()
}

fn message(lane: &str, seq: u64, rest: &str) -> StoredMessage {
    let record = format!(r#"{{"lane":"{lane}","seq":{seq},"element":"e30","author":"QQ","at":{}{rest}}}"#, seq * 10);
    StoredMessage::from_record(record.as_bytes()).unwrap()
}

/// Runs on rows of two services, of which the second must not be touched.
fn with_rows(test: impl FnOnce(&mut SqlRows<'_>) + Send + 'static) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("rows.sqlite"), &SCHEMA).unwrap();
    let filled = store.write(move |tx| {
        let mut other = SqlRows::of(tx, ServiceId(2));
        other.put_hall(&Hall { members: 7, ..Hall::default() })?;
        other.put_member(&member(ServiceId(2), 1, r#"{"due":1}"#))?;
        other.put_message(&message("group", 1, r#","id":"Qg","history":{"item":1}"#))?;
        test(&mut SqlRows::of(tx, ServiceId(1)));
        let other = SqlRows::of(tx, ServiceId(2));
        assert_eq!(other.hall()?.unwrap().members, 7);
        assert!(other.member(1)?.is_some() && other.message(Lane::Group, 1)?.is_some());
        Ok(())
    });
    filled.wait().unwrap();
}

fn numbers(members: &[Member]) -> Vec<u64> {
    members.iter().map(|member| member.number).collect()
}

fn places(messages: &[StoredMessage]) -> Vec<u64> {
    messages.iter().map(|message| message.seq).collect()
}

#[test]
fn members_are_found_by_what_they_wait_for() {
    with_rows(|rows| {
        let one = ServiceId(1);
        for (number, change) in [
            (1, r#"{"role":"owner"}"#),
            (2, r#"{"behind":{"group":1,"support":1},"due":30}"#),
            (3, r#"{"state":{"state":"admitted"},"due":20}"#),
            (4, r#"{"role":"moderator"}"#),
            (5, r#"{"state":{"state":"gone","banned":true},"role":"admin","due":10}"#),
        ] {
            rows.put_member(&member(one, number, change)).unwrap();
        }
        assert_eq!(numbers(&rows.connected(0, 2).unwrap()), [1, 2]);
        assert_eq!(numbers(&rows.connected(2, 9).unwrap()), [4]);
        assert_eq!(numbers(&rows.moderators(0, 9).unwrap()), [1, 4]);
        assert_eq!(numbers(&rows.behind(0, 9).unwrap()), [2]);
        assert_eq!(numbers(&rows.behind(2, 9).unwrap()), [0; 0]);
        assert_eq!(numbers(&rows.everybody(3, 9).unwrap()), [4, 5]);
        assert_eq!(numbers(&rows.due(Time::from_millis(20), 9).unwrap()), [5, 3]);
        assert_eq!(rows.next_due().unwrap(), Some(Time::from_millis(10)));
        let found = rows.member_with_id(&member(one, 4, "{}").id).unwrap().unwrap();
        assert_eq!(found.number, 4);
        // What changes is found as it is now.
        rows.put_member(&member(one, 2, "{}")).unwrap();
        assert_eq!(numbers(&rows.behind(0, 9).unwrap()), [0; 0]);
        rows.remove_member(4).unwrap();
        assert!(rows.member_with_id(&found.id).unwrap().is_none());
        assert_eq!(numbers(&rows.moderators(0, 9).unwrap()), [1]);
    });
}

#[test]
fn messages_are_found_by_place_name_and_post() {
    with_rows(|rows| {
        for (seq, rest) in [
            (1, r#","id":"Qg","history":{"item":1}"#),
            (2, r#","id":"Qw","history":{"item":1}"#),
            (3, ""),
            (4, r#","id":"Qg","history":{"item":4}"#),
        ] {
            rows.put_message(&message("group", seq, rest)).unwrap();
        }
        rows.put_message(&message("support", 1, r#","id":"RA""#)).unwrap();
        assert_eq!(places(&rows.messages(Lane::Group, 2, 4, 9).unwrap()), [2, 3]);
        assert_eq!(places(&rows.messages(Lane::Group, 1, 9, 2).unwrap()), [1, 2]);
        assert_eq!(places(&rows.messages(Lane::Support, 0, 9, 9).unwrap()), [1]);
        let name = |bytes: &[u8]| MessageId::from_bytes(bytes).unwrap();
        assert_eq!(places(&rows.named(&name(b"B"), 9).unwrap()), [1, 4]);
        let author = MemberId::from_bytes(b"A").unwrap();
        assert!(rows.has_said(&author, &name(b"C")).unwrap());
        assert!(!rows.has_said(&MemberId::from_bytes(b"B").unwrap(), &name(b"C")).unwrap());
        assert_eq!(places(&rows.of_item(1).unwrap()), [1, 2]);
        assert_eq!(rows.first_of_last_items(9, 1).unwrap(), Some(4));
        assert_eq!(rows.first_of_last_items(9, 5).unwrap(), Some(1));
        assert_eq!(rows.first_of_last_items(1, 5).unwrap(), None);
        assert_eq!(places(&rows.history(2, 9, 9).unwrap()), [2, 4]);
        // A post that is deleted is no part of the history any more.
        rows.put_message(&message("group", 4, r#","id":"Qg""#)).unwrap();
        assert_eq!(places(&rows.history(2, 9, 9).unwrap()), [2]);
        assert!(rows.message(Lane::Group, 4).unwrap().is_some());
        rows.forget_messages(Time::from_millis(40), 3, 1).unwrap();
        assert_eq!(places(&rows.messages(Lane::Group, 0, 9, 9).unwrap()), [3, 4]);
        assert_eq!(places(&rows.messages(Lane::Support, 0, 9, 9).unwrap()), [1]);
    });
}

#[test]
fn nothing_of_a_service_stays_and_everything_of_others_does() {
    with_rows(|rows| {
        rows.put_hall(&Hall::default()).unwrap();
        rows.put_member(&member(ServiceId(1), 1, "{}")).unwrap();
        rows.put_message(&message("group", 1, "")).unwrap();
        let request = JoinRequest { request: 3, info: b"x".to_vec(), asked: true };
        rows.put_request(&request).unwrap();
        assert_eq!(rows.request(3).unwrap(), Some(request.clone()));
        assert_eq!(rows.requests(9).unwrap(), [request]);
        rows.clear().unwrap();
        assert!(rows.hall().unwrap().is_none() && rows.member(1).unwrap().is_none());
        assert!(rows.messages(Lane::Group, 0, 9, 9).unwrap().is_empty() && rows.requests(9).unwrap().is_empty());
    });
}

#[test]
fn pages_and_whoever_is_due_are_found_without_reading_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("rows.sqlite"), &SCHEMA).unwrap();
    let plan = |sql: &str| {
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let rows: Vec<String> =
            store.read(|db| db.prepare(&explain)?.query_map([], |row| row.get::<_, String>(3))?.collect()).unwrap();
        rows.join("; ")
    };
    for sql in [
        "SELECT record FROM relay_member WHERE service = 1 AND number > 2 AND connected ORDER BY number LIMIT 3",
        "SELECT record FROM relay_member WHERE service = 1 AND number > 2 AND moderates AND connected ORDER BY number",
        "SELECT record FROM relay_member WHERE service = 1 AND number > 2 AND number <= 3 AND behind ORDER BY number",
        "SELECT record FROM relay_member WHERE service = 1 AND due <= 2 ORDER BY due LIMIT 3",
        "SELECT record FROM relay_member WHERE service = 1 AND member_id = x'00'",
        "SELECT record FROM relay_message WHERE service = 1 AND msg_id = x'00' ORDER BY id LIMIT 3",
        "SELECT record FROM relay_message WHERE service = 1 AND item IS NOT NULL AND seq >= 2 AND seq < 3 ORDER BY seq",
    ] {
        let plan = plan(sql);
        assert!(plan.contains("SEARCH") && !plan.contains("SCAN") && !plan.contains("TEMP"), "{sql}: {plan}");
    }
}
