//! Owners as processes hear what members say, whichever of their programs meets it first, and members hear them answer.

use serde_json::Value;

use crate::connections::World;
use crate::members::{joined, print, said};
use crate::owners::appoint;
use crate::relays::run;

/// The member's name in the group.
fn id_in(world: &World, file: &str) -> String {
    let document: Value = serde_json::from_slice(&std::fs::read(world.path(file)).unwrap()).unwrap();
    document["member"]["member_id"].as_str().unwrap().to_owned()
}

fn confirmed(lines: &[Value]) -> usize {
    lines.iter().filter(|line| line["happened"] == "confirmed").count()
}

#[tokio::test]
async fn a_member_asks_the_moderators_the_owner_reads_it_and_its_answer_is_heard() {
    let world = World::new("127.0.0.101").await;
    let _relays = joined(&world).await;
    let mia = id_in(&world, "mia.json");
    print(&world, "grp-send --state group.json --sign hello --timeout 60", "").await;
    let question = format!("{{\"type\":\"say\",\"v\":1,\"text\":\"may I write?\",\"support\":\"{mia}\"}}\n");
    let asked = print(&world, "grp-send --state mia.json --timeout 60", &question).await;

    let mut heard = Vec::new();
    while confirmed(&heard) < 1 {
        heard.extend(print(&world, "grp-recv --state group.json --timeout 60", "").await);
    }
    assert_eq!(said(&heard), ["may I write?"]);
    let line = heard.iter().find(|line| line["happened"] == "said").unwrap();
    assert_eq!((&line["author_id"], &line["message_id"]), (&Value::from(mia.clone()), &asked[0]["message_id"]));
    assert_eq!(line["params"]["scope"]["memberId"].as_str().unwrap().trim_end_matches('='), mia);
    let wrong = ["different", "refused", "dropped", "missing", "other_key"];
    assert!(!heard.iter().any(|line| wrong.iter().any(|wrong| line["happened"] == *wrong)), "{heard:?}");

    let id = asked[0]["message_id"].as_str().unwrap();
    let answer = format!(
        "{{\"type\":\"say\",\"v\":1,\"text\":\"soon\",\"support\":\"{mia}\",\"reply_to\":\"{id}\",\"sign\":true}}\n"
    );
    print(&world, "grp-send --state group.json --timeout 60", &answer).await;
    let mut printed = Vec::new();
    while !said(&printed).contains(&"soon") {
        printed.extend(print(&world, "grp-recv --state mia.json --timeout 60", "").await);
    }
    let answer = printed.iter().find(|line| line["text"] == "soon").unwrap();
    assert_eq!((&answer["signature"], &answer["key_from"]), (&"verified".into(), &"group_link".into()));
    assert_eq!(answer["params"]["quote"]["content"]["text"], "may I write?");

    let link = run(&world, "grp-status group.json").await["link"].as_str().unwrap().to_owned();
    let verified = run(&world, &format!("grp-link-verify {link} --timeout 60")).await;
    assert_eq!(verified["member_count"], 2, "{verified}");
}

#[tokio::test]
async fn what_an_owner_meets_while_it_does_something_else_waits_for_the_next_that_reads() {
    let world = World::new("127.0.0.102").await;
    let _relays = joined(&world).await;
    let mia = id_in(&world, "mia.json");
    let lines: String = (1..=3)
        .map(|number| format!("{{\"type\":\"say\",\"v\":1,\"text\":\"{number}\",\"support\":\"{mia}\"}}\n"))
        .collect();
    print(&world, "grp-send --state mia.json --timeout 60", &lines).await;
    // A run that says something takes what has come, and shows nothing of it.
    let sent = print(&world, "grp-send --state group.json hello --timeout 60", "").await;
    assert_eq!(sent.len(), 1);
    run(&world, "grp-relay-invite --state group.json --timeout 60").await;
    let mut heard = Vec::new();
    while confirmed(&heard) < 3 {
        heard.extend(print(&world, "grp-recv --state group.json --timeout 60", "").await);
    }
    assert_eq!(said(&heard), ["1", "2", "3"]);
    let again = print(&world, "grp-recv --state group.json --timeout 60", "").await;
    assert_eq!(said(&again), [""; 0]);
}

#[tokio::test]
async fn what_one_owner_posts_the_other_hears_through_relays_that_only_one_of_them_invited() {
    let mut world = World::new("127.0.0.103").await;
    let _relays = joined(&world).await;
    appoint(&mut world, "group", "bob").await;
    let server = world.address();
    let met = run(&world, &format!("grp-relay-invite --state bob.json --server {server} --timeout 60")).await;
    let records = met["relay_records"].as_array().unwrap();
    assert_eq!(records.iter().filter(|record| record["status"] == "active").count(), 2, "{records:?}");

    print(&world, "grp-send --state group.json --sign one --timeout 60", "").await;
    print(&world, "grp-send --state bob.json --sign two --timeout 60", "").await;
    for (file, text, expected) in [("group.json", "two", 1), ("bob.json", "one", 1), ("mia.json", "two", 2)] {
        let mut heard = Vec::new();
        while confirmed(&heard) < expected {
            heard.extend(print(&world, &format!("grp-recv --state {file} --timeout 60"), "").await);
        }
        let line = heard.iter().find(|line| line["text"] == text).unwrap_or_else(|| panic!("{file}: {heard:#?}"));
        assert_eq!((&line["signature"], &line["key_from"]), (&"verified".into(), &"group_link".into()), "{file}");
        assert_eq!(said(&heard).iter().filter(|said| ["one", "two"].contains(*said)).count(), expected, "{file}");
    }
}
