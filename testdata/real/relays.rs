//! An owner's programs and the relays they invite, killed at any moment, and the server with them: each relay is invited
//! once, checked, published and removed, whatever was cut off.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::connections::World;
use crate::server::soon;

/// Runs that are killed before one may end.
const KILLS: u64 = 12;
/// A run of the owner does its work within about so many milliseconds.
const MOMENT: u64 = 400;

/// A relay as a process.
pub(crate) struct Relay {
    name: &'static str,
    child: Child,
    pub(crate) address: String,
}

impl Relay {
    /// Starts it in a folder of its name, with a trace there.
    pub(crate) async fn start(world: &World, name: &'static str) -> Self {
        let folder = world.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut command =
            world.command(&format!("relay-serve --server {} --name {name} --trace trace --quiet", world.address()));
        let mut child = command.current_dir(folder).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        soon("the relay", stdout.read_line(&mut line)).await.unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Relay { name, child, address: ready["address"].as_str().unwrap().to_owned() }
    }

    /// `kill -9`, and another process in its place.
    async fn again(mut self, world: &World) -> Self {
        self.child.kill().await.unwrap();
        let again = Relay::start(world, self.name).await;
        assert_eq!(again.address, self.address);
        again
    }

    /// What the relay's log says, one object for each line.
    pub(crate) async fn log(&self, world: &World) -> Vec<Value> {
        let command = world.command(&format!("relay-log --control {}/relay.sock", self.name));
        let output = world.attempt(command, "", None).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        crate::connections::lines(&String::from_utf8(output.stdout).unwrap())
    }
}

/// Runs a program to its end.
pub(crate) async fn run(world: &World, line: &str) -> Value {
    let output = world.attempt(world.command(line), "", None).await.unwrap();
    assert!(output.status.success(), "{line}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a command again and again, with everybody killed now and then, until it has said that it is done.
async fn persist(world: &mut World, relays: &mut [Option<Relay>; 2], line: &str) -> Value {
    for _ in 0..KILLS {
        let moment = Duration::from_millis(world.below(MOMENT));
        world.attempt(world.command(line), "", Some(moment)).await;
        match world.below(8) {
            0 => world.restart_server().await,
            number @ 1..3 => {
                let relay = &mut relays[usize::try_from(number - 1).unwrap()];
                *relay = Some(relay.take().unwrap().again(world).await);
            }
            _ => {}
        }
    }
    run(world, line).await
}

#[tokio::test]
async fn relays_are_invited_once_and_removed_whatever_is_killed() {
    let mut world = World::new("127.0.0.91").await;
    let mut relays = [Some(Relay::start(&world, "ray").await), Some(Relay::start(&world, "rob").await)];
    let [ray, rob] = relays.each_ref().map(|relay| relay.as_ref().unwrap().address.clone());
    let keys = world.attempt(world.command("grp-keygen"), "", None).await.unwrap().stdout;
    let create = world.command(&format!("grp-link-create --server {} --name Walks --out group.json", world.address()));
    let created = world.attempt(create, &String::from_utf8(keys).unwrap(), None).await.unwrap();
    let created: Value = serde_json::from_slice(&created.stdout).unwrap();
    let link = created["link"].as_str().unwrap();

    let invite = format!("grp-relay-invite --state group.json --relay {ray} --relay {rob} --timeout 60");
    let invited = persist(&mut world, &mut relays, &invite).await;
    for record in invited["relay_records"].as_array().unwrap() {
        assert_eq!((&record["status"], &record["stage"]), (&"active".into(), &"confirmed".into()), "{record}");
        assert_eq!(record["bound_by"], "fixed_data");
    }
    let verified = run(&world, &format!("grp-link-verify {link}")).await;
    let names: Vec<&Value> =
        verified["relays"].as_array().unwrap().iter().map(|relay| &relay["profile"]["displayName"]).collect();
    assert_eq!((names.len(), verified["relay_links"].as_array().unwrap().len()), (2, 2));
    for relay in relays.iter().flatten() {
        let log = relay.log(&world).await;
        let invitations = log.iter().filter(|line| line["event"] == "invited").count();
        assert_eq!(invitations, 1, "{}: {log:?}", relay.name);
    }

    persist(&mut world, &mut relays, &format!("grp-relay-remove --state group.json {rob} --timeout 60")).await;
    let last = format!("grp-relay-remove --state group.json {ray} --last --timeout 60");
    let removed = persist(&mut world, &mut relays, &last).await;
    for record in removed["relay_records"].as_array().unwrap() {
        assert_eq!((&record["status"], &record["reason"]), (&"inactive".into(), &"removed".into()), "{record}");
    }
    let kept: Value = serde_json::from_slice(&std::fs::read(world.path("group.json")).unwrap()).unwrap();
    assert!(kept.get("connections").is_none(), "no connection is left");
    let verified = run(&world, &format!("grp-link-verify {link}")).await;
    assert_eq!(verified["relay_links"].as_array().unwrap().len(), 0);
    for relay in relays.iter().flatten() {
        soon("a relay that ends its service", async {
            let ended = |line: &Value| line["event"] == "status" && line["status"] == "inactive";
            while !relay.log(&world).await.iter().any(ended) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }
}
