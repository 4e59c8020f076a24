//! Several owners of a group as processes: each becomes one through documents, and they write one link, in turns, at once,
//! and killed at any moment, without losing what another one wrote.

use std::time::Duration;

use serde_json::Value;

use crate::connections::World;
use crate::relays::{Relay, create_group, run};

/// How often a run is killed before it may end.
const KILLS: u64 = 6;
/// A run does its work within about so many milliseconds.
const MOMENT: u64 = 150;
/// How often two owners write at the same time.
const TIMES: u32 = 6;

/// Runs a command again and again, killed each time, then to its end.
async fn persist(world: &mut World, line: &str) -> Value {
    for _ in 0..KILLS {
        let moment = Duration::from_millis(world.below(MOMENT));
        world.attempt(world.command(line), "", Some(moment)).await;
    }
    run(world, line).await
}

async fn failed(world: &World, line: &str) -> (Option<i32>, String) {
    let output = world.attempt(world.command(line), "", None).await.unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn save(world: &World, file: &str, document: &Value) {
    std::fs::write(world.path(file), document.to_string()).unwrap();
}

/// Makes somebody an owner, whatever is killed meanwhile; its document is in `NAME.json`.
pub(crate) async fn appoint(world: &mut World, by: &str, name: &str) {
    let link = link(world, by);
    let verified = run(world, &format!("grp-link-verify {link}")).await;
    save(world, "verified.json", &verified);
    let request = run(world, &format!("grp-owner-request verified.json --out {name}.keys")).await;
    assert!(request.get("owner_private_key").is_none());
    save(world, &format!("{name}.request"), &request);
    let handover = persist(world, &format!("grp-owner-add {name}.request --state {by}.json")).await;
    save(world, &format!("{name}.handover"), &handover);
    persist(world, &format!("grp-owner-accept {name}.handover --keys {name}.keys --state {name}.json")).await;
}

fn link(world: &World, owner: &str) -> String {
    let kept: Value = serde_json::from_slice(&std::fs::read(world.path(&format!("{owner}.json"))).unwrap()).unwrap();
    kept["link"].as_str().unwrap().to_owned()
}

async fn update(world: &World, owner: &str, change: &str) -> Value {
    run(world, &format!("grp-link-create --state {owner}.json --update {change}")).await
}

/// What somebody reads who has the link.
async fn said(world: &World) -> Value {
    run(world, &format!("grp-link-verify {}", link(world, "ann"))).await
}

#[tokio::test]
async fn two_owners_change_the_profile_in_turns_and_at_once_and_members_see_both() {
    let mut world = World::new("127.0.0.94").await;
    create_group(&world, "ann.json").await;
    appoint(&mut world, "ann", "bob").await;
    let before = said(&world).await;
    assert_eq!(before["owners"].as_array().unwrap().len(), 2);

    update(&world, "bob", "--description Sundays").await;
    update(&world, "ann", "--full-name Walks-for-all").await;
    let profile = said(&world).await["profile"].clone();
    assert_eq!((&profile["description"], &profile["fullName"]), (&"Sundays".into(), &"Walks-for-all".into()));
    update(&world, "bob", "--description Mondays").await;
    assert_eq!(said(&world).await["profile"]["fullName"], "Walks-for-all", "each owner takes what the other one wrote");

    for time in 0..TIMES {
        let (world, full, text) = (&world, format!("--full-name Name-{time}"), format!("--description Text-{time}"));
        let (_, _) = tokio::join!(update(world, "ann", &full), update(world, "bob", &text));
        // Each looks once more: one of them may have been done before the other one wrote.
        update(world, "ann", "").await;
        update(world, "bob", "").await;
        let profile = said(world).await["profile"].clone();
        let expected = (format!("Name-{time}").into(), format!("Text-{time}").into());
        assert_eq!((profile["fullName"].clone(), profile["description"].clone()), expected);
    }
    for name in ["ann", "bob"] {
        let status = run(&world, &format!("grp-status {name}.json")).await;
        assert_eq!((&status["link_written"], status["owners"].as_array().unwrap().len()), (&true.into(), 2));
    }
}

#[tokio::test]
async fn an_owner_that_was_let_in_lets_in_others_invites_relays_and_can_be_removed() {
    let mut world = World::new("127.0.0.95").await;
    let relay = Relay::start(&world, "ray").await;
    create_group(&world, "ann.json").await;
    appoint(&mut world, "ann", "bob").await;
    appoint(&mut world, "bob", "cleo").await;
    assert_eq!(said(&world).await["owners"].as_array().unwrap().len(), 3);

    let invited =
        run(&world, &format!("grp-relay-invite --state cleo.json --relay {} --timeout 60", relay.address)).await;
    assert_eq!(invited["relay_records"][0]["status"], "active", "{}", invited["relay_records"][0]);
    update(&world, "ann", "--description Sundays").await;
    let read = said(&world).await;
    assert_eq!((read["relays"].as_array().unwrap().len(), &read["profile"]["description"]), (1, &"Sundays".into()));

    let (exit, stderr) = failed(&world, "grp-owner-remove --state cleo.json AAAA").await;
    assert_eq!(exit, Some(0), "who is not there is removed already: {stderr}");
    let bob = read["owners"][1]["owner_id"].as_str().unwrap();
    let (exit, stderr) = failed(&world, &format!("grp-owner-remove --state cleo.json {bob}")).await;
    assert!(exit == Some(2) && stderr.contains("did not come after this one"), "{stderr}");
    persist(&mut world, &format!("grp-owner-remove --state ann.json {bob}")).await;
    let read = said(&world).await;
    assert_eq!(read["owners"].as_array().unwrap().len(), 1, "cleo came in through bob");
    for name in ["bob", "cleo"] {
        let (exit, stderr) = failed(&world, &format!("grp-link-create --state {name}.json --update --name Mine")).await;
        assert!(exit == Some(1) && stderr.contains("removed"), "{exit:?} {stderr}");
    }
    assert_eq!(said(&world).await["profile"]["displayName"], "Walks");
    let handed = failed(&world, "grp-owner-accept bob.handover --keys bob.keys --state again.json").await;
    assert!(handed.0 == Some(1) && handed.1.contains("does not name this owner"), "{}", handed.1);
}
