//! Orders as processes give them: owners and moderators decide, members obey, whoever is killed in between.

use std::time::Duration;

use serde_json::Value;

use crate::connections::World;
use crate::members::{joined, print, said};
use crate::relays::run;

fn document(world: &World, file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(world.path(file)).unwrap()).unwrap()
}

/// The member's name in the group, and its key.
fn member_in(world: &World, file: &str) -> (String, String) {
    let member = &document(world, file)["member"];
    let text = |field: &str| member[field].as_str().unwrap().to_owned();
    (text("member_id"), text("member_public_key"))
}

async fn join(world: &World, file: &str, name: &str) -> String {
    let link = document(world, "group.json")["link"].as_str().unwrap().to_owned();
    let server = world.address();
    let line = format!("grp-join {link} --state {file} --server {server} --name {name} --all --timeout 60");
    run(world, &line).await;
    member_in(world, file).0
}

/// Reads until something was heard; everything that was printed.
async fn until_heard(world: &World, file: &str, what: &str) -> Vec<Value> {
    let mut printed = Vec::new();
    while !said(&printed).contains(&what) {
        printed.extend(print(world, &format!("grp-recv --state {file} --timeout 60"), "").await);
    }
    printed
}

/// The owner knows a member, with the key that this signed.
async fn until_known(world: &World, member: &str) -> Value {
    loop {
        print(world, "grp-recv --state group.json --timeout 60", "").await;
        let members = print(world, "grp-member list --state group.json", "").await;
        let known = members.into_iter().find(|known| known["member_id"] == member && known["key_from"] == "member");
        if let Some(known) = known {
            return known;
        }
    }
}

#[tokio::test]
async fn an_owner_appoints_a_moderator_that_blocks_and_members_verify_all_of_it() {
    let mut world = World::new("127.0.0.141").await;
    let _relays = joined(&world).await;
    let (mia, key) = member_in(&world, "mia.json");
    let tom = join(&world, "tom.json", "Tom").await;
    let known = until_known(&world, &mia).await;
    assert_eq!((&known["member_public_key"], &known["role"]), (&Value::from(key.clone()), &"observer".into()));
    until_known(&world, &tom).await;

    // Killed at any moment, the command is repeated until it has said that it is done.
    let line = format!("grp-member role {mia} moderator --state group.json --timeout 60");
    for _ in 0..4 {
        let moment = Duration::from_millis(world.below(200));
        world.attempt(world.command(&line), "", Some(moment)).await;
    }
    let done = print(&world, &line, "").await;
    assert_eq!((&done[0]["role"], &done[0]["key_from"]), (&"moderator".into(), &"owner".into()));
    assert_eq!(document(&world, "group.json")["roster"]["version"], 1, "one order, however often it was given");
    let again = print(&world, &line, "").await;
    assert!(again[0].get("message_id").is_none(), "{again:?}");

    until_heard(&world, "tom.json", "x.grp.mem.role").await;
    until_heard(&world, "mia.json", "x.grp.mem.role").await;
    print(&world, "grp-send --state mia.json --sign thanks --timeout 60", "").await;
    let heard = until_heard(&world, "tom.json", "thanks").await;
    let thanks = heard.iter().find(|line| line["text"] == "thanks").unwrap();
    assert_eq!((&thanks["signature"], &thanks["key_from"]), (&"verified".into(), &"roster".into()));

    // The owner lets Tom write, and the moderator blocks him.
    print(&world, &format!("grp-member role {tom} author --state group.json --timeout 60"), "").await;
    until_heard(&world, "tom.json", "x.grp.mem.role").await;
    until_heard(&world, "mia.json", "x.grp.mem.role").await;
    print(&world, "grp-send --state tom.json spam --timeout 60", "").await;
    until_heard(&world, "mia.json", "spam").await;
    let blocked = print(&world, &format!("grp-member block {tom} --state mia.json --timeout 60"), "").await;
    assert_eq!((&blocked[0]["blocked"], blocked[0]["relays"].as_array().unwrap().len()), (&true.into(), 2));
    until_heard(&world, "group.json", "x.grp.mem.restrict").await;
    let members = print(&world, "grp-member list --state group.json", "").await;
    let tom_known = members.iter().find(|known| known["member_id"] == tom.as_str()).unwrap();
    assert_eq!((&tom_known["blocked"], &tom_known["role"]), (&true.into(), &"author".into()));

    // What is not hers to decide is refused, and nothing is sent.
    let refused =
        world.attempt(world.command(&format!("grp-member remove {tom} --state mia.json --timeout 60")), "", None);
    let refused = refused.await.unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
}

#[tokio::test]
async fn a_removed_member_is_told_and_a_group_that_is_deleted_ends_for_the_others() {
    let mut world = World::new("127.0.0.142").await;
    let _relays = joined(&world).await;
    let tom = join(&world, "tom.json", "Tom").await;
    until_known(&world, &tom).await;
    run(&world, &format!("grp-member remove {tom} --state group.json --timeout 60")).await;
    let mut told = Vec::new();
    while document(&world, "tom.json")["ended"].is_null() {
        told.extend(print(&world, "grp-recv --state tom.json --timeout 60", "").await);
    }
    assert_eq!(document(&world, "tom.json")["ended"], "removed", "{told:?}");

    let profile = "grp-profile --state group.json --name Hikes --prefer history=on --timeout 60";
    let changed = run(&world, profile).await;
    assert_eq!(changed["profile"]["groupPreferences"]["history"]["enable"], "on");
    let link = changed["link"].as_str().unwrap().to_owned();
    let verified = run(&world, &format!("grp-link-verify {link} --timeout 60")).await;
    assert_eq!(verified["profile"]["displayName"], "Hikes");
    let version = changed["link_data"]["version"].clone();
    assert_eq!(run(&world, profile).await["link_data"]["version"], version, "said once");

    let line = "grp-delete --state group.json --yes --timeout 60";
    for _ in 0..4 {
        let moment = Duration::from_millis(world.below(200));
        world.attempt(world.command(line), "", Some(moment)).await;
    }
    let ended = run(&world, line).await;
    assert_eq!((&ended["status"], &ended["closing"]["link_deleted"]), (&"ended".into(), &true.into()));
    while document(&world, "mia.json")["ended"].is_null() {
        print(&world, "grp-recv --state mia.json --timeout 60", "").await;
    }
    assert_eq!(document(&world, "mia.json")["ended"], "deleted");
    let gone = world.attempt(world.command(&format!("grp-link-verify {link} --timeout 60")), "", None).await.unwrap();
    assert!(!gone.status.success());
}
