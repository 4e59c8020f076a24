//! Members whose relays are replaced: they find the new ones by themselves, or by `grp-restore`, and hear everything once.

use std::time::Duration;

use serde_json::Value;

use crate::connections::{World, lines};
use crate::members::{print, said};
use crate::relays::{Relay, create_group, run};
use crate::server::soon;
use crate::sharing::{listens, start};

/// A group with one relay, three posts, and a member that has heard them.
async fn heard(world: &World) -> (Relay, String) {
    let ray = Relay::start(world, "ray").await;
    create_group(world, "group.json").await;
    run(world, &format!("grp-relay-invite --state group.json --relay {} --timeout 60", ray.address)).await;
    let group: Value = serde_json::from_slice(&std::fs::read(world.path("group.json")).unwrap()).unwrap();
    let link = group["link"].as_str().unwrap().to_owned();
    join(world, &link, "mia").await;
    let posts: String = (0..3)
        .map(|number| format!("{{\"type\":\"say\",\"v\":1,\"text\":\"post {number}\",\"sign\":true}}\n"))
        .collect();
    print(world, "grp-send --state group.json --timeout 60", &posts).await;
    let heard = print(world, "grp-recv --state mia.json --count 3 --timeout 60", "").await;
    assert_eq!(posts_in(&heard), ["post 0", "post 1", "post 2"]);
    (ray, link)
}

/// What was posted, without what was said about the group.
fn posts_in(printed: &[Value]) -> Vec<&str> {
    said(printed).into_iter().filter(|text| !text.starts_with("x.")).collect()
}

async fn join(world: &World, link: &str, name: &str) {
    let server = world.address();
    run(world, &format!("grp-join {link} --state {name}.json --server {server} --name {name} --all --timeout 60"))
        .await;
}

/// Another relay takes the place of the first one, which is told nothing.
async fn replace(world: &World, ray: &Relay) -> Relay {
    let rob = Relay::start(world, "rob").await;
    let invite = format!("grp-relay-invite --state group.json --relay {} --history 10 --timeout 60", rob.address);
    run(world, &invite).await;
    run(world, &format!("grp-relay-remove --state group.json {} --unnotified --timeout 60", ray.address)).await;
    rob
}

fn statuses(member: &Value) -> Vec<(&str, &str)> {
    let relays = member["relays"].as_array().unwrap().iter();
    relays
        .map(|relay| (relay["profile"]["displayName"].as_str().unwrap_or("?"), relay["status"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_member_that_lost_its_relay_finds_the_next_one_and_hears_nothing_twice() {
    let world = World::new("127.0.0.124").await;
    let (ray, _) = heard(&world).await;
    let _rob = replace(&world, &ray).await;
    let restored = run(&world, "grp-restore --state mia.json --timeout 60").await;
    assert_eq!(statuses(&restored), [("ray", "gone"), ("rob", "connected")]);
    let mut printed = print(&world, "grp-recv --state mia.json --timeout 60", "").await;
    print(&world, "grp-send --state group.json next --timeout 60", "").await;
    while !said(&printed).contains(&"next") {
        printed.extend(print(&world, "grp-recv --state mia.json --timeout 60", "").await);
    }
    assert_eq!(posts_in(&printed), ["next"], "what the new relay was given is known");
    let wrong = ["different", "refused", "dropped"];
    assert!(!printed.iter().any(|line| wrong.iter().any(|wrong| line["happened"] == *wrong)), "{printed:?}");
    let status = run(&world, "grp-status mia.json").await;
    assert_eq!((&status["type"], &status["usable"]), (&"member_status".into(), &true.into()));
}

#[tokio::test]
async fn a_follower_joins_new_relays_and_leaves_old_ones_by_itself() {
    let world = World::new("127.0.0.125").await;
    let (ray, _) = heard(&world).await;
    let mut follower = start(&world, "grp-recv --state mia.json --follow --quiet", "mia.out");
    listens(&world, "mia.json").await;
    let _rob = replace(&world, &ray).await;
    print(&world, "grp-send --state group.json next --timeout 60", "").await;
    soon("the next post, through the new relay", async {
        loop {
            let printed = lines(&std::fs::read_to_string(world.path("mia.out")).unwrap());
            if printed.iter().any(|line| line["text"] == "next" && line["relay_name"] == "rob") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    follower.kill().await.unwrap();
}
