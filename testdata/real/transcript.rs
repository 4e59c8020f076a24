//! Relays that withhold something, all of them, as processes: members find it by what the owner counted.

use std::time::Duration;

use serde_json::Value;
use store::rusqlite::Connection;
use tokio::time::sleep;

use crate::connections::{World, lines};
use crate::members::{joined, print, said};

/// An operator that has no scruples: whatever the relay is to keep for the members is gone before it is written.
const GREED: &str = "
    CREATE TABLE greed (msg_id BLOB);
    CREATE TRIGGER withhold BEFORE INSERT ON relay_message WHEN NEW.lane = 0 BEGIN
        INSERT INTO greed VALUES (NEW.msg_id);
        SELECT RAISE(IGNORE);
    END;";
const REPENTANCE: &str = "DROP TRIGGER withhold;";

fn relay_store(world: &World, relay: &str) -> Connection {
    let db = Connection::open(world.path(&format!("{relay}/relay.sqlite"))).unwrap();
    db.busy_timeout(Duration::from_secs(30)).unwrap();
    db
}

/// What an audit prints, and whether it found nothing.
async fn audit(world: &World) -> (bool, Vec<Value>) {
    let line = "grp-recv --state mia.json --audit --patience 0 --timeout 60";
    let output = world.attempt(world.command(line), "", None).await.unwrap();
    let code = output.status.code();
    assert!(code == Some(0) || code == Some(1), "{:?}\n{}", code, String::from_utf8_lossy(&output.stderr));
    (code == Some(0), lines(&String::from_utf8(output.stdout).unwrap()))
}

#[tokio::test]
async fn a_post_that_all_relays_withhold_is_named_by_the_member() {
    let world = World::new("127.0.0.103").await;
    let _relays = joined(&world).await;
    print(&world, "grp-send --state group.json --sign one --timeout 60", "").await;
    let mut printed = Vec::new();
    while !said(&printed).contains(&"one") {
        printed.extend(print(&world, "grp-recv --state mia.json --patience 0 --timeout 60", "").await);
    }
    let (clean, lines) = audit(&world).await;
    assert!(clean, "{lines:?}");
    let summary = lines.last().unwrap();
    assert_eq!((&summary["type"], &summary["withheld"]), (&"group_audit".into(), &0.into()));
    assert_eq!((&summary["marks"][0]["total"], &summary["marks"][0]["strength"]), (&1.into(), &"count".into()));

    let stores = ["ray", "rob"].map(|relay| relay_store(&world, relay));
    stores.iter().for_each(|db| db.execute_batch(GREED).unwrap());
    let sent = print(&world, "grp-send --state group.json --sign two --timeout 60", "").await;
    for db in &stores {
        while db.query_row("SELECT count(*) FROM greed", [], |row| row.get::<_, i64>(0)).unwrap() == 0 {
            sleep(Duration::from_millis(50)).await;
        }
        db.execute_batch(REPENTANCE).unwrap();
    }
    print(&world, "grp-send --state group.json --sign three --timeout 60", "").await;
    while !said(&printed).contains(&"three") {
        printed.extend(print(&world, "grp-recv --state mia.json --patience 0 --timeout 60", "").await);
    }
    assert_eq!(said(&printed), ["one", "three"]);

    let (clean, lines) = audit(&world).await;
    assert!(!clean, "{lines:?}");
    let found: Vec<&Value> = lines.iter().filter(|line| line["happened"] == "withheld").collect();
    let [found] = found[..] else { panic!("{lines:?}") };
    assert_eq!(found["message_id"], sent[0]["message_id"]);
    let group: Value = serde_json::from_slice(&std::fs::read(world.path("group.json")).unwrap()).unwrap();
    assert_eq!(found["marked_by"], group["owner"]["owner_id"]);
    assert_eq!(lines.last().unwrap()["withheld"], 1);

    let link = group["link"].as_str().unwrap();
    let verified = crate::relays::run(&world, &format!("grp-link-verify {link} --timeout 60")).await;
    assert_eq!(verified["transcript"][0]["total"], 3, "{verified}");
    let status = crate::relays::run(&world, "grp-status group.json").await;
    assert_eq!((&status["transcript"]["counted"], &status["transcript"]["marked"]), (&3.into(), &3.into()));
}
