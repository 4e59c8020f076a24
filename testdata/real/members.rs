//! Members as processes: they join through relays that may be killed, and hear what owners say, once.

use serde_json::Value;

use crate::connections::{World, lines};
use crate::relays::{Relay, create_group, run};

/// Runs a program to its end; the lines that it prints.
pub(crate) async fn print(world: &World, line: &str, stdin: &str) -> Vec<Value> {
    let output = world.attempt(world.command(line), stdin, None).await.unwrap();
    assert!(output.status.success(), "{line}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    lines(&String::from_utf8(output.stdout).unwrap())
}

/// What is printed of what somebody said: texts, or names of events.
pub(crate) fn said(lines: &[Value]) -> Vec<&str> {
    let said = lines.iter().filter(|line| line["happened"] == "said");
    said.map(|line| line["text"].as_str().or(line["event"].as_str()).unwrap()).collect()
}

/// A group with two relays, and a member that has heard everything so far.
pub(crate) async fn joined(world: &World) -> [Relay; 2] {
    let relays = [Relay::start(world, "ray").await, Relay::start(world, "rob").await];
    create_group(world, "group.json").await;
    let [ray, rob] = relays.each_ref().map(|relay| relay.address.clone());
    run(world, &format!("grp-relay-invite --state group.json --relay {ray} --relay {rob} --timeout 60")).await;
    let group: Value = serde_json::from_slice(&std::fs::read(world.path("group.json")).unwrap()).unwrap();
    let link = group["link"].as_str().unwrap();
    let server = world.address();
    let joined = run(world, &format!("grp-join {link} --state mia.json --server {server} --all --timeout 60")).await;
    for relay in joined["relays"].as_array().unwrap() {
        assert_eq!(relay["status"], "connected", "{relay}");
    }
    assert!(joined.get("connections").is_none(), "secrets stay in the file");
    print(world, "grp-recv --state mia.json --timeout 60", "").await;
    relays
}

#[tokio::test]
async fn a_member_hears_every_post_once_with_the_relays_that_confirm_it() {
    let world = World::new("127.0.0.97").await;
    let _relays = joined(&world).await;
    let sent = print(&world, "grp-send --state group.json --sign hello --timeout 60", "").await;
    let statuses: Vec<&Value> = sent[0]["relays"].as_array().unwrap().iter().map(|relay| &relay["status"]).collect();
    assert_eq!(statuses, ["sent", "sent"]);
    let lines = "{\"type\":\"say\",\"v\":1,\"text\":\"one\"}\n{\"type\":\"say\",\"v\":1,\"text\":\"two\"}\n";
    print(&world, "grp-send --state group.json --as-group --force --timeout 60", lines).await;

    let mut printed = Vec::new();
    let confirmed = |printed: &[Value]| printed.iter().filter(|line| line["happened"] == "confirmed").count();
    while confirmed(&printed) < 3 {
        printed.extend(print(&world, "grp-recv --state mia.json --timeout 60", "").await);
    }
    assert_eq!(said(&printed), ["hello", "one", "two"]);
    let of = |text: &str| printed.iter().find(|line| line["text"] == text).unwrap();
    assert_eq!((&of("hello")["signature"], &of("hello")["key_from"]), (&"verified".into(), &"group_link".into()));
    assert_eq!((&of("one")["as_group"], &of("one")["signature"]), (&true.into(), &"none".into()));
    assert!(of("one").get("author_id").is_none(), "nobody learns which owner it was");
    let wrong = ["different", "refused", "dropped", "missing"];
    assert!(!printed.iter().any(|line| wrong.iter().any(|wrong| line["happened"] == *wrong)), "{printed:?}");
    assert_eq!(of("hello")["message_id"], sent[0]["message_id"]);
}

#[tokio::test]
async fn members_hear_each_other_react_and_leave() {
    let world = World::new("127.0.0.98").await;
    let _relays = joined(&world).await;
    let group: Value = serde_json::from_slice(&std::fs::read(world.path("group.json")).unwrap()).unwrap();
    let (link, server) = (group["link"].as_str().unwrap(), world.address());
    run(&world, &format!("grp-join {link} --state tom.json --server {server} --name Tom --all --timeout 60")).await;
    let sent = print(&world, "grp-send --state group.json hello --timeout 60", "").await;
    let heard = print(&world, "grp-recv --state tom.json --count 1 --timeout 60", "").await;
    assert!(said(&heard).contains(&"hello"));
    let id = sent[0]["message_id"].as_str().unwrap();
    let reaction = format!("{{\"type\":\"say\",\"v\":1,\"react_to\":\"{id}\",\"emoji\":\"👍\"}}\n");
    print(&world, "grp-send --state tom.json --timeout 60", &reaction).await;
    run(&world, "grp-leave --state tom.json --timeout 60").await;
    let mut printed = Vec::new();
    while !said(&printed).contains(&"x.grp.leave") {
        printed.extend(print(&world, "grp-recv --state mia.json --timeout 60", "").await);
    }
    let reaction = printed.iter().find(|line| line["event"] == "x.msg.react").unwrap();
    assert_eq!(reaction["author_name"], "Tom");
    assert_eq!(reaction["params"]["reaction"]["emoji"], "👍");
}
